// SPDX-License-Identifier: GPL-2.0-or-later
/* what: zstd for qcow2's compressed clusters; only this file sees libzstd
 */
#include <zstd.h>

#include "block/block_int.h"

/* The input may be longer than the frame (whole sectors), so it is streamed until the output is full. */
int block_unzstd(const void *in, size_t n, void *out, size_t size)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	ZSTD_inBuffer from = {in, n, 0};
	ZSTD_outBuffer to = {out, size, 0};
	size_t rc = 1;

	if (!ctx)
		return -ENOMEM;
	while (rc && to.pos < size && from.pos < n) {
		size_t before = from.pos, made = to.pos;

		rc = ZSTD_decompressStream(ctx, &to, &from);
		if (ZSTD_isError(rc) || (from.pos == before && to.pos == made))
			break;
	}
	ZSTD_freeDCtx(ctx);
	return to.pos == size ? 0 : -EIO;
}

size_t block_zstd(const void *in, size_t n, void *out, size_t size)
{
	size_t rc = ZSTD_compress(out, size, in, n, 3);

	return ZSTD_isError(rc) ? 0 : rc;
}
