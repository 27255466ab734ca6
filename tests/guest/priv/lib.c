// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the guests' library: descriptor tables, the trap record, counting and printing of checks */
#include "guest.h"

struct regs in;
struct trap t;
volatile ul stage;
u64 gdt[64] __attribute__((aligned(16)));
u8 idt[256 * 16] __attribute__((aligned(16)));
u8 tss[0x2100] __attribute__((aligned(256)));
void (*hook[256])(void);
extern ul raw[16], entry_cs, entry_ss, entry_flags;
extern u8 pop_err;
void go_asm(void);
static unsigned checks, failed;

void fill(void *to, int v, ul n)
{
	for (u8 *p = to; n--;)
		*p++ = (u8)v;
}

void copy(void *to, const void *from, ul n)
{
	const u8 *f = from;
	for (u8 *p = to; n--;)
		*p++ = *f++;
}

void *memset(void *to, int v, ul n)
{
	fill(to, v, n);
	return to;
}

void *memcpy(void *to, const void *from, ul n)
{
	copy(to, from, n);
	return to;
}

static void put(char c)
{
	while (!(inb(0x3fd) & 0x20))
		;
	outb(0x3f8, (u8)c);
}

void say(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			put('\r');
		put(*s);
	}
}

void hex(ul v)
{
	int k = sizeof(v) * 8 - 4;
	while (k > 0 && !(v >> k & 15))
		k -= 4;
	for (; k >= 0; k -= 4)
		put("0123456789abcdef"[v >> k & 15]);
}

static void dec(unsigned v)
{
	if (v >= 10)
		dec(v / 10);
	put((char)('0' + v % 10));
}

static void tell(const char *name, ul v)
{
	say(name);
	hex(v);
}

void check(const char *sdm, const char *file, int line, const char *expr, int ok)
{
	const char *base = file;
	checks++;
	if (ok)
		return;
	failed++;
	for (const char *p = file; *p; p++)
		if (*p == '/')
			base = p + 1;
	say("FAILED ");
	say(base);
	put(':');
	dec((unsigned)line);
	say(" [");
	say(sdm);
	say("] ");
	say(expr);
	tell("; vec ", t.vec);
	tell(" err ", t.err);
	tell(" cs:ip ", t.r.cs);
	tell(":", t.r.ip);
	tell(" fl ", t.r.flags);
	tell(" ss:sp ", t.r.ss);
	tell(":", t.r.sp);
	tell(" entry sp ", t.entry_sp);
	tell(" ax ", t.r.ax);
	tell(" cx ", t.r.cx);
	tell(" cr2 ", t.cr2);
	tell(" dr6 ", t.dr6);
	tell(" stage ", stage);
	say("\n");
}

void finish(void)
{
	dec(checks);
	say(" checks, ");
	dec(failed);
	say(" failed\n");
	outb(0xf4, failed ? 1 : 0);
	for (;;)
		asm volatile("cli; hlt");
}

