/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/net/net_config.h"

#include "guestagent/net/relay_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t handshake_ports[] = { [RANCHER_A] = 6669, [RANCHER_B] = 6670 };

/* ---- checks of one value -------------------------------------------------------------------- */

enum status net_config_parse_cidr(struct ip_addr *ip, unsigned *prefix_bits, const char *text)
{
    const char *slash = strchr(text, '/');
    char address[IP_ADDR_TEXT_MAX];
    size_t len = slash ? (size_t)(slash - text) : 0;
    struct ip_addr a;
    char *end;
    unsigned long bits;

    if (!slash || len >= sizeof address || slash[1] < '0' || slash[1] > '9')
        return ST_INVAL;
    memcpy(address, text, len);
    address[len] = '\0';
    bits = strtoul(slash + 1, &end, 10);
    if (*end || bits < 1 || bits > 30 || ip_addr_parse(&a, address) || !ip_addr_is_v4(&a))
        return ST_INVAL;
    *ip = a;
    *prefix_bits = (unsigned)bits;
    return ST_OK;
}

static enum status check_cidr(const char *value, struct errmsg *e)
{
    struct ip_addr ip;
    unsigned bits;

    if (net_config_parse_cidr(&ip, &bits, value) == ST_OK)
        return ST_OK;
    errmsg_set(e, "\"%.40s\" is no IPv4 address with mask bits, such as 192.168.127.2/24", value);
    return ST_INVAL;
}

static enum status check_address(const char *value, struct errmsg *e)
{
    return strcmp(value, "dhcp") == 0 ? ST_OK : check_cidr(value, e);
}

static enum status check_gateway(const char *value, struct errmsg *e)
{
    struct ip_addr ip;

    if (!*value || (ip_addr_parse(&ip, value) == ST_OK && ip_addr_is_v4(&ip)))
        return ST_OK;
    errmsg_set(e, "\"%.40s\" is no IPv4 address", value);
    return ST_INVAL;
}

static enum status check_mac(const char *value, struct errmsg *e)
{
    struct mac mac;

    if (mac_parse(&mac, value) == ST_OK && !mac_is_multicast(&mac))
        return ST_OK;
    errmsg_set(e, "\"%.40s\" is no address of one interface, such as 5a:94:ef:e4:0c:ee", value);
    return ST_INVAL;
}

static enum status check_control(const char *value, struct errmsg *e)
{
    struct addr at;

    if (!strcmp(value, "auto") || !strcmp(value, "none"))
        return ST_OK;
    return addr_parse(&at, value, e);
}

static enum status check_socket(const char *value, struct errmsg *e)
{
    struct addr at;

    return addr_parse_guarded(&at, value, e);
}

static enum status check_base(const char *value, struct errmsg *e)
{
    struct addr at;

    return *value ? addr_parse(&at, value, e) : ST_OK;
}

/* "A,B" */
static enum status parse_generations(bool answers[static RANCHER_GENERATION_COUNT],
                                     const char *value, struct errmsg *e)
{
    if (!strcmp(value, "none"))
        return ST_OK;
    for (const char *p = value;; p += 2) {
        if (*p != 'A' && *p != 'B')
            break;
        answers[*p == 'A' ? RANCHER_A : RANCHER_B] = true;
        if (p[1] == '\0')
            return ST_OK;
        if (p[1] != ',')
            break;
    }
    errmsg_set(e, "\"%.40s\": it must be A, B, A,B or none", value);
    return ST_INVAL;
}

static enum status check_handshake(const char *value, struct errmsg *e)
{
    bool answers[RANCHER_GENERATION_COUNT];

    return parse_generations(answers, value, e);
}

/* "v2:unix:/run/link" */
static enum status parse_link(enum frame_protocol *protocol, struct addr *at, const char *value,
                              struct errmsg *e)
{
    static const enum frame_protocol known[] = { FRAME_STDIO, FRAME_QEMU, FRAME_V2 };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        const char *name = frame_protocol_name(known[i]);
        size_t len = strlen(name);

        if (strncmp(value, name, len) != 0 || value[len] != ':')
            continue;
        *protocol = known[i];
        return addr_parse(at, value + len + 1, e);
    }
    errmsg_set(e, "link \"%.60s\": it must begin with stdio: qemu: or v2:", value);
    return ST_INVAL;
}

static enum status check_link(const char *value, struct errmsg *e)
{
    enum frame_protocol protocol;
    struct addr at;

    return *value ? parse_link(&protocol, &at, value, e) : ST_OK;
}

static enum status check_netns(const char *value, struct errmsg *e)
{
    static const char *const kinds[] = { "unit:", "path:", "new:" };

    if (!strcmp(value, "host"))
        return ST_OK;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t len = strlen(kinds[i]);

