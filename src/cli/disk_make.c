// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 disk create` and `resize`, and the options that say how a new image is to be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/disk_make.h"

static int number(const char *text, const char *name, unsigned *out, struct err *err)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end || !v || v > 1000)
		return err_set(err, -EINVAL, "--%s: '%s' is no number that can be", name, text);
	*out = (unsigned)v;
	return 0;
}

int disk_make_finish(struct disk_make *m, const char *path, struct err *err)
{
	uint64_t cluster = 0;

	m->c.format = m->format ? m->format : disk_format_of_name(path);
	if (!block_format_known(m->c.format))
		return err_set(err, -EINVAL, "--format: '%s' is unknown: %s are known", m->c.format, block_format_names());
	if (m->cluster && disk_parse_bytes(m->cluster, &cluster, err))
		return err_prefix(err, -EINVAL, "--cluster");
	if (cluster > MIB(64))
		return err_set(err, -EINVAL, "--cluster: '%s' is too large", m->cluster);
	m->c.cluster_size = (uint32_t)cluster;
	if (m->version && number(m->version, "version", &m->c.version, err))
		return -EINVAL;
	if (m->refcount_bits && number(m->refcount_bits, "refcount-bits", &m->c.refcount_bits, err))
		return -EINVAL;
	if (m->compression && strcmp(m->compression, "zlib") && strcmp(m->compression, "zstd"))
		return err_set(err, -EINVAL, "--compression: '%s' is unknown: zlib and zstd are known", m->compression);
	m->c.zstd = m->compression && !strcmp(m->compression, "zstd");
	m->c.subformat = m->subformat;
	return 0;
}

/* The backing file as it will be found from the new image, its size and format. */
static int look_at_backing(struct disk_make *m, const char *path, const char *backing, const char *format,
                           struct err *err)
{
	struct block_image_opts opts = {.readonly = true, .format = format};
	const char *slash = strrchr(path, '/');
	char *where = xalloc(strlen(path) + strlen(backing) + 2);
	struct block_image *img;

	if (slash && *backing != '/')
		sprintf(where, "%.*s%s", (int)(slash + 1 - path), path, backing);
	else
		strcpy(where, backing);
	img = block_image_open(where, &opts, err);
	free(where);
	if (!img)
		return err_prefix(err, -EINVAL, "--backing");
	if (!m->c.size)
		m->c.size = block_image_size(img);
	m->c.backing = backing;
	m->c.backing_format = block_image_format(img);
	block_image_close(img);
	return 0;
}

int disk_create(int argc, char **argv)
{
	const char *place[2] = {0}, *backing = NULL, *backing_format = NULL;
	struct disk_make m = {0};
	const struct disk_opt opts[] = {DISK_MAKE_OPTS(&m), {"format", &m.format, NULL}, {"backing", &backing, NULL},
		{"backing-format", &backing_format, NULL}};
	struct err err = {{0}};

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), place, 1, 2, "FILE SIZE", &err) ||
	    disk_make_finish(&m, place[0], &err) || (place[1] && disk_parse_bytes(place[1], &m.c.size, &err)))
		return disk_fail(&err);
	if (!place[1] && !backing) {
		err_set(&err, -EINVAL, "a size is missing: ring3 disk create %s 20G", place[0]);
		return disk_fail(&err);
	}
	if (backing_format && !backing) {
		err_set(&err, -EINVAL, "--backing-format without --backing");
		return disk_fail(&err);
	}
	if ((backing && look_at_backing(&m, place[0], backing, backing_format, &err)) || block_create(place[0], &m.c, &err))
		return disk_fail(&err);
	return 0;
}

int disk_resize(int argc, char **argv)
{
	const char *place[2], *format = NULL;
	bool shrink = false, add;
	const struct disk_opt opts[] = {{"format", &format, NULL}, {"shrink", NULL, &shrink}};
	struct err err = {{0}};
	struct block_image *img;
	uint64_t size;
	int rc;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), place, 2, 2, "FILE [+]SIZE", &err))
		return disk_fail(&err);
	add = *place[1] == '+';
	if (disk_parse_bytes(place[1] + add, &size, &err))
		return disk_fail(&err);
	img = disk_open(place[0], format, false, false);
	if (!img)
		return EXIT_BAD_INPUT;
	if (add && size <= INT64_MAX - block_image_size(img))
		size += block_image_size(img);
	if (size < block_image_size(img) && !shrink)
		rc = err_set(&err, -EINVAL,
		             "'%s' has %llu bytes; what lies beyond %llu would be lost: say --shrink if you mean it",
		             place[0], (unsigned long long)block_image_size(img), (unsigned long long)size);
	else
		rc = block_image_resize(img, size, &err);
	block_image_close(img);
	return rc ? disk_fail(&err) : 0;
}
