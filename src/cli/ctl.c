// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 ctl`: a command to a running machine's control socket, its arguments as key=value
 *
 * The table of commands is the server's own, so that a value becomes what the command wants, and what is unknown is
 * said before anything is sent.
 */
#include "cli/ctl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const char usage[] =
	"usage: ring3 ctl [NAME|SOCKET] COMMAND [KEY=VALUE]...\n"
	"\n"
	"Sends a command to a running machine and prints its answer. NAME is that of `ring3 run --name`,\n"
	"SOCKET a path, unix:PATH or tcp:127.0.0.1:PORT; without either there must be one named machine.\n"
	"A list or object is given as JSON.\n"
	"\n"
	"Examples:\n"
	"  ring3 ctl web query-status\n"
	"  ring3 ctl web blockdev-change-medium device=ide1-cd0 filename=/srv/second.iso\n"
	"  ring3 ctl web human-monitor-command command-line='info registers'\n"
	"  ring3 ctl ./vm.sock send-key keys='[{\"type\":\"qcode\",\"data\":\"ret\"}]'\n"
	"  complete -W \"$(ring3 ctl --commands)\" ring3       completion for bash\n"
	"\n"
	"Commands (docs/control-commands.md):\n";

int ctl_complain(const struct err *err)
{
	fprintf(stderr, "ring3: %s\n", err->msg);
	return err_is_host(err) ? EXIT_HOST : EXIT_BAD_INPUT;
}

bool ctl_wants_help(int argc, char **argv)
{
	return argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"));
}

/* Name of a machine out of that of its socket; false: it is none. */
static bool machine_name(const char *file, char name[API_NAME_MAX + 1])
{
	const char *dot = strrchr(file, '.');
	size_t n = dot ? (size_t)(dot - file) : 0;

	if (!dot || strcmp(dot, ".sock") || n > API_NAME_MAX)
		return false;
	memcpy(name, file, n);
	name[n] = 0;
	return api_name_ok(name);
}

int ctl_each(void (*visit)(void *ctx, const char *name), void *ctx, struct err *err)
{
	char folder[API_PATH_MAX], name[API_NAME_MAX + 1];
	struct dirent *e;
	DIR *dir;

	if (api_folder(folder, err))
		return -EINVAL;
	dir = opendir(folder);
	if (!dir)
		return err_set(err, -errno, "the run-time folder %s cannot be read: %s", folder, strerror(errno));
	while ((e = readdir(dir)))
		if (machine_name(e->d_name, name))
			visit(ctx, name);
	closedir(dir);
	return 0;
}

struct only { char name[API_NAME_MAX + 1]; unsigned n; };

static void note(void *ctx, const char *name)
{
	struct only *only = ctx;
	struct api_link *l = api_link_open(name, NULL);

	if (!l)
		return; /* what a machine that was killed has left */
	api_link_close(l);
	snprintf(only->name, sizeof(only->name), "%s", name);
	only->n++;
}

struct api_link *ctl_open(const char *where, struct err *err)
{
	struct only only = { .n = 0 };

	if (where)
		return api_link_open(where, err);
	if (ctl_each(note, &only, err))
		return NULL;
	if (only.n != 1) {
		err_set(err, -EINVAL, only.n ? "%u machines run: give the NAME of one (`ring3 ps`)" :
		        "no named machine runs (%u): give a SOCKET, or start one with `ring3 run --name NAME`", only.n);
		return NULL;
	}
	return api_link_open(only.name, err);
}

bool ctl_is_place(const char *word)
{
	return strchr(word, '/') || !strncmp(word, "unix:", 5) || !strncmp(word, "tcp:", 4) ||
	       (api_name_ok(word) && api_name_used(word));
}

/* Arguments */

static const struct api_arg *find_arg(const struct api_command *cmd, const char *name, size_t n)
{
	for (unsigned i = 0; i < cmd->nargs; i++)
		if (strlen(cmd->args[i].name) == n && !strncmp(cmd->args[i].name, name, n))
			return &cmd->args[i];
	return NULL;
}

static struct json *value(const struct api_arg *arg, const char *text, struct err *err)
{
	struct err why;
	struct json *v;
	char *end;
	long long n;

