// SPDX-License-Identifier: GPL-2.0-or-later
/* what: instructions that write and then go elsewhere, or change more than RIP, with the write lying over code that has
 * run: their own block's, another one's, their target's (two DOS systems died of a CALL that was lost so) */
#include "guest.h"

#ifdef __x86_64__
#define W "8"
#define ACC "%rax"
#else
#define W "4"
#define ACC "%eax"
#endif

/* The stack pointer stands behind code that has run; ECX = 2 where the instruction led to, 1 behind it. SI keeps the
 * stack. n_x is long enough for all that is pushed. */
#define BEFORE(n) "mov " SP ", " SI "\n call " #n "_x\n mov $" #n "_x + 256, " SP "\n"
#define AFTER(n) "mov $1, %ecx\n jmp 9f\n" #n "_x: .fill 256, 1, 0x90\n ret\n" #n "_f: mov $2, %ecx\n9: mov " SI ", " SP
#define OVER(n, before, how) SNIPPET(n, before BEFORE(n) how "\n" AFTER(n))
/* The same where it falls through: EDX = 2 from what comes next. */
#define ON(n, before, how) SNIPPET(n, before BEFORE(n) "xor %edx, %edx\n" how "\n mov $2, %edx\n" AFTER(n))

OVER(call_rel, "", "call call_rel_f");
OVER(call_reg, "", "mov $call_reg_f, %eax\n call *" ACC);
OVER(call_mem, "", "mov $call_mem_p, %eax\n call *(" ACC ")");
OVER(jump_pushed, "", "push $jump_pushed_f\n ret");
OVER(call_run, "", "push " ACC "\n push " ACC "\n push " ACC "\n call call_run_f");
#ifdef __x86_64__
OVER(call_homed, "", "mov $call_homed_f, %r11d\n call *%r11");
OVER(far_mem, "", "lcall *far_mem_p");
#else
OVER(far_imm, "", "lcall $8, $far_imm_f");
OVER(far_mem, "", "lcall *far_mem_p");
#endif
ON(push_reg, "", "push " ACC);
ON(push_imm, "", "push $0x12345678");
ON(push_mem, "", "push " "call_mem_p");
ON(push_run, "", "push " ACC "\n push " SI "\n push " DI "\n push " DX "\n push $1");
ON(push_flags, "", "pushf");
ON(push_seg, "", "push %fs");
ON(enter_0, "mov %esp, %ebp\n", "enter $16, $0");
ON(enter_3, "mov %esp, %ebp\n", "enter $16, $3");
ON(int_n, "", "int $0x41");
ON(pop_mem, "", "lea -64(" SP "), " DI "\n push " ACC "\n pop (" DI ")");
ON(movs, "", "lea -64(" SP "), " DI "\n push " SI "\n mov $call_mem_p, %esi\n movsl\n movsb\n pop " SI);
ON(rep_stos, "", "lea -128(" SP "), " DI "\n mov $64, %ecx\n rep stosb");
ON(rep_movs, "", "push " SI "\n"
	" lea -128(" SP "), " DI "\n mov $call_mem_p, %esi\n mov $32, %ecx\n rep movsb\n pop " SI);
ON(xchg_mem, "", "lea -64(" SP "), " DI "\n xchg " ACC ", (" DI ")");
ON(sgdt_mem, "", "sgdt -64(" SP ")");
#ifndef __x86_64__
ON(pusha, "", "pusha");
ON(into, "mov $0x7f, %al\n add $1, %al\n", "into");
#endif

/* The return address over the CALL itself. */
#define SELF(n, first, how) SNIPPET(n, "mov " SP ", " SI "\n" first "\n mov $1f, " SP "\n" how                     \
	"\n1: mov $1, %ecx\n jmp 9f\n .fill 16, 1, 0x90\n" #n "_f: mov (" SP "), %eax\n mov $2, %ecx\n9: mov " SI ", " SP)
SELF(self_rel, "", ".fill 16, 1, 0x90\n call self_rel_f");
SELF(self_reg, "mov $self_reg_f, %eax", ".fill 16, 1, 0x90\n call *" ACC);
SELF(self_far, "", ".fill 16, 1, 0x90\n lcall *self_far_p");

asm(".data\n.balign 16\ncall_mem_p: "
#ifdef __x86_64__
    ".quad call_mem_f\n.fill 24, 1, 0x90\nfar_mem_p: .long far_mem_f\n.short 8\nself_far_p: .long self_far_f\n.short 8\n"
#else
    ".long call_mem_f\n.fill 28, 1, 0x90\nfar_mem_p: .long far_mem_f\n.short 8\nself_far_p: .long self_far_f\n.short 8\n"
#endif
    ".text");

static void on_int(void)
{
}

struct row {
	const char *name;
	char *code;
};

/* A snippet spoils its own code, which is put back before it runs again. */
#define FIRST call_rel
#define SIZE 0x4000
static u8 kept[SIZE];

