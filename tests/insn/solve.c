// SPDX-License-Identifier: GPL-2.0-or-later
/* what: makes memory operands land somewhere of interest, and gives registers and memory the values that
 * chance would never find
 *
 * An address is drawn, then its base register is solved for, or the displacement. A register that an earlier
 * instruction of the sequence goes by or has written is not touched. */
#include <string.h>

#include "gen_int.h"

unsigned solve_gpr(ZydisRegister reg)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
	return full >= ZYDIS_REGISTER_RAX && full <= ZYDIS_REGISTER_R15 ? (unsigned)(full - ZYDIS_REGISTER_RAX) : 16;
}

/* Is there memory at this linear address? */
static bool mapped(uint64_t gla)
{
	return gla - CODE_AT < CODE_SIZE || gla - DATA_AT < DATA_SIZE || gla - READ_AT < READ_SIZE ||
		gla - STACK_AT < STACK_SIZE;
}

static enum oplace place_of(uint64_t gla, unsigned size)
{
	uint64_t last = gla + size - 1;
	if (gla >= 0x7ffffff00000 || last >= 0x7ffffff00000)
		return OP_EDGE;
	if (!mapped(gla) || !mapped(last))
		return mapped(gla) ? OP_SECOND : mapped(last) ? OP_FIRST : OP_HOLE;
	if (gla - READ_AT < READ_SIZE)
		return OP_READ;
	if (gla - CODE_AT < CODE_SIZE)
		return OP_CODE;
	if ((gla ^ last) >> 12)
		return OP_CROSS;
	if (gla - STACK_AT < STACK_SIZE)
		return OP_STACK;
	return gla & (size - 1) & 15 ? OP_UNALIGNED : OP_ALIGNED;
}

/* Where an operand of size bytes should lie: a linear address. edge: also where canonical addresses end. */
uint64_t solve_target(struct rng *r, bool edge, unsigned size)
{
	uint64_t align = size >= 64 ? 64 : size >= 32 ? 32 : size >= 16 ? 16 : 8, end = DATA_AT + DATA_SIZE;
	unsigned v = below(r, 100);
	if (v < 40)
		return DATA_AT + (below(r, DATA_SIZE - 512) & ~(align - 1));
	if (v < 58)
		return DATA_AT + below(r, DATA_SIZE - 512);
	if (v < 72) /* across two pages */
		return DATA_AT + 0x1000 * (1 + below(r, 2)) - (size > 1 ? 1 + below(r, size - 1) : 1);
	if (v < 84) /* the second half faults */
		return end - (size > 1 ? 1 + below(r, size - 1) : 1);
	if (v < 86)
		return end - size;
	if (v < 88) /* the first half faults */
		return DATA_AT - (size > 1 ? 1 + below(r, size - 1) : 1);
	if (v < 90)
		return READ_AT + below(r, READ_SIZE - 64);
	if (v < 91)
		return READ_AT + READ_SIZE - 1 - below(r, size);
	if (v < 93)
		return CODE_AT + 0xc00 + below(r, 0x100); /* out of reach of repeated stores */
	if (v < 96) { /* above the stack pointer, below, and where the stack ends */
		uint64_t at = STACK_AT + (v & 1 ? 0xe00 + below(r, 0x400) : below(r, STACK_SIZE));
		return chance(r, 20) ? STACK_AT + STACK_SIZE - below(r, 2 * size) : at;
	}
	if (v < 97 && edge)
		return (v & 1 ? 0x7fffffffffffull : rnd(r)) - below(r, 64);
	return DATA_AT - 0x100000 + below(r, 0x1000);
}

static unsigned seg_of(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_ES: return SEG_ES;
	case ZYDIS_REGISTER_CS: return SEG_CS;
	case ZYDIS_REGISTER_SS: return SEG_SS;
	case ZYDIS_REGISTER_FS: return SEG_FS;
	case ZYDIS_REGISTER_GS: return SEG_GS;
	default: return SEG_DS;
	}
}

uint64_t solve_seg_base(const struct ocase *c, ZydisRegister reg)
{
	unsigned seg = seg_of(reg);

	if (omode64(c->mode))
		return seg == SEG_FS ? c->fs_base : seg == SEG_GS ? c->gs_base : 0;
	return oseg_table[c->mode][seg].base;
}

