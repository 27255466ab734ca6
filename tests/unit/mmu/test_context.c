// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of contexts: what a PCID finds when it is back, what must be gone by then, what the engine is told */
#include "mmu_unit.h"

#define KEEP (1ull << 63)
#define SPACES 13 /* more than there are contexts */

static uint64_t val;
static gpa_t to;
static struct { unsigned count[FLUSH_CONTEXT + 1]; gla_t last; uint32_t from; } heard;

static void flushed(struct cpu *c, enum mmu_flush scope, gla_t gla)
{
	heard.count[scope]++;
	heard.last = gla;
	heard.from = c->mmu->ctx;
}

static void listen(void)
{
	memset(&heard, 0, sizeof(heard));
	cpu->mmu->flushed = flushed;
}

/* Four tables each, from 2 MiB on; the page table is for linear addresses 0 to 2 MiB. */
static gpa_t root(unsigned space)
{
	return MIB(2) + space * 0x4000;
}

static gpa_t pt(unsigned space)
{
	return root(space) + 0x3000;
}

static void map_in(unsigned space, unsigned page, uint64_t pte)
{
	poke(pt(space) + 8 * page, pte, 8);
}

static gpa_t page_of(unsigned space, unsigned page)
{
	return MIB(4) + (space * 16 + page) * 0x1000;
}

#define RIGHTS (P | W | A | D)

static void spaces(void)
{
	mode_long();
	cpu->s.cr4 |= CR4_PCIDE | CR4_PGE;
	for (unsigned space = 0; space < SPACES; space++) {
		for (unsigned level = 0; level < 3; level++)
			poke(root(space) + 0x1000 * level, (root(space) + 0x1000 * (level + 1)) | P | W | U, 8);
		for (unsigned page = 1; page < 16; page++)
			map_in(space, page, page_of(space, page) | RIGHTS);
	}
	assert_true(try_cr3(root(0)));
	listen();
}

/* PCIDs are the spaces' numbers. */
static void go(unsigned space, uint64_t keep)
{
	assert_true(try_cr3(root(space) | space | keep));
}

static uint64_t walks(void)
{
	return cpu->stats.count[STAT_WALKS];
}

/* Is the page known for what is asked, without a walk? Known or not, it is afterwards. */
static bool kept(gla_t at)
{
	uint64_t before = walks();

	assert_true(try_load(at, 1, 0, &val));
	return walks() == before;
}

static bool kept_write(gla_t at, uint64_t what)
{
	uint64_t before = walks();

	assert_true(try_store(at, what, 1, 0));
	return walks() == before;
}

static void comes_back(void **state)
{
	/* A PCID loaded with bit 63 finds its read and write entries, its executable pages and no one else's: no walk. */
	spaces();
	go(1, KEEP);
	assert_true(try_store(0x1000, 0x11, 1, 0) && try_load(0x2000, 1, 0, &val));
	assert_true(try_translate(0x3000, MMU_EXEC, &to));
	go(2, KEEP);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x1000) || cached(VIEW_SUP_AC, TLB_WRITE, 0x1000));
	assert_null(mmu_exec_page(cpu, 0x3000));
	assert_true(try_store(0x1000, 0x22, 1, 0) && try_translate(0x3000, MMU_EXEC, &to));
	assert_int_equal(to, page_of(2, 3));
	go(1, KEEP);
	assert_true(kept(0x1000) && kept(0x2000));
	assert_int_equal(val, 0);
	assert_true(kept_write(0x1000, 0x12) && kept(0x1000));
	assert_int_equal(val, 0x12);
	uint64_t before = walks();
	assert_true(try_translate(0x3000, MMU_EXEC, &to));
	assert_int_equal(walks() - before, 1); /* one slot for executable page 3, and space 2 was there */
	assert_int_equal(to, page_of(1, 3));
	assert_int_equal(peek(page_of(1, 1), 1), 0x12);
	assert_int_equal(peek(page_of(2, 1), 1), 0x22);
	go(2, KEEP);
	go(1, KEEP);
	go(2, KEEP);
	assert_true(kept(0x1000)); /* nobody asked for it the first time: it is still there */
	assert_int_equal(val, 0x22);
}

static void views_kept(void **state)
{
	/* Each entry comes back to its own privilege view. */
	spaces();
	go(1, KEEP);
	map_in(1, 1, page_of(1, 1) | RIGHTS | U);
	user(true);
	assert_true(try_load(0x1000, 1, 0, &val));
	user(false);
	go(2, KEEP);
	go(1, KEEP);
	assert_false(kept(0x1000));
	user(true);
	assert_true(kept(0x1000) && kept_write(0x1000, 1));
}

