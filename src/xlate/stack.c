// SPDX-License-Identifier: GPL-2.0-or-later
/* what: instructions with a lowering of their own that are not control flow: stack, LEA, bit tests, helper calls
 *
 * Every check of an instruction comes before its first change of guest state, so that a fault leaves the
 * state of the instruction's beginning. Values that live across a second access wait in cpu->tmp.
 */
#include "xlate/xlate_int.h"

void xlate_stack_add(struct tr *t, int32_t n)
{
	unsigned st = t->dec[t->i].in.stsize;
	if (st != 2) {
		emit_lea(&t->e, st, H_GSP, H_GSP, H_NONE, 1, n);
		return;
	}
	xlate_homed_take(t, S1);
	emit_lea(&t->e, 4, S1, H_GSP, H_NONE, 1, n);
	emit_mov(&t->e, 2, H_GSP, S1);
}

/* The stack at guest register g (RSP, RBP) + n. */
static struct guest_mem stack_at(const struct dec *d, unsigned g, int32_t n)
{
	return (struct guest_mem){ .seg = SEG_SS, .base = (uint8_t)g, .index = INSN_NOREG, .adsize = d->in.stsize,
		.disp = n };
}

void xlate_stack_push(struct tr *t, const struct dec *d, unsigned size, body_fn *body)
{
	xlate_lower_access(t, &(struct access){ .at = stack_at(d, RSP, -(int32_t)d->in.opsize), .size = (uint16_t)size,
		.store = true, .body = body });
}

void xlate_stack_pop(struct tr *t, const struct dec *d, unsigned size, body_fn *body)
{
	xlate_lower_access(t, &(struct access){ .at = stack_at(d, RSP, 0), .size = (uint16_t)size, .load = true,
		.body = body });
}

void xlate_stack_imm(struct tr *t, const struct host_mem *m, unsigned width, uint64_t imm, int32_t more)
{
	struct emit *e = &t->e;
	if (width == 8 && (int64_t)imm != (int32_t)imm) {
		unsigned s = xlate_homed_free(t, xlate_homed_used(m));
		xlate_move_rip(t, s, imm); /* no PUSH has such an immediate */
		xlate_lower_op(t, m, 8, 0x89, s, more);
		return;
	}
	xlate_lower_prefix(t, m);
	if (width == 2)
		e1(e, 0x66);
	emit_rex(e, width == 8, 0, m->index, m->base, false);
	e1(e, 0xc7);
	emit_modrm_mem(e, 0, m->base, m->index, m->scale, m->disp + more);
	if (width == 2)
		e2(e, imm & 0xff, imm >> 8 & 0xff);
	else
		e_32(e, (uint32_t)imm);
}

void xlate_stack_to_tmp(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_homed_take(t, S2);
	xlate_lower_load(t, m, d->in.opsize, S2);
	emit_st_cpu(&t->e, 8, CPU_OFF(tmp), S2);
}

void xlate_stack_from_tmp(struct tr *t, const struct host_mem *m, unsigned width)
{
	unsigned s = xlate_homed_free(t, xlate_homed_used(m));
	emit_ld_cpu(&t->e, 8, s, CPU_OFF(tmp));
	xlate_lower_op(t, m, width, width == 1 ? 0x88 : 0x89, s, 0);
}

static const struct dec_field *push_reg(const struct dec *d)
{
	return d->f_opc.gpr ? &d->f_opc : d->f_rm.gpr && !d->in.has_mem ? &d->f_rm : NULL;
}

/* The host register with guest register g while there is an operand. */
static unsigned held(struct tr *t, unsigned g, const struct host_mem *m)
{
	if (!xlate_lower_homed(g) || xlate_homed_find(t, g) != H_NONE)
		return xlate_lower_reg(t, g, S0);
	return xlate_lower_reg(t, g, xlate_homed_free(t, xlate_homed_used(m)));
}

static void push_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	const struct dec_field *f = push_reg(d);
	unsigned size = d->in.opsize;
	if (d->in.has_mem) {
		xlate_stack_from_tmp(t, m, size);
	} else if (f) {
		xlate_lower_op(t, m, size, 0x89, held(t, f->num, m), 0);
	} else {
		xlate_stack_imm(t, m, size, d->in.imm, 0);
	}
	xlate_stack_add(t, -(int32_t)size);
}

void xlate_insn_push(struct tr *t, const struct dec *d)
{
	if (d->in.has_mem)
		xlate_lower_read(t, d, d->in.opsize, xlate_stack_to_tmp);
	xlate_stack_push(t, d, d->in.opsize, push_body);
}

/* s is what homed register g has become, or so many bytes of it. */
static void homed_popped(struct tr *t, unsigned g, unsigned s, unsigned size)
{
	emit_st_cpu(&t->e, size == 4 ? 8 : size, g * 8, s);
	xlate_homed_holds(t, s, g, false);
	if (size < 4)
		xlate_homed_take(t, s);
}

