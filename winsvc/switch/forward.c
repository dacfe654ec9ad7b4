/* SPDX-License-Identifier: Apache-2.0
 * THEORY: ports of the host that lead into the guest.
 *
 *   configuration, kept:   HOST:PORT=GUEST:PORT ---+
 *   API at the gateway:80, dynamic: expose --------+--> table, key = protocol + local as written
 *   owner (control API, worker) -------------------+
 *
 *   TCP: listener -> accepted connection -> tcp_open_to_guest()  (from the gateway, a free port)
 *   UDP: forward_udp.c
 *
 * The source that the guest sees is always the gateway, never 127.0.0.1 (CVE-2021-20199: what a
 * guest trusts because it looks local).
 *
 * A forward is listening or waiting. A port that cannot be had now is an error to whoever asks
 * dynamically, and nothing is kept; a kept one waits and tries again, 0.5 s doubling to 4 s, so
 * that a freed port is ours within 5 s. A listener that dies later waits in either case: the guest
 * believes that its port is published.
 *
 * ":80" is two sockets, 0.0.0.0 and ::, because net.h keeps the families apart; a host without
 * IPv6 has just the first. A forward leads to an address of the virtual network that is
 * neither gateway nor host, or a container could make the host connect to itself.
 *
 * Limit: limits.forwards (1,024); the table is a sorted list, and walking it is what listing does.
 */
#include "switch/forward_internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

const char *const forward_proto_names[] = { "tcp", "udp" };

/* ---- sockets ----------------------------------------------------------------------------- */

static enum status forward_open(struct forward *f);

const struct ip_addr *forward_gateway(const struct forward *f)
{
    return ip_addr_is_v4(&f->guest.addr) ? &f->owner->config.gateway : &f->owner->gateway6;
}

static void close_sockets(struct forward *f)
{
    const struct net_ops *net = f->owner->env.net->ops;

    if (f->proto == SWITCH_FORWARD_UDP)
        forward_udp_forget(f);
    for (unsigned i = 0; i < f->socket_count; i++) {
        if (f->sockets[i].listener)
            net->listener_close(f->sockets[i].listener);
        if (f->sockets[i].udp)
            net->udp_close(f->sockets[i].udp);
        f->sockets[i].listener = NULL;
        f->sockets[i].udp = NULL;
    }
    f->is_listening = false;
}

static void wait_and_retry(struct forward *f)
{
    uint64_t now_ms = switch_now_ms(f->owner);
    uint64_t up_ms = f->listening_since_ms ? now_ms - f->listening_since_ms : 0;
    uint32_t random = 0;

    f->owner->env.random(&random, sizeof random);
    f->listening_since_ms = 0;
    timer_start(&f->retry, backoff_next_ms(&f->backoff, up_ms, random));
}

static void on_retry(void *ctx)
{
    struct forward *f = ctx;
    struct errmsg before = f->why;
    enum status st = forward_open(f);

    if (!st || strcmp(before.text, f->why.text) != 0)
        f->owner->forwards->generation++;
    if (st) {
        wait_and_retry(f);
        return;
    }
    log_limited(LOG_INFO, LOG_SWITCH, "forward=%s/%s listening now", forward_proto_names[f->proto],
                f->local);
}

static void on_accept(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from)
{
    struct forward_socket *fs = ctx;
    struct forward *f = fs->owner;
    struct ip_endpoint gateway = { *forward_gateway(f), 0 };

    tcp_open_to_guest(f->owner, conn, &gateway, &f->guest);
    switch_want_flush(f->owner);
}

static void on_listener_error(void *ctx, enum status why)
{
    struct forward_socket *fs = ctx;
    struct forward *f = fs->owner;

    f->owner->forwards->generation++;
    errmsg_set(&f->why, "the listener failed: %s", status_text(why));
    log_limited(LOG_WARN, LOG_SWITCH, "forward=%s/%s %s, trying again",
                forward_proto_names[f->proto], f->local, f->why.text);
    close_sockets(f);
    wait_and_retry(f);
}

static const struct net_listener_handler listener_handler = { on_accept, on_listener_error };

static enum status open_socket(struct forward_socket *fs, struct errmsg *e)
{
    struct net *net = fs->owner->owner->env.net;

    if (fs->owner->proto == SWITCH_FORWARD_UDP)
        return forward_udp_open(fs, e);
    return net->ops->tcp_listen(net, &fs->listener, &fs->at, &listener_handler, fs, e);
}

/* Otherwise @f->why says what is in the way. */
static enum status forward_open(struct forward *f)
{
    struct errmsg why = { "" };

    for (unsigned i = 0; i < f->socket_count; i++) {
        enum status st = open_socket(&f->sockets[i], &why);

        if (st == ST_UNSUPPORTED && i > 0)
            continue; /* no IPv6 here */
        if (st) {
            close_sockets(f);
            errmsg_set(&f->why, "%s", why.text[0] ? why.text : status_text(st));
            return st;
        }
    }
    f->is_listening = true;
    f->listening_since_ms = switch_now_ms(f->owner);
    f->why.text[0] = '\0';
    return ST_OK;
}

