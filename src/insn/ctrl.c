// SPDX-License-Identifier: GPL-2.0-or-later
/* what: control, debug and extended control registers: their #GP rules, mode changes, which translations die
 *
 * SDM vol 3 2.5 (CR), 4.1 (paging modes), 9.8.5 (entering and leaving IA-32e mode), 17.2 (DR), 2.6 (XCR0).
 */
#include "insn/insn_int.h"
#include "cpu/cpuid.h"

#define CR0_KNOWN (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR0_PDPTE (CR0_CD | CR0_NW | CR0_PG)
#define CR4_FLUSH (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP | CR4_SMAP | CR4_PCIDE)
#define CR4_PDPTE (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)

static void mode_changed(struct cpu *cpu)
{
	cpu->mode_dirty = true;
	cpu->view = cpu_view_now(cpu);
}

/* PAE's four PDPTEs are loaded with CR0 and CR4 too; reserved bits set in a present one: #GP (SDM vol 3 4.4.1). */
static void load_pdptes_raise(struct cpu *cpu)
{
	if (!mmu_load_pdptes(cpu, cpu->s.cr3))
		raise_gp0(cpu);
}

static void check_cr0_raise(struct cpu *cpu, uint64_t val)
{
	bool pg = val & CR0_PG, was = cpu->s.cr0 & CR0_PG;

	if (val >> 32 || (pg && !(val & CR0_PE)) || (val & CR0_NW && !(val & CR0_CD)))
		raise_gp0(cpu);
	if (!pg && was && (cpu_code64(cpu) || cpu->s.cr4 & CR4_PCIDE))
		raise_gp0(cpu);
	if (pg && !was && cpu->s.efer & EFER_LME &&
	    (!(cpu->s.cr4 & CR4_PAE) || cpu->s.seg[SEG_CS].attr & SEGA_L || (cpu->s.tr.attr & SEGA_TYPE) == DT_TSS16_BUSY))
		raise_gp0(cpu);
}

void ctrl_set_cr0_raise(struct cpu *cpu, uint64_t val)
{
	uint64_t old = cpu->s.cr0, changed;

	check_cr0_raise(cpu, val);
	val = (val & CR0_KNOWN) | CR0_ET;
	changed = old ^ val;
	if (val & CR0_PG && changed & CR0_PDPTE && cpu->s.cr4 & CR4_PAE && !(cpu->s.efer & EFER_LME))
		load_pdptes_raise(cpu);
	cpu->s.cr0 = val;
	if (changed & CR0_PG && cpu->s.efer & EFER_LME)
		cpu->s.efer = val & CR0_PG ? cpu->s.efer | EFER_LMA : cpu->s.efer & ~(uint64_t)EFER_LMA;
	if (changed & (CR0_PG | CR0_PE | CR0_WP))
		mmu_flush_all(cpu);
	mode_changed(cpu);
}

static void set_cr4_raise(struct cpu *cpu, uint64_t val)
{
	uint64_t changed = cpu->s.cr4 ^ val;

	if (val & ~cpu->model->cr4_valid)
		raise_gp0(cpu);
	if (cpu_long_mode(cpu) && !(val & CR4_PAE))
		raise_gp0(cpu);
	if (changed & val & CR4_PCIDE && (!cpu_long_mode(cpu) || cpu->s.cr3 & 0xfff))
		raise_gp0(cpu);
	if (cpu->s.cr0 & CR0_PG && val & CR4_PAE && changed & CR4_PDPTE && !cpu_long_mode(cpu))
		load_pdptes_raise(cpu);
	cpu->s.cr4 = val;
	if (changed & CR4_FLUSH)
		mmu_flush_all(cpu);
	mode_changed(cpu);
}

static void set_cr8_raise(struct cpu *cpu, uint64_t val)
{
	if (val > 15)
		raise_gp0(cpu);
	if (!cpu->hooks || !cpu->hooks->set_tpr)
		return;
	cpu->hooks->set_tpr(cpu->hooks->opaque, (uint8_t)val);
}

