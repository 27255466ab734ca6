// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a stream on a listening Unix socket, one client at a time
 *
 * Further clients wait in the socket's backlog until the first has gone. Output without a client is dropped:
 * a log of the past belongs in a file. A socket file whose listener is dead is replaced, any other file is not.
 */
#include "ui/ui_int.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct unix_priv {
	struct loop_fd listener;
	int fd;
	struct sockaddr_un addr;
	bool bound;
};

static void client_gone(struct ui_stream *s)
{
	struct unix_priv *p = s->priv;
	int fd = MAX(s->in_fd, s->out_fd);

	if (fd < 0)
		return;
	stream_unwatch(s);
	close(fd);
	s->in_fd = s->out_fd = -1;
	loop_fd_set(&p->listener, POLLIN);
}

static void client_came(void *opaque, short revents)
{
	struct ui_stream *s = opaque;
	struct unix_priv *p = s->priv;
	int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	loop_fd_set(&p->listener, 0);
	s->in_fd = s->out_fd = fd;
	stream_watch(s);
}

static void unix_fini(struct ui_stream *s)
{
	struct unix_priv *p = s->priv;

	client_gone(s);
	loop_fd_del(&p->listener);
	if (p->fd >= 0)
		close(p->fd);
	if (p->bound)
		unlink(p->addr.sun_path);
	free(p);
}

/* A socket file nobody listens on is left from a run that was killed. */
static void remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED)
		unlink(addr->sun_path);
	close(fd);
}

int stream_unix_open(struct ui_stream *s, const char *path, struct err *err)
{
	struct unix_priv *p;

	if (strlen(path) >= sizeof(p->addr.sun_path))
		return err_set(err, -ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
		               sizeof(p->addr.sun_path) - 1);
	p = xalloc(sizeof(*p));
	p->addr.sun_family = AF_UNIX;
	memcpy(p->addr.sun_path, path, strlen(path) + 1);
	s->priv = p;
	s->fini = unix_fini;
	s->hangup = client_gone;
	s->is_socket = true;
	remove_stale(&p->addr);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&p->addr, sizeof(p->addr)) < 0)
		return err_set(err, -errno, "cannot make the socket %s: %s", path, strerror(errno));
	p->bound = true;
	if (listen(p->fd, 4) < 0)
		return err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
	loop_fd_add(&p->listener, s->loop, p->fd, POLLIN, client_came, s);
	return 0;
}
