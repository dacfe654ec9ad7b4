/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Text of an address comes from the configuration, the command line and the gateway's own API; it
 * is parsed here, strictly, and not by the system's inet_pton(), whose idea of "010" or "1.2"
 * differs between systems. No names, no zone ids, no leading zeros in a dotted quad (octal to some
 * readers). IPv6 text is written as RFC 5952 wants it, so equal addresses have equal texts.
 * Parsing works on [p, end) because an endpoint's address is a part of its text.
 */
#include "base/ip_addr.h"

#include "base/hex.h"

#include <stdio.h>

enum { V4_AT = 12, GROUPS = 8 };

/* ---- values ------------------------------------------------------------------------------ */

struct ip_addr ip_addr_of_v4(const uint8_t b[static 4])
{
    struct ip_addr a = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } };

    memcpy(a.b + V4_AT, b, 4);
    return a;
}

struct ip_addr ip_addr_v4(uint32_t host_order)
{
    const uint8_t b[4] = { (uint8_t)(host_order >> 24), (uint8_t)(host_order >> 16),
                           (uint8_t)(host_order >> 8), (uint8_t)host_order };

    return ip_addr_of_v4(b);
}

struct ip_addr ip_addr_of_v6(const uint8_t b[static 16])
{
    struct ip_addr a;

    memcpy(a.b, b, sizeof a.b);
    return a;
}

