/* SPDX-License-Identifier: Apache-2.0
 * dns_internal.h - what dns_server.c (questions) and dns_tcp.c (connections) share.
 */
#ifndef WINSVC_SWITCH_DNS_INTERNAL_H
#define WINSVC_SWITCH_DNS_INTERNAL_H

#include "switch/dns_cache.h"
#include "switch/dns_message.h"
#include "switch/dns_zones.h"
#include "switch/switch_internal.h"

enum {
    DNS_ASK_MS = 4500,   /* a stub gives up after 5 s: SERVFAIL comes before */
    DNS_WAITERS_MAX = 8, /* clients that wait for one answer */
    DNS_CONN_IDLE_MS = 10 * 1000,
    DNS_CONN_QUESTIONS = 8, /* unanswered ones of one connection; more: SERVFAIL */
    DNS_CONN_QUEUED_MAX = 256 * 1024,
    DNS_FRAME_BYTES = 2 /* length before a message on TCP */
};

struct dns_conn;

/* Who asked. */
struct dns_client {
    struct dns_conn *conn;       /* NULL: UDP */
    struct ip_endpoint from, at; /* at: the gateway's address that was asked */
};

struct dns_pending {
    struct list link;
    struct switch_ *owner;
    struct resolver_query *query;
    struct timer deadline;
    uint16_t id;     /* towards upstream */
    bool is_refused; /* by policy: no addresses for its waiters */
    unsigned waiters;
    struct {
        struct dns_client client;
        struct dns_question question;
    } waiter[DNS_WAITERS_MAX];
};

struct dns_source {
    struct ip_addr addr;
    uint32_t millitokens;
    uint64_t last_ms;
};

struct dns_server {
    struct dns_zones *zones; /* owned, as all here */
    struct dns_cache *cache;
    struct list pending;
    unsigned pending_count;
    struct dns_source *sources; /* limits.dns_clients of them */
    struct list conns;
    unsigned conn_count;
    uint8_t answer[DNS_FRAME_BYTES + RESOLVER_MAX_MESSAGE]; /* being made to fit its client */
};

/* Answers @msg now or later, by UDP or on the client's connection. */
void dns_ask(struct switch_ *s, const struct dns_client *client, const uint8_t *msg,
             size_t len_bytes);
/* @conn ends: nothing more is answered to it. */
void dns_forget_conn(struct switch_ *s, const struct dns_conn *conn);

enum status dns_tcp_start(struct switch_ *s);
void dns_tcp_stop(struct switch_ *s);
/* @framed: DNS_FRAME_BYTES of room, then the message of @len_bytes. */
void dns_tcp_reply(struct dns_conn *conn, uint8_t *framed, size_t len_bytes);
/* One more, or one less, question of @conn waits for upstream. */
bool dns_tcp_may_wait(const struct dns_conn *conn);
void dns_tcp_waits(struct dns_conn *conn, int change);

#endif
