// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 disk snapshot`: an image's internal snapshots listed, made, gone back to, deleted
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/disk.h"

static void line(void *opaque, const struct block_snapshot *s)
{
	time_t t = (time_t)s->seconds;
	char when[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%-6s %-24s %s  %llu\n", s->id, s->name, when, (unsigned long long)s->size);
}

static void json_line(void *opaque, const struct block_snapshot *s)
{
	struct disk_json *j = opaque;

	disk_json_object(j, NULL);
	disk_json_text(j, "id", s->id);
	disk_json_text(j, "name", s->name);
	disk_json_number(j, "date-sec", s->seconds);
	disk_json_number(j, "disk-size", s->size);
	disk_json_close(j);
}

static void list(struct block_image *img, bool json)
{
	struct disk_json *j = json ? disk_json_new(true) : NULL;

	if (!j)
		printf("%-6s %-24s %-19s  %s\n", "id", "name", "made (UTC)", "bytes");
	block_image_snapshots(img, j ? json_line : line, j);
	if (j)
		disk_json_print(j);
}

int disk_snapshot(int argc, char **argv)
{
	static const char *const verbs[] = {"list", "create", "apply", "delete"};
	const char *place[3] = {0}, *format = NULL;
	bool json = false;
	const struct disk_opt opts[] = {{"format", &format, NULL}, {"json", NULL, &json}};
	struct err err = {{0}};
	struct block_image *img;
	unsigned verb = 0;
	int rc = 0;

	if (disk_parse(argc, argv, opts, ARRAY_LEN(opts), place, 2, 3, "list|create|apply|delete FILE [NAME]", &err))
		return disk_fail(&err);
	while (verb < ARRAY_LEN(verbs) && strcmp(place[0], verbs[verb]))
		verb++;
	if (verb == ARRAY_LEN(verbs))
		rc = err_set(&err, -EINVAL, "'%s' is unknown: list, create, apply and delete are known", place[0]);
	else if (verb && !place[2])
		rc = err_set(&err, -EINVAL, "the snapshot's name is missing: ring3 disk snapshot %s %s NAME", place[0],
		             place[1]);
	else if (!verb && place[2])
		rc = err_set(&err, -EINVAL, "list takes no name");
	if (rc)
		return disk_fail(&err);
	img = disk_open(place[1], format, !verb, true);
	if (!img)
		return EXIT_BAD_INPUT;
	if (verb == 0)
		list(img, json);
	else if (verb == 1)
		rc = block_image_snapshot_create(img, place[2], &err);
	else if (verb == 2)
		rc = block_image_snapshot_apply(img, place[2], &err);
	else
		rc = block_image_snapshot_remove(img, place[2], &err);
	block_image_close(img);
	return rc ? disk_fail(&err) : 0;
}
