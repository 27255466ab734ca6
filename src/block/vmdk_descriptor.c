// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the text that describes a VMDK image: read into its values and its list of extents
 *
 * The file names in it are not trusted: an extent lies beside its descriptor, so an image brought by somebody cannot
 * make ring3 write to another folder.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "block/vmdk_int.h"

#define BAD(...) err_set(err, -EINVAL, "disk image '%s': " __VA_ARGS__)

/* value of KEY = "value" or KEY=value; NULL if line is not about key. A copy. */
static char *value_of(const char *line, const char *key)
{
	size_t n = strlen(key), len;
	char *value;

	if (strncasecmp(line, key, n))
		return NULL;
	line += n + strspn(line + n, " \t");
	if (*line++ != '=')
		return NULL;
	line += strspn(line, " \t\"");
	len = strcspn(line, "\"");
	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	value = xalloc(len + 1);
	memcpy(value, line, len);
	return value;
}

static int extent_kind(const char *path, const char *word, enum vmdk_kind *kind, struct err *err)
{
	if (!strcmp(word, "SPARSE"))
		*kind = VMDK_SPARSE;
	else if (!strcmp(word, "FLAT"))
		*kind = VMDK_FLAT;
	else if (!strcmp(word, "ZERO"))
		*kind = VMDK_ZERO;
	else
		return BAD("it has an extent of type %s; SPARSE, FLAT and ZERO are supported", path, word);
	return 0;
}

/* RW 4192256 SPARSE "name" [offset] */
static int extent_line(const char *path, const char *line, struct vmdk_desc *d, struct err *err)
{
	struct vmdk_line *list, *l;
	char access[16], word[16], name[512] = "";
	unsigned long long sectors, at = 0;
	int n = sscanf(line, "%15s %llu %15s \"%511[^\"\n]\" %llu", access, &sectors, word, name, &at);

	if (n < 3 || !sectors || sectors > (uint64_t)INT64_MAX / 512 || at > (uint64_t)INT64_MAX / 512)
		return BAD("this line of its descriptor makes no sense: %.60s", path, line);
	if (d->nlines == VMDK_EXTENTS_MAX)
		return BAD("it has more than %u extents", path, VMDK_EXTENTS_MAX);
	list = realloc(d->line, (d->nlines + 1) * sizeof(*list));
	must(list);
	d->line = list;
	l = &list[d->nlines];
	*l = (struct vmdk_line){.size = sectors * 512, .flat_at = at * 512};
	if (extent_kind(path, word, &l->kind, err))
		return -EINVAL;
	if (l->kind != VMDK_ZERO && (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")))
		return BAD("its extent '%s' does not lie beside it; only that is supported", path, name);
	l->name = xstrdup(name);
	d->nlines++;
	return 0;
}

static int one_line(const char *path, const char *line, size_t at, struct vmdk_desc *d, struct err *err)
{
	char *v;

	if (!strncmp(line, "RW ", 3) || !strncmp(line, "RDONLY ", 7) || !strncmp(line, "NOACCESS ", 9))
		return extent_line(path, line, d, err);
	v = value_of(line, "CID");
	if (v) {
		d->cid = (uint32_t)strtoul(v, NULL, 16);
		d->cid_at = strlen(v) == 8 && !strncmp(line, "CID=", 4) ? at + 4 : 0;
		free(v);
		return 0;
	}
	v = value_of(line, "parentCID");
	if (v) {
		d->parent_cid = (uint32_t)strtoul(v, NULL, 16);
		free(v);
		return 0;
	}
	v = value_of(line, "createType");
	if (v) {
		free(d->create_type);
		d->create_type = v;
		return 0;
	}
	v = value_of(line, "parentFileNameHint");
	if (v) {
		free(d->parent);
		d->parent = v;
	}
	return 0;
}

int vmdk_desc_parse(const char *path, const char *text, size_t len, struct vmdk_desc *d, struct err *err)
{
	size_t at = 0;
	int rc = 0;

	d->parent_cid = UINT32_MAX;
	d->text = xalloc(len + 1);
	memcpy(d->text, text, len);
	len = strlen(d->text);
	while (at < len && !rc) {
		size_t n = strcspn(d->text + at, "\n");
		char *line = xalloc(n + 1);

		memcpy(line, d->text + at, n);
		rc = one_line(path, line, at, d, err);
		free(line);
		at += n + 1;
	}
	if (!rc && !d->nlines)
		rc = BAD("its descriptor names no extents", path);
	return rc;
}

void vmdk_desc_free(struct vmdk_desc *d)
{
	for (unsigned i = 0; i < d->nlines; i++)
		free(d->line[i].name);
	free(d->line);
	free(d->text);
	free(d->create_type);
	free(d->parent);
}
