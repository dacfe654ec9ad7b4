/* SPDX-License-Identifier: Apache-2.0 */
#include "network/published.h"

#include "base/util.h"
#include "ipc/port_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status publish_policy_parse(enum publish_policy *out, const char *text, struct errmsg *e)
{
    static const char *const names[] = {
        [PUBLISH_LOOPBACK] = "loopback", [PUBLISH_ALL] = "all", [PUBLISH_OFF] = "off"
    };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum publish_policy)i;
            return ST_OK;
        }
    }
    errmsg_set(e, "'%.40s' is not loopback, all or off", text);
    return ST_INVAL;
}

/* ---- one message ----------------------------------------------------------------------------- */

/* A port that the guest's network leads to. */
static bool is_served(const Rdlink__V1__PublishedPort *p, const struct ip_addr *guest)
{
    struct ip_addr at;

    if (!port_message_is_sound(p))
        return false;
    if (!p->host_address[0])
        return true;
    return ip_addr_parse(&at, p->host_address) == ST_OK && ip_addr_equal(&at, guest);
}

static enum status put(struct forward_list *l, const char *protocol, const char *local,
                       const struct ip_endpoint *remote)
{
    struct forward_text f = { .protocol = "" };
    char text[IP_ENDPOINT_TEXT_MAX];

    snprintf(f.protocol, sizeof f.protocol, "%s", protocol);
    snprintf(f.local, sizeof f.local, "%s", local);
    snprintf(f.remote, sizeof f.remote, "%s", ip_endpoint_format(remote, text));
    return forward_list_put(l, &f);
}

static enum status put_at(struct forward_list *l, const Rdlink__V1__PublishedPort *p,
                          const struct ip_addr *at, const struct ip_endpoint *remote)
{
    const struct ip_endpoint local = { *at, (uint16_t)p->port };
    char text[IP_ENDPOINT_TEXT_MAX];

    return put(l, p->protocol, ip_endpoint_format(&local, text), remote);
}

static enum status put_at_loopback(struct forward_list *l, const Rdlink__V1__PublishedPort *p,
                                   const struct ip_endpoint *remote)
{
    const struct ip_addr v4 = ip_addr_v4(0x7f000001), v6 = { { [15] = 1 } };
    enum status st = put_at(l, p, &v4, remote);

    return st ? st : put_at(l, p, &v6, remote);
}

static enum status add_served(struct forward_list *l, const Rdlink__V1__PublishedPort *p,
                              enum publish_policy policy, const struct ip_addr *guest)
{
    const struct ip_endpoint remote = { *guest, (uint16_t)p->port };
    char text[16];

    if (!is_served(p, guest))
        return ST_OK;
    if (policy == PUBLISH_LOOPBACK)
        return put_at_loopback(l, p, &remote);
    snprintf(text, sizeof text, ":%u", (unsigned)p->port);
    return put(l, p->protocol, text, &remote);
}

/* Where @p, at the guest's loopback address @at, is reached at the guest's own; 0 = it is not. */
static uint16_t relay_port(const Rdlink__V1__PublishedPorts *relayed,
                           const Rdlink__V1__PublishedPort *p, const struct ip_addr *at)
{
    for (size_t i = 0; relayed && i < relayed->n_ports; i++) {
        const Rdlink__V1__PublishedPort *r = relayed->ports[i];
        struct ip_addr its;

        if (r->port == p->port && strcmp(r->protocol, p->protocol) == 0 &&
            port_message_is_loopback(r, &its) && ip_addr_equal(&its, at))
            return r->relay_port <= UINT16_MAX ? (uint16_t)r->relay_port : 0;
    }
    return 0;
}

/* 127.0.0.1 and ::1 are both "localhost" to a client, so either is reached by both: a @guess, which
 * what is said of the other one itself replaces. */
static enum status add_relayed(struct forward_list *l, const Rdlink__V1__PublishedPort *p,
                               const Rdlink__V1__PublishedPorts *relayed,
                               const struct ip_addr *guest, bool guess)
{
    const struct ip_addr v4 = ip_addr_v4(0x7f000001), v6 = { { [15] = 1 } };
    struct ip_endpoint remote = { *guest, 0 };
    struct ip_addr at;

    if (!port_message_is_sound(p) || !port_message_is_loopback(p, &at))
        return ST_OK;
    remote.port = relay_port(relayed, p, &at);
    if (!remote.port)
        return ST_OK;
    if (!guess)
        return put_at(l, p, &at, &remote);
    return ip_addr_equal(&at, &v4) || ip_addr_equal(&at, &v6) ? put_at_loopback(l, p, &remote)
                                                              : ST_OK;
}

