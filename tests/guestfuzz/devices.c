// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the chips as a guest finds them, and pieces of programs that make them do something: above all DMA onto code
 *
 * Before a guest starts, interrupt controllers, timers and disks are set up as an operating system would, with random
 * vectors and rates; descriptor lists that point to the program lie at LISTS, so that a few port accesses start DMA.
 */
#include "guestfuzz.h"

#include "board/pc_int.h"

enum { PRD = LISTS, RING = LISTS + 0x1000, REQUEST = LISTS + 0x4000, FWCFG = LISTS + 0x5000,
	RNG_RING = LISTS + 0x8000, BLK_IO = 0xd000, IDE_IO = 0xd100, RNG_IO = 0xd200, QUEUE = 256, RNG_QUEUE = 64 };

/* What the guest starts from */

static void config(struct pc *pc, unsigned devfn, unsigned off, uint32_t val, unsigned size)
{
	mem_port_out(pc->mem, 0xcf8, 0x80000000u | devfn << 8 | (off & 0xfc), 4);
	mem_port_out(pc->mem, (uint16_t)(0xcfc + (off & 3)), val, size);
}

static uint32_t config_read(struct pc *pc, unsigned devfn, unsigned off)
{
	mem_port_out(pc->mem, 0xcf8, 0x80000000u | devfn << 8 | (off & 0xfc), 4);
	return mem_port_in(pc->mem, 0xcfc, 4);
}

static void outs(struct pc *pc, const uint16_t *list, unsigned n)
{
	for (unsigned k = 0; k < n; k += 2)
		mem_port_out(pc->mem, list[k], list[k + 1], 1);
}

static void prepare_interrupts(struct guest *g, struct pc *pc)
{
	struct rng *r = &g->r;
	uint16_t base = chance(r, 92) ? 0x20 : 8, slave = chance(r, 92) ? 0x28 : 0x70;
	uint16_t mask = chance(r, 80) ? 0 : (uint16_t)rnd(r);
	uint32_t divisor = chance(r, 70) ? 100 + below(r, 2000) : below(r, 0x10000);
	const uint16_t list[] = {
		0x20, 0x11, 0x21, base, 0x21, 4, 0x21, 1 | (chance(r, 20) ? 2 : 0), 0xa0, 0x11, 0xa1, slave, 0xa1, 2, 0xa1, 1,
		0x21, mask & 0xfb, 0xa1, mask >> 8,
		0x43, chance(r, 50) ? 0x34 : 0x36, 0x40, (uint8_t)divisor, 0x40, (uint8_t)(divisor >> 8),
		0x70, 0x0a, 0x71, 0x26, 0x70, 0x0b, 0x71, chance(r, 40) ? 0x42 : 2, 0x70, 0x0c,
	};

	outs(pc, list, ARRAY_LEN(list));
	mem_port_in(pc->mem, 0x71, 1);
	/* local APIC: LINT0 from the 8259s (SDM vol 3 10.5.1), enabled, its timer periodic (10.4.3, 10.5.4) */
	const struct { uint32_t at, val; } apic[] = { { 0xf0, 0x1ff }, { 0x350, chance(r, 85) ? 0x700 : 0x10700 },
		{ 0x320, 0x20040 }, { 0x3e0, 0xb }, { 0x380, 5000 + below(r, 200000) } };
	for (unsigned k = 0; k < (chance(r, 40) ? ARRAY_LEN(apic) : 2); k++)
		mem_write(pc->mem, 0xfee00000 + apic[k].at, &apic[k].val, 4);
}

static uint32_t somewhere(struct guest *g)
{
	struct rng *r = &g->r;

	return chance(r, 80) ? PROGRAM + (below(r, REGION) & ~1u) : chance(r, 50) ? DATA + (below(r, REGION) & ~1u) :
		below(r, GUEST_RAM) & ~3u;
}

/* BM-IDE: physical region descriptors, the last with its top bit set. */
static void put_regions(struct guest *g)
{
	for (unsigned k = 0; k < 8; k++) {
		put_le32(g->ram + PRD + 8 * k, somewhere(g));
		put_le32(g->ram + PRD + 8 * k + 4, (512u << below(&g->r, 3)) | (chance(&g->r, 40) || k == 7 ? 1u << 31 : 0));
	}
}

