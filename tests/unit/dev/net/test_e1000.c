// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the 8254x at its registers: EEPROM, PHY, rings, offloads, filters, interrupts and their throttling
 */
#include "../pci/small_pc.h"

#include "../../net/frames.h"
#include "dev/net/e1000.h"

#define DEVFN (4 << 3)
#define BAR 0xf1000000u
#define IO 0xc000
#define LINE 11
#define TXRING 0x100000u
#define RXRING 0x110000u
#define TXDATA 0x200000u
#define RXDATA 0x300000u
#define N 8
#define EOP 0x01u
#define RS 0x08u
#define DEXT 0x20u
#define TSE 0x04u
/* registers and bits: SDM 13 */
#define CTRL 0x00
#define STATUS 0x08
#define EECD 0x10
#define EERD 0x14
#define MDIC 0x20
#define ICR 0xc0
#define ITR 0xc4
#define ICS 0xc8
#define IMS 0xd0
#define IMC 0xd8
#define RCTL 0x100
#define TCTL 0x400
#define RDT 0x2818
#define RDH 0x2810
#define TDH 0x3810
#define TDT 0x3818

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xa1, 0xb2, 0xc3 };
static struct small_pc *pc;
static struct e1000 *card;
static struct net_port *port;
static unsigned got;
static bool full;
static uint8_t last[NET_FRAME_MAX], bytes[NET_FRAME_MAX];
static struct net_frame sent;

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

static void w(uint32_t reg, uint32_t val)
{
	mem_write(pc->mem, BAR + reg, &val, 4);
}

static uint32_t r(uint32_t reg)
{
	uint32_t val;

	mem_read(pc->mem, BAR + reg, &val, 4);
	return val;
}

static int setup(void **state)
{
	struct net_card_config cfg = { .mtu = 0 };

	pc = small_pc_new();
	port = net_port_new(pc->loop, &(struct net_port_config){ 0 }, NULL);
	net_attach(net_port_network(port), &ops, NULL);
	memcpy(cfg.mac, mac, 6);
	cfg.end = net_port_card(port);
	card = e1000_new(&(struct card_place){ pc->loop, pc->mem, pc->bus, pc->states, "e1000", DEVFN }, E1000_82540EM,
	                 &cfg);
	loop_lock(pc->loop);
	pci_config_write(pc->bus, 0, DEVFN, 0x10, BAR, 4);
	pci_config_write(pc->bus, 0, DEVFN, 0x14, IO, 4);
	pci_config_write(pc->bus, 0, DEVFN, 4, 7, 2);
	pci_config_write(pc->bus, 0, 8, 0x63, LINE, 1); /* slot 4 INTA is PIRQ D */
	loop_unlock(pc->loop);
	got = 0;
	full = false;
	return 0;
}

static int teardown(void **state)
{
	e1000_free(card);
	net_port_free(port);
	small_pc_free(pc);
	return 0;
}

static void start(uint32_t rctl)
{
	w(CTRL, 0x40);
	w(0x3800, TXRING);
	w(0x3808, N * 16);
	w(TDH, 0);
	w(TDT, 0);
	w(0x2800, RXRING);
	w(0x2808, N * 16);
	w(RDH, 0);
	w(RDT, N - 1);
	for (unsigned i = 0; i < N; i++) {
		uint64_t at = RXDATA + 0x4000 * i;

		mem_write(pc->mem, RXRING + 16 * i, &at, 8);
	}
	w(TCTL, 2);
	w(RCTL, rctl | 2);
	w(IMS, 0xffff);
	r(ICR);
}

static void tx_desc(unsigned i, uint64_t addr, uint32_t low, uint32_t high)
{
	uint64_t val = low | (uint64_t)high << 32;

	mem_write(pc->mem, TXRING + 16 * i, &addr, 8);
	mem_write(pc->mem, TXRING + 16 * i + 8, &val, 8);
}

static uint8_t tx_status(unsigned i)
{
	uint8_t val;

	mem_read(pc->mem, TXRING + 16 * i + 12, &val, 1);
	return val;
}

