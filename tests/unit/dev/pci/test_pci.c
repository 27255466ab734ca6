// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the PCI bus, the host bridge and the ISA bridge at their registers */
#include "small_pc.h"

#define CARD (5 << 3)

struct card {
	struct pci_dev pci;
	uint32_t last_write;
	struct pci_msix_state msix;
};

static struct small_pc *pc;
static struct card card;

static uint64_t card_read(void *opaque, uint64_t off, unsigned size)
{
	return 0xa0 + off;
}

static void card_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	card.last_write = (uint32_t)val;
}

static uint64_t table_read(void *opaque, uint64_t off, unsigned size)
{
	return pci_msix_read(&card.pci, &card.msix, off, size);
}

static void table_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	pci_msix_write(&card.pci, &card.msix, off, val, size);
}

static const struct mem_ops card_ops = {.read = card_read, .write = card_write};
static const struct mem_ops table_ops = {.read = table_read, .write = table_write};

static int setup(void **state)
{
	pc = small_pc_new();
	memset(&card, 0, sizeof(card));
	pci_set_ids(&card.pci, 0x1234, 0x5678, 0x020000, 1, 0x1af4, 0x1100, 1);
	card.pci.bar[0] = (struct pci_bar){.kind = PCI_BAR_IO, .size = 32, .ports = {.ops = &card_ops}};
	card.pci.bar[1] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = 4096, .region = {.ops = &table_ops}};
	card.pci.bar[2] = (struct pci_bar){.kind = PCI_BAR_MEM64, .size = 0x10000, .region = {.ops = &card_ops}};
	pci_msix_init(&card.pci, &card.msix, 3, 1, 0);
	pci_add(pc->bus, &card.pci, CARD);
	return 0;
}

static int teardown(void **state)
{
	small_pc_free(pc);
	return 0;
}

static void absent_function(void **state)
{
	/* A function that is not there reads all ones at every width; so do other buses and a closed window. */
	assert_int_equal(cfg_read(pc, 9 << 3, 0, 4), 0xffffffff);
	assert_int_equal(cfg_read(pc, 9 << 3, 0, 2), 0xffff);
	out(pc, 0xcf8, 0x80010000, 4);
	assert_int_equal(in(pc, 0xcfc, 4), 0xffffffff);
	out(pc, 0xcf8, 0, 4);
	assert_int_equal(in(pc, 0xcfc, 4), 0xffffffff);
}

static void ids_seabios_looks_for(void **state)
{
	/* SeaBIOS takes the board for QEMU's i440FX by these. */
	assert_int_equal(cfg_read(pc, 0, 0, 4), 0x12378086);
	assert_int_equal(cfg_read(pc, 0, 0x2c, 4), 0x11001af4);
	assert_int_equal(cfg_read(pc, 8, 0, 4), 0x70008086);
	assert_int_equal(cfg_read(pc, 8, 0x0e, 1), 0x80);
	assert_int_equal(cfg_read(pc, 8, 0x0a, 2), 0x0601);
}

static void byte_and_word_access(void **state)
{
	/* The data port takes bytes and words at their places; CONFADDR takes only dwords and reads back. */
	assert_int_equal(cfg_read(pc, CARD, 2, 2), 0x5678);
	assert_int_equal(cfg_read(pc, CARD, 3, 1), 0x56);
	cfg_write(pc, CARD, 0x3c, 11, 1);
	assert_int_equal(cfg_read(pc, CARD, 0x3c, 2), 0x010b);
	out(pc, 0xcf8, 0x80002810, 4);
	out(pc, 0xcfb, 1, 1);
	assert_int_equal(in(pc, 0xcf8, 4), 0x80002810);
	cfg_write(pc, CARD, 0, 0xdeadbeef, 4);
	assert_int_equal(cfg_read(pc, CARD, 0, 4), 0x56781234);
}

static void bar_sizing(void **state)
{
	/* All ones written read back as the size mask and the type bits (PCI 6.2.5.1). */
	cfg_write(pc, CARD, 0x10, 0xffffffff, 4);
	assert_int_equal(cfg_read(pc, CARD, 0x10, 4), 0xffffffe1);
	cfg_write(pc, CARD, 0x18, 0xffffffff, 4);
	assert_int_equal(cfg_read(pc, CARD, 0x18, 4), 0xffff0004);
	cfg_write(pc, CARD, 0x1c, 0xffffffff, 4);
	assert_int_equal(cfg_read(pc, CARD, 0x1c, 4), 0xffffffff);
	cfg_write(pc, CARD, 0x24, 0xffffffff, 4);
	assert_int_equal(cfg_read(pc, CARD, 0x24, 4), 0);
}

