// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of insn/string.c and io.c: chunks, overlap, direction, exact registers after faults and interrupts */
#include "insn/bench.h"

static struct insn rep_insn(unsigned size, unsigned rep)
{
	return (struct insn){ .len = 2, .opsize = (uint8_t)size, .adsize = 8, .rep = (uint8_t)rep, .seg = SEG_DS };
}

static void set_regs(struct bench *b, uint64_t si, uint64_t di, uint64_t cx)
{
	b->cpu->s.gpr[RSI] = si;
	b->cpu->s.gpr[RDI] = di;
	b->cpu->s.gpr[RCX] = cx;
}

static void assert_regs(struct bench *b, uint64_t si, uint64_t di, uint64_t cx)
{
	assert_int_equal(b->cpu->s.gpr[RSI], si);
	assert_int_equal(b->cpu->s.gpr[RDI], di);
	assert_int_equal(b->cpu->s.gpr[RCX], cx);
}

static void fill(struct bench *b, uint32_t at, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		b->ram[at + i] = (uint8_t)(i * 7 + 1);
}

static void copies(void **state)
{
	/* every size across pages and misaligned ends gives what a byte loop gives */
	struct bench *b = *state;

	go_long(b);
	for (unsigned size = 1; size <= 8; size *= 2) {
		struct insn in = rep_insn(size, 0xf3);
		unsigned n = 3000;

		fill(b, 0x100003, n * size);
		memset(b->ram + 0x200000, 0, 0x10000);
		set_regs(b, 0x100003, 0x200ffd, n);
		assert_true(run(b, insn_movs, &in));
		assert_regs(b, 0x100003 + n * size, 0x200ffd + n * size, 0);
		assert_memory_equal(b->ram + 0x100003, b->ram + 0x200ffd, n * size);
		assert_int_equal(b->ram[0x200ffd + n * size], 0);
		assert_int_equal(b->cpu->next_rip, 0x7002);
	}
}

static void overlap(void **state)
{
	/* forward copies onto themselves repeat the pattern; backward ones with DF do not lose data */
	struct bench *b = *state;
	struct insn in = rep_insn(1, 0xf3);

	go_long(b);
	memset(b->ram + 0x100000, 0, 0x3000);
	b->ram[0x100000] = 0x5a;
	set_regs(b, 0x100000, 0x100001, 0x2000);
	assert_true(run(b, insn_movs, &in));
	for (unsigned i = 0; i <= 0x2000; i++)
		assert_int_equal(b->ram[0x100000 + i], 0x5a);
	fill(b, 0x100000, 0x2000);
	b->cpu->s.rflags |= FL_DF;
	set_regs(b, 0x101fff, 0x102000, 0x2000);
	assert_true(run(b, insn_movs, &in));
	for (unsigned i = 0; i < 0x2000; i++)
		assert_int_equal(b->ram[0x100001 + i], (uint8_t)(i * 7 + 1));
	assert_regs(b, 0xfffff, 0x100000, 0);
}

static void fault_in_the_middle(void **state)
{
	/* the copy up to the hole is done and the registers say so; CR2 is the first missing byte, downwards the element */
	struct bench *b = *state;
	struct insn in = rep_insn(4, 0xf3);

	go_long(b);
	fill(b, 0x100000, 0x3000);
	set_regs(b, 0x100000, HOLE - 0x1000, 0x800);
	assert_false(run(b, insn_movs, &in));
	assert_raised(b, EXC_PF, 2);
	assert_int_equal(b->cpu->event.cr2, HOLE);
	assert_regs(b, 0x101000, HOLE, 0x400);
	assert_memory_equal(b->ram + 0x100000, b->ram + HOLE - 0x1000, 0x1000);
	b->cpu->s.rflags |= FL_DF;
	set_regs(b, 0x100ffc, HOLE + 0x100, 4);
	assert_false(run(b, insn_stos, &in));
	assert_int_equal(b->cpu->event.cr2, HOLE + 0x100);
}

static void interruptible(void **state)
{
	/* a waiting interrupt stops after a chunk with next_rip at the instruction; with IF clear it does not */
	struct bench *b = *state;
	struct insn in = rep_insn(1, 0xf3);

	go_long(b);
	b->cpu->intr = true;
	b->cpu->s.rflags |= FL_IF;
	set_regs(b, 0x100000, 0x200000, 0x10000);
	assert_true(run(b, insn_movs, &in));
	assert_int_equal(b->cpu->next_rip, 0x7000);
	assert_int_equal(b->cpu->s.gpr[RSI] - 0x100000, 0x10000 - b->cpu->s.gpr[RCX]);
	assert_in_range(b->cpu->s.gpr[RCX], 1, 0xffff);
	b->cpu->s.rflags &= ~(uint64_t)FL_IF;
	assert_true(run(b, insn_movs, &in));
	assert_regs(b, 0x110000, 0x210000, 0);
	b->cpu->s.rflags |= FL_TF; /* single step: one element */
	set_regs(b, 0x100000, 0x200000, 2);
	assert_true(run(b, insn_stos, &in));
	assert_regs(b, 0x100000, 0x200001, 1);
	assert_int_equal(b->cpu->next_rip, 0x7000);
}

