// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what native_enter.S is given */
#ifndef NATIVE_INT_H
#define NATIVE_INT_H

#define NE_RIP 128
#define NE_CS 136
#define NE_FLAGS 144
#define NE_RSP 152
#define NE_SS 160
#define NE_FS 168
#define NE_GS 176
#define NE_XMASK 184
#define NE_X 192
#define NE_SEL 200
#define NE_BASES 212
#define NE_FRAME 216

#ifndef __ASSEMBLER__
#include <stdint.h>

struct native_entry {
	uint64_t gpr[16];
	uint64_t rip, cs, rflags, rsp, ss;
	uint64_t fs_base, gs_base;
	uint64_t xmask;
	const void *x;
	uint16_t sel[6];
	uint32_t bases; /* set FS and GS bases instead of loading selectors */
	uint64_t frame; /* where the IRETQ frame is built; 0: on the stack */
};
void native_enter(const struct native_entry *e);
__attribute__((noreturn)) void native_leave(void);
#endif

#endif
