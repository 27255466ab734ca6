// SPDX-License-Identifier: GPL-2.0-or-later
/* what: loads that windows of user memory (src/mmu/window.c) do not suit: large arrays of small pages walked with
 * strides at CPL 0 and 3, code and data in the upper half at CPL 3, devices among the data
 *
 * Every one once was a cliff: single steps, or windows mapped over and over. Each prints its ticks (TSC >> 10, hex), so
 * that modes can be compared; the test bounds the steps.
 */
#include "guest.h"

/* 112 MiB, in an order that lets no two pages be mapped as one. */
enum { ARRAY = 0x10000000, PAGES = 28672, FIRST = 0x2000000, TABLES = 0x1000000, ROUNDS = 1 };
enum { COPIES = 4096, COPY_SIZE = 64, COPIES_AT = FIRST + PAGES * 4096 };

/* SI to DI by BX, CX times. */
SNIPPET(stride, "1: mov " SI ", " DX "\n 2: incb (" DX ")\n add " WIDE "bx, " DX "\n cmp " DI ", " DX "\n jb 2b\n"
	"dec %ecx\n jnz 1b");
/* CX functions from DI on, COPY_SIZE apart, with data at SI. */
SNIPPET(calls, "1: call *" DI "\n add $64, " DI "\n dec %ecx\n jnz 1b");
asm(".pushsection .text\n copied: push " DX "\n mov (" SI "), " DX "\n add %edx, 8(" SI ")\n movl $7, 64(" SI ")\n"
	"mov -8(" SP "), " AX "\n add %eax, 128(" SI ")\n pop " DX "\n ret\n copied_end:\n .popsection");
extern u8 copied[], copied_end[];
/* CX accesses to a device's register at DI, each with some to memory at SI. */
SNIPPET(device, "1: mov (" DI "), %eax\n incl (" SI ")\n add %eax, 4(" SI ")\n dec %ecx\n jnz 1b");

static volatile u32 *const lapic = (u32 *)0xfee00000;
static void on_timer(void) { lapic[0xb0 / 4] = 0; }

static void timer_on(void)
{
	lapic[0xf0 / 4] = 0x1ff;
	outb(0x21, 0xff), outb(0xa1, 0xff);
	hook[0x50] = on_timer;
	lapic[0x3e0 / 4] = 0xb;
	lapic[0x320 / 4] = 0x50 | 1u << 17;
	lapic[0x380 / 4] = 1000000;
}

/* Neighbours in the array are 4097 pages apart in memory; 4097 has no factor in common with PAGES. */
static ul place(unsigned page)
{
	return FIRST + page * 4097ul % PAGES * 4096;
}

#ifdef __x86_64__
extern ul boot_pd[], boot_pml4[];
#define PDE(n) boot_pd[(ARRAY >> 21) + (n)]
#else
#define PDE(n) ((ul *)(RD_CR(3) & ~4095ul))[(ARRAY >> 22) + (n)]
#endif

static void map_array(void)
{
	ul *table = (ul *)TABLES;
	for (unsigned k = 0; k < PAGES; k++)
		table[k] = place(k) | 7;
	for (unsigned k = 0; k * 4096 < PAGES * sizeof(ul); k++)
		PDE(k) = (TABLES + k * 4096) | 7;
	WR_CR(3, RD_CR(3));
}

/* Another address space with the same pages: what was learned of the last one is no use. */
static void fresh(void)
{
	static ul roots[2][4096 / sizeof(ul)] __attribute__((aligned(4096)));
	static unsigned which;
	ul *to = roots[which++ % 2];
	copy(to, (void *)(RD_CR(3) & ~4095ul), 4096);
	WR_CR(3, to);
}

static void tell(const char *what, u64 from)
{
	say(what);
	say(": ");
	hex((ul)((__builtin_ia32_rdtsc() - from) >> 10));
	say("\n");
}

static void user(const void *code, unsigned cpl, ul high)
{
	prepare((const u8 *)code + high, cpl);
	in.sp += high;
	in.flags |= IF;
}

static void strides(const char *what, unsigned cpl, ul high, ul size)
{
	static const ul by[] = { 251, 509, 1021, 2039, 4093, 8191 };
	u64 from = __builtin_ia32_rdtsc();
	fresh();
	for (unsigned n = 0; n < ROUNDS; n++) {
		for (unsigned k = 0; k < 6; k++) {
			user(stride, cpl, high);
			in.si = ARRAY + high, in.di = ARRAY + size + high, in.bx = by[k], in.cx = 1 + PAGES * 4096ul / size;
			go();
			CHECK("a walk ends", t.vec == END);
		}
	}
	tell(what, from);
}

static void functions(const char *what, unsigned cpl, ul high)
{
	fresh();
	u64 from = __builtin_ia32_rdtsc();
	for (unsigned k = 0; k < COPIES; k++)
		copy((u8 *)COPIES_AT + k * COPY_SIZE, copied, (ul)(copied_end - copied));
	for (unsigned n = 0; n < 100; n++) {
		user(calls, cpl, high);
		in.si = ARRAY + high, in.di = COPIES_AT + high, in.cx = COPIES;
		go();
		CHECK("functions return", t.vec == END);
	}
	tell(what, from);
}

static void devices(const char *what, unsigned cpl)
{
	fresh();
	u64 from = __builtin_ia32_rdtsc();
	for (unsigned n = 0; n < 100; n++) {
		user(device, cpl, 0);
		in.si = ARRAY, in.di = 0xfee00030, in.cx = 1000;
		go();
		CHECK("a device is read", t.vec == END);
	}
	tell(what, from);
}

static void lower_half(unsigned cpl)
{
	strides(cpl ? "walk, CPL 3" : "walk, CPL 0", cpl, 0, PAGES * 4096ul);
	strides(cpl ? "small walk, CPL 3" : "small walk, CPL 0", cpl, 0, 4 << 20);
	functions(cpl ? "functions, CPL 3" : "functions, CPL 0", cpl, 0);
	devices(cpl ? "device, CPL 3" : "device, CPL 0", cpl);
}

void guest_main(void)
{
	paging_on();
	map_array();
#ifdef __x86_64__
	const ul high = 0xffffff8000000000;
	boot_pml4[511] = boot_pml4[0];
#endif
	timer_on();
	lower_half(0);
	lower_half(3);
#ifdef __x86_64__
	strides("walk, upper half", 3, high, PAGES * 4096ul);
	strides("small walk, upper half", 3, high, 4 << 20);
	functions("functions, upper half", 3, high);
#endif
}
