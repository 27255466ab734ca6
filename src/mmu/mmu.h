// SPDX-License-Identifier: GPL-2.0-or-later
/* what: guest linear addresses to memory: page walk, software TLB, and checked access for helpers
 *
 * Functions ending in _raise leave by #PF (or #GP/#SS for addresses that are not canonical) at s.rip and
 * have had no effect when they do. Compiled with -mgeneral-regs-only; MMIO goes through cpu_fpu_park().
 */
#ifndef MMU_MMU_H
#define MMU_MMU_H

#include "mmu/soft.h"
#include "mem/mem.h"

/* Access kinds. */
enum {
	MMU_READ = 0,
	MMU_WRITE = 1,
	MMU_EXEC = 2,
	MMU_SYS = 4,   /* implicit supervisor access whatever the CPL: descriptor tables, TSS (SDM vol 3 4.6) */
	MMU_SS = 8,    /* stack segment: non-canonical raises #SS(0), not #GP(0) */
	MMU_USER = 16, /* force user privilege; for tests (pushes to an outer stack are checked at the new CPL) */
};

/* Translate for kind; raises. Sets A and D bits. Returns the physical address (A20 applied). */
gpa_t mmu_translate_raise(struct cpu *cpu, gla_t gla, unsigned kind);
/* The same without raising and without touching A/D bits: false if not mapped for reads by the supervisor. For
 * debuggers and disassembly. */
bool mmu_peek(struct cpu *cpu, gla_t gla, gpa_t *out);

/* Scalar access, any size 1, 2, 4, 8, crossing pages if need be (both pages are checked before anything is written). */
uint64_t mmu_load_raise(struct cpu *cpu, gla_t gla, unsigned size, unsigned kind);
void mmu_store_raise(struct cpu *cpu, gla_t gla, uint64_t val, unsigned size, unsigned kind);
/* Set and clear bits of a byte, as LOCK would: (old & keep) | set. kind: without MMU_WRITE. */
void mmu_change_raise(struct cpu *cpu, gla_t gla, uint8_t set, uint8_t keep, unsigned kind);
/* Buffers up to CPU_BOUNCE bytes; all pages are checked first. */
void mmu_read_raise(struct cpu *cpu, gla_t gla, void *buf, size_t len, unsigned kind);
void mmu_write_raise(struct cpu *cpu, gla_t gla, const void *buf, size_t len, unsigned kind);
/* Check that [gla, gla+len) is accessible without accessing it. */
void mmu_probe_raise(struct cpu *cpu, gla_t gla, size_t len, unsigned kind);
/* Host address of [gla, gla+len) if it lies in one page that may be accessed directly (RAM; for writes no translated
 * code on the page), else NULL. Raises if the first byte faults. For fast string instructions. */
uint8_t *mmu_host_raise(struct cpu *cpu, gla_t gla, size_t len, unsigned kind);

/* Host address of [gla, gla+len), in one page, if the TLB has it for accesses at the current level; else NULL. len
 * 1..4096. */
uint8_t *mmu_tlb_host(struct cpu *cpu, enum cpu_rw rw, gla_t gla, size_t len);

/* The slow path of translated code: the inline TLB check missed for [gla, gla+size). Fills the TLB and returns the
 * host address; or, when there is none to give (crosses pages, MMIO, code page), cpu->bounce with the present bytes
 * loaded, bounce_gla and bounce_len set. kind: MMU_READ or MMU_WRITE (read-modify-write is MMU_WRITE) | MMU_SS.
 * Raises. For a write that bounced the engine calls mmu_commit afterwards. For write-only instructions (load = false)
 * MMIO is not read first. */
void *mmu_slow_raise(struct cpu *cpu, gla_t gla, uint32_t size, unsigned kind, bool load);
/* Write the bounce buffer to its place; sets bounce_exit if translated code was hit. */
void mmu_commit(struct cpu *cpu);

/* Host address of the page that gla is executed from, if mmu_translate_raise(MMU_EXEC) has found it lately; else
 * NULL. */
const uint8_t *mmu_exec_page(const struct cpu *cpu, gla_t gla);
/* Does execution at gla go through a global page, as far as the last mmu_translate_raise(MMU_EXEC) knows? */
bool mmu_exec_global(const struct cpu *cpu, gla_t gla);

