// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the control sockets: listening, clients, messages cut out of bytes, output that waits for its reader
 *
 *   machine's thread: poll(epoll fd) --ready()--> accept | read some bytes --> scan --> qmp_message() --> api_send()
 *
 * One epoll descriptor holds all of it, and the machine's thread polls that beside its own. A message is a JSON value,
 * wherever it ends: clients send newlines or none.
 *
 * I1  Nothing here waits: sockets do not block, and what a client does not take is queued.
 * I2  A client costs at most API_IN_MAX + API_OUT_MAX bytes. Who leaves more unread is dropped; who leaves some unread
 *     is not listened to until it has read.
 * I3  One call of ready() reads READ_MAX bytes of each client, so that none keeps the others or the machine waiting.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_int.h"
#include "api/place.h"

#define READ_MAX 4096
#define EVENTS 16
#define BACKLOG 8

/* Output */

static void watch(struct api_client *c)
{
	size_t unread = c->nout - c->sent;
	struct epoll_event ev = { .data.ptr = c };

	ev.events = (unread < API_OUT_BUSY && !c->dead ? EPOLLIN : 0u) | (unread ? EPOLLOUT : 0u);
	epoll_ctl(c->api->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void flush(struct api_client *c)
{
	while (c->sent < c->nout && !c->broken) {
		ssize_t n = send(c->fd, c->out + c->sent, c->nout - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		c->broken |= n < 0;
		c->sent += n > 0 ? (size_t)n : 0;
	}
	if (c->sent < c->nout)
		return;
	c->sent = c->nout = 0;
	if (c->cap > API_OUT_BUSY) {
		free(c->out);
		c->out = NULL;
		c->cap = 0;
	}
}

/* Room for n more bytes behind what is unread. */
static bool make_room(struct api_client *c, size_t n)
{
	size_t unread = c->nout - c->sent, cap;
	char *out;

	if (unread + n > API_OUT_MAX)
		return false;
	if (c->sent)
		memmove(c->out, c->out + c->sent, unread);
	c->nout = unread;
	c->sent = 0;
	if (unread + n <= c->cap)
		return true;
	cap = MIN(MAX(2 * (unread + n), KIB(4)), API_OUT_MAX);
	out = realloc(c->out, cap);
	if (!out)
		return false;
	c->out = out;
	c->cap = cap;
	return true;
}

void api_send(struct api_client *c, struct json *v)
{
	char *line = js_print(v, false);
	size_t len = line ? strlen(line) : 0;

	js_free(v);
	if (!line || c->broken || !make_room(c, len + 2)) {
		c->broken = true;
	} else {
		memcpy(c->out + c->nout, line, len);
		memcpy(c->out + c->nout + len, "\r\n", 2);
		c->nout += len + 2;
		flush(c);
	}
	free(line);
	if (!c->broken)
		watch(c);
}

/* Input */

static void end_message(struct api_client *c)
{
	if (c->nin)
		qmp_message(c, c->in, c->nin);
	c->nin = c->depth = 0;
	c->quoted = c->escaped = false;
}

static bool is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

/* Outside of objects and lists a line is a message, a wrong one. */
static void scan_byte(struct api_client *c, char ch)
{
	if ((uint8_t)ch == 0xff) { /* a client's way to begin afresh */
		c->nin = 0;
		end_message(c);
		return;
	}
	if (!c->depth && !c->quoted && (ch == '\n' || (!c->nin && is_space(ch)))) {
		end_message(c);
		return;
	}
	c->in[c->nin++] = ch;
	if (c->quoted) {
		c->quoted = c->escaped || ch != '"';
		c->escaped = !c->escaped && ch == '\\';
		return;
	}
	c->quoted = ch == '"';
	if (ch == '{' || ch == '[')
		c->depth++;
	if ((ch == '}' || ch == ']') && c->depth && !--c->depth)
		end_message(c);
}

static void too_long(struct api_client *c)
{
	struct json *e = js_object();

	js_set(e, "class", js_str("GenericError"));
	js_set(e, "desc", js_str("JSON parse error, a message is longer than 65536 bytes"));
	c->dead = true;
	api_send(c, js_set(js_object(), "error", e));
}

/* What comes behind a command that ended the client, or made it wait, is dropped with it, or was read already. */
static void scan(struct api_client *c, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n && !c->dead && !c->broken; i++) {
		scan_byte(c, bytes[i]);
		if (c->nin == API_IN_MAX)
			too_long(c);
	}
}

static void keep_passed(struct api_client *c, const struct msghdr *msg)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR((struct msghdr *)msg, h)) {
		size_t n = h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS ?
		           (h->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
			if (c->npassed < API_PASSED_MAX)
				c->passed[c->npassed++] = fd;
			else
				close(fd);
		}
	}
}

static void receive(struct api_client *c)
{
	char bytes[READ_MAX];
	union { char buf[CMSG_SPACE(sizeof(int) * API_PASSED_MAX)]; struct cmsghdr align; } control;
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->broken = true;
		return;
	}
	keep_passed(c, &msg);
	scan(c, bytes, (size_t)n);
}

/* Clients */

