// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the guest is told about its machine, through firmware or directly
 *
 *   with firmware      fw_cfg files and CMOS bytes; the firmware makes the rest of them
 *   with --kernel      the same ACPI and SMBIOS tables in RAM, a memory map for the boot protocol, chips as
 *                      firmware would leave them (handover.c), the vCPU at the kernel's entry
 */
#include <stdio.h>
#include <string.h>

#include "board/handover.h"
#include "board/mptable.h"
#include "board/pc_int.h"

/* Tables without firmware: ACPI at the end of low RAM, what guests search for in the BIOS segment. */
#define RSDP_AT (E820_BIOS + 0x000)
#define SMBIOS_ANCHOR_AT (E820_BIOS + 0x100)
#define SMBIOS_TABLES_AT (E820_BIOS + 0x200)
#define MPTABLE_AT (E820_BIOS + 0x1000)

static void build_acpi(const struct pc *pc, struct acpi_tables *t)
{
	acpi_build(t, &(struct acpi_config){
		.pci_low = (uint32_t)MAX(mem_ram_below4g(pc->mem), MIB(128)),
		.cpus = pc->model->topology,
		.apic = pc->model->apic,
		.floppy = pc->cfg.nfloppies,
		.pm_base = PIIX4_PM_BASE,
		.smi_cmd = PIIX4_PM_SMI_CMD,
		.acpi_enable = PIIX4_PM_ACPI_ENABLE,
		.acpi_disable = PIIX4_PM_ACPI_DISABLE,
	});
}

/* CPUID.1: EAX and EDX. */
static void cpu_identity(const struct pc *pc, uint32_t *signature, uint32_t *features)
{
	for (unsigned i = 0; i < pc->model->nleaves; i++) {
		if (pc->model->leaf[i].leaf != 1)
			continue;
		*signature = pc->model->leaf[i].eax;
		*features = pc->model->leaf[i].edx;
	}
}

static void build_smbios(const struct pc *pc, struct smbios_tables *t)
{
	struct smbios_config cfg = {
		.ram_size = mem_ram_size(pc->mem), .ram_below4g = mem_ram_below4g(pc->mem), .cpus = pc->model->topology,
		.tables_at = SMBIOS_TABLES_AT,
	};

	cpu_identity(pc, &cfg.cpu_signature, &cfg.cpu_features);
	smbios_build(t, &cfg);
}

static void build_mptable(const struct pc *pc, struct mptable *t)
{
	struct mptable_config cfg = { .at = MPTABLE_AT, .cpus = pc->model->topology, .pci_irq = handover_pci_irq };

	cpu_identity(pc, &cfg.cpu_signature, &cfg.cpu_features);
	for (unsigned slot = 1; slot < PC_SLOTS; slot++)
		if (pci_config_read(pc->pci, 0, PC_DEVFN(slot), 0, 2) != 0xffff)
			cfg.slots |= 1u << slot;
	mptable_build(t, &cfg);
}

static void publish_int(struct pc *pc, const char *name, uint64_t val)
{
	uint8_t buf[8];

	put_le64(buf, val);
	fwcfg_add_file(pc->fwcfg, name, buf, sizeof(buf));
}

/* RAM only: the firmware knows its own reservations. */
static void publish_e820(struct pc *pc)
{
	uint8_t map[2 * 20] = { 0 };
	uint64_t above = mem_ram_above4g(pc->mem);

	put_le64(map + 8, mem_ram_below4g(pc->mem));
	put_le32(map + 16, E820_RAM);
	put_le64(map + 20, GIB(4));
	put_le64(map + 28, above);
	put_le32(map + 36, E820_RAM);
	fwcfg_add_file(pc->fwcfg, "etc/e820", map, above ? 40 : 20);
}

