// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: PCI as firmware and kernels discover it: configuration, BARs, INTx, MSI-X
 */
#include "vdisk.h"

#define FUNCTIONS 256
#define ABSENT 0xffffffffu
#define PIIX3_IDE 0x70108086u

static bool present(struct board *b, unsigned devfn)
{
	return board_cfg(b, devfn, 0, 4) != ABSENT;
}

/* PCI 2.1, 3.2.2.3.2: CONFIG_ADDRESS takes dwords only; with bit 31 clear the data port is no configuration access. */
static void mechanism(void **state)
{
	struct board *b = *state;

	board_out(b, 0xcf8, 0x80000000, 4);
	assert_int_equal(board_in(b, 0xcf8, 4), 0x80000000);
	assert_int_equal(board_in(b, 0xcfc, 4), 0x12378086);
	assert_int_equal(board_in(b, 0xcfd, 1), 0x80);
	assert_int_equal(board_in(b, 0xcfe, 2), 0x1237);
	board_out(b, 0xcf8, 0, 4);
	assert_int_equal(board_in(b, 0xcfc, 4), ABSENT);
	board_out(b, 0xcf8, 0x80010000, 4); /* bus 1 */
	assert_int_equal(board_in(b, 0xcfc, 4), ABSENT);
	board_out(b, 0xcf8, 0x80000000 | 31 << 11, 4);
	assert_int_equal(board_in(b, 0xcfc, 4), ABSENT);
	board_out(b, 0xcfc, 0x12345678, 4); /* nobody's */
	board_out(b, 0xcf8, 0x80000000, 4);
	board_out(b, 0xcf8, 0x55, 1); /* not the address register */
	assert_int_equal(board_in(b, 0xcf8, 4), 0x80000000);
}

/* PCI 2.1, 6.1: what is read-only stays, status bits are not set by writing, other functions of a device exist only if
 * function 0 says so. */
static void headers(void **state)
{
	struct board *b = *state;
	unsigned found = 0;

	for (unsigned devfn = 0; devfn < FUNCTIONS; devfn++) {
		uint32_t id = board_cfg(b, devfn, 0, 4), class = board_cfg(b, devfn, 8, 4), status;

		if (id == ABSENT)
			continue;
		found++;
		if (devfn & 7)
			assert_true(board_cfg(b, devfn & ~7u, 0xe, 1) & 0x80);
		assert_int_equal(board_cfg(b, devfn, 0xe, 1) & 0x7f, 0);
		status = board_cfg(b, devfn, 6, 2);
		board_cfg_set(b, devfn, 0, 0x12345678, 4);
		board_cfg_set(b, devfn, 8, 0x12345678, 4);
		board_cfg_set(b, devfn, 0xe, 0x55, 1);
		board_cfg_set(b, devfn, 6, 0xffff, 2);
		assert_int_equal(board_cfg(b, devfn, 0, 4), id);
		assert_int_equal(board_cfg(b, devfn, 8, 4), class);
		assert_int_equal(board_cfg(b, devfn, 6, 2) & ~status, 0);
		board_cfg_set(b, devfn, 0x3c, 0xab, 1);
		if (board_cfg(b, devfn, 0x3d, 1)) /* with an interrupt pin, the line register is firmware's notepad */
			assert_int_equal(board_cfg(b, devfn, 0x3c, 1), 0xab);
	}
	assert_true(found >= 7); /* host, ISA, IDE, PM, VGA, entropy, disk */
}

/* PCI 2.2, 6.7: the capability list ends, stays within the header's upper part, on dword boundaries. */
static void capabilities(void **state)
{
	struct board *b = *state;
	unsigned lists = 0;

	for (unsigned devfn = 0; devfn < FUNCTIONS; devfn++) {
		unsigned at, n = 0;

		if (!present(b, devfn) || !(board_cfg(b, devfn, 6, 2) & 0x10))
			continue;
		for (at = board_cfg(b, devfn, 0x34, 1); at; at = board_cfg(b, devfn, at + 1, 1)) {
			assert_in_range(at, 0x40, 0xfc);
			assert_int_equal(at & 3, 0);
			assert_true(++n < 48);
		}
		assert_true(n);
		lists++;
	}
	assert_true(lists >= 2); /* entropy, disk */
}

static void sizing(void **state)
{
	struct board *b = *state;
	unsigned bars = 0;

	for (unsigned devfn = 0; devfn < FUNCTIONS; devfn++) {
		for (unsigned off = 0x10; present(b, devfn) && off < 0x28; off += 4) {
			bool wide;
			uint64_t size = board_bar_size(b, devfn, off, &wide);

			if (!size)
				continue;
			bars++;
			assert_int_equal(size & (size - 1), 0);
			assert_true(size >= (board_cfg(b, devfn, off, 4) & 1 ? 4 : 16));
			assert_true(size <= MIB(512));
			off += wide ? 4 : 0;
		}
		if (present(b, devfn)) { /* expansion ROM: bit 0 enables, the rest sizes */
			board_cfg_set(b, devfn, 0x30, 0xfffff800, 4);
			uint64_t size = ~board_cfg(b, devfn, 0x30, 4) + 1;

			assert_true((uint32_t)size == 0 || (size & 0xfffff000) >= 0x800);
			board_cfg_set(b, devfn, 0x30, 0, 4);
		}
	}
	assert_true(bars >= 5);
}

