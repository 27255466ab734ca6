// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the process's terminal in raw mode, given back however the process ends
 *
 * The root below is file-scope because a signal handler must find it; a process has one controlling terminal, so
 * one is enough for any number of machines. The handler gives the terminal back, then lets the signal do what
 * it would have done: whoever installed a handler before us still gets it. SIGSEGV belongs to the engine;
 * it may call ui_term_restore(), which is SIGSAFE (write, tcsetattr, close).
 */
#include "ui/ui_int.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT};

static struct {
	volatile sig_atomic_t active;
	int fd;
	struct termios saved;
	const char *leave;
	struct sigaction old[ARRAY_LEN(fatal)];
	bool hooked;
} term;

void ui_term_restore(void)
{
	int saved_errno = errno;

	if (!term.active)
		return;
	term.active = 0;
	if (term.leave) {
		ssize_t n = write(term.fd, term.leave, strlen(term.leave));
		(void)n;
	}
	tcsetattr(term.fd, TCSANOW, &term.saved);
	close(term.fd);
	errno = saved_errno;
}

static void on_fatal(int sig)
{
	ui_term_restore();
	for (unsigned i = 0; i < ARRAY_LEN(fatal); i++)
		if (fatal[i] == sig)
			sigaction(sig, &term.old[i], NULL);
	raise(sig); /* delivered when this handler returns */
}

static void hook_once(void)
{
	struct sigaction sa = {.sa_handler = on_fatal};

	if (term.hooked)
		return;
	term.hooked = true;
	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < ARRAY_LEN(fatal); i++) {
		sigaction(fatal[i], NULL, &term.old[i]);
		if (term.old[i].sa_handler != SIG_IGN)
			sigaction(fatal[i], &sa, NULL);
	}
	atexit(ui_term_restore);
}

int ui_term_raw(int fd, const char *leave, struct err *err)
{
	struct termios raw;

	if (term.active)
		return err_set(err, -EBUSY, "the terminal is in use by another port or display already");
	if (tcgetattr(fd, &term.saved) < 0)
		return err_set(err, -errno, "cannot read the terminal's settings: %s", strerror(errno));
	raw = term.saved;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* OPOST stays, so that our own messages on standard error come out straight. */
	term.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* ours, whatever becomes of descriptor 0 */
	if (term.fd < 0)
		return err_set(err, -errno, "cannot duplicate the terminal's descriptor: %s", strerror(errno));
	term.leave = leave;
	hook_once();
	term.active = 1;
	if (tcsetattr(fd, TCSANOW, &raw) < 0) {
		int rc = -errno;

		term.active = 0;
		close(term.fd);
		return err_set(err, rc, "cannot make the terminal raw: %s", strerror(-rc));
	}
	return 0;
}

/* A closed pipe must come back as EPIPE from write(), not as the end of the machine. */
void ui_ignore_sigpipe(void)
{
	struct sigaction sa;

	if (sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
		sa.sa_handler = SIG_IGN;
		sigaction(SIGPIPE, &sa, NULL);
	}
}
