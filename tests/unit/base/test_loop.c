// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the device loop: order of timers, stepping, wake-ups, descriptors and tasks */
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/loop.h"

#define N 200

static struct loop *the_loop;
static uint64_t last;
static int fired;

static void in_order(void *opaque)
{
	const struct loop_timer *t = opaque;

	assert_true(t->when >= last);
	assert_int_equal(loop_now(the_loop), t->when);
	last = t->when;
	fired++;
}

static void timers_in_order(void **state)
{
	/* Timers fire in order of expiry at exactly their time, whatever was cancelled or re-armed. */
	struct loop_timer t[N];
	int armed = 0;

	the_loop = loop_new_stepped();
	fired = 0;
	last = 0;
	srand(1);
	for (int i = 0; i < N; i++) {
		loop_timer_init(&t[i], the_loop, in_order, &t[i]);
		loop_timer_set(&t[i], (uint64_t)(rand() % 1000));
	}
	for (int i = 0; i < N; i++) {
		if (i % 3 == 0)
			loop_timer_cancel(&t[i]);
		else if (i % 3 == 1)
			loop_timer_set(&t[i], (uint64_t)(rand() % 1000));
	}
	for (int i = 0; i < N; i++)
		armed += t[i].armed;
	loop_step(the_loop, 400);
	assert_int_equal(loop_now(the_loop), 400);
	for (int i = 0; i < N; i++)
		assert_true(!t[i].armed || t[i].when > 400);
	loop_step(the_loop, 600);
	assert_int_equal(fired, armed);
	loop_free(the_loop);
}

static struct loop_timer periodic;
static void rearm(void *opaque)
{
	fired++;
	loop_timer_set(&periodic, periodic.when + 10);
}

static void callback_rearms(void **state)
{
	/* A callback may re-arm its own timer; the new expiry counts within the same step. */
	the_loop = loop_new_stepped();
	fired = 0;
	loop_timer_init(&periodic, the_loop, rearm, NULL);
	loop_timer_set(&periodic, 10);
	loop_step(the_loop, 100);
	assert_int_equal(fired, 10);
	loop_free(the_loop);
}

static void count_up(void *opaque)
{
	atomic_fetch_add((atomic_int *)opaque, 1);
}

static void wait_for(atomic_int *n, int want)
{
	for (int i = 0; i < 2000 && atomic_load(n) < want; i++)
		usleep(1000);
	assert_int_equal(atomic_load(n), want);
}

static void thread_wakes(void **state)
{
	/* An earlier timer, a task and a descriptor each reach a thread that sleeps for ever. */
	struct loop *l = loop_new(NULL);
	atomic_int n = 0;
	struct loop_timer late, early;
	struct loop_task task = { .fn = count_up, .opaque = &n };

	assert_int_equal(loop_start(l, NULL), 0);
	usleep(20000);
	loop_lock(l);
	loop_timer_init(&late, l, count_up, &n);
	loop_timer_init(&early, l, count_up, &n);
	loop_timer_set(&late, loop_now(l) + 3600 * 1000000000ull);
	loop_unlock(l);
	usleep(20000);
	loop_lock(l);
	loop_timer_set(&early, loop_now(l) + 1000000);
	loop_unlock(l);
	wait_for(&n, 1);
	loop_lock(l);
	loop_post(l, &task);
	loop_unlock(l);
	wait_for(&n, 2);
	loop_lock(l);
	loop_timer_cancel(&late);
	loop_unlock(l);
	loop_stop(l);
	loop_free(l);
}

static void stands_and_goes(void **state)
{
	/* While the clock stands nothing fires, whoever arms it, and afterwards everything is as far away as it was. */
	struct loop *l = loop_new(NULL);
	struct loop_timer before, meanwhile;
	atomic_int n = 0;
	uint64_t at;

	assert_int_equal(loop_start(l, NULL), 0);
	loop_lock(l);
	loop_timer_init(&before, l, count_up, &n);
	loop_timer_init(&meanwhile, l, count_up, &n);
	loop_timer_set(&before, loop_now(l) + 60000000);
	loop_unlock(l);
	loop_stand(l);
	at = loop_now(l);
	loop_lock(l);
	loop_timer_set(&meanwhile, at - 1);
	loop_unlock(l);
	usleep(150000);
	assert_int_equal(atomic_load(&n), 0);
	assert_int_equal(loop_now(l), at);
	loop_go(l);
	wait_for(&n, 1);
	loop_lock(l);
	assert_true(before.armed || loop_now(l) >= before.when);
	loop_unlock(l);
	wait_for(&n, 2);
	assert_true(loop_now(l) >= before.when);
	loop_stop(l);
	loop_free(l);
}

