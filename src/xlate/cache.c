// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the code cache and its directory: allocation, look-up by host address, invalidation, flush
 *
 * Host code and everything that describes it are allocated upwards and freed all at once when either
 * runs full: a block that dies before only becomes unreachable.
 *
 * I1  by_host is ordered by host_off and by the order of cold code.
 * I2  A page with a block on it is marked (mem/coherence.h). One may be marked without a block if its translation came
 *     to nothing; that ends with the next translation.
 */
#include "xlate/xlate_int.h"

void *xlate_cache_alloc(struct xlate *x, size_t size)
{
	size = (size + 15) & ~(size_t)15;
	if (x->tr->step) {
		must(x->step_used + size <= TABLES_ROOM);
		void *t = x->step_tables + x->step_used;
		x->step_used += size;
		memset(t, 0, size);
		return t;
	}
	must(x->c->arena_used + size <= xlate_grow_tables(x));
	void *p = x->c->arena + x->c->arena_used;
	x->c->arena_used += size;
	memset(p, 0, size);
	return p;
}

uint32_t xlate_cache_hash(uint64_t rip, uint32_t ks)
{
	uint64_t h = (rip + ks * 0x9e3779b97f4a7c15ull) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> (64 - HASH_BITS));
}

static uint64_t granules(uint64_t first, uint64_t last)
{
	unsigned a = first >> 6 & 63, b = last >> 6 & 63;
	return (~0ull >> (63 - b)) & (~0ull << a);
}

/* The part of b that lies on page i of it, as offsets in the page. */
static void part(const struct block *b, unsigned i, uint64_t *first, uint64_t *last)
{
	uint64_t start = b->page_off, end = start + MAX(b->guest_len, 1) - 1;
	*first = i ? 0 : start;
	*last = i ? (end >= 4096 ? end - 4096 : 0) : MIN(end, 4095u);
}

/* The fence: find.c, I1. */
void xlate_cache_mark(struct xlate *x, uint64_t off)
{
	uint64_t page = off >> 12;
	if (off == UINT64_MAX || page >= x->c->npages || x->c->pages[page].marked)
		return;
	x->c->pages[page].marked = true;
	mem_code_hold(x->mem, x->cpu->member, off);
	mmu_protect_code(x->cpu, page << 12);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	x->marked[x->nmarked++] = page;
}

static void release(struct xlate *x, uint64_t page)
{
	if (!x->c->pages[page].marked)
		return;
	mem_code_release(x->mem, page << 12);
	x->c->pages[page].marked = false;
}

/* What was marked for a translation that a guest exception ended. */
static void unmark(struct xlate *x)
{
	while (x->nmarked) {
		uint64_t page = x->marked[--x->nmarked];
		if (!x->c->pages[page].list)
			release(x, page);
	}
}

static void add_to_page(struct xlate *x, struct block *b, unsigned i)
{
	uint64_t page = b->ram[i] >> 12, first, last;
	if (b->ram[i] == UINT64_MAX || page >= x->c->npages)
		return;
	struct code_page *cp = &x->c->pages[page];
	part(b, i, &first, &last);
	dassert(cp->marked);
	b->next_page[i] = cp->list;
	cp->list = b;
	cp->granules |= granules(first, last);
}

_Static_assert(sizeof(struct block) + sizeof(((struct tr *)0)->exits) + sizeof(((struct tr *)0)->map) +
	sizeof(((struct tr *)0)->moves) + (BLOCK_MAX_SITES + BLOCK_MAX_INSNS) * (sizeof(struct xsite) + 16) < TABLES_ROOM,
	"a block's tables");

void xlate_cache_begin(struct xlate *x)
{
	x->c->used = 64;
	x->c->cold_end = x->c->code_size - STEPS_SIZE;
	x->c->cold_base = x->c->cold_used = x->c->cold_end - COLD_CHUNK;
}

static bool tables_full(const struct xlate *x)
{
	return x->c->arena_used + TABLES_ROOM > xlate_grow_tables(x);
}

/* Others look up where they are meanwhile, so a chunk is taken only if it lies above all other code (I1). */
static bool cold_full(struct cache *c)
{
	if (c->cold_used + BLOCK_ROOM <= c->cold_end)
		return false;
	if (c->used + 2 * BLOCK_ROOM + COLD_CHUNK > c->cold_base)
		return true;
	c->cold_end = c->cold_base;
	c->cold_base = c->cold_used = c->cold_end - COLD_CHUNK;
	return false;
}

