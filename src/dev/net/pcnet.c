// SPDX-License-Identifier: GPL-2.0-or-later
/* what: AMD PCnet-PCI II, Am79C970A: address PROM, registers behind a pointer, interrupts, start and stop
 *
 *   BAR0 I/O, BAR1 memory   0-0f PROM   16 bits wide: 10 RDP  12 RAP  14 reset  16 BDP
 *                                       32 bits wide: 10 RDP  14 RAP  18 reset  1c BDP
 *
 * Registers become 32 bits wide by the first such write to RDP. CSRs are read and written at RDP, BCRs at BDP, the one
 * that RAP names.
 *
 * I1  The line is up while a cause that CSR3 does not mask is set and IENA is.
 * Source: AMD, Am79C970A PCnet-PCI II data sheet ("DS").
 */
#include "dev/net/pcnet_int.h"

#include <stdlib.h>
#include <string.h>

#define PORTS 32u
#define POLL_NS 1000000u
#define CHIP_ID 0x02621003u  /* DS, CSR88: part 2621H, AMD */
#define BCR_LNKST 4
#define BCR_STYLE 20
#define LED_OUT 0x8000

static void update_line(struct pcnet *p)
{
	uint16_t *csr0 = &p->s.csr[CSR_STATUS];
	bool any = *csr0 & CSR0_CAUSES & 0x5f00 & ~p->s.csr[CSR_MASK];

	*csr0 = (uint16_t)((*csr0 & ~CSR0_INTR) | (any ? CSR0_INTR : 0));
	pci_set_intx(&p->pci, any && *csr0 & CSR0_IENA);
}

void pcnet_cause(struct pcnet *p, uint16_t bits)
{
	p->s.csr[CSR_STATUS] |= bits;
	update_line(p);
}

void pcnet_poll_soon(struct pcnet *p)
{
	if (!p->poll.armed)
		loop_timer_set(&p->poll, loop_now(p->loop) + POLL_NS);
}

static void poll_rings(void *opaque)
{
	struct pcnet *p = opaque;

	pcnet_transmit(p);
	net_ready(p->end);
}

/* --- registers --- */

static void stop(struct pcnet *p)
{
	p->s.csr[CSR_STATUS] = CSR0_STOP;
	loop_timer_cancel(&p->poll);
	update_line(p);
	net_ready(p->end); /* what waited for buffers is lost */
}

static void start(struct pcnet *p)
{
	uint16_t on = 0;

	if (!(p->s.csr[CSR_MODE] & MODE_DTX))
		on |= CSR0_TXON;
	if (!(p->s.csr[CSR_MODE] & MODE_DRX))
		on |= CSR0_RXON;
	p->s.csr[CSR_STATUS] = (uint16_t)((p->s.csr[CSR_STATUS] & ~CSR0_STOP) | CSR0_STRT | on);
}

static void write_status(struct pcnet *p, uint16_t val)
{
	uint16_t *csr0 = &p->s.csr[CSR_STATUS];

	if (val & CSR0_STOP) {
		stop(p);
		return;
	}
	*csr0 = (uint16_t)((*csr0 & ~(val & CSR0_CAUSES) & ~CSR0_IENA) | (val & CSR0_IENA));
	if (val & CSR0_INIT && !(*csr0 & CSR0_INIT) && pci_master_enabled(&p->pci)) {
		pcnet_read_init_block(p);
		*csr0 = (uint16_t)((*csr0 & ~CSR0_STOP) | CSR0_INIT | CSR0_IDON);
	}
	if (val & CSR0_STRT)
		start(p);
	update_line(p);
	if (val & (CSR0_TDMD | CSR0_STRT))
		pcnet_transmit(p);
	net_ready_soon(p->end);
}

