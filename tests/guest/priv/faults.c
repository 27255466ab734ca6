// SPDX-License-Identifier: GPL-2.0-or-later
/* what: faults in the middle: restart of instructions with many accesses, page faults while an event is delivered, NMI
 *
 * Pages 0, 1 and 2 of the window: the tests take page 1 away or make it read-only and look that nothing was half done.
 */
#include "guest.h"

#ifdef __x86_64__
#define IRET "iretq"
#else
#define IRET "iret"
#endif
#define EDGE (WINDOW + 4096)
SNIPPET(st2, "movw %ax, (" DI ")");
SNIPPET(st4, "movl %eax, (" DI ")");
SNIPPET(st16, "movups %xmm0, (" DI ")");
SNIPPET(st10, "fld1\n fstpt (" DI ")");
SNIPPET(add4, "lock addl %eax, (" DI ")");
SNIPPET(xchg4, "xchg %eax, (" DI ")");
SNIPPET(cx8b, "lock cmpxchg8b (" DI ")");
SNIPPET(cmpx, "cmpxchg %ecx, (" DI ")");
SNIPPET(xadd4, "xadd %eax, (" DI ")");
SNIPPET(fxsv, "fxsave (" DI ")");
SNIPPET(fnsv, "fnsave (" DI ")");
SNIPPET(push_mem, "push (" DI ")");
SNIPPET(pop_mem, "pop (" DI ")");
SNIPPET(pop_sp_mem, "push $0x77\n pop (" SP ")");
SNIPPET(call_mem, "call *(" DI ")");
SNIPPET(call_near, "call 1f\n1: nop");
SNIPPET(ret_near, "ret");
SNIPPET(enter_it, "enter $64, $2");
SNIPPET(leave_it, "leave");
SNIPPET(rep_movs, "rep movsb");
SNIPPET(rep_movsl, "rep movsl");
SNIPPET(rep_stos, "rep stosl");
SNIPPET(rep_cmps, "repe cmpsb");
SNIPPET(rep_scas, "repne scasb");
SNIPPET(std_movs, "std\n rep movsb\n cld");
SNIPPET(movs4, "movsl");
SNIPPET(iret_it, IRET);
SNIPPET(intn, "int $0x41");
SNIPPET(ud, "ud2");
SNIPPET(setcc, "setz (" DI ")");
SNIPPET(bts4, "btsl %eax, (" DI ")");
SNIPPET(shl4, "shll $1, (" DI ")");
SNIPPET(div_mem, "divl (" DI ")");
SNIPPET(nop1, "nop");
SNIPPET(lods, "lodsl");
SNIPPET(sgdt_it, "sgdt (" DI ")");
SNIPPET(load_sel, "mov %ax, %es");
#ifndef __x86_64__
SNIPPET(pusha_it, "pusha");
SNIPPET(popa_it, "popa");
SNIPPET(les_it, "les (%edi), %eax");
#else
SNIPPET(cx16b, "lock cmpxchg16b (%rdi)");
#endif
static u8 page0[4096] __attribute__((aligned(4096))), page1[4096] __attribute__((aligned(4096))),
	page2[4096] __attribute__((aligned(4096)));

static void fresh(u64 flags1)
{
	fill(page0, 0x11, 4096), fill(page1, 0x22, 4096), fill(page2, 0x33, 4096);
	map(0, (ul)page0, 7), map(1, (ul)page1, flags1), map(2, (ul)page2, 7);
}

static int untouched(void)
{
	for (unsigned k = 0; k < 4096; k++)
		if (page0[k] != 0x11 || page1[k] != 0x22)
			return 0;
	return 1;
}