	switch (arg->kind) {
	case API_STR:
		return js_str(text);
	case API_INT:
		errno = 0;
		n = strtoll(text, &end, 0);
		if (errno == ERANGE && *text != '-') { /* an address of the guest's kernel */
			errno = 0;
			n = (long long)strtoull(text, &end, 0);
		}
		if (end != text && !*end && !errno)
			return js_int(n);
		err_set(err, -EINVAL, "%s=%s: a whole number is expected", arg->name, text);
		return NULL;
	case API_BOOL:
		if (!strcmp(text, "true") || !strcmp(text, "on") || !strcmp(text, "yes"))
			return js_bool(true);
		if (!strcmp(text, "false") || !strcmp(text, "off") || !strcmp(text, "no"))
			return js_bool(false);
		err_set(err, -EINVAL, "%s=%s: true or false is expected", arg->name, text);
		return NULL;
	default:
		v = js_parse(text, strlen(text), &why);
		if (!v)
			err_set(err, -EINVAL, "%s: %s", arg->name, why.msg);
		return v;
	}
}

static int add_arg(const struct api_command *cmd, struct json *args, const char *word, struct err *err)
{
	size_t n = strcspn(word, "=");
	const struct api_arg *arg = find_arg(cmd, word, n);
	struct json *v;

	if (word[n] != '=')
		return err_set(err, -EINVAL, "'%s' is no KEY=VALUE", word);
	if (!arg)
		return err_set(err, -EINVAL, "%s takes no '%.*s': see `ring3 ctl --help`", cmd->name, (int)MIN(n, 64u), word);
	v = value(arg, word + n + 1, err);
	if (!v)
		return -EINVAL;
	js_set(args, arg->name, v);
	return 0;
}

static void print_answer(struct json *r)
{
	const char *raw = js_string(r);
	char *text = js_print(r, true);

	if (raw)
		printf("%s%s", raw, *raw && raw[strlen(raw) - 1] == '\n' ? "" : "\n");
	else if (js_kind(r) != JS_OBJECT || js_next_key(r, NULL))
		puts(text ? text : "?");
	free(text);
}

int ctl_call(const char *where, const char *command, struct json *args, struct json **answer, struct err *err)
{
	struct api_link *l = ctl_open(where, err);
	struct json *r;
	int code;

	if (!l) {
		js_free(args);
		return err->code ? err->code : -EIO;
	}
	r = api_link_call(l, command, args, err);
	code = err->code;
	api_link_close(l);
	if (!r)
		return code ? code : -EPROTO;
	if (answer)
		*answer = r;
	else
		js_free(r);
	return 0;
}

static int run(const char *where, const struct api_command *cmd, char **argv, int argc)
{
	struct json *args = js_object(), *answer = NULL;
	struct err err = { .code = 0 };

	for (int i = 0; i < argc; i++)
		if (add_arg(cmd, args, argv[i], &err)) {
			js_free(args);
			return ctl_complain(&err);
		}
	if (ctl_call(where, cmd->name, args, &answer, &err))
		return ctl_complain(&err);
	print_answer(answer);
	js_free(answer);
	return 0;
}

static void print_commands(bool docs)
{
	for (unsigned i = 0; i < api_ncommands; i++) {
		const struct api_command *c = &api_commands[i];

		printf(docs ? "  %s" : "%s", c->name);
		for (unsigned k = 0; k < c->nargs && docs; k++)
			printf(c->args[k].optional ? " [%s=]" : " %s=", c->args[k].name);
		printf(docs ? "\n      %s\n" : "\n", c->doc);
	}
}

int cmd_ctl(int argc, char **argv)
{
	const char *where = NULL;
	const struct api_command *cmd;

	if (ctl_wants_help(argc, argv)) {
		fputs(usage, stdout);
		print_commands(true);
		return 0;
	}
	if (argc == 1 && !strcmp(argv[0], "--commands")) {
		print_commands(false);
		return 0;
	}
	if (argc && ctl_is_place(argv[0])) {
		where = *argv++;
		argc--;
	}
	if (!argc) {
		fputs("ring3: a command is missing: ring3 ctl [NAME|SOCKET] COMMAND [KEY=VALUE]...\n", stderr);
		return EXIT_BAD_INPUT;
	}
	cmd = api_command_find(argv[0]);
	if (!cmd) {
		fprintf(stderr, "ring3: no command and no running machine is called '%s': see `ring3 ctl --help`, `ring3 ps`\n",
		        argv[0]);
		return EXIT_BAD_INPUT;
	}
	return run(where, cmd, argv + 1, argc - 1);
}
