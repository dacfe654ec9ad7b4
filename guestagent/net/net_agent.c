/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Three things come and go independently, and each is held against the others when it changes:
 *
 *     the link      uplink finds one, tap_bridge carries it, and says when it ends
 *     the lease     from the command line, the host's offer, or DHCP over the link
 *     the interface namespace, tap and veth pair (guest_net), opened as soon as they can be
 *
 *     on_tick: interface missing or its namespace another one? -> open it (anew)
 *              lease known and not in the interface?           -> guest_net_apply()
 *              linked, asked, and never heard a word?          -> another link
 *
 * A lost link takes neither lease nor interface away: connections of the guest wait for the next
 * one. A namespace whose owner was restarted does take the interface, the lease goes into the new
 * one. Nothing here gives up; what stands in the way is a condition.
 *
 * Ready means that the guest has a network: its address is set, and frames went both ways over the
 * link. An address that was not asked for over the link (fixed, or of the offer) proves nothing, so
 * the gateway is then asked for its MAC until something is heard.
 *
 * Ports that containers publish at the guest's own loopback are relayed by another unit, to which
 * relay_client passes on what a host wants and where the address is.
 *
 * Conditions: NamespaceReady, InterfaceReady, LinkUp, AddressAssigned, ResolverWritten: the first
 * that is false is what systemd's status line shows. LoopbackPortsRelayed is relay_client's.
 *
 * IPv6 comes from the switch's advertisements, which the kernel understands by itself; what has to
 * be done beside is in router_advert.c.
 *
 * Not done: taking the address away when the lease ran out without a host. Nobody else is on this
 * network, and a guest without an address could not even resume its connections.
 */
#include "guestagent/net/net_agent.h"

#include "base/condition.h"
#include "base/log.h"
#include "guestagent/control_server.h"
#include "guestagent/net/dhcp_client.h"
#include "guestagent/net/guest_net.h"
#include "guestagent/net/net_config.h"
#include "guestagent/net/relay_client.h"
#include "guestagent/net/router_advert.h"
#include "guestagent/net/tap.h"
#include "guestagent/net/tap_bridge.h"
#include "guestagent/net/uplink.h"
#include "guestagent/service.h"
#include "ipc/health.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 1000,
    TICK_STARTING_MS = 200, /* until ready */
    STUCK_MS = 5000,
    QUIET_MS = 3000,
    MUTE_MS = 15000,
    APPLY_AGAIN_MS = 10000,
    SUMMARY_MAX = 400
};

static const char namespace_type[] = "NamespaceReady";
static const char interface_type[] = "InterfaceReady";
static const char link_type[] = "LinkUp";
static const char address_type[] = "AddressAssigned";
static const char resolver_type[] = "ResolverWritten";

enum lease_origin { LEASE_NONE, LEASE_FIXED, LEASE_OFFERED, LEASE_BY_DHCP };

struct net_agent {
    struct loop *loop;
    const struct net_config *config; /* borrowed */
    struct uplink *uplink;           /* owned, as all here */
    struct tap_bridge *bridge;
    struct dhcp_client *dhcp;
    struct guest_net *net; /* NULL: not open */
    struct tap *tap;       /* NULL: not open */
    struct relay_client *relay;
    struct mac mac; /* of the tap */
    enum lease_origin origin;
    struct guest_lease lease;   /* unless LEASE_NONE */
    bool applied;               /* the interface has it */
    struct guest_router router; /* all zero: none was heard */
    bool router_applied;
    uint64_t tried_ms;  /* to apply it; 0 = not yet */
    uint64_t linked_ms; /* when the link came */
    struct condition_set conditions;
    struct timer tick, stopped;
    uint64_t last_tick_ms;
    struct service_watchdog watchdog;
    bool told_ready, stopping;
    void (*on_stopped)(void *ctx);
    void *ctx;
};

/* ---- conditions ------------------------------------------------------------------------------ */

