// SPDX-License-Identifier: GPL-2.0-or-later
/* what: kernels started without firmware: reading the files and choosing the boot protocol
 *
 * Files are read once, completely, when the machine is made: a guest that resets gets the same kernel again even
 * if the file has changed since, and bad files are refused before anything runs.
 */
#include <stdlib.h>
#include <string.h>

#include "board/file.h"
#include "board/kernel_int.h"

#define FILE_LIMIT GIB(4)

static int read_file(struct kernel_file *f, const char *path, struct err *err)
{
	f->name = xstrdup(path);
	return file_read(path, FILE_LIMIT, &f->data, &f->len, err);
}

/* One module of "FILE args": the file is the first word, the command line the whole. */
static int read_module(struct kernel *k, const char *spec, struct err *err)
{
	struct kernel_file *f = &k->module[k->nmodules];
	char *path = xstrdup(spec);
	int ret;

	path[strcspn(path, " ")] = 0;
	ret = read_file(f, path, err);
	free(path);
	free(f->name);
	f->name = xstrdup(spec);
	k->nmodules++;
	return ret;
}

static int read_modules(struct kernel *k, const char *list, struct err *err)
{
	char *copy = xstrdup(list), *rest = copy, *one;
	int ret = 0;

	while (!ret && (one = strsep(&rest, ","))) {
		if (!*one)
			ret = err_set(err, -EINVAL, "'%s' has an empty module name between commas", list);
		else if (k->nmodules == KERNEL_MODULES_MAX)
			ret = err_set(err, -EINVAL, "more than %d modules", KERNEL_MODULES_MAX);
		else
			ret = read_module(k, one, err);
	}
	free(copy);
	return ret;
}

static int read_initrd(struct kernel *k, const char *initrd, struct err *err)
{
	if (!initrd)
		return 0;
	if (k->protocol->many_modules)
		return read_modules(k, initrd, err);
	k->nmodules = 1;
	return read_file(&k->module[0], initrd, err);
}

/* Say what the file is instead, where its first bytes tell. */
static int not_a_kernel(const struct kernel_file *f, struct err *err)
{
	static const struct {
		const char *magic, *what;
		uint8_t len;
	} known[] = {
		{ "\177ELF", "an ELF file without a multiboot header (for Linux give the bzImage, usually called vmlinuz)", 4 },
		{ "\037\213", "gzip data", 2 },
		{ "\3757zXZ", "xz data", 6 },
		{ "\050\265\057\375", "zstd data", 4 },
		{ "070701", "a cpio archive (an initrd?)", 6 },
		{ "!<arch>", "an ar archive (a .deb package?)", 7 },
		{ "#!", "a script", 2 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		if (f->len >= known[i].len && !memcmp(f->data, known[i].magic, known[i].len))
			return err_set(err, -EINVAL, "'%s' is no kernel but %s", f->name, known[i].what);
	return err_set(err, -EINVAL, "'%s' is no kernel: neither a Linux bzImage nor a multiboot image", f->name);
}

static int choose_protocol(struct kernel *k, struct err *err)
{
	static const struct kernel_protocol *const protocols[] = { &kernel_linux, &kernel_multiboot };

	for (unsigned i = 0; i < ARRAY_LEN(protocols); i++) {
		int ret = protocols[i]->probe(k, err);

		if (ret < 0)
			return ret;
		if (ret > 0) {
			k->protocol = protocols[i];
			return 0;
		}
	}
	return not_a_kernel(&k->image, err);
}

struct kernel *kernel_open(const struct kernel_config *cfg, struct err *err)
{
	struct kernel *k = xalloc(sizeof(*k));

	k->append = xstrdup(cfg->append ? cfg->append : "");
	if (read_file(&k->image, cfg->kernel, err) || choose_protocol(k, err)) {
		err_prefix(err, -EINVAL, "--kernel");
		goto fail;
	}
	if (read_initrd(k, cfg->initrd, err)) {
		err_prefix(err, -EINVAL, "--initrd");
		goto fail;
	}
	return k;
fail:
	kernel_free(k);
	return NULL;
}

static void free_file(struct kernel_file *f)
{
	free(f->name);
	file_free(f->data, f->len);
}

void kernel_free(struct kernel *k)
{
	if (!k)
		return;
	free_file(&k->image);
	for (unsigned i = 0; i < k->nmodules; i++)
		free_file(&k->module[i]);
	free(k->append);
	free(k);
}

const char *kernel_what(const struct kernel *k)
{
	return k->what;
}

void kernel_put(const struct kernel_place *at, uint64_t gpa, const void *data, size_t len)
{
	if (at->mem)
		must(mem_dma_write(at->mem, gpa, data, len));
}

void kernel_put_zeros(const struct kernel_place *at, uint64_t gpa, uint64_t len)
{
	static const uint8_t zeros[4096];

	for (uint64_t done = 0, n; done < len; done += n) {
		n = MIN(len - done, sizeof(zeros));
		kernel_put(at, gpa + done, zeros, n);
	}
}

int kernel_no_room(struct err *err, const struct kernel_file *f, uint64_t need, uint64_t top)
{
	return err_set(err, -EFBIG,
	               "'%s' needs memory up to %llu MiB, the machine has %llu MiB there: give a larger --memory",
	               f->name, (unsigned long long)(need + 0xfffff) >> 20, (unsigned long long)top >> 20);
}

/* The GDT both protocols leave behind: flat code at 0x10, flat data at 0x18 (Linux x86 boot protocol, "32-bit boot
 * protocol"). */
void kernel_put_gdt(const struct kernel_place *at, uint32_t gpa)
{
	static const uint64_t gdt[4] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };

	kernel_put(at, gpa, gdt, sizeof(gdt));
}

int kernel_load(const struct kernel *k, const struct kernel_place *at, struct kernel_entry *entry, struct err *err)
{
	*entry = (struct kernel_entry){ 0 };
	return k->protocol->load(k, at, entry, err);
}
