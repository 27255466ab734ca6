// SPDX-License-Identifier: GPL-2.0-or-later
/* what: more code than a translator's cache holds, again and again, and a CPU that idles in between
 *
 * A chain of short blocks adds up what it has run. ring3's cache is full in the middle of it, holds all of it when it
 * has grown, and is thrown away when the CPU idles (src/xlate/grow.c).
 */
#include "guest.h"

#define TIMER 0x320 / 4
#define COUNT 0x380 / 4
#define DIVIDE 0x3e0 / 4
#define CHAIN ((u8 *)0x1000000)
#define LINK 16u
#define LINKS 110000u

static volatile u32 *const lapic = (u32 *)0xfee00000;
static u32 env[7];

static void on_timer(void) { lapic[0xb0 / 4] = 0; }

/* ADD EAX, 1; ADD EDX, EAX; then on: by JMP, or by CALL of a RET and JMP. */
static void build(void)
{
	static const u8 jump[LINK] = { 0x83, 0xc0, 1, 0x01, 0xc2, 0xeb, 9 };
	static const u8 call[LINK] = { 0x83, 0xc0, 1, 0x01, 0xc2, 0xe8, 2, 0, 0, 0, 0xeb, 4, 0xc3 };

	for (unsigned k = 0; k < LINKS; k++)
		copy(CHAIN + k * LINK, k % 7 == 3 ? call : jump, LINK);
	CHAIN[LINKS * LINK] = 0xc3;
}

static void run_chain(void)
{
	u32 n = 0, sum = 0;

	asm volatile("call *%2" : "+a"(n), "+d"(sum) : "r"(CHAIN) : "memory", "cc");
	CHECK("all blocks ran, in order", n == LINKS && sum == (u32)((u64)LINKS * (LINKS + 1) / 2));
}

static void idle(void)
{
	for (unsigned k = 0; k < 16; k++) {
		lapic[COUNT] = 100000000; /* a tenth of a second */
		asm volatile("sti; hlt; cli" ::: "memory");
	}
}

void guest_main(void)
{
	u32 at;

	lapic[0xf0 / 4] = 0x1ff;
	outb(0x21, 0xff), outb(0xa1, 0xff);
	hook[0x50] = on_timer;
	lapic[DIVIDE] = 0xb;
	lapic[TIMER] = 0x50;
	build();
	for (unsigned k = 0; k < 4; k++)
		run_chain();
	asm volatile("fninit; 1: fld1; mov $1b, %0" : "=r"(at));
	idle();
	asm volatile("fnstenv %0" : "=m"(env));
	CHECK("vol 1 8.1.8 the x87 instruction pointer stays", env[3] == at);
	for (unsigned k = 0; k < 3; k++)
		run_chain();
	finish();
}
