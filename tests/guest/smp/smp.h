/* SPDX-License-Identifier: GPL-2.0-or-later */
/* what: what the files of the guest of several CPUs share: CPUs that wait for work, APIC, counters
 *
 * CPU 0 runs guest_main(); the others wait in ap_main() for functions to run. Built with -DCPUS=N -DROUNDS=N.
 */
#ifndef SMP_H
#define SMP_H

#include "../priv/guest.h"

#define MAXCPU 8

/* A counter with a cache line of its own. */
struct line {
	volatile u64 v;
	u64 pad[7];
} __attribute__((aligned(64)));

extern u8 apic_id[MAXCPU];
extern struct line got[MAXCPU], nmis[MAXCPU], shot[MAXCPU]; /* interrupts by CPU: any, NMIs, those of shootdowns */
extern volatile u64 shoot_at;                               /* what they drop */
extern volatile u32 ready;                                  /* CPUs in ap_main() */
extern unsigned gate_n;                                     /* CPUs that all() has at work */
extern volatile u32 stop_it;
extern u8 pages[8][4096];

struct frame {
	ul ip, cs, fl, sp, ss;
};
__attribute__((interrupt)) void on_ipi(struct frame *f);
__attribute__((interrupt)) void on_nmi(struct frame *f);
__attribute__((interrupt)) void on_shoot(struct frame *f);
__attribute__((interrupt)) void on_sync(struct frame *f);

/* Did want CPUs but one come up? */
int start_aps(unsigned want);
/* CPU n runs f; and has. The first n run f, this one too. All that do meet. */
void begin(unsigned n, void (*f)(unsigned me));
void end(unsigned n);
void all(unsigned n, void (*f)(unsigned me));
void gate(void);
unsigned whoami(void);
void wait_cycles(u64 n);
void ipi(u32 dest, u32 icr);
/* A line of text and a number. */
void note(const char *s, u64 v);

/* order.c, lock.c, patched.c */
void orders(unsigned n);
void locked(void);
void patches(unsigned n);

static inline u32 mm(u32 off)
{
	return *(volatile u32 *)(0xfee00000ul + off);
}

static inline void mmw(u32 off, u32 v)
{
	*(volatile u32 *)(0xfee00000ul + off) = v;
}

static inline u64 tsc(void)
{
	u32 a, d;
	asm volatile("lfence; rdtsc" : "=a"(a), "=d"(d)::"memory");
	return (u64)d << 32 | a;
}

static inline void relax(void)
{
	asm volatile("pause" ::: "memory");
}

static inline void mfence(void)
{
	asm volatile("mfence" ::: "memory");
}

#endif
