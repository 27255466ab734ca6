// SPDX-License-Identifier: GPL-2.0-or-later
/* what: changing address spaces: CR3, the PAE directory pointers, INVPCID
 *
 * The TLB keeps entries of the current PCID only, so every load of CR3 drops the non-global ones, whatever bit 63
 * says: forgetting more than asked is always allowed (SDM vol 3 4.10.4.1).
 */
#include "mmu/mmu_int.h"
#include "cpu/cpuid.h"

#define CR3_NOFLUSH (1ull << 63)
#define CR3_PCID 0xfffull

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
	if (cpu_long_mode(cpu)) {
		if (cpu->s.cr4 & CR4_PCIDE)
			val &= ~CR3_NOFLUSH;
		if (val & above_phys(cpu))
			cpu_raise(cpu, EXC_GP, 0);
	} else if (mmu_paging(cpu) && mmu_pae(cpu) && !mmu_load_pdptes(cpu, val)) {
		cpu_raise(cpu, EXC_GP, 0);
	}
	cpu->s.cr3 = val;
	mmu_flush_nonglobal(cpu);
}

/* SDM vol 2, INVPCID */
void mmu_invpcid_raise(struct cpu *cpu, uint64_t type, uint64_t pcid, gla_t gla)
{
	uint64_t current = cpu->s.cr4 & CR4_PCIDE ? cpu->s.cr3 & CR3_PCID : 0;

	if (type > 3 || pcid > CR3_PCID || (type < 2 && pcid && !(cpu->s.cr4 & CR4_PCIDE)) ||
	    (type == 0 && !cpu_canonical(gla)))
		cpu_raise(cpu, EXC_GP, 0);
	if (type == 0 && pcid == current)
		mmu_flush_page(cpu, gla);
	else if (type == 2)
		mmu_flush_all(cpu);
	else if (type == 3 || (type == 1 && pcid == current))
		mmu_flush_nonglobal(cpu);
}
