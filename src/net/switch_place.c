// SPDX-License-Identifier: GPL-2.0-or-later
/* what: where switches are: a folder of the user's own, in it a socket and a lock for each name
 *
 * $XDG_RUNTIME_DIR/ring3, or /tmp/ring3-UID: made by us, and used only if it is a folder, ours, and nobody else's. Who
 * makes a switch or ends one holds its lock, so that nobody joins one that is about to end (switch_server.c).
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/switch_int.h"

int net_check_switch_name(const char *name, struct err *err)
{
	size_t n = strlen(name);

	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			n = 0;
	if (n && n <= SWITCH_NAME_MAX && *name != '.')
		return 0;
	return err_set(err, -EINVAL, "'%s' is no name of a switch: up to %d letters, digits, and . _ - within", name,
	               SWITCH_NAME_MAX);
}

static bool is_ours(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}

static int make_folder(char *path, size_t len, struct err *err)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (base && *base == '/' && is_ours(base))
		snprintf(path, len, "%s/ring3", base);
	else
		snprintf(path, len, "/tmp/ring3-%u", (unsigned)geteuid());
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot make the folder '%s' for switches: %s", path, strerror(errno));
	if (!is_ours(path) || lstat(path, &st) < 0 || st.st_mode & 077)
		return err_set(err, -EPERM, "'%s' should be a folder that only this user may enter: look who made it", path);
	return 0;
}

int switch_path(const char *name, char *path, size_t len, struct err *err)
{
	char folder[64];
	int ret = net_check_switch_name(name, err);

	if (!ret)
		ret = make_folder(folder, sizeof(folder), err);
	if (!ret && (size_t)snprintf(path, len, "%s/%s.switch", folder, name) >= len)
		ret = err_set(err, -ENAMETOOLONG, "the path of switch '%s' is too long for a socket", name);
	return ret;
}

/* The file may be removed by who held it before us: then it is no lock any more. */
int switch_lock(const char *path, struct err *err)
{
	char name[120];
	struct stat held, now;
	int fd;

	snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, -errno, "cannot open '%s': %s", name, strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &held) && !stat(name, &now) && held.st_ino == now.st_ino)
		return fd;
	close(fd);
	return err_set(err, -EAGAIN, "the switch at '%s' is being made or ended", path);
}

static int make(const char *path, struct sockaddr_un *addr, struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path);
	return fd >= 0 ? fd : err_set(err, -errno, "cannot make a socket for '%s': %s", path, strerror(errno));
}

int switch_connect(const char *path, struct err *err)
{
	struct sockaddr_un addr;
	int fd = make(path, &addr, err), ret;

	if (fd < 0 || !connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	ret = errno == ECONNREFUSED || errno == ENOENT ? -ENOENT : -errno;
	close(fd);
	return err_set(err, ret, "cannot join the switch at '%s': %s", path, strerror(-ret));
}

int switch_listen(const char *path, struct err *err)
{
	struct sockaddr_un addr;
	int fd = make(path, &addr, err), ret;

	if (fd < 0)
		return fd;
	unlink(path);
	if (!bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, SWITCH_PORTS_MAX))
		return fd;
	ret = err_set(err, -errno, "cannot make the switch at '%s': %s", path, strerror(errno));
	close(fd);
	return ret;
}
