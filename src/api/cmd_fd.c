// SPDX-License-Identifier: GPL-2.0-or-later
/* what: commands that keep file descriptors which clients pass, and files that commands write
 *
 * A client that passes a descriptor may open what this process may not. They are few (API_FDS_MAX) and the machine's,
 * not the client's: they stay when it goes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_int.h"
#include "api/commands.h"

static struct api_fd *find(struct api *api, const char *name, int64_t set)
{
	for (struct api_fd *f = api->fds; f < api->fds + API_FDS_MAX; f++)
		if (f->fd >= 0 && (name ? f->name && !strcmp(f->name, name) : !f->name && f->set == set))
			return f;
	return NULL;
}

static void drop(struct api_fd *f)
{
	close(f->fd);
	free(f->name);
	free(f->opaque);
	*f = (struct api_fd){ .fd = -1 };
}

void api_fds_close(struct api *api)
{
	for (struct api_fd *f = api->fds; f < api->fds + API_FDS_MAX; f++)
		if (f->fd >= 0)
			drop(f);
}

/* The oldest that came with this client's messages, in a free place; NULL: told why. */
static struct api_fd *take(struct api_call *call)
{
	struct api_client *c = call->client;
	struct api_fd *f = call->api->fds, *end = f + API_FDS_MAX;

	while (f < end && f->fd >= 0)
		f++;
	if (!c->npassed) {
		api_fail(call, "No file descriptor supplied via SCM_RIGHTS");
		return NULL;
	}
	if (f == end) {
		api_fail(call, "More than %d file descriptors are kept", API_FDS_MAX);
		return NULL;
	}
	f->fd = c->passed[0];
	memmove(c->passed, c->passed + 1, --c->npassed * sizeof(c->passed[0]));
	return f;
}

API_COMMAND(getfd)
{
	const char *name = js_get_str(args, "fdname", "");
	struct api_fd *old, *f;

	if (*name >= '0' && *name <= '9')
		return api_fail(call, "Invalid parameter 'fdname': it must not begin with a digit");
	old = find(call->api, name, 0);
	if (old)
		drop(old);
	f = take(call);
	if (f)
		f->name = xstrdup(name);
	return f ? js_object() : NULL;
}

API_COMMAND(closefd)
{
	struct api_fd *f = find(call->api, js_get_str(args, "fdname", ""), 0);

	if (!f)
		return api_fail(call, "File descriptor named '%.64s' not found", js_get_str(args, "fdname", ""));
	drop(f);
	return js_object();
}

static int64_t free_set(struct api *api)
{
	int64_t set = 0;

	while (find(api, NULL, set))
		set++;
	return set;
}

API_COMMAND(add_fd)
{
	int64_t set = js_get_int(args, "fdset-id", -1);
	const char *opaque = js_get_str(args, "opaque", NULL);
	struct api_fd *f;

	if (set < 0 && js_get(args, "fdset-id"))
		return api_fail(call, "Invalid parameter 'fdset-id': a number that is not negative is expected");
	if (set < 0)
		set = free_set(call->api);
	f = take(call);
	if (!f)
		return NULL;
	f->set = set;
	f->opaque = opaque ? xstrdup(opaque) : NULL;
	return js_set(js_set(js_object(), "fdset-id", js_int(set)), "fd", js_int(f->fd));
}

API_COMMAND(remove_fd)
{
	int64_t set = js_get_int(args, "fdset-id", -1), fd = js_get_int(args, "fd", -1);
	bool found = false;

	for (struct api_fd *f = call->api->fds; f < call->api->fds + API_FDS_MAX; f++) {
		if (f->fd < 0 || f->name || f->set != set || (fd >= 0 && f->fd != fd))
			continue;
		drop(f);
		found = true;
	}
	if (!found)
		return api_fail(call, "File descriptor named 'fdset-id:%lld' not found", (long long)set);
	return js_object();
}

static struct json *set_fds(const struct api *api, int64_t set)
{
	struct json *fds = js_array();

	for (const struct api_fd *f = api->fds; f < api->fds + API_FDS_MAX; f++)
		if (f->fd >= 0 && !f->name && f->set == set)
			js_add(fds, js_set(js_set(js_object(), "fd", js_int(f->fd)), "opaque",
			                   f->opaque ? js_str(f->opaque) : NULL));
	return fds;
}

API_COMMAND(query_fdsets)
{
	struct json *all = js_array();

	for (struct api_fd *f = call->api->fds; f < call->api->fds + API_FDS_MAX; f++)
		if (f->fd >= 0 && !f->name && find(call->api, NULL, f->set) == f)
			js_add(all, js_set(js_set(js_object(), "fdset-id", js_int(f->set)), "fds", set_fds(call->api, f->set)));
	return all;
}

const char *api_file(struct api *api, const char *name, char buf[64])
{
	static const char prefix[] = "/dev/fdset/";
	const struct api_fd *f;
	char *end;
	long set;

	if (strncmp(name, prefix, sizeof(prefix) - 1))
		return name;
	set = strtol(name + sizeof(prefix) - 1, &end, 10);
	f = *end ? NULL : find(api, NULL, set);
	if (!f)
		return name;
	snprintf(buf, 64, "/proc/self/fd/%d", f->fd);
	return buf;
}

/* A pipe or a terminal could make the machine wait for its reader. */
int api_open_file(struct api *api, const char *name, struct err *err)
{
	char buf[64];
	struct stat st;
	int fd = open(api_file(api, name, buf), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);

	if (fd < 0)
		return err_set(err, -errno, "failed to open file '%.200s': %s", name, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, -EINVAL, "'%.200s' is no regular file", name);
	}
	return fd;
}

int api_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int api_write_file(struct api *api, const char *name, const void *data, size_t len, struct err *err)
{
	int fd = api_open_file(api, name, err), rc;

	if (fd < 0)
		return fd;
	rc = api_write_all(fd, data, len);
	close(fd);
	return rc ? err_set(err, rc, "failed to write file '%.200s': %s", name, strerror(-rc)) : 0;
}
