/* SPDX-License-Identifier: Apache-2.0
 * cli_file.h - a file that a person or the service named, read at once and bounded. Any thread.
 */
#ifndef WINSVC_CLI_CLI_FILE_H
#define WINSVC_CLI_CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* The last @max bytes of @path, terminated; *data is the caller's to free. False: it cannot be
 * read, or memory ran out. */
bool cli_read_tail(const char *path, size_t max, char **data, size_t *len_bytes);

#endif
