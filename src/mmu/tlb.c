// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the software TLB: fill, and forgetting by page, by address space and altogether
 *
 * Direct-mapped, one array for each privilege view and direction, so that translated code compares a tag and is done.
 * What needs a slow path is never entered: MMIO, code pages and pages not yet dirty for writes, watched pages.
 *
 * Guests switch address spaces often, so two bitmaps say which entries are filled, with non-global and with global
 * pages; a flush visits only those. An INVLPG has to drop every entry of a large page; a table of the 2 MiB regions
 * in which large pages were entered says when that matters. It is emptied by mmu_flush_all() only, so it speaks for
 * the entries that saved.c has taken out and brings back, too.
 *
 * I1  The bit of an entry in one of the two maps is set iff the entry is valid.
 * I2  A write entry exists only for RAM or plain memory that is read and written at the same place, holds no
 *     translated code and whose D bit is set.
 * I3  A write entry, in the TLB or in a near entry, has its page's bit in tlb_written.
 * I4  Every region that a large page with a valid entry touches is in tlb_large, unless that is full; 1 GiB pages in
 *     tlb_huge.
 */
#include "mmu/mmu_int.h"

#define REGION_PAGES (1u << (FLUSH_REGION_SHIFT - 12))
_Static_assert(TLB_SIZE >= REGION_PAGES && MMU_EXEC_SIZE >= REGION_PAGES, "each of its pages has a slot");

static void near_kill(struct cpu *cpu, unsigned view, unsigned rw)
{
	cpu->mmu->near_live[view][rw] = false;
	for (unsigned k = 0; k < NEAR_SIZE; k++)
		cpu->mmu->near[view][rw][k] = (struct mmu_tlbe){ .tag = NEAR_NONE, .host = NEAR_NONE };
}

void mmu_near_clear(struct cpu *cpu)
{
	for (unsigned view = 0; view < VIEW_COUNT; view++)
		for (unsigned rw = 0; rw < TLB_RW_COUNT; rw++)
			if (cpu->mmu->near_live[view][rw])
				near_kill(cpu, view, rw);
}

/* --- large pages --- */

/* Where region stands in the table, or the free place where it would. There always is one: see large_note(). */
static unsigned large_at(const struct cpu *cpu, uint64_t region)
{
	unsigned i = (uint32_t)region * 0x9e3779b1u >> 22;

	while (cpu->mmu->tlb_large[i] && cpu->mmu->tlb_large[i] != (region | MMU_LARGE_SET))
		i = (i + 1) % MMU_LARGE;
	return i;
}

static bool large_full(const struct cpu *cpu)
{
	return cpu->mmu->tlb_large_n >= MMU_LARGE * 3 / 4;
}

/* A full table means: any region. */
static bool large_maybe(const struct cpu *cpu, gla_t gla)
{
	return cpu->mmu->tlb_large_n && (large_full(cpu) || cpu->mmu->tlb_large[large_at(cpu, gla >> 21)]);
}

static uint64_t huge_bit(gla_t gla)
{
	return 1ull << ((uint32_t)(gla >> 30) * 0x9e3779b1u >> 26);
}

void mmu_large_note(struct cpu *cpu, gla_t gla, unsigned shift)
{
	struct mmu *m = cpu->mmu;
	uint64_t first = gla >> shift << (shift - 21), count = 1ull << (shift - 21); /* a 4 MiB page is two regions */

	if (shift == 30) {
		m->tlb_huge |= huge_bit(gla);
		return;
	}
	for (uint64_t region = first; region < first + count && !large_full(cpu); region++) {
		unsigned i = large_at(cpu, region);

		m->tlb_large_n += !m->tlb_large[i];
		m->tlb_large[i] = region | MMU_LARGE_SET;
	}
}

static void large_clear(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	if (m->tlb_large_n)
		bytes_fill(m->tlb_large, 0, sizeof(m->tlb_large));
	m->tlb_large_n = 0;
	m->tlb_huge = 0;
}

/* --- fill --- */

