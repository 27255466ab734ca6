// SPDX-License-Identifier: GPL-2.0-or-later
/* what: memory operands in windows of user memory (mmu/window.c): no check, a bias added to the address
 *
 *     S1 = bias of the slot that base points to    shrx S1, base, RSP; mov S1, [bias + S1 * 8]; S2 as well
 *     access [base + S1 + disp]
 *
 * The slot is the base register's: a displacement, or a constant added to the register meanwhile, may lead out of it by
 * as much as windows have guards (REACH). So accesses through one register share its bias, which stays in S1 or S2, or
 * waits in struct cpu:
 *
 *     mov S1, [wbias + base * 8]
 *
 * I1  bias_known has bit k only where each write to register k since the bias was looked up has added a known constant,
 *     and nothing has run that may give slots other biases: C code, but for a fault that a window answers
 *     (mmu_window_fault lets the block be left if it had to take biases back). What is at bias_at[k] is that bias.
 *
 * 32-bit code has one slot, whose window the host's GS base leads to: the guest's own operand, with the host's
 * registers, under an address-size and a GS prefix.
 *
 * An operand with an index has a look-up of its own, as the index may lead anywhere. In blocks that loop, where flags
 * are not needed, the slot is compared with the one last met through the register: no address waits for a load.
 */
#include "xlate/xlate_int.h"

#define REACH ((int64_t)1 << 30)
_Static_assert(REACH + ((int64_t)1 << 31) + 65536 < WINDOW_GUARD, "what a shared bias may reach");

/* Code in the upper half that may use windows is a kernel that runs at CPL 3 (Xen's PV guests): its data lie there too.
 * The access itself may fault in a window: not where guest state is changed before it (AH to BH change places with low
 * bytes), and not where the pointer moves once more (BT with a bit offset in a register). */
static bool windowed(const struct tr *t, unsigned seg, bool write)
{
	const struct dec *d = &t->dec[t->i];
	if (!(t->key & KEY_WINDOW) || t->step || t->rip >> 47 || d->cls == DC_BT || d->f_reg.high)
		return false;
	if (!key_code64(t->key) && (!key_flat(t->key, seg) || (seg == SEG_CS && write)))
		return false;
	return t->x->c->window_not[xlate_window_at(t->rip)] < WINDOW_NOT_MAX;
}

/* s = slot of the address in host register: bits 40 to 63, as the low six bits of RSP are 40. */
static void slot_of(struct emit *e, unsigned s, unsigned host)
{
	_Static_assert(CPU_RSP == MMU_SLOT_SHIFT, "struct cpu is aligned to 64 bytes at least");
	e3(e, 0xc4, host & 8 ? 0x42 : 0x62, 0x80 | (~H_RSP & 15u) << 3 | 3); /* shrx s, host, rsp */
	e2(e, 0xf7, 0xc0 | (s & 7) << 3 | (host & 7));
}

/* s = bias of slot s. */
static void load_slot(struct emit *e, unsigned s)
{
	emit_op_mem(e, 8, 0x8b, s, H_RSP, s, 8, (int32_t)MMU_OFF(bias));
}

/* Scratch register s = bias for the address in host register. Returns where in struct cpu it is too, 0: nowhere. */
static uint32_t look_up(struct tr *t, unsigned host, unsigned base, unsigned s)
{
	struct emit *e = &t->e;
	xlate_homed_take(t, s);
	if ((t->loops || key_view(t->key) != VIEW_USER) && !t->live[t->i] && !xlate_lower_far(t)) {
		uint32_t near = (uint32_t)(MMU_OFF(wnear) + base * sizeof(struct mmu_wnear));
		struct cold *c = xlate_lower_new_cold(t, COLD_SLOT, false);
		c->near = (uint8_t)base;
		c->bias = (uint8_t)s;
		c->address = (uint8_t)host;
		if (t->bias_at[base] == near + 8) /* an operand with an index shares the entry, not the slot */
			t->bias_known &= ~(1u << base);
		slot_of(e, s, host);
		emit_op_mem(e, 4, 0x3b, s, H_RSP, H_NONE, 1, (int32_t)near);
		c->jump = emit_jcc(e, 5);
		c->resume = e->p;
		emit_ld_cpu(e, 8, s, near + 8);
		return near + 8;
	}
	slot_of(e, s, host);
	load_slot(e, s);
	return 0;
}

/* Another slot than the last through this register. One without a window has a bias too; when it gets one, all of wnear
 * is forgotten. */
void xlate_window_slot_stub(struct tr *t, const struct cold *c)
{
	struct emit *e = &t->e;
	uint32_t near = (uint32_t)(MMU_OFF(wnear) + c->near * sizeof(struct mmu_wnear));
	unsigned s = c->bias;
	load_slot(e, s); /* which faults if that is none */
	emit_st_cpu(e, 8, near + 8, s);
	slot_of(e, s, c->address);
	emit_st_cpu(e, 8, near, s);
	emit_ld_cpu(e, 8, s, near + 8);
	e1(e, 0xff); /* dec dword [near_budget] */
	emit_modrm_mem(e, 1, H_RSP, H_NONE, 1, (int32_t)X_OFF(near_budget));
	xlate_move_jcc_to(t, 5, c->resume);
	emit_call_cpu(e, X_OFF(thunk) + XT_SLOT_OFTEN * 8);
	xlate_move_jcc_to(t, -1, c->resume);
}

