// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of board/mptable.c: structure and checksums; that it says what the MADT says
 */
#include "unit.h"

#include "board/acpi.h"
#include "board/mptable.h"

#define AT 0xf1000u

static struct mptable t;

static uint8_t irq_of(unsigned slot, unsigned pin)
{
	return (uint8_t)((slot + pin) & 1 ? 10 : 11);
}

static void build(unsigned ncpus)
{
	mptable_build(&t, &(struct mptable_config){ .at = AT, .cpus = { ncpus, 1, 1 }, .cpu_signature = 0x306c3,
		.cpu_features = 0x0fabfbff, .slots = 1u << 1 | 1u << 31, .pci_irq = irq_of });
}

static uint8_t sum(const uint8_t *p, uint32_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

/* The n-th entry of a type, NULL behind the last; counts all on the way. */
static const uint8_t *entry(unsigned type, unsigned n, unsigned *count)
{
	const uint8_t *table = t.bytes + 16, *end = table + get_le16(table + 4), *found = NULL;
	const uint8_t *e = table + 44;

	for (*count = 0; e < end; e += *e ? 8 : 20, (*count)++)
		if (*e == type && n-- == 0)
			found = e;
	assert_ptr_equal(e, end);
	return found;
}

static void pointer_leads_to_a_whole_table(void **state)
{
	/* MP 1.4 4.1, 4.2: signatures, revision, both sums 0, the entries fill the length and are as many as it says. */
	const uint8_t *table = t.bytes + 16;
	unsigned count;

	build(3);
	assert_memory_equal(t.bytes, "_MP_", 4);
	assert_int_equal(get_le32(t.bytes + 4), AT + 16);
	assert_int_equal(sum(t.bytes, 16), 0);
	assert_int_equal(t.bytes[8], 1);
	assert_int_equal(t.bytes[9], 4);
	assert_int_equal(t.bytes[11], 0);
	assert_memory_equal(table, "PCMP", 4);
	assert_int_equal(sum(table, get_le16(table + 4)), 0);
	assert_int_equal(t.len, 16u + get_le16(table + 4));
	assert_int_equal(get_le32(table + 36), 0xfee00000);
	entry(0, 0, &count);
	assert_int_equal(count, get_le16(table + 34));
	for (unsigned n = 0; n < 3; n++) { /* 4.3.1: one of them boots */
		const uint8_t *e = entry(0, n, &count);

		assert_int_equal(e[1], n);
		assert_int_equal(e[3], n ? 1 : 3);
		assert_int_equal(get_le32(e + 8), 0x0fabfbff);
	}
	assert_null(entry(0, 3, &count));
}

/* The MADT of the same machine. */
static const uint8_t *madt(struct acpi_tables *acpi)
{
	acpi_build(acpi, &(struct acpi_config){ .pci_low = 0x40000000, .cpus = { 1, 1, 1 }, .apic = true,
	                                        .pm_base = 0x600 });
	for (uint32_t n = 0; n < acpi->len; n += 4)
		if (!memcmp(acpi->tables + n, "APIC", 4))
			return acpi->tables + n;
	fail_msg("no MADT");
	return NULL;
}

/* The IO-APIC input and flags that the MADT gives an ISA interrupt (ACPI 5.2.12.5). */
static void madt_says(const uint8_t *p, unsigned irq, unsigned *input, unsigned *flags)
{
	*input = irq, *flags = 0;
	for (const uint8_t *e = p + 44; e < p + get_le32(p + 4); e += e[1])
		if (e[0] == 2 && e[3] == irq)
			*input = get_le32(e + 4), *flags = get_le16(e + 8);
}

static void agrees_with_the_madt(void **state)
{
	/* Issue 14: a kernel that believes the one table finds what it finds by the other. */
	static struct acpi_tables acpi;
	const uint8_t *p = madt(&acpi), *e;
	unsigned count, input, flags, seen = 0;

	build(1);
	assert_int_equal(get_le32(p + 36), get_le32(t.bytes + 16 + 36));
	for (unsigned n = 0; (e = entry(3, n, &count)); n++) {
		assert_int_equal(e[1], 0);
		if (e[4] == 0) { /* PCI: where the DSDT's links lead to */
			assert_int_equal(e[7], irq_of(e[5] >> 2, e[5] & 3));
			madt_says(p, e[7], &input, &flags);
		} else {
			madt_says(p, e[5], &input, &flags);
			seen |= 1u << e[5];
		}
		assert_int_equal(e[7], input);
		assert_int_equal(get_le16(e + 2), flags);
	}
	assert_int_equal(seen, 0xf3fb); /* 2 is the cascade; 10 and 11 are PCI's */
	e = entry(4, 0, &count); /* 4.3.5: the 8259 pair at LINT0, NMI at LINT1 of all */
	assert_memory_equal(e, "\4\3\0\0\1\0\0\0", 8);
	e = entry(4, 1, &count);
	assert_memory_equal(e, "\4\1\0\0\1\0\377\1", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointer_leads_to_a_whole_table),
		cmocka_unit_test(agrees_with_the_madt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
