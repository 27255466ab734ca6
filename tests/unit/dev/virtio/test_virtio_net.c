// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the virtio network card with a driver written here: headers, merged buffers, offloads, filters, link
 */
#include "../pci/small_pc.h"

#include "../../net/frames.h"
#include "dev/virtio/virtio.h"

#define DEVFN (4 << 3)
#define MODERN 0xf1000000u
#define RX 0
#define TX 1
#define CTRL 2
#define RING(q) (0x100000u + (q) * 0x10000u)
#define AVAIL(q) (RING(q) + 0x2000u)
#define USED(q) (RING(q) + 0x4000u)
#define DATA(q, n) (0x200000u + (q) * 0x100000u + (n) * 0x11000u)
#define SIZE 8
#define F_CSUM (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_GUEST_TSO4 (1ull << 7)
#define F_HOST_TSO4 (1ull << 11)
#define F_MRG (1ull << 15)
#define F_CTRL (7ull << 17 | 1ull << 20 | 1ull << 23 | 1ull << 2)
#define F_V1 (1ull << 32)

static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
static struct small_pc *pc;
static struct virtio_net *card;
static struct net_port *port;
static unsigned got;
static bool full;
static uint8_t last[NET_FRAME_MAX], bytes[NET_FRAME_MAX];
static struct net_frame sent;
static uint16_t avail[3];

static bool receive(void *opaque, const struct net_frame *f)
{
	if (full)
		return false;
	got++;
	sent = *f;
	net_frame_copy(f, 0, last, f->len);
	return true;
}

static const struct net_end_ops ops = { .receive = receive };

static void w(uint64_t gpa, uint64_t val, unsigned size)
{
	mem_write(pc->mem, gpa, &val, size);
}

static uint64_t r(uint64_t gpa, unsigned size)
{
	uint64_t val = 0;

	mem_read(pc->mem, gpa, &val, size);
	return val;
}

static int setup(void **state)
{
	struct virtio_place place = { 0 };
	struct net_card_config cfg = { .mtu = 9000 };

	pc = small_pc_new();
	port = net_port_new(pc->loop, &(struct net_port_config){ 0 }, NULL);
	net_attach(net_port_network(port), &ops, NULL);
	net_set_takes(net_port_network(port), NET_TAKES_PARTIAL | NET_TAKES_TCP4 | NET_TAKES_TCP6);
	memcpy(cfg.mac, mac, 6);
	cfg.end = net_port_card(port);
	place = (struct virtio_place){ pc->loop, pc->mem, pc->bus, pc->states, "net", DEVFN };
	card = virtio_net_new(&place, &cfg);
	loop_lock(pc->loop);
	pci_config_write(pc->bus, 0, DEVFN, 0x14, 0xf0000000, 4);
	pci_config_write(pc->bus, 0, DEVFN, 0x20, MODERN, 4);
	pci_config_write(pc->bus, 0, DEVFN, 4, 6, 2);
	loop_unlock(pc->loop);
	got = 0;
	full = false;
	return 0;
}

static int teardown(void **state)
{
	virtio_net_free(card);
	net_port_free(port);
	small_pc_free(pc);
	return 0;
}

static void start(uint64_t features)
{
	w(MODERN + 20, 0, 1);
	w(MODERN + 20, 3, 1);
	for (unsigned k = 0; k < 2; k++) {
		w(MODERN + 8, k, 4);
		w(MODERN + 12, (features | F_V1) >> 32 * k & 0xffffffff, 4);
	}
	w(MODERN + 20, 11, 1);
	for (unsigned q = 0; q < 3; q++) {
		w(MODERN + 22, q, 2);
		w(MODERN + 24, SIZE, 2);
		w(MODERN + 32, RING(q), 8);
		w(MODERN + 40, AVAIL(q), 8);
		w(MODERN + 48, USED(q), 8);
		w(MODERN + 28, 1, 2);
		w(AVAIL(q), 0, 4);
		w(USED(q), 0, 4);
		avail[q] = 0;
	}
	w(MODERN + 20, 15, 1);
	assert_int_equal(r(MODERN + 20, 1), 15);
}

