// SPDX-License-Identifier: GPL-2.0-or-later
/* what: moved.c's two halves: oracle.h's names and the translator's are not for one file */
#ifndef MOVED_H
#define MOVED_H

#include <stdint.h>

struct xlate;
enum moved_how { MOVED_SAME, MOVED_DIFFERS, MOVED_STAYS, MOVED_RAISED, MOVED_HOWS };

/* A block for the CPU's RIP, one for the same code further up, copied if it can be, and one translated there.
 * gate: enum gate; what: that differs. */
enum moved_how moved_try(struct xlate *x, uint64_t further, unsigned gate, const char **what);
/* The last two. */
void moved_print(void);

#endif