static bool is_true(const struct net_agent *a, const char *type)
{
    const struct condition *c = condition_find(&a->conditions, type);

    return c && c->status == COND_TRUE;
}

static const char *summary(const struct net_agent *a, char *buf, size_t cap)
{
    static const char *const in_order[] = { namespace_type, interface_type, link_type, address_type,
                                            resolver_type };
    char link[SUMMARY_MAX], ip[IP_ADDR_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(in_order); i++) {
        const struct condition *c = condition_find(&a->conditions, in_order[i]);

        if (c && c->status == COND_FALSE) {
            snprintf(buf, cap, "%s: %s", c->reason, c->message);
            return buf;
        }
    }
    snprintf(buf, cap, "%s, %s/%u", uplink_summary(a->uplink, link, sizeof link),
             ip_addr_format(&a->lease.ip, ip), a->lease.prefix_bits);
    return buf;
}

/* To systemd and to the host. */
static void tell(struct net_agent *a, const char *first_lines)
{
    char text[SUMMARY_MAX];

    if (!a->uplink || a->stopping)
        return;
    service_notify_status(first_lines, summary(a, text, sizeof text));
    uplink_changed(a->uplink);
}

static void set_condition(struct net_agent *a, const char *type, enum condition_status status,
                          const char *reason, const char *message)
{
    bool is_trouble = status == COND_FALSE && strcmp(reason, "WaitingForHost") != 0 &&
                      strcmp(reason, "WaitingForAddress") != 0 &&
                      strcmp(reason, "DiallingHost") != 0;

    if (!condition_update(&a->conditions, type, status, reason, sys_wall_ms(), "%s", message))
        return;
    log_limited(is_trouble ? LOG_WARN : LOG_INFO, LOG_NET, "condition=%s %s reason=%s %s", type,
                condition_status_name(status), reason, message);
    tell(a, "");
}

static void tell_when_ready(struct net_agent *a)
{
    const struct tap_bridge_stats *s = tap_bridge_stats(a->bridge);

    if (a->told_ready || !a->applied || !is_true(a, link_type) || s->to_host_frames == 0 ||
        s->to_guest_frames == 0)
        return;
    a->told_ready = true;
    tell(a, "READY=1\n");
}

/* ---- ports at the guest's own loopback ------------------------------------------------------- */

static void on_relay_change(void *ctx)
{
    struct net_agent *a = ctx;

    if (!a->uplink || a->stopping)
        return;
    uplink_publish(a->uplink);
    uplink_changed(a->uplink);
}

static void place_relay(struct net_agent *a)
{
    relay_client_set_lease(a->relay, a->applied ? &a->lease : NULL);
}

static void on_relay_wanted(void *ctx, uint64_t channel, bool is_proved,
                            const Rdlink__V1__PublishedPorts *ports)
{
    struct net_agent *a = ctx;

    relay_client_want(a->relay, channel, is_proved, ports);
}

static void on_host_gone(void *ctx, uint64_t channel)
{
    struct net_agent *a = ctx;

    relay_client_host_gone(a->relay, channel);
}

static bool publish(void *ctx, Rdlink__V1__Envelope *out)
{
    struct net_agent *a = ctx;

    out->relayed_ports = relay_client_message(a->relay);
    out->body_case = RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS;
    return out->relayed_ports != NULL;
}

/* ---- the lease ------------------------------------------------------------------------------- */

static const char *address_reason(enum lease_origin origin)
{
    switch (origin) {
    case LEASE_FIXED: return "AddressFixed";
    case LEASE_OFFERED: return "AddressOffered";
    default: return "AddressLeased";
    }
}

