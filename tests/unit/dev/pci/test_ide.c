// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the IDE channels at their ports: disk and CD-ROM commands, PIO and bus-master DMA */
#include "small_pc.h"

#include "dev/pci/piix_ide.h"

#define IDE 0x1f0
#define CTL 0x3f6
#define BM 0xc000
#define BSY 0x80
#define DRQ 0x08
#define ERR 0x01

static struct small_pc *pc;
static struct piix_ide *ide;
static struct block *disk, *cd;
static char *disk_path, *cd_path;

/* Primary master: 100-sector disk; secondary master: CD of 40 sectors; secondary slave: empty CD drive. */
static int setup(void **state)
{
	struct piix_ide_config cfg = {0};

	pc = small_pc_new();
	disk_path = make_image(100 * 512);
	cd_path = make_image(40 * 2048);
	disk = open_image(pc, disk_path, false);
	cd = open_image(pc, cd_path, true);
	cfg.mem = pc->mem;
	cfg.bus = pc->bus;
	cfg.states = pc->states;
	cfg.unit[0][0] = (struct ide_unit){.blk = disk, .serial = "SERIAL"};
	cfg.unit[1][0] = (struct ide_unit){.blk = cd, .cdrom = true};
	cfg.unit[1][1] = (struct ide_unit){.cdrom = true};
	cfg.irq[0] = piix3_irq_input(pc->piix3, 14);
	cfg.irq[1] = piix3_irq_input(pc->piix3, 15);
	ide = piix_ide_new(&cfg);
	cfg_write(pc, 9, 0x20, BM, 4);
	cfg_write(pc, 9, 4, 5, 2);
	return 0;
}

static int teardown(void **state)
{
	block_close(disk);
	block_close(cd);
	piix_ide_free(ide);
	small_pc_free(pc);
	remove_image(disk_path);
	remove_image(cd_path);
	return 0;
}

static uint8_t status(uint16_t base)
{
	return (uint8_t)in(pc, base + 7, 1);
}

static void command(uint16_t base, uint8_t cmd, uint8_t count, uint32_t lba)
{
	out(pc, base + 2, count, 1);
	out(pc, base + 3, lba & 0xff, 1);
	out(pc, base + 4, lba >> 8 & 0xff, 1);
	out(pc, base + 5, lba >> 16 & 0xff, 1);
	out(pc, base + 6, 0xe0 | (lba >> 24 & 15), 1);
	out(pc, base + 7, cmd, 1);
}

static void read_data(uint16_t base, uint8_t *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i += 2)
		put_le16(buf + i, (uint16_t)in(pc, base, 2));
}

static void write_data(uint16_t base, const uint8_t *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i += 2)
		out(pc, base, get_le16(buf + i), 2);
}

static void identify(void **state)
{
	/* IDENTIFY DEVICE: one interrupt, 512 bytes, size and swapped strings; none after the data. */
	uint8_t id[512];

	command(IDE, 0xec, 0, 0);
	assert_true(pc->line[14]);
	assert_int_equal(status(IDE), 0x58);
	assert_false(pc->line[14]);
	read_data(IDE, id, 512);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(pc->edges[14], 1);
	assert_int_equal(get_le32(id + 120), 100);
	assert_int_equal(get_le64(id + 200), 100);
	assert_memory_equal(id + 20, "ESIRLA  ", 8);
	assert_true(get_le16(id + 166) & 0x400);
}

static void pio_read(void **state)
{
	/* READ SECTORS: an interrupt for each sector before its data, BSY while the disk works. */
	uint8_t buf[512];

	command(IDE, 0x20, 3, 10);
	assert_true(status(IDE) & BSY);
	assert_false(pc->line[14]);
	loop_step(pc->loop, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(pc->line[14]);
		assert_int_equal(status(IDE), 0x58);
		read_data(IDE, buf, 512);
		assert_int_equal(buf[0], 11 + i);
		assert_int_equal(buf[511], 11 + i);
	}
	assert_false(pc->line[14]);
	assert_int_equal(status(IDE), 0x50);
}

static void pio_dwords(void **state)
{
	/* The data port takes 32-bit accesses. */
	command(IDE, 0x20, 1, 10);
	loop_step(pc->loop, 0);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(in(pc, IDE, 4), 0x0b0b0b0b);
	assert_int_equal(status(IDE), 0x50);
}

