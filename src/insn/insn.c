// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the table of helpers, and what an instruction's operands and stack are
 *
 * Segment checks have a fast answer in cpu->rmax and wmax; the slow one here decides which exception it is.
 * Long mode has no limits, only canonical addresses (SDM vol 1 3.3.7.1).
 */
#include "insn/insn_int.h"
#include "cpu/vendor.h"

const struct insn_desc insn_table[OP_COUNT] = {
#define INSN(name, fn, flags) [OP_##name] = { #name, fn, flags },
#include "insn/insn.def"
#undef INSN
};

void insn_set_cpl(struct cpu *cpu, uint8_t cpl)
{
	cpu->s.cpl = cpl;
	cpu->mode_dirty = true;
	cpu->view = cpu_view_now(cpu);
}

void insn_set_flags(struct cpu *cpu, uint64_t flags)
{
	uint64_t changed = cpu->s.rflags ^ flags;

	cpu->s.rflags = flags | FL_FIXED;
	if (changed & (FL_VM | FL_AC)) {
		cpu->mode_dirty = true;
		cpu->view = cpu_view_now(cpu);
	}
}

/* An interrupt can be taken or another thread wants the vCPU: long instructions stop at an element boundary. */
bool insn_pending_stop(const struct cpu *cpu)
{
	return __atomic_load_n(&cpu->request, __ATOMIC_SEQ_CST) || cpu->s.pending_dbg ||
	       (__atomic_load_n(&cpu->intr, __ATOMIC_SEQ_CST) && cpu->s.rflags & FL_IF && !cpu->s.int_shadow) ||
	       cpu->s.rflags & FL_TF;
}

uint64_t insn_ea(const struct cpu *cpu, const struct insn *in)
{
	uint64_t ea = (uint64_t)in->disp;

	if (in->base == INSN_BASE_RIP)
		ea += cpu->s.rip + in->len;
	else if (in->base != INSN_NOREG)
		ea += cpu->s.gpr[in->base];
	if (in->index != INSN_NOREG)
		ea += cpu->s.gpr[in->index] * in->scale;
	return ea & size_mask(in->adsize);
}

bool insn_seg_fits(const struct cpu_seg *seg, uint64_t off, uint64_t size)
{
	uint64_t last = off + size - 1;

	if ((seg->attr & (SEGA_S | SEGA_CODE | SEGA_E)) == (SEGA_S | SEGA_E)) /* expand down: SDM vol 3 5.3 */
		return off > seg->limit && last >= off && last <= (seg->attr & SEGA_DB ? UINT32_MAX : UINT16_MAX);
	/* a 4 GiB segment has no end: offsets wrap, and paging has its say */
	return seg->limit == UINT32_MAX || (last >= off && last <= seg->limit);
}

static bool seg_allows(const struct cpu *cpu, const struct cpu_seg *seg, unsigned kind)
{
	if (seg->attr & SEGA_NULL)
		return false;
	if (!cpu_protected(cpu)) /* real mode checks limits only */
		return true;
	if (kind & MMU_WRITE)
		return (seg->attr & (SEGA_CODE | SEGA_W)) == SEGA_W;
	return !(seg->attr & SEGA_CODE) || seg->attr & SEGA_W;
}

