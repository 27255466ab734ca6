// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the files of mmu/ share: the walk's result, TLB fill, data breakpoints */
#ifndef MMU_MMU_INT_H
#define MMU_MMU_INT_H

#include "base/bytes.h"
#include "mem/coherence.h"
#include "mmu/mmu.h"

#define PAGE 4096u
#define PAGE_MASK (~(uint64_t)(PAGE - 1))

/* Error code of #PF, SDM vol 3 4.7 */
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

struct mmu_walk {
	gpa_t gpa;       /* of the byte, A20 applied */
	uint8_t shift;   /* page size, log2 */
	bool user, write, nx; /* combined permissions */
	bool global;
	bool dirty;      /* the leaf's D bit after the walk */
};

/* Walk for an access of kind (MMU_READ, MMU_WRITE, MMU_EXEC) under view; sets A and D bits. False: *error is #PF's
 * code. */
bool mmu_walk(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, struct mmu_walk *w, uint32_t *error);

/* Behind a walk of gla to a 4 KiB page: how many pages from this one on, max at most, have entries that differ from
 * its own only by frames in a row, so that what was found of the first holds of all, A and D bits too. */
unsigned mmu_walk_run(struct cpu *cpu, gla_t gla, unsigned max);

static inline bool mmu_paging(const struct cpu *cpu)
{
	return cpu->s.cr0 & CR0_PG;
}
static inline bool mmu_pae(const struct cpu *cpu)
{
	return cpu->s.cr4 & CR4_PAE;
}

static inline gpa_t mmu_a20(const struct cpu *cpu, gpa_t gpa)
{
	return mem_a20(cpu->mem) ? gpa : gpa & ~(gpa_t)MIB(1);
}

/* Outside long mode linear addresses have 32 bits and wrap. */
static inline gla_t mmu_wrap(const struct cpu *cpu, gla_t gla)
{
	return cpu_long_mode(cpu) ? gla : (uint32_t)gla;
}

/* The view an access of this kind is made under. Implicit supervisor accesses are held to SMAP whatever AC says, SDM
 * vol 3 4.6. */
static inline unsigned mmu_view(const struct cpu *cpu, unsigned kind)
{
	if (kind & MMU_SYS)
		return cpu->s.cr4 & CR4_SMAP ? VIEW_SUP : VIEW_SUP_AC;
	return kind & MMU_USER ? VIEW_USER : cpu->view;
}

static inline struct mmu_tlbe *mmu_tlbe(struct cpu *cpu, unsigned view, unsigned rw, gla_t gla)
{
	return &cpu->mmu->tlb[view][rw][gla >> 12 & (TLB_SIZE - 1)];
}

/* Host address of [gla, gla + size) if the TLB has it, else NULL. size 1..4096. */
static inline uint8_t *mmu_tlb_find(struct cpu *cpu, unsigned view, unsigned rw, gla_t gla, size_t size)
{
	const struct mmu_tlbe *e = mmu_tlbe(cpu, view, rw, gla);

	return gla - e->tag <= PAGE - size ? (uint8_t *)(e->host + (gla - e->tag)) : NULL;
}

/* --- entries of the software TLB, by number (TLB_ALL) --- */

#define TLB_SLOT_PAGE(slot) ((uint64_t)((slot) ^ 1) << 12)

static inline struct mmu_tlbe *mmu_entry_at(struct cpu *cpu, unsigned id)
{
	return &((struct mmu_tlbe *)cpu->mmu->tlb)[id];
}

static inline unsigned mmu_entry_id(unsigned view, unsigned rw, gla_t gla)
{
	return (view * TLB_RW_COUNT + rw) * TLB_SIZE + (gla >> 12 & (TLB_SIZE - 1));
}

static inline void mmu_used_set(struct mmu_tlb_used *u, unsigned id)
{
	u->bits[id / 64] |= 1ull << id % 64;
	u->sum[id / 4096] |= 1ull << id / 64 % 64;
}

static inline void mmu_used_clear(struct mmu_tlb_used *u, unsigned id)
{
	u->bits[id / 64] &= ~(1ull << id % 64);
}

static inline void mmu_entry_kill(struct cpu *cpu, unsigned id)
{
	mmu_entry_at(cpu, id)->tag = TLB_SLOT_PAGE(id & (TLB_SIZE - 1));
}

/* Which bit of tlb_written is about a host page. */
static inline uint32_t mmu_written_at(uint64_t host)
{
	return (uint32_t)(host >> 12) % MMU_WRITTEN;
}

static inline void mmu_written_note(struct cpu *cpu, uint64_t host)
{
	uint32_t at = mmu_written_at(host);

	cpu->mmu->tlb_written[at / 8] |= (uint8_t)(1u << at % 8);
}

