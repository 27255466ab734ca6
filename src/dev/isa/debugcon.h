// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the one-port debug console that firmware and test guests write bytes to */
#ifndef DEV_ISA_DEBUGCON_H
#define DEV_ISA_DEBUGCON_H

#include "mem/mem.h"

struct debugcon;

struct debugcon_config {
	struct mem *mem;
	uint16_t port;                             /* 0: 0xe9; SeaBIOS writes to 0x402 */
	void (*byte)(void *opaque, uint8_t byte);  /* device lock held */
	void *opaque;
};

struct debugcon *debugcon_new(const struct debugcon_config *cfg);
void debugcon_free(struct debugcon *d);

#endif
