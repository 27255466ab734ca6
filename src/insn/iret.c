// SPDX-License-Identifier: GPL-2.0-or-later
/* what: IRET in every mode: real, virtual-8086, to the same and outer levels, to VM86, nested tasks, 64-bit
 *
 * SDM vol 2 "IRET/IRETD/IRETQ". The frame is read and everything it names is checked before the first register changes.
 */
#include "cpu/vendor.h"
#include "insn/insn_int.h"

#define FLAGS_WIDE (FL_RF | FL_AC | FL_ID)

struct iret_frame {
	uint64_t rip, flags;
	uint16_t cs;
};

/* The flags are read first, as CPUs do: their fault wins. */
static struct iret_frame frame_read_raise(struct cpu *cpu, struct pops *p, unsigned size)
{
	struct pops q = { (p->sp + 2 * size) & size_mask(p->stsize), p->stsize };
	struct iret_frame f;

	f.flags = pops_next_raise(cpu, &q, size);
	f.cs = pops_far_raise(cpu, p, size, &f.rip);
	*p = q;
	return f;
}

static uint64_t merge(uint64_t old, uint64_t new, uint64_t mask)
{
	return (old & ~mask) | (new & mask);
}

static void enter_real(struct cpu *cpu, const struct iret_frame *f, const struct pops *p, uint64_t mask)
{
	pops_commit(cpu, p);
	cpu_set_seg_real(cpu, SEG_CS, f->cs);
	insn_set_flags(cpu, merge(cpu->s.rflags, f->flags, mask));
	cpu->next_rip = f->rip;
}

static void iret_real_raise(struct cpu *cpu, const struct insn *in)
{
	struct pops p = pops_begin(cpu);
	struct iret_frame f = frame_read_raise(cpu, &p, in->opsize);
	uint64_t mask = FLAGS_RESTORE | FL_IF | FL_IOPL | (in->opsize == 4 ? FLAGS_WIDE : 0);

	if (f.rip > cpu->s.seg[SEG_CS].limit)
		raise_gp0(cpu);
	enter_real(cpu, &f, &p, mask);
}

/* VME with IOPL < 3: IF of the image becomes VIF, SDM vol 3 20.3.3. */
static void iret_vme_raise(struct cpu *cpu, const struct iret_frame *f, const struct pops *p)
{
	if (f->flags & FL_TF || (f->flags & FL_IF && cpu->s.rflags & FL_VIP))
		raise_gp0(cpu);
	enter_real(cpu, f, p, FLAGS_RESTORE);
	insn_set_flags(cpu, merge(cpu->s.rflags, f->flags & FL_IF ? FL_VIF : 0, FL_VIF));
}

static void iret_vm86_raise(struct cpu *cpu, const struct insn *in)
{
	struct pops p = pops_begin(cpu);
	struct iret_frame f;

	if (cpu_iopl(cpu) < 3 && !(cpu->s.cr4 & CR4_VME && in->opsize == 2))
		raise_gp0(cpu);
	f = frame_read_raise(cpu, &p, in->opsize);
	if (f.rip > 0xffff)
		raise_gp0(cpu);
	if (cpu_iopl(cpu) < 3)
		iret_vme_raise(cpu, &f, &p);
	else
		enter_real(cpu, &f, &p, FLAGS_RESTORE | FL_IF | (in->opsize == 4 ? FLAGS_WIDE : 0));
}

/* From CPL 0 to virtual-8086 mode: nine dwords, SDM vol 3 20.2.2. */
static void iret_to_vm86_raise(struct cpu *cpu, struct pops *p, const struct iret_frame *f)
{
	static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	uint64_t mask = FLAGS_RESTORE | FLAGS_WIDE | FL_IF | FL_IOPL | FL_VM | FL_VIF | FL_VIP;
	uint64_t sp = pops_next_raise(cpu, p, 4);
	uint16_t ss = pops_sel_raise(cpu, p, 4), sel[4];

	for (unsigned i = 0; i < 4; i++)
		sel[i] = pops_sel_raise(cpu, p, 4);
	if (f->rip > 0xffff)
		raise_gp0(cpu);
	insn_set_flags(cpu, merge(cpu->s.rflags, f->flags, mask));
	insn_set_cpl(cpu, 3);
	cpu_set_seg_real(cpu, SEG_CS, f->cs);
	cpu_set_seg_real(cpu, SEG_SS, ss);
	for (unsigned i = 0; i < 4; i++)
		cpu_set_seg_real(cpu, order[i], sel[i]);
	cpu->s.gpr[RSP] = (uint32_t)sp;
	cpu->next_rip = f->rip;
}

