// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the 8237 pair through its ports (datasheet 231466) */
#include "unit.h"

#include "dev/isa/dma.h"

static struct loop *loop;
static struct mem *mem;
static struct dma *dma;

static void out(uint16_t port, uint8_t v)
{
	mem_port_out(mem, port, v, 1);
}

static unsigned in16(uint16_t port)
{
	unsigned low = mem_port_in(mem, port, 1);

	return low | mem_port_in(mem, port, 1) << 8;
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct dma_config cfg;

	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(1), MIB(1), NULL);
	cfg = (struct dma_config){ .states = set, .mem = mem };
	dma = dma_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	return 0;
}

static int teardown(void **state)
{
	dma_free(dma);
	mem_free(mem);
	loop_free(loop);
	return 0;
}

/* Channel 2 at a 24-bit address. */
static void program(uint8_t mode, uint32_t addr, uint16_t count)
{
	out(0x0a, 0x06);
	out(0x0c, 0);
	out(0x0b, mode | 2);
	out(0x04, (uint8_t)addr);
	out(0x04, (uint8_t)(addr >> 8));
	out(0x81, (uint8_t)(addr >> 16));
	out(0x05, (uint8_t)count);
	out(0x05, (uint8_t)(count >> 8));
	out(0x0a, 0x02);
}

static void write_memory(void **state)
{
	/* A transfer stops at terminal count, sets its status bit once and masks the channel. */
	uint8_t buf[600];
	bool tc;

	memset(buf, 0x5a, sizeof(buf));
	program(0x44, 0x12345, 511);
	assert_int_equal(dma_transfer(dma, 2, buf, 100, DMA_TO_MEMORY, &tc), 100);
	assert_false(tc);
	assert_int_equal(in16(0x04), 0x2345 + 100);
	assert_int_equal(in16(0x05), 411);
	assert_int_equal(dma_transfer(dma, 2, buf, 500, DMA_TO_MEMORY, &tc), 412);
	assert_true(tc);
	assert_int_equal(mem_ram_base(mem)[0x12345 + 511], 0x5a);
	assert_int_equal(mem_ram_base(mem)[0x12345 + 512], 0);
	assert_int_equal(mem_port_in(mem, 0x08, 1), 0x04);
	assert_int_equal(mem_port_in(mem, 0x08, 1), 0);
	assert_false(dma_ready(dma, 2));
	assert_int_equal(dma_transfer(dma, 2, buf, 1, DMA_TO_MEMORY, &tc), 0);
}

static void read_memory(void **state)
{
	/* Direction must match; verify counts but moves nothing; autoinit starts over. */
	uint8_t buf[4] = { 0 };
	bool tc;

	memcpy(mem_ram_base(mem) + 0x500, "abcd", 4);
	program(0x58, 0x500, 3);
	assert_int_equal(dma_transfer(dma, 2, buf, 4, DMA_TO_MEMORY, &tc), 0);
	assert_int_equal(dma_transfer(dma, 2, buf, 4, DMA_FROM_MEMORY, &tc), 4);
	assert_true(tc);
	assert_memory_equal(buf, "abcd", 4);
	assert_true(dma_ready(dma, 2));
	assert_int_equal(in16(0x04), 0x500);
	program(0x40, 0x500, 3);
	memset(buf, 0, 4);
	assert_int_equal(dma_transfer(dma, 2, buf, 4, DMA_TO_MEMORY, &tc), 4);
	assert_memory_equal(mem_ram_base(mem) + 0x500, "abcd", 4);
}

static void wraps_in_page(void **state)
{
	/* I1: the address wraps within 64 KiB. Downwards too. */
	uint8_t buf[4] = { 1, 2, 3, 4 };
	bool tc;

	program(0x44, 0x2fffe, 3);
	dma_transfer(dma, 2, buf, 4, DMA_TO_MEMORY, &tc);
	assert_memory_equal(mem_ram_base(mem) + 0x2fffe, "\1\2", 2);
	assert_memory_equal(mem_ram_base(mem) + 0x20000, "\3\4", 2);
	program(0x64, 0x30001, 3);
	dma_transfer(dma, 2, buf, 4, DMA_TO_MEMORY, &tc);
	assert_memory_equal(mem_ram_base(mem) + 0x30000, "\2\1", 2);
	assert_memory_equal(mem_ram_base(mem) + 0x3fffe, "\4\3", 2);
}

static void far_down(void **state)
{
	/* A whole track downwards: the first byte lies highest; memory is accessed in pieces, not byte by byte. */
	static uint8_t buf[36864], back[36864];
	bool tc;

	for (unsigned k = 0; k < sizeof(buf); k++)
		buf[k] = (uint8_t)(k * 31 + k / 256);
	program(0x64, 0x39000, sizeof(buf) - 1);
	assert_int_equal(dma_transfer(dma, 2, buf, sizeof(buf), DMA_TO_MEMORY, &tc), sizeof(buf));
	assert_true(tc);
	for (unsigned k = 0; k < sizeof(buf); k++)
		assert_int_equal(mem_ram_base(mem)[0x39000 - k], buf[k]);
	program(0x68, 0x39000, sizeof(buf) - 1);
	assert_int_equal(dma_transfer(dma, 2, back, sizeof(back), DMA_FROM_MEMORY, &tc), sizeof(back));
	assert_memory_equal(back, buf, sizeof(buf));
}

static void words(void **state)
{
	/* Channels 5 to 7 count words and ignore bit 0 of the page. */
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	bool tc;

	out(0xd8, 0);
	out(0xd6, 0x45);
	out(0xc4, 0x00);
	out(0xc4, 0x80);
	out(0x8b, 0x05);
	out(0xc6, 0x01);
	out(0xc6, 0x00);
	out(0xd4, 0x01);
	assert_int_equal(dma_transfer(dma, 5, buf, 8, DMA_TO_MEMORY, &tc), 4);
	assert_true(tc);
	assert_memory_equal(mem_ram_base(mem) + 0x50000, "\1\2\3\4\0", 5);
	assert_int_equal(dma_transfer(dma, 4, buf, 8, DMA_TO_MEMORY, &tc), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(write_memory), T(read_memory), T(wraps_in_page), T(far_down),
		T(words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
