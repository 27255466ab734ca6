// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 disk info`, `map`, `check` and `compare`: what an image is, and whether it is sound
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/disk.h"

#define CHUNK MIB(2)

static void print_snapshot(void *opaque, const struct block_snapshot *s)
{
	time_t t = (time_t)s->seconds;
	struct tm tm;
	char when[32] = "";

	if (gmtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("  %-4s %-24s %s UTC\n", s->id, s->name, when);
}

static void size_line(const char *what, uint64_t n)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double v = (double)n;
	unsigned u = 0;

	while (v >= 1024 && u + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		u++;
	}
	printf("%s: %.*f %s (%llu bytes)\n", what, u ? 1 : 0, v, units[u], (unsigned long long)n);
}

static void print_info(struct block_image *img, const struct block_info *i)
{
	printf("image: %s\nformat: %s", block_image_path(img), i->format);
	if (i->version)
		printf(" version %u", i->version);
	if (i->subformat)
		printf(", %s", i->subformat);
	putchar('\n');
	size_line("size of the disk", i->size);
	size_line("takes on the host", i->host_size);
	if (i->cluster_size)
		size_line("cluster", i->cluster_size);
	if (*i->backing)
		printf("backing file: %s%s%s%s\n", i->backing, *i->backing_format ? " (" : "", i->backing_format,
		       *i->backing_format ? ")" : "");
	if (i->refcount_bits)
		printf("refcounts: %u bits%s; compression: %s%s\n", i->refcount_bits, i->lazy_refcounts ? ", lazy" : "",
		       i->compression, i->extended_l2 ? "; extended L2 entries" : "");
	if (i->dirty)
		puts("it was not closed: the next opening for writing counts its clusters anew");
	if (i->corrupt)
		puts("it is marked as corrupt: see `ring3 disk check`");
}

static void snapshot_json(void *opaque, const struct block_snapshot *s)
{
	struct disk_json *j = opaque;

	disk_json_object(j, NULL);
	disk_json_text(j, "id", s->id);
	disk_json_text(j, "name", s->name);
	disk_json_number(j, "date-sec", s->seconds);
	disk_json_number(j, "disk-size", s->size);
	disk_json_number(j, "vm-state-size", s->vm_state);
	disk_json_close(j);
}

static void json_info(struct block_image *img, const struct block_info *i)
{
	struct disk_json *j = disk_json_new(false);

	disk_json_text(j, "filename", block_image_path(img));
	disk_json_text(j, "format", i->format);
	disk_json_number(j, "virtual-size", i->size);
	disk_json_number(j, "actual-size", i->host_size);
	disk_json_bool(j, "dirty-flag", i->dirty);
	disk_json_bool(j, "corrupt", i->corrupt);
	if (i->cluster_size)
		disk_json_number(j, "cluster-size", i->cluster_size);
	if (i->subformat)
		disk_json_text(j, "subformat", i->subformat);
	if (*i->backing)
		disk_json_text(j, "backing-filename", i->backing);
	if (*i->backing_format)
		disk_json_text(j, "backing-filename-format", i->backing_format);
	if (i->version) {
		disk_json_number(j, "version", i->version);
		disk_json_number(j, "refcount-bits", i->refcount_bits);
		disk_json_text(j, "compression-type", i->compression);
		disk_json_bool(j, "lazy-refcounts", i->lazy_refcounts);
		disk_json_bool(j, "extended-l2", i->extended_l2);
		disk_json_array(j, "snapshots");
		block_image_snapshots(img, snapshot_json, j);
		disk_json_close(j);
	}
	disk_json_print(j);
}

static void count_snapshot(void *opaque, const struct block_snapshot *s)
{
	++*(unsigned *)opaque;
}

int disk_info(int argc, char **argv)
{
	const char *path, *format = NULL;
	bool json = false;
	const struct disk_opt opts[] = {{"format", &format, NULL}, {"json", NULL, &json}};
	struct err err = {{0}};
	struct block_image *img;
	struct block_info info;
	unsigned snapshots = 0;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), &path, 1, 1, "FILE", &err))
		return disk_fail(&err);
	img = disk_open(path, format, true, true);
	if (!img)
		return EXIT_BAD_INPUT;
	block_image_info(img, &info);
	if (json) {
		json_info(img, &info);
	} else {
		print_info(img, &info);
		block_image_snapshots(img, count_snapshot, &snapshots);
		if (snapshots)
			puts("snapshots:");
		block_image_snapshots(img, print_snapshot, NULL);
	}
	block_image_close(img);
	return 0;
}