/* Descriptor n of queue q: its data lies at DATA(q, n). */
static void desc(unsigned q, unsigned n, uint32_t len, unsigned flags, unsigned next)
{
	w(RING(q) + 16 * n, DATA(q, n), 8);
	w(RING(q) + 16 * n + 8, len | (uint64_t)flags << 32 | (uint64_t)next << 48, 8);
}

static void offer(unsigned q, unsigned head)
{
	w(AVAIL(q) + 4 + 2 * (avail[q] % SIZE), head, 2);
	w(AVAIL(q) + 2, ++avail[q], 2);
}

static void kick(unsigned q)
{
	w(MODERN + 0x3000 + 4 * q, q, 2);
}

static void put(unsigned q, unsigned n, const void *data, size_t len)
{
	mem_write(pc->mem, DATA(q, n), data, MIN(len, 4096));
	for (size_t at = 4096; at < len; at += 4096)
		mem_write(pc->mem, DATA(q, n) + at, (const uint8_t *)data + at, MIN(len - at, 4096));
}

static void get(unsigned q, unsigned n, uint32_t skip, void *data, size_t len)
{
	for (size_t at = 0; at < len; at += 4096)
		mem_read(pc->mem, DATA(q, n) + skip + at, (uint8_t *)data + at, MIN(len - at, 4096));
}

static void from_network(const uint8_t *data, uint32_t len, struct net_offload off)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };

	loop_lock(pc->loop);
	net_send_or_keep(net_port_network(port), &(struct net_frame){ &iov, 1, len, off });
	loop_unlock(pc->loop);
}

static void configuration(void **state)
{
	/* 5.1.4: address, link, one pair, MTU. */
	start(F_MRG);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(r(MODERN + 0x2000 + i, 1), mac[i]);
	assert_int_equal(r(MODERN + 0x2006, 2), 1);
	assert_int_equal(r(MODERN + 0x2008, 2), 1);
	assert_int_equal(r(MODERN + 0x200a, 2), 9000);
	assert_int_equal(r(MODERN + 21, 1), 0);
	loop_lock(pc->loop);
	net_set_link(net_port_network(port), false);
	loop_unlock(pc->loop);
	assert_int_equal(r(MODERN + 0x2006, 2), 0);
	assert_int_equal(r(MODERN + 21, 1), 1);
	assert_int_equal(r(MODERN + 0x1000, 1), 2);
}

static void transmits(void **state)
{
	/* 5.1.6.2: the header however it is cut, then the frame; a refused frame stays and goes when there is room. */
	uint8_t header[12] = { 0 };

	start(F_MRG | F_CSUM | F_HOST_TSO4);
	header[0] = 1;
	header[1] = 1;
	put_le16(header + 4, 1448);
	put_le16(header + 6, 34);
	put_le16(header + 8, 16);
	make_tcp(bytes, false, 0, 5000);
	put(TX, 0, header, 5);
	put(TX, 1, header + 5, 7);
	put(TX, 2, bytes, 5066);
	desc(TX, 0, 5, 1, 1);
	desc(TX, 1, 7, 1, 2);
	desc(TX, 2, 5066, 0, 0);
	offer(TX, 0);
	full = true;
	kick(TX);
	assert_int_equal(r(USED(TX) + 2, 2), 0);
	full = false;
	loop_lock(pc->loop);
	net_ready(net_port_network(port));
	loop_unlock(pc->loop);
	assert_int_equal(r(USED(TX) + 2, 2), 1);
	assert_int_equal(got, 1);
	assert_int_equal(sent.len, 5066);
	assert_int_equal(sent.off.gso, NET_GSO_TCP4);
	assert_int_equal(sent.off.gso_size, 1448);
	assert_memory_equal(last, bytes, 5066);
	put(TX, 0, (uint8_t[12]){ 1 }, 12); /* nothing of it was negotiated */
	start(F_MRG);
	desc(TX, 0, 12, 1, 2);
	offer(TX, 0);
	kick(TX);
	assert_int_equal(got, 1);
	assert_int_equal(r(USED(TX) + 2, 2), 1);
	desc(TX, 0, 11, 0, 0);
	offer(TX, 0);
	kick(TX);
	assert_int_equal(r(MODERN + 20, 1), 0x4f);
}

