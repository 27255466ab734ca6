// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PC's ACPI tables, and the script that puts them into guest RAM
 *
 * The tables are built once, as one blob in which a pointer holds the offset of its target. A list of commands
 * says which fields to relocate and which checksums to compute. The firmware runs it when it finds it as fw_cfg
 * file "etc/table-loader"; without firmware acpi_relocate() runs the same list, so both ways give the same tables.
 * Facts: ACPI 2.0c for table layouts (cited by section below, numbered as in ACPI 6.5); the loader's format is
 * the one SeaBIOS and OVMF implement (seabios src/fw/romfile_loader.h).
 */
#include "board/acpi.h"

#include <string.h>

#include "dsdt.h"

/* seabios src/fw/romfile_loader.h: a command is a 32-bit number and its arguments; file names are 56 bytes. */
enum { CMD_ALLOCATE = 1, CMD_POINTER = 2, CMD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };
#define FILE_NAME 56
static const char tables_file[] = "etc/acpi/tables";
static const char rsdp_file[] = "etc/acpi/rsdp";

#define HPET_BASE 0xfed00000u
#define HPET_ID 0x8086a201u /* HPET spec 1.0a 2.3.4: the general capabilities register's low half */
#define SCI_IRQ 9

static void put_file_name(uint8_t *at, const char *file)
{
	must(strlen(file) < FILE_NAME);
	memcpy(at, file, strlen(file) + 1);
}

static uint8_t *new_command(struct acpi_tables *t, uint32_t what, const char *file)
{
	must(t->ncommands < ACPI_SCRIPT_MAX);
	uint8_t *c = t->script[t->ncommands++].bytes;

	put_le32(c, what);
	put_file_name(c + 4, file);
	return c + 4 + FILE_NAME;
}

static void cmd_allocate(struct acpi_tables *t, const char *file, uint32_t align, uint8_t zone)
{
	uint8_t *arg = new_command(t, CMD_ALLOCATE, file);

	put_le32(arg, align);
	arg[4] = zone;
}

/* The size bytes at off of file are an offset into the tables: add where those went. */
static void cmd_pointer(struct acpi_tables *t, const char *file, uint32_t off, uint8_t size)
{
	uint8_t *arg = new_command(t, CMD_POINTER, file);

	put_file_name(arg, tables_file);
	put_le32(arg + FILE_NAME, off);
	arg[FILE_NAME + 4] = size;
}

/* The byte at off makes [start, start + len) of file add up to 0. */
static void cmd_checksum(struct acpi_tables *t, const char *file, uint32_t off, uint32_t start, uint32_t len)
{
	uint8_t *arg = new_command(t, CMD_CHECKSUM, file);

	put_le32(arg, off);
	put_le32(arg + 4, start);
	put_le32(arg + 8, len);
}

static uint8_t *reserve(struct acpi_tables *t, uint32_t len)
{
	uint8_t *p = t->tables + t->len;

	must(len <= ACPI_TABLES_MAX - t->len);
	t->len += len;
	return p;
}

/* The 36 bytes in front of each table (5.2.6). The caller fills the rest and closes with end_table(). */
static uint8_t *begin_table(struct acpi_tables *t, const char *sig, uint8_t revision, uint32_t len)
{
	t->len = (t->len + 15) & ~15u;
	uint8_t *p = reserve(t, len);

	memcpy(p, sig, 4);
	put_le32(p + 4, len);
	p[8] = revision;
	memcpy(p + 10, "RING3 RING3PC ", 14);
	put_le32(p + 24, 1);
	memcpy(p + 28, "RNG3", 4);
	put_le32(p + 32, 1);
	return p;
}

static uint32_t end_table(struct acpi_tables *t, const uint8_t *p)
{
	uint32_t off = (uint32_t)(p - t->tables);

	cmd_checksum(t, tables_file, off + 9, off, get_le32(p + 4));
	return off;
}

/* 5.2.10: firmware control structure; 64 bytes, aligned to 64, no checksum. */
static uint32_t build_facs(struct acpi_tables *t)
{
	must(t->len % 64 == 0);
	uint8_t *p = reserve(t, 64);

	memcpy(p, "FACS", 4);
	put_le32(p + 4, 64);
	p[32] = 1;
	return (uint32_t)(p - t->tables);
}

/* Where the compiled DSDT holds the constant of Name(name, ...): past the NameOp, the name and the constant's
 * prefix. */
