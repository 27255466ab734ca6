// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of insn/ctrl.c, msr.c, flags.c, syscall.c, bcd.c and stack.c */
#include "insn/bench.h"

static bool mov_cr(struct bench *b, unsigned n, uint64_t val)
{
	struct insn in = { .len = 3, .reg = (uint8_t)n, .rm = RAX, .opsize = 8 };

	b->cpu->s.gpr[RAX] = val;
	return run(b, insn_mov_to_cr, &in);
}

static bool wrmsr(struct bench *b, uint32_t n, uint64_t val)
{
	struct insn in = { .len = 2 };

	b->cpu->s.gpr[RCX] = n;
	b->cpu->s.gpr[RAX] = (uint32_t)val;
	b->cpu->s.gpr[RDX] = val >> 32;
	return run(b, insn_wrmsr, &in);
}

static void enter_long_mode(void **state)
{
	/* SDM vol 3 9.8.5: PAE, LME, PG in this order gives LMA; the wrong orders are #GP */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_protected(b);
	assert_false(mov_cr(b, 0, CR0_PG));                /* without PE */
	assert_raised(b, EXC_GP, 0);
	assert_false(mov_cr(b, 0, CR0_PE | CR0_NW));       /* NW without CD */
	s->cr3 = PML4;
	assert_true(wrmsr(b, 0xc0000080, EFER_LME));
	assert_false(mov_cr(b, 0, CR0_PE | CR0_PG));       /* no PAE */
	assert_true(mov_cr(b, 4, CR4_PAE));
	assert_true(mov_cr(b, 0, CR0_PE | CR0_PG));
	assert_true(cpu_long_mode(b->cpu));
	assert_false(mov_cr(b, 4, 0));                     /* PAE stays */
	assert_false(wrmsr(b, 0xc0000080, 0));             /* so does LME */
	set_cpl(b, CS64, DS32);
	assert_false(mov_cr(b, 0, CR0_PE));                /* not from 64-bit code */
	set_cpl(b, CS32, DS32);
	assert_true(mov_cr(b, 0, CR0_PE));
	assert_false(cpu_long_mode(b->cpu));
	assert_int_equal(s->efer & EFER_LME, EFER_LME);
}

static void pae_pdptes(void **state)
{
	/* PAE paging: PDPTEs are loaded with CR0.PG; a reserved bit in a present one is #GP and changes nothing */
	struct bench *b = *state;

	go_protected(b);
	b->cpu->s.cr3 = 0xa000;
	put_le64(b->ram + 0xa000, (PML4 + 0x2000) | 1);
	put_le64(b->ram + 0xa008, 0x8003);
	assert_true(mov_cr(b, 4, CR4_PAE));
	assert_false(mov_cr(b, 0, CR0_PE | CR0_PG));
	assert_raised(b, EXC_GP, 0);
	assert_false(b->cpu->s.cr0 & CR0_PG);
	put_le64(b->ram + 0xa008, 0);
	assert_true(mov_cr(b, 0, CR0_PE | CR0_PG));
	assert_int_equal(b->cpu->s.pdpte[0], (PML4 + 0x2000) | 1);
}

static void control_bits(void **state)
{
	/* reserved CR4 bits, CR8 range, CPL, LMSW cannot clear PE, CLTS */
	struct bench *b = *state;
	struct insn in = { .len = 3, .rm = RAX, .opsize = 2 };

	go_long(b);
	assert_false(mov_cr(b, 4, 1ull << 40));
	assert_false(mov_cr(b, 0, 1ull << 32));
	assert_false(mov_cr(b, 8, 16));
	assert_false(mov_cr(b, 5, 0));
	assert_raised(b, EXC_UD, 0);
	b->cpu->s.gpr[RAX] = CR0_TS;
	assert_true(run(b, insn_lmsw, &in));
	assert_int_equal(b->cpu->s.cr0 & (CR0_PE | CR0_TS), CR0_PE | CR0_TS);
	assert_true(run(b, insn_clts, &in));
	assert_false(b->cpu->s.cr0 & CR0_TS);
	set_cpl(b, UCS64 | 3, UDS32 | 3);
	assert_false(mov_cr(b, 3, 0));
	assert_raised(b, EXC_GP, 0);
	assert_false(run(b, insn_hlt, &in));
	assert_true(run(b, insn_smsw, &in));
}

