// SPDX-License-Identifier: GPL-2.0-or-later
/* what: who may run AVX and AVX-512 (CR4.OSXSAVE, XCR0, CR0.TS, prefixes), and the headers that XSAVE, XSAVEC,
 * XSAVEOPT and XRSTOR keep */
#include "guest.h"

#define V(name, code) SNIPPET(name, #name "_at: " code); extern char name##_at[]
V(v_add, "vaddps %ymm0, %ymm1, %ymm2");
V(v_add128, "vaddps %xmm0, %xmm1, %xmm2");
V(v_zero, "vzeroupper");
V(v_move, "vmovaps (" DI "), %ymm0");
V(v_moveu, "vmovups (" DI "), %ymm0");
V(v_addm, "vaddps (" DI "), %ymm0, %ymm0");
V(s_moveu, "movups (" DI "), %xmm0");
V(s_env, "fldenv (" DI ")");
V(e_moveu, "vmovups (" DI "), %zmm0");
V(e_masked, "kmovw %eax, %k1\n vmovups (" DI "), %zmm0{%k1}");
V(v_mxcsr, "vldmxcsr mxcsr");
V(v_insr, "vpinsrw $1, %eax, %xmm0, %xmm0");
V(b_andn, "andn %eax, %ecx, %edx");
V(b_blsr, "blsr %eax, %ecx");
V(e_add, "vaddps %zmm0, %zmm1, %zmm2");
V(e_kmov, "kmovw %eax, %k1");
V(e_mask, "vaddps %zmm0, %zmm1, %zmm2{%k1}");
V(s_add, "addps %xmm0, %xmm1");
V(bad_lock, ".byte 0xf0, 0xc5, 0xf4, 0x58, 0xd0");
V(bad_66, ".byte 0x66, 0xc5, 0xf4, 0x58, 0xd0");
V(bad_f3, ".byte 0xf3, 0xc5, 0xf4, 0x58, 0xd0");
V(bad_f2, ".byte 0xf2, 0xc5, 0xf4, 0x58, 0xd0");
V(bad_vvvv, ".byte 0xc5, 0xec, 0x28, 0xc1"); /* vmovaps with a third register */
V(bad_zero, ".byte 0xc5, 0xf0, 0x77");       /* vzeroupper with one */
V(bad_l, ".byte 0xc5, 0xfd, 0xc4, 0xc0, 0x01"); /* vpinsrw with L = 1 */
V(bad_evex66, ".byte 0x66, 0x62, 0xf1, 0x74, 0x48, 0x58, 0xd0");
V(bad_map, ".byte 0xc4, 0xe0, 0x74, 0x58, 0xd0"); /* VEX.mmmmm = 0 */
#ifdef __x86_64__
V(bad_rex, ".byte 0x40, 0xc5, 0xf4, 0x58, 0xd0");
#endif
V(xsv, "xsave (" DI ")");
V(xsvopt, "xsaveopt (" DI ")");
V(xsvc, "xsavec (" DI ")");
V(xsvs, ".byte 0x0f, 0xc7, 0x2f");
V(xrs, "xrstor (" DI ")");
V(xgb, "xgetbv");
V(xs_lock, ".byte 0xf0, 0x0f, 0xae, 0x27");
V(xs_66, ".byte 0x66, 0x0f, 0xae, 0x27"); /* with 66H 0F AE /4 is not XSAVE */
V(set_ymm, "vpcmpeqd %xmm1, %xmm1, %xmm1\n vinsertf128 $1, %xmm1, %ymm1, %ymm1");
V(get_ymm, "vmovups %ymm1, area2");
V(set_x87, "fninit\n fldpi");
#ifdef __x86_64__
V(xsv64, "xsave64 (%rdi)\n xrstor64 (%rdi)");
#endif
u32 mxcsr = 0x1f80;
u8 area[8192] __attribute__((aligned(64)));
u8 area2[4096] __attribute__((aligned(64)));
#define BV (*(volatile u64 *)(area + 512))
#define COMP (*(volatile u64 *)(area + 520))
#define FAULTS(v, at) (t.vec == (v) && t.r.ip == (ul)(at))
#define FINE (t.vec == END)
#define OSXSAVE 0x40000ul
static u32 xcr0_all;
static int has_avx, has_512, has_bmi, has_opt, has_c, has_xgb1, has_s;