/* A legacy ring of QUEUE (VIRTIO 1.1 2.6): requests that read a sector to somewhere, all of them offered. */
static void put_ring(struct guest *g)
{
	uint8_t *d = g->ram + RING, *avail = d + 16 * QUEUE;

	for (unsigned k = 0; k + 2 < 255; k += 3) {
		uint8_t *e = d + 16 * k, *header = g->ram + REQUEST + 16 * (k % 64);
		uint32_t len = 512u << below(&g->r, 3);

		put_le32(header, chance(&g->r, 90) ? 0 : 1);
		put_le64(header + 8, below(&g->r, 128));
		put_le64(e, REQUEST + 16 * (k % 64));
		put_le64(e + 8, 16 | 1ull << 32 | (uint64_t)(k + 1) << 48);
		put_le64(e + 16, somewhere(g));
		put_le64(e + 24, len | 3ull << 32 | (uint64_t)(k + 2) << 48);
		put_le64(e + 32, REQUEST + 0x800 + k);
		put_le64(e + 40, 1 | 2ull << 32);
	}
	memset(avail, 0, 0x400);
	for (unsigned k = 0; k < 256; k++)
		put_le16(avail + 4 + 2 * k, (uint16_t)(k % 84 * 3));
}

/* Random bytes to somewhere, a few each. */
static void put_random_ring(struct guest *g)
{
	uint8_t *d = g->ram + RNG_RING, *avail = d + 16 * RNG_QUEUE;

	for (unsigned k = 0; k < RNG_QUEUE; k++) {
		put_le64(d + 16 * k, somewhere(g));
		put_le64(d + 16 * k + 8, (1 + below(&g->r, 64)) | 2ull << 32);
		put_le16(avail + 4 + 2 * k, (uint16_t)k);
	}
}

/* VIRTIO 1.1 4.1.4.8: status, features, queue 0 by its page, driver OK */
static void start_legacy(struct pc *pc, uint16_t io, uint32_t ring)
{
	const struct { uint16_t at; uint8_t size; uint32_t val; } list[] = { { 18, 1, 0 }, { 18, 1, 3 }, { 4, 4, 0 },
		{ 14, 2, 0 }, { 8, 4, ring >> 12 }, { 18, 1, 7 } };

	for (unsigned k = 0; k < ARRAY_LEN(list); k++)
		mem_port_out(pc->mem, (uint16_t)(io + list[k].at), list[k].val, list[k].size);
}

static void prepare_disks(struct guest *g, struct pc *pc)
{
	put_regions(g);
	put_ring(g);
	put_random_ring(g);
	config(pc, 9, 0x20, IDE_IO, 4);
	config(pc, 9, 4, 5, 2);
	config(pc, 9, 0x40, 0x80008000, 4);
	for (unsigned slot = 0; slot < PC_SLOTS; slot++)
		if (config_read(pc, PC_DEVFN(slot), 0) == 0x10011af4) {
			config(pc, PC_DEVFN(slot), 0x10, BLK_IO, 4);
			config(pc, PC_DEVFN(slot), 0x14, 0xf0000000, 4);
			config(pc, PC_DEVFN(slot), 0x20, 0xf1000000, 4);
			config(pc, PC_DEVFN(slot), 4, 7, 2);
		} else if (config_read(pc, PC_DEVFN(slot), 0) == 0x10051af4) {
			config(pc, PC_DEVFN(slot), 0x10, RNG_IO, 4);
			config(pc, PC_DEVFN(slot), 4, 7, 2);
		}
	start_legacy(pc, BLK_IO, RING);
	start_legacy(pc, RNG_IO, RNG_RING);
}

/* fw_cfg DMA (its specification, "DMA interface"): big-endian control, length, address. */
static void put_fwcfg(struct guest *g)
{
	for (unsigned k = 0; k < 8; k++) {
		uint8_t *d = g->ram + FWCFG + 16 * k;

		put_be32(d, below(&g->r, 0x20) << 16 | 8 | (chance(&g->r, 80) ? 2 : below(&g->r, 32)));
		put_be32(d + 4, chance(&g->r, 75) ? below(&g->r, 0x2000) :
			(uint32_t)rnd(&g->r) | (chance(&g->r, 30) ? 0xf0000000 : 0));
		put_be32(d + 8, 0);
		put_be32(d + 12, somewhere(g));
	}
}

void devices_prepare(struct guest *g, struct pc *pc)
{
	prepare_interrupts(g, pc);
	prepare_disks(g, pc);
	put_fwcfg(g);
	mem_port_out(pc->mem, 0x92, chance(&g->r, 80) ? 2 : 0, 1);
	mem_port_out(pc->mem, 0x3f2, 0x1c, 1); /* FDC out of reset, by the time the guest comes to it; 500 kbit/s */
	mem_port_out(pc->mem, 0x3f7, 0, 1);
}

