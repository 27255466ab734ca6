// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of insn/fpu_save.c, nm.c and vecmem.c: images, alignment and header rules, elements that must not
 * fault */
#include "insn/bench.h"

#define XMM(n) (160 + 16 * (n))

static struct insn mem_insn(uint32_t at, unsigned opsize)
{
	return (struct insn){ .len = 4, .opsize = (uint8_t)opsize, .adsize = 8, .has_mem = true, .seg = SEG_DS,
		.base = INSN_NOREG,
			      .index = INSN_NOREG, .scale = 1, .disp = at };
}

/* The helper leaves the guest's FPU state in the registers: park it before C uses them. */
static __attribute__((noinline)) bool run_fpu(struct bench *b, insn_fn *fn, const struct insn *in)
{
	bool ok = run(b, fn, in);

	cpu_fpu_park(b->cpu);
	if (!(get_le64(b->cpu->fpu + 512) & 4)) /* initial: what the area holds is of no account (XINUSE, SDM vol 1 13.6) */
		memset(b->cpu->fpu + 576, 0, 256);
	return ok;
}

static bool go_fpu(struct bench *b, uint64_t xcr0)
{
	go_long(b);
	cpu_fpu_park(b->cpu);
	b->cpu->s.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	b->cpu->s.xcr0 = xcr0;
	put_le16(b->cpu->fpu, 0x37f);
	put_le32(b->cpu->fpu + 24, 0x1f80);
	put_le64(b->cpu->fpu + 512, b->cpu->host_xcr0);
	return (b->cpu->host_xcr0 & xcr0) == xcr0;
}

static void fxsave_image(void **state)
{
	/* FXSAVE writes what the state holds, only 288 bytes outside 64-bit code; FXRSTOR brings it back */
	struct bench *b = *state;
	struct insn in = mem_insn(DATA, 8);

	if (!go_fpu(b, 3))
		skip();
	memset(b->cpu->fpu + XMM(0), 0x11, 256);
	memset(b->ram + DATA, 0xee, 512);
	assert_true(run_fpu(b, insn_fxsave, &in));
	assert_int_equal(get_le16(b->ram + DATA), 0x37f);
	assert_int_equal(get_le32(b->ram + DATA + 24), 0x1f80);
	assert_int_equal(b->ram[DATA + XMM(15) + 15], 0x11);
	assert_int_equal(b->ram[DATA + 416], 0xee);
	set_cpl(b, CS32, DS32);
	in.adsize = 4;
	memset(b->ram + DATA, 0xee, 512);
	assert_true(run_fpu(b, insn_fxsave, &in));
	assert_int_equal(b->ram[DATA + XMM(7) + 15], 0x11);
	assert_int_equal(b->ram[DATA + XMM(8)], 0xee);
	b->ram[DATA + XMM(3)] = 0x33;
	assert_true(run_fpu(b, insn_fxrstor, &in));
	assert_int_equal(b->cpu->fpu[XMM(3)], 0x33);
	assert_int_equal(b->cpu->fpu[XMM(8)], 0x11);
}

static void fx_refusals(void **state)
{
	/* alignment and MXCSR's reserved bits: #GP(0); TS: #NM; a missing page leaves all */
	struct bench *b = *state;
	struct insn in = mem_insn(DATA + 8, 8);

	if (!go_fpu(b, 3))
		skip();
	assert_false(run_fpu(b, insn_fxsave, &in));
	assert_raised(b, EXC_GP, 0);
	in = mem_insn(DATA, 8);
	memset(b->ram + DATA, 0, 512);
	put_le32(b->ram + DATA + 24, 0x10000);
	assert_false(run_fpu(b, insn_fxrstor, &in));
	assert_raised(b, EXC_GP, 0);
	in = mem_insn(HOLE, 8);
	assert_false(run_fpu(b, insn_fxsave, &in));
	assert_raised(b, EXC_PF, 2);
	b->cpu->s.cr0 |= CR0_TS;
	assert_false(run_fpu(b, insn_fxsave, &in));
	assert_int_equal(b->cpu->event.vector, EXC_NM);
}

