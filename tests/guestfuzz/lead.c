// SPDX-License-Identifier: GPL-2.0-or-later
/* what: leads the guest fuzzer: a process for each case, so that a crash ends no run; and counts what was reached
 *
 * GUESTFUZZ_SEED and GUESTFUZZ_CASE make a case again, as far as real time lets it: GUESTFUZZ_TIMES repeats it.
 * README.md has the other variables. The last line of the output is the verdict.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "board/pc.h"
#include "guestfuzz.h"

#define SKIP_STATUS 77
#define FAILURES_MAX 20
#define OUTPUT_MAX 6000

struct lead {
	uint64_t seed, first, times;
	uint64_t cases, seconds, cpu; /* limits: cases, wall time, CPU time of each mode; 0: none */
	int mode;             /* enum gmode, -1: all of them in turn */
	enum engine_mode engine;
	unsigned ms, failures;
	struct tally *t;      /* of each enum gmode; shared with the children */
	int out;              /* what a child says */
};

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct lives_config case_config(const struct lead *l, uint64_t n)
{
	struct rng r = { l->seed ^ n * 0x9e3779b97f4a7c15ull };
	struct lives_config cfg = { .engine = l->engine, .ms = l->ms,
		.patience = (unsigned)number("GUESTFUZZ_PATIENCE", 1) };

	cfg.seed = rnd(&r);
	cfg.mode = (enum gmode)(l->mode >= 0 ? (unsigned)l->mode : n % M_COUNT);
	return cfg;
}

static void show_output(const struct lead *l)
{
	char text[OUTPUT_MAX + 1];
	off_t len = lseek(l->out, 0, SEEK_END), from = MAX(len - OUTPUT_MAX, 0);
	ssize_t n = pread(l->out, text, OUTPUT_MAX, from);

	text[MAX(n, 0)] = 0;
	printf("%s\n", text);
}

