// SPDX-License-Identifier: GPL-2.0-or-later
/* what: random bytes that walk the opcode maps: prefixes, VEX, EVEX, opcode, ModRM
 *
 * Which opcode comes next is a counter for each group of opcodes, so that every one has its turn; all else is drawn.
 */
#include "gen_int.h"

enum group encode_group(const struct gen *g, struct rng *r, unsigned mode)
{
	static const uint8_t share[G_COUNT] = { 30, 10, 26, 6, 3, 5, 6, 3, 3, 5, 3, 2, 2 };
	for (;;) {
		unsigned v = below(r, 104), k = 0;
		while (v >= share[k])
			v -= share[k++];
		if (k >= G_EVEX1 && !(g->l.mask & 0xe0))
			continue;
		if (k >= G_VEX1 && mode == O16 && chance(r, 70))
			continue;
		return (enum group)k;
	}
}

struct out {
	uint8_t *b;
	unsigned n;
};

/* An instruction longer than 15 bytes is cut: it faults by its first 15. */
static void put(struct out *o, unsigned v)
{
	if (o->n < 15)
		o->b[o->n++] = (uint8_t)v;
}

/* Prefixes that contradict each other, come twice or make an instruction too long. */
static void flood(struct rng *r, struct out *o, unsigned mode)
{
	static const uint8_t any[12] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x48 };
	for (unsigned n = 1 + below(r, chance(r, 10) ? 14 : 6); n > 0; n--)
		put(o, any[below(r, mode == O64 ? 12 : chance(r, 30) ? 11 : 10)]);
}

static void prefixes(struct rng *r, struct out *o, enum group grp, unsigned mode)
{
	static const uint8_t seg[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	bool vex = grp >= G_VEX1;
	if (chance(r, 3))
		flood(r, o, mode);
	if (chance(r, mode == O64 ? 8 : 15))
		put(o, 0x67);
	if (chance(r, mode == O64 ? 6 : 12))
		put(o, seg[below(r, 6)]);
	if (vex)
		return;
	if (chance(r, grp == G_X87 ? 3 : 25))
		put(o, 0x66);
	if (chance(r, grp == G_ONE ? 8 : grp == G_X87 ? 2 : 20))
		put(o, 0xf2);
	else if (chance(r, grp == G_ONE ? 8 : grp == G_X87 ? 2 : 22))
		put(o, 0xf3);
	if (grp <= G_0F && chance(r, 4))
		put(o, 0xf0);
	if (mode == O64 && chance(r, 55))
		put(o, 0x40 | (chance(r, 50) ? 8 : 0) | below(r, 8));
}

/* Register bits are inverted in VEX and EVEX; outside 64-bit mode they must be set, or it is LES, LDS, BOUND. */
static void vex(struct rng *r, struct out *o, unsigned map, unsigned mode)
{
	unsigned rxb = mode == O64 ? below(r, 8) << 5 : 0xe0;
	unsigned vvvv = chance(r, 40) ? 15 : mode == O64 ? below(r, 16) : 8 | below(r, 8);
	unsigned last = vvvv << 3 | (chance(r, 50) ? 4 : 0) | below(r, 4);
	if (map == 1 && chance(r, 40)) {
		put(o, 0xc5);
		put(o, (rxb & 0x80) | (mode == O64 ? 0 : 0x40) | (last & 0x7f));
		return;
	}
	put(o, 0xc4);
	put(o, rxb | map);
	put(o, (chance(r, 40) ? 0x80 : 0) | last);
}

static void evex(struct rng *r, struct out *o, unsigned map, unsigned mode)
{
	unsigned rxb = mode == O64 ? below(r, 16) << 4 : 0xf0;
	unsigned vvvv = chance(r, 40) ? 15 : mode == O64 ? below(r, 16) : 8 | below(r, 8);
	unsigned aaa = chance(r, 50) ? 0 : below(r, 8);
	unsigned vv = chance(r, 60) || mode != O64 ? 8 : 0;
	put(o, 0x62);
	put(o, rxb | map);
	put(o, (chance(r, 50) ? 0x80 : 0) | vvvv << 3 | 4 | below(r, 4));
	put(o, (aaa && chance(r, 40) ? 0x80 : 0) | below(r, 3) << 5 | (chance(r, 15) ? 0x10 : 0) | vv | aaa);
}

static void escape(struct rng *r, struct out *o, enum group grp, unsigned mode)
{
	switch (grp) {
	case G_0F: put(o, 0x0f); break;
	case G_0F38: put(o, 0x0f); put(o, 0x38); break;
	case G_0F3A: put(o, 0x0f); put(o, 0x3a); break;
	case G_VEX1: case G_VEX2: case G_VEX3: vex(r, o, (unsigned)grp - G_VEX1 + 1, mode); break;
	case G_EVEX1: case G_EVEX2: case G_EVEX3: evex(r, o, (unsigned)grp - G_EVEX1 + 1, mode); break;
	case G_EVEX5: case G_EVEX6: evex(r, o, (unsigned)grp - G_EVEX5 + 5, mode); break;
	default: break;
	}
}

void encode_bytes(struct gen *g, struct rng *r, unsigned mode, enum group grp, uint8_t *b)
{
	struct out o = { .b = b };
	unsigned op = g->turn[grp]++;
	prefixes(r, &o, grp, mode);
	escape(r, &o, grp, mode);
	put(&o, grp == G_X87 ? 0xd8 | (op & 7) : op & 0xff);
	unsigned modrm = (unsigned)rnd(r) & 0xff;
	put(&o, chance(r, 45) ? modrm | 0xc0 : modrm);
	while (o.n < 15)
		put(&o, chance(r, 30) ? below(r, 4) * 0x55 : (unsigned)rnd(r) & 0xff);
}
