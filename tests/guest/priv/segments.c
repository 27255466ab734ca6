// SPDX-License-Identifier: GPL-2.0-or-later
/* what: protected mode's segments (32-bit guest): limits, types, loads, call gates, conforming code, far returns */
#include "guest.h"

#define SEL2 (FREE + 8)
#define SEL3 (FREE + 16)
#define SEL4 (FREE + 24)
SNIPPET(load_es, "le_at: mov %ax, %es");
SNIPPET(load_ds, "ld_at: mov %ax, %ds");
SNIPPET(load_ss, "ls_at: mov %ax, %ss");
SNIPPET(pop_fs, "push %eax\npf_at: pop %fs");
SNIPPET(les_in, "les_at: les (%ebx), %ecx");
SNIPPET(rd8, "r8_at: movb %es:(%edi), %al");
SNIPPET(rd32, "r32_at: movl %es:(%edi), %eax");
SNIPPET(wr32, "w32_at: movl %eax, %es:(%edi)");
SNIPPET(wr8, "w8_at: movb %al, %es:(%edi)");
SNIPPET(rd64, "r64_at: movq %es:(%edi), %mm0");
SNIPPET(rd128, "r128_at: movups %es:(%edi), %xmm0");
SNIPPET(rd80, "r80_at: fldt %es:(%edi)\n fstp %st(0)");
SNIPPET(rep_st, "rs_at: rep stosb");
SNIPPET(rep_mv, "rm_at: rep movsl");
SNIPPET(push_it, "pu_at: push %eax");
SNIPPET(pop_it, "po_at: pop %eax");
SNIPPET(push_many, ".rept 60\n pushl (%ebx)\n .endr");
SNIPPET(pop_many, ".rept 60\n popl (%ebx)\n .endr");
SNIPPET(push_low, "mov $0x55550000, %esp\n push %eax");
SNIPPET(pop_high, "mov $0x5555fffc, %esp\n pop %eax");
SNIPPET(pusha_it, "pa_at: pusha");
SNIPPET(call_it, "ca_at: call 1f\n1: nop");
SNIPPET(enter_it, "en_at: enter $8, $0");
SNIPPET(far_jmp, "fj_at: ljmp *(%ebx)");
SNIPPET(far_call, "fc_at: lcall *(%ebx)");
SNIPPET(far_ret, "fr_at: lret");
SNIPPET(iret_it, "ir_at: iret");
SNIPPET(null_rd, "nr_at: mov %fs:(%ebx), %eax");
SNIPPET(cs_wr, "cw_at: movb %al, %cs:(%ebx)");
SNIPPET(cs_rd, "cr_at: movb %cs:(%ebx), %al");
SNIPPET(lar_it, "lar %ax, %ecx");
SNIPPET(lsl_it, "lsl %ax, %ecx");
SNIPPET(verr_it, "verr %ax");
SNIPPET(verw_it, "verw %ax");
SNIPPET(arpl_it, "arpl %cx, %ax");
SNIPPET(lldt_it, "ll_at: lldt %ax");
SNIPPET(ltr_it, "lt_at: ltr %ax");
SNIPPET(wrap_add, "wa_at: mov 4(%ebx), %eax");
extern char le_at[], ld_at[], ls_at[], pf_at[], les_at[], r8_at[], r32_at[], w32_at[], w8_at[], r64_at[], r128_at[],
	r80_at[], rs_at[], rm_at[],
	pu_at[], po_at[], pa_at[], ca_at[], en_at[], fj_at[], fc_at[], fr_at[], ir_at[], nr_at[], cw_at[], cr_at[],
		ll_at[], lt_at[], wa_at[];
static u8 mem[0x20000] __attribute__((aligned(4096)));
static struct { u32 off; u16 sel; } __attribute__((packed)) far;

static void load(const void *code, unsigned cpl, unsigned sel)
{
	prepare(code, cpl);
	in.ax = sel;
	go();
}
#define FAULTS(v, e, at) (t.vec == (v) && t.err == (ul)(e) && t.r.ip == (ul)(at))
#define FINE (t.vec == END)

