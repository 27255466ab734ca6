// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a vCPU's life: creation, thread, triple faults, code that others write, dumps
 */
#include "vcpu/vcpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	v->xlate = xlate_new(v->cpu, err);
	if (!v->xlate || (cfg->perf_map && xlate_perf_map(v->xlate, err) < 0))
		goto fail;
	mem_set_listener(cfg->mem, &(struct mem_listener){ .opaque = v, .changed = map_changed, .code_written = code_written });
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
	xlate_arena_free(v->cpu);
	pthread_mutex_destroy(&v->code_lock);
	free(v);
}

static void *thread_main(void *arg)
{
	struct vcpu *v = arg;
	struct err err;
	pthread_setname_np(pthread_self(), "vcpu0");
	if (xlate_thread_init(v->xlate, &err) < 0) {
		log_at(LOG_ERROR, "vcpu: %s", err.msg);
		return NULL;
	}
	vcpu_stats_thread_begin(v);
	vcpu_loop(v);
	vcpu_stats_thread_end(v);
	xlate_thread_fini(v->xlate);
	return NULL;
}

int vcpu_start(struct vcpu *v, struct err *err)
{
	/* After a stop: what was asked of the joined thread is void, but code may have changed meanwhile. */
	__atomic_fetch_and(&v->cpu->request, ~(uint32_t)(REQ_STOP | REQ_CODE), __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&v->cpu->request, (uint32_t)REQ_FLUSH, __ATOMIC_SEQ_CST);
	v->have_event = v->delivering = v->joined = false;
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

struct cpu *vcpu_cpu(struct vcpu *v)
{
	return v->cpu;
}

void vcpu_dump(struct vcpu *v, char *buf, size_t len)
{
	const struct cpu_state *s = &v->cpu->s;
	const uint64_t *r = s->gpr;
	snprintf(buf, len,
	         "RIP=%04x:%016llx RFL=%08llx CPL=%u%s\nRAX=%016llx RBX=%016llx RCX=%016llx RDX=%016llx\n"
	         "RSI=%016llx RDI=%016llx RBP=%016llx RSP=%016llx\nR8 =%016llx R9 =%016llx R10=%016llx R11=%016llx\n"
	         "R12=%016llx R13=%016llx R14=%016llx R15=%016llx\nCR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx EFER=%08llx\n"
	         "CS base=%llx limit=%x attr=%x  SS=%04x base=%llx  DS=%04x  GDT=%016llx IDT=%016llx",
	         s->seg[SEG_CS].sel, (unsigned long long)s->rip, (unsigned long long)s->rflags, s->cpl, s->halted ? " HLT" : "",
	         (unsigned long long)r[RAX], (unsigned long long)r[RBX], (unsigned long long)r[RCX], (unsigned long long)r[RDX],
	         (unsigned long long)r[RSI], (unsigned long long)r[RDI], (unsigned long long)r[RBP], (unsigned long long)r[RSP],
	         (unsigned long long)r[R8], (unsigned long long)r[R9], (unsigned long long)r[R10], (unsigned long long)r[R11],
	         (unsigned long long)r[R12], (unsigned long long)r[R13], (unsigned long long)r[R14], (unsigned long long)r[R15],
	         (unsigned long long)s->cr0, (unsigned long long)s->cr2, (unsigned long long)s->cr3, (unsigned long long)s->cr4,
	         (unsigned long long)s->efer, (unsigned long long)s->seg[SEG_CS].base, s->seg[SEG_CS].limit, s->seg[SEG_CS].attr,
	         s->seg[SEG_SS].sel, (unsigned long long)s->seg[SEG_SS].base, s->seg[SEG_DS].sel, (unsigned long long)s->gdt_base,
	         (unsigned long long)s->idt_base);
}
