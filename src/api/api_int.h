// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the inside of the control interface: clients, calls, and what commands share */
#ifndef API_API_INT_H
#define API_API_INT_H

#include "api/api.h"
#include "api/json.h"

#define API_CLIENTS 16
#define API_IN_MAX KIB(64)   /* one message */
#define API_OUT_MAX MIB(2)   /* unread by the client: then it is dropped */
#define API_OUT_BUSY KIB(64) /* so much unread, and no more of its commands are taken */
#define API_PASSED_MAX 4     /* descriptors that came and were not taken yet */
#define API_FDS_MAX 32       /* kept by getfd and add-fd together */
#define API_FILE_MAX 4096

struct api_client {
	struct api *api;
	int fd;
	bool ready;        /* capabilities negotiated */
	bool dead;         /* to be closed once its output is sent */
	bool broken;       /* to be closed at once */
	bool watch_out;
	char *in;          /* the message being collected, API_IN_MAX bytes */
	size_t nin;
	unsigned depth;
	bool quoted, escaped;
	char *out;
	size_t nout, cap, sent;
	int passed[API_PASSED_MAX];
	unsigned npassed;
};

struct api_fd {
	int fd;            /* -1: free */
	char *name;        /* by getfd; NULL: by add-fd */
	char *opaque;
	int64_t set;
};

struct api {
	struct pc *pc;
	char *name;
	int epoll;
	int listener[API_SOCKETS_MAX + 1];
	char *unlink_at[API_SOCKETS_MAX + 1];
	unsigned nlisteners;
	struct api_client *client[API_CLIENTS];
	struct api_fd fds[API_FDS_MAX];
	uint8_t buttons;   /* of the mouse, as input-send-event left them */
	struct typist *typist;
};

struct api_call {
	struct api *api;
	struct pc *pc;
	struct api_client *client;
	const char *class; /* of the error; NULL: GenericError */
	struct err err;
};
/* Both return NULL, for a command's return. */
struct json *api_fail(struct api_call *call, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct json *api_fail_class(struct api_call *call, const char *class, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* qmp.c. A message of the client; the greeting; an event to all who have negotiated (data is taken, may be NULL). */
void qmp_message(struct api_client *c, const char *text, size_t len);
void qmp_greet(struct api_client *c);
void qmp_event(struct api *api, const char *name, struct json *data);
/* server.c. A client on a socket that does not block; it is closed here if there are too many. */
void api_add_client(struct api *api, int fd);
/* Takes v. */
void api_send(struct api_client *c, struct json *v);

extern const char api_schema[]; /* query-qmp-schema */
extern const char *const api_events[]; /* up to NULL */

/* typist.c: keys in the guest's time. Machine's thread. */
struct typist *typist_new(struct pc *pc);
void typist_free(struct typist *t);
/* Queue set 1 codes, and wait for ms before what is queued next. False: no room. */
bool typist_press(struct typist *t, const uint8_t *codes, unsigned n, unsigned ms);
/* Set 1 code of a key: as in qcode.def; -1: there is no such key. */
#define KEY_PAUSE 0x10000
int key_by_name(const char *name);
/* Codes for pressing or releasing it. */
unsigned key_codes(int key, bool down, uint8_t codes[8]);
/* cmd_input.c: press the keys, hold them for ms, release them in reverse. False: no room. */
bool api_press_keys(struct api *api, const int *key, unsigned n, unsigned ms);

/* shot.c: a picture as bytes of a file, to be freed; NULL: no memory */
uint8_t *shot_ppm(const uint8_t *rgb, unsigned width, unsigned height, size_t *len);
uint8_t *shot_png(const uint8_t *rgb, unsigned width, unsigned height, size_t *len);
/* What screendump does. */
int shot_save(struct api *api, const char *file, bool png, struct err *err);

/* cmd_fd.c: "/dev/fdset/N" as a name that can be opened, others as they are; buf takes it. */
const char *api_file(struct api *api, const char *name, char buf[64]);
void api_fds_close(struct api *api);
/* A regular file, made anew; the descriptor. */
int api_open_file(struct api *api, const char *name, struct err *err);
int api_write_all(int fd, const void *data, size_t len);
/* Both at once. */
int api_write_file(struct api *api, const char *name, const void *data, size_t len, struct err *err);

/* hmp.c: a command line of the human monitor; text, to be freed */
char *hmp_run(struct api *api, const char *line, unsigned cpu);
/* Text that grows, up to a limit. */
struct text {
	char *s;
	size_t len, cap;
};
void text_add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* hmp_info.c, hmp_cpu.c */
void hmp_info(struct api *api, const char *what, unsigned cpu, struct text *t);
void hmp_registers(struct api *api, unsigned cpu, struct text *t);
void hmp_pages(struct api *api, unsigned cpu, bool ranges, struct text *t);
/* cmd_state.c: a block of declared state as JSON; NULL: no such block. */
struct json *state_json(struct api *api, const char *name);
/* Linear memory as the CPU sees it for reading; bytes read. */
size_t api_peek(struct pc *pc, unsigned cpu, uint64_t gla, void *buf, size_t len);

#endif
