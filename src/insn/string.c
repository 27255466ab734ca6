// SPDX-License-Identifier: GPL-2.0-or-later
/* what: MOVS, STOS, LODS, CMPS, SCAS with every size, address size, segment, direction and repeat prefix
 *
 * A repeated instruction runs in chunks that lie in one page of source and destination and that have host addresses:
 * there the host's own string instruction of the same size and direction runs, so overlap means what it means on
 * hardware. Everything else (page crossing, MMIO, translated code, segment ends) goes element by element.
 *
 * Kernels copy and clear a few dozen bytes to a page, a million times a second, and compilers copy structs by MOVSQ and
 * MOVSL: where the TLB has the pages, MOVS and STOS are done without the checks that cannot fail then, repeated ones by
 * bytes, which hosts do fastest (FSRM, ERMS).
 *
 * I1  RSI, RDI and RCX are stored after each chunk and before the next one can fault: restart is exact.
 * I2  Between chunks a waiting interrupt or request stops the instruction with next_rip at itself.
 */
#include "base/bytes.h"
#include "cpu/vendor.h"
#include "insn/insn_int.h"

struct str {
	unsigned size, adsize;
	bool down;        /* DF */
	uint64_t count;   /* elements left */
	uint64_t limit;   /* elements this call may do: 1 while single-stepping */
};

static struct str str_begin(const struct cpu *cpu, const struct insn *in)
{
	uint64_t count = in->rep ? reg_get(cpu, RCX, in->adsize) : 1;
	bool step = in->rep && cpu->s.rflags & FL_TF;

	return (struct str){ in->opsize, in->adsize, cpu->s.rflags & FL_DF, count, step && count ? 1 : count };
}

/* Registers that a repeat truncates before anything else; the others are as they advance. */
static void truncate(struct cpu *cpu, const struct insn *in, unsigned reg)
{
	if (in->rep && cpu_rule(cpu, RULE_REP_TRUNCATES_FIRST))
		reg_set(cpu, reg, cpu->s.gpr[reg], in->adsize);
}

/* Elements from off at linear address gla on that stay in the page and do not wrap the offset; 0: the first one
 * crosses. */
static uint64_t room(const struct str *st, gla_t gla, uint64_t off)
{
	uint64_t in_page = gla & 4095, mask = size_mask(st->adsize), n, m;

	if (in_page + st->size > 4096 || mask - off < st->size - 1u)
		return 0;
	if (st->down) {
		n = in_page / st->size;
		m = off / st->size;
		return 1 + MIN(n, m);
	}
	n = (4096 - in_page) / st->size;
	m = (mask - off - (st->size - 1u)) / st->size;
	return n - 1 > m ? m + 1 : n;
}

/* The lowest byte of n elements at x. */
static uint64_t lowest(const struct str *st, uint64_t x, uint64_t n)
{
	return st->down ? x - (n - 1) * st->size : x;
}

/* Host address of up to *n elements, which may shrink to what the segment allows; NULL: use single accesses. Raises
 * for the first. */
static uint8_t *span_raise(struct cpu *cpu, const struct str *st, unsigned seg, uint64_t off, uint64_t n, gla_t gla,
                           unsigned kind)
{
	if (!n || (!cpu_code64(cpu) && !insn_seg_ok(cpu, seg, lowest(st, off, n), n * st->size, kind)))
		return NULL;
	if (st->down && n > 1)
		mmu_probe_raise(cpu, gla, st->size, kind); /* CR2 names the element, not the chunk's start */
	return mmu_host_raise(cpu, lowest(st, gla, n), n * st->size, kind);
}

static void advance(struct cpu *cpu, const struct str *st, unsigned reg, uint64_t n)
{
	uint64_t by = n * st->size;

	reg_set(cpu, reg, cpu->s.gpr[reg] + (st->down ? -by : by), st->adsize);
}

