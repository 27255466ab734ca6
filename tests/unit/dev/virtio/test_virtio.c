// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of virtio over PCI with a driver written here: both faces, queues, the block and entropy devices,
 * hostile rings */
#include "../pci/small_pc.h"

#include "dev/virtio/virtio.h"

#define BLK (4 << 3)
#define RNG (5 << 3)
#define IO 0xc000
#define MSIX 0xf0000000u
#define MODERN 0xf1000000u
#define DESC 0x100000u
#define AVAIL 0x102000u
#define USED 0x103000u
#define DATA 0x110000u
#define NEXT 1
#define WRITE 2
#define INDIRECT 4

static struct small_pc *pc;
static struct virtio_blk *blk;
static struct virtio_rng *rng;
static struct block *disk;
static char *disk_path;
static uint16_t avail_idx;
static unsigned qsize;

static int setup_disk(bool readonly)
{
	struct virtio_place place = {0};

	pc = small_pc_new();
	disk_path = make_image(64 * 512);
	disk = open_image(pc, disk_path, readonly);
	place.loop = pc->loop;
	place.mem = pc->mem;
	place.bus = pc->bus;
	place.states = pc->states;
	place.name = "virtio-blk0";
	place.devfn = BLK;
	blk = virtio_blk_new(&place, disk, "ID-OF-DISK");
	place.name = "virtio-rng0";
	place.devfn = RNG;
	rng = virtio_rng_new(&place);
	cfg_write(pc, BLK, 0x10, IO, 4);
	cfg_write(pc, BLK, 0x14, MSIX, 4);
	cfg_write(pc, BLK, 0x20, MODERN, 4);
	cfg_write(pc, BLK, 4, 7, 2);
	cfg_write(pc, 8, 0x63, 11, 1); /* slot 4 INTA is PIRQ D */
	avail_idx = 0;
	return 0;
}

static int setup(void **state)
{
	return setup_disk(false);
}

static int setup_readonly(void **state)
{
	return setup_disk(true);
}

static int teardown(void **state)
{
	block_close(disk);
	virtio_blk_free(blk);
	virtio_rng_free(rng);
	small_pc_free(pc);
	remove_image(disk_path);
	return 0;
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

static void desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	w(table + i * 16, addr, 8);
	w(table + i * 16 + 8, len, 4);
	w(table + i * 16 + 12, flags, 2);
	w(table + i * 16 + 14, next, 2);
}

/* Negotiate and set up queue 0 as a modern driver does. */
static void start_modern(uint64_t features)
{
	w(MODERN + 20, 0, 1);
	w(MODERN + 20, 3, 1);
	w(MODERN + 8, 0, 4);
	w(MODERN + 12, (uint32_t)features, 4);
	w(MODERN + 8, 1, 4);
	w(MODERN + 12, 1 | features >> 32, 4);
	w(MODERN + 20, 11, 1);
	assert_int_equal(r(MODERN + 20, 1), 11);
	w(MODERN + 22, 0, 2);
	w(MODERN + 24, 16, 2);
	qsize = 16;
	w(MODERN + 32, DESC, 8);
	w(MODERN + 40, AVAIL, 8);
	w(MODERN + 48, USED, 8);
	w(MODERN + 28, 1, 2);
	w(MODERN + 20, 15, 1);
	avail_idx = 0;
}

static void make_available(uint16_t head)
{
	w(AVAIL + 4 + 2 * (avail_idx % qsize), head, 2);
	avail_idx++;
	w(AVAIL + 2, avail_idx, 2);
}

static void kick(void)
{
	w(MODERN + 0x3000, 0, 2);
}

/* Descriptors 0-2: header, data, status. */
static void build_request(uint32_t type, uint64_t sector, uint32_t len, bool to_guest)
{
	w(DATA, type, 4);
	w(DATA + 4, 0, 4);
	w(DATA + 8, sector, 8);
	w(DATA + 0x100, 0xff, 1);
	desc(DESC, 0, DATA, 16, NEXT, 1);
	desc(DESC, 1, DATA + 0x1000, len, NEXT | (to_guest ? WRITE : 0), 2);
	desc(DESC, 2, DATA + 0x100, 1, WRITE, 0);
}

