// SPDX-License-Identifier: GPL-2.0-or-later
/* what: windows: pages of address spaces that live long, mapped where translated code reaches them unchecked
 *
 * DESIGN.md section 3, memory ladder, rungs 2 and 3. For each 1 TiB slot of user addresses that is in use, an
 * address space (context.c) has as much reserved host address space, nothing of it accessible. cpu->bias[] takes a
 * linear address there:
 *
 *     host address = gla + bias[gla >> 40]      32-bit code: gla + the host's GS base
 *
 * They are for user code, and for the code of boot loaders and kernels' decompressors: supervisor code at low
 * addresses. A page comes into it when translated code first faults on it, by mmap() of guest RAM: what the TLB would
 * hold, the host's page tables hold. That costs 5 to 40 microseconds a page, which is measured, so a space gets windows
 * once timer interrupts have found it computing several times since its last flush, and loses them when its pages have
 * cost more than a part of the time since then; the next time it has to wait longer. Loaders get theirs when they have
 * missed the TLB often, and lose them when they keep touching what is no RAM at a low address: then they were a kernel.
 *
 * I1  An access at an address whose bits 40 to 63 chose the bias, or less than WINDOW_GUARD before or behind it,
 *     touches nothing but a window of the current context and its guards. A slot without a window has a bias that makes
 *     no canonical address, nor does one that is no user's; most of those lie in the hole behind the table, and the
 *     look-up itself faults. Should displacements wrap into canonical addresses after all, those lie in window_none,
 *     where nothing is ever mapped.
 * I2  A page is writable in a window only if the TLB might have a write entry for it (tlb.c I2).
 * I3  The pages have the rights of the window's view, which is the CPU's while code for windows runs.
 * I4  A context without bit k in its filter has no page whose address hashes to k; without bit k in large[], no part of
 *     a large page in a region that hashes to k.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cpu/cpuid.h"
#include "mmu/mmu_int.h"

#define SLOT_SHIFT MMU_SLOT_SHIFT
#define SLOT_SIZE (1ull << SLOT_SHIFT)
#define USER_END (1ull << 47)
/* An address with the bias of a slot without a window: bit 62, the slot in bits 48 to 56, an address in window_none. */
#define UNBORN (1ull << 62)
#define UNBORN_SLOT 48
/* Each page may cut two mappings; a process may have 65530 (vm.max_map_count). A process has 128 TiB of addresses. All
 * vCPUs together have so many. */
#define PAGES_MAX 20000u
#define SLOTS_MAX 100u
#define PIECE_PAGES 16u
/* Timer interrupts in user mode before an address space gets windows, for each so many TSC ticks of a signal. */
#define TICKS_ENOUGH 3
#define SIGNAL_CHEAP 6000u
/* The part of the time since windows were turned on that may go into pages; by how many parts of a second more than
 * that time a space may begin: working sets are mapped in a burst. Who needs more loses 18 ms, loaders 4. */
#define COST_SHARE 8u
#define USER_CREDIT 8u
#define LOADER_CREDIT 32u
#define LOOK_EVERY 16u
#define NS_PER_S 1000000000ull
/* Eight times as many interrupts for each time that windows did not pay, or there were not enough of them. */
#define SPENT_MAX 3
/* TLB misses of a loader; doubled by each strike: windows were no use. That they did not pay counts three. What has no
 * RAM behind it it may touch REFUSED_MAX times. */
#define MISSES_ENOUGH 64u
#define STRIKES_MAX 16
#define STRIKES_SPENT 3
#define REFUSED_MAX 64u

static uint64_t unborn_bias(const struct cpu *cpu, unsigned slot)
{
	return UNBORN + ((uint64_t)slot << UNBORN_SLOT) + (uint64_t)cpu->mmu->window_none - ((uint64_t)slot << SLOT_SHIFT);
}

static bool unborn(const struct cpu *cpu, unsigned slot)
{
	return cpu->mmu->bias[slot] == unborn_bias(cpu, slot);
}

/* A slot's window, or NULL. */
static uint8_t *reserve_slot(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint8_t *p = mmap(NULL, SLOT_SIZE + 2 * WINDOW_GUARD, PROT_NONE, flags, -1, 0);

	return p == MAP_FAILED ? NULL : p + WINDOW_GUARD;
}

static void release_slot(uint8_t *window)
{
	if (window)
		munmap(window - WINDOW_GUARD, SLOT_SIZE + 2 * WINDOW_GUARD);
}