/* Which descriptors a data segment register takes (vol 2 MOV, 5.6). */
static void loads(void)
{
	for (unsigned type = 0; type < 32; type++) {
		for (unsigned dpl = 0; dpl < 4; dpl += 3) {
			for (unsigned cpl = 0; cpl < 4; cpl += 3) {
				for (unsigned rpl = 0; rpl < 4; rpl += 3) {
					int code = (type & 0x18) == 0x18, conforming = (type & 0x1c) == 0x1c, usable = type & 16 &&
						(!code || type & 2);
					int ok = usable && (conforming || (dpl >= cpl && dpl >= rpl));
					u32 limit = (type & 0xc) == 4 ? 0 : 0xfffff; /* expand-down: all but the first page */
					stage = type << 12 | dpl << 8 | cpl << 4 | rpl;
					set_desc(FREE, 0, limit, 0xc080 | dpl << 5 | type);
					load(load_es, cpl, FREE | rpl);
					CHECK("vol 3 5.5, 5.6 data segment loads", ok ? FINE && t.r.es == (FREE | rpl) :
						FAULTS(GP, FREE, le_at));
					if (FINE)
						CHECK("vol 3 3.4.5.1 accessed bit", gdt[FREE >> 3] >> 40 & 1);
					set_desc(FREE, 0, 0xfffff, 0xc000 | dpl << 5 | type);
					load(load_es, cpl, FREE | rpl);
					CHECK("vol 3 5.6 not present: after type and privilege", t.vec == (ul)(ok ? NP : GP) &&
						t.err == FREE);
					int data = (type & 0x1a) == 0x12, fits = data && dpl == cpl && rpl == cpl;
					set_desc(FREE, 0, limit, 0xc080 | dpl << 5 | type);
					load(load_ss, cpl, FREE | rpl);
					CHECK("vol 3 5.7 stack segment loads", fits ? FINE && t.r.ss == (FREE | rpl) :
						FAULTS(GP, FREE, ls_at));
					set_desc(FREE, 0, 0xfffff, 0xc000 | dpl << 5 | type);
					load(load_ss, cpl, FREE | rpl);
					CHECK("vol 3 5.7 stack not present", t.vec == (ul)(fits ? SS : GP) && t.err == FREE);
				}
			}
		}
	}
	load(load_ds, 3, 0);
	CHECK("vol 3 5.4.1 null into DS is no fault", FINE && t.r.ds == 0);
	load(load_ds, 3, 3);
	CHECK("vol 3 5.4.1 null with RPL", FINE && t.r.ds == 3);
	prepare(null_rd, 3);
	in.fs = 0;
	in.bx = (ul)mem;
	go();
	CHECK("vol 3 5.4.1 use of a null segment", FAULTS(GP, 0, nr_at));
	load(pop_fs, 0, 0x4);
	CHECK("vol 3 3.5.1 no LDT: LDT selectors fault", FAULTS(GP, 4, pf_at));
	CHECK("vol 2 POP: SP stays", t.r.sp == in.sp - 4);
	prepare(les_in, 0);
	far.off = 0x12345678, far.sel = UDS;
	in.bx = (ul)&far;
	go();
	CHECK("vol 2 LES", FINE && t.r.cx == 0x12345678 && t.r.es == UDS);
	far.sel = 0x1f8;
	prepare(les_in, 0);
	in.bx = (ul)&far;
	go();
	CHECK("vol 2 LES: register kept on a fault", FAULTS(GP, 0x1f8, les_at) && t.r.cx == 0);
}

static void access(const void *code, ul off, ul count)
{
	prepare(code, 0);
	in.es = in.ds = FREE;
	in.di = off;
	in.cx = count;
	in.si = 0;
	go();
}
static const struct { char *code; unsigned size, write; } accesses[] = {
	{ rd8, 1, 0 }, { rd32, 4, 0 }, { wr32, 4, 1 }, { wr8, 1, 1 }, { rd64, 8, 0 }, { rd128, 16, 0 }, { rd80, 10, 0 },
};

