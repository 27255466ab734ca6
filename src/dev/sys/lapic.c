// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the local APIC: pending and in-service interrupts, priorities, local pins, registers
 *
 * The 256 vectors live in three bit arrays as the guest sees them. What the vCPU needs to know is one bit,
 * kept on the intr wire: "lapic_ack() would return something". It is recomputed after every change that can
 * matter (IRR, ISR, TPR, LINT0, enables) and the wire is driven only when it changes, so that the common
 * sequence of a timer tick (IRR set, ack, EOI) costs a few bit scans and two wire calls.
 *
 * I1  l->intr equals has_interrupt(l) whenever the device lock is free.
 * I2  A vector below 16 is never set in IRR (SDM vol 3 11.5.2: illegal vectors are errors).
 *
 * Sources: Intel SDM vol 3 chapter 11 (APIC), 11.12 (x2APIC).
 */
#include "dev/sys/lapic_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

/* SDM vol 3 11.4.8: integrated APIC version 0x14, highest LVT entry 5. */
#define VERSION (0x14u | (LVT_COUNT - 1) << 16)

static int highest(const uint32_t v[8])
{
	for (int i = 7; i >= 0; i--)
		if (v[i])
			return i * 32 + 31 - __builtin_clz(v[i]);
	return -1;
}

static void bit_set(uint32_t v[8], uint8_t n)
{
	v[n >> 5] |= 1u << (n & 31);
}

static void bit_clear(uint32_t v[8], uint8_t n)
{
	v[n >> 5] &= ~(1u << (n & 31));
}

static bool bit_test(const uint32_t v[8], uint8_t n)
{
	return v[n >> 5] >> (n & 31) & 1;
}

bool lapic_enabled(const struct lapic *l)
{
	return l->s.base & BASE_ENABLE;
}

static bool soft_enabled(const struct lapic *l)
{
	return l->s.svr & SVR_ENABLE;
}

/* SDM vol 3 11.8.3.1: the processor priority is the higher class of TPR and the interrupt in service. */
uint8_t lapic_ppr(const struct lapic *l)
{
	int isr = highest(l->s.isr);
	uint8_t in_service = isr < 0 ? 0 : (uint8_t)(isr & 0xf0);

	return (l->s.tpr & 0xf0) >= in_service ? l->s.tpr : in_service;
}

/* The vector the processor would take now, or -1. */
static int deliverable(const struct lapic *l)
{
	int v;

	if (!lapic_enabled(l) || !soft_enabled(l))
		return -1;
	v = highest(l->s.irr);
	return v >= 0 && (v & 0xf0) > (lapic_ppr(l) & 0xf0) ? v : -1;
}

/* The PIC's INT reaches the processor: straight when the APIC is off, through LVT LINT0 in ExtINT mode otherwise. */
static bool extint_open(const struct lapic *l)
{
	uint32_t lvt = l->s.lvt[LVT_LINT0];

	return !lapic_enabled(l) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == LAPIC_EXTINT);
}

static bool has_interrupt(const struct lapic *l)
{
	return (l->s.lint[0] && extint_open(l)) || deliverable(l) >= 0;
}

void lapic_update(struct lapic *l)
{
	bool level = has_interrupt(l);

	if (level == l->intr)
		return;
	l->intr = level;
	wire_set(&l->cfg.intr, level);
}

/* NOLINTNEXTLINE(misc-no-recursion): a bad error vector sets another bit, which is set when it comes here again */
void lapic_error(struct lapic *l, uint32_t bit)
{
	if (l->s.esr_next & bit)
		return;
	l->s.esr_next |= bit;
	if (!(l->s.lvt[LVT_ERROR] & LVT_MASKED))
		lapic_accept(l, (uint8_t)l->s.lvt[LVT_ERROR], false);
}

/* NOLINTNEXTLINE(misc-no-recursion): see lapic_error() */
void lapic_accept(struct lapic *l, uint8_t vector, bool level)
{
	if (vector < 16) {
		lapic_error(l, ESR_RECV_VECTOR);
		return;
	}
	bit_set(l->s.irr, vector);
	if (level)
		bit_set(l->s.tmr, vector);
	else
		bit_clear(l->s.tmr, vector);
	lapic_update(l);
}

static void take_init(struct lapic *l)
{
	lapic_init_reset(l);
	wire_pulse(&l->cfg.init);
}

