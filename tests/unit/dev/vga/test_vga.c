// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the VGA by its ports and its window: registers, planes, text, VBE, PCI */
#include "unit.h"

#include "dev/vga/vga.h"

static struct loop *loop;
static struct mem *mem;
static struct pci_bus *pci;
static struct vga *vga;
static uint8_t rom[5000];

static int setup(void **state)
{
	struct state_set *set = state_set_new();
	struct vga_config cfg = {.set = set, .devfn = 2 << 3, .rom = rom, .rom_size = sizeof(rom)};

	rom[0] = 0x55;
	rom[4999] = 0x77;
	cfg.loop = loop = loop_new_stepped();
	cfg.mem = mem = mem_new(loop, MIB(4), MIB(4), NULL);
	cfg.pci = pci = pci_bus_new(mem, NULL);
	vga = vga_new(&cfg, NULL);
	state_set_each(set, check_coverage, NULL);
	state_set_free(set);
	return 0;
}

static int teardown(void **state)
{
	vga_free(vga);
	pci_bus_free(pci);
	mem_free(mem);
	loop_free(loop);
	return 0;
}

static void out(uint16_t port, uint8_t val)
{
	mem_port_out(mem, port, val, 1);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)mem_port_in(mem, port, 1);
}

/* Index and data in one word, as most code writes them. */
static void reg(uint16_t port, uint8_t index, uint8_t val)
{
	mem_port_out(mem, port, (uint32_t)(val << 8 | index), 2);
}

static void attr(uint8_t index, uint8_t val)
{
	in(0x3da);
	out(0x3c0, index);
	out(0x3c0, val);
}

static void poke(uint32_t addr, uint8_t val)
{
	mem_write(mem, addr, &val, 1);
}

static uint8_t peek(uint32_t addr)
{
	uint8_t val;

	mem_read(mem, addr, &val, 1);
	return val;
}

static void dispi(uint16_t index, uint16_t val)
{
	mem_port_out(mem, 0x1ce, index, 2);
	mem_port_out(mem, 0x1cf, val, 2);
}

static uint16_t dispi_read(uint16_t index)
{
	mem_port_out(mem, 0x1ce, index, 2);
	return (uint16_t)mem_port_in(mem, index & 1 ? 0x1cf : 0x1d0, 2);
}

/* The parts of mode 3 that matter: 80x25, 16 lines a character, window at 0xb8000, odd/even. */
static void mode3(void)
{
	static const uint8_t crtc[] = {
		0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
		0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
	};

	out(0x3c2, 0x67);
	reg(0x3c4, 1, 0);
	reg(0x3c4, 2, 3);
	reg(0x3c4, 4, 2);
	reg(0x3d4, 0x11, 0);
	for (unsigned i = 0; i < sizeof(crtc); i++)
		reg(0x3d4, (uint8_t)i, crtc[i]);
	reg(0x3ce, 5, 0x10);
	reg(0x3ce, 6, 0x0e);
	reg(0x3ce, 8, 0xff);
	in(0x3da);
	out(0x3c0, 0x20);
}

/* Planar 16 colours (mode 12h): window at 0xa0000, all planes. */
static void planar(void)
{
	out(0x3c2, 0xe3);
	reg(0x3c4, 2, 0xf);
	reg(0x3c4, 4, 6);
	reg(0x3ce, 0, 0);
	reg(0x3ce, 1, 0);
	reg(0x3ce, 3, 0);
	reg(0x3ce, 5, 0);
	reg(0x3ce, 6, 5);
	reg(0x3ce, 7, 0xf);
	reg(0x3ce, 8, 0xff);
}

static void mode13(void)
{
	planar();
	reg(0x3c4, 4, 0x0e);
	reg(0x3ce, 5, 0x40);
}

/* Index registers, the attribute flip-flop, and the CRTC at 3d4 or 3b4 as the misc output register says. */
static void test_registers(void **state)
{
	reg(0x3c4, 2, 0xff);
	assert_int_equal(in(0x3c4), 2);
	assert_int_equal(in(0x3c5), 0x0f);
	attr(0x30, 0x55);
	assert_int_equal(in(0x3c0), 0x30);
	assert_int_equal(in(0x3c1), 0x45);
	out(0x3c2, 0x67);
	assert_int_equal(in(0x3cc), 0x67);
	reg(0x3d4, 0x0f, 0x12);
	assert_int_equal(in(0x3b5), 0xff);
	out(0x3c2, 0x66);
	assert_int_equal(in(0x3b5), 0x12);
	assert_int_equal(in(0x3d5), 0xff);
}

