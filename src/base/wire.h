// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a wire: one level signal from a chip to whoever listens (interrupt lines, A20, reset) */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>

/* Plain value, copied freely by the board. set == NULL: not connected. Called with the device lock held. */
struct wire {
	void (*set)(void *opaque, int n, bool level);
	void *opaque;
	int n;
};

static inline void wire_set(const struct wire *w, bool level)
{
	if (w->set)
		w->set(w->opaque, w->n, level);
}

static inline void wire_pulse(const struct wire *w)
{
	wire_set(w, true);
	wire_set(w, false);
}

#endif
