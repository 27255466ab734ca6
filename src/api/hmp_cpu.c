// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the human monitor's view of a CPU: registers, and what its page tables map
 *
 * Registers are written as QEMU does, because scripts read them. Page tables are read from memory, not from the TLBs,
 * and only as far as they can be written out.
 * Source: SDM vol 3 4.3 to 4.5 (paging structures).
 */
#include <inttypes.h>
#include <string.h>

#include "api/api_int.h"
#include "mmu/mmu.h"

#define ENTRIES_MAX 4096 /* lines of info tlb */
#define TABLES_MAX 65536 /* tables read; a hostile guest's can be 2^27 */
#define PTE_P 1u
#define PTE_W 2u
#define PTE_U 4u
#define PTE_PS 0x80u
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

static void put_seg(struct text *t, const char *name, const struct cpu_seg *s, bool wide)
{
	unsigned flags = (s->attr & 0xf0ffu) << 8;

	text_add(t, "%-3s=%04x ", name, s->sel);
	text_add(t, wide ? "%016" PRIx64 : "%08" PRIx64, s->base);
	text_add(t, " %08x %08x\r\n", s->limit, flags);
}

static void put_gprs(struct text *t, const struct cpu_state *s, bool wide)
{
	static const char names[16][4] = { "AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP", "8 ", "9 ", "10", "11", "12",
		"13", "14", "15" };
	static const uint8_t order[16] = { RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15 };

	for (unsigned i = 0; i < (wide ? 16u : 8u); i++) {
		const char *end = i % 4 == 3 ? "\r\n" : " ";

		if (wide)
			text_add(t, "R%s=%016" PRIx64 "%s", names[i], s->gpr[order[i]], end);
		else
			text_add(t, "E%s=%08x%s", names[i], (uint32_t)s->gpr[order[i]], end);
	}
}

static void put_flags(struct text *t, const struct cpu *cpu, bool wide)
{
	const struct cpu_state *s = &cpu->s;
	uint32_t f = (uint32_t)s->rflags;

	text_add(t, wide ? "RIP=%016" PRIx64 " RFL=" : "EIP=%08" PRIx64 " EFL=", s->rip);
	text_add(t, "%08x [%c%c%c%c%c%c%c] CPL=%d II=%d A20=%d SMM=0 HLT=%d\r\n", f, f & FL_DF ? 'D' : '-',
	         f & FL_OF ? 'O' : '-', f & FL_SF ? 'S' : '-', f & FL_ZF ? 'Z' : '-', f & FL_AF ? 'A' : '-',
	         f & FL_PF ? 'P' : '-', f & FL_CF ? 'C' : '-', s->cpl, s->int_shadow, mem_a20(cpu->mem), s->halted);
}

static void put_control(struct text *t, const struct cpu_state *s, bool wide)
{
	int w = wide ? 16 : 8;

	text_add(t, "GDT=     %0*" PRIx64 " %08x\r\nIDT=     %0*" PRIx64 " %08x\r\n", w, s->gdt_base, s->gdt_limit, w,
	         s->idt_base, s->idt_limit);
	text_add(t, "CR0=%08x CR2=%0*" PRIx64 " CR3=%0*" PRIx64 " CR4=%08x\r\n", (uint32_t)s->cr0, w, s->cr2, w, s->cr3,
	         (uint32_t)s->cr4);
	for (unsigned i = 0; i < 4; i++)
		text_add(t, "DR%u=%016" PRIx64 " ", i, s->dr[i]);
	text_add(t, "\r\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\r\nEFER=%016" PRIx64 "\r\n", s->dr[6], s->dr[7], s->efer);
}

/* cpu->fpu is an XSAVE area, in which parts that are as after reset may be missing: SDM vol 1 10.5.1, 13.6. */
static void legacy_area(const struct cpu *cpu, uint8_t x[512])
{
	uint64_t there = get_le64(cpu->fpu + 512);

	memcpy(x, cpu->fpu, 512);
	if (!(there & 1)) {
		memset(x, 0, 24);
		memset(x + 32, 0, 128);
		put_le16(x, 0x37f);
	}
	if (!(there & 2))
		memset(x + 160, 0, 256);
}

static void put_vectors(struct text *t, const struct cpu *cpu)
{
	uint8_t x[512];

	legacy_area(cpu, x);

	text_add(t, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\r\n", get_le16(x), get_le16(x + 2), x[3] >> 3 & 7, x[4],
	         get_le32(x + 24));
	for (unsigned i = 0; i < 8; i++)
		text_add(t, "FPR%u=%016" PRIx64 " %04x%s", i, get_le64(x + 32 + 16 * i), get_le16(x + 40 + 16 * i),
		         i % 2 ? "\r\n" : " ");
	for (unsigned i = 0; i < 16; i++)
		text_add(t, "XMM%02u=%016" PRIx64 " %016" PRIx64 "%s", i, get_le64(x + 168 + 16 * i),
		         get_le64(x + 160 + 16 * i), i % 2 ? "\r\n" : " ");
}

