// SPDX-License-Identifier: GPL-2.0-or-later
/* what: single step and debug registers: which instruction traps, what DR6 says, what holds a trap off */
#include "guest.h"

#define BS 0x4000
#define BD 0x2000
#define DR6_FIXED 0xffff0ff0

SNIPPET(nops, "nop\nnops1: nop\nnops2: nop");
SNIPPET(jumps, "jmp jumps1\n nop\njumps1: nop");
SNIPPET(reps, "mov $data, %esi\n mov $data + 16, %edi\n mov $3, %ecx\nreps_at: rep movsb\nreps_next: nop");
SNIPPET(movss, "mov %ss, %ecx\n nop\nms_at: mov %ecx, %ss\nms1: nop\nms2: nop");
SNIPPET(popss, "mov %ss, %ecx\n push " AX "\n.byte 0x8e,0xd1\nps1: nop\nps2: nop");
SNIPPET(int41, "int $0x41\ni41_1: nop\ni41_2: nop");
SNIPPET(tfault, "ud2");
SNIPPET(setpopf, "pushf\n orl $0x100, (%"
#ifdef __x86_64__
"rsp"
#else
"esp"
#endif
")\n popf\nspf1: nop\nspf2: nop");
SNIPPET(clrpopf, "clp0: push $2\nclp1: popf\nclp2: nop");
SNIPPET(pushfs, "pushf\npf1: pop " AX "\n nop");
SNIPPET(cpuids, "xor %eax, %eax\n cpuid\ncpuid1: nop");
SNIPPET(stores, "mov $data, %edi\n nop\nst_at: movl $1, (" DI ")\nst1: nop\n mov (" DI "), %eax\nst2: nop");
SNIPPET(store_movss, "mov %ss, %ecx\n mov %ecx, ssword\nsm_at: mov ssword, %ss\nsm1: nop\nsm2: nop");
SNIPPET(push_hit, "push " AX "\nph1: nop");
SNIPPET(call_hit, "call ch1\n nop\nch1: nop\n pop " AX);
SNIPPET(stos_hit, "mov $data, %edi\n mov $8, %ecx\nsh_at: rep stosb\nsh1: nop");
SNIPPET(movs_hit, "mov $data + 8, %edi\n mov $data, %esi\nmh_at: movsl\nmh1: nop");
SNIPPET(rmw_hit, "lock incl data\nrmw1: nop");
SNIPPET(sse_hit, "xorps %xmm0, %xmm0\n movups %xmm0, data - 8\nsse1: nop");
SNIPPET(wide, "movl $0, data - 2\nwide1: nop");
SNIPPET(mov_dr, "mdr_at: mov %db3, " AX);
SNIPPET(detect, "mov $0x2400, %eax\n mov " AX ", %db7\n nop\nde_at: mov %db3, " AX);
SNIPPET(mov_dr4, "mdr4_at: .byte 0x0f, 0x21, 0xe0");
SNIPPET(outs, "mov $0x80, %dx\n out %al, %dx\nouts1: nop\n in $0x80, %al");
SNIPPET(loop_bp, "mov $3, %ecx\n1: nop\nlb_at: nop\n dec %ecx\n jnz 1b");
/* In the shadow of MOV SS, and around it. */
SNIPPET(ss_icebp, "mov %ss, %ecx\nic_at: mov %ecx, %ss\n .byte 0xf1\nic1: .byte 0xf1\nic2: nop");
SNIPPET(ss_detect, "mov $0x2400, %eax\n mov " AX ", %db7\n pushf\n orl $0x100, (" SP ")\n mov %ss, %ecx\n popf\n"
	"mov %ecx, %ss\nsd_at: mov %db3, " AX "\nsd1: nop");
