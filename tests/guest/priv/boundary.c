// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what happens between two instructions: shadows of STI and of SS loads, HLT, TPR, which of several events
 * comes first, TF over SYSENTER and SYSRET */
#include "guest.h"

SNIPPET(sti_ss, "sti\n mov %ecx, %ss\nssa1: nop\nssa2: nop\n cli");
SNIPPET(sti_only, "sti\nso1: nop\nso2: nop\n cli");
SNIPPET(sti_lss, "sti\n lss far_stack, %esp\nlss1: nop\n cli");
SNIPPET(sti_ss_ss, "sti\n mov %ecx, %ss\n mov %ecx, %ss\nsss1: nop\nsss2: nop\n cli");
SNIPPET(sti_hlt, "sti\n hlt\nsh1: nop\n cli");
SNIPPET(sti_iret_like, "pushf\n pop " AX "\n sti\n push " AX "\npopf\nsi1: nop");
SNIPPET(sti_jump, "sti\n jmp 1f\n nop\n1: nop\n cli");
SNIPPET(sti_fault, "sti\nsf_at: ud2");
SNIPPET(popf_on, "orl $0x200, %eax\n push " AX "\npopf\npo1: nop\n cli");
SNIPPET(landed, "nop\nla1: nop");
SNIPPET(self_ipi, "mov $1000, %ecx\n movl $0x40050, 0x300(%edi)\n1: nop\n loop 1b\n cli");
SNIPPET(masked, "nop\n nop\n nop");
SNIPPET(user_spin, "mov $200, %ecx\n1: dec %ecx\n jnz 1b");
#ifdef __x86_64__
SNIPPET(cr8_down, "mov %rcx, %cr8\ncd1: nop\n cli");
SNIPPET(sysc, "syscall\n nop");
SNIPPET(sysr, "sysretq");
SNIPPET(iretq_tf, "iretq");
extern char cd1[];
#else
SNIPPET(pop_ss, "push %ecx\n sti\n pop %ss\nps1: nop\nps2: nop\n cli");
extern char ps2[];
#endif
SNIPPET(sysx, ".byte 0x0f, 0x35"); /* to 32-bit code */
SNIPPET(sysent, "sysenter\n nop");
asm(".text\nenter_at: nop\nenter_1: int $0x42\n");
extern char ssa2[], so1[], so2[], lss1[], sss1[], sss2[], sh1[], si1[], sf_at[], po1[], la1[], enter_at[], enter_1[];
struct { u32 sp; u16 ss; } __attribute__((packed)) far_stack;
static volatile u32 *const lapic = (u32 *)0xfee00000;
#define FINE (t.vec == END)
#define BS 0x4000

static struct { ul vec, ip, dr6, flags; } seen[40];
static unsigned n;

static void note(ul vec)
{
	extern ul raw[];
	if (n < 40) {
		seen[n].vec = vec, seen[n].ip = raw[0], seen[n].dr6 = RD_DR(6), seen[n].flags = raw[2];
	}
	n++;
	WR_DR(6, 0xffff0ff0);
}
static void on_50(void) { note(0x50); lapic[0xb0 / 4] = 0; }
static void on_61(void) { note(0x61); lapic[0xb0 / 4] = 0; }
static void on_db(void) { note(DB); }

static void pend(unsigned vector)
{
	lapic[0x300 / 4] = 0x40000 | vector; /* to itself */
	for (unsigned k = 0; k < 100000 && !(lapic[0x200 / 4 + vector / 32 * 4] >> (vector & 31) & 1); k++)
		;
}

static int event(unsigned k, ul vec, const void *ip)
{
	return k < n && seen[k].vec == vec && seen[k].ip == (ul)ip;
}

/* With 0x50 pending, code that runs with interrupts off at first: it is taken once, at `want`. */
static void taken(const void *code, const void *want, const char *sdm, const char *what)
{
	n = 0;
	pend(0x50);
	prepare(code, 0);
	in.cx = KDS;
	far_stack.sp = (u32)in.sp, far_stack.ss = KDS;
	go();
	check(sdm, __FILE__, __LINE__, what, FINE && n == 1 && event(0, 0x50, want));
}

