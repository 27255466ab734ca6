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
static const struct st_type *type;
static uint8_t *saved; /* struct fdc_state */

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

static void look(void *ctx, const char *name, const struct st_type *t, void *state)
{
	check_coverage(ctx, name, t, state);
	type = t;
	saved = state;
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
		.states = set, .loop = loop, .mem = mem, .dma = dma, .irq6 = { .set = on_irq6 }, .in_cmos = { true },
		.disk = { disk },
	};
	fdc = fdc_new(&cfg);
	state_set_each(set, look, NULL);
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
	CMD(false, 0x13, 0, 0x47, 0);
	assert_int_equal(CMD(false, 0x94), 1);
	assert_int_equal(result[0], 0x10);
	assert_int_equal(CMD(false, 0x0e), 10);
	assert_int_equal(result[4], 0xdf);
	assert_int_equal(result[7], 0x80);
	assert_int_equal(result[8], 0x47);
	reset_and_sense();
	CMD(false, 0x0e);
	assert_int_equal(result[8], 0x47);
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
		assert_null(type->check(saved)); /* I1, I2 */
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

static void ends(uint8_t st0, uint8_t st1)
{
	assert_int_equal(result[0], st0);
	assert_int_equal(result[1], st1);
	assert_false(irq6);
	assert_int_equal(in(0x3f4), 0x80); /* ready for the next command */
}

/* All that looks for an address mark, with a whole command each; the first six move data. */
static const uint8_t data_commands[][9] = {
	{ 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff }, { 0xc5, 0, 0, 0, 1, 2, 18, 0x1b, 0xff },
	{ 0xcc, 0, 0, 0, 1, 2, 18, 0x1b, 0xff }, { 0xc9, 0, 0, 0, 1, 2, 18, 0x1b, 0xff },
	{ 0x42, 0, 0, 0, 1, 2, 18, 0x1b, 0xff }, { 0x4d, 0, 2, 18, 0x54, 0xf6 },
	{ 0x56, 0, 0, 0, 1, 2, 18, 0x1b, 0xff }, { 0x4a, 0 },
};

static void all_data_commands_end(uint8_t unit, uint8_t st1)
{
	for (unsigned i = 0; i < ARRAY_LEN(data_commands); i++) {
		uint8_t bytes[9];
		unsigned n = bytes[0] = data_commands[i][0] & 0x1f;

		memcpy(bytes, data_commands[i], sizeof(bytes));
		bytes[1] |= unit;
		set_dma(n == 5 || n == 9 || n == 13 ? 0x48 : 0x44, 512);
		assert_int_equal(command(true, n == 13 ? 6 : n == 10 ? 2 : 9, bytes), 7);
		ends(0x40 | unit, st1);
	}
}

static void no_disk(void **state)
{
	/* An empty drive (1), no drive (2, 3), a motor that is off (0): all commands end, ST0 with IC 01, ST1 with MA, and
	 * the controller takes the next. Drives that are there find track 0. */
	static const uint8_t select[4] = { 0x0c, 0x2d, 0x4e, 0x8f };

	for (uint8_t unit = 0; unit < 4; unit++) {
		out(0x3f2, select[unit]);
		all_data_commands_end(unit, 0x01);
		CMD(true, 0x0f, unit, 5);
		CMD(false, 0x08);
		assert_int_equal(result[1], 5);
		ends(0x20 | unit, 5);
		assert_int_equal(CMD(false, 0x04, unit), 1);
		assert_int_equal(result[0], 0x28 | unit);
		CMD(true, 0x07, unit);
		assert_int_equal(CMD(false, 0x08), 2);
		ends((unit < 2 ? 0x20 : 0x70) | unit, 0);
		CMD(false, 0x04, unit);
		assert_int_equal(result[0], (unit < 2 ? 0x38 : 0x28) | unit);
		assert_int_equal(CMD(false, 0x08), 1);
	}
	out(0x3f2, 0x1c);
	CMD(true, 0x4a, 0);
	ends(0, 0);
}

static void no_dma(void **state)
{
	/* A masked channel, and the mode without DMA: overrun, in each direction. */
	for (unsigned nd = 0; nd < 2; nd++) {
		CMD(false, 0x03, 0xdf, 0x02 | nd);
		for (unsigned i = 0; i < 6; i++) {
			const uint8_t *bytes = data_commands[i];

			set_dma(bytes[0] == 0xc5 || bytes[0] == 0xc9 || bytes[0] == 0x4d ? 0x48 : 0x44, 512);
			if (!nd)
				out(0x0a, 0x06);
			assert_int_equal(command(true, bytes[0] == 0x4d ? 6 : 9, bytes), 7);
			ends(0x40, 0x10);
		}
	}
}

static void errors_come_later(void **state)
{
	/* Drivers set their handler up after the last byte of a command: its end comes when time has passed, be it an error
	 * that is known at once. */
	static const uint8_t read[] = { 0xe6, 1, 0, 0, 1, 2, 18, 0x1b, 0xff };

	for (unsigned i = 0; i < sizeof(read); i++)
		out(0x3f5, read[i]);
	assert_false(irq6);
	assert_int_equal(in(0x3f4), 0x10);
	loop_step(loop, 1000000);
	assert_true(irq6);
	assert_int_equal(in(0x3f4), 0xd0);
}

/* An interrupt and one SENSE INTERRUPT for it, whatever it was. */
static unsigned sense_once(void)
{
	wait_irq();
	return CMD(false, 0x08);
}