bool lapic_message(struct lapic *l, unsigned delivery, uint8_t vector, bool level)
{
	if (!lapic_enabled(l))
		return false;
	switch (delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		if (!soft_enabled(l)) /* SDM vol 3 11.4.7.2: a disabled APIC answers INIT, NMI, SMI and SIPI only */
			return false;
		lapic_accept(l, vector, level);
		return true;
	case LAPIC_SMI:
		wire_pulse(&l->cfg.smi);
		return true;
	case LAPIC_NMI:
		wire_pulse(&l->cfg.nmi);
		return true;
	case LAPIC_INIT:
		take_init(l);
		return true;
	case LAPIC_SIPI:
		if (l->cfg.sipi.set)
			l->cfg.sipi.set(l->cfg.sipi.opaque, vector, true);
		return true;
	default:
		guest_log("lapic %u: message with delivery mode %u dropped", l->cfg.id, delivery);
		return false;
	}
}

/* A local source (pin, thermal, performance counter) in the mode its LVT entry says. */
static void lint_edge(struct lapic *l, unsigned n)
{
	uint32_t *lvt = &l->s.lvt[n];
	unsigned mode = *lvt >> 8 & 7;
	bool level = n == LVT_LINT0 && mode == LAPIC_FIXED && (*lvt & LVT_LEVEL); /* LINT1 is always edge: 11.5.1 */

	if ((*lvt & LVT_MASKED) || mode == LAPIC_EXTINT)
		return;
	if (level) {
		if (*lvt & LVT_REMOTE_IRR)
			return;
		*lvt |= LVT_REMOTE_IRR;
	}
	lapic_message(l, mode, (uint8_t)*lvt, level);
}

void lapic_set_lint(void *lapic, int n, bool level)
{
	struct lapic *l = lapic;

	n &= 1;
	if (l->s.lint[n] == level)
		return;
	l->s.lint[n] = level;
	if (level && lapic_enabled(l))
		lint_edge(l, n ? LVT_LINT1 : LVT_LINT0);
	else if (level && n)
		wire_pulse(&l->cfg.nmi); /* SDM vol 3 11.4.3: with the APIC off LINT1 is the NMI pin */
	lapic_update(l);
}

bool lapic_wakes(const struct lapic *l)
{
	uint32_t lvt = l->s.lvt[LVT_LINT0];
	unsigned mode = lvt >> 8 & 7;

	return lapic_enabled(l) && !(lvt & LVT_MASKED) && (mode == LAPIC_NMI || mode == LAPIC_INIT);
}

int lapic_ack(struct lapic *l)
{
	int v = deliverable(l);

	if (v >= 0) {
		bit_clear(l->s.irr, (uint8_t)v);
		bit_set(l->s.isr, (uint8_t)v);
		lapic_update(l);
		return v;
	}
	if (!l->s.lint[0] || !extint_open(l) || !l->cfg.extint_ack)
		return -1;
	v = l->cfg.extint_ack(l->cfg.extint_opaque);
	lapic_update(l);
	return v;
}

static void eoi(struct lapic *l)
{
	int v = highest(l->s.isr);
	uint32_t *lvt = &l->s.lvt[LVT_LINT0];

	if (v < 0)
		return;
	bit_clear(l->s.isr, (uint8_t)v);
	if (bit_test(l->s.tmr, (uint8_t)v)) {
		lapic_bus_eoi(l->cfg.bus, (uint8_t)v);
		if ((*lvt & LVT_REMOTE_IRR) && (*lvt & LVT_VECTOR) == (uint32_t)v) {
			*lvt &= ~LVT_REMOTE_IRR;
			if (l->s.lint[0])
				lint_edge(l, LVT_LINT0);
		}
	}
	lapic_update(l);
}

static void set_tpr(struct lapic *l, uint8_t tpr)
{
	l->s.tpr = tpr;
	lapic_update(l);
}

void lapic_set_tpr(struct lapic *l, uint8_t cr8)
{
	set_tpr(l, (uint8_t)(cr8 << 4));
}

uint8_t lapic_get_tpr(const struct lapic *l)
{
	return l->s.tpr >> 4;
}

uint32_t lapic_lvt_mask(const struct lapic *l, unsigned n)
{
	switch (n) {
	case LVT_TIMER:
		return l->cfg.tsc_to_ns ? 0x700ff : 0x300ff;
	case LVT_ERROR:
		return 0x100ff;
	case LVT_LINT0:
	case LVT_LINT1:
		return 0x1a7ff;
	default:
		return 0x107ff;
	}
}