SNIPPET(hit_icebp, "mov ssword, %ss\n .byte 0xf1\nhi1: nop");
SNIPPET(hit_detect, "mov $0xf2402, %eax\n mov " AX ", %db7\n mov ssword, %ss\nhd_at: mov %db3, " AX);
SNIPPET(hit_int3, "mov ssword, %ss\n int3");
SNIPPET(hit_int41, "mov ssword, %ss\n int $0x41");
SNIPPET(hit_twice, "mov ssword, %ss\n movl $1, data\nht1: nop");
SNIPPET(icebp, "ice_at: .byte 0xf1\nice1: nop");
SNIPPET(icebp_gd, "mov $0x2400, %eax\n mov " AX ", %db7\n .byte 0xf1\nig1: nop");
SNIPPET(sti_bp, "sti\nsb_at: nop\n nop");
SNIPPET(old_bits, "mov $0xffff4ff2, %eax\n mov " AX ", %db6\nob_at: nop");
#ifndef __x86_64__
SNIPPET(into_not, "xor %eax, %eax\nin1: into\nin2: nop");
SNIPPET(into_it, "mov $0x7f, %al\nii1: add $1, %al\nii2: into\n nop");
extern char in1[], in2[], ii1[], ii2[];
#endif
extern char ic_at[], ic1[], ic2[], sd_at[], sd1[], hi1[], hd_at[], ht1[], ice_at[], ice1[], ig1[], sb_at[], ob_at[];
#ifdef __x86_64__
SNIPPET(hit_sysc, "mov ssword, %ss\n syscall");
SNIPPET(dr6_high, "mov $0x100000000, %rax\nd6_at: mov %rax, %db6");
SNIPPET(dr7_high, "mov $0x100000000, %rax\nd7_at: mov %rax, %db7");
SNIPPET(sysc, "syscall\nsysc1: nop");
extern char d6_at[], d7_at[], sysc1[];
#endif
u8 data[64] __attribute__((aligned(64)));
u16 ssword;
extern char nops1[], nops2[], jumps1[], reps_at[], reps_next[], ms_at[], ms1[], ms2[], ps1[], ps2[], i41_1[],
	i41_2[], spf1[], spf2[], clp0[],
	clp1[], clp2[], pf1[], cpuid1[], st_at[], st1[], st2[], sm_at[], sm1[], sm2[], ph1[], ch1[], sh_at[], sh1[],
		mh_at[], mh1[], rmw1[], sse1[], wide1[],
	mdr_at[], de_at[], mdr4_at[], outs1[], lb_at[];

static ul where[32], dr6s[32], cxs[32], flags[32];
static unsigned hits;
static int resume; /* set RF for the way back */

/* Notes each #DB and lets the code go on. */
static void note(void)
{
	extern ul raw[];
	if (hits < 32) {
		where[hits] = raw[0];
		dr6s[hits] = RD_DR(6);
		cxs[hits] = t.r.cx;
		flags[hits] = raw[2];
	}
	if (hits++ > 40)
		WR_DR(7, 0x400); /* or a machine without RF would stay here */
	if (resume)
		((ul *)t.entry_sp)[2] |= RF;
	WR_DR(6, DR6_FIXED);
}

static void steps(const void *code, unsigned cpl)
{
	hook[DB] = note;
	hits = 0;
	prepare(code, cpl);
	in.flags |= TF;
	go();
	hook[DB] = 0;
}

static int at(unsigned n, const void *ip, ul bits)
{
	return n < hits && where[n] == (ul)ip && dr6s[n] == (DR6_FIXED | bits);
}

static int any(const void *ip, ul bits)
{
	for (unsigned k = 0; k < hits; k++)
		if (at(k, ip, bits))
			return 1;
	return 0;
}

static void nothing(void)
{
}

