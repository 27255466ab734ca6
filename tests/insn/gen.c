// SPDX-License-Identifier: GPL-2.0-or-later
/* what: makes cases: bytes that walk the opcode maps, and registers that make their memory operands land somewhere of interest
 *
 * An instruction is random bytes behind an opcode that comes from a counter for each map, so that every opcode has its
 * turn. Zydis then says what came out. Its memory operands are solved for the base register (or the displacement), so that
 * the address is one drawn by pick_target. In a sequence an address register must not have been written before.
 */
#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

struct gen {
	struct xlayout l;
	const char *only;
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

enum group { G_ONE, G_X87, G_0F, G_0F38, G_0F3A, G_VEX1, G_VEX2, G_VEX3, G_EVEX1, G_EVEX2, G_EVEX3, G_EVEX5, G_EVEX6, G_COUNT };

static enum group pick_group(const struct gen *g, struct rng *r, unsigned mode)
{
	static const uint8_t share[G_COUNT] = { 30, 10, 26, 6, 3, 5, 6, 3, 3, 5, 3, 2, 2 };
	for (;;) {
		unsigned v = below(r, 104), k = 0;
		while (v >= share[k])
			v -= share[k++];
		if (k >= G_EVEX1 && !(g->l.mask & 0xe0))
			continue;
		if (k >= G_VEX1 && mode == O16 && chance(r, 70))
			continue;
		return (enum group)k;
	}
}

struct out {
	uint8_t *b;
	unsigned n;
};

/* An instruction longer than 15 bytes is cut: it faults by its first 15. */
static void put(struct out *o, unsigned v)
{
	if (o->n < 15)
		o->b[o->n++] = (uint8_t)v;
}

/* Prefixes that contradict each other, come twice or make an instruction too long. */
static void flood(struct rng *r, struct out *o, unsigned mode)
{
	static const uint8_t any[12] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x48 };
	for (unsigned n = 1 + below(r, chance(r, 10) ? 14 : 6); n > 0; n--)
		put(o, any[below(r, mode == O64 ? 12 : chance(r, 30) ? 11 : 10)]);
}

