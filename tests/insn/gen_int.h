// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what gen.c, encode.c and solve.c share: one candidate for an instruction and what its sequence has come to
 */
#ifndef GEN_INT_H
#define GEN_INT_H

#include <Zydis/Zydis.h>

#include "oracle.h"

struct gen {
	struct xlayout l;
	const char *only;
	bool segments;
	ZydisDecoder dec[O_MODES];
	uint32_t turn[16]; /* next opcode of each group of opcodes */
};

/* One candidate. */
struct cand {
	uint8_t b[15];
	unsigned len;
	bool known;
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
};

/* What a sequence has done with registers so far. */
struct track {
	uint32_t fixed;   /* given a value that must stay */
	uint32_t written;
	uint32_t undef;   /* flags left undefined */
	uint32_t places;
	uint64_t at;      /* the last operand's linear address */
	uint64_t cluster; /* memory operands lie near here, mostly; 0: anywhere */
	unsigned favour;  /* low bits of the register they go by */
};

enum group { G_ONE, G_X87, G_0F, G_0F38, G_0F3A, G_VEX1, G_VEX2, G_VEX3, G_EVEX1, G_EVEX2, G_EVEX3, G_EVEX5, G_EVEX6,
	G_COUNT };

/* check.c: for code of a mode, as the host's CPU reads it */
void check_decoder(unsigned omode, ZydisDecoder *d);

/* encode.c */
/* One of the groups that exist in mode and on this host. */
enum group encode_group(const struct gen *g, struct rng *r, unsigned mode);
/* 15 bytes, the opcode from the group's counter. */
void encode_bytes(struct gen *g, struct rng *r, unsigned mode, enum group grp, uint8_t *b);

/* solve.c */
/* Number of the general register that reg is part of, or 16. */
unsigned solve_gpr(ZydisRegister reg);
/* Where an operand of size bytes should lie: a linear address. edge: also where canonical addresses end. */
uint64_t solve_target(struct rng *r, bool edge, unsigned size);
uint64_t solve_seg_base(const struct ocase *c, ZydisRegister seg);
uint64_t solve_stack_top(const struct ocase *oc);
/* Is op a memory operand whose address can be chosen? */
bool solve_wanted(const ZydisDecodedOperand *op);
/* Make memory operand op of c lie where we like. False: its registers have been used up by earlier instructions. */
bool solve_operand(const struct gen *g, struct rng *r, struct ocase *oc, struct track *t, struct cand *c,
	const ZydisDecodedOperand *op);
bool solve_repeated(const struct cand *c);
/* Is RDI in the code region? */
bool solve_in_code(const struct ocase *oc);
bool solve_is_iret(const struct cand *c);
/* Values without which the interesting case is too rare. */
void solve_lucky_values(struct rng *r, struct ocase *oc, const struct track *t, const struct cand *c,
	const uint8_t *image);
/* Frames for IRET and far RET, far pointers for JMP and CALL: such as random numbers would never be. */
void solve_far_values(struct rng *r, struct ocase *oc, const struct track *t, struct cand *c);

#endif
