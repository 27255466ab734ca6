// SPDX-License-Identifier: GPL-2.0-or-later
/* what: running translated code: the dispatcher, and the C side of the thunks
 *
 *     vcpu loop -> xlate_run -> xlate_enter (entry.S) -> blocks ... -> exit -> xlate_run finds, links, enters again
 *                                    |-> thunks -> xlate_helper, xlate_slow, xlate_commit (here) -> insn, mmu
 *
 * All of this runs while guest FPU state is in the host's registers, so it is compiled with
 * -mgeneral-regs-only and parks the FPU before it translates.
 */
#include "xlate/xlate_int.h"

#include "xlate/offsets.h"

_Static_assert(OFF_RSP == CPU_RSP && CPU_OFF(s.gpr) == 0, "entry.S");
_Static_assert(CPU_OFF(s.rip) == OFF_RIP, "entry.S");
_Static_assert(CPU_OFF(tmp) == OFF_TMP, "entry.S");
_Static_assert(CPU_OFF(tmp[TMP_LEFT_AT]) == OFF_LEFT_AT, "entry.S");
_Static_assert(X_OFF(host_flags) == OFF_HOST_FLAGS, "entry.S");
_Static_assert(CPU_OFF(host_pc) == OFF_HOST_PC, "entry.S");
_Static_assert(CPU_OFF(host_rsp) == OFF_HOST_RSP, "entry.S");
_Static_assert(CPU_OFF(bounce_len) == OFF_BOUNCE_LEN, "entry.S");
_Static_assert(MMU_OFF(near_live) == OFF_NEAR_LIVE, "entry.S");
_Static_assert(X_OFF(near_budget) == OFF_NEAR_BUDGET, "entry.S");
_Static_assert(MMU_OFF(near) == OFF_NEAR, "entry.S");
_Static_assert(CPU_OFF(kept) == OFF_KEPT && sizeof(struct cpu_kept) == KEPT_BYTES, "entry.S");
_Static_assert(offsetof(struct cpu_kept, page) == KEPT_PAGE && offsetof(struct cpu_kept, off) == KEPT_OFF &&
	offsetof(struct cpu_kept, raw) == KEPT_RAW && offsetof(struct cpu_kept, seg) == KEPT_SEG &&
	offsetof(struct cpu_kept, seg.sel) == KEPT_SEL && offsetof(struct cpu_kept, rmax) == KEPT_RMAX &&
	offsetof(struct cpu_kept, wmax) == KEPT_WMAX && offsetof(struct cpu_kept, gdt_limit) == KEPT_LIMIT &&
	offsetof(struct cpu_kept, slot) == KEPT_SLOT && offsetof(struct cpu_kept, gdt_base) == 0, "entry.S");
_Static_assert(CPU_OFF(rmax) == OFF_RMAX && CPU_OFF(wmax) == OFF_WMAX, "entry.S");
_Static_assert(CPU_OFF(s.seg) == OFF_SEG && sizeof(struct cpu_seg) == SEG_BYTES &&
	offsetof(struct cpu_seg, limit) == 8 && offsetof(struct cpu_seg, sel) == 12 &&
	offsetof(struct cpu_seg, attr) == 14 &&
	CPU_OFF(s.gdt_base) == OFF_GDT_BASE &&
	CPU_OFF(s.gdt_limit) == OFF_GDT_LIMIT, "entry.S");
_Static_assert(MMU_OFF(tlb) == OFF_TLB, "entry.S");
_Static_assert(sizeof(struct mmu_tlbe) == TLBE_BYTES && TLB_SIZE - 1 == TLB_MASK, "entry.S");
_Static_assert(NEAR_SIZE * TLBE_BYTES == NEAR_BYTES && VIEW_COUNT * TLB_RW_COUNT == 6, "entry.S");
_Static_assert(OP_COUNT <= STATS_OPS, "stats.h");

/* Translated code has called C with the guest's FPU and vector state in the registers. Nothing here touches them, but
 * what ThreadSanitizer adds to mem/ and vcpu/ does. */
static void in_c(struct cpu *cpu)
{
#ifdef RING3_TSAN
	cpu_fpu_park(cpu);
#endif
}

static void back_to_code(struct cpu *cpu)
{
	if (!cpu->fpu_live)
		cpu_fpu_load(cpu);
}

