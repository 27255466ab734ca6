// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a vCPU without an engine, for tests: struct cpu with a struct mmu, zeroed
 */
#ifndef TESTS_UNIT_SOFT_CPU_H
#define TESTS_UNIT_SOFT_CPU_H

#include <stdlib.h>
#include <string.h>

#include "mmu/mmu.h"

/* To be freed by free(). */
static inline struct cpu *soft_cpu_new(void)
{
	struct { struct cpu c; struct mmu m; } *both = aligned_alloc(4096, (sizeof(*both) + 4095) & ~(size_t)4095);

	must(both);
	memset(both, 0, sizeof(*both));
	both->c.mmu = &both->m;
	return &both->c;
}

#endif
