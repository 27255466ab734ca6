// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the instruction oracle: random instructions on the host's CPU and on the engine, and what differs
 *
 * Rule guarded: whatever guest code can do without leaving CPL 3 gives the same registers, flags, memory, vector state
 * and exceptions as the CPU itself.
 *
 *   ORACLE_SEED=n     start of the random numbers (printed)      ORACLE_SECONDS=n  how long, default 12
 *   ORACLE_BATCH=n    begin with this batch                      ORACLE_ONE=1      only that batch
 *   ORACLE_SKIPPED=1  print cases without an answer of the CPU
 *   ORACLE_ONLY=name  one mnemonic, single instructions
 *   ORACLE_SHOW=n     mismatches to print of a kind, default 1
 *
 * A worker runs batches; this process restarts it behind the case if the engine crashed. Batch k depends on seed and k
 * alone. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "oracle.h"
#include "written.h"

#define KINDS 400
#define SKIP_STATUS 77

struct kind {
	char name[60];
	uint32_t count;
};

/* Shared between worker and watcher. */
struct tally {
	uint64_t batch, index;
	bool step;
	uint64_t cases, insns, skipped, otherwise, mismatches, crashes;
	uint64_t until_ms;
	struct written written;
	uint64_t mode[O_MODES][3], group[OG_COUNT], place[OP_COUNT], end[32];
	bool seen[ORACLE_MNEMONICS];
	struct kind kind[KINDS];
	struct ocase now;  /* under way in the engine */
};

struct oracle {
	struct xlayout l;
	struct gen *gen;
	struct native *nat;
	struct engine *eng;
	struct tally *t;
	uint64_t seed;
	unsigned show;
	bool one, single, segments;
	struct ores step, block, small; /* the engine's answers; small: while a case is made smaller */
};

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);
	return v && *v ? strtoull(v, NULL, 0) : otherwise;
}

/* Count one of a kind; true if it is to be printed. */
static bool count_kind(struct oracle *o, const char *name)
{
	for (unsigned k = 0; k < KINDS; k++) {
		struct kind *q = &o->t->kind[k];
		if (!q->name[0])
			snprintf(q->name, sizeof(q->name), "%s", name);
		if (strcmp(q->name, name) == 0)
			return q->count++ < o->show;
	}
	return false;
}

static const char *run_engine(struct oracle *o, const struct ocase *c, const struct ores *n, bool step, struct ores *r)
{
	o->t->step = step;
	o->t->now = *c;
	/* CPU time: on a loaded host a wall clock calls waiting a hang */
	setitimer(ITIMER_PROF, &(struct itimerval){ .it_value.tv_sec = 5 }, NULL);
	engine_run(o->eng, c, native_image(o->nat), step, r);
	setitimer(ITIMER_PROF, &(struct itimerval){ 0 }, NULL);
	return check_compare(c, &o->l, n, r, step);
}

/* c without instruction k. */
static void without(const struct ocase *c, unsigned k, struct ocase *out)
{
	unsigned gone = c->start[k + 1] - c->start[k];
	*out = *c;
	memmove(out->code + c->start[k], c->code + c->start[k + 1], c->len - c->start[k + 1]);
	for (unsigned i = k + 1; i <= c->n; i++)
		out->start[i - 1] = (uint16_t)(c->start[i] - gone);
	out->n--;
	out->len -= gone;
	out->skip = (c->skip & ((1u << k) - 1)) | (c->skip >> (k + 1) & ~0u) << k;
	if (c->skip >> (k + 1) & 1) /* the Jcc is gone */
		out->skip &= ~(1u << k);
	if (c->skip >> k & 1 && k > 0) /* what it goes over is: now over the next, or nothing */
		out->code[out->start[k] - 1] = 0;
	if (c->loop && k + 1 < c->n)
		out->code[out->len - 1] = (uint8_t)-out->len;
	else
		out->loop = false;
}

/* Reckon flags undefined at the end; false if an instruction depends on some that are. */
static bool still_defined(const struct gen *g, struct ocase *c)
{
	return gen_reckon_undefined(g, c, 0) && (!c->loop || gen_reckon_undefined(g, c, c->undef));
}

/* The CPU's answer to c alone; takes the place of the batch's first case. */
static const struct ores *ask(struct oracle *o, const struct ocase *c)
{
	*native_cases(o->nat) = *c;
	native_run(o->nat, 1);
	return native_results(o->nat);
}