/* host_flags is AX after LAHF and SETO AL: SF ZF AF PF CF in bits 8-15, OF in bit 0. */
static void flags_from_host(struct cpu *cpu)
{
	uint64_t f = xcpu(cpu)->host_flags;
	cpu->s.rflags = (cpu->s.rflags & ~(uint64_t)FL_ARITH) | (f >> 8 & 0xd5) | (f & 1) << 11;
}

static void flags_to_host(struct cpu *cpu)
{
	uint64_t f = cpu->s.rflags;
	xcpu(cpu)->host_flags = (f & 0xd5) << 8 | 2 << 8 | (f >> 11 & 1);
}

/* Did the mode key change since the running block was entered? */
static bool key_changed(struct cpu *cpu)
{
	if (!cpu->mode_dirty)
		return false;
	if (key_of(cpu) != xcpu(cpu)->key)
		return true;
	cpu->mode_dirty = false;
	return false;
}

static void refresh_mode(struct xlate *x)
{
	struct cpu *cpu = x->cpu;
	if (x->seen != x->c->flushes)
		xlate_cache_refresh_key(x);
	if (cpu->mode_dirty) {
		xcpu(cpu)->key = key_of(cpu);
		xcpu(cpu)->ks = xlate_keyspace(x, xcpu(cpu)->key);
		cpu->mode_dirty = false;
		if (xcpu(cpu)->key & KEY_WINDOW)
			mmu_window_enter(cpu);
		if (xcpu(cpu)->key & KEY_WINDOW && cpu->mmu->window_wanted)
			mmu_window_wanted(cpu);
	}
	if (x->c->flush_wanted)
		xlate_flush(x);
}

/* Is the RIP that a near branch led to one that it may not lead to (SDM vol 2 JMP, RET: #GP)? */
static bool bad_rip(const struct cpu *cpu)
{
	return cpu_code64(cpu) ? !cpu_canonical(cpu->s.rip) : cpu->s.rip > cpu->s.seg[SEG_CS].limit;
}

/* Should the run loop look before the next block? With breakpoints enabled it steps (L0-3, G0-3: SDM vol 3 17.2.4). */
static bool leave_now(struct cpu *cpu)
{
	bool intr = __atomic_load_n(&cpu->intr, __ATOMIC_SEQ_CST) && cpu->s.rflags & FL_IF;
	if (!__atomic_load_n(&xcpu(cpu)->poll, __ATOMIC_RELAXED) || cpu->s.halted || cpu->s.pending_dbg ||
	    cpu->s.nmi_pending || intr || cpu->s.rflags & FL_TF || cpu->s.dr[7] & 0xff)
		return true;
	cpu_shadow_pass(cpu);
	cpu->s.rflags &= ~(uint64_t)FL_RF;
	return false;
}

static const void *to_run_loop(struct xlate *x)
{
	x->cpu->stats.count[STAT_EXIT_HELPER]++;
	return (const void *)xlate_leave;
}

/* Where translated code goes on at s.rip after a helper ended its block: into the jump cache, or to the run loop
 * (xlate_leave) when that has to look first. */
static const void *next_block(struct xlate *x)
{
	struct cpu *cpu = x->cpu;
	if (leave_now(cpu) || x->c->flush_wanted || x->stepping)
		return to_run_loop(x);
	refresh_mode(x);
	if (!(xcpu(cpu)->key & KEY_FLAT_CS))
		return to_run_loop(x);
	back_to_code(cpu);
	return (const void *)(uintptr_t)xcpu(cpu)->jc[xcpu(cpu)->ks][xlate_jc_slot(x, cpu->s.rip)];
}

/* The block to go on with at once, or NULL. */
static struct block *dispatched(struct cpu *cpu)
{
	struct xlate *x = cpu->engine;
	stats_enter(&cpu->stats, PHASE_DISPATCH);
	cpu->stats.count[STAT_EXIT_POLL] += !__atomic_load_n(&xcpu(cpu)->poll, __ATOMIC_RELAXED);
	if (bad_rip(cpu) || leave_now(cpu) || cpu->mode_dirty || x->c->flush_wanted || x->stepping ||
		!(xcpu(cpu)->key & KEY_FLAT_CS))
		return NULL;
	cpu->stats.count[STAT_EXITS]++;
	in_c(cpu);
	xlate_lock(x);
	return xlate_find_known(x);
}