static void xsave_round_trip(void **state)
{
	/* only components asked for and enabled in XCR0 move; XSTATE_BV keeps the other bits */
	struct bench *b = *state;
	struct insn in = mem_insn(DATA, 8);

	if (!go_fpu(b, 7))
		skip();
	memset(b->cpu->fpu + XMM(0), 0x22, 256);
	memset(b->cpu->fpu + 576, 0x44, 256);
	memset(b->ram + DATA, 0, 4096);
	b->ram[DATA + 512] = 0x80;
	b->cpu->s.gpr[RAX] = UINT32_MAX;
	b->cpu->s.gpr[RDX] = UINT32_MAX;
	assert_true(run_fpu(b, insn_xsave, &in));
	assert_int_equal(b->ram[DATA + 512] & 0x86, 0x86);
	assert_int_equal(b->ram[DATA + 576], 0x44);
	assert_int_equal(b->ram[DATA + 832], 0);
	b->ram[DATA + 512] &= 0x7f;
	memset(b->ram + DATA + 576, 0x55, 256);
	memset(b->ram + DATA + XMM(0), 0x66, 256);
	b->cpu->s.gpr[RAX] = 4;
	assert_true(run_fpu(b, insn_xrstor, &in));
	assert_int_equal(b->cpu->fpu[576 + 3], 0x55);
	assert_int_equal(b->cpu->fpu[XMM(0)], 0x22);
	assert_true(run_fpu(b, insn_xsavec, &in));
	assert_int_equal(get_le64(b->ram + DATA + 520), 1ull << 63 | 4);
	assert_true(run_fpu(b, insn_xrstor, &in));
}

static void xrstor_refusals(void **state)
{
	/* a header with components XCR0 lacks, nonzero reserved bytes, misalignment: #GP(0); OSXSAVE off: #UD */
	struct bench *b = *state;
	struct insn in = mem_insn(DATA, 8);

	if (!go_fpu(b, 3))
		skip();
	memset(b->ram + DATA, 0, 4096);
	put_le32(b->ram + DATA + 24, 0x1f80);
	b->cpu->s.gpr[RAX] = 3;
	assert_true(run_fpu(b, insn_xrstor, &in));
	b->ram[DATA + 512] = 4;
	assert_false(run_fpu(b, insn_xrstor, &in));
	assert_raised(b, EXC_GP, 0);
	b->ram[DATA + 512] = 0;
	b->ram[DATA + 528] = 1;
	assert_false(run_fpu(b, insn_xrstor, &in));
	in = mem_insn(DATA + 32, 8);
	assert_false(run_fpu(b, insn_xsave, &in));
	assert_raised(b, EXC_GP, 0);
	b->cpu->s.cr4 &= ~(uint64_t)CR4_OSXSAVE;
	assert_false(run_fpu(b, insn_xsave, &in));
	assert_raised(b, EXC_UD, 0);
}

static void environment(void **state)
{
	/* FNSAVE stores and initializes; FRSTOR restores; the 16-bit form has 14 bytes of environment */
	struct bench *b = *state;
	struct insn in = mem_insn(DATA, 4);

	if (!go_fpu(b, 3))
		skip();
	put_le16(b->cpu->fpu, 0x27f);
	b->cpu->fpu[4] = 0x80;                    /* FTW: physical register 7 in use */
	put_le16(b->cpu->fpu + 2, 7 << 11);       /* TOP 7 */
	put_le64(b->cpu->fpu + 32, 0x8000000000000000);
	put_le16(b->cpu->fpu + 40, 0x3fff);       /* ST0 = 1.0 */
	assert_true(run_fpu(b, insn_fnsave, &in));
	assert_int_equal(get_le32(b->ram + DATA), 0xffff027f);
	assert_int_equal(get_le32(b->ram + DATA + 4), 0xffff0000 | 7 << 11);
	assert_int_equal(get_le32(b->ram + DATA + 8), 0xffff3fff);
	assert_int_equal(get_le16(b->ram + DATA + 36), 0x3fff);
	in = mem_insn(DATA + 0x100, 2);
	assert_true(run_fpu(b, insn_fnstenv, &in));
	assert_int_equal(get_le16(b->ram + DATA + 0x100), 0x37f);
	assert_int_equal(get_le16(b->ram + DATA + 0x104), 0xffff);
	in = mem_insn(DATA, 4);
	assert_true(run_fpu(b, insn_frstor, &in));
	in = mem_insn(DATA + 0x200, 2);
	assert_true(run_fpu(b, insn_fnsave, &in));
	assert_int_equal(get_le16(b->ram + DATA + 0x200), 0x27f);
	assert_int_equal(get_le16(b->ram + DATA + 0x200 + 14 + 8), 0x3fff);
}

