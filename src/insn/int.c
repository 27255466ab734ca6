// SPDX-License-Identifier: GPL-2.0-or-later
/* what: delivery of interrupts and exceptions through the IVT and IDT, and INT, INT3, INT1, INTO
 *
 * SDM vol 3 6.12 (protected), 6.14 (64-bit), 20.1.4 (real), 20.3 (virtual-8086); vol 2 "INT n". Nothing of the state
 * changes before the whole frame is known to fit, so a nested exception still finds the interrupted instruction.
 *
 * I1  The pushed RIP is a parameter: for INT n it lies behind the instruction while s.rip stays at it for faults.
 */
#include "insn/insn_int.h"

struct gate {
	struct desc cs;
	uint64_t off;
	unsigned type;  /* enum desc_type */
	unsigned ist;
	unsigned size;  /* bytes of a frame slot */
};

static unsigned ext_of(const struct cpu_event *ev)
{
	return !ev->soft;
}

/* RF in the pushed image is set by faults, SDM vol 3 17.3.1.1. */
static bool is_fault(const struct cpu_event *ev)
{
	const uint32_t faults = 1u << EXC_DE | 1u << EXC_BR | 1u << EXC_UD | 1u << EXC_NM | 1u << EXC_TS | 1u << EXC_NP |
				1u << EXC_SS | 1u << EXC_GP | 1u << EXC_PF | 1u << EXC_MF | 1u << EXC_AC | 1u << EXC_XM;

	if (ev->vector == EXC_DB && ev->dr6 & 1u << 13) /* general detect; instruction breakpoints leave RF alone */
		return true;
	return !ev->soft && !ev->ext && ev->vector < 32 && faults >> ev->vector & 1;
}

static uint64_t pushed_flags(const struct cpu *cpu, const struct cpu_event *ev)
{
	return cpu->s.rflags | FL_FIXED | (is_fault(ev) ? FL_RF : 0);
}

/* Pushes FLAGS, CS, IP and enters cs:ip of the IVT at base: real mode, and VME redirection with its own flags image. */
static void ivt_enter_raise(struct cpu *cpu, gla_t entry, uint64_t flags, uint64_t ret_rip)
{
	uint32_t target = (uint32_t)mmu_load_raise(cpu, entry, 4, MMU_READ | (cpu_vm86(cpu) ? 0 : MMU_SYS));
	struct pushes p;

	pushes_begin(cpu, &p);
	pushes_add_raise(cpu, &p, flags, 2);
	pushes_add_raise(cpu, &p, cpu->s.seg[SEG_CS].sel, 2);
	pushes_add_raise(cpu, &p, ret_rip, 2);
	pushes_write(cpu, &p);
	pushes_set_sp(cpu, &p);
	cpu_set_seg_real(cpu, SEG_CS, (uint16_t)(target >> 16));
	cpu->s.rip = cpu->next_rip = target & 0xffff;
}

static void deliver_real_raise(struct cpu *cpu, const struct cpu_event *ev, uint64_t ret_rip)
{
	if (ev->vector * 4u + 3 > cpu->s.idt_limit)
		cpu_raise(cpu, EXC_GP, ev->vector * 8u + 2 + ext_of(ev));
	ivt_enter_raise(cpu, (uint32_t)(cpu->s.idt_base + ev->vector * 4u), cpu->s.rflags | FL_FIXED, ret_rip);
	insn_set_flags(cpu, cpu->s.rflags & ~(uint64_t)(FL_IF | FL_TF | FL_AC | FL_RF));
}

static void gate_fetch_raise(struct cpu *cpu, const struct cpu_event *ev, struct gate *g)
{
	bool lm = cpu_long_mode(cpu);
	unsigned esize = lm ? 16 : 8, at = ev->vector * esize;
	uint32_t error = ev->vector * 8u + 2 + ext_of(ev); /* IDT bit: SDM vol 3 6.13 */
	uint64_t raw, base = cpu->s.idt_base + at;

	if (at + esize - 1 > cpu->s.idt_limit)
		cpu_raise(cpu, EXC_GP, error);
	raw = mmu_load_raise(cpu, lm ? base : (uint32_t)base, 8, MMU_READ | MMU_SYS);
	g->type = raw >> 40 & 0x1f;
	if (g->type != DT_INT32 && g->type != DT_TRAP32 &&
	    (lm || (g->type != DT_TASK && g->type != DT_INT16 && g->type != DT_TRAP16)))
		cpu_raise(cpu, EXC_GP, error);
	if (ev->soft && (raw >> 45 & 3) < cpu->s.cpl)
		cpu_raise(cpu, EXC_GP, error);
	if (!(raw >> 47 & 1))
		cpu_raise(cpu, EXC_NP, error);
	g->cs.sel = (uint16_t)(raw >> 16);
	g->size = lm ? 8 : g->type >= DT_INT32 ? 4 : 2;
	g->off = (raw & 0xffff) | (g->size > 2 ? raw >> 32 & 0xffff0000 : 0);
	g->ist = lm ? raw >> 32 & 7 : 0;
	if (lm)
		g->off |= mmu_load_raise(cpu, base + 8, 4, MMU_READ | MMU_SYS) << 32;
}

