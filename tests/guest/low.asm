; SPDX-License-Identifier: GPL-2.0-or-later
; what: a multiboot image that fills BASE to END below 1 MiB and looks that its start information is nowhere in it
;
; Ends by the debug port with 10H, or with the number of the check that failed.
	bits 32
	org BASE

header:
	dd 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
	dd header, header, filled, END, start

; Leaves with dl unless ecx bytes at esi lie outside of the image, the BIOS data area, and 9FC00H to FFFFFH.
outside:
	lea edi, [esi+ecx]
	cmp esi, 0x500
	jb leave
	cmp edi, BASE
	jbe .low
	cmp esi, END
	jb leave
.low:	cmp edi, 0x9fc00
	jbe .done
	cmp esi, 0x100000
	jb leave
.done:	ret

start:	mov dl, 1
	cmp eax, 0x2badb002
	jne leave
	mov ebp, ebx
	inc edx
	lea esi, [esp-16]	; what is pushed before there is a stack of its own
	mov ecx, 16
	mov esp, stack
	call outside
	inc edx
	mov esi, ebp
	mov ecx, 120
	call outside
	inc edx
	mov eax, [ebp]
	and eax, 0x4d
	cmp eax, 0x4d		; memory, command line, modules, map (Multiboot 0.6.96, 3.3)
	jne leave
	inc edx
	mov esi, [ebp+16]
	mov ecx, 64
	call outside
	cmp byte [esi], '/'
	jne leave
	inc edx
	mov esi, [ebp+24]
	mov ecx, 16
	call outside
	inc edx
	mov esi, [esi]
	mov ecx, 8
	call outside
	cmp dword [esi], 'modu'
	jne leave
	inc edx
	mov esi, [ebp+48]
	mov ecx, [ebp+44]
	call outside
	cmp dword [esi+4], 0	; RAM from 0 on
	jne leave
	inc edx
	sgdt [gdtr]
	mov esi, [gdtr+2]
	mov ecx, 32
	call outside
	inc edx
	cmp word [0x413], 639	; BIOS data area: KiB of conventional memory
	jne leave
	inc edx
	mov esi, pattern
	mov ecx, (filled - pattern) / 4
	mov eax, 0x12345678
.word:	cmp [esi], eax
	jne leave
	add esi, 4
	loop .word
	inc edx
	mov edi, filled		; zeros up to END
	mov ecx, END
	sub ecx, edi
	shr ecx, 2
	xor eax, eax
	repe scasd
	jne leave
	mov dl, 0x10
leave:	movzx eax, dl
	mov dx, 0xf4
	out dx, eax
	hlt

	align 4
gdtr:	times 8 db 0
	times 64 dd 0
stack:
pattern:
	times 1024 dd 0x12345678
filled:
