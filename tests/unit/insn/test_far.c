// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of insn/far.c and task.c: direct transfers, call gates, returns, hardware task switches */
#include "insn/bench.h"

static struct insn far_imm(unsigned sel, uint64_t off)
{
	return (struct insn){ .len = 7, .opsize = 4, .imm = off, .imm2 = sel };
}

static void direct_jump(void **state)
{
	/* JMP ptr16:32: DPL and RPL rules, conforming code keeps CPL, type and presence */
	struct bench *b = *state;
	struct insn in = far_imm(CS32, 0x1234);

	go_protected(b);
	assert_true(run(b, insn_jmp_far, &in));
	assert_int_equal(b->cpu->next_rip, 0x1234);
	in = far_imm(UCS32, 0);
	assert_false(run(b, insn_jmp_far, &in));
	assert_raised(b, EXC_GP, UCS32);
	in = far_imm(DS32, 0);
	assert_false(run(b, insn_jmp_far, &in));
	assert_raised(b, EXC_GP, DS32);
	in = far_imm(0, 0);
	assert_false(run(b, insn_jmp_far, &in));
	assert_raised(b, EXC_GP, 0);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	in = far_imm(CONF, 0x10);
	assert_true(run(b, insn_jmp_far, &in));
	assert_int_equal(b->cpu->s.cpl, 3);
	assert_int_equal(b->cpu->s.seg[SEG_CS].sel, CONF | 3);
	in = far_imm(UCS16 | 3, 0x10000);
	assert_false(run(b, insn_jmp_far, &in));
	assert_raised(b, EXC_GP, 0); /* beyond the segment's limit */
}

static void real_call(void **state)
{
	/* real mode: CALL far pushes CS:IP, RET far n pops them and n bytes */
	struct bench *b = *state;
	struct insn in = { .len = 5, .opsize = 2, .imm = 0x10, .imm2 = 0x2000 };

	b->cpu->s.gpr[RSP] = 0x8000;
	b->cpu->s.rip = 0x100;
	assert_true(run(b, insn_call_far, &in));
	assert_int_equal(b->cpu->s.seg[SEG_CS].base, 0x20000);
	assert_int_equal(b->cpu->next_rip, 0x10);
	assert_int_equal(get_le16(b->ram + 0x7ffc), 0x105);
	in = (struct insn){ .len = 3, .opsize = 2, .imm = 6 };
	assert_true(run(b, insn_ret_far, &in));
	assert_int_equal(b->cpu->next_rip, 0x105);
	assert_int_equal(b->cpu->s.gpr[RSP], 0x8006);
}

static void call_gate(void **state)
{
	/* CALL through a 32-bit gate to CPL 0 copies parameters; RET n drops them on both stacks */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = far_imm(GATE | 3, 0xdead);

	go_protected(b);
	put_gate(b, GDT + GATE, CS32, 0x5000, 12, 3, 2);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	s->gpr[RSP] = STACK3;
	put_le32(b->ram + STACK3, 0x11111111);
	put_le32(b->ram + STACK3 + 4, 0x22222222);
	assert_true(run(b, insn_call_far, &in));
	assert_int_equal(s->cpl, 0);
	assert_int_equal(b->cpu->next_rip, 0x5000);
	assert_int_equal(s->gpr[RSP], STACK0 - 24);
	assert_int_equal(get_le32(b->ram + STACK0 - 24), 0x7007);
	assert_int_equal(get_le32(b->ram + STACK0 - 20), UCS32 | 3);
	assert_int_equal(get_le32(b->ram + STACK0 - 16), 0x11111111);
	assert_int_equal(get_le32(b->ram + STACK0 - 12), 0x22222222);
	assert_int_equal(get_le32(b->ram + STACK0 - 8), STACK3);
	assert_int_equal(get_le32(b->ram + STACK0 - 4), UDS32 | 3);
	in = (struct insn){ .len = 3, .opsize = 4, .imm = 8 };
	assert_true(run(b, insn_ret_far, &in));
	assert_int_equal(s->cpl, 3);
	assert_int_equal(s->gpr[RSP], STACK3 + 8);
	assert_int_equal(b->cpu->next_rip, 0x7007);
}

