// SPDX-License-Identifier: GPL-2.0-or-later
/* what: system instructions without a call of C: CLI STI CLD STD PUSHF POPF STAC CLAC SWAPGS RDTSC, segments
 *
 * A kernel's way in and out is made of these. What is done here is the common case, where the key says that it is
 * allowed (CPL 0: SDM vol 3 5.9), or in modes where it is anybody's; all else stays with the helpers in insn/, which
 * a cold stub may still call:
 *
 *     STI     an interrupt waits, which it lets in behind the next instruction
 *     POPF    TF, NT, IOPL, AC or ID change, or IF where that is not for CPL 0, or an interrupt waits
 *
 *     RDTSC   CR4.TSD is set
 *     MOV and POP to DS, ES, FS, GS   it is not the segment that was loaded there last (struct cpu_kept, entry.S)
 *
 * STAC and CLAC change the view of memory, and so the key, in the midst of a block: t->keys says which one each
 * instruction has, translated code keeps cpu->key, ks and view up to date, and an exit leads to blocks of the key
 * that it is left with (xexit.ks).
 *
 * I1  Single steps have none of this: TF, breakpoints and shadows of SS are for the run loop to see.
 * I2  An interrupt that waits is seen with IF set: cpu->intr is read when IF is set, and who sets it kicks after that.
 * I3  RF and TF are 0 where translated code runs, but for single steps.
 */
#include "xlate/xlate_int.h"

#define OFF_FLAGS CPU_OFF(s.rflags)
#define CC_NE 5

enum { ALU_OR = 1, ALU_AND = 4, ALU_XOR = 6, ALU_CMP = 7 };

/* What POPF leaves to the helper if it changes. */
#define POPF_RARE (FL_TF | FL_IOPL | FL_NT | FL_AC | FL_ID)

static bool ring0(uint32_t key)
{
	return key & KEY_RING0;
}

/* Is EFLAGS.AC what selects the view, so that the view says what AC is? */
static bool ac_is_view(const struct tr *t)
{
	return t->cpu->model->smap && t->key & KEY_SMAP && t->key & KEY_FLAT_CS && !(t->key & KEY_WINDOW);
}

/* The thunk that loads segment register seg, 0: none. */
static unsigned kept_thunk(unsigned seg)
{
	switch (seg) {
	case SEG_ES: return XT_KEPT;
	case SEG_DS: return XT_KEPT + 1;
	case SEG_FS: return XT_KEPT + 2;
	case SEG_GS: return XT_KEPT + 3;
	default: return 0;
	}
}

static bool does(const struct tr *t, const struct dec *d)
{
	const struct insn *in = &d->in;
	switch (in->op) {
	case OP_CLD: case OP_STD: return true;
	case OP_CLI: case OP_STI: return ring0(t->key);
	case OP_PUSHF: case OP_POPF: return ring0(t->key) || !(t->key & KEY_REAL);
	case OP_STAC: case OP_CLAC: return ring0(t->key) && ac_is_view(t);
	case OP_SWAPGS: return ring0(t->key) && key_code64(t->key);
	case OP_RDTSC: return true;
	case OP_RDTSCP: return t->cpu->model->rdtscp;
	case OP_PUSH_SEG: return true;
	case OP_MOV_TO_SEG: case OP_POP_SEG: return ring0(t->key) && !(t->key & KEY_REAL) && kept_thunk(in->reg);
	case OP_MOV_FROM_SEG: return !in->has_mem && in->reg <= SEG_GS;
	default: return false;
	}
}

/* The key behind STAC or CLAC; t->key if there is no room for another one. */
static uint32_t key_with_view(struct tr *t, unsigned view)
{
	uint32_t key = (t->key & ~(3u << KEY_VIEW_SHIFT)) | view << KEY_VIEW_SHIFT;
	xlate_keyspace(t->x, key);
	return t->x->c->flush_wanted ? t->key : key;
}

