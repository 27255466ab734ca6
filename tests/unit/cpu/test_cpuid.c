// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of CPU models: what is hidden, what must agree, names and refusals */
#include "unit.h"

#include "cpu/cpuid.h"

static struct cpu *cpu;
static struct cpu_model *model;
static uint32_t out[4];

static void use(const char *name)
{
	struct err err = { .msg = "" };

	free(model);
	model = cpuid_model_new(name, &err);
	if (!model)
		fail_msg("%s: %s", name ? name : "NULL", err.msg);
	cpu->model = model;
	cpu->fpu_size = 0;
	cpu_reset(cpu, false);
}

static int setup(void **state)
{
	cpu = aligned_alloc(4096, (sizeof(*cpu) + 4095) & ~4095ul);
	memset(cpu, 0, sizeof(*cpu));
	return 0;
}

static int teardown(void **state)
{
	free(model);
	model = NULL;
	free(cpu);
	return 0;
}

static void ask(uint32_t leaf, uint32_t sub)
{
	cpuid_answer(cpu, leaf, sub, out);
}

static void host(void **state)
{
	/* What cannot be virtualized is hidden from the host model; one thread; what we emulate is shown. */
	use(NULL);
	ask(1, 0);
	assert_false(out[2] & (1u << 3 | 1u << 5 | 1u << 15 | 1u << 27)); /* MONITOR VMX PDCM OSXSAVE */
	assert_int_equal(out[2] >> 21 & 1, 1);
	assert_int_equal(out[2] >> 31, 1);
	assert_int_equal(out[1] >> 16, 1);
	assert_false(out[3] & 1u << 28); /* HTT */
	ask(7, 0);
	assert_false(out[1] & (1u << 2 | 1u << 4 | 1u << 11 | 1u << 14)); /* SGX HLE RTM MPX */
	assert_false(out[2] & (1u << 3 | 1u << 5 | 1u << 7 | 1u << 16 | 1u << 28)); /* PKU WAITPKG SHSTK LA57 MOVDIR64B */
	assert_false(out[3] & (1u << 20 | 1u << 22 | 1u << 24 | 1u << 25)); /* IBT AMX */
	ask(0xa, 0);
	assert_int_equal(out[0], 0);
	ask(0xb, 1);
	assert_int_equal(out[1], 1);
	ask(0xb, 7);
	assert_int_equal(out[2], 7);
	ask(4, 0);
	assert_int_equal(out[0] >> 14, 0);
	ask(0x80000008, 0);
	assert_int_equal(out[0] >> 8 & 0xff, 48);
	ask(0x80000007, 0);
	assert_int_equal(out[3], 1u << 8);
	assert_false(model->cr4_valid & (1u << 12 | 1u << 13 | 1u << 22)); /* LA57 VMXE PKE */
}

static void opteron(void **state)
{
	/* An AMD CPU on any host: vendor, signature in both leaves, no leaf of Intel's, caches. */
	use("opteron");
	assert_int_equal(model->vendor, VENDOR_AMD);
	ask(0x80000000, 0);
	assert_memory_equal(&out[1], "Auth", 4);
	ask(0x80000001, 0);
	assert_int_equal(out[0], 0x40f12);
	assert_int_equal(out[3] & 0x0183f3ff, model->leaf[1].edx & 0x0183f3ff);
	ask(4, 0);
	assert_false(out[0] | out[1] | out[2] | out[3]);
	ask(0x80000006, 0);
	assert_int_equal(out[2] >> 16, 1024);
}

static uint32_t all_of(uint32_t leaf)
{
	ask(leaf, 0);
	return out[0] | out[1] | out[2] | out[3];
}

