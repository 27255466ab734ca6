// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of disk images: refusals with reasons, requests, the snapshot overlay, locking, the worker */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"

static struct loop *loop;
static char path[64];
static int last_result;
static unsigned completions;

static int setup(void **state)
{
	int fd;
	uint8_t sector[512];

	loop = loop_new_stepped();
	strcpy(path, "/tmp/ring3-test-XXXXXX");
	fd = mkstemp(path);
	for (int i = 0; i < 64; i++) {
		memset(sector, i + 1, sizeof(sector));
		assert_int_equal(write(fd, sector, 512), 512);
	}
	close(fd);
	completions = 0;
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	loop_free(loop);
	return 0;
}

static void done(struct block_req *req, int result)
{
	last_result = result;
	completions++;
}

static struct block *open_it(bool readonly, bool snapshot)
{
	struct block_opts opts = {.readonly = readonly, .snapshot = snapshot};
	struct err err;
	struct block *blk = block_open(loop, path, &opts, &err);

	if (!blk)
		fail_msg("%s", err.msg);
	return blk;
}

static int transfer(struct block *blk, enum block_op op, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct block_req req = {.op = op, .offset = offset, .iov = &iov, .niov = 1, .done = done};
	unsigned before = completions;

	loop_lock(loop);
	block_submit(blk, &req);
	loop_unlock(loop);
	assert_int_equal(completions, before);
	loop_step(loop, 0);
	assert_int_equal(completions, before + 1);
	return last_result;
}

static void expect_refused(const char *file, const struct block_opts *opts, const char *words)
{
	struct err err = {{0}};

	assert_null(block_open(loop, file, opts, &err));
	if (!strstr(err.msg, words))
		fail_msg("'%s' does not say '%s'", err.msg, words);
}

static void refusals(void **state)
{
	/* What is no usable image is refused with a reason, and nothing is created. */
	struct block_opts plain = {0}, qcow = {.format = "qcow2"}, raw = {.format = "raw"};
	struct block *blk;
	int fd;

	expect_refused("/nonexistent/disk.img", &plain, "does not exist");
	expect_refused("/tmp", &plain, "is a directory");
	expect_refused("/dev/null", &plain, "neither a regular file");
	expect_refused(path, &qcow, "no qcow2 image");
	assert_int_equal(truncate(path, 0), 0);
	expect_refused(path, &plain, "is empty");
	assert_int_equal(truncate(path, 1000), 0);
	expect_refused(path, &plain, "not a multiple of 512");
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "QFI\xfb", 4, 0), 4);
	close(fd);
	assert_int_equal(truncate(path, 1024), 0);
	expect_refused(path, &plain, "qcow version");
	blk = block_open(loop, path, &raw, NULL);
	assert_non_null(blk);
	block_close(blk);
}

static void read_and_write(void **state)
{
	/* Requests complete at the next step, never inside submit. */
	struct block *blk = open_it(false, false);
	uint8_t buf[1024], back[1024];

	assert_int_equal(block_size(blk), 64 * 512);
	assert_int_equal(transfer(blk, BLOCK_READ, 512, buf, 1024), 0);
	assert_int_equal(buf[0], 2);
	assert_int_equal(buf[512], 3);
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(transfer(blk, BLOCK_WRITE, 1024, buf, 1024), 0);
	assert_int_equal(transfer(blk, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(block_read_sync(blk, 1024, back, 1024), 0);
	assert_memory_equal(buf, back, 1024);
	block_close(blk);
}

static void bounds(void **state)
{
	/* Requests beyond the end, unaligned or overflowing fail with -EINVAL. */
	struct block *blk = open_it(false, false);
	uint8_t buf[1024];

	assert_int_equal(transfer(blk, BLOCK_READ, 63 * 512, buf, 1024), -EINVAL);
	assert_int_equal(transfer(blk, BLOCK_READ, 64 * 512, buf, 512), -EINVAL);
	assert_int_equal(transfer(blk, BLOCK_READ, UINT64_MAX - 511, buf, 512), -EINVAL);
	assert_int_equal(transfer(blk, BLOCK_READ, 100, buf, 512), -EINVAL);
	assert_int_equal(transfer(blk, BLOCK_READ, 0, buf, 100), -EINVAL);
	assert_int_equal(transfer(blk, BLOCK_READ, 63 * 512, buf, 512), 0);
	block_close(blk);
}

static void readonly_image(void **state)
{
	/* A read-only image refuses writes and can be shared; a writer excludes everyone. */
	struct block_opts ro = {.readonly = true}, rw = {0};
	struct block *a = open_it(true, false), *b = open_it(true, false);
	uint8_t buf[512] = {0};

	assert_int_equal(transfer(a, BLOCK_WRITE, 0, buf, 512), -EROFS);
	expect_refused(path, &rw, "in use");
	block_close(a);
	block_close(b);
	a = open_it(false, false);
	expect_refused(path, &rw, "in use");
	expect_refused(path, &ro, "in use");
	block_close(a);
}

static void snapshot(void **state)
{
	/* Writes to a snapshot are read back, mixed with the image's sectors, and leave the image alone. */
	struct block *blk = open_it(false, true);
	uint8_t buf[512 * 20], image[512];
	struct iovec iov[3] = {{buf, 700}, {buf + 700, 100}, {buf + 800, 20 * 512 - 800}};
	struct block_req req = {.op = BLOCK_READ, .iov = iov, .niov = 3, .done = done};
	int fd;

	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(transfer(blk, BLOCK_WRITE, 512, buf, 512), 0);
	assert_int_equal(transfer(blk, BLOCK_WRITE, 4 * 512, buf, 10 * 512), 0);
	memset(buf, 0, sizeof(buf));
	loop_lock(loop);
	block_submit(blk, &req);
	loop_unlock(loop);
	loop_step(loop, 0);
	assert_int_equal(last_result, 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(buf[i * 512 + 100], i == 1 || (i >= 4 && i < 14) ? 0xaa : i + 1);
	assert_int_equal(iov[0].iov_len, 700);
	block_close(blk);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, image, 512, 512), 512);
	assert_int_equal(image[0], 2);
	close(fd);
}

static void threaded_done(struct block_req *req, int result)
{
	completions++;
	last_result |= result;
}

static void worker(void **state)
{
	/* With a real loop a worker completes requests in order; closing waits for all of them. */
	struct block_opts opts = {0};
	struct loop *real = loop_new(NULL);
	struct block *blk = block_open(real, path, &opts, NULL);
	static uint8_t buf[32][512];
	struct iovec iov[32];
	struct block_req req[32];

	last_result = 0;
	loop_lock(real);
	for (int i = 0; i < 32; i++) {
		iov[i] = (struct iovec){buf[i], 512};
		req[i] = (struct block_req){.op = BLOCK_READ, .offset = (uint64_t)i * 512, .iov = &iov[i], .niov = 1,
		                            .done = threaded_done};
		block_submit(blk, &req[i]);
	}
	loop_unlock(real);
	block_close(blk);
	assert_int_equal(completions, 32);
	assert_int_equal(last_result, 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(buf[i][511], i + 1);
	loop_free(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(refusals), T(read_and_write), T(bounds), T(readonly_image), T(snapshot), T(worker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