static void pio_write(void **state)
{
	/* WRITE SECTORS: no interrupt before the first block, one after each. */
	uint8_t buf[512], back[512];

	memset(buf, 0x5a, sizeof(buf));
	command(IDE, 0x30, 2, 20);
	assert_false(pc->line[14]);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(status(IDE), 0x58);
		write_data(IDE, buf, 512);
		assert_true(status(IDE) & BSY);
		loop_step(pc->loop, 0);
		assert_true(pc->line[14]);
	}
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(block_read_sync(disk, 21 * 512, back, 512), 0);
	assert_memory_equal(buf, back, 512);
}

static void multiple(void **state)
{
	/* READ MULTIPLE: blocks of the size set, the last one shorter; aborted before a size is set. */
	uint8_t buf[512 * 4];

	command(IDE, 0xc4, 6, 0);
	assert_int_equal(status(IDE) & ERR, ERR);
	assert_int_equal(in(pc, IDE + 1, 1), 4);
	command(IDE, 0xc6, 3, 0);
	assert_int_equal(status(IDE) & ERR, ERR);
	command(IDE, 0xc6, 4, 0);
	assert_int_equal(status(IDE) & ERR, 0);
	pc->edges[14] = 0;
	command(IDE, 0xc4, 6, 0);
	loop_step(pc->loop, 0);
	status(IDE);
	read_data(IDE, buf, 2048);
	status(IDE);
	read_data(IDE, buf, 1024);
	assert_int_equal(buf[0], 5);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(pc->edges[14], 2);
}

static void addresses(void **state)
{
	/* LBA48, CHS and what is beyond the end (IDNF). */
	uint8_t buf[512];

	out(pc, IDE + 2, 0, 1); /* previous contents: high halves */
	out(pc, IDE + 3, 0, 1);
	out(pc, IDE + 4, 0, 1);
	out(pc, IDE + 5, 0, 1);
	command(IDE, 0x24, 1, 99);
	loop_step(pc->loop, 0);
	read_data(IDE, buf, 512);
	assert_int_equal(buf[0], 100);
	command(IDE, 0x20, 2, 99);
	assert_int_equal(status(IDE), 0x51);
	assert_int_equal(in(pc, IDE + 1, 1), 0x10);
	command(IDE, 0x24, 1, 99);
	out(pc, IDE + 3, 1, 1);
	out(pc, IDE + 6, 0xa1, 1); /* CHS 0/1/1 = LBA 63 */
	loop_step(pc->loop, 0);
	read_data(IDE, buf, 512);
	out(pc, IDE + 2, 1, 1);
	out(pc, IDE + 4, 0, 1);
	out(pc, IDE + 5, 0, 1);
	out(pc, IDE + 7, 0x20, 1);
	loop_step(pc->loop, 0);
	read_data(IDE, buf, 512);
	assert_int_equal(buf[0], 64);
	out(pc, IDE + 3, 0, 1); /* sector 0 does not exist */
	out(pc, IDE + 7, 0x20, 1);
	assert_int_equal(status(IDE), 0x51);
}

static void unknown_commands(void **state)
{
	/* What a disk does not know is aborted: packet commands, SMART, unknown features. */
	static const uint8_t cmd[] = {0x00, 0xa0, 0xa1, 0xb0, 0xff, 0xef};

	for (unsigned i = 0; i < sizeof(cmd); i++) {
		command(IDE, cmd[i], 0, 0);
		assert_int_equal(status(IDE), 0x51);
		assert_int_equal(in(pc, IDE + 1, 1), 4);
	}
}

