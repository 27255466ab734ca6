// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the 8259A pair by its registers (datasheet 231468) */
#include "unit.h"

#include "dev/isa/pic.h"

static struct loop *loop;
static struct mem *mem;
static struct pic *pic;
static bool intr;
static unsigned falls;

static void on_intr(void *opaque, int n, bool level)
{
	falls += intr && !level;
	intr = level;
}

static void out(uint16_t port, uint8_t v)
{
	mem_port_out(mem, port, v, 1);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)mem_port_in(mem, port, 1);
}

static void init_chips(uint8_t master_icw4, uint8_t slave_icw4)
{
	out(0x20, 0x11);
	out(0x21, 0x20);
	out(0x21, 0x04);
	out(0x21, master_icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x28);
	out(0xa1, 0x02);
	out(0xa1, slave_icw4);
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct pic_config cfg;

	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(1), MIB(1), NULL);
	cfg = (struct pic_config){ .states = set, .mem = mem, .intr = { .set = on_intr } };
	pic = pic_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	init_chips(1, 1);
	return 0;
}

static int teardown(void **state)
{
	pic_free(pic);
	mem_free(mem);
	loop_free(loop);
	return 0;
}

/* An edge; the line stays up. */
static void edge(int irq)
{
	pic_set_irq(pic, irq, false);
	pic_set_irq(pic, irq, true);
}

static void vectors(void **state)
{
	/* A request gives ICW2's base plus its input; the slave's come through input 2 and need two EOIs. */
	edge(1);
	assert_true(intr);
	assert_int_equal(pic_ack(pic), 0x21);
	assert_false(intr);
	out(0x20, 0x20);
	edge(12);
	assert_int_equal(pic_ack(pic), 0x2c);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x04);
	out(0xa0, 0x0b);
	assert_int_equal(in(0xa0), 0x10);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_int_equal(in(0x20), 0);
}

static void priority(void **state)
{
	/* Fully nested: only a higher request interrupts one in service; the rest wait for its EOI. */
	edge(3);
	assert_int_equal(pic_ack(pic), 0x23);
	edge(4);
	assert_false(intr);
	edge(1);
	assert_int_equal(pic_ack(pic), 0x21);
	out(0x20, 0x20);
	assert_false(intr);
	out(0x20, 0x63); /* specific EOI of 3 */
	assert_int_equal(pic_ack(pic), 0x24);
}

static void masks(void **state)
{
	/* IMR holds a request back but keeps it. */
	out(0x21, 0x02);
	assert_int_equal(in(0x21), 0x02);
	edge(1);
	assert_false(intr);
	assert_int_equal(in(0x20), 0x02);
	out(0x21, 0);
	assert_true(intr);
}

static void spurious(void **state)
{
	/* An acknowledge without a request gives input 7 and sets no in-service bit. */
	assert_int_equal(pic_ack(pic), 0x27);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0);
}

static void rotation(void **state)
{
	/* Rotate on non-specific EOI makes the level just served the lowest; set priority does it by number. */
	edge(2 + 1);
	pic_ack(pic);
	out(0x20, 0xa0);
	edge(3);
	edge(4);
	assert_int_equal(pic_ack(pic), 0x24);
	out(0x20, 0x20);
	assert_int_equal(pic_ack(pic), 0x23);
	out(0x20, 0x20);
	out(0x20, 0xc4);
	edge(0);
	edge(5);
	assert_int_equal(pic_ack(pic), 0x25);
}

static void auto_eoi(void **state)
{
	/* AEOI leaves nothing in service. */
	init_chips(3, 3);
	edge(10);
	assert_int_equal(pic_ack(pic), 0x2a);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0);
	edge(10);
	edge(11);
	assert_int_equal(pic_ack(pic), 0x2a);
	assert_true(intr);
	assert_int_equal(pic_ack(pic), 0x2b);
}

