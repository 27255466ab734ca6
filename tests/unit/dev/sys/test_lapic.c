// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the local APIC by its registers (SDM vol 3 chapter 11) */
#include "unit.h"

#include "dev/sys/lapic.h"

enum {
	ID = 0x20, VER = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100,
	TMR = 0x180,
	IRR = 0x200, ESR = 0x280, ICR = 0x300, ICR2 = 0x310, LVTT = 0x320, LINT0 = 0x350, LINT1 = 0x360, LVTE = 0x370,
	TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0,
};

static struct loop *loop;
static struct mem *mem;
static struct lapic_bus *bus;
static struct lapic *apic[2];
static bool intr[2];
static int nmis, inits, sipi_vector, acks;
static int eoi_vector;

static void on_intr(void *opaque, int n, bool level)
{
	intr[n] = level;
}

static void count_up(void *opaque, int n, bool level)
{
	*(int *)opaque += level;
}

static void on_sipi(void *opaque, int n, bool level)
{
	sipi_vector = n;
}

static void on_eoi(void *opaque, uint8_t vector)
{
	eoi_vector = vector;
}

static int pic_ack(void *opaque)
{
	acks++;
	lapic_set_lint(apic[0], 0, false);
	return 0x08;
}

/* Guest TSC at 2 GHz. */
static uint64_t tsc_to_ns(void *opaque, uint64_t tsc)
{
	return (tsc + 1) / 2;
}

static uint32_t rd(unsigned off)
{
	return lapic_mmio_read(apic[0], off);
}

static void wr(unsigned off, uint32_t val)
{
	lapic_mmio_write(apic[0], off, val);
}

static struct lapic *make(struct state_set *set, unsigned n)
{
	struct lapic_config cfg = {
		.loop = loop, .set = set, .bus = bus, .id = n, .bsp = n == 0, .x2apic = true,
		.intr = {on_intr, NULL, (int)n}, .nmi = {count_up, &nmis, 0}, .init = {count_up, &inits, 0},
		.sipi = {on_sipi, NULL, 0}, .extint_ack = pic_ack, .tsc_to_ns = tsc_to_ns,
	};

	return lapic_new(&cfg);
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();

	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(1), MIB(1), NULL);
	bus = lapic_bus_new(mem);
	lapic_bus_set_eoi(bus, on_eoi, NULL);
	intr[0] = intr[1] = false;
	nmis = inits = acks = 0;
	sipi_vector = eoi_vector = -1;
	apic[0] = make(set, 0);
	apic[1] = make(set, 1);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	for (int i = 0; i < 2; i++)
		lapic_mmio_write(apic[i], SVR, 0x1ff);
	return 0;
}

static int teardown(void **state)
{
	lapic_free(apic[0]);
	lapic_free(apic[1]);
	lapic_bus_free(bus);
	mem_free(mem);
	loop_free(loop);
	return 0;
}

static void send(uint8_t vector, bool level)
{
	lapic_bus_deliver(bus, 0, false, LAPIC_FIXED, vector, level);
}

/* 11.4.7.1: LVTs masked, SVR 0xff, DFR all ones; the window answers at 0xfee00000 and nowhere when disabled. */
static void test_reset(void **state)
{
	uint64_t base;
	uint32_t val;

	lapic_reset(apic[0]);
	assert_int_equal(rd(SVR), 0xff);
	assert_int_equal(rd(DFR), 0xffffffff);
	assert_int_equal(rd(LVTT), 0x10000);
	assert_int_equal(rd(VER), 0x50014);
	mem_read(mem, 0xfee000f0, &val, 4);
	assert_int_equal(val, 0xff);
	assert_true(lapic_msr_read(apic[0], MSR_APIC_BASE, &base));
	assert_int_equal(base, 0xfee00900);
	base &= ~0x800ull;
	assert_true(lapic_msr_write(apic[0], MSR_APIC_BASE, &base));
	mem_read(mem, 0xfee000f0, &val, 4);
	assert_int_equal(val, 0xffffffff);
	assert_false(lapic_enabled(apic[0]));
}