static void absent_drive(void **state)
{
	/* ATA/ATAPI-6 9.16.1: device 0, alone, answers for device 1 with its registers, but status 0 and no command. */
	uint8_t data[512];

	command(IDE, 0x20, 1, 100); /* beyond the end: error IDNF in device 0 */
	assert_int_equal(status(IDE), 0x51);
	out(pc, IDE + 6, 0xf3, 1);
	assert_int_equal(status(IDE), 0);
	assert_int_equal(in(pc, CTL, 1), 0);
	assert_int_equal(in(pc, IDE + 1, 1), 0x10);
	assert_int_equal(in(pc, IDE + 6, 1), 0xf3);
	for (unsigned reg = 2; reg < 6; reg++) {
		out(pc, (uint16_t)(IDE + reg), 0x50 + reg, 1);
		assert_int_equal(in(pc, (uint16_t)(IDE + reg), 1), 0x50 + reg);
	}
	out(pc, IDE + 3, 0x99, 1);
	out(pc, CTL, 0x80, 1); /* HOB: what was there before */
	assert_int_equal(in(pc, IDE + 3, 1), 0x53);
	for (unsigned cmd = 0; cmd < 256; cmd++) {
		if (cmd == 0x90)
			continue;
		out(pc, IDE + 7, cmd, 1);
		loop_step(pc->loop, 0);
		assert_int_equal(status(IDE) | in(pc, CTL, 1), 0);
		assert_false(pc->line[14]);
	}
	out(pc, IDE + 6, 0xa0, 1);
	assert_int_equal(status(IDE), 0x51); /* as its own command left it */
	out(pc, IDE + 6, 0xb0, 1);
	out(pc, IDE + 7, 0x90, 1); /* EXECUTE DEVICE DIAGNOSTIC is for both */
	assert_true(pc->line[14]);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(in(pc, IDE + 1, 4), 0x00010101);
	command(IDE, 0x20, 1, 7);
	loop_step(pc->loop, 0);
	read_data(IDE, data, 512);
	assert_int_equal(data[0], 8);
}

static void software_reset(void **state)
{
	/* SRST shows BSY, then signatures; with a request under way the reset waits for it. */
	out(pc, CTL, 4, 1);
	assert_int_equal(in(pc, CTL, 1), BSY);
	out(pc, CTL, 0, 1);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(in(pc, IDE + 2, 4), 0x00000101);
	command(IDE, 0x20, 1, 5);
	out(pc, CTL, 4, 1);
	out(pc, CTL, 0, 1);
	assert_int_equal(in(pc, CTL, 1), BSY);
	loop_step(pc->loop, 0);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(in(pc, IDE + 1, 1), 1);
	out(pc, 0x376, 4, 1);
	out(pc, 0x376, 0, 1);
	assert_int_equal(in(pc, 0x174, 2), 0xeb14);
}

static void diagnostic(void **state)
{
	/* EXECUTE DEVICE DIAGNOSTIC answers for both drives and selects drive 0. */
	out(pc, 0x176, 0xb0, 1);
	out(pc, 0x177, 0x90, 1);
	assert_true(pc->line[15]);
	assert_int_equal(in(pc, 0x171, 1), 1);
	assert_int_equal(in(pc, 0x176, 1), 0xa0);
}

static void interrupt_disable(void **state)
{
	/* nIEN keeps the line low; clearing it shows what is pending. */
	out(pc, CTL, 2, 1);
	command(IDE, 0xec, 0, 0);
	assert_false(pc->line[14]);
	out(pc, CTL, 0, 1);
	assert_true(pc->line[14]);
	assert_int_equal(in(pc, CTL, 1), 0x58); /* alternate status does not clear it */
	assert_true(pc->line[14]);
}

static void all_registers_zero(struct small_pc *m, uint16_t base)
{
	for (uint16_t reg = 1; reg < 6; reg++)
		out(m, base + reg, 0x55, 1);
	out(m, base + 7, 0xec, 1);
	for (uint16_t reg = 1; reg < 8; reg++)
		assert_int_equal(in(m, base + reg, 1), 0);
	assert_int_equal(in(m, base + 0x206, 1), 0);
}

static void nobody_answers(void **state)
{
	/* A lone PACKET device answers 0 for device 1 (ATA/ATAPI-6 9.16.1); so does a channel without drives, which does
	 * not interrupt for EXECUTE DEVICE DIAGNOSTIC either. */
	struct small_pc *bare = small_pc_new();
	struct piix_ide_config cfg = { .mem = bare->mem, .bus = bare->bus, .states = bare->states };
	struct piix_ide *lone;

	cfg.unit[1][0] = (struct ide_unit){ .cdrom = true };
	cfg.irq[0] = piix3_irq_input(bare->piix3, 14);
	cfg.irq[1] = piix3_irq_input(bare->piix3, 15);
	lone = piix_ide_new(&cfg);
	for (unsigned unit = 0; unit < 2; unit++) {
		out(bare, IDE + 6, 0xa0 | unit << 4, 1);
		out(bare, IDE + 7, 0x90, 1);
		out(bare, IDE + 6, 0xa0 | unit << 4, 1);
		all_registers_zero(bare, IDE);
	}
	out(bare, 0x176, 0xb0, 1);
	all_registers_zero(bare, 0x170);
	assert_int_equal(bare->edges[14] + bare->edges[15], 0);
	piix_ide_free(lone);
	small_pc_free(bare);
}