void xlate_system_choose(struct tr *t, struct dec *d)
{
	if (t->step || d->cls != DC_HELPER)
		return;
	if (xlate_movs_does(d)) {
		d->cls = DC_STRING;
		d->fl_read = d->fl_kill = 0;
		return;
	}
	if (!does(t, d))
		return;
	if (d->in.op == OP_STAC || d->in.op == OP_CLAC) {
		unsigned view = d->in.op == OP_STAC ? VIEW_SUP_AC : VIEW_SUP;
		uint32_t key = key_with_view(t, view);
		if (key_view(key) != view)
			return;
		t->key = key;
	}
	/* STI: what leaves the block has all flags */
	d->fl_read = d->in.op == OP_PUSHF || d->in.op == OP_STI ? FL_ARITH : 0;
	d->fl_kill = d->in.op == OP_POPF ? FL_ARITH : 0;
	d->cls = DC_SYSTEM;
	d->ends = false;
}

void xlate_system_mode(struct tr *t, unsigned i)
{
	t->key = t->keys[i];
	t->ks = t->key == t->keys[0] ? t->b->ks : xlate_keyspace(t->x, t->key);
}

/* op dword [cpu + off], imm */
static void alu_cpu(struct emit *e, unsigned op, uint32_t off, uint32_t imm)
{
	emit_op_mem(e, 4, 0x81, op, H_RSP, H_NONE, 1, (int32_t)off);
	e_32(e, imm);
}

/* op reg, imm */
static void alu_imm(struct emit *e, unsigned op, unsigned reg, uint32_t imm)
{
	emit_op_reg(e, 4, 0x81, op, reg);
	e_32(e, imm);
}

static void test_cpu(struct emit *e, uint32_t off, uint32_t imm)
{
	emit_op_mem(e, 4, 0xf7, 0, H_RSP, H_NONE, 1, (int32_t)off);
	e_32(e, imm);
}

static void test_imm(struct emit *e, unsigned reg, uint32_t imm)
{
	emit_op_reg(e, 4, 0xf7, 0, reg);
	e_32(e, imm);
}

static void store_byte(struct emit *e, uint32_t off, unsigned val)
{
	emit_op_mem(e, 1, 0xc6, 0, H_RSP, H_NONE, 1, (int32_t)off);
	e1(e, val);
}

static void store_dword(struct emit *e, uint32_t off, uint32_t val)
{
	emit_op_mem(e, 4, 0xc7, 0, H_RSP, H_NONE, 1, (int32_t)off);
	e_32(e, val);
}

/* dst = dword or byte of struct cpu, zero-extended */
static void load_narrow(struct emit *e, unsigned width, unsigned dst, uint32_t off)
{
	emit_rex(e, false, dst, H_NONE, H_RSP, false);
	e2(e, 0x0f, width == 1 ? 0xb6 : 0xb7);
	emit_modrm_mem(e, dst, H_RSP, H_NONE, 1, (int32_t)off);
}

static void shift_imm(struct emit *e, bool left, unsigned reg, unsigned n)
{
	emit_op_reg(e, 4, 0xc1, left ? 4 : 5, reg);
	e1(e, n);
}

/* The rest of the instruction is for the helper if this jump is taken; flags are in AX if saved. */
static struct cold *to_helper(struct tr *t, enum cold_kind kind, bool saved)
{
	struct cold *c = xlate_lower_new_cold(t, kind, saved);
	c->jump = emit_jcc(&t->e, CC_NE);
	return c;
}

void xlate_system_unless(struct tr *t, uint32_t off, uint32_t mask)
{
	bool saved = t->live[t->i] != 0;
	xlate_homed_take(t, S2);
	if (saved)
		emit_flags_save(&t->e);
	test_cpu(&t->e, off, mask);
	to_helper(t, COLD_HELPER, saved);
	if (saved)
		emit_flags_restore(&t->e);
}

