; SPDX-License-Identifier: GPL-2.0-or-later
; what: long mode, ring 0: jumps to random places of its module for ever, and on every exception or interrupt again
;
; What the bytes do to the machine's registers and devices is up to them.  Code and tables are read-only (CR0.WP), and
; the handlers have a stack of their own, so that most accidents end in another jump and not in a triple fault.
%include "multiboot.inc"

GDT equ 0xc00000		; all tables lie in one large page
TSS equ 0xc01000
IDT equ 0xc02000
PML4 equ 0xc10000
STACK equ 0xa80000
MODULE equ 0xc30000	; its start and size
STATE equ 0xa00000	; of the random numbers

start:
	mov eax, [ebx + 24]		; the first module's start and end (Multiboot 0.6.96, 3.3)
	mov ecx, [eax]
	mov edx, [eax + 4]
	sub edx, ecx
	mov [MODULE], ecx
	mov dword [MODULE + 4], 0
	mov [MODULE + 8], edx
	mov dword [MODULE + 12], 0
	mov esp, STACK
	mov esi, text
	call say
	cld
	mov edi, GDT
	mov ecx, 0x20000 / 4
	xor eax, eax
	rep stosd
	mov edi, GDT
	mov esi, gdt
	mov ecx, gdt.end - gdt
	rep movsb
	mov dword [TSS + 36], STACK	; IST1
	mov edi, IDT
	mov ecx, 256
	mov eax, again
.gate:	mov [edi], ax
	mov word [edi + 2], 8		; CS
	mov dword [edi + 4], 0x00108e01	; IST1, interrupt gate; all handlers lie in the second MiB
	add edi, 16
	loop .gate
	mov dword [PML4], PML4 + 0x1007
	mov edi, PML4 + 0x1000
	mov eax, PML4 + 0x2007
	mov ecx, 4
.pdpt:	mov [edi], eax
	add eax, 0x1000
	add edi, 8
	loop .pdpt
	mov edi, PML4 + 0x2000
	mov eax, 0x87
	mov ecx, 2048
.pd:	mov [edi], eax
	add eax, 0x200000
	add edi, 8
	loop .pd
	mov byte [PML4 + 0x2000], 0x85	; read-only: this program, the tables
	mov byte [PML4 + 0x2030], 0x85
	mov eax, PML4
	mov cr3, eax
	mov eax, 0x620			; PAE, OSFXSR, OSXMMEXCPT
	mov cr4, eax
	mov ecx, 0xc0000080
	mov eax, 0x101			; LME, SCE
	xor edx, edx
	wrmsr
	lgdt [gdt_at]
	lidt [idt_at]
	mov eax, 0x80000033
	mov cr0, eax
	jmp 8:long_mode

	bits 64
long_mode:
	mov eax, 0x10
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov eax, 0x18
	ltr ax
	mov eax, 0x80010033
	mov cr0, rax
	mov eax, 0xfec00000		; IO-APIC input 2, the timer, is an NMI: it ends loops and HLT with IF clear as well
	mov dword [rax], 0x15
	mov dword [rax + 16], 0
	mov dword [rax], 0x14
	mov dword [rax + 16], 0x400

again:
	mov esp, STACK
	cld
	mov eax, 0x10
	mov ds, eax
	mov es, eax
	mov al, 0x34			; a tick every 10 ms gets it out of loops
	out 0x43, al
	mov al, 0x9c
	out 0x40, al
	mov al, 0x2e
	out 0x40, al
	rdtsc
	add [STATE], rax
	mov rax, [STATE]
	mov rcx, 6364136223846793005
	imul rax, rcx
	mov rcx, 1442695040888963407
	add rax, rcx
	mov [STATE], rax
	shr rax, 20
	xor edx, edx
	div qword [MODULE + 8]
	mov rbx, [MODULE]		; registers point into the module, or are small
	lea rax, [rbx + rdx]
	mov rsi, rax
	lea rdi, [rbx + rdx + 0x100]
	mov ebp, edx
	movzx ecx, dl
	lea r8, [rbx + 64]
	mov r9, rdx
	lea r10, [rax + 0x200]
	fninit
	push 0x10
	push r10
	push 0x202
	push 8
	push rax
	iretq				; which lets NMIs in again

	align 8
gdt:	dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
	dq 0x00008900 << 32 | (TSS & 0xffff) << 16 | 0x67 | ((TSS >> 16) & 0xff) << 32 | (TSS >> 24) << 56, 0
	dq 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff, 0x00cf9b000000ffff
.end:
gdt_at:	dw gdt.end - gdt - 1
	dq GDT
idt_at:	dw 0xfff
	dq IDT
text:	db "storm", 13, 10, 0
