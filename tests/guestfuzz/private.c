// SPDX-License-Identifier: GPL-2.0-or-later
/* what: pieces of programs that change what the CPU is in: control and debug registers, MSRs, tables, segments, far
 * transfers, task switches, flags
 */
#include "guestfuzz.h"

static void flip_bit(struct guest *g, struct code *c, unsigned reg)
{
	code_opsize(c, 4);
	CODE(c, 0x0f, 0xba, (uint8_t)(0xf8 | reg)); /* BTC r32, imm8; in 64-bit code the upper half goes */
	CODE(c, (uint8_t)below(&g->r, 32));
}

static void from_cr(struct code *c, unsigned cr)
{
	CODE(c, 0x0f, 0x20, (uint8_t)(0xc0 | cr << 3));
}

static void to_cr(struct code *c, unsigned cr)
{
	CODE(c, 0x0f, 0x22, (uint8_t)(0xc0 | cr << 3));
}

/* CR0 with a bit changed and, mostly, changed back a few instructions later: paging, protection, caches, TS. */
static void toggle(struct guest *g, struct code *c, unsigned cr, uint8_t bit)
{
	uint8_t b[15];

	for (unsigned k = 0; k < 2; k++) {
		from_cr(c, cr);
		code_opsize(c, 4);
		CODE(c, 0x0f, 0xba, 0xf8, bit); /* btc eax, bit */
		to_cr(c, cr);
		if (chance(&g->r, 15))
			return;
		for (unsigned n = below(&g->r, 4); n > 0 && !k; n--)
			code_bytes(c, b, fragment_draw(g, c, b));
	}
}

void fragment_control(struct guest *g, struct code *c)
{
	static const uint8_t cr0[] = { 0, 1, 2, 3, 3, 5, 16, 16, 18, 18, 29, 30, 31 };
	static const uint8_t cr4[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 20, 20, 21, 21, 22 };
	struct rng *r = &g->r;

	switch (below(r, 9)) {
	case 0: case 1:
		toggle(g, c, 0, cr0[below(r, ARRAY_LEN(cr0))]);
		break;
	case 2: case 3:
		toggle(g, c, 4, cr4[below(r, ARRAY_LEN(cr4))]);
		break;
	case 4: /* the same tables again, or nearly */
		from_cr(c, 3);
		if (chance(r, 30))
			flip_bit(g, c, RAX);
		to_cr(c, 3);
		break;
	case 5:
		code_set(c, RAX, chance(r, 80) ? TABLES | (c->bits == 64 ? rnd(r) & 0x800000000000000f : 0) :
			program_value(g));
		to_cr(c, 3);
		break;
	case 6:
		code_set(c, RAX, chance(r, 50) ? program_value(g) : rnd(r));
		to_cr(c, below(r, 4) ? 2 : below(r, 9));
		break;
	case 7: /* debug registers: where code and data are */
		code_set(c, RAX, chance(r, 60) ? PROGRAM + g->alias + g->block[below(r, BLOCKS)] : program_value(g));
		CODE(c, 0x0f, 0x23, (uint8_t)(0xc0 | below(r, 4) << 3));
		code_set(c, RAX, chance(r, 70) ? 0x400 | (uint32_t)(rnd(r) & 0xffff03ff) : rnd(r));
		CODE(c, 0x0f, 0x23, (uint8_t)(0xf8 - 8 * below(r, 4)));
		break;
	case 8:
		CODE(c, 0x0f, 0x21, (uint8_t)(0xc0 | below(r, 64)));
		if (c->bits == 64)
			CODE(c, 0x44, 0x0f, (uint8_t)(0x20 + 2 * below(r, 2)), 0xc0); /* CR8 */
		break;
	}
}

