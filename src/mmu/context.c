// SPDX-License-Identifier: GPL-2.0-or-later
/* what: contexts: what is kept of the translations of address spaces that are not the current one, by PCID
 *
 * SDM vol 3 4.10.1. Tags of TLB entries name no address space, as translated code has no instruction to spare for
 * comparing one. So the TLB holds the current space's entries and the global ones; MOV CR3 to another PCID moves the
 * former to their context (saved.c), and if bit 63 is set the PCID has what it had, there to be brought back when it
 * is asked for. Entries for execution and page tables of walks, which C looks up, stay where they are: their
 * generation says whose they are. Eight contexts are enough for Linux, which has six PCIDs in use; a ninth takes the
 * place of the one that was left longest ago. A context may always forget: its PCID then starts with nothing.
 *
 * I1  No two live contexts have one PCID; the current one is live and has the CPU's.
 * I2  Generations come from one counter of 61 bits and are never used again, so no two contexts share one.
 * I3  Saved entries are non-global, so INVLPG need look at those of the current context only.
 * I4  What a context may hold dies only by FLUSH_ALL, FLUSH_CONTEXT or, while it is the current one, by the other
 *     two; so who keeps things by context number has been told.
 */
#include "mmu/mmu_int.h"

/* The live context of pcid, or MMU_CTX. */
static unsigned context_of(const struct cpu *cpu, uint16_t pcid)
{
	unsigned k = 0;

	while (k < MMU_CTX && !(cpu->mmu->context[k].live && cpu->mmu->context[k].pcid == pcid))
		k++;
	return k;
}

/* A context for another PCID: one that is free, or the one left longest ago. */
static unsigned context_oldest(const struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;
	unsigned best = MMU_CTX;

	for (unsigned k = 0; k < MMU_CTX; k++) {
		const struct mmu_ctx *c = &m->context[k];

		if (k == m->ctx)
			continue;
		if (!c->live)
			return k;
		if (best == MMU_CTX || c->left < m->context[best].left)
			best = k;
	}
	return best;
}

static void context_die(struct cpu *cpu, unsigned k)
{
	cpu->mmu->context[k].live = false;
	mmu_window_clear(cpu, k);
	mmu_told(cpu, FLUSH_CONTEXT, k);
}

static void context_begin(struct cpu *cpu, unsigned k, uint16_t pcid)
{
	struct mmu_ctx *c = &cpu->mmu->context[k];

	c->live = true;
	c->pcid = pcid;
	mmu_saved_init(&c->saved);
	c->exec_gen = mmu_gen_new(cpu);
	c->pde_gen = mmu_gen_new(cpu);
}

static void context_switch(struct cpu *cpu, unsigned to)
{
	struct mmu *m = cpu->mmu;
	struct mmu_ctx *old = &m->context[m->ctx], *new = &m->context[to];

	mmu_saved_take(cpu);
	old->exec_gen = m->exec_gen[0];
	old->pde_gen = m->pde_gen;
	old->left = mmu_gen_new(cpu);
	mmu_window_switch(cpu, to);
	mmu_told(cpu, FLUSH_SWITCH, to);
	m->ctx = to;
	m->exec_gen[0] = new->exec_gen;
	m->pde_gen = new->pde_gen;
}

void mmu_context_load(struct cpu *cpu, uint16_t pcid, bool keep)
{
	unsigned to = context_of(cpu, pcid);

	if (to == cpu->mmu->ctx) {
		if (!keep)
			mmu_flush_nonglobal(cpu);
		return;
	}
	cpu->stats.count[STAT_TLB_SWITCH]++;
	cpu->stats.count[STAT_TLB_KEPT] += keep && to < MMU_CTX;
	if (to == MMU_CTX) {
		to = context_oldest(cpu);
		keep = false;
	}
	if (!keep) {
		if (cpu->mmu->context[to].live)
			context_die(cpu, to);
		context_begin(cpu, to, pcid);
	}
	context_switch(cpu, to);
}

void mmu_context_drop(struct cpu *cpu, uint16_t pcid)
{
	unsigned k = context_of(cpu, pcid);

	if (k < MMU_CTX && k != cpu->mmu->ctx)
		context_die(cpu, k);
}

void mmu_context_drop_others(struct cpu *cpu)
{
	for (unsigned k = 0; k < MMU_CTX; k++)
		if (cpu->mmu->context[k].live && k != cpu->mmu->ctx)
			context_die(cpu, k);
}

void mmu_context_reset(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	for (unsigned k = 0; k < MMU_CTX; k++)
		m->context[k].live = k == m->ctx;
	m->context[m->ctx].pcid = mmu_pcid(cpu);
}

void mmu_context_init(struct cpu *cpu)
{
	struct mmu *m = cpu->mmu;

	m->ctx = 0;
	m->gen_last = 0;
	for (unsigned k = 0; k < MMU_CTX; k++)
		m->context[k].live = false;
	context_begin(cpu, 0, 0);
}