static void client_free(struct api_client *c)
{
	for (unsigned i = 0; i < c->npassed; i++)
		close(c->passed[i]);
	for (unsigned i = 0; i < API_CLIENTS; i++)
		if (c->api->client[i] == c)
			c->api->client[i] = NULL;
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

void api_add_client(struct api *api, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct api_client *c;
	unsigned at = 0;

	while (at < API_CLIENTS && api->client[at])
		at++;
	if (at == API_CLIENTS) {
		close(fd);
		return;
	}
	c = xalloc(sizeof(*c));
	c->api = api;
	c->fd = fd;
	c->in = try_alloc(API_IN_MAX, API_IN_MAX);
	api->client[at] = c;
	ev.data.ptr = c;
	if (!c->in || epoll_ctl(api->epoll, EPOLL_CTL_ADD, fd, &ev)) {
		client_free(c);
		return;
	}
	qmp_greet(c);
}

static void client_ready(struct api_client *c, uint32_t events)
{
	if (events & EPOLLOUT)
		flush(c);
	if (events & EPOLLIN)
		receive(c);
	else if (events & (EPOLLERR | EPOLLHUP))
		c->broken = true;
	if (!c->broken)
		watch(c);
}

/* Only here do clients go: what runs a command may still hold one. */
static void bury(struct api *api)
{
	for (unsigned i = 0; i < API_CLIENTS; i++) {
		struct api_client *c = api->client[i];

		if (c && (c->broken || (c->dead && c->sent == c->nout)))
			client_free(c);
	}
}

static struct api_client *find_client(struct api *api, const void *ptr)
{
	for (unsigned i = 0; i < API_CLIENTS; i++)
		if (api->client[i] == ptr)
			return api->client[i];
	return NULL;
}

static void accept_one(struct api *api, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		api_add_client(api, fd);
}

static void api_ready(void *opaque)
{
	struct api *api = opaque;
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(api->epoll, ev, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct api_client *c = find_client(api, ev[i].data.ptr);
		const int *listener = ev[i].data.ptr;

		if (c)
			client_ready(c, ev[i].events);
		else if (listener >= api->listener && listener < api->listener + api->nlisteners)
			accept_one(api, *listener);
	}
	bury(api);
}

/* Events of the machine */

static void api_event(void *opaque, enum pc_event event, const struct pc_news *news)
{
	static const char *const names[] = {
		[PC_EVENT_STOP] = "STOP", [PC_EVENT_RESUME] = "RESUME", [PC_EVENT_RESET] = "RESET",
		[PC_EVENT_SHUTDOWN] = "SHUTDOWN", [PC_EVENT_POWERDOWN] = "POWERDOWN", [PC_EVENT_SUSPEND] = "SUSPEND",
		[PC_EVENT_WAKEUP] = "WAKEUP", [PC_EVENT_TRAY] = "DEVICE_TRAY_MOVED",
	};
	struct json *data = NULL;

	if (news->reason)
		data = js_set(js_set(js_object(), "guest", js_bool(news->guest)), "reason", js_str(news->reason));
	if (news->drive) {
		data = js_set(js_set(js_object(), "device", js_str(news->drive)), "id", js_str(""));
		js_set(data, "tray-open", js_bool(news->open));
	}
	qmp_event(opaque, names[event], data);
}

/* Life */

static int add_listener(struct api *api, const char *where, struct err *err)
{
	int *at = &api->listener[api->nlisteners];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = at };

	*at = api_listen(where, &api->unlink_at[api->nlisteners], err);
	if (*at < 0)
		return *at;
	api->nlisteners++;
	if (epoll_ctl(api->epoll, EPOLL_CTL_ADD, *at, &ev))
		return err_set(err, -errno, "%s: cannot be waited for: %s", where, strerror(errno));
	return 0;
}

static int listen_all(struct api *api, const struct api_config *cfg, struct err *err)
{
	char path[API_PATH_MAX], where[API_PATH_MAX + 8];

	if (cfg->name) {
		if (api_socket_path(cfg->name, path, err))
			return err_prefix(err, -EINVAL, "--name %s", cfg->name);
		snprintf(where, sizeof(where), "unix:%s", path);
		if (add_listener(api, where, err))
			return err_prefix(err, -EINVAL, "--name %s", cfg->name);
	}
	for (unsigned i = 0; i < cfg->nlisten; i++)
		if (add_listener(api, cfg->listen[i], err))
			return err_prefix(err, -EINVAL, "--control %s", cfg->listen[i]);
	return 0;
}

struct api *api_open(struct pc *pc, const struct api_config *cfg, struct err *err)
{
	struct api *api = xalloc(sizeof(*api));

	api->pc = pc;
	api->name = cfg->name ? xstrdup(cfg->name) : NULL;
	for (unsigned i = 0; i < API_FDS_MAX; i++)
		api->fds[i].fd = -1;
	api->typist = typist_new(pc);
	api->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (api->epoll < 0) {
		err_set(err, -errno, "cannot wait for the control sockets: %s", strerror(errno));
		goto fail;
	}
	if (listen_all(api, cfg, err))
		goto fail;
	pc_set_service(pc, &(struct pc_service){ api->epoll, api, api_ready, api_event });
	return api;
fail:
	api_close(api);
	return NULL;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	pc_set_service(api->pc, NULL);
	for (unsigned i = 0; i < API_CLIENTS; i++)
		if (api->client[i]) {
			flush(api->client[i]);
			client_free(api->client[i]);
		}
	for (unsigned i = 0; i < api->nlisteners; i++) {
		close(api->listener[i]);
		if (api->unlink_at[i])
			unlink(api->unlink_at[i]);
		free(api->unlink_at[i]);
	}
	if (api->epoll >= 0)
		close(api->epoll);
	typist_free(api->typist);
	api_fds_close(api);
	free(api->name);
	free(api);
}
