/* SPDX-License-Identifier: GPL-2.0-or-later */
/* what: real mode for a 32-bit guest: r_prepare(), r_go() run a 16-bit snippet at 0800:0000 and bring its trap back
 *
 * The switcher and its stubs are copied to 0x7000; parameters and results lie in the page at 0x6000. Included once.
 */
#ifndef GUEST_REAL_H
#define GUEST_REAL_H
#include "guest.h"

#define SEL16 FREE          /* 16-bit code at BASE */
#define SEL64K (FREE + 8)   /* 16-bit data, 64 KiB */
#define BASE 0x7000u
#define CODE 0x8000u
struct rm {
	u32 ax, cx, dx, bx, sp, bp, si, di; /* 0x00 */
	u16 ip, cs, flags, ss, ds, es, fs, gs; /* 0x20 */
	u16 vec, pad;                       /* 0x30 */
};
#define RM_IN ((volatile struct rm *)low(0x6000))
#define RM_OUT ((volatile struct rm *)low(0x6040))
#define RM_IDT low(0x6080)
extern char rm_base[], rm_end[], rm_stubs[];
void rm_go(void);

/* Runs at 0x7000 in real mode; the copies in the image are never executed but for rm_go and rm_back. */
asm(".pushsection .text\n"
    ".code32\n.globl rm_go\nrm_go: pushal\n mov %esp, rm_sp\n sidt rm_pidt\n mov $0x60, %eax\n mov %eax, %ds\n"
	" mov %eax, %es\n mov %eax, %ss\n mov %eax, %gs\n"
    " mov $0x10, %eax\n mov %eax, %fs\n ljmp $0x58, $0\n"
    ".code16\n.balign 16\nrm_base: mov %cr0, %eax\n and $0xfe, %al\n mov %eax, %cr0\n ljmp $0x700, $(1f - rm_base)\n"
    "1: xor %ax, %ax\n mov %ax, %ds\n lidtl 0x6080\n mov 0x6026, %ss\n mov 0x6010, %esp\n pushw 0x6024\n"
	" pushw 0x6022\n pushw 0x6020\n"
    " mov 0x602a, %es\n mov 0x602c, %fs\n mov 0x602e, %gs\n mov 0x6004, %ecx\n mov 0x6008, %edx\n mov 0x600c, %ebx\n"
	" mov 0x6014, %ebp\n mov 0x6018, %esi\n mov 0x601c, %edi\n"
    " mov 0x6000, %eax\n mov 0x6028, %ds\n iretw\n"
    "rm_common: push %ds\n push %eax\n xor %ax, %ax\n mov %ax, %ds\n popl 0x6040\n popw 0x6068\n mov %ecx, 0x6044\n"
	" mov %edx, 0x6048\n mov %ebx, 0x604c\n mov %ebp, 0x6054\n"
    " mov %esi, 0x6058\n mov %edi, 0x605c\n mov %es, 0x606a\n mov %fs, 0x606c\n mov %gs, 0x606e\n mov %ss, 0x6066\n"
	" popw 0x6070\n popw 0x6060\n popw 0x6062\n popw 0x6064\n mov %esp, 0x6050\n"
    " mov %cr0, %eax\n or $1, %al\n mov %eax, %cr0\n ljmpl $8, $rm_back\n"
    ".balign 8\nrm_stubs: .set v, 0\n.rept 256\n pushw $v\n jmp rm_common\n.balign 8\n.set v, v + 1\n.endr\nrm_end:\n"
    ".code32\nrm_back: mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n mov %eax, %fs\n"
	" mov %eax, %gs\n mov rm_sp, %esp\n lidt rm_pidt\n popal\n cld\n ret\n"
    ".popsection\n.pushsection .bss\nrm_sp: .skip 4\nrm_pidt: .skip 8\n.popsection");

static u8 *low(u32 at)
{
	asm("" : "+r"(at));
	return (u8 *)at;
}

static void r_prepare(const void *code)
{
	fill(low(0x6000), 0, 0x80);
	copy(low(CODE), code, 64);
	RM_IN->cs = CODE >> 4;
	RM_IN->ss = 0x900;
	RM_IN->sp = 0x800;
	RM_IN->ds = 0x1000, RM_IN->es = 0x1100, RM_IN->fs = 0x1200, RM_IN->gs = 0x1300;
	RM_IN->flags = 2;
}

/* The record in `t` too, so that a failed check shows it. */
static void r_go(void)
{
	rm_go();
	fill(&t, 0, sizeof(t));
	t.vec = RM_OUT->vec;
	t.r.ip = RM_OUT->ip, t.r.cs = RM_OUT->cs, t.r.flags = RM_OUT->flags, t.r.sp = RM_OUT->sp, t.r.ss = RM_OUT->ss;
	t.r.ax = RM_OUT->ax, t.r.cx = RM_OUT->cx, t.r.bx = RM_OUT->bx, t.r.dx = RM_OUT->dx, t.r.si = RM_OUT->si,
		t.r.di = RM_OUT->di;
	t.dr6 = RD_DR(6);
	WR_DR(6, 0xffff0ff0);
}

static __attribute__((unused)) void r_run(const void *code)
{
	r_prepare(code);
	r_go();
}
#define AT(v, ip_) (t.vec == (v) && t.r.ip == (ip_) && t.r.cs == CODE >> 4 && t.r.sp == RM_IN->sp)
#define FINE (t.vec == END)

#define R(name, code) SNIPPET_BITS(name, "16", code)

/* Once, before the first r_go(). */
static void r_init(void)
{
	struct { u16 limit; u32 base; } __attribute__((packed)) ivt = { 0x3ff, 0 };

	copy(low(BASE), rm_base, (ul)(rm_end - rm_base));
	set_desc(SEL16, BASE, 0xffff, 0x009a);
	set_desc(SEL64K, 0, 0xffff, 0x0092);
	for (unsigned v = 0; v < 256; v++) {
		*(volatile u16 *)low(v * 4) = (u16)(rm_stubs - rm_base + v * 8);
		*(volatile u16 *)low(v * 4 + 2) = BASE >> 4;
	}
	fill(low(0x6000), 0, 0x80);
	copy(RM_IDT, &ivt, 6);
}

#endif
