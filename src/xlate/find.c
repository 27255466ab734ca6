// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the block for the CPU's state: fetch of guest code, and the look-up among blocks that exist
 *
 * Runs with the guest's FPU state in the registers (-mgeneral-regs-only); only what translates parks it.
 * A block is known by the host page its bytes lie on, so a change of the guest's memory map needs no flush.
 */
#include "xlate/xlate_int.h"

static gla_t linear_rip(const struct cpu *cpu, uint64_t rip)
{
	gla_t gla = rip + (cpu_code64(cpu) ? 0 : cpu->s.seg[SEG_CS].base);
	return cpu_code64(cpu) ? gla : (uint32_t)gla;
}

void xlate_find_fetch(struct xlate *x, struct fetch *f)
{
	struct cpu *cpu = x->cpu;
	struct mem_page pg;
	gla_t gla = linear_rip(cpu, cpu->s.rip);
	if (!(cpu->key & KEY_FLAT_CS) && cpu->s.rip > cpu->s.seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	gpa_t gpa = mmu_translate_raise(cpu, gla, MMU_EXEC);
	f->page_off = gpa & 4095;
	f->host[1] = NULL;
	f->crosses = false;
	f->ram[0] = f->ram[1] = UINT64_MAX;
	f->len = 4096 - f->page_off;
	mem_lookup(x->mem, gpa, &pg);
	f->cacheable = pg.read;
	f->host[0] = pg.read;
	if (pg.read) {
		f->bytes = pg.read + f->page_off;
		if (pg.is_ram)
			f->ram[0] = mem_ram_offset(x->mem, gpa & ~4095ull);
		return;
	}
	cpu_fpu_park(cpu);
	f->len = MIN(f->len, 15u);
	mem_read(x->mem, gpa, f->copy, f->len);
	f->bytes = f->copy;
}

/* The first instruction needs the next page as well: join up to 15 bytes. */
void xlate_find_second(struct xlate *x, struct fetch *f)
{
	struct cpu *cpu = x->cpu;
	struct mem_page pg;
	gla_t gla = linear_rip(cpu, cpu->s.rip);
	gla_t next = (gla & ~4095ull) + 4096;
	if (!cpu_code64(cpu))
		next = (uint32_t)next;
	if (!(cpu->key & KEY_FLAT_CS) && cpu->s.rip + (next - gla) > cpu->s.seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	gpa_t gpa = mmu_translate_raise(cpu, next, MMU_EXEC);
	mem_lookup(x->mem, gpa, &pg);
	f->host[1] = pg.read;
	f->crosses = true;
	unsigned have = f->len;
	must(have < 15);
	if (f->bytes != f->copy)
		memcpy(f->copy, f->bytes, have);
	if (pg.read) {
		memcpy(f->copy + have, pg.read, 15);
		if (pg.is_ram)
			f->ram[1] = mem_ram_offset(x->mem, gpa);
	} else {
		f->cacheable = false;
		mem_read(x->mem, gpa, f->copy + have, 15);
	}
	f->bytes = f->copy;
	f->len = have + 15;
}

static bool matches(const struct xlate *x, const struct block *b, const struct fetch *f)
{
	const struct cpu *cpu = x->cpu;
	if (b->rip != cpu->s.rip || b->ks != cpu->ks || b->host[0] != f->host[0] || b->page_off != f->page_off)
		return false;
	if (cpu->key & KEY_FLAT_CS)
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
	for (struct block *b = x->hash[xlate_cache_hash(cpu->s.rip, cpu->ks)]; b; b = b->next_hash) {
		if (b->rip != cpu->s.rip || b->ks != cpu->ks || b->host[0] != page)
			continue;
		if (b->host[1] && b->host[1] != mmu_exec_page(cpu, linear_rip(cpu, x->vpages[b->live[1]].gla)))
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
	for (struct block *b = x->hash[xlate_cache_hash(x->cpu->s.rip, x->cpu->ks)]; b; b = b->next_hash)
		if (matches(x, b, &f) && second_page_matches(x, b))
			return set_live(x, b);
	return set_live(x, xlate_block_translate(x, &f, want));
}