static void without_bit63(void **state)
{
	/* SDM vol 3 4.10.4.1: MOV CR3 with bit 63 clear drops what the new PCID had, and that alone. */
	spaces();
	go(1, 0), assert_true(try_load(0x1000, 1, 0, &val));
	go(2, 0), assert_true(try_load(0x1000, 1, 0, &val));
	go(3, 0), assert_true(try_load(0x1000, 1, 0, &val));
	go(1, 0);
	assert_false(kept(0x1000));
	go(3, KEEP);
	assert_true(kept(0x1000));
	go(3, 0);
	assert_false(kept(0x1000));
	go(2, KEEP);
	assert_true(kept(0x1000));
	go(1, KEEP);
	go(2, KEEP);
	go(2, 0); /* what nobody has asked for yet dies as well */
	assert_false(kept(0x1000));
}

static void same_pcid(void **state)
{
	/* Bit 63 and the PCID that is current: nothing dies, whatever the root; and nobody is told. */
	spaces();
	go(1, 0);
	assert_true(try_load(0x1000, 1, 0, &val));
	listen();
	assert_true(try_cr3(root(2) | 1 | KEEP));
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	for (unsigned k = 0; k <= FLUSH_CONTEXT; k++)
		assert_int_equal(heard.count[k], 0);
	go(1, 0);
	assert_int_equal(heard.count[FLUSH_NONGLOBAL], 1);
	assert_int_equal(heard.count[FLUSH_SWITCH], 0);
}

static void globals_stay(void **state)
{
	/* Global entries are those of all PCIDs: they stay over a switch and are not saved with one. */
	spaces();
	map_in(1, 1, page_of(1, 1) | RIGHTS | G);
	go(1, 0);
	assert_true(try_load(0x1000, 1, 0, &val) && try_translate(0x1000, MMU_EXEC, &to));
	go(2, KEEP);
	assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	assert_non_null(mmu_exec_page(cpu, 0x1000));
	map_in(1, 1, page_of(1, 2) | RIGHTS | G);
	mmu_flush_page(cpu, 0x1000);
	go(1, KEEP);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x1000));
	assert_null(mmu_exec_page(cpu, 0x1000));
}

static void code_meanwhile(void **state)
{
	/* I2 of tlb.c: a page that came to hold translated code gets no write entry back; reading it stays fast. */
	spaces();
	go(1, 0);
	assert_true(try_store(0x1000, 1, 1, 0) && try_store(0x2000, 1, 1, 0));
	go(2, KEEP);
	mem_code_map(mem)[page_of(1, 1) >> 12] = 1;
	mmu_protect_code(cpu, page_of(1, 1));
	go(1, KEEP);
	assert_true(kept(0x1000));
	assert_false(cached(VIEW_SUP_AC, TLB_WRITE, 0x1000));
	assert_true(cached(VIEW_SUP_AC, TLB_WRITE, 0x2000));
}

static void near_entries(void **state)
{
	/* Near entries are copies: none outlives a switch, in either direction. */
	spaces();
	go(1, 0);
	assert_true(try_load(0x1000, 1, 0, &val));
	for (unsigned turn = 1; turn < 3; turn++) {
		cpu->mmu->near[VIEW_SUP_AC][TLB_READ][3] = *(struct mmu_tlbe *)&cpu->mmu->tlb[VIEW_SUP_AC][TLB_READ][1];
		cpu->mmu->near_live[VIEW_SUP_AC][TLB_READ] = true;
		go(1 + turn % 2, KEEP);
		assert_true(cpu->mmu->near[VIEW_SUP_AC][TLB_READ][3].tag == NEAR_NONE);
	}
}

static void large_kept(void **state)
{
	/* A large page's entries that came back die by INVLPG of any of its addresses. */
	spaces();
	poke(root(1) + 0x2000 + 8, 0x400000 | RIGHTS | PS, 8);
	go(1, 0);
	assert_true(try_load(0x200000, 1, 0, &val) && try_load(0x2ff000, 1, 0, &val));
	go(2, KEEP);
	mmu_flush_page(cpu, 0x200000); /* not this PCID's */
	go(1, KEEP);
	assert_true(kept(0x2ff000));
	mmu_flush_page(cpu, 0x3fffff);
	assert_false(cached(VIEW_SUP_AC, TLB_READ, 0x200000) || cached(VIEW_SUP_AC, TLB_READ, 0x2ff000));
	assert_false(kept(0x200000)); /* which nobody had asked for */
	go(2, KEEP);
	go(1, KEEP);
	assert_true(kept(0x200000));
	assert_false(kept(0x2ff000));
}