/* IPv6 is beside the lease: without it the guest has its network all the same. */
static void apply_router(struct net_agent *a)
{
    struct errmsg e = { "" };
    enum status st;

    if (!a->net || !a->tap || a->router_applied || !a->router.prefix_bits)
        return;
    st = guest_net_apply_router(a->net, &a->router, &e);
    a->router_applied = st == ST_OK;
    if (st != ST_OK)
        log_limited(LOG_WARN, LOG_NET,
                    "no lasting IPv6 address and route: %s; tried again with the "
                    "next advertisement",
                    e.text);
}

/* Each time: the kernel has given the address the advertisement's life, or has not heard it. */
static void on_router(struct net_agent *a, const struct guest_router *router)
{
    a->router = *router;
    a->router_applied = false;
    apply_router(a);
}

static void apply(struct net_agent *a)
{
    const char *reason = address_reason(a->origin);
    char ip[IP_ADDR_TEXT_MAX], text[IP_ADDR_TEXT_MAX + 4];
    struct errmsg e = { "" };
    enum status st;

    if (!a->net || !a->tap || a->origin == LEASE_NONE)
        return;
    a->tried_ms = loop_now_ms(a->loop);
    st = guest_net_apply(a->net, &a->lease, &e);
    a->applied = st == ST_OK;
    place_relay(a);
    if (st != ST_OK) {
        set_condition(a, address_type, COND_FALSE, "AddressNotSet", e.text);
        return;
    }
    snprintf(text, sizeof text, "%s/%u", ip_addr_format(&a->lease.ip, ip), a->lease.prefix_bits);
    set_condition(a, address_type, COND_TRUE, reason, text);
    if (e.text[0])
        set_condition(a, resolver_type, COND_FALSE, "ResolverNotWritten", e.text);
    else
        set_condition(a, resolver_type, COND_TRUE, "ResolverWritten",
                      a->config->resolv_conf[0] ? a->config->resolv_conf : "no file is wanted");
    tell_when_ready(a);
}

static void take_lease(struct net_agent *a, enum lease_origin origin,
                       const struct guest_lease *lease)
{
    if (a->applied && a->origin == origin && guest_lease_equal(&a->lease, lease))
        return;
    a->origin = origin;
    a->lease = *lease;
    a->applied = false; /* relayed ports stay until apply() has moved the address */
    apply(a);
}

static void on_dhcp_send(void *ctx, const uint8_t *frame, size_t len_bytes)
{
    struct net_agent *a = ctx;

    tap_bridge_send(a->bridge, frame, len_bytes);
}

static void on_dhcp_lease(void *ctx, const struct guest_lease *lease)
{
    take_lease(ctx, LEASE_BY_DHCP, lease);
}

static void on_dhcp_lost(void *ctx, const char *why)
{
    struct net_agent *a = ctx;

    a->applied = false;
    a->origin = LEASE_NONE;
    place_relay(a);
    set_condition(a, address_type, COND_FALSE, "LeaseLost", why);
}

static const struct dhcp_client_ops dhcp_ops = { on_dhcp_send, on_dhcp_lease, on_dhcp_lost };

static enum status new_dhcp_client(struct net_agent *a, struct dhcp_client **out)
{
    const struct dhcp_client_config config = { .mac = a->mac, .random = sys_random };

    return dhcp_client_new(out, a->loop, &config, &dhcp_ops, a);
}

/* Asks the gateway for its MAC, in order to hear something. */
static void ask_gateway(struct net_agent *a)
{
    static const struct mac everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
    const struct eth_header eth = { .dst = everybody, .src = a->mac, .type = ETH_TYPE_ARP };
    const struct arp_packet arp = {
        .op = ARP_REQUEST, .sender_mac = a->mac, .sender = a->lease.ip, .target = a->lease.gateway
    };
    uint8_t frame[ETH_HEADER_BYTES + ARP_BYTES];
    struct bytes_out w = bytes_into(frame, sizeof frame);

    eth_put(&w, &eth);
    arp_put(&w, &arp);
    ASSERT(bytes_out_ok(&w));
    tap_bridge_send(a->bridge, frame, w.len_bytes);
}

