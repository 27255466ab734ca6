// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a way out of code that must leave vector registers alone, for the rare call that cannot */
#ifndef BASE_SHELTER_H
#define BASE_SHELTER_H

/* Call fn(arg) with the x87, vector and mask registers put aside, and in the state C expects. Takes 12 us in a virtual
 * machine, where CPUID leaves it. */
void shelter_call(void (*fn)(void *arg), void *arg);

#endif
