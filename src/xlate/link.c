// SPDX-License-Identifier: GPL-2.0-or-later
/* what: ways into blocks: chained jumps, gates and the jump caches
 *
 *     entry          the block's first instruction. For jumps from the same page, when the block lies on one page:
 *                    whoever executes the jump may execute the target
 *     page gate      is the block's page still there for execution (live.c)? For jumps from other pages
 *     checked gate   is S0 the block's RIP, and its page still there? What jump and return caches hold
 *
 * A gate is made when it is first needed: with the block, then it lies before the entry, or later, then it
 * lies elsewhere and jumps there. Gates leave flags alone whatever liveness says: they may lead to
 * another block than this, which may need flags that this one does not. They leave S2 alone too, in which
 * computed jumps say where they are (control.c). The checked gate of a block that died begins with a jump to where it
 * leads away: other CPUs' caches may still hold it (share.c S3).
 */
#include "xlate/xlate_int.h"

#define GATE_MAX 96

static void jrcxz_to(struct emit *e, const uint8_t *target)
{
	emit_patch_short(emit_short(e, 0xe3), target);
}

/* RCX is in S1. On to dead unless the block's pages from number k on are live. */
static void ask_live(struct emit *e, const struct block *b, unsigned k, const uint8_t *dead)
{
	for (; k < 2 && b->live[k]; k++) {
		e2(e, 0x0f, 0xb6); /* movzx ecx, byte [live] */
		emit_modrm_mem(e, H_RCX, H_RSP, H_NONE, 1, (int32_t)(X_OFF(live) + b->live[k]));
		jrcxz_to(e, dead);
	}
	emit_mov(e, 8, H_RCX, S1);
}

void xlate_gate_checked(struct xlate *x, struct emit *e, struct block *b)
{
	b->checked_off = (uint32_t)(e->p - x->c->rw);
	emit_mov(e, 8, S1, H_RCX);
	emit_ld_cpu(e, 8, H_RCX, X_OFF(minus) + b->live[0] * 8u);
	emit_lea(e, 8, H_RCX, S0, H_RCX, 1, -(int32_t)b->page_off);
	uint8_t *equal = emit_short(e, 0xe3), *dead = e->p;
	emit_mov(e, 8, H_RCX, S1);
	b->away = (uint8_t)(e->p - x->c->rw - b->checked_off);
	emit_jmp_cpu(e, X_OFF(thunk) + XT_EXIT_INDIRECT * 8);
	emit_patch_short(equal, e->p);
	if (!xlate_rc_slot(x, b->rip)) { /* a kick leads here, and the RET cannot tell */
		emit_ld_cpu(e, 8, H_RCX, X_OFF(poll));
		jrcxz_to(e, dead);
	}
	ask_live(e, b, 1, dead);
}

void xlate_gate_page(struct xlate *x, struct emit *e, struct block *b)
{
	uint8_t *dead = e->p;

	emit_mov(e, 8, H_RCX, S1);
	emit_mov_imm(e, S0, b->rip);
	emit_jmp_cpu(e, X_OFF(thunk) + XT_EXIT_PAGE * 8);
	b->gate_off = (uint32_t)(e->p - x->c->rw);
	emit_mov(e, 8, S1, H_RCX);
	ask_live(e, b, 0, dead);
}

/* A gate for a block that was made without. */
static bool add_gate(struct xlate *x, struct block *b, void (*gate)(struct xlate *x, struct emit *e, struct block *b))
{
	struct emit e = { x->c->rw + x->c->used };

	if (x->c->used + GATE_MAX > x->c->cold_base) {
		x->c->flush_wanted = true;
		return false;
	}
	gate(x, &e, b);
	emit_jcc_to(&e, -1, x->c->rw + b->entry_off);
	x->c->used = ((uint32_t)(e.p - x->c->rw) + 15u) & ~15u;
	return true;
}

/* The displacement at off leads to there from now on: one store (control.c), as others may be running it. */
static void patch(struct xlate *x, uint32_t off, uint32_t to)
{
	int32_t by = (int32_t)(to - (off + 4));

	__atomic_store((int32_t *)(void *)(x->c->rw + off), &by, __ATOMIC_RELEASE);
}

void xlate_link_chain(struct xlate *x, struct xexit *ex, struct block *to)
{
	uint32_t at = to->entry_off;

	if (!ex->linkable || ex->to || ex->from->dead || to->dead || to->ks != ex->ks || to == &x->step_block)
		return;
	if (ex->returns) {
		if (!to->live[0] || (!to->checked_off && !add_gate(x, to, xlate_gate_checked)))
			return;
		at = to->checked_off;
	} else if (!ex->near || to->host[1]) {
		if (!to->live[0] || (!to->gate_off && !add_gate(x, to, xlate_gate_page)))
			return;
		at = to->gate_off;
	}
	patch(x, ex->disp_off, at);
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
	patch(x, ex->disp_off, ex->stub_off);
	ex->to = NULL;
}

static uint64_t *slot_of(struct xlate *x, const struct block *b)
{
	return &xcpu(x->cpu)->jc[b->ks][xlate_jc_slot(x, b->rip)];
}

void xlate_link_jc_fill(struct xlate *x, struct block *b)
{
	if (!b->live[0] || b->dead || (!b->checked_off && !add_gate(x, b, xlate_gate_checked)))
		return;
	*slot_of(x, b) = (uint64_t)(uintptr_t)xlate_rx(x, b->checked_off);
}

/* Gates begin where sixteen bytes do, so this is one store. */
static void lead_away(struct xlate *x, const struct block *b)
{
	uint8_t bytes[8] = { 0xe9 };
	int32_t by = b->away - 5;
	uint64_t *gate = (uint64_t *)(void *)(x->c->rw + b->checked_off), word = *gate;

	must(b->checked_off % 8 == 0);
	memcpy(bytes + 1, &by, 4);
	memcpy(&word, bytes, 5);
	__atomic_store_n(gate, word, __ATOMIC_SEQ_CST);
}

void xlate_link_drop(struct xlate *x, struct block *b)
{
	uint64_t gate = (uint64_t)(uintptr_t)xlate_rx(x, b->checked_off), *jc, *rc;

	if (!b->checked_off)
		return;
	if (x->c->shared)
		lead_away(x, b);
	jc = slot_of(x, b);
	rc = &xcpu(x->cpu)->rc[b->ks][xlate_rc_slot(x, b->rip)];
	if (*jc == gate)
		*jc = (uint64_t)(uintptr_t)x->jc_empty;
	if (*rc == gate)
		*rc = (uint64_t)(uintptr_t)x->jc_empty;
}

void xlate_link_clear(struct xlate *x, uint32_t ks)
{
	for (unsigned k = 0; k < JC_SIZE; k++)
		xcpu(x->cpu)->jc[ks][k] = (uint64_t)(uintptr_t)x->jc_empty;
	for (unsigned k = 0; k < RC_SIZE; k++)
		xcpu(x->cpu)->rc[ks][k] = (uint64_t)(uintptr_t)x->jc_empty;
}
