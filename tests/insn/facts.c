// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the table of instruction facts against the decoder library's own knowledge, on every encoding
 *
 * Rule guarded: what xlate/policy.def says of an instruction is so. That windows confine a guest rests on it: a
 * register that changes unnoticed leads the next access through it out of the guest's memory.
 *
 * Every opcode of every map, with each prefix, ModRM, vector length, W, mask and broadcast that makes another
 * instruction of it, in 64-, 32- and 16-bit code. Where table and library disagree, either is wrong: who, stands in
 * others[], with the manual's page. Of F_PAIRS, F_WHOLE, F_WIDTH, F_ADDS, F_SUBTRACTS, F_KEEPS, F_UNALIGNED and which
 * x87 instructions leave their pointers the library knows nothing: the oracle sees those. */
#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "xlate/decode.h"
#include "xlate/key.h"

#define KINDS_MAX 40 /* printed */

/* What was met of a mnemonic. */
struct met {
	uint64_t encodings;
	uint16_t uses, changes, tests;
	bool told;
};

struct facts_test {
	ZydisDecoder decoder[3]; /* by KEY_SIZE */
	struct dec_isa isa;
	struct met met[ZYDIS_MNEMONIC_MAX_VALUE + 1];
	uint64_t encodings, failures;
	/* the encoding looked at */
	const uint8_t *code;
	unsigned size;
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	const struct facts *f;
};

/* What the library says otherwise: registers it leaves out, flags it has as others. */
static const struct other {
	ZydisMnemonic mnemonic;
	uint16_t uses, changes, flags;
	const char *why;
} others[] = {
#define STRINGS(name, regs) \
	{ ZYDIS_MNEMONIC_##name##B, regs, regs, 0, "(E)SI and (E)DI" }, \
	{ ZYDIS_MNEMONIC_##name##W, regs, regs, 0, "the same" }, { ZYDIS_MNEMONIC_##name##D, regs, regs, 0, "the same" }
	STRINGS(CMPS, 1u << RSI | 1u << RDI),
	STRINGS(SCAS, 1u << RDI),
	STRINGS(INS, 1u << RDI),
	STRINGS(OUTS, 1u << RSI),
	{ ZYDIS_MNEMONIC_CMPSQ, 1u << RSI | 1u << RDI, 1u << RSI | 1u << RDI, 0, "the same" },
	{ ZYDIS_MNEMONIC_SCASQ, 1u << RDI, 1u << RDI, 0, "the same" },
	{ ZYDIS_MNEMONIC_XLAT, 1u << RAX | 1u << RBX, 0, 0, "AL and (E)BX are its operands" },
	{ ZYDIS_MNEMONIC_SBB, 0, 0, FL_AF, "sets AF by its result: SDM vol 2 SBB" },
	{ ZYDIS_MNEMONIC_BEXTR, 0, 0, FL_OF | FL_CF, "CF and OF are cleared: SDM vol 2 BEXTR" },
	{ ZYDIS_MNEMONIC_VPTEST, 0, 0, FL_OF | FL_SF | FL_AF | FL_PF, "cleared: SDM vol 2 PTEST" },
	{ ZYDIS_MNEMONIC_VTESTPS, 0, 0, FL_OF | FL_SF | FL_AF | FL_PF, "cleared: SDM vol 2 VTESTPD" },
	{ ZYDIS_MNEMONIC_VTESTPD, 0, 0, FL_OF | FL_SF | FL_AF | FL_PF, "the same" },
	{ ZYDIS_MNEMONIC_TZCNT, 0, 0, FL_OF | FL_SF | FL_AF | FL_PF, "undefined, with any prefix: SDM vol 2 TZCNT" },
	{ ZYDIS_MNEMONIC_LZCNT, 0, 0, FL_OF | FL_SF | FL_AF | FL_PF, "the same: SDM vol 2 LZCNT" },
};

static const struct other *other_of(ZydisMnemonic m)
{
	static const struct other none;
	for (unsigned k = 0; k < ARRAY_LEN(others); k++)
		if (others[k].mnemonic == m)
			return &others[k];
	return &none;
}

static void fail(struct facts_test *t, const char *what)
{
	struct met *met = &t->met[t->zi.mnemonic];
	if (!met->told && t->failures++ < KINDS_MAX) {
		printf("FAIL %s (%s, %u-bit code):", ZydisMnemonicGetString(t->zi.mnemonic), what, 16u << t->size);
		for (unsigned k = 0; k < t->zi.length; k++)
			printf(" %02x", t->code[k]);
		printf("\n");
	}
	met->told = true;
}

static bool is_gpr(ZydisRegister r)
{
	ZydisRegisterClass c = ZydisRegisterGetClass(r);
	return c == ZYDIS_REGCLASS_GPR8 || c == ZYDIS_REGCLASS_GPR16 || c == ZYDIS_REGCLASS_GPR32 ||
	       c == ZYDIS_REGCLASS_GPR64;
}

static uint16_t gpr_bit(ZydisRegister r)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);
	return (uint16_t)(1u << (whole - ZYDIS_REGISTER_RAX));
}

