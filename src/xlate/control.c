// SPDX-License-Identifier: GPL-2.0-or-later
/* what: control transfers: exits of a block, calls, returns, conditional jumps, loops
 *
 * Three ways out of a block, cheapest first:
 *   chained     the target is known: rel32, patched once the target exists (link.c)
 *   jump cache  S0 = target RIP, jump through cpu->jc: a computed target. What a slot holds compares S0 with the RIP
 *               of its block, so a slot never needs a tag
 *   return      a RET: the same through cpu->rc, a small cache that the CALL has filled
 *   run loop    everything else, and jumps to other pages of code whose CS is not flat
 *
 * Safe points: before a jump backwards the code loads from *cpu->poll. A kick makes that 0; the fault brings the vCPU
 * back with guest state exact (fault_sig.c). Computed jumps and RETs need no load of their own: a kick changes how they
 * choose a slot, so that they meet the gate of another block, or none, and that leads to C, which looks at poll:
 *
 *     jump cache     a seed of 1 instead of 0 adds 0x7d27 to each sum: never the slot of the same RIP
 *     return cache   no bits of RIP are left: slot 0. Blocks that belong there ask in their gates
 */
#include "xlate/xlate_int.h"

static bool flat_code(const struct tr *t)
{
	return t->key & KEY_FLAT_CS;
}

static void emit_poll(struct tr *t)
{
	emit_ld_cpu(&t->e, 8, S1, X_OFF(poll));
	emit_op_mem(&t->e, 4, 0x8b, S1, S1, H_NONE, 1, 0);
}

static uint32_t here(const struct tr *t)
{
	return (uint32_t)(t->e.p - t->x->c->rw);
}

static bool same_page(const struct tr *t, uint64_t target)
{
	uint64_t a = t->b->rip + t->b->cs_base, b = target + t->b->cs_base;
	return !((a ^ b) & (key_code64(t->key) ? ~0xfffull : 0xfffff000u));
}

static struct xexit *new_exit(struct tr *t, uint64_t target)
{
	must(t->nexits < BLOCK_MAX_EXITS);
	struct xexit *ex = &t->exits[t->nexits++];
	*ex = (struct xexit){ .target = target, .ks = t->ks, .near = same_page(t, target) };
	ex->linkable = !t->step && (ex->near || flat_code(t));
	return ex;
}

/* S2 says where a jump to a RIP that may not be valid is: its #GP belongs to it, not to the target. */
static void note_source(struct tr *t)
{
	const struct dec *d = &t->dec[t->i];
	xlate_move_here(t, S2);
	if (d->cls == DC_CALL)
		t->e.p[-1] |= (uint8_t)(d->in.opsize / 2 << (LEFT_AT_BITS - 24));
}

static bool beyond_limit(const struct tr *t, uint64_t target)
{
	return !flat_code(t) && target > t->b->cs_limit;
}

/* The four bytes of a displacement, so far behind here, are to lie within eight aligned ones: they change while other
 * CPUs may run them. What moves keeps its place in these (block.c). */
static void align_site(struct tr *t, unsigned opcode)
{
	unsigned at = (unsigned)((uintptr_t)t->e.p + opcode) % 8;

	if (t->x->c->shared && at > 4)
		emit_nop(&t->e, 8 - at);
}

/* S1 = slot for S0 in a jump cache, behind a safe point. */
static void emit_jc_slot(struct tr *t)
{
	struct emit *e = &t->e;
	if (!t->x->crc32) {
		emit_poll(t);
		emit_movzx(e, 1, S1, S0);
		return;
	}
	emit_ld_cpu(e, 8, S1, X_OFF(jc_seed));
	e3(e, 0xf2, 0x4d, 0x0f); /* crc32 S1, S0 */
	e3(e, 0x38, 0xf1, 0xc0 | (S1 & 7) << 3 | (S0 & 7));
	emit_movzx(e, 2, S1, S1);
}

/* S1 = slot for S0 in a return cache, behind a safe point. */
static void emit_rc_slot(struct tr *t)
{
	struct emit *e = &t->e;
	if (!t->x->bmi2) {
		emit_poll(t);
		emit_movzx(e, 1, S1, S0);
		return;
	}
	e3(e, 0xc4, 0x62, 0x80 | (~S0 & 15u) << 3 | 2); /* pext S1, S0, [rc_mask] */
	e1(e, 0xf5);
	emit_modrm_mem(e, S1, H_RSP, H_NONE, 1, (int32_t)X_OFF(rc_mask));
}