/* CRTC register 0x11 bit 7 protects registers 0-7, except the line compare bit in 7. */
static void test_crtc_protect(void **state)
{
	mode3();
	reg(0x3d4, 0x11, 0x8e);
	reg(0x3d4, 0, 0x11);
	reg(0x3d4, 7, 0x00);
	out(0x3d4, 0);
	assert_int_equal(in(0x3d5), 0x5f);
	out(0x3d4, 7);
	assert_int_equal(in(0x3d5), 0x0f);
	reg(0x3d4, 0x40, 0xff); /* no such register */
	assert_int_equal(in(0x3d5), 0);
}

/* DAC: three components an entry, 6 bits, separate read and write indices that count up. */
static void test_dac(void **state)
{
	out(0x3c8, 254);
	for (int i = 0; i < 9; i++)
		out(0x3c9, (uint8_t)(0x81 + i));
	assert_int_equal(in(0x3c8), 1);
	out(0x3c7, 255);
	assert_int_equal(in(0x3c7), 3);
	assert_int_equal(in(0x3c9), 0x04);
	assert_int_equal(in(0x3c9), 0x05);
	assert_int_equal(in(0x3c9), 0x06);
	assert_int_equal(in(0x3c9), 0x07); /* entry 0 */
}

/* Input status 1: vertical retrace comes 70 times a second in mode 3 and resets the attribute flip-flop. */
static void test_retrace(void **state)
{
	unsigned edges = 0;
	uint8_t last = 0x08;

	mode3();
	for (int i = 0; i < 100000; i++) {
		uint8_t now = in(0x3da) & 0x08;

		edges += now && !last;
		last = now;
		loop_step(loop, 10000);
	}
	assert_in_range(edges, 69, 71);
}

/* Odd/even: characters and attributes interleave in the window at 0xb8000, by bytes, words and dwords. */
static void test_text_memory(void **state)
{
	uint32_t cells = 0x17421741, back;

	mode3();
	mem_write(mem, 0xb8000, &cells, 4);
	poke(0xb8004, 'C');
	poke(0xb8005, 0x1e);
	mem_read(mem, 0xb8002, &back, 4);
	assert_int_equal(back, 0x1e431742);
	assert_int_equal(peek(0xb7fff), 0xff);
	poke(0xa0000, 1); /* not in the window */
	assert_int_equal(peek(0xa0000), 0xff);
	out(0x3c2, 0x65); /* RAM disabled */
	assert_int_equal(peek(0xb8000), 0xff);
}

/* The snapshot follows geometry, start address, cursor and its limits. */
static void test_snapshot(void **state)
{
	uint16_t cells[80 * 60];
	unsigned cols, rows;
	int cursor;

	mode3();
	poke(0xb8000 + 160, 'x');
	poke(0xb8000 + 161, 7);
	reg(0x3d4, 0x0f, 81);
	assert_int_equal(vga_text_snapshot(vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor), 2000);
	assert_int_equal(cols, 80);
	assert_int_equal(rows, 25);
	assert_int_equal(cursor, 81);
	assert_int_equal(cells[80], 0x0778);
	reg(0x3d4, 0x0d, 80); /* scrolled by a line */
	vga_text_snapshot(vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor);
	assert_int_equal(cells[0], 0x0778);
	assert_int_equal(cursor, 1);
	reg(0x3d4, 0x0a, 0x2d); /* cursor off */
	reg(0x3d4, 0x09, 0x47); /* 8 lines: 80x50 */
	assert_int_equal(vga_text_snapshot(vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor), 4000);
	assert_int_equal(cursor, -1);
	reg(0x3d4, 0x09, 0x40); /* 400 rows: bounded by the buffer */
	assert_true(vga_text_snapshot(vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor) <= ARRAY_LEN(cells));
	reg(0x3d4, 0x01, 0xff);
	reg(0x3d4, 0x13, 0xff);
	reg(0x3d4, 0x0c, 0xff);
	assert_true(vga_text_snapshot(vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor) <= ARRAY_LEN(cells));
	assert_int_equal(vga_text_snapshot(vga, cells, 10, &cols, &rows, &cursor), 10);
	planar();
	assert_int_equal(vga_text_snapshot(vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor), 0);
}

/* The video BIOS loads fonts into plane 2 while characters stay where they are. */
static void test_font_plane(void **state)
{
	mode3();
	poke(0xb8000, 'A');
	reg(0x3c4, 2, 4);
	reg(0x3c4, 4, 7);
	reg(0x3ce, 4, 2);
	reg(0x3ce, 5, 0);
	reg(0x3ce, 6, 4);
	poke(0xa0000 + 'A' * 32, 0x18);
	assert_int_equal(peek(0xa0000 + 'A' * 32), 0x18);
	assert_int_equal(vga_vram(vga)['A' * 32 * 4 + 2], 0x18);
	mode3();
	reg(0x3ce, 4, 0);
	assert_int_equal(peek(0xb8000), 'A');
}

