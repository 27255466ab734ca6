// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the I/O thread: sleeps in poll until the first timer, a descriptor or a wake-up, then calls back
 *
 *   vCPU: loop_timer_set() --(only if earlier than `rings_at`)--> timerfd, and the thread sleeps on
 *   vCPU: loop_post(), loop_fd_*() ---------------------------------> eventfd --> poll returns
 *
 * A guest sets a timer for each tick and each sleep. The thread waits for all of them through one timerfd, which
 * others move under it: setting a timer costs a system call but never two changes of threads. While a vCPU runs, it is
 * the keeper of the timers instead (loop_set_keeper), and the thread looks after descriptors and tasks only.
 *
 * I1  `asleep` is set under the lock before poll and cleared under it after: who holds the lock and sees !asleep
 *     may change anything without a wake-up, because the thread looks again.
 * I2  heap[0] is the earliest timer; heap[t->heap_pos] == t for every armed timer.
 * I3  A callback may add, delete or re-arm anything, itself included: nothing is cached across a callback.
 * I4  The timerfd is never read: it rings at rings_at (NEVER: not at all) until it is set anew; once that was
 *     seen, rings_at is 0. With a keeper it is off, and rings_at is when the keeper's alarm rings.
 *
 * Descriptors are few (a terminal, sockets, one eventfd for each disk), so poll is as good as epoll and
 * a linear list as good as a table.
 */

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/loop_int.h"

#define MAX_FDS 64

static struct loop *loop_make(bool stepped)
{
	struct loop *l = xalloc(sizeof(*l));

	l->stepped = stepped;
	l->start = loop_host_now();
	l->stands_at = NEVER;
	l->tasks_end = &l->tasks;
	l->wake_fd = l->timer_fd = -1;
	l->rings_at = NEVER;
	return l;
}

struct loop *loop_new(struct err *err)
{
	struct loop *l = loop_make(false);

	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->wake_fd < 0 || l->timer_fd < 0) {
		err_set(err, -errno, "cannot make an eventfd and a timerfd for the I/O thread: %s", strerror(errno));
		loop_free(l);
		return NULL;
	}
	return l;
}

struct loop *loop_new_stepped(void)
{
	return loop_make(true);
}

bool loop_is_stepped(const struct loop *l)
{
	return l->stepped;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	loop_stop(l);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	free(l);
}

static void wake(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n;

	if (!l->asleep)
		return;
	l->asleep = false; /* one write is enough; the thread sets it again before it sleeps */
	n = write(l->wake_fd, &one, sizeof(one));
	(void)n; /* EAGAIN: the counter is full, so it is readable */
}

/* --- tasks --- */

void loop_post(struct loop *l, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	*l->tasks_end = task;
	l->tasks_end = &task->next;
	wake(l);
}

/* Those queued now; what they post runs in the next round. */
static void tasks_run(struct loop *l)
{
	struct loop_task *list = l->tasks;

	l->tasks = NULL;
	l->tasks_end = &l->tasks;
	while (list) {
		struct loop_task *task = list;

		list = task->next;
		task->queued = false;
		task->fn(task->opaque);
	}
}

/* --- descriptors --- */

void loop_fd_add(struct loop_fd *f, struct loop *loop, int fd, short events, void (*ready)(void *, short), void *opaque)
{
	*f = (struct loop_fd){ .loop = loop, .fd = fd, .events = events, .ready = ready, .opaque = opaque,
		.next = loop->fds };
	loop->fds = f;
	wake(loop);
}

void loop_fd_set(struct loop_fd *f, short events)
{
	if (f->events == events)
		return;
	f->events = events;
	wake(f->loop);
}

void loop_fd_del(struct loop_fd *f)
{
	struct loop_fd **at;

	if (!f->loop)
		return;
	for (at = &f->loop->fds; *at; at = &(*at)->next) {
		if (*at == f) {
			*at = f->next;
			break;
		}
	}
	wake(f->loop);
	f->loop = NULL;
}

static bool fd_present(const struct loop *l, const struct loop_fd *f, int fd)
{
	const struct loop_fd *at;

	for (at = l->fds; at && at != f; at = at->next)
		;
	return at && at->fd == fd;
}

struct poll_set {
	struct pollfd pfd[MAX_FDS + 2];
	struct loop_fd *owner[MAX_FDS + 2];
	unsigned n;
};

/* A descriptor watched for nothing is left out: poll would report its hang-up for ever. */
static void poll_set_fill(const struct loop *l, struct poll_set *ps)
{
	ps->n = 0;
	for (struct loop_fd *f = l->fds; f; f = f->next) {
		if (!f->events)
			continue;
		must(ps->n < MAX_FDS);
		ps->pfd[ps->n] = (struct pollfd){ .fd = f->fd, .events = f->events };
		ps->owner[ps->n++] = f;
	}
}

