// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of decode.c: what a CPU model does not offer is #UD; where AMD's CPUs and Intel's read bytes otherwise
 *
 * Rule guarded: nothing runs that the tables do not list, whatever the decoder library and the host's CPU know. The
 * differences of vendors are those that the instruction oracle found on hosts of both. */
#include "unit.h"
#include "xlate/decode.h"
#include "xlate/key.h"

#define CODE64 2u
#define CODE32 1u

static struct cpu_model amd = { .vendor = VENDOR_AMD }, intel = { .vendor = VENDOR_INTEL };

static struct dec_isa isa_of(const char *model)
{
	struct dec_isa isa;
	struct err err;
	struct cpu_model *m = cpuid_model_new(model, &err);
	assert_non_null(m);
	dec_isa_init(&isa, m);
	free(m);
	return isa;
}

/* All instructions, by the rules of a vendor. */
static struct dec_isa by(const struct cpu_model *vendor)
{
	struct dec_isa all, own;
	dec_isa_init(&all, NULL);
	dec_isa_init(&own, vendor);
	all.amd = own.amd;
	return all;
}

#define DECODE(isa, key, ...) \
	decode(isa, key, sizeof((const uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]){ __VA_ARGS__ })
static struct dec decode(struct dec_isa isa, uint32_t key, unsigned len, const uint8_t *bytes)
{
	struct dec d;
	uint8_t padded[15];
	memset(padded, 0x90, sizeof(padded));
	memcpy(padded, bytes, len);
	if (dec_decode(&isa, &d, key, false, padded, sizeof(padded)) != DEC_OK)
		d = (struct dec){ .cls = DC_HELPER, .in.op = OP_UD };
	return d;
}

static void assert_ud(struct dec d)
{
	assert_int_equal(d.cls, DC_HELPER);
	assert_int_equal(d.in.op, OP_UD);
}

static void assert_copied(struct dec d)
{
	assert_int_equal(d.cls, DC_COPY);
}

static void not_offered(void **state)
{
	/* CPUID leaf 1 and 7: a 486 has no CMOV, the first 64-bit CPUs had no AVX, and SSE2 but not SSE3 */
	assert_ud(DECODE(isa_of("486"), CODE32, 0x0f, 0x44, 0xc1));
	assert_copied(DECODE(isa_of("pentium3"), CODE32, 0x0f, 0x44, 0xc1));
	assert_ud(DECODE(isa_of("pentium3"), CODE32, 0x66, 0x0f, 0xef, 0xc0));
	assert_copied(DECODE(isa_of("x86-64-v1"), CODE64, 0x66, 0x0f, 0xef, 0xc0));
	assert_ud(DECODE(isa_of("x86-64-v1"), CODE64, 0xf2, 0x0f, 0xd0, 0xc1));
	assert_ud(DECODE(isa_of("x86-64-v1"), CODE64, 0xc5, 0xf8, 0x58, 0xc1));
}

static void reads_otherwise(void **state)
{
	/* LZCNT and TZCNT are BSR and BSF to CPUs without them (SDM vol 2 LZCNT); CET's and MPX's are NOPs */
	struct dec d = DECODE(isa_of("x86-64-v1"), CODE64, 0xf3, 0x0f, 0xbd, 0xc1);
	assert_copied(d);
	assert_int_equal(d.pfxrep, 0);
	assert_int_equal(DECODE(by(&intel), CODE64, 0xf3, 0x0f, 0xbd, 0xc1).pfxrep, 0xf3);
	assert_int_equal(DECODE(isa_of("x86-64-v1"), CODE64, 0xf3, 0x0f, 0x1e, 0xfa).cls, DC_NOP);
	assert_int_equal(DECODE(by(&intel), CODE64, 0x66, 0x0f, 0x1a, 0xc1).cls, DC_NOP);
	assert_int_equal(DECODE(by(&intel), CODE64, 0xf3, 0x0f, 0x09).in.op, OP_WBINVD);
}

