// SPDX-License-Identifier: GPL-2.0-or-later
/* what: host instructions as bytes (SDM vol 2, chapter 2: instruction format) */
#include "xlate/emit.h"

void emit_rex(struct emit *e, bool w, unsigned reg, unsigned index, unsigned base, bool force)
{
	unsigned rex = 0x40 | w << 3 | (reg >> 3 & 1) << 2 | (index != H_NONE && index & 8 ? 2 : 0) |
		(base != H_NONE && base & 8 ? 1 : 0);
	if (rex != 0x40 || force)
		e1(e, rex);
}

static unsigned scale_bits(unsigned scale)
{
	return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
}

void emit_modrm_mem(struct emit *e, unsigned reg, unsigned base, unsigned index, unsigned scale, int32_t disp)
{
	reg &= 7;
	if (base == H_NONE) {
		/* SIB without base: disp32 */
		e2(e, reg << 3 | 4, scale_bits(scale) << 6 | (index == H_NONE ? 4 : index & 7) << 3 | 5);
		e_32(e, (uint32_t)disp);
		return;
	}
	unsigned mod = disp == 0 && (base & 7) != 5 ? 0 : disp >= -128 && disp <= 127 ? 1 : 2;
	if (index != H_NONE || (base & 7) == 4)
		e2(e, mod << 6 | reg << 3 | 4, scale_bits(scale) << 6 | (index == H_NONE ? 4 : index & 7) << 3 | (base & 7));
	else
		e1(e, mod << 6 | reg << 3 | (base & 7));
	if (mod == 1)
		e1(e, (uint8_t)disp);
	else if (mod == 2)
		e_32(e, (uint32_t)disp);
}

void emit_op_mem(struct emit *e, unsigned width, unsigned opcode, unsigned reg, unsigned base, unsigned index,
	unsigned scale, int32_t disp)
{
	if (width == 2)
		e1(e, 0x66);
	emit_rex(e, width == 8, reg, index, base, width == 1 && reg >= 4);
	e1(e, opcode);
	emit_modrm_mem(e, reg, base, index, scale, disp);
}

void emit_op_reg(struct emit *e, unsigned width, unsigned opcode, unsigned reg, unsigned rm)
{
	if (width == 2)
		e1(e, 0x66);
	emit_rex(e, width == 8, reg, H_NONE, rm, width == 1 && (reg >= 4 || rm >= 4));
	e2(e, opcode, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void emit_ld_cpu(struct emit *e, unsigned width, unsigned reg, uint32_t off)
{
	emit_op_mem(e, width, 0x8b, reg, H_RSP, H_NONE, 1, (int32_t)off);
}

void emit_st_cpu(struct emit *e, unsigned width, uint32_t off, unsigned reg)
{
	emit_op_mem(e, width, 0x89, reg, H_RSP, H_NONE, 1, (int32_t)off);
}

void emit_mov_imm(struct emit *e, unsigned reg, uint64_t val)
{
	if (val <= 0xffffffff) {
		emit_rex(e, false, 0, H_NONE, reg, false);
		e1(e, 0xb8 | (reg & 7));
		e_32(e, (uint32_t)val);
	} else if ((int64_t)val == (int32_t)val) {
		emit_rex(e, true, 0, H_NONE, reg, false);
		e2(e, 0xc7, 0xc0 | (reg & 7));
		e_32(e, (uint32_t)val);
	} else {
		emit_rex(e, true, 0, H_NONE, reg, false);
		e1(e, 0xb8 | (reg & 7));
		e_64(e, val);
	}
}

void emit_mov(struct emit *e, unsigned width, unsigned dst, unsigned src)
{
	emit_op_reg(e, width, 0x8b, dst, src);
}

void emit_movzx(struct emit *e, unsigned width, unsigned dst, unsigned src)
{
	emit_rex(e, false, dst, H_NONE, src, width == 1);
	e3(e, 0x0f, width == 1 ? 0xb6 : 0xb7, 0xc0 | (dst & 7) << 3 | (src & 7));
}

void emit_lea(struct emit *e, unsigned width, unsigned reg, unsigned base, unsigned index, unsigned scale, int32_t disp)
{
	if (index == H_NONE && disp == 0 && base != H_NONE)
		emit_mov(e, width, reg, base);
	else
		emit_op_mem(e, width, 0x8d, reg, base, index, scale, disp);
}

void emit_call_cpu(struct emit *e, uint32_t off)
{
	e1(e, 0xff);
	emit_modrm_mem(e, 2, H_RSP, H_NONE, 1, (int32_t)off);
}

void emit_jmp_cpu(struct emit *e, uint32_t off)
{
	e1(e, 0xff);
	emit_modrm_mem(e, 4, H_RSP, H_NONE, 1, (int32_t)off);
}

uint8_t *emit_jcc(struct emit *e, int cc)
{
	if (cc < 0)
		e1(e, 0xe9);
	else
		e2(e, 0x0f, 0x80 | (unsigned)cc);
	uint8_t *disp = e->p;
	e_32(e, 0);
	return disp;
}

/* SDM vol 2 "NOP": recommended forms. */
void emit_nop(struct emit *e, unsigned n)
{
	static const uint8_t nop[7][7] = { { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0 }, { 0x0f, 0x1f, 0x40, 0 },
		{ 0x0f, 0x1f, 0x44, 0, 0 }, { 0x66, 0x0f, 0x1f, 0x44, 0, 0 }, { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 } };
	for (unsigned k = 0; k < n; k++)
		e1(e, nop[n - 1][k]);
}

void emit_patch(uint8_t *disp, const uint8_t *target)
{
	int32_t d = (int32_t)(target - (disp + 4));
	memcpy(disp, &d, 4);
}

uint8_t *emit_short(struct emit *e, unsigned opcode)
{
	e2(e, opcode, 0);
	return e->p - 1;
}

void emit_patch_short(uint8_t *disp, const uint8_t *target)
{
	int64_t d = target - (disp + 1);
	must(d == (int8_t)d);
	*disp = (uint8_t)d;
}

void emit_jcc_to(struct emit *e, int cc, const uint8_t *target)
{
	emit_patch(emit_jcc(e, cc), target);
}

void emit_flags_save(struct emit *e)
{
	emit_mov(e, 8, S2, H_RAX);
	e1(e, 0x9f);           /* lahf */
	e3(e, 0x0f, 0x90, 0xc0); /* seto al */
}

void emit_flags_restore(struct emit *e)
{
	e2(e, 0x04, 0x7f); /* add al, 0x7f: OF = al */
	e1(e, 0x9e);       /* sahf */
	emit_mov(e, 8, H_RAX, S2);
}
