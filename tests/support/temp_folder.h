/* SPDX-License-Identifier: Apache-2.0
 * temp_folder.h - a folder of a test's own, below the system's for such, on both systems.
 */
#ifndef TESTS_SUPPORT_TEMP_FOLDER_H
#define TESTS_SUPPORT_TEMP_FOLDER_H

#include <stddef.h>

/* Makes one and writes its path to @out. What fails fails the test. */
void temp_folder_make(char *out, size_t cap);
/* Of a folder, the test's or one in it; what it holds has to be gone. */
void temp_folder_remove(const char *path);

#endif
