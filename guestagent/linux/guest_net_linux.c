/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Two namespaces, a netlink socket in each, and what is between and in them:
 *
 *   where this process is                     where the guest is ("unit:...")
 *   veth-rd-wsl 192.168.143.2/24 ------------ veth-rd-ns 192.168.143.1/24
 *                                             eth0 (tap): lease, default route;  lo
 *          \ ns.home (rtnetlink)                     \ there (rtnetlink)
 *
 * The pair is how programs of the default namespace (wsl-proxy) reach published ports. Where both
 * namespaces are one there is no pair.
 *
 * What a predecessor left: its tap went with it; its pair did not, if it was killed, so a pair of
 * those names is removed and made anew, whichever end is found. An interface of those names that is
 * no veth is somebody's and stays: ST_EXISTS.
 *
 * A lease is put in the order in which nothing is lost twice: the old address goes first if it is
 * another one (a second address of the same prefix would be a secondary one and go with the first),
 * then address, MTU, route, files. Each step is tried whatever became of the one before; the first
 * failure is the status, all of them are in the message. A file that could not be written is only
 * in the message: the guest has its network.
 *
 * The interface is looked up by name in each call: somebody may have deleted it, and an index says
 * nothing then.
 */
#include "guestagent/net/guest_net.h"

#include "base/log.h"
#include "guestagent/linux/guest_files.h"
#include "guestagent/linux/netns.h"
#include "guestagent/linux/rtnetlink.h"
#include "guestagent/linux/tap_linux.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_TEXT_MAX = 256,
    /* What waits while the link takes no more or the loop is elsewhere: the kernel's own figure for
     * Ethernet, 1.5 MB in frames of 1500 bytes, a millisecond at 10 Gbit/s. */
    TAP_QUEUE_FRAMES = 1000
};

struct cidr {
    struct ip_addr ip;
    unsigned prefix_bits;
};

struct guest_net {
    struct loop *loop; /* borrowed */
    struct netns ns;
    struct rtnetlink there; /* ns.home is the other */
    char tap_name[GUEST_NET_NAME_MAX];
    char veth_outside[GUEST_NET_NAME_MAX], veth_inside[GUEST_NET_NAME_MAX];
    struct cidr outside_ip, inside_ip;
    char resolv_conf[PATH_TEXT_MAX], hosts[PATH_TEXT_MAX];
    bool wants_veth;
    struct guest_lease applied; /* all zero = none yet */
};

/* ---- the configuration ----------------------------------------------------------------- */

static enum status copy_text(char *out, size_t cap, const char *text, const char *what,
                             struct errmsg *e)
{
    if (strlen(text) >= cap) {
        errmsg_set(e, "%s \"%s\" is too long", what, text);
        return ST_INVAL;
    }
    memcpy(out, text, strlen(text) + 1);
    return ST_OK;
}

/* "192.168.143.2/24" */
static enum status parse_cidr(struct cidr *out, const char *text, struct errmsg *e)
{
    const char *slash = strchr(text, '/');
    char ip[IP_ADDR_TEXT_MAX];
    size_t ip_bytes = slash ? (size_t)(slash - text) : sizeof ip;
    char *end = NULL;
    unsigned long bits;

    if (ip_bytes < sizeof ip) {
        memcpy(ip, text, ip_bytes);
        ip[ip_bytes] = '\0';
        bits = strtoul(slash + 1, &end, 10);
        if (end != slash + 1 && *end == '\0' && ip_addr_parse(&out->ip, ip) == ST_OK &&
            bits <= (ip_addr_is_v4(&out->ip) ? 32 : 128)) {
            out->prefix_bits = (unsigned)bits;
            return ST_OK;
        }
    }
    errmsg_set(e, "\"%s\" is not ADDRESS/BITS", text);
    return ST_INVAL;
}

static enum status take_veth(struct guest_net *n, const struct guest_net_config *c,
                             struct errmsg *e)
{
    enum status st = ST_OK;

    n->wants_veth = c->veth;
    if (!c->veth)
        return ST_OK;
    st = copy_text(n->veth_outside, sizeof n->veth_outside, c->veth_outside, "interface", e);
    if (!st)
        st = copy_text(n->veth_inside, sizeof n->veth_inside, c->veth_inside, "interface", e);
    if (!st)
        st = parse_cidr(&n->outside_ip, c->veth_outside_ip, e);
    if (!st)
        st = parse_cidr(&n->inside_ip, c->veth_inside_ip, e);
    return st;
}

static enum status take_config(struct guest_net *n, const struct guest_net_config *c,
                               struct errmsg *e)
{
    enum status st = copy_text(n->tap_name, sizeof n->tap_name, c->tap_name, "interface", e);

    if (!st)
        st = copy_text(n->resolv_conf, sizeof n->resolv_conf, c->resolv_conf, "path", e);
    if (!st)
        st = copy_text(n->hosts, sizeof n->hosts, c->hosts, "path", e);
    if (!st)
        st = take_veth(n, c, e);
    return st;
}

