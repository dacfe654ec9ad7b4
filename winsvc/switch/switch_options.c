/* SPDX-License-Identifier: Apache-2.0 */
#include "switch/switch_options.h"

#include "switch/forward_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- checks ------------------------------------------------------------------------------ */

static enum status check_link(const char *value, struct errmsg *e)
{
    enum frame_protocol protocol;
    struct addr at;

    return value[0] ? switch_options_link(value, &protocol, &at, e) : ST_OK;
}

static enum status check_guarded(const char *value, struct errmsg *e)
{
    struct addr at;

    return value[0] ? addr_parse_guarded(&at, value, e) : ST_OK;
}

/* "192.168.127.0/24" */
static enum status parse_subnet(const char *value, struct ip_addr *net, unsigned *bits)
{
    const char *slash = strchr(value, '/');
    char text[IP_ADDR_TEXT_MAX];
    char *end;
    unsigned long n;

    if (!slash || (size_t)(slash - value) >= sizeof text || slash[1] < '0' || slash[1] > '9')
        return ST_INVAL;
    memcpy(text, value, (size_t)(slash - value));
    text[slash - value] = '\0';
    n = strtoul(slash + 1, &end, 10);
    if (*end || n > 32 || ip_addr_parse(net, text) != ST_OK || !ip_addr_is_v4(net))
        return ST_INVAL;
    *bits = (unsigned)n;
    return ST_OK;
}

enum status switch_options_check_subnet(const char *value, struct errmsg *e)
{
    struct ip_addr net;
    unsigned bits;

    if (parse_subnet(value, &net, &bits) == ST_OK)
        return ST_OK;
    errmsg_set(e, "'%.40s' is no IPv4 network such as 192.168.127.0/24", value);
    return ST_INVAL;
}

enum status switch_options_check_limit(const char *value, struct errmsg *e)
{
    struct switch_limits unused = { 0 };

    return switch_limits_set(&unused, value, e);
}

/* By enum switch_dns_rebind. */
static const char *const rebind_names[] = { "warn", "off", "deny" };

enum status switch_options_check_rebind(const char *value, struct errmsg *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(rebind_names); i++) {
        if (strcmp(value, rebind_names[i]) == 0)
            return ST_OK;
    }
    errmsg_set(e, "'%.40s' is none of warn, off, deny", value);
    return ST_INVAL;
}

enum status switch_options_check_forward(const char *value, struct errmsg *e)
{
    struct forward_spec unused;

    return forward_spec_parse(&unused, value, e);
}

/* "5a:94:ef:e4:0c:01=192.168.127.10" */
static enum status parse_lease(struct switch_static_lease *out, const char *value, struct errmsg *e)
{
    const char *equals = strchr(value, '=');
    char mac[18];

    if (equals && (size_t)(equals - value) == sizeof mac - 1) {
        memcpy(mac, value, sizeof mac - 1);
        mac[sizeof mac - 1] = '\0';
        if (mac_parse(&out->mac, mac) == ST_OK && ip_addr_parse(&out->ip, equals + 1) == ST_OK &&
            ip_addr_is_v4(&out->ip))
            return ST_OK;
    }
    errmsg_set(e, "'%.60s' is not MAC=ADDRESS such as 5a:94:ef:e4:0c:01=192.168.127.10", value);
    return ST_INVAL;
}

enum status switch_options_check_lease(const char *value, struct errmsg *e)
{
    struct switch_static_lease unused;

    return parse_lease(&unused, value, e);
}

enum status switch_options_check_search(const char *value, struct errmsg *e)
{
    return switch_config_check_search(value, e);
}

enum status switch_options_check_loopback(const char *value, struct errmsg *e)
{
    struct host_ports unused;

    return host_ports_parse(&unused, value, e);
}

enum status switch_options_check_ports(const char *value, struct errmsg *e)
{
    struct host_ports_list unused;

    return host_ports_parse_list(&unused, value, e);
}

/* ---- table ------------------------------------------------------------------------------- */

/* The last WORKER_ONLY of them are no options of `rdlinkd switch`. */
enum { WORKER_ONLY = 2 };

