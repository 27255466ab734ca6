// SPDX-License-Identifier: GPL-2.0-or-later
/* what: struct mmu: what one vCPU keeps of its page tables in software: TLB, walks, contexts, windows
 *
 * Beside struct cpu and reached by cpu->mmu; an engine that translates addresses in hardware has it for what it leaves
 * to software. Translated code looks into it at fixed distances from its RSP (xlate/xcpu.h), so who makes one is the
 * engine; what depends on translations is told of their end by the functions at its head.
 */
#ifndef MMU_SOFT_H
#define MMU_SOFT_H

#include "cpu/cpu.h"

/* A software TLB entry. Valid for ea iff ea - tag <= 4096 - size. An invalid entry's tag is a page that hashes to
 * another slot: ((i ^ 1) << 12) for slot i. */
#define TLB_BITS 13
#define TLB_SIZE (1u << TLB_BITS)
struct mmu_tlbe {
	uint64_t tag;  /* linear address of the page */
	uint64_t host; /* host address of the page */
};
/* In front of the TLB: the page that was last used through each base register, for code translated with it. An
 * invalid entry's tag is no canonical address; should a guest use that address, the access through its host address,
 * no canonical one either, faults. */
#define NEAR_SIZE 20
#define NEAR_NONE (1ull << 63)
/* Index of an entry among all: (view * 2 + rw) * TLB_SIZE + slot. sum: the words of bits that are not 0. */
#define TLB_ALL (VIEW_COUNT * TLB_RW_COUNT * TLB_SIZE)
struct mmu_tlb_used {
	uint64_t sum[(TLB_ALL / 64 + 63) / 64];
	uint64_t bits[TLB_ALL / 64];
};
#define MMU_LARGE 1024
#define MMU_LARGE_SET (1ull << 63)
/* Pages of RAM told apart: 4 GiB; larger machines share bits. */
#define MMU_WRITTEN (1u << 20)

/* A page table that a 4-level walk ended in, with the rights of the levels above: the walk's last step without the
 * first three (a paging-structure cache, SDM vol 3 4.10.3). */
#define MMU_PDE_SIZE 64
struct mmu_pde {
	uint64_t region;   /* linear address >> 21 */
	uint8_t *table;    /* host address of the page table */
	uint64_t reserved; /* bits that must be 0 in its entries */
	uint64_t gen;      /* alive while equal to pde_gen */
	uint8_t esize;     /* bytes an entry */
	bool user, write, nx;
};

/* Translations for execution, kept for the look-up of blocks; a compiler runs through a thousand pages of code. tag:
 * linear address of the page | user. */
#define MMU_EXEC_SIZE 4096
struct mmu_exec {
	uint64_t tag, gpa;
	const uint8_t *host; /* of the page; NULL: not memory */
	uint64_t gen : 63, global : 1;
};

/* TLB entries out of the TLB, in groups of neighbours: mmu/saved.c. */
#define SAVED_GROUP 32u
#define SAVED_FRAMES 256u
struct mmu_saved {
	uint8_t frame[TLB_ALL / SAVED_GROUP]; /* of a group; 0: nothing is saved of it */
	uint64_t free[SAVED_FRAMES / 64];
	uint32_t used;                        /* frames */
	uint32_t bits[SAVED_FRAMES];          /* which entries of a frame */
	struct mmu_tlbe e[SAVED_FRAMES][SAVED_GROUP];
};

/* What is kept of an address space by PCID: mmu/context.c. */
#define MMU_CTX 8
struct mmu_ctx {
	bool live;                  /* has pcid; always so for the current one */
	uint16_t pcid;
	uint64_t exec_gen, pde_gen; /* while it is not current */
	uint64_t left;              /* when it was current last, on the counter of generations */
	struct mmu_saved saved;
};

/* Windows of an address space (mmu/window.c): host memory of 2^39 bytes and a guard for each slot of user addresses. */
#define WINDOW_SLOTS 8
struct mmu_window {
	bool on;             /* code is translated for it */
	uint8_t view;        /* enum cpu_view: whose rights its pages have */
	uint8_t n;
	uint16_t ticks;      /* timer interrupts in user mode since its address space began, or gave windows up */
	uint64_t root;       /* CR3 of that address space */
	uint8_t spent;       /* how often it gave windows up */
	uint64_t since;      /* CPU time of the host's thread when it was turned on, ns */
	uint8_t slot[WINDOW_SLOTS];
	uint8_t *host[WINDOW_SLOTS]; /* kept for other slots */
	uint32_t pages;      /* mapped since it was cleared */
	uint64_t cost;       /* of all mapped since it was turned on, host TSC ticks */
	bool rest;           /* none for a while, although they are used from the start */
	uint64_t filter[512];
	uint64_t large[16];  /* hashed 4 MiB regions that large pages were mapped in */
};

