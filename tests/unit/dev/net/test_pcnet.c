// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the PCnet at its registers: widths, initialization, rings in three styles, filters, interrupts
 */
#include "../pci/small_pc.h"

#include "dev/net/pcnet.h"

#define DEVFN (4 << 3)
#define IO 0xc000
#define LINE 11
#define INIT 0x100000u
#define RXRING 0x101000u
#define TXRING 0x102000u
#define RXDATA 0x110000u
#define TXDATA 0x120000u
#define N 4

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xa1, 0xb2, 0xc3 }, other[6] = { 0x52, 0x54, 0, 9, 9, 9 },
	group[6] = { 1, 0, 0x5e, 0x12, 0x34, 0x56 }, all[6] = { 255, 255, 255, 255, 255, 255 };
static struct small_pc *pc;
static struct pcnet *card;
static struct net_port *port;
static unsigned got, style;
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

static int setup(void **state)
{
	struct net_card_config cfg = { .mtu = 0 };

	pc = small_pc_new();
	memcpy(cfg.mac, mac, 6);
	port = net_port_new(pc->loop, &(struct net_port_config){ 0 }, NULL);
	net_attach(net_port_network(port), &ops, NULL);
	cfg.end = net_port_card(port);
	card = pcnet_new(&(struct card_place){ pc->loop, pc->mem, pc->bus, pc->states, "pcnet", DEVFN }, &cfg);
	loop_lock(pc->loop);
	pci_config_write(pc->bus, 0, DEVFN, 0x10, IO, 4);
	pci_config_write(pc->bus, 0, DEVFN, 4, 5, 2);
	pci_config_write(pc->bus, 0, 8, 0x63, LINE, 1); /* slot 4 INTA is PIRQ D */
	loop_unlock(pc->loop);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	got = 0;
	full = false;
	return 0;
}

static int teardown(void **state)
{
	pcnet_free(card);
	net_port_free(port);
	small_pc_free(pc);
	return 0;
}

static uint16_t csr(unsigned n)
{
	out(pc, IO + 0x12, n, 2);
	return (uint16_t)in(pc, IO + 0x10, 2);
}

static void set_csr(unsigned n, uint16_t val)
{
	out(pc, IO + 0x12, n, 2);
	out(pc, IO + 0x10, val, 2);
}

static void poke(uint64_t at, uint64_t val, unsigned size)
{
	mem_write(pc->mem, at, &val, size);
}

static uint32_t peek(uint64_t at, unsigned size)
{
	uint32_t val = 0;

	mem_read(pc->mem, at, &val, size);
	return val;
}

/* A descriptor in the style at hand: its buffer, -len and status. */
static void desc(uint32_t ring, unsigned i, uint32_t addr, uint32_t len, uint8_t status)
{
	uint32_t second = (uint32_t)status << 24 | 0xf000 | ((4096 - len) & 0xfff);

	if (style == 0) {
		poke(ring + 8 * i, addr | (uint32_t)status << 24, 4);
		poke(ring + 8 * i + 4, second & 0xffff, 4);
	} else {
		poke(ring + 16 * i + (style == 3 ? 8 : 0), addr, 4);
		poke(ring + 16 * i + 4, second, 4);
		poke(ring + 16 * i + (style == 3 ? 0 : 8), 0, 4);
	}
}

static uint8_t status(uint32_t ring, unsigned i)
{
	return (uint8_t)peek(style ? ring + 16 * i + 7 : ring + 8 * i + 3, 1);
}

static uint16_t length(unsigned i)
{
	return (uint16_t)peek(style == 0 ? RXRING + 8 * i + 6 : RXRING + 16 * i + (style == 3 ? 0 : 8), 2);
}

/* DS, "Initialization Block" */
static void start(unsigned with_style, uint16_t mode, uint32_t buffer)
{
	style = with_style;
	in(pc, IO + 0x14, 2);
	assert_int_equal(csr(0), 4);
	out(pc, IO + 0x12, 20, 2);
	out(pc, IO + 0x16, style, 2);
	poke(INIT, mode, 4);
	if (style) {
		poke(INIT, mode | 2 << 20 | 2u << 28, 4);
		mem_write(pc->mem, INIT + 4, mac, 6);
		poke(INIT + 12, 0, 8);
		poke(INIT + 20, RXRING, 4);
		poke(INIT + 24, TXRING, 4);
	} else {
		mem_write(pc->mem, INIT + 2, mac, 6);
		poke(INIT + 8, 0, 8);
		poke(INIT + 16, RXRING | 2u << 29, 4);
		poke(INIT + 20, TXRING | 2u << 29, 4);
	}
	for (unsigned i = 0; i < N; i++) {
		desc(RXRING, i, RXDATA + i * 0x1000, buffer, 0x80);
		desc(TXRING, i, TXDATA, 0, 0);
	}
	set_csr(1, INIT & 0xffff);
	set_csr(2, INIT >> 16);
	set_csr(0, 1);
	assert_int_equal(csr(0) & 0x181, 0x181);
	set_csr(0, 0x142);
	assert_int_equal(csr(0) & 0x1f2, 0x72);
}

static void from_network(const uint8_t *to, uint32_t len)
{
	static uint8_t f[2000];
	struct iovec iov = { f, len };

	memcpy(f, bytes, len);
	memcpy(f, to, 6);
	loop_lock(pc->loop);
	net_send_or_keep(net_port_network(port), &(struct net_frame){ &iov, 1, len, { 0 } });
	loop_unlock(pc->loop);
}

