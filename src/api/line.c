// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the other end of a control socket, for tools: connect, negotiate, call, wait for the answer
 *
 * The server may be anything that listens there, so what it sends is bounded as well, and waited for with an end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "api/api.h"
#include "api/json.h"
#include "api/place.h"

#define LINE_MAX_ MIB(4)
#define WAIT_S 30

struct api_link {
	int fd;
	char *buf;
	size_t len, cap, used; /* bytes in buf; those of the last line */
};

void api_link_close(struct api_link *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	free(l->buf);
	free(l);
}

static int fill(struct api_link *l, struct err *err)
{
	ssize_t n;

	if (l->len == l->cap) {
		size_t cap = MAX(2 * l->cap, KIB(8));
		char *buf = cap <= LINE_MAX_ ? realloc(l->buf, cap) : NULL;

		if (!buf)
			return err_set(err, -EIO, "the machine's answer is too long");
		l->buf = buf;
		l->cap = cap;
	}
	n = read(l->fd, l->buf + l->len, l->cap - l->len);
	if (n < 0 && errno == EAGAIN)
		return err_set(err, -EIO, "the machine has not answered for %d s", WAIT_S);
	if (n <= 0)
		return err_set(err, -EIO, "the machine has closed the connection%s%s", n ? ": " : "", n ? strerror(errno) : "");
	l->len += (size_t)n;
	return 0;
}

/* The next line, parsed. */
static struct json *next(struct api_link *l, struct err *err)
{
	char *end;

	memmove(l->buf, l->buf + l->used, l->len - l->used);
	l->len -= l->used;
	l->used = 0;
	while (!(end = l->len ? memchr(l->buf, '\n', l->len) : NULL))
		if (fill(l, err))
			return NULL;
	l->used = (size_t)(end - l->buf) + 1;
	return js_parse(l->buf, l->used, err);
}

static int send_all(struct api_link *l, const char *text, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = send(l->fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return err_set(err, -EIO, "the machine takes no command: %s", strerror(errno));
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_command(struct api_link *l, const char *command, struct json *args, struct err *err)
{
	struct json *msg = js_set(js_object(), "execute", js_str(command));
	char *line = js_print(js_set(msg, "arguments", args), false);
	int rc = line ? send_all(l, line, strlen(line), err) : err_set(err, -ENOMEM, "no memory for the command");

	free(line);
	js_free(msg);
	return rc;
}

static struct json *answer(struct api_link *l, struct err *err)
{
	for (;;) {
		struct json *msg = next(l, err), *e = js_get(msg, "error"), *r = js_get(msg, "return");

		if (!msg)
			return NULL;
		if (e)
			err_set(err, -EPROTO, "%s", js_get_str(e, "desc", "?"));
		r = r ? js_keep(r) : NULL;
		if (r || e) {
			js_free(msg);
			return r;
		}
		js_free(msg); /* an event */
	}
}

struct json *api_link_call(struct api_link *l, const char *command, struct json *args, struct err *err)
{
	return send_command(l, command, args, err) ? NULL : answer(l, err);
}

static int negotiate(struct api_link *l, struct err *err)
{
	struct json *greeting = next(l, err), *r;
	bool ok = greeting && js_get(greeting, "QMP");

	if (greeting && !ok)
		err_set(err, -EPROTO, "what answers there is no control socket");
	js_free(greeting);
	if (!ok)
		return -EPROTO;
	r = api_link_call(l, "qmp_capabilities", NULL, err);
	js_free(r);
	return r ? 0 : -EPROTO;
}

static int address(const char *where, char *buf, size_t len, struct err *err)
{
	char path[API_PATH_MAX];

	if (!strncmp(where, "unix:", 5) || !strncmp(where, "tcp:", 4)) {
		snprintf(buf, len, "%s", where);
	} else if (strchr(where, '/')) {
		snprintf(buf, len, "unix:%s", where);
	} else {
		if (api_socket_path(where, path, err))
			return -EINVAL;
		if (!api_name_used(where))
			return err_set(err, -ENOENT, "no machine is called '%s': `ring3 ps` lists those there are", where);
		snprintf(buf, len, "unix:%s", path);
	}
	return 0;
}

struct api_link *api_link_open(const char *where, struct err *err)
{
	struct timeval wait = { .tv_sec = WAIT_S };
	struct api_link *l = xalloc(sizeof(*l));
	char addr[512];

	l->fd = -1;
	l->cap = KIB(8);
	l->buf = xalloc(l->cap);
	if (address(where, addr, sizeof(addr), err))
		goto fail;
	l->fd = api_connect(addr, err);
	if (l->fd < 0)
		goto fail;
	setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (negotiate(l, err))
		goto fail;
	return l;
fail:
	api_link_close(l);
	return NULL;
}
