// SPDX-License-Identifier: GPL-2.0-or-later
/* what: samples of where the vCPU's thread is, taken by a timer on its CPU clock (--stats)
 *
 * The timer counts the thread's CPU time only, so a sleeping vCPU takes no samples. Its signal is SIGPROF, told from
 * anybody else's by SI_TIMER; the machine's counters come along in the signal's value, so nothing here is global. Linux
 * checks CPU timers at its tick: intervals shorter than that come as overruns, which are not counted.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "vcpu/vcpu_int.h"

#define SAMPLE_NS 999331 /* prime: in step with nothing that the guest does */

static bool within(const uint64_t range[2], uint64_t pc)
{
	return pc >= range[0] && pc < range[1];
}

static void on_sample(int sig, siginfo_t *si, void *ctx)
{
	const ucontext_t *uc = ctx;
	uint64_t pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	struct stats *st = si->si_value.sival_ptr;

	if (si->si_code != SI_TIMER || !st)
		return;
	if (within(st->code, pc))
		st->samples[STATS_OPS + PHASE_TRANSLATED]++;
	else if (within(st->gates, pc))
		st->samples[STATS_OPS + PHASE_GATES]++;
	else
		st->samples[st->where]++;
}

int vcpu_sample_start(struct vcpu *v, struct err *err)
{
	struct sigaction sa = { .sa_sigaction = on_sample, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
	struct itimerspec every = { { 0, SAMPLE_NS }, { 0, SAMPLE_NS } };

	ev.sigev_value.sival_ptr = &v->cpu->stats;
	ev._sigev_un._tid = gettid();
	if (sigaction(SIGPROF, &sa, NULL) < 0 || timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &v->sampler) < 0)
		return err_set(err, -errno, "cannot make a timer for --stats: %s", strerror(errno));
	if (timer_settime(v->sampler, 0, &every, NULL) < 0) {
		timer_delete(v->sampler);
		return err_set(err, -errno, "cannot start a timer for --stats: %s", strerror(errno));
	}
	return 0;
}

void vcpu_sample_stop(struct vcpu *v)
{
	timer_delete(v->sampler);
}
