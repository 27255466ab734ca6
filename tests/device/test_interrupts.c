// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: interrupt lines from timers, serial port and x87 through PICs, I/O APIC and local APIC to the CPU
 */
#include "board.h"

#define MASKED 0x10000
#define LEVEL 0x8000

/* PIT channel 0, mode 2. */
static void pit_start(struct board *b, unsigned count)
{
	board_out(b, 0x43, 0x34, 1);
	board_out(b, 0x40, count & 0xff, 1);
	board_out(b, 0x40, count >> 8, 1);
}

static void rtc(struct board *b, unsigned reg, unsigned val)
{
	board_out(b, 0x70, reg, 1);
	board_out(b, 0x71, val, 1);
}

static unsigned rtc_get(struct board *b, unsigned reg)
{
	board_out(b, 0x70, reg, 1);
	return board_in(b, 0x71, 1);
}

/* The timer's whole way: PIT OUT0, line 0, master PIC, LINT0 as ExtINT, CPU; once for each EOI (8259A, fully
 * nested mode). */
static void pit_to_cpu(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_unmask(b, 1);
	pit_start(b, 1193);
	board_step(b, 990 * US);
	assert_false(board_intr(b));
	board_step(b, 15 * US);
	assert_true(board_intr(b));
	assert_int_equal(board_ack(b), 0x20);
	assert_false(board_intr(b));
	board_step(b, 10 * MS);
	assert_false(board_intr(b)); /* in service */
	board_eoi(b, 0x20);
	assert_true(board_intr(b)); /* one is remembered, not ten */
	assert_int_equal(board_ack(b), 0x20);
	board_eoi(b, 0x20);
	assert_false(board_intr(b));
}

/* 8254 mode 2, PIC: ticks over ten seconds are counted to one. */
static void pit_rate(void **state)
{
	struct board *b = *state;
	unsigned ticks = 0;

	board_start_pics(b);
	board_unmask(b, 1);
	pit_start(b, 11932); /* 100 Hz */
	for (unsigned k = 0; k < 10000; k++) {
		board_step(b, MS);
		if (!board_intr(b))
			continue;
		assert_int_equal(board_ack(b), 0x20);
		board_eoi(b, 0x20);
		ticks++;
	}
	assert_in_range(ticks, 10 * PIT_HZ / 11932 - 1, 10 * PIT_HZ / 11932 + 1);
}

/* Three chips at once: line 0 before 8 (at the cascade's place, 2) before 4; a lower one waits for EOI
 * (8259A priorities). */
static void priorities(void **state)
{
	struct board *b = *state;
	static const int order[] = { 0x20, 0x28, 0x24 };

	board_start_pics(b);
	rtc(b, 10, 0x26); /* periodic, 1024 Hz */
	rtc(b, 11, 0x42);
	board_out(b, 0x3fc, 8, 1); /* OUT2 */
	board_out(b, 0x3f9, 2, 1); /* transmitter empty */
	pit_start(b, 1193);
	board_step(b, 5 * MS);
	board_unmask(b, 0x0111);
	for (unsigned k = 0; k < 3; k++) {
		assert_true(board_intr(b));
		assert_int_equal(board_ack(b), order[k]);
		assert_false(board_intr(b));
		board_out(b, 0x21, board_in(b, 0x21, 1) | (order[k] < 0x28 ? 1 << (order[k] & 7) : 0), 1);
		board_eoi(b, order[k]);
	}
	assert_false(board_intr(b));
	assert_int_equal(rtc_get(b, 12) & 0xf0, 0xc0);
	assert_int_equal(board_in(b, 0x3fa, 1) & 15, 2);
}

