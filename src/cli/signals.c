// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the signals that end a machine, or ask for its report, become file descriptors that can be waited for
 *
 * They are blocked in every thread but taken by one that sleeps in sigwait(). A signalfd would need no thread, but who
 * polls one is woken by every signal of the process, so each page fault of translated code would interrupt another core
 * (Linux 6.18, signalfd_notify).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/cli.h"

static void *take_signals(void *opaque)
{
	const struct run_signals *s = opaque;
	const uint64_t one = 1;
	int sig;

	while (!sigwait(&s->set, &sig) && !__atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE))
		if (write(sig == SIGUSR1 ? s->stats_fd : s->quit_fd, &one, sizeof(one)) < 0)
			break;
	return NULL;
}

/* nohup(1) */
static bool ignored(int sig)
{
	struct sigaction sa;

	return !sigaction(sig, NULL, &sa) && sa.sa_handler == SIG_IGN;
}

int signals_start(struct run_signals *s, bool stats, struct err *err)
{
	int rc;

	s->stopping = false;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&s->set);
	sigaddset(&s->set, SIGINT);
	sigaddset(&s->set, SIGTERM);
	if (!ignored(SIGHUP)) /* sigwait() would see it all the same */
		sigaddset(&s->set, SIGHUP);
	if (stats)
		sigaddset(&s->set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s->set, NULL);
	s->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->stats_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = s->quit_fd < 0 || s->stats_fd < 0 ? errno : pthread_create(&s->thread, NULL, take_signals, s);
	if (!rc)
		return 0;
	close(s->quit_fd);
	close(s->stats_fd);
	return err_set(err, -rc, "cannot wait for signals: %s", strerror(rc));
}

void signals_stop(struct run_signals *s)
{
	__atomic_store_n(&s->stopping, true, __ATOMIC_RELEASE);
	pthread_kill(s->thread, SIGINT);
	pthread_join(s->thread, NULL);
	close(s->quit_fd);
	close(s->stats_fd);
}
