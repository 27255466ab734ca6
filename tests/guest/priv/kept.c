// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a segment register is loaded with the same selector again, after what its descriptor depends on has changed
 *
 * ring3 knows the segment that a register was loaded with last (struct cpu_kept); a load reads the descriptor all the
 * same (vol 3 3.4.5), and finds what changed.
 */
#include "guest.h"

#define CR4_SMAP 0x200000
#define ACCESSED 0x100

static u8 memory[0x20000] __attribute__((aligned(65536)));
static u64 copies[2][512] __attribute__((aligned(4096)));
struct gdtr { u16 limit; ul base; } __attribute__((packed));
static u16 selector __attribute__((used));

/* Loads the segment, reads; does something; loads again and reads. AX, BP: selector and where it is too. */
#define TWICE(name, seg, load, change) \
	SNIPPET(name, load "\n movl %" seg ":(" BX "), %ecx\n" change "\n " #name "_at: " load \
		"\n movl %" seg ":(" BX "), %edx"); \
	extern char name##_at[];
#define BX WIDE "bx"
#define BP WIDE "bp"
#define BY_REG(seg) "mov %eax, %" seg
#define BY_MEM(seg) "movw (" BP "), %" seg
#define BY_POP(seg) "push " AX "\n pop %" seg
/* POP faults at the POP. */
#define POP2(name, seg, change) \
	SNIPPET(name, BY_POP(seg) "\n movl %" seg ":(" BX "), %ecx\n" change "\n push " AX "\n" #name "_at: pop %" seg \
		"\n movl %" seg ":(" BX "), %edx"); \
	extern char name##_at[];
#define CHANGES(X) \
	X(store, "movl %esi, (" DI ")") \
	X(lgdt, "lgdt (" DI ")") \
	X(remap, "mov " SI ", (" DI ")\n invlpg (" DX ")") \
	X(null, "push " AX "\n mov %esi, %eax\n mov %eax, %fs\n mov %eax, %gs\n mov %fs, %edi\n pop " AX)
