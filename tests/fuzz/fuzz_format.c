// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target for one image format: a good image, some of its bytes changed, opened, read, written, checked
 *
 * An input is a list of changes to the sectors of a good image that hold something, and then a list of requests. Sums
 * over headers are made right again, half of the time. Whatever happens, requests end, and the image's file does not
 * grow by more than was written to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/image.h"
#include "fuzz.h"

#define SIZE MIB(1)
#define BUF 65536u
#define GROWTH MIB(256)

static uint8_t *good;
static uint64_t good_len;
static uint32_t *sector, nsectors; /* those with something in them */
static uint8_t *scratch;           /* as good, but for the sectors that an input changes */

static void write_some(struct block_image *img)
{
	uint8_t buf[4096];

	memset(buf, 0x5a, sizeof(buf));
	for (uint64_t at = 0; at < SIZE; at += SIZE / 8)
		block_image_write(img, at, buf, sizeof(buf));
	block_image_snapshot_create(img, "one", NULL);
	block_image_write(img, KIB(64), buf, sizeof(buf));
	block_image_zero(img, KIB(512), KIB(32), true);
	for (unsigned i = 0; i < 16; i++)
		block_image_write_compressed(img, KIB(768) + i * KIB(4), buf, sizeof(buf));
}

/* VHDX cannot be made here: the least that opens. Facts as in src/block/vhdx.c. */
static void make_vhdx(FILE *f)
{
	static const uint8_t guid[5][16] = {
		{0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08},
		{0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e},
		{0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b},
		{0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8},
		{0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f},
	};
	uint8_t *b = xalloc(MIB(5));

	memcpy(b, "vhdxfile", 8);
	memcpy(b + KIB(64), "head", 4);
	put_le16(b + KIB(64) + 66, 1);
	memcpy(b + KIB(192), "regi", 4);
	put_le32(b + KIB(192) + 8, 2);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(b + KIB(192) + 16 + i * 32, guid[i], 16);
		put_le64(b + KIB(192) + 32 + i * 32, MIB(1) + i * MIB(1));
		put_le32(b + KIB(192) + 40 + i * 32, (uint32_t)MIB(1));
	}
	for (unsigned i = 0; i < 4; i++)
		put_le64(b + MIB(1) + i * 8, i == 1 ? MIB(4) | 6 : i == 2 ? MIB(3) | 6 : i);
	memcpy(b + MIB(2), "metadata", 8);
	put_le16(b + MIB(2) + 10, 3);
	for (unsigned i = 0; i < 3; i++) {
		memcpy(b + MIB(2) + 32 + i * 32, guid[2 + i], 16);
		put_le32(b + MIB(2) + 48 + i * 32, (uint32_t)KIB(64) + i * 8);
		put_le32(b + MIB(2) + 52 + i * 32, 8);
	}
	put_le32(b + MIB(2) + KIB(64), (uint32_t)MIB(1));
	put_le64(b + MIB(2) + KIB(64) + 8, SIZE);
	put_le32(b + MIB(2) + KIB(64) + 16, 512);
	must(fwrite(b, 1, MIB(5), f) == MIB(5));
	free(b);
}

static void make_good(const char *path)
{
	struct block_create c = {.format = FUZZ_FORMAT, .size = SIZE};
	bool fine = !strcmp(FUZZ_FORMAT, "qcow2") || !strncmp(FUZZ_FORMAT, "vd", 2) || !strcmp(FUZZ_FORMAT, "vhd");
	struct block_image_opts opts = {.format = FUZZ_FORMAT};
	struct block_image *img;
	struct err err;
	FILE *f;

	c.cluster_size = fine ? 4096 : 0; /* small files, fast runs */
	if (strcmp(FUZZ_FORMAT, "vhdx")) {
		must(!block_create(path, &c, &err));
		img = block_image_open(path, &opts, &err);
		must(img);
		write_some(img);
		block_image_close(img);
		return;
	}
	f = fopen(path, "w");
	must(f);
	make_vhdx(f);
	fclose(f);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[] = "/tmp/ring3-fuzz-XXXXXX";
	struct stat st;
	FILE *f;

	log_set_level((enum log_level)-1);
	must(mkstemp(path) >= 0);
	unlink(path);
	make_good(path);
	f = fopen(path, "r");
	must(f && !fstat(fileno(f), &st));
	good_len = (uint64_t)st.st_size;
	good = xalloc(good_len + 512);
	must(fread(good, 1, good_len, f) == good_len);
	scratch = xalloc(good_len + 512);
	memcpy(scratch, good, good_len);
	fclose(f);
	unlink(path);
	sector = xalloc((good_len / 512 + 1) * sizeof(sector[0]));
	for (uint64_t i = 0; i * 512 < good_len; i++)
		if (!block_is_zero(good + i * 512, MIN(512, good_len - i * 512)) && nsectors < 65536)
			sector[nsectors++] = (uint32_t)i;
	return 0;
}