/* A higher line interrupts the handler of a lower one, and its EOI ends the higher one's service. */
static void nested(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_out(b, 0x3fc, 8, 1);
	board_out(b, 0x3f9, 2, 1);
	board_unmask(b, 0x11);
	assert_int_equal(board_ack(b), 0x24);
	pit_start(b, 1193);
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), 0x20);
	board_out(b, 0x20, 0x0b, 1);
	assert_int_equal(board_in(b, 0x20, 1), 0x11);
	board_eoi(b, 0x20);
	board_out(b, 0x20, 0x0b, 1);
	assert_int_equal(board_in(b, 0x20, 1), 0x10);
}

/* 8259A OCW2, rotation: the line served by a rotating EOI goes last; "set priority" names the last one. */
static void rotation(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_out(b, 0x3fc, 8, 1);
	pit_start(b, 1193);
	board_unmask(b, 0x11);
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), 0x20);
	board_out(b, 0x20, 0xa0, 1); /* rotate on non-specific EOI */
	board_out(b, 0x3f9, 2, 1);
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), 0x24); /* line 0 is the lowest now */
	board_out(b, 0x20, 0x20, 1);
	assert_int_equal(board_ack(b), 0x20);
	board_out(b, 0x20, 0x20, 1);
	board_out(b, 0x20, 0xc7, 1); /* line 7 lowest: as at the start */
	board_out(b, 0x3f9, 0, 1);
	board_out(b, 0x3f9, 2, 1);
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), 0x20);
}

/* PIIX3: line 0 is pin 2 of the I/O APIC, the others their own number; an edge while masked is lost (82093AA 3.2.4). */
static void ioapic_edges(void **state)
{
	struct board *b = *state;

	board_write(b, LAPIC + 0xf0, 0x1ff, 4);
	pit_start(b, 1193);
	board_step(b, 5 * MS);
	board_ioapic(b, 2, 0x51);
	assert_false(board_intr(b));
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), 0x51);
	board_step(b, 2 * MS);
	assert_false(board_intr(b)); /* one in service, one remembered in IRR is behind it */
	board_write(b, LAPIC + 0xb0, 0, 4);
	assert_int_equal(board_ack(b), 0x51);
	board_write(b, LAPIC + 0xb0, 0, 4);
	board_ioapic(b, 2, 0x51 | MASKED);
	board_ioapic(b, 4, 0x62);
	board_out(b, 0x3fc, 8, 1);
	board_out(b, 0x3f9, 2, 1);
	assert_int_equal(board_ack(b), 0x62);
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), -1);
}

/* A level input comes again after EOI while its line is up (82093AA 3.2.4, remote IRR). */
static void ioapic_level(void **state)
{
	struct board *b = *state;

	board_write(b, LAPIC + 0xf0, 0x1ff, 4);
	board_out(b, 0x3fc, 8, 1);
	board_ioapic(b, 4, 0x73 | LEVEL);
	board_out(b, 0x3f9, 2, 1);
	for (unsigned k = 0; k < 3; k++) {
		assert_int_equal(board_ack(b), 0x73);
		board_write(b, IOAPIC, 0x18, 4);
		assert_true(board_read(b, IOAPIC + 0x10, 4) & 0x4000);
		board_write(b, LAPIC + 0xb0, 0, 4);
	}
	board_out(b, 0x3f9, 0, 1);
	assert_int_equal(board_ack(b), 0x73); /* already accepted when the line fell */
	board_write(b, LAPIC + 0xb0, 0, 4);
	assert_false(board_intr(b));
	board_write(b, IOAPIC, 0x18, 4);
	assert_false(board_read(b, IOAPIC + 0x10, 4) & 0x4000);
}

/* Local APIC and PICs at once: the APIC's own vectors and ExtINT both arrive; TPR holds the former only (SDM
 * vol 3 10.8). */
