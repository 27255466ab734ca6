; SPDX-License-Identifier: GPL-2.0-or-later
; what: looks for the MP table where kernels older than ACPI look (MP 1.4, 4.1), without firmware
;
; Ends by the debug port with 10H + the number of processors, or with 10H if there is no table.
%include "multiboot.inc"

start:
	mov esp, 0x200000
	xor ebx, ebx
	mov esi, 0xf0000
.look:	cmp dword [esi], '_MP_'
	je .found
	add esi, 16
	cmp esi, 0x100000
	jb .look
	jmp leave

.found:	mov ebx, 1 - 0x10	; (what a broken table ends with)
	mov ecx, 16
	call sum
	jnz leave
	mov esi, [esi+4]
	cmp dword [esi], 'PCMP'
	jne leave
	movzx ecx, word [esi+4]
	call sum
	jnz leave
	xor ebx, ebx
	movzx ecx, word [esi+34]
	lea esi, [esi+44]
.entry:	cmp byte [esi], 0
	jne .other
	inc ebx
	add esi, 12
.other:	add esi, 8
	loop .entry
leave:	lea eax, [ebx+0x10]
	mov dx, 0xf4
	out dx, eax
	hlt

; sets ZF if ecx bytes at esi add up to 0
sum:	xor eax, eax
.byte:	add al, [esi+ecx-1]
	loop .byte
	test al, al
	ret
