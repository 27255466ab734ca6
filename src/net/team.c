// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one card with two uplinks: frames take the one in use, and the other when its link goes down
 *
 *   card --port-- team --port-- first uplink
 *                      \-port-- second
 *
 * The card's link is up while one of them is. Frames are taken from both, sent by one. There is no way back as long as
 * the one in use is well: a second change would cost frames for nothing. After a change a broadcast from the guest's
 * own address (RARP, as bridges and hypervisors do it) tells the switches behind the new uplink where the guest is.
 */
#include <stdlib.h>
#include <string.h>

#include "net/net_int.h"

#define UPLINKS 2
#define TAKES_ALL (NET_TAKES_PARTIAL | NET_TAKES_TCP4 | NET_TAKES_TCP6)
#define ANNOUNCE_LEN 60u

struct uplink {
	struct team *team;
	struct net_port *port;
	struct net *net;
};

struct team {
	struct net_end *end;            /* the card's port */
	struct uplink uplink[UPLINKS];
	unsigned active;
	uint8_t mac[NET_MAC_LEN];       /* the guest's, as it has last sent; 0: it has not */
};

static struct net_end *own_end(struct uplink *u)
{
	return net_port_card(u->port);
}

/* RFC 903: a request for one's own address. */
static void announce(struct team *t)
{
	static const uint8_t arp[8] = { 0, 1, 8, 0, 6, 4, 0, 3 };
	uint8_t f[ANNOUNCE_LEN] = { 0 };
	struct iovec iov = { f, sizeof(f) };

	if (!t->mac[0] && !t->mac[1] && !t->mac[2])
		return;
	memset(f, 0xff, NET_MAC_LEN);
	memcpy(f + 6, t->mac, NET_MAC_LEN);
	put_be16(f + 12, 0x8035);
	memcpy(f + 14, arp, sizeof(arp));
	memcpy(f + 22, t->mac, NET_MAC_LEN);
	memcpy(f + 32, t->mac, NET_MAC_LEN);
	net_send_or_keep(own_end(&t->uplink[t->active]), &(struct net_frame){ .iov = &iov, .niov = 1, .len = sizeof(f) });
}

static void choose(struct team *t)
{
	unsigned other = 1 - t->active;
	bool up = net_link_up(own_end(&t->uplink[t->active])), other_up = net_link_up(own_end(&t->uplink[other]));

	if (!up && other_up) {
		log_at(LOG_INFO, "network: the uplink is down, frames take the other");
		t->active = other;
		announce(t);
	}
	net_set_link(t->end, up || other_up);
	net_ready(t->end);
}

/* --- between card and uplinks --- */

static bool from_card(void *opaque, const struct net_frame *f)
{
	struct team *t = opaque;

	net_frame_copy(f, NET_MAC_LEN, t->mac, NET_MAC_LEN);
	return net_send(own_end(&t->uplink[t->active]), f);
}

static void card_ready(void *opaque)
{
	struct team *t = opaque;

	for (unsigned i = 0; i < UPLINKS; i++)
		net_ready(own_end(&t->uplink[i]));
}

static bool from_uplink(void *opaque, const struct net_frame *f)
{
	struct uplink *u = opaque;

	return net_send(u->team->end, f);
}

static void uplink_ready(void *opaque)
{
	struct uplink *u = opaque;

	net_ready(u->team->end);
}

static void uplink_changed(void *opaque, bool up)
{
	struct uplink *u = opaque;

	choose(u->team);
}

static const struct net_end_ops card_ops = { .receive = from_card, .ready = card_ready };
static const struct net_end_ops uplink_ops = { .receive = from_uplink, .ready = uplink_ready, .link = uplink_changed };

/* --- life --- */

static int open_uplink(struct team *t, unsigned i, struct loop *loop, const struct net_config *cfg, struct err *err)
{
	struct uplink *u = &t->uplink[i];

	u->team = t;
	u->net = net_open(loop, cfg, u->port, err);
	if (!u->net)
		return -EINVAL;
	net_attach(own_end(u), &uplink_ops, u);
	net_set_takes(own_end(u), TAKES_ALL);
	return 0;
}

static void team_close(struct net *net)
{
	struct team *t = net->priv;

	if (!t)
		return;
	net_attach(net->end, NULL, NULL);
	for (unsigned i = 0; i < UPLINKS; i++) {
		struct uplink *u = &t->uplink[i];

		if (u->port)
			net_attach(own_end(u), NULL, NULL);
	}
	for (unsigned i = 0; i < UPLINKS; i++) {
		net_close(t->uplink[i].net);
		net_port_free(t->uplink[i].port);
	}
	free(t);
}

static int team_open(struct net *net, const struct net_config *cfg, struct err *err)
{
	struct net_config one = *cfg;
	struct team *t = xalloc(sizeof(*t));
	int ret = 0;

	net->priv = t;
	t->end = net->end;
	one.standby = NULL;
	for (unsigned i = 0; i < UPLINKS; i++) {
		t->uplink[i].port = net_port_new(net->loop, &(struct net_port_config){ 0 }, err);
		if (!t->uplink[i].port)
			return -EINVAL;
	}
	for (unsigned i = 0; i < UPLINKS && !ret; i++) {
		one.name = i ? cfg->standby : cfg->name;
		one.mirror = i ? NULL : cfg->mirror;
		ret = open_uplink(t, i, net->loop, &one, err);
	}
	if (ret)
		return ret;
	net_attach(net->end, &card_ops, t);
	net_set_takes(net->end, TAKES_ALL);
	choose(t);
	return 0;
}

const struct net_backend net_team = { .open = team_open, .close = team_close };
