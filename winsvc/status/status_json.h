/* SPDX-License-Identifier: Apache-2.0
 * status_json.h - a snapshot as the JSON that docs/status.schema.json describes.
 *
 * Field names are only ever added; a field that does not apply is null, never left out, so that a
 * reader can rely on every name. Conditions carry exactly Kubernetes' six fields. Pure; any thread.
 */
#ifndef WINSVC_STATUS_STATUS_JSON_H
#define WINSVC_STATUS_STATUS_JSON_H

#include "base/status.h"
#include "base/wall_time.h"

#include <stddef.h>
#include <stdint.h>

struct snapshot;

#define STATUS_API_VERSION "rdlink.v1"

enum { STATUS_TIME_MAX = WALL_TIME_MAX };

/* "2026-11-22T01:02:03.004Z" (RFC 3339, UTC); returns @buf. Years 1970 to 9999, others clamped. */
const char *status_json_time(int64_t wall_ms, char buf[static STATUS_TIME_MAX]);

/* One line without a newline at its end. *out is the caller's, to be given back with
 * status_json_free(). ST_NOMEM. */
enum status status_json_render(const struct snapshot *s, char **out, size_t *len_bytes);
/* NULL is fine. */
/* The same for the part `diagnostics` alone. */
enum status status_json_render_diagnostics(const struct snapshot *s, char **out, size_t *len_bytes);
void status_json_free(char *text);

#endif
