// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 82093AA I/O APIC: redirection table, edge and level inputs, remote IRR
 *
 * Wires carry "asserted", so the polarity bit is kept for the guest and otherwise ignored. A message goes out
 * the moment its condition holds; nothing is queued here:
 *   edge    a rising input while the entry is unmasked ("edges while masked are lost", 82093AA 3.2.4)
 *   level   input asserted, entry unmasked, remote IRR clear; checked again after each EOI and table write,
 *           so a line that is still asserted interrupts again
 *
 * Source: Intel 82093AA data sheet (290566), chapter 3.
 */
#include "dev/sys/ioapic.h"

#include <stdlib.h>

#include "base/bytes.h"

enum { IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40 };                            /* 3.1 */
enum { IOAPICID = 0, IOAPICVER = 1, IOAPICARB = 2, IOREDTBL = 0x10 };            /* 3.2 */

#define RTE_VECTOR     0xffull
#define RTE_LOGICAL    0x800ull
#define RTE_REMOTE_IRR 0x4000ull
#define RTE_LEVEL      0x8000ull
#define RTE_MASKED     0x10000ull
/* Bits a write changes; delivery status and remote IRR are read-only. */
#define RTE_WRITABLE   0xff0000000001afffull

struct ioapic_state {
	uint64_t rte[IOAPIC_PINS];
	uint32_t pins; /* input levels */
	uint8_t id;
	uint8_t select;
	uint8_t pad_[2];
};

struct ioapic {
	struct ioapic_state s;
	struct ioapic_config cfg;
	struct mem_region window;
};

static bool send(struct ioapic *io, uint64_t rte)
{
	uint32_t dest = (uint32_t)(rte >> 56);

	return lapic_bus_deliver(io->cfg.bus, dest == 0xff ? LAPIC_DEST_ALL : dest, rte & RTE_LOGICAL, rte >> 8 & 7,
				 rte & RTE_VECTOR, rte & RTE_LEVEL);
}

/* A level input interrupts if it may. */
static void service_level(struct ioapic *io, unsigned n)
{
	uint64_t *rte = &io->s.rte[n];

	if ((*rte & (RTE_MASKED | RTE_REMOTE_IRR | RTE_LEVEL)) != RTE_LEVEL || !(io->s.pins >> n & 1))
		return;
	if (send(io, *rte))
		*rte |= RTE_REMOTE_IRR;
}

void ioapic_set_pin(void *ioapic, int n, bool level)
{
	struct ioapic *io = ioapic;
	uint32_t bit;

	if (n < 0 || n >= (int)IOAPIC_PINS)
		return;
	bit = 1u << n;
	if (!(io->s.pins & bit) == !level)
		return;
	io->s.pins ^= bit;
	if (!level || (io->s.rte[n] & RTE_MASKED))
		return;
	if (io->s.rte[n] & RTE_LEVEL)
		service_level(io, (unsigned)n);
	else
		send(io, io->s.rte[n]);
}

bool ioapic_wakes(const struct ioapic *io)
{
	for (unsigned n = 0; n < IOAPIC_PINS; n++) {
		unsigned mode = io->s.rte[n] >> 8 & 7;

		if (!(io->s.rte[n] & RTE_MASKED) && (mode == LAPIC_NMI || mode == LAPIC_INIT))
			return true;
	}
	return false;
}

void ioapic_eoi(void *ioapic, uint8_t vector)
{
	struct ioapic *io = ioapic;

	for (unsigned n = 0; n < IOAPIC_PINS; n++) {
		uint64_t *rte = &io->s.rte[n];

		if (!(*rte & RTE_REMOTE_IRR) || (*rte & RTE_VECTOR) != vector)
			continue;
		*rte &= ~RTE_REMOTE_IRR;
		service_level(io, n);
	}
}

static void write_rte(struct ioapic *io, unsigned n, uint64_t val, uint64_t mask)
{
	uint64_t *rte = &io->s.rte[n];

	mask &= RTE_WRITABLE;
	*rte = (*rte & ~mask) | (val & mask);
	/* Seen on every chip of the family and relied on by Linux's __eoi_ioapic_pin(): an entry turned to edge
	 * forgets its remote IRR. */
	if (!(*rte & RTE_LEVEL))
		*rte &= ~RTE_REMOTE_IRR;
	service_level(io, n);
}

