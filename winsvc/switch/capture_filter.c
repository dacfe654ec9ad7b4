/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * An expression becomes a list of nodes in reverse Polish order, at most 64, which a frame runs
 * through once with one bit of stack each: no recursion and no allocation in the data path.
 *
 *   "tcp and not (port 22 or host 10.0.0.1)"  ->  tcp, port 22, host 10.0.0.1, or, not, and
 *
 * A recursive descent over words; how deep is bounded. The facts of a frame are read with the
 * decoders of wire/, so a frame that is malformed from IP on is just Ethernet here.
 *
 * Why not libpcap's compiler: on Windows it is Npcap's, which is not free to pass on, and it makes
 * programs for an interpreter of raw frames, more than these few questions need.
 */
#include "switch/capture_filter.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum what {
    WHAT_ETHER_TYPE,
    WHAT_PROTO,
    WHAT_NET,
    WHAT_PORT,
    WHAT_MAC,
    WHAT_NOT,
    WHAT_AND,
    WHAT_OR
};
enum side { SIDE_ANY, SIDE_SRC, SIDE_DST };

/* ---- a frame ----------------------------------------------------------------------------- */

static void get_arp(struct frame_facts *out, struct bytes *r)
{
    struct arp_packet arp;

    if (arp_decode(&arp, r))
        return;
    out->has_addresses = true;
    out->src = arp.sender;
    out->dst = arp.target;
}

static void get_ip(struct frame_facts *out, struct bytes *r, bool is_v4)
{
    struct ip_header ip;

    if (is_v4 ? ip4_decode(&ip, r) : ip6_decode(&ip, r))
        return;
    out->has_addresses = true;
    out->src = ip.src;
    out->dst = ip.dst;
    out->proto = ip.proto;
    if (ip.fragment_offset || (ip.proto != IP_PROTO_TCP && ip.proto != IP_PROTO_UDP))
        return;
    out->src_port = bytes_be16(r);
    out->dst_port = bytes_be16(r);
    out->has_ports = bytes_ok(r);
}

void frame_facts_get(struct frame_facts *out, const uint8_t *frame, size_t len_bytes)
{
    struct bytes r = bytes_of(frame, len_bytes);
    struct eth_header eth;

    memset(out, 0, sizeof *out);
    if (eth_decode(&eth, &r))
        return;
    out->src_mac = eth.src;
    out->dst_mac = eth.dst;
    out->ether_type = eth.type;
    if (eth.type == ETH_TYPE_ARP)
        get_arp(out, &r);
    else if (eth.type == ETH_TYPE_IP4 || eth.type == ETH_TYPE_IP6)
        get_ip(out, &r, eth.type == ETH_TYPE_IP4);
}

/* ---- matching ---------------------------------------------------------------------------- */

static bool of_sides(uint8_t side, bool src, bool dst)
{
    return (side != SIDE_DST && src) || (side != SIDE_SRC && dst);
}

static bool in_net(const struct filter_node *n, const struct ip_addr *a)
{
    return ip_addr_is_v4(a) == ip_addr_is_v4(&n->net) && ip_addr_in_prefix(a, &n->net, n->bits);
}

static bool is_between(const struct filter_node *n, uint16_t v)
{
    return v >= n->low && v <= n->high;
}

static bool holds(const struct filter_node *n, const struct frame_facts *f)
{
    switch ((enum what)n->what) {
    case WHAT_ETHER_TYPE: return f->ether_type == n->low;
    case WHAT_PROTO: return f->has_addresses && f->proto == n->low;
    case WHAT_NET:
        return f->has_addresses && of_sides(n->side, in_net(n, &f->src), in_net(n, &f->dst));
    case WHAT_PORT:
        return f->has_ports &&
               of_sides(n->side, is_between(n, f->src_port), is_between(n, f->dst_port));
    case WHAT_MAC:
        return of_sides(n->side, mac_equal(&n->mac, &f->src_mac), mac_equal(&n->mac, &f->dst_mac));
    case WHAT_NOT:
    case WHAT_AND:
    case WHAT_OR: break;
    }
    return false;
}

