// SPDX-License-Identifier: GPL-2.0-or-later
/* what: which exception an FPU or vector instruction gets when CR0, CR4 or XCR0 forbid it: #UD or #NM
 *
 * The translator sends such instructions here while anything is switched off; their own bytes tell the class.
 * SDM vol 1 table 14-x and vol 3 13.1: x87 #NM for EM or TS; WAIT for MP and TS; MMX and SSE #UD for EM, then (SSE)
 * OSFXSR, #NM for TS; VEX and EVEX #UD for OSXSAVE or XCR0, then #NM for TS.
 */
#include "insn/insn_int.h"

#define XCR0_AVX 0x06u
#define XCR0_AVX512 0xe6u

enum fp_class { CLASS_X87, CLASS_WAIT, CLASS_MMX, CLASS_SSE, CLASS_VEX, CLASS_MASK, CLASS_EVEX };

/* MMX forms: 0F opcode without a mandatory prefix (SDM vol 2 appendix A, table A-3). */
static bool mmx_opcode(uint8_t op)
{
	return (op >= 0x60 && op <= 0x6b) || op == 0x6e || op == 0x6f || (op >= 0x70 && op <= 0x77) || op == 0x7e ||
	       op == 0x7f || (op >= 0xd1 && op != 0xd6 && op != 0xe6 && op != 0xf0 && op != 0xff && op != 0xd0);
}

/* Opmask instructions need the AVX-512 state though VEX coded: KMOV, KAND .. KTEST (map 1), KSHIFT (map 3). */
static bool mask_opcode(unsigned map, uint8_t op)
{
	if (map == 3)
		return op >= 0x30 && op <= 0x33;
	return map == 1 && ((op >= 0x41 && op <= 0x4b) || (op >= 0x90 && op <= 0x93) || op == 0x98 || op == 0x99);
}

static bool is_prefix(uint8_t b)
{
	return b == 0x66 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 || b == 0x64 ||
	       b == 0x65 || b == 0x67 || b == 0xf0;
}

static enum fp_class classify(const struct cpu *cpu, const struct insn *in)
{
	bool mandatory = false;
	unsigned i = 0;
	uint8_t op;

	for (; i < 14 && (is_prefix(in->raw[i]) || (cpu_code64(cpu) && (in->raw[i] & 0xf0) == 0x40)); i++)
		mandatory |= in->raw[i] == 0x66 || in->raw[i] == 0xf2 || in->raw[i] == 0xf3;
	op = in->raw[i];
	if (op >= 0xd8 && op <= 0xdf)
		return CLASS_X87;
	if (op == 0x9b)
		return CLASS_WAIT;
	if (op == 0x62)
		return CLASS_EVEX;
	if (op == 0xc5)
		return mask_opcode(1, in->raw[i + 2]) ? CLASS_MASK : CLASS_VEX;
	if (op == 0xc4)
		return i < 13 && mask_opcode(in->raw[i + 1] & 0x1f, in->raw[i + 3]) ? CLASS_MASK : CLASS_VEX;
	if (op != 0x0f)
		return CLASS_SSE;
	op = in->raw[i + 1];
	if (!mandatory && (mmx_opcode(op) || op == 0x38 || op == 0x3a)) /* SSSE3 on MMX registers */
		return CLASS_MMX;
	return CLASS_SSE;
}

static bool undefined(const struct cpu *cpu, enum fp_class class)
{
	uint64_t need = class == CLASS_VEX ? XCR0_AVX : XCR0_AVX512;

	if (class == CLASS_X87 || class == CLASS_WAIT)
		return false;
	if (class == CLASS_MMX || class == CLASS_SSE)
		return cpu->s.cr0 & CR0_EM || (class == CLASS_SSE && !(cpu->s.cr4 & CR4_OSFXSR));
	return !cpu_protected(cpu) || !(cpu->s.cr4 & CR4_OSXSAVE) || (cpu->s.xcr0 & need) != need;
}

void insn_nm(struct cpu *cpu, const struct insn *in)
{
	enum fp_class class = classify(cpu, in);
	uint64_t cr0 = cpu->s.cr0;

	if (undefined(cpu, class))
		raise_ud(cpu);
	if (class == CLASS_WAIT ? (cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS) : (cr0 & CR0_TS) != 0)
		cpu_raise(cpu, EXC_NM, 0);
	if (class == CLASS_X87 && cr0 & CR0_EM)
		cpu_raise(cpu, EXC_NM, 0);
	/* WAIT that nothing forbids comes here when TS or EM is set without MP. */
	if (class != CLASS_WAIT)
		raise_ud(cpu);
}
