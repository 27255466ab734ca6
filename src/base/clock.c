// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the device world's lock, clock and timers: what chips call while the guest's vector registers may be live
 *
 * Compiled with -mgeneral-regs-only, and all it calls are system calls and the vDSO's clock, which use no vector
 * registers: so a chip that calls nothing else can be accessed without parking the guest's FPU state, which costs more
 * than most accesses (docs/decisions/engine.md). That is why the lock is our own (lock.c), and the heap an array.
 */
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/loop_int.h"

/* Timers fired before the lock is offered to others again. */
#define TIMER_BATCH 32

uint64_t loop_host_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t loop_now(const struct loop *l)
{
	uint64_t at;

	if (l->stepped)
		return l->now;
	at = l->stands_at;
	return at != NEVER ? at : loop_host_now() - l->start;
}

/* --- the lock --- */

void loop_lock(struct loop *l)
{
	lock_take(&l->lock);
}

void loop_unlock(struct loop *l)
{
	lock_give(&l->lock);
}

/* The timerfd knows no timer slack, which would make guests' timers 50 us late. */
void loop_ring_at(struct loop *l, uint64_t when)
{
	uint64_t at = when >= NEVER - l->start ? NEVER : l->start + when;
	struct itimerspec ts = { .it_value = { .tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S) } };

	l->rings_at = when;
	if (when != NEVER && l->stands_at != NEVER)
		return; /* loop_stand() has turned it off, loop_go() will set it */
	if (at == NEVER)
		ts = (struct itimerspec){ 0 };
	if (l->alarm)
		l->alarm(l->alarm_opaque, when);
	else
		must(timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &ts, NULL) == 0);
}

/* --- the heap --- */

static void heap_put(struct loop *l, uint32_t pos, struct loop_timer *t)
{
	l->heap[pos] = t;
	t->heap_pos = pos;
}

static void heap_up(struct loop *l, uint32_t pos, struct loop_timer *t)
{
	while (pos > 0) {
		uint32_t parent = (pos - 1) / 2;

		if (l->heap[parent]->when <= t->when)
			break;
		heap_put(l, pos, l->heap[parent]);
		pos = parent;
	}
	heap_put(l, pos, t);
}

static void heap_down(struct loop *l, uint32_t pos, struct loop_timer *t)
{
	for (;;) {
		uint32_t child = 2 * pos + 1;

		if (child + 1 < l->heap_len && l->heap[child + 1]->when < l->heap[child]->when)
			child++;
		if (child >= l->heap_len || l->heap[child]->when >= t->when)
			break;
		heap_put(l, pos, l->heap[child]);
		pos = child;
	}
	heap_put(l, pos, t);
}

/* t sits at pos but its key may be out of order either way. */
static void heap_fix(struct loop *l, uint32_t pos, struct loop_timer *t)
{
	if (pos > 0 && l->heap[(pos - 1) / 2]->when > t->when)
		heap_up(l, pos, t);
	else
		heap_down(l, pos, t);
}

static void heap_add(struct loop *l, struct loop_timer *t)
{
	must(l->heap_len < MAX_TIMERS);
	heap_up(l, l->heap_len++, t);
}

static void heap_remove(struct loop *l, struct loop_timer *t)
{
	uint32_t pos = t->heap_pos;
	struct loop_timer *last = l->heap[--l->heap_len];

	dassert(pos <= l->heap_len);
	if (last != t)
		heap_fix(l, pos, last);
}

/* --- timers --- */

void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*fire)(void *), void *opaque)
{
	*t = (struct loop_timer){ .loop = loop, .fire = fire, .opaque = opaque };
}

void loop_timer_set(struct loop_timer *t, uint64_t when)
{
	struct loop *l = t->loop;

	t->when = when;
	if (t->armed)
		heap_fix(l, t->heap_pos, t);
	else
		heap_add(l, t);
	t->armed = true;
	if ((l->asleep || l->alarm) && when < l->rings_at)
		loop_ring_at(l, when);
}

void loop_timer_cancel(struct loop_timer *t)
{
	if (!t->armed)
		return;
	heap_remove(t->loop, t);
	t->armed = false;
}

bool loop_fire_one(struct loop *l, uint64_t then)
{
	struct loop_timer *t = l->heap_len ? l->heap[0] : NULL;

	if (!t || t->when > then)
		return false;
	if (l->stepped && t->when > l->now)
		l->now = t->when;
	loop_timer_cancel(t);
	t->fire(t->opaque);
	return true;
}

void loop_fire_due(struct loop *l)
{
	uint64_t now = loop_now(l);

	if (l->stands_at != NEVER)
		return;
	for (int i = 0; i < TIMER_BATCH && loop_fire_one(l, now); i++)
		;
}

uint64_t loop_first(const struct loop *l)
{
	return l->heap_len ? l->heap[0]->when : NEVER;
}

/* --- timers in the hands of a keeper --- */

/* Fires what is due. The time of the next, if it is worth waiting for; else 0, and the alarm is set. */
static uint64_t keep_round(struct loop *l)
{
	uint64_t first, near = 0;

	loop_lock(l);
	l->rings_at = 0; /* what callbacks arm is seen below */
	loop_fire_due(l);
	first = loop_first(l);
	if (l->stands_at == NEVER && first != NEVER && first < loop_now(l) + LOOP_NEAR_NS)
		near = first;
	else if (l->alarm)
		loop_ring_at(l, first);
	loop_unlock(l);
	return near;
}

void loop_keep_timers(struct loop *l)
{
	uint64_t until;

	while ((until = keep_round(l)))
		while (loop_now(l) < until)
			__builtin_ia32_pause();
}
