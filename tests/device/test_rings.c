// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: virtio's split rings on the whole board, as specified and as a hostile driver makes them
 *
 * Section numbers are those of VIRTIO 1.1. A malformed ring must set DEVICE_NEEDS_RESET and touch nothing: all of guest
 * RAM beside the rings is compared, and the IDE disk must still read and the virtio disk work again after its reset.
 */
#include "vdisk.h"

#include <unistd.h>

#define RAM_END 0x1000000u
#define SECTORS 128u
#define LINE 11
#define VECTOR 0x2b

static struct vdisk *begin(void **state, struct vdisk *d)
{
	vdisk_find(*state, d);
	board_start_pics(*state);
	board_route(*state, LINE);
	board_unmask(*state, 1u << LINE);
	return d;
}

/* Whether the line is up, by the bits of the ISR byte, which drops it. */
static unsigned interrupts(struct vdisk *d)
{
	bool up = board_intr(d->b);
	unsigned isr;

	if (up) {
		assert_int_equal(board_ack(d->b), VECTOR);
		board_eoi(d->b, VECTOR);
	}
	isr = (unsigned)board_read(d->b, d->isr, 1);
	assert_int_equal(up, isr != 0);
	assert_false(board_intr(d->b));
	return isr;
}

static void go(struct vdisk *d, unsigned head)
{
	vdisk_offer(d, head);
	vdisk_kick(d);
	board_step(d->b, MS);
}

/* Offers a chain that reads a sector: it works, and the device says how much it wrote. */
static void reads(struct vdisk *d, unsigned head, uint64_t sector)
{
	uint16_t n = vdisk_used(d);

	go(d, head);
	assert_int_equal(vdisk_used(d), (uint16_t)(n + 1));
	assert_int_equal(vdisk_used_elem(d, n), 513ull << 32 | head);
	assert_int_equal(board_read(d->b, VDISK_STATUS, 1), 0);
	for (unsigned k = 0; k < 512; k += 8)
		assert_int_equal(board_read(d->b, VDISK_DATA + k, 8), (sector + 1) * 0x0101010101010101);
	assert_int_equal(vdisk_status(d), 15);
}

/* The IDE disk reads sector 4 by PIO (ATA-4 8.27). */
static void ide_lives(struct board *b)
{
	static const uint8_t task[] = { 1, 4, 0, 0, 0xe0, 0x20 };

	for (unsigned k = 0; k < sizeof(task); k++)
		board_out(b, 0x1f2 + k, task[k], 1);
	board_step(b, MS);
	for (unsigned k = 0; k < 256; k++)
		assert_int_equal(board_in(b, 0x1f0, 2), 0x0505);
}

/* 6, 5.2.3: what is offered, and nothing else; what is not cannot be taken; FEATURES_OK closes the choice. */
static void features(void **state)
{
	struct vdisk d;
	uint32_t offered[3];

	begin(state, &d);
	for (unsigned k = 0; k < 3; k++) {
		board_write(d.b, d.common, k, 4);
		offered[k] = (uint32_t)board_read(d.b, d.common + 4, 4);
	}
	assert_int_equal(offered[0] & ~(1u << 27),
	                 1u << 2 | 1u << 4 | 1u << 6 | 1u << 9 | 1u << 10 | 3u << 13 | 3u << 28);
	assert_int_equal(offered[1], 1); /* VERSION_1; not RING_PACKED, bit 34 */
	assert_int_equal(offered[2], 0);
	vdisk_prepare(&d, ~0ull, 8);
	for (unsigned k = 0; k < 2; k++) {
		board_write(d.b, d.common + 8, k, 4);
		assert_int_equal(board_read(d.b, d.common + 12, 4), offered[k]);
		board_write(d.b, d.common + 12, 0, 4);
		assert_int_equal(board_read(d.b, d.common + 12, 4), offered[k]);
	}
}

