// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the queue between devices and a disk image: checks requests, runs them in order in a worker thread
 *
 *   device --block_submit--> queue --worker: image ops--> done(), device lock held
 *
 * Requests run in the order they came, so a flush covers every write completed before it. In a stepped loop there is no
 * worker: the queue is run by a task at the next loop_step().
 *
 * Locks: the device lock before queue_lock; image_lock is never held together with either.
 */
#include "block/block.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block_int.h"

struct block {
	struct loop *loop;
	struct block_image *img;
	char *path;
	bool readonly;
	pthread_mutex_t image_lock; /* one operation on the image at a time */
	pthread_mutex_t queue_lock;
	pthread_cond_t wake, idle;
	struct block_req *head, **tail;
	bool running; /* a request that is no longer in the queue: until its done function has returned */
	bool stop;
	bool has_thread;
	struct block_stats stats; /* image_lock */
	bool error_told; /* the host's errors are reported once, or a full disk would fill the log too */
	pthread_t thread;
	struct loop_task task; /* stepped loops */
};

static struct block_req *queue_pop(struct block *blk)
{
	struct block_req *req = blk->head;

	if (!req)
		return NULL;
	blk->head = req->next;
	if (!blk->head)
		blk->tail = &blk->head;
	req->next = NULL;
	return req;
}

static int check_request(const struct block *blk, const struct block_req *req)
{
	uint64_t len = 0;

	if (req->op == BLOCK_FLUSH)
		return 0;
	if (req->niov > BLOCK_MAX_IOV || req->offset % 512)
		return -EINVAL;
	for (unsigned i = 0; i < req->niov; i++) {
		if (req->iov[i].iov_len > blk->img->size - len)
			return -EINVAL;
		len += req->iov[i].iov_len;
	}
	if (len % 512 || req->offset > blk->img->size - len)
		return -EINVAL;
	return req->op == BLOCK_WRITE && blk->readonly ? -EROFS : 0;
}

static uint64_t host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void count(struct block_stats *st, const struct block_req *req, int rc, uint64_t ns)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < req->niov && req->op != BLOCK_FLUSH; i++)
		len += req->iov[i].iov_len;
	st->ns[req->op] += ns;
	st->ops[req->op] += !rc;
	st->failed[req->op] += rc != 0;
	st->bytes[req->op] += rc ? 0 : len;
	if (!rc && req->op == BLOCK_WRITE)
		st->highest = MAX(st->highest, req->offset + len);
}

/* The caller's iov stays as it is: image operations consume their own copy. */
static int run_request(struct block *blk, const struct block_req *req)
{
	const struct block_ops *ops = blk->img->ops;
	struct iovec iov[BLOCK_MAX_IOV];
	uint64_t since;
	int rc = check_request(blk, req);

	if (rc)
		return rc;
	pthread_mutex_lock(&blk->image_lock);
	since = host_ns();
	if (req->op == BLOCK_FLUSH) {
		rc = blk->readonly ? 0 : ops->flush(blk->img);
	} else {
		memcpy(iov, req->iov, req->niov * sizeof(iov[0]));
		rc = (req->op == BLOCK_READ ? ops->read : ops->write)(blk->img, req->offset, iov, req->niov);
	}
	count(&blk->stats, req, rc, host_ns() - since);
	if (rc && !blk->error_told) {
		blk->error_told = true;
		log_at(LOG_WARN, "disk image '%s': %s failed: %s; the guest sees an I/O error", blk->path,
		       req->op == BLOCK_READ ? "reading" : "writing", strerror(-rc));
	}
	pthread_mutex_unlock(&blk->image_lock);
	return rc;
}

static void *worker(void *opaque)
{
	struct block *blk = opaque;

	pthread_mutex_lock(&blk->queue_lock);
	for (;;) {
		struct block_req *req = queue_pop(blk);

		if (!req && blk->stop)
			break;
		if (!req) {
			pthread_cond_wait(&blk->wake, &blk->queue_lock);
			continue;
		}
		blk->running = true;
		pthread_mutex_unlock(&blk->queue_lock);
		req->result = run_request(blk, req);
		loop_lock(blk->loop);
		req->done(req, req->result);
		loop_unlock(blk->loop);
		pthread_mutex_lock(&blk->queue_lock);
		blk->running = false;
		pthread_cond_broadcast(&blk->idle);
	}
	pthread_mutex_unlock(&blk->queue_lock);
	return NULL;
}

