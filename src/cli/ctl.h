// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the sub-commands that steer a running machine share */
#ifndef CLI_CTL_H
#define CLI_CTL_H

#include "api/api.h"
#include "api/json.h"

/* Prints the error; the exit status. */
int ctl_complain(const struct err *err);
bool ctl_wants_help(int argc, char **argv);
/* Does the word say where, rather than what? */
bool ctl_is_place(const char *word);
/* The machine there; where NULL: the only one that runs under a name. */
struct api_link *ctl_open(const char *where, struct err *err);
/* One command; takes args. *answer (may be NULL) is the caller's. */
int ctl_call(const char *where, const char *command, struct json *args, struct json **answer, struct err *err);
/* Each name that has a socket, be there a machine or not. */
int ctl_each(void (*visit)(void *ctx, const char *name), void *ctx, struct err *err);

#endif