static void map_line(struct disk_json *j, uint64_t at, const struct block_extent *x)
{
	if (!j) {
		printf("%16llu %16llu %5u  %s", (unsigned long long)at, (unsigned long long)x->len, x->depth,
		       x->zero ? "zeros" : x->compressed ? "compressed" : "data");
		if (x->has_offset)
			printf(" at %llu", (unsigned long long)x->offset);
		putchar('\n');
		return;
	}
	disk_json_object(j, NULL);
	disk_json_number(j, "start", at);
	disk_json_number(j, "length", x->len);
	disk_json_number(j, "depth", x->depth);
	disk_json_bool(j, "present", x->allocated);
	disk_json_bool(j, "zero", x->zero);
	disk_json_bool(j, "data", !x->zero);
	disk_json_bool(j, "compressed", x->compressed);
	if (x->has_offset)
		disk_json_number(j, "offset", x->offset);
	disk_json_close(j);
}

static bool continues(const struct block_extent *a, const struct block_extent *b)
{
	return a->allocated == b->allocated && a->zero == b->zero && a->depth == b->depth &&
	       a->compressed == b->compressed && a->has_offset == b->has_offset &&
	       (!a->has_offset || a->offset + a->len == b->offset);
}

int disk_map(int argc, char **argv)
{
	const char *path, *format = NULL;
	bool json = false;
	const struct disk_opt opts[] = {{"format", &format, NULL}, {"json", NULL, &json}};
	struct err err = {{0}};
	struct block_image *img;
	struct block_extent run = {0}, x;
	struct disk_json *j;
	uint64_t begin = 0;
	int rc = 0;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), &path, 1, 1, "FILE", &err))
		return disk_fail(&err);
	img = disk_open(path, format, true, false);
	if (!img)
		return EXIT_BAD_INPUT;
	j = json ? disk_json_new(true) : NULL;
	if (!j)
		printf("%16s %16s %5s\n", "start", "length", "depth");
	for (uint64_t at = 0, size = block_image_size(img); at < size; at += x.len) {
		rc = block_image_map_deep(img, at, size - at, &x);
		if (rc)
			break;
		if (run.len && continues(&run, &x)) {
			run.len += x.len;
			continue;
		}
		if (run.len)
			map_line(j, begin, &run);
		run = x;
		begin = at;
	}
	if (run.len)
		map_line(j, begin, &run);
	if (j)
		disk_json_print(j);
	block_image_close(img);
	return rc ? disk_fail_code(rc, "reading the map of", path) : 0;
}

static void print_finding(void *opaque, const char *line)
{
	printf("%s\n", line);
}

static void json_check(const char *path, const struct block_check *c)
{
	struct disk_json *j = disk_json_new(false);

	disk_json_text(j, "filename", path);
	disk_json_number(j, "corruptions", c->corruptions);
	disk_json_number(j, "leaks", c->leaks);
	disk_json_number(j, "corruptions-fixed", c->fixed_corruptions);
	disk_json_number(j, "leaks-fixed", c->fixed_leaks);
	disk_json_number(j, "total-clusters", c->clusters);
	disk_json_number(j, "allocated-clusters", c->allocated);
	disk_json_number(j, "compressed-clusters", c->compressed);
	disk_json_print(j);
}

static void print_check(const char *path, const struct block_check *c)
{
	if (!c->corruptions && !c->leaks)
		printf("%s: no errors\n", path);
	else
		printf("%s: %llu errors (%llu mended), %llu leaked clusters (%llu mended)\n", path,
		       (unsigned long long)c->corruptions, (unsigned long long)c->fixed_corruptions,
		       (unsigned long long)c->leaks, (unsigned long long)c->fixed_leaks);
	if (c->clusters)
		printf("%llu of %llu clusters are allocated, %llu compressed\n", (unsigned long long)c->allocated,
		       (unsigned long long)c->clusters, (unsigned long long)c->compressed);
}