        if (!strncmp(value, kinds[i], len) && value[len])
            return ST_OK;
    }
    errmsg_set(e, "\"%.60s\": it must be host, unit:NAME, path:FILE or new:NAME", value);
    return ST_INVAL;
}

enum status net_config_check_interface(const char *value, struct errmsg *e)
{
    size_t len = strlen(value);

    if (len > 0 && len < GUEST_NET_NAME_MAX && strcspn(value, "/: \t") == len &&
        strcmp(value, ".") != 0 && strcmp(value, "..") != 0)
        return ST_OK;
    errmsg_set(e, "\"%.40s\" is no name for an interface: 1 to 15 characters, no / or :", value);
    return ST_INVAL;
}

/* ---- the table ------------------------------------------------------------------------------ */

#define AT(field) offsetof(struct net_config, field)

static const struct option table[] = {
    { "config", OPTION_STRING, AT(file), NULL, 0, 0, NULL, "FILE",
      "read options from FILE, one \"key = value\" per line" },
    { "control", OPTION_STRING, AT(control), "auto", 0, 0, check_control, "ADDR",
      "where rdlinkd of the host asks for health and offers its network; auto = vsock:6681, or "
      "nowhere with --link; none = nowhere" },
    { "handshake", OPTION_STRING, AT(handshake), "A,B", 0, 0, check_handshake, "A,B",
      "generations of Rancher Desktop's own handshake to answer, or none" },
    { "legacy-after", OPTION_DURATION, AT(legacy_after_ms), "2s", 0, 3600000, NULL, "TIME",
      "how long to wait for rdlinkd before those are answered" },
    { "link", OPTION_STRING, AT(link), "", 0, 0, check_link, "PROTO:ADDR",
      "dial the host's switch here and nowhere else: stdio, qemu or v2, and an address" },
    { "netns", OPTION_STRING, AT(netns), "unit:network-namespace.service", 0, 0, check_netns,
      "WHERE",
      "network namespace of the interface: unit:NAME (of its main process), path:FILE, new:NAME "
      "or host" },
    { "tap-interface", OPTION_STRING, AT(tap_name), "eth0", 0, 0, net_config_check_interface,
      "NAME", "name of the interface" },
    { "tap-mac-address", OPTION_STRING, AT(mac_text), "5a:94:ef:e4:0c:ee", 0, 0, check_mac, "MAC",
      "its address, by which the host knows its lease" },
    { "mtu", OPTION_UINT, AT(mtu), "1500", 576, 65520, NULL, "BYTES",
      "its MTU until the host says another one" },
    { "address", OPTION_STRING, AT(address), "dhcp", 0, 0, check_address, "dhcp|CIDR",
      "the guest's address: the host's word, or 192.168.127.2/24" },
    { "gateway", OPTION_STRING, AT(gateway), "", 0, 0, check_gateway, "IP",
      "default route and name server beside a fixed --address; the network's first address when "
      "not given" },
    { "no-veth", OPTION_FLAG, AT(no_veth), NULL, 0, 0, NULL, NULL,
      "no pair of interfaces between the namespace and the one outside" },
    { "veth-subnet", OPTION_STRING, AT(veth_subnet), "192.168.143.0/24", 0, 0, check_cidr, "CIDR",
      "addresses of that pair: .1 in the namespace, .2 outside" },
    { "resolv-conf", OPTION_STRING, AT(resolv_conf), "/etc/resolv.conf", 0, 0, NULL, "FILE",
      "gets the name server; empty = no file" },
    { "hosts", OPTION_STRING, AT(hosts), "/etc/hosts", 0, 0, NULL, "FILE",
      "gets the gateway's name; empty = no file" },
    { "handshake-base", OPTION_STRING, AT(handshake_base), "", 0, 0, check_base, "ADDR",
      "transport of the handshake ports, for tests: vsock-hybrid:PATH, or unix:PATH for "
      "PATH_PORT" },
    { "host-base", OPTION_STRING, AT(host_base), "", 0, 0, check_base, "ADDR",
      "transport of the host's ports, for tests: vsock-hybrid:PATH" },
    { "relay", OPTION_STRING, AT(relay), RELAY_DEFAULT_SOCKET, 0, 0, check_socket, "ADDR",
      "where rdlink-agent relay listens, which makes ports published at 127.0.0.1 reachable" },
    IDENTITY_OPTIONS(struct net_config, identity),
    { "log-level", OPTION_STRING, AT(log_level), "info", 0, 0, options_check_log_level, "LEVELS",
      "error, warn, info, debug or trace, and others for parts: info,switch=debug" },
};

/* ---- all together --------------------------------------------------------------------------- */

/* A port of @base: of a vsock-like address its own, of a unix socket one with the port in its name,
 * which is how a port of a guest looks to a program in front of it. */
static enum status base_at_port(struct addr *out, const struct addr *base, uint32_t port,
                                struct errmsg *e)
{
    size_t room = sizeof out->path;

