/* SPDX-License-Identifier: Apache-2.0
 * util.h - the few macros everything uses. Keep it tiny: a helper with a subject of its own gets
 * a file of its own.
 */
#ifndef SHARED_BASE_UTIL_H
#define SHARED_BASE_UTIL_H

#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Printf-style format checking for our own functions: @fmt and @args are 1-based positions. For
 * mingw plain "printf" means msvcrt's, which knows no %zu; we link the C17 one. */
#ifdef __MINGW32__
#    define PRINTF_LIKE(fmt, args) __attribute__((format(gnu_printf, fmt, args)))
#else
#    define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#endif

/* A broken invariant, never bad input: on in release too, because going on would be worse. */
#define ASSERT(cond) ((cond) ? (void)0 : util_assert_failed(#cond, __FILE__, __LINE__))

__attribute__((noreturn)) void util_assert_failed(const char *cond, const char *file, int line);

#endif
