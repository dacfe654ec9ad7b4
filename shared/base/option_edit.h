/* SPDX-License-Identifier: Apache-2.0
 * option_edit.h - changes one setting in the text of a configuration file and leaves every other
 * byte of it alone: comments, order, blank lines, line ends. Pure.
 */
#ifndef SHARED_BASE_OPTION_EDIT_H
#define SHARED_BASE_OPTION_EDIT_H

#include "base/options.h"

/* @key gets @values, one line for each; @count 0 takes its lines out. A line that sets @key already
 * keeps its comment, lines that are too many go, new ones come after the last one of the key or at
 * the end of the text. Nothing is checked against a table. *@out is the caller's to free(),
 * @out_len without the zero byte at its end. ST_NOMEM, ST_INVAL (a value that cannot be written),
 * ST_FULL (longer than OPTION_FILE_MAX). */
enum status option_edit(const char *text, size_t len_bytes, const char *key,
                        const char *const *values, unsigned count, char **out, size_t *out_len,
                        struct errmsg *e);

#endif