static unsigned request(uint32_t type, uint64_t sector, uint32_t len, bool to_guest)
{
	build_request(type, sector, len, to_guest);
	make_available(0);
	kick();
	loop_step(pc->loop, 0);
	return (unsigned)r(DATA + 0x100, 1);
}

static void ids(void **state)
{
	/* Transitional ids, with the virtio id as subsystem id (4.1.2). */
	assert_int_equal(cfg_read(pc, BLK, 0, 4), 0x10011af4);
	assert_int_equal(cfg_read(pc, BLK, 0x2e, 2), 2);
	assert_int_equal(cfg_read(pc, BLK, 8, 1), 0);
	assert_int_equal(cfg_read(pc, RNG, 0, 4), 0x10051af4);
	assert_int_equal(cfg_read(pc, RNG, 0x2e, 2), 4);
}

static void capabilities(void **state)
{
	/* The capability list names all five structures and MSI-X, and ends. */
	unsigned seen = 0, n = 0;

	for (unsigned at = cfg_read(pc, BLK, 0x34, 1); at && n < 20; at = cfg_read(pc, BLK, at + 1, 1), n++)
		seen |= cfg_read(pc, BLK, at, 1) == 9 ? 1u << cfg_read(pc, BLK, at + 3, 1) : 1u << 8;
	assert_int_equal(n, 6);
	assert_int_equal(seen, 0x13e);
}

static void negotiation(void **state)
{
	/* Only offered features stick; a modern driver must take VERSION_1. */
	w(MODERN + 0, 1, 4);
	assert_int_equal(r(MODERN + 4, 4), 1);
	w(MODERN + 8, 0, 4);
	w(MODERN + 12, 0xffffffff, 4);
	assert_int_equal(r(MODERN + 12, 4) & (1u << 30 | 1u << 5), 0);
	assert_true(r(MODERN + 12, 4) & 1u << 29);
	w(MODERN + 20, 11, 1);
	assert_int_equal(r(MODERN + 20, 1), 3);
	w(MODERN + 8, 1, 4);
	w(MODERN + 12, 1, 4);
	w(MODERN + 20, 11, 1);
	assert_int_equal(r(MODERN + 20, 1), 11);
	w(MODERN + 20, 0, 1);
	assert_int_equal(r(MODERN + 20, 1), 0);
	assert_int_equal(r(MODERN + 12, 4), 0);
}

static void config_space(void **state)
{
	/* Capacity in both faces; the legacy one moves by 4 when MSI-X is on. */
	uint8_t cap = (uint8_t)cfg_read(pc, BLK, 0x34, 1);

	assert_int_equal(r(MODERN + 0x2000, 8), 64);
	assert_int_equal(in(pc, IO + 20, 4), 64);
	assert_int_equal(cfg_read(pc, BLK, cap, 1), 0x11);
	cfg_write(pc, BLK, cap + 2, 0x8000, 2);
	assert_int_equal(in(pc, IO + 24, 4), 64);
	assert_int_equal(in(pc, IO + 20, 2), 0xffff);
	assert_int_equal(in(pc, IO + 12, 2), 256);
}

static void modern_read_write(void **state)
{
	/* A read, a write and a flush through the modern face, with INTx. */
	uint8_t back[512];

	start_modern(0);
	assert_int_equal(request(0, 5, 1024, true), 0);
	assert_int_equal(r(DATA + 0x1000, 1), 6);
	assert_int_equal(r(DATA + 0x1200, 1), 7);
	assert_int_equal(r(USED + 2, 2), 1);
	assert_int_equal(r(USED + 8, 4), 1025);
	assert_true(pc->line[11]);
	assert_int_equal(r(MODERN + 0x1000, 1), 1);
	assert_false(pc->line[11]);
	w(DATA + 0x1000, 0x99, 1);
	assert_int_equal(request(1, 7, 512, false), 0);
	assert_int_equal(block_read_sync(disk, 7 * 512, back, 512), 0);
	assert_int_equal(back[0], 0x99);
	assert_int_equal(request(4, 0, 0, false), 0);
	assert_int_equal(r(USED + 2, 2), 3);
}

