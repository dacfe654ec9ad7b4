/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/wire.h"

#include "base/hex.h"
#include "wire/wire_internal.h"

#include <stdio.h>
#include <string.h>

enum status eth_decode(struct eth_header *out, struct bytes *r)
{
    const uint8_t *h = bytes_take(r, ETH_HEADER_BYTES);

    if (!h)
        return ST_PROTO;
    memcpy(out->dst.b, h, 6);
    memcpy(out->src.b, h + 6, 6);
    out->type = field_be16(h + 12);
    return ST_OK;
}

void eth_put(struct bytes_out *w, const struct eth_header *h)
{
    uint8_t b[ETH_HEADER_BYTES];

    memcpy(b, h->dst.b, 6);
    memcpy(b + 6, h->src.b, 6);
    field_set_be16(b + 12, h->type);
    bytes_put(w, b, sizeof b);
}

bool mac_is_multicast(const struct mac *m)
{
    return m->b[0] & 1;
}

bool mac_equal(const struct mac *a, const struct mac *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* Six pairs of digits with the same separator between them, ':' or '-'. */
enum status mac_parse(struct mac *out, const char *text)
{
    struct mac m;

    if (strlen(text) != 17 || (text[2] != ':' && text[2] != '-'))
        return ST_INVAL;
    for (int i = 0; i < 6; i++) {
        const char *pair = text + 3 * i;
        int byte = hex_byte(pair);

        if (byte < 0 || (i < 5 && pair[2] != text[2]))
            return ST_INVAL;
        m.b[i] = (uint8_t)byte;
    }
    *out = m;
    return ST_OK;
}

const char *mac_format(const struct mac *m, char buf[static 18])
{
    snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2], m->b[3], m->b[4],
             m->b[5]);
    return buf;
}