/* An access to a port: I/O breakpoints that it meets become pending. */
void mmu_watch_port(struct cpu *cpu, uint16_t port, unsigned size);

/* No access at a biased address leads further than this out of the window that the bias is of, bytes. */
#define WINDOW_GUARD ((int64_t)1 << 32)
/* Windows (window.c): whether user code may be translated for them, and when. */
enum mmu_window_use { WINDOW_LATER, WINDOW_ALWAYS, WINDOW_NEVER };
/* After mmu_init. */
void mmu_window_init(struct cpu *cpu, enum mmu_window_use use);
void mmu_window_fini(struct cpu *cpu);
/* It is one of so many that share what a process may map; after mmu_window_init. */
void mmu_window_share(struct cpu *cpu, unsigned ncpus);
/* Another thread of the host runs the CPU from now on. */
void mmu_window_thread(struct cpu *cpu);
static inline bool mmu_window_on(const struct cpu *cpu)
{
	const struct mmu *m = cpu->mmu;
	const struct mmu_window *w = &m->window[m->ctx];

	if (cpu->s.dr[7] & 0xff) /* data breakpoints: watch.c */
		return false;
	return (w->on && w->view == cpu->view) || (m->window_use == WINDOW_ALWAYS && cpu->view == VIEW_USER && !w->rest);
}
/* Before code for windows runs in another mode than before. */
void mmu_window_enter(struct cpu *cpu);
/* Back in user mode, perhaps from the guest's #PF: bring in the page that it was about before it is missed again. */
void mmu_window_wanted(struct cpu *cpu);
/* A timer interrupt found the CPU in user mode. */
void mmu_window_tick(struct cpu *cpu);
/* Supervisor code at a low address, a boot loader, missed the TLB. */
void mmu_window_missed(struct cpu *cpu);
/* An access that the guest may make found no answer in windows. */
void mmu_window_refused(struct cpu *cpu);
/* Translated user code faulted at a biased address: canonical: at host address addr, else #GP. bias: what was added
 * to the guest's address. FILLED: try again, biases of slots with a window are as they were. GUEST: leave the block
 * and let one strict step tell. NOT: the same, and windows will not answer next time either. Safe in a signal handler
 * that interrupted translated code. */
enum mmu_window_fault { WINDOW_FILLED, WINDOW_GUEST, WINDOW_NOT };
enum mmu_window_fault mmu_window_fault(struct cpu *cpu, bool canonical, uint64_t addr, bool write, uint64_t *bias);

/* Forget translations. Each tells cpu->mmu->flushed. */
/* Those of all PCIDs, global ones too: CR0.PG/WP, CR4.PGE/PAE/PSE/PCIDE/SMEP.., EFER.NXE, DR0-3 and DR7, A20 and map
 * changes. */
void mmu_flush_all(struct cpu *cpu);
/* Those of the current PCID. */
void mmu_flush_nonglobal(struct cpu *cpu);
/* INVLPG: those of the current PCID and global ones, any size of page that holds gla. */
void mmu_flush_page(struct cpu *cpu, gla_t gla);
/* MOV CR3 with PCID: val is the full operand (bit 63 = keep). Loads s.cr3, PDPTEs (raises #GP on bad PAE PDPTEs). */
void mmu_set_cr3_raise(struct cpu *cpu, uint64_t val);
/* Load s.pdpte from cr3 as MOV to CR0 and CR4 do when they switch PAE paging on; false and nothing changed: #GP is
 * due. */
bool mmu_load_pdptes(struct cpu *cpu, uint64_t cr3);
void mmu_invpcid_raise(struct cpu *cpu, uint64_t type, uint64_t pcid, gla_t gla);
/* A RAM page came to hold translated code: drop write entries for it in every view. */
void mmu_protect_code(struct cpu *cpu, uint64_t ram_off);
/* Any thread: may the CPU keep an address by which it writes to the RAM page at ram_off? */
bool mmu_may_write(const struct cpu *cpu, uint64_t ram_off);
/* Make all TLB entries invalid at start. */
void mmu_init(struct cpu *cpu);

#endif
