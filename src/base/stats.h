// SPDX-License-Identifier: GPL-2.0-or-later
/* what: where a virtual CPU's time goes: counters at slow paths, and a mark that says which of them is being walked
 *
 * Both are always on, because they cost a store or an increment in places that have just left translated code. Time
 * comes from sampling and only with --stats: a timer on the thread's CPU clock reads the mark. While translated
 * code runs the mark is stale, and the host's program counter says so.
 *
 * I1  Only the vCPU's thread and its signal handler write; who prints reads counts that may be a moment old.
 * I2  `where` is STATS_OPS + a phase, or below it the number of a helper.
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include "base/base.h"

#define STATS_OPS 256 /* more than there are helpers */

enum stats_phase {
#define PHASE(name, text) PHASE_##name,
#include "base/stats.def"
#undef PHASE
	PHASE_COUNT
};

enum stats_counter {
#define COUNTER(name, text) STAT_##name,
#include "base/stats.def"
#undef COUNTER
	STAT_COUNT
};

enum stats_why {
#define STEP(name, text) STEP_##name,
#include "base/stats.def"
#undef STEP
	STEP_COUNT
};

/* An address that instructions were stepped at; doubt: how often another one wanted its place since. */
struct stats_stepped {
	uint64_t rip, n, doubt;
	enum stats_why why;
};
#define STATS_STEPPED 256

struct stats {
	uint16_t where;
	bool sampling;
	uint64_t count[STAT_COUNT];
	uint64_t calls[STATS_OPS];                /* of helpers */
	uint64_t samples[STATS_OPS + PHASE_COUNT];
	struct stats_stepped stepped[STATS_STEPPED]; /* hashed; who is stepped most prevails */
	uint64_t code[2], gates[2];               /* host addresses: translated code, entry.S; end exclusive */
	/* host times in ns, only while sampling */
	uint64_t cpu_ns;                          /* CPU time of threads of this vCPU that have ended */
	uint64_t idle_ns, asleep_at;              /* asleep_at: 0, or when the sleep under way began */
	uint64_t started_at;
};

/* Say which phase begins; the mark that it replaces is for stats_resume(). */
static inline uint16_t stats_enter(struct stats *st, enum stats_phase phase)
{
	uint16_t was = st->where;
	st->where = (uint16_t)(STATS_OPS + phase);
	return was;
}

static inline void stats_resume(struct stats *st, uint16_t was)
{
	st->where = was;
}

/* An instruction is stepped. */
static inline void stats_step(struct stats *st, uint64_t rip, enum stats_why why)
{
	struct stats_stepped *s = &st->stepped[(rip * 0x9e3779b97f4a7c15ull >> 56) % STATS_STEPPED];
	if (s->rip == rip && s->why == why)
		s->n++;
	else if (++s->doubt > s->n)
		*s = (struct stats_stepped){ .rip = rip, .n = 1, .why = why };
}

/* Helper number op is called. */
static inline void stats_helper(struct stats *st, unsigned op)
{
	st->where = (uint16_t)op;
	st->calls[op]++;
}

#endif
