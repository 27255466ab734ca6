// SPDX-License-Identifier: GPL-2.0-or-later
/* what: Intel 82540EM and 82545EM: registers, interrupts and their throttling, reset
 *
 *   BAR0  memory  registers           ROM  boot ROM
 *   BAR1  I/O     0 the address of a register, 4 its data: drivers reset the card by this one
 *
 * I1  The line is up while a cause is enabled (ICR & IMS); it rises at most once in ITR * 256 ns.
 * Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual ("SDM"), 13.
 */
#include "dev/net/e1000_int.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_SIZE (128u << 10)
#define IO_SIZE 64u
#define STATS 0x4000u
#define MTA 0x5200u
#define RA 0x5400u
#define VFTA 0x5600u

struct reg {
	uint16_t at;
	uint32_t writable, reset;
};
#define ONE_REG(name, at, mask, reset) { at, mask, reset },
static const struct reg regs[E1000_NREGS] = { E1000_REGS(ONE_REG) };

/* --- interrupts --- */

static void update_line(struct e1000 *e)
{
	bool want = e->s.reg[E1000_ICR] & e->s.ims;
	uint64_t now = loop_now(e->loop), next = e->s.interrupted + e->s.reg[E1000_ITR] * 256ull;

	if (want && !e->s.line && e->s.reg[E1000_ITR] && e->s.interrupted && now < next) {
		if (!e->throttle.armed)
			loop_timer_set(&e->throttle, next);
		return;
	}
	if (want && !e->s.line)
		e->s.interrupted = now;
	e->s.line = want;
	pci_set_intx(&e->pci, want);
}

void e1000_cause(struct e1000 *e, uint32_t bits)
{
	e->s.reg[E1000_ICR] |= bits;
	update_line(e);
}

static void throttle_over(void *opaque)
{
	update_line(opaque);
}

static void rx_delay_over(void *opaque)
{
	struct e1000 *e = opaque;

	e->s.rx_delayed = false;
	e1000_cause(e, ICR_RXT0);
}

static void tx_delay_over(void *opaque)
{
	struct e1000 *e = opaque;

	e->s.tx_delayed = false;
	e1000_cause(e, ICR_TXDW);
}

static void send_again(void *opaque)
{
	e1000_transmit(opaque);
}

/* SDM 13.4.17: reading clears */
static uint32_t read_icr(struct e1000 *e)
{
	uint32_t val = e->s.reg[E1000_ICR];

	e->s.reg[E1000_ICR] = 0;
	update_line(e);
	return val;
}

/* --- registers --- */

