// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of ACPI power management: timer, SCI, sleep, SMI command port */
#include "small_pc.h"

#include "dev/pci/piix4_pm.h"

#define PM 0x600

static struct small_pc *pc;
static struct piix4_pm *pm;
static unsigned poweroffs, suspends;
static bool awake;

static void poweroff(void *opaque, int n, bool level)
{
	poweroffs += level;
}

static void suspend(void *opaque, int n, bool level)
{
	suspends += level;
}

static void wake(void *opaque, int n, bool level)
{
	awake = level;
}

static int setup(void **state)
{
	struct piix4_pm_config cfg = {0};

	pc = small_pc_new();
	poweroffs = suspends = 0;
	cfg.loop = pc->loop;
	cfg.mem = pc->mem;
	cfg.bus = pc->bus;
	cfg.states = pc->states;
	cfg.sci = piix3_irq_input(pc->piix3, 9);
	cfg.poweroff.set = poweroff;
	cfg.suspend.set = suspend;
	cfg.wake.set = wake;
	pm = piix4_pm_new(&cfg);
	cfg_write(pc, 0xb, 0x40, PM | 1, 4);
	cfg_write(pc, 0xb, 0x80, 1, 1);
	return 0;
}

static int teardown(void **state)
{
	piix4_pm_free(pm);
	small_pc_free(pc);
	return 0;
}

static void mapping(void **state)
{
	/* The PM block is where PMBA says while PMIOSE is set. */
	assert_int_equal(cfg_read(pc, 0xb, 0, 4), 0x71138086);
	assert_int_equal(in(pc, PM + 4, 2), 0);
	cfg_write(pc, 0xb, 0x80, 0, 1);
	assert_int_equal(in(pc, PM + 4, 2), 0xffff);
	piix4_pm_reset(pm);
	piix4_pm_map(pm);
	assert_int_equal(in(pc, PM + 4, 2), 0);
	assert_true(cfg_read(pc, 0xb, 0x5b, 1) & 2); /* APMC_EN: SeaBIOS installs no handler */
}

static void timer_rate(void **state)
{
	/* 3579545 ticks a second, 24 bits. */
	uint32_t t0 = in(pc, PM + 8, 4);

	loop_step(pc->loop, 1000000000);
	assert_int_equal(in(pc, PM + 8, 4) - t0, 3579545);
	loop_step(pc->loop, 4000000000);
	assert_int_equal(in(pc, PM + 8, 4), (5ull * 3579545) & 0xffffff);
}

static void timer_overflow(void **state)
{
	/* TMR_STS sets when bit 23 changes (2^23 ticks, 2.34 s), interrupts if enabled, and can be acknowledged. */
	out(pc, 0xb2, 0xf1, 1);
	out(pc, PM + 2, 1, 2);
	loop_step(pc->loop, 2343000000);
	assert_false(in(pc, PM, 2) & 1);
	assert_false(pc->line[9]);
	loop_step(pc->loop, 1000000);
	assert_true(in(pc, PM, 2) & 1);
	assert_true(pc->line[9]);
	out(pc, PM, 1, 2);
	assert_false(in(pc, PM, 2) & 1);
	assert_false(pc->line[9]);
	loop_step(pc->loop, 2344000000);
	assert_true(pc->line[9]);
}

static void acpi_switch(void **state)
{
	/* The SMI command port sets and clears SCI_EN by itself: there is no SMM. */
	assert_int_equal(in(pc, PM + 4, 2) & 1, 0);
	out(pc, 0xb2, 0xf1, 1);
	assert_int_equal(in(pc, PM + 4, 2) & 1, 1);
	out(pc, 0xb2, 0xf0, 1);
	assert_int_equal(in(pc, PM + 4, 2) & 1, 0);
	out(pc, 0xb3, 0x5a, 1);
	assert_int_equal(in(pc, 0xb3, 1), 0x5a);
}

static void power_button(void **state)
{
	/* The button's status interrupts only when enabled and in ACPI mode. */
	piix4_pm_power_button(pm);
	assert_false(pc->line[9]);
	out(pc, PM, 0x01000000, 4); /* a dword: status, then enable */
	assert_true(in(pc, PM, 2) & 0x100);
	assert_false(pc->line[9]);
	out(pc, 0xb2, 0xf1, 1);
	assert_true(pc->line[9]);
	out(pc, PM, 0x100, 2);
	assert_false(pc->line[9]);
}

static void power_off(void **state)
{
	/* S5 is SLP_TYP 0 with SLP_EN; other types do nothing; SLP_EN alone is write-only. */
	out(pc, PM + 4, 0x3c01, 2);
	assert_int_equal(poweroffs, 0);
	out(pc, PM + 4, 0x2001, 2);
	assert_int_equal(poweroffs, 1);
	assert_int_equal(in(pc, PM + 4, 2), 1);
}

static void suspend_and_wake(void **state)
{
	/* S3 is SLP_TYP 1. RTC alarm and power button wake if enabled, at a rise of the alarm's line; waking shows in bit
	 * 15, WAK_STS (ACPI 4.8.3.1.1), and what was enabled stays so. */
	out(pc, PM + 2, 0x400, 2);
	out(pc, PM + 4, 0x2400, 2);
	assert_int_equal(suspends, 1);
	assert_int_equal(poweroffs, 0);
	piix4_pm_power_button(pm);
	assert_false(piix4_pm_wakes(pm));
	assert_false(awake);
	piix4_pm_set_rtc(pm, 0, true);
	assert_true(piix4_pm_wakes(pm));
	assert_true(awake);
	piix4_pm_woken(pm);
	assert_int_equal(in(pc, PM, 4), 0x04008500);
	out(pc, PM, 0x8500, 2);
	piix4_pm_set_rtc(pm, 0, true); /* still high: no new event */
	assert_int_equal(in(pc, PM, 2), 0);
	assert_false(awake);
}

static void gpe_block(void **state)
{
	/* GPE0: two bytes of status, written 1 to clear, two of enable. */
	assert_int_equal(in(pc, 0xafe0, 4), 0);
	out(pc, 0xafe2, 0x0102, 2);
	assert_int_equal(in(pc, 0xafe0, 4), 0x01020000);
	out(pc, 0xafe0, 0xffff, 2);
	assert_int_equal(in(pc, 0xafe0, 2), 0);
}

static void coverage(void **state)
{
	/* Every byte of the chip's state is declared. */
	check_all_coverage(pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(mapping), T(timer_rate), T(timer_overflow), T(acpi_switch), T(power_button), T(power_off),
		T(suspend_and_wake), T(gpe_block),
		T(coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