/* CR moves are always of the mode's full width: SDM vol 2 "MOV to/from control registers". */
static unsigned ctrl_width(const struct cpu *cpu)
{
	return cpu_code64(cpu) ? 8 : 4;
}

void insn_mov_to_cr(struct cpu *cpu, const struct insn *in)
{
	uint64_t val = reg_get(cpu, in->rm, ctrl_width(cpu));

	if (in->reg > 8 || in->reg == 1 || (in->reg > 4 && in->reg < 8) || (in->reg == 8 && !cpu_code64(cpu)))
		raise_ud(cpu);
	need_cpl0_raise(cpu);
	if (in->reg == 0)
		ctrl_set_cr0_raise(cpu, val);
	else if (in->reg == 2)
		cpu->s.cr2 = val;
	else if (in->reg == 3)
		mmu_set_cr3_raise(cpu, val);
	else if (in->reg == 4)
		set_cr4_raise(cpu, val);
	else
		set_cr8_raise(cpu, val);
}

static uint64_t get_cr8(struct cpu *cpu)
{
	if (!cpu->hooks || !cpu->hooks->get_tpr)
		return 0;
	return cpu->hooks->get_tpr(cpu->hooks->opaque) & 15;
}

void insn_mov_from_cr(struct cpu *cpu, const struct insn *in)
{
	uint64_t val;

	if (in->reg > 8 || in->reg == 1 || (in->reg > 4 && in->reg < 8) || (in->reg == 8 && !cpu_code64(cpu)))
		raise_ud(cpu);
	need_cpl0_raise(cpu);
	if (in->reg == 0)
		val = cpu->s.cr0;
	else if (in->reg == 2)
		val = cpu->s.cr2;
	else if (in->reg == 3)
		val = cpu->s.cr3;
	else
		val = in->reg == 4 ? cpu->s.cr4 : get_cr8(cpu);
	reg_set(cpu, in->rm, val, ctrl_width(cpu));
}

void insn_clts(struct cpu *cpu, const struct insn *in)
{
	need_cpl0_raise(cpu);
	cpu->s.cr0 &= ~(uint64_t)CR0_TS;
	cpu->mode_dirty = true;
}

/* Sets PE, never clears it: SDM vol 2 "LMSW". */
void insn_lmsw(struct cpu *cpu, const struct insn *in)
{
	uint64_t val;

	need_cpl0_raise(cpu);
	val = insn_rm_read_raise(cpu, in, 2) & 0xf;
	ctrl_set_cr0_raise(cpu, (cpu->s.cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS)) | val);
}

void insn_smsw(struct cpu *cpu, const struct insn *in)
{
	if (cpu->s.cpl && cpu->s.cr4 & CR4_UMIP)
		raise_gp0(cpu);
	insn_rm_write_raise(cpu, in, cpu->s.cr0, in->has_mem ? 2 : in->opsize);
}

/* Shared order of checks: #UD for DR4/5 with DE, CPL, then general detect (SDM vol 3 17.2.2, 17.2.4). */
static unsigned debug_reg_raise(struct cpu *cpu, unsigned n)
{
	if (n > 7 || ((n == 4 || n == 5) && cpu->s.cr4 & CR4_DE))
		raise_ud(cpu);
	need_cpl0_raise(cpu);
	if (cpu->s.dr[7] & 1u << 13)
		cpu_raise_db(cpu, 1u << 13, false); /* BD */
	return n == 4 || n == 5 ? n + 2 : n;
}

void insn_mov_to_dr(struct cpu *cpu, const struct insn *in)
{
	unsigned n = debug_reg_raise(cpu, in->reg);
	uint64_t val = reg_get(cpu, in->rm, ctrl_width(cpu));

	if (n >= 6 && val >> 32)
		raise_gp0(cpu);
	if (n == 6)
		val = (val & 0xe00f) | 0xffff0ff0;
	else if (n == 7)
		val = (val & 0xffff23ff) | 0x400;
	if (n != 6 && cpu->s.dr[n] != val && (n == 7 || cpu->s.dr[7] & 0xff))
		mmu_flush_all(cpu); /* pages with data breakpoints have no TLB entries */
	cpu->s.dr[n] = val;
	cpu->mode_dirty = true;
}

