// SPDX-License-Identifier: GPL-2.0-or-later
/* what: random state: numbers near the edges of their types, floats of every class, control words mostly quiet
 */
#include <string.h>

#include "oracle.h"

#define XSAVE_HEADER 512

static uint64_t integer(struct rng *r)
{
	uint64_t v = rnd(r);
	switch (below(r, 8)) {
	case 0: return v & 0xff;
	case 1: return (uint64_t)(int64_t)(int8_t)v;
	case 2: return 1ull << (v & 63);
	case 3: return (1ull << (v & 63)) - 1;
	case 4: return v >> (v & 63);
	case 5: return (uint32_t)v;
	default: return v;
	}
}

static uint32_t float32(struct rng *r)
{
	uint32_t v = (uint32_t)rnd(r), sign = v & 0x80000000;
	switch (below(r, 12)) {
	case 0: return sign;
	case 1: return sign | 0x7f800000;
	case 2: return sign | 0x7fc00000 | (v & 0x3fffff);
	case 3: return sign | 0x7f800000 | (v & 0x3fffff) | 1;
	case 4: return sign | (v & 0x7fffff);
	case 5: return sign | 0x7f7fffff;
	case 6: return sign | 0x00800000;
	case 7: return v;
	default: return sign | (0x70 + below(r, 0x20)) << 23 | (v & (v & 1 ? 0x7fffff : 0x7f0000));
	}
}

static uint64_t float64(struct rng *r)
{
	uint64_t v = rnd(r), sign = v & 1ull << 63, frac = v & 0xfffffffffffffull;
	switch (below(r, 12)) {
	case 0: return sign;
	case 1: return sign | 0x7ffull << 52;
	case 2: return sign | 0xfff8ull << 48 >> 1 << 1 | frac >> 1;
	case 3: return sign | 0x7ffull << 52 | frac >> 1 | 1;
	case 4: return sign | frac;
	case 5: return sign | 0x7fefffffffffffffull;
	case 6: return sign | 1ull << 52;
	case 7: return v;
	default: return sign | (uint64_t)(0x3f0 + below(r, 0x20)) << 52 | (v & 2 ? frac : frac & 0xff00000000000ull);
	}
}

static void lanes(struct rng *r, uint8_t *p, size_t len)
{
	unsigned kind = below(r, 4);
	for (size_t k = 0; k + 8 <= len; k += 8) {
		if (kind == 0)
			put_le64(p + k, float64(r));
		else if (kind == 1)
			put_le64(p + k, (uint64_t)float32(r) << 32 | float32(r));
		else
			put_le64(p + k, kind == 2 ? integer(r) : rnd(r));
	}
}

uint16_t fill_selector(struct rng *r)
{
	static const uint16_t gdt[8] = { 0, 1, 3, 0x23, 0x2b, 0x28, 0x33, 0x53 };
	if (chance(r, 30))
		return gdt[below(r, 8)];
	return (uint16_t)(below(r, OLDT_SIZE + 2) << 3 | 4 | (chance(r, 80) ? 3 : below(r, 4)));
}

void gen_image(struct rng *r, uint8_t *image)
{
	memset(image + CODE_OFF, 0xcc, CODE_SIZE);
	for (uint32_t k = DATA_OFF; k < IMAGE_SIZE; k += 64) {
		lanes(r, image + k, 64);
		for (unsigned i = 0; i < 64 && k % 512 == 0; i += 2)
			put_le16(image + k + i, fill_selector(r));
	}
}

