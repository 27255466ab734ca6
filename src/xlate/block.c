// SPDX-License-Identifier: GPL-2.0-or-later
/* what: finding and making blocks: fetch, decode, flag liveness, lowering in order, exits
 *
 * A block is a run of guest instructions that starts where control entered and goes on past conditional
 * jumps that are not taken, up to an unconditional transfer, a helper that ends it, the page's end or
 * BLOCK_MAX_INSNS. It never spans a page, except that its only instruction may cross into the next one.
 *
 *     host code:   [gate] [entry] insn insn ... exit   and elsewhere   cold stubs | exit stubs
 *
 * I1  Guest state is exact at every instruction boundary, in the places emit.h names.
 * I2  A block is only entered while its key is the CPU's, its CS base too, and its bytes are unchanged.
 */
#include "xlate/shape.h"
#include "xlate/xlate_int.h"

/* Does the instruction's last byte pass the end of a code segment that is not flat? */
static bool beyond_limit(const struct tr *t, uint64_t rip, unsigned len)
{
	if (t->key & KEY_FLAT_CS)
		return false;
	uint64_t last = rip + len - 1;
	return last > t->cpu->s.seg[SEG_CS].limit;
}

/* Decode one instruction at offset off. False: the block ends before it. */
static bool decode_next(struct tr *t, struct fetch *f, unsigned off)
{
	struct dec *d = &t->dec[t->n];
	uint64_t rip = t->b->rip + off;
	bool first = t->n == 0;
	xlate_find_more(f, off);
	enum dec_status st = xlate_shape_decode(t->x->shapes, d, t->key, t->key & KEY_REAL, f->copy + off, f->have - off);
	if (st == DEC_MORE && first) {
		xlate_find_second(t->x, f);
		st = xlate_shape_decode(t->x->shapes, d, t->key, t->key & KEY_REAL, f->copy, f->have);
	}
	if ((st != DEC_OK && st != DEC_UD) || (st == DEC_OK && beyond_limit(t, rip, d->in.len))) {
		if (first)
			cpu_raise(t->cpu, EXC_GP, 0);
		return false;
	}
	if (st == DEC_UD) {
		memset(d, 0, sizeof(*d));
		d->cls = DC_HELPER;
		d->in.op = OP_UD;
		d->in.len = (uint8_t)MIN(f->have - off, 15u); /* all that it may go by: a store there may make it another */
		d->ends = true;
	}
	t->rips[t->n] = rip;
	xlate_move_decoded(t, d);
	uint32_t key = t->key;
	xlate_system_choose(t, d);
	if (!xlate_bound_take(t, d)) {
		t->key = key;
		return false;
	}
	t->keys[++t->n] = t->key;
	return true;
}

bool xlate_block_ends(const struct dec *d)
{
	return d->ends || d->cls == DC_RET || d->cls == DC_CALL || d->cls == DC_JMP;
}

static bool jumps_to_start(const struct dec *d, unsigned end)
{
	bool jump = d->cls == DC_JCC || d->cls == DC_LOOP || (d->cls == DC_JMP && d->imm_target);
	return jump && (int64_t)d->in.imm == -(int64_t)end;
}

static void decode_block(struct tr *t, struct fetch *f)
{
	unsigned off = 0, max = t->step ? 1 : BLOCK_MAX_INSNS;
	while (t->n < max && off < f->len) {
		if (!decode_next(t, f, off))
			break;
		const struct dec *d = &t->dec[t->n - 1];
		off += d->in.len;
		t->loops |= jumps_to_start(d, off);
		if (xlate_block_ends(d) || f->crosses || !f->cacheable)
			break;
	}
	t->rips[t->n] = t->b->rip + off;
	t->b->guest_len = (uint16_t)off;
}

/* Which arithmetic flags are needed before each instruction, backwards from all at the end. */
static void flag_liveness(struct tr *t)
{
	uint32_t live = FL_ARITH;
	for (unsigned i = t->n; i-- > 0;) {
		const struct dec *d = &t->dec[i];
		bool leaves = d->cls == DC_JCC || d->cls == DC_LOOP || (d->cls == DC_HELPER && d->ends);
		live = leaves ? FL_ARITH : (live & ~d->fl_kill) | d->fl_read;
		t->live[i] = t->step || t->x->c->exact_flags ? FL_ARITH : live;
	}
}

