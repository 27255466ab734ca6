// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the four layouts of FNSTENV, FLDENV, FNSAVE and FRSTOR (32-bit guest): either operand size in protected,
 * real and virtual-8086 mode */
#include "real.h"

#define AREA 0xa000u
/* Code of 16 bits runs in a 16-bit segment, in real and in virtual-8086 mode; BX points to the area. FLDPI lies at
 * 4. */
#define BOTH(name, prefix16, prefix32, before, after)                                     \
	SNIPPET_BITS(name##_16, "16", before prefix16 after " (%bx)");                    \
	SNIPPET_BITS(name##_32, "32", before prefix32 after " (%ebx)")
#define LOADED "fninit\n fld1\n fldpi\n"
#define NONE ""
#define P66 ".byte 0x66\n"
BOTH(env2, NONE, P66, LOADED, "fnstenv");
BOTH(env4, P66, NONE, LOADED, "fnstenv");
BOTH(save2, NONE, P66, LOADED, "fnsave");
BOTH(save4, P66, NONE, LOADED, "fnsave");
BOTH(ld2, NONE, P66, "fninit\n", "fldenv");
BOTH(ld4, P66, NONE, "fninit\n", "fldenv");
BOTH(rst2, NONE, P66, "fninit\n", "frstor");
BOTH(rst4, P66, NONE, "fninit\n", "frstor");
enum { PROT32, PROT16, REAL, VM86 };
static const char *const modes[] = { "32-bit protected mode", "16-bit protected mode", "real mode",
	"virtual-8086 mode" };

static u32 w16(u32 at)
{
	return *(volatile u16 *)low(AREA + at);
}

static u32 w32(u32 at)
{
	return *(volatile u32 *)low(AREA + at);
}

/* Runs one of a pair at the start of its code segment, whose base is returned. */
static u32 exec(unsigned mode, char *c16, char *c32, u32 bx)
{
	if (mode == REAL) {
		r_prepare(c16);
		RM_IN->ds = AREA >> 4, RM_IN->bx = bx;
		r_go();
		return CODE;
	}
	copy(low(CODE), mode == PROT32 ? c32 : c16, 64);
	prepare(0, mode == VM86 ? 3 : 0);
	in.bx = bx;
	if (mode == VM86) {
		in.flags = 2 | VM | IOPL3;
		in.cs = CODE >> 4, in.ss = 0x900, in.sp = 0x800, in.ds = AREA >> 4;
		in.es = in.fs = in.gs = 0;
		go();
		return CODE;
	}
	set_desc(FREE + 16, CODE, 0xffff, mode == PROT32 ? 0x409a : 0x009a);
	in.cs = FREE + 16;
	set_desc(FREE + 24, AREA, 0xffff, 0x4092);
	in.ds = FREE + 24;
	go();
	return 0; /* FIP is an offset there */
}
#define FINE (t.vec == END)
#define SAY(sdm, cond) check(sdm, __FILE__, __LINE__, modes[mode], cond)

/* The environment as vol 1 figures 8-9 to 8-12 draw it. */
static void environment(unsigned mode, unsigned opsize, u32 base)
{
	unsigned real = mode >= REAL;
	u32 fip = base + 4;
	if (opsize == 2) {
		SAY("vol 1 figures 8-11, 8-12: control, status, tag words of a 16-bit image", FINE && w16(0) == 0x37f &&
			w16(2) == 0x3000 && w16(4) == 0x0fff);
		SAY("vol 1 figures 8-11, 8-12: instruction pointer, low half", w16(6) == (u16)fip);
		if (real)
			SAY("vol 1 figure 8-12: instruction pointer, bits 19:16 above the opcode", w16(8) >> 12 == fip >> 16);
		return;
	}
	SAY("vol 1 figures 8-9, 8-10: control, status, tag words of a 32-bit image", FINE && w16(0) == 0x37f &&
		w16(4) == 0x3000 && w16(8) == 0x0fff);
	if (real)
		SAY("vol 1 figure 8-10: instruction pointer in two halves", w16(12) == (u16)fip && w32(16) >> 12 == fip >> 16);
	else
		SAY("vol 1 figure 8-9: instruction pointer", w32(12) == fip);
}

static int untouched(u32 from, u32 to)
{
	for (; from < to; from++)
		if (*low(AREA + from) != 0xee)
			return 0;
	return 1;
}

static void stores(unsigned mode, unsigned opsize)
{
	u32 size = opsize == 2 ? 14 : 28, base;
	fill(low(AREA), 0xee, 256);
	base = opsize == 2 ? exec(mode, env2_16, env2_32, 0) : exec(mode, env4_16, env4_32, 0);
	environment(mode, opsize, base);
	SAY("vol 2 FNSTENV: 14 or 28 bytes", untouched(size, 256));
	u16 cw;
	asm volatile("fnstcw %0" : "=m"(cw));
	SAY("vol 2 FNSTENV masks all exceptions", (cw & 0x3f) == 0x3f);
	fill(low(AREA), 0xee, 256);
	base = opsize == 2 ? exec(mode, save2_16, save2_32, 0) : exec(mode, save4_16, save4_32, 0);
	environment(mode, opsize, base);
	SAY("vol 2 FNSAVE: 94 or 108 bytes", untouched(size + 80, 256));
	SAY("vol 1 8.1.10 registers from ST(0) on, ten bytes each", w32(size) == 0x2168c235 &&
		w32(size + 4) == 0xc90fdaa2 && w16(size + 8) == 0x4000 &&
	    w32(size + 10) == 0 && w32(size + 14) == 0x80000000 && w16(size + 18) == 0x3fff);
}

static void put(unsigned opsize, u32 fcw, u32 fsw, u32 ftw)
{
	fill(low(AREA), 0, 256);
	*(volatile u16 *)low(AREA) = (u16)fcw;
	*(volatile u16 *)low(AREA + opsize) = (u16)fsw;
	*(volatile u16 *)low(AREA + 2 * opsize) = (u16)ftw;
}

static void loads(unsigned mode, unsigned opsize)
{
	struct { u16 cw, r0, sw, r1, tw, r2; u32 rest[4]; u8 st[80]; } now;
	put(opsize, 0xa7f, 0x2900, 0x03ff);
	exec(mode, opsize == 2 ? ld2_16 : ld4_16, opsize == 2 ? ld2_32 : ld4_32, 0);
	asm volatile("fnsave %0" : "=m"(now));
	unsigned empty = 0;
	for (unsigned k = 0; k < 8; k++)
		empty |= (unsigned)((now.tw >> 2 * k & 3) == 3) << k;
	SAY("vol 2 FLDENV: control word, status word with TOP, tags", FINE && now.cw == 0xa7f && now.sw == 0x2900 &&
		empty == 0x1f);
	put(opsize, 0x37f, 0x3800, 0x3fff);
	*(volatile u64 *)low(AREA + 7 * opsize) = 0xc90fdaa22168c235;
	*(volatile u16 *)low(AREA + 7 * opsize + 8) = 0x4000;
	exec(mode, opsize == 2 ? rst2_16 : rst4_16, opsize == 2 ? rst2_32 : rst4_32, 0);
	asm volatile("fnsave %0" : "=m"(now));
	SAY("vol 2 FRSTOR: environment and registers", FINE && now.sw == 0x3800 && now.tw == 0x3fff &&
		*(u64 *)now.st == 0xc90fdaa22168c235 && *(u16 *)(now.st + 8) == 0x4000);
	put(opsize, 0x37b, 0x3884, 0x3fff); /* a zero divide, unmasked and pending */
	exec(mode, opsize == 2 ? ld2_16 : ld4_16, opsize == 2 ? ld2_32 : ld4_32, 0);
	SAY("vol 2 FLDENV: no exception yet", FINE);
	asm volatile("fnstsw %0" : "=m"(now.sw));
	SAY("vol 1 8.1.3 ES and B of the loaded image", now.sw == 0xb884);
	asm volatile("fnclex\n fninit");
}

/* Where the image does not fit: nothing is changed, in the mode's own way. */
static void faults(unsigned mode)
{
	fill(low(AREA), 0xee, 256);
	static const u32 size[] = { 14, 28, 94, 108 };
	char *c16[] = { env2_16, env4_16, save2_16, save4_16 }, *c32[] = { env2_32, env4_32, save2_32, save4_32 };
	for (unsigned k = 0; k < 4; k++) {
		stage = k;
		exec(mode, c16[k], c32[k], 0x10000 - size[k] + 1);
		SAY("vol 3 5.3 the image's last byte lies beyond the limit: #GP", t.vec == GP);
		u16 sw;
		asm volatile("fnstsw %0" : "=m"(sw));
		SAY("vol 3 6.5 FNSAVE has not initialized the FPU", sw == 0x3000);
		exec(mode, c16[k], c32[k], 0x10000 - size[k]);
		SAY("vol 3 5.3 it just fits", FINE);
	}
}

void guest_main(void)
{
	r_init();
	for (unsigned mode = 0; mode < 4; mode++) {
		for (unsigned opsize = 2; opsize <= 4; opsize += 2) {
			stage = mode << 4 | opsize;
			stores(mode, opsize);
			loads(mode, opsize);
		}
		faults(mode);
	}
}