void fragment_msr(struct guest *g, struct code *c)
{
	static const uint32_t numbers[] = {
#define MSR_RW(number, ...) number,
#define MSR_FIELD(number, ...) number,
#define MSR_CONST(number, ...) number,
#define MSR_COMMAND(number, ...) number,
#define MSR_FIELDS(first, n, ...) first, (first) + (n) / 2, (first) + (n) - 1,
#define MSR_HIDING(first, n, ...) first, (first) + (n) / 2, (first) + (n) - 1,
#define MSR_CONSTS(first, n, ...) first, (first) + (n) / 2, (first) + (n) - 1,
#include "insn/msr.def"
#undef MSR_RW
#undef MSR_FIELD
#undef MSR_CONST
#undef MSR_COMMAND
#undef MSR_FIELDS
#undef MSR_HIDING
#undef MSR_CONSTS
		0x1b, 0x6e0, 0x800, 0x802, 0x803, 0x808, 0x80b, 0x80d, 0x80f, 0x810, 0x820, 0x828, 0x82f, 0x830, 0x832, 0x835,
		0x837, 0x838, 0x839, 0x83e, 0x83f,
	};
	struct rng *r = &g->r;
	bool efer = chance(r, 10);

	code_set(c, RCX, efer ? 0xc0000080 : chance(r, 95) ? numbers[below(r, ARRAY_LEN(numbers))] : rnd(r));
	CODE(c, 0x0f, 0x32); /* rdmsr */
	if (efer || chance(r, 40))
		flip_bit(g, c, chance(r, 80) ? RAX : RDX);
	else if (chance(r, 70))
		code_set(c, RAX, program_value(g));
	if (chance(r, 30))
		code_set(c, RDX, chance(r, 60) ? 0 : program_value(g) >> 32);
	CODE(c, 0x0f, 0x30);
}

/* A pseudo-descriptor in data, and LGDT or LIDT of it, and back again. */
static void load_table(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;
	unsigned which = below(r, 2);
	bool idt = which, same = chance(r, 80);
	uint64_t at = program_data(g, DATA + 0x100);
	uint32_t base = same ? (idt ? IDT : GDT) : (uint32_t)program_value(g);

	if (g->m->bits == 16)
		code_set_seg(c, SEG_DS, g->m->kcs ? DS16 : DATA >> 4);
	if (idt && !g->m->kcs && same)
		base = 0;
	code_store(c, at, (idt ? 0x7ff : 0x1ff) | base << 16, 4);
	code_store(c, at + 4, base >> 16, 4);
	code_store(c, at + 8, 0, 4);
	code_set(c, RBX, at);
	if (c->bits == 16)
		CODE(c, 0x66);
	CODE(c, 0x0f, 0x01, (uint8_t)(0x10 | which << 3 | (c->bits == 16 ? 7 : 3)));
}

static void load_selector(struct guest *g, struct code *c)
{
	static const uint16_t sels[] = { TR, TR_FAULT, TR_OLD, TR_OTHER, LDTR, LDTR, 0, DS32, GATE, TASK_GATE, KDS };
	bool tr = chance(&g->r, 50);

	if (tr && chance(&g->r, 60) && g->m->bits != 16) {
		/* LTR wants it available */
		code_store(c, program_data(g, GDT + TR + 4), chance(&g->r, 90) ? 0x0000890a | TSS >> 16 : 0x830a, 4);
		code_store(c, program_data(g, GDT + TR + 4), 0x00008900 | TSS >> 16, 4);
	}
	code_set(c, RAX, tr && chance(&g->r, 60) ? TR : sels[below(&g->r, ARRAY_LEN(sels))]);
	CODE(c, 0x0f, 0x00, tr ? 0xd8 : 0xd0);
}

static void invalidate(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;

	if (chance(r, 65)) { /* INVLPG of data, of running code, of anything */
		code_set(c, RBX, chance(r, 50) ? program_data(g, PROGRAM + g->alias + c->at) : program_value(g));
		CODE(c, 0x0f, 0x01, (uint8_t)(0x38 | (c->bits == 16 ? 7 : 3)));
		return;
	}
	code_store(c, program_data(g, DATA + 0x200), (uint32_t)below(r, 6), 4);
	code_store(c, program_data(g, DATA + 0x204), 0, 4);
	code_store(c, program_data(g, DATA + 0x208), (uint32_t)program_value(g), 4);
	code_set(c, RBX, program_data(g, DATA + 0x200));
	code_set(c, RAX, below(r, 5));
	CODE(c, 0x66, 0x0f, 0x38, 0x82, (uint8_t)(c->bits == 16 ? 0x07 : 0x03));
}