/* The handler's code segment; returns the level it runs at. */
static unsigned gate_code_raise(struct cpu *cpu, struct gate *g, unsigned ext)
{
	uint16_t sel = g->cs.sel;
	unsigned dpl;

	if (SEL_NULL(sel))
		cpu_raise(cpu, EXC_GP, ext);
	desc_need_raise(cpu, sel, EXC_GP, ext, &g->cs);
	dpl = desc_dpl(&g->cs);
	if (!desc_is_code(&g->cs) || dpl > cpu->s.cpl)
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel) | ext);
	if (cpu_long_mode(cpu) && (g->cs.attr & (SEGA_L | SEGA_DB)) != SEGA_L)
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel) | ext);
	if (!desc_present(&g->cs))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel) | ext);
	if (cpu_vm86(cpu) && (desc_is_conforming(&g->cs) || dpl != 0))
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel) | ext);
	return desc_is_conforming(&g->cs) ? cpu->s.cpl : dpl;
}

/* State after the frame is written: SDM vol 3 6.12.1.2, 6.12.1.3. */
static void gate_enter(struct cpu *cpu, const struct gate *g, unsigned cpl)
{
	uint64_t clear = FL_TF | FL_NT | FL_RF | FL_VM;

	if (g->type == DT_INT16 || g->type == DT_INT32)
		clear |= FL_IF;
	insn_set_flags(cpu, cpu->s.rflags & ~clear);
	far_enter(cpu, &g->cs, cpl, g->off);
	cpu->s.rip = g->off;
}

static void push_return_raise(struct cpu *cpu, struct pushes *p, const struct cpu_event *ev, unsigned size,
                              uint64_t ret_rip)
{
	pushes_add_raise(cpu, p, pushed_flags(cpu, ev), size);
	pushes_add_raise(cpu, p, cpu->s.seg[SEG_CS].sel, size);
	pushes_add_raise(cpu, p, ret_rip, size);
	if (ev->has_error)
		pushes_add_raise(cpu, p, ev->error, size);
}

/* Long mode always pushes SS:RSP and aligns the frame to 16 bytes: SDM vol 3 6.14.2 to 6.14.5. */
static void deliver_long_raise(struct cpu *cpu, const struct cpu_event *ev, struct gate *g, uint64_t ret_rip)
{
	unsigned ext = ext_of(ev), cpl = gate_code_raise(cpu, g, ext), n = 0;
	bool inner = cpl < cpu->s.cpl;
	uint64_t frame[6], sp = cpu->s.gpr[RSP];

	if (g->ist)
		sp = far_tss64_sp_raise(cpu, 36 + 8 * (g->ist - 1), ext);
	else if (inner)
		sp = far_tss64_sp_raise(cpu, 4 + 8 * cpl, ext);
	far_check_rip_raise(cpu, &g->cs, g->off, ext);
	if (ev->has_error)
		frame[n++] = ev->error;
	frame[n++] = ret_rip;
	frame[n++] = cpu->s.seg[SEG_CS].sel;
	frame[n++] = pushed_flags(cpu, ev);
	frame[n++] = cpu->s.gpr[RSP];
	frame[n++] = cpu->s.seg[SEG_SS].sel;
	sp = (sp & ~15ull) - 8 * n;
	if (!cpu_canonical(sp) || !cpu_canonical(sp + 8 * n - 1))
		cpu_raise(cpu, EXC_SS, ext);
	desc_mark_accessed_raise(cpu, &g->cs);
	mmu_write_raise(cpu, sp, frame, 8 * n, MMU_WRITE | MMU_SS | (cpu->s.cpl == 3 && inner ? MMU_SYS : 0));
	gate_enter(cpu, g, cpl);
	if (inner)
		seg_set_null(cpu, SEG_SS, (uint16_t)cpl);
	cpu->s.gpr[RSP] = sp;
}

static void null_vm86_segments(struct cpu *cpu)
{
	static const uint8_t segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	for (unsigned i = 0; i < ARRAY_LEN(segs); i++)
		seg_set_null(cpu, segs[i], 0);
}

