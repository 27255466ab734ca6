// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of net/reassemble.c: fragments in any order, overlaps and lies refused, memory bounded and given back
 */
#include "frames.h"

#include "net/net_int.h"

#define S 1000000000ull

static struct net_fragments *fr;
static uint8_t frame[2000];
static uint32_t whole_len;

static int setup(void **state)
{
	fr = net_fragments_new();
	return 0;
}

static int teardown(void **state)
{
	net_fragments_free(fr);
	return 0;
}

/* n bytes at `at` of datagram id; byte i of it is i * 3. */
static uint8_t *add(uint16_t id, uint32_t at, uint32_t n, bool more, uint64_t now)
{
	memset(frame, 0, 34);
	put_be16(frame + 12, 0x0800);
	frame[14] = 0x45;
	put_be16(frame + 16, (uint16_t)(20 + n));
	put_be16(frame + 18, id);
	put_be16(frame + 20, (uint16_t)(at / 8 | (more ? 0x2000 : 0)));
	frame[23] = 17;
	put_be32(frame + 26, 0x0a00020f);
	put_be16(frame + 24, (uint16_t)~slow_sum(frame + 14, 20, 0));
	for (uint32_t i = 0; i < n; i++)
		frame[34 + i] = (uint8_t)((at + i) * 3);
	assert_int_equal(net_is_fragment(frame, 34 + n), at || more);
	return net_fragments_add(fr, frame, 34 + n, now, &whole_len);
}

static void must_be(const uint8_t *whole, uint32_t n)
{
	assert_non_null(whole);
	assert_int_equal(whole_len, 34 + n);
	assert_int_equal(get_be16(whole + 16), 20 + n);
	assert_int_equal(get_be16(whole + 20), 0);
	assert_int_equal(slow_sum(whole + 14, 20, 0), 0xffff);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(whole[34 + i], (uint8_t)(i * 3));
	net_fragments_done(fr, whole);
}

static void orders(void **state)
{
	static const uint8_t order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

	for (unsigned k = 0; k < 6; k++)
		for (unsigned i = 0; i < 3; i++) {
			uint32_t part = order[k][i];
			uint8_t *whole = add(7, part * 1400, part == 2 ? 133 : 1400, part != 2, S);

			if (i < 2)
				assert_null(whole);
			else
				must_be(whole, 2933);
		}
}

static void longest(void **state)
{
	for (uint32_t at = 0; at < 65000; at += 1000)
		assert_null(add(1, at, 1000, true, S));
	must_be(add(1, 65000, 515, false, S), 65515);
	assert_null(add(1, 65512, 8, false, S)); /* beyond what IP has */
}

static void lies(void **state)
{
	assert_null(add(1, 0, 800, true, S));
	assert_null(add(1, 792, 800, true, S)); /* overlaps: all of it goes */
	assert_null(add(1, 800, 8, false, S));
	assert_null(add(2, 0, 801, true, S));   /* not whole units */
	assert_null(add(2, 800, 8, false, S));
	assert_null(add(9, 0, 800, true, S));   /* a good one among them */
	assert_null(add(3, 800, 8, false, S));
	assert_null(add(3, 1600, 8, true, S));  /* beyond the end */
	assert_null(add(3, 0, 800, true, S));
	must_be(add(9, 800, 8, false, S), 808);
	add(4, 0, 800, true, S);
	frame[24] ^= 1;                         /* a wrong sum */
	assert_null(net_fragments_add(fr, frame, 834, S, &whole_len));
	frame[24] ^= 1;
	assert_null(net_fragments_add(fr, frame, 833, S, &whole_len)); /* shorter than it says */
	frame[14] = 0x4f;
	assert_null(net_fragments_add(fr, frame, 60, S, &whole_len));
}

static void bounds(void **state)
{
	/* I1: the ninth pushes the first out; half a minute is enough for any. */
	for (uint16_t id = 0; id < 9; id++)
		assert_null(add(id, 0, 800, true, S + id));
	assert_null(add(0, 800, 8, false, 2 * S));
	must_be(add(8, 800, 8, false, 2 * S), 808);
	must_be(add(5, 800, 8, false, 30 * S), 808);
	assert_null(add(6, 800, 8, false, 32 * S));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(orders), T(longest), T(lies), T(bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
