// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a machine's place at a switch: joins it by name, makes it if nobody has, and comes back if it dies
 *
 *   connect --> hello --> welcome: the link is up --> frames --> end: the link is down, again in a moment
 *
 * I1  What the socket does not take stays with the card, until it does; a switch that takes nothing for a second loses
 *     frames, as the other networks do.
 * I2  While the card refuses a frame, the socket is not read; the switch then drops what is more than it keeps.
 */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/switch_int.h"

#define RETRY_NS 200000000ull
#define PATIENCE_NS 1000000000ull
#define READS_MAX 32
#define LOCK_TRIES 200

struct seat {
	struct net *net;
	char path[108];
	uint16_t vlan;
	struct net_pcap *mirror;
	pid_t child; /* the switch, if we have made it */
	int fd;
	bool welcome, full, stuck, held, complained;
	struct loop_fd watch;
	struct loop_timer retry, patience;
	uint32_t len; /* of the frame that is held */
	uint8_t in[SWITCH_MESSAGE_MAX];
};

static void set_events(struct seat *s)
{
	if (s->fd >= 0)
		loop_fd_set(&s->watch, (short)((s->held ? 0 : POLLIN) | (s->full ? POLLOUT : 0)));
}

static void lost(struct seat *s)
{
	loop_fd_del(&s->watch);
	close(s->fd);
	s->fd = -1;
	s->welcome = s->full = s->stuck = s->held = false;
	loop_timer_cancel(&s->patience);
	net_set_link(s->net->end, false);
	net_ready(s->net->end);
	loop_timer_set(&s->retry, loop_now(s->net->loop) + RETRY_NS);
}

/* --- frames --- */

static bool receive(void *opaque, const struct net_frame *f)
{
	struct seat *s = opaque;
	struct switch_head h = { .kind = SWITCH_FRAME, .off = f->off };
	struct iovec iov[NET_SEGMENTS_MAX + 1] = { { &h, sizeof(h) } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = f->niov + 1 };

	if (!s->welcome)
		return true;
	memcpy(iov + 1, f->iov, f->niov * sizeof(*iov));
	if (sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
		s->stuck = false;
		return true;
	}
	if ((errno != EAGAIN && errno != ENOBUFS) || s->stuck)
		return true; /* who is gone is seen when the socket is read */
	if (!s->full)
		loop_timer_set(&s->patience, loop_now(s->net->loop) + PATIENCE_NS);
	s->full = true;
	set_events(s);
	return false;
}

static void out_of_patience(void *opaque)
{
	struct seat *s = opaque;

	s->stuck = true;
	net_ready(s->net->end);
}

static bool pass(struct seat *s)
{
	struct switch_head h;
	struct iovec iov = { s->in + sizeof(h), s->len - sizeof(h) };

	memcpy(&h, s->in, sizeof(h));
	s->held = !net_send(s->net->end, &(struct net_frame){ &iov, 1, (uint32_t)iov.iov_len, h.off });
	return !s->held;
}

static void act(struct seat *s)
{
	struct switch_head h;

	memcpy(&h, s->in, sizeof(h));
	if (h.kind == SWITCH_WELCOME && h.magic == SWITCH_MAGIC && !s->welcome) {
		s->welcome = true;
		s->complained = false;
		net_set_link(s->net->end, true);
	} else if (h.kind == SWITCH_FRAME && s->welcome) {
		pass(s);
	} else if (h.kind == SWITCH_MIRRORED) {
		struct iovec iov = { s->in + sizeof(h), s->len - sizeof(h) };

		net_pcap_write(s->mirror, &(struct net_frame){ &iov, 1, (uint32_t)iov.iov_len, h.off });
	}
}

static void on_ready(void *opaque, short revents)
{
	struct seat *s = opaque;

	if (s->full && revents & POLLOUT) {
		s->full = s->stuck = false;
		loop_timer_cancel(&s->patience);
		net_ready(s->net->end);
	}
	for (unsigned i = 0; i < READS_MAX && !s->held && revents & (POLLIN | POLLHUP | POLLERR); i++) {
		ssize_t n = recv(s->fd, s->in, sizeof(s->in), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < (ssize_t)sizeof(struct switch_head)) {
			lost(s);
			return;
		}
		s->len = (uint32_t)n;
		act(s);
	}
	set_events(s);
}

static void card_ready(void *opaque)
{
	struct seat *s = opaque;

	if (s->held)
		pass(s);
	set_events(s);
}

static const struct net_end_ops end_ops = { .receive = receive, .ready = card_ready };

/* --- joining --- */