/* What the guest does */

static const struct { uint16_t first, n; } port_ranges[] = {
	{ 0x00, 16 }, { 0x20, 2 }, { 0x40, 4 }, { 0x60, 5 }, { 0x70, 2 }, { 0x80, 16 }, { 0xa0, 2 }, { 0xb2, 2 },
	{ 0xc0, 32 }, { 0xf0, 2 }, { 0x170, 8 }, { 0x1f0, 8 }, { 0x2f8, 8 }, { 0x376, 2 }, { 0x3c0, 32 },
	{ 0x3f0, 8 }, { 0x3f8, 8 }, { 0x4d0, 2 }, { 0x510, 12 }, { 0x1ce, 3 }, { 0xb000, 64 }, { 0xb100, 16 },
	{ BLK_IO, 64 }, { IDE_IO, 16 }, { 0xcf8, 8 }, { 0x402, 1 }, { 0x92, 1 },
};

static uint16_t any_port(struct rng *r)
{
	unsigned k = below(r, ARRAY_LEN(port_ranges));

	return chance(r, 95) ? (uint16_t)(port_ranges[k].first + below(r, port_ranges[k].n)) : (uint16_t)rnd(r);
}

void fragment_port(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;

	for (unsigned n = 1 + below(r, 6); n > 0; n--) {
		uint16_t port = any_port(r);
		unsigned size = chance(r, 75) ? 1 : 2u << below(r, 2);
		uint32_t val = (uint32_t)rnd(r) >> below(r, 32);

		/* a reset ends the guest: not every time */
		if (((port == 0x64 && val == 0xfe) || port == 0xcf9 || port == 0x92) && chance(r, 90))
			val &= 2;
		if (chance(r, 40))
			code_in(c, port, size);
		else
			code_out(c, port, val, size);
	}
}

/* PCI configuration: BARs moved over RAM, chips and each other, PAM and SMRAM of the host bridge, command bits. */
static void by_config(struct guest *g, struct code *c)
{
	static const uint8_t devices[] = { 0, 8, 9, 11, 16, 24, 32, 40, 48 },
		regs[] = { 4, 0x10, 0x14, 0x18, 0x20, 0x24, 0x30, 0x40, 0x58, 0x5c, 0x60, 0x70, 0x80, 0x90, 0xd0 };
	static const uint32_t vals[] = { PROGRAM, DATA, 0xfee00000, 0xffff0000, 0xe0000000, 0xf0000000, 0xf1000000,
		BLK_IO, IDE_IO, 0xffffffff, 0, 7, 0x33333333, 0x11223300, 0xa0000 };
	struct rng *r = &g->r;

	for (unsigned n = 1 + below(r, 3); n > 0; n--) {
		unsigned devfn = devices[below(r, ARRAY_LEN(devices))], reg = regs[below(r, ARRAY_LEN(regs))];

		code_out(c, 0xcf8, 0x80000000u | devfn << 8 | reg, 4);
		if (chance(r, 20))
			code_in(c, 0xcfc, 4);
		code_out(c, 0xcfc, chance(r, 80) ? vals[below(r, ARRAY_LEN(vals))] : (uint32_t)rnd(r), chance(r, 80) ? 4 : 1);
	}
}

static void by_mmio(struct guest *g, struct code *c)
{
	static const uint32_t regs[] = { 0xfee00080, 0xfee000b0, 0xfee000f0, 0xfee00300, 0xfee00310, 0xfee00320,
		0xfee00350, 0xfee00360, 0xfee00380, 0xfee003e0, 0xfec00000, 0xfec00010, 0xfed00010, 0xfed00100, 0xfed00108,
		0xfed000f0, 0xf1000014, 0xf1003000, 0xf0000000, 0xe0000000, 0xa0000, 0xb8000, 0xfffe0000 };
	struct rng *r = &g->r;

	for (unsigned n = 1 + below(r, 4); n > 0; n--) {
		uint32_t at = regs[below(r, ARRAY_LEN(regs))] + (chance(r, 20) ? below(r, 64) : 0);

		code_store(c, program_data(g, at), chance(r, 50) ? below(r, 256) : (uint32_t)rnd(r), chance(r, 80) ? 4 : 1);
	}
}

