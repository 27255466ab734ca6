// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the benchmark's guest program: runs the rows and prints `bench: NAME NANOSECONDS GROUP`.
 *
 * It is the init of an initramfs of its own, or runs natively with --native.  Each row is a child process, so that
 * one that crashes or hangs costs only itself and all start with the same small address space.  A row finds by
 * itself how often it must repeat its operation in a slice of time, and measures slices for the given time.
 *
 *   bench [--native] [--smp] [--ms 600] [--rows NAME,NAME...] [--disk FILE]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SLICE 2000000   /* nanoseconds */
#define MIN_SLICES 3
#define MAX_SLICES 500
#define ROW_LIMIT 60    /* seconds before a row is given up */

static struct {
	bool native, smp;
	uint64_t target_ns;
	const char *rows;
	const char *disk;
} options = {.target_ns = 600000000};

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void fail(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

void *pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap");
	madvise(at, size, MADV_NOHUGEPAGE);
	return at;
}

const char *scratch_file(void)
{
	return options.native ? "/dev/shm/ring3-bench" : "/tmp/ring3-bench";
}

const char *disk_file(void)
{
	return options.disk;
}

bool in_guest(void)
{
	return !options.native;
}

/* Nanoseconds that count; *wall is all that passed. */
static uint64_t timed(const struct row *row, uint64_t n, uint64_t *wall)
{
	uint64_t start = now_ns();
	uint64_t counted = row->run(n);

	*wall = now_ns() - start;
	return counted ? counted : *wall;
}

/* The better of two tries; what a call costs anyhow is left out. */
static uint64_t tried(const struct row *row, uint64_t n, uint64_t fixed)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 2; i++) {
		uint64_t wall, counted = timed(row, n, &wall);

		wall -= wall > fixed ? fixed : 0;
		counted = wall > counted ? wall : counted;
		best = counted < best ? counted : best;
	}
	return best;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * Measures in slices so short that many pass without the host running something else meanwhile, and takes the one
 * that a tenth of them beat.  A row with a costly preparation (its first call shows it) gets slices as long as that.
 */
static void run_row(const struct row *row)
{
	uint64_t fixed, took = timed(row, 1, &fixed), slice = fixed > SLICE ? fixed : SLICE, n = 1, spent = 0, wall;
	uint64_t results[MAX_SLICES];
	size_t count = 0;

	while (took < slice / 2) {
		n *= took < slice / 16 ? 8 : 2;
		took = tried(row, n, fixed);
	}
	n = (uint64_t)((double)n * (double)slice / (double)took) + 1;
	for (; count < MIN_SLICES || (count < MAX_SLICES && spent < options.target_ns); spent += wall)
		results[count++] = timed(row, n, &wall);
	qsort(results, count, sizeof(*results), ascending);
	printf("bench: %s %.3f %s\n", row->name, (double)results[count / 10] / (double)n, row->group);
}

static bool wanted(const struct row *row)
{
	size_t length = strlen(row->name);

	if (!options.rows)
		return true;
	for (const char *at = options.rows; (at = strstr(at, row->name)); at += length)
		if ((at == options.rows || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	return false;
}

static void run_isolated(const struct row *row)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		alarm(ROW_LIMIT);
		run_row(row);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(child, &status, 0) == child && status)
		printf("bench: %s failed %s\n", row->name, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
}

static void run_rows(const struct row *rows)
{
	for (const struct row *row = rows; row->name; row++)
		if (wanted(row) && (!row->usable || row->usable()))
			run_isolated(row);
}

/* The modules that the initramfs carries, in the order of their names. */
static void load_modules(void)
{
	char name[16];
	int file;

	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "/module.%02d", i);
		file = open(name, O_RDONLY);
		if (file < 0)
			continue;
		if (syscall(SYS_finit_module, file, "", 0))
			printf("# %s: %s\n", name, strerror(errno));
		close(file);
	}
}

/* What a guest's init must do; prints first, since the host takes the time of that line. */
static void start_guest(void)
{
	FILE *uptime;
	double seconds;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("bench: init\n");
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	uptime = fopen("/proc/uptime", "r");
	if (uptime && fscanf(uptime, "%lf", &seconds) == 1)
		printf("bench: boot_kernel %.0f boot\n", seconds * 1e9);
	if (uptime)
		fclose(uptime);
	load_modules();
}

static void end_guest(void)
{
	printf("bench: end\n");
	tcdrain(STDOUT_FILENO);
	reboot(RB_POWER_OFF);
}

static void parse(char **arg)
{
	for (; *arg; arg++) {
		if (!strcmp(*arg, "--native"))
			options.native = true;
		else if (!strcmp(*arg, "--smp"))
			options.smp = true;
		else if (!strcmp(*arg, "--ms") && arg[1])
			options.target_ns = strtoull(*++arg, NULL, 0) * 1000000;
		else if (!strcmp(*arg, "--rows") && arg[1])
			options.rows = *++arg;
		else if (!strcmp(*arg, "--disk") && arg[1])
			options.disk = *++arg;
	}
}

int main(int count, char **args)
{
	if (count > 1 && !strcmp(args[1], "--exit"))     /* what the exec row executes */
		_exit(0);
	parse(args + 1);
	if (!options.native)
		start_guest();
	prctl(PR_SET_TIMERSLACK, 1);
	if (options.smp) {
		run_rows(smp_rows);
	} else {
		run_rows(kernel_rows);
		run_rows(integer_rows);
		run_rows(vector_rows);
		run_rows(device_rows);
	}
	if (!options.native)
		end_guest();
	return 0;
}
