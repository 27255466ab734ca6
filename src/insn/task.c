// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the hardware task switch of 16- and 32-bit TSSs
 *
 * SDM vol 3 7.2, 7.3. Up to the commit point (after the old task is saved) exceptions belong to the old task and
 * nothing has changed; behind it they belong to the new one, whose selectors are all loaded before the first descriptor
 * is looked at, so a fault handler sees them (7.3 step 11 ff).
 *
 *   check new TSS -> read it -> probe old -> | save old, link, busy bits | -> registers -> LDT -> CS SS DS ES FS GS
 *        faults of the old task                    commit                      faults of the new task
 */
#include "insn/insn_int.h"

struct tss_image {
	uint32_t cr3, eip, eflags;
	uint32_t gpr[8];
	uint16_t sel[6]; /* ES CS SS DS FS GS: enum cpu_segno */
	uint16_t ldt;
	bool trap;
};

#define TSS32_LIMIT 0x67
#define TSS16_LIMIT 0x2b

static uint32_t tss_read_raise(struct cpu *cpu, const struct desc *d, unsigned off, unsigned size)
{
	return (uint32_t)mmu_load_raise(cpu, (uint32_t)(d->base + off), size, MMU_READ | MMU_SYS);
}

/* Layout: SDM vol 3 figure 8-2. */
static void read_tss32_raise(struct cpu *cpu, const struct desc *d, struct tss_image *t)
{
	t->cr3 = tss_read_raise(cpu, d, 0x1c, 4);
	t->eip = tss_read_raise(cpu, d, 0x20, 4);
	t->eflags = tss_read_raise(cpu, d, 0x24, 4);
	for (unsigned i = 0; i < 8; i++)
		t->gpr[i] = tss_read_raise(cpu, d, 0x28 + 4 * i, 4);
	for (unsigned i = 0; i < 6; i++)
		t->sel[i] = (uint16_t)tss_read_raise(cpu, d, 0x48 + 4 * i, 2);
	t->ldt = (uint16_t)tss_read_raise(cpu, d, 0x60, 2);
	t->trap = tss_read_raise(cpu, d, 0x64, 2) & 1;
}

/* Layout: SDM vol 3 figure 8-10. */
static void read_tss16_raise(struct cpu *cpu, const struct desc *d, struct tss_image *t)
{
	t->cr3 = 0;
	t->eip = tss_read_raise(cpu, d, 0x0e, 2);
	t->eflags = tss_read_raise(cpu, d, 0x10, 2);
	for (unsigned i = 0; i < 8; i++)
		t->gpr[i] = 0xffff0000 | tss_read_raise(cpu, d, 0x12 + 2 * i, 2);
	for (unsigned i = 0; i < 4; i++)
		t->sel[i] = (uint16_t)tss_read_raise(cpu, d, 0x22 + 2 * i, 2);
	t->sel[SEG_FS] = t->sel[SEG_GS] = 0;
	t->ldt = (uint16_t)tss_read_raise(cpu, d, 0x2a, 2);
	t->trap = false;
}

static gla_t old_tss(const struct cpu *cpu, unsigned off)
{
	return (uint32_t)(cpu->s.tr.base + off);
}

static bool old_is_32(const struct cpu *cpu)
{
	return (cpu->s.tr.attr & SEGA_TYPE) >= DT_TSS32;
}

static void probe_old_raise(struct cpu *cpu, unsigned ext)
{
	if (cpu->s.tr.limit < (old_is_32(cpu) ? 0x5fu : 0x29u))
		cpu_raise(cpu, EXC_TS, SEL_ERR(cpu->s.tr.sel) | ext);
	mmu_probe_raise(cpu, old_tss(cpu, 0), old_is_32(cpu) ? 0x60 : 0x2a, MMU_WRITE | MMU_SYS);
}