static void debug_registers(void **state)
{
	/* DR4 and 5 alias unless DE; general detect is a #DB fault; fixed bits of DR6 and DR7 */
	struct bench *b = *state;
	struct insn in = { .len = 3, .reg = 4, .rm = RAX };

	go_long(b);
	b->cpu->s.gpr[RAX] = 0xffffffff;
	assert_true(run(b, insn_mov_to_dr, &in));
	assert_int_equal(b->cpu->s.dr[6], 0xffffeffful & ~0ul);
	b->cpu->s.cr4 |= CR4_DE;
	assert_false(run(b, insn_mov_to_dr, &in));
	assert_raised(b, EXC_UD, 0);
	in.reg = 7;
	b->cpu->s.gpr[RAX] = 1u << 13;
	assert_true(run(b, insn_mov_to_dr, &in));
	assert_int_equal(b->cpu->s.dr[7], 0x2400);
	assert_false(run(b, insn_mov_from_dr, &in));
	assert_int_equal(b->cpu->event.vector, EXC_DB);
	assert_int_equal(b->cpu->event.dr6, 1u << 13);
	b->cpu->s.dr[6] = 0xffff0ff0;
	assert_false(deliver(b, &b->cpu->event)); /* no gate: but DR6 and GD are updated first */
	assert_int_equal(b->cpu->s.dr[6], 0xffff2ff0);
	assert_int_equal(b->cpu->s.dr[7], 0x400);
}

static void msrs(void **state)
{
	/* unknown ones and bad values are #GP; the TSC moves TSC_ADJUST */
	struct bench *b = *state;
	struct insn in = { .len = 2 };

	go_long(b);
	b->cpu->s.gpr[RCX] = 0x12345;
	assert_false(run(b, insn_rdmsr, &in));
	assert_raised(b, EXC_GP, 0);
	assert_false(wrmsr(b, 0xc0000082, 1ull << 60));
	assert_true(wrmsr(b, 0xc0000082, 0xffffffff80000000));
	assert_false(wrmsr(b, 0x277, 2));
	assert_true(wrmsr(b, 0x277, 0x0007040600070406));
	assert_false(wrmsr(b, 0xfe, 0));
	assert_true(wrmsr(b, 0x8b, 0));
	assert_true(wrmsr(b, 0x10, 0));
	assert_true((int64_t)b->cpu->s.tsc_adjust < 0);
	b->cpu->s.gpr[RCX] = 0x10;
	assert_true(run(b, insn_rdmsr, &in));
	assert_int_equal(b->cpu->s.gpr[RDX], 0);
	assert_true(wrmsr(b, 0x6e0, 0) == false); /* no APIC here */
}

static void interrupt_flag(void **state)
{
	/* CLI and STI by IOPL, PVI and VME; the shadow only when IF was clear */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = { .len = 1 };

	go_protected(b);
	assert_true(run(b, insn_sti, &in));
	assert_true(s->int_shadow);
	s->int_shadow = false;
	assert_true(run(b, insn_sti, &in));
	assert_false(s->int_shadow);
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	assert_false(run(b, insn_cli, &in));
	assert_raised(b, EXC_GP, 0);
	s->cr4 |= CR4_PVI;
	s->rflags |= FL_VIF;
	assert_true(run(b, insn_cli, &in));
	assert_false(s->rflags & FL_VIF);
	assert_true(s->rflags & FL_IF);
	s->rflags |= FL_VIP;
	assert_false(run(b, insn_sti, &in));
	s->rflags = FL_FIXED | FL_IOPL;
	assert_true(run(b, insn_cli, &in));
}

static bool popf(struct bench *b, uint32_t val, unsigned size)
{
	struct insn in = { .len = 1, .opsize = (uint8_t)size };
	uint64_t at = b->cpu->s.seg[SEG_SS].base + (b->cpu->s.gpr[RSP] & 0xffff);

	put_le32(b->ram + at, val);
	put_le32(b->ram + at + 4, 0);
	return run(b, insn_popf, &in);
}