static uint16_t read_csr(const struct pcnet *p, unsigned n)
{
	uint16_t val = n < PCNET_CSRS ? p->s.csr[n] : 0;

	if (n == CSR_STATUS && val & 0x7800) /* ERR: MERR, MISS, CERR, BABL */
		val |= 0x8000;
	if (n == CSR_CHIP || n == CSR_CHIP + 1)
		val = (uint16_t)(CHIP_ID >> 16 * (n - CSR_CHIP));
	return val;
}

static void write_csr(struct pcnet *p, unsigned n, uint16_t val)
{
	bool stopped = p->s.csr[CSR_STATUS] & CSR0_STOP;

	if (n == CSR_STATUS)
		write_status(p, val);
	else if (n == CSR_MASK || (n >= 4 && n <= 7))
		p->s.csr[n] = n == 4 ? val & (uint16_t)~0x026a : val; /* CSR4: causes that never come */
	else if (n == CSR_MODE || (n < PCNET_CSRS && stopped && n != CSR_CHIP && n != CSR_CHIP + 1))
		p->s.csr[n] = val;
	if (n == CSR_STYLE && stopped)
		p->s.bcr[BCR_STYLE] = val;
	if (n == CSR_MASK)
		update_line(p);
}

static uint16_t read_bcr(const struct pcnet *p, unsigned n)
{
	if (n >= PCNET_BCRS)
		return 0;
	if (n == BCR_LNKST)
		return (uint16_t)((p->s.bcr[n] & ~LED_OUT) | (net_link_up(p->end) ? LED_OUT : 0));
	return p->s.bcr[n];
}

/* BCR20: SSIZE32 follows from the style. */
static void write_bcr(struct pcnet *p, unsigned n, uint16_t val)
{
	if (n >= PCNET_BCRS || (n == BCR_STYLE && !(p->s.csr[CSR_STATUS] & CSR0_STOP)))
		return;
	if (n == BCR_STYLE) {
		unsigned style = val & 0xff;

		val = (uint16_t)(style | (style == 2 || style == 3 ? 0x300 : 0x200));
		p->s.csr[CSR_STYLE] = val;
	}
	p->s.bcr[n] = val;
}

static void soft_reset(struct pcnet *p)
{
	uint8_t rap = p->s.rap;

	memset(&p->s, 0, sizeof(p->s));
	p->s.rap = rap;
	for (unsigned i = 0; i < 3; i++)
		p->s.csr[CSR_PADR + i] = get_le16(p->prom + 2 * i);
	p->s.csr[CSR_STYLE] = p->s.bcr[BCR_STYLE] = 0x0200;
	p->s.bcr[BCR_LNKST] = 0x00c0;
	p->s.bcr[5] = 0x0084;
	p->s.bcr[6] = 0x0088;
	p->s.bcr[7] = 0x0090;
	stop(p);
}

/* --- ports --- */

static uint64_t ports_read(void *opaque, uint64_t off, unsigned size)
{
	struct pcnet *p = opaque;
	unsigned reg = p->s.dwio ? ((unsigned)off - 0x10) / 4 : ((unsigned)off - 0x10) / 2;
	uint64_t val = 0;

	if (off < 0x10) {
		for (unsigned i = 0; i < size && off + i < sizeof(p->prom); i++)
			val |= (uint64_t)p->prom[off + i] << 8 * i;
		return val;
	}
	if (off >= PORTS)
		return 0;
	switch (reg) {
	case 0:
		return read_csr(p, p->s.rap);
	case 1:
		return p->s.rap;
	case 2:
		soft_reset(p);
		return 0;
	case 3:
		return read_bcr(p, p->s.rap);
	}
	return 0;
}

static void ports_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct pcnet *p = opaque;
	unsigned reg;

	if (size == 4 && off == 0x10)
		p->s.dwio = true;
	if (off < 0x10 || off >= PORTS || size == 1 || (off & (p->s.dwio ? 3 : 1)))
		return;
	reg = ((unsigned)off - 0x10) / (p->s.dwio ? 4 : 2);
	if (reg == 0)
		write_csr(p, p->s.rap, (uint16_t)val);
	else if (reg == 1)
		p->s.rap = val & 0x7f;
	else if (reg == 3)
		write_bcr(p, p->s.rap, (uint16_t)val);
}