static void single_step(unsigned cpl)
{
	prepare(nops, cpl);
	in.flags |= TF;
	go();
	CHECK("vol 3 17.3.1.4 the instruction behind IRET runs first", t.vec == DB && t.r.ip == (ul)nops1 &&
		t.r.flags & TF);
	CHECK("vol 3 17.2.3 DR6.BS", t.dr6 == (DR6_FIXED | BS));
	CHECK("vol 3 6.12.1.3 TF off in the handler", !(t.entry_flags & TF));
	CHECK("vol 3 17.3.1.1 a trap leaves RF clear", !(t.r.flags & RF));
	steps(nops, cpl);
	CHECK("vol 3 17.3.1.4 every instruction", hits == 3 && at(0, nops1, BS) && at(1, nops2, BS) &&
		at(2, nops_end, BS) && t.vec == END);
	steps(jumps, cpl);
	CHECK("vol 3 17.3.1.4 jump", hits == 2 && at(0, jumps1, BS) && at(1, jumps_end, BS));
	steps(reps, cpl);
	CHECK("vol 2 REP, vol 3 17.3.1.4: after each iteration", at(3, reps_at, BS) && cxs[3] == 2 &&
		at(4, reps_at, BS) && cxs[4] == 1);
	CHECK("vol 3 17.3.1.1 RF in the image between iterations", flags[3] & RF && flags[4] & RF && !(flags[5] & RF));
	CHECK("vol 2 REP: the last one ends the instruction", at(5, reps_next, BS) && cxs[5] == 0 && hits == 7);
	steps(movss, cpl);
	CHECK("vol 3 6.8.3 no trap behind MOV SS", at(1, ms_at, BS) && at(2, ms2, BS) && hits == 4);
	hook[0x41] = nothing;
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
	steps(int41, cpl);
	CHECK("vol 3 17.3.1.4 INT n clears TF; IRET gives it back", at(0, i41_2, BS) && hits == 2 && t.vec == END);
	hook[0x41] = 0;
	steps(tfault, cpl);
	CHECK("vol 3 6.9 a fault comes before the trap", t.vec == UD && hits == 0 && t.r.flags & TF);
	hook[DB] = note, hits = 0;
	run(setpopf, cpl);
	CHECK("vol 3 17.3.1.4 POPF sets TF: the next instruction runs", at(0, spf2, BS) && hits == 2);
	steps(clrpopf, cpl);
	CHECK("vol 3 17.3.1.4 POPF clears TF: still traps itself", at(0, clp1, BS) && at(1, clp2, BS) && hits == 2);
	prepare(pushfs, cpl);
	in.flags |= TF;
	hook[DB] = note;
	go();
	CHECK("vol 2 PUSHF stores TF", t.vec == END && t.r.ax & TF);
	steps(cpuids, cpl);
	CHECK("vol 3 17.3.1.4 CPUID", at(1, cpuid1, BS) && hits == 3);
}

static void breaks(const void *code, unsigned cpl)
{
	hook[DB] = note;
	hits = 0;
	run(code, cpl);
	hook[DB] = 0;
	WR_DR(7, 0x400);
}

static void watch(unsigned n, const void *at, unsigned rw, unsigned len)
{
	switch (n) {
	case 0: WR_DR(0, at); break;
	case 1: WR_DR(1, at); break;
	case 2: WR_DR(2, at); break;
	default: WR_DR(3, at);
	}
	WR_DR(7, RD_DR(7) | 2ul << 2 * n | (ul)(rw | len << 2) << (16 + 4 * n));
}
enum { X, W, IO, RW };

