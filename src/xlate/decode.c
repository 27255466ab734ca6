// SPDX-License-Identifier: GPL-2.0-or-later
/* what: decoding of guest instructions with Zydis, and their classes; only this file and facts.c see Zydis
 *
 * What is known of a mnemonic comes from policy.def, which sets of them a CPU has from isa.def (facts.c). Operands
 * that change the class (MOV to a control register, PUSH of a segment, a far JMP) are told apart here, so that no later
 * stage looks at bytes.
 */
#include "xlate/decode.h"

#include <Zydis/Zydis.h>
#include <string.h>

#include "cpu/vendor.h"
#include "xlate/key.h"

static bool rule(const struct dec_isa *isa, enum vendor_rule r)
{
	return vendor_rule(isa->amd, r);
}

static ZydisMachineMode machine_mode(uint32_t key, bool real)
{
	switch (key & KEY_SIZE) {
	case 2:
		return ZYDIS_MACHINE_MODE_LONG_64;
	case 1:
		return ZYDIS_MACHINE_MODE_LEGACY_32;
	default:
		return real ? ZYDIS_MACHINE_MODE_REAL_16 : ZYDIS_MACHINE_MODE_LEGACY_16;
	}
}

static bool is_gpr(ZydisRegister r)
{
	ZydisRegisterClass c = ZydisRegisterGetClass(r);
	return c == ZYDIS_REGCLASS_GPR8 || c == ZYDIS_REGCLASS_GPR16 || c == ZYDIS_REGCLASS_GPR32 ||
		c == ZYDIS_REGCLASS_GPR64;
}

static bool is_high(ZydisRegister r)
{
	return r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH;
}

/* Number 0-15 of a general register; AH..BH give 0-3. */
static uint8_t gpr_num(ZydisRegister r)
{
	if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL)
		return (uint8_t)(r - ZYDIS_REGISTER_AL);
	if (is_high(r))
		return (uint8_t)(r - ZYDIS_REGISTER_AH);
	if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B)
		return (uint8_t)(r - ZYDIS_REGISTER_SPL + 4);
	if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W)
		return (uint8_t)(r - ZYDIS_REGISTER_AX);
	if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D)
		return (uint8_t)(r - ZYDIS_REGISTER_EAX);
	if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15)
		return (uint8_t)(r - ZYDIS_REGISTER_RAX);
	return INSN_NOREG;
}

static uint8_t seg_num(ZydisRegister r)
{
	switch (r) {
	case ZYDIS_REGISTER_ES: return SEG_ES;
	case ZYDIS_REGISTER_CS: return SEG_CS;
	case ZYDIS_REGISTER_SS: return SEG_SS;
	case ZYDIS_REGISTER_FS: return SEG_FS;
	case ZYDIS_REGISTER_GS: return SEG_GS;
	default: return SEG_DS;
	}
}

static bool writes(char does)
{
	return does == 'w' || does == 'm';
}

static bool reads(char does)
{
	return does == 'r' || does == 'm';
}

static void set_field(struct dec_field *f, const ZydisDecodedOperand *op, char does)
{
	f->rd |= reads(does);
	f->wr |= writes(does);
	if (!is_gpr(op->reg.value))
		return;
	f->gpr = true;
	f->high = is_high(op->reg.value);
	f->num = gpr_num(op->reg.value);
	f->size = (uint8_t)(op->size / 8);
}

static void set_mem(struct dec *d, const ZydisDecodedOperand *op, char does)
{
	struct insn *in = &d->in;
	bool first = !in->has_mem;
	if (op->mem.type == ZYDIS_MEMOP_TYPE_VSIB)
		d->vsib = true;
	d->mem_rd |= reads(does);
	d->mem_wr |= writes(does);
	if (!first)
		return;
	in->has_mem = true;
	in->seg = seg_num(op->mem.segment);
	in->base = op->mem.base == ZYDIS_REGISTER_NONE ? INSN_NOREG
	         : op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP ? INSN_BASE_RIP
	                                                                                    : gpr_num(op->mem.base);
	in->index = op->mem.index == ZYDIS_REGISTER_NONE ? INSN_NOREG : gpr_num(op->mem.index);
	in->scale = op->mem.scale ? op->mem.scale : 1;
	in->disp = op->mem.disp.has_displacement ? op->mem.disp.value : 0;
	d->mem_size = (uint16_t)(op->size / 8);
}

