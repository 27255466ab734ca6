// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a lock of four bytes that code may take while the guest's vector registers are live
 *
 * A futex: 0: free, 1: held, 2: held and perhaps waited for. Not recursive. It calls nothing but the kernel.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/base.h"

struct lock { uint32_t word; };

void lock_take(struct lock *l);
void lock_give(struct lock *l);

#endif
