// SPDX-License-Identifier: GPL-2.0-or-later
/* what: CLI, STI, PUSHF, POPF, STAC, CLAC, CLD, STD: the system flags and who may touch them
 *
 * IOPL decides, and where it forbids, VME (virtual-8086) and PVI (CPL 3) let VIF stand in for IF:
 * SDM vol 3 20.3, 20.4; vol 2 tables 4-15 and 4-16 ("POPF").
 */
#include "insn/insn_int.h"
#include "cpu/cpuid.h"

enum if_target { TO_IF, TO_VIF, TO_FAULT };

static enum if_target if_target(const struct cpu *cpu)
{
	if (!(cpu->s.cr0 & CR0_PE))
		return TO_IF;
	if (cpu_vm86(cpu))
		return cpu_iopl(cpu) == 3 ? TO_IF : cpu->s.cr4 & CR4_VME ? TO_VIF : TO_FAULT;
	if (cpu->s.cpl <= cpu_iopl(cpu))
		return TO_IF;
	return cpu->s.cpl == 3 && cpu->s.cr4 & CR4_PVI ? TO_VIF : TO_FAULT;
}

void insn_cli(struct cpu *cpu, const struct insn *in)
{
	enum if_target to = if_target(cpu);

	if (to == TO_FAULT)
		raise_gp0(cpu);
	cpu->s.rflags &= ~(uint64_t)(to == TO_IF ? FL_IF : FL_VIF);
}

void insn_sti(struct cpu *cpu, const struct insn *in)
{
	enum if_target to = if_target(cpu);

	if (to == TO_FAULT || (to == TO_VIF && cpu->s.rflags & FL_VIP))
		raise_gp0(cpu);
	if (to == TO_IF && !(cpu->s.rflags & FL_IF))
		cpu->s.int_shadow = true; /* SDM vol 2 "STI": not before the next instruction ended */
	cpu->s.rflags |= to == TO_IF ? FL_IF : FL_VIF;
}

void insn_cld(struct cpu *cpu, const struct insn *in)
{
	cpu->s.rflags &= ~(uint64_t)FL_DF;
}

void insn_std(struct cpu *cpu, const struct insn *in)
{
	cpu->s.rflags |= FL_DF;
}

static void set_ac(struct cpu *cpu, bool on)
{
	if (!cpu->model->smap || cpu->s.cpl)
		raise_ud(cpu);
	insn_set_flags(cpu, on ? cpu->s.rflags | FL_AC : cpu->s.rflags & ~(uint64_t)FL_AC);
}

void insn_stac(struct cpu *cpu, const struct insn *in)
{
	set_ac(cpu, true);
}

void insn_clac(struct cpu *cpu, const struct insn *in)
{
	set_ac(cpu, false);
}

void insn_pushf(struct cpu *cpu, const struct insn *in)
{
	uint64_t flags = (cpu->s.rflags | FL_FIXED) & ~(uint64_t)(FL_VM | FL_RF);

	if (cpu_vm86(cpu) && cpu_iopl(cpu) < 3) {
		if (!(cpu->s.cr4 & CR4_VME) || in->opsize != 2)
			raise_gp0(cpu);
		flags = (flags & ~(uint64_t)FL_IF) | FL_IOPL | (flags & FL_VIF ? FL_IF : 0);
	}
	insn_push_raise(cpu, flags, in->opsize);
}

static uint64_t popf_mask(const struct cpu *cpu, unsigned opsize)
{
	uint64_t mask = FLAGS_RESTORE | (opsize > 2 ? FL_AC | FL_ID : 0);

	if (!(cpu->s.cr0 & CR0_PE))
		return mask | FL_IF | FL_IOPL;
	if (cpu_vm86(cpu))
		return mask | FL_IF;
	if (cpu->s.cpl <= cpu_iopl(cpu))
		mask |= FL_IF;
	return cpu->s.cpl == 0 ? mask | FL_IOPL : mask;
}

static void popf_vme_raise(struct cpu *cpu, uint64_t val)
{
	uint64_t mask = FLAGS_RESTORE | FL_VIF;

	if (val & FL_TF || (val & FL_IF && cpu->s.rflags & FL_VIP))
		raise_gp0(cpu);
	val = (val & FLAGS_RESTORE) | (val & FL_IF ? FL_VIF : 0);
	insn_set_flags(cpu, (cpu->s.rflags & ~mask) | val);
}

void insn_popf(struct cpu *cpu, const struct insn *in)
{
	bool virtual_if = cpu_vm86(cpu) && cpu_iopl(cpu) < 3;
	uint64_t val, mask = popf_mask(cpu, in->opsize);
	struct pops p = pops_begin(cpu);

	if (virtual_if && !(cpu->s.cr4 & CR4_VME && in->opsize == 2))
		raise_gp0(cpu);
	val = pops_next_raise(cpu, &p, in->opsize);
	if (virtual_if)
		popf_vme_raise(cpu, val);
	else
		insn_set_flags(cpu, (cpu->s.rflags & ~(mask | FL_RF)) | (val & mask));
	pops_commit(cpu, &p);
}