static void bar_mapping(void **state)
{
	/* I1: a BAR answers exactly while its decode bit is set, and moves with its register. */
	cfg_write(pc, CARD, 0x10, 0xc000, 4);
	cfg_write(pc, CARD, 0x18, 0xf0000000, 4);
	assert_int_equal(in(pc, 0xc001, 1), 0xff);
	cfg_write(pc, CARD, 4, 3, 2);
	assert_int_equal(in(pc, 0xc001, 1), 0xa1);
	assert_int_equal(peek8(pc, 0xf0000002), 0xa2);
	cfg_write(pc, CARD, 0x10, 0xd000, 4);
	assert_int_equal(in(pc, 0xc001, 1), 0xff);
	assert_int_equal(in(pc, 0xd001, 1), 0xa1);
	cfg_write(pc, CARD, 0x1c, 1, 4);
	assert_int_equal(peek8(pc, 0xf0000002), 0xff);
	assert_int_equal(peek8(pc, 0x1f0000002), 0xa2);
	cfg_write(pc, CARD, 4, 0, 2);
	assert_int_equal(in(pc, 0xd001, 1), 0xff);
	assert_int_equal(peek8(pc, 0x1f0000002), 0xff);
}

static void bar_under_ram(void **state)
{
	/* A BAR put over RAM does not hide it, nor does one being sized with decoding on. */
	poke8(pc, 0x300002, 0x77);
	cfg_write(pc, CARD, 4, 2, 2);
	cfg_write(pc, CARD, 0x18, 0x300000, 4);
	assert_int_equal(peek8(pc, 0x300002), 0x77);
	cfg_write(pc, CARD, 0x14, 0xffffffff, 4);
	assert_int_equal(peek8(pc, 0xfffff000), 0xff);
}

static void reset_unmaps(void **state)
{
	/* After a bus reset nothing is decoded and command reads 0. */
	cfg_write(pc, CARD, 0x10, 0xc000, 4);
	cfg_write(pc, CARD, 4, 3, 2);
	pci_bus_reset(pc->bus);
	assert_int_equal(in(pc, 0xc001, 1), 0xff);
	assert_int_equal(cfg_read(pc, CARD, 4, 2), 0);
	assert_int_equal(cfg_read(pc, CARD, 0x10, 4), 1);
}

static void intx_routing(void **state)
{
	/* Slot 5 pin A (0) is PIRQ (5 + 0 - 1) mod 4 = A; a line is the OR of its sources and follows the route. */
	struct wire isa = piix3_irq_input(pc->piix3, 11);

	cfg_write(pc, 8, 0x60, 0x0a0b, 2); /* A to 11, B to 10 */
	pci_set_intx(&card.pci, true);
	assert_true(pc->line[11]);
	assert_false(pc->line[10]);
	assert_true(cfg_read(pc, CARD, 6, 2) & 8);
	wire_set(&isa, true);
	pci_set_intx(&card.pci, false);
	assert_true(pc->line[11]);
	wire_set(&isa, false);
	assert_false(pc->line[11]);
	pci_set_intx(&card.pci, true);
	cfg_write(pc, 8, 0x60, 0x05, 1);
	assert_true(pc->line[5]);
	assert_false(pc->line[11]);
	cfg_write(pc, 8, 0x60, 0x80, 1);
	assert_false(pc->line[5]);
	cfg_write(pc, 8, 0x60, 0x02, 1); /* reserved: the cascade */
	assert_false(pc->line[2]);
}

static void intx_disable(void **state)
{
	/* Interrupt Disable in the command register keeps the line low, not the status bit. */
	cfg_write(pc, 8, 0x60, 11, 1);
	pci_set_intx(&card.pci, true);
	cfg_write(pc, CARD, 4, 0x400, 2);
	assert_false(pc->line[11]);
	assert_true(cfg_read(pc, CARD, 6, 2) & 8);
	cfg_write(pc, CARD, 4, 0, 2);
	assert_true(pc->line[11]);
}

static void msix_masks(void **state)
{
	/* A masked vector stays pending and is sent once when unmasked. */
	uint8_t cap = (uint8_t)cfg_read(pc, CARD, 0x34, 1);
	uint32_t data = 0x4041, addr = 0xfee00000, ctl = 0;

	assert_int_equal(cfg_read(pc, CARD, cap, 1), 0x11);
	assert_int_equal(cfg_read(pc, CARD, cap + 2, 2), 2);
	cfg_write(pc, CARD, 0x14, 0xf1000000, 4);
	cfg_write(pc, CARD, 4, 6, 2);
	cfg_write(pc, CARD, cap + 2, 0x8000, 2);
	mem_write(pc->mem, 0xf1000010, &addr, 4);
	mem_write(pc->mem, 0xf1000018, &data, 4);
	pci_msix_fire(&card.pci, &card.msix, 1);
	assert_int_equal(pc->msis, 0);
	assert_int_equal(peek8(pc, 0xf1000800), 2);
	mem_write(pc->mem, 0xf100001c, &ctl, 4);
	assert_int_equal(pc->msis, 1);
	assert_int_equal(pc->msi_data, 0x4041);
	assert_int_equal(pc->msi_addr, 0xfee00000);
	assert_int_equal(peek8(pc, 0xf1000800), 0);
	cfg_write(pc, CARD, cap + 2, 0xc000, 2);
	pci_msix_fire(&card.pci, &card.msix, 1);
	assert_int_equal(pc->msis, 1);
	cfg_write(pc, CARD, cap + 2, 0x8000, 2);
	assert_int_equal(pc->msis, 2);
	pci_msix_fire(&card.pci, &card.msix, 99);
	assert_int_equal(pc->msis, 2);
}

