/* SPDX-License-Identifier: GPL-2.0-or-later */
/* what: entry by multiboot, vector stubs, and go(): the switch into the state under test and back */
#define FLAGS 0x10000
	.section .header, "ax"
	.code32
header:
	.long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS), header, image, data_end, bss_end, start
	.globl start
start:
	cli
	mov $boot_top, %esp
#ifdef __x86_64__
	/* identity map of 4 GiB with 2 MiB pages: PML4 and PDPT here, the four directories filled below */
	mov $boot_pd, %edi
	mov $0x87, %eax
1:	mov %eax, (%edi)
	movl $0, 4(%edi)
	add $8, %edi
	add $0x200000, %eax
	cmp $boot_pd + 4 * 4096, %edi
	jb 1b
	movl $boot_pdpt + 7, boot_pml4
	movl $boot_pd + 7, boot_pdpt
	movl $boot_pd + 0x1007, boot_pdpt + 8
	movl $boot_pd + 0x2007, boot_pdpt + 16
	movl $boot_pd + 0x3007, boot_pdpt + 24
	mov %cr4, %eax
	or $0x620, %eax
	mov %eax, %cr4
	mov $boot_pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x101, %eax
	wrmsr
	mov $0x80000033, %eax
	mov %eax, %cr0
	lgdt boot_gdtr
	ljmp $8, $1f
	.code64
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %eax, %ss
	mov $boot_top, %esp
#else
	lgdt boot_gdtr
	ljmp $8, $1f
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %eax, %ss
	mov %cr4, %eax
	or $0x600, %eax
	mov %eax, %cr4
	mov $0x33, %eax
	mov %eax, %cr0
#endif
	fninit
	call init_machine
	call guest_main
	call finish

	.balign 8
boot_gdt:
	.quad 0
#ifdef __x86_64__
	.quad 0x00af9a000000ffff
#else
	.quad 0x00cf9a000000ffff
#endif
	.quad 0x00cf92000000ffff
boot_gdtr:
	.word 23
	.long boot_gdt
	.long 0

	.text
	.globl stubs, bare_iret
	.balign 16
stubs:
	.set v, 0
	.rept 256
	.balign 16
#ifdef __x86_64__
	pushq $v
#else
	pushl $v
#endif
	jmp common
	.set v, v + 1
	.endr

#ifdef __x86_64__
/* Offsets in struct regs: 8 bytes each in the order of the header. */
#define R(n) in + 8 * n
#define T(n) t + 16 + 8 * n
bare_iret:
	iretq
common:
	mov %rax, T(0)
	mov %rcx, T(1)
	mov %rdx, T(2)
	mov %rbx, T(3)
	mov %rbp, T(5)
	mov %rsi, T(6)
	mov %rdi, T(7)
	mov %r8, T(16)
	mov %r9, T(17)
	mov %r10, T(18)
	mov %r11, T(19)
	mov %ds, %eax
	mov %rax, T(12)
	mov %es, %eax
	mov %rax, T(13)
	mov %fs, %eax
	mov %rax, T(14)
	mov %gs, %eax
	mov %rax, T(15)
	pushfq
	pop entry_flags
	cld
	pop %rax
	mov %rax, t
	mov %rsp, t + 8
	mov %ss, %eax
	mov %rax, entry_ss
	mov %cs, %eax
	mov %rax, entry_cs
	mov %rsp, %rsi
	mov $raw, %edi
	mov $16, %ecx
	rep movsq
	mov t, %rax
	mov hook(, %rax, 8), %rbx
	test %rbx, %rbx
	jz 1f
	mov %rsp, %rbp
	and $-16, %rsp
	call *%rbx
	mov %rbp, %rsp
	mov T(0), %rax
	mov T(1), %rcx
	mov T(2), %rdx
	mov T(3), %rbx
	mov T(5), %rbp
	mov T(6), %rsi
	mov T(7), %rdi
	mov T(16), %r8
	mov T(17), %r9
	mov T(18), %r10
	mov T(19), %r11
	cmpb $0, pop_err
	je 2f
	add $8, %rsp
2:	iretq
1:	mov saved_sp, %rsp
	mov $0x10, %eax
	mov %eax, %ss
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	popfq
	cld
	ret

	.globl go_asm
