; SPDX-License-Identifier: GPL-2.0-or-later
; what: firmware for a CPU without APIC: counts PIT ticks through the 8259's vector 8, looks whether an APIC is there
;
; Ends by the debug port with 10H, or with the number of the check that failed. A CPU whose APIC nobody set up gets
; no interrupt: LINT0 is masked at reset (SDM vol 3 11.4.7.1).
	bits 16
	org 0

TICKS equ 20

start:	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7000
	mov word [8 * 4], tick
	mov [8 * 4 + 2], cs
	mov word [6 * 4], invalid
	mov [6 * 4 + 2], cs
	mov eax, 1
	cpuid
	mov bl, 1
	test dh, 2		; CPUID.1:EDX.APIC
	jnz leave
	xor bp, bp
	mov ecx, 0x1b		; IA32_APIC_BASE
	mov bl, 2
	rdmsr
	jmp leave

	; #UD: a 486 has no RDMSR
invalid:
	lgdt [cs:gdtr]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	mov ax, 8
	mov fs, ax
	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
	mov bl, 3
	cmp dword [fs:dword 0xfee00030], -1	; nothing answers where the APIC would
	jne leave
	mov si, words
.next:	cs lodsb
	movzx dx, al
	test dx, dx
	jz .tick
	cs lodsb
	out dx, al
	jmp .next
.tick:	mov bl, 4		; (what --timeout leaves nobody to say)
	sti
.halt:	hlt
	cmp bp, TICKS
	jb .halt
	cli
	mov bl, 0x10
leave:	movzx ax, bl
	mov dx, 0xf4
	out dx, ax
	hlt

tick:	inc bp
	mov al, 0x20
	out 0x20, al
	iret

	; 8259A ICW1-4, all but line 0 masked; 8254 counter 0, mode 2, 1 kHz
words:	db 0x20, 0x11, 0x21, 0x08, 0x21, 0x04, 0x21, 0x01, 0x21, 0xfe
	db 0x43, 0x34, 0x40, 1193 & 0xff, 0x40, 1193 >> 8, 0

	align 8
gdt:	dq 0, 0x00cf93000000ffff
gdtr:	dw 15
	dd 0xf0000 + gdt

	times 0xfff0-($-$$) db 0x90
	jmp 0xf000:start
	times 0x10000-($-$$) db 0
