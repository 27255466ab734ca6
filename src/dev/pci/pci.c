// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PCI bus: configuration space rules, BAR decoding and INTx routing
 *
 * Configuration space is plain bytes plus two masks (writable, write-1-to-clear), so a function needs code only for
 * registers that act. BARs follow from the bytes: after each write to a BAR or the command register the bus compares
 * where a region should be with where it is, and moves it.
 *
 * I1  A BAR is mapped exactly while its decode bit is set and its address is usable (map_bar).
 * I2  The level of a PIRQ is the OR over all functions routed to it of (intx and not Interrupt Disable).
 * BARs lie below RAM in priority: the host bridge claims DRAM addresses before they reach PCI, and a BAR that is
 * being sized (all ones written with decoding on) must not cover RAM or ROM.
 * Source: PCI Local Bus Specification 3.0 ("PCI" below), chapter 6.
 */
#include "dev/pci/pci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR_PRIORITY (-1)
#define ROM_BAR 6

struct pci_bus {
	struct mem *mem;
	struct wire intx[4];
	bool level[4];
	struct pci_dev *devs;
	void (*msi)(void *opaque, uint64_t addr, uint32_t data);
	void *msi_opaque;
};

static struct pci_dev *find_dev(struct pci_bus *bus, uint8_t busno, uint8_t devfn)
{
	struct pci_dev *d;

	if (busno)
		return NULL;
	for (d = bus->devs; d; d = d->next)
		if (d->devfn == devfn)
			return d;
	return NULL;
}

const struct pci_dev *pci_next(const struct pci_bus *bus, const struct pci_dev *dev)
{
	const struct pci_dev *best = NULL;

	for (const struct pci_dev *d = bus->devs; d; d = d->next)
		if ((!dev || d->devfn > dev->devfn) && (!best || d->devfn < best->devfn))
			best = d;
	return best;
}

static unsigned bar_offset(unsigned i)
{
	return i == ROM_BAR ? 0x30 : 0x10 + i * 4; /* PCI figure 6-1 */
}

static bool bar_is_mem(const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_MEM32 || bar->kind == PCI_BAR_MEM64 || bar->kind == PCI_BAR_ROM;
}

/* The address the BAR's bytes say, or 0 if it must not be decoded. */
static uint64_t bar_address(const struct pci_dev *dev, unsigned i)
{
	const struct pci_bar *bar = &dev->bar[i];
	const uint8_t *reg = dev->s.config + bar_offset(i);
	uint16_t command = get_le16(dev->s.config + 4);
	uint64_t addr = get_le32(reg) & ~(uint64_t)(bar->size - 1);

	if (bar->kind == PCI_BAR_NONE || !(command & (bar_is_mem(bar) ? 2 : 1)))
		return 0;
	if (bar->kind == PCI_BAR_ROM && !(reg[0] & 1))
		return 0;
	if (bar->kind == PCI_BAR_IO)
		return addr + bar->size <= 0x10000 ? addr : 0;
	if (bar->kind == PCI_BAR_MEM64)
		addr |= (uint64_t)get_le32(reg + 4) << 32;
	else if (addr + bar->size > 0xfffff000) /* still being sized, or over the reset vector */
		return 0;
	return addr + bar->size <= (1ull << 52) ? addr : 0;
}

static void map_io_bar(struct pci_bus *bus, struct pci_bar *bar, uint64_t addr)
{
	if (bar->ports.enabled && bar->ports.base != addr)
		mem_ports_disable(bus->mem, &bar->ports);
	if (addr && !bar->ports.enabled) {
		bar->ports.base = (uint16_t)addr;
		mem_ports_enable(bus->mem, &bar->ports);
	}
}

static void map_mem_bar(struct pci_bus *bus, struct pci_bar *bar, uint64_t addr)
{
	struct mem_region *r = &bar->region;

	if (r->enabled && addr && r->base != addr)
		mem_region_move(bus->mem, r, addr);
	else if (r->enabled && !addr)
		mem_region_disable(bus->mem, r);
	else if (!r->enabled && addr) {
		r->base = addr;
		mem_region_enable(bus->mem, r);
	}
}

static void map_bar(struct pci_dev *dev, unsigned i)
{
	struct pci_bar *bar = &dev->bar[i];

	if (bar->kind == PCI_BAR_IO)
		map_io_bar(dev->bus, bar, bar_address(dev, i));
	else if (bar_is_mem(bar))
		map_mem_bar(dev->bus, bar, bar_address(dev, i));
}

static void map_bars(struct pci_dev *dev)
{
	for (unsigned i = 0; i < ARRAY_LEN(dev->bar); i++)
		map_bar(dev, i);
}

static bool intx_out(const struct pci_dev *dev)
{
	return dev->intx && !(get_le16(dev->s.config + 4) & 0x400); /* PCI 6.2.2: Interrupt Disable */
}

static unsigned intx_line(const struct pci_dev *dev)
{
	unsigned pin = dev->s.config[0x3d];

	return ((dev->devfn >> 3) + pin - 2) & 3; /* pin 1 is INTA */
}

