// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the MC146818 real-time clock with 256 bytes of CMOS RAM */
#ifndef DEV_ISA_RTC_H
#define DEV_ISA_RTC_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

struct rtc;

struct rtc_config {
	struct state_set *states; /* may be NULL */
	struct loop *loop;
	struct mem *mem;          /* may be NULL: no ports */
	struct wire irq8;
	struct wire nmi_mask;     /* level: NMI masked by bit 7 of port 0x70 */
	uint64_t utc;             /* seconds since 1970 at guest time 0; 0: the host's clock now */
};

/* All functions: device lock held. */
struct rtc *rtc_new(const struct rtc_config *cfg);
void rtc_free(struct rtc *rtc);
/* System reset: interrupts off; time and RAM stay (they are on battery). */
void rtc_reset(struct rtc *rtc);
/* CMOS bytes 0x0e..0xff, for the board: memory size, floppy types, boot order. */
/* The guest was away for so long, and its clock went on. Takes effect with what is armed next. */
void rtc_put_on(struct rtc *rtc, uint64_t ns);
void rtc_set_cmos(struct rtc *rtc, uint8_t index, uint8_t val);
uint8_t rtc_cmos(const struct rtc *rtc, uint8_t index);
/* Ports 0x70 + reg (0..3: index, data, extended index, extended data). */
uint8_t rtc_read(struct rtc *rtc, unsigned reg);
void rtc_write(struct rtc *rtc, unsigned reg, uint8_t val);

#endif