static void set_prd(uint32_t table, unsigned i, uint32_t addr, uint32_t len, bool last)
{
	uint8_t prd[8];

	put_le32(prd, addr);
	put_le32(prd + 4, (len & 0xffff) | (last ? 0x80000000 : 0));
	mem_write(pc->mem, table + i * 8, prd, 8);
}

static void dma_read(void **state)
{
	/* READ DMA over oddly cut regions; completion clears Active and sets Interrupt. */
	set_prd(0x1000, 0, 0x200000, 300, false);
	set_prd(0x1000, 1, 0x300000, 1024 - 300, false);
	set_prd(0x1000, 2, 0x400000, 512, true);
	out(pc, BM + 4, 0x1000, 4);
	out(pc, BM, 8, 1);
	command(IDE, 0xc8, 3, 30);
	loop_step(pc->loop, 0);
	assert_false(pc->line[14]);
	out(pc, BM, 9, 1);
	assert_int_equal(in(pc, BM + 2, 1) & 7, 1);
	loop_step(pc->loop, 0);
	assert_true(pc->line[14]);
	assert_int_equal(in(pc, BM + 2, 1) & 7, 4);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(peek8(pc, 0x200000), 31);
	assert_int_equal(peek8(pc, 0x300000), 31);
	assert_int_equal(peek8(pc, 0x300000 + 212), 32);
	assert_int_equal(peek8(pc, 0x4001ff), 33);
	out(pc, BM + 2, 4, 1);
	assert_int_equal(in(pc, BM + 2, 1) & 7, 0);
}

static void dma_write(void **state)
{
	/* WRITE DMA with the bus master started first. */
	uint8_t buf[1024], back[1024];

	memset(buf, 0xc3, sizeof(buf));
	mem_write(pc->mem, 0x200000, buf, sizeof(buf));
	set_prd(0x1000, 0, 0x200000, 1024, true);
	out(pc, BM + 4, 0x1000, 4);
	out(pc, BM, 1, 1);
	command(IDE, 0xca, 2, 50);
	loop_step(pc->loop, 0);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(block_read_sync(disk, 50 * 512, back, 1024), 0);
	assert_memory_equal(buf, back, 1024);
}

static void dma_errors(void **state)
{
	/* A table outside RAM, a short table, and a master without permission end in an error, not in a hang. */
	out(pc, BM + 4, 0x80000000, 4);
	out(pc, BM, 9, 1);
	command(IDE, 0xc8, 1, 0);
	loop_step(pc->loop, 0);
	assert_int_equal(status(IDE), 0x51);
	assert_int_equal(in(pc, BM + 2, 1) & 7, 6);
	out(pc, BM, 0, 1);
	out(pc, BM + 2, 6, 1);
	set_prd(0x1000, 0, 0x200000, 512, true);
	out(pc, BM + 4, 0x1000, 4);
	out(pc, BM, 9, 1);
	command(IDE, 0xc8, 2, 0);
	loop_step(pc->loop, 0);
	assert_int_equal(status(IDE), 0x51);
	assert_int_equal(peek8(pc, 0x200000), 1);
	cfg_write(pc, 9, 4, 1, 2);
	out(pc, BM, 0, 1);
	out(pc, BM, 9, 1);
	command(IDE, 0xc8, 1, 0);
	loop_step(pc->loop, 0);
	assert_int_equal(status(IDE), 0x51);
}

static void tiny_regions(void **state)
{
	/* More regions than one request holds are done in several. */
	for (unsigned i = 0; i < 1024; i++)
		set_prd(0x10000, i, 0x200000 + i * 4, 2, i == 1023);
	out(pc, BM + 4, 0x10000, 4);
	out(pc, BM, 9, 1);
	command(IDE, 0xc8, 4, 0);
	loop_step(pc->loop, 0);
	loop_step(pc->loop, 0);
	loop_step(pc->loop, 0);
	loop_step(pc->loop, 0);
	assert_int_equal(status(IDE), 0x50);
	assert_int_equal(peek8(pc, 0x200000 + 1023 * 4), 4);
}

