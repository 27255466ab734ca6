// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the SMBIOS tables that name this machine to the guest
 *
 * Only the structures that the specification requires of every machine, in the 2.8 layout with the 32-bit
 * entry point: guests of any age read it, and the firmware can move it. Memory is one array with one device
 * of the whole size. Source: DSP0134 3.6.0, cited by section.
 */
#include "board/smbios.h"

#include <string.h>

#define HANDLE_BIOS 0x0000
#define HANDLE_SYSTEM 0x0100
#define HANDLE_CHASSIS 0x0300
#define HANDLE_CPU 0x0400
#define HANDLE_ARRAY 0x1000
#define HANDLE_DIMM 0x1100
#define HANDLE_MAP 0x1300
#define HANDLE_BOOT 0x2000
#define HANDLE_END 0x7f00

struct builder {
	struct smbios_tables *t;
	uint32_t start;    /* of the structure being built */
	unsigned count;
	uint32_t largest;
};

/* Formatted area, then begin strings: text are separated by '|', numbered from 1. */
static uint8_t *begin(struct builder *b, uint8_t type, uint8_t len, uint16_t handle)
{
	uint8_t *p = b->t->tables + b->t->len;

	must(b->t->len + len + 256 <= SMBIOS_MAX);
	b->start = b->t->len;
	b->t->len += len;
	p[0] = type;
	p[1] = len;
	put_le16(p + 2, handle);
	return p;
}

/* 6.1.3: strings end with 0 each, the set with another 0; no strings: two 0. */
static void end(struct builder *b, const char *strings)
{
	uint8_t *p = b->t->tables + b->t->len;
	size_t n = strlen(strings);

	must(n <= 250);
	memcpy(p, strings, n + 1);
	for (size_t i = 0; i < n; i++)
		p[i] = p[i] == '|' ? 0 : p[i];
	p[n + 1] = 0;
	b->t->len += (uint32_t)n + 2;
	b->largest = MAX(b->largest, b->t->len - b->start);
	b->count++;
}

static void build_bios(struct builder *b)
{
	uint8_t *p = begin(b, 0, 24, HANDLE_BIOS); /* 7.1 */

	p[4] = 1;
	p[5] = 2;
	put_le16(p + 6, 0xe800);
	p[8] = 3;
	put_le64(p + 10, 1 << 3); /* characteristics are not given */
	p[19] = 1 << 2 | 1 << 4;  /* boots from what the user says; a virtual machine */
	p[22] = p[23] = 0xff;
	end(b, "ring3|0.1|01/01/2026");
}

static void build_system(struct builder *b)
{
	uint8_t *p = begin(b, 1, 27, HANDLE_SYSTEM); /* 7.2 */

	p[4] = 1;
	p[5] = 2;
	p[6] = 3;
	p[24] = 6; /* power switch */
	end(b, "ring3|Standard PC (i440FX + PIIX)|1");
}

static void build_chassis(struct builder *b)
{
	uint8_t *p = begin(b, 3, 22, HANDLE_CHASSIS); /* 7.4 */

	p[4] = 1;
	p[5] = 1;
	p[9] = p[10] = p[11] = 3; /* states: safe */
	p[12] = 2;                /* security status unknown */
	end(b, "ring3");
}

static void build_cpu(struct builder *b, const struct smbios_config *cfg, unsigned n)
{
	uint8_t *p = begin(b, 4, 42, (uint16_t)(HANDLE_CPU + n)); /* 7.5 */

	p[4] = 1;
	p[5] = 3;    /* central processor */
	p[6] = 1;    /* family: other */
	p[7] = 2;
	put_le32(p + 8, cfg->cpu_signature);
	put_le32(p + 12, cfg->cpu_features);
	p[24] = 0x41; /* socket populated, CPU enabled */
	p[25] = 1;
	put_le16(p + 26, 0xffff); /* caches not given */
	put_le16(p + 28, 0xffff);
	put_le16(p + 30, 0xffff);
	p[35] = p[36] = (uint8_t)MAX(cfg->cpus.cores, 1u); /* there and enabled */
	p[37] = (uint8_t)(p[35] * MAX(cfg->cpus.threads, 1u));
	put_le16(p + 38, 1 << 2);  /* 64-bit capable */
	put_le16(p + 40, 1);
	end(b, "CPU|ring3");
}

