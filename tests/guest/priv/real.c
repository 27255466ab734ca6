// SPDX-License-Identifier: GPL-2.0-or-later
/* what: real mode from a 32-bit guest: frames without error codes, limits and wraps, unreal mode, A20, instructions
 * that do not exist */
#include "real.h"

R(r_div, "xor %cx, %cx\n div %cx");
R(r_ud, "ud2");
R(r_int3, "int3");
R(r_into, "mov $0x7f, %al\n inc %al\n into");
R(r_bound, "bound %ax, (%bx)");
R(r_int, "int $0x41");
R(r_word, "mov (%bx), %ax");
R(r_dword, "mov (%bx), %eax");
R(r_wword, "mov %ax, (%bx)");
R(r_ssword, "mov %ss:(%bx), %ax");
R(r_byte32, "addr32 movb %ds:(%ebx), %al");
R(r_fs32, "addr32 movl %fs:(%ebx), %eax");
R(r_fs_load, "mov $0x30, %ax\n mov %ax, %fs\n addr32 movl %fs:(%ebx), %eax");
R(r_gs32, "addr32 movl %gs:(%ebx), %eax");
R(r_fs_wide, "addr32 movl %fs:4(%ebx), %eax");
R(r_stos_wide, "addr32 rep stosb");
R(r_movs_wide, "addr32 fs rep movsb");
R(r_wrapea, "movb 1(%bx), %al");
R(r_push, "push %ax");
R(r_pusha, "pusha\n popa");
R(r_cs_write, "movb $0x5a, %cs:0x30\n movb %cs:0x30, %al");
R(r_lldt, "lldt %ax");
R(r_sldt, "sldt %ax");
R(r_ltr, "ltr %ax");
R(r_lar, "lar %ax, %bx");
R(r_verr, "verr %ax");
R(r_arpl, "arpl %ax, %bx");
R(r_sysenter, "sysenter");
R(r_syscall, "syscall");
R(r_popf, "popf");
R(r_popfl, "popfl");
R(r_pushf, "pushf\n pop %ax");
R(r_pushfl, "pushfl\n pop %eax");
R(r_far, "lcall $0x800, $(r_far_t - r_far)\n jmp 1f\nr_far_t: mov %sp, %cx\n lret\n1: nop");
R(r_farj, "ljmp $0x7ff, $(r_farj_t - r_farj + 16)\nud2\nr_farj_t: mov %cs, %dx");
R(r_intret, "mov $0x55, %al\n int $0x42\n inc %al");
R(r_stosb, "mov $0xfffe, %di\n mov $4, %cx\n rep stosb");
R(r_movsw, "mov $0xffff, %si\n mov $0x100, %di\n mov $2, %cx\n rep movsw");
R(r_smc, "movb $0x77, %cs:(r_smc_m + 1 - r_smc)\nr_smc_m: mov $0x11, %al");
R(r_seg, "mov $0xfedc, %ax\n mov %ax, %es\n mov %es, %dx");
R(r_nop, "nop");
R(r_lidt0, "lidtl %cs:(1f - r_lidt0)\n int $0x41\n1: .word 0x41 * 4 + 2\n .long 0");
R(r_enter32, "mov %esp, %ebp\n enterl $16, $0\n leavel");
R(r_lmsw, "smsw %ax\n lmsw %ax\n mov %cr0, %ecx");
R(r_pf, "mov %cr2, %eax\n mov %eax, %cr2");
R(r_hlt_loop, "mov $3, %cx\n1: loop 1b\n mov $0x10003, %ecx\n2: loopl 2b");
R(r_jcxz, "mov $0x10000, %ecx\n jcxz 1f\n ud2\n1: nop");
R(r_call, "call 1f\n1: pop %ax");
R(r_retn, "push $(1f - r_retn)\n ret\n ud2\n1: nop");
R(r_rete, "pushl $0x10000\n retl");
R(r_vex2, ".byte 0xc5, 0xf4, 0x58, 0xd0");
R(r_vex3, ".byte 0xc4, 0xe2, 0x70, 0xf2, 0xd0");
R(r_evex, ".byte 0x62, 0xf1, 0x74, 0x48, 0x58, 0xd0");
R(r_lds, "lds 4(%bx), %ax");
R(r_ss_sp, "mov %ax, %ss\n mov $0x700, %sp\n push %ax");

