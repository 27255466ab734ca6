// SPDX-License-Identifier: GPL-2.0-or-later
/* what: compares what the two machines made of a case, and prints a mismatch so that a person can act on it
 */
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gen_int.h"

#define XSAVE_HEADER 512

void xlayout_read(struct xlayout *l)
{
	uint32_t a, b, c, d, lo, hi;
	memset(l, 0, sizeof(*l));
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	l->mask = lo & 0xe7;
	for (unsigned i = 2; i < 8; i++) {
		__cpuid_count(0xd, i, a, b, c, d);
		if (a == 0 || a + b > X_SIZE)
			l->mask &= ~(1ull << i);
		l->off[i] = b;
		l->size[i] = a;
	}
}

/* An image in which components in their initial state have that state written out, and nothing that may differ remains:
 * the x87 pointers are host addresses in the engine. */
static void normalize(const struct xlayout *l, bool m64, const uint8_t *from, uint8_t *x)
{
	uint64_t bv = get_le64(from + XSAVE_HEADER);
	memset(x, 0, X_SIZE);
	put_le32(x + 24, get_le32(from + 24));
	if (bv & 1) {
		memcpy(x, from, 5);
		for (unsigned k = 0; k < 8; k++)
			memcpy(x + 32 + 16 * k, from + 32 + 16 * k, 10);
	} else {
		put_le16(x, 0x37f);
	}
	if (bv & 2)
		memcpy(x + 160, from + 160, 256);
	for (unsigned i = 2; i < 8; i++)
		if (l->mask >> i & 1 && bv >> i & 1)
			memcpy(x + l->off[i], from + l->off[i], l->size[i]);
	if (m64)
		return;
	/* VZEROALL and VZEROUPPER of 32-bit code clear registers it cannot name as well */
	memset(x + 288, 0, 128);
	memset(x + l->off[2] + 128, 0, 128);
	memset(x + l->off[6] + 256, 0, 256);
}

/* Upper halves are undefined once the CPU has been outside 64-bit code (SDM vol 1 3.4.1.1). */
static uint64_t reg_mask(const struct ocase *c, const struct ores *n)
{
	return omode64(c->mode) && n->sel[SEG_CS] == oseg_table[O64][SEG_CS].sel ? UINT64_MAX : UINT32_MAX;
}

unsigned check_insn_at(const struct ocase *c, uint64_t rip)
{
	uint64_t off = rip + oseg_table[c->mode][SEG_CS].base - CODE_AT - c->off;
	for (unsigned k = 0; k < c->n; k++)
		if (off == c->start[k])
			return k;
	return c->n;
}

static bool host_is_amd(void)
{
	uint32_t a, b, c, d;
	__cpuid(0, a, b, c, d);
	return b == 0x68747541 || b == 0x6f677948; /* AuthenticAMD, HygonGenuine */
}

void check_decoder(unsigned omode, ZydisDecoder *d)
{
	static const struct { ZydisMachineMode m; ZydisStackWidth s; } mode[O_MODES] = {
		[O64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
		[O32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[O32S] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[O16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
	};
	ZydisDecoderInit(d, mode[omode].m, mode[omode].s);
	ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_AMD_BRANCHES, host_is_amd());
}

/* Instruction i of the case. */
static bool decode(const struct ocase *c, unsigned i, ZydisDecodedInstruction *zi, ZydisDecodedOperand *ops)
{
	ZydisDecoder d;
	check_decoder(c->mode, &d);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, c->code + c->start[i], c->start[i + 1] - c->start[i], zi, ops));
}

/* The one that ended the case, whether it is one of its own or what writing over them has made. */
static bool decode_last(const struct ocase *c, const struct ores *n, ZydisDecodedInstruction *zi,
	ZydisDecodedOperand *ops)
{
	ZydisDecoder d;
	uint64_t off = n->rip + oseg_table[c->mode][SEG_CS].base - CODE_AT;
	if (n->vector == EXC_BP || off >= CODE_SIZE)
		return false;
	check_decoder(c->mode, &d);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, n->mem + CODE_OFF + off, MIN(CODE_SIZE - off, 15u), zi, ops));
}