void hmp_registers(struct api *api, unsigned n, struct text *t)
{
	static const char segs[6][3] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	const struct cpu *cpu = pc_look(api->pc, n);
	bool wide;

	if (!cpu)
		return;
	wide = cpu_long_mode(cpu);
	text_add(t, "\r\nCPU#%u\r\n", n);
	put_gprs(t, &cpu->s, wide);
	put_flags(t, cpu, wide);
	for (unsigned i = 0; i < 6; i++)
		put_seg(t, segs[i], &cpu->s.seg[i], wide);
	put_seg(t, "LDT", &cpu->s.ldtr, wide);
	put_seg(t, "TR", &cpu->s.tr, wide);
	put_control(t, &cpu->s, wide);
	put_vectors(t, cpu);
	pc_look_end(api->pc);
}

/* Page tables */

struct walk {
	struct api *api;
	struct text *t;
	bool ranges;
	bool four, pae; /* levels; entries of eight bytes */
	bool pse;
	unsigned lines, tables;
	uint64_t start, end; /* of the range so far; end 0: none */
	unsigned rights;
};

static void put_rights(struct walk *w, unsigned r)
{
	text_add(w->t, " %c%c%c", r & PTE_U ? 'u' : '-', 'r', r & PTE_W ? 'w' : '-');
}

static void end_range(struct walk *w)
{
	if (w->end > w->start) {
		int width = w->four ? 16 : 8;

		text_add(w->t, "%0*" PRIx64 "-%0*" PRIx64 " %0*" PRIx64, width, w->start, width, w->end, width,
		         w->end - w->start);
		put_rights(w, w->rights);
		text_add(w->t, "\r\n");
		w->lines++;
	}
	w->end = 0;
}

static void leaf(struct walk *w, uint64_t gla, uint64_t size, uint64_t pte, unsigned rights)
{
	if (!w->ranges) {
		text_add(w->t, "%016" PRIx64 ": %016" PRIx64, gla, (uint64_t)(pte & PTE_ADDR & ~(size - 1)));
		put_rights(w, rights);
		text_add(w->t, "%s\r\n", pte & PTE_NX && w->pae ? " nx" : "");
		w->lines++;
		return;
	}
	if (!w->end || w->end != gla || w->rights != rights) {
		end_range(w);
		w->start = gla;
		w->rights = rights;
	}
	w->end = gla + size;
}

static uint64_t entry(const struct walk *w, const uint8_t *page, unsigned i)
{
	return w->pae ? get_le64(page + 8 * i) : get_le32(page + 4 * i);
}

/* level: 0 for page tables. */
static void walk_table(struct walk *w, uint64_t table, unsigned level, uint64_t gla, unsigned rights)
{
	unsigned bits = w->pae ? 9 : 10, n = level == 2 && !w->four ? 4 : 1u << bits, shift = 12 + level * bits;
	uint8_t page[4096];

	if (w->tables++ == TABLES_MAX)
		return;
	pc_read_memory(w->api->pc, table, page, sizeof(page));
	for (unsigned i = 0; i < n && w->lines < ENTRIES_MAX && w->tables < TABLES_MAX; i++) {
		uint64_t pte = entry(w, page, i), at = gla | (uint64_t)i << shift;
		bool pdpte = level == 2 && !w->four;
		unsigned r = pdpte ? rights : rights & (unsigned)pte;

		if (!(pte & PTE_P))
			continue;
		if (level == 3 && i >= 256)
			at |= 0xffff000000000000ull;
		if (!level || (level < 3 && !pdpte && pte & PTE_PS && (w->pae || w->pse)))
			leaf(w, at, 1ull << shift, pte, r);
		else
			walk_table(w, pte & (w->pae ? PTE_ADDR : 0xfffff000u), level - 1, at, r);
	}
}

void hmp_pages(struct api *api, unsigned n, bool ranges, struct text *t)
{
	const struct cpu *cpu = pc_look(api->pc, n);
	struct walk w = { .api = api, .t = t, .ranges = ranges };

	if (!cpu)
		return;
	w.four = cpu_long_mode(cpu);
	w.pae = w.four || cpu->s.cr4 & CR4_PAE;
	w.pse = cpu->s.cr4 & CR4_PSE;
	if (!(cpu->s.cr0 & CR0_PG))
		text_add(t, "PG disabled\r\n");
	else
		walk_table(&w, cpu->s.cr3 & (w.four ? PTE_ADDR : w.pae ? 0xffffffe0u : 0xfffff000u),
		           w.four ? 3 : w.pae ? 2 : 1, 0, PTE_U | PTE_W);
	end_range(&w);
	if (w.lines >= ENTRIES_MAX || w.tables >= TABLES_MAX)
		text_add(t, "(there is more)\r\n");
	pc_look_end(api->pc);
}
