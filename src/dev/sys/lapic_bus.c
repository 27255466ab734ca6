// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the message bus of the local APICs: addressing, lowest priority, IPIs, MSIs, EOI broadcast, the MMIO window
 *
 * All vCPUs see their own LAPIC at the same address, so the window belongs to the bus: it lies where the base MSR of
 * the first LAPIC says, is there while any of them is in xAPIC mode, and asks whose access it is. APICs at differing
 * bases, which no system uses, are not modelled; nor is what lies beneath, for a CPU whose own APIC does not answer.
 *
 * Sources: Intel SDM vol 3 11.6 (destinations), 11.11 (MSI).
 */
#include "dev/sys/lapic_int.h"

#include <stdlib.h>

struct lapic_bus {
	struct mem *mem;
	struct mem_region window;
	struct lapic *apic[LAPIC_BUS_MAX];
	unsigned count;
	unsigned (*current)(void *opaque);
	void *current_opaque;
	void (*eoi)(void *opaque, uint8_t vector);
	void *eoi_opaque;
};

static struct lapic *current_apic(struct lapic_bus *bus)
{
	unsigned n = bus->current ? bus->current(bus->current_opaque) : 0;

	return n < bus->count ? bus->apic[n] : bus->apic[0];
}

/* SDM vol 3 11.4.3, 11.12.1: no window of an APIC that is off or in x2APIC mode. */
static bool answers(const struct lapic *l)
{
	return lapic_enabled(l) && !lapic_is_x2(l);
}

/* SDM vol 3 11.4.1: 32-bit accesses on 16-byte boundaries; anything else is undefined: narrow reads see their
 * bytes, other writes are dropped. */
static uint64_t window_read(void *opaque, uint64_t off, unsigned size)
{
	struct lapic *l = current_apic(opaque);
	uint32_t val;

	if (!answers(l))
		return UINT64_MAX;
	if (off & 12)
		return 0;
	val = lapic_mmio_read(l, (uint32_t)off & 0xff0);
	return val >> ((off & 3) * 8);
}

static void window_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct lapic *l = current_apic(opaque);

	if (!answers(l))
		return;
	if (size == 4 && !(off & 15))
		lapic_mmio_write(l, (uint32_t)off, (uint32_t)val);
	else
		guest_log("lapic: %u-byte write at 0x%x dropped", size, (unsigned)off);
}

static const struct mem_ops window_ops = {.read = window_read, .write = window_write, .max_size = 4, .plain = true};

struct lapic_bus *lapic_bus_new(struct mem *mem)
{
	struct lapic_bus *bus = xalloc(sizeof(*bus));

	bus->mem = mem;
	bus->window = (struct mem_region){
		.name = "lapic", .base = LAPIC_DEFAULT_BASE, .size = 4096, .priority = 20, .ops = &window_ops, .opaque = bus,
	};
	return bus;
}

void lapic_bus_free(struct lapic_bus *bus)
{
	if (bus && bus->window.enabled)
		mem_region_disable(bus->mem, &bus->window);
	free(bus);
}

void lapic_bus_set_current(struct lapic_bus *bus, unsigned (*current)(void *opaque), void *opaque)
{
	bus->current = current;
	bus->current_opaque = opaque;
}

void lapic_bus_set_eoi(struct lapic_bus *bus, void (*eoi)(void *opaque, uint8_t vector), void *opaque)
{
	bus->eoi = eoi;
	bus->eoi_opaque = opaque;
}

void lapic_bus_add(struct lapic_bus *bus, struct lapic *l)
{
	must(bus->count < LAPIC_BUS_MAX);
	bus->apic[bus->count++] = l;
}

void lapic_bus_remove(struct lapic_bus *bus, struct lapic *l)
{
	for (unsigned i = 0; i < bus->count; i++) {
		if (bus->apic[i] != l)
			continue;
		bus->apic[i] = bus->apic[--bus->count];
		break;
	}
	if (!bus->count && bus->window.enabled)
		mem_region_disable(bus->mem, &bus->window);
}

void lapic_bus_map(struct lapic_bus *bus)
{
	gpa_t base = bus->apic[0]->s.base & BASE_ADDR;
	bool on = false;

	if (!bus->mem)
		return;
	for (unsigned i = 0; i < bus->count; i++)
		on |= answers(bus->apic[i]);
	if (bus->window.enabled && !on)
		mem_region_disable(bus->mem, &bus->window);
	if (base != bus->window.base)
		mem_region_move(bus->mem, &bus->window, base);
	if (!bus->window.enabled && on)
		mem_region_enable(bus->mem, &bus->window);
}

