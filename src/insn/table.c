// SPDX-License-Identifier: GPL-2.0-or-later
/* what: descriptor tables: LGDT..STR, and the instructions that ask about a descriptor (LAR LSL VERR VERW ARPL)
 *
 * SDM vol 2, the instructions' own pages. UMIP makes the storing ones privileged (SDM vol 3 2.5).
 */
#include "insn/insn_int.h"

static void umip_raise(struct cpu *cpu)
{
	if (cpu->s.cpl && cpu->s.cr4 & CR4_UMIP)
		raise_gp0(cpu);
}

static void need_protected_raise(struct cpu *cpu)
{
	if (!cpu_protected(cpu))
		raise_ud(cpu);
}

struct pseudo {
	uint64_t base;
	uint16_t limit;
};

/* A 16-bit operand size gives 24 bits of base: SDM vol 2 "LGDT/LIDT". */
static struct pseudo load_pseudo_raise(struct cpu *cpu, const struct insn *in)
{
	unsigned bsize = cpu_code64(cpu) ? 8 : 4;
	struct pseudo p;
	gla_t gla;

	if (!in->has_mem)
		raise_ud(cpu);
	need_cpl0_raise(cpu);
	gla = insn_rm_linear_raise(cpu, in, bsize + 2, MMU_READ);
	p.limit = (uint16_t)mmu_load_raise(cpu, gla, 2, MMU_READ);
	p.base = mmu_load_raise(cpu, gla + 2, bsize, MMU_READ);
	if (bsize == 4 && in->opsize == 2)
		p.base &= 0xffffff;
	if (!cpu_canonical(p.base))
		raise_gp0(cpu);
	return p;
}

void insn_lgdt(struct cpu *cpu, const struct insn *in)
{
	struct pseudo p = load_pseudo_raise(cpu, in);

	cpu->s.gdt_base = p.base;
	cpu->s.gdt_limit = p.limit;
}

void insn_lidt(struct cpu *cpu, const struct insn *in)
{
	struct pseudo p = load_pseudo_raise(cpu, in);

	cpu->s.idt_base = p.base;
	cpu->s.idt_limit = p.limit;
}

static void store_pseudo_raise(struct cpu *cpu, const struct insn *in, uint64_t base, uint32_t limit)
{
	unsigned bsize = cpu_code64(cpu) ? 8 : 4;
	uint8_t buf[10];
	gla_t gla;

	if (!in->has_mem)
		raise_ud(cpu);
	umip_raise(cpu);
	gla = insn_rm_linear_raise(cpu, in, bsize + 2, MMU_WRITE);
	put_le16(buf, (uint16_t)limit);
	put_le64(buf + 2, base);
	mmu_write_raise(cpu, gla, buf, bsize + 2, MMU_WRITE);
}

void insn_sgdt(struct cpu *cpu, const struct insn *in)
{
	store_pseudo_raise(cpu, in, cpu->s.gdt_base, cpu->s.gdt_limit);
}

void insn_sidt(struct cpu *cpu, const struct insn *in)
{
	store_pseudo_raise(cpu, in, cpu->s.idt_base, cpu->s.idt_limit);
}

static void sys_base_raise(struct cpu *cpu, struct desc *d, unsigned vector, unsigned ext)
{
	if (!cpu_long_mode(cpu))
		return;
	d->base |= desc_high_raise(cpu, d, vector, ext) << 32;
	if (!cpu_canonical(d->base))
		cpu_raise(cpu, vector, SEL_ERR(d->sel) | ext);
}

static void set_sys_seg(struct cpu_seg *seg, uint16_t sel, const struct desc *d)
{
	*seg = (struct cpu_seg){ d->base, d->limit, sel, d->attr };
}

/* Also by task switches, where the vector is #TS. */
void seg_load_ldt_raise(struct cpu *cpu, uint16_t sel, unsigned vector, unsigned ext)
{
	struct desc d;

	if (SEL_NULL(sel)) {
		cpu->s.ldtr = (struct cpu_seg){ 0, 0, sel, SEGA_NULL };
		return;
	}
	if (sel & SEL_TI)
		cpu_raise(cpu, vector, SEL_ERR(sel) | ext);
	desc_need_raise(cpu, sel, vector, ext, &d);
	if (!desc_is_sys(&d, DT_LDT))
		cpu_raise(cpu, vector, SEL_ERR(sel) | ext);
	if (!desc_present(&d))
		cpu_raise(cpu, vector == EXC_TS ? EXC_TS : EXC_NP, SEL_ERR(sel) | ext);
	sys_base_raise(cpu, &d, vector, ext);
	set_sys_seg(&cpu->s.ldtr, sel, &d);
}

void insn_lldt(struct cpu *cpu, const struct insn *in)
{
	need_protected_raise(cpu);
	need_cpl0_raise(cpu);
	seg_load_ldt_raise(cpu, (uint16_t)insn_rm_read_raise(cpu, in, 2), EXC_GP, 0);
}