/* Take instructions away as long as it still differs, and no instruction comes to depend on undefined flags. */
static void minimize(struct oracle *o, struct ocase *c, bool step)
{
	struct ocase less;
	for (unsigned k = c->n; k-- > 0 && c->n > 1;) {
		without(c, k, &less);
		if (!still_defined(o->gen, &less))
			continue;
		const struct ores *n = ask(o, &less);
		if (n->status == OS_OK && run_engine(o, &less, n, step, &o->small))
			*c = less;
	}
	ask(o, c);
}

static void report(struct oracle *o, const struct ocase *c, unsigned index, const char *what, bool step,
	const struct ores *n, const struct ores *e)
{
	char name[60];
	unsigned at = check_insn_at(c, n->rip);
	if (n->vector == EXC_BP || at == c->n)
		at = c->n - 1;
	snprintf(name, sizeof(name), "%s %s%s%s", check_mnemonic(c, at), what, step ? "" : " (block)",
		 c->n > 1 ? " (sequence)" : "");
	o->t->mismatches++;
	if (!count_kind(o, name))
		return;
	printf("MISMATCH %s: ORACLE_SEED=0x%" PRIx64 " ORACLE_BATCH=%" PRIu64 " case %u%s\n", name, o->seed, o->t->batch,
	       index, step ? "" : ", as a block");
	check_print(c, &o->l, native_image(o->nat), n, e);
	fflush(stdout);
}

/* Under a hypervisor that guards pages against writes (PVM's, or KVM's shadow paging), its emulator carries out what
 * wrote there and goes on with what follows: an instruction that it does not know is #UD then, and POPF loses NT. */
static void count_otherwise(struct oracle *o, const struct ocase *c, unsigned index)
{
	char name[60];
	o->t->otherwise++;
	snprintf(name, sizeof(name), "%s answered otherwise when asked again", check_mnemonic(c, c->n - 1));
	if (count_kind(o, name))
		printf("OTHERWISE %s: ORACLE_SEED=0x%" PRIx64 " ORACLE_BATCH=%" PRIu64 " case %u\n", name, o->seed, o->t->batch,
		       index);
}

/* A case that differs. The CPU is asked once more; if it stays with its answer, the case is shown as small as it may
 * be, or as it is if that goes by what came before. The first case of the batch, over or this one, is written over; the
 * rest of a batch of sequences is not looked at. */
static void mismatch(struct oracle *o, const struct ocase *c, unsigned index, const char *what, bool step,
	const struct ores *e)
{
	struct ocase whole = *c, small = *c;
	const struct ores *n = ask(o, &whole);
	if (n->status == OS_OK && !check_compare(&whole, &o->l, n, e, step)) {
		count_otherwise(o, &whole, index);
		return;
	}
	minimize(o, &small, step);
	const char *less = n->status == OS_OK ? run_engine(o, &small, n, step, &o->small) : NULL;
	if (less)
		report(o, &small, index, less, step, n, &o->small);
	else
		report(o, &whole, index, what, step, ask(o, &whole), e);
}

static void count_areas(struct tally *t, const struct ocase *c, const struct ores *n)
{
	t->cases++;
	t->insns += c->n;
	t->mode[c->mode][c->loop ? 2 : c->n > 1]++;
	t->end[n->vector & 31]++;
	for (unsigned k = 0; k < OP_COUNT; k++)
		t->place[k] += c->places >> k & 1;
	for (unsigned k = 0; k < c->n; k++) {
		t->group[c->group[k]]++;
		t->seen[c->mnemonic[k] % ORACLE_MNEMONICS] = true;
	}
}

/* Linux maps a page of its own there, up where all else is a hole to the child. */
static bool in_vsyscall(const struct ores *n)
{
	return n->rip >> 12 == 0xffffffffff600;
}

/* The host's kernel emulates SLDT and its like for user code (UMIP) and tells of its own faults: the code has made one
 * by writing to itself. */
static bool emulated(const struct ores *n)
{
	return n->vector == EXC_PF && !cpu_canonical(n->cr2);
}

