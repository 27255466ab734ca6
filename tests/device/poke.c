// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device accesses from code that, like a vCPU's, uses no vector registers itself (-mgeneral-regs-only)
 */
#include "poke.h"

static bool access_it(struct cpu *cpu, const struct poke *p)
{
	uint64_t val;
	uint32_t in;

	switch (p->what) {
	case POKE_IN:
		return mem_plain_in(cpu->mem, (uint16_t)p->at, p->size, &in);
	case POKE_OUT:
		return mem_plain_out(cpu->mem, (uint16_t)p->at, (uint32_t)p->val, p->size);
	case POKE_READ:
		return mem_plain_read(cpu->mem, p->at, p->size, &val);
	case POKE_WRITE:
		return mem_plain_write(cpu->mem, p->at, p->val, p->size);
	case POKE_RDMSR:
		return cpu->hooks->apic_rdmsr(cpu->hooks->opaque, (uint32_t)p->at, &val);
	case POKE_WRMSR:
		return cpu->hooks->apic_wrmsr(cpu->hooks->opaque, (uint32_t)p->at, p->val);
	case POKE_TPR:
		cpu->hooks->set_tpr(cpu->hooks->opaque, p->val & 15);
		return cpu->hooks->get_tpr(cpu->hooks->opaque) == (p->val & 15);
	case POKE_ACK:
		loop_lock(p->opaque);
		p->ack(cpu->hooks->opaque);
		loop_unlock(p->opaque);
		return true;
	default:
		return false;
	}
}

bool poke(struct cpu *cpu, const struct poke *p)
{
	bool done;

	cpu_fpu_load(cpu);
	done = access_it(cpu, p);
	cpu_fpu_park(cpu);
	return done;
}