/* What need not agree after a fault, because CPUs do it in steps of their own. */
struct excuse {
	bool x87, mxcsr, vectors, memory, registers, offset, pieces;
};

static struct excuse excuses(const struct ocase *c, const struct ores *n)
{
	struct excuse x = { 0 };
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	if (!decode_last(c, n, &zi, ops))
		return x;
	for (unsigned k = 0; k < zi.operand_count; k++) /* TOP is 0 and tags are valid before the operand is looked at */
		if (ops[k].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(ops[k].reg.value) == ZYDIS_REGCLASS_MMX)
			x.x87 = true;
	/* gathers and scatters may keep what they have done (SDM VPGATHERDD) */
	for (unsigned k = 0; k < zi.operand_count; k++) {
		x.vectors |= ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[k].mem.type == ZYDIS_MEMOP_TYPE_VSIB;
		x.memory |= x.vectors;
		x.pieces |= ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[k].size == 80;
	}
	x.offset = x.vectors;
	x.pieces |= x.vectors;
	x.offset |= zi.avx.mask.reg > ZYDIS_REGISTER_K0; /* the address of any element that is on */
	switch (zi.mnemonic) {
	case ZYDIS_MNEMONIC_POPA: case ZYDIS_MNEMONIC_POPAD: /* registers are loaded as far as it goes */
		x.registers = true;
		break;
	case ZYDIS_MNEMONIC_PUSHA: case ZYDIS_MNEMONIC_PUSHAD:
	case ZYDIS_MNEMONIC_ENTER: /* the frame is pushed as far as it goes */
	case ZYDIS_MNEMONIC_CALL:  /* the return address is pushed before the target is checked */
		x.memory = true;
		break;
	case ZYDIS_MNEMONIC_FSTP: case ZYDIS_MNEMONIC_FBSTP: /* two stores */
		x.memory = true;
		break;
	case ZYDIS_MNEMONIC_VCVTPS2PH: /* converted, then stored */
		x.mxcsr = true;
		break;
	case ZYDIS_MNEMONIC_FNSTENV: case ZYDIS_MNEMONIC_FNSAVE: case ZYDIS_MNEMONIC_FXSAVE: case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC: case ZYDIS_MNEMONIC_XSAVEC64:
	case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64:
		x.memory = true;
		x.pieces = true;
		break;
	case ZYDIS_MNEMONIC_FXRSTOR: case ZYDIS_MNEMONIC_FXRSTOR64: case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
	case ZYDIS_MNEMONIC_FLDENV: case ZYDIS_MNEMONIC_FRSTOR: /* done in pieces, in an order of their own */
		x.pieces = true;
		break;
	/* address of any byte */
	case ZYDIS_MNEMONIC_MASKMOVQ: case ZYDIS_MNEMONIC_MASKMOVDQU: case ZYDIS_MNEMONIC_VMASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVPS: case ZYDIS_MNEMONIC_VMASKMOVPD: case ZYDIS_MNEMONIC_VPMASKMOVD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		x.offset = true;
		break;
	default:
		break;
	}
	return x;
}

/* Flags that must agree. A fault in a block may show dead flags (docs/xlate.md, Rules). */
static uint64_t flag_mask(const struct ocase *c, const struct ores *n, bool step)
{
	uint64_t m = FL_ARITH | FL_DF | FL_IF | FL_TF | FL_NT | FL_IOPL | FL_AC | FL_ID;
	if (n->vector != EXC_BP && !step)
		return m & ~(uint64_t)FL_ARITH;
	return n->vector == EXC_BP ? m & ~(uint64_t)c->undef : m;
}

static bool address_fault(const struct ores *r)
{
	return r->vector == EXC_PF || r->vector == EXC_GP || r->vector == EXC_SS || r->vector == EXC_AC;
}