/* The load comes first: it faults where an unused near entry has let a non-canonical address pass. POP SP ends with
 * what was popped. */
static void pop_reg_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	struct emit *e = &t->e;
	unsigned g = push_reg(d)->num, size = d->in.opsize;
	if (g == RSP) {
		xlate_homed_take(t, S0);
		xlate_lower_load(t, m, size, S0);
		xlate_stack_add(t, (int32_t)size);
		emit_mov(e, size, H_GSP, S0);
		return;
	}
	if (xlate_lower_homed(g)) {
		unsigned s = xlate_homed_free(t, xlate_homed_used(m));
		xlate_lower_op(t, m, size, 0x8b, s, 0);
		homed_popped(t, g, s, size);
	} else {
		xlate_lower_op(t, m, size, 0x8b, xlate_lower_host(g), 0);
	}
	xlate_stack_add(t, (int32_t)size);
}

static void pop_mem_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_stack_from_tmp(t, m, d->in.opsize);
	xlate_stack_add(t, d->in.opsize);
}

void xlate_insn_pop(struct tr *t, const struct dec *d)
{
	if (!d->in.has_mem) {
		xlate_stack_pop(t, d, d->in.opsize, pop_reg_body);
		return;
	}
	xlate_stack_pop(t, d, d->in.opsize, xlate_stack_to_tmp);
	struct access to = { .at = xlate_lower_operand(d), .size = d->in.opsize, .store = true, .body = pop_mem_body };
	if (d->in.base == RSP) /* the address is computed with the stack pointer already raised (SDM POP) */
		to.at.disp += d->in.opsize;
	xlate_lower_access(t, &to);
}

static void leave_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	struct emit *e = &t->e;
	unsigned size = d->in.opsize, st = d->in.stsize;
	xlate_lower_load(t, m, size, S0);
	if (st == 2) {
		emit_lea(e, 4, S1, H_RBP, H_NONE, 1, (int32_t)size);
		emit_mov(e, 2, H_GSP, S1);
	} else {
		emit_lea(e, st, H_GSP, H_RBP, H_NONE, 1, (int32_t)size);
	}
	emit_mov(e, size, H_RBP, S0);
}

void xlate_insn_leave(struct tr *t, const struct dec *d)
{
	xlate_lower_access(t, &(struct access){ .at = stack_at(d, RBP, 0), .size = d->in.opsize, .load = true,
		.body = leave_body });
}

void xlate_insn_lea(struct tr *t, const struct dec *d)
{
	struct emit *e = &t->e;
	unsigned g = d->f_reg.num, size = d->in.opsize;
	const struct guest_mem m = xlate_lower_operand(d);
	if (size >= 4 && m.adsize >= 4) {
		unsigned dst = xlate_lower_homed(g) ? S0 : xlate_lower_host(g);
		xlate_lower_ea_to(t, &m, dst, MIN(size, m.adsize));
		if (dst == S0)
			xlate_homed_holds(t, S0, g, true);
		return;
	}
	xlate_homed_forget(t);
	xlate_lower_ea(t, &m);
	xlate_homed_begin(t);
	if (!xlate_lower_homed(g)) {
		emit_mov(e, size, xlate_lower_host(g), S0);
		return;
	}
	if (size == 4)
		emit_mov(e, 4, S0, S0);
	emit_st_cpu(e, size == 4 ? 8 : size, g * 8, S0);
}

/* The host adds the bit offset's part of the address by itself: take it off the pointer first (tmp[1] = minus it). */
static void bt_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	emit_ld_cpu(&t->e, 8, S1, CPU_OFF(tmp) + 8);
	emit_lea(&t->e, 8, S0, S0, S1, 1, 0);
	xlate_copy(t, d, m);
}

/* BT family with a register bit offset reaches memory beyond the operand: address + (offset >> n) operands (SDM BT). */
void xlate_insn_bt(struct tr *t, const struct dec *d)
{
	struct emit *e = &t->e;
	unsigned size = d->in.opsize, log = size == 8 ? 6 : size == 4 ? 5 : 4;
	bool saved = t->live[t->i] != 0;
	const struct access a = { .at = xlate_lower_operand(d), .size = (uint16_t)size, .load = true, .store = d->mem_wr,
		.body = bt_body };
	xlate_lower_ea(t, &a.at);
	unsigned src = xlate_lower_reg(t, d->f_reg.num, S1);
	if (size == 2) {
		emit_rex(e, true, S1, H_NONE, src, true);
		e3(e, 0x0f, 0xbf, 0xc0 | (S1 & 7) << 3 | (src & 7)); /* movsx r64, r16 */
	} else {
		emit_op_reg(e, 8, size == 8 ? 0x8b : 0x63, S1, src);
	}
	if (saved)
		emit_flags_save(e);
	e3(e, 0x49, 0xc1, 0xf8 | (S1 & 7)); /* sar S1, log */
	e1(e, log);
	e3(e, 0x49, 0xc1, 0xe0 | (S1 & 7)); /* shl S1, log - 3 */
	e1(e, log - 3);
	emit_op_reg(e, d->in.adsize == 8 ? 8 : 4, 0x03, S0, S1);
	e3(e, 0x49, 0xf7, 0xd8 | (S1 & 7)); /* neg S1 */
	emit_st_cpu(e, 8, CPU_OFF(tmp) + 8, S1);
	if (d->in.adsize == 2) {
		emit_rex(e, false, S0, H_NONE, S0, false);
		e3(e, 0x0f, 0xb7, 0xc0 | (S0 & 7) << 3 | (S0 & 7));
	}
	if (saved)
		emit_flags_restore(e);
	xlate_lower_checked(t, &a);
}

