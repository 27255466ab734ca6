// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the test device: every promise of docs/test-devices.md at register level */
#include "unit.h"

#include "dev/isa/testdev.h"

static struct loop *loop;
static struct mem *mem;
static struct testdev *dev;
static uint32_t lines;
static gpa_t forgotten;

static void on_line(void *opaque, int n, bool level)
{
	lines = level ? lines | 1u << n : lines & ~(1u << n);
}

static void on_forget(void *opaque, gpa_t page)
{
	forgotten = page;
}

static int setup(void **state)
{
	struct testdev_config cfg = { .forget = on_forget };

	loop = loop_new_stepped();
	cfg.mem = mem = mem_new(loop, MIB(1), MIB(1), NULL);
	for (int n = 0; n < TESTDEV_LINES; n++)
		cfg.line[n] = (struct wire){ on_line, NULL, n };
	dev = testdev_new(&cfg);
	lines = 0;
	forgotten = 1;
	return 0;
}

static int teardown(void **state)
{
	testdev_free(dev);
	mem_free(mem);
	loop_free(loop);
	return 0;
}

static void latch_takes_any_width(void **state)
{
	/* 0xe0-0xe3 and 0xe8-0xeb are the same 32 bits, at 1, 2 and 4 bytes and any offset. */
	mem_port_out(mem, 0xe0, 0x12345678, 4);
	assert_int_equal(mem_port_in(mem, 0xe0, 4), 0x12345678);
	assert_int_equal(mem_port_in(mem, 0xe8, 4), 0x12345678);
	assert_int_equal(mem_port_in(mem, 0xe1, 1), 0x56);
	assert_int_equal(mem_port_in(mem, 0xe2, 2), 0x1234);
	assert_int_equal(mem_port_in(mem, 0xe9, 2), 0x3456);
	mem_port_out(mem, 0xea, 0xabcd, 2);
	assert_int_equal(mem_port_in(mem, 0xe0, 4), 0xabcd5678);
	mem_port_out(mem, 0xe3, 0x99, 1);
	assert_int_equal(mem_port_in(mem, 0xe8, 4), 0x99cd5678);
	testdev_reset(dev);
	assert_int_equal(mem_port_in(mem, 0xe0, 4), 0);
}

static void flush_names_a_page(void **state)
{
	/* 0xe4 takes a physical address in four bytes; other widths do nothing; reads give 0. */
	mem_port_out(mem, 0xe4, 0x12345, 4);
	assert_int_equal(forgotten, 0x12000);
	mem_port_out(mem, 0xe4, 0x77, 1);
	mem_port_out(mem, 0xe6, 0x7777, 2);
	assert_int_equal(forgotten, 0x12000);
	assert_int_equal(mem_port_in(mem, 0xe4, 4), 0);
}

static void lines_follow_bit_0(void **state)
{
	/* 0x2000 + n: line n is bit 0 of the byte; a wider write sets several; a reset lets go. */
	mem_port_out(mem, 0x2005, 1, 1);
	mem_port_out(mem, 0x2017, 0xff, 1);
	assert_int_equal(lines, 1u << 5 | 1u << 23);
	mem_port_out(mem, 0x2005, 0xfe, 1);
	assert_int_equal(lines, 1u << 23);
	mem_port_out(mem, 0x2000, 0x01000101, 4);
	assert_int_equal(lines, 1u << 23 | 0xb);
	assert_int_equal(mem_port_in(mem, 0x2017, 1), 0);
	testdev_reset(dev);
	assert_int_equal(lines, 0);
}

static void mmio_is_like_ram(void **state)
{
	/* 64 KiB at 0xff000000: what was written reads back at any width and offset, and no more than 64 KiB. */
	uint8_t in[16], out[16];
	uint64_t val = 0x1122334455667788;

	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 17 + 3);
	mem_write(mem, 0xff000003, in, sizeof(in));
	mem_read(mem, 0xff000003, out, sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	mem_write(mem, 0xff00fff8, &val, 8);
	val = 0;
	mem_read(mem, 0xff00fffa, &val, 4);
	assert_int_equal(val, 0x33445566);
	mem_write(mem, 0xff00fffe, in, 4);
	mem_read(mem, 0xff010000, &val, 2);
	assert_int_equal(val & 0xffff, 0xffff);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(latch_takes_any_width), T(flush_names_a_page), T(lines_follow_bit_0),
		T(mmio_is_like_ram) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
