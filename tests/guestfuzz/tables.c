// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a guest's descriptor tables, TSSs and page tables, and the CPU as its first instruction finds it
 *
 * What the handlers need to go on is right in nearly every guest; the rest has a random flaw now and then: a limit, a
 * page's rights, an entry that is noise.
 */
#include "guestfuzz.h"
#include "mmu/mmu.h"

const struct gmode_facts gmode_facts[M_COUNT] = {
	[M_REAL] = { "real", 16, 16, 0, .cs = 0 },
	[M_UNREAL] = { "unreal", 16, 16, 0, .cs = 0 },
	[M_PROT16] = { "prot16", 16, 16, 0, .cs = CS16, .kcs = KCS16 },
	[M_PROT32] = { "prot32", 32, 32, 0, .cs = CS32, .kcs = KCS32 },
	[M_PAGED32] = { "paged32", 32, 32, 0, .paged = true, .cs = CS32, .kcs = KCS32 },
	[M_PAE32] = { "pae32", 32, 32, 0, .paged = true, .pae = true, .cs = CS32, .kcs = KCS32 },
	[M_LONG64] = { "long64", 64, 64, 0, .paged = true, .pae = true, .lng = true, .cs = CS64, .kcs = CS64 },
	[M_COMPAT32] = { "compat32", 32, 64, 0, .paged = true, .pae = true, .lng = true, .cs = CS32, .kcs = CS64 },
	[M_COMPAT16] = { "compat16", 16, 64, 0, .paged = true, .pae = true, .lng = true, .cs = CS16, .kcs = CS64 },
	[M_V86] = { "v86", 16, 32, 3, .paged = true, .v86 = true, .cs = 0, .kcs = KCS32 },
	[M_USER16] = { "user16", 16, 16, 3, .cs = CS16U, .kcs = KCS16 },
	[M_USER32] = { "user32", 32, 32, 3, .paged = true, .cs = CS32U, .kcs = KCS32 },
	[M_USERPAE] = { "userpae", 32, 32, 3, .paged = true, .pae = true, .cs = CS32U, .kcs = KCS32 },
	[M_USER64] = { "user64", 64, 64, 3, .paged = true, .pae = true, .lng = true, .cs = CS64U, .kcs = CS64 },
	[M_USERCOMPAT] = { "usercompat", 32, 64, 3, .paged = true, .pae = true, .lng = true, .cs = CS32U, .kcs = CS64 },
};

static bool real(const struct guest *g)
{
	return !g->m->kcs;
}

