/* SPDX-License-Identifier: Apache-2.0
 * options.h - one table of options for a program: key, kind, default, where it goes, and a line of
 * help. The command line (--key value, --key=value, --flag) and the configuration file (key =
 * value) take the same keys and the same checks; help text is printed from the table.
 *
 * File format: one `key = value` per line, `#` starts a comment, values may be quoted with "...",
 * a repeatable key adds a value per line. Later sources override earlier ones: default < file <
 * command line. An unknown key is an error that names the nearest known one; an error in a file
 * says path:line:column. Who needs more sources, or to know which one a value came from, reads
 * them with option_source.h. Pure but for options_load_file() and options_load().
 */
#ifndef SHARED_BASE_OPTIONS_H
#define SHARED_BASE_OPTIONS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_UINT,     /* uint32_t, within [min, max] */
    OPTION_DURATION, /* uint32_t milliseconds: "250ms", "5s", "2m", plain number = seconds */
    OPTION_STRING,   /* char[OPTION_VALUE_MAX] */
    OPTION_LIST      /* struct option_list */
};

enum {
    OPTION_VALUE_MAX = 256,
    OPTION_LIST_MAX = 16,
    OPTION_KEY_MAX = 48,
    OPTIONS_MAX = 64, /* of one table */
    OPTION_FILE_MAX = 64 * 1024
};

struct option_list {
    char items[OPTION_LIST_MAX][OPTION_VALUE_MAX];
    unsigned count;
};

/* Checks a value beyond its kind, e.g. that an address parses. */
typedef enum status option_check_fn(const char *value, struct errmsg *e);

/* One for the option that every program has: levels as log_levels_parse() takes them. */
option_check_fn options_check_log_level;

struct option {
    const char *key; /* "max-connections" */
    enum option_kind kind;
    size_t offset;          /* of the field in the configuration struct */
    const char *fallback;   /* default as text; NULL = zero, empty */
    uint32_t min, max;      /* OPTION_UINT and OPTION_DURATION; both 0 = any */
    option_check_fn *check; /* may be NULL */
    const char *value_name; /* "ADDR" in the help; NULL for a flag */
    const char *help;
};

/* "250ms", "5s", "2m", "1h", a plain number is seconds; up to UINT32_MAX ms. ST_INVAL. */
enum status option_duration_parse(const char *text, uint64_t *out_ms);

/* Every field gets its default. A default that does not pass its own check is a broken invariant.
 */
void options_defaults(const struct option *table, size_t count, void *config);
/* Parses argv[0..argc) (without the program's name and verb). *rest is the number of leading
 * arguments consumed: parsing ends at "--" or at the first word that is no option. ST_INVAL. */
enum status options_parse_argv(const struct option *table, size_t count, void *config, int argc,
                               const char *const *argv, int *rest, struct errmsg *e);
/* ST_NOTFOUND, ST_DENIED, ST_IO, ST_FULL (over 64 KiB), ST_INVAL with "path:line:col: ...". */
enum status options_load_file(const struct option *table, size_t count, void *config,
                              const char *path, struct errmsg *e);
/* All sources in their order: defaults, then the file that the OPTION_STRING @file_key names on the
 * command line, then the command line, which must hold nothing but options. @config has @size_bytes
 * and is cleared first. A file that names a file is ST_INVAL; otherwise as the functions above. */
enum status options_load(const struct option *table, size_t count, void *config, size_t size_bytes,
                         const char *file_key, int argc, const char *const *argv, struct errmsg *e);
/* Help lines of at most 80 columns, appended to @buf; returns the length as snprintf does. */
size_t options_help(const struct option *table, size_t count, char *buf, size_t cap);

#endif