/* EIP to GS: the dynamic fields only (SDM vol 3 7.2.1). */
static void save_old(struct cpu *cpu, uint64_t rip, uint64_t flags)
{
	bool wide = old_is_32(cpu);
	unsigned size = wide ? 4 : 2, at = wide ? 0x20 : 0x0e, segs = wide ? 6 : 4;

	mmu_store_raise(cpu, old_tss(cpu, at), rip, size, MMU_WRITE | MMU_SYS);
	mmu_store_raise(cpu, old_tss(cpu, at + size), flags, size, MMU_WRITE | MMU_SYS);
	at += 2 * size;
	for (unsigned i = 0; i < 8; i++)
		mmu_store_raise(cpu, old_tss(cpu, at + size * i), cpu->s.gpr[i], size, MMU_WRITE | MMU_SYS);
	at += 8 * size;
	for (unsigned i = 0; i < segs; i++)
		mmu_store_raise(cpu, old_tss(cpu, at + size * i), cpu->s.seg[i].sel, 2, MMU_WRITE | MMU_SYS);
}

/* Types and errors: SDM vol 3 table 7-1. */
static void check_new_raise(struct cpu *cpu, uint16_t sel, enum task_how how, unsigned ext, struct desc *d)
{
	bool back = how == TASK_IRET;
	unsigned vector = back ? EXC_TS : EXC_GP, type;

	if (SEL_NULL(sel) || sel & SEL_TI)
		cpu_raise(cpu, vector, SEL_ERR(sel) | ext);
	desc_need_raise(cpu, sel, vector, ext, d);
	type = d->attr & (SEGA_S | SEGA_TYPE);
	if ((type & ~8u) != (back ? DT_TSS16_BUSY : DT_TSS16))
		cpu_raise(cpu, vector, SEL_ERR(sel) | ext);
	if (!desc_present(d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel) | ext);
	if (d->limit < (type & 8 ? TSS32_LIMIT : TSS16_LIMIT))
		cpu_raise(cpu, EXC_TS, SEL_ERR(sel) | ext);
}

static void busy_bits_raise(struct cpu *cpu, const struct desc *new, enum task_how how)
{
	struct desc old;

	if ((how == TASK_JMP || how == TASK_IRET) && desc_fetch_raise(cpu, cpu->s.tr.sel, &old))
		desc_set_busy_raise(cpu, old.at, false);
	if (how != TASK_IRET)
		desc_set_busy_raise(cpu, new->at, true);
}

static void load_registers(struct cpu *cpu, const struct desc *d, const struct tss_image *t, enum task_how how)
{
	uint64_t flags = t->eflags & (FLAGS_RESTORE | FL_IF | FL_IOPL | FL_RF | FL_VM | FL_AC | FL_VIF | FL_VIP | FL_ID);

	if (how == TASK_CALL || how == TASK_INT)
		flags |= FL_NT;
	cpu->s.tr = (struct cpu_seg){ d->base, d->limit, d->sel, (uint16_t)(d->attr | 2) };
	cpu->s.cr0 |= CR0_TS;
	if (cpu->s.dr[7] & 0x155)
		mmu_flush_all(cpu);
	cpu->s.dr[7] &= ~0x155ull; /* L0-L3 and LE: SDM vol 3 17.2.4 */
	for (unsigned i = 0; i < 8; i++)
		cpu->s.gpr[i] = t->gpr[i];
	cpu->s.rip = cpu->next_rip = t->eip;
	cpu->mode_dirty = true;
	for (unsigned i = 0; i < 6; i++)
		cpu_set_seg(cpu, i, t->sel[i], 0, 0, SEGA_NULL);
	insn_set_flags(cpu, flags);
	/* The LDT is invalid until its descriptor was checked. */
	cpu->s.ldtr = (struct cpu_seg){ 0, 0, t->ldt, SEGA_NULL };
}

static void load_cs_raise(struct cpu *cpu, uint16_t sel, unsigned ext)
{
	unsigned cpl = SEL_RPL(sel);
	struct desc d;

	if (SEL_NULL(sel))
		cpu_raise(cpu, EXC_TS, ext);
	desc_need_raise(cpu, sel, EXC_TS, ext, &d);
	if (!desc_is_code(&d) || (desc_is_conforming(&d) ? desc_dpl(&d) > cpl : desc_dpl(&d) != cpl))
		cpu_raise(cpu, EXC_TS, SEL_ERR(sel) | ext);
	if (!desc_present(&d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel) | ext);
	desc_mark_accessed_raise(cpu, &d);
	seg_set(cpu, SEG_CS, sel, &d);
}

