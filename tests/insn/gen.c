// SPDX-License-Identifier: GPL-2.0-or-later
/* what: makes cases: instructions drawn by encode.c, operands placed by solve.c, put together to sequences,
 * branches and loops
 *
 * Zydis says what the drawn bytes are. What the oracle cannot compare is drawn again. No instruction of a sequence may
 * depend on flags that an earlier one has left undefined. */
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "gen_int.h"
#include "xlate/facts.h"

/* Of AT_HWCAP2: the host's kernel lets programs use FSGSBASE (<asm/hwcap2.h>). The engine always has it. */
#define HWCAP2_FSGSBASE 2

static bool unwanted_extension(ZydisISAExt x)
{
	switch (x) {
	case ZYDIS_ISA_EXT_RDWRFSGS:
		return !(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE);
	case ZYDIS_ISA_EXT_RTM: case ZYDIS_ISA_EXT_TSX_LDTRK: case ZYDIS_ISA_EXT_AMX_BF16: case ZYDIS_ISA_EXT_AMX_INT8:
	case ZYDIS_ISA_EXT_AMX_TILE:
	case ZYDIS_ISA_EXT_RDRAND: case ZYDIS_ISA_EXT_RDSEED: case ZYDIS_ISA_EXT_RDPID:
	case ZYDIS_ISA_EXT_XSAVES: case ZYDIS_ISA_EXT_ENQCMD: case ZYDIS_ISA_EXT_UINTR:
	case ZYDIS_ISA_EXT_SGX: case ZYDIS_ISA_EXT_WAITPKG: case ZYDIS_ISA_EXT_VTX: case ZYDIS_ISA_EXT_PT:
	case ZYDIS_ISA_EXT_TDX: case ZYDIS_ISA_EXT_HRESET:
	/* one vendor's, and hidden from guests */
	case ZYDIS_ISA_EXT_SVM: case ZYDIS_ISA_EXT_CLZERO: case ZYDIS_ISA_EXT_RDPRU: case ZYDIS_ISA_EXT_MONITORX:
	case ZYDIS_ISA_EXT_AMD_INVLPGB: case ZYDIS_ISA_EXT_MCOMMIT: case ZYDIS_ISA_EXT_SNP: case ZYDIS_ISA_EXT_SMX:
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
	/* a hypervisor may patch them; we hide it */
	case ZYDIS_MNEMONIC_VMMCALL: case ZYDIS_MNEMONIC_VMCALL: case ZYDIS_MNEMONIC_MOVDIR64B:
	case ZYDIS_MNEMONIC_RDTSC: case ZYDIS_MNEMONIC_RDTSCP: case ZYDIS_MNEMONIC_RDPMC: case ZYDIS_MNEMONIC_CPUID:
	case ZYDIS_MNEMONIC_RDRAND:
	case ZYDIS_MNEMONIC_RDSEED: case ZYDIS_MNEMONIC_XGETBV: case ZYDIS_MNEMONIC_SYSCALL: case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_SGDT: case ZYDIS_MNEMONIC_SIDT: case ZYDIS_MNEMONIC_SLDT: case ZYDIS_MNEMONIC_STR:
	case ZYDIS_MNEMONIC_SMSW:
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

/* Does it look at a descriptor? */
static bool uses_segments(const struct cand *c)
{
	switch (c->zi.mnemonic) {
	case ZYDIS_MNEMONIC_LAR: case ZYDIS_MNEMONIC_LSL: case ZYDIS_MNEMONIC_VERR: case ZYDIS_MNEMONIC_VERW:
	case ZYDIS_MNEMONIC_LFS: case ZYDIS_MNEMONIC_LGS: case ZYDIS_MNEMONIC_LSS:
	case ZYDIS_MNEMONIC_INT: /* PVM has calls of its own there */
		return true;
	case ZYDIS_MNEMONIC_MOV: case ZYDIS_MNEMONIC_POP:
		return c->ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		       ZydisRegisterGetClass(c->ops[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
	default:
		return c->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || solve_is_iret(c);
	}
}

/* Images that hold x87 pointers. In a sequence they would be those of earlier instructions: FDP and FOP of memory
 * operands are the engine's own (docs/xlate.md). */
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

static uint32_t regs_written(const struct cand *c)
{
	uint32_t w = 0;
	for (unsigned k = 0; k < c->zi.operand_count; k++)
		if (c->ops[k].type == ZYDIS_OPERAND_TYPE_REGISTER && c->ops[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
			unsigned n = solve_gpr(c->ops[k].reg.value);
			/* pushes and pops move it only a little */
			if (n < 16 && !(n == RSP && c->ops[k].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN))
				w |= 1u << n;
		}
	return w;
}

static const struct facts *facts_for(const struct cand *c)
{
	return facts_of(c->zi.mnemonic, c->zi.attributes & ZYDIS_ATTRIB_HAS_MODRM);
}

/* A repetition may be of 0 times, and a shift by 0. */
static uint32_t undef_after(const struct cand *c, uint32_t before)
{
	const struct facts *f = facts_for(c);
	uint32_t defined = f->marks & F_COUNT || solve_repeated(c) ? 0 : f->sets;
	return (before & ~defined) | f->undefined;
}

static bool tests_undefined(const struct cand *c, uint32_t undef)
{
	return facts_for(c)->tests & undef;
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

bool gen_turned(const struct gen *g, const struct ocase *oc, const uint8_t *mem)
{
	const uint8_t *code = mem + CODE_OFF + oc->off;
	for (unsigned k = 0; k < oc->n; k++) {
		if (memcmp(code + oc->start[k], oc->code + oc->start[k], oc->start[k + 1] - oc->start[k]) == 0)
			continue;
		struct cand c = { .len = 1 };
		for (unsigned at = oc->start[k]; at < oc->len + 15 && oc->off + at + 15 <= CODE_SIZE && c.len; at += c.len) {
			memcpy(c.b, code + at, sizeof(c.b));
			if (decode(g, &c, oc->mode) && unwanted(&c))
				return true;
		}
	}
	return false;
}

/* Operands of a cluster go by the same register and a small displacement, as those of compiled code do: checks may be
 * shared. */
static void focus(const struct gen *g, struct rng *r, const struct track *t, unsigned mode, struct cand *c)
{
	unsigned at = c->zi.raw.modrm.offset, rm = c->b[at] & 7;
	if (!t->cluster || !(c->zi.attributes & ZYDIS_ATTRIB_HAS_MODRM) || c->b[at] >= 0xc0 || rm == 4 ||
		c->zi.address_width == 16 || chance(r, 20))
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

static bool fit(const struct gen *g, struct rng *r, struct ocase *oc, struct track *t, struct cand *c,
	const uint8_t *image)
{
	if (unwanted(c) || (!g->segments && uses_segments(c)) || loops_back(c, oc) || tests_undefined(c, t->undef))
		return false;
	if (g->only && strcmp(ZydisMnemonicGetString(c->zi.mnemonic), g->only) != 0)
		return false;
	struct track before = *t;
	for (unsigned k = 0; k < c->zi.operand_count; k++)
		if (solve_wanted(&c->ops[k]) && !solve_operand(g, r, oc, t, c, &c->ops[k])) {
			*t = before;
			return false;
		}
	if (solve_repeated(c) && oc->over) { /* what a CPU makes of one that writes over itself is its own affair */
		*t = before;
		return false;
	}
	if (solve_repeated(c) && solve_in_code(oc) && (t->fixed | t->written) & 1u << RCX) {
		*t = before;
		return false;
	}
	solve_lucky_values(r, oc, t, c, image);
	if (c->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || solve_is_iret(c))
		solve_far_values(r, oc, t, c);
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
		/* VMX, SGX and SEAM instructions with a prefix: a hypervisor may answer them before their prefix is seen */
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
	enum group grp = encode_group(g, r, oc->mode);
	for (unsigned tries = 0; tries < (g->only ? 50000 : 200); tries++) {
		struct cand c;
		if (g->only || tries % 40 == 39) /* few encodings of some are instructions: they need more tries */
			grp = encode_group(g, r, oc->mode);
		encode_bytes(g, r, oc->mode, grp, c.b);
		if (!decode(g, &c, oc->mode)) {
			if (oc->n == 0 && last && !g->only && add_undefined(r, oc, &c))
				return false;
			continue;
		}
		if (!last && (c.zi.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
			c.zi.meta.category == ZYDIS_CATEGORY_INTERRUPT || solve_is_iret(&c)))
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

/* The stack lies over the code: what is pushed, or stored near it, hits instructions that have just run, in the block
 * under way; what they become must not run, so there is no loop. */
static void stack_over_code(struct rng *r, struct ocase *c, struct track *t)
{
	c->over = true;
	t->places |= 1u << OP_CODE;
	c->gpr[RSP] = CODE_AT + c->off + below(r, 16) - oseg_table[c->mode][SEG_SS].base;
	t->cluster = CODE_AT + c->off - 80 + below(r, 8);
}

/* Choose where the operands of a sequence lie together: near the stack pointer, or anywhere. */
static void gather(struct rng *r, const struct ocase *c, struct track *t)
{
	if (c->mode != O16 && chance(r, 30)) {
		t->cluster = solve_stack_top(c) + below(r, 64);
		t->favour = RSP;
		t->fixed |= 1u << RSP;
		return;
	}
	t->cluster = solve_target(r, false, 8);
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
	c->mode = g->segments ? modes[below(r, 10)] : O64;
	c->len = c->n = c->skip = c->poke_len = c->poke_off = 0;
	c->loop = c->over = false;
	place(r, c);
	if (insns > 1 && c->off > 0x1000)
		c->off = 0x800;
	fill_state(r, &g->l, c);
	if (insns > 1 && (c->mode == O64 || c->mode == O32) && chance(r, 8))
		stack_over_code(r, c, &t);
	else if (insns > 1 && chance(r, 50))
		gather(r, c, &t);
	do {
		if (c->n + 1 < insns && c->n > 0 && chance(r, 10))
			add_jcc(g, r, c, &t);
	} while (c->n < insns && add_insn(g, r, c, &t, image, c->n + 1 == insns && !loop));
	c->undef = t.undef;
	c->places = t.places;
	if (loop && !c->over)
		close_loop(g, r, c, &t);
	if (c->off + c->len > CODE_SIZE)
		c->len = CODE_SIZE - c->off;
}

struct gen *gen_new(const struct xlayout *l, const char *only, bool segments)
{
	struct gen *g = xalloc(sizeof(*g));
	g->l = *l;
	g->only = only;
	g->segments = segments;
	for (unsigned m = 0; m < O_MODES; m++)
		check_decoder(m, &g->dec[m]);
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
