// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the declared state of a CPU, reset and INIT, segment loads and what is derived from them
 *
 * rmax and wmax let translated code check a segment with one comparison: the highest offset + 1 that an
 * access may reach, or 0 when the answer takes more thought (expand-down, null, execute-only, read-only),
 * which sends it to C. DPL was checked when the segment was loaded.
 */
#include "cpu/cpu.h"
#include "base/bytes.h"
#include "cpu/cpu_int.h"
#include "cpu/cpuid.h"

#define ATTR_DATA (SEGA_P | SEGA_S | SEGA_W | SEGA_A)
#define ATTR_LDT (SEGA_P | 0x2)
#define ATTR_TSS_BUSY (SEGA_P | 0xb)

static bool readable(const struct cpu_seg *seg)
{
	if ((seg->attr & (SEGA_P | SEGA_S | SEGA_NULL)) != (SEGA_P | SEGA_S))
		return false;
	if (seg->attr & SEGA_CODE)
		return seg->attr & SEGA_W; /* that bit means readable in a code segment */
	return !(seg->attr & SEGA_E);
}

static void derive_seg(struct cpu *cpu, unsigned n)
{
	const struct cpu_seg *seg = &cpu->s.seg[n];
	bool rd = readable(seg), wr = rd && (seg->attr & (SEGA_CODE | SEGA_W)) == SEGA_W;

	cpu->rmax[n] = rd ? (uint64_t)seg->limit + 1 : 0;
	cpu->wmax[n] = wr ? (uint64_t)seg->limit + 1 : 0;
}

void cpu_set_seg(struct cpu *cpu, unsigned n, uint16_t sel, uint64_t base, uint32_t limit, uint16_t attr)
{
	struct cpu_seg *seg = &cpu->s.seg[n];

	if (n == SEG_CS)
		cpu_x87_keep_cs(cpu);
	seg->sel = sel;
	seg->base = base;
	seg->limit = limit;
	seg->attr = attr;
	derive_seg(cpu, n);
	cpu->mode_dirty = true;
}

void cpu_set_seg_real(struct cpu *cpu, unsigned n, uint16_t sel)
{
	const struct cpu_seg *seg = &cpu->s.seg[n];

	if (cpu->s.rflags & FL_VM) {
		cpu_set_seg(cpu, n, sel, (uint64_t)sel << 4, 0xffff, ATTR_DATA | SEGA_DPL);
		return;
	}
	/* Limit, G and D/B survive from protected mode ("unreal"), but every segment is plain data now: a real-mode
	 * program may write through CS whatever its last descriptor said. */
	cpu_set_seg(cpu, n, sel, (uint64_t)sel << 4, seg->limit, (seg->attr & (SEGA_AVL | SEGA_DB | SEGA_G)) | ATTR_DATA);
}

uint8_t cpu_view_now(const struct cpu *cpu)
{
	if (cpu->s.cpl == 3)
		return VIEW_USER;
	return cpu->s.cr4 & CR4_SMAP && !(cpu->s.rflags & FL_AC) ? VIEW_SUP : VIEW_SUP_AC;
}

void cpu_derive(struct cpu *cpu)
{
	for (unsigned n = 0; n < 6; n++)
		derive_seg(cpu, n);
	cpu->view = cpu_view_now(cpu);
	cpu->mode_dirty = true;
}

/* --- reset, SDM vol 3 table 9-1 --- */

static void seg_reset(struct cpu_seg *seg, uint16_t sel, uint64_t base, uint16_t attr)
{
	seg->sel = sel;
	seg->base = base;
	seg->limit = 0xffff;
	seg->attr = attr;
}

static uint32_t signature(const struct cpu *cpu)
{
	return cpu->model && cpu->model->nleaves > 1 ? cpu->model->leaf[1].eax : 0x600;
}

/* What RESET and INIT have in common. */
static void init_common(struct cpu *cpu, uint64_t cr0)
{
	struct cpu_state *s = &cpu->s;

	bytes_fill(s->gpr, 0, sizeof(s->gpr));
	s->gpr[RDX] = signature(cpu);
	s->rip = 0xfff0;
	s->rflags = FL_FIXED;
	for (unsigned n = 0; n < 6; n++)
		seg_reset(&s->seg[n], 0, 0, ATTR_DATA);
	cpu_x87_keep_cs(cpu);
	seg_reset(&s->seg[SEG_CS], 0xf000, 0xffff0000, ATTR_DATA);
	seg_reset(&s->ldtr, 0, 0, ATTR_LDT);
	seg_reset(&s->tr, 0, 0, ATTR_TSS_BUSY);
	s->gdt_base = s->idt_base = 0;
	s->gdt_limit = s->idt_limit = 0xffff;
	s->cr0 = cr0;
	s->cr2 = s->cr3 = s->cr4 = 0;
	bytes_fill(s->dr, 0, sizeof(s->dr));
	s->dr[6] = 0xffff0ff0;
	s->dr[7] = 0x400;
	s->efer = 0;
	bytes_fill(s->pdpte, 0, sizeof(s->pdpte));
	s->cpl = 0;
	s->wait_sipi = cpu->number != 0;
	s->halted = s->int_shadow = s->shadow_ss = s->nmi_blocked = s->nmi_pending = false;
	s->pending_dbg = 0;
}