static uint64_t iret_flag_mask(const struct cpu *cpu, unsigned opsize)
{
	uint64_t mask = FLAGS_RESTORE;

	if (opsize > 2)
		mask |= FLAGS_WIDE;
	if (cpu->s.cpl <= cpu_iopl(cpu))
		mask |= FL_IF;
	if (cpu->s.cpl == 0)
		mask |= FL_IOPL | (opsize > 2 ? FL_VIF | FL_VIP : 0);
	return mask;
}

static void iret_frame_raise(struct cpu *cpu, const struct insn *in, struct pops *p, const struct iret_frame *f)
{
	bool early = cpu_rule(cpu, RULE_RETURN_READS_ALL), outer, pop_ss, code64, have = false;
	uint64_t mask = iret_flag_mask(cpu, in->opsize), sp = 0;
	unsigned cpl = SEL_RPL(f->cs);
	struct desc cs, ss;
	uint16_t sel = 0;

	outer = cpl > cpu->s.cpl;
	pop_ss = outer || cpu_code64(cpu); /* SDM vol 3 6.14.3: 64-bit IRET pops SS:RSP always */
	if (early && (pop_ss || cpl != cpu->s.cpl))
		sel = pops_far_raise(cpu, p, in->opsize, &sp);
	far_check_return_cs_raise(cpu, f->cs, &cs);
	if (early)
		far_check_rip_raise(cpu, &cs, f->rip, 0);
	if (pop_ss && !early)
		sel = pops_far_raise(cpu, p, in->opsize, &sp);
	code64 = desc_is_code64(cpu, &cs);
	if (pop_ss)
		have = far_check_outer_ss_raise(cpu, sel, cpl, code64, &ss);
	far_check_rip_raise(cpu, &cs, f->rip, 0);
	desc_mark_accessed_raise(cpu, &cs);
	insn_set_flags(cpu, merge(cpu->s.rflags, f->flags, mask));
	far_enter(cpu, &cs, cpl, f->rip);
	if (pop_ss)
		far_set_outer_stack(cpu, sel, have ? &ss : NULL, sp, code64);
	else
		pops_commit(cpu, p);
	if (outer)
		seg_drop_inner(cpu);
}

static void iret_protected_raise(struct cpu *cpu, const struct insn *in)
{
	struct pops p = pops_begin(cpu);
	struct iret_frame f = frame_read_raise(cpu, &p, in->opsize);

	if (f.flags & FL_VM && in->opsize == 4 && cpu->s.cpl == 0 && !cpu_long_mode(cpu))
		iret_to_vm86_raise(cpu, &p, &f);
	else
		iret_frame_raise(cpu, in, &p, &f);
}

static void iret_task_raise(struct cpu *cpu, const struct insn *in)
{
	if (cpu_long_mode(cpu))
		raise_gp0(cpu);
	task_switch_raise(cpu, task_link_raise(cpu), TASK_IRET, cpu->next_rip, 0);
}

void insn_iret(struct cpu *cpu, const struct insn *in)
{
	cpu->s.nmi_blocked = false; /* even if it faults: SDM vol 3 6.7.1 */
	if (!(cpu->s.cr0 & CR0_PE))
		iret_real_raise(cpu, in);
	else if (cpu_vm86(cpu))
		iret_vm86_raise(cpu, in);
	else if (cpu->s.rflags & FL_NT)
		iret_task_raise(cpu, in);
	else
		iret_protected_raise(cpu, in);
}