/* 4.1.4.3.2, 2.6: queue sizes are powers of 2 up to the device's; an enabled queue's are fixed, and stays enabled. */
static void sizes(void **state)
{
	static const uint16_t bad[] = { 0, 3, 129, 512, 0x8000, 0xffff };
	struct vdisk d;

	begin(state, &d);
	vdisk_set_status(&d, 0);
	assert_int_equal(board_read(d.b, d.common + 24, 2), 256);
	for (unsigned k = 0; k < ARRAY_LEN(bad); k++) {
		board_write(d.b, d.common + 24, bad[k], 2);
		assert_int_equal(board_read(d.b, d.common + 24, 2), 256);
	}
	for (unsigned size = 4; size <= 256; size *= 2) {
		vdisk_start(&d, 0, size);
		board_write(d.b, d.common + 24, size == 4 ? 8 : 4, 2);
		board_write(d.b, d.common + 28, 0, 2);
		board_write(d.b, d.common + 32, VDISK_TABLE, 8);
		assert_int_equal(board_read(d.b, d.common + 24, 2), size);
		assert_int_equal(board_read(d.b, d.common + 28, 2), 1);
		for (unsigned k = 0; k < 2 * size + 1; k++) {
			vdisk_request(&d, VDISK_READ, k % SECTORS, 512);
			reads(&d, 0, k % SECTORS);
		}
	}
	board_write(d.b, d.common + 22, 1, 2); /* there is no queue 1: 4.1.4.3.1 */
	assert_int_equal(board_read(d.b, d.common + 24, 2), 0);
	board_write(d.b, d.common + 24, 8, 2);
	board_write(d.b, d.common + 28, 1, 2);
	assert_int_equal(board_read(d.b, d.common + 24, 4), 0xffff0000);
}

/* 2.6.4: the driver may cut a request as it likes; 2.6.5: chains need not be in order. */
static void direct(void **state)
{
	struct vdisk d;

	begin(state, &d);
	vdisk_start(&d, 0, 16);
	vdisk_header(&d, VDISK_READ, 77);
	vdisk_desc(&d, VDISK_DESC, 9, VDISK_HEADER, 3, VDISK_NEXT, 2);
	vdisk_desc(&d, VDISK_DESC, 2, VDISK_HEADER + 3, 13, VDISK_NEXT, 15);
	vdisk_desc(&d, VDISK_DESC, 15, VDISK_DATA, 1, VDISK_NEXT | VDISK_WRITABLE, 0);
	vdisk_desc(&d, VDISK_DESC, 0, VDISK_DATA + 1, 511, VDISK_NEXT | VDISK_WRITABLE, 4);
	vdisk_desc(&d, VDISK_DESC, 4, VDISK_STATUS, 1, VDISK_WRITABLE, 0xffff);
	reads(&d, 9, 77);
	vdisk_header(&d, VDISK_READ, 78); /* lengths of 0, whatever their addresses */
	vdisk_desc(&d, VDISK_DESC, 4, UINT64_MAX, 0, VDISK_NEXT | VDISK_WRITABLE, 5);
	vdisk_desc(&d, VDISK_DESC, 5, VDISK_STATUS, 1, VDISK_WRITABLE, 0);
	reads(&d, 9, 78);
	vdisk_header(&d, VDISK_READ, 79); /* data and status in one piece */
	vdisk_desc(&d, VDISK_DESC, 0, VDISK_DATA + 1, 512, VDISK_WRITABLE, 0);
	board_write(d.b, VDISK_DATA + 512, 0xff, 1);
	go(&d, 9);
	assert_int_equal(vdisk_used_elem(&d, 2), 513ull << 32 | 9);
	assert_int_equal(board_read(d.b, VDISK_DATA + 511, 2), 80);
	assert_int_equal(vdisk_used(&d), 3);
}