#define ALL(change, code) \
	TWICE(fs_reg_##change, "fs", BY_REG("fs"), code) \
	TWICE(gs_mem_##change, "gs", BY_MEM("gs"), code) \
	POP2(fs_pop_##change, "fs", code)
CHANGES(ALL)
#ifndef __x86_64__
TWICE(es_reg_store, "es", BY_REG("es"), "movl %esi, (%edi)")
#endif
#define NAMES(change) { fs_reg_##change, fs_reg_##change##_at }, { gs_mem_##change, gs_mem_##change##_at }, \
	{ fs_pop_##change, fs_pop_##change##_at }
struct way { const char *code, *at; };
static const struct way storing[] = { NAMES(store) }, loading[] = { NAMES(lgdt) }, mapping[] = { NAMES(remap) },
	nulls[] = { NAMES(null) };
SNIPPET(keeps, "push " AX "\n popf\n mov %edx, %fs\n mov %edx, %gs\n mov %edx, %fs\n push " DX "\n pop %gs\n"
	"pushf\n pop " DX);
SNIPPET(user, "us_at: mov %eax, %fs");
/* With SMAP from here on; SUP_AC has the page of the descriptor. */
SNIPPET(implicit, "mov %eax, %fs\n mov %eax, %fs\n mov " SI ", %cr4\n stac\n movl (" BX "), %ecx\n"
	"im_at: mov %eax, %fs\n");
extern char us_at[], im_at[];

static void begin(const struct way *w)
{
	prepare(w->code, 0);
	in.ax = selector;
	in.bp = (ul)&selector;
	in.bx = 0x200;
}

#define FINE (t.vec == END)
#define FAULTS(v, e, w) (t.vec == (v) && t.err == (ul)(e) && t.r.ip == (ul)(w)->at)
enum { OLD = 0x11111111, NEW = 0x22222222 };

static void fresh(u64 *table)
{
	set_desc(FREE, (u32)(ul)memory, 0xffff, 0x4092);
	*(u32 *)(memory + 0x200) = OLD;
	*(u32 *)(memory + 0x1200) = NEW;
	copy(table, gdt, sizeof(gdt));
}

/* The descriptor's dword k becomes val. */
static void change(const struct way *w, unsigned k, u32 val)
{
	fresh(copies[0]);
	begin(w);
	in.di = (ul)(gdt + (FREE >> 3)) + 4 * k;
	in.si = val;
	go();
}

static void stores(const struct way *w)
{
	selector = FREE;
	fresh(copies[0]);
	u32 lo = (u32)gdt[FREE >> 3], hi = gdt[FREE >> 3] >> 32;
	change(w, 1, hi | ACCESSED);
	CHECK("vol 3 3.4.5 the same again", FINE && (u32)t.r.cx == OLD && (u32)t.r.dx == OLD && gdt[FREE >> 3] >> 40 & 1);
	change(w, 1, hi);
	CHECK("vol 3 3.4.5.1 accessed bit is set again", FINE && (u32)t.r.dx == OLD && gdt[FREE >> 3] >> 40 & 1);
	change(w, 0, lo + 0x10000000);
	CHECK("vol 3 3.4.5 another base", FINE && (u32)t.r.cx == OLD && (u32)t.r.dx == NEW);
	change(w, 1, (hi | ACCESSED) & ~0x8000u);
	CHECK("vol 3 5.6 not present any more", FAULTS(NP, FREE, w) && (u32)t.r.cx == OLD);
	change(w, 1, (hi | ACCESSED) & ~0x1000u);
	CHECK("vol 3 5.6 a system descriptor now", FAULTS(GP, FREE, w) && (u32)t.r.cx == OLD);
	change(w, 1, (hi & ~0x200u) | 0x800);
	CHECK("vol 3 5.5 execute-only code now", FAULTS(GP, FREE, w));
#ifndef __x86_64__
	change(w, 0, (lo & 0xffff0000) | 0x1ff);
	CHECK("vol 3 5.3 another limit", t.vec == GP && t.err == 0 && (u32)t.r.cx == OLD && t.r.ip > (ul)w->at);
#endif
}

static void tables(void)
{
	static struct gdtr other;
	struct gdtr mine;
	asm volatile("sgdt %0" : "=m"(mine));
	selector = FREE;
	for (unsigned k = 0; k < 3; k++) {
		const struct way *w = &loading[k];
		stage = k;
		fresh(copies[1]);
		copies[1][FREE >> 3] += 0x10000000;
		begin(w);
		in.di = (ul)&other;
		other = (struct gdtr){ mine.limit, (ul)copies[1] };
		go();
		CHECK("vol 3 3.5.1 another table", FINE && (u32)t.r.cx == OLD && (u32)t.r.dx == NEW);
		asm volatile("lgdt %0" :: "m"(mine));
		fresh(copies[1]);
		begin(w);
		in.di = (ul)&other;
		other = (struct gdtr){ FREE + 6, mine.base };
		go();
		CHECK("vol 3 5.3 beyond the table's limit now", FAULTS(GP, FREE, w) && (u32)t.r.cx == OLD);
		asm volatile("lgdt %0" :: "m"(mine));
		/* another page of memory behind the same address */
		fresh(copies[0]), fresh(copies[1]);
		copies[1][FREE >> 3] += 0x10000000;
		map(0, (ul)copies[0], 7);
		other = (struct gdtr){ mine.limit, (ul)WIN(0) };
		asm volatile("lgdt %0" :: "m"(other));
		begin(&mapping[k]);
		in.di = (ul)pte(0), in.si = (ul)copies[1] | 7, in.dx = (ul)WIN(0);
		go();
		CHECK("vol 3 4.10.4.1 the table's page is another one", FINE && (u32)t.r.cx == OLD && (u32)t.r.dx == NEW);
		asm volatile("lgdt %0" :: "m"(mine));
		for (unsigned rpl = 0; rpl < 4; rpl++) {
			fresh(copies[0]);
			begin(&nulls[k]);
			in.si = rpl;
			go();
			CHECK("vol 3 3.4.2 null between", FINE && (u32)t.r.cx == OLD && (u32)t.r.dx == OLD && (u16)t.r.di == rpl &&
				(u16)(k == 1 ? t.r.fs : t.r.gs) == rpl);
		}
		begin(&nulls[k]);
		in.si = FREE | 4;
		go();
		CHECK("vol 3 3.5.1 no LDT", t.vec == GP && t.err == (FREE | 4) && (u32)t.r.cx == OLD);
	}
}

static void others(void)
{
	fresh(copies[0]);
	prepare(keeps, 0);
	for (unsigned k = 0; k < 64; k++) {
		ul fl = 2 | (k & 1) | (k & 2) << 1 | (k & 4) << 2 | (k & 8) << 3 | (k & 16) << 3 | (k & 32) << 6;
		in.ax = stage = fl;
		in.dx = FREE;
		go();
		CHECK("vol 2 MOV, POP: no flags", FINE && t.r.dx == fl && t.r.flags == fl && (u16)t.r.fs == FREE);
	}
	prepare(user, 3);
	in.ax = FREE;
	go();
	CHECK("vol 3 5.5 what CPL 0 may load, CPL 3 may not", t.vec == GP && t.err == FREE && t.r.ip == (ul)us_at);
}

/* Descriptors from FREE on lie on a user's page. */
static void implicit_accesses(void)
{
	struct gdtr mine, split;
	u32 r[4];
	cpuid(7, 0, r);
	if (!(r[1] >> 20 & 1))
		return;
	asm volatile("sgdt %0" : "=m"(mine));
	ul cr4 = RD_CR(4);
	fresh(copies[1]);
	copy((u8 *)copies[0] + 4096 - FREE, gdt, FREE);
	copy(copies[1], &gdt[FREE >> 3], sizeof(gdt) - FREE);
	map(0, (ul)copies[0], 3), map(1, (ul)copies[1], 7);
	supervisor_pages(1);
	split = (struct gdtr){ mine.limit, (ul)WIN(1) - FREE };
	asm volatile("lgdt %0" :: "m"(split));
	prepare(implicit, 0);
	in.ax = FREE;
	in.bx = (ul)WIN(1);
	in.si = cr4 | CR4_SMAP;
	go();
	CHECK("vol 3 4.6 implicit accesses are held to SMAP whatever AC says", t.vec == PF && t.err == 1 &&
		t.r.ip == (ul)im_at && t.cr2 == (ul)WIN(1) && t.r.flags & ACF);
	asm volatile("lgdt %0" :: "m"(mine));
	WR_CR(4, cr4);
	supervisor_pages(0);
}

void guest_main(void)
{
	init_machine();
	for (unsigned paging = 0; paging < 2; paging++) {
		for (unsigned k = 0; k < 3; k++) {
			stage = k;
			stores(&storing[k]);
		}
#ifndef __x86_64__
		stores(&(struct way){ es_reg_store, es_reg_store_at });
#endif
		if (!paging)
			paging_on();
	}
	tables();
	others();
	implicit_accesses();
	finish();
}