static void requests_refused(void **state)
{
	/* Beyond the end, odd lengths: IOERR. Unknown types: UNSUPP. The device goes on. */
	start_modern(0);
	assert_int_equal(request(0, 64, 512, true), 1);
	assert_int_equal(request(0, 63, 1024, true), 1);
	assert_int_equal(request(0, UINT64_MAX, 512, true), 1);
	assert_int_equal(request(0, 1ull << 55, 512, true), 1);
	assert_int_equal(request(0, 0, 100, true), 1);
	assert_int_equal(request(99, 0, 512, true), 2);
	assert_int_equal(request(0, 63, 512, true), 0);
	assert_int_equal(r(MODERN + 20, 1), 15);
}

/* A range of DISCARD (11) or WRITE_ZEROES (13). */
static unsigned range(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
	w(DATA + 0x1000, sector, 8);
	w(DATA + 0x1008, count, 4);
	w(DATA + 0x100c, flags, 4);
	return request(type, 0, 16, false);
}

static void ranges(void **state)
{
	/* 5.2.6.2: WRITE_ZEROES zeroes just its sectors; ranges beyond the end, empty, or with unknown flags fail. */
	uint8_t back[3 * 512];

	start_modern(0);
	assert_int_equal(range(13, 5, 1, 1), 0);
	assert_int_equal(block_read_sync(disk, 4 * 512, back, sizeof(back)), 0);
	assert_int_equal(back[511], 5);
	assert_int_equal(back[512], 0);
	assert_int_equal(back[1023], 0);
	assert_int_equal(back[1024], 7);
	assert_int_equal(range(13, 9, 2, 0), 0);
	assert_int_equal(block_read_sync(disk, 9 * 512, back, sizeof(back)), 0);
	assert_int_equal(back[1023], 0);
	assert_int_equal(back[1024], 12);
	assert_int_equal(range(11, 20, 4, 0), 0);
	assert_int_equal(range(11, 20, 4, 1), 2);
	assert_int_equal(range(13, 20, 4, 2), 2);
	assert_int_equal(range(13, 63, 2, 0), 1);
	assert_int_equal(range(11, UINT64_MAX, 1, 0), 1);
	assert_int_equal(range(11, 0, 0, 0), 1);
	assert_int_equal(range(11, 0, UINT32_MAX, 0), 1);
	assert_int_equal(request(13, 0, 32, false), 1);
	assert_int_equal(request(13, 0, 8, false), 1);
}

static void identity(void **state)
{
	/* GET_ID gives the serial, zero padded to 20 bytes. */
	start_modern(0);
	assert_int_equal(request(8, 0, 20, true), 0);
	assert_int_equal(r(DATA + 0x1000, 8), 0x442d464f2d4449ull | (uint64_t)'I' << 56);
	assert_int_equal(r(DATA + 0x1013, 1), 0);
}

static void read_only(void **state)
{
	/* A read-only image is announced and refuses writes. */
	w(MODERN + 0, 0, 4);
	assert_true(r(MODERN + 4, 4) & 1u << 5);
	start_modern(1u << 5);
	assert_int_equal(request(1, 0, 512, false), 1);
	assert_int_equal(request(0, 0, 512, true), 0);
}