/* Account for n elements; true: go on. */
static bool next_chunk(struct cpu *cpu, const struct insn *in, struct str *st, uint64_t n)
{
	st->count -= n;
	st->limit -= n;
	if (!in->rep)
		return false;
	reg_set(cpu, RCX, st->count, st->adsize);
	if (!st->count)
		return false;
	if (st->limit && !insn_pending_stop(cpu))
		return true;
	cpu->s.rflags |= FL_RF; /* SDM vol 3 17.3.1.1: pushed as 1 by what comes between iterations */
	cpu->next_rip = cpu->s.rip;
	return false;
}

/* Address of the last element of a chunk for DF = 1, of the first otherwise: where the host's instruction starts. */
static uint8_t *start(const struct str *st, uint8_t *host, uint64_t n)
{
	return st->down ? host + (n - 1) * st->size : host;
}

#define MOVS_ASM(insn, dir) \
	__asm__ volatile(dir "rep " insn "\n\tcld" : "+D"(dst), "+S"(src), "+c"(n) : : "memory", "cc")
#define STOS_ASM(insn, dir) __asm__ volatile(dir "rep " insn "\n\tcld" : "+D"(dst), "+c"(n) : "a"(val) : "memory", "cc")

static void host_movs(const struct str *st, uint8_t *dst, const uint8_t *src, uint64_t n)
{
	switch (st->size | (st->down ? 16 : 0)) {
	case 1: MOVS_ASM("movsb", ""); break;
	case 2: MOVS_ASM("movsw", ""); break;
	case 4: MOVS_ASM("movsl", ""); break;
	case 8: MOVS_ASM("movsq", ""); break;
	case 17: MOVS_ASM("movsb", "std\n\t"); break;
	case 18: MOVS_ASM("movsw", "std\n\t"); break;
	case 20: MOVS_ASM("movsl", "std\n\t"); break;
	default: MOVS_ASM("movsq", "std\n\t"); break;
	}
}

static void host_stos(const struct str *st, uint8_t *dst, uint64_t val, uint64_t n)
{
	switch (st->size | (st->down ? 16 : 0)) {
	case 1: STOS_ASM("stosb", ""); break;
	case 2: STOS_ASM("stosw", ""); break;
	case 4: STOS_ASM("stosl", ""); break;
	case 8: STOS_ASM("stosq", ""); break;
	case 17: STOS_ASM("stosb", "std\n\t"); break;
	case 18: STOS_ASM("stosw", "std\n\t"); break;
	case 20: STOS_ASM("stosl", "std\n\t"); break;
	default: STOS_ASM("stosq", "std\n\t"); break;
	}
}

/* --- the usual case: up, TLB hits, nothing to check --- */

/* May it be tried? DF, single steps and alignment checks are for the long way, 16-bit addresses wrap too soon. */
static bool quick(const struct cpu *cpu, const struct insn *in)
{
	return in->adsize >= 4 && !(cpu->s.rflags & (FL_DF | FL_TF)) &&
	       !(cpu->s.rflags & FL_AC && cpu->s.cpl == 3);
}

/* Elements that begin at off and end in gla's page; 0: the first does not, or off would wrap. */
static uint64_t quick_room(const struct insn *in, uint64_t off, gla_t gla)
{
	uint64_t n = (4096 - (gla & 4095)) >> __builtin_ctz(in->opsize);

	return off + n * in->opsize - 1 > size_mask(in->adsize) || off > UINT64_MAX - 4096 ? 0 : n;
}

static gla_t quick_linear(const struct cpu *cpu, unsigned seg, uint64_t off)
{
	uint64_t gla = off + cpu->s.seg[seg].base;

	if (cpu_code64(cpu))
		return seg == SEG_FS || seg == SEG_GS ? gla : off;
	return (uint32_t)gla;
}

/* Host address of n elements, or NULL: the segment does not have them, or the TLB has no address for them. */
static uint8_t *quick_host(struct cpu *cpu, const struct insn *in, unsigned seg, uint64_t off, uint64_t n,
                           enum cpu_rw rw)
{
	uint64_t len = n * in->opsize, max = rw == TLB_WRITE ? cpu->wmax[seg] : cpu->rmax[seg];
	gla_t gla = quick_linear(cpu, seg, off);

