// SPDX-License-Identifier: GPL-2.0-or-later
/* what: rows of plain user code: calls, jumps, integer arithmetic, memory. */
#include <emmintrin.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

static __attribute__((noinline)) uint32_t fib(uint32_t n)
{
	__asm__("" : "+r"(n));          /* or the compiler turns the recursion into loops */
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t run_fib(uint64_t n)
{
	while (n--)
		keep(fib(20));
	return 0;
}

#define STEP(name, expression) \
	static uint32_t name(uint32_t x) \
	{ \
		return expression; \
	}
STEP(step0, x + 1)
STEP(step1, x ^ 0x5555)
STEP(step2, x * 3)
STEP(step3, x - 7)
STEP(step4, x << 1)
STEP(step5, x >> 1)
STEP(step6, ~x)
STEP(step7, x | 1)

static uint32_t (*volatile const steps[8])(uint32_t) = {step0, step1, step2, step3, step4, step5, step6, step7};

static uint64_t run_indirect(uint64_t n)
{
	static uint32_t seed = 1;       /* goes on in the next slice, or the host would learn the sequence */
	uint32_t value = 0;

	while (n--)
		value = steps[next_random(&seed) & 7](value);
	keep(value);
	return 0;
}

/* A stack machine that sums i * i % 7 for i = 1000 ... 1. */
enum op { OP_PUSH, OP_LOAD, OP_STORE, OP_ADD, OP_SUB, OP_MUL, OP_MOD, OP_LOOP, OP_END };

static const uint8_t program[] = {
	OP_PUSH, 250, OP_PUSH, 4, OP_MUL, OP_STORE, 0,
	OP_LOAD, 0, OP_LOAD, 0, OP_MUL, OP_PUSH, 7, OP_MOD, OP_LOAD, 1, OP_ADD, OP_STORE, 1,
	OP_LOAD, 0, OP_PUSH, 1, OP_SUB, OP_STORE, 0, OP_LOOP, 7, OP_END,
};

static uint32_t interpret(const uint8_t *code)
{
	uint32_t stack[16], variables[2] = {0}, *top = stack;

	for (const uint8_t *at = code;;) {
		switch (*at++) {
		case OP_PUSH: *top++ = *at++; break;
		case OP_LOAD: *top++ = variables[*at++]; break;
		case OP_STORE: variables[*at++] = *--top; break;
		case OP_ADD: top--; top[-1] += top[0]; break;
		case OP_SUB: top--; top[-1] -= top[0]; break;
		case OP_MUL: top--; top[-1] *= top[0]; break;
		case OP_MOD: top--; top[-1] %= top[0]; break;
		case OP_LOOP: at = variables[0] ? code + *at : at + 1; break;
		default: return variables[1];
		}
	}
}

static uint64_t run_interpreter(uint64_t n)
{
	const uint8_t *volatile code = program;

	while (n--)
		keep(interpret(code));
	return 0;
}

/* FIPS 180-4, 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static void sha256_constants(uint32_t *constants)
{
	for (uint32_t number = 2, found = 0; found < 64; number++) {
		uint32_t divisor = 2;

		while (number % divisor)
			divisor++;
		if (divisor == number)
			constants[found++] = (uint32_t)(uint64_t)(cbrt(number) * 4294967296.0);
	}
}

static uint32_t rotated(uint32_t x, int by)
{
	return x >> by | x << (32 - by);
}

/* FIPS 180-4, 6.2.2. */
static void sha256_block(uint32_t *state, const uint32_t *data, const uint32_t *constants)
{
	uint32_t w[64], v[8];

	memcpy(w, data, 64);
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + (rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
		       (rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(v, state, sizeof(v));
	for (int i = 0; i < 64; i++) {
		uint32_t a = v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) +
			     ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
		uint32_t b = (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) +
			     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(*v));
		v[4] += a;
		v[0] = a + b;
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

static uint64_t run_sha256(uint64_t n)
{
	uint32_t constants[64], state[8] = {0}, data[256] = {1};

	sha256_constants(constants);
	while (n--)
		for (int i = 0; i < 256; i += 16)
			sha256_block(state, data + i, constants);
	keep(state[0]);
	return 0;
}

static uint64_t run_crc32(uint64_t n)
{
	static uint32_t table[256];
	static uint8_t data[4096];
	uint32_t crc = ~0u, seed = 1;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)next_random(&seed);
	while (n--)
		for (size_t i = 0; i < sizeof(data); i++)
			crc = crc >> 8 ^ table[(crc ^ data[i]) & 255];
	keep(crc);
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void sort(uint32_t *at, size_t count, int (*order)(const void *, const void *))
{
	while (count > 1) {
		uint32_t pivot = at[count / 2];
		size_t low = 0, high = count - 1;

		for (;; low++, high--) {
			while (order(at + low, &pivot) < 0)
				low++;
			while (order(at + high, &pivot) > 0)
				high--;
			if (low >= high)
				break;
			uint32_t held = at[low];

			at[low] = at[high];
			at[high] = held;
		}
		sort(at, high + 1 < count ? high + 1 : high, order);
		at += high + 1;
		count -= high + 1 < count ? high + 1 : count;
	}
}

static uint64_t run_sort(uint64_t n)
{
	static uint32_t data[10000];
	int (*volatile order)(const void *, const void *) = compare;
	uint32_t seed = 1;

	while (n--) {
		for (size_t i = 0; i < 10000; i++)
			data[i] = next_random(&seed);
		sort(data, 10000, order);
	}
	keep(data[0]);
	return 0;
}

struct node {
	struct node *child[2];
	uint32_t key;
};

#define NODES 65536

static uint64_t run_tree(uint64_t n)
{
	static struct node nodes[NODES];
	static uint32_t wanted = 1;     /* goes on in the next slice */
	uint32_t seed = 1, found = 0;
	uint64_t start;

	memset(nodes, 0, sizeof(nodes));
	for (size_t i = 0; i < NODES; i++) {
		struct node **place = &(struct node *){nodes};

		nodes[i].key = next_random(&seed);
		while (i && *place)
			place = &(*place)->child[nodes[i].key > (*place)->key];
		if (i)
			*place = nodes + i;
	}
	start = now_ns();
	while (n--) {
		uint32_t key = next_random(&wanted);

		for (const struct node *at = nodes; at; at = at->child[key > at->key])
			found += at->key == key;
	}
	keep(found);
	return now_ns() - start;
}

static uint64_t run_hash(uint64_t n)
{
	static struct node *heads[NODES], nodes[NODES];
	static uint32_t wanted = 1;     /* goes on in the next slice */
	uint32_t seed = 1, found = 0;
	uint64_t start;

	memset(heads, 0, sizeof(heads));
	for (size_t i = 0; i < NODES; i++) {
		uint32_t key = next_random(&seed);
		struct node **head = &heads[key * 2654435761u >> 16];

		nodes[i] = (struct node){{*head, NULL}, key};
		*head = nodes + i;
	}
	start = now_ns();
	while (n--) {
		uint32_t key = next_random(&wanted);

		for (const struct node *at = heads[key * 2654435761u >> 16]; at; at = at->child[0])
			found += at->key == key;
	}
	keep(found);
	return now_ns() - start;
}

/* Follows a random cycle through count cache lines. */
static uint64_t chase(uint64_t n, size_t count)
{
	struct line {
		struct line *next;
		char rest[64 - sizeof(void *)];
	} *lines = pages(count * 64), *at = lines;
	uint32_t seed = 1;
	uint64_t start;

	for (size_t i = 0; i < count; i++)
		lines[i].next = lines + i;
	for (size_t i = count - 1; i; i--) {            /* Sattolo's shuffle: one cycle through all */
		size_t other = next_random(&seed) % i;
		struct line *held = lines[i].next;

		lines[i].next = lines[other].next;
		lines[other].next = held;
	}
	start = now_ns();
	while (n--)
		at = at->next;
	keep(at);
	start = now_ns() - start;
	munmap(lines, count * 64);
	return start;
}

static uint64_t run_chase_cache(uint64_t n)
{
	return chase(n, 256);
}

static uint64_t run_chase_memory(uint64_t n)
{
	return chase(n, 1 << 20);
}

static uint64_t run_sieve(uint64_t n)
{
	enum { LIMIT = 20000000 };
	uint8_t *composite = pages(LIMIT);

	while (n--) {
		memset(composite, 0, LIMIT);
		for (size_t i = 2; i * i < LIMIT; i++)
			if (!composite[i])
				for (size_t j = i * i; j < LIMIT; j += i)
					composite[j] = 1;
		keep(composite[LIMIT - 1]);
	}
	munmap(composite, LIMIT);
	return 0;
}

/* Another page at each step, more of them than any table of translations holds. */
static uint64_t run_stride(uint64_t n)
{
	enum { SIZE = 112 << 20, STEP = 4096 + 64 };
	uint8_t *bytes = pages(SIZE);
	uint64_t start;

	memset(bytes, 1, SIZE);
	start = now_ns();
	while (n--)
		for (size_t i = 0; i < SIZE; i += STEP)
			bytes[i]++;
	start = now_ns() - start;
	keep(bytes[STEP]);
	munmap(bytes, SIZE);
	return start;
}

/* Our own copy loop: the C library's depends on the CPU, and the machines' CPUs differ. */
static uint64_t copy(uint64_t n, size_t size)
{
	char *from = pages(size), *to = pages(size);
	uint64_t start;

	memset(from, 1, size);
	memset(to, 1, size);
	start = now_ns();
	while (n--)
		for (size_t i = 0; i < size; i += 64) {
			const __m128i *source = (const __m128i *)(from + i);
			__m128i *target = (__m128i *)(to + i);
			__m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
			__m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);

			_mm_storeu_si128(target, a);
			_mm_storeu_si128(target + 1, b);
			_mm_storeu_si128(target + 2, c);
			_mm_storeu_si128(target + 3, d);
			keep(target);
		}
	start = now_ns() - start;
	munmap(from, size);
	munmap(to, size);
	return start;
}

static uint64_t run_copy_4k(uint64_t n)
{
	return copy(n, 4 << 10);
}

static uint64_t run_copy_256k(uint64_t n)
{
	return copy(n, 256 << 10);
}

static uint64_t run_copy_64m(uint64_t n)
{
	return copy(n, 64 << 20);
}

const struct row integer_rows[] = {
	{"fib", "integer", run_fib, NULL},
	{"call_indirect", "integer", run_indirect, NULL},
	{"interpreter", "integer", run_interpreter, NULL},
	{"sha256", "integer", run_sha256, NULL},
	{"crc32", "integer", run_crc32, NULL},
	{"sort_callback", "integer", run_sort, NULL},
	{"tree_search", "integer", run_tree, NULL},
	{"hash_table", "integer", run_hash, NULL},
	{"chase_cache", "integer", run_chase_cache, NULL},
	{"chase_memory", "integer", run_chase_memory, NULL},
	{"sieve_20m", "integer", run_sieve, NULL},
	{"stride_112m", "integer", run_stride, NULL},
	{"copy_4k", "integer", run_copy_4k, NULL},
	{"copy_256k", "integer", run_copy_256k, NULL},
	{"copy_64m", "integer", run_copy_64m, NULL},
	{0},
};
