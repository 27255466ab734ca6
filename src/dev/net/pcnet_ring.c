// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PCnet's initialization block, and its rings of descriptors in three software styles
 *
 *   style 0   8 bytes: address 15:0, address 23:16 and status, -length, length or errors
 *   style 2  16 bytes: address, -length and status, length or errors        (32 bits each)
 *   style 3  16 bytes: length or errors, -length and status, address
 *
 * A packet to be sent is a run of descriptors from STP to ENP that the card owns; nothing of it is given back before
 * all of it has gone. A frame that comes takes as many buffers as it needs; if they are too few it waits in the port.
 * Source: DS, "Initialization Block", "Receive Descriptors", "Transmit Descriptors", BCR20.
 */
#include <string.h>

#include "dev/net/pcnet_int.h"

#define OWN 0x80u
#define ERR 0x40u
#define STP 0x02u
#define ENP 0x01u
#define BUFFERS_MAX 64u

struct descriptor {
	uint64_t at;
	uint32_t addr, len; /* of the buffer */
	uint8_t status;
	bool valid;         /* the ones above the length are ones, as they have to be */
};

static unsigned style(const struct pcnet *p)
{
	return p->s.csr[CSR_STYLE] & 0xff;
}

static bool is_wide(const struct pcnet *p)
{
	return style(p) == 2 || style(p) == 3;
}

static uint32_t ring_length(unsigned code)
{
	return 1u << MIN(code, 9u);
}

void pcnet_read_init_block(struct pcnet *p)
{
	struct pcnet_state *s = &p->s;
	bool wide = is_wide(p);
	uint64_t at = s->csr[CSR_IADRL] | (uint32_t)s->csr[CSR_IADRH] << 16;
	unsigned addresses = wide ? 4 : 2;
	uint8_t b[28];

	mem_dma_read(p->mem, at, b, sizeof(b));
	s->csr[CSR_MODE] = get_le16(b);
	for (unsigned i = 0; i < 3; i++)
		s->csr[CSR_PADR + i] = get_le16(b + addresses + 2 * i);
	for (unsigned i = 0; i < 4; i++)
		s->csr[CSR_LADRF + i] = get_le16(b + (wide ? 12 : 8) + 2 * i);
	s->rx_base = wide ? get_le32(b + 20) : get_le32(b + 16) & 0xffffff;
	s->tx_base = wide ? get_le32(b + 24) : get_le32(b + 20) & 0xffffff;
	s->rx_len = ring_length(wide ? b[2] >> 4 : b[19] >> 5);
	s->tx_len = ring_length(wide ? b[3] >> 4 : b[23] >> 5);
	s->rx_at = s->tx_at = 0;
	s->csr[CSR_RX_LEN] = (uint16_t)-s->rx_len;
	s->csr[CSR_TX_LEN] = (uint16_t)-s->tx_len;
}

static struct descriptor get(struct pcnet *p, uint32_t base, uint32_t i)
{
	uint32_t size = is_wide(p) ? 16 : 8;
	struct descriptor d = { .at = (uint64_t)base + i * size };
	uint8_t b[16] = { 0 };
	uint16_t count;

	mem_dma_read(p->mem, d.at, b, size);
	if (is_wide(p)) {
		d.addr = get_le32(b + (style(p) == 3 ? 8 : 0));
		count = get_le16(b + 4);
		d.status = b[7];
	} else {
		d.addr = get_le32(b) & 0xffffff;
		d.status = b[3];
		count = get_le16(b + 4);
	}
	d.len = (4096u - (count & 0xfff)) & 0xfff;
	d.len = d.len ? d.len : 4096;
	d.valid = count >> 12 == 15;
	return d;
}

/* Back to the driver: the second word's status, and what the other one says. */
static void give_back(struct pcnet *p, const struct descriptor *d, uint8_t status, uint16_t word)
{
	uint8_t b[4] = { 0 };

	if (is_wide(p)) {
		put_le16(b, word);
		mem_dma_write(p->mem, d->at + (style(p) == 3 ? 0 : 8), b, 4);
	} else {
		put_le16(b, word);
		mem_dma_write(p->mem, d->at + 6, b, 2);
	}
	mem_dma_write(p->mem, d->at + (is_wide(p) ? 7 : 3), &status, 1);
}

/* --- transmit --- */

