// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the switch: addresses learned, aged and bounded; VLANs, trunks, mirror; QEMU's framing of a stream
 */
#include "unit.h"

#include "net/switch_int.h"

static struct switch_fabric *fabric;
static unsigned sent[8], mirrored[8];
static uint8_t last[8][200];
static size_t last_len[8];
static struct switch_head last_head[8];

static void on_send(void *opaque, unsigned port, const struct switch_head *h, const struct iovec *iov, unsigned niov)
{
	assert_true(port < 8);
	if (h->kind == SWITCH_WELCOME)
		return;
	if (h->kind == SWITCH_MIRRORED) {
		mirrored[port]++;
		return;
	}
	sent[port]++;
	last_head[port] = *h;
	last_len[port] = 0;
	for (unsigned i = 0; i < niov; i++) {
		memcpy(last[port] + last_len[port], iov[i].iov_base, iov[i].iov_len);
		last_len[port] += iov[i].iov_len;
	}
}

static int setup(void **state)
{
	fabric = xalloc(sizeof(*fabric));
	fabric->send = on_send;
	memset(sent, 0, sizeof(sent));
	memset(mirrored, 0, sizeof(mirrored));
	return 0;
}

static int teardown(void **state)
{
	free(fabric);
	return 0;
}

static void join(unsigned port, uint16_t vlan, bool mirror)
{
	struct switch_head h = { .kind = SWITCH_HELLO, .vlan = vlan, .mirror = mirror, .magic = SWITCH_MAGIC };

	assert_true(switch_join(fabric, port, &h, sizeof(h)));
}

/* From machine `from` to machine `to`, 0: broadcast; with a tag unless it is 0. Which ports got it, as bits. */
static unsigned send(unsigned port, uint8_t to, uint8_t from, uint16_t tag, uint64_t now)
{
	uint8_t m[sizeof(struct switch_head) + 64] = { 0 }, *f = m + sizeof(struct switch_head);
	struct switch_head h = { .kind = SWITCH_FRAME, .off = { .flags = NET_CSUM_PARTIAL, .csum_start = 38 } };
	unsigned before[8], got = 0;

	memcpy(before, sent, sizeof(before));
	memcpy(m, &h, sizeof(h));
	memset(f, to ? 2 : 0xff, 6);
	memset(f + 6, 2, 6);
	if (to)
		f[5] = to;
	f[11] = from;
	put_be16(f + 12, tag ? 0x8100 : 0x0800);
	put_be16(f + 14, tag);
	f[20] = 0x77;
	switch_forward(fabric, port, m, sizeof(m), now);
	for (unsigned i = 0; i < 8; i++)
		got |= (sent[i] - before[i]) << i;
	return got;
}

static void learns(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		join(i, 1, false);
	assert_int_equal(send(0, 0, 10, 0, 0), 0xe);
	assert_int_equal(send(1, 10, 11, 0, 1), 1);
	assert_int_equal(send(0, 11, 10, 0, 2), 2);
	assert_int_equal(send(0, 99, 10, 0, 3), 0xe);  /* unknown: to all */
	assert_int_equal(send(2, 11, 10, 0, 4), 2);    /* machine 10 has moved to port 2 */
	assert_int_equal(send(1, 10, 11, 0, 5), 4);
	assert_int_equal(send(1, 11, 11, 0, 6), 0);    /* to itself: nowhere */
	assert_int_equal(send(1, 10, 11, 0, 4 + SWITCH_AGE_MS - 1), 4);
	assert_int_equal(send(1, 10, 11, 0, 4 + SWITCH_AGE_MS), 0xd); /* forgotten */
	switch_leave(fabric, 3);
	assert_int_equal(send(0, 0, 10, 0, 10), 6);
	assert_int_equal(send(1, 10, 11, 0, 11), 1);
	switch_leave(fabric, 0);
	assert_int_equal(send(1, 10, 11, 0, 12), 4);   /* to all there are */
}

static void bounded(void **state)
{
	/* switch_table.c: a flood of addresses pushes out others, and what is there is always right. */
	struct switch_table *t = xalloc(sizeof(*t));
	uint8_t mac[6] = { 2 };
	unsigned found = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		put_le32(mac + 2, i);
		switch_learn(t, mac, 1, (uint16_t)(i % 60), i);
		assert_int_equal(switch_find(t, mac, 1, i), (int)(i % 60));
		assert_int_equal(switch_find(t, mac, 2, i), -1);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		int port;

		put_le32(mac + 2, i);
		port = switch_find(t, mac, 1, 100000);
		assert_true(port == -1 || port == (int)(i % 60));
		found += port >= 0;
	}
	assert_in_range(found, 600, 1024);
	switch_forget(t, 7);
	put_le32(mac + 2, 99967);
	assert_int_equal(switch_find(t, mac, 1, 100000), -1);
	free(t);
}

