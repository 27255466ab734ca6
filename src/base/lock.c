// SPDX-License-Identifier: GPL-2.0-or-later
/* what: locks: who waits spins for a microsecond, then sleeps
 *
 * The device lock is held for less than that nearly always, and a sleep costs fifty times as much.
 */
#include "base/lock.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOCK_SPINS 20

bool lock_try(struct lock *l)
{
	uint32_t free = 0;

	return __atomic_compare_exchange_n(&l->word, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void take_slowly(struct lock *l)
{
	for (int i = 0; i < LOCK_SPINS; i++) {
		__builtin_ia32_pause();
		if (!__atomic_load_n(&l->word, __ATOMIC_RELAXED) && lock_try(l))
			return;
	}
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

/* Says that it waits, as who takes it slowly does, and leaves it at that. */
void lock_wait(struct lock *l)
{
	uint32_t held = 1;

	for (int i = 0; i < LOCK_SPINS; i++) {
		__builtin_ia32_pause();
		if (!__atomic_load_n(&l->word, __ATOMIC_RELAXED))
			return;
	}
	__atomic_compare_exchange_n(&l->word, &held, 2, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void lock_take(struct lock *l)
{
	if (!lock_try(l))
		take_slowly(l);
}

static void give(struct lock *l, int wake)
{
	if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
		syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, wake, NULL, NULL, 0);
}

void lock_give(struct lock *l)
{
	give(l, 1);
}

void lock_give_all(struct lock *l)
{
	give(l, INT_MAX);
}
