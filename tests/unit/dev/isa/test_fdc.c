// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the 82077AA through its ports with a disk in a temporary file */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "dev/isa/fdc.h"

#define IMAGE (1440 * 1024)
#define BUF 0x10000u

static struct loop *loop;
static struct mem *mem;
static struct dma *dma;
static struct fdc *fdc;
static struct block *disk;
static bool irq6;
static char path[] = "/tmp/test-fdc-XXXXXX";
static uint8_t result[16];

static void on_irq6(void *opaque, int n, bool level)
{
	irq6 = level;
}

static void out(uint16_t port, uint8_t v)
{
	mem_port_out(mem, port, v, 1);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)mem_port_in(mem, port, 1);
}

static struct block *open_image(size_t size)
{
	struct block_opts opts = { 0 };
	uint8_t sector[512];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (size_t i = 0; i < size / 512; i++) {
		memset(sector, (int)(i & 255), sizeof(sector));
		put_le32(sector, (uint32_t)i);
		assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	close(fd);
	return block_open(loop, path, &opts, NULL);
}

static void wait_irq(void)
{
	for (int i = 0; i < 20 && !irq6; i++)
		loop_step(loop, 100000);
	assert_true(irq6);
}

/* Write a command, read the result (if any comes at once or after the interrupt). Returns its length. */
static unsigned command(bool waits, unsigned n, const uint8_t *bytes)
{
	unsigned len = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(in(0x3f4) & 0xc0, 0x80);
		out(0x3f5, bytes[i]);
	}
	if (waits)
		wait_irq();
	while ((in(0x3f4) & 0xd0) == 0xd0)
		result[len++] = in(0x3f5);
	return len;
}

#define CMD(waits, ...) command(waits, sizeof((uint8_t[]){ __VA_ARGS__ }), (uint8_t[]){ __VA_ARGS__ })

static void reset_and_sense(void)
{
	out(0x3f2, 0x00);
	out(0x3f2, 0x1c); /* drive 0, motor on, interrupts, no reset */
	assert_false(irq6);
	wait_irq();
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(CMD(false, 0x08), 2);
		assert_int_equal(result[0], 0xc0 | i);
	}
	assert_int_equal(CMD(false, 0x08), 1);
	assert_int_equal(result[0], 0x80);
	out(0x3f7, 0);
	CMD(false, 0x03, 0xdf, 0x02);
}

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct dma_config dcfg;
	struct fdc_config cfg;

	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(1), MIB(1), NULL);
	strcpy(strrchr(path, '-'), "-XXXXXX");
	close(mkstemp(path));
	disk = open_image(IMAGE);
	dcfg = (struct dma_config){ .mem = mem };
	dma = dma_new(&dcfg);
	cfg = (struct fdc_config){
		.states = set, .loop = loop, .mem = mem, .dma = dma, .irq6 = { .set = on_irq6 }, .present = { true },
		.disk = { disk },
	};
	fdc = fdc_new(&cfg);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	reset_and_sense();
	return disk ? 0 : -1;
}

static int teardown(void **state)
{
	fdc_free(fdc);
	block_close(disk);
	dma_free(dma);
	mem_free(mem);
	loop_free(loop);
	unlink(path);
	return 0;
}

static void set_dma(uint8_t mode, unsigned bytes)
{
	out(0x0a, 0x06);
	out(0x0c, 0);
	out(0x0b, mode | 2);
	out(0x04, 0);
	out(0x04, 0);
	out(0x81, BUF >> 16);
	out(0x05, (uint8_t)(bytes - 1));
	out(0x05, (uint8_t)((bytes - 1) >> 8));
	out(0x0a, 0x02);
}

static void seek(uint8_t drive_head, uint8_t track)
{
	CMD(true, 0x0f, drive_head, track);
	assert_int_equal(CMD(false, 0x08), 2);
	assert_int_equal(result[0], 0x20 | drive_head);
	assert_int_equal(result[1], track);
}

static void read_sectors(void **state)
{
	/* READ DATA: sectors to memory until terminal count; the result names the sector after. */
	uint8_t *ram = mem_ram_base(mem) + BUF;

	seek(4, 3);
	set_dma(0x44, 1024);
	assert_int_equal(CMD(true, 0xe6, 4, 3, 1, 5, 2, 18, 0x1b, 0xff), 7);
	assert_int_equal(result[0], 0x04);
	assert_int_equal(result[1] | result[2], 0);
	assert_memory_equal(&result[3], "\3\1\7\2", 4);
	assert_int_equal(get_le32(ram), (3 * 2 + 1) * 18 + 4);
	assert_int_equal(get_le32(ram + 512), (3 * 2 + 1) * 18 + 5);
	assert_int_equal(ram[1024], 0);
	assert_false(irq6);
}

static void both_sides(void **state)
{
	/* MT goes on with the second side. Without it the end of the track is an error. */
	set_dma(0x44, 36 * 512);
	CMD(true, 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[0] | result[1] | result[2], 0);
	assert_memory_equal(&result[3], "\1\0\1\2", 4);
	assert_int_equal(get_le32(mem_ram_base(mem) + BUF + 35 * 512), 35);
	set_dma(0x44, 36 * 512);
	CMD(true, 0x66, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[0], 0x40);
	assert_int_equal(result[1], 0x80);
}

