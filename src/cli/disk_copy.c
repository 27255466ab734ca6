// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 disk convert`, `commit` and `rebase`: data copied from image to image
 *
 * What the source's tables call zeros is not read, and what is read and found to be zeros is not written, in pieces of
 * the target's cluster, so holes stay holes and zeros become such.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/disk_make.h"

#define CHUNK MIB(2)
#define RAW_PIECE 4096u

struct copy {
	struct block_image *from, *to;
	uint32_t piece;   /* zeros are looked for in pieces of this size */
	bool compress;
	bool zero_target; /* what is zero must be written as such: the target shows something else */
	struct disk_progress progress;
	uint8_t *buf;
};

static int put(struct copy *c, uint64_t at, const uint8_t *buf, uint64_t len)
{
	int rc = 0;

	if (!c->compress)
		return block_image_write(c->to, at, buf, len);
	for (uint64_t i = 0; i < len && !rc; i += c->piece)
		rc = block_image_write_compressed(c->to, at + i, buf + i, MIN(len - i, c->piece));
	return rc;
}

static uint64_t to_boundary(const struct copy *c, uint64_t at)
{
	return c->piece - at % c->piece;
}

/* A chunk in runs of pieces that are zeros or not. */
static int put_runs(struct copy *c, uint64_t at, uint64_t len)
{
	uint64_t i = 0;
	int rc = 0;

	while (i < len && !rc) {
		uint64_t n = MIN(len - i, to_boundary(c, at + i));
		bool zero = block_is_zero(c->buf + i, n);

		while (i + n < len) {
			uint64_t more = MIN(len - i - n, c->piece);

			if (block_is_zero(c->buf + i + n, more) != zero)
				break;
			n += more;
		}
		if (!zero)
			rc = put(c, at + i, c->buf + i, n);
		else if (c->zero_target)
			rc = block_image_zero(c->to, at + i, n, true);
		i += n;
	}
	return rc;
}

static int copy_data(struct copy *c, uint64_t at, uint64_t len)
{
	int rc = 0;

	while (len && !rc) {
		uint64_t part = MIN(len, CHUNK);

		if (part == CHUNK && part > to_boundary(c, at + part) % c->piece)
			part -= (at + part) % c->piece; /* the next begins with a piece */
		rc = block_image_read(c->from, at, c->buf, part);
		if (!rc)
			rc = put_runs(c, at, part);
		disk_progress_step(&c->progress, part);
		at += part;
		len -= part;
	}
	return rc;
}

/* Whole pieces that hold data, beginning in this extent. */
static int copy_all(struct copy *c)
{
	uint64_t size = block_image_size(c->from), at = 0;
	struct block_extent x;
	int rc = 0;

	disk_progress_begin(&c->progress, size);
	while (at < size && !rc) {
		rc = block_image_map_deep(c->from, at, size - at, &x);
		if (rc)
			break;
		if (x.zero && x.len < size - at)
			x.len -= MIN((at + x.len) % c->piece, x.len); /* the rest of the piece with what follows */
		if (x.zero && x.len) {
			if (c->zero_target)
				rc = block_image_zero(c->to, at, x.len, true);
			disk_progress_step(&c->progress, x.len);
		} else {
			if (!x.len)
				x.len = to_boundary(c, at);
			else if (c->compress || c->piece > RAW_PIECE)
				x.len += to_boundary(c, at + x.len) % c->piece;
			x.len = MIN(x.len, size - at);
			rc = copy_data(c, at, x.len);
		}
		at += x.len;
	}
	disk_progress_end(&c->progress);
	return rc;
}

static int convert_into(struct block_image *from, const char *path, const struct disk_make *m, bool compress,
                        struct err *err)
{
	struct block_image_opts opts = {.format = m->c.format, .no_sync = true};
	struct copy c = {.from = from, .to = block_image_open(path, &opts, err)};
	struct block_info info;
	int rc;

