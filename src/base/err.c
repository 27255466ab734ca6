// SPDX-License-Identifier: GPL-2.0-or-later
/* what: error text for people, failed assertions, and allocation that cannot or may fail
 *
 * must() ends the process, so it may run anywhere, a signal handler's thread included: it writes with
 * dprintf only and calls the dump hook once, even if the hook itself trips over a must().
 */
#include "base/base.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Process-wide on purpose: a failed must() has no instance at hand. */
static struct {
	void (*dump)(void *opaque);
	void *opaque;
	atomic_bool failing;
} dump_hook;

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

bool err_is_host(const struct err *err)
{
	static const int host[] = { ENOMEM, EAGAIN, EMFILE, ENFILE, ENOSPC, ENOSYS, EIO };

	for (unsigned i = 0; i < ARRAY_LEN(host); i++)
		if (err->code == -host[i])
			return true;
	return false;
}

int err_prefix(struct err *err, int code, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list ap;
	size_t n;

	if (!err)
		return code;
	memcpy(old, err->msg, sizeof(old));
	old[sizeof(old) - 1] = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", old);
	return code;
}

void must_set_dump(void (*dump)(void *opaque), void *opaque)
{
	dump_hook.dump = dump;
	dump_hook.opaque = opaque;
}

noreturn void must_failed(const char *what, const char *file, int line)
{
	dprintf(STDERR_FILENO, "ring3: internal error: %s does not hold (%s:%d)\n", what, file, line);
	if (!atomic_exchange(&dump_hook.failing, true) && dump_hook.dump)
		dump_hook.dump(dump_hook.opaque);
	abort();
}

void *xalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	must(p != NULL);
	return p;
}

char *xstrdup(const char *s)
{
	char *p = strdup(s);

	must(p != NULL);
	return p;
}

void *try_alloc(size_t size, size_t limit)
{
	if (size > limit)
		return NULL;
	return calloc(1, size ? size : 1);
}
