// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of rtl8139 and ne2000 at their registers: address, rings, filters, what is heard of frames that come late
 */
#include "../pci/small_pc.h"

#include "dev/net/ne2000.h"
#include "dev/net/rtl8139.h"

#define RTL (4 << 3)
#define NE (5 << 3)
#define RTL_IO 0xc000
#define NE_IO 0xc100
#define RTL_LINE 11
#define NE_LINE 10
#define RING 0x100000u
#define DATA 0x200000u

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xa1, 0xb2, 0xc3 }, other[6] = { 0x52, 0x54, 0, 9, 9, 9 },
	group[6] = { 1, 0, 0x5e, 0x12, 0x34, 0x56 }, all[6] = { 255, 255, 255, 255, 255, 255 };
static struct small_pc *pc;
static struct rtl8139 *rtl;
static struct ne2k_pci *ne;
static struct net_port *port[2];
static unsigned got;
static bool full;
static uint8_t last[2000], bytes[2000];
static uint32_t last_len;

static bool receive(void *opaque, const struct net_frame *f)
{
	if (full)
		return false;
	got++;
	last_len = f->len;
	net_frame_copy(f, 0, last, sizeof(last));
	return true;
}

static const struct net_end_ops ops = { .receive = receive };

static void place(uint8_t devfn, uint16_t io)
{
	loop_lock(pc->loop);
	pci_config_write(pc->bus, 0, devfn, 0x10, io, 4);
	pci_config_write(pc->bus, 0, devfn, 4, 5, 2);
	loop_unlock(pc->loop);
}

static int setup(void **state)
{
	struct net_card_config cfg = { .mtu = 0 };

	pc = small_pc_new();
	memcpy(cfg.mac, mac, 6);
	for (unsigned i = 0; i < 2; i++) {
		port[i] = net_port_new(pc->loop, &(struct net_port_config){ 0 }, NULL);
		net_attach(net_port_network(port[i]), &ops, NULL);
	}
	cfg.end = net_port_card(port[0]);
	rtl = rtl8139_new(&(struct card_place){ pc->loop, pc->mem, pc->bus, pc->states, "rtl", RTL }, &cfg);
	cfg.end = net_port_card(port[1]);
	ne = ne2k_pci_new(&(struct card_place){ pc->loop, pc->mem, pc->bus, pc->states, "ne", NE }, &cfg);
	place(RTL, RTL_IO);
	place(NE, NE_IO);
	loop_lock(pc->loop);
	pci_config_write(pc->bus, 0, 8, 0x63, RTL_LINE, 1); /* slot 4 INTA is PIRQ D, slot 5's PIRQ A */
	pci_config_write(pc->bus, 0, 8, 0x60, NE_LINE, 1);
	loop_unlock(pc->loop);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	got = 0;
	full = false;
	return 0;
}

static int teardown(void **state)
{
	rtl8139_free(rtl);
	ne2k_pci_free(ne);
	net_port_free(port[0]);
	net_port_free(port[1]);
	small_pc_free(pc);
	return 0;
}

static void from_network(unsigned n, const uint8_t *to, uint32_t len)
{
	static uint8_t f[2000];
	struct iovec iov = { f, len };

	memcpy(f, bytes, len);
	memcpy(f, to, 6);
	loop_lock(pc->loop);
	net_send_or_keep(net_port_network(port[n]), &(struct net_frame){ &iov, 1, len, { 0 } });
	loop_unlock(pc->loop);
}

/* --- rtl8139 --- */

static void rtl_start(uint32_t rcr)
{
	out(pc, RTL_IO + 0x37, 0x10, 1);
	assert_int_equal(in(pc, RTL_IO + 0x37, 1), 1);
	out(pc, RTL_IO + 0x30, RING, 4);
	out(pc, RTL_IO + 0x37, 0x0c, 1);
	out(pc, RTL_IO + 0x44, rcr, 4);
	out(pc, RTL_IO + 0x3c, 0xffff, 2);
}

