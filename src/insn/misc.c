// SPDX-License-Identifier: GPL-2.0-or-later
/* what: PAUSE, CPUID, the time stamp and performance counters, RDPID, HLT, MONITOR
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "insn/insn_int.h"
#include "cpu/vendor.h"
#include "mem/coherence.h"

#define LEAF1_EDX_APIC (1u << 9)
#define MSR_APIC_BASE 0x1b
#define APIC_BASE_EN (1u << 11)

/* So many turns of a spin loop, so many TSC ticks apart at most, before the host's core is offered to others. */
#define SPIN_TURNS 64u
#define SPIN_APART 20000u

/* Somebody waits for another CPU, whose thread the host may have put aside just now, for this one perhaps. */
void insn_pause(struct cpu *cpu, const struct insn *in)
{
	uint64_t now = __builtin_ia32_rdtsc();

	__builtin_ia32_pause();
	if (!cpu->member || !mem_shared(cpu->mem))
		return;
	cpu->spin_turns = now - cpu->spin_at < SPIN_APART ? cpu->spin_turns + 1 : 0;
	cpu->spin_at = now;
	if (cpu->spin_turns < SPIN_TURNS)
		return;
	cpu->spin_turns = 0;
	cpu->stats.count[STAT_YIELDS]++;
	syscall(SYS_sched_yield);
}

/* A disabled local APIC does not show: SDM vol 3 10.4.3. */
static bool apic_enabled(struct cpu *cpu)
{
	uint64_t base;

	return !msr_read(cpu, MSR_APIC_BASE, &base) || base & APIC_BASE_EN;
}

void insn_cpuid(struct cpu *cpu, const struct insn *in)
{
	uint32_t leaf = (uint32_t)cpu->s.gpr[RAX], out[4];

	cpuid_answer(cpu, leaf, (uint32_t)cpu->s.gpr[RCX], out);
	if (leaf == 1 && out[3] & LEAF1_EDX_APIC && !apic_enabled(cpu))
		out[3] &= ~LEAF1_EDX_APIC;
	cpu->s.gpr[RAX] = out[0];
	cpu->s.gpr[RBX] = out[1];
	cpu->s.gpr[RCX] = out[2];
	cpu->s.gpr[RDX] = out[3];
}

/* CR4.TSD: SDM vol 3 2.5. Real mode has CPL 0. */
static void read_tsc_raise(struct cpu *cpu)
{
	uint64_t tsc;

	if (cpu->s.cr4 & CR4_TSD && cpu->s.cpl)
		raise_gp0(cpu);
	tsc = __builtin_ia32_rdtsc() + cpu->s.tsc_offset;
	cpu->s.gpr[RAX] = (uint32_t)tsc;
	cpu->s.gpr[RDX] = tsc >> 32;
}

void insn_rdtsc(struct cpu *cpu, const struct insn *in)
{
	read_tsc_raise(cpu);
}

void insn_rdtscp(struct cpu *cpu, const struct insn *in)
{
	if (!cpu->model->rdtscp)
		raise_ud(cpu);
	read_tsc_raise(cpu);
	cpu->s.gpr[RCX] = (uint32_t)cpu->s.tsc_aux;
}

/* No counters are offered (CPUID leaf 0xa is empty), so every index is out of range. */
/* On AMD as many counters as there are MSRs for (msr.def), of 48 bits; on Intel none, as leaf 0AH says. */
void insn_rdpmc(struct cpu *cpu, const struct insn *in)
{
	uint32_t n = (uint32_t)cpu->s.gpr[RCX];
	uint64_t val;

	if (!cpu_rule(cpu, RULE_CORE_COUNTERS) || n >= ARRAY_LEN(cpu->s.amd_perf) / 2)
		raise_gp0(cpu);
	if (cpu->s.cpl && !(cpu->s.cr4 & CR4_PCE))
		raise_gp0(cpu);
	val = cpu->s.amd_perf[2 * n + 1];
	cpu->s.gpr[RAX] = (uint32_t)val;
	cpu->s.gpr[RDX] = val >> 32 & 0xffff;
}

void insn_rdpid(struct cpu *cpu, const struct insn *in)
{
	if (!cpu->model->rdpid)
		raise_ud(cpu);
	reg_set(cpu, in->rm, cpu->s.tsc_aux & UINT32_MAX, cpu_code64(cpu) ? 8 : 4);
}

void insn_hlt(struct cpu *cpu, const struct insn *in)
{
	need_cpl0_raise(cpu);
	cpu->s.halted = true;
	cpu->passed = 0; /* the shadow of STI ends with HLT, wherever that leads */
}

/* CPUID.1.ECX[3] is not offered: waiting on memory would need the other vCPU's stores. */
void insn_monitor(struct cpu *cpu, const struct insn *in)
{
	raise_ud(cpu);
}

void insn_clflush(struct cpu *cpu, const struct insn *in)
{
	mmu_probe_raise(cpu, insn_rm_linear_raise(cpu, in, 1, MMU_READ), 1, MMU_READ);
}