static void legacy_driver(void **state)
{
	/* The legacy face: one page frame number, notification by port, ISR by port. */
	uint32_t used = DESC + ((256 * 16 + 6 + 512 + 4095) & ~4095u);

	out(pc, IO + 18, 3, 1);
	out(pc, IO + 4, in(pc, IO, 4) & ~(1u << 29), 4);
	out(pc, IO + 14, 0, 2);
	out(pc, IO + 8, DESC >> 12, 4);
	assert_int_equal(in(pc, IO + 8, 4), DESC >> 12);
	out(pc, IO + 18, 7, 1);
	build_request(0, 9, 512, true);
	w(DESC + 256 * 16 + 4, 0, 2);
	w(DESC + 256 * 16 + 2, 1, 2);
	out(pc, IO + 16, 0, 2);
	loop_step(pc->loop, 0);
	assert_int_equal(r(DATA + 0x1000, 1), 10);
	assert_int_equal(r(used + 2, 2), 1);
	assert_int_equal(in(pc, IO + 19, 1), 1);
	assert_false(pc->line[11]);
	out(pc, IO + 18, 0, 1);
	assert_int_equal(in(pc, IO + 8, 4), 0);
}

static void msix_completion(void **state)
{
	/* With MSI-X a completion sends the queue's vector and leaves INTx alone. */
	uint8_t cap = (uint8_t)cfg_read(pc, BLK, 0x34, 1);

	cfg_write(pc, BLK, cap + 2, 0x8000, 2);
	w(MSIX + 16, 0xfee01000, 8);
	w(MSIX + 24, 0x31, 4);
	w(MSIX + 28, 0, 4);
	w(MODERN + 22, 0, 2);
	w(MODERN + 26, 9, 2);
	assert_int_equal(r(MODERN + 26, 2), 0xffff);
	start_modern(0);
	w(MODERN + 26, 1, 2);
	assert_int_equal(request(0, 0, 512, true), 0);
	assert_int_equal(pc->msis, 1);
	assert_int_equal(pc->msi_addr, 0xfee01000);
	assert_int_equal(pc->msi_data, 0x31);
	assert_false(pc->line[11]);
}

static void suppression(void **state)
{
	/* NO_INTERRUPT is honoured; with event index the driver names the index it waits for. */
	start_modern(0);
	w(AVAIL, 1, 2);
	request(0, 0, 512, true);
	assert_false(pc->line[11]);
	w(MODERN + 20, 0, 1);
	w(AVAIL, 0, 8);
	w(USED, 0, 8);
	start_modern(1u << 29);
	w(AVAIL + 4 + 2 * 16, 1, 2); /* used_event: after the second */
	request(0, 0, 512, true);
	assert_false(pc->line[11]);
	build_request(0, 0, 512, true);
	make_available(0);
	kick();
	assert_int_equal(r(USED + 4 + 8 * 16, 2), 2); /* avail_event: notify me of the third */
	loop_step(pc->loop, 0);
	assert_true(pc->line[11]);
	r(MODERN + 0x1000, 1);
	request(0, 0, 512, true);
	assert_false(pc->line[11]);
}

static void indirect(void **state)
{
	/* One indirect descriptor carries the whole chain. */
	uint64_t table = DATA + 0x4000;

	start_modern(1u << 28);
	build_request(0, 3, 512, true);
	desc(table, 0, DATA, 16, NEXT, 1);
	desc(table, 1, DATA + 0x1000, 512, NEXT | WRITE, 2);
	desc(table, 2, DATA + 0x100, 1, WRITE, 0);
	desc(DESC, 5, table, 48, INDIRECT, 0);
	make_available(5);
	kick();
	loop_step(pc->loop, 0);
	assert_int_equal(r(DATA + 0x100, 1), 0);
	assert_int_equal(r(DATA + 0x1000, 1), 4);
	assert_int_equal(r(USED + 4, 4), 5);
}