static void call_gate_checks(void **state)
{
	/* gate DPL below CPL or RPL: #GP(gate); not present: #NP(gate); JMP may not change the level: #GP(code) */
	struct bench *b = *state;
	struct insn in = far_imm(GATE, 0);

	go_protected(b);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	put_gate(b, GDT + GATE, CS32, 0x5000, 12, 0, 0);
	assert_false(run(b, insn_call_far, &in));
	assert_raised(b, EXC_GP, GATE);
	put_gate(b, GDT + GATE, CS32, 0x5000, 12, 3, 0);
	assert_false(run(b, insn_jmp_far, &in));
	assert_raised(b, EXC_GP, CS32);
	b->ram[GDT + GATE + 5] &= 0x7f;
	assert_false(run(b, insn_call_far, &in));
	assert_raised(b, EXC_NP, GATE);
}

static void call_gate64(void **state)
{
	/* IA-32e mode: a 16-byte gate, 64-bit stack, null SS, eight-byte slots */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = { .len = 3, .opsize = 4, .has_mem = true, .seg = SEG_DS, .base = INSN_NOREG, .index = INSN_NOREG,
		.adsize = 8,
			   .disp = DATA };

	go_long(b);
	put_gate(b, GDT + GATE, CS64, 0x5000, 12, 3, 0);
	put_le64(b->ram + GDT + GATE + 8, 1);
	put_le64(b->ram + TSS + 4, STACK0);
	put_le32(b->ram + DATA, 0xdead);
	put_le16(b->ram + DATA + 4, GATE | 3);
	set_cpl(b, UCS64 | 3, UDS32 | 3);
	s->gpr[RSP] = STACK3;
	assert_true(run(b, insn_call_far, &in));
	assert_int_equal(b->cpu->next_rip, 0x100005000ull);
	assert_int_equal(s->gpr[RSP], STACK0 - 32);
	assert_int_equal(get_le64(b->ram + STACK0 - 8), UDS32 | 3);
	assert_int_equal(get_le64(b->ram + STACK0 - 16), STACK3);
	assert_true(s->seg[SEG_SS].attr & SEGA_NULL);
	in = (struct insn){ .len = 2, .opsize = 8 };
	assert_true(run(b, insn_ret_far, &in));
	assert_int_equal(s->cpl, 3);
	assert_int_equal(s->gpr[RSP], STACK3);
}

static void pointer64(void **state)
{
	/* REX.W JMP m16:64, on AMD m16:32; what a return to an outer level reads before it looks at CS */
	struct bench *b = *state;
	struct insn in = { .len = 3, .opsize = 8, .has_mem = true, .seg = SEG_DS, .base = INSN_NOREG,
		.index = INSN_NOREG, .adsize = 8, .disp = DATA };

	go_long(b);
	put_le64(b->ram + DATA, 0x4567 | (uint64_t)CS64 << 32);
	put_le16(b->ram + DATA + 8, CS64);
	b->model->vendor = VENDOR_INTEL;
	assert_true(run(b, insn_jmp_far, &in));
	assert_int_equal(b->cpu->next_rip, 0x4567 | (uint64_t)CS64 << 32);
	b->model->vendor = VENDOR_AMD;
	assert_true(run(b, insn_jmp_far, &in));
	assert_int_equal(b->cpu->next_rip, 0x4567);
	in = (struct insn){ .len = 2, .opsize = 8 };
	put_le64(b->ram + HOLE - 16, 0x1000);
	put_le64(b->ram + HOLE - 8, GDT_END | 3);
	b->cpu->s.gpr[RSP] = HOLE - 16;
	assert_false(run(b, insn_ret_far, &in));
	assert_raised(b, EXC_PF, 0);
	assert_int_equal(b->cpu->event.cr2, HOLE + 8); /* SS first */
	b->model->vendor = VENDOR_INTEL;
	assert_false(run(b, insn_ret_far, &in));
	assert_raised(b, EXC_GP, GDT_END);
}

static void to_compat(void **state)
{
	/* far RET from 64-bit to 32-bit code at the same level, and JMP back */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = { .len = 2, .opsize = 8 };

	go_long(b);
	b->model->vendor = VENDOR_AMD; /* which looks at all of RIP */
	put_le64(b->ram + STACK0, 0x100001000);
	put_le64(b->ram + STACK0 + 8, CS32);
	assert_false(run(b, insn_ret_far, &in));
	assert_raised(b, EXC_GP, 0);
	b->model->vendor = VENDOR_INTEL;
	assert_true(run(b, insn_ret_far, &in));
	assert_false(cpu_code64(b->cpu));
	assert_int_equal(s->gpr[RSP], STACK0 + 16);
	in = far_imm(CS64, 0x2000);
	assert_true(run(b, insn_jmp_far, &in));
	assert_true(cpu_code64(b->cpu));
}