/* As the column has it. */
static char action(const ZydisDecodedOperand *op)
{
	bool rd = op->actions & ZYDIS_OPERAND_ACTION_MASK_READ, wr = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	bool sometimes = op->actions & ZYDIS_OPERAND_ACTION_CONDWRITE;
	return wr && (rd || sometimes) ? 'm' : wr ? 'w' : rd ? 'r' : '.';
}

static bool is_told(const ZydisDecodedOperand *op)
{
	bool mem = op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type != ZYDIS_MEMOP_TYPE_AGEN;
	return mem || (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(op->reg.value));
}

/* Under an opmask a store is conditional, whose column says that it stores. */
static bool same_action(const struct facts_test *t, char column, const ZydisDecodedOperand *op)
{
	char said = action(op);
	bool masked = t->zi.avx.mask.reg > ZYDIS_REGISTER_K0;
	return column == said || (masked && column == 'w' && said == 'm') ||
	       (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MIB);
}

static void check_operands(struct facts_test *t)
{
	struct met *met = &t->met[t->zi.mnemonic];
	const struct other *o = other_of(t->zi.mnemonic);
	unsigned shown = 0, n = 0;
	uint16_t uses = 0, changes = 0;
	for (unsigned i = 0; i < t->zi.operand_count_visible; i++)
		shown += t->ops[i].encoding != ZYDIS_OPERAND_ENCODING_MASK;
	for (unsigned i = 0; i < t->zi.operand_count; i++) {
		const ZydisDecodedOperand *op = &t->ops[i];
		if (op->encoding == ZYDIS_OPERAND_ENCODING_MASK)
			continue;
		if (op->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
			if (is_told(op) && !same_action(t, facts_operand(t->f, shown, n), op))
				fail(t, "operands");
			n++;
		} else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(op->reg.value)) {
			uses |= op->actions & ZYDIS_OPERAND_ACTION_MASK_READ ? gpr_bit(op->reg.value) : 0;
			changes |= op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? gpr_bit(op->reg.value) : 0;
		}
	}
	if (changes & ~facts_changes(t->f, shown))
		fail(t, "changes a register that the table has not");
	if (uses & ~t->f->uses)
		fail(t, "uses a register that the table has not");
	met->uses |= uses | o->uses;
	met->changes |= changes | o->changes;
}

static void check_flags(struct facts_test *t)
{
	static const ZydisAccessedFlags none;
	struct met *met = &t->met[t->zi.mnemonic];
	const ZydisAccessedFlags *z = t->zi.cpu_flags ? t->zi.cpu_flags : &none;
	uint16_t not = other_of(t->zi.mnemonic)->flags;
	uint16_t sets = (z->modified | z->set_0 | z->set_1) & ~z->undefined & FL_ARITH;
	bool repeats = t->zi.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
	uint16_t string = t->f->op == OP_CMPS || t->f->op == OP_SCAS ? FL_ZF : 0; /* without a repetition it tests none */
	if (((z->tested & FL_ARITH) ^ t->f->tests) & ~(repeats ? 0 : string))
		fail(t, "tests");
	if ((sets ^ t->f->sets) & ~not)
		fail(t, "sets");
	if (((z->undefined & FL_ARITH) ^ t->f->undefined) & ~not)
		fail(t, "undefined");
	if (t->f->sets & t->f->undefined)
		fail(t, "both set and undefined");
	met->tests |= z->tested & FL_ARITH;
}

