// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of insn/int.c and iret.c: frames, error codes, stack switches and returns in every mode */
#include "insn/bench.h"

static const struct cpu_event irq20 = { .vector = 0x20, .ext = true };
static const struct insn iret2 = { .len = 1, .opsize = 2 }, iret4 = { .len = 2, .opsize = 4 },
	iret8 = { .len = 2, .opsize = 8 };

static void real_frame(void **state)
{
	/* SDM vol 3 20.1.4: FLAGS, CS, IP pushed as words, IF and TF cleared, target from the IVT */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	cpu_set_seg_real(b->cpu, SEG_CS, 0x1000);
	s->idt_limit = 0x3ff;
	s->gpr[RSP] = 0x8000;
	s->rip = 0x123;
	s->rflags = FL_FIXED | FL_IF | FL_TF | FL_CF;
	put_le32(b->ram + 0x20 * 4, 0x12345678);
	assert_true(deliver(b, &irq20));
	assert_int_equal(s->seg[SEG_CS].sel, 0x1234);
	assert_int_equal(s->rip, 0x5678);
	assert_int_equal(s->gpr[RSP], 0x7ffa);
	assert_int_equal(s->rflags, FL_FIXED | FL_CF);
	assert_int_equal(get_le16(b->ram + 0x7ffa), 0x123);
	assert_int_equal(get_le16(b->ram + 0x7ffc), 0x1000);
	assert_int_equal(get_le16(b->ram + 0x7ffe), FL_FIXED | FL_IF | FL_TF | FL_CF);
	assert_true(run(b, insn_iret, &iret2));
	assert_int_equal(b->cpu->next_rip, 0x123);
	assert_int_equal(s->seg[SEG_CS].base, 0x10000);
	assert_int_equal(s->rflags, FL_FIXED | FL_IF | FL_TF | FL_CF);
}

static void real_limit(void **state)
{
	/* a vector beyond the IVT's limit is #GP */
	struct bench *b = *state;

	b->cpu->s.idt_limit = 0x20 * 4 + 2;
	assert_false(deliver(b, &irq20));
	assert_int_equal(b->cpu->event.vector, EXC_GP);
}

static void protected_same_level(void **state)
{
	/* an exception with error code at CPL 0: EFLAGS with RF, CS, EIP, error */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct cpu_event ev = { .vector = EXC_GP, .has_error = true, .error = 0x18 };

	go_protected(b);
	put_gate(b, IDT + 13 * 8, CS32, 0x5000, 14, 0, 0);
	s->rflags |= FL_IF | FL_NT;
	assert_true(deliver(b, &ev));
	assert_int_equal(s->rip, 0x5000);
	assert_int_equal(s->gpr[RSP], STACK0 - 16);
	assert_int_equal(get_le32(b->ram + STACK0 - 16), 0x18);
	assert_int_equal(get_le32(b->ram + STACK0 - 12), 0x7000);
	assert_int_equal(get_le32(b->ram + STACK0 - 8), CS32);
	assert_int_equal(get_le32(b->ram + STACK0 - 4), FL_FIXED | FL_IF | FL_NT | FL_RF);
	assert_int_equal(s->rflags, FL_FIXED);
	assert_int_equal(b->ram[GDT + CS32 + 5] & 1, 1);
}

static void protected_inner(void **state)
{
	/* from CPL 3 through a trap gate: SS0:ESP0, old SS:ESP in the frame, IF kept; IRET returns and nulls inner
	 * segments */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_protected(b);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	s->gpr[RSP] = STACK3;
	s->rflags |= FL_IF;
	put_gate(b, IDT + 0x20 * 8, CS32, 0x5000, 15, 0, 0);
	assert_true(deliver(b, &irq20));
	assert_int_equal(s->cpl, 0);
	assert_int_equal(s->seg[SEG_SS].sel, DS32);
	assert_int_equal(s->gpr[RSP], STACK0 - 20);
	assert_int_equal(get_le32(b->ram + STACK0 - 4), UDS32 | 3);
	assert_int_equal(get_le32(b->ram + STACK0 - 8), STACK3);
	assert_true(s->rflags & FL_IF);
	assert_true(run(b, insn_iret, &iret4));
	assert_int_equal(s->cpl, 3);
	assert_int_equal(s->gpr[RSP], STACK3);
	assert_int_equal(s->seg[SEG_SS].sel, UDS32 | 3);
	assert_int_equal(b->cpu->next_rip, 0x7000);
	assert_int_equal(s->seg[SEG_DS].sel, 0); /* DPL 0 data may not stay */
}

