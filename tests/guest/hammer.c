// SPDX-License-Identifier: GPL-2.0-or-later
/* what: two threads on two CPUs of a guest hammer on shared memory: LOCK wherever the operand lies, patched code
 *
 * Prints `hammer: NAME right` or what is wrong, and `hammer: end`. Runs natively as well.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static unsigned rounds = 200000;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

struct job {
	void (*work)(void *at, unsigned me);
	void *at;
	unsigned me;
	pthread_barrier_t *together;
};

static void *run(void *arg)
{
	struct job *j = arg;

	pin((int)j->me);
	pthread_barrier_wait(j->together);
	j->work(j->at, j->me);
	return NULL;
}

static void both(void (*work)(void *at, unsigned me), void *at)
{
	pthread_barrier_t together;
	struct job job[2];
	pthread_t thread[2];

	pthread_barrier_init(&together, NULL, 2);
	for (unsigned k = 0; k < 2; k++) {
		job[k] = (struct job){work, at, k, &together};
		pthread_create(&thread[k], NULL, run, &job[k]);
	}
	for (unsigned k = 0; k < 2; k++)
		pthread_join(thread[k], NULL);
}

static void say(const char *name, const char *where, unsigned long long found, unsigned long long wanted)
{
	if (found == wanted)
		printf("hammer: %s%s right\n", name, where);
	else
		printf("hammer: %s%s WRONG: %llu instead of %llu\n", name, where, found, wanted);
	fflush(stdout);
}

/* --- LOCK; `at` may be anywhere, also on a page with code that runs --- */

static int (*called)(void); /* on the page of the operand, or NULL */
static volatile int sum;

static void add(void *at, unsigned me)
{
	for (unsigned n = 0; n < rounds; n++) {
		__asm__ volatile("lock addl $1, (%0)" : : "r"(at) : "memory", "cc");
		if (called)
			sum += called();
	}
}

static void exchange_add(void *at, unsigned me)
{
	for (unsigned n = 0; n < rounds; n++) {
		uint32_t one = 1;

		__asm__ volatile("lock xaddl %0, (%1)" : "+r"(one) : "r"(at) : "memory", "cc");
	}
}

static void compare(void *at, unsigned me)
{
	for (unsigned n = 0; n < rounds; n++) {
		uint32_t old, seen = 0;

		do {
			old = seen;
			__asm__ volatile("lock cmpxchgl %2, (%1)" : "+a"(seen) : "r"(at), "r"(old + 1) : "memory", "cc");
		} while (seen != old);
	}
}

/* A lock by XCHG in the first four bytes, a plain count in the next. */
static void spin(void *at, unsigned me)
{
	for (unsigned n = 0; n < rounds; n++) {
		uint32_t taken;

		do {
			taken = 1;
			__asm__ volatile("xchgl %0, (%1)" : "+r"(taken) : "r"(at) : "memory");
			if (taken)
				__asm__ volatile("pause");
		} while (taken);
		__asm__ volatile("addl $1, 4(%0)" : : "r"(at) : "memory", "cc");
		__asm__ volatile("movl $0, (%0)" : : "r"(at) : "memory");
	}
}

static uint32_t word_at(const void *at)
{
	uint32_t v;

	memcpy(&v, at, 4);
	return v;
}

static void locks(const char *where, uint8_t *at)
{
	static const struct { const char *name; void (*work)(void *at, unsigned me); unsigned count; } rows[] = {
		{"add", add, 0}, {"xadd", exchange_add, 0}, {"cmpxchg", compare, 0}, {"xchg", spin, 4},
	};

	for (unsigned k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		memset(at, 0, 8);
		both(rows[k].work, at);
		say(rows[k].name, where, word_at(at + rows[k].count), 2ull * rounds);
	}
}

/* --- orders: SDM vol 3 8.2.3 --- */

static struct { volatile uint32_t x; char pad[60]; volatile uint32_t y; char pad2[60]; } shared;
static volatile uint32_t seen[2];
static pthread_barrier_t turn;
static unsigned forbidden, relaxed;
static int fenced;

static void store_buffers(void *at, unsigned me)
{
	for (unsigned n = 0; n < rounds / 20; n++) {
		uint32_t r;

		pthread_barrier_wait(&turn);
		*(me ? &shared.y : &shared.x) = 1;
		if (fenced)
			__asm__ volatile("mfence" ::: "memory");
		r = *(me ? &shared.x : &shared.y);
		seen[me] = r;
		pthread_barrier_wait(&turn);
		if (!me) {
			relaxed += !seen[0] && !seen[1];
			shared.x = shared.y = 0;
		}
	}
}

static void messages(void *at, unsigned me)
{
	for (uint32_t n = 1; n <= rounds; n++) {
		if (!me) {
			shared.x = n;
			shared.y = n;
		} else {
			uint32_t flag = shared.y, data = shared.x;

			forbidden += data < flag;
		}
	}
}

/* --- code that another CPU patches: SDM vol 3 8.1.3, with a serializing instruction on this side --- */

static uint8_t *code;
static volatile uint32_t version;

static void patch(void *at, unsigned me)
{
	for (uint32_t n = 1; !me && n <= rounds / 20; n++) {
		*(volatile uint32_t *)(void *)(code + 4) = n; /* aligned: three bytes of NOP, B8 and the number */
		version = n;
	}
	while (me && version < rounds / 20) {
		uint32_t before = version, a = 0, b, c = 0, d;
		int got;

		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
		got = ((int (*)(void))(void *)code)();
		forbidden += (uint32_t)got < before;
	}
}

int main(int argc, char **argv)
{
	static const uint8_t function[] = {0x0f, 0x1f, 0x00, 0xb8, 0, 0, 0, 0, 0xc3};
	uint8_t *area = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 0);
	locks("", area);
	locks(" across lines", area + 62);
	rounds /= 20;
	locks(" across pages", area + 4094);
	memcpy(area + 2 * 4096, function, sizeof(function));
	called = (int (*)(void))(void *)(area + 2 * 4096);
	locks(" on a page with code", area + 2 * 4096 + 2048);
	rounds *= 20;
	called = NULL;
	pthread_barrier_init(&turn, NULL, 2);
	for (fenced = 1; fenced >= 0; fenced--) {
		relaxed = 0;
		both(store_buffers, NULL);
		if (fenced)
			say("store buffers", " with fences", relaxed, 0);
		else
			printf("hammer: store buffers without fences %u relaxed\n", relaxed);
	}
	forbidden = 0;
	shared.x = shared.y = 0;
	both(messages, NULL);
	say("messages", "", forbidden, 0);
	code = area + 3 * 4096;
	memcpy(code, function, sizeof(function));
	both(patch, NULL);
	say("patched code", "", forbidden, 0);
	printf("hammer: end\n");
	return 0;
}