static void publish_tables(struct pc *pc)
{
	struct acpi_tables acpi;
	struct smbios_tables smbios;

	build_acpi(pc, &acpi);
	fwcfg_add_file(pc->fwcfg, "etc/acpi/tables", acpi.tables, acpi.len);
	fwcfg_add_file(pc->fwcfg, "etc/acpi/rsdp", acpi.rsdp, sizeof(acpi.rsdp));
	fwcfg_add_file(pc->fwcfg, "etc/table-loader", acpi.script, acpi.ncommands * (uint32_t)sizeof(acpi.script[0]));
	build_smbios(pc, &smbios);
	fwcfg_add_file(pc->fwcfg, "etc/smbios/smbios-anchor", smbios.anchor, sizeof(smbios.anchor));
	fwcfg_add_file(pc->fwcfg, "etc/smbios/smbios-tables", smbios.tables, smbios.len);
}

/* AT Technical Reference, "Equipment Byte": bit 0 drives there, bits 7:6 how many less one; coprocessor, pointing
 * device. */
static uint32_t equipment(const struct pc *pc)
{
	unsigned n = pc->cfg.nfloppies;

	return 0x06 | (n ? 1 | (n - 1) << 6 : 0);
}

/* seabios src/hw/rtc.h and src/boot.c: the CMOS bytes it reads. */
static void fill_cmos(struct pc *pc, const char *order)
{
	uint64_t low = mem_ram_below4g(pc->mem), high = mem_ram_above4g(pc->mem) >> 16;
	uint32_t ext = (uint32_t)MIN((low - MIB(1)) >> 10, 0xffff);
	uint32_t above16m = low > MIB(16) ? (uint32_t)((low - MIB(16)) >> 16) : 0;
	uint32_t seq = 0;
	const struct { uint8_t index; uint32_t val; } bytes[] = {
		{ 0x15, 640 & 0xff }, { 0x16, 640 >> 8 },
		{ 0x17, ext }, { 0x18, ext >> 8 }, { 0x30, ext }, { 0x31, ext >> 8 },
		{ 0x34, above16m }, { 0x35, above16m >> 8 },
		{ 0x5b, (uint32_t)high }, { 0x5c, (uint32_t)(high >> 8) }, { 0x5d, (uint32_t)(high >> 16) },
		{ 0x14, equipment(pc) },
		{ 0x5f, (uint8_t)(pc->ncpus - 1) },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bytes); i++)
		rtc_set_cmos(pc->rtc, bytes[i].index, (uint8_t)bytes[i].val);
	/* boot sequence, one nibble a kind: 1 floppy, 2 disk, 3 CD-ROM, 4 network; bit 0 of byte 0x38: boot floppies
	 * without a signature */
	for (unsigned i = 0; i < 3 && order[i]; i++)
		seq |= (order[i] == 'a' ? 1u : order[i] == 'c' ? 2u : order[i] == 'd' ? 3u : 4u) << 4 * i;
	rtc_set_cmos(pc->rtc, 0x3d, (uint8_t)seq);
	rtc_set_cmos(pc->rtc, 0x38, (uint8_t)(1 | (seq >> 4 & 0xf0)));
	storage_fill_cmos(pc->storage, pc->rtc);
}

/* Device paths of all that may be booted from, in order, one a line. */
static void boot_order(struct pc *pc, const char *order, char *buf, size_t len)
{
	size_t n = 0;

	for (*buf = 0; *order && n + 1 < len; order++) {
		const char kind[2] = { *order };
		char *at = buf + n + (n != 0);

		if (*kind == 'n')
			network_boot_paths(pc->network, at, len - (size_t)(at - buf));
		else
			storage_boot_order(pc->storage, kind, at, len - (size_t)(at - buf));
		if (*at && n)
			buf[n] = '\n';
		n = *at ? (size_t)(at - buf) + strlen(at) : n;
	}
}

