// SPDX-License-Identifier: GPL-2.0-or-later
/* what: Realtek RTL8139C: four transmit descriptors in registers, one receive ring of bytes
 *
 *   BAR0  I/O, BAR1  memory: the same 256 bytes of registers
 *
 * The receive ring is RBLEN bytes at RBSTART: a header of status and length, the frame with its check sequence (zeros
 * here), up to a multiple of four. The card writes at CBR, the driver has read up to CAPR + 16. A frame for which there
 * is no room waits in the port.
 *
 * I1  Bit n of tx_waiting: descriptor n was given to the card, which sends them in the order 0 to 3, tx_next first.
 * Sources: Realtek RTL8139C(L) data sheet ("DS"), 5 and 6; the programming guide for the ring's arithmetic.
 */
#include "dev/net/rtl8139.h"

#include <stdlib.h>
#include <string.h>

#include "dev/net/eeprom93.h"

#define REGS 256u
#define TX_DESCS 4
#define TX_MAX 1792u        /* DS 5.3: SIZE */
#define RX_PAD 16u          /* what CAPR is behind */
#define RX_LONGEST 8192u

#define CR_RST 0x10
#define CR_RE 0x08
#define CR_TE 0x04
#define CR_BUFE 0x01
#define TSD_OWN 0x2000u
#define TSD_TOK 0x8000u
#define TSD_SIZE 0x1fffu
#define INT_ROK 0x0001
#define INT_TOK 0x0004
#define INT_RXOVW 0x0010
#define INT_LINK 0x0020
#define INT_TIMEOUT 0x4000
#define RCR_AAP 0x01u
#define RCR_APM 0x02u
#define RCR_AM 0x04u
#define RCR_AB 0x08u
#define RCR_WRAP 0x80u
#define RX_OK 0x0001u
#define RX_BROADCAST 0x2000u
#define RX_PHYSICAL 0x4000u
#define RX_MULTICAST 0x8000u
#define TCR_VERSION 0x74000000u
#define CMD_9346_PROGRAM 0x80
#define CMD_9346_UNLOCK 0xc0

struct rtl8139_state {
	uint64_t timer_since;    /* loop_now() when TCTR was 0 */
	uint32_t tsd[TX_DESCS], tsad[TX_DESCS];
	uint32_t rbstart, tcr, rcr, timer_int, mpc;
	uint16_t capr, cbr, imr, isr, mulint, bmcr, anar;
	uint8_t idr[8], mar[8];  /* IDR: six, and two that are reserved */
	uint8_t cr, cfg9346, config[5];
	uint8_t tx_waiting, tx_next;
	uint8_t pad_[5];
	struct eeprom93_state eeprom;
	uint8_t pad2_[6];
};

struct rtl8139 {
	struct pci_dev pci;
	struct rtl8139_state s;
	struct loop *loop;
	struct mem *mem;
	struct net_end *end;
	uint16_t eeprom[EEPROM93_WORDS];
	struct loop_timer timer;
	bool sending;
	uint8_t frame[RX_LONGEST];
};

/* --- interrupts and time --- */

static void update_line(struct rtl8139 *r)
{
	pci_set_intx(&r->pci, r->s.isr & r->s.imr);
}

static void cause(struct rtl8139 *r, uint16_t bits)
{
	r->s.isr |= bits;
	update_line(r);
}

/* DS 5: TCTR counts the clock of PCI, 33 MHz; TimerInt is what it is compared with. */
static uint32_t read_timer(const struct rtl8139 *r)
{
	return (uint32_t)((loop_now(r->loop) - r->s.timer_since) * 33 / 1000);
}

static void set_timer(struct rtl8139 *r)
{
	if (r->s.timer_int)
		loop_timer_set(&r->timer, r->s.timer_since + (uint64_t)r->s.timer_int * 1000 / 33 + 1);
	else
		loop_timer_cancel(&r->timer);
}

static void timer_rings(void *opaque)
{
	cause(opaque, INT_TIMEOUT);
}

/* --- transmit --- */

