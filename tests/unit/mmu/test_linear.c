// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of checked accesses: crossing pages, bounce and commit, devices, code pages, data breakpoints */
#include "mmu_unit.h"

static uint64_t val, hit_off, hit_len;

static void note_code(struct cpu *c, uint64_t off, uint64_t len)
{
	hit_off = off;
	hit_len = len;
	c->bounce_exit = true;
}

static void crossing(void **state)
{
	/* Both pages are checked before either is written; the first page's fault wins, the second's CR2 is its start. */
	mode_long();
	map(1, 0x20000 | P | W);
	map(2, 0x30000 | P | W);
	assert_true(try_store(0x1ffd, 0x8877665544332211, 8, 0));
	assert_int_equal(peek(0x20ffd, 3), 0x332211);
	assert_int_equal(peek(0x30000, 5), 0x8877665544);
	assert_true(try_load(0x1ffd, 8, 0, &val));
	assert_true(val == 0x8877665544332211);
	map(2, 0x30000 | P);
	mmu_flush_all(cpu);
	expect_pf(try_store(0x1ffe, 0, 4, 0), 0x2000, 3);
	assert_int_equal(peek(0x20ffe, 2), 0x3322);
	map(1, 0);
	mmu_flush_all(cpu);
	expect_pf(try_store(0x1ffe, 0, 4, 0), 0x1ffe, 2);
}

static void canonical(void **state)
{
	/* An access that reaches past the canonical half faults whole; the stack segment's fault is #SS. */
	mode_long();
	expect_fault(try_load(0x7ffffffffffc, 8, 0, &val), EXC_GP);
	expect_fault(try_load(0x7ffffffffffc, 8, MMU_SS, &val), EXC_SS);
	expect_fault(try_store(0xffff7fffffffffff, 0, 1, 0), EXC_GP);
}

static void wrap32(void **state)
{
	/* Outside long mode an access wraps at 4 GiB. */
	poke(0, 0xbbaa, 2);
	assert_true(try_load(0xfffffffe, 4, 0, &val));
	assert_int_equal(val, 0xbbaaffff);
	assert_true(try_load(0x100000000, 2, 0, &val));
	assert_int_equal(val, 0xbbaa);
}

static void slow_direct(void **state)
{
	/* In one page of RAM the slow path gives the host address and fills the TLB. */
	mode_long();
	map(1, 0x20000 | P | W);
	assert_ptr_equal(try_slow(0x1010, 16, MMU_WRITE, true), mem_ram_base(mem) + 0x20010);
	assert_int_equal(cpu->bounce_len, 0);
	assert_true(cached(VIEW_SUP_AC, TLB_WRITE, 0x1000));
	mmu_commit(cpu); /* nothing to do */
}

static void slow_crossing(void **state)
{
	/* A crossing read-modify-write goes through the bounce buffer and lands on commit. */
	mode_long();
	map(1, 0x20000 | P | W);
	map(2, 0x30000 | P | W);
	poke(0x20fff, 0x11, 1);
	poke(0x30000, 0x44332222, 3);
	assert_ptr_equal(try_slow(0x1fff, 4, MMU_WRITE, true), cpu->bounce);
	assert_int_equal(cpu->bounce_gla, 0x1fff);
	assert_int_equal(cpu->bounce_len, 4);
	assert_int_equal(get_le32(cpu->bounce), 0x33222211);
	put_le32(cpu->bounce, 0xddccbbaa);
	mmu_commit(cpu);
	assert_int_equal(peek(0x20fff, 1), 0xaa);
	assert_int_equal(peek(0x30000, 3), 0xddccbb);
}

static void slow_device(void **state)
{
	/* Devices: read once with the access's size, write-only accesses do not read. */
	mode_long();
	map(1, DEVICE | P | W);
	assert_ptr_equal(try_slow(0x1000, 4, MMU_READ, true), cpu->bounce);
	assert_int_equal(get_le32(cpu->bounce), 0x11111111);
	assert_int_equal(device_reads, 1);
	assert_ptr_equal(try_slow(0x1000, 4, MMU_WRITE, false), cpu->bounce);
	assert_int_equal(device_reads, 1);
	put_le32(cpu->bounce, 0xcafe);
	mmu_commit(cpu);
	assert_int_equal(device_last, 0xcafe);
	assert_ptr_equal(try_slow(0x1000, 16, MMU_READ, true), cpu->bounce);
	assert_int_equal(device_reads, 3);
	assert_true(get_le64(cpu->bounce + 8) == 9 * 0x1111111111111111ull);
}