void guestinfo_publish(struct pc *pc)
{
	static const uint8_t states[6] = { 0x80, 0, 0, 0x80 | PIIX4_PM_SLP_TYP_S3, 0, 0x80 }; /* S0, S3, S5 */
	const char *order = pc->cfg.boot ? pc->cfg.boot : "cdan";
	uint8_t cpus[2], ids[2], size[8];
	char paths[1024];

	put_le64(size, mem_ram_size(pc->mem));
	fwcfg_add(pc->fwcfg, FWCFG_RAM_SIZE, size, sizeof(size));
	put_le16(cpus, (uint16_t)pc->ncpus);
	put_le16(ids, (uint16_t)(cpuid_apic_id(&pc->model->topology, pc->ncpus - 1) + 1)); /* highest APIC ID, and 1 */
	fwcfg_add(pc->fwcfg, FWCFG_NB_CPUS, cpus, sizeof(cpus));
	fwcfg_add(pc->fwcfg, FWCFG_MAX_CPUS, ids, sizeof(ids));
	publish_e820(pc);
	publish_tables(pc);
	boot_order(pc, order, paths, sizeof(paths));
	if (*paths)
		fwcfg_add_file(pc->fwcfg, "bootorder", paths, (uint32_t)strlen(paths) + 1);
	fwcfg_add_file(pc->fwcfg, "etc/system-states", states, sizeof(states));
	publish_int(pc, "etc/show-boot-menu", 0);
	/* No screen: the firmware mirrors its text, and what boot loaders print through it, on the first serial port. */
	if (!pc->cfg.display_text && pc->stream[0])
		publish_int(pc, "etc/sercon-port", 0x3f8);
	fill_cmos(pc, order);
}

/* BIOS data area: what kernels read there (extended BIOS data area, size of conventional memory, video mode). */
static void put_bios_data(struct pc *pc)
{
	uint8_t bda[256] = { 0 }, ebda_kib = 1;

	put_le16(bda + 0x00, 0x3f8);
	put_le16(bda + 0x02, 0x2f8);
	put_le16(bda + 0x0e, E820_EBDA >> 4);
	put_le16(bda + 0x10, 0x0226);
	put_le16(bda + 0x13, E820_EBDA >> 10);
	bda[0x49] = 3;
	put_le16(bda + 0x4a, 80);
	put_le16(bda + 0x63, 0x3d4);
	bda[0x84] = 24;
	put_le16(bda + 0x85, 16);
	mem_dma_write(pc->mem, 0x400, bda, sizeof(bda));
	mem_dma_write(pc->mem, E820_EBDA, &ebda_kib, 1);
}

static void put_tables(struct pc *pc, uint32_t at)
{
	struct acpi_tables acpi;
	struct smbios_tables smbios;
	struct mptable mp;

	build_acpi(pc, &acpi);
	acpi_relocate(&acpi, at);
	mem_dma_write(pc->mem, at, acpi.tables, acpi.len);
	mem_dma_write(pc->mem, RSDP_AT, acpi.rsdp, sizeof(acpi.rsdp));
	build_smbios(pc, &smbios);
	mem_dma_write(pc->mem, SMBIOS_ANCHOR_AT, smbios.anchor, sizeof(smbios.anchor));
	mem_dma_write(pc->mem, SMBIOS_TABLES_AT, smbios.tables, smbios.len);
	build_mptable(pc, &mp);
	if (pc->model->apic)
		mem_dma_write(pc->mem, MPTABLE_AT, mp.bytes, mp.len);
}

static void set_mtrrs(struct cpu *cpu)
{
	cpu->s.mtrr_def_type = 0xc06; /* SDM vol 3 12.11.2.1: MTRRs on, write-back */
	for (unsigned i = 0; i < ARRAY_LEN(cpu->s.mtrr_fix); i++)
		cpu->s.mtrr_fix[i] = i == 2 ? 0 : 0x0606060606060606; /* 0xa0000: uncached */
}

/* Flat 32-bit protected mode (boot.rst "32-bit boot protocol"; Multiboot 0.6.96, 3.2), memory write-back as firmware
 * sets it. */
