// SPDX-License-Identifier: GPL-2.0-or-later
/* what: new VMDK images, in each of the five layouts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "block/vmdk_int.h"

#define PARTS_MAX 4096u

struct plan {
	const char *type;
	bool split, flat, stream;
	unsigned parts;
	char *text; /* the descriptor */
	size_t len;
};

static int choose(const struct block_create *c, struct plan *p, struct err *err)
{
	static const struct plan plans[] = {
		{.type = "monolithicSparse"}, {.type = "monolithicFlat", .flat = true},
		{.type = "twoGbMaxExtentSparse", .split = true},
		{.type = "twoGbMaxExtentFlat", .split = true, .flat = true}, {.type = "streamOptimized", .stream = true},
	};

	for (unsigned i = 0; i < ARRAY_LEN(plans); i++)
		if (!strcmp(c->subformat ? c->subformat : plans[0].type, plans[i].type)) {
			*p = plans[i];
			p->parts = p->split ? (unsigned)MIN((c->size + VMDK_SPLIT - 1) / VMDK_SPLIT, PARTS_MAX + 1ull) : 1;
			if (p->parts > VMDK_EXTENTS_MAX)
				return err_set(err, -EFBIG, "a split VMDK image cannot be so large");
			if (!p->flat && c->size > GIB(2048))
				return err_set(err, -EFBIG, "a sparse VMDK image can have 2T at most");
			return 0;
		}
	return err_set(err, -EINVAL,
	               "VMDK has no layout '%s': monolithicSparse, monolithicFlat, twoGbMaxExtentSparse, twoGbMaxExtentFlat "
	               "and streamOptimized are known", c->subformat);
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* disk.vmdk, disk-flat.vmdk, disk-s001.vmdk, disk-f001.vmdk. dir: with the folder. */
static char *part_name(const char *path, const struct plan *p, unsigned i, bool dir)
{
	const char *base = base_of(path), *dot = strrchr(base, '.');
	int stem = dot && !strcmp(dot, ".vmdk") ? (int)(dot - base) : (int)strlen(base);
	int folder = dir ? (int)(base - path) : 0;
	size_t room = strlen(path) + 32;
	char *name = xalloc(room);

	if (p->split)
		snprintf(name, room, "%.*s%.*s-%c%03u.vmdk", folder, path, stem, base, p->flat ? 'f' : 's', i + 1);
	else if (p->flat)
		snprintf(name, room, "%.*s%.*s-flat.vmdk", folder, path, stem, base);
	else
		snprintf(name, room, "%.*s%s", folder, path, base);
	return name;
}

static uint64_t part_size(const struct block_create *c, const struct plan *p, unsigned i)
{
	return p->split ? MIN(c->size - i * VMDK_SPLIT, VMDK_SPLIT) : c->size;
}

static int parent_cid(const char *path, const struct block_create *c, uint32_t *cid, struct err *err)
{
	struct block_image_opts opts = {.readonly = true, .format = c->backing_format};
	char *where;
	struct block_image *img;
	int rc;

	*cid = UINT32_MAX;
	if (!c->backing)
		return 0;
	if (strpbrk(c->backing, "\"\n") || strlen(c->backing) > 1000)
		return err_set(err, -EINVAL, "a VMDK descriptor cannot hold the name '%s'", c->backing);
	where = block_path_beside(path, c->backing);
	img = block_image_open(where, &opts, err);
	free(where);
	if (!img)
		return -EINVAL;
	rc = vmdk_cid_of(img, cid);
	block_image_close(img);
	return rc ? err_set(err, rc, "the backing file of a VMDK image must be a VMDK image") : 0;
}

static int write_text(const char *path, const struct block_create *c, struct plan *p, struct err *err)
{
	size_t room = VMDK_DESC_SECTORS * 512 + (size_t)p->parts * (strlen(path) + 64);
	uint32_t cid = 0, up;
	uint64_t cylinders = MIN(c->size / (16 * 63 * 512), 16383u);
	FILE *f;

	if (strpbrk(base_of(path), "\"\n"))
		return err_set(err, -EINVAL, "a VMDK descriptor cannot hold the name '%s'", base_of(path));
	if (parent_cid(path, c, &up, err))
		return -EINVAL;
	if (getrandom(&cid, sizeof(cid), 0) != sizeof(cid) || cid >= UINT32_MAX - 1)
		cid = 0x12345678;
	p->text = xalloc(room + 1);
	f = fmemopen(p->text, room, "w");
	must(f);
	fprintf(f, "# Disk DescriptorFile\nversion=1\nCID=%08x\nparentCID=%08x\ncreateType=\"%s\"\n", cid, up, p->type);
	if (c->backing)
		fprintf(f, "parentFileNameHint=\"%s\"\n", c->backing);
	fputs("\n# Extent description\n", f);
	for (unsigned i = 0; i < p->parts; i++) {
		char *name = part_name(path, p, i, false);

		fprintf(f, "RW %llu %s \"%s\"%s\n", (unsigned long long)part_size(c, p, i) / 512, p->flat ? "FLAT" : "SPARSE",
		        name, p->flat ? " 0" : "");
		free(name);
	}
	fprintf(f, "\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\nddb.geometry.cylinders = \"%llu\"\n"
	        "ddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"ide\"\n",
	        (unsigned long long)cylinders);
	p->len = (size_t)ftell(f);
	fclose(f);
	return p->len < room ? 0 : err_set(err, -EINVAL, "the name '%s' is too long", path);
}

static void put_directory(uint8_t *dir, uint64_t tables, uint64_t first_sector)
{
	for (uint64_t i = 0; i < tables; i++)
		put_le32(dir + i * 4, (uint32_t)(first_sector + i * (VMDK_GTES * 4 / 512)));
}

/* [header][descriptor][redundant directory][its tables][directory][tables] grains */
static int write_sparse(struct block_file *f, uint64_t size, const struct plan *p, const char *text, size_t len)
{
	uint64_t sectors = size / 512, grain = VMDK_GRAIN / 512, grains = (sectors + grain - 1) / grain;
	uint64_t tables = (grains + VMDK_GTES - 1) / VMDK_GTES, dir = (tables * 4 + 511) / 512;
	uint64_t all = tables * (VMDK_GTES / 128);
	uint64_t desc = text ? VMDK_DESC_SECTORS : 0, rgd = 1 + desc, gd = rgd + dir + all, overhead = gd + dir + all;
	uint8_t h[512] = {0}, *buf = xalloc(dir * 512);
	int rc;

	if (p->stream)
		overhead = 1 + desc;
	overhead = (overhead + grain - 1) / grain * grain;
	put_le32(h, VMDK_MAGIC);
	put_le32(h + V_VERSION, p->stream ? 3 : 1);
	put_le32(h + V_FLAGS, VMDK_F_NEWLINES | (p->stream ? VMDK_F_COMPRESSED | VMDK_F_MARKERS : VMDK_F_REDUNDANT));
	put_le64(h + V_CAPACITY, sectors);
	put_le64(h + V_GRAIN, grain);
	put_le64(h + V_DESC, text ? 1 : 0);
	put_le64(h + V_DESC_LEN, desc);
	put_le32(h + V_GTES, VMDK_GTES);
	put_le64(h + V_RGD, p->stream ? 0 : rgd);
	put_le64(h + V_GD, p->stream ? VMDK_AT_END : gd);
	put_le64(h + V_OVERHEAD, overhead);
	memcpy(h + V_NEWLINES, "\n \r\n", 4);
	put_le16(h + V_COMPRESSION, p->stream);
	rc = block_file_write(f, 0, h, sizeof(h));
	if (!rc && text)
		rc = block_file_write(f, 512, text, len);
	if (!rc && !p->stream) {
		put_directory(buf, tables, rgd + dir);
		rc = block_file_write(f, rgd * 512, buf, dir * 512);
	}
	if (!rc && !p->stream) {
		put_directory(buf, tables, gd + dir);
		rc = block_file_write(f, gd * 512, buf, dir * 512);
	}
	if (!rc)
		rc = block_file_truncate(f, overhead * 512);
	free(buf);
	return rc;
}

static int write_part(const char *path, const struct block_create *c, const struct plan *p, unsigned i, struct err *err)
{
	bool with_text = !p->split && !p->flat;
	struct block_file *f = block_file_create(path, err);
	int rc;

	if (!f)
		return -EEXIST;
	if (p->flat)
		rc = block_file_truncate(f, part_size(c, p, i));
	else
		rc = write_sparse(f, part_size(c, p, i), p, with_text ? p->text : NULL, p->len);
	block_file_close(f);
	if (rc)
		unlink(path);
	return rc ? err_set(err, rc, "'%s' cannot be written: %s", path, strerror(-rc)) : 0;
}

static int write_descriptor(const char *path, const struct plan *p, struct err *err)
{
	struct block_file *f = block_file_create(path, err);
	int rc;

	if (!f)
		return -EEXIST;
	rc = block_file_write(f, 0, p->text, p->len);
	block_file_close(f);
	return rc ? err_set(err, rc, "'%s' cannot be written: %s", path, strerror(-rc)) : 0;
}

int vmdk_create(const char *path, const struct block_create *c, struct err *err)
{
	struct plan p = {0};
	unsigned made = 0;
	bool named = false; /* the descriptor is there */
	int rc;

	if (c->cluster_size && c->cluster_size != VMDK_GRAIN)
		return err_set(err, -EINVAL, "grains of a VMDK image have 64K");
	rc = choose(c, &p, err);
	if (!rc)
		rc = write_text(path, c, &p, err);
	if (!rc && p.len > VMDK_DESC_SECTORS * 512 && !p.split && !p.flat)
		rc = err_set(err, -EINVAL, "the name of the backing file is too long for a VMDK descriptor");
	if (!rc && (p.split || p.flat))
		named = !(rc = write_descriptor(path, &p, err));
	for (; !rc && made < p.parts; made++) {
		char *name = part_name(path, &p, made, true);

		rc = write_part(name, c, &p, made, err);
		free(name);
		if (rc)
			break;
	}
	for (unsigned i = 0; rc && named && i < made; i++) {
		char *name = part_name(path, &p, i, true);

		unlink(name);
		free(name);
	}
	if (rc && named)
		unlink(path);
	free(p.text);
	return rc;
}