static void wraps(void **state)
{
	/* 16-bit addresses wrap at 64 KiB, and only SI, DI and CX change */
	struct bench *b = *state;
	struct insn in = rep_insn(1, 0xf3);

	in.adsize = 2;
	cpu_set_seg_real(b->cpu, SEG_ES, 0x2000);
	b->cpu->s.gpr[RAX] = 0x77;
	set_regs(b, 0, 0xabcdfff0, 0x12340020);
	assert_true(run(b, insn_stos, &in));
	assert_regs(b, 0, 0xabcd0010, 0x12340000);
	assert_int_equal(b->ram[0x2fff0], 0x77);
	assert_int_equal(b->ram[0x2ffff], 0x77);
	assert_int_equal(b->ram[0x20000], 0x77);
	assert_int_equal(b->ram[0x2000f], 0x77);
	assert_int_equal(b->ram[0x20010], 0);
	in.opsize = 2; /* a word at offset 0xffff is beyond the limit */
	set_regs(b, 0, 0xffff, 1);
	assert_false(run(b, insn_stos, &in));
	assert_int_equal(b->cpu->event.vector, EXC_GP);
}

#define AREA 0x100000
#define AREA_LEN 0x4000

/* What the manual's loop over elements does to the area; addresses are offsets into it. */
static void reference(uint8_t *area, unsigned size, bool movs, unsigned si, unsigned di, unsigned n, uint64_t val)
{
	for (unsigned k = 0; k < n * size; k += size) {
		if (movs)
			memcpy(&val, area + si + k, size);
		memcpy(area + di + k, &val, size);
	}
}

static void quick_ones(void **state)
{
	/* REP MOVS and STOS whose pages the TLB has do what the loop over elements does, however source and destination
	 * overlap, in both address sizes and both modes */
	struct bench *b = *state;
	static uint8_t want[AREA_LEN];
	uint8_t *area = b->ram + AREA;

	srand(1);
	go_long(b);
	for (unsigned k = 0; k < 40000; k++) {
		struct insn in = rep_insn(1u << rand() % 4, rand() & 1 ? 0xf3 : 0xf2);
		bool movs = rand() & 1;
		unsigned n = (unsigned)rand() % (rand() & 1 ? 20 : 600), room = AREA_LEN - n * in.opsize;
		unsigned si = (unsigned)rand() % room;
		unsigned near = si + (unsigned)rand() % 40, far = (unsigned)rand() % room;
		unsigned di = rand() & 1 || near < 20 ? far : MIN(near - 20, room);
		uint64_t val = rand() & 1 ? 0x0101010101010101ull * (uint8_t)rand() : (uint64_t)rand() << 33 ^ (uint64_t)rand();

		in.adsize = rand() & 1 ? 8 : 4;
		area[rand() % AREA_LEN] = (uint8_t)rand();
		memcpy(want, area, AREA_LEN);
		reference(want, in.opsize, movs, si, di, n, val);
		b->cpu->s.gpr[RAX] = val;
		set_regs(b, AREA + si, AREA + di, n);
		assert_true(run(b, movs ? insn_movs : insn_stos, &in));
		assert_memory_equal(area, want, AREA_LEN);
		assert_regs(b, AREA + si + (movs ? n * in.opsize : 0), AREA + di + n * in.opsize, 0);
	}
}

static void wraps_at_4g(void **state)
{
	/* a 32-bit address in long mode wraps between elements, and the registers lose their upper halves: at once on
	 * Intel's CPUs, with the first element on AMD's */
	struct bench *b = *state;
	struct insn in = rep_insn(1, 0xf3);

	go_long(b);
	in.adsize = 4;
	b->cpu->s.gpr[RAX] = 0x99;
	fill(b, 0, 16); /* so that the TLB has page 0 */
	for (unsigned amd = 0; amd < 2; amd++) {
		b->model->vendor = amd ? VENDOR_AMD : VENDOR_INTEL;
		set_regs(b, 0, 0x1fffffff8ull, 0x100000010ull);
		assert_false(run(b, insn_stos, &in)); /* nothing is mapped there */
		assert_raised(b, EXC_PF, 2);
		assert_int_equal(b->cpu->event.cr2, 0xfffffff8);
		assert_regs(b, 0, amd ? 0x1fffffff8ull : 0xfffffff8, amd ? 0x100000010ull : 0x10);
	}
}

