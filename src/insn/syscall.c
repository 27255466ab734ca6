// SPDX-License-Identifier: GPL-2.0-or-later
/* what: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS and the FS/GS base instructions
 *
 * SDM vol 2, the instructions' own pages; vol 3 5.8.7, 5.8.8. Segments are loaded with fixed values, no descriptor is
 * read. Where AMD's CPUs do otherwise: cpu/vendor.def.
 */
#include "insn/insn_int.h"
#include "cpu/vendor.h"

#define ATTR_CODE64 (SEGA_G | SEGA_L | SEGA_P | SEGA_S | 0xb)
#define ATTR_CODE32 (SEGA_G | SEGA_DB | SEGA_P | SEGA_S | 0xb)
#define ATTR_DATA32 (SEGA_G | SEGA_DB | SEGA_P | SEGA_S | 0x3)

static void flat_segments(struct cpu *cpu, uint16_t cs, uint16_t ss, bool code64, unsigned cpl)
{
	uint16_t dpl = (uint16_t)(cpl << 5);

	cpu_set_seg(cpu, SEG_CS, cs, 0, UINT32_MAX, (uint16_t)((code64 ? ATTR_CODE64 : ATTR_CODE32) | dpl));
	cpu_set_seg(cpu, SEG_SS, ss, 0, UINT32_MAX, (uint16_t)(ATTR_DATA32 | dpl));
	insn_set_cpl(cpu, (uint8_t)cpl);
}

/* Unlike others, SYSCALL and SYSRET trap by the TF they leave: a masked TF does not follow into the kernel (APM vol
 * 2 13.1.4). */
static void trap_by_new_tf(struct cpu *cpu)
{
	if (cpu->s.rflags & FL_TF)
		cpu->s.pending_dbg |= 1u << 14; /* BS */
}

static void need_syscall_raise(struct cpu *cpu)
{
	if (!(cpu->s.efer & EFER_SCE) || !cpu_protected(cpu))
		raise_ud(cpu);
	if (!cpu_code64(cpu) && !cpu_rule(cpu, RULE_SYSCALL_IN_32))
		raise_ud(cpu);
}

/* AMD's SYSCALL outside long mode: EIP from STAR[31:0], IF and VM cleared (APM vol 3 "SYSCALL"). */
static void syscall_legacy(struct cpu *cpu, const struct insn *in)
{
	uint16_t sel = (uint16_t)(cpu->s.star >> 32);

	cpu->s.gpr[RCX] = (uint32_t)(cpu->next_rip);
	insn_set_flags(cpu, cpu->s.rflags & ~(uint64_t)(FL_IF | FL_VM | FL_RF));
	flat_segments(cpu, sel & 0xfffc, (uint16_t)(sel + 8), false, 0);
	cpu->next_rip = (uint32_t)cpu->s.star;
}

void insn_syscall(struct cpu *cpu, const struct insn *in)
{
	uint16_t sel = (uint16_t)(cpu->s.star >> 32);
	bool code64 = cpu_code64(cpu);

	need_syscall_raise(cpu);
	if (!cpu_long_mode(cpu)) {
		syscall_legacy(cpu, in);
		return;
	}
	cpu->s.gpr[RCX] = cpu->next_rip;
	cpu->s.gpr[R11] = (cpu->s.rflags | FL_FIXED) & ~(uint64_t)FL_RF;
	insn_set_flags(cpu, cpu->s.gpr[R11] & ~cpu->s.fmask);
	flat_segments(cpu, sel & 0xfffc, (uint16_t)(sel + 8), true, 0); /* SS as STAR has it, RPL too */
	trap_by_new_tf(cpu);
	cpu->next_rip = code64 ? cpu->s.lstar : cpu->s.cstar;
}

static void sysret_segments(struct cpu *cpu, bool to64)
{
	uint16_t sel = (uint16_t)(cpu->s.star >> 48);
	struct cpu_seg ss = cpu->s.seg[SEG_SS];

	flat_segments(cpu, (uint16_t)((sel + (to64 ? 16 : 0)) | 3), (uint16_t)((sel + 8) | 3), to64, 3);
	if (cpu_rule(cpu, RULE_SYSRET_KEEPS_SS))
		cpu_set_seg(cpu, SEG_SS, (uint16_t)(sel + 8), ss.base, ss.limit, ss.attr);
}