/* 11.8.4: the higher vector goes first; one of the same or a lower class waits for EOI. */
static void test_priority(void **state)
{
	send(0x51, false);
	send(0x62, false);
	assert_true(intr[0]);
	assert_int_equal(lapic_ack(apic[0]), 0x62);
	assert_false(intr[0]);
	assert_int_equal(rd(ISR + 0x30), 1u << 2);
	assert_int_equal(rd(PPR), 0x60);
	assert_int_equal(lapic_ack(apic[0]), -1);
	send(0x6f, false); /* same class */
	assert_false(intr[0]);
	send(0x71, false);
	assert_int_equal(lapic_ack(apic[0]), 0x71);
	wr(EOI, 0);
	wr(EOI, 0);
	assert_int_equal(lapic_ack(apic[0]), 0x6f);
	wr(EOI, 0);
	assert_int_equal(lapic_ack(apic[0]), 0x51);
	assert_int_equal(eoi_vector, -1); /* edge: nothing on the bus */
}

/* 11.8.6: CR8 is TPR[7:4]; raising it withdraws the request, lowering it brings it back. */
static void test_tpr(void **state)
{
	send(0x45, false);
	assert_true(intr[0]);
	lapic_set_tpr(apic[0], 4);
	assert_false(intr[0]);
	assert_int_equal(rd(TPR), 0x40);
	assert_int_equal(lapic_ack(apic[0]), -1);
	wr(TPR, 0x3f);
	assert_int_equal(lapic_get_tpr(apic[0]), 3);
	assert_int_equal(lapic_ack(apic[0]), 0x45);
}

/* 11.8.5: EOI of a level-triggered vector is told to the IO-APIC. */
static void test_level_eoi(void **state)
{
	send(0x33, true);
	assert_int_equal(rd(TMR + 0x10), 1u << 19);
	assert_int_equal(lapic_ack(apic[0]), 0x33);
	wr(EOI, 0);
	assert_int_equal(eoi_vector, 0x33);
}

/* 11.4.7.2: software disable masks LVTs for good and refuses fixed interrupts; NMI still comes. */
static void test_soft_disable(void **state)
{
	wr(LINT1, 0x400);
	wr(SVR, 0xff);
	assert_int_equal(rd(LINT1), 0x10400);
	wr(LINT1, 0x400);
	assert_int_equal(rd(LINT1), 0x10400);
	send(0x33, false);
	assert_false(intr[0]);
	assert_int_equal(lapic_bus_deliver(bus, 0, false, LAPIC_NMI, 0, false), 1);
	assert_int_equal(nmis, 1);
}

/* LINT0 in ExtINT mode is the PIC's way in; LINT1 in NMI mode fires at the rising edge. */
static void test_lint(void **state)
{
	lapic_set_lint(apic[0], 0, true);
	assert_false(intr[0]); /* masked */
	wr(LINT0, 0x700);
	assert_true(intr[0]);
	assert_int_equal(lapic_ack(apic[0]), 0x08);
	assert_int_equal(acks, 1);
	assert_false(intr[0]);
	wr(LINT1, 0x400);
	lapic_set_lint(apic[0], 1, true);
	lapic_set_lint(apic[0], 1, true);
	assert_int_equal(nmis, 1);
}

/* 11.4.3: an APIC disabled by IA32_APIC_BASE passes INTR and NMI through. */
static void test_hard_disable(void **state)
{
	uint64_t base = 0xfee00100;

	assert_true(lapic_msr_write(apic[0], MSR_APIC_BASE, &base));
	lapic_set_lint(apic[0], 0, true);
	assert_true(intr[0]);
	assert_int_equal(lapic_ack(apic[0]), 0x08);
	lapic_set_lint(apic[0], 1, true);
	assert_int_equal(nmis, 1);
}

