// SPDX-License-Identifier: GPL-2.0-or-later
/* what: which pages of code may be executed now: a byte for each, which the gates of their blocks look at
 *
 * A linear page with the host page behind it, for user or supervisor, has a number and a byte cpu->live[number]: not 0
 * while the current address space has that translation and may execute it. What translated code asks at a jump to
 * another page is one load; what a flush of the TLB does is to clear the bytes that are set, and after it each page is
 * looked at once, not each block. Blocks, chains between them and jump caches stay. A switch to a context that is
 * kept (mmu/context.c) sets the bytes it had.
 *
 * Who comes with a RIP in a register asks both at once, whether the page is live and whether that is the RIP: added
 * to cpu->minus[number] it makes the offset in the page. There a dead page has a number that makes it only of one RIP,
 * which is not canonical, nor to be guessed: 50 bits of it are random.
 *
 * I1  A byte is set only if the MMU knows the page for execution, and is cleared when it forgets.
 * I2  Every number whose byte is set stands in the log of the current context, or of global pages.
 * I3  The log of another context holds what was live when it was left.
 */
#include "xlate/xlate_int.h"

enum { DEAD, NONGLOBAL, GLOBAL };
#define LOG_GLOBAL MMU_CTX

static uint16_t *chain_of(struct xlate *x, gla_t page)
{
	return &x->c->vpage_hash[(uint32_t)(page >> 12) * 0x9e3779b1u >> 20];
}

bool xlate_live_full(const struct xlate *x)
{
	return x->c->nvpages + 2 > VPAGES;
}

uint16_t xlate_live_number(struct xlate *x, gla_t gla, const uint8_t *host, bool user)
{
	gla_t page = gla & ~4095ull;
	uint16_t *first = chain_of(x, page), id;

	for (id = *first; id; id = x->c->vpages[id].next)
		if (x->c->vpages[id].gla == page && x->c->vpages[id].host == host && x->c->vpages[id].user == user)
			return id;
	must(x->c->nvpages < VPAGES);
	id = (uint16_t)x->c->nvpages++;
	x->c->vpages[id] = (struct vpage){ .gla = page, .host = host, .next = *first, .user = user };
	__atomic_store_n(first, id, __ATOMIC_RELEASE);
	return id;
}

static void set(struct xlate *x, uint16_t id, uint8_t how)
{
	xcpu(x->cpu)->live[id] = how;
	xcpu(x->cpu)->minus[id] = how == DEAD ? x->nowhere : -x->c->vpages[id].gla;
}

static void clear_log(struct xlate *x, struct live_log *log)
{
	for (unsigned k = 0; k < log->n; k++)
		set(x, log->id[k], DEAD);
	log->n = 0;
}

void xlate_live_set(struct xlate *x, uint16_t id)
{
	if (!id || xcpu(x->cpu)->live[id])
		return;
	bool global = mmu_exec_global(x->cpu, x->c->vpages[id].gla);
	struct live_log *log = &x->live_log[global ? LOG_GLOBAL : x->cpu->mmu->ctx];
	if (log->n == ARRAY_LEN(log->id))
		clear_log(x, log);
	log->id[log->n++] = id;
	set(x, id, global ? GLOBAL : NONGLOBAL);
}

static void clear_all(struct xlate *x)
{
	clear_log(x, &x->live_log[x->cpu->mmu->ctx]);
	clear_log(x, &x->live_log[LOG_GLOBAL]);
	for (unsigned k = 0; k < MMU_CTX; k++)
		x->live_log[k].n = 0;
}

void xlate_live_begin(struct xlate *x)
{
	for (unsigned k = 0; k < VPAGES; k++)
		set(x, (uint16_t)k, DEAD);
	if (!x->number)
		x->c->nvpages = 1; /* 0: no page */
}

void xlate_live_reset(struct xlate *x)
{
	clear_all(x);
	if (x->number)
		return;
	for (unsigned k = 0; k < ARRAY_LEN(x->c->vpage_hash); k++)
		x->c->vpage_hash[k] = 0;
	x->c->nvpages = 1; /* 0: no page */
}

static void clear_page(struct xlate *x, gla_t page)
{
	for (uint16_t id = *chain_of(x, page); id; id = x->c->vpages[id].next)
		if (x->c->vpages[id].gla == page)
			set(x, id, DEAD);
}

static void clear_region(struct xlate *x, const struct live_log *log, gla_t gla)
{
	for (unsigned k = 0; k < log->n; k++)
		if (x->c->vpages[log->id[k]].gla >> FLUSH_REGION_SHIFT == gla >> FLUSH_REGION_SHIFT)
			set(x, log->id[k], DEAD);
}

/* What was cleared since does not come back. */
static void leave_context(struct xlate *x, struct live_log *log)
{
	unsigned n = 0;

	for (unsigned k = 0; k < log->n; k++) {
		if (xcpu(x->cpu)->live[log->id[k]] != NONGLOBAL)
			continue;
		set(x, log->id[k], DEAD);
		log->id[n++] = log->id[k];
	}
	log->n = n;
}

static void enter_context(struct xlate *x, const struct live_log *log)
{
	for (unsigned k = 0; k < log->n; k++)
		if (!xcpu(x->cpu)->live[log->id[k]])
			set(x, log->id[k], NONGLOBAL);
}

void xlate_live_flushed(struct cpu *cpu, enum mmu_flush scope, gla_t gla)
{
	struct xlate *x = cpu->engine;

	switch (scope) {
	case FLUSH_PAGE: clear_page(x, gla & ~4095ull); break;
	case FLUSH_REGION:
		clear_region(x, &x->live_log[cpu->mmu->ctx], gla);
		clear_region(x, &x->live_log[LOG_GLOBAL], gla);
		break;
	case FLUSH_NONGLOBAL: clear_log(x, &x->live_log[cpu->mmu->ctx]); break;
	case FLUSH_CONTEXT: x->live_log[gla].n = 0; break;
	case FLUSH_ALL: clear_all(x); break;
	case FLUSH_SWITCH:
		leave_context(x, &x->live_log[cpu->mmu->ctx]);
		enter_context(x, &x->live_log[gla]);
		break;
	}
}
