// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of access dispatch: splitting, unmapped space, ports, DMA, translated-code marks, A20 */
#include "unit.h"

#include "mem/mem.h"

static struct loop *loop;
static struct mem *mem;
static char seen[256];
static uint64_t code_off, code_len;
static int changes;

static uint64_t log_read(void *opaque, uint64_t off, unsigned size)
{
	char *at = seen + strlen(seen);

	snprintf(at, (size_t)(seen + sizeof(seen) - at), "r%x/%u ", (unsigned)off, size);
	return 0x8877665544332211ull >> (8 * (off & 7));
}

static void log_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	char *at = seen + strlen(seen);

	snprintf(at, (size_t)(seen + sizeof(seen) - at), "w%x/%u=%llx ", (unsigned)off, size, (unsigned long long)val);
}

static const struct mem_ops ops4 = { log_read, log_write, 4 };
static const struct mem_ops ops1 = { log_read, log_write, 1 };

static void on_code(void *opaque, uint64_t off, uint64_t len)
{
	code_off = off;
	code_len = len;
}

static void on_change(void *opaque)
{
	changes++;
}

static int setup(void **state)
{
	const struct mem_listener l = { .changed = on_change, .code_written = on_code };

	seen[0] = 0;
	code_len = 0;
	changes = 0;
	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(4), 0xe0000000, NULL);
	mem_add_listener(mem, &l);
	return 0;
}

static int teardown(void **state)
{
	mem_free(mem);
	loop_free(loop);
	return 0;
}

static void split(void **state)
{
	/* A device sees naturally aligned accesses no wider than it takes. */
	struct mem_region r = { .base = 0xfec00000, .size = 64, .ops = &ops4 };
	uint64_t v;

	mem_region_enable(mem, &r);
	mem_read(mem, 0xfec00000, &v, 8);
	assert_string_equal(seen, "r0/4 r4/4 ");
	assert_true(v == 0x8877665544332211ull);
	seen[0] = 0;
	v = 0x44332211;
	mem_write(mem, 0xfec00003, &v, 4);
	assert_string_equal(seen, "w3/1=11 w4/2=3322 w6/1=44 ");
}

static void crossing(void **state)
{
	/* An access that crosses from memory into a device and into nothing gives each its part. */
	struct mem_region r = { .base = MIB(4), .size = 2, .ops = &ops1 };
	uint8_t buf[8] = { 0 };

	mem_region_enable(mem, &r);
	mem_ram_base(mem)[MIB(4) - 1] = 0xab;
	mem_read(mem, MIB(4) - 1, buf, 8);
	assert_memory_equal(buf, "\xab\x11\x22\xff\xff\xff\xff\xff", 8);
}

static void ports(void **state)
{
	/* Wide accesses are split for byte-wide chips; ports without a chip read as ones. */
	struct mem_ports p = { .base = 0x60, .count = 2, .ops = &ops1 }, q = { .base = 0xcf8, .count = 4, .ops = &ops4 };

	mem_ports_enable(mem, &p);
	mem_ports_enable(mem, &q);
	assert_int_equal(mem_port_in(mem, 0x60, 4), 0xffff2211);
	assert_string_equal(seen, "r0/1 r1/1 ");
	seen[0] = 0;
	mem_port_out(mem, 0xcf8, 0x80000000, 4);
	mem_port_out(mem, 0x5f, 0x1234, 2);
	assert_string_equal(seen, "w0/4=80000000 w0/1=12 ");
	mem_ports_disable(mem, &q);
	assert_int_equal(mem_port_in(mem, 0xcf8, 4), 0xffffffff);
	assert_int_equal(mem_port_in(mem, 0xffff, 4), 0xffffffff);
}

static void dma(void **state)
{
	/* DMA reaches memory only, and tells of translated code it overwrote. */
	struct mem_region r = { .base = 0xfec00000, .size = 64, .ops = &ops4 };
	uint8_t buf[64] = { 1, 2, 3 };

	mem_region_enable(mem, &r);
	assert_false(mem_dma_write(mem, 0xfec00000, buf, 4));
	assert_string_equal(seen, "");
	assert_true(mem_dma_write(mem, 0x1ffe, buf, 3));
	assert_int_equal(code_len, 0);
	mem_code_map(mem)[2] = 1;
	assert_true(mem_dma_write(mem, 0x1ffe, buf, 3));
	assert_int_equal(code_off, 0x1ffe);
	assert_int_equal(code_len, 3);
	assert_false(mem_dma_read(mem, MIB(4) - 2, buf, 4));
	assert_int_equal(buf[3], 0xff);
	assert_ptr_equal(mem_dma_ptr(mem, 0x1000, 8192), mem_ram_base(mem) + 0x1000);
	assert_null(mem_dma_ptr(mem, MIB(4) - 4096, 8192));
	code_len = 0;
	mem_dma_written(mem, 0x1000, 8192);
	assert_int_equal(code_len, 8192);
}

static void top_of_all(void **state)
{
	/* Addresses come from the guest in 64 bits (fw_cfg's DMA): accesses at the very end terminate like any beyond
	 * RAM. */
	uint8_t buf[4] = { 0 };

	mem_write(mem, UINT64_MAX, buf, 1);
	mem_read(mem, UINT64_MAX - 1, buf, 2);
	assert_int_equal(buf[0] & buf[1], 0xff);
	assert_false(mem_dma_read(mem, UINT64_MAX - 1, buf, 2));
	assert_false(mem_dma_write(mem, UINT64_MAX, buf, 1));
}

static void cpu_writes_mark(void **state)
{
	/* The CPU's slow path tells of overwritten code as well. */
	uint32_t v = 0;

	mem_code_map(mem)[1] = 1;
	mem_write(mem, 0x1ffc, &v, 4);
	assert_int_equal(code_off, 0x1ffc);
}

static void a20(void **state)
{
	/* Only a real change of A20 or of the map disturbs the vCPU. */
	mem_set_a20(mem, true);
	assert_int_equal(changes, 0);
	mem_set_a20(mem, false);
	assert_int_equal(changes, 1);
	assert_false(mem_a20(mem));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(split, setup, teardown),
		cmocka_unit_test_setup_teardown(crossing, setup, teardown),
		cmocka_unit_test_setup_teardown(ports, setup, teardown),
		cmocka_unit_test_setup_teardown(dma, setup, teardown),
		cmocka_unit_test_setup_teardown(top_of_all, setup, teardown),
		cmocka_unit_test_setup_teardown(cpu_writes_mark, setup, teardown),
		cmocka_unit_test_setup_teardown(a20, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