void insn_mov_from_dr(struct cpu *cpu, const struct insn *in)
{
	unsigned n = debug_reg_raise(cpu, in->reg);

	reg_set(cpu, in->rm, cpu->s.dr[n], ctrl_width(cpu));
}

static void need_osxsave_raise(struct cpu *cpu)
{
	if (!(cpu->s.cr4 & CR4_OSXSAVE))
		raise_ud(cpu);
}

static void put_edx_eax(struct cpu *cpu, uint64_t val)
{
	cpu->s.gpr[RAX] = (uint32_t)val;
	cpu->s.gpr[RDX] = val >> 32;
}

void insn_xgetbv(struct cpu *cpu, const struct insn *in)
{
	uint32_t n = (uint32_t)cpu->s.gpr[RCX];
	uint32_t lo, hi, feature[4];

	need_osxsave_raise(cpu);
	cpuid_answer(cpu, 0xd, 1, feature);
	if (n > 1 || (n == 1 && !(feature[0] & 4)))
		raise_gp0(cpu);
	if (n == 0) {
		put_edx_eax(cpu, cpu->s.xcr0);
		return;
	}
	/* XCR0 & XINUSE: the host's answer is the guest's, for its registers are live. */
	if (!cpu->fpu_live)
		cpu_fpu_load(cpu);
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(1));
	put_edx_eax(cpu, ((uint64_t)hi << 32 | lo) & cpu->s.xcr0);
}

/* SDM vol 2 "XSETBV" and vol 1 13.3: which combinations are legal. */
static bool xcr0_ok(const struct cpu *cpu, uint64_t val)
{
	uint64_t avx512 = val & 0xe0;

	if (!(val & 1) || val & ~cpu->model->xcr0_valid)
		return false;
	if (val & 4 && !(val & 2))
		return false;
	return !avx512 || (avx512 == 0xe0 && val & 4);
}

void insn_xsetbv(struct cpu *cpu, const struct insn *in)
{
	uint64_t val = (uint32_t)cpu->s.gpr[RAX] | cpu->s.gpr[RDX] << 32;

	need_osxsave_raise(cpu);
	need_cpl0_raise(cpu);
	if ((uint32_t)cpu->s.gpr[RCX] || !xcr0_ok(cpu, val))
		raise_gp0(cpu);
	cpu->s.xcr0 = val;
	cpu->mode_dirty = true;
}

void insn_invlpg(struct cpu *cpu, const struct insn *in)
{
	gla_t gla;

	if (!in->has_mem)
		raise_ud(cpu);
	need_cpl0_raise(cpu);
	gla = insn_ea(cpu, in);
	if (!cpu_code64(cpu))
		gla = (uint32_t)(gla + cpu->s.seg[in->seg].base);
	else if (in->seg == SEG_FS || in->seg == SEG_GS)
		gla += cpu->s.seg[in->seg].base;
	if (cpu_canonical(gla)) /* else: a NOP, SDM vol 2 "INVLPG" */
		mmu_flush_page(cpu, gla);
}

void insn_invpcid(struct cpu *cpu, const struct insn *in)
{
	uint64_t type = reg_get(cpu, in->reg, cpu_code64(cpu) ? 8 : 4), pcid, addr;
	gla_t gla;

	if (!cpu->model->invpcid || !in->has_mem)
		raise_ud(cpu);
	need_cpl0_raise(cpu);
	gla = insn_rm_linear_raise(cpu, in, 16, MMU_READ);
	pcid = mmu_load_raise(cpu, gla, 8, MMU_READ);
	addr = mmu_load_raise(cpu, gla + 8, 8, MMU_READ);
	mmu_invpcid_raise(cpu, type, pcid, addr);
}

void insn_wbinvd(struct cpu *cpu, const struct insn *in)
{
	need_cpl0_raise(cpu);
}