static void rtl_identity(void **state)
{
	/* DS 5: address, version 8139C, link; word 7 of the EEPROM by its pins. */
	uint32_t command = 6u << 6 | 7, word = 0;

	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(in(pc, RTL_IO + i, 1), mac[i]);
	assert_int_equal(in(pc, RTL_IO + 0x40, 4) & 0x7cc00000, 0x74000000);
	assert_int_equal(in(pc, RTL_IO + 0x58, 1) & 4, 0);
	out(pc, RTL_IO + 0x50, 0x88, 1);
	for (int i = 8; i >= 0; i--) {
		out(pc, RTL_IO + 0x50, 0x88 | (command >> i & 1) << 1, 1);
		out(pc, RTL_IO + 0x50, 0x8c | (command >> i & 1) << 1, 1);
	}
	for (unsigned i = 0; i < 16; i++) {
		out(pc, RTL_IO + 0x50, 0x88, 1);
		out(pc, RTL_IO + 0x50, 0x8c, 1);
		word = word << 1 | (in(pc, RTL_IO + 0x50, 1) & 1);
	}
	assert_int_equal(word, get_le16(mac));
	out(pc, RTL_IO, 0xffffffff, 4); /* locked */
	assert_int_equal(in(pc, RTL_IO, 1), mac[0]);
	loop_lock(pc->loop);
	net_set_link(net_port_network(port[0]), false);
	loop_unlock(pc->loop);
	assert_int_equal(in(pc, RTL_IO + 0x58, 1) & 4, 4);
	assert_int_equal(in(pc, RTL_IO + 0x3e, 2), 0x20);
}

static void rtl_transmits(void **state)
{
	/* DS 5.3: descriptors in turn; OWN and TOK when it has gone; a refused one waits, and others behind it. */
	rtl_start(0);
	mem_write(pc->mem, DATA, bytes, 200);
	full = true;
	for (unsigned n = 0; n < 2; n++) {
		out(pc, RTL_IO + 0x20 + 4 * n, DATA + n, 4);
		out(pc, RTL_IO + 0x10 + 4 * n, 100 + n, 4);
	}
	assert_int_equal(in(pc, RTL_IO + 0x10, 4) & 0xa000, 0);
	full = false;
	loop_lock(pc->loop);
	net_ready(net_port_network(port[0]));
	loop_unlock(pc->loop);
	assert_int_equal(got, 2);
	assert_int_equal(last_len, 101);
	assert_memory_equal(last, bytes + 1, 101);
	assert_int_equal(in(pc, RTL_IO + 0x14, 4) & 0xa000, 0xa000);
	assert_true(pc->line[RTL_LINE]);
	out(pc, RTL_IO + 0x3e, 4, 2);
	assert_false(pc->line[RTL_LINE]);
	out(pc, RTL_IO + 0x18, 10, 4); /* DATA of descriptor 2 is 0 */
	assert_int_equal(last_len, 60);
	out(pc, RTL_IO + 0x1c, 1793, 4);
	assert_int_equal(got, 3);
}

static void rtl_receives(void **state)
{
	/* DS 5.6: header, frame, check sequence, by fours; over the end with and without WRAP; full: it waits. */
	uint8_t head[4];
	uint32_t at = 0;

	rtl_start(0x0a);
	for (unsigned n = 0; n < 40; n++) {
		uint32_t len = 60 + n * 31;

		from_network(0, mac, len);
		assert_int_equal(in(pc, RTL_IO + 0x37, 1) & 1, 0);
		assert_true(pc->line[RTL_LINE]);
		mem_read(pc->mem, RING + at, head, 4);
		assert_int_equal(get_le16(head), 0x4001);
		assert_int_equal(get_le16(head + 2), len + 4);
		at = (at + 4 + len + 4 + 3) & ~3u;
		at %= 8192;
		assert_int_equal(in(pc, RTL_IO + 0x3a, 2), at);
		out(pc, RTL_IO + 0x3e, 1, 2);
		assert_true(pc->line[RTL_LINE]); /* it has not been read */
		out(pc, RTL_IO + 0x38, at - 16, 2);
		out(pc, RTL_IO + 0x3e, 1, 2);
		assert_false(pc->line[RTL_LINE]);
		assert_int_equal(in(pc, RTL_IO + 0x37, 1) & 1, 1);
	}
	for (unsigned n = 0; n < 8; n++)
		from_network(0, mac, 1000);
	assert_int_equal(in(pc, RTL_IO + 0x3a, 2), (at + 8 * 1008) % 8192);
	from_network(0, mac, 1000);
	assert_int_equal(in(pc, RTL_IO + 0x3a, 2), (at + 8 * 1008) % 8192);
	assert_int_equal(in(pc, RTL_IO + 0x3e, 2) & 0x10, 0x10);
	out(pc, RTL_IO + 0x38, at + 2 * 1008 - 16, 2);
	loop_step(pc->loop, 100000);
	assert_int_equal(in(pc, RTL_IO + 0x3a, 2), (at + 9 * 1008) % 8192);
}

