// SPDX-License-Identifier: GPL-2.0-or-later
/* what: virtio network card: frames between the driver's queues and the port, as large as both sides take
 *
 *   queue 0 receives, 1 transmits, 2 takes commands (filters, address, offloads, announcement)
 *
 * A frame is sent in the notification itself, out of guest memory. One that the network cannot take now goes back into
 * the queue until ready(). A received frame fills as many buffers as it needs if the driver merges them; none of them
 * is given back before the frame is whole, so a frame for which there are too few leaves the queue as it was.
 *
 * I1  What the card takes from the port (takes) is what the driver has negotiated, less what it has switched off.
 * Source: VIRTIO 1.1, 5.1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/virtio_int.h"

#define F_CSUM (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_CTRL_GUEST_OFFLOADS (1ull << 2)
#define F_MTU (1ull << 3)
#define F_MAC (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_HOST_TSO4 (1ull << 11)
#define F_HOST_TSO6 (1ull << 12)
#define F_MRG_RXBUF (1ull << 15)
#define F_STATUS (1ull << 16)
#define F_CTRL_VQ (1ull << 17)
#define F_CTRL_RX (1ull << 18)
#define F_CTRL_VLAN (1ull << 19)
#define F_CTRL_RX_EXTRA (1ull << 20)
#define F_GUEST_ANNOUNCE (1ull << 21)
#define F_CTRL_MAC_ADDR (1ull << 23)
#define F_OFFLOADS (F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6)

#define RECEIVEQ 0
#define TRANSMITQ 1
#define CONTROLQ 2
#define QUEUE_SIZE VIRTQ_MAX_SIZE
#define HEADER_MAX 12
#define GSO_ECN 0x80
#define STATUS_LINK_UP 1
#define STATUS_ANNOUNCE 2
#define CONFIG_STATUS 6
#define CONFIG_PAIRS 8
#define CONFIG_MTU 10
#define MACS_MAX 64
#define VLANS 4096
#define COPY_COST 32 /* bytes that are as dear as looking at a descriptor */

/* 5.1.6.5: classes, commands */
enum { CTRL_RX, CTRL_MAC, CTRL_VLAN, CTRL_ANNOUNCE, CTRL_OFFLOADS = 5 };
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST, RX_MODES };
enum { MAC_TABLE_SET, MAC_ADDR_SET };
enum { ACK_OK, ACK_ERR };

struct virtio_net_state {
	uint64_t offloads;         /* of F_OFFLOADS, those in use */
	uint32_t nmacs;
	uint8_t mac[NET_MAC_LEN];
	uint8_t mode[RX_MODES];
	uint8_t macs[MACS_MAX * NET_MAC_LEN];
	bool all_unicast, all_multicast; /* the table did not hold them */
	bool announce;
	uint8_t pad_[5];
	uint8_t vlans[VLANS / 8];
};

struct virtio_net {
	struct virtio_dev dev;
	struct virtio_net_state s;
	struct net_end *end;
	uint8_t mac[NET_MAC_LEN];  /* as made */
	bool sending;
	struct virtq_elem tx, first, more, command;
};

static bool has(const struct virtio_net *n, uint64_t feature)
{
	return n->dev.s.driver_features & feature;
}

/* 5.1.6: num_buffers is there for modern drivers, and for those that merge buffers. */
static unsigned header_len(const struct virtio_net *n)
{
	return has(n, VIRTIO_F_VERSION_1 | F_MRG_RXBUF) ? HEADER_MAX : HEADER_MAX - 2;
}

static bool listening(const struct virtio_net *n)
{
	return n->dev.s.vq[RECEIVEQ].enabled && virtio_running(&n->dev) && pci_master_enabled(&n->dev.pci);
}

static void update_config(struct virtio_net *n)
{
	uint8_t *c = n->dev.config, status = 0;

	memcpy(c, n->s.mac, NET_MAC_LEN);
	if (net_link_up(n->end))
		status |= STATUS_LINK_UP;
	if (n->s.announce)
		status |= STATUS_ANNOUNCE;
	put_le16(c + CONFIG_STATUS, status);
}

