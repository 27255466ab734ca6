// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the virtio console against a stream made here in place of the ui room's */
#include "../pci/small_pc.h"

#include "dev/virtio/virtio.h"

#define DEV (4 << 3)
#define MODERN 0xf1000000u
#define RING(q) (0x100000u + (q)*0x10000u)
#define DATA 0x140000u

static struct small_pc *pc;
static struct virtio_console *con;
static struct ui_stream_sink sink;
static uint8_t sent[1u << 20];
static unsigned nsent, readies, room;

void ui_stream_attach(struct ui_stream *s, const struct ui_stream_sink *k)
{
	sink = *k;
}

void ui_stream_write(struct ui_stream *s, const uint8_t *buf, unsigned len)
{
	for (unsigned i = 0; i < len && nsent < sizeof(sent); i++)
		sent[nsent++] = buf[i];
}

unsigned ui_stream_room(struct ui_stream *s)
{
	return room;
}

void ui_stream_ready(struct ui_stream *s)
{
	readies++;
}

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

static void start_queue(unsigned q)
{
	w(MODERN + 22, q, 2);
	w(MODERN + 24, 8, 2);
	w(MODERN + 32, RING(q), 8);
	w(MODERN + 40, RING(q) + 0x1000, 8);
	w(MODERN + 48, RING(q) + 0x2000, 8);
	w(MODERN + 28, 1, 2);
}

static int setup(void **state)
{
	struct virtio_place place = {0};

	pc = small_pc_new();
	place.loop = pc->loop;
	place.mem = pc->mem;
	place.bus = pc->bus;
	place.states = pc->states;
	place.name = "virtio-console";
	place.devfn = DEV;
	con = virtio_console_new(&place, (struct ui_stream *)&sink);
	cfg_write(pc, DEV, 0x20, MODERN, 4);
	cfg_write(pc, DEV, 4, 6, 2);
	w(MODERN + 20, 3, 1);
	w(MODERN + 8, 1, 4);
	w(MODERN + 12, 1, 4);
	w(MODERN + 20, 11, 1);
	start_queue(0);
	start_queue(1);
	w(MODERN + 20, 15, 1);
	nsent = readies = 0;
	room = 1u << 20;
	return 0;
}

static int teardown(void **state)
{
	virtio_console_free(con);
	small_pc_free(pc);
	return 0;
}

static void give(unsigned q, unsigned i, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t idx = (uint16_t)r(RING(q) + 0x1002, 2);

	w(RING(q) + i * 16, addr, 8);
	w(RING(q) + i * 16 + 8, len, 4);
	w(RING(q) + i * 16 + 12, flags, 4);
	w(RING(q) + 0x1004 + 2 * (idx % 8), i, 2);
	w(RING(q) + 0x1002, idx + 1u, 2);
	w(MODERN + 0x3000 + q * 4, q, 2);
}

static void output(void **state)
{
	/* What the driver transmits reaches the stream at once, chains in order. */
	mem_write(pc->mem, DATA, "hello world", 11);
	give(1, 1, DATA, 6, 0);
	give(1, 2, DATA + 6, 5, 0);
	assert_int_equal(nsent, 11);
	assert_memory_equal(sent, "hello world", 11);
	assert_int_equal(r(RING(1) + 0x2002, 2), 2);
	assert_int_equal(r(MODERN + 0x1000, 1), 1);
}

static void long_output(void **state)
{
	/* 2.6: a chain may be longer than what is sent at once; timers come in between, and every byte once. */
	uint8_t *ram = mem_ram_base(pc->mem);

	for (unsigned k = 0; k < 0x40000; k++)
		ram[DATA + k] = (uint8_t)(k * 7 + k / 251);
	give(1, 1, DATA, 0x40000, 0);
	for (unsigned at = 0; r(RING(1) + 0x2002, 2) == 0;) {
		assert_in_range(nsent - at, 1, 8 * 4096 + 4096);
		at = nsent;
		loop_step(pc->loop, 100000);
	}
	assert_int_equal(nsent, 0x40000);
	assert_memory_equal(sent, ram + DATA, nsent);
	assert_int_equal(r(RING(1) + 0x2002, 2), 1);
}

static void host_behind(void **state)
{
	/* A stream without room: chains wait in the queue, also after their notifications, until there is room. */
	mem_write(pc->mem, DATA, "hello world", 11);
	room = 3;
	give(1, 1, DATA, 3, 0);
	room = 0;
	give(1, 2, DATA + 3, 8, 0);
	loop_step(pc->loop, 1000000000);
	assert_int_equal(nsent, 3);
	assert_int_equal(r(RING(1) + 0x2002, 2), 1);
	room = 100;
	sink.room(sink.opaque);
	loop_step(pc->loop, 1000000);
	assert_int_equal(nsent, 11);
	assert_memory_equal(sent, "hello world", 11);
	assert_int_equal(r(RING(1) + 0x2002, 2), 2);
}

static void input(void **state)
{
	/* Nothing can be received before the driver gives buffers; then bytes go into them in order. */
	assert_int_equal(sink.can_receive(sink.opaque), 0);
	give(0, 0, DATA, 4, 2);
	assert_int_equal(readies, 1);
	give(0, 1, DATA + 16, 4, 2);
	assert_int_equal(sink.can_receive(sink.opaque), 2);
	sink.receive(sink.opaque, (const uint8_t *)"ab", 2);
	assert_int_equal(r(RING(0) + 0x2002, 2), 1);
	assert_int_equal(r(RING(0) + 0x2008, 4), 2);
	assert_int_equal(r(DATA, 2), 0x6261);
	assert_int_equal(sink.can_receive(sink.opaque), 1);
	sink.receive(sink.opaque, (const uint8_t *)"cdefgh", 6); /* more than said: the rest is lost, nothing else */
	assert_int_equal(r(DATA + 16, 4), 0x66656463);
	assert_int_equal(sink.can_receive(sink.opaque), 0);
}

static uint64_t told;

static void hear(void *opaque, uint64_t off, uint64_t len)
{
	told += off >= DATA && off < DATA + 0x100 ? len : 0;
}

static void input_is_told(void **state)
{
	/* What input is written to may hold translated code. */
	const struct mem_listener l = {.code_written = hear};

	give(0, 0, DATA + 1, 3, 2);
	mem_code_map(pc->mem)[DATA / 4096] = 1;
	mem_add_listener(pc->mem, &l);
	sink.receive(sink.opaque, (const uint8_t *)"ab", 2);
	assert_int_equal(told, 2);
}

static void coverage(void **state)
{
	/* Every byte of the chip's state is declared. */
	check_all_coverage(pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(output), T(long_output), T(host_behind), T(input), T(input_is_told), T(coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
