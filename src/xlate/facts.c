// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the table of instruction facts by Zydis's mnemonics, and the instruction sets of a CPU model
 *
 * Windows confine what guests reach only as far as the translator knows which registers an instruction writes and by
 * how much (windowed.c, I1). So that is said here, in a table of our own, and by the library: tests/insn/facts.c has
 * them agree on every encoding, tests/insn/written.c looks at what the CPU does.
 */
#include "xlate/facts.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/vendor.h"
#include "insn/insn.h"
#include "xlate/decode.h"

/* Sets of registers and flags as policy.def names them. */
enum { AX = 1 << RAX, CX = 1 << RCX, DX = 1 << RDX, BX = 1 << RBX, SP = 1 << RSP, BP = 1 << RBP, SI = 1 << RSI,
	DI = 1 << RDI, REG11 = 1 << R11 };
enum { O = FL_OF, S = FL_SF, Z = FL_ZF, A = FL_AF, P = FL_PF, C = FL_CF };
enum { AC = A | C, AP = A | P, OA = O | A, OC = O | C, OS = O | S, ZC = Z | C, OAC = O | AC, OSZ = OS | Z, OZC = O | ZC,
	SAP = S | AP, SZP = S | Z | P, OSAP = OS | AP, OSZC = OSZ | C, OSZP = OSZ | P, SZAP = SZP | A, SZPC = SZP | C,
	OSAPC = OSAP | C, OSZAP = O | SZAP, OSZPC = OSZP | C, SZAPC = SZAP | C, OSZAPC = FL_ARITH };

static const struct facts rows[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN(mnemonic, class, helper, operands, uses, changes, tests, sets, undefined, facts) \
	[ZYDIS_MNEMONIC_##mnemonic] = { true, DC_##class, OP_##helper, facts, uses, changes, tests, sets, undefined, \
		operands },
#define COPY(mnemonic, operands, facts) INSN(mnemonic, COPY, UD, operands, 0, 0, 0, 0, 0, facts)
#include "xlate/policy.def"
#undef COPY
#undef INSN
};

const struct facts *facts_of(unsigned mnemonic, bool modrm)
{
	if (!modrm && mnemonic == ZYDIS_MNEMONIC_MOVSD)
		return &rows[ZYDIS_MNEMONIC_MOVSW];
	if (!modrm && mnemonic == ZYDIS_MNEMONIC_CMPSD)
		return &rows[ZYDIS_MNEMONIC_CMPSW];
	return &rows[mnemonic];
}

/* The word for n operands. */
static const char *word_for(const struct facts *f, unsigned n)
{
	const char *word = f->operands ? f->operands : "";

	while (*word && strcspn(word, " ") != n)
		word += strcspn(word, " ") + (word[strcspn(word, " ")] == ' ');
	return word;
}

char facts_operand(const struct facts *f, unsigned n, unsigned i)
{
	const char *word = word_for(f, n);

	return *word && i < n ? word[i] : '.';
}

uint16_t facts_changes(const struct facts *f, unsigned n)
{
	const char *word = word_for(f, n);

	return *word && word != f->operands ? 0 : f->changes;
}

/* The feature bit of an instruction set; leaf 0: it needs none. */
struct isa_row {
	uint16_t set;
	uint8_t sub, reg, bit;
	uint32_t leaf;
};

enum { EAX, EBX, ECX, EDX }; /* as cpuid_offers has them */
static const struct isa_row isa_rows[] = {
#define ISA(set, leaf, sub, reg, bit) { ZYDIS_ISA_SET_##set, sub, reg, bit, leaf },
#define ANY(set) { ZYDIS_ISA_SET_##set, 0, 0, 0, 0 },
#include "xlate/isa.def"
#undef ISA
#undef ANY
};
_Static_assert(ZYDIS_ISA_SET_MAX_VALUE < 8 * sizeof(((struct dec_isa *)0)->has), "struct dec_isa");

bool dec_isa_has(const struct dec_isa *isa, unsigned set)
{
	return isa->has[set / 8] >> set % 8 & 1;
}

void dec_isa_init(struct dec_isa *isa, const struct cpu_model *m)
{
	memset(isa, 0, sizeof(*isa));
	isa->amd = m && m->vendor == VENDOR_AMD;
	for (unsigned k = 0; k < ARRAY_LEN(isa_rows); k++) {
		const struct isa_row *r = &isa_rows[k];
		if (!m || !r->leaf || cpuid_offers(m, r->leaf, r->sub, r->reg, r->bit))
			isa->has[r->set / 8] |= (uint8_t)(1u << r->set % 8);
	}
	isa->lzcnt = dec_isa_has(isa, ZYDIS_ISA_SET_LZCNT);
	isa->tzcnt = dec_isa_has(isa, ZYDIS_ISA_SET_BMI1);
}
