// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of board/kernel.c, linux.c, multiboot.c and e820.c with files made here: good, cut short, and nonsense */
#include "unit.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/kernel.h"

struct fixture {
	struct loop *loop;
	struct mem *mem;
	struct e820_map map;
	char path[64], initrd[64];
};

static int setup(void **state)
{
	struct fixture *f = xalloc(sizeof(*f));

	f->loop = loop_new_stepped();
	f->mem = mem_new(f->loop, MIB(64), 0xe0000000, NULL);
	e820_build(&f->map, MIB(64), 0, MIB(64) - 65536, 65536, 0);
	strcpy(f->path, "/tmp/ring3-test-kernel-XXXXXX");
	close(mkstemp(f->path));
	strcpy(f->initrd, "/tmp/ring3-test-initrd-XXXXXX");
	close(mkstemp(f->initrd));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	unlink(f->initrd);
	mem_free(f->mem);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void put_file(const char *path, const void *data, size_t len)
{
	FILE *out = fopen(path, "w");

	assert_int_equal(fwrite(data, 1, len, out), len);
	fclose(out);
}

/* A bzImage with 1 setup sector and 8 KiB of code that wants 16 MiB at 16 MiB. */
static void make_bzimage(uint8_t image[1024 + 8192])
{
	memset(image, 0x90, 1024 + 8192);
	image[0x1f1] = 1;
	put_le32(image + 0x1f4, 8192 / 16);
	put_le16(image + 0x1fe, 0xaa55);
	image[0x201] = 0x66;
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x20f);
	image[0x211] = 1;
	put_le32(image + 0x22c, 0x7fffffff);
	put_le32(image + 0x238, 2047);
	put_le64(image + 0x258, MIB(16));
	put_le32(image + 0x260, MIB(16));
}

static struct kernel *open_kernel(struct fixture *f, const char *initrd, const char *append, struct err *err)
{
	return kernel_open(&(struct kernel_config){ f->path, initrd, append }, err);
}

static int load(struct fixture *f, struct kernel *k, struct kernel_entry *entry, struct err *err)
{
	return kernel_load(k, &(struct kernel_place){ .mem = f->mem, .map = &f->map, .top = MIB(64) - 65536,
		.rsdp = 0xf0000 }, entry, err);
}

static uint32_t ram32(struct fixture *f, uint32_t gpa)
{
	return get_le32(mem_ram_base(f->mem) + gpa);
}

static void bzimage_is_placed(void **state)
{
	/* boot.rst "32-bit boot protocol": code at 1 MiB, ESI = zero page with header, command line, initrd, memory map. */
	struct fixture *f = *state;
	static uint8_t image[1024 + 8192];
	struct kernel_entry e;
	struct err err = { "" };

	make_bzimage(image);
	put_file(f->path, image, sizeof(image));
	put_file(f->initrd, "initrd!", 7);
	struct kernel *k = open_kernel(f, f->initrd, "console=ttyS0", &err);
	assert_non_null(k);
	assert_int_equal(load(f, k, &e, &err), 0);
	assert_int_equal(e.eip, 0x100000);
	assert_memory_equal(mem_ram_base(f->mem) + 0x100000, image + 1024, 8192);
	assert_string_equal(mem_ram_base(f->mem) + ram32(f, e.esi + 0x228), "console=ttyS0");
	uint32_t initrd = ram32(f, e.esi + 0x218);
	assert_int_equal(initrd, (MIB(64) - 65536 - 7) & ~0xfffull);
	assert_memory_equal(mem_ram_base(f->mem) + initrd, "initrd!", 7);
	assert_int_equal(mem_ram_base(f->mem)[e.esi + 0x1e8], f->map.n);
	kernel_free(k);
}

static void bad_kernels_are_refused(void **state)
{
	/* Issue 2: a kernel that is none, a truncated image, a command line too long: an error, and the reason in words. */
	struct fixture *f = *state;
	static uint8_t image[1024 + 8192];
	char line[3000];
	struct err err;

	make_bzimage(image);
	put_file(f->path, image, sizeof(image) - 16);
	assert_null(open_kernel(f, NULL, NULL, &err));
	assert_non_null(strstr(err.msg, "truncated"));
	put_file(f->path, image, sizeof(image));
	memset(line, 'a', sizeof(line));
	line[2999] = 0;
	assert_null(open_kernel(f, NULL, line, &err));
	assert_non_null(strstr(err.msg, "--append"));
	put_file(f->path, "#!/bin/sh\n", 10);
	assert_null(open_kernel(f, NULL, NULL, &err));
	assert_non_null(strstr(err.msg, "a script"));
	put_file(f->path, "", 0);
	assert_null(open_kernel(f, NULL, NULL, &err));
	assert_non_null(strstr(err.msg, "is empty"));
	assert_null(kernel_open(&(struct kernel_config){ "/nonexistent/vmlinuz", NULL, NULL }, &err));
	assert_non_null(strstr(err.msg, "No such file"));
	assert_null(kernel_open(&(struct kernel_config){ "/tmp", NULL, NULL }, &err));
	assert_non_null(strstr(err.msg, "directory"));
}

