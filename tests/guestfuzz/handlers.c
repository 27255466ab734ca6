// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a guest's handlers: a stub for each vector, the way home, and the frames that are waiting there
 *
 * A frame is what home pops: general registers, segments, and what IRET takes. The stack pointer walks through the
 * frames, one further each time, so that a guest comes by all of its blocks. Home needs no register and no stack of
 * whoever was interrupted.
 */
#include "guestfuzz.h"

static bool has_error(unsigned v)
{
	return v == EXC_DF || (v >= EXC_TS && v <= EXC_PF) || v == EXC_AC;
}

/* The end of an interrupt, for all controllers that might want one. */
static void write_eoi(struct guest *g, struct code *c)
{
	CODE(c, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0xe6, 0xa0); /* push rAX; out */
	if (c->bits == 32)
		CODE(c, 0x36, 0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0); /* mov dword ss:[0xfee000b0], 0 */
	CODE(c, 0x58);
}

/* Drop the error code, let the saved IP be one more, return. */
static void write_skip(struct guest *g, struct code *c, unsigned v)
{
	uint8_t n = (uint8_t)(c->bits / 8);

	if (c->bits == 64)
		CODE(c, 0x48);
	if (g->m->kcs && has_error(v))
		CODE(c, 0x83, 0xc4, n); /* add rSP, n */
	if (has_error(v) && c->bits == 64)
		CODE(c, 0x48);
	if (c->bits == 16)
		CODE(c, 0x67);
	CODE(c, 0xff, 0x04, 0x24); /* inc [rSP] */
	if (c->bits == 64)
		CODE(c, 0x48);
	CODE(c, 0xcf);
}

static void write_stub(struct guest *g, unsigned v)
{
	struct code c = { g->ram + STUBS, 32 * v, 32 * v + 32, g->m->kbits };
	unsigned what = below(&g->r, 100);
	bool irq = v >= 32;

	memset(c.base + c.at, 0x90, 32);
	if (irq && what < 85) {
		write_eoi(g, &c);
		if (what < 45) {
			if (c.bits == 64)
				CODE(&c, 0x48);
			CODE(&c, 0xcf);
			return;
		}
	} else if (what >= 93 && v != EXC_DF && v != EXC_NMI) {
		uint64_t noise[3] = { rnd(&g->r), rnd(&g->r), rnd(&g->r) };

		code_bytes(&c, noise, 8 + below(&g->r, 16));
	} else if (what >= 80 && v != EXC_DF) {
		write_skip(g, &c, v);
		return;
	}
	c.at = MIN(c.at, 32 * v + 27);
	code_near(&c, 0xe9, HOME - STUBS);
}

/* rSP = the next frame. */
static void write_next_frame(struct code *c)
{
	uint32_t mask = FRAMES * FRAME_SIZE - 1, at = FRAMES_AT, counter = COUNTER;

	if (c->bits == 16) {
		at -= STUBS;
		counter -= STUBS;
		CODE(c, 0x36, 0x8b, 0x26);
		code_u(c, counter, 2);
	} else {
		if (c->bits == 64)
			CODE(c, 0x48, 0x8b, 0x24, 0x25);
		else
			CODE(c, 0x36, 0x8b, 0x25);
		code_u(c, counter, 4);
	}
	const struct { uint8_t modrm; uint32_t imm; } ops[] = { { 0xc4, FRAME_SIZE }, { 0xe4, mask }, { 0xcc, at } };

	for (unsigned k = 0; k < ARRAY_LEN(ops); k++) { /* ADD, AND, OR */
		if (c->bits == 64)
			CODE(c, 0x48);
		CODE(c, 0x81, ops[k].modrm);
		code_u(c, ops[k].imm, c->bits == 16 ? 2 : 4);
	}
	if (c->bits == 16)
		CODE(c, 0x36, 0x89, 0x26);
	else if (c->bits == 32)
		CODE(c, 0x36, 0x89, 0x25);
	else
		CODE(c, 0x48, 0x89, 0x24, 0x25);
	code_u(c, counter, c->bits == 16 ? 2 : 4);
}

/* The other half of home, in the order in which put_frames() writes. */
static void write_pops(struct code *c)
{
	CODE(c, 0x0f, 0xa9, 0x0f, 0xa1); /* pop gs; pop fs */
	if (c->bits == 64) {
		CODE(c, 0x58, 0x8e, 0xc0, 0x58, 0x8e, 0xd8); /* pop rax; mov es, eax; the same for ds */
		for (unsigned r = 0; r < 8; r++)
			if (r != RSP)
				CODE(c, (uint8_t)(0x58 | r));
		for (unsigned r = 0; r < 8; r++)
			CODE(c, 0x41, (uint8_t)(0x58 | r));
		CODE(c, 0x48, 0xcf);
		return;
	}
	CODE(c, 0x07, 0x1f); /* pop es; pop ds */
	if (c->bits == 16)
		CODE(c, 0x66);
	CODE(c, 0x61, 0xcf); /* popad; iret */
}

static void write_home(struct guest *g)
{
	struct code c = { g->ram + STUBS, HOME - STUBS, FAULT_ENTRY - STUBS, g->m->kbits };

	CODE(&c, 0xfa); /* cli */
	if (c.bits != 64)
		code_set_seg(&c, SEG_SS, g->m->kcs == 0 ? STUBS >> 4 : c.bits == 16 ? KSS16 : KDS);
	write_next_frame(&c);
	write_pops(&c);
}

