// SPDX-License-Identifier: GPL-2.0-or-later
/* what: has a guest got out? For whoever runs guests to find that out
 */
#ifndef CONFINED_H
#define CONFINED_H

#include "cpu/cpu.h"
#include "mem/mem.h"
#include "vcpu/vcpu.h"

/* From now on a system call whose instruction lies in the code cache ends the process: it is an escape. */
void confined_forbid_syscalls(const struct vcpu *v);
/* The vCPU stands: every TLB entry leads to guest memory, and windows hold guest RAM or nothing. */
void confined_check(const struct cpu *cpu, const struct mem *mem);

#endif
