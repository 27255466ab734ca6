// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the flat map: priorities, see-through regions, page granularity, changes under a reader */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "mem/mem.h"

static const struct mem_ops no_ops;
static _Alignas(4096) uint8_t rom[8192];
static _Alignas(4096) uint8_t vram[8192];

static struct loop *loop;
static struct mem *mem;

static int setup(void **state)
{
	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(8), 0xe0000000, NULL);
	return mem ? 0 : -1;
}

static int teardown(void **state)
{
	mem_free(mem);
	loop_free(loop);
	return 0;
}

static void split_at_4g(void **state)
{
	/* RAM beyond lowmax appears at 4 GiB and is contiguous in the memfd. */
	struct mem *m = mem_new(loop, MIB(8), MIB(2), NULL);
	struct mem_page pg;

	assert_int_equal(mem_ram_below4g(m), MIB(2));
	assert_int_equal(mem_ram_above4g(m), MIB(6));
	mem_lookup(m, GIB(4) + 5, &pg);
	assert_ptr_equal(pg.read, mem_ram_base(m) + MIB(2));
	assert_true(pg.is_ram);
	assert_int_equal(mem_ram_offset(m, GIB(4) + 4096), MIB(2) + 4096);
	assert_true(mem_ram_offset(m, MIB(2)) == UINT64_MAX);
	mem_lookup(m, MIB(2), &pg);
	assert_null(pg.read);
	mem_free(m);
}

static void bad_sizes(void **state)
{
	/* Sizes no host can give are refused with a reason. */
	struct err err;

	assert_null(mem_new(loop, 0, MIB(1), &err));
	assert_non_null(strstr(err.msg, "guest RAM"));
	assert_null(mem_new(loop, 4097, MIB(1), &err));
	assert_null(mem_new(loop, 1ull << 60, MIB(1), &err));
}

static void rom_and_video(void **state)
{
	/* ROM reads from its pages and takes no stores; video RAM is mapped both ways, a logged one never for stores. */
	struct mem_region r = { .name = "rom", .base = 0xf0000, .size = 8192, .priority = 1, .host = rom };
	struct mem_region v = { .name = "vram", .base = 0xe0000000, .size = 8192, .host = vram, .writable = true };
	uint8_t dirty[2] = { 0 };
	struct mem_page pg;
	uint8_t byte = 7;

	mem_region_enable(mem, &r);
	mem_region_enable(mem, &v);
	mem_lookup(mem, 0xf1fff, &pg);
	assert_ptr_equal(pg.read, rom + 4096);
	assert_null(pg.write);
	assert_false(pg.is_ram);
	mem_write(mem, 0xf0000, &byte, 1);
	assert_int_equal(rom[0], 0);
	mem_lookup(mem, 0xe0000000, &pg);
	assert_ptr_equal(pg.write, vram);
	mem_region_disable(mem, &v);
	v.dirty = dirty;
	mem_region_enable(mem, &v);
	mem_lookup(mem, 0xe0001000, &pg);
	assert_true(pg.logged);
	assert_null(pg.write);
	mem_write(mem, 0xe0001000, &byte, 1);
	assert_int_equal(vram[4096], 7);
	assert_int_equal(dirty[0], 0);
	assert_int_equal(dirty[1], 1);
	mem_region_disable(mem, &r);
	mem_lookup(mem, 0xf0000, &pg);
	assert_true(pg.is_ram);
}

