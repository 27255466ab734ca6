// SPDX-License-Identifier: GPL-2.0-or-later
/* what: addresses of sockets as users write them, unix:PATH or HOST:PORT, and sockets made from them
 */
#include "net/address.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_MAX 256

static bool is_unix(const char *text)
{
	return !strncmp(text, "unix:", 5);
}

/* Splits "HOST:PORT", "[v6]:PORT", ":PORT". */
static bool split(const char *text, char *host, const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	char *end;
	unsigned long val;

	if (!colon || !isdigit((unsigned char)colon[1]))
		return false;
	val = strtoul(colon + 1, &end, 10);
	if (*end || !val || val > 65535)
		return false;
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= HOST_MAX)
		return false;
	memcpy(host, text, n);
	host[n] = 0;
	*port = colon + 1;
	return true;
}

int net_check_address(const char *text, struct err *err)
{
	char host[HOST_MAX];
	const char *port;

	if (is_unix(text) && text[5]) {
		if (strlen(text + 5) < sizeof(((struct sockaddr_un *)0)->sun_path))
			return 0;
		return err_set(err, -ENAMETOOLONG, "'%s': a socket's path has at most %zu bytes", text,
		               sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	}
	if (!is_unix(text) && split(text, host, &port))
		return 0;
	return err_set(err, -EINVAL, "'%s' is no address: give unix:PATH or HOST:PORT", text);
}

int net_find_address(struct net_address *a, const char *text, bool stream, bool passive, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = stream ? SOCK_STREAM : SOCK_DGRAM, .ai_flags = passive ? AI_PASSIVE : 0 };
	struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;
	struct addrinfo *found;
	char host[HOST_MAX];
	const char *port;
	int ret;

	*a = (struct net_address){ .text = text };
	if (net_check_address(text, err))
		return -EINVAL;
	if (is_unix(text)) {
		un->sun_family = AF_UNIX;
		memcpy(un->sun_path, text + 5, strlen(text + 5) + 1);
		a->len = sizeof(*un);
		return 0;
	}
	if (!split(text, host, &port))
		return -EINVAL;
	if (!*host)
		hints.ai_family = AF_INET;
	ret = getaddrinfo(*host ? host : NULL, port, &hints, &found);
	if (ret)
		return err_set(err, -EINVAL, "cannot find '%s': %s", text, gai_strerror(ret));
	memcpy(&a->addr, found->ai_addr, found->ai_addrlen);
	a->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static bool is_local(const struct net_address *a)
{
	return a->addr.ss_family == AF_UNIX;
}

/* A socket file that nobody answers at is left from a process that was killed. */
static void remove_stale(const struct net_address *a, int type)
{
	const char *path = ((const struct sockaddr_un *)&a->addr)->sun_path;
	struct stat st;
	int fd;

	if (!is_local(a) || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&a->addr, a->len) < 0 && errno == ECONNREFUSED)
		unlink(path);
	close(fd);
}

static int make(const struct net_address *a, int type, struct err *err)
{
	int fd = socket(a->addr.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return err_set(err, -errno, "cannot make a socket for '%s': %s", a->text, strerror(errno));
	if (!is_local(a) && type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int net_bind(const struct net_address *a, int type, struct err *err)
{
	int fd, one = 1, ret;

	remove_stale(a, type);
	fd = make(a, type, err);
	if (fd < 0)
		return fd;
	if (!is_local(a) && type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (const struct sockaddr *)&a->addr, a->len) && (type == SOCK_DGRAM || !listen(fd, 4)))
		return fd;
	ret = err_set(err, -errno, "cannot listen at '%s': %s", a->text, strerror(errno));
	close(fd);
	return ret;
}

int net_connect(const struct net_address *a, int type, struct err *err)
{
	int fd = make(a, type, err), ret;

	if (fd < 0)
		return fd;
	if (!connect(fd, (const struct sockaddr *)&a->addr, a->len) || errno == EINPROGRESS)
		return fd;
	ret = err_set(err, -errno, "cannot connect to '%s': %s", a->text, strerror(errno));
	close(fd);
	return ret;
}

void net_unbind(const struct net_address *a)
{
	if (is_local(a))
		unlink(((const struct sockaddr_un *)&a->addr)->sun_path);
}
