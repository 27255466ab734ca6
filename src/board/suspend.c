// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a machine that stands still, written to a file and read back: all declared state, guest memory, what its
 *       disks were
 *
 *     header  magic, version, length of the record, number of areas and disks, CPU model; each area; each disk
 *     record  state/record.h
 *     areas   memory byte for byte, from a multiple of AREA_ALIGN on; pages of zeros are holes
 *
 * Read back, a file comes from anybody: sizes are compared with this machine's before anything is touched, the record
 * is checked as a whole, and bytes of memory are only memory. A disk that was written to since does not fit what
 * the guest knows of it, so it is refused.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "board/panel.h"
#include "board/pc_int.h"
#include "dev/vga/vga.h"
#include "mem/coherence.h"
#include "state/record.h"

#define MAGIC "ring3vm\n"
#define VERSION 1
#define AREA_ALIGN MIB(2)
#define RECORD_MAX MIB(64)
#define AREAS_MAX 8
#define PAGE 4096u

struct area {
	char name[16];
	uint64_t len;
	uint64_t at; /* in the file */
};

struct disk {
	char name[16];
	uint64_t size;
	uint64_t changed; /* ns; 0: read-only, whoever changes it */
};

struct header {
	char magic[8];
	uint32_t version, record_len, nareas, ndisks;
	char model[32];
	struct area area[AREAS_MAX];
	struct disk disk[PC_DRIVES_MAX];
};

/* This machine's memory, in the same order each time. */
static unsigned areas(struct pc *pc, struct area *area, uint8_t **host)
{
	area[0] = (struct area){ .name = "ram", .len = mem_ram_size(pc->mem) };
	host[0] = mem_ram_base(pc->mem);
	if (!pc->vga)
		return 1;
	area[1] = (struct area){ .name = "vram", .len = VGA_VRAM_SIZE };
	host[1] = vga_vram(pc->vga);
	return 2;
}

static uint64_t changed_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}

static int list_disks(struct pc *pc, struct header *h, struct err *err)
{
	struct pc_drive drive[PC_DRIVES_MAX];
	unsigned n = pc_drives(pc, drive);

	for (unsigned i = 0; i < n; i++) {
		struct disk *d = &h->disk[h->ndisks++];

		if (drive[i].path && drive[i].snapshot)
			return err_set(err, -EINVAL, "disk '%s' throws away what is written to it, so it cannot be kept: leave "
			               "out ',snapshot'", drive[i].path);
		memcpy(d->name, drive[i].name, sizeof(d->name));
		d->size = drive[i].path ? drive[i].size : 0;
		d->changed = drive[i].path && !drive[i].readonly ? changed_at(drive[i].path) : 0;
	}
	return 0;
}

static uint64_t align_up(uint64_t n)
{
	return (n + AREA_ALIGN - 1) / AREA_ALIGN * AREA_ALIGN;
}

/* What is here now, but for record_len; areas placed behind it. */
static int describe(struct pc *pc, struct header *h, uint8_t **host, size_t record_len, struct err *err)
{
	uint64_t at = align_up(sizeof(*h) + record_len);

	*h = (struct header){ .magic = MAGIC, .version = VERSION, .record_len = (uint32_t)record_len };
	snprintf(h->model, sizeof(h->model), "%s", pc_model_name(pc));
	h->nareas = areas(pc, h->area, host);
	for (unsigned i = 0; i < h->nareas; i++) {
		h->area[i].at = at;
		at = align_up(at + h->area[i].len);
	}
	return list_disks(pc, h, err);
}

static int write_at(int fd, const void *buf, size_t len, uint64_t at)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_at(int fd, void *buf, size_t len, uint64_t at)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool is_zero(const uint8_t *p)
{
	return !*p && !memcmp(p, p + 1, PAGE - 1);
}

/* Runs of pages that are not all zeros. */
static int write_area(int fd, const uint8_t *host, const struct area *a)
{
	for (uint64_t off = 0, end; off < a->len; off = end) {
		int rc;

		end = off + PAGE;
		if (is_zero(host + off))
			continue;
		while (end < a->len && end - off < MIB(1) && !is_zero(host + end))
			end += PAGE;
		rc = write_at(fd, host + off, end - off, a->at + off);
		if (rc)
			return rc;
	}
	return 0;
}

