// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the machine as a whole: what it consists of, running it, and how it ended */
#ifndef BOARD_PC_H
#define BOARD_PC_H

#include "base/base.h"
#include "cpu/cpuid.h"
#include "net/net.h"
#include "vcpu/vcpu.h"

#define PC_DISKS_MAX 8
#define PC_FLOPPIES_MAX 2
#define PC_SERIALS_MAX 4
#define PC_NETS_MAX 8
#define PC_MEMORY_MIN MIB(4)
#define PC_CPUS_MAX 64
#define PC_DEBUG_EXIT_PORT 0xf4

#define PC_STATS_LEN 16384

struct pc;

struct pc_disk {
	const char *path;
	const char *format;    /* NULL: raw */
	const char *interface; /* a row of board/chips.c; NULL: the first */
	bool readonly, snapshot;
};

/* A card and the network it is plugged into. */
struct pc_net {
	struct net_config net;
	const char *model;     /* a row of board/chips.c; NULL: the first */
	bool has_mac;          /* else it is derived */
	uint8_t mac[NET_MAC_LEN];
};

/* Strings are the caller's and stay valid until pc_free. */
/* Cores of the host that the vCPUs' threads are kept to, in turn; n 0: none. */
struct pc_pin {
	unsigned n;
	uint16_t core[PC_CPUS_MAX];
};

struct pc_config {
	uint64_t memory;      /* bytes */
	const char *cpu;      /* NULL: the host's */
	struct cpu_topology cpus; /* all 0: one */
	struct pc_pin pin;
	const char *kernel, *initrd, *append;
	const char *firmware; /* NULL: SeaBIOS where the distribution has it */
	struct pc_disk disk[PC_DISKS_MAX];
	unsigned ndisks;
	const char *cdrom;
	const char *floppy[PC_FLOPPIES_MAX]; /* images in drives A and B; NULL: a drive without a disk */
	unsigned nfloppies;   /* drives that CMOS and ACPI tell of */
	struct pc_net net[PC_NETS_MAX];
	unsigned nnets;
	const char *boot;     /* letters: a floppy, c disks, d CD-ROM, n network; NULL: "cdan" */
	const char *serial[PC_SERIALS_MAX];
	unsigned nserials;
	const char *console;  /* virtio console; NULL: none */
	bool display_text;
	bool debug_exit;
	uint16_t debug_exit_port;
	const char *debugcon; /* file; NULL: none */
	uint16_t debugcon_port;
	bool test_device;
	bool no_reboot;
	const char *load;     /* NULL, or pc_load() that before the first instruction */
	bool paused;          /* pc_run begins so; who steers it goes on */
	bool stepped;         /* for tests: no I/O thread, time moves by loop_step(); never pc_run() */
	uint64_t timeout_ms;  /* 0: none */
	int quit_fd;          /* becomes readable when the machine shall end; -1: none */
	bool stats;           /* take samples of where the engine's time goes */
	int stats_fd;         /* with stats: an eventfd that becomes readable when tell() is wanted */
	void (*tell)(const char *text); /* the report so far, many lines; by pc_run's thread */
	bool perf_map;        /* name translated blocks for Linux perf */
	enum engine_mode mode;
};

enum pc_end {
	PC_RUNNING,
	PC_POWEROFF,     /* the guest switched itself off */
	PC_RESET,        /* the guest reset itself, with no_reboot */
	PC_TRIPLE_FAULT, /* likewise by triple fault */
	PC_TIMEOUT,
	PC_QUIT,         /* Ctrl-A x */
	PC_SIGNALLED,    /* quit_fd */
	PC_DEBUG_EXIT,   /* debug-exit port; code in pc_result */
	PC_STUCK,        /* the guest can never go on */
};

struct pc_result {
	enum pc_end end;
	uint32_t code;       /* PC_DEBUG_EXIT: what the guest wrote, times two plus one */
	unsigned resets;
	char stats[PC_STATS_LEN]; /* of the engine, with pc_config.stats */
	char state[4096];    /* of the vCPU, for PC_TRIPLE_FAULT and PC_STUCK and PC_TIMEOUT */
};

/* Make the machine: opens every file, changes none. Errors are the user's, unless the host has run out of something. */
struct pc *pc_new(const struct pc_config *cfg, struct err *err);
/* Run until it ends. 0 and *result, or negative when the host failed. */
int pc_run(struct pc *pc, struct pc_result *result, struct err *err);
/* Flushes disks, restores the terminal. */
void pc_free(struct pc *pc);
/* What runs the code of guests on this host. */
const struct engine_ops *pc_engine(void);
/* Which engine runs the guest and what was built, in one line each, through log at LOG_INFO. */
void pc_describe(const struct pc *pc);
/* Is there a disk interface of that name? For options. */
bool pc_disk_interface_known(const char *name);
/* A card of that name? */
bool pc_card_model_known(const char *name);
/* All of them, for messages. */
const char *pc_card_models(void);

#endif
