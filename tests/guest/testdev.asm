; SPDX-License-Identifier: GPL-2.0-or-later
; what: asks the test device, the debug ports and fw_cfg what docs/test-devices.md promises; says the command
; line and modules
;
; The first check that fails gives its number as the status, (n << 1) | 1; (0x1234 << 1) | 1, modulo 256, is success.
%include "multiboot.inc"

%assign number 0
%macro must 1			; %1: condition code
	%assign number number + 1
	mov dword [check], number
	j%1 %%ok
	jmp failed
%%ok:
%endmacro

start:
	mov esp, 0x200000
	cld
	mov esi, [ebx + 16]
	call line
	mov ecx, [ebx + 20]
	mov edi, [ebx + 24]
.mod:	test ecx, ecx
	jz .latch
	mov esi, [edi + 8]
	call line
	mov esi, [edi]
	mov eax, [edi + 4]
	mov byte [eax - 1], 0	; the module's last byte, a newline
	call line
	add edi, 16
	dec ecx
	jmp .mod

.latch:	mov eax, 0x12345678	; 1: both places show the same latch
	out 0xe0, eax
	in eax, 0xe8
	cmp eax, 0x12345678
	must e
	mov al, 0x9a		; 2: its bytes are at the ports
	out 0xe9, al
	in ax, 0xe0
	cmp ax, 0x9a78
	must e
	mov esi, data		; 3: OUTS: the last item stays
	mov ecx, 2
	mov dx, 0xe0
	rep outsd
	in eax, 0xe0
	cmp eax, [data + 4]
	must e
	mov edi, buffer		; 4: INS at each width
	mov ecx, 3
	rep insw
	mov dx, 0xe3
	insb
	mov ax, [data + 4]
	cmp [buffer + 4], ax
	must e
	mov al, [data + 7]	; 5
	cmp [buffer + 6], al
	must e

	mov edi, 0xff000000	; 6: MMIO that reads as written, by string instructions too
	mov esi, start
	mov ecx, 0x1000
	rep movsb
	mov edi, 0xff000000
	mov esi, start
	mov ecx, 0x400
	repe cmpsd
	must e
	mov dword [0xff00fffc], 0x55aa1122	; 7
	lock xadd [0xff00fffc], eax
	cmp eax, 0x55aa1122
	must e

	mov eax, forgotten	; 8: code and data of a forgotten page go on as they are
	out 0xe4, eax
	call forgotten
	cmp eax, 0x77
	must e

	mov dx, 0x510		; 9: fw_cfg: RAM size is what the command line said, 64 MiB
	mov ax, 3
	out dx, ax
	inc dx
	mov edi, buffer
	mov ecx, 8
	rep insb
	cmp dword [buffer], 64 << 20
	must e
	dec dx			; 10: CPUs
	mov ax, 5
	out dx, ax
	inc dx
	in al, dx
	cmp al, 1
	must e
	dec dx			; 11: CPUs at most
	mov ax, 15
	out dx, ax
	inc dx
	in al, dx
	cmp al, 1
	must e

	mov dx, 0x4d0		; 12: line 5, by level, shows in the 8259's request register, and goes again
	mov al, 0x20
	out dx, al
	mov dx, 0x2005
	mov al, 1
	out dx, al
	mov al, 0x0a
	out 0x20, al
	in al, 0x20
	test al, 0x20
	must nz
	mov al, 0		; 13
	out dx, al
	in al, 0x20
	test al, 0x20
	must z
	mov edi, 0xfec00000
	mov dword [0xfee000f0], 0x1ff
%ifndef REFERENCE		; QEMU's device has 16 lines
	mov dx, 0x2014		; 14: line 20, of the IO-APIC alone, shows as the remote IRR of a level entry
	mov dword [edi], 0x10 + 2 * 20
	mov dword [edi + 16], 0x8040	; level, vector 0x40, to APIC 0
	mov al, 1
	out dx, al
	test dword [edi + 16], 1 << 14
	must nz
	mov al, 0
	out dx, al
%endif

	mov al, 0xff
	out 0x21, al
	out 0xa1, al
	mov eax, irq		; 15: an edge on line 14 is taken before the second instruction after it
	mov ebp, idt + 0x76 * 8
	call gate
	mov eax, line20
	mov ebp, idt + 0x40 * 8
	call gate
	lidt [idtr]
	mov dword [edi], 0x10 + 2 * 14
	mov dword [edi + 16], 0x76
	sti
	mov dx, 0x200e
	mov al, 1
	out dx, al
	nop
%ifdef REFERENCE		; QEMU looks between translated blocks only
	jmp $ + 2
%endif
	cli
	cmp byte [irqs], 1
	must e
	mov al, 0
	out dx, al

	mov dx, 0x1e9		; 16: the debug console is there, and takes bytes
	in al, dx
	cmp al, 0xe9
	must e
	mov esi, console
	mov ecx, console.end - console
	rep outsb

	mov ax, 0x1234
	mov dx, 0xf4
	out dx, ax
	hlt

failed:	mov eax, [check]
	mov dx, 0xf4
	out dx, eax
	hlt

line:	push esi
	mov esi, open
	call say
	pop esi
	call say
	mov esi, close
	jmp say

gate:	mov [ebp], ax
	mov [ebp + 2], cs
	mov word [ebp + 4], 0x8e00
	shr eax, 16
	mov [ebp + 6], ax
	ret

irq:	inc byte [irqs]
line20:	mov dword [0xfee000b0], 0
	iret

irqs:	db 0
idtr:	dw 0x77 * 8 - 1
	dd idt
idt equ 0x180000
check:	dd 0
data:	dd 0x01020304, 0xa1b2c3d4
buffer:	times 8 db 0
open:	db "[", 0
close:	db "]", 13, 10, 0
console: db "debug", 0, 255, 10
.end:
	times 0x2000-($-$$) db 0
forgotten:
	mov eax, 0x77
	ret