static uint8_t *dsdt_constant(uint8_t *dsdt, uint32_t len, const char *name, uint8_t prefix)
{
	for (uint32_t i = 0; i + 10 <= len; i++)
		if (dsdt[i] == 0x08 && !memcmp(dsdt + i + 1, name, 4) && dsdt[i + 5] == prefix)
			return dsdt + i + 6;
	must(!"the DSDT has the constant");
	return NULL;
}

static uint32_t build_dsdt(struct acpi_tables *t, const struct acpi_config *cfg)
{
	uint8_t *p;

	t->len = (t->len + 15) & ~15u;
	p = reserve(t, sizeof(dsdt_aml));
	memcpy(p, dsdt_aml, sizeof(dsdt_aml));
	p[9] = 0;
	put_le32(dsdt_constant(p, sizeof(dsdt_aml), "PLOW", 0x0c), cfg->pci_low);
	*dsdt_constant(p, sizeof(dsdt_aml), "FSTA", 0x0a) = cfg->floppy ? 0x0f : 0;
	return end_table(t, p);
}

/* 5.2.3.2: generic address of a port. */
static void put_gas_io(uint8_t *p, uint16_t port, uint8_t bits)
{
	p[0] = 1;
	p[1] = bits;
	p[3] = bits == 8 ? 1 : bits == 16 ? 2 : 3;
	put_le64(p + 4, port);
}

/* 5.2.9. Revision 3, 244 bytes. No GPE block: nothing here raises general-purpose events. */
static uint32_t build_fadt(struct acpi_tables *t, const struct acpi_config *cfg, uint32_t facs, uint32_t dsdt)
{
	enum { WBINVD = 1 << 0, PROC_C1 = 1 << 2, NO_SLEEP_BUTTON = 1 << 5, RESET_REG = 1 << 10 };
	enum { LEGACY_DEVICES = 1, HAS_8042 = 2 };
	uint8_t *p = begin_table(t, "FACP", 3, 244);
	uint32_t off = (uint32_t)(p - t->tables);

	put_le32(p + 36, facs);
	put_le32(p + 40, dsdt);
	put_le16(p + 46, SCI_IRQ);
	put_le32(p + 48, cfg->smi_cmd);
	p[52] = cfg->acpi_enable;
	p[53] = cfg->acpi_disable;
	put_le32(p + 56, cfg->pm_base);     /* PM1a event block */
	put_le32(p + 64, cfg->pm_base + 4u); /* PM1a control block */
	put_le32(p + 76, cfg->pm_base + 8u); /* PM timer */
	p[88] = 4;
	p[89] = 2;
	p[91] = 4;
	put_le16(p + 96, 0xfff); /* no C2 */
	put_le16(p + 98, 0xfff); /* no C3 */
	p[108] = 0x32;           /* the RTC's century, in CMOS as PCs keep it */
	put_le16(p + 109, LEGACY_DEVICES | HAS_8042);
	put_le32(p + 112, WBINVD | PROC_C1 | NO_SLEEP_BUTTON | RESET_REG);
	put_gas_io(p + 116, 0xcf9, 8);
	p[128] = 0x06; /* 82371SB, RCR: hard reset, now */
	put_le64(p + 132, facs);
	put_le64(p + 140, dsdt);
	put_gas_io(p + 148, cfg->pm_base, 32);
	put_gas_io(p + 172, (uint16_t)(cfg->pm_base + 4), 16);
	put_gas_io(p + 208, (uint16_t)(cfg->pm_base + 8), 32);
	cmd_pointer(t, tables_file, off + 36, 4);
	cmd_pointer(t, tables_file, off + 40, 4);
	cmd_pointer(t, tables_file, off + 132, 8);
	cmd_pointer(t, tables_file, off + 140, 8);
	return end_table(t, p);
}

/* 5.2.12.5: an ISA interrupt that is not at the IO-APIC input, polarity or trigger mode of its number. */
static uint8_t *put_override(uint8_t *p, uint8_t irq, uint8_t gsi, uint16_t flags)
{
	p[0] = 2;
	p[1] = 10;
	p[3] = irq;
	put_le32(p + 4, gsi);
	put_le16(p + 8, flags);
	return p + 10;
}