static void gate_errors(void **state)
{
	/* error codes: IDT bit and EXT for interrupts, no EXT for INT n; gate DPL only for INT n */
	struct bench *b = *state;
	struct insn in = { .len = 2, .imm = 0x20 };

	go_protected(b);
	b->cpu->s.idt_limit = 0x20 * 8;
	assert_false(deliver(b, &irq20));
	assert_raised(b, EXC_GP, 0x20 * 8 + 3);
	b->cpu->s.idt_limit = 0x7ff;
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	put_gate(b, IDT + 0x20 * 8, CS32, 0x5000, 14, 0, 0);
	assert_false(run(b, insn_int, &in));
	assert_raised(b, EXC_GP, 0x20 * 8 + 2);
	assert_int_equal(b->cpu->s.rip, 0x7000);
	put_gate(b, IDT + 0x20 * 8, CS32, 0x5000, 14, 3, 0);
	b->ram[IDT + 0x20 * 8 + 5] &= 0x7f;
	assert_false(run(b, insn_int, &in));
	assert_raised(b, EXC_NP, 0x20 * 8 + 2);
	put_gate(b, IDT + 0x20 * 8, DS32, 0x5000, 14, 3, 0);
	assert_false(run(b, insn_int, &in));
	assert_raised(b, EXC_GP, DS32);
	put_gate(b, IDT + 0x20 * 8, CS32, 0x5000, 14, 3, 0);
	put_le32(b->ram + TSS + 8, UDS32);
	assert_false(run(b, insn_int, &in));
	assert_raised(b, EXC_TS, UDS32);
}

static void int_pushes_next(void **state)
{
	/* INT n pushes the address behind it */
	struct bench *b = *state;
	struct insn in = { .len = 2, .imm = 0x80 };

	go_protected(b);
	put_gate(b, IDT + 0x80 * 8, CS32, 0x5000, 15, 3, 0);
	assert_true(run(b, insn_int, &in));
	assert_int_equal(get_le32(b->ram + STACK0 - 12), 0x7002);
	assert_int_equal(b->cpu->next_rip, 0x5000);
}

static void long_same_level(void **state)
{
	/* SDM vol 3 6.14: RSP aligned to 16, SS:RSP always pushed, eight-byte slots; IRETQ undoes it */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct cpu_event ev = { .vector = EXC_PF, .has_error = true, .error = 7, .cr2 = 0x1234 };

	go_long(b);
	s->gpr[RSP] = STACK0 - 3;
	put_gate64(b, 14, 0x500000000ull, 14, 0, 0);
	assert_true(deliver(b, &ev));
	assert_int_equal(s->rip, 0x500000000ull);
	assert_int_equal(s->cr2, 0x1234);
	assert_int_equal(s->gpr[RSP], STACK0 - 16 - 48);
	assert_int_equal(get_le64(b->ram + STACK0 - 64), 7);
	assert_int_equal(get_le64(b->ram + STACK0 - 56), 0x7000);
	assert_int_equal(get_le64(b->ram + STACK0 - 48), CS64);
	assert_int_equal(get_le64(b->ram + STACK0 - 40), FL_FIXED | FL_RF);
	assert_int_equal(get_le64(b->ram + STACK0 - 32), STACK0 - 3);
	assert_int_equal(get_le64(b->ram + STACK0 - 24), DS32);
	s->gpr[RSP] += 8;
	assert_true(run(b, insn_iret, &iret8));
	assert_int_equal(b->cpu->next_rip, 0x7000);
	assert_int_equal(s->gpr[RSP], STACK0 - 3);
}