void xlate_system_stub(struct tr *t, const struct cold *c)
{
	struct dec d = t->dec[t->i];
	if (c->flags_saved)
		emit_flags_restore(&t->e);
	d.ends = c->kind == COLD_HELPER;
	if (c->kind == COLD_LOAD_SEG) {
		d.in.imm = d.in.op == OP_POP_SEG ? d.in.opsize : 0;
		d.in.op = OP_LOAD_SEG;
	}
	xlate_insn_helper(t, &d);
	if (!d.ends)
		xlate_move_jcc_to(t, -1, c->resume);
}

static void change_flags(struct tr *t, unsigned op, uint32_t imm)
{
	bool saved = t->live[t->i] != 0;
	if (saved)
		emit_flags_save(&t->e);
	alu_cpu(&t->e, op, OFF_FLAGS, imm);
	if (saved)
		emit_flags_restore(&t->e);
}

/* SDM vol 2 STI: if IF was 0, no interrupt before the next instruction has ended. Nothing waits now, so that is as with
 * cpu_shadow_pass: should this block be left before that instruction has run, the shadow comes back. */
static void sti(struct tr *t)
{
	struct emit *e = &t->e;
	uint64_t next = t->rips[t->i + 1];
	emit_flags_save(e);
	test_cpu(e, OFF_FLAGS, FL_IF);
	uint8_t *set = emit_jcc(e, CC_NE);
	emit_op_mem(e, 1, 0x80, ALU_CMP, H_RSP, H_NONE, 1, (int32_t)CPU_OFF(intr));
	e1(e, 0);
	to_helper(t, COLD_HELPER, true);
	alu_cpu(e, ALU_OR, OFF_FLAGS, FL_IF);
	store_byte(e, CPU_OFF(passed), 1);
	xlate_move_rip(t, S1, key_code64(t->key) ? next : (uint32_t)next);
	emit_st_cpu(e, 8, CPU_OFF(passed_rip), S1);
	emit_patch(set, e->p);
	emit_flags_restore(e);
}

static void push_tmp_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	xlate_stack_from_tmp(t, m, d->in.opsize);
	xlate_stack_add(t, -(int32_t)d->in.opsize);
}

/* The image: arithmetic flags are the host's, the others those of struct cpu. LAHF has set bit 1. */
static void pushf(struct tr *t, const struct dec *d)
{
	struct emit *e = &t->e;
	emit_flags_save(e);
	emit_movzx(e, 2, S0, H_RAX);
	emit_mov(e, 4, S1, S0);
	shift_imm(e, false, S0, 8);
	shift_imm(e, true, S1, 11);
	alu_imm(e, ALU_AND, S1, FL_OF);
	emit_op_reg(e, 4, 0x0b, S0, S1);
	emit_ld_cpu(e, 4, S1, OFF_FLAGS);
	alu_imm(e, ALU_AND, S1, ~(uint32_t)(FL_ARITH | FL_VM | FL_RF));
	emit_op_reg(e, 4, 0x0b, S0, S1);
	emit_st_cpu(e, 8, CPU_OFF(tmp), S0);
	emit_flags_restore(e);
	xlate_stack_push(t, d, d->in.opsize, push_tmp_body);
}

/* Host flags = those of the image in S0. */
static void flags_from_s0(struct emit *e)
{
	emit_mov(e, 8, S2, H_RAX);
	emit_mov(e, 4, H_RAX, S0);
	shift_imm(e, true, H_RAX, 8); /* AH = SF ZF AF PF CF */
	e2(e, 0x41, 0x0f); /* bt S0d, 11 */
	e3(e, 0xba, 0xe0 | (S0 & 7), 11);
	e3(e, 0x0f, 0x92, 0xc0); /* setc al */
	emit_flags_restore(e);
}