/* ---- the veth pair --------------------------------------------------------------------- */

/* A predecessor's end, and with it the other. */
static enum status remove_stale(struct rtnetlink *nl, const char *name, struct errmsg *e)
{
    struct rtnetlink_link link;
    enum status st = rtnetlink_find_link(nl, name, &link, e);

    if (st == ST_NOTFOUND)
        return ST_OK;
    if (st)
        return st;
    if (strcmp(link.kind, "veth") != 0) {
        errmsg_set(e, "interface %s is there already, and no veth: not ours to remove", name);
        return ST_EXISTS;
    }
    return rtnetlink_delete_link(nl, link.index, e);
}

static enum status set_up_end(struct rtnetlink *nl, const char *name, const struct cidr *at,
                              struct errmsg *e)
{
    static const struct rtnetlink_change up = { .up = true };
    struct rtnetlink_link link;
    enum status st = rtnetlink_find_link(nl, name, &link, e);

    if (!st)
        st = rtnetlink_put_address(nl, link.index, &at->ip, at->prefix_bits, e);
    if (!st)
        st = rtnetlink_change_link(nl, link.index, &up, e);
    if (st)
        errmsg_wrap(e, "%s", name);
    return st;
}

static enum status make_veth(struct guest_net *n, struct errmsg *e)
{
    enum status st = remove_stale(&n->ns.home, n->veth_outside, e);

    if (!st)
        st = remove_stale(&n->there, n->veth_inside, e);
    if (!st)
        st = rtnetlink_add_veth(&n->ns.home, n->veth_outside, n->veth_inside, n->ns.fd, e);
    if (st)
        return st;
    st = set_up_end(&n->ns.home, n->veth_outside, &n->outside_ip, e);
    if (!st)
        st = set_up_end(&n->there, n->veth_inside, &n->inside_ip, e);
    if (st)
        remove_stale(&n->ns.home, n->veth_outside, NULL);
    return st;
}

/* ---- opening and closing --------------------------------------------------------------- */

static enum status open_there(struct guest_net *n, struct errmsg *e)
{
    enum status st = netns_enter(&n->ns, e);

    if (!st) {
        st = rtnetlink_open(&n->there, e);
        netns_leave(&n->ns);
    }
    return st;
}

static enum status open_all(struct guest_net *n, const struct guest_net_config *config,
                            struct errmsg *e)
{
    enum status st = take_config(n, config, e);

    if (!st)
        st = netns_open(&n->ns, config->netns, e);
    if (!st)
        st = open_there(n, e);
    if (!st && n->wants_veth && n->ns.is_home) {
        log_info(LOG_NET, "%s is this process's own namespace: no veth pair", config->netns);
        n->wants_veth = false;
    }
    if (!st && n->wants_veth) {
        st = make_veth(n, e);
        if (st)
            errmsg_wrap(e, "veth pair");
    }
    return st;
}

enum status guest_net_open(struct guest_net **out, struct loop *loop,
                           const struct guest_net_config *config, struct errmsg *e)
{
    struct guest_net *n = calloc(1, sizeof *n);
    enum status st;

    if (!n)
        return ST_NOMEM;
    n->loop = loop;
    n->ns.fd = n->ns.home_fd = n->ns.home.fd = n->there.fd = -1;
    st = open_all(n, config, e);
    if (st) {
        n->wants_veth = false; /* what is there of those names may not be ours */
        guest_net_close(n);
        return st;
    }
    *out = n;
    return ST_OK;
}

bool guest_net_is_current(struct guest_net *n)
{
    return netns_is_current(&n->ns);
}

void guest_net_close(struct guest_net *n)
{
    struct errmsg why;

    if (!n)
        return;
    if (n->wants_veth && remove_stale(&n->ns.home, n->veth_outside, &why) != ST_OK)
        log_warn(LOG_NET, "veth pair stays: %s", why.text);
    rtnetlink_close(&n->there);
    netns_close(&n->ns);
    free(n);
}

/* ---- the tap device -------------------------------------------------------------------- */

static enum status set_up_tap(struct guest_net *n, const struct mac *mac, unsigned mtu,
                              struct errmsg *e)
{
    struct rtnetlink_change size = { .mac = mac, .mtu = mtu, .queue_frames = TAP_QUEUE_FRAMES };
    struct rtnetlink_change up = { .up = true };
    struct rtnetlink_link link = { .index = 0 };
    struct rtnetlink_link lo = { .index = 0 };
    enum status st = rtnetlink_find_link(&n->there, n->tap_name, &link, e);

    if (!st)
        st = rtnetlink_change_link(&n->there, link.index, &size, e);
    if (!st)
        st = rtnetlink_change_link(&n->there, link.index, &up, e);
    if (!st)
        st = rtnetlink_find_link(&n->there, "lo", &lo, e);
    if (!st)
        st = rtnetlink_change_link(&n->there, lo.index, &up, e);
    if (st)
        errmsg_wrap(e, "set up %s", n->tap_name);
    return st;
}