static void long_inner_and_ist(void **state)
{
	/* from CPL 3: RSP0 and a null SS; with IST its stack, whatever the level */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_long(b);
	put_le64(b->ram + TSS + 4, STACK0);
	put_le64(b->ram + TSS + 36, 0xb000);
	put_gate64(b, 0x20, 0x5000, 14, 0, 0);
	set_cpl(b, UCS64 | 3, UDS32 | 3);
	s->gpr[RSP] = STACK3;
	assert_true(deliver(b, &irq20));
	assert_int_equal(s->cpl, 0);
	assert_int_equal(s->seg[SEG_SS].sel, 0);
	assert_true(s->seg[SEG_SS].attr & SEGA_NULL);
	assert_int_equal(s->gpr[RSP], STACK0 - 40);
	put_gate64(b, 0x20, 0x5000, 14, 0, 1);
	assert_true(deliver(b, &irq20));
	assert_int_equal(s->gpr[RSP], 0xb000 - 40);
	assert_int_equal(get_le64(b->ram + 0xb000 - 16), STACK0 - 40);
	assert_true(run(b, insn_iret, &iret8)); /* to CPL 0 with the null SS */
	assert_int_equal(s->gpr[RSP], STACK0 - 40);
	assert_true(run(b, insn_iret, &iret8));
	assert_int_equal(s->cpl, 3);
	assert_int_equal(s->seg[SEG_SS].sel, UDS32 | 3);
}

static void long_to_compat(void **state)
{
	/* IRETQ to 32-bit user code */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_long(b);
	s->gpr[RSP] = STACK0;
	put_le64(b->ram + STACK0, 0x1234);
	put_le64(b->ram + STACK0 + 8, UCS32 | 3);
	put_le64(b->ram + STACK0 + 16, FL_IF);
	put_le64(b->ram + STACK0 + 24, 0xffff1000);
	put_le64(b->ram + STACK0 + 32, UDS32 | 3);
	assert_true(run(b, insn_iret, &iret8));
	assert_false(cpu_code64(b->cpu));
	assert_int_equal(s->gpr[RSP], 0xffff1000);
	assert_int_equal(s->rflags, FL_FIXED | FL_IF);
}

static void long_faults(void **state)
{
	/* a non-canonical inner stack is #SS(EXT), a page fault while pushing is a supervisor write and changes nothing */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_long(b);
	put_gate64(b, 0x20, 0x5000, 14, 0, 0);
	set_cpl(b, UCS64 | 3, UDS32 | 3);
	s->gpr[RSP] = STACK3;
	put_le64(b->ram + TSS + 4, 1ull << 60);
	assert_false(deliver(b, &irq20));
	assert_raised(b, EXC_SS, 1);
	put_le64(b->ram + TSS + 4, HOLE + 0x100);
	assert_false(deliver(b, &irq20));
	assert_raised(b, EXC_PF, 2);
	assert_int_equal(s->cpl, 3);
	assert_int_equal(s->gpr[RSP], STACK3);
	assert_int_equal(s->rip, 0x7000);
}

static void iret_refusals(void **state)
{
	/* IRET checks: null CS, RPL below CPL, SS that does not match, each before anything changed */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_protected(b);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	s->gpr[RSP] = STACK3;
	put_le32(b->ram + STACK3, 0x1234);
	put_le32(b->ram + STACK3 + 4, 0);
	put_le32(b->ram + STACK3 + 8, FL_IF);
	assert_false(run(b, insn_iret, &iret4));
	assert_raised(b, EXC_GP, 0);
	put_le32(b->ram + STACK3 + 4, CS32);
	assert_false(run(b, insn_iret, &iret4));
	assert_raised(b, EXC_GP, CS32);
	put_le32(b->ram + STACK3 + 4, UCS32 | 3);
	assert_true(run(b, insn_iret, &iret4));
	assert_false(s->rflags & FL_IF); /* IOPL 0 at CPL 3 */
	assert_int_equal(s->gpr[RSP], STACK3 + 12);
}