static void exceptions(void)
{
	r_run(r_div);
	CHECK("vol 3 20.1.4 #DE: three words, IP at the instruction", AT(DE, 2));
	r_run(r_ud);
	CHECK("vol 3 table 20-1 #UD", AT(UD, 0));
	r_run(r_int3);
	CHECK("vol 3 table 20-1 #BP", AT(BP, 1));
	r_run(r_into);
	CHECK("vol 3 table 20-1 #OF", AT(OF, 5));
	r_prepare(r_bound);
	*(u16 *)low(0x10000) = 5, *(u16 *)low(0x10002) = 7;
	RM_IN->ax = 4;
	r_go();
	CHECK("vol 3 table 20-1 #BR", AT(BR, 0));
	r_run(r_int);
	CHECK("vol 3 20.1.4 INT n", AT(0x41, 2));
	r_prepare(r_int);
	RM_IN->flags = 2 | IF | CF | ZF | IOPL3 | NT;
	r_go();
	CHECK("vol 3 20.1.4 FLAGS pushed whole", AT(0x41, 2) && t.r.flags == (2 | IF | CF | ZF | IOPL3 | NT));
	static const struct { char *code; const char *name; } missing[] = {
		{ r_lldt, "LLDT" }, { r_sldt, "SLDT" }, { r_ltr, "LTR" }, { r_lar, "LAR" }, { r_verr, "VERR" },
			{ r_arpl, "ARPL" }, { r_syscall, "SYSCALL" } };
	for (unsigned k = 0; k < sizeof(missing) / sizeof(*missing); k++) {
		r_run(missing[k].code);
		check("vol 3 20.1.3 not in real mode: #UD", __FILE__, __LINE__, missing[k].name, AT(UD, 0));
	}
	r_run(r_sysenter);
	CHECK("vol 2 SYSENTER: #GP in real mode", AT(GP, 0));
	static const struct { char *code; const char *name; } vex[] = { { r_vex2, "VADDPS" }, { r_vex3, "ANDN" },
		{ r_evex, "VADDPS with EVEX" } };
	for (unsigned k = 0; k < 3; k++) {
		r_run(vex[k].code);
		check("vol 2 tables 2-18 to 2-29: VEX and EVEX are not in real mode: #UD", __FILE__, __LINE__, vex[k].name,
			AT(UD, 0));
	}
	*(u16 *)low(0x1000c) = 0x1234, *(u16 *)low(0x1000e) = 0x5678;
	r_prepare(r_lds);
	RM_IN->bx = 8;
	r_go();
	CHECK("vol 2 2.3.5 C5H with a memory operand is still LDS", FINE && (u16)t.r.ax == 0x1234 && RM_OUT->ds == 0x5678);
	r_run(r_lidt0);
	CHECK("vol 3 20.1.4 vector beyond the IVT's limit: #GP", t.vec == GP);
	r_prepare(r_nop);
	RM_IN->flags |= TF;
	r_go();
	CHECK("vol 3 17.3.1.4 TF in real mode", AT(DB, 1) && t.dr6 == 0xffff4ff0 && t.r.flags & TF);
	WR_DR(0, CODE + 2);
	WR_DR(7, 0x402);
	r_run(r_div);
	WR_DR(7, 0x400);
	CHECK("vol 3 17.2 breakpoint at a linear address", AT(DB, 2) && t.dr6 == 0xffff0ff1);
}

