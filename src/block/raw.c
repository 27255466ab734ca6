// SPDX-License-Identifier: GPL-2.0-or-later
/* what: raw images: regular files and block devices whose bytes are the disk's
 *
 * Opening is where a person's mistakes show, so everything that would surprise a guest later is refused here with a
 * reason. The image is locked with an open-file-description lock: it belongs to this opening (a second opening in the
 * same process conflicts too) and goes away with it, however the process ends.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "block/block_int.h"

struct raw {
	struct block_image img;
	int fd;
};

/* Drop n bytes from the front of iov. */
static void iov_advance(struct iovec **iov, unsigned *niov, size_t n)
{
	while (*niov && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*niov)--;
	}
	if (!*niov)
		return;
	(*iov)->iov_base = (char *)(*iov)->iov_base + n;
	(*iov)->iov_len -= n;
}

int block_pread_full(int fd, uint64_t offset, struct iovec *iov, unsigned niov)
{
	for (iov_advance(&iov, &niov, 0); niov;) {
		ssize_t n = preadv(fd, iov, (int)niov, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* the image was cut under us */
		offset += (uint64_t)n;
		iov_advance(&iov, &niov, (size_t)n);
	}
	return 0;
}

int block_pwrite_full(int fd, uint64_t offset, struct iovec *iov, unsigned niov)
{
	for (iov_advance(&iov, &niov, 0); niov;) {
		ssize_t n = pwritev(fd, iov, (int)niov, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		offset += (uint64_t)n;
		iov_advance(&iov, &niov, (size_t)n);
	}
	return 0;
}

static int raw_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return block_pread_full(((struct raw *)img)->fd, offset, iov, niov);
}

static int raw_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return block_pwrite_full(((struct raw *)img)->fd, offset, iov, niov);
}

static int raw_flush(struct block_image *img)
{
	return fdatasync(((struct raw *)img)->fd) ? -errno : 0;
}

static void raw_close(struct block_image *img)
{
	close(((struct raw *)img)->fd);
	free(img);
}

static const struct block_ops raw_ops = {.read = raw_read, .write = raw_write, .flush = raw_flush, .close = raw_close};

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

static int check_kind(const char *path, int fd, uint64_t *size, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(err, -errno, "disk image '%s': %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "disk image '%s' is a directory; a file or block device is needed", path);
	if (S_ISREG(st.st_mode))
		*size = (uint64_t)st.st_size;
	else if (!S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "disk image '%s' is neither a regular file nor a block device", path);
	else if (ioctl(fd, BLKGETSIZE64, size))
		return err_set(err, -errno, "disk image '%s': its size cannot be read: %s", path, strerror(errno));
	return 0;
}

static int check_size(const char *path, uint64_t size, struct err *err)
{
	if (!size)
		return err_set(err, -EINVAL, "disk image '%s' is empty; it must hold at least one sector of 512 bytes", path);
	if (size % 512)
		return err_set(err, -EINVAL,
		               "disk image '%s' has %llu bytes, not a multiple of 512: it is truncated or not a raw disk image",
		               path, (unsigned long long)size);
	return 0;
}

/* A guest would see a disk full of nonsense, and writing would destroy the image. */
static int check_signature(const char *path, int fd, struct err *err)
{
	static const struct {
		const char *name, *magic;
		uint8_t len;
	} formats[] = {{"qcow2", "QFI\xfb", 4}, {"VMDK", "KDMV", 4}, {"VHDX", "vhdxfile", 8}, {"QED", "QED\0", 4}};
	char head[8] = {0};

	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return 0; /* reading reports it, if it matters */
	for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
		if (!memcmp(head, formats[i].magic, formats[i].len))
			return err_set(err, -EINVAL,
			               "disk image '%s' is a %s image and only raw ones are supported; convert it, or say "
			               "',format=raw' if the guest is to see these very bytes",
			               path, formats[i].name);
	return 0;
}

static int lock_image(const char *path, int fd, bool readonly, struct err *err)
{
	struct flock fl = {.l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (!fcntl(fd, F_OFD_SETLK, &fl))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, -EBUSY, "disk image '%s' is in use by another process%s", path,
		               readonly ? " that writes to it" : "; two writers would destroy it");
	log_at(LOG_INFO, "disk image '%s' cannot be locked: %s", path, strerror(errno));
	return 0; /* file systems without locks exist */
}

struct block_image *block_raw_open(const char *path, bool readonly, bool exact_format, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its other end; it means nothing for files and disks. */
	int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint64_t size = 0;
	struct raw *raw;

	if (fd < 0 && errno == EISDIR)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY); /* check_kind says it better */
	if (fd < 0) {
		open_error(path, readonly, errno, err);
		return NULL;
	}
	if (check_kind(path, fd, &size, err) || check_size(path, size, err) ||
	    (!exact_format && check_signature(path, fd, err)) || lock_image(path, fd, readonly, err)) {
		close(fd);
		return NULL;
	}
	raw = xalloc(sizeof(*raw));
	raw->img.ops = &raw_ops;
	raw->img.size = size;
	raw->fd = fd;
	return &raw->img;
}