/* S0 = target RIP, already truncated: to the run loop if it has to be. */
static bool exit_unknown(struct tr *t)
{
	note_source(t);
	if (!t->step && flat_code(t))
		return false;
	emit_jmp_cpu(&t->e, X_OFF(thunk) + XT_EXIT_INDIRECT * 8);
	return true;
}

static void exit_indirect(struct tr *t)
{
	struct emit *e = &t->e;
	if (exit_unknown(t))
		return;
	emit_jc_slot(t);
	emit_rex(e, false, 0, S1, H_RSP, false);
	e1(e, 0xff); /* jmp */
	emit_modrm_mem(e, 4, H_RSP, S1, 8, (int32_t)(X_OFF(jc) + t->ks * JC_SIZE * 8));
}

void xlate_exit_return_to(struct tr *t)
{
	struct emit *e = &t->e;
	if (exit_unknown(t))
		return;
	emit_rc_slot(t);
	emit_rex(e, false, 0, S1, H_RSP, false);
	e1(e, 0xff); /* jmp */
	emit_modrm_mem(e, 4, H_RSP, S1, 8, (int32_t)(X_OFF(rc) + t->ks * RC_SIZE * 8));
}

/* Leave the way to the instruction behind a call in the return cache. */
static void offer_return(struct tr *t, uint64_t ret)
{
	struct emit *e = &t->e;
	if (t->step || !flat_code(t))
		return;
	struct xexit *ex = new_exit(t, ret);
	ex->returns = true;
	align_site(t, 3);
	e3(e, 0x4c, 0x8d, (S1 & 7) << 3 | 5); /* lea S1, [rip + disp] */
	ex->disp_off = here(t);
	e_32(e, 0);
	emit_st_cpu(e, 8, X_OFF(rc) + (t->ks * RC_SIZE + xlate_rc_slot(t->x, ret)) * 8, S1);
}

void xlate_exit_to(struct tr *t, uint64_t target)
{
	struct xexit *ex = new_exit(t, target);
	if (ex->linkable && target <= t->rip) {
		ex->poll_off = here(t);
		emit_poll(t);
		ex->poll_off = here(t) - 3; /* the load that faults */
	}
	align_site(t, 1);
	ex->disp_off = (uint32_t)(emit_jcc(&t->e, -1) - t->x->c->rw);
}

static uint64_t branch_target(struct tr *t, const struct dec *d)
{
	uint64_t to = t->rip + d->in.len + d->in.imm;
	if (!key_code64(t->key) && to >> 32)
		xlate_move_never(t);
	return d->in.opsize == 8 ? to : d->in.opsize == 4 ? (uint32_t)to : (uint16_t)to;
}

/* The #GP of a branch beyond the limit is the branch's, also where its target is the next instruction; the one of
 * running into the limit is not. */
static void branch_to(struct tr *t, uint64_t target)
{
	if (!beyond_limit(t, target)) {
		xlate_exit_to(t, target);
		return;
	}
	xlate_move_rip(t, S0, target);
	note_source(t);
	emit_jmp_cpu(&t->e, X_OFF(thunk) + XT_EXIT_INDIRECT * 8);
}

static void truncate_s0(struct tr *t, unsigned size)
{
	if (size == 4)
		emit_mov(&t->e, 4, S0, S0);
	if (size == 2)
		emit_movzx(&t->e, 2, S0, S0);
}

static void ret_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_homed_take(t, S0);
	xlate_lower_load(t, m, d->in.opsize, S0);
	xlate_stack_add(t, (int32_t)(d->in.opsize + (d->in.imm & 0xffff)));
}

void xlate_insn_ret(struct tr *t, const struct dec *d)
{
	xlate_stack_pop(t, d, d->in.opsize, ret_body);
	xlate_exit_return_to(t);
}

static uint64_t return_rip(const struct tr *t, const struct dec *d)
{
	uint64_t ret = t->rip + d->in.len;
	return d->in.opsize == 8 ? ret : d->in.opsize == 4 ? (uint32_t)ret : (uint16_t)ret;
}