static bool is_x87(const struct facts_test *t)
{
	return t->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && t->zi.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
	       (t->zi.opcode & 0xf8) == 0xd8;
}

/* What may raise an exception by its operands' values, or whose exceptions go by the state of a unit. */
static bool may_fault(const struct facts_test *t)
{
	bool divides = t->zi.mnemonic == ZYDIS_MNEMONIC_DIV || t->zi.mnemonic == ZYDIS_MNEMONIC_IDIV;
	if (t->zi.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED || divides || is_x87(t) ||
	    t->zi.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
		return true;
	for (unsigned i = 0; i < t->zi.operand_count; i++) {
		const ZydisDecodedOperand *op = &t->ops[i];
		bool told = is_told(op), flags = op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
			ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_FLAGS;
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && !told && !flags)
			return true;
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			return true;
	}
	return false;
}

/* MOV is also MOV to a control register: what such operands make a helper's instruction has no facts. */
static bool special(const struct facts_test *t)
{
	for (unsigned i = 0; i < t->zi.operand_count_visible; i++) {
		ZydisRegisterClass c = ZydisRegisterGetClass(t->ops[i].reg.value);
		if (t->ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (c == ZYDIS_REGCLASS_SEGMENT || c == ZYDIS_REGCLASS_CONTROL || c == ZYDIS_REGCLASS_DEBUG ||
		     c == ZYDIS_REGCLASS_TEST))
			return true;
	}
	return false;
}

/* With memory as r/m operand: the same instruction, as wide, that does the same to it. */
static bool same_in_memory(const struct facts_test *t)
{
	uint8_t code[15];
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	memcpy(code, t->code, sizeof(code));
	code[t->zi.raw.modrm.offset] = (uint8_t)((code[t->zi.raw.modrm.offset] & 0x38) | 1);
	bool word = t->zi.mnemonic == ZYDIS_MNEMONIC_MOVSXD && t->zi.operand_width == 16; /* vendors differ */
	if (strncmp(ZydisMnemonicGetString(t->zi.mnemonic), "bt", 2) == 0) /* an offset in a register leads further */
		return false;
	if (special(t) || word || !(t->zi.attributes & ZYDIS_ATTRIB_HAS_MODRM))
		return true;
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&t->decoder[t->size], code, sizeof(code), &zi, ops)))
		return false;
	for (unsigned i = 0; i < zi.operand_count; i++)
		if (ops[i].actions != t->ops[i].actions || ops[i].size != t->ops[i].size)
			return false;
	return zi.mnemonic == t->zi.mnemonic && zi.operand_count == t->zi.operand_count;
}

static bool explicitly_aligned(ZydisExceptionClass c)
{
	return c == ZYDIS_EXCEPTION_CLASS_E1 || c == ZYDIS_EXCEPTION_CLASS_E1NF || c == ZYDIS_EXCEPTION_CLASS_SSE1 ||
	       c == ZYDIS_EXCEPTION_CLASS_AVX1;
}