static int find(uint32_t at)
{
	unsigned low = 0, high = E1000_NREGS;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (regs[middle].at == at)
			return (int)middle;
		if (regs[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* The word of a table; false: at is in none. */
static bool in_table(struct e1000 *e, uint32_t at, uint32_t **word)
{
	if (at >= MTA && at < MTA + sizeof(e->s.mta))
		*word = &e->s.mta[(at - MTA) / 4];
	else if (at >= RA && at < RA + sizeof(e->s.ra))
		*word = &e->s.ra[(at - RA) / 4];
	else if (at >= VFTA && at < VFTA + sizeof(e->s.vfta))
		*word = &e->s.vfta[(at - VFTA) / 4];
	else
		return false;
	return true;
}

static uint32_t read_status(const struct e1000 *e)
{
	uint32_t val = e->s.reg[E1000_STATUS] | STATUS_FD | STATUS_1000;

	return net_link_up(e->end) && e->s.reg[E1000_CTRL] & CTRL_SLU ? val | STATUS_LU : val;
}

static uint32_t reg_read(struct e1000 *e, uint32_t at)
{
	int reg = find(at);
	uint32_t *word, val;

	if (in_table(e, at, &word))
		return *word;
	if (at >= STATS && at < STATS + sizeof(e->s.stats)) {
		val = e->s.stats[(at - STATS) / 4];
		e->s.stats[(at - STATS) / 4] = 0;
		return val;
	}
	switch (reg) {
	case -1: case E1000_IMC: case E1000_ICS:
		return 0;
	case E1000_STATUS:
		return read_status(e);
	case E1000_EECD:
		return e1000_eecd_read(e);
	case E1000_ICR:
		return read_icr(e);
	case E1000_IMS:
		return e->s.ims;
	}
	return e->s.reg[reg];
}

static void device_reset(struct e1000 *e);

static void write_ctrl(struct e1000 *e, uint32_t val)
{
	uint32_t was = e->s.reg[E1000_CTRL];

	if (val & CTRL_RST) {
		device_reset(e);
		return;
	}
	if (val & CTRL_PHY_RST)
		e1000_phy_reset(e);
	e->s.reg[E1000_CTRL] = val & ~(CTRL_RST | CTRL_PHY_RST);
	if (~was & val & CTRL_SLU && net_link_up(e->end))
		e1000_cause(e, ICR_LSC);
}

/* Registers that act; false: it is not one. */
static bool write_acting(struct e1000 *e, int reg, uint32_t val)
{
	switch (reg) {
	case E1000_CTRL:
		write_ctrl(e, val);
		break;
	case E1000_EECD:
		e1000_eecd_write(e, val);
		break;
	case E1000_EERD:
		e->s.reg[reg] = e1000_eerd(e, val);
		break;
	case E1000_MDIC:
		e->s.reg[reg] = e1000_mdic(e, val);
		break;
	case E1000_ICR:
		e->s.reg[reg] &= ~val;
		update_line(e);
		break;
	case E1000_ICS:
		e1000_cause(e, val & 0x1ffff);
		break;
	case E1000_IMS:
		e->s.ims |= val & 0x1ffff;
		update_line(e);
		break;
	case E1000_IMC:
		e->s.ims &= ~val;
		update_line(e);
		break;
	default:
		return false;
	}
	return true;
}

static void reg_write(struct e1000 *e, uint32_t at, uint32_t val)
{
	int reg = find(at);
	uint32_t *word;

	if (in_table(e, at, &word)) {
		*word = val;
		return;
	}
	if (reg < 0 || write_acting(e, reg, val))
		return;
	e->s.reg[reg] = (e->s.reg[reg] & ~regs[reg].writable) | (val & regs[reg].writable);
	if (reg == E1000_TDT || reg == E1000_TCTL)
		e1000_transmit(e);
	else if (reg == E1000_RDT || reg == E1000_RCTL)
		net_ready(e->end);
	else if (reg == E1000_ITR)
		update_line(e);
}

/* Registers are words: SDM 13.1. What is narrower reads its part, and is not written. */
static uint64_t memory_read(void *opaque, uint64_t off, unsigned size)
{
	return reg_read(opaque, (uint32_t)off & ~3u) >> 8 * (off & 3);
}

static void memory_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	if (size == 4 && !(off & 3))
		reg_write(opaque, (uint32_t)off, (uint32_t)val);
}

static const struct mem_ops memory_ops = { .read = memory_read, .write = memory_write, .max_size = 4 };

/* SDM 13.3.1: IOADDR, IODATA */
static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
	struct e1000 *e = opaque;

	if (off == 0)
		return e->s.io_address;
	return off == 4 ? reg_read(e, e->s.io_address) : 0;
}

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct e1000 *e = opaque;

	if (off == 0)
		e->s.io_address = (uint32_t)val & (MEMORY_SIZE - 4);
	else if (off == 4 && size == 4)
		reg_write(e, e->s.io_address, (uint32_t)val);
}

static const struct mem_ops io_ops = { .read = io_read, .write = io_write, .max_size = 4 };

/* --- the port --- */

static void network_ready(void *opaque)
{
	e1000_transmit(opaque);
}

static void link_changed(void *opaque, bool up)
{
	e1000_cause(opaque, ICR_LSC);
}

static const struct net_end_ops end_ops = { .receive = e1000_receive, .ready = network_ready, .link = link_changed };

/* --- life --- */

/* SDM 4.6.1: EEPROM contents come back, so the address does; statistics too begin anew. */
static void device_reset(struct e1000 *e)
{
	uint64_t mac = e->eeprom[0] | (uint64_t)e->eeprom[1] << 16 | (uint64_t)e->eeprom[2] << 32;

	memset(&e->s, 0, sizeof(e->s));
	for (unsigned i = 0; i < E1000_NREGS; i++)
		e->s.reg[i] = regs[i].reset;
	e->s.ra[0] = (uint32_t)mac;
	e->s.ra[1] = (uint32_t)(mac >> 32) | 0x80000000u;
	eeprom93_reset(&e->s.eeprom);
	e1000_phy_reset(e);
	loop_timer_cancel(&e->throttle);
	loop_timer_cancel(&e->rx_delay);
	loop_timer_cancel(&e->tx_delay);
	loop_timer_cancel(&e->tx_again);
	pci_set_intx(&e->pci, false);
	net_ready(e->end); /* what waited for buffers is lost */
}

