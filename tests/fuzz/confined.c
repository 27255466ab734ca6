// SPDX-License-Identifier: GPL-2.0-or-later
/* what: has a guest got out? System calls of translated code, and where the TLB and windows lead (confined.h)
 */
#include "confined.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "mem/mem_int.h"
#include "vcpu/vcpu_int.h"
#include "xlate/xlate_int.h"

#define WINDOW_SIZE (1ull << MMU_SLOT_SHIFT) /* mmu/window.c */

void confined_forbid_syscalls(const struct vcpu *v)
{
	uint64_t from = (uint64_t)(uintptr_t)((const struct xlate *)v->cpu->engine)->c->rx, to = from + CODE_SIZE;
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(from >> 32), 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)from, 0, 1),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)to, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};

	/* a cache across a 4 GiB border is not watched: the filter compares halves */
	if (from >> 32 == to >> 32 && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ ARRAY_LEN(f), f });
}

/* RAM, ROM or video RAM. */
static bool is_memory(const struct mem *mem, uint64_t host)
{
	if (host - (uint64_t)(uintptr_t)mem->ram < mem->size)
		return true;
	for (const struct mem_region *r = mem->regions; r; r = r->next)
		if (r->host && host - (uint64_t)(uintptr_t)r->host < r->size)
			return true;
	return false;
}

/* Whatever the guest did, what translated code may reach is the guest's, and a flush will find the entry (I1 of
 * mmu/tlb.c). */
static void check_tlb(const struct cpu *cpu, const struct mem *mem)
{
	const struct mmu_tlbe *e = &cpu->mmu->tlb[0][0][0];
	const struct mmu_tlb_used *used = cpu->mmu->tlb_used;

	for (unsigned k = 0; k < TLB_ALL; k++) {
		bool valid = (e[k].tag >> 12 & (TLB_SIZE - 1)) == k % TLB_SIZE;

		must(valid == ((used[0].bits[k / 64] | used[1].bits[k / 64]) >> k % 64 & 1));
		must(!valid || (is_memory(mem, e[k].host) && !(e[k].host & 4095)));
	}
}

static uint64_t overlap(uint64_t first, uint64_t last, const uint8_t *at, uint64_t guard)
{
	uint64_t window = (uint64_t)(uintptr_t)at, from = MAX(first, window - guard);
	uint64_t to = MIN(last, window + WINDOW_SIZE + guard);

	return from < to ? to - from : 0;
}

/* Bytes of [first, last) that lie in windows, or in guards of that size. */
static uint64_t in_windows(const struct cpu *cpu, uint64_t first, uint64_t last, uint64_t guard)
{
	uint64_t sum = overlap(first, last, cpu->mmu->window_none, guard);

	for (unsigned c = 0; c < MMU_CTX; c++)
		for (unsigned k = 0; k < WINDOW_SLOTS && cpu->mmu->window[c].host[k]; k++)
			sum += overlap(first, last, cpu->mmu->window[c].host[k], guard);
	return sum;
}

/* I1 of mmu/window.c, as the host has it: guest RAM or nothing, and no hole where something else may come to lie. */
static void check_windows(const struct cpu *cpu, const struct mem *mem)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long long first, last, offset, inode, covered = 0;
	char line[512], perms[5];
	struct stat ram;

	must(f && fstat(mem_ram_fd(mem), &ram) == 0);
	while (fgets(line, sizeof(line), f)) {
		must(sscanf(line, "%llx-%llx %4s %llx %*s %llu", &first, &last, perms, &offset, &inode) == 5);
		uint64_t size = in_windows(cpu, first, last, WINDOW_GUARD);

		if (!size)
			continue;
		covered += size;
		if (!memcmp(perms, "---", 3))
			continue;
		must(perms[2] == '-' && inode == ram.st_ino && offset + last - first <= mem_ram_size(mem));
		must(!overlap(first, last, cpu->mmu->window_none, 0) && size == in_windows(cpu, first, last, 0));
	}
	fclose(f);
	must(covered == in_windows(cpu, 0, UINT64_MAX, WINDOW_GUARD));
	must(!cpu->stats.count[STAT_ASTRAY]);
}

void confined_check(const struct cpu *cpu, const struct mem *mem)
{
	check_tlb(cpu, mem);
	if (cpu->mmu->window_none)
		check_windows(cpu, mem);
}