static void set_reg(struct dec *d, const ZydisDecodedOperand *op, char does)
{
	if (writes(does) && is_gpr(op->reg.value))
		d->gpr_wr |= (uint16_t)(1u << (gpr_num(op->reg.value) & 15));
	switch (op->encoding) {
	case ZYDIS_OPERAND_ENCODING_MODRM_REG: set_field(&d->f_reg, op, does); break;
	case ZYDIS_OPERAND_ENCODING_MODRM_RM: set_field(&d->f_rm, op, does); break;
	case ZYDIS_OPERAND_ENCODING_NDSNDD: set_field(&d->f_vvvv, op, does); break;
	case ZYDIS_OPERAND_ENCODING_OPCODE: set_field(&d->f_opc, op, does); break;
	default: break;
	}
}

/* Elements that an opmask leaves out keep their old value: a store that is bounced must hold it. */
static void scan_operands(struct dec *d, const struct facts *f, const ZydisDecodedInstruction *zi,
	const ZydisDecodedOperand *ops)
{
	unsigned shown = 0, n = 0;
	for (unsigned i = 0; i < zi->operand_count_visible; i++)
		shown += ops[i].encoding != ZYDIS_OPERAND_ENCODING_MASK;
	d->facts = f->marks;
	d->gpr_wr = facts_changes(f, shown);
	for (unsigned i = 0; i < zi->operand_count_visible; i++) {
		const ZydisDecodedOperand *op = &ops[i];
		if (op->encoding == ZYDIS_OPERAND_ENCODING_MASK) {
			d->masked |= op->reg.value != ZYDIS_REGISTER_K0;
			continue;
		}
		char does = facts_operand(f, shown, n++);
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			set_mem(d, op, does);
		else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER)
			set_reg(d, op, does);
	}
	d->mem_rd |= d->mem_wr && d->masked;
}

static unsigned map_num(const ZydisDecodedInstruction *zi)
{
	switch (zi->opcode_map) {
	case ZYDIS_OPCODE_MAP_0F: return 1;
	case ZYDIS_OPCODE_MAP_0F38: return 2;
	case ZYDIS_OPCODE_MAP_0F3A: return 3;
	case ZYDIS_OPCODE_MAP_MAP5: return 5;
	case ZYDIS_OPCODE_MAP_MAP6: return 6;
	default: return 0;
	}
}

/* Does a 16-bit operand size select the form, as opposed to a 66 that is part of the opcode? */
static bool has_word_operand(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	bool word = false;
	if (zi->operand_width != 16) /* MOVZX and MOVSX to 32 bits have a word as source */
		return false;
	for (unsigned i = 0; i < zi->operand_count; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			ZydisRegisterClass c = ZydisRegisterGetClass(ops[i].reg.value);
			if (c == ZYDIS_REGCLASS_MMX || c == ZYDIS_REGCLASS_XMM || c == ZYDIS_REGCLASS_X87)
				return false;
			word |= c == ZYDIS_REGCLASS_GPR16;
		} else if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			word |= ops[i].size == 16;
		}
	}
	return word;
}

static void set_prefixes(struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops, uint32_t key)
{
	for (unsigned i = 0; i < zi->raw.prefix_count; i++) {
		uint8_t v = zi->raw.prefixes[i].value;
		bool mandatory = zi->raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY;
		if (v == 0x66 && (mandatory || key & KEY_SIZE))
			d->pfx66 = true;
		if ((v == 0xf2 || v == 0xf3) && mandatory)
			d->pfxrep = v;
		if (v == 0xf0)
			d->lock = true;
		if ((v == 0xf2 || v == 0xf3) && zi->raw.prefixes[i].type != ZYDIS_PREFIX_TYPE_IGNORED)
			d->in.rep = v;
	}
	if (!(key & KEY_SIZE) && has_word_operand(zi, ops))
		d->pfx66 = true;
	d->rexw = zi->raw.rex.W;
	d->rex = zi->attributes & ZYDIS_ATTRIB_HAS_REX;
}

static void set_raw_fields(struct dec *d, const ZydisDecodedInstruction *zi)
{
	unsigned R = zi->raw.rex.R, B = zi->raw.rex.B;
	if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
		d->enc = ENC_VEX;
		d->v_w = zi->raw.vex.W;
		d->v_l = zi->raw.vex.L;
		d->v_pp = zi->raw.vex.pp;
		R = !zi->raw.vex.R;
		B = !zi->raw.vex.B;
		if (!d->f_vvvv.gpr)
			d->f_vvvv.num = ~zi->raw.vex.vvvv & 15;
	} else if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) {
		d->enc = ENC_EVEX;
		memcpy(d->evex, d->in.raw + zi->raw.evex.offset + 1, 3);
		R = !(d->evex[0] >> 7 & 1);
		B = !(d->evex[0] >> 5 & 1);
		if (!d->f_vvvv.gpr)
			d->f_vvvv.num = ~(d->evex[1] >> 3) & 15;
	}
	d->modrm = zi->attributes & ZYDIS_ATTRIB_HAS_MODRM;
	d->mod = zi->raw.modrm.mod;
	if (!d->f_reg.gpr)
		d->f_reg.num = (uint8_t)(zi->raw.modrm.reg | R << 3);
	if (!d->f_rm.gpr)
		d->f_rm.num = (uint8_t)(zi->raw.modrm.rm | B << 3);
}

