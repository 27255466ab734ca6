// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the user network: libslirp's TCP/IP between the guest and the host's sockets, without privileges (the only file
 * that sees libslirp)
 *
 *   10.0.2.0/24   .2 gateway and the host, .3 DNS, .15 first address given by DHCP; fec0::/64 likewise
 *
 *   card --receive--> slirp_input --> sockets of the host, or an answer at once
 *   I/O thread <--epoll-- sockets --> slirp_pollfds_poll --send_packet--> card (kept if it cannot take it)
 *
 * libslirp asks before each sleep which sockets it waits for. Those are kept in an epoll descriptor, which the loop
 * watches like any other, so a vCPU whose frame changed what is waited for need not wake the I/O thread, and the
 * number of connections does not matter to the loop. After whatever may have changed it, watch() asks again and makes
 * the few changes.
 *
 * I1  watched[fd] is what epoll has been told of fd, 0: nothing. libslirp tells of each socket it makes and closes.
 * I2  slots[i] is the descriptor of the index i that libslirp was given in the last watch().
 * I3  slirp_pollfds_poll() runs in the I/O thread only, never inside libslirp's own callbacks (busy).
 *
 * Everything a guest can open here is a descriptor of this process: RLIMIT_NOFILE bounds it, and libslirp refuses what
 * is more. libslirp does not verify who is at 127.0.0.1: the guest reaches what the host's user could, unless restrict.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net_int.h"

#define EVENTS_MAX 64
#define FDS_MAX 65536
#define MTU_DEFAULT 1500
/* libslirp looks at its timers when it has been asked to wait, in ms; with none pending it need not be. */
#define IDLE_MS 1000u

struct user_timer {
	struct loop_timer timer;
	SlirpTimerCb fire;
	void *opaque;
};

struct user {
	struct net *net;
	struct loop *loop;
	Slirp *slirp;
	int epoll;
	struct loop_fd fd;
	struct loop_timer tick;
	struct loop_task task;
	uint32_t *watched;   /* by descriptor */
	int *slots;
	uint32_t *ready;     /* by descriptor, while busy in poll() */
	uint8_t *seen;
	unsigned nfds;       /* entries of the three */
	unsigned nslots, top;
	bool busy;
	bool late;           /* something changed while busy */
	struct net_fragments *fragments;
	uint8_t frame[NET_FRAME_MAX];
};

/* --- which sockets --- */

static uint32_t to_epoll(int events)
{
	return (events & SLIRP_POLL_IN ? EPOLLIN : 0u) | (events & SLIRP_POLL_OUT ? EPOLLOUT : 0u) |
	       (events & SLIRP_POLL_PRI ? EPOLLPRI : 0u);
}

