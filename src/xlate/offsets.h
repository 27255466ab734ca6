// SPDX-License-Identifier: GPL-2.0-or-later
/* what: offsets in struct cpu that assembly uses; xlate.c asserts that they are true */
#ifndef XLATE_OFFSETS_H
#define XLATE_OFFSETS_H

#define OFF_RIP 128
#define OFF_TMP 816
#define OFF_HOST_FLAGS 848
#define OFF_HOST_PC 856
#define OFF_HOST_RSP 864
#define OFF_BOUNCE_LEN 1008
#define OFF_NEAR_LIVE 1024
#define OFF_NEAR_BUDGET 1032
#define OFF_NEAR 1088
#define OFF_TLB 3008

#define TLBE_BYTES 16
#define TLB_MASK 8191
#define NEAR_BYTES 320 /* of one view and direction */

#endif
