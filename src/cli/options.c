// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the options of `ring3 run`: read into a pc_config, checked, and explained by --help
 *
 * options.def lists them once; table, parser and help text come from it. Errors name the option, what is wrong and
 * what would be right, in one line. What only the file system can tell (does the file exist) is left to who opens it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "block/image.h"
#include "cli/cli.h"
#include "cpu/cpuid.h"

enum { OPT_REPEATS = 1, OPT_OPTIONAL = 2 };

/* A copy that lives as long as the options. */
static char *own(struct run_options *o, const char *text)
{
	char **owned = realloc(o->owned, (o->nowned + 1) * sizeof(*owned));

	must(owned);
	o->owned = owned;
	return o->owned[o->nowned++] = xstrdup(text);
}

int options_parse_size(const char *text, uint64_t *size, struct err *err)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		return err_set(err, -EINVAL, "'%s' is no size: give a number and a unit, like 512M or 1G", text);
	if (!*end && n)
		return err_set(err, -EINVAL, "'%s' has no unit: %sM or %sG?", text, text, text);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : units;
	if (!unit || (*end && end[1] && strcmp(end + 1, "iB") && strcmp(end + 1, "B")))
		return err_set(err, -EINVAL, "'%s' has an unknown unit: K, M, G and T are known", text);
	unsigned shift = 10 * (unsigned)(unit - units + 1);
	if (n > UINT64_MAX >> shift)
		return err_set(err, -EINVAL, "'%s' is too large", text);
	*size = n << shift;
	return 0;
}

static int set_memory(struct run_options *o, const char *arg, struct err *err)
{
	struct sysinfo host;
	uint64_t have;

	if (options_parse_size(arg, &o->pc.memory, err))
		return -EINVAL;
	if (o->pc.memory < PC_MEMORY_MIN || o->pc.memory % 4096)
		return err_set(err, -EINVAL, "'%s' is too small: a PC needs at least %lluM", arg,
		               (unsigned long long)PC_MEMORY_MIN >> 20);
	sysinfo(&host);
	have = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
	if (o->pc.memory > have)
		return err_set(err, -EINVAL, "'%s' is more than this host has (%lluM)", arg, (unsigned long long)have >> 20);
	return 0;
}

static int set_cpu(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.cpu = arg;
	return 0;
}

/* A number of 1 to PC_CPUS_MAX, all of s; else 0. */
static unsigned parse_count(const char *s)
{
	char *end;
	unsigned long n = *s >= '0' && *s <= '9' ? strtoul(s, &end, 10) : 0;

	return n <= PC_CPUS_MAX && n && !*end ? (unsigned)n : 0;
}

static int set_cpus_key(struct cpu_topology *t, char *key, struct err *err)
{
	const struct { const char *name; unsigned *to; } keys[] = {
		{ "sockets", &t->sockets }, { "cores", &t->cores }, { "threads", &t->threads },
	};
	char *value = strchr(key, '=');

	if (value)
		*value++ = 0;
	for (unsigned k = 0; k < ARRAY_LEN(keys); k++) {
		if (strcmp(key, keys[k].name))
			continue;
		*keys[k].to = value ? parse_count(value) : 0;
		if (*keys[k].to)
			return 0;
		return err_set(err, -EINVAL, "%s=%s is no number from 1 to %d", key, value ? value : "", PC_CPUS_MAX);
	}
	return err_set(err, -EINVAL, "'%s' is unknown: sockets=S, cores=C and threads=T are known", key);
}

static int set_cpus(struct run_options *o, const char *arg, struct err *err)
{
	char *rest = own(o, arg), *key;
	unsigned n = parse_count(strsep(&rest, ","));
	struct cpu_topology t = { 0 };

	if (!n)
		return err_set(err, -EINVAL, "'%s' is no number of CPUs from 1 to %d", arg, PC_CPUS_MAX);
	while ((key = strsep(&rest, ",")))
		if (set_cpus_key(&t, key, err))
			return -EINVAL;
	t.threads = MAX(t.threads, 1u);
	if (!t.cores)
		t.cores = MAX(n / (MAX(t.sockets, 1u) * t.threads), 1u);
	if (!t.sockets)
		t.sockets = MAX(n / (t.cores * t.threads), 1u);
	if (cpuid_count(&t) != n)
		return err_set(err, -EINVAL, "%u sockets of %u cores of %u threads are not %u CPUs", t.sockets, t.cores,
		               t.threads, n);
	o->pc.cpus = t;
	return 0;
}

