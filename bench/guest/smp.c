// SPDX-License-Identifier: GPL-2.0-or-later
/* what: rows for two CPUs: work shared out, and what one says to the other.
 *
 * Each row is pinned: the caller to CPU 0, its partner, a thread or a process, to CPU 1.  `smp_work_one` does the work
 * of `smp_work_two` on one CPU, `smp_faults_one` that of the two behind it.
 */
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define AREA (4u << 20)

static bool two_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

/* --- a partner --- */

struct partner {
	void (*work)(uint64_t n);
	uint64_t n;
	volatile uint32_t *go;  /* 1: begin */
	volatile uint32_t ready;
};

static void spin_until(const volatile uint32_t *word, uint32_t value)
{
	while (*word != value)
		__builtin_ia32_pause();
}

static void *partner_main(void *arg)
{
	struct partner *p = arg;

	pin(1);
	p->ready = 1;
	spin_until(p->go, 1);
	p->work(p->n);
	return NULL;
}

/* Both do n times work, at the same time; the time from beginning to end. */
static uint64_t with_thread(void (*work)(uint64_t n), uint64_t n)
{
	volatile uint32_t go = 0;
	struct partner p = {.work = work, .n = n, .go = &go};
	pthread_t thread;
	uint64_t start;

	pin(0);
	if (pthread_create(&thread, NULL, partner_main, &p))
		fail("pthread_create");
	spin_until(&p.ready, 1);
	start = now_ns();
	go = 1;
	work(n);
	pthread_join(thread, NULL);
	return now_ns() - start;
}

static uint64_t with_process(void (*work)(uint64_t n), uint64_t n)
{
	volatile uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t start;
	pid_t child;

	if (shared == MAP_FAILED)
		fail("mmap");
	pin(0);
	child = fork();
	if (!child) {
		pin(1);
		shared[0] = 1;
		spin_until(&shared[1], 1);
		work(n);
		_exit(0);
	}
	spin_until(&shared[0], 1);
	start = now_ns();
	shared[1] = 1;
	work(n);
	waitpid(child, NULL, 0);
	start = now_ns() - start;
	munmap((void *)shared, 4096);
	return start;
}

/* --- what they do --- */

static void compute(uint64_t n)
{
	uint32_t seed = 1, table[256] = {0};

	while (n--)
		for (int i = 0; i < 1000; i++)
			table[seed & 255] += next_random(&seed);
	keep(table[3]);
}

static uint64_t run_work_one(uint64_t n)
{
	pin(0);
	compute(2 * n);
	return 0;
}

static uint64_t run_work_two(uint64_t n)
{
	return with_process(compute, n);
}

static void fresh(uint64_t n)
{
	while (n) {
		char *area = pages(AREA);

		for (unsigned i = 0; i < AREA && n; i += 4096, n--)
			area[i] = 1;
		munmap(area, AREA);
	}
}

static uint64_t run_fresh_one(uint64_t n)
{
	pin(0);
	fresh(2 * n);
	return 0;
}

static uint64_t run_fresh_threads(uint64_t n)
{
	return with_thread(fresh, n);
}

static uint64_t run_fresh_processes(uint64_t n)
{
	return with_process(fresh, n);
}

static void fork_wait(uint64_t n)
{
	while (n--) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
}

static uint64_t run_fork(uint64_t n)
{
	return with_process(fork_wait, n);
}

/* With another thread of the address space on the other CPU each munmap has to tell that one. */
static void map_unmap(uint64_t n)
{
	while (n--) {
		char *area = pages(4 * 4096);

		area[0] = area[4096] = 1;
		munmap(area, 4 * 4096);
	}
}

static uint64_t run_mmap(uint64_t n)
{
	return with_thread(map_unmap, n);
}

