// SPDX-License-Identifier: GPL-2.0-or-later
/* what: virtual-8086 mode (32-bit guest): frames, IOPL, limits, instructions that fault, the I/O map, VME; flags at
 * every IOPL and CPL */
#include "guest.h"

#define CODE 0x8000u
#define STACK 0x9000u
SNIPPET_BITS(v_nop, "16", "nop");
SNIPPET_BITS(v_ud, "16", "ud2");
SNIPPET_BITS(v_div, "16", "xor %cx, %cx\n div %cx");
SNIPPET_BITS(v_int3, "16", "int3");
SNIPPET_BITS(v_into, "16", "mov $0x7f, %al\n inc %al\n into");
SNIPPET_BITS(v_cli, "16", "cli");
SNIPPET_BITS(v_sti, "16", "sti");
SNIPPET_BITS(v_pushf, "16", "pushf");
SNIPPET_BITS(v_pushfl, "16", "pushfl");
SNIPPET_BITS(v_popf, "16", "popf");
SNIPPET_BITS(v_popfl, "16", "popfl");
SNIPPET_BITS(v_int, "16", "int $0x41");
SNIPPET_BITS(v_iret, "16", "iret");
SNIPPET_BITS(v_hlt, "16", "hlt");
SNIPPET_BITS(v_in, "16", "in %dx, %al");
SNIPPET_BITS(v_inw, "16", "in %dx, %ax");
SNIPPET_BITS(v_outsb, "16", "outsb");
SNIPPET_BITS(v_cr, "16", "mov %cr0, %eax");
SNIPPET_BITS(v_smsw, "16", "smsw %ax");
SNIPPET_BITS(v_lar, "16", "lar %ax, %bx");
SNIPPET_BITS(v_sldt, "16", "sldt %ax");
SNIPPET_BITS(v_arpl, "16", "arpl %ax, %bx");
SNIPPET_BITS(v_lgdt, "16", "lgdt (%bx)");
SNIPPET_BITS(v_word, "16", "mov (%bx), %ax");
SNIPPET_BITS(v_ssword, "16", "mov %ss:(%bx), %ax");
SNIPPET_BITS(v_wword, "16", "mov %ax, (%bx)");
SNIPPET_BITS(v_a32, "16", "addr32 movb (%ebx), %al");
SNIPPET_BITS(v_wrapea, "16", "movb 1(%bx), %al");
SNIPPET_BITS(v_seg, "16", "mov %ax, %ds\n mov %ds, %cx");
SNIPPET_BITS(v_far, "16", "ljmp *(%bx)");
SNIPPET_BITS(v_push, "16", "push %ax");
SNIPPET_BITS(v_sysenter, "16", "sysenter");
SNIPPET_BITS(v_vex2, "16", ".byte 0xc5, 0xf4, 0x58, 0xd0");
SNIPPET_BITS(v_vex3, "16", ".byte 0xc4, 0xe2, 0x70, 0xf2, 0xd0");
SNIPPET_BITS(v_evex, "16", ".byte 0x62, 0xf1, 0x74, 0x48, 0x58, 0xd0");
SNIPPET(f_popf, "popf");
SNIPPET(f_pushf, "pushf\n pop %eax");
SNIPPET(f_cli, "cli");
SNIPPET(f_sti, "sti");

static u8 *low(u32 at)
{
	asm("" : "+r"(at));
	return (u8 *)at;
}

static void v_prepare(const void *code, unsigned iopl)
{
	copy(low(CODE), code, 64);
	prepare(0, 3);
	in.ip = 0;
	in.cs = CODE >> 4;
	in.ss = STACK >> 4;
	in.sp = 0x800;
	in.ds = 0x1234, in.es = 0x2345, in.fs = 0x3456, in.gs = 0x4567;
	in.flags = 2 | VM | iopl << 12;
}

static void v_run(const void *code, unsigned iopl)
{
	v_prepare(code, iopl);
	go();
}

static void frame(int err)
{
	CHECK("vol 3 figure 20-2 frame on the inner stack", t.entry_sp + 36 + 4 * err == (ul)stack0_top);
	CHECK("vol 3 20.3.1 segments pushed", t.r.es == 0x2345 && t.r.ds == 0x1234 && t.r.fs == 0x3456 &&
		t.r.gs == 0x4567 && t.r.ss == STACK >> 4 && t.r.cs == CODE >> 4);
	CHECK("vol 3 20.3.1 VM in the image, cleared in the handler", t.r.flags & VM && !(t.entry_flags & VM));
}

#define GP_AT(ip_) (t.vec == GP && t.err == 0 && t.r.ip == (ip_))

static void modes(unsigned iopl)
{
	stage = iopl;
	v_run(v_nop, iopl);
	CHECK("vol 3 20.3", iopl < 3 ? GP_AT(1) : t.vec == END && t.r.ip == 3);
	v_run(v_ud, iopl);
	CHECK("vol 3 20.3.1 #UD", t.vec == UD && t.r.ip == 0);
	frame(0);
	v_run(v_div, iopl);
	CHECK("vol 3 20.3.1 #DE", t.vec == DE && t.r.ip == 2);
	v_run(v_hlt, iopl);
	CHECK("vol 3 20.2.8 HLT", GP_AT(0));
	frame(1);
	v_run(v_int3, iopl);
	CHECK("vol 3 20.3.3 INT3 is not IOPL sensitive", t.vec == BP && t.r.ip == 1);
	v_run(v_into, iopl);
	CHECK("vol 3 20.3.3 INTO too", t.vec == OF && t.r.ip == 5);
	v_run(v_cli, iopl);
	CHECK("vol 3 20.2.7 CLI", iopl < 3 ? GP_AT(0) : t.vec == END);
	v_run(v_sti, iopl);
	CHECK("vol 3 20.2.7 STI", iopl < 3 ? GP_AT(0) : t.vec == END && t.r.flags & IF);
	v_run(v_int, iopl);
	CHECK("vol 3 20.2.7 INT n", iopl < 3 ? GP_AT(0) : t.vec == 0x41 && t.r.ip == 2);
	v_run(v_pushf, iopl);
	CHECK("vol 3 20.2.7 PUSHF", iopl < 3 ? GP_AT(0) : t.vec == END && *(u16 *)low(STACK + 0x7fe) == (2 | 0x3000));
	v_run(v_pushfl, iopl);
	CHECK("vol 2 PUSHFD: VM and RF read 0", iopl < 3 ? GP_AT(0) : t.vec == END &&
		*(u32 *)low(STACK + 0x7fc) == (2 | 0x3000));
	*(u32 *)low(STACK + 0x800) = 0x247fd7 & ~TF;
	v_run(v_popf, iopl);
	CHECK("vol 3 20.2.7 POPF keeps IOPL", iopl < 3 ? GP_AT(0) : t.vec == END && t.r.flags == (VM | ((0x7fd7 & ~TF))));
	*(u32 *)low(STACK + 0x800) = 0x240fd7 & ~TF;
	v_run(v_popfl, iopl);
	CHECK("vol 2 POPFD in VM86: VM, IOPL kept, AC and ID set", iopl < 3 ? GP_AT(0) : t.vec == END &&
		t.r.flags == (VM | 0x3000 | (0x240fd7 & ~TF)));
	*(u16 *)low(STACK + 0x800) = 0, *(u16 *)low(STACK + 0x802) = 0xa00, *(u16 *)low(STACK + 0x804) = 0x0dd7 & ~TF;
	copy(low(0xa000), v_nop, 16);
	v_run(v_iret, iopl);
	CHECK("vol 3 20.2.7 IRET", iopl < 3 ? GP_AT(0) : t.vec == END && t.r.cs == 0xa00 && t.r.ip == 3 &&
		t.r.sp == 0x806 && t.r.flags == (VM | 0x3000 | (0x0dd7 & ~TF)));
}

static void privileged(void)
{
	v_run(v_cr, 3);
	CHECK("vol 3 20.2.8 MOV CR", GP_AT(0));
	v_run(v_lgdt, 3);
	CHECK("vol 3 20.2.8 LGDT", GP_AT(0));
	v_run(v_smsw, 3);
	CHECK("vol 2 SMSW", t.vec == END);
	v_run(v_lar, 3);
	CHECK("vol 2 LAR: #UD", t.vec == UD && t.r.ip == 0);
	v_run(v_sldt, 3);
	CHECK("vol 2 SLDT: #UD", t.vec == UD);
	v_run(v_arpl, 3);
	CHECK("vol 2 ARPL: #UD", t.vec == UD);
	static char *const vex[] = { v_vex2, v_vex3, v_evex };
	for (unsigned k = 0; k < 3; k++) {
		stage = k;
		v_run(vex[k], 3);
		CHECK("vol 2 tables 2-18 to 2-29: VEX and EVEX are not in virtual-8086 mode: #UD", t.vec == UD && t.r.ip == 0);
	}
}