static void device_remapped(void **state)
{
	/* The walk to a page of registers is kept, but no longer than a TLB entry would be: INVLPG, MOV CR3, a change of
	 * the map, and other rights are seen. */
	mode_long();
	map(1, DEVICE | P | W);
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_int_equal(val, 0x11111111);
	assert_true(try_load(0x1004, 4, 0, &val));
	assert_int_equal(val, 0x55555555);
	user(true);
	expect_pf(try_load(0x1000, 4, 0, &val), 0x1000, 5);
	user(false);
	map(1, (DEVICE + 4096) | P);
	mmu_flush_page(cpu, 0x1000);
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_int_equal(val, 0x11111111u * 0x1001);
	expect_pf(try_store(0x1000, 0, 4, 0), 0x1000, 3); /* reading is no leave to write */
	map(1, 0x20000 | P | W);
	poke(0x20000, 0xabcd, 4);
	mmu_flush_nonglobal(cpu);
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_int_equal(val, 0xabcd);
	map(1, DEVICE | P | W);
	mmu_flush_page(cpu, 0x1000);
	assert_true(try_store(0x1000, 0x77, 4, 0));
	assert_int_equal(device_last, 0x77);
	mem_region_disable(mem, &device);
	assert_true(try_store(0x1000, 0x78, 4, 0));
	assert_int_equal(device_last, 0x77);
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_int_equal(val, 0xffffffff);
}

static void slow_code(void **state)
{
	/* A write to a code page bounces; commit writes it, then tells the engine which bytes. */
	mode_long();
	cpu->mmu->code_written = note_code;
	map(1, 0x20000 | P | W);
	mem_code_map(mem)[0x20] = 1;
	assert_ptr_equal(try_slow(0x1004, 4, MMU_WRITE, true), cpu->bounce);
	put_le32(cpu->bounce, 0x12345678);
	cpu->bounce_exit = false;
	mmu_commit(cpu);
	assert_int_equal(peek(0x20004, 4), 0x12345678);
	assert_true(cpu->bounce_exit);
	assert_int_equal(hit_off, 0x20004);
	assert_int_equal(hit_len, 4);
	hit_len = 0;
	assert_true(try_store(0x1008, 1, 1, 0));
	assert_int_equal(hit_len, 1);
	assert_null(mmu_host_raise(cpu, 0x1000, 16, MMU_WRITE));
	assert_non_null(mmu_host_raise(cpu, 0x1000, 16, MMU_READ));
}

static void slow_fault(void **state)
{
	/* A fault in the second page leaves no bounce behind. */
	mode_long();
	map(1, 0x20000 | P | W);
	expect_pf(try_slow(0x1fff, 2, MMU_WRITE, true), 0x2000, 2);
	assert_int_equal(cpu->bounce_len, 0);
}

static void buffers(void **state)
{
	/* Buffers of up to a page, over two. */
	static uint8_t in[4096], out[4096];

	mode_long();
	map(1, 0x20000 | P | W);
	map(2, 0x30000 | P | W);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	mmu_write_raise(cpu, 0x1801, in, sizeof(in), 0);
	mmu_read_raise(cpu, 0x1801, out, sizeof(out), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_null(mmu_host_raise(cpu, 0x1801, sizeof(in), MMU_READ));
	assert_ptr_equal(mmu_host_raise(cpu, 0x1801, 0x7ff, MMU_READ), mem_ram_base(mem) + 0x20801);
}

static void breakpoints(void **state)
{
	/* SDM vol 3 17.2: data breakpoints match by overlap, writes-only ones not on reads, and their page stays out of
	 * the TLB. */
	mode_long();
	map(1, 0x20000 | P | W | A | D);
	cpu->s.dr[0] = 0x1005; /* four bytes from 0x1004 */
	cpu->s.dr[1] = 0x1010;
	cpu->s.dr[7] = 0x400 | 1 | 4 | 0xdull << 16 | 0x3ull << 20; /* DR0: 4 bytes on write; DR1: 1 byte on access */
	mmu_flush_all(cpu);
	assert_true(try_load(0x1000, 8, 0, &val));
	assert_int_equal(cpu->s.pending_dbg, 0);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	assert_true(try_store(0x1000, val, 4, 0));
	assert_int_equal(cpu->s.pending_dbg, 0);
	assert_true(try_store(0x1001, val, 4, 0));
	assert_int_equal(cpu->s.pending_dbg, 1);
	assert_true(try_load(0x100c, 8, 0, &val));
	assert_int_equal(cpu->s.pending_dbg, 3);
	cpu->s.pending_dbg = 0;
	assert_ptr_equal(try_slow(0x1010, 1, MMU_READ, true), mem_ram_base(mem) + 0x20010);
	assert_int_equal(cpu->s.pending_dbg, 2);
	assert_null(mmu_host_raise(cpu, 0x1800, 8, MMU_READ));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(crossing, setup, teardown),
		cmocka_unit_test_setup_teardown(canonical, setup, teardown),
		cmocka_unit_test_setup_teardown(wrap32, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_direct, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_crossing, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_device, setup, teardown),
		cmocka_unit_test_setup_teardown(device_remapped, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_code, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(breakpoints, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