/* To an inner level, also from virtual-8086 mode: SDM vol 3 figures 6-4 and 20-2. */
static void deliver_inner_raise(struct cpu *cpu, const struct cpu_event *ev, struct gate *g, unsigned cpl,
                                uint64_t ret_rip)
{
	bool vm86 = cpu_vm86(cpu);
	struct inner_stack st;
	struct cpu_seg ss;
	struct pushes p;

	far_inner_stack_raise(cpu, cpl, ext_of(ev), &st);
	pushes_begin_inner(cpu, &p, &st, &ss, ext_of(ev));
	if (vm86) {
		pushes_add_raise(cpu, &p, cpu->s.seg[SEG_GS].sel, g->size);
		pushes_add_raise(cpu, &p, cpu->s.seg[SEG_FS].sel, g->size);
		pushes_add_raise(cpu, &p, cpu->s.seg[SEG_DS].sel, g->size);
		pushes_add_raise(cpu, &p, cpu->s.seg[SEG_ES].sel, g->size);
	}
	pushes_add_raise(cpu, &p, cpu->s.seg[SEG_SS].sel, g->size);
	pushes_add_raise(cpu, &p, cpu->s.gpr[RSP], g->size);
	push_return_raise(cpu, &p, ev, g->size, ret_rip);
	far_check_rip_raise(cpu, &g->cs, g->off, ext_of(ev));
	desc_mark_accessed_raise(cpu, &g->cs);
	pushes_write(cpu, &p);
	gate_enter(cpu, g, cpl);
	seg_set(cpu, SEG_SS, st.sel, &st.ss);
	pushes_set_sp(cpu, &p);
	if (vm86)
		null_vm86_segments(cpu);
}

static void deliver_same_raise(struct cpu *cpu, const struct cpu_event *ev, struct gate *g, unsigned cpl,
                               uint64_t ret_rip)
{
	struct pushes p;

	pushes_begin(cpu, &p);
	p.error = ext_of(ev);
	push_return_raise(cpu, &p, ev, g->size, ret_rip);
	far_check_rip_raise(cpu, &g->cs, g->off, ext_of(ev));
	desc_mark_accessed_raise(cpu, &g->cs);
	pushes_write(cpu, &p);
	pushes_set_sp(cpu, &p);
	gate_enter(cpu, g, cpl);
}

/* The error code goes onto the new task's stack, in slots of its TSS's width: SDM vol 3 6.12.2. */
static void deliver_task_raise(struct cpu *cpu, const struct cpu_event *ev, const struct gate *g, uint64_t ret_rip)
{
	if (is_fault(ev))
		cpu->s.rflags |= FL_RF; /* for the TSS; should the switch fail, that fault's image has RF too */
	task_switch_raise(cpu, g->cs.sel, TASK_INT, ret_rip, ext_of(ev));
	if (ev->has_error)
		insn_push_raise(cpu, ev->error, (cpu->s.tr.attr & SEGA_TYPE) >= DT_TSS32 ? 4 : 2);
}

static void deliver_protected_raise(struct cpu *cpu, const struct cpu_event *ev, uint64_t ret_rip)
{
	struct gate g;
	unsigned cpl;

	gate_fetch_raise(cpu, ev, &g);
	if (g.type == DT_TASK) {
		deliver_task_raise(cpu, ev, &g, ret_rip);
		return;
	}
	if (cpu_long_mode(cpu)) {
		deliver_long_raise(cpu, ev, &g, ret_rip);
		return;
	}
	cpl = gate_code_raise(cpu, &g, ext_of(ev));
	if (cpl < cpu->s.cpl)
		deliver_inner_raise(cpu, ev, &g, cpl, ret_rip);
	else
		deliver_same_raise(cpu, ev, &g, cpl, ret_rip);
}

void int_deliver_raise(struct cpu *cpu, const struct cpu_event *ev, uint64_t ret_rip)
{
	if (cpu->s.cr0 & CR0_PE)
		deliver_protected_raise(cpu, ev, ret_rip);
	else
		deliver_real_raise(cpu, ev, ret_rip);
	cpu->s.halted = false;
}

/* B0 to B3 tell what this #DB is for, the others stay until software clears them (SDM vol 3 17.2.3; APM vol 2
 * 13.1.1.3). What waits behind MOV SS comes along, with ICEBP as with general detect: one #DB, not two. */
static void debug_enter(struct cpu *cpu, uint64_t dr6)
{
	cpu->s.dr[6] = (cpu->s.dr[6] & ~0xfull) | dr6 | cpu->s.pending_dbg;
	cpu->s.dr[7] &= ~(1ull << 13); /* GD */
	cpu->s.pending_dbg = 0;
}