static void amd(void **state)
{
	/* What AMD's CPUs have, and nothing that only Intel's have: leaves, bits of features, MSRs behind them. */
	use(NULL);
	if (model->vendor != VENDOR_AMD)
		skip();
	ask(0, 0);
	assert_memory_equal(&out[1], "Auth", 4);
	assert_int_equal(out[0], 0xd);
	assert_false(all_of(2) | all_of(4) | all_of(0xa) | all_of(0x15) | all_of(0x16));
	ask(1, 0);
	assert_false(out[3] & 1u << 27); /* self-snoop */
	ask(7, 0);
	assert_false(out[3] & (1u << 26 | 1u << 27 | 1u << 29)); /* SPEC_CTRL STIBP ARCH_CAPABILITIES */
	ask(0x80000000, 0);
	assert_int_equal(out[0], 0x80000021);
	ask(0x80000001, 0);
	/* SVM IBS SKINIT WDT LWP MWAITX */
	assert_false(out[2] & (1u << 2 | 1u << 10 | 1u << 12 | 1u << 13 | 1u << 15 | 1u << 29));
	assert_int_equal(out[2] >> 22 & 3, 3); /* topology, counters */
	assert_int_equal(out[3] & 0x0183f3ff, model->leaf[1].edx & 0x0183f3ff);
	ask(0x80000008, 0);
	assert_false(out[1] & (1u << 0 | 1u << 4 | 1u << 25)); /* CLZERO RDPRU VIRT_SSBD */
	assert_true(out[1] & 1u << 12); /* IBPB */
	assert_int_equal(out[2], 0);
	assert_false(all_of(0x8000000a) | all_of(0x8000001f) | all_of(0x8000001e));
	ask(0x80000021, 0);
	assert_true(out[0] & 1u << 8 && model->efer_valid & EFER_AIBRSE);
	for (unsigned sub = 0; sub < 5; sub++) {
		ask(0x8000001d, sub);
		if (!(out[0] & 31))
			break;
		assert_int_equal(out[0] >> 14, 0); /* shared with nobody */
		assert_true(out[2] != UINT32_MAX);
	}
	ask(0x8000001d, 1);
	assert_int_equal(out[0] & 31, 2);
}

static void xsave(void **state)
{
	/* Leaf 0xd: sizes follow XCR0; OSXSAVE follows CR4. */
	use(NULL);
	if (!model->xcr0_valid)
		skip();
	ask(0xd, 0);
	assert_int_equal(out[0], model->xcr0_valid);
	assert_int_equal(out[1], 576);
	assert_true(out[2] <= CPU_BOUNCE && out[2] >= 576);
	cpu->s.xcr0 = model->xcr0_valid;
	ask(0xd, 0);
	assert_int_equal(out[1], out[2]);
	assert_int_equal(out[2], cpu->fpu_size);
	ask(0xd, 1);
	assert_false(out[0] & (1u | 8u)); /* XSAVEOPT XSAVES */
	cpu->s.cr4 = CR4_OSXSAVE;
	ask(1, 0);
	assert_true(out[2] & 1u << 27);
	ask(0xd, 17); /* AMX */
	assert_int_equal(out[0], 0);
}

static void tsc(void **state)
{
	/* The rate Linux computes from leaf 0x15 in 32 bits is the measured one to within 2 ppm. */
	uint32_t khz;

	use(NULL);
	assert_true(model->tsc_hz > 100000000 && model->tsc_hz < 20000000000);
	ask(0x40000010, 0);
	assert_int_equal(out[0], model->tsc_hz / 1000);
	ask(0x40000000, 0);
	assert_memory_equal(&out[1], "ring", 4);
	use("x86-64-v1");
	ask(0x15, 0);
	assert_true((uint64_t)(out[2] / 1000) * out[1] <= UINT32_MAX);
	khz = out[2] / 1000 * out[1] / out[0];
	assert_in_range(khz, model->tsc_hz / 1000 - model->tsc_hz / 500000000 - 1,
	                model->tsc_hz / 1000 + model->tsc_hz / 500000000 + 1);
}

