// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the machine's parts, for the files of this room */
#ifndef BOARD_PC_INT_H
#define BOARD_PC_INT_H

#include "base/wire.h"
#include "board/acpi.h"
#include "board/firmware.h"
#include "board/kernel.h"
#include "board/panel.h"
#include "board/pc.h"
#include "board/smbios.h"
#include "cpu/cpuid.h"
#include "dev/isa/debugcon.h"
#include "dev/isa/debugexit.h"
#include "dev/isa/dma.h"
#include "dev/isa/fwcfg.h"
#include "dev/isa/i8042.h"
#include "dev/isa/pic.h"
#include "dev/isa/pit.h"
#include "dev/isa/port92.h"
#include "dev/isa/rtc.h"
#include "dev/isa/testdev.h"
#include "dev/isa/uart.h"
#include "dev/pci/i440fx.h"
#include "dev/pci/piix3.h"
#include "dev/pci/piix4_pm.h"
#include "dev/sys/hpet.h"
#include "dev/sys/ioapic.h"
#include "dev/sys/lapic.h"
#include "dev/vga/vga.h"
#include "dev/virtio/virtio.h"
#include "ui/ui.h"
#include "vcpu/vcpu.h"

#define PC_RAM_LOW_MAX 0xe0000000u /* RAM below 4 GiB ends here at most */
#define PC_TABLES_SIZE KIB(64)     /* ACPI tables at the end of low RAM, without firmware */

/* Slots of the PCI bus; 0 and 1 are the chipset's. */
enum { PC_SLOT_VGA = 2, PC_SLOT_FIRST_FREE = 3, PC_SLOTS = 32 };
#define PC_DEVFN(slot) ((uint8_t)((slot) << 3))

struct storage;
struct network;

/* What wires and callbacks of one CPU are handed. */
struct pc_cpu {
	struct pc *pc;
	unsigned n;
	struct vcpu *vcpu;
	struct lapic *lapic; /* NULL: the CPU has none */
};

/* suspend.c: what a saved machine has besides its chips. Guest time, UTC ns, host TSC when the clock stopped and its
 * rate, host TSC at which the guests' TSCs were 0, the halves of gate A20. */
struct pc_saved {
	uint64_t now, wall, tsc, tsc_hz, tsc_zero;
	bool a20_kbd, a20_fast;
	uint8_t pad_[6];
};
extern const struct st_type pc_saved_type;

struct pc {
	struct pc_config cfg;
	struct loop *loop;
	struct mem *mem;
	struct state_set *states;
	struct cpu_model *model;
	struct pc_cpu cpu[PC_CPUS_MAX]; /* ncpus of them; the first one starts the system */
	unsigned ncpus;
	/* what starts it */
	struct rom firmware, vga_bios;
	struct kernel *kernel; /* not NULL: no firmware */
	/* chips */
	struct pci_bus *pci;
	struct i440fx *i440fx;
	struct piix3 *piix3;
	struct piix4_pm *pm;
	struct pic *pic;
	struct pit *pit;
	struct rtc *rtc;
	struct dma *dma;
	struct i8042 *i8042;
	struct port92 *port92;
	struct uart *uart[PC_SERIALS_MAX];
	struct fwcfg *fwcfg;
	struct lapic_bus *lapic_bus;
	struct ioapic *ioapic;
	struct hpet *hpet;
	struct vga *vga;
	struct debugexit *debugexit;
	struct debugcon *debugcon, *user_debugcon;
	struct testdev *testdev;
	struct virtio_rng *rng;
	struct virtio_console *console;
	struct storage *storage;
	struct network *network;
	struct ui_stream *stream[PC_SERIALS_MAX], *console_stream, *debugcon_stream;
	struct ui_text *text;
	unsigned next_slot;
	unsigned isa_cards; /* network cards on ISA */
	/* wiring that is more than a wire */
	bool a20_kbd, a20_fast;
	bool hpet_legacy;
	struct wire isa_irq0, isa_irq8, isa_irq13;
	char debug_line[128];
	unsigned debug_len;
	/* how it goes on; device lock */
	uint64_t tsc_zero; /* host TSC when the guests' begin */
	enum pc_end end;
	uint32_t exit_code;
	bool reset_wanted, reset_is_triple;
	bool sleep_wanted, asleep, wake_wanted; /* S3 */
	bool go_on_wanted; /* without firmware: at the pointer at 40:67 */
	unsigned resets, futile_resets;
	bool halt_reported; /* since the last reset */
	unsigned faulted;  /* the CPU that shut down last */
	uint64_t reset_at; /* loop_now() */
	/* panel.c; the machine's thread */
	struct pc_service service;
	unsigned standing; /* reasons for the vCPUs to stand */
	bool paused, off;  /* off: the guest switched itself off, and that pauses */
	bool off_pauses, quit_asked, reset_pressed;
	bool tray_told;    /* the tray was open when it was told of last */
	uint64_t stood_at; /* host TSC when the clock stopped */
	struct pc_saved saved;
	int wake_fd;       /* eventfd: end or reset_wanted changed */
};

/* life.c: all CPUs. Threads begin, and end, joined; not from a vCPU's thread, lock not held. Reset as by RESET#, not
 * running, but for the first one if it is guestinfo_start_kernel() that sets it up. */
int pc_start_cpus(struct pc *pc, struct err *err);
void pc_stop_cpus(struct pc *pc);
void pc_reset_cpus(struct pc *pc);
/* Device lock held, any thread. */
void pc_end_with(struct pc *pc, enum pc_end end);
void pc_ask_reset(struct pc *pc, bool triple_fault);
/* The CPU alone: goes on at 40:67 if CMOS says so, else it is pc_ask_reset(), to which firmware would come itself. */
void pc_ask_cpu_reset(struct pc *pc, bool triple_fault);
/* S3: the CPU stops, and goes on when something wakes the machine; without effect unless it sleeps. */
void pc_ask_sleep(struct pc *pc);
void pc_ask_wake(struct pc *pc);
/* A CPU sleeps with interrupts off: say so once, if all do and nothing can wake one. By its thread. */
void pc_report_halted(struct pc *pc);
/* All chips as at power-on, and nothing of before reaches guest memory any more. vCPU not running, lock not held. */
void pc_reset(struct pc *pc);

/* panel.c. The vCPUs are to stand, or to begin so. The clock stops when all do; and goes on. */
void pc_ask_stand(struct pc *pc);
void pc_clock_stand(struct pc *pc);
void pc_clock_go(struct pc *pc);
void pc_tell(struct pc *pc, enum pc_event event, const struct pc_news *news);
/* Tell if the guest has moved a tray. */
void pc_look_at_tray(struct pc *pc);
/* life.c: the report of the engine, and what the I/O thread adds to it. Wake the machine's thread; any thread. */
void pc_write_stats(struct pc *pc, char *buf, size_t len);
void pc_nudge(struct pc *pc);

/* wires.c: wires of a struct pc_cpu. Lock held. */
void pc_intr_line(void *opaque, int n, bool level);
void pc_nmi_line(void *opaque, int n, bool level);
void pc_init_line(void *opaque, int n, bool level);
void pc_sipi_line(void *opaque, int vector, bool level);
/* Wires of the struct pc; those with a number: n is it. Lock held. */
void pc_isa_line(void *opaque, int n, bool level);
void pc_ioapic_line(void *opaque, int n, bool level);
void pc_ignne_line(void *opaque, int n, bool level);
void pc_poweroff_line(void *opaque, int n, bool level);
void pc_suspend_line(void *opaque, int n, bool level);
void pc_wake_line(void *opaque, int n, bool level);
/* OUT of the PIT (n = 0) and of the RTC (8); and who may take their place. */
void pc_timer_line(void *opaque, int n, bool level);
void pc_hpet_legacy_line(void *opaque, int n, bool level);
/* What a vCPU and its local APIC ask (struct cpu_hooks, vcpu_config, lapic_config): of the struct pc_cpu. */
uint8_t pc_get_tpr(void *opaque);
void pc_set_tpr(void *opaque, uint8_t tpr);
bool pc_apic_rdmsr(void *opaque, uint32_t msr, uint64_t *val);
bool pc_apic_wrmsr(void *opaque, uint32_t msr, uint64_t val);
int pc_ack(void *opaque);
int pc_extint_ack(void *opaque);
uint64_t pc_tsc_to_ns(void *opaque, uint64_t tsc);

/* pc.c: power-on state of all chips; of those that had no power in S3. Lock held, vCPU not running. */
void pc_reset_chips(struct pc *pc);
void pc_wake_chips(struct pc *pc);

/* guestinfo.c: what firmware is told. Lock held. */
void guestinfo_publish(struct pc *pc);
/* Whether the kernel fits into this machine's RAM: asked before anything of the host's is touched. */
int guestinfo_check_kernel(struct pc *pc, struct err *err);
/* The same without firmware: tables into RAM, chips handed over, kernel placed, the vCPU at its entry. vCPU not
 * running, lock not held. */
int guestinfo_start_kernel(struct pc *pc, struct err *err);
/* The same for a machine that wakes from S3: chips handed over, the vCPU at the waking vector in the FACS. False: there
 * is none. */
bool guestinfo_wake_kernel(struct pc *pc);
/* After the CPU's reset without firmware: it goes on at cs:ip. vCPU not running. */
void guestinfo_start_real(struct pc *pc, uint16_t cs, uint16_t ip);

/* network.c: network cards. Lock held. */
int network_attach(struct pc *pc, struct err *err);
void network_reset(struct network *nw);
void network_free(struct network *nw);
/* Firmware device paths, one a line. */
void network_boot_paths(const struct network *nw, char *buf, size_t len);

/* storage.c: disks and drives. Open images (lock not held), then make the controllers (lock held). */
struct storage *storage_open(struct pc *pc, struct err *err);
int storage_attach(struct storage *st, struct pc *pc, struct err *err);
/* Close images: requests under way end before their drives go. Lock not held, loop stopped. */
void storage_close(struct storage *st);
void storage_reset(struct storage *st);
/* Waits for requests under way. After storage_reset they end without a sequel. Lock not held. */
void storage_drain(struct storage *st);
/* After storage_close, lock held. */
void storage_free(struct storage *st);
/* Drives as the panel shows them; the CD-ROM's tray. Lock held. */
unsigned storage_list(const struct storage *st, const struct pc *pc, struct pc_drive drive[PC_DRIVES_MAX]);
void storage_move_tray(struct storage *st, bool open);
void storage_press_eject(struct storage *st);
/* Another medium (NULL: none) for a removable drive; path is copied. Lock not held. */
void storage_put(struct storage *st, struct pc *pc, const char *name, struct block *blk, const char *path);
/* Firmware device paths in boot order, one a line; CMOS bytes about drives. Lock held. */
void storage_boot_order(const struct storage *st, const char *order, char *buf, size_t len);
void storage_fill_cmos(const struct storage *st, struct rtc *rtc);

#endif
