// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the CPU's state: declared bytes, reset, segments, exceptions, FPU hand-over */
#include "unit.h"

#include "cpu/cpu.h"
#include "cpu/cpuid.h"

static struct cpu *cpu;
static struct cpu_model model;

static int setup(void **state)
{
	cpu = aligned_alloc(4096, (sizeof(*cpu) + 4095) & ~4095ul);
	memset(cpu, 0, sizeof(*cpu));
	model = (struct cpu_model){ .phys_bits = 46, .xcr0_valid = 0xe7 };
	cpu->model = &model;
	cpu_reset(cpu, false);
	return 0;
}

static int teardown(void **state)
{
	free(cpu);
	return 0;
}

static void coverage(void **state)
{
	/* I1 of state.h: every byte of the state is declared. */
	check_coverage(NULL, "cpu", &cpu_state_type, &cpu->s);
	assert_null(cpu_state_type.check(&cpu->s));
	cpu->s.cpl = 4;
	assert_non_null(cpu_state_type.check(&cpu->s));
}

static void power_on(void **state)
{
	/* SDM vol 3 table 9-1. */
	assert_int_equal(cpu->s.rip, 0xfff0);
	assert_int_equal(cpu->s.seg[SEG_CS].base, 0xffff0000);
	assert_int_equal(cpu->s.seg[SEG_CS].sel, 0xf000);
	assert_int_equal(cpu->s.cr0, 0x60000010);
	assert_int_equal(cpu->s.rflags, 2);
	assert_int_equal(cpu->s.dr[6], 0xffff0ff0);
	assert_int_equal(cpu->s.dr[7], 0x400);
	assert_int_equal(get_le16(cpu->fpu), 0x40);
	assert_int_equal(get_le32(cpu->fpu + 24), 0x1f80);
	assert_true(cpu->mode_dirty);
}

static void init(void **state)
{
	/* INIT keeps CD, NW, the FPU and most MSRs; RESET does not. */
	cpu->s.cr0 = CR0_PE | CR0_NW;
	cpu->s.lstar = 5;
	cpu->s.efer = EFER_LME;
	cpu->fpu[32] = 7;
	cpu_reset(cpu, true);
	assert_int_equal(cpu->s.cr0, CR0_NW | CR0_ET);
	assert_int_equal(cpu->s.lstar, 5);
	assert_int_equal(cpu->s.efer, 0);
	assert_int_equal(cpu->fpu[32], 7);
	cpu_reset(cpu, false);
	assert_int_equal(cpu->s.lstar, 0);
	assert_int_equal(cpu->fpu[32], 0);
}