static void limit_at(u32 first, u32 last, const char *what)
{
	for (unsigned k = 0; k < sizeof(accesses) / sizeof(*accesses); k++) {
		for (int d = -17; d <= 17; d++) {
			for (unsigned low = 0; low < 2; low++) {
				u32 off = (low ? first : last) + (u32)d;
				u64 end = (u64)off + accesses[k].size - 1;
				int ok = off >= first && end <= last;
				if (end > 0xffffffff || (last == 0xffffffff && !low))
					continue;
				stage = off;
				access(accesses[k].code, off, 0);
				check("vol 3 5.3 limit", __FILE__, __LINE__, what, ok ? FINE : t.vec == GP && t.err == 0 &&
					t.r.ip == (ul)accesses[k].code);
			}
		}
	}
}

static void limits(void)
{
	set_desc(FREE, (u32)(ul)mem, 0x1234, 0x4092);
	limit_at(0, 0x1234, "bytes");
	set_desc(FREE, (u32)(ul)mem, 0xf, 0xc092);
	limit_at(0, 0xffff, "G");
	set_desc(FREE, (u32)(ul)mem - 0x10000, 0x1000, 0x0096);
	gdt[FREE >> 3] = 0;
	set_desc(FREE, (u32)(ul)mem, 0x1000, 0x0096);
	limit_at(0x1001, 0xffff, "expand-down, 16-bit");
	set_desc(FREE, (u32)(ul)mem, 0x1000, 0x4096);
	limit_at(0x1001, 0xffffffff, "expand-down, 32-bit");
	set_desc(FREE, (u32)(ul)mem, 0, 0x4092);
	limit_at(0, 0, "one byte");
	/* read-only and execute-only */
	set_desc(FREE, (u32)(ul)mem, 0xffff, 0x4090);
	access(wr8, 5, 0);
	CHECK("vol 3 5.5 write to read-only data", FAULTS(GP, 0, w8_at));
	access(rd8, 5, 0);
	CHECK("vol 3 5.5 read of read-only data", FINE);
	prepare(cs_wr, 0);
	in.bx = (ul)mem;
	go();
	CHECK("vol 3 5.5 write to code", FAULTS(GP, 0, cw_at));
	gdt[FREE >> 3] = 0x00cf98000000ffff;
	prepare(cs_rd, 0);
	in.cs = FREE;
	in.bx = (ul)mem;
	go();
	CHECK("vol 3 5.5 read of execute-only code", FAULTS(GP, 0, cr_at));
	/* strings stop at the limit, element by element */
	set_desc(FREE, (u32)(ul)mem, 0x1fff, 0x4092);
	access(rep_st, 0x1ff0, 32);
	CHECK("vol 2 REP: restartable at the limit", FAULTS(GP, 0, rs_at) && t.r.cx == 16 && t.r.di == 0x2000);
	access(rep_mv, 0x1ff2, 32);
	CHECK("vol 2 REP MOVS at the limit", FAULTS(GP, 0, rm_at) && t.r.cx == 29 && t.r.di == 0x1ffe && t.r.si == 12);
	/* the segment's base wraps at 4 GiB */
	set_desc(FREE, (u32)(ul)mem - 0x1000, 0xfffff, 0xc092);
	*(volatile u32 *)(mem + 8) = 0xabcd1234;
	prepare(rd32, 0);
	in.es = FREE;
	in.di = 0x1008;
	go();
	CHECK("vol 3 3.3 base plus offset", FINE && t.r.ax == 0xabcd1234);
	set_desc(FREE, 0xfffff000, 0xfffff, 0xc092);
	prepare(rd32, 0);
	in.es = FREE;
	in.di = (ul)mem + 0x1008;
	go();
	CHECK("vol 3 3.3 linear addresses wrap at 4 GiB", FINE && t.r.ax == 0xabcd1234);
}