/* False: not now. */
static bool send(struct rtl8139 *r, unsigned n)
{
	uint32_t len = r->s.tsd[n] & TSD_SIZE;
	struct iovec iov = { r->frame, MAX(len, CARD_FRAME_MIN) };

	if (len > TX_MAX)
		return true;
	memset(r->frame, 0, CARD_FRAME_MIN);
	mem_dma_read(r->mem, r->s.tsad[n], r->frame, len);
	return net_send(r->end, &(struct net_frame){ .iov = &iov, .niov = 1, .len = (uint32_t)iov.iov_len });
}

static void transmit(struct rtl8139 *r)
{
	if (r->sending || !(r->s.cr & CR_TE) || !pci_master_enabled(&r->pci))
		return;
	r->sending = true;
	while (r->s.tx_waiting >> r->s.tx_next & 1 && send(r, r->s.tx_next)) {
		unsigned n = r->s.tx_next;

		r->s.tx_waiting &= (uint8_t)~(1 << n);
		r->s.tx_next = (uint8_t)((n + 1) % TX_DESCS);
		r->s.tsd[n] |= TSD_OWN | TSD_TOK;
		cause(r, INT_TOK);
	}
	r->sending = false;
}

static void write_tsd(struct rtl8139 *r, unsigned n, uint32_t val)
{
	r->s.tsd[n] = val & 0x003fffff & ~TSD_TOK;
	if (val & TSD_OWN || !(r->s.cr & CR_TE))
		return;
	r->s.tx_waiting |= (uint8_t)(1 << n);
	transmit(r);
}

/* --- receive --- */

static uint32_t ring_size(const struct rtl8139 *r)
{
	return 8192u << (r->s.rcr >> 11 & 3);
}

static uint32_t unread(const struct rtl8139 *r)
{
	uint32_t size = ring_size(r), read = (r->s.capr + RX_PAD) % size;

	return (r->s.cbr % size + size - read) % size;
}

/* Why the frame is taken, as its header says; 0: it is not. */
static uint32_t wants(const struct rtl8139 *r, const uint8_t *to)
{
	uint32_t rcr = r->s.rcr, hash = card_crc_turned(to) >> 26;

	if (!memcmp(to, card_broadcast, NET_MAC_LEN))
		return rcr & (RCR_AB | RCR_AAP) ? RX_BROADCAST : 0;
	if (!(to[0] & 1)) {
		if (rcr & RCR_APM && !memcmp(to, r->s.idr, NET_MAC_LEN))
			return RX_PHYSICAL;
		return rcr & RCR_AAP ? RX_OK : 0;
	}
	if (rcr & RCR_AM && r->s.mar[hash >> 3] >> (hash & 7) & 1)
		return RX_MULTICAST;
	return rcr & RCR_AAP ? RX_MULTICAST : 0;
}

/* With WRAP what does not fit goes on behind the ring, else at its beginning. */
static void put(struct rtl8139 *r, uint32_t at, const uint8_t *data, uint32_t len)
{
	uint32_t size = ring_size(r), first = MIN(len, size - at);

	if (r->s.rcr & RCR_WRAP)
		first = len;
	mem_dma_write(r->mem, (uint64_t)r->s.rbstart + at, data, first);
	if (first < len)
		mem_dma_write(r->mem, r->s.rbstart, data + first, len - first);
}

static bool receive(void *opaque, const struct net_frame *f)
{
	struct rtl8139 *r = opaque;
	uint32_t len = MAX(f->len, CARD_FRAME_MIN), size = ring_size(r), why, whole;
	uint8_t packet[4 + CARD_FRAME_MAX + 4 + CARD_FCS_LEN] = { 0 };

	if (!(r->s.cr & CR_RE) || !pci_master_enabled(&r->pci) || len > CARD_FRAME_MAX + 4)
		return true;
	net_frame_copy(f, 0, packet + 4, f->len);
	why = wants(r, packet + 4);
	if (!why)
		return true;
	whole = (4 + len + CARD_FCS_LEN + 3) & ~3u;
	if (unread(r) + whole >= size) {
		cause(r, INT_RXOVW);
		return false;
	}
	put_le16(packet, (uint16_t)(why | RX_OK));
	put_le16(packet + 2, (uint16_t)(len + CARD_FCS_LEN));
	put(r, r->s.cbr % size, packet, 4 + len + CARD_FCS_LEN);
	r->s.cbr = (uint16_t)((r->s.cbr % size + whole) % size);
	cause(r, INT_ROK);
	return true;
}

