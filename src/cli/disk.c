// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 disk`: finds the sub-command, and what they share: options, errors, progress on a terminal
 */
#include "cli/disk.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
	"ring3 disk makes, looks at and changes disk images. None of it needs root.\n"
	"\n"
	"usage: ring3 disk COMMAND [options] FILE...\n"
	"\n"
	"  create FILE SIZE          a new, empty image; the ending of FILE says its format, or --format:\n"
	"                            raw, qcow2, vmdk, vdi, vhd\n"
	"    --backing FILE          what shows where nothing was written yet (qcow2, vmdk); SIZE may then be left out\n"
	"    --backing-format F      its format; found by content if not given\n"
	"    --cluster SIZE          qcow2: 512 bytes to 2M (default 64K); blocks of vdi (1M) and vhd (2M)\n"
	"    --subformat NAME        vmdk: monolithicSparse, monolithicFlat, twoGbMaxExtentSparse, twoGbMaxExtentFlat,\n"
	"                            streamOptimized (by convert); vdi, vhd: dynamic, fixed\n"
	"    --version 2|3, --refcount-bits N, --lazy-refcounts, --compression zlib|zstd      qcow2\n"
	"  convert FROM TO           copy to another format; holes stay holes. --from F, --to F or TO's ending, --compress,\n"
	"                            and the options of create\n"
	"  info FILE                 what it is; --json\n"
	"  map FILE                  which parts hold data, and where; --json\n"
	"  check FILE                are its tables sound? --repair, --json\n"
	"  compare A B               do guests see the same in both? Sizes may differ by zeros at the end\n"
	"  resize FILE [+]SIZE       --shrink if that is what you mean: what lies beyond is lost\n"
	"  snapshot list|create|apply|delete FILE [NAME]     inside a qcow2 image; list: --json\n"
	"  commit FILE               write what FILE holds into its backing file, and empty FILE (--keep: not)\n"
	"  rebase FILE --backing B   let B show instead of the old backing file; what differs is copied into FILE.\n"
	"                            --backing none: FILE then holds all. --unsafe: only change the name in FILE\n"
	"\n"
	"A format is found by content. --format says it where content must not decide: an image that a guest may write\n"
	"to as raw could else be made to look like another. Sizes have a unit: 512M, 10G.\n"
	"\n"
	"exit status: 0 done; 1 the host could not; 2 bad input; check: 3 damaged, 4 leaks only; compare: 3 different\n"
	"\n"
	"To begin with:\n"
	"  ring3 disk create disk.qcow2 20G\n"
	"  ring3 disk convert appliance.vmdk disk.qcow2\n"
	"  ring3 disk create --backing debian.qcow2 try.qcow2     # debian.qcow2 stays as it is\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"create", disk_create}, {"convert", disk_convert}, {"info", disk_info}, {"map", disk_map}, {"check", disk_check},
	{"compare", disk_compare}, {"resize", disk_resize}, {"snapshot", disk_snapshot}, {"commit", disk_commit},
	{"rebase", disk_rebase},
};

int cmd_disk(int argc, char **argv)
{
	static const char names[] = "create, convert, info, map, check, compare, resize, snapshot, commit and rebase";

	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") || (!i && !strcmp(argv[i], "help"))) {
			fputs(help, stdout);
			return 0;
		}
	if (!argc) {
		fprintf(stderr, "ring3 disk: a command is missing: %s; `ring3 disk --help` explains them\n", names);
		return EXIT_BAD_INPUT;
	}
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "ring3 disk: unknown command '%s': %s are known\n", argv[0], names);
	return EXIT_BAD_INPUT;
}

static int take_option(char *arg, int argc, char **argv, int *i, const struct disk_opt *opt, unsigned nopt,
                       struct err *err)
{
	char *value = strchr(arg, '=');
	size_t len = value ? (size_t)(value - arg) : strlen(arg);

	for (unsigned k = 0; k < nopt; k++) {
		if (strlen(opt[k].name) != len - 2 || strncmp(opt[k].name, arg + 2, len - 2))
			continue;
		if (opt[k].flag && value)
			return err_set(err, -EINVAL, "--%s takes no value", opt[k].name);
		if (opt[k].flag) {
			*opt[k].flag = true;
			return 0;
		}
		if (!value && *i + 1 >= argc)
			return err_set(err, -EINVAL, "--%s needs a value", opt[k].name);
		*opt[k].value = value ? value + 1 : argv[++*i];
		if (!**opt[k].value)
			return err_set(err, -EINVAL, "--%s has an empty value", opt[k].name);
		return 0;
	}
	return err_set(err, -EINVAL, "unknown option '%.*s'; see `ring3 disk --help`", (int)len, arg);
}

int disk_parse(int argc, char **argv, const struct disk_opt *opt, unsigned nopt, const char **place, unsigned least,
               unsigned most, const char *what, struct err *err)
{
	unsigned n = 0;

	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "--", 2) && argv[i][2]) {
			if (take_option(argv[i], argc, argv, &i, opt, nopt, err))
				return -EINVAL;
		} else if (n == most) {
			return err_set(err, -EINVAL, "'%s' is one argument too many: give %s", argv[i], what);
		} else {
			place[n++] = argv[i];
		}
	}
	return n < least ? err_set(err, -EINVAL, "an argument is missing: give %s", what) : 0;
}

int disk_fail(const struct err *err)
{
	fprintf(stderr, "ring3 disk: %s\n", err->msg);
	return err_is_host(err) ? EXIT_HOST : EXIT_BAD_INPUT;
}

int disk_fail_code(int rc, const char *what, const char *path)
{
	fprintf(stderr, "ring3 disk: %s '%s' failed: %s\n", what, path, strerror(-rc));
	return EXIT_HOST;
}

struct block_image *disk_open(const char *path, const char *format, bool readonly, bool no_backing)
{
	struct block_image_opts opts = {.format = format, .readonly = readonly, .no_backing = no_backing};
	struct err err = {{0}};
	struct block_image *img = block_image_open(path, &opts, &err);

	if (!img)
		disk_fail(&err);
	return img;
}

const char *disk_format_of_name(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && !strchr(dot, '/') && block_format_known(dot + 1))
		return dot + 1;
	return "raw";
}

int disk_parse_bytes(const char *text, uint64_t *size, struct err *err)
{
	char *end;

	errno = 0;
	*size = strtoull(text, &end, 10);
	if (isdigit((unsigned char)*text) && !errno && !*end && *size)
		return 0;
	return options_parse_size(text, size, err);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void disk_progress_begin(struct disk_progress *p, uint64_t total)
{
	*p = (struct disk_progress){.total = total, .begun = now(), .on = isatty(STDERR_FILENO)};
	p->shown = p->begun;
}

void disk_progress_step(struct disk_progress *p, uint64_t n)
{
	double t, rate;

	p->done += n;
	if (!p->on)
		return;
	t = now();
	if (t - p->shown < 0.5)
		return;
	p->shown = t;
	rate = (double)p->done / (t - p->begun);
	fprintf(stderr, "\r%3.0f %%  %.1f of %.1f GiB, %.0f MiB/s, %.0f s left  ",
	        100.0 * (double)p->done / (double)p->total, (double)p->done / (double)GIB(1),
	        (double)p->total / (double)GIB(1), rate / (double)MIB(1),
	        (double)(p->total - MIN(p->done, p->total)) / (rate + 1));
	fflush(stderr);
}

void disk_progress_end(struct disk_progress *p)
{
	if (p->on && p->shown > p->begun)
		fprintf(stderr, "\r%70s\r", "");
}