static void put_task(struct bench *b, uint32_t eip, uint32_t eflags)
{
	uint8_t *t = b->ram + TSS2;

	put_le32(t + 0x20, eip);
	put_le32(t + 0x24, eflags);
	put_le32(t + 0x28, 0xaaaa);
	put_le32(t + 0x38, 0x6000);
	put_le16(t + 0x48, DS32);
	put_le16(t + 0x4c, CS32);
	put_le16(t + 0x50, DS32);
	put_le16(t + 0x54, DS32);
}

static void task_round_trip(void **state)
{
	/* CALL TSS saves the old task, links and marks busy; IRET with NT goes back */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = far_imm(TR2, 0), iret = { .len = 1, .opsize = 4 };

	go_protected(b);
	b->ram[GDT + TR + 5] = 0x8b;
	put_task(b, 0x4444, FL_FIXED);
	s->gpr[RBX] = 0xbbbb;
	s->rflags |= FL_CF;
	assert_true(run(b, insn_call_far, &in));
	assert_int_equal(s->rip, 0x4444);
	assert_int_equal(b->cpu->next_rip, 0x4444);
	assert_int_equal(s->gpr[RAX], 0xaaaa);
	assert_int_equal(s->gpr[RSP], 0x6000);
	assert_int_equal(s->tr.sel, TR2);
	assert_true(s->rflags & FL_NT);
	assert_true(s->cr0 & CR0_TS);
	assert_int_equal(get_le16(b->ram + TSS2), TR);
	assert_int_equal(b->ram[GDT + TR2 + 5], 0x8b);
	assert_int_equal(b->ram[GDT + TR + 5], 0x8b);
	assert_int_equal(get_le32(b->ram + TSS + 0x20), 0x7007);
	assert_int_equal(get_le32(b->ram + TSS + 0x34), 0xbbbb);
	assert_true(run(b, insn_iret, &iret));
	assert_int_equal(b->cpu->next_rip, 0x7007);
	assert_int_equal(s->gpr[RBX], 0xbbbb);
	assert_int_equal(s->rflags, FL_FIXED | FL_CF);
	assert_int_equal(b->ram[GDT + TR2 + 5], 0x89);
	assert_false(get_le32(b->ram + TSS2 + 0x24) & FL_NT);
}

static void task_faults(void **state)
{
	/* busy target: #GP of the old task; a bad SS: #TS in the new task with its EIP */
	struct bench *b = *state;
	struct insn in = far_imm(TASK, 0);

	go_protected(b);
	b->ram[GDT + TR + 5] = 0x8b;
	put_task(b, 0x4444, FL_FIXED);
	b->ram[GDT + TR2 + 5] = 0x8b;
	assert_false(run(b, insn_jmp_far, &in));
	assert_raised(b, EXC_GP, TR2);
	assert_int_equal(b->cpu->s.tr.sel, TR);
	b->ram[GDT + TR2 + 5] = 0x89;
	put_le16(b->ram + TSS2 + 0x50, UDS32 | 3);
	assert_false(run(b, insn_jmp_far, &in));
	assert_raised(b, EXC_TS, UDS32);
	assert_int_equal(b->cpu->s.tr.sel, TR2);
	assert_int_equal(b->cpu->s.rip, 0x4444);
	assert_int_equal(b->ram[GDT + TR + 5], 0x89);
}

static void task_gate_event(void **state)
{
	/* an exception through a task gate pushes its error code on the new task's stack */
	struct bench *b = *state;
	struct cpu_event ev = { .vector = EXC_DF, .has_error = true };

	go_protected(b);
	put_task(b, 0x4444, FL_FIXED);
	put_gate(b, IDT + 8 * 8, TR2, 0, 5, 0, 0);
	put_le32(b->ram + 0x6000 - 4, 0xffffffff);
	assert_true(deliver(b, &ev));
	assert_int_equal(b->cpu->s.gpr[RSP], 0x6000 - 4);
	assert_int_equal(get_le32(b->ram + 0x6000 - 4), 0);
	assert_int_equal(get_le32(b->ram + TSS + 0x20), 0x7000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(direct_jump), BENCH_TEST(real_call), BENCH_TEST(call_gate), BENCH_TEST(call_gate_checks),
		BENCH_TEST(call_gate64), BENCH_TEST(pointer64), BENCH_TEST(to_compat), BENCH_TEST(task_round_trip),
		BENCH_TEST(task_faults), BENCH_TEST(task_gate_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