static void poll_set_dispatch(struct loop *l, const struct poll_set *ps)
{
	for (unsigned i = 0; i < ps->n; i++) {
		struct loop_fd *f = ps->owner[i];

		if (ps->pfd[i].revents && fd_present(l, f, ps->pfd[i].fd) && f->events)
			f->ready(f->opaque, ps->pfd[i].revents);
	}
}

/* --- stepped loops --- */

void loop_step(struct loop *l, uint64_t ns)
{
	uint64_t target;
	struct poll_set ps;

	must(l->stepped);
	loop_lock(l);
	target = l->now + ns;
	poll_set_fill(l, &ps);
	if (ps.n && poll(ps.pfd, ps.n, 0) > 0)
		poll_set_dispatch(l, &ps);
	tasks_run(l);
	while (loop_fire_one(l, target))
		tasks_run(l);
	l->now = target;
	loop_unlock(l);
}

/* --- the thread --- */

/* Sleep without the lock until the first timer, a descriptor or wake(). */
static void poll_sleep(struct loop *l, struct poll_set *ps)
{
	struct pollfd *wake_at = &ps->pfd[ps->n], *timer_at = wake_at + 1;
	int timeout = l->tasks ? 0 : -1; /* tasks that tasks posted */
	uint64_t count;
	ssize_t n = 0;

	*wake_at = (struct pollfd){ .fd = l->wake_fd, .events = POLLIN };
	*timer_at = (struct pollfd){ .fd = l->timer_fd, .events = POLLIN };
	l->asleep = true;
	loop_unlock(l);
	if (poll(ps->pfd, ps->n + 2, timeout) <= 0) {
		for (unsigned i = 0; i < ps->n + 2; i++)
			ps->pfd[i].revents = 0;
	}
	if (wake_at->revents)
		n = read(l->wake_fd, &count, sizeof(count));
	(void)n; /* EAGAIN: nothing to clear */
	loop_lock(l);
	l->asleep = false;
	if (timer_at->revents && !l->alarm)
		l->rings_at = 0;
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;
	struct poll_set ps;

	pthread_setname_np(pthread_self(), "ring3-io");
	loop_lock(l);
	while (!l->stopping) {
		poll_set_fill(l, &ps);
		if (!l->alarm && l->rings_at != loop_first(l))
			loop_ring_at(l, loop_first(l));
		poll_sleep(l, &ps);
		poll_set_dispatch(l, &ps);
		tasks_run(l);
		if (!l->alarm)
			loop_fire_due(l);
	}
	loop_unlock(l);
	return NULL;
}

void loop_set_keeper(struct loop *l, void (*alarm)(void *opaque, uint64_t when), void *opaque)
{
	must(!l->stepped);
	loop_lock(l);
	if (l->rings_at != NEVER)
		loop_ring_at(l, NEVER); /* who kept them so far */
	l->alarm = alarm;
	l->alarm_opaque = opaque;
	if (alarm)
		loop_ring_at(l, loop_first(l));
	else
		wake(l);
	loop_unlock(l);
}

void loop_stand(struct loop *l)
{
	must(!l->stepped);
	loop_lock(l);
	must(l->stands_at == NEVER);
	loop_ring_at(l, NEVER);
	l->stands_at = loop_now(l);
	loop_unlock(l);
}

void loop_go(struct loop *l)
{
	uint64_t at;

	loop_lock(l);
	at = l->stands_at;
	must(at != NEVER);
	l->start = loop_host_now() - at;
	l->stands_at = NEVER;
	loop_ring_at(l, loop_first(l));
	wake(l);
	loop_unlock(l);
}

void loop_set(struct loop *l, uint64_t now)
{
	loop_lock(l);
	must(l->stands_at != NEVER && now < NEVER / 2);
	l->stands_at = now;
	loop_unlock(l);
}

int loop_start(struct loop *l, struct err *err)
{
	sigset_t all, old;
	int rc;

	must(!l->stepped && !l->running);
	l->stopping = false;
	/* Signals are the vCPU's and main thread's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&l->thread, NULL, loop_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return err_set(err, -rc, "cannot start the I/O thread: %s", strerror(rc));
	l->running = true;
	return 0;
}

void loop_stop(struct loop *l)
{
	if (!l->running)
		return;
	loop_lock(l);
	l->stopping = true;
	wake(l);
	loop_unlock(l);
	pthread_join(l->thread, NULL);
	l->running = false;
}

uint64_t loop_cpu_ns(struct loop *l)
{
	struct timespec ts = { 0 };
	clockid_t clock;

	if (l->running && !pthread_getcpuclockid(l->thread, &clock))
		clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}