static uint64_t rx_status(unsigned i)
{
	uint64_t val;

	mem_read(pc->mem, RXRING + 16 * i + 8, &val, 8);
	return val;
}

static void from_network(const uint8_t *data, uint32_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };

	loop_lock(pc->loop);
	net_send_or_keep(net_port_network(port), &(struct net_frame){ &iov, 1, len, { 0 } });
	loop_unlock(pc->loop);
}

static uint16_t eeprom_by_pins(unsigned at)
{
	uint32_t command = 6u << 6 | at, val = 0;

	w(EECD, 0x02);
	for (int i = 8; i >= 0; i--) {
		uint32_t di = command >> i & 1 ? 0x04 : 0;

		w(EECD, 0x02 | di);
		w(EECD, 0x03 | di);
		w(EECD, 0x02 | di);
	}
	assert_false(r(EECD) & 8); /* the dummy bit */
	for (int i = 0; i < 16; i++) {
		w(EECD, 0x03);
		val = val << 1 | (r(EECD) >> 3 & 1);
		w(EECD, 0x02);
	}
	w(EECD, 0);
	return (uint16_t)val;
}

static void eeprom(void **state)
{
	/* SDM 5.6: the address, and a sum of 0xBABA over 64 words, by pins as by EERD. */
	uint16_t sum = 0;

	w(EECD, 0x40);
	assert_int_equal(r(EECD) & 0x1c0, 0x1c0);
	for (unsigned i = 0; i < 64; i++) {
		uint16_t word = eeprom_by_pins(i);

		if (i < 3)
			assert_int_equal(word, get_le16(mac + 2 * i));
		w(EERD, i << 8 | 1);
		assert_int_equal(r(EERD), (uint32_t)word << 16 | i << 8 | 0x10);
		sum = (uint16_t)(sum + word);
	}
	assert_int_equal(sum, 0xbaba);
	w(EERD, 64 << 8 | 1);
	assert_int_equal(r(EERD) >> 16, 0xffff);
}

static void phy(void **state)
{
	/* SDM 13.4.7; the link shows in the PHY as in STATUS. */
	w(MDIC, 1 << 21 | 2 << 16 | 2u << 26);
	assert_int_equal(r(MDIC) & 0x5000ffff, 0x10000141);
	w(MDIC, 2 << 21 | 2 << 16 | 2u << 26);
	assert_int_equal(r(MDIC) & 0x50000000, 0x50000000);
	w(MDIC, 1 << 21 | 1 << 16 | 2u << 26);
	assert_int_equal(r(MDIC) & 0x24, 0x24);
	w(CTRL, 0x40);
	assert_int_equal(r(STATUS) & 0x83, 0x83);
	w(IMS, 4);
	r(ICR);
	loop_lock(pc->loop);
	net_set_link(net_port_network(port), false);
	loop_unlock(pc->loop);
	assert_true(pc->line[LINE]);
	assert_int_equal(r(ICR), 4);
	assert_false(pc->line[LINE]);
	assert_int_equal(r(STATUS) & 2, 0);
	w(MDIC, 1 << 21 | 1 << 16 | 2u << 26);
	assert_int_equal(r(MDIC) & 4, 0);
}