static bool knows_gateway(const struct net_agent *a)
{
    return a->origin != LEASE_NONE && !ip_addr_is_unspecified(&a->lease.gateway);
}

/* ---- the interface --------------------------------------------------------------------------- */

static void close_interface(struct net_agent *a)
{
    tap_bridge_set_tap(a->bridge, NULL);
    tap_close(a->tap);
    a->tap = NULL;
    a->applied = a->router_applied = false;
    a->tried_ms = 0;
    place_relay(a);
}

static void close_net(struct net_agent *a)
{
    close_interface(a);
    guest_net_close(a->net);
    a->net = NULL;
}

static void on_tap_readable(void *ctx)
{
    struct net_agent *a = ctx;

    tap_bridge_on_tap(a->bridge);
}

static void on_tap_error(void *ctx, enum status why)
{
    struct net_agent *a = ctx;

    close_interface(a);
    set_condition(a, interface_type, COND_FALSE, "InterfaceLost", status_text(why));
}

static const struct tap_handler tap_handler = { on_tap_readable, on_tap_error };

static void open_net(struct net_agent *a)
{
    const struct net_config *c = a->config;
    const struct guest_net_config config = { .netns = c->netns,
                                             .tap_name = c->tap_name,
                                             .resolv_conf = c->resolv_conf,
                                             .hosts = c->hosts,
                                             .veth = !c->no_veth,
                                             .veth_outside = "veth-rd-wsl",
                                             .veth_inside = "veth-rd-ns",
                                             .veth_outside_ip = c->veth_outside_ip,
                                             .veth_inside_ip = c->veth_inside_ip };
    struct errmsg e = { "" };
    enum status st = guest_net_open(&a->net, a->loop, &config, &e);

    if (st == ST_OK) {
        set_condition(a, namespace_type, COND_TRUE, "NamespaceOpen", c->netns);
        return;
    }
    a->net = NULL;
    set_condition(a, namespace_type, COND_FALSE,
                  st == ST_NOTFOUND ? "NamespaceMissing" : "NamespaceFailed", e.text);
}

static void open_tap(struct net_agent *a)
{
    struct errmsg e = { "" };
    enum status st =
        guest_net_open_tap(a->net, &a->mac, a->config->mtu, &tap_handler, a, &a->tap, &e);

    if (st == ST_OK) {
        tap_bridge_set_tap(a->bridge, a->tap);
        set_condition(a, interface_type, COND_TRUE, "InterfaceUp", a->config->tap_name);
        return;
    }
    a->tap = NULL;
    set_condition(a, interface_type, COND_FALSE,
                  st == ST_EXISTS        ? "InterfaceTaken"
                  : st == ST_UNSUPPORTED ? "TunMissing"
                                         : "InterfaceFailed",
                  e.text);
}

/* Opens what is not open, and puts the lease where it is not yet. */
static void complete_interface(struct net_agent *a)
{
    if (a->net && !guest_net_is_current(a->net)) {
        log_info(LOG_NET, "namespace=%s is another one now; moving there", a->config->netns);
        close_net(a);
    }
    if (!a->net)
        open_net(a);
    if (a->net && !a->tap)
        open_tap(a);
    apply_router(a);
    if (!a->applied && (!a->tried_ms || loop_now_ms(a->loop) - a->tried_ms >= APPLY_AGAIN_MS))
        apply(a);
}

/* The host knows the guest by another MAC: device and client are made anew for it. */
static void use_mac(struct net_agent *a, const struct mac *mac)
{
    static const struct mac not_said = { { 0 } };
    struct dhcp_client *client;

    if (mac_equal(mac, &not_said) || mac_equal(mac, &a->mac))
        return;
    a->mac = *mac;
    close_interface(a);
    if (new_dhcp_client(a, &client) == ST_OK) {
        dhcp_client_free(a->dhcp);
        a->dhcp = client;
    }
    complete_interface(a);
}