static void stacks(void)
{
	set_desc(FREE, (u32)(ul)mem, 0xfff, 0x4092);
	static const struct { char *code; ul sp; int ok; } list[] = {
		{ push_it, 0x1000, 1 }, { push_it, 0x1004, 0 }, { push_it, 0x1002, 0 }, { push_it, 2, 0 },
			{ pop_it, 0xffc, 1 }, { pop_it, 0xffd, 0 },
		{ pusha_it, 0x100, 1 }, { pusha_it, 0x1004, 0 }, { call_it, 0x1004, 0 }, { call_it, 2, 0 },
			{ call_it, 0x1000, 1 },
		{ enter_it, 0x1000, 1 }, { enter_it, 0x1004, 0 },
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		/* at CPL 3, so that the exception's frame is elsewhere; a failing push must leave SP alone */
		set_desc(FREE, (u32)(ul)mem, 0xfff, 0x40f2);
		prepare(list[k].code, 3);
		in.ss = FREE | 3;
		in.sp = list[k].sp;
		stage = k;
		go();
		CHECK("vol 3 5.3 stack limit: #SS(0)", list[k].ok ? FINE : t.vec == SS && t.err == 0 &&
			t.r.ip == (ul)list[k].code && t.r.sp == list[k].sp);
	}
	/* a 16-bit stack: SP only, and it wraps (set here: IRET to a 16-bit stack leaves ESP's upper half) */
	set_desc(FREE, (u32)(ul)mem, 0xffff, 0x00f2);
	prepare(push_low, 3);
	in.ss = FREE | 3;
	in.ax = 0x11223344;
	go();
	CHECK("vol 1 6.2.3 SP wraps, the upper half stays", FINE && t.r.sp == 0x5555fffc &&
		*(volatile u32 *)(mem + 0xfffc) == 0x11223344);
	prepare(pop_high, 3);
	in.ss = FREE | 3;
	go();
	CHECK("vol 1 6.2.3 POP wraps", FINE && t.r.sp == 0x55550000 && t.r.ax == 0x11223344);
	prepare(push_it, 3);
	in.ss = FREE | 3;
	in.sp = 0x55550002;
	go();
	CHECK("vol 3 5.3 a push across the wrap", t.vec == SS && t.err == 0);
}

static void jump(const void *code, unsigned cpl, unsigned sel, u32 off)
{
	far.off = off;
	far.sel = (u16)sel;
	prepare(code, cpl);
	in.bx = (ul)&far;
	go();
}
SNIPPET(landed, "nop");
SNIPPET(from_gate, "mov (%esp), %eax\n mov 4(%esp), %ecx\n mov 8(%esp), %edx\n mov 12(%esp), %ebx\n"
	" mov 16(%esp), %esi\n mov 20(%esp), %edi\n mov %esp, %ebp");
SNIPPET(from_gate16, "mov (%esp), %eax\n mov 4(%esp), %ecx\n mov 8(%esp), %edx\n mov %esp, %ebp");
SNIPPET(ret_gate, "lret $8");
SNIPPET(call_ret, "push $0x1111\n push $0x2222\ncr_call: lcall *(%ebx)\ncr_back: nop");
extern char cr_call[], cr_back[];

static void gate(unsigned sel, const void *to, unsigned code, unsigned type, unsigned dpl, unsigned n)
{
	gdt[sel >> 3] = ((ul)to & 0xffff) | (u64)code << 16 | (u64)n << 32 | (u64)(0x80 | type | dpl << 5) << 40 |
		(u64)((ul)to >> 16) << 48;
}

