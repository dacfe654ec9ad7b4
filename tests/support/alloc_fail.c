/* SPDX-License-Identifier: Apache-2.0 */
#include "support/alloc_fail.h"

#include <stddef.h>

static bool is_armed, has_failed;
static unsigned left;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void alloc_fail_after(unsigned count)
{
    is_armed = true;
    has_failed = false;
    left = count;
}

bool alloc_fail_stop(void)
{
    is_armed = false;
    return has_failed;
}

static bool fails_now(void)
{
    if (!is_armed || left-- > 0)
        return false;
    is_armed = false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails_now() ? NULL : __real_realloc(p, n);
}