static void update_takes(struct virtio_net *n)
{
	uint64_t use = n->s.offloads & n->dev.s.driver_features;
	unsigned takes = use & F_GUEST_CSUM ? NET_TAKES_PARTIAL : 0;

	if (takes && use & F_GUEST_TSO4)
		takes |= NET_TAKES_TCP4;
	if (takes && use & F_GUEST_TSO6)
		takes |= NET_TAKES_TCP6;
	net_set_takes(n->end, takes);
}

/* --- from the driver --- */

/* False: the driver asks for what it did not negotiate. */
static bool read_header(const struct virtio_net *n, const uint8_t *h, struct net_offload *off)
{
	uint8_t gso = h[1] & (uint8_t)~GSO_ECN;

	*off = (struct net_offload){ .gso = gso, .gso_size = get_le16(h + 4), .csum_start = get_le16(h + 6),
		.csum_offset = get_le16(h + 8) };
	if (h[0] & NET_CSUM_PARTIAL)
		off->flags = NET_CSUM_PARTIAL;
	if (off->flags && !has(n, F_CSUM))
		return false;
	return !gso || (gso == NET_GSO_TCP4 && has(n, F_HOST_TSO4)) || (gso == NET_GSO_TCP6 && has(n, F_HOST_TSO6));
}

/* False: not now. */
static bool transmit(struct virtio_net *n)
{
	struct virtq_elem *e = &n->tx;
	unsigned skip = header_len(n), i = 0;
	struct net_frame f = { .len = 0 };
	uint8_t header[HEADER_MAX];

	if (virtq_read(e, 0, header, skip) != skip) {
		virtio_broken(&n->dev, "a frame without header");
		return true;
	}
	if (e->out_len - skip > NET_FRAME_MAX || !read_header(n, header, &f.off))
		return true;
	f.len = (uint32_t)(e->out_len - skip);
	for (; i < e->nout && skip >= e->iov[i].iov_len; i++)
		skip -= (unsigned)e->iov[i].iov_len;
	if (i < e->nout) {
		e->iov[i].iov_base = (uint8_t *)e->iov[i].iov_base + skip;
		e->iov[i].iov_len -= skip;
	}
	f.iov = e->iov + i;
	f.niov = e->nout - i;
	return net_send(n->end, &f);
}

static void transmit_all(struct virtio_net *n)
{
	bool any = false;

	if (n->sending) /* a network that became ready while it was sent to */
		return;
	n->sending = true;
	while (virtq_pop(&n->dev, TRANSMITQ, &n->tx)) {
		n->dev.spent += (unsigned)MIN(n->tx.out_len, NET_FRAME_MAX) / COPY_COST;
		if (!transmit(n)) {
			virtq_unpop(&n->dev, TRANSMITQ);
			break;
		}
		virtq_push(&n->dev, TRANSMITQ, &n->tx, 0);
		any = true;
	}
	n->sending = false;
	if (any)
		virtio_notify_guest(&n->dev, TRANSMITQ);
}

static void network_ready(void *opaque)
{
	struct virtio_net *n = opaque;

	if (!n->dev.s.vq[TRANSMITQ].enabled || !virtio_running(&n->dev) || !pci_master_enabled(&n->dev.pci))
		return;
	n->dev.spent = 0;
	transmit_all(n);
}

/* --- to the driver --- */

static bool in_table(const struct virtio_net *n, const uint8_t *mac)
{
	for (unsigned i = 0; i < n->s.nmacs; i++)
		if (!memcmp(n->s.macs + i * NET_MAC_LEN, mac, NET_MAC_LEN))
			return true;
	return false;
}

