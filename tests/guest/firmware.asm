; SPDX-License-Identifier: GPL-2.0-or-later
; what: a firmware image of SIZE bytes that looks where it was mapped, then leaves by the debug port
;
; Starts at the reset vector, goes on in the copy below 1 MiB, and looks for the words at the image's first byte (below
; 4 GiB, and 128 KiB before its end). Status: (0x10 << 1) | 1 if all was found, (1 << 1) | 1 and so on if not.
	bits 16
	org 0

%define LAST(label) (label - last)

%if SIZE > 0x20000
	dd 'ring'
	times SIZE-0x20000-($-$$) db 0x90
%endif
%if SIZE > 0x10000
%if SIZE >= 0x20000
	dd 'low!'
%else
	dd 'ring'
%endif
	times SIZE-0x10000-($-$$) db 0x90
%endif
last:
%if SIZE == 0x10000
	dd 'ring'
%endif

low:	mov bl, 1
	mov ax, cs
	cmp ax, 0xf000		; a far jump leaves the base of the reset vector
	jne leave
%if SIZE >= 0x20000
	mov bl, 2
	mov ax, 0xe000
	mov ds, ax
	cmp dword [0], 'low!'
	jne leave
%endif
	lgdt [cs:LAST(gdtr)]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	mov ax, 8
	mov ds, ax
	mov bl, 3
%if SIZE == 0x20000
	cmp dword [dword -SIZE], 'low!'
%else
	cmp dword [dword -SIZE], 'ring'
%endif
	jne leave
	mov bl, 4
	mov dword [dword -SIZE], 0	; ROM stays as it is
	cmp dword [dword -SIZE], 0
	je leave
	mov bl, 0x10
leave:	movzx ax, bl
	mov dx, 0xf4
	out dx, ax
	hlt

	align 8
gdt:	dq 0, 0x00cf93000000ffff
gdtr:	dw 15
	dd 0xf0000 + LAST(gdt)

	times 0xfff0-($-last) db 0x90
	jmp 0xf000:LAST(low)
	times 0x10000-($-last) db 0
