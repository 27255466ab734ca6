// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the MC146818 by its registers with a stepped clock */
#include "unit.h"

#include "dev/isa/rtc.h"

#define SECOND 1000000000ull

static struct loop *loop;
static struct rtc *rtc;
static bool irq8, nmi_mask;
static int rises;

static void on_irq8(void *opaque, int n, bool level)
{
	rises += level && !irq8;
	irq8 = level;
}

static void on_nmi_mask(void *opaque, int n, bool level)
{
	nmi_mask = level;
}

static uint8_t get(uint8_t index)
{
	rtc_write(rtc, 0, index);
	return rtc_read(rtc, 1);
}

static void put(uint8_t index, uint8_t val)
{
	rtc_write(rtc, 0, index);
	rtc_write(rtc, 1, val);
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct rtc_config cfg;

	loop = loop_new_stepped();
	/* 2024-02-29 23:59:58 UTC, a Thursday */
	cfg = (struct rtc_config){
		.states = set, .loop = loop, .utc = 1709251198, .irq8 = { .set = on_irq8 }, .nmi_mask = { .set = on_nmi_mask },
	};
	rtc = rtc_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	rises = 0;
	return 0;
}

static int teardown(void **state)
{
	rtc_free(rtc);
	loop_free(loop);
	return 0;
}

static void reads_time(void **state)
{
	/* BCD, 24 hours, day of week from 1 = Sunday, century at 0x32; leap day rolls over. */
	assert_int_equal(get(0), 0x58);
	assert_int_equal(get(2), 0x59);
	assert_int_equal(get(4), 0x23);
	assert_int_equal(get(6), 5);
	assert_int_equal(get(7), 0x29);
	assert_int_equal(get(8), 0x02);
	assert_int_equal(get(9), 0x24);
	assert_int_equal(get(0x32), 0x20);
	loop_step(loop, 2 * SECOND);
	assert_int_equal(get(0), 0);
	assert_int_equal(get(7), 0x01);
	assert_int_equal(get(8), 0x03);
	assert_int_equal(get(0x0d), 0x80);
}

static void formats(void **state)
{
	/* Binary and 12-hour formats. */
	put(0x0b, 0x04);
	assert_int_equal(get(0), 58);
	assert_int_equal(get(4), 0x80 | 11);
	loop_step(loop, 2 * SECOND);
	assert_int_equal(get(4), 12);
}

static void setting(void **state)
{
	/* SET freezes the registers; clearing it starts the clock from them. */
	put(0x0b, 0x82);
	loop_step(loop, 5 * SECOND);
	assert_int_equal(get(0), 0x58);
	put(0, 0x10);
	put(2, 0x20);
	put(4, 0x07);
	put(0x32, 0x19);
	put(9, 0x99);
	put(0x0b, 0x02);
	loop_step(loop, 3 * SECOND);
	assert_int_equal(get(0), 0x13);
	assert_int_equal(get(2), 0x20);
	assert_int_equal(get(9), 0x99);
	put(9, 0x85); /* without SET as well */
	assert_int_equal(get(0), 0x13);
	assert_int_equal(get(9), 0x85);
}

static void uip(void **state)
{
	/* UIP is set for about 2 ms before each change of the time. */
	assert_int_equal(get(0x0a), 0x26);
	loop_step(loop, SECOND - 1000000);
	assert_int_equal(get(0x0a), 0xa6);
	loop_step(loop, 1000000);
	assert_int_equal(get(0x0a), 0x26);
	assert_int_equal(get(0), 0x59);
}

static void periodic(void **state)
{
	/* PIE at 1024 Hz; IRQF holds the line until register C is read; without PIE the flag alone is set. */
	loop_step(loop, SECOND);
	assert_int_equal(rises, 0);
	assert_int_equal(get(0x0c) & 0xc0, 0x40);
	put(0x0b, 0x42);
	loop_step(loop, SECOND / 2);
	assert_int_equal(rises, 1);
	assert_int_equal(get(0x0c) & 0xc0, 0xc0);
	assert_false(irq8);
	rises = 0;
	for (int i = 0; i < 10240; i++) {
		loop_step(loop, SECOND / 10240);
		if (irq8)
			get(0x0c);
	}
	assert_in_range(rises, 1023, 1025);
}

static void update_and_alarm(void **state)
{
	/* UIE each second; AIE when the alarm matches, 0xc0 and above match anything. */
	put(0x0b, 0x12);
	loop_step(loop, SECOND);
	assert_true(irq8);
	assert_int_equal(get(0x0c) & 0xb0, 0x90);
	put(1, 0x05);
	put(3, 0xff);
	put(5, 0xff);
	put(0x0b, 0x22);
	get(0x0c);
	loop_step(loop, 5 * SECOND);
	assert_false(irq8);
	loop_step(loop, SECOND);
	assert_true(irq8);
	assert_int_equal(get(0x0c) & 0xa0, 0xa0);
}

static void ram(void **state)
{
	/* RAM keeps what is written, through a reset; the second bank is at 0x72; bit 7 of the index masks NMI. */
	put(0x40, 0x5a);
	rtc_set_cmos(rtc, 0x3d, 0x21);
	rtc_write(rtc, 2, 0x10);
	rtc_write(rtc, 3, 0x77);
	rtc_reset(rtc);
	assert_int_equal(get(0x40), 0x5a);
	assert_int_equal(get(0x3d), 0x21);
	assert_int_equal(rtc_cmos(rtc, 0x90), 0x77);
	rtc_write(rtc, 0, 0x8f);
	assert_true(nmi_mask);
	rtc_write(rtc, 0, 0x0f);
	assert_false(nmi_mask);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(reads_time), T(formats), T(setting), T(uip), T(periodic), T(update_and_alarm), T(ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