/* 2.6.5.3: a whole chain in a table; at the end of a direct chain; the write flag on the way there means nothing. */
static void indirect(void **state)
{
	struct vdisk d;

	begin(state, &d);
	vdisk_start(&d, VDISK_F_INDIRECT, 8);
	for (unsigned flags = 0; flags <= VDISK_WRITABLE; flags += VDISK_WRITABLE) {
		vdisk_header(&d, VDISK_READ, 40 + flags);
		vdisk_desc(&d, VDISK_DESC, 5, VDISK_TABLE, 48, VDISK_INDIRECT | flags, 6);
		vdisk_desc(&d, VDISK_TABLE, 0, VDISK_HEADER, 16, VDISK_NEXT, 2);
		vdisk_desc(&d, VDISK_TABLE, 2, VDISK_DATA, 512, VDISK_NEXT | VDISK_WRITABLE, 1);
		vdisk_desc(&d, VDISK_TABLE, 1, VDISK_STATUS, 1, VDISK_WRITABLE, 0);
		reads(&d, 5, 40 + flags);
	}
	vdisk_header(&d, VDISK_READ, 50);
	vdisk_desc(&d, VDISK_DESC, 0, VDISK_HEADER, 16, VDISK_NEXT, 1);
	vdisk_desc(&d, VDISK_DESC, 1, VDISK_TABLE, 32, VDISK_INDIRECT, 0);
	vdisk_desc(&d, VDISK_TABLE, 0, VDISK_DATA, 512, VDISK_NEXT | VDISK_WRITABLE, 1);
	reads(&d, 0, 50);
	/* as many segments as the device's largest queue, 256 */
	vdisk_header(&d, VDISK_READ, 60);
	vdisk_desc(&d, VDISK_DESC, 1, VDISK_TABLE, 255 * 16, VDISK_INDIRECT, 0);
	for (unsigned k = 0; k < 254; k++)
		vdisk_desc(&d, VDISK_TABLE, k, VDISK_DATA + 2 * k, k == 253 ? 6 : 2, VDISK_NEXT | VDISK_WRITABLE, k + 1);
	vdisk_desc(&d, VDISK_TABLE, 254, VDISK_STATUS, 1, VDISK_WRITABLE, 0);
	reads(&d, 0, 60);
}

/* 2.6.6.2: flags; 2.6.7.2: the event index, which makes the flags void; each step offers some chains at once. */
static void suppression(void **state)
{
	static const struct { uint16_t used_event, chains; bool interrupt; } steps[] = {
		{ 1, 1, false }, { 1, 1, true }, { 1, 1, false }, { 5, 2, false }, { 5, 2, true }, { 6, 1, false },
		{ 8, 1, true }, { 11, 5, true }, { 12, 2, false }, { 15, 1, false }, { 17, 1, true },
	};
	struct vdisk d;
	unsigned total = 0;

	begin(state, &d);
	vdisk_start(&d, 0, 8);
	for (unsigned k = 0; k < 4; k++) {
		board_write(d.b, VDISK_AVAIL, k & 1, 2);
		board_write(d.b, VDISK_AVAIL + 4 + 2 * 8, k, 2); /* not negotiated: no event index there */
		vdisk_request(&d, VDISK_NO_SUCH, 0, 512);
		go(&d, 0);
		assert_int_equal(interrupts(&d), !(k & 1));
		assert_int_equal(board_read(d.b, VDISK_USED, 2), 0);
		assert_int_equal(board_read(d.b, VDISK_USED + 4 + 8 * 8, 2), 0);
	}
	vdisk_start(&d, VDISK_F_EVENT_IDX, 8);
	board_write(d.b, VDISK_AVAIL, 1, 2);
	vdisk_request(&d, VDISK_NO_SUCH, 0, 512);
	for (unsigned k = 0; k < ARRAY_LEN(steps); k++) {
		board_write(d.b, VDISK_AVAIL + 4 + 2 * 8, steps[k].used_event, 2);
		for (unsigned n = 1; n < steps[k].chains; n++)
			vdisk_offer(&d, 0);
		go(&d, 0);
		total += steps[k].chains;
		assert_int_equal(vdisk_used(&d), total);
		assert_int_equal(interrupts(&d), steps[k].interrupt);
		assert_int_equal(board_read(d.b, VDISK_USED + 4 + 8 * 8, 2), total); /* 2.6.8: avail_event, the next one */
	}
}

