// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the 8254 by its registers with a stepped clock (datasheet 231164) */
#include "unit.h"

#include "dev/isa/pit.h"

static struct loop *loop;
static struct pit *pit;
static bool irq0;
static int rises;
static uint64_t tick;

static void on_irq0(void *opaque, int n, bool level)
{
	rises += level && !irq0;
	irq0 = level;
}

/* Step to the given tick of the 1.193182 MHz clock, counted from the start of the test. */
static void until(uint64_t t)
{
	uint64_t ns = (t * 1000000000ull + PIT_HZ - 1) / PIT_HZ;

	loop_step(loop, ns - loop_now(loop));
	tick = t;
}

static void after(uint64_t ticks)
{
	until(tick + ticks);
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct pit_config cfg;

	loop = loop_new_stepped();
	cfg = (struct pit_config){ .states = set, .loop = loop, .irq0 = { .set = on_irq0 } };
	pit = pit_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	tick = 0;
	until(1000);
	rises = 0;
	return 0;
}

static int teardown(void **state)
{
	pit_free(pit);
	loop_free(loop);
	return 0;
}

static void program(unsigned n, unsigned mode, unsigned count)
{
	pit_write(pit, 3, (uint8_t)(n << 6 | 0x30 | mode << 1));
	pit_write(pit, n, (uint8_t)count);
	pit_write(pit, n, (uint8_t)(count >> 8));
}

static unsigned read_count(unsigned n)
{
	unsigned lsb;

	pit_write(pit, 3, (uint8_t)(n << 6));
	lsb = pit_read(pit, n);
	return lsb | (unsigned)pit_read(pit, n) << 8;
}

static unsigned status(unsigned n)
{
	pit_write(pit, 3, (uint8_t)(0xe0 | 2u << n));
	return pit_read(pit, n);
}

static void mode0(void **state)
{
	/* Mode 0: OUT is low for N + 1 clocks after the write, then high for good; the count goes on below zero. */
	program(0, 0, 1000);
	assert_false(irq0);
	after(501);
	assert_int_equal(read_count(0), 500);
	after(499);
	assert_false(irq0);
	after(1);
	assert_true(irq0);
	assert_int_equal(rises, 1);
	after(10);
	assert_int_equal(read_count(0), 0x10000 - 10);
	assert_int_equal(status(0), 0x80 | 0x30);
}

static void mode2(void **state)
{
	/* Mode 2: one rise for each period; a new count waits for the end of the period. */
	program(0, 2, 1000);
	after(1 + 10 * 1000);
	assert_int_equal(rises, 10);
	after(400);
	pit_write(pit, 0, 0xf4);
	pit_write(pit, 0, 0x01); /* 500 */
	assert_int_equal(status(0) & 0x40, 0x40);
	assert_int_equal(read_count(0), 600);
	after(600);
	assert_int_equal(rises, 11);
	assert_int_equal(status(0) & 0x40, 0);
	after(5 * 500);
	assert_int_equal(rises, 16);
}

static void mode3(void **state)
{
	/* Mode 3: counts down by two, high in the first half; 0 means 65536. */
	program(2, 3, 1000);
	pit_portb_write(pit, 1);
	after(101);
	assert_int_equal(read_count(2), 800);
	assert_int_equal(pit_portb_read(pit) & 0x20, 0x20);
	after(500);
	assert_int_equal(pit_portb_read(pit) & 0x20, 0);
	program(0, 3, 0);
	rises = 0;
	after(65536 * 3 + 1);
	assert_int_equal(rises, 3);
}

static void one_shot(void **state)
{
	/* Mode 1: GATE triggers and triggers again; OUT is low for N clocks. Mode 5 lowers it for one clock at the end. */
	program(2, 1, 100);
	assert_int_equal(status(2) & 0xc0, 0xc0);
	pit_portb_write(pit, 1);
	after(51);
	assert_int_equal(status(2) & 0x80, 0);
	pit_portb_write(pit, 0);
	pit_portb_write(pit, 1);
	after(100);
	assert_int_equal(status(2) & 0x80, 0);
	after(1);
	assert_int_equal(status(2) & 0x80, 0x80);
	pit_portb_write(pit, 0);
	program(2, 5, 100);
	pit_portb_write(pit, 1);
	after(101);
	assert_int_equal(status(2) & 0x80, 0);
	after(1);
	assert_int_equal(status(2) & 0x80, 0x80);
}

static void mode4(void **state)
{
	/* Mode 4: one strobe N clocks after the load, none after. */
	program(0, 4, 2000);
	rises = 0;
	after(2000);
	assert_int_equal(rises, 0);
	after(1);
	assert_int_equal(rises, 1);
	after(200000);
	assert_int_equal(rises, 1);
}

static void gate_pauses(void **state)
{
	/* Modes 0 and 4: GATE low holds the count. A kernel calibrates its clock this way through port 0x61. */
	program(2, 0, 1000);
	after(5000);
	assert_int_equal(pit_portb_read(pit) & 0x20, 0);
	pit_portb_write(pit, 1);
	after(500);
	pit_portb_write(pit, 0);
	after(5000);
	assert_int_equal(read_count(2), 500);
	pit_portb_write(pit, 1);
	after(499);
	assert_int_equal(pit_portb_read(pit) & 0x20, 0);
	after(2);
	assert_int_equal(pit_portb_read(pit) & 0x20, 0x20);
}

static void latches(void **state)
{
	/* A latched count stays until read, status comes before count, a second latch is ignored. */
	program(2, 2, 1000);
	pit_portb_write(pit, 1);
	after(101);
	pit_write(pit, 3, 0xc8); /* read back status and count of 2 */
	after(100);
	pit_write(pit, 3, 0x80);
	assert_int_equal(pit_read(pit, 2), 0x80 | 0x34);
	assert_int_equal(pit_read(pit, 2), 900 & 255);
	assert_int_equal(pit_read(pit, 2), 900 >> 8);
	assert_int_equal(pit_read(pit, 2), 800 & 255);
}

static void bcd(void **state)
{
	/* BCD counts in decades. */
	pit_write(pit, 3, 0xb1 | 0 << 1);
	pit_write(pit, 2, 0x00);
	pit_write(pit, 2, 0x10); /* 1000 */
	pit_portb_write(pit, 1);
	after(1);
	assert_int_equal(read_count(2), 0x0999);
}

static void refresh(void **state)
{
	/* Port 0x61 bit 4 toggles about every 15 us: delay loops count it. */
	int toggles = 0;
	uint8_t last = pit_portb_read(pit) & 0x10;

	for (int i = 0; i < 1000; i++) {
		loop_step(loop, 1000);
		toggles += (pit_portb_read(pit) & 0x10) != last;
		last = pit_portb_read(pit) & 0x10;
	}
	assert_in_range(toggles, 66, 67);
}

static void hostile_period(void **state)
{
	/* A guest that asks for a period of one clock gets interrupts no nearer than 20 us. */
	program(0, 2, 1);
	rises = 0;
	loop_step(loop, 1000000);
	assert_in_range(rises, 30, 50);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(mode0), T(mode2), T(mode3), T(one_shot), T(mode4), T(gate_pauses), T(latches), T(bcd), T(refresh),
		T(hostile_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
