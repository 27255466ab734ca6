/* SPDX-License-Identifier: GPL-2.0-or-later */
/* what: what the privileged-semantics guests share: run a snippet of code in any mode, look at the trap it ends in
 *
 * A snippet runs from a state given in `in`; it ends in an exception or in INT 0x40, which SNIPPET puts behind it.
 * The stub of the vector copies the whole state and the frame as pushed to `t` and returns from go().
 * The same sources make 32-bit and 64-bit guests; selectors are the same in both.
 */
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned long ul;

enum {
	KCS = 0x08, KDS = 0x10, UCS32 = 0x1b, UDS = 0x23, UCS64 = 0x2b, TSS = 0x30, KCS32 = 0x40, LDT = 0x48, FREE = 0x58,
	DE = 0, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM,
	END = 0x40,
	CF = 1, ZF = 0x40, TF = 0x100, IF = 0x200, OFL = 0x800, NT = 0x4000, RF = 0x10000, VM = 0x20000, ACF = 0x40000,
		VIF = 0x80000,
	VIP = 0x100000, ID = 0x200000, IOPL3 = 0x3000
};
#ifdef __x86_64__
#define UCS UCS64
#else
#define UCS UCS32
#endif

struct regs {
	ul ax, cx, dx, bx, sp, bp, si, di, ip, cs, flags, ss, ds, es, fs, gs;
#ifdef __x86_64__
	ul r8, r9, r10, r11;
#endif
};
struct trap {
	ul vec, entry_sp;   /* stack pointer behind the stub's push of the vector */
	struct regs r;      /* sp and ss: of the interrupted code if they were pushed, else as the frame lay */
	ul err, has_err, cr2, dr6;
	ul entry_cs, entry_ss, entry_flags, entry_ds;
	ul raw[16];         /* the frame from the error code on */
};
extern struct regs in;
extern struct trap t;
extern volatile ul stage;        /* for snippets and hooks */
extern u64 gdt[64];
extern u8 idt[256 * 16];
extern u8 tss[0x2100];
extern u8 kstack_top[], ustack_top[], stack0_top[], ist_top[];
extern void (*hook[256])(void); /* runs at the stub instead of ending the snippet; returns by IRET */
extern char stubs[], bare_iret[];

/* Code that go() may run. Its label is global; NAME_end is where INT 0x40 lies. */
#define SNIPPET_BITS(name, bits, code)                                                                       \
	extern char name[], name##_end[];                                                                    \
	asm(".pushsection .text.snip\n.code" bits "\n.globl " #name "\n.balign 16\n" #name ":\n" code "\n" #name \
	    "_end: int $0x40\n.code" NATIVE "\n.popsection\n")
#ifdef __x86_64__
#define NATIVE "64"
#define WIDE "%r"
#else
#define NATIVE "32"
#define WIDE "%e"
#endif
/* Registers as wide as the mode's addresses, for the code of snippets. */
#define AX WIDE "ax"
#define DX WIDE "dx"
#define SP WIDE "sp"
#define SI WIDE "si"
#define DI WIDE "di"
#define SNIPPET(name, code) SNIPPET_BITS(name, NATIVE, code)

void init_machine(void);
void prepare(const void *ip, unsigned cpl); /* `in` to sane values */
void go(void);                                     /* runs `in`; fills t */
void run(const void *ip, unsigned cpl);
void check(const char *sdm, const char *file, int line, const char *expr, int ok);
void finish(void) __attribute__((noreturn));
void say(const char *s);
void hex(ul v);
void set_desc(unsigned sel, u32 base, u32 limit, u32 flags); /* flags: access byte | G/B/L/AVL << 8 (0xc0 00) */
void set_gate(unsigned vec, const void *to, unsigned sel, unsigned type, unsigned ist);
void *stub_of(unsigned vec);
void set_tss_sp0(ul sp);
void guest_main(void);
void copy(void *to, const void *from, ul n);
void fill(void *to, int v, ul n);
/* Paging: all of memory mapped to itself with large pages (user, writable); 4 KiB pages in the window. */
#define WINDOW 0xc0000000ul
void paging_on(void);
void map(unsigned n, ul phys, u64 flags); /* page n of the window; flushes it */
ul *pte(unsigned n);
void supervisor_pages(int on); /* all but the window */
#define WIN(n) ((u8 *)WINDOW + (n) * 4096ul)
void invlpg(ul at);
#define CHECK(sdm, cond) check(sdm, __FILE__, __LINE__, #cond, !!(cond))

static inline void outb(u16 p, u8 v) { asm volatile("outb %0, %1" :: "a"(v), "Nd"(p)); }
static inline u8 inb(u16 p) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline u64 rdmsr(u32 n) { u32 a, d; asm volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n)); return (u64)d << 32 | a; }
static inline void wrmsr(u32 n, u64 v) { asm volatile("wrmsr" :: "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }
#define RD_CR(n) ({ ul v_; asm volatile("mov %%cr" #n ", %0" : "=r"(v_) :: "memory"); v_; })
#define WR_CR(n, v) asm volatile("mov %0, %%cr" #n :: "r"((ul)(v)) : "memory")
#define RD_DR(n) ({ ul v_; asm volatile("mov %%db" #n ", %0" : "=r"(v_)); v_; })
#define WR_DR(n, v) asm volatile("mov %0, %%db" #n :: "r"((ul)(v)))
static inline void cpuid(u32 l, u32 s, u32 r[4])
{
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(l), "c"(s));
}

#endif