static void flush(void **state)
{
	/* FLUSH CACHE completes with an interrupt after the image was flushed. */
	command(IDE, 0xe7, 0, 0);
	assert_true(status(IDE) & BSY);
	loop_step(pc->loop, 0);
	assert_true(pc->line[14]);
	assert_int_equal(status(IDE), 0x50);
}

static void busy_ignores_commands(void **state)
{
	/* A command while another is under way changes nothing. */
	uint8_t buf[512];

	command(IDE, 0x20, 1, 7);
	command(IDE, 0x30, 1, 9);
	loop_step(pc->loop, 0);
	assert_int_equal(status(IDE), 0x58);
	out(pc, IDE + 7, 0xec, 1);
	read_data(IDE, buf, 512);
	assert_int_equal(buf[0], 8);
	assert_int_equal(status(IDE), 0x50);
}

/* --- CD-ROM on the secondary channel --- */

static void packet(uint8_t drive, uint16_t limit, bool dma, const uint8_t *cdb)
{
	out(pc, 0x176, 0xa0 | drive << 4, 1);
	out(pc, 0x171, dma, 1);
	out(pc, 0x174, limit & 0xff, 1);
	out(pc, 0x175, limit >> 8, 1);
	out(pc, 0x177, 0xa0, 1);
	assert_int_equal(status(0x170) & (BSY | DRQ | ERR), DRQ);
	assert_int_equal(in(pc, 0x172, 1) & 3, 1);
	write_data(0x170, cdb, 12);
}

/* Run a command by PIO; returns bytes received, or -sense key. */
static int run(uint8_t drive, const uint8_t *cdb, uint8_t *buf)
{
	int got = 0;

	packet(drive, 0xfffe, false, cdb);
	loop_step(pc->loop, 0);
	while (status(0x170) & DRQ) {
		unsigned n = in(pc, 0x174, 1) | in(pc, 0x175, 1) << 8;

		assert_int_equal(in(pc, 0x172, 1) & 3, 2);
		read_data(0x170, buf + got, n);
		got += (int)n;
		loop_step(pc->loop, 0);
	}
	assert_int_equal(in(pc, 0x172, 1) & 3, 3);
	return status(0x170) & ERR ? -(int)(in(pc, 0x171, 1) >> 4) : got;
}

static void cd_identify(void **state)
{
	/* A packet device aborts IDENTIFY DEVICE showing its signature, and answers IDENTIFY PACKET DEVICE. */
	uint8_t id[512];

	out(pc, 0x176, 0xa0, 1);
	out(pc, 0x177, 0xec, 1);
	assert_true(status(0x170) & ERR);
	assert_int_equal(in(pc, 0x174, 2), 0xeb14);
	pc->edges[15] = 0;
	out(pc, 0x177, 0xa1, 1);
	assert_int_equal(status(0x170), 0x58);
	read_data(0x170, id, 512);
	assert_int_equal(get_le16(id), 0x85c0);
	assert_int_equal(status(0x170), 0x50);
	assert_int_equal(pc->edges[15], 1);
}

static void cd_read(void **state)
{
	/* READ(10) and READ(12) deliver 2048-byte sectors; READ CAPACITY names the last. */
	uint8_t buf[65536];
	const uint8_t cap[12] = {0x25}, read10[12] = {0x28, 0, 0, 0, 0, 5, 0, 0, 3};
	const uint8_t read12[12] = {0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 32}, beyond[12] = {0x28, 0, 0, 0, 0, 39, 0, 0, 2};

	assert_int_equal(run(0, cap, buf), 8);
	assert_int_equal(get_be32(buf), 39);
	assert_int_equal(get_be32(buf + 4), 2048);
	assert_int_equal(run(0, read10, buf), 3 * 2048);
	assert_int_equal(buf[0], 21);
	assert_int_equal(buf[3 * 2048 - 1], 32);
	assert_int_equal(run(0, read12, buf), 65536);
	assert_int_equal(buf[65535], 128);
	assert_int_equal(run(0, beyond, buf), -5);
}

static void cd_byte_limit(void **state)
{
	/* The host's byte count limit cuts the data into blocks. */
	const uint8_t read10[12] = {0x28, 0, 0, 0, 0, 1, 0, 0, 2};
	uint8_t buf[2048];

	packet(0, 2048, false, read10);
	loop_step(pc->loop, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(in(pc, 0x174, 2), 2048);
		assert_true(status(0x170) & DRQ);
		read_data(0x170, buf, 2048);
		assert_int_equal(buf[0], 5 + i * 4);
	}
	assert_int_equal(status(0x170) & (DRQ | ERR), 0);
}

