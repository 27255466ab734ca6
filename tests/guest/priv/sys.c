// SPDX-License-Identifier: GPL-2.0-or-later
/* what: SYSCALL, SYSENTER and their returns, MSRs, control registers, CPUID, interrupt shadows, NMI, far transfers
 * of 64-bit mode */
#include "guest.h"

#define STAR 0xc0000081
#define LSTAR 0xc0000082
#define CSTAR 0xc0000083
#define FMASK 0xc0000084
#define EFER 0xc0000080
#define FSBASE 0xc0000100
#define GSBASE 0xc0000101
#define KGSBASE 0xc0000102

SNIPPET(wrmsr_it, "wm_at: wrmsr");
SNIPPET(rdmsr_it, "rm_at: rdmsr");
SNIPPET(cr0_it, "c0_at: mov %rax, %cr0");
SNIPPET(cr3_it, "c3_at: mov %rax, %cr3");
SNIPPET(cr4_it, "c4_at: mov %rax, %cr4");
SNIPPET(cr8_it, "c8_at: mov %rax, %cr8\n mov %cr8, %rcx");
SNIPPET(xsetbv_it, "xs_at: xsetbv");
SNIPPET(cr1_it, "c1_at: .byte 0x0f,0x20,0xc8");
SNIPPET(sc, "sc_at: syscall\nsc_next: nop");
SNIPPET(scret64, "sr_at: sysretq");
SNIPPET(scret32, "sr32_at: sysretl");
SNIPPET(sysent, "se_at: sysenter\n nop");
SNIPPET(sysex, "sx_at: sysexitl");
SNIPPET(sysex64, "sx64_at: sysexitq");
SNIPPET(landed, "nop");
SNIPPET(swapg, "swapgs");
SNIPPET(rdtsc_it, "rt_at: rdtsc");
SNIPPET(sti_nop, "sti\nsn1: nop\nsn2: nop\n cli");
SNIPPET(sti_sti, "sti\n sti\nss1: nop\nss2: nop\n cli");
SNIPPET(sti_cli, "sti\n cli\n nop");
SNIPPET(popf_if, "pushf\n orl $0x200, (%rsp)\n popf\npi1: nop\npi2: nop\n cli");
SNIPPET(rep_int, "cld\n mov $buf, %edi\n mov $64, %ecx\n sti\nri_at: rep stosb\nri1: nop\n cli");
SNIPPET(fs_load, "mov %eax, %fs\n mov %fs:0, %ecx");
SNIPPET(retf64, "rf_at: lretq");
SNIPPET(callf64, "rex.w lcall *(%rbx)");
SNIPPET(iret64, "i64_at: iretq");
SNIPPET_BITS(compat, "32", "mov %esp, %ecx\n push %eax\n pop %edx\n inc %eax\n .byte 0xf7, 0xc1, 0, 0, 0, 0");
SNIPPET_BITS(compat_sc, "32", "csc_at: syscall");
SNIPPET(pushes, "push %fs\n pop %rcx\n pushw $5\n pop %ax\n push $-1\n pop %rdx");
SNIPPET(wrfs, "wf_at: wrfsbase %rax\n rdfsbase %rcx");
SNIPPET(umip, "um_at: sgdt buf");
extern char wm_at[], rm_at[], c0_at[], c3_at[], c4_at[], c8_at[], xs_at[], c1_at[], sc_at[], sc_next[], sr_at[],
	se_at[], sx_at[], sx64_at[],
	rt_at[], sn2[], ss1[], pi1[], ri_at[], ri1[], i64_at[], csc_at[], wf_at[], um_at[];
u8 buf[256];
asm(".text\nsys_entry: int $0x42\nsys_entry32: int $0x43\n");
extern char sys_entry[], sys_entry32[];
#define FAULTS(v, at) (t.vec == (v) && t.err == 0 && t.r.ip == (ul)(at))
#define FINE (t.vec == END)

static int amd(void)
{
	u32 r[4];
	cpuid(0, 0, r);
	return r[1] != 0x756e6547;
}

