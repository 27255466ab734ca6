// SPDX-License-Identifier: GPL-2.0-or-later
/* what: descriptors in the GDT and LDT: fetching them, and the accessed and busy bits
 *
 * All accesses are implicit supervisor accesses whatever the CPL (SDM vol 3 4.6).
 */
#include "insn/insn_int.h"

static gla_t table_linear(const struct cpu *cpu, uint64_t at)
{
	return cpu_long_mode(cpu) ? at : (uint32_t)at;
}

/* SDM vol 3 3.4.5: segment descriptor layout. */
static void desc_split(struct desc *d)
{
	uint32_t lo = (uint32_t)d->raw, hi = (uint32_t)(d->raw >> 32);

	d->attr = (uint16_t)(hi >> 8 & 0xf0ff);
	d->base = lo >> 16 | (hi & 0xff) << 16 | (hi & 0xff000000);
	d->limit = (lo & 0xffff) | (hi & 0xf0000);
	if (d->attr & SEGA_G)
		d->limit = d->limit << 12 | 0xfff;
}

static bool desc_in_table(const struct cpu *cpu, uint16_t sel, unsigned size, gla_t *at)
{
	uint32_t off = sel & 0xfff8u;
	uint64_t base = cpu->s.gdt_base;
	uint32_t limit = cpu->s.gdt_limit;

	if (sel & SEL_TI) {
		if (cpu->s.ldtr.attr & SEGA_NULL || SEL_NULL(cpu->s.ldtr.sel))
			return false;
		base = cpu->s.ldtr.base;
		limit = cpu->s.ldtr.limit;
	}
	*at = table_linear(cpu, base + off);
	return off + size - 1 <= limit;
}

bool desc_fetch_raise(struct cpu *cpu, uint16_t sel, struct desc *d)
{
	if (!desc_in_table(cpu, sel, 8, &d->at))
		return false;
	d->sel = sel;
	d->raw = mmu_load_raise(cpu, d->at, 8, MMU_READ | MMU_SYS);
	desc_split(d);
	return true;
}

void desc_need_raise(struct cpu *cpu, uint16_t sel, unsigned vector, unsigned ext, struct desc *d)
{
	if (!desc_fetch_raise(cpu, sel, d))
		cpu_raise(cpu, vector, SEL_ERR(sel) | ext);
}

uint64_t desc_high_raise(struct cpu *cpu, const struct desc *d, unsigned vector, unsigned ext)
{
	gla_t at;
	uint64_t high;

	if (!desc_in_table(cpu, d->sel, 16, &at))
		cpu_raise(cpu, vector, SEL_ERR(d->sel) | ext);
	high = mmu_load_raise(cpu, table_linear(cpu, at + 8), 8, MMU_READ | MMU_SYS);
	if (high >> 32 & 0x1f00) /* the type field there must be 0: SDM vol 3 figure 8-4 */
		cpu_raise(cpu, vector, SEL_ERR(d->sel) | ext);
	return high;
}

void desc_mark_accessed_raise(struct cpu *cpu, struct desc *d)
{
	if (d->attr & SEGA_A)
		return;
	mmu_change_raise(cpu, table_linear(cpu, d->at + 5), SEGA_A, 0xff, MMU_SYS);
	d->attr |= SEGA_A;
}

void desc_set_busy_raise(struct cpu *cpu, gla_t at, bool busy)
{
	mmu_change_raise(cpu, table_linear(cpu, at + 5), busy ? 2 : 0, (uint8_t)(busy ? 0xff : ~2), MMU_SYS);
}
