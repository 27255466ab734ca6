// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the vCPU's thread keeps the machine's timers: a POSIX timer interrupts it by a signal when one is due
 *
 * Most timers are for the CPU: they end in an interrupt for it. Were they the I/O thread's, each tick would wake that
 * thread, on another core, which then wakes the vCPU or stops its translated code; on hosts that are virtual machines
 * themselves an interrupt between cores takes tens of microseconds. So the host's timer comes to the vCPU's thread:
 *
 *   chip: loop_timer_set() --loop--> alarm() --timer_settime--> ... SIGVTALRM --on_alarm--> REQ_TIMERS, poll = 0
 *                                            `-(near: no timer)-------------- vcpu_request --^
 *   run loop: REQ_TIMERS --> loop_keep_timers() --> chips' callbacks, the next alarm()
 *
 * A sleeper cannot miss it (vcpu_sleep): the handler runs in the thread that sleeps, and clears `sleeping`, which the
 * futex compares. Before FUTEX_WAIT it makes that return at once (EAGAIN), within it makes it return (EINTR), and
 * afterwards the request is seen anyway. The handler writes with atomic stores only.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vcpu/vcpu_int.h"

#define NS_PER_S 1000000000ull

static void on_alarm(int sig, siginfo_t *si, void *ctx)
{
	struct vcpu *v = si->si_value.sival_ptr;

	if (si->si_code != SI_TIMER || !v)
		return;
	__atomic_fetch_or(&v->cpu->request, (uint32_t)REQ_TIMERS, __ATOMIC_SEQ_CST);
	v->engine->kick(v->cpu);
	__atomic_store_n(&v->sleeping, 0, __ATOMIC_SEQ_CST);
}

static bool unblock(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGVTALRM);
	return !pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ThreadSanitizer holds such signals back until the thread calls a function that it knows. */
#ifdef RING3_TSAN
#define SIGNALS_COME false
#else
#define SIGNALS_COME true
#endif

void vcpu_alarm_begin(struct vcpu *v)
{
	struct sigaction sa = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM };

	ev.sigev_value.sival_ptr = v;
	ev._sigev_un._tid = gettid();
	v->keeper = SIGNALS_COME && !v->cfg.number && !loop_is_stepped(v->cfg.loop) &&
	            !sigaction(SIGVTALRM, &sa, NULL) && unblock() &&
	            !timer_create(CLOCK_MONOTONIC, &ev, &v->alarm);
	if (v->keeper)
		loop_set_keeper(v->cfg.loop, vcpu_alarm, v);
	else if (!v->cfg.number)
		log_at(LOG_DEBUG, "vcpu: no timer signal on this host, the I/O thread keeps the time");
}

void vcpu_alarm_end(struct vcpu *v)
{
	if (!v->keeper)
		return;
	v->keeper = false;
	loop_set_keeper(v->cfg.loop, NULL, NULL);
	timer_delete(v->alarm);
}
