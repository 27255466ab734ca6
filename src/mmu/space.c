// SPDX-License-Identifier: GPL-2.0-or-later
/* what: changing address spaces: CR3, the PAE directory pointers, INVPCID
 *
 * SDM vol 3 4.10.4.1 says what each must forget; more is always allowed.
 */
#include "mmu/mmu_int.h"
#include "cpu/cpuid.h"

#define CR3_NOFLUSH (1ull << 63)
#define PCID_MAX 0xfffu

static uint64_t above_phys(const struct cpu *cpu)
{
	unsigned m = cpu->model ? cpu->model->phys_bits : 40;

	return ~((1ull << m) - 1);
}

bool mmu_load_pdptes(struct cpu *cpu, uint64_t cr3)
{
	/* SDM vol 3 table 4-8: bits 2:1, 8:5 and those above MAXPHYADDR are reserved if present. */
	uint64_t reserved = above_phys(cpu) | 0x1e6, pdpte[4];
	gpa_t at = cr3 & 0xffffffe0;

	for (unsigned i = 0; i < 4; i++) {
		gpa_t gpa = mmu_a20(cpu, at + 8 * i);
		struct mem_page page;

		mem_lookup(cpu->mem, gpa, &page);
		pdpte[i] = page.read ? bytes_load(page.read + (gpa & (PAGE - 1)), 8) : ~0ull;
		if (pdpte[i] & 1 && pdpte[i] & reserved)
			return false;
	}
	for (unsigned i = 0; i < 4; i++)
		cpu->s.pdpte[i] = pdpte[i];
	return true;
}

void mmu_set_cr3_raise(struct cpu *cpu, uint64_t val)
{
	bool pcids = cpu->s.cr4 & CR4_PCIDE, keep = val & CR3_NOFLUSH;

	if (cpu_long_mode(cpu)) {
		if (pcids)
			val &= ~CR3_NOFLUSH;
		if (val & above_phys(cpu))
			cpu_raise(cpu, EXC_GP, 0);
	} else if (mmu_paging(cpu) && mmu_pae(cpu) && !mmu_load_pdptes(cpu, val)) {
		cpu_raise(cpu, EXC_GP, 0);
	}
	cpu->s.cr3 = val;
	if (pcids)
		mmu_context_load(cpu, mmu_pcid(cpu), keep);
	else
		mmu_flush_nonglobal(cpu);
}

/* SDM vol 2, INVPCID. Of a PCID that is not current everything goes where one address is asked for. */
void mmu_invpcid_raise(struct cpu *cpu, uint64_t type, uint64_t pcid, gla_t gla)
{
	bool current = pcid == mmu_pcid(cpu);

	if (type > 3 || pcid > PCID_MAX || (type < 2 && pcid && !(cpu->s.cr4 & CR4_PCIDE)) ||
	    (type == 0 && !cpu_canonical(gla)))
		cpu_raise(cpu, EXC_GP, 0);
	if (type == 2) {
		mmu_flush_all(cpu);
		return;
	}
	if (type == 3)
		mmu_context_drop_others(cpu);
	else if (!current)
		mmu_context_drop(cpu, (uint16_t)pcid);
	if (type == 0 && current)
		mmu_flush_page(cpu, gla);
	else if (type == 3 || current)
		mmu_flush_nonglobal(cpu);
}