static bool same_event(const struct ores *a, const struct ores *b, const struct excuse *x)
{
	if (x->pieces && address_fault(a) && address_fault(b))
		return true;
	/* the trap of elements that the CPU has gathered comes in lieu of the fault (SDM VPGATHERDD); we gather all or
	 * none */
	if (x->vectors && a->vector == EXC_DB && a->rflags & FL_TF && address_fault(b))
		return true;
	if (a->vector != b->vector)
		return false;
	if (a->vector == EXC_PF) {
		bool high = a->cr2 >= 0x7ffffffff000;
		uint64_t differ = (a->cr2 ^ b->cr2) & (x->offset ? ~0xfffull : ~0ull);
		/* Linux hides whether a kernel address is mapped */
		return !differ && (a->error | (high ? 1u : 0)) == (b->error | (high ? 1u : 0));
	}
	return a->vector == EXC_BP || a->error == b->error;
}

static bool is_x87_store(const struct ocase *c, unsigned at)
{
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	return decode(c, at, &zi, ops) && zi.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (zi.opcode & 0xf8) == 0xd8 &&
	       ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
}

/* A store whose value raises an unmasked x87 exception does not take place; CPUs then do not look at its address
 * either. The exception is pending afterwards, unless a later instruction (FNINIT, FNCLEX) has cleared it. */
static bool x87_store_suppressed(const struct ocase *c, const struct ores *n, const struct ores *e)
{
	unsigned at = check_insn_at(c, e->rip);
	bool unmasked = get_le64(e->x + XSAVE_HEADER) & 1 && (e->x[0] & 0x3f) != 0x3f;
	return address_fault(e) && at < c->n && unmasked && (n->x[2] & 0x80 || at + 1 < c->n) && is_x87_store(c, at);
}

/* No instruction, and by what its opcode would take longer than 15 bytes: CPUs see the length first (docs/xlate.md).
 * Prefixes alone are at least four then: VEX or EVEX, opcode, ModRM, SIB, displacement and immediate are twelve at
 * most. */
static bool undefined_and_too_long(const struct ocase *c, const struct ores *n, const struct ores *e)
{
	return c->n == 1 && c->group[0] == OG_UNDEFINED && n->vector == EXC_GP && n->error == 0 &&
	       e->vector == EXC_UD && n->rip == e->rip &&
	       memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf2\xf3\xf0\x48", c->code[3], 12);
}

/* VCVTSI2SD and VCVTUSI2SD, EVEX with W = 1 and b = 1, in 32-bit code: W is ignored there, and from 32 bits there is
 * nothing to round (SDM vol 2 "VCVTUSI2SD"). CPUs let it pass, Zydis does not (docs/xlate.md). */
static bool rounds_nothing(const struct ocase *c, const struct ores *e)
{
	unsigned at = check_insn_at(c, e->rip);
	if (omode64(c->mode) || e->vector != EXC_UD || at == c->n || c->group[at] != OG_UNDEFINED)
		return false;
	const uint8_t *evex = memchr(c->code + c->start[at], 0x62, c->start[at + 1] - c->start[at]);
	return evex && evex + 5 <= c->code + c->start[at + 1] && (evex[1] & 7) == 1 && (evex[2] & 0x83) == 0x83 &&
	       evex[3] & 0x10 && (evex[4] == 0x2a || evex[4] == 0x7b);
}

/* VPERMQ and VPERMPD with VEX.W = 0 are #UD (SDM vol 2 VPERMQ), but AMD's CPUs ignore W there (docs/xlate.md). */
static bool ignores_w(const struct ocase *c, const struct ores *e)
{
	unsigned at = check_insn_at(c, e->rip);
	if (e->vector != EXC_UD || at == c->n || c->group[at] != OG_UNDEFINED)
		return false;
	const uint8_t *vex = memchr(c->code + c->start[at], 0xc4, c->start[at + 1] - c->start[at]);
	return vex && vex + 4 <= c->code + c->start[at + 1] && (vex[1] & 0x1f) == 3 && (vex[2] & 0x87) == 5 &&
	       (vex[3] & 0xfe) == 0;
}

