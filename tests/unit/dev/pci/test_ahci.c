// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the AHCI controller at its registers: a disk and a CD-ROM, queued commands, errors, resets */
#include "small_pc.h"

#include "dev/pci/ahci_int.h"

#define DEVFN (4 << 3)
#define BAR 0xf1000000u
#define PORT(n, reg) (0x100 + (n) * 0x80 + (reg))
#define LIST 0x10000u
#define FISES 0x20000u
#define TABLE 0x30000u
#define DATA 0x100000u
#define SECTORS 100

static struct small_pc *pc;
static struct ahci *ahci;
static struct block *disk, *cd;
static char *disk_path, *cd_path;

static uint32_t rd(unsigned reg)
{
	uint32_t val = 0;

	mem_read(pc->mem, BAR + reg, &val, 4);
	return val;
}

static void wr(unsigned reg, uint32_t val)
{
	mem_write(pc->mem, BAR + reg, &val, 4);
}

static void start_port(unsigned n)
{
	wr(PORT(n, 0), LIST + n * 0x1000);
	wr(PORT(n, 8), FISES + n * 0x1000);
	wr(PORT(n, 0x30), 0xffffffff);
	wr(PORT(n, 0x10), 0xffffffff);
	wr(PORT(n, 0x14), 0x7dc0007f);
	wr(PORT(n, 0x18), 0x17);
}

static int setup(void **state)
{
	pc = small_pc_new();
	disk_path = make_image(SECTORS * 512);
	cd_path = make_image(40 * 2048);
	disk = open_image(pc, disk_path, false);
	cd = open_image(pc, cd_path, true);
	ahci = ahci_new(&(struct ahci_config){ pc->mem, pc->bus, pc->states, DEVFN });
	assert_int_equal(ahci_plug(ahci, &(struct ide_unit){ .blk = disk, .serial = "SERIAL" }), 0);
	assert_int_equal(ahci_plug(ahci, &(struct ide_unit){ .blk = cd, .cdrom = true }), 1);
	cfg_write(pc, DEVFN, 0x24, BAR, 4);
	cfg_write(pc, DEVFN, 4, 7, 2);
	wr(4, 0x80000002);
	start_port(0);
	start_port(1);
	return 0;
}

static int teardown(void **state)
{
	block_close(disk);
	block_close(cd);
	ahci_free(ahci);
	small_pc_free(pc);
	remove_image(disk_path);
	remove_image(cd_path);
	return 0;
}

/* Fill in slot's header, FIS and one region of len bytes at DATA + slot * 64 KiB. */
static void prepare(unsigned port, unsigned slot, uint8_t code, uint32_t lba, unsigned count, unsigned len)
{
	uint8_t head[32] = {5}, table[0x90] = {0x27, 0x80, code};
	bool queued = code == 0x60 || code == 0x61;

	put_le16(head + 2, len ? 1 : 0);
	put_le64(head + 8, TABLE + slot * 0x100);
	table[3] = queued ? (uint8_t)count : code == 0x06;
	put_le32(table + 4, lba | 0x40000000);
	table[12] = queued ? (uint8_t)(slot << 3) : (uint8_t)count;
	put_le64(table + 0x80, DATA + slot * 0x10000);
	put_le32(table + 0x8c, len - 1);
	mem_write(pc->mem, LIST + port * 0x1000 + slot * 32, head, sizeof(head));
	mem_write(pc->mem, TABLE + slot * 0x100, table, sizeof(table));
}

static void finish_all(void)
{
	for (unsigned i = 0; i < 8; i++)
		loop_step(pc->loop, 0);
}

static void identity(void **state)
{
	/* AHCI 3.1, 3.3.9, 3.3.10: what driver and firmware look at to find the drives. */
	assert_int_equal(cfg_read(pc, DEVFN, 0, 4), 0x29228086);
	assert_int_equal(cfg_read(pc, DEVFN, 8, 4) >> 8, 0x010601);
	assert_int_equal(rd(0x0c), 3);
	assert_int_equal(rd(0) & 0x40001f1f, 0x40001f01);
	assert_int_equal(rd(PORT(0, 0x24)), 0x00000101);
	assert_int_equal(rd(PORT(1, 0x24)), 0xeb140101);
	assert_int_equal(rd(PORT(0, 0x28)), 0x123);
}

