// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the queue between devices and a disk image: checks requests, runs them in worker threads
 *
 *   device --block_submit--> queue --workers: block_image_*--> done(), device lock held
 *
 * Workers take requests in the order they came, and several are under way at once: a guest with a deep queue has the
 * host's disk do more than one thing. The first worker is made with the disk, another whenever one takes a request and
 * leaves others waiting with nobody idle, up to WORKERS. So a disk that is used one request at a time has one thread,
 * which is warm. A flush is a request like others: what was completed before it came is in the image by then.
 * In a stepped loop there is no worker: the queue is run by a task at the next loop_step().
 *
 * Locks: the device lock before queue_lock; a format's own are never held together with either.
 */
#include "block/block.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/block_int.h"

#define WORKERS 4

struct block {
	struct loop *loop;
	struct block_image *img;
	char *path;
	const char *format; /* of the image, not of a temporary overlay */
	bool readonly;
	pthread_mutex_t queue_lock;
	pthread_cond_t wake, idle;
	struct block_req *head, **tail;
	unsigned running; /* requests no longer in the queue: until their done functions have returned */
	unsigned waiting; /* workers without a request */
	unsigned nworkers;
	bool stop;
	struct block_stats stats; /* queue_lock */
	bool error_told; /* the host's errors are reported once, or a full disk would fill the log too */
	pthread_t worker[WORKERS];
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

static bool is_transfer(const struct block_req *req)
{
	return req->op == BLOCK_READ || req->op == BLOCK_WRITE;
}

static int check_request(const struct block *blk, const struct block_req *req)
{
	uint64_t len = is_transfer(req) ? 0 : req->len;

	if (req->op == BLOCK_FLUSH)
		return 0;
	if (req->offset % 512 || (is_transfer(req) && req->niov > BLOCK_MAX_IOV))
		return -EINVAL;
	for (unsigned i = 0; is_transfer(req) && i < req->niov; i++) {
		if (req->iov[i].iov_len > blk->img->size - len)
			return -EINVAL;
		len += req->iov[i].iov_len;
	}
	if (len % 512 || len > blk->img->size || req->offset > blk->img->size - len)
		return -EINVAL;
	return req->op != BLOCK_READ && blk->readonly ? -EROFS : 0;
}

static void tell_error(struct block *blk, const struct block_req *req, int rc)
{
	static const char *const verbs[] = {"reading", "writing", "flushing", "discarding", "writing zeros"};

	if (!__atomic_exchange_n(&blk->error_told, true, __ATOMIC_RELAXED))
		log_at(LOG_WARN, "disk image '%s': %s failed: %s; the guest sees an I/O error", blk->path, verbs[req->op],
		       strerror(-rc));
}

static int run_on_image(struct block *blk, const struct block_req *req)
{
	struct iovec iov[BLOCK_MAX_IOV];

	switch (req->op) {
	case BLOCK_FLUSH:
		return blk->readonly ? 0 : block_image_flush(blk->img);
	case BLOCK_DISCARD:
		return block_image_discard(blk->img, req->offset, req->len);
	case BLOCK_WRITE_ZEROES:
		return block_image_zero(blk->img, req->offset, req->len, req->unmap);
	default:
		/* the caller's iov stays as it is: image operations consume their own copy */
		memcpy(iov, req->iov, req->niov * sizeof(iov[0]));
		return (req->op == BLOCK_READ ? block_image_readv : block_image_writev)(blk->img, req->offset, iov, req->niov);
	}
}

static uint64_t host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void count(struct block_stats *st, const struct block_req *req, int rc, uint64_t ns)
{
	bool data = req->op == BLOCK_READ || req->op == BLOCK_WRITE;
	uint64_t len = data || req->op == BLOCK_FLUSH ? 0 : req->len;

	for (unsigned i = 0; data && i < req->niov; i++)
		len += req->iov[i].iov_len;
	st->ns[req->op] += ns;
	st->ops[req->op] += !rc;
	st->failed[req->op] += rc != 0;
	st->bytes[req->op] += rc ? 0 : len;
	if (!rc && req->op == BLOCK_WRITE)
		st->highest = MAX(st->highest, req->offset + len);
}

static int run_request(struct block *blk, const struct block_req *req)
{
	int rc = check_request(blk, req);
	uint64_t since;

	if (rc)
		return rc;
	since = host_ns();
	rc = run_on_image(blk, req);
	if (rc)
		tell_error(blk, req, rc);
	pthread_mutex_lock(&blk->queue_lock);
	count(&blk->stats, req, rc, host_ns() - since);
	pthread_mutex_unlock(&blk->queue_lock);
	return rc;
}

static int start_worker(struct block *blk);

/* queue_lock held, and again when it returns. */
static void work_on(struct block *blk, struct block_req *req)
{
	if (blk->head && !blk->waiting && !blk->stop && blk->nworkers < WORKERS)
		start_worker(blk); /* without it the others take longer, that is all */
	blk->running++;
	pthread_mutex_unlock(&blk->queue_lock);
	req->result = run_request(blk, req);
	loop_lock(blk->loop);
	req->done(req, req->result);
	loop_unlock(blk->loop);
	pthread_mutex_lock(&blk->queue_lock);
	if (!--blk->running && !blk->head)
		pthread_cond_broadcast(&blk->idle);
}

static void *worker(void *opaque)
{
	struct block *blk = opaque;

	pthread_mutex_lock(&blk->queue_lock);
	for (;;) {
		struct block_req *req = queue_pop(blk);

		if (!req && blk->stop)
			break;
		if (req) {
			work_on(blk, req);
			continue;
		}
		blk->waiting++;
		pthread_cond_wait(&blk->wake, &blk->queue_lock);
		blk->waiting--;
	}
	pthread_mutex_unlock(&blk->queue_lock);
	return NULL;
}

/* Signals are for the vCPUs and main: none may land in a worker. queue_lock held, or nobody else there yet. */
static int start_worker(struct block *blk)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&blk->worker[blk->nworkers], NULL, worker, blk);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	blk->nworkers += !rc;
	return rc;
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
	bool threaded;

	req->next = NULL;
	pthread_mutex_lock(&blk->queue_lock);
	*blk->tail = req;
	blk->tail = &req->next;
	threaded = blk->nworkers;
	if (threaded)
		pthread_cond_signal(&blk->wake);
	pthread_mutex_unlock(&blk->queue_lock);
	if (!threaded)
		loop_post(blk->loop, &blk->task);
}