/* An access of size bytes that begins `back` bytes before page 1, which is gone or read-only. */
static void crossing(const char *name, char *code, unsigned size, int writes)
{
	for (unsigned ro = 0; ro < 2; ro++) {
		for (unsigned back = 1; back < size; back += size > 16 ? 37 : 1) {
			for (unsigned cpl = 0; cpl < 4; cpl += 3) {
				if (ro && (!writes || !cpl))
					continue;
				fresh(ro ? 5 : 0);
				prepare(code, cpl);
				in.di = EDGE - back, in.ax = 1, in.cx = 2, in.dx = 0, in.bx = 4;
				if (size > 16)
					in.di &= ~15ul; /* FXSAVE */
				go();
				stage = back << 8 | cpl;
				check("vol 3 6.5 a fault: nothing written, nothing changed", __FILE__, __LINE__, name, t.vec == PF &&
					t.cr2 == EDGE && untouched() &&
				      t.r.ax == 1 && t.r.cx == 2 && t.r.dx == 0 && t.r.bx == 4 && t.r.sp == in.sp && t.r.di == in.di);
				check("vol 3 4.7 error code", __FILE__, __LINE__, name,
					t.err == (ul)(ro | writes << 1 | (cpl ? 4 : 0)));
			}
		}
	}
}

static void all_crossings(void)
{
	crossing("mov16", st2, 2, 1);
	crossing("mov32", st4, 4, 1);
	crossing("movups", st16, 16, 1);
	crossing("lock add", add4, 4, 1);
	crossing("xchg", xchg4, 4, 1);
	crossing("cmpxchg8b", cx8b, 8, 1);
	crossing("cmpxchg", cmpx, 4, 1);
	crossing("xadd", xadd4, 4, 1);
	crossing("shl", shl4, 4, 1);
	crossing("bts", bts4, 4, 1);
	crossing("push mem", push_mem, sizeof(ul), 0);
	crossing("div", div_mem, 4, 0);
	crossing("call mem", call_mem, sizeof(ul), 0);
	crossing("fxsave", fxsv, 512, 1);
	crossing("sgdt", sgdt_it, 2 + sizeof(ul), 1);
#ifndef __x86_64__
	crossing("les", les_it, 6, 0);
#endif
}

static void strings(unsigned cpl)
{
	fresh(0);
	prepare(rep_movs, cpl);
	in.si = WINDOW + 2 * 4096, in.di = EDGE - 100, in.cx = 200;
	go();
	CHECK("vol 2 REP: registers at the element that faults", t.vec == PF && t.cr2 == EDGE && t.r.cx == 100 &&
		t.r.di == EDGE &&
		t.r.si == WINDOW + 2 * 4096 + 100 && page0[4095] == 0x33 && page0[3995] == 0x11);
	map(1, (ul)page1, 7);
	in = t.r;
	in.ip = (ul)rep_movs;
	go();
	CHECK("vol 2 REP: restarted", t.vec == END && t.r.cx == 0 && page1[99] == 0x33 && page1[100] == 0x22);
	fresh(0);
	prepare(rep_movsl, cpl);
	in.si = WINDOW + 2 * 4096, in.di = EDGE - 102, in.cx = 50;
	go();
	CHECK("vol 2 REP MOVSD: the element over the boundary is not half written", t.vec == PF && t.cr2 == EDGE &&
		t.r.cx == 25 &&
		t.r.di == EDGE - 2 && page0[4094] == 0x11 && page0[4093] == 0x33);
	fresh(0);
	prepare(rep_movs, cpl);
	in.si = EDGE - 10, in.di = WINDOW + 2 * 4096, in.cx = 20;
	go();
	CHECK("vol 2 REP MOVS: the source faults", t.vec == PF && t.cr2 == EDGE && !(t.err & 2) && t.r.cx == 10 &&
		t.r.di == WINDOW + 2 * 4096 + 10);
	fresh(0);
	prepare(rep_stos, cpl);
	in.di = EDGE - 8, in.cx = 4, in.ax = 0x44444444;
	go();
	CHECK("vol 2 REP STOS", t.vec == PF && t.r.cx == 2 && t.r.di == EDGE && page0[4095] == 0x44);
	fresh(0);
	prepare(std_movs, cpl);
	in.si = WINDOW + 100, in.di = WINDOW + 2 * 4096 + 5, in.cx = 20;
	go();
	CHECK("vol 2 REP, DF = 1", t.vec == PF && t.cr2 == WINDOW + 2 * 4096 - 1 && t.r.cx == 14 &&
		t.r.di == WINDOW + 2 * 4096 - 1 && t.r.flags & 0x400);
	fresh(0);
	fill(page2, 0x11, 4096);
	prepare(rep_cmps, cpl);
	in.si = EDGE - 10, in.di = WINDOW + 2 * 4096, in.cx = 20;
	go();
	CHECK("vol 2 REPE CMPS", t.vec == PF && t.r.cx == 10 && t.r.si == EDGE);
	prepare(rep_scas, cpl);
	in.di = EDGE - 10, in.cx = 20, in.ax = 0x99;
	go();
	CHECK("vol 2 REPNE SCAS", t.vec == PF && t.r.cx == 10 && t.r.di == EDGE);
	prepare(lods, cpl);
	in.si = EDGE - 2, in.ax = 5;
	go();
	CHECK("vol 2 LODS", t.vec == PF && t.r.ax == 5 && t.r.si == EDGE - 2);
}

