/* SPDX-License-Identifier: Apache-2.0
 * forward_internal.h - what forward.c (the table, TCP), forward_udp.c and forward_api.c share.
 */
#ifndef WINSVC_SWITCH_FORWARD_INTERNAL_H
#define WINSVC_SWITCH_FORWARD_INTERNAL_H

#include "base/backoff.h"
#include "http/api.h"
#include "switch/switch_internal.h"

enum {
    FORWARD_UDP_FIRST_PORT = 49152, /* at the gateway, one a client */
    FORWARD_UDP_IDLE_MS = 90 * 1000,
    FORWARD_RETRY_MS = 500, /* a port that is taken: doubling from here */
    FORWARD_RETRY_CAP_MS = 4000,
    API_PORT = 80
};

#define FORWARD_API_ALL      "/services/forwarder/all"
#define FORWARD_API_EXPOSE   "/services/forwarder/expose"
#define FORWARD_API_UNEXPOSE "/services/forwarder/unexpose"

struct forward;

/* One host socket of a forward: ":80" has two. */
struct forward_socket {
    struct forward *owner;
    struct ip_endpoint at;
    struct net_listener *listener; /* owned; one of these two while it listens */
    struct net_udp *udp;
};

struct forward {
    struct list link; /* of the table, in the order of local, then protocol */
    struct switch_ *owner;
    enum switch_forward_proto proto;
    char local[SWITCH_FORWARD_LOCAL_MAX];
    struct ip_endpoint guest;
    bool is_kept, is_listening;
    struct forward_socket sockets[2];
    unsigned socket_count;
    struct timer retry;
    struct backoff backoff;
    uint64_t listening_since_ms;
    struct errmsg why;
};

extern const char *const forward_proto_names[]; /* by enum switch_forward_proto */

struct forward_udp;

struct forward_table {
    struct list forwards;
    unsigned count;
    uint64_t generation;     /* switch_forward_generation() */
    struct forward_udp *udp; /* owned; NULL until the first UDP forward */
    struct api *api;         /* owned */
};

/* As switch_forward_add(), not kept, and switch_forward_remove(), at the wish of the API: whoever
 * watches hears of what changed. */
enum status forward_expose(struct switch_ *s, enum switch_forward_proto proto, const char *local,
                           const struct ip_endpoint *guest, struct errmsg *e);
enum status forward_unexpose(struct switch_ *s, enum switch_forward_proto proto, const char *local);

/* Whom the guest sees as the source: the gateway of its family. */
const struct ip_addr *forward_gateway(const struct forward *f);

/* Opens @fs->udp. */
enum status forward_udp_open(struct forward_socket *fs, struct errmsg *e);
/* @f's sockets close: its clients are forgotten. */
void forward_udp_forget(struct forward *f);
void forward_udp_free(struct forward_table *t);

/* The routes, which the control API has as well. */
void forward_api_all(struct api_conn *c, const struct api_request *r);
void forward_api_expose(struct api_conn *c, const struct api_request *r);
void forward_api_unexpose(struct api_conn *c, const struct api_request *r);

enum status forward_api_start(struct switch_ *s);
void forward_api_stop(struct switch_ *s);

/* "[udp:]HOST:PORT=GUEST:PORT" */
struct forward_spec {
    enum switch_forward_proto proto;
    char local[SWITCH_FORWARD_LOCAL_MAX];
    struct ip_endpoint guest;
};
/* ST_INVAL. Pure; of which network the guest is must be asked elsewhere. */
enum status forward_spec_parse(struct forward_spec *out, const char *spec, struct errmsg *e);

#endif