static int from_epoll(uint32_t events)
{
	return (events & EPOLLIN ? SLIRP_POLL_IN : 0) | (events & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
	       (events & EPOLLPRI ? SLIRP_POLL_PRI : 0) | (events & EPOLLERR ? SLIRP_POLL_ERR : 0) |
	       (events & EPOLLHUP ? SLIRP_POLL_HUP : 0);
}

static bool grow(struct user *u, unsigned fd)
{
	unsigned n = u->nfds;

	if (fd < n)
		return true;
	if (fd >= FDS_MAX)
		return false;
	n = MAX(2 * n, fd + 64);
	u->watched = realloc(u->watched, n * sizeof(*u->watched));
	u->slots = realloc(u->slots, n * sizeof(*u->slots));
	u->ready = realloc(u->ready, n * sizeof(*u->ready));
	u->seen = realloc(u->seen, n);
	must(u->watched && u->slots && u->ready && u->seen);
	memset(u->watched + u->nfds, 0, (n - u->nfds) * sizeof(*u->watched));
	memset(u->ready + u->nfds, 0, (n - u->nfds) * sizeof(*u->ready));
	memset(u->seen + u->nfds, 0, n - u->nfds);
	u->nfds = n;
	return true;
}

static int on_add_poll(int fd, int events, void *opaque)
{
	struct user *u = opaque;
	struct epoll_event e = { .events = to_epoll(events), .data.fd = fd };

	if (fd < 0 || !grow(u, (unsigned)fd) || u->nslots == u->nfds)
		return -1;
	if (u->watched[fd] != e.events && epoll_ctl(u->epoll, EPOLL_CTL_MOD, fd, &e) < 0 &&
	    epoll_ctl(u->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		return -1;
	u->watched[fd] = e.events;
	u->seen[fd] = 1;
	u->top = MAX(u->top, (unsigned)fd + 1);
	u->slots[u->nslots] = fd;
	return (int)u->nslots++;
}

static void unwatch(struct user *u, unsigned fd)
{
	if (fd >= u->nfds || !u->watched[fd])
		return;
	epoll_ctl(u->epoll, EPOLL_CTL_DEL, (int)fd, &(struct epoll_event){ 0 });
	u->watched[fd] = 0;
}

static void watch(struct user *u)
{
	uint32_t timeout = UINT32_MAX;
	unsigned last = u->top;

	u->nslots = u->top = 0;
	slirp_pollfds_fill(u->slirp, &timeout, on_add_poll, u);
	for (unsigned fd = 0; fd < MAX(last, u->top); fd++) {
		if (!u->seen[fd])
			unwatch(u, fd);
		u->seen[fd] = 0;
	}
	if (timeout != UINT32_MAX)
		loop_timer_set(&u->tick, loop_now(u->loop) + MAX(timeout, 1u) * 1000000ull);
	else
		loop_timer_cancel(&u->tick);
}

/* After something that may have changed what is waited for. */
static void changed(struct user *u)
{
	if (u->busy)
		u->late = true;
	else
		watch(u);
}

static int on_get_revents(int index, void *opaque)
{
	struct user *u = opaque;
	int fd = index >= 0 && (unsigned)index < u->nslots ? u->slots[index] : -1;

	return fd >= 0 ? from_epoll(u->ready[fd]) : 0;
}

static void poll_slirp(struct user *u)
{
	struct epoll_event e[EVENTS_MAX];
	int n = epoll_wait(u->epoll, e, EVENTS_MAX, 0);

	for (int i = 0; i < n; i++)
		u->ready[e[i].data.fd] = e[i].events;
	u->busy = true;
	slirp_pollfds_poll(u->slirp, n < 0, on_get_revents, u);
	u->busy = u->late = false;
	for (int i = 0; i < n; i++)
		u->ready[e[i].data.fd] = 0;
	watch(u);
}

static void on_epoll(void *opaque, short revents)
{
	poll_slirp(opaque);
}

static void on_task(void *opaque)
{
	poll_slirp(opaque);
}

static void on_tick(void *opaque)
{
	struct user *u = opaque;

	loop_post(u->loop, &u->task);
}

/* --- what libslirp calls --- */

static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct user *u = opaque;
	struct iovec iov = { (void *)(uintptr_t)buf, len };

	if (len <= NET_FRAME_MAX)
		net_send_or_keep(u->net->end, &(struct net_frame){ .iov = &iov, .niov = 1, .len = (uint32_t)len });
	return (ssize_t)len;
}

static void on_guest_error(const char *msg, void *opaque)
{
	guest_log("user network: %s", msg);
}

static int64_t on_clock(void *opaque)
{
	const struct user *u = opaque;

	return (int64_t)loop_now(u->loop);
}

static void on_timer(void *opaque)
{
	struct user_timer *t = opaque;

	t->fire(t->opaque);
}

static void *on_timer_new(SlirpTimerCb fire, void *cb_opaque, void *opaque)
{
	struct user *u = opaque;
	struct user_timer *t = xalloc(sizeof(*t));

	t->fire = fire;
	t->opaque = cb_opaque;
	loop_timer_init(&t->timer, u->loop, on_timer, t);
	return t;
}

static void on_timer_free(void *timer, void *opaque)
{
	struct user_timer *t = timer;

	if (t)
		loop_timer_cancel(&t->timer);
	free(t);
}

static void on_timer_mod(void *timer, int64_t ms, void *opaque)
{
	struct user_timer *t = timer;

	loop_timer_set(&t->timer, ms > 0 ? (uint64_t)ms * 1000000 : 0);
}

/* A descriptor's number may be one that was watched before. */
static void on_fd(int fd, void *opaque)
{
	if (fd >= 0)
		unwatch(opaque, (unsigned)fd);
}

static void on_notify(void *opaque)
{
	changed(opaque);
}

static const SlirpCb callbacks = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_fd,
	.unregister_poll_fd = on_fd,
	.notify = on_notify,
};

/* --- frames from the guest --- */

/* An answer to ARP or a neighbour solicitation: libslirp keeps what waited for it, and sends it when it is polled. */
static bool resolves(const uint8_t *data, uint32_t len)
{
	uint16_t type = get_be16(data + 12);

	return type == 0x0806 || (type == 0x86dd && len > 54 && data[20] == 58 && data[54] == 136);
}

static void input(struct user *u, const uint8_t *data, uint32_t len)
{
	bool was = u->busy;

	u->busy = true;
	slirp_input(u->slirp, data, (int)len);
	u->busy = was;
	changed(u);
	if (resolves(data, len))
		loop_post(u->loop, &u->task);
}

/* A copy: the guest may write to its memory while it is looked at. */
static bool receive(void *opaque, const struct net_frame *f)
{
	struct user *u = opaque;
	const uint8_t *whole;
	uint32_t len = f->len;

	net_frame_copy(f, 0, u->frame, len);
	if (!net_is_fragment(u->frame, len)) {
		input(u, u->frame, len);
		return true;
	}
	whole = net_fragments_add(u->fragments, u->frame, len, loop_now(u->loop), &len);
	if (whole) {
		input(u, whole, len);
		net_fragments_done(u->fragments, whole);
	}
	return true;
}

static const struct net_end_ops end_ops = { .receive = receive };

/* --- life --- */

static int add_forwards(struct user *u, const struct net_config *cfg, struct err *err)
{
	char text[INET_ADDRSTRLEN];

	for (unsigned i = 0; i < cfg->nhostfwd; i++) {
		const struct net_hostfwd *f = &cfg->hostfwd[i];
		struct in_addr host = { f->host_addr }, guest = { f->guest_addr };

		if (slirp_add_hostfwd(u->slirp, f->udp, host, f->host_port, guest, f->guest_port) < 0)
			return err_set(err, -errno, "hostfwd: cannot listen on %s port %s:%u: %s", f->udp ? "UDP" : "TCP",
			               inet_ntop(AF_INET, &host, text, sizeof(text)), f->host_port, strerror(errno));
	}
	for (unsigned i = 0; i < cfg->nguestfwd; i++) {
		const struct net_guestfwd *f = &cfg->guestfwd[i];
		struct in_addr addr = { f->addr };
		int ret;

		if (f->is_command)
			ret = slirp_add_exec(u->slirp, f->target, &addr, f->port);
		else
			ret = slirp_add_unix(u->slirp, f->target, &addr, f->port);
		if (ret < 0)
			return err_set(err, -EINVAL, "guestfwd: %s port %u is outside 10.0.2.0/24, the network's own, or taken",
			               inet_ntop(AF_INET, &addr, text, sizeof(text)), f->port);
	}
	return 0;
}

static int check_tftp(const struct net_config *cfg, struct err *err)
{
	struct stat st;

	if (!cfg->tftp)
		return 0;
	if (stat(cfg->tftp, &st) < 0)
		return err_set(err, -errno, "tftp: cannot open '%s': %s", cfg->tftp, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "tftp: '%s' is no folder: give the one whose files are served", cfg->tftp);
	return 0;
}

static Slirp *new_slirp(struct user *u, const struct net_config *cfg)
{
	SlirpConfig c = {
		.version = 3,
		.restricted = cfg->restricted,
		.in_enabled = true,
		.in6_enabled = !cfg->no_ipv6,
		.vprefix_len = 64,
		.vhostname = cfg->hostname,
		.tftp_path = cfg->tftp,
		.bootfile = cfg->bootfile,
		.if_mtu = cfg->mtu ? cfg->mtu : MTU_DEFAULT,
		.if_mru = cfg->mtu ? cfg->mtu : MTU_DEFAULT,
	};

	inet_pton(AF_INET, "10.0.2.0", &c.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &c.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &c.vhost);
	inet_pton(AF_INET, "10.0.2.15", &c.vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &c.vnameserver);
	inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &c.vhost6);
	inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
	return slirp_new(&c, &callbacks, u);
}

