; SPDX-License-Identifier: GPL-2.0-or-later
; what: a boot sector that tells on COM1 what BIOS and CMOS know of the floppy drives, and what drive B has to say
	org 0x7c00
	bits 16

start:	jmp 0:.here
.here:	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x7c00
	sti
	mov si, equipment
	int 0x11
	call number
	mov si, cmos
	mov al, 0x10
	call .cmos
	mov si, and
	mov al, 0x14
	call .cmos
	mov ah, 8		; drive parameters: DL is how many drives there are
	xor dx, dx
	int 0x13
	mov al, dl
	mov si, drives
	call number
	xor bx, bx
	mov es, bx
	mov bx, 0x8000
	mov byte [bx], 0
	mov ax, 0x0201
	mov cx, 2
	mov dx, 1
	int 0x13
	mov al, ah
	mov si, read
	call number
	mov si, 0x8000
	call say
	mov si, bye
	call say
	mov dx, 0xf4
	xor al, al
	out dx, al
.halt:	hlt
	jmp .halt
.cmos:	out 0x70, al
	in al, 0x71
	jmp number

; Text at SI, then AL in hexadecimal.
number:	push ax
	call say
	pop ax
	aam 16
	xchg al, ah
	push ax
	call .digit
	pop ax
	mov al, ah
.digit:	cmp al, 10
	sbb al, 0x69
	das
	jmp put

say:	lodsb
	test al, al
	jz put.done
	call put
	jmp say

put:	push ax
	mov dx, 0x3fd
.wait:	in al, dx
	test al, 0x20
	jz .wait
	pop ax
	mov dx, 0x3f8
	out dx, al
.done:	ret

equipment: db "equipment ", 0
cmos: db " CMOS ", 0
and: db ", ", 0
drives: db " drives ", 0
read: db " B ends with ", 0
bye: db 13, 10, 0

	times 510 - ($ - $$) db 0
	dw 0xaa55
