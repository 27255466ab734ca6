// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the machine's front panel: what people and programs outside do to a running machine, and ask of it
 *
 * All of it is for the machine's thread, the one that sits in pc_run(), which calls out to a struct pc_service; so
 * nothing here can meet a reset or an end half way.
 */
#ifndef BOARD_PANEL_H
#define BOARD_PANEL_H

#include "block/block.h"
#include "board/pc.h"
#include "cpu/cpu.h"
#include "dev/pci/pci.h"

enum pc_event { PC_EVENT_STOP, PC_EVENT_RESUME, PC_EVENT_RESET, PC_EVENT_SHUTDOWN, PC_EVENT_POWERDOWN,
	PC_EVENT_SUSPEND, PC_EVENT_WAKEUP, PC_EVENT_TRAY };

struct pc_news {
	bool guest;         /* RESET, SHUTDOWN: the guest's doing */
	const char *reason; /* likewise: as QEMU's ShutdownCause spells it */
	const char *drive;  /* TRAY */
	bool open;          /* TRAY */
};

/* Who steers it: ready() is called when fd is readable, event() at once. */
struct pc_service {
	int fd;
	void *opaque;
	void (*ready)(void *opaque);
	void (*event)(void *opaque, enum pc_event event, const struct pc_news *news);
};
/* Before pc_run; NULL: nobody, after it. */
void pc_set_service(struct pc *pc, const struct pc_service *service);

enum pc_state { PC_STATE_RUNNING, PC_STATE_PAUSED, PC_STATE_SUSPENDED, PC_STATE_SHUTDOWN };
enum pc_state pc_state(const struct pc *pc);

/* Everything the guest can see stands still until pc_resume: CPUs between two instructions, the clock, timers, TSCs;
 * disk requests have ended. Without effect if it is so already. */
void pc_pause(struct pc *pc);
/* -EPERM: the machine is off, and a reset is what it needs. */
int pc_resume(struct pc *pc, struct err *err);
void pc_quit(struct pc *pc);
/* A paused machine into a file, which is whole or not there; and a file into a paused machine that has the same chips,
 * CPU model, memory and disks, whose contents are as they were when it was saved. -EBUSY: not paused. The machine is as
 * before if anything is refused. */
int pc_save(struct pc *pc, const char *path, struct err *err);
int pc_load(struct pc *pc, const char *path, struct err *err);
/* What follows happens as soon as the machine's thread is back in pc_run. */
void pc_press_reset(struct pc *pc);
void pc_press_power(struct pc *pc);
void pc_wake(struct pc *pc);
void pc_nmi(struct pc *pc);
/* The guest's own reset ends the machine; its switching off pauses it. */
void pc_set_reboot_ends(struct pc *pc, bool ends);
void pc_set_off_pauses(struct pc *pc, bool pauses);

/* PS/2: set 1 codes; movement to the right and up, buttons 1 left, 2 right, 4 middle. */
void pc_key(struct pc *pc, const uint8_t *codes, unsigned n);
void pc_key_locked(struct pc *pc, const uint8_t *codes, unsigned n); /* lock held; any thread */
void pc_mouse(struct pc *pc, int dx, int dy, int dz, uint8_t buttons);
/* The screen: malloc()ed rows of RGB; NULL: the host has no memory. */
uint8_t *pc_screen(struct pc *pc, unsigned *width, unsigned *height);
/* Guest-physical memory: RAM and ROM; false: some of it is neither. */
bool pc_read_memory(struct pc *pc, uint64_t gpa, void *buf, size_t len);

/* CPU n, standing between two instructions until pc_look_end(); NULL: there is no such CPU. */
struct cpu *pc_look(struct pc *pc, unsigned n);
void pc_look_end(struct pc *pc);
unsigned pc_cpus(const struct pc *pc);
int pc_cpu_thread(const struct pc *pc, unsigned n);
void pc_stats(struct pc *pc, char *buf, size_t len);

struct pc_drive {
	char name[16];    /* as QEMU calls the like by default: ide0-hd0, ide1-cd0, virtio0, floppy0 */
	const char *path; /* of what is in it; NULL: nothing */
	const char *format;
	bool removable, has_tray, readonly, snapshot, locked, tray_open;
	uint64_t size;
	struct block_stats stats;
};
#define PC_DRIVES_MAX (PC_DISKS_MAX + 1 + PC_FLOPPIES_MAX)
unsigned pc_drives(struct pc *pc, struct pc_drive drive[PC_DRIVES_MAX]);
/* -ENODEV: there is no such drive; -EBUSY: locked by the guest, which has been told, and not forced; -EINVAL: not
 * removable. */
int pc_drive_tray(struct pc *pc, const char *name, bool open, bool force, struct err *err);
/* Open the tray, take out what is in. */
int pc_drive_eject(struct pc *pc, const char *name, bool force, struct err *err);
/* That, and put path in and close the tray. The image is opened first: if it cannot be, nothing has changed. */
int pc_drive_change(struct pc *pc, const char *name, const char *path, const char *format, bool readonly, bool force,
                    struct err *err);

/* For inspection. Lock held while they are walked. */
struct loop *pc_loop(struct pc *pc);
const struct mem *pc_mem(const struct pc *pc);
const struct pci_bus *pc_pci(const struct pc *pc);
struct state_set *pc_states(const struct pc *pc);
const struct pc_config *pc_configured(const struct pc *pc);
const char *pc_model_name(const struct pc *pc);

#endif