/* --- registers --- */

static void soft_reset(struct rtl8139 *r)
{
	struct rtl8139_state *s = &r->s;
	uint64_t since = loop_now(r->loop);
	uint8_t idr[8];

	memcpy(idr, s->idr, sizeof(idr));
	*s = (struct rtl8139_state){ .timer_since = since };
	memcpy(s->idr, idr, sizeof(idr)); /* DS 5.7: IDR and MAR are kept, and so they are by the EEPROM */
	s->capr = (uint16_t)-RX_PAD;
	for (unsigned n = 0; n < TX_DESCS; n++)
		s->tsd[n] = TSD_OWN;
	s->bmcr = 0x1000;
	s->anar = 0x01e1;
	s->config[1] = 0x0c;
	eeprom93_reset(&s->eeprom);
	loop_timer_cancel(&r->timer);
	update_line(r);
	net_ready(r->end);
}

/* Status of the descriptors in two bytes: DS 5.15 */
static uint32_t summary(const struct rtl8139 *r)
{
	uint32_t val = 0;

	for (unsigned n = 0; n < TX_DESCS; n++)
		val |= (r->s.tsd[n] & TSD_OWN ? 1u << n : 0) | (r->s.tsd[n] & TSD_TOK ? 0x1000u << n : 0);
	return val;
}

static uint32_t read_word(const struct rtl8139 *r, uint32_t at)
{
	const struct rtl8139_state *s = &r->s;
	bool up = net_link_up(r->end);

	switch (at) {
	case 0x00: case 0x04:
		return get_le32(s->idr + at);
	case 0x08: case 0x0c:
		return get_le32(s->mar + at - 8);
	case 0x10: case 0x14: case 0x18: case 0x1c:
		return s->tsd[(at - 0x10) / 4];
	case 0x20: case 0x24: case 0x28: case 0x2c:
		return s->tsad[(at - 0x20) / 4];
	case 0x30:
		return s->rbstart;
	case 0x34:
		return (uint32_t)(s->cr | (unread(r) ? 0 : CR_BUFE)) << 24;
	case 0x38:
		return s->capr | (uint32_t)s->cbr << 16;
	case 0x3c:
		return s->imr | (uint32_t)s->isr << 16;
	case 0x40:
		return (s->tcr & 0x030787f0) | TCR_VERSION;
	case 0x44:
		return s->rcr;
	case 0x48:
		return read_timer(r);
	case 0x4c:
		return s->mpc;
	case 0x50:
		return s->cfg9346 | s->eeprom.output | (uint32_t)s->config[0] << 8 | (uint32_t)s->config[1] << 16;
	case 0x54:
		return s->timer_int;
	case 0x58: /* media status: the link's bit is inverse; 100 Mb/s */
		return (up ? 0 : 4) | 0x10 | (uint32_t)s->config[3] << 8 | (uint32_t)s->config[4] << 16;
	case 0x5c:
		return s->mulint | 0x10u << 16;
	case 0x60:
		return summary(r) | (uint32_t)s->bmcr << 16;
	case 0x64: /* BMSR: abilities, negotiation complete, link */
		return (up ? 0x782d : 0x7809) | (uint32_t)s->anar << 16;
	case 0x68:
		return (up ? 0x45e1 : 0) | (uint32_t)1 << 16;
	}
	return 0;
}

static void write_cr(struct rtl8139 *r, uint8_t val)
{
	if (val & CR_RST) {
		soft_reset(r);
		return;
	}
	r->s.cr = val & (CR_RE | CR_TE);
	if (!(r->s.cr & CR_TE))
		r->s.tx_waiting = r->s.tx_next = 0;
	net_ready_soon(r->end);
}

