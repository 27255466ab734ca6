// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what a vCPU and the world say to each other: kicks, sleep, interrupts, time
 *
 * Chips call this from within port and MMIO accesses that leave the guest's vector registers live, so it is compiled
 * with -mgeneral-regs-only and calls the kernel only.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vcpu/vcpu_int.h"

static long futex(uint32_t *word, int op, uint32_t val)
{
	return syscall(SYS_futex, word, op, val, NULL, NULL, 0);
}

static void kick(struct vcpu *v)
{
	__atomic_store_n(&v->cpu->poll, 0, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&v->sleeping, 0, __ATOMIC_SEQ_CST))
		futex(&v->sleeping, FUTEX_WAKE_PRIVATE, 1);
}

void vcpu_request(struct vcpu *v, uint32_t bits)
{
	__atomic_fetch_or(&v->cpu->request, bits, __ATOMIC_SEQ_CST);
	kick(v);
}

static bool something_to_do(const struct cpu *cpu)
{
	return __atomic_load_n(&cpu->request, __ATOMIC_SEQ_CST) || (cpu->s.nmi_pending && !cpu->s.nmi_blocked) ||
	       (__atomic_load_n(&cpu->intr, __ATOMIC_SEQ_CST) && cpu->s.rflags & FL_IF);
}

static void tell_halted(struct vcpu *v)
{
	if (v->cpu->s.rflags & FL_IF || !v->cfg.halted || something_to_do(v->cpu))
		return;
	loop_lock(v->cfg.loop);
	v->cfg.halted(v->cfg.opaque);
	loop_unlock(v->cfg.loop);
}

void vcpu_sleep(struct vcpu *v)
{
	cpu_fpu_park(v->cpu);
	tell_halted(v);
	vcpu_stats_sleep(v, true);
	__atomic_store_n(&v->sleeping, 1, __ATOMIC_SEQ_CST);
	while (!something_to_do(v->cpu) && __atomic_load_n(&v->sleeping, __ATOMIC_SEQ_CST))
		futex(&v->sleeping, FUTEX_WAIT_PRIVATE, 1);
	__atomic_store_n(&v->sleeping, 0, __ATOMIC_SEQ_CST);
	vcpu_stats_sleep(v, false);
}

int vcpu_ack(struct vcpu *v)
{
	stats_enter(&v->cpu->stats, PHASE_DEVICE);
	loop_lock(v->cfg.loop);
	int vector = v->cfg.ack ? v->cfg.ack(v->cfg.opaque) : -1;
	loop_unlock(v->cfg.loop);
	return vector;
}

void vcpu_set_intr(struct vcpu *v, bool level)
{
	__atomic_store_n(&v->cpu->intr, level, __ATOMIC_SEQ_CST);
	if (level)
		kick(v);
}

void vcpu_nmi(struct vcpu *v)
{
	vcpu_request(v, REQ_NMI);
}

void vcpu_ask_ignne(struct vcpu *v)
{
	vcpu_request(v, REQ_IGNNE);
}

void vcpu_request_reset(struct vcpu *v, bool init)
{
	if (!init)
		v->init_reset = false;
	vcpu_request(v, REQ_RESET);
}

void vcpu_request_stop(struct vcpu *v)
{
	vcpu_request(v, REQ_STOP);
}

static uint64_t host_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

uint64_t vcpu_tsc_to_ns(struct vcpu *v, uint64_t tsc)
{
	uint64_t now = host_tsc() + v->cpu->s.tsc_offset;
	uint64_t ns = loop_now(v->cfg.loop);
	if ((int64_t)(tsc - now) <= 0)
		return ns;
	unsigned __int128 d = (unsigned __int128)(tsc - now) * 1000000000u / v->cfg.model->tsc_hz;
	return d > INT64_MAX / 2 ? INT64_MAX / 2 : ns + (uint64_t)d;
}
