// SPDX-License-Identifier: GPL-2.0-or-later
/* what: all four privilege levels (32-bit guest): 16-bit call gates with parameters, bad inner stacks, conforming
 * code, flags and I/O at each CPL and IOPL */
#include "guest.h"

/* Code and stack of each level; the harness's own at 0 and 3. */
static const u16 code_of[4] = { KCS, 0x100 | 1, 0x110 | 2, UCS32 }, data_of[4] = { KDS, 0x108 | 1, 0x118 | 2, UDS };
#define GATE 0x120
#define TARGET 0x128
#define CODE16 0x130
#define ESP_OF(level) (*(u32 *)(tss + 4 + 8 * (level)))
#define SS_OF(level) (*(u32 *)(tss + 8 + 8 * (level)))
#define FAULTS(v, e, at) (t.vec == (v) && t.err == (ul)(e) && t.r.ip == (ul)(at))
#define FINE (t.vec == END)
static struct { u32 off; u16 sel; } __attribute__((packed)) far;
static u8 inner[4][4096] __attribute__((aligned(16)));

SNIPPET(call_it, "push $0x11112222\n push $0x33334444\n push $0x55556666\nca_at: lcall *(%ebx)\nca_next: nop");
SNIPPET(jmp_it, "ja_at: ljmp *(%ebx)");
SNIPPET(int_it, "ia_at: int $0x41");
SNIPPET(retf_it, "ra_at: lret");
SNIPPET(iret_it, "ira_at: iret");
SNIPPET(landed, "nop");
SNIPPET(seen_at, "mov (%esp), %eax\n mov 4(%esp), %ecx\n mov 8(%esp), %edx\n mov 12(%esp), %esi\n mov 16(%esp), %edi\n"
	" mov %esp, %ebp");
SNIPPET(back16, "lretw $4");
SNIPPET(back32, "lret $8");
SNIPPET(f_popf, "popf");
SNIPPET(f_cli, "f_cli_at: cli");
SNIPPET(f_sti, "f_sti_at: sti");
SNIPPET(f_in, "f_in_at: in $0x80, %al");
SNIPPET(f_outs, "f_outs_at: outsb");
SNIPPET(f_hlt, "f_hlt_at: hlt");
SNIPPET(f_iret, "iret");
SNIPPET(load_ds, "ld_at: mov %ax, %ds");
extern char ca_at[], ca_next[], ja_at[], ia_at[], ra_at[], ira_at[], f_cli_at[], f_sti_at[], f_in_at[], f_outs_at[],
	f_hlt_at[], ld_at[];

static void ready(const void *code, unsigned cpl)
{
	prepare(code, cpl);
	in.cs = code_of[cpl];
	in.ss = in.ds = in.es = data_of[cpl];
	in.bx = (ul)&far;
}

static void gate(const void *to, unsigned sel, unsigned type, unsigned dpl, unsigned count)
{
	ul a = (ul)to;
	gdt[GATE >> 3] = (a & 0xffff) | (u64)sel << 16 | (u64)count << 32 | (u64)(0x80 | dpl << 5 | type) << 40 |
		(u64)(a >> 16) << 48;
	far.off = 0xdeadbeef, far.sel = GATE | 3;
}

static void call_by(const void *to, unsigned sel, unsigned type, unsigned count, unsigned cpl)
{
	gate(to, sel, type, 3, count);
	ready(call_it, cpl);
	go();
}

/* Stacks of levels 1 and 2 back in order, TSS as long as a 32-bit one. */
static void mend(void)
{
	for (unsigned k = 1; k < 3; k++) {
		set_desc(code_of[k] & ~7u, 0, 0xfffff, 0xc09a | k << 5);
		set_desc(data_of[k] & ~7u, 0, 0xfffff, 0xc092 | k << 5);
		ESP_OF(k) = (u32)(ul)(inner[k] + 4096);
		SS_OF(k) = data_of[k];
	}
	set_tss_sp0((ul)stack0_top);
	set_desc(TSS, (u32)(ul)tss, 0x67, 0x89);
	asm volatile("ltr %w0" :: "r"(TSS));
}