/* S1 = what changes; bit 8 of it, TF, is also set if IF and an interrupt meet. */
static void popf_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	struct emit *e = &t->e;
	uint32_t rare = POPF_RARE & (d->in.opsize == 2 ? 0xffff : UINT32_MAX), common = FL_DF;
	xlate_homed_forget(t);
	xlate_lower_load(t, m, d->in.opsize, S0);
	emit_ld_cpu(e, 4, S1, OFF_FLAGS);
	emit_op_reg(e, 4, 0x33, S1, S0);
	if (ring0(t->key)) {
		common |= FL_IF;
		load_narrow(e, 1, S2, CPU_OFF(intr));
		shift_imm(e, true, S2, 9);
		emit_op_reg(e, 4, 0x23, S2, S0);
		shift_imm(e, false, S2, 1);
		emit_op_reg(e, 4, 0x0b, S1, S2);
	} else {
		rare |= FL_IF;
	}
	test_imm(e, S1, rare);
	to_helper(t, COLD_HELPER, false);
	alu_imm(e, ALU_AND, S1, common);
	emit_op_mem(e, 4, 0x31, S1, H_RSP, H_NONE, 1, (int32_t)OFF_FLAGS);
	if (t->i + 1 == t->n || t->live[t->i + 1])
		flags_from_s0(e);
	xlate_stack_add(t, d->in.opsize);
}

/* The key behind the instruction is the CPU's from here on. */
static void set_view(struct tr *t, bool ac)
{
	struct emit *e = &t->e;
	unsigned i = t->i;
	if (t->keys[i + 1] == t->keys[i])
		return;
	xlate_system_mode(t, i + 1);
	change_flags(t, ac ? ALU_OR : ALU_AND, ac ? FL_AC : ~FL_AC);
	store_byte(e, CPU_OFF(view), key_view(t->key));
	store_dword(e, X_OFF(key), t->key);
	store_dword(e, X_OFF(ks), t->ks);
}

/* CR4.TSD matters above CPL 0 (SDM vol 3 2.5). RDTSCP waits for what comes before it, as LFENCE does (vol 2). */
static void rdtsc(struct tr *t, bool with_aux)
{
	struct emit *e = &t->e;
	bool saved = t->live[t->i] != 0;
	if (!ring0(t->key))
		xlate_system_unless(t, CPU_OFF(s.cr4), CR4_TSD);
	if (saved)
		emit_flags_save(e);
	emit_mov(e, 8, S2, H_RAX); /* the flags; RAX is written */
	if (with_aux)
		e3(e, 0x0f, 0xae, 0xe8); /* lfence */
	e2(e, 0x0f, 0x31);           /* rdtsc */
	e3(e, 0x48, 0xc1, 0xe2);     /* shl rdx, 32 */
	e1(e, 32);
	emit_op_reg(e, 8, 0x0b, H_RDX, H_RAX);
	emit_op_mem(e, 8, 0x03, H_RDX, H_RSP, H_NONE, 1, (int32_t)CPU_OFF(s.tsc_offset));
	emit_mov(e, 4, S0, H_RDX);
	e3(e, 0x48, 0xc1, 0xea);     /* shr rdx, 32 */
	e1(e, 32);
	if (with_aux)
		emit_ld_cpu(e, 4, H_RCX, CPU_OFF(s.tsc_aux));
	if (saved) {
		emit_mov(e, 8, H_RAX, S2);
		emit_flags_restore(e);
	}
	emit_mov(e, 4, H_RAX, S0);
}

static void swapgs(struct emit *e)
{
	uint32_t gs = xlate_lower_seg_base(SEG_GS), other = CPU_OFF(s.kernel_gs_base);
	emit_ld_cpu(e, 8, S0, gs);
	emit_ld_cpu(e, 8, S1, other);
	emit_st_cpu(e, 8, other, S0);
	emit_st_cpu(e, 8, gs, S1);
}

static uint32_t sel_of(const struct dec *d)
{
	return (uint32_t)(CPU_OFF(s.seg) + d->in.reg * sizeof(struct cpu_seg) + offsetof(struct cpu_seg, sel));
}

