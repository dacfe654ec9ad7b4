/* SPDX-License-Identifier: Apache-2.0
 * render.h - the status for people: what it says first, then one line a part, then what to do.
 *
 * Made from the JSON, not from the service's structs, so that it works with older and newer
 * services: what is missing is shown as "-", what is unknown is left out. At most 80 columns; text
 * from outside cannot move the cursor or set colours. Pure.
 */
#ifndef WINSVC_CLI_RENDER_H
#define WINSVC_CLI_RENDER_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

struct render_opts {
    bool color;
    int64_t now_ms; /* wall clock, for "since when" */
};

/* Ends with a newline; the caller frees it with free(). NULL = no memory. */
char *render_status(const struct cJSON *status, const struct render_opts *opts);

#endif
