// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the sub-commands and the exit statuses of the program */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <pthread.h>
#include <signal.h>

#include "api/api.h"
#include "board/pc.h"

/* Documented in docs/exit-status.md and in `ring3 run --help`. */
enum exit_status {
	EXIT_POWEROFF = 0,
	EXIT_HOST = 1,
	EXIT_BAD_INPUT = 2,
	EXIT_GUEST_RESET = 3,
	EXIT_TRIPLE_FAULT = 4,
	EXIT_TIMEOUT = 5,
	EXIT_QUIT = 6,
	EXIT_STUCK = 7,
};

/* Each takes what follows its name and returns the exit status. */
int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_switch(int argc, char **argv);
/* Those that talk to a running machine: ctl.c, steer.c, hands.c, console.c. */
int cmd_ctl(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_reset(int argc, char **argv);
int cmd_powerdown(int argc, char **argv);
int cmd_screenshot(int argc, char **argv);
int cmd_suspend(int argc, char **argv);
int cmd_type(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_disk(int argc, char **argv);
int cmd_console(int argc, char **argv);

/* options.c: the options of `ring3 run`. */
struct run_options {
	struct pc_config pc;
	struct api_config api;
	unsigned verbose;
	bool help;
	bool serial_given;
	uint64_t seen; /* one bit for each option of options.def */
	char **owned;  /* copies of split arguments, freed by options_free() */
	unsigned nowned;
};
int options_parse(struct run_options *o, int argc, char **argv, struct err *err);
void options_free(struct run_options *o);
void options_print_help(void);
/* options_net.c: the argument of --net, which is changed and has to stay. */
int options_net(struct run_options *o, char *spec, struct err *err);
/* options_pin.c: the argument of --pin. */
int options_pin(struct run_options *o, const char *arg, struct err *err);
/* "64K", "1G": a number with a unit, in bytes. */
int options_parse_size(const char *text, uint64_t *size, struct err *err);

/* signals.c: while started, signals that end a machine make quit_fd readable, and with stats SIGUSR1, which asks for
 * the report, stats_fd; without, it does what it does to any process. Threads made meanwhile have them blocked too. */
struct run_signals {
	pthread_t thread;
	sigset_t set;
	int quit_fd;
	int stats_fd;
	bool stopping;
};
int signals_start(struct run_signals *s, bool stats, struct err *err);
void signals_stop(struct run_signals *s);

#endif
