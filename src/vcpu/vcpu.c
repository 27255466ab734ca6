// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a vCPU's life: creation, thread, triple faults, code that others write, dumps
 */
#include "vcpu/vcpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vcpu/vcpu_int.h"

/* The vCPU of this thread: a chip that is asked by an access knows no other way whose it is. */
static __thread struct vcpu *current;

void vcpu_triple_fault(struct vcpu *v)
{
	cpu_fpu_park(v->cpu);
	loop_lock(v->cfg.loop);
	if (v->cfg.triple_fault)
		v->cfg.triple_fault(v->cfg.opaque);
	else
		vcpu_request_stop(v);
	loop_unlock(v->cfg.loop);
}

void vcpu_drain_code(struct vcpu *v)
{
	cpu_fpu_park(v->cpu);
	v->engine->drain(v->cpu);
}

static void map_changed(void *opaque)
{
	vcpu_request(opaque, REQ_FLUSH);
}

/* --- as a member of mem/coherence.h --- */

static void call(void *opaque)
{
	vcpu_request(opaque, REQ_CODE);
}

static bool may_write(void *opaque, uint64_t off)
{
	const struct vcpu *v = opaque;

	return v->engine->may_write(v->cpu, off);
}

static void withdraw(void *opaque, uint64_t off)
{
	struct vcpu *v = opaque;

	v->engine->withdraw(v->cpu, off);
}

static void join(struct vcpu *v)
{
	v->member = (struct mem_member){ .opaque = v, .call = call, .may_write = may_write,
		.withdraw = withdraw };
	mem_join(v->cfg.mem, &v->member);
	v->cpu->member = &v->member;
}

static struct cpu *open_cpu(const struct vcpu_config *cfg, struct err *err)
{
	return cfg->engine->open(&(struct engine_config){ .mem = cfg->mem, .model = cfg->model, .mode = cfg->mode,
		.first = cfg->first ? cfg->first->cpu : NULL, .count = MAX(cfg->count, 1u), .perf_map = cfg->perf_map }, err);
}

struct vcpu *vcpu_new(const struct vcpu_config *cfg, struct err *err)
{
	struct vcpu *v = xalloc(sizeof(*v));

	v->cfg = *cfg;
	v->cfg.count = MAX(cfg->count, 1u);
	if (cfg->hooks)
		v->hooks = *cfg->hooks;
	v->engine = cfg->engine;
	v->cpu = open_cpu(cfg, err);
	if (!v->cpu) {
		free(v);
		return NULL;
	}
	v->cpu->hooks = &v->hooks;
	v->cpu->vcpu = v;
	v->cpu->number = cfg->number;
	v->cpu->apic_id = cpuid_apic_id(&cfg->model->topology, cfg->number);
	v->cpu->tsc_zero = cfg->tsc_zero;
	cpu_reset(v->cpu, false);
	vcpu_drop_messages(v);
	join(v);
	mem_add_listener(cfg->mem, &(struct mem_listener){ .opaque = v, .changed = map_changed });
	if (cfg->states)
		vcpu_register_state(v, cfg->states);
	return v;
}

void vcpu_free(struct vcpu *v)
{
	if (!v)
		return;
	vcpu_stop(v);
	v->engine->close(v->cpu);
	free(v);
}

static void *thread_main(void *arg)
{
	struct vcpu *v = arg;
	struct err err;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", v->cfg.number);
	pthread_setname_np(pthread_self(), name);
	current = v;
	v->tid = gettid();
	if (v->engine->thread_begin(v->cpu, &err) < 0) {
		log_at(LOG_ERROR, "vcpu: %s", err.msg);
		vcpu_ended(v);
		return NULL;
	}
	vcpu_stats_thread_begin(v);
	vcpu_alarm_begin(v);
	mem_member_back(&v->member);
	vcpu_loop(v);
	mem_member_away(&v->member);
	vcpu_alarm_end(v);
	vcpu_stats_thread_end(v);
	v->engine->thread_end(v->cpu);
	vcpu_ended(v);
	return NULL;
}

/* Its affinity is the thread's before it runs. */
static int start_thread(struct vcpu *v)
{
	pthread_attr_t attr;
	cpu_set_t cores;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return rc;
	CPU_ZERO(&cores);
	if (v->cfg.pin) {
		CPU_SET(v->cfg.pin - 1, &cores);
		rc = pthread_attr_setaffinity_np(&attr, sizeof(cores), &cores);
	}
	rc = rc ? rc : pthread_create(&v->thread, &attr, thread_main, v);
	pthread_attr_destroy(&attr);
	return rc;
}

