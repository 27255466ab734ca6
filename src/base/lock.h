// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a lock of four bytes that code may take while the guest's vector registers are live
 *
 * A futex: 0: free, 1: held, 2: held and perhaps waited for. Not recursive. It calls nothing but the kernel.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/base.h"

struct lock { uint32_t word; };

/* False: somebody has it. waited: by who has waited before, so that the next one is woken when it is given back. */
bool lock_try(struct lock *l, bool waited);
/* Returns when it was free for a moment, perhaps; takes nothing. */
void lock_wait(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);

#endif