/* attr: as struct cpu_seg has it; limit in bytes. */
static uint64_t descriptor(uint32_t base, uint32_t limit, uint16_t attr)
{
	uint64_t l = attr & SEGA_G ? limit >> 12 : limit & 0xfffff;

	return (l & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 | (l >> 16) << 48 |
		(uint64_t)(attr >> 12) << 52 | (uint64_t)(base >> 24) << 56;
}

static void put_desc(struct guest *g, uint16_t sel, uint64_t d)
{
	put_le64(g->ram + GDT + (sel & ~7u), d);
}

/* System descriptors have a second half in long mode. */
static void put_system(struct guest *g, uint16_t sel, uint32_t base, uint32_t limit, uint16_t attr)
{
	put_desc(g, sel, descriptor(base, limit, attr));
	if (g->m->lng)
		put_le64(g->ram + GDT + (sel & ~7u) + 8, 0);
}

static uint32_t data_limit(struct guest *g)
{
	static const uint32_t some[] = { 0xffffffff, 0xffffffff, 0x7fffffff, 0x6ffff, 0xffff, 0x1fff };

	return g->flat ? 0xffffffff : some[below(&g->r, ARRAY_LEN(some))];
}

static void put_code_and_data(struct guest *g)
{
	bool small = g->m->bits == 16;
	uint32_t cs = g->cs_base, cl = g->flat || chance(&g->r, 60) ? 0xffffffff : PROGRAM + REGION - 1 - cs;
	uint32_t ds = g->ds_base, dl = data_limit(g);

	put_desc(g, CS64, descriptor(0, 0xffffffff, 0xa09b));
	put_desc(g, CS32, descriptor(small ? 0 : cs, cl, 0xc09b));
	put_desc(g, CS16, descriptor(small ? cs : PROGRAM, 0xffff, 0x009b));
	put_desc(g, DS32, descriptor(ds, dl, 0xc093));
	put_desc(g, CS64U, descriptor(0, 0xffffffff, 0xa0fb));
	put_desc(g, CS32U, descriptor(small ? 0 : cs, cl, 0xc0fb));
	put_desc(g, CS16U, descriptor(small ? cs : PROGRAM, 0xffff, 0x00fb));
	put_desc(g, DS32U, descriptor(ds, dl, 0xc0f3));
	put_desc(g, DS16, descriptor(DATA, 0xffff, 0x0093));
	put_desc(g, DS16U, descriptor(DATA, 0xffff, 0x00f3));
	put_desc(g, DOWN, descriptor(ds, (uint32_t)rnd(&g->r) & 0x5ffff, 0xc0f7));
	put_desc(g, DOWN16, descriptor(DATA, below(&g->r, 0x10000), 0x00f7));
	put_desc(g, CONFORMING, descriptor(cs, 0xffffffff, small ? 0x009f : 0xc09f));
	put_desc(g, ABSENT, descriptor(0, 0xffffffff, 0xc013));
	put_desc(g, EXEC_ONLY, descriptor(cs, below(&g->r, REGION), small ? 0x00f9 : 0x40f9));
	put_desc(g, READ_ONLY, descriptor(ds, 0xffffffff, 0xc0f1));
	put_desc(g, KCS16, descriptor(STUBS, 0xffff, 0x009b));
	put_desc(g, KSS16, descriptor(STUBS, 0xffff, 0x0093));
	put_desc(g, KCS32, descriptor(0, 0xffffffff, 0xc09b));
	put_desc(g, KDS, descriptor(0, 0xffffffff, 0xc093));
}

static uint32_t block_ip(struct guest *g, unsigned k)
{
	return (uint32_t)(PROGRAM + g->alias + g->block[k % BLOCKS]) - g->cs_base;
}

/* SDM vol 3 figure 5-8, 64-bit: figure 5-9. Into the handlers, or into the program at CPL 0. */
static void put_gate(struct guest *g)
{
	uint32_t base = g->m->kbits == 16 ? STUBS : 0, to = STUBS + 32 * below(&g->r, 256) - base;
	unsigned type = g->m->kbits == 16 ? 0xe4 : 0xec;

	put_desc(g, GATE, (to & 0xffff) | (uint64_t)g->m->kcs << 16 | (uint64_t)below(&g->r, 4) << 32 |
		(uint64_t)type << 40 | (uint64_t)(to >> 16) << 48);
	if (g->m->lng)
		put_desc(g, GATE + 8, 0);
	put_desc(g, TASK_GATE, (uint64_t)TR_OTHER << 16 | (uint64_t)0xe5 << 40);
}

static void put_gdt(struct guest *g)
{
	uint16_t busy = g->m->lng || g->m->kbits == 32 || chance(&g->r, 70) ? 0x8b : 0x83;

	memset(g->ram + GDT, 0, GDT_ENTRIES * 8);
	for (unsigned k = DOWN16 / 8 + 1; k < GDT_ENTRIES; k++)
		put_desc(g, (uint16_t)(k * 8), chance(&g->r, 50) ? rnd(&g->r) :
			descriptor((uint32_t)rnd(&g->r) & 0x7ffff, (uint32_t)rnd(&g->r),
				   (uint16_t)((rnd(&g->r) & 0xf000) | 0x80 | below(&g->r, 128))));
	put_code_and_data(g);
	put_gate(g);
	put_system(g, TR, TSS, 0x68 + 0x2000, busy);
	put_system(g, LDTR, LDT, 0x7f, 0x82);
	if (g->m->lng)
		return;
	put_system(g, TR_FAULT, TSS_FAULT, 0x67, 0x89);
	put_system(g, TR_OLD, TSS_OLD, 0x2b, 0x81);
	put_system(g, TR_OTHER, TSS_OTHER, 0x67, 0xe9);
	for (unsigned k = 0; k < 16; k++)
		memcpy(g->ram + LDT + 8 * k, g->ram + GDT + 8 * below(&g->r, 32), 8);
}

/* SDM vol 3 figure 7-2 */
static void put_tss32(struct guest *g, uint32_t at, uint32_t eip, uint16_t cs, uint16_t ds)
{
	uint8_t *t = g->ram + at;

	memset(t, 0, 0x68);
	put_le32(t + 4, STACK0 - at % 0x1000);
	put_le16(t + 8, KDS);
	put_le32(t + 0x1c, TABLES);
	put_le32(t + 0x20, eip);
	put_le32(t + 0x24, (uint32_t)program_flags(g) & ~(FL_VM | FL_NT));
	for (unsigned k = 0; k < 8; k++)
		put_le32(t + 0x28 + 4 * k, k == RSP ? STACK0 - 0x800 : (uint32_t)program_value(g));
	for (unsigned n = 0; n < 6; n++)
		put_le16(t + 0x48 + 4 * n, n == SEG_CS ? cs : ds);
	put_le16(t + 0x60, chance(&g->r, 20) ? LDTR : 0);
	put_le16(t + 0x64, chance(&g->r, 10));
	put_le16(t + 0x66, 0x68);
}

/* SDM vol 3 figure 7-10 */
static void put_tss16(struct guest *g)
{
	uint8_t *t = g->ram + TSS_OLD;

	memset(t, 0, 0x2c);
	for (unsigned k = 0; k < 8; k++)
		put_le16(t + 0x12 + 2 * k, (uint16_t)program_value(g));
	put_le16(t + 0x0e, (uint16_t)block_ip(g, 3));
	put_le16(t + 0x10, 2);
	put_le16(t + 0x22, DS16);
	put_le16(t + 0x24, CS16);
	put_le16(t + 0x26, DS16);
	put_le16(t + 0x28, DS16);
}

/* Every stack that CPL 0 may find: of levels, of the interrupt stack table. */
static void put_main_tss(struct guest *g)
{
	uint8_t *t = g->ram + TSS;

	memset(t, 0, 0x68);
	for (unsigned k = 0; g->m->lng && k < 11; k++)
		put_le64(t + 4 + 8 * k, STACK0 - 0x800 * k);
	if (!g->m->lng && get_le64(g->ram + GDT + TR) >> 40 & 8) {
		put_le32(t + 4, g->m->kbits == 16 ? 0xe000 : STACK0);
		put_le16(t + 8, g->m->kbits == 16 ? KSS16 : KDS);
		put_le32(t + 0x1c, TABLES);
	} else if (!g->m->lng) {
		put_le16(t + 2, 0xe000);
		put_le16(t + 4, KSS16);
	}
	put_le16(t + 0x66, chance(&g->r, 90) ? 0x68 : (uint16_t)rnd(&g->r));
	for (unsigned k = 0; k < 0x2000; k++)
		t[0x68 + k] = chance(&g->r, 3) ? (uint8_t)rnd(&g->r) : 0;
	t[0x68 + 0x2000] = 0xff;
}

static void put_gate_of(struct guest *g, unsigned v)
{
	unsigned k = g->m->kbits, type = (k == 16 ? 0x86 : 0x8e) | (chance(&g->r, 30) ? 1 : 0);
	uint32_t to = STUBS + 32 * v - (k == 16 ? STUBS : 0);
	uint8_t *at = g->ram + IDT + v * (k == 64 ? 16 : 8);
	/* a fault whose stack is bad needs another stack */
	bool own = v == EXC_DF || v == EXC_NMI || chance(&g->r, 30);

	if (chance(&g->r, 60) || v == EXC_BP)
		type |= 0x60;
	if (chance(&g->r, 1) && v > EXC_PF)
		type = below(&g->r, 256);
	put_le64(at, (to & 0xffff) | (uint64_t)g->m->kcs << 16 | (uint64_t)type << 40 | (uint64_t)(to >> 16) << 48);
	if (k == 64) {
		at[4] = (uint8_t)(own ? 1 + v % 7 : 0);
		put_le64(at + 8, 0);
	} else if (v == EXC_DF || (v == EXC_NMI && g->flat)) {
		put_le64(at, (uint64_t)TR_FAULT << 16 | (uint64_t)0x85 << 40);
	}
}

static void put_vectors(struct guest *g)
{
	for (unsigned v = 0; v < 256 && real(g); v++) {
		put_le16(g->ram + 4 * v, (uint16_t)(32 * v));
		put_le16(g->ram + 4 * v + 2, STUBS >> 4);
	}
	for (unsigned v = 0; v < 256 && !real(g); v++)
		put_gate_of(g, v);
}

/* Page tables */

struct pages {
	struct guest *g;
	uint32_t free; /* the next page of TABLES */
};

/* The entry of table that is for la at this level (0: pages), SDM vol 3 4.3 to 4.5. */
static uint8_t *entry(struct guest *g, uint32_t table, unsigned level, uint64_t la)
{
	unsigned bits = g->m->pae ? 9 : 10, size = g->m->pae ? 8 : 4;
	uint64_t index = la >> (12 + bits * level) & ((1u << bits) - 1);

	if (g->m->pae && !g->m->lng && level == 2)
		index &= 3;
	return g->ram + table + index * size;
}

static void put_entry(struct guest *g, uint8_t *e, uint64_t v)
{
	if (g->m->pae)
		put_le64(e, v);
	else
		put_le32(e, (uint32_t)v);
}

/* pte at the level (0, or 1 for a large page) for la, tables made on the way. */
static void map(struct pages *p, uint64_t la, uint64_t pte, unsigned level)
{
	struct guest *g = p->g;
	uint32_t table = TABLES;

	for (unsigned l = g->m->lng ? 3 : g->m->pae ? 2 : 1; l > level; l--) {
		uint8_t *e = entry(g, table, l, la);

		if ((*e & 0x81) != 1) { /* nothing yet, or a large page that gives way */
			if (p->free >= TABLES + REGION)
				return;
			put_entry(g, e, p->free | (g->m->pae && !g->m->lng && l == 2 ? 1 : 7));
			p->free += 0x1000;
		}
		table = get_le32(e) & 0xfffff000;
		must(table >= TABLES && table < p->free);
	}
	put_entry(g, entry(g, table, level, la), pte);
}

/* Rights that mostly let the program run. */
static uint64_t rights(struct guest *g, uint32_t pa)
{
	bool user = g->m->cpl == 3 || chance(&g->r, 5);
	uint64_t e = pa | 3;

	if (pa < STUBS + 0x20000)
		return e | (chance(&g->r, 5) ? 0x160 : 0x20);
	e |= user ? 4 : 0;
	if (chance(&g->r, 30))
		e |= rnd(&g->r) & 0x178;
	if (pa >= DATA && chance(&g->r, 10))
		e ^= 1ull << below(&g->r, 3);
	if (pa >= DATA && g->m->pae && chance(&g->r, 30) && g->model->nx)
		e |= 1ull << 63;
	return e;
}

/* All of low memory once more, in one large page: true if that may be. */
static bool large_program(struct pages *p)
{
	struct guest *g = p->g;
	unsigned user = g->m->cpl == 3 ? 4 : 0;

	if (g->m->lng && g->model->page1g && !(g->alias & ((1u << 30) - 1)) && chance(&g->r, 70)) {
		map(p, g->alias, 0x83 | user, 2);
		return true;
	}
	if (g->alias & 0x3fffff || !chance(&g->r, 50))
		return false;
	map(p, g->alias, 0x83 | user, 1);
	if (g->m->pae)
		map(p, g->alias + 0x200000, 0x200083 | user, 1);
	return true;
}

static void put_pages(struct guest *g)
{
	static const uint32_t chips[] = { 0xfec00000, 0xfee00000, 0xffe00000, 0xffc00000, 0xe0000000, 0xf0000000,
		0xf1000000 };
	struct pages p = { g, TABLES + 0x1000 };
	bool alias_pages = g->alias;

	memset(g->ram + TABLES, 0, REGION);
	if (!g->m->paged)
		return;
	/* chips first: the program's other place may take one's address */
	for (unsigned k = 0; k < ARRAY_LEN(chips); k++)
		map(&p, chips[k], (chips[k] & (g->m->pae ? 0xffe00000 : 0xffc00000)) | 0x83 | (g->m->cpl == 3 ? 4 : 0), 1);
	if (g->alias && large_program(&p))
		alias_pages = false;
	for (uint32_t pa = 0; pa < GUEST_RAM; pa += 0x1000)
		map(&p, pa, rights(g, pa), 0);
	for (uint32_t pa = PROGRAM; alias_pages && pa < LISTS; pa += 0x1000)
		map(&p, g->alias + pa, rights(g, pa), 0);
	/* tables that map themselves */
	if (chance(&g->r, 50) && (g->m->lng || !g->m->pae))
		put_entry(g, g->ram + TABLES + (g->m->pae ? 0x1ed * 8 : 0x300 * 4), TABLES | 7);
	uint32_t from = g->m->pae && !g->m->lng ? TABLES + 0x1000 : TABLES; /* PDPTEs are judged when CR3 is loaded */
	for (unsigned n = chance(&g->r, 25) ? 1 + below(&g->r, 6) : 0; n > 0; n--)
		put_le64(g->ram + from + 8 * below(&g->r, (p.free - from) / 8), rnd(&g->r) >> below(&g->r, 64));
}

void tables_write(struct guest *g)
{
	put_gdt(g);
	put_main_tss(g);
	if (!g->m->lng) {
		put_tss32(g, TSS_FAULT, FAULT_ENTRY, KCS32, KDS);
		put_tss32(g, TSS_OTHER, block_ip(g, 1), g->m->bits == 16 ? CS16 : CS32, DS32);
		put_tss16(g);
	}
	put_vectors(g);
	put_pages(g);
}

/* The CPU */

static void set_control(struct guest *g, struct cpu_state *s)
{
	const struct gmode_facts *m = g->m;
	const struct { uint64_t bit; unsigned percent; } cr0[] = {
		{ CR0_WP, 50 }, { CR0_AM, 30 }, { CR0_NE, 60 }, { CR0_MP, 30 }, { CR0_TS, 8 }, { CR0_EM, 3 }, { CR0_CD, 5 },
	}, cr4[] = {
		{ CR4_OSFXSR | CR4_OSXMMEXCPT, 85 }, { CR4_OSXSAVE, 60 }, { CR4_FSGSBASE, 50 }, { CR4_SMEP, 25 },
		{ CR4_SMAP, 25 }, { CR4_PGE, 50 }, { CR4_UMIP, 15 }, { CR4_DE, 40 }, { CR4_TSD, 10 }, { CR4_PCE, 50 },
		{ CR4_PSE, 90 }, { CR4_PCIDE, m->lng ? 30 : 0 }, { CR4_MCE, 20 }, { CR4_PVI | CR4_VME, 30 },
	};

	s->cr0 = CR0_ET | (m->kcs ? CR0_PE : 0) | (m->paged ? CR0_PG : 0);
	for (unsigned k = 0; k < ARRAY_LEN(cr0); k++)
		s->cr0 |= chance(&g->r, cr0[k].percent) ? cr0[k].bit : 0;
	s->cr4 = m->pae ? CR4_PAE : 0;
	for (unsigned k = 0; k < ARRAY_LEN(cr4); k++)
		s->cr4 |= chance(&g->r, cr4[k].percent) ? cr4[k].bit : 0;
	s->cr4 = (s->cr4 & g->model->cr4_valid) | (m->pae ? CR4_PAE : 0);
	s->cr3 = TABLES;
	s->efer = m->lng ? EFER_LME | EFER_LMA : 0;
	s->efer |= (EFER_SCE | EFER_NXE) & g->model->efer_valid;
	s->xcr0 = chance(&g->r, 60) && g->model->xcr0_valid ? g->model->xcr0_valid : 1;
}

static void set_msrs(struct guest *g, struct cpu_state *s)
{
	s->lstar = s->cstar = chance(&g->r, 50) ? HOME : PROGRAM + g->block[below(&g->r, BLOCKS)];
	s->star = (uint64_t)CS64 << 32 | (uint64_t)CS32U << 48;
	s->fmask = chance(&g->r, 50) ? FL_TF | FL_IF | FL_AC | FL_NT : rnd(&g->r) & 0x3f7fd7;
	s->sysenter_cs = chance(&g->r, 90) ? CS64 : below(&g->r, 0x200);
	s->sysenter_eip = HOME;
	s->sysenter_esp = STACK0;
	s->kernel_gs_base = DATA + below(&g->r, REGION);
	s->tsc_aux = rnd(&g->r) & 0xff;
}

static void set_breakpoints(struct guest *g, struct cpu_state *s)
{
	if (!chance(&g->r, 15))
		return;
	for (unsigned k = 0; k < 4; k++)
		s->dr[k] = chance(&g->r, 50) ? PROGRAM + g->alias + g->block[below(&g->r, BLOCKS)] :
			DATA + below(&g->r, REGION);
	s->dr[7] = 0x400 | (rnd(&g->r) & 0xffff23ff);
}

static void set_home(struct guest *g, struct cpu *cpu)
{
	uint32_t kbase = g->m->kbits == 16 ? STUBS : 0;
	uint16_t code = (uint16_t)(0x9b | (g->m->kbits == 64 ? 0xa000 : g->m->kbits == 32 ? 0xc000 : 0));
	uint32_t unreal = g->mode == M_UNREAL ? 0xffffffff : 0xffff;

	for (unsigned n = 0; n < 6; n++) {
		if (real(g))
			cpu_set_seg(cpu, n, STUBS >> 4, STUBS, n == SEG_CS ? 0xffff : unreal, n == SEG_CS ? 0x9b : 0x93);
		else if (n == SEG_CS)
			cpu_set_seg(cpu, n, g->m->kcs, kbase, kbase ? 0xffff : 0xffffffff, code);
		else if (kbase)
			cpu_set_seg(cpu, n, KSS16, kbase, 0xffff, 0x93);
		else
			cpu_set_seg(cpu, n, KDS, 0, 0xffffffff, 0xc093);
	}
	cpu->s.rip = HOME - kbase;
	cpu->s.gpr[RSP] = kbase ? 0xe000 : STACK0;
}

void tables_set_cpu(struct guest *g, struct cpu *cpu)
{
	struct cpu_state *s = &cpu->s;

	cpu_reset(cpu, false);
	set_control(g, s);
	set_msrs(g, s);
	set_breakpoints(g, s);
	s->gdt_base = GDT;
	s->gdt_limit = GDT_ENTRIES * 8 - 1;
	s->idt_base = real(g) ? 0 : IDT;
	s->idt_limit = real(g) ? 0x3ff : g->m->kbits == 64 ? 0xfff : 0x7ff;
	s->tr = (struct cpu_seg){ TSS, 0x68 + 0x2000, TR, (uint16_t)(g->ram[GDT + TR + 5]) };
	s->ldtr = (struct cpu_seg){ LDT, 0x7f, LDTR, 0x82 };
	s->cpl = 0;
	s->rflags = FL_FIXED;
	set_home(g, cpu);
	cpu_derive(cpu);
	if (g->m->pae && !g->m->lng)
		must(mmu_load_pdptes(cpu, TABLES));
	cpu_derive(cpu);
}