/* LINT0 fixed and level: one interrupt until EOI, again while the line is up. */
static void test_lint_level(void **state)
{
	wr(LINT0, 0x8055);
	lapic_set_lint(apic[0], 0, true);
	assert_int_equal(lapic_ack(apic[0]), 0x55);
	assert_int_equal(rd(LINT0), 0xc055);
	assert_false(intr[0]);
	wr(EOI, 0);
	assert_true(intr[0]);
	assert_int_equal(lapic_ack(apic[0]), 0x55);
	lapic_set_lint(apic[0], 0, false);
	wr(EOI, 0);
	assert_false(intr[0]);
	assert_int_equal(rd(LINT0), 0x8055);
}

/* 11.5.4: one-shot counts down once at clock / divider. */
static void test_timer_oneshot(void **state)
{
	wr(TDCR, 0x3); /* 16 */
	wr(LVTT, 0x40);
	wr(TMICT, 1000);
	assert_int_equal(rd(TMCCT), 1000);
	loop_step(loop, 8000);
	assert_int_equal(rd(TMCCT), 500);
	assert_false(intr[0]);
	loop_step(loop, 8000);
	assert_int_equal(rd(TMCCT), 0);
	assert_int_equal(lapic_ack(apic[0]), 0x40);
	wr(EOI, 0);
	loop_step(loop, 100000);
	assert_false(intr[0]);
}

/* Periodic reloads; masking does not stop the count; unmasking goes on at the old phase. */
static void test_timer_periodic(void **state)
{
	wr(TDCR, 0xb); /* 1 */
	wr(LVTT, 0x20041);
	wr(TMICT, 1000000);
	for (int i = 0; i < 3; i++) {
		loop_step(loop, 999999);
		assert_false(intr[0]);
		loop_step(loop, 1);
		assert_int_equal(lapic_ack(apic[0]), 0x41);
		wr(EOI, 0);
	}
	wr(LVTT, 0x30041);
	loop_step(loop, 2500000);
	assert_false(intr[0]);
	assert_int_equal(rd(TMCCT), 500000);
	wr(LVTT, 0x20041);
	loop_step(loop, 499999);
	assert_false(intr[0]);
	loop_step(loop, 1);
	assert_true(intr[0]);
}

/* A hostile period of one nanosecond must not keep the I/O thread busy. */
static void test_timer_flood(void **state)
{
	wr(TDCR, 0xb);
	wr(LVTT, 0x20041);
	wr(TMICT, 1);
	loop_step(loop, 1000000000); /* returns in reasonable time */
	assert_int_equal(lapic_ack(apic[0]), 0x41);
}

/* 11.5.4.1: TSC deadline: fires once, reads 0 after; a past one fires at once; 0 disarms; other modes ignore the
 * MSR. */
static void test_timer_deadline(void **state)
{
	uint64_t v = 2000000;

	assert_true(lapic_msr_write(apic[0], MSR_TSC_DEADLINE, &v));
	assert_true(lapic_msr_read(apic[0], MSR_TSC_DEADLINE, &v));
	assert_int_equal(v, 0);
	wr(LVTT, 0x40042);
	wr(TMICT, 5);
	assert_int_equal(rd(TMCCT), 0);
	v = 2000000;
	assert_true(lapic_msr_write(apic[0], MSR_TSC_DEADLINE, &v));
	loop_step(loop, 999999);
	assert_false(intr[0]);
	loop_step(loop, 1);
	assert_int_equal(lapic_ack(apic[0]), 0x42);
	wr(EOI, 0);
	assert_true(lapic_msr_read(apic[0], MSR_TSC_DEADLINE, &v));
	assert_int_equal(v, 0);
	v = 1;
	lapic_msr_write(apic[0], MSR_TSC_DEADLINE, &v);
	assert_int_equal(lapic_ack(apic[0]), 0x42);
	wr(EOI, 0);
	v = 4000000;
	lapic_msr_write(apic[0], MSR_TSC_DEADLINE, &v);
	v = 0;
	lapic_msr_write(apic[0], MSR_TSC_DEADLINE, &v);
	loop_step(loop, 5000000);
	assert_false(intr[0]);
}

