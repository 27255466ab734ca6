// SPDX-License-Identifier: GPL-2.0-or-later
/* what: deflate for compressed clusters and grains; only this file sees zlib
 */
#include <zlib.h>

#include "block/block_int.h"

#define WINDOW 15

int block_inflate(const void *in, size_t n, void *out, size_t size, bool raw)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)size};
	int rc;

	if (n > UINT32_MAX || size > UINT32_MAX || inflateInit2(&z, raw ? -WINDOW : WINDOW) != Z_OK)
		return -EIO;
	rc = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* qcow2 says only in which sector the data end: Z_BUF_ERROR with a full output is as good as the end */
	return (rc == Z_STREAM_END || rc == Z_BUF_ERROR) && !z.avail_out ? 0 : -EIO;
}

size_t block_deflate(const void *in, size_t n, void *out, size_t size, bool raw, int window_bits)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)size};
	int rc;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, raw ? -window_bits : window_bits, 9,
	                 Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	rc = deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return rc == Z_STREAM_END ? size - z.avail_out : 0;
}