/* The frame buffer answers where its BAR says, only while memory decoding is on, and keeps its contents on the way. */
static void moving_memory(void **state)
{
	struct board *b = *state;
	static const uint64_t places[] = { 0xe0000000, 0xd0000000, 0xf0000000, 0xc0000000, 0xe0000000 };
	unsigned vga = 0;

	while (board_cfg(b, vga, 8, 4) >> 16 != 0x300)
		vga++;
	for (unsigned k = 0; k < ARRAY_LEN(places); k++) {
		board_cfg_set(b, vga, 0x10, (uint32_t)places[k], 4);
		board_cfg_set(b, vga, 4, 3, 2);
		if (k)
			assert_int_equal(board_read(b, places[k] + 0x1234, 4), 0xcafe0000 + k - 1);
		board_write(b, places[k] + 0x1234, 0xcafe0000 + k, 4);
		assert_int_equal(board_read(b, places[k] + 0x1234, 4), 0xcafe0000 + k);
		if (k)
			assert_int_equal(board_read(b, places[k - 1] + 0x1234, 4), 0xffffffff);
		board_cfg_set(b, vga, 4, 1, 2);
		assert_int_equal(board_read(b, places[k] + 0x1234, 4), 0xffffffff);
	}
}

/* A BAR over RAM or over the APICs hides nothing for good: moved away, what was there is there again. */
static void rude_places(void **state)
{
	struct board *b = *state;
	static const uint32_t places[] = { 0, 0x00800000, 0xfe000000, 0xff000000, 0xfffff000 };
	unsigned vga = 0;

	while (board_cfg(b, vga, 8, 4) >> 16 != 0x300)
		vga++;
	board_write(b, 0x800000, 0x5a5a1234, 4);
	for (unsigned k = 0; k < ARRAY_LEN(places); k++) {
		board_cfg_set(b, vga, 0x10, places[k], 4);
		board_cfg_set(b, vga, 4, 3, 2);
		board_write(b, places[k] + 0x10, k, 4);
		board_read(b, 0x800000, 4);
		board_cfg_set(b, vga, 0x10, 0xe0000000, 4);
	}
	board_write(b, 0x800010, 0x77, 4);
	assert_int_equal(board_read(b, 0x800000, 4), 0x5a5a1234);
	assert_int_equal(board_read(b, 0x800010, 4), 0x77);
	assert_int_equal(board_read(b, LAPIC + 0x30, 4) & 0xff, 0x14);
}

/* Bus-master IDE registers follow BAR 4 of the IDE function (290550 BMIBA), while I/O decoding is on. */
static void moving_ports(void **state)
{
	struct board *b = *state;
	static const unsigned places[] = { 0xc000, 0xd000, 0x1000, 0xfff0 };
	unsigned ide = board_find(b, PIIX3_IDE);

	for (unsigned k = 0; k < ARRAY_LEN(places); k++) {
		board_cfg_set(b, ide, 0x20, places[k], 4);
		assert_int_equal(board_cfg(b, ide, 0x20, 4), places[k] | 1);
		board_cfg_set(b, ide, 4, 5, 2);
		board_out(b, places[k] + 4, 0x1000 * (k + 1), 4);
		assert_int_equal(board_in(b, places[k] + 4, 4), 0x1000 * (k + 1));
		if (k)
			assert_int_equal(board_in(b, places[k - 1] + 4, 4), ABSENT);
		board_cfg_set(b, ide, 4, 0, 2);
		assert_int_equal(board_in(b, places[k] + 4, 4), ABSENT);
	}
}

/* --- interrupts, by a virtio disk --- */

/* Reads a sector with a chain of header, data, status. */
static void request(struct vdisk *d, uint64_t sector)
{
	uint16_t turn = d->avail;

	vdisk_request(d, VDISK_READ, sector, 512);
	vdisk_offer(d, 0);
	vdisk_kick(d);
	board_step(d->b, MS);
	assert_int_equal(vdisk_used(d), (uint16_t)(turn + 1));
	assert_int_equal(board_read(d->b, VDISK_STATUS, 1), 0);
	assert_int_equal(board_read(d->b, VDISK_DATA, 4), (sector + 1) * 0x01010101);
}

/* INTx through PIIX3 to the slave PIC: again after EOI until the ISR byte is read; routing and the disable
 * bit take it away. */