static bool full(struct xlate *x)
{
	/* gates of other blocks go where the next block's code would */
	return cold_full(x->c) || x->c->used + 2 * BLOCK_ROOM > x->c->cold_base || x->c->nblocks >= x->c->cap_blocks ||
		tables_full(x) || xlate_live_full(x);
}

void xlate_cache_make_room(struct xlate *x)
{
	unmark(x);
	if (!full(x))
		return;
	xlate_grow_full(x);
	xlate_cache_flush(x);
}

void xlate_cache_publish(struct xlate *x, struct block *b)
{
	uint32_t h = xlate_cache_hash(b->rip, b->ks);
	b->next_hash = x->c->hash[h];
	x->c->hash[h] = b;
	x->c->by_host[x->c->nblocks] = b;
	__atomic_store_n(&x->c->nblocks, x->c->nblocks + 1, __ATOMIC_RELEASE);
	x->c->used = (b->host_off + b->host_len + 15u) & ~15u;
	x->c->cold_used = b->cold_off + b->cold_len;
	add_to_page(x, b, 0);
	if (b->ram[1] != b->ram[0])
		add_to_page(x, b, 1);
	xlate_move_offer(x, b);
	xlate_grow_note(x, b);
}

/* Offsets of cold code in the order in which it is made: upwards in a chunk, chunk below chunk. */
static uint32_t cold_order(uint32_t off)
{
	return (CODE_SIZE - 1 - off) / COLD_CHUNK * COLD_CHUNK + off % COLD_CHUNK;
}

