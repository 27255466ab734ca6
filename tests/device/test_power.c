// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: ACPI timer, events, sleep; every way to reset; A20, shadow RAM, what CMOS and fw_cfg tell
 */
#include "board.h"

#define PM 0x600u
#define PIIX4_PM 0x71138086u
#define I440FX 0

static void start_pm(struct board *b)
{
	unsigned pm = board_find(b, PIIX4_PM);

	board_cfg_set(b, pm, 0x40, PM | 1, 4);
	board_cfg_set(b, pm, 0x80, 1, 1);
	board_cfg_set(b, pm, 4, 1, 2);
}

/* ACPI 4.0, 4.7.3.3: 3.579545 MHz, the same time as the PIT's and the APIC timer's. */
static void pm_timer(void **state)
{
	struct board *b = *state;
	uint32_t t0, pit0, pit1;

	start_pm(b);
	board_out(b, 0x43, 0x34, 1);
	board_out(b, 0x40, 0, 1), board_out(b, 0x40, 0, 1);
	t0 = board_in(b, PM + 8, 4);
	board_out(b, 0x43, 0, 1);
	pit0 = board_in(b, 0x40, 1), pit0 |= board_in(b, 0x40, 1) << 8;
	board_step(b, 40 * MS);
	board_out(b, 0x43, 0, 1);
	pit1 = board_in(b, 0x40, 1), pit1 |= board_in(b, 0x40, 1) << 8;
	assert_in_range(board_in(b, PM + 8, 4) - t0, 143181, 143183);
	assert_in_range((pit0 - pit1) & 0xffff, 47726, 47728);
}

/* 82371AB: SCI on line 9, level; SCI_EN by the SMI command port; the timer's carry sets TMR_STS. */
static void sci(void **state)
{
	struct board *b = *state;

	start_pm(b);
	board_start_pics(b);
	board_out(b, 0x4d1, 2, 1);
	board_unmask(b, 0x200);
	assert_int_equal(board_in(b, PM + 4, 2) & 1, 0);
	board_out(b, 0xb2, 0xf1, 1);
	assert_int_equal(board_in(b, PM + 4, 2) & 1, 1);
	board_out(b, PM + 2, 1, 2);
	board_step(b, 2400 * MS);
	assert_int_equal(board_ack(b), 0x29);
	board_eoi(b, 0x29);
	assert_true(board_intr(b));
	board_out(b, PM, 1, 2);
	assert_false(board_intr(b));
	board_ioapic(b, 9, 0x8059);
	board_out(b, 0xa1, 0xff, 1);
	board_step(b, 2400 * MS);
	assert_int_equal(board_ack(b), 0x59);
	board_out(b, PM, 1, 2);
	board_write(b, LAPIC + 0xb0, 0, 4);
	assert_false(board_intr(b));
	board_out(b, 0xb2, 0xf0, 1);
	assert_int_equal(board_in(b, PM + 4, 2) & 1, 0);
}

/* S5 powers off; sleep types that are not offered do nothing; without SLP_EN nothing either. */
static void soft_off(void **state)
{
	struct board *b = *state;

	start_pm(b);
	board_out(b, PM + 4, 0x0000, 2);
	assert_int_equal(b->pc->end, PC_RUNNING);
	board_out(b, PM + 4, 0x3c00, 2);
	board_step(b, MS);
	assert_int_equal(b->pc->end, PC_RUNNING);
	board_out(b, PM + 4, 0x2000, 2);
	board_step(b, MS);
	assert_int_equal(b->pc->end, PC_POWEROFF);
}

static void cmos_set(struct board *b, unsigned reg, unsigned val)
{
	board_out(b, 0x70, reg, 1);
	board_out(b, 0x71, val, 1);
}

/* ACPI 4.8.3: S3 by SLP_TYP 1; what wakes is the clock's alarm and the power button, each if enabled. RAM, the clock,
 * the power management and the shadowing of ROM have power all the time, other chips start anew. */