static void limits(void **state)
{
	/* rmax and wmax are nonzero only where one comparison decides. */
	static const struct { uint16_t attr; bool rd, wr; } rows[] = {
		{ 0x93, true, true }, { 0x91, true, false }, { 0x97, false, false }, { 0x9b, true, false },
		{ 0x99, false, false },
		{ 0x13, false, false }, { 0x82, false, false }, { 0x93 | SEGA_NULL, false, false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		cpu_set_seg(cpu, SEG_DS, 8, 0, 0xffffffff, rows[i].attr);
		assert_true(cpu->rmax[SEG_DS] == (rows[i].rd ? 0x100000000 : 0));
		assert_true(cpu->wmax[SEG_DS] == (rows[i].wr ? 0x100000000 : 0));
	}
}

static void real_mode(void **state)
{
	/* A real-mode load keeps the limit (unreal mode), also after a code descriptor; VM86 sets 64 KiB and DPL 3. */
	cpu_set_seg(cpu, SEG_ES, 8, 0, 0xffffffff, 0x9b | SEGA_G | SEGA_DB);
	cpu_set_seg_real(cpu, SEG_ES, 0x1234);
	assert_int_equal(cpu->s.seg[SEG_ES].base, 0x12340);
	assert_true(cpu->wmax[SEG_ES] == 0x100000000);
	cpu->s.rflags |= FL_VM;
	cpu_set_seg_real(cpu, SEG_ES, 1);
	assert_int_equal(cpu->s.seg[SEG_ES].limit, 0xffff);
	assert_int_equal(cpu->s.seg[SEG_ES].attr, 0xf3);
}

static __attribute__((noinline)) bool raises(unsigned vector, uint32_t error)
{
	if (__builtin_setjmp(cpu->unwind))
		return true;
	cpu_raise(cpu, vector, error);
}

static __attribute__((noinline)) bool traps(uint64_t dr6)
{
	if (__builtin_setjmp(cpu->unwind))
		return true;
	cpu_raise_db(cpu, dr6, true);
}

static void raise(void **state)
{
	/* Error codes only where SDM vol 3 table 6-1 has them; a debug trap reports the next instruction. */
	assert_true(raises(EXC_GP, 0x18));
	assert_true(cpu->event_valid && cpu->event.has_error);
	assert_int_equal(cpu->event.error, 0x18);
	assert_true(raises(EXC_UD, 0));
	assert_false(cpu->event.has_error);
	cpu->s.rip = 1;
	cpu->next_rip = 3;
	assert_true(traps(0x4000));
	assert_int_equal(cpu->event.dr6, 0x4000);
	assert_int_equal(cpu->s.rip, 3);
}

static void fpu(void **state)
{
	/* Load and park keep every register; parked, C has its own control words and an empty x87 stack. */
	uint8_t in[16] = "0123456789abcde", out[16];
	uint32_t mxcsr = 0x5f80, host;
	uint16_t cw, env[14];

	cpu_fpu_load(cpu);
	__asm__ volatile("fninit; movups %0, %%xmm7; fld1; ldmxcsr %1" : : "m"(in), "m"(mxcsr) : "xmm7");
	assert_true(cpu->fpu_live);
	cpu_fpu_park(cpu);
	__asm__ volatile("stmxcsr %0; fnstcw %1; fnstenv %2; fldenv %2" : "=m"(host), "=m"(cw), "=m"(env));
	assert_int_equal(host, 0x1f80);
	assert_int_equal(cw, 0x37f);
	assert_int_equal(env[4], 0xffff); /* tag word */
	assert_false(cpu->fpu_live);
	__asm__ volatile("pxor %%xmm7, %%xmm7" : : : "xmm7");
	cpu_fpu_load(cpu);
	__asm__ volatile("movups %%xmm7, %0; stmxcsr %1; fstp %%st(0)" : "=m"(out), "=m"(host));
	cpu_fpu_park(cpu);
	assert_memory_equal(in, out, 16);
	assert_int_equal(host, 0x5f80);
	assert_true(cpu->fpu_size <= CPU_BOUNCE);
}

static void stale_avx(void **state)
{
	/* What an earlier save left of bits 128 to 255 does not come back with an SSE instruction while bits 256 to 511 are
	 * in use (AMD's XSAVEOPT, fpu.c). */
	if (!__builtin_cpu_supports("avx512f"))
		skip();
	cpu_fpu_load(cpu);
	cpu_fpu_park(cpu);
	memset(cpu->fpu + 576, 0xaa, 256);
	put_le64(cpu->fpu + 512, 1u << 6);
	for (unsigned k = 0; k < 2; k++) { /* what comes of it is what is loaded next */
		cpu_fpu_load(cpu);
		__asm__ volatile("movaps %%xmm0, %%xmm15" : : : "xmm15");
		cpu_fpu_park(cpu);
	}
	if (get_le64(cpu->fpu + 512) & 4)
		assert_int_equal(cpu->fpu[576], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(coverage, setup, teardown),
		cmocka_unit_test_setup_teardown(power_on, setup, teardown),
		cmocka_unit_test_setup_teardown(init, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(real_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(raise, setup, teardown),
		cmocka_unit_test_setup_teardown(fpu, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_avx, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