static void far_transfers(void)
{
	/* direct: type, DPL, RPL, present, conforming */
	for (unsigned type = 0x10; type < 32; type++) {
		for (unsigned dpl = 0; dpl < 4; dpl += 3) {
			for (unsigned cpl = 0; cpl < 4; cpl += 3) {
				for (unsigned rpl = 0; rpl < 4; rpl += 3) {
					int code = type & 8, conf = (type & 12) == 12;
					int ok = code && (conf ? dpl <= cpl : dpl == cpl && rpl <= cpl);
					stage = type << 12 | dpl << 8 | cpl << 4 | rpl;
					set_desc(FREE, 0, 0xfffff, 0xc080 | dpl << 5 | type);
					jump(far_jmp, cpl, FREE | rpl, (u32)(ul)landed);
					CHECK("vol 3 5.8.1 far JMP to code", ok ? FINE && t.r.cs == (FREE | cpl) : FAULTS(GP, FREE, fj_at));
					set_desc(FREE, 0, 0xfffff, 0xc000 | dpl << 5 | type);
					jump(far_call, cpl, FREE | rpl, (u32)(ul)landed);
					CHECK("vol 3 5.8.1 far CALL, not present", t.vec == (ul)(ok ? NP : GP) && t.err == FREE &&
						t.r.sp == in.sp);
				}
			}
		}
	}
	jump(far_jmp, 0, 0, 0);
	CHECK("vol 2 JMP: null selector", FAULTS(GP, 0, fj_at));
	set_desc(FREE, 0, 0x100, 0x409a);
	jump(far_jmp, 0, FREE, 0x101);
	CHECK("vol 2 JMP: beyond the limit", FAULTS(GP, 0, fj_at));
	set_desc(FREE, (u32)(ul)landed, 0, 0x409a);
	jump(far_jmp, 0, FREE, 0);
	CHECK("vol 3 5.3 code limit: the second byte lies outside", t.vec == GP && t.err == 0 && t.r.cs == FREE &&
		t.r.ip == 1);
	/* call gates */
	gate(SEL2, from_gate, KCS, 0xc, 3, 3);
	jump(far_call, 3, SEL2 | 3, 0xdeadbeef);
	CHECK("vol 3 5.8.4, 5.8.5 inner call: stack of the TSS, CPL 0", FINE && t.r.cs == KCS &&
		t.r.bp == (ul)stack0_top - 28);
	CHECK("vol 3 5.8.5 return address and caller's CS", t.r.ax == (ul)far_call_end && t.r.cx == UCS32);
	prepare(far_call, 3);
	far.sel = SEL2 | 3;
	in.bx = (ul)&far;
	((volatile u32 *)in.sp)[0] = 0xa1, ((volatile u32 *)in.sp)[1] = 0xa2, ((volatile u32 *)in.sp)[2] = 0xa3;
	go();
	CHECK("vol 3 5.8.5 parameters copied in order", t.r.dx == 0xa1 && t.r.bx == 0xa2 && t.r.si == 0xa3 &&
		t.r.di == in.sp);
	gate(SEL2, ret_gate, KCS, 0xc, 3, 2);
	jump(call_ret, 3, SEL2 | 3, 0);
	CHECK("vol 3 5.8.6 return to the outer level drops parameters on both stacks", FINE && t.r.cs == UCS32 &&
		t.r.sp == in.sp && t.r.ss == UDS && t.r.ip == (ul)call_ret_end + 2);
	gate(SEL2, from_gate, KCS, 0xc, 3, 3);
	jump(far_call, 0, SEL2, 0);
	CHECK("vol 3 5.8.4 same level: no stack switch, no copy", FINE && t.r.ax == (ul)far_call_end && t.r.cx == KCS &&
		t.r.bp == in.sp - 8);
	gate(SEL2, from_gate16, KCS, 4, 3, 2);
	gate(SEL3, from_gate, KCS, 0xc, 2, 0);
	jump(far_call, 3, SEL3 | 3, 0);
	CHECK("vol 3 5.8.4 gate DPL < CPL", FAULTS(GP, SEL3, fc_at));
	gate(SEL3, from_gate, KCS, 0xc, 0, 0);
	jump(far_call, 0, SEL3 | 3, 0);
	CHECK("vol 3 5.8.4 gate DPL < RPL", FAULTS(GP, SEL3, fc_at));
	gate(SEL3, from_gate, UCS32, 0xc, 3, 0);
	jump(far_call, 0, SEL3, 0);
	CHECK("vol 3 5.8.4 target DPL > CPL", FAULTS(GP, UCS32 & ~3, fc_at));
	gate(SEL3, from_gate, KCS, 0xc, 3, 0);
	jump(far_jmp, 3, SEL3 | 3, 0);
	CHECK("vol 3 5.8.4 JMP does not change privilege", FAULTS(GP, KCS, fj_at));
	gdt[SEL3 >> 3] &= ~(0x80ull << 40);
	jump(far_call, 3, SEL3 | 3, 0);
	CHECK("vol 3 5.8.4 gate not present", FAULTS(NP, SEL3, fc_at));
	gate(SEL3, from_gate, 0, 0xc, 3, 0);
	jump(far_call, 3, SEL3 | 3, 0);
	CHECK("vol 3 5.8.4 null selector in the gate", FAULTS(GP, 0, fc_at));
	gate(SEL3, from_gate, KDS, 0xc, 3, 0);
	jump(far_call, 3, SEL3 | 3, 0);
	CHECK("vol 3 5.8.4 not code", FAULTS(GP, KDS, fc_at));
	gate(SEL3, from_gate, KCS, 0xc, 3, 0);
}