static void user_close(struct net *net)
{
	struct user *u = net->priv;

	if (!u)
		return;
	net_attach(net->end, NULL, NULL);
	u->busy = true;
	if (u->slirp)
		slirp_cleanup(u->slirp);
	loop_fd_del(&u->fd);
	loop_timer_cancel(&u->tick);
	if (u->epoll >= 0)
		close(u->epoll);
	net_fragments_free(u->fragments);
	free(u->watched);
	free(u->slots);
	free(u->ready);
	free(u->seen);
	free(u);
}

static int user_open(struct net *net, const struct net_config *cfg, struct err *err)
{
	struct user *u = xalloc(sizeof(*u));

	net->priv = u;
	u->net = net;
	u->loop = net->loop;
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll < 0)
		return err_set(err, -errno, "cannot make an epoll descriptor: %s", strerror(errno));
	if (check_tftp(cfg, err))
		return -EINVAL;
	net_ignore_sigpipe();
	u->fragments = net_fragments_new();
	grow(u, 0);
	loop_timer_init(&u->tick, u->loop, on_tick, u);
	u->task = (struct loop_task){ .fn = on_task, .opaque = u };
	u->busy = true;
	u->slirp = new_slirp(u, cfg);
	u->busy = false;
	if (!u->slirp)
		return err_set(err, -EIO, "libslirp does not start");
	if (add_forwards(u, cfg, err))
		return -EINVAL;
	loop_fd_add(&u->fd, u->loop, u->epoll, POLLIN, on_epoll, u);
	net_attach(net->end, &end_ops, u);
	net_set_takes(net->end, NET_TAKES_TCP4 | NET_TAKES_TCP6);
	watch(u);
	return 0;
}

const struct net_backend net_user = { .open = user_open, .close = user_close };
