// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a network that is a socket to another machine, QEMU's for one: a stream of frames, or a datagram for each
 *
 *   connect=  the link is up while there is a connection; when it ends, another try every second
 *   listen=   one peer at a time; others wait in the backlog
 *   dgram=    no connection: what cannot be sent for want of a peer is lost
 *
 * I1  At most one frame is held for the socket (out). While it is, the card keeps its frames; a peer that takes nothing
 *     for a second loses what comes until it does again (stuck).
 * I2  While the card refuses a frame of the peer's, the socket is not read; then the peer waits, or the host drops.
 * Only what is cut and finished goes out: neither framing can say more of a frame.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/address.h"
#include "net/net_int.h"

#define RETRY_NS 1000000000ull
#define PATIENCE_NS 1000000000ull
/* Frames taken from a peer before others have their turn. */
#define READS_MAX 64

struct link {
	struct net *net;
	enum net_socket_way way;
	struct net_address remote, local;
	int listener, fd;
	bool bound, connecting, stuck, held;
	bool peer; /* dgram: it is connected */
	struct loop_fd listening, watch;
	struct loop_timer retry, patience;
	size_t out_len, out_at;
	uint8_t out[NET_FRAMER_HEAD + NET_FRAME_MAX];
	struct net_framer in;
	uint32_t datagram; /* bytes of in.buf that are a frame the card has refused */
};

static void set_events(struct link *l)
{
	short events = (short)((l->held ? 0 : POLLIN) | (l->out_len || l->connecting ? POLLOUT : 0));

	if (l->fd >= 0)
		loop_fd_set(&l->watch, events);
}

static void lost(struct link *l)
{
	if (l->fd < 0)
		return;
	loop_fd_del(&l->watch);
	close(l->fd);
	l->fd = -1;
	l->connecting = l->stuck = l->held = false;
	l->out_len = l->out_at = 0;
	l->in.at = l->in.have = 0;
	loop_timer_cancel(&l->patience);
	net_set_link(l->net->end, false);
	net_ready(l->net->end); /* what waited for the peer goes nowhere */
	if (l->way == NET_SOCKET_LISTEN)
		loop_fd_set(&l->listening, POLLIN);
	else
		loop_timer_set(&l->retry, loop_now(l->net->loop) + RETRY_NS);
}

/* --- out --- */

/* What is held, as far as the socket takes it. False: not all. */
static bool flush(struct link *l)
{
	while (l->out_at < l->out_len) {
		ssize_t n = send(l->fd, l->out + l->out_at, l->out_len - l->out_at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
			if (l->way != NET_SOCKET_DGRAM) {
				lost(l);
				return false;
			}
			l->peer = false;
			break; /* nobody there */
		}
		if (n < 0)
			return false;
		l->out_at += (size_t)n;
		l->stuck = false;
		loop_timer_cancel(&l->patience);
	}
	l->out_at = l->out_len = 0;
	return true;
}

static void out_of_patience(void *opaque)
{
	struct link *l = opaque;

	l->stuck = true;
	net_ready(l->net->end);
}

static bool receive(void *opaque, const struct net_frame *f)
{
	struct link *l = opaque;
	bool dgram = l->way == NET_SOCKET_DGRAM;

	if (l->fd < 0 || l->connecting)
		return true;
	if (l->out_len)
		return l->stuck;
	if (dgram && !l->peer) /* who may have come, or come again */
		l->peer = !connect(l->fd, (struct sockaddr *)&l->remote.addr, l->remote.len);
	put_be32(l->out, f->len);
	l->out_len = (dgram ? 0 : NET_FRAMER_HEAD) + net_frame_copy(f, 0, l->out + (dgram ? 0 : NET_FRAMER_HEAD), f->len);
	if (!flush(l) && l->out_len) {
		loop_timer_set(&l->patience, loop_now(l->net->loop) + PATIENCE_NS);
		set_events(l);
	}
	return true;
}

/* --- in --- */

static bool pass(struct link *l, uint8_t *data, uint32_t len)
{
	struct iovec iov = { data, len };

	l->held = !net_send(l->net->end, &(struct net_frame){ .iov = &iov, .niov = 1, .len = len });
	return !l->held;
}

/* Frames that are whole. False: the card does not take them now. */
static bool pass_all(struct link *l)
{
	uint8_t *data;
	uint32_t len;
	int ret;

	while ((ret = net_framer_next(&l->in, &data, &len)) > 0) {
		if (!pass(l, data, len))
			return false;
		net_framer_drop(&l->in);
	}
	if (!ret)
		return true;
	log_at(LOG_WARN, "the peer of a network socket sends what is no frame; the connection ends");
	lost(l);
	return false;
}

static void read_stream(struct link *l)
{
	size_t room;
	uint8_t *to = net_framer_room(&l->in, &room);
	ssize_t n = recv(l->fd, to, room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lost(l);
		return;
	}
	net_framer_add(&l->in, (size_t)n);
	pass_all(l);
}

static void read_datagrams(struct link *l)
{
	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(l->fd, l->in.buf, NET_FRAME_MAX, 0);

		if (n < 0)
			return; /* nothing, or an old error of a peer that is not there */
		if (!pass(l, l->in.buf, (uint32_t)n)) {
			l->datagram = (uint32_t)n;
			return;
		}
	}
}

