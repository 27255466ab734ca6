// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what AddressSanitizer has to be told about stack frames that are left without a return
 *
 * A function that it watches marks the gaps between its variables in the shadow of its frame, and takes the marks away
 * when it returns. Frames that a guest exception jumps over keep theirs, and whoever uses that stack next seems to
 * write out of bounds. The compiler cannot help, as it does not know which calls may not return; the run time's own
 * function may not be called, as it uses vector registers that hold the guest's values.
 */
#ifndef BASE_ASAN_H
#define BASE_ASAN_H

#include <stdint.h>

/* Forget the marks of the frames in [from, to). */
static inline void asan_forget_frames(const void *from, const void *to)
{
#ifdef RING3_ASAN
	/* a byte of shadow for each 8 bytes; where it is on x86-64 Linux belongs to the ABI of gcc and clang */
	uint64_t first = (uintptr_t)from >> 3, n = ((uintptr_t)to >> 3) - first, shadow = first + 0x7fff8000;

	__asm__ volatile("rep stosb" : "+D"(shadow), "+c"(n) : "a"(0) : "memory");
#else
	(void)from;
	(void)to;
#endif
}

#endif
