// SPDX-License-Identifier: GPL-2.0-or-later
/* what: several CPUs brought up, given work, and waited for (64-bit)
 */
#include "smp.h"

#define TRAMP 0x8000

extern u8 tramp[], tramp_end[];
u8 stacks[MAXCPU][16384] __attribute__((aligned(16384)));
u64 gdtr_main[2], idtr_main[2];
volatile u32 started; /* indices handed out */
volatile u32 ready;   /* APs in their loop */
u8 apic_id[MAXCPU];
static struct line calls[MAXCPU], dones[MAXCPU];
static void (*volatile fn[MAXCPU])(unsigned me);

asm(".pushsection .data\n.code16\n.globl tramp, tramp_end\ntramp: cli\n xor %ax, %ax\n mov %ax, %ds\n"
    "lgdtl 0x8000 + (tgdtr - tramp)\n mov %cr0, %eax\n or $1, %eax\n mov %eax, %cr0\n"
    "ljmpl $8, $0x8000 + (t32 - tramp)\n.code32\n"
    "t32: mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n mov %eax, %fs\n mov %eax, %gs\n"
    "mov %cr4, %eax\n or $0x620, %eax\n mov %eax, %cr4\n mov $boot_pml4, %eax\n mov %eax, %cr3\n"
    "mov $0xc0000080, %ecx\n rdmsr\n or $0x101, %eax\n wrmsr\n mov $0x80000033, %eax\n mov %eax, %cr0\n"
    "ljmp $0x18, $ap64\n.balign 8\ntgdt: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00af9a000000ffff\n"
    "tgdtr: .word 31\n .long 0x8000 + (tgdt - tramp)\ntramp_end:\n.popsection\n.text\n.code64\n"
    "ap64: mov $1, %eax\n lock xadd %eax, started\n inc %eax\n mov %eax, %edi\n shl $14, %eax\n add $stacks + "
    "16384, %eax\n"
    "mov %eax, %esp\n lgdt gdtr_main\n lidt idtr_main\n pushq $8\n pushq $1f\n lretq\n1: call ap_main\n");

void wait_cycles(u64 n)
{
	for (u64 e = tsc() + n; tsc() < e;)
		relax();
}
void ipi(u32 dest, u32 icr)
{
	mmw(0x310, dest << 24);
	mmw(0x300, icr);
}
unsigned whoami(void)
{
	ul sp;
	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return sp >= (ul)stacks && sp < (ul)stacks + sizeof(stacks) ? (sp - (ul)stacks) >> 14 : 0;
}
static void num(u64 v)
{
	char b[24];
	int k = 23;
	b[k] = 0;
	do
		b[--k] = (char)('0' + v % 10);
	while (v /= 10);
	say(b + k);
}
void note(const char *s, u64 v)
{
	say(s);
	say(" ");
	num(v);
	say("\n");
}

/* interrupts: vectors 0x50..0x5f counted, ended by EOI; NMI counted */
struct line got[MAXCPU], nmis[MAXCPU], shot[MAXCPU];
volatile u64 shoot_at;
__attribute__((interrupt)) void on_ipi(struct frame *f)
{
	(void)f;
	got[whoami()].v++;
	mmw(0xb0, 0);
}
__attribute__((interrupt)) void on_nmi(struct frame *f)
{
	(void)f;
	nmis[whoami()].v++;
}
__attribute__((interrupt)) void on_shoot(struct frame *f)
{
	(void)f;
	invlpg(shoot_at);
	shot[whoami()].v++;
	mmw(0xb0, 0);
}
__attribute__((interrupt)) void on_sync(struct frame *f)
{
	u32 r[4];
	(void)f;
	cpuid(0, 0, r);
	shot[whoami()].v++;
	mmw(0xb0, 0);
}

void ap_main(unsigned me)
{
	u64 seen = calls[me].v;
	apic_id[me] = (u8)(mm(0x20) >> 24);
	mmw(0xf0, 0x1ff);
	mmw(0x80, 0);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		while (calls[me].v == seen)
			relax();
		seen = calls[me].v;
		fn[me](me);
		dones[me].v = seen;
	}
}
void begin(unsigned n, void (*f)(unsigned))
{
	fn[n] = f;
	asm volatile("" ::: "memory");
	calls[n].v++;
}
void end(unsigned n)
{
	while (dones[n].v != calls[n].v)
		relax();
}
static volatile u32 gate_in;
static volatile u32 gate_turn;
unsigned gate_n;
void gate(void)
{
	u32 t = gate_turn;
	if (__atomic_add_fetch(&gate_in, 1, __ATOMIC_SEQ_CST) == gate_n) {
		gate_in = 0;
		gate_turn = t + 1;
	} else
		while (gate_turn == t)
			relax();
}
void all(unsigned n, void (*f)(unsigned))
{
	gate_n = n;
	for (unsigned k = 1; k < n; k++)
		begin(k, f);
	f(0);
	for (unsigned k = 1; k < n; k++)
		end(k);
}

int start_aps(unsigned want)
{
	copy((void *)TRAMP, tramp, (ul)(tramp_end - tramp));
	asm volatile("sgdt %0" : "=m"(*(u8(*)[10])gdtr_main));
	asm volatile("sidt %0" : "=m"(*(u8(*)[10])idtr_main));
	mmw(0xf0, 0x1ff);
	mmw(0x80, 0);
	ipi(0, 0xc4500);
	wait_cycles(2000000);
	ipi(0, 0xc4608);
	wait_cycles(400000);
	ipi(0, 0xc4608);
	for (u64 e = tsc() + 4000000000ull; ready < want - 1 && tsc() < e;)
		relax();
	return ready == want - 1;
}

volatile u32 stop_it;
u8 pages[8][4096] __attribute__((aligned(4096)));
