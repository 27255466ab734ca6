// SPDX-License-Identifier: GPL-2.0-or-later
/* what: code that one CPU changes while others run it: with a flag and CPUID, an IPI, and INT3 as Linux does it
 */
#include "smp.h"

static u8 code[4096] __attribute__((aligned(4096)));
static volatile u64 version, calls_made, wrong_code;
extern char on_bp[];
u64 bps_a;
asm("on_bp: addq $4, (%rsp)\n lock incq bps_a\n mov $-1, %eax\n iretq\n");
static void runner_flag(unsigned me) /* serializing instruction, then the code: nothing older than the flag */
{
	u32 r[4];
	(void)me;
	while (!stop_it) {
		u64 v = version;
		cpuid(0, 0, r);
		u32 g = ((u32(*)(void))(void *)code)();
		if (g < (u32)v)
			wrong_code++;
		calls_made++;
	}
}
static void runner_free(unsigned me) /* runs all the time; the sync IPI serializes */
{
	(void)me;
	asm volatile("sti");
	while (!stop_it) {
		u64 v = version;
		u32 g = ((u32(*)(void))(void *)code)();
		if (g < (u32)v)
			wrong_code++;
		calls_made++;
	}
	asm volatile("cli");
}
static void put32(u8 *p, u32 v)
{
	*(volatile u32 *)(void *)p = v;
}
static void sync_ipi(unsigned n)
{
	u64 before[MAXCPU];
	for (unsigned c = 1; c < n; c++)
		before[c] = shot[c].v;
	mmw(0x300, 0xc4061);
	for (unsigned c = 1; c < n; c++)
		while (shot[c].v == before[c])
			relax();
}
static void patched(unsigned n, int way, const char *name)
{
	static const u8 f[] = {0x0f, 0x1f, 0x00, 0xb8, 0, 0, 0, 0, 0xc3};
	u32 k, count = ROUNDS / 20;
	void (*r)(unsigned) = way == 0 ? runner_flag : runner_free;
	copy(code, f, sizeof(f));
	stop_it = 0;
	version = calls_made = wrong_code = bps_a = 0;
	for (unsigned c = 1; c < n; c++)
		begin(c, r);
	for (k = 1; k <= count; k++) {
		if (way == 0) {
			put32(code + 4, k);
			version = k;
			*(volatile u32 *)(void *)(code + 2048) = k; /* data on the same page */
		} else if (way == 1) {
			put32(code + 4, k);
			sync_ipi(n);
			version = k;
		} else {
			/* INT3 on the MOV, its tail, then the first byte; who hits INT3 runs past the MOV with the
			 * new value by hand */
			*(volatile u8 *)(code + 3) = 0xcc;
			sync_ipi(n);
			put32(code + 4, k);
			sync_ipi(n);
			*(volatile u8 *)(code + 3) = 0xb8;
			sync_ipi(n);
			version = k;
		}
		wait_cycles(k % 16 * 500);
	}
	stop_it = 1;
	for (unsigned c = 1; c < n; c++)
		end(c);
	say(name);
	note(": patches", k - 1);
	note("  calls", calls_made);
	note("  breakpoints", bps_a);
	note("  old code", wrong_code);
	CHECK("vol 3 8.1.3", !wrong_code);
}

void patches(unsigned n)
{
	set_gate(0x61, on_sync, KCS, 0x8e, 0);
	set_gate(3, on_bp, KCS, 0xee, 0);
	patched(n, 0, "flag and CPUID");
	patched(n, 1, "IPI");
	patched(n, 2, "INT3");
}
