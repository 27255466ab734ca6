// SPDX-License-Identifier: GPL-2.0-or-later
/* what: TLB entries of an address space while another is current, brought back by the group on the first miss
 *
 * A program has hundreds of pages and touches a dozen between two switches, so what comes back is what a miss asks for:
 * the entries of 32 neighbouring slots, for reading and writing. What nobody asked for stays where it is and
 * needs no saving again (docs/decisions/engine.md has the figures for all at once, and for other sizes of groups).
 *
 *     TLB --mmu_saved_take()--> frames of the current context --mmu_saved_refill()--> TLB
 *
 * A group of which something is saved has a frame, found by an array. With no frame left a group is forgotten.
 *
 * I1  A group with a frame has no non-global entries in the TLB: a miss brings all back before anything is filled in.
 * I2  Saved entries are non-global. Write entries are checked for translated code when they come back.
 * I3  Whoever drops entries of the current context from the TLB drops the saved ones as well.
 */
#include "mmu/mmu_int.h"

#define GROUPS_A_WORD (64 / SAVED_GROUP)

static struct mmu_saved *saved_now(struct cpu *cpu)
{
	return &cpu->mmu->context[cpu->mmu->ctx].saved;
}

void mmu_saved_init(struct mmu_saved *s)
{
	bytes_fill(s->frame, 0, sizeof(s->frame));
	for (unsigned k = 0; k < ARRAY_LEN(s->free); k++)
		s->free[k] = ~0ull;
	s->free[0] &= ~1ull; /* 0: no frame */
	s->used = 0;
}

static uint8_t frame_new(struct mmu_saved *s, unsigned group)
{
	for (unsigned k = 0; k < ARRAY_LEN(s->free); k++) {
		if (!s->free[k])
			continue;
		s->frame[group] = (uint8_t)(k * 64 + (unsigned)__builtin_ctzll(s->free[k]));
		s->free[k] &= s->free[k] - 1;
		s->used++;
		break;
	}
	return s->frame[group];
}

static void frame_free(struct mmu_saved *s, unsigned group)
{
	unsigned frame = s->frame[group];

	s->free[frame / 64] |= 1ull << frame % 64;
	s->frame[group] = 0;
	s->used--;
}

static void take_group(struct cpu *cpu, struct mmu_saved *s, unsigned group, uint32_t bits)
{
	unsigned frame = frame_new(s, group);

	s->bits[frame] = bits;
	for (; bits; bits &= bits - 1) {
		unsigned k = (unsigned)__builtin_ctz(bits), id = group * SAVED_GROUP + k;

		s->e[frame][k] = *mmu_entry_at(cpu, id); /* frame 0 takes what has no place */
		mmu_entry_kill(cpu, id);
	}
}

void mmu_saved_take(struct cpu *cpu)
{
	struct mmu_tlb_used *u = &cpu->mmu->tlb_used[0];
	struct mmu_saved *s = saved_now(cpu);

	mmu_near_clear(cpu);
	for (unsigned i = 0; i < ARRAY_LEN(u->sum); i++) {
		for (; u->sum[i]; u->sum[i] &= u->sum[i] - 1) {
			unsigned word = i * 64 + (unsigned)__builtin_ctzll(u->sum[i]);

			for (unsigned k = 0; k < GROUPS_A_WORD; k++) {
				uint32_t bits = (uint32_t)(u->bits[word] >> k * SAVED_GROUP);

				if (bits)
					take_group(cpu, s, word * GROUPS_A_WORD + k, bits);
			}
			u->bits[word] = 0;
		}
	}
}

/* May a write entry for the page at this host address be used again? */
static bool right_to(struct cpu *cpu, uint64_t host)
{
	uint64_t off = host - (uintptr_t)mem_ram_base(cpu->mem);
	const struct mem_page page = { .write = (uint8_t *)(uintptr_t)host, .is_ram = off < mem_ram_size(cpu->mem) };

	return mmu_write_right(cpu, &page);
}

static void give_group(struct cpu *cpu, struct mmu_saved *s, unsigned group, unsigned view, unsigned rw)
{
	unsigned frame = s->frame[group];

	for (uint32_t bits = s->bits[frame]; bits; bits &= bits - 1) {
		const struct mmu_tlbe *e = &s->e[frame][__builtin_ctz(bits)];

		if (rw != TLB_WRITE || right_to(cpu, e->host))
			mmu_entry_put(cpu, view, rw, e->tag, (const uint8_t *)(uintptr_t)e->host, false);
	}
	frame_free(s, group);
}

bool mmu_saved_refill(struct cpu *cpu, unsigned view, gla_t gla)
{
	struct mmu_saved *s = saved_now(cpu);
	bool any = false;

	for (unsigned rw = 0; rw < TLB_RW_COUNT; rw++) {
		unsigned group = mmu_entry_id(view, rw, gla) / SAVED_GROUP;

		if (!s->frame[group])
			continue;
		give_group(cpu, s, group, view, rw);
		any = true;
	}
	cpu->stats.count[STAT_TLB_REFILLS] += any;
	return any;
}

void mmu_saved_clear(struct cpu *cpu)
{
	if (saved_now(cpu)->used)
		mmu_saved_init(saved_now(cpu));
}

void mmu_saved_forget(struct cpu *cpu, gla_t gla)
{
	struct mmu_saved *s = saved_now(cpu);

	for (unsigned view = 0; view < VIEW_COUNT; view++) {
		for (unsigned rw = 0; rw < TLB_RW_COUNT; rw++) {
			unsigned id = mmu_entry_id(view, rw, gla), frame = s->frame[id / SAVED_GROUP];

			if (frame) /* of this page or of one with the same slot */
				s->bits[frame] &= ~(1u << id % SAVED_GROUP);
		}
	}
}