static void msr_write(u32 n, u64 v)
{
	prepare(wrmsr_it, 0);
	in.cx = n, in.ax = (u32)v, in.dx = v >> 32;
	go();
}

static void msrs(void)
{
	static const u32 canonical[] = { LSTAR, CSTAR, FSBASE, GSBASE, KGSBASE, 0x175, 0x176 };
	for (unsigned k = 0; k < sizeof(canonical) / sizeof(*canonical) - (amd() ? 2 : 0); k++) {
		u64 old = rdmsr(canonical[k]);
		stage = canonical[k];
		msr_write(canonical[k], 0x800000000000);
		CHECK("vol 2 WRMSR: non-canonical address", FAULTS(GP, wm_at));
		msr_write(canonical[k], 0xffff800000001234);
		/* the harness reloads FS, GS */
		CHECK("vol 2 WRMSR: canonical", FINE && (canonical[k] >> 1 == FSBASE >> 1 ||
			rdmsr(canonical[k]) == 0xffff800000001234));
		msr_write(canonical[k], old);
	}
	prepare(rdmsr_it, 0);
	in.cx = 0x12345678;
	go();
	CHECK("vol 2 RDMSR: no such MSR", FAULTS(GP, rm_at));
	run(rdmsr_it, 3);
	CHECK("vol 2 RDMSR: CPL 3", FAULTS(GP, rm_at));
	u64 e = rdmsr(EFER);
	CHECK("vol 3 2.2.1 EFER in 64-bit mode", (e & 0x500) == 0x500);
	msr_write(EFER, e & ~0x100ull);
	CHECK("vol 3 9.8.5 LME may not change with paging on", FAULTS(GP, wm_at));
	msr_write(EFER, e | 1ull << 20);
	CHECK("vol 3 2.2.1 reserved bit of EFER", FAULTS(GP, wm_at));
	msr_write(EFER, e & ~0x400ull);
	CHECK("vol 3 2.2.1 LMA is not writable", (rdmsr(EFER) & 0x400) == 0x400);
	msr_write(0x277, 0x0202020202020202);
	CHECK("vol 3 11.12.4 PAT: reserved type", FAULTS(GP, wm_at));
	msr_write(0x277, 0x0007040600070406);
	CHECK("vol 3 11.12.4 PAT", FINE && rdmsr(0x277) == 0x0007040600070406);
	msr_write(0x1b, rdmsr(0x1b) | 1 << 9);
	CHECK("vol 3 10.4.4 reserved bit of IA32_APIC_BASE", FAULTS(GP, wm_at));
	msr_write(0xfe, 0);
	CHECK("vol 3 11.11.1 IA32_MTRRCAP is read-only", FAULTS(GP, wm_at));
}

static void cr(const void *code, const void *at, ul v, int ok, const char *sdm, int line)
{
	prepare(code, 0);
	in.ax = v;
	go();
	check(sdm, __FILE__, line, ok ? "allowed" : "#GP(0)", ok ? FINE : FAULTS(GP, at));
}
#define CR(n, v, ok, sdm) cr(cr##n##_it, c##n##_at, v, ok, sdm, __LINE__)