static void report(struct lead *l, uint64_t n, const struct lives_config *cfg, int status)
{
	l->failures++;
	show_output(l);
	printf("FAIL case %" PRIu64 ", %s: ", n, gmode_facts[cfg->mode].name);
	if (WIFSIGNALED(status))
		printf("signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		printf("status %d\n", WEXITSTATUS(status));
	printf("     again: GUESTFUZZ_SEED=0x%" PRIx64 " GUESTFUZZ_CASE=%" PRIu64, l->seed, n);
	if (l->mode >= 0)
		printf(" GUESTFUZZ_MODE=%s", gmode_facts[l->mode].name);
	printf("\n");
	fflush(stdout);
}

static noreturn void child(const struct lead *l, const struct lives_config *cfg)
{
	dup2(l->out, 2);
	dup2(l->out, 1);
	alarm(60 + 20 * cfg->patience); /* whatever else may hang */
	lives_run(cfg, &l->t[cfg->mode]);
	exit(0);
}

static void one(struct lead *l, uint64_t n)
{
	struct lives_config cfg = case_config(l, n);
	int status;
	pid_t pid;

	must(ftruncate(l->out, 0) == 0 && lseek(l->out, 0, SEEK_SET) == 0);
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (pid == 0)
		child(l, &cfg);
	must(waitpid(pid, &status, 0) == pid);
	if (status)
		report(l, n, &cfg, status);
}

static bool had_enough(const struct lead *l, unsigned mode)
{
	return l->cpu && l->t[mode].cpu_us >= l->cpu * 1000000;
}

static bool all_had_enough(const struct lead *l)
{
	for (unsigned m = 0; m < M_COUNT; m++)
		if ((l->mode < 0 || (unsigned)l->mode == m) && !had_enough(l, m))
			return false;
	return true;
}

static void run(struct lead *l)
{
	uint64_t began = now_ms();

	for (uint64_t n = l->first; l->failures < FAILURES_MAX && !all_had_enough(l); n++) {
		if (l->cases && n - l->first >= l->cases)
			break;
		if (l->seconds && now_ms() - began >= l->seconds * 1000)
			break;
		if (had_enough(l, case_config(l, n).mode))
			continue;
		for (uint64_t k = 0; k < l->times; k++)
			one(l, n);
	}
}

static void say_calls(const struct tally *t)
{
	unsigned missing = 0, seen = 0;

	printf("  never called:");
	for (unsigned k = 0; k < ops_count(); k++) {
		seen += t->calls[k] > 0;
		if (!t->calls[k] && missing++ < 100)
			printf(" %s", ops_name(k));
	}
	printf("%s\n  %u of %u helpers called\n", missing ? "" : " none", seen, ops_count());
}

static void say(const char *name, const struct tally *t)
{
	const uint64_t *n = t->count;
	const uint64_t columns[] = { t->lives, t->ends[PC_RESET], t->ends[PC_TRIPLE_FAULT], n[STAT_BLOCKS], n[STAT_INSNS],
		n[STAT_STEPS], n[STAT_EXCEPTIONS], n[STAT_INTERRUPTS] + n[STAT_NMIS], n[STAT_INVALIDATIONS],
		n[STAT_PORTS] + n[STAT_MMIO], n[STAT_MOVED], n[STAT_WINDOW_PAGES] };

	printf("%-11s %8.1f", name, (double)t->cpu_us / 1e6);
	for (unsigned k = 0; k < ARRAY_LEN(columns); k++)
		printf(" %10" PRIu64, columns[k]);
	printf("\n");
	if (getenv("GUESTFUZZ_CALLS"))
		say_calls(t);
}

static void add(struct tally *sum, const struct tally *t)
{
	uint64_t longest = MAX(sum->longest_wait_us, t->longest_wait_us);

	for (unsigned k = 0; k < sizeof(*t) / sizeof(uint64_t); k++)
		((uint64_t *)sum)[k] += ((const uint64_t *)t)[k];
	sum->longest_wait_us = longest;
}

static int summary(const struct lead *l)
{
	struct tally all = { 0 };

	printf("mode           CPU s      lives     resets     triple     blocks      insns      steps exceptions"
	       "       irqs    dropped    devices     copied    windows\n");
	for (unsigned m = 0; m < M_COUNT; m++) {
		if (l->t[m].cases)
			say(gmode_facts[m].name, &l->t[m]);
		add(&all, &l->t[m]);
	}
	say("all", &all);
	if (!getenv("GUESTFUZZ_CALLS"))
		say_calls(&all);
	printf("  the device lock was waited for %" PRIu64 " us at most\n", all.longest_wait_us);
	printf("%" PRIu64 " cases, %" PRIu64 " lives: %u failures (seed 0x%" PRIx64 ")\n", all.cases, all.lives,
	       l->failures, l->seed);
	return l->failures || !all.cases ? 1 : 0;
}

static int mode_wanted(void)
{
	const char *name = getenv("GUESTFUZZ_MODE");

	for (int m = 0; name && m < M_COUNT; m++)
		if (!strcmp(gmode_facts[m].name, name))
			return m;
	return -1;
}

static enum engine_mode engine_wanted(void)
{
	const char *name = getenv("RING3_MODE");

	if (name && !strcmp(name, "tlb"))
		return ENGINE_TLB;
	return name && !strcmp(name, "windows") ? ENGINE_WINDOWS : ENGINE_AUTOMATIC;
}

int main(void)
{
	struct lead l = {
		.seed = number("GUESTFUZZ_SEED", (uint64_t)time(NULL) * 1000003u ^ (uint64_t)getpid()),
		.first = number("GUESTFUZZ_CASE", 0),
		.seconds = number("GUESTFUZZ_SECONDS", 0),
		.cpu = number("GUESTFUZZ_CPU", 0),
		.times = number("GUESTFUZZ_TIMES", 1),
		.ms = (unsigned)number("GUESTFUZZ_MS", 300),
		.mode = mode_wanted(),
		.engine = engine_wanted(),
		.out = memfd_create("said", MFD_CLOEXEC),
	};

	l.cases = number("GUESTFUZZ_CASES", getenv("GUESTFUZZ_CASE") ? 1 : l.seconds || l.cpu ? 0 : M_COUNT);
	if (l.engine == ENGINE_WINDOWS && !pc_engine()->can(ENGINE_WINDOWS)) {
		printf("guest-fuzz: this host allows no windows: skipped\n");
		return SKIP_STATUS;
	}
	l.t = mmap(NULL, M_COUNT * sizeof(*l.t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(l.t != MAP_FAILED && l.out >= 0);
	printf("GUESTFUZZ_SEED=0x%" PRIx64 "\n", l.seed);
	run(&l);
	return summary(&l);
}
