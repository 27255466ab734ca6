// SPDX-License-Identifier: GPL-2.0-or-later
/* what: every exception that an instruction can raise, with its error code and frame, at CPL 0 and 3, in either
 * width */
#include "guest.h"

SNIPPET(div0, "xor %ecx,%ecx\n mov $5,%eax\n xor %edx,%edx\n div0_at: div %ecx");
SNIPPET(divo, "mov $1,%ecx\n mov $5,%eax\n mov $2,%edx\n divo_at: div %ecx");
SNIPPET(idivo, "mov $-1,%ecx\n mov $0x80000000,%eax\n mov $-1,%edx\n idivo_at: idiv %ecx");
SNIPPET(int3, "int3_at: int3");
SNIPPET(cd03, "int $3");
SNIPPET(intn, "int $0x41");
SNIPPET(ud2s, "ud2_at: ud2");
SNIPPET(lockud, "lockud_at: .byte 0xf0; mov %eax,%ebx");
SNIPPET(badop, "badop_at: .byte 0x0f,0x04");
SNIPPET(hlts, "hlts_at: hlt");
SNIPPET(clis, "clis_at: cli");
SNIPPET(ins, "mov $0x80,%dx\n ins_at: in %dx,%al");
SNIPPET(movcr, "movcr_at: mov %cr0,"
#ifdef __x86_64__
"%rax"
#else
"%eax"
#endif
);
SNIPPET(lmsws, "mov $1,%eax\n lmsws_at: lmsw %ax");
SNIPPET(long_insn, "long_at: .byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
SNIPPET(badseg, "mov $0x1f8,%eax\n badseg_at: mov %ax,%ds");
SNIPPET(beyond, "mov $0x7ff8,%eax\n beyond_at: mov %ax,%es");
SNIPPET(nullss, "xor %eax,%eax\n nullss_at: mov %ax,%ss");
SNIPPET(npds, "mov $0x58,%eax\n npds_at: mov %ax,%ds");
SNIPPET(npss, "mov $0x58,%eax\n npss_at: mov %ax,%ss");
SNIPPET(icebp, ".byte 0xf1\n icebp_next: nop");
SNIPPET(unaligned, "mov $unal,%edi\n mov $1,%eax\n unal_at: mov %eax,1(%"
#ifdef __x86_64__
"rdi)"
#else
"edi)"
#endif
);
SNIPPET(rdmsrs, "mov $0x10000123,%ecx\n rdmsrs_at: rdmsr");
SNIPPET(fl_dead, "mov $1,%eax\n cmp $1,%eax\n ud_zf: ud2");
SNIPPET(regs_kept, "regs_at: ud2");
#ifndef __x86_64__
SNIPPET(intos, "mov $0x7fffffff,%eax\n inc %eax\n into\n intos_next: nop");
SNIPPET(bounds, "mov $9,%eax\n bounds_at: bound %eax, bound_pair");
SNIPPET(aam0, "aam0_at: aam $0");
int bound_pair[2] = { 1, 5 };
#else
SNIPPET(noncanon, "mov $0x800000000000,%rax\n nc_at: mov (%rax),%ecx");
SNIPPET(noncanon_ss, "mov $0x800000000000,%rax\n mov %rax,%rbp\n ncs_at: mov (%rbp),%ecx");
SNIPPET(noncanon_push, "mov $0x800000000004,%rsp\n ncp_at: push %rax");
SNIPPET(noncanon_jmp, "mov $0x800000000000,%rax\n ncj_at: jmp *%rax");
SNIPPET(noncanon_ret, "mov $0x800000000000,%rax\n push %rax\n ncr_at: ret");
SNIPPET(noncanon_call, "mov $0x800000000000,%rax\n ncc_at: call *%rax");
SNIPPET(ud_into, "udi_at: .byte 0xce");
SNIPPET(ud_pusha, "udp_at: .byte 0x60");
SNIPPET(ud_aam, "uda_at: .byte 0xd4,0x0a");
#endif
char unal[64] __attribute__((aligned(64)));
extern char div0_at[], divo_at[], idivo_at[], int3_at[], ud2_at[], lockud_at[], badop_at[], hlts_at[], clis_at[],
	ins_at[], movcr_at[],
	lmsws_at[], long_at[], badseg_at[], beyond_at[], nullss_at[], npds_at[], npss_at[], icebp_next[], unal_at[],
		rdmsrs_at[], ud_zf[],
	regs_at[], intos_next[], bounds_at[], aam0_at[], nc_at[], ncs_at[], ncp_at[], ncj_at[], ncr_at[], ncc_at[],
		udi_at[], udp_at[], uda_at[];

/* The frame as the manual draws it: error code, IP, CS, FLAGS, and SP, SS where the privilege changed (or always,
 * 64-bit). */
static void frame(unsigned cpl, int fault)
{
#ifdef __x86_64__
	ul top = cpl ? (ul)stack0_top : t.r.sp & ~15ul;
	CHECK("vol 3 6.14.2 64-bit stack frame", t.entry_sp + 8 * t.has_err + 40 == top);
	CHECK("vol 3 6.14.2 SS:RSP pushed always", t.r.ss == in.ss);
	CHECK("vol 3 6.14.4 null SS after a privilege change", t.entry_ss == (cpl ? 0 : in.ss));
#else
	ul top = cpl ? (ul)stack0_top : t.r.sp;
	CHECK("vol 3 6.12.1 stack frame", t.entry_sp + 4 * t.has_err + (cpl ? 20 : 12) == top);
	CHECK("vol 3 6.12.1 SS pushed", t.r.ss == in.ss);
	CHECK("vol 3 6.12.1 SS of the TSS", t.entry_ss == KDS);
#endif
	CHECK("vol 3 6.12.1 CS", t.r.cs == in.cs && t.entry_cs == KCS);
	CHECK("vol 3 17.3.1.1 RF in the image", !(t.r.flags & RF) == !fault);
	CHECK("vol 3 6.12.1.3 TF, NT, RF, VM cleared", !(t.entry_flags & (TF | NT | RF | VM)));
}

static void expect(const void *code, unsigned cpl, unsigned vec, ul err, const void *at, int fault, int line)
{
	run(code, cpl);
	check("vol 3 6.15 vector", __FILE__, line, "vector", t.vec == vec);
	check("vol 3 6.13 error code", __FILE__, line, "error code", t.err == err);
	check("vol 3 6.5 saved IP", __FILE__, line, "IP", t.r.ip == (ul)at);
	frame(cpl, fault);
}
#define FAULT(code, cpl, vec, err, at) expect(code, cpl, vec, err, at, 1, __LINE__)
#define TRAP(code, cpl, vec, at) expect(code, cpl, vec, 0, at, 0, __LINE__)

static void at_cpl(unsigned cpl)
{
	FAULT(div0, cpl, DE, 0, div0_at);
	FAULT(divo, cpl, DE, 0, divo_at);
	FAULT(idivo, cpl, DE, 0, idivo_at);
	TRAP(int3, cpl, BP, int3_at + 1);
	TRAP(cd03, cpl, BP, cd03_end);
	TRAP(icebp, cpl, DB, icebp_next);
	FAULT(ud2s, cpl, UD, 0, ud2_at);
	FAULT(lockud, cpl, UD, 0, lockud_at);
	FAULT(badop, cpl, UD, 0, badop_at);
	FAULT(long_insn, cpl, GP, 0, long_at);
	FAULT(badseg, cpl, GP, 0x1f8, badseg_at);
	FAULT(beyond, cpl, GP, 0x7ff8, beyond_at);
	FAULT(fl_dead, cpl, UD, 0, ud_zf);
	CHECK("vol 3 6.5 flags of the instruction before", t.r.flags & ZF);
	set_desc(FREE, 0, 0xfffff, 0xc072 | (cpl ? 0x60 : 0)); /* writable data, not present */
	gdt[FREE >> 3] &= ~(0x80ull << 40);
	if (!cpl)
		gdt[FREE >> 3] &= ~(0x60ull << 40);
	FAULT(npds, cpl, NP, FREE, npds_at);
	prepare(regs_kept, cpl);
	in.ax = 1, in.cx = 2, in.dx = 3, in.bx = 4, in.bp = 5, in.si = 6, in.di = 7;
	in.flags |= CF | ZF | OFL | 0x80 | 0x10 | 4 | 0x400;
	go();
	CHECK("vol 3 6.5 registers kept", t.r.ax == 1 && t.r.cx == 2 && t.r.dx == 3 && t.r.bx == 4 && t.r.bp == 5 &&
		t.r.si == 6 && t.r.di == 7);
	CHECK("vol 3 6.12.1 flags pushed as they were", t.r.flags == (in.flags | RF));
	CHECK("vol 3 6.12.1 IF cleared by an interrupt gate", !(t.entry_flags & IF));
}

static void user_only(void)
{
	FAULT(intn, 3, GP, 0x41 * 8 + 2, intn);
	FAULT(hlts, 3, GP, 0, hlts_at);
	FAULT(clis, 3, GP, 0, clis_at);
	FAULT(ins, 3, GP, 0, ins_at);
	FAULT(movcr, 3, GP, 0, movcr_at);
	FAULT(lmsws, 3, GP, 0, lmsws_at);
	FAULT(nullss, 3, GP, 0, nullss_at);
	FAULT(rdmsrs, 3, GP, 0, rdmsrs_at);
	WR_CR(0, RD_CR(0) | 0x40000);
	prepare(unaligned, 3);
	in.flags |= ACF;
	go();
	CHECK("vol 3 6.15 #AC", t.vec == AC && t.err == 0 && t.has_err && t.r.ip == (ul)unal_at);
	run(unaligned, 3);
	CHECK("vol 3 2.3 EFLAGS.AC = 0: none", t.vec == END);
	prepare(unaligned, 0);
	in.flags |= ACF;
	go();
	CHECK("vol 3 6.15 #AC only at CPL 3", t.vec == END);
	WR_CR(0, RD_CR(0) & ~0x40000ul);
	prepare(unaligned, 3);
	in.flags |= ACF;
	go();
	CHECK("vol 3 2.5 CR0.AM = 0: none", t.vec == END);
}

static void gates(void)
{
	u64 saved[2];
	unsigned size = 2 * sizeof(ul);
	copy(saved, idt + 0x41 * size, size);
	TRAP(intn, 0, 0x41, intn_end);
	set_gate(0x41, stub_of(0x41), KCS, 0xef, 0);
	prepare(intn, 3);
	in.flags |= IF;
	go();
	CHECK("vol 3 6.12.1.3 trap gate keeps IF", t.vec == 0x41 && t.entry_flags & IF && t.r.flags & IF);
	set_gate(0x41, stub_of(0x41), KCS, 0x6e, 0);
	run(intn, 3);
	CHECK("vol 3 6.15 #NP gate not present", t.vec == NP && t.err == 0x41 * 8 + 2);
	set_gate(0x41, stub_of(0x41), 0, 0xee, 0);
	run(intn, 3);
	CHECK("vol 2 INT n: null selector in the gate, #GP(EXT)", t.vec == GP && t.err == 0);
	set_gate(0x41, stub_of(0x41), KDS, 0xee, 0);
	run(intn, 3);
	CHECK("vol 2 INT n: not a code segment", t.vec == GP && t.err == KDS);
	set_gate(0x41, stub_of(0x41), 0x2f0, 0xee, 0);
	run(intn, 3);
	CHECK("vol 2 INT n: selector beyond the GDT", t.vec == GP && t.err == 0x2f0);
	set_gate(0x41, stub_of(0x41), UCS, 0xee, 0);
	run(intn, 0);
	CHECK("vol 2 INT n: DPL > CPL", t.vec == GP && t.err == (UCS & ~3));
	gdt[FREE >> 3] = gdt[KCS >> 3] & ~(0x80ull << 40);
	set_gate(0x41, stub_of(0x41), FREE, 0xee, 0);
	run(intn, 3);
	CHECK("vol 2 INT n: code segment not present", t.vec == NP && t.err == FREE);
	set_gate(0x41, stub_of(0x41), KCS, 0xe0, 0);
	run(intn, 3);
	CHECK("vol 2 INT n: not a gate", t.vec == GP && t.err == 0x41 * 8 + 2);
	copy(idt + 0x41 * size, saved, size);
	struct { u16 limit; ul base; } __attribute__((packed)) r = { 0x41 * size - 1, (ul)idt };
	asm volatile("lidt %0" :: "m"(r));
	run(intn, 0);
	CHECK("vol 2 INT n: beyond the IDT's limit", t.vec == GP && t.err == 0x41 * 8 + 2);
	r.limit = (u16)(256 * size - 1);
	asm volatile("lidt %0" :: "m"(r));
	/* a fault whose gate is bad: EXT in the second error code (vol 3 6.13); and double faults (vol 3 table 6-5) */
	copy(saved, idt + UD * size, size);
	set_gate(UD, stub_of(UD), KCS, 0x0e, 0);
	run(ud2s, 3);
	CHECK("vol 3 6.13 EXT while delivering #UD", t.vec == NP && t.err == UD * 8 + 3 && t.r.ip == (ul)ud2_at);
	copy(idt + UD * size, saved, size);
	copy(saved, idt + GP * size, size);
	set_gate(GP, stub_of(GP), KCS, 0x0e, 0);
	run(hlts, 3);
	CHECK("vol 3 table 6-5 contributory on contributory: #DF(0)", t.vec == DF && t.err == 0 && t.has_err &&
		t.r.ip == (ul)hlts_at);
	copy(idt + GP * size, saved, size);
}

#ifdef __x86_64__
static void long_mode(void)
{
	FAULT(noncanon, 3, GP, 0, nc_at);
	FAULT(noncanon, 0, GP, 0, nc_at);
	FAULT(noncanon_ss, 3, SS, 0, ncs_at);
	FAULT(noncanon_push, 3, SS, 0, ncp_at);
	FAULT(noncanon_jmp, 3, GP, 0, ncj_at);
	FAULT(noncanon_ret, 3, GP, 0, ncr_at);
	CHECK("vol 2 RET: #GP before RSP moves", t.r.sp == in.sp - 8);
	FAULT(noncanon_call, 3, GP, 0, ncc_at);
	CHECK("vol 2 CALL: #GP before the push", t.r.sp == in.sp);
	FAULT(ud_into, 3, UD, 0, udi_at);
	FAULT(ud_pusha, 0, UD, 0, udp_at);
	FAULT(ud_aam, 0, UD, 0, uda_at);
	run(nullss, 0);
	CHECK("vol 2 MOV: null SS allowed at CPL < 3 in 64-bit mode", t.vec == END && t.r.ss == 0);
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 1);
	run(intn, 3);
	CHECK("vol 3 6.14.5 IST", t.vec == 0x41 && t.entry_sp + 40 == (ul)ist_top && t.r.ss == UDS);
	run(intn, 0);
	CHECK("vol 3 6.14.5 IST at CPL 0", t.vec == 0x41 && t.entry_sp + 40 == (ul)ist_top && t.r.ss == KDS &&
		t.entry_ss == KDS && t.r.sp == in.sp);
	set_gate(0x41, stub_of(0x41), KCS, 0x8e, 0);
	prepare(intn, 0);
	in.sp -= 3;
	go();
	CHECK("vol 3 6.14.2 RSP aligned to 16 before the pushes", t.entry_sp == (in.sp & ~15ul) - 40 && t.r.sp == in.sp);
	set_tss_sp0(0x800000000000);
	set_gate(DF, stub_of(DF), KCS, 0x8e, 1);
	run(intn, 3);
	CHECK("vol 3 6.14.2 non-canonical RSP0: #SS nests to #DF", t.vec == DF && t.err == 0);
	set_gate(DF, stub_of(DF), KCS, 0x8e, 0);
	set_tss_sp0((ul)stack0_top);
	set_gate(0x41, (void *)0x800000000000, KCS, 0xee, 0);
	run(intn, 3);
	CHECK("vol 2 INT n: non-canonical target, #GP(EXT)", t.vec == GP && t.err == 0);
	set_gate(0x41, stub_of(0x41), KCS32, 0xee, 0);
	run(intn, 3);
	CHECK("vol 3 6.14.1 gate to a 32-bit segment", t.vec == GP && t.err == KCS32);
	set_gate(0x41, stub_of(0x41), KCS, 0x8e, 0);
}
#else
static void legacy(void)
{
	TRAP(intos, 0, OF, intos_next);
	TRAP(intos, 3, OF, intos_next);
	FAULT(bounds, 3, BR, 0, bounds_at);
	FAULT(aam0, 3, DE, 0, aam0_at);
	FAULT(nullss, 0, GP, 0, nullss_at);
	set_desc(FREE, 0, 0xfffff, 0xc012);
	FAULT(npss, 0, SS, FREE, npss_at);
	/* 16-bit interrupt gate: 2-byte slots */
	set_desc(FREE, (u32)stub_of(0x41), 0xffff, 0x409a);
	set_gate(0x41, 0, FREE, 0xe6, 0);
	prepare(intn, 3);
	go();
	u16 *w = (u16 *)t.entry_sp;
	CHECK("vol 3 6.11, 21.19 16-bit gate: word frame", t.vec == 0x41 && t.entry_sp + 10 == (ul)stack0_top);
	CHECK("vol 3 6.11 16-bit gate: IP CS FLAGS SP SS", w[0] == (u16)(ul)intn_end && w[1] == UCS &&
		w[3] == (u16)in.sp && w[4] == UDS);
	set_gate(0x41, stub_of(0x41), KCS, 0x8e, 0);
}
#endif

void guest_main(void)
{
	at_cpl(0);
	at_cpl(3);
	user_only();
	gates();
#ifdef __x86_64__
	long_mode();
#else
	legacy();
#endif
}