static void run_fresh(const char *code, unsigned cpl)
{
	copy(FIRST, kept, SIZE);
	run(code, cpl);
}

#define ROW(name) { #name, name }

static void branches(unsigned cpl)
{
	static const struct row list[] = {
		ROW(call_rel), ROW(call_reg), ROW(call_mem), ROW(jump_pushed), ROW(call_run), ROW(self_rel), ROW(self_reg),
#ifdef __x86_64__
		ROW(call_homed),
#endif
	};
	static const struct row far[] = {
		ROW(far_mem), ROW(self_far),
#ifndef __x86_64__
		ROW(far_imm),
#endif
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		run_fresh(list[k].code, cpl);
		check("vol 2 CALL goes to its target whatever its push lies over", __FILE__, __LINE__, list[k].name,
			t.vec == END && t.r.cx == 2);
	}
	for (unsigned k = 0; !cpl && k < sizeof(far) / sizeof(*far); k++) {
		run_fresh(far[k].code, 0);
		check("vol 2 far CALL goes to its target whatever its push lies over", __FILE__, __LINE__, far[k].name,
			t.vec == END && t.r.cx == 2);
	}
}

static void others(unsigned cpl)
{
	static const struct row list[] = {
		ROW(push_reg), ROW(push_imm), ROW(push_mem), ROW(push_run), ROW(push_flags), ROW(push_seg), ROW(enter_0),
		ROW(enter_3), ROW(int_n), ROW(pop_mem), ROW(movs), ROW(rep_stos), ROW(rep_movs), ROW(xchg_mem), ROW(sgdt_mem),
#ifndef __x86_64__
		ROW(pusha), ROW(into),
#endif
	};
	hook[0x41] = hook[OF] = on_int;
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		run_fresh(list[k].code, cpl);
		check("vol 3 11.6 the instruction behind one that writes over code runs next", __FILE__, __LINE__,
			list[k].name, t.vec == END && t.r.cx == 1 && t.r.dx == 2);
	}
	hook[0x41] = hook[OF] = 0;
}

#ifndef __x86_64__
#define SEL16 FREE
/* 16-bit code: SP behind code that has run, near and far CALL with 16- and 32-bit operands, INT. */
#define OVER16(n, how) SNIPPET_BITS(n, "16", "mov %sp, %si\n call 1f\n mov $(1f - " #n " + 32), %sp\n" how           \
	"\n mov $1, %cx\n jmp 9f\n1: .fill 32, 1, 0x90\n ret\n2: mov $2, %cx\n9: mov %si, %sp\n .byte 0xcd, 0x40")
OVER16(call16, "call 2f");
OVER16(call16_reg, "mov $(2f - call16_reg), %ax\n call *%ax");
OVER16(call16_32, "mov $(2f - call16_32), %eax\n .byte 0x66, 0xff, 0xd0");
OVER16(far16, "lcall $0x58, $(2f - far16)");
OVER16(pusha16, "pusha\n jmp 2f");
OVER16(enter16, "enter $8, $0\n jmp 2f");

static void call16s(void)
{
	static const struct row list[] = {
		ROW(call16), ROW(call16_reg), ROW(call16_32), ROW(far16), ROW(pusha16), ROW(enter16),
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		ul at = (ul)list[k].code;
		set_desc(SEL16, (u32)at, 0xffff, 0x009a);
		set_desc(SEL16 + 8, (u32)at, 0xffff, 0x0092);
		prepare(0, 0);
		in.cs = SEL16, in.ip = 0;
		in.ss = in.ds = SEL16 + 8, in.sp = 0xe000;
		go();
		check("vol 2 CALL in 16-bit code, its push over code that has run", __FILE__, __LINE__, list[k].name,
			t.vec == END && (u16)t.r.cx == 2);
	}
}

/* A target beyond the limit, the return address over the CALL: #GP at the CALL, stack pointer as before it. */
SNIPPET_BITS(beyond, "16",
	"mov $0xfff0, %ax\n mov $(1f - beyond), %sp\n .fill 200, 1, 0x90\nbeyond_at: call *%ax\n1: nop");
extern char beyond_at[];

static void beyond_limit(void)
{
	set_desc(SEL16, (u32)(ul)beyond, 0xfff, 0x009a);
	set_desc(SEL16 + 8, (u32)(ul)beyond, 0xffff, 0x0092);
	prepare(0, 0);
	in.cs = SEL16, in.ip = 0;
	in.ss = in.ds = SEL16 + 8, in.sp = 0xe000;
	go();
	CHECK("vol 2 CALL: #GP(0) beyond the limit, at the CALL", t.vec == GP && t.err == 0 &&
		t.r.ip == (ul)(beyond_at - beyond));
}
#endif

void guest_main(void)
{
	copy(kept, FIRST, SIZE);
	for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
		stage = cpl;
		branches(cpl);
		others(cpl);
	}
#ifndef __x86_64__
	call16s();
	beyond_limit();
#endif
}
