// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the device that kernel test suites expect of a PC monitor: latch, interrupt lines, a page to forget, spare
 * MMIO */
#ifndef DEV_ISA_TESTDEV_H
#define DEV_ISA_TESTDEV_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

#define TESTDEV_LINES 24

struct testdev;

struct testdev_config {
	struct mem *mem;
	struct state_set *states;                    /* may be NULL */
	/* interrupt lines 0 to 23, driven outright: whoever set one last wins */
	struct wire line[TESTDEV_LINES];
	void (*forget)(void *opaque, gpa_t page);    /* drop what was derived from this guest-physical page; lock held */
	void *opaque;
};

/* Device lock held for all calls. */
struct testdev *testdev_new(const struct testdev_config *cfg);
void testdev_free(struct testdev *t);
void testdev_reset(struct testdev *t);

#endif