static void set_lvt(struct lapic *l, unsigned n, uint32_t val)
{
	val &= lapic_lvt_mask(l, n);
	if (!soft_enabled(l))
		val |= LVT_MASKED; /* SDM vol 3 11.4.7.2 */
	if (n == LVT_TIMER) {
		lapic_timer_set_lvt(l, val);
		return;
	}
	if (n == LVT_LINT0 && (val & LVT_LEVEL))
		val |= l->s.lvt[n] & LVT_REMOTE_IRR;
	l->s.lvt[n] = val;
	if (n == LVT_LINT0 && (val & LVT_LEVEL) && l->s.lint[0])
		lint_edge(l, n);
	lapic_update(l);
}

static void set_svr(struct lapic *l, uint32_t val)
{
	l->s.svr = val & SVR_MASK;
	if (!soft_enabled(l))
		for (unsigned n = 0; n < LVT_COUNT; n++)
			set_lvt(l, n, l->s.lvt[n]);
	lapic_update(l);
}

static uint32_t id_reg(const struct lapic *l)
{
	return lapic_is_x2(l) ? l->cfg.id : l->cfg.id << 24;
}

/* SDM vol 3 11.12.10.2: in x2APIC mode the logical ID follows from the APIC ID. */
static uint32_t ldr_reg(const struct lapic *l)
{
	return lapic_is_x2(l) ? l->cfg.id >> 4 << 16 | 1u << (l->cfg.id & 15) : l->s.ldr;
}

bool lapic_reg_read(struct lapic *l, uint32_t off, uint32_t *val)
{
	const struct lapic_state *s = &l->s;

	switch (off) {
	case APIC_ID: *val = id_reg(l); return true;
	case APIC_VERSION: *val = VERSION; return true;
	case APIC_TPR: *val = s->tpr; return true;
	case APIC_APR: *val = 0; return true;
	case APIC_PPR: *val = lapic_ppr(l); return true;
	case APIC_EOI: *val = 0; return true;
	case APIC_RRD: *val = 0; return true;
	case APIC_LDR: *val = ldr_reg(l); return true;
	case APIC_DFR: *val = s->dfr; return true;
	case APIC_SVR: *val = s->svr; return true;
	case APIC_ESR: *val = s->esr; return true;
	case APIC_ICR: *val = s->icr; return true;
	case APIC_ICR_HIGH: *val = s->icr_high; return true;
	case APIC_INIT_COUNT: *val = s->init_count; return true;
	case APIC_CUR_COUNT: *val = lapic_timer_count(l); return true;
	case APIC_DIVIDE: *val = s->divide; return true;
	}
	if (off & 15)
		return false;
	if (off >= APIC_ISR && off < APIC_TMR)
		*val = s->isr[(off - APIC_ISR) >> 4];
	else if (off >= APIC_TMR && off < APIC_IRR)
		*val = s->tmr[(off - APIC_TMR) >> 4];
	else if (off >= APIC_IRR && off < APIC_ESR)
		*val = s->irr[(off - APIC_IRR) >> 4];
	else if (off >= APIC_LVT && off < APIC_INIT_COUNT)
		*val = s->lvt[(off - APIC_LVT) >> 4];
	else
		return false;
	return true;
}

static void write_icr(struct lapic *l, uint32_t val)
{
	uint32_t dest = l->s.icr_high >> 24;

	l->s.icr = val & 0xccfff & ~0x1000u; /* delivery status always reads idle: we deliver at once */
	lapic_bus_ipi(l->cfg.bus, l, l->s.icr, dest == 0xff ? LAPIC_DEST_ALL : dest);
}

/* SDM vol 3 11.5.3: a write makes the errors since the last write readable. */
static void write_esr(struct lapic *l)
{
	l->s.esr = l->s.esr_next;
	l->s.esr_next = 0;
}

bool lapic_reg_write(struct lapic *l, uint32_t off, uint32_t val)
{
	switch (off) {
	case APIC_EOI: eoi(l); return true;
	case APIC_INIT_COUNT: lapic_timer_set_count(l, val); return true;
	case APIC_TPR: set_tpr(l, (uint8_t)val); return true;
	case APIC_ICR: write_icr(l, val); return true;
	case APIC_ICR_HIGH: l->s.icr_high = val & 0xff000000; return true;
	case APIC_LDR: l->s.ldr = val & 0xff000000; return true;
	case APIC_DFR: l->s.dfr = val | 0x0fffffff; return true;
	case APIC_SVR: set_svr(l, val); return true;
	case APIC_ESR: write_esr(l); return true;
	case APIC_DIVIDE: lapic_timer_set_divide(l, val & 0xb); return true;
	case APIC_ID: return true; /* read-only here: SDM vol 3 11.4.6 leaves writing to the model */
	}
	if (off < APIC_LVT || off >= APIC_INIT_COUNT || (off & 15))
		return false;
	set_lvt(l, (off - APIC_LVT) >> 4, val);
	return true;
}

