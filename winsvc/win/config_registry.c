/* SPDX-License-Identifier: Apache-2.0 */
#include "win/config_registry.h"

#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

enum {
    NAME_MAX_CHARS = OPTION_KEY_MAX + 2, /* a longer name is no option's: it is cut, and unknown */
    DATA_MAX_CHARS = OPTION_LIST_MAX * OPTION_VALUE_MAX,
    VALUES_MAX = 1024
};

/* One value as it is read; some 24 KiB. */
struct raw {
    wchar_t name[16384]; /* the longest there can be */
    wchar_t data[DATA_MAX_CHARS + 2];
    DWORD type, size_bytes;
    char key[4 * NAME_MAX_CHARS];
    char texts[OPTION_LIST_MAX][4 * OPTION_VALUE_MAX];
};

static enum status take_text(struct raw *r, struct config_value *v, const wchar_t *text)
{
    char *to = r->texts[v->count];
    enum status st =
        v->count == OPTION_LIST_MAX ? ST_FULL : utf16_to_utf8(to, sizeof r->texts[0], text);

    if (st == ST_OK)
        v->items[v->count++] = to;
    return st;
}

static enum status take_list(struct raw *r, struct config_value *v)
{
    enum status st = ST_OK;

    for (const wchar_t *at = r->data; *at && st == ST_OK; at += wcslen(at) + 1)
        st = take_text(r, v, at);
    return st;
}

static enum status decode(struct raw *r, struct config_value *v)
{
    DWORD number;

    r->data[r->size_bytes / sizeof r->data[0]] = L'\0'; /* nobody promises that it is there */
    r->data[r->size_bytes / sizeof r->data[0] + 1] = L'\0';
    switch (r->type) {
    case REG_SZ: v->kind = CONFIG_TEXT; return take_text(r, v, r->data);
    case REG_MULTI_SZ: v->kind = CONFIG_LIST; return take_list(r, v);
    case REG_DWORD:
        if (r->size_bytes != sizeof number)
            return ST_INVAL;
        memcpy(&number, r->data, sizeof number);
        snprintf(r->texts[0], sizeof r->texts[0], "%lu", (unsigned long)number);
        v->kind = CONFIG_NUMBER;
        v->items[v->count++] = r->texts[0];
        return ST_OK;
    default: return ST_INVAL;
    }
}

static enum status pass_on(struct raw *r, const char *place, config_value_fn *fn, void *ctx,
                           struct errmsg *e)
{
    struct config_value v = { .name = r->key };
    enum status st;

    if (!r->name[0])
        return ST_OK; /* a key's own text */
    r->name[NAME_MAX_CHARS - 1] = L'\0';
    st = utf16_to_utf8(r->key, sizeof r->key, r->name);
    if (st == ST_OK)
        st = decode(r, &v);
    if (st == ST_OK) {
        fn(ctx, &v);
        return ST_OK;
    }
    errmsg_set(e, "HKLM\\%s\\%s: %s", place, r->key,
               st == ST_FULL ? "too long, or too many values"
                             : "neither REG_SZ, REG_DWORD nor REG_MULTI_SZ of good UTF-16");
    return ST_INVAL;
}

static enum status read_values(HKEY key, struct raw *r, const char *place, config_value_fn *fn,
                               void *ctx, struct errmsg *e)
{
    enum status result = ST_OK;

    for (DWORD i = 0; i < VALUES_MAX; i++) {
        DWORD name_len = ARRAY_SIZE(r->name);
        LONG error;
        enum status st;

        r->size_bytes = DATA_MAX_CHARS * sizeof r->data[0];
        error = RegEnumValueW(key, i, r->name, &name_len, NULL, &r->type, (BYTE *)r->data,
                              &r->size_bytes);
        if (error == ERROR_NO_MORE_ITEMS)
            break;
        if (error == ERROR_MORE_DATA) {
            errmsg_set(e, "HKLM\\%s: a value is too long", place);
            result = ST_INVAL;
            continue;
        }
        if (error != ERROR_SUCCESS)
            return win_error_set(e, place, (DWORD)error);
        st = pass_on(r, place, fn, ctx, e);
        if (result == ST_OK)
            result = st;
    }
    return result;
}

static enum status registry_read(const struct config_store *s, const char *place,
                                 config_value_fn *fn, void *ctx, struct errmsg *e)
{
    static struct raw raw; /* one loop, one thread */
    wchar_t path[OPTION_VALUE_MAX];
    HKEY key;
    enum status st = utf8_to_utf16(path, ARRAY_SIZE(path), place);
    LONG error;

    if (st != ST_OK)
        return st;
    error = RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | KEY_WOW64_64KEY, &key);
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND)
        return ST_OK;
    if (error != ERROR_SUCCESS)
        return win_error_set(e, place, (DWORD)error);
    st = read_values(key, &raw, place, fn, ctx, e);
    RegCloseKey(key);
    return st;
}

enum status config_registry_init(struct config_store *s, const char *name)
{
    int settings = snprintf(s->settings, sizeof s->settings, "SOFTWARE\\%s", name);
    int policy = snprintf(s->policy, sizeof s->policy, "SOFTWARE\\Policies\\%s", name);

    s->read = registry_read;
    s->ctx = NULL;
    return settings < (int)sizeof s->settings && policy < (int)sizeof s->policy ? ST_OK : ST_FULL;
}
