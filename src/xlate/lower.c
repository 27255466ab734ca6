// SPDX-License-Identifier: GPL-2.0-or-later
/* what: memory operands lowered to a software TLB check and an access through a host pointer in S0
 * (for those in windows see windowed.c)
 *
 * The check, for an operand of size bytes at linear address ea:
 *
 *     S0 = ea - tag                   sub S0, [near + base register]
 *     miss unless S0 <= 4096 - size   cmp, ja     (catches another page and a page crossing at once)
 *     S0 = host address               add S0, [near + base register + 8]
 *
 * A near entry is the page last used through the same base register; the cold stub looks in the TLB proper,
 *
 *     S1 = slot offset of ea          mov, shr, and
 *     the same with [tlb + S1]
 *
 * and copies what it finds to the near entry.
 *
 * It clobbers arithmetic flags. Where liveness says that they are needed, they wait in AX meanwhile (RAX in S2).
 *
 * A miss goes to a cold stub behind the block: it recovers ea, puts flags and RAX back, calls xlate_slow and
 * resumes. A missed store may have to go through the bounce buffer, so its stub runs the instruction once more on
 * whatever pointer it got and then commits.
 *
 *     struct access --xlate_window_operand()--> struct host_mem --> body        the instruction itself
 *               |`---xlate_lower_checked()----> S0 -------------> body
 *                `--> struct cold --xlate_lower_cold()--> S0 ---> body again     of a store
 */
#include "xlate/xlate_int.h"

bool xlate_lower_homed(unsigned g)
{
	return g == 10 || g == 11 || g == 14 || g == 15;
}

unsigned xlate_lower_host(unsigned g)
{
	return g == RSP ? H_GSP : g;
}

unsigned xlate_lower_reg(struct tr *t, unsigned g, unsigned scratch)
{
	if (!xlate_lower_homed(g))
		return xlate_lower_host(g);
	unsigned held = xlate_homed_find(t, g);
	if (held != H_NONE)
		return held;
	xlate_homed_take(t, scratch);
	emit_ld_cpu(&t->e, 8, scratch, g * 8);
	xlate_homed_holds(t, scratch, g, false);
	return scratch;
}

static const struct host_mem in_s0 = { .base = S0, .index = H_NONE };

static uint64_t truncate(uint64_t v, unsigned size)
{
	return size == 8 ? v : size == 4 ? (uint32_t)v : (uint16_t)v;
}

struct guest_mem xlate_lower_operand(const struct dec *d)
{
	const struct insn *in = &d->in;
	return (struct guest_mem){ .seg = in->seg, .base = in->base, .index = in->index, .scale = in->scale,
		.adsize = in->adsize, .disp = in->disp };
}

bool xlate_lower_fixed(const struct tr *t, const struct guest_mem *m, uint64_t *ea)
{
	if (m->base != INSN_BASE_RIP && (m->base != INSN_NOREG || m->index != INSN_NOREG))
		return false;
	uint64_t next = m->base == INSN_BASE_RIP ? t->rips[t->i + 1] : 0;
	*ea = truncate(next + (uint64_t)m->disp, m->adsize);
	return true;
}

static bool is_scratch(unsigned host)
{
	return host == S0 || host == S1 || host == S2;
}

void xlate_lower_ea_to(struct tr *t, const struct guest_mem *m, unsigned dst, unsigned width)
{
	uint64_t ea;
	if (xlate_lower_fixed(t, m, &ea)) {
		if (is_scratch(dst))
			xlate_homed_take(t, dst);
		if (m->base == INSN_BASE_RIP)
			xlate_move_rip(t, dst, truncate(ea, width));
		else
			emit_mov_imm(&t->e, dst, truncate(ea, width));
		return;
	}
	unsigned base = m->base == INSN_NOREG ? H_NONE : xlate_lower_reg(t, m->base, S0);
	unsigned index = m->index == INSN_NOREG ? H_NONE : xlate_lower_reg(t, m->index, base == S1 ? S0 : S1);
	if (is_scratch(dst))
		xlate_homed_take(t, dst);
	emit_lea(&t->e, width, dst, base, index, m->scale, (int32_t)m->disp);
}

void xlate_lower_ea(struct tr *t, const struct guest_mem *m)
{
	xlate_lower_ea_to(t, m, S0, m->adsize == 8 ? 8 : 4);
	if (m->adsize == 2)
		emit_movzx(&t->e, 2, S0, S0);
}

unsigned xlate_lower_base(const struct guest_mem *m)
{
	if (m->seg == SEG_FS || m->seg == SEG_GS)
		return m->seg == SEG_FS ? NEAR_FS : NEAR_GS;
	if (m->base < 16)
		return m->base;
	return m->index < 16 ? m->index : NEAR_ABS;
}

