// SPDX-License-Identifier: GPL-2.0-or-later
/* what: RAM pages that hold translated code: who marks, who is asked, who waits
 *
 * A member is a vCPU: it uses translations of RAM pages, and keeps host addresses by which it writes to RAM without
 * asking anybody (TLB entries, windows). The rules:
 *
 * C1  Marks. A page has a mark for each translator that keeps translations of it. The mark is set before the first byte
 *     is copied for a translation (mem_code_hold), and taken away when the last one is gone.
 * C2  Rights. Nobody may have the right to write to a marked page without asking. Who marks takes it from all members
 *     that may have it, and waits until each has answered: mem_code_hold returns when it is so. Who gives himself that
 *     right first makes it known (may_write says yes), then looks whether there is a mark: of two that do both at once
 *     one sees the other.
 * C3  Writes to a marked page, by a member: nobody may copy bytes for a translation, nor keep one, between the look at
 *     the marks and the moment when the translations of what was written are gone. Members that share a translator have
 *     its lock for that (xlate/share.c S1).
 * C4  Writes by devices: the bytes, a fence, a look at the marks; who marks does the same the other way round. What was
 *     written is told to the members, and dropped by the first of them that comes to a boundary.
 * C5  Who waits for other members is away himself meanwhile: he has no addresses of RAM in hand, and answers when he
 *     comes back. Who sleeps, or whose thread has not begun or has ended, is away as well. So nobody waits for ever;
 *     and whoever waits must be at an instruction boundary as far as his rights go: a translation in the making is.
 * C6  Alone. Between mem_alone_begin and mem_alone_end no other member runs guest code: for LOCK where there is no one
 *     address to lock (an operand across pages, on a marked page).
 *
 * What a member was told of is seen by its guest at the latest at its next serializing instruction, jump backwards,
 * computed jump or return: the freedom that architecture leaves to the fetch of instructions (SDM vol 3 8.1.3).
 *
 * Vector registers are left alone by all of this.
 */
#ifndef MEM_COHERENCE_H
#define MEM_COHERENCE_H

#include "mem/mem.h"

#define MEM_MEMBERS_MAX 64u
#define MEM_TOLD_MAX 64u

struct mem_told {
	uint64_t off, len; /* of RAM; len UINT64_MAX: more than there was room for */
};

struct mem_member {
	void *opaque;
	/* Any thread: come to an instruction boundary, and to mem_member_answer(). */
	void (*call)(void *opaque);
	/* Any thread: might the member write to the RAM page at off without asking? */
	bool (*may_write)(void *opaque, uint64_t off);
	/* Own thread: the right to write to the page at off goes; UINT64_MAX: to all pages. */
	void (*withdraw)(void *opaque, uint64_t off);
	/* coherence.c's */
	struct mem *mem;
	uint32_t away;
	uint32_t asked, answered; /* how often for withdrawals */
	uint64_t wanted[MEM_TOLD_MAX];
	unsigned nwanted;         /* more than fit: all */
	bool alone;
};

/* The callbacks are filled in; the member is away. Before any member runs. */
void mem_join(struct mem *mem, struct mem_member *m);
/* Is there more than one member? */
bool mem_shared(const struct mem *mem);

/* By a member's thread, at an instruction boundary. */
void mem_member_away(struct mem_member *m);
/* Waits while another member is alone; answers. */
void mem_member_back(struct mem_member *m);
/* Does what was asked of it: withdrawals, and stands aside for who wants to be alone. */
void mem_member_answer(struct mem_member *m);
/* A short wait for another thread, by who is away. */
void mem_member_nap(void);

/* C1, C2. m NULL: the only one. The caller's own right is its own business. */
void mem_code_hold(struct mem *mem, struct mem_member *m, uint64_t off);
void mem_code_release(struct mem *mem, uint64_t off);
/* C4: bytes of RAM at off were written. Any thread. */
void mem_code_tell(struct mem *mem, uint64_t off, uint64_t len);
/* What was told and is not yet done: moved to out, their number returned. By who drops the translations of it before
 * another can ask. */
unsigned mem_code_told(struct mem *mem, struct mem_told out[MEM_TOLD_MAX]);

/* C6. Own thread; withdrawals may come within begin. end: does nothing unless begun. */
void mem_alone_begin(struct mem_member *m);
void mem_alone_end(struct mem_member *m);

#endif