/* 2.6.6, 2.6.8: indices are free-running 16-bit numbers, and the event index goes round with them. */
static void wrap(void **state)
{
	struct vdisk d;
	uint32_t n = 0;

	begin(state, &d);
	vdisk_start(&d, VDISK_F_EVENT_IDX, 4);
	vdisk_request(&d, VDISK_NO_SUCH, 0, 512);
	for (unsigned event = 999; event < 2 * 65536; event += 1000) {
		board_write(d.b, VDISK_AVAIL + 4 + 2 * 4, (uint16_t)event, 2);
		for (; n < event; n++) {
			vdisk_offer(&d, 0);
			vdisk_kick(&d);
		}
		assert_int_equal(interrupts(&d), 0);
		vdisk_offer(&d, 0);
		vdisk_kick(&d);
		assert_int_equal(vdisk_used(&d), (uint16_t)++n);
		assert_int_equal(interrupts(&d), 1);
	}
	vdisk_request(&d, VDISK_READ, 3, 512);
	reads(&d, 0, 3);
}

/* --- malformed rings: each gets a ring with a good request in it and spoils it --- */

static void longer(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_TABLE, 300 * 16, VDISK_INDIRECT, 0);
	for (unsigned k = 0; k < 300; k++)
		vdisk_desc(d, VDISK_TABLE, k, k ? VDISK_DATA + 2 * k : VDISK_HEADER, k ? 2 : 16,
			   (k ? VDISK_WRITABLE : 0) | (k < 299 ? VDISK_NEXT : 0), k + 1);
}

static void self_loop(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 1, VDISK_DATA, 512, VDISK_NEXT | VDISK_WRITABLE, 1);
}

static void wide_loop(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 1, VDISK_DATA, 512, VDISK_NEXT, 0);
}

static void empty_loop(struct vdisk *d)
{
	for (unsigned k = 0; k < 8; k++)
		vdisk_desc(d, VDISK_DESC, k, 0, 0, VDISK_NEXT, (k + 1) % 8);
}

static void table_loop(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_TABLE, 32, VDISK_INDIRECT, 0);
	vdisk_desc(d, VDISK_TABLE, 0, VDISK_HEADER, 16, VDISK_NEXT, 1);
	vdisk_desc(d, VDISK_TABLE, 1, VDISK_HEADER, 16, VDISK_NEXT, 0);
}

static void next_beyond(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 1, VDISK_DATA, 512, VDISK_NEXT | VDISK_WRITABLE, 8);
}

static void head_beyond(struct vdisk *d)
{
	vdisk_offer(d, 8);
}

static void ran_ahead(struct vdisk *d)
{
	board_write(d->b, VDISK_AVAIL + 2, 9, 2);
	d->avail = 9;
}

static void write_first(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_DATA, 512, VDISK_NEXT | VDISK_WRITABLE, 1);
	vdisk_desc(d, VDISK_DESC, 1, VDISK_HEADER, 16, VDISK_NEXT, 2);
}

static void nested(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_TABLE, 16, VDISK_INDIRECT, 0);
	vdisk_desc(d, VDISK_TABLE, 0, VDISK_TABLE, 16, VDISK_INDIRECT, 0);
}

static void table_goes_on(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 1, VDISK_TABLE, 16, VDISK_INDIRECT | VDISK_NEXT, 2);
	vdisk_desc(d, VDISK_TABLE, 0, VDISK_DATA, 512, VDISK_WRITABLE, 0);
}