static void apic_and_pic(void **state)
{
	struct board *b = *state;
	int first, second;

	board_start_pics(b);
	board_unmask(b, 1);
	pit_start(b, 1193);
	board_step(b, 2 * MS);
	board_write(b, LAPIC + 0x300, 0x40045, 4); /* to itself */
	first = board_ack(b);
	second = board_ack(b);
	assert_true((first == 0x20 && second == 0x45) || (first == 0x45 && second == 0x20));
	assert_false(board_intr(b));
	board_eoi(b, 0x20);
	board_write(b, LAPIC + 0xb0, 0, 4);
	board_write(b, LAPIC + 0x80, 0x50, 4);
	board_write(b, LAPIC + 0x300, 0x40045, 4);
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), 0x20);
	assert_int_equal(board_ack(b), -1);
	board_write(b, LAPIC + 0x80, 0, 4);
	assert_int_equal(board_ack(b), 0x45);
}

/* APIC timer: one shot, periodic, divider; the count runs with the same clock as the PIT (SDM vol 3 10.5.4). */
static void apic_timer(void **state)
{
	struct board *b = *state;
	unsigned ticks = 0;

	board_write(b, LAPIC + 0xf0, 0x1ff, 4);
	board_write(b, LAPIC + 0x3e0, 3, 4); /* by 16 of 1 GHz */
	board_write(b, LAPIC + 0x320, 0x40, 4);
	board_write(b, LAPIC + 0x380, 62500, 4); /* 1 ms */
	board_step(b, MS / 2);
	assert_in_range(board_read(b, LAPIC + 0x390, 4), 31249, 31251);
	board_step(b, MS / 2 - 1);
	assert_false(board_intr(b));
	board_step(b, 1);
	assert_int_equal(board_ack(b), 0x40);
	board_write(b, LAPIC + 0xb0, 0, 4);
	board_step(b, 10 * MS);
	assert_false(board_intr(b));
	board_write(b, LAPIC + 0x320, 0x20040, 4);
	board_write(b, LAPIC + 0x380, 62500, 4);
	for (unsigned k = 0; k < 1000; k++) {
		board_step(b, 100 * US);
		if (!board_intr(b))
			continue;
		assert_int_equal(board_ack(b), 0x40);
		board_write(b, LAPIC + 0xb0, 0, 4);
		ticks++;
	}
	assert_int_equal(ticks, 100);
}

/* HPET 1.0a 2.3.5: legacy replacement takes line 0 from the PIT and line 8 from the RTC, and gives them back. */
static void hpet_replaces(void **state)
{
	struct board *b = *state;
	uint64_t period = board_read(b, HPET + 4, 4); /* fs */

	board_start_pics(b);
	board_unmask(b, 0x101);
	board_write(b, HPET + 0x10, 3, 4); /* legacy, running */
	pit_start(b, 1193);
	rtc(b, 10, 0x26);
	rtc(b, 11, 0x42);
	board_step(b, 50 * MS);
	assert_false(board_intr(b));
	board_write(b, HPET + 0x100, 0x14c, 4); /* 32 bits, enabled, periodic, set the accumulator */
	board_write(b, HPET + 0x108, board_read(b, HPET + 0xf0, 4) + 5 * MS * 1000000 / period, 4);
	board_write(b, HPET + 0x108, 5 * MS * 1000000 / period, 4);
	for (unsigned k = 0; k < 4; k++) {
		board_step(b, 5 * MS + US);
		assert_int_equal(board_ack(b), 0x20);
		board_eoi(b, 0x20);
	}
	board_write(b, HPET + 0x100, 0, 4);
	board_write(b, HPET + 0x120, 0x104, 4); /* timer 1, once */
	board_write(b, HPET + 0x128, board_read(b, HPET + 0xf0, 4) + MS * 1000000 / period, 4);
	board_step(b, MS + US);
	assert_int_equal(board_ack(b), 0x28);
	board_eoi(b, 0x28);
	board_write(b, HPET + 0x10, 1, 4);
	board_step(b, 2 * MS);
	assert_int_equal(board_ack(b), 0x20);
}

/* FERR# latches line 13; the handler's write to F0H drops it, so that the next error is an edge, and asks the CPU for
 * IGNNE# (290550 CERR). */