static void instruction(unsigned cpl)
{
	run(nops, cpl);
	watch(0, nops1, X, 0);
	run(nops, cpl);
	CHECK("vol 3 17.3.1.1 fault before the instruction", t.vec == DB && t.r.ip == (ul)nops1 &&
		t.dr6 == (DR6_FIXED | 1));
	CHECK("vol 3 17.3.1.1 this fault leaves RF as it was", !(t.r.flags & RF));
	resume = 1;
	breaks(nops, cpl);
	CHECK("vol 3 17.3.1.1 IRET with RF: it runs once, the next is not hidden", hits == 1 && t.vec == END);
	watch(1, lb_at, X, 0);
	breaks(loop_bp, cpl);
	CHECK("vol 3 17.3.1.1 each time round", hits == 3 && at(2, lb_at, 2) && t.vec == END);
	watch(2, nops, X, 0);
	watch(3, nops1, X, 0);
	breaks(nops, cpl);
	CHECK("vol 3 17.2.3 B2, B3", hits == 2 && at(0, nops, 4) && at(1, nops1, 8));
	watch(0, ms1, X, 0);
	breaks(movss, cpl);
	CHECK("vol 3 6.8.3 none right behind MOV SS", hits == 0 && t.vec == END);
	watch(0, reps_at, X, 0);
	breaks(reps, cpl);
	CHECK("vol 3 17.3.1.1 once for REP", hits == 1 && at(0, reps_at, 1) && t.vec == END);
	watch(0, nops1, X, 0);
	steps(nops, cpl);
	WR_DR(7, 0x400);
	resume = 0;
	/* the trap after nops and the fault at nops1 share one #DB (vol 3 6.9, 17.3) or are two: the instruction runs
	 * once */
	CHECK("vol 3 17.3.1.1 with TF", t.vec == END && where[0] == (ul)nops1 && (dr6s[0] & BS) && hits >= 3 && hits <= 4);
}

static void data_points(unsigned cpl)
{
	run(stores, cpl);
	watch(0, data, W, 3);
	breaks(stores, cpl);
	CHECK("vol 3 17.2.4 W: the store only, trap behind it", hits == 1 && at(0, st1, 1) && t.vec == END);
	watch(0, data, RW, 3);
	breaks(stores, cpl);
	CHECK("vol 3 17.2.4 RW: load too", hits == 2 && at(0, st1, 1) && at(1, st2, 1));
	watch(0, data + 3, W, 0);
	breaks(stores, cpl);
	CHECK("vol 3 17.2.5 one byte within the access", hits == 1 && at(0, st1, 1));
	watch(0, data + 4, RW, 0);
	breaks(stores, cpl);
	CHECK("vol 3 17.2.5 beside the access", hits == 0);
	watch(1, data + 1, W, 3);
	breaks(wide, cpl);
	CHECK("vol 3 17.2.5 low bits of the address do not count", hits == 1 && at(0, wide1, 2));
	watch(0, data, W, 0);
	watch(3, data + 2, W, 1);
	breaks(stores, cpl);
	CHECK("vol 3 17.2.3 two at once", hits == 1 && at(0, st1, 9));
	watch(0, (u8 *)(cpl ? ustack_top : kstack_top) - 256 - sizeof(ul), W, 3);
	breaks(push_hit, cpl);
	CHECK("vol 3 17.3.1.2 PUSH", any(ph1, 1));
	watch(0, (u8 *)(cpl ? ustack_top : kstack_top) - 256 - sizeof(ul), W, 3);
	breaks(call_hit, cpl);
	CHECK("vol 3 17.3.1.2 CALL: at its target", any(ch1, 1));
	watch(0, data + 3, W, 0);
	breaks(stos_hit, cpl);
	CHECK("vol 3 17.3.1.2 REP STOS: behind the iteration", hits == 1 && where[0] == (ul)sh_at && cxs[0] == 4 &&
		flags[0] & RF && t.vec == END);
	watch(0, data + 8, W, 3);
	watch(1, data, RW, 3);
	breaks(movs_hit, cpl);
	CHECK("vol 3 17.3.1.2 MOVS: both operands", hits == 1 && at(0, mh1, 3));
	watch(0, data, W, 3);
	breaks(rmw_hit, cpl);
	CHECK("vol 3 17.3.1.2 LOCK INC", hits == 1 && at(0, rmw1, 1));
	watch(0, data, W, 3);
	breaks(sse_hit, cpl);
	CHECK("vol 3 17.3.1.2 SSE store", hits == 1 && at(0, sse1, 1));
	watch(0, &ssword, RW, 1);
	breaks(store_movss, cpl);
	CHECK("vol 3 6.8.3 a data hit of MOV SS waits for the next instruction", hits == 2 && at(0, sm_at, 1) &&
		where[1] == (ul)sm2);
}