static void legacy(void **state)
{
	/* SDM 3.3.3: pieces up to EOP; DD where asked for; nothing goes before all of it is there; refused, it waits. */
	start(0);
	for (unsigned i = 0; i < 200; i++)
		bytes[i] = (uint8_t)i;
	mem_write(pc->mem, TXDATA, bytes, 200);
	tx_desc(0, TXDATA, 50, 0);
	tx_desc(1, TXDATA + 50, 150 | (EOP | RS) << 24, 0);
	w(TDT, 1);
	assert_int_equal(got, 0);
	assert_int_equal(r(TDH), 0);
	full = true;
	w(TDT, 2);
	assert_int_equal(r(TDH), 0);
	full = false;
	loop_lock(pc->loop);
	net_ready(net_port_network(port));
	loop_unlock(pc->loop);
	assert_int_equal(got, 1);
	assert_int_equal(sent.len, 200);
	assert_memory_equal(last, bytes, 200);
	assert_int_equal(r(TDH), 2);
	assert_int_equal(tx_status(0), 0);
	assert_int_equal(tx_status(1), 1);
	assert_int_equal(r(ICR) & 3, 3);
	assert_int_equal(r(0x4080), 1);
	assert_int_equal(r(0x4080), 0);
	tx_desc(2, TXDATA, 20 | (EOP | RS) << 24, 0);
	w(TCTL, 2 | 8); /* short packets are padded */
	w(TDT, 3);
	assert_int_equal(sent.len, 60);
	assert_int_equal(last[20], 0);
}

static void offloads(void **state)
{
	/* SDM 3.3.5 to 3.3.7, 3.5: checksums by context, and segmentation that the port makes whole. */
	uint32_t len = make_tcp(bytes, false, 0, 1000);

	start(0);
	put_le16(bytes + 24, 0);
	put_be16(bytes + 50, (uint16_t)slow_sum(bytes + 26, 8, 6 + len - 34));
	mem_write(pc->mem, TXDATA, bytes, len);
	tx_desc(0, 14 | 24 << 8 | 33 << 16 | (uint64_t)(34 | 50 << 8) << 32, (DEXT | RS) << 24 | 3 << 24, 0);
	tx_desc(1, TXDATA, len | 1 << 20 | (DEXT | EOP | RS) << 24, 3 << 8);
	w(TDT, 2);
	assert_int_equal(got, 1);
	must_be_whole(last, sent.len, false, 0);
	assert_int_equal(tx_status(0) & 1, 1);
	len = make_tcp(bytes, false, 0, 3000);
	put_be16(bytes + 16, 0);
	put_be16(bytes + 50, (uint16_t)slow_sum(bytes + 26, 8, 6));
	mem_write(pc->mem, TXDATA, bytes, len);
	tx_desc(2, 14 | 24 << 8 | 33 << 16 | (uint64_t)(34 | 50 << 8) << 32, 3000 | (DEXT | TSE | 3) << 24,
	        66 << 8 | 1000 << 16);
	tx_desc(3, TXDATA, 66 | 1 << 20 | (DEXT | TSE) << 24, 3 << 8);
	tx_desc(4, TXDATA + 66, 3000 | 1 << 20 | (DEXT | TSE | EOP | RS) << 24, 3 << 8);
	w(TDT, 5);
	assert_int_equal(got, 4);
	assert_int_equal(sent.len, 1066);
	must_be_whole(last, sent.len, false, 0);
	assert_memory_equal(last + 66, bytes + 2066, 1000);
}

static void too_large(void **state)
{
	/* More than a frame may be is dropped up to its EOP; the next packet is not. */
	start(0);
	for (unsigned i = 0; i < 5; i++)
		tx_desc(i, TXDATA, 0xffff | (i == 4 ? EOP | RS : 0) << 24, 0);
	tx_desc(5, TXDATA, 60 | (EOP | RS) << 24, 0);
	w(TDT, 6);
	loop_step(pc->loop, 10000000);
	assert_int_equal(r(TDH), 6);
	assert_int_equal(got, 1);
	assert_int_equal(sent.len, 60);
	assert_int_equal(tx_status(4), 1);
}