enum status guest_net_open_tap(struct guest_net *n, const struct mac *mac, unsigned mtu,
                               const struct tap_handler *handler, void *ctx, struct tap **out,
                               struct errmsg *e)
{
    struct rtnetlink_link taken;
    struct tap *tap = NULL;
    enum status st = rtnetlink_find_link(&n->there, n->tap_name, &taken, e);

    if (st == ST_OK) {
        errmsg_set(e, "interface %s is there already (%s): another program's network unit?",
                   n->tap_name, *taken.kind ? taken.kind : "a device");
        return ST_EXISTS;
    }
    if (st != ST_NOTFOUND)
        return st;
    st = netns_enter(&n->ns, e);
    if (st)
        return st;
    st = tap_linux_open(&tap, n->loop, n->tap_name, handler, ctx, e);
    netns_leave(&n->ns);
    if (!st)
        st = set_up_tap(n, mac, mtu, e);
    if (st) {
        tap_close(tap);
        return st;
    }
    *out = tap;
    return ST_OK;
}

/* ---- the lease ------------------------------------------------------------------------- */

/* What became of several steps: the first failure's status, and everybody's words. */
struct outcome {
    enum status st;
    struct errmsg text;
};

/* @why is empty again afterwards, for the next step. */
static void note(struct outcome *o, const char *step, enum status st, struct errmsg *why)
{
    struct errmsg before = o->text;
    const char *text = *why->text ? why->text : status_text(st);

    if (st != ST_OK && o->st == ST_OK)
        errmsg_set(&o->text, "%s: %s", step, text);
    else if (st != ST_OK)
        errmsg_set(&o->text, "%s; %s: %s", before.text, step, text);
    if (o->st == ST_OK)
        o->st = st;
    *why->text = '\0';
}

/* What the lease before left and this one does not want. */
static void remove_old(struct guest_net *n, int index, const struct guest_lease *lease,
                       struct outcome *o)
{
    const struct guest_lease *old = &n->applied;
    struct errmsg why = { .text = "" };

    if (!ip_addr_is_unspecified(&old->gateway) && !ip_addr_equal(&old->gateway, &lease->gateway))
        note(o, "old default route",
             rtnetlink_remove_default_route(&n->there, index, &old->gateway, &why), &why);
    if (!ip_addr_is_unspecified(&old->ip) &&
        (!ip_addr_equal(&old->ip, &lease->ip) || old->prefix_bits != lease->prefix_bits))
        note(o, "old address",
             rtnetlink_remove_address(&n->there, index, &old->ip, old->prefix_bits, &why), &why);
}

static void put_new(struct guest_net *n, int index, const struct guest_lease *lease,
                    struct outcome *o)
{
    struct rtnetlink_change mtu = { .mtu = lease->mtu };
    struct errmsg why = { .text = "" };

    note(o, "address",
         rtnetlink_put_address(&n->there, index, &lease->ip, lease->prefix_bits, &why), &why);
    if (lease->mtu)
        note(o, "mtu", rtnetlink_change_link(&n->there, index, &mtu, &why), &why);
    if (!ip_addr_is_unspecified(&lease->gateway)) {
        bool is_on_link = !ip_addr_in_prefix(&lease->gateway, &lease->ip, lease->prefix_bits);

        note(o, "default route",
             rtnetlink_put_default_route(&n->there, index, &lease->gateway, is_on_link, &why),
             &why);
    }
}

static void put_files(struct guest_net *n, const struct guest_lease *lease, struct outcome *o)
{
    struct errmsg why = { .text = "" };

    if (*n->resolv_conf && !ip_addr_is_unspecified(&lease->dns))
        note(o, "resolver",
             guest_files_put_resolver(n->resolv_conf, &lease->dns, lease->search, &why), &why);
    if (*n->hosts)
        note(o, "hosts", guest_files_put_gateway(n->hosts, &lease->gateway, &why), &why);
}

enum status guest_net_apply_router(struct guest_net *n, const struct guest_router *router,
                                   struct errmsg *e)
{
    struct rtnetlink_link tap;
    enum status st = rtnetlink_find_link(&n->there, n->tap_name, &tap, e);

    if (!st)
        st = rtnetlink_put_address(&n->there, tap.index, &router->ip, router->prefix_bits, e);
    if (!st)
        st = rtnetlink_put_default_route(&n->there, tap.index, &router->gateway, false, e);
    return st;
}

enum status guest_net_apply(struct guest_net *n, const struct guest_lease *lease, struct errmsg *e)
{
    struct outcome o = { .st = ST_OK };
    struct errmsg why = { .text = "" };
    struct rtnetlink_link tap;
    enum status st = rtnetlink_find_link(&n->there, n->tap_name, &tap, &why);

    note(&o, "interface", st, &why);
    if (!st) {
        remove_old(n, tap.index, lease, &o);
        put_new(n, tap.index, lease, &o);
        n->applied = *lease;
    }
    st = o.st;
    put_files(n, lease, &o);
    errmsg_set(e, "%s", o.text.text);
    return st;
}