static void addresses(void)
{
	*(u32 *)low(0x12340) = 0x44332211;
	*(u32 *)low(0x1233f + 0x10000) = 0x99887766;
	v_prepare(v_word, 3);
	in.bx = 0;
	go();
	CHECK("vol 3 20.1.1 segment * 16", t.vec == END && (u16)t.r.ax == 0x2211);
	v_prepare(v_word, 3);
	in.bx = 0xffff;
	go();
	CHECK("vol 3 20.1.1, 5.3 word at FFFFH: #GP(0)", GP_AT(0));
	v_prepare(v_wword, 3);
	in.bx = 0xffff;
	go();
	CHECK("vol 3 5.3 word at FFFFH, write", GP_AT(0));
	v_prepare(v_ssword, 3);
	in.bx = 0xffff;
	go();
	CHECK("vol 3 5.3 the same through SS: #SS(0)", t.vec == SS && t.err == 0);
	v_prepare(v_a32, 3);
	in.bx = 0x10000;
	go();
	CHECK("vol 3 20.1.1 32-bit address beyond 64 KiB", GP_AT(0));
	v_prepare(v_wrapea, 3);
	in.bx = 0xffff;
	go();
	CHECK("vol 1 3.7.5 16-bit addresses wrap", t.vec == END && (u8)t.r.ax == 0x11);
	v_prepare(v_seg, 3);
	in.ax = 0xfedc;
	go();
	CHECK("vol 3 20.1.1 segment loads take any value", t.vec == END && (u16)t.r.cx == 0xfedc && t.r.ds == 0xfedc);
	v_prepare(v_push, 3);
	in.sp = 1;
	go();
	CHECK("vol 3 5.3 PUSH across the wrap", t.vec == SS && t.err == 0 && (u16)t.r.sp == 1);
	v_prepare(v_push, 3);
	in.sp = 0;
	go();
	CHECK("vol 1 6.2.3 PUSH at 0 wraps to FFFEH", t.vec == END && (u16)t.r.sp == 0xfffe);
	*(volatile u8 *)low(0x10ffee) = 0x5a;
	v_prepare(v_a32, 3);
	in.ds = 0xffff, in.bx = 0xfffe;
	go();
	CHECK("vol 3 20.1.1 above 1 MiB, A20 open", t.vec == END && (u8)t.r.ax == *(volatile u8 *)low(0x10ffee));
	/* code runs to the end of its segment and stops there */
	low(CODE + 0xffff)[0] = 0x90;
	v_prepare(v_nop, 3);
	in.ip = 0xffff;
	go();
	CHECK("vol 3 5.3 IP beyond FFFFH: #GP", t.vec == GP && t.err == 0);
}

static void io(void)
{
	set_desc(TSS, (u32)(ul)tss, 0x67 + 0x2001, 0x89);
	fill(tss + 0x68, 0xff, 0x2001);
	asm volatile("ltr %w0" :: "r"(TSS));
	tss[0x68 + 0x80 / 8] &= ~1;
	for (unsigned iopl = 0; iopl < 4; iopl += 3) {
		static u8 code[16];
		copy(code, v_in, 1), code[1] = 0x0f, code[2] = 0x0b; /* then UD2: INT needs IOPL 3 */
		v_prepare(code, iopl);
		in.dx = 0x80;
		go();
		CHECK("vol 3 20.2.7 IN by the I/O map", t.vec == UD && t.r.ip == 1);
		v_prepare(code, iopl);
		in.dx = 0x81;
		go();
		CHECK("vol 3 20.2.7 IN denied by the map whatever the IOPL", GP_AT(0));
		v_prepare(v_inw, iopl);
		in.dx = 0x80;
		go();
		CHECK("vol 1 19.5.2 all bits of a word must be clear", GP_AT(0));
		v_prepare(v_in, iopl);
		in.dx = 0xffff;
		go();
		CHECK("vol 1 19.5.2 last port", GP_AT(0));
	}
	set_desc(TSS, (u32)(ul)tss, 0x67, 0x89);
	asm volatile("ltr %w0" :: "r"(TSS));
	v_prepare(v_in, 3);
	in.dx = 0x80;
	go();
	CHECK("vol 1 19.5.2 no map within the limit", GP_AT(0));
}