static void check_marks(struct facts_test *t)
{
	uint16_t marks = t->f->marks;
	bool is4 = false, by_element = false, vector = t->zi.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	for (unsigned i = 0; i < t->zi.operand_count; i++) {
		const ZydisDecodedOperand *op = &t->ops[i];
		is4 |= op->encoding == ZYDIS_OPERAND_ENCODING_IS4;
		by_element |= op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
			op->actions & (ZYDIS_OPERAND_ACTION_CONDREAD | ZYDIS_OPERAND_ACTION_CONDWRITE) &&
			op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
	}
	if (is4 != !!(marks & F_IMM_REG))
		fail(t, "F_IMM_REG");
	if (t->zi.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && by_element && !(marks & F_BY_ELEMENT))
		fail(t, "F_BY_ELEMENT");
	if (marks & F_SAME && t->zi.raw.modrm.mod == 3 && !same_in_memory(t))
		fail(t, "F_SAME");
	bool shifts = t->zi.meta.category == ZYDIS_CATEGORY_SHIFT || t->zi.meta.category == ZYDIS_CATEGORY_ROTATE;
	if (shifts != !!(marks & F_COUNT))
		fail(t, "F_COUNT");
	if (marks & F_QUIET && !special(t) && may_fault(t))
		fail(t, "F_QUIET");
	if (vector && explicitly_aligned(t->zi.meta.exception_class) != !!(marks & F_ALIGNED))
		fail(t, "F_ALIGNED");
	if (marks & (F_X87 | F_X87_CLEARS | F_WAITS) && !is_x87(t))
		fail(t, "F_X87");
}

/* What the translator makes of it: no register and no store that the library knows of goes unnoticed. */
static void check_decoded(struct facts_test *t)
{
	struct dec d;
	uint32_t key = t->size | KEY_STACK32;
	if (dec_decode(&t->isa, &d, key, false, t->code, 15) != DEC_OK || d.cls == DC_HELPER)
		return;
	for (unsigned i = 0; i < t->zi.operand_count; i++) {
		const ZydisDecodedOperand *op = &t->ops[i];
		if (!(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(op->reg.value) && gpr_bit(op->reg.value) & ~d.gpr_wr)
			fail(t, "decoded without a register that it writes");
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT && !d.mem_wr)
			fail(t, "decoded without a store");
	}
	if (d.fl_kill & ~(t->f->sets | t->f->undefined) || d.fl_read != (t->f->tests & FL_ARITH))
		fail(t, "decoded with other flags");
}

static void look(struct facts_test *t, const uint8_t *code, unsigned size)
{
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&t->decoder[size], code, 15, &t->zi, t->ops)))
		return;
	t->f = facts_of(t->zi.mnemonic, t->zi.attributes & ZYDIS_ATTRIB_HAS_MODRM);
	t->code = code;
	t->size = size;
	if (!t->f->listed || t->f->cls == DC_UD)
		return;
	t->encodings++;
	t->met[t->zi.mnemonic].encodings++;
	check_operands(t);
	check_flags(t);
	check_marks(t);
	check_decoded(t);
}

static void look_in_modes(struct facts_test *t, const uint8_t *code)
{
	for (unsigned size = 0; size < 3; size++)
		look(t, code, size);
}

/* Bytes behind an opcode: ModRM, and a SIB and displacement that are as good as any. */
static void with_modrm(struct facts_test *t, uint8_t *code, unsigned n, unsigned modrm)
{
	static const uint8_t rest[4] = { 0x21, 0x12, 0x01, 0x01 };
	code[n] = (uint8_t)modrm;
	memcpy(code + n + 1, rest, sizeof(rest));
	look_in_modes(t, code);
}

static void legacy(struct facts_test *t)
{
	static const struct { uint8_t len, b[2]; } prefix[] = { { 0, { 0 } }, { 1, { 0x66 } }, { 1, { 0xf2 } },
		{ 1, { 0xf3 } }, { 1, { 0x48 } }, { 1, { 0x67 } }, { 2, { 0x66, 0x48 } }, { 2, { 0xf2, 0x48 } },
		{ 2, { 0xf3, 0x48 } }, { 2, { 0x66, 0xf2 } } };
	static const struct { uint8_t len, b[2]; } escape[] = { { 0, { 0 } }, { 1, { 0x0f } }, { 2, { 0x0f, 0x38 } },
		{ 2, { 0x0f, 0x3a } } };
	for (unsigned p = 0; p < ARRAY_LEN(prefix); p++)
		for (unsigned m = 0; m < ARRAY_LEN(escape); m++)
			for (unsigned k = 0; k < 1u << 16; k++) {
				uint8_t code[15] = { 0 };
				unsigned n = prefix[p].len, modrm = k & 0xff;
				if (modrm < 0xc0 && modrm & 0xc7 && (modrm & 0xc7) != 4) /* where the operand is makes no difference */
					continue;
				memcpy(code, prefix[p].b, n);
				memcpy(code + n, escape[m].b, escape[m].len);
				n += escape[m].len;
				code[n++] = (uint8_t)(k >> 8);
				with_modrm(t, code, n, modrm);
			}
}