struct cold *xlate_lower_new_cold(struct tr *t, enum cold_kind kind, bool saved)
{
	must(t->ncold < BLOCK_MAX_SITES);
	struct cold *c = &t->cold[t->ncold++];
	*c = (struct cold){ .kind = (uint8_t)kind, .flags_saved = saved, .insn = (uint8_t)t->i, .near = NEAR_SIZE };
	return c;
}

/* For what cannot be done in the hot path. */
static struct cold *cold_for(struct tr *t, enum cold_kind kind, const struct access *a)
{
	struct cold *c = xlate_lower_new_cold(t, t->dec[t->i].masked ? COLD_VECTOR : kind, t->live[t->i] != 0);
	c->a = *a;
	return c;
}

uint32_t xlate_lower_seg_base(unsigned seg)
{
	return (uint32_t)(CPU_OFF(s.seg) + seg * sizeof(struct cpu_seg) + offsetof(struct cpu_seg, base));
}

/* Add the segment's base to S0, after a limit check for segments that are not flat: then returns the stub for its
 * failure. */
static struct cold *add_base(struct tr *t, const struct access *a)
{
	struct emit *e = &t->e;
	unsigned seg = a->at.seg;
	if (key_code64(t->key)) {
		if (seg == SEG_FS || seg == SEG_GS)
			emit_op_mem(e, 8, 0x03, S0, H_RSP, H_NONE, 1, (int32_t)xlate_lower_seg_base(seg));
		return NULL;
	}
	if (key_flat(t->key, seg) && !(seg == SEG_CS && a->store)) /* code segments cannot be written */
		return NULL;
	uint32_t max = a->store ? CPU_OFF(wmax) : CPU_OFF(rmax);
	struct cold *c = cold_for(t, COLD_SEGMENT, a);
	emit_lea(e, 8, S1, S0, H_NONE, 1, a->size);
	emit_op_mem(e, 8, 0x3b, S1, H_RSP, H_NONE, 1, (int32_t)(max + seg * 8));
	c->jump = emit_jcc(e, 7); /* ja */
	emit_op_mem(e, 4, 0x03, S0, H_RSP, H_NONE, 1, (int32_t)xlate_lower_seg_base(seg));
	c->resume = e->p;
	return c;
}

/* Which TLB: by view and direction. */
static uint32_t view_rw(const struct tr *t, const struct access *a)
{
	return key_view(t->key) * TLB_RW_COUNT + (a->store ? TLB_WRITE : TLB_READ);
}

static int32_t near_offset(const struct tr *t, const struct cold *c)
{
	return (int32_t)(MMU_OFF(near) + (view_rw(t, &c->a) * NEAR_SIZE + c->near) * sizeof(struct mmu_tlbe));
}

static int32_t tlb_offset(const struct tr *t, const struct access *a)
{
	return (int32_t)(MMU_OFF(tlb) + view_rw(t, a) * sizeof(struct mmu_tlbe) * TLB_SIZE);
}

static void cmp_page(struct emit *e, unsigned size)
{
	e3(e, 0x49, 0x81, 0xf8 | (S0 & 7)); /* cmp S0, 4096 - size */
	e_32(e, 4096 - size);
}

static void check_near(struct tr *t, struct cold *c)
{
	struct emit *e = &t->e;
	emit_op_mem(e, 8, 0x2b, S0, H_RSP, H_NONE, 1, near_offset(t, c));
	cmp_page(e, c->a.size);
	c->jump = emit_jcc(e, 7);
	emit_op_mem(e, 8, 0x03, S0, H_RSP, H_NONE, 1, near_offset(t, c) + 8);
}

/* S0 = ea; S1 is left as the entry's offset. */
static void check_tlb(struct tr *t, struct cold *c)
{
	struct emit *e = &t->e;
	if (t->x->bmi2) {
		e3(e, 0xc4, 0x43, 0x7b); /* rorx S1d, S0d, 8 */
		e3(e, 0xf0, 0xc0 | (S1 & 7) << 3 | (S0 & 7), 8);
	} else {
		emit_mov(e, 4, S1, S0);
		e3(e, 0x41, 0xc1, 0xe8 | (S1 & 7)); /* shr S1d, 8 */
		e1(e, 8);
	}
	e3(e, 0x41, 0x81, 0xe0 | (S1 & 7)); /* and S1d, slots * 16 */
	e_32(e, (TLB_SIZE - 1) << 4);
	emit_op_mem(e, 8, 0x2b, S0, H_RSP, S1, 1, tlb_offset(t, &c->a));
	cmp_page(e, c->a.size);
	/* code that runs under alignment checks is rare enough to check in C, on the miss path */
	c->jump = emit_jcc(e, t->key & KEY_ALIGN ? -1 : 7);
	emit_op_mem(e, 8, 0x03, S0, H_RSP, S1, 1, tlb_offset(t, &c->a) + 8);
}