static void x87_errors(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_unmask(b, 0x2000);
	for (unsigned k = 0; k < 3; k++) {
		loop_lock(b->pc->loop);
		wire_set(&b->pc->isa_irq13, true);
		loop_unlock(b->pc->loop);
		assert_int_equal(board_ack(b), 0x2d);
		board_eoi(b, 0x2d);
		assert_false(board_intr(b));
		board_out(b, 0xf0, 0, 1);
		assert_int_equal(vcpu_cpu(b->pc->cpu[0].vcpu)->request & REQ_IGNNE, REQ_IGNNE);
		vcpu_cpu(b->pc->cpu[0].vcpu)->request = 0;
	}
}

/* MC146818: the alarm goes off at the end of an update cycle, UIP announces that cycle by 244 us. */
static void rtc_alarm(void **state)
{
	struct board *b = *state;
	unsigned sec;

	board_start_pics(b);
	board_unmask(b, 0x100);
	rtc(b, 10, 0x20);
	rtc(b, 11, 0x26); /* binary, 24 hours, alarm */
	rtc(b, 5, 0xff), rtc(b, 3, 0xff);
	sec = rtc_get(b, 0);
	rtc(b, 1, (sec + 3) % 60);
	rtc_get(b, 12);
	assert_true(board_wait(b, 4000 * MS));
	assert_int_equal(rtc_get(b, 0), (sec + 3) % 60);
	assert_int_equal(board_ack(b), 0x28);
	assert_int_equal(rtc_get(b, 12) & 0xa0, 0xa0);
	board_eoi(b, 0x28);
	board_step(b, 990 * MS);
	assert_false(rtc_get(b, 10) & 0x80);
	board_step(b, 10 * MS - 150 * US);
	assert_true(rtc_get(b, 10) & 0x80);
}

/* 16550A by its own loop: a byte arrives after its time on the line; trigger level and time-out identify themselves. */
static void serial_loop(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_unmask(b, 0x10);
	board_out(b, 0x3fb, 0x83, 1);
	board_out(b, 0x3f8, 12, 1); /* 9600 */
	board_out(b, 0x3f9, 0, 1);
	board_out(b, 0x3fb, 3, 1);
	board_out(b, 0x3fa, 0x47, 1); /* FIFOs, trigger at 4 */
	board_out(b, 0x3fc, 0x18, 1); /* loop, OUT2 */
	board_out(b, 0x3f9, 1, 1);
	for (unsigned k = 0; k < 4; k++) {
		board_out(b, 0x3f8, 'a' + k, 1);
		board_step(b, 2 * MS);
	}
	assert_int_equal(board_in(b, 0x3fa, 1) & 15, 4);
	for (unsigned k = 0; k < 4; k++)
		assert_int_equal(board_in(b, 0x3f8, 1), 'a' + k);
	assert_int_equal(board_in(b, 0x3fa, 1) & 15, 1);
	board_out(b, 0x3f8, 'z', 1);
	board_step(b, 20 * MS); /* four character times without a read */
	assert_int_equal(board_in(b, 0x3fa, 1) & 15, 12);
	assert_int_equal(board_in(b, 0x3f8, 1), 'z');
}

/* Two machines in one process share nothing. */
static void two_machines(void **state)
{
	struct board *b = *state, *other;

	assert_int_equal(board_setup((void **)&other), 0);
	board_start_pics(b);
	board_unmask(b, 1);
	board_start_pics(other);
	board_unmask(other, 1);
	pit_start(b, 1193);
	board_step(b, 2 * MS);
	board_step(other, 2 * MS);
	assert_true(board_intr(b));
	assert_false(board_intr(other));
	board_write(b, 0x5000, 0x1234, 4);
	assert_int_equal(board_read(other, 0x5000, 4), 0);
	board_teardown((void **)&other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pit_to_cpu), T(pit_rate), T(priorities), T(nested), T(rotation), T(ioapic_edges), T(ioapic_level),
		T(apic_and_pic), T(apic_timer), T(hpet_replaces), T(x87_errors), T(rtc_alarm), T(serial_loop),
		T(two_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
