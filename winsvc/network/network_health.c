/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Four conditions, each about one thing that a person can do something about. Their texts hold no
 * ages and no counts that grow, because a changed text is a change that the controller is told at
 * once; what grows is a counter. Of the switch's counters those are told that say how much it does
 * and what it had to refuse; single kinds of bad frames are one sum here and apart on the control
 * socket.
 */
#include "network/network_health.h"

#include "base/util.h"
#include "port/routes.h"
#include "switch/switch.h"

#include <stdio.h>

/* ---- conditions ------------------------------------------------------------------------------ */

struct update {
    struct condition_set *set;
    const struct network_facts *facts;
};

static bool set_condition(const struct update *u, const char *type, enum condition_status status,
                          const char *reason, const char *message)
{
    return condition_update(u->set, type, status, reason, u->facts->wall_ms, "%s", message);
}

static const char *no_link_message(const struct network_facts *f, char *buf, size_t cap)
{
    if (f->listen_why[0])
        snprintf(buf, cap, "the link's port cannot be listened at: %s", f->listen_why);
    else
        snprintf(buf, cap, "waiting for the guest to connect its network");
    return buf;
}

static const char *lost_message(const struct network_facts *f, char *buf, size_t cap)
{
    snprintf(buf, cap, "the guest's link ended: %s; waiting for the next one",
             f->watch->end_why == ST_OK ? "another one took its place"
                                        : status_text(f->watch->end_why));
    return buf;
}

static bool update_link_up(const struct update *u)
{
    static const char type[] = "LinkUp";
    const struct network_facts *f = u->facts;
    char text[CONDITION_MESSAGE_MAX];

    if (f->watch->is_up)
        return set_condition(u, type, COND_TRUE, "Linked", "the guest's link is connected");
    switch (link_watch_state(f->watch, f->now_ms)) {
    case LINK_NONE:
        return set_condition(u, type, COND_FALSE, "NoLink", no_link_message(f, text, sizeof text));
    case LINK_SHORT_LIVED:
        return set_condition(u, type, COND_FALSE, "ShortLivedLinks",
                             "the guest connects again and again, and its link ends at once");
    default:
        return set_condition(u, type, COND_FALSE, "LinkLost", lost_message(f, text, sizeof text));
    }
}

static const char *online_message(const struct network_facts *f, char *buf, size_t cap)
{
    char ip_text[IP_ADDR_TEXT_MAX];
    struct ip_addr ip;

    if (switch_guest_address(f->sw, &ip))
        snprintf(buf, cap, "the guest is online as %s", ip_addr_format(&ip, ip_text));
    else
        snprintf(buf, cap, "the guest is online");
    return buf;
}

/* A guest that is linked: does it have what it takes? One that spoke and has no address cannot be
 * expected to answer for it, so that comes before its silence. */
static bool update_guest(const struct update *u, const char *type, enum link_state state)
{
    const struct network_facts *f = u->facts;
    char text[CONDITION_MESSAGE_MAX];

    if (!f->guest_has_address && (state != LINK_SILENT || f->watch->went_in))
        return set_condition(u, type, COND_FALSE, "NoAddress",
                             "the link is connected, but the guest has no address yet");
    if (state == LINK_SILENT)
        return set_condition(u, type, COND_FALSE, "LinkSilent",
                             "the link is connected, but the guest does not answer on it");
    if (state == LINK_UNHEARD)
        return set_condition(u, type, COND_FALSE, "LinkSilent",
                             "frames have not gone both ways on this link yet");
    return set_condition(u, type, COND_TRUE, "GuestOnline", online_message(f, text, sizeof text));
}

static bool update_network_ready(const struct update *u)
{
    static const char type[] = "NetworkReady";
    const struct network_facts *f = u->facts;
    enum link_state state = link_watch_state(f->watch, f->now_ms);
    char text[CONDITION_MESSAGE_MAX];

    switch (state) {
    case LINK_NONE:
        return set_condition(u, type, COND_FALSE, "NoLink", no_link_message(f, text, sizeof text));
    case LINK_LOST:
        return set_condition(u, type, COND_FALSE, "NoLink", lost_message(f, text, sizeof text));
    case LINK_SHORT_LIVED:
        return set_condition(u, type, COND_FALSE, "ShortLivedLinks",
                             "three links in a row lived less than 5 s");
    default: return update_guest(u, type, state);
    }
}

static bool update_subnet(const struct update *u)
{
    static const char type[] = "SubnetClear";
    const struct network_facts *f = u->facts;
    char text[CONDITION_MESSAGE_MAX], route[ROUTE_TEXT_MAX];

    if (!f->overlap)
        return set_condition(u, type, COND_TRUE, "NoOverlap",
                             "no network of this host has the guest's addresses");
    snprintf(text, sizeof text,
             "this host reaches %s, which has addresses of the guest's network: "
             "containers cannot reach those",
             route_format(f->overlap, route));
    return set_condition(u, type, COND_FALSE, "SubnetOverlap", text);
}

struct forward_search {
    unsigned count, waiting;
    char first[CONDITION_MESSAGE_MAX]; /* that waits */
};