static void prefixes(struct rng *r, struct out *o, enum group grp, unsigned mode)
{
	static const uint8_t seg[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	bool vex = grp >= G_VEX1;
	if (chance(r, 3))
		flood(r, o, mode);
	if (chance(r, mode == O64 ? 8 : 15))
		put(o, 0x67);
	if (chance(r, mode == O64 ? 6 : 12))
		put(o, seg[below(r, 6)]);
	if (vex)
		return;
	if (chance(r, grp == G_X87 ? 3 : 25))
		put(o, 0x66);
	if (chance(r, grp == G_ONE ? 8 : grp == G_X87 ? 2 : 20))
		put(o, 0xf2);
	else if (chance(r, grp == G_ONE ? 8 : grp == G_X87 ? 2 : 22))
		put(o, 0xf3);
	if (grp <= G_0F && chance(r, 4))
		put(o, 0xf0);
	if (mode == O64 && chance(r, 55))
		put(o, 0x40 | (chance(r, 50) ? 8 : 0) | below(r, 8));
}

/* Register bits are inverted in VEX and EVEX; outside 64-bit mode they must be set, or it is LES, LDS, BOUND. */
static void vex(struct rng *r, struct out *o, unsigned map, unsigned mode)
{
	unsigned rxb = mode == O64 ? below(r, 8) << 5 : 0xe0;
	unsigned vvvv = chance(r, 40) ? 15 : mode == O64 ? below(r, 16) : 8 | below(r, 8);
	unsigned last = vvvv << 3 | (chance(r, 50) ? 4 : 0) | below(r, 4);
	if (map == 1 && chance(r, 40)) {
		put(o, 0xc5);
		put(o, (rxb & 0x80) | (mode == O64 ? 0 : 0x40) | (last & 0x7f & ~(mode == O64 ? 0 : 0x40u)) | (mode == O64 ? 0 : 0x40));
		return;
	}
	put(o, 0xc4);
	put(o, rxb | map);
	put(o, (chance(r, 40) ? 0x80 : 0) | last);
}

static void evex(struct rng *r, struct out *o, unsigned map, unsigned mode)
{
	unsigned rxb = mode == O64 ? below(r, 16) << 4 : 0xf0;
	unsigned vvvv = chance(r, 40) ? 15 : mode == O64 ? below(r, 16) : 8 | below(r, 8);
	unsigned aaa = chance(r, 50) ? 0 : below(r, 8);
	unsigned vv = chance(r, 60) || mode != O64 ? 8 : 0;
	put(o, 0x62);
	put(o, rxb | map);
	put(o, (chance(r, 50) ? 0x80 : 0) | vvvv << 3 | 4 | below(r, 4));
	put(o, (aaa && chance(r, 40) ? 0x80 : 0) | below(r, 3) << 5 | (chance(r, 15) ? 0x10 : 0) | vv | aaa);
}

static void escape(struct rng *r, struct out *o, enum group grp, unsigned mode)
{
	switch (grp) {
	case G_0F: put(o, 0x0f); break;
	case G_0F38: put(o, 0x0f); put(o, 0x38); break;
	case G_0F3A: put(o, 0x0f); put(o, 0x3a); break;
	case G_VEX1: case G_VEX2: case G_VEX3: vex(r, o, (unsigned)grp - G_VEX1 + 1, mode); break;
	case G_EVEX1: case G_EVEX2: case G_EVEX3: evex(r, o, (unsigned)grp - G_EVEX1 + 1, mode); break;
	case G_EVEX5: case G_EVEX6: evex(r, o, (unsigned)grp - G_EVEX5 + 5, mode); break;
	default: break;
	}
}

static void raw_bytes(struct gen *g, struct rng *r, unsigned mode, enum group grp, uint8_t *b)
{
	struct out o = { .b = b };
	unsigned op = g->turn[grp]++;
	prefixes(r, &o, grp, mode);
	escape(r, &o, grp, mode);
	put(&o, grp == G_X87 ? 0xd8 | (op & 7) : op & 0xff);
	unsigned modrm = (unsigned)rnd(r) & 0xff;
	put(&o, chance(r, 45) ? modrm | 0xc0 : modrm);
	while (o.n < 15)
		put(&o, chance(r, 30) ? below(r, 4) * 0x55 : (unsigned)rnd(r) & 0xff);
}

static bool unwanted_extension(ZydisISAExt x)
{
	switch (x) {
	case ZYDIS_ISA_EXT_RTM: case ZYDIS_ISA_EXT_TSX_LDTRK: case ZYDIS_ISA_EXT_AMX_BF16: case ZYDIS_ISA_EXT_AMX_INT8: case ZYDIS_ISA_EXT_AMX_TILE:
	case ZYDIS_ISA_EXT_RDRAND: case ZYDIS_ISA_EXT_RDSEED: case ZYDIS_ISA_EXT_RDPID:
	case ZYDIS_ISA_EXT_XSAVES: case ZYDIS_ISA_EXT_ENQCMD: case ZYDIS_ISA_EXT_UINTR:
	case ZYDIS_ISA_EXT_SGX: case ZYDIS_ISA_EXT_WAITPKG: case ZYDIS_ISA_EXT_VTX: case ZYDIS_ISA_EXT_PT: case ZYDIS_ISA_EXT_TDX: case ZYDIS_ISA_EXT_HRESET:
	case ZYDIS_ISA_EXT_AMD3DNOW: case ZYDIS_ISA_EXT_SSE4A: /* not the host's: their immediates are fetched or not */
		return true;
	default:
		return false;
	}
}

/* What the oracle cannot compare: it depends on time, host or kernel, or enters the kernel. */
static bool unwanted(const struct cand *c)
{
	const ZydisDecodedInstruction *zi = &c->zi;
	switch (zi->mnemonic) {
	case ZYDIS_MNEMONIC_VMMCALL: case ZYDIS_MNEMONIC_VMCALL: case ZYDIS_MNEMONIC_MOVDIR64B: /* a hypervisor may patch them; we hide it */
	case ZYDIS_MNEMONIC_RDTSC: case ZYDIS_MNEMONIC_RDTSCP: case ZYDIS_MNEMONIC_RDPMC: case ZYDIS_MNEMONIC_CPUID: case ZYDIS_MNEMONIC_RDRAND:
	case ZYDIS_MNEMONIC_RDSEED: case ZYDIS_MNEMONIC_XGETBV: case ZYDIS_MNEMONIC_SYSCALL: case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_SGDT: case ZYDIS_MNEMONIC_SIDT: case ZYDIS_MNEMONIC_SLDT: case ZYDIS_MNEMONIC_STR: case ZYDIS_MNEMONIC_SMSW:
	case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64: /* saves what it likes */
	case ZYDIS_MNEMONIC_PTWRITE: case ZYDIS_MNEMONIC_RDPID:
		return true;
	case ZYDIS_MNEMONIC_INT:
		return c->ops[0].imm.value.u == 0x80;
	default:
		break;
	}
	return unwanted_extension(zi->meta.isa_ext);
}

/* Images that hold x87 pointers. In a sequence they would be those of earlier instructions: FDP and FOP of memory operands are the
 * engine's own (docs/xlate.md), and after single steps so is FIP. */
static bool stores_x87_pointers(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_FNSTENV: case ZYDIS_MNEMONIC_FNSAVE: case ZYDIS_MNEMONIC_FXSAVE: case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC: case ZYDIS_MNEMONIC_XSAVEC64:
		return true;
	default:
		return false;
	}
}

