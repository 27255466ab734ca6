/* SPDX-License-Identifier: GPL-2.0-or-later */
/* what: a row of the benchmark: one operation that can be repeated, and when it makes sense. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * run() does the operation n times.  It returns the nanoseconds that count, or 0 if all the time it took counts.
 * Its result must depend on the work (see keep), or the compiler drops it.
 */
struct row {
	const char *name;
	const char *group;
	uint64_t (*run)(uint64_t n);
	bool (*usable)(void);   /* NULL: always */
};

extern const struct row kernel_rows[], integer_rows[], vector_rows[], device_rows[], smp_rows[];

uint64_t now_ns(void);

/* Ends the row (its process) with a reason. */
_Noreturn void fail(const char *what);

/* Zeroed pages of 4 KiB, never huge ones. */
void *pages(size_t size);

/* A file name on a tmpfs, for a file that the row makes and unlinks. */
const char *scratch_file(void);

/* The raw disk to read, or NULL. */
const char *disk_file(void);

/* Are we the init of a guest (and so free to touch devices)? */
bool in_guest(void);

/* xorshift, so that all machines see the same sequence. */
static inline uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Makes the compiler believe that value is used. */
#define keep(value) __asm__ volatile("" : : "g"(value) : "memory")

#endif