static void drive_line(struct pci_bus *bus, unsigned line, bool force)
{
	const struct pci_dev *d;
	bool level = false;

	for (d = bus->devs; d; d = d->next)
		level |= d->s.config[0x3d] && intx_line(d) == line && intx_out(d);
	if (level == bus->level[line] && !force)
		return;
	bus->level[line] = level;
	wire_set(&bus->intx[line], level);
}

static void update_intx(struct pci_dev *dev)
{
	dev->s.config[6] = (uint8_t)((dev->s.config[6] & ~8u) | (dev->intx ? 8 : 0)); /* PCI 6.2.3: Interrupt Status */
	if (dev->bus && dev->s.config[0x3d])
		drive_line(dev->bus, intx_line(dev), false);
}

void pci_set_intx(struct pci_dev *dev, bool level)
{
	if (dev->intx == level)
		return;
	dev->intx = level;
	update_intx(dev);
}

bool pci_master_enabled(const struct pci_dev *dev)
{
	return dev->s.config[4] & 4;
}

void pci_set_ids(struct pci_dev *dev, uint16_t vendor, uint16_t device, uint32_t class24, uint8_t rev,
                 uint16_t subvendor,
                 uint16_t subdevice, uint8_t pin)
{
	uint8_t *c = dev->s.config;

	put_le16(c + 0x00, vendor);
	put_le16(c + 0x02, device);
	put_le32(c + 0x08, class24 << 8 | rev);
	put_le16(c + 0x2c, subvendor);
	put_le16(c + 0x2e, subdevice);
	c[0x3d] = pin;
}

uint8_t pci_add_cap(struct pci_dev *dev, uint8_t id, uint8_t len)
{
	uint8_t *c = dev->s.config;
	uint8_t at = dev->next_cap ? dev->next_cap : 0x40;

	must(len >= 2 && at + len <= 256);
	c[at] = id;
	c[at + 1] = c[0x34];
	c[0x34] = at;
	c[6] |= 0x10; /* PCI 6.2.3: Capabilities List */
	dev->next_cap = (uint8_t)((at + len + 3) & ~3);
	return at;
}

static void put_bar_type(struct pci_dev *dev, unsigned i)
{
	const struct pci_bar *bar = &dev->bar[i];
	uint8_t *reg = dev->s.config + bar_offset(i);
	uint32_t type = 0;

	if (bar->kind == PCI_BAR_NONE)
		return;
	if (bar->kind == PCI_BAR_IO)
		type = 1;
	else if (bar->kind != PCI_BAR_ROM) /* PCI 6.2.5.1 */
		type = (bar->kind == PCI_BAR_MEM64 ? 4u : 0u) | (bar->prefetchable ? 8u : 0u);
	put_le32(reg, type);
	if (bar->kind == PCI_BAR_MEM64)
		put_le32(reg + 4, 0);
}

static void init_bar(struct pci_dev *dev, unsigned i)
{
	struct pci_bar *bar = &dev->bar[i];
	uint8_t *wmask = dev->wmask + bar_offset(i);

	if (bar->kind == PCI_BAR_NONE)
		return;
	must(bar->kind != PCI_BAR_MEM64 || (i < 5 && dev->bar[i + 1].kind == PCI_BAR_NONE));
	if (bar_is_mem(bar) && bar->size < 4096)
		bar->size = 4096;
	must(bar->size >= 4 && !(bar->size & (bar->size - 1)));
	put_bar_type(dev, i);
	put_le32(wmask, ~(bar->size - 1) | (bar->kind == PCI_BAR_ROM ? 1 : 0));
	if (bar->kind == PCI_BAR_MEM64)
		put_le32(wmask + 4, 0xffffffff);
	bar->region.size = bar->size;
	if (!bar->region.priority)
		bar->region.priority = BAR_PRIORITY;
	bar->ports.count = (uint16_t)bar->size;
}

/* The writable bits of the standard header (PCI 6.2); BARs come from init_bar. */
static void init_header(struct pci_dev *dev)
{
	bool has_io = false, has_mem = false;

	for (unsigned i = 0; i < ARRAY_LEN(dev->bar); i++) {
		init_bar(dev, i);
		has_io |= dev->bar[i].kind == PCI_BAR_IO;
		has_mem |= bar_is_mem(&dev->bar[i]);
	}
	dev->wmask[0x04] |= (uint8_t)(0x44 | (has_io ? 1 : 0) | (has_mem ? 2 : 0));
	dev->wmask[0x05] |= 0x05; /* SERR# enable, Interrupt Disable */
	dev->w1cmask[0x07] |= 0xf9;
	dev->wmask[0x0c] = 0xff;
	dev->wmask[0x0d] = 0xff;
	dev->wmask[0x3c] = 0xff;
}