static void write_reg(struct ioapic *io, uint32_t val)
{
	unsigned reg = io->s.select, n = (reg - IOREDTBL) / 2;

	if (reg == IOAPICID)
		io->s.id = val >> 24 & 15;
	else if (reg < IOREDTBL || n >= IOAPIC_PINS)
		return;
	else if (reg & 1)
		write_rte(io, n, (uint64_t)val << 32, 0xffffffff00000000);
	else
		write_rte(io, n, val, 0xffffffff);
}

static uint32_t read_reg(const struct ioapic *io)
{
	unsigned reg = io->s.select, n = (reg - IOREDTBL) / 2;

	switch (reg) {
	case IOAPICID:
	case IOAPICARB:
		return (uint32_t)io->s.id << 24;
	case IOAPICVER:
		return (IOAPIC_PINS - 1) << 16 | (io->cfg.eoi_register ? 0x20 : 0x11);
	}
	if (reg < IOREDTBL || n >= IOAPIC_PINS)
		return 0;
	return (uint32_t)(io->s.rte[n] >> (reg & 1 ? 32 : 0));
}

uint32_t ioapic_mmio_read(struct ioapic *io, uint32_t off)
{
	switch (off) {
	case IOREGSEL:
		return io->s.select;
	case IOWIN:
		return read_reg(io);
	default:
		return 0;
	}
}

void ioapic_mmio_write(struct ioapic *io, uint32_t off, uint32_t val)
{
	if (off == IOREGSEL)
		io->s.select = (uint8_t)val;
	else if (off == IOWIN)
		write_reg(io, val);
	else if (off == IOEOI && io->cfg.eoi_register)
		ioapic_eoi(io, (uint8_t)val);
}

static uint64_t window_read(void *opaque, uint64_t off, unsigned size)
{
	return ioapic_mmio_read(opaque, (uint32_t)off & ~3u) >> ((off & 3) * 8);
}

/* 3.0: registers are accessed 32 bits wide, though the index is a byte and byte writes to it do work. */
static void window_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	if (size == 4 || off == IOREGSEL)
		ioapic_mmio_write(opaque, (uint32_t)off, (uint32_t)val);
}

static const struct mem_ops window_ops = {.read = window_read, .write = window_write, .max_size = 4, .plain = true};

void ioapic_reset(struct ioapic *io)
{
	uint32_t pins = io->s.pins;

	bytes_fill(&io->s, 0, sizeof(io->s));
	io->s.pins = pins;
	io->s.id = io->cfg.id;
	for (unsigned n = 0; n < IOAPIC_PINS; n++)
		io->s.rte[n] = RTE_MASKED;
}

static const struct st_field ioapic_type_fields[] = {
	ST_ARRAY(struct ioapic_state, rte), ST(struct ioapic_state, pins), ST(struct ioapic_state, id),
	ST(struct ioapic_state, select), ST_ARRAY(struct ioapic_state, pad_),
};
static ST_TYPE(ioapic_type, struct ioapic_state, 1, NULL);

struct ioapic *ioapic_new(const struct ioapic_config *cfg)
{
	struct ioapic *io = xalloc(sizeof(*io));

	io->cfg = *cfg;
	io->window = (struct mem_region){
		.name = "ioapic", .base = cfg->base ? cfg->base : IOAPIC_DEFAULT_BASE, .size = 4096, .priority = 10,
		.ops = &window_ops, .opaque = io,
	};
	ioapic_reset(io);
	lapic_bus_set_eoi(cfg->bus, ioapic_eoi, io);
	if (cfg->mem)
		mem_region_enable(cfg->mem, &io->window);
	if (cfg->set)
		state_set_add(cfg->set, "ioapic", &ioapic_type, &io->s, NULL, NULL);
	return io;
}

void ioapic_free(struct ioapic *io)
{
	if (!io)
		return;
	lapic_bus_set_eoi(io->cfg.bus, NULL, NULL);
	if (io->window.enabled)
		mem_region_disable(io->cfg.mem, &io->window);
	free(io);
}