int vcpu_start(struct vcpu *v, struct err *err)
{
	/* After a stop. What devices and the board have written is still to be looked at, also if that was asked for
	 * together with the stop and so forgotten. */
	__atomic_fetch_and(&v->cpu->request, ~(uint32_t)REQ_STOP, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&v->cpu->request, (uint32_t)(REQ_FLUSH | REQ_CODE | (v->stand ? REQ_STAND : 0)),
	                  __ATOMIC_SEQ_CST);
	v->have_event = v->delivering = v->joined = false;
	v->stands = 0;
	cpu_derive(v->cpu);
	v->engine->forget(v->cpu);
	int rc = start_thread(v);
	if (rc && v->cfg.pin)
		return err_set(err, -rc, "cannot start a thread for virtual CPU %u on core %u: %s", v->cfg.number,
		               v->cfg.pin - 1, strerror(rc));
	if (rc)
		return err_set(err, -rc, "cannot start a thread for the virtual CPU: %s", strerror(rc));
	v->started = true;
	return 0;
}

void vcpu_stop(struct vcpu *v)
{
	if (!v->started || v->joined)
		return;
	vcpu_request(v, REQ_STOP);
	pthread_join(v->thread, NULL);
	v->joined = true;
}

/* The TLB is found by linear address, so all of it goes. */
void vcpu_forget_page(struct vcpu *v, gpa_t page)
{
	uint64_t off = mem_ram_offset(v->cfg.mem, page);
	if (off != UINT64_MAX)
		mem_code_tell(v->cfg.mem, off & ~4095ull, 4096);
	vcpu_request(v, REQ_FLUSH);
}

void vcpu_tsc_zero(struct vcpu *v, uint64_t tsc)
{
	v->cpu->tsc_zero = tsc;
}

unsigned vcpu_current(void)
{
	return current ? current->cfg.number : 0;
}

/* That guess is nothing ThreadSanitizer need say. */
__attribute__((no_sanitize("thread"))) bool vcpu_is_halted(const struct vcpu *v)
{
	const struct cpu_state *s = &v->cpu->s;

	return s->wait_sipi || (s->halted && !(s->rflags & FL_IF));
}

int vcpu_thread_id(const struct vcpu *v)
{
	return v->started && !v->joined ? __atomic_load_n(&v->tid, __ATOMIC_RELAXED) : 0;
}

struct cpu *vcpu_cpu(struct vcpu *v)
{
	return v->cpu;
}

void vcpu_dump(struct vcpu *v, char *buf, size_t len)
{
	static const struct { const char *name; unsigned n; } regs[16] = {
		{ "RAX", RAX }, { "RBX", RBX }, { "RCX", RCX }, { "RDX", RDX }, { "RSI", RSI }, { "RDI", RDI }, { "RBP", RBP },
		{ "RSP", RSP }, { "R8 ", R8 }, { "R9 ", R9 }, { "R10", R10 }, { "R11", R11 }, { "R12", R12 }, { "R13", R13 },
		{ "R14", R14 }, { "R15", R15 },
	};
	const struct cpu_state *s = &v->cpu->s;
	const struct cpu_seg *cs = &s->seg[SEG_CS], *ss = &s->seg[SEG_SS];
	int n = snprintf(buf, len, "RIP=%04x:%016" PRIx64 " RFL=%08" PRIx64 " CPL=%u%s\n", cs->sel, s->rip, s->rflags,
			 s->cpl, s->halted ? " HLT" : "");
	for (unsigned k = 0; k < 16 && (size_t)n < len; k++)
		n += snprintf(buf + n, len - (size_t)n, "%s=%016" PRIx64 "%c", regs[k].name, s->gpr[regs[k].n],
			      k % 4 == 3 ? '\n' : ' ');
	if ((size_t)n >= len)
		return;
	snprintf(buf + n, len - (size_t)n,
		 "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx64 " EFER=%08" PRIx64 "\n"
		 "CS base=%" PRIx64 " limit=%x attr=%x  SS=%04x base=%" PRIx64 "  DS=%04x  GDT=%016" PRIx64 " IDT=%016" PRIx64,
		 s->cr0, s->cr2, s->cr3, s->cr4, s->efer, cs->base, cs->limit, cs->attr, ss->sel, ss->base,
		 s->seg[SEG_DS].sel, s->gdt_base, s->idt_base);
}
