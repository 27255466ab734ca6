// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the Multiboot 1 boot protocol: ELF images, images that bring their own addresses, and modules
 *
 * Everything the file says (program headers, load addresses) is checked against the file's length and the
 * machine's RAM before a byte is placed. The start information (a stack, GDT, information structure, module list,
 * memory map, strings) is one piece; it goes below 1 MiB where the image leaves room, else behind the image.
 * Source: Multiboot Specification 0.6.96 ("spec", by section).
 */
#include "board/kernel_int.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

/* spec 3.1.1 and 3.1.2: header fields, the flags a loader must understand (0-15) */
#define HEADER_MAGIC 0x1badb002u
#define HEADER_SEARCH 8192
enum { WANT_ALIGNED = 1 << 0, WANT_MEMORY = 1 << 1, WANT_VIDEO = 1 << 2, HAS_ADDRESSES = 1 << 16 };
/* spec 3.2 and 3.3 */
#define LOADER_MAGIC 0x2badb002u
enum { INFO_MEMORY = 1 << 0, INFO_CMDLINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MAP = 1 << 6, INFO_NAME = 1 << 9 };
#define STRINGS_MAX KERNEL_CMDLINE_MAX
/* The start information's parts, from its first byte on; the strings follow the map. ESP is undefined (spec 3.2), but a
 * push before the image's own stack is set does no harm. */
enum { STACK_SIZE = 0xf00, GDT_AT = STACK_SIZE, INFO_AT = 0x1000, INFO_SIZE = 120, MODULES_AT = INFO_AT + 0x100 };

#define SEGMENTS_MAX 32
struct segment {
	uint64_t gpa, file_off, file_len, mem_len;
};
struct plan {
	struct segment seg[SEGMENTS_MAX];
	unsigned n;
	uint64_t entry, end;
};

static const uint8_t *find_header(const struct kernel_file *f)
{
	for (size_t off = 0; off + 12 <= MIN(f->len, (size_t)HEADER_SEARCH); off += 4) {
		const uint8_t *h = f->data + off;

		if (get_le32(h) == HEADER_MAGIC && get_le32(h) + get_le32(h + 4) + get_le32(h + 8) == 0)
			return h;
	}
	return NULL;
}

static int bad(struct err *err, const struct kernel_file *f, const char *what)
{
	return err_set(err, -EINVAL, "multiboot image '%s' %s", f->name, what);
}

static int add_segment(struct plan *p, const struct kernel_file *f, struct segment s, struct err *err)
{
	if (s.file_off > f->len || s.file_len > f->len - s.file_off)
		return bad(err, f, "is truncated: a part of it lies beyond the end of the file");
	if (s.mem_len < s.file_len || s.gpa > UINT32_MAX || s.mem_len > UINT32_MAX - s.gpa)
		return bad(err, f, "asks for addresses beyond 4 GiB");
	if (s.mem_len && (s.gpa < KERNEL_LOW || (s.gpa < KERNEL_BASE && s.gpa + s.mem_len > E820_EBDA)))
		return bad(err, f, "wants to be loaded where a PC has its BIOS's data, video memory or ROM: "
		                   "below 1 MiB there is room from 0x1000 to 0x9fbff");
	if (p->n == SEGMENTS_MAX)
		return bad(err, f, "has too many segments");
	p->seg[p->n++] = s;
	p->end = MAX(p->end, s.gpa + s.mem_len);
	return 0;
}

/* spec 3.1.3: the address fields of the header. */
static int plan_addresses(struct plan *p, const struct kernel_file *f, const uint8_t *h, struct err *err)
{
	uint32_t header_addr = get_le32(h + 12), load = get_le32(h + 16), load_end = get_le32(h + 20),
	         bss_end = get_le32(h + 24);
	uint64_t header_off = (uint64_t)(h - f->data), off, len;

	if (header_addr < load || header_off < header_addr - load || (load_end && load_end < load) ||
	    (bss_end && bss_end < load))
		return bad(err, f, "has a header whose addresses contradict each other");
	off = header_off - (header_addr - load);
	len = load_end ? load_end - load : f->len - off;
	p->entry = get_le32(h + 28);
	return add_segment(p, f, (struct segment){ load, off, len, MAX(len, bss_end ? (uint64_t)bss_end - load : 0) }, err);
}

/* The entry point is a virtual address; kernels linked high give it so. */
static void fix_entry(struct plan *p, uint64_t vaddr, uint64_t gpa, uint64_t len)
{
	if (p->entry >= vaddr && p->entry - vaddr < len && vaddr != gpa)
		p->entry = p->entry - vaddr + gpa;
}

