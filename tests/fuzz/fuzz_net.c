// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: network cards driven by a hostile guest, plugged into each other, with frames of any kind besides
 *
 * Several machines' worth of cards share one memory: virtio, e1000, rtl8139, ne2000, pcnet. What one sends the next
 * receives. Rings are set up properly, or nearly; descriptors, registers and frames hold anything. A frame that reaches
 * an end that takes no offloads must be whole, and no larger than a frame may be.
 */
#include "dev/net/e1000.h"
#include "dev/net/ne2000.h"
#include "dev/net/pcnet.h"
#include "dev/net/rtl8139.h"
#include "dev/virtio/virtio.h"
#include "fuzz.h"

#define OPS_MAX 300
#define RING 0x100000u
#define PAGES 8
#define MMIO 0xf1000000u
#define IO 0xc000u

enum { CARD_VIRTIO, CARD_E1000, CARD_RTL8139, CARD_NE2000, CARD_PCNET, NCARDS };

struct rig {
	struct loop *loop;
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	struct net_port *port[NCARDS];
	struct virtio_net *virtio;
	struct e1000 *e1000;
	struct rtl8139 *rtl8139;
	struct ne2k_pci *ne2000;
	struct pcnet *pcnet;
	uint32_t refusals; /* one bit for each of the next frames: the network does not take it */
	bool busy;
};

struct socket_of {
	struct rig *rig;
	unsigned card;
};

/* A frame that a card has sent goes to the next one, but never further: who answers itself would not end. */
static bool network_receive(void *opaque, const struct net_frame *f)
{
	struct socket_of *s = opaque;
	struct rig *r = s->rig;
	bool refused = r->refusals & 1;

	must(!f->off.gso && !(f->off.flags & NET_CSUM_PARTIAL) && f->len >= NET_HEADER_LEN && f->len <= NET_FRAME_MAX);
	r->refusals >>= 1;
	if (refused || r->busy)
		return !refused;
	r->busy = true;
	net_send_or_keep(net_port_network(r->port[(s->card + 1) % NCARDS]), f);
	r->busy = false;
	return true;
}

static const struct net_end_ops network_ops = { .receive = network_receive };

static void write_mem(struct rig *r, uint64_t gpa, uint64_t val, unsigned size)
{
	mem_write(r->mem, gpa, &val, size);
}

static uint64_t mmio(unsigned card)
{
	return MMIO + card * 0x100000;
}

static void place(struct rig *r, unsigned card)
{
	uint8_t devfn = (uint8_t)(card + 1) << 3;
	bool memory_first = card == CARD_E1000;

	loop_lock(r->loop);
	pci_config_write(r->bus, 0, devfn, 0x10, memory_first ? (uint32_t)mmio(card) : IO + card * 0x100, 4);
	pci_config_write(r->bus, 0, devfn, 0x14, memory_first ? IO + card * 0x100 : 0xf0000000 + card * 0x1000, 4);
	pci_config_write(r->bus, 0, devfn, 0x20, (uint32_t)mmio(card), 4);
	pci_config_write(r->bus, 0, devfn, 4, 7, 2);
	loop_unlock(r->loop);
}

static void make(struct rig *r, struct socket_of *sockets)
{
	struct net_card_config card = { .mac = { 0x52, 0x54, 0, 1, 2, 3 } };
	struct err err;

	*r = (struct rig){ .loop = loop_new_stepped(), .states = state_set_new() };
	r->mem = mem_new(r->loop, MIB(4), 0xe0000000, &err);
	must(r->mem);
	r->bus = pci_bus_new(r->mem, NULL);
	for (unsigned i = 0; i < NCARDS; i++) {
		r->port[i] = net_port_new(r->loop, &(struct net_port_config){ .dump = NULL }, &err);
		sockets[i] = (struct socket_of){ r, i };
		net_attach(net_port_network(r->port[i]), &network_ops, &sockets[i]);
	}
	card.end = net_port_card(r->port[CARD_VIRTIO]);
	r->virtio = virtio_net_new(&(struct virtio_place){ r->loop, r->mem, r->bus, r->states, "virtio", 1 << 3 }, &card);
	card.end = net_port_card(r->port[CARD_E1000]);
	r->e1000 = e1000_new(&(struct card_place){ r->loop, r->mem, r->bus, r->states, "e1000", 2 << 3 }, E1000_82540EM,
	                     &card);
	card.end = net_port_card(r->port[CARD_RTL8139]);
	r->rtl8139 = rtl8139_new(&(struct card_place){ r->loop, r->mem, r->bus, r->states, "rtl8139", 3 << 3 }, &card);
	card.end = net_port_card(r->port[CARD_NE2000]);
	r->ne2000 = ne2k_pci_new(&(struct card_place){ r->loop, r->mem, r->bus, r->states, "ne2000", 4 << 3 }, &card);
	card.end = net_port_card(r->port[CARD_PCNET]);
	r->pcnet = pcnet_new(&(struct card_place){ r->loop, r->mem, r->bus, r->states, "pcnet", 5 << 3 }, &card);
	for (unsigned i = 0; i < NCARDS; i++)
		place(r, i);
}