static void receives(void **state)
{
	/* SDM 3.2: a frame, with its check sequence, over as many buffers as it needs; too few: it waits. */
	uint8_t back[5000];

	start(0x8000 | 0x08 | 0x20 | 0x00010000); /* broadcast, promiscuous, long, 1024 bytes */
	make_tcp(bytes, false, 0, 2000);
	from_network(bytes, 2066);
	assert_int_equal(r(RDH), 3);
	assert_int_equal(rx_status(0), 0x0000000500000000ull | 1024);
	assert_int_equal(rx_status(2), 0x0000000700000000ull | (2066 + 4 - 2048));
	for (unsigned i = 0; i < 3; i++)
		mem_read(pc->mem, RXDATA + 0x4000 * i, back + 1024 * i, 1024);
	assert_memory_equal(back, bytes, 2066);
	assert_int_equal(r(ICR) & 0x80, 0x80);
	from_network(bytes, 14);
	assert_int_equal(rx_status(3) & 0xffff, 64);
	from_network(bytes, 2066);
	assert_int_equal(r(RDH), 7);
	from_network(bytes, 100);
	assert_int_equal(r(RDH), 7);
	w(RDT, 6);
	assert_int_equal(r(RDH), 0);
	assert_int_equal(rx_status(7) & 0xffff, 104);
	w(RCTL, 0);
	from_network(bytes, 100);
	w(RCTL, 2 | 8);
	assert_int_equal(r(RDH), 0);
}

static bool passes(const uint8_t *to)
{
	uint32_t before = r(RDH);
	uint8_t f[60] = { 0 };

	memcpy(f, to, 6);
	w(RDT, (before + N - 1) % N);
	from_network(f, 60);
	return r(RDH) != before;
}

static void filters(void **state)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 }, other[6] = { 0x52, 0x54, 0, 9, 9, 9 },
		group[6] = { 1, 0, 0x5e, 0x12, 0x34, 0x56 };
	static const uint16_t hash[4] = { 0x563, 0xac6, 0x58d, 0x634 }; /* SDM 13.5.1, by MO */

	start(0);
	assert_true(passes(mac));
	assert_false(passes(all) || passes(other) || passes(group));
	w(RCTL, 2 | 0x8000);
	assert_true(passes(all));
	for (unsigned mo = 0; mo < 4; mo++) {
		w(RCTL, 2 | mo << 12);
		assert_false(passes(group));
		w(0x5200 + 4 * (hash[mo] >> 5), 1u << (hash[mo] & 31));
		assert_true(passes(group));
		w(0x5200 + 4 * (hash[mo] >> 5), 0);
	}
	w(0x5400 + 8, get_le32(other));
	w(0x5400 + 12, get_le16(other + 4));
	assert_false(passes(other));
	w(0x5400 + 12, get_le16(other + 4) | 0x80000000);
	assert_true(passes(other));
}

static void throttling(void **state)
{
	/* SDM 13.4.18: at least ITR * 256 ns between interrupts. */
	start(0);
	loop_step(pc->loop, 1000000);
	w(ITR, 1000);
	w(ICS, 0x80);
	assert_true(pc->line[LINE]);
	r(ICR);
	assert_false(pc->line[LINE]);
	w(ICS, 0x80);
	assert_false(pc->line[LINE]);
	loop_step(pc->loop, 255999);
	assert_false(pc->line[LINE]);
	loop_step(pc->loop, 1);
	assert_true(pc->line[LINE]);
	w(IMC, 0x80);
	assert_false(pc->line[LINE]);
	assert_int_equal(r(ICR), 0x80);
}

static void resets(void **state)
{
	/* By the I/O BAR, as drivers do it. */
	start(8);
	w(ICS, 0x80);
	mem_port_out(pc->mem, IO, CTRL, 4);
	mem_port_out(pc->mem, IO + 4, 0x04000000, 4);
	assert_false(pc->line[LINE]);
	assert_int_equal(r(RCTL), 0);
	assert_int_equal(r(IMS), 0);
	assert_int_equal(r(0x5400), get_le32(mac));
	assert_int_equal(r(0x5404), get_le16(mac + 4) | 0x80000000u);
	mem_port_out(pc->mem, IO, STATUS, 4);
	assert_int_equal(mem_port_in(pc->mem, IO + 4, 4), r(STATUS));
}

static void state_is_declared(void **state)
{
	state_set_each(pc->states, check_coverage, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(eeprom), T(phy), T(legacy), T(offloads), T(too_large), T(receives), T(filters), T(throttling), T(resets),
		T(state_is_declared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