static void sleep_and_wake(void **state)
{
	struct board *b = *state;
	struct pc *pc = b->pc;

	start_pm(b);
	board_cfg_set(b, I440FX, 0x59, 0x30, 1);
	board_write(b, 0xf0000, 0x77, 1);
	board_out(b, 0x3fb, 0x1b, 1);
	cmos_set(b, 0x70, 0x5a);
	board_out(b, PM, 0xffff, 2);
	board_out(b, PM + 2, 0x400, 2);
	board_out(b, PM + 4, 0x2400, 2);
	assert_true(pc->sleep_wanted);
	pc->sleep_wanted = false, pc->asleep = true; /* life.c, when the CPU has stopped */
	loop_lock(pc->loop);
	piix4_pm_power_button(pc->pm);
	loop_unlock(pc->loop);
	assert_false(pc->wake_wanted);
	cmos_set(b, 1, 0xff), cmos_set(b, 3, 0xff), cmos_set(b, 5, 0xff); /* every second */
	cmos_set(b, 0x0b, 0x22);
	board_step(b, 1100 * MS);
	assert_true(pc->wake_wanted);
	loop_lock(pc->loop);
	pc_wake_chips(pc);
	loop_unlock(pc->loop);
	assert_int_equal(board_in(b, PM, 2) & 0x8500, 0x8500);
	assert_int_equal(board_in(b, PM + 2, 2), 0x400);
	assert_int_equal(board_read(b, 0xf0000, 1), 0x77);
	assert_int_equal(board_in(b, 0x3fb, 1), 0);
	assert_int_equal(rtc_cmos(pc->rtc, 0x70), 0x5a);
	assert_int_equal(board_cfg(b, I440FX, 4, 2) & 6, 6);
}

/* 440FX TRC, port 92H, keyboard controller: each asks for a reset, at its own bit's rising edge only. */
static void resets(void **state)
{
	struct board *b = *state;
	struct pc *pc = b->pc;

	board_out(b, 0xcf9, 2, 1);
	assert_false(pc->reset_wanted);
	board_out(b, 0xcf9, 6, 1);
	assert_true(pc->reset_wanted);
	pc->reset_wanted = false;
	board_out(b, 0x92, 2, 1);
	assert_false(pc->reset_wanted);
	board_out(b, 0x92, 3, 1);
	assert_true(pc->reset_wanted);
	pc->reset_wanted = false;
	board_out(b, 0x64, 0xfe, 1);
	board_step(b, MS);
	assert_true(pc->reset_wanted);
	assert_false(pc->reset_is_triple);
}

static void kbc(struct board *b, unsigned command, int data)
{
	for (unsigned k = 0; k < 100 && board_in(b, 0x64, 1) & 2; k++)
		board_step(b, 100 * US);
	board_out(b, 0x64, command, 1);
	for (unsigned k = 0; k < 100 && board_in(b, 0x64, 1) & 2; k++)
		board_step(b, 100 * US);
	if (data >= 0)
		board_out(b, 0x60, (unsigned)data, 1);
	board_step(b, MS);
}

/* IBM PC/AT, shutdown byte: with 0AH in it (05H too) only the CPU is reset, and no chip is; CF9H knows both kinds. */
static void warm_resets(void **state)
{
	struct board *b = *state;
	uint32_t *request = &vcpu_cpu(b->pc->cpu[0].vcpu)->request;
	static const struct { uint16_t port; uint8_t val; } ways[] = { { 0x64, 0xfe }, { 0x92, 3 }, { 0xcf9, 4 } };

	for (unsigned k = 0; k < 2 * ARRAY_LEN(ways); k++) {
		board_out(b, 0x70, 0x0f, 1);
		board_out(b, 0x71, k & 1 ? 0x05 : 0x0a, 1);
		*request = 0;
		board_out(b, ways[k / 2].port, ways[k / 2].val, 1);
		board_step(b, MS);
		assert_false(b->pc->reset_wanted);
		assert_int_equal(*request, REQ_INIT);
		board_out(b, 0x92, 2, 1), board_out(b, 0xcf9, 0, 1);
	}
	board_out(b, 0xcf9, 6, 1);
	assert_true(b->pc->reset_wanted);
}

/* A reset puts every chip back: what a test left behind is gone, RAM stays (it is not switched off). */
static void reset_state(void **state)
{
	struct board *b = *state;
	uint32_t bar;

	start_pm(b);
	board_start_pics(b);
	bar = board_cfg(b, board_find(b, PIIX4_PM), 0x40, 4);
	assert_int_equal(bar, PM | 1);
	board_write(b, 0x5000, 0x600d, 4);
	kbc(b, 0xdd, -1);
	board_out(b, 0x92, 0, 1);
	assert_false(mem_a20(b->pc->mem));
	board_unmask(b, 0x10);
	board_out(b, 0x3f9, 2, 1); /* a serial port's transmitter is empty */
	assert_true(board_intr(b));
	loop_lock(b->pc->loop);
	pc_reset_chips(b->pc);
	loop_unlock(b->pc->loop);
	assert_int_not_equal(board_cfg(b, board_find(b, PIIX4_PM), 0x80, 1) & 1, 1);
	assert_int_equal(board_read(b, LAPIC + 0x350, 4), 0x10000);
	assert_int_equal(board_read(b, 0x5000, 4), 0x600d);
	assert_true(mem_a20(b->pc->mem));
	assert_false(board_intr(b));
}