static void push_return_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_stack_imm(t, m, d->in.opsize, return_rip(t, d), 0);
	if (!key_code64(t->key))
		xlate_move_imm32(t);
	xlate_stack_add(t, -(int32_t)d->in.opsize);
}

void xlate_insn_call(struct tr *t, const struct dec *d)
{
	struct emit *e = &t->e;
	if (d->in.has_mem) {
		xlate_lower_read(t, d, d->in.opsize, xlate_stack_to_tmp);
	} else if (!d->imm_target) {
		unsigned r = xlate_lower_reg(t, d->f_rm.num, S1);
		emit_st_cpu(e, 8, CPU_OFF(tmp), r);
	}
	xlate_stack_push(t, d, d->in.opsize, push_return_body);
	offer_return(t, return_rip(t, d));
	if (d->imm_target) {
		branch_to(t, branch_target(t, d));
		return;
	}
	emit_ld_cpu(e, 8, S0, CPU_OFF(tmp));
	truncate_s0(t, d->in.opsize);
	exit_indirect(t);
}

static void jmp_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_lower_load(t, m, d->in.opsize, S0);
}

void xlate_insn_jmp(struct tr *t, const struct dec *d)
{
	if (d->imm_target) {
		branch_to(t, branch_target(t, d));
		return;
	}
	if (d->in.has_mem) {
		xlate_lower_read(t, d, d->in.opsize, jmp_body);
	} else {
		emit_mov(&t->e, 8, S0, xlate_lower_reg(t, d->f_rm.num, S0));
		truncate_s0(t, d->in.opsize);
	}
	exit_indirect(t);
}

void xlate_insn_jcc(struct tr *t, const struct dec *d)
{
	uint64_t target = branch_target(t, d);
	if (!t->step && (same_page(t, target) || flat_code(t)) && target > t->rip && !beyond_limit(t, target)) {
		struct xexit *ex = new_exit(t, target);
		align_site(t, 2);
		ex->disp_off = (uint32_t)(emit_jcc(&t->e, d->cc) - t->x->c->rw);
		return;
	}
	struct scratch held[SCRATCHES];
	memcpy(held, t->scratch, sizeof(held));
	uint8_t *over = emit_short(&t->e, 0x70 | (d->cc ^ 1));
	branch_to(t, target);
	emit_patch_short(over, t->e.p);
	memcpy(t->scratch, held, sizeof(held));
}

/* LOOP, LOOPE, LOOPNE, JCXZ by address size; flags stay as they are (SDM LOOP). */
void xlate_insn_loop(struct tr *t, const struct dec *d)
{
	struct emit *e = &t->e;
	unsigned ad = d->in.adsize;
	bool jcxz = d->cc == 0xe3;
	uint8_t *not_zf = NULL;
	if (!jcxz && ad == 2) {
		emit_lea(e, 4, S1, H_RCX, H_NONE, 1, -1);
		emit_mov(e, 2, H_RCX, S1);
	} else if (!jcxz) {
		emit_lea(e, ad, H_RCX, H_RCX, H_NONE, 1, -1);
	}
	if (d->cc == 0xe0 || d->cc == 0xe1)
		not_zf = emit_jcc(e, d->cc == 0xe1 ? 5 : 4); /* LOOPE ends on ZF = 0, LOOPNE on ZF = 1 */
	emit_mov(e, 8, S2, H_RCX);
	if (ad == 2) {
		e3(e, 0x0f, 0xb7, 0xc9); /* movzx ecx, cx */
	} else if (ad == 4) {
		emit_mov(e, 4, H_RCX, H_RCX);
	}
	uint8_t *zero = emit_short(e, 0xe3);
	emit_mov(e, 8, H_RCX, S2);
	if (jcxz) {
		uint8_t *out = emit_jcc(e, -1);
		emit_patch_short(zero, e->p);
		emit_mov(e, 8, H_RCX, S2);
		branch_to(t, branch_target(t, d));
		emit_patch(out, e->p);
		return;
	}
	uint8_t *taken = emit_jcc(e, -1);
	emit_patch_short(zero, e->p);
	emit_mov(e, 8, H_RCX, S2);
	uint8_t *out = emit_jcc(e, -1);
	emit_patch(taken, e->p);
	branch_to(t, branch_target(t, d));
	emit_patch(out, e->p);
	if (not_zf)
		emit_patch(not_zf, e->p);
}