static bool patch_disp(struct cand *c, uint64_t disp)
{
	unsigned bits = c->zi.raw.disp.size, at = c->zi.raw.disp.offset;
	if (bits == 8 && c->zi.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX && disp + 128 < 256) {
		c->b[at] = (uint8_t)disp;
		return true;
	}
	if (bits != 32 && bits != 16)
		return false;
	memcpy(c->b + at, &disp, bits / 8);
	return true;
}

/* Give register n the value v in its lower width bits. */
static void set_reg(struct ocase *oc, struct rng *r, struct track *t, unsigned n, uint64_t v, unsigned width)
{
	uint64_t upper = width < 64 && chance(r, 50) ? rnd(r) << (width - 1) << 1 : 0;
	oc->gpr[n] = width == 64 ? v : (v & ((1ull << width) - 1)) | upper;
	t->fixed |= 1u << n;
}

/* Elements of a gather's index vector: small, so that all lie near the base. */
static void small_indexes(const struct gen *g, struct rng *r, struct ocase *oc, ZydisRegister reg)
{
	ZydisRegisterClass cls = ZydisRegisterGetClass(reg);
	unsigned n = (unsigned)ZydisRegisterGetId(reg);
	if (cls != ZYDIS_REGCLASS_XMM && cls != ZYDIS_REGCLASS_YMM && cls != ZYDIS_REGCLASS_ZMM)
		return;
	uint8_t *part[4] = { oc->x + 160 + 16 * (n & 15), oc->x + g->l.off[2] + 16 * (n & 15),
		oc->x + g->l.off[6] + 32 * (n & 15), NULL };
	size_t len[3] = { 16, 16, 32 };
	if (n >= 16) {
		part[0] = oc->x + g->l.off[7] + 64 * (n & 15);
		part[1] = NULL;
		len[0] = 64;
	}
	bool wide = chance(r, 50);
	for (unsigned p = 0; part[p]; p++)
		for (size_t k = 0; k < len[p]; k += 8) {
			uint32_t a = below(r, 256) - 64, b = wide ? (uint32_t)((int32_t)a >> 31) : below(r, 256) - 64;
			put_le64(part[p] + k, (uint64_t)b << 32 | a);
		}
}

/* Make off the address of memory operand op of c. False: its registers have been used up by earlier instructions. */
static bool solve_to(const struct gen *g, struct rng *r, struct ocase *oc, struct track *t, struct cand *c,
	const ZydisDecodedOperand *op, uint64_t off)
{
	unsigned width = c->zi.address_width;
	bool vsib = op->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
	unsigned base = solve_gpr(op->mem.base), index = vsib ? 16 : solve_gpr(op->mem.index);
	uint64_t disp = op->mem.disp.has_displacement ? (uint64_t)op->mem.disp.value : 0;
	uint32_t used = (base < 16 ? 1u << base : 0) | (index < 16 ? 1u << index : 0);
	if (used & t->written || (oc->mode == O16 && used & 1u << RSP))
		return false;
	if (vsib)
		small_indexes(g, r, oc, op->mem.index);
	if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP)
		return patch_disp(c, off - (CODE_AT + oc->off + oc->len + c->len));
	if (index < 16 && !(t->fixed & 1u << index) && index != base && index != RSP)
		set_reg(oc, r, t, index, chance(r, 70) ? below(r, 512) - 256ull : rnd(r), width);
	uint64_t scaled = index < 16 ? oc->gpr[index] * op->mem.scale : 0;
	if (base == 16 && index == 16)
		return patch_disp(c, off) || c->zi.raw.disp.size == 0;
	if (base == 16 || t->fixed & 1u << base) {
		uint64_t have = scaled + (base < 16 ? oc->gpr[base] : 0);
		t->fixed |= used;
		return patch_disp(c, off - have) || t->fixed == used || oc->n == 0;
	}
	if (base == index)
		set_reg(oc, r, t, base, (off - disp) / (1 + op->mem.scale), width);
	else
		set_reg(oc, r, t, base, off - scaled - disp, width);
	return true;
}

