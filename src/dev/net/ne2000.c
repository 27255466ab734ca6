// SPDX-License-Identifier: GPL-2.0-or-later
/* what: NE2000: the DP8390's registers, its memory through a data port, its ring of pages
 *
 *   ports 0-0f  registers, three pages of them by CR     10-17  data port     18-1f  reset
 *
 * The driver moves bytes between itself and the card's memory by "remote DMA": an address, a count, then the data port.
 * Received frames lie in the ring of 256-byte pages [PSTART, PSTOP): a header of status, next page and length, then
 * the frame. The card writes at CURR and stops short of BNRY, up to which the driver has read; a frame for which there
 * is no room waits in the port.
 *
 * I1  Every access to memory goes through byte_at(): addresses beyond it read ones and write nothing.
 * I2  Drivers read frames until CURR says that there are no more, then acknowledge; what came in between they would not
 *     hear of. Such a frame keeps PRX up (unseen: it came after CURR was looked at).
 * Sources: National Semiconductor DP8390D/NS32490D data sheet ("DS"); RTL8029AS data sheet for the PROM and ids.
 */
#include "dev/net/ne2000.h"

#include <string.h>

#define RAM_AT 0x4000u
#define PAGE 256u

#define CR_STP 0x01
#define CR_STA 0x02
#define CR_TXP 0x04
#define CR_READ 0x08
#define CR_WRITE 0x10
#define CR_ABORT 0x20
#define ISR_PRX 0x01
#define ISR_PTX 0x02
#define ISR_RDC 0x40
#define ISR_RST 0x80
#define DCR_WORDS 0x01
#define RCR_AB 0x04
#define RCR_AM 0x08
#define RCR_PRO 0x10
#define RCR_MON 0x20
#define RSR_PRX 0x01
#define RSR_PHY 0x20
#define TSR_PTX 0x01

static void update_line(struct ne2000 *n)
{
	wire_set(&n->irq, n->s.isr & n->s.imr & 0x7f);
}

static void cause(struct ne2000 *n, uint8_t bits)
{
	n->s.isr |= bits;
	update_line(n);
}

/* NULL: nothing is there, or it is the PROM and cannot be written. */
static uint8_t *byte_at(struct ne2000 *n, uint32_t at, bool write)
{
	if (at >= NE2000_MEMORY || (at < RAM_AT && (write || at >= 32)))
		return NULL;
	return &n->s.memory[at];
}

/* --- the data port --- */

static void move_on(struct ne2000 *n, unsigned bytes)
{
	n->s.rsar = (uint16_t)(n->s.rsar + bytes);
	if (n->s.rsar == n->s.pstop * PAGE) /* DS 11.0, remote DMA: it follows the ring */
		n->s.rsar = (uint16_t)(n->s.pstart * PAGE);
	n->s.rbcr = n->s.rbcr > bytes ? (uint16_t)(n->s.rbcr - bytes) : 0;
	if (!n->s.rbcr)
		cause(n, ISR_RDC);
}

/* One transfer: a byte, or with DCR.WTS a word. */
static uint16_t data_in(struct ne2000 *n)
{
	unsigned width = n->s.dcr & DCR_WORDS ? 2 : 1;
	uint16_t val = 0;

	if (!n->s.rbcr || !(n->s.cr & CR_READ))
		return 0xffff;
	for (unsigned i = 0; i < width; i++) {
		const uint8_t *p = byte_at(n, (n->s.rsar & ~(width - 1)) + i, false);

		val |= (uint16_t)((p ? *p : 0xff) << 8 * i);
	}
	move_on(n, width);
	return val;
}

static void data_out(struct ne2000 *n, uint16_t val)
{
	unsigned width = n->s.dcr & DCR_WORDS ? 2 : 1;

	if (!n->s.rbcr || !(n->s.cr & CR_WRITE))
		return;
	for (unsigned i = 0; i < width; i++) {
		uint8_t *p = byte_at(n, (n->s.rsar & ~(width - 1)) + i, true);

		if (p)
			*p = (uint8_t)(val >> 8 * i);
	}
	move_on(n, width);
}

