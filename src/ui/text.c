// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the guest's text screen in the terminal, and the terminal's keys for the guest
 *
 *   every 50 ms: snapshot --> compare with what is shown --> ANSI for the cells that differ --> terminal
 *
 * Nothing tells us when the guest writes to its screen; comparing 2000 cells 20 times a second costs less than
 * being told. While the terminal has not taken the last frame no new one is made, so a slow line sees fewer frames,
 * not old ones. Keys are handed on one by one with a pause between them, because the guest's keyboard controller
 * and BIOS hold no more than 16.
 *
 * When output is no terminal (a pipe, a file), each line that changed is printed as text instead: a log.
 */
#include "ui/ui_int.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_CELLS 16384u
#define FRAME_NS 50000000u
#define KEY_NS 25000000u
#define HELP_NS 4000000000u
#define OUT_MAX (512u << 10)
#define CELL_OUT 40u /* the most one cell takes: position, colours, character */
#define NO_CELL 0xffffffffu

static const char enter_screen[] = "\033[?1049h\033[2J";
static const char leave_screen[] = "\033[0m\033[?25h\033[?1049l";

struct ui_text {
	struct loop *loop;
	struct ui_text_source src;
	void (*scancode)(void *opaque, const uint8_t *codes, unsigned n);
	void *key_opaque;
	struct ui_escape escape;
	int in_fd, out_fd, in_restore, out_restore;
	bool in_tty, out_tty;
	bool raw;                    /* the terminal is in our hands */
	struct loop_fd in, out;
	struct loop_timer frame, keys;
	uint8_t typed[1024];
	unsigned ntyped;
	uint16_t now[MAX_CELLS];
	uint32_t shown[MAX_CELLS];   /* NO_CELL: unknown */
	unsigned cols, rows;
	int cursor;                  /* where it was drawn last */
	bool graphics;
	uint64_t help_until;
	char *buf;                   /* bytes [sent, len) are not written yet */
	unsigned len, sent;
};

/* Code page 437, the character set of a VGA's ROM: 0x00-0x1f, 0x7f, 0x80-0xff. */
static const uint16_t cp437_low[32] = {
	0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9, 0x2642, 0x2640, 0x266a,
	0x266b, 0x263c,
	0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7, 0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194,
	0x25b2, 0x25bc,
};
static const uint16_t cp437_high[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec,
	0x00c4, 0x00c5,
	0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5,
	0x20a7, 0x0192,
	0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1,
	0x00ab, 0x00bb,
	0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c,
	0x255b, 0x2510,
	0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
	0x256c, 0x2567,
	0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c,
	0x2590, 0x2580,
	0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6,
	0x03b5, 0x2229,
	0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2,
	0x25a0, 0x00a0,
};

/* --- output --- */

static void emit(struct ui_text *t, const char *s, unsigned n)
{
	n = MIN(n, OUT_MAX - t->len);
	memcpy(t->buf + t->len, s, n);
	t->len += n;
}

static void emit_str(struct ui_text *t, const char *s)
{
	emit(t, s, (unsigned)strlen(s));
}

static void emit_char(struct ui_text *t, uint8_t c)
{
	unsigned u = c < 0x20 ? cp437_low[c] : c == 0x7f ? 0x2302 : c >= 0x80 ? cp437_high[c - 0x80] : c;
	char out[3];

	if (u < 0x80) {
		out[0] = (char)u;
		emit(t, out, 1);
	} else if (u < 0x800) {
		out[0] = (char)(0xc0 | u >> 6);
		out[1] = (char)(0x80 | (u & 0x3f));
		emit(t, out, 2);
	} else {
		out[0] = (char)(0xe0 | u >> 12);
		out[1] = (char)(0x80 | (u >> 6 & 0x3f));
		out[2] = (char)(0x80 | (u & 0x3f));
		emit(t, out, 3);
	}
}

static void emit_move(struct ui_text *t, unsigned row, unsigned col)
{
	char s[32];

	snprintf(s, sizeof(s), "\033[%u;%uH", row + 1, col + 1);
	emit_str(t, s);
}

/* VGA counts blue, green, red from bit 0; ANSI red, green, blue. */
static unsigned ansi_color(unsigned vga)
{
	return (vga & 2) | (vga & 1) << 2 | (vga >> 2 & 1);
}

static void emit_color(struct ui_text *t, uint8_t attr)
{
	char s[32];

	snprintf(s, sizeof(s), "\033[%u;%um", (attr & 8 ? 90 : 30) + ansi_color(attr), 40 + ansi_color(attr >> 4));
	emit_str(t, s);
}