	if (!cpu_code64(cpu) && (len > max || off > max - len))
		return NULL;
	return mmu_tlb_host(cpu, rw, gla, len);
}

static void quick_advance(struct cpu *cpu, const struct insn *in, unsigned reg, uint64_t n)
{
	reg_set(cpu, reg, cpu->s.gpr[reg] + n * in->opsize, in->adsize);
}

/* True: it goes on in the next page. */
static bool quick_next(struct cpu *cpu, const struct insn *in, uint64_t count, uint64_t n)
{
	if (!in->rep)
		return false;
	reg_set(cpu, RCX, count - n, in->adsize);
	return count > n && !insn_pending_stop(cpu);
}

/* One element is one access. Of more, bytes are the host's fastest; the result differs only where an element overlaps
 * the one it is copied to. */
static void quick_copy(const struct insn *in, uint8_t *dst, const uint8_t *src, uint64_t n)
{
	struct str st = { .size = in->opsize };

	if (n == 1) {
		bytes_store(dst, bytes_load(src, in->opsize), in->opsize);
		return;
	}
	if ((uint64_t)(dst - src) >= in->opsize) {
		st.size = 1;
		n *= in->opsize;
	}
	host_movs(&st, dst, src, n);
}

static void quick_fill(const struct insn *in, uint8_t *dst, uint64_t val, uint64_t n)
{
	uint64_t mask = size_mask(in->opsize);
	struct str st = { .size = in->opsize };

	if (n == 1) {
		bytes_store(dst, val, in->opsize);
		return;
	}
	if ((val & mask) == ((val & 0xff) * 0x0101010101010101ull & mask)) {
		st.size = 1;
		n *= in->opsize;
	}
	host_stos(&st, dst, val, n);
}

static uint64_t quick_count(const struct cpu *cpu, const struct insn *in)
{
	return in->rep ? reg_get(cpu, RCX, in->adsize) : 1;
}

/* Does what it can, all of it mostly: then true. Else RCX says what is left for the long way. */
static bool quick_movs(struct cpu *cpu, const struct insn *in)
{
	uint64_t count, n;

	do {
		uint64_t si = reg_get(cpu, RSI, in->adsize), di = reg_get(cpu, RDI, in->adsize), m;
		uint8_t *src, *dst;

		count = quick_count(cpu, in);
		n = quick_room(in, si, quick_linear(cpu, in->seg, si));
		m = quick_room(in, di, quick_linear(cpu, SEG_ES, di));
		n = MIN(MIN(n, m), count);
		if (!n || !(src = quick_host(cpu, in, in->seg, si, n, TLB_READ)) ||
		    !(dst = quick_host(cpu, in, SEG_ES, di, n, TLB_WRITE)))
			return false;
		quick_copy(in, dst, src, n);
		quick_advance(cpu, in, RSI, n);
		quick_advance(cpu, in, RDI, n);
	} while (quick_next(cpu, in, count, n));
	return count == n;
}

static bool quick_stos(struct cpu *cpu, const struct insn *in)
{
	uint64_t count, n;

	do {
		uint64_t di = reg_get(cpu, RDI, in->adsize);
		uint8_t *dst;

		count = quick_count(cpu, in);
		n = quick_room(in, di, quick_linear(cpu, SEG_ES, di));
		n = MIN(n, count);
		if (!n || !(dst = quick_host(cpu, in, SEG_ES, di, n, TLB_WRITE)))
			return false;
		quick_fill(in, dst, cpu->s.gpr[RAX], n);
		quick_advance(cpu, in, RDI, n);
	} while (quick_next(cpu, in, count, n));
	return count == n;
}

/* --- the long way --- */