static void controls(void)
{
	ul cr0 = RD_CR(0), cr3 = RD_CR(3), cr4 = RD_CR(4);
	CR(0, cr0 & ~1ul, 0, "vol 2 MOV CR: PG without PE");
	CR(0, cr0 & ~0x80000000ul, 0, "vol 3 9.8.5.4: PG cleared in 64-bit mode");
	CR(0, cr0 | 0x20000000, 0, "vol 2 MOV CR: NW without CD");
	CR(0, cr0 | 1ul << 32, 0, "vol 2 MOV CR: CR0[63:32]");
	CR(0, cr0 | 0x60000000, 1, "vol 3 11.5.1 CD and NW");
	CR(0, cr0, 1, "vol 2 MOV CR");
	CR(4, cr4 & ~0x20ul, 0, "vol 3 2.5: PAE cleared in long mode");
	CR(4, cr4 | 1ul << 31, 0, "vol 2 MOV CR: reserved bit of CR4");
	CR(4, cr4 | 1ul << 32, 0, "vol 2 MOV CR: CR4[63:32]");
	CR(4, cr4, 1, "vol 2 MOV CR");
	CR(3, cr3 | 1ul << 52, 0, "vol 2 MOV CR: reserved bit of CR3");
	CR(3, cr3, 1, "vol 2 MOV CR");
	u32 r[4];
	cpuid(1, 0, r);
	if (r[2] >> 17 & 1) {
		WR_CR(3, cr3 | 8);
		CR(4, cr4 | 0x20000, 0, "vol 3 4.10.1: PCIDE with CR3[11:0] not 0");
		WR_CR(3, cr3);
	}
	prepare(cr8_it, 0);
	in.ax = 5;
	go();
	CHECK("vol 3 10.8.6.1 CR8", FINE && t.r.cx == 5);
	prepare(cr8_it, 0);
	in.ax = 16;
	go();
	CHECK("vol 2 MOV CR: CR8 above 15", FAULTS(GP, c8_at));
	prepare(cr8_it, 0);
	go();
	run(cr1_it, 0);
	CHECK("vol 2 MOV CR1: #UD", FAULTS(UD, c1_at));
	CHECK("vol 3 2.5 CR0.ET reads 1", RD_CR(0) & 0x10);
	WR_CR(4, cr4 | 4);
	run(rdtsc_it, 3);
	CHECK("vol 3 2.5 CR4.TSD: RDTSC at CPL 3", FAULTS(GP, rt_at));
	run(rdtsc_it, 0);
	CHECK("vol 3 2.5 CR4.TSD: not at CPL 0", FINE);
	WR_CR(4, cr4);
	run(rdtsc_it, 3);
	CHECK("vol 2 RDTSC", FINE);
}

static void user_features(void)
{
	ul cr4 = RD_CR(4);
	u32 r[4];
	cpuid(7, 0, r);
	if (r[2] >> 2 & 1) {
		WR_CR(4, cr4 | 0x800);
		run(umip, 3);
		CHECK("vol 3 2.5 UMIP", FAULTS(GP, um_at));
		run(umip, 0);
		CHECK("vol 3 2.5 UMIP at CPL 0", FINE);
		WR_CR(4, cr4);
	}
	if (r[1] & 1) {
		prepare(wrfs, 3);
		go();
		CHECK("vol 2 WRFSBASE without CR4.FSGSBASE", FAULTS(UD, wf_at));
		WR_CR(4, cr4 | 0x10000);
		prepare(wrfs, 3);
		in.ax = 0x123456789a;
		go();
		CHECK("vol 2 WRFSBASE", FINE && t.r.cx == 0x123456789a);
		prepare(wrfs, 3);
		in.ax = 0x800000000000;
		go();
		CHECK("vol 2 WRFSBASE: canonical", FAULTS(GP, wf_at));
		WR_CR(4, cr4);
	}
}

static void xcr0(void)
{
	ul cr4 = RD_CR(4);
	u32 r[4];
	cpuid(1, 0, r);
	CHECK("vol 2 CPUID: OSXSAVE follows CR4", !(r[2] >> 27 & 1) == !(cr4 & 0x40000));
	if (r[2] >> 26 & 1) {
		run(xsetbv_it, 0);
		CHECK("vol 2 XSETBV without CR4.OSXSAVE", FAULTS(UD, xs_at));
		WR_CR(4, cr4 | 0x40000);
		cpuid(1, 0, r);
		CHECK("vol 2 CPUID: OSXSAVE set", r[2] >> 27 & 1);
		prepare(xsetbv_it, 0);
		in.ax = 2;
		go();
		CHECK("vol 3 2.6 XCR0 bit 0 must be set", FAULTS(GP, xs_at));
		prepare(xsetbv_it, 0);
		in.ax = 5;
		go();
		CHECK("vol 3 2.6 AVX without SSE", FAULTS(GP, xs_at));
		prepare(xsetbv_it, 0);
		in.ax = 3, in.cx = 1;
		go();
		CHECK("vol 2 XSETBV: no XCR1", FAULTS(GP, xs_at));
		prepare(xsetbv_it, 3);
		in.ax = 3;
		go();
		CHECK("vol 2 XSETBV at CPL 3", FAULTS(GP, xs_at));
		prepare(xsetbv_it, 0);
		in.ax = 3;
		go();
		CHECK("vol 2 XSETBV", FINE);
		cpuid(0xd, 0, r);
		CHECK("vol 2 CPUID 0DH: EBX by XCR0", r[1] == 576 && r[2] >= r[1]);
		WR_CR(4, cr4);
	}
}