static void set_cpu(struct cpu *cpu, const struct kernel_entry *e)
{
	const uint16_t code = SEGA_P | SEGA_S | SEGA_CODE | SEGA_W | SEGA_A | SEGA_DB | SEGA_G;
	const uint16_t data = SEGA_P | SEGA_S | SEGA_W | SEGA_A | SEGA_DB | SEGA_G;

	cpu_reset(cpu, false);
	cpu->s.cr0 = CR0_PE | CR0_ET;
	cpu->s.gdt_base = e->gdt;
	cpu->s.gdt_limit = KERNEL_GDT_LIMIT;
	cpu->s.idt_limit = 0;
	set_mtrrs(cpu);
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		cpu_set_seg(cpu, i, i == SEG_CS ? 0x10 : 0x18, 0, 0xffffffff, i == SEG_CS ? code : data);
	memset(cpu->s.gpr, 0, sizeof(cpu->s.gpr));
	cpu->s.gpr[RAX] = e->eax;
	cpu->s.gpr[RBX] = e->ebx;
	cpu->s.gpr[RSI] = e->esi;
	cpu->s.gpr[RSP] = e->esp;
	cpu->s.rip = e->eip;
	cpu->s.rflags = FL_FIXED;
	cpu_derive(cpu);
	__atomic_fetch_or(&cpu->request, (uint32_t)REQ_FLUSH, __ATOMIC_SEQ_CST);
}

/* The vCPU goes on in real mode. */
void guestinfo_start_real(struct pc *pc, uint16_t cs, uint16_t ip)
{
	struct cpu *cpu = vcpu_cpu(pc->cpu[0].vcpu);

	cpu_set_seg_real(cpu, SEG_CS, cs);
	cpu->s.rip = ip;
	__atomic_fetch_or(&cpu->request, (uint32_t)REQ_FLUSH, __ATOMIC_SEQ_CST);
}

/* Where the ACPI tables go. */
static uint32_t tables_at(const struct pc *pc)
{
	return (uint32_t)(mem_ram_below4g(pc->mem) - PC_TABLES_SIZE) & ~0xffffu;
}

static int place_kernel(struct pc *pc, struct mem *mem, struct kernel_entry *entry, struct err *err)
{
	struct e820_map map;

	e820_build(&map, mem_ram_below4g(pc->mem), mem_ram_above4g(pc->mem), tables_at(pc), PC_TABLES_SIZE, 0);
	return kernel_load(pc->kernel, &(struct kernel_place){
		.mem = mem, .map = &map, .top = tables_at(pc), .rsdp = RSDP_AT, .vga_text = pc->cfg.display_text,
	}, entry, err);
}

int guestinfo_check_kernel(struct pc *pc, struct err *err)
{
	struct kernel_entry entry;

	return place_kernel(pc, NULL, &entry, err);
}

int guestinfo_start_kernel(struct pc *pc, struct err *err)
{
	struct kernel_entry entry;
	int ret;

	handover_init(pc->mem, (uint32_t)mem_ram_below4g(pc->mem), pc->cfg.display_text);
	loop_lock(pc->loop);
	put_bios_data(pc);
	put_tables(pc, tables_at(pc));
	ret = place_kernel(pc, pc->mem, &entry, err);
	loop_unlock(pc->loop);
	if (!ret)
		set_cpu(vcpu_cpu(pc->cpu[0].vcpu), &entry);
	return ret;
}

/* ACPI 5.0, 5.2.10 and 15.3.3: the FACS leads build_acpi()'s tables; real mode, CS the address >> 4, IP its low four
 * bits. The vector for protected mode is not looked at: who sets only that one leaves this one 0. */
bool guestinfo_wake_kernel(struct pc *pc)
{
	struct cpu *cpu = vcpu_cpu(pc->cpu[0].vcpu);
	uint8_t facs[16] = { 0 };
	uint32_t vector;

	mem_dma_read(pc->mem, tables_at(pc), facs, sizeof(facs));
	vector = get_le32(facs + 12);
	if (memcmp(facs, "FACS", 4) || !vector || vector >= MIB(1))
		return false;
	handover_init(pc->mem, (uint32_t)mem_ram_below4g(pc->mem), false);
	cpu_reset(cpu, false);
	set_mtrrs(cpu);
	guestinfo_start_real(pc, (uint16_t)(vector >> 4), vector & 15);
	return true;
}