    if (base->kind != ADDR_UNIX) {
        *out = addr_at_port(base, port);
        return ST_OK;
    }
    *out = *base;
    if ((size_t)snprintf(out->path, room, "%s_%u", base->path, port) < room)
        return ST_OK;
    errmsg_set(e, "--handshake-base: the path is too long");
    return ST_INVAL;
}

static enum status parse_base(struct addr *out, const char *text, struct errmsg *e)
{
    enum status st = addr_parse(out, *text ? text : "vsock:0", e);

    if (st == ST_OK && !*text)
        out->port = ADDR_PORT_NONE;
    return st;
}

static enum status understand_transports(struct net_config *c, struct errmsg *e)
{
    bool answers[RANCHER_GENERATION_COUNT] = { false };
    struct addr base;
    enum status st = ST_OK;

    c->has_link = c->link[0] != '\0';
    if (c->has_link)
        st = parse_link(&c->link_protocol, &c->link_at, c->link, e);
    else
        st = parse_generations(answers, c->handshake, e);
    if (st)
        return st;
    c->answers_a = answers[RANCHER_A];
    c->answers_b = answers[RANCHER_B];
    st = parse_base(&base, c->handshake_base, e);
    if (st == ST_OK)
        st = parse_base(&c->host_at, c->host_base, e);
    for (unsigned g = 0; g < RANCHER_GENERATION_COUNT && st == ST_OK; g++)
        st = base_at_port(&c->handshake_at[g], &base, handshake_ports[g], e);
    c->has_control =
        strcmp(c->control, "none") != 0 && !(c->has_link && strcmp(c->control, "auto") == 0);
    if (st == ST_OK && c->has_control)
        st = addr_parse(&c->control_at, strcmp(c->control, "auto") ? c->control : "vsock:6681", e);
    if (st == ST_OK && c->has_control && c->control_at.port == ADDR_PORT_NONE &&
        (c->control_at.kind == ADDR_VSOCK_HYBRID || c->control_at.kind == ADDR_TCP_HYBRID))
        c->control_at.port = NET_CONTROL_PORT;
    if (st == ST_OK && !c->has_link && !c->has_control && !c->answers_a && !c->answers_b) {
        errmsg_set(e, "no way to a host: --control, --handshake and --link are all none");
        st = ST_INVAL;
    }
    return st;
}

/* Host number @n of @net/@bits. */
static struct ip_addr host_of(const struct ip_addr *net, unsigned bits, uint32_t n)
{
    return ip_addr_v4((ip_addr_to_v4(net) & ~(0xffffffffu >> bits)) + n);
}

static enum status understand_addresses(struct net_config *c, struct errmsg *e)
{
    struct guest_lease *l = &c->fixed_lease;
    char text[IP_ADDR_TEXT_MAX];
    struct ip_addr veth = { 0 }, ip;
    unsigned bits = 24;

    c->by_dhcp = strcmp(c->address, "dhcp") == 0;
    if (c->by_dhcp && c->gateway[0]) {
        errmsg_set(e, "--gateway needs a fixed --address");
        return ST_INVAL;
    }
    if (!c->by_dhcp) {
        net_config_parse_cidr(&l->ip, &l->prefix_bits, c->address);
        l->gateway = host_of(&l->ip, l->prefix_bits, 1);
        if (c->gateway[0])
            ip_addr_parse(&l->gateway, c->gateway);
        l->dns = l->gateway;
        l->mtu = (uint16_t)c->mtu;
    }
    net_config_parse_cidr(&veth, &bits, c->veth_subnet);
    ip = host_of(&veth, bits, 1);
    snprintf(c->veth_inside_ip, sizeof c->veth_inside_ip, "%s/%u", ip_addr_format(&ip, text), bits);
    ip = host_of(&veth, bits, 2);
    snprintf(c->veth_outside_ip, sizeof c->veth_outside_ip, "%s/%u", ip_addr_format(&ip, text),
             bits);
    return ST_OK;
}

enum status net_config_load(struct net_config *out, int argc, const char *const *argv,
                            struct errmsg *e)
{
    enum status st =
        options_load(table, ARRAY_SIZE(table), out, sizeof *out, "config", argc, argv, e);

    if (st == ST_OK)
        st = understand_transports(out, e);
    if (st == ST_OK)
        st = understand_addresses(out, e);
    if (st == ST_OK)
        st = addr_parse_guarded(&out->relay_at, out->relay, e);
    if (st)
        return st;
    if (out->identity.require_proof)
        out->answers_a = out->answers_b = false;
    mac_parse(&out->mac, out->mac_text);
    return ST_OK;
}

const struct option *net_config_options(size_t *count)
{
    *count = ARRAY_SIZE(table);
    return table;
}

size_t net_config_help(char *buf, size_t cap)
{
    return options_help(table, ARRAY_SIZE(table), buf, cap);
}
