// SPDX-License-Identifier: GPL-2.0-or-later
/* what: no wake-up from HLT is lost: timers of the APIC that come before it, with it, and later
 *
 * Each round arms a timer of a random length, computes for a random while, and halts. Nothing else wakes the CPU: a
 * wake-up that gets lost is a guest that hangs. One that comes late shows by the clock.
 */
#include "guest.h"

#define ROUNDS 6000
#define TIMER 0x320 / 4
#define COUNT 0x380 / 4
#define DIVIDE 0x3e0 / 4
#define DEADLINE_MODE 0x40000
#define MSR_DEADLINE 0x6e0

static volatile u32 *const lapic = (u32 *)0xfee00000;
static volatile unsigned wakes;
static u32 seed = 1;

static void on_timer(void) { wakes++; lapic[0xb0 / 4] = 0; }

static u32 random_below(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static u64 tsc(void)
{
	u32 a, d;

	asm volatile("rdtsc" : "=a"(a), "=d"(d));
	return (u64)d << 32 | a;
}

static void compute(u32 loops)
{
	for (u32 k = 0; k < loops; k++)
		asm volatile("");
}

/* Most are about as long as the way from arming to HLT. */
static u32 length(void)
{
	u32 kind = random_below(8);

	return 1 + (kind < 5 ? random_below(4000) : kind < 7 ? random_below(40000) : random_below(400000));
}

/* HLT until the timer armed before has come; with interrupts off from the test to HLT, as kernels do it. */
static unsigned halt(unsigned before)
{
	unsigned halts = 0;

	while (wakes == before) {
		asm volatile("sti; hlt; cli" ::: "memory");
		halts++;
	}
	return halts;
}

static void oneshot(void)
{
	unsigned early = 0, twice = 0;

	lapic[DIVIDE] = 0xb;
	lapic[TIMER] = 0x50;
	for (unsigned k = 0; k < ROUNDS; k++) {
		unsigned before = wakes;

		lapic[COUNT] = length();
		compute(random_below(2000));
		early += halt(before) > 1;
		twice += wakes != before + 1;
	}
	CHECK("vol 3 11.5.4 each count of a one-shot timer ends in one interrupt", !twice);
	CHECK("vol 2 HLT: nothing but the interrupt ends it", !early);
}

static void deadline(void)
{
	u32 leaf[4];
	unsigned twice = 0, late = 0;

	cpuid(1, 0, leaf);
	if (!(leaf[2] >> 24 & 1))
		return;
	lapic[TIMER] = DEADLINE_MODE | 0x50;
	for (unsigned k = 0; k < ROUNDS; k++) {
		unsigned before = wakes;
		u64 until = tsc() + length();

		wrmsr(MSR_DEADLINE, until);
		compute(random_below(2000));
		halt(before);
		late += tsc() < until; /* by which it would be early */
		twice += wakes != before + 1;
	}
	CHECK("vol 3 11.5.4.1 each deadline ends in one interrupt", !twice);
	CHECK("vol 3 11.5.4.1 none before its time", !late);
}

/* A period goes on while the CPU halts and computes. */
static void periodic(void)
{
	unsigned before = wakes;

	lapic[TIMER] = 0x20050;
	lapic[COUNT] = 100000;
	for (unsigned k = 0; k < 1000; k++) {
		halt(wakes);
		compute(random_below(20000));
	}
	lapic[COUNT] = 0;
	CHECK("vol 3 11.5.4 periodic: at least one interrupt for each HLT", wakes - before >= 1000);
}

void guest_main(void)
{
	lapic[0xf0 / 4] = 0x1ff;
	outb(0x21, 0xff), outb(0xa1, 0xff);
	hook[0x50] = on_timer;
	oneshot();
	deadline();
	periodic();
	finish();
}
