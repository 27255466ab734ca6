// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a guest's program: blocks of fragments, and the numbers, selectors and flags that it works with
 *
 * A random number as an address ends an instruction in a fault at once; so most values point to the program's data,
 * and the others to where something is: its own code, pages that end, chips, tables.
 */
#include "guestfuzz.h"

uint64_t program_data(const struct guest *g, uint64_t linear)
{
	if (g->m->bits == 16)
		return linear & 0xffff;
	return g->m->bits == 32 ? (uint32_t)(linear - g->ds_base) : linear;
}

static uint64_t chip_address(struct rng *r)
{
	static const uint64_t at[] = { 0xa0000, 0xb8000, 0xc0000, 0xf0000, 0xffff0000, 0xfffffff0, 0xfee00000, 0xfec00000,
		0xfed00000, 0xe0000000, 0xf0000000, 0xf1000000, 0xf1003000, 0x400000 };

	return at[below(r, ARRAY_LEN(at))] + (chance(r, 50) ? below(r, 0x400) & ~3u : below(r, 0x10000));
}

/* Where something ends. */
static uint64_t edge_address(struct rng *r)
{
	static const uint64_t at[] = { 0x100000000, 0x80000000, 0x800000000000, 0xffff800000000000, 0, DATA + REGION,
		DATA + 0x1000, PROGRAM + REGION, PROGRAM, GUEST_RAM, 0x10000, HIGH };

	return at[below(r, ARRAY_LEN(at))] - below(r, 20) + (chance(r, 20) ? 16 : 0);
}

static uint64_t program_linear(struct guest *g)
{
	struct rng *r = &g->r;
	unsigned k = below(r, 100);
	uint64_t alias = chance(r, 40) ? g->alias : 0;

	if (k < 55)
		return DATA + alias + (chance(r, 60) ? below(r, REGION) & ~15u : below(r, REGION));
	if (k < 65)
		return PROGRAM + alias + g->block[below(r, BLOCKS)] + below(r, 400);
	if (k < 75)
		return STACK + alias - below(r, 0x1000);
	if (k < 87)
		return chip_address(r);
	if (k < 95)
		return edge_address(r);
	return k < 97 ? LISTS + below(r, REGION) : below(r, 0x30000);
}

uint64_t program_value(struct guest *g)
{
	struct rng *r = &g->r;
	unsigned k = below(r, 100);
	uint64_t v = k < 68 ? program_data(g, program_linear(g)) : k < 82 ? below(r, 40) : k < 92 ? rnd(r) :
		rnd(r) >> below(r, 64);

	return g->m->bits == 16 && chance(r, 80) ? v & 0xffff : g->m->bits < 64 ? (uint32_t)v : v;
}

uint16_t program_selector(struct guest *g)
{
	static const uint16_t real[] = { DATA >> 4, DATA >> 4, DATA >> 4, PROGRAM >> 4, 0x6000, 0xa000, 0xb800, 0xc000,
		0xf000, 0xffff, 0, 0x7000 };
	static const uint16_t sup[] = { DS32, DS32, DS32, DS32, DS16, DOWN, CS32, CONFORMING, READ_ONLY, KDS, 4, 0x0c, 0,
		0 };
	static const uint16_t user[] = { DS32U, DS32U, DS32U, DS32U, DS16U, DOWN | 3, CS32U, CONFORMING | 3,
		READ_ONLY | 3, 7, 0x0f, 3, 0 };
	static const uint16_t small[] = { DS16, DS16, DS16, DS16, DS16U, DOWN16, READ_ONLY, CS16, DS32 };
	static const uint16_t small_user[] = { DS16U, DS16U, DS16U, DS16U, DOWN16 | 3, READ_ONLY | 3, CS16U, DS32U, 3 };
	struct rng *r = &g->r;

	if (chance(r, 3))
		return (uint16_t)rnd(r) & (chance(r, 50) ? 0x1ff : 0xffff);
	if (!g->m->cs)
		return real[below(r, ARRAY_LEN(real))];
	if (g->m->bits == 16)
		return (g->m->cpl ? small_user : small)[below(r, ARRAY_LEN(small))];
	return g->m->cpl ? user[below(r, ARRAY_LEN(user))] : sup[below(r, ARRAY_LEN(sup))];
}