static void vlans(void **state)
{
	/* 802.1Q: access ports of one VLAN meet each other and trunks; tags on trunks, none for VLAN 1. */
	join(0, 1, false);
	join(1, 5, false);
	join(2, 5, false);
	join(3, NET_VLAN_TRUNK, false);
	assert_int_equal(send(0, 0, 10, 0, 0), 8);
	assert_int_equal(last_len[3], 64);
	assert_int_equal(last_head[3].off.csum_start, 38);
	assert_int_equal(send(1, 0, 11, 0, 0), 0xc);
	assert_int_equal(last_len[2], 64);
	assert_int_equal(last_len[3], 68);
	assert_int_equal(get_be32(last[3] + 12), 0x81000005);
	assert_int_equal(get_be16(last[3] + 16), 0x0800);
	assert_int_equal(last[3][24], 0x77);
	assert_int_equal(last_head[3].off.csum_start, 42);
	assert_int_equal(send(3, 0, 12, 5, 0), 6);
	assert_int_equal(last_len[1], 60);
	assert_int_equal(last[1][16], 0x77);
	assert_int_equal(last[1][11], 12);
	assert_int_equal(last_head[1].off.csum_start, 34);
	assert_int_equal(send(3, 0, 12, 7, 0), 0);
	assert_int_equal(send(3, 0, 12, 0, 0), 1);
	assert_int_equal(send(1, 12, 11, 0, 0), 8);  /* learned in VLAN 5 and in VLAN 1 apart */
	assert_int_equal(send(0, 11, 10, 0, 0), 8);
}

static void mirrors(void **state)
{
	join(0, 1, false);
	join(1, 1, false);
	join(2, 9, true);
	assert_int_equal(send(0, 0, 10, 0, 0), 2);
	assert_int_equal(mirrored[2], 1);
	assert_int_equal(mirrored[0] + mirrored[1], 0);
}

static void hellos(void **state)
{
	const struct switch_head good = { .kind = SWITCH_HELLO, .vlan = 1, .magic = SWITCH_MAGIC };
	struct switch_head h = good;

	assert_false(switch_join(fabric, 0, &h, sizeof(h) - 1));
	h.magic++;
	assert_false(switch_join(fabric, 0, &h, sizeof(h)));
	h = good;
	h.kind = SWITCH_FRAME;
	assert_false(switch_join(fabric, 0, &h, sizeof(h)));
	h = good;
	h.vlan = 4095;
	assert_false(switch_join(fabric, 0, &h, sizeof(h)));
	h.vlan = 0;
	assert_false(switch_join(fabric, 0, &h, sizeof(h)));
	assert_true(switch_join(fabric, 0, &good, sizeof(good)));
}

static void framing(void **state)
{
	/* QEMU: a length of 32 bits, most significant byte first; cut anywhere, and joined. */
	struct net_framer *r = xalloc(sizeof(*r));
	static uint8_t bytes[300000];
	size_t end = 0, at = 0, room;
	uint32_t len, want = 0;
	uint8_t *data;

	for (uint32_t n = 0; n < 300; n++, end += 4 + len) {
		len = n * n % 977;
		put_be32(bytes + end, len);
		memset(bytes + end + 4, (int)n, len);
	}
	for (unsigned step = 1; at < end; step = step * 7 % 3001 + 1) {
		uint8_t *to = net_framer_room(r, &room);
		size_t n = MIN(MIN(step, room), end - at);

		assert_true(room > 0);
		memcpy(to, bytes + at, n);
		net_framer_add(r, n);
		at += n;
		for (; net_framer_next(r, &data, &len) == 1; want++) {
			assert_int_equal(len, want * want % 977);
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(data[i], want & 0xff);
			net_framer_drop(r);
		}
	}
	assert_int_equal(want, 300);
	put_be32(net_framer_room(r, &room), NET_FRAME_MAX + 1);
	net_framer_add(r, 4);
	assert_int_equal(net_framer_next(r, &data, &len), -EPROTO);
	free(r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(learns), T(bounded), T(vlans), T(mirrors), T(hellos), T(framing) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