/* ---- the link -------------------------------------------------------------------------------- */

static void on_link(void *ctx, struct stream *link, const struct uplink_terms *terms)
{
    struct net_agent *a = ctx;
    enum status st = tap_bridge_attach(a->bridge, link, terms->protocol);

    if (st != ST_OK) {
        uplink_link_ended(a->uplink, st);
        return;
    }
    a->linked_ms = loop_now_ms(a->loop);
    use_mac(a, &terms->mac);
    dhcp_client_stop(a->dhcp);
    if (!a->config->by_dhcp)
        take_lease(a, LEASE_FIXED, &a->config->fixed_lease);
    else if (terms->has_lease)
        take_lease(a, LEASE_OFFERED, &terms->lease);
    else
        dhcp_client_start(a->dhcp);
    if (knows_gateway(a))
        ask_gateway(a);
}

static void on_link_end(void *ctx, enum status why)
{
    struct net_agent *a = ctx;

    dhcp_client_stop(a->dhcp);
    uplink_link_ended(a->uplink, why);
}

static bool on_host_frame(void *ctx, const uint8_t *frame, size_t len_bytes)
{
    struct net_agent *a = ctx;
    struct guest_router router;

    if (router_advert_read(&router, &a->mac, frame, len_bytes)) {
        on_router(a, &router);
        return false; /* the kernel's too */
    }
    return dhcp_client_input(a->dhcp, frame, len_bytes);
}

static const struct tap_bridge_ops bridge_ops = { on_host_frame, on_link_end };

static const char *waiting_reason(enum uplink_state s)
{
    switch (s) {
    case UPLINK_DIALLING: return "DiallingHost";
    case UPLINK_UNREACHABLE: return "HostUnreachable";
    default: return "WaitingForHost";
    }
}

static void on_uplink_change(void *ctx)
{
    struct net_agent *a = ctx;
    const char *reason;
    enum uplink_state s;
    char text[CONDITION_MESSAGE_MAX];

    s = uplink_get_state(a->uplink);
    reason = waiting_reason(s);
    uplink_summary(a->uplink, text, sizeof text);
    if (s == UPLINK_LINKED)
        set_condition(a, link_type, COND_TRUE, "Linked", text);
    else
        set_condition(a, link_type, COND_FALSE, reason, text);
}

/* Nothing has come for a while. */
static bool is_quiet(void *ctx)
{
    const struct net_agent *a = ctx;
    uint64_t last_ms = MAX(tap_bridge_stats(a->bridge)->last_rx_ms, a->linked_ms);

    return loop_now_ms(a->loop) - last_ms >= QUIET_MS;
}

static const struct uplink_ops uplink_ops = { on_link, on_uplink_change, is_quiet };

/* A link over which nobody has ever answered is none: a host that died after it accepted. */
static void watch_link(struct net_agent *a)
{
    uint64_t now = loop_now_ms(a->loop);
    bool asks = knows_gateway(a) || (a->config->by_dhcp && a->origin != LEASE_OFFERED);

    if (!tap_bridge_has_link(a->bridge) || tap_bridge_stats(a->bridge)->last_rx_ms >= a->linked_ms)
        return;
    if (knows_gateway(a))
        ask_gateway(a);
    if (!asks || now - a->linked_ms < MUTE_MS)
        return;
    log_warn(LOG_NET, "nothing came over the link for %d s; trying another one", MUTE_MS / 1000);
    tap_bridge_detach(a->bridge);
    on_link_end(a, ST_TIMEOUT);
}

/* ---- health ---------------------------------------------------------------------------------- */

static bool is_serving(void *ctx)
{
    const struct net_agent *a = ctx;

    return a->told_ready && a->applied && is_true(a, link_type);
}

