// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the whole PC for device tests: no CPU runs, time is stepped, the test is who makes the accesses
 */
#ifndef BOARD_TEST_H
#define BOARD_TEST_H

#include "unit.h"

#include "board/pc_int.h"

enum { FILE_FIRMWARE, FILE_IDE, FILE_VIRTIO, FILE_CDROM, FILE_FLOPPY, FILES };
#define US 1000ull
#define MS 1000000ull
#define LAPIC 0xfee00000u
#define IOAPIC 0xfec00000u
#define HPET 0xfed00000u

struct board {
	struct pc *pc;
	int fd[FILES];
};

/* cmocka's setup and teardown: a new machine in *state, 16 MiB, one IDE and one virtio disk, a CD, a floppy. */
int board_setup(void **state);
/* The same with all features of this host's CPU, in real time, with the I/O thread. */
int board_setup_live(void **state);
int board_teardown(void **state);

uint32_t board_in(struct board *b, unsigned port, unsigned size);
void board_out(struct board *b, unsigned port, uint32_t val, unsigned size);
uint64_t board_read(struct board *b, uint64_t gpa, unsigned size);
void board_write(struct board *b, uint64_t gpa, uint64_t val, unsigned size);
uint32_t board_cfg(struct board *b, unsigned devfn, unsigned off, unsigned size);
void board_cfg_set(struct board *b, unsigned devfn, unsigned off, uint32_t val, unsigned size);
/* The function with this vendor and device, in a register's form; fails the test if there is none. */
unsigned board_find(struct board *b, uint32_t id);
void board_step(struct board *b, uint64_t ns);
/* Steps until an interrupt waits for the CPU, at most ns; whether it does. */
bool board_wait(struct board *b, uint64_t ns);
/* Is the line to the CPU high? */
bool board_intr(struct board *b);
/* The CPU takes an interrupt: its vector, or -1. */
int board_ack(struct board *b);

/* As firmware leaves them: vectors 20H and 28H, all lines masked, the local APIC on and LINT0 open for the PICs. */
void board_start_pics(struct board *b);
/* Lines that may come through, by number. */
void board_unmask(struct board *b, uint16_t lines);
/* Non-specific end of interrupt, to the slave too if it is a slave's vector. */
void board_eoi(struct board *b, int vector);
/* What a BAR reads after ones were written to it tells its kind and size (PCI 2.1, 6.2.5.1); 0: there is none. */
uint64_t board_bar_size(struct board *b, unsigned devfn, unsigned off, bool *wide);
/* Routes all four PIRQs to a line that is level-triggered (290550 PIRQRC, ELCR). */
void board_route(struct board *b, unsigned line);
void board_ioapic(struct board *b, unsigned pin, uint64_t entry);

#endif
