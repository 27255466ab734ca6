// SPDX-License-Identifier: GPL-2.0-or-later
/* what: segment registers: loading them with every check, storing them, LDS and its kin
 *
 * The order of checks is that of MOV, SDM vol 2 "MOV: Loading a segment register": table limit, privilege,
 * type, presence. Error codes carry the selector without RPL.
 */
#include "cpu/vendor.h"
#include "insn/insn_int.h"

void seg_set(struct cpu *cpu, unsigned n, uint16_t sel, const struct desc *d)
{
	cpu_set_seg(cpu, n, sel, d->base, d->limit, d->attr);
}

/* A null SS keeps the CPL as its DPL, as VMX shows it (SDM vol 3 24.4.1). */
void seg_set_null(struct cpu *cpu, unsigned n, uint16_t sel)
{
	uint16_t dpl = n == SEG_SS ? (uint16_t)(SEL_RPL(sel) << 5) : 0;

	cpu_set_seg(cpu, n, sel, 0, 0, SEGA_NULL | dpl);
}

void seg_check_ss_raise(struct cpu *cpu, uint16_t sel, unsigned cpl, unsigned vector, unsigned ext, struct desc *d)
{
	if (SEL_NULL(sel))
		cpu_raise(cpu, vector, ext);
	desc_need_raise(cpu, sel, vector, ext, d);
	if (SEL_RPL(sel) != cpl || !desc_is_writable(d) || desc_dpl(d) != cpl)
		cpu_raise(cpu, vector, SEL_ERR(sel) | ext);
	if (!desc_present(d))
		cpu_raise(cpu, EXC_SS, SEL_ERR(sel) | ext);
}

static void load_ss_raise(struct cpu *cpu, uint16_t sel)
{
	struct desc d;

	if (SEL_NULL(sel) && cpu_code64(cpu) && cpu->s.cpl < 3 && SEL_RPL(sel) == cpu->s.cpl) {
		seg_set_null(cpu, SEG_SS, sel);
		return;
	}
	seg_check_ss_raise(cpu, sel, cpu->s.cpl, EXC_GP, 0, &d);
	desc_mark_accessed_raise(cpu, &d);
	seg_set(cpu, SEG_SS, sel, &d);
}

/* For who loads the same again; SDM vol 3 5.5, 5.6: with CPL 0 the checks depend on selector and descriptor alone. */
static void keep(struct cpu *cpu, unsigned n, const struct desc *d)
{
	if (cpu->s.cpl || d->sel & SEL_TI || (d->at & 4095) > 4096 - 8 || d->at != cpu->s.gdt_base + (d->sel & 0xfff8u))
		return;
	cpu->kept[n] = (struct cpu_kept){ .gdt_base = cpu->s.gdt_base, .gdt_limit = cpu->s.gdt_limit,
		.page = d->at & ~4095ull, .off = d->at & 4095, .raw = d->raw | (uint64_t)SEGA_A << 40, .seg = cpu->s.seg[n],
		.rmax = cpu->rmax[n], .wmax = cpu->wmax[n],
		.slot = (uint32_t)((d->at >> 12 & (TLB_SIZE - 1)) * sizeof(struct mmu_tlbe)) };
}

static void load_data_raise(struct cpu *cpu, unsigned n, uint16_t sel)
{
	struct desc d;

	if (SEL_NULL(sel)) {
		seg_set_null(cpu, n, sel);
		return;
	}
	desc_need_raise(cpu, sel, EXC_GP, 0, &d);
	if (!desc_is_readable(&d))
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	if (!desc_is_conforming(&d) && (SEL_RPL(sel) > desc_dpl(&d) || cpu->s.cpl > desc_dpl(&d)))
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	if (!desc_present(&d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel));
	desc_mark_accessed_raise(cpu, &d);
	seg_set(cpu, n, sel, &d);
	keep(cpu, n, &d);
}

void seg_load_raise(struct cpu *cpu, unsigned n, uint16_t sel)
{
	if (!cpu_protected(cpu))
		cpu_set_seg_real(cpu, n, sel);
	else if (n == SEG_SS)
		load_ss_raise(cpu, sel);
	else
		load_data_raise(cpu, n, sel);
}

