// SPDX-License-Identifier: GPL-2.0-or-later
/* what: directed pieces of programs: what has ended ring3, and what of the kind might
 */
#include "guestfuzz.h"

#define ALL ((1u << M_COUNT) - 1)
#define SMALL (1u << M_REAL | 1u << M_UNREAL | 1u << M_PROT16 | 1u << M_COMPAT16 | 1u << M_V86 | 1u << M_USER16)
#define WIDE (1u << M_LONG64 | 1u << M_USER64)
#define SUP (1u << M_REAL | 1u << M_UNREAL | 1u << M_PROT16 | 1u << M_PROT32 | 1u << M_PAGED32 | 1u << M_PAE32 | \
	1u << M_LONG64 | 1u << M_COMPAT32 | 1u << M_COMPAT16)
#define LEGACY32 (1u << M_PROT32 | 1u << M_PAGED32 | 1u << M_PAE32)

static void times(struct code *c, unsigned n, const void *b, unsigned len)
{
	while (n-- > 0)
		code_bytes(c, b, len);
}

static void set_operands(struct guest *g, struct code *c)
{
	code_set(c, RSI, program_data(g, DATA + below(&g->r, 0x2000)));
	code_set(c, RDI, program_data(g, DATA + 0x3000 + below(&g->r, 0x2000)));
	code_set(c, RBX, program_data(g, DATA + below(&g->r, 0x2000)));
	code_set(c, RCX, below(&g->r, 4));
}

/* Sixty MOVSB with 32-bit addresses in real mode, segments not flat: more stubs than a block has (issue 14). */
static void movsb_67(struct guest *g, struct code *c)
{
	set_operands(g, c);
	times(c, 60, "\x67\xa4", 2);
}

/* The same with any string instruction and any prefixes. */
static void strings_full(struct guest *g, struct code *c)
{
	static const uint8_t ops[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6e };
	static const uint8_t pre[] = { 0x67, 0x66, 0x26, 0x36, 0x64, 0xf3, 0xf2 };
	uint8_t b[5];
	unsigned n = 0;

	for (unsigned k = below(&g->r, 4); k > 0; k--)
		b[n++] = pre[below(&g->r, ARRAY_LEN(pre))];
	b[n++] = ops[below(&g->r, ARRAY_LEN(ops))];
	set_operands(g, c);
	times(c, 60, b, n);
}