static void xcr0(u32 v)
{
	asm volatile("xsetbv" :: "c"(0), "a"(v), "d"(0));
}

static void at(const void *code, ul di, unsigned cpl)
{
	prepare(code, cpl);
	in.di = di;
	in.ax = 1;
	go();
}

static void look_up(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	has_avx = r[2] >> 28 & 1;
	cpuid(7, 0, r);
	has_512 = r[1] >> 16 & 1;
	has_bmi = r[1] >> 3 & 1;
	cpuid(0xd, 0, r);
	xcr0_all = r[0];
	cpuid(0xd, 1, r);
	has_opt = r[0] & 1, has_c = r[0] >> 1 & 1, has_xgb1 = r[0] >> 2 & 1, has_s = r[0] >> 3 & 1;
}

/* What an instruction needs: a column for each state below. */
struct row { char *code, *at; const char *name; int kind; };
enum { VEX, GPR, EVEX, SSE_ };

static void one(const struct row *r, const char *sdm, unsigned line, int expect)
{
	for (unsigned cpl = 0; cpl < 4; cpl += 3) {
		at(r->code, (ul)area, cpl);
		check(sdm, __FILE__, (int)line, r->name, expect == END ? FINE : FAULTS((ul)expect, r->at));
	}
}
#define ROW(name, kind) { name, name##_at, #name, kind }
static const struct row rows[] = {
	ROW(v_add, VEX), ROW(v_add128, VEX), ROW(v_zero, VEX), ROW(v_move, VEX), ROW(v_moveu, VEX), ROW(v_addm, VEX),
		ROW(v_mxcsr, VEX),
	ROW(v_insr, VEX), ROW(b_andn, GPR), ROW(b_blsr, GPR), ROW(e_add, EVEX), ROW(e_kmov, EVEX), ROW(e_mask, EVEX),
		ROW(s_add, SSE_),
};

static int present(int kind)
{
	return kind == VEX ? has_avx : kind == EVEX ? has_512 : kind == GPR ? has_bmi && has_avx : 1;
}

static void who_may(void)
{
	ul cr0 = RD_CR(0), cr4 = RD_CR(4);
	for (unsigned k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		const struct row *r = &rows[k];
		int vector = r->kind == VEX || r->kind == EVEX;
		stage = k;
		if (!present(r->kind))
			continue;
		xcr0(xcr0_all);
		one(r, "vol 2 table 2-18: enabled", __LINE__, END);
		WR_CR(0, (cr0 | 8) & ~2ul);
		one(r, "vol 2 2.4, 2.8 CR0.TS: #NM, but not for general registers (type 13)", __LINE__, r->kind == GPR ?
			END : NM);
		WR_CR(0, cr0 | 4);
		one(r, "vol 2 table 2-18 CR0.EM is looked at for legacy SSE only", __LINE__, r->kind == SSE_ ? UD : END);
		WR_CR(0, cr0);
		WR_CR(4, cr4 & ~0x200ul);
		one(r, "vol 2 table 2-18 so is CR4.OSFXSR", __LINE__, r->kind == SSE_ ? UD : END);
		WR_CR(4, cr4);
		if (xcr0_all & 0xe0) {
			xcr0(7);
			one(r, "vol 2 2.7.11.1 XCR0[7:5] not set: EVEX #UD", __LINE__, r->kind == EVEX ? UD : END);
		}
		xcr0(3);
		one(r, "vol 2 table 2-18 XCR0[2:1] not 11B: #UD", __LINE__, vector ? UD : END);
		WR_CR(0, (cr0 | 8) & ~2ul);
		one(r, "vol 2 table 2-18 #UD goes before #NM", __LINE__, vector ? UD : r->kind == GPR ? END : NM);
		WR_CR(0, cr0);
		xcr0(1);
		one(r, "vol 2 table 2-18 x87 only", __LINE__, vector ? UD : END);
		xcr0(xcr0_all);
		WR_CR(4, cr4 & ~OSXSAVE);
		one(r, "vol 2 table 2-18 CR4.OSXSAVE = 0: #UD", __LINE__, vector ? UD : END);
		WR_CR(4, cr4);
		one(r, "vol 2 table 2-18: back again", __LINE__, END);
	}
}

static void encodings(void)
{
	static const struct row bad[] = {
		ROW(bad_lock, VEX), ROW(bad_66, VEX), ROW(bad_f3, VEX), ROW(bad_f2, VEX), ROW(bad_vvvv, VEX),
			ROW(bad_zero, VEX), ROW(bad_l, VEX),
		ROW(bad_map, VEX), ROW(bad_evex66, EVEX),
#ifdef __x86_64__
		ROW(bad_rex, VEX),
#endif
	};
	for (unsigned k = 0; k < sizeof(bad) / sizeof(*bad); k++)
		if (present(bad[k].kind))
			one(&bad[k], "vol 2 2.3.2 to 2.3.8: #UD", __LINE__, UD);
	if (!has_avx)
		return;
	at(v_move, (ul)area + 16, 3);
	CHECK("vol 2 table 2-18 VMOVAPS: #GP(0) unless aligned to its size", FAULTS(GP, v_move_at) && t.err == 0);
	at(v_moveu, (ul)area + 1, 3);
	CHECK("vol 2 table 2-21 VMOVUPS", FINE);
	at(v_addm, (ul)area + 1, 3);
	CHECK("vol 2 2.4 VEX arithmetic has no alignment rule", FINE);
}

static void with(const void *code, u32 mask, ul di)
{
	prepare(code, 3);
	in.ax = mask, in.di = di;
	go();
}

/* A number in the upper half of YMM1 and one on the x87 stack, so that all three components are in use. */
static void in_use(void)
{
	run(set_ymm, 3);
	run(set_x87, 3);
}

static int ymm_is(u8 v)
{
	fill(area2, 0x77, 64);
	run(get_ymm, 3);
	for (unsigned k = 0; k < 32; k++)
		if (area2[k] != v)
			return 0;
	return 1;
}

static int all(const u8 *p, unsigned n, u8 v)
{
	while (n--)
		if (*p++ != v)
			return 0;
	return 1;
}