static void out_flush(struct ui_text *t)
{
	while (t->sent < t->len) {
		ssize_t n = write(t->out_fd, t->buf + t->sent, t->len - t->sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_fd_set(&t->out, POLLOUT);
			return;
		}
		if (n < 0)
			break; /* nobody looks any more */
		t->sent += (unsigned)n;
	}
	t->len = t->sent = 0;
	if (t->out.loop)
		loop_fd_set(&t->out, 0);
}

static void out_ready(void *opaque, short revents)
{
	out_flush(opaque);
}

/* --- a frame on a terminal --- */

static void forget_shown(struct ui_text *t)
{
	for (unsigned i = 0; i < MAX_CELLS; i++)
		t->shown[i] = NO_CELL;
}

/* Rows [top, top + rows) of the guest's screen are visible; the cursor's among them. */
static void fit_window(const struct ui_text *t, int cursor, unsigned *top, unsigned *rows, unsigned *cols)
{
	struct winsize ws = {0};

	*top = 0;
	*rows = t->rows;
	*cols = t->cols;
	if (ioctl(t->out_fd, TIOCGWINSZ, &ws) < 0 || !ws.ws_row || !ws.ws_col)
		return;
	*rows = MIN(*rows, ws.ws_row);
	*cols = MIN(*cols, ws.ws_col);
	if (cursor >= 0 && (unsigned)cursor / t->cols >= *rows)
		*top = (unsigned)cursor / t->cols - *rows + 1;
}

static void draw_cells(struct ui_text *t, unsigned top, unsigned rows, unsigned cols)
{
	unsigned attr = NO_CELL;

	for (unsigned y = 0; y < rows; y++) {
		bool placed = false;

		for (unsigned x = 0; x < cols; x++) {
			uint16_t cell = t->now[(y + top) * t->cols + x];
			uint32_t *was = &t->shown[y * t->cols + x];

			if (*was == cell) {
				placed = false;
				continue;
			}
			if (t->len + CELL_OUT > OUT_MAX)
				return; /* the rest comes with the next frame */
			if (!placed)
				emit_move(t, y, x);
			placed = true;
			if (cell >> 8 != attr)
				emit_color(t, cell >> 8);
			attr = cell >> 8;
			emit_char(t, (uint8_t)cell);
			*was = cell;
		}
	}
}

static void draw_terminal(struct ui_text *t, int cursor)
{
	unsigned top, rows, cols, start = t->len, before;

	fit_window(t, cursor, &top, &rows, &cols);
	emit_str(t, "\033[?25l");
	before = t->len;
	draw_cells(t, top, rows, cols);
	if (t->len == before && cursor == t->cursor) {
		t->len = start;
		return;
	}
	t->cursor = cursor;
	emit_str(t, "\033[0m");
	if (cursor >= 0) {
		emit_move(t, (unsigned)cursor / t->cols - top, (unsigned)cursor % t->cols);
		emit_str(t, "\033[?25h");
	}
}

/* --- a frame in a log --- */

static void log_row(struct ui_text *t, const uint16_t *cells)
{
	unsigned n = t->cols;

	while (n && ((cells[n - 1] & 0xff) == ' ' || !(cells[n - 1] & 0xff)))
		n--;
	for (unsigned x = 0; x < n; x++)
		emit_char(t, (uint8_t)cells[x]);
	emit(t, "\n", 1);
}

static void draw_log(struct ui_text *t)
{
	for (unsigned y = 0; y < t->rows; y++) {
		const uint16_t *cells = &t->now[y * t->cols];
		uint32_t *was = &t->shown[y * t->cols];
		bool changed = false, blank = true;

		for (unsigned x = 0; x < t->cols; x++) {
			uint8_t c = (uint8_t)cells[x];

			changed |= was[x] != c;
			blank &= c == ' ' || c == 0;
			was[x] = c;
		}
		if (changed && !blank && t->len + t->cols * 3 + 1 <= OUT_MAX)
			log_row(t, cells);
	}
}

/* --- frames --- */

static void draw_graphics_note(struct ui_text *t)
{
	if (t->graphics)
		return;
	t->graphics = true;
	t->cols = t->rows = 0;
	if (t->out_tty)
		emit_str(t,
		         "\033[0m\033[2J\033[HThe guest's screen is in a graphics mode. Ctrl-A h lists the keys that still work.\r\n");
	else
		emit_str(t, "[graphics mode]\n");
}

static void draw(struct ui_text *t)
{
	unsigned cols = 0, rows = 0, n;
	int cursor = -1;

	n = t->src.snapshot(t->src.opaque, t->now, MAX_CELLS, &cols, &rows, &cursor);
	if (!n || cols * rows > MAX_CELLS) {
		draw_graphics_note(t);
		return;
	}
	t->graphics = false;
	if (cols != t->cols || rows != t->rows) {
		t->cols = cols;
		t->rows = rows;
		t->cursor = -2;
		forget_shown(t);
		if (t->out_tty)
			emit_str(t, "\033[0m\033[2J");
	}
	if (t->out_tty)
		draw_terminal(t, cursor);
	else
		draw_log(t);
}