static int write_all(int fd, const struct header *h, const uint8_t *record, uint8_t *const *host)
{
	const struct area *last = &h->area[h->nareas - 1];
	int rc = ftruncate(fd, (off_t)(last->at + last->len)) < 0 ? -errno : 0;

	for (unsigned i = 0; i < h->nareas && !rc; i++)
		rc = write_area(fd, host[i], &h->area[i]);
	if (!rc)
		rc = write_at(fd, record, h->record_len, sizeof(*h));
	if (!rc)
		rc = write_at(fd, h, sizeof(*h), 0);
	return rc || fsync(fd) == 0 ? rc : -errno;
}

/* Beside the file that is to be, and renamed when whole: what was there before is there until then. */
static int write_file(const char *path, const struct header *h, const uint8_t *record, uint8_t *const *host,
                      struct err *err)
{
	char part[4096];
	int fd, rc;

	if ((size_t)snprintf(part, sizeof(part), "%s.part", path) >= sizeof(part))
		return err_set(err, -ENAMETOOLONG, "the file name is too long");
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, -errno, "cannot create '%s': %s", part, strerror(errno));
	rc = write_all(fd, h, record, host);
	close(fd);
	if (!rc && rename(part, path) < 0)
		rc = -errno;
	if (!rc)
		return 0;
	unlink(part);
	return err_set(err, rc, "cannot save the machine to '%s': %s", path, strerror(-rc));
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int standing(struct pc *pc, struct err *err)
{
	bool busy;

	loop_lock(pc->loop);
	busy = pc->end != PC_RUNNING || pc->reset_wanted || pc->go_on_wanted || pc->sleep_wanted || pc->asleep;
	loop_unlock(pc->loop);
	if (!pc->paused || busy || pc->off)
		return err_set(err, -EBUSY, "the machine has to be paused, neither asleep nor off nor about to be reset");
	return 0;
}

int pc_save(struct pc *pc, const char *path, struct err *err)
{
	struct header *h = xalloc(sizeof(*h));
	uint8_t *host[AREAS_MAX], *record = NULL;
	size_t len = 0;
	int rc = standing(pc, err);

	if (!rc) {
		pc->saved = (struct pc_saved){ .now = loop_now(pc->loop), .tsc = pc->stood_at, .tsc_hz = pc->model->tsc_hz,
			.tsc_zero = vcpu_cpu(pc->cpu[0].vcpu)->tsc_zero, .wall = wall_ns(),
			.a20_kbd = pc->a20_kbd, .a20_fast = pc->a20_fast };
		for (unsigned k = 0; k < pc->ncpus; k++)
			vcpu_save(pc->cpu[k].vcpu);
		loop_lock(pc->loop);
		record = state_record(pc->states, &len);
		loop_unlock(pc->loop);
		must(len <= RECORD_MAX);
		rc = describe(pc, h, host, len, err);
	}
	if (!rc)
		rc = write_file(path, h, record, host, err);
	free(record);
	free(h);
	return rc;
}

/* --- back --- */

/* Does the file, of size bytes, fit this machine? now: this machine as it is. */
static int fits(const struct header *h, const struct header *now, uint64_t size, struct err *err)
{
	if (memcmp(h->magic, MAGIC, 8) != 0)
		return err_set(err, -EINVAL, "that is not a machine saved by ring3");
	if (h->version != VERSION)
		return err_set(err, -EINVAL, "it was saved in version %u of the format, this ring3 reads %u", h->version,
		               VERSION);
	if (h->record_len > RECORD_MAX || h->model[sizeof(h->model) - 1])
		return err_set(err, -EINVAL, "its header is damaged");
	if (strcmp(h->model, now->model) != 0)
		return err_set(err, -EINVAL, "it was saved with --cpu %s, this is %s", h->model, now->model);
	for (unsigned i = 0; i < now->nareas; i++)
		if (h->nareas != now->nareas || strncmp(h->area[i].name, now->area[i].name, 16) ||
		    h->area[i].len != now->area[i].len || h->area[i].at % PAGE)
			return err_set(err, -EINVAL, "it was saved with another size of %s: give the options it ran with",
			               now->area[i].name);
	for (unsigned i = 0; i < now->nareas; i++)
		if (h->area[i].at > size || h->area[i].len > size - h->area[i].at)
			return err_set(err, -EINVAL, "it ends too early");
	if (h->ndisks != now->ndisks)
		return err_set(err, -EINVAL, "it was saved with other disks: give the options it ran with");
	for (unsigned i = 0; i < now->ndisks; i++) {
		const struct disk *a = &h->disk[i], *b = &now->disk[i];

		if (strncmp(a->name, b->name, 16) || a->size != b->size)
			return err_set(err, -EINVAL, "it was saved with other disks: give the options it ran with");
		if (a->changed && a->changed != b->changed)
			return err_set(err, -EINVAL, "disk %s was written to after the machine was saved: its file system and the "
			               "guest's memory do not go together", now->disk[i].name);
	}
	return 0;
}