/* 80-bit values: integer bit and exponent of every class, pseudo-denormals and unnormals too. */
static void x87_register(struct rng *r, uint8_t *p)
{
	uint64_t m = rnd(r);
	uint32_t se = (uint32_t)rnd(r) & 0xffff;
	switch (below(r, 12)) {
	case 0: m = 0; se &= 0x8000; break;
	case 1: m = 1ull << 63; se |= 0x7fff; break;
	case 2: m |= 3ull << 62; se |= 0x7fff; break;
	case 3: m = (m >> 2) | 1ull << 63; se |= 0x7fff; break;
	case 4: m >>= 1; se &= 0x8000; break;
	case 5: break;
	case 6: m |= 1ull << 63; break;
	case 7: se = 0xffff; break; /* as after MMX */
	default: m |= 1ull << 63; se = (se & 0x8000) | (0x3ff0 + below(r, 0x50)); break;
	}
	put_le64(p, m);
	put_le16(p + 8, (uint16_t)se);
}

static void x87(struct rng *r, uint8_t *x)
{
	uint16_t fcw = 0x37f, fsw = (uint16_t)(rnd(r) & 0x4700);
	if (chance(r, 60))
		fcw = (uint16_t)((rnd(r) & 0x0f00) | 0x7f);
	if (chance(r, 10))
		fcw = (uint16_t)((rnd(r) & 0x0f3f) | 0x40);
	if (chance(r, 70))
		fsw |= (uint16_t)(below(r, 8) << 11);
	if (chance(r, 30))
		fsw |= (uint16_t)(rnd(r) & 0x7f); /* sticky exceptions */
	if (fsw & ~fcw & 0x3f)
		fsw |= 0x8080;
	put_le16(x, fcw);
	put_le16(x + 2, fsw);
	x[4] = chance(r, 30) ? 0 : chance(r, 30) ? 0xff : (uint8_t)rnd(r);
	for (unsigned k = 0; k < 8; k++)
		x87_register(r, x + 32 + 16 * k);
}

static uint32_t mxcsr(struct rng *r)
{
	uint32_t v = 0x1f80;
	if (chance(r, 60))
		v |= (uint32_t)rnd(r) & 0xe07f;
	if (chance(r, 12))
		v &= (uint32_t)rnd(r) | ~0x1f80u;
	return v;
}

static void fill_x(struct rng *r, const struct xlayout *l, uint8_t *x)
{
	uint64_t bv = l->mask;
	memset(x, 0, X_SIZE);
	x87(r, x);
	put_le32(x + 24, mxcsr(r));
	lanes(r, x + 160, 128);
	lanes(r, x + 288, 128);
	for (unsigned i = 2; i < 8; i++) {
		if (!(l->mask >> i & 1))
			continue;
		lanes(r, x + l->off[i], l->size[i]);
		if (chance(r, 15))
			bv &= ~(1ull << i);
	}
	if (chance(r, 20))
		bv &= ~1ull; /* x87 in its initial state */
	put_le64(x + XSAVE_HEADER, bv);
}

static uint64_t flags(struct rng *r)
{
	return (rnd(r) & FL_ARITH) | (chance(r, 20) ? FL_DF : 0) | (chance(r, 5) ? FL_AC : 0);
}

void fill_state(struct rng *r, const struct xlayout *l, struct ocase *c)
{
	for (unsigned k = 0; k < 16; k++)
		c->gpr[k] = integer(r);
	c->rflags = flags(r);
	fill_x(r, l, c->x);
	/* the stack pointer: mostly in the middle and aligned, sometimes where pushes or pops cross or fault */
	uint64_t sp = STACK_AT + 0xf00 + 8 * below(r, 64);
	switch (below(r, 20)) {
	case 0: sp = STACK_AT + 0x1000 + below(r, 16) - 8; break;
	case 1: sp = STACK_AT + below(r, 20); break;
	case 2: sp = STACK_AT + STACK_SIZE - below(r, 20); break;
	case 3: sp += below(r, 8); break;
	default: break;
	}
	c->gpr[RSP] = sp - oseg_table[c->mode][SEG_SS].base;
	if (c->mode == O16)
		c->gpr[RSP] |= ORACLE_ESP_HIGH;
	c->fs_base = DATA_AT + below(r, 0x1000);
	c->gs_base = DATA_AT - 0x1000 + below(r, 0x1000);
}
