// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of pages that hold translated code (mem/coherence.h): members on threads of their own */
#include "unit.h"

#include <pthread.h>

#include "mem/coherence.h"

#define MEMBERS 3u
#define RAM (1u << 20)
#define PAGES (RAM / 4096)
#define ROUNDS 20000u

static struct loop *loop;
static struct mem *mem;

/* A member as a vCPU is one: rights to pages that it gives itself and uses, an instruction boundary now and then. */
struct actor {
	struct mem_member m;
	bool right[PAGES];      /* may_write() */
	uint32_t called, stop;
	uint64_t withdrawn;
	pthread_t thread;
};
static struct actor actor[MEMBERS];

static void call(void *opaque)
{
	struct actor *a = opaque;

	__atomic_store_n(&a->called, 1, __ATOMIC_SEQ_CST);
}

static bool may_write(void *opaque, uint64_t off)
{
	struct actor *a = opaque;

	return __atomic_load_n(&a->right[off / 4096], __ATOMIC_SEQ_CST);
}

static void withdraw(void *opaque, uint64_t off)
{
	struct actor *a = opaque;

	a->withdrawn++;
	for (unsigned k = 0; k < PAGES; k++)
		if (off == UINT64_MAX || k == off / 4096)
			__atomic_store_n(&a->right[k], false, __ATOMIC_SEQ_CST);
}

static int setup(void **state)
{
	struct err err;

	loop = loop_new_stepped();
	mem = mem_new(loop, RAM, RAM, &err);
	memset(actor, 0, sizeof(actor));
	for (unsigned k = 0; k < MEMBERS; k++) {
		actor[k].m = (struct mem_member){ .opaque = &actor[k], .call = call, .may_write = may_write,
			.withdraw = withdraw };
		mem_join(mem, &actor[k].m);
	}
	return !mem;
}

static int teardown(void **state)
{
	mem_free(mem);
	loop_free(loop);
	return 0;
}

/* Who is away is not waited for, and answers before he goes on. */
static void away(void **state)
{
	struct actor *a = &actor[0], *b = &actor[1];

	mem_member_back(&a->m);
	b->right[5] = true;
	mem_code_hold(mem, &a->m, 5 * 4096);
	assert_int_equal(mem_code_map(mem)[5], 1);
	assert_true(b->right[5] && b->called);
	mem_member_back(&b->m);
	assert_false(b->right[5]);
	assert_int_equal(b->withdrawn, 1);
	assert_int_equal(actor[2].withdrawn, 0); /* never had it */
	mem_code_release(mem, 5 * 4096);
	assert_int_equal(mem_code_map(mem)[5], 0);
}

/* More questions than there is room for: all rights go. */
static void many(void **state)
{
	struct actor *a = &actor[0], *b = &actor[1];

	mem_member_back(&a->m);
	for (unsigned k = 0; k < PAGES; k++)
		b->right[k] = true;
	for (unsigned k = 0; k <= MEM_TOLD_MAX; k++)
		mem_code_hold(mem, &a->m, k * 4096ull);
	mem_member_back(&b->m);
	assert_false(b->right[PAGES - 1]);
}

/* What devices write is told once, to whoever asks; too much of it is everything. */
static void told(void **state)
{
	struct mem_told out[MEM_TOLD_MAX];

	mem_code_tell(mem, 4096, 16);
	assert_true(actor[0].called && actor[1].called && actor[2].called);
	assert_int_equal(mem_code_told(mem, out), 1);
	assert_int_equal(out[0].off, 4096);
	assert_int_equal(out[0].len, 16);
	assert_int_equal(mem_code_told(mem, out), 0);
	for (unsigned k = 0; k <= MEM_TOLD_MAX; k++)
		mem_code_tell(mem, k, 1);
	assert_int_equal(mem_code_told(mem, out), MEM_TOLD_MAX);
	assert_true(out[0].len == UINT64_MAX);
}

#define BUSY 4u /* pages that all are at */

/* Writes as a vCPU does: by a right that it has, or takes; first it is known, then the mark is looked at. */
static void *writer(void *opaque)
{
	struct actor *a = opaque;
	unsigned k = 0;

	mem_member_back(&a->m);
	while (!__atomic_load_n(&a->stop, __ATOMIC_SEQ_CST)) {
		k = (k + 1) % BUSY;
		if (!a->right[k]) {
			__atomic_store_n(&a->right[k], true, __ATOMIC_SEQ_CST);
			if (__atomic_load_n(&mem_code_map(mem)[k], __ATOMIC_SEQ_CST))
				__atomic_store_n(&a->right[k], false, __ATOMIC_SEQ_CST);
		}
		if (a->right[k])
			__atomic_fetch_add((uint32_t *)(void *)(mem_ram_base(mem) + k * 4096), 1, __ATOMIC_SEQ_CST);
		if (__atomic_exchange_n(&a->called, 0, __ATOMIC_SEQ_CST))
			mem_member_answer(&a->m);
	}
	mem_member_away(&a->m);
	return NULL;
}

/* Rules C1 and C2: once mem_code_hold() has returned nobody writes to the page any more until it is released. */
static void hold(void **state)
{
	for (unsigned k = 1; k < MEMBERS; k++)
		assert_int_equal(pthread_create(&actor[k].thread, NULL, writer, &actor[k]), 0);
	mem_member_back(&actor[0].m);
	for (unsigned n = 0; n < ROUNDS; n++) {
		uint64_t off = n % BUSY * 4096;
		volatile uint32_t *word = (uint32_t *)(void *)(mem_ram_base(mem) + off), seen;

		mem_code_hold(mem, &actor[0].m, off);
		seen = *word;
		for (unsigned k = 0; k < 50; k++)
			__builtin_ia32_pause();
		assert_int_equal(*word, seen);
		mem_code_release(mem, off);
	}
	for (unsigned k = 1; k < MEMBERS; k++) {
		__atomic_store_n(&actor[k].stop, 1, __ATOMIC_SEQ_CST);
		pthread_join(actor[k].thread, NULL);
	}
}

static uint64_t plain[2]; /* no atomic operation on these: who is alone needs none */

static void *loner(void *opaque)
{
	struct actor *a = opaque;

	mem_member_back(&a->m);
	for (unsigned n = 0; n < ROUNDS / 20; n++) {
		mem_alone_begin(&a->m);
		plain[0]++;
		plain[1] = plain[0];
		mem_alone_end(&a->m);
		mem_member_answer(&a->m);
	}
	mem_member_away(&a->m);
	return NULL;
}

/* Rule C6. */
static void alone(void **state)
{
	plain[0] = plain[1] = 0;
	for (unsigned k = 0; k < MEMBERS; k++)
		assert_int_equal(pthread_create(&actor[k].thread, NULL, loner, &actor[k]), 0);
	for (unsigned k = 0; k < MEMBERS; k++)
		pthread_join(actor[k].thread, NULL);
	assert_int_equal(plain[0], MEMBERS * (ROUNDS / 20));
	assert_int_equal(plain[1], plain[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(away, setup, teardown), cmocka_unit_test_setup_teardown(many, setup, teardown),
		cmocka_unit_test_setup_teardown(told, setup, teardown), cmocka_unit_test_setup_teardown(hold, setup, teardown),
		cmocka_unit_test_setup_teardown(alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