#define AT(field) offsetof(struct switch_options, field)
static const struct option table[] = {
    { "link", OPTION_STRING, AT(link), "", 0, 0, check_link, "PROTO:ADDR",
      "where the guest's frames come from: qemu, stdio, v2 or bess, and an address; bess "
      "wants unixpacket:PATH" },
    { "dial", OPTION_FLAG, AT(dial), NULL, 0, 0, NULL, NULL,
      "connect to the link's address, again and again, instead of listening at it" },
    { "subnet", OPTION_STRING, AT(subnet), "192.168.127.0/24", 0, 0, switch_options_check_subnet,
      "CIDR", "the virtual network; .1 is the gateway, .2 the guest, .254 this host" },
    { "mtu", OPTION_UINT, AT(mtu), "1500", 576, 65520, NULL, "N", "of the guest's interface" },
    { "no-ip6", OPTION_FLAG, AT(no_ip6), NULL, 0, 0, NULL, NULL, "IPv4 only" },
    { "forward", OPTION_LIST, AT(forwards), NULL, 0, 0, switch_options_check_forward,
      "[udp:]HOST:PORT=GUEST:PORT",
      "a port of this host that leads into the guest; may be repeated" },
    { "search-domain", OPTION_STRING, AT(search_domains), "", 0, 0, switch_options_check_search,
      "NAMES", "where the guest looks for short names, by DHCP; separated by commas" },
    { "static-lease", OPTION_LIST, AT(static_leases), NULL, 0, 0, switch_options_check_lease,
      "MAC=ADDRESS", "the address that DHCP gives to a MAC; may be repeated" },
    { "host-loopback", OPTION_STRING, AT(host_loopback), "allow", 0, 0,
      switch_options_check_loopback, "allow|deny|PORTS",
      "what the guest reaches of this host's own 127.0.0.1: all but the ports of docker, WinRM, "
      "RPC and SMB; nothing; or these ports alone, such as 80,8000-8999" },
    { "host-deny", OPTION_STRING, AT(host_deny), "", 0, 0, switch_options_check_ports, "PORTS",
      "more ports there that it does not reach" },
    { "limit", OPTION_LIST, AT(limits), NULL, 0, 0, switch_options_check_limit, "NAME=N",
      "bound of a table, such as tcp_flows=10000, several separated by commas; may be repeated" },
    { "deny-lan", OPTION_FLAG, AT(deny_lan), NULL, 0, 0, NULL, NULL,
      "what a guest publishes may listen at loopback addresses only" },
    { "dns-rebind", OPTION_STRING, AT(dns_rebind), "warn", 0, 0, switch_options_check_rebind,
      "warn|off|deny",
      "when a public name has a private address: say so, nothing, or answer without it" },
    { "api-token-file", OPTION_STRING, AT(api_token_file), "", 0, 0, NULL, "FILE",
      "its line is the bearer token without which nothing is exposed through the gateway's API; "
      "without one any container may" },
    { "peer-cid", OPTION_UINT, AT(peer_cid), "0", 0, 0, NULL, "N",
      "vsock: close links of any other guest; 0 takes all" },
    { "control", OPTION_STRING, AT(control), "", 0, 0, check_guarded, "ADDR",
      "where the switch may be asked and told things over HTTP" },
    { "control-sddl", OPTION_STRING, AT(control_sddl), "", 0, 0, NULL, "SDDL",
      "who may use a control socket that is a named pipe" },
    { "log-level", OPTION_STRING, AT(log_level), "info", 0, 0, options_check_log_level, "LEVELS",
      "how much is logged" },
    { "instance", OPTION_STRING, AT(instance), "", 0, 0, NULL, "NAME",
      "which guest this switch is for" },
    { "page-port", OPTION_UINT, AT(page_port), "0", 0, 65535, NULL, "PORT",
      "where the status page is, which no guest reaches" },
};

/* ---- the token --------------------------------------------------------------------------- */

/* One line of printable characters, without spaces, at its end a newline or none. */
static bool take_token(char *token, size_t cap, const char *line)
{
    size_t len = strcspn(line, "\r\n");

    if (!len || len >= cap || line[len + strspn(line + len, "\r\n")])
        return false;
    for (size_t i = 0; i < len; i++)
        if (line[i] <= ' ' || line[i] > '~')
            return false;
    memcpy(token, line, len);
    token[len] = '\0';
    return true;
}

/* It is not given on the command line, where anybody on the machine could read it. */
static enum status read_token(char *token, size_t cap, const char *path, struct errmsg *e)
{
    char line[256];
    FILE *f = fopen(path, "rb");
    size_t len;

    if (!f) {
        errmsg_set(e, "api-token-file %.150s cannot be read", path);
        return ST_INVAL;
    }
    len = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[len] = '\0';
    if (strlen(line) == len && take_token(token, cap, line))
        return ST_OK;
    errmsg_set(e, "api-token-file %.100s: one line of 1 to %zu printable characters is wanted",
               path, cap - 1);
    return ST_INVAL;
}

/* ---- values ------------------------------------------------------------------------------ */

/* A frame of bess is a message, the others are cut out of a stream. */
static enum status check_fit(enum frame_protocol protocol, const struct addr *at, struct errmsg *e)
{
    bool is_packet = at->kind == ADDR_UNIXPACKET;

    if ((protocol == FRAME_BESS) == is_packet)
        return ST_OK;
    errmsg_set(e, is_packet ? "unixpacket: keeps messages apart, which only bess: wants"
                            : "bess: has one frame a message: it wants unixpacket:PATH");
    return ST_INVAL;
}

enum status switch_options_link(const char *text, enum frame_protocol *protocol, struct addr *at,
                                struct errmsg *e)
{
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;