/* Nothing generated, or the CPU gave no answer: a loop of some kind, or a kernel that ended the child. */
static void skip(struct oracle *o, const struct ocase *c, const struct ores *n, unsigned index)
{
	char name[60];
	o->t->skipped++;
	if (c->n == 0)
		return;
	snprintf(name, sizeof(name), "%s %s natively, skipped", check_mnemonic(c, c->n - 1),
	         n->status == OS_OK ? "met the host's kernel" : n->status == OS_HUNG ? "hung"
		 : n->status == OS_OVERWRITTEN ? "overwritten" : "died");
	if (count_kind(o, name) && getenv("ORACLE_SKIPPED")) {
		printf("SKIPPED %s: ORACLE_SEED=0x%" PRIx64 " ORACLE_BATCH=%" PRIu64 " case %u\n", name, o->seed, o->t->batch,
		       index);
		check_print(c, &o->l, native_image(o->nat), n, n);
	}
}

static void check_written(struct oracle *o, const struct ocase *c, const struct ores *n, unsigned index)
{
	if (c->n != 1 || !omode64(c->mode) || n->vector != EXC_BP || gen_turned(o->gen, c, n->mem))
		return;
	const char *what = written_check(&o->t->written, c->code, c->len, c->gpr, n->gpr);
	if (what)
		report(o, c, index, what, true, n, n);
}

/* True: go on with the batch. */
static bool check_one(struct oracle *o, unsigned k)
{
	const struct ocase *c = &native_cases(o->nat)[k];
	const struct ores *n = &native_results(o->nat)[k];
	o->t->index = k;
	if (n->status != OS_OK || c->n == 0 || in_vsyscall(n) || emulated(n)) {
		skip(o, c, n, k);
		return true;
	}
	count_areas(o->t, c, n);
	check_written(o, c, n, k);
	bool step = true;
	const char *what = run_engine(o, c, n, true, &o->step);
	if (!what) {
		step = false;
		what = run_engine(o, c, n, false, &o->block);
	}
	if (!what)
		return true;
	if (gen_turned(o->gen, c, n->mem)) {
		skip(o, c, n, k);
		return true;
	}
	mismatch(o, c, k, what, step, step ? &o->step : &o->block);
	return c->n == 1;
}

static void run_batch(struct oracle *o, unsigned first)
{
	struct rng r = { .s = o->seed ^ (o->t->batch * 0xd1342543de82ef95ull) };
	bool sequences = !o->single && o->t->batch % 3 == 2;
	rnd(&r);
	gen_free(o->gen);
	o->gen = gen_new(&o->l, getenv("ORACLE_ONLY"), o->segments);
	gen_seek(o->gen, &r);
	gen_image(&r, native_image(o->nat));
	for (unsigned k = 0; k < ORACLE_BATCH; k++)
		gen_case(o->gen, &r, native_image(o->nat), sequences ? 2 + below(&r, ORACLE_INSNS - 1) : 1,
			&native_cases(o->nat)[k]);
	native_run(o->nat, ORACLE_BATCH);
	for (unsigned k = first; k < ORACLE_BATCH; k++)
		if (!check_one(o, k))
			break;
}

static noreturn void worker(struct oracle *o, unsigned first)
{
	o->nat = native_new(&o->l);
	o->eng = engine_new(&o->l);
	o->t->written.shapes = NULL; /* of the worker before */
	do {
		run_batch(o, first);
		first = 0;
		o->t->batch++;
	} while (!o->one && now_ms() < o->t->until_ms);
	native_free(o->nat);
	exit(0); /* and not _exit: coverage counts */
}

static void crashed(struct oracle *o, int status)
{
	const struct ocase *c = &o->t->now;
	bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
	char name[60];
	snprintf(name, sizeof(name), "%s %s%s", check_mnemonic(c, 0), hung ? "hang" : "crash",
	         c->n > 1 ? " (sequence)" : "");
	o->t->crashes++;
	if (count_kind(o, name)) {
		printf("CRASH %s, status %x: ORACLE_SEED=0x%" PRIx64 " ORACLE_BATCH=%" PRIu64 " case %" PRIu64 "%s\n", name,
		       status, o->seed, o->t->batch, o->t->index, o->t->step ? "" : ", as a block");
		struct ores none = { 0 };
		uint8_t image[IMAGE_SIZE] = { 0 };
		check_print(c, &o->l, image, &none, &none);
	}
	if (c->n > 1)
		o->t->batch++;
}

