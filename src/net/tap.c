// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a tap device of the host's kernel, where this user may open one: frames go to and from it as to a cable
 *
 * Every frame has the kernel's header before it (IFF_VNET_HDR), so large and unfinished ones pass both ways: what the
 * guest's card cannot take is cut on the way in, and the kernel cuts what the host's cards cannot. The device's address
 * and what it is bridged to are the host's business.
 * Source: Linux, Documentation/networking/tuntap.rst, include/uapi/linux/virtio_net.h.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/net_int.h"

#define HEAD_LEN 10u
#define READS_MAX 64

struct tap {
	struct net *net;
	int fd;
	bool held;
	struct loop_fd watch;
	uint32_t len; /* of what is held */
	uint8_t in[HEAD_LEN + NET_FRAME_MAX];
};

/* What the kernel cannot take now it says nothing of that could be waited for: its queue is the device's, and long. */
static bool receive(void *opaque, const struct net_frame *f)
{
	struct tap *t = opaque;
	struct iovec iov[NET_SEGMENTS_MAX + 1];
	uint8_t head[HEAD_LEN] = { f->off.flags & NET_CSUM_PARTIAL, f->off.gso };

	put_le16(head + 4, f->off.gso_size);
	put_le16(head + 6, f->off.csum_start);
	put_le16(head + 8, f->off.csum_offset);
	iov[0] = (struct iovec){ head, HEAD_LEN };
	memcpy(iov + 1, f->iov, f->niov * sizeof(*iov));
	if (writev(t->fd, iov, (int)f->niov + 1) < 0)
		return true;
	return true;
}

static bool pass(struct tap *t)
{
	const uint8_t *h = t->in;
	struct iovec iov = { t->in + HEAD_LEN, t->len - HEAD_LEN };
	struct net_frame f = { &iov, 1, (uint32_t)iov.iov_len, { .flags = h[0] & 3, .gso = h[1] & 0x7f } };

	f.off.gso_size = get_le16(h + 4);
	f.off.csum_start = get_le16(h + 6);
	f.off.csum_offset = get_le16(h + 8);
	t->held = !net_send(t->net->end, &f);
	return !t->held;
}

static void on_ready(void *opaque, short revents)
{
	struct tap *t = opaque;

	for (unsigned i = 0; i < READS_MAX && !t->held; i++) {
		ssize_t n = read(t->fd, t->in, sizeof(t->in));

		if (n < (ssize_t)HEAD_LEN)
			break;
		t->len = (uint32_t)n;
		pass(t);
	}
	loop_fd_set(&t->watch, t->held ? 0 : POLLIN);
}

static void card_ready(void *opaque)
{
	struct tap *t = opaque;

	if (t->held)
		pass(t);
	loop_fd_set(&t->watch, t->held ? 0 : POLLIN);
}

static const struct net_end_ops end_ops = { .receive = receive, .ready = card_ready };

static void tap_close(struct net *net)
{
	struct tap *t = net->priv;

	if (!t)
		return;
	net_attach(net->end, NULL, NULL);
	if (t->watch.loop)
		loop_fd_del(&t->watch);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static int tap_open(struct net *net, const struct net_config *cfg, struct err *err)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct tap *t = xalloc(sizeof(*t));

	net->priv = t;
	t->net = net;
	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0)
		return err_set(err, -errno, "tap needs /dev/net/tun, which this user cannot open: %s; user and switch:NAME "
		               "need nothing", strerror(errno));
	if (cfg->name)
		snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", cfg->name);
	if (ioctl(t->fd, TUNSETIFF, &req) < 0)
		return err_set(err, -errno, "cannot have the tap device '%s': %s; root makes one for a user by "
		               "`ip tuntap add NAME mode tap user USER`", cfg->name ? cfg->name : "tap%d", strerror(errno));
	if (ioctl(t->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		return err_set(err, -errno, "the tap device '%s' takes no offloads: %s", req.ifr_name, strerror(errno));
	log_at(LOG_INFO, "network: tap device %s", req.ifr_name);
	net_attach(net->end, &end_ops, t);
	net_set_takes(net->end, NET_TAKES_PARTIAL | NET_TAKES_TCP4 | NET_TAKES_TCP6);
	loop_fd_add(&t->watch, net->loop, t->fd, POLLIN, on_ready, t);
	return 0;
}

const struct net_backend net_tap = { .open = tap_open, .close = tap_close };