/* From each level to each inner one, by 32-bit and 16-bit gates with 0 to 3 parameters. */
static void inward(void)
{
	for (unsigned from = 1; from < 4; from++) {
		for (unsigned to = 0; to < from; to++) {
			for (unsigned count = 0; count < 4; count++) {
				stage = from << 8 | to << 4 | count;
				ul top = to ? (ul)(inner[to] + 4096) : (ul)stack0_top;
				call_by(seen_at, code_of[to] & ~3u, 0xc, count, from);
				CHECK("vol 3 5.8.5 call gate to an inner level", FINE && t.r.cs == (code_of[to] & ~3u) + to &&
					t.r.bp == top - 16 - 4 * count);
				u32 *f = (u32 *)t.r.bp;
				CHECK("vol 3 5.8.5 return address, CS, old ESP and SS", f[0] == (ul)ca_next &&
					f[1] == code_of[from] && f[2 + count] == in.sp - 12 && f[3 + count] == data_of[from]);
				CHECK("vol 3 5.8.5 parameters in order", (!count || f[2] == 0x55556666) &&
					(count < 2 || f[3] == 0x33334444) && (count < 3 || f[4] == 0x11112222));
				set_desc(CODE16, (u32)(ul)seen_at & ~0xfu, 0xffff, 0x409a | to << 5);
				call_by((void *)((ul)seen_at & 0xf), CODE16, 4, count, from);
				CHECK("vol 3 5.8.5 16-bit gate: words", FINE && t.r.cs == CODE16 + to && t.r.bp == top - 8 - 2 * count);
				u16 *w = (u16 *)t.r.bp;
				CHECK("vol 3 5.8.5 16-bit gate: IP, CS, old SP and SS", w[0] == (u16)(ul)ca_next &&
					w[1] == code_of[from] && w[2 + count] == (u16)(in.sp - 12) && w[3 + count] == data_of[from]);
				CHECK("vol 3 5.8.5 16-bit gate: word parameters", (!count || w[2] == 0x6666) &&
					(count < 2 || w[3] == 0x5555) && (count < 3 || w[4] == 0x4444));
			}
		}
	}
	call_by(back32, KCS, 0xc, 2, 3);
	CHECK("vol 3 5.8.6 RET n drops the parameters on both stacks", FINE && t.r.cs == UCS32 && t.r.sp == in.sp - 4 &&
		t.r.ip == (ul)call_it_end + 2);
	/* the return by words: IP, SP of 16 bits, so the caller lies below 64 KiB of its segment, its stack too */
	set_desc(0x138, (u32)(ul)call_it & ~0xfu, 0xffff, 0x40fa);
	set_desc(0x140, (u32)(ul)inner[3], 0xffff, 0x40f2);
	set_desc(CODE16, (u32)(ul)back16 & ~0xfu, 0xffff, 0x409a);
	gate((void *)((ul)back16 & 0xf), CODE16, 4, 3, 2);
	ready(call_it, 3);
	in.ip = (ul)call_it & 0xf, in.cs = 0x138 | 3, in.ss = 0x140 | 3, in.sp = 0x800;
	go();
	CHECK("vol 3 5.8.6 16-bit RET n to CPL 3", FINE && t.r.cs == (0x138 | 3) && t.r.ss == (0x140 | 3) &&
		t.r.sp == 0x800 - 12 + 4 && t.r.ip == ((ul)call_it & 0xf) + (ul)(call_it_end - call_it) + 2);
}