static void table_next_beyond(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_TABLE, 16, VDISK_INDIRECT, 0);
	vdisk_desc(d, VDISK_TABLE, 0, VDISK_HEADER, 16, VDISK_NEXT, 1);
	vdisk_desc(d, VDISK_TABLE, 1, VDISK_STATUS, 1, VDISK_WRITABLE, 0);
}

static void no_status(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_HEADER, 16, 0, 0);
}

static void short_header(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_HEADER, 15, VDISK_NEXT, 1);
}

static void empty_header(struct vdisk *d)
{
	vdisk_desc(d, VDISK_DESC, 0, VDISK_HEADER, 0, VDISK_NEXT, 2);
}

static const struct { const char *name; void (*spoil)(struct vdisk *d); } crimes[] = {
	{ "a chain of 300", longer }, { "a descriptor whose next is itself", self_loop },
	{ "a loop over the header", wide_loop }, { "a loop of nothing", empty_loop },
	{ "a loop in a table", table_loop }, { "next beyond the queue", next_beyond },
	{ "head beyond the queue", head_beyond }, { "more chains than entries", ran_ahead },
	{ "writable before readable", write_first }, { "a table in a table", nested },
	{ "a table that is not the last", table_goes_on }, { "next beyond the table", table_next_beyond },
	{ "no status byte", no_status }, { "15 bytes of header", short_header }, { "no header", empty_header },
};

/* Places and lengths that are not RAM, or not all of it. */
static const struct { uint64_t addr; uint32_t len; } nowhere[] = {
	{ RAM_END, 512 }, { RAM_END - 256, 512 }, { 0xa0000, 512 }, { 0x9fe00, 1024 }, { 0xfee00000, 512 },
	{ 0xf8000000, 512 }, { 1ull << 32, 512 }, { UINT64_MAX, 512 }, { UINT64_MAX - 511, 512 },
	{ VDISK_DATA, 0xfffffe00 }, { 1ull << 63, 512 },
};
static const uint32_t table_lengths[] = { 0, 8, 15, 17, 40, 0xffffffff, 0xfffffff0, 0x100010 };

struct before {
	struct vdisk *d;
	uint8_t *ram;
	const char *what;
};

/* A fresh start with a good request in the rings, not yet offered. */
static void good_ring(struct before *t, const char *what)
{
	vdisk_start(t->d, VDISK_F_INDIRECT, 8);
	vdisk_request(t->d, VDISK_READ, 9, 512);
	t->what = what;
	memcpy(t->ram, mem_ram_base(t->d->b->pc->mem), RAM_END);
}

static bool ram_stayed(const struct before *t)
{
	const uint8_t *now = mem_ram_base(t->d->b->pc->mem);

	return !memcmp(now, t->ram, VDISK_BASE) && !memcmp(now + VDISK_END, t->ram + VDISK_END, RAM_END - VDISK_END) &&
	       !memcmp(now + VDISK_DATA, t->ram + VDISK_DATA, VDISK_END - VDISK_DATA) && now[VDISK_STATUS] == 0xff;
}

/* 2.1.2: the error is told by an interrupt for the configuration; nothing was used or written; later kicks do
 * nothing. */
static void must_be_refused(struct before *t)
{
	struct vdisk *d = t->d;

	go(d, 0);
	if (vdisk_status(d) != (15 | VDISK_NEEDS_RESET))
		fail_msg("%s: status %x", t->what, vdisk_status(d));
	assert_int_equal(interrupts(d), 2);
	vdisk_request(d, VDISK_READ, 9, 512);
	go(d, 0);
	vdisk_set_status(d, 15);
	assert_int_equal(vdisk_status(d), 15 | VDISK_NEEDS_RESET);
	if (board_read(d->b, VDISK_USED, 8) || !ram_stayed(t) || board_intr(d->b))
		fail_msg("%s: the device went on", t->what);
}

