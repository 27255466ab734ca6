// SPDX-License-Identifier: GPL-2.0-or-later
/* what: pictures of the screen as files: PPM, and PNG by zlib, which only this file sees
 *
 * A PNG of RGB rows without filters is a header, one compressed stream and an end: less than a use of libpng would be.
 * Source: PNG (W3C, second edition) 5 (chunks), 9 (filter type 0), 11.2.2 (IHDR).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "api/api_int.h"
#include "api/commands.h"

#define LEVEL 1 /* a quarter of the time of the default, a few per cent larger */

uint8_t *shot_ppm(const uint8_t *rgb, unsigned width, unsigned height, size_t *len)
{
	size_t n = (size_t)width * height * 3;
	char head[40];
	size_t nhead = (size_t)snprintf(head, sizeof(head), "P6\n%u %u\n255\n", width, height);
	uint8_t *out = malloc(nhead + n);

	if (!out)
		return NULL;
	memcpy(out, head, nhead);
	memcpy(out + nhead, rgb, n);
	*len = nhead + n;
	return out;
}

/* A chunk of n bytes that stand at p + 8 already; returns what is behind it. */
static uint8_t *chunk(uint8_t *p, const char type[4], size_t n)
{
	uint32_t crc;

	put_be32(p, (uint32_t)n);
	memcpy(p + 4, type, 4);
	crc = (uint32_t)crc32(0, p + 4, (uInt)(n + 4));
	put_be32(p + 8 + n, crc);
	return p + 12 + n;
}

/* Each row begins with its filter's number. */
static uint8_t *rows(const uint8_t *rgb, unsigned width, unsigned height)
{
	size_t row = (size_t)width * 3;
	uint8_t *out = malloc((row + 1) * height);

	for (unsigned y = 0; out && y < height; y++) {
		out[y * (row + 1)] = 0;
		memcpy(out + y * (row + 1) + 1, rgb + y * row, row);
	}
	return out;
}

uint8_t *shot_png(const uint8_t *rgb, unsigned width, unsigned height, size_t *len)
{
	static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	static const uint8_t kind[5] = { 8, 2, 0, 0, 0 }; /* bits, RGB, deflate, adaptive filters, no interlace */
	uLong raw = (uLong)((size_t)width * 3 + 1) * height, packed = compressBound(raw);
	uint8_t *in = rows(rgb, width, height), *out = malloc(packed + 64), *p = out;

	if (!in || !out || !raw) {
		free(in);
		free(out);
		return NULL;
	}
	memcpy(p, signature, sizeof(signature));
	p += sizeof(signature);
	put_be32(p + 8, width);
	put_be32(p + 12, height);
	memcpy(p + 16, kind, sizeof(kind));
	p = chunk(p, "IHDR", 13);
	must(compress2(p + 8, &packed, in, raw, LEVEL) == Z_OK);
	p = chunk(p, "IDAT", packed);
	p = chunk(p, "IEND", 0);
	free(in);
	*len = (size_t)(p - out);
	return out;
}

int shot_save(struct api *api, const char *file, bool png, struct err *err)
{
	unsigned width, height;
	uint8_t *rgb = pc_screen(api->pc, &width, &height), *data = NULL;
	size_t len = 0;
	int rc;

	if (rgb)
		data = (png ? shot_png : shot_ppm)(rgb, width, height, &len);
	if (data)
		rc = api_write_file(api, file, data, len, err);
	else
		rc = err_set(err, -ENOMEM, "no memory for a picture of the screen");
	free(data);
	free(rgb);
	return rc;
}

API_COMMAND(screendump)
{
	bool png = !strcmp(js_get_str(args, "format", "ppm"), "png");

	if (js_get(args, "device"))
		return api_fail_class(call, "DeviceNotFound", "Device '%.64s' not found", js_get_str(args, "device", ""));
	if (js_get_int(args, "head", 0))
		return api_fail(call, "There is one screen: head must be 0");
	return shot_save(call->api, js_get_str(args, "filename", ""), png, &call->err) ? NULL : js_object();
}
