// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 8254x's transmit side: packets out of the ring, with checksums and segmentation left to the port
 *
 * A packet is a run of descriptors up to one with EOP. Nothing of it is consumed before all of it is in the ring, so no
 * half packet has to be kept; context descriptors between packets are consumed as they come. A packet that is too large
 * is dropped up to its end (tx_dropping).
 *
 *   legacy    address, length, CSO, CMD, CSS           data    address, length, DCMD, POPTS
 *   context   where IP and TCP or UDP begin and have their sums, header and segment sizes
 *
 * Sources: SDM 3.3 (descriptors), 3.5 (segmentation), 13.4.33 (TCTL).
 */
#include <string.h>

#include "dev/net/e1000_int.h"

#define CMD_EOP 0x01
#define CMD_IC 0x04   /* legacy: insert a checksum */
#define CMD_TSE 0x04  /* data: segmentation */
#define CMD_RS 0x08
#define CMD_RPS 0x10
#define CMD_DEXT 0x20
#define CMD_VLE 0x40
#define CMD_IDE 0x80
#define POPTS_IXSM 0x01
#define POPTS_TXSM 0x02
#define TUCMD_TCP 0x01
#define TUCMD_IP 0x02
#define PACKET_DESCS 1024u /* more are no packet */
#define COPY_COST 32
#define AGAIN_NS 100000u

struct packet {
	uint32_t first, ndescs; /* in the ring */
	uint32_t len;
	uint8_t cmd;            /* of all its descriptors */
	uint8_t popts, cso, css;
	uint16_t special;
	bool extended, dropped;
};

static uint64_t desc_at(const struct e1000 *e, uint32_t i)
{
	uint64_t base = e->s.reg[E1000_TDBAL] | (uint64_t)e->s.reg[E1000_TDBAH] << 32;

	return base + (uint64_t)(i % e1000_ring(e, E1000_TDLEN)) * E1000_DESC;
}

static bool is_context(const uint8_t *desc)
{
	return desc[11] & CMD_DEXT && !(desc[10] >> 4);
}

/* DD in the status, if the driver wants to know: SDM 3.3.3.2 */
static void write_back(struct e1000 *e, uint32_t i, const uint8_t *desc)
{
	uint8_t status = desc[12] | 1;

	if (desc[11] & (CMD_RS | CMD_RPS))
		mem_dma_write(e->mem, desc_at(e, i) + 12, &status, 1);
}

static void add_data(struct e1000 *e, struct packet *p, const uint8_t *desc)
{
	bool extended = desc[11] & CMD_DEXT;
	uint32_t len = extended ? get_le32(desc + 8) & 0xfffff : get_le16(desc + 8);

	if (!p->ndescs) {
		p->extended = extended;
		p->popts = desc[13];
		p->cso = desc[10];
		p->css = desc[13];
	}
	p->special = get_le16(desc + 14);
	p->cmd |= desc[11];
	if (p->dropped || len > NET_FRAME_MAX - 4 - p->len) { /* room for a tag */
		p->dropped = true;
		return;
	}
	if (get_le64(desc))
		mem_dma_read(e->mem, get_le64(desc), e->frame + p->len, len);
	else
		memset(e->frame + p->len, 0, len);
	p->len += len;
}

/* The packet at first, into e->frame. False: its end is not in the ring yet. */
static bool gather(struct e1000 *e, struct packet *p, uint32_t first)
{
	uint32_t n = e1000_ring(e, E1000_TDLEN), have = (e->s.reg[E1000_TDT] + n - first) % n;

	*p = (struct packet){ .first = first, .dropped = e->s.tx_dropping };
	while (p->ndescs < have) {
		uint8_t desc[E1000_DESC];

		mem_dma_read(e->mem, desc_at(e, first + p->ndescs), desc, sizeof(desc));
		if (!is_context(desc)) /* one within a packet is passed over */
			add_data(e, p, desc);
		p->ndescs++;
		if (!is_context(desc) && desc[11] & CMD_EOP)
			return true;
		p->dropped |= p->ndescs == PACKET_DESCS;
		if (p->dropped && (!e->s.tx_dropping || p->ndescs == PACKET_DESCS)) {
			e->s.tx_dropping = true; /* then it goes piece by piece */
			return true;
		}
	}
	return e->s.tx_dropping && p->ndescs;
}

/* --- checksums --- */

/* The sum over [css, cse] at cso, where the driver has put what belongs to it besides; cse 0: to the end. */
static void insert_sum(struct e1000 *e, uint32_t len, uint32_t css, uint32_t cso, uint32_t cse)
{
	uint32_t end = cse && cse < len ? cse + 1 : len;

	if (css < end && cso + 2 <= len)
		net_checksum(e->frame, css, end, cso);
}

static bool large(const struct e1000 *e, const struct packet *p)
{
	return p->extended && p->cmd & CMD_TSE && e->s.context[2] >> 24 & TUCMD_TCP;
}