/* Write mode 0: map mask, set/reset, rotate, functions and bit mask against the latches. */
static void test_write_mode0(void **state)
{
	uint8_t *v = vga_vram(vga);

	planar();
	reg(0x3c4, 2, 0x5);
	poke(0xa0000, 0xff);
	assert_int_equal(get_le32(v), 0x00ff00ff);
	reg(0x3c4, 2, 0xf);
	reg(0x3ce, 0, 0x2); /* plane 1 set, plane 0 reset, 2 and 3 from the CPU */
	reg(0x3ce, 1, 0x3);
	poke(0xa0001, 0x81);
	assert_int_equal(get_le32(v + 4), 0x8181ff00);
	reg(0x3ce, 1, 0);
	reg(0x3ce, 3, 0x01); /* rotate right by one */
	poke(0xa0002, 0x81);
	assert_int_equal(get_le32(v + 8), 0xc0c0c0c0);
	reg(0x3ce, 3, 0x18); /* xor with what is there */
	reg(0x3ce, 8, 0xf0);
	peek(0xa0002);
	poke(0xa0002, 0xff);
	assert_int_equal(get_le32(v + 8), 0x30303030);
}

/* Write modes 1 (latches), 2 (colour) and 3 (set/reset under a mask from the CPU). */
static void test_write_modes(void **state)
{
	uint8_t *v = vga_vram(vga);

	planar();
	put_le32(v, 0x12345678);
	reg(0x3ce, 5, 1);
	peek(0xa0000);
	poke(0xa0010, 0);
	assert_int_equal(get_le32(v + 0x40), 0x12345678);
	reg(0x3ce, 5, 2);
	reg(0x3ce, 8, 0x0f);
	peek(0xa0020);
	poke(0xa0020, 0x9);
	assert_int_equal(get_le32(v + 0x80), 0x0f00000f);
	reg(0x3ce, 5, 3);
	reg(0x3ce, 0, 0x4);
	reg(0x3ce, 8, 0xff);
	put_le32(v + 0xc0, 0xffffffff);
	peek(0xa0030);
	poke(0xa0030, 0x3c);
	assert_int_equal(get_le32(v + 0xc0), 0xc3ffc3c3);
}

/* Read mode 0 picks a plane; read mode 1 compares colours on the planes that are cared about. */
static void test_read_modes(void **state)
{
	planar();
	put_le32(vga_vram(vga), 0x0ff03cc3);
	for (uint8_t p = 0; p < 4; p++) {
		static const uint8_t want[] = {0xc3, 0x3c, 0xf0, 0x0f};

		reg(0x3ce, 4, p);
		assert_int_equal(peek(0xa0000), want[p]);
	}
	reg(0x3ce, 5, 8);
	reg(0x3ce, 2, 0x5); /* planes 0 and 2 set, 1 and 3 clear */
	assert_int_equal(peek(0xa0000), 0xc0);
	reg(0x3ce, 7, 0x1);
	assert_int_equal(peek(0xa0000), 0xc3);
	reg(0x3ce, 7, 0x0);
	assert_int_equal(peek(0xa0000), 0xff);
}

/* Address bit 0 chooses between even and odd maps for writes by sequencer 4 bit 2 clear, for reads by graphics 5 bit 4,
 * and for both by graphics 6 bit 1, also where those say sequential. */