uint32_t ip_addr_to_v4(const struct ip_addr *a)
{
    const uint8_t *b = a->b + V4_AT;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* ---- kinds of addresses ------------------------------------------------------------------ */

bool ip_addr_is_unspecified(const struct ip_addr *a)
{
    static const struct ip_addr none;

    return ip_addr_is_v4(a) ? ip_addr_to_v4(a) == 0 : ip_addr_equal(a, &none);
}

bool ip_addr_is_loopback(const struct ip_addr *a)
{
    static const struct ip_addr one = { { [15] = 1 } };

    return ip_addr_is_v4(a) ? a->b[V4_AT] == 127 : ip_addr_equal(a, &one);
}

bool ip_addr_is_link_local(const struct ip_addr *a)
{
    if (ip_addr_is_v4(a))
        return a->b[V4_AT] == 169 && a->b[V4_AT + 1] == 254;
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool ip_addr_is_multicast(const struct ip_addr *a)
{
    if (ip_addr_is_v4(a))
        return (a->b[V4_AT] & 0xf0) == 224 || ip_addr_to_v4(a) == UINT32_MAX;
    return a->b[0] == 0xff;
}

bool ip_addr_in_prefix(const struct ip_addr *a, const struct ip_addr *net, unsigned prefix_bits)
{
    bool v4 = ip_addr_is_v4(a);
    unsigned width = v4 ? 32 : 128;
    unsigned from = v4 ? V4_AT : 0;
    unsigned whole, rest;

    if (v4 != ip_addr_is_v4(net))
        return false;
    if (prefix_bits > width)
        prefix_bits = width;
    whole = prefix_bits / 8;
    rest = prefix_bits % 8;
    if (memcmp(a->b + from, net->b + from, whole) != 0)
        return false;
    return rest == 0 || (a->b[from + whole] ^ net->b[from + whole]) >> (8 - rest) == 0;
}

/* ---- from text --------------------------------------------------------------------------- */

/* Decimal digits up to @max, at most @max_digits of them; moves *p behind them. */
static bool parse_decimal(const char **p, const char *end, unsigned max_digits, unsigned max,
                          unsigned *out)
{
    unsigned value = 0, digits = 0;

    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        if (++digits > max_digits)
            return false;
        value = value * 10 + (unsigned)(**p - '0');
    }
    *out = value;
    return digits > 0 && value <= max;
}

/* Four numbers, all of [p, end). */
static bool parse_v4(uint8_t out[static 4], const char *p, const char *end)
{
    for (int i = 0; i < 4; i++) {
        unsigned value;
        const char *start;

        if (i > 0 && (p == end || *p++ != '.'))
            return false;
        start = p;
        if (!parse_decimal(&p, end, 3, 255, &value) || (*start == '0' && p - start > 1))
            return false;
        out[i] = (uint8_t)value;
    }
    return p == end;
}

/* One group of up to four hexadecimal digits. */
static bool parse_group(const char **p, const char *end, uint8_t out[static 2])
{
    unsigned value = 0, digits = 0;

    for (int d; *p < end && (d = hex_digit(**p)) >= 0; (*p)++) {
        if (++digits > 4)
            return false;
        value = value << 4 | (unsigned)d;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return digits > 0;
}

/* Eight groups, the last two perhaps as a dotted quad, one run of zeros perhaps as "::". */
static bool parse_v6(struct ip_addr *out, const char *p, const char *end)
{
    uint8_t b[16] = { 0 };
    unsigned n = 0, gap = GROUPS + 1; /* groups so far; how many stood before "::" */

    if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (p < end) {
        const char *start = p;

        if (n == GROUPS || !parse_group(&p, end, b + (size_t)2 * n))
            return false;
        if (p < end && *p == '.') {
            if (n > GROUPS - 2 || !parse_v4(b + (size_t)2 * n, start, end))
                return false;
            n += 2;
            p = end;
            break;
        }
        n++;
        if (p == end)
            break;
        if (*p++ != ':' || p == end)
            return false;
        if (*p == ':') {
            if (gap <= GROUPS)
                return false;
            gap = n;
            p++;
        }
    }
    if (gap > GROUPS ? n != GROUPS : n > GROUPS - 1)
        return false;
    memset(out->b, 0, sizeof out->b);
    if (gap > n)
        gap = n;
    memcpy(out->b, b, (size_t)2 * gap);
    memcpy(out->b + 16 - (size_t)2 * (n - gap), b + (size_t)2 * gap, (size_t)2 * (n - gap));
    return true;
}

static enum status parse_addr(struct ip_addr *out, const char *p, const char *end)
{
    struct ip_addr a;
    uint8_t v4[4];

    if (parse_v4(v4, p, end))
        a = ip_addr_of_v4(v4);
    else if (!parse_v6(&a, p, end))
        return ST_INVAL;
    *out = a;
    return ST_OK;
}

enum status ip_addr_parse(struct ip_addr *out, const char *text)
{
    return parse_addr(out, text, text + strlen(text));
}

/* The address part of an endpoint: "", "1.2.3.4" or "[::1]". */
static enum status parse_host(struct ip_addr *out, const char *p, const char *end)
{
    uint8_t v4[4];

    if (p == end) {
        *out = ip_addr_v4(0);
        return ST_OK;
    }
    if (*p == '[')
        return end - p >= 2 && end[-1] == ']' && parse_v6(out, p + 1, end - 1) ? ST_OK : ST_INVAL;
    if (!parse_v4(v4, p, end))
        return ST_INVAL;
    *out = ip_addr_of_v4(v4);
    return ST_OK;
}

enum status ip_endpoint_parse(struct ip_endpoint *out, const char *text)
{
    const char *end = text + strlen(text);
    const char *colon = strrchr(text, ':');
    struct ip_endpoint e;
    const char *p;
    unsigned port;

    if (!colon || parse_host(&e.addr, text, colon))
        return ST_INVAL;
    p = colon + 1;
    if (!parse_decimal(&p, end, 5, UINT16_MAX, &port) || p != end)
        return ST_INVAL;
    e.port = (uint16_t)port;
    *out = e;
    return ST_OK;
}

/* ---- to text ----------------------------------------------------------------------------- */

/* The first of the longest runs of at least two zero groups; its length, 0 = none. */
static unsigned longest_zeros(const uint8_t b[static 16], unsigned *at)
{
    unsigned best = 1, run = 0;

    for (unsigned i = 0; i < GROUPS; i++) {
        run = b[2 * i] == 0 && b[2 * i + 1] == 0 ? run + 1 : 0;
        if (run > best) {
            best = run;
            *at = i + 1 - run;
        }
    }
    return best > 1 ? best : 0;
}

const char *ip_addr_format(const struct ip_addr *a, char buf[static IP_ADDR_TEXT_MAX])
{
    unsigned at = GROUPS, zeros, i = 0;
    size_t n = 0;

    if (ip_addr_is_v4(a)) {
        const uint8_t *b = a->b + V4_AT;

        snprintf(buf, IP_ADDR_TEXT_MAX, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
        return buf;
    }
    zeros = longest_zeros(a->b, &at);
    buf[0] = '\0';
    while (i < GROUPS) {
        if (zeros > 0 && i == at) {
            n += (size_t)snprintf(buf + n, IP_ADDR_TEXT_MAX - n, "::");
            i += zeros;
            continue;
        }
        n += (size_t)snprintf(buf + n, IP_ADDR_TEXT_MAX - n, "%s%x",
                              i > 0 && buf[n - 1] != ':' ? ":" : "",
                              (unsigned)a->b[2 * i] << 8 | a->b[2 * i + 1]);
        i++;
    }
    return buf;
}

const char *ip_endpoint_format(const struct ip_endpoint *e, char buf[static IP_ENDPOINT_TEXT_MAX])
{
    char addr[IP_ADDR_TEXT_MAX];

    ip_addr_format(&e->addr, addr);
    snprintf(buf, IP_ENDPOINT_TEXT_MAX, ip_addr_is_v4(&e->addr) ? "%s:%u" : "[%s]:%u", addr,
             e->port);
    return buf;
}
