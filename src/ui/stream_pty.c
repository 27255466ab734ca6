// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a stream on the master side of a new pseudo-terminal
 *
 * We keep the other side open ourselves: with nobody there the master would report a hang-up without end,
 * and what the guest prints before somebody connects is kept this way.
 */
#include "ui/ui_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct pty_priv {
	int master, slave;
};

static void pty_fini(struct ui_stream *s)
{
	struct pty_priv *p = s->priv;

	if (p->master >= 0)
		close(p->master);
	if (p->slave >= 0)
		close(p->slave);
	free(p);
}

static int open_pair(struct pty_priv *p, char *path, size_t len)
{
	struct termios raw;

	p->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->master < 0 || grantpt(p->master) < 0 || unlockpt(p->master) < 0 || ptsname_r(p->master, path, len) != 0)
		return -errno;
	p->slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->slave < 0 || tcgetattr(p->slave, &raw) < 0)
		return -errno;
	cfmakeraw(&raw);
	return tcsetattr(p->slave, TCSANOW, &raw) < 0 ? -errno : 0;
}

int stream_pty_open(struct ui_stream *s, struct err *err)
{
	struct pty_priv *p = xalloc(sizeof(*p));
	char path[64];
	int rc;

	p->master = p->slave = -1;
	s->priv = p;
	s->fini = pty_fini;
	rc = open_pair(p, path, sizeof(path));
	if (rc < 0)
		return err_set(err, rc, "cannot make a pseudo-terminal: %s", strerror(-rc));
	s->in_fd = s->out_fd = p->master;
	log_at(LOG_WARN, "serial port is at %s", path);
	return 0;
}
