// SPDX-License-Identifier: GPL-2.0-or-later
/* what: far transfers: JMP, CALL and RET through code segments, call gates, task gates and TSS descriptors
 *
 * SDM vol 3 5.8 (privilege), vol 2 "CALL", "JMP", "RET". In IA-32e mode call gates are 16 bytes long, lead to
 * 64-bit code only and push 8-byte slots; stacks of inner levels then come from the 64-bit TSS with a null SS.
 *
 *   target selector --> code segment ---------------------> far_enter
 *                   \-> call gate --> code, same level -----^
 *                   |             \-> code, inner level --> far_inner_stack_raise --> frame --> far_enter
 *                   \-> task gate, TSS -------------------> task_switch_raise
 */
#include "cpu/vendor.h"
#include "insn/insn_int.h"

bool desc_is_code64(const struct cpu *cpu, const struct desc *d)
{
	return cpu_long_mode(cpu) && d->attr & SEGA_L;
}

/* EIP is 32 bits wide where the target is not 64-bit code: what a 64-bit offset has above is dropped, as Intel's CPUs
 * do (SDM vol 2 "JMP" compares tempEIP with the limit). */
void far_check_rip_raise(struct cpu *cpu, const struct desc *d, uint64_t off, unsigned ext)
{
	uint64_t eip = cpu_rule(cpu, RULE_FAR_RIP_64) ? off : (uint32_t)off;

	if (desc_is_code64(cpu, d) ? !cpu_canonical(off) : eip > d->limit)
		cpu_raise(cpu, EXC_GP, ext);
}

void far_enter(struct cpu *cpu, const struct desc *d, unsigned cpl, uint64_t rip)
{
	cpu_set_seg(cpu, SEG_CS, (uint16_t)(SEL_ERR(d->sel) | cpl), d->base, d->limit, d->attr);
	insn_set_cpl(cpu, (uint8_t)cpl);
	cpu->next_rip = desc_is_code64(cpu, d) ? rip : (uint32_t)rip;
}

/* A stack pointer of the 64-bit TSS at byte off: SDM vol 3 figure 8-11. */
uint64_t far_tss64_sp_raise(struct cpu *cpu, unsigned off, unsigned ext)
{
	uint64_t sp;

	if (off + 7 > cpu->s.tr.limit)
		cpu_raise(cpu, EXC_TS, SEL_ERR(cpu->s.tr.sel) | ext);
	sp = mmu_load_raise(cpu, cpu->s.tr.base + off, 8, MMU_READ | MMU_SYS);
	if (!cpu_canonical(sp))
		cpu_raise(cpu, EXC_SS, ext);
	return sp;
}

/* SSn:ESPn of a 16- or 32-bit TSS: SDM vol 3 figures 8-2 and 8-10. */
static void tss_stack_raise(struct cpu *cpu, unsigned cpl, unsigned ext, struct inner_stack *st)
{
	bool tss32 = (cpu->s.tr.attr & SEGA_TYPE) >= DT_TSS32;
	unsigned size = tss32 ? 4 : 2, off = tss32 ? 4 + 8 * cpl : 2 + 4 * cpl;
	uint32_t base = (uint32_t)cpu->s.tr.base;

	if (off + size + 1 > cpu->s.tr.limit)
		cpu_raise(cpu, EXC_TS, SEL_ERR(cpu->s.tr.sel) | ext);
	st->sp = mmu_load_raise(cpu, (uint32_t)(base + off), size, MMU_READ | MMU_SYS);
	st->sel = (uint16_t)mmu_load_raise(cpu, (uint32_t)(base + off + size), 2, MMU_READ | MMU_SYS);
}

void far_inner_stack_raise(struct cpu *cpu, unsigned cpl, unsigned ext, struct inner_stack *st)
{
	st->null = cpu_long_mode(cpu);
	if (st->null) {
		st->sp = far_tss64_sp_raise(cpu, 4 + 8 * cpl, ext);
		st->sel = (uint16_t)cpl;
		return;
	}
	tss_stack_raise(cpu, cpl, ext, st);
	seg_check_ss_raise(cpu, st->sel, cpl, EXC_TS, ext, &st->ss);
	desc_mark_accessed_raise(cpu, &st->ss);
}

