// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the whole PC for fuzz targets: all chips of the board, drives on memfds, a stepped clock
 */
#include <time.h>

#include "board/pc_int.h"
#include "fuzz.h"

/* libc's, displaced: measuring the host's clock for every machine would cost more than all the rest. */
int nanosleep(const struct timespec *want, struct timespec *left)
{
	struct timespec brief = { .tv_nsec = 50000 };

	return clock_nanosleep(CLOCK_MONOTONIC, 0, &brief, left);
}

static void make_files(struct fuzz_machine *m)
{
	fuzz_file_make(&m->firmware, NULL, 0, KIB(64));
	fuzz_file_make(&m->disk[0], NULL, 0, KIB(64));
	fuzz_file_make(&m->disk[1], NULL, 0, KIB(64));
	fuzz_file_make(&m->cdrom, NULL, 0, KIB(64));
	fuzz_file_make(&m->floppy, NULL, 0, KIB(1440));
}

void fuzz_machine_make_as(struct fuzz_machine *m, struct pc_config cfg)
{
	struct err err = { "" };

	make_files(m);
	cfg.memory = MIB(4);
	cfg.ndisks = 2;
	cfg.console = "file:/dev/null";
	cfg.debug_exit = true;
	cfg.debug_exit_port = 0xf4;
	cfg.quit_fd = -1;
	cfg.firmware = m->firmware.path;
	cfg.disk[0] = (struct pc_disk){ .path = m->disk[0].path, .format = "raw", .interface = "ide" };
	cfg.disk[1] = (struct pc_disk){ .path = m->disk[1].path, .format = "raw", .interface = "virtio" };
	cfg.cdrom = m->cdrom.path;
	cfg.floppy[0] = m->floppy.path;
	cfg.nfloppies = 1;
	m->pc = pc_new(&cfg, &err);
	if (!m->pc)
		log_at(LOG_ERROR, "%s", err.msg);
	must(m->pc);
}

void fuzz_machine_make(struct fuzz_machine *m)
{
	fuzz_machine_make_as(m, (struct pc_config){ .cpu = "x86-64-v1", .stepped = true });
}

void fuzz_machine_free(struct fuzz_machine *m)
{
	pc_free(m->pc);
	fuzz_file_close(&m->firmware);
	fuzz_file_close(&m->disk[0]);
	fuzz_file_close(&m->disk[1]);
	fuzz_file_close(&m->cdrom);
	fuzz_file_close(&m->floppy);
}
