// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the block for the CPU's state: fetch of guest code, and the look-up among blocks that exist
 *
 * Runs with the guest's FPU state in the registers (-mgeneral-regs-only); only what translates parks it.
 * A block is known by the host page its bytes lie on, so a change of the guest's memory map needs no flush.
 *
 * Disks write to guest RAM while it is translated. So guest bytes are copied, as far as the block goes, and then used:
 *
 *     mark the page, fence --> copy a piece, decode it --> copy a piece ... --> publish --> run --> vcpu_drain_code
 *                          device: write, fence, look at the mark, ask for the drain -------------------^
 *
 * I1  A page is marked as code (xlate_cache_mark), and the vCPU's own right to write to it gone, before the first of
 *     its bytes is copied for a block that stays. With a fence on either side (mem/access.c), what a device writes is
 *     either in the copy, or the device sees the mark and asks for a drain.
 * I2  All that decodes, remembers or emits works on the copy. Each byte is copied once; only if the first instruction
 *     crosses into another page, all of it is copied anew when both pages are marked, and decoded anew.
 * I3  Drains, and writes of other vCPUs, have the cache's lock (share.c S1), so they never come between mark and
 *     publish: whoever wrote meanwhile finds the block among its page's, and it dies before it is found or entered
 *     a second time. To be entered once, before the drain, is what the guest sees if the write comes later.
 * I4  Blocks are made of what mem tells about when it is written, or cannot be: RAM and ROM. Code elsewhere (device
 *     memory, video RAM) is fetched and translated for each single step.
 * I5  A block copied from another one (move.c) reads no guest bytes: that one is alive, so they are as they were (I3).
 */
#include "xlate/xlate_int.h"

static gla_t linear_rip(const struct cpu *cpu, uint64_t rip)
{
	gla_t gla = rip + (cpu_code64(cpu) ? 0 : cpu->s.seg[SEG_CS].base);
	return cpu_code64(cpu) ? gla : (uint32_t)gla;
}

/* I4: RAM, or what no write reaches. */
static bool may_keep(const struct mem_page *pg)
{
	return pg->read && (pg->is_ram || !(pg->write || pg->logged));
}