static uint64_t movs_chunk_raise(struct cpu *cpu, const struct insn *in, const struct str *st)
{
	uint64_t si = reg_get(cpu, RSI, st->adsize), di = reg_get(cpu, RDI, st->adsize), n, m;
	gla_t from = insn_linear_raise(cpu, in->seg, si, st->size, MMU_READ), to;
	uint8_t *src = NULL, *dst = NULL;

	mmu_probe_raise(cpu, from, st->size, MMU_READ); /* the source comes first */
	to = insn_linear_raise(cpu, SEG_ES, di, st->size, MMU_WRITE);

	if (st->limit > 1) {
		n = room(st, from, si);
		m = room(st, to, di);
		n = MIN(MIN(n, m), st->limit);
		src = span_raise(cpu, st, in->seg, si, n, from, MMU_READ);
		if (src)
			dst = span_raise(cpu, st, SEG_ES, di, n, to, MMU_WRITE);
		if (dst) {
			host_movs(st, start(st, dst, n), start(st, src, n), n);
			return n;
		}
	}
	mmu_store_raise(cpu, to, mmu_load_raise(cpu, from, st->size, MMU_READ), st->size, MMU_WRITE);
	return 1;
}

static void long_movs(struct cpu *cpu, const struct insn *in)
{
	struct str st = str_begin(cpu, in);
	uint64_t n;

	truncate(cpu, in, RSI);
	truncate(cpu, in, RDI);
	truncate(cpu, in, RCX);
	if (!st.count)
		return;
	do {
		n = movs_chunk_raise(cpu, in, &st);
		advance(cpu, &st, RSI, n);
		advance(cpu, &st, RDI, n);
	} while (next_chunk(cpu, in, &st, n));
}

void insn_movs(struct cpu *cpu, const struct insn *in)
{
	if (quick(cpu, in) && quick_count(cpu, in) && quick_movs(cpu, in))
		return;
	long_movs(cpu, in);
}

static uint64_t stos_chunk_raise(struct cpu *cpu, const struct str *st)
{
	uint64_t di = reg_get(cpu, RDI, st->adsize), n;
	gla_t to = insn_linear_raise(cpu, SEG_ES, di, st->size, MMU_WRITE);
	uint8_t *dst;

	if (st->limit > 1) {
		n = room(st, to, di);
		n = MIN(n, st->limit);
		dst = span_raise(cpu, st, SEG_ES, di, n, to, MMU_WRITE);
		if (dst) {
			host_stos(st, start(st, dst, n), cpu->s.gpr[RAX], n);
			return n;
		}
	}
	mmu_store_raise(cpu, to, reg_get(cpu, RAX, st->size), st->size, MMU_WRITE);
	return 1;
}

static void long_stos(struct cpu *cpu, const struct insn *in)
{
	struct str st = str_begin(cpu, in);
	uint64_t n;

	truncate(cpu, in, RDI);
	truncate(cpu, in, RCX);
	if (!st.count)
		return;
	do {
		n = stos_chunk_raise(cpu, &st);
		advance(cpu, &st, RDI, n);
	} while (next_chunk(cpu, in, &st, n));
}

void insn_stos(struct cpu *cpu, const struct insn *in)
{
	if (quick(cpu, in) && quick_count(cpu, in) && quick_stos(cpu, in))
		return;
	long_stos(cpu, in);
}

/* Only the last element stays: no chunk is worth it. */
void insn_lods(struct cpu *cpu, const struct insn *in)
{
	struct str st = str_begin(cpu, in);
	uint64_t si;
	gla_t from;

	truncate(cpu, in, RCX);
	if (!st.count)
		return;
	do {
		si = reg_get(cpu, RSI, st.adsize);
		from = insn_linear_raise(cpu, in->seg, si, st.size, MMU_READ);
		reg_set(cpu, RAX, mmu_load_raise(cpu, from, st.size, MMU_READ), st.size);
		advance(cpu, &st, RSI, 1);
	} while (next_chunk(cpu, in, &st, 1));
}

/* Flags of a compare as the host leaves them: AH of LAHF and OF apart. */
struct cmp_flags {
	uint16_t ax;
	uint8_t of;
};

