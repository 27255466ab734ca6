// SPDX-License-Identifier: GPL-2.0-or-later
/* what: offsets in struct xcpu that assembly uses; xlate.c asserts that they are true */
#ifndef XLATE_OFFSETS_H
#define XLATE_OFFSETS_H

#define OFF_RSP 40 /* CPU_RSP; the others count from there */
#define OFF_RIP 128
#define OFF_TMP 1144
#define OFF_LEFT_AT (OFF_TMP + 24)
#define OFF_HOST_FLAGS 23096
#define OFF_HOST_PC 1176
#define OFF_HOST_RSP 1184
#define OFF_BOUNCE_LEN 1192
#define OFF_NEAR_LIVE 9134080
#define OFF_NEAR_BUDGET 23272
#define OFF_KEPT 1208
#define OFF_NEAR 9134104
#define OFF_TLB 9136024
#define OFF_RMAX 1640
#define OFF_WMAX (OFF_RMAX + 48)
#define OFF_SEG 144
#define OFF_GDT_BASE 272
#define OFF_GDT_LIMIT 288

#define TLBE_BYTES 16
#define TLB_MASK 8191
#define SEG_BYTES 16
#define KEPT_BYTES 72
#define KEPT_PAGE 8
#define KEPT_OFF 16
#define KEPT_RAW 24
#define KEPT_SEG 32
#define KEPT_SEL 44
#define KEPT_RMAX 48
#define KEPT_WMAX 56
#define KEPT_LIMIT 64
#define KEPT_SLOT 68
#define NEAR_BYTES 320 /* of one view and direction */

#endif