/* Blocks full of what takes many checks, helpers, exits or moves of the stack pointer. */
static void one_full(struct guest *g, struct code *c)
{
	static const struct { uint8_t n, b[8]; } list[] = {
		{ 2, { 0xff, 0x33 } }, { 2, { 0x8f, 0x03 } }, { 1, { 0x60 } }, { 1, { 0x61 } }, { 4, { 0xc8, 8, 0, 31 } },
		{ 4, { 0xc8, 0, 0, 0 } }, { 1, { 0xc9 } }, { 1, { 0x9c } }, { 1, { 0x9d } }, { 2, { 0x74, 0 } },
		{ 2, { 0xe2, 0 } }, { 2, { 0xe3, 0 } }, { 1, { 0xfb } }, { 1, { 0xfa } }, { 2, { 0x8e, 0xd8 } },
		{ 2, { 0x8e, 0xc0 } }, { 2, { 0x8e, 0xe0 } }, { 1, { 0x1e } }, { 1, { 0x1f } }, { 2, { 0x0f, 0xa1 } },
		{ 3, { 0x0f, 0xb1, 0x0b } }, { 3, { 0x0f, 0xc7, 0x0b } }, { 2, { 0x87, 0x03 } },
		{ 3, { 0xf0, 0x01, 0x03 } }, { 2, { 0xd9, 0x33 } }, { 2, { 0xd9, 0x23 } }, { 2, { 0xdd, 0x33 } },
		{ 2, { 0xdd, 0x23 } }, { 3, { 0x0f, 0xae, 0x03 } }, { 3, { 0x0f, 0xae, 0x0b } },
		{ 3, { 0x0f, 0xae, 0x23 } }, { 3, { 0x0f, 0xae, 0x2b } }, { 2, { 0x62, 0x03 } }, { 1, { 0xd7 } },
		{ 3, { 0x0f, 0xa3, 0x03 } }, { 3, { 0x0f, 0xab, 0x0b } }, { 3, { 0x0f, 0x01, 0x03 } },
		{ 2, { 0xc4, 0x03 } }, { 3, { 0x0f, 0xb2, 0x03 } }, { 2, { 0xdf, 0x33 } }, { 2, { 0xdb, 0x3b } },
		{ 3, { 0x0f, 0x31, 0x90 } }, { 3, { 0x66, 0x0f, 0xf7 } }, { 4, { 0x66, 0x0f, 0xf7, 0xc1 } },
		{ 6, { 0x62, 0xf1, 0x7d, 0x49, 0x6f, 0x03 } }, { 6, { 0x62, 0xf1, 0x7d, 0x49, 0x7f, 0x03 } },
		{ 5, { 0xc4, 0xe2, 0x7d, 0x8c, 0x03 } }, { 6, { 0xc4, 0xe2, 0x6d, 0x90, 0x04, 0x0b } },
		{ 7, { 0x62, 0xf2, 0x7d, 0x49, 0x90, 0x04, 0x0b } }, { 5, { 0xe8, 0, 0, 0, 0 } }, { 3, { 0xe8, 0, 0 } },
		{ 2, { 0xff, 0x13 } }, { 2, { 0x83, 0x03 } }, { 3, { 0xc1, 0x03, 0x21 } }, { 3, { 0xd3, 0x13, 0x90 } },
		{ 4, { 0x0f, 0xa4, 0x03, 9 } }, { 3, { 0x80, 0x2c, 0x24 } }, { 2, { 0xf7, 0x33 } }, { 2, { 0xc8, 0xc8 } },
	};
	unsigned k = below(&g->r, ARRAY_LEN(list));

	set_operands(g, c);
	if (g->m->bits != 16 && chance(&g->r, 20))
		CODE(c, 0x67);
	times(c, 60, list[k].b, list[k].n);
}

/* A CALL whose return address goes onto code that has run (issue 14): x is written over by the second CALL. */
static void lost_call(struct guest *g, struct code *c)
{
	unsigned imm = c->bits == 16 ? 2 : 4;
	uint32_t x;

	if (g->m->bits == 16)
		code_set_seg(c, SEG_SS, g->m->kcs ? CONFORMING : PROGRAM >> 4);
	CODE(c, 0xeb, 5);
	x = c->at;
	CODE(c, 0x90, 0x90, 0x90, 0xc3, 0x90);
	code_near(c, 0xe8, x);
	code_set(c, RSP, program_data(g, PROGRAM + g->alias + x + imm));
	if (chance(&g->r, 50)) {
		code_set(c, RAX, PROGRAM + g->alias - g->cs_base + x + 3);
		CODE(c, 0xff, 0xd0);
	} else {
		code_near(c, 0xe8, x + 3);
	}
	CODE(c, 0x0f, 0x0b);
}

/* REP with a count that never ends, onto chips, code, tables and past all memory. */
static void huge_rep(struct guest *g, struct code *c)
{
	static const uint64_t to[] = { 0xfee00000, 0xa0000, 0xb8000, 0xe0000000, 0xfec00000, 0xfed00000, 0xffff0000,
		PROGRAM, TABLES, DATA, 0xfffff000, 0x400000 };

	if (g->m->bits == 16)
		code_set_seg(c, SEG_ES, g->m->kcs ? DS32 : 0xa000);
	code_set(c, RSI, program_data(g, to[below(&g->r, ARRAY_LEN(to))]));
	code_set(c, RDI, program_data(g, to[below(&g->r, ARRAY_LEN(to))]));
	code_set(c, RCX, chance(&g->r, 50) ? 0xffffffff : rnd(&g->r));
	if (chance(&g->r, 30) && c->bits == 16)
		CODE(c, 0x67);
	CODE(c, 0xf3, (uint8_t)(0xa4 + (chance(&g->r, 50) ? 6 : 0) + below(&g->r, 2)));
}