static void malformed(void **state)
{
	struct vdisk d;
	struct before t = { .d = begin(state, &d), .ram = xalloc(RAM_END) };

	for (unsigned k = 0; k < ARRAY_LEN(crimes); k++) {
		good_ring(&t, crimes[k].name);
		crimes[k].spoil(&d);
		must_be_refused(&t);
	}
	for (unsigned k = 0; k < ARRAY_LEN(nowhere); k++) {
		good_ring(&t, "data outside RAM");
		vdisk_desc(&d, VDISK_DESC, 1, nowhere[k].addr, nowhere[k].len, VDISK_NEXT | VDISK_WRITABLE, 2);
		must_be_refused(&t);
		good_ring(&t, "a table outside RAM");
		vdisk_desc(&d, VDISK_DESC, 0, nowhere[k].addr, nowhere[k].len, VDISK_INDIRECT, 0);
		must_be_refused(&t);
	}
	for (unsigned k = 0; k < ARRAY_LEN(table_lengths); k++) {
		good_ring(&t, "length of a table");
		vdisk_desc(&d, VDISK_DESC, 0, VDISK_TABLE, table_lengths[k], VDISK_INDIRECT, 0);
		must_be_refused(&t);
	}
	free(t.ram);
	ide_lives(d.b);
	vdisk_start(&d, 0, 8);
	vdisk_request(&d, VDISK_READ, 10, 512);
	reads(&d, 0, 10);
	assert_int_equal(interrupts(&d), 1);
}

/* 2.6: each ring in RAM as a whole, and aligned to 16, 2 and 4. */
static void misplaced(void **state)
{
	static const struct { unsigned reg; uint64_t at; } places[] = {
		{ 32, VDISK_DESC + 8 }, { 40, VDISK_AVAIL + 1 }, { 48, VDISK_USED + 2 }, { 32, RAM_END - 112 },
		{ 40, RAM_END - 20 }, { 48, RAM_END - 64 }, { 32, 1ull << 40 }, { 40, 0xa0000 }, { 48, UINT64_MAX - 63 },
		{ 48, 0xfee00000 }, { 48, 0xf0000 },
	};
	struct vdisk d;
	struct before t = { .d = begin(state, &d), .ram = xalloc(RAM_END), .what = "a ring in a bad place" };

	memcpy(t.ram, mem_ram_base(d.b->pc->mem), RAM_END);
	for (unsigned k = 0; k < ARRAY_LEN(places); k++) {
		vdisk_prepare(&d, 0, 8);
		vdisk_request(&d, VDISK_READ, 9, 512);
		vdisk_set_status(&d, 0);
		vdisk_set_status(&d, 3);
		board_write(d.b, d.common + 8, 1, 4);
		board_write(d.b, d.common + 12, 1, 4);
		vdisk_set_status(&d, 11);
		board_write(d.b, d.common + 32, VDISK_DESC, 8);
		board_write(d.b, d.common + 40, VDISK_AVAIL, 8);
		board_write(d.b, d.common + 48, VDISK_USED, 8);
		board_write(d.b, d.common + 24, 8, 2);
		board_write(d.b, d.common + places[k].reg, places[k].at, 8);
		board_write(d.b, d.common + 28, 1, 2);
		vdisk_set_status(&d, 15);
		must_be_refused(&t);
	}
	free(t.ram);
}

/* 2.1.2: before DRIVER_OK no buffer is used, no interrupt sent, whatever lies in the rings; then what was offered is
 * taken. */
static void too_early(void **state)
{
	struct vdisk d;

	begin(state, &d);
	vdisk_prepare(&d, 0, 8);
	vdisk_request(&d, VDISK_READ, 9, 512);
	go(&d, 0);
	assert_int_equal(vdisk_used(&d), 0);
	assert_int_equal(board_read(d.b, VDISK_STATUS, 1), 0xff);
	vdisk_set_status(&d, 15);
	board_step(d.b, MS);
	assert_int_equal(vdisk_used(&d), 1);
	assert_int_equal(interrupts(&d), 1);
	vdisk_prepare(&d, 0, 8);
	go(&d, 200);
	assert_int_equal(vdisk_status(&d), 11);
	assert_false(board_intr(d.b));
}