static void card_ready(void *opaque)
{
	struct link *l = opaque;

	if (!l->held || l->fd < 0)
		return;
	if (l->way != NET_SOCKET_DGRAM)
		pass_all(l);
	else
		pass(l, l->in.buf, l->datagram);
	set_events(l);
}

static const struct net_end_ops end_ops = { .receive = receive, .ready = card_ready };

/* --- connections --- */

static void connected(struct link *l)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		lost(l);
		return;
	}
	l->connecting = false;
	net_set_link(l->net->end, true);
}

static void on_ready(void *opaque, short revents)
{
	struct link *l = opaque;

	if (l->connecting && revents & (POLLOUT | POLLERR | POLLHUP))
		connected(l);
	else if (l->out_len && revents & POLLOUT && flush(l))
		net_ready(l->net->end);
	if (l->fd >= 0 && revents & (POLLIN | POLLHUP | POLLERR) && !l->held) {
		if (l->way == NET_SOCKET_DGRAM)
			read_datagrams(l);
		else
			read_stream(l);
	}
	set_events(l);
}

static void begin(struct link *l, int fd)
{
	l->fd = fd;
	loop_fd_add(&l->watch, l->net->loop, fd, POLLIN, on_ready, l);
	set_events(l);
}

static void on_peer(void *opaque, short revents)
{
	struct link *l = opaque;
	int fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	loop_fd_set(&l->listening, 0);
	begin(l, fd);
	net_set_link(l->net->end, true);
}

static void on_retry(void *opaque)
{
	struct link *l = opaque;
	int fd = net_connect(&l->remote, SOCK_STREAM, NULL);

	if (fd < 0) {
		loop_timer_set(&l->retry, loop_now(l->net->loop) + RETRY_NS);
		return;
	}
	l->connecting = true;
	begin(l, fd);
}

/* --- life --- */

static int open_listener(struct link *l, const struct net_config *cfg, struct err *err)
{
	int ret = net_find_address(&l->local, cfg->address, true, true, err);

	if (ret)
		return ret;
	l->listener = net_bind(&l->local, SOCK_STREAM, err);
	if (l->listener < 0)
		return l->listener;
	l->bound = true;
	net_set_link(l->net->end, false);
	loop_fd_add(&l->listening, l->net->loop, l->listener, POLLIN, on_peer, l);
	return 0;
}

/* The first connection is waited for, a while: a user who mistyped it should hear of it. */
static int open_connection(struct link *l, const struct net_config *cfg, struct err *err)
{
	int ret = net_find_address(&l->remote, cfg->address, true, false, err), fd, error = 0;
	socklen_t len = sizeof(error);
	struct pollfd p;

	if (ret)
		return ret;
	fd = net_connect(&l->remote, SOCK_STREAM, err);
	if (fd < 0)
		return fd;
	p = (struct pollfd){ .fd = fd, .events = POLLOUT };
	if (poll(&p, 1, 5000) <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		close(fd);
		return err_set(err, -(error ? error : ETIMEDOUT), "cannot connect to '%s': %s", cfg->address,
		               strerror(error ? error : ETIMEDOUT));
	}
	begin(l, fd);
	return 0;
}

static int open_datagrams(struct link *l, const struct net_config *cfg, struct err *err)
{
	int ret = net_find_address(&l->remote, cfg->address, false, false, err), fd;

	if (!ret)
		ret = net_find_address(&l->local, cfg->local, false, true, err);
	if (ret)
		return ret;
	if (l->remote.addr.ss_family != l->local.addr.ss_family)
		return err_set(err, -EINVAL, "'%s' and '%s' are of different kinds", cfg->address, cfg->local);
	fd = net_bind(&l->local, SOCK_DGRAM, err);
	if (fd < 0)
		return fd;
	l->bound = true;
	begin(l, fd);
	return 0;
}

static void socket_close(struct net *net)
{
	struct link *l = net->priv;

	if (!l)
		return;
	net_attach(net->end, NULL, NULL);
	if (l->fd >= 0) {
		loop_fd_del(&l->watch);
		close(l->fd);
	}
	if (l->listener >= 0) {
		loop_fd_del(&l->listening);
		close(l->listener);
	}
	if (l->bound)
		net_unbind(&l->local);
	loop_timer_cancel(&l->retry);
	loop_timer_cancel(&l->patience);
	free(l);
}

static int socket_open(struct net *net, const struct net_config *cfg, struct err *err)
{
	struct link *l = xalloc(sizeof(*l));

	net->priv = l;
	l->net = net;
	l->way = cfg->way;
	l->fd = l->listener = -1;
	loop_timer_init(&l->retry, net->loop, on_retry, l);
	loop_timer_init(&l->patience, net->loop, out_of_patience, l);
	net_attach(net->end, &end_ops, l);
	if (cfg->way == NET_SOCKET_LISTEN)
		return open_listener(l, cfg, err);
	return cfg->way == NET_SOCKET_CONNECT ? open_connection(l, cfg, err) : open_datagrams(l, cfg, err);
}

const struct net_backend net_socket = { .open = socket_open, .close = socket_close };
