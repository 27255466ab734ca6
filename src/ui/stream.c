// SPDX-License-Identifier: GPL-2.0-or-later
/* what: byte streams: the output queue, the input pump, and the choice of backend by name
 *
 *   device --ui_stream_write--> queue --flush--> host        host --in_ready--> pending --pump--> sink
 *
 * A UART writes byte by byte; a system call for each would cost more than the guest's own work, so bytes gather
 * until a newline, FLUSH_BYTES or FLUSH_NS. The lock of the device world is held throughout, so descriptors are
 * non-blocking, and nothing here waits or writes more than TURN_BYTES at once. A host that lets 1 MiB pile up makes the
 * guest wait: devices ask for room, and are told when half of the queue is empty. If the host takes nothing for a
 * second, it is taken for dead: there is room for all that comes, and it is lost.
 *
 * I1  len <= STREAM_QUEUE; bytes [head, head+len) of the ring are not written yet.
 * I2  out is watched for POLLOUT exactly while the host refused bytes, or a turn was over before all were written.
 * I3  patience runs exactly while wanted. The sink is told by a timer, so nothing that it does comes in between here.
 */
#include "ui/ui_int.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_QUEUE (1u << 20)
#define FLUSH_BYTES 512u
#define FLUSH_NS 2000000u
#define WAIT_MS 1000
#define PATIENCE_NS 1000000000ull
#define TURN_BYTES 65536u

int ui_own_fd(int fd, int mode, int *restore)
{
	struct stat st;
	char path[32];
	int own, flags;

	*restore = -1;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (own >= 0)
			return own;
	}
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return own;
	flags = fcntl(own, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK) && fcntl(own, F_SETFL, flags | O_NONBLOCK) == 0)
		*restore = flags;
	return own;
}

void ui_own_fd_close(int fd, int restore)
{
	if (fd < 0)
		return;
	if (restore >= 0)
		fcntl(fd, F_SETFL, restore);
	close(fd);
}

static void tell_room(struct ui_stream *s)
{
	loop_timer_cancel(&s->patience);
	if (s->wanted)
		loop_timer_set(&s->tell, loop_now(s->loop));
	s->wanted = false;
}

static void room_again(void *opaque)
{
	struct ui_stream *s = opaque;

	if (s->sink.room)
		s->sink.room(s->sink.opaque);
}

static void out_of_patience(void *opaque)
{
	struct ui_stream *s = opaque;

	s->stuck = true;
	tell_room(s);
}

/* The host took something. */
static void out_moves(struct ui_stream *s)
{
	s->stuck = false;
	if (s->len <= STREAM_QUEUE / 2)
		tell_room(s);
	else if (s->patience.armed)
		loop_timer_set(&s->patience, loop_now(s->loop) + PATIENCE_NS);
}

/* The output side failed for good: forget what is queued. */
static void out_broken(struct ui_stream *s)
{
	s->len = 0;
	tell_room(s);
	loop_fd_del(&s->out);
	if (s->hangup)
		s->hangup(s);
	else
		s->out_fd = -1;
}

/* n bytes from head on, all in a row. How many the host took, or a negative errno. */
static ssize_t host_write(struct ui_stream *s, size_t n)
{
	ssize_t w = s->is_socket ? send(s->out_fd, s->queue + s->head, n, MSG_NOSIGNAL | MSG_DONTWAIT)
				 : write(s->out_fd, s->queue + s->head, n);

	return w < 0 ? -errno : w;
}

static void flush(struct ui_stream *s)
{
	size_t left = TURN_BYTES;

	while (s->len && s->out_fd >= 0) {
		size_t n = MIN(MIN(s->len, STREAM_QUEUE - s->head), left);
		ssize_t w = n ? host_write(s, n) : -EAGAIN;

		if (w == -EINTR)
			continue;
		if (w == -EAGAIN) {
			loop_fd_set(&s->out, POLLOUT);
			return;
		}
		if (w < 0) {
			out_broken(s);
			return;
		}
		s->head = (s->head + (size_t)w) % STREAM_QUEUE;
		s->len -= (size_t)w;
		left -= (size_t)w;
		out_moves(s);
	}
	loop_timer_cancel(&s->flush);
	if (s->out.loop)
		loop_fd_set(&s->out, 0);
}

void ui_stream_flush(struct ui_stream *s)
{
	flush(s);
}

static void out_ready(void *opaque, short revents)
{
	flush(opaque);
}

static void flush_due(void *opaque)
{
	flush(opaque);
}

static void enqueue(struct ui_stream *s, const uint8_t *buf, size_t n)
{
	size_t tail = (s->head + s->len) % STREAM_QUEUE;
	size_t first = MIN(n, STREAM_QUEUE - tail);

	memcpy(s->queue + tail, buf, first);
	memcpy(s->queue, buf + first, n - first);
	s->len += n;
}

void ui_stream_write(struct ui_stream *s, const uint8_t *buf, unsigned len)
{
	bool newline = memchr(buf, '\n', len) != NULL;

	if (s->out_fd < 0)
		return;
	if (!s->queue)
		s->queue = xalloc(STREAM_QUEUE);
	enqueue(s, buf, MIN(len, STREAM_QUEUE - s->len));
	if (s->out.events)
		return; /* the host is behind: out_ready goes on */
	if (newline || s->len >= FLUSH_BYTES)
		flush(s);
	else if (!s->flush.armed)
		loop_timer_set(&s->flush, loop_now(s->loop) + FLUSH_NS);
}

