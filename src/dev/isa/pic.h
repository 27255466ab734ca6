// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the two cascaded 8259A interrupt controllers of the PC, with PIIX edge/level control registers */
#ifndef DEV_ISA_PIC_H
#define DEV_ISA_PIC_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

struct pic;

struct pic_config {
	struct state_set *states; /* may be NULL */
	struct mem *mem;          /* may be NULL: no ports */
	struct wire intr;         /* INTR of the CPU (or LINT0) */
};

/* All functions: device lock held. */
struct pic *pic_new(const struct pic_config *cfg);
void pic_free(struct pic *pic);
void pic_reset(struct pic *pic);
/* Level of ISA interrupt line irq (0..15); fits a wire. Line 2 is the cascade and is ignored. */
void pic_set_irq(void *opaque, int irq, bool level);
/* The two INTA cycles: takes the highest request into service and gives its vector. Without a request: the spurious
 * vector. */
int pic_ack(struct pic *pic);
/* Whether INTR is asserted. */
bool pic_pending(const struct pic *pic);

#endif
