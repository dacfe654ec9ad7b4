/* SPDX-License-Identifier: Apache-2.0
 * metrics.h - a snapshot as OpenMetrics 1.0 text, for GET /metrics.
 *
 * Pure. What parts of rdlink count they name themselves, so their counters are samples of one
 * family each (rdlink_component_value, rdlink_instance_value, rdlink_bridge_value) with the name as
 * a label and of type unknown: some of them go down.
 */
#ifndef WINSVC_STATUS_METRICS_H
#define WINSVC_STATUS_METRICS_H

#include "base/status.h"

#include <stddef.h>

struct snapshot;
struct status_server_stats;

#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* @readers: of the server that is asked. The caller free()s *text, which is terminated; *len_bytes
 * is without that. ST_NOMEM. */
enum status metrics_render(const struct snapshot *s, const struct status_server_stats *readers,
                           char **text, size_t *len_bytes);

#endif
