// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what fuzz targets share (fuzz.h)
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_file_make(struct fuzz_file *f, const void *data, size_t size, uint64_t len)
{
	f->fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(f->fd >= 0 && ftruncate(f->fd, (off_t)len) == 0);
	must(!size || pwrite(f->fd, data, size, 0) == (ssize_t)size);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
}

void fuzz_file_close(struct fuzz_file *f)
{
	close(f->fd);
}

#define LAST_MAX 65536

static uint8_t *map_last(int fd)
{
	void *p = ftruncate(fd, LAST_MAX) ? MAP_FAILED : mmap(NULL, LAST_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(p != MAP_FAILED);
	return p;
}

void fuzz_remember(const uint8_t *data, size_t size)
{
	static uint8_t *last;
	static int fd = -2;

	if (fd == -2) {
		const char *path = getenv("FUZZ_LAST");

		fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
		if (fd >= 0)
			last = map_last(fd);
	}
	/* length first: the runner cuts the file to it */
	if (last && size <= LAST_MAX - 4) {
		put_le32(last, (uint32_t)size);
		memcpy(last + 4, data, size);
	}
}
