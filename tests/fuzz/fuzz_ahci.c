// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: an AHCI controller with a disk and a CD-ROM, driven by a hostile guest
 *
 * Command list, table and received FISes are where the registers say at first; headers, FISes, regions and registers
 * then hold anything. Each input must end, and when all requests are back no port may still be stopping.
 */
#include "dev/pci/ahci.h"
#include "fuzz.h"

#define OPS_MAX 200
#define BAR 0xf1000000u
#define LIST 0x10000u  /* of port n: + n * 0x1000 */
#define FISES 0x20000u
#define TABLE 0x30000u /* of slot n: + n * 0x100 */
#define DEVFN (1 << 3)

struct rig {
	struct loop *loop;
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	struct ahci *ahci;
	struct fuzz_file file[2];
	struct block *blk[2];
};

static void write_mem(struct rig *r, uint64_t gpa, uint64_t val, unsigned size)
{
	mem_write(r->mem, gpa, &val, size);
}

static uint32_t read_reg(struct rig *r, unsigned reg)
{
	uint32_t val = 0;

	mem_read(r->mem, BAR + reg, &val, 4);
	return val;
}

static void start_port(struct rig *r, unsigned port)
{
	unsigned at = BAR + 0x100 + port * 0x80;

	write_mem(r, at, LIST + port * 0x1000, 4);
	write_mem(r, at + 8, FISES + port * 0x1000, 4);
	write_mem(r, at + 0x14, 0xffffffff, 4);
	write_mem(r, at + 0x18, 0x17, 4);
}

static void make(struct rig *r)
{
	struct err err;

	*r = (struct rig){ .loop = loop_new_stepped(), .states = state_set_new() };
	r->mem = mem_new(r->loop, MIB(4), 0xe0000000, &err);
	must(r->mem);
	r->bus = pci_bus_new(r->mem, NULL);
	r->ahci = ahci_new(&(struct ahci_config){ r->mem, r->bus, r->states, DEVFN });
	for (unsigned i = 0; i < 2; i++) {
		fuzz_file_make(&r->file[i], NULL, 0, KIB(64));
		r->blk[i] = block_open(r->loop, r->file[i].path, &(struct block_opts){ .format = "raw", .readonly = i }, &err);
		must(r->blk[i]);
		must(ahci_plug(r->ahci, &(struct ide_unit){ .blk = r->blk[i], .cdrom = i }) == i);
	}
	loop_lock(r->loop);
	pci_config_write(r->bus, 0, DEVFN, 0x24, BAR, 4);
	pci_config_write(r->bus, 0, DEVFN, 4, 7, 2);
	loop_unlock(r->loop);
	write_mem(r, BAR + 4, 0x80000002, 4);
	start_port(r, 0);
	start_port(r, 1);
}

static void unmake(struct rig *r)
{
	for (unsigned i = 0; i < 2; i++)
		block_close(r->blk[i]);
	loop_lock(r->loop);
	mem_detach_all(r->mem);
	ahci_free(r->ahci);
	pci_bus_free(r->bus);
	loop_unlock(r->loop);
	mem_free(r->mem);
	state_set_free(r->states);
	loop_free(r->loop);
	for (unsigned i = 0; i < 2; i++)
		fuzz_file_close(&r->file[i]);
}

/* A command that is nearly right: code, registers, a region or two. */
static void command(struct input *in, struct rig *r)
{
	static const uint8_t codes[] = { 0x60, 0x61, 0x25, 0x35, 0xec, 0xa0, 0xa1, 0x06, 0xea, 0xef, 0x20, 0x30, 0xc4,
		0x08 };
	unsigned k = (unsigned)take(in, 1), slot = (unsigned)take(in, 1) & 31, port = k >> 7, n = (unsigned)take(in, 1) & 3;
	uint64_t table = TABLE + slot * 0x100, list = LIST + port * 0x1000 + slot * 32;
	uint8_t code = (k & 15) < ARRAY_LEN(codes) ? codes[k & 15] : (uint8_t)take(in, 1);
	unsigned count = (unsigned)take(in, 1) & 15, lba = (unsigned)take(in, 1), at = BAR + 0x100 + port * 0x80;
	bool queued = code == 0x60 || code == 0x61;

	write_mem(r, list, 5 | (uint64_t)n << 16, 8);
	write_mem(r, list + 8, table, 8);
	write_mem(r, table, 0x8027 | (uint64_t)code << 16 | (uint64_t)(queued ? count : 1) << 24 | (uint64_t)lba << 32 |
	          0x4000000000000000, 8);
	write_mem(r, table + 8, (uint64_t)(queued ? slot << 3 : count) << 32, 8);
	write_mem(r, table + 0x40, take(in, 8), 8);
	for (unsigned i = 0; i < n; i++) {
		write_mem(r, table + 0x80 + i * 16, 0x100000 + (take(in, 2) << 4), 8);
		write_mem(r, table + 0x88 + i * 16, (take(in, 2) | 1) << 32, 8);
	}
	if (queued)
		write_mem(r, at + 0x34, 1u << slot, 4);
	write_mem(r, at + 0x38, 1u << slot, 4);
}

static void one(struct input *in, struct rig *r)
{
	unsigned op = (unsigned)take(in, 1);

	switch (op & 7) {
	case 0: case 1: case 2:
		command(in, r);
		break;
	case 3:
		write_mem(r, BAR + (take(in, 1) & 0x7f) * 4, take(in, 4), 4);
		break;
	case 4:
		read_reg(r, (unsigned)take(in, 1) * 4 & 0x3ff);
		break;
	case 5:
		write_mem(r, LIST + (take(in, 2) << 2), take(in, 4), 4);
		write_mem(r, TABLE + (take(in, 2) & 0x1fff), take(in, 8), 8);
		break;
	case 6:
		loop_step(r->loop, 1000);
		break;
	case 7:
		if (op & 8)
			start_port(r, op >> 4 & 1);
		else
			write_mem(r, BAR + 0x118 + (op >> 4 & 1) * 0x80, 0x16, 4);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig r;

	make(&r);
	for (unsigned n = 0; in.left && n < OPS_MAX; n++)
		one(&in, &r);
	for (unsigned i = 0; i < 2; i++)
		write_mem(&r, BAR + 0x118 + i * 0x80, 0, 4);
	for (unsigned i = 0; i < 64; i++)
		loop_step(r.loop, 1000);
	must(!(read_reg(&r, 0x118) & 0x8000) && !(read_reg(&r, 0x198) & 0x8000) && !(read_reg(&r, 4) & 1));
	unmake(&r);
	return 0;
}