static void limits(void)
{
	*(u32 *)low(0x10000) = 0x44332211;
	r_run(r_word);
	CHECK("vol 3 20.1.1 segment * 16", FINE && (u16)t.r.ax == 0x2211);
	r_prepare(r_word);
	RM_IN->bx = 0xffff;
	r_go();
	CHECK("vol 3 table 20-1 word at FFFFH: #GP, no error code", AT(GP, 0));
	r_prepare(r_dword);
	RM_IN->bx = 0xfffd;
	r_go();
	CHECK("vol 3 table 20-1 dword at FFFDH", AT(GP, 0));
	r_prepare(r_wword);
	RM_IN->bx = 0xffff;
	r_go();
	CHECK("vol 3 table 20-1 write at FFFFH", AT(GP, 0));
	r_prepare(r_ssword);
	RM_IN->bx = 0xffff;
	r_go();
	CHECK("vol 3 table 20-1 through SS: #SS", AT(SS, 0));
	r_prepare(r_byte32);
	RM_IN->bx = 0x10000;
	r_go();
	CHECK("vol 3 20.1.1 32-bit offset above FFFFH", AT(GP, 0));
	r_prepare(r_wrapea);
	RM_IN->bx = 0xffff;
	r_go();
	CHECK("vol 1 3.7.5 16-bit addresses wrap", FINE && (u8)t.r.ax == 0x11);
	r_prepare(r_push);
	RM_IN->sp = 0xabcd0006;
	RM_IN->ax = 0x1234;
	r_go();
	CHECK("vol 1 6.2.3 only SP moves", FINE && RM_OUT->sp == 0xabcd0004 && *(u16 *)low(0x9004) == 0x1234);
	r_run(r_stosb);
	CHECK("vol 2 STOS: DI wraps at 64 KiB", FINE && (u16)t.r.di == 2 && (u16)t.r.cx == 0);
	r_run(r_movsw);
	CHECK("vol 2 MOVS: word at FFFFH", t.vec == GP && (u16)t.r.cx == 2 && (u16)t.r.si == 0xffff);
	low(CODE + 0xffff)[0] = 0x90;
	r_prepare(r_nop);
	RM_IN->ip = 0xffff;
	r_go();
	CHECK("vol 3 table 20-1 IP beyond FFFFH", t.vec == GP);
	r_run(r_rete);
	CHECK("vol 2 RET: EIP beyond the limit", t.vec == GP);
}

static void unreal(void)
{
	/* unreal mode: limits loaded in protected mode stay (vol 3 9.9.2, 3.4.3) */
	*(volatile u32 *)low(0x300000) = 0xcafe0001;
	r_prepare(r_fs32);
	RM_IN->bx = 0x300000 - 0x12000;
	r_go();
	CHECK("unreal mode: FS keeps 4 GiB (vol 3 9.9.2)", FINE && t.r.ax == 0xcafe0001);
	r_prepare(r_fs_load);
	RM_IN->bx = 0x300000 - 0x300;
	r_go();
	CHECK("unreal mode: also after a load in real mode", FINE && t.r.ax == 0xcafe0001);
	*(volatile u32 *)low(0x12000) = 0xcafe0002;
	r_prepare(r_fs_wide);
	RM_IN->bx = 0xfffffffc;
	r_go();
	CHECK("unreal mode: effective addresses wrap at 4 GiB (vol 1 3.3.7)", FINE && t.r.ax == 0xcafe0002);
	*(volatile u32 *)low(0x300000) = 0xcafe0001;
	r_prepare(r_fs_wide);
	RM_IN->fs = 0xff00; /* base FF000H: the sum is taken modulo 2^32 (vol 3 3.3) */
	RM_IN->bx = 0x300000 - 0xff000 - 4;
	r_go();
	CHECK("unreal mode: high base", FINE && t.r.ax == 0xcafe0001);
	r_prepare(r_fs_wide);
	RM_IN->fs = 0xff00;
	RM_IN->bx = 0x12000 - 0xff000 - 4;
	r_go();
	CHECK("unreal mode: linear addresses wrap at 4 GiB", FINE && t.r.ax == 0xcafe0002);
	r_prepare(r_movs_wide);
	RM_IN->si = 0x300000 - 0x12000, RM_IN->di = 0xfffe, RM_IN->cx = 2;
	r_go();
	CHECK("unreal mode: REP MOVSB with 32-bit addresses up to the limit of ES", FINE && t.r.cx == 0 &&
		t.r.di == 0x10000 && *(u16 *)low(0x11000 + 0xfffe) == 1);
	r_prepare(r_movs_wide);
	RM_IN->si = 0x300000 - 0x12000, RM_IN->di = 0xfffe, RM_IN->cx = 3;
	r_go();
	CHECK("vol 3 table 20-1 and not beyond: #GP there, restartable", t.vec == GP && t.r.cx == 1 &&
		t.r.di == 0x10000 && t.r.ip == 0);
	r_prepare(r_gs32);
	RM_IN->bx = 0x300000;
	r_go();
	CHECK("vol 3 9.9.2 GS was left with 64 KiB", AT(GP, 0));
}

