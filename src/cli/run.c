// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 run`: make the machine the options describe, run it, and say by the exit status how it ended
 *
 * SIGINT, SIGTERM and SIGHUP end the machine in order: vCPU joined, disks flushed, terminal restored.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const char usage[] =
	"usage: ring3 run [options]\n"
	"\n"
	"Runs an unmodified x86 operating system in this process: no /dev/kvm, no root.\n"
	"\n"
	"Examples:\n"
	"  ring3 run --kernel vmlinuz --initrd initrd.img --append console=ttyS0\n"
	"                        a Linux kernel, its console in this terminal\n"
	"  ring3 run --disk debian.img --memory 2G\n"
	"                        boot a disk by its own boot loader\n"
	"  ring3 run --cdrom rescue.iso --display text\n"
	"                        boot a CD, its text screen in this terminal\n"
	"  ring3 run --disk debian.img,interface=virtio,snapshot --no-reboot\n"
	"                        try something and leave the image as it is\n"
	"\n"
	"Options:\n";

static const char statuses[] =
	"\n"
	"Exit status:\n"
	"  0  the guest powered itself off\n"
	"  1  the host lacks something, or ring3 failed\n"
	"  2  bad input: an option, a file\n"
	"  3  the guest reset itself (with --no-reboot)\n"
	"  4  the guest triple-faulted (with --no-reboot)\n"
	"  5  --timeout expired\n"
	"  6  ended by the user: Ctrl-A x, SIGINT, SIGTERM, SIGHUP\n"
	"  7  the guest cannot go on: every reset ends in a triple fault\n"
	"  (v << 1) | 1 if the guest wrote v to the --debug-exit port\n";

static int complain(const struct err *err)
{
	fprintf(stderr, "ring3: %s\n", err->msg);
	return err_is_host(err) ? EXIT_HOST : EXIT_BAD_INPUT;
}

static void tell(const char *text)
{
	fputs(text, stderr);
}

/* After the terminal is the user's again. */
static int report(const struct pc_result *r)
{
	switch (r->end) {
	case PC_POWEROFF:
		return EXIT_POWEROFF;
	case PC_RESET:
		return EXIT_GUEST_RESET;
	case PC_TRIPLE_FAULT:
		fprintf(stderr, "ring3: the guest triple-faulted\n%s\n", r->state);
		return EXIT_TRIPLE_FAULT;
	case PC_TIMEOUT:
		fprintf(stderr, "ring3: --timeout expired\n");
		log_at(LOG_INFO, "%s", r->state);
		return EXIT_TIMEOUT;
	case PC_QUIT:
	case PC_SIGNALLED:
		return EXIT_QUIT;
	case PC_DEBUG_EXIT:
		return (int)(r->code & 0xff);
	case PC_STUCK:
		fprintf(stderr, "ring3: the guest cannot go on: every reset ends in a triple fault\n%s\n", r->state);
		return EXIT_STUCK;
	case PC_RUNNING:
		break;
	}
	return EXIT_HOST;
}

static int run_machine(const struct pc_config *cfg, const struct api_config *steered)
{
	struct pc_result result;
	struct err err;
	struct pc *pc = pc_new(cfg, &err);
	struct api *api = pc ? api_open(pc, steered, &err) : NULL;
	int ret;

	if (!api) {
		pc_free(pc);
		return complain(&err);
	}
	pc_describe(pc);
	ret = pc_run(pc, &result, &err);
	api_close(api);
	pc_free(pc);
	tell(result.stats);
	return ret ? complain(&err) : report(&result);
}

static int run_with_signals(struct pc_config *cfg, const struct api_config *steered)
{
	struct run_signals signals;
	struct err err;
	int status;

	if (signals_start(&signals, cfg->stats, &err))
		return complain(&err);
	cfg->quit_fd = signals.quit_fd;
	cfg->stats_fd = signals.stats_fd;
	cfg->tell = tell;
	status = run_machine(cfg, steered);
	signals_stop(&signals);
	return status;
}

int cmd_run(int argc, char **argv)
{
	struct run_options o;
	struct err err;
	int status;

	if (options_parse(&o, argc, argv, &err)) {
		status = complain(&err);
	} else if (o.help) {
		fputs(usage, stdout);
		options_print_help();
		fputs(statuses, stdout);
		status = 0;
	} else {
		log_set_level(o.verbose > 1 ? LOG_DEBUG : o.verbose ? LOG_INFO : LOG_WARN);
		status = run_with_signals(&o.pc, &o.api);
	}
	options_free(&o);
	return status;
}
