// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of CPU topology: APIC IDs of every shape, and what the leaves say of it */
#include "unit.h"

#include "cpu/cpuid.h"

#define CPUS_MAX 64u

/* Every shape of up to 64 CPUs: IDs rise, are below 255, and their fields are socket, core and thread. */
static void ids(void **state)
{
	for (unsigned s = 1; s <= CPUS_MAX; s++)
		for (unsigned c = 1; s * c <= CPUS_MAX; c++)
			for (unsigned t = 1; s * c * t <= CPUS_MAX; t++) {
				struct cpu_topology shape = { s, c, t };
				int last = -1;

				assert_int_equal(cpuid_count(&shape), s * c * t);
				for (unsigned n = 0; n < s * c * t; n++) {
					unsigned id = cpuid_apic_id(&shape, n);

					assert_true((int)id > last && id < 255);
					last = (int)id;
				}
			}
	assert_int_equal(cpuid_apic_id(&(struct cpu_topology){ 2, 3, 2 }, 11), 1 << 3 | 2 << 1 | 1);
	assert_int_equal(cpuid_count(&(struct cpu_topology){ 0 }), 1);
}

/* A CPU that answers CPUID. */
static struct cpu *answering(const char *name, const struct cpu_topology *t, unsigned number)
{
	static struct cpu cpu;
	struct err err;
	struct cpu_model *m = cpuid_model_new(name, &err);

	assert_non_null(m);
	cpuid_set_topology(m, t);
	free((void *)(uintptr_t)cpu.model);
	cpu.model = m;
	cpu.number = number;
	cpu.apic_id = cpuid_apic_id(&m->topology, number);
	return &cpu;
}

/* SDM vol 2 "CPUID": leaves 1, 4 and 0BH of the last of 2 * 3 * 2 CPUs. */
static void intel(void **state)
{
	struct cpu *cpu = answering("x86-64-v2", &(struct cpu_topology){ 2, 3, 2 }, 11);
	uint32_t out[4];

	cpuid_answer(cpu, 1, 0, out);
	assert_int_equal(out[1] >> 24, 13);
	assert_int_equal(out[1] >> 16 & 0xff, 8); /* IDs of a socket */
	assert_true(out[3] >> 28 & 1);            /* HTT */
	cpuid_answer(cpu, 4, 0, out);
	assert_int_equal(out[0] >> 26, 3);        /* core IDs, less one */
	assert_int_equal(out[0] >> 14 & 0xfff, 1); /* a core's threads share the first level */
	cpuid_answer(cpu, 4, 3, out);
	assert_int_equal(out[0] >> 14 & 0xfff, 7);
	cpuid_answer(cpu, 0xb, 0, out);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[1], 2);
	assert_int_equal(out[3], 13);
	cpuid_answer(cpu, 0xb, 1, out);
	assert_int_equal(out[0], 3);
	assert_int_equal(out[1], 6);
	cpuid_answer(cpu, 0xb, 2, out);
	assert_int_equal(out[3], 13);
}

/* APM vol 3 "CPUID": Fn8000_0001, Fn8000_0008. */
static void amd(void **state)
{
	struct cpu *cpu = answering("opteron", &(struct cpu_topology){ 1, 4, 1 }, 3);
	uint32_t out[4];

	cpuid_answer(cpu, 0x80000001, 0, out);
	assert_true(out[2] >> 1 & 1); /* CmpLegacy */
	cpuid_answer(cpu, 0x80000008, 0, out);
	assert_int_equal(out[2] & 0xff, 3);
	assert_int_equal(out[2] >> 12 & 0xf, 2);
}

/* One CPU tells what it told before there could be several. */
static void alone(void **state)
{
	struct cpu *cpu = answering("x86-64-v2", &(struct cpu_topology){ 0 }, 0);
	uint32_t out[4];

	cpuid_answer(cpu, 1, 0, out);
	assert_int_equal(out[1] >> 16, 1);
	assert_false(out[3] >> 28 & 1);
	cpuid_answer(cpu, 0xb, 1, out);
	assert_int_equal(out[0], 0);
	assert_int_equal(out[1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids), cmocka_unit_test(intel), cmocka_unit_test(amd), cmocka_unit_test(alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