struct keeper {
	unsigned alarms;
	uint64_t when;
	pthread_t fired_in;
	unsigned fired;
};

static void note_alarm(void *opaque, uint64_t when)
{
	struct keeper *k = opaque;

	k->alarms++;
	k->when = when;
}

static void note_fire(void *opaque)
{
	struct keeper *k = opaque;

	k->fired_in = pthread_self();
	__atomic_add_fetch(&k->fired, 1, __ATOMIC_SEQ_CST);
}

static void set_in(struct loop_timer *t, uint64_t ns)
{
	loop_lock(t->loop);
	loop_timer_set(t, loop_now(t->loop) + ns);
	loop_unlock(t->loop);
}

/* Rule (loop_set_keeper): its alarm is asked for the earliest time, only the keeper fires, and afterwards the I/O
 * thread does again. */
static void keeper_fires(void **state)
{
	struct loop *l = loop_new(NULL);
	struct keeper k = { 0 };
	struct loop_timer a, b;
	(void)state;

	assert_int_equal(loop_start(l, NULL), 0);
	loop_timer_init(&a, l, note_fire, &k);
	loop_timer_init(&b, l, note_fire, &k);
	set_in(&a, 3600 * 1000000000ull);
	loop_set_keeper(l, note_alarm, &k);
	assert_int_equal(k.when, a.when); /* what was armed before */
	set_in(&b, 2000000);
	assert_int_equal(k.when, b.when);
	assert_int_equal(k.alarms, 2);
	set_in(&a, 7200 * 1000000000ull); /* later than the alarm: nobody need be told */
	assert_int_equal(k.alarms, 2);
	while (loop_now(l) < b.when)
		;
	usleep(20000);
	assert_int_equal(__atomic_load_n(&k.fired, __ATOMIC_SEQ_CST), 0);
	loop_keep_timers(l);
	assert_int_equal(k.fired, 1);
	assert_true(pthread_equal(k.fired_in, pthread_self()));
	assert_int_equal(k.when, a.when);
	set_in(&b, LOOP_NEAR_NS / 2); /* near: waited for, not before its time */
	loop_keep_timers(l);
	assert_int_equal(k.fired, 2);
	assert_true(loop_now(l) >= b.when);
	loop_set_keeper(l, NULL, NULL);
	set_in(&b, 1000000);
	while (__atomic_load_n(&k.fired, __ATOMIC_SEQ_CST) < 3)
		usleep(100);
	assert_false(pthread_equal(k.fired_in, pthread_self()));
	loop_stop(l);
	loop_free(l);
}

static struct loop_fd watched;
static void drain(void *opaque, short revents)
{
	char c;

	assert_int_equal(read(watched.fd, &c, 1), 1);
	count_up(opaque);
	if (c == 'x')
		loop_fd_del(&watched);
}

static void descriptors(void **state)
{
	/* A descriptor calls back while watched for something, and may remove itself from its callback. */
	struct loop *l = loop_new(NULL);
	atomic_int n = 0;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(loop_start(l, NULL), 0);
	loop_lock(l);
	loop_fd_add(&watched, l, p[0], 0, drain, &n);
	loop_unlock(l);
	assert_int_equal(write(p[1], "ax", 2), 2);
	usleep(20000);
	assert_int_equal(atomic_load(&n), 0);
	loop_lock(l);
	loop_fd_set(&watched, POLLIN);
	loop_unlock(l);
	wait_for(&n, 2);
	loop_stop(l);
	assert_null(watched.loop);
	loop_free(l);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeper_fires),
		cmocka_unit_test(timers_in_order), cmocka_unit_test(callback_rearms),
		cmocka_unit_test(thread_wakes), cmocka_unit_test(stands_and_goes), cmocka_unit_test(descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