/* A20: two gates, either opens it. */
static void a20(void **state)
{
	struct board *b = *state;

	assert_true(mem_a20(b->pc->mem));
	kbc(b, 0xd1, 0xdd);
	board_out(b, 0x92, 0, 1);
	assert_false(mem_a20(b->pc->mem));
	board_out(b, 0x92, 2, 1);
	assert_true(mem_a20(b->pc->mem));
	board_out(b, 0x92, 0, 1);
	assert_false(mem_a20(b->pc->mem));
	kbc(b, 0xdf, -1);
	assert_true(mem_a20(b->pc->mem));
	kbc(b, 0xdd, -1);
	assert_false(mem_a20(b->pc->mem));
	kbc(b, 0xd1, 0xdf);
	assert_true(mem_a20(b->pc->mem));
}

/* 440FX PAM: reads and writes of 0C0000H to 0FFFFFH go to RAM or to the bus, each on its own, 16 KiB at a time. */
static void shadowing(void **state)
{
	struct board *b = *state;

	for (unsigned n = 1; n < 13; n++) { /* PAM1 low nibble is C0000; two blocks a register */
		uint64_t at = 0xc0000 + (n - 1) * 0x4000ull;
		unsigned reg = 0x5a + (n - 1) / 2, shift = (n - 1) & 1 ? 4 : 0;

		board_cfg_set(b, I440FX, reg, 3u << shift, 1);
		board_write(b, at + 0x123, 0xa0 + n, 1);
		assert_int_equal(board_read(b, at + 0x123, 1), 0xa0 + n);
		board_cfg_set(b, I440FX, reg, 1u << shift, 1); /* read-only */
		board_write(b, at + 0x123, 0, 1);
		assert_int_equal(board_read(b, at + 0x123, 1), 0xa0 + n);
		board_cfg_set(b, I440FX, reg, 2u << shift, 1); /* writes to RAM, reads from the bus */
		board_write(b, at + 0x123, 0xb0 + n, 1);
		assert_int_not_equal(board_read(b, at + 0x123, 1), 0xb0 + n);
		board_cfg_set(b, I440FX, reg, 1u << shift, 1);
		assert_int_equal(board_read(b, at + 0x123, 1), 0xb0 + n);
		board_cfg_set(b, I440FX, reg, 0, 1);
	}
	assert_int_equal(board_read(b, 0xf0000, 1), 1); /* the firmware's own bytes, by way of the last 64 KiB */
	assert_int_equal(board_read(b, 0xffff0000, 1), 1);
	board_cfg_set(b, I440FX, 0x59, 0x30, 1);
	board_write(b, 0xf0000, 0x99, 1);
	assert_int_equal(board_read(b, 0xf0000, 1), 0x99);
	assert_int_equal(board_read(b, 0xffff0000, 1), 1);
}

static unsigned cmos(struct board *b, unsigned reg)
{
	board_out(b, 0x70, reg, 1);
	return board_in(b, 0x71, 1);
}

/* RAM size: CMOS (base, above 1 MiB, above 16 MiB) and fw_cfg say the same. */
static void memory_size(void **state)
{
	struct board *b = *state;
	uint64_t size = 0;

	assert_int_equal(cmos(b, 0x15) | cmos(b, 0x16) << 8, 640);
	assert_int_equal(cmos(b, 0x17) | cmos(b, 0x18) << 8, 15 * 1024);
	assert_int_equal(cmos(b, 0x34) | cmos(b, 0x35) << 8, 0);
	board_out(b, 0x510, 3, 2);
	for (unsigned k = 0; k < 8; k++)
		size |= (uint64_t)board_in(b, 0x511, 1) << 8 * k;
	assert_int_equal(size, MIB(16));
	board_out(b, 0x510, 0, 2);
	assert_int_equal(board_in(b, 0x511, 1), 'Q');
	assert_int_equal(board_in(b, 0x511, 1), 'E');
	board_write(b, MIB(16) - 4, 0x12345678, 4);
	assert_int_equal(board_read(b, MIB(16) - 4, 4), 0x12345678);
	assert_int_equal(board_read(b, MIB(16), 4), 0xffffffff);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pm_timer), T(sci), T(soft_off), T(sleep_and_wake), T(resets), T(warm_resets),
		T(reset_state), T(a20), T(shadowing), T(memory_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
