/* SPDX-License-Identifier: Apache-2.0
 * status_internal.h - what status_server.c (accepting, waking) and status_conn.c (one connection)
 * share, and nobody else sees.
 */
#ifndef WINSVC_STATUS_STATUS_INTERNAL_H
#define WINSVC_STATUS_STATUS_INTERNAL_H

#include "base/list.h"
#include "port/loop.h"
#include "status/status_body.h"
#include "status/status_route.h"
#include "status/status_server.h"

struct http_reader;
struct stream;

enum conn_state {
    CONN_IDLE,
    CONN_HEAD,
    CONN_WRITING,
    CONN_WAITING, /* long poll */
    CONN_EVENTS,
    CONN_LINGER
};

struct conn {
    struct list link; /* on server->conns or server->waiters; each in the order of entering */
    struct status_server *server;
    struct stream *stream;      /* owned */
    struct http_reader *reader; /* owned */
    struct timer deadline;
    enum conn_state state;
    bool ended; /* the client sends no more */

    /* what the message that is being read asks for */
    bool has_head;
    unsigned answer; /* HTTP status; 200 also stands for 304, decided when it is sent */
    struct status_request request;

    uint64_t seen;          /* generation that a waiter has */
    bool has_unsent;        /* events: the last one is still on its way */
    enum health_state told; /* events of health: what the last one said */
};

struct status_server {
    struct loop *loop; /* borrowed */
    struct status_server_config config;
    struct listener *listener; /* owned */
    struct status_body *body;  /* owned */
    struct list conns;         /* all but waiters */
    struct list waiters;       /* CONN_WAITING and CONN_EVENTS */
    struct timer wake;         /* runs while there are waiters */
    uint64_t woke_ms;
    struct status_server_stats stats;
};

/* Takes @s in every case. */
void conn_open(struct status_server *server, struct stream *s);
void conn_close(struct conn *c);
/* There is something new for a waiter. May close it. */
void conn_wake(struct conn *c, const struct status_body_view *view);
/* A connection became a waiter. */
void status_server_waits(struct status_server *s);

#endif