void xlate_block_begin_insn(struct tr *t, unsigned i)
{
	t->i = i;
	t->rip = t->rips[i];
	xlate_system_mode(t, i);
	xlate_homed_before(t, &t->dec[i]);
	xlate_lower_map(t);
}

void xlate_block_lower(struct tr *t)
{
	const struct dec *d = &t->dec[t->i];
	switch (d->cls) {
	case DC_NOP: break;
	case DC_PUSH: xlate_insn_push(t, d); break;
	case DC_POP: xlate_insn_pop(t, d); break;
	case DC_LEAVE: xlate_insn_leave(t, d); break;
	case DC_LEA: xlate_insn_lea(t, d); break;
	case DC_BT: xlate_insn_bt(t, d); break;
	case DC_RET: xlate_insn_ret(t, d); break;
	case DC_CALL: xlate_insn_call(t, d); break;
	case DC_JMP: xlate_insn_jmp(t, d); break;
	case DC_JCC: xlate_insn_jcc(t, d); break;
	case DC_LOOP: xlate_insn_loop(t, d); break;
	case DC_HELPER: xlate_insn_helper(t, d); break;
	case DC_SYSTEM: xlate_system(t, d); break;
	case DC_STRING: xlate_movs(t, d); break;
	default:
		if (d->in.has_mem)
			xlate_lower_access(t, &(struct access){ .at = xlate_lower_operand(d), .size = d->mem_size,
				.load = d->mem_rd, .store = d->mem_wr, .body = xlate_copy });
		else
			xlate_copy(t, d, NULL);
		xlate_x87_note(t, d);
	}
}

static void emit_exit_stubs(struct xlate *x, struct emit *e, struct block *b)
{
	for (unsigned k = 0; k < b->nexits; k++) {
		struct xexit *ex = &b->exits[k];
		ex->from = b;
		ex->stub_off = (uint32_t)(e->p - x->c->rw);
		emit_patch(x->c->rw + ex->disp_off, e->p);
		emit_mov_imm(e, S1, (uint64_t)(uintptr_t)ex);
		emit_jmp_cpu(e, X_OFF(thunk) + (ex->returns ? XT_EXIT_RETURN : XT_EXIT_DIRECT) * 8);
	}
	b->cold_len = (uint32_t)(e->p - x->c->rw) - b->cold_off;
}

static void copy_tables(struct tr *t)
{
	t->b->nexits = (uint16_t)t->nexits;
	t->b->exits = xlate_cache_alloc(t->x, sizeof(struct xexit) * (t->nexits + 1));
	memcpy(t->b->exits, t->exits, sizeof(struct xexit) * t->nexits);
	t->b->nmap = (uint16_t)t->nmap;
	t->b->map = xlate_cache_alloc(t->x, sizeof(struct xmap) * t->nmap);
	memcpy(t->b->map, t->map, sizeof(struct xmap) * t->nmap);
}

/* Where b goes, and its gate: the entry is next. */
static void emit_gate(struct xlate *x, struct emit *e, struct block *b, uint32_t host_off, uint32_t cold_off,
	enum gate want)
{
	e->p = x->c->rw + host_off;
	b->host_off = host_off;
	b->cold_off = cold_off;
	if (want == GATE_CHECKED)
		xlate_gate_checked(x, e, b);
	else if (want == GATE_PAGE)
		xlate_gate_page(x, e, b);
	if (x->c->shared && (uintptr_t)e->p % 8)
		emit_nop(e, 8 - (unsigned)((uintptr_t)e->p % 8)); /* wherever the code lies (move.c): align_site() */
	b->entry_off = (uint32_t)(e->p - x->c->rw);
}

