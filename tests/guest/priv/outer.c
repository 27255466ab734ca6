// SPDX-License-Identifier: GPL-2.0-or-later
/* what: IRET and far RET to an outer level: DS, ES, FS and GS that the level may not have, or that are null, are null
 * there, and no access goes by what they were (vol 2 IRET, RET; APM vol 3 IRET, RETF)
 *
 * Each way runs the same code first with segments that stay, so that it has been translated for them.
 */
#include "guest.h"

/* At CPL 0: AX to all four, then out by the frame on the stack. */
#define LOAD "mov %eax, %ds\n mov %eax, %es\n mov %eax, %fs\n mov %eax, %gs\n"
#ifdef __x86_64__
SNIPPET(by_iret, LOAD "iretq");
SNIPPET(by_lret, LOAD "lretq");
SNIPPET(gs_base, "mov $3, %eax\n mov %eax, %gs\n mov %eax, %fs\n mov $0xc0000101, %ecx\n mov $gs_data, %eax\n"
	"xor %edx, %edx\n wrmsr\n iretq");
SNIPPET(gs_read, "mov %gs:0, %rax\n mov %gs, %ecx\n mov %fs, %edx");
u64 gs_data = 0x0123456789abcdef;
#else
SNIPPET(by_iret, LOAD "iretl");
SNIPPET(by_lret, LOAD "lretl");
#endif
SNIPPET_BITS(use_ds, "32", "ud_at: movl (%ebx), %ecx");
SNIPPET_BITS(use_es, "32", "ue_at: movl %es:(%ebx), %ecx");
SNIPPET_BITS(use_fs, "32", "uf_at: movl %fs:(%ebx), %ecx");
SNIPPET_BITS(use_gs, "32", "ug_at: movl %gs:(%ebx), %ecx");
SNIPPET_BITS(write_ds, "32", "wd_at: movl %ecx, (%ebx)");
SNIPPET_BITS(string, "32", "st_at: movsl");
extern char ud_at[], ue_at[], uf_at[], ug_at[], wd_at[], st_at[];
static const struct { const char *code, *at; } uses[] = {
	{ use_ds, ud_at }, { use_es, ue_at }, { use_fs, uf_at }, { use_gs, ug_at }, { write_ds, wd_at }, { string, st_at },
};
#define USES (sizeof(uses) / sizeof(*uses))
static u32 word = 0x11223344;

enum { IRET, LRET };

/* From CPL 0 with segments sel to code at CPL 3. */
static void leave(unsigned how, const void *to, unsigned cs, unsigned sel)
{
	ul *f = (ul *)((ul)kstack_top - 256);
	unsigned n = 0;
	prepare(how == IRET ? by_iret : by_lret, 0);
	f[n++] = (ul)to;
	f[n++] = cs;
	if (how == IRET)
		f[n++] = 2;
	f[n++] = (ul)ustack_top - 256;
	f[n++] = UDS;
	in.ax = sel;
	in.bx = in.si = in.di = (ul)&word;
	go();
}

static int all_are(unsigned sel)
{
	return t.r.ds == sel && t.r.es == sel && t.r.fs == sel && t.r.gs == sel;
}

static void segments(unsigned how, unsigned sel, int stays)
{
	for (unsigned k = 0; k < USES; k++) {
		stage = how << 28 | sel << 8 | k;
		leave(how, uses[k].code, UCS32, UDS);
		CHECK("vol 2 IRET, RET: segments of the outer level stay", t.vec == END && all_are(UDS));
		leave(how, uses[k].code, UCS32, sel);
		if (stays) /* code: read-only */
			CHECK("vol 2 IRET, RET: conforming code stays, whatever its DPL", all_are(sel) &&
				(k < 4 ? t.vec == END : t.vec == GP && t.r.ip == (ul)uses[k].at));
		else
			CHECK("vol 2 IRET, RET: null, and an access by it is #GP(0)", t.vec == GP && t.err == 0 &&
				t.r.cs == UCS32 && t.r.ip == (ul)uses[k].at && all_are(0));
	}
}

#ifdef __x86_64__
/* The bases of FS and GS are the kernel's to set, null selector or not (vol 3 3.4.4). */
static void bases(void)
{
	ul *f = (ul *)((ul)kstack_top - 256);
	prepare(gs_base, 0);
	f[0] = (ul)gs_read, f[1] = UCS64, f[2] = 2, f[3] = (ul)ustack_top - 256, f[4] = UDS;
	go();
	CHECK("vol 3 3.4.4 a null GS keeps its base on the way out", t.vec == END && t.r.ax == gs_data);
	CHECK("vol 2 IRET: null selectors lose their RPL", t.r.cx == 0 && t.r.dx == 0);
}
#endif

void guest_main(void)
{
	set_desc(FREE, 0, 0xfffff, 0xc09f);     /* conforming code, readable, DPL 0 */
	set_desc(FREE + 8, 0, 0xfffff, 0xc09b); /* the same, not conforming */
	set_desc(FREE + 16, 0, 0xfffff, 0xc0b3); /* data, DPL 1 */
	for (unsigned how = IRET; how <= LRET; how++) {
		for (unsigned null = 0; null < 4; null++)
			segments(how, null, 0);
		segments(how, KDS, 0);
		segments(how, FREE, 1);
		segments(how, FREE + 8, 0);
		segments(how, FREE + 16, 0);
	}
#ifdef __x86_64__
	bases();
#endif
}
