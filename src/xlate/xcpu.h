// SPDX-License-Identifier: GPL-2.0-or-later
/* what: struct xcpu: a vCPU as translated code sees it: struct cpu, then the translator's part, then struct mmu
 *
 * Translated code runs with host RSP == &xcpu->c + CPU_RSP and finds all three at fixed distances. The monitor's stack
 * grows down from the struct's own address (xlate/arena.c).
 */
#ifndef XLATE_XCPU_H
#define XLATE_XCPU_H

#include "mmu/soft.h"

/* Keyspaces: numbers of the mode keys that blocks were translated for. Those of code with a flat CS come first and have
 * a jump cache, host code by guest RIP. Firmware runs through dozens of the other kind. */
#define KS_FLAT 16
#define KS_COUNT 256
#define JC_BITS 16
#define JC_SIZE (1u << JC_BITS)
/* Return caches: each CALL leaves in its slot where a RET to behind it goes. */
#define RC_SIZE 1024u
/* Linear pages of code that may have a number (xlate/live.c); 0 is none. */
#define VPAGES 65536u

struct xcpu {
	struct cpu c;
	/* What translated code looks at before it jumps, by xlate_kick() and xlate_unkick() */
	uint64_t poll;           /* before jumps backwards: an address it loads from; 0 = leave */
	uint64_t poll_target;    /* a valid address for poll */
	uint64_t rc_mask;        /* RIP bits that select a return cache slot, for pext; 0 = leave (see xlate/control.c) */
	uint64_t jc_seed;        /* of the sum that selects a jump cache slot; not 0 = leave */
	uint64_t host_flags;     /* arithmetic flags at the last exit, as host EFLAGS image */
	const void *thunk[21];   /* enum xlate_thunk: where translated code calls out */
	uint32_t near_budget;    /* near misses until it is looked which site has so many */
	uint32_t key;            /* mode key of c.s, see xlate/key.h; valid while !mode_dirty */
	uint32_t ks;             /* keyspace index of key */
	uint64_t wbias[NEAR_SIZE]; /* biases that several accesses of a block share (xlate/windowed.c) */
	_Alignas(64) uint8_t live[VPAGES]; /* which of them may be executed now */
	_Alignas(64) uint64_t minus[VPAGES]; /* their linear addresses negated while they are live (xlate/live.c) */
	_Alignas(64) uint64_t rc[KS_FLAT][RC_SIZE];
	_Alignas(64) uint64_t jc[KS_FLAT][JC_SIZE];
	struct mmu m;
};

/* Of a vCPU made by xlate_arena_new(), as changeable as that one is. */
static inline struct xcpu *xcpu(const struct cpu *cpu)
{
	return (struct xcpu *)cpu;
}

/* Where members lie from RSP on: of struct cpu, of the translator's part, of struct mmu. */
#define CPU_OFF(member) ((uint32_t)offsetof(struct cpu, member) - CPU_RSP)
#define X_OFF(member) ((uint32_t)offsetof(struct xcpu, member) - CPU_RSP)
#define MMU_OFF(member) X_OFF(m.member)

#endif