static void unmake(struct rig *r)
{
	loop_lock(r->loop);
	mem_detach_all(r->mem);
	virtio_net_free(r->virtio);
	e1000_free(r->e1000);
	rtl8139_free(r->rtl8139);
	ne2k_pci_free(r->ne2000);
	pcnet_free(r->pcnet);
	for (unsigned i = 0; i < NCARDS; i++)
		net_port_free(r->port[i]);
	pci_bus_free(r->bus);
	loop_unlock(r->loop);
	mem_free(r->mem);
	state_set_free(r->states);
	loop_free(r->loop);
}

/* An address in the pages that rings and descriptors use, or anywhere. */
static uint64_t gpa(struct input *in)
{
	unsigned k = (unsigned)take(in, 1);

	if (k < 0xf0)
		return RING + (k % PAGES) * 0x400;
	return k < 0xf8 ? MIB(4) - take(in, 1) : take(in, 8);
}

/* VIRTIO 1.1, 4.1.4.3: features, then the three queues, each a page of its own or nearly. */
static void start_virtio(struct input *in, struct rig *r)
{
	uint64_t at = mmio(CARD_VIRTIO);
	uint32_t features = (uint32_t)take(in, 4);

	write_mem(r, at + 20, 0, 1);
	write_mem(r, at + 20, 3, 1);
	write_mem(r, at + 8, 0, 4);
	write_mem(r, at + 12, features, 4);
	write_mem(r, at + 8, 1, 4);
	write_mem(r, at + 12, 1, 4);
	write_mem(r, at + 20, 11, 1);
	for (unsigned q = 0; q < 3; q++) {
		write_mem(r, at + 22, q, 2);
		write_mem(r, at + 24, 1u << (take(in, 1) & 7), 2);
		write_mem(r, at + 32, gpa(in), 8);
		write_mem(r, at + 40, gpa(in), 8);
		write_mem(r, at + 48, gpa(in), 8);
		write_mem(r, at + 28, 1, 2);
	}
	write_mem(r, at + 20, 15, 1);
}

static void virtio_descriptor(struct input *in, struct rig *r)
{
	uint64_t at = gpa(in) + (take(in, 1) & 31) * 16;
	unsigned len = (unsigned)take(in, 1);

	write_mem(r, at, gpa(in), 8);
	write_mem(r, at + 8, len < 0xf0 ? len * 16 : (uint32_t)take(in, 4), 4);
	write_mem(r, at + 12, take(in, 1) & 7, 2);
	write_mem(r, at + 14, take(in, 1), 2);
}

/* Both rings in the pages, receiver and transmitter on. */
static void start_e1000(struct input *in, struct rig *r)
{
	uint64_t at = mmio(CARD_E1000);

	write_mem(r, at + 0, 0x40000040 & ((uint32_t)take(in, 1) << 24 | 0x40), 4);
	write_mem(r, at + 0x2800, gpa(in), 8);
	write_mem(r, at + 0x2808, take(in, 2) * 16, 4);
	write_mem(r, at + 0x3800, gpa(in), 8);
	write_mem(r, at + 0x3808, take(in, 2) * 16, 4);
	write_mem(r, at + 0x100, take(in, 4) | 2, 4);
	write_mem(r, at + 0x400, take(in, 1) | 2, 4);
	write_mem(r, at + 0xd0, 0xffff, 4);
}

static void e1000_descriptor(struct input *in, struct rig *r)
{
	uint64_t at = gpa(in) + (take(in, 1) & 31) * 16;

	write_mem(r, at, gpa(in), 8);
	write_mem(r, at + 8, take(in, 4) & 0x000fffffu, 4);
	write_mem(r, at + 10, (take(in, 1) & 0x3f) | take(in, 1) << 8, 2);
	write_mem(r, at + 12, take(in, 4), 4);
}

