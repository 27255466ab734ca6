// SPDX-License-Identifier: GPL-2.0-or-later
/* what: pieces of programs: drawn instructions, strings, self-modification, stacks on code, jumps; the rest by kind
 */
#include "guestfuzz.h"

const char *const fragment_names[KINDS] = { "random", "set", "control", "msr", "system", "far", "segment", "string",
	"port", "device", "dma", "modify", "stack", "flow", "flags", "halt", "brim", "known" };

static unsigned oracle_mode(const struct code *c)
{
	return c->bits == 64 ? O64 : c->bits == 32 ? O32 : O16;
}

/* Operands and targets that are near: a displacement is small, a jump short, an absolute address means something. */
static void bring_near(struct guest *g, const ZydisDecodedInstruction *zi, uint8_t *b)
{
	unsigned n = zi->raw.disp.size / 8, at = zi->raw.disp.offset;
	bool absolute = n && zi->raw.modrm.mod == 0;

	if (n > 1 && chance(&g->r, 80)) {
		uint64_t v = absolute ? program_value(g) : below(&g->r, 256) - 64ull * chance(&g->r, 20);

		for (unsigned k = 0; k < n; k++)
			b[at + k] = (uint8_t)(v >> 8 * k);
	}
	n = zi->raw.imm[0].size / 8;
	at = zi->raw.imm[0].offset;
	if (n && zi->raw.imm[0].is_relative && chance(&g->r, 85))
		for (unsigned k = 0; k < n; k++)
			b[at + k] = k ? 0 : (uint8_t)below(&g->r, 40);
}

unsigned fragment_draw(struct guest *g, struct code *c, uint8_t *b)
{
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction zi;
	unsigned mode = oracle_mode(c);

	for (unsigned tries = 0; tries < 50; tries++) {
		encode_bytes(&g->gen, &g->r, mode, encode_group(&g->gen, &g->r, mode), b);
		if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->gen.dec[mode], b, 15, &zi, ops))) {
			bring_near(g, &zi, b);
			return zi.length;
		}
		if (!below(&g->r, 100))
			return 15;
	}
	b[0] = 0x90;
	return 1;
}

static void random_code(struct guest *g, struct code *c)
{
	uint8_t b[15];

	for (unsigned n = 1 + below(&g->r, 14); n > 0; n--)
		code_bytes(c, b, fragment_draw(g, c, b));
}

static void set_some(struct guest *g, struct code *c)
{
	for (unsigned n = 1 + below(&g->r, 4); n > 0; n--) {
		unsigned reg = below(&g->r, c->bits == 64 ? 16 : 8);

		if (reg != RSP || chance(&g->r, 10))
			code_set(c, reg, program_value(g));
	}
}

/* Counts that are small, end a page, or never end. */
static void string(struct guest *g, struct code *c)
{
	static const uint8_t ops[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6d, 0x6e,
		0x6f };
	struct rng *r = &g->r;
	unsigned k = below(r, 100);

	code_set(c, RSI, program_value(g));
	code_set(c, RDI, program_value(g));
	code_set(c, RCX, k < 70 ? below(r, 64) : k < 95 ? below(r, 0x1000) : program_value(g));
	if (chance(r, 30))
		code_set(c, RDX, chance(r, 50) ? 0x1f0 : 0x60 + below(r, 0x380));
	if (chance(r, 25))
		CODE(c, 0xfd);
	if (chance(r, 15))
		CODE(c, (uint8_t)(0x26 + 8 * below(r, 4)));
	if (chance(r, 15))
		CODE(c, 0x67);
	if (chance(r, 30))
		CODE(c, 0x66);
	if (chance(r, 70))
		CODE(c, (uint8_t)(0xf2 + below(r, 2)));
	if (c->bits == 64 && chance(r, 30))
		CODE(c, 0x48);
	CODE(c, ops[below(r, ARRAY_LEN(ops))]);
	CODE(c, 0xfc);
}

/* Offset in the program as an address of data. */
static uint64_t as_data(const struct guest *g, uint32_t at)
{
	return program_data(g, PROGRAM + g->alias + at);
}

/* A store to code: what comes next, another block, what has just run. CS may be written in real mode only. */
static void modify(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;
	uint32_t at = chance(r, 40) ? c->at + below(r, 60) : chance(r, 30) ? c->at - below(r, 60) :
		g->block[below(r, BLOCKS)] + below(r, 64);
	uint8_t b[16];

	if (g->m->bits == 16)
		code_set_seg(c, SEG_ES, g->m->cs ? READ_ONLY : PROGRAM >> 4);
	fragment_draw(g, c, b);
	if (chance(r, 25)) {
		code_set(c, RSI, as_data(g, g->block[below(r, BLOCKS)]));
		code_set(c, RDI, as_data(g, at));
		code_set(c, RCX, 1 + below(r, 64));
		CODE(c, 0xf3, (uint8_t)(0xa4 + below(r, 2)));
		return;
	}
	code_set(c, RBX, as_data(g, at));
	code_set(c, RAX, get_le32(b));
	if (g->m->bits == 16)
		CODE(c, 0x26);
	if (chance(r, 40))
		CODE(c, 0xf0, 0x01, 0x03 | (c->bits == 16 ? 4 : 0)); /* lock add [rBX], rAX; in 16-bit code [BX] is 7 */
	else
		CODE(c, 0x89, 0x03 | (c->bits == 16 ? 4 : 0));
}

