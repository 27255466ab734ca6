// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the inside of struct loop: loop.c is the thread, clock.c what a vCPU asks of it */
#ifndef BASE_LOOP_INT_H
#define BASE_LOOP_INT_H

#include <pthread.h>

#include "base/lock.h"
#include "base/loop.h"

#define NS_PER_S 1000000000ull
#define NEVER UINT64_MAX
/* Timers that there is room for at once; a machine has about twenty. */
#define MAX_TIMERS 256

struct loop {
	struct lock lock;
	bool stepped;
	uint64_t start;          /* host time of guest time 0, less what the clock has stood still */
	_Atomic uint64_t stands_at; /* guest time at which the clock stands still; NEVER: it runs */
	_Atomic uint64_t now;    /* stepped loops only */
	struct loop_timer *heap[MAX_TIMERS];
	uint32_t heap_len;
	struct loop_fd *fds;
	struct loop_task *tasks, **tasks_end;
	pthread_t thread;
	bool running, stopping;
	bool asleep;
	uint64_t rings_at;       /* guest time; NEVER: not at all; 0: it rang */
	int wake_fd, timer_fd;
	void (*alarm)(void *opaque, uint64_t when); /* the keeper's; NULL: the I/O thread runs the timers, by timer_fd */
	void *alarm_opaque;
};

/* CLOCK_MONOTONIC in ns. */
uint64_t loop_host_now(void);
/* Guest time of the earliest timer; NEVER: there is none. Lock held. */
uint64_t loop_first(const struct loop *l);
/* Let the timerfd, or the keeper's alarm, ring at guest time when; NEVER: not at all. Lock held. */
void loop_ring_at(struct loop *l, uint64_t when);
/* Fire the earliest timer if it is due by then. Lock held. */
bool loop_fire_one(struct loop *l, uint64_t then);
/* Fire those that are due, but not without end. Lock held. */
void loop_fire_due(struct loop *l);

#endif