static void cd_dma(void **state)
{
	/* Both medium data and replies built by the drive can go by DMA. */
	const uint8_t read10[12] = {0x28, 0, 0, 0, 0, 2, 0, 0, 1}, inquiry[12] = {0x12, 0, 0, 0, 36};

	set_prd(0x1000, 0, 0x200000, 2048, true);
	out(pc, BM + 12, 0x1000, 4);
	packet(0, 0, true, read10);
	out(pc, BM + 8, 9, 1);
	loop_step(pc->loop, 0);
	assert_int_equal(status(0x170) & (BSY | ERR), 0);
	assert_int_equal(peek8(pc, 0x200000), 9);
	out(pc, BM + 8, 8, 1);
	packet(0, 0, true, inquiry);
	out(pc, BM + 8, 9, 1);
	assert_int_equal(status(0x170) & (BSY | ERR), 0);
	assert_int_equal(peek8(pc, 0x200000), 5);
	assert_int_equal(in(pc, BM + 10, 1) & 7, 4);
}

static void cd_sense(void **state)
{
	/* An empty drive says NOT READY, medium not present; REQUEST SENSE tells once. */
	const uint8_t tur[12] = {0}, sense[12] = {3, 0, 0, 0, 18}, bad[12] = {0xfe};
	uint8_t buf[64];

	assert_int_equal(run(1, tur, buf), -2);
	assert_int_equal(run(1, sense, buf), 18);
	assert_int_equal(buf[2], 2);
	assert_int_equal(buf[12], 0x3a);
	assert_int_equal(run(1, sense, buf), 18);
	assert_int_equal(buf[2], 0);
	assert_int_equal(run(0, bad, buf), -5);
	assert_int_equal(run(0, tur, buf), 0);
}

static void cd_replies(void **state)
{
	/* The lengths replies claim fit what is sent, and allocation lengths cut them. */
	uint8_t buf[256];
	const uint8_t toc[12] = {0x43, 2, 0, 0, 0, 0, 0, 0, 100}, toc_short[12] = {0x43, 0, 0, 0, 0, 0, 0, 0, 4};
	const uint8_t mode[12] = {0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 200}, config[12] = {0x46, 0, 0, 0, 0, 0, 0, 0, 200};
	const uint8_t event[12] = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, info[12] = {0x51, 0, 0, 0, 0, 0, 0, 0, 34};

	assert_int_equal(run(0, toc, buf), 20);
	assert_int_equal(get_be16(buf), 18);
	assert_int_equal(get_be32(buf + 8), 0x000200); /* 00:02:00 */
	assert_int_equal(run(0, toc_short, buf), 4);
	assert_int_equal(run(0, mode, buf), 36);
	assert_int_equal(get_be16(buf), 34);
	assert_int_equal(run(0, config, buf), 52);
	assert_int_equal(get_be32(buf), 48);
	assert_int_equal(get_be16(buf + 6), 8);
	assert_int_equal(run(0, event, buf), 8);
	assert_int_equal(buf[5], 2);
	assert_int_equal(run(0, info, buf), 34);
}

static void cd_tray(void **state)
{
	/* Eject takes the medium away unless the guest locked it; load brings it back with an event. */
	const uint8_t eject[12] = {0x1b, 0, 0, 0, 2}, load[12] = {0x1b, 0, 0, 0, 3}, tur[12] = {0};
	const uint8_t lock[12] = {0x1e, 0, 0, 0, 1}, unlock[12] = {0x1e}, event[12] = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8};
	uint8_t buf[64];

	run(0, lock, buf);
	assert_int_equal(run(0, eject, buf), -5);
	run(0, unlock, buf);
	assert_int_equal(run(0, eject, buf), 0);
	assert_int_equal(run(0, tur, buf), -2);
	assert_int_equal(run(0, load, buf), 0);
	assert_int_equal(run(0, tur, buf), 0);
	assert_int_equal(run(0, event, buf), 8);
	assert_int_equal(buf[4], 2);
}

