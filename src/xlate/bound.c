// SPDX-License-Identifier: GPL-2.0-or-later
/* what: how much an instruction's translation may take at most: of host code, cold stubs, exits and map entries
 *
 * A block's tables and its place in the code cache have fixed sizes. So an instruction joins a block only if the worst
 * that can come of it still fits; else the block ends before it. What a hostile guest can make of that is shorter
 * blocks.
 *
 * I1  The bounds hold in every mode, for flat segments and others, on every rung: xlate_bound_check compares them with
 *     what was emitted in debug builds, and tests/insn/brim.c fills blocks with each encoding to see it do so.
 * I2  Any single instruction fits into an empty block, and into the step buffer.
 */
#include "xlate/xlate_int.h"

/* Bytes: an instruction without its accesses, with what it sends home before; each check of an access and the access;
 * the cold code of a check. A third more than brim.c has seen. */
#define HOT_INSN 136
#define HOT_ACCESS 112
#define COLD_STUB 112
/* Before a displacement that is to be aligned. */
#define HOT_ALIGN 3
/* The gate; the exit behind the last instruction. */
#define HOT_BLOCK 128
#define COLD_EXIT 24

static unsigned accesses(const struct dec *d)
{
	switch (d->cls) {
	case DC_PUSH: case DC_POP: case DC_CALL: return 1u + d->in.has_mem;
	case DC_LEAVE: case DC_RET: case DC_BT: return 1;
	case DC_STRING: return d->in.op == OP_MOVS ? 2 : 1;
	case DC_SYSTEM: return 1;
	case DC_NOP: case DC_LEA: case DC_HELPER: case DC_UD: return 0;
	default: return d->in.has_mem;
	}
}

static unsigned exits(const struct dec *d)
{
	return d->cls == DC_CALL ? 2 : d->cls == DC_JCC || d->cls == DC_LOOP || d->cls == DC_JMP;
}

/* May a run of pushes or pops do it: then it is there twice, and the run has a stub (stack.c)? */
static bool in_run(const struct tr *t, const struct dec *d)
{
	return key_code64(t->key) && (d->cls == DC_PUSH || d->cls == DC_POP || d->cls == DC_RET);
}

static struct bound bound_of(const struct tr *t, const struct dec *d)
{
	unsigned n = accesses(d), stubs = key_code64(t->key) ? n : 2 * n; /* a limit may be checked too (lower.c) */
	unsigned out = exits(d), hot = HOT_INSN + HOT_ACCESS * n + HOT_ALIGN * out;
	bool helper_too = d->cls == DC_SYSTEM || d->cls == DC_STRING, run = in_run(t, d);

	stubs += helper_too + run;
	return (struct bound){ .hot = (uint16_t)hot, .cold = (uint16_t)(COLD_STUB * stubs + COLD_EXIT * out + run * hot),
		.stubs = (uint8_t)stubs, .map = (uint8_t)(1 + n + stubs + 2 * run), .exits = (uint8_t)out };
}

void xlate_bound_begin(struct tr *t)
{
	t->room = (struct bound){ .hot = BLOCK_ROOM - HOT_BLOCK - HOT_INSN, .cold = BLOCK_ROOM - COLD_EXIT,
		.stubs = BLOCK_MAX_SITES, .map = BLOCK_MAX_MAP, .exits = BLOCK_MAX_EXITS - 1 };
}

bool xlate_bound_take(struct tr *t, const struct dec *d)
{
	struct bound b = bound_of(t, d), *room = &t->room;

	if (b.hot > room->hot || b.cold > room->cold || b.stubs > room->stubs || b.map > room->map || b.exits > room->exits)
		return false;
	room->hot -= b.hot;
	room->cold -= b.cold;
	room->stubs -= b.stubs;
	room->map -= b.map;
	room->exits -= b.exits;
	return true;
}

void xlate_bound_check(const struct tr *t, unsigned first, unsigned end, uint32_t hot)
{
	uint32_t most = 0;

	for (unsigned i = first; i < end; i++)
		most += bound_of(t, &t->dec[i]).hot;
	dassert(hot <= most);
}

void xlate_bound_check_block(const struct tr *t)
{
	const struct bound *left = &t->room;
	const struct block *b = t->b;

	must(b->host_len <= BLOCK_ROOM && b->cold_len <= BLOCK_ROOM);
	dassert(b->host_len + left->hot <= BLOCK_ROOM && b->cold_len + left->cold <= BLOCK_ROOM);
	dassert(t->ncold + left->stubs <= BLOCK_MAX_SITES && t->nmap + left->map <= BLOCK_MAX_MAP);
	dassert(t->nexits + left->exits <= BLOCK_MAX_EXITS);
}
