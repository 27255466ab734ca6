; SPDX-License-Identifier: GPL-2.0-or-later
; what: says hello on COM1, echoes what it is sent there until 'q', then halts for good
%include "multiboot.inc"

start:
	mov esp, 0x200000
	mov esi, hello
	call say
.read:	mov dx, 0x3fd
	in al, dx
	test al, 1
	jz .read
	mov dx, 0x3f8
	in al, dx
	cmp al, 'q'
	je .halt
	mov [echo.char], al
	mov esi, echo
	call say
	jmp .read
.halt:	mov esi, bye
	call say
	cli
	hlt
	jmp .halt

hello: db "ring3: hello", 13, 10, 0
echo: db "<"
.char: db "?>", 0
bye: db "ring3: halted", 13, 10, 0