void xlate_insn_helper(struct tr *t, const struct dec *d)
{
	struct xsite *site = xlate_cache_alloc(t->x, sizeof(*site));
	site->in = d->in;
	site->rip = t->rip;
	site->ends = d->ends;
	xlate_move_site(t, S0, site);
	emit_call_cpu(&t->e, X_OFF(thunk) + XT_HELPER * 8);
}

/* --- runs of pushes and pops ---
 *
 * Prologues and epilogues push and pop register after register: one check serves the whole run, and a RET behind
 * pops too. If it misses, because the stack crosses a page there, say, the cold stub does the instructions one by one.
 */

static bool is_plain(const struct dec *d, unsigned cls)
{
	return d->cls == cls && !d->in.has_mem && d->in.stsize == 8 && d->in.opsize == 8 &&
		(cls == DC_PUSH || push_reg(d)->num != RSP);
}

static unsigned run_length(const struct tr *t, unsigned cls)
{
	unsigned n = 0;
	while (t->i + n < t->n && n < STACK_RUN_MAX && is_plain(&t->dec[t->i + n], cls))
		n++;
	return n;
}

static void push_run_body(struct tr *t, const struct dec *first, const struct host_mem *m)
{
	struct emit *e = &t->e;
	unsigned n = run_length(t, DC_PUSH);
	for (unsigned j = 0; j < n; j++) {
		const struct dec_field *f = push_reg(&first[j]);
		int32_t at = (int32_t)(8 * (n - 1 - j));
		if (!f) {
			xlate_stack_imm(t, m, 8, first[j].in.imm, at);
		} else if (f->num == RSP) {
			unsigned s = xlate_homed_free(t, xlate_homed_used(m));
			emit_lea(e, 8, s, H_GSP, H_NONE, 1, -(int32_t)(8 * j));
			xlate_lower_op(t, m, 8, 0x89, s, at);
		} else {
			xlate_lower_op(t, m, 8, 0x89, held(t, f->num, m), at);
		}
	}
	emit_lea(e, 8, H_GSP, H_GSP, H_NONE, 1, -(int32_t)(8 * n));
}

/* A RET that follows the pops at once, or NULL. */
static const struct dec *run_ret(const struct tr *t, unsigned n)
{
	const struct dec *d = &t->dec[t->i + n];
	return t->i + n < t->n && d->cls == DC_RET && d->in.opsize == 8 && d->in.stsize == 8 ? d : NULL;
}

static void pop_run_body(struct tr *t, const struct dec *first, const struct host_mem *m)
{
	struct emit *e = &t->e;
	unsigned n = run_length(t, DC_POP);
	const struct dec *ret = run_ret(t, n);
	for (unsigned j = 0; j < n; j++) {
		unsigned g = push_reg(&first[j])->num;
		bool homed = xlate_lower_homed(g);
		unsigned to = homed ? xlate_homed_free(t, xlate_homed_used(m)) : xlate_lower_host(g);
		xlate_lower_op(t, m, 8, 0x8b, to, (int32_t)(8 * j));
		if (homed)
			homed_popped(t, g, to, 8);
	}
	if (ret) {
		xlate_homed_take(t, S0);
		xlate_lower_op(t, m, 8, 0x8b, S0, (int32_t)(8 * n));
	}
	emit_lea(e, 8, H_GSP, H_GSP, H_NONE, 1, (int32_t)(8 * n + (ret ? 8 + (ret->in.imm & 0xffff) : 0)));
}

unsigned xlate_insn_stack_run(struct tr *t)
{
	if (t->key & KEY_ALIGN)
		return 0;
	const struct dec *d = &t->dec[t->i];
	unsigned pushes = run_length(t, DC_PUSH), pops = run_length(t, DC_POP);
	bool ret = pops && run_ret(t, pops);
	unsigned n = pushes + pops + ret;
	if (n < 2)
		return 0;
	xlate_lower_access(t, &(struct access){ .at = stack_at(d, RSP, -(int32_t)(8 * pushes)), .size = (uint16_t)(8 * n),
		.load = pops > 0, .store = pushes > 0, .more = (uint8_t)(n - 1), .body = pops ? pop_run_body : push_run_body });
	if (ret) {
		xlate_block_begin_insn(t, t->i + pops);
		xlate_exit_return_to(t);
	}
	return n;
}