static void page_flushed(void **state)
{
	/* INVLPG between the return of a PCID and the first use of its entries: of that page, and of no other. */
	spaces();
	go(1, 0);
	assert_true(try_store(0x1000, 1, 1, 0) && try_store(0x2000, 1, 1, 0));
	go(2, KEEP);
	mmu_flush_page(cpu, 0x2000); /* another PCID's */
	go(1, KEEP);
	map_in(1, 1, page_of(1, 5) | RIGHTS);
	mmu_flush_page(cpu, 0x1fff);
	assert_true(kept_write(0x2000, 2));
	assert_false(kept_write(0x1000, 0x77));
	assert_int_equal(peek(page_of(1, 5), 1), 0x77);
}

static void tables_of_walks(void **state)
{
	/* A page table cached for walks is its PCID's: another space gets its own, a flush of the PCID drops it. */
	spaces();
	go(1, 0);
	assert_true(try_load(0x1000, 1, 0, &val));
	go(2, KEEP);
	assert_true(try_translate(0x2000, 0, &to));
	assert_int_equal(to, page_of(2, 2));
	poke(root(1) + 0x2000, pt(3) | P | W | U, 8);
	go(1, 0);
	assert_true(try_translate(0x2000, 0, &to));
	assert_int_equal(to, page_of(3, 2));
	go(2, KEEP);
	assert_true(try_translate(0x2000, 0, &to));
	assert_int_equal(to, page_of(2, 2));
}

static void table_after_invlpg(void **state)
{
	/* INVLPG drops the PCID's cached page tables (SDM vol 3 4.10.4.1), and they are not back with the PCID either. */
	spaces();
	for (unsigned turn = 0; turn < 2; turn++) {
		go(1 + turn, 0);
		assert_true(try_load(0x1000, 1, 0, &val));
		poke(root(1 + turn) + 0x2000, pt(3) | P | W | U, 8);
		mmu_flush_page(cpu, 0x1000);
		if (turn) {
			go(4, KEEP);
			go(2, KEEP);
		}
		assert_true(try_translate(0x2000, 0, &to));
		assert_int_equal(to, page_of(3, 2));
	}
}

static void device_page(void **state)
{
	/* Where a page of device registers is, is known by PCID too; INVLPG of a global one is about all PCIDs. */
	spaces();
	for (unsigned space = 1; space < 3; space++)
		map_in(space, 7, DEVICE | RIGHTS | G);
	map_in(1, 6, DEVICE | RIGHTS), map_in(2, 6, (DEVICE + 4096) | RIGHTS);
	go(1, 0), assert_true(try_load(0x7000, 8, 0, &val));
	assert_true(val == 0x1111111111111111 && try_load(0x6000, 8, 0, &val));
	assert_true(val == 0x1111111111111111);
	go(2, 0), assert_true(try_load(0x7000, 8, 0, &val) && try_load(0x6000, 8, 0, &val));
	assert_true(val == 0x1111111111111111ull * 4097);
	go(1, KEEP), assert_true(try_load(0x6000, 8, 0, &val));
	assert_true(val == 0x1111111111111111);
	go(2, KEEP);
	map_in(1, 7, (DEVICE + 4096) | RIGHTS | G);
	mmu_flush_page(cpu, 0x7000);
	go(1, KEEP);
	assert_true(try_load(0x7000, 8, 0, &val));
	assert_true(val == 0x1111111111111111ull * 4097);
}

static void invpcid_types(void **state)
{
	/* SDM vol 2 INVPCID: what each type takes of a PCID that is not current, and what it leaves of the others. */
	static const bool dies[4][3] = { /* of PCID 1, named; of PCID 2; of PCID 3, current */
		{ true, false, false }, { true, false, false }, { true, true, true }, { true, true, true } };

	spaces();
	for (unsigned type = 0; type < 4; type++) {
		for (unsigned space = 1; space < 4; space++) {
			go(space, 0);
			assert_true(try_load(0x1000, 1, 0, &val));
		}
		listen();
		assert_true(try_invpcid(type, 1, 0x1000));
		assert_true(cached(VIEW_SUP_AC, TLB_READ, 0x1000) == !dies[type][2]);
		assert_int_equal(heard.count[FLUSH_CONTEXT], type < 2 ? 1 : type == 3 ? 2 : 0);
		for (unsigned space = 1; space < 3; space++) {
			go(space, KEEP);
			assert_true(kept(0x1000) == !dies[type][space - 1]);
		}
	}
}

