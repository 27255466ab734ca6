// SPDX-License-Identifier: GPL-2.0-or-later
/* what: data breakpoints (DR0-3, DR7): pages the TLB must not cache, and hits seen by the slow path
 *
 * SDM vol 3 17.2. While one is enabled the pages it touches never enter the TLB, so that every access to
 * them comes here; nothing is paid otherwise. Who writes DR0-3 or DR7 calls mmu_flush_all().
 */
#include "mmu/mmu_int.h"

#define DR7_ENABLED 0xff
enum { RW_EXEC, RW_WRITE, RW_IO, RW_BOTH };

static unsigned watch_rw(uint64_t dr7, unsigned i)
{
	return dr7 >> (16 + 4 * i) & 3;
}

/* LEN: 0 one byte, 1 two, 2 eight, 3 four */
static unsigned watch_len(uint64_t dr7, unsigned i)
{
	return "\1\2\10\4"[dr7 >> (18 + 4 * i) & 3];
}

static bool watch_data(const struct cpu *cpu, unsigned i)
{
	uint64_t dr7 = cpu->s.dr[7];

	return dr7 >> (2 * i) & 3 && watch_rw(dr7, i) & 1;
}

static gla_t watch_base(const struct cpu *cpu, unsigned i)
{
	return mmu_wrap(cpu, cpu->s.dr[i]) & ~(gla_t)(watch_len(cpu->s.dr[7], i) - 1);
}

bool mmu_watching(const struct cpu *cpu)
{
	return cpu->s.dr[7] & DR7_ENABLED;
}

bool mmu_watch_page(const struct cpu *cpu, gla_t gla)
{
	for (unsigned i = 0; i < 4; i++) {
		if (watch_data(cpu, i) && (watch_base(cpu, i) & PAGE_MASK) == (gla & PAGE_MASK))
			return true;
	}
	return false;
}

void mmu_watch_hit(struct cpu *cpu, gla_t gla, size_t len, bool write)
{
	for (unsigned i = 0; i < 4; i++) {
		gla_t base = watch_base(cpu, i);

		if (!watch_data(cpu, i) || (!write && watch_rw(cpu->s.dr[7], i) == RW_WRITE))
			continue;
		if (gla < base + watch_len(cpu->s.dr[7], i) && base < gla + len)
			cpu->s.pending_dbg |= 1u << i;
	}
}

void mmu_watch_port(struct cpu *cpu, uint16_t port, unsigned size)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned len = watch_len(cpu->s.dr[7], i);
		gla_t base = cpu->s.dr[i] & ~(gla_t)(len - 1);
		bool on = cpu->s.dr[7] >> (2 * i) & 3 && watch_rw(cpu->s.dr[7], i) == RW_IO;

		if (on && port < base + len && base < port + size)
			cpu->s.pending_dbg |= 1u << i;
	}
}
