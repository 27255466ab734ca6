// SPDX-License-Identifier: GPL-2.0-or-later
/* what: where control sockets are: addresses, the user's run-time folder, machines by name
 *
 * Who can connect can do what the user can, so a socket is for its owner alone: mode 0600, in a folder of 0700 that
 * belongs to him. TCP has no owner: any program of this host may connect, hence loopback only, and only when asked.
 */
#include "api/place.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api.h"

#define BACKLOG 8

struct address {
	union { struct sockaddr any; struct sockaddr_un un; struct sockaddr_in in; } u;
	socklen_t len;
};

static int parse_unix(const char *path, struct address *a, struct err *err)
{
	if (!*path)
		return err_set(err, -EINVAL, "a path is missing: unix:PATH");
	if (strlen(path) >= sizeof(a->u.un.sun_path))
		return err_set(err, -EINVAL, "the path is longer than the %zu bytes that a socket's may have",
		               sizeof(a->u.un.sun_path) - 1);
	a->u.un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(a->u.un.sun_path, path);
	a->len = sizeof(a->u.un);
	return 0;
}

static int parse_tcp(const char *text, struct address *a, struct err *err)
{
	const char *colon = strrchr(text, ':');
	char host[16], *end;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

	if (!colon || !port || port > 65535 || *end || (size_t)(colon - text) >= sizeof(host))
		return err_set(err, -EINVAL, "'%s' is no address: give tcp:127.0.0.1:PORT", text);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	a->u.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	a->len = sizeof(a->u.in);
	if (inet_pton(AF_INET, host, &a->u.in.sin_addr) != 1 || ntohl(a->u.in.sin_addr.s_addr) >> 24 != 127)
		return err_set(err, -EINVAL,
		               "'%s' is not of this host's loopback: whoever connects rules the machine, so give 127.0.0.1",
		               host);
	return 0;
}

static int parse(const char *where, struct address *a, struct err *err)
{
	if (!strncmp(where, "unix:", 5))
		return parse_unix(where + 5, a, err);
	if (!strncmp(where, "tcp:", 4))
		return parse_tcp(where + 4, a, err);
	return err_set(err, -EINVAL, "'%s' is no address: give unix:PATH or tcp:127.0.0.1:PORT", where);
}

static int connect_to(const struct address *a)
{
	int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	if (!connect(fd, &a->u.any, a->len))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int api_connect(const char *where, struct err *err)
{
	struct address a;
	int fd = parse(where, &a, err);

	if (fd)
		return fd;
	fd = connect_to(&a);
	return fd < 0 ? err_set(err, fd, "no machine answers at %s: %s", where, strerror(-fd)) : fd;
}

/* A socket that nobody listens at any more makes room. */
static int make_way(const struct address *a, struct err *err)
{
	const char *path = a->u.un.sun_path;
	struct stat st;
	int fd;

	if (a->u.any.sa_family != AF_UNIX || lstat(path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "'%s' exists and is no socket", path);
	fd = connect_to(a);
	if (fd >= 0) {
		close(fd);
		return err_set(err, -EADDRINUSE, "'%s' is in use by another machine", path);
	}
	unlink(path);
	return 0;
}

static int bind_private(int fd, const struct address *a)
{
	mode_t old = umask(0177);
	int rc = bind(fd, &a->u.any, a->len) ? -errno : 0;

	umask(old);
	return rc;
}

int api_listen(const char *where, char **remove, struct err *err)
{
	struct address a;
	int rc = parse(where, &a, err), fd, on = 1;

	*remove = NULL;
	if (!rc)
		rc = make_way(&a, err);
	if (rc)
		return rc;
	fd = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "no socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	rc = bind_private(fd, &a);
	if (!rc && listen(fd, BACKLOG))
		rc = -errno;
	if (rc) {
		close(fd);
		return err_set(err, rc, "cannot listen there: %s", strerror(-rc));
	}
	*remove = a.u.any.sa_family == AF_UNIX ? xstrdup(a.u.un.sun_path) : NULL;
	return fd;
}

/* Names */

bool api_name_ok(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(name);

	return n && n <= API_NAME_MAX && *name != '.' && *name != '-' && strspn(name, letters) == n;
}

int api_folder(char buf[API_PATH_MAX], struct err *err)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int n = run && *run == '/' ? snprintf(buf, API_PATH_MAX, "%s/ring3", run) :
	        snprintf(buf, API_PATH_MAX, "/tmp/ring3-%u", (unsigned)getuid());

	if (n >= API_PATH_MAX)
		return err_set(err, -EINVAL, "XDG_RUNTIME_DIR is too long for sockets beneath it");
	if (mkdir(buf, 0700) && errno != EEXIST)
		return err_set(err, -errno, "the run-time folder %s cannot be made: %s", buf, strerror(errno));
	if (lstat(buf, &st) || !S_ISDIR(st.st_mode) || st.st_uid != getuid() || st.st_mode & 077)
		return err_set(err, -EPERM,
		               "the run-time folder %s is not yours alone: it must be a directory of yours, mode 0700", buf);
	return 0;
}

int api_socket_path(const char *name, char buf[API_PATH_MAX], struct err *err)
{
	char folder[API_PATH_MAX];
	int rc;

	if (!api_name_ok(name))
		return err_set(err, -EINVAL,
		               "'%s' is no name: up to %d letters, digits, '.', '_' and '-', beginning with a letter or digit",
		               name, API_NAME_MAX);
	rc = api_folder(folder, err);
	if (rc)
		return rc;
	if (snprintf(buf, API_PATH_MAX, "%s/%s.sock", folder, name) >= API_PATH_MAX)
		return err_set(err, -EINVAL, "the name is too long for a socket in %s", folder);
	return 0;
}

bool api_name_used(const char *name)
{
	char path[API_PATH_MAX];
	struct stat st;

	return !api_socket_path(name, path, NULL) && !lstat(path, &st);
}