static void shadows(void)
{
	taken(sti_only, so2, "vol 2 STI", "behind the next instruction");
	taken(sti_ss, ssa2, "vol 3 6.8.3", "MOV SS behind STI: behind the instruction after MOV SS");
	taken(sti_lss, lss1, "vol 2 LSS", "LSS has no shadow");
	taken(popf_on, po1, "vol 2 POPF", "POPF has none");
	taken(sti_hlt, sh1, "vol 2 HLT", "STI, HLT: the saved IP is behind HLT");
#ifndef __x86_64__
	taken(pop_ss, ps2, "vol 3 6.8.3", "POP SS");
#endif
	n = 0;
	pend(0x50);
	prepare(sti_ss_ss, 0);
	in.cx = KDS;
	go();
	CHECK("vol 3 6.8.3 of several SS loads only the first need have a shadow", FINE && n == 1 &&
		(event(0, 0x50, sss1) || event(0, 0x50, sss2)));
	n = 0;
	pend(0x50);
	run(sti_iret_like, 0);
	CHECK("vol 2 STI: the shadow covers what clears IF again", FINE && n <= 1 && (!n || !event(0, 0x50, si1)));
	if (!n)
		run(sti_only, 0);
	CHECK("vol 3 6.8.1 nothing lost", n == 1);
	n = 0;
	pend(0x50);
	run(sti_jump, 0);
	CHECK("vol 2 STI: the next instruction is a jump: at its target", FINE && n == 1 &&
		event(0, 0x50, sti_jump_end - 2));
	n = 0;
	pend(0x50);
	run(sti_fault, 0);
	CHECK("vol 3 table 6-2 the instruction in the shadow faults first", t.vec == UD && t.r.ip == (ul)sf_at &&
		n == 0 && t.r.flags & IF);
	run(sti_only, 0);
	CHECK("vol 3 6.8.1 it is still there", FINE && n == 1);
	for (unsigned cpl = 0; cpl < 4; cpl += 3) {
		n = 0;
		pend(0x50);
		prepare(landed, cpl);
		in.flags |= IF;
		go();
		CHECK("vol 3 6.8.1 IRET with IF: before the first instruction", FINE && n == 1 && event(0, 0x50, landed) &&
			seen[0].flags & IF);
	}
}

static void order(void)
{
	n = 0;
	pend(0x50), pend(0x61);
	prepare(landed, 3);
	in.flags |= IF;
	go();
	CHECK("vol 3 10.8.3.1 the higher vector first, the other behind its IRET", FINE && n == 2 &&
		event(0, 0x61, landed) && event(1, 0x50, landed));
	n = 0;
	pend(0x50);
	prepare(sti_only, 0);
	in.flags |= TF;
	go();
	CHECK("vol 3 17.3.1.4 a trap in STI's shadow; its handler's IRET ends the shadow", FINE && n >= 3 &&
		event(0, DB, so1) && event(1, 0x50, so1) && event(2, DB, so2));
	CHECK("vol 3 17.3.1.4 DR6.BS, TF in the interrupt's image", seen[0].dr6 == (0xffff0ff0 | BS) && seen[1].flags & TF);
	n = 0;
	prepare(self_ipi, 0);
	in.flags |= IF | TF;
	in.di = (ul)lapic;
	go();
	for (stage = 0; stage < n && seen[stage].vec == DB; stage++)
		;
	CHECK("vol 3 table 6-2 the single-step trap comes before an interrupt at the same boundary", FINE && stage < n &&
		stage > 0 && seen[stage].vec == 0x50 && seen[stage].ip == seen[stage - 1].ip);
	WR_DR(0, la1);
	WR_DR(7, 0x402);
	n = 0;
	prepare(landed, 0);
	in.flags |= IF | RF;
	in.ip = (ul)la1;
	pend(0x50);
	go();
	WR_DR(7, 0x400);
	CHECK("vol 3 table 6-2, 17.3.1.1 interrupt before a breakpoint that RF holds off: RF in its image", FINE &&
		n == 1 && event(0, 0x50, la1) && seen[0].flags & RF);
	n = 0;
	prepare(self_ipi, 0);
	in.flags |= IF;
	in.di = (ul)lapic;
	go();
	stage = n;
	CHECK("vol 3 10.6.1 self-IPI with IF = 1", FINE && n == 1 && seen[0].ip > (ul)self_ipi &&
		seen[0].ip <= (ul)self_ipi_end);
	lapic[0x80 / 4] = 0x50;
	n = 0;
	pend(0x50);
	prepare(masked, 3);
	in.flags |= IF;
	go();
	CHECK("vol 3 10.8.3.1 TPR holds its own class off", FINE && n == 0);
	pend(0x61);
	go();
	CHECK("vol 3 10.8.3.1 but not the class above", FINE && n == 1 && event(0, 0x61, masked));
#ifdef __x86_64__
	n = 0;
	prepare(cr8_down, 0);
	in.flags |= IF;
	go();
	CHECK("vol 3 10.8.6.1 MOV CR8 lets it through at once", FINE && n == 1 && event(0, 0x50, cd1));
#else
	lapic[0x80 / 4] = 0;
	n = 0;
	run(sti_only, 0);
	CHECK("vol 3 10.8.3.1 TPR lowered", FINE && n == 1);
#endif
	n = 0;
	prepare(user_spin, 3);
	in.flags |= IF;
	lapic[0x320 / 4] = 0x50, lapic[0x3e0 / 4] = 11, lapic[0x380 / 4] = 1; /* one shot, next tick */
	go();
	for (volatile unsigned k = 0; k < 100000 && !n; k++)
		if (!n)
			run(sti_only, 0);
	stage = n;
	CHECK("vol 3 10.5.4 timer, one shot: once", n == 1);
	lapic[0x320 / 4] = 0x10000;
}

