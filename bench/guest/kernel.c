// SPDX-License-Identifier: GPL-2.0-or-later
/* what: rows that measure the guest's kernel: entries, processes, signals, page faults, files. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PAGE 4096
#define CHUNK 1024              /* pages that one round of a page-fault row touches */
#define AROUND (16 * PAGE)      /* what the kernel maps around a file fault */

static uint64_t run_syscall(uint64_t n)
{
	while (n--)
		syscall(SYS_getppid);
	return 0;
}

static uint64_t run_fork(uint64_t n)
{
	while (n--) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("fork");
	}
	return 0;
}

static uint64_t run_exec(uint64_t n)
{
	char *args[] = {"bench", "--exit", NULL}, *env[] = {NULL};

	while (n--) {
		pid_t child = fork();
		int status;

		if (!child) {
			execve("/proc/self/exe", args, env);
			_exit(1);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			fail("exec");
	}
	return 0;
}

static void echo_bytes(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1)
		if (write(to, &byte, 1) != 1)
			break;
	_exit(0);
}

static uint64_t run_pipe(uint64_t n)
{
	int there[2], back[2];
	char byte = 0;
	uint64_t start;
	pid_t child;

	if (pipe(there) || pipe(back))
		fail("pipe");
	child = fork();
	if (!child) {
		close(there[1]);
		close(back[0]);
		echo_bytes(there[0], back[1]);
	}
	start = now_ns();
	while (n--)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			fail("pipe");
	start = now_ns() - start;
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
	waitpid(child, NULL, 0);
	return start;
}

static volatile uint64_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static uint64_t run_signal(uint64_t n)
{
	pid_t self = getpid();

	signals = 0;
	signal(SIGUSR1, count_signal);
	for (uint64_t i = 0; i < n; i++)
		kill(self, SIGUSR1);
	if (signals != n)
		fail("signal lost");
	return 0;
}

static volatile char *guarded;

static void open_page(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (info->si_addr != (void *)guarded || mprotect((void *)guarded, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

static uint64_t run_segv(uint64_t n)
{
	struct sigaction action = {.sa_sigaction = open_page, .sa_flags = SA_SIGINFO};

	guarded = pages(PAGE);
	*guarded = 1;
	sigaction(SIGSEGV, &action, NULL);
	while (n--) {
		mprotect((void *)guarded, PAGE, PROT_READ);
		*guarded = 2;
	}
	munmap((void *)guarded, PAGE);
	return 0;
}

static void touch(volatile char *at, uint64_t count, size_t stride)
{
	for (uint64_t i = 0; i < count; i++)
		at[i * stride] = 1;
}

static uint64_t run_fresh(uint64_t n)
{
	while (n) {
		uint64_t count = n < CHUNK ? n : CHUNK;
		char *at = pages(CHUNK * PAGE);

		touch(at, count, PAGE);
		munmap(at, CHUNK * PAGE);
		n -= count;
	}
	return 0;
}

/* A forked child writes to pages of its parent; only the writing counts. */
static uint64_t run_cow(uint64_t n)
{
	uint64_t *spent = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), total;
	char *at = pages(CHUNK * PAGE);

	if (spent == MAP_FAILED)
		fail("mmap");
	touch(at, CHUNK, PAGE);
	*spent = 1;
	while (n) {
		uint64_t count = n < CHUNK ? n : CHUNK;
		pid_t child = fork();

		if (!child) {
			uint64_t start = now_ns();

			touch(at, count, PAGE);
			*spent += now_ns() - start;
			_exit(0);
		}
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("fork");
		n -= count;
	}
	total = *spent;
	munmap(at, CHUNK * PAGE);
	munmap(spent, PAGE);
	return total;
}

/* Reads from pages of a file that is in memory, one in each piece that the kernel maps at once. */
static uint64_t run_file_fault(uint64_t n)
{
	enum { COUNT = 256 };
	int file = open(scratch_file(), O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t spent = 0, start;
	char *at;

	if (file < 0 || ftruncate(file, COUNT * AROUND))
		fail(scratch_file());
	at = mmap(NULL, COUNT * AROUND, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	touch(at, COUNT * 16, PAGE);
	while (n) {
		uint64_t count = n < COUNT ? n : COUNT;

		munmap(at, COUNT * AROUND);
		at = mmap(NULL, COUNT * AROUND, PROT_READ, MAP_SHARED, file, 0);
		start = now_ns();
		for (uint64_t i = 0; i < count; i++)
			keep(((volatile char *)at)[i * AROUND]);
		spent += now_ns() - start;
		n -= count;
	}
	munmap(at, COUNT * AROUND);
	close(file);
	unlink(scratch_file());
	return spent;
}

static uint64_t run_mmap(uint64_t n)
{
	while (n--) {
		void *at = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED || munmap(at, 16 * PAGE))
			fail("mmap");
	}
	return 0;
}

static uint64_t run_create(uint64_t n)
{
	char data[1024] = "";

	while (n--) {
		int file = open(scratch_file(), O_RDWR | O_CREAT | O_TRUNC, 0600);

		if (file < 0 || write(file, data, sizeof(data)) != sizeof(data) || close(file) || unlink(scratch_file()))
			fail(scratch_file());
	}
	return 0;
}

const struct row kernel_rows[] = {
	{"syscall", "kernel", run_syscall, NULL},
	{"fork_wait", "kernel", run_fork, NULL},
	{"fork_exec", "kernel", run_exec, NULL},
	{"pipe_round_trip", "kernel", run_pipe, NULL},
	{"signal", "kernel", run_signal, NULL},
	{"segv_mprotect", "kernel", run_segv, NULL},
	{"fault_fresh", "kernel", run_fresh, NULL},
	{"fault_cow", "kernel", run_cow, NULL},
	{"fault_file", "kernel", run_file_fault, NULL},
	{"mmap_munmap", "kernel", run_mmap, NULL},
	{"create_unlink", "kernel", run_create, NULL},
	{0},
};
