// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the I/O APIC by its registers (82093AA data sheet), with a local APIC as receiver */
#include "unit.h"

#include "dev/sys/ioapic.h"

static struct loop *loop;
static struct lapic_bus *bus;
static struct lapic *apic;
static struct ioapic *io;

static int setup(void **state)
{
	struct state_set *set = state_set_new();

	loop = loop_new_stepped();
	bus = lapic_bus_new(NULL);
	apic = lapic_new(&(struct lapic_config){.loop = loop, .bus = bus, .bsp = true});
	io = ioapic_new(&(struct ioapic_config){.set = set, .bus = bus, .id = 2, .eoi_register = true});
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	lapic_mmio_write(apic, 0xf0, 0x1ff);
	return 0;
}

static int teardown(void **state)
{
	ioapic_free(io);
	lapic_free(apic);
	lapic_bus_free(bus);
	loop_free(loop);
	return 0;
}

static uint32_t rd(unsigned reg)
{
	ioapic_mmio_write(io, 0, reg);
	return ioapic_mmio_read(io, 0x10);
}

static void wr(unsigned reg, uint32_t val)
{
	ioapic_mmio_write(io, 0, reg);
	ioapic_mmio_write(io, 0x10, val);
}

static void eoi(void)
{
	lapic_mmio_write(apic, 0xb0, 0);
}

/* 3.2: id, version with 24 entries, all masked after reset. */
static void test_registers(void **state)
{
	assert_int_equal(rd(0), 2u << 24);
	assert_int_equal(rd(1), 0x170020);
	assert_int_equal(rd(0x10), 0x10000);
	assert_int_equal(rd(0x3e), 0x10000);
	wr(0x12, 0xffffffff);
	assert_int_equal(rd(0x12), 0x1afff);
	wr(0x13, 0xffffffff);
	assert_int_equal(rd(0x13), 0xff000000);
	wr(0x40, 0x55);
	assert_int_equal(rd(0x40), 0);
	assert_int_equal(rd(0xff), 0);
}

/* 3.2.4: an edge while masked is lost; one while unmasked is delivered once. */
static void test_edge(void **state)
{
	ioapic_set_pin(io, 4, true);
	ioapic_set_pin(io, 4, false);
	wr(0x18, 0x34);
	assert_int_equal(lapic_ack(apic), -1);
	ioapic_set_pin(io, 4, true);
	assert_int_equal(lapic_ack(apic), 0x34);
	eoi();
	assert_int_equal(lapic_ack(apic), -1);
	ioapic_set_pin(io, 4, false);
	ioapic_set_pin(io, 4, true);
	assert_int_equal(lapic_ack(apic), 0x34);
}

/* Level: remote IRR from delivery to EOI; a line still up interrupts again, one gone down does not. */
static void test_level(void **state)
{
	wr(0x24, 0x803a);
	ioapic_set_pin(io, 10, true);
	assert_int_equal(rd(0x24), 0xc03a);
	assert_int_equal(lapic_ack(apic), 0x3a);
	eoi();
	assert_int_equal(lapic_ack(apic), 0x3a);
	ioapic_set_pin(io, 10, false);
	eoi();
	assert_int_equal(rd(0x24), 0x803a);
	assert_int_equal(lapic_ack(apic), -1);
}

/* A level input raised while masked interrupts at unmasking; masking in service and EOI do not lose it. */
static void test_level_mask(void **state)
{
	ioapic_set_pin(io, 10, true);
	wr(0x24, 0x1803a);
	assert_int_equal(lapic_ack(apic), -1);
	wr(0x24, 0x803a);
	assert_int_equal(lapic_ack(apic), 0x3a);
	wr(0x24, 0x1803a);
	eoi();
	assert_int_equal(lapic_ack(apic), -1);
	wr(0x24, 0x803a);
	assert_int_equal(lapic_ack(apic), 0x3a);
}

/* Not taken by any APIC: no remote IRR, so the next chance is not lost. */
static void test_level_refused(void **state)
{
	wr(0x25, 9u << 24);
	wr(0x24, 0x803a);
	ioapic_set_pin(io, 10, true);
	assert_int_equal(rd(0x24), 0x803a);
	wr(0x25, 0);
	assert_int_equal(lapic_ack(apic), 0x3a);
}

/* Directed EOI (version 0x20) and the way by edge mode both clear remote IRR. */
static void test_other_eoi(void **state)
{
	wr(0x24, 0x803a);
	ioapic_set_pin(io, 10, true);
	ioapic_set_pin(io, 10, false);
	ioapic_mmio_write(io, 0x40, 0x3a);
	assert_int_equal(rd(0x24), 0x803a);
	ioapic_set_pin(io, 10, true);
	wr(0x24, 0x1003a);
	wr(0x24, 0x1803a);
	assert_int_equal(rd(0x24), 0x1803a);
}

/* Two pins on one vector are both released by its EOI. */
static void test_shared_vector(void **state)
{
	wr(0x24, 0x803a);
	wr(0x26, 0x803a);
	ioapic_set_pin(io, 10, true);
	ioapic_set_pin(io, 11, true);
	assert_int_equal(lapic_ack(apic), 0x3a);
	ioapic_set_pin(io, 10, false);
	eoi();
	assert_int_equal(lapic_ack(apic), 0x3a);
	assert_int_equal(lapic_ack(apic), -1);
}

/* A CPU with interrupts off wakes by an unmasked input in NMI mode, not by one in fixed mode. */
static void test_wakes(void **state)
{
	wr(0x10 + 2 * 5, 0x35);
	assert_false(ioapic_wakes(io));
	wr(0x10 + 2 * 7, LAPIC_NMI << 8);
	assert_true(ioapic_wakes(io));
	wr(0x10 + 2 * 7, 0x10000 | LAPIC_NMI << 8);
	assert_false(ioapic_wakes(io));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level_mask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_eoi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_vector, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wakes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