static void vme(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	if (!(r[3] & 2))
		return;
	WR_CR(4, RD_CR(4) | 1);
	set_desc(TSS, (u32)(ul)tss, 0x67 + 0x2001 + 32, 0x89);
	asm volatile("ltr %w0" :: "r"(TSS));
	*(u16 *)(tss + 0x66) = 0x68 + 32; /* the redirection bitmap lies below the I/O map */
	fill(tss + 0x68, 0, 32);
	*(u16 *)low(0x41 * 4) = 0, *(u16 *)low(0x41 * 4 + 2) = 0xa00;
	copy(low(0xa000), v_ud, 16);
	for (unsigned iopl = 0; iopl < 4; iopl += 3) {
		stage = iopl;
		v_run(v_int, iopl);
		CHECK("vol 3 20.3.3.4 INT n redirected to the 8086 program", t.vec == UD && t.r.cs == 0xa00 && t.r.ip == 0 &&
			t.r.sp == 0x7fa);
		CHECK("vol 3 20.3.3.4 its frame", *(u16 *)low(STACK + 0x7fa) == 2 &&
			*(u16 *)low(STACK + 0x7fc) == CODE >> 4 && *(u16 *)low(STACK + 0x7fe) == (2 | 0x3000));
	}
	tss[0x68 + 0x41 / 8] |= 1 << (0x41 & 7);
	v_run(v_int, 0);
	CHECK("vol 3 20.3.3.4 not redirected, IOPL 0", GP_AT(0));
	v_run(v_int, 3);
	CHECK("vol 3 20.3.3.4 not redirected, IOPL 3", t.vec == 0x41);
	tss[0x68 + 0x40 / 8] &= ~1;
	v_run(v_sti, 0);
	CHECK("vol 3 20.4.1 STI sets VIF", t.r.flags & VIF && !(t.r.flags & IF));
	v_prepare(v_cli, 0);
	in.flags |= VIF;
	go();
	CHECK("vol 3 20.4.1 CLI clears VIF", !(t.r.flags & VIF));
	v_prepare(v_sti, 0);
	in.flags |= VIP;
	go();
	CHECK("vol 3 20.4.1 STI with VIP: #GP", GP_AT(0));
	v_prepare(v_pushf, 0);
	in.flags |= VIF;
	go();
	CHECK("vol 3 20.3.3.4 PUSHF shows VIF as IF, IOPL 3", *(u16 *)low(STACK + 0x7fe) == (2 | IF | 0x3000));
	*(u16 *)low(STACK + 0x800) = 2 | IF;
	v_run(v_popf, 0);
	CHECK("vol 2 POPF, VME: IF to VIF", t.r.flags & VIF && !(t.r.flags & IF) && !(t.r.flags & IOPL3));
	*(u16 *)low(STACK + 0x800) = 2 | TF;
	v_run(v_popf, 0);
	CHECK("vol 2 POPF, VME: TF set: #GP", GP_AT(0));
	v_run(v_pushfl, 0);
	CHECK("vol 2 PUSHFD, VME, IOPL < 3: #GP", GP_AT(0));
	WR_CR(4, (RD_CR(4) & ~1ul) | 2);
	prepare(f_sti, 3);
	go();
	CHECK("vol 3 20.4 PVI: STI at CPL 3 sets VIF", t.vec == END && t.r.flags & VIF);
	prepare(f_cli, 3);
	in.flags |= VIF;
	go();
	CHECK("vol 3 20.4 PVI: CLI clears VIF", t.vec == END && !(t.r.flags & VIF));
	prepare(f_sti, 3);
	in.flags |= VIP;
	go();
	CHECK("vol 3 20.4 PVI: VIP: #GP", t.vec == GP && t.err == 0);
	WR_CR(4, RD_CR(4) & ~3ul);
	*(u16 *)(tss + 0x66) = 0x68;
	set_desc(TSS, (u32)(ul)tss, 0x67, 0x89);
	asm volatile("ltr %w0" :: "r"(TSS));
}

static void protected_flags(void)
{
	for (unsigned iopl = 0; iopl < 4; iopl++) {
		for (unsigned cpl = 0; cpl < 4; cpl += 3) {
			stage = iopl << 4 | cpl;
			prepare(f_popf, cpl);
			in.flags |= iopl << 12;
			*(ul *)in.sp = 0x3f7ed5 & ~(u32)TF; /* all but TF, with VM, RF, VIF, VIP */
			ul all = 0x244ed7 & ~TF, want = all & ~(ul)IF & ~(ul)IOPL3;
			want |= cpl ? iopl << 12 | (cpl <= iopl ? IF : 0) : IOPL3 | IF;
			go();
			CHECK("vol 2 POPF: table of IOPL and CPL", t.vec == END && t.r.flags == want);
			prepare(f_pushf, cpl);
			in.flags |= iopl << 12 | ACF | NT;
			go();
			CHECK("vol 2 PUSHF", t.r.ax == (2 | iopl << 12 | ACF | NT));
			run(f_cli, cpl);
			prepare(f_cli, cpl);
			in.flags |= iopl << 12 | IF;
			go();
			CHECK("vol 2 CLI", cpl <= iopl ? t.vec == END && !(t.r.flags & IF) : t.vec == GP && t.err == 0);
			prepare(f_sti, cpl);
			in.flags |= iopl << 12;
			go();
			CHECK("vol 2 STI", cpl <= iopl ? t.vec == END && t.r.flags & IF : t.vec == GP && t.err == 0);
		}
	}
}

void guest_main(void)
{
	fill(low(CODE), 0x90, 0x3000);
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
	for (unsigned iopl = 0; iopl < 4; iopl++)
		modes(iopl);
	privileged();
	addresses();
	io();
	vme();
	protected_flags();
}
