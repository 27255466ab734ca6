// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the files of insn/ share: operands, stack frames, descriptors, code segment loads
 *
 * I1  Check, then act: descriptors, limits and pages are looked at first, the state changes afterwards by code that
 *     cannot fail. Pushes are therefore queued (struct pushes) and written in one go.
 * I2  ext is the EXT bit of error codes (SDM vol 3 6.13): 1 while an exception or external interrupt is delivered.
 */
#ifndef INSN_INSN_INT_H
#define INSN_INSN_INT_H

#include "insn/insn.h"
#include "mmu/mmu.h"

#define INSN(name, fn, flags) insn_fn fn;
#include "insn/insn.def"
#undef INSN

#define SEL_RPL(sel) ((sel) & 3u)
#define SEL_TI 4u
#define SEL_ERR(sel) ((sel) & 0xfffcu)
#define SEL_NULL(sel) (!((sel) & 0xfffcu))

/* System descriptor types, SDM vol 3 table 3-2. */
enum desc_type {
	DT_TSS16 = 1, DT_LDT = 2, DT_TSS16_BUSY = 3, DT_CALL16 = 4, DT_TASK = 5, DT_INT16 = 6, DT_TRAP16 = 7,
	DT_TSS32 = 9, DT_TSS32_BUSY = 11, DT_CALL32 = 12, DT_INT32 = 14, DT_TRAP32 = 15,
};

struct desc {
	uint64_t raw;
	gla_t at;       /* linear address of the descriptor */
	uint64_t base;
	uint32_t limit; /* scaled by G */
	uint16_t attr;  /* as cpu_seg.attr */
	uint16_t sel;
};

static inline uint64_t size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << size * 8) - 1;
}
static inline uint64_t reg_get(const struct cpu *cpu, unsigned n, unsigned size)
{
	return cpu->s.gpr[n] & size_mask(size);
}
/* Word writes keep the upper part, dword writes clear it (SDM vol 1 3.4.1.1). */
static inline void reg_set(struct cpu *cpu, unsigned n, uint64_t val, unsigned size)
{
	uint64_t keep = size >= 4 ? 0 : ~size_mask(size);

	cpu->s.gpr[n] = (cpu->s.gpr[n] & keep) | (val & size_mask(size));
}
/* libc's memcpy may use vector registers. */
static inline void copy_bytes(void *dst, const void *src, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
}
static inline void zero_bytes(void *dst, size_t n)
{
	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(0) : "memory");
}
static inline noreturn void raise_gp0(struct cpu *cpu)
{
	cpu_raise(cpu, EXC_GP, 0);
}
static inline noreturn void raise_ud(struct cpu *cpu)
{
	cpu_raise(cpu, EXC_UD, 0);
}
static inline bool cpu_vm86(const struct cpu *cpu)
{
	return cpu->s.cr0 & CR0_PE && cpu->s.rflags & FL_VM;
}
static inline void need_cpl0_raise(struct cpu *cpu)
{
	if (cpu->s.cpl)
		raise_gp0(cpu);
}

/* CPL is not held in a segment: changing it changes the view of memory. */
void insn_set_cpl(struct cpu *cpu, uint8_t cpl);
/* Replace RFLAGS and recompute what depends on VM and AC. */
void insn_set_flags(struct cpu *cpu, uint64_t flags);

/* operand.c: r/m operands of in, register or memory */
uint64_t insn_rm_read_raise(struct cpu *cpu, const struct insn *in, unsigned size);
void insn_rm_write_raise(struct cpu *cpu, const struct insn *in, uint64_t val, unsigned size);
gla_t insn_rm_linear_raise(struct cpu *cpu, const struct insn *in, size_t size, unsigned kind);
/* Bytes of the offset in in's far pointer in memory. */
unsigned insn_far_offset_size(const struct cpu *cpu, const struct insn *in);
/* Are [off, off+size) inside seg's limit (SDM vol 3 5.3)? */
bool insn_seg_fits(const struct cpu_seg *seg, uint64_t off, uint64_t size);

/* May the current mode's code access [seg:off, +size) for kind? Not for 64-bit code, which has no limits. */
bool insn_seg_ok(const struct cpu *cpu, unsigned seg, uint64_t off, size_t size, unsigned kind);

/* Reading the current stack upwards; sp is committed by pops_commit. */
struct pops {
	uint64_t sp;
	unsigned stsize;
};
unsigned insn_stack_size(const struct cpu *cpu);
struct pops pops_begin(const struct cpu *cpu);
uint64_t pops_next_raise(struct cpu *cpu, struct pops *p, unsigned size);
uint16_t pops_sel_raise(struct cpu *cpu, struct pops *p, unsigned size);
/* CS:rIP; CS is read first, as CPUs do, so that its fault wins. */
uint16_t pops_far_raise(struct cpu *cpu, struct pops *p, unsigned size, uint64_t *off);
void pops_commit(struct cpu *cpu, const struct pops *p);

/* Frames on a stack that may not be the current one yet. */
#define PUSHES_MAX 64
struct pushes {
	const struct cpu_seg *ss;
	uint64_t sp;
	uint32_t error;   /* of the #SS for a limit or canonical violation */
	unsigned kind;
	uint8_t stsize;   /* 2, 4, 8 */
	uint8_t n;
	struct push {
		gla_t at;
		uint64_t val;
		unsigned size;
	} q[PUSHES_MAX];
};
void pushes_begin(struct cpu *cpu, struct pushes *p); /* onto the current stack */
void pushes_add_raise(struct cpu *cpu, struct pushes *p, uint64_t val, unsigned size);
void pushes_write(struct cpu *cpu, const struct pushes *p);  /* was probed: cannot fail */
void pushes_set_sp(struct cpu *cpu, const struct pushes *p); /* RSP by p->stsize */
/* One push on the current stack, RSP updated. */
void insn_push_raise(struct cpu *cpu, uint64_t val, unsigned size);

