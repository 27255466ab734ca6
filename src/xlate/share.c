// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one code cache for all vCPUs of a machine: its lock, and how everybody is brought out of it for a flush
 *
 * Translated code finds all that is a CPU's own by RSP, so a block serves every vCPU. Running one takes no lock.
 *
 * S1  What the cache holds changes under its lock: blocks are made, linked, killed by its holder. A translation is
 *     made without a break in it, and a write to a page with code too, from the first byte to the last block that dies
 *     (mem/coherence.h C3): so a block is of the bytes before, and dies, or of those behind.
 * S2  Who waits for the lock is away; he stands aside for who wants to be alone before he takes it, never with it.
 * S3  Code that others may be running changes by single stores that stay within eight aligned bytes (AMD64 APM vol 2
 *     7.3.2): displacements of jumps, and the first bytes of a gate. Who still comes to a dead block through a jump or
 *     return cache of his own is led away by its gate.
 * S4  A flush takes everything away at once, so nobody may be inside: in translated code, or in C called from it. Who
 *     flushes says so, lets the lock go, waits until the others are outside (who is inside may have the lock until
 *     then, who is not waits for the flush to end), takes the lock, and is alone.
 * S5  Blocks, exits and sites are read without the lock by who is inside: they stay until a flush.
 */
#include "xlate/xlate_int.h"

static bool may_take(const struct xlate *x)
{
	const struct xlate *flusher = __atomic_load_n(&x->c->flusher, __ATOMIC_SEQ_CST);

	return !flusher || flusher == x || x->inside;
}

bool xlate_lock(struct xlate *x)
{
	struct mem_member *m = x->cpu->member;

	if (!x->c->shared || x->locked)
		return false;
	for (;;) {
		if (may_take(x) && lock_try(&x->c->lock)) {
			if (may_take(x))
				break;
			lock_give_all(&x->c->lock);
		}
		mem_member_away(m);
		while (!may_take(x))
			mem_member_nap();
		lock_wait(&x->c->lock);
		mem_member_back(m);
	}
	x->locked = true;
	return true;
}

void xlate_unlock(struct xlate *x)
{
	if (!x->locked)
		return;
	x->locked = false;
	lock_give_all(&x->c->lock);
}

void xlate_inside(struct xlate *x)
{
	__atomic_store_n(&x->inside, true, __ATOMIC_SEQ_CST);
}

void xlate_outside(struct xlate *x)
{
	__atomic_store_n(&x->inside, false, __ATOMIC_RELEASE);
}

void xlate_stop_others(struct xlate *x)
{
	struct cache *c = x->c;
	struct xlate *none = NULL;

	if (!c->shared)
		return;
	xlate_outside(x);
	xlate_unlock(x);
	mem_member_away(x->cpu->member);
	/* Another may be about to flush: who was inside came here with the lock all the same. One after the other. */
	while (!__atomic_compare_exchange_n(&c->flusher, &none, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		none = NULL;
		mem_member_nap();
	}
	for (unsigned k = 0; k < c->nusers; k++) {
		struct xlate *o = c->user[k];

		while (o != x && __atomic_load_n(&o->inside, __ATOMIC_SEQ_CST)) {
			o->cpu->member->call(o->cpu->member->opaque);
			mem_member_nap();
		}
	}
	mem_member_back(x->cpu->member);
	xlate_lock(x);
	mem_alone_begin(x->cpu->member);
}

void xlate_resume_others(struct xlate *x)
{
	if (!x->c->shared)
		return;
	mem_alone_end(x->cpu->member);
	__atomic_store_n(&x->c->flusher, NULL, __ATOMIC_SEQ_CST);
}