struct block *xlate_cache_at(struct xlate *x, uint64_t host_pc)
{
	uint64_t base = (uint64_t)(uintptr_t)x->c->rx;
	if (host_pc < base || host_pc - base >= CODE_SIZE)
		return NULL;
	uint32_t off = (uint32_t)(host_pc - base);
	if (off >= CODE_SIZE - STEPS_SIZE)
		return &x->c->user[(off - (CODE_SIZE - STEPS_SIZE)) / STEP_SIZE]->step_block;
	bool cold = off >= x->c->cold_base;
	if (cold)
		off = cold_order(off);
	uint32_t lo = 0, hi = __atomic_load_n(&x->c->nblocks, __ATOMIC_ACQUIRE);
	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;
		if ((cold ? cold_order(x->c->by_host[mid]->cold_off) : x->c->by_host[mid]->host_off) <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo < hi ? x->c->by_host[lo] : NULL;
}

static void remove_from_hash(struct xlate *x, struct block *b)
{
	struct block **p = &x->c->hash[xlate_cache_hash(b->rip, b->ks)];
	while (*p && *p != b)
		p = &(*p)->next_hash;
	if (*p)
		*p = b->next_hash;
}

static unsigned page_index(const struct block *b, uint64_t page)
{
	return b->ram[0] >> 12 == page && b->ram[0] != UINT64_MAX ? 0 : 1;
}

static void remove_from_page(struct xlate *x, struct block *b, unsigned i)
{
	uint64_t page = b->ram[i] >> 12;
	if (b->ram[i] == UINT64_MAX || page >= x->c->npages || (i && b->ram[1] == b->ram[0]))
		return;
	struct block **p = &x->c->pages[page].list;
	while (*p && *p != b)
		p = &(*p)->next_page[page_index(*p, page)];
	if (*p)
		*p = b->next_page[i];
}

void xlate_cache_kill(struct xlate *x, struct block *b)
{
	b->dead = true;
	while (b->in)
		xlate_link_unchain(x, b->in);
	for (unsigned k = 0; k < b->nexits; k++)
		if (b->exits[k].to)
			xlate_link_unchain(x, &b->exits[k]);
	xlate_link_drop(x, b);
	xlate_move_drop(x, b);
	remove_from_hash(x, b);
	remove_from_page(x, b, 0);
	remove_from_page(x, b, 1);
	x->cpu->stats.count[STAT_INVALIDATIONS]++;
}

static bool overlaps(const struct block *b, uint64_t page, uint64_t first, uint64_t last)
{
	uint64_t a, z;
	part(b, page_index(b, page), &a, &z);
	return a <= last && first <= z;
}

static void recount(struct xlate *x, uint64_t page)
{
	struct code_page *cp = &x->c->pages[page];
	uint64_t first, last;
	cp->granules = 0;
	for (struct block *b = cp->list; b; b = b->next_page[page_index(b, page)]) {
		part(b, page_index(b, page), &first, &last);
		cp->granules |= granules(first, last);
	}
	if (!cp->list)
		release(x, page);
}

static void written_in_page(struct xlate *x, uint64_t page, uint64_t first, uint64_t last)
{
	struct code_page *cp = &x->c->pages[page];
	bool any = false;
	if (!(cp->granules & granules(first, last)))
		return;
	for (struct block *b = cp->list, *next; b; b = next) {
		next = b->next_page[page_index(b, page)];
		if (overlaps(b, page, first, last)) {
			xlate_cache_kill(x, b);
			any = true;
		}
	}
	if (any) {
		recount(x, page);
		x->cpu->bounce_exit = true;
	}
}

void xlate_cache_written(struct xlate *x, uint64_t off, uint64_t len)
{
	bool begun = xlate_lock(x);
	for (uint64_t end = off + len; off < end;) {
		uint64_t n = MIN(end - off, 4096 - (off & 4095));
		if (off >> 12 < x->c->npages)
			written_in_page(x, off >> 12, off & 4095, (off & 4095) + n - 1);
		off += n;
	}
	if (begun)
		xlate_unlock(x);
}

static void forget_blocks(struct xlate *x)
{
	struct cache *c = x->c;
	for (uint32_t i = 0; i < c->nblocks; i++)
		for (unsigned k = 0; k < 2; k++) {
			uint64_t page = c->by_host[i]->ram[k] >> 12;
			if (c->by_host[i]->ram[k] == UINT64_MAX || page >= c->npages)
				continue;
			c->pages[page].list = NULL;
			c->pages[page].granules = 0;
			release(x, page);
		}
	memset(c->hash, 0, sizeof(*c->hash) << HASH_BITS);
	memset(c->offers, 0, sizeof(*c->offers) << OFFER_BITS);
	memset(c->window_not, 0, sizeof(c->window_not));
	c->nblocks = 0;
	xlate_cache_begin(x);
	xlate_perfmap_flushed(x);
	c->arena_used = 0;
	c->nflat = c->nother = 0;
	c->flush_wanted = false;
	c->flushes++;
}

/* The keyspaces are new. */
void xlate_cache_refresh_key(struct xlate *x)
{
	x->seen = x->c->flushes;
	xcpu(x->cpu)->key = key_of(x->cpu);
	xcpu(x->cpu)->ks = xlate_keyspace(x, xcpu(x->cpu)->key);
	x->cpu->mode_dirty = false;
	if (xcpu(x->cpu)->key & KEY_WINDOW)
		mmu_window_enter(x->cpu);
}

void xlate_cache_flush(struct xlate *x)
{
	bool begun = xlate_lock(x);
	xlate_stop_others(x);
	unmark(x);
	for (unsigned k = 0; k < x->c->nusers; k++)
		xlate_x87_settle(x->c->user[k]->cpu);
	forget_blocks(x);
	for (unsigned k = 0; k < x->c->nusers; k++)
		xlate_live_reset(x->c->user[k]);
	x->cpu->stats.count[STAT_FLUSHES]++;
	xlate_cache_refresh_key(x); /* of the block under translation */
	xlate_resume_others(x);
	if (begun)
		xlate_unlock(x);
}

/* KS_COUNT: it has none yet. */
static uint32_t find_keyspace(const struct xlate *x, uint32_t key)
{
	bool flat = key & KEY_FLAT_CS;
	unsigned n = __atomic_load_n(flat ? &x->c->nflat : &x->c->nother, __ATOMIC_ACQUIRE), first = flat ? 0 : KS_FLAT;
	for (unsigned k = first; k < first + n; k++)
		if (x->c->keys[k] == key)
			return k;
	return KS_COUNT;
}

static uint32_t new_keyspace(struct xlate *x, uint32_t key)
{
	bool flat = key & KEY_FLAT_CS;
	unsigned *n = flat ? &x->c->nflat : &x->c->nother, first = flat ? 0 : KS_FLAT;
	if (*n == (flat ? KS_FLAT : KS_COUNT - KS_FLAT)) {
		x->c->flush_wanted = true;
		return first;
	}
	for (unsigned k = 0; flat && k < x->c->nusers; k++)
		xlate_link_clear(x->c->user[k], *n);
	x->c->keys[first + *n] = key;
	__atomic_store_n(n, *n + 1, __ATOMIC_RELEASE);
	return first + *n - 1;
}

uint32_t xlate_keyspace(struct xlate *x, uint32_t key)
{
	uint32_t ks = find_keyspace(x, key);
	bool begun;
	if (ks != KS_COUNT)
		return ks;
	begun = xlate_lock(x);
	ks = find_keyspace(x, key);
	if (ks == KS_COUNT)
		ks = new_keyspace(x, key);
	if (begun)
		xlate_unlock(x);
	return ks;
}