static int plan_elf32(struct plan *p, const struct kernel_file *f, struct err *err)
{
	Elf32_Ehdr eh;
	uint64_t entry;

	memcpy(&eh, f->data, sizeof(eh));
	p->entry = entry = eh.e_entry;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		uint64_t at = eh.e_phoff + (uint64_t)i * eh.e_phentsize;
		Elf32_Phdr ph;

		if (at + sizeof(ph) > f->len)
			return bad(err, f, "is truncated: its program headers lie beyond the end of the file");
		memcpy(&ph, f->data + at, sizeof(ph));
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		if (add_segment(p, f, (struct segment){ ph.p_paddr, ph.p_offset, ph.p_filesz, ph.p_memsz }, err))
			return -EINVAL;
		if (p->entry == entry)
			fix_entry(p, ph.p_vaddr, ph.p_paddr, ph.p_memsz);
	}
	return 0;
}

static int plan_elf64(struct plan *p, const struct kernel_file *f, struct err *err)
{
	Elf64_Ehdr eh;
	uint64_t entry;

	memcpy(&eh, f->data, sizeof(eh));
	p->entry = entry = eh.e_entry;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		uint64_t at = eh.e_phoff + (uint64_t)i * eh.e_phentsize;
		Elf64_Phdr ph;

		if (eh.e_phoff > f->len || at + sizeof(ph) > f->len)
			return bad(err, f, "is truncated: its program headers lie beyond the end of the file");
		memcpy(&ph, f->data + at, sizeof(ph));
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		if (add_segment(p, f, (struct segment){ ph.p_paddr, ph.p_offset, ph.p_filesz, ph.p_memsz }, err))
			return -EINVAL;
		if (p->entry == entry)
			fix_entry(p, ph.p_vaddr, ph.p_paddr, ph.p_memsz);
	}
	return 0;
}

static int make_plan(struct plan *p, const struct kernel *k, struct err *err)
{
	const struct kernel_file *f = &k->image;
	const uint8_t *h = find_header(f);
	bool elf = f->len >= sizeof(Elf64_Ehdr) && !memcmp(f->data, ELFMAG, SELFMAG);
	int ret;

	*p = (struct plan){ 0 };
	if (get_le32(h + 4) & HAS_ADDRESSES) {
		if (h + 32 > f->data + f->len)
			return bad(err, f, "is truncated inside its header");
		ret = plan_addresses(p, f, h, err);
	} else if (elf && f->data[EI_CLASS] == ELFCLASS32) {
		ret = plan_elf32(p, f, err);
	} else if (elf && f->data[EI_CLASS] == ELFCLASS64) {
		ret = plan_elf64(p, f, err);
	} else {
		ret = bad(err, f, "is neither ELF nor gives load addresses in its header");
	}
	if (!ret && !p->n)
		ret = bad(err, f, "has nothing to load");
	if (!ret && p->entry > UINT32_MAX)
		ret = bad(err, f, "has an entry point beyond 4 GiB");
	return ret;
}

static int multiboot_probe(struct kernel *k, struct err *err)
{
	const uint8_t *h = find_header(&k->image);
	struct plan plan;
	uint32_t flags;

	if (!h)
		return 0;
	flags = get_le32(h + 4);
	if (flags & 0xffff & ~(uint32_t)(WANT_ALIGNED | WANT_MEMORY | WANT_VIDEO))
		return err_set(err, -EINVAL, "multiboot image '%s' requires features unknown to Multiboot 1 (flags %#x)",
		               k->image.name, flags);
	snprintf(k->what, sizeof(k->what), "Multiboot 1");
	return make_plan(&plan, k, err) ? -EINVAL : 1;
}

/* Strings, handed out from next up. */
struct strings {
	const struct kernel_place *at;
	uint32_t next, end;
};

static uint32_t put_string(struct strings *s, const char *text)
{
	uint32_t at = s->next, len = (uint32_t)strlen(text) + 1;

	must(len <= s->end - s->next);
	kernel_put(s->at, at, text, len);
	s->next += (len + 7) & ~7u;
	return at;
}

/* spec 3.3, mods: 16 bytes each; modules are always page aligned. */
static int put_modules(const struct kernel *k, const struct kernel_place *at, struct strings *s, uint64_t from,
                       uint32_t list, struct err *err)
{
	for (unsigned i = 0; i < k->nmodules; i++) {
		const struct kernel_file *f = &k->module[i];
		uint64_t gpa = (from + 4095) & ~4095ull;
		uint8_t e[16] = { 0 };

		from = gpa + f->len;
		if (from > at->top)
			return kernel_no_room(err, f, from, at->top);
		kernel_put(at, gpa, f->data, f->len);
		put_le32(e, (uint32_t)gpa);
		put_le32(e + 4, (uint32_t)from);
		put_le32(e + 8, put_string(s, f->name));
		kernel_put(at, list + i * 16, e, sizeof(e));
	}
	return 0;
}