static void a20(void)
{
	u8 above = *(volatile u8 *)low(0x100000);
	r_prepare(r_word);
	RM_IN->ds = 0xffff, RM_IN->bx = 0x10;
	r_go();
	CHECK("vol 3 20.1.1 FFFF:0010 is 1 MiB while A20 is open", FINE && (u8)t.r.ax == above);
}
R(r_a20, "1: in $0x64, %al\n test $2, %al\n jnz 1b\n mov $0xdd, %al\n out %al, $0x64\n2: in $0x64, %al\n"
	" test $2, %al\n jnz 2b\n in $0x92, %al\n and $0xfc, %al\n"
  " out %al, $0x92\n mov (%bx), %cx\n movb $0x99, (%bx)\n in $0x92, %al\n or $2, %al\n out %al, $0x92\n"
	" mov $0xdf, %al\n out %al, $0x64\n mov (%bx), %dx");

static void a20_shut(void)
{
	u8 above = *(volatile u8 *)low(0x10001c), saved = above, vector7 = low(0x1c)[0];
	low(0x1c)[0] = (u8)~above;
	r_prepare(r_a20);
	RM_IN->ds = 0xffff, RM_IN->bx = 0x2c;
	r_go();
	CHECK("A20 shut: FFFF:002C reads 1CH", FINE && (u8)t.r.cx == (u8)~above);
	CHECK("A20 shut: writes go there too", low(0x1c)[0] == 0x99);
	low(0x1c)[0] = vector7;
	CHECK("A20 open again", (u8)t.r.dx == saved);
}

static void control(void)
{
	r_run(r_far);
	CHECK("vol 2 CALL far: four bytes", FINE && (u16)t.r.cx == 0x800 - 4);
	r_run(r_farj);
	CHECK("vol 2 JMP far", FINE && (u16)t.r.dx == 0x7ff);
	*(u16 *)low(0x42 * 4) = 0xb00, *(u16 *)low(0x42 * 4 + 2) = 0x800;
	low(0x8b00)[0] = 0x04, low(0x8b00)[1] = 0x10, low(0x8b00)[2] = 0xcf; /* add $16, %al; iret */
	r_run(r_intret);
	CHECK("vol 2 IRET", FINE && (u8)t.r.ax == 0x66);
	r_run(r_smc);
	CHECK("vol 3 11.6 self-modifying code", FINE && (u8)t.r.ax == 0x77);
	r_run(r_seg);
	CHECK("vol 3 20.1.1 any selector", FINE && (u16)t.r.dx == 0xfedc);
	r_run(r_cs_write);
	CHECK("vol 3 20.1.1 CS is writable", FINE && (u8)t.r.ax == 0x5a);
	r_run(r_pusha);
	CHECK("PUSHA, POPA", FINE && t.r.sp == 0x800);
	r_run(r_enter32);
	CHECK("vol 2 ENTER, LEAVE with 32-bit operands", FINE && t.r.sp == 0x800);
	r_run(r_hlt_loop);
	CHECK("vol 2 LOOP: CX or ECX by address size", FINE);
	r_run(r_jcxz);
	CHECK("vol 2 JCXZ: CX in 16-bit code", FINE);
	r_run(r_call);
	CHECK("vol 2 CALL near", FINE && (u16)t.r.ax == 3);
	r_run(r_retn);
	CHECK("vol 2 RET near", FINE);
	r_run(r_lmsw);
	CHECK("vol 2 SMSW, LMSW", FINE && !(t.r.cx & 1));
	r_run(r_pf);
	CHECK("vol 2 MOV CR", FINE);
	r_prepare(r_ss_sp);
	RM_IN->ax = 0xa00;
	r_go();
	CHECK("vol 2 MOV SS", FINE && t.r.ss == 0xa00 && (u16)t.r.sp == 0x6fe);
	r_prepare(r_popf);
	*(u16 *)low(0x9800) = 0x7fd5 & ~TF;
	r_go();
	CHECK("vol 2 POPF in real mode: IOPL and NT too", FINE && t.r.flags == ((0x7fd7 & ~TF)));
	r_prepare(r_popfl);
	*(u32 *)low(0x9800) = 0x1f0002;
	r_go();
	CHECK("vol 2 POPFD: no VM", FINE);
	r_prepare(r_pushfl);
	RM_IN->flags = 2 | IF;
	r_go();
	CHECK("vol 2 PUSHFD", FINE && t.r.ax == (2 | IF));
	r_run(r_pushf);
	CHECK("vol 2 PUSHF", FINE && (u16)t.r.ax == 2);
}

void guest_main(void)
{
	for (unsigned k = 0; k < 2; k++) {
		stage = k;
		r_init();
		*(u16 *)low(0x42 * 4) = 0;
		exceptions();
		limits();
		unreal();
		control();
		a20();
		a20_shut();
	}
}
