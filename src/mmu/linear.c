// SPDX-License-Identifier: GPL-2.0-or-later
/* what: checked access to linear addresses: for helpers, and the slow path of translated code
 *
 *   address -> canonical check -> span of one or two pages (TLB, else walk and fill) -> copy
 *
 * All pages of an access are translated before anything is written, so a fault leaves memory untouched. A page without
 * a direct address (MMIO, ROM for writes, logged video RAM) goes through mem_read and mem_write, with the FPU parked
 * unless the device needs no such thing (mem/plain.c); a code page is written here, then the engine is told.
 *
 * Translated code that cannot be given a pointer gets the bounce buffer, and cpu->span remembers where its
 * contents belong until mmu_commit().
 */
#include "mmu/mmu_int.h"

#define PF_SS_KIND(kind) ((kind) & MMU_SS ? EXC_SS : EXC_GP)

static void check_canonical(struct cpu *cpu, gla_t gla, size_t len, unsigned kind)
{
	if (cpu_long_mode(cpu) && (!cpu_canonical(gla) || !cpu_canonical(gla + len - 1)))
		cpu_raise(cpu, PF_SS_KIND(kind), 0);
}

static void walk_raise(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, struct mmu_walk *w)
{
	uint32_t error = 0;

	cpu->stats.count[STAT_WALKS]++;
	if (!mmu_walk(cpu, gla, kind, view, w, &error))
		cpu_raise_pf(cpu, gla, error);
}

static struct mmu_io *io_at(struct cpu *cpu, gla_t gla)
{
	return &cpu->mmu->io[gla / PAGE % MMU_IO_SIZE];
}

static uint64_t io_tag(gla_t gla, unsigned kind, unsigned view)
{
	return (gla & PAGE_MASK) | view << 1 | (kind & MMU_WRITE);
}

/* Registers of devices have no TLB entries. What is kept is where their page is, not what: the map may change. */
static void io_keep(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, gpa_t gpa)
{
	*io_at(cpu, gla) = (struct mmu_io){ io_tag(gla, kind, view), gpa & PAGE_MASK, cpu->mmu->pde_gen };
}

static bool io_known(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, uint64_t *gpa)
{
	const struct mmu_io *io = io_at(cpu, gla);

	if (io->tag != io_tag(gla, kind, view) || io->gen != cpu->mmu->pde_gen)
		return false;
	*gpa = io->gpa | (gla & (PAGE - 1));
	return true;
}

/* Translate [gla, gla + len), which lies in one page, to part i of the span. Fills the TLB. */
static void part_get(struct cpu *cpu, struct cpu_span *sp, unsigned i, gla_t gla, uint32_t len, unsigned kind,
		     unsigned view)
{
	unsigned off = gla & (PAGE - 1);
	bool write = kind & MMU_WRITE;
	struct mmu_walk w;
	struct mem_page page;

	sp->part[i].len = len;
	sp->part[i].gpa = 0; /* not needed with a host address */
	sp->part[i].code = false;
	sp->part[i].host = mmu_tlb_find(cpu, view, write ? TLB_WRITE : TLB_READ, gla, len);
	if (sp->part[i].host || io_known(cpu, gla, kind, view, &sp->part[i].gpa))
		return;
	if (mmu_saved_refill(cpu, view, gla))
		sp->part[i].host = mmu_tlb_find(cpu, view, write ? TLB_WRITE : TLB_READ, gla, len);
	if (sp->part[i].host)
		return;
	walk_raise(cpu, gla, kind, view, &w);
	mem_lookup(cpu->mem, w.gpa, &page);
	if (!page.read && !page.write)
		io_keep(cpu, gla, kind, view, w.gpa);
	mmu_tlb_fill(cpu, gla, kind, view, &w, &page);
	sp->part[i].gpa = w.gpa;
	if (!write) {
		sp->part[i].host = page.read ? page.read + off : NULL;
	} else if (page.write && !page.logged) {
		sp->part[i].host = page.write + off;
		sp->part[i].code = !mmu_write_right(cpu, &page);
	}
}

/* gla is wrapped; len 1..4096. */
static void span_get(struct cpu *cpu, struct cpu_span *sp, gla_t gla, uint32_t len, unsigned kind)
{
	unsigned view = mmu_view(cpu, kind);
	uint32_t first = MIN(len, PAGE - (uint32_t)(gla & (PAGE - 1)));

	check_canonical(cpu, gla, len, kind);
	sp->n = first < len ? 2 : 1;
	part_get(cpu, sp, 0, gla, first, kind, view);
	if (first < len)
		part_get(cpu, sp, 1, mmu_wrap(cpu, gla + first), len - first, kind, view);
	if (mmu_watching(cpu))
		mmu_watch_hit(cpu, gla, len, kind & MMU_WRITE);
}

