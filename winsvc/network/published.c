/* SPDX-License-Identifier: Apache-2.0 */
#include "network/published.h"

#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PER_PORT = 2 }; /* an address of each family */

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

Rdlink__V1__PublishedPorts *published_message_copy(const Rdlink__V1__PublishedPorts *msg)
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

void published_message_free(Rdlink__V1__PublishedPorts *msg)
{
    rdlink__v1__published_ports__free_unpacked(msg, NULL);
}

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

static bool is_in(const struct published_list *l, const struct published_forward *f)
{
    for (unsigned i = 0; i < l->count; i++)
        if (!strcmp(l->items[i].protocol, f->protocol) && !strcmp(l->items[i].local, f->local) &&
            !strcmp(l->items[i].remote, f->remote))
            return true;
    return false;
}

static void add(struct published_list *l, const Rdlink__V1__PublishedPort *p, const char *address,
                const struct ip_addr *guest)
{
    const struct ip_endpoint remote = { *guest, (uint16_t)p->port };
    struct published_forward f = { .protocol = "" };
    char text[IP_ENDPOINT_TEXT_MAX];

    snprintf(f.protocol, sizeof f.protocol, "%s", p->protocol);
    snprintf(f.local, sizeof f.local, "%s:%u", address, (unsigned)p->port);
    snprintf(f.remote, sizeof f.remote, "%s", ip_endpoint_format(&remote, text));
    if (!is_in(l, &f))
        l->items[l->count++] = f;
}

enum status published_list_set(struct published_list *out, const Rdlink__V1__PublishedPorts *msg,
                               enum publish_policy policy, const struct ip_addr *guest)
{
    size_t ports = msg && policy != PUBLISH_OFF ? MIN(msg->n_ports, (size_t)PUBLISHED_MAX) : 0;
    struct published_list fresh = { calloc(ports * PER_PORT + 1, sizeof *fresh.items), 0 };

    if (!fresh.items)
        return ST_NOMEM;
    for (size_t i = 0; i < ports; i++) {
        if (!is_served(msg->ports[i], guest))
            continue;
        if (policy == PUBLISH_ALL) {
            add(&fresh, msg->ports[i], "", guest);
        } else {
            add(&fresh, msg->ports[i], "127.0.0.1", guest);
            add(&fresh, msg->ports[i], "[::1]", guest);
        }
    }
    published_list_clear(out);
    *out = fresh;
    return ST_OK;
}

enum status published_diff(struct published_list *to, const struct published_list *from,
                           published_change_fn *change, void *ctx)
{
    struct published_list copy = { calloc(from->count + 1, sizeof *copy.items), from->count };

    if (!copy.items)
        return ST_NOMEM;
    if (from->count > 0)
        memcpy(copy.items, from->items, from->count * sizeof *copy.items);
    for (unsigned i = 0; i < to->count; i++)
        if (!is_in(from, &to->items[i]))
            change(ctx, &to->items[i], true);
    for (unsigned i = 0; i < from->count; i++)
        if (!is_in(to, &from->items[i]))
            change(ctx, &from->items[i], false);
    published_list_clear(to);
    *to = copy;
    return ST_OK;
}

void published_list_clear(struct published_list *l)
{
    free(l->items);
    *l = (struct published_list){ NULL, 0 };
}