static void of_intel(void)
{
	prepare(compat_sc, 3);
	in.cs = UCS32;
	go();
	CHECK("vol 2 SYSCALL outside 64-bit mode: #UD (Intel)", FAULTS(UD, csc_at));
	wrmsr(0x174, 0);
	run(sysent, 3);
	CHECK("vol 2 SYSENTER: null CS", FAULTS(GP, se_at));
	wrmsr(0x174, KCS);
	wrmsr(0x175, (ul)kstack_top - 512);
	wrmsr(0x176, (ul)sys_entry32);
	prepare(sysent, 3);
	in.flags |= IF | ZF;
	go();
	CHECK("vol 2 SYSENTER", t.vec == 0x43 && t.r.cs == KCS && t.r.ss == KDS && t.r.sp == (ul)kstack_top - 512 &&
		t.r.flags == (2 | ZF));
	prepare(sysex, 0);
	in.dx = (ul)compat, in.cx = (ul)ustack_top - 64;
	go();
	CHECK("vol 2 SYSEXIT", FINE && t.r.cs == UCS32 && t.r.ss == UDS && t.r.sp == (ul)ustack_top - 64);
	run(sysex, 3);
	CHECK("vol 2 SYSEXIT at CPL 3", FAULTS(GP, sx_at));
	prepare(sysex64, 0);
	in.dx = 0x800000000000;
	go();
	CHECK("vol 2 SYSEXIT: canonical", FAULTS(GP, sx64_at));
}

/* APM vol 3, the instructions' own pages */
static void of_amd(void)
{
	wrmsr(CSTAR, (ul)sys_entry32);
	prepare(compat_sc, 3);
	in.cs = UCS32;
	in.flags |= IF | ZF;
	go();
	CHECK("APM vol 3 SYSCALL from compatibility mode: by CSTAR", t.vec == 0x43 && t.r.cs == KCS && t.r.ss == KDS &&
		t.r.cx == (ul)compat_sc_end && t.r.r11 == (2 | IF | ZF) && t.r.flags == (2 | ZF));
	prepare(scret32, 0);
	in.cs = KCS32;
	in.cx = (ul)compat;
	in.flags |= ZF;
	go();
	CHECK("APM vol 3 SYSRET from compatibility mode: RFLAGS stay but IF", FINE && t.r.cs == UCS32 && t.r.flags & IF);
	wrmsr(STAR, 0x0018000800000000);
	prepare(scret64, 0);
	in.cx = (ul)landed, in.r11 = 2;
	go();
	CHECK("APM vol 3 SYSRET: SS is STAR's, no RPL added", FINE && t.r.cs == UCS64 && t.r.ss == (UDS & ~3));
	wrmsr(STAR, 0x001b000800000000);
	prepare(scret32, 0);
	in.ss = 0;
	in.cx = (ul)compat, in.r11 = 2;
	go();
	CHECK("APM vol 3 SYSRET: SS that was null stays unusable: #SS(0) in 32-bit code", t.vec == SS && t.err == 0 &&
		t.r.cs == UCS32 && t.r.ss == UDS);
	wrmsr(0x174, KCS);
	run(sysent, 3);
	CHECK("APM vol 3 SYSENTER in long mode: #UD", FAULTS(UD, se_at));
	run(sysex, 0);
	CHECK("APM vol 3 SYSEXIT in long mode: #UD", FAULTS(UD, sx_at));
	run(sysex, 3);
	CHECK("APM vol 3 SYSEXIT: #UD in 64-bit code, at CPL 3 too (seen)", FAULTS(UD, sx_at));
}