/* --- copying --- */

/* What has no host address: device registers, or memory that must not be written directly. */
static void device_read(struct cpu *cpu, gpa_t gpa, void *to, uint32_t len)
{
	uint16_t was = stats_enter(&cpu->stats, PHASE_DEVICE);
	uint64_t val;

	cpu->stats.count[STAT_MMIO]++;
	if (bytes_scalar(len) && mem_plain_read(cpu->mem, gpa, len, &val)) {
		bytes_store(to, val, len);
	} else {
		cpu_fpu_park(cpu);
		mem_read(cpu->mem, gpa, to, len);
	}
	stats_resume(&cpu->stats, was);
}

static void device_write(struct cpu *cpu, gpa_t gpa, const void *from, uint32_t len)
{
	uint16_t was = stats_enter(&cpu->stats, PHASE_DEVICE);

	cpu->stats.count[STAT_MMIO]++;
	if (!bytes_scalar(len) || !mem_plain_write(cpu->mem, gpa, bytes_load(from, len), len)) {
		cpu_fpu_park(cpu);
		mem_write(cpu->mem, gpa, from, len);
	}
	stats_resume(&cpu->stats, was);
}

static void span_read(struct cpu *cpu, const struct cpu_span *sp, void *buf)
{
	uint8_t *to = buf;

	for (unsigned i = 0; i < sp->n; i++) {
		if (sp->part[i].host)
			bytes_copy(to, sp->part[i].host, sp->part[i].len);
		else
			device_read(cpu, sp->part[i].gpa, to, sp->part[i].len);
		to += sp->part[i].len;
	}
}

/* What a read-modify-write reads: a span got for writing has addresses to write to, which for RAM are the same. */
static void span_write(struct cpu *cpu, const struct cpu_span *sp, const void *buf)
{
	const uint8_t *from = buf;
	bool code = sp->part[0].code || (sp->n > 1 && sp->part[1].code), begun = code && mmu_code_begin(cpu);

	for (unsigned i = 0; i < sp->n; i++) {
		uint8_t *host = sp->part[i].host;

		if (host)
			bytes_copy(host, from, sp->part[i].len);
		else
			device_write(cpu, sp->part[i].gpa, from, sp->part[i].len);
		if (host && code) /* also if it was marked since: beginning may take a while */
			mmu_code_written(cpu, host, sp->part[i].len);
		from += sp->part[i].len;
	}
	if (begun)
		cpu->mmu->code_end(cpu);
}

/* --- for helpers --- */

gpa_t mmu_translate_raise(struct cpu *cpu, gla_t gla, unsigned kind)
{
	unsigned view = kind & MMU_EXEC ? (cpu->s.cpl == 3 ? VIEW_USER : VIEW_SUP) : mmu_view(cpu, kind);
	struct mmu_walk w;

	gla = mmu_wrap(cpu, gla);
	if (kind & MMU_EXEC) {
		const struct mmu_exec *x = mmu_exec_find(cpu, gla, view);

		if (x)
			return x->gpa | (gla & (PAGE - 1));
	}
	check_canonical(cpu, gla, 1, kind);
	walk_raise(cpu, gla, kind, view, &w);
	if (kind & MMU_EXEC)
		mmu_exec_fill(cpu, gla, view, &w);
	return w.gpa;
}

uint64_t mmu_load_raise(struct cpu *cpu, gla_t gla, unsigned size, unsigned kind)
{
	struct cpu_span sp;
	const uint8_t *host;
	uint64_t val = 0;

	gla = mmu_wrap(cpu, gla);
	host = mmu_tlb_find(cpu, mmu_view(cpu, kind), TLB_READ, gla, size);
	if (host)
		return bytes_load(host, size);
	span_get(cpu, &sp, gla, size, kind & ~(unsigned)MMU_WRITE);
	span_read(cpu, &sp, &val);
	return val;
}

