// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a lock of four bytes that code may take while the guest's vector registers are live
 *
 * A futex: 0: free, 1: held, 2: held and perhaps waited for. Not recursive. It calls nothing but the kernel.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/base.h"

struct lock { uint32_t word; };

/* False: somebody has it. */
bool lock_try(struct lock *l);
/* Returns when it was free for a moment, perhaps; takes nothing. */
void lock_wait(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);
/* For locks that are waited for by lock_wait(): wakes all, since who is woken may not want it any more. */
void lock_give_all(struct lock *l);

#endif
