// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: IDE disk and CD, floppy, each with its interrupt line, its DMA into guest RAM, and its errors
 */
#include "board.h"

#include <unistd.h>

#define PIIX3_IDE 0x70108086u
#define BM 0xc000u
#define PRD 0x100000u
#define DATA 0x200000u

/* Runs time until BSY is clear. */
static unsigned idle(struct board *b, unsigned base)
{
	unsigned status = 0x80;

	for (unsigned k = 0; k < 100 && (status = board_in(b, base ? 0x376 : 0x3f6, 1)) & 0x80; k++)
		board_step(b, 100 * US);
	return status;
}

static void ata(struct board *b, uint32_t lba, unsigned count, unsigned command)
{
	board_out(b, 0x1f6, 0xe0 | lba >> 24, 1);
	board_out(b, 0x1f2, count, 1);
	board_out(b, 0x1f3, lba & 0xff, 1);
	board_out(b, 0x1f4, lba >> 8 & 0xff, 1);
	board_out(b, 0x1f5, lba >> 16 & 0xff, 1);
	board_out(b, 0x1f7, command, 1);
}

static void take14(struct board *b)
{
	assert_true(board_wait(b, 10 * MS));
	assert_int_equal(board_ack(b), 0x2e);
	board_eoi(b, 0x2e);
	assert_int_equal(board_in(b, 0x1f7, 1) & 0x81, 0);
}

static bool sector_is(struct board *b, uint64_t at, unsigned n)
{
	uint8_t data[512];

	mem_read(b->pc->mem, at, data, sizeof(data));
	for (unsigned k = 0; k < sizeof(data); k++)
		if (data[k] != (uint8_t)(n + 1))
			return false;
	return true;
}

/* ATA-4, PIO data-in: DRQ and INTRQ for every sector; reading the status register drops the line, the
 * alternate does not. */
static void pio(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_unmask(b, 0x4000);
	board_out(b, 0x3f6, 0, 1);
	ata(b, 40, 3, 0x20);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(idle(b, 0) & 0x89, 8);
		assert_true(board_wait(b, 10 * MS));
		board_in(b, 0x3f6, 1);
		assert_true(board_intr(b));
		assert_int_equal(board_ack(b), 0x2e);
		assert_int_equal(board_in(b, 0x1f7, 1) & 0x88, 8);
		board_eoi(b, 0x2e);
		assert_false(board_intr(b));
		for (unsigned k = 0; k < 256; k++)
			assert_int_equal(board_in(b, 0x1f0, 2), (41 + n) * 0x101);
	}
	assert_int_equal(idle(b, 0) & 0x88, 0);
	board_out(b, 0x3f6, 2, 1); /* nIEN */
	ata(b, 1, 1, 0x20);
	assert_int_equal(idle(b, 0) & 0x89, 8);
	assert_false(board_wait(b, 5 * MS));
	board_out(b, 0x3f6, 0, 1); /* the request is still pending */
	assert_int_equal(board_ack(b), 0x2e);
}

/* What is written is there afterwards, on the medium too; the flush command ends after it. */
static void pio_write(void **state)
{
	struct board *b = *state;
	uint8_t back[512];

	board_start_pics(b);
	board_unmask(b, 0x4000);
	ata(b, 17, 1, 0x30);
	assert_int_equal(idle(b, 0) & 0x89, 8);
	for (unsigned k = 0; k < 256; k++)
		board_out(b, 0x1f0, 0x4321, 2);
	take14(b);
	board_out(b, 0x1f7, 0xe7, 1);
	take14(b);
	assert_int_equal(pread(b->fd[FILE_IDE], back, sizeof(back), 17 * 512), 512);
	assert_int_equal(get_le32(back + 508), 0x43214321);
	assert_int_equal(pread(b->fd[FILE_IDE], back, sizeof(back), 18 * 512), 512);
	assert_int_equal(back[0], 19);
}

/* ATA-4: an address beyond the end, a command that does not exist, a drive that is not there. */
static void errors(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_unmask(b, 0x4000);
	ata(b, 128, 1, 0x20);
	assert_true(idle(b, 0) & 1);
	assert_int_equal(board_in(b, 0x1f1, 1) & 0x10, 0x10); /* IDNF */
	assert_true(board_wait(b, 10 * MS));
	assert_int_equal(board_ack(b), 0x2e);
	board_in(b, 0x1f7, 1);
	board_eoi(b, 0x2e);
	ata(b, 127, 2, 0x20); /* the second sector is beyond the end */
	idle(b, 0);
	for (unsigned k = 0; k < 256; k++)
		board_in(b, 0x1f0, 2);
	assert_true(idle(b, 0) & 1);
	board_in(b, 0x1f7, 1);
	ata(b, 0, 1, 0xff);
	assert_true(idle(b, 0) & 1);
	assert_int_equal(board_in(b, 0x1f1, 1) & 4, 4); /* ABRT */
	board_out(b, 0x1f6, 0xf0, 1); /* the slave */
	assert_int_equal(board_in(b, 0x1f7, 1), 0);
}

