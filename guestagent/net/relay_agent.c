/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *     net unit --NetworkOffer{guest_address, gateway}--> place --.
 *              --relayed_ports{address, port}----------> wishes --> port_relay --> sockets
 *              <-relayed_ports{..., relay_port}, HealthReport --'
 *
 * The net unit is the only one that can open the socket (its mode and its folder say so); it says
 * everything anew after each greeting. When it goes, what it said last stays until its successor's
 * first words: the tap that went with it has closed the door meanwhile. All sockets are made anew
 * then, for they are bound to that tap and not to one of the same name and address.
 *
 * Condition: LoopbackPortsRelayed, which the net unit shows as its own.
 */
#include "guestagent/net/relay_agent.h"

#include "base/condition.h"
#include "base/log.h"
#include "guestagent/control_server.h"
#include "guestagent/identity.h"
#include "guestagent/net/net_config.h"
#include "guestagent/net/port_relay.h"
#include "guestagent/net/relay_config.h"
#include "guestagent/sd_notify.h"
#include "guestagent/service.h"
#include "ipc/health.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/sys.h"

#include <stdlib.h>

enum { TICK_MS = 1000, STUCK_MS = 5000 };

static const char relay_type[] = "LoopbackPortsRelayed";

struct relay_agent {
    struct loop *loop;
    struct net *net; /* borrowed */
    struct identity identity;
    struct identity_options nobody; /* no key: the socket's mode says who may ask */
    uint64_t teller;                /* the channel that said the place; 0 = nobody did */
    struct port_relay *relay;       /* owned, as is the next */
    struct control_server *control;
    struct condition_set conditions;
    struct timer tick, stopped;
    uint64_t last_tick_ms;
    struct service_watchdog watchdog;
    bool stopping;
    void (*on_stopped)(void *ctx);
    void *ctx;
};

/* ---- what is to be said ---------------------------------------------------------------------- */

static const char *relay_reason(enum port_relay_state s)
{
    switch (s) {
    case PORT_RELAY_IDLE: return "NothingToRelay";
    case PORT_RELAY_WAITING: return "RelayAwaitsAddress";
    case PORT_RELAY_FAILED: return "RelayFailed";
    default: return "Relayed";
    }
}

static void look(struct relay_agent *a)
{
    static const enum condition_status as_condition[] = { [PORT_RELAY_IDLE] = COND_TRUE,
                                                          [PORT_RELAY_WAITING] = COND_UNKNOWN,
                                                          [PORT_RELAY_FAILED] = COND_FALSE,
                                                          [PORT_RELAY_WORKING] = COND_TRUE };
    enum port_relay_state s = port_relay_get_state(a->relay);
    const char *reason = relay_reason(s);
    char text[CONDITION_MESSAGE_MAX];

    port_relay_summary(a->relay, text, sizeof text);
    if (!condition_update(&a->conditions, relay_type, as_condition[s], reason, sys_wall_ms(), "%s",
                          text))
        return;
    log_limited(s == PORT_RELAY_FAILED ? LOG_WARN : LOG_INFO, LOG_NET, "%s reason=%s %s",
                relay_type, reason, text);
    if (!a->stopping)
        service_notify_status("", text);
    if (a->control)
        control_server_changed(a->control);
}

static void on_relay_change(void *ctx)
{
    struct relay_agent *a = ctx;

    look(a);
    if (a->control)
        control_server_publish(a->control);
}

static void report(void *ctx, struct health_report *out)
{
    const struct relay_agent *a = ctx;
    struct health_component *c = health_add(out, "relay");

    if (!c)
        return;
    c->state = HEALTH_SERVING;
    c->conditions = a->conditions;
    port_relay_report(a->relay, c);
}

static bool is_serving(void *ctx)
{
    return true;
}

