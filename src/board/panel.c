// SPDX-License-Identifier: GPL-2.0-or-later
/* what: pause and resume, keys, the screen and memory, for who steers the machine from outside
 *
 *   pc_pause: vCPUs asked to stand, awaited --> loop_stand: clock and timers --> storage_drain
 *   pc_resume: the TSCs lose what passed --> loop_go --> vCPUs go on
 *
 * I1  While paused no guest instruction runs and no timer fires, also after a reset: a vCPU started meanwhile stands
 *     before its first instruction.
 * I2  Clock and TSC are read one after the other in the same order at both ends, so what they drift apart by cancels.
 */
#include "board/panel.h"

#include <string.h>
#include <unistd.h>

#include "board/pc_int.h"

void pc_set_service(struct pc *pc, const struct pc_service *service)
{
	pc->service = service ? *service : (struct pc_service){ .fd = -1 };
}

void pc_tell(struct pc *pc, enum pc_event event, const struct pc_news *news)
{
	static const struct pc_news none;

	if (pc->service.event)
		pc->service.event(pc->service.opaque, event, news ? news : &none);
}

enum pc_state pc_state(const struct pc *pc)
{
	return pc->off ? PC_STATE_SHUTDOWN : pc->paused ? PC_STATE_PAUSED : pc->asleep ? PC_STATE_SUSPENDED :
	       PC_STATE_RUNNING;
}

/* Standing */

void pc_ask_stand(struct pc *pc)
{
	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_ask_stand(pc->cpu[k].vcpu);
}

static void wait_stand(struct pc *pc)
{
	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_wait_stand(pc->cpu[k].vcpu);
}

static void stand_begin(struct pc *pc)
{
	if (pc->standing++)
		return;
	pc_ask_stand(pc);
	wait_stand(pc);
}

static void stand_end(struct pc *pc)
{
	if (--pc->standing)
		return;
	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_go(pc->cpu[k].vcpu);
}

/* A prompt is seen although the timer that would write it stands. */
static void flush_streams(struct pc *pc)
{
	loop_lock(pc->loop);
	for (unsigned i = 0; i < PC_SERIALS_MAX; i++)
		if (pc->stream[i])
			ui_stream_flush(pc->stream[i]);
	if (pc->console_stream)
		ui_stream_flush(pc->console_stream);
	loop_unlock(pc->loop);
}

void pc_clock_stand(struct pc *pc)
{
	wait_stand(pc);
	if (!pc->cfg.stepped)
		loop_stand(pc->loop);
	pc->stood_at = __builtin_ia32_rdtsc();
	storage_drain(pc->storage);
	flush_streams(pc);
}

void pc_clock_go(struct pc *pc)
{
	uint64_t passed = __builtin_ia32_rdtsc() - pc->stood_at;

	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_tsc_back(pc->cpu[k].vcpu, passed);
	if (!pc->cfg.stepped)
		loop_go(pc->loop);
}

void pc_pause(struct pc *pc)
{
	if (pc->paused || pc->end != PC_RUNNING)
		return;
	stand_begin(pc);
	pc->paused = true;
	pc_clock_stand(pc);
	pc_tell(pc, PC_EVENT_STOP, NULL);
}

int pc_resume(struct pc *pc, struct err *err)
{
	if (pc->off)
		return err_set(err, -EPERM, "Resetting the Virtual Machine is required");
	if (!pc->paused)
		return 0;
	pc_tell(pc, PC_EVENT_RESUME, NULL);
	pc_clock_go(pc);
	pc->paused = false;
	stand_end(pc);
	return 0;
}

struct cpu *pc_look(struct pc *pc, unsigned n)
{
	if (n >= pc_cpus(pc))
		return NULL;
	stand_begin(pc);
	return vcpu_cpu(pc->cpu[n].vcpu);
}

void pc_look_end(struct pc *pc)
{
	stand_end(pc);
}

unsigned pc_cpus(const struct pc *pc)
{
	return pc->ncpus;
}

int pc_cpu_thread(const struct pc *pc, unsigned n)
{
	return vcpu_thread_id(pc->cpu[n].vcpu);
}

/* Buttons */

void pc_quit(struct pc *pc)
{
	loop_lock(pc->loop);
	pc->quit_asked = true;
	pc_end_with(pc, PC_QUIT);
	loop_unlock(pc->loop);
}

void pc_press_reset(struct pc *pc)
{
	loop_lock(pc->loop);
	pc->reset_pressed = true;
	pc_ask_reset(pc, false);
	loop_unlock(pc->loop);
}

void pc_press_power(struct pc *pc)
{
	loop_lock(pc->loop);
	piix4_pm_power_button(pc->pm);
	loop_unlock(pc->loop);
	pc_tell(pc, PC_EVENT_POWERDOWN, NULL);
}

void pc_wake(struct pc *pc)
{
	loop_lock(pc->loop);
	pc_ask_wake(pc);
	loop_unlock(pc->loop);
}

void pc_nmi(struct pc *pc)
{
	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_nmi(pc->cpu[k].vcpu);
}

void pc_set_reboot_ends(struct pc *pc, bool ends)
{
	pc->cfg.no_reboot = ends;
}

void pc_set_off_pauses(struct pc *pc, bool pauses)
{
	pc->off_pauses = pauses;
}

void pc_key_locked(struct pc *pc, const uint8_t *codes, unsigned n)
{
	i8042_key(pc->i8042, codes, n);
	pc_ask_wake(pc);
}