/* A stack in the code ahead: pushes and calls write over what is about to run, or has. */
static void stack_on_code(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;
	uint32_t at = chance(r, 50) ? c->at + 8 + below(r, 40) : g->block[below(r, BLOCKS)] + below(r, 100);

	if (g->m->bits == 16 && g->m->kcs == 0)
		code_set_seg(c, SEG_SS, PROGRAM >> 4);
	code_set(c, RSP, as_data(g, at));
	if (chance(r, 15))
		code_set(c, RBP, as_data(g, at + 32));
	for (unsigned n = 1 + below(r, 6); n > 0; n--) {
		switch (below(r, 9)) {
		case 0: CODE(c, (uint8_t)(0x50 | below(r, 8))); break;
		case 1: CODE(c, 0x6a, 0x90); break;
		case 2: CODE(c, 0xe8); code_u(c, below(r, 4), c->bits == 16 ? 2 : 4); break;
		case 3: CODE(c, 0xc8, (uint8_t)below(r, 32), 0, (uint8_t)below(r, 4)); break;
		case 4: CODE(c, 0x60); break;
		case 5: CODE(c, 0x9c); break;
		case 6: CODE(c, 0x58); break;
		case 7: CODE(c, 0xc9); break;
		case 8: CODE(c, 0xff, 0x30 | (c->bits == 16 ? 7 : 3)); break;
		}
	}
}

static void odd_stack(struct guest *g, struct code *c)
{
	static const uint64_t at[] = { 0, 1, 2, 3, 4, 7, 8, 0xffff, 0x10000, 0x10002, 0xfffffffd, 0x100000000,
		0x7fffffffffff, 0x800000000008, 0xffff800000000001 };

	code_set(c, RSP, chance(&g->r, 50) ? at[below(&g->r, ARRAY_LEN(at))] : program_value(g));
	for (unsigned n = 1 + below(&g->r, 4); n > 0; n--)
		CODE(c, (uint8_t)(0x50 + below(&g->r, 16)));
	if (chance(&g->r, 30))
		CODE(c, 0x60 + (uint8_t)below(&g->r, 2));
	if (chance(&g->r, 30))
		code_near(c, 0xe8, g->block[below(&g->r, BLOCKS)]);
}

/* What comes n times: a loop over a few drawn instructions. */
static void loop(struct guest *g, struct code *c)
{
	uint32_t start;
	uint8_t b[15];

	code_set(c, RCX, 1 + below(&g->r, chance(&g->r, 10) ? 5000 : 60));
	start = c->at;
	for (unsigned n = below(&g->r, 5); n > 0; n--)
		code_bytes(c, b, fragment_draw(g, c, b));
	if (c->at - start < 120)
		CODE(c, (uint8_t)(0xe0 + below(&g->r, 3)), (uint8_t)(start - c->at - 2));
}

static void flow(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;
	uint32_t to = g->block[below(r, BLOCKS)] + (chance(r, 15) ? below(r, 40) : 0);
	uint64_t ip = PROGRAM + g->alias - g->cs_base + to;

	switch (below(r, 14)) {
	case 0: default: /* over something */
		CODE(c, (uint8_t)(0x70 | below(r, 16)), (uint8_t)below(r, 24));
		break;
	case 1: case 2:
		loop(g, c);
		break;
	case 3:
		code_near(c, 0xe8, to);
		break;
	case 4: /* CALL or JMP by a register */
		code_set(c, RAX, ip);
		CODE(c, 0xff, chance(r, 50) ? 0xd0 : 0xe0);
		break;
	case 5: /* by memory */
		code_set(c, RBX, program_data(g, DATA));
		code_set(c, RAX, ip);
		CODE(c, 0x89, 0x03 | (c->bits == 16 ? 4 : 0));
		CODE(c, 0xff, (chance(r, 50) ? 0x13 : 0x23) | (c->bits == 16 ? 4 : 0));
		break;
	case 6: /* a jump into itself or what was just there */
		CODE(c, (uint8_t)(chance(r, 30) ? 0xeb : 0x70 | below(r, 16)), (uint8_t)(0u - 1 - below(r, 12)));
		break;
	}
}

static void halt(struct guest *g, struct code *c)
{
	CODE(c, chance(&g->r, 85) ? 0xfb : 0xfa, 0xf4);
}

/* The same instruction over and over, so that a block is full of it. */
static void brim(struct guest *g, struct code *c)
{
	uint8_t b[15];
	unsigned len = fragment_draw(g, c, b);

	code_set(c, below(&g->r, 8) | 1, program_value(g));
	for (unsigned n = 20 + below(&g->r, 50); n > 0; n--)
		code_bytes(c, b, len);
}

static void known(struct guest *g, struct code *c)
{
	const struct known *k = &known_list[below(&g->r, known_count)];

	if (k->modes >> g->mode & 1)
		k->write(g, c);
}

void fragment(struct guest *g, struct code *c, enum kind k)
{
	switch (k) {
	case K_RANDOM: random_code(g, c); break;
	case K_SET: set_some(g, c); break;
	case K_CONTROL: fragment_control(g, c); break;
	case K_MSR: fragment_msr(g, c); break;
	case K_SYSTEM: fragment_system(g, c); break;
	case K_FAR: fragment_far(g, c); break;
	case K_SEGMENT: fragment_segment(g, c); break;
	case K_STRING: string(g, c); break;
	case K_PORT: fragment_port(g, c); break;
	case K_DEVICE: fragment_device(g, c); break;
	case K_DMA: fragment_dma(g, c); break;
	case K_MODIFY: modify(g, c); break;
	case K_STACK:
		if (chance(&g->r, 60))
			stack_on_code(g, c);
		else
			odd_stack(g, c);
		break;
	case K_FLOW: flow(g, c); break;
	case K_FLAGS: fragment_flags(g, c); break;
	case K_HALT: halt(g, c); break;
	case K_BRIM: brim(g, c); break;
	case K_KNOWN: known(g, c); break;
	case KINDS: break;
	}
}
