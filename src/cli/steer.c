// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 ps`, and the sub-commands that are one command to a machine: stop, pause, resume, reset, powerdown
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/ctl.h"

static const struct verb {
	const char *name, *command, *what;
} verbs[] = {
	{ "stop", "quit", "Ends the machine at once; its guest is not asked (`ring3 powerdown` asks)." },
	{ "pause", "stop", "Pauses the machine: its guest, clocks included, stands still." },
	{ "resume", "cont", "Lets a paused machine go on." },
	{ "reset", "system_reset", "Resets the machine, as its reset button would." },
	{ "powerdown", "system_powerdown", "Presses the machine's power button, at which a guest usually shuts down." },
};

static int steer(const struct verb *v, int argc, char **argv)
{
	struct err err = { .code = 0 };

	if (ctl_wants_help(argc, argv)) {
		printf("usage: ring3 %s [NAME|SOCKET]\n\n%s\nWithout NAME there must be one named machine.\n", v->name,
		       v->what);
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "ring3: unexpected argument '%s': ring3 %s [NAME|SOCKET]\n", argv[1], v->name);
		return EXIT_BAD_INPUT;
	}
	return ctl_call(argc ? argv[0] : NULL, v->command, NULL, NULL, &err) ? ctl_complain(&err) : 0;
}

int cmd_stop(int argc, char **argv)
{
	return steer(&verbs[0], argc, argv);
}

int cmd_pause(int argc, char **argv)
{
	return steer(&verbs[1], argc, argv);
}

int cmd_resume(int argc, char **argv)
{
	return steer(&verbs[2], argc, argv);
}

int cmd_reset(int argc, char **argv)
{
	return steer(&verbs[3], argc, argv);
}

int cmd_powerdown(int argc, char **argv)
{
	return steer(&verbs[4], argc, argv);
}

/* ps */

static void show(void *ctx, const char *name)
{
	struct json *status = NULL, *engine = NULL;
	struct err err;

	if (ctl_call(name, "query-status", NULL, &status, &err) || ctl_call(name, "x-ring3-engine", NULL, &engine, &err))
		printf("%-24s %8s %-10s %s\n", name, "-", "dead", err.msg);
	else
		printf("%-24s %8lld %-10s %lld MiB, %s\n", name, (long long)js_get_int(engine, "pid", 0),
		       js_get_str(status, "status", "?"), (long long)js_get_int(engine, "memory", 0) >> 20,
		       js_get_str(engine, "cpu", "?"));
	js_free(status);
	js_free(engine);
}

int cmd_ps(int argc, char **argv)
{
	struct err err;

	if (ctl_wants_help(argc, argv)) {
		puts("usage: ring3 ps\n\nLists your machines that were started with --name: name, process, state.");
		return 0;
	}
	if (argc) {
		fprintf(stderr, "ring3: unexpected argument '%s': ring3 ps takes none\n", argv[0]);
		return EXIT_BAD_INPUT;
	}
	printf("%-24s %8s %-10s %s\n", "NAME", "PID", "STATE", "MACHINE");
	return ctl_each(show, NULL, &err) ? ctl_complain(&err) : 0;
}
