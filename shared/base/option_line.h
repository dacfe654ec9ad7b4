/* SPDX-License-Identifier: Apache-2.0
 * option_line.h - the grammar of one line of a configuration file: `key = value # comment`, a
 * comment, or nothing. The reader and the editor of files both stand on it. Pure.
 */
#ifndef SHARED_BASE_OPTION_LINE_H
#define SHARED_BASE_OPTION_LINE_H

#include "base/options.h"

struct option_line {
    bool has_key; /* set even when what follows the key is wrong */
    char key[OPTION_KEY_MAX + 1];
    char value[OPTION_VALUE_MAX];
    size_t key_at;              /* offsets from the line's start */
    size_t value_at, value_end; /* with its quotes */
};

/* @line has @len_bytes, without its newline; a carriage return is a blank. ST_INVAL: @*at is the
 * offset of the mistake. A line without a setting is ST_OK without has_key. */
enum status option_line_read(struct option_line *out, const char *line, size_t len_bytes,
                             size_t *at, struct errmsg *e);
/* @value as it is written after the '=', quoted where it must be. ST_INVAL: there is no way to
 * write it. ST_FULL: @cap is too small, which twice OPTION_VALUE_MAX never is. */
enum status option_line_quote(char *buf, size_t cap, const char *value, struct errmsg *e);

#endif
