// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the files of the ui room share: the stream's inside, the Ctrl-A escape, the raw terminal */
#ifndef UI_UI_INT_H
#define UI_UI_INT_H

#include "ui/ui.h"

#define STREAM_IN_MAX 4096u

/* Ctrl-A commands typed by a person, filtered out of what goes to the guest. */
struct ui_escape {
	struct ui_user user;
	void (*help)(void *opaque);
	void *help_opaque;
	bool pending; /* the last byte was Ctrl-A */
};
/* Act on and remove the commands in buf; returns the bytes left. */
unsigned ui_escape_filter(struct ui_escape *e, uint8_t *buf, unsigned len);
extern const char ui_escape_help[];

/* A descriptor whose blocking mode is ours: fd reopened non-blocking where possible, so that the shell's own
 * descriptor keeps its mode; *restore gets the flags to put back on close, or -1. Returns a negative errno. */
int ui_own_fd(int fd, int mode, int *restore);
void ui_own_fd_close(int fd, int restore);

/* term_sig.c: one terminal of the process in raw mode. leave (a literal, may be NULL) is written when it is left. */
int ui_term_raw(int fd, const char *leave, struct err *err);
/* Back to what it was; also at exit and on fatal signals. SIGSAFE. */
void ui_term_restore(void);
void ui_ignore_sigpipe(void);

/* keymap.c: the first key in in[0..n), n > 0: its scan codes (none if there is no such key); returns bytes used. */
#define UI_KEY_CODES 10u
unsigned ui_keymap_one(const uint8_t *in, unsigned n, uint8_t codes[UI_KEY_CODES], unsigned *ncodes);

struct ui_stream {
	struct loop *loop;
	struct ui_stream_sink sink;
	int in_fd, out_fd; /* -1: none. May be equal */
	bool is_socket;
	bool interactive;  /* a person types: input is always read, for the sake of the escape */
	bool stuck;        /* the host has not taken anything for a second */
	bool wanted;       /* there was no room, and the sink does not know yet that there is */
	bool pumping;
	struct loop_fd in, out;
	struct loop_timer flush, patience, tell;
	uint8_t *queue;    /* ring of STREAM_QUEUE bytes, made at the first write */
	size_t head, len;
	uint8_t pending[STREAM_IN_MAX];
	unsigned npending;
	struct ui_escape *escape;         /* NULL: bytes pass as they are */
	void (*hangup)(struct ui_stream *s); /* the other side went away; NULL: just stop using the descriptor */
	void (*fini)(struct ui_stream *s);   /* close what the backend opened */
	void *priv;
};

/* stream.c: start and stop watching in_fd and out_fd. */
void stream_watch(struct ui_stream *s);
void stream_unwatch(struct ui_stream *s);

/* Backends fill in the descriptors and hooks. 0 or negative errno with err filled. */
int stream_stdio_open(struct ui_stream *s, const struct ui_user *user, struct err *err);
int stream_file_open(struct ui_stream *s, const char *path, struct err *err);
int stream_pty_open(struct ui_stream *s, struct err *err);
int stream_unix_open(struct ui_stream *s, const char *path, struct err *err);

#endif
