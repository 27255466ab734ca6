// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of images: what must be refused and how it is said, guesses that guests may not use up, chains, faults
 */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/image.h"

#define SIZE MIB(4)

static char folder[64], path[96], other[96];

static int setup(void **state)
{
	strcpy(folder, "/tmp/ring3-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/disk", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	unlink(other);
	rmdir(folder);
	return 0;
}

static void make(const char *at, struct block_create c)
{
	struct err err = {{0}};

	if (!c.size)
		c.size = SIZE;
	if (block_create(at, &c, &err))
		fail_msg("%s", err.msg);
}

static struct block_image *open_it(const char *at, struct block_image_opts opts)
{
	struct err err = {{0}};
	struct block_image *img = block_image_open(at, &opts, &err);

	if (!img)
		fail_msg("%s", err.msg);
	return img;
}

static void refused(struct block_image_opts opts, const char *words)
{
	struct err err = {{0}};

	assert_null(block_image_open(path, &opts, &err));
	if (!strstr(err.msg, words))
		fail_msg("'%s' does not say '%s'", err.msg, words);
}

static void poke(const char *at, uint64_t offset, const void *bytes, size_t len)
{
	int fd = open(at, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), (ssize_t)len);
	close(fd);
}

static void guess(void **state)
{
	/* An image that is raw by guess does not become another: each header is refused, format=raw lets it through. */
	static const struct { unsigned at; const char *bytes; unsigned len; } head[] = {
		{0, "QFI\xfb\0\0\0\3", 8}, {0, "KDMV", 4}, {0, "# Disk DescriptorFile\n", 22}, {0, "conectix", 8},
		{0, "vhdxfile", 8}, {0x40, "\x7f\x10\xda\xbe", 4},
	};
	struct block_image *img;
	uint8_t buf[4096];

	log_set_level((enum log_level)-1);
	make(path, (struct block_create){.format = "raw"});
	for (unsigned i = 0; i < ARRAY_LEN(head); i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf + head[i].at, head[i].bytes, head[i].len);
		img = open_it(path, (struct block_image_opts){0});
		assert_int_equal(block_image_write(img, 0, buf, sizeof(buf)), -EIO);
		assert_int_equal(block_image_write(img, 512, buf, sizeof(buf)), 0);
		block_image_close(img);
		img = open_it(path, (struct block_image_opts){.format = "raw"});
		assert_int_equal(block_image_write(img, 0, buf, sizeof(buf)), 0);
		memset(buf, 0, sizeof(buf));
		assert_int_equal(block_image_write(img, 0, buf, sizeof(buf)), 0);
		block_image_close(img);
	}
	log_set_level(LOG_WARN);
}

static void qcow2_refusals(void **state)
{
	/* Encryption, data files, unknown features by their name, absurd sizes: each has its own words. */
	static const struct { uint64_t at; const char *bytes; unsigned len; const char *words; } bad[] = {
		{32, "\0\0\0\1", 4, "encrypted"}, {72, "\0\0\0\0\0\0\0\4", 8, "file beside it"},
		{72, "\0\0\0\0\0\1\0\0", 8, "bit 16"}, {20, "\0\0\0\x16", 4, "2^22 bytes"}, {20, "\0\0\0\x08", 4, "2^8 bytes"},
		{96, "\0\0\0\7", 4, "2^7 bits"}, {36, "\x7f\0\0\0", 4, "L1 table"}, {40, "\0\0\0\0\0\0\0\1", 8, "aligned"},
		{56, "\0\0\1\0", 4, "refcount table"}, {100, "\xff\0\0\0", 4, "header"}, {4, "\0\0\0\4", 4, "version 4"},
		{72, "\0\0\0\0\0\0\0\2", 8, "corrupt"}, {104, "\7", 1, "compressed in the unknown way 7"},
		{24, "\xff\0\0\0\0\0\0\0", 8, "size"},
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		unlink(path);
		make(path, (struct block_create){.format = "qcow2"});
		poke(path, bad[i].at, bad[i].bytes, bad[i].len);
		refused((struct block_image_opts){0}, bad[i].words);
	}
	unlink(path);
	make(path, (struct block_create){.format = "qcow2"});
	poke(path, 72, "\0\0\0\0\0\0\1\0", 8);
	poke(path, 112, "\x68\x03\xf8\x57\0\0\0\x30\0\x08warp drive", 20);
	refused((struct block_image_opts){0}, "warp drive");
}