void insn_sysret(struct cpu *cpu, const struct insn *in)
{
	bool to64 = in->opsize == 8;

	need_syscall_raise(cpu);
	need_cpl0_raise(cpu);
	if (to64 && !cpu_canonical(cpu->s.gpr[RCX]) && !cpu_rule(cpu, RULE_SYSRET_ANY_RIP))
		raise_gp0(cpu);
	if (cpu_code64(cpu))
		insn_set_flags(cpu, cpu->s.gpr[R11] & 0x3c7fd7);
	else
		insn_set_flags(cpu, cpu->s.rflags | FL_IF);
	sysret_segments(cpu, to64);
	trap_by_new_tf(cpu);
	cpu->next_rip = to64 ? cpu->s.gpr[RCX] : (uint32_t)cpu->s.gpr[RCX];
}

static void need_sysenter_raise(struct cpu *cpu)
{
	if (!cpu->model->sysenter || (cpu_long_mode(cpu) && cpu_rule(cpu, RULE_SYSENTER_LEGACY)))
		raise_ud(cpu);
	if (!(cpu->s.cr0 & CR0_PE) || SEL_NULL(cpu->s.sysenter_cs))
		raise_gp0(cpu);
}

void insn_sysenter(struct cpu *cpu, const struct insn *in)
{
	bool lm = cpu_long_mode(cpu);
	uint16_t sel;

	need_sysenter_raise(cpu);
	sel = cpu->s.sysenter_cs & 0xfffc;
	insn_set_flags(cpu, cpu->s.rflags & ~(uint64_t)(FL_VM | FL_IF | FL_RF));
	flat_segments(cpu, sel, (uint16_t)(sel + 8), lm, 0);
	cpu->s.gpr[RSP] = lm ? cpu->s.sysenter_esp : (uint32_t)cpu->s.sysenter_esp;
	cpu->next_rip = lm ? cpu->s.sysenter_eip : (uint32_t)cpu->s.sysenter_eip;
}

void insn_sysexit(struct cpu *cpu, const struct insn *in)
{
	bool to64 = in->opsize == 8;
	uint64_t rip = reg_get(cpu, RDX, to64 ? 8 : 4), rsp = reg_get(cpu, RCX, to64 ? 8 : 4);
	uint16_t sel = (uint16_t)(cpu->s.sysenter_cs + (to64 ? 32 : 16));

	if (cpu->model->sysenter && !cpu_code64(cpu))
		need_cpl0_raise(cpu); /* before AMD's #UD in long mode, but not in 64-bit code (seen on Zen 3 and 5) */
	need_sysenter_raise(cpu);
	need_cpl0_raise(cpu);
	if (!cpu_canonical(rip) || !cpu_canonical(rsp))
		raise_gp0(cpu);
	flat_segments(cpu, sel | 3, (uint16_t)(sel + 8) | 3, to64, 3);
	cpu->s.gpr[RSP] = rsp;
	cpu->next_rip = rip;
}

void insn_swapgs(struct cpu *cpu, const struct insn *in)
{
	uint64_t base = cpu->s.seg[SEG_GS].base;

	if (!cpu_code64(cpu))
		raise_ud(cpu);
	need_cpl0_raise(cpu);
	cpu->s.seg[SEG_GS].base = cpu->s.kernel_gs_base;
	cpu->s.kernel_gs_base = base;
}

static void need_fsgsbase_raise(struct cpu *cpu)
{
	if (!cpu_code64(cpu) || !(cpu->s.cr4 & CR4_FSGSBASE))
		raise_ud(cpu);
}

void insn_rdfsgsbase(struct cpu *cpu, const struct insn *in)
{
	need_fsgsbase_raise(cpu);
	reg_set(cpu, in->rm, cpu->s.seg[in->reg].base, in->opsize);
}

void insn_wrfsgsbase(struct cpu *cpu, const struct insn *in)
{
	uint64_t base = reg_get(cpu, in->rm, in->opsize);

	need_fsgsbase_raise(cpu);
	if (!cpu_canonical(base))
		raise_gp0(cpu);
	cpu->s.seg[in->reg].base = base;
}
