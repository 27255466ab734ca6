// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: whatever a device writes to guest RAM, mem's listener hears of, byte by byte
 *
 * Translations of code live until that notification comes, so one that is left out lets the guest run what is no longer
 * there. RAM is compared with what it was; the code map says that there is code on every page.
 */
#include "vdisk.h"

#define RAM_END 0x1000000u
#define VIRTIO_RNG 0x10051af4u
#define PIIX3_IDE 0x70108086u
#define BM 0xc000u
#define PRD 0x100000u
#define DATA 0x200000u

static struct watch {
	uint8_t was[RAM_END], told[RAM_END];
} seen;

static void hear(void *opaque, uint64_t off, uint64_t len)
{
	memset(seen.told + off, 1, MIN(len, RAM_END - off));
}

static void watch(struct board *b)
{
	mem_add_listener(b->pc->mem, &(struct mem_listener){ .code_written = hear });
	memset(mem_code_map(b->pc->mem), 1, RAM_END / 4096);
	memcpy(seen.was, mem_ram_base(b->pc->mem), RAM_END);
	memset(seen.told, 0, RAM_END);
}

/* How many bytes have changed since: none without a word about it. */
static unsigned changed(struct board *b)
{
	const uint8_t *now = mem_ram_base(b->pc->mem);
	unsigned n = 0;

	for (unsigned k = 0; k < RAM_END; k++) {
		if (now[k] == seen.was[k])
			continue;
		if (!seen.told[k])
			fail_msg("byte %#x was written and nobody told", k);
		n++;
	}
	return n;
}

/* VIRTIO 1.1, 2.6.8 and 5.2.6: data, status, used ring and event index of requests that succeed and that fail. */
static void virtio_disk(void **state)
{
	static const struct { uint32_t type, len; uint64_t sector; } requests[] = {
		{ VDISK_READ, 1024, 3 }, { VDISK_READ, 512, 1000 }, { VDISK_READ, 300, 3 }, { VDISK_NO_SUCH, 512, 0 },
		{ 8, 20, 0 },
	};
	struct board *b = *state;
	struct vdisk d;

	vdisk_find(b, &d);
	for (unsigned k = 0; k < ARRAY_LEN(requests); k++) {
		vdisk_start(&d, VDISK_F_EVENT_IDX, 4);
		vdisk_request(&d, requests[k].type, requests[k].sector, requests[k].len);
		vdisk_offer(&d, 0);
		board_write(b, VDISK_USED + 4 + 8 * 4, 0x5555, 2); /* the event index */
		watch(b);
		vdisk_kick(&d);
		board_step(b, MS);
		assert_int_equal(vdisk_used(&d), 1);
		assert_int_equal(board_read(b, VDISK_USED + 4 + 8 * 4, 2), 1);
		assert_true(changed(b) >= 3);
	}
}

/* A driver that gives the device up while the disk reads: what comes all the same may lie where code is by then. */
static void virtio_disk_reset(void **state)
{
	struct board *b = *state;
	struct vdisk d;

	vdisk_find(b, &d);
	vdisk_start(&d, 0, 4);
	vdisk_request(&d, VDISK_READ, 3, 512);
	vdisk_offer(&d, 0);
	watch(b);
	vdisk_kick(&d);
	vdisk_set_status(&d, 0);
	board_step(b, MS);
	assert_int_equal(changed(b), 512);
	assert_int_equal(vdisk_status(&d), 0);
}

/* VIRTIO 1.1, 5.4 */
static void virtio_rng(void **state)
{
	struct board *b = *state;
	struct vdisk d;

	vdisk_find_other(b, &d, VIRTIO_RNG);
	vdisk_start(&d, 0, 4);
	vdisk_desc(&d, VDISK_DESC, 0, VDISK_DATA + 3, 5, VDISK_WRITABLE | VDISK_NEXT, 1);
	vdisk_desc(&d, VDISK_DESC, 1, VDISK_DATA + 0x2000, 300, VDISK_WRITABLE, 0);
	vdisk_offer(&d, 0);
	watch(b);
	vdisk_kick(&d);
	assert_int_equal(vdisk_used_elem(&d, 0) >> 32, 305);
	assert_true(changed(b) > 200);
}

static void start_bus_master(struct board *b, unsigned channel, uint32_t at, uint32_t len)
{
	unsigned ide = board_find(b, PIIX3_IDE);

	board_cfg_set(b, ide, 0x20, BM, 4);
	board_cfg_set(b, ide, 4, 5, 2);
	board_write(b, PRD, at, 4);
	board_write(b, PRD + 4, len | 0x80000000, 4);
	board_out(b, BM + 8 * channel + 4, PRD, 4);
	board_out(b, BM + 8 * channel, 9, 1);
}