static int set_kernel(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.kernel = arg;
	return 0;
}

static int set_initrd(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.initrd = arg;
	return 0;
}

static int set_append(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.append = arg;
	return 0;
}

static int set_disk_key(struct pc_disk *d, char *key, struct err *err)
{
	char *value = strchr(key, '=');

	if (value)
		*value++ = 0;
	if (!strcmp(key, "readonly") && !value)
		d->readonly = true;
	else if (!strcmp(key, "snapshot") && !value)
		d->snapshot = true;
	else if (!strcmp(key, "format") && value)
		d->format = value;
	else if (!strcmp(key, "interface") && value)
		d->interface = value;
	else
		return err_set(err, -EINVAL,
		               "'%s%s%s' is unknown: format=FORMAT, interface=ide, ahci or virtio, readonly and snapshot are known",
		               key, value ? "=" : "", value ? value : "");
	if (d->format && !block_format_known(d->format))
		return err_set(err, -EINVAL, "format '%s' is unknown: %s are known", d->format, block_format_names());
	if (d->interface && !pc_disk_interface_known(d->interface))
		return err_set(err, -EINVAL, "interface '%s' is unknown: ide, ahci and virtio are known", d->interface);
	return 0;
}

static int set_disk(struct run_options *o, const char *arg, struct err *err)
{
	struct pc_disk *d = &o->pc.disk[o->pc.ndisks];
	char *rest = own(o, arg), *key;

	if (o->pc.ndisks == PC_DISKS_MAX)
		return err_set(err, -EINVAL, "more than %d disks", PC_DISKS_MAX);
	*d = (struct pc_disk){ .path = strsep(&rest, ",") };
	if (!*d->path)
		return err_set(err, -EINVAL, "'%s' names no file", arg);
	while ((key = strsep(&rest, ",")))
		if (set_disk_key(d, key, err))
			return -EINVAL;
	if (d->readonly && d->snapshot)
		return err_set(err, -EINVAL, "readonly and snapshot exclude each other");
	for (unsigned i = 0; i < o->pc.ndisks; i++)
		if (!strcmp(o->pc.disk[i].path, d->path) && !(d->readonly && o->pc.disk[i].readonly))
			return err_set(err, -EINVAL, "'%s' is given twice: two disks may share a file only if both are readonly",
			               d->path);
	o->pc.ndisks++;
	return 0;
}

static int set_cdrom(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.cdrom = arg;
	return 0;
}

static int set_floppy(struct run_options *o, const char *arg, struct err *err)
{
	if (o->pc.nfloppies == PC_FLOPPIES_MAX)
		return err_set(err, -EINVAL, "more than %d floppy drives: there are A and B", PC_FLOPPIES_MAX);
	if (!strcmp(arg, "none"))
		arg = NULL;
	if (arg && o->pc.nfloppies && o->pc.floppy[0] && !strcmp(o->pc.floppy[0], arg))
		return err_set(err, -EINVAL, "'%s' is given twice: two drives cannot share a file", arg);
	o->pc.floppy[o->pc.nfloppies++] = arg;
	return 0;
}

static int set_net(struct run_options *o, const char *arg, struct err *err)
{
	return options_net(o, own(o, arg), err);
}

static int set_boot(struct run_options *o, const char *arg, struct err *err)
{
	for (const char *p = arg; *p; p++)
		if (!strchr("acdn", *p) || strchr(p + 1, *p))
			return err_set(err, -EINVAL,
			               "'%s' is no boot order: give letters, each once: a floppy, c disks, d CD-ROM, n network",
			               arg);
	if (!*arg)
		return err_set(err, -EINVAL, "the order is empty: give letters of a floppy, c disks, d CD-ROM, n network");
	o->pc.boot = arg;
	return 0;
}

static int set_firmware(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.firmware = arg;
	return 0;
}