void fragment_system(struct guest *g, struct code *c)
{
	static const struct { uint8_t n, b[4]; } plain[] = {
		{ 2, { 0x0f, 0x06 } }, { 2, { 0x0f, 0x08 } }, { 2, { 0x0f, 0x09 } }, { 2, { 0x0f, 0xa2 } },
		{ 2, { 0x0f, 0x31 } }, { 2, { 0x0f, 0x33 } }, { 3, { 0x0f, 0x01, 0xf8 } }, { 3, { 0x0f, 0x01, 0xf9 } },
		{ 3, { 0x0f, 0x01, 0xca } }, { 3, { 0x0f, 0x01, 0xcb } }, { 3, { 0x0f, 0x01, 0xd0 } },
		{ 3, { 0x0f, 0x01, 0xe0 } }, { 3, { 0x0f, 0x01, 0xf0 } }, { 3, { 0x0f, 0x00, 0xc8 } },
		{ 3, { 0x0f, 0x00, 0xc0 } }, { 4, { 0xf3, 0x0f, 0xae, 0xd0 } }, { 4, { 0xf3, 0x0f, 0xae, 0xc1 } },
		{ 4, { 0xf3, 0x0f, 0xc7, 0xf8 } }, { 3, { 0x0f, 0x01, 0xc8 } }, { 3, { 0x0f, 0x01, 0xc9 } },
		{ 3, { 0x0f, 0x00, 0xe0 } }, { 3, { 0x0f, 0x00, 0xe8 } }, { 3, { 0x0f, 0x02, 0xc0 } },
		{ 3, { 0x0f, 0x03, 0xc0 } }, { 3, { 0x0f, 0x01, 0x07 } }, { 3, { 0x0f, 0x01, 0x0f } }, { 1, { 0x9b } },
		{ 1, { 0xd6 } }, { 3, { 0x0f, 0xae, 0x3b } }, { 3, { 0x0f, 0x01, 0xd1 } },
	};
	struct rng *r = &g->r;

	switch (below(r, 8)) {
	case 0:
		load_table(g, c);
		break;
	case 1:
		load_selector(g, c);
		break;
	case 2: case 3:
		invalidate(g, c);
		break;
	case 4: /* XSETBV */
		code_set(c, RCX, chance(r, 90) ? 0 : rnd(r));
		code_set(c, RAX, chance(r, 80) ? 1 | below(r, 0x100) : rnd(r));
		code_set(c, RDX, 0);
		CODE(c, 0x0f, 0x01, 0xd1);
		break;
	default:
		for (unsigned n = 1 + below(r, 4); n > 0; n--) {
			unsigned k = below(r, ARRAY_LEN(plain));

			if (chance(r, 60))
				code_set(c, RCX, below(r, 3));
			if (chance(r, 30))
				code_set(c, RAX, program_selector(g));
			code_bytes(c, plain[k].b, plain[k].n);
		}
		break;
	}
}

static void far_pointer(struct code *c, uint64_t ip, uint16_t sel)
{
	code_u(c, ip, c->bits == 16 ? 2 : 4);
	code_u(c, sel, 2);
}

static uint16_t far_selector(struct guest *g)
{
	static const uint16_t sels[] = { GATE, GATE | 3, TASK_GATE, TR_OTHER, TR_OLD, CS32, CS16, CS64, CONFORMING,
		ABSENT, EXEC_ONLY, 0x0c, 0, CS32U };

	if (!g->m->cs)
		return chance(&g->r, 80) ? PROGRAM >> 4 : chance(&g->r, 50) ? 0xf000 : (uint16_t)rnd(&g->r);
	return chance(&g->r, 50) ? g->m->cs : sels[below(&g->r, ARRAY_LEN(sels))];
}

/* Operand-sized pushes: IRET and far RET of a frame of one's own. */
static void far_return(struct guest *g, struct code *c, uint64_t ip, uint16_t sel)
{
	bool iret = chance(&g->r, 60), outer = chance(&g->r, 30);

	if (outer || (iret && c->bits == 64)) {
		CODE(c, 0x68);
		code_u(c, g->m->cpl || outer ? (g->m->bits == 16 ? DS16U : DS32U) : DS32, c->bits == 16 ? 2 : 4);
		CODE(c, 0x68);
		code_u(c, g->m->bits == 16 ? 0xf000 : program_data(g, STACK), c->bits == 16 ? 2 : 4);
	}
	if (iret) {
		CODE(c, 0x68);
		code_u(c, program_flags(g) | (chance(&g->r, 5) ? FL_VM : 0), c->bits == 16 ? 2 : 4);
	}
	CODE(c, 0x68);
	code_u(c, sel, c->bits == 16 ? 2 : 4);
	CODE(c, 0x68);
	code_u(c, ip, c->bits == 16 ? 2 : 4);
	if (c->bits == 64)
		CODE(c, 0x48);
	CODE(c, iret ? 0xcf : 0xcb);
}

