// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one guest instruction, decoded into what the translator needs to copy, rewrite or replace it */
#ifndef XLATE_DECODE_H
#define XLATE_DECODE_H

#include "insn/insn.h"
#include "xlate/facts.h"

/* How an instruction is lowered. */
enum dec_class {
	DC_COPY,   /* same instruction, registers mapped, memory operand through the TLB */
	DC_HELPER, /* insn_table[in.op] */
	DC_NOP, DC_PUSH, DC_POP, DC_LEAVE, DC_LEA, DC_RET, DC_CALL, DC_JMP, DC_JCC, DC_LOOP,
	DC_BT,     /* BT, BTS, BTR, BTC with a memory operand and a register bit offset */
	DC_UD,
	DC_SYSTEM, /* a helper's instruction that system.c carries out inline */
	DC_STRING, /* the same, movs.c */
};

enum dec_enc { ENC_LEGACY, ENC_VEX, ENC_EVEX };

/* What a register field of the encoding names. */
struct dec_field {
	bool gpr;   /* a general register; else the raw number is kept (vector, mask, /digit) */
	bool high;  /* AH CH DH BH: num is 0-3 */
	bool rd, wr;
	uint8_t num; /* raw number with extension bits */
	uint8_t size; /* bytes */
};

struct dec {
	uint8_t cls; /* enum dec_class */
	uint8_t enc; /* enum dec_enc */
	uint8_t map; /* 0 one-byte, 1 0F, 2 0F38, 3 0F3A, 5, 6 */
	uint8_t opcode;
	bool pfx66, lock, rexw, rex; /* as the host's 64-bit encoding needs them; rex: byte registers 4-7 are SPL.. */
	uint8_t pfxrep;              /* mandatory F2, F3 or 0 */
	bool modrm;
	uint8_t mod;
	struct dec_field f_reg, f_rm, f_vvvv, f_opc;
	uint8_t v_w, v_l, v_pp;      /* VEX */
	uint8_t evex[3];             /* EVEX payload bytes as found */
	bool mem_rd, mem_wr, vsib, masked;
	bool aligned;                /* the operand must be aligned to its size, else #GP */
	bool waits;                  /* x87 and MMX: an exception that waits comes before those of the operand */
	uint16_t mem_size;           /* bytes */
	/* a load under opmask k: log2 of its element size; mask_any: of the number of mask bits */
	uint8_t mask_k, mask_elem;
	bool mask_any;               /* broadcast: an element is needed if any of its mask bits is set */
	uint8_t mask_tuple;          /* broadcast: log2 of the elements in memory */
	uint8_t imm_off, imm_len;    /* trailing immediate bytes, copied as they are */
	uint8_t cc;                  /* Jcc: condition; LOOP: the opcode */
	bool imm_target;             /* CALL, JMP: relative; target is in in.imm as a displacement */
	uint16_t fl_read, fl_kill;   /* arithmetic flags read, and surely overwritten */
	uint16_t facts;              /* enum fact */
	uint16_t gpr_wr;             /* general registers that may be written, named or not */
	bool ends;                   /* DC_HELPER: IF_END, or a MOV/POP SS */
	struct insn in;              /* for helpers; in.len, opsize, adsize, seg, base, index, scale, disp for all */
};

enum dec_status { DEC_OK, DEC_MORE /* needs bytes beyond len */, DEC_UD, DEC_TOO_LONG };

/* What follows the prefixes, opcode, ModRM and SIB of an instruction, if all of struct dec but in.disp, in.imm and
 * in.raw goes by those alone. */
struct dec_tail {
	uint8_t head;                 /* bytes of those; 0: something else depends on the rest */
	uint8_t disp_len, disp_shift; /* in.disp is a signed number of so many bytes, shifted */
	uint8_t imm_len;              /* in.imm is the number behind that */
	bool imm_signed;
	uint8_t count_mask;           /* if not 0: true only of immediates that have one of these bits */
};

/* The bits of the key that decoding depends on. */
#define DEC_KEY (KEY_SIZE | KEY_STACK32 | KEY_X87_OFF | KEY_WAIT_OFF | KEY_SSE_OFF | KEY_AVX_OFF | KEY_AVX512_OFF)

/* key: mode key (key.h) that says code size, stack size and which extensions are switched on. */
enum dec_status dec_decode(const struct dec_isa *isa, struct dec *d, uint32_t key, bool real, const uint8_t *bytes,
	unsigned len);
enum dec_status dec_decode_tail(const struct dec_isa *isa, struct dec *d, uint32_t key, bool real,
	const uint8_t *bytes, unsigned len, struct dec_tail *tail);

#endif