static void set_immediates(struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	unsigned end = zi->raw.imm[0].size ? zi->raw.imm[0].offset : zi->length;
	if (d->modrm) {
		end = zi->raw.modrm.offset + 1u;
		if (zi->attributes & ZYDIS_ATTRIB_HAS_SIB)
			end = zi->raw.sib.offset + 1u;
		if (zi->raw.disp.size)
			end = zi->raw.disp.offset + zi->raw.disp.size / 8u;
	}
	d->imm_off = (uint8_t)end;
	d->imm_len = (uint8_t)(zi->length - end);
	unsigned n = 0;
	for (unsigned i = 0; i < zi->operand_count; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			if (n++ == 0) {
				d->in.imm = ops[i].imm.value.u;
				d->imm_target = ops[i].imm.is_relative;
			} else {
				d->in.imm2 = ops[i].imm.value.u;
			}
		} else if (ops[i].type == ZYDIS_OPERAND_TYPE_POINTER) {
			d->in.imm = ops[i].ptr.offset;
			d->in.imm2 = ops[i].ptr.segment;
		}
	}
}

/* The bits of a shift's count that matter (SDM SAL/SAR/SHL/SHR). */
static unsigned count_mask(const struct dec *d)
{
	return d->in.opsize == 8 ? 63 : 31;
}

/* Shifts by 0 leave the flags alone, so those by CL kill nothing; those by 1 have an immediate that is no byte. */
static bool may_keep_flags(const struct dec *d)
{
	return d->facts & F_COUNT && !(d->in.imm & count_mask(d));
}

static void set_flags(struct dec *d, const struct facts *f)
{
	d->fl_read = f->tests;
	d->fl_kill = may_keep_flags(d) ? 0 : f->sets | f->undefined;
}

static void to_helper(struct dec *d, unsigned op)
{
	d->cls = DC_HELPER;
	d->in.op = (uint16_t)op;
}

