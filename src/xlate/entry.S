// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the gates between the run loop, translated code and helpers in C
 *
 * In translated code RSP is &cpu + CPU_RSP; offsets of members count from there, plus 8 in a thunk that was called. RSP
 * is then aligned for another call; not so in the exits. Guest registers are stored to cpu->s.gpr (offset 0) for C and
 * reloaded behind it. R10, R11, R14 and R15 of the guest live there always; host R14 holds guest RSP, R15 R10 R11 are
 * scratch (emit.h).
 */
#include "xlate/offsets.h"

	.text

/* Guest registers to cpu at \o(%rsp), flags to host_flags. Clobbers RAX. */
.macro SAVE o
	movq %rax, (\o+0)(%rsp)
	lahf
	seto %al
	movzwl %ax, %eax
	movq %rax, (\o+OFF_HOST_FLAGS)(%rsp) /* as wide as C will read it: a narrow store is not forwarded */
	movq %rcx, (\o+8)(%rsp)
	movq %rdx, (\o+16)(%rsp)
	movq %rbx, (\o+24)(%rsp)
	movq %r14, (\o+32)(%rsp)
	movq %rbp, (\o+40)(%rsp)
	movq %rsi, (\o+48)(%rsp)
	movq %rdi, (\o+56)(%rsp)
	movq %r8, (\o+64)(%rsp)
	movq %r9, (\o+72)(%rsp)
	movq %r12, (\o+96)(%rsp)
	movq %r13, (\o+104)(%rsp)
.endm

.macro LOAD o
	movzwl (\o+OFF_HOST_FLAGS)(%rsp), %eax
	addb $0x7f, %al
	sahf
	movq (\o+0)(%rsp), %rax
	movq (\o+8)(%rsp), %rcx
	movq (\o+16)(%rsp), %rdx
	movq (\o+24)(%rsp), %rbx
	movq (\o+32)(%rsp), %r14
	movq (\o+40)(%rsp), %rbp
	movq (\o+48)(%rsp), %rsi
	movq (\o+56)(%rsp), %rdi
	movq (\o+64)(%rsp), %r8
	movq (\o+72)(%rsp), %r9
	movq (\o+96)(%rsp), %r12
	movq (\o+104)(%rsp), %r13
.endm

/* void *xlate_enter(struct cpu *cpu, const void *code): returns the exit record, or NULL. */
	.globl xlate_enter
	.type xlate_enter, @function
xlate_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (OFF_RSP+OFF_HOST_RSP)(%rdi)
	leaq OFF_RSP(%rdi), %rsp
	movq %rsi, OFF_TMP(%rsp)
	LOAD 0
	jmp *OFF_TMP(%rsp)

/* Direct exit: S1 (R10) = exit record. */
	.globl xlate_exit_direct
xlate_exit_direct:
	SAVE 0
	movq %r10, %rax
	jmp back

/* Indirect exit: S0 (R15) = guest RIP, S2 (R11) = host offset of the jump. xlate_jc_empty is the same under an
 * address of its own: a slot never used. Most targets have a block whose slot another one took, or whose page a flush
 * of the TLB made unknown: these go on at once. */
	.globl xlate_jc_empty
xlate_jc_empty:
	nop
	.globl xlate_exit_indirect
xlate_exit_indirect:
	SAVE 0
	movq %r15, OFF_RIP(%rsp)
	movq %r11, OFF_LEFT_AT(%rsp)
	leaq -OFF_RSP(%rsp), %rdi
	subq $8, %rsp
	call xlate_dispatch
	addq $8, %rsp
dispatched:
	leaq xlate_leave(%rip), %rcx
	cmpq %rcx, %rax
	je xlate_leave
	movq %rax, OFF_TMP(%rsp)
	LOAD 0
	jmp *OFF_TMP(%rsp)

/* A page gate found its page not live: S0 (R15) = guest RIP. */
	.globl xlate_exit_page
xlate_exit_page:
	SAVE 0
	movq %r15, OFF_RIP(%rsp)
	leaq -OFF_RSP(%rsp), %rdi
	subq $8, %rsp
	call xlate_dispatch_page
	addq $8, %rsp
	jmp dispatched

/* A RET to where a call offered a way that is not chained: S0 (R15) = guest RIP, S1 (R10) = exit record, S2 (R11) =
 * host offset of the RET. */
	.globl xlate_exit_return
xlate_exit_return:
	SAVE 0
	movq %r15, OFF_RIP(%rsp)
	movq %r11, OFF_LEFT_AT(%rsp)
	leaq -OFF_RSP(%rsp), %rdi
	movq %r10, %rsi
	subq $8, %rsp
	call xlate_dispatch_return
	addq $8, %rsp
	jmp dispatched

