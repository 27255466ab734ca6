// SPDX-License-Identifier: GPL-2.0-or-later
/* what: an interrupt gets in whatever the only way back of a loop is: a jump, a computed one, a RET
 *
 * Translated code looks for kicks in three ways (src/xlate/control.c), and RETs to slot 0 of the return cache are a
 * case of their own: there the low ten bits of RIP are 0. A loop that is not left hangs the guest.
 */
#include "guest.h"

static volatile u32 *const lapic = (u32 *)0xfee00000;
static volatile u32 wakes;

static void on_timer(void) { wakes++; lapic[0xb0 / 4] = 0; }

static void arm(u32 count)
{
	wakes = 0;
	lapic[0x380 / 4] = count;
	asm volatile("sti");
}

/* The call makes known where a RET to 2 goes, as real calls do. at: where 2 lies in 1024 bytes. */
#define LOOP(at, back) \
	asm volatile("movl $2f, %%eax\n\t" \
		     "jmp 1f\n\t" \
		     ".balign 1024, 0xcc\n\t" \
		     ".skip 1024 + " #at " - 5, 0xcc\n" \
		     "1:	call 3f\n" \
		     "2:	cmpl $0, %0\n\t" \
		     "jne 4f\n\t" \
		     back "\n" \
		     "3:	ret\n" \
		     "4:	cli" : "+m"(wakes) : : "eax", "memory", "cc")

#if __x86_64__
#define TO_AX "%%rax"
#else
#define TO_AX "%%eax"
#endif

#define TIMES(loop) \
	for (u32 k = 0; k < 200; k++) { \
		arm(1000 + 97 * k); \
		loop; \
	}

void guest_main(void)
{
	lapic[0xf0 / 4] = 0x1ff;
	outb(0x21, 0xff), outb(0xa1, 0xff);
	hook[0x50] = on_timer;
	lapic[0x3e0 / 4] = 0xb;
	lapic[0x320 / 4] = 0x50;
	TIMES(LOOP(0, "jmp 2b"));
	CHECK("vol 3 6.3.1 an interrupt in a loop by JMP", wakes == 1);
	TIMES(LOOP(0, "push " TO_AX));
	CHECK("vol 3 6.3.1 an interrupt in a loop by RET, to slot 0 of the return cache", wakes == 1);
	TIMES(LOOP(16, "push " TO_AX));
	CHECK("vol 3 6.3.1 an interrupt in a loop by RET, to another slot", wakes == 1);
	TIMES(LOOP(0, "jmp *" TO_AX));
	CHECK("vol 3 6.3.1 an interrupt in a loop by a computed JMP", wakes == 1);
	TIMES(LOOP(512, "jmp *" TO_AX));
	CHECK("vol 3 6.3.1 an interrupt in a loop by a computed JMP, elsewhere", wakes == 1);
	finish();
}