static void identify(void **state)
{
	/* PIO data in goes by the PRD table, with a PIO Setup FIS, PRDBC, and the interrupt. */
	uint8_t id[512];

	prepare(0, 0, 0xec, 0, 0, 512);
	wr(PORT(0, 0x38), 1);
	mem_read(pc->mem, DATA, id, 512);
	assert_int_equal(rd(PORT(0, 0x38)), 0);
	assert_memory_equal(id + 20, "ESIRLA  ", 8);
	assert_int_equal(get_le64(id + 200), SECTORS);
	assert_true(get_le16(id + 152) & 0x100);
	assert_int_equal(peek8(pc, FISES + 0x20), 0x5f);
	assert_int_equal(peek8(pc, FISES + 0x20 + 15), 0x50);
	assert_int_equal(peek8(pc, LIST + 5), 2);
	assert_int_equal(rd(8), 1);
	assert_int_equal(rd(PORT(0, 0x10)) & 1, 1);
}

static void queued(void **state)
{
	/* SATA 13.6.4: several at once; PxCI goes down at once, PxSACT when done; the data are right. */
	for (unsigned slot = 0; slot < 4; slot++)
		prepare(0, slot, 0x60, 10 * slot, 2, 1024);
	wr(PORT(0, 0x34), 15);
	wr(PORT(0, 0x38), 15);
	assert_int_equal(rd(PORT(0, 0x38)), 0);
	assert_int_equal(rd(PORT(0, 0x34)), 15);
	assert_int_equal(ahci->port[0].inflight, 4);
	finish_all();
	assert_int_equal(rd(PORT(0, 0x34)), 0);
	for (unsigned slot = 0; slot < 4; slot++) {
		assert_int_equal(peek8(pc, DATA + slot * 0x10000), 10 * slot + 1);
		assert_int_equal(peek8(pc, DATA + slot * 0x10000 + 1023), 10 * slot + 2);
	}
	assert_int_equal(rd(PORT(0, 0x10)) & 8, 8);
}

static void queued_write(void **state)
{
	/* WRITE FPDMA QUEUED with FUA: a flush comes before the guest is told. */
	struct block_stats stats;
	uint8_t fua = 0xc0;

	poke8(pc, DATA, 0x77);
	prepare(0, 0, 0x61, 7, 1, 512);
	mem_write(pc->mem, TABLE + 7, &fua, 1);
	wr(PORT(0, 0x34), 1);
	wr(PORT(0, 0x38), 1);
	finish_all();
	block_get_stats(disk, &stats);
	assert_int_equal(rd(PORT(0, 0x34)), 0);
	assert_int_equal(stats.ops[BLOCK_WRITE], 1);
	assert_int_equal(stats.ops[BLOCK_FLUSH], 1);
	prepare(0, 1, 0x25, 7, 1, 512);
	wr(PORT(0, 0x38), 2);
	finish_all();
	assert_int_equal(peek8(pc, DATA + 0x10000), 0x77);
}

static void trim(void **state)
{
	/* ACS-2 7.10: each range is discarded; one beyond the end is an error and discards nothing. */
	struct block_stats stats;
	uint64_t range[64] = { 8 | 8ull << 48, 40 | 16ull << 48 };

	mem_write(pc->mem, DATA, range, 512);
	prepare(0, 0, 0x06, 0, 1, 512);
	wr(PORT(0, 0x38), 1);
	finish_all();
	block_get_stats(disk, &stats);
	assert_int_equal(rd(PORT(0, 0x20)), 0x50);
	assert_int_equal(stats.ops[BLOCK_DISCARD], 2);
	assert_int_equal(stats.bytes[BLOCK_DISCARD], 24 * 512);
	range[0] = 99 | 8ull << 48;
	mem_write(pc->mem, DATA, range, 512);
	wr(PORT(0, 0x38), 1);
	finish_all();
	assert_int_equal(rd(PORT(0, 0x20)), 0x1051);
	block_get_stats(disk, &stats);
	assert_int_equal(stats.ops[BLOCK_DISCARD], 2);
}

static void bad_address(void **state)
{
	/* 6.2.2: an error stops the list and raises TFES; ST down and up starts anew. */
	prepare(0, 0, 0x60, SECTORS, 1, 512);
	prepare(0, 1, 0xec, 0, 0, 512);
	wr(PORT(0, 0x34), 1);
	wr(PORT(0, 0x38), 3);
	assert_int_equal(rd(PORT(0, 0x10)) & 0x40000000, 0x40000000);
	assert_int_equal(rd(PORT(0, 0x38)), 2);
	wr(PORT(0, 0x18), 0x16);
	assert_int_equal(rd(PORT(0, 0x18)) & 0x8000, 0);
	assert_int_equal(rd(PORT(0, 0x38)) | rd(PORT(0, 0x34)), 0);
	wr(PORT(0, 0x18), 0x17);
	wr(PORT(0, 0x38), 2);
	assert_int_equal(rd(PORT(0, 0x38)), 0);
}

static void short_table(void **state)
{
	/* Regions for less than the command moves: an error, nothing beyond them is touched. */
	poke8(pc, DATA + 512, 0x99);
	prepare(0, 0, 0x25, 0, 4, 512);
	wr(PORT(0, 0x38), 1);
	finish_all();
	assert_int_equal(rd(PORT(0, 0x20)) & 1, 1);
	assert_int_equal(peek8(pc, DATA + 512), 0x99);
}