/* desc.c: descriptor tables */
/* False if sel lies outside its table. Page faults raise. */
bool desc_fetch_raise(struct cpu *cpu, uint16_t sel, struct desc *d);
/* The same, raising vector(sel | ext) instead of returning false. */
void desc_need_raise(struct cpu *cpu, uint16_t sel, unsigned vector, unsigned ext, struct desc *d);
/* Upper half of a 16-byte descriptor (long mode). */
uint64_t desc_high_raise(struct cpu *cpu, const struct desc *d, unsigned vector, unsigned ext);
void desc_mark_accessed_raise(struct cpu *cpu, struct desc *d);
/* Store the descriptor's type byte with TSS busy set or clear. */
void desc_set_busy_raise(struct cpu *cpu, gla_t at, bool busy);
static inline bool desc_is_sys(const struct desc *d, unsigned type)
{
	return (d->attr & (SEGA_S | SEGA_TYPE)) == type;
}
static inline bool desc_is_code(const struct desc *d)
{
	return (d->attr & (SEGA_S | SEGA_CODE)) == (SEGA_S | SEGA_CODE);
}
static inline bool desc_is_conforming(const struct desc *d)
{
	return desc_is_code(d) && d->attr & SEGA_E;
}
static inline bool desc_is_writable(const struct desc *d)
{
	return (d->attr & (SEGA_S | SEGA_CODE | SEGA_W)) == (SEGA_S | SEGA_W);
}
static inline bool desc_is_readable(const struct desc *d)
{
	return d->attr & SEGA_S && (!(d->attr & SEGA_CODE) || d->attr & SEGA_W);
}
static inline unsigned desc_dpl(const struct desc *d)
{
	return d->attr >> 5 & 3;
}
static inline bool desc_present(const struct desc *d)
{
	return d->attr & SEGA_P;
}

/* seg.c */
void seg_load_raise(struct cpu *cpu, unsigned n, uint16_t sel);
/* Check an SS for cpl by the rules of stack switches: vector is #TS (gates) or #GP (returns). */
void seg_check_ss_raise(struct cpu *cpu, uint16_t sel, unsigned cpl, unsigned vector, unsigned ext, struct desc *d);
void seg_set(struct cpu *cpu, unsigned n, uint16_t sel, const struct desc *d);
void seg_set_null(struct cpu *cpu, unsigned n, uint16_t sel);
/* After a return to an outer level: null the data segments that level may not use (SDM vol 3 5.8.6). */
void seg_drop_inner(struct cpu *cpu);
void seg_load_ldt_raise(struct cpu *cpu, uint16_t sel, unsigned vector, unsigned ext);

/* far.c */
/* Is off a legal RIP in the code segment d? Else #GP(ext). */
void far_check_rip_raise(struct cpu *cpu, const struct desc *d, uint64_t off, unsigned ext);
/* Enter d (accessed bit set already) at cpl. */
void far_enter(struct cpu *cpu, const struct desc *d, unsigned cpl, uint64_t rip);
bool desc_is_code64(const struct cpu *cpu, const struct desc *d);
/* L and D both set is reserved in long mode. */
static inline bool desc_bad_ld(const struct cpu *cpu, const struct desc *d)
{
	return cpu_long_mode(cpu) && (d->attr & (SEGA_L | SEGA_DB)) == (SEGA_L | SEGA_DB);
}
/* Inner stack from the TSS for a new level. */
struct inner_stack {
	uint64_t sp;
	uint16_t sel;
	bool null;   /* long mode: SS becomes null */
	struct desc ss;
};
void far_inner_stack_raise(struct cpu *cpu, unsigned cpl, unsigned ext, struct inner_stack *st);
uint64_t far_tss64_sp_raise(struct cpu *cpu, unsigned off, unsigned ext);
void pushes_begin_inner(struct cpu *cpu, struct pushes *p, const struct inner_stack *st, struct cpu_seg *ss,
                        unsigned ext);
/* RSP and SS for the outer level of a return; code64: the target runs 64-bit code. */
void far_set_outer_stack(struct cpu *cpu, uint16_t sel, const struct desc *ss, uint64_t sp, bool code64);
/* Check the stack an outer return names; false: a null SS that 64-bit code may have. */
bool far_check_outer_ss_raise(struct cpu *cpu, uint16_t sel, unsigned cpl, bool code64, struct desc *d);
void far_check_return_cs_raise(struct cpu *cpu, uint16_t sel, struct desc *d);

/* task.c */
enum task_how { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
/* Switch to the TSS sel (type and presence are checked here); rip is what the old task saves. */
void task_switch_raise(struct cpu *cpu, uint16_t sel, enum task_how how, uint64_t rip, unsigned ext);
/* Back link of the current TSS, for IRET with NT. */
uint16_t task_link_raise(struct cpu *cpu);

/* int.c */
void int_deliver_raise(struct cpu *cpu, const struct cpu_event *ev, uint64_t ret_rip);

/* What POPF and IRET may change at any level in any mode. */
#define FLAGS_RESTORE (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_TF | FL_DF | FL_OF | FL_NT)

/* msr.c */
bool msr_read(struct cpu *cpu, uint32_t msr, uint64_t *val);
bool msr_write(struct cpu *cpu, uint32_t msr, uint64_t val);
/* ctrl.c */
void ctrl_set_cr0_raise(struct cpu *cpu, uint64_t val);

bool insn_pending_stop(const struct cpu *cpu);

#endif