static int read_area(int fd, uint8_t *host, const struct area *a)
{
	uint64_t off = 0;

	while (off < a->len) {
		off_t data = lseek(fd, (off_t)(a->at + off), SEEK_DATA);
		uint64_t from = data < 0 ? a->len : MIN((uint64_t)data - a->at, a->len), to;
		int rc;

		if (data < 0 && errno != ENXIO)
			return -errno;
		memset(host + off, 0, from - off);
		if (from == a->len)
			return 0;
		data = lseek(fd, (off_t)(a->at + from), SEEK_HOLE);
		to = data < 0 ? a->len : MIN((uint64_t)data - a->at, a->len);
		rc = read_at(fd, host + from, to - from, a->at + from);
		if (rc)
			return rc;
		off = to;
	}
	return 0;
}

/* Times are this host's from now on. */
static void set_clocks(struct pc *pc)
{
	uint64_t back = pc->stood_at - pc->saved.tsc, wall = wall_ns();

	loop_set(pc->loop, pc->saved.now);
	if (wall > pc->saved.wall)
		rtc_put_on(pc->rtc, wall - pc->saved.wall);
	pc->tsc_zero = pc->saved.tsc_zero + back;
	for (unsigned k = 0; k < pc->ncpus; k++) {
		vcpu_tsc_back(pc->cpu[k].vcpu, back);
		vcpu_tsc_zero(pc->cpu[k].vcpu, pc->tsc_zero);
	}
}

static int put_back(struct pc *pc, int fd, const struct header *h, uint8_t *const *host, struct err *err)
{
	uint8_t *record = xalloc(h->record_len + 1);
	int rc = read_at(fd, record, h->record_len, sizeof(*h));

	if (rc)
		err_set(err, -EINVAL, "it ends too early");
	loop_lock(pc->loop);
	if (!rc)
		rc = state_restore(pc->states, record, h->record_len, err);
	loop_unlock(pc->loop);
	free(record);
	if (rc)
		return rc;
	for (unsigned i = 0; i < h->nareas; i++) {
		rc = read_area(fd, host[i], &h->area[i]);
		if (rc)
			return err_set(err, rc, "memory could not be read (%s), so the machine is lost", strerror(-rc));
	}
	set_clocks(pc);
	mem_code_tell(pc->mem, 0, mem_ram_size(pc->mem));
	loop_lock(pc->loop);
	state_set_loaded(pc->states);
	pc->a20_kbd = pc->saved.a20_kbd;
	pc->a20_fast = pc->saved.a20_fast;
	mem_set_a20(pc->mem, pc->a20_kbd || pc->a20_fast);
	loop_unlock(pc->loop);
	return 0;
}

int pc_load(struct pc *pc, const char *path, struct err *err)
{
	struct header *h = xalloc(sizeof(*h)), *now = xalloc(sizeof(*now));
	uint8_t *host[AREAS_MAX];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = standing(pc, err);

	if (fd < 0)
		rc = err_set(err, -errno, "%s", strerror(errno));
	if (!rc)
		rc = describe(pc, now, host, 0, err);
	if (!rc && read_at(fd, h, sizeof(*h), 0))
		rc = err_set(err, -EINVAL, "that is not a machine saved by ring3");
	if (!rc && fstat(fd, &st) < 0)
		rc = err_set(err, -errno, "%s", strerror(errno));
	if (!rc)
		rc = fits(h, now, (uint64_t)st.st_size, err);
	if (!rc)
		rc = put_back(pc, fd, h, host, err);
	if (fd >= 0)
		close(fd);
	free(h);
	free(now);
	return rc ? err_prefix(err, rc, "cannot load '%s'", path) : 0;
}

#define S(m) ST(struct pc_saved, m)
static const struct st_field pc_saved_type_fields[] = { S(now), S(wall), S(tsc), S(tsc_hz), S(tsc_zero), S(a20_kbd),
	S(a20_fast), ST_ARRAY(struct pc_saved, pad_) };

static const char *check(const void *state)
{
	const struct pc_saved *s = state;

	return s->now > INT64_MAX / 2 ? "guest time beyond all years" : NULL;
}
ST_TYPE(pc_saved_type, struct pc_saved, 1, check);