uint32_t lapic_mmio_read(struct lapic *l, uint32_t off)
{
	uint32_t val = 0;

	if (!lapic_reg_read(l, off, &val))
		lapic_error(l, ESR_REGISTER);
	return val;
}

void lapic_mmio_write(struct lapic *l, uint32_t off, uint32_t val)
{
	if (!lapic_reg_write(l, off, val))
		lapic_error(l, ESR_REGISTER);
}

/* SDM vol 3 11.4.7.1 and 11.4.7.3: the state after power-up, RESET# and INIT. */
void lapic_init_reset(struct lapic *l)
{
	struct lapic_state *s = &l->s;
	uint64_t base = s->base;
	bool lint0 = s->lint[0], lint1 = s->lint[1];

	loop_timer_cancel(&l->timer);
	bytes_fill(s, 0, sizeof(*s));
	s->base = base;
	s->lint[0] = lint0;
	s->lint[1] = lint1;
	s->dfr = 0xffffffff;
	s->svr = 0xff;
	for (unsigned n = 0; n < LVT_COUNT; n++)
		s->lvt[n] = LVT_MASKED;
	lapic_update(l);
}

void lapic_reset(struct lapic *l)
{
	l->s.base = LAPIC_DEFAULT_BASE | BASE_ENABLE | (l->cfg.bsp ? BASE_BSP : 0);
	lapic_init_reset(l);
	if (l->cfg.virtual_wire)
		l->s.lvt[LVT_LINT0] = LAPIC_EXTINT << 8;
	lapic_bus_map(l->cfg.bus);
	lapic_update(l);
}

static const struct st_field lapic_state_type_fields[] = {
	ST(struct lapic_state, base), ST(struct lapic_state, deadline), ST(struct lapic_state, timer_start),
	ST_ARRAY(struct lapic_state, irr), ST_ARRAY(struct lapic_state, isr), ST_ARRAY(struct lapic_state, tmr),
	ST(struct lapic_state, ldr), ST(struct lapic_state, dfr), ST(struct lapic_state, svr),
	ST(struct lapic_state, esr), ST(struct lapic_state, esr_next), ST(struct lapic_state, icr),
	ST(struct lapic_state, icr_high), ST_ARRAY(struct lapic_state, lvt), ST(struct lapic_state, init_count),
	ST(struct lapic_state, divide), ST(struct lapic_state, tpr), ST_ARRAY(struct lapic_state, lint),
	ST_ARRAY(struct lapic_state, pad_),
};

static const char *lapic_check(const void *state)
{
	const struct lapic_state *s = state;

	if ((s->irr[0] | s->isr[0]) & 0xffff)
		return "interrupt vector below 16";
	return s->base & ~(BASE_ADDR | BASE_BSP | BASE_X2 | BASE_ENABLE) ? "reserved bits in the APIC base" : NULL;
}

static ST_TYPE(lapic_state_type, struct lapic_state, 1, lapic_check);

static void lapic_loaded(void *opaque)
{
	struct lapic *l = opaque;

	lapic_bus_map(l->cfg.bus);
	l->intr = has_interrupt(l);
	wire_set(&l->cfg.intr, l->intr);
	lapic_timer_arm(l);
}

struct lapic *lapic_new(const struct lapic_config *cfg)
{
	struct lapic *l = xalloc(sizeof(*l));
	char name[16];

	bytes_copy(&l->cfg, cfg, sizeof(l->cfg)); /* no call of memcpy in here */
	loop_timer_init(&l->timer, cfg->loop, lapic_timer_fire, l);
	lapic_bus_add(cfg->bus, l);
	if (cfg->set) {
		snprintf(name, sizeof(name), "lapic%u", cfg->id);
		state_set_add(cfg->set, name, &lapic_state_type, &l->s, lapic_loaded, l);
	}
	lapic_reset(l);
	return l;
}

void lapic_free(struct lapic *l)
{
	if (!l)
		return;
	loop_timer_cancel(&l->timer);
	lapic_bus_remove(l->cfg.bus, l);
	free(l);
}