static void shadowing(void **state)
{
	/* PAM: each attribute sends reads and writes of its segment to RAM or to what lies beneath (290549 3.2.18). */
	static _Alignas(4096) uint8_t rom[0x10000];
	struct mem_region r = {.name = "rom", .base = 0xf0000, .size = sizeof(rom), .priority = 1, .host = rom};

	memset(rom, 0x52, sizeof(rom));
	mem_region_enable(pc->mem, &r);
	poke8(pc, 0xf1000, 1);
	assert_int_equal(peek8(pc, 0xf1000), 0x52);
	cfg_write(pc, 0, 0x59, 0x20, 1); /* write only */
	poke8(pc, 0xf1000, 2);
	assert_int_equal(peek8(pc, 0xf1000), 0x52);
	cfg_write(pc, 0, 0x59, 0x10, 1); /* read only */
	assert_int_equal(peek8(pc, 0xf1000), 2);
	poke8(pc, 0xf1000, 3);
	assert_int_equal(peek8(pc, 0xf1000), 2);
	cfg_write(pc, 0, 0x59, 0x30, 1);
	poke8(pc, 0xf1000, 4);
	assert_int_equal(peek8(pc, 0xf1000), 4);
	assert_non_null(mem_dma_ptr(pc->mem, 0xf1000, 16));
	cfg_write(pc, 0, 0x59, 0x00, 1);
	assert_int_equal(peek8(pc, 0xf1000), 0x52);
	mem_region_disable(pc->mem, &r);
}

static void shadow_segments(void **state)
{
	/* Low and high halves of PAM1-6 are neighbouring 16 KiB from 0xc0000; closed ones read as an empty bus. */
	assert_int_equal(peek8(pc, 0xc0000), 0xff);
	cfg_write(pc, 0, 0x5a, 0x30, 1);
	poke8(pc, 0xc0000, 1);
	poke8(pc, 0xc4000, 1);
	poke8(pc, 0xc7fff, 2);
	poke8(pc, 0xc8000, 1);
	assert_int_equal(peek8(pc, 0xc0000), 0xff);
	assert_int_equal(peek8(pc, 0xc4000), 1);
	assert_int_equal(peek8(pc, 0xc7fff), 2);
	assert_int_equal(peek8(pc, 0xc8000), 0xff);
	cfg_write(pc, 0, 0x5f, 0x03, 1);
	poke8(pc, 0xe8000, 9);
	assert_int_equal(peek8(pc, 0xe8000), 9);
}

static void smram(void **state)
{
	/* D_OPEN shows RAM at 0xa0000 until D_LCK closes it for good. */
	static const struct mem_ops nothing;
	struct mem_region vga = {.name = "vga", .base = 0xa0000, .size = 0x20000, .priority = 1, .ops = &nothing};

	mem_region_enable(pc->mem, &vga);
	cfg_write(pc, 0, 0x72, 0x4a, 1);
	poke8(pc, 0xa0000, 0x33);
	assert_int_equal(peek8(pc, 0xa0000), 0x33);
	cfg_write(pc, 0, 0x72, 0x0a, 1);
	assert_int_equal(peek8(pc, 0xa0000), 0xff);
	cfg_write(pc, 0, 0x72, 0x5a, 1);
	assert_int_equal(cfg_read(pc, 0, 0x72, 1), 0x1a);
	cfg_write(pc, 0, 0x72, 0x4a, 1);
	assert_int_equal(peek8(pc, 0xa0000), 0xff);
	i440fx_reset(pc->fx, false);
	assert_int_equal(cfg_read(pc, 0, 0x72, 1), 0x02);
	cfg_write(pc, 0, 0x72, 0x4a, 1);
	assert_int_equal(peek8(pc, 0xa0000), 0x33);
	mem_region_disable(pc->mem, &vga);
}

static void reset_port(void **state)
{
	/* 0xcf9: bit 2 going from 0 to 1 resets, staying 1 does not; it leaves CONFADDR alone. */
	out(pc, 0xcf8, 0x80000000, 4);
	out(pc, 0xcf9, 2, 1);
	assert_int_equal(pc->resets, 0);
	out(pc, 0xcf9, 6, 1);
	assert_int_equal(pc->resets, 1);
	out(pc, 0xcf9, 6, 1);
	assert_int_equal(pc->resets, 1);
	assert_int_equal(in(pc, 0xcf8, 4), 0x80000000);
}

static void coverage(void **state)
{
	/* Every byte of the chips' state is declared. */
	pci_register_state(&card.pci, pc->states, "card");
	check_all_coverage(pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(absent_function), T(ids_seabios_looks_for), T(byte_and_word_access), T(bar_sizing), T(bar_mapping),
		T(bar_under_ram), T(reset_unmaps), T(intx_routing), T(intx_disable), T(msix_masks), T(shadowing),
		T(shadow_segments), T(smram), T(reset_port), T(coverage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
