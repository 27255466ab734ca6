// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests that the coverage check finds every byte that is named never or twice */
#include "unit.h"

struct inner { uint16_t a; uint8_t b, pad_; };
static const struct st_field inner_type_fields[] = {
	ST(struct inner, a), ST(struct inner, b), ST(struct inner, pad_),
};
static ST_TYPE(inner_type, struct inner, 1, NULL);

struct outer { uint64_t x; struct inner in[2]; bool flag; uint8_t pad_[7]; };
static const struct st_field outer_type_fields[] = {
	ST(struct outer, x), ST_SUBS(struct outer, in, &inner_type), ST(struct outer, flag), ST_ARRAY(struct outer, pad_),
};
static ST_TYPE(outer_type, struct outer, 1, NULL);
static const struct st_field holey_type_fields[] = {
	ST(struct outer, x), ST(struct outer, flag), ST_ARRAY(struct outer, pad_),
};
static ST_TYPE(holey_type, struct outer, 1, NULL);
static const struct st_field twice_type_fields[] = {
	ST(struct outer, x), ST(struct outer, x), ST_SUBS(struct outer, in, &inner_type), ST(struct outer, flag),
	ST_ARRAY(struct outer, pad_),
};
static ST_TYPE(twice_type, struct outer, 1, NULL);

static void coverage(void **state)
{
	/* I1: every byte of a declared struct is in exactly one field. */
	char buf[200];

	assert_null(state_coverage(&outer_type, buf, sizeof(buf)));
	assert_string_equal(state_coverage(&holey_type, buf, sizeof(buf)), "byte 8 of struct outer is in 0 fields");
	assert_string_equal(state_coverage(&twice_type, buf, sizeof(buf)), "byte 0 of struct outer is in 2 fields");
}

static void visit(void *ctx, const char *name, const struct st_type *type, void *st)
{
	strcat(ctx, name);
	assert_ptr_equal(type, &outer_type);
}

static void order(void **state)
{
	/* Blocks are visited in the order in which they were added. */
	struct state_set *set = state_set_new();
	struct outer a = { 0 }, b = { 0 };
	char seen[16] = "";

	state_set_add(set, "one", &outer_type, &a, NULL, NULL);
	state_set_add(set, "two", &outer_type, &b, NULL, NULL);
	state_set_each(set, visit, seen);
	assert_string_equal(seen, "onetwo");
	state_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(coverage), cmocka_unit_test(order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