static bool rtl_passes(const uint8_t *to)
{
	uint32_t before = in(pc, RTL_IO + 0x3a, 2), now;

	from_network(0, to, 60);
	now = in(pc, RTL_IO + 0x3a, 2);
	out(pc, RTL_IO + 0x38, now - 16, 2);
	return now != before;
}

static void rtl_filters(void **state)
{
	rtl_start(0x02);
	assert_true(rtl_passes(mac));
	assert_false(rtl_passes(other) || rtl_passes(all) || rtl_passes(group));
	out(pc, RTL_IO + 0x44, 0x0c, 4);
	assert_true(rtl_passes(all));
	assert_false(rtl_passes(group) || rtl_passes(mac));
	out(pc, RTL_IO + 0x08, 0xffffffff, 4);
	out(pc, RTL_IO + 0x0c, 0xffffffff, 4);
	assert_true(rtl_passes(group));
	out(pc, RTL_IO + 0x44, 0x01, 4);
	assert_true(rtl_passes(other) && rtl_passes(all) && rtl_passes(group));
}

static void rtl_timer(void **state)
{
	/* DS 5: 33 million counts a second. */
	rtl_start(0);
	out(pc, RTL_IO + 0x48, 0, 4);
	out(pc, RTL_IO + 0x54, 33000, 4);
	loop_step(pc->loop, 999000);
	assert_int_equal(in(pc, RTL_IO + 0x3e, 2) & 0x4000, 0);
	loop_step(pc->loop, 2000);
	assert_int_equal(in(pc, RTL_IO + 0x3e, 2) & 0x4000, 0x4000);
	assert_in_range(in(pc, RTL_IO + 0x48, 4), 33000, 33100);
}

/* --- ne2000 --- */

static void ne_remote(bool write, uint16_t at, uint16_t len)
{
	out(pc, NE_IO + 0x0a, len & 0xff, 1);
	out(pc, NE_IO + 0x0b, len >> 8, 1);
	out(pc, NE_IO + 0x08, at & 0xff, 1);
	out(pc, NE_IO + 0x09, at >> 8, 1);
	out(pc, NE_IO, write ? 0x12 : 0x0a, 1);
}

static void ne_start(uint8_t rcr)
{
	in(pc, NE_IO + 0x1f, 1);
	assert_int_equal(in(pc, NE_IO + 7, 1), 0x80);
	out(pc, NE_IO, 0x21, 1);
	out(pc, NE_IO + 0x0e, 0x49, 1);
	out(pc, NE_IO + 0x0c, rcr, 1);
	out(pc, NE_IO + 1, 0x4c, 1);
	out(pc, NE_IO + 2, 0x60, 1);
	out(pc, NE_IO + 3, 0x4c, 1);
	out(pc, NE_IO, 0x61, 1);
	for (unsigned i = 0; i < 6; i++)
		out(pc, NE_IO + 1 + i, mac[i], 1);
	out(pc, NE_IO + 7, 0x4d, 1);
	out(pc, NE_IO, 0x22, 1);
	out(pc, NE_IO + 7, 0xff, 1);
	out(pc, NE_IO + 0x0f, 0x3f, 1);
}

static uint8_t ne_curr(void)
{
	uint8_t val;

	out(pc, NE_IO, 0x62, 1);
	val = (uint8_t)in(pc, NE_IO + 7, 1);
	out(pc, NE_IO, 0x22, 1);
	return val;
}

