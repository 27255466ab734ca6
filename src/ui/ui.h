// SPDX-License-Identifier: GPL-2.0-or-later
/* what: byte streams for serial ports (stdio, file, pty, unix socket) and the text display, as devices see them */
#ifndef UI_UI_H
#define UI_UI_H

#include "base/base.h"
#include "base/loop.h"

/* A byte stream. A device writes to it and is told of input. Device lock held for all calls and callbacks. */
struct ui_stream;

struct ui_stream_sink {
	void *opaque;
	/* How many bytes the device can take now; 0 stops reading from the host until ui_stream_ready(). */
	unsigned (*can_receive)(void *opaque);
	void (*receive)(void *opaque, const uint8_t *buf, unsigned len);
	/* There was no room for output, and now there is; may be NULL. */
	void (*room)(void *opaque);
};

/* What the user of a terminal can ask of the machine by Ctrl-A and a letter. */
struct ui_user {
	void (*quit)(void *opaque);
	void (*power)(void *opaque); /* presses the power button */
	void *opaque;
};

/* spec: "stdio", "file:PATH", "pty", "unix:PATH", "none". stdio: raw terminal when it is one (restored on
 * ui_stream_free and at exit by signal), Ctrl-A x calls quit, Ctrl-A p power, Ctrl-A h prints help, Ctrl-A Ctrl-A sends
 * Ctrl-A, Ctrl-A b sends a break (ignored), works with pipes; end of input on a pipe is not an error. pty: prints the
 * path through log at LOG_WARN. unix: listens, one client at a time; output without client is dropped. */
struct ui_stream *ui_stream_open(struct loop *loop, const char *spec, const struct ui_user *user, struct err *err);
void ui_stream_free(struct ui_stream *s);
void ui_stream_attach(struct ui_stream *s, const struct ui_stream_sink *sink);
/* Queues up to 1 MiB for the host, and drops what is more. Never waits. */
void ui_stream_write(struct ui_stream *s, const uint8_t *buf, unsigned len);
/* So much can be written without being lost for want of time; 0: the sink is told when there is room. A host that has
 * taken nothing for a second loses what comes until it does again, so then there is. */
unsigned ui_stream_room(struct ui_stream *s);
/* What is queued goes out now, as far as the host takes it: the clock by which it would is about to stand. */
void ui_stream_flush(struct ui_stream *s);
/* The sink can take bytes again. */
void ui_stream_ready(struct ui_stream *s);

/* Text display: 80x25 (or other) cells drawn in the terminal with ANSI sequences, changed cells only, at most 20
 * times a second. */
struct ui_text_source {
	void *opaque;
	/* Fill cells (char, attr pairs: VGA text memory order) up to max cells; returns cells; sets cols, rows, cursor
	 * (-1: off). Returns 0 in graphics modes. */
	unsigned (*snapshot)(void *opaque, uint16_t *cells, unsigned max, unsigned *cols, unsigned *rows, int *cursor);
};
/* key: a PS/2 set-1 make or break scancode sequence for what was typed. */
struct ui_text;
struct ui_text *ui_text_open(struct loop *loop, const struct ui_text_source *src,
                             void (*scancode)(void *opaque, const uint8_t *codes, unsigned n), void *key_opaque,
                             const struct ui_user *user, struct err *err);
void ui_text_free(struct ui_text *t);
/* Map typed bytes (ASCII and ANSI escape sequences for cursor and function keys) to set-1 scancodes; used by ui_text
 * and by tests. Returns codes written. */
unsigned ui_keymap_ascii(const uint8_t *in, unsigned n, uint8_t *codes, unsigned max);

#endif
