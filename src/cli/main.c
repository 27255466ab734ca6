// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the program's entry: finds the sub-command */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const char help[] =
	"ring3 runs x86 operating systems, unmodified, in one ordinary process: by binary\n"
	"translation, without /dev/kvm, without root.\n"
	"\n"
	"usage: ring3 COMMAND [options]\n"
	"\n"
	"  run      run a machine; `ring3 run --help` tells its options, with examples\n"
	"  disk     make, convert, check and change disk images; see `ring3 disk --help`\n"
	"  switch   serve an Ethernet switch that machines join, until interrupted\n"
	"  ctl      send a command to a running machine; ps lists those with a name\n"
	"  stop, pause, resume, reset, powerdown, suspend, screenshot, type, key, console\n"
	"           steer one: each has --help\n"
	"  doctor   say which engines this host allows, and what speed to expect\n"
	"  version  print the version\n"
	"  help     print this\n"
	"\n"
	"To begin with:\n"
	"  ring3 doctor\n"
	"  ring3 run --kernel /boot/vmlinuz-... --initrd initrd.img --append console=ttyS0\n";

static int cmd_help(int argc, char **argv)
{
	fputs(help, stdout);
	return 0;
}

static int cmd_version(int argc, char **argv)
{
	puts("ring3 " API_VERSION);
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ctl", cmd_ctl }, { "ps", cmd_ps }, { "stop", cmd_stop }, { "pause", cmd_pause }, { "resume", cmd_resume },
	{ "reset", cmd_reset }, { "powerdown", cmd_powerdown }, { "suspend", cmd_suspend },
	{ "screenshot", cmd_screenshot }, { "type", cmd_type }, { "key", cmd_key }, { "console", cmd_console },
	{ "run", cmd_run }, { "disk", cmd_disk }, { "doctor", cmd_doctor }, { "switch", cmd_switch }, { "help", cmd_help },
	{ "--help", cmd_help }, { "-h", cmd_help }, { "version", cmd_version }, { "--version", cmd_version },
};

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("ring3: a command is missing: see `ring3 help`\n", stderr);
		return EXIT_BAD_INPUT;
	}
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "ring3: unknown command '%s': see `ring3 help`\n", argv[1]);
	return EXIT_BAD_INPUT;
}