static void intx_to_pic(void **state)
{
	struct board *b = *state;
	struct vdisk d;

	board_start_pics(b);
	vdisk_find(b, &d);
	vdisk_start(&d, 0, 8);
	board_route(b, 11);
	board_unmask(b, 0x0c00);
	request(&d, 5);
	for (unsigned k = 0; k < 3; k++) {
		assert_int_equal(board_ack(b), 0x2b);
		board_eoi(b, 0x2b);
		assert_true(board_intr(b)); /* level */
	}
	board_route(b, 10);
	assert_int_equal(board_ack(b), 0x2a);
	board_eoi(b, 0x2a);
	board_cfg_set(b, d.devfn, 4, 0x406, 2);
	assert_false(board_intr(b));
	board_cfg_set(b, d.devfn, 4, 6, 2);
	assert_true(board_intr(b));
	assert_int_equal(board_read(b, d.isr, 1), 1);
	assert_false(board_intr(b));
	request(&d, 77);
	assert_int_equal(board_ack(b), 0x2a);
	assert_int_equal(board_read(b, d.isr, 1), 1);
	board_eoi(b, 0x2a);
	assert_false(board_intr(b));
}

/* The same to the I/O APIC's input of that number, level and low-active as firmware describes it. */
static void intx_to_ioapic(void **state)
{
	struct board *b = *state;
	struct vdisk d;

	board_write(b, LAPIC + 0xf0, 0x1ff, 4);
	vdisk_find(b, &d);
	vdisk_start(&d, 0, 8);
	board_route(b, 11);
	board_ioapic(b, 11, 0x8081);
	for (unsigned k = 0; k < 3; k++) {
		request(&d, k * 3);
		assert_int_equal(board_ack(b), 0x81);
		board_write(b, LAPIC + 0xb0, 0, 4); /* EOI before the device is asked: it comes again */
		assert_int_equal(board_ack(b), 0x81);
		assert_int_equal(board_read(b, d.isr, 1), 1);
		board_write(b, LAPIC + 0xb0, 0, 4);
		assert_false(board_intr(b));
	}
}

/* Where MSI-X's table or pending bits lie: BAR number in the low three bits of the register, offset above. */
static uint64_t structure(struct board *b, const struct vdisk *d, unsigned reg)
{
	uint32_t v = board_cfg(b, d->devfn, reg, 4);

	return 0xf8000000 + (v & 7) * 0x400000ull + (v & ~7u);
}

/* MSI-X: table, mask bits and pending bits in the device's own memory (PCI 3.0, 6.8.2); nothing on INTx then. */
static void msix(void **state)
{
	struct board *b = *state;
	struct vdisk d;
	unsigned cap;
	uint64_t table, pba;

	board_write(b, LAPIC + 0xf0, 0x1ff, 4);
	vdisk_find(b, &d);
	for (cap = board_cfg(b, d.devfn, 0x34, 1); board_cfg(b, d.devfn, cap, 1) != 0x11;)
		cap = board_cfg(b, d.devfn, cap + 1, 1);
	table = structure(b, &d, cap + 4);
	pba = structure(b, &d, cap + 8);
	board_cfg_set(b, d.devfn, cap + 2, 0x8000, 2);
	board_write(b, table, 0xfee00000, 8);
	board_write(b, table + 8, 0x91, 4);
	board_write(b, table + 12, 0, 4);
	vdisk_start(&d, 0, 8);
	board_write(b, d.common + 22, 0, 2);
	board_write(b, d.common + 26, 0, 2);
	assert_int_equal(board_read(b, d.common + 26, 2), 0);
	request(&d, 9);
	assert_int_equal(board_ack(b), 0x91);
	board_write(b, LAPIC + 0xb0, 0, 4);
	assert_int_equal(board_read(b, d.isr, 1), 0);
	board_write(b, table + 12, 1, 4);
	request(&d, 10);
	assert_false(board_intr(b));
	assert_int_equal(board_read(b, pba, 1) & 1, 1);
	board_write(b, table + 12, 0, 4);
	assert_int_equal(board_ack(b), 0x91);
	assert_int_equal(board_read(b, pba, 1) & 1, 0);
	board_write(b, LAPIC + 0xb0, 0, 4);
	board_cfg_set(b, d.devfn, cap + 2, 0xc000, 2); /* the function's mask */
	request(&d, 11);
	assert_false(board_intr(b));
	board_cfg_set(b, d.devfn, cap + 2, 0x8000, 2);
	assert_int_equal(board_ack(b), 0x91);
}

/* Without bus mastering a device reaches no memory (PCI 2.1, 6.2.2). */
static void no_mastering(void **state)
{
	struct board *b = *state;
	struct vdisk d;

	vdisk_find(b, &d);
	vdisk_start(&d, 0, 8);
	request(&d, 1);
	board_cfg_set(b, d.devfn, 4, 2, 2);
	vdisk_offer(&d, 0);
	vdisk_kick(&d);
	board_step(b, MS);
	assert_int_equal(vdisk_used(&d), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(mechanism), T(headers), T(capabilities), T(sizing), T(moving_memory), T(rude_places),
		T(moving_ports), T(intx_to_pic), T(intx_to_ioapic), T(msix), T(no_mastering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