static void *reserve(void *at, size_t size)
{
	return mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* No slot is the one last met through a register. */
static void forget_near(struct cpu *cpu)
{
	for (unsigned k = 0; k < NEAR_SIZE; k++)
		cpu->mmu->wnear[k].slot = UINT64_MAX;
}

/* Host GS base: where the window of slot 0 is, or would be, for 32-bit code. By a system call, as not every host lets
 * WRGSBASE run; who runs 64-bit code alone never makes it. */
static void set_gs(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;
	uint64_t base = unborn(cpu, 0) ? (uint64_t)m->window_none : m->bias[0];

	if (cpu_code64(cpu) || base == m->window_gs || m->window_use == WINDOW_NEVER)
		return;
	must(syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0);
	m->window_gs = base;
}

static void set_biases(struct cpu *cpu, const struct mmu_window *w, bool in)
{
	forget_near(cpu);
	for (unsigned k = 0; k < w->n; k++)
		cpu->mmu->bias[w->slot[k]] = in ? (uint64_t)w->host[k] - ((uint64_t)w->slot[k] << SLOT_SHIFT)
					   : unborn_bias(cpu, w->slot[k]);
	set_gs(cpu);
}

/* One bit for each page of RAM. */
static size_t written_size(const struct cpu *cpu)
{
	return mem_ram_size(cpu->mem) / PAGE / 8 + 1;
}

static uint64_t *filter_word(struct mmu_window *w, gla_t gla, uint64_t *bit)
{
	uint32_t h = (uint32_t)(gla >> 12) * 0x9e3779b1u >> 17;

	*bit = 1ull << (h & 63);
	return &w->filter[h >> 6];
}

static uint64_t *large_word(struct mmu_window *w, gla_t gla, uint64_t *bit)
{
	uint32_t h = (uint32_t)(gla >> 22) * 0x9e3779b1u >> 22;

	*bit = 1ull << (h & 63);
	return &w->large[h >> 6];
}

static void note_large(struct mmu_window *w, gla_t gla, unsigned shift)
{
	uint64_t bit, *word = large_word(w, gla, &bit);

	if (shift > 22)
		bytes_fill(w->large, 0xff, sizeof(w->large));
	else if (shift > 12)
		*word |= bit;
}

/* Take all pages out of the windows. Where all slots are taken, a later address space is to have other ones. */
static void clear(struct cpu *cpu, struct mmu_window *w)
{
	struct mmu *m = cpu->mmu;

	if (w->on)
		cpu->mode_dirty = true;
	w->on = false;
	if (w->pages) {
		for (unsigned k = 0; k < w->n; k++)
			must(reserve(w->host[k], SLOT_SIZE) != MAP_FAILED);
		bytes_fill(w->filter, 0, sizeof(w->filter));
		bytes_fill(w->large, 0, sizeof(w->large));
		m->window_pages -= w->pages;
		w->pages = 0;
	}
	if (w->n < WINDOW_SLOTS)
		return;
	if (w == &m->window[m->ctx])
		set_biases(cpu, w, false);
	w->n = 0;
}

/* Where windows are used from the start: not for a while. */
static void rest(struct cpu *cpu, struct mmu_window *w, bool yes)
{
	cpu->mode_dirty |= w->rest != yes;
	w->rest = yes;
}

static uint64_t root(const struct cpu *cpu)
{
	return cpu->s.cr3 & PAGE_MASK;
}

static void strike(struct cpu *cpu, unsigned n)
{
	struct mmu *m = cpu->mmu;

	m->loader_misses = m->loader_refused = 0;
	m->loader_strikes = (uint8_t)MIN(m->loader_strikes + n, STRIKES_MAX);
}

static void give_up(struct cpu *cpu, struct mmu_window *w)
{
	if (w->spent < SPENT_MAX)
		w->spent++;
	w->ticks = 0;
	if (w->view != VIEW_USER)
		strike(cpu, STRIKES_SPENT);
}

/* Nanoseconds of the host's CPU that this thread has had: on a busy host the clock on the wall says little. */
static uint64_t cpu_time(void)
{
	struct timespec ts = { 0 };

	syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Did the pages mapped since windows were turned on cost little of the time since, and of the credit? */
static bool pays(const struct cpu *cpu, const struct mmu_window *w)
{
	uint64_t cost_us = w->cost / (cpu->model->tsc_hz / 1000000 + 1);
	uint64_t credit = NS_PER_S / (w->view == VIEW_USER ? USER_CREDIT : LOADER_CREDIT);

	return !w->cost || cost_us * 1000 * COST_SHARE < cpu_time() - w->since + credit;
}

void mmu_window_clear(struct cpu *cpu, unsigned ctx)
{
	struct mmu_window *w = &cpu->mmu->window[ctx];
	bool same = ctx == cpu->mmu->ctx && w->root == root(cpu), keep = w->on && same && pays(cpu, w);

	if (!same) {
		w->root = 0;
		w->ticks = w->spent = 0;
		rest(cpu, w, false);
	} else if (w->on && !keep) {
		give_up(cpu, w);
	}
	clear(cpu, w);
	w->on = keep;
}

void mmu_window_clear_all(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;
	bool any = m->window_pages;

	for (unsigned k = 0; k < MMU_CTX; k++)
		clear(cpu, &m->window[k]);
	m->window_global = false;
	if (any)
		bytes_fill(m->window_written, 0, written_size(cpu));
}

void mmu_window_switch(struct cpu *cpu, unsigned to)
{
	struct mmu *m = cpu->mmu;
	const struct mmu_window *old = &m->window[m->ctx], *new = &m->window[to];

	if (old->on != new->on || old->view != new->view)
		cpu->mode_dirty = true;
	set_biases(cpu, old, false);
	set_biases(cpu, new, true);
}

/* A hole may cut a mapping in two, so it counts as a page. */
static void cut(struct cpu *cpu, gla_t gla, uint64_t size)
{
	struct mmu *m = cpu->mmu;
	struct mmu_window *w = &m->window[m->ctx];
	void *at = (void *)((gla & ~(size - 1)) + m->bias[gla >> SLOT_SHIFT]);

	if (m->window_pages >= m->window_pages_max || reserve(at, size) == MAP_FAILED) {
		mmu_window_clear_all(cpu);
		return;
	}
	w->pages++;
	m->window_pages++;
}

void mmu_window_flush(struct cpu *cpu, gla_t gla, unsigned shift)
{
	struct mmu *m = cpu->mmu;
	struct mmu_window *w = &m->window[m->ctx];
	uint64_t bit, *word;

	for (unsigned k = 0; m->window_global && k < MMU_CTX; k++)
		if (k != m->ctx)
			clear(cpu, &m->window[k]);
	if (!w->pages || gla >= USER_END || unborn(cpu, gla >> SLOT_SHIFT))
		return;
	word = large_word(w, gla, &bit);
	if (!(*word & bit)) /* what was a large page once is none here */
		shift = 12;
	word = filter_word(w, gla, &bit);
	if (shift > 12 || *word & bit)
		cut(cpu, gla, 1ull << shift);
}

void mmu_window_protect(struct cpu *cpu, uint64_t ram_off)
{
	uint64_t page = ram_off / PAGE;

	if (cpu->mmu->window_written && cpu->mmu->window_written[page / 8] >> page % 8 & 1)
		mmu_window_clear_all(cpu);
}

void mmu_window_enter(struct cpu *cpu)
{
	struct mmu_window *w = &cpu->mmu->window[cpu->mmu->ctx];

	set_gs(cpu);
	if (w->view == cpu->view)
		return;
	clear(cpu, w);
	w->view = cpu->view;
}

static void turn_on(struct cpu *cpu)
{
	struct mmu_window *w = &cpu->mmu->window[cpu->mmu->ctx];

	mmu_window_enter(cpu);
	w->on = true;
	w->since = cpu_time();
	w->cost = 0;
	cpu->mode_dirty = true;
}

/* Is there room for another page, and does it pay? If not, the TLB does for a while. */
static bool may_map(struct cpu *cpu, struct mmu_window *w)
{
	struct mmu *m = cpu->mmu;

	if (m->window_pages >= m->window_pages_max) {
		mmu_window_clear_all(cpu);
		rest(cpu, w, m->window_use == WINDOW_ALWAYS);
	} else if (m->window_use == WINDOW_ALWAYS || w->pages % LOOK_EVERY || pays(cpu, w)) {
		return true;
	}
	cpu->stats.count[STAT_WINDOW_ENDS]++;
	give_up(cpu, w);
	clear(cpu, w);
	if (m->gave_way)
		m->gave_way(cpu); /* to the run loop, which looks at the mode */
	return false;
}

/* Who lives longer can afford dearer pages. */
static unsigned enough(const struct cpu *cpu)
{
	return TICKS_ENOUGH * (unsigned)MIN(MAX(cpu->mmu->signal_ticks / SIGNAL_CHEAP, 1u), 10u);
}

void mmu_window_tick(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;
	struct mmu_window *w = &m->window[m->ctx];

	if (cpu->s.rip > USER_END) /* a kernel that runs at CPL 3: its code is for the TLB (xlate/windowed.c) */
		return;
	w->root = root(cpu);
	if (w->ticks < UINT16_MAX)
		w->ticks++;
	if (w->ticks <= enough(cpu) << 3 * w->spent)
		return;
	rest(cpu, w, false);
	if (m->window_use == WINDOW_LATER && !mmu_window_on(cpu))
		turn_on(cpu);
}

void mmu_window_missed(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	if (m->window_use == WINDOW_NEVER || mmu_window_on(cpu))
		return;
	if (++m->loader_misses < MISSES_ENOUGH << m->loader_strikes)
		return;
	m->loader_misses = 0;
	turn_on(cpu);
}

void mmu_window_refused(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	if (cpu->view == VIEW_USER || ++m->loader_refused < REFUSED_MAX)
		return;
	cpu->stats.count[STAT_WINDOW_ENDS]++;
	clear(cpu, &m->window[m->ctx]);
	strike(cpu, 1);
}

/* Reserved, or taken from a context that is not the current one. NULL: there is none. */
static uint8_t *new_slot(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;
	uint8_t *p = m->window_slots < m->window_slots_max ? reserve_slot() : NULL;

	m->window_slots += p != NULL;
	for (unsigned c = 0; !p && c < MMU_CTX; c++) {
		struct mmu_window *w = &m->window[c];
		unsigned n = 0;

		while (n < WINDOW_SLOTS && w->host[n])
			n++;
		if (c == m->ctx || !n)
			continue;
		clear(cpu, w);
		w->n = 0;
		p = w->host[n - 1];
		w->host[n - 1] = NULL;
	}
	return p;
}

/* Host address space for a slot of the current context. */
static bool bear(struct cpu *cpu, unsigned slot)
{
	struct mmu_window *w = &cpu->mmu->window[cpu->mmu->ctx];
	uint8_t *host;

	if (w->n == WINDOW_SLOTS)
		return false;
	host = w->host[w->n] ? w->host[w->n] : new_slot(cpu);
	if (!host)
		return false;
	w->slot[w->n] = (uint8_t)slot;
	w->host[w->n++] = host;
	set_biases(cpu, w, true);
	return true;
}

/* Where RAM behind the page at gla is, how much of it may be mapped in one piece, and how. */
struct piece {
	gla_t gla;
	uint64_t ram_off, size;
	bool write, global;
};

static bool any_code(struct cpu *cpu, uint64_t ram_off, uint64_t size)
{
	const uint8_t *code = mem_code_map(cpu->mem) + ram_off / PAGE;
	uint8_t any = 0;

	for (uint64_t k = 0; k < size / PAGE; k++)
		any |= code[k];
	return any;
}

/* All of a large page, if it is plain RAM. */
static bool whole(struct cpu *cpu, const struct mmu_walk *w, struct piece *p)
{
	uint64_t size = 1ull << w->shift, first = w->gpa & ~(size - 1), at = p->ram_off - (w->gpa & PAGE_MASK) + first;
	struct mem_page page;

	if (w->shift <= 12 || w->shift > 22 || !mem_a20(cpu->mem))
		return false;
	for (uint64_t k = 0; k < size; k += PAGE) {
		mem_lookup(cpu->mem, first + k, &page);
		if (!page.is_ram || page.write != page.read || page.logged || page.read != mem_ram_base(cpu->mem) + at + k)
			return false;
	}
	if (p->write && any_code(cpu, at, size)) /* a first look; take_right() has the last */
		return false;
	p->gla &= ~(size - 1);
	p->ram_off = at;
	p->size = size;
	return true;
}

/* The pages behind that are mapped alike and lie behind in RAM as well: the next accesses are often there. */
static void extend(struct cpu *cpu, gpa_t gpa, struct piece *p)
{
	unsigned n = mem_a20(cpu->mem) ? mmu_walk_run(cpu, p->gla, PIECE_PAGES) : 1;
	struct mem_page page;

	for (unsigned k = 1; k < n; k++) {
		mem_lookup(cpu->mem, (gpa & PAGE_MASK) + k * PAGE, &page);
		if (!page.is_ram || page.read != mem_ram_base(cpu->mem) + p->ram_off + p->size)
			return;
		if (p->write && (page.write != page.read || page.logged || any_code(cpu, p->ram_off + p->size, PAGE)))
			return;
		p->size += PAGE;
	}
}

/* As mmu_write_right, of a piece. */
static bool take_right(struct cpu *cpu, uint64_t ram_off, uint64_t size)
{
	for (uint64_t page = ram_off / PAGE; page < (ram_off + size) / PAGE; page++)
		cpu->mmu->window_written[page / 8] |= (uint8_t)(1u << page % 8);
	if (mem_shared(cpu->mem))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !any_code(cpu, ram_off, size);
}

static enum mmu_window_fault map_piece(struct cpu *cpu, const struct piece *p)
{
	struct mmu *m = cpu->mmu;
	struct mmu_window *w = &m->window[m->ctx];
	void *at = (void *)(p->gla + m->bias[p->gla >> SLOT_SHIFT]);
	uint64_t bit;

	if (!may_map(cpu, w))
		return WINDOW_GUEST;
	if (p->write && !take_right(cpu, p->ram_off, p->size))
		return WINDOW_NOT;
	if (mmap(at, p->size, PROT_READ | (p->write ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED | MAP_POPULATE,
		 mem_ram_fd(cpu->mem), (off_t)p->ram_off) == MAP_FAILED) {
		/* What was there may be gone all the same: nothing else may come to lie in the hole. */
		mmu_window_clear_all(cpu);
		must(reserve(at, p->size) != MAP_FAILED);
		return WINDOW_NOT;
	}
	m->window_global |= p->global;
	w->pages++;
	m->window_pages++;
	for (uint64_t k = 0; k < p->size; k += PAGE)
		*filter_word(w, p->gla + k, &bit) |= bit;
	return WINDOW_FILLED;
}

/* May the page behind a walk be written to without anybody being told? */
static bool writable(struct cpu *cpu, const struct mmu_walk *w, const struct mem_page *page)
{
	bool allowed = w->write || (cpu->view != VIEW_USER && !(cpu->s.cr0 & CR0_WP));

	return allowed && page->write == page->read && !page->logged && mmu_write_right(cpu, page);
}

static enum mmu_window_fault look_and_map(struct cpu *cpu, gla_t gla, bool write)
{
	struct mmu *m = cpu->mmu;
	struct mmu_walk w;
	struct mem_page page;
	struct piece p = { .gla = gla & PAGE_MASK, .size = PAGE };
	uint32_t error;

	if (gla >= USER_END || (!cpu_long_mode(cpu) && gla >> 32) || mmu_watching(cpu) ||
	    m->window[m->ctx].view != cpu->view)
		return WINDOW_NOT;
	if (!mmu_walk(cpu, gla, write ? MMU_WRITE : MMU_READ, cpu->view, &w, &error)) {
		m->window_wanted = gla & PAGE_MASK;
		m->window_wanted_ctx = m->ctx;
		return WINDOW_GUEST;
	}
	mem_lookup(cpu->mem, w.gpa, &page);
	if (!page.is_ram || !page.read)
		return WINDOW_NOT;
	p.ram_off = (uint64_t)(page.read - mem_ram_base(cpu->mem));
	p.write = (write || w.dirty) && writable(cpu, &w, &page);
	if (write && !p.write)
		return WINDOW_NOT;
	p.global = w.global;
	if (!mmu_paging(cpu))
		w.shift = 21;
	else if (w.shift > 12)
		mmu_large_note(cpu, gla, w.shift);
	note_large(&m->window[m->ctx], gla, w.shift);
	if (!whole(cpu, &w, &p) && w.shift == 12)
		extend(cpu, w.gpa, &p);
	cpu->stats.count[STAT_WINDOW_PAGES]++;
	return map_piece(cpu, &p);
}

/* What it takes is counted; a millisecond is more than any page takes: then another process had the host's CPU. */
static enum mmu_window_fault fill(struct cpu *cpu, gla_t gla, bool write)
{
	uint64_t from = __builtin_ia32_rdtsc();
	enum mmu_window_fault how = look_and_map(cpu, gla, write);

	if (how == WINDOW_FILLED)
		cpu->mmu->window[cpu->mmu->ctx].cost += MIN(__builtin_ia32_rdtsc() - from, cpu->model->tsc_hz / 1000);
	return how;
}

void mmu_window_wanted(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;
	gla_t gla = m->window_wanted;
	bool same = m->window_wanted_ctx == m->ctx && mmu_window_on(cpu) && cpu->view == VIEW_USER;

	m->window_wanted = 0;
	if (!same || m->window_pages >= m->window_pages_max || unborn(cpu, gla >> SLOT_SHIFT))
		return;
	/* Not as a write, which might set D of a page that nobody writes to: the guest has set it if the page was for that.
	 * A may be set early (SDM vol 3 4.8). What this finds not mapped is not wanted again. */
	fill(cpu, gla, false);
	m->window_wanted = 0;
}

/* The first access to a slot, unless #GP has another cause. */
static enum mmu_window_fault fault_unborn(struct cpu *cpu, uint64_t *bias)
{
	uint64_t slot = (*bias - UNBORN - (uint64_t)cpu->mmu->window_none + (1ull << UNBORN_SLOT) - 1) >> UNBORN_SLOT;

	if (slot >= MMU_SLOTS || *bias != unborn_bias(cpu, (unsigned)slot))
		return WINDOW_GUEST;
	/* the block may have looked it up before */
	if (unborn(cpu, (unsigned)slot) && !bear(cpu, (unsigned)slot))
		return WINDOW_NOT;
	*bias = cpu->mmu->bias[slot];
	return WINDOW_FILLED;
}

/* In a slot's window or its guards? */
static bool near_window(uint64_t addr, const uint8_t *window)
{
	return addr - (uint64_t)(window - WINDOW_GUARD) < SLOT_SIZE + 2 * WINDOW_GUARD;
}

/* I1, as seen by a fault. Addresses of the upper half are what is no user's address. */
static bool astray(const struct cpu *cpu, const struct mmu_window *w, uint64_t addr)
{
	for (unsigned k = 0; k < w->n; k++)
		if (near_window(addr, w->host[k]))
			return false;
	return addr < USER_END && !near_window(addr, cpu->mmu->window_none);
}

enum mmu_window_fault mmu_window_fault(struct cpu *cpu, bool canonical, uint64_t addr, bool write, uint64_t *bias)
{
	struct mmu *m = cpu->mmu;
	struct mmu_window *w = &m->window[m->ctx];

	w->cost += m->signal_ticks;
	if (!canonical)
		return fault_unborn(cpu, bias);
	if (addr - (uint64_t)(m->bias + MMU_BIASES) < MMU_BIAS_HOLE)
		return WINDOW_GUEST;
	if (!cpu_code64(cpu) && unborn(cpu, 0) && addr - (uint64_t)m->window_none < SLOT_SIZE)
		return bear(cpu, 0) ? WINDOW_FILLED : WINDOW_NOT;
	for (unsigned k = 0; k < w->n; k++)
		if (addr - (uint64_t)w->host[k] < SLOT_SIZE)
			return fill(cpu, addr - (uint64_t)w->host[k] + ((uint64_t)w->slot[k] << SLOT_SHIFT), write);
	cpu->stats.count[STAT_ASTRAY] += astray(cpu, w, addr);
	return WINDOW_NOT;
}

void mmu_window_init(struct cpu *cpu, enum mmu_window_use use)
{
	struct mmu *m = cpu->mmu;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *written = mmap(NULL, written_size(cpu), PROT_READ | PROT_WRITE, flags, -1, 0);

	mmu_window_share(cpu, 1);
	m->window_none = reserve_slot();
	m->window_written = written == MAP_FAILED ? NULL : written;
	m->window_use = m->window_none && m->window_written ? (uint8_t)use : WINDOW_NEVER;
	forget_near(cpu);
	for (unsigned k = 0; k < ARRAY_LEN(m->bias); k++)
		m->bias[k] = unborn_bias(cpu, k);
	mmu_window_thread(cpu);
}

void mmu_window_share(struct cpu *cpu, unsigned ncpus)
{
	struct mmu *m = cpu->mmu;

	m->window_pages_max = PAGES_MAX / ncpus;
	m->window_slots_max = SLOTS_MAX / ncpus - 1;
	if (!m->window_slots_max)
		m->window_use = WINDOW_NEVER;
}

void mmu_window_thread(struct cpu *cpu)
{
	cpu->mmu->window_gs = 0;
	for (unsigned k = 0; k < MMU_CTX; k++)
		cpu->mmu->window[k].since = 0; /* of the other thread's time */
	cpu->mode_dirty = true;
}

void mmu_window_fini(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	for (unsigned c = 0; c < MMU_CTX; c++)
		for (unsigned k = 0; k < WINDOW_SLOTS && m->window[c].host[k]; k++)
			release_slot(m->window[c].host[k]);
	release_slot(m->window_none);
	if (m->window_written)
		munmap(m->window_written, written_size(cpu));
}