/* Start a frame on st. ss is storage for the segment that is not yet loaded. Inner levels below 3 write as
 * supervisor. */
void pushes_begin_inner(struct cpu *cpu, struct pushes *p, const struct inner_stack *st, struct cpu_seg *ss,
                        unsigned ext)
{
	p->ss = ss;
	p->sp = st->sp;
	p->n = 0;
	p->kind = MMU_WRITE | MMU_SS | (cpu->s.cpl == 3 ? MMU_SYS : 0);
	if (st->null) {
		p->stsize = 8;
		p->error = ext;
		return;
	}
	*ss = (struct cpu_seg){ st->ss.base, st->ss.limit, st->sel, st->ss.attr };
	p->stsize = ss->attr & SEGA_DB ? 4 : 2;
	p->error = SEL_ERR(st->sel) | ext;
}

/* A code segment reached directly: SDM vol 3 5.8.1. */
static void check_direct_raise(struct cpu *cpu, uint16_t sel, const struct desc *d)
{
	unsigned cpl = cpu->s.cpl, dpl = desc_dpl(d);
	bool ok = desc_is_conforming(d) ? dpl <= cpl : SEL_RPL(sel) <= cpl && dpl == cpl;

	if (!ok || desc_bad_ld(cpu, d))
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	if (!desc_present(d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel));
}

struct far_target {
	uint16_t sel;
	uint64_t off;
	struct desc d;
	unsigned gsize;   /* bytes a frame slot takes */
	unsigned params;  /* slots a call gate copies */
};

static void check_gate_raise(struct cpu *cpu, uint16_t sel, const struct desc *d)
{
	if (desc_dpl(d) < cpu->s.cpl || desc_dpl(d) < SEL_RPL(sel))
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	if (!desc_present(d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel));
}

