// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the system flags in code without a fault: images of PUSHF and POPF, what keeps arithmetic flags, STAC and CLAC
 * in the midst of code that both views of memory share, and shadows of STI at jumps
 *
 * ring3 does these inline (src/xlate/system.c): each check runs as one block, and again in loops.
 */
#include "guest.h"

#define CR4_SMAP 0x200000
#define ARITH (CF | 4 | 0x10 | ZF | 0x80 | OFL)
#define DF 0x400

SNIPPET(pop_push, "push " AX "\n popf\n pushf\n pop " DX);
SNIPPET(pop_push16, "pushw %ax\n popfw\n pushfw\n pop %dx");
SNIPPET(pop_dead, "push " AX "\n popf\n xor %ecx, %ecx\n pushf\n pop " DX);
SNIPPET(push_only, "pushf\n pop " DX "\n pushfw\n popw %cx");
SNIPPET(keepers, "push " AX "\n popf\n std\n cld\n sti\n cli\n sti\n sti\n rdtsc\n rdtscp\n"
	"pushf\n mov %ds, %cx\n pop " DX "\n cli");
SNIPPET(ticks, "ti_at: rdtsc\n mov %eax, %esi\n mov %edx, %edi\n rdtscp\n mov %eax, %ebx\n mov %edx, %ecx\n"
	"sub %esi, %eax\n sbb %edi, %edx\n rdtsc\n sub %ebx, %eax\n sbb %ecx, %edx");
SNIPPET(ticks_p, "tp_at: rdtscp");
SNIPPET(keep_ac, "push " AX "\n popf\n stac\n clac\n clac\n stac\n pushf\n clac\n pop " DX);
SNIPPET(st_cl, "std\n pushf\n pop " DX "\n cld\n pushf\n popw %cx");

/* SI: a user page. */
#define TOUCH(label) #label ": incb (" SI ")\n"
SNIPPET(bare, TOUCH(sm_bare));
SNIPPET(pair, "stac\n incb (" SI ")\n clac\n" TOUCH(sm_pair));
SNIPPET(pairs, "clac\n stac\n stac\n incb (" SI ")\n clac\n clac\n stac\n incb (" SI ")\n clac\n nop\n"
	TOUCH(sm_pairs));
SNIPPET(jumps, "stac\n jmp 1f\n ud2\n1: incb (" SI ")\n test %eax, %eax\n jne 2f\n clac\n2: jmp 3f\n ud2\n3:"
	TOUCH(sm_jumps));
/* DI: a function with the access, which both views run. */
SNIPPET(calls, "mov $50, %ecx\n1: stac\n call *" DI "\n clac\n add $1, %eax\n dec %ecx\n jnz 1b\n call *" DI);
SNIPPET(calls_near, "mov $50, %ecx\n1: stac\n call sm_far\n clac\n add $1, %eax\n dec %ecx\n jnz 1b\n call sm_far");
SNIPPET(by_popf, "pushf\n stac\n incb (" SI ")\n popf\n" TOUCH(sm_popf));
SNIPPET(to_popf, "pushf\n orl $0x40000, (" SP ")\n popf\n incb (" SI ")\n clac\n" TOUCH(sm_popf2));
SNIPPET(trapped, "stac\n int $0x41\n incb (" SI ")\n clac\n int $0x41\n" TOUCH(sm_trap));
SNIPPET(stack, "mov " SP ", " DI "\n stac\n mov " SI ", " SP "\n push $5\n pop " DX "\n mov " DI ", " SP "\n clac\n"
	TOUCH(sm_stack));
SNIPPET(loops, "mov $60, %ecx\n1: stac\n2: incb (" SI ")\n dec %ecx\n test $3, %ecx\n jnz 2b\n clac\n"
	"test %ecx, %ecx\n jnz 1b\n" TOUCH(sm_loops));
SNIPPET(user_stac, "us_at: stac");
asm(".pushsection .text.far\n.balign 4096\nsm_far: incb (" SI ")\n ret\n.popsection");
extern char sm_bare[], sm_pair[], sm_pairs[], sm_jumps[], sm_far[], sm_popf[], sm_popf2[], sm_trap[],
	sm_stack[], sm_loops[], us_at[];

/* No other safe point for ring3 than the jump in the shadow. */
SNIPPET(sti_back, "1: cli\n cmpl $20, hits\n jae 2f\n sti\nsb_at: jmp 1b\n2:");
SNIPPET(sti_computed, "lea 1f, " DI "\n1: cli\n cmpl $20, hits\n jae 2f\n sti\nsc_at: jmp *" DI "\n2:");
SNIPPET(popf_back, "1: pushf\n cli\n popf\n cmpl $20, hits\n jb 1b\n cli");
/* The page behind STI is forgotten each time, so ring3 looks around there; it is most often kicked in the divisions. */
#define DIV4 "div %cl\n div %cl\n div %cl\n div %cl\n"
asm(".pushsection .text.far\n.balign 4096\nse_page: .org se_page + 3900, 0x90\n"
	"sti_edge: cli\n cmpl $60, hits\n jae 2f\n invlpg se_at\n mov $1, %ecx\n mov $1, %eax\n"
	DIV4 DIV4 DIV4 DIV4 ".org se_page + 4095, 0x90\n sti\nse_at: nop\n jmp sti_edge\n2: int $0x40\n.popsection");