void fragment_device(struct guest *g, struct code *c)
{
	static const struct { uint8_t n; uint16_t v[16]; } lists[] = {
		{ 16, { 0x20, 0x11, 0x21, 0x20, 0x21, 4, 0x21, 1, 0xa0, 0x11, 0xa1, 0x28, 0xa1, 2, 0xa1, 1 } },
		{ 6, { 0x43, 0x34, 0x40, 0x40, 0x40, 0 } },
		{ 6, { 0x43, 0xb0, 0x42, 0x10, 0x42, 0 } },
		{ 4, { 0x64, 0xd1, 0x60, 0xdd } },  /* A20 off */
		{ 4, { 0x64, 0xd1, 0x60, 0xdf } },
		{ 4, { 0x64, 0xd2, 0x60, 0x1c } },
		{ 2, { 0x92, 0 } },
		{ 2, { 0x92, 2 } },
		{ 8, { 0x70, 0x0b, 0x71, 0x42, 0x70, 0x0a, 0x71, 0x23 } },
		{ 4, { 0x3f2, 0, 0x3f2, 0x1c } },
		{ 4, { 0x3f6, 4, 0x3f6, 0 } },
		{ 4, { 0x61, 3, 0x42, 9 } },
		{ 6, { 0x64, 0xd4, 0x60, 0xf4, 0x64, 0x60 } },
		{ 4, { 0x60, 0xed, 0x60, 7 } },
		{ 4, { 0xf0, 0, 0x21, 0 } },
		{ 8, { 0x3c4, 4, 0x3c5, 6, 0x3ce, 6, 0x3cf, 5 } },
	};
	struct rng *r = &g->r;
	unsigned k = below(r, ARRAY_LEN(lists) + 6);

	if (k >= ARRAY_LEN(lists)) {
		if (chance(r, 30))
			by_config(g, c);
		else
			by_mmio(g, c);
		return;
	}
	for (unsigned n = 0; n < lists[k].n; n += 2)
		code_out(c, lists[k].v[n], chance(r, 92) ? lists[k].v[n + 1] : below(r, 256), 1);
}

static void ide_dma(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;
	const uint16_t task[] = { 0x1f6, 0xe0, 0x1f2, (uint16_t)(1 + below(r, 4)), 0x1f3, (uint16_t)below(r, 100), 0x1f4,
		0, 0x1f5, 0, 0x1f7, 0xc8 };

	code_out(c, IDE_IO, 0, 1);
	code_out(c, IDE_IO + 4, PRD + 8 * below(r, 8), 4);
	code_out(c, IDE_IO + 2, 6, 1);
	for (unsigned n = 0; n < ARRAY_LEN(task); n += 2)
		code_out(c, task[n], task[n + 1], 1);
	code_out(c, IDE_IO, 9, 1);
}

static void virtio_dma(struct guest *g, struct code *c)
{
	/* every index is as good as the next: all of the ring is filled */
	code_store(c, program_data(g, RING + 16 * QUEUE), (uint32_t)(1 + below(&g->r, 200)) << 16, 4);
	code_out(c, BLK_IO + 16, 0, 2);
}

/* A port read n times: time for a chip, or its result. */
static void read_often(struct code *c, uint16_t port, unsigned n)
{
	code_set(c, RCX, n);
	code_set(c, RDX, port);
	CODE(c, 0xec, 0xe2, 0xfd); /* in al, dx; loop */
}

static void random_dma(struct guest *g, struct code *c)
{
	code_store(c, program_data(g, RNG_RING + 16 * RNG_QUEUE), (uint32_t)(1 + below(&g->r, RNG_QUEUE)) << 16, 4);
	code_out(c, RNG_IO + 16, 0, 2);
}