static bool publish(void *ctx, Rdlink__V1__Envelope *out)
{
    struct relay_agent *a = ctx;

    out->relayed_ports = port_relay_message(a->relay);
    out->body_case = RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS;
    return out->relayed_ports != NULL;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static void on_offer(void *ctx, uint64_t channel, bool is_proved, const Rdlink__V1__NetworkOffer *m)
{
    struct relay_agent *a = ctx;
    struct port_relay_place place = { .net = a->net };
    unsigned prefix_bits;
    bool is_there = net_config_parse_cidr(&place.at, &prefix_bits, m->guest_address) == ST_OK;

    if (ip_addr_parse(&place.peer, m->gateway) != ST_OK)
        place.peer = ip_addr_v4(0);
    if (channel != a->teller)
        port_relay_set_place(a->relay, NULL);
    a->teller = channel;
    port_relay_set_place(a->relay, is_there ? &place : NULL);
}

static void on_relay(void *ctx, uint64_t channel, bool is_proved,
                     const Rdlink__V1__PublishedPorts *ports)
{
    struct relay_agent *a = ctx;

    port_relay_want(a->relay, ports);
}

static const struct control_source control_source = {
    .role = RDLINK__V1__ROLE__ROLE_AGENT_RELAY,
    .peer = RDLINK__V1__ROLE__ROLE_AGENT_NET,
    .ready_detail = "relay",
    .report = report,
    .is_serving = is_serving,
    .publish = publish,
    .on_offer = on_offer,
    .on_relay = on_relay,
};

/* ---- life ------------------------------------------------------------------------------------ */

static enum status find_no_key(void *ctx, const char *instance, struct proof_key *out)
{
    return ST_NOTFOUND;
}

static bool is_alive(void *ctx)
{
    const struct relay_agent *a = ctx;

    return loop_now_ms(a->loop) - a->last_tick_ms < STUCK_MS;
}

static void on_tick(void *ctx)
{
    struct relay_agent *a = ctx;

    a->last_tick_ms = loop_now_ms(a->loop);
    timer_start(&a->tick, TICK_MS);
}

static void on_stopped_timer(void *ctx)
{
    struct relay_agent *a = ctx;

    a->on_stopped(a->ctx);
}

/* The first socket of systemd's, or the one that is configured. */
static enum status listen_somewhere(struct relay_agent *a, const struct relay_config *config,
                                    struct errmsg *e)
{
    struct sd_listen_fd fds[SD_LISTEN_MAX];
    struct listener_opts opts = { .adopt_fd = -1 };
    struct addr at = config->listen_at;

    if (sd_notify_listen_fds(fds) > 0) {
        at = (struct addr){ .kind = ADDR_FD, .fd = fds[0].fd };
        opts.adopt_fd = fds[0].fd;
    }
    return control_server_listen(a->control, &at, &opts, e);
}

enum status relay_agent_new(struct relay_agent **out, struct loop *loop, struct net *net,
                            const struct relay_config *config, void (*on_stopped)(void *ctx),
                            void *ctx, struct errmsg *e)
{
    struct relay_agent *a = calloc(1, sizeof *a);
    enum status st;

    if (!a) {
        errmsg_set(e, "relay: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    a->loop = loop;
    a->net = net;
    a->on_stopped = on_stopped;
    a->ctx = ctx;
    a->identity = (struct identity){ .options = &a->nobody, .proof = { .find_key = find_no_key } };
    timer_init(&a->tick, loop, on_tick, a);
    timer_init(&a->stopped, loop, on_stopped_timer, a);
    on_tick(a);
    service_watchdog_start(&a->watchdog, loop, is_alive, a);
    st = port_relay_new(&a->relay, loop, on_relay_change, a);
    if (st)
        errmsg_set(e, "relay: %s", status_text(st));
    else
        st = control_server_new(&a->control, loop, &a->identity, &control_source, a, e);
    if (st == ST_OK)
        st = listen_somewhere(a, config, e);
    if (st) {
        relay_agent_free(a);
        return st;
    }
    look(a);
    service_notify("READY=1");
    *out = a;
    return ST_OK;
}

void relay_agent_stop(struct relay_agent *a)
{
    if (a->stopping)
        return;
    service_notify("STOPPING=1");
    a->stopping = true;
    timer_start(&a->stopped, 0);
}

void relay_agent_free(struct relay_agent *a)
{
    if (!a)
        return;
    timer_stop(&a->tick);
    timer_stop(&a->stopped);
    service_watchdog_stop(&a->watchdog);
    control_server_free(a->control);
    port_relay_free(a->relay);
    free(a);
}