static void emit_block(struct tr *t, uint32_t host_off, uint32_t cold_off, enum gate want)
{
	struct block *b = t->b;
	emit_gate(t->x, &t->e, b, host_off, cold_off, want);
	for (unsigned i = 0; i < t->n; i++) {
		const unsigned first = i;
		const uint8_t *from = t->e.p;
		xlate_block_begin_insn(t, i);
		unsigned run = xlate_insn_stack_run(t);
		if (!run)
			xlate_block_lower(t);
		xlate_homed_after(t, &t->dec[i]);
		xlate_window_passed(t, &t->dec[i]);
		for (; run > 1; run--)
			xlate_window_passed(t, &t->dec[++i]);
		xlate_bound_check(t, first, i + 1, (uint32_t)(t->e.p - from));
	}
	xlate_homed_flush(t);
	if (!xlate_block_ends(&t->dec[t->n - 1]))
		xlate_exit_to(t, cpu_code64(t->cpu) ? t->rips[t->n] : (uint32_t)t->rips[t->n]);
	b->host_len = (uint32_t)(t->e.p - t->x->c->rw) - host_off;
	t->e.p = t->x->c->rw + cold_off;
	xlate_lower_cold(t);
	copy_tables(t);
	emit_exit_stubs(t->x, &t->e, b);
	xlate_bound_check_block(t);
	b->ninsns = (uint16_t)t->n;
	xlate_move_end(t);
}

static void set_identity(struct xlate *x, struct block *b, const struct fetch *f)
{
	struct cpu *cpu = x->cpu;
	b->rip = cpu->s.rip;
	b->cs_base = cpu_code64(cpu) ? 0 : cpu->s.seg[SEG_CS].base;
	b->cs_limit = cpu->s.seg[SEG_CS].limit;
	b->ks = xcpu(cpu)->ks;
	b->host[0] = f->host[0];
	b->page_off = f->page_off;
	b->ram[0] = f->ram[0];
	b->ram[1] = UINT64_MAX;
	b->window = xcpu(cpu)->key & KEY_WINDOW;
}

static void number_page(struct xlate *x, struct block *b, unsigned k, uint64_t rip)
{
	uint32_t key = xcpu(x->cpu)->key;
	gla_t gla = key_code64(key) ? rip : (uint32_t)rip;

	if (key & KEY_FLAT_CS)
		b->live[k] = xlate_live_number(x, gla, b->host[k], key_view(key) == VIEW_USER);
}

static struct tr *begin(struct xlate *x, struct block *b, bool step)
{
	struct tr *t = x->tr;
	t->x = x;
	t->cpu = x->cpu;
	t->b = b;
	t->key = t->keys[0] = xcpu(x->cpu)->key;
	t->step = step;
	t->n = t->ncold = t->nexits = t->nmap = 0;
	t->loops = false;
	xlate_bound_begin(t);
	xlate_window_forget(t);
	xlate_homed_begin(t);
	xlate_move_begin(t);
	return t;
}

/* False: the first instruction crosses into memory that no block is made of. */
static bool translate(struct xlate *x, struct block *b, struct fetch *f, enum gate want)
{
	struct tr *t = begin(x, b, false);
	xlate_find_keep(x, f);
	decode_block(t, f);
	if (!f->cacheable)
		return false;
	b->host[1] = f->host[1];
	b->ram[1] = f->ram[1];
	if (b->host[1])
		number_page(x, b, 1, b->rip + 4096);
	flag_liveness(t);
	emit_block(t, x->c->used, x->c->cold_used, want);
	return true;
}

/* False: there is no block to make b from. */
static bool move(struct xlate *x, struct block *b, enum gate want)
{
	const struct block *from = xlate_move_find(x, b);
	struct emit e;
	if (!from)
		return false;
	emit_gate(x, &e, b, x->c->used, x->c->cold_used, want);
	xlate_move(x, b, from, &e);
	emit_exit_stubs(x, &e, b);
	x->cpu->stats.count[STAT_MOVED]++;
	return true;
}