static bool is_stream(const char *arg)
{
	bool path = (!strncmp(arg, "file:", 5) && arg[5]) || (!strncmp(arg, "unix:", 5) && arg[5]);

	return path || !strcmp(arg, "stdio") || !strcmp(arg, "pty");
}

static int set_serial(struct run_options *o, const char *arg, struct err *err)
{
	if (!is_stream(arg) && strcmp(arg, "none") && strcmp(arg, "attach"))
		return err_set(err, -EINVAL, "'%s' is unknown: stdio, file:PATH, pty, unix:PATH, attach or none", arg);
	if (o->pc.nserials == PC_SERIALS_MAX)
		return err_set(err, -EINVAL, "more than %d serial ports", PC_SERIALS_MAX);
	for (unsigned i = 0; i < o->pc.nserials; i++)
		if (!strcmp(o->pc.serial[i], arg) && strcmp(arg, "none") && strcmp(arg, "pty"))
			return err_set(err, -EINVAL, "'%s' is given twice: two ports cannot share it", arg);
	o->pc.serial[o->pc.nserials++] = arg;
	return 0;
}

static int set_console(struct run_options *o, const char *arg, struct err *err)
{
	if (!is_stream(arg))
		return err_set(err, -EINVAL, "'%s' is unknown: stdio, file:PATH, pty or unix:PATH", arg);
	o->pc.console = arg;
	return 0;
}

static int set_display(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.display_text = !strcmp(arg, "text");
	if (!o->pc.display_text && strcmp(arg, "none"))
		return err_set(err, -EINVAL, "'%s' is unknown: none or text", arg);
	return 0;
}

static int set_name(struct run_options *o, const char *arg, struct err *err)
{
	if (!api_name_ok(arg))
		return err_set(err, -EINVAL,
		               "'%s' is no name: up to %d letters, digits, '.', '_' and '-', beginning with a letter or digit",
		               arg, API_NAME_MAX);
	o->api.name = arg;
	return 0;
}

static int set_control(struct run_options *o, const char *arg, struct err *err)
{
	if (strncmp(arg, "unix:", 5) && strncmp(arg, "tcp:", 4))
		return err_set(err, -EINVAL, "'%s' is unknown: unix:PATH or tcp:127.0.0.1:PORT", arg);
	if (o->api.nlisten == API_SOCKETS_MAX)
		return err_set(err, -EINVAL, "more than %d control sockets", API_SOCKETS_MAX);
	o->api.listen[o->api.nlisten++] = arg;
	return 0;
}

static int set_paused(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.paused = true;
	return 0;
}

static int set_load(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.load = arg;
	return 0;
}

static int set_debug_exit(struct run_options *o, const char *arg, struct err *err)
{
	char *end;
	unsigned long port = arg ? strtoul(arg, &end, 0) : PC_DEBUG_EXIT_PORT;

	if (arg && (!isdigit((unsigned char)*arg) || *end || port > 0xfffc))
		return err_set(err, -EINVAL, "'%s' is no port: a number from 0 to 0xfffc, like 0xf4", arg);
	o->pc.debug_exit = true;
	o->pc.debug_exit_port = (uint16_t)port;
	return 0;
}

static int set_debugcon(struct run_options *o, const char *arg, struct err *err)
{
	char *file;
	unsigned long port = strtoul(arg, &file, 0);

	if (!isdigit((unsigned char)*arg) || *file != ':' || !file[1] || !port || port > 0xffff)
		return err_set(err, -EINVAL,
		               "'%s' is no PORT:FILE: give a port from 1 to 0xffff and a file, like 0xe9:debug.txt", arg);
	o->pc.debugcon = own(o, file + 1);
	o->pc.debugcon_port = (uint16_t)port;
	return 0;
}

static int set_test_device(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.test_device = true;
	return 0;
}

static int set_no_reboot(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.no_reboot = true;
	return 0;
}

static int set_timeout(struct run_options *o, const char *arg, struct err *err)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || !(s > 0) || s > 1e9)
		return err_set(err, -EINVAL, "'%s' is no time: give seconds, like 60 or 0.5", arg);
	o->pc.timeout_ms = (uint64_t)(s * 1000);
	o->pc.timeout_ms += !o->pc.timeout_ms;
	return 0;
}