void seg_drop_inner(struct cpu *cpu)
{
	static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
		struct cpu_seg *s = &cpu->s.seg[data[i]];
		bool conforming = (s->attr & (SEGA_CODE | SEGA_E)) == (SEGA_CODE | SEGA_E);

		/* A null one loses its RPL, on both vendors' CPUs (seen on a Zen 5), but not the base that an MSR gave it. */
		if (s->attr & SEGA_NULL)
			s->sel = 0;
		else if (!conforming && (s->attr >> 5 & 3) < cpu->s.cpl)
			seg_set_null(cpu, data[i], 0);
	}
}

/* MOV SS and POP SS hold off interrupts and #DB for one instruction: SDM vol 3 6.8.3. */
static void shadow_after_ss(struct cpu *cpu, unsigned n)
{
	if (n == SEG_SS)
		cpu->s.int_shadow = cpu->s.shadow_ss = true;
}

void insn_mov_to_seg(struct cpu *cpu, const struct insn *in)
{
	if (in->reg == SEG_CS || in->reg > SEG_GS)
		raise_ud(cpu);
	seg_load_raise(cpu, in->reg, (uint16_t)insn_rm_read_raise(cpu, in, 2));
	shadow_after_ss(cpu, in->reg);
}

void insn_load_seg(struct cpu *cpu, const struct insn *in)
{
	unsigned stsize = insn_stack_size(cpu);

	seg_load_raise(cpu, in->reg, (uint16_t)cpu->tmp[1]);
	if (in->imm)
		reg_set(cpu, RSP, cpu->s.gpr[RSP] + in->imm, stsize);
}

void insn_mov_from_seg(struct cpu *cpu, const struct insn *in)
{
	if (in->reg > SEG_GS)
		raise_ud(cpu);
	insn_rm_write_raise(cpu, in, cpu->s.seg[in->reg].sel, in->has_mem ? 2 : in->opsize);
}

unsigned insn_seg_pushed(const struct cpu *cpu, unsigned opsize)
{
	return opsize == 4 && !cpu_rule(cpu, RULE_SEG_WHOLE_SLOT) ? 2 : opsize;
}

unsigned insn_seg_popped(const struct cpu *cpu, unsigned opsize)
{
	return cpu_rule(cpu, RULE_SEG_WHOLE_SLOT) ? opsize : 2;
}

void insn_push_seg(struct cpu *cpu, const struct insn *in)
{
	unsigned stsize = insn_stack_size(cpu);
	uint64_t sp = (cpu->s.gpr[RSP] - in->opsize) & size_mask(stsize);
	unsigned size = insn_seg_pushed(cpu, in->opsize);
	gla_t gla = insn_linear_raise(cpu, SEG_SS, sp, size, MMU_WRITE);

	mmu_store_raise(cpu, gla, cpu->s.seg[in->reg].sel, size, MMU_WRITE | MMU_SS);
	reg_set(cpu, RSP, sp, stsize);
}

void insn_pop_seg(struct cpu *cpu, const struct insn *in)
{
	struct pops p = pops_begin(cpu);
	unsigned size = insn_seg_popped(cpu, in->opsize);
	uint16_t sel = (uint16_t)pops_next_raise(cpu, &p, size);

	p.sp = (p.sp + in->opsize - size) & size_mask(p.stsize);
	seg_load_raise(cpu, in->reg, sel);
	pops_commit(cpu, &p);
	shadow_after_ss(cpu, in->reg);
}

void insn_load_far(struct cpu *cpu, const struct insn *in)
{
	unsigned size = insn_far_offset_size(cpu, in);
	uint64_t ea, off;
	uint16_t sel;
	gla_t gla;

	if (!in->has_mem)
		raise_ud(cpu);
	ea = insn_ea(cpu, in);
	gla = insn_linear_raise(cpu, in->seg, ea, size, MMU_READ);
	off = mmu_load_raise(cpu, gla, size, MMU_READ);
	insn_seg_linear_raise(cpu, in->seg, ea, size + 2u, MMU_READ);
	sel = (uint16_t)mmu_load_raise(cpu, gla + size, 2, MMU_READ);
	seg_load_raise(cpu, (unsigned)in->imm, sel);
	reg_set(cpu, in->reg, off, size);
}