static void never(void **state)
{
	/* not in the tables: 3DNow!, XOP, CLZERO, RDPRU, MOVDIR64B, ENQCMD, RTM, VMXON, INCSSP, WRPKRU, TPAUSE */
	struct dec_isa all = by(&intel);
	assert_ud(DECODE(all, CODE64, 0x0f, 0x0f, 0xc1, 0x9e));
	assert_ud(DECODE(all, CODE64, 0x8f, 0xe8, 0x78, 0xcc, 0xc1, 0x00));
	assert_ud(DECODE(all, CODE64, 0x0f, 0x01, 0xfc));
	assert_ud(DECODE(all, CODE64, 0x0f, 0x01, 0xfd));
	assert_ud(DECODE(all, CODE64, 0x66, 0x0f, 0x38, 0xf8, 0x00));
	assert_ud(DECODE(all, CODE64, 0xf2, 0x0f, 0x38, 0xf8, 0x00));
	assert_ud(DECODE(all, CODE64, 0xc7, 0xf8, 0x00, 0x00, 0x00, 0x00));
	assert_ud(DECODE(all, CODE64, 0xf3, 0x0f, 0xc7, 0x30));
	assert_ud(DECODE(all, CODE64, 0xf3, 0x48, 0x0f, 0xae, 0xe8));
	assert_ud(DECODE(all, CODE64, 0x0f, 0x01, 0xef));
	assert_ud(DECODE(all, CODE64, 0x66, 0x0f, 0xae, 0xf0));
}

static void near_branches(void **state)
{
	/* With an operand-size prefix in 64-bit code: 16 bits to AMD's CPUs, as if it were not there to Intel's. */
	struct dec_isa a = by(&amd), i = by(&intel);
	struct dec d = DECODE(a, CODE64, 0x66, 0x0f, 0x84, 0x34, 0x12);
	assert_int_equal(d.in.len, 5);
	assert_int_equal(d.in.opsize, 2);
	d = DECODE(i, CODE64, 0x66, 0x0f, 0x84, 0x34, 0x12, 0, 0);
	assert_int_equal(d.in.len, 7);
	assert_int_equal(d.in.opsize, 8);
	assert_int_equal(DECODE(a, CODE64, 0x66, 0xc3).in.opsize, 2);
	assert_int_equal(DECODE(i, CODE64, 0x66, 0xc3).in.opsize, 8);
	assert_int_equal(DECODE(a, CODE64, 0x66, 0xe2, 0x10).in.opsize, 2);
	assert_int_equal(DECODE(a, CODE64, 0x66, 0x48, 0xc3).in.opsize, 8); /* REX.W rules */
	d = DECODE(a, CODE64, 0x66, 0xff, 0x10);
	assert_int_equal(d.in.opsize, 2);
	assert_int_equal(d.mem_size, 2);
	assert_int_equal(DECODE(a, CODE32, 0xe8, 0, 0, 0, 0).in.opsize, 4);
}

static void vendors(void **state)
{
	/* PAUSE with REX.B, prefetch of a register, LOOPE with a repeat prefix, alignment of SHA, MOVSXD of 16 bits, UD1 */
	struct dec_isa a = by(&amd), i = by(&intel);
	struct dec d = DECODE(a, CODE64, 0xf3, 0x41, 0x90);
	assert_copied(d);
	assert_int_equal(d.in.len, 3);
	assert_true(d.gpr_wr == (1u << RAX | 1u << R8));
	assert_int_equal(DECODE(i, CODE64, 0xf3, 0x41, 0x90).gpr_wr, 0);
	assert_ud(DECODE(a, CODE64, 0x0f, 0x0d, 0xc2));
	assert_int_equal(DECODE(i, CODE64, 0x0f, 0x0d, 0xc2).cls, DC_NOP);
	assert_int_equal(DECODE(a, CODE64, 0x0f, 0x0d, 0x02).cls, DC_NOP);
	assert_int_equal(DECODE(a, CODE64, 0xf2, 0xe1, 0x10).cc, 0xe0);
	assert_int_equal(DECODE(i, CODE64, 0xf2, 0xe1, 0x10).cc, 0xe1);
	assert_int_equal(DECODE(a, CODE64, 0xf2, 0xe2, 0x10).cc, 0xe2);
	assert_false(DECODE(a, CODE64, 0x0f, 0x38, 0xc9, 0x2e).aligned);
	assert_true(DECODE(i, CODE64, 0x0f, 0x38, 0xc9, 0x2e).aligned);
	assert_int_equal(DECODE(a, CODE64, 0x66, 0x63, 0x00).mem_size, 4);
	assert_int_equal(DECODE(i, CODE64, 0x66, 0x63, 0x00).mem_size, 2);
	struct dec_isa isa = a;
	assert_int_equal(dec_decode(&isa, &d, CODE64, false, (const uint8_t[]){ 0x0f, 0xb9 }, 2), DEC_UD);
	assert_int_equal(dec_decode(&isa, &d, CODE64, false, (const uint8_t[]){ 0x0f, 0xa7 }, 2), DEC_UD);
	isa = i;
	assert_int_equal(dec_decode(&isa, &d, CODE64, false, (const uint8_t[]){ 0x0f, 0xb9 }, 2), DEC_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_offered), cmocka_unit_test(reads_otherwise), cmocka_unit_test(never),
		cmocka_unit_test(near_branches), cmocka_unit_test(vendors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