static void ne_memory(void **state)
{
	/* The PROM's doubled address and 57H twice; RAM by words, by twos of them, by bytes; RDC at the end. */
	ne_start(0);
	ne_remote(false, 0, 32);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(in(pc, NE_IO + 0x10, 2), mac[i] * 0x101);
	for (unsigned i = 6; i < 15; i++)
		in(pc, NE_IO + 0x10, 2);
	assert_int_equal(in(pc, NE_IO + 0x10, 2), 0x5757);
	assert_int_equal(in(pc, NE_IO + 7, 1) & 0x40, 0x40);
	ne_remote(true, 0x4000, 8);
	out(pc, NE_IO + 0x10, 0x44332211, 4);
	out(pc, NE_IO + 0x10, 0x6655, 2);
	out(pc, NE_IO + 0x10, 0x8877, 2);
	out(pc, NE_IO + 0x10, 0xffff, 2); /* one too many */
	ne_remote(false, 0x4002, 4);
	assert_int_equal(in(pc, NE_IO + 0x10, 4), 0x66554433);
	ne_remote(true, 0x0000, 2); /* the PROM stays */
	out(pc, NE_IO + 0x10, 0, 2);
	ne_remote(true, 0xffff, 4);
	out(pc, NE_IO + 0x10, 0, 4);
	out(pc, NE_IO + 0x0e, 0x48, 1);
	ne_remote(false, 0, 2);
	assert_int_equal(in(pc, NE_IO + 0x10, 1), mac[0]);
	assert_int_equal(in(pc, NE_IO + 0x10, 1), mac[0]);
}

static void ne_transmits(void **state)
{
	ne_start(0);
	ne_remote(true, 0x4000, 100);
	for (unsigned i = 0; i < 100; i += 2)
		out(pc, NE_IO + 0x10, get_le16(bytes + i), 2);
	out(pc, NE_IO + 4, 0x40, 1);
	out(pc, NE_IO + 5, 100, 1);
	out(pc, NE_IO + 6, 0, 1);
	full = true;
	out(pc, NE_IO, 0x26, 1);
	assert_int_equal(in(pc, NE_IO, 1), 0x26);
	full = false;
	loop_lock(pc->loop);
	net_ready(net_port_network(port[1]));
	loop_unlock(pc->loop);
	assert_int_equal(got, 1);
	assert_int_equal(last_len, 100);
	assert_memory_equal(last, bytes, 100);
	assert_int_equal(in(pc, NE_IO, 1), 0x22);
	assert_int_equal(in(pc, NE_IO + 7, 1) & 2, 2);
	assert_true(pc->line[NE_LINE]);
	out(pc, NE_IO + 4, 0xbf, 1); /* over the end of memory: nothing goes */
	out(pc, NE_IO + 6, 2, 1);
	out(pc, NE_IO, 0x26, 1);
	assert_int_equal(got, 1);
}

static void ne_receives(void **state)
{
	/* DS 7: pages, the next one in the header; round the ring; full: it waits. BNRY before the ring is its end. */
	uint8_t page = 0x4d;

	ne_start(0);
	for (unsigned n = 0; n < 60; n++) {
		uint32_t len = 60 + n * 24;
		uint8_t next = (uint8_t)(page + (len + 8 + 255) / 256);

		next -= next >= 0x60 ? 0x14 : 0;
		from_network(1, mac, len);
		assert_int_equal(ne_curr(), next);
		ne_remote(false, (uint16_t)(page << 8), 4);
		assert_int_equal(in(pc, NE_IO + 0x10, 4), 1u | (uint32_t)next << 8 | (len + 4) << 16);
		out(pc, NE_IO + 3, next - 1u, 1);
		out(pc, NE_IO + 7, 0xff, 1);
		assert_false(pc->line[NE_LINE]);
		page = next;
	}
	for (unsigned n = 0; n < 6; n++)
		from_network(1, mac, 1000);
	assert_int_equal(ne_curr(), 0x4c + (page - 0x4c + 4 * 4) % 20);
	out(pc, NE_IO + 3, 0x4c + (page - 0x4c + 8 - 1) % 20u, 1);
	loop_step(pc->loop, 100000);
	assert_int_equal(ne_curr(), 0x4c + (page - 0x4c + 4 * 6) % 20);
}