/* 8237A channel 2, single; 82077AA: any command, its parameters, and then its result. */
static void floppy(struct guest *g, struct code *c)
{
	static const uint8_t commands[] = { 0xe6, 0xe6, 0xe6, 0x46, 0xc5, 0x4d, 0x4a, 0x07, 0x0f, 0x8f, 0x03, 0x04, 0x08,
		0x08, 0x0e, 0x10, 0x12, 0x13, 0x14, 0x94, 0x11, 0x16, 0x66 };
	struct rng *r = &g->r;
	uint32_t to = somewhere(g), count = (512u << below(r, 4)) - 1;
	uint8_t command = commands[below(r, ARRAY_LEN(commands))];
	const uint16_t dma[] = { 0x0a, 6, 0x0c, 0, 0x04, (uint8_t)to, 0x04, (uint8_t)(to >> 8), 0x81, (uint8_t)(to >> 16),
		0x05, (uint8_t)count, 0x05, (uint8_t)(count >> 8), 0x0b, command & 2 ? 0x46 : 0x4a, 0x0a, 2 };
	const uint8_t parameters[] = { 0, (uint8_t)below(r, 2), (uint8_t)below(r, 2), (uint8_t)(1 + below(r, 18)), 2, 18,
		0x1b, 0xff };

	for (unsigned n = 0; n < ARRAY_LEN(dma); n += 2)
		code_out(c, dma[n], dma[n + 1], 1);
	read_often(c, 0x3f5, 7);
	code_out(c, 0x3f5, command, 1);
	for (unsigned n = 0; n < (command & 0x40 ? 8 : 1 + below(r, 3)); n++)
		code_out(c, 0x3f5, chance(r, 90) ? parameters[n] : below(r, 256), 1);
	if (chance(r, 50))
		read_often(c, 0x3f4, 300);
}

/* ATA by PIO, and ATAPI: registers, a wait, the packet, a wait, data onto something. */
static void ata_pio(struct guest *g, struct code *c)
{
	static const uint8_t ata[] = { 0x20, 0x20, 0xc4, 0xec, 0x24, 0x29, 0x40, 0x91, 0xef, 0xc6, 0x30, 0xc5, 0xe7, 0x27,
		0xf8, 0x08, 0x90, 0xe0, 0xe5 };
	static const uint8_t atapi[] = { 0xa0, 0xa0, 0xa0, 0xa1, 0x08, 0xef };
	static const uint8_t packets[] = { 0x28, 0xa8, 0xbe, 0x12, 0x25, 0x43, 0x03, 0x4a, 0x5a, 0x46, 0x00, 0x1b, 0x51,
		0x42 };
	struct rng *r = &g->r;
	bool cd = chance(r, 40);
	uint16_t base = cd ? 0x170 : 0x1f0;
	uint8_t command = cd ? atapi[below(r, ARRAY_LEN(atapi))] : ata[below(r, ARRAY_LEN(ata))];
	const uint8_t task[6] = { (uint8_t)below(r, 4), (uint8_t)(1 + below(r, 3)), (uint8_t)below(r, 100), 0, cd ? 8 : 0,
		(uint8_t)(0xe0 | (chance(r, 10) ? 0x10 : 0)) };

	for (unsigned n = 0; n < 6; n++)
		code_out(c, (uint16_t)(base + 1 + n), task[n], 1);
	code_out(c, (uint16_t)(base + 7), command, 1);
	read_often(c, (uint16_t)(base + 7), 200);
	/* 12 bytes; length and address are big-endian */
	for (unsigned n = 0; command == 0xa0 && n < 6; n++)
		code_out(c, base, n == 0 ? packets[below(r, ARRAY_LEN(packets))] : n == 4 ? below(r, 4) : below(r, 16) << 8,
			2);
	if (command == 0xa0)
		read_often(c, (uint16_t)(base + 7), 200);
	code_set(c, chance(r, 80) ? RDI : RSI, program_data(g, somewhere(g) + g->alias));
	code_set(c, RCX, 256);
	code_set(c, RDX, base);
	CODE(c, 0xf3);
	code_opsize(c, chance(r, 50) ? 2 : 4);
	CODE(c, command == 0x30 || command == 0xc5 ? 0x6f : 0x6d);
}

static void fwcfg_dma(struct guest *g, struct code *c)
{
	uint32_t at = FWCFG + 16 * below(&g->r, 8);

	if (chance(&g->r, 30)) { /* by PIO */
		code_out(c, 0x510, below(&g->r, 0x30), 2);
		code_set(c, RDI, program_data(g, somewhere(g)));
		code_set(c, RCX, below(&g->r, 0x200));
		code_set(c, RDX, 0x511);
		CODE(c, 0xf3, 0x6c);
		return;
	}
	code_out(c, 0x514, 0, 4);
	code_out(c, 0x518, __builtin_bswap32(at), 4);
}

void fragment_dma(struct guest *g, struct code *c)
{
	switch (below(&g->r, 7)) {
	case 0: case 1: ide_dma(g, c); break;
	case 2: virtio_dma(g, c); break;
	case 3: floppy(g, c); break;
	case 4: fwcfg_dma(g, c); break;
	case 5: ata_pio(g, c); break;
	case 6: random_dma(g, c); break;
	}
}
