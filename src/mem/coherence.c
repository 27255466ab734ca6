// SPDX-License-Identifier: GPL-2.0-or-later
/* what: RAM pages that hold translated code, and the vCPUs that write to them: marks, questions, answers
 *
 * The rules are in coherence.h. Waiting is a spin that becomes a nap: what is waited for is another thread's way to its
 * next instruction boundary, a few microseconds if it has a core of its own.
 */
#include "mem/coherence.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mem/mem_int.h"

#define SPINS 2000u
#define NAP_NS 20000

void mem_join(struct mem *mem, struct mem_member *m)
{
	must(mem->nmembers < MEM_MEMBERS_MAX);
	m->mem = mem;
	m->away = 1;
	m->asked = m->answered = m->nwanted = 0;
	m->alone = false;
	mem->member[mem->nmembers++] = m;
}

bool mem_shared(const struct mem *mem)
{
	return mem->nmembers > 1;
}

static void code_lock(struct mem *mem)
{
	lock_take(&mem->code_lock);
}

static void code_unlock(struct mem *mem)
{
	lock_give(&mem->code_lock);
}

static void wait_a_little(unsigned *round)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };

	__builtin_ia32_pause();
	if (++*round > SPINS)
		syscall(SYS_nanosleep, &nap, NULL);
}

void mem_member_nap(void)
{
	unsigned round = SPINS;

	wait_a_little(&round);
}

/* --- questions and answers --- */

/* Returns which answer is waited for. */
static uint32_t ask(struct mem_member *m, uint64_t off)
{
	uint32_t ticket;

	code_lock(m->mem);
	if (m->nwanted < MEM_TOLD_MAX)
		m->wanted[m->nwanted] = off;
	m->nwanted += m->nwanted <= MEM_TOLD_MAX;
	ticket = __atomic_add_fetch(&m->asked, 1, __ATOMIC_SEQ_CST);
	code_unlock(m->mem);
	m->call(m->opaque);
	return ticket;
}

/* Who is away answers before he uses an address again. */
static bool settled(const struct mem_member *m, uint32_t ticket)
{
	return (int32_t)(__atomic_load_n(&m->answered, __ATOMIC_SEQ_CST) - ticket) >= 0 ||
	       __atomic_load_n(&m->away, __ATOMIC_SEQ_CST);
}

static void withdraw_wanted(struct mem_member *m)
{
	uint64_t wanted[MEM_TOLD_MAX];
	uint32_t ticket;
	unsigned n;

	code_lock(m->mem);
	ticket = m->asked;
	n = m->nwanted;
	for (unsigned k = 0; k < MIN(n, MEM_TOLD_MAX); k++)
		wanted[k] = m->wanted[k];
	m->nwanted = 0;
	code_unlock(m->mem);
	if (n > MEM_TOLD_MAX)
		m->withdraw(m->opaque, UINT64_MAX);
	for (unsigned k = 0; n <= MEM_TOLD_MAX && k < n; k++)
		m->withdraw(m->opaque, wanted[k]);
	__atomic_store_n(&m->answered, ticket, __ATOMIC_SEQ_CST);
}

static bool must_stand_aside(const struct mem_member *m)
{
	const struct mem_member *alone = __atomic_load_n(&m->mem->alone, __ATOMIC_SEQ_CST);

	return alone && alone != m;
}

void mem_member_away(struct mem_member *m)
{
	__atomic_store_n(&m->away, 1, __ATOMIC_SEQ_CST);
}

void mem_member_back(struct mem_member *m)
{
	unsigned round = 0;

	for (;;) {
		__atomic_store_n(&m->away, 0, __ATOMIC_SEQ_CST);
		if (!must_stand_aside(m))
			break;
		__atomic_store_n(&m->away, 1, __ATOMIC_SEQ_CST);
		while (must_stand_aside(m))
			wait_a_little(&round);
	}
	if (__atomic_load_n(&m->asked, __ATOMIC_SEQ_CST) != m->answered)
		withdraw_wanted(m);
}

void mem_member_answer(struct mem_member *m)
{
	if (must_stand_aside(m))
		mem_member_away(m);
	mem_member_back(m);
}

/* --- marks --- */

static void wait_for_all(struct mem_member *m, const uint32_t *ticket, uint64_t who)
{
	unsigned round = 0;

	mem_member_away(m);
	for (; who; who &= who - 1) {
		unsigned k = (unsigned)__builtin_ctzll(who);

		while (!settled(m->mem->member[k], ticket[k]))
			wait_a_little(&round);
	}
	mem_member_back(m);
}

void mem_code_hold(struct mem *mem, struct mem_member *m, uint64_t off)
{
	uint32_t ticket[MEM_MEMBERS_MAX];
	uint64_t who = 0;

	code_lock(mem);
	__atomic_add_fetch(&mem->code[off / MEM_PAGE], 1, __ATOMIC_SEQ_CST);
	code_unlock(mem);
	for (unsigned k = 0; m && k < mem->nmembers; k++) {
		struct mem_member *o = mem->member[k];

		if (o == m || !o->may_write(o->opaque, off))
			continue;
		ticket[k] = ask(o, off);
		who |= 1ull << k;
	}
	if (who)
		wait_for_all(m, ticket, who);
}

void mem_code_release(struct mem *mem, uint64_t off)
{
	__atomic_sub_fetch(&mem->code[off / MEM_PAGE], 1, __ATOMIC_SEQ_CST);
}

void mem_code_tell(struct mem *mem, uint64_t off, uint64_t len)
{
	code_lock(mem);
	if (mem->ntold < MEM_TOLD_MAX)
		mem->told[mem->ntold] = (struct mem_told){ off, len };
	mem->ntold += mem->ntold <= MEM_TOLD_MAX;
	code_unlock(mem);
	for (unsigned k = 0; k < mem->nmembers; k++)
		mem->member[k]->call(mem->member[k]->opaque);
}

unsigned mem_code_told(struct mem *mem, struct mem_told out[MEM_TOLD_MAX])
{
	unsigned n;

	code_lock(mem);
	n = MIN(mem->ntold, MEM_TOLD_MAX);
	for (unsigned k = 0; k < n; k++) {
		out[k].off = mem->told[k].off;
		out[k].len = mem->ntold > MEM_TOLD_MAX ? UINT64_MAX : mem->told[k].len;
	}
	mem->ntold = 0;
	code_unlock(mem);
	return n;
}

/* --- alone --- */

void mem_alone_begin(struct mem_member *m)
{
	struct mem *mem = m->mem;
	struct mem_member *none = NULL;
	unsigned round = 0;

	mem_member_away(m);
	while (!__atomic_compare_exchange_n(&mem->alone, &none, m, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		none = NULL;
		wait_a_little(&round);
	}
	m->alone = true;
	for (unsigned k = 0; k < mem->nmembers; k++) {
		struct mem_member *o = mem->member[k];

		if (o == m)
			continue;
		o->call(o->opaque);
		while (!__atomic_load_n(&o->away, __ATOMIC_SEQ_CST))
			wait_a_little(&round);
	}
	mem_member_back(m);
}

void mem_alone_end(struct mem_member *m)
{
	if (!m || !m->alone)
		return;
	m->alone = false;
	__atomic_store_n(&m->mem->alone, NULL, __ATOMIC_SEQ_CST);
}
