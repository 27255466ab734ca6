// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the mode key computed from the CPU's state */
#include "xlate/key.h"

#include "mmu/mmu.h"

static bool flat(const struct cpu_seg *s, uint16_t need, uint16_t forbid)
{
	return s->base == 0 && s->limit == 0xffffffff && !(s->attr & (SEGA_NULL | forbid)) && (s->attr & need) == need;
}

static uint32_t flat_bits(const struct cpu *cpu)
{
	const struct cpu_seg *seg = cpu->s.seg;
	uint16_t data = SEGA_P | SEGA_W, not_data = SEGA_CODE | SEGA_E;
	uint32_t key = 0;
	/* A CS override reads through CS, so flat means readable too. */
	if (flat(&seg[SEG_CS], SEGA_CODE | SEGA_W, 0))
		key |= KEY_FLAT_CS;
	if (flat(&seg[SEG_DS], data, not_data))
		key |= KEY_FLAT_DS;
	if (flat(&seg[SEG_ES], data, not_data))
		key |= KEY_FLAT_ES;
	if (flat(&seg[SEG_SS], data, not_data))
		key |= KEY_FLAT_SS;
	return key;
}

static uint32_t fpu_bits(const struct cpu *cpu)
{
	uint64_t cr0 = cpu->s.cr0, cr4 = cpu->s.cr4, xcr0 = cpu->s.xcr0;
	uint32_t key = 0;
	if (cr0 & (CR0_EM | CR0_TS))
		key |= KEY_X87_OFF;
	if ((cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		key |= KEY_WAIT_OFF;
	if (cr0 & (CR0_EM | CR0_TS) || !(cr4 & CR4_OSFXSR))
		key |= KEY_SSE_OFF;
	if (cr0 & CR0_TS || !(cr4 & CR4_OSXSAVE) || (xcr0 & 6) != 6)
		key |= KEY_AVX_OFF;
	if (key & KEY_AVX_OFF || (xcr0 & 0xe6) != 0xe6)
		key |= KEY_AVX512_OFF;
	return key;
}

static uint32_t access_bits(const struct cpu *cpu)
{
	if (cpu->s.cr0 & CR0_AM && cpu->s.rflags & FL_AC && cpu->s.cpl == 3)
		return KEY_ALIGN;
	if (!cpu_protected(cpu) || !(cpu->s.seg[SEG_CS].attr & (SEGA_L | SEGA_DB)))
		return 0;
	return mmu_window_on(cpu) ? KEY_WINDOW : 0;
}

static uint32_t ring_bits(const struct cpu *cpu)
{
	if (cpu->s.cpl)
		return 0;
	return KEY_RING0 | (cpu->s.cr4 & CR4_SMAP ? KEY_SMAP : 0);
}

uint32_t key_of(const struct cpu *cpu)
{
	uint32_t key = (uint32_t)cpu->view << KEY_VIEW_SHIFT | fpu_bits(cpu) | access_bits(cpu) | ring_bits(cpu);
	if (cpu_code64(cpu))
		return key | 2 | KEY_STACK32 | KEY_FLAT_CS | KEY_FLAT_DS | KEY_FLAT_ES | KEY_FLAT_SS;
	if (cpu->s.seg[SEG_CS].attr & SEGA_DB)
		key |= 1;
	if (cpu->s.seg[SEG_SS].attr & SEGA_DB)
		key |= KEY_STACK32;
	if (!cpu_protected(cpu))
		key |= KEY_REAL;
	return key | flat_bits(cpu);
}
