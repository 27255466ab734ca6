// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the page walk: 2-level, PAE and 4-level paging, permissions, error codes, A and D bits
 *
 * SDM vol 3 chapter 4. One loop serves the three formats, which differ in entry size, index width and
 * reserved bits. A and D bits are written only after the whole walk and the permission check succeeded,
 * by compare-and-exchange on guest RAM (a device or another CPU may change the entry); if one changed
 * meanwhile, the walk starts again, however often: who changes it has got on each time, and has to go on
 * changing it between two neighbouring instructions of ours to hold us up.
 *
 * Paging structures outside memory read as all ones, like any address nobody answers.
 */
#include "mmu/mmu_int.h"
#include "cpu/cpuid.h"

#define PTE_P (1u << 0)
#define PTE_W (1u << 1)
#define PTE_U (1u << 2)
#define PTE_A (1u << 5)
#define PTE_D (1u << 6)
#define PTE_PS (1u << 7)
#define PTE_G (1u << 8)
#define PTE_NX (1ull << 63)

/* What the walk needs to know of the mode. */
struct format {
	unsigned levels;   /* of tables to read */
	unsigned esize;    /* bytes an entry */
	unsigned bits;     /* of index a level */
	uint64_t addr;     /* address bits of an entry */
	uint64_t reserved; /* bits that must be 0 in every entry */
	uint64_t root;
};

struct entry {
	uint8_t *host;     /* NULL: cannot be updated */
	uint64_t val;
};

static uint64_t bits(unsigned hi, unsigned lo)
{
	return (hi >= 63 ? ~0ull : (1ull << (hi + 1)) - 1) & ~((1ull << lo) - 1);
}

static unsigned phys_bits(const struct cpu *cpu)
{
	return cpu->model ? cpu->model->phys_bits : 40;
}

static bool nxe(const struct cpu *cpu)
{
	return cpu->s.efer & EFER_NXE;
}

static void format_of(const struct cpu *cpu, gla_t gla, struct format *f)
{
	unsigned m = phys_bits(cpu);

	if (!mmu_pae(cpu)) {
		*f = (struct format){ .levels = 2, .esize = 4, .bits = 10, .addr = bits(31, 12),
				      .root = cpu->s.cr3 & bits(31, 12) };
		return;
	}
	f->esize = 8;
	f->bits = 9;
	f->addr = bits(m - 1, 12);
	f->reserved = nxe(cpu) ? 0 : PTE_NX;
	if (cpu_long_mode(cpu)) {
		f->levels = 4;
		f->reserved |= m < 52 ? bits(51, m) : 0;
		f->root = cpu->s.cr3 & f->addr;
	} else {
		f->levels = 2;
		f->reserved |= bits(62, m);
		f->root = cpu->s.pdpte[gla >> 30 & 3]; /* checked when loaded; P is bit 0 */
	}
}

/* May an entry of this level map a page when PS is set? Where not, PS is reserved (PAE) or ignored (CR4.PSE = 0). */
static bool large_allowed(const struct cpu *cpu, const struct format *f, unsigned level)
{
	if (f->esize == 4)
		return level == 2 && cpu->s.cr4 & CR4_PSE;
	return level == 2 || (level == 3 && cpu->model && cpu->model->page1g);
}

static uint64_t reserved_large(const struct cpu *cpu, const struct format *f, unsigned level)
{
	if (f->esize == 4) /* PSE-36: bits 20:13 are address bits 39:32 as far as MAXPHYADDR goes, SDM vol 3 table 4-4 */
		return bits(21, MIN(phys_bits(cpu), 40u) - 32 + 13);
	return level == 2 ? bits(20, 13) : bits(29, 13);
}

static gpa_t frame_large(const struct format *f, uint64_t val, unsigned shift)
{
	gpa_t frame = val & f->addr & ~((1ull << shift) - 1);

	return f->esize == 4 ? frame | (val >> 13 & 0xff) << 32 : frame;
}

static void entry_read(struct cpu *cpu, gpa_t gpa, unsigned esize, struct entry *e)
{
	struct mem_page page;

	gpa = mmu_a20(cpu, gpa);
	mem_lookup(cpu->mem, gpa, &page);
	e->host = page.write && page.is_ram ? page.write + (gpa & (PAGE - 1)) : NULL;
	e->val = page.read ? bytes_load(page.read + (gpa & (PAGE - 1)), esize) : ~0ull;
	if (esize == 4)
		e->val = (uint32_t)e->val;
}

