// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of dev/isa/fwcfg.c at its ports and its DMA interface */
#include "unit.h"

#include "dev/isa/fwcfg.h"

struct fixture {
	struct loop *loop;
	struct mem *mem;
	struct state_set *states;
	struct fwcfg *f;
};

static int setup(void **state)
{
	struct fixture *x = xalloc(sizeof(*x));

	x->loop = loop_new_stepped();
	x->mem = mem_new(x->loop, MIB(1), 0xe0000000, NULL);
	x->states = state_set_new();
	x->f = fwcfg_new(&(struct fwcfg_config){ x->loop, x->mem, x->states });
	fwcfg_add_file(x->f, "etc/test", "hello", 5);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	fwcfg_free(x->f);
	state_set_free(x->states);
	mem_free(x->mem);
	loop_free(x->loop);
	free(x);
	return 0;
}

static void read_item(struct fixture *x, uint16_t key, void *buf, unsigned len)
{
	mem_port_out(x->mem, 0x510, key, 2);
	for (unsigned i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)mem_port_in(x->mem, 0x511, 1);
}

static void directory_names_files(void **state)
{
	/* spec "File Directory": big-endian count, size and key; reading past an item gives 0. */
	struct fixture *x = *state;
	uint8_t dir[4 + 64], text[7];

	read_item(x, 0, text, 4);
	assert_memory_equal(text, "QEMU", 4);
	read_item(x, 0x19, dir, sizeof(dir));
	assert_int_equal(get_be32(dir), 1);
	assert_int_equal(get_be32(dir + 4), 5);
	assert_string_equal((char *)dir + 12, "etc/test");
	read_item(x, get_be16(dir + 8), text, 7);
	assert_memory_equal(text, "hello\0", 7);
}

static uint32_t dma(struct fixture *x, uint32_t control, uint32_t len, uint64_t addr)
{
	uint8_t *desc = mem_ram_base(x->mem) + 0x1000;

	put_be32(desc, control);
	put_be32(desc + 4, len);
	put_be32(desc + 8, (uint32_t)(addr >> 32));
	put_be32(desc + 12, (uint32_t)addr);
	mem_port_out(x->mem, 0x518, __builtin_bswap32(0x1000), 4);
	return get_be32(desc);
}

static void dma_selects_skips_and_reads(void **state)
{
	/* spec "Guest-side DMA Interface": control bits; the status word becomes 0, or 1 on error. */
	struct fixture *x = *state;
	uint8_t *out = mem_ram_base(x->mem) + 0x2000;

	assert_int_equal(mem_port_in(x->mem, 0x514, 4), 0x554d4551); /* "QEMU" */
	assert_int_equal(dma(x, 0x20 << 16 | 8 | 4, 1, 0), 0);
	memset(out, 0xaa, 16);
	assert_int_equal(dma(x, 2, 8, 0x2000), 0);
	assert_memory_equal(out, "ello\0\0\0\0\xaa", 9);
}

static void long_dma_in_turns(void **state)
{
	/* spec "Guest-side DMA Interface": the guest polls the control field. However much it asks for, one turn writes at
	 * most 128 KiB, and timers come in between; the doorbell does nothing meanwhile. */
	struct fixture *x = *state;
	const uint8_t *ram = mem_ram_base(x->mem), *desc = ram + 0x1000;
	uint32_t len = 5 * (128u << 10) + 77, at = 0x10000, done = 0, turns = 0;

	memset(mem_ram_base(x->mem) + at, 0xaa, len + 1);
	assert_int_equal(dma(x, 0x20 << 16 | 8 | 2, len, at), 0x20 << 16 | 8 | 2);
	assert_memory_equal(ram + at, "hello\0", 6);
	for (; get_be32(desc); turns++) {
		uint32_t now = done;

		while (now < len && ram[at + now] != 0xaa)
			now++;
		assert_true(now - done <= 128u << 10 && now < len);
		done = now;
		mem_port_out(x->mem, 0x518, __builtin_bswap32(0x1000), 4);
		loop_step(x->loop, 200000);
	}
	assert_int_equal(turns, len / (128u << 10));
	assert_int_equal(ram[at + len - 1], 0);
	assert_int_equal(ram[at + len], 0xaa);
	assert_int_equal(dma(x, 2, 0xffffffff, at), 2);
	fwcfg_reset(x->f); /* and it comes no more */
	memset(mem_ram_base(x->mem) + at, 0xaa, len);
	loop_step(x->loop, 1000000000);
	for (uint32_t k = 0; k < len; k++)
		assert_int_equal(ram[at + k], 0xaa);
}

static void hostile_dma_is_refused(void **state)
{
	/* Addresses and lengths are the guest's: beyond RAM is an error, not an access; nothing is writable. */
	struct fixture *x = *state;

	assert_int_equal(dma(x, 0x20 << 16 | 8 | 2, 5, 0x7fffffff00000000), 1);
	assert_int_equal(dma(x, 0x20 << 16 | 8 | 2, 0xffffffff, 0xffff0), 1);
	assert_int_equal(dma(x, 0x20 << 16 | 8 | 16, 5, 0x2000), 1);
	assert_int_equal(dma(x, 0xfffful << 16 | 8 | 2, 5, 0x2000), 0);
	assert_int_equal(dma(x, 4, 0xffffffff, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(directory_names_files, setup, teardown),
		cmocka_unit_test_setup_teardown(dma_selects_skips_and_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(long_dma_in_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_dma_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