static void stop_waits(void **state)
{
	/* I2: CR stays up until what is under way is back; nothing is told, and nothing starts before. */
	prepare(0, 0, 0x60, 1, 1, 512);
	prepare(0, 1, 0x25, 2, 1, 512);
	wr(PORT(0, 0x34), 1);
	wr(PORT(0, 0x38), 3);
	wr(PORT(0, 0x18), 0x16);
	assert_int_equal(rd(PORT(0, 0x18)) & 0x8000, 0x8000);
	wr(PORT(0, 0x18), 0x17);
	assert_int_equal(rd(PORT(0, 0x18)) & 1, 0);
	finish_all();
	assert_int_equal(rd(PORT(0, 0x18)) & 0x8000, 0);
	assert_int_equal(rd(PORT(0, 0x10)) & 0x4000000b, 0);
}

static void hba_reset(void **state)
{
	/* 10.4.3: HR stays until requests are back, then everything is as after power on. */
	prepare(0, 0, 0x60, 1, 1, 512);
	wr(PORT(0, 0x34), 1);
	wr(PORT(0, 0x38), 1);
	wr(4, 1);
	assert_int_equal(rd(4), 0x80000001);
	finish_all();
	assert_int_equal(rd(4), 0x80000000);
	assert_int_equal(rd(PORT(0, 0)), 0);
	assert_int_equal(rd(PORT(0, 0x24)), 0x00000101);
	wr(4, 1); /* and so with nothing under way */
	assert_int_equal(rd(4), 0x80000000);
	assert_int_equal(rd(PORT(0, 0x24)), 0x00000101);
	assert_int_equal(rd(PORT(1, 0x24)), 0xeb140101);
	assert_int_equal(rd(PORT(0, 0x20)), 0x150);
}

static void comreset(void **state)
{
	/* 10.4.2: no link while DET is 1, signature and PxSERR.DIAG.X after it. */
	wr(PORT(0, 0x18), 0x16);
	wr(PORT(0, 0x2c), 0x301);
	assert_int_equal(rd(PORT(0, 0x28)), 0);
	wr(PORT(0, 0x2c), 0x300);
	assert_int_equal(rd(PORT(0, 0x28)), 0x123);
	assert_int_equal(rd(PORT(0, 0x20)), 0x150);
	assert_int_equal(rd(PORT(0, 0x30)) & 0x04000000, 0x04000000);
}

static void packet(void **state)
{
	/* A CD-ROM: READ(10) of sector 2, and an error's sense key in PxTFD. */
	const uint8_t cdb[12] = { 0x28, 0, 0, 0, 0, 2, 0, 0, 1 }, beyond[12] = { 0x28, 0, 0, 1, 0, 0, 0, 0, 1 };
	const uint8_t ready[12] = {0};

	prepare(1, 0, 0xa0, 0, 0, 2048);
	mem_write(pc->mem, TABLE + 0x40, ready, 12);
	for (unsigned i = 0; i < 4; i++) { /* a new disc is told of first */
		wr(PORT(1, 0x38), 1);
		wr(PORT(1, 0x18), 0x16);
		wr(PORT(1, 0x18), 0x17);
	}
	mem_write(pc->mem, TABLE + 0x40, cdb, 12);
	wr(PORT(1, 0x38), 1);
	finish_all();
	assert_int_equal(rd(PORT(1, 0x20)) & 1, 0);
	assert_int_equal(peek8(pc, DATA), 9);
	mem_write(pc->mem, TABLE + 0x40, beyond, 12);
	wr(PORT(1, 0x38), 1);
	finish_all();
	assert_int_equal(rd(PORT(1, 0x20)), 0x5441);
}

static void messages(void **state)
{
	/* PCI 6.8.1: with MSI a message for each new cause and no line. */
	unsigned cap = cfg_read(pc, DEVFN, 0x34, 1);

	cfg_write(pc, DEVFN, cap + 4, 0xfee00000, 4);
	cfg_write(pc, DEVFN, cap + 12, 0x41, 2);
	cfg_write(pc, DEVFN, cap + 2, 1, 2);
	prepare(0, 0, 0xec, 0, 0, 512);
	wr(PORT(0, 0x38), 1);
	assert_int_equal(pc->msis, 1);
	assert_int_equal(pc->msi_data, 0x41);
	assert_false(ahci->pci.intx);
}

static void coverage(void **state)
{
	check_all_coverage(pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(identity), T(identify), T(queued), T(queued_write), T(trim), T(bad_address), T(short_table), T(stop_waits),
		T(hba_reset), T(comreset), T(packet), T(messages), T(coverage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