static void test_odd_even(void **state)
{
	static const struct { uint8_t seq4, gr5, gr6; bool write, read; } modes[] = {
		{ 6, 0x00, 5, false, false }, { 2, 0x00, 5, true, false }, { 6, 0x10, 5, false, true },
		{ 6, 0x00, 7, true, true }, { 2, 0x10, 7, true, true },
	};
	uint8_t *v = vga_vram(vga);

	for (unsigned planes = 3; planes < 16; planes += 12) { /* a text screen's, which has a way of its own, and all */
		uint32_t kept = planes == 3 ? 0xffff0000 : 0;

		for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
			planar();
			reg(0x3c4, 2, (uint8_t)planes);
			reg(0x3c4, 4, modes[i].seq4);
			reg(0x3ce, 5, modes[i].gr5);
			reg(0x3ce, 6, modes[i].gr6);
			memset(v, 0xff, 64);
			poke(0xa0004, 0x44);
			poke(0xa0005, 0x55);
			assert_int_equal(get_le32(v + 8), modes[i].write ? 0x55445544 | kept : 0xffffffff);
			assert_int_equal(get_le32(v + 16), modes[i].write ? 0xffffffff : 0x44444444 | kept);
			assert_int_equal(get_le32(v + 20), modes[i].write ? 0xffffffff : 0x55555555 | kept);
			put_le32(v + 8, 0x0d0c0b0a);
			put_le32(v + 16, 0x1d1c1b1a);
			put_le32(v + 20, 0x2d2c2b2a);
			reg(0x3ce, 4, 0);
			assert_int_equal(peek(0xa0004), modes[i].read ? 0x0a : 0x1a);
			assert_int_equal(peek(0xa0005), modes[i].read ? 0x0b : 0x2a);
			reg(0x3ce, 4, 2);
			assert_int_equal(peek(0xa0004), modes[i].read ? 0x0c : 0x1c);
			assert_int_equal(peek(0xa0005), modes[i].read ? 0x0d : 0x2c);
		}
	}
}

/* Mode 13h is plain memory that the vCPU may map; leaving it takes the mapping away. */
static void test_chain4(void **state)
{
	struct mem_page page;

	mode13();
	mem_lookup(mem, 0xa1234, &page);
	assert_ptr_equal(page.write, vga_vram(vga) + 0x1000);
	poke(0xa1235, 0x42);
	assert_int_equal(vga_vram(vga)[0x1235], 0x42);
	reg(0x3c4, 2, 0x1); /* every fourth byte only: not plain any more */
	mem_lookup(mem, 0xa1234, &page);
	assert_null(page.write);
	poke(0xa1235, 0x55);
	poke(0xa1234, 0x66);
	assert_int_equal(get_le16(vga_vram(vga) + 0x1234), 0x4266);
	assert_int_equal(peek(0xa1235), 0x42);
	reg(0x3c4, 2, 0xf);
	reg(0x3c4, 4, 6); /* unchained */
	reg(0x3ce, 4, 2);
	poke(0xa0000, 0x11);
	assert_int_equal(get_le32(vga_vram(vga)), 0x11111111);
}

/* Dispi: identification, mode set with clear, fitting of what does not fit, capabilities. */
static void test_vbe(void **state)
{
	assert_int_equal(dispi_read(0), 0xb0c5);
	dispi(0, 0xb0c0);
	assert_int_equal(dispi_read(0), 0xb0c0);
	assert_int_equal(dispi_read(10), 256);
	vga_vram(vga)[100] = 1;
	dispi(1, 1024);
	dispi(2, 768);
	dispi(3, 32);
	dispi(4, 0x41);
	assert_int_equal(vga_vram(vga)[100], 0);
	assert_int_equal(dispi_read(6), 1024);
	assert_int_equal(dispi_read(7), 4096);
	dispi(9, 5000);
	assert_int_equal(dispi_read(9), 4096 - 768);
	dispi(6, 0xffff);
	dispi(8, 0xffff);
	assert_int_equal(dispi_read(6), 16384);
	assert_int_equal(dispi_read(8), 16384 - 1024);
	assert_int_equal(dispi_read(2), 256); /* lines that fit such a width */
	dispi(4, 0);
	dispi(1, 0xffff);
	dispi(2, 0xffff);
	dispi(3, 7);
	dispi(4, 1);
	assert_int_equal(dispi_read(3), 8);
	assert_int_equal(dispi_read(1), 4096);
	assert_int_equal(dispi_read(2), 4096);
	dispi(4, 2);
	assert_int_equal(dispi_read(3), 32);
}

/* A mode set clears what is seen, to the byte, not the rest; and nothing with bit 7. */
static void test_vbe_clear(void **state)
{
	const uint32_t len = 640 * 481;

	for (unsigned keep = 0; keep < 2; keep++) {
		memset(vga_vram(vga), 0x55, len + 1);
		dispi(1, 640);
		dispi(2, 481);
		dispi(3, 8);
		dispi(4, keep ? 0x81 : 1);
		for (uint32_t k = 0; k < len; k++)
			assert_int_equal(vga_vram(vga)[k], keep ? 0x55 : 0);
		assert_int_equal(vga_vram(vga)[len], 0x55);
		dispi(4, 0);
	}
}