/* Code copied to where no code belongs, and run there. */
static void run_elsewhere(struct guest *g, struct code *c)
{
	static const uint64_t to[] = { 0xa0000, 0xb8000, 0xe0000000, 0xfee00300, 0xfec00000, 0xffff0000, 0xf0000, 0xc0000,
		HIGH, 0x3ffff0, 0xfffffff0, 0xf1000000, STACK - 16, TABLES };
	uint64_t at = to[below(&g->r, ARRAY_LEN(to))];

	if (g->m->bits == 16 && !g->m->kcs) {
		code_set_seg(c, SEG_ES, (uint16_t)(at >> 4));
		CODE(c, 0x31, 0xff, 0xbe);
		code_u(c, g->block[3], 2);
		CODE(c, 0xb9, 64, 0, 0x2e, 0xf3, 0xa4, 0xea, 0, 0);
		code_u(c, at >> 4, 2);
		return;
	}
	code_set(c, RSI, program_data(g, PROGRAM + g->alias + g->block[below(&g->r, BLOCKS)]));
	code_set(c, RDI, program_data(g, at));
	code_set(c, RCX, 64);
	CODE(c, 0xf3, 0xa4);
	code_set(c, RAX, at - g->cs_base);
	CODE(c, 0xff, 0xe0);
}

/* A20 off and on around accesses above 1 MiB, and code there. */
static void gate_a20(struct guest *g, struct code *c)
{
	for (unsigned k = 0; k < 4; k++) {
		if (chance(&g->r, 70))
			code_out(c, 0x92, k & 1 ? 2 : 0, 1);
		else {
			code_out(c, 0x64, 0xd1, 1);
			code_out(c, 0x60, k & 1 ? 0xdf : 0xdd, 1);
		}
		code_store(c, program_data(g, HIGH + below(&g->r, 0x1000)), (uint32_t)rnd(&g->r), 4);
	}
}

/* A single step, a code breakpoint and a data breakpoint at once, over whatever comes. */
static void debug_all(struct guest *g, struct code *c)
{
	uint8_t b[15];

	if (g->m->cpl == 0) {
		code_set(c, RAX, PROGRAM + g->alias + c->at + 40 + below(&g->r, 20));
		CODE(c, 0x0f, 0x23, 0xc0);
		code_set(c, RAX, DATA + (below(&g->r, 0x100) & ~7u));
		CODE(c, 0x0f, 0x23, 0xc8);
		code_set(c, RAX, 0x00d0070f | (chance(&g->r, 20) ? 0x2000 : 0));
		CODE(c, 0x0f, 0x23, 0xf8);
	}
	CODE(c, 0x9c, 0x58, 0x80, 0xcc, 1, 0x50, 0x9d); /* pushf; pop ax; or ah, 1; push ax; popf */
	for (unsigned n = 12; n > 0; n--)
		code_bytes(c, b, fragment_draw(g, c, b));
	if (chance(&g->r, 50))
		CODE(c, 0x8c, 0xd0, 0x8e, 0xd0, 0xcd, 0x80);
}

static void invalidate_self(struct guest *g, struct code *c)
{
	static const uint8_t bits[] = { 4, 5, 7, 17, 20, 21 };

	for (unsigned n = 4; n > 0; n--) {
		code_set(c, RBX, program_data(g, PROGRAM + g->alias + c->at));
		CODE(c, 0x0f, 0x01, (uint8_t)(c->bits == 16 ? 0x3f : 0x3b));
		CODE(c, 0x0f, 0x20, 0xe0);
		code_opsize(c, 4);
		CODE(c, 0x0f, 0xba, 0xf8, bits[below(&g->r, ARRAY_LEN(bits))], 0x0f, 0x22, 0xe0);
		CODE(c, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);
	}
}

