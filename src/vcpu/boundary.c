// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what a vCPU that stands between two instructions has beyond struct cpu_state: an event about to be delivered,
 *       messages not looked at, the FPU
 *
 * Filled from where the run loop keeps it when the machine is saved, and put back there when it was loaded.
 */
#include <stdio.h>

#include "vcpu/vcpu_int.h"

/* Messages that come from the guest's own world; what else is requested is our own. */
#define MESSAGES (REQ_NMI | REQ_RESET | REQ_INIT | REQ_SIPI | REQ_IGNNE)

#define S(m) ST(struct vcpu_saved, m)
static const struct st_field vcpu_saved_type_fields[] = {
	S(next_rip), S(cr2), S(dr6), S(error), S(request), S(vector), S(sipi_vector), S(have_event), S(has_error), S(soft),
	S(ext), S(icebp), S(ignore_x87), S(sipi_open), ST_ARRAY(struct vcpu_saved, pad_),
};

static const char *check(const void *state)
{
	const struct vcpu_saved *s = state;

	if (s->request & ~(uint32_t)MESSAGES)
		return "a request that no guest makes";
	return s->soft && s->ext ? "an interrupt that is both an instruction's and a chip's" : NULL;
}
ST_TYPE(vcpu_saved_type, struct vcpu_saved, 1, check);

struct fpu_area { uint8_t area[CPU_BOUNCE]; };
static const struct st_field fpu_area_type_fields[] = { ST_ARRAY(struct fpu_area, area) };
static ST_TYPE(fpu_area_type, struct fpu_area, 1, NULL);

void vcpu_save(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;
	const struct cpu_event *ev = &v->event;

	if (!v->have_event)
		cpu_shadow_recall(cpu);
	if (cpu->x87_at)
		cpu->x87_settle(cpu);
	v->saved = (struct vcpu_saved){
		.next_rip = cpu->next_rip, .ignore_x87 = v->ignore_x87,
		.request = __atomic_load_n(&cpu->request, __ATOMIC_SEQ_CST) & MESSAGES,
		.sipi_open = v->sipi_open, .sipi_vector = v->sipi_vector, .have_event = v->have_event,
	};
	if (!v->have_event)
		return;
	v->saved.vector = ev->vector;
	v->saved.has_error = ev->has_error;
	v->saved.soft = ev->soft;
	v->saved.ext = ev->ext;
	v->saved.icebp = ev->icebp;
	v->saved.error = ev->error;
	v->saved.cr2 = ev->cr2;
	v->saved.dr6 = ev->dr6;
}

/* What the engine had made of other memory and page tables goes before the next instruction. */
static void loaded(void *opaque)
{
	struct vcpu *v = opaque;
	struct cpu *cpu = v->cpu;
	const struct vcpu_saved *s = &v->saved;

	v->event = (struct cpu_event){ .vector = s->vector, .has_error = s->has_error, .soft = s->soft, .ext = s->ext,
		.icebp = s->icebp, .error = s->error, .cr2 = s->cr2, .dr6 = s->dr6 };
	v->have_event = s->have_event;
	v->delivering = false;
	v->ignore_x87 = s->ignore_x87;
	v->sipi_open = s->sipi_open;
	v->sipi_vector = s->sipi_vector;
	cpu->next_rip = s->next_rip;
	cpu->passed = 0;
	cpu->x87_at = 0;
	cpu->x87_aside = 0;
	cpu_fpu_tame(cpu);
	cpu_derive(cpu);
	__atomic_fetch_and(&cpu->request, ~(uint32_t)MESSAGES, __ATOMIC_SEQ_CST);
	vcpu_request(v, s->request | REQ_FLUSH | REQ_CODE);
}

void vcpu_register_state(struct vcpu *v, struct state_set *states)
{
	char name[24];

	snprintf(name, sizeof(name), "cpu%u", v->cfg.number);
	state_set_add(states, name, &cpu_state_type, &v->cpu->s, NULL, NULL);
	snprintf(name, sizeof(name), "cpu%u.fpu", v->cfg.number);
	state_set_add(states, name, &fpu_area_type, v->cpu->fpu, NULL, NULL);
	snprintf(name, sizeof(name), "cpu%u.run", v->cfg.number);
	state_set_add(states, name, &vcpu_saved_type, &v->saved, loaded, v);
}