/* Where to go on after dispatched(). */
static const void *dispatch_to(struct xlate *x, const struct block *b, uint32_t off)
{
	xlate_unlock(x);
	if (b)
		back_to_code(x->cpu);
	return b ? xlate_rx(x, off) : (const void *)xlate_leave;
}

const void *xlate_dispatch(struct cpu *cpu)
{
	struct xlate *x = cpu->engine;
	struct block *b = dispatched(cpu);
	if (b)
		xlate_link_jc_fill(x, b);
	return dispatch_to(x, b, b ? b->entry_off : 0);
}

const void *xlate_dispatch_page(struct cpu *cpu)
{
	struct xlate *x = cpu->engine;
	struct block *b = dispatched(cpu);
	cpu->stats.count[STAT_EXIT_PAGE]++;
	return dispatch_to(x, b, b ? b->entry_off : 0);
}

const void *xlate_dispatch_return(struct cpu *cpu, struct xexit *ex)
{
	struct block *b = dispatched(cpu);
	if (b && b->rip == ex->target)
		xlate_link_chain(cpu->engine, ex, b);
	return dispatch_to(cpu->engine, b, b ? b->entry_off : 0);
}

const void *xlate_helper(struct cpu *cpu, const struct xsite *site)
{
	struct xlate *x = cpu->engine;
	uint64_t next = site->rip + site->in.len;
	in_c(cpu);
	stats_helper(&cpu->stats, site->in.op);
	flags_from_host(cpu);
	if (!cpu_code64(cpu))
		next = (uint32_t)next;
	cpu->s.rip = site->rip;
	cpu->next_rip = next;
	cpu->host_pc = 0;
	cpu->tmp[TMP_LEFT_AT] = 0;
	insn_table[site->in.op].fn(cpu, &site->in);
	flags_to_host(cpu);
	if (site->ends || cpu->next_rip != next || key_changed(cpu) || cpu->s.pending_dbg || cpu->bounce_exit ||
	    __atomic_load_n(&cpu->request, __ATOMIC_RELAXED)) {
		cpu->bounce_exit = false;
		cpu->s.rip = cpu->next_rip;
		return next_block(x);
	}
	back_to_code(cpu);
	return NULL;
}

static unsigned desc_kind(uint32_t desc)
{
	return (desc & DESC_WRITE ? MMU_WRITE : MMU_READ) | (desc & DESC_SS ? MMU_SS : 0);
}

/* Exceptions that come before those of the access itself: x87 and MMX instructions wait for pending ones (SDM vol 1
 * 8.7), and alignment is checked before paging. */
static void before_access_raise(struct cpu *cpu, gla_t gla, uint32_t desc)
{
	uint16_t fsw;
	if (desc & DESC_WAITS) {
		back_to_code(cpu);
		__asm__ volatile("fnstsw %0" : "=a"(fsw));
		if (fsw & 0x80)
			cpu_raise(cpu, EXC_MF, 0);
	}
	if (desc & DESC_ALIGNED && gla & ((desc & DESC_SIZE) - 1))
		cpu_raise(cpu, EXC_GP, 0);
}

/* Which elements of a masked memory operand are needed; n: how many it has. A broadcast's are needed by every so many
 * mask bits. */
static uint64_t needed(struct cpu *cpu, uint32_t desc, unsigned *n)
{
	unsigned elem = desc >> DESC_ELEM_SHIFT & 7, k = desc >> DESC_K_SHIFT & 7;
	*n = desc & DESC_ANY ? 1u << (desc >> DESC_TUPLE_SHIFT & 3) : (desc & DESC_SIZE) >> elem;
	uint64_t mask = insn_vector_mask(cpu, desc & DESC_ANY ? 1u << elem : *n, k);
	for (unsigned bits = 1u << elem; desc & DESC_ANY && bits > *n; bits /= 2)
		mask |= mask >> bits / 2;
	return *n < 64 ? mask & ((1ull << *n) - 1) : mask;
}

