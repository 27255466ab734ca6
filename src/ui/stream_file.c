// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a stream that only writes, to a file made anew */
#include "ui/ui_int.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void file_fini(struct ui_stream *s)
{
	if (s->out_fd >= 0)
		close(s->out_fd);
}

int stream_file_open(struct ui_stream *s, const char *path, struct err *err)
{
	struct stat st;

	ui_ignore_sigpipe(); /* PATH may be a FIFO */
	s->out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0644);
	if (s->out_fd < 0)
		return err_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
	s->fini = file_fini;
	/* whose reader may be slow; opening it has waited for one */
	if (fstat(s->out_fd, &st) == 0 && !S_ISREG(st.st_mode))
		fcntl(s->out_fd, F_SETFL, O_NONBLOCK);
	return 0;
}
