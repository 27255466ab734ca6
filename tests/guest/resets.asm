; SPDX-License-Identifier: GPL-2.0-or-later
; what: a firmware image that resets the machine three times by port 92h, counting in CMOS, then leaves by the
; debug port
	bits 16
	org 0

CMOS_COUNT equ 0x6e

low:	mov al, CMOS_COUNT
	out 0x70, al
	in al, 0x71
	cmp al, 3
	jae over
	inc al
	mov ah, al
	mov al, CMOS_COUNT
	out 0x70, al
	mov al, ah
	out 0x71, al
	mov al, 1		; INIT now: bit 0 of port 92h
	out 0x92, al
	hlt
over:	mov al, 5
	mov dx, 0xf4
	out dx, al		; status (5 << 1) | 1
	hlt

	times 0xfff0-($-$$) db 0x90
	jmp 0xf000:low
	times 0x10000-($-$$) db 0