void set_desc(unsigned sel, u32 base, u32 limit, u32 flags)
{
	gdt[sel >> 3] = (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(flags & 0xff) << 40 |
	                (u64)(limit >> 16 & 15) << 48 | (u64)(flags >> 12 & 15) << 52 | (u64)(base >> 24) << 56;
}

void set_gate(unsigned vec, const void *to, unsigned sel, unsigned type, unsigned ist)
{
	ul a = (ul)to;
#ifdef __x86_64__
	u64 *g = (u64 *)(idt + vec * 16);
	g[1] = a >> 32;
#else
	u64 *g = (u64 *)(idt + vec * 8);
#endif
	*g = (a & 0xffff) | (u64)sel << 16 | (u64)ist << 32 | (u64)type << 40 | (u64)(a >> 16 & 0xffff) << 48;
}

void *stub_of(unsigned vec)
{
	return stubs + vec * 16;
}

void set_tss_sp0(ul sp)
{
	*(ul *)(tss + 4) = sp;
#ifndef __x86_64__
	*(u32 *)(tss + 8) = KDS;
#endif
}

void init_machine(void)
{
	struct { u16 limit; ul base; } __attribute__((packed)) r = { sizeof(gdt) - 1, (ul)gdt };
#ifdef __x86_64__
	gdt[KCS >> 3] = 0x00af9a000000ffff;
	gdt[UCS64 >> 3] = 0x00affa000000ffff;
	*(u64 *)(tss + 0x24) = (ul)ist_top;
	*(u16 *)(tss + 0x66) = 0x68;
#else
	gdt[KCS >> 3] = 0x00cf9a000000ffff;
	*(u16 *)(tss + 0x66) = 0x68;
#endif
	gdt[KCS32 >> 3] = 0x00cf9a000000ffff;
	gdt[KDS >> 3] = 0x00cf92000000ffff;
	gdt[UCS32 >> 3] = 0x00cffa000000ffff;
	gdt[UDS >> 3] = 0x00cff2000000ffff;
	fill(tss + 0x68, 0xff, 0x2001);
	set_desc(TSS, (u32)(ul)tss, 0x67, 0x89);
	set_tss_sp0((ul)stack0_top);
	asm volatile("lgdt %0" :: "m"(r));
	for (unsigned v = 0; v < 256; v++)
		set_gate(v, stub_of(v), KCS, v == END || v == BP || v == OF ? 0xee : 0x8e, 0);
	r.limit = sizeof(idt) / 16 * 2 * sizeof(ul) - 1;
	r.base = (ul)idt;
	asm volatile("lidt %0" :: "m"(r));
	asm volatile("ltr %w0" :: "r"(TSS));
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void prepare(const void *ip, unsigned cpl)
{
	fill(&in, 0, sizeof(in));
	in.ip = (ul)ip;
	in.cs = cpl ? UCS : KCS;
	in.ss = in.ds = in.es = in.fs = in.gs = cpl ? UDS : KDS;
	in.sp = cpl ? (ul)ustack_top - 256 : (ul)kstack_top - 256;
	in.flags = 2;
}

static int pushes_error(ul vec)
{
	return vec == DF || (vec >= TS && vec <= PF) || vec == AC;
}

void go(void)
{
	pop_err = 0;
	WR_DR(6, 0xffff0ff0);
	go_asm();
	copy(t.raw, raw, sizeof(t.raw));
	t.entry_cs = entry_cs & 0xffff;
	t.entry_ss = entry_ss & 0xffff;
	t.entry_flags = entry_flags;
	t.cr2 = RD_CR(2);
	t.dr6 = RD_DR(6);
	ul *f = t.raw;
	t.has_err = (ul)pushes_error(t.vec);
	t.err = t.has_err ? *f++ : 0;
	t.r.ip = f[0];
	t.r.cs = f[1] & 0xffff;
	t.r.flags = f[2];
	t.r.sp = f[3];
	t.r.ss = f[4] & 0xffff;
#ifndef __x86_64__
	if (t.r.flags & VM) {
		t.r.es = f[5], t.r.ds = f[6], t.r.fs = f[7], t.r.gs = f[8];
	} else if ((t.r.cs & 3) == (t.entry_cs & 3)) {
		t.r.sp = t.entry_sp + 12 + 4 * t.has_err;
		t.r.ss = t.entry_ss;
	}
#endif
}

void run(const void *ip, unsigned cpl)
{
	prepare(ip, cpl);
	go();
}

static ul pt[512 * 8 / sizeof(ul)] __attribute__((aligned(4096)));
#ifdef __x86_64__
extern ul boot_pd[], boot_pml4[];

void paging_on(void)
{
	boot_pd[WINDOW >> 21] = (ul)pt | 7;
	WR_CR(3, boot_pml4);
}
#else
static ul pd[1024] __attribute__((aligned(4096)));

void paging_on(void)
{
	for (unsigned k = 0; k < 1024; k++)
		pd[k] = k << 22 | 0x87;
	pd[WINDOW >> 22] = (ul)pt | 7;
	WR_CR(4, RD_CR(4) | 0x10);
	WR_CR(3, pd);
	WR_CR(0, RD_CR(0) | 0x80000000);
}
#endif

/* Large pages: all but the window. */
void supervisor_pages(int on)
{
#ifdef __x86_64__
	ul *e = boot_pd;
	unsigned n = 2048;
#else
	ul *e = pd;
	unsigned n = 1024;
#endif
	for (unsigned k = 0; k < n; k++)
		if (e[k] & 0x80)
			e[k] = on ? e[k] & ~4ul : e[k] | 4;
	WR_CR(3, RD_CR(3));
}

ul *pte(unsigned n)
{
	return &pt[n];
}

void invlpg(ul at)
{
	asm volatile("invlpg (%0)" :: "r"(at) : "memory");
}

void map(unsigned n, ul phys, u64 flags)
{
	pt[n] = (ul)(phys | flags);
	invlpg(WINDOW + n * 4096ul);
}