static void full_flush(void **state)
{
	/* What changes the meaning of all entries drops all contexts: CR4.PGE, memory map, CR0.WP. */
	spaces();
	go(1, 0);
	assert_true(try_load(0x1000, 1, 0, &val) && try_translate(0x2000, MMU_EXEC, &to));
	go(2, 0);
	mmu_flush_all(cpu);
	go(1, KEEP);
	assert_null(mmu_exec_page(cpu, 0x2000));
	assert_false(kept(0x1000));
	go(2, KEEP);
	go(1, KEEP);
	mmu_flush_all(cpu); /* before anybody has asked */
	assert_false(kept(0x1000));
}

static void pcide_off(void **state)
{
	/* With CR4.PCIDE cleared what is current is PCID 0 again, and its context is not the one of the old PCID. */
	spaces();
	go(1, 0);
	cpu->s.cr4 &= ~(uint64_t)CR4_PCIDE;
	mmu_flush_all(cpu); /* as MOV CR4 does */
	assert_true(try_load(0x1000, 1, 0, &val));
	assert_true(try_cr3(root(2))); /* bit 63 has no meaning */
	assert_false(kept(0x1000));
	cpu->s.cr4 |= CR4_PCIDE;
	mmu_flush_all(cpu);
	assert_true(try_load(0x1000, 1, 0, &val));
	go(1, KEEP);
	assert_false(kept(0x1000));
	assert_true(try_cr3(root(2) | KEEP));
	assert_true(kept(0x1000));
}

static void many(void **state)
{
	/* More PCIDs than contexts: the one left longest ago gives way, and the engine hears of it before the switch. */
	spaces();
	mmu_flush_all(cpu);
	for (unsigned space = 1; space <= MMU_CTX; space++) {
		uint32_t was = cpu->mmu->ctx;

		listen();
		go(space, KEEP);
		assert_int_equal(heard.count[FLUSH_CONTEXT], space == MMU_CTX); /* PCID 0's */
		assert_int_equal(heard.count[FLUSH_SWITCH], 1);
		assert_int_equal(heard.last, cpu->mmu->ctx);
		assert_int_equal(heard.from, was);
		assert_true(try_load(0x1000, 1, 0, &val));
	}
	go(2, KEEP);
	assert_true(kept(0x1000));
	go(9, KEEP); /* takes the place of 1 */
	go(2, KEEP);
	assert_true(kept(0x1000));
	go(1, KEEP); /* takes that of 3 */
	assert_false(kept(0x1000));
	go(4, KEEP);
	assert_true(kept(0x1000));
	go(3, KEEP);
	assert_false(kept(0x1000));
}

static void load_all(bool as_user, uint64_t want)
{
	uint64_t before = walks();

	user(as_user);
	for (unsigned page = 0; page < 8 * 512; page++)
		assert_true(try_load(page * 4096ull, 1, 0, &val));
	user(false);
	assert_int_equal(walks() - before, want);
}

static void too_much(void **state)
{
	/* What does not fit is forgotten, not left in the TLB: 8192 user entries do but for one group of 32, no others. */
	spaces();
	for (unsigned page = 0; page < 512; page++)
		map_in(1, page, page_of(1, page % 16) | RIGHTS | U);
	for (unsigned region = 1; region < 8; region++)
		poke(root(1) + 0x2000 + 8 * region, pt(1) | P | W | U, 8);
	go(1, 0);
	load_all(true, 8 * 512);
	load_all(false, 8 * 512);
	for (unsigned turn = 0; turn < 3; turn++) {
		go(2, KEEP);
		for (unsigned k = 0; k < TLB_ALL / 64; k++)
			assert_true(!cpu->mmu->tlb_used[0].bits[k]);
		assert_int_equal(cpu->mmu->context[1].saved.used, SAVED_FRAMES - 1);
		go(1, KEEP);
		load_all(true, 0);
		load_all(false, 8 * 512);
	}
}

/* --- at random --- */

static uint32_t seed;