static gla_t linear64_raise(struct cpu *cpu, unsigned seg, uint64_t off, size_t size)
{
	gla_t gla = off + (seg == SEG_FS || seg == SEG_GS ? cpu->s.seg[seg].base : 0);

	if (!cpu_canonical(gla) || !cpu_canonical(gla + size - 1))
		cpu_raise(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
	return gla;
}

bool insn_seg_ok(const struct cpu *cpu, unsigned seg, uint64_t off, size_t size, unsigned kind)
{
	const struct cpu_seg *s = &cpu->s.seg[seg];
	uint64_t max = kind & MMU_WRITE ? cpu->wmax[seg] : cpu->rmax[seg];

	return (size <= max && off <= max - size) || (seg_allows(cpu, s, kind) && insn_seg_fits(s, off, size));
}

/* What an operand must be aligned to if alignment is checked (SDM vol 3 6.15): its size, of 80-bit numbers 8; 1: of it
 * the check does not speak. */
static size_t alignment(const struct cpu *cpu, size_t size)
{
	if (size == 10)
		return 8;
	if (size & (size - 1) || size > 64)
		return 1;
	if (size > 8)
		return cpu_rule(cpu, RULE_ALIGN_VECTORS) ? 16 : 1;
	return size;
}

void insn_align_raise(struct cpu *cpu, gla_t gla, size_t size)
{
	if (cpu->s.cpl != 3 || !(cpu->s.rflags & FL_AC) || !(cpu->s.cr0 & CR0_AM))
		return;
	if (gla & (alignment(cpu, size) - 1) && cpu_canonical(gla) && cpu_canonical(gla + size - 1))
		cpu_raise(cpu, EXC_AC, 0);
}

gla_t insn_seg_linear_raise(struct cpu *cpu, unsigned seg, uint64_t off, size_t size, unsigned kind)
{
	if (cpu_code64(cpu))
		return linear64_raise(cpu, seg, off, size);
	if (!insn_seg_ok(cpu, seg, off, size, kind))
		cpu_raise(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
	return (uint32_t)(cpu->s.seg[seg].base + off);
}

gla_t insn_linear_raise(struct cpu *cpu, unsigned seg, uint64_t off, size_t size, unsigned kind)
{
	/* where canonical addresses end, alignment comes first */
	if (cpu_code64(cpu))
		insn_align_raise(cpu, off + (seg == SEG_FS || seg == SEG_GS ? cpu->s.seg[seg].base : 0), size);
	gla_t gla = insn_seg_linear_raise(cpu, seg, off, size, kind);

	insn_align_raise(cpu, gla, size);
	return gla;
}

unsigned insn_far_offset_size(const struct cpu *cpu, const struct insn *in)
{
	return in->opsize == 8 && cpu_rule(cpu, RULE_FAR_POINTER_32) ? 4 : in->opsize;
}

gla_t insn_rm_linear_raise(struct cpu *cpu, const struct insn *in, size_t size, unsigned kind)
{
	return insn_linear_raise(cpu, in->seg, insn_ea(cpu, in), size, kind);
}

static unsigned ss_kind(const struct insn *in, unsigned kind)
{
	return in->seg == SEG_SS ? kind | MMU_SS : kind;
}

uint64_t insn_rm_read_raise(struct cpu *cpu, const struct insn *in, unsigned size)
{
	if (!in->has_mem)
		return reg_get(cpu, in->rm, size);
	return mmu_load_raise(cpu, insn_rm_linear_raise(cpu, in, size, MMU_READ), size, ss_kind(in, MMU_READ));
}

void insn_rm_write_raise(struct cpu *cpu, const struct insn *in, uint64_t val, unsigned size)
{
	if (!in->has_mem)
		reg_set(cpu, in->rm, val, size);
	else
		mmu_store_raise(cpu, insn_rm_linear_raise(cpu, in, size, MMU_WRITE), val, size, ss_kind(in, MMU_WRITE));
}

unsigned insn_stack_size(const struct cpu *cpu)
{
	if (cpu_code64(cpu))
		return 8;
	return cpu->s.seg[SEG_SS].attr & SEGA_DB ? 4 : 2;
}

struct pops pops_begin(const struct cpu *cpu)
{
	unsigned stsize = insn_stack_size(cpu);

	return (struct pops){ reg_get(cpu, RSP, stsize), stsize };
}

uint64_t pops_next_raise(struct cpu *cpu, struct pops *p, unsigned size)
{
	gla_t gla = insn_linear_raise(cpu, SEG_SS, p->sp, size, MMU_READ);
	uint64_t val = mmu_load_raise(cpu, gla, size, MMU_READ | MMU_SS);

	p->sp = (p->sp + size) & size_mask(p->stsize);
	return val;
}

/* Of a selector's slot only the selector is read. */
uint16_t pops_sel_raise(struct cpu *cpu, struct pops *p, unsigned size)
{
	struct pops q = *p;

	p->sp = (p->sp + size) & size_mask(p->stsize);
	return (uint16_t)pops_next_raise(cpu, &q, 2);
}

uint16_t pops_far_raise(struct cpu *cpu, struct pops *p, unsigned size, uint64_t *off)
{
	struct pops q = { (p->sp + size) & size_mask(p->stsize), p->stsize };
	uint16_t sel = pops_sel_raise(cpu, &q, size);

	*off = pops_next_raise(cpu, p, size);
	*p = q;
	return sel;
}

void pops_commit(struct cpu *cpu, const struct pops *p)
{
	reg_set(cpu, RSP, p->sp, p->stsize);
}

void pushes_begin(struct cpu *cpu, struct pushes *p)
{
	p->ss = &cpu->s.seg[SEG_SS];
	p->stsize = (uint8_t)insn_stack_size(cpu);
	p->sp = reg_get(cpu, RSP, p->stsize);
	p->error = 0;
	p->kind = MMU_WRITE | MMU_SS;
	p->n = 0;
}

static gla_t push_linear_raise(struct cpu *cpu, const struct pushes *p, unsigned size)
{
	if (p->stsize == 8) {
		if (!cpu_canonical(p->sp) || !cpu_canonical(p->sp + size - 1))
			cpu_raise(cpu, EXC_SS, p->error);
		return p->sp;
	}
	if (p->ss->attr & SEGA_NULL || !insn_seg_fits(p->ss, p->sp, size))
		cpu_raise(cpu, EXC_SS, p->error);
	return (uint32_t)(p->ss->base + p->sp);
}

void pushes_add_raise(struct cpu *cpu, struct pushes *p, uint64_t val, unsigned size)
{
	struct push *e = &p->q[p->n];

	must(p->n < PUSHES_MAX);
	p->sp = (p->sp - size) & size_mask(p->stsize);
	e->at = push_linear_raise(cpu, p, size);
	e->val = val;
	e->size = size;
	insn_align_raise(cpu, e->at, size);
	mmu_probe_raise(cpu, e->at, size, p->kind);
	p->n++;
}

void pushes_write(struct cpu *cpu, const struct pushes *p)
{
	for (unsigned i = 0; i < p->n; i++)
		mmu_store_raise(cpu, p->q[i].at, p->q[i].val, p->q[i].size, p->kind);
}

void pushes_set_sp(struct cpu *cpu, const struct pushes *p)
{
	reg_set(cpu, RSP, p->sp, p->stsize);
}

void insn_push_raise(struct cpu *cpu, uint64_t val, unsigned size)
{
	unsigned stsize = insn_stack_size(cpu);
	uint64_t sp = (cpu->s.gpr[RSP] - size) & size_mask(stsize);

	mmu_store_raise(cpu, insn_linear_raise(cpu, SEG_SS, sp, size, MMU_WRITE), val, size, MMU_WRITE | MMU_SS);
	reg_set(cpu, RSP, sp, stsize);
}

void insn_ud(struct cpu *cpu, const struct insn *in)
{
	raise_ud(cpu);
}

void insn_nop(struct cpu *cpu, const struct insn *in)
{
}