static inline void mmu_entry_put(struct cpu *cpu, unsigned view, unsigned rw, gla_t gla, const uint8_t *host,
				 bool global)
{
	unsigned id = mmu_entry_id(view, rw, gla);
	struct mmu_tlbe *e = mmu_entry_at(cpu, id);

	e->tag = gla & PAGE_MASK;
	e->host = (uintptr_t)host;
	if (rw == TLB_WRITE)
		mmu_written_note(cpu, e->host);
	mmu_used_set(&cpu->mmu->tlb_used[global], id);
	mmu_used_clear(&cpu->mmu->tlb_used[!global], id);
}

/* Fill read and write entries that the walk for kind, to page, allows. */
void mmu_tlb_fill(struct cpu *cpu, gla_t gla, unsigned kind, unsigned view, const struct mmu_walk *w,
		  const struct mem_page *page);
/* Keep a translation for execution; NULL if there is none kept. */
void mmu_exec_fill(struct cpu *cpu, gla_t gla, unsigned view, const struct mmu_walk *w);
const struct mmu_exec *mmu_exec_find(const struct cpu *cpu, gla_t gla, unsigned view);
/* The CPU is about to write to a writable page by an address that it keeps or has in hand: may it, without telling who
 * has translated what is there (mem/coherence.h C2)? */
bool mmu_write_right(struct cpu *cpu, const struct mem_page *page);
/* If it may not: around the write, mem/coherence.h C3. False: it has begun before. */
bool mmu_code_begin(struct cpu *cpu);
/* len bytes at a host address, in one page, were written within. */
void mmu_code_written(struct cpu *cpu, const uint8_t *host, uint64_t len);

/* Near entries are copies of TLB entries: they go whenever any of those does. */
void mmu_near_clear(struct cpu *cpu);

/* Move all non-global TLB entries out of the TLB, to the current context. */
void mmu_saved_take(struct cpu *cpu);
/* Bring those of gla's group back. False: there are none. */
bool mmu_saved_refill(struct cpu *cpu, unsigned view, gla_t gla);
/* Forget what is saved of the current context: all, or the page of gla. */
void mmu_saved_clear(struct cpu *cpu);
void mmu_saved_forget(struct cpu *cpu, gla_t gla);
/* Make a context's save area empty. */
void mmu_saved_init(struct mmu_saved *s);

/* window.c: a context's pages go; every context's; the context changes; INVLPG of a page of 2^shift bytes; a RAM page
 * comes to hold translated code. */
void mmu_window_clear(struct cpu *cpu, unsigned ctx);
void mmu_window_clear_all(struct cpu *cpu);
void mmu_window_switch(struct cpu *cpu, unsigned to);
void mmu_window_flush(struct cpu *cpu, gla_t gla, unsigned shift);
void mmu_window_protect(struct cpu *cpu, uint64_t ram_off);
/* tlb.c: translations of a large page are kept, so INVLPG of any of it has to find them. */
void mmu_large_note(struct cpu *cpu, gla_t gla, unsigned shift);

/* Tell the engine. */
static inline void mmu_told(struct cpu *cpu, enum mmu_flush scope, gla_t gla)
{
	if (cpu->mmu->flushed)
		cpu->mmu->flushed(cpu, scope, gla);
}

/* A number for cached translations that no others have had. 0 is nobody's. */
static inline uint64_t mmu_gen_new(struct cpu *cpu)
{
	return ++cpu->mmu->gen_last;
}

/* PCID that translations are cached for: 0 without CR4.PCIDE, SDM vol 3 4.10.1. */
static inline uint16_t mmu_pcid(const struct cpu *cpu)
{
	return cpu->s.cr4 & CR4_PCIDE ? cpu->s.cr3 & 0xfff : 0;
}

/* At start. */
void mmu_context_init(struct cpu *cpu);
/* Make pcid's context the current one, with what it had if keep. */
void mmu_context_load(struct cpu *cpu, uint16_t pcid, bool keep);
/* Forget the context of pcid, which is not current, if there is one. */
void mmu_context_drop(struct cpu *cpu, uint16_t pcid);
/* Forget all contexts but the current one. */
void mmu_context_drop_others(struct cpu *cpu);
/* The same without telling the engine, and the current one is now PCID's. */
void mmu_context_reset(struct cpu *cpu);

/* Any data breakpoint enabled in DR7? */
bool mmu_watching(const struct cpu *cpu);
/* May an enabled data breakpoint match in the page of gla? */
bool mmu_watch_page(const struct cpu *cpu, gla_t gla);
/* Note in s.pending_dbg which data breakpoints [gla, gla + len) hits. */
void mmu_watch_hit(struct cpu *cpu, gla_t gla, size_t len, bool write);

#endif
