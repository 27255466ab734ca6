// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the local APIC of one vCPU and the bus that carries interrupt messages between APICs
 *
 * Everything runs with the device lock held, lapic_get_tpr() excepted.
 */
#ifndef DEV_SYS_LAPIC_H
#define DEV_SYS_LAPIC_H

#include "base/loop.h"
#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

#define LAPIC_DEFAULT_BASE 0xfee00000u
#define LAPIC_BUS_MAX      64u
#define LAPIC_DEST_ALL     0xffffffffu
/* Input clock of the timer. 1 GHz makes a count a nanosecond of guest time. */
#define LAPIC_TIMER_HZ     1000000000u

#define MSR_APIC_BASE      0x1bu
#define MSR_TSC_DEADLINE   0x6e0u
#define MSR_X2APIC_FIRST   0x800u
#define MSR_X2APIC_LAST    0x8ffu

/* SDM vol 3 11.6.1, delivery mode field of the ICR; the same in LVTs, IO-APIC entries and MSI data. */
enum lapic_delivery {
	LAPIC_FIXED = 0,
	LAPIC_LOWEST = 1,
	LAPIC_SMI = 2,
	LAPIC_NMI = 4,
	LAPIC_INIT = 5,
	LAPIC_SIPI = 6,
	LAPIC_EXTINT = 7,
};

struct lapic;
struct lapic_bus;

/* The bus owns the 4 KiB window in guest-physical space (mem may be NULL: no window). It outlives its LAPICs. */
struct lapic_bus *lapic_bus_new(struct mem *mem);
void lapic_bus_free(struct lapic_bus *bus);
/* Which LAPIC the running vCPU's window access means; unset: always the first. */
void lapic_bus_set_current(struct lapic_bus *bus, unsigned (*current)(void *opaque), void *opaque);
/* Who hears the end-of-interrupt message of a level-triggered vector (the IO-APIC). */
void lapic_bus_set_eoi(struct lapic_bus *bus, void (*eoi)(void *opaque, uint8_t vector), void *opaque);
/* Send a message. dest: APIC ID or logical mask, LAPIC_DEST_ALL for all (senders with 8-bit destinations turn 0xff
 * into it). Returns how many LAPICs took it. */
unsigned lapic_bus_deliver(struct lapic_bus *bus, uint32_t dest, bool logical, unsigned delivery, uint8_t vector,
                           bool level);
/* A write of data to addr in 0xfee00000-0xfeefffff by a device (MSI); opaque is a struct lapic_bus. Fits
 * pci_bus_set_msi_sink(). */
void lapic_bus_msi(void *opaque, uint64_t addr, uint32_t data);

struct lapic_config {
	struct loop *loop;
	struct state_set *set;   /* may be NULL */
	struct lapic_bus *bus;
	uint32_t id;             /* below 255; its index on the bus is the order of lapic_new() */
	bool bsp;
	bool x2apic;             /* the guest's CPUID offers it */
	unsigned phys_bits;      /* width of a physical address; 0: the architecture's 52 */
	/* leave reset with LINT0 open for the PIC, as firmware sets it up (for boots without firmware) */
	bool virtual_wire;
	struct wire intr;        /* level: lapic_ack() has something */
	struct wire nmi;         /* pulse */
	struct wire smi;         /* pulse */
	struct wire init;        /* pulse */
	struct wire sipi;        /* set(opaque, vector, true) */
	int (*extint_ack)(void *opaque);   /* the PIC's INTA cycle: a vector */
	void *extint_opaque;
	/* Guest TSC value to loop_now() time, rounded up; UINT64_MAX: never. NULL: no TSC-deadline mode. */
	uint64_t (*tsc_to_ns)(void *opaque, uint64_t tsc);
	void *tsc_opaque;
};

struct lapic *lapic_new(const struct lapic_config *cfg);
void lapic_free(struct lapic *l);
/* Power-up or RESET#. */
void lapic_reset(struct lapic *l);
/* IA32_APIC_BASE[11], which CPUID.1:EDX.APIC mirrors. */
bool lapic_enabled(const struct lapic *l);

/* Level of local interrupt pin n (0: the PIC's INT, 1: NMI) of the struct lapic; fits a wire. */
void lapic_set_lint(void *lapic, int n, bool level);
/* Can a pin wake a CPU that has interrupts off? LINT1 cannot: the board leaves it open. */
bool lapic_wakes(const struct lapic *l);
/* The vCPU takes an interrupt: its vector, or -1 if there is none any more. */
int lapic_ack(struct lapic *l);
/* CR8: the upper four bits of the task priority. */
void lapic_set_tpr(struct lapic *l, uint8_t cr8);
uint8_t lapic_get_tpr(const struct lapic *l);

/* MSRs 0x1b, 0x6e0 and 0x800-0x8ff; false: #GP. */
bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *val);
bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t *val);
/* The window, for tests and for a vCPU that knows its own LAPIC. off below 4096. */
uint32_t lapic_mmio_read(struct lapic *l, uint32_t off);
void lapic_mmio_write(struct lapic *l, uint32_t off, uint32_t val);

#endif