static void conforming(void)
{
	for (unsigned cpl = 0; cpl < 4; cpl++) {
		for (unsigned dpl = 0; dpl < 4; dpl++) {
			stage = cpl << 4 | dpl;
			set_desc(TARGET, 0, 0xfffff, 0xc09e | dpl << 5);
			gate(landed, TARGET, 0xc, 3, 0);
			for (unsigned jump = 0; jump < 2; jump++) {
				ready(jump ? jmp_it : call_it, cpl);
				go();
				CHECK("vol 3 5.8.4 conforming code by a gate: DPL at most CPL, which stays", dpl <= cpl ? FINE &&
				      t.r.cs == TARGET + cpl && t.r.ss == data_of[cpl] : FAULTS(GP, TARGET, jump ? ja_at : ca_at));
				far.off = (u32)(ul)landed, far.sel = TARGET;
				go();
				CHECK("vol 3 5.8.1.2 conforming code directly", dpl <= cpl ? FINE && t.r.cs == TARGET + cpl :
					FAULTS(GP, TARGET, jump ? ja_at : ca_at));
				gate(landed, TARGET, 0xc, 3, 0);
			}
			set_gate(0x41, landed, TARGET, 0xee, 0);
			ready(int_it, cpl);
			go();
			CHECK("vol 3 6.12.1 conforming handler runs at the CPL of the interrupted program", dpl <= cpl ? FINE &&
				t.r.cs == TARGET + cpl : FAULTS(GP, TARGET, ia_at));
		}
	}
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
}

/* A stack switch that fails: the error code names the stack, or the TSS (vol 2 CALL, INT n). The error is handled at
 * level 0. */
static void bad_stacks(void)
{
	static const struct { u32 ss; unsigned vec; u32 err; const char *why; } list[] = {
		{ 0, TS, 0, "null" }, { 0x1f8 | 1, TS, 0x1f8, "not there" }, { KDS | 1, TS, KDS, "DPL 0" },
			{ 0x108 | 2, TS, 0x108, "RPL 2" },
		{ 0x100 | 1, TS, 0x100, "code" }, { 0x148 | 1, TS, 0x148, "read-only" },
			{ 0x150 | 1, SS, 0x150, "not present" },
	};
	set_desc(0x148, 0, 0xfffff, 0xc0b0);
	set_desc(0x150, 0, 0xfffff, 0xc032);
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		stage = k;
		SS_OF(1) = list[k].ss;
		call_by(landed, code_of[1] & ~3u, 0xc, 2, 3);
		check("vol 2 CALL: inner stack", __FILE__, __LINE__, list[k].why, FAULTS(list[k].vec, list[k].err, ca_at) &&
			t.r.sp == in.sp - 12 && t.r.ss == UDS);
		set_gate(0x41, landed, code_of[1] & ~3u, 0xee, 0);
		ready(int_it, 3);
		go();
		check("vol 2 INT n: inner stack", __FILE__, __LINE__, list[k].why, FAULTS(list[k].vec, list[k].err, ia_at) &&
			t.r.sp == in.sp);
		mend();
	}
	/* no room: 24 bytes for two parameters, 20 for an interrupt */
	for (unsigned room = 0; room < 32; room += 4) {
		stage = room;
		set_desc(0x108, (u32)(ul)inner[1] + 4096 - room, 0xfff, 0x40b6); /* expand-down: offsets above FFFH */
		ESP_OF(1) = 0x1000 + room;
		call_by(landed, code_of[1] & ~3u, 0xc, 2, 3);
		CHECK("vol 2 CALL: no room on the inner stack: #SS(its selector)", room < 24 ? FAULTS(SS, 0x108, ca_at) :
			t.vec == END);
		set_gate(0x41, landed, code_of[1] & ~3u, 0xee, 0);
		ready(int_it, 3);
		go();
		CHECK("vol 2 INT n: no room on the inner stack: #SS(its selector)", room < 20 ? FAULTS(SS, 0x108, ia_at) :
			t.vec == END);
		mend();
	}
	for (unsigned limit = 9; limit < 20; limit++) {
		stage = limit;
		set_desc(TSS, (u32)(ul)tss, limit, 0x89);
		asm volatile("ltr %w0" :: "r"(TSS));
		call_by(landed, code_of[1] & ~3u, 0xc, 0, 3);
		/* the stack of level 1 is at 12 to 17, that of level 0, for the handler, at 4 to 9 */
		CHECK("vol 2 CALL: TSS too short for the inner stack: #TS(TSS)", limit < 17 ? FAULTS(TS, TSS, ca_at) : FINE);
		mend();
	}
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
}

