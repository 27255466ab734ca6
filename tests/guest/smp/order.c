// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the order of loads and stores of several CPUs, TLB shootdown, accessed and dirty bits
 *
 * Litmus tests: what SDM vol 3 8.2.3 forbids must never be seen; store buffering, which it allows, is counted.
 */
#include "smp.h"

static struct line x, y, rnd[MAXCPU];
static volatile u64 r0[MAXCPU], r1[MAXCPU];
static int kind;
static u64 odd;
enum { SB, SBF, SBL, MP, LB, RR, WW, IRIW };
static void locked_add(void)
{
	u64 d;

	asm volatile("lock addq $1, %0" : "=m"(d)::"memory", "cc");
}

/* What CPU me does in round i; a and b: what it has loaded, in this order. */
static void act(unsigned me, u64 i, u64 *a, u64 *b)
{
	struct line *mine = me & 1 ? &y : &x, *other = me & 1 ? &x : &y;

	switch (kind) {
	case SB:
	case SBF:
	case SBL:
		mine->v = i;
		if (kind == SBF)
			mfence();
		else if (kind == SBL)
			locked_add();
		*a = other->v;
		break;
	case MP:
		if (me) {
			*a = y.v;
			*b = x.v;
		} else {
			x.v = i;
			y.v = i;
		}
		break;
	case LB:
		*a = mine->v;
		other->v = i;
		break;
	case RR:
		if (me) {
			*a = x.v;
			*b = x.v;
		} else {
			x.v = i;
		}
		break;
	case WW:
		mine->v = 2 * i;
		other->v = 2 * i + 1;
		break;
	case IRIW:
		if (me < 2) {
			mine->v = i;
		} else {
			*a = mine->v;
			*b = other->v;
		}
		break;
	}
}

/* Is what round i ended in the outcome that this kind is about? */
static int strange(u64 i)
{
	switch (kind) {
	case MP:
	case RR:
		return r1[1] < r0[1];
	case LB:
		return r0[0] == i && r0[1] == i;
	case WW:
		return x.v == 2 * i && y.v == 2 * i; /* each CPU's first store came after the other's second */
	case IRIW:
		return r0[2] == i && r1[2] < i && r0[3] == i && r1[3] < i;
	default:
		return r0[0] < i && r0[1] < i;
	}
}

static void litmus(unsigned me)
{
	for (u64 i = 1; i <= ROUNDS; i++) {
		u64 a = 0, b = 0;

		rnd[me].v = i;
		for (u64 k = 0; k < gate_n; k++)
			while (rnd[k].v < i)
				relax();
		act(me, i, &a, &b);
		r0[me] = a;
		r1[me] = b;
		gate();
		if (!me)
			odd += strange(i);
		gate();
	}
}
static void run_litmus(const char *name, int k, unsigned n)
{
	kind = k;
	odd = 0;
	x.v = y.v = 0;
	for (unsigned c = 0; c < MAXCPU; c++)
		rnd[c].v = 0;
	all(n, litmus);
	note(name, odd);
	if (k != SB)
		CHECK("vol 3 8.2.3", odd == 0);
}

static volatile u64 epoch, stale;
static volatile u64 acked[MAXCPU];
static void user_of_page(unsigned me)
{
	u64 n = 0;
	asm volatile("sti");
	while (!stop_it) {
		u64 e = epoch, v = *(volatile u64 *)WIN(3);
		if (v < e)
			stale++;
		*(volatile u64 *)(WIN(3) + 64 + me * 8) = v;
		n++;
	}
	asm volatile("cli");
	acked[me] = n;
}
static void shootdown(unsigned n)
{
	u32 k;
	stop_it = 0;
	epoch = stale = 0;
	shoot_at = (ul)WIN(3);
	set_gate(0x60, on_shoot, KCS, 0x8e, 0);
	for (k = 0; k < 2; k++)
		*(volatile u64 *)pages[k] = 0;
	map(3, (ul)pages[0], 3);
	for (unsigned c = 1; c < n; c++) {
		begin(c, user_of_page);
	}
	wait_cycles(4000000);
	u64 wrong = 0;
	for (k = 1; k <= ROUNDS / 20; k++) {
		u64 before[MAXCPU];
		u8 *old = pages[(k + 1) & 1], *new = pages[k & 1];
		*(volatile u64 *)new = k;
		for (unsigned c = 1; c < n; c++)
			before[c] = shot[c].v;
		map(3, (ul) new, 3);
		mmw(0x300, 0xc4060);
		for (unsigned c = 1; c < n; c++)
			while (shot[c].v == before[c])
				relax();
		epoch = k;
		/* the old page is ours now: nobody writes or reads it */
		for (unsigned c = 1; c < n; c++)
			*(volatile u64 *)(old + 64 + c * 8) = 0xdeadull << 32 | k;
		*(volatile u64 *)old = 0;
		wait_cycles(k % 8 * 1000);
		for (unsigned c = 1; c < n; c++)
			wrong += *(volatile u64 *)(old + 64 + c * 8) != (0xdeadull << 32 | k);
	}
	stop_it = 1;
	for (unsigned c = 1; c < n; c++)
		end(c);
	u64 uses = 0;
	for (unsigned c = 1; c < n; c++)
		uses += acked[c];
	note("shootdowns", k - 1);
	note("  uses", uses);
	note("  stale reads", stale);
	note("  stale writes", wrong);
	CHECK("vol 3 4.10.5", !stale && !wrong);
}

/* A and D bits by two CPUs, other bits by LOCK CMPXCHG of CPU 0 */
static void toucher(unsigned me)
{
	while (!stop_it) {
		invlpg((ul)WIN(5));
		if (me == 1)
			*(volatile u8 *)(WIN(5) + 100) = 1;
		else
			(void)*(volatile u8 *)(WIN(5) + 200);
	}
}
static void ad_race(unsigned n)
{
	u64 bad = 0, a = 0, d = 0, k;
	map(5, (ul)pages[5], 3);
	stop_it = 0;
	for (unsigned c = 1; c < n; c++)
		begin(c, toucher);
	for (k = 1; k <= ROUNDS; k++) {
		volatile ul *e = pte(5);
		ul old = *e, new;
		do
			new = (old & ~0xe00ul & ~0x60ul) | (k & 7) << 9;
		while (!__atomic_compare_exchange_n(e, &old, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
		for (unsigned t = 0; t < (k & 15); t++)
			relax();
		old = *e;
		a += old >> 5 & 1;
		d += old >> 6 & 1;
		bad += (old & ~0x60ul) != (new & ~0x60ul);
	}
	stop_it = 1;
	for (unsigned c = 1; c < n; c++)
		end(c);
	*pte(5) &= ~0x60ul;
	invlpg((ul)WIN(5));
	note("A/D rounds", k - 1);
	note("  A seen", a);
	note("  D seen", d);
	note("  lost", bad);
	CHECK("vol 3 4.8", !bad);
}

void orders(unsigned n)
{
	run_litmus("SB relaxed (allowed)", SB, 2);
	run_litmus("SB with MFENCE", SBF, 2);
	run_litmus("SB with LOCK", SBL, 2);
	run_litmus("MP", MP, 2);
	run_litmus("LB", LB, 2);
	run_litmus("CoRR", RR, 2);
	run_litmus("2+2W", WW, 2);
	if (n >= 4)
		run_litmus("IRIW", IRIW, 4);
	shootdown(n);
	ad_race(n < 3 ? n : 3);
}