static void write_sectors(void **state)
{
	/* WRITE DATA, then read back from the image. */
	uint8_t buf[512];

	memset(mem_ram_base(mem) + BUF, 0xee, 512);
	set_dma(0x48, 512);
	CMD(true, 0xc5, 0, 0, 0, 2, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[0] | result[1] | result[2], 0);
	assert_memory_equal(&result[3], "\0\0\3\2", 4);
	assert_int_equal(block_read_sync(disk, 512, buf, 512), 0);
	assert_int_equal(buf[0], 0xee);
	assert_int_equal(block_read_sync(disk, 1024, buf, 512), 0);
	assert_int_equal(buf[0], 2);
}

static void format(void **state)
{
	/* FORMAT TRACK fills the track. */
	uint8_t buf[512];

	seek(4, 1);
	set_dma(0x48, 72);
	CMD(true, 0x4d, 4, 2, 18, 0x54, 0xf6);
	assert_int_equal(result[0], 4);
	assert_int_equal(block_read_sync(disk, 3 * 18 * 512, buf, 512), 0);
	assert_int_equal(buf[100], 0xf6);
	assert_int_equal(block_read_sync(disk, 4 * 18 * 512, buf, 512), 0);
	assert_int_equal(get_le32(buf), 72);
}

static void errors(void **state)
{
	/* Wrong track, no such sector, masked DMA, wrong data rate, no disk, no drive: error bits, never a hang. */
	set_dma(0x44, 512);
	CMD(true, 0xe6, 0, 5, 0, 1, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[0], 0x40);
	assert_int_equal(result[2], 0x10);
	CMD(true, 0xe6, 0, 0, 0, 19, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[1], 0x04);
	out(0x0a, 0x06);
	CMD(true, 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[1], 0x10);
	out(0x3f7, 2);
	CMD(true, 0x4a, 0);
	assert_int_equal(result[1], 0x01);
	out(0x3f7, 0);
	CMD(true, 0x4a, 0);
	assert_int_equal(result[0], 0);
	CMD(true, 0x07, 1);
	CMD(false, 0x08);
	assert_int_equal(result[0], 0x71);
	fdc_set_media(fdc, 0, NULL);
	CMD(true, 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[1], 0x01);
}

static void change_line(void **state)
{
	/* The change line is up until a seek with a disk in the drive; it needs the motor. */
	assert_int_equal(in(0x3f7), 0x80);
	CMD(true, 0x07, 0);
	CMD(false, 0x08);
	assert_int_equal(in(0x3f7), 0);
	fdc_set_media(fdc, 0, NULL);
	seek(0, 1);
	assert_int_equal(in(0x3f7), 0x80);
	fdc_set_media(fdc, 0, disk);
	assert_int_equal(in(0x3f7), 0x80);
	seek(0, 0);
	assert_int_equal(in(0x3f7), 0);
}

static void identity(void **state)
{
	/* What drivers ask to tell an 82077: VERSION, DUMPREG, LOCK, CONFIGURE, PART ID (invalid). */
	assert_int_equal(CMD(false, 0x10), 1);
	assert_int_equal(result[0], 0x90);
	CMD(false, 0x13, 0, 0x57, 0);
	assert_int_equal(CMD(false, 0x94), 1);
	assert_int_equal(result[0], 0x10);
	assert_int_equal(CMD(false, 0x0e), 10);
	assert_int_equal(result[4], 0xdf);
	assert_int_equal(result[7], 0x80);
	assert_int_equal(result[8], 0x57);
	reset_and_sense();
	CMD(false, 0x0e);
	assert_int_equal(result[8], 0x57);
	CMD(false, 0x14);
	reset_and_sense();
	CMD(false, 0x0e);
	assert_int_equal(result[8], 0x20);
	assert_int_equal(CMD(false, 0x18), 1);
	assert_int_equal(result[0], 0x80);
	assert_int_equal(CMD(false, 0x04, 0), 1);
	assert_int_equal(result[0], 0x38);
	assert_int_equal(fdc_cmos_type(fdc), 0x40);
}

static void reset_during_transfer(void **state)
{
	/* fdc_data.c I1: a transfer cut off by a reset moves nothing; the next waits for it and works. */
	static const uint8_t read[] = { 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff };
	uint8_t *ram = mem_ram_base(mem) + BUF;

	memset(ram, 0xaa, 512);
	set_dma(0x44, 512);
	for (unsigned i = 0; i < sizeof(read); i++)
		out(0x3f5, read[i]);
	reset_and_sense();
	assert_int_equal(ram[0], 0xaa);
	set_dma(0x44, 512);
	CMD(true, 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
	assert_int_equal(result[0], 0);
	assert_int_equal(get_le32(ram), 0);
}

static void noise(void **state)
{
	/* A guest that writes anything anywhere breaks nothing. */
	srand(7);
	for (int i = 0; i < 200000; i++) {
		int r = rand();

		if (r & 0x100)
			out((uint16_t)(0x3f0 + (r >> 9) % 8), (uint8_t)r);
		else
			in((uint16_t)(0x3f0 + (r >> 9) % 8));
		if (i % 64 == 0) {
			set_dma((r & 1) ? 0x44 : 0x48, 512);
			out(0x3f2, 0x1c);
			loop_step(loop, 400000);
		}
	}
	out(0x3f2, 0);
	loop_step(loop, 1000000);
	reset_and_sense();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(read_sectors), T(both_sides), T(write_sectors), T(format), T(errors), T(change_line), T(identity),
		T(reset_during_transfer), T(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
