; SPDX-License-Identifier: GPL-2.0-or-later
; what: firmware that counts what happens to it, checks that nothing is lost or happens twice, and shows a test card
;
; For tests/api: a pause must not be seen from within. In memory, from 600H: turns, PIT ticks, #DE, INT 60H, the last
; TSC, NMIs; at 700H how many bytes the keyboard sent, and from 701H which. F1 opens the tray of the CD-ROM drive, F2
; locks it. Ends by the debug port with the number of the check that failed: 2 the TSC went back, 3 an exception or
; interrupt was lost or came twice, 4 a register changed.
	bits 16
	org 0

WIDTH equ 64
HEIGHT equ 48

start:	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x6000
	cld
	mov di, 0x600
	mov cx, 0x100
	rep stosw
	mov word [0 * 4], divided
	mov [0 * 4 + 2], cs
	mov word [2 * 4], nmi
	mov [2 * 4 + 2], cs
	mov word [8 * 4], tick
	mov [8 * 4 + 2], cs
	mov word [0x60 * 4], asked
	mov [0x60 * 4 + 2], cs
	; flat FS; the local APIC on, its LINT0 for the 8259 (SDM vol 3 11.4.7.1, 11.5.1)
	lgdt [cs:gdtr]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	mov ax, 8
	mov fs, ax
	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
	mov dword [fs:dword 0xfee000f0], 0x1ff
	mov dword [fs:dword 0xfee00350], 0x700
	mov si, words
.next:	cs lodsw
	mov dx, ax
	test dx, dx
	jz .card
	cs lodsb
	out dx, al
	jmp .next
	; Bochs dispi: index at 1CEH, data at 1CFH
.card:	mov si, dispi
	mov dx, 0x1ce
.mode:	cs lodsw
	cmp ax, -1
	je .paint
	out dx, ax
	inc dx
	cs lodsw
	out dx, ax
	dec dx
	jmp .mode
.paint:	mov ax, 0xa000
	mov es, ax
	xor di, di
	mov ecx, WIDTH * HEIGHT
	xor eax, eax
.dot:	stosd
	add eax, 0x010305
	and eax, 0xffffff
	dec ecx
	jnz .dot
	xor ebp, ebp
	sti

turn:	rdtsc
	mov bl, 2
	cmp edx, [0x614]
	jb leave
	ja .later
	cmp eax, [0x610]
	jb leave
.later:	mov [0x610], eax
	mov [0x614], edx
	mov esi, 0x12345678
	mov edi, 0x9abcdef0
	inc dword [0x600]
	xor cl, cl
	mov ax, 1
	div cl			; two bytes
	int 0x60
	mov eax, [0x600]
	mov bl, 3
	cmp eax, [0x608]
	jne leave
	cmp eax, [0x60c]
	jne leave
	mov bl, 4
	cmp esi, 0x12345678
	jne leave
	cmp edi, 0x9abcdef0
	jne leave
	in al, 0x64
	test al, 1
	jz .rest
	in al, 0x60
	movzx di, byte [0x700]
	mov [di + 0x701], al
	inc byte [0x700]
	and byte [0x700], 0x7f
	mov si, opening
	cmp al, 0x3b		; F1
	je .drive
	mov si, locking
	cmp al, 0x3c		; F2
	jne .rest
	; ATAPI packet at CS:SI to the secondary master: SFF-8020i 5.8
.drive:	mov dx, 0x176
	mov al, 0xa0
	out dx, al
	mov dx, 0x175
	mov al, 8
	out dx, al
	mov dx, 0x177
	mov al, 0xa0
	out dx, al
.drq:	in al, dx
	test al, 8
	jz .drq
	mov dx, 0x170
	mov cx, 6
	cs rep outsw
.rest:	test byte [0x600], 0xff
	jnz turn
	hlt
	jmp turn

leave:	movzx ax, bl
	mov dx, 0xf4
	out dx, ax
	hlt

divided:
	inc dword [0x608]
	push bp
	mov bp, sp
	add word [bp + 2], 2
	pop bp
	iret

asked:	inc dword [0x60c]
	iret

nmi:	inc dword [0x618]
	iret

tick:	push ax
	inc dword [0x604]
	mov al, 0x20
	out 0x20, al
	pop ax
	iret

	; 8259A ICW1-4, all but line 0 masked; 8254 counter 0, mode 2, 1 kHz; 8042: translation, no interrupts
words:	dw 0x20
	db 0x11
	dw 0x21
	db 0x08
	dw 0x21
	db 0x04
	dw 0x21
	db 0x01
	dw 0x21
	db 0xfe
	dw 0x43
	db 0x34
	dw 0x40
	db 1193 & 0xff
	dw 0x40
	db 1193 >> 8
	dw 0x64
	db 0x60
	dw 0x60
	db 0x40
	dw 0

	; START STOP UNIT: open; PREVENT MEDIUM REMOVAL
opening:
	db 0x1b, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0
locking:
	db 0x1e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0

	; enable off, size, depth, enable
dispi:	dw 4, 0, 1, WIDTH, 2, HEIGHT, 3, 32, 4, 1, -1

	align 8
gdt:	dq 0, 0x00cf93000000ffff
gdtr:	dw 15
	dd 0xf0000 + gdt

	times 0xfff0-($-$$) db 0x90
	jmp 0xf000:start
	times 0x10000-($-$$) db 0
