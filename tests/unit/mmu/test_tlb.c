// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the software TLB: what is entered, what each flush drops and what it must leave */
#include "mmu_unit.h"

static uint64_t val;
static gpa_t to;

static void fill_read(void **state)
{
	/* A read enters the page for reads only while it is clean; once dirty, for writes too. */
	mode_long();
	map(1, 0x20000 | P | W);
	assert_true(try_load(0x1008, 8, 0, &val));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	assert_false(cached(VIEW_SUP_AC, TLB_WRITE, 0x1000));
	assert_false(cached(VIEW_SUP, TLB_READ, 0x1000));
	assert_true(try_store(0x1008, 0x55, 1, 0));
	assert_true(cached(VIEW_SUP_AC, TLB_WRITE, 0x1000));
	assert_int_equal(peek(0x20008, 1), 0x55);
	map(2, 0x21000 | P | W | A | D);
	assert_true(try_load(0x2000, 8, 0, &val));
	assert_true(cached(VIEW_SUP_AC, TLB_WRITE, 0x2000));
	map(3, 0x22000 | P | A | D);
	assert_true(try_load(0x3000, 8, 0, &val));
	assert_false(cached(VIEW_SUP_AC, TLB_WRITE, 0x3000));
}

static void views(void **state)
{
	/* A page entered for one privilege is not there for another; SMAP keeps user pages out of VIEW_SUP. */
	mode_long();
	cpu->s.cr4 |= CR4_SMAP;
	map(1, 0x20000 | P | W | U);
	user(true);
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_true(cached(VIEW_USER, TLB_READ, 0x1000));
	user(false);
	assert_int_equal(cpu->view, VIEW_SUP);
	expect_pf(try_load(0x1000, 4, 0, &val), 0x1000, 1);
	cpu->s.rflags |= FL_AC;
	cpu_derive(cpu);
	assert_true(try_load(0x1000, 4, 0, &val));
	expect_pf(try_load(0x1000, 4, MMU_SYS, &val), 0x1000, 1);
	assert_false(cached(VIEW_SUP, TLB_READ, 0x1000));
}

static void flush_scopes(void **state)
{
	/* MOV CR3 keeps global pages; a full flush keeps nothing; INVLPG takes one page of any kind. */
	mode_long();
	cpu->s.cr4 |= CR4_PGE;
	map(1, 0x20000 | P | W | A | D);
	map(2, 0x21000 | P | W | A | D | G);
	map(3, 0x22000 | P | W | A | D | G);
	for (gla_t at = 0x1000; at < 0x4000; at += 0x1000)
		assert_true(try_load(at, 4, 0, &val));
	assert_true(try_cr3(PML4));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	assert_false(cached(VIEW_SUP_AC, TLB_WRITE, 0x1000));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x2000));
	mmu_flush_page(cpu, 0x2fff);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x2000));
	assert_false(cached(VIEW_SUP_AC, TLB_WRITE, 0x2000));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x3000));
	mmu_flush_all(cpu);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x3000));
	for (unsigned i = 0; i < TLB_ALL / 64; i++)
		assert_true(!cpu->mmu->tlb_used[0].bits[i] && !cpu->mmu->tlb_used[1].bits[i]);
}

static void replaced(void **state)
{
	/* A slot that changes from global to non-global and back is flushed as what it holds now. */
	gla_t a = 0x1000, b = 0x1000 + (gla_t)TLB_SIZE * 4096;

	mode_long();
	cpu->s.cr4 |= CR4_PGE;
	poke(PD + 8 * (b >> 21), 0x14000 | P | W, 8);
	map(1, 0x20000 | P | G);
	poke(0x14008, 0x21000 | P, 8);
	assert_true(try_load(a, 4, 0, &val));
	assert_true(try_load(b, 4, 0, &val));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, a));
	assert_true(try_cr3(PML4));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, b));
	assert_true(try_load(b, 4, 0, &val));
	assert_true(try_load(a, 4, 0, &val));
	assert_true(try_cr3(PML4));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, a));
}

static void large_pages(void **state)
{
	/* INVLPG of any address in a large page drops all that was entered from it: SDM vol 3 4.10.4.1. */
	mode_long();
	map(1, 0x20000 | P);
	poke(PD + 8, 0x400000 | P | W | PS, 8);
	poke(PDPT + 8, P | W | PS, 8);
	assert_true(try_load(0x200000, 4, 0, &val));
	assert_true(try_load(0x2ff000, 4, 0, &val));
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_true(try_load(0x40005000, 4, 0, &val));
	assert_true(try_translate(0x201000, MMU_EXEC, &to));
	mmu_flush_page(cpu, 0x3fffff);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x200000));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x2ff000));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x40005000));
	poke(PD + 8, 0, 8);
	expect_pf(try_translate(0x201000, MMU_EXEC, &to), 0x201000, 0x10);
	mmu_flush_page(cpu, 0x7ffff000);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x40005000));
}

static void exec_cache(void **state)
{
	/* Translations for execution die with the others, and are kept apart by privilege. */
	mode_long();
	cpu->s.cr4 |= CR4_PGE;
	map(1, 0x20000 | P | U);
	map(2, 0x21000 | P | G);
	assert_true(try_translate(0x1010, MMU_EXEC, &to));
	assert_int_equal(to, 0x20010);
	assert_true(try_translate(0x2000, MMU_EXEC, &to));
	poke(PT + 8, 0x30000 | P, 8);
	poke(PT + 16, 0x31000 | P | G, 8);
	assert_true(try_translate(0x1020, MMU_EXEC, &to));
	assert_int_equal(to, 0x20020); /* stale, as on hardware */
	user(true);
	expect_pf(try_translate(0x1000, MMU_EXEC, &to), 0x1000, 0x15);
	user(false);
	assert_true(try_cr3(PML4));
	assert_true(try_translate(0x1020, MMU_EXEC, &to));
	assert_int_equal(to, 0x30020);
	assert_true(try_translate(0x2000, MMU_EXEC, &to));
	assert_int_equal(to, 0x21000);
	mmu_flush_page(cpu, 0x2000);
	assert_true(try_translate(0x2000, MMU_EXEC, &to));
	assert_int_equal(to, 0x31000);
	poke(PT + 16, 0, 8);
	mmu_flush_all(cpu);
	expect_pf(try_translate(0x2000, MMU_EXEC, &to), 0x2000, 0x10);
}

