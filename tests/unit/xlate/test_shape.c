// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a decoder that remembers shapes (xlate/shape.c) must say, byte by byte, what the one without a memory says */
#include <elf.h>
#include <link.h>
#include <time.h>

#include "unit.h"
#include "xlate/key.h"
#include "xlate/shape.h"

#define ENOUGH (2u << 20) /* bytes of each object */

static struct dec_isa isa;
static struct shapes *shapes;
static uint64_t decoded;

static const char *hex(const uint8_t *bytes, unsigned len)
{
	static char buf[64];
	for (unsigned i = 0; i < len && i < 16; i++)
		snprintf(buf + 3 * i, 4, "%02x ", bytes[i]);
	return buf;
}

/* Decode both ways and compare. Returns how far to go on. */
static unsigned same(uint32_t key, bool real, const uint8_t *bytes, unsigned len)
{
	struct dec plain, shaped;
	memset(&plain, 0x5a, sizeof(plain));
	memset(&shaped, 0xa5, sizeof(shaped));
	enum dec_status a = dec_decode(&isa, &plain, key, real, bytes, len);
	enum dec_status b = xlate_shape_decode(shapes, &shaped, key, real, bytes, len);
	if (a != b || (a == DEC_OK && memcmp(&plain, &shaped, sizeof(plain))))
		fail_msg("key %x real %d len %u bytes %s: status %d, with shapes %d; imm %lx %lx disp %lx %lx", key, real,
			len, hex(bytes, len), a, b, plain.in.imm, shaped.in.imm, plain.in.disp, shaped.in.disp);
	decoded++;
	return a == DEC_OK ? plain.in.len : 1;
}

static int fresh(void **state)
{
	xlate_shape_free(shapes);
	dec_isa_init(&isa, NULL);
	shapes = xlate_shape_new(&isa);
	decoded = 0;
	return 0;
}

static int done(void **state)
{
	xlate_shape_free(shapes);
	shapes = NULL;
	return 0;
}

static void walk(uint32_t key, const uint8_t *code, size_t size)
{
	for (size_t at = 0; at < size;)
		at += same(key, false, code + at, (unsigned)MIN(size - at, 4096 - (at & 4095)));
}

/* Code of this program and its libraries; what is no 64-bit code is as good as any in the other modes. */
static int walk_object(struct dl_phdr_info *info, size_t size, void *key)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		if (ph->p_type == PT_LOAD && ph->p_flags & PF_X && ph->p_flags & PF_R)
			walk(*(uint32_t *)key, (const uint8_t *)(info->dlpi_addr + ph->p_vaddr), MIN(ph->p_memsz, ENOUGH));
	}
	return 0;
}

static void walk_all(uint32_t key)
{
	dl_iterate_phdr(walk_object, &key);
}

static void code64(void **state)
{
	/* Real code, and 4 in 5 of its instructions are of a known shape: a wrong guess of lengths would cost hits. */
	walk_all(2);
	assert_true(decoded > 100000);
	printf("%lu instructions, %lu from memory\n", decoded, xlate_shape_hits(shapes));
	assert_true(xlate_shape_hits(shapes) > decoded / 5 * 4);
}

static void code32(void **state)
{
	walk_all(1 | KEY_STACK32);
	assert_true(xlate_shape_hits(shapes) > decoded / 2);
}

static void code16(void **state)
{
	walk_all(0);
	assert_true(xlate_shape_hits(shapes) > decoded / 2);
}

/* xorshift64* */
static uint64_t seed;
static unsigned any(unsigned below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (unsigned)((seed * 0x2545f4914f6cdd1dull) >> 33) % below;
}

/* What an instruction may begin with: prefixes, then one of all ways to name an opcode. */
static unsigned begin(uint8_t *p)
{
	static const uint8_t prefix[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x66, 0x67 };
	unsigned n = 0, prefixes = any(4) ? any(3) : any(14);
	while (n < prefixes)
		p[n++] = any(5) ? prefix[any(sizeof(prefix))] : (uint8_t)(0x40 + any(16));
	switch (any(8)) {
	case 0: case 1: break;
	case 2: p[n++] = 0x0f; break;
	case 3: p[n++] = 0x0f; p[n++] = 0x38; break;
	case 4: p[n++] = 0x0f; p[n++] = 0x3a; break;
	case 5: p[n++] = 0xc5; break;
	case 6: p[n++] = 0xc4; p[n++] = (uint8_t)(any(8) << 5 | any(4)); break;
	case 7: p[n++] = 0x62; p[n++] = (uint8_t)(any(16) << 4 | any(8)); break;
	}
	return n;
}