static void report(void *ctx, struct health_report *out)
{
    const struct net_agent *a = ctx;
    const struct tap_bridge_stats *s = tap_bridge_stats(a->bridge);
    struct health_component *c = health_add(out, "net");

    if (!c)
        return;
    c->state = is_serving(ctx) ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    c->conditions = a->conditions;
    health_count(c, "to_host_frames", s->to_host_frames);
    health_count(c, "to_host_bytes", s->to_host_bytes);
    health_count(c, "to_guest_frames", s->to_guest_frames);
    health_count(c, "to_guest_bytes", s->to_guest_bytes);
    health_count(c, "dropped_no_link", s->dropped_no_link);
    health_count(c, "dropped_link_full", s->dropped_link_full);
    health_count(c, "dropped_tap_full", s->dropped_tap_full);
    health_count(c, "dropped_bad", s->dropped_bad);
    relay_client_report(a->relay, c);
}

static const struct control_source control_source = {
    .report = report,
    .is_serving = is_serving,
    .publish = publish,
    .on_relay = on_relay_wanted,
    .on_gone = on_host_gone,
};

static bool is_alive(void *ctx)
{
    const struct net_agent *a = ctx;

    return loop_now_ms(a->loop) - a->last_tick_ms < STUCK_MS;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_tick(void *ctx)
{
    struct net_agent *a = ctx;

    a->last_tick_ms = loop_now_ms(a->loop);
    complete_interface(a);
    watch_link(a);
    tell_when_ready(a);
    timer_start(&a->tick, a->told_ready ? TICK_MS : TICK_STARTING_MS);
}

static void on_stopped_timer(void *ctx)
{
    struct net_agent *a = ctx;

    a->on_stopped(a->ctx);
}

enum status net_agent_new(struct net_agent **out, struct loop *loop,
                          const struct net_config *config, void (*on_stopped)(void *ctx), void *ctx,
                          struct errmsg *e)
{
    struct net_agent *a = calloc(1, sizeof *a);
    enum status st;

    if (!a) {
        errmsg_set(e, "net agent: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    a->loop = loop;
    a->config = config;
    a->mac = config->mac;
    a->on_stopped = on_stopped;
    a->ctx = ctx;
    a->last_tick_ms = loop_now_ms(loop);
    timer_init(&a->tick, loop, on_tick, a);
    timer_init(&a->stopped, loop, on_stopped_timer, a);
    service_watchdog_start(&a->watchdog, loop, is_alive, a);
    set_condition(a, link_type, COND_FALSE, "WaitingForHost", "not asked yet");
    set_condition(a, address_type, COND_FALSE, "WaitingForAddress", "no host has said one yet");
    st = relay_client_new(&a->relay, loop, &config->relay_at, on_relay_change, a);
    if (st == ST_OK)
        st = tap_bridge_new(&a->bridge, loop, &bridge_ops, a);
    if (st == ST_OK)
        st = new_dhcp_client(a, &a->dhcp);
    if (st)
        errmsg_set(e, "net agent: %s", status_text(st));
    else
        st = uplink_new(&a->uplink, loop, config, &control_source, &uplink_ops, a, e);
    if (st) {
        net_agent_free(a);
        return st;
    }
    timer_start(&a->tick, 0);
    *out = a;
    return ST_OK;
}

void net_agent_stop(struct net_agent *a)
{
    if (a->stopping)
        return;
    service_notify("STOPPING=1");
    a->stopping = true;
    timer_start(&a->stopped, 0);
}

void net_agent_free(struct net_agent *a)
{
    if (!a)
        return;
    a->stopping = true; /* nobody is told what goes now */
    timer_stop(&a->tick);
    timer_stop(&a->stopped);
    service_watchdog_stop(&a->watchdog);
    uplink_free(a->uplink);
    if (a->bridge)
        close_net(a);
    dhcp_client_free(a->dhcp);
    tap_bridge_free(a->bridge);
    relay_client_free(a->relay);
    free(a);
}