bool xlate_lower_far(const struct tr *t)
{
	uint32_t far = xlate_far_bit(t->rip, t->b->window);
	return t->x->c->far[far / 64] >> far % 64 & 1;
}

/* The near entry to try, or NEAR_SIZE. Kernel code meets another object at each step, so it seldom finds the near entry
 * right, but for its stack and its per-CPU data. What runs below is no kernel: firmware, boot loaders, kernels'
 * decompressors. They loop. */
static unsigned near_for(const struct tr *t, const struct access *a)
{
	unsigned base = xlate_lower_base(&a->at);
	bool frame = base == RBP && !key_code64(t->key); /* 32-bit kernels have frame pointers */
	bool likely = key_view(t->key) == VIEW_USER || base == RSP || frame || base == NEAR_GS || t->rip < LOADER_END;
	return t->step || t->key & KEY_ALIGN || !likely || xlate_lower_far(t) ? NEAR_SIZE : base;
}

/* The near entry is of another page: look in the TLB, and go on in the hot path if it is there. Else S0 = ea. */
static void emit_near_miss(struct tr *t, const struct cold *c)
{
	struct emit *e = &t->e;
	emit_mov_imm(e, S1, c->near * sizeof(struct mmu_tlbe) | (4096u - c->a.size) << 16);
	emit_call_cpu(e, X_OFF(thunk) + (XT_NEAR + view_rw(t, &c->a)) * 8);
	xlate_move_jcc_to(t, 3, c->checked); /* jnc */
}

void xlate_lower_checked(struct tr *t, const struct access *a)
{
	const struct dec *d = &t->dec[t->i];
	bool saved = t->live[t->i] != 0;
	xlate_window_forget(t);
	xlate_homed_forget(t);
	if (saved)
		emit_flags_save(&t->e);
	struct cold *limit = add_base(t, a);
	struct cold *c = cold_for(t, a->more ? COLD_RUN : COLD_MISS, a);
	c->near = (uint8_t)near_for(t, a);
	if (c->near < NEAR_SIZE)
		check_near(t, c);
	else
		check_tlb(t, c);
	c->checked = t->e.p;
	if (saved)
		emit_flags_restore(&t->e);
	c->resume = t->e.p;
	a->body(t, d, &in_s0);
	xlate_homed_forget(t);
	if (c->kind != COLD_MISS || a->store) /* the stub does the instruction */
		c->resume = t->e.p;
	if (d->masked && limit)
		limit->resume = t->e.p;
}

void xlate_lower_access(struct tr *t, const struct access *a)
{
	struct host_mem m;
	if (xlate_window_operand(t, a, &m)) {
		a->body(t, &t->dec[t->i], &m);
		return;
	}
	xlate_lower_ea(t, &a->at);
	xlate_lower_checked(t, a);
}

void xlate_lower_read(struct tr *t, const struct dec *d, unsigned size, body_fn *body)
{
	xlate_lower_access(t, &(struct access){ .at = xlate_lower_operand(d), .size = (uint16_t)size, .load = true,
		.body = body });
}

void xlate_lower_prefix(struct tr *t, const struct host_mem *m)
{
	if (m->low)
		e2(&t->e, 0x65, 0x67); /* GS, address size */
}

void xlate_lower_op(struct tr *t, const struct host_mem *m, unsigned width, unsigned opcode, unsigned reg, int32_t more)
{
	xlate_lower_prefix(t, m);
	emit_op_mem(&t->e, width, opcode, reg, m->base, m->index, m->scale, m->disp + more);
}

void xlate_lower_load(struct tr *t, const struct host_mem *m, unsigned width, unsigned dst)
{
	if (width > 2) {
		xlate_lower_op(t, m, width, 0x8b, dst, 0);
		return;
	}
	xlate_lower_prefix(t, m);
	emit_rex(&t->e, false, dst, m->index, m->base, false);
	e2(&t->e, 0x0f, width == 1 ? 0xb6 : 0xb7); /* movzx */
	emit_modrm_mem(&t->e, dst, m->base, m->index, m->scale, m->disp);
}

void xlate_lower_map(struct tr *t)
{
	const struct dec *d = &t->dec[t->i];
	t->map[t->nmap++] = (struct xmap){ .host = (uint32_t)(t->e.p - t->x->c->rw) - t->b->host_off,
		.guest = (t->rip - t->b->rip) & 0xfff, .len = d->in.len & 15, .x87_op = xlate_x87_opcode(d) & 0x7ff };
}

/* XCHG locks without being told: SDM vol 2. */
static bool locks(const struct dec *d)
{
	return d->lock || (d->enc == ENC_LEGACY && !d->map && (d->opcode & 0xfe) == 0x86);
}