/* Memory, memory by an index (or a vector of them), a register; with each digit where digits are opcodes. */
static void with_operands(struct facts_test *t, uint8_t *code, unsigned n, bool digits)
{
	for (unsigned reg = 0; reg < (digits ? 8 : 1); reg++) {
		with_modrm(t, code, n, reg << 3 | 1);
		with_modrm(t, code, n, reg << 3 | 4);
		with_modrm(t, code, n, 0xc0 | reg << 3 | 1);
	}
}

static void vex(struct facts_test *t)
{
	for (unsigned map = 1; map <= 3; map++)
		for (unsigned k = 0; k < 1u << 13; k++) { /* opcode, pp, L, W, vvvv named */
			unsigned vvvv = k >> 12 & 1 ? 15 : 12;
			uint8_t code[15] = { 0xc4, (uint8_t)(0xe0 | map),
				(uint8_t)((k >> 11 & 1) << 7 | vvvv << 3 | (k >> 10 & 1) << 2 | (k >> 8 & 3)), (uint8_t)k };
			with_operands(t, code, 4, true);
		}
}

static void evex(struct facts_test *t)
{
	for (unsigned map = 1; map <= 6; map++)
		for (unsigned k = 0; map != 4 && k < 1u << 17; k++) { /* opcode, pp, W, vvvv named, z, b, k1, L'L */
			unsigned vvvv = k >> 11 & 1 ? 15 : 12, opcode = k & 0xff;
			uint8_t code[15] = { 0x62, (uint8_t)(0xf0 | map),
				(uint8_t)((k >> 10 & 1) << 7 | vvvv << 3 | 4 | (k >> 8 & 3)),
				(uint8_t)((k >> 12 & 1) << 7 | (k >> 15 & 3) << 5 | (k >> 13 & 1) << 4 | 8 | (k >> 14 & 1)),
				(uint8_t)opcode };
			bool shifts = map == 1 && opcode >= 0x71 && opcode <= 0x73, prefetches = map == 2 && opcode >> 1 == 0x63;
			with_operands(t, code, 5, shifts || prefetches);
		}
}

/* A row that says more than the library knows of any form is wrong, or what it says otherwise. */
static void check_rows(struct facts_test *t)
{
	for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
		const struct facts *f = facts_of(m, true);
		const struct met *met = &t->met[m];
		const char *what = !f->listed || f->cls == DC_UD ? NULL : !met->encodings ? "no encoding was met"
			: f->uses & ~met->uses ? "uses fewer registers" : f->changes & ~met->changes ? "changes fewer registers"
			: f->tests & ~met->tests ? "tests fewer flags" : NULL;
		if (!what)
			continue;
		printf("FAIL %s: %s\n", ZydisMnemonicGetString((ZydisMnemonic)m), what);
		t->failures++;
	}
}

int main(void)
{
	static struct facts_test t;
	unsigned rows = 0;
	ZydisDecoderInit(&t.decoder[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&t.decoder[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&t.decoder[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	dec_isa_init(&t.isa, NULL);
	legacy(&t);
	vex(&t);
	evex(&t);
	check_rows(&t);
	for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++)
		rows += t.met[m].encodings != 0;
	printf("%" PRIu64 " encodings of %u mnemonics, %zu rows in which the library is not followed: %" PRIu64
	       " failures\n", t.encodings, rows, ARRAY_LEN(others), t.failures);
	return t.failures || rows < 1000 ? 1 : 0;
}