/* Banked access moves the window over video RAM in 64 KiB steps; switching off returns to bank 0. */
static void test_vbe_bank(void **state)
{
	dispi(1, 640);
	dispi(2, 480);
	dispi(3, 8);
	dispi(4, 1);
	dispi(5, 3);
	poke(0xa0007, 0x99);
	assert_int_equal(vga_vram(vga)[0x30007], 0x99);
	dispi(5, 0xffff);
	poke(0xa0007, 0x98);
	assert_int_equal(vga_vram(vga)[0xff0007], 0x98);
	dispi(4, 0);
	assert_int_equal(dispi_read(5), 0);
	assert_int_equal(peek(0xa0007), 0);
}

/* PCI: ids, the frame buffer as memory, dispi and ports by MMIO, the ROM. */
static void test_pci(void **state)
{
	struct mem_page page;
	uint16_t val;

	assert_int_equal(pci_config_read(pci, 0, 16, 0, 4), 0x11111234);
	assert_int_equal(pci_config_read(pci, 0, 16, 10, 2), 0x0300);
	pci_config_write(pci, 0, 16, 0x10, 0xffffffff, 4);
	assert_int_equal(pci_config_read(pci, 0, 16, 0x10, 4), 0xff000008);
	pci_config_write(pci, 0, 16, 0x10, 0xe0000000, 4);
	pci_config_write(pci, 0, 16, 0x18, 0xfebf0000, 4);
	pci_config_write(pci, 0, 16, 0x30, 0xfeb00001, 4);
	pci_config_write(pci, 0, 16, 4, 3, 2);
	assert_int_equal(pci_config_read(pci, 0, 16, 4, 2), 3); /* I/O, for the legacy ports */
	mem_lookup(mem, 0xe0010000, &page);
	assert_ptr_equal(page.write, vga_vram(vga) + 0x10000);
	mem_read(mem, 0xfebf0500, &val, 2);
	assert_int_equal(val, 0xb0c5);
	val = 800;
	mem_write(mem, 0xfebf0502, &val, 2);
	assert_int_equal(dispi_read(1), 800);
	val = 0x0702;
	mem_write(mem, 0xfebf0404, &val, 2);
	out(0x3c4, 2);
	assert_int_equal(in(0x3c5), 7);
	assert_int_equal(peek(0xfeb00000), 0x55);
	assert_int_equal(peek(0xfeb00000 + 4999), 0x77);
	assert_int_equal(peek(0xfeb00000 + 5000), 0);
}

/* No port or window access may leave video RAM or crash, whatever the registers hold. */
static void test_hostile(void **state)
{
	uint32_t seed = 12345;
	unsigned w, h;

	for (int i = 0; i < 300000; i++) {
		uint16_t port;

		seed = seed * 1103515245 + 12345;
		port = (uint16_t)(0x3b0 + (seed >> 8) % 0x30);
		switch (seed >> 28) {
		case 0: dispi((seed >> 16) % 12, (uint16_t)(seed >> 4)); break;
		case 1: poke(0xa0000 + (seed >> 8) % 0x20000, (uint8_t)seed); break;
		case 2: peek(0xa0000 + (seed >> 8) % 0x20000); break;
		case 3: in(port); break;
		default: out(port, (uint8_t)(seed >> 20));
		}
		if (i % 10000 == 0)
			free(vga_render(vga, &w, &h));
	}
	vga_reset(vga);
	assert_int_equal(dispi_read(4), 0);
}

/* The picture of a text screen shows the glyph in its colours; of a 32-bit mode the pixels. */
static void test_render(void **state)
{
	unsigned w, h;
	uint8_t *rgb;

	mode3();
	for (uint8_t i = 0; i < 16; i++)
		attr(i, i);
	in(0x3da);
	out(0x3c0, 0x20);
	out(0x3c8, 1);
	out(0x3c9, 0);
	out(0x3c9, 0);
	out(0x3c9, 0x3f);
	vga_vram(vga)['A' * 32 * 4 + 2] = 0x80;
	poke(0xb8000, 'A');
	poke(0xb8001, 0x01);
	rgb = vga_render(vga, &w, &h);
	assert_non_null(rgb);
	assert_int_equal(w, 720);
	assert_int_equal(h, 400);
	assert_memory_equal(rgb, "\0\0\xff\0\0\0", 6);
	free(rgb);
	dispi(1, 64);
	dispi(2, 32);
	dispi(3, 32);
	dispi(4, 0x41);
	put_le32(vga_vram(vga) + 4 * 65, 0x00112233);
	rgb = vga_render(vga, &w, &h);
	assert_int_equal(w, 64);
	assert_int_equal(h, 32);
	assert_memory_equal(rgb + 3 * 65, "\x11\x22\x33", 3);
	free(rgb);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crtc_protect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dac, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retrace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_snapshot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_font_plane, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_mode0, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_even, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chain4, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vbe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vbe_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vbe_bank, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pci, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_render, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