static void nm_or_ud(void **state)
{
	/* x87 with TS or EM: #NM; SSE with EM or without OSFXSR: #UD; AVX without OSXSAVE: #UD */
	struct bench *b = *state;
	struct insn fld = { .len = 2, .raw = { 0xd9, 0xe8 } }, sse = { .len = 3, .raw = { 0x0f, 0x58, 0xc1 } };
	struct insn mmx = { .len = 3, .raw = { 0x0f, 0xfc, 0xc1 } }, avx = { .len = 4, .raw = { 0xc5, 0xf0, 0x58, 0xc2 } };

	go_long(b);
	b->cpu->s.cr0 |= CR0_TS;
	assert_false(run(b, insn_nm, &fld));
	assert_int_equal(b->cpu->event.vector, EXC_NM);
	assert_false(run(b, insn_nm, &mmx));
	assert_int_equal(b->cpu->event.vector, EXC_NM);
	assert_false(run(b, insn_nm, &sse));
	assert_int_equal(b->cpu->event.vector, EXC_UD);
	assert_false(run(b, insn_nm, &avx));
	assert_int_equal(b->cpu->event.vector, EXC_UD);
	b->cpu->s.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	b->cpu->s.xcr0 = 7;
	assert_false(run(b, insn_nm, &sse));
	assert_int_equal(b->cpu->event.vector, EXC_NM);
	assert_false(run(b, insn_nm, &avx));
	assert_int_equal(b->cpu->event.vector, EXC_NM);
	b->cpu->s.cr0 |= CR0_EM;
	assert_false(run(b, insn_nm, &mmx));
	assert_int_equal(b->cpu->event.vector, EXC_UD);
}

static void maskmov(void **state)
{
	/* MASKMOVDQU stores bytes whose mask has bit 7, next to a hole as well */
	struct bench *b = *state;
	struct insn in = { .len = 4, .adsize = 8, .seg = SEG_DS, .reg = 1, .rm = 2, .raw = { 0x66, 0x0f, 0xf7, 0xca } };

	if (!go_fpu(b, 3))
		skip();
	for (unsigned i = 0; i < 16; i++)
		b->cpu->fpu[XMM(1) + i] = (uint8_t)(0x40 + i);
	memset(b->cpu->fpu + XMM(2), 0, 16);
	b->cpu->fpu[XMM(2) + 0] = 0x80;
	b->cpu->fpu[XMM(2) + 3] = 0xff;
	memset(b->ram + HOLE - 4, 0, 4);
	b->cpu->s.gpr[RDI] = HOLE - 4;
	assert_true(run_fpu(b, insn_maskmov, &in));
	assert_int_equal(get_le32(b->ram + HOLE - 4), 0x43000040);
	b->cpu->fpu[XMM(2) + 4] = 0x80;
	assert_false(run_fpu(b, insn_maskmov, &in));
	assert_raised(b, EXC_PF, 2);
	assert_int_equal(b->cpu->event.cr2, HOLE);
	/* the second half's address wraps by itself, as the CPU's does */
	in.adsize = 4;
	b->cpu->s.gpr[RDI] = 0xfffffffb;
	memset(b->cpu->fpu + XMM(2), 0, 16);
	b->cpu->fpu[XMM(2) + 15] = 0x80;
	assert_true(run_fpu(b, insn_maskmov, &in));
	assert_int_equal(b->ram[0xa], 0x4f);
}

static void vmaskmov(void **state)
{
	/* VMASKMOVPS ymm1, ymm2, [m] with the enabled elements before the hole; VMASKMOVPD store likewise */
	struct bench *b = *state;
	struct insn in = mem_insn(HOLE - 8, 4);
	static const uint8_t load[] = { 0xc4, 0xe2, 0x6d, 0x2c, 0x0c, 0x25 },
		store[] = { 0xc4, 0xe2, 0x69, 0x2f, 0x0c, 0x25 };

	if (!go_fpu(b, 7))
		skip();
	memcpy(in.raw, load, sizeof(load));
	memset(b->cpu->fpu + XMM(1), 0xcc, 16);
	memset(b->cpu->fpu + 576 + 16, 0xcc, 16);
	memset(b->cpu->fpu + XMM(2), 0, 16);
	memset(b->cpu->fpu + 576 + 32, 0, 16);
	put_le32(b->cpu->fpu + XMM(2) + 4, 0x80000000);
	put_le64(b->ram + HOLE - 8, 0x1122334455667788);
	assert_true(run_fpu(b, insn_vector_mem, &in));
	assert_int_equal(get_le64(b->cpu->fpu + XMM(1)), 0x1122334400000000);
	assert_int_equal(get_le64(b->cpu->fpu + XMM(1) + 8), 0);
	assert_int_equal(get_le64(b->cpu->fpu + 576 + 16), 0);
	put_le32(b->cpu->fpu + XMM(2) + 12, 0x80000000);
	assert_false(run_fpu(b, insn_vector_mem, &in));
	assert_raised(b, EXC_PF, 0);
	memcpy(in.raw, store, sizeof(store));
	put_le64(b->cpu->fpu + XMM(2), 1ull << 63);
	put_le64(b->cpu->fpu + XMM(2) + 8, 0);
	put_le64(b->cpu->fpu + XMM(1), 0xabcdef);
	assert_true(run_fpu(b, insn_vector_mem, &in));
	assert_int_equal(get_le64(b->ram + HOLE - 8), 0xabcdef);
}

