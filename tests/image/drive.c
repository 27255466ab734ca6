// SPDX-License-Identifier: GPL-2.0-or-later
/* what: drives an image through the block layer: random requests beside a raw model, writes that can be killed, checks
 *
 *   drive random FILE FORMAT MODEL SEED OPS THREADS   the same content goes to MODEL, a raw file
 *   drive writer FILE FORMAT SEED OPS DIE             writes, flushes, and says on standard output what it did; dies
 *                                                     before its DIE-th operation on the host's file (0: lives)
 *   drive verify FILE FORMAT LOG                      is there in FILE what the writer's LOG says must be?
 *   drive latency FILE FORMAT N DEPTH                 4 KiB reads through the queue, DEPTH under way; us each
 *
 * Each sector that the writer writes holds the number of the write and the sector's own, so that verify can tell whose
 * it is: after a kill it must be the last one flushed, or one that was begun later.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "block/block.h"
#include "block/image.h"

#define MAX_LEN 262144u

struct rng {
	uint64_t s;
};

static uint64_t next(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

static struct block_image *open_it(const char *path, const char *format, bool readonly, const struct block_fault *fault)
{
	struct block_image_opts opts = {.format = strcmp(format, "-") ? format : NULL, .readonly = readonly,
	                                .fault = fault};
	struct err err = {{0}};
	struct block_image *img = block_image_open(path, &opts, &err);

	if (!img) {
		fprintf(stderr, "%s\n", err.msg);
		exit(2);
	}
	return img;
}

static void fail(const char *what, uint64_t offset, int rc)
{
	fprintf(stderr, "%s at %llu: %s\n", what, (unsigned long long)offset, strerror(-rc));
	exit(1);
}

struct job {
	struct block_image *img;
	int model;
	uint64_t from, to; /* this thread's part of the disk */
	unsigned ops;
	struct rng rng;
};

static void fill(uint8_t *buf, uint64_t len, struct rng *r)
{
	uint64_t kind = next(r) % 8, v = next(r);

	for (uint64_t i = 0; i < len; i += 8)
		put_le64(buf + i, kind == 0 ? 0 : kind < 4 ? v : next(r));
}

static void compare(struct job *j, uint64_t at, uint64_t len, uint8_t *buf)
{
	int rc = block_image_read(j->img, at, buf, len);

	if (rc)
		fail("reading", at, rc);
	must(pread(j->model, buf + MAX_LEN, len, (off_t)at) == (ssize_t)len);
	if (memcmp(buf, buf + MAX_LEN, len))
		fail("what is read is not what was written", at, -EIO);
}

static void one_op(struct job *j, uint8_t *buf)
{
	uint64_t sectors = (j->to - j->from) / 512, len, at, what = next(&j->rng) % 16;
	int rc = 0;

	len = 1 + next(&j->rng) % (next(&j->rng) % 4 ? 16 : MAX_LEN / 512);
	len = MIN(len, sectors);
	at = j->from + next(&j->rng) % (sectors - len + 1) * 512;
	len *= 512;
	if (what < 8) {
		fill(buf, len, &j->rng);
		rc = block_image_write(j->img, at, buf, len);
		must(pwrite(j->model, buf, len, (off_t)at) == (ssize_t)len);
	} else if (what < 12) {
		compare(j, at, len, buf);
	} else if (what == 12) {
		rc = block_image_flush(j->img);
	} else if (what < 15) {
		rc = block_image_zero(j->img, at, len, what == 13);
		memset(buf, 0, len);
		must(pwrite(j->model, buf, len, (off_t)at) == (ssize_t)len);
	} else { /* what a discarded range holds is the image's to say */
		rc = block_image_discard(j->img, at, len);
		if (!rc)
			rc = block_image_read(j->img, at, buf, len);
		must(pwrite(j->model, buf, len, (off_t)at) == (ssize_t)len);
	}
	if (rc)
		fail("a request", at, rc);
}

static void *run_job(void *opaque)
{
	struct job *j = opaque;
	uint8_t *buf = xalloc(2 * MAX_LEN);

	for (unsigned i = 0; i < j->ops; i++)
		one_op(j, buf);
	free(buf);
	return NULL;
}

static int do_random(char **a)
{
	struct block_image *img = open_it(a[0], a[1], false, NULL);
	unsigned n = (unsigned)atoi(a[5]);
	uint64_t part = block_image_size(img) / 512 / n * 512;
	struct job job[8];
	pthread_t thread[8];
	int model = open(a[2], O_RDWR | O_CREAT, 0644);

	must(n >= 1 && n <= 8 && model >= 0 && !ftruncate(model, (off_t)block_image_size(img)));
	for (unsigned i = 0; i < n; i++) {
		job[i] = (struct job){.img = img, .model = model, .from = i * part, .to = (i + 1) * part,
			.ops = (unsigned)atoi(a[4]) / n, .rng = {strtoull(a[3], NULL, 0) * 2654435761u + i * 77 + 1}};
		must(!pthread_create(&thread[i], NULL, run_job, &job[i]));
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	block_image_close(img);
	return 0;
}

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
	char line[100];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	must(write(STDOUT_FILENO, line, (size_t)n) == n);
}

struct fate {
	unsigned left;
};

static int die_or_go_on(void *opaque, enum block_fault_op op, uint64_t offset, uint64_t len)
{
	struct fate *f = opaque;

	if (op != BLOCK_FAULT_READ && f->left && !--f->left)
		_exit(9);
	return 0;
}

