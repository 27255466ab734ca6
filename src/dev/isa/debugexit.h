// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a port with which a test guest ends the machine: writing v gives code (v << 1) | 1 */
#ifndef DEV_ISA_DEBUGEXIT_H
#define DEV_ISA_DEBUGEXIT_H

#include "mem/mem.h"

struct debugexit;

struct debugexit_config {
	struct mem *mem;
	uint16_t port;                              /* four ports from here on */
	void (*exit)(void *opaque, uint32_t code);  /* device lock held */
	void *opaque;
};

struct debugexit *debugexit_new(const struct debugexit_config *cfg);
void debugexit_free(struct debugexit *d);

#endif