/* What a shadow of SS holds off (vol 3 6.8.3), and what it does not. */
static void shadows(unsigned cpl)
{
	steps(ss_icebp, cpl);
	CHECK("vol 2 INT1, vol 3 6.8.3 no trap of MOV SS nor of ICEBP, whose own #DB sets no bit", hits == 4 &&
		at(0, ic_at, BS) && at(1, ic1, 0) && at(2, ic2, 0) && at(3, ss_icebp_end, BS) && t.vec == END);
	WR_DR(7, 0x400);
	ssword = cpl ? UDS : KDS;
	watch(0, &ssword, RW, 1);
	breaks(hit_icebp, cpl);
	CHECK("vol 3 6.8.3 ICEBP takes the hit of MOV SS along", hits == 1 && at(0, hi1, 1) && t.vec == END);
	watch(0, &ssword, RW, 1);
	breaks(hit_int3, cpl);
	CHECK("vol 3 6.8.3 INT3: the hit comes at its handler", hits == 1 && at(0, stub_of(BP), 1) && t.vec == BP);
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
	watch(0, &ssword, RW, 1);
	breaks(hit_int41, cpl);
	CHECK("vol 3 6.8.3 INT n: the same", hits == 1 && at(0, stub_of(0x41), 1) && t.vec == 0x41);
	watch(0, &ssword, RW, 1);
	watch(1, data, W, 3);
	steps(hit_twice, cpl);
	WR_DR(7, 0x400);
	CHECK("vol 3 6.8.3 with the next one's hit and trap", hits == 2 && at(0, ht1, BS | 3) &&
		at(1, hit_twice_end, BS) && t.vec == END);
	breaks(icebp, cpl);
	CHECK("vol 2 INT1: a trap without bits, whatever the gate's DPL", hits == 1 && at(0, ice1, 0) && t.vec == END);
	resume = 1;
	watch(0, ice_at, X, 0);
	breaks(icebp, cpl);
	resume = 0;
	CHECK("vol 3 17.3.1.1 a breakpoint at ICEBP comes before it", hits == 2 && at(0, ice_at, 1) && at(1, ice1, 0) &&
		t.vec == END);
#ifndef __x86_64__
	steps(into_not, cpl);
	CHECK("vol 2 INTO without overflow: traps as others do", hits == 3 && at(0, in1, BS) && at(1, in2, BS) &&
		at(2, into_not_end, BS));
	hook[OF] = nothing;
	steps(into_it, cpl);
	hook[OF] = 0;
	CHECK("vol 3 17.3.1.4 INTO with overflow clears TF, as INT n does", hits == 3 && at(0, ii1, BS) &&
		at(1, ii2, BS) && at(2, into_it_end, BS));
#endif
}

/* The same where it takes CPL 0. */
static void shadows0(void)
{
	breaks(ss_detect, 0);
	CHECK("vol 3 17.2.4, 6.8.3 GD behind MOV SS: BD alone, then the trap of MOV DR", hits == 3 && at(0, sd_at, BD) &&
		at(1, sd1, BS) && at(2, ss_detect_end, BS) && t.vec == END);
	CHECK("vol 3 17.3.1.1 RF set by this fault", flags[0] & RF && !(flags[1] & RF));
	ssword = KDS;
	WR_DR(0, &ssword);
	breaks(hit_detect, 0);
	CHECK("vol 3 17.2.3 a hit of MOV SS comes along with BD", hits == 1 && at(0, hd_at, BD | 1) && t.vec == END);
	breaks(icebp_gd, 0);
	CHECK("vol 3 17.2.4 GD is off in the handler of ICEBP too", hits == 1 && at(0, ig1, 0) && !(RD_DR(7) & 0x2000));
	resume = 1;
	watch(0, sb_at, X, 0);
	breaks(sti_bp, 0);
	CHECK("vol 3 6.8.3 the shadow of STI is for interrupts alone", hits == 1 && at(0, sb_at, 1) && t.vec == END);
	watch(0, ob_at, X, 0);
	breaks(old_bits, 0);
	resume = 0;
	CHECK("vol 3 17.2.3 B0 to B3 tell this exception's, BS stays", hits == 1 && at(0, ob_at, BS | 1) && t.vec == END);
}