/* Does the memory operand of d go by base register k alone? */
static bool operand_by(const struct dec *d, unsigned k)
{
	const struct insn *in = &d->in;
	if (!in->has_mem || in->index != INSN_NOREG || d->cls == DC_LEA || d->cls == DC_HELPER || d->cls == DC_NOP)
		return false;
	if (in->seg == SEG_FS || in->seg == SEG_GS)
		return in->base == INSN_NOREG && k == (in->seg == SEG_FS ? NEAR_FS : NEAR_GS);
	return in->base == k && in->adsize == 8;
}

/* The same of any access of d. */
static bool goes_by(const struct dec *d, unsigned k)
{
	if (k == RSP && (d->cls == DC_PUSH || d->cls == DC_POP || d->cls == DC_RET || d->cls == DC_CALL))
		return true;
	if (d->cls == DC_STRING)
		return xlate_movs_goes_by(d, k);
	return (k == RBP && d->cls == DC_LEAVE) || operand_by(d, k);
}

/* Does d add a constant to register k, and nothing else? */
static bool moves(const struct dec *d, unsigned k, int64_t *by)
{
	const struct insn *in = &d->in;
	if (d->cls == DC_PUSH || d->cls == DC_POP) {
		bool named = (d->f_opc.gpr && d->f_opc.num == k) || (!in->has_mem && d->f_rm.gpr && d->f_rm.num == k);
		*by = d->cls == DC_PUSH ? -(int64_t)in->opsize : (int64_t)in->opsize;
		return k == RSP && (d->cls == DC_PUSH || !named);
	}
	if (d->cls == DC_LEA) {
		*by = in->disp;
		return in->opsize == 8 && in->adsize == 8 && in->base == k && in->index == INSN_NOREG;
	}
	if (d->cls == DC_STRING) {
		*by = in->opsize;
		return in->adsize == 8 && xlate_movs_advances(d) >> k & 1;
	}
	*by = d->facts & F_ADDS ? (int64_t)in->imm : -(int64_t)in->imm;
	return d->facts & (F_ADDS | F_SUBTRACTS) && d->imm_len && !in->has_mem && d->f_rm.gpr && d->f_rm.num == k &&
		d->f_rm.size == 8;
}

static uint16_t written(const struct dec *d)
{
	if (d->cls == DC_STRING)
		return xlate_movs_advances(d) | (d->in.op == OP_LODS ? 1u << RAX : 0);
	return d->gpr_wr;
}

bool xlate_window_adds(const struct dec *d, unsigned k, int64_t *by)
{
	*by = 0;
	return xlate_homed_through(d) && (!(written(d) >> k & 1) || moves(d, k, by));
}

void xlate_window_forget(struct tr *t)
{
	t->bias_known = 0;
}

void xlate_window_passed(struct tr *t, const struct dec *d)
{
	for (unsigned k = 0; t->bias_known >> k; k++) {
		int64_t by;
		if (!(t->bias_known >> k & 1))
			continue;
		bool adds = xlate_window_adds(d, k, &by);
		t->moved[k] += by;
		if (!adds || t->moved[k] > REACH || t->moved[k] < -REACH)
			t->bias_known &= ~(1u << k);
	}
}

/* Is there another access by k, from instruction next on, that may share the bias? */
static bool shared(const struct tr *t, unsigned k, unsigned next)
{
	for (unsigned j = next; j < t->n; j++) {
		const struct dec *d = &t->dec[j];
		int64_t by;
		if (goes_by(d, k))
			return true;
		if (!xlate_window_adds(d, k, &by))
			return false;
	}
	return false;
}

/* Where to put the bias for the address in host: S2 if it is not in use, and S1 is. */
static unsigned for_bias(const struct tr *t, unsigned host)
{
	if (host == S1)
		return S2;
	return host != S2 && xlate_homed_idle(t, S2) && !xlate_homed_idle(t, S1) ? S2 : S1;
}

/* A register with a bias that lies at a known place; host stays. */
static unsigned load_bias(struct tr *t, uint32_t at, unsigned what, unsigned host)
{
	unsigned s = xlate_homed_find(t, what);
	if (s != H_NONE)
		return s;
	s = for_bias(t, host);
	xlate_homed_take(t, s);
	emit_ld_cpu(&t->e, 8, s, at);
	xlate_homed_holds(t, s, what, false);
	return s;
}

static uint32_t wbias_of(unsigned k)
{
	return (uint32_t)(X_OFF(wbias) + k * sizeof(uint64_t));
}

/* Host register + disp + the bias in s, or without the register: the handler of faults is told where the bias is
 * (struct xmap). */