go_asm:
	pushfq
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, saved_sp
	push R(11)
	push R(4)
	push R(10)
	push R(9)
	push R(8)
	mov R(12), %eax
	mov %eax, %ds
	mov R(13), %eax
	mov %eax, %es
	mov R(14), %eax
	mov %eax, %fs
	mov R(15), %eax
	mov %eax, %gs
	mov R(0), %rax
	mov R(1), %rcx
	mov R(2), %rdx
	mov R(3), %rbx
	mov R(5), %rbp
	mov R(6), %rsi
	mov R(7), %rdi
	mov R(16), %r8
	mov R(17), %r9
	mov R(18), %r10
	mov R(19), %r11
	iretq
#else
#define R(n) in + 4 * n
#define T(n) t + 8 + 4 * n
bare_iret:
	iretl
/* The interrupted code's data segments may be anything: stores go through a selector of ours, kept on the stack. */
common:
	push %ds
	push %eax
	mov $0x10, %eax
	mov %eax, %ds
	popl T(0)
	popl %eax
	movzwl %ax, %eax
	mov %eax, T(12)
	mov %ecx, T(1)
	mov %edx, T(2)
	mov %ebx, T(3)
	mov %ebp, T(5)
	mov %esi, T(6)
	mov %edi, T(7)
	mov %es, %eax
	movzwl %ax, %eax
	mov %eax, T(13)
	mov %fs, %eax
	movzwl %ax, %eax
	mov %eax, T(14)
	mov %gs, %eax
	movzwl %ax, %eax
	mov %eax, T(15)
	pushfl
	popl entry_flags
	cld
	popl t
	mov %cs, %eax
	mov %eax, entry_cs
	mov %ss, %eax
	mov %eax, entry_ss
	mov %esp, %esi
	lar %ax, %ecx
	bt $22, %ecx
	jc 1f
	movzwl %si, %esi
1:	mov %esi, t + 4
	mov $0x10, %eax
	mov %eax, %es
	mov $raw, %edi
	mov $16, %ecx
2:	lsl entry_ss, %eax
	sub %esi, %eax
	cmp $3, %eax
	jb 3f
	mov %ss:(%esi), %eax
	mov %eax, (%edi)
	add $4, %esi
	add $4, %edi
	loop 2b
3:	mov t, %eax
	mov hook(, %eax, 4), %ebx
	test %ebx, %ebx
	jz 1f
	call *%ebx
	mov T(1), %ecx
	mov T(2), %edx
	mov T(3), %ebx
	mov T(5), %ebp
	mov T(6), %esi
	mov T(7), %edi
	mov T(13), %eax
	mov %eax, %es
	cmpb $0, pop_err
	je 2f
	add $4, %esp
2:	pushl T(12)
	mov T(0), %eax
	pop %ds
	iretl
1:	ljmp $8, $1f
1:	mov $0x10, %eax
	mov %eax, %ss
	mov saved_sp, %esp
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	popfl
	cld
	ret

	.globl go_asm
go_asm:
	pushfl
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov %esp, saved_sp
	testl $0x20000, R(10)
	jnz vm86
	testl $3, R(9)
	jnz user
	/* same privilege: IRET pops no stack, so the frame goes on the new one */
	mov R(11), %eax
	mov %eax, %ss
	mov R(4), %esp
	jmp 1f
vm86:	pushl R(15)
	pushl R(14)
	pushl R(12)
	pushl R(13)
user:	pushl R(11)
	pushl R(4)
1:	pushl R(10)
	pushl R(9)
	pushl R(8)
	mov R(1), %ecx
	mov R(2), %edx
	mov R(3), %ebx
	mov R(5), %ebp
	mov R(6), %esi
	mov R(7), %edi
	testl $0x20000, R(10)
	jnz 2f
	mov R(13), %eax
	mov %eax, %es
	mov R(14), %eax
	mov %eax, %fs
	mov R(15), %eax
	mov %eax, %gs
	pushl R(12)
	mov R(0), %eax
	pop %ds
	iretl
2:	mov R(0), %eax
	iretl
#endif

	.section .note.GNU-stack, "", @progbits
	.bss
	.balign 4096
#ifdef __x86_64__
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
	.globl boot_pd, boot_pml4, boot_pdpt
boot_pd: .skip 4 * 4096
#endif
	.skip 32768
boot_top:
	.globl kstack_top, ustack_top, stack0_top, ist_top
	.skip 8192
kstack_top:
	.skip 8192
ustack_top:
	.skip 8192
stack0_top:
	.skip 8192
ist_top:
	.skip 256
	.globl saved_sp, raw, entry_cs, entry_ss, entry_flags, pop_err
saved_sp: .skip 8
raw: .skip 128
entry_cs: .skip 8
entry_ss: .skip 8
entry_flags: .skip 8
pop_err: .skip 8
