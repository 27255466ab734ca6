// SPDX-License-Identifier: GPL-2.0-or-later
/* what: PUSHA, POPA, ENTER, BOUND, XLAT: stack and table instructions with more than one access
 *
 * SDM vol 2, the instructions' pages. RSP and RBP change after the last access.
 */
#include "insn/insn_int.h"

void insn_pusha(struct cpu *cpu, const struct insn *in)
{
	struct pushes p;

	pushes_begin(cpu, &p);
	for (unsigned i = RAX; i <= RDI; i++)
		pushes_add_raise(cpu, &p, cpu->s.gpr[i], in->opsize); /* RSP: its value before */
	pushes_write(cpu, &p);
	pushes_set_sp(cpu, &p);
}

void insn_popa(struct cpu *cpu, const struct insn *in)
{
	struct pops p = pops_begin(cpu);
	uint64_t val[8];

	for (unsigned i = 8; i-- > 0;)
		val[i] = pops_next_raise(cpu, &p, in->opsize);
	for (unsigned i = 0; i < 8; i++)
		if (i != RSP)
			reg_set(cpu, i, val[i], in->opsize);
	pops_commit(cpu, &p);
}

/* Frame pointers of the enclosing procedures are copied from the old frame. */
/* The frames that ENTER copies may be where it pushes, so every push is written before the next read; a fault leaves
 * them there. */
static void push_now_raise(struct cpu *cpu, struct pushes *p, uint64_t val, unsigned size)
{
	pushes_add_raise(cpu, p, val, size);
	pushes_write(cpu, p);
	p->n = 0;
}

void insn_enter(struct cpu *cpu, const struct insn *in)
{
	unsigned level = in->imm2 & 31, stsize = insn_stack_size(cpu);
	uint64_t bp = reg_get(cpu, RBP, stsize), frame, below;
	struct pushes p;

	pushes_begin(cpu, &p);
	push_now_raise(cpu, &p, cpu->s.gpr[RBP], in->opsize);
	/* the whole of ESP goes to a 32-bit frame pointer, even if SP alone is the stack's */
	frame = stsize == 2 ? (cpu->s.gpr[RSP] & 0xffff0000) | p.sp : p.sp;
	for (unsigned i = 1; i < level; i++) {
		bp = (bp - in->opsize) & size_mask(stsize);
		push_now_raise(cpu, &p, mmu_load_raise(cpu, insn_linear_raise(cpu, SEG_SS, bp, in->opsize, MMU_READ),
							 in->opsize, MMU_READ | MMU_SS), in->opsize);
	}
	if (level)
		push_now_raise(cpu, &p, frame, in->opsize);
	p.sp = (p.sp - (in->imm & 0xffff)) & size_mask(stsize);
	/* The new top must be writable: SDM vol 2 "ENTER", exceptions. */
	below = p.sp;
	mmu_probe_raise(cpu, insn_linear_raise(cpu, SEG_SS, below, in->opsize, MMU_WRITE), in->opsize, MMU_WRITE | MMU_SS);
	pushes_set_sp(cpu, &p);
	reg_set(cpu, RBP, frame, in->opsize);
}

static int64_t sign_extend(uint64_t val, unsigned size)
{
	return size == 2 ? (int16_t)val : (int32_t)val;
}

void insn_bound(struct cpu *cpu, const struct insn *in)
{
	int64_t index = sign_extend(cpu->s.gpr[in->reg], in->opsize), low, high;
	gla_t gla;

	if (!in->has_mem)
		raise_ud(cpu);
	/* the upper bound is looked at only if the lower one holds */
	gla = insn_rm_linear_raise(cpu, in, in->opsize, MMU_READ);
	low = sign_extend(mmu_load_raise(cpu, gla, in->opsize, MMU_READ), in->opsize);
	if (index < low)
		cpu_raise(cpu, EXC_BR, 0);
	insn_seg_linear_raise(cpu, in->seg, insn_ea(cpu, in), in->opsize * 2u, MMU_READ);
	high = sign_extend(mmu_load_raise(cpu, gla + in->opsize, in->opsize, MMU_READ), in->opsize);
	if (index > high)
		cpu_raise(cpu, EXC_BR, 0);
}

void insn_xlat(struct cpu *cpu, const struct insn *in)
{
	uint64_t off = (cpu->s.gpr[RBX] + (cpu->s.gpr[RAX] & 0xff)) & size_mask(in->adsize);
	uint64_t al = mmu_load_raise(cpu, insn_linear_raise(cpu, in->seg, off, 1, MMU_READ), 1, MMU_READ);

	cpu->s.gpr[RAX] = (cpu->s.gpr[RAX] & ~0xffull) | al;
}