void pc_key(struct pc *pc, const uint8_t *codes, unsigned n)
{
	loop_lock(pc->loop);
	pc_key_locked(pc, codes, n);
	loop_unlock(pc->loop);
}

void pc_mouse(struct pc *pc, int dx, int dy, int dz, uint8_t buttons)
{
	loop_lock(pc->loop);
	i8042_mouse(pc->i8042, dx, dy, dz, buttons);
	loop_unlock(pc->loop);
}

/* Looking */

uint8_t *pc_screen(struct pc *pc, unsigned *width, unsigned *height)
{
	uint8_t *rgb;

	loop_lock(pc->loop);
	rgb = vga_render(pc->vga, width, height);
	loop_unlock(pc->loop);
	return rgb;
}

bool pc_read_memory(struct pc *pc, uint64_t gpa, void *buf, size_t len)
{
	bool all;

	loop_lock(pc->loop);
	all = mem_dma_read(pc->mem, gpa, buf, len);
	loop_unlock(pc->loop);
	return all;
}

void pc_stats(struct pc *pc, char *buf, size_t len)
{
	pc_write_stats(pc, buf, len);
}

struct loop *pc_loop(struct pc *pc)
{
	return pc->loop;
}

const struct mem *pc_mem(const struct pc *pc)
{
	return pc->mem;
}

const struct pci_bus *pc_pci(const struct pc *pc)
{
	return pc->pci;
}

struct state_set *pc_states(const struct pc *pc)
{
	return pc->states;
}

const struct pc_config *pc_configured(const struct pc *pc)
{
	return &pc->cfg;
}

const char *pc_model_name(const struct pc *pc)
{
	return pc->model->name;
}

/* Drives */

unsigned pc_drives(struct pc *pc, struct pc_drive drive[PC_DRIVES_MAX])
{
	unsigned n;

	loop_lock(pc->loop);
	n = storage_list(pc->storage, pc, drive);
	loop_unlock(pc->loop);
	return n;
}

static int find_removable(struct pc *pc, const char *name, struct pc_drive *found, struct err *err)
{
	struct pc_drive drive[PC_DRIVES_MAX];
	unsigned n = pc_drives(pc, drive);

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(drive[i].name, name))
			continue;
		*found = drive[i];
		return drive[i].removable ? 0 : err_set(err, -EINVAL, "Device '%s' is not removable", name);
	}
	return err_set(err, -ENODEV, "Device '%s' not found", name);
}

static void tell_tray(struct pc *pc, const char *name, bool open)
{
	pc_tell(pc, PC_EVENT_TRAY, &(struct pc_news){ .drive = name, .open = open });
}

static int open_tray(struct pc *pc, const struct pc_drive *d, bool force, struct err *err)
{
	if (!d->has_tray || d->tray_open)
		return 0;
	loop_lock(pc->loop);
	if (d->locked && !force)
		storage_press_eject(pc->storage);
	else
		storage_move_tray(pc->storage, true);
	loop_unlock(pc->loop);
	if (d->locked && !force)
		return err_set(err, -EBUSY,
		               "Device '%s' is locked and force was not specified, wait for tray to open and try again",
		               d->name);
	pc->tray_told = true;
	tell_tray(pc, d->name, true);
	return 0;
}

static void close_tray(struct pc *pc, const struct pc_drive *d)
{
	if (!d->has_tray)
		return;
	loop_lock(pc->loop);
	storage_move_tray(pc->storage, false);
	loop_unlock(pc->loop);
	pc->tray_told = false;
	tell_tray(pc, d->name, false);
}

int pc_drive_tray(struct pc *pc, const char *name, bool open, bool force, struct err *err)
{
	struct pc_drive d;
	int ret = find_removable(pc, name, &d, err);

	if (ret)
		return ret;
	if (!d.has_tray)
		return err_set(err, -EINVAL, "Device '%s' does not have a tray", name);
	if (open)
		return open_tray(pc, &d, force, err);
	if (d.tray_open)
		close_tray(pc, &d);
	return 0;
}

int pc_drive_eject(struct pc *pc, const char *name, bool force, struct err *err)
{
	struct pc_drive d;
	int ret = find_removable(pc, name, &d, err);

	if (!ret)
		ret = open_tray(pc, &d, force, err);
	if (!ret)
		storage_put(pc->storage, pc, name, NULL, NULL);
	return ret;
}

int pc_drive_change(struct pc *pc, const char *name, const char *path, const char *format, bool readonly, bool force,
                    struct err *err)
{
	struct pc_drive d;
	struct block *blk;
	int ret = find_removable(pc, name, &d, err);

	if (ret)
		return ret;
	blk = block_open(pc->loop, path, &(struct block_opts){ .format = format, .readonly = readonly || d.has_tray }, err);
	if (!blk)
		return -EINVAL;
	ret = open_tray(pc, &d, force, err);
	if (ret) {
		block_close(blk);
		return ret;
	}
	storage_put(pc->storage, pc, name, blk, path);
	close_tray(pc, &d);
	return 0;
}

/* The guest's own doing, told late if it opens and closes quickly. */
void pc_look_at_tray(struct pc *pc)
{
	struct pc_drive drive[PC_DRIVES_MAX];
	unsigned n = pc_drives(pc, drive);

	for (unsigned i = 0; i < n; i++) {
		if (!drive[i].has_tray || drive[i].tray_open == pc->tray_told)
			continue;
		pc->tray_told = drive[i].tray_open;
		tell_tray(pc, drive[i].name, drive[i].tray_open);
	}
}