/* MOV, PUSH and POP with segment, control and debug registers. */
static void special_registers(struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < zi->operand_count_visible && i < 2; i++) {
		if (ops[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		ZydisRegister r = ops[i].reg.value;
		ZydisRegisterClass c = ZydisRegisterGetClass(r);
		bool dst = i == 0;
		if (c == ZYDIS_REGCLASS_SEGMENT) {
			d->in.reg = seg_num(r);
			if (zi->mnemonic == ZYDIS_MNEMONIC_PUSH)
				to_helper(d, OP_PUSH_SEG);
			else if (zi->mnemonic == ZYDIS_MNEMONIC_POP)
				to_helper(d, OP_POP_SEG);
			else
				to_helper(d, dst ? OP_MOV_TO_SEG : OP_MOV_FROM_SEG);
			d->ends = d->in.reg == SEG_SS && d->in.op != OP_PUSH_SEG && d->in.op != OP_MOV_FROM_SEG;
			return;
		}
		if (c == ZYDIS_REGCLASS_CONTROL || c == ZYDIS_REGCLASS_DEBUG) {
			bool cr = c == ZYDIS_REGCLASS_CONTROL;
			d->in.reg = (uint8_t)(r - (cr ? ZYDIS_REGISTER_CR0 : ZYDIS_REGISTER_DR0));
			to_helper(d, cr ? (dst ? OP_MOV_TO_CR : OP_MOV_FROM_CR) : dst ? OP_MOV_TO_DR : OP_MOV_FROM_DR);
			return;
		}
		if (c == ZYDIS_REGCLASS_TEST) {
			d->cls = DC_UD;
			return;
		}
	}
}

/* Helpers need a few fields in places of their own; see insn.def. */
static void helper_fields(struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	struct insn *in = &d->in;
	switch (in->op) {
	case OP_IN: case OP_OUT: {
		const ZydisDecodedOperand *port = &ops[in->op == OP_IN ? 1 : 0];
		in->reg = port->type == ZYDIS_OPERAND_TYPE_REGISTER;
		in->imm = in->reg ? 0 : in->imm & 0xff;
		in->opsize = (uint8_t)(ops[in->op == OP_IN ? 0 : 1].size / 8);
		break;
	}
	case OP_INS: case OP_OUTS: case OP_MOVS: case OP_STOS: case OP_LODS: case OP_CMPS: case OP_SCAS:
		for (unsigned i = 0; i < zi->operand_count; i++)
			if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
				in->opsize = (uint8_t)(ops[i].size / 8);
				/* the source's segment may be overridden; the destination is always ES */
				if (!(ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && in->op != OP_SCAS)
					if (!(in->op == OP_CMPS && i != 0))
						in->seg = seg_num(ops[i].mem.segment);
			}
		break;
	case OP_LOAD_FAR:
		in->imm = zi->mnemonic == ZYDIS_MNEMONIC_LDS ? SEG_DS : zi->mnemonic == ZYDIS_MNEMONIC_LES ? SEG_ES
		        : zi->mnemonic == ZYDIS_MNEMONIC_LSS ? SEG_SS : zi->mnemonic == ZYDIS_MNEMONIC_LFS ? SEG_FS : SEG_GS;
		d->ends = in->imm == SEG_SS;
		break;
	case OP_RDFSGSBASE: case OP_WRFSGSBASE:
		in->reg = zi->mnemonic == ZYDIS_MNEMONIC_RDFSBASE || zi->mnemonic == ZYDIS_MNEMONIC_WRFSBASE ? SEG_FS : SEG_GS;
		in->opsize = d->rexw ? 8 : 4; /* 66 is ignored */
		break;
	case OP_XLAT: case OP_MASKMOV:
		for (unsigned i = 0; i < zi->operand_count; i++)
			if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
				in->seg = seg_num(ops[i].mem.segment);
		break;
	case OP_ENTER:
		in->imm2 &= 31;
		break;
	case OP_RET_FAR: case OP_AAM: case OP_AAD:
		break;
	case OP_SYSRET: case OP_SYSEXIT: case OP_FXSAVE: case OP_FXRSTOR: case OP_XSAVE: case OP_XSAVEC: case OP_XSAVEOPT:
	case OP_XRSTOR:
		in->opsize = d->rexw ? 8 : 4;
		break;
	default:
		break;
	}
}

/* Which types of masked instructions do not fault for elements that are off (SDM vol 2 2.8: those without NF). */
static bool suppresses_faults(ZydisExceptionClass c)
{
	switch (c) {
	case ZYDIS_EXCEPTION_CLASS_E1: case ZYDIS_EXCEPTION_CLASS_E2: case ZYDIS_EXCEPTION_CLASS_E3:
	case ZYDIS_EXCEPTION_CLASS_E4: case ZYDIS_EXCEPTION_CLASS_E5: case ZYDIS_EXCEPTION_CLASS_E6:
	case ZYDIS_EXCEPTION_CLASS_E10: case ZYDIS_EXCEPTION_CLASS_E11:
		return true;
	default:
		return false;
	}
}

/* Log2 of the elements that a broadcast makes of its memory operand, or -1. */
static int broadcast_count(ZydisBroadcastMode m)
{
	static const int8_t log2[ZYDIS_BROADCAST_MODE_MAX_VALUE + 1] = {
		[ZYDIS_BROADCAST_MODE_INVALID] = -1, [ZYDIS_BROADCAST_MODE_1_TO_2] = 1, [ZYDIS_BROADCAST_MODE_1_TO_4] = 2,
		[ZYDIS_BROADCAST_MODE_1_TO_8] = 3, [ZYDIS_BROADCAST_MODE_1_TO_16] = 4, [ZYDIS_BROADCAST_MODE_1_TO_32] = 5,
		[ZYDIS_BROADCAST_MODE_1_TO_64] = 6, [ZYDIS_BROADCAST_MODE_2_TO_4] = 2, [ZYDIS_BROADCAST_MODE_2_TO_8] = 3,
		[ZYDIS_BROADCAST_MODE_2_TO_16] = 4, [ZYDIS_BROADCAST_MODE_4_TO_8] = 3, [ZYDIS_BROADCAST_MODE_4_TO_16] = 4,
		[ZYDIS_BROADCAST_MODE_8_TO_16] = 4,
	};
	return log2[m];
}

static unsigned broadcast_tuple(ZydisBroadcastMode m)
{
	switch (m) {
	case ZYDIS_BROADCAST_MODE_2_TO_4: case ZYDIS_BROADCAST_MODE_2_TO_8: case ZYDIS_BROADCAST_MODE_2_TO_16: return 1;
	case ZYDIS_BROADCAST_MODE_4_TO_8: case ZYDIS_BROADCAST_MODE_4_TO_16: return 2;
	case ZYDIS_BROADCAST_MODE_8_TO_16: return 3;
	default: return 0;
	}
}

/* An operand under an opmask: either its elements match mask bits one to one, or it is needed if any bit is set. */
static void masked_operand(struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	int count = broadcast_count(zi->avx.broadcast.mode);
	d->masked = false;
	if (!suppresses_faults(zi->meta.exception_class) || d->facts & F_WHOLE)
		return;
	for (unsigned i = 0; i < zi->operand_count; i++) {
		unsigned bits = ops[i].element_size;
		if (ops[i].type != ZYDIS_OPERAND_TYPE_MEMORY || (bits != 8 && bits != 16 && bits != 32 && bits != 64))
			continue;
		d->mask_k = (uint8_t)(zi->avx.mask.reg - ZYDIS_REGISTER_K0);
		d->mask_any = count >= 0;
		d->mask_tuple = (uint8_t)broadcast_tuple(zi->avx.broadcast.mode);
		d->mask_elem = count >= 0 ? (uint8_t)count
		             : (uint8_t)(__builtin_ctz(bits / 8) + (d->facts & F_PAIRS ? 1 : 0));
	}
}

/* Outside 64-bit mode VEX.W and EVEX.W do not widen general registers, and registers 8 to 15 cannot be named (SDM vol
 * 2 2.3.5, 2.3.7). The host would take both at their word. */
static void forget_64bit(struct dec *d)
{
	bool gpr = d->f_reg.gpr || d->f_rm.gpr || d->f_vvvv.gpr || d->facts & F_WIDTH;
	if (gpr) {
		d->v_w = 0;
		d->evex[1] &= 0x7f;
	}
	if (!gpr || !d->f_vvvv.gpr)
		d->f_vvvv.num &= 7;
	d->f_rm.num &= 7;
	d->evex[0] |= 0xf0;
	d->evex[1] |= 0x40;
	d->evex[2] |= 0x08;
	if (d->facts & F_IMM_REG)
		d->in.raw[d->imm_off] &= 0x7f;
}

/* Whole-register operands of legacy SSE must be aligned but for the moves that say otherwise; of VEX and EVEX only
 * those of moves that say so (SDM vol 2 2.5, exception types 1 and 4). */
static bool must_align(const struct dec *d, const ZydisDecodedInstruction *zi, bool not_sha)
{
	if (not_sha && zi->meta.isa_set == ZYDIS_ISA_SET_SHA)
		return false;
	return d->facts & F_ALIGNED || (d->enc == ENC_LEGACY && d->mem_size == 16 && !(d->facts & F_UNALIGNED));
}

static bool is_x87(const struct dec *d)
{
	return d->enc == ENC_LEGACY && d->map == 0 && (d->opcode & 0xf8) == 0xd8;
}

static bool waits_for_x87(const struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < zi->operand_count; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(ops[i].reg.value) == ZYDIS_REGCLASS_MMX)
			return true;
	return d->facts & F_WAITS;
}