static int spawn(struct seat *s, int listener, const char *name, struct err *err)
{
	char *const argv[] = { "ring3", "switch", "--inherited", (char *)(uintptr_t)name, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int ret;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, listener, NET_SWITCH_FD);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	ret = posix_spawn(&s->child, "/proc/self/exe", &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return ret ? err_set(err, -ret, "cannot start the process of switch '%s': %s", name, strerror(ret)) : 0;
}

/* With the lock held: the switch that is there, or a new one. */
static int connect_or_make(struct seat *s, const char *name, struct err *err)
{
	const char *path = s->path;
	int fd = switch_connect(path, err), listener, ret;

	if (fd != -ENOENT)
		return fd;
	listener = switch_listen(path, err);
	if (listener < 0)
		return listener;
	fd = switch_connect(path, err); /* it waits in the backlog */
	ret = fd < 0 ? fd : spawn(s, listener, name, err);
	close(listener);
	if (!ret)
		return fd;
	unlink(path);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* tries: of the lock, 10 ms apart. */
static int join(struct seat *s, const char *name, unsigned tries, struct err *err)
{
	struct switch_head hello = { .kind = SWITCH_HELLO, .mirror = s->mirror != NULL, .vlan = s->vlan,
		.magic = SWITCH_MAGIC };
	int lock = switch_lock(s->path, err), fd;

	for (; lock == -EAGAIN && tries > 1; tries--) {
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		lock = switch_lock(s->path, err);
	}
	if (lock < 0)
		return lock;
	fd = connect_or_make(s, name, err);
	close(lock);
	if (fd < 0)
		return fd;
	if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0) {
		close(fd);
		return err_set(err, -errno, "cannot talk to switch '%s': %s", name, strerror(errno));
	}
	s->fd = fd;
	loop_fd_add(&s->watch, s->net->loop, fd, POLLIN, on_ready, s);
	return 0;
}

static void on_retry(void *opaque)
{
	struct seat *s = opaque;
	const char *name = s->net->name;
	struct err err;

	if (s->child && waitpid(s->child, NULL, WNOHANG) > 0)
		s->child = 0;
	if (!join(s, name, 1, &err))
		return;
	if (!s->complained)
		log_at(LOG_WARN, "%s; trying again", err.msg);
	s->complained = true;
	loop_timer_set(&s->retry, loop_now(s->net->loop) + RETRY_NS);
}

/* --- life --- */

static void switch_close(struct net *net)
{
	struct seat *s = net->priv;

	if (!s)
		return;
	net_attach(net->end, NULL, NULL);
	if (s->fd >= 0) {
		loop_fd_del(&s->watch);
		close(s->fd);
	}
	loop_timer_cancel(&s->retry);
	loop_timer_cancel(&s->patience);
	net_pcap_free(s->mirror);
	free(s);
}

static int switch_open(struct net *net, const struct net_config *cfg, struct err *err)
{
	struct seat *s = xalloc(sizeof(*s));
	int ret;

	net->priv = s;
	s->net = net;
	s->fd = -1;
	s->vlan = cfg->vlan ? cfg->vlan : SWITCH_NATIVE;
	loop_timer_init(&s->retry, net->loop, on_retry, s);
	loop_timer_init(&s->patience, net->loop, out_of_patience, s);
	net_attach(net->end, &end_ops, s);
	net_set_takes(net->end, NET_TAKES_PARTIAL | NET_TAKES_TCP4 | NET_TAKES_TCP6);
	net_set_link(net->end, false);
	if (cfg->mirror) {
		s->mirror = net_pcap_new(cfg->mirror, err);
		if (!s->mirror)
			return -EINVAL;
	}
	ret = switch_path(cfg->name, s->path, sizeof(s->path), err);
	return ret ? ret : join(s, cfg->name, LOCK_TRIES, err);
}

const struct net_backend net_switch = { .open = switch_open, .close = switch_close };

/* --- the process --- */

int net_switch_main(const char *name, bool inherited, struct err *err)
{
	char path[108];
	int ret = switch_path(name, path, sizeof(path), err), listener, lock;

	if (ret)
		return ret;
	if (inherited) {
		close_range(NET_SWITCH_FD + 1, ~0u, 0);
		if (chdir("/") < 0)
			errno = 0; /* it only keeps a folder busy */
		return switch_serve(NET_SWITCH_FD, path, false);
	}
	lock = switch_lock(path, err);
	if (lock < 0)
		return lock;
	listener = switch_connect(path, err);
	if (listener >= 0) {
		close(listener);
		close(lock);
		return err_set(err, -EADDRINUSE, "there is a switch '%s' already", name);
	}
	listener = switch_listen(path, err);
	close(lock);
	return listener < 0 ? listener : switch_serve(listener, path, true);
}