/* ---- the table --------------------------------------------------------------------------- */

static int compare(const struct forward *f, const char *local, enum switch_forward_proto proto)
{
    int c = strcmp(f->local, local);

    return c ? c : (int)f->proto - (int)proto;
}

static struct forward *find(const struct switch_ *s, enum switch_forward_proto proto,
                            const char *local)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &s->forwards->forwards)
    {
        struct forward *f = container_of(it, struct forward, link);

        if (compare(f, local, proto) == 0)
            return f;
    }
    return NULL;
}

static void insert_sorted(struct forward_table *t, struct forward *added)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &t->forwards)
    {
        if (compare(container_of(it, struct forward, link), added->local, added->proto) > 0)
            break;
    }
    list_append(it, &added->link); /* before @it */
    t->count++;
    t->generation++;
}

static void free_forward(struct forward *f)
{
    timer_stop(&f->retry);
    close_sockets(f);
    free(f);
}

/* Where @local listens; ":80" is everywhere. */
static enum status parse_local(struct forward *f, const char *local, struct errmsg *e)
{
    struct ip_endpoint at;

    if (strlen(local) >= sizeof f->local || ip_endpoint_parse(&at, local) || !at.port) {
        errmsg_set(e, "listen %s: not an address and a port", local);
        return ST_INVAL;
    }
    memcpy(f->local, local, strlen(local) + 1);
    f->sockets[0] = (struct forward_socket){ .owner = f, .at = at };
    f->socket_count = 1;
    if (local[0] == ':') {
        f->sockets[1] = f->sockets[0];
        memset(f->sockets[1].at.addr.b, 0, sizeof f->sockets[1].at.addr.b);
        f->socket_count = 2;
    }
    return ST_OK;
}

static struct forward *new_forward(struct switch_ *s, enum switch_forward_proto proto,
                                   const struct ip_endpoint *guest, bool keep)
{
    struct forward *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    list_init(&f->link);
    f->owner = s;
    f->proto = proto;
    f->guest = *guest;
    f->is_kept = keep;
    timer_init(&f->retry, s->env.loop, on_retry, f);
    backoff_init(&f->backoff, FORWARD_RETRY_MS, FORWARD_RETRY_CAP_MS, FORWARD_RETRY_CAP_MS);
    return f;
}

/* Listens, or for a kept one waits for the port. */
static enum status start(struct forward *f, struct errmsg *e)
{
    enum status st = forward_open(f);

    if (!st)
        return ST_OK;
    if (!f->is_kept) {
        errmsg_set(e, "%s", f->why.text);
        return st;
    }
    log_limited(LOG_WARN, LOG_SWITCH, "forward=%s/%s cannot listen: %s, trying again",
                forward_proto_names[f->proto], f->local, f->why.text);
    wait_and_retry(f);
    return ST_OK;
}

static enum status add_new(struct switch_ *s, enum switch_forward_proto proto, const char *local,
                           const struct ip_endpoint *guest, bool keep, struct errmsg *e)
{
    struct forward *f = new_forward(s, proto, guest, keep);
    enum status st = f ? parse_local(f, local, e) : ST_NOMEM;

    if (!st)
        st = start(f, e);
    if (st) {
        if (f)
            free_forward(f);
        return st;
    }
    insert_sorted(s->forwards, f);
    return ST_OK;
}

/* An address of the virtual network that its guests can have. */
static bool may_lead_to(const struct switch_ *s, const struct ip_addr *a)
{
    return nat_is_guest(s, a) && (ip_addr_is_v4(a) || (s->config.ip6 && !ip_addr_is_link_local(a)));
}

enum status switch_forward_add(struct switch_ *s, enum switch_forward_proto proto,
                               const char *local, const struct ip_endpoint *guest, bool keep,
                               struct errmsg *e)
{
    struct forward *f = find(s, proto, local);

    if (!guest->port || !may_lead_to(s, &guest->addr)) {
        errmsg_set(e, "invalid remote addr");
        return ST_INVAL;
    }
    if (f) {
        if (f->guest.port == guest->port && ip_addr_equal(&f->guest.addr, &guest->addr)) {
            f->is_kept |= keep;
            return ST_OK;
        }
        errmsg_set(e, "proxy already running for %s on %s", forward_proto_names[proto], local);
        return ST_EXISTS;
    }
    if (s->forwards->count >= s->config.limits.forwards) {
        s->count.forward_limit_hits++;
        errmsg_set(e, "there are %u forwards already", s->forwards->count);
        return ST_FULL;
    }
    return add_new(s, proto, local, guest, keep, e);
}

