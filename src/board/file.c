// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a whole file in memory: kernels, initrds and ROM images
 *
 * Read, not mapped: a mapped file that somebody truncates later would kill the machine with SIGBUS.
 */
#include "board/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, uint8_t *data, size_t len, const char *path, struct err *err)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "cannot read '%s': %s", path, strerror(errno));
		if (n == 0)
			return err_set(err, -EIO, "'%s' became shorter while it was read", path);
		got += (size_t)n;
	}
	return 0;
}

static int check_file(int fd, uint64_t limit, size_t *len, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(err, -errno, "cannot read '%s': %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "'%s' is a directory, not a file", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "'%s' is not a regular file", path);
	if (!st.st_size)
		return err_set(err, -EINVAL, "'%s' is empty", path);
	if ((uint64_t)st.st_size > limit)
		return err_set(err, -EFBIG, "'%s' is too large: %llu KiB, at most %llu are possible", path,
		               (unsigned long long)st.st_size >> 10, (unsigned long long)limit >> 10);
	*len = (size_t)st.st_size;
	return 0;
}

static int read_open_file(int fd, const char *path, uint64_t limit, uint8_t **data, size_t *len, struct err *err)
{
	int ret = check_file(fd, limit, len, path, err);
	void *p;

	if (ret)
		return ret;
	p = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_set(err, -ENOMEM, "no memory on this host to hold '%s' (%zu MiB)", path, *len >> 20);
	ret = read_all(fd, p, *len, path, err);
	if (ret)
		munmap(p, *len);
	else
		*data = p;
	return ret;
}

int file_read(const char *path, uint64_t limit, uint8_t **data, size_t *len, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;

	if (fd < 0)
		return err_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	ret = read_open_file(fd, path, limit, data, len, err);
	close(fd);
	return ret;
}

void file_free(uint8_t *data, size_t len)
{
	if (data)
		munmap(data, len);
}