static void *masked_operand_raise(struct cpu *cpu, gla_t gla, uint32_t desc)
{
	unsigned n, size = desc & DESC_SIZE;
	uint64_t mask = needed(cpu, desc, &n);
	if (mask && size <= 8)
		insn_align_raise(cpu, gla, size);
	return insn_vector_operand_raise(cpu, gla, size, size / n, mask, desc_kind(desc));
}

static void masked_segment_raise(struct cpu *cpu, unsigned seg, uint64_t off, uint32_t desc)
{
	unsigned n;
	uint64_t mask = needed(cpu, desc, &n);
	unsigned esize = (desc & DESC_SIZE) / n;
	for (unsigned i = 0; i < n; i++)
		if (mask >> i & 1)
			insn_seg_linear_raise(cpu, seg, (uint32_t)(off + (uint64_t)i * esize), esize, desc_kind(desc));
}

/* One miss in eight of supervisor code that touches low addresses: is the code there as well? */
static void look_for_loader(struct cpu *cpu)
{
	const struct block *b = xlate_cache_at(cpu->engine, cpu->host_pc - 1);
	if (b && b->rip < LOADER_END)
		mmu_window_missed(cpu);
}

static void locked_end(struct cpu *cpu)
{
	if (!cpu->member || !cpu->member->alone)
		return;
	mem_alone_end(cpu->member);
	xlate_unlock(cpu->engine);
}

/* An operand that has no one address to lock: until the commit the other CPUs stand still (mem/coherence.h C6). */
static void *locked_raise(struct cpu *cpu, gla_t gla, uint32_t desc)
{
	void *p;
	xlate_lock(cpu->engine); /* first: its holder must never stand aside for who waits for it */
	mem_alone_begin(cpu->member);
	p = mmu_slow_raise(cpu, gla, desc & DESC_SIZE, desc_kind(desc), desc & DESC_LOAD);
	if (!cpu->bounce_len)
		locked_end(cpu);
	return p;
}

void *xlate_slow(struct cpu *cpu, gla_t gla, uint32_t desc)
{
	in_c(cpu);
	stats_enter(&cpu->stats, PHASE_MISS);
	cpu->stats.count[STAT_MISSES]++;
	if (!cpu->s.cpl && gla < LOADER_END && cpu->stats.count[STAT_MISSES] % 8 == 0)
		look_for_loader(cpu);
	if (desc & (DESC_ALIGNED | DESC_WAITS))
		before_access_raise(cpu, gla, desc);
	if (xcpu(cpu)->key & KEY_ALIGN && !(desc >> DESC_K_SHIFT & 7))
		insn_align_raise(cpu, gla, desc & DESC_SIZE);
	void *p = desc >> DESC_K_SHIFT & 7 ? masked_operand_raise(cpu, gla, desc)
	                                   : mmu_slow_raise(cpu, gla, desc & DESC_SIZE, desc_kind(desc), desc & DESC_LOAD);
	if (desc & DESC_LOCK && cpu->bounce_len && cpu->member && mem_shared(cpu->mem))
		p = locked_raise(cpu, gla, desc);
	cpu->host_pc = 0;
	back_to_code(cpu);
	return p;
}

uint64_t xlate_segment(struct cpu *cpu, uint64_t off, uint32_t desc)
{
	unsigned seg = desc >> DESC_SEG_SHIFT & 7;
	in_c(cpu);
	stats_enter(&cpu->stats, PHASE_SEGMENT);
	cpu->stats.count[STAT_SEGMENTS]++;
	if (desc & (DESC_ALIGNED | DESC_WAITS))
		before_access_raise(cpu, cpu->s.seg[seg].base + off, desc);
	gla_t gla = (uint32_t)(cpu->s.seg[seg].base + off);
	if (desc >> DESC_K_SHIFT & 7)
		masked_segment_raise(cpu, seg, off, desc);
	else
		gla = insn_seg_linear_raise(cpu, seg, off, desc & DESC_SIZE, desc_kind(desc));
	cpu->host_pc = 0;
	back_to_code(cpu);
	return gla;
}

int xlate_commit(struct cpu *cpu, uint64_t next_rip)
{
	in_c(cpu);
	stats_enter(&cpu->stats, PHASE_COMMIT);
	mmu_commit(cpu);
	locked_end(cpu);
	if (cpu->bounce_exit) {
		cpu->stats.count[STAT_EXIT_CODE]++;
		cpu->bounce_exit = false;
		cpu->s.rip = next_rip;
		return 1;
	}
	back_to_code(cpu);
	return 0;
}