static void merges(void **state)
{
	/* 5.1.6.4: as many buffers as it takes, told in the first; too few: none is used until there are enough. */
	uint32_t len = make_tcp(bytes, false, 0, 2500);
	static uint8_t back[4000];

	start(F_MRG);
	for (unsigned n = 0; n < 2; n++) {
		desc(RX, n, 1000, 2, 0);
		offer(RX, n);
	}
	from_network(bytes, len, (struct net_offload){ 0 });
	assert_int_equal(r(USED(RX) + 2, 2), 0);
	desc(RX, 2, 1000, 2, 0);
	offer(RX, 2);
	kick(RX);
	assert_int_equal(r(USED(RX) + 2, 2), 3);
	assert_int_equal(r(DATA(RX, 0) + 10, 2), 3);
	assert_int_equal(r(USED(RX) + 4, 8), 1000ull << 32);
	assert_int_equal(r(USED(RX) + 4 + 16, 8), (uint64_t)(len + 12 - 2000) << 32 | 2);
	get(RX, 0, 12, back, 988);
	get(RX, 1, 0, back + 988, 1000);
	get(RX, 2, 0, back + 1988, len - 1988);
	assert_memory_equal(back, bytes, len);
	assert_int_equal(r(MODERN + 0x1000, 1), 1);
}

static void alone(void **state)
{
	/* Without MRG_RXBUF a frame that the buffer cannot hold is lost, and the next one is not. */
	uint32_t len = make_tcp(bytes, false, 0, 2500);

	start(0);
	desc(RX, 0, 1000, 2, 0);
	offer(RX, 0);
	from_network(bytes, len, (struct net_offload){ 0 });
	assert_int_equal(r(USED(RX) + 2, 2), 0);
	from_network(bytes, 988, (struct net_offload){ 0 });
	assert_int_equal(r(USED(RX) + 2, 2), 1);
	assert_int_equal(r(DATA(RX, 0) + 10, 2), 1);
}

static void offloads(void **state)
{
	/* The driver gets large frames only if it takes them, and may change its mind (5.1.6.5.6). */
	uint32_t len = make_tcp(bytes, false, 0, 3000);
	struct net_offload off = { NET_CSUM_PARTIAL, NET_GSO_TCP4, 1000, 34, 16 };

	start(F_MRG | F_GUEST_CSUM | F_GUEST_TSO4 | F_CTRL);
	for (unsigned n = 0; n < 8; n++) {
		desc(RX, n, 8000, 2, 0);
		offer(RX, n);
	}
	from_network(bytes, len, off);
	assert_int_equal(r(USED(RX) + 2, 2), 1);
	assert_int_equal(r(DATA(RX, 0), 8), 1 | 1 << 8 | (uint64_t)(34 + 32) << 16 | 1000ull << 32 | 34ull << 48);
	assert_int_equal(r(DATA(RX, 0) + 8, 2), 16);
	put(CTRL, 0, (uint8_t[10]){ 5, 0, 2 }, 10); /* GUEST_CSUM only */
	desc(CTRL, 0, 10, 1, 1);
	desc(CTRL, 1, 1, 2, 0);
	offer(CTRL, 0);
	kick(CTRL);
	assert_int_equal(r(DATA(CTRL, 1), 1), 0);
	assert_int_equal(r(USED(CTRL) + 2, 2), 1);
	from_network(bytes, len, off);
	assert_int_equal(r(USED(RX) + 2, 2), 4);
	assert_int_equal(r(DATA(RX, 1), 2), 2); /* valid, not large */
}