static const char *check_state(const void *state)
{
	const struct e1000_state *s = state;

	if (s->io_address > MEMORY_SIZE - 4)
		return "an address is out of range";
	return s->reg[E1000_RDLEN] & ~0x000fff80u || s->reg[E1000_TDLEN] & ~0x000fff80u ? "a ring is too long" : NULL;
}

static const struct st_field e1000_state_type_fields[] = {
	ST(struct e1000_state, interrupted), ST_ARRAY(struct e1000_state, reg), ST(struct e1000_state, ims),
	ST_ARRAY(struct e1000_state, mta), ST_ARRAY(struct e1000_state, vfta), ST_ARRAY(struct e1000_state, ra),
	ST_ARRAY(struct e1000_state, stats), ST_ARRAY(struct e1000_state, context), ST(struct e1000_state, io_address),
	ST_ARRAY(struct e1000_state, phy), ST_SUB(struct e1000_state, eeprom, &eeprom93_type),
	ST(struct e1000_state, tx_dropping), ST(struct e1000_state, line),
	ST(struct e1000_state, rx_delayed), ST(struct e1000_state, tx_delayed), ST_ARRAY(struct e1000_state, pad_),
};
static ST_TYPE(e1000_state_type, struct e1000_state, 1, check_state);

/* What timers owed comes at once. */
static void loaded(void *opaque)
{
	struct e1000 *e = opaque;
	uint32_t owed = (e->s.rx_delayed ? ICR_RXT0 : 0) | (e->s.tx_delayed ? ICR_TXDW : 0);

	e->s.rx_delayed = e->s.tx_delayed = false;
	pci_set_intx(&e->pci, e->s.line);
	e1000_cause(e, owed | ICR_LSC);
	loop_timer_set(&e->tx_again, loop_now(e->loop));
}

static void init_pci(struct e1000 *e, const struct card_place *place, uint16_t device,
                     const struct net_card_config *card)
{
	struct pci_dev *pci = &e->pci;

	pci->name = place->name;
	pci->opaque = e;
	pci_set_ids(pci, 0x8086, device, 0x020000, 2, 0x8086, 0x001e, 1);
	pci->bar[0] = (struct pci_bar){ .kind = PCI_BAR_MEM32, .size = MEMORY_SIZE,
		.region = { .name = place->name, .ops = &memory_ops, .opaque = e } };
	pci->bar[1] = (struct pci_bar){ .kind = PCI_BAR_IO, .size = IO_SIZE,
		.ports = { .name = place->name, .ops = &io_ops, .opaque = e } };
	if (card->rom)
		pci->bar[6] = (struct pci_bar){ .kind = PCI_BAR_ROM, .size = card->rom_size,
			.region = { .name = "e1000-rom", .host = card->rom } };
	pci_add(place->bus, pci, place->devfn);
	pci_register_state(pci, place->states, place->name);
}

struct e1000 *e1000_new(const struct card_place *place, uint16_t device, const struct net_card_config *card)
{
	struct e1000 *e = xalloc(sizeof(*e));

	e->mem = place->mem;
	e->loop = place->loop;
	e->name = place->name;
	e->end = card->end;
	loop_timer_init(&e->throttle, place->loop, throttle_over, e);
	loop_timer_init(&e->rx_delay, place->loop, rx_delay_over, e);
	loop_timer_init(&e->tx_delay, place->loop, tx_delay_over, e);
	loop_timer_init(&e->tx_again, place->loop, send_again, e);
	e1000_eeprom_init(e, device, card->mac);
	init_pci(e, place, device, card);
	state_set_add(place->states, place->name, &e1000_state_type, &e->s, loaded, e);
	net_attach(e->end, &end_ops, e);
	device_reset(e);
	return e;
}

void e1000_reset(struct e1000 *e)
{
	device_reset(e);
}

void e1000_free(struct e1000 *e)
{
	if (!e)
		return;
	net_attach(e->end, NULL, NULL);
	loop_timer_cancel(&e->throttle);
	loop_timer_cancel(&e->rx_delay);
	loop_timer_cancel(&e->tx_delay);
	loop_timer_cancel(&e->tx_again);
	free(e);
}