static int set_stats(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.stats = true;
	return 0;
}

static int set_perf_map(struct run_options *o, const char *arg, struct err *err)
{
	o->pc.perf_map = true;
	return 0;
}

static int set_mode(struct run_options *o, const char *arg, struct err *err)
{
	static const char *const names[] = { "automatic", "windows", "tlb" }; /* enum engine_mode */

	for (unsigned k = 0; k < ARRAY_LEN(names); k++)
		if (!strcmp(arg, names[k])) {
			o->pc.mode = (enum engine_mode)k;
			return 0;
		}
	return err_set(err, -EINVAL, "there is no mode '%s': give automatic, windows or tlb", arg);
}

static int set_verbose(struct run_options *o, const char *arg, struct err *err)
{
	o->verbose++;
	return 0;
}

struct option {
	const char *name, *arg;
	unsigned flags;
	int (*set)(struct run_options *o, const char *arg, struct err *err);
	const char *help;
};
#define OPTION(name, arg, flags, set, help) { name, arg, flags, set, help },
static const struct option options[] = {
#include "cli/options.def"
};
#undef OPTION

/* Number of single-character edits between two short words, for "did you mean". */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32], la = (unsigned)strlen(a), lb = (unsigned)strlen(b);

	if (la >= ARRAY_LEN(row) || lb >= ARRAY_LEN(row))
		return 99;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned replace = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(replace, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[lb];
}

static int unknown_option(const char *name, struct err *err)
{
	const char *best = NULL;
	unsigned least = 3;

	for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
		unsigned d = distance(name, options[i].name);

		if (d < least && 2 * d <= strlen(name)) {
			least = d;
			best = options[i].name;
		}
	}
	if (best)
		return err_set(err, -EINVAL, "unknown option '--%s': did you mean --%s?", name, best);
	return err_set(err, -EINVAL, "unknown option '--%s': see `ring3 run --help`", name);
}

static int apply(struct run_options *o, const struct option *opt, const char *arg, struct err *err)
{
	uint64_t bit = 1ull << (opt - options);

	if (o->seen & bit && !(opt->flags & OPT_REPEATS) && opt->set != set_verbose)
		return err_set(err, -EINVAL, "--%s is given twice", opt->name);
	o->seen |= bit;
	if (opt->set(o, arg, err))
		return err_prefix(err, -EINVAL, "--%s", opt->name);
	return 0;
}

/* One option at argv[*i]; moves *i over its argument. */
static int parse_one(struct run_options *o, int argc, char **argv, int *i, struct err *err)
{
	char *name = own(o, argv[*i] + 2), *value = strchr(name, '=');

	if (value)
		*value++ = 0;
	for (const struct option *opt = options; opt < options + ARRAY_LEN(options); opt++) {
		if (strcmp(opt->name, name))
			continue;
		if (!opt->arg && value)
			return err_set(err, -EINVAL, "--%s takes no argument", name);
		if (opt->arg && !value && !(opt->flags & OPT_OPTIONAL)) {
			if (*i + 1 >= argc)
				return err_set(err, -EINVAL, "--%s needs an argument: --%s %s", name, name, opt->arg);
			value = argv[++*i];
		}
		if (value && !*value && opt->set != set_append)
			return err_set(err, -EINVAL, "--%s has an empty argument: --%s %s", name, name, opt->arg);
		return apply(o, opt, value, err);
	}
	return unknown_option(name, err);
}

/* This terminal and every file and socket have one owner; COM1 takes the terminal if nobody else does. */
static int check_streams(struct pc_config *pc, struct err *err)
{
	const char *console = pc->console ? pc->console : "none";

	if (!pc->nserials && !pc->display_text && strcmp(console, "stdio"))
		pc->serial[pc->nserials++] = "stdio";
	if (pc->display_text && !strcmp(console, "stdio"))
		return err_set(err, -EINVAL, "--display text and --console stdio exclude each other: both want this terminal");
	for (unsigned i = 0; i < pc->nserials; i++) {
		if (pc->display_text && !strcmp(pc->serial[i], "stdio"))
			return err_set(err, -EINVAL,
			               "--display text and --serial stdio exclude each other: both want this terminal");
		if (!strcmp(pc->serial[i], console) && strcmp(console, "none") && strcmp(console, "pty"))
			return err_set(err, -EINVAL, "--serial and --console cannot share '%s'", console);
	}
	return 0;
}