static void syscalls(void)
{
	wrmsr(EFER, rdmsr(EFER) & ~1ull);
	run(sc, 3);
	CHECK("vol 2 SYSCALL: EFER.SCE = 0", FAULTS(UD, sc_at));
	wrmsr(EFER, rdmsr(EFER) | 1);
	wrmsr(STAR, 0x001b000800000000);
	wrmsr(LSTAR, (ul)sys_entry);
	wrmsr(FMASK, IF | CF | 0x400);
	prepare(sc, 3);
	in.flags |= IF | CF | ZF | 0x400;
	go();
	CHECK("vol 2 SYSCALL: CS, SS, RSP kept", t.vec == 0x42 && t.r.cs == KCS && t.r.ss == KDS && t.r.sp == in.sp);
	CHECK("vol 2 SYSCALL: RCX, R11, FMASK", t.r.cx == (ul)sc_next && t.r.r11 == (2 | IF | CF | ZF | 0x400) &&
		t.r.flags == (2 | ZF));
	prepare(scret64, 0);
	in.cx = (ul)landed, in.r11 = 2 | ZF | IF | ID | RF | VM;
	go();
	CHECK("vol 2 SYSRET: to CPL 3, 64-bit", FINE && t.r.cs == UCS64 && t.r.ss == UDS &&
		t.r.flags == (2 | ZF | IF | ID));
	prepare(scret64, 0);
	in.cx = 0x800000000000;
	go();
	if (amd())
		CHECK("APM vol 3 SYSRET: non-canonical RCX: #GP at CPL 3, at that address", FAULTS(GP, in.cx) &&
			t.r.cs == UCS64);
	else
		CHECK("vol 2 SYSRET: non-canonical RCX: #GP at CPL 0", FAULTS(GP, sr_at) && t.r.cs == KCS);
	prepare(scret32, 0);
	in.cx = (ul)compat | 0xff00000000000000, in.r11 = 2;
	in.ax = 0x7fffffff;
	go();
	CHECK("vol 2 SYSRET to compatibility mode", FINE && t.r.cs == UCS32 && (u32)t.r.ax == 0x80000000);
	run(scret64, 3);
	CHECK("vol 2 SYSRET at CPL 3", FAULTS(GP, sr_at));
	wrmsr(GSBASE, 0x1000);
	wrmsr(KGSBASE, 0x2000);
	run(swapg, 0);
	CHECK("vol 2 SWAPGS", FINE && rdmsr(KGSBASE) != 0x2000);
	run(swapg, 3);
	CHECK("vol 2 SWAPGS at CPL 3", t.vec == GP);
	if (amd())
		of_amd();
	else
		of_intel();
}

/* m16:64 (vol 2 CALL) and 16:32, which REX.W means on AMD (APM vol 3 CALL), at once. */
static struct { u32 off; u16 sel, zero, sel64; } __attribute__((packed)) far64 = { 0, FREE | 3, 0, FREE | 3 };

/* The lowest of n quadwords at the top of the inner stack. */
static ul *stack0_top_slots(unsigned n)
{
	return (ul *)stack0_top - n;
}

