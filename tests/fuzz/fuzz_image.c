// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: disk images and firmware images of any size and content, read and written through the overlay
 */
#include "block/block.h"
#include "board/firmware.h"
#include "fuzz.h"

static int results;

static void done(struct block_req *req, int result)
{
	results++;
}

static void request(struct input *in, struct loop *loop, struct block *blk)
{
	static uint8_t buf[8192];
	unsigned how = (unsigned)take(in, 1);
	struct iovec iov[2] = { { buf, take(in, 1) * 32 }, { buf, (how >> 4) * 512 } };
	struct block_req req = { .op = how % 3, .offset = take(in, 1) * (how & 8 ? 512 : 128), .iov = iov,
		.niov = how >> 2 & 1 ? 2 : 1, .done = done };

	if (how == 0xff)
		req.offset = take(in, 8);
	results = 0;
	loop_lock(loop);
	block_submit(blk, &req);
	loop_unlock(loop);
	loop_step(loop, 0);
	must(results == 1);
}

static void disk(struct input *in, unsigned how, const char *path)
{
	struct loop *loop = loop_new_stepped();
	struct block_opts opts = { .readonly = how & 1, .snapshot = how & 2,
		.format = how & 4 ? "raw" : how & 8 ? "qcow2" : NULL };
	struct err err;
	struct block *blk = block_open(loop, path, &opts, &err);

	for (unsigned n = 0; blk && in->left && n < 40; n++)
		request(in, loop, blk);
	if (blk)
		block_close(blk);
	loop_free(loop);
}

static void firmware(const char *path)
{
	struct rom rom = { 0 };
	struct err err;

	if (!firmware_load(&rom, path, &err)) {
		struct loop *loop = loop_new_stepped();
		struct mem *mem = mem_new(loop, MIB(4), 0xe0000000, &err);
		uint8_t byte;

		must(mem);
		loop_lock(loop);
		firmware_map(&rom, mem);
		loop_unlock(loop);
		mem_read(mem, 0xfffffff0, &byte, 1);
		mem_read(mem, 0xe0000, &byte, 1);
		loop_lock(loop);
		mem_detach_all(mem);
		loop_unlock(loop);
		mem_free(mem);
		loop_free(loop);
	}
	firmware_free(&rom);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned how = (unsigned)take(&in, 1);
	uint64_t pad = how & 0x80 ? take(&in, 2) * 512 : 0;
	struct fuzz_file file;

	fuzz_file_make(&file, in.p, in.left, pad ? MAX(pad, in.left) : in.left);
	if (how & 0x40)
		firmware(file.path);
	else
		disk(&in, how, file.path);
	fuzz_file_close(&file);
	return 0;
}