static void build_memory(struct builder *b, const struct smbios_config *cfg)
{
	uint64_t kib = cfg->ram_size >> 10, mib = cfg->ram_size >> 20;
	uint8_t *p = begin(b, 16, 23, HANDLE_ARRAY); /* 7.17 */

	p[4] = 1;
	p[5] = 3; /* system memory */
	p[6] = 6; /* multi-bit ECC */
	put_le32(p + 7, kib < 0x80000000 ? (uint32_t)kib : 0x80000000);
	put_le16(p + 11, 0xfffe);
	put_le16(p + 13, 1);
	if (kib >= 0x80000000)
		put_le64(p + 15, cfg->ram_size);
	end(b, "");

	p = begin(b, 17, 40, HANDLE_DIMM); /* 7.18 */
	put_le16(p + 4, HANDLE_ARRAY);
	put_le16(p + 6, 0xfffe);
	put_le16(p + 8, 64);
	put_le16(p + 10, 64);
	put_le16(p + 12, mib < 0x7fff ? (uint16_t)mib : 0x7fff);
	p[14] = 9; /* DIMM */
	p[16] = 1;
	p[18] = 7; /* RAM */
	put_le16(p + 19, 1 << 1);
	put_le32(p + 28, mib < 0x7fff ? 0 : (uint32_t)mib);
	end(b, "DIMM 0");
}

/* 7.20: one mapped range of the array; ends are inclusive, in KiB. */
static void build_range(struct builder *b, unsigned n, uint64_t start, uint64_t size)
{
	uint8_t *p = begin(b, 19, 31, (uint16_t)(HANDLE_MAP + n));
	bool wide = (start + size) >> 10 > 0xffffffff;

	put_le32(p + 4, wide ? 0xffffffff : (uint32_t)(start >> 10));
	put_le32(p + 8, wide ? 0xffffffff : (uint32_t)((start + size - 1) >> 10));
	put_le16(p + 12, HANDLE_ARRAY);
	p[14] = 1;
	if (wide) {
		put_le64(p + 15, start);
		put_le64(p + 23, start + size - 1);
	}
	end(b, "");
}

static void sum(uint8_t *p, unsigned len, unsigned at)
{
	uint8_t s = 0;

	for (unsigned i = 0; i < len; i++)
		s = (uint8_t)(s + p[i]);
	p[at] = (uint8_t)(p[at] - s);
}

/* 5.2.1: the 32-bit entry point. */
static void build_anchor(struct builder *b, uint32_t tables_at)
{
	uint8_t *p = b->t->anchor;

	memcpy(p, "_SM_", 4);
	p[5] = SMBIOS_ANCHOR_SIZE;
	p[6] = 2;
	p[7] = 8;
	put_le16(p + 8, (uint16_t)b->largest);
	memcpy(p + 16, "_DMI_", 5);
	put_le16(p + 22, (uint16_t)b->t->len);
	put_le32(p + 24, tables_at);
	put_le16(p + 28, (uint16_t)b->count);
	p[30] = 0x28;
	sum(p + 16, 15, 5);
	sum(p, SMBIOS_ANCHOR_SIZE, 4);
}

void smbios_build(struct smbios_tables *t, const struct smbios_config *cfg)
{
	struct builder b = { .t = t };
	uint8_t *p;

	memset(t, 0, sizeof(*t));
	build_bios(&b);
	build_system(&b);
	build_chassis(&b);
	for (unsigned i = 0; i < MAX(cfg->cpus.sockets, 1u); i++)
		build_cpu(&b, cfg, i);
	build_memory(&b, cfg);
	build_range(&b, 0, 0, cfg->ram_below4g);
	if (cfg->ram_size > cfg->ram_below4g)
		build_range(&b, 1, GIB(4), cfg->ram_size - cfg->ram_below4g);
	p = begin(&b, 32, 11, HANDLE_BOOT); /* 7.33: no errors detected */
	p[10] = 0;
	end(&b, "");
	begin(&b, 127, 4, HANDLE_END);
	end(&b, "");
	build_anchor(&b, cfg->tables_at);
}
