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
	struct { uint64_t off, len; } ring[VCPU_CODE_RING];
	cpu_fpu_park(v->cpu);
	pthread_mutex_lock(&v->code_lock);
	unsigned n = v->ncode;
	memcpy(ring, v->code_ring, sizeof(ring));
	v->ncode = 0;
	pthread_mutex_unlock(&v->code_lock);
	if (n > VCPU_CODE_RING) {
		xlate_flush(v->xlate);
		return;
	}
	for (unsigned k = 0; k < n; k++)
		xlate_invalidate(v->xlate, ring[k].off, ring[k].len);
}

static void map_changed(void *opaque)
{
	vcpu_request(opaque, REQ_FLUSH);
}

static void code_written(void *opaque, uint64_t off, uint64_t len)
{
	struct vcpu *v = opaque;
	pthread_mutex_lock(&v->code_lock);
	if (v->ncode < VCPU_CODE_RING) {
		v->code_ring[v->ncode].off = off;
		v->code_ring[v->ncode].len = len;
	}
	if (v->ncode <= VCPU_CODE_RING)
		v->ncode++;
	pthread_mutex_unlock(&v->code_lock);
	vcpu_request(v, REQ_CODE);
}

/* Their code uses SHRX. */
bool vcpu_windows_possible(void)
{
	return __builtin_cpu_supports("bmi2");
}

static enum mmu_window_use window_use(enum vcpu_mode mode)
{
	if (mode == VCPU_TLB || !vcpu_windows_possible())
		return WINDOW_NEVER;
	return mode == VCPU_WINDOWS ? WINDOW_ALWAYS : WINDOW_LATER;
}

struct vcpu *vcpu_new(const struct vcpu_config *cfg, struct err *err)
{
	struct vcpu *v = xalloc(sizeof(*v));
	v->cfg = *cfg;
	if (cfg->hooks)
		v->hooks = *cfg->hooks;
	pthread_mutex_init(&v->code_lock, NULL);
	v->cpu = xlate_arena_new(err);
	if (!v->cpu)
		goto fail;
	v->cpu->hooks = &v->hooks;
	v->cpu->mem = cfg->mem;
	v->cpu->model = cfg->model;
	v->cpu->vcpu = v;
	cpu_reset(v->cpu, false);
	mmu_init(v->cpu);
	mmu_window_init(v->cpu, window_use(cfg->mode));
	v->xlate = xlate_new(v->cpu, err);
	if (!v->xlate || (cfg->perf_map && xlate_perf_map(v->xlate, err) < 0))
		goto fail;
	mem_set_listener(cfg->mem, &(struct mem_listener){
		.opaque = v, .changed = map_changed, .code_written = code_written,
	});
	if (cfg->states)
		state_set_add(cfg->states, "cpu0", &cpu_state_type, &v->cpu->s, NULL, NULL);
	return v;
fail:
	vcpu_free(v);
	return NULL;
}

void vcpu_free(struct vcpu *v)
{
	if (!v)
		return;
	vcpu_stop(v);
	xlate_free(v->xlate);
	if (v->cpu)
		mmu_window_fini(v->cpu);
	xlate_arena_free(v->cpu);
	pthread_mutex_destroy(&v->code_lock);
	free(v);
}

static void *thread_main(void *arg)
{
	struct vcpu *v = arg;
	struct err err;
	pthread_setname_np(pthread_self(), "vcpu0");
	v->tid = gettid();
	if (xlate_thread_init(v->xlate, &err) < 0) {
		log_at(LOG_ERROR, "vcpu: %s", err.msg);
		vcpu_ended(v);
		return NULL;
	}
	vcpu_stats_thread_begin(v);
	vcpu_alarm_begin(v);
	vcpu_loop(v);
	vcpu_alarm_end(v);
	vcpu_stats_thread_end(v);
	xlate_thread_fini(v->xlate);
	vcpu_ended(v);
	return NULL;
}

int vcpu_start(struct vcpu *v, struct err *err)
{
	/* After a stop. What devices and the board have written meanwhile is still to be looked at (REQ_CODE). */
	__atomic_fetch_and(&v->cpu->request, ~(uint32_t)REQ_STOP, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&v->cpu->request, (uint32_t)(v->stand ? REQ_FLUSH | REQ_STAND : REQ_FLUSH), __ATOMIC_SEQ_CST);
	v->have_event = v->delivering = v->joined = false;
	v->stands = 0;
	cpu_derive(v->cpu);
	mmu_flush_all(v->cpu);
	int rc = pthread_create(&v->thread, NULL, thread_main, v);
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
		code_written(v, off & ~4095ull, 4096);
	vcpu_request(v, REQ_FLUSH);
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