static void kernel_that_does_not_fit_is_refused(void **state)
{
	/* boot.rst init_size: the kernel uses so much before it looks at the memory map. */
	struct fixture *f = *state;
	static uint8_t image[1024 + 8192];
	struct kernel_entry e;
	struct err err;

	make_bzimage(image);
	put_le32(image + 0x260, MIB(60));
	put_file(f->path, image, sizeof(image));
	struct kernel *k = open_kernel(f, NULL, NULL, &err);
	assert_non_null(k);
	assert_int_not_equal(load(f, k, &e, &err), 0);
	assert_non_null(strstr(err.msg, "--memory"));
	kernel_free(k);
}

/* An ELF32 multiboot image: header behind the ELF headers, one segment at 2 MiB of 256 bytes with 256 more of bss. */
static void make_multiboot(uint8_t image[512])
{
	Elf32_Ehdr eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32 }, .e_entry = 0xc0200010, .e_phoff = 52,
		.e_phentsize = 32, .e_phnum = 1 };
	Elf32_Phdr ph = { .p_type = PT_LOAD, .p_offset = 256, .p_vaddr = 0xc0200000, .p_paddr = 0x200000, .p_filesz = 256,
		.p_memsz = 512 };

	memset(image, 0xcc, 512);
	memcpy(image, &eh, sizeof(eh));
	memcpy(image + 52, &ph, sizeof(ph));
	put_le32(image + 128, 0x1badb002);
	put_le32(image + 132, 3);
	put_le32(image + 136, 0u - 0x1badb002 - 3);
}

static void multiboot_gets_its_modules(void **state)
{
	/* Multiboot 3.2, 3.3: EAX magic, EBX information; segments by physical address, entry translated, modules with
	 * their strings. */
	struct fixture *f = *state;
	static uint8_t image[512];
	struct kernel_entry e;
	struct err err;
	char spec[256];

	make_multiboot(image);
	put_file(f->path, image, sizeof(image));
	put_file(f->initrd, "module", 6);
	snprintf(spec, sizeof(spec), "%s a b,%s", f->initrd, f->initrd);
	struct kernel *k = open_kernel(f, spec, "x", &err);
	assert_non_null(k);
	assert_int_equal(load(f, k, &e, &err), 0);
	assert_int_equal(e.eip, 0x200010);
	assert_int_equal(e.eax, 0x2badb002);
	assert_int_equal(ram32(f, 0x200000), 0xcccccccc);
	assert_int_equal(ram32(f, 0x200100), 0);
	assert_int_equal(ram32(f, e.ebx + 20), 2);
	uint32_t mods = ram32(f, e.ebx + 24);
	assert_int_equal(ram32(f, mods), 0x201000);
	assert_int_equal(ram32(f, mods + 4), 0x201006);
	assert_memory_equal(mem_ram_base(f->mem) + 0x201000, "module", 6);
	snprintf(spec, sizeof(spec), "%s a b", f->initrd);
	assert_string_equal(mem_ram_base(f->mem) + ram32(f, mods + 8), spec);
	kernel_free(k);
}

static void bad_multiboot_is_refused(void **state)
{
	/* The file's numbers are not trusted: segments beyond the file, over the BIOS's data or video memory,
	 * features we cannot give. */
	struct fixture *f = *state;
	static const uint32_t no_room[] = { 0, 0x400, 0x9fb00, 0xa0000, 0xfff00 };
	static uint8_t image[512];
	struct err err;

	make_multiboot(image);
	put_file(f->path, image, 300);
	assert_null(open_kernel(f, NULL, NULL, &err));
	assert_non_null(strstr(err.msg, "truncated"));
	for (unsigned i = 0; i < ARRAY_LEN(no_room); i++) {
		put_le32(image + 52 + 12, no_room[i]);
		put_file(f->path, image, sizeof(image));
		assert_null(open_kernel(f, NULL, NULL, &err));
		assert_non_null(strstr(err.msg, "below 1 MiB"));
	}
	make_multiboot(image);
	put_le32(image + 132, 0x103);
	put_le32(image + 136, 0u - 0x1badb002 - 0x103);
	put_file(f->path, image, sizeof(image));
	assert_null(open_kernel(f, NULL, NULL, &err));
	assert_non_null(strstr(err.msg, "requires features"));
}

static void memory_map_is_ordered(void **state)
{
	/* e820.c: rising, not overlapping, RAM on both sides of the PCI hole. */
	struct e820_map m;
	uint64_t ram = 0;

	e820_build(&m, 0xe0000000, GIB(2), 0xdfff0000, 65536, 262144);
	for (unsigned i = 0; i < m.n; i++) {
		if (i)
			assert_true(m.entry[i].addr >= m.entry[i - 1].addr + m.entry[i - 1].size);
		ram += m.entry[i].type == E820_RAM ? m.entry[i].size : 0;
	}
	assert_int_equal(ram, 0xe0000000 + GIB(2) - 65536 - MIB(1) + 0x9fc00);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bzimage_is_placed, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_kernels_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(kernel_that_does_not_fit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(multiboot_gets_its_modules, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_multiboot_is_refused, setup, teardown),
		cmocka_unit_test(memory_map_is_ordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
