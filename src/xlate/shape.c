// SPDX-License-Identifier: GPL-2.0-or-later
/* what: decoding by shape: of instructions that differ in displacement and immediate only, Zydis sees the first
 *
 * The *head* of an instruction, its prefixes, opcode, ModRM and SIB, says everything in struct dec but in.disp, in.imm
 * and in.raw. x86 is decoded from left to right, so whatever begins with a head met before, in the same mode, has that
 * head; what follows it is patched into a copy of what the decoder said then.
 *
 *     48 8b 44 24 | 18        mov rax, [rsp + 0x18]
 *     head: 4 bytes | disp8
 *
 * I1  A head is remembered only if dec_decode says what its tail is (struct dec_tail), and if patching gives back the
 *     very struct that dec_decode made.
 * I2  It is found only by all of its bytes, its length and all bits of the key that decoding depends on (DEC_KEY).
 * I3  guess_head is trusted for nothing: a wrong length finds no head, and costs time.
 *
 * So whatever a guest puts into the table, what is found is right. Measurements: docs/decisions/engine.md.
 */
#include "xlate/shape.h"

#include <string.h>
#include <sys/mman.h>

#include "xlate/key.h"

#define SETS 2000 /* more would be hit more often, but lie in colder caches */
#define WAYS 2
#define WINDOW 16 /* bytes looked at; numbers are read as 8 bytes from anywhere in it */

/* What tells shapes apart shares a cache line with their bytes, in place of the second immediate, which is 0: most
 * look-ups find the table in no cache, so each line of it counts. */
union shape {
	struct dec d;
	struct {
		uint8_t before[offsetof(struct dec, in.imm2)];
		struct dec_tail tail;
		uint16_t key; /* with tail.head not 0 */
	};
};
_Static_assert(sizeof(union shape) == 128 && sizeof(struct dec_tail) == 6, "two cache lines");

struct shapes {
	_Alignas(128) uint64_t hits;
	const struct dec_isa *isa;
	union shape set[SETS][WAYS];
};
_Static_assert(sizeof(struct shapes) <= 1 << 19, "shape.h");
_Static_assert(DEC_KEY <= UINT16_MAX && KEY_REAL <= UINT16_MAX, "union shape, key");

/* The first n bytes of an instruction, the others 0. */
struct head {
	uint64_t lo, hi;
};

static struct head first_bytes(const uint8_t *bytes, unsigned n)
{
	struct head h;
	memcpy(&h.lo, bytes, 8);
	memcpy(&h.hi, bytes + 8, 8);
	if (n < 8) {
		h.lo &= (1ull << 8 * n) - 1;
		h.hi = 0;
	} else if (n < 16) {
		h.hi &= (1ull << 8 * (n - 8)) - 1;
	}
	return h;
}

static bool has(const uint64_t *set, unsigned byte)
{
	return set[byte >> 6] >> (byte & 63) & 1;
}

/* Opcodes with a ModRM byte, of the first map and of map 0F. */
static const uint64_t modrm_one[4] = { 0x0f0f0f0f0f0f0f0f, 0x00000a0c00000000, 0x000000000000ffff, 0xc0c00000ff0f00f3 };
static const uint64_t modrm_0f[4] = { 0xff00ffffffffa00f, 0xff7fffffffffffff, 0xfffff8f8ffff0000, 0xffffffffffff00ff };

static bool is_prefix(unsigned byte, bool code64)
{
	static const uint64_t legacy[4] = { 0x4040404000000000, 0x000000f000000000, 0, 0x000d000000000000 };
	return has(legacy, byte) || (code64 && (byte & 0xf0) == 0x40);
}

/* Length of the head, more often than not (I3). Reads at most WINDOW bytes. */
static unsigned guess_head(const uint8_t *b, unsigned key)
{
	bool code64 = (key & KEY_SIZE) == 2, sib = (key & KEY_SIZE) != 0, modrm = true;
	unsigned i = 0;
	for (; is_prefix(b[i], code64); i++) {
		if (b[i] == 0x67 && !code64)
			sib = !(key & KEY_SIZE);
		if (i == WINDOW - 6)
			return 0;
	}
	unsigned op = b[i++];
	bool vex = code64 || b[i] >= 0xc0;
	if (op == 0x0f) {
		op = b[i++];
		if (op == 0x38 || op == 0x3a)
			i++;
		else
			modrm = has(modrm_0f, op);
	} else if (vex && (op == 0xc4 || op == 0xc5 || op == 0x62)) {
		i += op == 0xc5 ? 2 : op == 0xc4 ? 3 : 4;
	} else {
		modrm = has(modrm_one, op);
	}
	if (!modrm)
		return i;
	unsigned m = b[i++];
	return i + (sib && m < 0xc0 && (m & 7) == 4);
}