void block_drain(struct block *blk)
{
	if (loop_is_stepped(blk->loop)) {
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
	pthread_mutex_lock(&blk->queue_lock);
	*out = blk->stats;
	pthread_mutex_unlock(&blk->queue_lock);
}

uint64_t block_size(const struct block *blk)
{
	return blk->img->size;
}

const char *block_format(const struct block *blk)
{
	return blk->format;
}

bool block_readonly(const struct block *blk)
{
	return blk->readonly;
}

static struct block_image *open_image(const char *path, const struct block_opts *opts, const char **format,
                                      struct err *err)
{
	struct block_image_opts how = {.format = opts->format, .readonly = opts->readonly || opts->snapshot,
	                               .fault = opts->fault};
	struct block_image *base = block_image_open(path, &how, err), *top;

	*format = base ? base->ops->name : NULL;
	if (!base || !opts->snapshot)
		return base;
	top = block_overlay_open(base, err);
	if (!top)
		block_image_close(base);
	return top;
}

struct block *block_open(struct loop *loop, const char *path, const struct block_opts *opts, struct err *err)
{
	const char *format;
	struct block_image *img = open_image(path, opts, &format, err);
	struct block *blk;
	int rc = 0;

	if (!img)
		return NULL;
	blk = xalloc(sizeof(*blk));
	blk->loop = loop;
	blk->img = img;
	blk->path = xstrdup(path);
	blk->format = format;
	blk->readonly = opts->readonly;
	blk->tail = &blk->head;
	blk->task = (struct loop_task){.fn = run_stepped, .opaque = blk};
	must(pthread_mutex_init(&blk->queue_lock, NULL) == 0 && pthread_cond_init(&blk->wake, NULL) == 0 &&
	     pthread_cond_init(&blk->idle, NULL) == 0);
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
	unsigned n;

	if (!blk)
		return;
	if (!loop_is_stepped(blk->loop)) {
		block_drain(blk);
		pthread_mutex_lock(&blk->queue_lock);
		blk->stop = true;
		n = blk->nworkers; /* it waits, so it starts no others */
		pthread_cond_broadcast(&blk->wake);
		pthread_mutex_unlock(&blk->queue_lock);
		for (unsigned i = 0; i < n; i++)
			pthread_join(blk->worker[i], NULL);
	} else if (blk->task.queued) {
		loop_step(blk->loop, 0);
	}
	if (!blk->readonly && block_image_flush(blk->img))
		log_at(LOG_WARN, "disk image '%s' could not be flushed at close", blk->path);
	block_image_close(blk->img);
	pthread_cond_destroy(&blk->idle);
	pthread_cond_destroy(&blk->wake);
	pthread_mutex_destroy(&blk->queue_lock);
	free(blk->path);
	free(blk);
}