static void special_mask(void **state)
{
	/* In special mask mode a masked level in service does not hold back lower ones. */
	edge(3);
	pic_ack(pic);
	out(0x21, 0x08);
	edge(6);
	assert_false(intr);
	out(0x20, 0x68);
	assert_true(intr);
	assert_int_equal(pic_ack(pic), 0x26);
	out(0x20, 0x20); /* ends 6, not the masked 3 */
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x08);
	out(0x20, 0x48);
	edge(6);
	assert_false(intr);
}

static void poll(void **state)
{
	/* A poll read acts as the acknowledge and tells the input. */
	out(0x20, 0x0c);
	assert_int_equal(in(0x20) & 0x80, 0);
	edge(5);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x85);
	assert_false(intr);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x20);
}

static void level_triggered(void **state)
{
	/* ELCR: a level request follows its line and comes again after EOI while the line is up; 0, 1, 2, 8, 13 stay
	 * edge. */
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	assert_int_equal(in(0x4d0), 0xf8);
	assert_int_equal(in(0x4d1), 0xde);
	pic_set_irq(pic, 11, true);
	assert_int_equal(pic_ack(pic), 0x2b);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_true(intr);
	pic_set_irq(pic, 11, false);
	assert_false(intr);
}

static void slave_again(void **state)
{
	/* A second slave request that waits behind the first reaches the CPU after the EOIs. */
	edge(14);
	edge(15);
	assert_int_equal(pic_ack(pic), 0x2e);
	assert_false(intr);
	out(0xa0, 0x20);
	assert_false(intr);
	out(0x20, 0x20);
	assert_true(intr);
	assert_int_equal(pic_ack(pic), 0x2f);
}

/* Nothing is in service. */
static void assert_idle(uint8_t master_isr)
{
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), master_isr);
	out(0xa0, 0x0b);
	assert_int_equal(in(0xa0), 0);
}

static void dropped_edge(void **state)
{
	/* "Edge and Level Triggered Modes": a line that falls before the acknowledge leaves INT and the default input 7
	 * (15: with the master's input 2 in service), and no request. */
	edge(4);
	pic_set_irq(pic, 4, false);
	assert_int_equal(in(0x20), 0); /* IRR */
	assert_true(intr);
	assert_int_equal(pic_ack(pic), 0x27);
	assert_false(intr);
	assert_idle(0);
	edge(12);
	pic_set_irq(pic, 12, false);
	assert_true(intr);
	assert_int_equal(pic_ack(pic), 0x2f);
	assert_false(intr);
	assert_idle(0x04);
	out(0x20, 0x20);
	assert_idle(0);
	edge(12); /* and all works on */
	assert_int_equal(pic_ack(pic), 0x2c);
}

static void dropped_and_others(void **state)
{
	/* What is still requested when the acknowledge comes is served, of whatever priority; a dropped request that had
	 * not raised INT, or that is masked, leaves nothing. */
	edge(3);
	edge(6);
	pic_set_irq(pic, 3, false);
	assert_int_equal(pic_ack(pic), 0x26);
	out(0x20, 0x20);
	assert_false(intr);
	edge(1);
	edge(5);
	pic_set_irq(pic, 5, false);
	assert_int_equal(pic_ack(pic), 0x21);
	edge(5);
	pic_set_irq(pic, 5, false);
	out(0x20, 0x20);
	assert_false(intr);
	edge(5);
	pic_set_irq(pic, 5, false);
	assert_true(intr);
	out(0x21, 0x20);
	assert_false(intr);
	out(0x21, 0);
	assert_false(intr);
	edge(5);
	pic_set_irq(pic, 5, false);
	out(0x20, 0x0c); /* a poll finds nothing */
	assert_int_equal(in(0x20) & 0x80, 0);
	assert_false(intr);
	edge(5);
	pic_set_irq(pic, 5, false);
	falls = 0;
	edge(5); /* comes again: INT has an edge of its own for it, and the acknowledge its vector */
	assert_int_equal(falls, 1);
	assert_true(intr);
	assert_int_equal(pic_ack(pic), 0x25);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(vectors), T(priority), T(masks), T(spurious), T(rotation), T(auto_eoi), T(special_mask), T(poll),
		T(level_triggered), T(slave_again), T(dropped_edge), T(dropped_and_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
