// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a stream on standard input and output: a raw terminal with the Ctrl-A escape, or pipes and files
 *
 * Each side is looked at alone: "ring3 run | tee log" still has a raw keyboard, "echo cmd | ring3 run" still
 * writes to the terminal. End of input on a pipe leaves the output side working.
 */
#include "ui/ui_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stdio_priv {
	struct ui_escape escape;
	int in_fd, out_fd;
	int in_restore, out_restore;
};

static void print_help(void *opaque)
{
	static const char head[] = "\r\n";
	struct ui_stream *s = opaque;

	ui_stream_write(s, (const uint8_t *)head, 2);
	ui_stream_write(s, (const uint8_t *)ui_escape_help, (unsigned)strlen(ui_escape_help));
}

static void stdio_fini(struct ui_stream *s)
{
	struct stdio_priv *p = s->priv;

	if (s->interactive)
		ui_term_restore();
	ui_own_fd_close(p->in_fd, p->in_restore);
	ui_own_fd_close(p->out_fd, p->out_restore);
	free(p);
}

int stream_stdio_open(struct ui_stream *s, const struct ui_user *user, struct err *err)
{
	struct stdio_priv *p = xalloc(sizeof(*p));
	int rc;

	p->in_fd = p->out_fd = -1;
	p->escape = (struct ui_escape){.user = *user, .help = print_help, .help_opaque = s};
	s->priv = p;
	s->fini = stdio_fini;
	ui_ignore_sigpipe();
	if (isatty(STDIN_FILENO)) {
		rc = ui_term_raw(STDIN_FILENO, NULL, err);
		if (rc < 0)
			return rc;
		s->interactive = true;
	}
	/* A closed standard descriptor is no error: that side is just not there. */
	p->in_fd = ui_own_fd(STDIN_FILENO, O_RDONLY, &p->in_restore);
	p->out_fd = ui_own_fd(STDOUT_FILENO, O_WRONLY, &p->out_restore);
	s->in_fd = MAX(p->in_fd, -1);
	s->out_fd = MAX(p->out_fd, -1);
	s->escape = &p->escape;
	return 0;
}