static void look_at_forward(void *ctx, const struct switch_forward *f)
{
    struct forward_search *s = ctx;

    s->count++;
    if (f->is_listening)
        return;
    if (s->waiting++ == 0)
        snprintf(s->first, sizeof s->first, "%s/%s: %s",
                 f->proto == SWITCH_FORWARD_UDP ? "udp" : "tcp", f->local, f->why);
}

static bool update_forwards(const struct update *u)
{
    static const char type[] = "ForwardsBound";
    const struct network_facts *f = u->facts;
    struct forward_search s = { 0 };
    char text[CONDITION_MESSAGE_MAX];

    switch_forward_each(f->sw, look_at_forward, &s);
    if (!s.waiting) {
        snprintf(text, sizeof text, "%u port%s of this host lead%s into the guest", s.count,
                 s.count == 1 ? "" : "s", s.count == 1 ? "s" : "");
        return set_condition(u, type, COND_TRUE, "AllBound", text);
    }
    snprintf(text, sizeof text, "%u of %u forwards wait for their port; %s", s.waiting, s.count,
             s.first);
    return set_condition(u, type, COND_FALSE, "PortTaken", text);
}

bool network_health_update(struct condition_set *set, const struct network_facts *facts)
{
    const struct update u = { set, facts };
    bool changed = update_link_up(&u);

    changed |= update_network_ready(&u);
    changed |= update_subnet(&u);
    changed |= update_forwards(&u);
    return changed;
}

bool network_health_is_ready(const struct condition_set *set)
{
    const struct condition *c = condition_find(set, "NetworkReady");

    return c && c->status == COND_TRUE;
}

/* ---- counters -------------------------------------------------------------------------------- */

static void count_load(struct health_component *c, const struct network_facts *f)
{
    struct switch_census now;

    switch_get_census(f->sw, &now);
    health_count(c, "links", f->watch->links);
    health_count(c, "links_short_lived", f->watch->short_total);
    health_count(c, "links_refused", f->refused_links);
    if (now.last_rx_ms)
        health_count(c, "last_rx_age_ms", f->now_ms - now.last_rx_ms);
    health_count(c, "tcp_flows", now.tcp_flows);
    health_count(c, "tcp_half_open", now.tcp_half_open);
    health_count(c, "udp_flows", now.udp_flows);
    health_count(c, "neighbours", now.neighbours);
    health_count(c, "forwards", now.forwards);
    health_count(c, "buffer_bytes", now.buffer_bytes);
}

static void count_traffic(struct health_component *c, const struct switch_counters *n)
{
    health_count(c, "rx_frames", n->rx_frames);
    health_count(c, "rx_bytes", n->rx_bytes);
    health_count(c, "tx_frames", n->tx_frames);
    health_count(c, "tx_bytes", n->tx_bytes);
    health_count(c, "tcp_opened", n->tcp_opened);
    health_count(c, "tcp_refused", n->tcp_refused);
    health_count(c, "tcp_reset", n->tcp_reset);
    health_count(c, "tcp_retransmits", n->tcp_retransmits);
    health_count(c, "udp_opened", n->udp_opened);
    health_count(c, "icmp_echo", n->icmp_echo);
    health_count(c, "dhcp_acks", n->dhcp_acks);
    health_count(c, "dns_own", n->dns_own);
    health_count(c, "dns_forwarded", n->dns_forwarded);
    health_count(c, "dns_failed", n->dns_failed);
    health_count(c, "api_requests", n->api_requests);
}

static void count_refusals(struct health_component *c, const struct switch_counters *n)
{
    health_count(c, "drop_malformed",
                 n->drop_runt + n->drop_oversized + n->drop_malformed + n->drop_bad_checksum +
                     n->drop_fragment);
    health_count(c, "drop_not_for_us", n->drop_not_for_us + n->drop_no_flow + n->drop_ttl);
    health_count(c, "drop_policy", n->drop_policy + n->drop_bad_source);
    health_count(c, "drop_link_full", n->drop_link_full);
    health_count(c, "drop_no_memory", n->drop_no_memory);
    health_count(c, "tcp_limit_hits", n->tcp_limit_hits + n->tcp_half_open_limit_hits);
    health_count(c, "other_limit_hits",
                 n->udp_evicted + n->forward_udp_evicted + n->icmp_error_limit_hits +
                     n->ping_limit_hits + n->fragment_limit_hits + n->neighbour_limit_hits +
                     n->dns_limit_hits + n->dhcp_limit_hits + n->api_limit_hits +
                     n->forward_limit_hits + n->open_limit_hits + n->tunnel_limit_hits +
                     n->capture_limit_hits + n->dns_client_limit_hits + n->dns_zone_limit_hits);
}

void network_health_fill(struct health_report *out, const struct condition_set *set,
                         const struct network_facts *facts)
{
    const struct switch_counters *n = switch_get_counters(facts->sw);
    struct health_component *c = health_add(out, "switch");

    ASSERT(c);
    c->conditions = *set;
    c->state = network_health_is_ready(set) ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    count_load(c, facts);
    count_traffic(c, n);
    count_refusals(c, n);
}
