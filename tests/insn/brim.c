// SPDX-License-Identifier: GPL-2.0-or-later
/* what: blocks filled to the brim with each encoding, in every mode: the bounds of xlate/bound.c hold
 *
 * Rule guarded: no code of a guest's overruns a table or the place of a block in the code cache. Sixty MOVSB with
 * 32-bit addresses, in real mode with DS and ES not flat, ended ring3 by an assertion: five stubs each where four were
 * reckoned with.
 *
 *   ORACLE_SEED=n  start of the random numbers (printed)       BRIM_CASES=n  how many, default 40000 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "brim.h"
#include "gen_int.h"

#define COPIES 64 /* more than a block can hold */

struct pattern {
	uint8_t b[4 * 15];
	unsigned len;
};

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);
	return v && *v ? strtoull(v, NULL, 0) : otherwise;
}

/* Up to four encodings that are instructions. */
static void draw(struct gen *g, struct rng *r, unsigned mode, struct pattern *p)
{
	unsigned n = chance(r, 50) ? 1 : 1 + below(r, 4);
	p->len = 0;
	while (n > 0) {
		struct cand c = { 0 };
		encode_bytes(g, r, mode, encode_group(g, r, mode), c.b);
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->dec[mode], c.b, sizeof(c.b), &c.zi, c.ops)))
			continue;
		memcpy(p->b + p->len, c.b, c.zi.length);
		p->len += c.zi.length;
		n--;
	}
}

static void fill(const struct pattern *p, uint32_t off, uint8_t *image)
{
	for (unsigned k = 0; k < COPIES && off + p->len <= 4096; k++, off += p->len)
		memcpy(image + CODE_OFF + off, p->b, p->len);
}

/* Found in the field. */
static const struct pattern known[] = {
	{ { 0x67, 0xa4 }, 2 },             /* MOVSB [edi], [esi] */
	{ { 0x67, 0xff, 0x30 }, 3 },       /* PUSH [eax] */
	{ { 0x67, 0x8f, 0x00 }, 3 },       /* POP [eax] */
	{ { 0x67, 0xff, 0x10 }, 3 },       /* CALL [eax] */
	{ { 0x50 }, 1 }, { { 0x5b }, 1 },  /* PUSH AX, POP BX: runs in 64-bit code */
	{ { 0x1e }, 1 },                   /* PUSH DS */
	{ { 0x9d }, 1 },                   /* POPF */
	{ { 0x75, 0x10 }, 2 },             /* JNZ */
};

int main(void)
{
	static uint8_t image[IMAGE_SIZE];
	struct xlayout l;
	struct brim most = { 0 };
	struct ocase *c = aligned_alloc(_Alignof(struct ocase), sizeof(*c));
	uint64_t seed = number("ORACLE_SEED", (uint64_t)time(NULL) * 1000003u), cases = number("BRIM_CASES", 40000), n = 0;
	struct rng r = { .s = seed };
	must(c);
	memset(c, 0, sizeof(*c));
	xlayout_read(&l);
	struct gen *g = gen_new(&l, NULL, true);
	gen_seek(g, &r);
	struct engine *e = engine_new(&l);
	engine_map_again(e);
	printf("ORACLE_SEED=%#" PRIx64 "\n", seed);
	for (uint64_t k = 0; k < cases; k++) {
		static const uint8_t modes[3] = { O16, O32, O64 };
		unsigned size = below(&r, 3);
		struct pattern p;
		if (k % 16 < ARRAY_LEN(known))
			p = known[k % 16];
		else
			draw(g, &r, modes[size], &p);
		memset(image, 0xcc, sizeof(image));
		c->mode = O64;
		c->off = below(&r, 64);
		fill(&p, c->off, image);
		uint64_t up = size == 2 && chance(&r, 50) ? ENGINE_AGAIN : 0; /* where addresses take eight bytes */
		n += brim_translate(engine_load(e, c, image, up), (uint32_t)rnd(&r), size, &most);
	}
	printf("%" PRIu64 " blocks of %" PRIu64 "; the fullest had %" PRIu32 " instructions, %" PRIu32 " bytes hot, %"
	       PRIu32 " cold, %" PRIu32 " stubs, %" PRIu32 " map entries, %" PRIu32 " exits; %" PRIu32 " ended early\n",
	       n, cases, most.insns, most.hot, most.cold, most.stubs, most.map, most.exits, most.cut);
	bool full = most.insns == 48 && most.stubs > 180 && most.exits >= 11 && most.cut > 0 && n > cases / 10 * 9;
	if (!full)
		printf("brim: no block came to its limits: this run proves nothing\n");
	engine_free(e);
	gen_free(g);
	free(c);
	return full ? 0 : 1;
}
