// SPDX-License-Identifier: GPL-2.0-or-later
/* what: which x87 instruction was the last: what FNSTENV, FNSAVE, FXSAVE and XSAVE tell of it
 *
 * The host's own pointers are of no use: they hold addresses of translated code, some CPUs keep them out of FXSAVE
 * images unless an exception waits (AMD64 APM vol 2 11.4.4.3), and a switch of host processes then loses them. So each
 * x87 instruction leaves, with one store, the place of its translation in cpu->x87_at, and whoever wants to know looks
 * that up:
 *
 *     mov qword [x87_at], offset in the code cache      --xlate_x87_settle()-->  s.x87_ip, x87_cs, x87_op
 *
 * I1  x87_at names code that is still described by a block, dead or not: it is settled before the cache is flushed and
 *     before the step buffer is used again.
 * I2  The selector is that of CS at the time: who changes CS while x87_at has none writes down the old one
 *     (cpu_x87_keep_cs).
 */
#include "xlate/xlate_int.h"

static unsigned modrm_of(const struct dec *d)
{
	return (unsigned)d->mod << 6 | (d->f_reg.num & 7u) << 3 | (d->f_rm.num & 7u);
}

/* The low bits of the first opcode byte, and ModRM. */
unsigned xlate_x87_opcode(const struct dec *d)
{
	return d->facts & F_X87 ? (d->opcode & 7u) << 8 | modrm_of(d) : 0;
}

void xlate_x87_note(struct tr *t, const struct dec *d)
{
	struct emit *e = &t->e;
	bool set = d->facts & F_X87;
	uint32_t here = (uint32_t)(e->p - t->x->c->rw);

	if (!(d->facts & (F_X87 | F_X87_CLEARS)))
		return;
	emit_op_mem(e, 8, 0xc7, 0, H_RSP, H_NONE, 1, (int32_t)CPU_OFF(x87_at));
	e_32(e, set ? here : UINT32_MAX); /* sign-extended: CPU_X87_CLEARED */
	if (set)
		xlate_move_at(t);
}

void xlate_x87_settle(struct cpu *cpu)
{
	struct cpu_state *s = &cpu->s;
	struct xlate *x = cpu->engine;
	uint64_t at = cpu->x87_at;
	const struct xmap *m;
	const struct block *b;

	if (!at)
		return;
	cpu->x87_at = 0;
	s->x87_dp = s->x87_ds = 0;
	if (at == CPU_X87_CLEARED) {
		s->x87_ip = s->x87_cs = s->x87_op = 0;
		return;
	}
	b = xlate_cache_at(x, (uint64_t)(uintptr_t)xlate_rx(x, (uint32_t)at));
	m = xlate_map_at(x, b, (uint64_t)(uintptr_t)xlate_rx(x, (uint32_t)at));
	s->x87_ip = b->rip + m->guest;
	s->x87_op = m->x87_op;
	if (!(at & CPU_X87_HAS_CS))
		s->x87_cs = s->seg[SEG_CS].sel;
}