static void write_9346(struct rtl8139 *r, uint8_t val)
{
	r->s.cfg9346 = val & 0xce;
	eeprom93_pins(&r->s.eeprom, r->eeprom, (val & 0xc8) == (CMD_9346_PROGRAM | 8), val & 4, val & 2);
}

/* Registers of one byte. */
static void write_byte(struct rtl8139 *r, uint32_t at, uint8_t val)
{
	bool unlocked = (r->s.cfg9346 & CMD_9346_UNLOCK) == CMD_9346_UNLOCK;

	if (at < 6 && unlocked)
		r->s.idr[at] = val;
	else if (at >= 8 && at < 16)
		r->s.mar[at - 8] = val;
	else if (at == 0x37)
		write_cr(r, val);
	else if (at == 0x50)
		write_9346(r, val);
	else if ((at == 0x52 || at == 0x59 || at == 0x5a) && unlocked)
		r->s.config[at == 0x52 ? 1 : at - 0x56] = val;
}

/* Registers of two; false: there is none. */
static bool write_half(struct rtl8139 *r, uint32_t at, uint16_t val)
{
	switch (at) {
	case 0x38:
		r->s.capr = val;
		net_ready_soon(r->end);
		break;
	case 0x3c:
		r->s.imr = val;
		update_line(r);
		break;
	case 0x3e: /* drivers acknowledge while they read, and stop at some number: what is left has to be heard of */
		r->s.isr &= (uint16_t)~(unread(r) ? val & ~INT_ROK : val);
		update_line(r);
		break;
	case 0x5c:
		r->s.mulint = val;
		break;
	case 0x62: /* reset and restart of negotiation are over at once */
		r->s.bmcr = val & 0x3100;
		break;
	case 0x66:
		r->s.anar = val;
		break;
	default:
		return false;
	}
	return true;
}

static bool write_word(struct rtl8139 *r, uint32_t at, uint32_t val)
{
	switch (at) {
	case 0x10: case 0x14: case 0x18: case 0x1c:
		write_tsd(r, (at - 0x10) / 4, val);
		break;
	case 0x20: case 0x24: case 0x28: case 0x2c:
		r->s.tsad[(at - 0x20) / 4] = val;
		break;
	case 0x30:
		r->s.rbstart = val;
		r->s.cbr = 0;
		r->s.capr = (uint16_t)-RX_PAD;
		break;
	case 0x40:
		r->s.tcr = val;
		break;
	case 0x44:
		r->s.rcr = val & 0x0fffffff;
		net_ready_soon(r->end);
		break;
	case 0x48:
		r->s.timer_since = loop_now(r->loop);
		set_timer(r);
		break;
	case 0x4c:
		r->s.mpc = 0;
		break;
	case 0x54:
		r->s.timer_int = val;
		set_timer(r);
		break;
	default:
		return false;
	}
	return true;
}

static uint64_t reg_read(void *opaque, uint64_t off, unsigned size)
{
	if (off >= REGS)
		return 0;
	return read_word(opaque, (uint32_t)off & ~3u) >> 8 * (off & 3);
}

/* Wide registers by their own width; others byte by byte, which is how they lie. */
static void reg_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	if (off >= REGS || (size == 4 && write_word(opaque, (uint32_t)off, (uint32_t)val)))
		return;
	if (size == 2 && write_half(opaque, (uint32_t)off, (uint16_t)val))
		return;
	for (unsigned i = 0; size == 4 && i < 4; i += 2)
		if (write_half(opaque, (uint32_t)off + i, (uint16_t)(val >> 8 * i)))
			return;
	for (unsigned i = 0; i < size; i++)
		write_byte(opaque, (uint32_t)off + i, (uint8_t)(val >> 8 * i));
}

static const struct mem_ops ops = { .read = reg_read, .write = reg_write, .max_size = 4 };

/* --- the port --- */

static void network_ready(void *opaque)
{
	transmit(opaque);
}

static void link_changed(void *opaque, bool up)
{
	cause(opaque, INT_LINK);
}

static const struct net_end_ops end_ops = { .receive = receive, .ready = network_ready, .link = link_changed };

/* --- life --- */