static void frame_due(void *opaque)
{
	struct ui_text *t = opaque;
	uint64_t now = loop_now(t->loop);

	loop_timer_set(&t->frame, now + FRAME_NS);
	if (t->len || now < t->help_until)
		return;
	draw(t);
	out_flush(t);
}

static void show_help(void *opaque)
{
	struct ui_text *t = opaque;

	if (t->len)
		return;
	emit_str(t, t->out_tty ? "\033[0m\033[2J\033[H" : "");
	emit_str(t, ui_escape_help);
	if (t->out_tty) {
		t->help_until = loop_now(t->loop) + HELP_NS;
		t->cols = t->rows = 0; /* all of it is to be drawn again */
		t->graphics = false;
	}
	out_flush(t);
}

/* --- keys --- */

static void next_key(void *opaque)
{
	struct ui_text *t = opaque;
	uint8_t codes[UI_KEY_CODES];
	unsigned n, used;

	if (!t->ntyped)
		return;
	used = ui_keymap_one(t->typed, t->ntyped, codes, &n);
	t->ntyped -= used;
	memmove(t->typed, t->typed + used, t->ntyped);
	if (n)
		t->scancode(t->key_opaque, codes, n);
	loop_timer_set(&t->keys, loop_now(t->loop) + KEY_NS);
	if (t->in.loop && t->ntyped < sizeof(t->typed) / 2)
		loop_fd_set(&t->in, POLLIN);
}

static void in_ready(void *opaque, short revents)
{
	struct ui_text *t = opaque;
	ssize_t n = read(t->in_fd, t->typed + t->ntyped, sizeof(t->typed) - t->ntyped);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_fd_del(&t->in);
		return;
	}
	t->ntyped += ui_escape_filter(&t->escape, t->typed + t->ntyped, (unsigned)n);
	t->help_until = t->ntyped ? 0 : t->help_until;
	if (t->ntyped == sizeof(t->typed))
		loop_fd_set(&t->in, 0);
	if (!t->keys.armed)
		next_key(t);
}

/* --- construction --- */

static int open_fds(struct ui_text *t, struct err *err)
{
	ui_ignore_sigpipe();
	t->in_tty = isatty(STDIN_FILENO);
	t->out_tty = isatty(STDOUT_FILENO);
	t->in_fd = ui_own_fd(STDIN_FILENO, O_RDONLY, &t->in_restore);
	t->out_fd = ui_own_fd(STDOUT_FILENO, O_WRONLY, &t->out_restore);
	if (t->out_fd < 0)
		return err_set(err, t->out_fd, "the text display needs standard output");
	if (!t->in_tty)
		return 0;
	t->raw = ui_term_raw(STDIN_FILENO, t->out_tty ? leave_screen : NULL, err) == 0;
	return t->raw ? 0 : -EIO;
}

struct ui_text *ui_text_open(struct loop *loop, const struct ui_text_source *src,
                             void (*scancode)(void *opaque, const uint8_t *codes, unsigned n),
			     void *key_opaque, const struct ui_user *user, struct err *err)
{
	struct ui_text *t = xalloc(sizeof(*t));

	t->loop = loop;
	t->src = *src;
	t->scancode = scancode;
	t->key_opaque = key_opaque;
	t->escape = (struct ui_escape){.user = *user, .help = show_help, .help_opaque = t};
	t->buf = xalloc(OUT_MAX);
	t->in_fd = t->out_fd = -1;
	loop_timer_init(&t->frame, loop, frame_due, t);
	loop_timer_init(&t->keys, loop, next_key, t);
	if (open_fds(t, err) < 0) {
		ui_text_free(t);
		return NULL;
	}
	if (t->in_fd >= 0)
		loop_fd_add(&t->in, loop, t->in_fd, POLLIN, in_ready, t);
	loop_fd_add(&t->out, loop, t->out_fd, 0, out_ready, t);
	if (t->out_tty)
		emit_str(t, enter_screen);
	out_flush(t);
	loop_timer_set(&t->frame, loop_now(loop));
	return t;
}

void ui_text_free(struct ui_text *t)
{
	if (!t)
		return;
	if (t->out_fd >= 0 && !t->out_tty && !t->len && t->out.loop)
		draw(t); /* the log ends with what was on the screen last */
	if (t->out_fd >= 0)
		out_flush(t);
	loop_timer_cancel(&t->frame);
	loop_timer_cancel(&t->keys);
	loop_fd_del(&t->in);
	loop_fd_del(&t->out);
	if (t->raw)
		ui_term_restore();
	ui_own_fd_close(t->in_fd, t->in_restore);
	ui_own_fd_close(t->out_fd, t->out_restore);
	free(t->buf);
	free(t);
}