	if (!c.to)
		return -EIO;
	block_image_info(c.to, &info);
	c.piece = info.cluster_size ? (uint32_t)MIN(info.cluster_size, CHUNK) : RAW_PIECE;
	c.compress = compress || (info.subformat && !strcmp(info.subformat, "streamOptimized"));
	c.buf = xalloc(CHUNK);
	rc = copy_all(&c);
	free(c.buf);
	block_image_close(c.to);
	return rc ? err_set(err, rc, "copying to '%s' failed: %s", path, strerror(-rc)) : 0;
}

int disk_convert(int argc, char **argv)
{
	const char *place[2], *from_format = NULL;
	struct disk_make m = {0};
	bool compress = false;
	const struct disk_opt opts[] = {DISK_MAKE_OPTS(&m), {"from", &from_format, NULL}, {"to", &m.format, NULL},
		{"format", &m.format, NULL}, {"compress", NULL, &compress}};
	struct err err = {{0}};
	struct block_image *from;
	int rc;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), place, 2, 2, "FROM TO", &err) ||
	    disk_make_finish(&m, place[1], &err))
		return disk_fail(&err);
	if (compress && (!block_format_can_compress(m.c.format) ||
	                 (!strcmp(m.c.format, "vmdk") && m.subformat && strcmp(m.subformat, "streamOptimized")))) {
		err_set(&err, -EINVAL, "--compress: only qcow2 and VMDK's streamOptimized hold compressed data");
		return disk_fail(&err);
	}
	if (compress && !strcmp(m.c.format, "vmdk"))
		m.c.subformat = "streamOptimized";
	from = disk_open(place[0], from_format, true, false);
	if (!from)
		return EXIT_BAD_INPUT;
	m.c.size = block_image_size(from);
	rc = block_create(place[1], &m.c, &err);
	if (!rc) {
		rc = convert_into(from, place[1], &m, compress, &err);
		if (rc)
			unlink(place[1]);
	}
	block_image_close(from);
	return rc ? disk_fail(&err) : 0;
}

/* What the top image itself holds, into the one below it. */
static int commit_all(struct block_image *top, struct block_image *below)
{
	struct copy c = {.from = top, .to = below, .piece = RAW_PIECE, .zero_target = true, .buf = xalloc(CHUNK)};
	uint64_t size = block_image_size(top);
	struct block_extent x;
	int rc = 0;

	disk_progress_begin(&c.progress, size);
	for (uint64_t at = 0; at < size && !rc; at += x.len) {
		rc = block_image_map(top, at, size - at, &x);
		if (rc)
			break;
		if (!x.allocated)
			disk_progress_step(&c.progress, x.len);
		else if (x.zero)
			rc = block_image_zero(below, at, x.len, true);
		else
			rc = copy_data(&c, at, x.len);
	}
	disk_progress_end(&c.progress);
	free(c.buf);
	return rc ? rc : block_image_flush(below);
}

/* Path and format of the backing file, as the chain was opened. */
static int backing_of(const char *path, const char *format, char **backing, char **backing_format)
{
	struct block_image *img = disk_open(path, format, true, false), *below;

	if (!img)
		return -EINVAL;
	below = block_image_backing(img);
	if (below) {
		*backing = xstrdup(block_image_path(below));
		*backing_format = xstrdup(block_image_format(below));
	} else {
		fprintf(stderr, "ring3 disk: '%s' has no backing file to commit to\n", path);
	}
	block_image_close(img);
	return below ? 0 : -EINVAL;
}

static int empty(const char *path, const char *format)
{
	struct block_image *img = disk_open(path, format, false, false);
	int rc;

	if (!img)
		return EXIT_BAD_INPUT;
	rc = block_image_drop(img);
	if (!rc)
		rc = block_image_flush(img);
	block_image_close(img);
	if (rc == -EOPNOTSUPP)
		return 0; /* it holds what its backing file holds: that is right, only not small */
	return rc ? disk_fail_code(rc, "emptying", path) : 0;
}