/* Behind LOCK and the other prefixes of what the engine says is no instruction: three bytes, or NULL. */
static const uint8_t *locked(const struct ocase *c, const struct ores *e)
{
	unsigned at = check_insn_at(c, e->rip), i = 0;
	if (e->vector != EXC_UD || at == c->n || c->group[at] != OG_UNDEFINED)
		return NULL;
	const uint8_t *code = c->code + c->start[at];
	unsigned len = c->start[at + 1] - c->start[at];
	while (i < len && (memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf2\xf3\xf0", code[i], 11) ||
	                   (omode64(c->mode) && code[i] >> 4 == 4)))
		i++;
	return memchr(code, 0xf0, i) && i + 2 < len ? code + i : NULL;
}

/* LOCK MOV CR0 is MOV CR8 on AMD's CPUs (APM vol 3 "MOV CRn"): CPUID does not offer that to guests. LOCK VERR and VERW
 * are #UD (SDM vol 2 "LOCK"), but AMD's CPUs look at the operand first (seen on Zen 5). */
static bool locked_on_amd(const struct ocase *c, const struct ores *n, const struct ores *e)
{
	const uint8_t *op = locked(c, e);
	if (!op || op[0] != 0x0f)
		return false;
	if (op[1] == 0)
		return address_fault(n) && (op[2] & 0x30) == 0x20;
	return n->vector == EXC_GP && (op[1] & 0xfd) == 0x20;
}

/* The mask of a MASKMOVQ or MASKMOVDQU that is the first instruction. */
static const uint8_t *first_mask(const struct ocase *c, const ZydisDecodedOperand *op)
{
	static const uint8_t none[16];
	unsigned id = (unsigned)ZydisRegisterGetId(op->reg.value), top = c->x[3] >> 3 & 7;
	bool mmx = ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_MMX;
	if (!(get_le64(c->x + XSAVE_HEADER) >> !mmx & 1))
		return none;
	return mmx ? c->x + 32 + 16 * ((id - top) & 7) : c->x + 160 + 16 * id;
}

/* MASKMOVQ and MASKMOVDQU may fault for bytes that are off (SDM vol 2 MASKMOVDQU: implementation specific). Of a single
 * instruction it is known whether a byte on the page was on; of a later one it is not. If it was, the engine must fault
 * too, if perhaps for the other page. */