static struct host_mem operand(struct tr *t, unsigned host, unsigned s, int32_t disp)
{
	struct xmap *m = &t->map[t->nmap - 1];
	if (m->bias && m->bias != s) {
		struct xmap again = *m;
		again.host = (uint32_t)(t->e.p - t->x->c->rw) - t->b->host_off;
		m = &t->map[t->nmap++];
		*m = again;
	}
	m->bias = (uint8_t)s;
	return host == H_NONE ? (struct host_mem){ .base = s, .index = H_NONE, .disp = disp }
			      : (struct host_mem){ .base = host, .index = s, .disp = disp };
}

/* Host register, the guest's register or segment base k, + disp; instruction next comes after it. */
static struct host_mem by_base(struct tr *t, unsigned k, unsigned host, int32_t disp, unsigned next)
{
	if (t->bias_known >> k & 1)
		return operand(t, host, load_bias(t, t->bias_at[k], HOLDS_BIAS + k, host), disp);
	unsigned s = for_bias(t, host);
	uint32_t at = look_up(t, host, k, s);
	struct host_mem m = operand(t, host, s, disp);
	if (!shared(t, k, next))
		return m;
	t->bias_known |= 1u << k;
	t->bias_at[k] = at ? at : wbias_of(k);
	t->moved[k] = 0;
	xlate_homed_holds(t, s, HOLDS_BIAS + k, !at);
	return m;
}

void xlate_window_keep(struct tr *t, unsigned k, unsigned host)
{
	if (!(t->bias_known >> k & 1))
		return;
	if (shared(t, k, t->i))
		emit_st_cpu(&t->e, 8, wbias_of(k), host);
	else
		t->bias_known &= ~(1u << k);
}

/* The address in S0. */
static struct host_mem by_s0(struct tr *t, unsigned base)
{
	unsigned s = for_bias(t, S0);
	look_up(t, S0, base, s);
	return operand(t, S0, s, 0);
}

/* An operand of 32-bit code: all there is to do is to encode it. */
static struct host_mem low_operand(struct tr *t, const struct guest_mem *g)
{
	if (g->adsize == 2) {
		xlate_lower_ea(t, g);
		return (struct host_mem){ .base = S0, .index = H_NONE, .low = true };
	}
	return (struct host_mem){ .base = g->base == INSN_NOREG ? H_NONE : xlate_lower_host(g->base),
		.index = g->index == INSN_NOREG ? H_NONE : xlate_lower_host(g->index), .scale = g->scale,
		.disp = (int32_t)g->disp, .low = true };
}

/* A user address that is known. */
static struct host_mem by_constant(struct tr *t, uint64_t ea, bool from_rip)
{
	bool low = ea <= INT32_MAX;
	if (!low)
		xlate_homed_take(t, S0);
	if (!low && from_rip)
		xlate_move_rip(t, S0, ea);
	else if (!low)
		emit_mov_imm(&t->e, S0, ea);
	uint32_t slot = (uint32_t)(ea >> MMU_SLOT_SHIFT);
	unsigned s = load_bias(t, (uint32_t)(MMU_OFF(bias) + slot * 8), HOLDS_SLOT + slot, S0);
	return operand(t, low ? H_NONE : S0, s, low ? (int32_t)ea : 0);
}

/* An operand of 64-bit code; instruction next comes after it. */
static struct host_mem wide_operand(struct tr *t, const struct guest_mem *g, unsigned next)
{
	bool based = g->seg == SEG_FS || g->seg == SEG_GS, one = g->base < 16 && g->index == INSN_NOREG;
	uint64_t ea;
	bool fixed = xlate_lower_fixed(t, g, &ea);
	if (based && fixed && (int64_t)ea == (int32_t)ea) {
		xlate_homed_take(t, S0);
		emit_ld_cpu(&t->e, 8, S0, xlate_lower_seg_base(g->seg));
		return by_base(t, xlate_lower_base(g), S0, (int32_t)ea, next);
	}
	if (!based && fixed && ea >> 47 == 0)
		return by_constant(t, ea, g->base == INSN_BASE_RIP);
	if (!based && one && g->adsize == 8 && g->disp == (int32_t)g->disp)
		return by_base(t, g->base, xlate_lower_reg(t, g->base, S0), (int32_t)g->disp, next);
	xlate_lower_ea(t, g);
	if (based) {
		unsigned s = xlate_homed_free(t, 1u << S0);
		emit_ld_cpu(&t->e, 8, s, xlate_lower_seg_base(g->seg));
		emit_lea(&t->e, 8, S0, S0, s, 1, 0);
	}
	return by_s0(t, xlate_lower_base(g));
}

bool xlate_window_operand(struct tr *t, const struct access *a, struct host_mem *m)
{
	if (!windowed(t, a->at.seg, a->store))
		return false;
	*m = key_code64(t->key) ? wide_operand(t, &a->at, t->i + 1 + a->more) : low_operand(t, &a->at);
	return true;
}
