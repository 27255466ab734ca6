// SPDX-License-Identifier: GPL-2.0-or-later
/* what: chaining of blocks, and the jump caches
 *
 * I1  A chained jump stays within one page, so whoever executes the jump's block may execute the target's. A target whose
 *     bytes go on in the next page is reached through the jump cache.
 * I2  A jump cache slot holds the checked entry of a block that the current address space may execute, or
 *     jc_empty. Whoever drops a translation of linear addresses clears the slots that depend on it.
 */
#include "xlate/xlate_int.h"

void xlate_link_chain(struct xlate *x, struct xexit *ex, struct block *to)
{
	if (!ex->linkable || ex->to || ex->from->dead || to->dead || to->ks != ex->from->ks || to == &x->step_block)
		return;
	emit_patch(x->rw + ex->disp_off, x->rw + to->chain_off);
	ex->to = to;
	ex->next_in = to->in;
	to->in = ex;
	x->cpu->stats.count[STAT_LINKS]++;
}

void xlate_link_unchain(struct xlate *x, struct xexit *ex)
{
	struct xexit **p = &ex->to->in;
	while (*p != ex)
		p = &(*p)->next_in;
	*p = ex->next_in;
	emit_patch(x->rw + ex->disp_off, x->rw + ex->stub_off);
	ex->to = NULL;
}

static uint64_t filter_bit(uint64_t rip, unsigned *word)
{
	uint32_t h = (uint32_t)((rip >> 12) * 0x9e3779b1u);
	*word = h >> 22;
	return 1ull << (h >> 16 & 63);
}

/* Remember that slot was filled, in the log of its kind of page. */
static void log_slot(struct xlate *x, uint32_t ks, unsigned slot, bool global)
{
	uint8_t *in = &x->jc_in[ks][slot];
	if (!(*in & (1u << global)))
		x->jc_log[ks][global][x->jc_used[ks][global]++] = (uint16_t)slot;
	*in = (uint8_t)((*in & 3u) | 1u << global | (unsigned)global << 2);
}

void xlate_link_jc_fill(struct xlate *x, struct block *b)
{
	struct cpu *cpu = x->cpu;
	if (!(cpu->key & KEY_FLAT_CS) || b == &x->step_block || b->dead)
		return;
	unsigned slot = xlate_jc_slot(x, b->rip), word;
	log_slot(x, b->ks, slot, !b->host[1] && mmu_exec_global(cpu, b->rip));
	cpu->jc[b->ks][slot] = (uint64_t)(uintptr_t)xlate_rx(x, b->checked_off);
	x->jc_rip[b->ks][slot] = b->rip;
	uint64_t bit = filter_bit(b->rip, &word);
	x->exec_filter[word] |= bit;
}

void xlate_link_jc_drop(struct xlate *x, struct block *b)
{
	if (b->ks >= KS_FLAT)
		return;
	uint64_t *slot = &x->cpu->jc[b->ks][xlate_jc_slot(x, b->rip)];
	if (*slot == (uint64_t)(uintptr_t)xlate_rx(x, b->checked_off))
		*slot = (uint64_t)(uintptr_t)x->jc_empty;
}

/* Empty the logged slots whose occupant is of the log's kind. */
static void clear_log(struct xlate *x, uint32_t ks, unsigned global)
{
	for (uint32_t k = 0; k < x->jc_used[ks][global]; k++) {
		unsigned slot = x->jc_log[ks][global][k];
		uint8_t *in = &x->jc_in[ks][slot];
		if (*in >> 2 == global)
			x->cpu->jc[ks][slot] = (uint64_t)(uintptr_t)x->jc_empty;
		*in &= (uint8_t)~(1u << global);
	}
	x->jc_used[ks][global] = 0;
}

void xlate_link_jc_clear(struct xlate *x, uint32_t ks)
{
	clear_log(x, ks, 0);
	clear_log(x, ks, 1);
}

void xlate_link_jc_make(struct xlate *x, uint32_t ks)
{
	for (unsigned k = 0; k < JC_SIZE; k++)
		x->cpu->jc[ks][k] = (uint64_t)(uintptr_t)x->jc_empty;
	x->jc_made[ks] = true;
}

static void clear_all(struct xlate *x)
{
	for (uint32_t ks = 0; ks < KS_FLAT; ks++)
		xlate_link_jc_clear(x, ks);
	for (unsigned k = 0; k < ARRAY_LEN(x->exec_filter); k++)
		x->exec_filter[k] = 0;
}

static void clear_nonglobal(struct xlate *x)
{
	for (uint32_t ks = 0; ks < x->nflat; ks++)
		clear_log(x, ks, 0);
}

/* Slots of blocks that start on page. Where RIP's bits from 2 on select the slot, those of the page leave 1024 of them. */
static void clear_starting(struct xlate *x, gla_t page)
{
	uint32_t n = x->pext ? JC_PAGE : JC_SIZE, first = x->pext ? (page >> 12) % (JC_SIZE / JC_PAGE) * JC_PAGE : 0;
	for (uint32_t ks = 0; ks < x->nflat; ks++)
		for (uint32_t slot = first; slot < first + n; slot++)
			if ((x->jc_rip[ks][slot] & ~4095ull) == page)
				x->cpu->jc[ks][slot] = (uint64_t)(uintptr_t)x->jc_empty;
}

/* Blocks that start on page, or on the one before and may cross into it. */
static void clear_page(struct xlate *x, gla_t page)
{
	unsigned word;
	uint64_t bit = filter_bit(page, &word);
	if (x->exec_filter[word] & bit)
		clear_starting(x, page);
	bit = filter_bit(page - 4096, &word);
	if (x->exec_filter[word] & bit)
		clear_starting(x, page - 4096);
}

void xlate_link_flushed(struct cpu *cpu, enum cpu_flush scope, gla_t gla)
{
	struct xlate *x = cpu->engine;
	if (scope == FLUSH_PAGE)
		clear_page(x, gla & ~4095ull);
	else if (scope == FLUSH_NONGLOBAL || scope == FLUSH_SWITCH)
		clear_nonglobal(x);
	else if (scope == FLUSH_ALL)
		clear_all(x);
}