extern char sb_at[], sc_at[], sti_edge[], se_at[];
u32 hits;
static u32 in_shadow;

static u32 seed = 12345;
static u32 rnd(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed ^ seed >> 15;
}

#define FINE (t.vec == END)

/* vol 2 table "Effect of POPF/POPFD on the EFLAGS Register" */
static u32 popped(u32 old, u32 val, unsigned cpl, unsigned size)
{
	u32 mask = ARITH | DF | NT | (size > 2 ? ACF | ID : 0);
	if (!cpl)
		mask |= IOPL3;
	if (cpl <= (old >> 12 & 3))
		mask |= IF;
	return (old & ~mask) | (val & mask) | 2;
}

static void images(void)
{
	for (unsigned k = 0; k < 2000; k++) {
		unsigned cpl = k & 1 ? 3 : 0;
		/* few bits change at a time, or many */
		u32 old = rnd() & (ARITH | DF | IF | IOPL3 | ID | ACF | NT);
		u32 val = k & 2 ? rnd() : old ^ (rnd() & (ARITH | IF | DF));
		val &= ~TF;
		stage = (u64)val << 8 | cpl;
		prepare(pop_push, cpl);
		in.flags = old | 2, in.ax = val;
		go();
		u32 want = popped(old, val, cpl, 4);
		CHECK("vol 2 POPF, PUSHF: the image", FINE && t.r.dx == want && t.r.flags == want && t.r.sp == in.sp);
		prepare(pop_push16, cpl);
		in.flags = old | 2, in.ax = val, in.dx = (ul)0x12345678;
		go();
		want = popped(old, val, cpl, 2);
		CHECK("vol 2 POPF, PUSHF: 16 bits", FINE && t.r.dx == (0x12340000 | (want & 0xffff)) && t.r.flags == want);
		prepare(pop_dead, cpl);
		in.flags = old | 2, in.ax = val;
		go();
		want = (popped(old, val, cpl, 4) & ~(u32)ARITH) | ZF | 4;
		CHECK("vol 2 XOR behind POPF", FINE && (t.r.dx | 0x10) == (want | 0x10));
		prepare(push_only, cpl);
		in.flags = old | 2;
		go();
		CHECK("vol 2 PUSHF", FINE && t.r.dx == (old | 2) && t.r.cx == ((old | 2) & 0xffff));
	}
	run(st_cl, 0);
	CHECK("vol 2 CLD, STD", FINE && t.r.dx == (2 | DF) && t.r.cx == 2);
	run(st_cl, 3);
	CHECK("vol 2 CLD, STD", FINE && t.r.dx == (2 | DF) && t.r.cx == 2);
}

static void clock(void)
{
	extern char ti_at[], tp_at[];
	for (unsigned cpl = 0; cpl < 4; cpl += 3) {
		run(ticks, cpl);
		CHECK("vol 2 RDTSC, RDTSCP: later is more", FINE && t.r.ax < 1u << 30 && t.r.dx == 0);
		WR_CR(4, RD_CR(4) | 4);
		run(ticks, cpl);
		CHECK("vol 3 2.5 CR4.TSD", cpl ? t.vec == GP && t.err == 0 && t.r.ip == (ul)ti_at : FINE);
		run(ticks_p, cpl);
		CHECK("vol 3 2.5 CR4.TSD and RDTSCP", cpl ? t.vec == GP && t.err == 0 && t.r.ip == (ul)tp_at : FINE);
		WR_CR(4, RD_CR(4) & ~4ul);
	}
}

static void keeps(int smap)
{
	for (unsigned k = 0; k < 64; k++) {
		u32 fl = 2 | (k & 1) | (k & 2) << 1 | (k & 4) << 2 | (k & 8) << 3 | (k & 16) << 3 | (k & 32) << 6;
		prepare(keepers, 0);
		in.ax = stage = fl;
		go();
		CHECK("vol 2 CLI STI CLD STD: no arithmetic flags", FINE && t.r.dx == (fl | IF) && t.r.flags == fl &&
			t.r.cx == KDS);
		if (!smap)
			continue;
		prepare(keep_ac, 0);
		in.ax = fl;
		go();
		CHECK("vol 2 STAC CLAC: AC alone", FINE && t.r.dx == (fl | ACF) && t.r.flags == fl);
	}
}