static void chains(void **state)
{
	/* A chain that comes back to itself, and one that is not there, are said; a shared backing file is not written. */
	struct block_image *top, *second;
	struct err err = {{0}};

	make(other, (struct block_create){.format = "raw"});
	make(path, (struct block_create){.format = "qcow2", .backing = "other", .backing_format = "raw"});
	top = open_it(path, (struct block_image_opts){0});
	second = open_it(other, (struct block_image_opts){.readonly = true});
	assert_null(block_image_open(other, &(struct block_image_opts){0}, &err)); /* somebody's backing file */
	assert_non_null(strstr(err.msg, "in use"));
	assert_null(block_image_open(path, &(struct block_image_opts){.readonly = true}, &err));
	block_image_close(top);
	block_image_close(second);
	unlink(other);
	refused((struct block_image_opts){0}, "does not exist");
	make(other, (struct block_create){.format = "qcow2", .backing = "disk", .backing_format = "qcow2"});
	top = open_it(path, (struct block_image_opts){.no_backing = true});
	assert_int_equal(block_image_set_backing(top, "other", "qcow2", NULL), 0);
	block_image_close(top);
	refused((struct block_image_opts){0}, "its own backing file");
	top = open_it(path, (struct block_image_opts){.no_backing = true});
	assert_int_equal(block_image_set_backing(top, "nbd:host:1", "raw", NULL), 0);
	block_image_close(top);
	refused((struct block_image_opts){0}, "only files");
}

static void zeros_and_discards(void **state)
{
	/* Zeroed and discarded clusters read as zeros over a backing file too, and give their place back. */
	struct block_image *img;
	struct stat before, after;
	uint8_t *buf = malloc(MIB(1));

	make(other, (struct block_create){.format = "raw"});
	img = open_it(other, (struct block_image_opts){.format = "raw"});
	memset(buf, 0x11, MIB(1));
	assert_int_equal(block_image_write(img, 0, buf, MIB(1)), 0);
	block_image_close(img);
	make(path, (struct block_create){.format = "qcow2", .backing = "other", .backing_format = "raw"});
	img = open_it(path, (struct block_image_opts){0});
	memset(buf, 0x22, MIB(1));
	assert_int_equal(block_image_write(img, 0, buf, MIB(1)), 0);
	assert_int_equal(block_image_flush(img), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(block_image_discard(img, KIB(256), KIB(512)), 0);
	assert_int_equal(block_image_zero(img, 512, 1024, false), 0);
	assert_int_equal(block_image_flush(img), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(block_image_read(img, 0, buf, MIB(1)), 0);
	assert_int_equal(buf[0], 0x22);
	assert_true(block_is_zero(buf + 512, 1024));
	assert_int_equal(buf[1536], 0x22);
	assert_true(block_is_zero(buf + KIB(256), KIB(512)));
	assert_int_equal(buf[KIB(768)], 0x22);
	block_image_close(img);
	free(buf);
}

static int full(void *opaque, enum block_fault_op op, uint64_t offset, uint64_t len)
{
	unsigned *left = opaque;

	if (op == BLOCK_FAULT_READ || *left > 1000)
		return 0;
	return *left ? (--*left, 0) : -ENOSPC;
}

static void host_full(void **state)
{
	/* Whichever write finds the host's disk full: the request fails, and what was there before still reads. */
	for (unsigned n = 0; n < 12; n++) {
		unsigned left = 2000;
		struct block_fault fault = {full, &left};
		struct block_image *img;
		struct block_check c = {0};
		uint8_t buf[4096], back[4096];
		int rc = 0;

		unlink(path);
		make(path, (struct block_create){.format = "qcow2", .cluster_size = 4096});
		img = open_it(path, (struct block_image_opts){.fault = &fault});
		memset(buf, 0x33, sizeof(buf));
		assert_int_equal(block_image_write(img, 8192, buf, sizeof(buf)), 0);
		assert_int_equal(block_image_flush(img), 0);
		left = n;
		memset(back, 0x44, sizeof(back));
		for (unsigned i = 0; i < 20 && !rc; i++) {
			rc = block_image_write(img, MIB(1) + i * KIB(100) / 512 * 512, back, sizeof(back));
			if (!rc)
				rc = block_image_flush(img);
		}
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(block_image_read(img, 8192, back, sizeof(back)), 0);
		assert_memory_equal(buf, back, sizeof(buf));
		left = 2000; /* there is room again */
		assert_int_equal(block_image_write(img, MIB(2), buf, sizeof(buf)), 0);
		assert_int_equal(block_image_flush(img), 0);
		block_image_close(img);
		img = open_it(path, (struct block_image_opts){.readonly = true});
		assert_int_equal(block_image_check(img, false, &c, NULL), 0);
		assert_int_equal(c.corruptions, 0);
		assert_int_equal(block_image_read(img, MIB(2), back, sizeof(back)), 0);
		assert_memory_equal(buf, back, sizeof(buf));
		block_image_close(img);
	}
}

static void corruption_noticed(void **state)
{
	/* A data cluster over the L1 table is not written: an I/O error, the image marked, the table as it was. */
	struct block_image *img;
	uint8_t buf[4096] = {0}, entry[8] = {0x80}, before[512], after[512];
	uint64_t l2;
	int fd;

	make(path, (struct block_create){.format = "qcow2", .cluster_size = 4096});
	img = open_it(path, (struct block_image_opts){0});
	memset(buf, 1, sizeof(buf));
	assert_int_equal(block_image_write(img, 0, buf, sizeof(buf)), 0);
	block_image_close(img);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, before, 512, 3 * 4096), 512);
	l2 = (uint64_t)get_be32(before) << 32 | get_be32(before + 4);
	l2 &= ~(1ull << 63);
	put_be16(entry + 6, 3 * 4096);
	poke(path, l2, entry, 8);
	log_set_level((enum log_level)-1);
	img = open_it(path, (struct block_image_opts){0});
	assert_int_equal(block_image_write(img, 0, buf, sizeof(buf)), -EIO);
	assert_int_equal(block_image_write(img, MIB(1), buf, sizeof(buf)), -EIO);
	block_image_close(img);
	log_set_level(LOG_WARN);
	assert_int_equal(pread(fd, after, 512, 3 * 4096), 512);
	assert_memory_equal(before, after, 512);
	close(fd);
	refused((struct block_image_opts){0}, "marked as corrupt");
}