/* An access wider than a transfer is several. */
static uint32_t port_in(struct ne2000 *n, unsigned size)
{
	unsigned width = n->s.dcr & DCR_WORDS ? 2 : 1;
	uint32_t val = 0;

	for (unsigned i = 0; i < size; i += width)
		val |= (uint32_t)data_in(n) << 8 * i;
	return val;
}

static void port_out(struct ne2000 *n, uint32_t val, unsigned size)
{
	unsigned width = n->s.dcr & DCR_WORDS ? 2 : 1;

	for (unsigned i = 0; i < size; i += width)
		data_out(n, (uint16_t)(val >> 8 * i));
}

/* --- frames --- */

static void transmit(struct ne2000 *n)
{
	uint32_t at = n->s.tpsr * PAGE, len = n->s.tbcr;
	bool sent = at < RAM_AT || at + len > NE2000_MEMORY || len > CARD_FRAME_MAX + 4; /* nothing that can go */

	if (n->sending || !(n->s.cr & CR_TXP) || n->s.cr & CR_STP)
		return;
	n->sending = true;
	if (!sent) {
		struct iovec iov = { n->s.memory + at, len };

		sent = net_send(n->end, &(struct net_frame){ .iov = &iov, .niov = 1, .len = len });
	}
	n->sending = false;
	if (!sent)
		return;
	n->s.cr &= (uint8_t)~CR_TXP;
	n->s.tsr = TSR_PTX;
	cause(n, ISR_PTX);
}

static bool wants(const struct ne2000 *n, const uint8_t *to)
{
	uint32_t hash = card_crc_turned(to) >> 26;

	if (n->s.rcr & RCR_PRO)
		return true;
	if (!memcmp(to, card_broadcast, NET_MAC_LEN))
		return n->s.rcr & RCR_AB;
	if (to[0] & 1)
		return n->s.rcr & RCR_AM && n->s.mar[hash >> 3] >> (hash & 7) & 1;
	return !memcmp(to, n->s.par, NET_MAC_LEN);
}

/* Pages that may be written; 0: there is no ring. Drivers set BNRY one page behind what they read next, and some do
 * not wrap it: the page before the ring is its last. */
static unsigned room(const struct ne2000 *n)
{
	const struct ne2000_state *s = &n->s;
	unsigned pages = (unsigned)(s->pstop - s->pstart), bnry = s->bnry;

	if (s->pstart < RAM_AT / PAGE || s->pstop <= s->pstart || s->pstop > NE2000_MEMORY / PAGE || s->curr < s->pstart ||
	    s->curr >= s->pstop)
		return 0;
	if (bnry < s->pstart || bnry >= s->pstop)
		bnry = s->pstop - 1u;
	return bnry > s->curr ? bnry - s->curr : pages - (s->curr - bnry);
}

/* Into the ring at page curr, over its end to its beginning. */
static void put(struct ne2000 *n, const uint8_t *data, uint32_t len)
{
	uint32_t at = n->s.curr * PAGE, first = MIN(len, n->s.pstop * PAGE - at);

	memcpy(n->s.memory + at, data, first);
	memcpy(n->s.memory + n->s.pstart * PAGE, data + first, len - first);
}

static bool receive(void *opaque, const struct net_frame *f)
{
	struct ne2000 *n = opaque;
	uint32_t len = MAX(f->len, CARD_FRAME_MIN), pages = (4 + len + CARD_FCS_LEN + PAGE - 1) / PAGE;
	uint8_t packet[4 + CARD_FRAME_MAX + 4] = { 0 };
	unsigned next;

	if (n->s.cr & CR_STP || !(n->s.cr & CR_STA) || n->s.rcr & RCR_MON || len > CARD_FRAME_MAX + 4 || !room(n))
		return true;
	net_frame_copy(f, 0, packet + 4, f->len);
	if (!wants(n, packet + 4))
		return true;
	if (room(n) <= pages)
		return (unsigned)(n->s.pstop - n->s.pstart) <= pages; /* then it never fits */
	next = n->s.curr + pages;
	if (next >= n->s.pstop)
		next -= (unsigned)(n->s.pstop - n->s.pstart);
	n->s.rsr = RSR_PRX | (packet[4] & 1 ? RSR_PHY : 0);
	packet[0] = n->s.rsr;
	packet[1] = (uint8_t)next;
	put_le16(packet + 2, (uint16_t)(4 + len));
	put(n, packet, 4 + len);
	n->s.curr = (uint8_t)next;
	n->s.unseen = n->s.looked;
	cause(n, ISR_PRX);
	return true;
}