/* What the thunks in C are told. */
static uint32_t describe(const struct tr *t, const struct access *a)
{
	const struct dec *d = &t->dec[t->i];
	uint32_t desc = a->size | (a->store ? DESC_WRITE : 0) | (a->load ? DESC_LOAD : 0) |
		(a->at.seg == SEG_SS ? DESC_SS : 0) | (uint32_t)a->at.seg << DESC_SEG_SHIFT |
		(d->aligned ? DESC_ALIGNED : 0) | (d->waits ? DESC_WAITS : 0) |
		(a->load && a->store && locks(d) ? DESC_LOCK : 0);
	if (d->mask_k)
		desc |= (uint32_t)d->mask_k << DESC_K_SHIFT | (uint32_t)d->mask_elem << DESC_ELEM_SHIFT |
			(d->mask_any ? DESC_ANY : 0) | (uint32_t)d->mask_tuple << DESC_TUPLE_SHIFT;
	return desc;
}

static void emit_segment_stub(struct tr *t, const struct cold *c)
{
	struct emit *e = &t->e;
	if (c->flags_saved)
		emit_flags_restore(e);
	emit_mov_imm(e, S1, describe(t, &c->a));
	emit_call_cpu(e, X_OFF(thunk) + XT_SEGMENT * 8);
	if (c->flags_saved)
		emit_flags_save(e);
	xlate_move_jcc_to(t, -1, c->resume);
}

/* A masked vector access whose full width is not accessible: elements that are off must not fault. */
static void emit_vector_stub(struct tr *t, const struct cold *c)
{
	if (c->flags_saved)
		emit_flags_restore(&t->e);
	struct dec d = t->dec[t->i];
	d.in.op = OP_VECTOR_MEM;
	xlate_insn_helper(t, &d);
	xlate_move_jcc_to(t, -1, c->resume);
}

/* The store is done. If it changed what this block was made from, the block ends here, behind its instruction; but a
 * CALL still has to go to its target. */
static void emit_commit(struct tr *t, const struct dec *d)
{
	xlate_x87_note(t, d);
	if (d->cls == DC_CALL) {
		emit_call_cpu(&t->e, X_OFF(thunk) + XT_PUSHED * 8);
		return;
	}
	xlate_move_rip(t, S1, t->rips[t->i + 1]);
	emit_call_cpu(&t->e, X_OFF(thunk) + XT_COMMIT * 8);
}

static void emit_miss_stub(struct tr *t, const struct cold *c)
{
	struct emit *e = &t->e;
	const struct dec *d = &t->dec[t->i];
	if (c->near == NEAR_SIZE)
		emit_op_mem(e, 8, 0x03, S0, H_RSP, S1, 1, tlb_offset(t, &c->a));
	if (c->flags_saved)
		emit_flags_restore(e);
	emit_mov_imm(e, S1, describe(t, &c->a));
	emit_call_cpu(e, X_OFF(thunk) + XT_SLOW * 8);
	if (c->a.store) {
		c->a.body(t, d, &in_s0);
		xlate_homed_forget(t);
		emit_commit(t, d);
	}
	xlate_move_jcc_to(t, -1, c->resume);
}

/* The run again, each instruction with a check of its own. */
static void emit_run_stub(struct tr *t, const struct cold *c)
{
	if (c->flags_saved)
		emit_flags_restore(&t->e);
	for (unsigned i = c->insn; i <= c->insn + c->a.more; i++) {
		xlate_block_begin_insn(t, i);
		xlate_block_lower(t);
		xlate_homed_forget(t);
	}
	if (t->dec[t->i].cls != DC_RET)
		xlate_move_jcc_to(t, -1, c->resume);
}

void xlate_lower_cold(struct tr *t)
{
	for (unsigned k = 0; k < t->ncold; k++) {
		const struct cold *c = &t->cold[k];
		xlate_homed_begin(t);
		xlate_window_forget(t); /* nor does one stub know what another has looked up */
		xlate_move_patch(t, c->jump, t->e.p);
		xlate_block_begin_insn(t, c->insn);
		if (c->near < NEAR_SIZE && c->kind != COLD_SLOT)
			emit_near_miss(t, c);
		switch (c->kind) {
		case COLD_SLOT: xlate_window_slot_stub(t, c); break;
		case COLD_SEGMENT: emit_segment_stub(t, c); break;
		case COLD_RUN: emit_run_stub(t, c); break;
		case COLD_LOAD_SEG: case COLD_HELPER: xlate_system_stub(t, c); break;
		case COLD_VECTOR: emit_vector_stub(t, c); break;
		default: emit_miss_stub(t, c); break;
		}
	}
}