static bool prefetches_register(const struct dec *d, const ZydisDecodedInstruction *zi)
{
	return zi->meta.isa_set == ZYDIS_ISA_SET_PREFETCH_NOP && d->map == 1 && d->opcode == 0x0d && !d->in.has_mem;
}

static uint8_t loop_condition(const struct dec *d, const ZydisDecodedInstruction *zi)
{
	uint8_t rep = 0;
	for (unsigned i = 0; i < zi->raw.prefix_count; i++)
		if (zi->raw.prefixes[i].value == 0xf2 || zi->raw.prefixes[i].value == 0xf3)
			rep = zi->raw.prefixes[i].value;
	if (!rep || d->opcode > 0xe1)
		return d->opcode;
	return rep == 0xf2 ? 0xe0 : 0xe1;
}

/* What is not listed, or not offered to the guest, is #UD, whatever the library and the host's CPU know. */
static void set_class(const struct dec_isa *isa, struct dec *d, const struct facts *f,
	const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	bool offered = f->listed && dec_isa_has(isa, zi->meta.isa_set);
	if (!offered || (rule(isa, RULE_PREFETCH_MEMORY_ONLY) && prefetches_register(d, zi))) {
		d->cls = DC_UD;
		return;
	}
	d->cls = f->cls;
	d->in.op = f->op;
	special_registers(d, zi, ops);
	bool vec = d->enc != ENC_LEGACY;
	if (zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR && d->cls != DC_HELPER)
		to_helper(d, d->cls == DC_RET ? OP_RET_FAR : d->cls == DC_CALL ? OP_CALL_FAR : OP_JMP_FAR);
	if (d->cls == DC_JCC)
		d->cc = d->opcode & 15;
	if (d->cls == DC_LOOP)
		d->cc = rule(isa, RULE_LOOP_BY_REPEAT) ? loop_condition(d, zi) : d->opcode;
	if (d->cls == DC_COPY && !vec && d->in.has_mem && d->map == 1 &&
	    (d->opcode == 0xa3 || d->opcode == 0xab || d->opcode == 0xb3 || d->opcode == 0xbb))
		d->cls = DC_BT;
	if (d->cls == DC_COPY && (d->vsib || (d->in.has_mem && d->facts & F_BY_ELEMENT)))
		d->masked = true;
	if (d->cls == DC_COPY && d->vsib)
		to_helper(d, OP_VECTOR_MEM);
	if (d->masked && !d->vsib && !insn_vector_mem_does(&d->in))
		masked_operand(d, zi, ops);
	/* a copy would reach memory unchecked: MOVDIR64B */
	for (unsigned i = 0; i < zi->operand_count && d->cls == DC_COPY; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			d->cls = DC_UD;
}

/* FPU and vector instructions while the guest has them switched off: the helper decides #NM or #UD. */
static bool is_off(const struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops, uint32_t key)
{
	bool mmx = false, xmm = false;
	if (zi->mnemonic == ZYDIS_MNEMONIC_FWAIT)
		return key & KEY_WAIT_OFF;
	if (zi->meta.isa_ext == ZYDIS_ISA_EXT_X87 || zi->mnemonic == ZYDIS_MNEMONIC_FXSAVE ||
		zi->mnemonic == ZYDIS_MNEMONIC_FXRSTOR || zi->mnemonic == ZYDIS_MNEMONIC_FXSAVE64 ||
		zi->mnemonic == ZYDIS_MNEMONIC_FXRSTOR64)
		return key & KEY_X87_OFF;
	for (unsigned i = 0; i < zi->operand_count; i++) {
		if (ops[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		ZydisRegisterClass c = ZydisRegisterGetClass(ops[i].reg.value);
		mmx |= c == ZYDIS_REGCLASS_MMX;
		xmm |= c == ZYDIS_REGCLASS_XMM || c == ZYDIS_REGCLASS_YMM || c == ZYDIS_REGCLASS_ZMM ||
			c == ZYDIS_REGCLASS_MASK;
	}
	if (d->enc == ENC_EVEX)
		return key & KEY_AVX512_OFF;
	if (d->enc == ENC_VEX) {
		bool mask = zi->meta.isa_ext == ZYDIS_ISA_EXT_AVX512VEX;
		bool gpr_only = zi->meta.isa_ext == ZYDIS_ISA_EXT_BMI1 || zi->meta.isa_ext == ZYDIS_ISA_EXT_BMI2;
		return !gpr_only && key & (mask ? KEY_AVX512_OFF : KEY_AVX_OFF);
	}
	if (xmm || zi->mnemonic == ZYDIS_MNEMONIC_LDMXCSR || zi->mnemonic == ZYDIS_MNEMONIC_STMXCSR)
		return key & KEY_SSE_OFF;
	return (mmx || zi->meta.isa_ext == ZYDIS_ISA_EXT_MMX) && key & KEY_X87_OFF;
}

/* How a CPU without them reads the encodings of extensions. */
static void set_decoder(const struct dec_isa *isa, ZydisDecoder *dec)
{
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_LZCNT, isa->lzcnt);
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_TZCNT, isa->tzcnt);
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_AMD_BRANCHES, rule(isa, RULE_NEAR_BRANCH_16));
}

