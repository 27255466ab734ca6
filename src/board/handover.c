// SPDX-License-Identifier: GPL-2.0-or-later
/* what: bring the chips to the state in which firmware hands them to a kernel
 *
 * A kernel started without firmware relies on little, but on some things firmware has done: PCI BARs have
 * addresses and interrupts a route, the segment below 1 MiB is RAM, both PICs are masked, the power management
 * ports are where the ACPI tables say. This is that firmware: a few loops over ports, independent of the chips'
 * code, so that it can do no more than real firmware could. Sources: 82371SB and 82441FX data sheets, PCI 2.1,
 * 8259A, VGA registers as in IBM's "VGA" technical reference (mode 3).
 */
#include "board/handover.h"

#include "dev/pci/piix4_pm.h"

#define BAR_IO_FIRST 0xc000u
#define BAR_MEM_FIRST 0xe0000000u
#define BAR_MEM_LAST 0xfebfffffu

/* PCI 2.1 6.1 and 6.2 */
enum { CFG_ID = 0x00, CFG_COMMAND = 0x04, CFG_CLASS = 0x08, CFG_HEADER = 0x0e, CFG_BAR0 = 0x10, CFG_IRQ_LINE = 0x3c,
	CFG_IRQ_PIN = 0x3d };
enum { COMMAND_IO = 1, COMMAND_MEM = 2 };

/* where the board has them */
enum { HOST = 0, ISA = 1 << 3, PM = 1 << 3 | 3 };

/* 82371SB, PIRQRC: the interrupts PIRQA..D are steered to */
static const uint8_t pirq_route[4] = { 10, 10, 11, 11 };

static uint32_t config_read(struct mem *mem, unsigned devfn, unsigned off, unsigned size)
{
	mem_port_out(mem, 0xcf8, 0x80000000u | devfn << 8 | (off & 0xfc), 4);
	return mem_port_in(mem, (uint16_t)(0xcfc + (off & 3)), size);
}

static void config_write(struct mem *mem, unsigned devfn, unsigned off, uint32_t val, unsigned size)
{
	mem_port_out(mem, 0xcf8, 0x80000000u | devfn << 8 | (off & 0xfc), 4);
	mem_port_out(mem, (uint16_t)(0xcfc + (off & 3)), val, size);
}

/* Next free addresses. */
struct space {
	uint32_t io, mem_at;
};

/* Give BAR at off an address; returns how many dwords it occupies. One that does not fit stays without. */
static unsigned place_bar(struct mem *mem, unsigned devfn, unsigned off, struct space *sp, uint32_t *command)
{
	uint32_t old = config_read(mem, devfn, off, 4), mask, size, at;

	config_write(mem, devfn, off, 0xffffffff, 4);
	mask = config_read(mem, devfn, off, 4);
	config_write(mem, devfn, off, old, 4);
	if (!mask || mask == 0xffffffff)
		return 1;
	if (mask & 1) {
		size = (~(mask & ~3u) + 1) & 0xffff;
		at = (sp->io + size - 1) & ~(size - 1);
		if (!size || at + size > 0x10000)
			return 1;
		config_write(mem, devfn, off, at, 4);
		sp->io = at + size;
		*command |= COMMAND_IO;
		return 1;
	}
	size = ~(mask & ~15u) + 1;
	at = (sp->mem_at + size - 1) & ~(size - 1);
	if (at >= sp->mem_at && at <= BAR_MEM_LAST && size <= BAR_MEM_LAST - at) {
		config_write(mem, devfn, off, at, 4);
		sp->mem_at = at + size;
		*command |= COMMAND_MEM;
	}
	return (mask >> 1 & 3) == 2 ? 2 : 1;
}

uint8_t handover_pci_irq(unsigned slot, unsigned pin)
{
	return pirq_route[(slot + pin - 1) & 3];
}

static void init_function(struct mem *mem, unsigned devfn, struct space *sp)
{
	uint32_t command = config_read(mem, devfn, CFG_COMMAND, 2);
	uint32_t class = config_read(mem, devfn, CFG_CLASS, 4) >> 16, pin;

	for (unsigned off = CFG_BAR0; off < CFG_BAR0 + 24;)
		off += 4 * place_bar(mem, devfn, off, sp, &command);
	if (class == 0x0101) { /* 82371SB, IDETIM: decode both channels' ports */
		config_write(mem, devfn, 0x40, 0x80008000, 4);
		command |= COMMAND_IO;
	}
	pin = config_read(mem, devfn, CFG_IRQ_PIN, 1);
	if (pin >= 1 && pin <= 4)
		config_write(mem, devfn, CFG_IRQ_LINE, handover_pci_irq(devfn / 8, pin - 1), 1);
	if (class == 0x0300)
		command |= COMMAND_IO | COMMAND_MEM;
	config_write(mem, devfn, CFG_COMMAND, command, 2);
}

