// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the high precision event timer: a 100 MHz counter and three comparators */
#ifndef DEV_SYS_HPET_H
#define DEV_SYS_HPET_H

#include "base/loop.h"
#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

#define HPET_DEFAULT_BASE 0xfed00000u
#define HPET_TIMERS       3u
/* GCAP_ID[31:0], which the ACPI HPET table repeats: vendor 8086, legacy routing, 64-bit counter, 3 timers, revision
 * 1. */
#define HPET_ID           0x8086a201u

struct hpet;

struct hpet_config {
	struct loop *loop;
	struct state_set *set;    /* may be NULL */
	struct mem *mem;          /* may be NULL: no window */
	gpa_t base;               /* 0: HPET_DEFAULT_BASE */
	uint32_t route_cap;       /* interrupt inputs a timer may be routed to, one bit each */
	struct wire irq[32];      /* by interrupt input, those in route_cap */
	struct wire legacy[2];    /* legacy replacement: timer 0 to IRQ0 (IO-APIC input 2), timer 1 to IRQ8 */
	struct wire legacy_on;    /* level: the PIT and the RTC are cut off from IRQ0 and IRQ8 */
};

/* All functions: device lock held. */
struct hpet *hpet_new(const struct hpet_config *cfg);
void hpet_free(struct hpet *h);
void hpet_reset(struct hpet *h);
/* The window, for tests; size 1 to 8. */
uint64_t hpet_mmio_read(struct hpet *h, uint64_t off, unsigned size);
void hpet_mmio_write(struct hpet *h, uint64_t off, uint64_t val, unsigned size);

#endif
