// SPDX-License-Identifier: GPL-2.0-or-later
/* what: user code that goes by one register to several slots of 1 TiB in one block, by every way to write to it
 *
 * ring3 finds host memory by a bias that accesses through one register share (src/xlate/windowed.c): a stale one reads
 * or writes another slot's memory, or what is no guest's at all.
 */
#include "guest.h"

enum { SLOTS = 12, WORDS = 512, SPARE = 0x600 /* low memory that nobody uses */ };
extern u64 boot_pml4[];

/* SI: address A; DI: address B; DX: B - A. The register goes to A, is written to, and then must lead to B. */
#define AT_A(b) "mov %rsi, %" b "\n mov 8(%" b "), %r8\n add 16(%" b "), %r8\n"
#define AT_B(b) "mov 8(%" b "), %r9\n add 16(%" b "), %r9\n mov %r8, 24(%" b ")\n"
#define ONCE(name, code) SNIPPET(name, code)
#define ROUND(name, code) SNIPPET(name, "mov $4, %ecx\n 3:" code "sub $1, %ecx\n jnz 3b")
#define BOTH(b, way, code) \
	ONCE(once_##b##_##way, AT_A(#b) code AT_B(#b)); \
	ROUND(round_##b##_##way, AT_A(#b) code AT_B(#b))

/* Any A and B. */
#define WAYS(X, b) \
	X(b, mov, "mov %rdi, %" #b "\n") \
	X(b, xchg, "mov %rdi, %rax\n xchg %" #b ", %rax\n") \
	X(b, xchgmem, "mov %rdi, 40(%" #b ")\n xchg %" #b ", 40(%" #b ")\n") \
	X(b, cmpxchg, "mov %" #b ", %rax\n cmpxchg %rdi, %" #b "\n") \
	X(b, xadd, "mov %rdx, %rax\n xadd %rax, %" #b "\n") \
	X(b, xaddsrc, "mov %rdi, %rax\n xadd %" #b ", %rax\n") \
	X(b, xaddmem, "mov %rdi, 40(%" #b ")\n xadd %" #b ", 40(%" #b ")\n") \
	X(b, add, "add %rdx, %" #b "\n") \
	X(b, sub, "mov %rdx, %rax\n neg %rax\n sub %rax, %" #b "\n") \
	X(b, xor, "mov %rsi, %rax\n xor %rdi, %rax\n xor %rax, %" #b "\n") \
	X(b, lea, "lea (%" #b ", %rdx), %" #b "\n") \
	X(b, lea_other, "lea (%rdi), %" #b "\n") \
	X(b, cmov, "cmp %rax, %rax\n cmove %rdi, %" #b "\n") \
	X(b, cmov_not, "mov %rdi, %" #b "\n cmp %rax, %rax\n cmovne %rsi, %" #b "\n") \
	X(b, load, "mov %rdi, 40(%" #b ")\n mov 40(%" #b "), %" #b "\n") \
	X(b, cmovload, "mov %rdi, 40(%" #b ")\n cmp %rax, %rax\n cmove 40(%" #b "), %" #b "\n") \
	X(b, imul, "imul $1, %rdi, %" #b "\n") \
	X(b, pop, "push %rdi\n pop %" #b "\n") \
	X(b, movq, "movq %rdi, %xmm0\n movq %xmm0, %" #b "\n") \
	X(b, bswap, "mov %rdi, %" #b "\n bswap %" #b "\n bswap %" #b "\n") \
	X(b, shl, "mov %rdi, %rax\n shr $39, %rax\n mov %rax, %" #b "\n shl $39, %" #b "\n" \
		"mov %rdi, %rax\n shl $25, %rax\n shr $25, %rax\n or %rax, %" #b "\n")

/* An index leads to B, the register alone to A, by turns. */
#define INDEXED(b) \
	"mov %rsi, %" b "\n mov 8(%" b "), %r8\n mov 8(%" b ", %rdx), %r9\n add 16(%" b "), %r8\n" \
	"add 16(%" b ", %rdx), %r9\n mov %r8, 24(%" b ", %rdx)\n mov 16(%" b "), %rax\n add 8(%" b "), %rax\n" \
	"xor %r8, %rax\n or %rax, %r8\n"
#define INDEX(b) ONCE(once_##b##_index, INDEXED(#b)); ROUND(round_##b##_index, INDEXED(#b))

/* B - A = n: constants that are added to the register, small ones across the end of a slot, and 20 GiB. */
#define CONSTANTS(X, b) \
	X(b, add8, "add $0x20, %" #b "\n", 0x20) \
	X(b, add8down, "add $-0x20, %" #b "\n", -0x20) \
	X(b, add32, "add $0x7d0, %" #b "\n", 0x7d0) \
	X(b, add32down, "add $-0x7d0, %" #b "\n", -0x7d0) \
	X(b, sub8, "sub $0x20, %" #b "\n", -0x20) \
	X(b, sub8up, "sub $-0x20, %" #b "\n", 0x20) \
	X(b, sub32, "sub $0x7d0, %" #b "\n", -0x7d0) \
	X(b, sub32up, "sub $-0x7d0, %" #b "\n", 0x7d0) \
	X(b, lea8, "lea 0x20(%" #b "), %" #b "\n", 0x20) \
	X(b, lea32, "lea -0x7d0(%" #b "), %" #b "\n", -0x7d0) \
	X(b, inc, ".rept 0x30\n inc %" #b "\n .endr\n", 0x30) \
	X(b, or0, "or $0, %" #b "\n add $0x40, %" #b "\n adc $0, %" #b "\n", 0x40) \
	X(b, far, ".rept 10\n add $0x7ffff000, %" #b "\n .endr\n add $0xa000, %" #b "\n", 0x500000000) \
	X(b, steps, ".rept 20\n lea 0x3ffff000(%" #b "), %" #b "\n .endr\n lea 0x14000(%" #b "), %" #b "\n", 0x500000000) \
	X(b, back, ".rept 10\n sub $0x7ffff000, %" #b "\n .endr\n sub $0xa000, %" #b "\n", -0x500000000)

/* The stack pointer alone. */
#define STACKS(X) \
	X(rsp, pops, "pop %rax\n pop %rax\n pop %rbx\n pop %rax\n pop %rax\n pop %r11\n", 48) \
	X(rsp, pushes, "push %rax\n push %rax\n push %rbx\n push $1\n push %rsp\n push %r10\n", -48) \
	X(rsp, one_by_one, "pop %rax\n nop\n pop %rax\n nop\n popq 64(%rsp)\n pushq 64(%rsp)\n pop %r14\n nop\n" \
		"pop %rax\n nop\n pop %rax\n nop\n pop %rax\n", 48) \
	X(rsp, words, "popw %ax\n popw %r10w\n popw %ax\n pushw %ax\n sub $-44, %rsp\n", 48) \
	X(rsp, popsp, "push %rdi\n pop %rsp\n", 0x20) \
	X(rsp, leave, "lea -8(%rdi), %rbp\n leave\n", 0x20) \
	X(rsp, enter, "enter $40, $0\n", -48)

#define EACH(DO, X) DO(X, rbx) DO(X, rbp) DO(X, r10) DO(X, r11) DO(X, r12) DO(X, r13) DO(X, r14) DO(X, r15)
#define CODE(b, way, code, ...) BOTH(b, way, code);
EACH(WAYS, CODE)
EACH(CONSTANTS, CODE)
CONSTANTS(CODE, rsp)
STACKS(CODE)
CODE(rsp, mov, "mov %rdi, %rsp\n")
CODE(rsp, xchg, "mov %rdi, %rax\n xchg %rsp, %rax\n")
CODE(rsp, lea, "lea (%rsp, %rdx), %rsp\n")
CODE(rsp, cmov, "cmp %rax, %rax\n cmove %rdi, %rsp\n")
CODE(rsp, pop, "push %rdi\n pop %rsp\n")
CODE(rsp, leave_other, "lea -8(%rdi), %rbp\n leave\n")
CODE(rax, cmpxchg, "mov %rdi, 40(%rax)\n cmpxchg %r9, 40(%rax)\n")
CODE(rdx, mul, "movabs $1 << 63, %rax\n lea (%rdi, %rdi), %r9\n mul %r9\n")
INDEX(rbx); INDEX(rbp); INDEX(r10); INDEX(r11); INDEX(r12); INDEX(r13); INDEX(r14); INDEX(r15); INDEX(rsp);
/* Segment bases: with CR4.FSGSBASE alone. */
#define FS_A "wrfsbase %rsi\n mov %fs:8, %r8\n add %fs:16, %r8\n"
#define FS_B "mov %fs:8, %r9\n add %fs:16, %r9\n mov %r8, %fs:24\n"
#define FS_INDEXED "wrfsbase %rsi\n mov %fs:8, %r8\n mov %fs:8(%rdx), %r9\n add %fs:16, %r8\n add %fs:16(%rdx), %r9\n" \
	"mov %r8, %fs:24(%rdx)\n mov %fs:16, %rax\n add %fs:8, %rax\n xor %r8, %rax\n or %rax, %r8\n"
ONCE(once_fs, FS_A "wrfsbase %rdi\n" FS_B);
ROUND(round_fs, FS_A "wrfsbase %rdi\n" FS_B);
ONCE(once_fs_index, FS_INDEXED);
ROUND(round_fs_index, FS_INDEXED);
/* Destinations that VEX names (BMI1, BMI2). */
#define BMI(X, b) \
	X(b, rorx, "rorx $0, %rdi, %" #b "\n") \
	X(b, shlx, "xor %eax, %eax\n shlx %rax, %rdi, %" #b "\n") \
	X(b, pext, "mov $-1, %rax\n pext %rax, %rdi, %" #b "\n") \
	X(b, andn, "xor %eax, %eax\n andn %rdi, %rax, %" #b "\n") \
	X(b, mulxlow, "mov $1, %edx\n mulx %rdi, %" #b ", %rax\n") \
	X(b, mulxhigh, "movabs $1 << 63, %rdx\n lea (%rdi, %rdi), %r9\n mulx %r9, %rax, %" #b "\n")
EACH(BMI, CODE)
/* 36 steps from slot to slot by a register that is loaded through itself. */
#define STEP(b) "add 8(%" b "), %r8\n mov %r8, 48(%" b ")\n mov 32(%" b "), %" b "\n"
#define CHAIN(b) \
	ONCE(once_##b##_chain, "mov %rsi, %" #b "\n .rept 36\n" STEP(#b) ".endr"); \
	SNIPPET(round_##b##_chain, "mov $36, %ecx\n mov %rsi, %" #b "\n 3:" STEP(#b) "sub $1, %ecx\n jnz 3b")
CHAIN(rbx); CHAIN(rbp); CHAIN(rsp); CHAIN(r11); CHAIN(r13);

/* A register that leads to two slots by turns, so often that ring3 looks into it, between two uses of what others lead
 * to: R10, which ring3 keeps in memory, and SI. */
#define BY_TURNS "xchg %rbx, %rdx\n add 8(%rbx), %r8\n"
#define OFTEN(name, before, behind) \
	SNIPPET(name, "mov $6000, %ecx\n xor %r8d, %r8d\n mov %rdi, %r10\n mov %rsi, %rbx\n" \
		"3:" before BY_TURNS behind "sub $1, %ecx\n jnz 3b")
OFTEN(often_one, "add 8(%rsi), %r8\n", "add 16(%rsi), %r8\n");
OFTEN(often_two, "add 8(%rsi), %r8\n add 8(%r10), %r8\n", "add 16(%rsi), %r8\n add 16(%r10), %r8\n");

/* R11, which ring3 keeps in memory, is written there from itself; what it was must not be what is read later. */
SNIPPET(twice_code, "mov %rdi, %r11\n cpuid\n add %r11, %r11\n" \
	".rept 10\n lea 1(%rax), %rax\n .endr\n mov %r11, %r8");

/* What would be constants, but ends in the low 32 bits: B is the low half of A + 0x20. */
#define SHORT(X, b, l) \
	X(b, add_short, "add $0x20, %" #l "\n") \
	X(b, sub_short, "sub $-0x20, %" #l "\n") \
	X(b, lea_short, "lea 0x20(%" #b "), %" #l "\n") \
	X(b, lea_67, "lea 0x20(%" #l "), %" #b "\n")
#define EACH_SHORT(X) SHORT(X, rbx, ebx) SHORT(X, r10, r10d) SHORT(X, r13, r13d) SHORT(X, rsp, esp)
EACH_SHORT(CODE)

/* n: what is added to A, 0: anything. */
struct way {
	const void *code[2];
	u64 n;
};
#define ROW(b, way, code, ...) { { once_##b##_##way, round_##b##_##way }, 0 },
#define ROW_N(b, way, code, n) { { once_##b##_##way, round_##b##_##way }, (u64)(n) },
#define INDEX_ROW(b) { { once_##b##_index, round_##b##_index }, 0 },
static const struct way any[] = {
	EACH(WAYS, ROW)
	ROW(rsp, mov, ) ROW(rsp, xchg, ) ROW(rsp, lea, ) ROW(rsp, cmov, ) ROW(rsp, pop, ) ROW(rsp, leave_other, )
	ROW(rax, cmpxchg, ) ROW(rdx, mul, )
	INDEX_ROW(rbx) INDEX_ROW(rbp) INDEX_ROW(r10) INDEX_ROW(r11) INDEX_ROW(r12) INDEX_ROW(r13) INDEX_ROW(r14)
	INDEX_ROW(r15) INDEX_ROW(rsp)
}, constant[] = {
	EACH(CONSTANTS, ROW_N)
	CONSTANTS(ROW_N, rsp)
	STACKS(ROW_N)
}, bases[] = {
	{ { once_fs, round_fs }, 0 }, { { once_fs_index, round_fs_index }, 0 },
}, bmi[] = {
	EACH(BMI, ROW)
}, halves[] = {
	EACH_SHORT(ROW)
}, chains[] = {
	ROW(rbx, chain, ) ROW(rbp, chain, ) ROW(rsp, chain, ) ROW(r11, chain, ) ROW(r13, chain, )
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A slot has two pages of its own, at the beginning and the end of each GiB: so who goes astray by some slots, and by
 * what ring3 leaves free between windows, meets the pages of another slot instead of nothing. */
static u64 pdpt[SLOTS][WORDS] __attribute__((aligned(4096))), pd[SLOTS][WORDS] __attribute__((aligned(4096))),
	pt[SLOTS][WORDS] __attribute__((aligned(4096))), first[SLOTS][WORDS] __attribute__((aligned(4096))),
	last[SLOTS][WORDS] __attribute__((aligned(4096)));

static u64 start_of(unsigned k)
{
	return (u64)(1 + k) << 40;
}

static void fill_slots(void)
{
	for (unsigned k = 0; k < SLOTS; k++) {
		for (unsigned j = 0; j < WORDS; j++) {
			first[k][j] = (u64)(1 + k) << 16 | j;
			last[k][j] = (u64)(101 + k) << 16 | j;
		}
		first[k][4] = start_of((k + 7) % SLOTS);
	}
}

static void make_slots(void)
{
	for (unsigned k = 0; k < SLOTS; k++) {
		pt[k][0] = (ul)first[k] | 7, pt[k][511] = (ul)last[k] | 7;
		pd[k][0] = pd[k][511] = (ul)pt[k] | 7;
		for (unsigned j = 0; j < WORDS; j++)
			pdpt[k][j] = (ul)pd[k] | 7;
		boot_pml4[2 + 2 * k] = boot_pml4[3 + 2 * k] = (ul)pdpt[k] | 7;
	}
}

static u64 word(u64 at)
{
	return *(volatile u64 *)at;
}

/* Windows for the first eight slots, one below the other on the host. */
SNIPPET(births_code, "3: mov (%rdi), %rax\n add %rsi, %rdi\n sub $1, %ecx\n jnz 3b");
static void births(void)
{
	WR_CR(3, RD_CR(3));
	prepare(births_code, 3);
	in.si = start_of(0), in.cx = 8;
	go();
}

/* The second time what is there already is used. */
static void from_to(const struct way *w, u64 a, u64 b)
{
	for (unsigned k = 0; k < 4; k++) {
		fill_slots();
		u64 of_a = word(a + 8) + word(a + 16);
		prepare(w->code[k / 2], 3);
		in.si = a, in.di = b, in.dx = b - a;
		go();
		CHECK("vol 1 3.3.4 an address by a register that was written to", t.vec == END && t.r.r8 == of_a &&
			t.r.r9 == word(b + 8) + word(b + 16) && word(b + 24) == of_a);
	}
}

static void pairs(const struct way *w, unsigned n)
{
	static const u8 pair[][2] = { { 0, 1 }, { 2, 0 }, { 3, 2 }, { 3, 5 }, { 0, 3 }, { 2, 9 }, { 11, 5 } };
	for (unsigned k = 0; k < n; k++) {
		stage = k;
		births();
		for (unsigned j = 0; j < COUNT(pair); j++)
			from_to(&w[k], start_of(pair[j][0]) + 0x100, start_of(pair[j][1]) + 0x300);
	}
}

/* Around the end of a slot, displacements lead out of it too, and one access lies on both sides. */
static void ends(void)
{
	static const int at[] = { 0, 8, 0x18, 0x808, -8, -12, -16, -0x48, -0x808 };
	for (unsigned k = 0; k < COUNT(constant); k++) {
		births();
		for (unsigned j = 0; j < COUNT(at); j++) {
			stage = k * 100 + j;
			u64 a = start_of(1 + j) + (u64)at[j];
			from_to(&constant[k], a, a + constant[k].n);
		}
	}
}

static void low_half(void)
{
	for (unsigned k = 0; k < COUNT(halves); k++) {
		stage = k;
		births();
		for (unsigned j = 0; j < 4; j++)
			from_to(&halves[k], start_of(j) + SPARE, SPARE + 0x20);
	}
}

static void chain(void)
{
	for (unsigned k = 0; k < 2 * COUNT(chains); k++) {
		u64 sum = 0;
		stage = k;
		fill_slots();
		prepare(chains[k / 2].code[k & 1], 3);
		in.si = start_of(3);
		go();
		for (unsigned j = 0, slot = 3; j < 3 * SLOTS; j++, slot = (slot + 7) % SLOTS) {
			sum += first[slot][1];
			if (j >= 2 * SLOTS)
				CHECK("vol 1 3.3.4 a write to each slot", first[slot][6] == sum);
		}
		CHECK("vol 1 3.3.4 more slots than there are windows", t.vec == END && t.r.r8 == sum);
	}
}

static void often(void)
{
	for (unsigned two = 0; two < 2; two++) {
		u64 a = start_of(1), b = start_of(4), c = start_of(2), once;
		stage = two;
		births();
		fill_slots();
		once = word(a + 8) + word(a + 16) + (two ? word(c + 8) + word(c + 16) : 0);
		prepare(two ? often_two : often_one, 3);
		in.si = a, in.dx = b, in.di = c;
		go();
		CHECK("vol 1 3.3.4 6000 times by turns", t.vec == END &&
			t.r.r8 == 6000 * once + 3000 * (word(a + 8) + word(b + 8)));
	}
}

static void twice(void)
{
	prepare(twice_code, 3);
	in.di = 0x123456789;
	go();
	CHECK("vol 2 ADD of a register to itself", t.vec == END && t.r.r8 == 0x2468acf12);
}

/* The register leads to an address that is not canonical, by the last 17 bits alone. */
static void hole(void)
{
	for (unsigned high = 1; high < 1u << 17; high <<= 1) {
		stage = high;
		for (unsigned k = 0; k < 2; k++) {
			prepare(k ? round_rbx_mov : once_rbx_mov, 3);
			in.si = start_of(1), in.di = start_of(1) + 0x40 + ((u64)high << 47), in.dx = in.di - in.si;
			go();
			CHECK("vol 1 3.3.7.1 not canonical", t.vec == GP &&
				t.r.r8 == word(start_of(1) + 8) + word(start_of(1) + 16));
		}
	}
}

void guest_main(void)
{
	u32 r[4];
	paging_on();
	make_slots();
	twice();
	often(); /* first: what ends at other places makes ring3 look at instructions otherwise from then on */
	pairs(any, COUNT(any));
	ends();
	low_half();
	chain();
	hole();
	cpuid(7, 0, r);
	if (r[1] >> 3 & r[1] >> 8 & 1)
		pairs(bmi, COUNT(bmi));
	if (r[1] & 1) {
		WR_CR(4, RD_CR(4) | 0x10000);
		pairs(bases, COUNT(bases));
	}
}
