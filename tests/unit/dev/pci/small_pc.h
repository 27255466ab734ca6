// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PCI half of a PC for tests: RAM, bus, host bridge, ISA bridge, a stepped clock, and short words to poke
 * them */
#ifndef TESTS_SMALL_PC_H
#define TESTS_SMALL_PC_H

#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "block/block.h"
#include "dev/pci/i440fx.h"
#include "dev/pci/piix3.h"

struct small_pc {
	struct loop *loop;
	struct mem *mem;
	struct state_set *states;
	struct pci_bus *bus;
	struct i440fx *fx;
	struct piix3 *piix3;
	bool line[16];
	unsigned edges[16]; /* rising */
	unsigned resets;
	uint64_t msi_addr;
	uint32_t msi_data;
	unsigned msis;
};

static inline void small_pc_line(void *opaque, int n, bool level)
{
	struct small_pc *pc = opaque;

	pc->edges[n] += level && !pc->line[n];
	pc->line[n] = level;
}

static inline void small_pc_reset(void *opaque, int n, bool level)
{
	((struct small_pc *)opaque)->resets += level;
}

static inline void small_pc_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct small_pc *pc = opaque;

	pc->msi_addr = addr;
	pc->msi_data = data;
	pc->msis++;
}

static inline struct small_pc *small_pc_new(void)
{
	struct small_pc *pc = xalloc(sizeof(*pc));
	struct i440fx_config fx = {0};
	struct piix3_config p3 = {0};

	pc->loop = loop_new_stepped();
	pc->mem = mem_new(pc->loop, MIB(16), 0xe0000000, NULL);
	pc->states = state_set_new();
	pc->bus = pci_bus_new(pc->mem, NULL);
	pci_bus_set_msi_sink(pc->bus, small_pc_msi, pc);
	fx.mem = pc->mem;
	fx.bus = pc->bus;
	fx.states = pc->states;
	fx.reset = (struct wire){.set = small_pc_reset, .opaque = pc};
	pc->fx = i440fx_new(&fx);
	p3.bus = pc->bus;
	p3.states = pc->states;
	for (int n = 0; n < 16; n++)
		p3.irq[n] = (struct wire){.set = small_pc_line, .opaque = pc, .n = n};
	pc->piix3 = piix3_new(&p3);
	return pc;
}

static inline void small_pc_free(struct small_pc *pc)
{
	piix3_free(pc->piix3);
	i440fx_free(pc->fx);
	pci_bus_free(pc->bus);
	state_set_free(pc->states);
	mem_free(pc->mem);
	loop_free(pc->loop);
	free(pc);
}

static inline uint32_t in(struct small_pc *pc, uint16_t port, unsigned size)
{
	return mem_port_in(pc->mem, port, size);
}

static inline void out(struct small_pc *pc, uint16_t port, uint32_t val, unsigned size)
{
	mem_port_out(pc->mem, port, val, size);
}

static inline uint32_t cfg_read(struct small_pc *pc, unsigned devfn, unsigned off, unsigned size)
{
	out(pc, 0xcf8, 0x80000000 | devfn << 8 | (off & 0xfc), 4);
	return in(pc, (uint16_t)(0xcfc + (off & 3)), size);
}

static inline void cfg_write(struct small_pc *pc, unsigned devfn, unsigned off, uint32_t val, unsigned size)
{
	out(pc, 0xcf8, 0x80000000 | devfn << 8 | (off & 0xfc), 4);
	out(pc, (uint16_t)(0xcfc + (off & 3)), val, size);
}

static inline uint8_t peek8(struct small_pc *pc, uint64_t gpa)
{
	uint8_t v;

	mem_read(pc->mem, gpa, &v, 1);
	return v;
}

static inline void poke8(struct small_pc *pc, uint64_t gpa, uint8_t v)
{
	mem_write(pc->mem, gpa, &v, 1);
}

static inline void check_all_coverage(struct small_pc *pc)
{
	state_set_each(pc->states, check_coverage, NULL);
}

/* A file of size bytes whose sector n is filled with (uint8_t)(n + 1), and its path (to be unlinked and freed). */
static inline char *make_image(uint64_t size)
{
	char *path = xstrdup("/tmp/ring3-test-XXXXXX");
	int fd = mkstemp(path);
	uint8_t sector[512];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (uint64_t n = 0; n < size / 512 && n < 4096; n++) {
		memset(sector, (int)(n + 1) & 0xff, sizeof(sector));
		assert_int_equal(pwrite(fd, sector, 512, (off_t)(n * 512)), 512);
	}
	close(fd);
	return path;
}

static inline void remove_image(char *path)
{
	unlink(path);
	free(path);
}

static inline struct block *open_image(struct small_pc *pc, const char *path, bool readonly)
{
	struct block_opts opts = {.readonly = readonly};
	struct err err;
	struct block *blk = block_open(pc->loop, path, &opts, &err);

	if (!blk)
		fail_msg("%s", err.msg);
	return blk;
}

#endif