static const char *check_state(const void *state)
{
	const struct rtl8139_state *s = state;

	return s->tx_next >= TX_DESCS ? "a descriptor is out of range" : NULL;
}

static const struct st_field rtl8139_state_type_fields[] = {
	ST(struct rtl8139_state, timer_since), ST_ARRAY(struct rtl8139_state, tsd), ST_ARRAY(struct rtl8139_state, tsad),
	ST(struct rtl8139_state, rbstart), ST(struct rtl8139_state, tcr), ST(struct rtl8139_state, rcr),
	ST(struct rtl8139_state, timer_int), ST(struct rtl8139_state, mpc), ST(struct rtl8139_state, capr),
	ST(struct rtl8139_state, cbr), ST(struct rtl8139_state, imr), ST(struct rtl8139_state, isr),
	ST(struct rtl8139_state, mulint), ST(struct rtl8139_state, bmcr), ST(struct rtl8139_state, anar),
	ST_ARRAY(struct rtl8139_state, idr), ST_ARRAY(struct rtl8139_state, mar), ST(struct rtl8139_state, cr),
	ST(struct rtl8139_state, cfg9346), ST_ARRAY(struct rtl8139_state, config), ST(struct rtl8139_state, tx_waiting),
	ST(struct rtl8139_state, tx_next), ST_ARRAY(struct rtl8139_state, pad_),
	ST_SUB(struct rtl8139_state, eeprom, &eeprom93_type), ST_ARRAY(struct rtl8139_state, pad2_),
};
static ST_TYPE(rtl8139_state_type, struct rtl8139_state, 1, check_state);

static void loaded(void *opaque)
{
	struct rtl8139 *r = opaque;

	update_line(r);
	set_timer(r);
	transmit(r);
}

/* The words that drivers look at: an id, and the address from word 7 on (DS 6). */
static void init_eeprom(struct rtl8139 *r, const uint8_t *mac)
{
	r->eeprom[0] = 0x8129;
	r->eeprom[1] = 0x10ec;
	r->eeprom[2] = 0x8139;
	for (unsigned i = 0; i < 3; i++)
		r->eeprom[7 + i] = get_le16(mac + 2 * i);
}

struct rtl8139 *rtl8139_new(const struct card_place *place, const struct net_card_config *card)
{
	struct rtl8139 *r = xalloc(sizeof(*r));

	r->loop = place->loop;
	r->mem = place->mem;
	r->end = card->end;
	loop_timer_init(&r->timer, place->loop, timer_rings, r);
	init_eeprom(r, card->mac);
	r->pci.name = place->name;
	r->pci.opaque = r;
	pci_set_ids(&r->pci, 0x10ec, 0x8139, 0x020000, 0x10, 0x10ec, 0x8139, 1);
	r->pci.bar[0] = (struct pci_bar){ .kind = PCI_BAR_IO, .size = REGS,
		.ports = { .name = place->name, .ops = &ops, .opaque = r } };
	r->pci.bar[1] = (struct pci_bar){ .kind = PCI_BAR_MEM32, .size = REGS,
		.region = { .name = place->name, .ops = &ops, .opaque = r } };
	if (card->rom)
		r->pci.bar[6] = (struct pci_bar){ .kind = PCI_BAR_ROM, .size = card->rom_size,
			.region = { .name = "rtl8139-rom", .host = card->rom } };
	pci_add(place->bus, &r->pci, place->devfn);
	pci_register_state(&r->pci, place->states, place->name);
	state_set_add(place->states, place->name, &rtl8139_state_type, &r->s, loaded, r);
	net_attach(r->end, &end_ops, r);
	rtl8139_reset(r);
	return r;
}

void rtl8139_reset(struct rtl8139 *r)
{
	for (unsigned i = 0; i < 3; i++)
		put_le16(r->s.idr + 2 * i, r->eeprom[7 + i]);
	soft_reset(r);
}

void rtl8139_free(struct rtl8139 *r)
{
	if (!r)
		return;
	net_attach(r->end, NULL, NULL);
	loop_timer_cancel(&r->timer);
	free(r);
}