static void fast_call(struct guest *g, struct code *c, uint64_t ip)
{
	struct rng *r = &g->r;

	code_set(c, RCX, chance(r, 85) ? ip : program_value(g));
	code_set(c, RDX, chance(r, 85) ? ip : program_value(g));
	code_set(c, R11, program_flags(g));
	switch (below(r, 4)) {
	case 0: CODE(c, 0x0f, 0x05); break;
	case 1:
		if (c->bits == 64 && chance(r, 70))
			CODE(c, 0x48);
		CODE(c, 0x0f, 0x07);
		break;
	case 2: CODE(c, 0x0f, 0x34); break;
	case 3:
		if (c->bits == 64 && chance(r, 70))
			CODE(c, 0x48);
		CODE(c, 0x0f, 0x35);
		break;
	}
}

void fragment_far(struct guest *g, struct code *c)
{
	struct rng *r = &g->r;
	uint64_t ip = PROGRAM + g->alias - g->cs_base + g->block[below(r, BLOCKS)];
	uint16_t sel = far_selector(g);

	if (chance(r, 10))
		ip = program_value(g);
	switch (below(r, 7)) {
	case 0: /* JMP or CALL of an immediate pointer; #UD in 64-bit code */
		CODE(c, chance(r, 50) ? 0xea : 0x9a);
		far_pointer(c, ip, sel);
		break;
	case 1: case 2: { /* of one in memory */
		uint64_t at = program_data(g, DATA + 0x300);

		code_store(c, at, (uint32_t)ip, 4);
		code_store(c, at + (c->bits == 16 ? 2 : 4), sel, 4);
		code_set(c, RBX, at);
		CODE(c, 0xff, (uint8_t)((chance(r, 50) ? 0x28 : 0x18) | (c->bits == 16 ? 7 : 3)));
		break;
	}
	case 3: case 4:
		far_return(g, c, ip, sel);
		break;
	case 5:
		if (chance(r, 70)) {
			CODE(c, 0xcd, chance(r, 50) ? 0x80 : (uint8_t)rnd(r));
			break;
		}
		CODE(c, chance(r, 50) ? 0xf1 : 0xce);
		break;
	case 6:
		fast_call(g, c, ip);
		break;
	}
}

void fragment_segment(struct guest *g, struct code *c)
{
	static const uint8_t pops[] = { 0x07, 0x1f, 0x17 }, pushes[] = { 0x06, 0x0e, 0x16, 0x1e };
	struct rng *r = &g->r;
	unsigned seg = below(r, 6);

	switch (below(r, 6)) {
	case 0: case 1:
		code_set_seg(c, seg, program_selector(g));
		break;
	case 2:
		CODE(c, 0x68);
		code_u(c, program_selector(g), c->bits == 16 ? 2 : 4);
		if (chance(r, 50))
			CODE(c, 0x0f, chance(r, 50) ? 0xa1 : 0xa9);
		else
			CODE(c, pops[below(r, 3)]);
		break;
	case 3:
		CODE(c, pushes[below(r, 4)]);
		CODE(c, 0x0f, chance(r, 50) ? 0xa0 : 0xa8, 0x8c, (uint8_t)(0xc0 | seg << 3));
		break;
	case 4: { /* LDS and its like */
		static const uint8_t ops[] = { 0xb2, 0xb4, 0xb5 };
		uint64_t at = program_data(g, DATA + 0x340);

		code_store(c, at, (uint32_t)program_value(g), 4);
		code_store(c, at + (c->bits == 16 ? 2 : 4), program_selector(g), 4);
		code_set(c, RBX, at);
		if (c->bits != 64 && chance(r, 50))
			CODE(c, 0xc4 + (uint8_t)below(r, 2));
		else
			CODE(c, 0x0f, ops[below(r, 3)]);
		CODE(c, (uint8_t)(0x08 | (c->bits == 16 ? 7 : 3)));
		break;
	}
	case 5: /* in the shadow of SS */
		CODE(c, 0x8c, 0xd0, 0x8e, 0xd0);
		CODE(c, chance(r, 50) ? 0xcc : 0x9d);
		break;
	}
}

/* POPF of TF, IF, NT, AC; STI and CLI; what comes in a shadow. */
void fragment_flags(struct guest *g, struct code *c)
{
	static const uint8_t ones[] = { 0xfa, 0xfb, 0xfb, 0xfc, 0xfd, 0xf5, 0xf8, 0xf9, 0x9e, 0x9f, 0x9c };
	struct rng *r = &g->r;

	if (chance(r, 45)) {
		CODE(c, 0x68);
		code_u(c, program_flags(g) | (chance(r, 20) ? FL_TF : 0), c->bits == 16 ? 2 : 4);
		CODE(c, 0x9d);
		return;
	}
	for (unsigned n = 1 + below(r, 4); n > 0; n--)
		CODE(c, ones[below(r, ARRAY_LEN(ones))]);
}