static void interrupted_compare(void **state)
{
	/* SDM vol 2 "REP": flags of the beginning where a later element faults; AMD's CPUs have those of the last one. Of
	 * two operands that both fault Intel's CPUs look at the second first. */
	struct bench *b = *state;
	struct insn in = rep_insn(1, 0xf3);

	go_long(b);
	for (unsigned amd = 0; amd < 2; amd++) {
		b->model->vendor = amd ? VENDOR_AMD : VENDOR_INTEL;
		b->cpu->s.rflags = FL_FIXED | FL_OF;
		fill(b, HOLE - 1, 1);
		b->cpu->s.gpr[RAX] = b->ram[HOLE - 1];
		set_regs(b, 0, HOLE - 1, 5);
		assert_false(run(b, insn_scas, &in));
		assert_raised(b, EXC_PF, 0);
		assert_regs(b, 0, HOLE, 4);
		assert_int_equal(b->cpu->s.rflags & (FL_ZF | FL_OF), amd ? FL_ZF : FL_OF);
		set_regs(b, HOLE, HOLE + 8, 5);
		assert_false(run(b, insn_cmps, &in));
		assert_int_equal(b->cpu->event.cr2, amd ? HOLE : HOLE + 8);
	}
}

static void quick_checks(void **state)
{
	/* alignment checks at CPL 3, segment limits, DF and single steps are seen though the TLB has the page */
	struct bench *b = *state;
	struct insn in = rep_insn(4, 0xf3);

	go_long(b);
	set_regs(b, AREA, AREA + 0x1000, 8);
	assert_true(run(b, insn_movs, &in));
	b->cpu->s.rflags |= FL_DF;
	set_regs(b, AREA + 0x100, AREA + 0x1100, 4);
	assert_true(run(b, insn_movs, &in));
	assert_regs(b, AREA + 0xf0, AREA + 0x10f0, 0);
	b->cpu->s.rflags = (b->cpu->s.rflags & ~(uint64_t)FL_DF) | FL_TF;
	set_regs(b, AREA, AREA + 0x1000, 8);
	assert_true(run(b, insn_movs, &in));
	assert_regs(b, AREA + 4, AREA + 0x1004, 7);
	b->cpu->s.rflags = (b->cpu->s.rflags & ~(uint64_t)FL_TF) | FL_AC;
	b->cpu->s.cr0 |= CR0_AM;
	set_regs(b, AREA + 1, AREA + 0x1001, 8);
	assert_true(run(b, insn_movs, &in)); /* supervisors are not checked */
	b->cpu->s.cpl = 3;
	cpu_derive(b->cpu);
	set_regs(b, AREA, AREA + 0x1000, 8);
	assert_true(run(b, insn_movs, &in));
	set_regs(b, AREA + 1, AREA + 0x1000, 8);
	assert_false(run(b, insn_movs, &in));
	assert_raised(b, EXC_AC, 0);
	/* an operand that ends beyond the canonical addresses is not looked at for alignment (seen on a Zen 5) */
	set_regs(b, 0x7ffffffffffd, AREA + 0x1000, 8);
	assert_false(run(b, insn_movs, &in));
	assert_raised(b, EXC_GP, 0);
}

static void limit_in_the_middle(void **state)
{
	/* elements below the segment's end are done, the first beyond it is #GP(0) */
	struct bench *b = *state;
	struct insn in = rep_insn(1, 0xf3);

	go_protected(b);
	in.adsize = 4;
	cpu_set_seg(b->cpu, SEG_ES, UDS32, 0x100000, 0x1f, 0x4093);
	set_regs(b, 0, 0x10, 0x40);
	b->cpu->s.gpr[RAX] = 0x55;
	assert_false(run(b, insn_stos, &in));
	assert_raised(b, EXC_GP, 0);
	assert_regs(b, 0, 0x20, 0x30);
	assert_int_equal(b->ram[0x10001f], 0x55);
	assert_int_equal(b->ram[0x100020], 0);
}