static void vm86_round_trip(void **state)
{
	/* SDM vol 3 20.3: nine pushes on ESP0, data segments nulled; IRETD goes back */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_vm86(b, 3);
	put_gate(b, IDT + 0x20 * 8, CS32, 0x5000, 14, 0, 0);
	assert_true(deliver(b, &irq20));
	assert_int_equal(s->cpl, 0);
	assert_false(s->rflags & FL_VM);
	assert_int_equal(s->gpr[RSP], STACK0 - 36);
	assert_int_equal(get_le32(b->ram + STACK0 - 4), 0x600);   /* GS */
	assert_int_equal(get_le32(b->ram + STACK0 - 16), 0x100);  /* ES */
	assert_int_equal(get_le32(b->ram + STACK0 - 20), 0x300);  /* SS */
	assert_int_equal(get_le32(b->ram + STACK0 - 24), 0x800);
	assert_int_equal(get_le32(b->ram + STACK0 - 28), FL_FIXED | FL_VM | FL_IOPL);
	assert_int_equal(s->seg[SEG_GS].sel, 0);
	assert_true(run(b, insn_iret, &iret4));
	assert_int_equal(s->cpl, 3);
	assert_true(s->rflags & FL_VM);
	assert_int_equal(s->seg[SEG_GS].base, 0x6000);
	assert_int_equal(s->seg[SEG_CS].sel, 0x200);
	assert_int_equal(s->gpr[RSP], 0x800);
	assert_int_equal(b->cpu->next_rip, 0x50);
}

static void vm86_int_rules(void **state)
{
	/* INT n: #GP(0) below IOPL 3; with VME and a clear bitmap bit it goes through the IVT with VIF for IF */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = { .len = 2, .imm = 0x21 };

	go_vm86(b, 0);
	assert_false(run(b, insn_int, &in));
	assert_raised(b, EXC_GP, 0);
	s->cr4 |= CR4_VME;
	s->rflags |= FL_VIF;
	put_le16(b->ram + TSS + 0x66, 0x88);
	put_le32(b->ram + 0x21 * 4, 0x00700010);
	assert_true(run(b, insn_int, &in));
	assert_int_equal(s->seg[SEG_CS].sel, 0x70);
	assert_int_equal(b->cpu->next_rip, 0x10);
	assert_int_equal(get_le16(b->ram + 0x3000 + 0x7fe), FL_FIXED | FL_IF | FL_IOPL);
	assert_false(s->rflags & FL_VIF);
	assert_true(s->rflags & FL_VM);
	assert_true(run(b, insn_iret, &iret2));
	assert_true(s->rflags & FL_VIF);
	assert_false(s->rflags & FL_IF);
	assert_int_equal(s->rflags & FL_IOPL, 0);
}

static void combine(void **state)
{
	/* SDM vol 3 table 6-5 */
	struct cpu_event gp = { .vector = EXC_GP, .has_error = true }, pf = { .vector = EXC_PF, .has_error = true };
	struct cpu_event ud = { .vector = EXC_UD }, ev = gp;

	assert_true(insn_combine(&ev, &pf)); /* contributory then page fault: serial */
	assert_int_equal(ev.vector, EXC_PF);
	assert_true(insn_combine(&ev, &gp));
	assert_int_equal(ev.vector, EXC_DF);
	assert_true(ev.has_error);
	assert_false(insn_combine(&ev, &pf));
	ev = ud;
	assert_true(insn_combine(&ev, &gp));
	assert_int_equal(ev.vector, EXC_GP);
	ev = irq20;
	ev.vector = EXC_GP; /* an interrupt with a low vector is benign */
	assert_true(insn_combine(&ev, &gp));
	assert_int_equal(ev.vector, EXC_GP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(real_frame), BENCH_TEST(real_limit), BENCH_TEST(protected_same_level), BENCH_TEST(protected_inner),
		BENCH_TEST(gate_errors), BENCH_TEST(int_pushes_next), BENCH_TEST(long_same_level),
		BENCH_TEST(long_inner_and_ist),
		BENCH_TEST(long_to_compat), BENCH_TEST(long_faults), BENCH_TEST(iret_refusals), BENCH_TEST(vm86_round_trip),
		BENCH_TEST(vm86_int_rules), BENCH_TEST(combine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
