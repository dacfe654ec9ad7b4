/* SPDX-License-Identifier: Apache-2.0 */
#include "network/published.h"

#include "base/util.h"

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

/* A protocol, a port and an address that the guest's network leads to. */
static bool is_served(const Rdlink__V1__PublishedPort *p, const struct ip_addr *guest)
{
    struct ip_addr at;

    if (strcmp(p->protocol, "tcp") != 0 && strcmp(p->protocol, "udp") != 0)
        return false;
    if (p->port < 1 || p->port > UINT16_MAX)
        return false;
    if (!p->host_address[0])
        return true;
    return ip_addr_parse(&at, p->host_address) == ST_OK && ip_addr_equal(&at, guest);
}

static enum status add(struct forward_list *l, const Rdlink__V1__PublishedPort *p,
                       const char *address, const struct ip_addr *guest)
{
    const struct ip_endpoint remote = { *guest, (uint16_t)p->port };
    struct forward_text f = { .protocol = "" };
    char text[IP_ENDPOINT_TEXT_MAX];

    snprintf(f.protocol, sizeof f.protocol, "%s", p->protocol);
    snprintf(f.local, sizeof f.local, "%s:%u", address, (unsigned)p->port);
    snprintf(f.remote, sizeof f.remote, "%s", ip_endpoint_format(&remote, text));
    return forward_list_put(l, &f);
}

static enum status add_port(struct forward_list *l, const Rdlink__V1__PublishedPort *p,
                            enum publish_policy policy, const struct ip_addr *guest)
{
    enum status st;

    if (policy == PUBLISH_OFF || !is_served(p, guest))
        return ST_OK;
    if (policy == PUBLISH_ALL)
        return add(l, p, "", guest);
    st = add(l, p, "127.0.0.1", guest);
    return st ? st : add(l, p, "[::1]", guest);
}

enum status published_forwards(struct forward_list *out, const Rdlink__V1__PublishedPorts *msg,
                               enum publish_policy policy, const struct ip_addr *guest)
{
    size_t ports = msg ? MIN(msg->n_ports, (size_t)PUBLISHED_MAX) : 0;
    struct forward_list fresh = { NULL, 0, 0 };

    for (size_t i = 0; i < ports; i++) {
        if (add_port(&fresh, msg->ports[i], policy, guest) == ST_OK)
            continue;
        forward_list_clear(&fresh);
        return ST_NOMEM;
    }
    forward_list_clear(out);
    *out = fresh;
    return ST_OK;
}

/* ---- of all machines ------------------------------------------------------------------------- */

/* A copy of no more than what is taken. NULL: no memory. */
static Rdlink__V1__PublishedPorts *copy_of(const Rdlink__V1__PublishedPorts *msg)
{
    Rdlink__V1__PublishedPorts cut = *msg, *copy;
    size_t len_bytes;
    uint8_t *packed;

    cut.n_ports = MIN(cut.n_ports, (size_t)PUBLISHED_MAX);
    len_bytes = rdlink__v1__published_ports__get_packed_size(&cut);
    packed = malloc(len_bytes + 1);
    if (!packed)
        return NULL;
    rdlink__v1__published_ports__pack(&cut, packed);
    copy = rdlink__v1__published_ports__unpack(NULL, len_bytes, packed);
    free(packed);
    return copy;
}

/* That of @vm_id; with "" a free place. */
static struct published_machine *find(struct published_table *t, const char *vm_id)
{
    for (unsigned i = 0; i < ARRAY_SIZE(t->machines); i++)
        if (strcmp(t->machines[i].vm_id, vm_id) == 0)
            return &t->machines[i];
    return NULL;
}

enum status published_table_say(struct published_table *t, const char *vm_id,
                                const Rdlink__V1__PublishedPorts *msg)
{
    struct published_machine *m = find(t, vm_id);
    Rdlink__V1__PublishedPorts *said;

    if (!m)
        m = find(t, "");
    if (!m)
        return ST_FULL;
    said = copy_of(msg);
    if (!said || published_forwards(&m->forwards, said, t->policy, &t->guest) != ST_OK) {
        rdlink__v1__published_ports__free_unpacked(said, NULL);
        return ST_NOMEM;
    }
    rdlink__v1__published_ports__free_unpacked(m->said, NULL);
    m->said = said;
    snprintf(m->vm_id, sizeof m->vm_id, "%s", vm_id);
    return ST_OK;
}

enum status published_table_set(struct published_table *t, enum publish_policy policy,
                                const struct ip_addr *guest)
{
    enum status st = ST_OK;

    t->policy = policy;
    t->guest = *guest;
    for (unsigned i = 0; i < ARRAY_SIZE(t->machines); i++)
        if (published_forwards(&t->machines[i].forwards, t->machines[i].said, policy, guest))
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
    m->said = NULL;
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
