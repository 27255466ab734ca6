// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the files of state/ share: the set's blocks
 */
#ifndef STATE_SET_INT_H
#define STATE_SET_INT_H

#include "state/state.h"

struct block {
	char *name;
	const struct st_type *type;
	void *state;
	void (*loaded)(void *opaque);
	void *opaque;
};

struct state_set {
	struct block *blocks;
	size_t n, cap;
};

#endif