/* --- registers --- */

/* DS 10.3: page 0 as it reads, page 1, and page 2, which reads what page 0 has written. */
static uint8_t read_register(struct ne2000 *n, unsigned at)
{
	const struct ne2000_state *s = &n->s;
	const uint8_t page0[16] = { s->cr, 0, 0, s->bnry, s->tsr, 0, 0, s->isr, (uint8_t)s->rsar, (uint8_t)(s->rsar >> 8),
		0x50, 0x43, s->rsr };
	const uint8_t page2[16] = { s->cr, s->pstart, s->pstop, 0, s->tpsr, 0, 0, 0, 0, 0, 0, 0, s->rcr, s->tcr, s->dcr,
		s->imr };

	switch (at ? s->cr >> 6 : 0) {
	case 0:
		return page0[at];
	case 1:
		if (at == 7) {
			n->s.looked = true;
			n->s.unseen = false;
		}
		return at < 7 ? s->par[at - 1] : at == 7 ? s->curr : s->mar[at - 8];
	case 2:
		return page2[at];
	}
	return 0; /* the PCI card's own: full duplex is off, the EEPROM says nothing */
}

static void write_cr(struct ne2000 *n, uint8_t val)
{
	n->s.cr = (uint8_t)((val & ~CR_TXP) | ((val | n->s.cr) & CR_TXP));
	if (val & CR_STP) {
		n->s.cr &= (uint8_t)~CR_TXP;
		n->s.isr |= ISR_RST;
		return;
	}
	n->s.isr &= (uint8_t)~ISR_RST;
	if (val & (CR_READ | CR_WRITE) && !(val & CR_ABORT) && !n->s.rbcr)
		cause(n, ISR_RDC);
	transmit(n);
	net_ready_soon(n->end);
}

static void set_half(uint16_t *reg, bool high, uint8_t val)
{
	*reg = high ? (uint16_t)((*reg & 0xff) | val << 8) : (uint16_t)((*reg & 0xff00) | val);
}

/* I2 */
static void acknowledge(struct ne2000 *n, uint8_t bits)
{
	if (bits & ISR_PRX && n->s.looked && n->s.unseen)
		bits &= (uint8_t)~ISR_PRX;
	if (bits & ISR_PRX || n->s.unseen)
		n->s.looked = n->s.unseen = false;
	n->s.isr &= (uint8_t)~bits;
	update_line(n);
	net_ready_soon(n->end);
}

static void write_page0(struct ne2000 *n, unsigned at, uint8_t val)
{
	struct ne2000_state *s = &n->s;
	uint8_t *const plain[16] = { [1] = &s->pstart, [2] = &s->pstop, [3] = &s->bnry, [4] = &s->tpsr, [12] = &s->rcr,
		[13] = &s->tcr, [14] = &s->dcr, [15] = &s->imr };

	if (plain[at])
		*plain[at] = val;
	switch (at) {
	case 3: case 12:
		net_ready_soon(n->end);
		break;
	case 5: case 6:
		set_half(&s->tbcr, at == 6, val);
		break;
	case 7:
		acknowledge(n, val & 0x7f);
		break;
	case 8: case 9:
		set_half(&s->rsar, at == 9, val);
		break;
	case 10: case 11:
		set_half(&s->rbcr, at == 11, val);
		break;
	case 15:
		update_line(n);
		break;
	}
}