static void stacks(void)
{
	ul w = sizeof(ul);
	fresh(0);
	static char *const codes[] = { call_near, enter_it,
#ifndef __x86_64__
		pusha_it,
#endif
	};
	for (unsigned k = 0; k < sizeof(codes) / sizeof(*codes); k++) {
		fresh(0);
		stage = k;
		prepare(codes[k], 3);
		in.sp = WINDOW + 2 * 4096 + (k == 2 ? 12 : k == 1 ? 8 : 0), in.bp = WINDOW + 2 * 4096 + 64;
		go();
		CHECK("vol 3 6.5 SP and BP as before", t.vec == PF && t.r.sp == in.sp && t.r.bp == in.bp &&
			t.r.ip == (ul)codes[k] && (t.err & 7) == 6);
	}
	prepare(leave_it, 3);
	in.bp = EDGE;
	go();
	CHECK("vol 2 LEAVE", t.vec == PF && t.r.sp == in.sp && t.r.bp == EDGE);
	prepare(ret_near, 3);
	in.sp = EDGE;
	go();
	CHECK("vol 2 RET", t.vec == PF && t.r.sp == EDGE && t.err == 4);
	prepare(pop_mem, 3);
	in.di = EDGE;
	go();
	CHECK("vol 2 POP to memory that faults: SP stays", t.vec == PF && t.r.sp == in.sp && t.cr2 == EDGE);
	run(pop_sp_mem, 3);
	CHECK("vol 2 POP (SP): addressed after the increment", t.vec == END && *(ul *)in.sp == 0x77 && t.r.sp == in.sp);
	prepare(iret_it, 3);
	in.sp = EDGE - w;
	go();
	/* CS first, or the flags, as the CPU of the instruction oracle does: the manual names no order */
	CHECK("vol 2 IRET: frame over a missing page", t.vec == PF && (t.cr2 == EDGE || t.cr2 == EDGE + w) &&
		t.r.sp == EDGE - w);
#ifndef __x86_64__
	prepare(popa_it, 3);
	in.sp = EDGE - 12, in.ax = 9, in.di = 8;
	go();
	CHECK("vol 2 POPA", t.vec == PF && t.r.sp == EDGE - 12 && t.r.ax == 9 && t.r.di == 8);
#endif
	/* code: the second byte of an instruction is missing */
	fresh(7);
	page0[4095] = 0xb8;
	map(1, (ul)page1, 0);
	prepare((void *)(EDGE - 1), 3);
	go();
	CHECK("vol 3 4.7 fetch over a missing page", t.vec == PF && t.cr2 == EDGE && t.r.ip == EDGE - 1 && !(t.err & 2));
	page0[4094] = 0x90, page0[4095] = 0x90;
	prepare((void *)(EDGE - 2), 3);
	go();
	CHECK("vol 3 4.7 fetch of the next page", t.vec == PF && t.cr2 == EDGE && t.r.ip == EDGE);
}

