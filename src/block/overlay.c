// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the snapshot overlay: writes go to an unlinked sparse file, the image below stays untouched
 *
 * The temporary file has the image's layout, and one bit a sector says who holds it. Sectors rather than clusters
 * because then a write never has to copy the rest of a cluster up first. The bitmap costs 1/4096 of the disk in address
 * space and, zeroed lazily by the kernel, memory only where written.
 *
 * I1  A sector's bit is set only after its data is in the temporary file, and never cleared.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/block_int.h"

#define SECTOR 512u

struct overlay {
	struct block_image img;
	struct block_image *base;
	struct block_file temp;
	uint8_t *written; /* a bit for each sector */
	size_t map_size;
};

static bool sector_written(const struct overlay *o, uint64_t sector)
{
	return __atomic_load_n(&o->written[sector >> 3], __ATOMIC_ACQUIRE) >> (sector & 7) & 1;
}

/* How many of the count sectors from sector on lie in the same file as the first. */
static uint64_t run_length(const struct overlay *o, uint64_t sector, uint64_t count, bool first)
{
	uint64_t n = 1;

	while (n < count) {
		if (!((sector + n) & 7) && count - n >= 8 &&
		    __atomic_load_n(&o->written[(sector + n) >> 3], __ATOMIC_ACQUIRE) == (first ? 0xff : 0))
			n += 8;
		else if (sector_written(o, sector + n) == first)
			n++;
		else
			break;
	}
	return n;
}

static int overlay_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct overlay *o = (struct overlay *)img;
	uint64_t sector = offset / SECTOR, left = block_iov_len(iov, niov) / SECTOR;
	struct iovec part[BLOCK_MAX_IOV];
	int rc = 0;

	while (left && !rc) {
		bool mine = sector_written(o, sector); /* once: another thread may write it now */
		uint64_t run = run_length(o, sector, left, mine);
		unsigned n = block_iov_take(&iov, &niov, run * SECTOR, part);

		if (mine)
			rc = block_file_readv(&o->temp, sector * SECTOR, part, n);
		else
			rc = block_image_readv(o->base, sector * SECTOR, part, n);
		sector += run;
		left -= run;
	}
	return rc;
}

static int overlay_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct overlay *o = (struct overlay *)img;
	uint64_t sector = offset / SECTOR, count = block_iov_len(iov, niov) / SECTOR;
	int rc = block_file_writev(&o->temp, offset, iov, niov);

	for (uint64_t i = 0; !rc && i < count; i++)
		__atomic_fetch_or(&o->written[(sector + i) >> 3], (uint8_t)(1u << ((sector + i) & 7)), __ATOMIC_RELEASE);
	return rc;
}

/* Nothing of this survives the process, so nothing needs to be safe from a crash. */
static int overlay_flush(struct block_image *img)
{
	return 0;
}

static void overlay_close(struct block_image *img)
{
	struct overlay *o = (struct overlay *)img;

	block_image_close(o->base);
	if (o->written)
		munmap(o->written, o->map_size);
	if (o->temp.fd >= 0)
		close(o->temp.fd);
	free(o);
}

static const struct block_ops overlay_ops = {.name = "snapshot", .parallel = true,
	.read = overlay_read, .write = overlay_write, .flush = overlay_flush, .close = overlay_close};

/* /var/tmp rather than /tmp, which is memory on many hosts. */
static int open_unlinked(struct err *err)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (!dir || !*dir)
		dir = access("/var/tmp", W_OK) ? "/tmp" : "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (snprintf(path, sizeof(path), "%s/ring3-snapshot-XXXXXX", dir) >= (int)sizeof(path))
		return err_set(err, -ENAMETOOLONG, "TMPDIR is too long");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "no temporary file for the snapshot in '%s': %s", dir, strerror(errno));
	unlink(path);
	return fd;
}

struct block_image *block_overlay_open(struct block_image *base, struct err *err)
{
	struct overlay *o = xalloc(sizeof(*o));
	void *map;

	block_image_init(&o->img, &overlay_ops,
	                 &(struct block_opening){.path = base->path, .opts = &(struct block_image_opts){0}});
	o->img.size = base->size;
	o->temp.fd = open_unlinked(err);
	if (o->temp.fd < 0)
		goto fail;
	if (ftruncate(o->temp.fd, (off_t)base->size)) {
		err_set(err, -errno, "the snapshot's temporary file cannot have %llu bytes: %s", (unsigned long long)base->size,
		        strerror(errno));
		goto fail;
	}
	o->map_size = (size_t)(base->size / SECTOR / 8 + 1);
	map = mmap(NULL, o->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		err_set(err, -errno, "no memory for the snapshot's map: %s", strerror(errno));
		goto fail;
	}
	o->written = map;
	o->base = base;
	return &o->img;
fail:
	block_image_close(&o->img);
	return NULL;
}
