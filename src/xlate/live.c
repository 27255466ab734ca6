// SPDX-License-Identifier: GPL-2.0-or-later
/* what: which pages of code may be executed now: a byte for each, which the gates of their blocks look at
 *
 * A linear page with the host page behind it, for user or supervisor, has a number and a byte cpu->live[number]: not 0
 * while the current address space has that translation and may execute it. What translated code asks at a jump to
 * another page is one load; what a flush of the TLB does is to clear the bytes that are set, and after it each page is
 * looked at once, not each block. Blocks, chains between them and jump caches stay.
 *
 * I1  A byte is set only if the MMU knows the page for execution, and is cleared when it forgets.
 * I2  Every number whose byte is set stands in the log of its kind.
 */
#include "xlate/xlate_int.h"

enum { DEAD, NONGLOBAL, GLOBAL };

static uint16_t *chain_of(struct xlate *x, gla_t page)
{
	return &x->vpage_hash[(uint32_t)(page >> 12) * 0x9e3779b1u >> 20];
}

bool xlate_live_full(const struct xlate *x)
{
	return x->nvpages + 2 > VPAGES;
}

uint16_t xlate_live_number(struct xlate *x, gla_t gla, const uint8_t *host, bool user)
{
	gla_t page = gla & ~4095ull;
	uint16_t *first = chain_of(x, page), id;

	for (id = *first; id; id = x->vpages[id].next)
		if (x->vpages[id].gla == page && x->vpages[id].host == host && x->vpages[id].user == user)
			return id;
	must(x->nvpages < VPAGES);
	id = (uint16_t)x->nvpages++;
	x->vpages[id] = (struct vpage){ .gla = page, .host = host, .next = *first, .user = user };
	return *first = id;
}

static void clear_log(struct xlate *x, struct live_log *log)
{
	for (unsigned k = 0; k < log->n; k++)
		x->cpu->live[log->id[k]] = DEAD;
	log->n = 0;
}

void xlate_live_set(struct xlate *x, uint16_t id)
{
	uint8_t *live = &x->cpu->live[id];

	if (!id || *live)
		return;
	bool global = mmu_exec_global(x->cpu, x->vpages[id].gla);
	struct live_log *log = &x->live_log[global];
	if (log->n == ARRAY_LEN(log->id))
		clear_log(x, log);
	log->id[log->n++] = id;
	*live = global ? GLOBAL : NONGLOBAL;
}

void xlate_live_reset(struct xlate *x)
{
	for (unsigned k = 0; k < ARRAY_LEN(x->live_log); k++)
		clear_log(x, &x->live_log[k]);
	for (unsigned k = 0; k < ARRAY_LEN(x->vpage_hash); k++)
		x->vpage_hash[k] = 0;
	x->nvpages = 1; /* 0: no page */
}

static void clear_page(struct xlate *x, gla_t page)
{
	for (uint16_t id = *chain_of(x, page); id; id = x->vpages[id].next)
		if (x->vpages[id].gla == page)
			x->cpu->live[id] = DEAD;
}

void xlate_live_flushed(struct cpu *cpu, enum cpu_flush scope, gla_t gla)
{
	struct xlate *x = cpu->engine;

	if (scope == FLUSH_PAGE) {
		clear_page(x, gla & ~4095ull);
		return;
	}
	if (scope == FLUSH_CONTEXT)
		return;
	clear_log(x, &x->live_log[0]);
	if (scope == FLUSH_ALL)
		clear_log(x, &x->live_log[1]);
}