void xlate_pushed(struct cpu *cpu)
{
	in_c(cpu);
	stats_enter(&cpu->stats, PHASE_COMMIT);
	mmu_commit(cpu);
	cpu->stats.count[STAT_EXIT_CODE] += cpu->bounce_exit;
	cpu->bounce_exit = false;
	back_to_code(cpu);
}

static uint32_t offset_in(const struct xlate *x, const struct block *b, uint64_t host_pc)
{
	return (uint32_t)(host_pc - (uint64_t)(uintptr_t)x->c->rx) - b->host_off;
}

const struct xmap *xlate_map_at(const struct xlate *x, const struct block *b, uint64_t host_pc)
{
	uint32_t off = offset_in(x, b, host_pc);
	unsigned lo = 0, hi = b->nmap;
	while (hi - lo > 1) {
		unsigned mid = (lo + hi) / 2;
		if (b->map[mid].host <= off)
			lo = mid;
		else
			hi = mid;
	}
	return &b->map[lo];
}

uint64_t xlate_guest_rip(struct xlate *x, uint64_t host_pc)
{
	const struct block *b = xlate_cache_at(x, host_pc);
	if (!b || !b->nmap)
		return 0;
	return b->rip + xlate_map_at(x, b, host_pc)->guest;
}

/* Where near misses come thick, whoever is taken at random has many of them: that instruction asks the TLB at once
 * from now on. */
void xlate_near_often(struct cpu *cpu, uint64_t host_pc)
{
	struct xlate *x = cpu->engine;
	uint64_t now = __builtin_ia32_rdtsc(), since = now - x->near_looked;
	xcpu(cpu)->near_budget = NEAR_BUDGET;
	x->near_looked = now;
	struct block *b = xlate_cache_at(x, host_pc);
	if (!b || b->dead || since > NEAR_BUDGET * (b->window ? SLOT_DENSE : NEAR_DENSE))
		return;
	uint32_t h = xlate_far_bit(xlate_guest_rip(x, host_pc - 1), b->window);
	in_c(cpu);
	bool begun = xlate_lock(x);
	x->c->far[h / 64] |= 1ull << h % 64;
	if (!b->dead)
		xlate_cache_kill(x, b);
	if (begun)
		xlate_unlock(x);
	back_to_code(cpu);
}

void xlate_sync(struct xlate *x)
{
	struct cpu *cpu = x->cpu;
	if (cpu->host_pc) {
		cpu->s.rip = xlate_guest_rip(x, cpu->host_pc - 1);
		flags_from_host(cpu);
		cpu->host_pc = 0;
	}
	xlate_outside(x);
	xlate_unlock(x);
}

/* Windows had no answer for the instruction at rip, but a strict step had. */
static void not_for_windows(struct xlate *x, uint64_t rip, uint64_t host_pc)
{
	uint8_t *n = &x->c->window_not[xlate_window_at(rip)];
	struct block *b = xlate_cache_at(x, host_pc);
	mmu_window_refused(x->cpu);
	*n += *n < WINDOW_NOT_MAX;
	if (*n == WINDOW_NOT_MAX && b && !b->dead)
		xlate_cache_kill(x, b);
}

/* Translated code faulted, and it is not clear what the guest is to see: one strict step, which knows all, tells. */
/* NOLINTNEXTLINE(misc-no-recursion): see enter() */
static void retry(struct xlate *x)
{
	uint64_t rip = x->cpu->s.rip, host_pc = x->sig_window, flushes = x->c->flushes;
	x->sig_retry = false;
	x->sig_window = 0;
	stats_step(&x->cpu->stats, rip, host_pc ? STEP_WINDOW : STEP_FAULT);
	xlate_step(x);
	bool begun = xlate_lock(x);
	if (host_pc && flushes == x->c->flushes)
		not_for_windows(x, rip, host_pc);
	if (begun)
		xlate_unlock(x);
}

