/* SPDX-License-Identifier: Apache-2.0
 * status_server.h - the status as HTTP/1.1 on a local socket or pipe, for GET and HEAD:
 *
 *   /v1/status   JSON; ?wait=25s&since=GENERATION answers when there is another one, or 304
 *   /v1/events   server-sent events: the same JSON, now and at each change
 *   /v1/diagnostics                  the status' rows for a user interface, alone
 *   /v1/health?service=NAME          {"status":1}, by gRPC's health semantics; 404
 *   /v1/health/watch?service=NAME    the same as events: now and at each change
 *   /metrics     OpenMetrics        /healthz  200        /readyz  200 or 503
 *   /            the status page, where there is a gate (status_gate.h); all but it takes a token
 *
 * Read-only. The owner says when something changed and fills a snapshot when asked; the server
 * numbers what a reader can tell apart (generation), renders each generation once, and answers
 * with a strong ETag, so that a poller gets 304 while nothing happens. A reader without
 * If-None-Match always gets the present counters; for pollers, a change of counters alone makes a
 * new generation at most every few seconds.
 * Owns: the listener, its connections, one snapshot and the rendered text. Runs on: the loop.
 */
#ifndef WINSVC_STATUS_STATUS_SERVER_H
#define WINSVC_STATUS_STATUS_SERVER_H

#include "base/status.h"
#include "port/listener.h"
#include "status/status_gate.h"

#include <stdint.h>

struct addr;
struct loop;
struct snapshot;
struct status_server;

struct status_server_ops {
    /* Fill @out, starting with snapshot_init(); @out->generation is not for the
     * owner. Called from within an accepted request, never more often than every 100 ms unless
     * status_server_changed() was called. */
    void (*fill)(void *ctx, struct snapshot *out);
};

struct status_server_config {
    unsigned max_connections;       /* 0 = 128, at least 2; half may wait; see status_server.c */
    uint32_t header_timeout_ms;     /* 0 = 5,000: from the first byte to the end of the head */
    uint32_t idle_timeout_ms;       /* 0 = 60,000: without a request; 5,000 for the first one */
    uint32_t write_timeout_ms;      /* 0 = 10,000: an answer that is not taken by then is cut */
    uint32_t counter_ms;            /* 0 = 5,000: counters alone, for pollers */
    struct listener_opts listen;    /* mode, SDDL; adopt_fd 0 and -1 both mean none */
    const struct status_gate *gate; /* borrowed; NULL: who can connect may read */
};

struct status_server_stats {
    uint64_t connections; /* accepted so far */
    unsigned active;
    uint64_t requests;
    uint64_t not_modified; /* answered 304 */
    uint64_t rejected;     /* answered 4xx */
    uint64_t evicted;      /* closed at the cap, for another */
    uint64_t timed_out;    /* cut by a deadline */
    unsigned waiting;      /* of active: long polls and event streams */
    uint64_t renders;
};

/* ST_EXISTS (someone else has the name), ST_DENIED, ST_INVAL, ST_NOMEM, ST_IO... with a message. */
enum status status_server_new(struct status_server **out, struct loop *loop, const struct addr *at,
                              const struct status_server_config *config,
                              const struct status_server_ops *ops, void *ctx, struct errmsg *e);
/* Named pipe: who may read from now on. With @revokes somebody may not any more: all readers that
 * are there, of whom nobody knows who they are, have to come anew. As listener_regrant(). */
enum status status_server_regrant(struct status_server *s, const char *sddl, bool revokes,
                                  struct errmsg *e);
/* Something other than a counter changed. Cheap; call it as often as needed. */
void status_server_changed(struct status_server *s);
/* The present text, as a reader without a tag gets it. As status_body_get(). */
struct status_body_view;
enum status status_server_view(struct status_server *s, struct status_body_view *out);
void status_server_stats(const struct status_server *s, struct status_server_stats *out);
/* Closes every connection; no callback comes afterwards. NULL is fine. */
void status_server_free(struct status_server *s);

#endif