/* RETF and IRET to outer levels. The code runs at CPL 0 with a frame made here. */
static void ret_frame(const void *code, ul a, ul b, ul c, ul d, ul e)
{
	prepare(code, 0);
	ul *f = (ul *)in.sp;
	f[0] = a, f[1] = b, f[2] = c, f[3] = d, f[4] = e;
	go();
}

static void returns(void)
{
	ul sp3 = (ul)ustack_top - 512;
	ret_frame(far_ret, (ul)landed, UCS32, sp3, UDS, 0);
	CHECK("vol 3 5.8.6 RETF to CPL 3", FINE && t.r.cs == UCS32 && t.r.sp == sp3 && t.r.ss == UDS);
	CHECK("vol 3 5.8.6 segments of the inner level become null", t.r.ds == 0 && t.r.es == 0 && t.r.fs == 0 &&
		t.r.gs == 0);
	ret_frame(far_ret, (ul)landed, UCS32, sp3, KDS, 0);
	CHECK("vol 2 RET: bad outer SS", FAULTS(GP, KDS, fr_at));
	ret_frame(far_ret, (ul)landed, UCS32, sp3, 0, 0);
	CHECK("vol 2 RET: null outer SS", FAULTS(GP, 0, fr_at));
	ret_frame(far_ret, (ul)landed, 0, 0, 0, 0);
	CHECK("vol 2 RET: null CS", FAULTS(GP, 0, fr_at));
	ret_frame(far_ret, (ul)landed, KCS | 3, sp3, UDS, 0);
	CHECK("vol 2 RET: RPL and DPL differ", FAULTS(GP, KCS, fr_at));
	prepare(far_ret, 3);
	((ul *)in.sp)[0] = (ul)landed, ((ul *)in.sp)[1] = KCS;
	go();
	CHECK("vol 2 RET: RPL < CPL", FAULTS(GP, KCS, fr_at));
	set_desc(FREE, 0, 0xfffff, 0xc07a);
	ret_frame(far_ret, (ul)landed, FREE | 3, sp3, UDS, 0);
	CHECK("vol 2 RET: CS not present", FAULTS(NP, FREE, fr_at));
	set_desc(FREE, 0, 0xfffff, 0xc072);
	ret_frame(far_ret, (ul)landed, UCS32, sp3, FREE | 3, 0);
	CHECK("vol 2 RET: SS not present", FAULTS(SS, FREE, fr_at));
	for (unsigned iopl = 0; iopl < 4; iopl++) {
		ret_frame(iret_it, (ul)landed, UCS32, 2 | IF | iopl << 12 | NT | ACF | ID | CF, sp3, UDS);
		CHECK("vol 2 IRET at CPL 0 sets IOPL, IF, NT, AC, ID", FINE &&
			t.r.flags == (2 | IF | iopl << 12 | NT | ACF | ID | CF) && t.r.sp == sp3);
		prepare(iret_it, 3);
		in.flags |= iopl << 12;
		((ul *)in.sp)[0] = (ul)landed, ((ul *)in.sp)[1] = UCS32, ((ul *)in.sp)[2] = 2 | IF | (3 - iopl) << 12 | VIF |
			VIP;
		go();
		CHECK("vol 2 IRET at CPL 3: IOPL kept, IF by IOPL, VIF and VIP kept", FINE &&
			t.r.flags == (2 | (iopl == 3 ? IF : 0) | iopl << 12));
	}
	ret_frame(iret_it, (ul)landed, KCS, 2, 0, 0);
	CHECK("vol 2 IRET to the same level pops three", FINE && t.r.sp == in.sp + 12);
	ret_frame(iret_it, 0, 0x1f8, 2, 0, 0);
	CHECK("vol 2 IRET: selector beyond the GDT", FAULTS(GP, 0x1f8, ir_at));
	prepare(iret_it, 3);
	in.flags |= NT;
	go();
	CHECK("vol 2 IRET: NT with a null back link", t.vec == TS && t.r.ip == (ul)ir_at);
}