/* Receiver and transmitter on, the ring in the pages; then a descriptor is given to it. */
static void drive_rtl8139(struct input *in, struct rig *r)
{
	uint16_t io = IO + CARD_RTL8139 * 0x100, n = (uint16_t)(take(in, 1) & 3);

	mem_port_out(r->mem, (uint16_t)(io + 0x37), 0x0c, 1);
	mem_port_out(r->mem, (uint16_t)(io + 0x30), (uint32_t)gpa(in), 4);
	mem_port_out(r->mem, (uint16_t)(io + 0x44), (uint32_t)take(in, 2), 4);
	mem_port_out(r->mem, (uint16_t)(io + 0x38), (uint32_t)take(in, 2), 2);
	mem_port_out(r->mem, (uint16_t)(io + 0x20 + 4 * n), (uint32_t)gpa(in), 4);
	mem_port_out(r->mem, (uint16_t)(io + 0x10 + 4 * n), (uint32_t)take(in, 2), 4);
}

static void pcnet_csr(struct rig *r, unsigned n, uint32_t val)
{
	mem_port_out(r->mem, IO + CARD_PCNET * 0x100 + 0x12, n, 2);
	mem_port_out(r->mem, IO + CARD_PCNET * 0x100 + 0x10, val, 2);
}

/* An initialization block in the pages, in any style, then a descriptor or two. */
static void drive_pcnet(struct input *in, struct rig *r)
{
	unsigned how = (unsigned)take(in, 1);
	uint64_t block = RING + (take(in, 1) & 7) * 0x100, ring = gpa(in);

	if (how & 1) {
		pcnet_csr(r, 0, 4);
		mem_port_out(r->mem, IO + CARD_PCNET * 0x100 + 0x12, 20, 2);
		mem_port_out(r->mem, IO + CARD_PCNET * 0x100 + 0x16, how >> 1 & 3, 2);
		write_mem(r, block, take(in, 4), 4);
		write_mem(r, block + 16, ring | take(in, 1) << 29, 4);
		write_mem(r, block + 20, ring | take(in, 1) << 29, 4);
		write_mem(r, block + 24, ring, 4);
		pcnet_csr(r, 1, (uint32_t)block);
		pcnet_csr(r, 2, (uint32_t)(block >> 16));
		pcnet_csr(r, 0, 0x43);
	}
	for (unsigned n = 0; n < (how >> 3 & 3); n++) {
		write_mem(r, ring + n * 16, gpa(in), 4);
		write_mem(r, ring + n * 16 + 4, 0xf000 | (take(in, 4) & 0x83000fff) | (how & 0x80 ? 0x80000000u : 0), 4);
		write_mem(r, ring + n * 16 + 8, gpa(in), 4);
	}
	pcnet_csr(r, 0, 0x48);
}

/* A ring anywhere, a packet to send, or bytes by remote DMA. */
static void drive_ne2000(struct input *in, struct rig *r)
{
	uint16_t io = IO + CARD_NE2000 * 0x100;
	unsigned how = (unsigned)take(in, 1);

	mem_port_out(r->mem, io, how & 1 ? 0x21 : 0x22, 1);
	for (unsigned at = 1; at < 16; at++)
		if (how & 2 && at != 7)
			mem_port_out(r->mem, (uint16_t)(io + at), (uint32_t)take(in, 1), 1);
	mem_port_out(r->mem, io, 0x62, 1);
	mem_port_out(r->mem, (uint16_t)(io + 7), (uint32_t)take(in, 1), 1);
	mem_port_out(r->mem, io, how & 4 ? 0x26 : how & 8 ? 0x12 : 0x0a, 1);
	mem_port_out(r->mem, (uint16_t)(io + 16), (uint32_t)take(in, 4), how & 16 ? 4 : 2);
	mem_port_in(r->mem, (uint16_t)(io + 16), how & 16 ? 4 : 1);
}

/* The beginning of a TCP segment, so that what cuts them is reached. */
static void headers(struct input *in, struct rig *r)
{
	static const uint8_t tcp4[40] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2, 0, 80, 0, 80,
		0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10 };
	uint64_t at = gpa(in);
	bool v6 = take(in, 1) & 1;

	write_mem(r, at, 0xffffffffffffffff, 8);
	write_mem(r, at + 8, 0x12005452, 4);
	write_mem(r, at + 12, v6 ? 0xdd86 : 0x0008, 2);
	mem_write(r->mem, at + 14, tcp4, sizeof(tcp4));
	if (v6)
		write_mem(r, at + 14, 0x60, 1);
	write_mem(r, at + 14 + (take(in, 1) & 63), take(in, 1), 1);
}