/* Events whose delivery faults (vol 3 table 6-5), and implicit supervisor accesses (vol 3 4.6). */
static void delivery(void)
{
	ul w = sizeof(ul);
	fresh(0);
#ifdef __x86_64__
	set_gate(DF, stub_of(DF), KCS, 0x8e, 1);
	set_gate(PF, stub_of(PF), KCS, 0x8e, 2);
	*(u64 *)(tss + 0x2c) = (ul)ist_top - 4096;
#endif
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
	/* the inner stack is missing: #PF for INT n (benign), then the #PF cannot be pushed either: on IST it can */
#ifdef __x86_64__
	set_tss_sp0(EDGE + 64);
	map(1, (ul)page1, 0);
	run(intn, 3);
	CHECK("vol 3 table 6-5 INT n, inner stack missing: #PF", t.vec == PF && t.r.ip == (ul)intn && t.cr2 >= EDGE &&
		t.cr2 < EDGE + 64 && t.err == 2);
	run(ud, 3);
	CHECK("vol 3 table 6-5 #UD is benign: #PF", t.vec == PF && t.r.ip == (ul)ud && t.err == 2);
	set_gate(PF, stub_of(PF), KCS, 0x8e, 0);
	run(intn, 3);
	CHECK("vol 3 table 6-5 #PF on #PF: #DF", t.vec == DF && t.r.ip == (ul)intn);
	map(1, (ul)page1, 3);
	run(intn, 3);
	CHECK("vol 3 4.6 the push to the inner stack is a supervisor access", t.vec == 0x41);
	set_tss_sp0((ul)stack0_top);
#endif
	/* descriptor tables on supervisor pages are read at CPL 3; accessed bits are set there */
	struct { u16 limit; ul base; } __attribute__((packed)) gdtr = { sizeof(gdt) - 1, WINDOW }, old, idtr, old_idt;
	asm volatile("sgdt %0" : "=m"(old));
	asm volatile("sidt %0" : "=m"(old_idt));
	set_desc(FREE, 0, 0xfffff, 0xc0f2);
	copy(page0, gdt, sizeof(gdt));
	map(0, (ul)page0, 3);
	asm volatile("lgdt %0" :: "m"(gdtr));
	prepare(load_sel, 3);
	in.ax = FREE | 3;
	go();
	CHECK("vol 3 4.6 descriptor loads are supervisor accesses", t.vec == END && t.r.es == (FREE | 3));
	CHECK("vol 3 3.4.5.1 accessed bit", page0[FREE + 5] & 1);
	page0[FREE + 5] &= (u8)~1;
	ul cr0 = RD_CR(0);
	WR_CR(0, cr0 | 0x10000);
	map(0, (ul)page0, 1);
	go();
	CHECK("vol 3 3.4.5.1 setting the accessed bit of a read-only GDT: #PF, supervisor write", t.vec == PF &&
		t.err == 3 && (t.cr2 & ~7ul) == WINDOW + FREE);
	WR_CR(0, cr0);
	asm volatile("lgdt %0" :: "m"(old));
	fresh(0);
	copy(page0, idt, sizeof(idt));
	map(0, (ul)page0, 1);
	idtr.limit = 2 * w * 256 - 1, idtr.base = WINDOW;
	asm volatile("lidt %0" :: "m"(idtr));
	run(intn, 3);
	CHECK("vol 3 4.6 the IDT on a supervisor page", t.vec == 0x41);
	asm volatile("lidt %0" :: "m"(old_idt));
}

static unsigned nmis, depth, deepest;
static volatile u32 *const lapic = (u32 *)0xfee00000;

static void send_nmi(void)
{
	lapic[0x310 / 4] = lapic[0x20 / 4] & 0xff000000;
	lapic[0x300 / 4] = 0x4400;
}

static void nmi(void)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (nmis++ == 0)
		send_nmi(); /* must wait for the IRET */
	for (volatile unsigned k = 0; k < 1000; k++)
		;
	depth--;
}

SNIPPET(waiting, "mov $20000, %ecx\n1: dec %ecx\n jnz 1b");
static void nmi_test(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	if (!(r[3] >> 9 & 1))
		return;
	lapic[0xf0 / 4] = 0x1ff;
	hook[NMI] = nmi;
	send_nmi();
	for (volatile unsigned k = 0; k < 10000; k++)
		;
	run(waiting, 0);
	hook[NMI] = 0;
	CHECK("vol 3 6.7 NMI with IF = 0", nmis >= 1);
	CHECK("vol 3 6.7.1 a second NMI waits for IRET", nmis == 2 && deepest == 1);
}

void guest_main(void)
{
	paging_on();
	all_crossings();
	strings(0);
	strings(3);
	stacks();
	delivery();
	nmi_test();
}
