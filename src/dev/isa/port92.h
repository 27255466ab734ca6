// SPDX-License-Identifier: GPL-2.0-or-later
/* what: system control port A (0x92): fast A20 gate and fast reset */
#ifndef DEV_ISA_PORT92_H
#define DEV_ISA_PORT92_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

struct port92;

struct port92_config {
	struct state_set *states; /* may be NULL */
	struct mem *mem;          /* may be NULL: no port */
	struct wire a20;          /* told when a write changes the bit */
	struct wire reset;        /* pulsed when bit 0 goes from 0 to 1 */
};

/* All functions: device lock held. */
struct port92 *port92_new(const struct port92_config *cfg);
void port92_free(struct port92 *p);
void port92_reset(struct port92 *p);
uint8_t port92_read(struct port92 *p);
void port92_write(struct port92 *p, uint8_t val);

#endif