static bool maskmov_of_nothing(const struct ocase *c, const struct ores *n, const struct ores *e)
{
	unsigned at = check_insn_at(c, n->rip);
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	if (n->vector != EXC_PF || at == c->n || !strstr(check_mnemonic(c, at), "maskmov") || !decode(c, at, &zi, ops))
		return false;
	if (ops[0].type != ZYDIS_OPERAND_TYPE_REGISTER || ops[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
		return false; /* VMASKMOVPS and its like never do */
	if (at > 0)
		return true;
	const uint8_t *mask = first_mask(c, &ops[1]);
	uint64_t rdi = zi.address_width == 64 ? c->gpr[RDI] : c->gpr[RDI] & ((1ull << zi.address_width) - 1);
	for (unsigned k = 0; k < zi.operand_count; k++)
		if (ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY)
			rdi += solve_seg_base(c, ops[k].mem.segment);
	for (unsigned k = 0; k < ops[0].size / 8u; k++)
		if (mask[k] & 0x80 && (rdi + k) >> 12 == n->cr2 >> 12)
			return e->vector == EXC_PF && e->rip == n->rip && e->cr2 - rdi < ops[0].size / 8u;
	return true;
}

static bool alignment_unsure(const struct ocase *c, const struct ores *r)
{
	unsigned at = check_insn_at(c, r->rip);
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	if (r->vector != EXC_AC || at == c->n || !decode(c, at, &zi, ops))
		return false;
	return zi.avx.mask.reg > ZYDIS_REGISTER_K0 || zi.mnemonic == ZYDIS_MNEMONIC_VCVTPH2PS ||
	       zi.mnemonic == ZYDIS_MNEMONIC_VCVTPS2PH;
}

/* Whether operands of masked and half-precision instructions are checked for alignment depends on the mask and on the
 * CPU's way to carry the instruction out (SDM vol 2 MOVUPS, MOVDQU: "may or may not be generated"). */
static bool masked_alignment(const struct ocase *c, const struct ores *n, const struct ores *e)
{
	return alignment_unsure(c, n) || alignment_unsure(c, e);
}

/* Far RET with an immediate on a 16-bit stack: SP alone is moved (SDM vol 2 "RET"), but CPUs carry into the upper half
 * of ESP. */
static bool carries_into_esp(const struct ocase *c)
{
	unsigned at = c->start[c->n - 1], end = c->start[c->n];
	return c->mode == O16 && end - at >= 3 && c->code[end - 3] == 0xca &&
	       strcmp(check_mnemonic(c, c->n - 1), "ret") == 0;
}

const char *check_compare(const struct ocase *c, const struct xlayout *l, const struct ores *n, const struct ores *e,
	bool step)
{
	uint8_t a[X_SIZE], b[X_SIZE];
	uint64_t mask = reg_mask(c, n);
	struct excuse x = excuses(c, n);
	if (e->status != OS_OK)
		return e->status == OS_ASTRAY ? "astray" : "end";
	if (!same_event(n, e, &x) || (n->rip ^ e->rip) & mask)
		return x87_store_suppressed(c, n, e) || maskmov_of_nothing(c, n, e) || (n->vector == EXC_XM && x.mxcsr) ||
		       masked_alignment(c, n, e) || undefined_and_too_long(c, n, e) || rounds_nothing(c, e) ||
		       (host_is_amd() && (ignores_w(c, e) || locked_on_amd(c, n, e))) ? NULL : "event";
	if (c->loop && maskmov_of_nothing(c, n, e)) /* the engine may have gone round more often, to bytes that are on */
		return NULL;
	for (unsigned k = 0; k < (omode64(c->mode) ? 16 : 8); k++)
		if (!x.registers && (n->gpr[k] ^ e->gpr[k]) & (k == RSP && carries_into_esp(c) ? UINT16_MAX : mask))
			return "register";
	if ((n->rflags ^ e->rflags) & flag_mask(c, n, step))
		return "flags";
	if (!x.memory && memcmp(n->mem, e->mem, IMAGE_SIZE) != 0)
		return "memory";
	normalize(l, omode64(c->mode), n->x, a);
	normalize(l, omode64(c->mode), e->x, b);
	if (x.vectors)
		return NULL;
	if (x.mxcsr)
		memset(a + 24, 0, 4), memset(b + 24, 0, 4);
	if (x.x87) {
		memset(a, 0, 24);
		memset(b, 0, 24);
		memset(a + 32, 0, 128);
		memset(b + 32, 0, 128);
	}
	if (memcmp(a, b, X_SIZE) != 0)
		return "vector";
	if (omode64(c->mode) && (n->fs_base != e->fs_base || n->gs_base != e->gs_base))
		return "base";
	for (unsigned k = 0; k < 6; k++) /* the host kernel's IRET clears the RPL of null selectors */
		if (n->sel[k] != e->sel[k] && (n->sel[k] | e->sel[k]) > 3)
			return "selector";
	return NULL;
}

const char *check_mnemonic(const struct ocase *c, unsigned i)
{
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	return decode(c, i, &zi, ops) ? ZydisMnemonicGetString(zi.mnemonic) : "undefined";
}

static void print_code(const struct ocase *c)
{
	ZydisDecoder d;
	ZydisFormatter f;
	check_decoder(c->mode, &d);
	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
	for (unsigned i = 0; i < c->n; i++) {
		ZydisDecodedInstruction zi;
		ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
		unsigned len = c->start[i + 1] - c->start[i];
		uint64_t rip = CODE_AT + c->off + c->start[i] - oseg_table[c->mode][SEG_CS].base;
		char text[160] = "(undefined)";
		if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, c->code + c->start[i], len, &zi, ops)))
			ZydisFormatterFormatInstruction(&f, &zi, ops, zi.operand_count_visible, text, sizeof(text), rip, NULL);
		printf("  %8" PRIx64 " ", rip);
		for (unsigned k = 0; k < len; k++)
			printf("%02x", c->code[c->start[i] + k]);
		printf("  %s\n", text);
	}
}