static void saves(void)
{
	in_use();
	fill(area, 0xee, sizeof(area));
	with(xsv, 7, (ul)area);
	CHECK("vol 1 13.7 XSAVE: XSTATE_BV in RFBM is what is in use, else as it was", FINE &&
		BV == (0xeeeeeeeeeeeeeeee & ~7ull) + 7);
	CHECK("vol 1 13.7 XSAVE writes no other byte of the header", all(area + 520, 56, 0xee));
	CHECK("vol 1 13.4.1 bytes 464 to 511 of the legacy area are not written", all(area + 464, 48, 0xee));
	CHECK("vol 1 13.4.3 AVX state at the offset that CPUID tells", all(area + 576 + 16, 16, 0xff) &&
		area[576 + 256] == 0xee);
	int low = all(area + 288, 128, 0xee) && all(area + 576 + 128, 128, 0xee) && !all(area + 160, 128, 0xee);
	CHECK("vol 1 13.5.2, 13.5.3 registers 8 to 15 are saved in 64-bit mode only", low == (sizeof(ul) == 4));
	fill(area, 0xee, sizeof(area));
	BV = 6, COMP = 0;
	with(xsv, 1, (ul)area);
	CHECK("vol 1 13.7 XSAVE of x87 alone keeps the other bits", FINE && BV == 7 && all(area + 160, 304, 0xee) &&
		all(area + 576, 256, 0xee));
	fill(area, 0xee, sizeof(area));
	asm volatile("ldmxcsr mxcsr");
	with(xsv, 4, (ul)area);
	CHECK("vol 1 13.7 XSAVE of AVX alone: MXCSR too (13.5.2), not the x87 part, not XMM", FINE &&
		*(u32 *)(area + 24) == 0x1f80 && all(area, 24, 0xee) && all(area + 32, 432, 0xee));
	with(xsv, 3, (ul)area + 32);
	CHECK("vol 2 XSAVE: 64-byte alignment, #GP(0)", FAULTS(GP, xsv_at));
	with(xs_lock, 3, (ul)area);
	CHECK("vol 2 XSAVE: LOCK is #UD", FAULTS(UD, xs_lock_at));
	with(xs_66, 3, (ul)area);
	CHECK("vol 2 XSAVE: 66H is #UD", FAULTS(UD, xs_66_at));
	fill(area, 0, 1024);
	with(xsv, 7, (ul)area);
	fill(area + 576, 0x5a, 256);
	with(xrs, 4, (ul)area);
	CHECK("vol 1 13.8 XRSTOR of AVX alone leaves XMM", FINE && !ymm_is(0xff) && all(area2, 16, 0xff) &&
		all(area2 + 16, 16, 0x5a));
	BV = 3;
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.8 XRSTOR: a component absent from XSTATE_BV is initialized", FINE && !ymm_is(0xff) &&
		all(area2, 16, 0xff) && all(area2 + 16, 16, 0));
	run(set_ymm, 3);
	BV = 0, *(u32 *)(area + 24) = 0xffc0;
	with(xrs, 6, (ul)area);
	u32 now;
	asm volatile("stmxcsr %0" : "=m"(now));
	CHECK("vol 1 13.8.1 standard form: MXCSR comes from memory even so", FINE && now == 0xffc0 && ymm_is(0));
	*(u32 *)(area + 24) = 0x1f80;
	with(xrs, 6, (ul)area);
	BV = 7;
	for (unsigned k = 8; k < 24; k++) {
		area[512 + k] = 1;
		stage = k;
		with(xrs, 7, (ul)area);
		CHECK("vol 1 13.8.1 bytes 23:8 of the header must be 0", FAULTS(GP, xrs_at) && t.err == 0);
		area[512 + k] = 0;
	}
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.8.1 XRSTOR", FINE);
	BV = 7 | 1ull << 63;
	with(xrs, 1, (ul)area);
	CHECK("vol 1 13.8 XSTATE_BV beyond XCR0, even where RFBM is 0: #GP", FAULTS(GP, xrs_at));
}

static void compacted(void)
{
	if (!has_c) {
		with(xsvc, 7, (ul)area);
		CHECK("vol 2 XSAVEC: #UD without CPUID 0DH.1:EAX[1]", FAULTS(UD, xsvc_at));
		return;
	}
	in_use();
	fill(area, 0xee, sizeof(area));
	with(xsvc, 7, (ul)area);
	CHECK("vol 1 13.10 XSAVEC: XSTATE_BV whole, XCOMP_BV", FINE && BV == 7 && COMP == (7 | 1ull << 63));
	CHECK("vol 1 13.10 XSAVEC writes no other byte of the header", all(area + 528, 48, 0xee));
	if (sizeof(ul) == 4)
		CHECK("vol 1 13.5.3 XSAVEC outside 64-bit mode", all(area + 288, 128, 0xee) &&
			all(area + 576 + 128, 128, 0xee));
	with(xsvc, 4, (ul)area);
	CHECK("vol 1 13.4.3 compacted: AVX alone follows the header", FINE && BV == 4 && COMP == (4 | 1ull << 63) &&
		all(area + 576 + 16, 16, 0xff));
	fill(area + 576, 0x33, 256);
	fill(area + 528, 0, 48);
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.8.2 compacted: what XCOMP_BV lacks is initialized, MXCSR as part of SSE", FINE && !ymm_is(1) &&
		all(area2, 16, 0) && all(area2 + 16, 16, 0x33));
	BV = 6;
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.8.2 XSTATE_BV not within XCOMP_BV: #GP", FAULTS(GP, xrs_at));
	BV = 4, COMP = 4 | 1ull << 63 | 1ull << 40;
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.8.2 XCOMP_BV beyond XCR0: #GP", FAULTS(GP, xrs_at));
	COMP = 4 | 1ull << 63;
	for (unsigned k = 16; k < 64; k += 5) {
		area[512 + k] = 1;
		stage = k;
		with(xrs, 7, (ul)area);
		CHECK("vol 1 13.8.2 bytes 63:16 of the header must be 0", FAULTS(GP, xrs_at));
		area[512 + k] = 0;
	}
	with(xsvc, 7, (ul)area + 8);
	CHECK("vol 2 XSAVEC: alignment", FAULTS(GP, xsvc_at));
	run(v_zero, 3);
	asm volatile("fninit");
	BV = 0, COMP = 1ull << 63;
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.8.2 nothing in the image: all initial", FINE && ymm_is(0));
	fill(area, 0xee, sizeof(area));
	with(xsvc, 4, (ul)area);
	CHECK("vol 1 13.10 XSAVEC does not save what is in its initial state", FINE &&
		(BV == 4 || (BV == 0 && all(area + 576, 256, 0xee))));
}