static u8 *page;

static void faults_at(const void *code, const void *at, unsigned count)
{
	*page = 0;
	prepare(code, 0);
	in.si = (ul)WIN(0);
	in.di = (ul)sm_far;
	go();
	stage = (ul)at;
	CHECK("vol 3 4.6 SMAP: by EFLAGS.AC at each access", t.vec == PF && (t.err | 2) == 3 && t.r.ip == (ul)at &&
		!(t.r.flags & ACF) && *page == count);
}

#ifdef __x86_64__
/* Pops in a row through a stack that is the user's. */
SNIPPET(pops, "mov %rsp, %rbp\n mov %rsi, %rsp\n stac\n pop %rdx\n pop %rdx\n sub $16, %rsp\n clac\n"
	"sm_run: pop %rdx\n pop %rdx\n mov %rbp, %rsp\n stac\n nop");
extern char sm_run[];

static void stack_run(void)
{
	set_gate(PF, stub_of(PF), KCS, 0x8e, 1);
	prepare(pops, 0);
	in.si = (ul)WIN(0);
	go();
	CHECK("vol 3 4.6 SMAP and POP", t.vec == PF && t.r.ip == (ul)sm_run && t.r.sp == (ul)WIN(0) && t.err == 1);
	set_gate(PF, stub_of(PF), KCS, 0x8e, 0);
}
#else
static void stack_run(void)
{
}
#endif

static void nothing(void)
{
}

static void views(void)
{
	static u8 user[8192] __attribute__((aligned(4096)));
	page = user;
	map(0, (ul)user, 7);
	hook[0x41] = nothing;
	supervisor_pages(1);
	for (unsigned k = 0; k < 3; k++) {
		WR_CR(4, RD_CR(4) | CR4_SMAP);
		faults_at(bare, sm_bare, 0);
		faults_at(pair, sm_pair, 1);
		faults_at(pairs, sm_pairs, 2);
		faults_at(jumps, sm_jumps, 1);
		faults_at(calls, sm_far, 50);
		faults_at(calls_near, sm_far, 50);
		faults_at(by_popf, sm_popf, 1);
		faults_at(to_popf, sm_popf2, 1);
		faults_at(trapped, sm_trap, 1);
		faults_at(loops, sm_loops, 60);
		stack_run();
		prepare(stack, 0);
		in.si = (ul)WIN(1) - 64;
		map(1, (ul)user + 4096, 7);
		go();
		CHECK("vol 3 4.6 SMAP and PUSH", t.vec == PF && t.r.ip == (ul)sm_stack && t.r.dx == 5 && (t.err | 2) == 3 &&
			((ul *)(user + 4096))[-1 - 64 / (int)sizeof(ul)] == 5);
		prepare(bare, 0);
		in.si = (ul)WIN(0), in.flags |= ACF;
		go();
		CHECK("vol 3 4.6 AC from before", FINE);
		keeps(1);
		WR_CR(4, RD_CR(4) & ~(ul)CR4_SMAP);
		prepare(pair, 0);
		in.si = (ul)WIN(0);
		go();
		CHECK("vol 3 4.6 no SMAP: AC is no matter", FINE);
		keeps(1);
	}
	supervisor_pages(0);
	run(user_stac, 3);
	CHECK("vol 2 STAC at CPL 3", t.vec == UD && t.r.ip == (ul)us_at);
}

static void on_timer(void)
{
	extern ul raw[];
	hits++;
	in_shadow += raw[0] == (ul)sb_at || raw[0] == (ul)sc_at || raw[0] == (ul)se_at;
	outb(0x20, 0x20);
}

static void shadows(void)
{
	static const char *const code[] = { sti_back, sti_computed, popf_back, sti_edge };
	outb(0x20, 0x11), outb(0x21, 0x50), outb(0x21, 4), outb(0x21, 1), outb(0x21, 0xfe);
	hook[0x50] = on_timer;
	outb(0x43, 0x34);
	outb(0x40, 1193 & 0xff), outb(0x40, 1193 >> 8);
	for (unsigned k = 0; k < 4; k++) {
		hits = in_shadow = 0;
		prepare(code[k], 0);
		in.flags |= k == 2 ? IF : 0;
		go();
		stage = in_shadow;
		CHECK("vol 2 STI: no interrupt before the end of a jump behind it", FINE && hits >= 20 && !in_shadow);
	}
	outb(0x21, 0xff);
}

void guest_main(void)
{
	u32 r[4];
	init_machine();
	outb(0x21, 0xff);
	cpuid(7, 0, r);
	images();
	clock();
	keeps(0);
	paging_on();
	if (r[1] >> 20 & 1)
		views();
	shadows();
	finish();
}