/* The code segment a call gate names: SDM vol 3 5.8.3 and 5.8.4. jmp may not change the level. */
static void gate_code_raise(struct cpu *cpu, struct far_target *t, bool jmp)
{
	unsigned cpl = cpu->s.cpl, dpl;

	if (SEL_NULL(t->sel))
		raise_gp0(cpu);
	desc_need_raise(cpu, t->sel, EXC_GP, 0, &t->d);
	dpl = desc_dpl(&t->d);
	if (!desc_is_code(&t->d) || dpl > cpl || (jmp && !desc_is_conforming(&t->d) && dpl != cpl))
		cpu_raise(cpu, EXC_GP, SEL_ERR(t->sel));
	if (cpu_long_mode(cpu) && (t->d.attr & (SEGA_L | SEGA_DB)) != SEGA_L)
		cpu_raise(cpu, EXC_GP, SEL_ERR(t->sel));
	if (!desc_present(&t->d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(t->sel));
}

static void open_gate_raise(struct cpu *cpu, const struct desc *gate, struct far_target *t, bool jmp)
{
	bool wide = desc_is_sys(gate, DT_CALL32);
	uint64_t high = 0;

	if (cpu_long_mode(cpu))
		high = desc_high_raise(cpu, gate, EXC_GP, 0) << 32;
	t->sel = (uint16_t)(gate->raw >> 16);
	t->off = (gate->raw & 0xffff) | (wide ? gate->raw >> 32 & 0xffff0000 : 0) | high;
	t->gsize = cpu_long_mode(cpu) ? 8 : wide ? 4 : 2;
	t->params = cpu_long_mode(cpu) ? 0 : gate->raw >> 32 & 31;
	gate_code_raise(cpu, t, jmp);
}

static void call_same_raise(struct cpu *cpu, const struct insn *in, struct far_target *t, unsigned cpl)
{
	struct pushes p;

	pushes_begin(cpu, &p);
	/* Pushes are those of the new code already. Of 64-bit code: no base, all of ESP; of other code: what SS says (seen:
	 * #PF at an address of 32 bits). */
	if (desc_is_code64(cpu, &t->d) && p.stsize != 8) {
		p.stsize = 8;
		p.sp = (uint32_t)cpu->s.gpr[RSP];
	} else if (!desc_is_code64(cpu, &t->d) && p.stsize == 8 && !(p.ss->attr & SEGA_NULL)) {
		p.stsize = p.ss->attr & SEGA_DB ? 4 : 2;
		p.sp = reg_get(cpu, RSP, p.stsize);
	}
	pushes_add_raise(cpu, &p, cpu->s.seg[SEG_CS].sel, t->gsize);
	pushes_add_raise(cpu, &p, cpu->next_rip, t->gsize);
	far_check_rip_raise(cpu, &t->d, t->off, 0);
	desc_mark_accessed_raise(cpu, &t->d);
	pushes_write(cpu, &p);
	pushes_set_sp(cpu, &p);
	far_enter(cpu, &t->d, cpl, t->off);
}

/* Parameters are read from the outer stack at the outer level, highest address first, so they keep their order. */
static void copy_params_raise(struct cpu *cpu, struct pushes *p, const struct far_target *t)
{
	unsigned stsize = insn_stack_size(cpu);

	for (unsigned i = t->params; i-- > 0;) {
		uint64_t off = (cpu->s.gpr[RSP] + i * t->gsize) & size_mask(stsize);
		gla_t gla = insn_linear_raise(cpu, SEG_SS, off, t->gsize, MMU_READ);

		pushes_add_raise(cpu, p, mmu_load_raise(cpu, gla, t->gsize, MMU_READ | MMU_SS), t->gsize);
	}
}

static void call_inner_raise(struct cpu *cpu, const struct insn *in, struct far_target *t)
{
	unsigned cpl = desc_dpl(&t->d);
	struct inner_stack st;
	struct cpu_seg ss;
	struct pushes p;

	far_inner_stack_raise(cpu, cpl, 0, &st);
	pushes_begin_inner(cpu, &p, &st, &ss, 0);
	pushes_add_raise(cpu, &p, cpu->s.seg[SEG_SS].sel, t->gsize);
	pushes_add_raise(cpu, &p, reg_get(cpu, RSP, cpu_long_mode(cpu) ? 8 : 4), t->gsize);
	copy_params_raise(cpu, &p, t);
	pushes_add_raise(cpu, &p, cpu->s.seg[SEG_CS].sel, t->gsize);
	pushes_add_raise(cpu, &p, cpu->next_rip, t->gsize);
	far_check_rip_raise(cpu, &t->d, t->off, 0);
	desc_mark_accessed_raise(cpu, &t->d);
	pushes_write(cpu, &p);
	far_enter(cpu, &t->d, cpl, t->off);
	if (st.null)
		seg_set_null(cpu, SEG_SS, st.sel);
	else
		seg_set(cpu, SEG_SS, st.sel, &st.ss);
	pushes_set_sp(cpu, &p);
}

static void transfer_gate_raise(struct cpu *cpu, const struct insn *in, const struct desc *gate, bool jmp)
{
	struct far_target t;

	open_gate_raise(cpu, gate, &t, jmp);
	if (!jmp && !desc_is_conforming(&t.d) && desc_dpl(&t.d) < cpu->s.cpl) {
		call_inner_raise(cpu, in, &t);
	} else if (!jmp) {
		call_same_raise(cpu, in, &t, cpu->s.cpl);
	} else {
		far_check_rip_raise(cpu, &t.d, t.off, 0);
		desc_mark_accessed_raise(cpu, &t.d);
		far_enter(cpu, &t.d, cpu->s.cpl, t.off);
	}
}

static void transfer_task_raise(struct cpu *cpu, const struct insn *in, const struct desc *d, bool jmp)
{
	uint16_t sel = desc_is_sys(d, DT_TASK) ? (uint16_t)(d->raw >> 16) : d->sel;

	task_switch_raise(cpu, sel, jmp ? TASK_JMP : TASK_CALL, cpu->next_rip, 0);
}

static void transfer_system_raise(struct cpu *cpu, const struct insn *in, const struct desc *d, bool jmp)
{
	bool lm = cpu_long_mode(cpu);
	unsigned type = d->attr & (SEGA_S | SEGA_TYPE);

	if (type == DT_CALL32 || (type == DT_CALL16 && !lm)) {
		check_gate_raise(cpu, d->sel, d);
		transfer_gate_raise(cpu, in, d, jmp);
	} else if (!lm && (type == DT_TASK || type == DT_TSS16 || type == DT_TSS32)) {
		check_gate_raise(cpu, d->sel, d);
		transfer_task_raise(cpu, in, d, jmp);
	} else {
		cpu_raise(cpu, EXC_GP, SEL_ERR(d->sel));
	}
}

static void transfer_protected_raise(struct cpu *cpu, const struct insn *in, uint16_t sel, uint64_t off, bool jmp)
{
	struct far_target t = { .sel = sel, .off = off, .gsize = in->opsize };

	if (SEL_NULL(sel))
		raise_gp0(cpu);
	desc_need_raise(cpu, sel, EXC_GP, 0, &t.d);
	if (!desc_is_code(&t.d)) {
		if (t.d.attr & SEGA_S)
			cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
		transfer_system_raise(cpu, in, &t.d, jmp);
		return;
	}
	check_direct_raise(cpu, sel, &t.d);
	if (!jmp) {
		call_same_raise(cpu, in, &t, cpu->s.cpl);
		return;
	}
	far_check_rip_raise(cpu, &t.d, off, 0);
	desc_mark_accessed_raise(cpu, &t.d);
	far_enter(cpu, &t.d, cpu->s.cpl, off);
}

/* Real and virtual-8086 mode: the CS limit of unreal mode stays. */
static void transfer_real_raise(struct cpu *cpu, const struct insn *in, uint16_t sel, uint64_t off, bool jmp)
{
	uint32_t limit = cpu_vm86(cpu) ? 0xffff : cpu->s.seg[SEG_CS].limit;
	struct pushes p;

	if (off > limit)
		raise_gp0(cpu);
	if (!jmp) {
		pushes_begin(cpu, &p);
		pushes_add_raise(cpu, &p, cpu->s.seg[SEG_CS].sel, in->opsize);
		pushes_add_raise(cpu, &p, cpu->next_rip, in->opsize);
		pushes_write(cpu, &p);
		pushes_set_sp(cpu, &p);
	}
	cpu_set_seg_real(cpu, SEG_CS, sel);
	cpu->next_rip = off;
}

static void transfer_raise(struct cpu *cpu, const struct insn *in, bool jmp)
{
	uint64_t off = in->imm & size_mask(in->opsize);
	uint16_t sel = (uint16_t)in->imm2;

	if (in->has_mem) {
		unsigned size = insn_far_offset_size(cpu, in);
		gla_t gla = insn_rm_linear_raise(cpu, in, size, MMU_READ);

		off = mmu_load_raise(cpu, gla, size, MMU_READ);
		insn_seg_linear_raise(cpu, in->seg, insn_ea(cpu, in), size + 2u, MMU_READ);
		sel = (uint16_t)mmu_load_raise(cpu, gla + size, 2, MMU_READ);
	}
	if (cpu_protected(cpu))
		transfer_protected_raise(cpu, in, sel, off, jmp);
	else
		transfer_real_raise(cpu, in, sel, off, jmp);
}

void insn_jmp_far(struct cpu *cpu, const struct insn *in)
{
	transfer_raise(cpu, in, true);
}

void insn_call_far(struct cpu *cpu, const struct insn *in)
{
	transfer_raise(cpu, in, false);
}

/* The code segment a far return or IRET goes to: SDM vol 2 "RET", "IRET". */
void far_check_return_cs_raise(struct cpu *cpu, uint16_t sel, struct desc *d)
{
	unsigned rpl = SEL_RPL(sel);

	if (SEL_NULL(sel))
		raise_gp0(cpu);
	desc_need_raise(cpu, sel, EXC_GP, 0, d);
	if (!desc_is_code(d) || rpl < cpu->s.cpl || desc_bad_ld(cpu, d))
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	if (desc_is_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl)
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	if (!desc_present(d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel));
}

bool far_check_outer_ss_raise(struct cpu *cpu, uint16_t sel, unsigned cpl, bool code64, struct desc *d)
{
	if (SEL_NULL(sel)) {
		if (!code64 || cpl == 3 || SEL_RPL(sel) != cpl)
			raise_gp0(cpu);
		return false;
	}
	seg_check_ss_raise(cpu, sel, cpl, EXC_GP, 0, d);
	desc_mark_accessed_raise(cpu, d);
	return true;
}

/* A 16-bit SS takes SP only and leaves the rest of ESP, as every x86 does. */
void far_set_outer_stack(struct cpu *cpu, uint16_t sel, const struct desc *ss, uint64_t sp, bool code64)
{
	if (ss)
		seg_set(cpu, SEG_SS, sel, ss);
	else
		seg_set_null(cpu, SEG_SS, sel);
	reg_set(cpu, RSP, sp, code64 ? 8 : cpu->s.seg[SEG_SS].attr & SEGA_DB ? 4 : 2);
}

static void ret_real_raise(struct cpu *cpu, const struct insn *in, struct pops *p)
{
	uint64_t off;
	uint16_t sel = pops_far_raise(cpu, p, in->opsize, &off);
	uint32_t limit = cpu_vm86(cpu) ? 0xffff : cpu->s.seg[SEG_CS].limit;

	if (off > limit)
		raise_gp0(cpu);
	p->sp += in->imm;
	pops_commit(cpu, p);
	cpu_set_seg_real(cpu, SEG_CS, sel);
	cpu->next_rip = off;
}

/* Of a far RET to another level. */
static uint16_t ret_stack_raise(struct cpu *cpu, const struct insn *in, struct pops *p, uint64_t *sp)
{
	p->sp = (p->sp + in->imm) & size_mask(p->stsize);
	if (cpu_rule(cpu, RULE_RETURN_READS_ALL)) /* SS first, as IRET does everywhere (seen) */
		return pops_far_raise(cpu, p, in->opsize, sp);
	*sp = pops_next_raise(cpu, p, in->opsize);
	return pops_sel_raise(cpu, p, in->opsize);
}

static void ret_outer_raise(struct cpu *cpu, const struct insn *in, struct pops *p, struct desc *cs, uint64_t off)
{
	unsigned cpl = SEL_RPL(cs->sel);
	bool code64 = desc_is_code64(cpu, cs), have;
	struct desc ss;
	uint64_t sp;
	uint16_t sel;

	if (cpu_rule(cpu, RULE_RETURN_READS_ALL))
		far_check_rip_raise(cpu, cs, off, 0);
	sel = ret_stack_raise(cpu, in, p, &sp);
	have = far_check_outer_ss_raise(cpu, sel, cpl, code64, &ss);
	far_check_rip_raise(cpu, cs, off, 0);
	desc_mark_accessed_raise(cpu, cs);
	far_enter(cpu, cs, cpl, off);
	far_set_outer_stack(cpu, sel, have ? &ss : NULL, sp + in->imm, code64);
	seg_drop_inner(cpu);
}

void insn_ret_far(struct cpu *cpu, const struct insn *in)
{
	struct pops p = pops_begin(cpu);
	struct desc cs;
	uint64_t off;
	uint16_t sel;

	if (!cpu_protected(cpu)) {
		ret_real_raise(cpu, in, &p);
		return;
	}
	sel = pops_far_raise(cpu, &p, in->opsize, &off);
	if (cpu_rule(cpu, RULE_RETURN_READS_ALL) && SEL_RPL(sel) != cpu->s.cpl) {
		struct pops ahead = p;
		uint64_t sp;

		ret_stack_raise(cpu, in, &ahead, &sp);
	}
	far_check_return_cs_raise(cpu, sel, &cs);
	if (SEL_RPL(sel) > cpu->s.cpl) {
		ret_outer_raise(cpu, in, &p, &cs, off);
		return;
	}
	far_check_rip_raise(cpu, &cs, off, 0);
	desc_mark_accessed_raise(cpu, &cs);
	p.sp += in->imm;
	pops_commit(cpu, &p);
	far_enter(cpu, &cs, cpu->s.cpl, off);
}