/* Later ones replace earlier ones of the same key. */
static enum status add_all(struct forward_list *l, const Rdlink__V1__PublishedPorts *said,
                           const Rdlink__V1__PublishedPorts *relayed, enum publish_policy policy,
                           const struct ip_addr *guest)
{
    size_t ports = MIN(said->n_ports, (size_t)PORT_MESSAGE_MAX);
    enum status st = ST_OK;

    for (size_t i = 0; i < ports && st == ST_OK; i++)
        st = add_relayed(l, said->ports[i], relayed, guest, true);
    for (size_t i = 0; i < ports && st == ST_OK; i++)
        st = add_served(l, said->ports[i], policy, guest);
    for (size_t i = 0; i < ports && st == ST_OK; i++)
        st = add_relayed(l, said->ports[i], relayed, guest, false);
    return st;
}

enum status published_forwards(struct forward_list *out, const Rdlink__V1__PublishedPorts *said,
                               const Rdlink__V1__PublishedPorts *relayed,
                               enum publish_policy policy, const struct ip_addr *guest)
{
    struct forward_list fresh = { NULL, 0, 0 };

    if (said && policy != PUBLISH_OFF && add_all(&fresh, said, relayed, policy, guest) != ST_OK) {
        forward_list_clear(&fresh);
        return ST_NOMEM;
    }
    forward_list_clear(out);
    *out = fresh;
    return ST_OK;
}

/* ---- of all machines ------------------------------------------------------------------------- */

/* That of @vm_id; with "" a free place. */
static struct published_machine *find(struct published_table *t, const char *vm_id)
{
    for (unsigned i = 0; i < ARRAY_SIZE(t->machines); i++)
        if (strcmp(t->machines[i].vm_id, vm_id) == 0)
            return &t->machines[i];
    return NULL;
}

static enum status refresh(const struct published_table *t, struct published_machine *m)
{
    return published_forwards(&m->forwards, m->said, m->relayed, t->policy, &t->guest);
}

/* @what of @m, one of its two messages, becomes a copy of @msg. */
static enum status take(struct published_table *t, struct published_machine *m,
                        Rdlink__V1__PublishedPorts **what, const Rdlink__V1__PublishedPorts *msg)
{
    Rdlink__V1__PublishedPorts *before = *what;
    Rdlink__V1__PublishedPorts *copy = port_message_copy(msg, false);

    if (!copy)
        return ST_NOMEM;
    *what = copy;
    if (refresh(t, m) == ST_OK) {
        rdlink__v1__published_ports__free_unpacked(before, NULL);
        return ST_OK;
    }
    *what = before;
    rdlink__v1__published_ports__free_unpacked(copy, NULL);
    return ST_NOMEM;
}

/* That of @vm_id, with a free place made its own; NULL: there is none. */
static struct published_machine *find_or_take(struct published_table *t, const char *vm_id)
{
    struct published_machine *m = find(t, vm_id);

    if (m)
        return m;
    m = find(t, "");
    if (m)
        snprintf(m->vm_id, sizeof m->vm_id, "%s", vm_id);
    return m;
}

enum status published_table_say(struct published_table *t, const char *vm_id,
                                const Rdlink__V1__PublishedPorts *msg)
{
    struct published_machine *m = find_or_take(t, vm_id);

    return m ? take(t, m, &m->said, msg) : ST_FULL;
}

enum status published_table_relay(struct published_table *t, const char *vm_id,
                                  const Rdlink__V1__PublishedPorts *msg)
{
    struct published_machine *m = find_or_take(t, vm_id);

    return m ? take(t, m, &m->relayed, msg) : ST_FULL;
}

enum status published_table_set(struct published_table *t, enum publish_policy policy,
                                const struct ip_addr *guest)
{
    enum status st = ST_OK;

    t->policy = policy;
    t->guest = *guest;
    for (unsigned i = 0; i < ARRAY_SIZE(t->machines); i++)
        if (refresh(t, &t->machines[i]) != ST_OK)
            st = ST_NOMEM;
    return st;
}

const struct forward_list *published_table_find(struct published_table *t, const char *vm_id)
{
    const struct published_machine *m = find(t, vm_id);

    return m ? &m->forwards : NULL;
}

static void forget(struct published_machine *m)
{
    forward_list_clear(&m->forwards);
    rdlink__v1__published_ports__free_unpacked(m->said, NULL);
    rdlink__v1__published_ports__free_unpacked(m->relayed, NULL);
    m->said = m->relayed = NULL;
    m->vm_id[0] = '\0';
}

void published_table_forget(struct published_table *t, const char *vm_id)
{
    struct published_machine *m = find(t, vm_id);

    if (m)
        forget(m);
}

void published_table_clear(struct published_table *t)
{
    for (unsigned i = 0; i < ARRAY_SIZE(t->machines); i++)
        forget(&t->machines[i]);
}
