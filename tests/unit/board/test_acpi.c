// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of board/acpi.c and board/smbios.c: structure, pointers, checksums */
#include "unit.h"

#include "board/acpi.h"
#include "board/smbios.h"

#define AT 0x3fff0000u

static const struct acpi_config config = { .pci_low = 0x40000000, .ncpus = 1, .apic = true, .floppy = true,
	.pm_base = 0x600, .smi_cmd = 0xb2 };

static uint8_t sum(const uint8_t *p, uint32_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static const uint8_t *at(const struct acpi_tables *t, uint32_t gpa)
{
	assert_in_range(gpa, AT, AT + t->len - 8);
	return t->tables + gpa - AT;
}

static const uint8_t *table(const struct acpi_tables *t, uint32_t gpa, const char *sig)
{
	const uint8_t *p = at(t, gpa);

	assert_memory_equal(p, sig, 4);
	assert_int_equal(sum(p, get_le32(p + 4)), 0);
	return p;
}

static void root_pointer_leads_to_all_tables(void **state)
{
	/* ACPI 5.2.5.3, 5.2.7-5.2.9: both root tables list the same tables; each checksum is 0; FADT names FACS and DSDT
	 * twice. */
	static struct acpi_tables t;
	static const char *const sigs[] = { "FACP", "APIC", "HPET" };

	acpi_build(&t, &config);
	acpi_relocate(&t, AT);
	assert_int_equal(sum(t.rsdp, 20), 0);
	assert_int_equal(sum(t.rsdp, 36), 0);
	const uint8_t *rsdt = table(&t, get_le32(t.rsdp + 16), "RSDT"), *xsdt = table(&t, get_le32(t.rsdp + 24), "XSDT");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(get_le32(rsdt + 36 + 4 * i), get_le64(xsdt + 36 + 8 * i));
		table(&t, get_le32(rsdt + 36 + 4 * i), sigs[i]);
	}
	const uint8_t *fadt = at(&t, get_le32(rsdt + 36));
	table(&t, get_le32(fadt + 40), "DSDT");
	assert_memory_equal(at(&t, get_le32(fadt + 36)), "FACS", 4);
	assert_int_equal(get_le32(fadt + 36) % 64, 0);
	assert_int_equal(get_le32(fadt + 36), get_le64(fadt + 132));
	assert_int_equal(get_le32(fadt + 40), get_le64(fadt + 140));
}

static void no_apic_no_madt(void **state)
{
	/* ACPI 5.2.12: the MADT describes APICs; a CPU without one leaves it out, and the other tables stay. */
	struct acpi_config c = config;
	static struct acpi_tables t;

	c.apic = false;
	acpi_build(&t, &c);
	acpi_relocate(&t, AT);
	const uint8_t *rsdt = table(&t, get_le32(t.rsdp + 16), "RSDT");
	assert_int_equal(get_le32(rsdt + 4), 36 + 2 * 4);
	table(&t, get_le32(rsdt + 36), "FACP");
	table(&t, get_le32(rsdt + 40), "HPET");
}

static void dsdt_constants_are_patched(void **state)
{
	/* board/dsdt.asl: PLOW is the end of low RAM, FSTA says whether there is a floppy drive. */
	struct acpi_config c = config;
	static struct acpi_tables t;

	c.floppy = false;
	acpi_build(&t, &c);
	for (uint32_t i = 0; i + 10 < t.len; i++) {
		if (!memcmp(t.tables + i, "\010PLOW\014", 6))
			assert_int_equal(get_le32(t.tables + i + 6), 0x40000000);
		if (!memcmp(t.tables + i, "\010FSTA\012", 6))
			assert_int_equal(t.tables[i + 6], 0);
	}
}

static void smbios_walks_to_its_end(void **state)
{
	/* DSP0134 5.2.1, 6.1: length and count in the anchor match the structures; the last is type 127. */
	static struct smbios_tables t;
	unsigned count = 0, type = 0;
	uint32_t off = 0;

	smbios_build(&t, &(struct smbios_config){ .ram_size = GIB(6), .ram_below4g = 0xe0000000, .ncpus = 1,
		.tables_at = 0xf0200 });
	while (off < t.len) {
		type = t.tables[off];
		off += t.tables[off + 1];
		while (t.tables[off] || t.tables[off + 1])
			off++;
		off += 2;
		count++;
	}
	assert_int_equal(off, t.len);
	assert_int_equal(type, 127);
	assert_int_equal(count, get_le16(t.anchor + 28));
	assert_int_equal(t.len, get_le16(t.anchor + 22));
	assert_int_equal(sum(t.anchor, 31), 0);
	assert_int_equal(sum(t.anchor + 16, 15), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_pointer_leads_to_all_tables),
		cmocka_unit_test(no_apic_no_madt),
		cmocka_unit_test(dsdt_constants_are_patched),
		cmocka_unit_test(smbios_walks_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
