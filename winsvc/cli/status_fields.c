/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_fields.h"

#include <cjson/cJSON.h>

#include <string.h>

const char *status_text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "";
}

const cJSON *status_find(const cJSON *object, const char *name, const char *key, const char *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, name))
    {
        if (!strcmp(status_text_in(item, key), value))
            return item;
    }
    return NULL;
}
