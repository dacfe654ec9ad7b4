/* SPDX-License-Identifier: Apache-2.0
 * bundle.h - files of a report, kept in memory until all are there, then written as one tar.
 *
 * Everything that is added goes through redact(). Owns: its copies. Pure but for who takes the
 * bytes.
 */
#ifndef WINSVC_CLI_BUNDLE_H
#define WINSVC_CLI_BUNDLE_H

#include "base/status.h"
#include "cli/redact.h"

#include <stdint.h>

struct bundle;

enum { BUNDLE_FILES_MAX = 256, BUNDLE_BYTES_MAX = 32 * 1024 * 1024 };

/* @folder is what every file is in when it is unpacked; @names are borrowed. NULL = no memory. */
struct bundle *bundle_new(const char *folder, int64_t wall_ms, const struct redact_names *names);
void bundle_free(struct bundle *b); /* NULL is fine */

/* A file @name ("switches/x/stats.json"; one that ends in .json is JSON). What there is no room
 * for is named with the reason, like what cannot be had: in a file @name.missing.txt. */
void bundle_add(struct bundle *b, const char *name, const void *data, size_t len_bytes);
void bundle_add_missing(struct bundle *b, const char *name, const char *why);

/* A line for each file, "  12345  status.json"; the caller frees it with free(). NULL = no memory,
 * also of one of the additions. */
char *bundle_list(const struct bundle *b);
/* The archive, from its first byte to its last; first CONTENTS.txt with @contents. False: @write
 * took no more. */
bool bundle_write(const struct bundle *b, const char *contents,
                  bool (*write)(void *ctx, const void *data, size_t len_bytes), void *ctx);

#endif
