// SPDX-License-Identifier: GPL-2.0-or-later
/* what: MOVS, STOS and LODS without a repeat prefix: compilers make them of *d++ = *s++ (for all others: insn/string.c)
 *
 * With DF = 1, seldom, the helper does it. I1: both accesses come before RSI and RDI change.
 */
#include "xlate/xlate_int.h"

bool xlate_movs_does(const struct dec *d)
{
	bool op = d->in.op == OP_MOVS || d->in.op == OP_STOS || d->in.op == OP_LODS;
	return op && !d->in.rep && d->in.adsize != 2;
}

bool xlate_movs_goes_by(const struct dec *d, unsigned k)
{
	if (k == RSI)
		return d->in.op != OP_STOS && d->in.seg != SEG_FS && d->in.seg != SEG_GS;
	return k == RDI && d->in.op != OP_LODS;
}

uint16_t xlate_movs_advances(const struct dec *d)
{
	return (d->in.op != OP_STOS ? 1u << RSI : 0) | (d->in.op != OP_LODS ? 1u << RDI : 0);
}

/* [reg] in segment seg. */
static struct guest_mem at(const struct dec *d, unsigned reg, unsigned seg)
{
	return (struct guest_mem){ .seg = (uint8_t)seg, .base = (uint8_t)reg, .index = INSN_NOREG, .adsize = d->in.adsize };
}

static void advance(struct tr *t, const struct dec *d, unsigned reg)
{
	emit_lea(&t->e, d->in.adsize, reg, reg, H_NONE, 1, d->in.opsize);
}

static void movs_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_stack_from_tmp(t, m, d->in.opsize);
	advance(t, d, H_RSI);
	advance(t, d, H_RDI);
}

static void stos_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_lower_op(t, m, d->in.opsize, d->in.opsize == 1 ? 0x88 : 0x89, H_RAX, 0);
	advance(t, d, H_RDI);
}

static void lods_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_lower_op(t, m, d->in.opsize, d->in.opsize == 1 ? 0x8a : 0x8b, H_RAX, 0);
	advance(t, d, H_RSI);
}

void xlate_movs(struct tr *t, const struct dec *d)
{
	const struct access from = { .at = at(d, RSI, d->in.seg), .size = d->in.opsize, .load = true,
		.body = d->in.op == OP_LODS ? lods_body : xlate_stack_to_tmp };
	const struct access to = { .at = at(d, RDI, SEG_ES), .size = d->in.opsize, .store = true,
		.body = d->in.op == OP_STOS ? stos_body : movs_body };
	xlate_system_unless(t, CPU_OFF(s.rflags), FL_DF);
	if (d->in.op != OP_STOS)
		xlate_lower_access(t, &from);
	if (d->in.op != OP_LODS)
		xlate_lower_access(t, &to);
}
