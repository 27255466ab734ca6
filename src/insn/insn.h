// SPDX-License-Identifier: GPL-2.0-or-later
/* what: sensitive instructions in C: the decoded form helpers get, the list of helpers, event delivery
 *
 * A helper is called by translated code with s.rip at its instruction and next_rip behind it. It either
 * returns (the engine then continues at next_rip, which far transfers change), or leaves by a guest
 * exception with no effect but those the manual names. Compiled with -mgeneral-regs-only.
 */
#ifndef INSN_INSN_H
#define INSN_INSN_H

#include "cpu/cpu.h"

#define INSN_NOREG 0xff
#define INSN_BASE_RIP 0xfe

/* One decoded instruction, as the translator leaves it beside the code. */
struct insn {
	uint16_t op;     /* enum insn_op */
	uint8_t len;
	uint8_t opsize;  /* operand size in bytes: 1, 2, 4, 8 (byte forms of IN/OUT/string: 1) */
	uint8_t adsize;  /* address size in bytes: 2, 4, 8 */
	uint8_t rep;     /* 0, 0xf2, 0xf3 */
	uint8_t reg;     /* ModRM.reg (with REX.R): control, debug or segment register number, or a GPR */
	bool has_mem;    /* r/m operand is memory */
	uint8_t rm;      /* GPR number of the r/m operand when !has_mem */
	uint8_t seg;     /* segment of the memory operand, override and default (BP, SP) applied */
	uint8_t base, index, scale; /* GPR numbers, INSN_NOREG, INSN_BASE_RIP; scale 1, 2, 4, 8 */
	uint8_t stsize;  /* stack address size in bytes: 8 in 64-bit code, else by SS.B */
	int64_t disp;
	uint64_t imm;    /* first immediate (INT vector, ENTER size, RET pops, far offset, port) */
	uint64_t imm2;   /* second: far selector, ENTER level */
	uint8_t raw[16]; /* the instruction's own bytes, for instructions run on a bounced operand */
};

enum insn_op {
#define INSN(name, fn, flags) OP_##name,
#include "insn/insn.def"
#undef INSN
	OP_COUNT
};

/* What the translator needs to know of a helper. */
enum {
	IF_END = 1,   /* ends the block: may change RIP, mode, mappings or interrupts */
	IF_FLAGS = 2, /* reads or writes arithmetic flags: s.rflags holds them */
	IF_MODE = 4,  /* may change the mode key without changing RIP: engine rechecks and leaves if it did */
};

typedef void insn_fn(struct cpu *cpu, const struct insn *in);
struct insn_desc {
	const char *name;
	insn_fn *fn;
	unsigned flags;
};
extern const struct insn_desc insn_table[OP_COUNT];

/* Offset (within its segment, truncated to the address size) of in's memory operand. */
uint64_t insn_ea(const struct cpu *cpu, const struct insn *in);
/* Linear address of [seg:off, +size) after all segment checks for kind (MMU_READ, MMU_WRITE); raises #GP/#SS. In
 * 64-bit code: base of FS/GS and canonical check. */
gla_t insn_linear_raise(struct cpu *cpu, unsigned seg, uint64_t off, size_t size, unsigned kind);
/* The same without the alignment check. */
gla_t insn_seg_linear_raise(struct cpu *cpu, unsigned seg, uint64_t off, size_t size, unsigned kind);

/* #AC if alignment is checked now and [gla, gla+size) is not aligned, unless it is not canonical, which comes first. */
void insn_align_raise(struct cpu *cpu, gla_t gla, size_t size);

/* Bytes of a slot of opsize bytes that PUSH and POP of a segment register touch: Intel's PUSH leaves the upper half of
 * a dword alone (SDM vol 2 "PUSH"), its POP reads the selector. */
unsigned insn_seg_pushed(const struct cpu *cpu, unsigned opsize);
unsigned insn_seg_popped(const struct cpu *cpu, unsigned opsize);

/* Can OP_VECTOR_MEM carry out in? If not, its disabled elements are the business of insn_vector_operand_raise. */
bool insn_vector_mem_does(const struct insn *in);
/* Host pointer to a masked instruction's memory operand: like mmu_slow_raise, but elements of esize bytes that mask
 * disables do not fault: where they lie there may be nothing behind the pointer. */
void *insn_vector_operand_raise(struct cpu *cpu, gla_t gla, uint32_t size, unsigned esize, uint64_t mask,
                                unsigned kind);
/* The low bits of opmask k. */
uint64_t insn_vector_mask(struct cpu *cpu, unsigned bits, unsigned k);

/* Deliver an exception or interrupt through the IDT or IVT: changes s as the CPU does. Raises nested exceptions (the
 * run loop turns them into #DF and triple fault). s.rip is the address to push (soft: next_rip was put there by the
 * caller). */
void insn_deliver_raise(struct cpu *cpu, const struct cpu_event *ev);
/* Combine a pending event with a new fault during its delivery, SDM vol 3 table 6-5: returns false for a triple
 * fault, else *ev is what to deliver. */
bool insn_combine(struct cpu_event *ev, const struct cpu_event *second);

#endif