static void identity(void **state)
{
	/* DS: PROM with its sum and Ws, chip id; registers become wide by a wide write, and narrow by reset. */
	uint32_t sum = 0;

	for (unsigned i = 0; i < 16; i++) {
		uint32_t b = in(pc, (uint16_t)(IO + i), 1);

		sum += i == 12 || i == 13 ? 0 : b;
		if (i < 6)
			assert_int_equal(b, mac[i]);
	}
	assert_int_equal(in(pc, IO + 12, 2), sum);
	assert_int_equal(in(pc, IO + 14, 2), 0x5757);
	assert_int_equal(csr(88) | (uint32_t)csr(89) << 16, 0x02621003);
	assert_int_equal(csr(12), get_le16(mac));
	out(pc, IO + 0x12, 4, 2);
	assert_int_equal(in(pc, IO + 0x16, 2), 0x80c0);
	out(pc, IO + 0x10, 0, 4);
	out(pc, IO + 0x14, 88, 4);
	assert_int_equal(in(pc, IO + 0x14, 4), 88);
	assert_int_equal(in(pc, IO + 0x10, 4), 0x1003);
	in(pc, IO + 0x18, 4);
	assert_int_equal(csr(88), 0x1003);
}

static void transmit_in(unsigned with_style)
{
	start(with_style, 0, 1600);
	mem_write(pc->mem, TXDATA, bytes, 200);
	desc(TXRING, 0, TXDATA, 50, 0x82);
	desc(TXRING, 1, TXDATA + 50, 150, 0x81);
	full = true;
	set_csr(0, 0x48);
	assert_int_equal(status(TXRING, 0), 0x82);
	full = false;
	loop_lock(pc->loop);
	net_ready(net_port_network(port));
	loop_unlock(pc->loop);
	assert_int_equal(last_len, 200);
	assert_memory_equal(last, bytes, 200);
	assert_int_equal(status(TXRING, 0), 0x02);
	assert_int_equal(status(TXRING, 1), 0x01);
	assert_true(pc->line[LINE]);
	assert_int_equal(csr(0) & 0x2c0, 0x2c0);
	set_csr(0, 0x240);
	assert_false(pc->line[LINE]);
	desc(TXRING, 2, TXDATA, 20, 0x82); /* no end yet */
	set_csr(0, 0x48);
	assert_int_equal(status(TXRING, 2), 0x82);
	desc(TXRING, 3, TXDATA, 5, 0x81);
	set_csr(0, 0x48);
	assert_int_equal(last_len, 60);
	desc(TXRING, 0, TXDATA, 100, 0x81); /* no beginning: an error, and the next one goes */
	desc(TXRING, 1, TXDATA, 100, 0x83);
	got = 0;
	set_csr(0, 0x48);
	assert_int_equal(got, 1);
	assert_int_equal(status(TXRING, 0), 0x41);
	assert_int_equal(status(TXRING, 1), 0x03);
}

static void transmits(void **state)
{
	transmit_in(2);
	transmit_in(3);
	transmit_in(0);
}

static void receive_in(unsigned with_style)
{
	uint8_t back[512];

	start(with_style, 0, 512);
	from_network(mac, 1000);
	assert_int_equal(status(RXRING, 0), 0x02);
	assert_int_equal(status(RXRING, 1), 0x01);
	assert_int_equal(length(1), 1004);
	mem_read(pc->mem, RXDATA + 0x1000, back, 488);
	assert_memory_equal(back, bytes + 512, 488);
	assert_true(pc->line[LINE]);
	from_network(mac, 30);
	assert_int_equal(status(RXRING, 2), 0x03);
	assert_int_equal(length(2), 64);
	from_network(mac, 1000); /* one buffer is too few */
	assert_int_equal(status(RXRING, 3), 0x80);
	desc(RXRING, 0, RXDATA, 512, 0x80);
	loop_step(pc->loop, 2000000);
	assert_int_equal(status(RXRING, 3), 0x02);
	assert_int_equal(status(RXRING, 0), 0x01);
}

static void receives(void **state)
{
	receive_in(2);
	receive_in(3);
	receive_in(0);
}

static bool passes(const uint8_t *to)
{
	bool came;

	set_csr(0, 0x400);
	for (unsigned i = 0; i < N; i++)
		desc(RXRING, i, RXDATA, 1600, 0x80);
	from_network(to, 60);
	came = csr(0) & 0x400;
	return came;
}

static void filters(void **state)
{
	start(2, 0, 1600);
	assert_true(passes(mac) && passes(all));
	assert_false(passes(other) || passes(group));
	start(2, 0x6000, 1600); /* neither broadcast nor its own address */
	assert_false(passes(mac) || passes(all));
	start(2, 0x8000, 1600);
	assert_true(passes(other) && passes(group));
	start(2, 0, 1600);
	set_csr(0, 4);
	for (unsigned i = 8; i < 12; i++)
		set_csr(i, 0xffff);
	set_csr(0, 2);
	assert_true(passes(group));
	assert_false(passes(other));
	set_csr(0, 4);
	set_csr(15, 2); /* no transmitter */
	set_csr(0, 2);
	assert_int_equal(csr(0) & 0x30, 0x20);
}

static void masks(void **state)
{
	start(2, 0, 1600);
	set_csr(3, 0x400);
	from_network(mac, 60);
	assert_int_equal(csr(0) & 0x480, 0x400);
	assert_false(pc->line[LINE]);
	set_csr(3, 0);
	assert_true(pc->line[LINE]);
	set_csr(0, 0);
	assert_false(pc->line[LINE]); /* IENA went */
	set_csr(0, 4);
	assert_int_equal(csr(0), 4);
	from_network(mac, 60);
	assert_int_equal(csr(0), 4);
}

static void state_is_declared(void **state)
{
	state_set_each(pc->states, check_coverage, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(identity), T(transmits), T(receives), T(filters), T(masks), T(state_is_declared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
