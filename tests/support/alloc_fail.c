/* SPDX-License-Identifier: Apache-2.0 */
#include "support/alloc_fail.h"

#include <stddef.h>

static bool is_armed, has_failed;
static unsigned left, one_in; /* one_in: 0 = one failure, then no more */
static uint64_t dice;

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
    one_in = 0;
}

static unsigned draw(void)
{
    dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return 1 + (unsigned)((dice >> 33) % (2 * (uint64_t)one_in - 1)); /* one_in on average */
}

void alloc_fail_randomly(uint64_t seed, unsigned rate)
{
    dice = seed;
    alloc_fail_after(0);
    one_in = rate;
    left = draw();
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
    has_failed = true;
    if (one_in > 0)
        left = draw();
    else
        is_armed = false;
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
