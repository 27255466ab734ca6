// SPDX-License-Identifier: GPL-2.0-or-later
/* what: copy and fill for code that runs while the guest's vector registers are live
 *
 * libc's memcpy uses vector registers, and compilers turn copy loops and struct copies into calls to it.
 * These cannot become such a call: the short ones move volatile words, the long ones are string instructions.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/base.h"

struct bytes_u16 { uint16_t v; } __attribute__((packed, may_alias));
struct bytes_u32 { uint32_t v; } __attribute__((packed, may_alias));
struct bytes_u64 { uint64_t v; } __attribute__((packed, may_alias));

/* One access of size 1, 2, 4 or 8, as the guest's own would be: atomic where the host's is. */
static inline uint64_t bytes_load(const void *p, unsigned size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)p;
	case 2:
		return ((const volatile struct bytes_u16 *)p)->v;
	case 4:
		return ((const volatile struct bytes_u32 *)p)->v;
	default:
		return ((const volatile struct bytes_u64 *)p)->v;
	}
}

static inline void bytes_store(void *p, uint64_t v, unsigned size)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)p = (uint8_t)v;
		break;
	case 2:
		((volatile struct bytes_u16 *)p)->v = (uint16_t)v;
		break;
	case 4:
		((volatile struct bytes_u32 *)p)->v = (uint32_t)v;
		break;
	default:
		((volatile struct bytes_u64 *)p)->v = v;
	}
}

static inline bool bytes_scalar(size_t n)
{
	return n == 1 || n == 2 || n == 4 || n == 8;
}

/* Scalars in one access; areas must not overlap. */
static inline void bytes_copy(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (bytes_scalar(n)) {
		bytes_store(d, bytes_load(s, (unsigned)n), (unsigned)n);
		return;
	}
	if (n > 128) {
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
		return;
	}
	for (; n >= 8; n -= 8, d += 8, s += 8)
		bytes_store(d, bytes_load(s, 8), 8);
	for (; n; n--)
		*(volatile uint8_t *)d++ = *(const volatile uint8_t *)s++;
}

static inline void bytes_fill(void *to, uint8_t val, size_t n)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(val) : "memory");
}

#endif
