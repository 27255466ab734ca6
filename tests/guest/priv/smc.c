// SPDX-License-Identifier: GPL-2.0-or-later
/* what: self-modifying code: in the same block, across pages, through a second mapping, by DMA, by every kind of
 * store */
#include "guest.h"

#ifdef __x86_64__
#define PTR ".quad "
#define WORD "8"
#else
#define PTR ".long "
#define WORD "4"
#endif
/* Vol 3 11.6: a store to code is seen by the next instruction if both use the same linear address (P6 and later). */
#define PATCH(name, store)                                                                                   \
	SNIPPET(name, "mov $" #name "_m + 1, %edi\n" store "\n" #name "_m: mov $0x11111111, %eax\n .fill 16, 1, 0x90")

PATCH(by_mov, "movl $0x22222222, (" DI ")");
PATCH(by_mov8, "movb $0x22, (" DI ")");
PATCH(by_mov_far, "mov $0x22222222, %ecx\n nop\n nop\n nop\n nop\n mov %ecx, (" DI ")\n nop\n nop");
PATCH(by_stos, "mov $0x22222222, %eax\n stosl");
PATCH(by_rep, "mov $0x22, %eax\n mov $4, %ecx\n rep stosb");
PATCH(by_movs, "mov $words, %esi\n movsl");
PATCH(by_xchg, "mov $0x22222222, %ecx\n xchg %ecx, (" DI ")");
PATCH(by_cmpxchg, "mov $0x11111111, %eax\n mov $0x22222222, %ecx\n lock cmpxchg %ecx, (" DI ")");
PATCH(by_xadd, "mov $0x11111111, %ecx\n lock xadd %ecx, (" DI ")");
PATCH(by_add, "addl $0x11111111, (" DI ")");
PATCH(by_inc, "incb (" DI ")");
PATCH(by_setcc, "cmp %eax, %eax\n setz (" DI ")");
PATCH(by_push, "mov " SP ", " SI "\n lea 2*" WORD "(" DI "), " SP "\n push words+8\n push words\n mov " SI ", " SP);
PATCH(by_pop, "push words\n pop (" DI ")");
PATCH(by_sse, "movups words, %xmm0\n movups %xmm0, (" DI ")");
PATCH(by_movd, "movd words, %xmm0\n movd %xmm0, (" DI ")");
PATCH(by_fist, "fildl words\n fistpl (" DI ")");
PATCH(by_fst, "flds words\n fstps (" DI ")");
PATCH(by_sgdt_like, "fnstcw cw\n fldcw cw\n fnstcw (" DI ")");
PATCH(by_bts, "btsl $30, (" DI ")\n btsl $31, (" DI ")");
PATCH(by_shl, "shll $1, (" DI ")");
PATCH(by_cx8b, "mov $0x11111111,%eax\n mov 4(" DI "),%edx\n mov $0x22222222,%ebx\n mov %edx,%ecx\n"
	" lock cmpxchg8b (" DI ")");
asm(".data\n.balign 64\nwords: .long 0x22222222, 0x90909090, 0x90909090, 0x90909090, 0x90909090, 0x90909090\n"
	"cw: .short 0x37f\n.text");

/* The patched place lies before, in a loop that has run a few times: chained blocks must die. */
SNIPPET(loop_patch, "xor %edx, %edx\n mov $10, %ecx\n1: .byte 0x81, 0xc2\nlp_imm: .long 1\n cmp $5, %ecx\n jne 2f\n"
	" movl $100, lp_imm\n2: dec %ecx\n jnz 1b");
/* The loop's branch itself is patched to fall through. */
SNIPPET(loop_branch, "xor %edx, %edx\n1: inc %edx\n cmp $7, %edx\n jne 2f\n movb $0, lb_j + 1\n2:\nlb_j: jmp 1b\n nop");
#ifdef __x86_64__
SNIPPET(call_over, "mov %rsp, %rsi\n mov $co_at + 10, %esp\n call 1f\n1: mov %rsi, %rsp\nco_at: movabs $0, %rcx");
#else
SNIPPET(call_over, "mov %esp, %esi\n mov $co_at + 5, %esp\n call 1f\n1: mov %esi, %esp\nco_at: mov $0, %ecx");
#endif
extern char co_at[];
/* What is no instruction goes by bytes behind its first, too: 0F 04 00 becomes a NOP, 0F 1F 00. */
SNIPPET(undefined_patch, "mov $up_at + 1, %edi\n"
	" movb $0x1f, (" DI ")\nup_at: .byte 0x0f, 0x04, 0\n mov $0x22222222, %eax");

/* Writes through DI, another address of its own page; CPUID serializes (vol 3 8.1.3). */
SNIPPET(by_alias, "movb $0x55, (" DI ")\n xor %eax, %eax\n cpuid\nby_alias_m: mov $0x11111111, %eax");
SNIPPET(by_alias_loop, "mov $50, %esi\n1: incb (" DI ")\n xor %eax, %eax\n cpuid\nby_alias_l: mov $0, %eax\n"
	" dec %esi\n jnz 1b");
extern char by_alias_m[], by_alias_l[];

static u8 code[3 * 4096] __attribute__((aligned(4096)));
static u8 page_a[4096] __attribute__((aligned(4096))), page_b[4096] __attribute__((aligned(4096)));

static u8 *mov_eax(u8 *p, u32 v)
{
	*p++ = 0xb8;
	*(volatile u32 *)p = v;
	return p + 4;
}

static u8 *end(u8 *p)
{
	*p++ = 0xcd;
	*p++ = END;
	return p;
}

static void patches(void)
{
	static const struct { const char *name; char *code; u32 want; } list[] = {
#define ROW(name, want) { #name, name, want }
		ROW(by_mov, 0x22222222), ROW(by_mov8, 0x11111122), ROW(by_mov_far, 0x22222222), ROW(by_stos, 0x22222222),
		ROW(by_rep, 0x22222222), ROW(by_movs, 0x22222222), ROW(by_xchg, 0x22222222), ROW(by_cmpxchg, 0x22222222),
		ROW(by_xadd, 0x22222222), ROW(by_add, 0x22222222), ROW(by_inc, 0x11111112), ROW(by_setcc, 0x11111101),
		ROW(by_push, 0x22222222), ROW(by_pop, 0x22222222), ROW(by_sse, 0x22222222), ROW(by_movd, 0x22222222),
		ROW(by_fist, 0x22222222), ROW(by_fst, 0x22222222), ROW(by_sgdt_like, 0x1111037f), ROW(by_bts, 0xd1111111),
		ROW(by_shl, 0x22222222), ROW(by_cx8b, 0x22222222),
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		run(list[k].code, 0);
		check("vol 3 11.6 next instruction sees the store", __FILE__, __LINE__, list[k].name, t.vec == END &&
			(u32)t.r.ax == list[k].want);
	}
	run(loop_patch, 0);
	CHECK("vol 3 11.6 loop body patched", t.vec == END && t.r.dx == 6 + 400);
	run(loop_branch, 0);
	CHECK("vol 3 11.6 branch patched", t.vec == END && t.r.dx == 7);
	run(undefined_patch, 0);
	CHECK("vol 3 11.6 what was no instruction is one now", t.vec == END && (u32)t.r.ax == 0x22222222);
	run(call_over, 0);
	CHECK("vol 3 11.6 CALL's push over code that runs next", t.vec == END && t.r.cx == (ul)co_at - (sizeof(ul) == 8 ?
		3 : 2));
}

/* Code at any place of a two-page buffer, so that instructions and blocks cross the boundary. */
static void crossing(void)
{
	for (unsigned back = 1; back < 8; back++) {
		u8 *p = code + 4096 - back;
		end(mov_eax(p, 1));
		run(p, 0);
		CHECK("vol 3 11.6 instruction over two pages", t.vec == END && t.r.ax == 1);
		p[4] = 0x80; /* the immediate's top byte: on the second page if back < 5 */
		run(p, 0);
		CHECK("vol 3 11.6 second part changed", t.vec == END && t.r.ax == 0x80000001);
		p[1] = 0x77;
		run(p, 0);
		CHECK("vol 3 11.6 first part changed", t.vec == END && t.r.ax == 0x80000077);
	}
	/* code on page 1 rewrites what it will reach on page 2 */
	u8 *p = code + 4096 - 10;
	*p++ = 0xc6, *p++ = 0x05;      /* movb $9, disp32 (RIP-relative in 64-bit mode) */
#ifdef __x86_64__
	*(u32 *)p = (u32)((ul)code + 4097 - ((ul)p + 5));
#else
	*(u32 *)p = (u32)(ul)code + 4097;
#endif
	p[4] = 9;
	fill(p + 5, 0x90, 3);
	end(mov_eax(code + 4096, 1));
	run(code + 4096, 0);
	CHECK("vol 3 11.6 the page before it is patched", t.r.ax == 1);
	run(code + 4086, 0);
	CHECK("vol 3 11.6 patched from the page before", t.vec == END && t.r.ax == 9);
	run(code + 4086, 0);
	CHECK("vol 3 11.6 again", t.vec == END && t.r.ax == 9);
	/* a store over the page boundary, into code */
	static u8 over[8192] __attribute__((aligned(4096)));
	end(mov_eax(over + 4096, 5));
	run(over + 4096, 0);
	*(volatile u32 *)(over + 4094) = 0x33b89090;
	run(over + 4096, 0);
	CHECK("vol 3 11.6 a store that begins on the page before", t.vec == END && t.r.ax == 0x33);
}

/* Two linear pages of one physical page: writes through one are seen when running the other (after a serializing
 * instruction: go()'s IRET is one, vol 3 8.3). */
static void aliases(void)
{
	paging_on();
	end(mov_eax(page_a, 1));
	map(0, (ul)page_a, 7);
	map(1, (ul)page_a, 7);
	map(2, (ul)page_b, 7);
	for (unsigned k = 0; k < 4; k++) {
		u8 *w = k & 1 ? WIN(1) : WIN(0), *x = k & 1 ? WIN(0) : WIN(1);
		run(x, 0);
		*(volatile u8 *)(w + 1) = (u8)(0x40 + k);
		run(x, 0);
		CHECK("vol 3 11.6 alias", t.vec == END && t.r.ax == 0x40 + k);
		run(w, 3);
		CHECK("vol 3 11.6 both mappings", t.vec == END && t.r.ax == 0x40 + k);
		run(page_a, 3);
		CHECK("vol 3 11.6 large page too", t.vec == END && t.r.ax == 0x40 + k);
	}
	/* the same linear page, other memory */
	end(mov_eax(page_b, 2));
	for (unsigned k = 0; k < 6; k++) {
		map(0, (ul)(k & 1 ? page_b : page_a), 7);
		run(WIN(0), k % 3 ? 3 : 0);
		CHECK("vol 3 4.10.4.1 INVLPG and new code", t.vec == END && t.r.ax == (k & 1 ? 2 : 0x43));
	}
	/* an instruction whose second page changes */
	u8 *p = WIN(5) - 2;
	map(4, (ul)code, 7);
	map(5, (ul)page_a, 7);
	code[4094] = 0xb8, code[4095] = 0x10;
	fill(page_a, 0, 3), end(page_a + 3);
	fill(page_b, 0x55, 3), end(page_b + 3);
	run(p, 0);
	CHECK("two pages", t.vec == END && t.r.ax == 0x10);
	map(5, (ul)page_b, 7);
	run(p, 0);
	CHECK("vol 3 4.10.4.1 second page of an instruction remapped", t.vec == END && t.r.ax == 0x55555510);
	map(5, (ul)page_b, 0);
	run(p, 0);
	CHECK("vol 3 4.7 #PF at the second page, IP at the instruction", t.vec == PF && t.cr2 == (ul)WIN(5) &&
		t.r.ip == (ul)p && !(t.err & 1));
	map(5, (ul)page_b, 7);
	*pte(5) = 0;
	invlpg((ul)WIN(5));
	run(p, 3);
	CHECK("vol 3 4.7 the same at CPL 3", t.vec == PF && t.cr2 == (ul)WIN(5) && (t.err & 5) == 4);
}

/* Code that patches itself through an alias: two small pages, or a small and a large one, at either privilege. */
static void self_aliases(void)
{
	u8 *at[3] = { WIN(0), WIN(1), page_a };
	for (unsigned run_by = 0; run_by < 3; run_by++) {
		for (unsigned write_by = 0; write_by < 3; write_by++) {
			for (unsigned cpl = 0; cpl < 4; cpl += 3) {
				stage = run_by << 8 | write_by << 4 | cpl;
				map(0, (ul)page_a, 7), map(1, (ul)page_a, 7);
				copy(page_a, by_alias, (ul)(by_alias_end - by_alias) + 2);
				prepare(at[run_by], cpl);
				in.di = (ul)at[write_by] + (ul)(by_alias_m - by_alias) + 1;
				go();
				CHECK("vol 3 8.1.3 a store through an alias, CPUID, then the code", t.vec == END &&
					(u32)t.r.ax == 0x11111155);
				copy(page_a, by_alias_loop, (ul)(by_alias_loop_end - by_alias_loop) + 2);
				prepare(at[run_by], cpl);
				in.di = (ul)at[write_by] + (ul)(by_alias_l - by_alias_loop) + 1;
				go();
				CHECK("vol 3 8.1.3 again and again", t.vec == END && (u32)t.r.ax == 50);
			}
		}
	}
}

/* fw_cfg's DMA interface writes "QEMU" (its signature item) over the immediate. */
static void by_dma(void)
{
	static volatile struct { u32 control, length; u64 address; } __attribute__((packed, aligned(16))) cmd;
	static u8 dma_page[4096] __attribute__((aligned(4096)));
	end(mov_eax(dma_page, 1));
	run(dma_page, 0);
	CHECK("before DMA", t.vec == END && t.r.ax == 1);
	cmd.control = __builtin_bswap32(0 << 16 | 8 | 2); /* select item 0, read */
	cmd.length = __builtin_bswap32(4);
	cmd.address = __builtin_bswap64((ul)dma_page + 1);
	asm volatile("outl %0, %w1" :: "a"(0), "d"(0x514) : "memory");
	asm volatile("outl %0, %w1" :: "a"(__builtin_bswap32((u32)(ul)&cmd)), "d"(0x518) : "memory");
	for (unsigned k = 0; k < 1000000 && cmd.control & __builtin_bswap32(~1u); k++)
		;
	run(dma_page, 0);
	CHECK("code overwritten by DMA", t.vec == END && (u32)t.r.ax == 0x554d4551);
}

void guest_main(void)
{
	patches();
	crossing();
	by_dma();
	aliases();
	self_aliases();
}
