// SPDX-License-Identifier: GPL-2.0-or-later
/* what: brim.c's two halves: oracle.h's names and the translator's are not for one file */
#ifndef BRIM_H
#define BRIM_H

#include <stdbool.h>
#include <stdint.h>

struct xlate;

/* The fullest block there was, in each respect; and blocks that ended before all of BLOCK_MAX_INSNS, their page or
 * a jump, for want of room. */
struct brim {
	uint32_t hot, cold, stubs, map, exits, insns, cut;
};

/* Translate what lies at the CPU's RIP, under a mode key made of these random bits and the size of code: 0 16-bit, 1
 * 32-bit, 2 64-bit; as a block, and as a single step. The translator's own assertions (xlate/bound.c) are what is
 * tested. False: the fetch has faulted. */
bool brim_translate(struct xlate *x, uint32_t bits, unsigned size, struct brim *most);

#endif