int disk_commit(int argc, char **argv)
{
	const char *path, *format = NULL;
	char *backing = NULL, *backing_format = NULL;
	bool keep = false;
	const struct disk_opt opts[] = {{"format", &format, NULL}, {"keep", NULL, &keep}};
	struct block_image *top = NULL, *below = NULL;
	struct err err = {{0}};
	int rc = 0, status = EXIT_BAD_INPUT;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), &path, 1, 1, "FILE", &err))
		return disk_fail(&err);
	if (backing_of(path, format, &backing, &backing_format))
		return EXIT_BAD_INPUT;
	top = disk_open(path, format, true, true);
	if (top)
		below = disk_open(backing, backing_format, false, false);
	if (below && block_image_size(below) < block_image_size(top))
		rc = block_image_resize(below, block_image_size(top), &err);
	if (rc)
		status = disk_fail(&err);
	else if (below) {
		rc = commit_all(top, below);
		status = rc ? disk_fail_code(rc, "writing to", backing) : 0;
	}
	block_image_close(top);
	block_image_close(below);
	free(backing);
	free(backing_format);
	return status || keep ? status : empty(path, format);
}

static int read_padded(struct block_image *img, uint64_t at, uint8_t *buf, uint64_t len)
{
	uint64_t size = img ? block_image_size(img) : 0, there = at < size ? MIN(len, size - at) : 0;

	memset(buf + there, 0, len - there);
	return there ? block_image_read(img, at, buf, there) : 0;
}

/* Where img holds nothing itself and the new backing file differs from the old, what is seen now is written. */
static int keep_view(struct block_image *img, struct block_image *new)
{
	uint64_t size = block_image_size(img), part;
	uint8_t *buf = xalloc(2 * CHUNK);
	struct block_extent x;
	struct disk_progress p;
	int rc = 0;

	disk_progress_begin(&p, size);
	for (uint64_t at = 0; at < size && !rc; at += part) {
		rc = block_image_map(img, at, size - at, &x);
		part = x.allocated ? x.len : MIN(x.len, CHUNK);
		if (!rc && !x.allocated) {
			rc = read_padded(img, at, buf, part);
			if (!rc)
				rc = read_padded(new, at, buf + CHUNK, part);
			for (uint64_t i = 0; i < part && !rc; i += 4096) {
				uint64_t n = MIN(4096u, part - i);

				if (memcmp(buf + i, buf + CHUNK + i, n))
					rc = block_image_write(img, at + i, buf + i, n);
			}
		}
		disk_progress_step(&p, part);
	}
	disk_progress_end(&p);
	free(buf);
	return rc;
}

/* The new backing file, found from the image's folder. NULL: none. */
static int open_new(const char *path, const char *backing, const char *format, struct block_image **new)
{
	const char *slash = strrchr(path, '/');
	char *where = xalloc(strlen(path) + strlen(backing) + 2);

	if (slash && *backing != '/')
		sprintf(where, "%.*s%s", (int)(slash + 1 - path), path, backing);
	else
		strcpy(where, backing);
	*new = disk_open(where, format, true, false);
	free(where);
	return *new ? 0 : -EINVAL;
}

int disk_rebase(int argc, char **argv)
{
	const char *path, *format = NULL, *backing = NULL, *backing_format = NULL;
	bool unsafe = false, none;
	const struct disk_opt opts[] = {{"format", &format, NULL}, {"backing", &backing, NULL},
		{"backing-format", &backing_format, NULL}, {"unsafe", NULL, &unsafe}};
	struct block_image *img, *new = NULL;
	struct err err = {{0}};
	int rc = 0, status = 0;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), &path, 1, 1, "FILE --backing B", &err))
		return disk_fail(&err);
	if (!backing) {
		err_set(&err, -EINVAL, "--backing is missing: which file shall show, or none?");
		return disk_fail(&err);
	}
	none = !strcmp(backing, "none");
	img = disk_open(path, format, false, unsafe);
	if (!img)
		return EXIT_BAD_INPUT;
	if (!none && !unsafe && open_new(path, backing, backing_format, &new))
		status = EXIT_BAD_INPUT;
	if (!status && !unsafe) {
		rc = keep_view(img, new);
		if (rc)
			status = disk_fail_code(rc, "copying into", path);
	}
	if (new && !backing_format)
		backing_format = block_image_format(new);
	if (!status && block_image_set_backing(img, none ? NULL : backing, backing_format, &err))
		status = disk_fail(&err);
	block_image_close(img);
	block_image_close(new);
	return status;
}
