/* SPDX-License-Identifier: Apache-2.0 */
#include "port/port_ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static void add(struct port_ranges *r, uint32_t first, uint32_t last)
{
    if (first == 0 || last < first || last > UINT16_MAX || r->count == PORT_RANGES_MAX)
        return;
    r->items[r->count++] = (struct port_range){ (uint16_t)first, (uint16_t)last };
}

/* Digits of at most 65535, and not a sixth one; moves *text behind them. */
static bool take_port(const char **text, uint32_t *out)
{
    const char *p = *text;
    uint32_t v = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (uint32_t)(*p - '0');
        if (v > UINT16_MAX)
            return false;
    }
    if (p == *text)
        return false;
    *text = p;
    *out = v;
    return true;
}

void port_ranges_add_list(struct port_ranges *r, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, ",\n");
        const char *p = text;
        uint32_t first, last;

        if (take_port(&p, &first)) {
            last = first;
            if (*p == '-') {
                p++;
                if (!take_port(&p, &last))
                    last = 0;
            }
            if (p == text + len)
                add(r, first, last);
        }
        text += len + (text[len] != '\0');
    }
}

void port_ranges_add_table(struct port_ranges *r, const char *text)
{
    while (*text) {
        const char *p = text + strspn(text, " \t");
        uint32_t first, last;

        if (take_port(&p, &first) && (*p == ' ' || *p == '\t')) {
            p += strspn(p, " \t");
            if (take_port(&p, &last) && strchr(" \t\r\n*", *p))
                add(r, first, last);
        }
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
}

const struct port_range *port_ranges_find(const struct port_ranges *r, uint16_t port)
{
    for (unsigned i = 0; i < r->count; i++)
        if (port >= r->items[i].first && port <= r->items[i].last)
            return &r->items[i];
    return NULL;
}
