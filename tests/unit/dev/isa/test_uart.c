// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the 16550A by its registers, the stream replaced by one that records */
#include "unit.h"

#include "dev/isa/uart.h"

static struct loop *loop;
static struct uart *uart;
static bool irq;
static int rises, ready;
static char sent[64];

static struct ui_stream_sink sink;

void ui_stream_attach(struct ui_stream *s, const struct ui_stream_sink *k)
{
	sink = *k;
}

void ui_stream_write(struct ui_stream *s, const uint8_t *buf, unsigned len)
{
	strncat(sent, (const char *)buf, len);
}

static unsigned stream_room = 1;

unsigned ui_stream_room(struct ui_stream *s)
{
	return stream_room;
}

void ui_stream_ready(struct ui_stream *s)
{
	ready++;
}

static void on_irq(void *opaque, int n, bool level)
{
	rises += level && !irq;
	irq = level;
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct uart_config cfg;

	loop = loop_new_stepped();
	cfg = (struct uart_config){
		.states = set, .name = "uart0", .loop = loop, .base = 0x3f8, .irq = { .set = on_irq },
		.stream = (struct ui_stream *)&loop,
	};
	uart = uart_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	rises = 0;
	ready = 0;
	sent[0] = 0;
	uart_write(uart, 4, 0x0b); /* DTR RTS OUT2 */
	return 0;
}

static int teardown(void **state)
{
	uart_free(uart);
	loop_free(loop);
	return 0;
}

static void send(const char *s)
{
	uart_receive(uart, (const uint8_t *)s, (unsigned)strlen(s));
}

static void transmit(void **state)
{
	/* The transmitter is always empty; each write of THR is one rising edge; reading IIR clears it. */
	uart_write(uart, 1, 2);
	assert_true(irq);
	assert_int_equal(uart_read(uart, 2), 0x02);
	assert_false(irq);
	assert_int_equal(uart_read(uart, 2), 0x01);
	uart_write(uart, 0, 'a');
	uart_write(uart, 0, 'b');
	assert_int_equal(rises, 3);
	assert_string_equal(sent, "ab");
	assert_int_equal(uart_read(uart, 5), 0x60);
	uart_write(uart, 1, 0);
	assert_false(irq);
	uart_read(uart, 2);
	uart_write(uart, 1, 2); /* enabling again raises it again */
	assert_true(irq);
}

static void fifo_trigger(void **state)
{
	/* RDA at the trigger level, timeout four characters after the last byte when below it. */
	uart_write(uart, 3, 0x83);
	uart_write(uart, 0, 1);
	uart_write(uart, 1, 0);
	uart_write(uart, 3, 0x03);
	uart_write(uart, 2, 0x81); /* 8 */
	uart_write(uart, 1, 1);
	send("1234567");
	assert_false(irq);
	send("8");
	assert_int_equal(uart_read(uart, 2), 0xc4);
	assert_int_equal(uart_read(uart, 0), '1');
	assert_false(irq);
	loop_step(loop, 4 * 86000);
	assert_false(irq);
	loop_step(loop, 10000);
	assert_int_equal(uart_read(uart, 2), 0xcc);
	for (int i = 0; i < 7; i++)
		assert_int_equal(uart_read(uart, 5), 0x61), assert_int_equal(uart_read(uart, 0), '2' + i);
	assert_int_equal(uart_read(uart, 2), 0xc1);
	assert_int_equal(uart_read(uart, 5), 0x60);
	assert_true(ready > 0);
}

static void room(void **state)
{
	/* One byte without FIFO, sixteen with; too many set OE, which reading LSR clears. */
	assert_int_equal(uart_can_receive(uart), 1);
	uart_write(uart, 2, 1);
	assert_int_equal(uart_can_receive(uart), 16);
	send("0123456789abcdef");
	assert_int_equal(uart_can_receive(uart), 0);
	uart_write(uart, 1, 4);
	send("x");
	assert_int_equal(uart_read(uart, 2), 0xc6);
	assert_int_equal(uart_read(uart, 5), 0x63);
	assert_int_equal(uart_read(uart, 5), 0x61);
	assert_false(irq);
	uart_write(uart, 2, 3);
	assert_int_equal(uart_read(uart, 5), 0x60);
}

static void loopback(void **state)
{
	/* Loopback: bytes come back, outputs feed the modem inputs, the interrupt is off the bus. */
	assert_int_equal(uart_read(uart, 6) & 0xf0, 0xb0);
	uart_write(uart, 4, 0x1a);
	assert_int_equal(uart_read(uart, 6) & 0xf0, 0x90);
	uart_write(uart, 0, 0x55);
	assert_int_equal(uart_read(uart, 0), 0x55);
	assert_string_equal(sent, "");
	uart_write(uart, 1, 2);
	assert_false(irq);
	uart_read(uart, 6);
	uart_write(uart, 4, 0x18);
	assert_int_equal(uart_read(uart, 6), 0x81); /* CTS fell */
	assert_int_equal(uart_read(uart, 6), 0x80);
}

static void host_behind(void **state)
{
	/* A stream without room: THR stays full, by LSR and without an interrupt, until there is room again. */
	uart_write(uart, 1, 2);
	uart_read(uart, 2);
	assert_false(irq);
	stream_room = 0;
	uart_write(uart, 0, 'x');
	assert_false(irq);
	assert_int_equal(uart_read(uart, 5) & 0x60, 0);
	uart_write(uart, 1, 0);
	uart_write(uart, 1, 2);
	assert_false(irq);
	stream_room = 1;
	sink.room(sink.opaque);
	assert_true(irq);
	assert_int_equal(uart_read(uart, 5) & 0x60, 0x60);
	assert_string_equal(sent, "x");
}

static void registers(void **state)
{
	/* DLAB switches to the divisor; scratch holds anything; IER has four bits. */
	uart_write(uart, 7, 0xa5);
	assert_int_equal(uart_read(uart, 7), 0xa5);
	uart_write(uart, 3, 0x80);
	uart_write(uart, 0, 0x34);
	uart_write(uart, 1, 0x12);
	assert_int_equal(uart_read(uart, 0), 0x34);
	assert_int_equal(uart_read(uart, 1), 0x12);
	uart_write(uart, 3, 0x03);
	uart_write(uart, 1, 0xff);
	assert_int_equal(uart_read(uart, 1), 0x0f);
	assert_true(irq);
}

static void no_out2(void **state)
{
	/* Small systems never set OUT2: with MCR = 0 interrupts reach the bus all the same; loopback alone holds them. */
	uart_write(uart, 4, 0);
	uart_write(uart, 1, 1);
	assert_false(irq);
	send("x");
	assert_true(irq);
	assert_int_equal(uart_read(uart, 2), 0x04);
	uart_write(uart, 4, 0x10);
	assert_false(irq);
	uart_write(uart, 4, 0);
	assert_true(irq);
	assert_int_equal(uart_read(uart, 0), 'x');
	assert_false(irq);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(transmit), T(fifo_trigger), T(room), T(loopback), T(host_behind),
		T(registers), T(no_out2) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
