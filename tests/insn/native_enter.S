// SPDX-License-Identifier: GPL-2.0-or-later
/* what: into the case under test with all its registers, by IRETQ, and back from the signal handler
 *
 * struct native_entry, native_int.h: gpr[16], then the IRETQ frame, selectors, bases, XSAVE area.
 */
#include <asm/prctl.h>
#include <sys/syscall.h>

#include "native_int.h"

	.text

/* void native_enter(const struct native_entry *e) */
	.globl native_enter
	.type native_enter, @function
native_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, native_host_rsp(%rip)
	movq NE_XMASK(%rdi), %rax
	movq %rax, %rdx
	shrq $32, %rdx
	movq NE_X(%rdi), %rcx
	xrstor64 (%rcx)
	movw NE_SEL+0(%rdi), %es
	movw NE_SEL+6(%rdi), %ds
	cmpl $0, NE_BASES(%rdi)
	jne 1f
	movw NE_SEL+8(%rdi), %fs
	movw NE_SEL+10(%rdi), %gs
	jmp 2f
1:	movq %rdi, %rbx
	movl $ARCH_SET_FS, %edi
	movq NE_FS(%rbx), %rsi
	movl $SYS_arch_prctl, %eax
	syscall
	movl $ARCH_SET_GS, %edi
	movq NE_GS(%rbx), %rsi
	movl $SYS_arch_prctl, %eax
	syscall
	movq %rbx, %rdi
2:	movq NE_FRAME(%rdi), %rax
	testq %rax, %rax
	cmovnzq %rax, %rsp
	pushq NE_SS(%rdi)
	pushq NE_RSP(%rdi)
	pushq NE_FLAGS(%rdi)
	pushq NE_CS(%rdi)
	pushq NE_RIP(%rdi)
	movq 0(%rdi), %rax
	movq 8(%rdi), %rcx
	movq 16(%rdi), %rdx
	movq 24(%rdi), %rbx
	movq 40(%rdi), %rbp
	movq 48(%rdi), %rsi
	movq 64(%rdi), %r8
	movq 72(%rdi), %r9
	movq 80(%rdi), %r10
	movq 88(%rdi), %r11
	movq 96(%rdi), %r12
	movq 104(%rdi), %r13
	movq 112(%rdi), %r14
	movq 120(%rdi), %r15
	movq 56(%rdi), %rdi
	iretq

/* void native_leave(void): called by the signal handler; returns from native_enter. */
	.globl native_leave
	.type native_leave, @function
native_leave:
	movq native_host_rsp(%rip), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.bss
	.balign 8
native_host_rsp:
	.quad 0

	.section .note.GNU-stack, "", @progbits
