// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one access to a chip with a guest's FPU state in the host's registers */
#ifndef POKE_H
#define POKE_H

#include "cpu/cpu.h"
#include "mem/mem.h"

enum poke_what {
	POKE_IN, POKE_OUT, POKE_READ, POKE_WRITE, POKE_RDMSR, POKE_WRMSR, POKE_TPR, POKE_ACK, POKE_NOTHING, POKE_KINDS,
};

struct poke {
	enum poke_what what;
	unsigned size;
	uint64_t at, val;
	int (*ack)(void *opaque);
	void *opaque;
};

/* Loads cpu->fpu, does it, saves to cpu->fpu. False: the chip asks for the FPU to be parked, nothing was done. */
bool poke(struct cpu *cpu, const struct poke *p);

#endif