static void init_pci(struct mem *mem, uint32_t pci_low)
{
	struct space sp = { BAR_IO_FIRST, MAX(BAR_MEM_FIRST, pci_low) };

	for (unsigned devfn = 0; devfn < 256; devfn++) {
		if (config_read(mem, devfn, CFG_ID, 2) == 0xffff)
			continue;
		init_function(mem, devfn, &sp);
		if (!(devfn & 7) && !(config_read(mem, devfn, CFG_HEADER, 1) & 0x80))
			devfn += 7; /* no further functions */
	}
}

static void init_chipset(struct mem *mem)
{
	uint32_t elcr = 0;

	for (unsigned reg = 0x59; reg <= 0x5f; reg++) /* 82441FX, PAM: RAM for reads and writes */
		config_write(mem, HOST, reg, 0x33, 1);
	for (unsigned i = 0; i < 4; i++) {
		config_write(mem, ISA, 0x60 + i, pirq_route[i], 1);
		elcr |= 1u << pirq_route[i];
	}
	mem_port_out(mem, 0x4d0, elcr & 0xff, 1);
	mem_port_out(mem, 0x4d1, elcr >> 8, 1);
	config_write(mem, PM, 0x40, PIIX4_PM_BASE | 1, 4);
	config_write(mem, PM, 0x80, 1, 1);
}

/* 8259A, ICW1-4: vectors 08h and 70h as BIOSes leave them, all inputs masked. PIT: counter 0 free-running in mode 3. */
static void init_isa(struct mem *mem)
{
	static const struct { uint16_t port; uint8_t val; } writes[] = {
		{ 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0x21, 0xff },
		{ 0xa0, 0x11 }, { 0xa1, 0x70 }, { 0xa1, 0x02 }, { 0xa1, 0x01 }, { 0xa1, 0xff },
		{ 0x43, 0x36 }, { 0x40, 0x00 }, { 0x40, 0x00 },
		{ 0x92, 0x02 }, /* A20 */
		{ 0xd6, 0xc0 }, { 0xd4, 0x00 }, /* 8237: channel 4 cascades the first controller */
	};

	for (unsigned i = 0; i < ARRAY_LEN(writes); i++)
		mem_port_out(mem, writes[i].port, writes[i].val, 1);
}

/* Indexed VGA registers 0..n-1 at port and port + 1. */
static void put_indexed(struct mem *mem, uint16_t port, const uint8_t *val, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		mem_port_out(mem, port, i, 1);
		mem_port_out(mem, (uint16_t)(port + 1), val[i], 1);
	}
}

/* Text mode 3: 80x25 in 16 colours, 9x16 cells at 0xb8000. */
static void init_vga(struct mem *mem)
{
	static const uint8_t seq[] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
	static const uint8_t crtc[] = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
	                                0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff };
	static const uint8_t gfx[] = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff };
	static const uint8_t attr[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
	                                0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00 };
	uint8_t blank[4000];

	mem_port_out(mem, 0x3c2, 0x67, 1);
	put_indexed(mem, 0x3c4, seq, sizeof(seq));
	mem_port_out(mem, 0x3d4, 0x11, 1);
	mem_port_out(mem, 0x3d5, 0x0e, 1); /* unlock 0-7 */
	put_indexed(mem, 0x3d4, crtc, sizeof(crtc));
	put_indexed(mem, 0x3ce, gfx, sizeof(gfx));
	mem_port_in(mem, 0x3da, 1); /* the attribute port now takes an index */
	for (unsigned i = 0; i < sizeof(attr); i++) {
		mem_port_out(mem, 0x3c0, i, 1);
		mem_port_out(mem, 0x3c0, attr[i], 1);
	}
	mem_port_out(mem, 0x3c0, 0x20, 1); /* screen on */
	for (unsigned i = 0; i < sizeof(blank); i += 2)
		put_le16(blank + i, 0x0720);
	mem_write(mem, 0xb8000, blank, sizeof(blank));
}

void handover_init(struct mem *mem, uint32_t pci_low, bool vga_text)
{
	init_isa(mem);
	init_chipset(mem);
	init_pci(mem, pci_low);
	config_write(mem, PM, CFG_IRQ_LINE, PIIX4_PM_SCI_IRQ, 1); /* its pin is not wired to a PIRQ */
	if (vga_text)
		init_vga(mem);
}
