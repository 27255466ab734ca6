// SPDX-License-Identifier: GPL-2.0-or-later
/* what: decimal arithmetic that 64-bit mode dropped: AAA AAS AAM AAD DAA DAS SALC
 *
 * SDM vol 2, the instructions' pages. Undefined flags are left as Intel processors leave them where that is known: AAA
 * and AAS clear OF, SF, ZF and PF by AL; good enough for programs that compare with an emulator.
 */
#include "insn/insn_int.h"

static uint64_t szp(uint8_t v)
{
	return (v ? 0 : FL_ZF) | (v & 0x80 ? FL_SF : 0) | (__builtin_parity(v) ? 0 : FL_PF);
}

static void set_arith(struct cpu *cpu, uint64_t flags)
{
	cpu->s.rflags = (cpu->s.rflags & ~(uint64_t)FL_ARITH) | flags;
}

static void ascii_adjust(struct cpu *cpu, uint16_t delta)
{
	uint16_t ax = (uint16_t)cpu->s.gpr[RAX];
	bool adjust = (ax & 0xf) > 9 || cpu->s.rflags & FL_AF;

	if (adjust)
		ax = (uint16_t)(ax + delta);
	reg_set(cpu, RAX, ax & 0xff0f, 2);
	set_arith(cpu, szp(ax & 0x0f) | (adjust ? FL_AF | FL_CF : 0));
}

void insn_aaa(struct cpu *cpu, const struct insn *in)
{
	ascii_adjust(cpu, 0x106);
}

void insn_aas(struct cpu *cpu, const struct insn *in)
{
	ascii_adjust(cpu, (uint16_t)-0x106);
}

void insn_aam(struct cpu *cpu, const struct insn *in)
{
	uint8_t al = (uint8_t)cpu->s.gpr[RAX], base = (uint8_t)in->imm;

	if (!base)
		cpu_raise(cpu, EXC_DE, 0);
	reg_set(cpu, RAX, (uint64_t)(al / base) << 8 | al % base, 2);
	set_arith(cpu, szp(al % base));
}

void insn_aad(struct cpu *cpu, const struct insn *in)
{
	uint16_t ax = (uint16_t)cpu->s.gpr[RAX];
	uint8_t old = (uint8_t)ax, add = (uint8_t)((ax >> 8) * (uint8_t)in->imm), al = (uint8_t)(old + add);

	reg_set(cpu, RAX, al, 2);
	/* CF, AF and OF are undefined; CPUs leave those of the addition */
	set_arith(cpu, szp(al) | (al < old ? FL_CF : 0) | ((old ^ add ^ al) & FL_AF) |
	          ((old ^ al) & (add ^ al) & 0x80 ? FL_OF : 0));
}

static void decimal_adjust(struct cpu *cpu, bool sub)
{
	uint8_t old = (uint8_t)cpu->s.gpr[RAX], al = old;
	bool cf = cpu->s.rflags & FL_CF, af = (old & 0xf) > 9 || cpu->s.rflags & FL_AF;
	bool high = old > 0x99 || cf, carry = high;

	if (af) {
		carry |= sub && old < 6; /* DAS: the borrow of AL - 6 */
		al = (uint8_t)(sub ? al - 6 : al + 6);
	}
	if (high)
		al = (uint8_t)(sub ? al - 0x60 : al + 0x60);
	reg_set(cpu, RAX, (cpu->s.gpr[RAX] & 0xff00) | al, 2);
	set_arith(cpu, szp(al) | (af ? FL_AF : 0) | (carry ? FL_CF : 0));
}

void insn_daa(struct cpu *cpu, const struct insn *in)
{
	decimal_adjust(cpu, false);
}

void insn_das(struct cpu *cpu, const struct insn *in)
{
	decimal_adjust(cpu, true);
}

void insn_salc(struct cpu *cpu, const struct insn *in)
{
	reg_set(cpu, RAX, (cpu->s.gpr[RAX] & 0xff00) | (cpu->s.rflags & FL_CF ? 0xff : 0), 2);
}