static int do_writer(char **a)
{
	struct fate fate = {(unsigned)atoi(a[4])};
	struct block_fault fault = {die_or_go_on, &fate};
	struct block_image *img = open_it(a[0], a[1], false, &fault);
	struct rng r = {strtoull(a[2], NULL, 0) * 2654435761u + 1};
	uint8_t *buf = xalloc(MAX_LEN);
	unsigned ops = (unsigned)atoi(a[3]);

	for (unsigned id = 1; id <= ops; id++) {
		uint64_t sectors = block_image_size(img) / 512, n = 1 + next(&r) % (next(&r) % 4 ? 8 : 300);
		uint64_t at = next(&r) % (sectors - n);
		int rc;

		for (uint64_t i = 0; i < n * 64; i++)
			put_le64(buf + i * 8, i & 1 ? at + i / 64 : id);
		say("w %u %llu %llu\n", id, (unsigned long long)at, (unsigned long long)n);
		rc = block_image_write(img, at * 512, buf, n * 512);
		if (rc)
			fail("writing", at, rc);
		if (next(&r) % 8)
			continue;
		rc = block_image_flush(img);
		if (rc)
			fail("flushing", at, rc);
		say("f %u\n", id);
	}
	block_image_close(img);
	say("f %u\n", ops);
	return 0;
}

struct write {
	unsigned id;
	uint64_t at, n;
};

/* Is what sector holds allowed? Writes of the log in order; flushed: the last one that must be there. */
static bool allowed(const struct write *w, unsigned n, unsigned flushed, uint64_t sector, uint64_t id)
{
	uint64_t must_be = 0;

	for (unsigned i = 0; i < n; i++) {
		if (sector < w[i].at || sector >= w[i].at + w[i].n)
			continue;
		if (w[i].id == id && w[i].id > flushed)
			return true;
		if (w[i].id <= flushed)
			must_be = w[i].id;
	}
	return id == must_be;
}

static int do_verify(char **a)
{
	struct block_image *img = open_it(a[0], a[1], true, NULL);
	FILE *log = fopen(a[2], "r");
	struct write *w = xalloc(100000 * sizeof(*w));
	unsigned n = 0, flushed = 0;
	unsigned long long at, len;
	char line[100];
	uint8_t b[512];

	must(log);
	while (fgets(line, sizeof(line), log) && n < 100000) {
		if (sscanf(line, "w %u %llu %llu", &w[n].id, &at, &len) == 3) {
			w[n].at = at;
			w[n++].n = len;
		} else {
			sscanf(line, "f %u", &flushed);
		}
	}
	for (uint64_t s = 0; s < block_image_size(img) / 512; s++) {
		int rc = block_image_read(img, s * 512, b, sizeof(b));
		uint64_t id = get_le64(b);

		if (rc)
			fail("reading", s, rc);
		for (unsigned i = 0; i < 64; i++)
			if (get_le64(b + i * 8) != (!id ? 0 : i & 1 ? s : id))
				fail("a sector is torn or another's", s, -EIO);
		if (!allowed(w, n, flushed, s, id))
			fail("a sector does not hold what was flushed", s, -EIO);
	}
	block_image_close(img);
	return 0;
}

/* ---- latency of the queue */

struct timing {
	struct block *blk;
	unsigned left, flying;
	struct rng rng;
	pthread_cond_t done;
	pthread_mutex_t lock;
};
struct shot {
	struct block_req req;
	struct iovec iov;
	struct timing *t;
	uint8_t buf[4096];
};

static void shoot(struct shot *s);
static void shot_done(struct block_req *req, int result)
{
	struct shot *s = req->opaque;

	must(!result);
	if (s->t->left) {
		s->t->left--;
		shoot(s);
		return;
	}
	pthread_mutex_lock(&s->t->lock);
	if (!--s->t->flying)
		pthread_cond_signal(&s->t->done);
	pthread_mutex_unlock(&s->t->lock);
}

static void shoot(struct shot *s)
{
	s->iov = (struct iovec){s->buf, sizeof(s->buf)};
	s->req = (struct block_req){.op = BLOCK_READ, .iov = &s->iov, .niov = 1, .done = shot_done, .opaque = s,
		.offset = next(&s->t->rng) % (block_size(s->t->blk) / 4096) * 4096};
	block_submit(s->t->blk, &s->req);
}

static int do_latency(char **a)
{
	struct timing t = {.left = (unsigned)atoi(a[2]), .flying = (unsigned)atoi(a[3]), .rng = {12345},
		.done = PTHREAD_COND_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};
	struct block_opts opts = {.format = strcmp(a[1], "-") ? a[1] : NULL, .readonly = true};
	struct loop *loop = loop_new(NULL);
	unsigned n = t.left, depth = t.flying;
	struct shot *s = xalloc(depth * sizeof(*s));
	struct timespec begin, end;
	struct err err = {{0}};

	t.blk = block_open(loop, a[0], &opts, &err);
	must(t.blk);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	loop_lock(loop);
	for (unsigned i = 0; i < depth; i++) {
		s[i].t = &t;
		shoot(&s[i]);
	}
	loop_unlock(loop);
	pthread_mutex_lock(&t.lock);
	while (t.flying)
		pthread_cond_wait(&t.done, &t.lock);
	pthread_mutex_unlock(&t.lock);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.2f us\n", ((double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3) /
	       (n + depth));
	block_close(t.blk);
	loop_free(loop);
	free(s);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **a);
	} verbs[] = {
		{"random", 6, do_random}, {"writer", 5, do_writer}, {"verify", 3, do_verify}, {"latency", 4, do_latency},
	};

	for (unsigned i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++)
		if (!strcmp(argv[1], verbs[i].name) && argc - 2 == verbs[i].args)
			return verbs[i].run(argv + 2);
	fprintf(stderr, "usage: see the head of tests/image/drive.c\n");
	return 2;
}
