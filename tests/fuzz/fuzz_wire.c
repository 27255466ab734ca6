// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: what networks read: a peer's stream, messages to a switch, a guest's frames to the user network
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "net/switch_int.h"

struct card {
	unsigned refuse; /* one bit for each of the next frames */
	unsigned got;
};

static bool card_receive(void *opaque, const struct net_frame *f)
{
	struct card *c = opaque;
	bool refused = c->refuse & 1;

	must(f->len >= NET_HEADER_LEN && f->len <= NET_FRAME_MAX && !f->off.gso && !(f->off.flags & NET_CSUM_PARTIAL));
	c->refuse >>= 1;
	c->got += !refused;
	return !refused;
}

static const struct net_end_ops card_ops = { .receive = card_receive };

struct rig {
	struct loop *loop;
	struct net_port *port;
	struct net *net;
	struct card card;
};

static void make(struct rig *r, const struct net_config *cfg)
{
	struct err err = { "" };

	*r = (struct rig){ .loop = loop_new_stepped() };
	loop_lock(r->loop);
	r->port = net_port_new(r->loop, &cfg->port, &err);
	net_attach(net_port_card(r->port), &card_ops, &r->card);
	r->net = net_open(r->loop, cfg, r->port, &err);
	if (!r->net)
		log_at(LOG_ERROR, "%s", err.msg);
	must(r->net);
	loop_unlock(r->loop);
}

static void unmake(struct rig *r)
{
	loop_lock(r->loop);
	net_close(r->net);
	net_port_free(r->port);
	loop_unlock(r->loop);
	loop_free(r->loop);
}

static void ready(struct rig *r, struct input *in)
{
	loop_lock(r->loop);
	net_ready(net_port_card(r->port));
	loop_unlock(r->loop);
	r->card.refuse = (unsigned)take(in, 1);
}

/* Bytes of the input to the guest's side, or what fills a frame up. */
static size_t fill(struct input *in, uint8_t *buf, size_t max)
{
	size_t n = (size_t)take(in, 1), len = MIN(MIN(n, max), in->left);

	memcpy(buf, in->p, len);
	in->p += len;
	in->left -= len;
	return len;
}

/* QEMU's framing, cut anywhere. */
static void stream(struct input *in)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint8_t buf[300] = { 0 };
	char text[80];
	struct rig r;
	int fd;

	snprintf(text, sizeof(text), "unix:/tmp/ring3-fuzz-%d", (int)getpid());
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", text + 5);
	make(&r, &(struct net_config){ .kind = NET_SOCKET, .way = NET_SOCKET_LISTEN, .address = text });
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	loop_step(r.loop, 0);
	while (in->left) {
		unsigned how = (unsigned)take(in, 1);
		size_t len = fill(in, buf, sizeof(buf));

		if (how & 1) { /* a good length, so that frames come through */
			uint8_t head[4];

			put_be32(head, (uint32_t)len);
			must(send(fd, head, 4, MSG_NOSIGNAL | MSG_DONTWAIT) == 4 || errno == EPIPE || errno == EAGAIN);
		}
		if (send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		loop_step(r.loop, 1000);
		if (how & 2)
			ready(&r, in);
	}
	close(fd);
	loop_step(r.loop, 1000);
	unmake(&r);
}

static void on_sent(void *opaque, unsigned port, const struct switch_head *h, const struct iovec *iov, unsigned niov)
{
	size_t len = 0;

	for (unsigned i = 0; i < niov; i++)
		len += iov[i].iov_len;
	must(port < SWITCH_PORTS_MAX && len <= NET_FRAME_MAX && (h->kind == SWITCH_WELCOME || len >= NET_HEADER_LEN));
}

/* Messages of four peers, hellos and frames. */
static void fabric(struct input *in)
{
	static uint8_t message[SWITCH_MESSAGE_MAX + 1];
	struct switch_fabric *s = xalloc(sizeof(*s));

	s->send = on_sent;
	while (in->left) {
		unsigned how = (unsigned)take(in, 1), port = how & 3;
		struct switch_head h = { .kind = how & 4 ? SWITCH_FRAME : SWITCH_HELLO, .magic = SWITCH_MAGIC,
			.mirror = how >> 7, .vlan = how & 8 ? NET_VLAN_TRUNK : (uint16_t)(how >> 4 & 3) };
		size_t len;

		memset(message, 0, sizeof(message));
		h.off.flags = how >> 4 & 1;
		memcpy(message, &h, sizeof(h));
		len = fill(in, message + (how & 16 ? 0 : sizeof(h)), 250);
		len += how & 16 ? 0 : sizeof(h);
		if (how & 32)
			len = how & 64 ? SWITCH_MESSAGE_MAX : sizeof(h) + NET_HEADER_LEN;
		if (s->port[port].joined && how & 0x40)
			switch_leave(s, port);
		else if (s->port[port].joined)
			switch_forward(s, port, message, len, take(in, 1) * 10000);
		else
			switch_join(s, port, message, len);
	}
	free(s);
}

/* Nothing of it leaves the process: the network is restricted. */
static void user(struct input *in)
{
	static const uint8_t macs[12] = { 0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 1, 2, 3 };
	uint8_t frame[300] = { 0 };
	struct rig r;

	make(&r, &(struct net_config){ .kind = NET_USER, .restricted = true });
	while (in->left) {
		unsigned how = (unsigned)take(in, 1);
		size_t len = 14 + fill(in, frame + 14, 255);
		struct iovec iov = { frame, len };
		struct net_frame f = { &iov, 1, (uint32_t)len, { 0 } };

		memcpy(frame, macs, sizeof(macs));
		put_be16(frame + 12, how & 1 ? 0x0800 : how & 2 ? 0x86dd : 0x0806);
		if (how & 1) { /* a header's sum that is right */
			frame[14] = 0x45;
			frame[24] = frame[25] = 0;
			if (how & 4)
				frame[23] = how & 8 ? 17 : how & 16 ? 1 : 6;
			if (len >= 34)
				net_checksum(frame, 14, 34, 24);
		}
		loop_lock(r.loop);
		net_send(net_port_card(r.port), &f);
		loop_unlock(r.loop);
		loop_step(r.loop, how & 32 ? 1000000 : 0);
		if (how & 64)
			ready(&r, in);
	}
	unmake(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	switch (take(&in, 1) % 3) {
	case 0:
		stream(&in);
		break;
	case 1:
		fabric(&in);
		break;
	default:
		user(&in);
	}
	return 0;
}