static void cd_changed(void **state)
{
	/* Another disc, put in by hand: a locked drive asks the guest first; then the next command but INQUIRY and its like
	 * is told once, and the medium is the new one (SPC-2 5.8.5.2, MMC-3 6.6). */
	const uint8_t tur[12] = {0}, sense[12] = {3, 0, 0, 0, 18}, inquiry[12] = {0x12, 0, 0, 0, 36};
	const uint8_t lock[12] = {0x1e, 0, 0, 0, 1}, event[12] = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, capacity[12] = {0x25};
	struct ide_channel *ch = piix_ide_channel(ide, 1);
	char *path = make_image(10 * 2048);
	struct block *other = open_image(pc, path, true);
	uint8_t buf[64];

	run(0, lock, buf);
	assert_true(ide_tray(ch, 0).locked);
	ide_press_eject(ch, 0);
	assert_int_equal(run(0, event, buf), 8);
	assert_int_equal(buf[4], 1);
	ide_set_tray(ch, 0, true);
	assert_true(ide_tray(ch, 0).open && !ide_tray(ch, 0).locked);
	ide_set_disc(ch, 0, other);
	ide_set_tray(ch, 0, false);
	assert_int_equal(run(0, event, buf), 8);
	assert_int_equal(buf[4], 2);
	assert_int_equal(run(0, inquiry, buf), 36);
	assert_int_equal(run(0, tur, buf), -6);
	assert_int_equal(run(0, sense, buf), 18);
	assert_int_equal(buf[12], 0x28);
	assert_int_equal(run(0, tur, buf), 0);
	assert_int_equal(run(0, capacity, buf), 8);
	assert_int_equal(get_be32(buf), 9);
	ide_set_disc(ch, 0, cd);
	block_close(other);
	remove_image(path);
}

static void cd_taken_out(void **state)
{
	/* A disc that goes in the middle of a transfer ends it with an error, not with an access to nothing. */
	const uint8_t read10[12] = {0x28, 0, 0, 0, 0, 0, 0, 0, 40};
	struct ide_channel *ch = piix_ide_channel(ide, 1);
	uint8_t buf[2048];

	packet(0, 2048, false, read10);
	loop_step(pc->loop, 0);
	ide_set_disc(ch, 0, NULL);
	for (unsigned i = 0; i < 40 && status(0x170) & DRQ; i++) {
		read_data(0x170, buf, sizeof(buf));
		loop_step(pc->loop, 0);
	}
	assert_int_equal(status(0x170) & (BSY | DRQ | ERR), ERR);
	ide_set_disc(ch, 0, cd);
}

static void device_reset(void **state)
{
	/* DEVICE RESET works in the middle of a packet command. */
	const uint8_t read10[12] = {0x28, 0, 0, 0, 0, 2, 0, 0, 1};

	packet(0, 2048, false, read10);
	loop_step(pc->loop, 0);
	assert_true(status(0x170) & DRQ);
	out(pc, 0x177, 8, 1);
	assert_int_equal(status(0x170) & (BSY | DRQ), 0);
	assert_int_equal(in(pc, 0x174, 2), 0xeb14);
	cd_read(state);
}

static void random_pokes(void **state)
{
	/* No sequence of register accesses may crash or hang the channel. */
	uint32_t x = 12345;

	for (unsigned i = 0; i < 400000; i++) {
		unsigned size;
		uint16_t port;

		x = x * 1664525 + 1013904223;
		size = 1u << (x >> 28) % 3;
		port = (uint16_t)((x >> 8 & 1 ? 0x1f0 : 0x170) + (x >> 9 & 7));
		if ((x >> 12 & 31) == 0)
			port = x >> 8 & 1 ? 0x3f6 : 0x376;
		if ((x >> 12 & 31) == 1)
			port = (uint16_t)(BM + (x >> 9 & 15));
		if (x >> 20 & 1)
			out(pc, port, x >> 16 ^ x << 3, size);
		else
			in(pc, port, size);
		if (!(x >> 17 & 15))
			loop_step(pc->loop, 0);
	}
	loop_step(pc->loop, 0);
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
		T(identify), T(pio_read), T(pio_dwords), T(pio_write), T(multiple), T(addresses), T(unknown_commands),
		T(absent_drive), T(nobody_answers), T(software_reset), T(diagnostic), T(interrupt_disable), T(dma_read),
		T(dma_write), T(dma_errors), T(tiny_regions), T(flush), T(busy_ignores_commands), T(cd_identify), T(cd_read),
		T(cd_byte_limit), T(cd_dma), T(cd_sense), T(cd_replies), T(cd_tray), T(cd_changed),
		T(cd_taken_out), T(device_reset), T(random_pokes),
		T(coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
