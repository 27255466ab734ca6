// SPDX-License-Identifier: GPL-2.0-or-later
/* what: log lines on standard error, and the rate limit for what a guest can provoke
 *
 * The threshold and the rate limiter are process-wide: log lines go to the one standard error of the
 * process, whichever machine wrote them. A line is written with one write(2), so lines of several
 * threads do not mix. guest_log() is called by chips that may have been entered with the guest's vector registers live
 * (clock.c), so what it prints is made in a shelter. They, and what is for debugging, may hold the lock of the device
 * world: such a line is dropped if standard error, a pipe or a stopped terminal, would make it wait.
 */
#include "base/base.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/shelter.h"

#define GUEST_LINES_PER_SECOND 20

static _Atomic int threshold = LOG_WARN;
static _Atomic uint32_t guest_second;
static _Atomic uint32_t guest_lines;

void log_set_level(enum log_level level)
{
	atomic_store(&threshold, (int)level);
}

static PRINTF_LIKE(2, 0) void log_line(const char *prefix, const char *fmt, va_list ap)
{
	char line[1024];
	size_t n = (size_t)snprintf(line, sizeof(line), "ring3: %s", prefix);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): guest_log() has started it, in a structure */
	int m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	ssize_t done;

	if (m > 0)
		n += MIN((size_t)m, sizeof(line) - n - 2);
	if (line[n - 1] != '\n')
		line[n++] = '\n';
	done = write(STDERR_FILENO, line, n);
	(void)done; /* nobody to tell */
}

/* A pipe that is ready takes PIPE_BUF bytes at once, which no line exceeds. */
static bool stderr_is_ready(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };
	va_list ap;

	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	if (level == LOG_DEBUG && !stderr_is_ready())
		return;
	va_start(ap, fmt);
	log_line(prefix[level], fmt, ap);
	va_end(ap);
}

/* How many lines this second saw before this one; the race at the turn of a second costs a line or two. */
static uint32_t guest_line_number(void)
{
	struct timespec ts;
	uint32_t now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (uint32_t)ts.tv_sec;
	if (atomic_exchange(&guest_second, now) != now)
		atomic_store(&guest_lines, 0);
	return atomic_fetch_add(&guest_lines, 1);
}

struct guest_line {
	const char *fmt;
	va_list ap;
};

static void guest_write(void *arg)
{
	struct guest_line *line = arg;
	uint32_t nr = guest_line_number();

	if (!stderr_is_ready())
		return;
	if (nr < GUEST_LINES_PER_SECOND)
		log_line("guest: ", line->fmt, line->ap);
	else if (nr == GUEST_LINES_PER_SECOND)
		log_at(LOG_INFO, "guest: more lines this second are not shown");
}

void guest_log(const char *fmt, ...)
{
	struct guest_line line = { .fmt = fmt };

	if (atomic_load_explicit(&threshold, memory_order_relaxed) < LOG_INFO)
		return;
	va_start(line.ap, fmt);
	shelter_call(guest_write, &line);
	va_end(line.ap);
}