static void push_seg_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	unsigned s = xlate_homed_free(t, xlate_homed_used(m));
	load_narrow(&t->e, 2, s, sel_of(d));
	xlate_lower_op(t, m, insn_seg_pushed(t->cpu, d->in.opsize), 0x89, s, 0);
	xlate_stack_add(t, -(int32_t)d->in.opsize);
}

/* m: of the selector, or NULL if S0 is it. Whether it is the same segment as last time is for entry.S to find out. */
static void load_seg_body(struct tr *t, const struct dec *d, const struct host_mem *m)
{
	struct emit *e = &t->e;
	bool saved = t->live[t->i] != 0;
	unsigned view = t->key & KEY_SMAP ? VIEW_SUP : VIEW_SUP_AC; /* as mmu_view for MMU_SYS */
	xlate_homed_forget(t);
	if (m)
		xlate_lower_load(t, m, d->in.op == OP_POP_SEG ? insn_seg_popped(t->cpu, d->in.opsize) : 2, S0);
	emit_st_cpu(e, 8, CPU_OFF(tmp) + 8, S0);
	if (saved)
		emit_flags_save(e);
	emit_mov_imm(e, S1, view * TLB_RW_COUNT * TLB_SIZE * sizeof(struct mmu_tlbe));
	emit_call_cpu(e, X_OFF(thunk) + kept_thunk(d->in.reg) * 8);
	struct cold *c = to_helper(t, COLD_LOAD_SEG, saved);
	if (saved)
		emit_flags_restore(e);
	if (d->in.op == OP_POP_SEG)
		xlate_stack_add(t, d->in.opsize);
	c->resume = e->p;
}

static void load_seg(struct tr *t, const struct dec *d)
{
	unsigned g = d->in.rm;
	if (d->in.op == OP_POP_SEG) {
		xlate_stack_pop(t, d, insn_seg_popped(t->cpu, d->in.opsize), load_seg_body);
	} else if (d->in.has_mem) {
		xlate_lower_read(t, d, 2, load_seg_body);
	} else {
		if (xlate_lower_homed(g))
			load_narrow(&t->e, 2, S0, g * 8);
		else
			emit_movzx(&t->e, 2, S0, xlate_lower_host(g));
		load_seg_body(t, d, NULL);
	}
}

static void mov_from_seg(struct tr *t, const struct dec *d)
{
	struct emit *e = &t->e;
	unsigned g = d->in.rm, size = d->in.opsize;
	load_narrow(e, 2, S1, sel_of(d));
	if (xlate_lower_homed(g))
		emit_st_cpu(e, size == 4 ? 8 : size, g * 8, S1);
	else
		emit_mov(e, size, xlate_lower_host(g), S1);
}

void xlate_system(struct tr *t, const struct dec *d)
{
	switch (d->in.op) {
	case OP_CLD: change_flags(t, ALU_AND, ~FL_DF); break;
	case OP_STD: change_flags(t, ALU_OR, FL_DF); break;
	case OP_CLI: change_flags(t, ALU_AND, ~FL_IF); break;
	case OP_STI: sti(t); break;
	case OP_PUSHF: pushf(t, d); break;
	case OP_POPF: xlate_stack_pop(t, d, d->in.opsize, popf_body); break;
	case OP_STAC: set_view(t, true); break;
	case OP_CLAC: set_view(t, false); break;
	case OP_RDTSC: rdtsc(t, false); break;
	case OP_RDTSCP: rdtsc(t, true); break;
	case OP_SWAPGS: swapgs(&t->e); break;
	case OP_PUSH_SEG: xlate_stack_push(t, d, insn_seg_pushed(t->cpu, d->in.opsize), push_seg_body); break;
	case OP_MOV_TO_SEG: case OP_POP_SEG: load_seg(t, d); break;
	default: mov_from_seg(t, d); break;
	}
}
