// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the local APIC's timer: one-shot, periodic and TSC-deadline over one loop timer
 *
 * The input clock is 1 GHz, so a count is init_count << shift nanoseconds and no division is on the way of
 * arming it. A masked timer is not armed at all; the current count is computed from the clock when read.
 *
 * I1  While timer.armed, an interrupt is owed; whoever changes the timer's registers first fires what is due,
 *     so that a late I/O thread loses no tick.
 *
 * Source: Intel SDM vol 3 11.5.4.
 */
#include "dev/sys/lapic_int.h"

/* Shortest period kept: a guest that asks for less gets every n-th tick, and the host keeps its I/O thread. */
#define MIN_PERIOD_NS 20000u

/* SDM vol 3 figure 11-10: bits 3,1,0: 000 is divide by 2, 110 by 128, 111 by 1. */
static unsigned shift_of(uint32_t divide)
{
	return ((divide & 3) + (divide >> 1 & 4) + 1) & 7;
}

static uint64_t period_ns(const struct lapic *l)
{
	return (uint64_t)l->s.init_count << shift_of(l->s.divide);
}

static uint32_t mode_of(const struct lapic *l)
{
	return l->s.lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

uint32_t lapic_timer_count(const struct lapic *l)
{
	uint64_t elapsed;

	if (!l->s.init_count || mode_of(l) == LVT_DEADLINE)
		return 0;
	elapsed = (loop_now(l->cfg.loop) - l->s.timer_start) >> shift_of(l->s.divide);
	if (mode_of(l) == LVT_PERIODIC)
		return (uint32_t)(l->s.init_count - elapsed % l->s.init_count);
	return elapsed >= l->s.init_count ? 0 : (uint32_t)(l->s.init_count - elapsed);
}

static void arm_periodic(struct lapic *l, uint64_t now)
{
	uint64_t period = period_ns(l);
	uint64_t elapsed = now - l->s.timer_start;

	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): arm_at() comes here with a count that is not 0 */
	l->s.timer_start += elapsed / period * period;
	if (period < MIN_PERIOD_NS)
		period *= (MIN_PERIOD_NS + period - 1) / period;
	loop_timer_set(&l->timer, l->s.timer_start + period);
}

static void arm_deadline(struct lapic *l, uint64_t now)
{
	uint64_t when;

	if (!l->s.deadline) {
		loop_timer_cancel(&l->timer);
		return;
	}
	when = l->cfg.tsc_to_ns(l->cfg.tsc_opaque, l->s.deadline);
	if (when <= now)
		lapic_timer_fire(l);
	else
		loop_timer_set(&l->timer, when);
}

static void arm_oneshot(struct lapic *l, uint64_t now)
{
	uint64_t when = l->s.timer_start + period_ns(l);

	if (when > now)
		loop_timer_set(&l->timer, when);
	else
		loop_timer_cancel(&l->timer); /* it ran out while masked */
}

/* now: of the access that changed something, so that a count which is over before we get here still fires. */
static void arm_at(struct lapic *l, uint64_t now)
{
	uint32_t mode = mode_of(l);

	if ((l->s.lvt[LVT_TIMER] & LVT_MASKED) || !lapic_enabled(l) || (mode != LVT_DEADLINE && !l->s.init_count))
		loop_timer_cancel(&l->timer);
	else if (mode == LVT_DEADLINE && l->cfg.tsc_to_ns)
		arm_deadline(l, now);
	else if (mode == LVT_PERIODIC)
		arm_periodic(l, now);
	else if (mode == 0)
		arm_oneshot(l, now);
	else
		loop_timer_cancel(&l->timer);
}

void lapic_timer_arm(struct lapic *l)
{
	arm_at(l, loop_now(l->cfg.loop));
}

void lapic_timer_fire(void *lapic)
{
	struct lapic *l = lapic;
	uint32_t lvt = l->s.lvt[LVT_TIMER];

	loop_timer_cancel(&l->timer);
	if (mode_of(l) == LVT_DEADLINE)
		l->s.deadline = 0;
	else if (mode_of(l) == LVT_PERIODIC)
		arm_periodic(l, loop_now(l->cfg.loop));
	if (!(lvt & LVT_MASKED))
		lapic_accept(l, (uint8_t)lvt, false);
}

static void fire_if_due(struct lapic *l)
{
	if (l->timer.armed && l->timer.when <= loop_now(l->cfg.loop))
		lapic_timer_fire(l);
}

void lapic_timer_set_lvt(struct lapic *l, uint32_t val)
{
	uint32_t old = l->s.lvt[LVT_TIMER];

	fire_if_due(l);
	l->s.lvt[LVT_TIMER] = val;
	if ((old ^ val) & LVT_DEADLINE) { /* SDM vol 3 11.5.4.1: a switch to or from TSC-deadline mode disarms */
		l->s.deadline = 0;
		l->s.init_count = 0;
	}
	if ((old ^ val) & (LVT_TIMER_MODE | LVT_MASKED))
		lapic_timer_arm(l);
}

void lapic_timer_set_count(struct lapic *l, uint32_t val)
{
	if (mode_of(l) == LVT_DEADLINE)
		return;
	fire_if_due(l);
	l->s.init_count = val;
	l->s.timer_start = loop_now(l->cfg.loop);
	arm_at(l, l->s.timer_start);
}

/* A running count goes on from where it is, at the new rate. */
void lapic_timer_set_divide(struct lapic *l, uint32_t val)
{
	uint64_t now;
	uint32_t count;

	fire_if_due(l);
	count = lapic_timer_count(l);
	l->s.divide = val;
	if (!l->s.init_count || !count)
		return;
	now = loop_now(l->cfg.loop);
	l->s.timer_start = now - ((uint64_t)(l->s.init_count - count) << shift_of(val));
	arm_at(l, now);
}

void lapic_timer_set_deadline(struct lapic *l, uint64_t tsc)
{
	if (mode_of(l) != LVT_DEADLINE)
		return; /* SDM vol 3 11.5.4.1: ignored in the other modes */
	fire_if_due(l);
	l->s.deadline = tsc;
	lapic_timer_arm(l);
}