static void invpcid(void **state)
{
	/* SDM vol 2 INVPCID: reserved operands fault; what names the current PCID is dropped. */
	mode_long();
	expect_fault(try_invpcid(4, 0, 0), EXC_GP);
	expect_fault(try_invpcid(0, 1, 0), EXC_GP);
	expect_fault(try_invpcid(1, 0x1000, 0), EXC_GP);
	expect_fault(try_invpcid(0, 0, 1ull << 47), EXC_GP);
	cpu->s.cr4 |= CR4_PCIDE | CR4_PGE;
	map(1, 0x20000 | P);
	map(2, 0x21000 | P | G);
	assert_true(try_cr3(PML4 | 5 | 1ull << 63));
	assert_int_equal(cpu->s.cr3, PML4 | 5);
	assert_true(try_load(0x1000, 4, 0, &val) && try_load(0x2000, 4, 0, &val));
	assert_true(try_invpcid(0, 5, 0x1000));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_true(try_invpcid(3, 0, 0));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x2000));
	assert_true(try_invpcid(2, 0, 0));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x2000));
}

static void never_cached(void **state)
{
	/* Devices are never entered, ROM never for writes, code pages never for writes, and becoming code drops the
	 * entry. */
	mode_long();
	map(1, DEVICE | P | W);
	assert_true(try_load(0x1000, 4, 0, &val));
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	map(2, 0x20000 | P | W);
	mem_code_map(mem)[0x20] = 1;
	assert_true(try_store(0x2000, 1, 4, 0));
	assert_false(cached(VIEW_SUP_AC, TLB_WRITE, 0x2000));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x2000));
	map(3, 0x21000 | P | W);
	assert_true(try_store(0x3000, 1, 4, 0));
	assert_true(cached(VIEW_SUP_AC, TLB_WRITE, 0x3000));
	mem_code_map(mem)[0x21] = 1;
	mmu_protect_code(cpu, 0x21000);
	assert_false(cached(VIEW_SUP_AC, TLB_WRITE, 0x3000));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x3000));
}

/* --- at random --- */

static uint32_t seed;

static uint32_t roll(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Every valid entry must be what a walk now gives. Returns how many there are. */
static unsigned check_all(void)
{
	unsigned n = 0;

	for (unsigned id = 0; id < TLB_ALL; id++) {
		const struct mmu_tlbe *e = &((const struct mmu_tlbe *)cpu->mmu->tlb)[id];
		gpa_t gpa;

		if ((e->tag >> 12 & (TLB_SIZE - 1)) != id % TLB_SIZE)
			continue;
		assert_true(cpu->mmu->tlb_used[0].bits[id / 64] >> id % 64 & 1 ||
		            cpu->mmu->tlb_used[1].bits[id / 64] >> id % 64 & 1);
		assert_true(mmu_peek(cpu, e->tag, &gpa));
		assert_true(e->host == (uintptr_t)(mem_ram_base(mem) + gpa));
		n++;
	}
	return n;
}

static void random_maps(void **state)
{
	/* Change page tables at random, tell the CPU as the manual asks, and no stale entry may stay. */
	static const uint64_t global[2] = { 0, G };
	unsigned checked = 0;

	mode_long();
	cpu->s.cr4 |= CR4_PGE;
	seed = 12345;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned page = roll(512), region = 1 + roll(3);
		gla_t at = roll(2) ? page * 4096 : region * MIB(2) + page * 4096;
		uint64_t rights = P | W | A | D;

		switch (roll(8)) {
		case 0: /* a 4 KiB page, then INVLPG */
			map(page, (0x100000 + roll(256) * 4096) | rights | global[roll(2)]);
			mmu_flush_page(cpu, page * 4096 + roll(4096));
			break;
		case 1: /* a 2 MiB page, then INVLPG of any of its addresses */
			poke(PD + 8 * region, (roll(3) + 1) * MIB(2) | rights | PS | global[roll(2)], 8);
			mmu_flush_page(cpu, region * MIB(2) + roll(MIB(2)));
			break;
		case 2: /* non-global pages, then CR3 */
			for (unsigned n = 0; n < 512; n++)
				if (!(peek(PT + 8 * n, 8) & G) && !roll(4))
					map(n, (0x100000 + roll(256) * 4096) | rights);
			assert_true(try_cr3(PML4));
			break;
		default:
			(void)try_load(at, 4, 0, &val);
			(void)try_store(at, 0, 4, 0);
		}
		if (i % 16 == 0)
			checked += check_all();
	}
	assert_true(checked > 5000); /* not of an empty TLB */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fill_read, setup, teardown),
		cmocka_unit_test_setup_teardown(views, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_scopes, setup, teardown),
		cmocka_unit_test_setup_teardown(replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(large_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(exec_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(invpcid, setup, teardown),
		cmocka_unit_test_setup_teardown(never_cached, setup, teardown),
		cmocka_unit_test_setup_teardown(random_maps, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
