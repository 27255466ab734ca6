// SPDX-License-Identifier: GPL-2.0-or-later
/* what: chaining of blocks, and the jump caches
 *
 * I1  A chained jump stays within one page, so whoever executes the jump's block may execute the target's.
 * I2  A jump cache slot holds the checked entry of a block that the current address space may execute, or
 *     jc_empty. Whoever drops a translation of linear addresses clears the slots that depend on it.
 */
#include "xlate/xlate_int.h"

void xlate_link_chain(struct xlate *x, struct xexit *ex, struct block *to)
{
	if (!ex->linkable || ex->to || ex->from->dead || to->dead || to->ks != ex->from->ks || to->host[1] || to == &x->step_block)
		return;
	emit_patch(x->rw + ex->disp_off, x->rw + to->entry_off);
	ex->to = to;
	ex->next_in = to->in;
	to->in = ex;
	x->stats.links++;
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
	*word = h >> 26;
	return 1ull << (h >> 20 & 63);
}

void xlate_link_jc_fill(struct xlate *x, struct block *b)
{
	struct cpu *cpu = x->cpu;
	if (!(cpu->key & KEY_FLAT_CS) || b == &x->step_block || b->dead)
		return;
	unsigned slot = xlate_jc_slot(x, b->rip), word;
	if ((const void *)(uintptr_t)cpu->jc[b->ks][slot] == x->jc_empty)
		x->jc_log[b->ks][x->jc_used[b->ks]++] = (uint16_t)slot;
	cpu->jc[b->ks][slot] = (uint64_t)(uintptr_t)xlate_rx(x, b->checked_off);
	x->jc_rip[b->ks][slot] = b->rip;
	uint64_t bit = filter_bit(b->rip, &word);
	x->exec_filter[word] |= bit;
}

void xlate_link_jc_drop(struct xlate *x, struct block *b)
{
	uint64_t *slot = &x->cpu->jc[b->ks][xlate_jc_slot(x, b->rip)];
	/* the slot stays in the log, which only says where something may be: fill must not log it again */
	if (*slot == (uint64_t)(uintptr_t)xlate_rx(x, b->checked_off))
		*slot = (uint64_t)(uintptr_t)x->cpu->thunk[XT_EXIT_INDIRECT];
}

void xlate_link_jc_clear(struct xlate *x, uint32_t ks)
{
	for (uint32_t k = 0; k < x->jc_used[ks]; k++)
		x->cpu->jc[ks][x->jc_log[ks][k]] = (uint64_t)(uintptr_t)x->jc_empty;
	x->jc_used[ks] = 0;
}

static void clear_all(struct xlate *x)
{
	for (uint32_t ks = 0; ks < KS_COUNT; ks++)
		xlate_link_jc_clear(x, ks);
	for (unsigned k = 0; k < ARRAY_LEN(x->exec_filter); k++)
		x->exec_filter[k] = 0;
}

/* Slots whose block starts on page, or on the one before and may cross into it. */
static void clear_page(struct xlate *x, gla_t page)
{
	unsigned w0, w1;
	uint64_t b0 = filter_bit(page, &w0), b1 = filter_bit(page - 4096, &w1);
	if (!(x->exec_filter[w0] & b0) && !(x->exec_filter[w1] & b1))
		return;
	for (uint32_t ks = 0; ks < x->nkeys; ks++)
		for (uint32_t k = 0; k < x->jc_used[ks]; k++) {
			unsigned slot = x->jc_log[ks][k];
			uint64_t d = page - (x->jc_rip[ks][slot] & ~4095ull);
			if (d == 0 || d == 4096)
				x->cpu->jc[ks][slot] = (uint64_t)(uintptr_t)x->cpu->thunk[XT_EXIT_INDIRECT];
		}
}

void xlate_link_flushed(struct cpu *cpu, enum cpu_flush scope, gla_t gla)
{
	struct xlate *x = cpu->engine;
	if (scope == FLUSH_PAGE)
		clear_page(x, gla & ~4095ull);
	else
		clear_all(x);
}