static void registers(void)
{
	run(detect, 0);
	CHECK("vol 3 17.2.4 GD: #DB before MOV DR", t.vec == DB && t.r.ip == (ul)de_at && t.dr6 == (DR6_FIXED | BD));
	CHECK("vol 3 17.3.1.1 RF set by this fault", t.r.flags & RF);
	CHECK("vol 3 17.2.4 the processor clears GD on entry", !(RD_DR(7) & 1 << 13));
	WR_DR(7, 0x400);
	run(mov_dr, 3);
	CHECK("vol 2 MOV DR: #GP at CPL 3", t.vec == GP && t.err == 0 && t.r.ip == (ul)mdr_at);
	run(mov_dr4, 0);
	CHECK("vol 3 17.2.2 DR4 is DR6 while CR4.DE = 0", t.vec == END && (u32)t.r.ax == DR6_FIXED);
	WR_CR(4, RD_CR(4) | 8);
	run(mov_dr4, 0);
	CHECK("vol 3 17.2.2 CR4.DE = 1: #UD", t.vec == UD && t.r.ip == (ul)mdr4_at);
	watch(0, (void *)0x80, IO, 0);
	breaks(outs, 0);
	CHECK("vol 3 17.2.4 I/O breakpoint", hits == 2 && at(0, outs1, 1) && at(1, outs_end, 1));
	WR_CR(4, RD_CR(4) & ~8ul);
	WR_DR(7, 0xffff27ff & ~0x2000u & 0);
	CHECK("vol 3 17.2.4 DR7 bit 10 reads 1", RD_DR(7) == 0x400);
	WR_DR(6, 0);
	CHECK("vol 3 17.2.3 DR6 reserved bits read 1", (RD_DR(6) & 0xfffe07f0) == 0xfffe07f0 && !(RD_DR(6) & 0x1000));
	WR_DR(0, 0x12345678);
	CHECK("vol 3 17.2.1", RD_DR(0) == 0x12345678);
#ifdef __x86_64__
	run(dr6_high, 0);
	CHECK("vol 2 MOV DR: DR6[63:32] not 0", t.vec == GP && t.r.ip == (ul)d6_at);
	run(dr7_high, 0);
	CHECK("vol 2 MOV DR: DR7[63:32] not 0", t.vec == GP && t.r.ip == (ul)d7_at);
#endif
}

#ifdef __x86_64__
extern char syscall_entry[];
asm(".text\nsyscall_entry: int $0x42\n");
static void syscalls(void)
{
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
	wrmsr(0xc0000081, 0x0018000800000000);
	wrmsr(0xc0000082, (ul)syscall_entry);
	wrmsr(0xc0000084, TF | IF);
	steps(sysc, 3);
	CHECK("SYSCALL with TF masked: no trap in the kernel (vol 2 SYSCALL: RFLAGS from FMASK)", t.vec == 0x42 &&
		hits == 0 && t.r.r11 & TF);
	wrmsr(0xc0000084, 0);
	steps(sysc, 3);
	CHECK("SYSCALL with TF not masked: traps at the entry", hits >= 1 && at(0, syscall_entry, BS));
	ssword = UDS;
	watch(0, &ssword, RW, 1);
	breaks(hit_sysc, 3);
	CHECK("vol 3 6.8.3 SYSCALL: the hit of MOV SS comes in the kernel", hits == 1 && at(0, syscall_entry, 1) &&
		t.vec == 0x42);
	wrmsr(0xc0000084, 0x47700);
}
#endif

void guest_main(void)
{
	for (unsigned k = 0; k < 4; k += 3) {
		stage = k;
		single_step(k);
		instruction(k);
		data_points(k);
		shadows(k);
	}
	shadows0();
	registers();
#ifdef __x86_64__
	syscalls();
#endif
}