/* A page of device registers: the walk of an access that the TLB cannot answer. tag: linear address of the page | view
 * << 1 | write. */
#define MMU_IO_SIZE 8
struct mmu_io {
	uint64_t tag, gpa;
	uint64_t gen; /* alive while equal to pde_gen */
};

/* What INVLPG of a large page drops: 4 MiB, the larger of both kinds. */
#define FLUSH_REGION_SHIFT 22

/* What dies or gives way, for who keeps something of it too. */
enum mmu_flush {
	FLUSH_PAGE,      /* those of gla: the current context's and global ones */
	FLUSH_REGION,    /* the same of the 4 MiB around gla: what a large page may have covered */
	FLUSH_NONGLOBAL, /* the current context's, all but global ones */
	FLUSH_ALL,       /* of all contexts, global ones too */
	FLUSH_SWITCH,    /* none: context gla becomes the current one instead of cpu->ctx, with what it had */
	FLUSH_CONTEXT,   /* those of context gla, which is not the current one */
};


/* User addresses by bits 40 to 46, and what else reaches the table of biases; the rest of what SHRX may give lies in a
 * hole of so many bytes behind it. */
#define MMU_SLOT_SHIFT 40
#define MMU_SLOTS 128
#define MMU_BIASES 512
#define MMU_BIAS_HOLE (((size_t)1 << (64 - MMU_SLOT_SHIFT)) * 8)

struct mmu {
	/* For the engine's own caches: what died; windows gave way to the TLB, so leave and look. */
	void (*flushed)(struct cpu *cpu, enum mmu_flush scope, gla_t gla);
	void (*gave_way)(struct cpu *cpu);
	/* guest wrote RAM at [off, off+len) that holds translated code */
	void (*code_written)(struct cpu *cpu, uint64_t off, uint64_t len);
	/* around such writes and what is told of them; false: they have begun already */
	bool (*code_begin)(struct cpu *cpu);
	void (*code_end)(struct cpu *cpu);
	bool near_live[VIEW_COUNT][TLB_RW_COUNT]; /* any valid entry in near? */
	_Alignas(64) struct mmu_tlbe near[VIEW_COUNT][TLB_RW_COUNT][NEAR_SIZE];
	_Alignas(64) struct mmu_tlbe tlb[VIEW_COUNT][TLB_RW_COUNT][TLB_SIZE];
	/* ---- members above are at offsets known to xlate/entry.S (xlate/offsets.h) ---- */
	struct mmu_tlb_used tlb_used[2]; /* which TLB entries are filled: [0] with non-global pages, [1] with global ones */
	uint8_t tlb_written[MMU_WRITTEN / 8]; /* a bit for each host page that may have had write entries */
	/* hash table: gla >> 21 | MMU_LARGE_SET of the regions that large pages with entries touch */
	uint64_t tlb_large[MMU_LARGE];
	uint32_t tlb_large_n;
	uint64_t tlb_huge;       /* hashes, by bit, of the 1 GiB pages that have entries */
	uint64_t exec_gen[2];    /* exec entries of another generation are dead: [0] non-global, [1] global */
	struct mmu_exec exec[MMU_EXEC_SIZE];
	struct mmu_pde pde[MMU_PDE_SIZE];
	struct mmu_io io[MMU_IO_SIZE];
	uint64_t pde_gen;        /* every flush, INVLPG too, moves it on */
	uint64_t gen_last;       /* the newest generation of anything */
	uint32_t ctx;            /* number of the current context: whose non-global translations these are */
	struct mmu_ctx context[MMU_CTX];
	struct mmu_window window[MMU_CTX];
	uint8_t window_use;      /* enum mmu_window_use */
	uint8_t *window_written; /* a bit for each RAM page that was mapped writable */
	uint32_t window_pages, window_pages_max; /* in all of them */
	uint32_t window_slots, window_slots_max; /* reserved for them */
	bool window_global;      /* a global page may be among them: INVLPG is about every context */
	uint32_t loader_misses;  /* TLB misses of a boot loader's code, and how often windows were no use to it */
	uint8_t loader_strikes;
	uint32_t loader_refused; /* how often it touched what is no RAM, since the last strike */
	uint64_t window_wanted;  /* page that user code faulted on, 0: none; and whose it was */
	uint32_t window_wanted_ctx;
	uint64_t signal_ticks;   /* what a signal of a fault costs the host, host TSC ticks */
	uint64_t window_gs;      /* the host's GS base, 0: not known */
	uint8_t *window_none;    /* as large as a slot: where addresses of slots without a window end */
	struct mmu_wnear { uint64_t slot, bias; } wnear[NEAR_SIZE]; /* the slot last used through a base register */
	/* host address of a user address, less that address, by the latter's slot: the struct ends with the last */
	_Alignas(4096) uint64_t bias[MMU_BIASES];
};

#endif
