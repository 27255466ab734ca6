// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the text display and the keymap */
#include "unit.h"

#include "ui/ui_int.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static struct loop *loop;
static uint16_t screen[2000];
static int cursor;
static bool graphics;
static uint8_t keys[64];
static unsigned nkeys;
static int quits;

static unsigned snapshot(void *opaque, uint16_t *cells, unsigned max, unsigned *cols, unsigned *rows, int *cur)
{
	assert_true(max >= ARRAY_LEN(screen));
	if (graphics)
		return 0;
	memcpy(cells, screen, sizeof(screen));
	*cols = 80;
	*rows = 25;
	*cur = cursor;
	return 2000;
}

static void on_key(void *opaque, const uint8_t *codes, unsigned n)
{
	memcpy(keys + nkeys, codes, n);
	nkeys += n;
}

static void on_quit(void *opaque)
{
	quits++;
}

static int setup(void **state)
{
	loop = loop_new_stepped();
	for (unsigned i = 0; i < ARRAY_LEN(screen); i++)
		screen[i] = 0x0720;
	cursor = -1;
	graphics = false;
	nkeys = 0;
	quits = 0;
	return 0;
}

static int teardown(void **state)
{
	loop_free(loop);
	return 0;
}

static struct ui_text *open_on(int in, int out)
{
	struct ui_text_source src = {.snapshot = snapshot};
	int old_in = dup(0), old_out = dup(1);
	struct ui_text *t;

	fflush(stdout);
	dup2(in, 0);
	dup2(out, 1);
	t = ui_text_open(loop, &src, on_key, NULL, &(struct ui_user){ .quit = on_quit }, NULL);
	dup2(old_in, 0);
	dup2(old_out, 1);
	close(old_in);
	close(old_out);
	assert_non_null(t);
	return t;
}

static void put(unsigned row, unsigned col, uint8_t attr, const char *s)
{
	for (; *s; s++, col++)
		screen[row * 80 + col] = (uint16_t)(attr << 8 | (uint8_t)*s);
}

static char *slurp(int fd)
{
	static char buf[65536];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t r;

	while (n < sizeof(buf) - 1 && poll(&p, 1, 20) == 1 && (r = read(fd, buf + n, sizeof(buf) - 1 - n)) > 0)
		n += (size_t)r;
	buf[n] = 0;
	return buf;
}

static void frame(void)
{
	loop_step(loop, 50000000);
}

/* On a pipe each changed line comes once, as text. */
static void test_log(void **state)
{
	int in[2], out[2];
	struct ui_text *t;

	assert_int_equal(pipe(in) | pipe(out), 0);
	t = open_on(in[0], out[1]);
	put(0, 0, 7, "hello");
	put(2, 1, 7, "\xc4" "x");
	frame();
	frame();
	assert_string_equal(slurp(out[0]), "hello\n \xe2\x94\x80x\n");
	put(0, 5, 7, "!");
	frame();
	assert_string_equal(slurp(out[0]), "hello!\n");
	put(0, 0, 0x1f, "hello!"); /* colours only */
	frame();
	assert_string_equal(slurp(out[0]), "");
	put(4, 0, 7, "last");
	ui_text_free(t);
	assert_string_equal(slurp(out[0]), "last\n");
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static int open_pty(int *slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	return master;
}

/* On a terminal only changed cells are drawn, a still screen costs nothing, and the terminal is left as it was. */
static void test_terminal(void **state)
{
	int slave, master = open_pty(&slave);
	struct ui_text *t = open_on(slave, slave);

	frame();
	frame();
	assert_non_null(strstr(slurp(master), "\033[?1049h"));
	frame();
	assert_string_equal(slurp(master), "");
	put(3, 4, 0x1e, "AB");
	cursor = 81;
	frame();
	assert_string_equal(slurp(master), "\033[?25l\033[4;5H\033[93;44mAB\033[0m\033[2;2H\033[?25h");
	graphics = true;
	frame();
	assert_non_null(strstr(slurp(master), "graphics mode"));
	frame();
	assert_string_equal(slurp(master), "");
	graphics = false;
	frame();
	assert_non_null(strstr(slurp(master), "AB"));
	assert_int_equal(write(master, "\x01h", 2), 2);
	frame();
	assert_non_null(strstr(slurp(master), "quit"));
	ui_text_free(t);
	assert_non_null(strstr(slurp(master), "\033[?1049l"));
	close(slave);
	close(master);
}

/* Keys go to the guest one at a time; the escape does not. */
static void test_keys(void **state)
{
	int in[2], out[2];
	struct ui_text *t;

	assert_int_equal(pipe(in) | pipe(out), 0);
	t = open_on(in[0], out[1]);
	assert_int_equal(write(in[1], "ab\x01x", 4), 4);
	loop_step(loop, 0);
	assert_int_equal(nkeys, 2);
	assert_int_equal(quits, 1);
	loop_step(loop, 100000000);
	assert_int_equal(nkeys, 4);
	assert_memory_equal(keys, "\x1e\x9e\x30\xb0", 4);
	close(in[1]);
	loop_step(loop, 0);
	ui_text_free(t);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

static void check(const char *in, const char *want)
{
	uint8_t codes[64];
	unsigned n = ui_keymap_ascii((const uint8_t *)in, (unsigned)strlen(in), codes, sizeof(codes));

	if (n != strlen(want) || memcmp(codes, want, n))
		fail_msg("wrong codes for \"%s\"", in);
}

/* Set 1 codes of characters, with shift, control and alt, and of xterm's and the Linux console's sequences. */
static void test_keymap(void **state)
{
	check("a", "\x1e\x9e");
	check("A", "\x2a\x1e\x9e\xaa");
	check("~", "\x2a\x29\xa9\xaa");
	check("\\", "\x2b\xab");
	check("\r", "\x1c\x9c");
	check("\x7f", "\x0e\x8e");
	check("\t", "\x0f\x8f");
	check("\x03", "\x1d\x2e\xae\x9d");
	check("\033", "\x01\x81");
	check("\033x", "\x38\x2d\xad\xb8");
	check("\033[A", "\xe0\x48\xe0\xc8");
	check("\033OP", "\x3b\xbb");
	check("\033[[C", "\x3d\xbd");
	check("\033[24~", "\x58\xd8");
	check("\033[3~", "\xe0\x53\xe0\xd3");
	check("\033[1;5C", "\x1d\xe0\x4d\xe0\xcd\x9d");
	check("\033[99~", "");
	check("\033[1;", "");
	check("\xc3\xa9", "");
	check("\033\033[B", "\x01\x81\xe0\x50\xe0\xd0");
}

/* Any bytes are safe, and the result never exceeds its buffer. */
static void test_keymap_random(void **state)
{
	uint8_t in[40], codes[33];
	uint32_t seed = 7;

	for (int i = 0; i < 100000; i++) {
		for (unsigned k = 0; k < sizeof(in); k++) {
			seed = seed * 1664525 + 1013904223;
			in[k] = seed >> 31 ? "\033[O;15~A"[seed >> 20 & 7] : (uint8_t)(seed >> 16);
		}
		codes[32] = 0x5a;
		assert_true(ui_keymap_ascii(in, seed >> 8 & 31, codes, 32) <= 32);
		assert_int_equal(codes[32], 0x5a);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_terminal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test(test_keymap),
		cmocka_unit_test(test_keymap_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