static uint8_t command(const void *data, unsigned len)
{
	w(DATA(CTRL, 1), 0xee, 1);
	put(CTRL, 0, data, len);
	desc(CTRL, 0, len, 1, 1);
	desc(CTRL, 1, 1, 2, 0);
	offer(CTRL, 0);
	kick(CTRL);
	return (uint8_t)r(DATA(CTRL, 1), 1);
}

/* Does a frame to this address, or with this VLAN, come through? */
static bool passes(const uint8_t *to, unsigned vlan)
{
	uint64_t before = r(USED(RX) + 2, 2);
	uint8_t f[60] = { 0 };

	memcpy(f, to, 6);
	put_be16(f + 12, vlan ? 0x8100 : 0x0800);
	put_be16(f + 14, (uint16_t)(0x2000 | vlan));
	offer(RX, 0);
	from_network(f, 60, (struct net_offload){ 0 });
	if (r(USED(RX) + 2, 2) != before)
		return true;
	w(AVAIL(RX) + 2, --avail[RX], 2);
	return false;
}

static void filters(void **state)
{
	/* 5.1.6.5.1 to 5.1.6.5.3 */
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 }, other[6] = { 0x52, 0x54, 0, 9, 9, 9 },
		group[6] = { 1, 0, 0x5e, 1, 2, 3 }, group2[6] = { 1, 0, 0x5e, 1, 2, 4 };
	uint8_t table[2 + 4 + 6 + 4 + 6] = { 1, 0, 1 };

	start(F_MRG | F_CTRL);
	desc(RX, 0, 2000, 2, 0);
	assert_true(passes(other, 0) && passes(group, 0));
	assert_int_equal(command((uint8_t[]){ 0, 0, 0 }, 3), 0); /* not promiscuous */
	assert_true(passes(mac, 0) && passes(all, 0));
	assert_false(passes(other, 0) || passes(group, 0));
	memcpy(table + 6, other, 6);
	table[12] = 1;
	memcpy(table + 16, group, 6);
	assert_int_equal(command(table, sizeof(table)), 0);
	assert_true(passes(other, 0) && passes(group, 0));
	assert_false(passes(group2, 0));
	assert_int_equal(command(table, sizeof(table) - 1), 1); /* it ends too early */
	assert_int_equal(command((uint8_t[]){ 0, 1, 1 }, 3), 0);
	assert_true(passes(group2, 0));
	assert_int_equal(command((uint8_t[]){ 0, 5, 1 }, 3), 0); /* no broadcast */
	assert_false(passes(all, 0));
	assert_false(passes(mac, 7));
	assert_int_equal(command((uint8_t[]){ 2, 0, 7, 0 }, 4), 0);
	assert_true(passes(mac, 7));
	assert_int_equal(command((uint8_t[]){ 2, 1, 7, 0 }, 4), 0);
	assert_false(passes(mac, 7));
	assert_int_equal(command((uint8_t[]){ 2, 0, 0, 0x10 }, 4), 1);
	assert_int_equal(command((uint8_t[]){ 1, 1, 2, 2, 2, 2, 2, 2 }, 8), 0);
	assert_true(passes((uint8_t[]){ 2, 2, 2, 2, 2, 2 }, 0));
	assert_false(passes(mac, 0));
	assert_int_equal(command((uint8_t[]){ 77, 0 }, 2), 1);
	start(F_MRG | F_CTRL); /* a reset makes all as it was */
	assert_true(passes(other, 0) && passes(mac, 7) == false);
	assert_int_equal(r(MODERN + 0x2000, 1), mac[0]);
}

static void state_is_declared(void **state)
{
	state_set_each(pc->states, check_coverage, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(configuration), T(transmits), T(merges), T(alone), T(offloads), T(filters), T(state_is_declared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