static uint32_t crc32c(const uint8_t *b, size_t len)
{
	uint32_t table[256], crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (unsigned k = 0; k < 8; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78u : 0);
	}
	for (size_t i = 0; i < len; i++)
		crc = crc >> 8 ^ table[(crc ^ b[i]) & 255];
	return ~crc;
}

static void vhd_sum(uint8_t *b, size_t len, size_t at)
{
	uint32_t sum = 0;

	put_be32(b + at, 0);
	for (size_t i = 0; i < len; i++)
		sum += b[i];
	put_be32(b + at, ~sum);
}

static void mend_sums(uint8_t *b)
{
	if (!strcmp(FUZZ_FORMAT, "vhd") && good_len > 2048) {
		vhd_sum(b, 512, 64);
		vhd_sum(b + 512, 1024, 36);
		vhd_sum(b + good_len - 512, 512, 64);
	} else if (!strcmp(FUZZ_FORMAT, "vhdx")) {
		put_le32(b + KIB(64) + 4, 0);
		put_le32(b + KIB(64) + 4, crc32c(b + KIB(64), 4096));
		put_le32(b + KIB(192) + 4, 0);
		put_le32(b + KIB(192) + 4, crc32c(b + KIB(192), 65536));
	}
}

/* A number, or a place in the file, as formats write it: in bytes, in sectors, either byte order. */
static void change(struct input *in, uint8_t *b)
{
	unsigned how = (unsigned)take(in, 1), width = 1u << (how & 3);
	uint64_t at = (uint64_t)sector[take(in, 2) % nsectors] * 512 + take(in, 2) % 512, v;
	uint8_t bytes[8];

	v = how & 4 ? take(in, width) : sector[take(in, 2) % nsectors] * (how & 8 ? 1ull : 512ull);
	v |= how & 0x10 ? 1ull << (take(in, 1) & 63) : 0;
	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> (how & 0x20 ? 8 * i : 8 * (width - 1 - i)));
	memcpy(b + at, bytes, MIN(width, good_len - MIN(at, good_len)));
}

static void request(struct input *in, struct block_image *img, uint8_t *buf)
{
	unsigned how = (unsigned)take(in, 1), name = how >> 4;
	uint64_t len = (1 + take(in, 1) % 128) * 512, at = take(in, 2) * 512, size = block_image_size(img);
	struct block_extent x;

	if (how & 8 && size > BUF)
		at = size - BUF + at % BUF;
	switch (how & 7) {
	case 0:
	case 1:
		block_image_read(img, at, buf, len);
		break;
	case 2:
	case 3:
		block_image_write(img, at, buf, len);
		break;
	case 4:
		block_image_zero(img, at, len, name & 1);
		break;
	case 5:
		block_image_discard(img, at, len);
		break;
	case 6:
		block_image_map(img, at, len, &x);
		break;
	default:
		if (name < 4)
			block_image_flush(img);
		else if (name < 7)
			block_image_snapshot_create(img, name == 5 ? "two" : "three", NULL);
		else if (name < 10)
			block_image_snapshot_apply(img, name == 7 ? "one" : "two", NULL);
		else if (name < 13)
			block_image_snapshot_remove(img, name == 10 ? "one" : "two", NULL);
		else if (name < 15 && size < MIB(64))
			block_image_resize(img, size + KIB(512), NULL);
		else
			block_image_set_backing(img, NULL, NULL, NULL);
	}
}

static void live(struct input *in, const char *path, unsigned how)
{
	struct block_image_opts opts = {.format = FUZZ_FORMAT, .readonly = how & 1, .no_backing = how & 2,
	                                .repair = how & 4};
	struct block_image *img = block_image_open(path, &opts, NULL);
	static uint8_t buf[BUF];
	struct block_check c = {0};
	uint64_t size;

	if (!img)
		return;
	size = MIN(block_image_size(img), 2 * SIZE);
	for (uint64_t at = 0; at < size; at += BUF)
		block_image_read(img, at, buf, MIN(8192, size - at));
	for (unsigned n = 0; in->left && n < 40; n++)
		request(in, img, buf);
	if (how & 8)
		block_image_check(img, how & 4 && !(how & 1), &c, NULL);
	block_image_close(img);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned how = (unsigned)take(&in, 1), changes = (unsigned)take(&in, 1) % 24;
	struct fuzz_file file;
	struct stat st;

	while (changes-- && in.left)
		change(&in, scratch);
	if (how & 0x10)
		mend_sums(scratch);
	fuzz_file_make(&file, NULL, 0, good_len);
	for (uint32_t i = 0; i < nsectors; i++) { /* the rest is holes, in the good one too; and back to good */
		uint64_t at = sector[i] * 512ull, len = MIN(520, good_len - at);

		must(pwrite(file.fd, scratch + at, len, (off_t)at) == (ssize_t)len);
		memcpy(scratch + at, good + at, len);
	}
	live(&in, file.path, how);
	must(!fstat(file.fd, &st) && (uint64_t)st.st_blocks * 512 <= good_len + GROWTH);
	fuzz_file_close(&file);
	return 0;
}
