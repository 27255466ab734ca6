// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 console`: this terminal on a running machine's serial console, until it is detached
 *
 * The console is a stream on a Unix socket (--serial attach, or unix:PATH), which query-chardev tells of. One client at
 * a time has it, and the machine goes on without.
 *
 *   keys --escape: Ctrl-A d leaves--> socket --> guest        guest --> socket --> screen
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "api/place.h"
#include "cli/cli.h"
#include "cli/ctl.h"

#define CTRL_A 1

static const char usage[] =
	"usage: ring3 console [NAME|SOCKET]\n"
	"\n"
	"Connects this terminal to the machine's serial console: its first port that was started with\n"
	"`--serial attach` or `--serial unix:PATH`. Ctrl-A d detaches, and the machine goes on; Ctrl-A Ctrl-A\n"
	"sends a Ctrl-A. Without a terminal, the end of input detaches.\n";

/* The machine's paths are those of its own folder. */
static char *absolute_of(const char *path, int64_t pid)
{
	char *full;

	if (*path == '/' || asprintf(&full, "/proc/%lld/cwd/%s", (long long)pid, path) < 0)
		return xstrdup(path);
	return full;
}

/* "unix:PATH" of the first console that can be attached to, to be freed. */
static char *find_console(struct api_link *l, struct err *err)
{
	struct json *all = api_link_call(l, "query-chardev", NULL, err), *engine;
	const char *at = NULL;
	char *path, *where = NULL;

	for (size_t i = 0; all && !at && i < js_len(all); i++) {
		at = js_get_str(js_at(all, i), "filename", "");
		at = strncmp(at, "unix:", 5) ? NULL : at + 5;
	}
	engine = at ? api_link_call(l, "x-ring3-engine", NULL, err) : NULL;
	if (engine) {
		path = absolute_of(at, js_get_int(engine, "pid", 0));
		must(asprintf(&where, "unix:%s", path) > 0);
		free(path);
		js_free(engine);
	} else if (all && !at) {
		err_set(err, -EINVAL, "the machine has no console to attach to: start it with --serial attach");
	}
	js_free(all);
	return where;
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* What of the keys is for the guest, in place; *leave: Ctrl-A d was among them. */
static size_t filter(char *keys, size_t n, bool *prefixed, bool *leave)
{
	size_t out = 0;

	for (size_t i = 0; i < n && !*leave; i++) {
		bool escape = *prefixed;

		*prefixed = !escape && keys[i] == CTRL_A;
		*leave = escape && keys[i] == 'd';
		if (!*prefixed && (!escape || keys[i] == CTRL_A))
			keys[out++] = keys[i];
	}
	return out;
}

/* 0: detached. */
static int relay(int fd, bool typed, struct err *err)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	bool prefixed = false, leave = false;
	char buf[4096];

	while (!leave) {
		ssize_t n = 0;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_set(err, -errno, "cannot wait for input: %s", strerror(errno));
		if (p[1].revents) {
			n = read(fd, buf, sizeof(buf));
			if (n <= 0)
				return err_set(err, -EIO, "the machine has closed its console");
			if (!write_all(STDOUT_FILENO, buf, (size_t)n))
				return 0;
		}
		if (!p[0].revents)
			continue;
		n = read(STDIN_FILENO, buf, sizeof(buf));
		if (n <= 0)
			return 0;
		n = typed ? (ssize_t)filter(buf, (size_t)n, &prefixed, &leave) : n;
		if (!write_all(fd, buf, (size_t)n))
			return err_set(err, -EIO, "the machine has closed its console");
	}
	return 0;
}

static int attach(int fd, struct err *err)
{
	struct termios old, raw;
	bool typed = !tcgetattr(STDIN_FILENO, &old);
	int rc;

	if (typed) {
		fputs("attached: Ctrl-A d detaches\r\n", stderr);
		raw = old;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	rc = relay(fd, typed, err);
	if (typed) {
		tcsetattr(STDIN_FILENO, TCSADRAIN, &old);
		fputs("\r\n", stderr);
	}
	return rc;
}

int cmd_console(int argc, char **argv)
{
	struct err err = { .code = 0 };
	struct api_link *l;
	char *where;
	int fd, rc;

	if (ctl_wants_help(argc, argv)) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "ring3: unexpected argument '%s': ring3 console [NAME|SOCKET]\n", argv[1]);
		return EXIT_BAD_INPUT;
	}
	signal(SIGPIPE, SIG_IGN);
	l = ctl_open(argc ? argv[0] : NULL, &err);
	where = l ? find_console(l, &err) : NULL;
	api_link_close(l);
	if (!where)
		return ctl_complain(&err);
	fd = api_connect(where, &err);
	free(where);
	if (fd < 0)
		return ctl_complain(&err);
	rc = attach(fd, &err);
	close(fd);
	return rc ? ctl_complain(&err) : 0;
}
