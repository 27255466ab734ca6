; SPDX-License-Identifier: GPL-2.0-or-later
; what: triple-faults FAULTS times, counting in CMOS, which a reset leaves alone; then leaves by the debug port
%include "multiboot.inc"

%ifndef FAULTS
%define FAULTS 3
%endif
CMOS_COUNT equ 0x6e

start:
	mov esp, 0x200000
	mov al, CMOS_COUNT
	out 0x70, al
	in al, 0x71
	cmp al, FAULTS
	jae over
	inc al
	mov ah, al
	mov al, CMOS_COUNT
	out 0x70, al
	mov al, ah
	out 0x71, al
	mov esi, fault_text
	call say
	lidt [no_idt]		; no gate for #BP, none for #GP, none for #DF: shutdown (SDM vol 3 6.15)
	int3

over:
	mov esi, over_text
	call say
	mov dx, 0xf4
	mov al, 5
	out dx, al		; status (5 << 1) | 1
	hlt

no_idt:	dw 0
	dd 0
fault_text: db "ring3: faulting", 13, 10, 0
over_text: db "ring3: resets counted", 13, 10, 0