/* Each sets up one crime in descriptor 0. */
static void crime_loop(void)
{
	desc(DESC, 0, DATA, 16, NEXT, 0);
}
static void crime_index(void)
{
	desc(DESC, 0, DATA, 16, NEXT, 16);
}
static void crime_address(void)
{
	desc(DESC, 0, 0xffffffffffffff00ull, 0x1000, 0, 0);
}
static void crime_hole(void)
{
	desc(DESC, 0, 0xfffff0, 64, 0, 0); /* across the end of RAM */
}
static void crime_order(void)
{
	desc(DESC, 0, DATA, 16, WRITE | NEXT, 1);
	desc(DESC, 1, DATA, 16, 0, 0);
}
static void crime_nested(void)
{
	desc(DATA, 0, DATA, 16, INDIRECT, 0);
	desc(DESC, 0, DATA, 16, INDIRECT, 0);
}
static void crime_indirect_length(void)
{
	desc(DESC, 0, DATA, 17, INDIRECT, 0);
}
static void crime_no_status(void)
{
	desc(DESC, 0, DATA, 16, 0, 0);
}
static void crime_short_header(void)
{
	desc(DESC, 0, DATA, 4, NEXT, 1);
	desc(DESC, 1, DATA + 0x100, 1, WRITE, 0);
}
static void crime_ran_ahead(void)
{
	avail_idx = 1000;
	w(AVAIL + 2, avail_idx, 2);
}

static void hostile_rings(void **state)
{
	/* Every violation stops the device with NEEDS_RESET, and a reset makes it work again. */
	static void (*const crime[])(void) = {crime_loop, crime_index, crime_address, crime_hole, crime_order, crime_nested,
	                                      crime_indirect_length, crime_no_status, crime_short_header, crime_ran_ahead};

	for (unsigned i = 0; i < ARRAY_LEN(crime); i++) {
		w(AVAIL, 0, 8);
		w(USED, 0, 8);
		start_modern(1u << 28);
		w(AVAIL + 4, 0, 2);
		crime[i]();
		make_available(0);
		kick();
		loop_step(pc->loop, 0);
		assert_int_equal(r(MODERN + 20, 1), 0x4f);
		w(MODERN + 20, 0, 1);
		w(AVAIL, 0, 8);
		w(USED, 0, 8);
		start_modern(0);
		assert_int_equal(request(0, 0, 512, true), 0);
	}
}

static uint32_t next_random(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 4;
}

static void random_rings(void **state)
{
	/* Rings full of plausible nonsense neither crash nor hang; a reset always brings the device back. */
	uint32_t x = 99;

	for (unsigned round = 0; round < 2000; round++) {
		w(AVAIL, 0, 8);
		w(USED, 0, 8);
		start_modern((uint64_t)(next_random(&x) & 3) << 28);
		for (unsigned i = 0; i < 16; i++) {
			uint32_t len = next_random(&x) & 1 ? next_random(&x) & 0x7ff : (next_random(&x) & 7) * 512;
			uint32_t addr = next_random(&x) & 15 ? DATA + (next_random(&x) & 0xfff0) : next_random(&x) << 4;

			desc(DESC, i, addr, len, (uint16_t)(next_random(&x) & (next_random(&x) & 3 ? 3 : 7)),
			     (uint16_t)(next_random(&x) % 17));
			w(DATA + i * 0x100, next_random(&x) % 9, 4);
			w(DATA + i * 0x100 + 8, next_random(&x) % 70, 8);
			w(AVAIL + 4 + 2 * i, next_random(&x) & 15, 2);
		}
		w(AVAIL + 2, 1 + (next_random(&x) & 15), 2);
		kick();
		loop_step(pc->loop, 0);
	}
	w(AVAIL, 0, 8);
	w(USED, 0, 8);
	start_modern(0);
	assert_int_equal(request(0, 0, 512, true), 0);
}

static void rings_outside_ram(void **state)
{
	/* Rings that are not in RAM or not aligned stop the device, not us. */
	static const uint64_t bad[] = {0xffff0000, 0xfffffffffffff000ull, 0x1, 0xfffffe};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		w(MODERN + 20, 0, 1);
		w(MODERN + 8, 1, 4);
		w(MODERN + 12, 1, 4);
		w(MODERN + 20, 11, 1);
		w(MODERN + 22, 0, 2);
		w(MODERN + 32, bad[i], 8);
		w(MODERN + 40, AVAIL, 8);
		w(MODERN + 48, USED, 8);
		w(MODERN + 28, 1, 2);
		w(MODERN + 20, 15, 1);
		kick();
		assert_true(r(MODERN + 20, 1) & 0x40);
	}
}