uint64_t program_flags(struct guest *g)
{
	static const struct { uint32_t bits; uint8_t percent; } some[] = {
		{ FL_IF, 60 }, { FL_TF, 8 }, { FL_DF, 12 }, { FL_AC, 15 }, { FL_RF, 5 }, { FL_ID, 20 }, { FL_VIF, 3 },
		{ FL_VIP, 2 }, { FL_NT, 2 }, { FL_IOPL, 60 },
	};
	uint64_t f = FL_FIXED | (rnd(&g->r) & FL_ARITH);

	for (unsigned k = 0; k < ARRAY_LEN(some); k++)
		f |= chance(&g->r, some[k].percent) ? some[k].bits : 0;
	return f;
}

/* An IRET within CPL 0 has brought no stack but in long mode. */
static void write_stack(struct guest *g, struct code *c)
{
	if (g->m->cpl || g->m->lng || chance(&g->r, 15))
		return;
	uint16_t ss = !g->m->kcs ? 0x6000 : g->m->bits == 16 ? DS16 : chance(&g->r, 85) ? DS32 : DS16;

	code_set_seg(c, SEG_SS, ss);
	code_set(c, RSP, g->m->bits == 16 || ss == DS16 ? 0xf000 + below(&g->r, 16) : program_data(g, STACK));
}

static void write_end(struct guest *g, struct code *c)
{
	uint32_t to = g->block[below(&g->r, BLOCKS)] + (chance(&g->r, 10) ? below(&g->r, 30) : 0);
	unsigned k = below(&g->r, 100);

	if (k < 45)
		code_near(c, 0xe9, to);
	else if (k < 60)
		CODE(c, 0xcc);
	else if (k < 70)
		CODE(c, 0x0f, 0x0b);
	else if (k < 80) {
		CODE(c, 0x68);
		code_u(c, PROGRAM + g->alias - g->cs_base + to, c->bits == 16 ? 2 : 4);
		CODE(c, 0xc3);
	}
}

static enum kind choose(struct guest *g)
{
	static const uint8_t share[KINDS] = {
		[K_RANDOM] = 34, [K_SET] = 6, [K_CONTROL] = 2, [K_MSR] = 2, [K_SYSTEM] = 5, [K_FAR] = 5, [K_SEGMENT] = 5,
		[K_STRING] = 7, [K_PORT] = 4, [K_DEVICE] = 4, [K_DMA] = 3, [K_MODIFY] = 6, [K_STACK] = 5, [K_FLOW] = 8,
		[K_FLAGS] = 4, [K_HALT] = 1, [K_BRIM] = 2, [K_KNOWN] = 2,
	};
	unsigned sum = 0, v;

	if (g->focus < KINDS && chance(&g->r, 45))
		return (enum kind)g->focus;
	for (unsigned k = 0; k < KINDS; k++)
		sum += share[k];
	v = below(&g->r, sum);
	for (unsigned k = 0;; v -= share[k++])
		if (v < share[k])
			return (enum kind)k;
}

static void write_block(struct guest *g, struct code *c)
{
	write_stack(g, c);
	if (g->known && chance(&g->r, 60)) {
		g->known->write(g, c);
		return;
	}
	for (unsigned n = 2 + below(&g->r, 9); n > 0 && c->at + 200 < c->end; n--)
		fragment(g, c, choose(g));
	c->end += 32;
	write_end(g, c);
}

static void place_blocks(struct guest *g)
{
	unsigned room = REGION / BLOCKS;

	for (unsigned k = 0; k < BLOCKS; k++) {
		g->block[k] = k * room + below(&g->r, room / 4);
		uint32_t page_end = (g->block[k] | 0xfff) + 1;
		/* the first instructions, or a later one, cross into the next page */
		if (page_end < (k + 1) * room - 400 && chance(&g->r, 60))
			g->block[k] = page_end - 1 - below(&g->r, chance(&g->r, 50) ? 8 : 80);
	}
}

void program_write(struct guest *g, struct code *c)
{
	unsigned room = REGION / BLOCKS;

	place_blocks(g);
	for (unsigned k = 0; k < REGION; k++)
		c->base[k] = chance(&g->r, 70) ? 0xcc : (uint8_t)rnd(&g->r);
	for (unsigned k = 0; k < BLOCKS; k++) {
		c->at = g->block[k];
		c->end = (k + 1) * room - 40;
		write_block(g, c);
	}
}