static void put_flags(struct cpu *cpu, struct cmp_flags f)
{
	uint64_t arith = f.ax >> 8 & (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF);

	cpu->s.rflags = (cpu->s.rflags & ~(uint64_t)FL_ARITH) | arith | (f.of ? FL_OF : 0);
}

#define CMPS_ASM(insn, dir, rep) \
	__asm__ volatile(dir rep insn "\n\tcld\n\tlahf\n\tseto %1" \
			 : "=&a"(ax), "=&q"(of), "+S"(a), "+D"(b), "+c"(n) : : "memory", "cc")
#define CMPS_SIZE(insn) \
	if (down && ne) \
		CMPS_ASM(insn, "std\n\t", "repne "); \
	else if (down) \
		CMPS_ASM(insn, "std\n\t", "repe "); \
	else if (ne) \
		CMPS_ASM(insn, "", "repne "); \
	else \
		CMPS_ASM(insn, "", "repe ")

/* Compare up to n elements; returns how many were. */
static uint64_t host_cmps(const struct str *st, const uint8_t *a, const uint8_t *b, uint64_t n, bool ne,
                          struct cmp_flags *f)
{
	uint64_t all = n, ax;
	bool down = st->down;
	uint8_t of;

	if (st->size == 1) {
		CMPS_SIZE("cmpsb");
	} else if (st->size == 2) {
		CMPS_SIZE("cmpsw");
	} else if (st->size == 4) {
		CMPS_SIZE("cmpsl");
	} else {
		CMPS_SIZE("cmpsq");
	}
	*f = (struct cmp_flags){ (uint16_t)ax, of };
	return all - n;
}

#define SCAS_ASM(insn, dir, rep) \
	__asm__ volatile(dir rep insn "\n\tcld\n\tlahf\n\tseto %1" \
			 : "+&a"(ax), "=&q"(of), "+D"(b), "+c"(n) : : "memory", "cc")
#define SCAS_SIZE(insn) \
	if (down && ne) \
		SCAS_ASM(insn, "std\n\t", "repne "); \
	else if (down) \
		SCAS_ASM(insn, "std\n\t", "repe "); \
	else if (ne) \
		SCAS_ASM(insn, "", "repne "); \
	else \
		SCAS_ASM(insn, "", "repe ")

static uint64_t host_scas(const struct str *st, uint64_t ax, const uint8_t *b, uint64_t n, bool ne, struct cmp_flags *f)
{
	uint64_t all = n;
	bool down = st->down;
	uint8_t of;

	if (st->size == 1) {
		SCAS_SIZE("scasb");
	} else if (st->size == 2) {
		SCAS_SIZE("scasw");
	} else if (st->size == 4) {
		SCAS_SIZE("scasl");
	} else {
		SCAS_SIZE("scasq");
	}
	*f = (struct cmp_flags){ (uint16_t)ax, of };
	return all - n;
}

/* One element through memory accesses: the values are compared where the host can see them. */
static void compare_one(struct cpu *cpu, const struct str *st, uint64_t a, uint64_t b)
{
	struct str one = *st;
	struct cmp_flags f;

	one.down = false;
	host_cmps(&one, (const uint8_t *)&a, (const uint8_t *)&b, 1, false, &f);
	put_flags(cpu, f);
}

static gla_t operand_raise(struct cpu *cpu, const struct str *st, unsigned seg, uint64_t off)
{
	gla_t gla = insn_linear_raise(cpu, seg, off, st->size, MMU_READ);

	mmu_probe_raise(cpu, gla, st->size, MMU_READ);
	return gla;
}