static void ne_late_frame(void **state)
{
	/* I2: a frame that comes after CURR was read is not acknowledged with those before it, once. */
	ne_start(0);
	from_network(1, mac, 60);
	assert_int_equal(ne_curr(), 0x4e);
	from_network(1, mac, 60);
	out(pc, NE_IO + 7, 1, 1);
	assert_true(pc->line[NE_LINE]);
	out(pc, NE_IO + 7, 1, 1);
	assert_false(pc->line[NE_LINE]);
	from_network(1, mac, 60);
	out(pc, NE_IO + 7, 1, 1);
	assert_false(pc->line[NE_LINE]);
}

static bool ne_passes(const uint8_t *to)
{
	uint8_t before = ne_curr(), now;

	from_network(1, to, 60);
	now = ne_curr();
	out(pc, NE_IO + 3, now - 1u, 1);
	return now != before;
}

static void ne_filters(void **state)
{
	ne_start(0);
	assert_true(ne_passes(mac));
	assert_false(ne_passes(other) || ne_passes(all) || ne_passes(group));
	out(pc, NE_IO + 0x0c, 0x0c, 1);
	assert_true(ne_passes(all));
	assert_false(ne_passes(group));
	out(pc, NE_IO, 0x62, 1);
	for (unsigned i = 8; i < 16; i++)
		out(pc, NE_IO + i, 0xff, 1);
	out(pc, NE_IO, 0x22, 1);
	assert_true(ne_passes(group));
	assert_false(ne_passes(other));
	out(pc, NE_IO + 0x0c, 0x10, 1);
	assert_true(ne_passes(other));
	out(pc, NE_IO + 0x0c, 0x30, 1);
	assert_false(ne_passes(mac));
}

static void isa_line(void *opaque, int n, bool level)
{
	*(bool *)opaque = level;
}

static void ne_isa(void **state)
{
	/* The same core at the ports and on the line that it is given; a reset brings it back. */
	struct net_port *own = net_port_new(pc->loop, &(struct net_port_config){ 0 }, NULL);
	struct net_card_config cfg = { .end = net_port_card(own), .mac = { 2, 4, 6, 8, 10, 12 } };
	bool line = false;
	struct ne2k_isa *n;

	loop_lock(pc->loop);
	n = ne2k_isa_new(pc->mem, pc->states, "isa", 0x300, (struct wire){ isa_line, &line, 0 }, &cfg);
	loop_unlock(pc->loop);
	in(pc, 0x31f, 1);
	out(pc, 0x300, 0x22, 1);
	out(pc, 0x30e, 0x49, 1);
	out(pc, 0x30f, 0x7f, 1);
	out(pc, 0x30a, 2, 1);
	out(pc, 0x30b, 0, 1);
	out(pc, 0x308, 4, 1);
	out(pc, 0x309, 0, 1);
	out(pc, 0x300, 0x0a, 1);
	assert_false(line);
	assert_int_equal(in(pc, 0x310, 2), 0x0606);
	assert_true(line);
	loop_lock(pc->loop);
	ne2k_isa_reset(n);
	assert_false(line);
	mem_detach_all(pc->mem);
	ne2k_isa_free(n);
	net_port_free(own);
	loop_unlock(pc->loop);
}

static void hashes(void **state)
{
	/* IEEE 802.3: the check sequence of six bytes, computed by another (zlib's crc32). */
	static const uint8_t one[6] = { 1, 0, 0x5e, 0, 0, 1 };

	assert_int_equal(card_crc(one), (uint32_t)~0x264b3a01u);
	assert_int_equal(card_crc_turned(one) & 1, card_crc(one) >> 31);
}

static void state_is_declared(void **state)
{
	state_set_each(pc->states, check_coverage, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rtl_identity), T(rtl_transmits), T(rtl_receives), T(rtl_filters), T(rtl_timer), T(ne_memory),
		T(ne_transmits), T(ne_receives), T(ne_late_frame), T(ne_filters), T(ne_isa), T(hashes), T(state_is_declared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