static bool mark64(const struct entry *e, uint64_t mark)
{
	uint64_t old = e->val;

	return __atomic_compare_exchange_n((uint64_t *)e->host, &old, old | mark, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static bool mark32(const struct entry *e, uint32_t mark)
{
	uint32_t old = (uint32_t)e->val;

	return __atomic_compare_exchange_n((uint32_t *)e->host, &old, old | mark, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* Set bits in an entry unless they are set; false if the entry is no longer what was read. */
static bool entry_mark(struct cpu *cpu, const struct entry *e, unsigned esize, uint64_t mark)
{
	bool right, begun, done;

	if ((e->val & mark) == mark || !e->host)
		return true;
	right = mmu_write_right(cpu, &(struct mem_page){ .write = e->host, .is_ram = true });
	begun = !right && mmu_code_begin(cpu);
	done = esize == 8 ? mark64(e, mark) : mark32(e, (uint32_t)mark);
	if (!right && done)
		mmu_code_written(cpu, e->host, esize);
	if (begun)
		cpu->mmu->code_end(cpu);
	return done;
}

/* 0, or PF_P and PF_RSVD bits. Entries read go to e[level]. */
enum walk_end { WALK_OK, WALK_NOT_PRESENT, WALK_RESERVED };

static enum walk_end walk_tables(struct cpu *cpu, gla_t gla, const struct format *f, struct entry *e,
				 struct mmu_walk *w)
{
	uint64_t base = f->root;

	w->user = w->write = true;
	w->nx = false;
	if (f->levels == 2 && f->esize == 8) {
		if (!(base & PTE_P))
			return WALK_NOT_PRESENT;
		base &= f->addr;
	}
	for (unsigned level = f->levels;; level--) {
		unsigned shift = 12 + f->bits * (level - 1);
		uint64_t val, rsvd = f->reserved;
		bool large;

		entry_read(cpu, base + (gla >> shift & ((1u << f->bits) - 1)) * f->esize, f->esize, &e[level]);
		val = e[level].val;
		if (!(val & PTE_P))
			return WALK_NOT_PRESENT;
		large = level > 1 && val & PTE_PS && large_allowed(cpu, f, level);
		if (large)
			rsvd |= reserved_large(cpu, f, level);
		else if (level > 2)
			rsvd |= PTE_PS;
		if (val & rsvd)
			return WALK_RESERVED;
		w->user &= (val & PTE_U) != 0;
		w->write &= (val & PTE_W) != 0;
		w->nx |= (val & PTE_NX) != 0;
		if (large || level == 1) {
			w->shift = (uint8_t)shift;
			w->gpa = (large ? frame_large(f, val, shift) : val & f->addr) | (gla & ((1ull << shift) - 1));
			w->global = val & PTE_G && cpu->s.cr4 & CR4_PGE;
			w->dirty = val & PTE_D;
			return WALK_OK;
		}
		base = val & f->addr;
	}
}

/* SDM vol 3 4.6.1 */
static bool allowed(const struct cpu *cpu, const struct mmu_walk *w, unsigned kind, unsigned view)
{
	if (view == VIEW_USER && !w->user)
		return false;
	if (kind & MMU_EXEC) {
		if (w->nx && nxe(cpu))
			return false;
		return view == VIEW_USER || !(w->user && cpu->s.cr4 & CR4_SMEP);
	}
	if (view == VIEW_SUP && w->user && cpu->s.cr4 & CR4_SMAP)
		return false;
	if (kind & MMU_WRITE && !w->write)
		return view != VIEW_USER && !(cpu->s.cr0 & CR0_WP);
	return true;
}

static uint32_t error_code(const struct cpu *cpu, unsigned kind, unsigned view, uint32_t cause)
{
	uint32_t error = cause;

	if (kind & MMU_WRITE)
		error |= PF_W;
	if (view == VIEW_USER)
		error |= PF_U;
	if (kind & MMU_EXEC && ((mmu_pae(cpu) && nxe(cpu)) || cpu->s.cr4 & CR4_SMEP))
		error |= PF_I;
	return error;
}

static bool mark_used(struct cpu *cpu, const struct format *f, const struct entry *e, unsigned kind, struct mmu_walk *w)
{
	unsigned leaf = (w->shift - 12u) / f->bits + 1;

	for (unsigned level = f->levels; level > leaf; level--) {
		if (!entry_mark(cpu, &e[level], f->esize, PTE_A))
			return false;
	}
	if (!entry_mark(cpu, &e[leaf], f->esize, kind & MMU_WRITE ? PTE_A | PTE_D : PTE_A))
		return false;
	w->dirty |= (kind & MMU_WRITE) != 0;
	return true;
}

static void walk_flat(const struct cpu *cpu, gla_t gla, struct mmu_walk *w)
{
	w->gpa = mmu_a20(cpu, gla);
	w->shift = 12;
	w->user = w->write = w->global = w->dirty = true;
	w->nx = false;
}

static struct mmu_pde *pde_at(struct cpu *cpu, gla_t gla)
{
	return &cpu->mmu->pde[gla >> 21 & (MMU_PDE_SIZE - 1)];
}

/* The walk's last step alone, if its page table is known. False: whatever it is, the whole walk finds out. */
static bool walk_last(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, struct mmu_walk *w)
{
	const struct mmu_pde *c = pde_at(cpu, gla);
	struct entry e;

	if (c->gen != cpu->mmu->pde_gen || c->region != gla >> 21)
		return false;
	e.host = c->table + (gla >> 12 & 511) * c->esize;
	e.val = bytes_load(e.host, c->esize);
	if (!(e.val & PTE_P) || e.val & c->reserved)
		return false;
	w->user = c->user && e.val & PTE_U;
	w->write = c->write && e.val & PTE_W;
	w->nx = c->nx || e.val & PTE_NX;
	w->shift = 12;
	w->gpa = (e.val & bits(phys_bits(cpu) - 1, 12)) | (gla & (PAGE - 1));
	w->global = e.val & PTE_G && cpu->s.cr4 & CR4_PGE;
	if (!allowed(cpu, w, kind, view) || !entry_mark(cpu, &e, c->esize, kind & MMU_WRITE ? PTE_A | PTE_D : PTE_A))
		return false;
	w->dirty = e.val & PTE_D || kind & MMU_WRITE;
	return true;
}

/* Keep the page table that a walk ended in, or the half of it for the 2 MiB around gla. */
static void pde_keep(struct cpu *cpu, gla_t gla, const struct format *f, const struct entry *e)
{
	struct mmu_pde *c = pde_at(cpu, gla);

	if (!e[1].host)
		return;
	*c = (struct mmu_pde){ .region = gla >> 21, .table = e[1].host - (gla >> 12 & 511) * f->esize,
			       .reserved = f->reserved, .gen = cpu->mmu->pde_gen, .esize = (uint8_t)f->esize, .user = true,
			       .write = true };
	for (unsigned level = 2; level <= f->levels; level++) {
		c->user &= (e[level].val & PTE_U) != 0;
		c->write &= (e[level].val & PTE_W) != 0;
		c->nx |= (e[level].val & PTE_NX) != 0;
	}
}

unsigned mmu_walk_run(struct cpu *cpu, gla_t gla, unsigned max)
{
	const struct mmu_pde *c = pde_at(cpu, gla);
	unsigned first = gla >> 12 & 511, n = 1;

	if (!mmu_paging(cpu) || c->gen != cpu->mmu->pde_gen || c->region != gla >> 21)
		return 1;
	uint64_t entry = bytes_load(c->table + first * c->esize, c->esize);
	while (n < max && first + n < 512 && bytes_load(c->table + (first + n) * c->esize, c->esize) == entry + n * PAGE)
		n++;
	return n;
}

bool mmu_walk(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, struct mmu_walk *w, uint32_t *error)
{
	struct format f = { 0 };
	struct entry e[5];

	if (!mmu_paging(cpu)) {
		walk_flat(cpu, gla, w);
		return true;
	}
	if (walk_last(cpu, gla, kind, view, w)) {
		w->gpa = mmu_a20(cpu, w->gpa);
		return true;
	}
	format_of(cpu, gla, &f);
	do {
		switch (walk_tables(cpu, gla, &f, e, w)) {
		case WALK_NOT_PRESENT:
			*error = error_code(cpu, kind, view, 0);
			return false;
		case WALK_RESERVED:
			*error = error_code(cpu, kind, view, PF_P | PF_RSVD);
			return false;
		case WALK_OK:
			break;
		}
		if (!allowed(cpu, w, kind, view)) {
			*error = error_code(cpu, kind, view, PF_P);
			return false;
		}
	} while (!mark_used(cpu, &f, e, kind, w));
	if (w->shift == 12)
		pde_keep(cpu, gla, &f, e);
	w->gpa = mmu_a20(cpu, w->gpa);
	return true;
}

bool mmu_peek(struct cpu *cpu, gla_t gla, gpa_t *out)
{
	struct format f = { 0 };
	struct entry e[5];
	struct mmu_walk w;

	gla = mmu_wrap(cpu, gla);
	if (cpu_long_mode(cpu) && !cpu_canonical(gla))
		return false;
	if (!mmu_paging(cpu)) {
		*out = mmu_a20(cpu, gla);
		return true;
	}
	format_of(cpu, gla, &f);
	if (walk_tables(cpu, gla, &f, e, &w) != WALK_OK)
		return false;
	*out = mmu_a20(cpu, w.gpa);
	return true;
}
