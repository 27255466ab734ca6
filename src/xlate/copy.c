// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the same instruction again, re-encoded for the host: registers mapped, memory operand replaced by the host's
 *
 * The opcode, its prefixes and immediates stay; what changes is the register numbers and the form of the
 * memory operand. Three things need care:
 *   - guest registers homed in struct cpu come to scratch registers, and go back when they have to (homed.c),
 *   - AH CH DH BH cannot be named in an instruction with REX, so their bytes are swapped down around it,
 *   - opcodes that 64-bit mode took away (INC r 40+, DEC r 48+, 82, moffs with short addresses) get their long form.
 */
#include "xlate/xlate_int.h"

/* So many instructions ahead the use of a homed register is looked for. */
#define SOON 8

/* A register field on its way to the host's encoding. */
struct slot {
	const struct dec_field *f;
	unsigned host; /* host register number, or the raw number of another kind */
	bool store;    /* homed, and newer than in struct cpu then */
};

struct recode {
	struct tr *t;
	const struct dec *d;
	bool mem;
	struct host_mem m; /* the memory operand; if there is none, neither base nor index */
	struct slot reg, rm, vvvv, opc;
	uint32_t taken; /* host registers in use */
	unsigned swap; /* register whose low bytes are swapped around the instruction, or H_NONE */
};

static bool has_bias(const struct host_mem *m)
{
	return m->index != H_NONE || m->base == S1 || m->base == S2;
}

/* Does the instruction need what register field f holds before it, and is that guest register g? */
static bool needs(const struct dec *d, const struct dec_field *f, unsigned g)
{
	return f->gpr && !f->high && f->num == g && (f->rd || f->size < 4 || d->facts & F_KEEPS);
}

/* A scratch register for homed register g, with its value if the instruction reads it at all. */
static unsigned scratch_for(struct recode *r, unsigned g)
{
	const struct dec *d = r->d;
	unsigned s = xlate_homed_find(r->t, g);
	if (s == H_NONE) {
		s = xlate_homed_free(r->t, r->taken);
		if (needs(d, &d->f_reg, g) || (!r->mem && needs(d, &d->f_rm, g)) || needs(d, &d->f_vvvv, g) ||
		    needs(d, &d->f_opc, g))
			emit_ld_cpu(&r->t->e, 8, s, g * 8);
		xlate_homed_holds(r->t, s, g, false);
	}
	r->taken |= 1u << s;
	return s;
}

static void map_field(struct recode *r, struct slot *s, const struct dec_field *f, bool used)
{
	s->f = f;
	s->host = f->num;
	if (!used || !f->gpr)
		return;
	if (f->high)
		return;
	if (xlate_lower_homed(f->num)) {
		s->host = scratch_for(r, f->num);
		s->store = f->wr;
	} else {
		s->host = xlate_lower_host(f->num);
	}
}

/* A byte register other than AL CL DL BL needs REX to be itself. */
static bool wants_rex(const struct slot *s)
{
	return s->f->gpr && !s->f->high && (s->host & 8 || (s->f->size == 1 && s->host >= 4));
}

static void swap_bytes(struct emit *e, unsigned n)
{
	e2(e, 0x86, 0xc0 | (4 + n) << 3 | n);
}

/* Give a high byte register a place that REX can name. */
static void place_high(struct recode *r, struct slot *s)
{
	struct emit *e = &r->t->e;
	if (!s->f->gpr || !s->f->high)
		return;
	swap_bytes(e, s->f->num);
	if (s->f->wr) {
		r->swap = s->f->num;
		s->host = s->f->num;
		return;
	}
	unsigned sc = xlate_homed_free(r->t, r->taken);
	r->taken |= 1u << sc;
	emit_op_reg(e, 1, 0x8a, sc, s->f->num);
	swap_bytes(e, s->f->num);
	s->host = sc;
}

static void emit_prefixes(struct recode *r)
{
	struct emit *e = &r->t->e;
	if (r->d->lock)
		e1(e, 0xf0);
	if (r->d->pfx66)
		e1(e, 0x66);
	if (r->d->pfxrep)
		e1(e, r->d->pfxrep);
}

static void emit_opcode_map(struct emit *e, unsigned map)
{
	if (map)
		e1(e, 0x0f);
	if (map == 2)
		e1(e, 0x38);
	if (map == 3)
		e1(e, 0x3a);
}