/* 5.2.12 */
static uint32_t build_madt(struct acpi_tables *t, const struct acpi_config *cfg)
{
	enum { PCAT_COMPAT = 1, ACTIVE_HIGH_LEVEL = 1 | 3 << 2 };
	unsigned ncpus = cpuid_count(&cfg->cpus);
	uint32_t len = 44 + 8 * ncpus + 12 + 10 * (1 + (uint32_t)__builtin_popcount(ACPI_LEVEL_IRQS)) + 6;
	uint8_t *p = begin_table(t, "APIC", 1, len), *e = p + 44;

	put_le32(p + 36, ACPI_LAPIC_BASE);
	put_le32(p + 40, PCAT_COMPAT);
	for (unsigned i = 0; i < ncpus; i++, e += 8) {
		e[1] = 8;
		e[2] = (uint8_t)i;
		e[3] = (uint8_t)cpuid_apic_id(&cfg->cpus, i);
		put_le32(e + 4, 1);
	}
	e[0] = 1;
	e[1] = 12;
	put_le32(e + 4, ACPI_IOAPIC_BASE);
	e = put_override(e + 12, 0, 2, 0);
	for (uint8_t i = 0; i < 16; i++)
		if (ACPI_LEVEL_IRQS >> i & 1)
			e = put_override(e, i, i, ACTIVE_HIGH_LEVEL);
	e[0] = 4; /* 5.2.12.7: LINT1 of all processors is NMI */
	e[1] = 6;
	e[2] = 0xff;
	e[5] = 1;
	must(e + 6 == p + len);
	return end_table(t, p);
}

/* HPET spec 1.0a 3.2.4 */
static uint32_t build_hpet(struct acpi_tables *t)
{
	uint8_t *p = begin_table(t, "HPET", 1, 56);

	put_le32(p + 36, HPET_ID);
	put_le64(p + 44, HPET_BASE);
	return end_table(t, p);
}

/* 5.2.7 and 5.2.8: root tables with 4- and 8-byte entries. */
static uint32_t build_root(struct acpi_tables *t, const char *sig, uint8_t entry, const uint32_t *tables, unsigned n)
{
	uint8_t *p = begin_table(t, sig, 1, 36 + n * entry);
	uint32_t off = (uint32_t)(p - t->tables);

	for (unsigned i = 0; i < n; i++) {
		put_le32(p + 36 + i * entry, tables[i]);
		cmd_pointer(t, tables_file, off + 36 + i * entry, entry);
	}
	return end_table(t, p);
}

/* 5.2.5.3: revision 2, two checksums. */
static void build_rsdp(struct acpi_tables *t, uint32_t rsdt, uint32_t xsdt)
{
	uint8_t *p = t->rsdp;

	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "RING3 ", 6);
	p[15] = 2;
	put_le32(p + 16, rsdt);
	put_le32(p + 20, ACPI_RSDP_SIZE);
	put_le64(p + 24, xsdt);
	cmd_pointer(t, rsdp_file, 16, 4);
	cmd_pointer(t, rsdp_file, 24, 8);
	cmd_checksum(t, rsdp_file, 8, 0, 20);
	cmd_checksum(t, rsdp_file, 32, 0, ACPI_RSDP_SIZE);
}

void acpi_build(struct acpi_tables *t, const struct acpi_config *cfg)
{
	uint32_t facs, dsdt, rsdt, xsdt, tables[3], n = 0;

	memset(t, 0, sizeof(*t));
	cmd_allocate(t, rsdp_file, 16, ZONE_FSEG);
	cmd_allocate(t, tables_file, 64, ZONE_HIGH);
	facs = build_facs(t);
	dsdt = build_dsdt(t, cfg);
	tables[n++] = build_fadt(t, cfg, facs, dsdt);
	if (cfg->apic)
		tables[n++] = build_madt(t, cfg);
	tables[n++] = build_hpet(t);
	rsdt = build_root(t, "RSDT", 4, tables, n);
	xsdt = build_root(t, "XSDT", 8, tables, n);
	build_rsdp(t, rsdt, xsdt);
}

static void run_checksum(uint8_t *file, const uint8_t *arg)
{
	uint8_t *at = file + get_le32(arg), sum = 0;
	uint32_t start = get_le32(arg + 4), len = get_le32(arg + 8);

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + file[start + i]);
	*at = (uint8_t)(*at - sum);
}

void acpi_relocate(struct acpi_tables *t, uint32_t tables_at)
{
	for (uint32_t i = 0; i < t->ncommands; i++) {
		uint8_t *c = t->script[i].bytes, *arg = c + 4 + FILE_NAME;
		uint8_t *file = strcmp((char *)c + 4, rsdp_file) ? t->tables : t->rsdp;
		uint32_t what = get_le32(c);

		if (what == CMD_CHECKSUM) {
			run_checksum(file, arg);
		} else if (what == CMD_POINTER) {
			/* 64-bit pointers too: we stay below 4 GiB */
			uint8_t *field = file + get_le32(arg + FILE_NAME);
			put_le32(field, get_le32(field) + tables_at);
		}
	}
}
