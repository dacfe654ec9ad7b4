/* SPDX-License-Identifier: Apache-2.0
 * alloc_fail.h - lets an allocation fail on purpose. The test's target says so in CMake with
 * rdl_test_alloc_fail(), which makes malloc, calloc and realloc of its own and the project's code
 * come here (not those within shared libraries).
 */
#ifndef TESTS_SUPPORT_ALLOC_FAIL_H
#define TESTS_SUPPORT_ALLOC_FAIL_H

#include <stdbool.h>
#include <stdint.h>

/* The allocation after the next @count ones fails, once. */
void alloc_fail_after(unsigned count);
/* From now on one in @rate allocations fails, drawn from @seed, but never two in a row: who tries
 * again at once (the sims do) is not in the way. */
void alloc_fail_randomly(uint64_t seed, unsigned rate);
/* No further failures; true when one that was ordered has happened. */
bool alloc_fail_stop(void);

#endif