static void limits(void **state)
{
	/* Leaves beyond the last answer as the last, on AMD's CPUs with zeros. */
	uint32_t last[4];

	use("x86-64-v1");
	ask(0, 0);
	ask(out[0], 0);
	memcpy(last, out, sizeof(last));
	ask(0x77, 0);
	assert_memory_equal(last, out, sizeof(last));
	ask(0x90000000, 0);
	assert_memory_equal(last, out, sizeof(last));
	model->vendor = VENDOR_AMD;
	assert_false(all_of(0x77) | all_of(0x90000000) | all_of(0x80000009) | all_of(0x40000011));
	model->vendor = VENDOR_INTEL;
	cpu->s.misc_enable |= 1u << 22;
	ask(4, 0);
	assert_int_equal(out[0], 0);
}

static void named(void **state)
{
	/* Every name on the list makes a model on this host or is refused with a reason; old ones are made everywhere. */
	bool old = false, older = false;

	for (const struct cpuid_model_name *n = cpuid_model_names(); n->name; n++) {
		struct err err = { .msg = "" };
		struct cpu_model *m = cpuid_model_new(n->name, &err);

		if (!m) {
			assert_non_null(strstr(err.msg, "lacks"));
			continue;
		}
		assert_string_equal(m->name, n->name);
		old |= !strcmp(n->name, "pentium3");
		older |= !strcmp(n->name, "486");
		free(m);
	}
	assert_true(old && older);
}

static void old(void **state)
{
	/* A 486 has no TSC, no large pages and no extended leaves; a Pentium III no long mode. */
	use("486");
	assert_false(model->cr4_valid);
	assert_false(model->pse || model->pae || model->long_mode);
	ask(1, 0);
	assert_int_equal(out[0], 0x480);
	assert_int_equal(out[3], 1);
	ask(0x80000000, 0);
	assert_int_equal(out[3], 1); /* as leaf 1 */
	assert_int_equal(cpu->s.gpr[RDX], 0x480);
	use("pentium3");
	assert_true(model->pae && model->sysenter && !model->long_mode && !model->xcr0_valid);
	assert_int_equal(cpu->host_xcr0, 3);
}

static void phys_bits(void **state)
{
	/* SDM vol 2 CPUID.80000008H: EAX[7:0] is MAXPHYADDR, and the walk's and the MTRRs' masks go by the same number. */
	static const char *const wrong[] = {
		"host,phys-bits=", "host,phys-bits=35", "host,phys-bits=53", "host,phys-bits=4x",
		"host,phys-bits=-40", "host,", "host,bits=40", "pentium3,phys-bits=36", "host,phys-bits=18446744073709551656",
	};

	use(NULL);
	ask(0x80000008, 0);
	assert_in_range(out[0] & 0xff, 36, 40);
	use("x86-64-v1,phys-bits=52");
	ask(0x80000008, 0);
	assert_int_equal(out[0], 48u << 8 | 52);
	assert_int_equal(model->phys_bits, 52);
	assert_string_equal(model->name, "x86-64-v1");
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct err err = { .msg = "" };

		assert_null(cpuid_model_new(wrong[i], &err));
		assert_true(*err.msg && !strchr(err.msg, '\n'));
	}
}

static void unknown(void **state)
{
	/* An unknown name is refused and the choices are told. */
	struct err err;

	assert_null(cpuid_model_new("z80", &err));
	assert_non_null(strstr(err.msg, "pentium3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(host, setup, teardown),
		cmocka_unit_test_setup_teardown(amd, setup, teardown),
		cmocka_unit_test_setup_teardown(opteron, setup, teardown),
		cmocka_unit_test_setup_teardown(xsave, setup, teardown),
		cmocka_unit_test_setup_teardown(tsc, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(named, setup, teardown),
		cmocka_unit_test_setup_teardown(old, setup, teardown),
		cmocka_unit_test_setup_teardown(phys_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
