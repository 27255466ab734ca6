// SPDX-License-Identifier: GPL-2.0-or-later
/* what: bytes of code, and the few instructions that every mode's programs need
 *
 * What does not fit any more is left out whole: code_bytes() checks, the callers do not.
 */
#include "guestfuzz.h"

void code_bytes(struct code *c, const void *p, unsigned n)
{
	if (c->at + n > c->end)
		return;
	memcpy(c->base + c->at, p, n);
	c->at += n;
}

void code_u(struct code *c, uint64_t v, unsigned size)
{
	uint8_t b[8];

	put_le64(b, v);
	code_bytes(c, b, size);
}

void code_opsize(struct code *c, unsigned size)
{
	if ((c->bits == 16) != (size == 2))
		CODE(c, 0x66);
}

void code_adsize(struct code *c, unsigned size)
{
	if (c->bits == 64 ? size == 4 : (c->bits == 16) != (size == 2))
		CODE(c, 0x67);
}

void code_set(struct code *c, unsigned reg, uint64_t v)
{
	bool wide = c->bits == 64 && v >> 32;

	if (c->bits != 64 && reg > 7)
		reg &= 7;
	if (c->bits == 16)
		CODE(c, 0x66);
	if (wide || reg > 7)
		CODE(c, (uint8_t)(0x40 | (wide ? 8 : 0) | reg >> 3));
	CODE(c, (uint8_t)(0xb8 | (reg & 7)));
	code_u(c, v, wide ? 8 : 4);
}

void code_set_seg(struct code *c, unsigned seg, uint16_t sel)
{
	code_opsize(c, 2);
	CODE(c, 0xb8);
	code_u(c, sel, 2);
	CODE(c, 0x8e, (uint8_t)(0xc0 | seg << 3));
}

void code_out(struct code *c, uint16_t port, uint32_t v, unsigned size)
{
	code_set(c, RDX, port);
	code_set(c, RAX, v);
	if (size > 1)
		code_opsize(c, size);
	CODE(c, size > 1 ? 0xef : 0xee);
}

void code_in(struct code *c, uint16_t port, unsigned size)
{
	code_set(c, RDX, port);
	if (size > 1)
		code_opsize(c, size);
	CODE(c, size > 1 ? 0xed : 0xec);
}

void code_store(struct code *c, uint64_t addr, uint32_t v, unsigned size)
{
	code_set(c, RBX, addr);
	code_set(c, RAX, v);
	if (c->bits == 16)
		CODE(c, 0x67);
	if (size > 1)
		code_opsize(c, size);
	CODE(c, size > 1 ? 0x89 : 0x88, 0x03);
}

void code_near(struct code *c, uint8_t opcode, uint32_t to)
{
	unsigned size = c->bits == 16 ? 2 : 4;

	CODE(c, opcode);
	code_u(c, to - (c->at + size), size);
}