/* Registers are in cpu already: a helper or the signal handler put them there. RSP = cpu. */
	.globl xlate_leave
xlate_leave:
	xorl %eax, %eax
back:
	movq OFF_HOST_RSP(%rsp), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.size xlate_enter, . - xlate_enter

/* Helper: S0 (R15) = struct xsite. */
	.globl xlate_thunk_helper
xlate_thunk_helper:
	SAVE 8
	leaq (8-OFF_RSP)(%rsp), %rdi
	movq %r15, %rsi
	call xlate_helper
	testq %rax, %rax
	jnz 1f
	LOAD 8
	ret
1:	movq %rax, (8+OFF_TMP)(%rsp)
	LOAD 8
	movq (8+OFF_RIP)(%rsp), %r15
	movl $0, %r11d /* no jump's #GP if that RIP is bad */
	leaq 8(%rsp), %rsp
	jmp *OFF_TMP(%rsp)

/* Near miss in view and direction \i: S0 (R15) = ea - tag of the near entry, S1 (R10) = the entry's offset from the
 * first of its kind | (4096 - size) << 16. If the TLB has the page: CF = 0, S0 = host address, and the near entry is
 * its copy. Else CF = 1, S0 = ea. */
.macro NEAR i
	.globl xlate_near_\i
xlate_near_\i:
	pushq %rax
	pushq %rcx
	movzwl %r10w, %ecx
	shrl $16, %r10d
	addq (24 + OFF_NEAR + \i * NEAR_BYTES)(%rsp,%rcx), %r15
	movl %r15d, %eax
	shrl $8, %eax
	andl $(TLB_MASK * TLBE_BYTES), %eax
	subq (24 + OFF_TLB + \i * (TLB_MASK + 1) * TLBE_BYTES)(%rsp,%rax), %r15
	cmpq %r10, %r15
	ja 1f
	movq (24 + OFF_TLB + \i * (TLB_MASK + 1) * TLBE_BYTES)(%rsp,%rax), %r10
	movq %r10, (24 + OFF_NEAR + \i * NEAR_BYTES)(%rsp,%rcx)
	movq (24 + OFF_TLB + \i * (TLB_MASK + 1) * TLBE_BYTES + 8)(%rsp,%rax), %r10
	movq %r10, (24 + OFF_NEAR + \i * NEAR_BYTES + 8)(%rsp,%rcx)
	addq %r10, %r15
	movb $1, (24 + OFF_NEAR_LIVE + \i)(%rsp)
	decl (24 + OFF_NEAR_BUDGET)(%rsp)
	jz near_often
	clc
	popq %rcx
	popq %rax
	ret
1:	addq (24 + OFF_TLB + \i * (TLB_MASK + 1) * TLBE_BYTES)(%rsp,%rax), %r15
	stc
	popq %rcx
	popq %rax
	ret
.endm

/* Tell who had the last of so many near misses. S2 may hold RAX (emit_flags_save). */
near_often:
	popq %rcx
	popq %rax
	SAVE 8
	leaq (8-OFF_RSP)(%rsp), %rdi
	movq (%rsp), %rsi
	pushq %r11
	subq $8, %rsp
	call xlate_near_often
	addq $8, %rsp
	popq %r11
	LOAD 8
	clc
	ret

	NEAR 0
	NEAR 1
	NEAR 2
	NEAR 3
	NEAR 4
	NEAR 5

/* S0 (R15) = what \function of C makes of S0 and the descriptor in S1 (R10). */
.macro ACCESS function
	SAVE 8
	movq (%rsp), %rax
	movq %rax, (8+OFF_HOST_PC)(%rsp)
	leaq (8-OFF_RSP)(%rsp), %rdi
	movq %r15, %rsi
	movl %r10d, %edx
	call \function
	movq %rax, %r15
	LOAD 8
	ret
.endm

/* TLB miss: from a linear address to a host address. */
	.globl xlate_thunk_slow
xlate_thunk_slow:
	ACCESS xlate_slow

/* A segment check failed inline: from an offset to a linear address. */
	.globl xlate_thunk_segment
xlate_thunk_segment:
	ACCESS xlate_segment

/* After a store that may have bounced: S1 (R10) = next RIP. */
	.globl xlate_thunk_commit
xlate_thunk_commit:
	movq %rcx, %r11
	movl (8+OFF_BOUNCE_LEN)(%rsp), %ecx
	jrcxz 1f
	jmp 3f
1:	movq %r11, %rcx
	ret
