// SPDX-License-Identifier: GPL-2.0-or-later
/* what: blocks that are copied to another address against translations made there
 *
 * Rule guarded: xlate/move.c gives the bytes, exits and maps that a translation of the same code at the same address
 * gives. For random cases of the oracle: translated at one address, its jumps chained; copied to another; that undone,
 * and translated in its place.
 *
 *   ORACLE_SEED=n  start of the random numbers (printed)       MOVED_CASES=n  how many, default 20000 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "moved.h"
#include "oracle.h"

struct moved {
	struct engine *eng;
	struct ocase c;
	uint8_t image[IMAGE_SIZE];
	uint32_t cases, how[MOVED_HOWS];
};

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);
	return v && *v ? strtoull(v, NULL, 0) : otherwise;
}

/* Few random instructions are CALLs, and most blocks end in a jump or a CALL. */
static void end_in_jump(struct rng *r, struct ocase *c)
{
	if (c->len + 5 > sizeof(c->code) || c->off + c->len + 5 > CODE_SIZE)
		return;
	c->code[c->len] = chance(r, 50) ? 0xe8 : 0xe9;
	put_le32(c->code + c->len + 1, below(r, chance(r, 50) ? 8192 : UINT32_MAX) - 4096);
	c->len += 5;
}

static void one(struct moved *m, unsigned gate)
{
	const char *what = NULL;
	bool code64 = omode64(m->c.mode);
	struct xlate *x = engine_load(m->eng, &m->c, m->image, code64 ? ENGINE_AGAIN : 0);
	enum moved_how how = moved_try(x, code64 ? ENGINE_FURTHER : ENGINE_FURTHER32, gate, &what);
	m->cases++;
	m->how[how]++;
	if (how != MOVED_DIFFERS)
		return;
	printf("DIFFERS %s, case %" PRIu32 " at offset %#" PRIx32 ": guest code", what, m->cases, m->c.off);
	for (uint32_t k = 0; k < m->c.len; k++)
		printf(" %02x", m->c.code[k]);
	printf("\n");
	moved_print();
}

int main(void)
{
	struct moved *m = aligned_alloc(64, (sizeof(*m) + 63) & ~63ul);
	struct xlayout l;
	uint64_t seed = number("ORACLE_SEED", (uint64_t)time(NULL) * 1000003u), cases = number("MOVED_CASES", 20000);
	struct rng r = { .s = seed };
	must(m);
	memset(m, 0, sizeof(*m));
	xlayout_read(&l);
	struct gen *g = gen_new(&l, NULL, true);
	gen_seek(g, &r);
	m->eng = engine_new(&l);
	engine_map_again(m->eng);
	printf("ORACLE_SEED=%#" PRIx64 "\n", seed);
	while (m->cases < cases && m->how[MOVED_DIFFERS] < 10) {
		if (m->cases % 64 == 0)
			gen_image(&r, m->image);
		gen_case(g, &r, m->image, 1 + below(&r, ORACLE_INSNS), &m->c);
		end_in_jump(&r, &m->c);
		if ((m->c.mode == O64 || m->c.mode == O32) && m->c.n)
			one(m, below(&r, 3));
	}
	printf("%" PRIu32 " cases: %" PRIu32 " copied and the same, %" PRIu32 " different, %" PRIu32 " not copied, %" PRIu32
	       " not fetched\n", m->cases, m->how[MOVED_SAME], m->how[MOVED_DIFFERS], m->how[MOVED_STAYS],
	       m->how[MOVED_RAISED]);
	bool enough = m->how[MOVED_SAME] > cases / 10 * 9;
	if (!enough && !m->how[MOVED_DIFFERS])
		printf("moved: too few were copied: this run proves nothing\n");
	bool clean = enough && !m->how[MOVED_DIFFERS];
	engine_free(m->eng);
	gen_free(g);
	free(m);
	return clean ? 0 : 1;
}