void insn_deliver_raise(struct cpu *cpu, const struct cpu_event *ev)
{
	/* CR2 and DR6 are set before the delivery can fail: SDM vol 3 4.7, 17.2.3. */
	if (ev->vector == EXC_PF && !ev->soft && !ev->ext)
		cpu->s.cr2 = ev->cr2;
	if (ev->vector == EXC_DB && !ev->soft && !ev->ext)
		debug_enter(cpu, ev->dr6);
	int_deliver_raise(cpu, ev, cpu->s.rip);
	if (ev->vector == EXC_NMI && ev->ext)
		cpu->s.nmi_blocked = true;
}

/* SDM vol 3 table 6-5. */
static bool contributory(const struct cpu_event *ev)
{
	const uint32_t set = 1u << EXC_DE | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP;

	return ev->vector < 32 && set >> ev->vector & 1;
}

bool insn_combine(struct cpu_event *ev, const struct cpu_event *second)
{
	bool real = !ev->soft && !ev->ext && !ev->icebp; /* INT n and interrupts are benign */
	bool bad2 = contributory(second), pf2 = second->vector == EXC_PF;

	if (real && ev->vector == EXC_DF && (bad2 || pf2))
		return false;
	if (real && ((contributory(ev) && bad2) || (ev->vector == EXC_PF && (bad2 || pf2))))
		*ev = (struct cpu_event){ .vector = EXC_DF, .has_error = true };
	else
		*ev = *second;
	return true;
}

/* VME: does the redirection bitmap below the I/O map send vector to the 8086 program? SDM vol 3 20.3.3. */
static bool vme_redirected_raise(struct cpu *cpu, unsigned vector)
{
	uint32_t base = (uint32_t)cpu->s.tr.base, at;
	uint64_t bits;

	if (cpu->s.tr.limit < 0x67)
		raise_gp0(cpu);
	at = (uint32_t)mmu_load_raise(cpu, base + 0x66, 2, MMU_READ | MMU_SYS) - 32 + vector / 8;
	if (at > cpu->s.tr.limit)
		raise_gp0(cpu);
	bits = mmu_load_raise(cpu, (uint32_t)(base + at), 1, MMU_READ | MMU_SYS);
	return !(bits >> (vector & 7) & 1);
}

/* The flags image shows VIF as IF and IOPL 3 when IOPL < 3: SDM vol 3 20.3.3.4 to 20.3.3.6. */
static void vme_int_raise(struct cpu *cpu, unsigned vector, uint64_t ret_rip)
{
	uint64_t flags = cpu->s.rflags | FL_FIXED, clear = FL_TF | FL_RF;

	if (cpu_iopl(cpu) < 3) {
		flags = (flags & ~(uint64_t)FL_IF) | FL_IOPL | (flags & FL_VIF ? FL_IF : 0);
		clear |= FL_VIF;
	} else {
		clear |= FL_IF;
	}
	ivt_enter_raise(cpu, vector * 4u, flags, ret_rip);
	insn_set_flags(cpu, cpu->s.rflags & ~clear);
}

static void soft_raise(struct cpu *cpu, const struct insn *in, unsigned vector)
{
	struct cpu_event ev = { .vector = (uint8_t)vector, .soft = true };

	int_deliver_raise(cpu, &ev, cpu->next_rip);
}

void insn_int(struct cpu *cpu, const struct insn *in)
{
	unsigned vector = in->imm & 0xff;

	if (cpu_vm86(cpu)) {
		if (cpu->s.cr4 & CR4_VME && vme_redirected_raise(cpu, vector)) {
			vme_int_raise(cpu, vector, cpu->next_rip);
			return;
		}
		if (cpu_iopl(cpu) < 3)
			raise_gp0(cpu);
	}
	soft_raise(cpu, in, vector);
}

/* INT3, INT1 and INTO are neither IOPL-sensitive nor redirected: SDM vol 2 "INT n". */
void insn_int3(struct cpu *cpu, const struct insn *in)
{
	soft_raise(cpu, in, EXC_BP);
}

void insn_int1(struct cpu *cpu, const struct insn *in)
{
	struct cpu_event ev = { .vector = EXC_DB, .icebp = true };

	debug_enter(cpu, 0);
	int_deliver_raise(cpu, &ev, cpu->next_rip);
}

void insn_into(struct cpu *cpu, const struct insn *in)
{
	if (cpu->s.rflags & FL_OF)
		soft_raise(cpu, in, EXC_OF);
}