static void emit_modrm(struct recode *r, unsigned reg, unsigned rm)
{
	struct emit *e = &r->t->e;
	if (r->mem)
		emit_modrm_mem(e, reg, r->m.base, r->m.index, r->m.scale, r->m.disp);
	else
		e1(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* One byte of displacement would be scaled (SDM vol 2 2.7.5, disp8*N), and two homed registers may leave no room. */
static void simple_operand(struct recode *r)
{
	const struct dec *d = r->d;
	struct host_mem *m = &r->m;
	const struct dec_field *f[3] = { &d->f_reg, &d->f_vvvv, &d->f_opc };
	uint32_t homed = 0;
	for (unsigned k = 0; k < ARRAY_LEN(f); k++)
		homed |= f[k]->gpr && xlate_lower_homed(f[k]->num) ? 1u << f[k]->num : 0;
	if (!(has_bias(m) || m->low) || ((d->enc != ENC_EVEX || !m->disp) && !(homed & (homed - 1))))
		return;
	xlate_homed_take(r->t, S0);
	emit_lea(&r->t->e, m->low ? 4 : 8, S0, m->base, m->index, m->scale, m->disp);
	*m = (struct host_mem){ .base = S0, .index = H_NONE, .low = m->low };
}

static bool is_moffs(const struct dec *d)
{
	return d->enc == ENC_LEGACY && d->map == 0 && d->opcode >= 0xa0 && d->opcode <= 0xa3;
}

static bool is_short_incdec(const struct dec *d)
{
	return d->enc == ENC_LEGACY && d->map == 0 && (d->opcode & 0xf0) == 0x40;
}

static void emit_legacy(struct recode *r, bool high)
{
	struct emit *e = &r->t->e;
	const struct dec *d = r->d;
	emit_prefixes(r);
	bool force = wants_rex(&r->reg) || wants_rex(&r->rm) || wants_rex(&r->opc);
	unsigned opcode = d->opcode == 0x82 && d->map == 0 ? 0x80 : d->opcode;
	if (is_moffs(d)) {
		static const uint8_t form[4] = { 0x8a, 0x8b, 0x88, 0x89 };
		emit_rex(e, d->rexw, 0, r->m.index, r->m.base, false);
		e1(e, form[d->opcode - 0xa0]);
		emit_modrm(r, 0, 0);
		return;
	}
	if (is_short_incdec(d)) {
		emit_rex(e, false, 0, H_NONE, r->opc.host, false);
		e2(e, 0xff, 0xc0 | (d->opcode & 8) | (r->opc.host & 7));
		return;
	}
	unsigned hi = high ? 4 : 0; /* AH.. keep their own numbers when no REX is needed */
	unsigned reg = r->reg.host + (r->reg.f->high ? hi : 0), rm = r->rm.host + (r->rm.f->high ? hi : 0);
	unsigned opc = r->opc.host + (r->opc.f->high ? hi : 0);
	bool has_opc = r->opc.f->gpr;
	emit_rex(e, d->rexw, d->modrm ? reg : 0, r->m.index,
		has_opc ? opc : r->mem ? r->m.base : d->modrm ? rm : 0, force && !high);
	emit_opcode_map(e, d->map);
	e1(e, has_opc ? (opcode & 0xf8) | (opc & 7) : opcode);
	if (d->modrm)
		emit_modrm(r, reg, rm);
}

/* Of an address register's number; none has 0. */
static unsigned high_bit(unsigned host)
{
	return host == H_NONE ? 0 : host >> 3 & 1;
}

/* SDM vol 2 2.3: three-byte VEX; register bits are inverted. */
static void emit_vex(struct recode *r)
{
	struct emit *e = &r->t->e;
	const struct dec *d = r->d;
	unsigned b = high_bit(r->mem ? r->m.base : r->rm.host), x = high_bit(r->m.index);
	e2(e, 0xc4, (~r->reg.host >> 3 & 1u) << 7 | (x ^ 1u) << 6 | (b ^ 1u) << 5 | d->map);
	e2(e, (unsigned)d->v_w << 7 | (~r->vvvv.host & 15u) << 3 | (unsigned)d->v_l << 2 | d->v_pp, d->opcode);
	if (d->modrm)
		emit_modrm(r, r->reg.host, r->rm.host);
}

/* SDM vol 2 2.7: EVEX. P0: R X B R' 0 mmm; R and R' extend reg, X and B rm. */
static void emit_evex(struct recode *r)
{
	struct emit *e = &r->t->e;
	const struct dec *d = r->d;
	unsigned p0 = d->evex[0], p1 = d->evex[1];
	if (r->reg.f->gpr)
		p0 = (p0 & 0x6fu) | 0x10u | (~r->reg.host >> 3 & 1u) << 7;
	if (r->mem)
		p0 = (p0 & ~0x60u) | (high_bit(r->m.index) ^ 1) << 6 | (high_bit(r->m.base) ^ 1) << 5;
	else if (r->rm.f->gpr)
		p0 = (p0 & ~0x20u) | 0x40u | (~r->rm.host >> 3 & 1u) << 5;
	if (r->vvvv.f->gpr)
		p1 = (p1 & 0x87u) | (~r->vvvv.host & 15u) << 3;
	e1(e, 0x62);
	e3(e, p0, p1, d->evex[2]);
	e1(e, d->opcode);
	emit_modrm(r, r->reg.host, r->rm.host);
}

static void store_homed(struct recode *r)
{
	const struct slot *s[4] = { &r->reg, &r->rm, &r->vvvv, &r->opc };
	for (unsigned k = 0; k < 4; k++)
		if (s[k]->store)
			xlate_homed_holds(r->t, s[k]->host, s[k]->f->num, true);
}

static bool names(const struct dec *d, unsigned g)
{
	return (d->f_reg.gpr && d->f_reg.num == g) || (d->f_rm.gpr && d->f_rm.num == g) ||
		(d->f_vvvv.gpr && d->f_vvvv.num == g) || (d->f_opc.gpr && d->f_opc.num == g) || d->in.base == g ||
		d->in.index == g;
}

/* Is homed register g worth a scratch register? */
static bool used_soon(const struct tr *t, unsigned g)
{
	for (unsigned j = t->i + 1; j < t->n && j <= t->i + SOON; j++)
		if (names(&t->dec[j], g))
			return true;
	return false;
}

/* A homed register as r/m operand may be used where it lies, if the other operand is a register. One that is written in
 * part, or zero-extended, may not: it is loaded as a whole next time. */
static bool in_place(struct tr *t, const struct dec *d)
{
	const struct dec_field *f = &d->f_rm;
	if (!f->gpr || !xlate_lower_homed(f->num) || !(d->facts & F_SAME) || !d->f_reg.gpr || d->imm_len)
		return false;
	if (used_soon(t, f->num) || xlate_homed_find(t, f->num) != H_NONE)
		return false;
	if (f->wr && d->f_reg.num == f->num) /* a scratch register would hold what it was */
		return false;
	return !f->wr || f->size == 8;
}

void xlate_copy(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	static const struct host_mem none = { .base = H_NONE, .index = H_NONE };
	const struct host_mem home = { .base = H_RSP, .index = H_NONE, .disp = d->f_rm.num * 8 };
	if (!m && in_place(t, d))
		m = &home;
	bool mem = m != NULL;
	struct recode r = { .t = t, .d = d, .mem = mem, .m = mem ? *m : none, .swap = H_NONE };
	simple_operand(&r);
	r.taken = xlate_homed_used(&r.m);
	map_field(&r, &r.reg, &d->f_reg, true);
	map_field(&r, &r.rm, &d->f_rm, !mem);
	map_field(&r, &r.vvvv, &d->f_vvvv, true);
	map_field(&r, &r.opc, &d->f_opc, true);
	bool any_high = (d->f_reg.gpr && d->f_reg.high) || (!mem && d->f_rm.gpr && d->f_rm.high) ||
		(d->f_opc.gpr && d->f_opc.high);
	bool rex = d->rexw || mem || wants_rex(&r.reg) || (!mem && wants_rex(&r.rm)) || wants_rex(&r.opc);
	if (any_high && rex) {
		place_high(&r, &r.reg);
		if (!mem)
			place_high(&r, &r.rm);
		place_high(&r, &r.opc);
	}
	xlate_lower_prefix(t, &r.m);
	if (d->enc == ENC_VEX)
		emit_vex(&r);
	else if (d->enc == ENC_EVEX)
		emit_evex(&r);
	else
		emit_legacy(&r, any_high && !rex);
	if (!is_moffs(d))
		for (unsigned k = 0; k < d->imm_len; k++)
			e1(&t->e, d->in.raw[d->imm_off + k]);
	if (r.swap != H_NONE)
		swap_bytes(&t->e, r.swap);
	store_homed(&r);
}
