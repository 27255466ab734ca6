// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the keyboard controller, keyboard and mouse through ports 0x60 and 0x64 */
#include "unit.h"

#include "dev/isa/i8042.h"

static struct loop *loop;
static struct i8042 *kbc;
static bool irq1, irq12, a20;
static int resets;

static void on_wire(void *opaque, int n, bool level)
{
	*(bool *)opaque = level;
}

static void on_reset(void *opaque, int n, bool level)
{
	resets += level;
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct i8042_config cfg;

	loop = loop_new_stepped();
	cfg = (struct i8042_config){
		.states = set, .loop = loop, .irq1 = { on_wire, &irq1, 0 }, .irq12 = { on_wire, &irq12, 0 },
		.a20 = { on_wire, &a20, 0 }, .reset = { on_reset, NULL, 0 },
	};
	kbc = i8042_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	resets = 0;
	return 0;
}

static int teardown(void **state)
{
	i8042_free(kbc);
	loop_free(loop);
	return 0;
}

/* The next byte within a millisecond, -1 if none comes; +0x100 if the mouse's. */
static int next(void)
{
	uint8_t st;

	loop_step(loop, 1000000);
	st = i8042_read_status(kbc);
	return st & 1 ? i8042_read_data(kbc) | (st & 0x20 ? 0x100 : 0) : -1;
}

static void cmd(uint8_t c)
{
	i8042_write_command(kbc, c);
}

static void cmd1(uint8_t c, uint8_t v)
{
	i8042_write_command(kbc, c);
	i8042_write_data(kbc, v);
}

#define EXPECT(...)                                                  \
	do {                                                         \
		const int want_[] = { __VA_ARGS__, -1 };             \
		for (unsigned i_ = 0; i_ < ARRAY_LEN(want_); i_++)   \
			assert_int_equal(next(), want_[i_]);         \
	} while (0)

static void controller(void **state)
{
	/* Self test, interface tests, command byte, RAM. */
	cmd(0xaa);
	EXPECT(0x55);
	cmd(0xab);
	EXPECT(0);
	cmd(0xa9);
	EXPECT(0);
	cmd1(0x60, 0x47);
	cmd(0x20);
	EXPECT(0x47);
	cmd(0xa7);
	cmd(0x20);
	EXPECT(0x67);
	cmd(0xa8);
	cmd(0xad);
	cmd(0x20);
	EXPECT(0x57);
	cmd1(0x65, 0x99);
	cmd(0x25);
	EXPECT(0x99);
	cmd1(0xd3, 0x5a);
	EXPECT(0x15a);
	cmd1(0xd2, 0x5b);
	EXPECT(0x5b);
}

static void a20_and_reset(void **state)
{
	/* Output port: bit 1 is A20, bit 0 low resets; 0xfe pulses reset, 0xff nothing. */
	assert_true(a20);
	cmd1(0xd1, 0x01);
	assert_false(a20);
	cmd(0xd0);
	EXPECT(0xcd);
	cmd(0xdf);
	assert_true(a20);
	cmd(0xdd);
	assert_false(a20);
	assert_int_equal(resets, 0);
	cmd(0xff);
	assert_int_equal(resets, 0);
	cmd(0xfe);
	assert_int_equal(resets, 1);
	cmd1(0xd1, 0x02);
	assert_int_equal(resets, 2);
}

static void keyboard_commands(void **state)
{
	/* Reset, identify (translated by the controller), LEDs, unknown. */
	i8042_write_data(kbc, 0xff);
	EXPECT(0xfa, 0xaa);
	i8042_write_data(kbc, 0xf2);
	EXPECT(0xfa, 0xab, 0x41);
	cmd1(0x60, 0x05);
	i8042_write_data(kbc, 0xf2);
	EXPECT(0xfa, 0xab, 0x83);
	i8042_write_data(kbc, 0xed);
	EXPECT(0xfa);
	i8042_write_data(kbc, 0x07);
	EXPECT(0xfa);
	i8042_write_data(kbc, 0xee);
	EXPECT(0xee);
	i8042_write_data(kbc, 0xfe);
	EXPECT(0xee);
	i8042_write_data(kbc, 0x99);
	EXPECT(0xfe);
	i8042_write_data(kbc, 0xf0);
	EXPECT(0xfa);
	i8042_write_data(kbc, 0x00);
	EXPECT(0xfa, 0x02);
}

