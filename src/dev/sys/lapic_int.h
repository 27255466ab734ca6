// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the four files of the local APIC share */
#ifndef DEV_SYS_LAPIC_INT_H
#define DEV_SYS_LAPIC_INT_H

#include "dev/sys/lapic.h"

/* Offsets in the window, SDM vol 3 table 11-1; an x2APIC MSR is 0x800 + offset / 16. */
enum {
	APIC_ID = 0x020,
	APIC_VERSION = 0x030,
	APIC_TPR = 0x080,
	APIC_APR = 0x090,
	APIC_PPR = 0x0a0,
	APIC_EOI = 0x0b0,
	APIC_RRD = 0x0c0,
	APIC_LDR = 0x0d0,
	APIC_DFR = 0x0e0,
	APIC_SVR = 0x0f0,
	APIC_ISR = 0x100,
	APIC_TMR = 0x180,
	APIC_IRR = 0x200,
	APIC_ESR = 0x280,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT = 0x320, /* six entries, enum lapic_lvt */
	APIC_INIT_COUNT = 0x380,
	APIC_CUR_COUNT = 0x390,
	APIC_DIVIDE = 0x3e0,
	APIC_SELF_IPI = 0x3f0,
};

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

#define LVT_VECTOR      0x000ffu
#define LVT_REMOTE_IRR  0x04000u
#define LVT_LEVEL       0x08000u
#define LVT_MASKED      0x10000u
#define LVT_TIMER_MODE  0x60000u /* SDM vol 3 11.5.1: 00 one-shot, 01 periodic, 10 TSC-deadline */
#define LVT_PERIODIC    0x20000u
#define LVT_DEADLINE    0x40000u

#define SVR_ENABLE      0x100u
#define SVR_MASK        0x3ffu

/* SDM vol 3 11.5.3, error status register. */
#define ESR_SEND_VECTOR 0x20u
#define ESR_RECV_VECTOR 0x40u
#define ESR_REGISTER    0x80u

/* IA32_APIC_BASE, SDM vol 3 11.4.4 and 11.12.1. */
#define BASE_BSP        0x100u
#define BASE_X2         0x400u
#define BASE_ENABLE     0x800u
#define BASE_ADDR       0x000ffffffffff000u

struct lapic_state {
	uint64_t base;
	uint64_t deadline;    /* IA32_TSC_DEADLINE; 0: not armed */
	uint64_t timer_start; /* guest time at which init_count was loaded */
	uint32_t irr[8];
	uint32_t isr[8];
	uint32_t tmr[8];
	uint32_t ldr;
	uint32_t dfr;
	uint32_t svr;
	uint32_t esr;
	uint32_t esr_next;    /* errors since the last write to ESR */
	uint32_t icr;
	uint32_t icr_high;
	uint32_t lvt[LVT_COUNT];
	uint32_t init_count;
	uint32_t divide;
	uint8_t tpr;
	bool lint[2];
	uint8_t pad_[1];
};

struct lapic {
	struct lapic_state s;
	struct lapic_config cfg;
	struct loop_timer timer;
	bool intr; /* level of cfg.intr */
};

static inline bool lapic_is_x2(const struct lapic *l)
{
	return (l->s.base & (BASE_X2 | BASE_ENABLE)) == (BASE_X2 | BASE_ENABLE);
}

/* lapic.c. A fixed interrupt arrives. */
void lapic_accept(struct lapic *l, uint8_t vector, bool level);
/* Any message arrives; false: not taken. */
bool lapic_message(struct lapic *l, unsigned delivery, uint8_t vector, bool level);
void lapic_error(struct lapic *l, uint32_t bit);
/* Drive cfg.intr after anything that matters to it changed. */
void lapic_update(struct lapic *l);
/* INIT: everything but the base MSR. */
void lapic_init_reset(struct lapic *l);
uint8_t lapic_ppr(const struct lapic *l);
/* A register, by offset; false: there is none. */
bool lapic_reg_read(struct lapic *l, uint32_t off, uint32_t *val);
bool lapic_reg_write(struct lapic *l, uint32_t off, uint32_t val);
/* Bits of LVT entry n that can be written. */
uint32_t lapic_lvt_mask(const struct lapic *l, unsigned n);

/* lapic_timer.c */
void lapic_timer_fire(void *lapic);
void lapic_timer_arm(struct lapic *l);
void lapic_timer_set_lvt(struct lapic *l, uint32_t val);
void lapic_timer_set_count(struct lapic *l, uint32_t val);
void lapic_timer_set_divide(struct lapic *l, uint32_t val);
void lapic_timer_set_deadline(struct lapic *l, uint64_t tsc);
uint32_t lapic_timer_count(const struct lapic *l);

/* lapic_bus.c */
void lapic_bus_add(struct lapic_bus *bus, struct lapic *l);
void lapic_bus_remove(struct lapic_bus *bus, struct lapic *l);
/* The base MSR of l changed: move the window. */
void lapic_bus_map(struct lapic_bus *bus);
void lapic_bus_eoi(struct lapic_bus *bus, uint8_t vector);
/* Act on a write to the ICR; dest as for lapic_bus_deliver(). */
void lapic_bus_ipi(struct lapic_bus *bus, struct lapic *from, uint32_t icr, uint32_t dest);

#endif