static void ata(struct board *b, unsigned base, const uint8_t task[7])
{
	for (unsigned k = 0; k < 7; k++)
		board_out(b, base + 1 + k, task[k], 1);
}

/* READ DMA, also one that a soft reset overtakes (ATA/ATAPI-6 8.28, 9.3). */
static void ide_disk(void **state)
{
	static const uint8_t read_dma[7] = { 0, 2, 20, 0, 0, 0xe0, 0xc8 };
	struct board *b = *state;

	for (unsigned reset = 0; reset < 2; reset++) {
		board_out(b, BM, 0, 1);
		start_bus_master(b, 0, DATA + reset * 0x10000 + 2, 1024);
		watch(b);
		ata(b, 0x1f0, read_dma);
		if (reset)
			board_out(b, 0x3f6, 4, 1);
		board_step(b, MS);
		board_out(b, 0x3f6, 0, 1);
		assert_int_equal(changed(b), 1024);
	}
}

/* PACKET with DMA: an answer that the drive itself makes, and data (SFF-8020i 5.10). */
static void ide_cdrom(void **state)
{
	static const uint8_t packet[7] = { 1, 0, 0, 0, 8, 0xa0, 0xa0 };
	static const uint8_t commands[2][12] = { { 0x12, 0, 0, 0, 36 }, { 0x28, 0, 0, 0, 0, 5, 0, 0, 1 } };
	struct board *b = *state;

	for (unsigned n = 0; n < 2; n++) {
		board_out(b, BM + 8, 0, 1);
		start_bus_master(b, 1, DATA, 2048);
		watch(b);
		ata(b, 0x170, packet);
		for (unsigned k = 0; k < 12; k += 2)
			board_out(b, 0x170, get_le16(commands[n] + k), 2);
		board_step(b, MS);
		assert_true(changed(b) >= (n ? 2000 : 20));
	}
}

/* Of the controller's bytes: commands and how many come back. */
static void fdc(struct board *b, const uint8_t *bytes, unsigned n, unsigned results)
{
	for (unsigned k = 0; k < n; k++)
		board_out(b, 0x3f5, bytes[k], 1);
	board_step(b, 2000 * MS);
	for (unsigned k = 0; k < results; k++)
		board_in(b, 0x3f5, 1);
}

/* READ DATA through channel 2 of the 8237 (82077AA, 8237A). */
static void floppy(void **state)
{
	static const struct { uint8_t len, byte[9], results; } before[] = {
		{ 1, { 8 }, 2 }, { 1, { 8 }, 2 }, { 1, { 8 }, 2 }, { 1, { 8 }, 2 }, { 3, { 3, 0xdf, 2 }, 0 },
		{ 2, { 7, 0 }, 0 }, { 1, { 8 }, 2 },
	};
	static const uint8_t read[] = { 0xe6, 0, 0, 0, 7, 2, 18, 0x1b, 0xff };
	static const uint8_t channel[][2] = { { 0x0a, 6 }, { 0x0c, 0 }, { 0x0b, 0x46 }, { 0x04, 0 }, { 0x04, 0x40 },
		{ 0x81, 0x12 }, { 0x05, 0xff }, { 0x05, 1 }, { 0x0a, 2 } };
	struct board *b = *state;

	board_out(b, 0x3f2, 0, 1);
	board_out(b, 0x3f2, 0x1c, 1);
	board_out(b, 0x3f7, 0, 1);
	board_step(b, 50 * MS);
	for (unsigned k = 0; k < ARRAY_LEN(before); k++)
		fdc(b, before[k].byte, before[k].len, before[k].results);
	for (unsigned k = 0; k < ARRAY_LEN(channel); k++)
		board_out(b, channel[k][0], channel[k][1], 1);
	watch(b);
	fdc(b, read, sizeof(read), 7);
	assert_int_equal(changed(b), 512);
}

/* fw_cfg.rst, "Guest-side DMA Interface": an item, the zeros behind it, and the control field. */
static void fw_cfg(void **state)
{
	struct board *b = *state;

	memset(mem_ram_base(b->pc->mem) + DATA, 0xcc, 0x4000);
	board_write(b, PRD, __builtin_bswap32(8 | 2), 4); /* select item 0, read */
	board_write(b, PRD + 4, __builtin_bswap32(0x3000), 4);
	board_write(b, PRD + 8, __builtin_bswap64(DATA + 5), 8);
	watch(b);
	board_out(b, 0x514, 0, 4);
	board_out(b, 0x518, __builtin_bswap32(PRD), 4);
	board_step(b, MS);
	assert_int_equal(board_read(b, DATA + 5, 4), 0x554d4551);
	assert_int_equal(changed(b), 0x3000 + 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(virtio_disk), T(virtio_disk_reset), T(virtio_rng), T(ide_disk), T(ide_cdrom),
		T(floppy), T(fw_cfg) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