static void scan_codes(void **state)
{
	/* Set 1 keys come out as set 2 raw, as set 1 translated, for every code; extended and pause included. */
	static const uint8_t f7_up[] = { 0x41, 0xc1, 0xe0, 0x48, 0xe0, 0xc8 };
	uint8_t code;

	cmd1(0x60, 0x05);
	i8042_key(kbc, f7_up, sizeof(f7_up));
	EXPECT(0x83, 0xf0, 0x83, 0xe0, 0x75, 0xe0, 0xf0, 0x75);
	cmd1(0x60, 0x45);
	i8042_key(kbc, f7_up, sizeof(f7_up));
	EXPECT(0x41, 0xc1, 0xe0, 0x48, 0xe0, 0xc8);
	for (code = 1; code < 0x5e; code++) {
		uint8_t key[2] = { code, code | 0x80 };

		i8042_key(kbc, key, 2);
		assert_int_equal(next(), code);
		assert_int_equal(next(), code | 0x80);
	}
	cmd1(0x60, 0x05);
	i8042_write_data(kbc, 0xf0);
	i8042_write_data(kbc, 0x01);
	next();
	next();
	i8042_key(kbc, f7_up, 2);
	EXPECT(0x41, 0xc1);
}

static void interrupts(void **state)
{
	/* IRQ 1 with a byte in the buffer, low again when read; off by the command byte; nothing while disabled. */
	static const uint8_t a[] = { 0x1e, 0x9e };

	loop_step(loop, 1000000);
	i8042_key(kbc, a, 2);
	assert_true(irq1);
	assert_int_equal(i8042_read_data(kbc), 0x1e);
	assert_false(irq1);
	assert_int_equal(i8042_read_data(kbc), 0x1e); /* again, as old handlers do */
	loop_step(loop, 1000000);
	assert_true(irq1);
	i8042_read_data(kbc);
	cmd1(0x60, 0x44);
	i8042_key(kbc, a, 1);
	loop_step(loop, 1000000);
	assert_false(irq1);
	i8042_read_data(kbc);
	cmd(0xad);
	i8042_key(kbc, a, 1);
	assert_int_equal(next(), -1);
	cmd(0xae);
	assert_int_equal(next(), 0x1e);
}

static void full_queue(void **state)
{
	/* A guest that never reads loses keys, whole ones only. */
	static const uint8_t key[] = { 0xe0, 0x48, 0xe0, 0xc8 };
	int n = 0, byte, last = 0;

	for (int i = 0; i < 10000; i++)
		i8042_key(kbc, key, 4);
	while ((byte = next()) >= 0) {
		assert_int_equal(byte == 0xe0, last != 0xe0);
		last = byte;
		n++;
	}
	assert_true(n > 100 && n % 2 == 0);
}

static void mouse(void **state)
{
	/* Reset, knock for the wheel, packets with sign bits; movement adds up while nobody reads. */
	static const uint8_t knock[] = { 0xf3, 200, 0xf3, 100, 0xf3, 80 };

	cmd1(0x60, 0x47);
	cmd1(0xd4, 0xff);
	EXPECT(0x1fa, 0x1aa, 0x100);
	cmd1(0xd4, 0xf2);
	EXPECT(0x1fa, 0x100);
	cmd1(0xd4, 0xf4);
	EXPECT(0x1fa);
	i8042_mouse(kbc, 5, -3, 0, 1);
	EXPECT(0x129, 0x105, 0x1fd);
	for (unsigned i = 0; i < sizeof(knock); i++) {
		cmd1(0xd4, knock[i]);
		EXPECT(0x1fa);
	}
	cmd1(0xd4, 0xf2);
	EXPECT(0x1fa, 0x103);
	i8042_mouse(kbc, 200, 0, 0, 0);
	assert_true(irq12);
	i8042_mouse(kbc, 200, 0, 1, 0);
	i8042_mouse(kbc, 200, 0, 0, 0);
	EXPECT(0x108, 0x1c8, 0x100, 0x100, 0x108, 0x1ff, 0x100, 0x1ff, 0x108, 145 | 0x100, 0x100, 0x100);
	cmd1(0xd4, 0xe9);
	EXPECT(0x1fa, 0x120, 0x102, 0x150);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(controller), T(a20_and_reset), T(keyboard_commands), T(scan_codes), T(interrupts), T(full_queue), T(mouse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