static void modes64(void)
{
	prepare(compat, 3);
	in.cs = UCS32;
	in.ax = 0xffffffff;
	go();
	CHECK("vol 1 3.2.1 compatibility mode: INC, 4-byte stack", FINE && t.r.cs == UCS32 && (u32)t.r.ax == 0 &&
		t.r.cx == in.sp && (u32)t.r.dx == 0xffffffff && t.r.flags & ZF);
	prepare(compat, 0);
	in.cs = KCS32;
	go();
	CHECK("vol 3 5.2.1 compatibility mode at CPL 0", FINE && t.r.cs == KCS32);
	set_desc(FREE, 0, 0xfffff, 0xe09a); /* L and D */
	prepare(iret64, 0);
	((ul *)in.sp)[0] = (ul)landed, ((ul *)in.sp)[1] = FREE, ((ul *)in.sp)[2] = 2, ((ul *)in.sp)[3] = in.sp,
		((ul *)in.sp)[4] = KDS;
	go();
	CHECK("vol 3 5.2.1 L and D both set: #GP(sel)", t.vec == GP && t.err == FREE && t.r.ip == (ul)i64_at);
	prepare(iret64, 0);
	((ul *)in.sp)[0] = 0x800000000000, ((ul *)in.sp)[1] = UCS64, ((ul *)in.sp)[2] = 2,
		((ul *)in.sp)[3] = (ul)ustack_top, ((ul *)in.sp)[4] = UDS;
	go();
	CHECK("vol 2 IRET: non-canonical RIP: #GP(0)", FAULTS(GP, i64_at));
	prepare(iret64, 0);
	((ul *)in.sp)[0] = (ul)landed, ((ul *)in.sp)[1] = KCS, ((ul *)in.sp)[2] = 2,
		((ul *)in.sp)[3] = (ul)kstack_top - 1024, ((ul *)in.sp)[4] = 0;
	go();
	CHECK("vol 2 IRET: null SS to CPL 0 in 64-bit mode", FINE && t.r.ss == 0 && t.r.sp == (ul)kstack_top - 1024);
	prepare(iret64, 0);
	((ul *)in.sp)[0] = (ul)landed, ((ul *)in.sp)[1] = UCS64, ((ul *)in.sp)[2] = 2, ((ul *)in.sp)[3] = (ul)ustack_top,
		((ul *)in.sp)[4] = 3;
	go();
	CHECK("vol 2 IRET: null SS to CPL 3: #GP(0)", t.vec == GP);
	prepare(iret64, 0);
	in.flags |= NT;
	go();
	CHECK("vol 2 IRET: NT in 64-bit mode: #GP(0)", FAULTS(GP, i64_at));
	prepare(retf64, 0);
	((ul *)in.sp)[0] = (ul)landed, ((ul *)in.sp)[1] = UCS64, ((ul *)in.sp)[2] = (ul)ustack_top, ((ul *)in.sp)[3] = UDS;
	go();
	CHECK("vol 2 RET far to CPL 3", FINE && t.r.cs == UCS64 && t.r.sp == (ul)ustack_top);
	/* 16-byte call gate (vol 3 5.8.3.1) */
	gdt[FREE >> 3] = ((ul)landed & 0xffff) | (u64)KCS << 16 | 0xecull << 40 | ((ul)landed >> 16) << 48;
	gdt[(FREE >> 3) + 1] = (ul)landed >> 32;
	prepare(callf64, 3);
	in.bx = (ul)&far64;
	go();
	CHECK("vol 3 5.8.3.1, 5.8.5.1 64-bit call gate: inner stack, SS null", FINE && t.r.cs == KCS && t.r.ss == 0 &&
		t.r.sp == (ul)stack0_top - 32);
	ul *f = stack0_top_slots(4);
	CHECK("vol 3 5.8.5.1 its frame: RIP, CS, RSP, SS in quadwords", f[0] == (ul)callf64_end && f[1] == UCS64 &&
		f[2] == in.sp && f[3] == UDS);
	gdt[(FREE >> 3) + 1] = 1ull << 40;
	go();
	CHECK("vol 3 5.8.3.1 type of the upper half must be 0", t.vec == GP && t.err == FREE);
	run(pushes, 3);
	CHECK("vol 2 PUSH in 64-bit mode", FINE && t.r.cx == UDS && (u16)t.r.ax == 5 && t.r.dx == (ul)-1 &&
		t.r.sp == in.sp);
	wrmsr(FSBASE, (ul)buf);
	*(u32 *)buf = 0x600d;
	prepare(fs_load, 3);
	in.ax = UDS;
	go();
	CHECK("vol 3 3.4.4 loading FS sets its base from the descriptor", FINE && rdmsr(FSBASE) == 0);
}

static unsigned hits;
static ul where;
static void seen(void)
{
	extern ul raw[];
	hits++;
	where = raw[0];
	outb(0x20, 0x20);
}

/* PIT channel 0 by the PIC: one interrupt pending before the snippet runs. */
static void pend(void)
{
	outb(0x43, 0x30);
	outb(0x40, 20), outb(0x40, 0);
	for (unsigned k = 0; k < 100000; k++) {
		outb(0x43, 0xe2); /* read back the status: OUT is high once the count is over */
		outb(0x20, 0x0a);
		if (inb(0x40) & 0x80 && inb(0x20) & 1)
			break;
	}
}