/* The packet at tx_at into p->frame: its descriptors; 0: it is not whole. *len is 0 if it is none that can be sent. */
static uint32_t gather(struct pcnet *p, uint32_t *len)
{
	uint32_t limit = MIN(p->s.tx_len, BUFFERS_MAX), got = 0;
	bool bad = false;

	for (uint32_t n = 0; n < limit; n++) {
		struct descriptor d = get(p, p->s.tx_base, (p->s.tx_at + n) % p->s.tx_len);

		if (!(d.status & OWN))
			return 0;
		bad |= (!n && !(d.status & STP)) || !d.valid || d.len > sizeof(p->frame) - CARD_FCS_LEN - got;
		if (!bad) {
			mem_dma_read(p->mem, d.addr, p->frame + got, d.len);
			got += d.len;
		}
		*len = bad ? 0 : got;
		if (d.status & ENP)
			return n + 1;
	}
	*len = 0;
	return limit;
}

static bool send(struct pcnet *p, uint32_t len)
{
	struct iovec iov = { p->frame, MAX(len, CARD_FRAME_MIN) };

	if (!len)
		return true;
	if (len < CARD_FRAME_MIN)
		memset(p->frame + len, 0, CARD_FRAME_MIN - len);
	return net_send(p->end, &(struct net_frame){ .iov = &iov, .niov = 1, .len = (uint32_t)iov.iov_len });
}

void pcnet_transmit(struct pcnet *p)
{
	uint32_t n = 0, len = 0;

	if (p->sending || !(p->s.csr[CSR_STATUS] & CSR0_TXON) || !p->s.tx_len || !pci_master_enabled(&p->pci))
		return;
	p->sending = true;
	for (uint32_t spent = 0; spent < PCNET_TURN; spent += n) {
		n = gather(p, &len);
		if (!n || !send(p, len))
			break;
		for (uint32_t i = 0; i < n; i++) {
			struct descriptor d = get(p, p->s.tx_base, (p->s.tx_at + i) % p->s.tx_len);

			give_back(p, &d, (uint8_t)((d.status & ~(OWN | ERR)) | (len ? 0 : ERR)), 0);
		}
		p->s.tx_at = (p->s.tx_at + n) % p->s.tx_len;
		pcnet_cause(p, CSR0_TINT);
	}
	p->sending = false;
	if (n)
		pcnet_poll_soon(p);
}

/* --- receive --- */

static bool wants(const struct pcnet *p, const uint8_t *to)
{
	const uint16_t *csr = p->s.csr;
	uint32_t hash = card_crc(to) >> 26;

	if (csr[CSR_MODE] & MODE_PROM)
		return true;
	if (!memcmp(to, card_broadcast, NET_MAC_LEN))
		return !(csr[CSR_MODE] & MODE_DRCVBC);
	if (to[0] & 1)
		return csr[CSR_LADRF + (hash >> 4)] >> (hash & 15) & 1;
	for (unsigned i = 0; i < 3; i++)
		if (get_le16(to + 2 * i) != csr[CSR_PADR + i])
			return false;
	return !(csr[CSR_MODE] & MODE_DRCVPA);
}

/* Buffers that are there for len bytes; 0: too few. */
static uint32_t buffers_for(struct pcnet *p, uint32_t len)
{
	for (uint32_t n = 0; n < MIN(p->s.rx_len, BUFFERS_MAX); n++) {
		struct descriptor d = get(p, p->s.rx_base, (p->s.rx_at + n) % p->s.rx_len);

		if (!(d.status & OWN))
			return 0;
		if (d.len >= len)
			return n + 1;
		len -= d.len;
	}
	return 0;
}

bool pcnet_receive(void *opaque, const struct net_frame *f)
{
	struct pcnet *p = opaque;
	uint32_t len = MAX(f->len, CARD_FRAME_MIN), at = 0, n;
	uint8_t packet[CARD_FRAME_MAX + 4 + CARD_FCS_LEN] = { 0 };

	if (!(p->s.csr[CSR_STATUS] & CSR0_RXON) || !p->s.rx_len || !pci_master_enabled(&p->pci) ||
	    len > CARD_FRAME_MAX + 4)
		return true;
	net_frame_copy(f, 0, packet, f->len);
	if (!wants(p, packet))
		return true;
	len += CARD_FCS_LEN;
	n = buffers_for(p, len);
	if (!n) {
		pcnet_poll_soon(p);
		return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct descriptor d = get(p, p->s.rx_base, p->s.rx_at);
		uint32_t part = MIN(d.len, len - at);

		mem_dma_write(p->mem, d.addr, packet + at, part);
		at += part;
		give_back(p, &d, (uint8_t)((i ? 0 : STP) | (i == n - 1 ? ENP : 0)), i == n - 1 ? (uint16_t)len : 0);
		p->s.rx_at = (p->s.rx_at + 1) % p->s.rx_len;
	}
	pcnet_cause(p, CSR0_RINT);
	return true;
}
