// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 screenshot`, `ring3 type`, `ring3 key` and `ring3 suspend`: eyes and hands of scripts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/ctl.h"

#define CHUNK 512 /* characters that are typed at once */

struct sight { const char *where, *word; };

/* [NAME|SOCKET] WORD; false: it is not so, and the usage was told. */
static bool take(int argc, char **argv, const char *usage, struct sight *s, int *status)
{
	*status = 0;
	if (ctl_wants_help(argc, argv)) {
		fputs(usage, stdout);
		return false;
	}
	*s = (struct sight){ argc == 2 ? argv[0] : NULL, argc ? argv[argc - 1] : NULL };
	if (argc == 1 || argc == 2)
		return true;
	fprintf(stderr, "ring3: %s is given; %.*s\n", argc ? "too much" : "too little", (int)strcspn(usage, "\n"), usage);
	*status = EXIT_BAD_INPUT;
	return false;
}

/* The machine's folder may be another. */
static char *absolute(const char *file)
{
	char here[4096], *path;

	if (*file == '/' || !getcwd(here, sizeof(here)) || asprintf(&path, "%s/%s", here, file) < 0)
		return xstrdup(file);
	return path;
}

int cmd_screenshot(int argc, char **argv)
{
	struct err err = { .code = 0 };
	struct json *args;
	struct sight s;
	size_t len;
	char *path;
	int status;

	if (!take(argc, argv, "usage: ring3 screenshot [NAME|SOCKET] FILE.png\n\n"
	          "Writes the machine's screen to FILE: a PNG, or a PPM if its name ends so.\n", &s, &status))
		return status;
	len = strlen(s.word);
	path = absolute(s.word);
	args = js_set(js_object(), "filename", js_str(path));
	js_set(args, "format", js_str(len > 4 && !strcmp(s.word + len - 4, ".ppm") ? "ppm" : "png"));
	free(path);
	return ctl_call(s.where, "screendump", args, NULL, &err) ? ctl_complain(&err) : 0;
}

static int call_void(struct api_link *l, const char *command, struct json *args, struct err *err)
{
	struct json *r = api_link_call(l, command, args, err);

	js_free(r);
	return r ? 0 : -EPROTO;
}

/* What was running goes on if it cannot be saved. */
static int suspend(struct api_link *l, const char *path, struct err *err)
{
	struct json *status = api_link_call(l, "query-status", NULL, err);
	bool ran = !strcmp(js_get_str(status, "status", ""), "running");
	struct err why = { .code = 0 };

	js_free(status);
	if (!status || call_void(l, "stop", NULL, err))
		return -EPROTO;
	if (!call_void(l, "x-ring3-save", js_set(js_object(), "filename", js_str(path)), err))
		return call_void(l, "quit", NULL, err);
	if (ran && call_void(l, "cont", NULL, &why))
		fprintf(stderr, "ring3: the machine is still paused: %s\n", why.msg);
	return -EPROTO;
}

int cmd_suspend(int argc, char **argv)
{
	struct err err = { .code = 0 };
	struct api_link *l;
	struct sight s;
	char *path;
	int status;

	if (!take(argc, argv, "usage: ring3 suspend [NAME|SOCKET] FILE\n\n"
	          "Writes the running machine to FILE and ends it. `ring3 run` with the options it had and --load FILE\n"
	          "goes on with the guest's next instruction. Its disks stay where they are, and must not change meanwhile.\n",
	          &s, &status))
		return status;
	l = ctl_open(s.where, &err);
	if (!l)
		return ctl_complain(&err);
	path = absolute(s.word);
	status = suspend(l, path, &err) ? ctl_complain(&err) : 0;
	free(path);
	api_link_close(l);
	return status;
}

/* Pieces, each waited for: the machine keeps no more. */
static int type_text(struct api_link *l, const char *text, struct err *err)
{
	while (*text) {
		char piece[CHUNK + 1];
		int n = snprintf(piece, sizeof(piece), "%.*s", CHUNK, text);
		struct json *r = api_link_call(l, "x-ring3-type", js_set(js_object(), "text", js_str(piece)), err);
		struct json *o = js_set(js_object(), "ms", r);
		int64_t ms = js_get_int(o, "ms", 0);

		js_free(o);
		if (!r)
			return -EPROTO;
		text += n;
		if (*text)
			usleep((useconds_t)MIN(ms, 60000) * 1000);
	}
	return 0;
}

int cmd_type(int argc, char **argv)
{
	struct err err = { .code = 0 };
	struct api_link *l;
	struct sight s;
	int status, rc;

	if (!take(argc, argv, "usage: ring3 type [NAME|SOCKET] \"TEXT\"\n\n"
	          "Types TEXT on the machine's keyboard, which the guest takes for a US one; \\n in a shell's $'...' is Enter.\n",
	          &s, &status))
		return status;
	l = ctl_open(s.where, &err);
	if (!l)
		return ctl_complain(&err);
	rc = type_text(l, s.word, &err);
	api_link_close(l);
	return rc ? ctl_complain(&err) : 0;
}

static struct json *keys(const char *text)
{
	struct json *all = js_array();
	char *copy = xstrdup(text), *rest = copy, *name;

	while ((name = strsep(&rest, "-")))
		js_add(all, js_set(js_set(js_object(), "type", js_str("qcode")), "data", js_str(name)));
	free(copy);
	return all;
}

int cmd_key(int argc, char **argv)
{
	struct err err = { .code = 0 };
	struct sight s;
	int status;

	if (!take(argc, argv, "usage: ring3 key [NAME|SOCKET] KEY[-KEY]...\n\n"
	          "Presses keys together, like ctrl-alt-delete, alt-f2 or ret. Names: QKeyCode in docs/control-commands.md.\n",
	          &s, &status))
		return status;
	if (ctl_call(s.where, "send-key", js_set(js_object(), "keys", keys(s.word)), NULL, &err))
		return ctl_complain(&err);
	return 0;
}