void xlate_find_fetch(struct xlate *x, struct fetch *f)
{
	struct cpu *cpu = x->cpu;
	struct mem_page pg;
	gla_t gla = linear_rip(cpu, cpu->s.rip);
	if (!(xcpu(cpu)->key & KEY_FLAT_CS) && cpu->s.rip > cpu->s.seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	gpa_t gpa = mmu_translate_raise(cpu, gla, MMU_EXEC);
	f->page_off = gpa & 4095;
	f->host[1] = NULL;
	f->crosses = false;
	f->ram[0] = f->ram[1] = UINT64_MAX;
	f->len = 4096 - f->page_off;
	f->have = 0;
	f->kept = false;
	mem_lookup(x->mem, gpa, &pg);
	f->cacheable = may_keep(&pg);
	f->host[0] = pg.read;
	if (pg.is_ram)
		f->ram[0] = mem_ram_offset(x->mem, gpa & ~4095ull);
	if (pg.read)
		return;
	cpu_fpu_park(cpu);
	f->len = f->have = MIN(f->len, 15u);
	mem_read(x->mem, gpa, f->copy, f->len);
}

void xlate_find_keep(struct xlate *x, struct fetch *f)
{
	f->kept = true;
	xlate_cache_mark(x, f->ram[0]);
}

/* The empty asm: who uses the copy does not look at its source again. */
static void copy_code(struct fetch *f, unsigned at, const uint8_t *from, unsigned n)
{
	memcpy(f->copy + at, from, n);
	__asm__ volatile("" : : : "memory");
}

void xlate_find_more(struct fetch *f, unsigned off)
{
	while (f->have < MIN(off + FETCH_AHEAD, f->len)) {
		unsigned n = MIN(FETCH_PIECE, f->len - f->have);
		copy_code(f, f->have, f->host[0] + f->page_off + f->have, n);
		f->have += n;
	}
}

/* The first instruction needs the next page as well: join up to 15 bytes. The walk may have set bits in the first page,
 * so that is copied after it. */
void xlate_find_second(struct xlate *x, struct fetch *f)
{
	struct cpu *cpu = x->cpu;
	struct mem_page pg;
	gla_t gla = linear_rip(cpu, cpu->s.rip);
	gla_t next = (gla & ~4095ull) + 4096;
	if (!cpu_code64(cpu))
		next = (uint32_t)next;
	if (!(xcpu(cpu)->key & KEY_FLAT_CS) && cpu->s.rip + (next - gla) > cpu->s.seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	gpa_t gpa = mmu_translate_raise(cpu, next, MMU_EXEC);
	mem_lookup(x->mem, gpa, &pg);
	f->host[1] = pg.read;
	f->crosses = true;
	f->cacheable &= may_keep(&pg);
	unsigned have = f->len;
	must(have < 15 && f->have == have);
	if (pg.is_ram)
		f->ram[1] = mem_ram_offset(x->mem, gpa);
	if (f->kept)
		xlate_cache_mark(x, f->ram[1]);
	if (f->host[0])
		copy_code(f, 0, f->host[0] + f->page_off, have);
	if (pg.read)
		copy_code(f, have, pg.read, 15);
	else
		mem_read(x->mem, gpa, f->copy + have, 15);
	f->len = f->have = have + 15;
}

static bool matches(const struct xlate *x, const struct block *b, const struct fetch *f)
{
	const struct cpu *cpu = x->cpu;
	if (b->rip != cpu->s.rip || b->ks != xcpu(cpu)->ks || b->host[0] != f->host[0] || b->page_off != f->page_off)
		return false;
	if (xcpu(cpu)->key & KEY_FLAT_CS)
		return true;
	return b->cs_base == cpu->s.seg[SEG_CS].base && b->cs_limit == cpu->s.seg[SEG_CS].limit;
}

/* A crossing block also depends on where its second page is. */
static bool second_page_matches(struct xlate *x, const struct block *b)
{
	struct mem_page pg;
	if (!b->host[1])
		return true;
	gla_t next = (linear_rip(x->cpu, b->rip) & ~4095ull) + 4096;
	mem_lookup(x->mem, mmu_translate_raise(x->cpu, cpu_code64(x->cpu) ? next : (uint32_t)next, MMU_EXEC), &pg);
	return pg.read == b->host[1];
}

/* The CPU's state has just been seen to lead to b. */
static struct block *set_live(struct xlate *x, struct block *b)
{
	xlate_live_set(x, b->live[0]);
	xlate_live_set(x, b->live[1]);
	return b;
}

struct block *xlate_find_known(struct xlate *x)
{
	const struct cpu *cpu = x->cpu;
	const uint8_t *page = mmu_exec_page(cpu, linear_rip(cpu, cpu->s.rip));
	if (!page)
		return NULL;
	for (struct block *b = x->c->hash[xlate_cache_hash(cpu->s.rip, xcpu(cpu)->ks)]; b; b = b->next_hash) {
		if (b->rip != cpu->s.rip || b->ks != xcpu(cpu)->ks || b->host[0] != page)
			continue;
		if (b->host[1] && b->host[1] != mmu_exec_page(cpu, linear_rip(cpu, x->c->vpages[b->live[1]].gla)))
			continue;
		return set_live(x, b);
	}
	return NULL;
}

struct block *xlate_find_block(struct xlate *x, enum gate want)
{
	struct fetch f;
	xlate_find_fetch(x, &f);
	if (!f.cacheable) {
		x->stepping = true;
		return xlate_block_step(x);
	}
	for (struct block *b = x->c->hash[xlate_cache_hash(x->cpu->s.rip, xcpu(x->cpu)->ks)]; b; b = b->next_hash)
		if (matches(x, b, &f) && second_page_matches(x, b))
			return set_live(x, b);
	return set_live(x, xlate_block_translate(x, &f, want));
}