void mmu_store_raise(struct cpu *cpu, gla_t gla, uint64_t val, unsigned size, unsigned kind)
{
	struct cpu_span sp;
	uint8_t *host;

	gla = mmu_wrap(cpu, gla);
	host = mmu_tlb_find(cpu, mmu_view(cpu, kind), TLB_WRITE, gla, size);
	if (host) {
		bytes_store(host, val, size);
		return;
	}
	span_get(cpu, &sp, gla, size, kind | MMU_WRITE);
	span_write(cpu, &sp, &val);
}

void mmu_read_raise(struct cpu *cpu, gla_t gla, void *buf, size_t len, unsigned kind)
{
	struct cpu_span sp;

	if (!len)
		return;
	must(len <= CPU_BOUNCE);
	span_get(cpu, &sp, mmu_wrap(cpu, gla), (uint32_t)len, kind & ~(unsigned)MMU_WRITE);
	span_read(cpu, &sp, buf);
}

void mmu_write_raise(struct cpu *cpu, gla_t gla, const void *buf, size_t len, unsigned kind)
{
	struct cpu_span sp;

	if (!len)
		return;
	must(len <= CPU_BOUNCE);
	span_get(cpu, &sp, mmu_wrap(cpu, gla), (uint32_t)len, kind | MMU_WRITE);
	span_write(cpu, &sp, buf);
}

void mmu_probe_raise(struct cpu *cpu, gla_t gla, size_t len, unsigned kind)
{
	uint64_t pending = cpu->s.pending_dbg; /* nothing is accessed */

	while (len) {
		struct cpu_span sp;
		uint32_t n = (uint32_t)MIN(len, (size_t)CPU_BOUNCE);

		span_get(cpu, &sp, mmu_wrap(cpu, gla), n, kind);
		gla += n;
		len -= n;
	}
	cpu->s.pending_dbg = pending;
}

uint8_t *mmu_host_raise(struct cpu *cpu, gla_t gla, size_t len, unsigned kind)
{
	unsigned view = mmu_view(cpu, kind);
	struct cpu_span sp;
	uint32_t room;

	gla = mmu_wrap(cpu, gla);
	room = PAGE - (uint32_t)(gla & (PAGE - 1));
	check_canonical(cpu, gla, 1, kind);
	part_get(cpu, &sp, 0, gla, (uint32_t)MIN(len, (size_t)room), kind, view);
	if (len > room || sp.part[0].code || (mmu_watching(cpu) && mmu_watch_page(cpu, gla)))
		return NULL;
	return sp.part[0].host;
}

/* Without an address the rest of the byte may be as old as the look at it. */
void mmu_change_raise(struct cpu *cpu, gla_t gla, uint8_t set, uint8_t keep, unsigned kind)
{
	uint8_t *host = mmu_host_raise(cpu, gla, 1, kind | MMU_WRITE);
	uint8_t old;

	if (!host) {
		mmu_store_raise(cpu, gla, (mmu_load_raise(cpu, gla, 1, kind) & keep) | set, 1, kind | MMU_WRITE);
		return;
	}
	old = __atomic_load_n(host, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(host, &old, (uint8_t)((old & keep) | set), false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		continue;
}

uint8_t *mmu_tlb_host(struct cpu *cpu, enum cpu_rw rw, gla_t gla, size_t len)
{
	return mmu_tlb_find(cpu, cpu->view, rw, gla, len);
}

/* --- for translated code --- */

/* Bring what memory holds now to the bounce buffer. A span for writing holds write addresses: RAM that can be written
 * directly reads the same; everything else is read by mem. */
static void bounce_fill(struct cpu *cpu)
{
	span_read(cpu, &cpu->span, cpu->bounce);
}

void *mmu_slow_raise(struct cpu *cpu, gla_t gla, uint32_t size, unsigned kind, bool load)
{
	struct cpu_span *sp = &cpu->span;

	must(size && size <= CPU_BOUNCE);
	gla = mmu_wrap(cpu, gla);
	cpu->bounce_len = 0;
	span_get(cpu, sp, gla, size, kind);
	if (sp->n == 1 && sp->part[0].host && !sp->part[0].code)
		return sp->part[0].host;
	cpu->stats.count[STAT_BOUNCES]++;
	if (load || !(kind & MMU_WRITE))
		bounce_fill(cpu);
	cpu->bounce_gla = gla;
	cpu->bounce_len = size;
	return cpu->bounce;
}

void mmu_commit(struct cpu *cpu)
{
	if (!cpu->bounce_len)
		return;
	cpu->bounce_len = 0;
	span_write(cpu, &cpu->span, cpu->bounce);
}
