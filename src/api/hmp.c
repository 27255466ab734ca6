// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the human monitor, as far as scripts use it: command lines in, text out
 *
 * Lines end in CR LF, as QEMU's do. What a command says is cut at TEXT_MAX.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_int.h"
#include "api/commands.h"

#define TEXT_MAX KIB(512)
#define WORDS_MAX 8
#define DUMP_MAX 65536 /* bytes of x and xp */

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n > 0 && t->len + (size_t)n < TEXT_MAX) {
		if (t->len + (size_t)n + 1 > t->cap) {
			t->cap = 2 * (t->len + (size_t)n + 1);
			t->s = realloc(t->s, t->cap);
			must(t->s);
		}
		vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
		t->len += (size_t)n;
	}
	va_end(ap);
}

struct line {
	struct api *api;
	unsigned cpu;
	char *word[WORDS_MAX];
	unsigned nwords;
	const char *rest; /* behind the first word, and its /FORMAT, if any */
	struct text *t;
};

/* Expressions */

static const char *skip(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

static bool reg_value(const struct line *l, const char *name, size_t n, uint64_t *out)
{
	static const struct { const char *name; unsigned reg; } regs[] = {
		{ "rax", RAX }, { "eax", RAX }, { "rcx", RCX }, { "ecx", RCX }, { "rdx", RDX }, { "edx", RDX }, { "rbx", RBX },
		{ "ebx", RBX }, { "rsp", RSP }, { "esp", RSP }, { "sp", RSP }, { "rbp", RBP }, { "ebp", RBP }, { "rsi", RSI },
		{ "esi", RSI }, { "rdi", RDI }, { "edi", RDI }, { "r8", R8 }, { "r9", R9 }, { "r10", R10 }, { "r11", R11 },
		{ "r12", R12 }, { "r13", R13 }, { "r14", R14 }, { "r15", R15 }, { "rip", 16 }, { "eip", 16 }, { "pc", 16 },
	};
	const struct cpu *cpu = pc_look(l->api->pc, l->cpu);
	bool found = false;

	for (unsigned i = 0; cpu && i < ARRAY_LEN(regs) && !found; i++) {
		found = strlen(regs[i].name) == n && !strncmp(regs[i].name, name, n);
		if (found)
			*out = regs[i].reg == 16 ? cpu->s.rip : cpu->s.gpr[regs[i].reg];
	}
	if (cpu)
		pc_look_end(l->api->pc);
	return found;
}

/* A number or a register; NULL: told why. */
static const char *term(const struct line *l, const char *p, uint64_t *out)
{
	char *end;

	p = skip(p);
	if (*p == '$') {
		size_t n = strcspn(p + 1, " \t+-*");

		if (reg_value(l, p + 1, n, out))
			return p + 1 + n;
		text_add(l->t, "unknown register\r\n");
		return NULL;
	}
	if (!*p) {
		text_add(l->t, "unexpected end of expression\r\n");
		return NULL;
	}
	*out = strtoull(p, &end, 0);
	if (end == p) {
		text_add(l->t, "invalid char '%c' in expression\r\n", *p);
		return NULL;
	}
	return end;
}

/* Terms with + - * between them, from left to right. */
static bool expression(const struct line *l, uint64_t *out)
{
	const char *p = term(l, l->rest, out);

	for (p = p ? skip(p) : NULL; p && *p; p = p ? skip(p) : NULL) {
		char op = *p;
		uint64_t v = 0;

		if (!strchr("+-*", op)) {
			text_add(l->t, "invalid char '%c' in expression\r\n", op);
			return false;
		}
		p = term(l, p + 1, &v);
		*out = op == '+' ? *out + v : op == '-' ? *out - v : *out * v;
	}
	return p != NULL;
}

/* x, xp, p */

struct format { unsigned count, size; char kind; };

/* "/4xb" at the beginning of rest. */
static struct format take_format(struct line *l)
{
	struct format f = { 1, 4, 'x' };
	const char *p = skip(l->rest);
	char *end;

	if (*p++ != '/')
		return f;
	if (isdigit((unsigned char)*p)) {
		unsigned long n = strtoul(p, &end, 10);

		f.count = (unsigned)MIN(n, (unsigned long)DUMP_MAX);
		p = end;
	}
	for (; *p && !isspace((unsigned char)*p); p++) {
		const char *sizes = "bhwg", *at = strchr(sizes, *p);

		if (at)
			f.size = 1u << (at - sizes);
		else
			f.kind = *p;
	}
	l->rest = p;
	return f;
}

static void put_value(struct text *t, const struct format *f, uint64_t v)
{
	int64_t sign = (int64_t)(v << (64 - 8 * f->size)) >> (64 - 8 * f->size);

	switch (f->kind) {
	case 'd':
		text_add(t, "%*" PRId64, (int)f->size * 3, sign);
		break;
	case 'u':
		text_add(t, "%*" PRIu64, (int)f->size * 3, v);
		break;
	case 'o':
		text_add(t, "0%0*" PRIo64, (int)(f->size * 8 + 2) / 3, v);
		break;
	case 'c':
		text_add(t, isprint((int)(v & 0xff)) ? "'%c'" : "'\\x%02x'", (int)(v & 0xff));
		break;
	default:
		text_add(t, "0x%0*" PRIx64, (int)f->size * 2, v);
	}
}

static void dump(const struct line *l, const struct format *f, uint64_t at, bool physical)
{
	unsigned in_line = (f->size == 1 ? 8 : 16) / f->size, n = MIN(f->count, DUMP_MAX / f->size);

	for (unsigned i = 0; i < n; i++, at += f->size) {
		uint8_t raw[8] = { 0 };

		if (i % in_line == 0)
			text_add(l->t, "%s%016" PRIx64 ":", i ? "\r\n" : "", at);
		if (physical) {
			pc_read_memory(l->api->pc, at, raw, f->size);
		} else if (api_peek(l->api->pc, l->cpu, at, raw, f->size) < f->size) {
			text_add(l->t, " Cannot access memory\r\n");
			return;
		}
		text_add(l->t, " ");
		put_value(l->t, f, get_le64(raw));
	}
	text_add(l->t, "\r\n");
}

static void examine(struct line *l, bool physical)
{
	struct format f = take_format(l);
	uint64_t at = 0;

	if (!strchr("xduoc", f.kind))
		text_add(l->t, "format '%c' is not known here: x, d, u, o and c are\r\n", f.kind);
	else if (expression(l, &at))
		dump(l, &f, at, physical);
}

static void cmd_x(struct line *l)
{
	examine(l, false);
}

static void cmd_xp(struct line *l)
{
	examine(l, true);
}

static void cmd_p(struct line *l)
{
	struct format f = take_format(l);
	uint64_t v = 0;

	if (!expression(l, &v))
		return;
	if (f.kind == 'd')
		text_add(l->t, "%" PRId64 "\r\n", (int64_t)v);
	else if (f.kind == 'u')
		text_add(l->t, "%" PRIu64 "\r\n", v);
	else
		text_add(l->t, "%#" PRIx64 "\r\n", v);
}

/* The others */

static void cmd_info(struct line *l)
{
	hmp_info(l->api, l->nwords > 1 ? l->word[1] : "", l->cpu, l->t);
}

static void cmd_sendkey(struct line *l)
{
	unsigned hold = l->nwords > 2 ? (unsigned)MIN(strtoul(l->word[2], NULL, 0), 60000ul) : 100, n = 0;
	char *rest = l->nwords > 1 ? l->word[1] : NULL, *name;
	int key[16];

	while (rest && (name = strsep(&rest, "-")) && n < ARRAY_LEN(key)) {
		key[n] = key_by_name(name);
		if (key[n++] < 0) {
			text_add(l->t, "invalid parameter: %s\r\n", name);
			return;
		}
	}
	if (!n || rest)
		text_add(l->t, "sendkey: give keys, like ctrl-alt-delete\r\n");
	else if (!api_press_keys(l->api, key, n, hold))
		text_add(l->t, "too many keys wait to be pressed\r\n");
}

static void say_error(struct line *l, int ret, const struct err *err)
{
	if (ret)
		text_add(l->t, "Error: %s\r\n", err->msg);
}

static void cmd_screendump(struct line *l)
{
	const char *file = l->nwords > 1 ? l->word[l->nwords - 1] : NULL;
	bool png = l->nwords > 3 && !strcmp(l->word[1], "-f") && !strcmp(l->word[2], "png");
	struct err err;

	if (!file)
		text_add(l->t, "screendump: give a file\r\n");
	else
		say_error(l, shot_save(l->api, file, png, &err), &err);
}

static void cmd_stop(struct line *l)
{
	pc_pause(l->api->pc);
}

static void cmd_cont(struct line *l)
{
	struct err err;

	say_error(l, pc_resume(l->api->pc, &err), &err);
}

static void cmd_quit(struct line *l)
{
	pc_quit(l->api->pc);
}

static void cmd_reset(struct line *l)
{
	pc_press_reset(l->api->pc);
}

static void cmd_powerdown(struct line *l)
{
	pc_press_power(l->api->pc);
}

static void cmd_nmi(struct line *l)
{
	pc_nmi(l->api->pc);
}

static void cmd_eject(struct line *l)
{
	bool force = l->nwords > 2 && !strcmp(l->word[1], "-f");
	struct err err;

	if (l->nwords < 2)
		text_add(l->t, "eject: give a device\r\n");
	else
		say_error(l, pc_drive_eject(l->api->pc, l->word[l->nwords - 1], force, &err), &err);
}

static void cmd_change(struct line *l)
{
	char buf[64];
	struct err err;

	if (l->nwords < 3)
		text_add(l->t, "change: give a device and a file\r\n");
	else
		say_error(l, pc_drive_change(l->api->pc, l->word[1], api_file(l->api, l->word[2], buf), NULL, false, false,
		                             &err),
		          &err);
}

static void cmd_help(struct line *l);

static const struct verb {
	const char *name;
	void (*run)(struct line *l);
	const char *what;
} verbs[] = {
	{ "help", cmd_help, "this list" },
	{ "info", cmd_info, "registers|status|block|pci|pic|mtree|mem|tlb|name|version|cpus|chardev|kvm" },
	{ "x", cmd_x, "/FMT ADDR: memory by linear address, like x /4xw $esp" },
	{ "xp", cmd_xp, "/FMT ADDR: memory by physical address" },
	{ "p", cmd_p, "/FMT EXPRESSION: its value" }, { "print", cmd_p, "the same" },
	{ "sendkey", cmd_sendkey, "KEY-KEY... [MS]: press keys" },
	{ "screendump", cmd_screendump, "[-f png] FILE: the screen" },
	{ "stop", cmd_stop, "pause" }, { "s", cmd_stop, "pause" }, { "cont", cmd_cont, "go on" },
	{ "c", cmd_cont, "go on" }, { "quit", cmd_quit, "end" }, { "q", cmd_quit, "end" },
	{ "system_reset", cmd_reset, "reset" }, { "system_powerdown", cmd_powerdown, "press the power button" },
	{ "nmi", cmd_nmi, "send an NMI" }, { "eject", cmd_eject, "[-f] DEVICE" }, { "change", cmd_change, "DEVICE FILE" },
};

static void cmd_help(struct line *l)
{
	for (unsigned i = 0; i < ARRAY_LEN(verbs); i++)
		text_add(l->t, "%s: %s\r\n", verbs[i].name, verbs[i].what);
}

static void dispatch(struct line *l)
{
	for (unsigned i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, l->word[0])) {
			verbs[i].run(l);
			return;
		}
	text_add(l->t, "unknown command: '%.64s'\r\n", l->word[0]);
}

/* "x/4xb" is "x /4xb". */
char *hmp_run(struct api *api, const char *text, unsigned cpu)
{
	char *copy = xstrdup(text), *rest = copy, *word;
	struct text t = { 0 };
	struct line l = { .api = api, .cpu = cpu, .t = &t };

	text = skip(text);
	l.rest = text + strcspn(text, " \t/");
	while (l.nwords < WORDS_MAX && (word = strsep(&rest, l.nwords ? " \t" : " \t/")))
		if (*word)
			l.word[l.nwords++] = word;
	if (l.nwords)
		dispatch(&l);
	free(copy);
	return t.s ? t.s : xstrdup("");
}

API_COMMAND(human_monitor_command)
{
	int64_t cpu = js_get_int(args, "cpu-index", 0);
	struct json *ret;
	char *text;

	if (cpu < 0 || cpu >= pc_cpus(call->pc))
		return api_fail(call, "Parameter 'cpu-index' expects a CPU number");
	text = hmp_run(call->api, js_get_str(args, "command-line", ""), (unsigned)cpu);
	ret = js_str(text);
	free(text);
	return ret;
}