unsigned ui_stream_room(struct ui_stream *s)
{
	if (s->out_fd < 0 || s->stuck)
		return STREAM_QUEUE;
	if (s->len == STREAM_QUEUE && !s->wanted) {
		s->wanted = true;
		loop_timer_set(&s->patience, loop_now(s->loop) + PATIENCE_NS);
	}
	return STREAM_QUEUE - (unsigned)s->len;
}

/* Hand what was read to the device, as much as it takes. */
static void pump(struct ui_stream *s)
{
	if (s->pumping)
		return;
	s->pumping = true;
	while (s->npending && s->sink.receive) {
		unsigned n = s->sink.can_receive ? MIN(s->sink.can_receive(s->sink.opaque), s->npending) : s->npending;
		uint8_t chunk[256];

		n = MIN(n, (unsigned)sizeof(chunk));
		if (!n)
			break;
		memcpy(chunk, s->pending, n);
		s->npending -= n;
		memmove(s->pending, s->pending + n, s->npending);
		s->sink.receive(s->sink.opaque, chunk, n);
	}
	s->pumping = false;
	if (s->in.loop)
		loop_fd_set(&s->in, s->interactive || s->npending < STREAM_IN_MAX ? POLLIN : 0);
}

static void in_ended(struct ui_stream *s)
{
	loop_fd_del(&s->in);
	if (s->hangup)
		s->hangup(s);
}

/* What does not fit (only a person typing at a guest that does not listen gets here) is dropped after the escape saw
 * it. */
static void in_ready(void *opaque, short revents)
{
	struct ui_stream *s = opaque;
	uint8_t buf[STREAM_IN_MAX];
	size_t want = s->interactive ? sizeof(buf) : STREAM_IN_MAX - s->npending;
	ssize_t r = read(s->in_fd, buf, want);
	unsigned n;

	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (r <= 0) {
		in_ended(s);
		return;
	}
	n = s->escape ? ui_escape_filter(s->escape, buf, (unsigned)r) : (unsigned)r;
	n = MIN(n, STREAM_IN_MAX - s->npending);
	memcpy(s->pending + s->npending, buf, n);
	s->npending += n;
	pump(s);
}

void ui_stream_ready(struct ui_stream *s)
{
	pump(s);
}

void ui_stream_attach(struct ui_stream *s, const struct ui_stream_sink *sink)
{
	s->sink = *sink;
	pump(s);
}

void stream_watch(struct ui_stream *s)
{
	if (s->in_fd >= 0)
		loop_fd_add(&s->in, s->loop, s->in_fd, POLLIN, in_ready, s);
	if (s->out_fd >= 0)
		loop_fd_add(&s->out, s->loop, s->out_fd, 0, out_ready, s);
}

void stream_unwatch(struct ui_stream *s)
{
	loop_timer_cancel(&s->flush);
	loop_fd_del(&s->in);
	loop_fd_del(&s->out);
	s->len = 0;
	s->npending = 0;
	s->stuck = false;
	tell_room(s);
}

static int open_backend(struct ui_stream *s, const char *spec, const struct ui_user *user, struct err *err)
{
	if (!strcmp(spec, "stdio"))
		return stream_stdio_open(s, user, err);
	if (!strncmp(spec, "file:", 5) && spec[5])
		return stream_file_open(s, spec + 5, err);
	if (!strcmp(spec, "pty"))
		return stream_pty_open(s, err);
	if (!strncmp(spec, "unix:", 5) && spec[5])
		return stream_unix_open(s, spec + 5, err);
	if (!strcmp(spec, "none"))
		return 0;
	return err_set(err, -EINVAL, "\"%s\" names no stream; it is one of stdio, file:PATH, pty, unix:PATH, none", spec);
}

struct ui_stream *ui_stream_open(struct loop *loop, const char *spec, const struct ui_user *user, struct err *err)
{
	struct ui_stream *s = xalloc(sizeof(*s));

	s->loop = loop;
	s->in_fd = s->out_fd = -1;
	loop_timer_init(&s->flush, loop, flush_due, s);
	loop_timer_init(&s->patience, loop, out_of_patience, s);
	loop_timer_init(&s->tell, loop, room_again, s);
	if (open_backend(s, spec, user, err) < 0) {
		ui_stream_free(s);
		return NULL;
	}
	stream_watch(s);
	return s;
}

/* The last words of a guest should reach the reader, but not at any price. */
static void drain(struct ui_stream *s)
{
	struct pollfd p = {.fd = s->out_fd, .events = POLLOUT};

	while (s->len && s->out_fd >= 0) {
		size_t before = s->len;

		flush(s);
		if (s->len && s->len == before && poll(&p, 1, WAIT_MS) <= 0)
			break;
	}
}

void ui_stream_free(struct ui_stream *s)
{
	if (!s)
		return;
	drain(s);
	stream_unwatch(s);
	loop_timer_cancel(&s->tell);
	if (s->fini)
		s->fini(s);
	free(s->queue);
	free(s);
}
