/* SPDX-License-Identifier: Apache-2.0
 * status_route.h - what a reader of the status asks for: method, path and query. Pure.
 */
#ifndef WINSVC_STATUS_STATUS_ROUTE_H
#define WINSVC_STATUS_STATUS_ROUTE_H

#include "status/health_check.h"

#include <stdbool.h>
#include <stdint.h>

struct http_head;

enum status_resource {
    STATUS_RESOURCE_STATUS,       /* /v1/status */
    STATUS_RESOURCE_EVENTS,       /* /v1/events */
    STATUS_RESOURCE_METRICS,      /* /metrics */
    STATUS_RESOURCE_HEALTHZ,      /* /healthz */
    STATUS_RESOURCE_READYZ,       /* /readyz */
    STATUS_RESOURCE_DIAGNOSTICS,  /* /v1/diagnostics */
    STATUS_RESOURCE_HEALTH,       /* /v1/health */
    STATUS_RESOURCE_HEALTH_WATCH, /* /v1/health/watch */
    STATUS_RESOURCE_PAGE,         /* /, where a page is served */
    STATUS_RESOURCE_COUNT
};

enum { STATUS_WAIT_MAX_MS = 60000, STATUS_TAG_MAX = 256 };

struct status_request {
    enum status_resource resource;
    bool head_only, keep_alive;
    uint32_t wait_ms; /* long poll, at most STATUS_WAIT_MAX_MS; 0 = answer at once */
    bool has_since;
    uint64_t since;                   /* the generation that the reader has */
    char service[HEALTH_SERVICE_MAX]; /* of the two of health; "" = the whole */
    char tag[STATUS_TAG_MAX];         /* If-None-Match, or Last-Event-ID of events; empty = none */
};

/* 200, or the HTTP status of the refusal: 400 (a query value that is none), 404, 405. */
unsigned status_route(struct status_request *out, const struct http_head *head);

#endif
