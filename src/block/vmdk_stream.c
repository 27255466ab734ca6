// SPDX-License-Identifier: GPL-2.0-or-later
/* what: streamOptimized VMDK: compressed grains one behind the other, the tables and a footer at the end
 *
 * Made to be written from front to back (into a tape, or a download), so it can be written only while it is new: grains
 * are appended, their places remembered, and closing writes tables, directory, footer and end mark.
 */
#include <stdlib.h>
#include <string.h>

#include "block/vmdk_int.h"

#define GRAIN_HEADER 12u /* sector u64, size u32 */

int vmdk_stream_find(struct vmdk_extent *e, uint64_t n, uint64_t *at)
{
	uint64_t table;
	uint32_t entry = 0;
	uint8_t b[4];
	int rc = 0;

	*at = 0;
	if (e->fresh) {
		entry = e->entry[n];
	} else {
		table = n / e->gtes < e->ngd ? e->gd[n / e->gtes] * 512ull : 0;
		if (table) {
			rc = block_file_read(e->file, table + n % e->gtes * 4, b, sizeof(b));
			entry = rc ? 0 : get_le32(b);
		}
	}
	*at = entry == 1 && e->flags & VMDK_F_ZERO ? BLOCK_SPARSE_ZERO : entry * 512ull;
	return rc;
}

static int read_grain(struct vmdk_extent *e, uint64_t at, uint8_t *out)
{
	uint8_t header[GRAIN_HEADER], *in;
	uint32_t len;
	int rc = block_file_read(e->file, at, header, sizeof(header));

	if (rc)
		return rc;
	len = get_le32(header + 8);
	in = len && len <= 2 * e->sparse.block_size + 1024 ? try_alloc(len, MIB(64)) : NULL;
	if (!in)
		return -EIO;
	rc = block_file_read(e->file, at + GRAIN_HEADER, in, len);
	if (!rc)
		rc = block_inflate(in, len, out, e->sparse.block_size, false);
	free(in);
	return rc;
}

static int read_part(struct vmdk_extent *e, struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov,
                     uint64_t len)
{
	uint64_t at;
	uint8_t *grain;
	int rc = vmdk_stream_find(e, offset / e->sparse.block_size, &at);

	if (rc)
		return rc;
	if (at == BLOCK_SPARSE_NONE)
		return block_backing_readv(img, e->start + offset, iov, niov);
	if (at == BLOCK_SPARSE_ZERO) {
		block_iov_zero(iov, niov);
		return 0;
	}
	grain = try_alloc(e->sparse.block_size, MIB(16));
	rc = grain ? read_grain(e, at, grain) : -ENOMEM;
	if (!rc)
		block_iov_scatter(iov, niov, grain + offset % e->sparse.block_size, len);
	free(grain);
	return rc;
}

int vmdk_stream_read(struct vmdk_extent *e, struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct iovec part[BLOCK_MAX_IOV];
	uint64_t left = block_iov_len(iov, niov);
	int rc = 0;

	while (left && !rc) {
		uint64_t len = MIN(left, e->sparse.block_size - offset % e->sparse.block_size);

		rc = read_part(e, img, offset, part, block_iov_take(&iov, &niov, len, part), len);
		offset += len;
		left -= len;
	}
	return rc;
}

int vmdk_stream_write(struct vmdk_extent *e, uint64_t offset, const void *buf, size_t len)
{
	uint32_t grain = e->sparse.block_size;
	size_t room = GRAIN_HEADER + grain + grain / 8 + 512, n;
	uint8_t *whole, *out;
	int rc = -EIO;

	if (offset % grain || len > grain || e->entry[offset / grain])
		return -EINVAL; /* each grain once */
	whole = xalloc(grain + room);
	out = whole + grain;
	memcpy(whole, buf, len);
	n = block_deflate(whole, grain, out + GRAIN_HEADER, room - GRAIN_HEADER - 512, false, 15);
	if (n) {
		put_le64(out, offset / 512);
		put_le32(out + 8, (uint32_t)n);
		n = (n + GRAIN_HEADER + 511) & ~(size_t)511;
		rc = e->end / 512 > UINT32_MAX ? -EFBIG : block_file_write(e->file, e->end, out, n);
	}
	if (!rc) {
		e->entry[offset / grain] = (uint32_t)(e->end / 512);
		e->end += n;
	}
	free(whole);
	return rc;
}

/* A marker: how many sectors follow, and of what. */
static int write_marker(struct vmdk_extent *e, uint32_t type, const void *data, size_t len)
{
	uint8_t mark[512] = {0};
	int rc;

	put_le64(mark, (len + 511) / 512);
	put_le32(mark + 12, type);
	rc = block_file_write(e->file, e->end, mark, sizeof(mark));
	if (!rc && len)
		rc = block_file_write(e->file, e->end + 512, data, len);
	if (!rc)
		e->end += 512 + ((len + 511) & ~(size_t)511);
	return rc;
}

static int write_tables(struct vmdk_extent *e, uint8_t *gd, uint64_t tables)
{
	uint64_t grains = e->size / e->sparse.block_size + 1;
	uint8_t table[VMDK_GTES * 4];
	int rc = 0;

	for (uint64_t t = 0; t < tables && !rc; t++) {
		memset(table, 0, sizeof(table));
		for (uint64_t i = 0; i < VMDK_GTES && t * VMDK_GTES + i < grains; i++)
			put_le32(table + i * 4, e->entry[t * VMDK_GTES + i]);
		if (block_is_zero(table, sizeof(table)))
			continue;
		put_le32(gd + t * 4, (uint32_t)(e->end / 512 + 1));
		rc = write_marker(e, VMDK_MARK_GT, table, sizeof(table));
	}
	return rc;
}

int vmdk_stream_finish(struct vmdk_extent *e)
{
	uint64_t per_table = (uint64_t)VMDK_GTES * e->sparse.block_size, tables = (e->size + per_table - 1) / per_table;
	size_t len = ((size_t)tables * 4 + 511) & ~(size_t)511;
	uint8_t *gd = xalloc(len), header[512];
	int rc = write_tables(e, gd, tables);

	if (!rc)
		rc = block_file_read(e->file, 0, header, sizeof(header));
	put_le64(header + V_GD, e->end / 512 + 1);
	if (!rc)
		rc = write_marker(e, VMDK_MARK_GD, gd, len);
	if (!rc)
		rc = write_marker(e, VMDK_MARK_FOOTER, header, sizeof(header));
	if (!rc)
		rc = write_marker(e, VMDK_MARK_END, NULL, 0);
	free(gd);
	return rc;
}
