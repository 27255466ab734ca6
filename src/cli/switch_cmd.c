// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 switch`: a switch that stays, or the process of one that a machine has made
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const char usage[] =
	"usage: ring3 switch NAME\n"
	"\n"
	"Serves the switch NAME until it is interrupted, also while no machine is on it.\n"
	"Machines join with `ring3 run --net switch:NAME`, which makes one itself if there\n"
	"is none, that ends with the last machine.\n";

int cmd_switch(int argc, char **argv)
{
	bool inherited = argc > 0 && !strcmp(argv[0], "--inherited");
	struct err err;

	if (argc == 1 && !strcmp(argv[0], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 1 + inherited || argv[inherited][0] == '-') {
		fputs("ring3: switch takes one name: ring3 switch NAME\n", stderr);
		return EXIT_BAD_INPUT;
	}
	if (!net_switch_main(argv[inherited], inherited, &err))
		return 0;
	fprintf(stderr, "ring3: %s\n", err.msg);
	return err_is_host(&err) ? EXIT_HOST : EXIT_BAD_INPUT;
}