/* Enter code and come back with s complete; raises what the signal handler found. */
/* NOLINTNEXTLINE(misc-no-recursion): once: the block of a single step never asks to be tried again (fault_sig.c) */
static struct xexit *enter(struct xlate *x, uint32_t code_off)
{
	struct cpu *cpu = x->cpu;
	back_to_code(cpu);
	flags_to_host(cpu);
	cpu->tmp[TMP_LEFT_AT] = 0;
	struct xexit *ex = xlate_enter(cpu, xlate_rx(x, code_off));
	in_c(cpu);
	stats_enter(&cpu->stats, PHASE_DISPATCH);
	flags_from_host(cpu);
	cpu->host_pc = 0;
	if (x->sig_retry) {
		xlate_outside(x);
		retry(x);
		return NULL;
	}
	if (x->sig_event) {
		x->sig_event = false;
		/* SSE errors are #XM only if CR4.OSXMMEXCPT says so (SDM vol 3 2.5) */
		if (x->sig_vector == EXC_XM && !(cpu->s.cr4 & CR4_OSXMMEXCPT))
			x->sig_vector = EXC_UD;
		cpu_raise(cpu, x->sig_vector, x->sig_error);
	}
	uint64_t left_at = cpu->tmp[TMP_LEFT_AT];
	if (!ex && left_at && bad_rip(cpu)) {
		uint64_t off = left_at & ((1u << LEFT_AT_BITS) - 1);
		xlate_block_bad_target_raise(x, xlate_guest_rip(x, (uint64_t)(uintptr_t)x->c->rx + off),
			(unsigned)(left_at >> LEFT_AT_BITS) * 2);
	}
	return ex;
}

/* The block for the CPU's state, linked to what led here; translated code may be entered now. */
static struct block *next(struct xlate *x, struct xexit *from, uint64_t flushes)
{
	bool begun = xlate_lock(x);
	x->stepping = false;
	refresh_mode(x);
	if (flushes != x->c->flushes)
		from = NULL;
	struct block *b = xlate_find_block(x, !from ? GATE_CHECKED : from->near ? GATE_NONE : GATE_PAGE);
	if (flushes != x->c->flushes)
		from = NULL;
	if (from)
		xlate_link_chain(x, from, b);
	else
		xlate_link_jc_fill(x, b);
	xlate_inside(x);
	if (begun)
		xlate_unlock(x);
	return b;
}

void xlate_run(struct xlate *x)
{
	struct cpu *cpu = x->cpu;
	struct xexit *from = NULL;
	uint64_t flushes = x->c->flushes;
	do {
		struct block *b = next(x, from, flushes);
		flushes = x->c->flushes;
		from = enter(x, b->entry_off);
		cpu->stats.count[STAT_EXITS]++;
		if (from) {
			cpu->stats.count[from->linkable ? STAT_EXIT_JUMP : STAT_EXIT_FAR]++;
			cpu->s.rip = from->target;
			if (!from->linkable)
				from = NULL;
		}
		xlate_outside(x);
	} while (!leave_now(cpu));
}

/* NOLINTNEXTLINE(misc-no-recursion): see enter() */
void xlate_step(struct xlate *x)
{
	bool begun = xlate_lock(x);
	refresh_mode(x);
	x->stepping = true;
	xlate_inside(x);
	if (begun)
		xlate_unlock(x);
	struct block *b = xlate_block_step(x);
	struct xexit *ex = enter(x, b->entry_off);
	if (ex)
		x->cpu->s.rip = ex->target;
	xlate_outside(x);
}

void xlate_exact_flags(struct xlate *x, bool on)
{
	if (on != x->c->exact_flags)
		xlate_flush(x);
	x->c->exact_flags = on;
}

bool xlate_stepped_int(const struct xlate *x)
{
	unsigned op = x->step_op;
	if (op == OP_INTO)
		return x->cpu->s.rflags & FL_OF;
	return op == OP_INT || op == OP_INT3 || op == OP_INT1 || op == OP_SYSCALL || op == OP_SYSRET;
}

void xlate_flush(struct xlate *x)
{
	cpu_fpu_park(x->cpu);
	xlate_cache_flush(x);
}

void xlate_invalidate(struct xlate *x, uint64_t off, uint64_t len)
{
	xlate_cache_written(x, off, len);
	x->cpu->bounce_exit = false;
}

