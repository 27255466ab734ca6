// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the control interface of a machine: sockets that speak the QEMU Machine Protocol, and who talks to them
 *
 * The server runs in the machine's thread (board/panel.h): it waits for nothing, does little at a time, and bounds what
 * a client may send, ask for and leave unread.
 */
#ifndef API_API_H
#define API_API_H

#include "board/panel.h"

#define API_VERSION "0.1.0"
#define API_SOCKETS_MAX 4
#define API_NAME_MAX 63
#define API_PATH_MAX 108 /* sun_path */

struct api;
struct json;

struct api_config {
	const char *name; /* NULL: none; else it listens in the run-time folder */
	const char *listen[API_SOCKETS_MAX]; /* "unix:PATH" or "tcp:127.0.0.1:PORT" */
	unsigned nlisten;
};
/* NULL: the user's mistake, or the host's. With nothing to listen on there is nothing to be had, and NULL is not
 * returned. */
struct api *api_open(struct pc *pc, const struct api_config *cfg, struct err *err);
/* After pc_run. What is still queued for clients is sent, if they take it at once. */
void api_close(struct api *api);

/* place.c: where named machines listen */
bool api_name_ok(const char *name);
/* The user's run-time folder, made if need be, checked to be his alone. */
int api_folder(char buf[API_PATH_MAX], struct err *err);
int api_socket_path(const char *name, char buf[API_PATH_MAX], struct err *err);
/* Is there a machine of that name, or the remains of one? */
bool api_name_used(const char *name);

/* What commands there are: names and arguments, as commands.json has them. */
enum api_kind { API_STR, API_INT, API_NUMBER, API_BOOL, API_ARRAY, API_OBJECT, API_ANY };
struct api_arg {
	const char *name;
	enum api_kind kind;
	bool optional;
	const char *const *values; /* an enumeration: what it may be, up to NULL; of an array: NULL */
};
struct api_call;
struct api_command {
	const char *name, *doc;
	/* The reply, or NULL when it said what went wrong. */
	struct json *(*run)(struct api_call *call, struct json *args);
	const struct api_arg *args;
	unsigned nargs;
};
extern const struct api_command api_commands[];
extern const unsigned api_ncommands;
const struct api_command *api_command_find(const char *name);

/* line.c: the other end, for tools. where: a machine's name, or a socket: a path, "unix:PATH", "tcp:127.0.0.1:PORT". */
struct api_link;
struct api_link *api_link_open(const char *where, struct err *err);
void api_link_close(struct api_link *link);
/* Takes args (may be NULL). The value returned, or NULL: the link broke (-EIO) or the machine refused (-EPROTO). */
struct json *api_link_call(struct api_link *link, const char *command, struct json *args, struct err *err);

#endif
