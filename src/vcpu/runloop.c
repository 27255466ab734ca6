// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the run loop: requests, interrupts, exceptions, single steps, and translated code in between
 *
 * One turn of the loop stands at an instruction boundary. It does the first of these that applies (SDM vol 3
 * 6.9, priority among events): requests from outside, delivery of the exception under way, pending debug traps,
 * NMI, external interrupt, sleep in HLT, one instruction (TF, breakpoints, an interrupt shadow, IGNNE#), translated
 * code.
 *
 * Guest exceptions come back here through cpu->unwind. Compiled with -mgeneral-regs-only: it runs with the
 * guest's FPU state in place.
 */
#include "vcpu/vcpu_int.h"

#define DR7_ENABLES 0xff
#define DR6_BS (1u << 14)

static bool intr_ready(const struct cpu *cpu)
{
	return __atomic_load_n(&cpu->intr, __ATOMIC_SEQ_CST) && cpu->s.rflags & FL_IF && !cpu->s.int_shadow;
}

static bool nmi_ready(const struct cpu *cpu)
{
	return cpu->s.nmi_pending && !cpu->s.nmi_blocked && !(cpu->s.int_shadow && cpu->s.shadow_ss);
}

static uint32_t take_requests(struct vcpu *v)
{
	v->engine->unkick(v->cpu);
	return __atomic_exchange_n(&v->cpu->request, 0, __ATOMIC_SEQ_CST);
}

static void reset(struct vcpu *v, bool init)
{
	bool all = !init && !v->cfg.number;

	cpu_fpu_park(v->cpu);
	cpu_reset(v->cpu, init);
	v->have_event = v->delivering = v->ignore_x87 = false;
	if (all)
		v->engine->flush(v->cpu);
	else
		v->engine->forget(v->cpu);
}

/* The device world's timers, which this thread keeps (alarm_sig.c). */
static void run_timers(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	stats_enter(&cpu->stats, PHASE_DEVICE);
	cpu_fpu_park(cpu);
	loop_keep_timers(v->cfg.loop);
	/* An interrupt that a timer raised is seen by this turn, or waits for IF: translated code need not stop at its
	 * first safe point for it. A request must be seen: who makes one writes it before the kick. */
	v->engine->unkick(cpu);
	if (__atomic_load_n(&cpu->request, __ATOMIC_SEQ_CST))
		v->engine->kick(cpu);
}

/* SDM vol 3 9.4.4: only who waits for it takes the message. */
static void start_up(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	uint8_t vector = __atomic_load_n(&v->sipi_vector, __ATOMIC_SEQ_CST);

	if (!cpu->s.wait_sipi)
		return;
	cpu->s.wait_sipi = false;
	cpu_set_seg_real(cpu, SEG_CS, (uint16_t)(vector << 8));
	cpu->s.rip = 0;
}

/* False: stop. Those that come while it stands are served before the next instruction. */
static bool do_requests(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	uint32_t req = take_requests(v);
	if (!req)
		return true;
	if (req & REQ_STOP)
		return false;
	if (req & (REQ_RESET | REQ_INIT))
		reset(v, !(req & REQ_RESET));
	if (req & REQ_FLUSH)
		v->engine->forget(cpu);
	if (req & REQ_TIMERS)
		run_timers(v);
	if (req & REQ_CODE) {
		mem_member_answer(&v->member);
		vcpu_drain_code(v);
	}
	if (req & REQ_SIPI)
		start_up(v);
	if (req & REQ_NMI)
		cpu->s.nmi_pending = true;
	if (req & REQ_IGNNE)
		vcpu_ferr_asked(v);
	if (!(req & REQ_STAND))
		return true;
	vcpu_stand(v);
	return do_requests(v);
}

static void set_event(struct vcpu *v, struct cpu_event ev)
{
	v->event = ev;
	v->have_event = true;
}

/* x87 errors with CR0.NE = 0 are reported by FERR# and IRQ 13, not by #MF (SDM vol 1 8.7.2). */
static bool native_fpu_error(const struct vcpu *v, const struct cpu_event *ev)
{
	return ev->vector == EXC_MF && !(v->cpu->s.cr0 & CR0_NE);
}

/* A guest exception unwound: it becomes the event to deliver, alone or with the one it interrupted. */
static void caught(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	stats_enter(&cpu->stats, PHASE_RUNLOOP);
	mem_alone_end(&v->member);
	v->engine->sync(v->cpu);
	if (cpu->s.ignne)
		vcpu_ferr_after(v);
	if (!v->delivering && native_fpu_error(v, &cpu->event)) {
		vcpu_ferr_error(v);
		return;
	}
	if (!v->delivering) {
		set_event(v, cpu->event);
		return;
	}
	v->delivering = false;
	if (!insn_combine(&v->event, &cpu->event)) {
		v->have_event = false;
		vcpu_triple_fault(v);
	}
}

static void count_event(struct stats *st, const struct cpu_event *ev)
{
	if (ev->ext)
		st->count[ev->vector == EXC_NMI ? STAT_NMIS : STAT_INTERRUPTS]++;
	else
		st->count[STAT_EXCEPTIONS]++;
	st->count[STAT_PAGE_FAULTS] += !ev->ext && ev->vector == EXC_PF;
}

static void deliver(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	stats_enter(&cpu->stats, PHASE_DELIVERY);
	count_event(&cpu->stats, &v->event);
	if (v->event.ext && cpu->s.cpl == 3)
		v->engine->tick(cpu);
	cpu->s.halted = false;
	cpu->s.int_shadow = cpu->s.shadow_ss = false;
	cpu->passed = 0;
	v->delivering = true;
	insn_deliver_raise(cpu, &v->event);
	v->delivering = false;
	v->have_event = false;
}

static bool take_interrupt(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	if (nmi_ready(cpu)) {
		cpu->s.nmi_pending = false;
		cpu->s.nmi_blocked = true;
		set_event(v, (struct cpu_event){ .vector = EXC_NMI, .ext = true });
		return true;
	}
	if (!intr_ready(cpu))
		return false;
	int vector = vcpu_ack(v);
	if (vector < 0)
		return false;
	set_event(v, (struct cpu_event){ .vector = (uint8_t)vector, .ext = true });
	return true;
}

/* Instruction breakpoints, SDM vol 3 17.2.4: R/W = 0, L or G set. */
static uint64_t breakpoint_hits(const struct cpu *cpu)
{
	uint64_t dr7 = cpu->s.dr[7], hits = 0;
	gla_t at = cpu_code64(cpu) ? cpu->s.rip : (uint32_t)(cpu->s.rip + cpu->s.seg[SEG_CS].base);
	for (unsigned k = 0; k < 4; k++)
		if (dr7 >> (2 * k) & 3 && !(dr7 >> (16 + 4 * k) & 3) && cpu->s.dr[k] == at)
			hits |= 1u << k;
	return cpu->s.rflags & FL_RF ? 0 : hits;
}

/* Single-step traps do not wait for the end of a shadow of SS, unlike data breakpoints: the next instruction has its
 * own, or is one that has none (SDM vol 3 6.8.3; seen on a Zen 5: the #DB of ICEBP in such a shadow has no BS). */
static void step(struct vcpu *v, enum stats_why why)
{
	struct cpu *cpu = v->cpu;
	bool tf = cpu->s.rflags & FL_TF, stepped_int;
	stats_step(&cpu->stats, cpu->s.rip, why);
	cpu->s.int_shadow = cpu->s.shadow_ss = false;
	cpu->s.rflags &= ~(uint64_t)FL_RF;
	stepped_int = v->engine->step(cpu);
	if (tf && !stepped_int && !cpu->s.shadow_ss)
		cpu->s.pending_dbg |= DR6_BS;
	if (cpu->s.ignne)
		vcpu_ferr_after(v);
}

/* Why run_guest wants a single step. */
static enum stats_why why_step(const struct cpu *cpu)
{
	if (cpu->s.rflags & FL_TF)
		return STEP_TRAP;
	if (cpu->s.dr[7] & DR7_ENABLES)
		return STEP_BREAK;
	return cpu->s.ignne ? STEP_FERR : STEP_SHADOW;
}

/* Exactly one instruction, with what debugging asks for around it. */
static void one_instruction(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	uint64_t hits = cpu->s.dr[7] & DR7_ENABLES ? breakpoint_hits(cpu) : 0;
	if (hits && !cpu->s.shadow_ss)
		cpu_raise_db(cpu, hits, false);
	step(v, why_step(cpu));
}

/* The instruction that just reported an x87 error, past its breakpoint already, and now not hindered by that error. */
static void ignoring_instruction(struct vcpu *v)
{
	v->ignore_x87 = false;
	vcpu_ferr_aside(v);
	step(v, STEP_FERR);
}

static void run_guest(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	bool waiting = cpu->s.int_shadow && (__atomic_load_n(&cpu->intr, __ATOMIC_SEQ_CST) || cpu->s.nmi_pending);
	if (cpu->s.rflags & FL_TF || cpu->s.dr[7] & DR7_ENABLES || waiting || cpu->s.ignne) {
		one_instruction(v);
		return;
	}
	cpu_shadow_pass(cpu);
	cpu->s.rflags &= ~(uint64_t)FL_RF;
	stats_enter(&cpu->stats, PHASE_DISPATCH);
	v->engine->run(cpu);
}

static void pending_debug(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	uint64_t dr6 = cpu->s.pending_dbg;
	cpu->s.pending_dbg = 0;
	set_event(v, (struct cpu_event){ .vector = EXC_DB, .dr6 = dr6 });
}

static void turn(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	stats_enter(&cpu->stats, PHASE_RUNLOOP);
	if (!v->have_event)
		cpu_shadow_recall(cpu);
	if (v->have_event)
		deliver(v);
	else if (v->ignore_x87)
		ignoring_instruction(v);
	else if (cpu->s.wait_sipi)
		vcpu_sleep(v);
	else if (cpu->s.pending_dbg && !cpu->s.shadow_ss)
		pending_debug(v);
	else if (take_interrupt(v))
		return;
	else if (cpu->s.halted)
		vcpu_sleep(v);
	else
		run_guest(v);
}

/* One turn, with a place for exceptions to land. Its own function: nothing lives across the setjmp. */
static __attribute__((noinline)) void guarded_turn(struct vcpu *v)
{
	if (__builtin_setjmp(v->cpu->unwind))
		caught(v->cpu->vcpu);
	else
		turn(v);
	/* clang would leave by a tail call, and the frame that the exception wants to return to would be gone */
	__asm__ volatile("");
}

void vcpu_loop(struct vcpu *v)
{
	while (do_requests(v))
		guarded_turn(v);
	cpu_fpu_park(v->cpu);
}