static uint32_t roll(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void check_entry(unsigned id, const struct mmu_tlbe *e)
{
	gpa_t gpa;

	assert_int_equal(e->tag >> 12 & (TLB_SIZE - 1), id % TLB_SIZE);
	assert_true(mmu_peek(cpu, e->tag, &gpa));
	assert_true(e->host == (uintptr_t)(mem_ram_base(mem) + gpa));
}

/* What is saved of the current space must be right as well, and stand in for nothing that is in the TLB. */
static void check_saved(void)
{
	const struct mmu_saved *s = &cpu->mmu->context[cpu->mmu->ctx].saved;
	unsigned used = 0;

	for (unsigned group = 0; group < ARRAY_LEN(s->frame); group++) {
		unsigned frame = s->frame[group], id = group * SAVED_GROUP;

		if (!frame)
			continue;
		used++;
		assert_false(s->free[frame / 64] >> frame % 64 & 1);
		assert_false((uint32_t)(cpu->mmu->tlb_used[0].bits[id / 64] >> id % 64));
		for (unsigned k = 0; k < SAVED_GROUP; k++)
			if (s->bits[frame] >> k & 1)
				check_entry(id + k, &s->e[frame][k]);
	}
	assert_int_equal(used, s->used);
}

/* Every valid entry must be what a walk now gives, and so must executable pages. */
static void check_all(void)
{
	gpa_t gpa;

	for (unsigned id = 0; id < TLB_ALL; id++) {
		const struct mmu_tlbe *e = &((const struct mmu_tlbe *)cpu->mmu->tlb)[id];
		bool used = (cpu->mmu->tlb_used[0].bits[id / 64] | cpu->mmu->tlb_used[1].bits[id / 64]) >> id % 64 & 1;

		assert_true(used == ((e->tag >> 12 & (TLB_SIZE - 1)) == id % TLB_SIZE));
		if (!used)
			continue;
		check_entry(id, e);
		assert_true(mmu_peek(cpu, e->tag, &gpa));
		assert_false(id / TLB_SIZE % 2 == TLB_WRITE && mem_code_map(mem)[gpa >> 12]);
	}
	check_saved();
	for (unsigned page = 0; page < 1024; page++) {
		const uint8_t *host = mmu_exec_page(cpu, page * 4096);

		assert_true(!host || (mmu_peek(cpu, page * 4096, &gpa) && host == mem_ram_base(mem) + gpa));
	}
}

/* The pages that random accesses go to lie in several groups. */
#define FAR 0xb000u

/* Change space's tables and make them known as the manual asks. may_keep: may it be loaded with bit 63? */
static void change(unsigned space, unsigned current, bool *may_keep)
{
	unsigned page = 1 + roll(15), region = roll(8) ? 0 : 1;
	gla_t at = region * MIB(2) + page * FAR;

	if (region)
		poke(root(space) + 0x2000 + 8, (1 + roll(3)) * MIB(2) | RIGHTS | PS, 8);
	else
		map_in(space, page * (FAR >> 12), page_of(roll(SPACES), page) | RIGHTS);
	if (space == current && roll(2))
		mmu_flush_page(cpu, at);
	else if (roll(2))
		assert_true(try_invpcid(0, space, at));
	else if (roll(2))
		assert_true(try_invpcid(1, space, 0));
	else if (space != current)
		*may_keep = false;
	else
		assert_true(try_cr3(root(space) | space));
}

static void random_spaces(void **state)
{
	/* Page tables of many spaces change at random, code appears, the CPU is told as the manual asks: no stale entry. */
	bool may_keep[SPACES];
	unsigned current = 0;

	spaces();
	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned page = 1; page < 16; page++)
			map_in(space, page * (FAR >> 12), page_of(space, page) | RIGHTS);
	memset(may_keep, true, sizeof(may_keep));
	seed = 4711;
	for (unsigned i = 0; i < 30000; i++) {
		unsigned space = roll(SPACES), page = roll(16);
		gla_t at = page * FAR + (roll(3) ? 0 : MIB(2));

		switch (roll(8)) {
		case 0:
			change(space, current, &may_keep[space]);
			break;
		case 1:
		case 2:
			current = roll(2) ? space : space % 4; /* some more often */
			go(current, may_keep[current] && roll(8) ? KEEP : 0);
			may_keep[current] = true;
			break;
		case 3:
			mem_code_map(mem)[page_of(space, page) >> 12] ^= 1;
			mmu_protect_code(cpu, page_of(space, page));
			break;
		case 4:
			(void)try_translate(at, MMU_EXEC, &to);
			break;
		default:
			(void)try_load(at, 4, 0, &val);
			if (at >= 0x1000 && at < MIB(2)) /* large pages lie over the tables */
				(void)try_store(at, 0, 4, 0);
		}
		if (roll(5000) == 0) {
			assert_true(try_invpcid(2 + roll(2), 0, 0));
			memset(may_keep, true, sizeof(may_keep));
		}
		if (i % 16 == 0)
			check_all();
	}
	assert_true(cpu->stats.count[STAT_TLB_KEPT] > 1000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(comes_back), T(views_kept), T(without_bit63), T(same_pcid), T(globals_stay), T(code_meanwhile),
		T(near_entries), T(large_kept), T(page_flushed), T(device_page), T(tables_of_walks),
		T(table_after_invlpg), T(invpcid_types), T(full_flush), T(pcide_off), T(many), T(too_much),
		T(random_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
