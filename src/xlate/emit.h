// SPDX-License-Identifier: GPL-2.0-or-later
/* what: host instructions as bytes: the few forms the translator itself needs
 *
 * Host register use while translated code runs (DESIGN.md section 3):
 *   RSP          &cpu; the monitor's stack lies below
 *   R14          guest RSP
 *   R15 R10 R11  scratch S0 S1 S2
 *   others       the guest register of the same number
 * Guest R10, R11, R14 and R15 live in cpu->s.gpr ("homed").
 */
#ifndef XLATE_EMIT_H
#define XLATE_EMIT_H

#include <string.h>

#include "cpu/cpu.h"

enum host_reg { H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14,
	H_R15 };
#define S0 H_R15
#define S1 H_R10
#define S2 H_R11
#define H_GSP H_R14 /* guest RSP */
#define H_NONE 0xff

/* Output buffer: writable alias of the code cache. Overflow is caught by reserving before each instruction. */
struct emit {
	uint8_t *p;
};

static inline void e1(struct emit *e, unsigned b)
{
	*e->p++ = (uint8_t)b;
}
static inline void e2(struct emit *e, unsigned a, unsigned b)
{
	e1(e, a);
	e1(e, b);
}
static inline void e3(struct emit *e, unsigned a, unsigned b, unsigned c)
{
	e2(e, a, b);
	e1(e, c);
}
static inline void e_32(struct emit *e, uint32_t v)
{
	memcpy(e->p, &v, 4);
	e->p += 4;
}
static inline void e_64(struct emit *e, uint64_t v)
{
	memcpy(e->p, &v, 8);
	e->p += 8;
}

/* REX for a reg field, index and base; w: 64-bit. Emitted only if needed or forced. */
void emit_rex(struct emit *e, bool w, unsigned reg, unsigned index, unsigned base, bool force);
/* ModRM (and SIB, disp) for reg, [base + index*scale + disp]; base, index host registers or H_NONE. */
void emit_modrm_mem(struct emit *e, unsigned reg, unsigned base, unsigned index, unsigned scale, int32_t disp);

/* op reg, [base + index*scale + disp] and its mirror; opcode one byte; width 1, 2, 4 or 8. */
void emit_op_mem(struct emit *e, unsigned width, unsigned opcode, unsigned reg, unsigned base, unsigned index,
	unsigned scale, int32_t disp);
/* op with register r/m. */
void emit_op_reg(struct emit *e, unsigned width, unsigned opcode, unsigned reg, unsigned rm);
/* Loads and stores of members of struct cpu. */
void emit_ld_cpu(struct emit *e, unsigned width, unsigned reg, uint32_t off);
void emit_st_cpu(struct emit *e, unsigned width, uint32_t off, unsigned reg);
void emit_mov_imm(struct emit *e, unsigned reg, uint64_t val);
void emit_mov(struct emit *e, unsigned width, unsigned dst, unsigned src);
/* movzx to 32 bits from width 1 or 2. */
void emit_movzx(struct emit *e, unsigned width, unsigned dst, unsigned src);
/* lea reg, [base + index*scale + disp] with 32- or 64-bit result. */
void emit_lea(struct emit *e, unsigned width, unsigned reg, unsigned base, unsigned index, unsigned scale,
	int32_t disp);
/* call/jmp through a pointer in struct cpu. */
void emit_call_cpu(struct emit *e, uint32_t off);
void emit_jmp_cpu(struct emit *e, uint32_t off);
/* Forward jumps with 32-bit displacement: returns where the displacement is, for emit_patch. cc: 0-15, or -1 for jmp.
 * */
uint8_t *emit_jcc(struct emit *e, int cc);
/* n bytes, 1 to 7, that do nothing. */
void emit_nop(struct emit *e, unsigned n);
void emit_patch(uint8_t *disp, const uint8_t *target);
/* The same with 8 bits: opcode 0x70-0x7f for Jcc, 0xe3 for JRCXZ. */
uint8_t *emit_short(struct emit *e, unsigned opcode);
void emit_patch_short(uint8_t *disp, const uint8_t *target);
/* Jump to a known place. */
void emit_jcc_to(struct emit *e, int cc, const uint8_t *target);
/* Save guest arithmetic flags in AX, RAX in S2; and back. */
void emit_flags_save(struct emit *e);
void emit_flags_restore(struct emit *e);


#endif