static void prd(struct board *b, unsigned n, uint32_t at, uint32_t len, bool last)
{
	board_write(b, PRD + 8 * n, at, 4);
	board_write(b, PRD + 8 * n + 4, (len & 0xffff) | (last ? 0x80000000 : 0), 4);
}

static void start_bus_master(struct board *b)
{
	unsigned ide = board_find(b, PIIX3_IDE);

	board_cfg_set(b, ide, 0x20, BM, 4);
	board_cfg_set(b, ide, 4, 5, 2);
	board_cfg_set(b, ide, 0x40, 0x80008000, 4); /* IDETIM: both channels decoded */
	board_out(b, BM + 4, PRD, 4);
}

/* Bus-master IDE 1.0: regions of any length, also over 64 KiB borders' edge; status bits, interrupt after the data. */
static void dma(void **state)
{
	struct board *b = *state;

	board_start_pics(b);
	board_unmask(b, 0x4000);
	start_bus_master(b);
	prd(b, 0, DATA, 512, false);
	prd(b, 1, DATA + 0xfe00, 512, false); /* ends at a 64 KiB border */
	prd(b, 2, DATA + 0x20002, 254, false);
	prd(b, 3, DATA + 0x30000, 770, true);
	for (unsigned turn = 0; turn < 2; turn++) {
		ata(b, 20 + turn, 4, 0xc8);
		board_out(b, BM + 2, 6, 1);
		assert_false(board_wait(b, MS)); /* not before the start bit */
		board_out(b, BM, 9, 1);
		assert_true(board_wait(b, 10 * MS));
		assert_int_equal(board_in(b, BM + 2, 1) & 7, 4);
		board_out(b, BM, 0, 1);
		take14(b);
		assert_true(sector_is(b, DATA, 20 + turn));
		assert_true(sector_is(b, DATA + 0xfe00, 21 + turn));
		assert_true(sector_is(b, DATA + 0x30102, 23 + turn));
		assert_int_equal(board_read(b, DATA + 0x20000, 4), (23 + turn) * 0x01010000u);
	}
	prd(b, 0, DATA, 256, true); /* too short: the controller stops, the drive still wants to send (status 1, 0) */
	board_out(b, BM + 2, 6, 1);
	ata(b, 3, 1, 0xc8);
	board_out(b, BM, 9, 1);
	board_step(b, 10 * MS);
	assert_int_equal(board_in(b, BM + 2, 1) & 1, 0);
	board_out(b, BM, 0, 1);
}

/* To the disk, and with a table that points to no memory: nothing breaks and other memory is untouched. */
static void dma_out(void **state)
{
	struct board *b = *state;
	uint8_t back[512];

	board_start_pics(b);
	board_unmask(b, 0x4000);
	start_bus_master(b);
	board_write(b, DATA, 0x1badb002, 4);
	prd(b, 0, DATA, 512, true);
	board_out(b, BM + 2, 6, 1);
	ata(b, 9, 1, 0xca);
	board_out(b, BM, 1, 1);
	take14(b);
	board_out(b, BM, 0, 1);
	assert_int_equal(pread(b->fd[FILE_IDE], back, sizeof(back), 9 * 512), 512);
	assert_int_equal(get_le32(back), 0x1badb002);
	prd(b, 0, 0xd0000000, 512, true);
	board_out(b, BM + 2, 6, 1);
	ata(b, 9, 1, 0xc8);
	board_out(b, BM, 9, 1);
	board_step(b, 20 * MS);
	board_out(b, BM, 0, 1);
	board_out(b, 0x3f6, 4, 1); /* soft reset */
	board_step(b, MS);
	board_out(b, 0x3f6, 0, 1);
	board_step(b, 10 * MS);
	assert_int_equal(idle(b, 0) & 0x81, 0);
	assert_int_equal(board_read(b, DATA, 4), 0x1badb002);
}