static void reset_under_way(void **state)
{
	/* A reset with a request under way reads back as done only when that has ended, and its completion is dropped. */
	start_modern(0);
	build_request(0, 3, 512, true);
	make_available(0);
	kick();
	w(MODERN + 20, 0, 1);
	assert_int_not_equal(r(MODERN + 20, 1), 0);
	loop_step(pc->loop, 0);
	assert_int_equal(r(MODERN + 20, 1), 0);
	assert_int_equal(r(USED + 2, 2), 0);
	assert_int_equal(r(DATA + 0x100, 1), 0xff);
	assert_false(pc->line[11]);
}

static void no_bus_master(void **state)
{
	/* Without the bus master bit memory is not touched. */
	start_modern(0);
	cfg_write(pc, BLK, 4, 3, 2);
	assert_int_equal(request(0, 0, 512, true), 0xff);
	cfg_write(pc, BLK, 4, 7, 2);
	kick();
	loop_step(pc->loop, 0);
	assert_int_equal(r(DATA + 0x100, 1), 0);
}

static void config_window(void **state)
{
	/* The PCI configuration access capability reaches BAR4 even while that is not mapped. */
	unsigned at = cfg_read(pc, BLK, 0x34, 1);

	while (at && !(cfg_read(pc, BLK, at, 1) == 9 && cfg_read(pc, BLK, at + 3, 1) == 5))
		at = cfg_read(pc, BLK, at + 1, 1);
	assert_int_not_equal(at, 0);
	cfg_write(pc, BLK, 4, 0, 2);
	cfg_write(pc, BLK, at + 4, 4, 1);
	cfg_write(pc, BLK, at + 8, 0x2000, 4);
	cfg_write(pc, BLK, at + 12, 4, 4);
	assert_int_equal(cfg_read(pc, BLK, at + 16, 4), 64);
	cfg_write(pc, BLK, at + 8, 20, 4);
	cfg_write(pc, BLK, at + 12, 1, 4);
	cfg_write(pc, BLK, at + 16, 3, 1);
	assert_int_equal(cfg_read(pc, BLK, at + 16, 1), 3);
	cfg_write(pc, BLK, at + 8, 0xfffffffc, 4);
	cfg_read(pc, BLK, at + 16, 1);
	cfg_write(pc, BLK, at + 8, 0x3fff, 4);
	cfg_write(pc, BLK, at + 12, 4, 4);
	cfg_read(pc, BLK, at + 16, 4);
}

static void entropy(void **state)
{
	/* The entropy device fills buffers, at most 4 KiB each. */
	unsigned zeros = 0;

	cfg_write(pc, BLK, 4, 0, 2);
	cfg_write(pc, RNG, 0x20, MODERN, 4);
	cfg_write(pc, RNG, 4, 6, 2);
	start_modern(0);
	desc(DESC, 0, DATA, 64, WRITE, 0);
	desc(DESC, 1, DATA + 0x1000, 0x10000, WRITE, 0);
	make_available(0);
	make_available(1);
	kick();
	assert_int_equal(r(USED + 2, 2), 2);
	assert_int_equal(r(USED + 8, 4), 64);
	assert_int_equal(r(USED + 16, 4), 4096);
	for (unsigned i = 0; i < 64; i++)
		zeros += !r(DATA + i, 1);
	assert_true(zeros < 16);
}

static void coverage(void **state)
{
	/* Every byte of the chips' state is declared. */
	check_all_coverage(pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(ids), T(capabilities), T(negotiation), T(config_space), T(modern_read_write), T(requests_refused),
		T(identity), T(ranges),
		cmocka_unit_test_setup_teardown(read_only, setup_readonly, teardown), T(legacy_driver), T(msix_completion),
		T(suppression), T(indirect), T(hostile_rings), T(random_rings), T(rings_outside_ram), T(reset_under_way),
		T(no_bus_master),
		T(config_window), T(entropy), T(coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