static uint64_t run_pipe_between(uint64_t n)
{
	int there[2], back[2];
	char byte = 0;
	uint64_t start;
	pid_t child;

	pin(0);
	if (pipe(there) || pipe(back))
		fail("pipe");
	child = fork();
	if (!child) {
		pin(1);
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				break;
		_exit(0);
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

/* Each sleeps until the other wakes it: the futex's wake natively, in a guest an interrupt to a CPU in HLT besides. */
static uint32_t turn_of;

static void wait_turn(uint32_t mine)
{
	uint32_t seen;

	while ((seen = __atomic_load_n(&turn_of, __ATOMIC_SEQ_CST)) != mine)
		syscall(SYS_futex, &turn_of, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void pass_turn(uint32_t to)
{
	__atomic_store_n(&turn_of, to, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &turn_of, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answerer(void *count)
{
	uint64_t n = *(uint64_t *)count;

	pin(1);
	while (n--) {
		wait_turn(1);
		pass_turn(0);
	}
	return NULL;
}

static uint64_t run_wake(uint64_t n)
{
	pthread_t thread;
	uint64_t start;

	pin(0);
	turn_of = 0;
	if (pthread_create(&thread, NULL, answerer, &n))
		fail("pthread_create");
	start = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		pass_turn(1);
		wait_turn(0);
	}
	start = now_ns() - start;
	pthread_join(thread, NULL);
	return start;
}

/* An interrupt between CPUs: the barrier makes every CPU that runs the process take one, and waits for it. */
static volatile uint32_t stop_spinning;

static void *spinner(void *ready)
{
	pin(1);
	*(volatile uint32_t *)ready = 1;
	spin_until(&stop_spinning, 1);
	return NULL;
}

static uint64_t run_ipi(uint64_t n)
{
	volatile uint32_t ready = 0;
	pthread_t thread;
	uint64_t start;

	pin(0);
	stop_spinning = 0;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		fail("membarrier");
	if (pthread_create(&thread, NULL, spinner, (void *)&ready))
		fail("pthread_create");
	spin_until(&ready, 1);
	start = now_ns();
	while (n--)
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	start = now_ns() - start;
	stop_spinning = 1;
	pthread_join(thread, NULL);
	return start;
}

/* A word that goes back and forth, without the kernel. */
static volatile uint32_t ball;

static void *returner(void *count)
{
	uint64_t n = *(uint64_t *)count;

	pin(1);
	for (uint64_t i = 0; i < n; i++) {
		spin_until(&ball, (uint32_t)(2 * i + 1));
		ball = (uint32_t)(2 * i + 2);
	}
	return NULL;
}

static uint64_t run_line(uint64_t n)
{
	pthread_t thread;
	uint64_t start = 0;

	pin(0);
	ball = 0;
	if (pthread_create(&thread, NULL, returner, &n))
		fail("pthread_create");
	for (uint64_t i = 0; i < n; i++) {
		ball = (uint32_t)(2 * i + 1);
		spin_until(&ball, (uint32_t)(2 * i + 2));
		if (!i)
			start = now_ns(); /* the first one waits for the thread to begin */
	}
	start = now_ns() - start;
	pthread_join(thread, NULL);
	return start ? start : 1;
}

static uint64_t run_locked(uint64_t n)
{
	static volatile uint64_t counter;
	volatile uint32_t ready = 0;
	pthread_t thread;
	uint64_t start;

	pin(0);
	stop_spinning = 0;
	if (pthread_create(&thread, NULL, spinner, (void *)&ready))
		fail("pthread_create");
	spin_until(&ready, 1);
	start = now_ns();
	while (n--)
		__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
	start = now_ns() - start;
	stop_spinning = 1;
	pthread_join(thread, NULL);
	return start;
}

const struct row smp_rows[] = {
	{"smp_work_one", "smp", run_work_one, two_cpus},
	{"smp_work_two", "smp", run_work_two, two_cpus},
	{"smp_line", "smp", run_line, two_cpus},
	{"smp_locked", "smp", run_locked, two_cpus},
	{"smp_pipe", "smp", run_pipe_between, two_cpus},
	{"smp_wake", "smp", run_wake, two_cpus},
	{"smp_ipi", "smp", run_ipi, two_cpus},
	{"smp_fork", "smp", run_fork, two_cpus},
	{"smp_mmap", "smp", run_mmap, two_cpus},
	{"smp_faults_one", "smp", run_fresh_one, two_cpus},
	{"smp_faults_threads", "smp", run_fresh_threads, two_cpus},
	{"smp_faults_processes", "smp", run_fresh_processes, two_cpus},
	{0},
};
