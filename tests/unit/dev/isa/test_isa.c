// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the small ISA chips, and noise on the ports of all of them together */
#include "unit.h"

#include "dev/isa/debugcon.h"
#include "dev/isa/debugexit.h"
#include "dev/isa/dma.h"
#include "dev/isa/fdc.h"
#include "dev/isa/i8042.h"
#include "dev/isa/pic.h"
#include "dev/isa/pit.h"
#include "dev/isa/port92.h"
#include "dev/isa/rtc.h"
#include "dev/isa/uart.h"

static struct loop *loop;
static struct mem *mem;
static uint32_t last;
static bool a20;
static int resets;

void ui_stream_attach(struct ui_stream *s, const struct ui_stream_sink *sink)
{
}

void ui_stream_write(struct ui_stream *s, const uint8_t *buf, unsigned len)
{
}

unsigned ui_stream_room(struct ui_stream *s)
{
	return 1;
}

void ui_stream_ready(struct ui_stream *s)
{
}

static void on_exit_code(void *opaque, uint32_t code)
{
	last = code;
}

static void on_byte(void *opaque, uint8_t byte)
{
	last = byte;
}

static void on_a20(void *opaque, int n, bool level)
{
	a20 = level;
}

static void on_reset(void *opaque, int n, bool level)
{
	resets += level;
}

static int setup(void **state)
{
	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(1), MIB(1), NULL);
	return 0;
}

static int teardown(void **state)
{
	mem_free(mem);
	loop_free(loop);
	return 0;
}

static void debug_ports(void **state)
{
	/* The exit port takes any width; the console answers that it is there. */
	struct debugexit *x = debugexit_new(&(struct debugexit_config){ .mem = mem, .port = 0xf4, .exit = on_exit_code });
	struct debugcon *c = debugcon_new(&(struct debugcon_config){ .mem = mem, .byte = on_byte });

	mem_port_out(mem, 0xf4, 0x10, 1);
	assert_int_equal(last, 0x21);
	mem_port_out(mem, 0xf4, 0x12345, 4);
	assert_int_equal(last, 0x2468b);
	mem_port_out(mem, 0xe9, 'x', 1);
	assert_int_equal(last, 'x');
	assert_int_equal(mem_port_in(mem, 0xe9, 1), 0xe9);
	debugexit_free(x);
	debugcon_free(c);
}

static void port92(void **state)
{
	/* Bit 1 switches A20 when it changes, a rise of bit 0 resets. */
	struct port92 *p = port92_new(&(struct port92_config){ .mem = mem, .a20 = { .set = on_a20 },
		.reset = { .set = on_reset } });

	a20 = true;
	resets = 0;
	mem_port_out(mem, 0x92, 0x00, 1);
	assert_false(a20);
	mem_port_out(mem, 0x92, 0x02, 1);
	assert_true(a20);
	assert_int_equal(mem_port_in(mem, 0x92, 1), 0x02);
	mem_port_out(mem, 0x92, 0x03, 1);
	mem_port_out(mem, 0x92, 0x03, 1);
	assert_int_equal(resets, 1);
	port92_free(p);
}

static void noise(void **state)
{
	/* A guest that reads and writes all ports at random breaks nothing and stops nothing. */
	static const uint16_t base[] = { 0x00, 0x20, 0x40, 0x60, 0x70, 0x80, 0x92, 0xa0, 0xc0, 0x3f0, 0x3f8, 0x4d0 };
	struct pic *pic = pic_new(&(struct pic_config){ .mem = mem });
	struct wire irq = { pic_set_irq, pic, 0 };
	struct pit *pit = pit_new(&(struct pit_config){ .loop = loop, .mem = mem, .irq0 = irq });
	struct rtc *rtc = rtc_new(&(struct rtc_config){ .loop = loop, .mem = mem, .irq8 = irq });
	struct i8042 *kbc = i8042_new(&(struct i8042_config){ .loop = loop, .mem = mem, .irq1 = irq, .irq12 = irq });
	struct uart *uart = uart_new(&(struct uart_config){ .name = "u", .loop = loop, .mem = mem, .base = 0x3f8,
		.irq = irq });
	struct dma *dma = dma_new(&(struct dma_config){ .mem = mem });
	struct fdc *fdc = fdc_new(&(struct fdc_config){ .loop = loop, .mem = mem, .dma = dma, .irq6 = irq,
		.in_cmos = { true } });

	srand(3);
	for (int i = 0; i < 300000; i++) {
		uint32_t r = (uint32_t)rand();
		uint16_t port = (uint16_t)(base[r % ARRAY_LEN(base)] + (r >> 8) % 16);
		unsigned size = 1u << (r >> 12) % 3;

		if (r >> 16 & 1)
			mem_port_out(mem, port, (uint32_t)rand() ^ r << 11, size);
		else
			mem_port_in(mem, port, size);
		if (i % 16 == 0)
			loop_step(loop, r >> 20);
		if (i % 97 == 0)
			assert_in_range(pic_ack(pic), 0, 255);
		if (i % 101 == 0) {
			i8042_key(kbc, (uint8_t *)&r, 4);
			i8042_mouse(kbc, (int)r, -(int)(r >> 1), (int)r, (uint8_t)r);
			uart_receive(uart, (uint8_t *)&r, 4);
		}
	}
	fdc_free(fdc);
	dma_free(dma);
	uart_free(uart);
	i8042_free(kbc);
	rtc_free(rtc);
	pit_free(pit);
	pic_free(pic);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(debug_ports), T(port92), T(noise) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
