// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the report of `ring3 run --stats`: where the vCPU's time went, and the counts
 *
 *   wall time of the machine = CPU time of the vCPU's thread + idle (asleep in HLT) + waiting (for a host CPU, a lock)
 *
 * The samples divide the CPU time (base/stats.h). Every line is a number, perhaps a share, and a text, so that programs
 * can read it as well (bench/run does).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vcpu/vcpu_int.h"

#define SECONDS(ns) ((double)(ns) / 1e9)
#define ROWS (STATS_OPS + PHASE_COUNT)
#define NAME_MAX_LEN 80
#define STEPPED_SHOWN 10

struct report {
	char *buf;
	size_t len, used;
	const struct stats *st;
	double wall; /* seconds */
};

struct row {
	unsigned where;
	uint64_t samples, calls;
};

static PRINTF_LIKE(2, 3) void say(struct report *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->buf + r->used, r->len - r->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		r->used += MIN((size_t)n, r->len - r->used - 1);
}

static uint64_t host_ns(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- kept by the thread --- */

void vcpu_stats_sleep(struct vcpu *v, bool asleep)
{
	struct stats *st = &v->cpu->stats;

	if (!st->sampling)
		return;
	uint64_t now = host_ns(CLOCK_MONOTONIC);
	if (!asleep)
		st->idle_ns += now - st->asleep_at;
	st->asleep_at = asleep ? now : 0;
}

void vcpu_stats_thread_begin(struct vcpu *v)
{
	struct stats *st = &v->cpu->stats;
	struct err err;

	stats_enter(st, PHASE_RUNLOOP);
	st->sampling = false;
	if (!v->cfg.stats)
		return;
	if (!st->started_at)
		st->started_at = host_ns(CLOCK_MONOTONIC);
	st->sampling = !vcpu_sample_start(v, &err);
	if (!st->sampling)
		log_at(LOG_WARN, "%s", err.msg);
}

void vcpu_stats_thread_end(struct vcpu *v)
{
	struct stats *st = &v->cpu->stats;

	if (!st->sampling)
		return;
	vcpu_sample_stop(v);
	st->cpu_ns += host_ns(CLOCK_THREAD_CPUTIME_ID);
	st->sampling = false;
}

/* --- the report --- */

static const char *name_of(unsigned where, char *buf)
{
	static const char *const phases[] = {
#define PHASE(name, text) text,
#include "base/stats.def"
#undef PHASE
	};

	if (where >= STATS_OPS)
		return phases[where - STATS_OPS];
	snprintf(buf, NAME_MAX_LEN, "helper %s", where < OP_COUNT ? insn_table[where].name : "?");
	return buf;
}

static int compare_rows(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;

	if (a->samples != b->samples)
		return a->samples < b->samples ? 1 : -1;
	return a->calls < b->calls ? 1 : a->calls > b->calls ? -1 : 0;
}

static unsigned collect(const struct stats *st, struct row *rows, uint64_t *total)
{
	unsigned n = 0;

	*total = 0;
	for (unsigned k = 0; k < ROWS; k++) {
		rows[n] = (struct row){ k, st->samples[k], k < STATS_OPS ? st->calls[k] : 0 };
		*total += rows[n].samples;
		if (rows[n].samples || rows[n].calls || (k >= STATS_OPS))
			n++;
	}
	qsort(rows, n, sizeof(*rows), compare_rows);
	return n;
}

static void say_time(struct report *r, double seconds, const char *what)
{
	say(r, "%12.3f s %5.1f %%  %s", seconds, r->wall > 0 ? 100 * seconds / r->wall : 0, what);
}

static void say_where(struct report *r, double cpu)
{
	struct row rows[ROWS];
	char name[NAME_MAX_LEN];
	uint64_t total;
	unsigned n = collect(r->st, rows, &total);

	say(r, "ring3: where %.3f s of the virtual CPU went (%llu samples)\n", r->wall, (unsigned long long)total);
	for (unsigned k = 0; k < n; k++) {
		say_time(r, total ? cpu * (double)rows[k].samples / (double)total : 0, name_of(rows[k].where, name));
		if (rows[k].calls)
			say(r, ", %llu calls", (unsigned long long)rows[k].calls);
		say(r, "\n");
	}
}

static void say_times(struct report *r, const struct vcpu *v)
{
	const struct stats *st = r->st;
	uint64_t now = host_ns(CLOCK_MONOTONIC), cpu = st->cpu_ns, idle = st->idle_ns, asleep_at = st->asleep_at;
	clockid_t clock;

	if (v->started && !v->joined && !pthread_getcpuclockid(v->thread, &clock))
		cpu += host_ns(clock);
	if (asleep_at && asleep_at < now)
		idle += now - asleep_at;
	r->wall = st->started_at ? SECONDS(now - st->started_at) : 0;
	say_where(r, SECONDS(cpu));
	say_time(r, SECONDS(idle), "idle\n");
	say_time(r, MAX(r->wall - SECONDS(cpu) - SECONDS(idle), 0.0), "waiting for a host CPU or for a lock\n");
}

/* What is counted as a whole, and what only as parts. */
static uint64_t counted(const struct stats *st, unsigned k)
{
	uint64_t sum = 0, known = 0;

	for (unsigned op = 0; op < STATS_OPS; op++)
		sum += st->calls[op];
	for (unsigned part = STAT_EXIT_JUMP; part <= STAT_EXIT_CODE; part++)
		known += st->count[part];
	if (k == STAT_HELPERS)
		return sum;
	if (k == STAT_EXIT_COMPUTED)
		return st->count[STAT_EXITS] > known ? st->count[STAT_EXITS] - known : 0;
	return st->count[k];
}

static void say_counts(struct report *r, const struct vcpu *v)
{
	static const char *const texts[] = {
#define COUNTER(name, text) text,
#include "base/stats.def"
#undef COUNTER
	};
	struct engine_usage u;

	v->engine->usage(v->cpu, &u);
	say(r, "ring3: how often\n");
	for (unsigned k = 0; k < STAT_COUNT; k++)
		say(r, "%14llu  %s\n", (unsigned long long)counted(r->st, k), texts[k]);
	say(r, "%14" PRIu64 "  bytes of the translation cache in use, of %" PRIu64 "\n", u.code, u.code_size);
	say(r, "%14" PRIu64 "  bytes of its tables in use, of %" PRIu64 "\n", u.meta, u.meta_size);
}

static int compare_stepped(const void *pa, const void *pb)
{
	const struct stats_stepped *a = pa, *b = pb;

	return a->n < b->n ? 1 : a->n > b->n ? -1 : 0;
}

static void say_stepped(struct report *r)
{
	static const char *const texts[] = {
#define STEP(name, text) text,
#include "base/stats.def"
#undef STEP
	};
	struct stats_stepped at[STATS_STEPPED];

	memcpy(at, r->st->stepped, sizeof(at));
	qsort(at, STATS_STEPPED, sizeof(*at), compare_stepped);
	if (at[0].n)
		say(r, "ring3: what was run singly most often\n");
	for (unsigned k = 0; k < STEPPED_SHOWN && at[k].n; k++)
		say(r, "%14" PRIu64 "  steps at RIP 0x%" PRIx64 ": %s\n", at[k].n, at[k].rip, texts[at[k].why]);
}

/* Counters as they are now. Their thread goes on counting without a thought of who looks, so some are older than
 * others: nothing that ThreadSanitizer need say. */
static __attribute__((noinline, no_sanitize("thread"))) struct stats *look(const struct stats *st)
{
	uint64_t *now = xalloc(sizeof(*st));
	const volatile uint64_t *from = (const volatile uint64_t *)st;

	for (size_t k = 0; k < sizeof(*st) / sizeof(*now); k++)
		now[k] = from[k];
	return (struct stats *)now;
}

void vcpu_stats(const struct vcpu *v, char *buf, size_t len)
{
	struct stats *now = look(&v->cpu->stats);
	struct report r = { .buf = buf, .len = len, .st = now };

	must(len);
	*buf = 0;
	say_times(&r, v);
	say_counts(&r, v);
	say_stepped(&r);
	free(now);
}
