// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of board/acpi.c and board/smbios.c: structure, pointers, checksums */
#include "unit.h"

#include "board/acpi.h"
#include "board/smbios.h"

#define AT 0x3fff0000u

static const struct acpi_config config = { .pci_low = 0x40000000, .cpus = { 1, 1, 1 }, .apic = true, .floppy = true,
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

/* The fields of a generic address of an I/O port, and the 32-bit field that says the same (0: there is none). */
static void port_block(const uint8_t *fadt, unsigned old, unsigned len_at, unsigned gas, uint16_t port, unsigned bytes)
{
	assert_int_equal(get_le32(fadt + old), port);
	assert_int_equal(fadt[len_at], bytes);
	assert_int_equal(fadt[gas], 1); /* system I/O */
	assert_int_equal(fadt[gas + 1], bytes * 8);
	assert_int_equal(get_le64(fadt + gas + 4), port);
}

static void fadt_tells_the_configured_ports(void **state)
{
	/* ACPI 5.2.9, table 5-9: SCI, the way into ACPI mode, the three register blocks of the PM function in both forms,
	 * and the reset register of the PIIX. */
	struct acpi_config c = config;
	static struct acpi_tables t;

	c.pm_base = 0x640;
	c.smi_cmd = 0xb3;
	c.acpi_enable = 0xf1;
	c.acpi_disable = 0xf2;
	acpi_build(&t, &c);
	acpi_relocate(&t, AT);
	const uint8_t *fadt = table(&t, get_le32(at(&t, get_le32(t.rsdp + 16)) + 36), "FACP");
	assert_int_equal(get_le32(fadt + 4), 244);
	assert_int_equal(get_le16(fadt + 46), 9);
	assert_int_equal(get_le32(fadt + 48), 0xb3);
	assert_int_equal(fadt[52], 0xf1);
	assert_int_equal(fadt[53], 0xf2);
	port_block(fadt, 56, 88, 148, 0x640, 4);
	port_block(fadt, 64, 89, 172, 0x644, 2);
	port_block(fadt, 76, 91, 208, 0x648, 4);
	assert_int_equal(get_le32(fadt + 112) & 0x401, 0x401); /* WBINVD works, there is a reset register: */
	assert_int_equal(fadt[116], 1);
	assert_int_equal(get_le64(fadt + 120), 0xcf9);
	assert_int_equal(fadt[128], 6);
}

/* Where these bytes are in the DSDT; they must be there once. */
static const uint8_t *only(const uint8_t *dsdt, const char *bytes, unsigned n)
{
	const uint8_t *found = NULL, *end = dsdt + get_le32(dsdt + 4);

	for (const uint8_t *p = dsdt + 36; p + n <= end; p++) {
		if (memcmp(p, bytes, n))
			continue;
		assert_null(found);
		found = p;
	}
	assert_non_null(found);
	return found;
}

static void dsdt_constants_are_patched(void **state)
{
	/* board/dsdt.asl: Name(PLOW, DWord) is the end of low RAM, Name(FSTA, Byte) the status that FDC's _STA returns. */
	static const struct { uint32_t low; bool floppy; uint8_t status; } cases[] = {
		{ 0x40000000, false, 0 }, { 0x07ffe000, true, 0x0f },
	};
	static struct acpi_tables t;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct acpi_config c = config;

		c.pci_low = cases[i].low;
		c.floppy = cases[i].floppy;
		acpi_build(&t, &c);
		acpi_relocate(&t, AT);
		const uint8_t *fadt = at(&t, get_le32(at(&t, get_le32(t.rsdp + 16)) + 36));
		const uint8_t *dsdt = table(&t, get_le32(fadt + 40), "DSDT");
		assert_int_equal(get_le32(only(dsdt, "\010PLOW\014", 6) + 6), cases[i].low);
		assert_int_equal(only(dsdt, "\010FSTA\012", 6)[6], cases[i].status);
		only(dsdt, "_STA\0\244FSTA", 10); /* ReturnOp, and nothing else in the method */
	}
}

static void smbios_walks_to_its_end(void **state)
{
	/* DSP0134 5.2.1, 6.1: length and count in the anchor match the structures; the last is type 127. */
	static struct smbios_tables t;
	unsigned count = 0, type = 0;
	uint32_t off = 0;

	smbios_build(&t, &(struct smbios_config){ .ram_size = GIB(6), .ram_below4g = 0xe0000000, .cpus = { 1, 1, 1 },
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
		cmocka_unit_test(fadt_tells_the_configured_ports),
		cmocka_unit_test(dsdt_constants_are_patched),
		cmocka_unit_test(smbios_walks_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