/* 11.6.1: self, all but self, physical, and the INIT-SIPI sequence. */
static void test_ipi(void **state)
{
	wr(ICR, 0x40081); /* self */
	assert_int_equal(lapic_ack(apic[0]), 0x81);
	wr(ICR, 0xc0082);
	assert_false(intr[0]);
	assert_int_equal(lapic_ack(apic[1]), 0x82);
	wr(ICR2, 1u << 24);
	wr(ICR, 0x4500);
	assert_int_equal(inits, 1);
	assert_int_equal(lapic_mmio_read(apic[1], SVR), 0xff);
	wr(ICR, 0x8500); /* de-assert */
	assert_int_equal(inits, 1);
	wr(ICR, 0x4608);
	assert_int_equal(sipi_vector, 0x08);
	assert_int_equal(rd(ICR) & 0x1000, 0);
}

/* 11.6.2.2: flat and cluster logical destinations; 11.6.2.4 lowest priority. */
static void test_logical(void **state)
{
	wr(LDR, 0x01000000);
	lapic_mmio_write(apic[1], LDR, 0x02000000);
	assert_int_equal(lapic_bus_deliver(bus, 0x3, true, LAPIC_FIXED, 0x50, false), 2);
	assert_int_equal(lapic_bus_deliver(bus, 0x4, true, LAPIC_FIXED, 0x50, false), 0);
	wr(DFR, 0x0fffffff);
	wr(LDR, 0x12000000);
	assert_int_equal(lapic_bus_deliver(bus, 0x12, true, LAPIC_FIXED, 0x50, false), 2); /* flat ldr 2 matches as well */
	assert_int_equal(lapic_bus_deliver(bus, 0x2d, true, LAPIC_FIXED, 0x50, false), 0);
	lapic_set_tpr(apic[0], 5);
	assert_int_equal(lapic_bus_deliver(bus, LAPIC_DEST_ALL, false, LAPIC_LOWEST, 0x61, false), 1);
	assert_int_equal(lapic_ack(apic[1]), 0x61);
	lapic_set_tpr(apic[0], 0);
	lapic_set_tpr(apic[1], 5);
	wr(ICR, 0xc0162); /* 11.6.1: not to the sender, though its priority is the lowest */
	assert_int_equal(rd(IRR + 0x30) & 4, 0);
	assert_int_equal(lapic_mmio_read(apic[1], IRR + 0x30) & 4, 4);
}

static unsigned asking;

static unsigned who_asks(void *opaque)
{
	return asking;
}

static uint32_t seen_by(unsigned n, unsigned off)
{
	uint32_t val;

	asking = n;
	mem_read(mem, 0xfee00000 + off, &val, 4);
	return val;
}

/* 11.4.3, 11.12.1: each CPU has its own window: one in x2APIC mode, or switched off, takes away no other's. */
static void test_windows(void **state)
{
	uint64_t x2 = 0xfee00d00, off = 0xfee00000, on = 0xfee00800;

	lapic_bus_set_current(bus, who_asks, NULL);
	assert_true(lapic_msr_write(apic[0], MSR_APIC_BASE, &x2));
	assert_int_equal(seen_by(0, ID), 0xffffffff);
	assert_int_equal(seen_by(1, ID), 1u << 24);
	assert_true(lapic_msr_write(apic[1], MSR_APIC_BASE, &off));
	assert_int_equal(seen_by(1, ID), 0xffffffff);
	assert_true(lapic_msr_write(apic[1], MSR_APIC_BASE, &on));
	assert_int_equal(seen_by(1, ID), 1u << 24);
}