static enum dec_status fetch(const struct dec_isa *isa, ZydisDecodedInstruction *zi, ZydisDecodedOperand *ops,
	uint32_t key, bool real, const uint8_t *bytes, unsigned len)
{
	ZydisDecoder dec;
	/* SYSENTER and SYSEXIT exist in real mode, to fault with #GP (SDM vol 2); Zydis does not know them there */
	bool known = len > 1 && bytes[0] == 0x0f && (bytes[1] & 0xfe) == 0x34;
	ZydisMachineMode mode = machine_mode(key, real && !known);
	/* stack_width matters only for the size of implicit stack operands */
	ZydisStackWidth sw = key_code64(key) ? ZYDIS_STACK_WIDTH_64 : key & KEY_STACK32 ?
		ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;
	ZydisDecoderInit(&dec, mode, sw);
	set_decoder(isa, &dec);
	ZyanStatus st = ZydisDecoderDecodeFull(&dec, bytes, MIN(len, 15u), zi, ops);
	if (ZYAN_SUCCESS(st))
		return DEC_OK;
	if (st == ZYDIS_STATUS_NO_MORE_DATA)
		return len < 15 ? DEC_MORE : DEC_TOO_LONG;
	return st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? DEC_TOO_LONG : DEC_UD;
}

/* mod 0 with SIB base 5 means disp32 and no base, REX.B or not (SDM vol 2 table 2-3). Zydis 4.0.0 names R13 if the
 * address size is 32. */
static void no_sib_base(struct dec *d, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < zi->operand_count; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
			d->in.base = INSN_NOREG;
			d->in.disp = zi->raw.disp.value;
		}
}

