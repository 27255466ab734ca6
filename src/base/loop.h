// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the device world: one lock, one clock, timers and file descriptors, served by one I/O thread
 *
 * All device models of a machine live under loop's lock. The I/O thread takes it around every callback, and so does
 * who keeps the timers; a vCPU takes it around every port or MMIO access. Guest time in nanoseconds comes from the
 * loop, so that a machine can be paused and a unit test can step it: a loop made by loop_new_stepped() has no thread
 * and its time moves only by loop_step().
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/base.h"

struct loop;

struct loop *loop_new(struct err *err);
/* For tests: no thread, time starts at 0 and moves only by loop_step(). */
struct loop *loop_new_stepped(void);
/* Made by loop_new_stepped: who has threads of its own must do without them. */
bool loop_is_stepped(const struct loop *loop);
void loop_free(struct loop *loop);

/* Start and stop the I/O thread (loop_new only). loop_stop joins it. */
int loop_start(struct loop *loop, struct err *err);
void loop_stop(struct loop *loop);

/* CPU time that the I/O thread has used, while it runs; any thread. */
uint64_t loop_cpu_ns(struct loop *loop);

/* The lock of the device world: not recursive; never held while guest code runs. */
void loop_lock(struct loop *loop);
void loop_unlock(struct loop *loop);

/* Guest time in ns since the machine was made, monotonic. Any thread, no lock needed. */
uint64_t loop_now(const struct loop *loop);
/* The clock stands still, and no timer fires, until loop_go(): then time goes on where it stood, and what was armed is
 * as far away as it was. Descriptors and tasks are served meanwhile. By one thread, lock not held, when no vCPU runs;
 * not of stepped loops. */
void loop_stand(struct loop *loop);
void loop_go(struct loop *loop);
/* The time, below 2^63, at which it stands. */
void loop_set(struct loop *loop, uint64_t now);
/* Stepped loops: move time forward by ns, running every timer due, in order of expiry. */
void loop_step(struct loop *loop, uint64_t ns);

/* One-shot timer, embedded in its owner. Callback runs with the lock held. */
struct loop_timer {
	struct loop *loop;
	void (*fire)(void *opaque);
	void *opaque;
	uint64_t when;    /* ns of loop_now(); valid while armed */
	bool armed;
	uint32_t heap_pos; /* loop.c's */
};
void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*fire)(void *), void *opaque);
/* Arm (or re-arm) for absolute guest time when; a time in the past fires at once from the I/O thread
 * or the keeper. Lock held. Wakes it only if the earliest expiry moved forward. */
void loop_timer_set(struct loop_timer *t, uint64_t when);
void loop_timer_cancel(struct loop_timer *t);

/* Who is so near in time that waiting for it costs less than an interrupt of the host's. */
#define LOOP_NEAR_NS 8000u
/* Have timers run by a thread of the caller's (a vCPU's, which most of them are for) instead of the I/O thread:
 * alarm(opaque, when) asks that loop_keep_timers() be called at loop_now() == when, UINT64_MAX: not at all; it is
 * called with the lock held by any thread, also for times that are near or past. alarm NULL: the I/O thread again.
 * Lock not held; no alarm comes after this has returned. */
void loop_set_keeper(struct loop *loop, void (*alarm)(void *opaque, uint64_t when), void *opaque);
/* By the keeper: run the timers that are due, wait for those that are near, set the alarm for the next. Lock not
 * held. */
void loop_keep_timers(struct loop *loop);

/* Watch a file descriptor. Callback runs in the I/O thread with the lock held. events: POLLIN | POLLOUT. */
struct loop_fd {
	struct loop *loop;
	int fd;
	short events;
	void (*ready)(void *opaque, short revents);
	void *opaque;
	struct loop_fd *next; /* loop.c's */
};
void loop_fd_add(struct loop_fd *f, struct loop *loop, int fd, short events, void (*ready)(void *, short),
                 void *opaque);
void loop_fd_set(struct loop_fd *f, short events);
void loop_fd_del(struct loop_fd *f);

/* Run fn once in the I/O thread, lock held ("bottom half"). Embedded, may be posted again after it ran.
 * Lock held by the caller. In stepped loops it runs at the next loop_step(), also of 0 ns. */
struct loop_task {
	void (*fn)(void *opaque);
	void *opaque;
	bool queued;
	struct loop_task *next;
};
void loop_post(struct loop *loop, struct loop_task *task);

#endif
