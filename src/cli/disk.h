// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the sub-commands of `ring3 disk` share: options, errors, progress, JSON
 */
#ifndef CLI_DISK_H
#define CLI_DISK_H

#include "block/image.h"
#include "cli/cli.h"

/* Beyond those of cli.h; docs/disks.md. */
enum { DISK_EXIT_DAMAGED = 3, DISK_EXIT_DIFFERENT = 3, DISK_EXIT_LEAKS = 4 };

/* An option takes a text (value) or is there or not (flag). */
struct disk_opt {
	const char *name;
	const char **value;
	bool *flag;
};
/* Options anywhere, the rest into place[], least to most of them. what: their names, for the error. 0 or -EINVAL. */
int disk_parse(int argc, char **argv, const struct disk_opt *opt, unsigned nopt, const char **place, unsigned least,
               unsigned most, const char *what, struct err *err);
/* Prints what went wrong. Returns the exit status for it. */
int disk_fail(const struct err *err);
int disk_fail_code(int rc, const char *what, const char *path);
/* Opens, or prints why not. */
struct block_image *disk_open(const char *path, const char *format, bool readonly, bool no_backing);
/* The format that a file's name asks for by its ending, else raw. */
const char *disk_format_of_name(const char *path);
int disk_parse_bytes(const char *text, uint64_t *size, struct err *err);

/* On a terminal: how far, how fast, how long still. */
struct disk_progress {
	uint64_t total, done;
	double begun, shown;
	bool on;
};
void disk_progress_begin(struct disk_progress *p, uint64_t total);
void disk_progress_step(struct disk_progress *p, uint64_t n);
void disk_progress_end(struct disk_progress *p);

int disk_create(int argc, char **argv);
int disk_resize(int argc, char **argv);
int disk_info(int argc, char **argv);
int disk_map(int argc, char **argv);
int disk_check(int argc, char **argv);
int disk_compare(int argc, char **argv);
int disk_convert(int argc, char **argv);
int disk_commit(int argc, char **argv);
int disk_rebase(int argc, char **argv);
int disk_snapshot(int argc, char **argv);

/* disk_json.c: values are added to the innermost open object (key) or array (key NULL). */
struct disk_json;
struct disk_json *disk_json_new(bool array);
void disk_json_object(struct disk_json *j, const char *key);
void disk_json_array(struct disk_json *j, const char *key);
void disk_json_close(struct disk_json *j);
void disk_json_text(struct disk_json *j, const char *key, const char *value);
void disk_json_number(struct disk_json *j, const char *key, uint64_t value);
void disk_json_bool(struct disk_json *j, const char *key, bool value);
/* Prints and frees. */
void disk_json_print(struct disk_json *j);

#endif