enum status forward_spec_parse(struct forward_spec *out, const char *spec, struct errmsg *e)
{
    static const char udp[] = "udp:";
    bool is_udp = strncmp(spec, udp, sizeof udp - 1) == 0;
    const char *local = spec + (is_udp ? sizeof udp - 1 : 0);
    const char *equals = strchr(local, '=');
    struct ip_endpoint at;

    out->proto = is_udp ? SWITCH_FORWARD_UDP : SWITCH_FORWARD_TCP;
    if (equals && (size_t)(equals - local) < sizeof out->local &&
        ip_endpoint_parse(&out->guest, equals + 1) == ST_OK && out->guest.port) {
        memcpy(out->local, local, (size_t)(equals - local));
        out->local[equals - local] = '\0';
        if (ip_endpoint_parse(&at, out->local) == ST_OK && at.port)
            return ST_OK;
    }
    errmsg_set(e, "forward %.100s: not [udp:]HOST:PORT=GUEST:PORT", spec);
    return ST_INVAL;
}

enum status switch_forward_add_spec(struct switch_ *s, const char *spec, struct errmsg *e)
{
    struct forward_spec f;
    enum status st = forward_spec_parse(&f, spec, e);

    return st ? st : switch_forward_add(s, f.proto, f.local, &f.guest, true, e);
}

static void remove_forward(struct forward *f)
{
    f->owner->forwards->count--;
    f->owner->forwards->generation++;
    list_remove(&f->link);
    free_forward(f);
}

enum status switch_forward_remove(struct switch_ *s, enum switch_forward_proto proto,
                                  const char *local)
{
    struct forward *f = find(s, proto, local);

    if (!f)
        return ST_NOTFOUND;
    remove_forward(f);
    return ST_OK;
}

void switch_forward_close_all(struct switch_ *s)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &s->forwards->forwards)
        remove_forward(container_of(it, struct forward, link));
}

static struct switch_forward view_of(const struct forward *f)
{
    struct switch_forward view = { .proto = f->proto,
                                   .guest = f->guest,
                                   .is_kept = f->is_kept,
                                   .is_listening = f->is_listening,
                                   .why = f->why.text };

    memcpy(view.local, f->local, sizeof view.local);
    return view;
}

void switch_forward_each(const struct switch_ *s, switch_forward_fn *fn, void *ctx)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &s->forwards->forwards)
    {
        struct switch_forward view = view_of(container_of(it, struct forward, link));

        fn(ctx, &view);
    }
}

uint64_t switch_forward_generation(const struct switch_ *s)
{
    return s->forwards->generation;
}

/* ---- for the API ------------------------------------------------------------------------- */

void switch_on_forward_change(struct switch_ *s, switch_forward_change_fn *fn, void *ctx)
{
    s->on_forward_change = fn;
    s->on_forward_change_ctx = ctx;
}

static void tell_change(const struct forward *f, bool removed)
{
    struct switch_forward view = view_of(f);

    if (f->owner->on_forward_change)
        f->owner->on_forward_change(f->owner->on_forward_change_ctx, &view, removed);
}

enum status forward_expose(struct switch_ *s, enum switch_forward_proto proto, const char *local,
                           const struct ip_endpoint *guest, struct errmsg *e)
{
    bool is_new = !find(s, proto, local);
    enum status st = switch_forward_add(s, proto, local, guest, false, e);

    if (!st && is_new)
        tell_change(find(s, proto, local), false);
    return st;
}

enum status forward_unexpose(struct switch_ *s, enum switch_forward_proto proto, const char *local)
{
    struct forward *f = find(s, proto, local);

    if (!f)
        return ST_NOTFOUND;
    tell_change(f, true);
    remove_forward(f);
    return ST_OK;
}

/* Now, and if that fails from the shortest wait again. */
void forward_network_changed(struct switch_ *s)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &s->forwards->forwards)
    {
        struct forward *f = container_of(it, struct forward, link);

        if (f->is_listening)
            continue;
        timer_stop(&f->retry);
        backoff_init(&f->backoff, FORWARD_RETRY_MS, FORWARD_RETRY_CAP_MS, FORWARD_RETRY_CAP_MS);
        on_retry(f);
    }
}

/* ---- life -------------------------------------------------------------------------------- */

unsigned forward_count(const struct switch_ *s)
{
    return s->forwards ? s->forwards->count : 0;
}

enum status forward_new(struct switch_ *s)
{
    struct forward_table *t = calloc(1, sizeof *t);
    enum status st;

    if (!t)
        return ST_NOMEM;
    list_init(&t->forwards);
    s->forwards = t;
    st = forward_api_start(s);
    if (st)
        forward_free(s);
    return st;
}

void forward_free(struct switch_ *s)
{
    if (!s->forwards)
        return;
    switch_forward_close_all(s);
    forward_api_stop(s);
    forward_udp_free(s->forwards);
    free(s->forwards);
    s->forwards = NULL;
}