bool mmu_write_right(struct cpu *cpu, const struct mem_page *page)
{
	uint64_t off = (uint64_t)(page->write - mem_ram_base(cpu->mem));

	if (!page->is_ram)
		return true;
	mmu_written_note(cpu, (uintptr_t)page->write);
	if (mem_shared(cpu->mem))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !mem_code_map(cpu->mem)[off / PAGE];
}

bool mmu_code_begin(struct cpu *cpu)
{
	return cpu->mmu->code_begin && cpu->mmu->code_begin(cpu);
}

void mmu_code_written(struct cpu *cpu, const uint8_t *host, uint64_t len)
{
	uint64_t off = (uint64_t)(host - mem_ram_base(cpu->mem));

	if (cpu->mmu->code_written && off < mem_ram_size(cpu->mem) && mem_code_map(cpu->mem)[off / PAGE])
		cpu->mmu->code_written(cpu, off, len);
}

bool mmu_may_write(const struct cpu *cpu, uint64_t ram_off)
{
	struct mmu *m = cpu->mmu;
	uint64_t page = ram_off / PAGE;
	uint32_t at = mmu_written_at((uintptr_t)(mem_ram_base(cpu->mem) + (ram_off & PAGE_MASK)));

	return __atomic_load_n(&m->tlb_written[at / 8], __ATOMIC_RELAXED) >> at % 8 & 1 ||
	       (m->window_written && __atomic_load_n(&m->window_written[page / 8], __ATOMIC_RELAXED) >> page % 8 & 1);
}

void mmu_tlb_fill(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, const struct mmu_walk *w,
		  const struct mem_page *page)
{
	bool write = kind & MMU_WRITE;

	if (mmu_watching(cpu) && mmu_watch_page(cpu, gla))
		return;
	/* A walk for reading also tells whether writing needs anything more; a walk for writing allows reading too. */
	if (!write)
		write = w->dirty && (w->write || (view != VIEW_USER && !(cpu->s.cr0 & CR0_WP)));
	write = write && page->write && !page->logged && mmu_write_right(cpu, page);
	if (!page->read && !write)
		return;
	if (w->shift > 12)
		mmu_large_note(cpu, gla, w->shift);
	if (page->read)
		mmu_entry_put(cpu, view, TLB_READ, gla, page->read, w->global);
	if (write)
		mmu_entry_put(cpu, view, TLB_WRITE, gla, page->write, w->global);
}

/* --- execution --- */

static struct mmu_exec *exec_at(struct cpu *cpu, gla_t gla)
{
	return &cpu->mmu->exec[gla >> 12 & (MMU_EXEC_SIZE - 1)];
}

const struct mmu_exec *mmu_exec_find(const struct cpu *cpu, gla_t gla, unsigned view)
{
	const struct mmu_exec *x = &cpu->mmu->exec[gla >> 12 & (MMU_EXEC_SIZE - 1)];

	if (x->tag != ((gla & PAGE_MASK) | (view == VIEW_USER)) || x->gen != cpu->mmu->exec_gen[x->global])
		return NULL;
	return x;
}

void mmu_exec_fill(struct cpu *cpu, gla_t gla, unsigned view, const struct mmu_walk *w)
{
	struct mmu_exec *x = exec_at(cpu, gla);
	struct mem_page page;

	if (w->shift > 12)
		mmu_large_note(cpu, gla, w->shift);
	x->tag = (gla & PAGE_MASK) | (view == VIEW_USER);
	x->gpa = w->gpa & PAGE_MASK;
	mem_lookup(cpu->mem, x->gpa, &page);
	x->host = page.read;
	x->global = w->global;
	x->gen = cpu->mmu->exec_gen[w->global];
}

const uint8_t *mmu_exec_page(const struct cpu *cpu, gla_t gla)
{
	const struct mmu_exec *x = mmu_exec_find(cpu, gla, cpu->s.cpl == 3 ? VIEW_USER : VIEW_SUP);

	return x ? x->host : NULL;
}

bool mmu_exec_global(const struct cpu *cpu, gla_t gla)
{
	const struct mmu_exec *x = mmu_exec_find(cpu, gla, cpu->s.cpl == 3 ? VIEW_USER : VIEW_SUP);

	return x && x->global;
}

/* --- flush --- */