static void popf_rules(void **state)
{
	/* SDM vol 2 table 4-16: what POPF may change by CPL, IOPL and mode */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;

	go_protected(b);
	assert_true(popf(b, 0xffffffff, 4));
	assert_int_equal(s->rflags, 0x247fd7); /* not VM RF VIF VIP */
	set_cpl(b, UCS32 | 3, UDS32 | 3);
	s->rflags = FL_FIXED | FL_IF | 1u << 12;
	assert_true(popf(b, FL_IOPL | FL_CF, 4));
	assert_int_equal(s->rflags, FL_FIXED | FL_IF | 1u << 12 | FL_CF);
	s->rflags = FL_FIXED | FL_IOPL;
	assert_true(popf(b, FL_IF, 2));
	assert_int_equal(s->rflags, FL_FIXED | FL_IOPL | FL_IF);
	go_vm86(b, 0);
	assert_false(popf(b, FL_IF, 2));
	s->cr4 |= CR4_VME;
	assert_true(popf(b, FL_IF, 2));
	assert_int_equal(s->rflags, FL_FIXED | FL_VM | FL_VIF);
	assert_false(popf(b, FL_TF, 2));
	assert_raised(b, EXC_GP, 0);
}

static void pushf_vme(void **state)
{
	/* virtual-8086 below IOPL 3: VIF shows as IF and IOPL as 3 */
	struct bench *b = *state;
	struct insn in = { .len = 1, .opsize = 2 };

	go_vm86(b, 0);
	assert_false(run(b, insn_pushf, &in));
	b->cpu->s.cr4 |= CR4_VME;
	b->cpu->s.rflags |= FL_VIF;
	assert_true(run(b, insn_pushf, &in));
	assert_int_equal(get_le16(b->ram + 0x3000 + 0x7fe), FL_FIXED | FL_IF | FL_IOPL);
}

static void syscall_sysret(void **state)
{
	/* fixed segments, RCX and R11, FMASK; SYSRET checks RCX, but not on AMD, where SS changes its selector alone */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = { .len = 2, .opsize = 8 };

	go_long(b);
	b->model->vendor = VENDOR_INTEL;
	set_cpl(b, UCS64 | 3, UDS32 | 3);
	s->star = (uint64_t)CS32 << 32 | (uint64_t)(UCS32 | 3) << 48;
	s->lstar = 0xffffffff81000000;
	s->fmask = FL_IF | FL_DF;
	s->rflags |= FL_IF | FL_CF;
	assert_true(run(b, insn_syscall, &in));
	assert_int_equal(s->gpr[RCX], 0x7002);
	assert_int_equal(s->gpr[R11], FL_FIXED | FL_IF | FL_CF);
	assert_int_equal(s->rflags, FL_FIXED | FL_CF);
	assert_int_equal(s->cpl, 0);
	assert_true(cpu_code64(b->cpu));
	assert_int_equal(s->seg[SEG_SS].sel, CS32 + 8);
	assert_int_equal(b->cpu->next_rip, 0xffffffff81000000);
	assert_true(run(b, insn_sysret, &in));
	assert_int_equal(s->cpl, 3);
	assert_int_equal(s->seg[SEG_CS].sel, (UCS32 + 16) | 3);
	assert_true(s->rflags & FL_IF);
	assert_int_equal(b->cpu->next_rip, 0x7002);
	assert_false(run(b, insn_sysret, &in));
	assert_raised(b, EXC_GP, 0);
	set_cpl(b, CS64, 0);
	s->gpr[RCX] = 1ull << 47;
	assert_false(run(b, insn_sysret, &in));
	assert_raised(b, EXC_GP, 0);
	b->model->vendor = VENDOR_AMD;
	assert_true(run(b, insn_sysret, &in));
	assert_int_equal(b->cpu->next_rip, 1ull << 47);
	assert_int_equal(s->cpl, 3);
	assert_int_equal(s->seg[SEG_SS].sel, (UCS32 + 8) | 3);
	assert_true(s->seg[SEG_SS].attr & SEGA_NULL);
	s->efer &= ~(uint64_t)EFER_SCE;
	assert_false(run(b, insn_syscall, &in));
	assert_raised(b, EXC_UD, 0);
}

