// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the host file under a disk image: opened and locked, read and written whole, holes punched, faults injected
 *
 * The lock is an open-file-description lock: it belongs to this opening (a second opening in the same process conflicts
 * too) and goes away with it, however the process ends. It covers all bytes, so QEMU's, which lie on some of them,
 * conflict with it as they should.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/fs.h>

#include "block/block_int.h"

#define ZEROS_LEN 65536u

static int fault(const struct block_file *f, enum block_fault_op op, uint64_t offset, uint64_t len)
{
	return f->fault ? f->fault->at(f->fault->opaque, op, offset, len) : 0;
}

static int open_error(const char *path, bool readonly, int e, struct err *err)
{
	if (e == ENOENT)
		return err_set(err, -e, "disk image '%s' does not exist", path);
	if ((e == EACCES || e == EROFS || e == EPERM) && !readonly)
		return err_set(err, -e, "disk image '%s' cannot be opened for writing (%s); add ',readonly' or ',snapshot'",
		               path,
		               strerror(e));
	return err_set(err, -e, "disk image '%s' cannot be opened: %s", path, strerror(e));
}

static int check_kind(struct block_file *f, struct err *err)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return err_set(err, -errno, "disk image '%s': %s", f->path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "disk image '%s' is a directory; a file or block device is needed", f->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "disk image '%s' is neither a regular file nor a block device", f->path);
	f->is_device = S_ISBLK(st.st_mode);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	return 0;
}

static int lock_file(const struct block_file *f, struct err *err)
{
	struct flock fl = {.l_type = f->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (!fcntl(f->fd, F_OFD_SETLK, &fl))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, -EBUSY, "disk image '%s' is in use by another process%s", f->path,
		               f->readonly ? " that writes to it" : "; two writers would destroy it");
	log_at(LOG_INFO, "disk image '%s' cannot be locked: %s", f->path, strerror(errno));
	return 0; /* file systems without locks exist */
}

struct block_file *block_file_open(const char *path, bool readonly, const struct block_fault *faults, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its other end; it means nothing for files and disks. */
	int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct block_file *f;

	if (fd < 0 && errno == EISDIR)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY); /* check_kind says it better */
	if (fd < 0) {
		open_error(path, readonly, errno, err);
		return NULL;
	}
	f = xalloc(sizeof(*f));
	f->fd = fd;
	f->path = xstrdup(path);
	f->readonly = readonly;
	f->fault = faults;
	if (check_kind(f, err) || lock_file(f, err)) {
		block_file_close(f);
		return NULL;
	}
	return f;
}

struct block_file *block_file_create(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct block_file *f;

	if (fd < 0 && errno == EEXIST) {
		err_set(err, -EEXIST, "'%s' exists; remove it first, or give another name", path);
		return NULL;
	}
	if (fd < 0) {
		err_set(err, -errno, "'%s' cannot be made: %s", path, strerror(errno));
		return NULL;
	}
	f = xalloc(sizeof(*f));
	f->fd = fd;
	f->path = xstrdup(path);
	if (check_kind(f, err) || lock_file(f, err)) {
		block_file_close(f);
		return NULL;
	}
	return f;
}

void block_file_close(struct block_file *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f->path);
	free(f);
}

int block_file_size(const struct block_file *f, uint64_t *size)
{
	struct stat st;

	if (f->is_device)
		return ioctl(f->fd, BLKGETSIZE64, size) ? -errno : 0;
	if (fstat(f->fd, &st))
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

static int read_loop(struct block_file *f, uint64_t offset, struct iovec *iov, unsigned niov, bool padded)
{
	int rc = fault(f, BLOCK_FAULT_READ, offset, 0);

	if (rc)
		return rc;
	for (block_iov_advance(&iov, &niov, 0); niov;) {
		ssize_t n = offset > INT64_MAX ? 0 : preadv(f->fd, iov, (int)niov, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n && padded) {
			block_iov_zero(iov, niov);
			return 0;
		}
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* the image was cut under us */
		offset += (uint64_t)n;
		block_iov_advance(&iov, &niov, (size_t)n);
	}
	return 0;
}

int block_file_readv(struct block_file *f, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return read_loop(f, offset, iov, niov, false);
}

int block_file_readv_padded(struct block_file *f, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return read_loop(f, offset, iov, niov, true);
}

int block_file_writev(struct block_file *f, uint64_t offset, struct iovec *iov, unsigned niov)
{
	int rc = fault(f, BLOCK_FAULT_WRITE, offset, block_iov_len(iov, niov));

	if (rc)
		return rc;
	if (offset > INT64_MAX)
		return -EFBIG;
	for (block_iov_advance(&iov, &niov, 0); niov;) {
		ssize_t n = pwritev(f->fd, iov, (int)niov, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		offset += (uint64_t)n;
		block_iov_advance(&iov, &niov, (size_t)n);
	}
	return 0;
}

int block_file_read(struct block_file *f, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = {buf, len};

	return block_file_readv(f, offset, &iov, 1);
}

int block_file_read_padded(struct block_file *f, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = {buf, len};

	return block_file_readv_padded(f, offset, &iov, 1);
}

int block_file_write(struct block_file *f, uint64_t offset, const void *buf, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};

	return block_file_writev(f, offset, &iov, 1);
}

int block_file_sync(struct block_file *f)
{
	int rc = fault(f, BLOCK_FAULT_SYNC, 0, 0);

	if (rc || f->no_sync)
		return rc;
	return fdatasync(f->fd) ? -errno : 0;
}

int block_file_truncate(struct block_file *f, uint64_t size)
{
	int rc = fault(f, BLOCK_FAULT_SIZE, size, 0);

	if (rc)
		return rc;
	return ftruncate(f->fd, (off_t)size) ? -errno : 0;
}

int block_file_punch(struct block_file *f, uint64_t offset, uint64_t len)
{
	int rc = fault(f, BLOCK_FAULT_ZERO, offset, len);

	if (rc)
		return rc;
	if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len))
		return -errno;
	return 0;
}

static int write_zeros(struct block_file *f, uint64_t offset, uint64_t len)
{
	static const uint8_t zeros[ZEROS_LEN];

	while (len) {
		size_t part = (size_t)MIN(len, ZEROS_LEN);
		int rc = block_file_write(f, offset, zeros, part);

		if (rc)
			return rc;
		offset += part;
		len -= part;
	}
	return 0;
}

int block_file_zero(struct block_file *f, uint64_t offset, uint64_t len, bool punch)
{
	int rc = fault(f, BLOCK_FAULT_ZERO, offset, len);

	if (rc)
		return rc;
	if (punch && !block_file_punch(f, offset, len))
		return 0;
	if (!fallocate(f->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len))
		return 0;
	return write_zeros(f, offset, len);
}

int block_file_extent(struct block_file *f, uint64_t offset, uint64_t len, uint64_t *run, bool *hole)
{
	off_t data = lseek(f->fd, (off_t)offset, SEEK_DATA), end;

	*hole = false;
	*run = len;
	if (data < 0 && errno == ENXIO) { /* nothing but hole up to the end */
		*hole = true;
		return 0;
	}
	if (data < 0)
		return 0; /* cannot say: data */
	if ((uint64_t)data > offset) {
		*hole = true;
		*run = MIN(len, (uint64_t)data - offset);
		return 0;
	}
	end = lseek(f->fd, (off_t)offset, SEEK_HOLE);
	if (end > data)
		*run = MIN(len, (uint64_t)end - offset);
	return 0;
}