static const struct mem_ops ops = { .read = ports_read, .write = ports_write, .max_size = 4 };

/* --- the port, and life --- */

static void network_ready(void *opaque)
{
	pcnet_transmit(opaque);
}

static const struct net_end_ops end_ops = { .receive = pcnet_receive, .ready = network_ready };

static const char *check_state(const void *state)
{
	const struct pcnet_state *s = state;

	if (s->rx_len > 512 || s->tx_len > 512 || (s->rx_len & (s->rx_len - 1)) || (s->tx_len & (s->tx_len - 1)))
		return "a ring's length is no power of two up to 512";
	return s->rx_at > s->rx_len || s->tx_at > s->tx_len ? "a ring's place is out of it" : NULL;
}

static const struct st_field pcnet_state_type_fields[] = {
	ST_ARRAY(struct pcnet_state, csr), ST_ARRAY(struct pcnet_state, bcr), ST(struct pcnet_state, rx_base),
	ST(struct pcnet_state, tx_base), ST(struct pcnet_state, rx_len), ST(struct pcnet_state, tx_len),
	ST(struct pcnet_state, rx_at), ST(struct pcnet_state, tx_at), ST(struct pcnet_state, rap),
	ST(struct pcnet_state, dwio), ST_ARRAY(struct pcnet_state, pad_),
};
static ST_TYPE(pcnet_state_type, struct pcnet_state, 1, check_state);

static void loaded(void *opaque)
{
	struct pcnet *p = opaque;

	update_line(p);
	pcnet_poll_soon(p);
}

/* DS, "Address PROM": address, a sum of it and of the two Ws at the end. */
static void init_prom(struct pcnet *p, const uint8_t *mac)
{
	uint16_t sum = 0;

	memcpy(p->prom, mac, NET_MAC_LEN);
	p->prom[14] = p->prom[15] = 0x57;
	for (unsigned i = 0; i < 16; i++)
		sum = (uint16_t)(sum + p->prom[i]);
	put_le16(p->prom + 12, sum);
}

struct pcnet *pcnet_new(const struct card_place *place, const struct net_card_config *card)
{
	struct pcnet *p = xalloc(sizeof(*p));

	p->loop = place->loop;
	p->mem = place->mem;
	p->end = card->end;
	loop_timer_init(&p->poll, place->loop, poll_rings, p);
	init_prom(p, card->mac);
	p->pci.name = place->name;
	p->pci.opaque = p;
	pci_set_ids(&p->pci, 0x1022, 0x2000, 0x020000, 0x10, 0, 0, 1);
	p->pci.bar[0] = (struct pci_bar){ .kind = PCI_BAR_IO, .size = PORTS,
		.ports = { .name = place->name, .ops = &ops, .opaque = p } };
	p->pci.bar[1] = (struct pci_bar){ .kind = PCI_BAR_MEM32, .size = PORTS,
		.region = { .name = place->name, .ops = &ops, .opaque = p } };
	if (card->rom)
		p->pci.bar[6] = (struct pci_bar){ .kind = PCI_BAR_ROM, .size = card->rom_size,
			.region = { .name = "pcnet-rom", .host = card->rom } };
	pci_add(place->bus, &p->pci, place->devfn);
	pci_register_state(&p->pci, place->states, place->name);
	state_set_add(place->states, place->name, &pcnet_state_type, &p->s, loaded, p);
	net_attach(p->end, &end_ops, p);
	soft_reset(p);
	return p;
}

void pcnet_reset(struct pcnet *p)
{
	p->s.rap = 0;
	soft_reset(p);
}

void pcnet_free(struct pcnet *p)
{
	if (!p)
		return;
	net_attach(p->end, NULL, NULL);
	loop_timer_cancel(&p->poll);
	free(p);
}
