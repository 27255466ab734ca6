// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of windows: where biased addresses may lead, what is mapped there, what makes it go away */
#include <stdio.h>
#include <sys/mman.h>

#include "mmu_unit.h"

#define SLOT_SIZE (1ull << 39)

static int begin(void **state)
{
	setup(state);
	mode_long();
	user(true);
	mmu_window_init(cpu, WINDOW_ALWAYS);
	return 0;
}

static int end(void **state)
{
	mmu_window_fini(cpu);
	return teardown(state);
}

/* What translated code does. */
static uint64_t biased(gla_t gla)
{
	return gla + cpu->bias[gla >> 39 & 255];
}

static bool in_windows(uint64_t at)
{
	const struct cpu_window *w = &cpu->window[cpu->ctx];

	for (unsigned k = 0; k < w->n; k++)
		if (at - (uint64_t)w->host[k] < SLOT_SIZE)
			return true;
	return at - (uint64_t)cpu->window_none < SLOT_SIZE;
}

/* An access by translated code at gla: what the handler says in the end. */
static enum mmu_window_fault touch(gla_t gla, bool write)
{
	uint64_t at = biased(gla);
	enum mmu_window_fault how = WINDOW_FILLED;

	if (!cpu_canonical(at))
		how = mmu_window_fault(cpu, false, 0, write, &at);
	return how == WINDOW_FILLED ? mmu_window_fault(cpu, true, at, write, &at) : how;
}

static void check_biases(void)
{
	for (unsigned slot = 0; slot < 256; slot++) {
		for (uint64_t high = 0; high < 1u << 17; high++) {
			uint64_t first = biased(high << 47 | (uint64_t)slot << 39), last = first + SLOT_SIZE - 1;

			if (first >> 47 == 0 || last >> 47 == 0)
				assert_true(in_windows(first) && in_windows(last));
		}
	}
}

/* I1: the bias of a slot without a window once was 2^62 alone, so that 0xc000000000000000 + x reached host address x. */
static void stays_in_windows(void **state)
{
	check_biases();
	map(1, 0x100000 | P | W | U | A | D);
	assert_int_equal(touch(0x1000, false), WINDOW_FILLED);
	assert_int_equal(cpu->window[cpu->ctx].n, 1);
	check_biases();
}

/* Every address that is no user's, and every pointer that no bias makes, is the guest's own affair. */
static void not_canonical(void **state)
{
	static const uint64_t at[] = { 0, 1ull << 47, 1ull << 62, 3ull << 62, ~0ull, 1ull << 63, 0xffff800000000000 };

	for (unsigned k = 0; k < ARRAY_LEN(at); k++) {
		uint64_t pointer = at[k];

		assert_int_equal(mmu_window_fault(cpu, false, 0, true, &pointer), WINDOW_GUEST);
		assert_int_equal(pointer, at[k]);
	}
	assert_int_equal(cpu->window[cpu->ctx].n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(stays_in_windows), T(not_canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
