// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what is known of an instruction by its mnemonic (policy.def), and which of them a CPU model has (isa.def) */
#ifndef XLATE_FACTS_H
#define XLATE_FACTS_H

#include "cpu/cpuid.h"

/* Column facts of policy.def. */
enum fact {
	F_QUIET = 1 << 0,      /* if it reaches no memory it raises no exception, whatever its operands hold */
	F_SAME = 1 << 1,       /* does to memory as r/m operand what it does to a register there, and no more */
	F_KEEPS = 1 << 2,      /* may leave the register it writes as it was */
	F_ADDS = 1 << 3,       /* with an immediate: adds it to the first operand; */
	F_SUBTRACTS = 1 << 4,  /* takes it off there */
	F_COUNT = 1 << 5,      /* shifts by its last operand: by 0 it leaves all flags alone */
	F_IMM_REG = 1 << 6,    /* its immediate names a register */
	F_WIDTH = 1 << 7,      /* VEX.W, EVEX.W: the width of a general register or of an integer in memory */
	F_ALIGNED = 1 << 8,    /* VEX and EVEX: the operand in memory must be aligned */
	F_UNALIGNED = 1 << 9,  /* legacy SSE: it need not */
	F_BY_ELEMENT = 1 << 10, /* VEX: a vector says which elements of the operand are reached */
	F_PAIRS = 1 << 11,     /* a bit of the opmask stands for a pair of the elements that the library counts */
	F_WHOLE = 1 << 12,     /* the operand is reached as a whole, whatever the opmask */
	/* x87: leaves its address and opcode in the pointers; clears them. Control instructions do neither (SDM vol 1
	 * 8.1.8, 8.3.11); FNOP, FINCSTP, FDECSTP and FFREE leave theirs, whatever the list says, as seen on AMD Zen 5 */
	F_X87 = 1 << 13,
	F_X87_CLEARS = 1 << 14,
	F_WAITS = 1 << 15,     /* x87: an exception that waits comes before those of the operand */
};

/* A row of policy.def. */
struct facts {
	bool listed;
	uint8_t cls;                  /* enum dec_class */
	uint8_t op;                   /* enum insn_op */
	uint16_t marks;               /* enum fact */
	uint16_t uses, changes;       /* bits by number of general register; see facts_changes */
	uint16_t tests, sets, undefined; /* bits of RFLAGS */
	const char *operands;
};

/* Which instruction sets a CPU has, by the decoder library's numbers, and the vendor whose rules are to hold: what
 * decoding depends on that a CPU never changes. */
struct dec_isa {
	bool amd, lzcnt, tzcnt;
	uint8_t has[64];
};

/* m: NULL for all that we know, and Intel's rules. */
void dec_isa_init(struct dec_isa *isa, const struct cpu_model *m);
/* Is set, by the library's number, one of them? */
bool dec_isa_has(const struct dec_isa *isa, unsigned set);

/* The row of a mnemonic, by the library's number; not listed: an empty one. modrm: the encoding has that byte; without
 * it MOVSD and CMPSD are string instructions. */
const struct facts *facts_of(unsigned mnemonic, bool modrm);
/* What it does to operand i, from 0, of n: 'r', 'w', 'm' or '.'. */
char facts_operand(const struct facts *f, unsigned n, unsigned i);
/* The registers besides them that it writes. */
uint16_t facts_changes(const struct facts *f, unsigned n);

#endif
