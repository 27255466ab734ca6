// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: virtio block, entropy and console devices with rings that lie
 *
 * Queues are set up properly, or nearly, so that the bytes that follow reach the code behind them: descriptors,
 * available rings and indirect tables with any content, notifications, time.
 */
#include "board/pc_int.h"
#include "fuzz.h"

#define OPS_MAX 300
#define NDEVS 3
/* Guest-physical pages that everything points at, most of the time. */
#define RING 0x100000u
#define PAGES 8

static const uint8_t slot[NDEVS] = { PC_SLOT_FIRST_FREE, PC_SLOT_FIRST_FREE + 1, PC_SLOT_FIRST_FREE + 2 };

static void cfg_write(struct pc *pc, unsigned devfn, unsigned off, uint32_t val, unsigned size)
{
	mem_port_out(pc->mem, 0xcf8, 0x80000000u | devfn << 8 | (off & 0xfc), 4);
	mem_port_out(pc->mem, (uint16_t)(0xcfc + (off & 3)), val, size);
}

static uint64_t modern(unsigned dev)
{
	return 0xf1000000u + dev * 0x10000;
}

static uint16_t legacy(unsigned dev)
{
	return (uint16_t)(0xc000 + dev * 0x100);
}

static void write_mem(struct pc *pc, uint64_t gpa, uint64_t val, unsigned size)
{
	mem_write(pc->mem, gpa, &val, size);
}

static void place(struct pc *pc, unsigned dev)
{
	unsigned devfn = PC_DEVFN(slot[dev]);

	cfg_write(pc, devfn, 0x10, legacy(dev), 4);
	cfg_write(pc, devfn, 0x14, 0xf0000000u + dev * 0x10000, 4);
	cfg_write(pc, devfn, 0x20, (uint32_t)modern(dev), 4);
	cfg_write(pc, devfn, 4, 7, 2);
}

/* An address in the pages that the ring operations fill, or anywhere. */
static uint64_t gpa(struct input *in)
{
	unsigned k = (unsigned)take(in, 1);

	if (k < 0xf0)
		return RING + (k % PAGES) * 0x400;
	return k < 0xf8 ? MIB(4) - take(in, 1) : take(in, 8);
}

/* virtio 1.2, 4.1.4.3: features, queue select, size, three addresses, enable, status. */
static void start_modern(struct input *in, struct pc *pc, unsigned dev)
{
	uint64_t at = modern(dev);
	uint32_t features = (uint32_t)take(in, 4);
	unsigned queue = (unsigned)take(in, 1);

	write_mem(pc, at + 20, 0, 1);
	write_mem(pc, at + 20, 3, 1);
	write_mem(pc, at + 8, 0, 4);
	write_mem(pc, at + 12, features, 4);
	write_mem(pc, at + 8, 1, 4);
	write_mem(pc, at + 12, 1, 4);
	write_mem(pc, at + 20, 11, 1);
	write_mem(pc, at + 22, queue & 3, 2);
	write_mem(pc, at + 24, 1u << (queue >> 2 & 15), 2);
	write_mem(pc, at + 32, gpa(in), 8);
	write_mem(pc, at + 40, gpa(in), 8);
	write_mem(pc, at + 48, gpa(in), 8);
	write_mem(pc, at + 28, 1, 2);
	write_mem(pc, at + 20, 15, 1);
}

/* virtio 1.2, 4.1.4.10: the legacy queue address is a page number. */
static void start_legacy(struct input *in, struct pc *pc, unsigned dev)
{
	uint16_t io = legacy(dev);

	mem_port_out(pc->mem, (uint16_t)(io + 18), 0, 1);
	mem_port_out(pc->mem, (uint16_t)(io + 18), 3, 1);
	mem_port_out(pc->mem, (uint16_t)(io + 4), (uint32_t)take(in, 4), 4);
	mem_port_out(pc->mem, (uint16_t)(io + 14), (uint32_t)take(in, 1) & 3, 2);
	mem_port_out(pc->mem, (uint16_t)(io + 8), (uint32_t)(gpa(in) >> 12), 4);
	mem_port_out(pc->mem, (uint16_t)(io + 18), 7, 1);
}

static void descriptor(struct input *in, struct pc *pc)
{
	uint64_t at = gpa(in) + (take(in, 1) & 31) * 16;
	unsigned len = (unsigned)take(in, 1);

	write_mem(pc, at, gpa(in), 8);
	write_mem(pc, at + 8, len < 0xf0 ? len * 16 : (uint32_t)take(in, 4), 4);
	write_mem(pc, at + 12, take(in, 1) & 7, 2);
	write_mem(pc, at + 14, take(in, 1), 2);
}

static void one(struct input *in, struct pc *pc)
{
	unsigned op = (unsigned)take(in, 1), dev = (op >> 4) % NDEVS, size = 1u << (op >> 6);
	uint64_t at;

	switch (op & 15) {
	case 0:
		start_modern(in, pc, dev);
		break;
	case 1:
		start_legacy(in, pc, dev);
		break;
	case 2: case 3: case 4:
		descriptor(in, pc);
		break;
	case 5: /* available ring: flags, index, one entry */
		at = gpa(in);
		write_mem(pc, at, take(in, 1) & 1, 2);
		write_mem(pc, at + 2, take(in, 2), 2);
		write_mem(pc, at + 4 + 2 * (take(in, 1) & 63), take(in, 1), 2);
		break;
	case 6: /* anything, a request's header for one */
		at = gpa(in) + take(in, 1);
		write_mem(pc, at, take(in, size), size);
		break;
	case 7: case 8:
		write_mem(pc, modern(dev) + 0x3000 + 4 * (take(in, 1) & 3), take(in, 1) & 3, 2);
		break;
	case 9:
		mem_port_out(pc->mem, (uint16_t)(legacy(dev) + 16), (uint32_t)take(in, 1) & 3, 2);
		break;
	case 10: case 11:
		loop_step(pc->loop, take(in, 1));
		break;
	case 12:
		at = modern(dev) + (take(in, 2) & 0x3fff);
		write_mem(pc, at, take(in, size), size);
		break;
	case 13:
		mem_port_out(pc->mem, (uint16_t)(legacy(dev) + (take(in, 1) & 0x3f)), (uint32_t)take(in, MIN(size, 4u)),
		             MIN(size, 4u));
		break;
	case 14: /* MSI-X table */
		write_mem(pc, 0xf0000000u + dev * 0x10000 + (take(in, 2) & 0xfff), take(in, size), size);
		break;
	case 15:
		cfg_write(pc, PC_DEVFN(slot[dev]), (unsigned)take(in, 1), (uint32_t)take(in, MIN(size, 4u)), MIN(size, 4u));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fuzz_machine m;

	fuzz_machine_make(&m);
	for (unsigned dev = 0; dev < NDEVS; dev++)
		place(m.pc, dev);
	for (unsigned n = 0; in.left && n < OPS_MAX; n++)
		one(&in, m.pc);
	loop_step(m.pc->loop, 0);
	fuzz_machine_free(&m);
	return 0;
}