/* 2.4.1: the status reads 0 when a reset is done; a request under way ends without a trace in the next session. */
static void reset_in_flight(void **state)
{
	struct vdisk d;

	begin(state, &d);
	for (unsigned k = 0; k < 50; k++) {
		vdisk_start(&d, 0, 8);
		vdisk_request(&d, VDISK_READ, k, 512);
		for (unsigned n = 0; n <= k % 8; n++)
			vdisk_offer(&d, 0);
		vdisk_kick(&d);
		vdisk_set_status(&d, 0);
		assert_int_not_equal(vdisk_status(&d), 0);
		board_step(d.b, MS);
		assert_int_equal(vdisk_status(&d), 0);
		assert_int_equal(vdisk_used(&d), 0);
		assert_int_equal(board_read(d.b, VDISK_STATUS, 1), 0xff);
		vdisk_start(&d, 0, 8);
		vdisk_request(&d, VDISK_READ, k + 1, 512);
		vdisk_offer(&d, 0);
		vdisk_kick(&d);
		vdisk_set_status(&d, 0); /* and a driver that does not wait for it */
		vdisk_start(&d, 0, 8);
		vdisk_request(&d, VDISK_READ, k + 2, 512);
		assert_int_equal(vdisk_used(&d), 0);
		reads(&d, 0, k + 2);
		assert_int_equal(interrupts(&d), 1);
	}
	ide_lives(d.b);
}

/* The machine's reset with requests under way: nothing of them is seen by the driver that finds the disk again. */
static void machine_reset(void **state)
{
	struct board *b = *state;
	struct vdisk d;

	for (unsigned k = 0; k < 20; k++) {
		begin(state, &d);
		vdisk_start(&d, VDISK_F_EVENT_IDX, 8);
		vdisk_request(&d, VDISK_READ, k, 512);
		for (unsigned n = 0; n <= k % 8; n++)
			vdisk_offer(&d, 0);
		vdisk_kick(&d);
		loop_lock(b->pc->loop);
		pc_reset_chips(b->pc);
		loop_unlock(b->pc->loop);
		if (k & 1)
			board_step(b, MS);
		assert_int_equal(board_cfg(b, d.devfn, 4, 2), 0);
		assert_false(board_intr(b));
		begin(state, &d);
		vdisk_start(&d, 0, 8);
		vdisk_request(&d, VDISK_READ, k + 30, 512);
		reads(&d, 0, k + 30);
		assert_int_equal(interrupts(&d), 1);
	}
	ide_lives(b);
}

/* A write reaches the image, and only the sectors named; beyond its end nothing does (5.2.6). */
static void writes(void **state)
{
	struct vdisk d;
	uint8_t sector[512];

	begin(state, &d);
	vdisk_start(&d, 0, 8);
	for (unsigned k = 0; k < 2; k++) {
		memset(mem_ram_base(d.b->pc->mem) + VDISK_DATA, 0xe7, 1024);
		vdisk_request(&d, VDISK_WRITE, k ? SECTORS - 1 : 20, 1024);
		go(&d, 0);
		assert_int_equal(vdisk_used_elem(&d, k), 1ull << 32);
		assert_int_equal(board_read(d.b, VDISK_STATUS, 1), k);
	}
	for (unsigned n = 0; n < SECTORS; n++) {
		assert_int_equal(pread(d.b->fd[FILE_VIRTIO], sector, 512, n * 512), 512);
		assert_int_equal(sector[511], n == 20 || n == 21 ? 0xe7 : (n + 1) & 0xff);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(features), T(sizes), T(direct), T(indirect), T(suppression), T(wrap), T(malformed), T(misplaced),
		T(too_early), T(reset_in_flight), T(machine_reset), T(writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