static void stac(void **state)
{
	/* STAC widens the supervisor's view at once; #UD in user code */
	struct bench *b = *state;
	struct insn in = { .len = 3 };

	go_long(b);
	b->model->smap = true;
	b->cpu->s.cr4 |= CR4_SMAP;
	b->cpu->view = cpu_view_now(b->cpu);
	assert_int_equal(b->cpu->view, VIEW_SUP);
	assert_true(run(b, insn_stac, &in));
	assert_int_equal(b->cpu->view, VIEW_SUP_AC);
	set_cpl(b, UCS64 | 3, UDS32 | 3);
	assert_false(run(b, insn_stac, &in));
	assert_raised(b, EXC_UD, 0);
}

static void decimal(void **state)
{
	/* SDM vol 2 examples: DAA of 79+35, DAS of 35-47, AAM, AAD, AAA */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = { .len = 1, .imm = 10 };

	s->gpr[RAX] = 0xae;
	s->rflags = FL_FIXED;
	assert_true(run(b, insn_daa, &in));
	assert_int_equal(s->gpr[RAX], 0x14);
	assert_int_equal(s->rflags & (FL_CF | FL_AF), FL_CF | FL_AF);
	s->gpr[RAX] = 0xee;
	s->rflags = FL_FIXED | FL_CF | FL_AF;
	assert_true(run(b, insn_das, &in));
	assert_int_equal(s->gpr[RAX], 0x88);
	assert_true(s->rflags & FL_CF);
	s->gpr[RAX] = 63;
	assert_true(run(b, insn_aam, &in));
	assert_int_equal(s->gpr[RAX], 0x603);
	assert_true(run(b, insn_aad, &in));
	assert_int_equal(s->gpr[RAX], 63);
	s->gpr[RAX] = 0x0b;
	s->rflags = FL_FIXED;
	assert_true(run(b, insn_aaa, &in));
	assert_int_equal(s->gpr[RAX], 0x101);
	in.imm = 0;
	assert_false(run(b, insn_aam, &in));
	assert_raised(b, EXC_DE, 0);
}

static void stack_forms(void **state)
{
	/* PUSHA pushes the old SP and POPA skips it; ENTER copies frame pointers; BOUND raises #BR */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct insn in = { .len = 1, .opsize = 4 };

	go_protected(b);
	for (unsigned i = 0; i < 8; i++)
		if (i != RSP)
			s->gpr[i] = 0x100 + i;
	assert_true(run(b, insn_pusha, &in));
	assert_int_equal(get_le32(b->ram + STACK0 - 20), STACK0);
	assert_int_equal(get_le32(b->ram + STACK0 - 4), 0x100);
	put_le32(b->ram + STACK0 - 20, 1);
	s->gpr[RDI] = 0;
	assert_true(run(b, insn_popa, &in));
	assert_int_equal(s->gpr[RSP], STACK0);
	assert_int_equal(s->gpr[RDI], 0x107);
	in = (struct insn){ .len = 4, .opsize = 4, .imm = 0x20, .imm2 = 2 };
	s->gpr[RBP] = 0x9100;
	put_le32(b->ram + 0x90fc, 0x5678);
	assert_true(run(b, insn_enter, &in));
	assert_int_equal(s->gpr[RBP], STACK0 - 4);
	assert_int_equal(s->gpr[RSP], STACK0 - 12 - 0x20);
	assert_int_equal(get_le32(b->ram + STACK0 - 4), 0x9100);
	assert_int_equal(get_le32(b->ram + STACK0 - 8), 0x5678);
	assert_int_equal(get_le32(b->ram + STACK0 - 12), STACK0 - 4);
	in = (struct insn){ .len = 2, .opsize = 2, .has_mem = true, .seg = SEG_DS, .base = INSN_NOREG, .index = INSN_NOREG,
		.adsize = 4,
			    .disp = DATA, .reg = RAX };
	put_le32(b->ram + DATA, 0x0005fffe);
	s->gpr[RAX] = 0xffff;
	assert_true(run(b, insn_bound, &in));
	s->gpr[RAX] = 6;
	assert_false(run(b, insn_bound, &in));
	assert_raised(b, EXC_BR, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(enter_long_mode), BENCH_TEST(pae_pdptes), BENCH_TEST(control_bits), BENCH_TEST(debug_registers),
		BENCH_TEST(msrs),
		BENCH_TEST(interrupt_flag), BENCH_TEST(popf_rules), BENCH_TEST(pushf_vme), BENCH_TEST(syscall_sysret),
		BENCH_TEST(stac),
		BENCH_TEST(decimal), BENCH_TEST(stack_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
