/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/container_list.h"

#include "base/ip_addr.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* False: that is no address. */
static bool take_address(char out[CONTAINER_ADDRESS_MAX], bool *is_loopback, const char *text)
{
    struct ip_addr a;

    out[0] = '\0';
    *is_loopback = false;
    if (!text || !text[0])
        return true;
    if (ip_addr_parse(&a, text) != ST_OK)
        return false;
    *is_loopback = ip_addr_is_loopback(&a);
    if (!ip_addr_is_unspecified(&a))
        ip_addr_format(&a, out);
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct container_port *x = a, *y = b;
    int by_protocol = strcmp(x->protocol, y->protocol);

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return by_protocol ? by_protocol : strcmp(x->address, y->address);
}

static bool is_listed(const struct container_ports *l, const struct container_port *p)
{
    for (unsigned i = 0; i < l->count; i++)
        if (compare(&l->items[i], p) == 0)
            return true;
    return false;
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void take_port(struct container_ports *out, const cJSON *json)
{
    const char *type = text_of(json, "Type");
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, "PublicPort");
    struct container_port p = { .number = 0 };
    bool is_loopback;

    if (!type || (strcmp(type, "tcp") != 0 && strcmp(type, "udp") != 0) || !cJSON_IsNumber(number))
        return;
    if (!(number->valuedouble >= 1 && number->valuedouble <= UINT16_MAX))
        return;
    p.number = (uint16_t)number->valuedouble;
    snprintf(p.protocol, sizeof p.protocol, "%s", type);
    if (!take_address(p.address, &is_loopback, text_of(json, "IP")) || is_listed(out, &p))
        return;
    if (out->count == CONTAINER_PORTS_MAX) {
        out->left_out++;
        return;
    }
    out->items[out->count++] = p;
    out->at_loopback += is_loopback;
}

enum status container_list_parse(struct container_ports *out, const uint8_t *data, size_t len_bytes)
{
    cJSON *json = cJSON_ParseWithLength((const char *)data, len_bytes);
    const cJSON *container, *port;

    memset(out, 0, sizeof *out);
    if (!cJSON_IsArray(json)) {
        cJSON_Delete(json);
        return ST_PROTO;
    }
    cJSON_ArrayForEach(container, json)
    {
        cJSON_ArrayForEach(port, cJSON_GetObjectItemCaseSensitive(container, "Ports"))
        {
            take_port(out, port);
        }
    }
    cJSON_Delete(json);
    qsort(out->items, out->count, sizeof out->items[0], compare);
    return ST_OK;
}

bool container_ports_equal(const struct container_ports *a, const struct container_ports *b)
{
    if (a->count != b->count || a->left_out != b->left_out)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (compare(&a->items[i], &b->items[i]) != 0)
            return false;
    return true;
}