    for (unsigned p = 0; p < FRAME_PROTOCOL_COUNT; p++) {
        const char *name = frame_protocol_name((enum frame_protocol)p);
        enum status st;

        if (len != strlen(name) || memcmp(text, name, len) != 0)
            continue;
        *protocol = (enum frame_protocol)p;
        st = addr_parse(at, colon + 1, e);
        return st ? st : check_fit(*protocol, at, e);
    }
    errmsg_set(e, "'%.60s' is not PROTO:ADDR with one of stdio, qemu, v2, bess", text);
    return ST_INVAL;
}

static enum status parse(size_t count, struct switch_options *out, int argc,
                         const char *const *argv, struct errmsg *e)
{
    enum status st;
    int rest;

    options_defaults(table, ARRAY_SIZE(table), out);
    st = options_parse_argv(table, count, out, argc, argv, &rest, e);
    if (st)
        return st;
    if (rest < argc) {
        errmsg_set(e, "'%.60s' is no option", argv[rest]);
        return ST_INVAL;
    }
    if (!out->link[0]) {
        errmsg_set(e, "--link is missing, such as --link qemu:unix:/run/vm.sock");
        return ST_INVAL;
    }
    return ST_OK;
}

enum status switch_options_parse(struct switch_options *out, int argc, const char *const *argv,
                                 struct errmsg *e)
{
    return parse(ARRAY_SIZE(table) - WORKER_ONLY, out, argc, argv, e);
}

enum status switch_options_parse_worker(struct switch_options *out, int argc,
                                        const char *const *argv, struct errmsg *e)
{
    return parse(ARRAY_SIZE(table), out, argc, argv, e);
}

/* Each leads to an address of the network that a guest may have. */
static enum status check_guests(const struct switch_options *o, const struct switch_config *c,
                                struct errmsg *e)
{
    for (unsigned i = 0; i < o->forwards.count; i++) {
        struct forward_spec f;
        enum status st = forward_spec_parse(&f, o->forwards.items[i], e);

        if (st)
            return st;
        if (!ip_addr_in_prefix(&f.guest.addr, &c->net, c->prefix_bits) &&
            !(c->ip6 && ip_addr_in_prefix(&f.guest.addr, &c->net6, 64))) {
            errmsg_set(e, "forward %.100s: the guest's address is not in its network %s",
                       o->forwards.items[i], o->subnet);
            return ST_INVAL;
        }
    }
    return ST_OK;
}

static enum status take_host_ports(const struct switch_options *o, struct host_ports *out,
                                   struct errmsg *e)
{
    enum status st = o->host_loopback[0] ? host_ports_parse(out, o->host_loopback, e) : ST_OK;

    if (!st)
        st = host_ports_parse_list(&out->denied, o->host_deny, e);
    if (!st && o->page_port)
        host_ports_deny(out, (uint16_t)o->page_port);
    return st;
}

static enum status take_dhcp(const struct switch_options *o, struct switch_config *out,
                             struct errmsg *e)
{
    static_assert((int)SWITCH_STATIC_LEASES_MAX >= (int)OPTION_LIST_MAX, "room for all");
    enum status st = ST_OK;

    snprintf(out->search_domains, sizeof out->search_domains, "%s", o->search_domains);
    for (unsigned i = 0; !st && i < o->static_leases.count; i++)
        st = parse_lease(&out->static_leases[i], o->static_leases.items[i], e);
    out->static_lease_count = o->static_leases.count;
    return st;
}

enum status switch_options_config(const struct switch_options *o, struct switch_config *out,
                                  struct errmsg *e)
{
    memset(out, 0, sizeof *out);
    out->mtu = o->mtu;
    out->ip6 = !o->no_ip6;
    out->deny_lan = o->deny_lan;
    for (size_t i = 0; i < ARRAY_SIZE(rebind_names); i++) {
        if (strcmp(o->dns_rebind, rebind_names[i]) == 0)
            out->dns_rebind = (enum switch_dns_rebind)i;
    }
    for (unsigned i = 0; i < o->limits.count; i++) {
        enum status st = switch_limits_set(&out->limits, o->limits.items[i], e);

        if (st)
            return st;
    }
    if (take_host_ports(o, &out->host_ports, e) != ST_OK || take_dhcp(o, out, e) != ST_OK)
        return ST_INVAL;
    if (o->api_token_file[0] &&
        read_token(out->api_token, sizeof out->api_token, o->api_token_file, e) != ST_OK)
        return ST_INVAL;
    if (parse_subnet(o->subnet, &out->net, &out->prefix_bits) != ST_OK)
        return switch_options_check_subnet(o->subnet, e);
    return switch_config_finish(out, e) ? ST_INVAL : check_guests(o, out, e);
}

const struct option *switch_options_table(size_t *count)
{
    *count = ARRAY_SIZE(table) - WORKER_ONLY;
    return table;
}

size_t switch_options_help(char *buf, size_t cap)
{
    return options_help(table, ARRAY_SIZE(table) - WORKER_ONLY, buf, cap);
}
