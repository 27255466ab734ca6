// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of insn/seg.c and table.c: segment loads with their error codes, descriptor tables, LAR and its kin */
#include "insn/bench.h"

static struct insn mov_seg(unsigned n)
{
	return (struct insn){ .len = 2, .reg = (uint8_t)n, .rm = RAX, .opsize = 2 };
}

static bool load(struct bench *b, unsigned n, unsigned sel)
{
	struct insn in = mov_seg(n);

	b->cpu->s.gpr[RAX] = sel;
	return run(b, insn_mov_to_seg, &in);
}

static void real_load(void **state)
{
	/* real mode: base = selector * 16, the limit of unreal mode stays */
	struct bench *b = *state;

	b->cpu->s.seg[SEG_DS].limit = UINT32_MAX;
	assert_true(load(b, SEG_DS, 0x1234));
	assert_int_equal(b->cpu->s.seg[SEG_DS].base, 0x12340);
	assert_int_equal(b->cpu->s.seg[SEG_DS].limit, UINT32_MAX);
	assert_true(load(b, SEG_SS, 0x100));
	assert_true(b->cpu->s.int_shadow);
	assert_true(b->cpu->s.shadow_ss);
}

static void data_checks(void **state)
{
	/* MOV DS: table limit, type, privilege, presence, each with selector | TI as error code; null is fine */
	struct bench *b = *state;

	go_protected(b);
	assert_true(load(b, SEG_DS, 3));
	assert_true(b->cpu->s.seg[SEG_DS].attr & SEGA_NULL);
	assert_false(load(b, SEG_DS, GDT_END));
	assert_raised(b, EXC_GP, GDT_END);
	assert_false(load(b, SEG_DS, 0x14));
	assert_raised(b, EXC_GP, 0x14); /* no LDT */
	assert_false(load(b, SEG_DS, XCODE));
	assert_raised(b, EXC_GP, XCODE);
	assert_false(load(b, SEG_DS, TR));
	assert_raised(b, EXC_GP, TR);
	assert_false(load(b, SEG_DS, NPDATA | 2));
	assert_raised(b, EXC_NP, NPDATA);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	assert_false(load(b, SEG_DS, DS32));
	assert_raised(b, EXC_GP, DS32);
	assert_true(load(b, SEG_DS, CONF | 3));
	assert_true(load(b, SEG_ES, UDS32));
	assert_int_equal(b->ram[GDT + UDS32 + 5] & 1, 1);
}

static void ss_checks(void **state)
{
	/* MOV SS: null, RPL or DPL other than CPL, not writable: #GP; not present: #SS; CS: #UD */
	struct bench *b = *state;

	go_protected(b);
	assert_false(load(b, SEG_SS, 0));
	assert_raised(b, EXC_GP, 0);
	assert_false(load(b, SEG_SS, DS32 | 1));
	assert_raised(b, EXC_GP, DS32);
	assert_false(load(b, SEG_SS, UDS32));
	assert_raised(b, EXC_GP, UDS32);
	put_desc(b, NPDATA, 0, 0xfffff, 0xc012);
	assert_false(load(b, SEG_SS, NPDATA));
	assert_raised(b, EXC_SS, NPDATA);
	assert_false(load(b, SEG_CS, DS32));
	assert_raised(b, EXC_UD, 0);
	go_long(b);
	assert_true(load(b, SEG_SS, 0)); /* 64-bit code below CPL 3 */
}

static void push_pop(void **state)
{
	/* PUSH of a segment writes two bytes of a four-byte slot, on AMD all; POP that faults leaves ESP */
	struct bench *b = *state;
	struct insn in = { .len = 1, .reg = SEG_DS, .opsize = 4, .stsize = 4 };

	go_protected(b);
	b->model->vendor = VENDOR_AMD;
	put_le32(b->ram + STACK0 - 4, 0xaaaaaaaa);
	assert_true(run(b, insn_push_seg, &in));
	assert_int_equal(get_le32(b->ram + STACK0 - 4), DS32);
	b->cpu->s.gpr[RSP] = STACK0;
	b->model->vendor = VENDOR_INTEL;
	put_le32(b->ram + STACK0 - 4, 0xaaaaaaaa);
	assert_true(run(b, insn_push_seg, &in));
	assert_int_equal(get_le32(b->ram + STACK0 - 4), 0xaaaa0000 | DS32);
	put_le32(b->ram + STACK0 - 4, XCODE);
	assert_false(run(b, insn_pop_seg, &in));
	assert_int_equal(b->cpu->s.gpr[RSP], STACK0 - 4);
	put_le32(b->ram + STACK0 - 4, UDS32);
	assert_true(run(b, insn_pop_seg, &in));
	assert_int_equal(b->cpu->s.gpr[RSP], STACK0);
	assert_int_equal(b->cpu->s.seg[SEG_DS].sel, UDS32);
}

