// SPDX-License-Identifier: GPL-2.0-or-later
/* what: every LOCK instruction by two CPUs at once, its operand aligned, across lines, across pages, on a page with
 * code
 */
#include "smp.h"

/* `mov eax, 7; ret`, called beside. */
static u8 code[2 * 4096] __attribute__((aligned(4096)));

static u8 *volatile at;
static volatile u32 turns, lost;
static int (*volatile beside)(void);
#define ONE(s, T, reg) \
	static void inc_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("lock inc" #s " (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void add_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("lock add" #s " $1, (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void dec_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("lock add" #s " $2, (%0); lock dec" #s " (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void sub_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("lock sub" #s " $-1, (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void adc_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("stc; lock adc" #s " $0, (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void sbb_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("stc; lock sbb" #s " $-2, (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void xad_##s(void *p, unsigned me) \
	{ \
		T o = 1; \
		(void)me; \
		asm volatile("lock xadd" #s " %0, (%1)" : "+" reg(o) : "r"(p) : "memory", "cc"); \
	} \
	static void cmx_##s(void *p, unsigned me) \
	{ \
		T o = *(volatile T *)p, w; \
		(void)me; \
		do { \
			w = o; \
			asm volatile("lock cmpxchg" #s " %2, (%1)" \
				     : "+a"(o) \
				     : "r"(p), reg((T)(w + 1)) \
				     : "memory", "cc"); \
		} while (o != w); \
	} \
	static void log_##s(void *p, unsigned me) \
	{ \
		T b = (T)(1u << (me * 2 + 1)), v; \
		asm volatile("lock or" #s " %1, (%0)" ::"r"(p), reg(b) : "memory", "cc"); \
		v = *(volatile T *)p; \
		if (!(v & b)) \
			lost++; \
		asm volatile("lock and" #s " %1, (%0)" ::"r"(p), reg((T)~b) : "memory", "cc"); \
		v = *(volatile T *)p; \
		if (v & b) \
			lost++; \
		asm volatile("lock xor" #s " %1, (%0)" ::"r"(p), reg(b) : "memory", "cc"); \
		v = *(volatile T *)p; \
		if (!(v & b)) \
			lost++; \
		asm volatile("lock xor" #s " %1, (%0)" ::"r"(p), reg(b) : "memory", "cc"); \
		v = *(volatile T *)p; \
		if (v & b) \
			lost++; \
	} \
	static void neg_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("lock neg" #s " (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void not_##s(void *p, unsigned me) \
	{ \
		(void)me; \
		asm volatile("lock not" #s " (%0)" ::"r"(p) : "memory", "cc"); \
	} \
	static void xch_##s(void *p, unsigned me) \
	{ \
		T o; \
		(void)me; \
		do { \
			o = 0; \
			asm volatile("xchg" #s " %0, (%1)" : "+" reg(o) : "r"(p) : "memory"); \
			if (!o) \
				relax(); \
		} while (!o); \
		o++; \
		if (!o) { \
			o = 1; \
		} \
		asm volatile("xchg" #s " %0, (%1)" : "+" reg(o) : "r"(p) : "memory"); \
		if (o) \
			lost++; \
	}
ONE(b, u8, "q")
ONE(w, u16, "r")
ONE(l, u32, "r") ONE(q, u64, "r")
#define BITS(s, T) \
	static void bit_##s(void *p, unsigned me) \
	{ \
		T b = (T)(me * 3 + 2); \
		u8 c; \
		asm volatile("lock bts" #s " %2, (%1); setc %0" : "=q"(c) : "r"(p), "r"(b) : "memory", "cc"); \
		if (c) \
			lost++; \
		asm volatile("lock btc" #s " %2, (%1); setc %0" : "=q"(c) : "r"(p), "r"(b) : "memory", "cc"); \
		if (!c) \
			lost++; \
		asm volatile("lock btc" #s " %2, (%1); setc %0" : "=q"(c) : "r"(p), "r"(b) : "memory", "cc"); \
		if (c) \
			lost++; \
		asm volatile("lock btr" #s " %2, (%1); setc %0" : "=q"(c) : "r"(p), "r"(b) : "memory", "cc"); \
		if (!c) \
			lost++; \
	}
	BITS(w, u16) BITS(l, u32) BITS(q, u64) static void c8b(void *p, unsigned me)
{
	u32 a = *(volatile u32 *)p, d = *(volatile u32 *)((u8 *)p + 4), wa, wd;
	u8 z;
	(void)me;
	do {
		wa = a + 1, wd = d + 1;
		asm volatile("lock cmpxchg8b (%3); setz %0"
			     : "=q"(z), "+a"(a), "+d"(d)
			     : "r"(p), "b"(wa), "c"(wd)
			     : "memory", "cc");
	} while (!z);
}
static void c16b(void *p, unsigned me)
{
	u64 a = *(volatile u64 *)p, d = *(volatile u64 *)((u8 *)p + 8), wa, wd;
	u8 z;
	(void)me;
	do {
		wa = a + 1, wd = d + 1;
		asm volatile("lock cmpxchg16b (%3); setz %0"
			     : "=q"(z), "+a"(a), "+d"(d)
			     : "r"(p), "b"(wa), "c"(wd)
			     : "memory", "cc");
	} while (!z);
}
enum { SUM, PAIR, ZERO, NEGS, TOKEN };
static const struct row {
	const char *name;
	void (*op)(void *, unsigned);
	u8 size, kind;
} rows[] = {
#define R(s, n) \
	{"inc" #s, inc_##s, n, SUM}, {"add" #s, add_##s, n, SUM}, {"dec" #s, dec_##s, n, SUM}, \
		{"sub" #s, sub_##s, n, SUM}, {"adc" #s, adc_##s, n, SUM}, {"sbb" #s, sbb_##s, n, SUM}, \
		{"xadd" #s, xad_##s, n, SUM}, {"cmpxchg" #s, cmx_##s, n, SUM}, {"logic" #s, log_##s, n, ZERO}, \
		{"neg" #s, neg_##s, n, NEGS}, {"not" #s, not_##s, n, NEGS}, \
	{ \
		"xchg" #s, xch_##s, n, TOKEN \
	}
	R(b, 1),
	R(w, 2),
	R(l, 4),
	R(q, 8),
	{"bitw", bit_w, 2, ZERO},
	{"bitl", bit_l, 4, ZERO},
	{"bitq", bit_q, 8, ZERO},
	{"cmpxchg8b", c8b, 8, PAIR},
	{"cmpxchg16b", c16b, 16, PAIR},
};
static const struct row *volatile row;
static void atom(unsigned me)
{
	for (u32 k = 0; k < turns; k++) {
		row->op((void *)at, me);
		if (beside && beside() != 7)
			lost++;
	}
}
static u64 read_at(unsigned size, unsigned off)
{
	u64 v = 0;
	copy(&v, (void *)(at + off), size > 8 ? 8 : size);
	return v;
}
static void atomics(const char *where, u8 *p, unsigned n, u32 count, int wide)
{
	u64 total = 0, bad = 0;
	for (unsigned k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		u64 mask, v;
		int ok;
		row = &rows[k];
		if (row->size == 16 && !wide)
			continue;
		mask = row->size >= 8 ? ~0ull : (1ull << row->size * 8) - 1;
		at = p;
		turns = row->kind == NEGS ? count | 1 : count;
		lost = 0;
		if (row->kind == NEGS)
			turns = turns + (n == 3);
		fill(p, 0, 16);
		if (row->kind == NEGS)
			*(volatile u8 *)p = 5;
		if (row->kind == TOKEN)
			*(volatile u8 *)p = 1;
		all(n, atom);
		total += (u64)n * turns;
		v = read_at(row->size, 0);
		ok = !lost;
		if (row->kind == SUM)
			ok &= v == ((u64)n * turns & mask);
		if (row->kind == PAIR) {
			unsigned h = row->size / 2;
			u64 m = h == 8 ? ~0ull : 0xffffffff;
			ok &= (v & m) == (u64)n * turns && read_at(h, h) == (u64)n * turns;
		}
		if (row->kind == ZERO)
			ok &= v == 0;
		if (row->kind == NEGS)
			ok &= v == ((u64)n * turns % 2 ? (row->name[1] == 'e' ? -5ull : ~5ull) & mask : 5);
		if (row->kind == TOKEN && row->size > 1) {
			u64 w = 1;
			for (u64 t = 0; t < (u64)n * turns; t++) {
				w = (w + 1) & mask;
				if (!w)
					w = 1;
			}
			ok &= v == w;
		}
		if (!ok) {
			bad++;
			say("BAD ");
			say(where);
			say(" ");
			say(row->name);
			note(" lost", lost);
			note("  value", v);
			note("  want", (u64)n * turns & mask);
		}
		stage = k;
	}
	say("atomics ");
	say(where);
	note(": operations", total);
	CHECK("vol 3 8.1.2", bad == 0);
}

void locked(void)
{
	static const u8 seven[] = {0xb8, 7, 0, 0, 0, 0xc3};

	atomics("aligned", pages[6], 2, ROUNDS / 4, 1);
	atomics("across lines", pages[6] + 63, 2, ROUNDS / 20, 0);
	atomics("across pages", pages[6] + 4095, 2, ROUNDS / 100, 0);
	copy(code, seven, sizeof(seven));
	beside = (void *)code;
	atomics("on a page with code", code + 2048, 2, ROUNDS / 100, 1);
	beside = 0;
}
