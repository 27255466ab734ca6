// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the HPET by its registers (IA-PC HPET Specification 1.0a chapter 2) */
#include "unit.h"

#include <stdatomic.h>
#include <unistd.h>

#include "dev/sys/hpet.h"

static struct loop *loop;
static struct hpet *hpet;
static int edges[34];
static bool level[34], legacy;

static void on_irq(void *opaque, int n, bool up)
{
	edges[n] += up;
	level[n] = up;
}

static void on_legacy(void *opaque, int n, bool up)
{
	legacy = up;
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct hpet_config cfg = {.set = set, .route_cap = 0x00f00004, .legacy_on = {on_legacy, NULL, 0}};

	memset(edges, 0, sizeof(edges));
	memset(level, 0, sizeof(level));
	legacy = false;
	loop = cfg.loop = loop_new_stepped();
	for (int i = 0; i < 32; i++)
		cfg.irq[i] = (struct wire){on_irq, NULL, i};
	for (int i = 0; i < 2; i++)
		cfg.legacy[i] = (struct wire){on_irq, NULL, 32 + i};
	hpet = hpet_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	return 0;
}

static int teardown(void **state)
{
	hpet_free(hpet);
	loop_free(loop);
	return 0;
}

static uint64_t rd(unsigned off)
{
	return hpet_mmio_read(hpet, off, 8);
}

static void wr(unsigned off, uint64_t val)
{
	hpet_mmio_write(hpet, off, val, 8);
}

static void wr32(unsigned off, uint32_t val)
{
	hpet_mmio_write(hpet, off, val, 4);
}

/* 2.3.4: 3 timers, 64-bit counter, legacy capable, 10 ns period in fs; halves read alone. */
static void test_caps(void **state)
{
	assert_int_equal(rd(0), 0x009896808086a201);
	assert_int_equal(hpet_mmio_read(hpet, 4, 4) & 0xffffffff, 10000000);
	assert_int_equal(rd(0x100), 0x00f0000400000030);
	assert_int_equal(rd(0x108), UINT64_MAX);
	assert_int_equal(rd(0x160), 0);
}

/* 2.3.7: the counter runs only while enabled, and can be written when halted. */
static void test_counter(void **state)
{
	loop_step(loop, 1000);
	assert_int_equal(rd(0xf0), 0);
	wr32(0x10, 1);
	loop_step(loop, 1000);
	assert_int_equal(rd(0xf0), 100);
	wr32(0x10, 0);
	loop_step(loop, 1000);
	assert_int_equal(rd(0xf0), 100);
	wr32(0xf4, 1);
	assert_int_equal(rd(0xf0), 0x100000064);
	wr32(0x10, 1);
	loop_step(loop, 10);
	assert_int_equal(rd(0xf0), 0x100000065);
}

/* One-shot, edge: one pulse on the routed input at the match; nothing while the interrupt is disabled. */
static void test_oneshot(void **state)
{
	wr(0x10, 1);
	wr(0x100, 2 << 9 | 4);
	wr(0x108, 1000);
	loop_step(loop, 9999);
	assert_int_equal(edges[2], 0);
	loop_step(loop, 1);
	assert_int_equal(edges[2], 1);
	assert_false(level[2]);
	assert_int_equal(rd(0x20), 0);
	loop_step(loop, 1000000);
	assert_int_equal(edges[2], 1);
	wr(0x108, rd(0xf0) - 5); /* has just passed */
	loop_step(loop, 0);
	assert_int_equal(edges[2], 2);
	wr(0x100, 2 << 9);
	wr(0x108, rd(0xf0) + 100);
	loop_step(loop, 10000);
	assert_int_equal(edges[2], 2);
}

/* 2.3.8: a comparator of all ones is in the far future, not in the past. */
static void test_never(void **state)
{
	wr(0x10, 1);
	loop_step(loop, 1000);
	wr(0x100, 2 << 9 | 4);
	wr(0x108, UINT64_MAX);
	loop_step(loop, 1000000);
	assert_int_equal(edges[2], 0);
}