void pci_add(struct pci_bus *bus, struct pci_dev *dev, uint8_t devfn)
{
	struct pci_dev **p;

	must(!find_dev(bus, 0, devfn));
	dev->bus = bus;
	dev->devfn = devfn;
	init_header(dev);
	for (p = &bus->devs; *p; p = &(*p)->next)
		;
	dev->next = NULL;
	*p = dev;
}

static void reset_dev(struct pci_dev *dev)
{
	uint8_t *c = dev->s.config;

	put_le16(c + 4, 0);
	c[7] &= 0x06; /* only DEVSEL timing stays */
	c[0x0c] = c[0x0d] = c[0x3c] = 0;
	for (unsigned i = 0; i < ARRAY_LEN(dev->bar); i++)
		put_bar_type(dev, i);
	if (dev->msix) {
		c[dev->msix_cap + 3] &= 0x3f;
		memset(dev->msix, 0, sizeof(*dev->msix));
		for (unsigned v = 0; v < dev->msix_nvec; v++)
			dev->msix->table[v * 16 + 12] = 1; /* PCI 6.8.2.9: Mask Bit is set after reset */
	}
	map_bars(dev);
	dev->intx = false;
	update_intx(dev);
}

void pci_bus_reset(struct pci_bus *bus)
{
	for (struct pci_dev *d = bus->devs; d; d = d->next)
		reset_dev(d);
}

void pci_bus_loaded(struct pci_bus *bus)
{
	for (struct pci_dev *d = bus->devs; d; d = d->next)
		map_bars(d);
	for (unsigned line = 0; line < 4; line++)
		drive_line(bus, line, true);
}

uint32_t pci_config_read(struct pci_bus *bus, uint8_t busno, uint8_t devfn, unsigned off, unsigned size)
{
	struct pci_dev *dev = find_dev(bus, busno, devfn);
	uint32_t val = 0;

	if (!dev || off >= 256 || size > 256 - off)
		return size == 4 ? 0xffffffff : (1u << size * 8) - 1;
	if (dev->config_reading)
		dev->config_reading(dev, off, size);
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)dev->s.config[off + i] << i * 8;
	return val;
}

static bool overlaps(unsigned off, unsigned size, unsigned start, unsigned len)
{
	return off < start + len && start < off + size;
}

void pci_config_write(struct pci_bus *bus, uint8_t busno, uint8_t devfn, unsigned off, uint32_t val, unsigned size)
{
	struct pci_dev *dev = find_dev(bus, busno, devfn);

	if (!dev || off >= 256 || size > 256 - off)
		return;
	for (unsigned i = 0; i < size; i++) {
		uint8_t *c = &dev->s.config[off + i], v = (uint8_t)(val >> i * 8);

		*c = (uint8_t)((*c & ~dev->wmask[off + i]) | (v & dev->wmask[off + i]));
		*c &= (uint8_t)~(v & dev->w1cmask[off + i]);
	}
	if (overlaps(off, size, 4, 2) || overlaps(off, size, 0x10, 0x18) || overlaps(off, size, 0x30, 4))
		map_bars(dev);
	if (overlaps(off, size, 4, 2))
		update_intx(dev);
	if (dev->msix && (overlaps(off, size, dev->msix_cap + 2u, 2) || overlaps(off, size, 4, 1)))
		pci_msix_unmasked(dev);
	if (dev->config_written)
		dev->config_written(dev, off, size);
}

/* What the device does behind its own block drives its line anew. */
static void loaded(void *opaque)
{
	struct pci_dev *dev = opaque;

	map_bars(dev);
	update_intx(dev);
}

void pci_register_state(struct pci_dev *dev, struct state_set *states, const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "%s.pci", name);
	state_set_add(states, full, &pci_dev_state_type, &dev->s, loaded, dev);
}

struct pci_bus *pci_bus_new(struct mem *mem, const struct wire intx[4])
{
	struct pci_bus *bus = xalloc(sizeof(*bus));

	bus->mem = mem;
	if (intx)
		memcpy(bus->intx, intx, sizeof(bus->intx));
	return bus;
}

void pci_bus_set_intx(struct pci_bus *bus, const struct wire intx[4])
{
	memcpy(bus->intx, intx, sizeof(bus->intx));
}

struct mem *pci_bus_mem(const struct pci_bus *bus)
{
	return bus->mem;
}

void pci_bus_free(struct pci_bus *bus)
{
	free(bus);
}

void pci_bus_set_msi_sink(struct pci_bus *bus, void (*msi)(void *opaque, uint64_t addr, uint32_t data), void *opaque)
{
	bus->msi = msi;
	bus->msi_opaque = opaque;
}

void pci_bus_send_msi(struct pci_bus *bus, uint64_t addr, uint32_t data)
{
	if (bus->msi)
		bus->msi(bus->msi_opaque, addr, data);
}

/* Capability pointers may come from a snapshot; nothing here follows them, so any bytes are safe. */
static const struct st_field pci_dev_state_type_fields[] = {
	ST_ARRAY(struct pci_dev_state, config),
};
ST_TYPE(pci_dev_state_type, struct pci_dev_state, 1, NULL);