/* A console that `ring3 console` attaches to is a socket beside that of the machine's name. */
static int place_console(struct run_options *o, struct err *err)
{
	char folder[API_PATH_MAX], where[2 * API_PATH_MAX];

	for (unsigned i = 0; i < o->pc.nserials; i++) {
		if (strcmp(o->pc.serial[i], "attach"))
			continue;
		if (!o->api.name)
			return err_set(err, -EINVAL, "--serial attach needs --name NAME, by which `ring3 console NAME` finds it");
		if (api_folder(folder, err))
			return err_prefix(err, -EINVAL, "--serial attach");
		snprintf(where, sizeof(where), "unix:%s/%s.tty", folder, o->api.name);
		o->pc.serial[i] = own(o, where);
	}
	return 0;
}

/* What only the whole can tell; defaults. */
static int finish(struct run_options *o, struct err *err)
{
	struct pc_config *pc = &o->pc;

	if ((pc->initrd || pc->append) && !pc->kernel)
		return err_set(err, -EINVAL, "%s is for a kernel that ring3 starts itself: give --kernel FILE too",
		               pc->initrd ? "--initrd" : "--append");
	if (pc->kernel && pc->firmware)
		return err_set(err, -EINVAL,
		               "--kernel and --firmware exclude each other: a kernel is started without firmware");
	if (pc->kernel && pc->boot)
		return err_set(err, -EINVAL, "--kernel and --boot exclude each other: a kernel is started without firmware");
	if (pc->paused && !o->api.name && !o->api.nlisten)
		return err_set(err, -EINVAL, "--paused needs somebody who lets it go on: give --name NAME or --control SOCKET");
	if (check_streams(pc, err))
		return -EINVAL;
	return place_console(o, err);
}

int options_parse(struct run_options *o, int argc, char **argv, struct err *err)
{
	const char *mode = getenv("RING3_MODE");
	struct err why;

	*o = (struct run_options){ .pc = { .memory = GIB(1), .quit_fd = -1, .stats_fd = -1 } };
	for (int i = 0; i < argc; i++)
		o->help |= !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
	if (o->help)
		return 0;
	if (mode && set_mode(o, mode, &why))
		return err_set(err, -EINVAL, "RING3_MODE in the environment: %s", why.msg);
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) || !argv[i][2])
			return err_set(err, -EINVAL,
			               "unexpected argument '%s': files are given by an option, like --disk FILE or --kernel FILE",
			               argv[i]);
		if (parse_one(o, argc, argv, &i, err))
			return -EINVAL;
	}
	return finish(o, err);
}

void options_free(struct run_options *o)
{
	for (unsigned i = 0; i < o->nowned; i++)
		free(o->owned[i]);
	free(o->owned);
}

/* Words of text in lines of 78 columns, indented by indent; the first line has begun at column. */
static void print_wrapped(const char *text, unsigned indent, unsigned column)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		if (column + n > 77) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		}
		column += (unsigned)printf("%s%.*s", column > indent ? " " : "", (int)n, text);
		text += n + strspn(text + n, " ");
	}
	printf("\n");
}

void options_print_help(void)
{
	for (const struct option *opt = options; opt < options + ARRAY_LEN(options); opt++) {
		const char *open = opt->flags & OPT_OPTIONAL ? "[=" : opt->arg ? " " : "", *arg = opt->arg ? opt->arg : "";
		int n = printf("  --%s%s%s%s%s", opt->name, open, arg, opt->flags & OPT_OPTIONAL ? "]" : "",
		               opt->flags & OPT_REPEATS ? "..." : "");

		if (n > 22)
			printf("\n%24s", "");
		else
			printf("%*s", 24 - n, "");
		print_wrapped(opt->help, 24, 24);
	}
	printf("\nCPU models:\n");
	for (const struct cpuid_model_name *m = cpuid_model_names(); m->name; m++) {
		printf("  %-21s ", m->name);
		print_wrapped(m->what, 24, 24);
	}
}
