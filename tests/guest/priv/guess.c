// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a guest that has found out where ring3 keeps the windows of slots that have none (src/mmu/window.c)
 *
 * COM1 tells it. Its base register holds what the bias of such a slot looks like: the handler of faults must not take
 * the register for one, and put the bias of a window there. Before it did, accesses went to 4 places that are no
 * window's.
 */
#include "guest.h"

/* R14 comes to a scratch register of the translation. */
SNIPPET(guess, "mov %rdi, %r14\n add $0, %r14\ngs_at: mov 16(%r14), %rax\n mov %r14, %rbx\n mov %r14, %rdx");
extern char gs_at[];

static u8 get(void)
{
	while (!(inb(0x3fd) & 1))
		asm volatile("pause");
	return inb(0x3f8);
}

void guest_main(void)
{
	u64 none = 0;

	say("where?\n");
	for (unsigned k = 0; k < 8; k++)
		none |= (u64)get() << 8 * k;
	paging_on();
	for (unsigned slot = 0; slot < 512; slot++) {
		prepare(guess, 3);
		in.di = (1ull << 62) + ((u64)slot << 48) + none - ((u64)slot << 40);
		stage = slot;
		go();
		CHECK("vol 1 3.3.7.1 not canonical", t.vec == GP && t.r.ip == (ul)gs_at);
	}
	finish();
}
