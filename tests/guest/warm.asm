; SPDX-License-Identifier: GPL-2.0-or-later
; what: resets the CPU in every way with a pointer at 40:67 to go on at, and looks that nothing else was reset
;
; A floppy's boot sector, or with -DMULTIBOOT an image for --kernel. Ends by the debug port with 10H, or with 20H and
; the number of the round that arrived and found something changed.
%ifdef MULTIBOOT
	org 0x7e00
	bits 32
header:
	dd 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
	dd header, header, 0, 0, entry
entry:	mov esp, 0x7c00		; to real mode (SDM vol 3 9.9.2)
	lgdt [gdtr]
	jmp 8:word .p16
	bits 16
.p16:	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
	jmp 0:start
gdt:	dq 0, 0x00009b000000ffff
gdtr:	dw 15
	dd gdt
%else
	org 0x7c00
	bits 16
	jmp 0:start
%endif

CMOS_ROUND equ 0x6e
MAGIC equ 0x600d
magic equ 0x7000		; words in memory that survive
round equ 0x7002

start:	cli
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7c00
	lidt [cs:bios_idt]
	mov al, CMOS_ROUND
	out 0x70, al
	in al, 0x71
	cmp al, 1
	je after_hard
	mov word [magic], MAGIC
	mov word [round], 0
	mov dx, 0x3fb		; the UART's line control register
	mov al, 0x1b
	out dx, al

next:	inc word [round]
	mov word [0x467], arrived
	mov word [0x469], 0
	mov al, 0x0f
	out 0x70, al
	mov al, 0x0a		; go on at 40:67
	cmp word [round], 5
	jne .code
	mov al, 0x05		; the same after an EOI
.code:	out 0x71, al
	mov bx, [round]
	dec bx
	shl bx, 1
	jmp [ways+bx]

ways:	dw by_keyboard, by_port92, by_shutdown, by_cf9, by_keyboard, hard

by_keyboard:
	in al, 0x64
	test al, 2
	jnz by_keyboard
	mov al, 0xfe
	out 0x64, al
	jmp $
by_port92:
	in al, 0x92
	and al, 0xfe
	out 0x92, al
	or al, 1
	out 0x92, al
	jmp $
by_shutdown:			; with A20 closed, by which the reset vector is elsewhere
	in al, 0x64
	test al, 2
	jnz by_shutdown
	mov al, 0xd1
	out 0x64, al
.wait:	in al, 0x64
	test al, 2
	jnz .wait
	mov al, 0xdd
	out 0x60, al
	in al, 0x92
	and al, 0xfc
	out 0x92, al
	lidt [no_idt]
	int3
	jmp $
by_cf9:	mov dx, 0xcf9
	xor al, al
	out dx, al
	mov al, 4		; RCR: reset the CPU alone (82371SB)
	out dx, al
	jmp $
hard:	mov al, 0x0f		; nothing to go on with: the BIOS starts anew
	out 0x70, al
	xor al, al
	out 0x71, al
	mov al, CMOS_ROUND
	out 0x70, al
	mov al, 1
	out 0x71, al
	jmp by_keyboard

arrived:
	cli
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7c00
	mov bx, [round]
	or bl, 0x20
	cmp word [magic], MAGIC
	jne leave
	mov dx, 0x3fb
	in al, dx
	cmp al, 0x1b
	jne leave
	mov al, 0x0f		; asked for once
	out 0x70, al
	in al, 0x71
	test al, al
	jnz leave
%ifndef MULTIBOOT
	mov eax, [0x46c]	; the timer's interrupt still comes
	sti
.tick:	cmp eax, [0x46c]
	je .tick
	cli
%endif
	jmp next

after_hard:
	mov bl, 0x27
	mov dx, 0x3fb
	in al, dx
	cmp al, 0x1b
	je leave
	mov bl, 0x10
leave:	mov al, bl
	mov dx, 0xf4
	out dx, al
	hlt

bios_idt: dw 0x3ff
	dd 0
no_idt:	dw 0
	dd 0
%ifndef MULTIBOOT
	times 510-($-$$) db 0
	dw 0xaa55
	times 1440*1024-($-$$) db 0
%endif