/* 11.11: an MSI carries destination, vector and mode in address and data. */
static void test_msi(void **state)
{
	lapic_bus_msi(bus, 0xfee01000, 0x0077);
	assert_false(intr[0]);
	assert_int_equal(lapic_ack(apic[1]), 0x77);
	lapic_bus_msi(bus, 0xfed00000, 0x0077);
	assert_int_equal(lapic_ack(apic[1]), -1);
}

/* 11.5.3: illegal vectors and registers are errors, readable after a write to ESR; the error LVT tells. */
static void test_errors(void **state)
{
	wr(LVTE, 0xfe);
	wr(ICR, 0x40005);
	assert_int_equal(rd(ESR), 0);
	wr(ESR, 0);
	assert_int_equal(rd(ESR), 0x20);
	assert_int_equal(lapic_ack(apic[0]), 0xfe);
	rd(0x40);
	wr(ESR, 0);
	assert_int_equal(rd(ESR), 0x80);
	wr(LVTE, 0x00); /* its own vector is illegal: must end */
	send(3, false);
	wr(ESR, 0);
	assert_int_equal(rd(ESR), 0x40);
}

/* 11.12: x2APIC registers as MSRs; reserved bits, absent registers and mode changes fault as listed in 11.12.5. */
static void test_x2apic(void **state)
{
	uint64_t v = 0xfee00d00;

	assert_false(lapic_msr_read(apic[1], 0x802, &v));
	v = 0xfee00c00;
	assert_true(lapic_msr_write(apic[1], MSR_APIC_BASE, &v));
	assert_true(lapic_msr_read(apic[1], 0x802, &v));
	assert_int_equal(v, 1);
	assert_true(lapic_msr_read(apic[1], 0x80d, &v));
	assert_int_equal(v, 2);
	assert_false(lapic_msr_read(apic[1], 0x80e, &v));
	assert_false(lapic_msr_read(apic[1], 0x80b, &v));
	v = 0x100;
	assert_false(lapic_msr_write(apic[1], 0x808, &v));
	v = 1;
	assert_false(lapic_msr_write(apic[1], 0x80b, &v));
	v = 0x93;
	assert_true(lapic_msr_write(apic[1], 0x83f, &v));
	assert_int_equal(lapic_ack(apic[1]), 0x93);
	v = 0;
	assert_true(lapic_msr_write(apic[1], 0x80b, &v));
	v = 0x0000000000000044; /* ICR: to APIC 0 */
	assert_true(lapic_msr_write(apic[1], 0x830, &v));
	assert_int_equal(lapic_ack(apic[0]), 0x44);
	assert_int_equal(lapic_bus_deliver(bus, 2, true, LAPIC_FIXED, 0x95, false), 1); /* cluster 0, bit 1 */
	assert_int_equal(lapic_ack(apic[1]), 0x95);
	v = 0xfee00800; /* straight back to xAPIC */
	assert_false(lapic_msr_write(apic[1], MSR_APIC_BASE, &v));
	v = 0xfee00000;
	assert_true(lapic_msr_write(apic[1], MSR_APIC_BASE, &v));
	v = 0xfee00c00; /* off to x2APIC */
	assert_false(lapic_msr_write(apic[1], MSR_APIC_BASE, &v));
}

/* A CPU with interrupts off wakes by LINT0 only if that sends NMI or INIT. */
static void test_wakes(void **state)
{
	wr(0xf0, 0x1ff);
	wr(LINT0, LAPIC_EXTINT << 8);
	assert_false(lapic_wakes(apic[0]));
	wr(LINT0, LAPIC_NMI << 8);
	assert_true(lapic_wakes(apic[0]));
	wr(LINT0, 0x10000 | LAPIC_NMI << 8);
	assert_false(lapic_wakes(apic[0]));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tpr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level_eoi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_soft_disable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hard_disable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lint_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_oneshot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_logical, setup, teardown),
		cmocka_unit_test_setup_teardown(test_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_x2apic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wakes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