static void compares(void **state)
{
	/* REPE stops behind the difference, REPNE behind the match, flags are those of the last pair; zero count leaves
	 * flags */
	struct bench *b = *state;
	struct insn repe = rep_insn(1, 0xf3), repne = rep_insn(1, 0xf2), one = rep_insn(2, 0);

	go_long(b);
	fill(b, 0x100000, 0x3000);
	memcpy(b->ram + 0x200000, b->ram + 0x100000, 0x3000);
	b->ram[0x201800]++;
	set_regs(b, 0x100000, 0x200000, 0x3000);
	assert_true(run(b, insn_cmps, &repe));
	assert_regs(b, 0x101801, 0x201801, 0x3000 - 0x1801);
	assert_false(b->cpu->s.rflags & FL_ZF);
	assert_true(b->cpu->s.rflags & FL_CF);
	memset(b->ram + 0x100000, 1, 0x2000);
	b->ram[0x101234] = 9;
	b->cpu->s.gpr[RAX] = 0xff09;
	set_regs(b, 0, 0x100000, 0x2000);
	assert_true(run(b, insn_scas, &repne));
	assert_regs(b, 0, 0x101235, 0x2000 - 0x1235);
	assert_true(b->cpu->s.rflags & FL_ZF);
	assert_int_equal(b->cpu->s.gpr[RAX], 0xff09);
	b->cpu->s.rflags |= FL_CF | FL_OF;
	set_regs(b, 0, 0, 0);
	assert_true(run(b, insn_scas, &repne));
	assert_true(b->cpu->s.rflags & FL_OF);
	put_le16(b->ram + 0x100000, 0x8000);
	put_le16(b->ram + 0x200000, 1);
	b->cpu->s.rflags |= FL_DF;
	set_regs(b, 0x100000, 0x200000, 5);
	assert_true(run(b, insn_cmps, &one));
	assert_regs(b, 0xffffe, 0x1ffffe, 5);
	assert_int_equal(b->cpu->s.rflags & FL_ARITH, FL_OF | FL_AF | FL_PF);
}

static void loads(void **state)
{
	/* LODS leaves the last element, narrow ones only their part of RAX */
	struct bench *b = *state;
	struct insn in = rep_insn(1, 0xf3);

	go_long(b);
	fill(b, 0x100000, 16);
	b->cpu->s.gpr[RAX] = 0x1122334455667788;
	set_regs(b, 0x100000, 0, 3);
	assert_true(run(b, insn_lods, &in));
	assert_int_equal(b->cpu->s.gpr[RAX], 0x112233445566770f);
	in = rep_insn(4, 0);
	assert_true(run(b, insn_lods, &in));
	assert_int_equal(b->cpu->s.gpr[RAX] >> 32, 0);
	assert_int_equal(b->cpu->s.gpr[RSI], 0x100007);
}

struct port {
	unsigned reads, writes;
	uint64_t last;
};

static uint64_t port_read(void *opaque, uint64_t off, unsigned size)
{
	struct port *p = opaque;

	return 0xa0 + p->reads++;
}

static void port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct port *p = opaque;

	p->writes++;
	p->last = val;
}

static const struct mem_ops port_ops = { port_read, port_write, 4 };

static void ports(void **state)
{
	/* IOPL and the I/O map decide; REP INS stops at a fault before the port was read for it */
	struct bench *b = *state;
	struct cpu_state *s = &b->cpu->s;
	struct port p = { 0 };
	struct mem_ports space = { .name = "test", .base = 0x100, .count = 8, .ops = &port_ops, .opaque = &p };
	struct insn in = { .len = 1, .opsize = 1, .reg = 1 }, ins = rep_insn(1, 0xf3);

	mem_ports_enable(b->mem, &space);
	go_long(b);
	s->gpr[RDX] = 0x100;
	s->gpr[RAX] = 0x1234;
	assert_true(run(b, insn_in, &in));
	assert_int_equal(s->gpr[RAX], 0x12a0);
	assert_true(run(b, insn_out, &in));
	assert_int_equal(p.last, 0xa0);
	set_cpl(b, UCS64 | 3, UDS32 | 3);
	put_le16(b->ram + TSS + 0x66, 0x68);
	b->ram[TSS + 0x68 + 0x20] = 0xfe; /* port 0x100 allowed */
	b->ram[TSS + 0x68 + 0x21] = 0xff;
	assert_true(run(b, insn_in, &in));
	s->gpr[RDX] = 0x101;
	assert_false(run(b, insn_in, &in));
	assert_raised(b, EXC_GP, 0);
	s->rflags |= FL_IOPL;
	p.reads = 0;
	set_regs(b, 0, HOLE - 2, 5);
	s->gpr[RDX] = 0x100;
	assert_false(run(b, insn_ins, &ins));
	assert_raised(b, EXC_PF, 6);
	assert_regs(b, 0, HOLE, 3);
	assert_int_equal(p.reads, 2);
	assert_int_equal(b->ram[HOLE - 1], 0xa1);
	mem_ports_disable(b->mem, &space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(copies), BENCH_TEST(overlap), BENCH_TEST(fault_in_the_middle), BENCH_TEST(interruptible),
		BENCH_TEST(wraps),
		BENCH_TEST(quick_ones), BENCH_TEST(wraps_at_4g), BENCH_TEST(interrupted_compare), BENCH_TEST(quick_checks),
		BENCH_TEST(limit_in_the_middle), BENCH_TEST(compares), BENCH_TEST(loads), BENCH_TEST(ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