bool capture_filter_wants(const struct capture_filter *f, const struct frame_facts *facts)
{
    uint64_t stack = 1; /* the newest in bit 0; of an empty expression: yes */

    for (unsigned i = 0; i < f->count; i++) {
        const struct filter_node *n = &f->nodes[i];

        if (n->what == WHAT_NOT)
            stack ^= 1;
        else if (n->what == WHAT_AND)
            stack = (stack >> 1 & ~(uint64_t)1) | (stack & stack >> 1 & 1);
        else if (n->what == WHAT_OR)
            stack = stack >> 1 | (stack & 1);
        else
            stack = stack << 1 | holds(n, facts);
    }
    return stack & 1;
}

/* ---- words ------------------------------------------------------------------------------- */

enum { WORD_MAX = 64 };

struct parser {
    const char *at;      /* behind the word in hand */
    char word[WORD_MAX]; /* "" at the end */
    bool is_too_long;
    unsigned depth;
    struct capture_filter *out;
    struct errmsg *e;
};

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr(".:/_-%", c));
}

static void next_word(struct parser *p)
{
    size_t n = 0;

    p->at += strspn(p->at, " \t\r\n");
    while (is_word_char(p->at[n]))
        n++;
    if (n == 0 && p->at[0])
        n = (p->at[0] == '&' || p->at[0] == '|') && p->at[1] == p->at[0] ? 2 : 1;
    p->is_too_long = n >= sizeof p->word;
    memcpy(p->word, p->at, MIN(n, sizeof p->word - 1));
    p->word[MIN(n, sizeof p->word - 1)] = '\0';
    p->at += n;
}

static bool is_word(const struct parser *p, const char *text)
{
    return strcmp(p->word, text) == 0;
}

static bool take_word(struct parser *p, const char *text)
{
    if (!is_word(p, text))
        return false;
    next_word(p);
    return true;
}

/* ---- grammar ----------------------------------------------------------------------------- */

static enum status expected(struct parser *p, const char *what)
{
    if (p->is_too_long || !p->word[0])
        errmsg_set(p->e, "filter: %s is missing", what);
    else
        errmsg_set(p->e, "filter: \"%.40s\" is no %s", p->word, what);
    return ST_INVAL;
}

static enum status add(struct parser *p, const struct filter_node *n)
{
    if (p->out->count == CAPTURE_FILTER_NODES) {
        errmsg_set(p->e, "filter: more than %d conditions", CAPTURE_FILTER_NODES);
        return ST_INVAL;
    }
    p->out->nodes[p->out->count++] = *n;
    return ST_OK;
}

static enum status add_what(struct parser *p, enum what what)
{
    struct filter_node n = { .what = (uint8_t)what };

    return add(p, &n);
}

/* The decimal number at *@text, which moves behind it; none, or above @most: false. */
static bool take_number(const char **text, unsigned most, unsigned *out)
{
    unsigned v = 0;
    const char *c = *text;

    for (; *c >= '0' && *c <= '9' && v <= most; c++)
        v = v * 10 + (unsigned)(*c - '0');
    if (c == *text || v > most)
        return false;
    *text = c;
    *out = v;
    return true;
}

static enum status parse_address(struct parser *p, struct filter_node *n)
{
    n->what = WHAT_NET;
    if (p->is_too_long || ip_addr_parse(&n->net, p->word))
        return expected(p, "address");
    n->bits = ip_addr_is_v4(&n->net) ? 32 : 128;
    next_word(p);
    return add(p, n);
}

static enum status parse_net(struct parser *p, struct filter_node *n)
{
    const char *slash = strchr(p->word, '/'), *bits = slash ? slash + 1 : "";
    char text[WORD_MAX];

    n->what = WHAT_NET;
    memcpy(text, p->word, sizeof text);
    if (slash)
        text[slash - p->word] = '\0';
    if (p->is_too_long || !slash || ip_addr_parse(&n->net, text) ||
        !take_number(&bits, ip_addr_is_v4(&n->net) ? 32 : 128, &n->bits) || *bits)
        return expected(p, "network such as 10.0.0.0/8");
    next_word(p);
    return add(p, n);
}

static enum status parse_ports(struct parser *p, struct filter_node *n, bool is_range)
{
    const char *at = p->word;
    unsigned low, high;
    bool ok = !p->is_too_long && take_number(&at, 65535, &low);

    n->what = WHAT_PORT;
    high = ok ? low : 0;
    if (ok && is_range)
        ok = *at++ == '-' && take_number(&at, 65535, &high) && high >= low;
    if (!ok || *at)
        return expected(p, is_range ? "range of ports such as 8000-8080" : "port");
    n->low = (uint16_t)low;
    n->high = (uint16_t)high;
    next_word(p);
    return add(p, n);
}