static void shadowing(void **state)
{
	/* PAM: each direction goes to RAM or to what lies beneath, on its own (i440FX, PAM registers). */
	struct mem_region r = { .name = "rom", .base = 0xf0000, .size = 8192, .priority = 1, .host = rom };
	struct mem_region pam = { .name = "pam", .base = 0xf0000, .size = 0x10000, .priority = 2, .ram_writes = true };
	uint8_t *shadow = mem_ram_base(mem) + 0xf0000, byte = 0x42;
	struct mem_page pg;

	rom[16] = 0x11;
	mem_region_enable(mem, &r);
	mem_region_enable(mem, &pam);
	mem_lookup(mem, 0xf0010, &pg);
	assert_ptr_equal(pg.read, rom);
	assert_null(pg.write); /* not the memory that is read there */
	mem_write(mem, 0xf0010, &byte, 1);
	assert_int_equal(shadow[16], 0x42);
	mem_read(mem, 0xf0010, &byte, 1);
	assert_int_equal(byte, 0x11);
	mem_region_disable(mem, &pam);
	pam.ram_reads = true;
	mem_region_enable(mem, &pam);
	mem_lookup(mem, 0xf0010, &pg);
	assert_ptr_equal(pg.read, shadow);
	assert_ptr_equal(pg.write, shadow);
	mem_region_disable(mem, &pam);
	pam.ram_writes = false;
	mem_region_enable(mem, &pam);
	byte = 0x99;
	mem_write(mem, 0xf0010, &byte, 1);
	assert_int_equal(shadow[16], 0x42);
	mem_lookup(mem, 0xf0010, &pg);
	assert_ptr_equal(pg.read, shadow);
	assert_null(pg.write);
}

static void overlap(void **state)
{
	/* Higher priority wins, of equals the one enabled last; a page shared with registers has no host address. */
	struct mem_region a = { .name = "a", .base = MIB(1), .size = 8192, .priority = 1, .host = rom };
	struct mem_region b = { .name = "b", .base = MIB(1), .size = 8192, .priority = 1, .host = vram };
	struct mem_region c = { .name = "c", .base = MIB(1) + 256, .size = 16, .priority = 2, .ops = &no_ops };
	struct mem_page pg;

	mem_region_enable(mem, &a);
	mem_region_enable(mem, &b);
	mem_lookup(mem, MIB(1), &pg);
	assert_ptr_equal(pg.read, vram);
	mem_region_enable(mem, &a);
	mem_lookup(mem, MIB(1), &pg);
	assert_ptr_equal(pg.read, rom);
	mem_region_enable(mem, &c);
	mem_lookup(mem, MIB(1), &pg);
	assert_null(pg.read);
	mem_lookup(mem, MIB(1) + 4096, &pg);
	assert_ptr_equal(pg.read, rom + 4096);
	mem_region_move(mem, &c, MIB(4));
	mem_lookup(mem, MIB(1), &pg);
	assert_ptr_equal(pg.read, rom);
	mem_lookup(mem, MIB(4), &pg);
	assert_null(pg.read);
}

static atomic_bool stop;
static void *reader(void *arg)
{
	struct mem_page pg;
	long n = 0;

	while (!atomic_load(&stop)) {
		mem_lookup(mem, MIB(2), &pg);
		assert_true(pg.read == mem_ram_base(mem) + MIB(2));
		mem_lookup(mem, MIB(3), &pg);
		assert_true(pg.read == rom || pg.read == mem_ram_base(mem) + MIB(3));
		n++;
	}
	return (void *)n;
}

static void changes_under_a_reader(void **state)
{
	/* map.c I1, I2: a reader without a lock always sees one whole map. */
	struct mem_region r[100];
	pthread_t t;
	void *n;

	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&t, NULL, reader, NULL), 0);
	for (int i = 0; i < 100; i++)
		r[i] = (struct mem_region){ .base = MIB(3) + 8192 * (uint64_t)i, .size = 4096, .priority = 1, .host = rom };
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++)
			mem_region_enable(mem, &r[i]);
		for (int i = 0; i < 100; i++)
			mem_region_disable(mem, &r[i]);
	}
	atomic_store(&stop, true);
	pthread_join(t, &n);
	assert_true((long)n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(split_at_4g, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(rom_and_video, setup, teardown),
		cmocka_unit_test_setup_teardown(shadowing, setup, teardown),
		cmocka_unit_test_setup_teardown(overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_under_a_reader, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