/* The same instruction with other bytes from some place on, and cut off somewhere. */
static void variations(uint32_t key, bool real, uint8_t *p, unsigned size)
{
	static const uint8_t edge[] = { 0, 1, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xff };
	same(key, real, p, size);
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned k = any(16); k < size; k++)
			p[k] = any(2) ? edge[any(sizeof(edge))] : (uint8_t)any(256);
		same(key, real, p, size);
		same(key, real, p, any(16));
		if (i & 1)
			same(key ^ (uint32_t)(any(4) ? 0 : 1u << any(17)), any(8) ? real : !real, p, size);
	}
}

static void random_bytes(void **state)
{
	/* All prefixes, maps and modes, hits with other tails, instructions that end too early or are too long. */
	const char *given = getenv("RING3_SEED");
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)(uintptr_t)shapes ^ (uint64_t)time(NULL) << 20;
	seed |= 1;
	printf("RING3_SEED=%#lx\n", seed);
	for (unsigned i = 0; i < 40000; i++) {
		uint8_t p[40];
		for (unsigned k = 0; k < sizeof(p); k++)
			p[k] = (uint8_t)any(256);
		begin(p);
		unsigned code = any(3);
		uint32_t key = code | any(2) * KEY_STACK32 | (any(4) ? 0 : any(32) << 9);
		variations(key, !code && any(2), p, 15 + any(26));
	}
	assert_true(xlate_shape_hits(shapes) > decoded / 20);
}

static void known_shape(void **state)
{
	/* The second of a pair comes from memory, or must not, because its immediate says more than a number. */
	static const struct { uint8_t a[8], b[8]; unsigned len, hits; } pair[] = {
		{ { 0x48, 0x8b, 0x44, 0x24, 0x18 }, { 0x48, 0x8b, 0x44, 0x24, 0x80 }, 5, 1 },
		{ { 0xe8, 1, 0, 0, 0 }, { 0xe8, 0, 0, 0, 0x80 }, 5, 1 },
		{ { 0x48, 0x83, 0xc0, 0x7f }, { 0x48, 0x83, 0xc0, 0x80 }, 4, 1 },
		{ { 0xc1, 0xe0, 1 }, { 0xc1, 0xe0, 0x3f }, 3, 1 },
		{ { 0xc1, 0xe0, 1 }, { 0xc1, 0xe0, 0x20 }, 3, 0 },       /* a shift by 32 is one by 0: flags stay */
		{ { 0x62, 0xf1, 0x7c, 0x48, 0x28, 0x40, 1 }, { 0x62, 0xf1, 0x7c, 0x48, 0x28, 0x40, 0x80 }, 7, 1 },
		{ { 0x62, 0xf1, 0x7c, 0x48, 0x28, 0x40, 0 }, { 0x62, 0xf1, 0x7c, 0x48, 0x28, 0x40, 1 }, 7, 0 },
		{ { 0xc4, 0xe3, 0x69, 0x4b, 0xcb, 0x10 }, { 0xc4, 0xe3, 0x69, 0x4b, 0xcb, 0x20 }, 6, 0 }, /* is4: a register */
		{ { 0xcd, 0x80 }, { 0xcd, 0x03 }, 2, 0 },
		{ { 0xc8, 1, 0, 0 }, { 0xc8, 1, 0, 33 }, 4, 0 },
	};
	for (unsigned i = 0; i < ARRAY_LEN(pair); i++) {
		fresh(state);
		same(2, false, pair[i].a, pair[i].len);
		assert_int_equal(xlate_shape_hits(shapes), 0);
		same(2, false, pair[i].b, pair[i].len);
		if (xlate_shape_hits(shapes) != pair[i].hits)
			fail_msg("%s: %lu hits", hex(pair[i].b, pair[i].len), xlate_shape_hits(shapes));
	}
}

static void long_heads(void **state)
{
	/* Heads whose first eight bytes are alike, many to a set of the table: all of their bytes count. */
	uint8_t p[20] = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66 };
	for (unsigned i = 0; i < 65536; i++) {
		p[8] = (uint8_t)(i >> 8);
		p[9] = (uint8_t)i;
		same(2, false, p, sizeof(p));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(known_shape, fresh, done),
		cmocka_unit_test_setup_teardown(code64, fresh, done),
		cmocka_unit_test_setup_teardown(code32, fresh, done),
		cmocka_unit_test_setup_teardown(code16, fresh, done),
		cmocka_unit_test_setup_teardown(long_heads, fresh, done),
		cmocka_unit_test_setup_teardown(random_bytes, fresh, done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
