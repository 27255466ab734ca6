// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 8254 interval timer and the port B register (0x61) with speaker gate and refresh toggle */
#ifndef DEV_ISA_PIT_H
#define DEV_ISA_PIT_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

#define PIT_HZ 1193182u

struct pit;

struct pit_config {
	struct state_set *states; /* may be NULL */
	struct loop *loop;
	struct mem *mem;          /* may be NULL: no ports */
	struct wire irq0;         /* OUT of counter 0 */
};

/* All functions: device lock held. */
struct pit *pit_new(const struct pit_config *cfg);
void pit_free(struct pit *pit);
void pit_reset(struct pit *pit);
/* Ports 0x40 + reg (0..3), and 0x61. */
uint8_t pit_read(struct pit *pit, unsigned reg);
void pit_write(struct pit *pit, unsigned reg, uint8_t val);
uint8_t pit_portb_read(struct pit *pit);
void pit_portb_write(struct pit *pit, uint8_t val);

#endif
