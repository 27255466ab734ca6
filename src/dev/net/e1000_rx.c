// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 8254x's receive side: filters, and frames into the ring's buffers
 *
 * The driver owns descriptors from RDT on, the card those from RDH up to it. A frame larger than a buffer takes
 * several; one for which there are too few waits in the port. Frames are 60 bytes at least. The four bytes of the frame
 * check sequence are there if the driver has not asked for them to be stripped, but they are zeros.
 * Sources: SDM 3.2 (descriptors, filters), 10.1 (multicast), 13.4.22 (RCTL).
 */
#include <string.h>

#include "dev/net/e1000_int.h"

#define FRAME_MIN 60u
#define FRAME_LONG 1522u   /* with FCS and a tag: what RCTL.LPE lets be exceeded */
#define FCS_LEN 4u
#define ST_DD 0x01
#define ST_EOP 0x02
#define ST_IXSM 0x04
#define ST_VP 0x08

static bool address_is(const struct e1000 *e, const uint8_t *mac)
{
	for (unsigned i = 0; i < E1000_RAS; i++) {
		uint32_t low = e->s.ra[2 * i], high = e->s.ra[2 * i + 1];

		if (high >> 31 && low == get_le32(mac) && (high & 0xffff) == get_le16(mac + 4))
			return true;
	}
	return false;
}

/* SDM 13.5.1: twelve bits of the address, which ones RCTL.MO says. */
static bool in_multicast_table(const struct e1000 *e, const uint8_t *mac)
{
	static const uint8_t shift[4] = { 4, 3, 2, 0 };
	unsigned hash = (unsigned)get_le16(mac + 4) >> shift[e->s.reg[E1000_RCTL] >> 12 & 3] & 0xfff;

	return e->s.mta[hash >> 5] >> (hash & 31) & 1;
}

static bool wants(const struct e1000 *e, const uint8_t *head)
{
	static const uint8_t broadcast[NET_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint32_t rctl = e->s.reg[E1000_RCTL];

	if (rctl & RCTL_VFE && get_be16(head + 12) == e->s.reg[E1000_VET]) {
		unsigned id = get_be16(head + 14) & 0xfff;

		if (!(e->s.vfta[id >> 5] >> (id & 31) & 1))
			return false;
	}
	if (address_is(e, head))
		return true;
	if (!(head[0] & 1))
		return rctl & RCTL_UPE;
	if (rctl & RCTL_MPE || (rctl & RCTL_BAM && !memcmp(head, broadcast, NET_MAC_LEN)))
		return true;
	return in_multicast_table(e, head);
}

static uint32_t buffer_size(const struct e1000 *e)
{
	uint32_t rctl = e->s.reg[E1000_RCTL], code = rctl >> 16 & 3;

	if (rctl & RCTL_BSEX && code)
		return 32768u >> code;
	return 2048u >> code;
}

/* Descriptors that the card owns. */
static uint32_t owned(const struct e1000 *e)
{
	uint32_t n = e1000_ring(e, E1000_RDLEN), head = e->s.reg[E1000_RDH], tail = e->s.reg[E1000_RDT];

	return head < n && tail < n ? (tail + n - head) % n : 0;
}

static void put_descriptor(struct e1000 *e, const uint8_t *data, uint32_t len, uint8_t status, uint16_t special)
{
	struct e1000_state *s = &e->s;
	uint64_t at = (s->reg[E1000_RDBAL] | (uint64_t)s->reg[E1000_RDBAH] << 32) + s->reg[E1000_RDH] * E1000_DESC;
	uint8_t desc[E1000_DESC] = { 0 };

	mem_dma_read(e->mem, at, desc, 8);
	if (get_le64(desc)) /* SDM 3.2.4: a null buffer */
		mem_dma_write(e->mem, get_le64(desc), data, len);
	put_le16(desc + 8, (uint16_t)len);
	desc[12] = status;
	put_le16(desc + 14, special);
	mem_dma_write(e->mem, at + 8, desc + 8, 8);
	s->reg[E1000_RDH] = (s->reg[E1000_RDH] + 1) % e1000_ring(e, E1000_RDLEN);
}

static void count(struct e1000 *e, uint32_t len)
{
	uint64_t octets = e->s.stats[STAT_GORCL] | (uint64_t)e->s.stats[STAT_GORCL + 1] << 32;

	octets += len;
	e->s.stats[STAT_GPRC]++;
	e->s.stats[STAT_TPR]++;
	e->s.stats[STAT_GORCL] = (uint32_t)octets;
	e->s.stats[STAT_GORCL + 1] = (uint32_t)(octets >> 32);
}

static void tell(struct e1000 *e)
{
	uint32_t threshold = e1000_ring(e, E1000_RDLEN) >> ((e->s.reg[E1000_RCTL] >> 8 & 3) + 1);

	if (owned(e) <= threshold)
		e1000_cause(e, ICR_RXDMT0);
	if (!e->s.reg[E1000_RDTR]) {
		e1000_cause(e, ICR_RXT0);
	} else if (!e->s.rx_delayed) {
		e->s.rx_delayed = true;
		loop_timer_set(&e->rx_delay, loop_now(e->loop) + e->s.reg[E1000_RDTR] * 1024ull);
	}
}

/* Takes the tag out of the frame. */
static bool strip_tag(struct e1000 *e, uint32_t *len, uint16_t *special)
{
	uint8_t *p = e->received;

	if (!(e->s.reg[E1000_CTRL] & CTRL_VME) || get_be16(p + 12) != e->s.reg[E1000_VET] || *len < NET_HEADER_LEN + 4)
		return false;
	*special = get_be16(p + 14);
	memmove(p + 12, p + 16, *len - 16);
	*len -= 4;
	return true;
}

bool e1000_receive(void *opaque, const struct net_frame *f)
{
	struct e1000 *e = opaque;
	uint32_t rctl = e->s.reg[E1000_RCTL], len = f->len, size = buffer_size(e), need;
	uint16_t special = 0;
	uint8_t tag;

	if (!(rctl & RCTL_EN) || !(e->s.reg[E1000_CTRL] & CTRL_SLU) || !pci_master_enabled(&e->pci) ||
	    len > E1000_LONGEST - FCS_LEN || (len + FCS_LEN > FRAME_LONG && !(rctl & RCTL_LPE)))
		return true;
	memset(e->received, 0, FRAME_MIN);
	net_frame_copy(f, 0, e->received, len);
	if (!wants(e, e->received))
		return true;
	need = (MAX(len, FRAME_MIN) + FCS_LEN + size - 1) / size;
	if (owned(e) < need)
		return need >= e1000_ring(e, E1000_RDLEN); /* then it never fits */
	tag = strip_tag(e, &len, &special) ? ST_VP : 0;
	len = MAX(len, FRAME_MIN);
	if (!(rctl & RCTL_SECRC)) {
		memset(e->received + len, 0, FCS_LEN);
		len += FCS_LEN;
	}
	count(e, len);
	for (uint32_t at = 0; at < len; at += size)
		put_descriptor(e, e->received + at, MIN(size, len - at),
		               (uint8_t)(ST_DD | ST_IXSM | tag | (len - at <= size ? ST_EOP : 0)), special);
	tell(e);
	return true;
}