static void write_register(struct ne2000 *n, unsigned at, uint8_t val)
{
	if (!at)
		write_cr(n, val);
	else if (n->s.cr >> 6 == 0)
		write_page0(n, at, val);
	else if (n->s.cr >> 6 == 1 && at < 7)
		n->s.par[at - 1] = val;
	else if (n->s.cr >> 6 == 1 && at == 7)
		n->s.curr = val;
	else if (n->s.cr >> 6 == 1)
		n->s.mar[at - 8] = val;
}

static void soft_reset(struct ne2000 *n)
{
	n->s.cr = CR_STP | CR_ABORT;
	n->s.isr = ISR_RST;
	update_line(n);
}

static uint64_t ports_read(void *opaque, uint64_t off, unsigned size)
{
	struct ne2000 *n = opaque;
	uint64_t val = 0;

	if (off >= 0x10 && off < 0x18)
		return port_in(n, size);
	if (off >= 0x18) {
		soft_reset(n);
		return 0;
	}
	for (unsigned i = 0; i < size && off + i < 16; i++)
		val |= (uint64_t)read_register(n, (unsigned)off + i) << 8 * i;
	return val;
}

static void ports_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct ne2000 *n = opaque;

	if (off >= 0x10 && off < 0x18)
		port_out(n, (uint32_t)val, size);
	for (unsigned i = 0; i < size && off + i < 16; i++)
		write_register(n, (unsigned)off + i, (uint8_t)(val >> 8 * i));
}

const struct mem_ops ne2000_ops = { .read = ports_read, .write = ports_write, .max_size = 4 };

/* --- the port, and life --- */

static void network_ready(void *opaque)
{
	transmit(opaque);
}

static const struct net_end_ops end_ops = { .receive = receive, .ready = network_ready };

void ne2000_reset(struct ne2000 *n)
{
	uint8_t *prom = n->s.memory;

	memset(&n->s, 0, sizeof(n->s));
	for (unsigned i = 0; i < NET_MAC_LEN; i++)
		prom[2 * i] = prom[2 * i + 1] = n->mac[i];
	memset(prom + 28, 0x57, 4); /* what tells a card of 16 bits */
	soft_reset(n);
	net_ready(n->end);
}

static void loaded(void *opaque)
{
	struct ne2000 *n = opaque;

	update_line(n);
	transmit(n);
}

static const struct st_field ne2000_state_type_fields[] = {
	ST(struct ne2000_state, cr), ST(struct ne2000_state, isr), ST(struct ne2000_state, imr),
	ST(struct ne2000_state, dcr), ST(struct ne2000_state, rcr), ST(struct ne2000_state, tcr),
	ST(struct ne2000_state, rsr), ST(struct ne2000_state, tsr), ST(struct ne2000_state, pstart),
	ST(struct ne2000_state, pstop), ST(struct ne2000_state, bnry), ST(struct ne2000_state, tpsr),
	ST(struct ne2000_state, curr), ST(struct ne2000_state, looked), ST(struct ne2000_state, unseen),
	ST_ARRAY(struct ne2000_state, pad_), ST(struct ne2000_state, tbcr),
	ST(struct ne2000_state, rsar), ST(struct ne2000_state, rbcr), ST_ARRAY(struct ne2000_state, par),
	ST_ARRAY(struct ne2000_state, mar), ST_ARRAY(struct ne2000_state, memory),
};
/* Every place in memory is computed from registers of eight bits, and checked where it is used: any state is safe. */
static ST_TYPE(ne2000_state_type, struct ne2000_state, 1, NULL);

void ne2000_init(struct ne2000 *n, const struct net_card_config *card, struct wire irq, struct state_set *states,
                 const char *name)
{
	n->end = card->end;
	n->irq = irq;
	memcpy(n->mac, card->mac, NET_MAC_LEN);
	state_set_add(states, name, &ne2000_state_type, &n->s, loaded, n);
	net_attach(n->end, &end_ops, n);
	ne2000_reset(n);
}

void ne2000_fini(struct ne2000 *n)
{
	net_attach(n->end, NULL, NULL);
}
