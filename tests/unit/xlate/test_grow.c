// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the code cache grows if what was thrown away is translated again, not if other code is (xlate/grow.c) */
#include <stdlib.h>

#include "unit.h"
#include "xlate/xlate_int.h"

#define BLOCKS 100000u

static struct xlate *x;

static int fresh(void **state)
{
	(void)state;
	x = calloc(1, sizeof(*x));
	x->c = calloc(1, sizeof(*x->c));
	x->c->code_size = CODE_SIZE_FIRST;
	return !x;
}

static int done(void **state)
{
	(void)state;
	free(x->c);
	free(x);
	return 0;
}

/* Translate so many blocks until the cache is full, from this address on. */
static uint32_t fill(unsigned blocks, uint64_t rip, uint32_t key)
{
	x->c->keys[0] = key;
	for (unsigned k = 0; k < blocks; k++) {
		struct block b = { .rip = rip + k * 20ull, .ram = { rip + k * 20ull, UINT64_MAX } };

		xlate_grow_note(x, &b);
	}
	xlate_grow_full(x);
	return x->c->code_size / CODE_SIZE_FIRST;
}

static void test_other_code(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 10; k++)
		assert_int_equal(fill(BLOCKS, 0x10000000ull * k, 0), 1);
}

static void test_other_keys(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 10; k++)
		assert_int_equal(fill(BLOCKS, 0x400000, k), 1);
}

static void test_the_same_again(void **state)
{
	(void)state;
	assert_int_equal(fill(BLOCKS, 0x400000, 0), 1);
	assert_int_equal(fill(BLOCKS, 0x400000, 0), 2);
	assert_int_equal(fill(BLOCKS, 0x7000000, 0), 2);
	assert_int_equal(fill(BLOCKS, 0x400000, 0), 2);
	for (unsigned k = 0; k < 5; k++)
		fill(BLOCKS, 0x400000, 0);
	assert_int_equal(x->c->code_size, CODE_SIZE);
	assert_true(xlate_grow_tables(x) == TABLES_SIZE_FIRST * (size_t)(CODE_SIZE / CODE_SIZE_FIRST));
}

static void test_a_sixth_again(void **state)
{
	(void)state;
	fill(BLOCKS, 0x400000, 0);
	for (unsigned k = 1; k < 5; k++)
		assert_int_equal(fill(BLOCKS, 0x400000 + k * (BLOCKS * 5 / 6) * 20ull, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_other_code, fresh, done),
		cmocka_unit_test_setup_teardown(test_other_keys, fresh, done),
		cmocka_unit_test_setup_teardown(test_the_same_again, fresh, done),
		cmocka_unit_test_setup_teardown(test_a_sixth_again, fresh, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