static void shadow(const void *code, const void *want, const char *what)
{
	hits = 0;
	pend();
	run(code, 0);
	check("vol 2 STI, vol 3 6.8", __FILE__, __LINE__, what, FINE && hits == 1 && where == (ul)want);
}

static void interrupts(void)
{
	outb(0x20, 0x11), outb(0x21, 0x50), outb(0x21, 4), outb(0x21, 1), outb(0x21, 0xfe);
	hook[0x50] = seen;
	shadow(sti_nop, sn2, "behind the instruction after STI");
	shadow(sti_sti, ss1, "a second STI gives no new shadow");
	shadow(popf_if, pi1, "POPF has no shadow");
	hits = 0;
	pend();
	run(rep_int, 0);
	CHECK("vol 2 STI, REP: taken between iterations or behind", FINE && hits == 1 &&
		(where == (ul)ri_at || where == (ul)ri1) && t.r.cx == 0);
	hits = 0;
	pend();
	run(sti_cli, 0);
	CHECK("vol 2 STI: followed by CLI, nothing is taken", FINE && hits == 0);
	run(sti_nop, 0);
	CHECK("vol 3 6.8.1 it was still waiting", FINE && hits == 1 && where == (ul)sn2);
	hits = 0;
	pend();
	prepare(landed, 3);
	in.flags |= IF;
	go();
	stage = hits << 16 | (where & 0xffff);
	CHECK("vol 3 6.8.1 IRET with IF: taken before the first instruction", FINE && hits == 1 && where == (ul)landed);
	outb(0x21, 0xff);
}

static void cpuids(void)
{
	u32 r[4], s[4];
	cpuid(0, 0, r);
	u32 max = r[0];
	cpuid(1, 0, r);
	CHECK("vol 2 CPUID: leaves, 0DH with XSAVE", max >= (r[2] >> 26 & 1 ? 0xd : 1) && max < 0x100);
	CHECK("vol 2 CPUID 1: FPU, TSC, MSR, PAE, CX8, APIC, CMOV, MMX, FXSR, SSE, SSE2",
		(r[3] & 0x07808371) == 0x07808371);
	cpuid(0x80000000, 0, r);
	CHECK("vol 2 CPUID: extended leaves", r[0] >= 0x80000008);
	cpuid(0x80000001, 0, r);
	CHECK("vol 2 CPUID 80000001H: LM, SYSCALL, NX", (r[3] & 0x20100800) == 0x20100800);
	cpuid(0x80000008, 0, r);
	CHECK("vol 2 CPUID 80000008H: widths", (r[0] & 0xff) >= 36 && (r[0] & 0xff) <= 52 && (r[0] >> 8 & 0xff) == 48);
	cpuid(max + 1, 0, r);
	cpuid(max, 0, s);
	CHECK("vol 2 CPUID: beyond the last leaf is as the last (Intel) or 0", (r[0] == s[0] && r[1] == s[1]) ||
		!(r[0] | r[1] | r[2] | r[3]) || max == 0xd || max == 0xb || max == 0x1f);
	cpuid(1, 0, r);
	cpuid(7, 0, s);
	CHECK("vol 1 14.3 AVX2 only with AVX", !(s[1] >> 5 & 1) || r[2] >> 28 & 1);
	CHECK("vol 1 13.2 AVX only with XSAVE", !(r[2] >> 28 & 1) || r[2] >> 26 & 1);
	CHECK("vol 1 15.2 AVX-512F only with AVX2", !(s[1] >> 16 & 1) || s[1] >> 5 & 1);
	cpuid(0xd, 0, s);
	CHECK("vol 1 13.2 XCR0 bits agree with AVX", !(s[0] >> 2 & 1) == !(r[2] >> 28 & 1));
}

void guest_main(void)
{
	cpuids();
	msrs();
	controls();
	user_features();
	xcr0();
	syscalls();
	modes64();
	interrupts();
}