struct block *xlate_block_translate(struct xlate *x, struct fetch *f, enum gate want)
{
	stats_enter(&x->cpu->stats, PHASE_TRANSLATION);
	cpu_fpu_park(x->cpu);
	x->tr->step = false; /* the last one was, perhaps */
	xlate_cache_make_room(x);
	struct block *b = xlate_cache_alloc(x, sizeof(*b));
	if (!(xcpu(x->cpu)->key & KEY_FLAT_CS))
		want = GATE_NONE;
	set_identity(x, b, f);
	number_page(x, b, 0, b->rip);
	if (!move(x, b, want) && !translate(x, b, f, want)) {
		x->stepping = true;
		return xlate_block_step(x);
	}
	xlate_cache_publish(x, b);
	xlate_perfmap_block(x, b);
	x->cpu->stats.count[STAT_BLOCKS]++;
	x->cpu->stats.count[STAT_INSNS] += b->ninsns;
	x->cpu->stats.count[STAT_HOST_BYTES] += b->host_len + b->cold_len;
	stats_enter(&x->cpu->stats, PHASE_DISPATCH);
	return b;
}

struct block *xlate_block_step(struct xlate *x)
{
	struct fetch f;
	stats_enter(&x->cpu->stats, PHASE_TRANSLATION);
	xlate_find_fetch(x, &f);
	cpu_fpu_park(x->cpu);
	xlate_x87_settle(x->cpu);
	x->step_used = 0;
	struct block *b = &x->step_block;
	memset(b, 0, sizeof(*b));
	set_identity(x, b, &f);
	b->window = false;
	struct tr *t = begin(x, b, true);
	decode_block(t, &f);
	b->host[1] = f.host[1];
	b->ram[1] = f.ram[1];
	flag_liveness(t);
	uint32_t at = CODE_SIZE - STEPS_SIZE + x->number * STEP_SIZE;
	emit_block(t, at, at + STEP_SIZE / 2, GATE_NONE);
	x->cpu->stats.count[STAT_STEPS]++;
	x->step_op = t->dec[0].cls == DC_HELPER ? t->dec[0].in.op : OP_COUNT;
	return b;
}

static void move_stack(struct cpu *cpu, unsigned stsize, uint64_t n)
{
	uint64_t *sp = &cpu->s.gpr[RSP];
	*sp = stsize == 8 ? *sp + n : stsize == 4 ? (uint32_t)(*sp + n) : (*sp & ~0xffffull) | ((*sp + n) & 0xffff);
}

/* RCX before LOOP took one off it. */
static uint64_t count_back(uint64_t rcx, unsigned size)
{
	return size == 2 ? (rcx & ~0xffffull) | ((rcx + 1) & 0xffff) : (uint32_t)(rcx + 1);
}

noreturn void xlate_block_bad_target_raise(struct xlate *x, uint64_t rip, unsigned pushed)
{
	struct cpu *cpu = x->cpu;
	struct dec d;
	uint8_t bytes[15];
	gpa_t gpa;
	unsigned n = 0;
	gla_t base = cpu_code64(cpu) ? 0 : cpu->s.seg[SEG_CS].base;
	cpu_fpu_park(cpu);
	cpu->s.rip = rip;
	if (pushed) {
		move_stack(cpu, cpu_code64(cpu) ? 8 : xcpu(cpu)->key & KEY_STACK32 ? 4 : 2, pushed);
		cpu_raise(cpu, EXC_GP, 0);
	}
	while (n < sizeof(bytes) && mmu_peek(cpu, cpu_code64(cpu) ? rip + n : (uint32_t)(base + rip + n), &gpa))
		mem_read(x->mem, gpa, &bytes[n++], 1);
	if (dec_decode(&x->isa, &d, xcpu(cpu)->key, xcpu(cpu)->key & KEY_REAL, bytes, n) == DEC_OK) {
		if (d.cls == DC_RET)
			move_stack(cpu, d.in.stsize, -(uint64_t)(d.in.opsize + (d.in.imm & 0xffff)));
		else if (d.cls == DC_LOOP && d.cc != 0xe3) /* not J(E)CXZ: only 16- and 32-bit code gets here */
			cpu->s.gpr[RCX] = count_back(cpu->s.gpr[RCX], d.in.adsize);
	}
	cpu_raise(cpu, EXC_GP, 0);
}