int disk_check(int argc, char **argv)
{
	const char *path, *format = NULL;
	bool json = false, repair = false;
	const struct disk_opt opts[] = {{"format", &format, NULL}, {"json", NULL, &json}, {"repair", NULL, &repair}};
	struct block_image_opts how = {.no_backing = true};
	struct block_check c = {0};
	struct err err = {{0}};
	struct block_image *img;
	int rc;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), &path, 1, 1, "FILE", &err))
		return disk_fail(&err);
	how.format = format;
	how.readonly = !repair;
	how.repair = repair;
	img = block_image_open(path, &how, &err);
	if (!img)
		return disk_fail(&err);
	c.say = json ? NULL : print_finding;
	rc = block_image_check(img, repair, &c, &err);
	block_image_close(img);
	if (rc)
		return disk_fail(&err);
	if (json)
		json_check(path, &c);
	else
		print_check(path, &c);
	if (c.corruptions > c.fixed_corruptions)
		return DISK_EXIT_DAMAGED;
	return c.leaks > c.fixed_leaks ? DISK_EXIT_LEAKS : 0;
}

/* Zeros beyond the end. */
static int read_padded(struct block_image *img, uint64_t at, uint8_t *buf, uint64_t len)
{
	uint64_t size = block_image_size(img), there = at < size ? MIN(len, size - at) : 0;

	memset(buf + there, 0, len - there);
	return there ? block_image_read(img, at, buf, there) : 0;
}

static bool both_zero(struct block_image *a, struct block_image *b, uint64_t at, uint64_t *len)
{
	struct block_image *img[2] = {a, b};
	struct block_extent x;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t size = block_image_size(img[i]);

		if (at >= size)
			continue;
		if (block_image_map_deep(img[i], at, MIN(*len, size - at), &x) || !x.zero)
			return false;
		*len = MIN(*len, x.len);
	}
	return true;
}

/* *at: where they differ first. 0 the same, 1 different. */
static int compare(struct block_image *a, struct block_image *b, uint64_t *at)
{
	uint64_t size = MAX(block_image_size(a), block_image_size(b)), len;
	uint8_t *buf = xalloc(2 * CHUNK);
	struct disk_progress p;
	int rc = 0;

	disk_progress_begin(&p, size);
	for (*at = 0; *at < size && !rc; *at += len) {
		len = size - *at;
		disk_progress_step(&p, 0);
		if (both_zero(a, b, *at, &len)) {
			disk_progress_step(&p, len);
			continue;
		}
		len = MIN(size - *at, CHUNK);
		rc = read_padded(a, *at, buf, len);
		if (!rc)
			rc = read_padded(b, *at, buf + CHUNK, len);
		if (!rc && memcmp(buf, buf + CHUNK, len)) {
			for (uint64_t i = 0; i < len; i++)
				if (buf[i] != buf[CHUNK + i]) {
					*at += i;
					break;
				}
			rc = 1;
			break;
		}
		disk_progress_step(&p, len);
	}
	disk_progress_end(&p);
	free(buf);
	return rc;
}

int disk_compare(int argc, char **argv)
{
	const char *place[2], *format_a = NULL, *format_b = NULL;
	const struct disk_opt opts[] = {{"format-a", &format_a, NULL}, {"format-b", &format_b, NULL}};
	struct block_image *a, *b = NULL;
	struct err err = {{0}};
	uint64_t at = 0;
	int rc = -EINVAL;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), place, 2, 2, "A B", &err))
		return disk_fail(&err);
	a = disk_open(place[0], format_a, true, false);
	if (a)
		b = disk_open(place[1], format_b, true, false);
	if (b)
		rc = compare(a, b, &at);
	block_image_close(a);
	block_image_close(b);
	if (!b)
		return EXIT_BAD_INPUT;
	if (rc < 0)
		return disk_fail_code(rc, "comparing with", place[1]);
	if (rc)
		printf("different from byte %llu on\n", (unsigned long long)at);
	else
		puts("the same");
	return rc ? DISK_EXIT_DIFFERENT : 0;
}