void insn_ltr(struct cpu *cpu, const struct insn *in)
{
	struct desc d;
	uint16_t sel;

	need_protected_raise(cpu);
	need_cpl0_raise(cpu);
	sel = (uint16_t)insn_rm_read_raise(cpu, in, 2);
	if (SEL_NULL(sel))
		raise_gp0(cpu);
	if (sel & SEL_TI)
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	desc_need_raise(cpu, sel, EXC_GP, 0, &d);
	if (!desc_is_sys(&d, DT_TSS32) && !(desc_is_sys(&d, DT_TSS16) && !cpu_long_mode(cpu)))
		cpu_raise(cpu, EXC_GP, SEL_ERR(sel));
	if (!desc_present(&d))
		cpu_raise(cpu, EXC_NP, SEL_ERR(sel));
	sys_base_raise(cpu, &d, EXC_GP, 0);
	desc_set_busy_raise(cpu, d.at, true);
	d.attr |= 2;
	set_sys_seg(&cpu->s.tr, sel, &d);
}

static void store_selector_raise(struct cpu *cpu, const struct insn *in, uint16_t sel)
{
	need_protected_raise(cpu);
	umip_raise(cpu);
	insn_rm_write_raise(cpu, in, sel, in->has_mem ? 2 : in->opsize);
}

void insn_sldt(struct cpu *cpu, const struct insn *in)
{
	store_selector_raise(cpu, in, cpu->s.ldtr.sel);
}

void insn_str(struct cpu *cpu, const struct insn *in)
{
	store_selector_raise(cpu, in, cpu->s.tr.sel);
}

static void set_zf(struct cpu *cpu, bool zf)
{
	cpu->s.rflags = (cpu->s.rflags & ~(uint64_t)FL_ZF) | (zf ? FL_ZF : 0);
}

/* Is the descriptor visible at CPL and RPL? Conforming code always is. */
static bool visible(const struct cpu *cpu, uint16_t sel, const struct desc *d)
{
	return desc_is_conforming(d) || (cpu->s.cpl <= desc_dpl(d) && SEL_RPL(sel) <= desc_dpl(d));
}

/* System types that LAR and LSL take: SDM vol 2 tables 3-54 and 3-62 ("LAR", "LSL"). */
#define LAR_TYPES (1u << DT_TSS16 | 1u << DT_LDT | 1u << DT_TSS16_BUSY | 1u << DT_CALL16 | 1u << DT_TASK | \
		   1u << DT_TSS32 | 1u << DT_TSS32_BUSY | 1u << DT_CALL32)
#define LAR_TYPES64 (1u << DT_LDT | 1u << DT_TSS32 | 1u << DT_TSS32_BUSY | 1u << DT_CALL32)
#define LSL_GATES (1u << DT_CALL16 | 1u << DT_CALL32 | 1u << DT_TASK)

static bool lookup_raise(struct cpu *cpu, const struct insn *in, uint32_t types, struct desc *d)
{
	uint16_t sel;

	need_protected_raise(cpu);
	sel = (uint16_t)insn_rm_read_raise(cpu, in, 2);
	if (SEL_NULL(sel) || !desc_fetch_raise(cpu, sel, d))
		return false;
	if (!(d->attr & SEGA_S) && !(types >> (d->attr & SEGA_TYPE) & 1))
		return false;
	return visible(cpu, sel, d);
}

void insn_lar(struct cpu *cpu, const struct insn *in)
{
	struct desc d;
	bool ok = lookup_raise(cpu, in, cpu_long_mode(cpu) ? LAR_TYPES64 : LAR_TYPES, &d);

	if (ok)
		reg_set(cpu, in->reg, d.raw >> 32 & 0x00ffff00, in->opsize);
	set_zf(cpu, ok);
}

void insn_lsl(struct cpu *cpu, const struct insn *in)
{
	uint32_t types = (cpu_long_mode(cpu) ? LAR_TYPES64 : LAR_TYPES) & ~LSL_GATES;
	struct desc d;
	bool ok = lookup_raise(cpu, in, types, &d);

	if (ok)
		reg_set(cpu, in->reg, d.limit, in->opsize);
	set_zf(cpu, ok);
}

void insn_verr(struct cpu *cpu, const struct insn *in)
{
	struct desc d;

	set_zf(cpu, lookup_raise(cpu, in, 0, &d) && desc_is_readable(&d));
}

void insn_verw(struct cpu *cpu, const struct insn *in)
{
	struct desc d;

	set_zf(cpu, lookup_raise(cpu, in, 0, &d) && desc_is_writable(&d));
}

void insn_arpl(struct cpu *cpu, const struct insn *in)
{
	uint64_t dst, rpl = cpu->s.gpr[in->reg] & 3;

	need_protected_raise(cpu);
	dst = insn_rm_read_raise(cpu, in, 2);
	if ((dst & 3) < rpl)
		insn_rm_write_raise(cpu, in, (dst & ~3ull) | rpl, 2);
	set_zf(cpu, (dst & 3) < rpl);
}