static void segment_limits(void **state)
{
	/* expand-down: offsets above the limit only; a write to read-only data is #GP(0), the stack's violation #SS(0) */
	struct bench *b = *state;
	struct insn in = { .len = 2, .has_mem = true, .seg = SEG_DS, .base = INSN_NOREG, .index = INSN_NOREG, .adsize = 4,
		.opsize = 2 };

	go_protected(b);
	cpu_set_seg(b->cpu, SEG_DS, 0x10, 0, 0xfff, 0x4097);
	in.disp = 0xfff;
	assert_false(run(b, insn_sldt, &in));
	assert_raised(b, EXC_GP, 0);
	in.disp = 0x1000;
	assert_true(run(b, insn_sldt, &in));
	cpu_set_seg(b->cpu, SEG_DS, 0x10, 0, 0xffff, 0x0091);
	assert_false(run(b, insn_sldt, &in));
	cpu_set_seg(b->cpu, SEG_SS, 0x10, 0, 0xffff, 0x0093);
	in.seg = SEG_SS;
	in.disp = 0xffff;
	assert_false(run(b, insn_sldt, &in));
	assert_raised(b, EXC_SS, 0);
}

static void tables(void **state)
{
	/* LTR wants an available TSS and marks it busy; LLDT a present LDT; both #UD outside protected mode */
	struct bench *b = *state;
	struct insn in = { .len = 3, .rm = RAX, .opsize = 2 };

	assert_false(run(b, insn_ltr, &in));
	assert_raised(b, EXC_UD, 0);
	go_protected(b);
	b->cpu->s.gpr[RAX] = TR;
	assert_true(run(b, insn_ltr, &in));
	assert_int_equal(b->ram[GDT + TR + 5], 0x8b);
	assert_int_equal(b->cpu->s.tr.base, TSS);
	assert_false(run(b, insn_ltr, &in));
	assert_raised(b, EXC_GP, TR);
	b->cpu->s.gpr[RAX] = LDT;
	assert_true(run(b, insn_lldt, &in));
	assert_int_equal(b->cpu->s.ldtr.base, 0x4000);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	assert_false(run(b, insn_lldt, &in));
	assert_raised(b, EXC_GP, 0);
	in.rm = RCX;
	assert_true(run(b, insn_sldt, &in)); /* not privileged without UMIP */
	assert_int_equal(b->cpu->s.gpr[RCX], LDT);
	b->cpu->s.cr4 |= CR4_UMIP;
	assert_false(run(b, insn_sldt, &in));
	assert_raised(b, EXC_GP, 0);
}

static void pseudo_descriptors(void **state)
{
	/* LGDT with a 16-bit operand size takes 24 bits of base; SGDT writes all */
	struct bench *b = *state;
	struct insn in = { .len = 3, .has_mem = true, .seg = SEG_DS, .base = INSN_NOREG, .index = INSN_NOREG, .adsize = 4,
		.opsize = 2,
			   .disp = DATA };

	go_protected(b);
	put_le16(b->ram + DATA, 0x77);
	put_le32(b->ram + DATA + 2, 0xff123456);
	assert_true(run(b, insn_lgdt, &in));
	assert_int_equal(b->cpu->s.gdt_base, 0x123456);
	assert_int_equal(b->cpu->s.gdt_limit, 0x77);
	in.opsize = 4;
	assert_true(run(b, insn_lidt, &in));
	assert_int_equal(b->cpu->s.idt_base, 0xff123456);
	in.disp = DATA + 16;
	assert_true(run(b, insn_sidt, &in));
	assert_int_equal(get_le32(b->ram + DATA + 18), 0xff123456);
	assert_int_equal(get_le16(b->ram + DATA + 22), 0);
}

static bool asks(struct bench *b, insn_fn *fn, unsigned sel)
{
	struct insn in = { .len = 3, .reg = RCX, .rm = RAX, .opsize = 4 };

	b->cpu->s.gpr[RAX] = sel;
	assert_true(run(b, fn, &in));
	return b->cpu->s.rflags & FL_ZF;
}

static void questions(void **state)
{
	/* LAR, LSL, VERR, VERW: ZF by visibility and type, no faults for bad selectors; ARPL raises RPL */
	struct bench *b = *state;
	struct insn arpl = { .len = 2, .reg = RCX, .rm = RAX, .opsize = 2 };

	go_protected(b);
	assert_true(asks(b, insn_lar, CS32));
	assert_int_equal(b->cpu->s.gpr[RCX], 0xcf9a00); /* the limit's bits 19:16 as well */
	assert_true(asks(b, insn_lsl, CS32));
	assert_int_equal(b->cpu->s.gpr[RCX], UINT32_MAX);
	assert_true(asks(b, insn_lar, TASK));
	assert_false(asks(b, insn_lsl, TASK));
	assert_false(asks(b, insn_lar, 0));
	assert_false(asks(b, insn_lar, 0xfff8));
	assert_true(asks(b, insn_verr, CS32));
	assert_false(asks(b, insn_verr, XCODE));
	assert_false(asks(b, insn_verw, RODATA | 3));
	assert_true(asks(b, insn_verw, UDS32 | 3));
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	assert_false(asks(b, insn_lar, DS32));
	b->cpu->s.gpr[RAX] = 0x10;
	b->cpu->s.gpr[RCX] = 3;
	assert_true(run(b, insn_arpl, &arpl));
	assert_int_equal(b->cpu->s.gpr[RAX], 0x13);
	assert_true(b->cpu->s.rflags & FL_ZF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(real_load), BENCH_TEST(data_checks), BENCH_TEST(ss_checks), BENCH_TEST(push_pop),
		BENCH_TEST(segment_limits),
		BENCH_TEST(tables), BENCH_TEST(pseudo_descriptors), BENCH_TEST(questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
