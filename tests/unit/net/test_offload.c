// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of net/offload.c: checksums against the slow way, large frames cut and joined again, bad ones refused
 */
#include "frames.h"

#include "net/net_int.h"

static uint8_t frame[NET_FRAME_MAX], piece[NET_FRAME_MAX], again[NET_FRAME_MAX];

static void sums(void **state)
{
	/* RFC 1071: the fast sum is the slow one, at every length and place, also of all ones. */
	uint32_t seed = 1;

	for (unsigned i = 0; i < sizeof(frame); i++) {
		seed = seed * 1103515245 + 12345;
		frame[i] = i < 3000 ? 0xff : (uint8_t)(seed >> 16);
	}
	for (unsigned n = 0; n < 3000; n++) {
		uint32_t len = n % 5 ? n : n * 20, at = n * 17 % (uint32_t)(sizeof(frame) - len);
		uint16_t fast = net_sum_fold(net_sum(frame + at, len, 0)), slow = (uint16_t)slow_sum(frame + at, len, 0);

		assert_int_equal((uint16_t)(fast << 8 | fast >> 8), slow);
	}
}

static void partial(void **state)
{
	/* VIRTIO 1.1, 5.1.6.2: from csum_start to the end, the pseudo-header's sum is there already; bounds hold. */
	struct net_offload off = { .flags = NET_CSUM_PARTIAL, .csum_start = 34, .csum_offset = 16 };
	static const uint16_t bad[][2] = { { 34, 0xffff }, { 13, 1 }, { 0xffff, 0xffff }, { 100, 40 }, { 0, 0 } };

	for (uint32_t n = 0; n < 64; n++) {
		uint32_t len = make_tcp(frame, false, 0, n);

		put_be16(frame + 34 + 16, (uint16_t)slow_sum(frame + 26, 8, 6 + len - 34));
		put_be16(frame + 24, (uint16_t)~slow_sum(frame + 14, 20, 0));
		assert_true(net_offload_finish(frame, len, &off));
		must_be_whole(frame, len, false, 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		off.csum_start = bad[i][0];
		off.csum_offset = bad[i][1];
		assert_false(net_offload_finish(frame, 120, &off));
	}
}

static void cut_one(bool v6, unsigned tags, uint32_t payload, uint16_t size)
{
	uint32_t len = make_tcp(frame, v6, tags, payload), tcp = 14 + 4 * tags + (v6 ? 40 : 20), got = 0;
	struct net_offload off = { .flags = NET_CSUM_PARTIAL, .gso = v6 ? NET_GSO_TCP6 : NET_GSO_TCP4, .gso_size = size,
		.csum_start = (uint16_t)tcp, .csum_offset = 16 };
	struct net_cut cut;
	unsigned n;

	assert_true(net_cut_begin(&cut, frame, len, &off));
	n = net_cut_count(&cut);
	assert_int_equal(n, payload ? (payload + size - 1) / size : 1);
	for (unsigned i = 0; i < n; i++) {
		uint32_t l = net_cut_segment(&cut, frame, i, piece), data = l - tcp - 32;

		must_be_whole(piece, l, v6, tags);
		assert_true(data <= size && (i == n - 1 || data == size));
		assert_int_equal(get_be32(piece + tcp + 4), (uint32_t)(0xfffffff0 + got));
		assert_int_equal(piece[tcp + 13], (i ? 0x10 : 0x90) | (i == n - 1 ? 0x09 : 0));
		if (!v6)
			assert_int_equal(get_be16(piece + tcp - 16), (uint16_t)(0xfffe + i));
		memcpy(again + got, piece + tcp + 32, data);
		got += data;
	}
	assert_int_equal(got, payload);
	assert_memory_equal(again, frame + tcp + 32, payload);
	net_cut_whole(&cut, frame);
	must_be_whole(frame, len, v6, tags);
}

static void cuts(void **state)
{
	static const uint32_t payloads[] = { 0, 1, 47, 48, 49, 1448, 1449, 2896, 2897, 40000, 65400 };

	for (unsigned i = 0; i < ARRAY_LEN(payloads); i++)
		for (unsigned k = 0; k < 6; k++) {
			cut_one(k & 1, k / 2, payloads[i], 1448);
			cut_one(k & 1, k / 2, payloads[i], 48);
			cut_one(k & 1, k / 2, payloads[i], 65535);
		}
}

static void prepared(void **state)
{
	/* 8254x SDM 3.5: drivers leave out lengths and sum the pseudo-header without one; others expect both. */
	struct net_offload off = { .flags = NET_CSUM_PARTIAL, .gso = NET_GSO_TCP4, .gso_size = 1000, .csum_start = 34,
		.csum_offset = 16 };
	uint32_t len = make_tcp(frame, false, 0, 5000);

	put_be16(frame + 16, 0);
	put_be16(frame + 50, 0x1234);
	assert_true(net_prepare_large(frame, len, &off));
	assert_int_equal(get_be16(frame + 16), len - 14);
	assert_int_equal(slow_sum(frame + 14, 20, 0), 0xffff);
	assert_int_equal(get_be16(frame + 50), slow_sum(frame + 26, 8, 6 + len - 34));
	off.csum_start = 35;
	assert_false(net_prepare_large(frame, len, &off));
}

static void refused(void **state)
{
	/* No header is read beyond the frame, and none that says so is believed. */
	static const struct { unsigned at; uint8_t val; } spoil[] = {
		{ 12, 9 }, { 14, 0x65 }, { 14, 0x44 }, { 14, 0x4f }, { 23, 17 }, { 20, 0x20 }, { 21, 1 }, { 46, 0x40 },
		{ 46, 0xf0 },
	};
	struct net_offload off = { .gso = NET_GSO_TCP4, .gso_size = 1448, .csum_start = 34, .csum_offset = 16 };
	struct net_cut cut;
	uint32_t len;

	for (unsigned i = 0; i < ARRAY_LEN(spoil); i++) {
		len = make_tcp(frame, false, 0, 20);
		frame[spoil[i].at] = spoil[i].val;
		assert_false(net_cut_begin(&cut, frame, len, &off));
	}
	len = make_tcp(frame, false, 0, 20);
	for (uint32_t n = 0; n < len - 20; n++)
		assert_false(net_cut_begin(&cut, frame, n, &off));
	assert_true(net_cut_begin(&cut, frame, len, &off));
	off.gso_size = 47;
	assert_false(net_cut_begin(&cut, frame, len, &off));
	off.gso_size = 1448;
	off.gso = NET_GSO_TCP6;
	assert_false(net_cut_begin(&cut, frame, len, &off));
	len = make_tcp(frame, true, 0, 20);
	off.csum_start = 53;
	assert_false(net_cut_begin(&cut, frame, len, &off));
	off.csum_start = 0xffff;
	assert_false(net_cut_begin(&cut, frame, len, &off));
	len = make_tcp(frame, false, 1, 65500 - 4);
	off.gso = NET_GSO_TCP4;
	assert_false(net_cut_begin(&cut, frame, len, &off));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums), cmocka_unit_test(partial), cmocka_unit_test(cuts), cmocka_unit_test(prepared),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
