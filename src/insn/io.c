// SPDX-License-Identifier: GPL-2.0-or-later
/* what: IN, OUT, INS, OUTS: permission by IOPL and the TSS's I/O map, then port space
 *
 * SDM vol 1 19.5. Most devices are not general-regs-only code: for those the FPU is parked (cpu.h I2). A port
 * access cannot be taken back, so INS checks its destination before it reads the port, and registers are stored after
 * every element.
 */
#include "insn/insn_int.h"

/* All bits of the access must be 0 in the map at TSS:0x66; two bytes are read as hardware does. */
static bool map_allows_raise(struct cpu *cpu, uint16_t port, unsigned size)
{
	uint32_t base = (uint32_t)cpu->s.tr.base, at;
	gla_t tss = cpu_long_mode(cpu) ? cpu->s.tr.base : base;
	uint64_t bits;

	if (cpu->s.tr.attr & SEGA_NULL || (cpu->s.tr.attr & SEGA_TYPE) < DT_TSS32 || cpu->s.tr.limit < 0x67)
		return false;
	at = (uint32_t)mmu_load_raise(cpu, tss + 0x66, 2, MMU_READ | MMU_SYS) + port / 8u;
	if (at + 1 > cpu->s.tr.limit)
		return false;
	bits = mmu_load_raise(cpu, tss + at, 2, MMU_READ | MMU_SYS);
	return !(bits >> (port & 7) & ((1u << size) - 1));
}

static void check_port_raise(struct cpu *cpu, uint16_t port, unsigned size)
{
	if (!(cpu->s.cr0 & CR0_PE))
		return;
	if (!cpu_vm86(cpu) && cpu->s.cpl <= cpu_iopl(cpu))
		return;
	if (!map_allows_raise(cpu, port, size))
		raise_gp0(cpu);
}

static uint16_t port_of(const struct cpu *cpu, const struct insn *in)
{
	return in->reg ? (uint16_t)cpu->s.gpr[RDX] : (uint16_t)(in->imm & 0xff);
}

/* I/O breakpoints, SDM vol 3 17.2.4: R/W = 2 with CR4.DE; the trap follows the instruction or its iteration. */
static void watch_port(struct cpu *cpu, uint16_t port, unsigned size)
{
	if (cpu->s.dr[7] & 0xff && cpu->s.cr4 & CR4_DE)
		mmu_watch_port(cpu, port, size);
}

/* Port space is 32 bits wide at most. */
static unsigned port_size(const struct insn *in)
{
	return in->opsize > 4 ? 4 : in->opsize;
}

static uint32_t port_in(struct cpu *cpu, uint16_t port, unsigned size)
{
	uint16_t was = stats_enter(&cpu->stats, PHASE_DEVICE);
	uint32_t val;

	cpu->stats.count[STAT_PORTS]++;
	if (!mem_plain_in(cpu->mem, port, size, &val)) {
		cpu_fpu_park(cpu);
		val = mem_port_in(cpu->mem, port, size);
	}
	stats_resume(&cpu->stats, was);
	return val;
}

static void port_out(struct cpu *cpu, uint16_t port, uint32_t val, unsigned size)
{
	uint16_t was = stats_enter(&cpu->stats, PHASE_DEVICE);

	cpu->stats.count[STAT_PORTS]++;
	if (!mem_plain_out(cpu->mem, port, val, size)) {
		cpu_fpu_park(cpu);
		mem_port_out(cpu->mem, port, val, size);
	}
	stats_resume(&cpu->stats, was);
}

void insn_in(struct cpu *cpu, const struct insn *in)
{
	uint16_t port = port_of(cpu, in);
	unsigned size = port_size(in);

	check_port_raise(cpu, port, size);
	reg_set(cpu, RAX, port_in(cpu, port, size), size);
	watch_port(cpu, port, size);
}

void insn_out(struct cpu *cpu, const struct insn *in)
{
	uint16_t port = port_of(cpu, in);
	unsigned size = port_size(in);

	check_port_raise(cpu, port, size);
	port_out(cpu, port, (uint32_t)reg_get(cpu, RAX, size), size);
	watch_port(cpu, port, size);
}

static void ins_element_raise(struct cpu *cpu, const struct insn *in, unsigned size, uint16_t port)
{
	uint64_t di = reg_get(cpu, RDI, in->adsize);
	gla_t to = insn_linear_raise(cpu, SEG_ES, di, size, MMU_WRITE);

	mmu_probe_raise(cpu, to, size, MMU_WRITE);
	mmu_store_raise(cpu, to, port_in(cpu, port, size), size, MMU_WRITE);
}

static void outs_element_raise(struct cpu *cpu, const struct insn *in, unsigned size, uint16_t port)
{
	uint64_t si = reg_get(cpu, RSI, in->adsize);
	gla_t from = insn_linear_raise(cpu, in->seg, si, size, MMU_READ);
	uint64_t val = mmu_load_raise(cpu, from, size, MMU_READ);

	port_out(cpu, port, (uint32_t)val, size);
}

typedef void io_element_fn(struct cpu *cpu, const struct insn *in, unsigned size, uint16_t port);

/* Stops between elements for interrupts, single step and requests, with next_rip at itself. */
static void io_string(struct cpu *cpu, const struct insn *in, io_element_fn *element, unsigned reg)
{
	uint16_t port = (uint16_t)cpu->s.gpr[RDX];
	unsigned size = port_size(in);
	int64_t step = cpu->s.rflags & FL_DF ? -(int64_t)size : (int64_t)size;
	uint64_t count = in->rep ? reg_get(cpu, RCX, in->adsize) : 1;

	check_port_raise(cpu, port, size); /* also before no elements at all */
	if (!count)
		return;
	for (;;) {
		element(cpu, in, size, port);
		watch_port(cpu, port, size);
		reg_set(cpu, reg, cpu->s.gpr[reg] + (uint64_t)step, in->adsize);
		if (!in->rep)
			return;
		reg_set(cpu, RCX, --count, in->adsize);
		if (!count)
			return;
		if (insn_pending_stop(cpu))
			break;
	}
	cpu->s.rflags |= FL_RF; /* SDM vol 3 17.3.1.1 */
	cpu->next_rip = cpu->s.rip;
}

void insn_ins(struct cpu *cpu, const struct insn *in)
{
	io_string(cpu, in, ins_element_raise, RDI);
}

void insn_outs(struct cpu *cpu, const struct insn *in)
{
	io_string(cpu, in, outs_element_raise, RSI);
}