static void queries(void)
{
	for (unsigned type = 0; type < 32; type++) {
		for (unsigned dpl = 0; dpl < 4; dpl += 3) {
			for (unsigned rpl = 0; rpl < 4; rpl += 3) {
				static const u32 lar_ok = 0xffff1a3e, lsl_ok = 0xffff0a0e; /* vol 2 LAR, LSL: table of types */
				int conf = (type & 0x1c) == 0x1c, priv = conf || dpl >= rpl, zf;
				stage = type << 8 | dpl << 4 | rpl;
				set_desc(FREE, 0, 0x12345, 0x8080 | dpl << 5 | type);
				load(lar_it, 0, FREE | rpl);
				zf = priv && lar_ok >> type & 1;
				CHECK("vol 2 LAR", FINE && !(t.r.flags & ZF) == !zf &&
					(!zf || t.r.cx == (0x818000 | dpl << 13 | type << 8)));
				load(lsl_it, 0, FREE | rpl);
				zf = priv && lsl_ok >> type & 1;
				CHECK("vol 2 LSL", FINE && !(t.r.flags & ZF) == !zf && (!zf || t.r.cx == 0x12345fff));
				load(verr_it, 0, FREE | rpl);
				CHECK("vol 2 VERR", FINE && !(t.r.flags & ZF) == !(priv && type & 16 && (!(type & 8) || type & 2)));
				load(verw_it, 0, FREE | rpl);
				CHECK("vol 2 VERW", FINE && !(t.r.flags & ZF) == !(dpl >= rpl && (type & 0x1a) == 0x12));
			}
		}
	}
	prepare(arpl_it, 3);
	in.ax = 0x10, in.cx = 0x1b;
	go();
	CHECK("vol 2 ARPL", FINE && t.r.ax == 0x13 && t.r.flags & ZF);
	prepare(arpl_it, 3);
	in.ax = 0x13, in.cx = 0x12;
	go();
	CHECK("vol 2 ARPL: none", FINE && t.r.ax == 0x13 && !(t.r.flags & ZF));
	load(lldt_it, 3, 0);
	CHECK("vol 2 LLDT at CPL 3", FAULTS(GP, 0, ll_at));
	load(lldt_it, 0, KDS);
	CHECK("vol 2 LLDT: not an LDT", FAULTS(GP, KDS, ll_at));
	set_desc(FREE, (u32)(ul)mem, 15, 0x02);
	load(lldt_it, 0, FREE);
	CHECK("vol 2 LLDT: not present", FAULTS(NP, FREE, ll_at));
	set_desc(FREE, (u32)(ul)mem, 15, 0x82);
	((u64 *)mem)[1] = gdt[UDS >> 3];
	load(lldt_it, 0, FREE);
	CHECK("vol 2 LLDT", FINE);
	load(load_ds, 3, 0xf);
	CHECK("vol 3 3.5.1 segment from the LDT", FINE && t.r.ds == 0xf);
	load(load_ds, 3, 0x17);
	CHECK("vol 3 3.5.1 beyond the LDT", FAULTS(GP, 0x14, ld_at));
	load(lldt_it, 0, 0);
	CHECK("vol 2 LLDT: null", FINE);
	load(load_ds, 3, 0xf);
	CHECK("vol 2 LLDT: null, then use", FAULTS(GP, 0xc, ld_at));
	load(ltr_it, 0, TSS);
	CHECK("vol 2 LTR: busy TSS", FAULTS(GP, TSS, lt_at));
	load(ltr_it, 0, 0);
	CHECK("vol 2 LTR: null", FAULTS(GP, 0, lt_at));
}

/* Nothing but instructions of two operands, each with a limit: the translator once had no room for them. */
static void many_limits(void)
{
	set_desc(SEL2, 0x1000, 0xffffe, 0xc0f2);
	for (unsigned k = 0; k < 2; k++) {
		u32 word = 0x1234;
		prepare(k ? pop_many : push_many, 3);
		in.ds = in.ss = SEL2 | 3;
		in.sp -= 0x1000 + 60 * 4 * k;
		in.bx = (ul)&word - 0x1000;
		ul sp = in.sp;
		go();
		CHECK("vol 3 5.3 sixty stack accesses from memory within limits", t.vec == END &&
			t.r.sp == (k ? sp + 240 : sp - 240) && word == 0x1234);
	}
}

void guest_main(void)
{
	loads();
	limits();
	stacks();
	far_transfers();
	returns();
	many_limits();
	queries();
}