static uint8_t take_side(struct parser *p)
{
    return take_word(p, "src") ? SIDE_SRC : take_word(p, "dst") ? SIDE_DST : SIDE_ANY;
}

static enum status parse_mac(struct parser *p)
{
    struct filter_node n = { .what = WHAT_MAC, .side = take_side(p) };

    (void)take_word(p, "host");
    if (p->is_too_long || mac_parse(&n.mac, p->word))
        return expected(p, "MAC address");
    next_word(p);
    return add(p, &n);
}

static enum status parse_sided(struct parser *p)
{
    struct filter_node n = { .side = take_side(p) };

    if (take_word(p, "host"))
        return parse_address(p, &n);
    if (take_word(p, "net"))
        return parse_net(p, &n);
    if (take_word(p, "port"))
        return parse_ports(p, &n, false);
    if (take_word(p, "portrange"))
        return parse_ports(p, &n, true);
    return n.side == SIDE_ANY ? expected(p, "condition") : parse_address(p, &n);
}

/* "tcp port 80" is "tcp and port 80". */
static bool is_at_port(const struct parser *p)
{
    struct parser ahead = *p;

    (void)take_side(&ahead);
    return is_word(&ahead, "port") || is_word(&ahead, "portrange");
}

static enum status parse_primitive(struct parser *p)
{
    static const struct {
        const char *name;
        enum what what;
        uint16_t value;
    } names[] = {
        { "tcp", WHAT_PROTO, IP_PROTO_TCP },      { "udp", WHAT_PROTO, IP_PROTO_UDP },
        { "icmp", WHAT_PROTO, IP_PROTO_ICMP },    { "icmp6", WHAT_PROTO, IP_PROTO_ICMP6 },
        { "arp", WHAT_ETHER_TYPE, ETH_TYPE_ARP }, { "ip", WHAT_ETHER_TYPE, ETH_TYPE_IP4 },
        { "ip6", WHAT_ETHER_TYPE, ETH_TYPE_IP6 },
    };

    if (take_word(p, "ether"))
        return parse_mac(p);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct filter_node n = { .what = (uint8_t)names[i].what, .low = names[i].value };
        enum status st;

        if (!take_word(p, names[i].name))
            continue;
        st = add(p, &n);
        if (st || i > 1 || !is_at_port(p))
            return st;
        st = parse_sided(p);
        return st ? st : add_what(p, WHAT_AND);
    }
    return parse_sided(p);
}

static enum status parse_expression(struct parser *p);

static enum status parse_factor(struct parser *p)
{
    enum status st;

    if (p->depth == CAPTURE_FILTER_DEPTH) {
        errmsg_set(p->e, "filter: nested deeper than %d", CAPTURE_FILTER_DEPTH);
        return ST_INVAL;
    }
    p->depth++;
    if (take_word(p, "not") || take_word(p, "!")) {
        st = parse_factor(p);
        st = st ? st : add_what(p, WHAT_NOT);
    } else if (take_word(p, "(")) {
        st = parse_expression(p);
        if (!st && !take_word(p, ")"))
            st = expected(p, ")");
    } else {
        st = parse_primitive(p);
    }
    p->depth--;
    return st;
}

static enum status parse_term(struct parser *p)
{
    enum status st = parse_factor(p);

    while (!st && (take_word(p, "and") || take_word(p, "&&"))) {
        st = parse_factor(p);
        st = st ? st : add_what(p, WHAT_AND);
    }
    return st;
}

static enum status parse_expression(struct parser *p)
{
    enum status st = parse_term(p);

    while (!st && (take_word(p, "or") || take_word(p, "||"))) {
        st = parse_term(p);
        st = st ? st : add_what(p, WHAT_OR);
    }
    return st;
}

enum status capture_filter_parse(struct capture_filter *out, const char *text, struct errmsg *e)
{
    struct parser p = { .at = text, .out = out, .e = e };
    enum status st;

    out->count = 0;
    next_word(&p);
    if (!p.word[0])
        return ST_OK;
    st = parse_expression(&p);
    if (!st && p.word[0])
        st = expected(&p, "\"and\" or \"or\"");
    return st;
}