/* A task of its own for faults that leave no stack: both tasks are available again, the old one is current, on home. */
static void write_fault_entry(struct guest *g)
{
	struct code c = { g->ram + STUBS, FAULT_ENTRY - STUBS, FAULT_ENTRY - STUBS + 0x100, 32 };

	CODE(&c, 0xc6, 0x05); /* mov byte [...], 0x89 */
	code_u(&c, GDT + (TR_FAULT & ~7) + 5, 4);
	CODE(&c, 0x89, 0xc6, 0x05);
	code_u(&c, GDT + (TR & ~7) + 5, 4);
	CODE(&c, 0x89, 0x66, 0xb8, TR, 0x00, 0x0f, 0x00, 0xd8); /* mov ax, TR; ltr ax */
	CODE(&c, 0x9c, 0x81, 0x24, 0x24);                       /* pushfd; and dword [esp], ~NT; popfd */
	code_u(&c, ~FL_NT, 4);
	CODE(&c, 0x9d, 0xea); /* jmp far */
	code_u(&c, HOME - (g->m->kbits == 16 ? STUBS : 0), 4);
	code_u(&c, g->m->kcs, 2);
}

/* Frames */

static void put_segments(struct guest *g, struct code *f)
{
	unsigned size = g->m->kbits / 8;

	for (unsigned k = 0; k < 4; k++)
		code_u(f, g->m->v86 ? 0 : program_selector(g), size);
}

static void put_registers(struct guest *g, struct code *f)
{
	unsigned n = g->m->kbits == 64 ? 15 : 8;

	for (unsigned k = 0; k < n; k++)
		code_u(f, program_value(g), g->m->kbits == 64 ? 8 : 4);
}

static uint16_t code_selector(struct guest *g)
{
	static const uint16_t other[] = { CS64, CS32, CS16, CS64U, CS32U, CS16U, CONFORMING, EXEC_ONLY };

	if (!g->m->cs)
		return PROGRAM >> 4;
	if (chance(&g->r, 5))
		return chance(&g->r, 70) ? other[below(&g->r, ARRAY_LEN(other))] : (uint16_t)rnd(&g->r);
	return g->m->cs;
}

static uint16_t stack_selector(struct guest *g)
{
	if (chance(&g->r, 4))
		return program_selector(g);
	if (!g->m->cs)
		return chance(&g->r, 90) ? (STACK - REGION / 2) >> 4 : (uint16_t)rnd(&g->r);
	if (g->m->bits == 16)
		return g->m->cpl ? DS16U : DS16;
	return g->m->cpl ? DS32U : chance(&g->r, 90) ? DS32 : DS16;
}

static uint64_t stack_pointer(struct guest *g)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 7, 0xffff, 0x10000, 0xfffffffe, 0x7ffffffffffc, 0x800000000004 };
	uint64_t at = program_data(g, STACK + g->alias * below(&g->r, 2)) & ~15ull;

	if (g->m->bits == 16)
		at = 0xf000;
	if (chance(&g->r, 6))
		return odd[below(&g->r, ARRAY_LEN(odd))];
	if (chance(&g->r, 8) && g->m->bits != 16)
		return program_data(g, PROGRAM + g->alias + g->block[below(&g->r, BLOCKS)] + below(&g->r, 200));
	return chance(&g->r, 20) ? at + below(&g->r, 0x1000) : at;
}

static uint64_t instruction_pointer(struct guest *g)
{
	/* at its other address now and then: what is translated may be copied (xlate/move.c) */
	uint64_t alias = chance(&g->r, 25) ? 0 : g->alias;
	uint64_t ip = PROGRAM + alias + g->block[below(&g->r, BLOCKS)] - g->cs_base;

	if (chance(&g->r, 6))
		ip += below(&g->r, 12);
	if (chance(&g->r, 2))
		ip = chance(&g->r, 50) ? program_value(g) : rnd(&g->r);
	return g->m->bits == 64 ? ip : g->m->bits == 32 ? (uint32_t)ip : (uint16_t)ip;
}

/* As IRET takes it; what it takes only on the way to CPL 3 or from 64-bit code does no harm to others. */
static void put_iret(struct guest *g, struct code *f)
{
	unsigned size = g->m->kbits / 8;
	uint64_t flags = program_flags(g) & ~(uint64_t)(FL_VM | FL_NT);

	code_u(f, instruction_pointer(g), size);
	code_u(f, code_selector(g), size);
	code_u(f, flags | (g->m->v86 ? FL_VM : chance(&g->r, 1) ? FL_NT : 0), size);
	code_u(f, stack_pointer(g), size);
	code_u(f, stack_selector(g), size);
	for (unsigned k = 0; g->m->v86 && k < 4; k++)
		code_u(f, program_selector(g), size);
}

/* Where IRET stays at its level, SP is what it was: the program's own stack is set by its blocks. */
static void put_frames(struct guest *g)
{
	for (unsigned k = 0; k < FRAMES; k++) {
		struct code f = { g->ram + FRAMES_AT, k * FRAME_SIZE, (k + 1) * FRAME_SIZE, g->m->kbits };

		put_segments(g, &f);
		put_registers(g, &f);
		put_iret(g, &f);
	}
	put_le64(g->ram + COUNTER, FRAMES_AT - (g->m->kbits == 16 ? STUBS : 0));
}

void handlers_write(struct guest *g)
{
	for (unsigned v = 0; v < 256; v++)
		write_stub(g, v);
	write_home(g);
	write_fault_entry(g);
	put_frames(g);
}
