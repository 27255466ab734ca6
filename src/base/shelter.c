// SPDX-License-Identifier: GPL-2.0-or-later
/* what: calling ordinary C from code that runs with the guest's vector registers live, or not: it cannot know
 *
 * A chip is entered by a vCPU with the guest's FPU state in the registers, or by the I/O thread. It does not know
 * struct cpu, so what must not be lost is kept on the stack here. For log lines and the like, not for hot paths: those
 * park the state in struct cpu before they call the chip (cpu_fpu_park).
 */
#include "base/shelter.h"

#include <cpuid.h>

#include "base/bytes.h"

/* x87, SSE, AVX, AVX-512 (SDM vol 1 13.1). AMX and PKRU are nobody's here. */
#define COMPONENTS 0xe7u
#define FXSAVE_SIZE 512

/* XCR0's part of them; 0: no XSAVE. */
static uint32_t components(void)
{
	uint32_t a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) /* OSXSAVE */
		return 0;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a & COMPONENTS;
}

void shelter_call(void (*fn)(void *arg), void *arg)
{
	_Alignas(64) uint8_t area[4096]; /* 2696 bytes at most, SDM vol 1 13.4.3 */
	static const uint32_t mxcsr = 0x1f80;
	uint32_t mask = components();

	bytes_fill(area + FXSAVE_SIZE, 0, 64); /* XSAVE's header */
	if (mask)
		__asm__ volatile("xsave64 %0" : "+m"(area) : "a"(mask), "d"(0));
	else
		__asm__ volatile("fxsave64 %0" : "=m"(area));
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
	if (mask & 4)
		__asm__ volatile("vzeroupper");
	fn(arg);
	if (mask)
		__asm__ volatile("xrstor64 %0" : : "m"(area), "a"(mask), "d"(0));
	else
		__asm__ volatile("fxrstor64 %0" : : "m"(area));
}