/* ---- several requests under way */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static unsigned inside, most, completed;

/* Nobody leaves before three are inside. */
static int meet(void *opaque, enum block_fault_op op, uint64_t offset, uint64_t len)
{
	if (op != BLOCK_FAULT_READ || !offset)
		return 0;
	pthread_mutex_lock(&gate);
	if (++inside > most)
		most = inside;
	pthread_cond_broadcast(&moved);
	while (most < 3)
		pthread_cond_wait(&moved, &gate);
	inside--;
	pthread_mutex_unlock(&gate);
	return 0;
}

static void read_done(struct block_req *req, int result)
{
	assert_int_equal(result, 0);
	completed++;
}

static void several(void **state)
{
	/* A deep queue has several requests at the host's disk at once; a drain waits for all of them. */
	struct block_fault fault = {meet, NULL};
	struct block_opts opts = {.fault = &fault, .format = "raw"};
	struct loop *loop = loop_new(NULL);
	struct block_req req[16];
	struct iovec iov[16];
	static uint8_t buf[16][512];
	struct block *blk;

	make(path, (struct block_create){.format = "raw"});
	blk = block_open(loop, path, &opts, NULL);
	assert_non_null(blk);
	loop_lock(loop);
	for (unsigned i = 0; i < 16; i++) {
		iov[i] = (struct iovec){buf[i], 512};
		req[i] = (struct block_req){.op = BLOCK_READ, .offset = 512 * (i + 1), .iov = &iov[i], .niov = 1,
			.done = read_done};
		block_submit(blk, &req[i]);
	}
	loop_unlock(loop);
	block_drain(blk);
	assert_int_equal(completed, 16);
	assert_in_range(most, 3, 4);
	block_close(blk);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(guess), T(qcow2_refusals), T(chains), T(zeros_and_discards), T(host_full), T(corruption_noticed), T(several),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