3:	movq %r11, %rcx
	SAVE 8
	leaq (8-OFF_RSP)(%rsp), %rdi
	movq %r10, %rsi
	call xlate_commit
	testl %eax, %eax
	jnz 2f
	LOAD 8
	ret
2:	addq $8, %rsp
	jmp xlate_leave

/* The same for the push of a CALL, which goes to its target whatever it has written over: leaving is all that it has
 * still to do. */
	.globl xlate_thunk_pushed
xlate_thunk_pushed:
	movq %rcx, %r11
	movl (8+OFF_BOUNCE_LEN)(%rsp), %ecx
	jrcxz 1f
	jmp 2f
1:	movq %r11, %rcx
	ret
2:	movq %r11, %rcx
	SAVE 8
	leaq (8-OFF_RSP)(%rsp), %rdi
	call xlate_pushed
	LOAD 8
	ret

/* So many near misses, the last of them by an instruction that met another slot (windowed.c). S0, S1 and S2 stay. */
	.globl xlate_thunk_slot_often
xlate_thunk_slot_often:
	SAVE 8
	leaq (8-OFF_RSP)(%rsp), %rdi
	movq (%rsp), %rsi
	pushq %r11
	pushq %r10
	call xlate_near_often
	popq %r10
	popq %r11
	LOAD 8
	ret

/* Segment register \n is loaded with selector S0 (R15) at CPL 0: is that the segment it was loaded with last (struct
 * cpu_kept)? S1 (R10) = offset in cpu->tlb of the table that reads of descriptors go by. ZF = 1: it is done, and no key
 * depends on it. Leaves S2 and RAX alone. */
.macro KEPT name, n
	.globl xlate_kept_\name
xlate_kept_\name:
	testw $0xfffc, %r15w
	jz 3f
	cmpw (8 + OFF_KEPT + \n * KEPT_BYTES + KEPT_SEL)(%rsp), %r15w
	jne 2f
	addl (8 + OFF_KEPT + \n * KEPT_BYTES + KEPT_SLOT)(%rsp), %r10d
	pushq %rcx
	movq (16 + OFF_GDT_BASE)(%rsp), %rcx
	cmpq (16 + OFF_KEPT + \n * KEPT_BYTES)(%rsp), %rcx
	jne 1f
	movl (16 + OFF_GDT_LIMIT)(%rsp), %ecx
	cmpl (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_LIMIT)(%rsp), %ecx
	jne 1f
	movq (16 + OFF_TLB)(%rsp,%r10), %rcx
	cmpq (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_PAGE)(%rsp), %rcx
	jne 1f
	movq (16 + OFF_TLB + 8)(%rsp,%r10), %rcx
	addq (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_OFF)(%rsp), %rcx
	movq (%rcx), %rcx
	cmpq (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_RAW)(%rsp), %rcx
	jne 1f
	movq (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_SEG)(%rsp), %rcx
	movq (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_SEG + 8)(%rsp), %r10
.if \n < 4 /* flat or not is part of the key */
	cmpq %rcx, (16 + OFF_SEG + \n * SEG_BYTES)(%rsp)
	jne 1f
	cmpq %r10, (16 + OFF_SEG + \n * SEG_BYTES + 8)(%rsp)
.else
	movq %rcx, (16 + OFF_SEG + \n * SEG_BYTES)(%rsp)
	movq %r10, (16 + OFF_SEG + \n * SEG_BYTES + 8)(%rsp)
	movq (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_RMAX)(%rsp), %rcx
	movq (16 + OFF_KEPT + \n * KEPT_BYTES + KEPT_WMAX)(%rsp), %r10
	movq %rcx, (16 + OFF_RMAX + \n * 8)(%rsp)
	movq %r10, (16 + OFF_WMAX + \n * 8)(%rsp)
.endif
1:	popq %rcx
2:	ret
3:
.if \n < 4
	orl $1, %r10d
.else /* null: SEGA_NULL */
	movq $0, (8 + OFF_SEG + \n * SEG_BYTES)(%rsp)
	movl $0, (8 + OFF_SEG + \n * SEG_BYTES + 8)(%rsp)
	movw %r15w, (8 + OFF_SEG + \n * SEG_BYTES + 12)(%rsp)
	movw $0x100, (8 + OFF_SEG + \n * SEG_BYTES + 14)(%rsp)
	movq $0, (8 + OFF_RMAX + \n * 8)(%rsp)
	movq $0, (8 + OFF_WMAX + \n * 8)(%rsp)
.endif
	ret
.endm

	KEPT es, 0
	KEPT ds, 3
	KEPT fs, 4
	KEPT gs, 5

	.globl xlate_gates_end
xlate_gates_end:

	.section .note.GNU-stack, "", @progbits