static void optimized(void)
{
	if (!has_opt) {
		with(xsvopt, 7, (ul)area);
		CHECK("vol 2 XSAVEOPT: #UD without CPUID 0DH.1:EAX[0]", FAULTS(UD, xsvopt_at));
		return;
	}
	in_use();
	fill(area, 0, sizeof(area));
	with(xsvopt, 7, (ul)area);
	CHECK("vol 1 13.9 XSAVEOPT: XSTATE_BV", FINE && (BV & 7) == 7 && COMP == 0 && all(area + 576 + 16, 16, 0xff));
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.9", FINE);
	asm volatile("vpxor %%xmm1, %%xmm1, %%xmm1" ::: "memory");
	with(xsvopt, 7, (ul)area);
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.9 what has changed since XRSTOR is saved", FINE && ymm_is(0));
	in_use();
	with(xsvopt, 7, (ul)area);
	run(v_zero, 3);
	with(xrs, 7, (ul)area);
	CHECK("vol 1 13.9 and comes back", FINE && ymm_is(0xff));
	with(xsvopt, 7, (ul)area + 1);
	CHECK("vol 2 XSAVEOPT: alignment", FAULTS(GP, xsvopt_at));
}

static void others(void)
{
	ul cr0 = RD_CR(0), cr4 = RD_CR(4);
	static const struct row list[] = { ROW(xsv, 0), ROW(xsvopt, 1), ROW(xsvc, 2), ROW(xrs, 0) };
	fill(area, 0, sizeof(area));
	for (unsigned k = 0; k < 4; k++) {
		if ((list[k].kind == 1 && !has_opt) || (list[k].kind == 2 && !has_c))
			continue;
		one(&list[k], "vol 2 XSAVE family", __LINE__, END);
		fill(area + 512, 0, 64);
		WR_CR(0, cr0 | 8);
		one(&list[k], "vol 2 XSAVE family: CR0.TS", __LINE__, NM);
		WR_CR(4, cr4 & ~OSXSAVE);
		one(&list[k], "vol 2 XSAVE family: CR4.OSXSAVE = 0 goes before TS", __LINE__, UD);
		WR_CR(4, cr4);
		WR_CR(0, cr0);
	}
	prepare(xgb, 3);
	in.cx = 0;
	go();
	CHECK("vol 2 XGETBV at CPL 3", FINE && (u32)t.r.ax == xcr0_all && (u32)t.r.dx == 0);
	prepare(xgb, 0);
	in.cx = 2;
	go();
	CHECK("vol 2 XGETBV: no such register", FAULTS(GP, xgb_at));
	in_use();
	prepare(xgb, 3);
	in.cx = 1;
	go();
	CHECK("vol 2 XGETBV ECX = 1: in use, if CPUID 0DH.1:EAX[2]", has_xgb1 ? FINE && ((u32)t.r.ax & 5) == 5 &&
		!(t.r.ax & ~(ul)xcr0_all) : FAULTS(GP, xgb_at));
	if (!has_s) {
		at(xsvs, (ul)area, 0);
		CHECK("vol 2 XSAVES: #UD without CPUID 0DH.1:EAX[3]", FAULTS(UD, xsvs_at));
	}
	WR_CR(4, cr4 & ~OSXSAVE);
	run(xgb, 0);
	CHECK("vol 2 XGETBV without CR4.OSXSAVE", FAULTS(UD, xgb_at));
	WR_CR(4, cr4);
#ifdef __x86_64__
	fill(area + 512, 0, 64);
	with(xsv64, 3, (ul)area);
	CHECK("vol 2 XSAVE64, XRSTOR64", FINE);
#endif
}