typedef bool match_fn(struct cpu *cpu, unsigned id, uint64_t arg);

/* Kill the entries of u for which match says so (NULL: all). */
static void used_flush(struct cpu *cpu, struct mmu_tlb_used *u, match_fn *match, uint64_t arg)
{
	mmu_near_clear(cpu);
	for (unsigned i = 0; i < ARRAY_LEN(u->sum); i++) {
		for (uint64_t sum = u->sum[i]; sum; sum &= sum - 1) {
			unsigned word = i * 64 + (unsigned)__builtin_ctzll(sum);

			for (uint64_t left = u->bits[word]; left; left &= left - 1) {
				unsigned id = word * 64 + (unsigned)__builtin_ctzll(left);

				if (match && !match(cpu, id, arg))
					continue;
				mmu_entry_kill(cpu, id);
				mmu_used_clear(u, id);
			}
			if (!u->bits[word])
				u->sum[i] &= ~(1ull << word % 64);
		}
	}
}

static void flush_nonglobal(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	mmu_saved_clear(cpu);
	used_flush(cpu, &m->tlb_used[0], NULL, 0);
	m->exec_gen[0] = mmu_gen_new(cpu);
	m->pde_gen = mmu_gen_new(cpu);
}

void mmu_flush_nonglobal(struct cpu *cpu)
{
	cpu->stats.count[STAT_TLB_NONGLOBAL]++;
	flush_nonglobal(cpu);
	mmu_window_clear(cpu, cpu->mmu->ctx);
	mmu_told(cpu, FLUSH_NONGLOBAL, 0);
}

void mmu_flush_all(struct cpu *cpu)
{
	cpu->stats.count[STAT_TLB_ALL]++;
	flush_nonglobal(cpu);
	used_flush(cpu, &cpu->mmu->tlb_used[1], NULL, 0);
	cpu->mmu->exec_gen[1] = mmu_gen_new(cpu);
	large_clear(cpu);
	mmu_window_clear_all(cpu);
	mmu_context_reset(cpu);
	mmu_told(cpu, FLUSH_ALL, 0);
}

static bool same_gib(struct cpu *cpu, unsigned id, uint64_t gla)
{
	return mmu_entry_at(cpu, id)->tag >> 30 == gla >> 30;
}

/* Reading code as data may stay fast. */
static bool same_written(struct cpu *cpu, unsigned id, uint64_t at)
{
	return id / TLB_SIZE % TLB_RW_COUNT == TLB_WRITE && mmu_written_at(mmu_entry_at(cpu, id)->host) == at;
}

static void flush_one(struct cpu *cpu, gla_t gla)
{
	mmu_near_clear(cpu);
	mmu_saved_forget(cpu, gla);
	for (unsigned view = 0; view < VIEW_COUNT; view++) {
		for (unsigned rw = 0; rw < TLB_RW_COUNT; rw++) {
			unsigned id = mmu_entry_id(view, rw, gla);

			if (mmu_entry_at(cpu, id)->tag != (gla & PAGE_MASK))
				continue;
			mmu_entry_kill(cpu, id);
			mmu_used_clear(&cpu->mmu->tlb_used[0], id);
			mmu_used_clear(&cpu->mmu->tlb_used[1], id);
		}
	}
}

static void flush_gib(struct cpu *cpu, gla_t gla)
{
	struct mmu *m = cpu->mmu;

	mmu_saved_clear(cpu);
	used_flush(cpu, &m->tlb_used[0], same_gib, gla);
	used_flush(cpu, &m->tlb_used[1], same_gib, gla);
	m->exec_gen[0] = mmu_gen_new(cpu);
	m->exec_gen[1] = mmu_gen_new(cpu);
	mmu_window_flush(cpu, gla, 30);
	mmu_told(cpu, FLUSH_ALL, 0);
}

