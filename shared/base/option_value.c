/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status parse_number(const char *text, const char **end, uint64_t *out)
{
    char *stop;

    if (!isdigit((unsigned char)text[0]))
        return ST_INVAL;
    errno = 0;
    *out = strtoull(text, &stop, 10);
    *end = stop;
    return errno == ERANGE || *out > UINT32_MAX ? ST_INVAL : ST_OK;
}

enum status option_duration_parse(const char *text, uint64_t *out_ms)
{
    static const struct {
        const char *suffix;
        uint32_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60 * 1000 }, { "h", 3600000 } };
    const char *end;
    uint64_t n;

    if (parse_number(text, &end, &n) != ST_OK)
        return ST_INVAL;
    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        if (!strcmp(end, units[i].suffix)) {
            *out_ms = n * units[i].ms;
            return *out_ms > UINT32_MAX ? ST_INVAL : ST_OK;
        }
    }
    return ST_INVAL;
}

static enum status store_number(const struct option *o, void *field, const char *value,
                                struct errmsg *e)
{
    bool is_duration = o->kind == OPTION_DURATION;
    const char *end = "";
    uint64_t n;
    enum status st = is_duration ? option_duration_parse(value, &n) : parse_number(value, &end, &n);

    if (st != ST_OK || *end) {
        errmsg_set(e, "%s: '%.60s' is not a %s", o->key, value,
                   is_duration ? "duration such as 250ms, 5s or 2m" : "whole number");
        return ST_INVAL;
    }
    if ((o->min || o->max) && (n < o->min || n > o->max)) {
        errmsg_set(e, "%s: %.60s is outside %u to %u%s", o->key, value, o->min, o->max,
                   is_duration ? " ms" : "");
        return ST_INVAL;
    }
    *(uint32_t *)field = (uint32_t)n;
    return ST_OK;
}

static enum status store_flag(const struct option *o, void *field, const char *value,
                              struct errmsg *e)
{
    if (!strcmp(value, "true") || !strcmp(value, "yes") || !strcmp(value, "on")) {
        *(bool *)field = true;
    } else if (!strcmp(value, "false") || !strcmp(value, "no") || !strcmp(value, "off")) {
        *(bool *)field = false;
    } else {
        errmsg_set(e, "%s: '%.60s' is neither true nor false", o->key, value);
        return ST_INVAL;
    }
    return ST_OK;
}

static enum status store_text(const struct option *o, void *field, const char *value, bool first,
                              struct errmsg *e)
{
    struct option_list *list = field;
    char *to = field;

    if (strlen(value) >= OPTION_VALUE_MAX) {
        errmsg_set(e, "%s: value longer than %d bytes", o->key, OPTION_VALUE_MAX - 1);
        return ST_INVAL;
    }
    if (o->kind == OPTION_LIST) {
        if (first)
            list->count = 0;
        if (list->count == OPTION_LIST_MAX) {
            errmsg_set(e, "%s: more than %d values", o->key, OPTION_LIST_MAX);
            return ST_INVAL;
        }
        to = list->items[list->count++];
    }
    memcpy(to, value, strlen(value) + 1);
    return ST_OK;
}

enum status option_value_store(const struct option *o, void *config, const char *value, bool first,
                               struct errmsg *e)
{
    void *field = (char *)config + o->offset;
    enum status st = o->check ? o->check(value, e) : ST_OK;

    if (st != ST_OK) {
        errmsg_wrap(e, "%s", o->key);
        return st;
    }
    switch (o->kind) {
    case OPTION_FLAG: return store_flag(o, field, value, e);
    case OPTION_UINT:
    case OPTION_DURATION: return store_number(o, field, value, e);
    case OPTION_STRING:
    case OPTION_LIST: return store_text(o, field, value, first, e);
    }
    return ST_INVAL;
}

/* ---- back to text -------------------------------------------------------------------------- */

static int format_duration(uint32_t ms, char *buf, size_t cap)
{
    if (ms % 1000)
        return snprintf(buf, cap, "%" PRIu32 "ms", ms);
    return snprintf(buf, cap, "%" PRIu32 "s", ms / 1000);
}

static size_t format_list(const struct option_list *list, char *buf, size_t cap)
{
    size_t len = 0;

    if (cap)
        buf[0] = '\0';
    for (unsigned i = 0; i < list->count; i++) {
        size_t at = MIN(len, cap);

        len += (size_t)snprintf(buf + at, cap - at, "%s%s", i ? ", " : "", list->items[i]);
    }
    return len;
}

size_t option_value_format(const struct option *o, const void *config, char *buf, size_t cap)
{
    const void *field = (const char *)config + o->offset;

    switch (o->kind) {
    case OPTION_FLAG:
        return (size_t)snprintf(buf, cap, "%s", *(const bool *)field ? "true" : "false");
    case OPTION_UINT: return (size_t)snprintf(buf, cap, "%" PRIu32, *(const uint32_t *)field);
    case OPTION_DURATION: return (size_t)format_duration(*(const uint32_t *)field, buf, cap);
    case OPTION_STRING: return (size_t)snprintf(buf, cap, "%s", (const char *)field);
    case OPTION_LIST: return format_list(field, buf, cap);
    }
    return 0;
}

/* ---- whole values -------------------------------------------------------------------------- */

static bool lists_equal(const struct option_list *a, const struct option_list *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

bool option_value_equal(const struct option *o, const void *a, const void *b)
{
    const void *x = (const char *)a + o->offset, *y = (const char *)b + o->offset;

    switch (o->kind) {
    case OPTION_FLAG: return *(const bool *)x == *(const bool *)y;
    case OPTION_UINT:
    case OPTION_DURATION: return *(const uint32_t *)x == *(const uint32_t *)y;
    case OPTION_STRING: return strcmp(x, y) == 0;
    case OPTION_LIST: return lists_equal(x, y);
    }
    return false;
}

static size_t size_of(enum option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG: return sizeof(bool);
    case OPTION_UINT:
    case OPTION_DURATION: return sizeof(uint32_t);
    case OPTION_STRING: return OPTION_VALUE_MAX;
    case OPTION_LIST: return sizeof(struct option_list);
    }
    return 0;
}

void option_value_copy(const struct option *o, void *to, const void *from)
{
    memcpy((char *)to + o->offset, (const char *)from + o->offset, size_of(o->kind));
}