/* CPUID 0DH against itself (vol 1 13.2). */
static void sizes(void)
{
	u32 r[4], s[4];
	xcr0(1);
	cpuid(0xd, 0, r);
	CHECK("vol 1 13.2 EBX follows XCR0: legacy area and header", r[1] == 576 && r[0] == xcr0_all);
	xcr0(xcr0_all);
	cpuid(0xd, 0, r);
	CHECK("vol 1 13.2 EBX with all of XCR0 is ECX", r[1] == r[2]);
	u32 end = 576;
	for (unsigned k = 2; k < 32; k++) {
		cpuid(0xd, k, s);
		if (!(xcr0_all >> k & 1)) {
			CHECK("vol 1 13.2 no component: zeroes", !(s[0] | s[1] | s[2] | s[3]));
			continue;
		}
		CHECK("vol 1 13.2 user component with size and offset", s[0] && s[1] >= 576 && !(s[2] & 1));
		end = end > s[0] + s[1] ? end : s[0] + s[1];
	}
	CHECK("vol 1 13.2 the last component ends where ECX says", end == r[2]);
	xcr0(7);
	cpuid(0xd, 2, s);
	cpuid(0xd, 0, r);
	CHECK("vol 1 13.2 AVX: 256 bytes at 576", s[0] == 256 && s[1] == 576 && r[1] == 832);
	xcr0(xcr0_all);
}

/* #AC of whole vectors: not on Intel's CPUs (vol 3 6.15); on AMD's below 16 bytes, unmasked (seen on a Zen 5). */
static void alignment(void)
{
	static const struct { const char *code, *at; int wide, never; } rows[] = {
		{ s_moveu, s_moveu_at, 0, 0 }, { v_moveu, v_moveu_at, 0, 0 }, { v_addm, v_addm_at, 0, 0 },
		{ s_env, s_env_at, 0, 1 }, /* 28 bytes */
		{ e_moveu, e_moveu_at, 1, 0 }, { e_masked, e_masked_at, 1, 1 },
	};
	u32 r[4];
	cpuid(0, 0, r);
	int amd = r[1] != 0x756e6547;
	WR_CR(0, RD_CR(0) | 0x40000);
	for (unsigned k = 0; k < 2 * sizeof(rows) / sizeof(*rows); k++) {
		unsigned off = k & 1 ? 16 : 8;
		if (rows[k / 2].wide && !has_512)
			continue;
		prepare(rows[k / 2].code, 3);
		in.flags |= ACF;
		in.ax = -1u, in.di = (ul)area + off;
		stage = k;
		go();
		if (amd && off == 8 && !rows[k / 2].never)
			CHECK("AMD: #AC of operands of 16 bytes and more", t.vec == AC && t.err == 0 &&
				t.r.ip == (ul)rows[k / 2].at);
		else
			CHECK("vol 3 6.15 no #AC", FINE);
	}
	WR_CR(0, RD_CR(0) & ~0x40000ul);
}

void guest_main(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	if (!(r[2] >> 26 & 1)) {
		run(xsv, 0);
		CHECK("vol 2 XSAVE: #UD without the feature", FAULTS(UD, xsv_at));
		return;
	}
	look_up();
	WR_CR(4, RD_CR(4) | OSXSAVE);
	who_may();
	encodings();
	if (has_avx) {
		saves();
		compacted();
		optimized();
		others();
		sizes();
		alignment();
	}
}