/* Kill the entries among the 64 from id on that are for pages of gla's region. */
static void flush_row(struct cpu *cpu, unsigned id, gla_t gla)
{
	struct mmu *m = cpu->mmu;
	uint64_t left = m->tlb_used[0].bits[id / 64] | m->tlb_used[1].bits[id / 64];

	for (; left; left &= left - 1) {
		unsigned at = id + (unsigned)__builtin_ctzll(left);

		if (mmu_entry_at(cpu, at)->tag >> FLUSH_REGION_SHIFT != gla >> FLUSH_REGION_SHIFT)
			continue;
		mmu_entry_kill(cpu, at);
		mmu_used_clear(&m->tlb_used[0], at);
		mmu_used_clear(&m->tlb_used[1], at);
	}
}

/* The slots of a region's pages lie in a row. */
static void flush_region(struct cpu *cpu, gla_t gla)
{
	gla_t first = gla & ~((1ull << FLUSH_REGION_SHIFT) - 1);

	mmu_near_clear(cpu);
	mmu_saved_clear(cpu);
	for (unsigned view = 0; view < VIEW_COUNT; view++)
		for (unsigned rw = 0; rw < TLB_RW_COUNT; rw++)
			for (unsigned k = 0; k < REGION_PAGES; k += 64)
				flush_row(cpu, mmu_entry_id(view, rw, first) + k, gla);
	for (unsigned k = 0; k < REGION_PAGES; k++) {
		struct mmu_exec *x = exec_at(cpu, first + k * PAGE);

		if (x->tag >> FLUSH_REGION_SHIFT == gla >> FLUSH_REGION_SHIFT)
			x->gen = 0;
	}
	mmu_window_flush(cpu, gla, FLUSH_REGION_SHIFT);
	mmu_told(cpu, FLUSH_REGION, gla);
}

void mmu_flush_page(struct cpu *cpu, gla_t gla)
{
	struct mmu *m = cpu->mmu;
	struct mmu_exec *x;

	cpu->stats.count[STAT_TLB_PAGE]++;
	gla = mmu_wrap(cpu, gla);
	m->pde_gen = mmu_gen_new(cpu);
	for (unsigned k = 0; k < MMU_IO_SIZE; k++)
		m->io[k].gen = 0; /* other PCIDs' too: the page may be global */
	if (m->tlb_huge & huge_bit(gla)) {
		flush_gib(cpu, gla);
		return;
	}
	if (large_maybe(cpu, gla)) {
		flush_region(cpu, gla);
		return;
	}
	flush_one(cpu, gla);
	mmu_window_flush(cpu, gla, 12);
	x = exec_at(cpu, gla);
	if ((x->tag & PAGE_MASK) == (gla & PAGE_MASK))
		x->gen = 0;
	mmu_told(cpu, FLUSH_PAGE, gla);
}

void mmu_protect_code(struct cpu *cpu, uint64_t ram_off)
{
	struct mmu *m = cpu->mmu;
	uint32_t at = mmu_written_at((uintptr_t)(mem_ram_base(cpu->mem) + (ram_off & PAGE_MASK)));
	uint8_t *byte = &m->tlb_written[at / 8], bit = (uint8_t)(1u << at % 8);

	if (*byte & bit) {
		used_flush(cpu, &m->tlb_used[0], same_written, at);
		used_flush(cpu, &m->tlb_used[1], same_written, at);
		*byte &= (uint8_t)~bit;
	}
	mmu_window_protect(cpu, ram_off);
}

void mmu_init(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	for (unsigned id = 0; id < TLB_ALL; id++)
		mmu_entry_kill(cpu, id);
	for (unsigned view = 0; view < VIEW_COUNT; view++)
		for (unsigned rw = 0; rw < TLB_RW_COUNT; rw++)
			near_kill(cpu, view, rw);
	bytes_fill(m->tlb_used, 0, sizeof(m->tlb_used));
	bytes_fill(m->tlb_written, 0, sizeof(m->tlb_written));
	bytes_fill(m->tlb_large, 0, sizeof(m->tlb_large));
	bytes_fill(m->exec, 0, sizeof(m->exec));
	m->tlb_large_n = 0;
	m->tlb_huge = 0;
	bytes_fill(m->pde, 0, sizeof(m->pde));
	mmu_context_init(cpu);
	m->exec_gen[0] = mmu_gen_new(cpu); /* entries hold 0: dead */
	m->exec_gen[1] = mmu_gen_new(cpu);
	m->pde_gen = mmu_gen_new(cpu);
}