static uint64_t cmps_chunk_raise(struct cpu *cpu, const struct insn *in, const struct str *st)
{
	uint64_t si = reg_get(cpu, RSI, st->adsize), di = reg_get(cpu, RDI, st->adsize), n, m, b;
	uint8_t *src = NULL, *dst = NULL;
	struct cmp_flags f;
	gla_t to, from;

	if (cpu_rule(cpu, RULE_CMPS_SECOND_FIRST))
		operand_raise(cpu, st, SEG_ES, di);
	from = operand_raise(cpu, st, in->seg, si);
	to = operand_raise(cpu, st, SEG_ES, di);

	if (st->limit > 1) {
		n = room(st, from, si);
		m = room(st, to, di);
		n = MIN(MIN(n, m), st->limit);
		dst = span_raise(cpu, st, SEG_ES, di, n, to, MMU_READ);
		if (dst)
			src = span_raise(cpu, st, in->seg, si, n, from, MMU_READ);
		if (src) {
			n = host_cmps(st, start(st, src, n), start(st, dst, n), n, in->rep == 0xf2, &f);
			put_flags(cpu, f);
			return n;
		}
	}
	b = mmu_load_raise(cpu, to, st->size, MMU_READ);
	compare_one(cpu, st, mmu_load_raise(cpu, from, st->size, MMU_READ), b);
	return 1;
}

/* CMPS and SCAS between iterations, and where one faults. */
static void first_flags(struct cpu *cpu, uint64_t flags)
{
	if (cpu_rule(cpu, RULE_REP_FLAGS_OF_BEGINNING))
		cpu->s.rflags = (cpu->s.rflags & ~(uint64_t)FL_ARITH) | (flags & FL_ARITH);
}

/* REPE goes on while ZF is set, REPNE while it is clear; a condition that fails ends the instruction for good. */
static bool next_compare(struct cpu *cpu, const struct insn *in, struct str *st, uint64_t n)
{
	bool zf = cpu->s.rflags & FL_ZF, met = in->rep == 0xf2 ? !zf : zf;

	if (!met && in->rep) {
		reg_set(cpu, RCX, st->count - n, st->adsize);
		return false;
	}
	return next_chunk(cpu, in, st, n);
}

void insn_cmps(struct cpu *cpu, const struct insn *in)
{
	struct str st = str_begin(cpu, in);
	uint64_t n, flags = cpu->s.rflags;

	truncate(cpu, in, RCX);
	if (!st.count)
		return;
	do {
		first_flags(cpu, flags); /* RSI, RDI and RCX are those of the element */
		n = cmps_chunk_raise(cpu, in, &st);
		advance(cpu, &st, RSI, n);
		advance(cpu, &st, RDI, n);
	} while (next_compare(cpu, in, &st, n));
	if (cpu->next_rip == cpu->s.rip)
		first_flags(cpu, flags);
}

static uint64_t scas_chunk_raise(struct cpu *cpu, const struct insn *in, const struct str *st)
{
	uint64_t di = reg_get(cpu, RDI, st->adsize), n;
	gla_t to = insn_linear_raise(cpu, SEG_ES, di, st->size, MMU_READ);
	struct cmp_flags f;
	uint8_t *dst;

	if (st->limit > 1) {
		n = room(st, to, di);
		n = MIN(n, st->limit);
		dst = span_raise(cpu, st, SEG_ES, di, n, to, MMU_READ);
		if (dst) {
			n = host_scas(st, cpu->s.gpr[RAX], start(st, dst, n), n, in->rep == 0xf2, &f);
			put_flags(cpu, f);
			return n;
		}
	}
	compare_one(cpu, st, cpu->s.gpr[RAX], mmu_load_raise(cpu, to, st->size, MMU_READ));
	return 1;
}

void insn_scas(struct cpu *cpu, const struct insn *in)
{
	struct str st = str_begin(cpu, in);
	uint64_t n, flags = cpu->s.rflags;

	truncate(cpu, in, RCX);
	if (!st.count)
		return;
	do {
		first_flags(cpu, flags);
		n = scas_chunk_raise(cpu, in, &st);
		advance(cpu, &st, RDI, n);
	} while (next_compare(cpu, in, &st, n));
	if (cpu->next_rip == cpu->s.rip)
		first_flags(cpu, flags);
}