static void reset_amd_msrs(struct cpu_state *s)
{
	bytes_fill(s->amd_ls_mca, 0, sizeof(s->amd_ls_mca));
	bytes_fill(s->amd_perf, 0, sizeof(s->amd_perf));
	bytes_fill(s->amd_iorr, 0, sizeof(s->amd_iorr));
	bytes_fill(s->amd_top_mem, 0, sizeof(s->amd_top_mem));
	bytes_fill(s->amd_core_cfg, 0, sizeof(s->amd_core_cfg));
	s->amd_syscfg = s->amd_nb_cfg = s->amd_mmio_cfg = 0;
	s->amd_hwcr = 1 << 24;     /* TscFreqSel: the TSC runs at the rate of P0 */
	s->amd_core_cfg[9] = 1 << 1; /* DE_CFG: LFENCE serializes */
}

static void reset_msrs(struct cpu *cpu)
{
	struct cpu_state *s = &cpu->s;

	s->star = s->lstar = s->cstar = s->fmask = s->kernel_gs_base = 0;
	s->sysenter_cs = s->sysenter_esp = s->sysenter_eip = 0;
	s->tsc_aux = s->tsc_adjust = 0;
	s->tsc_offset = 0 - (cpu->tsc_zero ? cpu->tsc_zero : cpu_host_tsc());
	s->pat = 0x0007040600070406; /* SDM vol 3 table 11-12 */
	s->misc_enable = 0x1801;     /* fast strings; BTS and PEBS unavailable: SDM vol 4 table 2-2 */
	s->mtrr_def_type = 0;
	bytes_fill(s->mtrr_phys, 0, sizeof(s->mtrr_phys));
	bytes_fill(s->mtrr_fix, 0, sizeof(s->mtrr_fix));
	s->spec_ctrl = 0;
	reset_amd_msrs(s);
	s->xcr0 = XCR0_X87;
}

void cpu_reset(struct cpu *cpu, bool init)
{
	cpu_fpu_probe(cpu);
	if (init) {
		/* CD and NW keep their values, and the FPU, XCR0 and MSRs but EFER are untouched. */
		init_common(cpu, (cpu->s.cr0 & (CR0_CD | CR0_NW)) | CR0_ET);
	} else {
		init_common(cpu, CR0_CD | CR0_NW | CR0_ET);
		cpu->s.ferr = cpu->s.ignne = false;
		reset_msrs(cpu);
		cpu_fpu_reset(cpu);
	}
	cpu->event_valid = false;
	cpu->x87_aside = 0;
	cpu->host_pc = 0;
	cpu->bounce_len = 0;
	cpu->bounce_exit = false;
	cpu_derive(cpu);
}

/* --- declared state --- */

#define S(m) ST(struct cpu_state, m)
#define A(m) ST_ARRAY(struct cpu_state, m)

static const struct st_field cpu_seg_fields[] = {
	ST(struct cpu_seg, base), ST(struct cpu_seg, limit), ST(struct cpu_seg, sel), ST(struct cpu_seg, attr),
};
static ST_TYPE(cpu_seg, struct cpu_seg, 1, NULL);

static const char *state_check(const void *state)
{
	const struct cpu_state *s = state;

	if (s->cpl > 3)
		return "CPL above 3";
	if (!(s->rflags & FL_FIXED))
		return "RFLAGS bit 1 is clear";
	if (s->xcr0 & ~(uint64_t)XCR0_KNOWN || !(s->xcr0 & XCR0_X87))
		return "XCR0 is not valid";
	if (s->cr0 & CR0_PG && !(s->cr0 & CR0_PE))
		return "paging without protection";
	return NULL;
}

static const struct st_field cpu_state_type_fields[] = {
	A(gpr), S(rip), S(rflags),
	ST_SUBS(struct cpu_state, seg, &cpu_seg),
	ST_SUB(struct cpu_state, ldtr, &cpu_seg),
	ST_SUB(struct cpu_state, tr, &cpu_seg),
	S(gdt_base), S(idt_base), S(gdt_limit), S(idt_limit),
	S(cr0), S(cr2), S(cr3), S(cr4), S(xcr0), A(dr),
	S(efer), S(star), S(lstar), S(cstar), S(fmask), S(kernel_gs_base),
	S(sysenter_cs), S(sysenter_esp), S(sysenter_eip),
	S(tsc_aux), S(tsc_adjust), S(tsc_offset),
	S(pat), S(misc_enable), S(mtrr_def_type), A(mtrr_phys), A(mtrr_fix),
	A(amd_ls_mca), A(amd_perf), S(amd_syscfg), S(amd_hwcr), A(amd_iorr), A(amd_top_mem), S(amd_nb_cfg),
	S(amd_mmio_cfg), A(amd_core_cfg),
	A(pdpte), S(spec_ctrl), S(cpl),
	S(halted), S(int_shadow), S(nmi_blocked), S(nmi_pending), S(shadow_ss), S(ferr), S(ignne),
	S(pending_dbg), S(x87_ip), S(x87_dp), S(x87_cs), S(x87_ds), S(x87_op), S(wait_sipi), S(pad_),
};
ST_TYPE(cpu_state_type, struct cpu_state, 1, state_check);