/* POPF, CLI, STI, IN, OUTS, HLT, IRET at each CPL and IOPL (vol 2, vol 1 19.5). */
static void rights(void)
{
	for (unsigned cpl = 0; cpl < 4; cpl++) {
		for (unsigned iopl = 0; iopl < 4; iopl++) {
			int ok = cpl <= iopl;
			stage = cpl << 4 | iopl;
			ready(f_popf, cpl);
			in.flags |= iopl << 12;
			*(u32 *)in.sp = 2 | IF | (3 - iopl) << 12 | ACF | NT | ID | VIF | VIP | VM | RF;
			go();
			CHECK("vol 2 POPF: IOPL by CPL 0 only, IF by IOPL", FINE &&
				t.r.flags == (2 | (ok ? IF : 0) | (cpl ? iopl : 3 - iopl) << 12 | ACF | NT | ID));
			static const struct { char *code, *at; const char *name; } list[] = {
				{ f_cli, f_cli_at, "CLI" }, { f_sti, f_sti_at, "STI" }, { f_in, f_in_at, "IN" },
					{ f_outs, f_outs_at, "OUTS" } };
			for (unsigned k = 0; k < 4; k++) {
				ready(list[k].code, cpl);
				in.flags |= iopl << 12;
				in.dx = 0x80, in.si = (ul)inner[0];
				go();
				check("vol 1 19.5.1 IOPL", __FILE__, __LINE__, list[k].name, ok ? FINE : FAULTS(GP, 0, list[k].at));
			}
			for (unsigned to = cpl; to < 4; to++) {
				ready(f_iret, cpl);
				in.flags |= iopl << 12;
				u32 *f = (u32 *)in.sp;
				f[0] = (u32)(ul)landed, f[1] = code_of[to], f[2] = 2 | IF | (3 - iopl) << 12 | CF,
					f[3] = (u32)(ul)(inner[to] + 2048), f[4] = data_of[to];
				go();
				CHECK("vol 2 IRET from each level to each outer one", FINE && t.r.cs == code_of[to] &&
					t.r.ss == data_of[to] &&
				      t.r.flags == (2 | CF | (ok ? IF : 0) | (cpl ? iopl : 3 - iopl) << 12));
				ready(retf_it, cpl);
				f = (u32 *)in.sp;
				f[0] = (u32)(ul)landed, f[1] = code_of[to], f[2] = (u32)(ul)(inner[to] + 2048), f[3] = data_of[to];
				go();
				CHECK("vol 2 RET from each level to each outer one", FINE && t.r.cs == code_of[to] &&
					t.r.ss == data_of[to]);
				CHECK("vol 2 RET: data segments that the outer level may not have become null", to > cpl ?
					t.r.ds == 0 && t.r.es == 0 : t.r.ds == data_of[to]);
			}
			for (unsigned to = 0; to < cpl; to++) {
				ready(retf_it, cpl);
				u32 *f = (u32 *)in.sp;
				f[0] = (u32)(ul)landed, f[1] = code_of[to];
				go();
				CHECK("vol 2 RET: never inward", FAULTS(GP, code_of[to] & ~3u, ra_at));
				ready(iret_it, cpl);
				f[0] = (u32)(ul)landed, f[1] = code_of[to], f[2] = 2;
				go();
				CHECK("vol 2 IRET: never inward", FAULTS(GP, code_of[to] & ~3u, ira_at));
			}
		}
		ready(f_hlt, cpl);
		if (cpl) {
			go();
			CHECK("vol 2 HLT: CPL 0 only", FAULTS(GP, 0, f_hlt_at));
		}
		for (unsigned dpl = 0; dpl < 4; dpl++) {
			for (unsigned rpl = 0; rpl < 4; rpl++) {
				stage = cpl << 8 | dpl << 4 | rpl;
				ready(load_ds, cpl);
				in.ax = (data_of[dpl] & ~3u) | rpl;
				go();
				CHECK("vol 3 5.6 DPL at least CPL and RPL", dpl >= cpl && dpl >= rpl ? FINE :
					FAULTS(GP, data_of[dpl] & ~3u, ld_at));
			}
		}
	}
}

void guest_main(void)
{
	mend();
	inward();
	conforming();
	bad_stacks();
	rights();
}
