// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: any traffic to ports, MMIO and PCI configuration of the whole board, with time moving in between
 *
 * The input is a list of operations, an opcode byte and its arguments each. Addresses come from a list of those where
 * something is, so that few bytes say much, or raw.
 */
#include <stdlib.h>

#include "board/pc_int.h"
#include "fuzz.h"

#define OPS_MAX 400

static const uint16_t ports[] = {
	0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x92, 0x3f8, 0x3fb,
	0x2f8, 0x3f2, 0x3f4, 0x3f5,
	0x3f7, 0x1f0, 0x1f2, 0x1f6, 0x1f7, 0x3f6, 0x170, 0x176, 0x177, 0x376, 0x00, 0x08, 0x0b, 0x0c, 0x0f, 0x81, 0xc0,
	0xd0, 0xd6, 0xde, 0x3c0, 0x3c2,
	0x3c4, 0x3c5, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da, 0x1ce, 0x1cf, 0x1d0, 0x510, 0x511, 0x514, 0x518, 0xcf8, 0xcfc,
	0xcf9, 0xb2, 0xc000, 0xc010,
	0xb000, 0xb004, 0xb008, 0xb100, 0x402, 0xf4, 0x80,
};
static const uint64_t bases[] = {
	0xfec00000, 0xfec00010, 0xfed00000, 0xfed00100, 0xfed000f0, 0xfee00000, 0xfee00300, 0xfee00080, 0xa0000, 0xb8000,
	0xc0000, 0xe0000000, 0xe1000000,
	0xf0000000, 0xf0001000, 0xf0003000, 0xfffe0000, 0x100000, 0x0, 0x3ff000, 0x400000, 0xfebf0000,
};
static const uint8_t slots[] = { 0, 8, 9, 11, 16, 24, 32, 40, 255 };

static uint16_t port(struct input *in)
{
	unsigned k = (unsigned)take(in, 1);

	return k < 0xf0 ? (uint16_t)(ports[k % ARRAY_LEN(ports)] + (k >= 0xc0)) : (uint16_t)take(in, 2);
}

static uint64_t address(struct input *in)
{
	unsigned k = (unsigned)take(in, 1);

	return k < 0xf8 ? bases[k % ARRAY_LEN(bases)] + take(in, 2) : take(in, 5);
}

static void config(struct input *in, struct pc *pc, bool write)
{
	unsigned devfn = slots[take(in, 1) % ARRAY_LEN(slots)], off = (unsigned)take(in, 1), size = 1u << take(in, 1) % 3;

	mem_port_out(pc->mem, 0xcf8, 0x80000000u | devfn << 8 | (off & 0xfc), 4);
	if (write)
		mem_port_out(pc->mem, (uint16_t)(0xcfc + (off & 3)), (uint32_t)take(in, size), size);
	else
		mem_port_in(pc->mem, (uint16_t)(0xcfc + (off & 3)), size);
}

static void look_at_screen(struct pc *pc)
{
	uint16_t cells[200 * 100];
	unsigned cols, rows, width, height;
	int cursor;

	loop_lock(pc->loop);
	must(vga_text_snapshot(pc->vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor) <= ARRAY_LEN(cells));
	free(vga_render(pc->vga, &width, &height));
	loop_unlock(pc->loop);
}

static void locked(struct input *in, struct pc *pc, unsigned op)
{
	uint8_t codes[4] = { (uint8_t)take(in, 1), (uint8_t)take(in, 1), 0x1e, 0x9e };
	uint64_t val = take(in, 4);

	loop_lock(pc->loop);
	if (op == 0)
		i8042_key(pc->i8042, codes, 4);
	else if (op == 1)
		lapic_msr_write(pc->cpu[0].lapic, codes[0] & 1 ? 0x800u + codes[1] : codes[0] & 2 ? 0x6e0 : 0x1b, &val);
	else if (op == 2)
		lapic_msr_read(pc->cpu[0].lapic, 0x800u + codes[1], &val);
	else if (op == 3)
		lapic_ack(pc->cpu[0].lapic);
	else
		pc_reset_chips(pc);
	loop_unlock(pc->loop);
}

static void one(struct input *in, struct pc *pc)
{
	unsigned op = (unsigned)take(in, 1), size = 1u << (op >> 6) % 3;
	uint64_t val = 0, at;

	switch (op & 15) {
	case 0: case 1:
		mem_port_in(pc->mem, port(in), size);
		break;
	case 2: case 3: case 4:
		at = port(in);
		mem_port_out(pc->mem, (uint16_t)at, (uint32_t)take(in, size), size);
		break;
	case 5:
		at = address(in);
		mem_read(pc->mem, at, &val, 1u << (op >> 6));
		break;
	case 6: case 7: case 8:
		at = address(in);
		val = take(in, 1u << (op >> 6));
		mem_write(pc->mem, at, &val, 1u << (op >> 6));
		break;
	case 9:
		config(in, pc, true);
		break;
	case 10:
		config(in, pc, false);
		break;
	case 11: case 12:
		loop_step(pc->loop, 1ull << take(in, 1) % 24);
		break;
	case 13:
		look_at_screen(pc);
		break;
	case 14:
		locked(in, pc, op >> 4 & 7);
		break;
	case 15: /* the same port again and again: data registers, FIFOs */
		at = port(in);
		for (unsigned n = (unsigned)take(in, 1) + 1; n; n--)
			if (op & 16)
				mem_port_in(pc->mem, (uint16_t)at, size);
			else
				mem_port_out(pc->mem, (uint16_t)at, (uint32_t)take(in, 1), size);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fuzz_machine m;

	fuzz_machine_make(&m);
	for (unsigned n = 0; in.left && n < OPS_MAX; n++)
		one(&in, m.pc);
	fuzz_machine_free(&m);
	return 0;
}