/* Tasks that call each other, by gate, by TSS, of both kinds, and IRET back. */
static void tasks(struct guest *g, struct code *c)
{
	static const uint16_t sels[] = { TASK_GATE, TR_OTHER, TR_OLD, TR_FAULT, TR };

	for (unsigned n = 3; n > 0; n--) {
		CODE(c, chance(&g->r, 60) ? 0x9a : 0xea);
		code_u(c, 0, c->bits == 16 ? 2 : 4);
		code_u(c, sels[below(&g->r, ARRAY_LEN(sels))], 2);
		if (chance(&g->r, 40))
			CODE(c, 0xcf);
	}
}

/* Segments of a few bytes, each reached by an operand that goes over its end. */
static void limits(struct guest *g, struct code *c)
{
	uint16_t sel = (uint16_t)(0x180 + 8 * below(&g->r, 4));
	uint8_t b[15];

	code_store(c, program_data(g, GDT + sel), (DATA & 0xffff) << 16 | below(&g->r, 40), 4);
	code_store(c, program_data(g, GDT + sel + 4), (DATA >> 16) | 0x0000f300 | (chance(&g->r, 40) ? 0x400 : 0) |
		(chance(&g->r, 50) ? 0x400000 : 0), 4);
	code_set_seg(c, below(&g->r, 2) ? SEG_DS : SEG_ES + (below(&g->r, 3) == 0 ? SEG_SS : 0), sel);
	for (unsigned k = 0; k < 8; k++)
		if (k != RSP || chance(&g->r, 30))
			code_set(c, k, below(&g->r, 48));
	for (unsigned n = 16; n > 0; n--)
		code_bytes(c, b, fragment_draw(g, c, b));
}

static void resets(struct guest *g, struct code *c)
{
	static const struct { uint16_t port; uint8_t val; } list[] = { { 0x92, 3 }, { 0x64, 0xfe }, { 0xcf9, 6 },
		{ 0xcf9, 0xe } };
	unsigned k = below(&g->r, ARRAY_LEN(list));

	fragment_dma(g, c);
	if (chance(&g->r, 50)) {
		code_out(c, 0x70, 0x0f, 1);
		code_out(c, 0x71, chance(&g->r, 50) ? 0x0a : below(&g->r, 16), 1);
	}
	code_out(c, list[k].port, list[k].val, 1);
}

/* DMA onto the instructions that wait for it. */
static void dma_below(struct guest *g, struct code *c)
{
	uint32_t loop;

	fragment_dma(g, c);
	code_set(c, RCX, 3000);
	loop = c->at;
	code_store(c, program_data(g, DATA), 1, 4);
	CODE(c, 0xf3, 0x90, 0xe2);
	CODE(c, (uint8_t)(loop - c->at - 1));
}

static void sleep(struct guest *g, struct code *c)
{
	for (unsigned n = 3; n > 0; n--) {
		if (chance(&g->r, 70))
			CODE(c, 0xfb);
		else if (chance(&g->r, 50))
			CODE(c, 0x8c, 0xd0, 0x8e, 0xd0);
		CODE(c, 0xf4);
	}
}

const struct known known_list[] = {
	{ "movsb-67", SMALL, movsb_67 }, { "strings-full", ALL, strings_full }, { "one-full", ALL, one_full },
	{ "lost-call", ALL, lost_call }, { "huge-rep", ALL, huge_rep }, { "run-elsewhere", ALL, run_elsewhere },
	{ "a20", SUP, gate_a20 }, { "debug-all", ALL, debug_all }, { "invalidate-self", SUP, invalidate_self },
	{ "tasks", LEGACY32 | 1u << M_PROT16, tasks }, { "limits", ALL & ~WIDE, limits }, { "resets", SUP, resets },
	{ "dma-below", SUP, dma_below }, { "sleep", SUP, sleep },
};
const unsigned known_count = ARRAY_LEN(known_list);