/* What the port has to do for the packet; does the rest. */
static bool offload(struct e1000 *e, const struct packet *p, struct net_offload *off)
{
	const uint32_t *c = e->s.context;
	uint32_t tucss = c[1] & 0xff, tucso = c[1] >> 8 & 0xff, tucse = c[1] >> 16;

	*off = (struct net_offload){ 0 };
	if (!p->extended) {
		if (p->cmd & CMD_IC)
			insert_sum(e, p->len, p->css, p->cso, 0);
		return true;
	}
	if (large(e, p)) {
		off->flags = NET_CSUM_PARTIAL;
		off->gso = c[2] >> 24 & TUCMD_IP ? NET_GSO_TCP4 : NET_GSO_TCP6;
		off->gso_size = (uint16_t)(c[3] >> 16);
		off->csum_start = (uint16_t)tucss;
		off->csum_offset = 16;
		return net_prepare_large(e->frame, p->len, off);
	}
	if (p->popts & POPTS_IXSM)
		insert_sum(e, p->len, c[0] & 0xff, c[0] >> 8 & 0xff, c[0] >> 16);
	if (p->popts & POPTS_TXSM && tucso >= tucss && tucss >= NET_HEADER_LEN && (!tucse || tucse + 1 >= p->len)) {
		off->flags = NET_CSUM_PARTIAL;
		off->csum_start = (uint16_t)tucss;
		off->csum_offset = (uint16_t)(tucso - tucss);
	} else if (p->popts & POPTS_TXSM) {
		insert_sum(e, p->len, tucss, tucso, tucse);
	}
	return true;
}

/* SDM 9.1: the tag goes behind the addresses. */
static void insert_tag(struct e1000 *e, struct packet *p, struct net_offload *off)
{
	uint8_t *f = e->frame;

	if (!(p->cmd & CMD_VLE) || !(e->s.reg[E1000_CTRL] & CTRL_VME) || p->len < NET_HEADER_LEN)
		return;
	memmove(f + 16, f + 12, p->len - 12);
	put_be16(f + 12, (uint16_t)e->s.reg[E1000_VET]);
	put_be16(f + 14, p->special);
	p->len += 4;
	off->csum_start = (uint16_t)(off->flags ? off->csum_start + 4 : 0);
}

static void count(struct e1000 *e, uint32_t len)
{
	uint64_t octets = e->s.stats[STAT_GOTCL] | (uint64_t)e->s.stats[STAT_GOTCL + 1] << 32;

	octets += len;
	e->s.stats[STAT_GPTC]++;
	e->s.stats[STAT_TPT]++;
	e->s.stats[STAT_GOTCL] = (uint32_t)octets;
	e->s.stats[STAT_GOTCL + 1] = (uint32_t)(octets >> 32);
}

/* False: not now. */
static bool send(struct e1000 *e, struct packet *p)
{
	struct net_offload off;
	struct iovec iov;

	if (p->dropped || p->len < NET_HEADER_LEN || !offload(e, p, &off))
		return true;
	insert_tag(e, p, &off);
	if (e->s.reg[E1000_TCTL] & TCTL_PSP && p->len < 60) {
		memset(e->frame + p->len, 0, 60 - p->len);
		p->len = 60;
	}
	iov = (struct iovec){ e->frame, p->len };
	if (!net_send(e->end, &(struct net_frame){ &iov, 1, p->len, off }))
		return false;
	count(e, p->len);
	return true;
}

/* All of the packet's descriptors go back to the driver. */
static void consume(struct e1000 *e, const struct packet *p)
{
	for (uint32_t i = 0; i < p->ndescs; i++) {
		uint8_t desc[E1000_DESC];

		mem_dma_read(e->mem, desc_at(e, p->first + i), desc, sizeof(desc));
		write_back(e, p->first + i, desc);
		if (desc[11] & CMD_EOP && !is_context(desc))
			e->s.tx_dropping = false;
	}
	e->s.reg[E1000_TDH] = (p->first + p->ndescs) % e1000_ring(e, E1000_TDLEN);
}

/* A context descriptor at TDH. */
static bool take_context(struct e1000 *e, uint32_t at, uint8_t *cmd)
{
	uint8_t desc[E1000_DESC];

	mem_dma_read(e->mem, desc_at(e, at), desc, sizeof(desc));
	if (!is_context(desc))
		return false;
	for (unsigned i = 0; i < 4; i++)
		e->s.context[i] = get_le32(desc + 4 * i);
	write_back(e, at, desc);
	*cmd |= desc[11];
	e->s.reg[E1000_TDH] = (at + 1) % e1000_ring(e, E1000_TDLEN);
	return true;
}

static void tell(struct e1000 *e, uint8_t cmd, bool empty)
{
	if (empty)
		e1000_cause(e, ICR_TXQE);
	if (!(cmd & (CMD_RS | CMD_RPS)))
		return;
	if (!(cmd & CMD_IDE) || !e->s.reg[E1000_TIDV]) {
		e1000_cause(e, ICR_TXDW);
	} else if (!e->s.tx_delayed) {
		e->s.tx_delayed = true;
		loop_timer_set(&e->tx_delay, loop_now(e->loop) + e->s.reg[E1000_TIDV] * 1024ull);
	}
}

void e1000_transmit(struct e1000 *e)
{
	uint32_t *reg = e->s.reg, n = e1000_ring(e, E1000_TDLEN), spent = 0;
	uint8_t cmd = 0;
	struct packet p;

	if (e->sending || !(reg[E1000_TCTL] & TCTL_EN) || !pci_master_enabled(&e->pci) || reg[E1000_TDT] >= n ||
	    reg[E1000_TDH] >= n)
		return;
	e->sending = true;
	while (reg[E1000_TDH] != reg[E1000_TDT] && spent < E1000_TURN) {
		spent++;
		if (!e->s.tx_dropping && take_context(e, reg[E1000_TDH], &cmd))
			continue;
		if (!gather(e, &p, reg[E1000_TDH]))
			break;
		spent += p.ndescs + p.len / COPY_COST;
		if (!send(e, &p))
			break;
		consume(e, &p);
		cmd |= p.cmd;
	}
	e->sending = false;
	if (spent >= E1000_TURN)
		loop_timer_set(&e->tx_again, loop_now(e->loop) + AGAIN_NS);
	if (spent)
		tell(e, cmd, reg[E1000_TDH] == reg[E1000_TDT]);
}