void lapic_bus_eoi(struct lapic_bus *bus, uint8_t vector)
{
	if (bus->eoi)
		bus->eoi(bus->eoi_opaque, vector);
}

/* SDM vol 3 11.6.2.2: flat or cluster model of 8-bit logical destinations. */
static bool match_logical8(const struct lapic *l, uint32_t dest)
{
	uint32_t ldr = l->s.ldr >> 24;

	if (dest > 0xff)
		return false;
	if (l->s.dfr >> 28 == 0xf)
		return ldr & dest;
	return (dest >> 4 == 0xf || dest >> 4 == ldr >> 4) && (ldr & dest & 0xf);
}

static bool matches(const struct lapic *l, uint32_t dest, bool logical)
{
	if (dest == LAPIC_DEST_ALL)
		return true;
	if (!logical)
		return dest == l->cfg.id;
	if (!lapic_is_x2(l))
		return match_logical8(l, dest);
	return dest >> 16 == l->cfg.id >> 4 && (dest >> (l->cfg.id & 15) & 1);
}

/* SDM vol 3 11.6.2.4: of the addressed processors the one of lowest priority takes it. */
static struct lapic *lowest(struct lapic_bus *bus, uint32_t dest, bool logical, const struct lapic *except)
{
	struct lapic *best = NULL;

	for (unsigned i = 0; i < bus->count; i++) {
		struct lapic *l = bus->apic[i];

		if (l == except || !lapic_enabled(l) || !(l->s.svr & SVR_ENABLE) || !matches(l, dest, logical))
			continue;
		if (!best || lapic_ppr(l) < lapic_ppr(best))
			best = l;
	}
	return best;
}

static unsigned deliver(struct lapic_bus *bus, uint32_t dest, bool logical, unsigned delivery, uint8_t vector,
                        bool level,
			const struct lapic *except)
{
	unsigned taken = 0;

	if (delivery == LAPIC_LOWEST && bus->count > 1) {
		struct lapic *l = lowest(bus, dest, logical, except);

		return l && lapic_message(l, delivery, vector, level);
	}
	for (unsigned i = 0; i < bus->count; i++) {
		struct lapic *l = bus->apic[i];

		if (l != except && matches(l, dest, logical))
			taken += lapic_message(l, delivery, vector, level);
	}
	return taken;
}

unsigned lapic_bus_deliver(struct lapic_bus *bus, uint32_t dest, bool logical, unsigned delivery, uint8_t vector,
                           bool level)
{
	return deliver(bus, dest, logical, delivery, vector, level, NULL);
}

/* SDM vol 3 11.11.1 and 11.11.2. */
void lapic_bus_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct lapic_bus *bus = opaque;
	uint32_t dest = addr >> 12 & 0xff;

	if (addr >> 20 != LAPIC_DEFAULT_BASE >> 20) {
		guest_log("MSI to 0x%llx is no interrupt message", (unsigned long long)addr);
		return;
	}
	deliver(bus, dest == 0xff ? LAPIC_DEST_ALL : dest, addr >> 2 & 1, data >> 8 & 7, (uint8_t)data, data >> 15 & 1,
	        NULL);
}

/* SDM vol 3 11.6.1. */
void lapic_bus_ipi(struct lapic_bus *bus, struct lapic *from, uint32_t icr, uint32_t dest)
{
	unsigned delivery = icr >> 8 & 7, shorthand = icr >> 18 & 3;
	uint8_t vector = (uint8_t)icr;
	bool logical = icr >> 11 & 1;

	if (delivery == LAPIC_INIT && (icr & 0xc000) == 0x8000)
		return; /* INIT level de-assert: arbitration IDs, which do not exist any more */
	if (delivery <= LAPIC_LOWEST && vector < 16) {
		lapic_error(from, ESR_SEND_VECTOR);
		return;
	}
	if (shorthand == 0)
		deliver(bus, dest, logical, delivery, vector, false, NULL);
	else if (shorthand == 1)
		lapic_message(from, delivery, vector, false);
	else
		deliver(bus, LAPIC_DEST_ALL, false, delivery, vector, false, shorthand == 3 ? from : NULL);
}