static void gather(void **state)
{
	/* VPGATHERDD ymm1, [rax + ymm3*4], ymm2: enabled elements only, the mask is cleared */
	struct bench *b = *state;
	struct insn in = mem_insn(0, 4);
	static const uint8_t code[] = { 0xc4, 0xe2, 0x6d, 0x90, 0x0c, 0x98 };

	if (!go_fpu(b, 7))
		skip();
	memcpy(in.raw, code, sizeof(code));
	in.base = RAX;
	b->cpu->s.gpr[RAX] = HOLE - 0x40;
	for (unsigned i = 0; i < 16; i++)
		put_le32(b->ram + HOLE - 0x40 + 4 * i, 0x100 + i);
	memset(b->cpu->fpu + XMM(1), 0x77, 16);
	memset(b->cpu->fpu + XMM(2), 0, 16);
	memset(b->cpu->fpu + 576 + 32, 0, 16);
	put_le32(b->cpu->fpu + XMM(2), 0x80000000);
	put_le32(b->cpu->fpu + 576 + 32, 0xffffffff); /* element 4 */
	put_le32(b->cpu->fpu + XMM(3), 5);
	put_le32(b->cpu->fpu + XMM(3) + 4, 1000);     /* disabled, in the hole */
	put_le32(b->cpu->fpu + 576 + 48, (uint32_t)-1);
	put_le32(b->ram + HOLE - 0x44, 0x99);
	assert_true(run_fpu(b, insn_vector_mem, &in));
	assert_int_equal(get_le32(b->cpu->fpu + XMM(1)), 0x105);
	assert_int_equal(get_le32(b->cpu->fpu + XMM(1) + 4), 0x77777777);
	assert_int_equal(get_le32(b->cpu->fpu + 576 + 16), 0x99);
	assert_int_equal(get_le32(b->cpu->fpu + XMM(2)), 0);
}

static void evex_moves(void **state)
{
	/* VMOVDQU8 zmm1{k1}{z}, [m] across the hole, and the store; opmask at 1088, ZMM_Hi256 at 1152 on Intel */
	struct bench *b = *state;
	struct insn in = mem_insn(HOLE - 3, 4);
	uint32_t r[4];
	static const uint8_t load[] = { 0x62, 0xf1, 0x7f, 0xc9, 0x6f, 0x0c, 0x25 },
		store[] = { 0x62, 0xf1, 0x7f, 0x49, 0x7f, 0x0c, 0x25 };

	if (!go_fpu(b, 0xe7))
		skip();
	cpuid_answer(b->cpu, 0xd, 5, r);
	memcpy(in.raw, load, sizeof(load));
	memset(b->cpu->fpu + XMM(1), 0xcc, 16);
	put_le64(b->cpu->fpu + r[1] + 8, 5);
	put_le32(b->ram + HOLE - 4, 0x33221100);
	assert_true(run_fpu(b, insn_vector_mem, &in));
	assert_int_equal(get_le64(b->cpu->fpu + XMM(1)), 0x330011);
	assert_int_equal(get_le64(b->cpu->fpu + 576 + 16), 0);
	memcpy(in.raw, store, sizeof(store));
	put_le32(b->cpu->fpu + XMM(1), 0xaabbcc);
	assert_true(run_fpu(b, insn_vector_mem, &in));
	assert_int_equal(get_le32(b->ram + HOLE - 4), 0xaa22cc00);
	put_le64(b->cpu->fpu + r[1] + 8, 8);
	assert_false(run_fpu(b, insn_vector_mem, &in));
	assert_raised(b, EXC_PF, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(fxsave_image), BENCH_TEST(fx_refusals), BENCH_TEST(xsave_round_trip), BENCH_TEST(xrstor_refusals),
		BENCH_TEST(environment), BENCH_TEST(nm_or_ud), BENCH_TEST(maskmov), BENCH_TEST(vmaskmov), BENCH_TEST(gather),
		BENCH_TEST(evex_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