static void run_stepped(void *opaque)
{
	struct block *blk = opaque;
	struct block_req *req;

	while ((req = queue_pop(blk))) {
		req->result = run_request(blk, req);
		req->done(req, req->result);
	}
}

void block_submit(struct block *blk, struct block_req *req)
{
	req->next = NULL;
	pthread_mutex_lock(&blk->queue_lock);
	*blk->tail = req;
	blk->tail = &req->next;
	if (blk->has_thread)
		pthread_cond_signal(&blk->wake);
	pthread_mutex_unlock(&blk->queue_lock);
	if (!blk->has_thread)
		loop_post(blk->loop, &blk->task);
}

void block_drain(struct block *blk)
{
	if (!blk->has_thread) {
		loop_lock(blk->loop);
		run_stepped(blk);
		loop_unlock(blk->loop);
		return;
	}
	pthread_mutex_lock(&blk->queue_lock);
	while (blk->head || blk->running)
		pthread_cond_wait(&blk->idle, &blk->queue_lock);
	pthread_mutex_unlock(&blk->queue_lock);
}

int block_read_sync(struct block *blk, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct block_req req = {.op = BLOCK_READ, .offset = offset, .iov = &iov, .niov = 1};

	return run_request(blk, &req);
}

void block_get_stats(struct block *blk, struct block_stats *out)
{
	pthread_mutex_lock(&blk->image_lock);
	*out = blk->stats;
	pthread_mutex_unlock(&blk->image_lock);
}

uint64_t block_size(const struct block *blk)
{
	return blk->img->size;
}

bool block_readonly(const struct block *blk)
{
	return blk->readonly;
}

/* Signals are for the vCPUs and main: none may land in the worker. */
static int start_worker(struct block *blk)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&blk->thread, NULL, worker, blk);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	blk->has_thread = !rc;
	return rc;
}

static struct block_image *open_image(const char *path, const struct block_opts *opts, struct err *err)
{
	bool exact = opts->format != NULL;
	struct block_image *base, *top;

	if (exact && strcmp(opts->format, "raw")) {
		err_set(err, -EINVAL, "disk image '%s': unknown format '%s'; the format known is 'raw'", path, opts->format);
		return NULL;
	}
	base = block_raw_open(path, opts->readonly || opts->snapshot, exact, err);
	if (!base || !opts->snapshot)
		return base;
	top = block_overlay_open(base, err);
	if (!top)
		base->ops->close(base);
	return top;
}

struct block *block_open(struct loop *loop, const char *path, const struct block_opts *opts, struct err *err)
{
	struct block_image *img = open_image(path, opts, err);
	struct block *blk;
	int rc = 0;

	if (!img)
		return NULL;
	blk = xalloc(sizeof(*blk));
	blk->loop = loop;
	blk->img = img;
	blk->path = xstrdup(path);
	blk->readonly = opts->readonly;
	blk->tail = &blk->head;
	blk->task = (struct loop_task){.fn = run_stepped, .opaque = blk};
	must(pthread_mutex_init(&blk->image_lock, NULL) == 0 && pthread_mutex_init(&blk->queue_lock, NULL) == 0 &&
	     pthread_cond_init(&blk->wake, NULL) == 0 && pthread_cond_init(&blk->idle, NULL) == 0);
	if (!loop_is_stepped(loop))
		rc = start_worker(blk);
	if (rc) {
		err_set(err, -rc, "disk image '%s': no thread for it: %s", path, strerror(rc));
		block_close(blk);
		return NULL;
	}
	return blk;
}

void block_close(struct block *blk)
{
	if (!blk)
		return;
	if (blk->has_thread) {
		pthread_mutex_lock(&blk->queue_lock);
		blk->stop = true;
		pthread_cond_signal(&blk->wake);
		pthread_mutex_unlock(&blk->queue_lock);
		pthread_join(blk->thread, NULL);
	} else if (blk->task.queued) {
		loop_step(blk->loop, 0);
	}
	if (!blk->readonly && blk->img->ops->flush(blk->img))
		log_at(LOG_WARN, "disk image '%s' could not be flushed at close", blk->path);
	blk->img->ops->close(blk->img);
	pthread_cond_destroy(&blk->idle);
	pthread_cond_destroy(&blk->wake);
	pthread_mutex_destroy(&blk->queue_lock);
	pthread_mutex_destroy(&blk->image_lock);
	free(blk->path);
	free(blk);
}