static void print_event(const char *who, const struct ores *r)
{
	static const char *const status[] = { "none", "ok", "died", "hung", "astray", "overwritten" };
	printf("  %-7s %s vector %u error %x cr2 %" PRIx64 " rip %" PRIx64 " flags %" PRIx64 "\n", who, status[r->status],
	       r->vector, r->error, r->cr2, r->rip, r->rflags);
}

static void print_bytes(const char *what, unsigned at, unsigned len, const uint8_t *before, const uint8_t *n,
	const uint8_t *e)
{
	const uint8_t *p[3] = { before, n, e };
	static const char *const who[3] = { "before", "native", "engine" };
	for (unsigned k = 0; k < 3; k++) {
		printf("  %s+%x %s ", what, at, who[k]);
		for (unsigned i = len; i-- > 0;)
			printf("%02x", p[k][at + i]);
		printf("\n");
	}
}

static void print_differences(const char *what, unsigned size, unsigned unit, const uint8_t *before, const uint8_t *n,
	const uint8_t *e)
{
	unsigned shown = 0;
	for (unsigned k = 0; k < size && shown < 4; k += unit)
		if (memcmp(n + k, e + k, unit) != 0) {
			print_bytes(what, k, unit, before, n, e);
			shown++;
		}
}

void check_print(const struct ocase *c, const struct xlayout *l, const uint8_t *image, const struct ores *n,
	const struct ores *e)
{
	static const char *const names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
	static const char *const modes[O_MODES] = { "64-bit", "32-bit", "32-bit segmented", "16-bit" };
	uint8_t x0[X_SIZE], x1[X_SIZE], x2[X_SIZE], before[IMAGE_SIZE];
	printf("  %s code:\n", modes[c->mode]);
	print_code(c);
	print_event("native", n);
	print_event("engine", e);
	printf("  flags before %" PRIx64 ", undefined %x\n", c->rflags, c->undef);
	for (unsigned k = 0; k < (omode64(c->mode) ? 16 : 8); k++)
		printf("  %-3s %16" PRIx64 "%s", names[k], c->gpr[k], k & 1 ? "\n" : " ");
	for (unsigned k = 0; k < (omode64(c->mode) ? 16 : 8); k++)
		if ((n->gpr[k] ^ e->gpr[k]) & reg_mask(c, n))
			printf("  %s native %" PRIx64 " engine %" PRIx64 "\n", names[k], n->gpr[k], e->gpr[k]);
	if (c->poke_len) {
		printf("  memory+%x:", c->poke_off);
		for (unsigned k = 0; k < c->poke_len; k++)
			printf(" %02x", c->poke[k]);
		printf("\n");
	}
	memcpy(before, image, IMAGE_SIZE);
	ocase_place(c, before);
	print_differences("memory", IMAGE_SIZE, 8, before, n->mem, e->mem);
	normalize(l, omode64(c->mode), c->x, x0);
	normalize(l, omode64(c->mode), n->x, x1);
	normalize(l, omode64(c->mode), e->x, x2);
	print_differences("xsave", X_SIZE, 16, x0, x1, x2);
	for (unsigned k = 0; k < 6; k++)
		if (n->sel[k] != e->sel[k])
			printf("  selector %u native %x engine %x\n", k, n->sel[k], e->sel[k]);
	if (omode64(c->mode) && (n->fs_base != e->fs_base || n->gs_base != e->gs_base))
		printf("  bases native %" PRIx64 " %" PRIx64 " engine %" PRIx64 " %" PRIx64 "\n", n->fs_base, n->gs_base,
		       e->fs_base, e->gs_base);
}