static void linux_0_11(void **state)
{
	/* Linux 0.11 with its root on drive B and no disk there: reset with one sense, recalibrate, seek, read, and again;
	 * it asks for no more senses and must find what it asked for each time. */
	for (unsigned round = 0; round < 8; round++) {
		out(0x3f2, 0x29);
		out(0x3f2, 0x2d);
		assert_int_equal(sense_once(), 2);
		assert_int_equal(result[0], 0xc0);
		CMD(false, 0x03, 0xcf, 0x06);
		out(0x3f7, 0);
		CMD(false, 0x07, 1);
		assert_int_equal(sense_once(), 2);
		ends(0x21, 0);
		CMD(false, 0x0f, 1, 2 + round);
		assert_int_equal(sense_once(), 2);
		ends(0x21, (uint8_t)(2 + round));
		set_dma(0x46, 1024);
		assert_int_equal(CMD(true, 0xe6, 1, 2 + round, 0, 1, 2, 18, 0x1b, 0xff), 7);
		ends(0x41, 0x01);
		loop_step(loop, 10000000);
		assert_false(irq6);
	}
}

static void second_drive(void **state)
{
	/* Drive B has a head, a motor and a change line of its own. */
	uint8_t *ram = mem_ram_base(mem) + BUF;

	seek(0, 7);
	out(0x3f2, 0x2d);
	assert_int_equal(in(0x3f7), 0x80); /* empty, a seek does not change that */
	seek(1, 3);
	assert_int_equal(in(0x3f7), 0x80);
	fdc_set_media(fdc, 0, NULL);
	fdc_set_media(fdc, 1, disk);
	assert_int_equal(in(0x3f7), 0x80);
	seek(1, 4);
	assert_int_equal(in(0x3f7), 0);
	out(0x3f2, 0x0d);
	assert_int_equal(in(0x3f7), 0); /* its motor is off */
	out(0x3f2, 0x3c);
	assert_int_equal(in(0x3f7), 0x80); /* drive A is empty now */
	set_dma(0x44, 512);
	CMD(true, 0xe6, 5, 4, 1, 5, 2, 18, 0x1b, 0xff);
	ends(0x05, 0);
	assert_int_equal(get_le32(ram), (4 * 2 + 1) * 18 + 4);
	CMD(false, 0x0e);
	assert_int_equal(result[0], 7);
	assert_int_equal(result[1], 4);
}

static void reset_silently(void)
{
	out(0x3f2, 0x18);
	out(0x3f2, 0x1c);
	loop_step(loop, 10000000);
}

static void poll(void **state)
{
	/* CONFIGURE, POLL: no drive polling, so a reset interrupts nobody and SENSE INTERRUPT finds nothing; the bit
	 * outlives a reset under LOCK only. */
	CMD(false, 0x13, 0, 0x17, 0);
	CMD(false, 0x94);
	reset_silently();
	assert_false(irq6);
	assert_int_equal(CMD(false, 0x08), 1);
	assert_int_equal(result[0], 0x80);
	CMD(true, 0x07, 0); /* what is asked for still interrupts */
	assert_int_equal(CMD(false, 0x08), 2);
	ends(0x20, 0);
	CMD(false, 0x14);
	reset_silently();
	assert_true(irq6);
	assert_int_equal(CMD(false, 0x08), 2);
	assert_int_equal(result[0], 0xc0);
}

/* A scalar of the state, or the first byte of an array. */
static uint8_t *field(const char *name)
{
	for (unsigned i = 0; i < type->nfields; i++) {
		if (!strcmp(type->fields[i].name, name))
			return saved + type->fields[i].offset;
	}
	fail_msg("no field %s", name);
	return NULL;
}

static bool loads(uint8_t phase, uint8_t cmd, uint8_t pos, uint8_t len)
{
	*field("phase") = phase;
	*field("fifo") = cmd;
	*field("pos") = pos;
	*field("len") = len;
	return !type->check(saved);
}

static void hostile_state(void **state)
{
	/* fdc.c I2: a position that would leave the FIFO or overrun the command in it is no state of this chip; used all
	 * the same, it stays inside. */
	enum { COMMAND, EXECUTION, RESULT };

	assert_null(type->check(saved));
	assert_true(loads(COMMAND, 0x06, 8, 8));
	assert_true(loads(EXECUTION, 0x06, 9, 9));
	assert_true(loads(EXECUTION, 0x0a, 2, 2));
	assert_true(loads(RESULT, 0x40, 0, 7));
	assert_false(loads(COMMAND, 0x06, 9, 9));
	assert_false(loads(COMMAND, 0x06, 3, 8));
	assert_false(loads(COMMAND, 0x18, 1, 1));
	assert_false(loads(COMMAND, 0x06, 16, 16));
	assert_false(loads(EXECUTION, 0x08, 1, 1));
	assert_false(loads(RESULT, 0, 0, 0));
	assert_false(loads(RESULT, 0, 7, 7));
	assert_false(loads(RESULT, 0, 3, 17));
	assert_false(loads(3, 0, 0, 0));
	assert_false(loads(RESULT, 0, 16, 16));
	for (unsigned i = 0; i < 300; i++)
		in(0x3f5);
	assert_int_equal(*field("pos"), 16);
	assert_false(loads(COMMAND, 0x06, 16, 16));
	for (unsigned i = 0; i < 300; i++)
		out(0x3f5, 0x55);
	assert_int_equal(*field("pos"), 16);
	reset_and_sense();
	*field("reset_sense") = 5;
	assert_non_null(type->check(saved));
	*field("reset_sense") = 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(read_sectors), T(both_sides), T(write_sectors), T(format), T(errors), T(change_line), T(identity),
		T(reset_during_transfer), T(noise), T(no_disk), T(no_dma), T(errors_come_later), T(linux_0_11),
		T(second_drive), T(poll), T(hostile_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
