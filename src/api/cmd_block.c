// SPDX-License-Identifier: GPL-2.0-or-later
/* what: commands about drives: what is in them, what they were asked for, trays and media
 *
 * There is no graph of block nodes as QEMU has: a drive and its image. What QEMU tells of more is told as for a drive
 * without it, so that clients that look at these members find them.
 */
#include <stdio.h>
#include <string.h>

#include "api/api_int.h"
#include "api/commands.h"
#include "block/image.h"

static struct json *image_info(const struct pc_drive *d)
{
	struct json *i = js_object();

	js_set(js_set(i, "filename", js_str(d->path)), "format", js_str(d->format));
	return js_set(js_set(i, "virtual-size", js_uint(d->size)), "dirty-flag", js_bool(false));
}

static struct json *inserted(const struct pc_drive *d)
{
	static const char *const zeros[] = { "backing_file_depth", "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr",
		"write_threshold" };
	struct json *i = js_object(), *cache = js_object();
	char node[24];

	snprintf(node, sizeof(node), "#%.15s", d->name);
	js_set(js_set(cache, "writeback", js_bool(true)), "direct", js_bool(false));
	js_set(cache, "no-flush", js_bool(false));
	js_set(js_set(i, "file", js_str(d->path)), "node-name", js_str(node));
	js_set(js_set(i, "ro", js_bool(d->readonly)), "drv", js_str(d->format));
	js_set(js_set(i, "encrypted", js_bool(false)), "detect_zeroes", js_str("off"));
	for (unsigned k = 0; k < ARRAY_LEN(zeros); k++)
		js_set(i, zeros[k], js_int(0));
	return js_set(js_set(i, "image", image_info(d)), "cache", cache);
}

static struct json *path_of(const struct pc_drive *d)
{
	char path[40];

	snprintf(path, sizeof(path), "/machine/%.15s", d->name);
	return js_str(path);
}

static struct json *block_info(const struct pc_drive *d)
{
	struct json *b = js_object();

	js_set(js_set(b, "device", js_str(d->name)), "qdev", path_of(d));
	js_set(js_set(b, "type", js_str("unknown")), "removable", js_bool(d->removable));
	js_set(b, "locked", js_bool(d->locked));
	js_set(b, "io-status", js_str("ok"));
	js_set(b, "tray_open", d->has_tray ? js_bool(d->tray_open) : NULL);
	return js_set(b, "inserted", d->path ? inserted(d) : NULL);
}

API_COMMAND(query_block)
{
	struct pc_drive drive[PC_DRIVES_MAX];
	unsigned n = pc_drives(call->pc, drive);
	struct json *all = js_array();

	for (unsigned i = 0; i < n; i++)
		js_add(all, block_info(&drive[i]));
	return all;
}

static struct json *stats(const struct block_stats *st)
{
	static const char *const names[] = { [BLOCK_READ] = "rd", [BLOCK_WRITE] = "wr", [BLOCK_FLUSH] = "flush" };
	static const char *const zeros[] = { "unmap_bytes", "unmap_operations", "unmap_total_time_ns", "rd_merged",
		"wr_merged", "unmap_merged", "failed_unmap_operations", "invalid_rd_operations", "invalid_wr_operations",
		"invalid_flush_operations", "invalid_unmap_operations" };
	struct json *s = js_object();
	char key[40];

	for (unsigned op = 0; op < ARRAY_LEN(names); op++) {
		snprintf(key, sizeof(key), "%s_bytes", names[op]);
		js_set(s, key, op == BLOCK_FLUSH ? NULL : js_uint(st->bytes[op]));
		snprintf(key, sizeof(key), "%s_operations", names[op]);
		js_set(s, key, js_uint(st->ops[op]));
		snprintf(key, sizeof(key), "%s_total_time_ns", names[op]);
		js_set(s, key, js_uint(st->ns[op]));
		snprintf(key, sizeof(key), "failed_%s_operations", names[op]);
		js_set(s, key, js_uint(st->failed[op]));
	}
	for (unsigned k = 0; k < ARRAY_LEN(zeros); k++)
		js_set(s, zeros[k], js_int(0));
	js_set(js_set(s, "account_invalid", js_bool(true)), "account_failed", js_bool(true));
	return js_set(js_set(s, "wr_highest_offset", js_uint(st->highest)), "timed_stats", js_array());
}

API_COMMAND(query_blockstats)
{
	struct pc_drive drive[PC_DRIVES_MAX];
	unsigned n = pc_drives(call->pc, drive);
	struct json *all = js_array();

	for (unsigned i = 0; i < n; i++) {
		struct json *b = js_set(js_set(js_object(), "device", js_str(drive[i].name)), "qdev", path_of(&drive[i]));

		js_add(all, js_set(b, "stats", stats(&drive[i].stats)));
	}
	return all;
}

/* "device" as query-block tells it, or "id", its "qdev". */
static const char *which(struct api_call *call, const struct json *args)
{
	const char *device = js_get_str(args, "device", NULL), *id = js_get_str(args, "id", NULL);

	if (!device == !id) {
		api_fail(call, "Need exactly one of 'device' and 'id'");
		return NULL;
	}
	return device ? device : !strncmp(id, "/machine/", 9) ? id + 9 : id;
}

static struct json *done(struct api_call *call, int ret)
{
	if (ret == -ENODEV)
		call->class = "DeviceNotFound";
	return ret ? NULL : js_object();
}

API_COMMAND(eject)
{
	const char *name = which(call, args);

	return name ? done(call, pc_drive_eject(call->pc, name, js_get_bool(args, "force", false), &call->err)) : NULL;
}

API_COMMAND(blockdev_open_tray)
{
	const char *name = which(call, args);

	return name ? done(call, pc_drive_tray(call->pc, name, true, js_get_bool(args, "force", false), &call->err)) : NULL;
}

API_COMMAND(blockdev_close_tray)
{
	const char *name = which(call, args);

	return name ? done(call, pc_drive_tray(call->pc, name, false, false, &call->err)) : NULL;
}

static bool reads_only(struct pc *pc, const char *name, const char *mode)
{
	struct pc_drive drive[PC_DRIVES_MAX];
	unsigned n = pc_drives(pc, drive);

	for (unsigned i = 0; i < n && !strcmp(mode, "retain"); i++)
		if (!strcmp(drive[i].name, name))
			return drive[i].readonly;
	return !strcmp(mode, "read-only");
}

API_COMMAND(blockdev_change_medium)
{
	const char *name = which(call, args), *format = js_get_str(args, "format", NULL);
	const char *mode = js_get_str(args, "read-only-mode", "retain"), *path;
	char buf[64];

	if (!name)
		return NULL;
	if (format && !block_format_known(format))
		return api_fail(call, "Unknown driver '%.64s'", format);
	path = api_file(call->api, js_get_str(args, "filename", ""), buf);
	return done(call, pc_drive_change(call->pc, name, path, format, reads_only(call->pc, name, mode),
	                                  js_get_bool(args, "force", false), &call->err));
}