/* A branch that could go into the case's own bytes again never ends. */
static bool loops_back(const struct cand *c, const struct ocase *oc)
{
	if (c->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE)
		return false;
	for (unsigned k = 0; k < c->zi.operand_count_visible; k++)
		if (c->ops[k].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && c->ops[k].imm.is_relative) {
			uint64_t ip = CODE_AT + oc->off - oseg_table[oc->mode][SEG_CS].base;
			uint64_t to = ip + oc->len + c->len + c->ops[k].imm.value.u;
			to = c->zi.operand_width == 64 ? to : c->zi.operand_width == 32 ? (uint32_t)to : (uint16_t)to;
			return to - ip < oc->len + c->len || (to & 0xffff) - (ip & 0xffff) < oc->len + c->len;
		}
	return false;
}

static unsigned encl(ZydisRegister reg)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
	return full >= ZYDIS_REGISTER_RAX && full <= ZYDIS_REGISTER_R15 ? (unsigned)(full - ZYDIS_REGISTER_RAX) : 16;
}

/* Is there memory at this linear address? */
static bool mapped(uint64_t gla)
{
	return gla - CODE_AT < CODE_SIZE || gla - DATA_AT < DATA_SIZE || gla - READ_AT < READ_SIZE || gla - STACK_AT < STACK_SIZE;
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
static uint64_t pick_target(struct rng *r, bool edge, unsigned size)
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

static uint64_t seg_base(const struct ocase *c, unsigned seg)
{
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
	uint8_t *part[4] = { oc->x + 160 + 16 * (n & 15), oc->x + g->l.off[2] + 16 * (n & 15), oc->x + g->l.off[6] + 32 * (n & 15), NULL };
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
static bool solve_to(const struct gen *g, struct rng *r, struct ocase *oc, struct track *t, struct cand *c, const ZydisDecodedOperand *op, uint64_t off)
{
	unsigned width = c->zi.address_width;
	bool vsib = op->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
	unsigned base = encl(op->mem.base), index = vsib ? 16 : encl(op->mem.index);
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
static bool solve(const struct gen *g, struct rng *r, struct ocase *oc, struct track *t, struct cand *c, const ZydisDecodedOperand *op)
{
	unsigned size = op->size ? op->size / 8u : 64;
	/* what CPUs access in pieces they may check in pieces */
	bool whole = size <= 64 && !(size & (size - 1)) && c->zi.avx.mask.reg <= ZYDIS_REGISTER_K0;
	bool near = t->cluster && chance(r, 80);
	uint64_t gla = near ? t->cluster + below(r, 160) - 80 : pick_target(r, omode64(oc->mode) && whole, size);
	if (!solve_to(g, r, oc, t, c, op, gla - seg_base(oc, seg_of(op->mem.segment))))
		return false;
	t->at = gla;
	t->places |= 1u << place_of(gla, size);
	return true;
}

static bool reads_memory(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY && (op->mem.type == ZYDIS_MEMOP_TYPE_MEM || op->mem.type == ZYDIS_MEMOP_TYPE_VSIB);
}

static bool implicit_stack(const ZydisDecodedOperand *op)
{
	return op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && encl(op->mem.base) == RSP;
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
	case ZYDIS_MNEMONIC_LAR: case ZYDIS_MNEMONIC_LSL: case ZYDIS_MNEMONIC_VERR: case ZYDIS_MNEMONIC_VERW: case ZYDIS_MNEMONIC_ARPL:
		return true;
	case ZYDIS_MNEMONIC_MOV:
		return c->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(c->ops[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
	default:
		return false;
	}
}

static bool is_repeated(const struct cand *c)
{
	return c->zi.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

/* Is RDI in the code region? */
static bool in_code(const struct ocase *oc)
{
	return (uint32_t)oc->gpr[RDI] - CODE_AT < CODE_SIZE;
}

/* Values without which the interesting case is too rare. */
static void lucky_values(struct rng *r, struct ocase *oc, const struct track *t, const struct cand *c, const uint8_t *image)
{
	const ZydisDecodedOperand *m = &c->ops[0];
	unsigned base = m->type == ZYDIS_OPERAND_TYPE_MEMORY ? encl(m->mem.base) : 16;
	uint32_t taken = t->fixed | t->written | (oc->mode == O16 ? 1u << RSP : 0);
	uint64_t gla = base < 16 && encl(m->mem.index) == 16 ? oc->gpr[base] + (uint64_t)m->mem.disp.value + seg_base(oc, seg_of(m->mem.segment)) : 0;
	for (unsigned k = 0; k < 2 && wants_selector(c); k++) {
		unsigned n = c->ops[k].type == ZYDIS_OPERAND_TYPE_REGISTER ? encl(c->ops[k].reg.value) : 16;
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
	case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64: case ZYDIS_MNEMONIC_XRSTOR: case ZYDIS_MNEMONIC_XRSTOR64:
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
		if (c->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER && !(taken & 1u << encl(c->ops[1].reg.value)) && chance(r, 75))
			oc->gpr[encl(c->ops[1].reg.value)] = below(r, 8192) - 4096ull;
		break;
	default:
		break;
	}
	/* repeats are few, or run until a hole comes; but not over the case itself */
	if (is_repeated(c) && !(taken & 1u << RCX) && (chance(r, 90) || in_code(oc)))
		oc->gpr[RCX] = below(r, 48);
}

static uint32_t image_off(uint64_t gla)
{
	return (uint32_t)(gla - DATA_AT < DATA_SIZE ? gla - DATA_AT + DATA_OFF : gla - STACK_AT < STACK_SIZE ? gla - STACK_AT + STACK_OFF : IMAGE_SIZE);
}

static uint64_t stack_top(const struct ocase *oc)
{
	return (oc->mode == O16 ? (uint16_t)oc->gpr[RSP] : oc->gpr[RSP]) + seg_base(oc, SEG_SS);
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

static bool is_iret(const struct cand *c)
{
	return c->zi.mnemonic == ZYDIS_MNEMONIC_IRET || c->zi.mnemonic == ZYDIS_MNEMONIC_IRETD || c->zi.mnemonic == ZYDIS_MNEMONIC_IRETQ;
}

/* Frames for IRET and far RET, far pointers for JMP and CALL: such as random numbers would never be. */
static void far_values(struct rng *r, struct ocase *oc, const struct track *t, struct cand *c)
{
	unsigned w = c->zi.operand_width / 8, n = 0;
	bool iret = is_iret(c);
	uint64_t off, v[5] = { 0 }, gla = stack_top(oc);
	uint16_t sel = far_target(r, &off);
	if (c->ops[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
		memcpy(c->b + c->zi.raw.imm[0].offset, &off, c->zi.raw.imm[0].size / 8);
		memcpy(c->b + c->zi.raw.imm[1].offset, &sel, 2);
		return;
	}
	if (reads_memory(&c->ops[0]) && !implicit_stack(&c->ops[0]))
		gla = t->at;
	else if (oc->n)
		return;
	v[n++] = off;
	v[n++] = sel;
	if (iret)
		v[n++] = chance(r, 80) ? rnd(r) & FL_ARITH : rnd(r) & 0x3fffff;
	if (iret && omode64(oc->mode)) {
		v[n++] = chance(r, 80) ? STACK_AT + 0x800 : rnd(r);
		v[n++] = chance(r, 60) ? 0x2b : fill_selector(r);
	}
	uint32_t at = image_off(gla);
	if (at >= IMAGE_SIZE || image_off(gla + n * w - 1) != at + n * w - 1)
		return;
	oc->poke_off = at;
	oc->poke_len = n * w;
	for (unsigned k = 0; k < n; k++)
		memcpy(oc->poke + k * w, &v[k], w);
}

static uint32_t regs_written(const struct cand *c)
{
	uint32_t w = 0;
	for (unsigned k = 0; k < c->zi.operand_count; k++)
		if (c->ops[k].type == ZYDIS_OPERAND_TYPE_REGISTER && c->ops[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
			unsigned n = encl(c->ops[k].reg.value);
			/* pushes and pops move it only a little */
			if (n < 16 && !(n == RSP && c->ops[k].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN))
				w |= 1u << n;
		}
	return w;
}

/* Instructions that leave all flags alone if their count is 0. */
static bool may_keep_flags(const struct cand *c)
{
	switch (c->zi.mnemonic) {
	case ZYDIS_MNEMONIC_SHL: case ZYDIS_MNEMONIC_SHR: case ZYDIS_MNEMONIC_SAR: case ZYDIS_MNEMONIC_SHLD: case ZYDIS_MNEMONIC_SHRD:
	case ZYDIS_MNEMONIC_ROL: case ZYDIS_MNEMONIC_ROR: case ZYDIS_MNEMONIC_RCL: case ZYDIS_MNEMONIC_RCR:
		return true;
	default:
		return is_repeated(c);
	}
}

static uint32_t undef_after(const struct cand *c, uint32_t before)
{
	const ZydisAccessedFlags *f = c->zi.cpu_flags;
	if (!f)
		return before;
	uint32_t defined = may_keep_flags(c) ? 0 : (f->modified | f->set_0 | f->set_1) & ~f->undefined;
	return ((before & ~defined) | f->undefined) & FL_ARITH;
}

static bool tests_undefined(const struct cand *c, uint32_t undef)
{
	return c->zi.cpu_flags && c->zi.cpu_flags->tested & undef;
}

static bool decode(const struct gen *g, struct cand *c, unsigned mode)
{
	c->known = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->dec[mode], c->b, sizeof(c->b), &c->zi, c->ops));
	c->len = c->known ? c->zi.length : 0;
	return c->known;
}

bool gen_reckon_undefined(const struct gen *g, struct ocase *oc, uint32_t undef)
{
	oc->undef = undef;
	for (unsigned k = 0; k < oc->n; k++) {
		struct cand c = { 0 };
		memcpy(c.b, oc->code + oc->start[k], oc->start[k + 1] - oc->start[k]);
		if (!decode(g, &c, oc->mode))
			continue;
		if (tests_undefined(&c, oc->undef))
			return false;
		oc->undef = undef_after(&c, oc->undef) | (oc->skip >> k & 1 ? oc->undef : 0);
	}
	return true;
}

/* Operands of a cluster go by the same register and a small displacement, as those of compiled code do: checks may be shared. */
static void focus(const struct gen *g, struct rng *r, const struct track *t, unsigned mode, struct cand *c)
{
	unsigned at = c->zi.raw.modrm.offset, rm = c->b[at] & 7;
	if (!t->cluster || !(c->zi.attributes & ZYDIS_ATTRIB_HAS_MODRM) || c->b[at] >= 0xc0 || rm == 4 || c->zi.address_width == 16 || chance(r, 20))
		return;
	struct cand other = *c;
	other.b[at] = (uint8_t)((c->b[at] & 0x38) | (chance(r, 70) ? 0x40 : 0x80) | t->favour);
	if (t->favour == RSP && at < 13) {
		memmove(other.b + at + 2, other.b + at + 1, 13 - at);
		other.b[at + 1] = 0x24;
	}
	if (decode(g, &other, mode) && other.zi.mnemonic == c->zi.mnemonic)
		*c = other;
}

static bool fit(const struct gen *g, struct rng *r, struct ocase *oc, struct track *t, struct cand *c, const uint8_t *image)
{
	if (unwanted(c) || loops_back(c, oc) || tests_undefined(c, t->undef))
		return false;
	if (g->only && strcmp(ZydisMnemonicGetString(c->zi.mnemonic), g->only) != 0)
		return false;
	struct track before = *t;
	for (unsigned k = 0; k < c->zi.operand_count; k++)
		if (reads_memory(&c->ops[k]) && !implicit_stack(&c->ops[k]) && !solve(g, r, oc, t, c, &c->ops[k])) {
			*t = before;
			return false;
		}
	if (is_repeated(c) && in_code(oc) && (t->fixed | t->written) & 1u << RCX) {
		*t = before;
		return false;
	}
	lucky_values(r, oc, t, c, image);
	if (c->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || is_iret(c))
		far_values(r, oc, t, c);
	t->written |= regs_written(c);
	t->undef = undef_after(c, t->undef) | (oc->skip >> oc->n & 1 ? t->undef : 0);
	return true;
}

static enum ogroup group_of(const struct cand *c)
{
	if (!c->known)
		return OG_UNDEFINED;
	if (c->zi.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return c->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ? OG_EVEX : OG_VEX;
	switch (c->zi.opcode_map) {
	case ZYDIS_OPCODE_MAP_0F: return OG_0F;
	case ZYDIS_OPCODE_MAP_0F38: return OG_0F38;
	case ZYDIS_OPCODE_MAP_0F3A: return OG_0F3A;
	default: return (c->zi.opcode & 0xf8) == 0xd8 ? OG_X87 : OG_ONE;
	}
}

static void append(struct ocase *oc, const struct cand *c, unsigned len)
{
	oc->group[oc->n] = (uint8_t)group_of(c);
	oc->mnemonic[oc->n] = c->known ? (uint16_t)c->zi.mnemonic : 0;
	memcpy(oc->code + oc->len, c->b, len);
	oc->start[oc->n++] = (uint16_t)oc->len;
	oc->len += len;
	oc->start[oc->n] = (uint16_t)oc->len;
	if (oc->skip >> (oc->n - 1) & 1)
		oc->code[oc->len - len - 1] = (uint8_t)len;
}

/* A Jcc over the instruction that comes next. */
static void add_jcc(const struct gen *g, struct rng *r, struct ocase *oc, const struct track *t)
{
	struct cand c = { .b = { (uint8_t)(0x70 | below(r, 16)) } };
	if (!decode(g, &c, oc->mode) || tests_undefined(&c, t->undef))
		return;
	append(oc, &c, c.len);
	oc->skip |= 1u << oc->n;
}

/* Bytes that Zydis 4.0.0 does not know, but this host or what is under it may. */
static bool known_elsewhere(const uint8_t *b)
{
	for (unsigned k = 0; k < 6; k++) {
		if (b[k] == 0x0f && (b[k + 1] & 0xfe) == 0x1a) /* MPX: NOPs */
			return true;
		/* VMX, SGX and SEAM instructions with a prefix: a hypervisor may answer them before their prefix is looked at */
		if (b[k] == 0x0f && b[k + 1] == 0x01 && ((b[k + 2] & 0xf8) == 0xc0 || (b[k + 2] & 0xfc) == 0xcc))
			return true;
	}
	return false;
}

/* Bytes that Zydis does not know: #UD is expected of both. */
static bool add_undefined(struct rng *r, struct ocase *oc, const struct cand *c)
{
	if (below(r, 200) || known_elsewhere(c->b))
		return false;
	oc->off &= 0x7ff; /* how much of them a CPU fetches first is its own affair */
	append(oc, c, 15);
	return true;
}

static bool add_insn(struct gen *g, struct rng *r, struct ocase *oc, struct track *t, const uint8_t *image, bool last)
{
	enum group grp = pick_group(g, r, oc->mode);
	for (unsigned tries = 0; tries < (g->only ? 50000 : 200); tries++) {
		struct cand c;
		if (g->only || tries % 40 == 39) /* few encodings of some are instructions: they need more tries */
			grp = pick_group(g, r, oc->mode);
		raw_bytes(g, r, oc->mode, grp, c.b);
		if (!decode(g, &c, oc->mode)) {
			if (oc->n == 0 && last && !g->only && add_undefined(r, oc, &c))
				return false;
			continue;
		}
		if (!last && (c.zi.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || c.zi.meta.category == ZYDIS_CATEGORY_INTERRUPT || is_iret(&c)))
			continue;
		if (oc->n > 0 && c.zi.mnemonic == ZYDIS_MNEMONIC_INT1) /* a trap like those of TF */
			continue;
		if ((!last || oc->n > 0) && stores_x87_pointers(c.zi.mnemonic))
			continue;
		focus(g, r, t, oc->mode, &c);
		if (!fit(g, r, oc, t, &c, image))
			continue;
		append(oc, &c, c.len);
		return true;
	}
	return false;
}

/* Where the code lies: mostly anywhere in its first page, sometimes across into the second, or into the hole behind. */
static void place(struct rng *r, struct ocase *c)
{
	c->off = 0x100 + below(r, 0x600);
	if (chance(r, 12))
		c->off = 0x1000 - 1 - below(r, 14);
	else if (chance(r, 2))
		c->off = 0x2000 - 1 - below(r, 14);
}

/* Choose where the operands of a sequence lie together: near the stack pointer, or anywhere. */
static void gather(struct rng *r, const struct ocase *c, struct track *t)
{
	if (c->mode != O16 && chance(r, 30)) {
		t->cluster = stack_top(c) + below(r, 64);
		t->favour = RSP;
		t->fixed |= 1u << RSP;
		return;
	}
	t->cluster = pick_target(r, false, 8);
	t->favour = chance(r, 70) ? RBX : RBP + below(r, 3);
}

/* Back to the first instruction: LOOP, or DEC ECX and JNZ. What the body does must bear being done again. */
static void close_loop(const struct gen *g, struct rng *r, struct ocase *oc, const struct track *t)
{
	struct cand c = { .len = 2 };
	bool jnz = chance(r, 50);
	if ((t->written | t->fixed) & 1u << RCX || oc->n + 2 > ORACLE_INSNS || oc->len > 120 || oc->n == 0)
		return;
	oc->skip &= (1u << oc->n) - 1; /* nothing goes over the end of the loop */
	struct ocase twice = *oc;
	if (!gen_reckon_undefined(g, &twice, oc->undef))
		return;
	memcpy(c.b, oc->mode == O16 ? "\x49\x90" : "\xff\xc9", 2);
	if (jnz && decode(g, &c, oc->mode))
		append(oc, &c, c.len);
	c.b[0] = jnz ? 0x75 : 0xe2;
	c.b[1] = (uint8_t)-(oc->len + 2);
	if (decode(g, &c, oc->mode))
		append(oc, &c, c.len);
	oc->loop = true;
	oc->gpr[RCX] = 1 + below(r, ORACLE_ROUNDS);
	gen_reckon_undefined(g, oc, 0);
}

void gen_case(struct gen *g, struct rng *r, const uint8_t *image, unsigned insns, struct ocase *c)
{
	static const uint8_t modes[10] = { O64, O64, O64, O64, O64, O64, O32, O32, O32S, O16 };
	struct track t = { 0 };
	bool loop = insns > 1 && chance(r, 20);
	c->mode = modes[below(r, 10)];
	c->len = c->n = c->skip = c->poke_len = c->poke_off = 0;
	c->loop = false;
	place(r, c);
	if (insns > 1 && c->off > 0x1000)
		c->off = 0x800;
	fill_state(r, &g->l, c);
	if (insns > 1 && chance(r, 50))
		gather(r, c, &t);
	do {
		if (c->n + 1 < insns && c->n > 0 && chance(r, 10))
			add_jcc(g, r, c, &t);
	} while (c->n < insns && add_insn(g, r, c, &t, image, c->n + 1 == insns && !loop));
	c->undef = t.undef;
	c->places = t.places;
	if (loop)
		close_loop(g, r, c, &t);
	if (c->off + c->len > CODE_SIZE)
		c->len = CODE_SIZE - c->off;
}

struct gen *gen_new(const struct xlayout *l, const char *only)
{
	struct gen *g = xalloc(sizeof(*g));
	g->l = *l;
	g->only = only;
	ZydisDecoderInit(&g->dec[O64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderInit(&g->dec[O32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&g->dec[O32S], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&g->dec[O16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	return g;
}

void gen_seek(struct gen *g, struct rng *r)
{
	for (unsigned k = 0; k < G_COUNT; k++)
		g->turn[k] = (uint32_t)rnd(r);
}

void gen_free(struct gen *g)
{
	free(g);
}