static void watch(struct oracle *o)
{
	unsigned first = 0;
	for (;;) {
		int status;
		fflush(stdout);
		pid_t pid = fork();
		must(pid >= 0);
		if (pid == 0)
			worker(o, first);
		must(waitpid(pid, &status, 0) == pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return;
		uint64_t batch = o->t->batch;
		crashed(o, status);
		first = batch == o->t->batch ? (unsigned)o->t->index + 1 : 0;
		if (o->one || now_ms() >= o->t->until_ms)
			return;
	}
}

static void row(const char *area, uint64_t n)
{
	printf("  %-52s %12" PRIu64 "\n", area, n);
}

/* By area what has been compared; each case as a single step and as a block. */
static void table(const struct tally *t)
{
	static const char *const modes[O_MODES] = { "64-bit", "32-bit flat", "32-bit segmented", "16-bit" };
	static const char *const kinds[3] = { "single instructions", "sequences of 2 to 30", "loops" };
	static const char *const groups[OG_COUNT] = { "one-byte opcodes", "x87", "0F", "0F 38", "0F 3A", "VEX", "EVEX",
		"undefined bytes" };
	static const char *const places[OP_COUNT] = { "aligned", "unaligned", "across pages", "second part faults",
		"first part faults",
		"read-only page", "page with code", "stack", "end of canonical addresses", "nothing mapped" };
	char name[80];
	unsigned seen = 0;
	for (unsigned k = 1; k < ORACLE_MNEMONICS; k++)
		seen += t->seen[k];
	printf("cases by mode\n");
	for (unsigned m = 0; m < O_MODES; m++)
		for (unsigned k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "%s, %s", modes[m], kinds[k]);
			row(name, t->mode[m][k]);
		}
	printf("instructions by encoding (%u mnemonics)\n", seen);
	for (unsigned k = 0; k < OG_COUNT; k++)
		row(groups[k], t->group[k]);
	printf("cases with memory operands\n");
	for (unsigned k = 0; k < OP_COUNT; k++)
		row(places[k], t->place[k]);
	row("constants added to a register, as the translator takes them", t->written.moved);
	printf("cases by their end\n");
	for (unsigned k = 0; k < 32; k++)
		if (t->end[k]) {
			snprintf(name, sizeof(name), k == EXC_BP ? "INT3 behind the last instruction" : "exception %u", k);
			row(name, t->end[k]);
		}
}

static void summary(const struct oracle *o)
{
	const struct tally *t = o->t;
	table(t);
	for (unsigned k = 0; k < KINDS && t->kind[k].name[0]; k++)
		printf("%6u %s\n", t->kind[k].count, t->kind[k].name);
	printf("%" PRIu64 " cases, %" PRIu64 " instructions: %" PRIu64 " mismatches, %" PRIu64 " crashes, %" PRIu64
	       " skipped, %" PRIu64 " answered otherwise when asked again (seed 0x%" PRIx64 ", batches to %" PRIu64 ")\n",
	       t->cases, t->insns, t->mismatches, t->crashes, t->skipped, t->otherwise, o->seed, t->batch);
}

int main(void)
{
	struct oracle *o = aligned_alloc(_Alignof(struct oracle), sizeof(*o));
	must(o);
	memset(o, 0, sizeof(*o));
	if (!native_possible()) {
		printf("oracle: this host has no AVX: skipped\n");
		return SKIP_STATUS;
	}
	xlayout_read(&o->l);
	o->seed = number("ORACLE_SEED", (uint64_t)time(NULL) * 1000003u);
	o->show = (unsigned)number("ORACLE_SHOW", 1);
	o->one = number("ORACLE_ONE", 0);
	o->single = getenv("ORACLE_ONLY") || number("ORACLE_SINGLE", 0);
	o->segments = native_segments();
	if (!o->segments)
		printf("this host runs 64-bit code only: neither 32- and 16-bit cases nor loads of segments\n");
	o->t = mmap(NULL, sizeof(*o->t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(o->t != MAP_FAILED);
	o->t->batch = number("ORACLE_BATCH", 0);
	o->t->until_ms = now_ms() + 1000 * number("ORACLE_SECONDS", 12);
	printf("ORACLE_SEED=0x%" PRIx64 "\n", o->seed);
	watch(o);
	summary(o);
#ifdef RING3_ASAN
	/* the shadow memory lies where cases reach, so the native side may differ: what counts is what the engine's memory
	 * says */
	bool clean = !o->t->crashes;
#else
	bool clean = !o->t->mismatches && !o->t->crashes;
#endif
	/* One in ten thousand is usual, some per cent if all are one odd instruction. */
	if (o->t->skipped > 10 && o->t->skipped * 4 > o->t->cases) {
		printf("oracle: too many cases had no answer of the CPU: this run proves nothing\n");
		clean = false;
	}
	munmap(o->t, sizeof(*o->t));
	free(o);
	return clean ? 0 : 1;
}
