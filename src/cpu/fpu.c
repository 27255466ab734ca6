// SPDX-License-Identifier: GPL-2.0-or-later
/* what: guest FPU and vector state between the host's registers and memory
 *
 * XSAVEOPT rather than XSAVE: park and load together took 204 against 261 cycles with the state mostly
 * initial and 273 against 328 with vectors in use (Sapphire Rapids). Its "not modified since XRSTOR"
 * shortcut is safe: the CPU ties it to the address and to the last XRSTOR of any kind, and whoever
 * changes cpu->fpu does so while it is parked; but see no_stale_avx(). FNINIT costs 60 cycles, so it is left out where
 * XSAVE found x87 in its initial state, which is nearly always.
 *
 * Only the components a guest of this model can reach are moved, never AMX (8 KiB) or PKRU.
 */
#include "base/bytes.h"
#include "cpu/cpu.h"
#include "cpu/cpu_int.h"
#include "cpu/cpuid.h"

#define XSAVE_HEADER 512
#define XSAVE_AREA0 576 /* end of the header */
#define FXSAVE_SIZE 512
#define FXSAVE_FTW 4
#define FXSAVE_MXCSR 24
#define MXCSR_VALID 0xffffu
#define AVX_SIZE 256    /* of component 2, which follows the header */

static const uint32_t c_mxcsr = 0x1f80;

static uint64_t host_xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

uint64_t cpu_host_xcr0(void)
{
	uint32_t out[4];

	cpu_host_cpuid(1, 0, out);
	if (!(out[2] & 1u << 27)) /* OSXSAVE */
		return 0;
	return host_xgetbv() & XCR0_KNOWN;
}

bool cpu_host_xsaveopt(void)
{
	uint32_t out[4];

	cpu_host_cpuid(0xd, 1, out);
	return out[0] & 1;
}

/* Bytes of a standard-format area for mask: where its highest component ends (SDM vol 1 13.4.3). */
static uint32_t area_size(uint64_t mask)
{
	uint32_t size = XSAVE_AREA0;

	for (unsigned i = 2; i < 63; i++) {
		uint32_t out[4];

		if (!(mask >> i & 1))
			continue;
		cpu_host_cpuid(0xd, i, out);
		size = MAX(size, out[0] + out[1]);
	}
	return size;
}

void cpu_fpu_probe(struct cpu *cpu)
{
	uint64_t mask = cpu_host_xcr0();

	if (cpu->fpu_size)
		return;
	if (!mask) {
		cpu->fpu_size = FXSAVE_SIZE;
		cpu->host_xcr0 = XCR0_X87 | XCR0_SSE;
		return;
	}
	if (cpu->model)
		mask &= cpu->model->xcr0_valid | XCR0_X87 | XCR0_SSE;
	cpu->host_xcr0 = mask;
	cpu->fpu_opt = cpu_host_xsaveopt();
	cpu->fpu_size = area_size(mask);
	must(cpu->fpu_size <= sizeof(cpu->fpu));
}

static bool fpu_xsave(const struct cpu *cpu)
{
	return cpu->fpu_size > FXSAVE_SIZE;
}

void cpu_fpu_reset(struct cpu *cpu)
{
	cpu_fpu_park(cpu);
	bytes_fill(cpu->fpu, 0, sizeof(cpu->fpu));
	cpu_x87_set(cpu, 0, 0, 0);
	/* SDM vol 3 table 9-1: FCW 0040, FTW 5555 (all tags "zero": not empty, which is 1 in the short form) */
	put_le16(cpu->fpu, 0x0040);
	cpu->fpu[FXSAVE_FTW] = 0xff;
	put_le32(cpu->fpu + FXSAVE_MXCSR, 0x1f80);
	if (fpu_xsave(cpu))
		put_le64(cpu->fpu + XSAVE_HEADER, XCR0_X87 | XCR0_SSE);
}

/* SDM vol 1 13.8.1: what XRSTOR of the standard form takes. Bits of MXCSR that this host lacks go. */
void cpu_fpu_tame(struct cpu *cpu)
{
	uint8_t *header = cpu->fpu + XSAVE_HEADER;

	must(!cpu->fpu_live);
	put_le32(cpu->fpu + FXSAVE_MXCSR, get_le32(cpu->fpu + FXSAVE_MXCSR) & MXCSR_VALID);
	put_le64(header, get_le64(header) & cpu->host_xcr0);
	bytes_fill(header + 8, 0, 56);
}

/* C's environment: empty x87 stack, default control words, clean upper halves (SysV ABI 3.2.1). */
static void host_defaults(const struct cpu *cpu)
{
	if (!fpu_xsave(cpu) || cpu->fpu[XSAVE_HEADER] & XCR0_X87)
		__asm__ volatile("fninit");
	if (cpu->host_xcr0 & XCR0_AVX)
		__asm__ volatile("vzeroupper");
	__asm__ volatile("ldmxcsr %0" : : "m"(c_mxcsr));
}

void cpu_fpu_park(struct cpu *cpu)
{
	uint32_t lo = (uint32_t)cpu->host_xcr0, hi = (uint32_t)(cpu->host_xcr0 >> 32);

	if (!cpu->fpu_live)
		return;
	if (!fpu_xsave(cpu))
		__asm__ volatile("fxsave64 %0" : "=m"(cpu->fpu));
	else if (cpu->fpu_opt)
		__asm__ volatile("xsaveopt64 %0" : "+m"(cpu->fpu) : "a"(lo), "d"(hi));
	else
		__asm__ volatile("xsave64 %0" : "+m"(cpu->fpu) : "a"(lo), "d"(hi));
	cpu->fpu_live = false;
	host_defaults(cpu);
}

/* Bits 128 to 255 of the vector registers, in their initial state while bits 256 to 511 are not: seen on AMD Zen 5 by
 * the instruction oracle, an SSE instruction puts them in use without having them modified. XSAVEOPT then says that the
 * area has them and leaves there what an earlier save has left. So they are written out: 0. */
static void no_stale_avx(struct cpu *cpu)
{
	uint64_t used = get_le64(cpu->fpu + XSAVE_HEADER);

	if (cpu->fpu_opt && (used & (XCR0_AVX | XCR0_ZMM_HI256)) == XCR0_ZMM_HI256)
		bytes_fill(cpu->fpu + XSAVE_AREA0, 0, AVX_SIZE);
}

void cpu_fpu_load(struct cpu *cpu)
{
	uint32_t lo = (uint32_t)cpu->host_xcr0, hi = (uint32_t)(cpu->host_xcr0 >> 32);

	if (cpu->fpu_live)
		return;
	no_stale_avx(cpu);
	if (fpu_xsave(cpu))
		__asm__ volatile("xrstor64 %0" : : "m"(cpu->fpu), "a"(lo), "d"(hi));
	else
		__asm__ volatile("fxrstor64 %0" : : "m"(cpu->fpu));
	cpu->fpu_live = true;
}
