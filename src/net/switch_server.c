// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the process that is a switch: takes machines in, moves their frames, ends when the last has left
 *
 * A process of its own, so that it outlives the machine that needed it first and nobody's crash is everybody's. It has
 * nothing but its listener and a socket for each machine, no thread and no shared memory.
 *
 * I1  Each port has at most QUEUE_BYTES waiting; what is more is lost, for that port alone.
 * I2  It ends holding the lock, after a last look for who has connected meanwhile: who joins holds it too.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/switch_int.h"

#define QUEUE_BYTES MIB(1)
#define READS_MAX 32
/* Nobody has come: whoever made this switch is gone. */
#define ALONE_MS 5000

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t data[];
};

struct peer {
	int fd; /* -1: free */
	struct waiting *head, **tail;
	size_t bytes;
	bool broken;
};

struct server {
	struct switch_fabric fabric;
	struct peer peer[SWITCH_PORTS_MAX];
	unsigned npeers;
	uint8_t message[SWITCH_MESSAGE_MAX + 1];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void keep(struct peer *p, const struct iovec *iov, unsigned niov)
{
	struct waiting *w;
	size_t len = 0;

	for (unsigned i = 0; i < niov; i++)
		len += iov[i].iov_len;
	if (p->bytes + len > QUEUE_BYTES)
		return; /* I1 */
	w = try_alloc(sizeof(*w) + len, sizeof(*w) + SWITCH_MESSAGE_MAX);
	if (!w)
		return;
	for (unsigned i = 0; i < niov; i++) {
		memcpy(w->data + w->len, iov[i].iov_base, iov[i].iov_len);
		w->len += iov[i].iov_len;
	}
	*p->tail = w;
	p->tail = &w->next;
	p->bytes += len;
}

static void send_to(void *opaque, unsigned port, const struct switch_head *head, const struct iovec *iov, unsigned niov)
{
	struct server *s = opaque;
	struct peer *p = &s->peer[port];
	struct iovec all[4] = { { (void *)(uintptr_t)head, sizeof(*head) } };
	struct msghdr msg = { .msg_iov = all, .msg_iovlen = niov + 1 };

	if (niov)
		memcpy(all + 1, iov, niov * sizeof(*iov));
	if (!p->head && sendmsg(p->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return;
	if (p->head || errno == EAGAIN || errno == ENOBUFS)
		keep(p, all, niov + 1);
	else
		p->broken = true; /* seen when it is polled */
}

static void drop_first(struct peer *p)
{
	struct waiting *w = p->head;

	p->head = w->next;
	p->bytes -= w->len;
	if (!p->head)
		p->tail = &p->head;
	free(w);
}

static void flush(struct peer *p)
{
	while (p->head) {
		if (send(p->fd, p->head->data, p->head->len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
			p->broken |= errno != EAGAIN && errno != ENOBUFS;
			return;
		}
		drop_first(p);
	}
}

static void leave(struct server *s, unsigned port)
{
	struct peer *p = &s->peer[port];

	if (s->fabric.port[port].joined)
		switch_leave(&s->fabric, port);
	while (p->head)
		drop_first(p);
	close(p->fd);
	p->fd = -1;
	p->broken = false;
	s->npeers--;
}

static void read_peer(struct server *s, unsigned port)
{
	struct peer *p = &s->peer[port];

	for (unsigned i = 0; i < READS_MAX && !p->broken; i++) {
		ssize_t n = recv(p->fd, s->message, sizeof(s->message), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			p->broken = true;
		else if (s->fabric.port[port].joined)
			switch_forward(&s->fabric, port, s->message, (size_t)n, now_ms());
		else
			p->broken = !switch_join(&s->fabric, port, s->message, (size_t)n);
	}
}

/* False: nobody was there. */
static bool take_in(struct server *s, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	unsigned port = 0;

	if (fd < 0)
		return false;
	while (port < SWITCH_PORTS_MAX && s->peer[port].fd >= 0)
		port++;
	if (port == SWITCH_PORTS_MAX) {
		close(fd);
		return true;
	}
	s->peer[port] = (struct peer){ .fd = fd, .tail = &s->peer[port].head };
	s->npeers++;
	return true;
}

/* One round of waiting and work. False: nothing came. */
static bool serve_round(struct server *s, int listener, int timeout)
{
	struct pollfd fds[SWITCH_PORTS_MAX + 1] = { { .fd = listener, .events = POLLIN } };
	int n;

	for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
		fds[i + 1] = (struct pollfd){ .fd = s->peer[i].fd,
			.events = (short)(POLLIN | (s->peer[i].head ? POLLOUT : 0)) };
	n = poll(fds, SWITCH_PORTS_MAX + 1, timeout);
	for (unsigned i = 0; i < SWITCH_PORTS_MAX && n > 0; i++) {
		if (fds[i + 1].revents & POLLOUT)
			flush(&s->peer[i]);
		if (fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
			read_peer(s, i);
	}
	for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
		if (s->peer[i].fd >= 0 && s->peer[i].broken)
			leave(s, i);
	if (fds[0].revents)
		take_in(s, listener);
	return n != 0;
}

/* I2. False: somebody has come, or is coming. */
static bool end(struct server *s, int listener, const char *path)
{
	char name[120];
	int lock = switch_lock(path, NULL);

	if (lock < 0)
		return false;
	if (take_in(s, listener)) {
		close(lock);
		return false;
	}
	unlink(path);
	snprintf(name, sizeof(name), "%s.lock", path);
	unlink(name);
	close(lock);
	return true;
}

int switch_serve(int listener, const char *path, bool lasting)
{
	struct server *s = xalloc(sizeof(*s));
	bool came = false;

	s->fabric.send = send_to;
	s->fabric.opaque = s;
	for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
		s->peer[i].fd = -1;
	net_ignore_sigpipe();
	for (;;) {
		bool something = serve_round(s, listener, s->npeers || lasting ? -1 : came ? 10 : ALONE_MS);

		came |= s->npeers != 0;
		if (!s->npeers && !lasting && (came || !something) && end(s, listener, path))
			break;
	}
	close(listener);
	free(s);
	return 0;
}