/* Which instruction of an entry or return a trap hits. */
static void system_calls(void)
{
	u32 r[4];
	cpuid(0, 0, r);
	wrmsr(0x174, KCS);
	wrmsr(0x175, (ul)kstack_top - 1024);
	wrmsr(0x176, (ul)enter_at);
	ul user = UDS;
	(void)user;
	n = 0;
#ifdef __x86_64__
	int compat = r[1] != 0x756e6547; /* AMD: not in 64-bit mode */
#else
	int compat = 0;
#endif
	if (!compat) {
		prepare(sysent, 3);
		in.flags |= TF | IF;
		go();
		CHECK("vol 2 SYSENTER clears IF, not TF; vol 3 17.3.1.4: trap at the entry", t.vec == 0x42 && n >= 2 &&
		      event(0, DB, enter_at) && event(1, DB, enter_1) && seen[0].flags & TF && !(seen[0].flags & IF));
		n = 0;
		prepare(sysx, 0);
		in.flags |= TF;
		in.dx = (ul)landed, in.cx = (ul)ustack_top - 64;
		go();
		CHECK("vol 2 SYSEXIT keeps TF: trap at its target, CPL 3", FINE && n == 3 && event(0, DB, landed) &&
			event(1, DB, la1));
	}
#ifdef __x86_64__
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
	wrmsr(0xc0000081, 0x001b000800000000);
	wrmsr(0xc0000082, (ul)enter_at);
	wrmsr(0xc0000084, IF);
	n = 0;
	prepare(sysc, 3);
	in.flags |= TF | IF;
	go();
	CHECK("vol 2 SYSCALL: TF not in FMASK: trap at the entry", t.vec == 0x42 && n >= 1 && event(0, DB, enter_at));
	/* seen on hardware: arch/x86/entry of Linux says that SYSRET, unlike IRET, traps at once when it restores TF */
	n = 0;
	prepare(sysr, 0);
	in.cx = (ul)landed, in.r11 = 2 | TF;
	go();
	CHECK("vol 2 SYSRET: TF of R11 traps before the first instruction", FINE && n >= 2 && event(0, DB, landed) &&
		event(1, DB, la1));
	n = 0;
	prepare(sysr, 0);
	in.flags |= TF;
	in.cx = (ul)landed, in.r11 = 2;
	go();
	CHECK("vol 2 SYSRET: TF cleared with R11: no trap", FINE && n == 0);
	n = 0;
	pend(0x50);
	prepare(sysr, 0);
	in.cx = (ul)landed, in.r11 = 2 | IF;
	go();
	CHECK("vol 2 SYSRET: IF of R11: the interrupt before the first instruction", FINE && n == 1 &&
		event(0, 0x50, landed));
	n = 0;
	prepare(iretq_tf, 0);
	in.flags |= TF;
	ul *f = (ul *)in.sp;
	f[0] = (ul)landed, f[1] = UCS64, f[2] = 2, f[3] = (ul)ustack_top - 64, f[4] = UDS;
	go();
	CHECK("vol 3 17.3.1.4 IRET that clears TF traps itself", FINE && n == 1 && event(0, DB, landed));
#endif
}

void guest_main(void)
{
	lapic[0xf0 / 4] = 0x1ff;
	hook[0x50] = on_50, hook[0x61] = on_61, hook[DB] = on_db;
	shadows();
	order();
	system_calls();
}
