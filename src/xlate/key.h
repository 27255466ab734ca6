// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the mode key: everything about the CPU's state that a translation depends on
 *
 * Two translations of the same bytes differ only if their keys differ. A key in use gets a keyspace
 * number, which selects its jump cache.
 */
#ifndef XLATE_KEY_H
#define XLATE_KEY_H

#include "cpu/cpu.h"

enum {
	KEY_SIZE = 3,         /* code size: 0 16-bit, 1 32-bit, 2 64-bit */
	KEY_STACK32 = 1 << 2, /* SS.B */
	KEY_VIEW_SHIFT = 3,   /* 2 bits: enum cpu_view */
	KEY_FLAT_CS = 1 << 5, /* base 0, limit 4 GiB: no base to add, no limit to check */
	KEY_FLAT_DS = 1 << 6,
	KEY_FLAT_ES = 1 << 7,
	KEY_FLAT_SS = 1 << 8,
	KEY_X87_OFF = 1 << 9,   /* CR0.EM or TS */
	KEY_WAIT_OFF = 1 << 10, /* CR0.MP and TS */
	KEY_SSE_OFF = 1 << 11,  /* CR0.EM, TS or no CR4.OSFXSR */
	KEY_AVX_OFF = 1 << 12,
	KEY_AVX512_OFF = 1 << 13,
	KEY_ALIGN = 1 << 15,    /* alignment checks: CR0.AM, EFLAGS.AC, CPL 3 */
	KEY_REAL = 1 << 14,     /* real or virtual-8086 mode */
	KEY_WINDOW = 1 << 16,   /* memory operands through the windows of user space (mmu/window.c) */
	KEY_RING0 = 1 << 17,    /* CPL 0, real mode too */
	KEY_SMAP = 1 << 18,     /* that, and CR4.SMAP: EFLAGS.AC selects the view */
};
static inline unsigned key_view(uint32_t key)
{
	return key >> KEY_VIEW_SHIFT & 3;
}
static inline bool key_code64(uint32_t key)
{
	return (key & KEY_SIZE) == 2;
}
/* Is segment seg flat under key, so that an offset in it is a linear address? FS and GS never are. */
static inline bool key_flat(uint32_t key, unsigned seg)
{
	static const uint16_t bit[6] = { KEY_FLAT_ES, KEY_FLAT_CS, KEY_FLAT_SS, KEY_FLAT_DS, 0, 0 };
	return key & bit[seg];
}

uint32_t key_of(const struct cpu *cpu);

#endif