/* Make memory operand op of c lie where we like. */
bool solve_operand(const struct gen *g, struct rng *r, struct ocase *oc, struct track *t, struct cand *c,
	const ZydisDecodedOperand *op)
{
	unsigned size = op->size ? op->size / 8u : 64;
	/* what CPUs access in pieces they may check in pieces */
	bool whole = size <= 64 && !(size & (size - 1)) && c->zi.avx.mask.reg <= ZYDIS_REGISTER_K0;
	bool near = t->cluster && chance(r, 80);
	uint64_t gla = near ? t->cluster + below(r, 160) - 80 : solve_target(r, omode64(oc->mode) && whole, size);
	if (!solve_to(g, r, oc, t, c, op, gla - solve_seg_base(oc, op->mem.segment)))
		return false;
	t->at = gla;
	t->places |= 1u << place_of(gla, size);
	return true;
}

static bool reads_memory(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY && (op->mem.type == ZYDIS_MEMOP_TYPE_MEM ||
		op->mem.type == ZYDIS_MEMOP_TYPE_VSIB);
}

static bool implicit_stack(const ZydisDecodedOperand *op)
{
	return op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && solve_gpr(op->mem.base) == RSP;
}

bool solve_wanted(const ZydisDecodedOperand *op)
{
	return reads_memory(op) && !implicit_stack(op);
}

static uint64_t at_rest(const struct ocase *oc, const uint8_t *image, uint64_t gla, unsigned size)
{
	uint64_t v = 0;
	(void)oc;
	if (gla - DATA_AT < DATA_SIZE - 8)
		memcpy(&v, image + DATA_OFF + (gla - DATA_AT), size);
	return v;
}

