// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of error text, fallible allocation, and log lines that may not wait */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

static void set_and_prefix(void **state)
{
	/* A message gets its context in front and stays terminated however long it grows. */
	struct err err;

	assert_int_equal(err_set(&err, -ENOENT, "no %s", "file"), -ENOENT);
	assert_int_equal(err_prefix(&err, -EINVAL, "disk %d", 3), -EINVAL);
	assert_string_equal(err.msg, "disk 3: no file");
	for (int i = 0; i < 100; i++)
		err_prefix(&err, 0, "and again");
	assert_true(strlen(err.msg) < sizeof(err.msg));
	assert_int_equal(err_set(NULL, -EIO, "nobody reads this"), -EIO);
}

static void host_or_user(void **state)
{
	/* docs/exit-status.md: what the host lacks is status 1, bad input 2; the first failure decides, prefixes do not. */
	struct err err;

	err_set(&err, -ENOMEM, "no memory");
	err_prefix(&err, -EINVAL, "--memory");
	assert_true(err_is_host(&err));
	err_set(&err, -ENOENT, "no file");
	err_prefix(&err, -EIO, "--disk");
	assert_false(err_is_host(&err));
}

static void limits(void **state)
{
	/* Sizes from outside are refused above the limit. */
	void *p = try_alloc(16, 16);

	assert_non_null(p);
	assert_null(try_alloc(17, 16));
	free(p);
}

static void log_never_waits(void **state)
{
	/* log.c: what a guest provokes, and what is for debugging, does not wait for whoever reads standard error. */
	static const char zeros[4096];
	int fds[2], was = dup(STDERR_FILENO);

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	while (write(fds[1], zeros, sizeof(zeros)) > 0)
		;
	assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	log_set_level(LOG_DEBUG);
	alarm(20); /* the end, if it waits */
	guest_log("a guest that does what it should not");
	log_at(LOG_DEBUG, "something to look at");
	alarm(0);
	log_set_level(LOG_WARN);
	dup2(was, STDERR_FILENO);
	close(was);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(set_and_prefix), cmocka_unit_test(host_or_user),
		cmocka_unit_test(limits), cmocka_unit_test(log_never_waits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
