/* SPDX-License-Identifier: Apache-2.0
 * status_fields.h - reading the status' JSON without minding what is missing. Pure.
 */
#ifndef WINSVC_CLI_STATUS_FIELDS_H
#define WINSVC_CLI_STATUS_FIELDS_H

struct cJSON;

/* The text of a field, as it came; "" when it is not there or no text. */
const char *status_text_in(const struct cJSON *object, const char *name);
/* The first object of the list @name in @object whose field @key is the text @value; NULL: none. */
const struct cJSON *status_find(const struct cJSON *object, const char *name, const char *key,
                                const char *value);

#endif