/* Does the instruction take a selector? */
static bool wants_selector(const struct cand *c)
{
	switch (c->zi.mnemonic) {
	case ZYDIS_MNEMONIC_LAR: case ZYDIS_MNEMONIC_LSL: case ZYDIS_MNEMONIC_VERR: case ZYDIS_MNEMONIC_VERW:
	case ZYDIS_MNEMONIC_ARPL:
		return true;
	case ZYDIS_MNEMONIC_MOV:
		return c->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			ZydisRegisterGetClass(c->ops[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
	default:
		return false;
	}
}

bool solve_repeated(const struct cand *c)
{
	return c->zi.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

/* Is RDI in the code region? */
bool solve_in_code(const struct ocase *oc)
{
	return (uint32_t)oc->gpr[RDI] - CODE_AT < CODE_SIZE;
}

/* Values without which the interesting case is too rare. */
void solve_lucky_values(struct rng *r, struct ocase *oc, const struct track *t, const struct cand *c,
	const uint8_t *image)
{
	const ZydisDecodedOperand *m = &c->ops[0];
	unsigned base = m->type == ZYDIS_OPERAND_TYPE_MEMORY ? solve_gpr(m->mem.base) : 16;
	uint32_t taken = t->fixed | t->written | (oc->mode == O16 ? 1u << RSP : 0);
	uint64_t gla = 0;
	if (base < 16 && solve_gpr(m->mem.index) == 16)
		gla = oc->gpr[base] + (uint64_t)m->mem.disp.value + solve_seg_base(oc, m->mem.segment);
	for (unsigned k = 0; k < 2 && wants_selector(c); k++) {
		unsigned n = c->ops[k].type == ZYDIS_OPERAND_TYPE_REGISTER ? solve_gpr(c->ops[k].reg.value) : 16;
		if (n < 16 && !(taken & 1u << n))
			oc->gpr[n] = (oc->gpr[n] & ~0xffffull) | fill_selector(r);
	}
	switch (c->zi.mnemonic) {
	case ZYDIS_MNEMONIC_DIV: case ZYDIS_MNEMONIC_IDIV:
		if (!(taken & 1u << RDX) && chance(r, 70))
			oc->gpr[RDX] = c->zi.mnemonic == ZYDIS_MNEMONIC_IDIV && chance(r, 50) ? ~0ull : below(r, 3);
		if (c->ops[0].size == 8 && !(taken & 1u << RAX) && chance(r, 60))
			oc->gpr[RAX] &= ~0xff00ull;
		break;
	case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC: case ZYDIS_MNEMONIC_XSAVEC64:
	case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64: case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		oc->gpr[RAX] &= 0xe7; /* what both have switched on */
		break;
	case ZYDIS_MNEMONIC_CMPXCHG:
		if (!(taken & 1u << RAX) && chance(r, 60))
			oc->gpr[RAX] = gla ? at_rest(oc, image, gla, 8) : oc->gpr[base & 15];
		break;
	case ZYDIS_MNEMONIC_CMPXCHG8B: case ZYDIS_MNEMONIC_CMPXCHG16B:
		if (!(taken & (1u << RAX | 1u << RDX)) && chance(r, 60)) {
			unsigned half = c->zi.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B ? 4 : 8;
			oc->gpr[RAX] = at_rest(oc, image, gla, half);
			oc->gpr[RDX] = at_rest(oc, image, gla + half, half);
		}
		break;
	case ZYDIS_MNEMONIC_BT: case ZYDIS_MNEMONIC_BTS: case ZYDIS_MNEMONIC_BTR: case ZYDIS_MNEMONIC_BTC:
		if (c->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER && !(taken & 1u << solve_gpr(c->ops[1].reg.value)) &&
			chance(r, 75))
			oc->gpr[solve_gpr(c->ops[1].reg.value)] = below(r, 8192) - 4096ull;
		break;
	default:
		break;
	}
	/* repeats are few, or run until a hole comes; but not over the case itself */
	if (solve_repeated(c) && !(taken & 1u << RCX) && (chance(r, 90) || solve_in_code(oc)))
		oc->gpr[RCX] = below(r, 48);
}

static uint32_t image_off(uint64_t gla)
{
	if (gla - DATA_AT < DATA_SIZE)
		return (uint32_t)(gla - DATA_AT + DATA_OFF);
	return gla - STACK_AT < STACK_SIZE ? (uint32_t)(gla - STACK_AT + STACK_OFF) : IMAGE_SIZE;
}

uint64_t solve_stack_top(const struct ocase *oc)
{
	return (oc->mode == O16 ? (uint16_t)oc->gpr[RSP] : oc->gpr[RSP]) + solve_seg_base(oc, ZYDIS_REGISTER_SS);
}

/* A code segment, mostly, and an offset at which it has INT3. */
static uint16_t far_target(struct rng *r, uint64_t *off)
{
	static const uint16_t code[5] = { 0x23, 0x33, 0xf, 0x17, 0x23 };
	unsigned k = below(r, 5);
	*off = (k == 2 || k == 3 ? 0 : CODE_AT) + 0x900 + below(r, 0x300);
	if (chance(r, 10))
		*off = rnd(r);
	return chance(r, 80) ? code[k] : fill_selector(r);
}

bool solve_is_iret(const struct cand *c)
{
	return c->zi.mnemonic == ZYDIS_MNEMONIC_IRET || c->zi.mnemonic == ZYDIS_MNEMONIC_IRETD ||
		c->zi.mnemonic == ZYDIS_MNEMONIC_IRETQ;
}

/* Frames for IRET and far RET, far pointers for JMP and CALL: such as random numbers would never be. */
void solve_far_values(struct rng *r, struct ocase *oc, const struct track *t, struct cand *c)
{
	unsigned w = c->zi.operand_width / 8, n = 0;
	bool iret = solve_is_iret(c);
	uint64_t off, v[5] = { 0 }, gla = solve_stack_top(oc);
	uint16_t sel = far_target(r, &off);
	if (c->ops[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
		memcpy(c->b + c->zi.raw.imm[0].offset, &off, c->zi.raw.imm[0].size / 8);
		memcpy(c->b + c->zi.raw.imm[1].offset, &sel, 2);
		return;
	}
	if (solve_wanted(&c->ops[0]))
		gla = t->at;
	else if (oc->n)
		return;
	v[n++] = off;
	v[n++] = sel;
	if (iret)
		v[n++] = chance(r, 80) ? rnd(r) & FL_ARITH : rnd(r) & 0x3fffff;
	/* seen on a host: an IRET that turns AC on, from a stack that is not aligned, never ends */
	if (iret && gla & (w - 1))
		v[2] &= ~(uint64_t)FL_AC;
	if (iret && omode64(oc->mode)) {
		v[n++] = chance(r, 80) ? STACK_AT + 0x800 : rnd(r);
		v[n++] = chance(r, 60) ? 0x2b : fill_selector(r);
	}
	/* all of it in the image: one byte behind it is the native side's next page, a fault of the harness's own */
	uint32_t at = image_off(gla);
	if (at + n * w > IMAGE_SIZE || image_off(gla + n * w - 1) != at + n * w - 1)
		return;
	oc->poke_off = at;
	oc->poke_len = n * w;
	for (unsigned k = 0; k < n; k++)
		memcpy(oc->poke + k * w, &v[k], w);
}
