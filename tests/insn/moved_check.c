// SPDX-License-Identifier: GPL-2.0-or-later
/* what: moved.c's comparison of a copied block with a translated one: all there is of both */
#include <stdio.h>

#include "moved.h"
#include "xlate/xlate_int.h"

/* What there is of a block. */
struct made {
	struct block b;
	uint8_t hot[BLOCK_ROOM], cold[BLOCK_ROOM];
	struct xexit exits[BLOCK_MAX_EXITS];
	struct xmap map[1024];
	struct xsite site[BLOCK_MAX_SITES];
	unsigned nsites;
	struct xmove moves[MOVES_MAX];
};

static struct made here, there;

static void take(const struct xlate *x, const struct block *b, struct made *m)
{
	memset(m, 0, sizeof(*m));
	must(b->host_len <= sizeof(m->hot) && b->cold_len <= sizeof(m->cold) && b->nmap <= ARRAY_LEN(m->map));
	m->b = *b;
	memcpy(m->hot, x->c->rw + b->host_off, b->host_len);
	memcpy(m->cold, x->c->rw + b->cold_off, b->cold_len);
	memcpy(m->exits, b->exits, b->nexits * sizeof(*b->exits));
	memcpy(m->map, b->map, b->nmap * sizeof(*b->map));
	memcpy(m->moves, b->moves, b->nmoves * sizeof(*b->moves));
	for (unsigned k = 0; k < b->nmoves; k++) {
		const struct xmove *what = &b->moves[k];
		if (what->kind == MOVE_SITE)
			m->site[m->nsites++] = *(const struct xsite *)(uintptr_t)get_le64(x->c->rw + what->off +
				(what->cold ? b->cold_off : b->entry_off));
	}
}

static const char *difference(const struct made *p, const struct made *q)
{
	const struct block *a = &p->b, *b = &q->b;
	if (a->host_off != b->host_off || a->host_len != b->host_len || a->entry_off != b->entry_off ||
	    memcmp(p->hot, q->hot, sizeof(p->hot)) != 0)
		return "code";
	if (a->cold_off != b->cold_off || a->cold_len != b->cold_len || memcmp(p->cold, q->cold, sizeof(p->cold)) != 0)
		return "cold code";
	if (a->nexits != b->nexits || memcmp(p->exits, q->exits, sizeof(p->exits)) != 0)
		return "exits";
	if (a->nmap != b->nmap || memcmp(p->map, q->map, sizeof(p->map)) != 0)
		return "map";
	if (p->nsites != q->nsites || memcmp(p->site, q->site, sizeof(p->site)) != 0)
		return "sites";
	if (a->rip != b->rip || a->ks != b->ks || a->host[0] != b->host[0] || a->host[1] != b->host[1] ||
	    a->page_off != b->page_off || a->live[0] != b->live[0] || a->live[1] != b->live[1] || a->ram[0] != b->ram[0] ||
	    a->ram[1] != b->ram[1] || a->guest_len != b->guest_len || a->ninsns != b->ninsns || a->nmoves != b->nmoves ||
	    a->cs_base != b->cs_base || a->cs_limit != b->cs_limit || a->window != b->window || a->movable != b->movable ||
	    memcmp(p->moves, q->moves, sizeof(p->moves)) != 0)
		return "block";
	return NULL;
}

static void print(const char *what, const uint8_t *p, uint32_t n)
{
	printf("  %s", what);
	for (uint32_t k = 0; k < n; k++)
		printf(" %02x", p[k]);
	printf("\n");
}

static enum moved_how compare(struct xlate *x, uint64_t further, enum gate want, const char **what)
{
	struct cpu *cpu = x->cpu;
	struct block *a = xlate_find_block(x, want);
	for (unsigned k = 0; k < a->nexits; k++)
		xlate_link_chain(x, &a->exits[k], a);
	cpu->s.rip += further;
	uint64_t moved = cpu->stats.count[STAT_MOVED], flushes = cpu->stats.count[STAT_FLUSHES];
	uint32_t used = x->c->used, cold_used = x->c->cold_used, cold_base = x->c->cold_base, cold_end = x->c->cold_end;
	size_t arena_used = x->c->arena_used;
	struct block *b = xlate_find_block(x, want);
	if (cpu->stats.count[STAT_MOVED] == moved || cpu->stats.count[STAT_FLUSHES] != flushes)
		return MOVED_STAYS;
	take(x, b, &here);
	xlate_cache_kill(x, b);
	x->c->nblocks--;
	x->c->used = used;
	x->c->cold_used = cold_used;
	x->c->cold_base = cold_base;
	x->c->cold_end = cold_end;
	x->c->arena_used = arena_used;
	b = xlate_find_block(x, want);
	must(cpu->stats.count[STAT_MOVED] == moved + 1 && cpu->stats.count[STAT_FLUSHES] == flushes);
	take(x, b, &there);
	*what = difference(&here, &there);
	return *what ? MOVED_DIFFERS : MOVED_SAME;
}

/* A fault of the fetch comes back by the second return of setjmp. */
enum moved_how moved_try(struct xlate *x, uint64_t further, unsigned gate, const char **what)
{
	struct cpu *cpu = x->cpu;
	if (__builtin_setjmp(cpu->unwind))
		return MOVED_RAISED;
	xcpu(cpu)->key = key_of(cpu);
	xcpu(cpu)->ks = xlate_keyspace(x, xcpu(cpu)->key);
	cpu->mode_dirty = false;
	if (x->c->flush_wanted)
		xlate_cache_flush(x);
	return compare(x, further, (enum gate)gate, what);
}

void moved_print(void)
{
	print("copied    ", here.hot, here.b.host_len);
	print("translated", there.hot, there.b.host_len);
	print("copied, cold    ", here.cold, here.b.cold_len);
	print("translated, cold", there.cold, there.b.cold_len);
}