/* n bytes, 0 to 8, little-endian. */
static uint64_t number(const uint8_t *p, unsigned n, bool is_signed)
{
	uint64_t v;
	if (!n)
		return 0;
	memcpy(&v, p, 8);
	unsigned above = 64 - 8 * n;
	return is_signed ? (uint64_t)((int64_t)(v << above) >> above) : v << above >> above;
}

static void patch(struct dec *d, const struct dec_tail *tail, const uint8_t *w)
{
	struct head all = first_bytes(w, d->in.len);
	memcpy(d->in.raw, &all, sizeof(all));
	if (tail->disp_len)
		d->in.disp = (int64_t)(number(w + tail->head, tail->disp_len, true) << tail->disp_shift);
	if (tail->imm_len)
		d->in.imm = number(w + tail->head + tail->disp_len, tail->imm_len, tail->imm_signed);
}

static union shape *find(union shape *set, unsigned key, unsigned n, struct head h)
{
	for (unsigned i = 0; i < WAYS; i++) {
		union shape *s = &set[i];
		if (s->tail.head != n || s->key != key)
			continue;
		struct head own = first_bytes(s->d.in.raw, n);
		if (own.lo == h.lo && own.hi == h.hi)
			return s;
	}
	return NULL;
}

static void remember(union shape *set, const struct dec *d, const struct dec_tail *tail, unsigned key,
	const uint8_t *w)
{
	union shape s;
	memcpy(&s.d, d, sizeof(*d));
	patch(&s.d, tail, w);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c): padding is 0 in both */
	if (d->in.imm2 || memcmp(&s.d, d, sizeof(*d)))
		return;
	s.tail = *tail;
	s.key = (uint16_t)key;
	memmove(set + 1, set, (WAYS - 1) * sizeof(*set));
	memcpy(set, &s, sizeof(s));
}

static unsigned set_of(struct head h, unsigned key)
{
	uint64_t x = (h.lo ^ (uint64_t)key << 48) * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 29 ^ h.hi) * 0xbf58476d1ce4e5b9ull;
	return (unsigned)((x >> 32) * SETS >> 32);
}

enum dec_status xlate_shape_decode(struct shapes *s, struct dec *d, uint32_t mode, bool real, const uint8_t *bytes,
	unsigned len)
{
	uint8_t copy[WINDOW + 8] = { 0 };
	const uint8_t *w = bytes;
	unsigned key = (mode & DEC_KEY) | (real ? KEY_REAL : 0);
	if (len < sizeof(copy)) {
		memcpy(copy, bytes, len);
		w = copy;
	}
	unsigned n = guess_head(w, key);
	struct head h = first_bytes(w, n);
	union shape *set = s->set[set_of(h, key)];
	const union shape *known = n ? find(set, key, n, h) : NULL;
	if (known && known->d.in.len <= len &&
		!(known->tail.count_mask && !(w[known->d.in.len - 1] & known->tail.count_mask))) {
		s->hits++;
		memcpy(d, &known->d, sizeof(*d));
		d->in.imm2 = 0;
		patch(d, &known->tail, w);
		return DEC_OK;
	}
	struct dec_tail tail;
	enum dec_status st = dec_decode_tail(s->isa, d, key, real, bytes, len, &tail);
	if (!known && st == DEC_OK && n && tail.head == n)
		remember(set, d, &tail, key, w);
	return st;
}

struct shapes *xlate_shape_new(const struct dec_isa *isa)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	struct shapes *s = mmap(NULL, sizeof(struct shapes), PROT_READ | PROT_WRITE, flags, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	s->isa = isa;
	return s;
}

void xlate_shape_free(struct shapes *s)
{
	if (s)
		munmap(s, sizeof(*s));
}

uint64_t xlate_shape_hits(const struct shapes *s)
{
	return s->hits;
}
