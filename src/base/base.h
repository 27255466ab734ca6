// SPDX-License-Identifier: GPL-2.0-or-later
/* what: errors, assertions, logging, allocation and byte order: the words every room uses
 *
 * Three kinds of error have three means (STYLE.md section 5):
 *   guest's fault   architected result plus guest_log(), never an exit
 *   host or user    0 or negative errno, text in struct err
 *   our own         must(), always on
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

/* Why an operation on the host failed, for a person. Filled by the function that returns the error. */
struct err {
	char msg[320];
	int code; /* as the function that failed first returned it */
};

/* Write a message into err (which may be NULL) and return code (a negative errno). */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Did the host run out of something or refuse it, whatever the user had asked for? After err_set. */
bool err_is_host(const struct err *err);
/* Put "prefix: " in front of what err already says and return code. */
int err_prefix(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Our own mistake: print what and where, call the dump hook if one is set, abort. */
noreturn void must_failed(const char *what, const char *file, int line);
/* Called once by the first must() that fails, before abort; NULL: none. */
void must_set_dump(void (*dump)(void *opaque), void *opaque);
#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))
#ifdef NDEBUG
#define dassert(cond) ((void)0)
#else
#define dassert(cond) must(cond)
#endif

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
/* Process-wide threshold; LOG_WARN at start. cli/ sets it from --verbose. */
void log_set_level(enum log_level level);
void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Something the guest did that no sane guest does. Rate limited process-wide; shown at LOG_INFO. Leaves vector
 * registers alone. */
void guest_log(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Zeroed memory for small fixed objects; aborts when the host has none. Free with free(). */
void *xalloc(size_t size);
char *xstrdup(const char *s);
/* Zeroed memory whose size comes from a guest, file or peer: NULL if size > limit or the host has none. */
void *try_alloc(size_t size, size_t limit);

/* Unaligned little- and big-endian access to bytes. */
static inline uint16_t get_le16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t get_le32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t get_le64(const void *p)
{
	return get_le32(p) | (uint64_t)get_le32((const uint8_t *)p + 4) << 32;
}
static inline void put_le16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(void *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(void *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t get_be16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t get_be32(const void *p)
{
	return (uint32_t)get_be16(p) << 16 | get_be16((const uint8_t *)p + 2);
}
static inline void put_be16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}
static inline void put_be32(void *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16((uint8_t *)p + 2, (uint16_t)v);
}

#endif