/* A frame that comes from outside, with an offload of any kind. */
static void inject(struct input *in, struct rig *r)
{
	static uint8_t data[NET_FRAME_MAX];
	unsigned card = (unsigned)take(in, 1) % NCARDS, n = (unsigned)take(in, 1);
	uint32_t len = (uint32_t)take(in, 3) % (NET_FRAME_MAX + 20);
	struct iovec iov[2] = { { data, MIN(len, n) }, { data + MIN(len, n), len - MIN(len, n) } };
	struct net_frame f = { iov, 2, len, { .flags = (uint8_t)(take(in, 1) & 3), .gso = (uint8_t)(take(in, 1) & 5) } };

	f.off.gso_size = (uint16_t)take(in, 2);
	f.off.csum_start = (uint16_t)take(in, 1);
	f.off.csum_offset = (uint16_t)take(in, 1);
	mem_read(r->mem, gpa(in), data, 256);
	if (len > NET_FRAME_MAX) /* the port has to refuse it by its length alone */
		iov[1].iov_len = 0;
	loop_lock(r->loop);
	net_send_or_keep(net_port_network(r->port[card]), &f);
	loop_unlock(r->loop);
}

static void one(struct input *in, struct rig *r)
{
	static const uint16_t tails[] = { 0x3818, 0x2818, 0x3810, 0x2810, 0x3808, 0x2808, 0x100, 0xc4 };
	unsigned op = (unsigned)take(in, 1), size = 1u << (op >> 6), card = (op >> 4) % NCARDS;
	uint64_t at;

	switch (op & 15) {
	case 0:
		start_virtio(in, r);
		break;
	case 1:
		start_e1000(in, r);
		break;
	case 2:
		virtio_descriptor(in, r);
		break;
	case 3:
		e1000_descriptor(in, r);
		break;
	case 4: /* available ring */
		at = gpa(in);
		write_mem(r, at + 2, take(in, 2), 2);
		write_mem(r, at + 4 + 2 * (take(in, 1) & 63), take(in, 1), 2);
		break;
	case 5:
		headers(in, r);
		break;
	case 6:
		at = gpa(in) + take(in, 1);
		write_mem(r, at, take(in, size), size);
		break;
	case 7: case 8:
		write_mem(r, mmio(CARD_VIRTIO) + 0x3000 + 4 * (take(in, 1) & 3), take(in, 1) & 3, 2);
		break;
	case 9:
		if (op & 0x40)
			drive_pcnet(in, r);
		else if (op & 0x20)
			drive_rtl8139(in, r);
		else
			drive_ne2000(in, r);
		break;
	case 10:
		write_mem(r, mmio(CARD_E1000) + tails[take(in, 1) % ARRAY_LEN(tails)], take(in, 1), 4);
		break;
	case 11:
		inject(in, r);
		break;
	case 12:
		r->refusals = (uint32_t)take(in, 1);
		loop_step(r->loop, take(in, 2) * 1000);
		loop_lock(r->loop);
		net_ready(net_port_network(r->port[card]));
		loop_unlock(r->loop);
		break;
	case 13:
		write_mem(r, mmio(card) + (take(in, 2) & (card == CARD_VIRTIO ? 0x3fff : 0x7fff)), take(in, size), size);
		break;
	case 14: {
		uint64_t sink;

		mem_read(r->mem, mmio(card) + (take(in, 2) & 0x7fff), &sink, size);
		mem_port_out(r->mem, (uint16_t)(IO + card * 0x100 + (take(in, 1) & 0xff)), (uint32_t)take(in, 4),
		             MIN(size, 4u));
		break;
	}
	case 15:
		loop_lock(r->loop);
		if (op >> 4 & 1)
			net_set_link(net_port_network(r->port[card]), take(in, 1) & 1);
		else
			pci_config_write(r->bus, 0, (uint8_t)((card + 1) << 3), (unsigned)take(in, 1) & ~3u, (uint32_t)take(in, 4),
			                 4);
		loop_unlock(r->loop);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct socket_of sockets[NCARDS];
	struct rig r;

	make(&r, sockets);
	for (unsigned n = 0; in.left && n < OPS_MAX; n++)
		one(&in, &r);
	loop_step(r.loop, 1000000);
	unmake(&r);
	return 0;
}
