// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the byte streams: batching, backpressure, the escape, sockets, ptys */
#include "unit.h"

#include "ui/ui_int.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop *loop;
static char dir[] = "/tmp/ring3-stream-XXXXXX";
static char got[8192];
static unsigned ngot, room;
static int quits, presses;

static int setup(void **state)
{
	loop = loop_new_stepped();
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	ngot = 0;
	room = sizeof(got);
	quits = 0;
	return 0;
}

static int teardown(void **state)
{
	loop_free(loop);
	rmdir(dir);
	return 0;
}

static unsigned can_receive(void *opaque)
{
	return room;
}

static void receive(void *opaque, const uint8_t *buf, unsigned len)
{
	assert_true(len <= room);
	memcpy(got + ngot, buf, len);
	ngot += len;
	room -= len;
}

static unsigned rooms;

static void room_again(void *opaque)
{
	rooms++;
}

static const struct ui_stream_sink sink = {.can_receive = can_receive, .receive = receive, .room = room_again};

static void on_quit(void *opaque)
{
	quits++;
}

static void on_power(void *opaque)
{
	presses++;
}

static const struct ui_user user = { .quit = on_quit, .power = on_power }, nobody;

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct ui_stream *open_at(const char *kind, const char *name)
{
	char spec[160];
	struct err err = {0};
	struct ui_stream *s;

	snprintf(spec, sizeof(spec), "%s:%s", kind, path_of(name));
	s = ui_stream_open(loop, spec, &user, &err);
	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static void put(struct ui_stream *s, const char *text)
{
	ui_stream_write(s, (const uint8_t *)text, (unsigned)strlen(text));
}

static void assert_file(const char *name, const char *want)
{
	char buf[256] = "";
	int fd = open(path_of(name), O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	assert_string_equal(buf, want);
}

/* Bytes gather until a newline or two milliseconds; what is left is written at the end. */
static void test_batching(void **state)
{
	struct ui_stream *s = open_at("file", "log");

	put(s, "lo");
	assert_file("log", "");
	put(s, "gin\n");
	assert_file("log", "login\n");
	put(s, "# ");
	loop_step(loop, 2000000);
	assert_file("log", "login\n# ");
	put(s, "x");
	ui_stream_free(s);
	assert_file("log", "login\n# x");
	unlink(path_of("log"));
}

/* A spec that names nothing, and a file that cannot be made, are errors with a sentence. */
static void test_bad_specs(void **state)
{
	static const char *const bad[] = {"", "stdin", "file:", "unix:", "file:/nonexistent/x", "unix:/nonexistent/x"};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		assert_null(ui_stream_open(loop, bad[i], &nobody, &err));
		assert_true(strlen(err.msg) > 10);
	}
	ui_stream_free(ui_stream_open(loop, "none", &nobody, NULL));
}

static int client(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path_of(name));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Output without a client is dropped; a client gets what comes after, and its input comes through; then the next
 * one. */
static void test_unix(void **state)
{
	struct ui_stream *s = open_at("unix", "sock");
	char buf[64] = "";
	int fd;

	ui_stream_attach(s, &sink);
	put(s, "nobody hears\n");
	for (int round = 0; round < 2; round++) {
		fd = client("sock");
		loop_step(loop, 0);
		put(s, "hello\n");
		memset(buf, 0, sizeof(buf));
		assert_int_equal(read(fd, buf, sizeof(buf)), 6);
		assert_string_equal(buf, "hello\n");
		assert_int_equal(write(fd, "ab\x01", 3), 3); /* no escape here */
		loop_step(loop, 0);
		assert_int_equal(ngot, 3);
		ngot = 0;
		close(fd);
		loop_step(loop, 0);
	}
	ui_stream_free(s);
	assert_int_equal(access(path_of("sock"), F_OK), -1);
}

/* Input waits for the device: nothing is lost or read ahead without bound. */
static void test_backpressure(void **state)
{
	struct ui_stream *s = open_at("unix", "sock");
	char big[6000];
	int fd = client("sock");

	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = (char)i;
	loop_step(loop, 0);
	room = 3;
	ui_stream_attach(s, &sink);
	assert_int_equal(write(fd, big, sizeof(big)), sizeof(big));
	loop_step(loop, 0);
	loop_step(loop, 0);
	assert_int_equal(ngot, 3);
	while (ngot < sizeof(big)) {
		room = 100;
		ui_stream_ready(s);
		loop_step(loop, 0);
		assert_true(ngot <= sizeof(big));
	}
	assert_memory_equal(got, big, sizeof(big));
	close(fd);
	ui_stream_free(s);
}

/* A host that does not read: 1 MiB is kept, and there is no room; after a second without reading there is, for what
 * will be lost; all goes on when the host reads. No call waits: the clock of this loop stands still in them. */
static void test_stuck_host(void **state)
{
	struct ui_stream *s = open_at("unix", "sock");
	int fd = client("sock");
	static uint8_t block[65536], back[65536];
	uint64_t total = 0;
	ssize_t n;

	rooms = 0;
	ui_stream_attach(s, &sink);
	loop_step(loop, 0);
	for (int i = 0; i < 64; i++) {
		ui_stream_write(s, block, sizeof(block));
		loop_step(loop, 0);
	}
	assert_int_equal(ui_stream_room(s), 0);
	loop_step(loop, 999 * 1000000ull);
	assert_int_equal(ui_stream_room(s), 0);
	assert_int_equal(rooms, 0);
	loop_step(loop, 1000000);
	assert_int_equal(rooms, 1);
	assert_true(ui_stream_room(s) > 0);
	ui_stream_write(s, block, sizeof(block));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	do {
		while ((n = read(fd, back, sizeof(back))) > 0)
			total += (uint64_t)n;
		loop_step(loop, 0);
	} while (s->len);
	while ((n = read(fd, back, sizeof(back))) > 0)
		total += (uint64_t)n;
	assert_true(total >= 1u << 20 && total < 4u << 20);
	close(fd);
	ui_stream_free(s);
}

/* A host that reads slowly loses nothing if the guest asks for room: it is told when half of the queue is empty. */
static void test_slow_host(void **state)
{
	struct ui_stream *s = open_at("unix", "sock");
	int fd = client("sock");
	static uint8_t block[65536], back[65536];
	uint64_t in = 0, out = 0;
	unsigned waits = 0;
	ssize_t n;

	rooms = 0;
	ui_stream_attach(s, &sink);
	loop_step(loop, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (in < 8u << 20) {
		unsigned there = waits == rooms ? MIN(ui_stream_room(s), (unsigned)sizeof(block)) : 0;

		waits = rooms + !there;
		ui_stream_write(s, block, there);
		in += there;
		while (!there && (n = read(fd, back, sizeof(back))) > 0)
			out += (uint64_t)n;
		loop_step(loop, 900 * 1000000ull);
	}
	assert_in_range(rooms, 4, 16);
	do {
		while ((n = read(fd, back, sizeof(back))) > 0)
			out += (uint64_t)n;
		loop_step(loop, 0);
	} while (s->len || out < in);
	assert_true(out == in);
	close(fd);
	ui_stream_free(s);
}

/* What one call or one turn of the loop writes to the host has a bound, whatever is queued. */
static void test_turns(void **state)
{
	struct ui_stream *s = open_at("file", "log");
	static uint8_t block[1u << 20];
	size_t before;

	ui_stream_write(s, block, sizeof(block));
	do {
		before = s->len;
		loop_step(loop, 0);
		assert_true(before - s->len <= 65536);
	} while (s->len != before);
	assert_int_equal(s->len, 0);
	ui_stream_free(s);
	unlink(path_of("log"));
}

/* A file that is a pipe whose reader sleeps does not hold up the writer. */
static void test_sleeping_fifo(void **state)
{
	struct ui_stream *s;
	static uint8_t block[1u << 20];
	int fd;

	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	fd = open(path_of("fifo"), O_RDONLY | O_NONBLOCK);
	s = open_at("file", "fifo");
	for (int i = 0; i < 2; i++)
		ui_stream_write(s, block, sizeof(block));
	assert_int_equal(ui_stream_room(s), 0);
	close(fd);
	ui_stream_free(s);
	unlink(path_of("fifo"));
}

/* Ctrl-A x quits, Ctrl-A p presses the power button, Ctrl-A Ctrl-A is one Ctrl-A, an unknown command vanishes, also
 * when split between reads. */
static void test_escape(void **state)
{
	struct ui_escape e = {.user = user};
	uint8_t a[] = "ab\x01\x01" "c\x01", b[] = "xd", c[] = "\x01zq", d[] = "\x01p.";

	assert_int_equal(ui_escape_filter(&e, a, 6), 4);
	assert_memory_equal(a, "ab\x01" "c", 4);
	assert_int_equal(quits, 0);
	assert_int_equal(ui_escape_filter(&e, b, 2), 1);
	assert_int_equal(b[0], 'd');
	assert_int_equal(quits, 1);
	assert_int_equal(ui_escape_filter(&e, c, 3), 1);
	assert_int_equal(c[0], 'q');
	assert_int_equal(ui_escape_filter(&e, d, 3), 1);
	assert_int_equal(presses, 1);
}

/* stdio with pipes on both sides: input arrives, its end is no error, output goes on. */
static void test_stdio_pipes(void **state)
{
	int in[2], out[2], old_in = dup(0), old_out = dup(1);
	struct ui_stream *s;
	char buf[64] = "";

	assert_int_equal(pipe(in) | pipe(out), 0);
	fflush(stdout);
	dup2(in[0], 0);
	dup2(out[1], 1);
	s = ui_stream_open(loop, "stdio", &user, NULL);
	dup2(old_in, 0);
	dup2(old_out, 1);
	assert_non_null(s);
	ui_stream_attach(s, &sink);
	assert_int_equal(write(in[1], "hi\x01x", 4), 4);
	close(in[1]);
	close(in[0]);
	for (int i = 0; i < 3; i++)
		loop_step(loop, 0);
	assert_int_equal(ngot, 2);
	assert_int_equal(quits, 1);
	put(s, "out\n");
	assert_int_equal(read(out[0], buf, sizeof(buf)), 4);
	close(out[0]);
	close(out[1]);
	put(s, "nobody\n"); /* EPIPE, not SIGPIPE */
	ui_stream_free(s);
	close(old_in);
	close(old_out);
}

/* stdio on a terminal is raw while open and as before after; the escape works although the guest takes nothing. */
static void test_stdio_tty(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, old_in = dup(0), old_out = dup(1);
	struct ui_stream *s;
	char buf[64] = "";
	struct pollfd p = {.fd = master, .events = POLLIN};

	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	fflush(stdout);
	dup2(slave, 0);
	dup2(slave, 1);
	s = ui_stream_open(loop, "stdio", &user, NULL);
	dup2(old_in, 0);
	dup2(old_out, 1);
	assert_non_null(s);
	room = 0;
	ui_stream_attach(s, &sink);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(master, "\x03zzzzzzz", 8), 8);
		loop_step(loop, 0);
	}
	assert_int_equal(write(master, "\x01x", 2), 2);
	loop_step(loop, 0);
	assert_int_equal(quits, 1);
	assert_int_equal(poll(&p, 1, 0), 0); /* no echo */
	put(s, "out\n");
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(read(master, buf, sizeof(buf)), 5);
	ui_stream_free(s);
	assert_int_equal(write(master, "e", 1), 1);
	assert_int_equal(poll(&p, 1, 1000), 1); /* echo is back */
	close(slave);
	close(master);
	close(old_in);
	close(old_out);
}

/* A pty carries bytes both ways, unchanged. */
static void test_pty(void **state)
{
	struct ui_stream *s;
	char buf[64] = "", path[64];
	int fd;

	log_set_level(LOG_ERROR);
	s = ui_stream_open(loop, "pty", &nobody, NULL);
	assert_non_null(s);
	ui_stream_attach(s, &sink);
	assert_int_equal(ptsname_r(s->out_fd, path, sizeof(path)), 0);
	fd = open(path, O_RDWR | O_NOCTTY);
	put(s, "\x01\r\n");
	assert_int_equal(read(fd, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "\x01\r\n", 3);
	assert_int_equal(write(fd, "\x01x\r", 3), 3);
	loop_step(loop, 0);
	assert_int_equal(ngot, 3);
	close(fd);
	loop_step(loop, 0);
	ui_stream_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_batching, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_specs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backpressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleeping_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escape, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdio_pipes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stdio_tty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pty, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