/* The sequence Linux uses: 32-bit periodic with VAL_SET, first the comparator, then the period. */
static void test_periodic(void **state)
{
	wr32(0x10, 1);
	loop_step(loop, 50000);
	wr32(0x100, 2 << 9 | 0x100 | 0x40 | 0x8 | 0x4);
	wr32(0x108, (uint32_t)rd(0xf0) + 100000);
	assert_int_equal(rd(0x100) & 0x40, 0);
	wr32(0x108, 100000);
	for (int i = 1; i <= 5; i++) {
		loop_step(loop, 999999);
		assert_int_equal(edges[2], i - 1);
		loop_step(loop, 1);
		assert_int_equal(edges[2], i);
	}
	assert_int_equal(rd(0x108), 5000 + 600000);
}

/* A period of one tick must not keep the I/O thread busy, nor one of zero. */
static void test_flood(void **state)
{
	wr(0x10, 1);
	wr(0x100, 2 << 9 | 0x40 | 0x8 | 0x4);
	wr(0x108, 1);
	loop_step(loop, 1000000000);
	assert_in_range(edges[2], 1, 50001);
	wr(0x100, 2 << 9 | 0x40 | 0x8 | 0x4);
	wr(0x108, 0);
	edges[2] = 0;
	loop_step(loop, 1000000);
	assert_int_equal(edges[2], 0);
}

/* Level: the status bit and the line stay until 1 is written to it. */
static void test_level(void **state)
{
	wr(0x10, 1);
	wr(0x120, 20 << 9 | 4 | 2);
	wr(0x128, 100);
	loop_step(loop, 1000);
	assert_true(level[20]);
	assert_int_equal(rd(0x20), 2);
	wr(0x20, 1);
	assert_true(level[20]);
	wr(0x20, 2);
	assert_false(level[20]);
	assert_int_equal(rd(0x20), 0);
}

/* 2.3.5: legacy replacement takes timers 0 and 1 to IRQ0 and IRQ8 and cuts the PIT and RTC off. */
static void test_legacy(void **state)
{
	wr(0x10, 3);
	assert_true(legacy);
	wr(0x100, 4);
	wr(0x108, 100);
	wr(0x120, 4);
	wr(0x128, 200);
	loop_step(loop, 2000);
	assert_int_equal(edges[32], 1);
	assert_int_equal(edges[33], 1);
	/* An 8259 takes an edge only if the line stays up; its timer lowers it when it stops, or leaves the line. */
	assert_true(level[32] && level[33]);
	wr(0x100, 0);
	assert_false(level[32]);
	wr(0x10, 1);
	assert_false(legacy);
	assert_false(level[33]);
	wr(0x10, 3);
	hpet_reset(hpet);
	assert_false(legacy);
}

/* A route the timer has not got interrupts nobody. */
static void test_bad_route(void **state)
{
	wr(0x10, 1);
	wr(0x100, 31 << 9 | 4);
	wr(0x108, 100);
	loop_step(loop, 2000);
	for (int i = 0; i < 34; i++)
		assert_int_equal(edges[i], 0);
}

static atomic_int ticks;

static void on_tick(void *opaque, int n, bool up)
{
	if (up && atomic_fetch_add(&ticks, 1) == 0)
		usleep(5000);
}

/* A host that runs others for longer than a period, just while a tick is raised, costs ticks but does not stop them. */
static void test_stolen_time(void **state)
{
	struct hpet_config cfg = {.legacy = {{on_tick, NULL, 0}, {on_irq, NULL, 1}}, .legacy_on = {on_legacy, NULL, 0}};
	struct loop *real = cfg.loop = loop_new(NULL);
	struct hpet *h = hpet_new(&cfg);

	assert_int_equal(loop_start(real, NULL), 0);
	loop_lock(real);
	hpet_mmio_write(h, 0x100, 0x14c, 4); /* 32 bits, periodic, comparator too, interrupt */
	hpet_mmio_write(h, 0x108, 100000, 4);
	hpet_mmio_write(h, 0x10, 3, 4);
	loop_unlock(real);
	for (int ms = 0; ms < 20000 && atomic_load(&ticks) < 10; ms++)
		usleep(1000);
	assert_true(atomic_load(&ticks) >= 10);
	loop_stop(real);
	hpet_free(h);
	loop_free(real);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_caps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oneshot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never, setup, teardown),
		cmocka_unit_test_setup_teardown(test_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_legacy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_route, setup, teardown),
		cmocka_unit_test(test_stolen_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