/* spec 3.3, mmap: the size field does not count itself. Returns the table's length. */
static uint32_t put_map(const struct kernel_place *at, uint32_t gpa)
{
	for (unsigned i = 0; i < at->map->n; i++) {
		uint8_t e[24];

		put_le32(e, 20);
		put_le64(e + 4, at->map->entry[i].addr);
		put_le64(e + 12, at->map->entry[i].size);
		put_le32(e + 20, at->map->entry[i].type);
		kernel_put(at, gpa + i * 24, e, sizeof(e));
	}
	return at->map->n * 24;
}

static bool is_free(const struct plan *p, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < p->n; i++)
		if (gpa < p->seg[i].gpa + p->seg[i].mem_len && p->seg[i].gpa < gpa + len)
			return false;
	return gpa >= KERNEL_LOW && gpa + len <= E820_EBDA;
}

/* Where len bytes of start information go: the usual place, below that, behind a low segment, or behind the image. */
static uint64_t find_room(const struct plan *p, uint64_t len)
{
	const uint64_t usual[] = { KERNEL_INFO - INFO_AT, KERNEL_LOW };

	for (unsigned i = 0; i < ARRAY_LEN(usual); i++)
		if (is_free(p, usual[i], len))
			return usual[i];
	for (unsigned i = 0; i < p->n; i++) {
		uint64_t behind = (p->seg[i].gpa + p->seg[i].mem_len + 4095) & ~4095ull;

		if (is_free(p, behind, len))
			return behind;
	}
	return MAX((p->end + 4095) & ~4095ull, KERNEL_BASE);
}

static uint64_t strings_len(const struct kernel *k, const char *line)
{
	uint64_t len = strlen(line) + 8 + 16;

	for (unsigned i = 0; i < k->nmodules; i++)
		len += strlen(k->module[i].name) + 8;
	return len;
}

static void put_segments(const struct kernel *k, const struct kernel_place *at, const struct plan *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		const struct segment *s = &p->seg[i];

		kernel_put(at, s->gpa, k->image.data + s->file_off, s->file_len);
		kernel_put_zeros(at, s->gpa + s->file_len, s->mem_len - s->file_len);
	}
}

/* spec 3.3: the information structure, and what it points to but the modules. */
static void put_info(const struct kernel *k, const struct kernel_place *at, uint32_t base, const char *line,
                     struct strings *s)
{
	const uint32_t map = base + MODULES_AT + 16 * k->nmodules;
	uint8_t info[INFO_SIZE] = { 0 };

	put_le32(info, INFO_MEMORY | INFO_CMDLINE | INFO_MAP | INFO_NAME | (k->nmodules ? INFO_MODULES : 0));
	put_le32(info + 4, E820_EBDA >> 10);
	put_le32(info + 8, (uint32_t)((at->top - KERNEL_BASE) >> 10));
	put_le32(info + 16, put_string(s, line));
	put_le32(info + 20, k->nmodules);
	put_le32(info + 24, base + MODULES_AT);
	put_le32(info + 44, put_map(at, map));
	put_le32(info + 48, map);
	put_le32(info + 64, put_string(s, "ring3"));
	kernel_put_gdt(at, base + GDT_AT);
	kernel_put(at, base + INFO_AT, info, sizeof(info));
}

static int multiboot_load(const struct kernel *k, const struct kernel_place *at, struct kernel_entry *entry,
                          struct err *err)
{
	const uint32_t strings = MODULES_AT + 16 * k->nmodules + 24 * at->map->n;
	char line[4096];
	struct plan p;
	uint64_t len, base, end;

	if (make_plan(&p, k, err))
		return -EINVAL;
	if ((size_t)snprintf(line, sizeof(line), "%s%s%s", k->image.name, *k->append ? " " : "", k->append) >= sizeof(line))
		return err_set(err, -EINVAL, "--append is longer than %zu characters", sizeof(line) - 1);
	len = strings_len(k, line);
	if (len > STRINGS_MAX)
		return err_set(err, -EINVAL, "--initrd: the modules' command lines are longer than %d bytes", STRINGS_MAX);
	base = find_room(&p, strings + len);
	end = MAX(p.end, base + strings + len);
	if (end > at->top)
		return kernel_no_room(err, &k->image, end, at->top);
	struct strings s = { at, (uint32_t)base + strings, (uint32_t)(base + strings + len) };
	put_segments(k, at, &p);
	put_info(k, at, (uint32_t)base, line, &s);
	*entry = (struct kernel_entry){
		.eip = (uint32_t)p.entry, .eax = LOADER_MAGIC, .ebx = (uint32_t)base + INFO_AT,
		.esp = (uint32_t)base + STACK_SIZE, .gdt = (uint32_t)base + GDT_AT,
	};
	return put_modules(k, at, &s, MAX(end, KERNEL_BASE), (uint32_t)base + MODULES_AT, err);
}

const struct kernel_protocol kernel_multiboot = { .probe = multiboot_probe, .load = multiboot_load,
	.many_modules = true };
