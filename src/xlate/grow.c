// SPDX-License-Identifier: GPL-2.0-or-later
/* what: how much the code cache may hold: little at first, more while it throws away what is wanted again
 *
 * A machine at its login prompt should be small; one that compiles in it runs more code than a small cache holds, and
 * spends 40 % of its time translating it again after each flush. So when the cache is full, it doubles if a quarter of
 * what was translated since the last flush had been translated in the time before it too. One block in eight is looked
 * at, and remembered as a bit. When the guest idles, all goes and the cache is small again (xlate_shrink).
 */
#include "base/bytes.h"
#include "xlate/xlate_int.h"

#define SAMPLE_BITS 3

/* The same guest code on the same page, translated under the same assumptions. */
static uint64_t identity(const struct xlate *x, const struct block *b)
{
	return ((b->rip ^ b->ram[0] << 20) + x->c->keys[b->ks] * 0xff51afd7ed558ccdull) * 0x9e3779b97f4a7c15ull;
}

void xlate_grow_note(struct xlate *x, const struct block *b)
{
	uint64_t h = identity(x, b), bit = h >> (64 - SAMPLE_BITS - KNOWN_BITS), mask = 1ull << (bit & 63);

	if (bit >> KNOWN_BITS)
		return;
	x->c->noted++;
	x->c->noted_again += x->c->known_before[bit >> 6] >> (bit & 63) & 1;
	x->c->known[bit >> 6] |= mask;
}

void xlate_grow_full(struct xlate *x)
{
	if (x->c->noted_again * 4 > x->c->noted)
		x->c->code_size = MIN(x->c->code_size * 2, CODE_SIZE);
	bytes_copy(x->c->known_before, x->c->known, sizeof(x->c->known));
	bytes_fill(x->c->known, 0, sizeof(x->c->known));
	x->c->noted = x->c->noted_again = 0;
}

size_t xlate_grow_tables(const struct xlate *x)
{
	return (size_t)x->c->code_size / CODE_SIZE_FIRST * TABLES_SIZE_FIRST;
}
