// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of state/record.c: what was recorded comes back, by name; what does not fit changes nothing
 */
#include "unit.h"

#include <stdlib.h>

#include "state/record.h"

struct part { uint16_t a; bool on; uint8_t pad_; };
static const struct st_field part_type_fields[] = { ST(struct part, a), ST(struct part, on), ST(struct part, pad_) };
static ST_TYPE(part_type, struct part, 1, NULL);

struct chip { uint64_t x; struct part part[3]; uint8_t bytes[4]; };
static const char *check(const void *state)
{
	return ((const struct chip *)state)->x == 13 ? "x is 13" : NULL;
}
static const struct st_field chip_type_fields[] = {
	ST(struct chip, x), ST_SUBS(struct chip, part, &part_type), ST_ARRAY(struct chip, bytes),
};
static ST_TYPE(chip_type, struct chip, 1, check);

/* A later version: another order, and a field more. */
struct chip2 { uint8_t bytes[4]; uint32_t more; struct part part[3]; uint8_t pad_[4]; uint64_t x; };
static const struct st_field chip2_type_fields[] = {
	ST_ARRAY(struct chip2, bytes), { "more", offsetof(struct chip2, more), 4, 1, ST_U32, 2, NULL },
	ST_SUBS(struct chip2, part, &part_type), { "pad_", offsetof(struct chip2, pad_), 1, 4, ST_U8, 2, NULL },
	ST(struct chip2, x),
};
static ST_TYPE(chip2_type, struct chip2, 2, NULL);

static const struct chip one = {
	0x1122334455667788, { { 7, true, 0 }, { 8, false, 0 }, { 9, true, 0 } }, { 1, 2, 3, 4 }
};

static void note(void *opaque)
{
	++*(unsigned *)opaque;
}

static uint8_t *record_of(const struct chip *c, const char *name, size_t *len)
{
	struct state_set *set = state_set_new();
	struct chip copy = *c;
	uint8_t *rec;

	state_set_add(set, name, &chip_type, &copy, NULL, NULL);
	rec = state_record(set, len);
	state_set_free(set);
	return rec;
}

static void comes_back(void **state)
{
	struct state_set *set = state_set_new();
	struct chip c = { 0 };
	unsigned hooks = 0;
	size_t len;
	uint8_t *rec = record_of(&one, "c", &len);

	state_set_add(set, "c", &chip_type, &c, note, &hooks);
	assert_int_equal(state_restore(set, rec, len, NULL), 0);
	assert_memory_equal(&c, &one, sizeof(c));
	assert_int_equal(hooks, 0); /* not before all else is in its place */
	state_set_loaded(set);
	assert_int_equal(hooks, 1);
	free(rec);
	state_set_free(set);
}

static void by_a_later_ring3(void **state)
{
	/* H: fields are found by name; one that the record is too old for keeps what it has. */
	struct state_set *set = state_set_new();
	struct chip2 c = { .more = 77 };
	size_t len;
	uint8_t *rec = record_of(&one, "c", &len);

	state_set_add(set, "c", &chip2_type, &c, NULL, NULL);
	assert_int_equal(state_restore(set, rec, len, NULL), 0);
	assert_int_equal(c.x, one.x);
	assert_int_equal(c.more, 77);
	assert_memory_equal(c.part, one.part, sizeof(c.part));
	assert_memory_equal(c.bytes, one.bytes, 4);
	free(rec);
	state_set_free(set);
}

static void refuse(const struct chip *recorded, const char *name, const char *why)
{
	struct state_set *set = state_set_new();
	struct chip c = one;
	struct err err;
	size_t len;
	uint8_t *rec = record_of(recorded, name, &len);

	state_set_add(set, "c", &chip_type, &c, NULL, NULL);
	assert_int_equal(state_restore(set, rec, len, &err), -EINVAL);
	assert_non_null(strstr(err.msg, why));
	assert_memory_equal(&c, &one, sizeof(c));
	free(rec);
	state_set_free(set);
}

static void refused(void **state)
{
	struct chip bad = one, odd = one;

	bad.x = 13;
	*(uint8_t *)&odd.part[1].on = 2;
	refuse(&bad, "c", "x is 13");
	refuse(&odd, "c", "damaged");
	refuse(&one, "d", "has 'd', this one has not");
}

static void any_damage(void **state)
{
	/* Each byte changed to each of some values, and each length: no crash, and nothing half done. */
	struct state_set *set = state_set_new();
	struct chip c = one;
	size_t len;
	uint8_t *rec = record_of(&one, "c", &len), *cut;

	state_set_add(set, "c", &chip_type, &c, NULL, NULL);
	for (size_t i = 0; i < len; i++) {
		uint8_t was = rec[i];

		for (unsigned k = 0; k < 4; k++) {
			rec[i] = (uint8_t[]){ 0, 1, 0x80, 0xff }[k];
			if (state_restore(set, rec, len, NULL))
				assert_memory_equal(&c, &one, sizeof(c));
			c = one;
		}
		rec[i] = was;
	}
	for (size_t n = 0; n < len; n++) {
		cut = malloc(n + 1); /* of its own, so that a sanitizer sees what is read beyond */
		memcpy(cut, rec, n);
		assert_int_equal(state_restore(set, cut, n, NULL), -EINVAL);
		free(cut);
	}
	free(rec);
	state_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back), cmocka_unit_test(by_a_later_ring3), cmocka_unit_test(refused),
		cmocka_unit_test(any_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