/* 5.1.6.5.1, 5.1.6.5.3. Without commands the card takes every frame. */
static bool wants(const struct virtio_net *n, const struct net_frame *f)
{
	static const uint8_t broadcast[NET_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const uint8_t *mode = n->s.mode;
	uint8_t head[16] = { 0 };

	net_frame_copy(f, 0, head, sizeof(head));
	if (has(n, F_CTRL_VLAN) && get_be16(head + 12) == 0x8100) {
		unsigned id = get_be16(head + 14) & (VLANS - 1);

		if (!(n->s.vlans[id / 8] >> id % 8 & 1))
			return false;
	}
	if (mode[RX_PROMISC])
		return true;
	if (!memcmp(head, broadcast, NET_MAC_LEN))
		return !mode[RX_NOBCAST];
	if (head[0] & 1)
		return !mode[RX_NOMULTI] && (mode[RX_ALLMULTI] || n->s.all_multicast || in_table(n, head));
	return !mode[RX_NOUNI] && (mode[RX_ALLUNI] || n->s.all_unicast || !memcmp(head, n->s.mac, NET_MAC_LEN) ||
	                           in_table(n, head));
}

static void write_header(const struct virtio_net *n, const struct net_frame *f, uint8_t *h)
{
	const struct net_offload *off = &f->off;
	uint8_t tcp_len = 0;

	memset(h, 0, HEADER_MAX);
	put_le16(h + 10, 1);
	if (off->flags & NET_CSUM_PARTIAL) {
		h[0] = NET_CSUM_PARTIAL;
		put_le16(h + 6, off->csum_start);
		put_le16(h + 8, off->csum_offset);
	} else if (off->flags & NET_CSUM_VALID && n->s.offloads & n->dev.s.driver_features & F_GUEST_CSUM) {
		h[0] = NET_CSUM_VALID;
	}
	if (off->gso) {
		h[1] = off->gso;
		put_le16(h + 4, off->gso_size);
		net_frame_copy(f, off->csum_start + 12u, &tcp_len, 1);
		put_le16(h + 2, (uint16_t)(off->csum_start + (tcp_len >> 4) * 4));
	}
}

/* The frame from byte at on into a chain, behind its first skip bytes. Returns bytes. */
static size_t put_frame(struct virtio_net *n, const struct virtq_elem *e, size_t skip, const struct net_frame *f,
                        size_t at)
{
	size_t done = 0;

	for (unsigned i = 0; i < f->niov; i++) {
		size_t from = MIN(at, f->iov[i].iov_len), want = f->iov[i].iov_len - from, put;

		at -= from;
		put = virtq_write(&n->dev, e, skip + done, (const uint8_t *)f->iov[i].iov_base + from, want);
		done += put;
		if (put < want)
			break;
	}
	return done;
}

/* How many chains the frame has filled; 0: there are too few, or none is large enough, or the device is broken. */
static unsigned fill(struct virtio_net *n, const struct net_frame *f)
{
	unsigned count = 0, skip = header_len(n);
	uint8_t header[HEADER_MAX];
	size_t done = 0;

	write_header(n, f, header);
	do {
		struct virtq_elem *e = count ? &n->more : &n->first;
		size_t here;

		if ((count && !has(n, F_MRG_RXBUF)) || !virtq_pop(&n->dev, RECEIVEQ, e)) {
			virtq_unpop_many(&n->dev, RECEIVEQ, count);
			return 0;
		}
		if (!count && virtq_write(&n->dev, e, 0, header, skip) != skip) {
			virtio_broken(&n->dev, "a buffer without room for a frame's header");
			return 0;
		}
		here = put_frame(n, e, count ? 0 : skip, f, done);
		done += here;
		virtq_put(&n->dev, RECEIVEQ, e, (uint32_t)(here + (count ? 0 : skip)), count);
		count++;
	} while (done < f->len);
	if (count > 1) {
		put_le16(header, (uint16_t)count);
		virtq_write(&n->dev, &n->first, 10, header, 2);
	}
	return count;
}

static bool receive(void *opaque, const struct net_frame *f)
{
	struct virtio_net *n = opaque;
	unsigned spent = n->dev.spent, count;

	if (!listening(n) || !wants(n, f))
		return true;
	n->dev.spent = 0;
	count = fill(n, f);
	n->dev.spent = spent;
	if (!count) /* what one buffer cannot hold would be refused for ever */
		return !virtio_running(&n->dev) || (!has(n, F_MRG_RXBUF) && virtq_waiting(&n->dev, RECEIVEQ));
	virtq_publish(&n->dev, RECEIVEQ, count);
	virtio_notify_guest(&n->dev, RECEIVEQ);
	return true;
}

static void link_changed(void *opaque, bool up)
{
	struct virtio_net *n = opaque;

	update_config(n);
	virtio_config_changed(&n->dev);
}

static const struct net_end_ops end_ops = { .receive = receive, .ready = network_ready, .link = link_changed };

/* --- commands --- */

/* One of the two lists of MAC_TABLE_SET, at *at of the command. False: it is not whole. */
static bool read_macs(struct virtio_net *n, size_t *at, bool *too_many)
{
	uint8_t mac[NET_MAC_LEN];
	uint32_t entries;

	if (virtq_read(&n->command, *at, mac, 4) != 4)
		return false;
	entries = get_le32(mac);
	*at += 4;
	if (entries > (n->command.out_len - *at) / NET_MAC_LEN)
		return false;
	*too_many = entries > MACS_MAX - n->s.nmacs;
	for (uint32_t i = 0; i < entries && !*too_many; i++, n->s.nmacs++)
		virtq_read(&n->command, *at + i * NET_MAC_LEN, n->s.macs + n->s.nmacs * NET_MAC_LEN, NET_MAC_LEN);
	*at += (size_t)entries * NET_MAC_LEN;
	return true;
}

static uint8_t set_mac(struct virtio_net *n, uint8_t command)
{
	size_t at = 2;

	if (command == MAC_TABLE_SET) {
		n->s.nmacs = 0;
		return read_macs(n, &at, &n->s.all_unicast) && read_macs(n, &at, &n->s.all_multicast) ? ACK_OK : ACK_ERR;
	}
	if (command != MAC_ADDR_SET || n->command.out_len != 2 + NET_MAC_LEN)
		return ACK_ERR;
	virtq_read(&n->command, 2, n->s.mac, NET_MAC_LEN);
	update_config(n);
	return ACK_OK;
}

static uint8_t set_vlan(struct virtio_net *n, uint8_t command)
{
	uint8_t data[2];
	unsigned id;

	if (command > 1 || virtq_read(&n->command, 2, data, 2) != 2)
		return ACK_ERR;
	id = get_le16(data);
	if (id >= VLANS)
		return ACK_ERR;
	n->s.vlans[id / 8] &= (uint8_t)~(1 << id % 8);
	if (!command)
		n->s.vlans[id / 8] |= (uint8_t)(1 << id % 8);
	return ACK_OK;
}

static uint8_t set_offloads(struct virtio_net *n, uint8_t command)
{
	uint8_t data[8];

	if (command || virtq_read(&n->command, 2, data, 8) != 8 || get_le64(data) & ~F_OFFLOADS)
		return ACK_ERR;
	n->s.offloads = get_le64(data);
	update_takes(n);
	return ACK_OK;
}

static uint8_t set_mode(struct virtio_net *n, uint8_t command)
{
	uint8_t on;

	if (command >= RX_MODES || virtq_read(&n->command, 2, &on, 1) != 1)
		return ACK_ERR;
	n->s.mode[command] = on != 0;
	return ACK_OK;
}

static uint8_t obey(struct virtio_net *n, const uint8_t *head)
{
	switch (head[0]) {
	case CTRL_RX:
		return has(n, F_CTRL_RX) ? set_mode(n, head[1]) : ACK_ERR;
	case CTRL_MAC:
		return set_mac(n, head[1]);
	case CTRL_VLAN:
		return has(n, F_CTRL_VLAN) ? set_vlan(n, head[1]) : ACK_ERR;
	case CTRL_ANNOUNCE:
		n->s.announce = false;
		update_config(n);
		return head[1] ? ACK_ERR : ACK_OK;
	case CTRL_OFFLOADS:
		return has(n, F_CTRL_GUEST_OFFLOADS) ? set_offloads(n, head[1]) : ACK_ERR;
	}
	return ACK_ERR;
}

static void control_all(struct virtio_net *n)
{
	bool any = false;

	while (virtq_pop(&n->dev, CONTROLQ, &n->command)) {
		uint8_t head[2], ack;

		if (virtq_read(&n->command, 0, head, 2) != 2 || !n->command.in_len) {
			virtio_broken(&n->dev, "a command without head or room for the answer");
			return;
		}
		ack = obey(n, head);
		virtq_write(&n->dev, &n->command, 0, &ack, 1);
		virtq_push(&n->dev, CONTROLQ, &n->command, 1);
		any = true;
	}
	if (any)
		virtio_notify_guest(&n->dev, CONTROLQ);
}

static void notify(void *opaque, unsigned q)
{
	struct virtio_net *n = opaque;

	if (q == TRANSMITQ)
		transmit_all(n);
	else if (q == RECEIVEQ)
		net_ready(n->end);
	else
		control_all(n);
}

/* --- life --- */

static void net_reset(void *opaque)
{
	struct virtio_net *n = opaque;

	n->s = (struct virtio_net_state){ .offloads = F_OFFLOADS, .mode[RX_PROMISC] = 1 };
	memcpy(n->s.mac, n->mac, NET_MAC_LEN);
	update_config(n);
	update_takes(n);
	net_ready(n->end); /* what waits for buffers is lost with the driver */
}

static void negotiated(void *opaque)
{
	update_takes(opaque);
}

/* The machine may be at another place of the network now. */
static void net_loaded(void *opaque)
{
	struct virtio_net *n = opaque;

	n->s.announce = has(n, F_GUEST_ANNOUNCE);
	update_config(n);
	update_takes(n);
	virtio_config_changed(&n->dev);
}

static const struct virtio_type net_type = {
	.device_id = 1,
	.pci_id = 0x1000,
	.class24 = 0x020000,
	.nqueues = 3,
	.queue_size = QUEUE_SIZE,
	.features = F_CSUM | F_GUEST_CSUM | F_CTRL_GUEST_OFFLOADS | F_MAC | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 |
	            F_HOST_TSO6 | F_MRG_RXBUF | F_STATUS | F_CTRL_VQ | F_CTRL_RX | F_CTRL_VLAN | F_CTRL_RX_EXTRA |
	            F_GUEST_ANNOUNCE | F_CTRL_MAC_ADDR,
	.config_len = 12,
	.notify = notify,
	.reset = net_reset,
	.negotiated = negotiated,
	.loaded = net_loaded,
};

static const char *check_state(const void *state)
{
	const struct virtio_net_state *s = state;

	return s->nmacs > MACS_MAX ? "too many addresses in the filter" : NULL;
}

static const struct st_field virtio_net_state_type_fields[] = {
	ST(struct virtio_net_state, offloads), ST(struct virtio_net_state, nmacs),
	ST_ARRAY(struct virtio_net_state, mac), ST_ARRAY(struct virtio_net_state, mode),
	ST_ARRAY(struct virtio_net_state, macs), ST(struct virtio_net_state, all_unicast),
	ST(struct virtio_net_state, all_multicast), ST(struct virtio_net_state, announce),
	ST_ARRAY(struct virtio_net_state, pad_), ST_ARRAY(struct virtio_net_state, vlans),
};
static ST_TYPE(virtio_net_state_type, struct virtio_net_state, 1, check_state);

struct virtio_net *virtio_net_new(const struct virtio_place *place, const struct net_card_config *cfg)
{
	struct virtio_net *n = xalloc(sizeof(*n));
	char full[64];

	n->end = cfg->end;
	memcpy(n->mac, cfg->mac, NET_MAC_LEN);
	if (cfg->rom)
		n->dev.pci.bar[6] = (struct pci_bar){ .kind = PCI_BAR_ROM, .size = cfg->rom_size,
			.region = { .name = "virtio-net-rom", .host = cfg->rom } };
	put_le16(n->dev.config + CONFIG_PAIRS, 1);
	put_le16(n->dev.config + CONFIG_MTU, cfg->mtu);
	net_attach(n->end, &end_ops, n);
	virtio_init(&n->dev, &net_type, place, cfg->mtu ? F_MTU : 0, n);
	snprintf(full, sizeof(full), "%s.card", place->name);
	state_set_add(place->states, full, &virtio_net_state_type, &n->s, NULL, NULL);
	return n;
}

void virtio_net_reset(struct virtio_net *n)
{
	virtio_reset(&n->dev);
}

void virtio_net_free(struct virtio_net *n)
{
	if (!n)
		return;
	net_attach(n->end, NULL, NULL);
	virtio_fini(&n->dev);
	free(n);
}
