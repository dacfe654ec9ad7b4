/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_config.h"

#include "base/option_value.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { PLACE_MAX = OPTION_VALUE_MAX + 16, SHOWN_MAX = 700 };

/* ---- lines --------------------------------------------------------------------------------- */

/* " locked, also set by file" */
static void describe(const struct config *c, const struct option *o,
                     const struct option_origin *from, char *buf, size_t cap)
{
    size_t len = 0;

    buf[0] = '\0';
    if (config_is_locked(c, o))
        len = (size_t)snprintf(buf, cap, ", locked");
    for (unsigned layer = 0; layer < OPTION_LAYER_COUNT; layer++)
        if (layer != from->layer && from->layers & 1u << layer && len < cap)
            len += (size_t)snprintf(buf + len, cap - len, ", not %s's",
                                    option_layer_name((enum option_layer)layer));
}

static void show_line(const struct cli_env *env, const struct config *c, const struct option *o,
                      const struct option_origin *from)
{
    char value[SHOWN_MAX], place[PLACE_MAX], more[128];

    option_value_format(o, c, value, sizeof value);
    describe(c, o, from, more, sizeof more);
    cli_say(env, "%-18s %s%s(%.200s%s)\n", o->key, value, value[0] ? "  " : "",
            config_origin_text(c, o, place, sizeof place), more);
}

static void show_lines(const struct cli_env *env, const struct config *c)
{
    size_t count;
    const struct option *table = config_options(&count);

    cli_say(env, "%s%s\n\n", c->places.file, c->file_is_there ? "" : " (does not exist)");
    for (size_t i = 0; i < count; i++)
        show_line(env, c, &table[i], &c->origins[i]);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static cJSON *list_of(const struct option_list *list)
{
    cJSON *array = cJSON_CreateArray();

    for (unsigned i = 0; i < list->count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateString(list->items[i]));
    return array;
}

static cJSON *value_of(const struct config *c, const struct option *o)
{
    const void *field = (const char *)c + o->offset;
    char text[OPTION_VALUE_MAX];

    switch (o->kind) {
    case OPTION_FLAG: return cJSON_CreateBool(*(const bool *)field);
    case OPTION_UINT: return cJSON_CreateNumber(*(const uint32_t *)field);
    case OPTION_LIST: return list_of(field);
    case OPTION_DURATION:
    case OPTION_STRING: break;
    }
    option_value_format(o, c, text, sizeof text);
    return cJSON_CreateString(text);
}

static cJSON *object_of(const struct config *c, const struct option *o,
                        const struct option_origin *from)
{
    cJSON *item = cJSON_CreateObject(), *ignored;
    char place[PLACE_MAX];

    cJSON_AddItemToObject(item, "value", value_of(c, o));
    cJSON_AddStringToObject(item, "source", option_layer_name(from->layer));
    cJSON_AddStringToObject(item, "place", config_origin_text(c, o, place, sizeof place));
    cJSON_AddBoolToObject(item, "locked", config_is_locked(c, o));
    ignored = cJSON_AddArrayToObject(item, "overridden");
    for (unsigned layer = 0; layer < OPTION_LAYER_COUNT; layer++)
        if (layer != from->layer && from->layers & 1u << layer)
            cJSON_AddItemToArray(ignored,
                                 cJSON_CreateString(option_layer_name((enum option_layer)layer)));
    return item;
}

static cJSON *whole(const struct config *c)
{
    size_t count;
    const struct option *table = config_options(&count);
    cJSON *root = cJSON_CreateObject(), *values;

    cJSON_AddStringToObject(root, "file", c->places.file);
    cJSON_AddBoolToObject(root, "fileExists", c->file_is_there);
    values = cJSON_AddObjectToObject(root, "values");
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToObject(values, table[i].key, object_of(c, &table[i], &c->origins[i]));
    return root;
}

static int show_json(const struct cli_env *env, const struct config *c)
{
    cJSON *root = whole(c);
    char *text = cJSON_Print(root);
    int code = CLI_READY;

    if (text) {
        env->print(env->ctx, CLI_STDOUT, text);
        env->print(env->ctx, CLI_STDOUT, "\n");
    } else {
        code = cli_out_of_memory(env, CLI_DEGRADED);
    }
    cJSON_free(text);
    cJSON_Delete(root);
    return code;
}

int cli_config_show(const struct cli_env *env, const struct config *c, bool json)
{
    if (json)
        return show_json(env, c);
    show_lines(env, c);
    return CLI_READY;
}