/* ATAPI on the second channel: signature after reset, line 15, READ(10) by packet (SFF-8020i). */
static void cdrom(void **state)
{
	struct board *b = *state;
	static const uint8_t read10[12] = { 0x28, 0, 0, 0, 0, 5, 0, 0, 1 };

	board_start_pics(b);
	board_unmask(b, 0x8000);
	board_out(b, 0x376, 4, 1);
	board_step(b, MS);
	board_out(b, 0x376, 0, 1);
	board_step(b, 10 * MS);
	board_out(b, 0x176, 0xa0, 1);
	assert_int_equal(board_in(b, 0x174, 1), 0x14);
	assert_int_equal(board_in(b, 0x175, 1), 0xeb);
	for (unsigned turn = 0; turn < 2; turn++) { /* the first ends in unit attention, or not */
		board_out(b, 0x171, 0, 1);
		board_out(b, 0x174, 0, 1);
		board_out(b, 0x175, 8, 1);
		board_out(b, 0x177, 0xa0, 1);
		assert_int_equal(idle(b, 1) & 0x89, 8);
		for (unsigned k = 0; k < 12; k += 2)
			board_out(b, 0x170, get_le16(read10 + k), 2);
		if (idle(b, 1) & 8)
			break;
	}
	assert_true(board_wait(b, 10 * MS));
	assert_int_equal(board_ack(b), 0x2f);
	assert_int_equal(board_in(b, 0x177, 1) & 0x89, 8);
	assert_int_equal(board_in(b, 0x174, 1) | board_in(b, 0x175, 1) << 8, 2048);
	for (unsigned k = 0; k < 1024; k++)
		assert_int_equal(board_in(b, 0x170, 2), (uint8_t)(5 * 4 + k / 256 + 1) * 0x101);
	assert_int_equal(idle(b, 1) & 0x89, 0);
}

static void fdc_byte(struct board *b, unsigned byte)
{
	for (unsigned k = 0; k < 1000 && (board_in(b, 0x3f4, 1) & 0xc0) != 0x80; k++)
		board_step(b, 100 * US);
	board_out(b, 0x3f5, byte, 1);
}

/* Floppy: reset, recalibrate, one sector through channel 2 of the 8237A to below 16 MiB, line 6, result
 * bytes (82077AA). */
static void floppy(void **state)
{
	struct board *b = *state;
	static const uint8_t read[] = { 0xe6, 0, 2, 0, 7, 2, 18, 0x1b, 0xff };
	uint8_t result[7];

	board_start_pics(b);
	board_unmask(b, 0x40);
	board_out(b, 0x3f2, 0, 1);
	board_out(b, 0x3f2, 0x1c, 1);
	assert_true(board_wait(b, 50 * MS));
	assert_int_equal(board_ack(b), 0x26);
	board_eoi(b, 0x26);
	for (unsigned k = 0; k < 4; k++) {
		fdc_byte(b, 8);
		board_in(b, 0x3f5, 1), board_in(b, 0x3f5, 1);
	}
	board_out(b, 0x3f7, 0, 1);
	fdc_byte(b, 3), fdc_byte(b, 0xdf), fdc_byte(b, 2);
	fdc_byte(b, 7), fdc_byte(b, 0);
	assert_true(board_wait(b, 2000 * MS));
	assert_int_equal(board_ack(b), 0x26);
	fdc_byte(b, 8);
	assert_int_equal(board_in(b, 0x3f5, 1) & 0xf0, 0x20);
	board_in(b, 0x3f5, 1);
	board_eoi(b, 0x26);
	fdc_byte(b, 0xf), fdc_byte(b, 0), fdc_byte(b, 2); /* seek to cylinder 2 */
	assert_true(board_wait(b, 2000 * MS));
	board_ack(b);
	fdc_byte(b, 8);
	board_in(b, 0x3f5, 1);
	assert_int_equal(board_in(b, 0x3f5, 1), 2);
	board_eoi(b, 0x26);
	board_out(b, 0x0a, 6, 1);
	board_out(b, 0x0c, 0, 1);
	board_out(b, 0x0b, 0x46, 1); /* single, to memory */
	board_out(b, 0x04, 0x00, 1), board_out(b, 0x04, 0x40, 1), board_out(b, 0x81, 0x12, 1);
	board_out(b, 0x05, 0xff, 1), board_out(b, 0x05, 0x01, 1);
	board_out(b, 0x0a, 2, 1);
	for (unsigned k = 0; k < sizeof(read); k++)
		fdc_byte(b, read[k]);
	assert_true(board_wait(b, 2000 * MS));
	assert_int_equal(board_ack(b), 0x26);
	for (unsigned k = 0; k < 7; k++)
		result[k] = (uint8_t)board_in(b, 0x3f5, 1);
	assert_int_equal(result[0] & 0xc0, 0);
	assert_true(sector_is(b, 0x124000, 2 * 36 + 6));
	assert_int_equal(board_in(b, 8, 1) & 4, 4); /* terminal count */
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(pio), T(pio_write), T(errors), T(dma), T(dma_out), T(cdrom), T(floppy) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