static void load_task_ss_raise(struct cpu *cpu, uint16_t sel, unsigned ext)
{
	struct desc d;

	seg_check_ss_raise(cpu, sel, cpu->s.cpl, EXC_TS, ext, &d);
	desc_mark_accessed_raise(cpu, &d);
	seg_set(cpu, SEG_SS, sel, &d);
}

static void load_task_data_raise(struct cpu *cpu, unsigned n, uint16_t sel, unsigned ext)
{
	struct desc d;

	if (SEL_NULL(sel)) {
		seg_set_null(cpu, n, sel);
		return;
	}
	desc_need_raise(cpu, sel, EXC_TS, ext, &d);
	if (!desc_is_readable(&d))
		cpu_raise(cpu, EXC_TS, SEL_ERR(sel) | ext);
	if (!desc_is_conforming(&d) && (SEL_RPL(sel) > desc_dpl(&d) || cpu->s.cpl > desc_dpl(&d)))
		cpu_raise(cpu, EXC_TS, SEL_ERR(sel) | ext);
	if (!desc_present(&d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel) | ext);
	desc_mark_accessed_raise(cpu, &d);
	seg_set(cpu, n, sel, &d);
}

static void load_segments_raise(struct cpu *cpu, const struct tss_image *t, unsigned ext)
{
	static const uint8_t data[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };
	bool vm = t->eflags & FL_VM;

	insn_set_cpl(cpu, vm ? 3 : (uint8_t)SEL_RPL(t->sel[SEG_CS]));
	seg_load_ldt_raise(cpu, t->ldt, EXC_TS, ext);
	if (vm) {
		for (unsigned i = 0; i < 6; i++)
			cpu_set_seg_real(cpu, i, t->sel[i]);
		return;
	}
	/* SS first, as in table 7-1: a bad CS is reported on the new task's stack. */
	load_task_ss_raise(cpu, t->sel[SEG_SS], ext);
	load_cs_raise(cpu, t->sel[SEG_CS], ext);
	for (unsigned i = 0; i < ARRAY_LEN(data); i++)
		load_task_data_raise(cpu, data[i], t->sel[data[i]], ext);
}

void task_switch_raise(struct cpu *cpu, uint16_t sel, enum task_how how, uint64_t rip, unsigned ext)
{
	uint64_t flags = cpu->s.rflags | FL_FIXED;
	bool nested = how == TASK_CALL || how == TASK_INT, wide;
	uint16_t old_sel = cpu->s.tr.sel;
	struct tss_image t;
	struct desc d;

	check_new_raise(cpu, sel, how, ext, &d);
	wide = (d.attr & SEGA_TYPE) >= DT_TSS32;
	if (wide)
		read_tss32_raise(cpu, &d, &t);
	else
		read_tss16_raise(cpu, &d, &t);
	if (nested)
		mmu_probe_raise(cpu, (uint32_t)d.base, 2, MMU_WRITE | MMU_SYS);
	probe_old_raise(cpu, ext);
	busy_bits_raise(cpu, &d, how);
	save_old(cpu, rip, how == TASK_IRET ? flags & ~(uint64_t)FL_NT : flags);
	if (nested)
		mmu_store_raise(cpu, (uint32_t)d.base, old_sel, 2, MMU_WRITE | MMU_SYS);
	load_registers(cpu, &d, &t, how);
	if (wide && cpu->s.cr0 & CR0_PG)
		mmu_set_cr3_raise(cpu, t.cr3);
	load_segments_raise(cpu, &t, ext);
	if (t.trap)
		cpu->s.pending_dbg |= 1u << 15; /* BT */
	if (t.eip > cpu->s.seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, ext);
}

uint16_t task_link_raise(struct cpu *cpu)
{
	if (cpu->s.tr.limit < 1)
		cpu_raise(cpu, EXC_TS, SEL_ERR(cpu->s.tr.sel));
	return (uint16_t)mmu_load_raise(cpu, (uint32_t)cpu->s.tr.base, 2, MMU_READ | MMU_SYS);
}