void xlate_drain(struct xlate *x)
{
	struct mem_told told[MEM_TOLD_MAX];
	bool begun = xlate_lock(x); /* first: who asks next finds nothing, and is to find it done */
	unsigned n = mem_code_told(x->mem, told);
	if (n && told[0].len == UINT64_MAX)
		xlate_cache_flush(x);
	else
		for (unsigned k = 0; k < n; k++)
			xlate_invalidate(x, told[k].off, told[k].len);
	if (begun)
		xlate_unlock(x);
}

static bool code_begin(struct cpu *cpu)
{
	return xlate_lock(cpu->engine);
}

static void code_end(struct cpu *cpu)
{
	xlate_unlock(cpu->engine);
}

static void code_written(struct cpu *cpu, uint64_t off, uint64_t len)
{
	xlate_cache_written(cpu->engine, off, len);
}

void xlate_usage(const struct xlate *x, struct engine_usage *u)
{
	const struct cache *c = x->c;
	*u = (struct engine_usage){ .code = c->used + c->code_size - c->cold_base - (c->cold_end - c->cold_used),
		.code_size = c->code_size, .meta = c->arena_used, .meta_size = xlate_grow_tables(x) };
}

/* Where translated code is, for who takes samples. */
void xlate_stats_code(struct xlate *x)
{
	x->cpu->stats.code[0] = (uint64_t)(uintptr_t)x->c->rx;
	x->cpu->stats.code[1] = x->cpu->stats.code[0] + CODE_SIZE;
}

static void (*const thunks[ARRAY_LEN(((struct xcpu *)0)->thunk)])(void) = {
	[XT_EXIT_DIRECT] = xlate_exit_direct,
	[XT_EXIT_INDIRECT] = xlate_exit_indirect,
	[XT_EXIT_PAGE] = xlate_exit_page,
	[XT_EXIT_RETURN] = xlate_exit_return,
	[XT_HELPER] = xlate_thunk_helper,
	[XT_SLOW] = xlate_thunk_slow,
	[XT_SEGMENT] = xlate_thunk_segment,
	[XT_COMMIT] = xlate_thunk_commit,
	[XT_PUSHED] = xlate_thunk_pushed,
	[XT_SLOT_OFTEN] = xlate_thunk_slot_often,
	[XT_LEAVE] = xlate_leave,
	[XT_NEAR] = xlate_near_0, xlate_near_1, xlate_near_2, xlate_near_3, xlate_near_4, xlate_near_5,
	[XT_KEPT] = xlate_kept_es, xlate_kept_ds, xlate_kept_fs, xlate_kept_gs,
};

void xlate_kick(struct cpu *cpu)
{
	__atomic_store_n(&xcpu(cpu)->rc_mask, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&xcpu(cpu)->jc_seed, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&xcpu(cpu)->poll, 0, __ATOMIC_SEQ_CST);
}

void xlate_unkick(struct cpu *cpu)
{
	__atomic_store_n(&xcpu(cpu)->rc_mask, RC_SIZE - 1, __ATOMIC_RELAXED);
	__atomic_store_n(&xcpu(cpu)->jc_seed, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&xcpu(cpu)->poll, (uint64_t)(uintptr_t)&xcpu(cpu)->poll_target, __ATOMIC_SEQ_CST);
}

void xlate_attach(struct xlate *x)
{
	struct cpu *cpu = x->cpu;
	cpu->engine = x;
	cpu->mmu->flushed = xlate_live_flushed;
	cpu->mmu->gave_way = xlate_kick;
	cpu->mmu->code_written = code_written;
	cpu->mmu->code_begin = code_begin;
	cpu->mmu->code_end = code_end;
	cpu->x87_settle = xlate_x87_settle;
	xcpu(cpu)->near_budget = NEAR_BUDGET;
	for (unsigned k = 0; k < ARRAY_LEN(thunks); k++)
		xcpu(cpu)->thunk[k] = (const void *)thunks[k];
	x->jc_empty = (const void *)xlate_jc_empty;
	cpu->stats.gates[0] = (uint64_t)(uintptr_t)xlate_enter;
	cpu->stats.gates[1] = (uint64_t)(uintptr_t)xlate_gates_end;
	xlate_stats_code(x);
	xcpu(cpu)->poll_target = 0;
	xlate_unkick(cpu);
	cpu->mode_dirty = true;
}