static bool undefined_at_once(const struct dec_isa *isa, const uint8_t *bytes, unsigned len, bool code64)
{
	unsigned i = 0;
	if (!rule(isa, RULE_UD_WITHOUT_MODRM))
		return false;
	while (i < len && (memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf2\xf3\xf0", bytes[i], 11) ||
	                   (code64 && (bytes[i] & 0xf0) == 0x40)))
		i++;
	return i + 1 < len && bytes[i] == 0x0f && memchr("\xa6\xa7\xb9\xff", bytes[i + 1], 4);
}

/* PAUSE with REX.B, without its F3. */
static enum dec_status fetch_xchg_r8(const struct dec_isa *isa, ZydisDecodedInstruction *zi, ZydisDecodedOperand *ops,
	uint32_t key, bool real, const uint8_t *bytes, unsigned len)
{
	uint8_t copy[15];
	unsigned n = MIN(len, 15u);
	memcpy(copy, bytes, n);
	for (uint8_t *p = copy; (p = memchr(p, 0xf3, n - (size_t)(p - copy))) != NULL;)
		*p = 0x3e;
	return fetch(isa, zi, ops, key, real, copy, n);
}

static bool is_scalar(ZydisExceptionClass c)
{
	return c == ZYDIS_EXCEPTION_CLASS_E3 || c == ZYDIS_EXCEPTION_CLASS_E3NF || c == ZYDIS_EXCEPTION_CLASS_E5 ||
		c == ZYDIS_EXCEPTION_CLASS_E10 || c == ZYDIS_EXCEPTION_CLASS_E10NF;
}

/* Half-precision scalars ignore EVEX.L'L (LLIG, SDM vol 2 "VADDSH"), and outside 64-bit mode conversions from and to
 * general registers ignore EVEX.W ("VCVTSI2SH"); Zydis 4.0.0 refuses all values but 0. */
static enum dec_status fetch_half_scalar(const struct dec_isa *isa, ZydisDecodedInstruction *zi,
	ZydisDecodedOperand *ops, uint32_t key, bool real, const uint8_t *bytes, unsigned len)
{
	uint8_t copy[15];
	unsigned n = MIN(len, 15u), i = 0;
	memcpy(copy, bytes, n);
	while (i < n && memchr("\x26\x2e\x36\x3e\x64\x65\x67", copy[i], 7))
		i++;
	if (i + 4 >= n || copy[i] != 0x62 || !(copy[i + 1] & 4))
		return DEC_UD;
	if (!(copy[i + 3] & 0x10)) /* else it is the rounding */
		copy[i + 3] &= 0x9f;
	if (!key_code64(key) && (copy[i + 1] & 7) == 5 && memchr("\x2a\x2c\x2d\x78\x79\x7b", copy[i + 4], 6))
		copy[i + 2] &= 0x7f;
	enum dec_status st = fetch(isa, zi, ops, key, real, copy, n);
	return st == DEC_OK && !is_scalar(zi->meta.exception_class) ? DEC_UD : st;
}

/* Zydis knows of those with 32 bits of displacement alone. */
static bool narrow_branch(const struct dec *d, const ZydisDecodedInstruction *zi, uint32_t key)
{
	bool near = zi->meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT || zi->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
	return near && key_code64(key) && zi->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE && !d->rexw;
}

/* Log2 of the unit in which EVEX counts 8-bit displacements (SDM vol 2 2.7.5), or -1: 0 does not tell. */
static int disp_shift(const struct dec *d, unsigned off)
{
	int disp = d->in.raw[off] < 128 ? d->in.raw[off] : d->in.raw[off] - 256;
	for (int shift = 0; disp && shift <= 6; shift++)
		if (disp * (1 << shift) == d->in.disp)
			return shift;
	return -1;
}

/* Say what may differ in other instructions that begin alike; in doubt that none may be taken for this one. */
static void set_tail(struct dec_tail *tail, const struct dec *d, const ZydisDecodedInstruction *zi,
	const ZydisDecodedOperand *ops)
{
	unsigned disp = zi->raw.disp.size / 8u, imm = zi->raw.imm[0].size / 8u, imms = 0;
	unsigned head = zi->length - disp - imm, mask = imm && d->facts & F_COUNT ? count_mask(d) : 0;
	int shift = d->enc == ENC_EVEX && disp == 1 ? disp_shift(d, head) : 0;
	for (unsigned i = 0; i < zi->operand_count; i++) {
		imms += ops[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
		if (ops[i].type == ZYDIS_OPERAND_TYPE_POINTER)
			return;
	}
	if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW || zi->encoding == ZYDIS_INSTRUCTION_ENCODING_XOP ||
		zi->raw.imm[1].size || d->imm_len != imm || (disp && (!d->modrm || !d->in.has_mem)) || shift < 0)
		return;
	if (imm && (d->cls == DC_HELPER || imms != 1 || d->facts & F_IMM_REG)) /* see helper_fields */
		return;
	if (mask && !(d->in.imm & mask)) /* see set_flags */
		return;
	*tail = (struct dec_tail){ .head = (uint8_t)head, .disp_len = (uint8_t)disp, .disp_shift = (uint8_t)shift,
		.imm_len = (uint8_t)imm, .imm_signed = zi->raw.imm[0].is_signed, .count_mask = (uint8_t)mask };
}

enum dec_status dec_decode(const struct dec_isa *isa, struct dec *d, uint32_t key, bool real, const uint8_t *bytes,
	unsigned len)
{
	struct dec_tail tail;
	return dec_decode_tail(isa, d, key, real, bytes, len, &tail);
}

enum dec_status dec_decode_tail(const struct dec_isa *isa, struct dec *d, uint32_t key, bool real,
	const uint8_t *bytes, unsigned len, struct dec_tail *tail)
{
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	memset(d, 0, sizeof(*d));
	memset(tail, 0, sizeof(*tail));
	key &= DEC_KEY;
	enum dec_status st = fetch(isa, &zi, ops, key, real, bytes, len);
	if (st == DEC_UD)
		st = fetch_half_scalar(isa, &zi, ops, key, real, bytes, len);
	if ((st == DEC_MORE || st == DEC_TOO_LONG) && undefined_at_once(isa, bytes, len, key_code64(key)))
		return DEC_UD;
	if (st == DEC_OK && zi.mnemonic == ZYDIS_MNEMONIC_PAUSE && zi.raw.rex.B && rule(isa, RULE_PAUSE_REX_IS_XCHG))
		st = fetch_xchg_r8(isa, &zi, ops, key, real, bytes, len);
	if (st != DEC_OK)
		return st;
	struct insn *in = &d->in;
	in->len = zi.length;
	memcpy(in->raw, bytes, zi.length);
	in->opsize = zi.operand_width / 8;
	in->adsize = zi.address_width / 8;
	in->stsize = key_code64(key) ? 8 : key & KEY_STACK32 ? 4 : 2;
	in->base = in->index = INSN_NOREG;
	in->scale = 1;
	in->seg = SEG_DS;
	d->map = (uint8_t)map_num(&zi);
	d->opcode = zi.opcode;
	const struct facts *f = facts_of(zi.mnemonic, zi.attributes & ZYDIS_ATTRIB_HAS_MODRM);
	scan_operands(d, f, &zi, ops);
	set_prefixes(d, &zi, ops, key);
	set_raw_fields(d, &zi);
	in->reg = d->f_reg.num;
	in->rm = d->f_rm.num;
	set_immediates(d, &zi, ops);
	set_flags(d, f);
	if (zi.attributes & ZYDIS_ATTRIB_HAS_NOTRACK && !key_code64(key)) /* 3E is an override too */
		in->seg = SEG_DS;
	if (in->has_mem && zi.mnemonic == ZYDIS_MNEMONIC_MOVSXD && in->opsize == 2 && rule(isa, RULE_MOVSXD_WORD))
		d->mem_size = 2; /* whatever its name says */
	if (rule(isa, RULE_NEAR_BRANCH_16) && narrow_branch(d, &zi, key)) {
		in->opsize = 2;
		d->mem_size = in->has_mem ? 2 : 0;
	}
	if (in->has_mem && zi.attributes & ZYDIS_ATTRIB_HAS_SIB && zi.raw.modrm.mod == 0 && zi.raw.sib.base == 5 &&
		in->base != INSN_NOREG)
		no_sib_base(d, &zi, ops);
	if (!key_code64(key) && d->enc != ENC_LEGACY)
		forget_64bit(d);
	if (d->mem_wr && is_x87(d)) /* an unmasked exception stores nothing: a bounced store must hold what was there */
		d->mem_rd = true;
	d->aligned = in->has_mem && must_align(d, &zi, rule(isa, RULE_SHA_UNALIGNED));
	d->waits = in->has_mem && waits_for_x87(d, &zi, ops);
	set_class(isa, d, f, &zi, ops);
	if (d->cls == DC_HELPER)
		helper_fields(d, &zi, ops);
	if (d->cls == DC_UD)
		to_helper(d, OP_UD);
	else if (is_off(d, &zi, ops, key))
		to_helper(d, OP_NM);
	if (d->cls == DC_HELPER && insn_table[in->op].flags & IF_END)
		d->ends = true;
	if (d->cls == DC_HELPER && insn_table[in->op].flags & IF_FLAGS)
		d->fl_read = FL_ARITH;
	set_tail(tail, d, &zi, ops);
	if (d->cls == DC_HELPER) /* which is none of the mnemonic's business: MOV to CR0, or #NM */
		d->facts = 0;
	return DEC_OK;
}
