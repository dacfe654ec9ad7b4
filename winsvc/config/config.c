/* SPDX-License-Identifier: Apache-2.0
 * The table of options, and how their texts become values. Where they come from: config_load.c.
 */
#include "config/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- checks ---------------------------------------------------------------------------------- */

static enum status check_addr(const char *value, struct errmsg *e)
{
    struct addr a;

    return value[0] ? addr_parse(&a, value, e) : ST_OK;
}

/* What is served there asks nobody who they are. */
static enum status check_guarded(const char *value, struct errmsg *e)
{
    struct addr a;

    return value[0] ? addr_parse_guarded(&a, value, e) : ST_OK;
}

/* A machine has many ports behind one address. */
static bool is_machine(enum addr_kind kind)
{
    return kind == ADDR_HVSOCK || kind == ADDR_VSOCK || kind == ADDR_VSOCK_HYBRID ||
           kind == ADDR_TCP_HYBRID;
}

/* "ID=VMADDR" */
static enum status parse_vm(struct vm_info *out, const char *value, struct errmsg *e)
{
    const char *equals = strchr(value, '=');
    enum status st;

    if (!equals || equals == value || (size_t)(equals - value) >= VM_ID_MAX) {
        errmsg_set(e, "'%.80s' is not NAME=ADDR, such as vm1=vsock-hybrid:/run/vm1.vsock", value);
        return ST_INVAL;
    }
    snprintf(out->id, sizeof out->id, "%.*s", (int)(equals - value), value);
    st = addr_parse(&out->addr, equals + 1, e);
    if (st != ST_OK)
        return st;
    if (!is_machine(out->addr.kind)) {
        errmsg_set(e,
                   "'%.80s' is no virtual machine: it takes hvsock, vsock, vsock-hybrid or "
                   "tcp-hybrid",
                   equals + 1);
        return ST_INVAL;
    }
    if (out->addr.port != ADDR_PORT_NONE) {
        errmsg_set(e, "'%.80s' has a port, a virtual machine stands without (CID 3 is vsock:3:)",
                   equals + 1);
        return ST_INVAL;
    }
    return ST_OK;
}

static enum status check_vm(const char *value, struct errmsg *e)
{
    struct vm_info vm;

    return parse_vm(&vm, value, e);
}

/* "[VM@]ADDR" */
static enum status parse_endpoint(struct config_endpoint *out, const char *value, struct errmsg *e)
{
    const char *at = strchr(value, '@'), *colon = strchr(value, ':');

    out->vm[0] = '\0';
    if (at && colon && at < colon) {
        if (at == value || (size_t)(at - value) >= VM_ID_MAX) {
            errmsg_set(e, "'%.80s': the name before '@' is empty or too long", value);
            return ST_INVAL;
        }
        snprintf(out->vm, sizeof out->vm, "%.*s", (int)(at - value), value);
        value = at + 1;
    }
    return addr_parse(&out->at, value, e);
}

static enum status check_endpoint(const char *value, struct errmsg *e)
{
    struct config_endpoint endpoint;

    return parse_endpoint(&endpoint, value, e);
}

/* A browser of this computer, and nobody else. */
static enum status check_page(const char *value, struct errmsg *e)
{
    struct addr at;

    if (addr_parse(&at, value, e) != ST_OK)
        return ST_INVAL;
    if (at.kind == ADDR_TCP && (!strcmp(at.path, "127.0.0.1") || !strcmp(at.path, "::1")))
        return ST_OK;
    errmsg_set(e, "'%.80s': the page is served at tcp:127.0.0.1:PORT or tcp:[::1]:PORT only",
               value);
    return ST_INVAL;
}

static enum status check_publish(const char *value, struct errmsg *e)
{
    enum publish_policy unused;

    return publish_policy_parse(&unused, value, e);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define TEXT(field) offsetof(struct config, text.field)
#define AT(field)   offsetof(struct config, field)

static const struct option table[] = {
    { "config", OPTION_STRING, TEXT(config), "", 0, 0, NULL, "FILE",
      "read options from this file, one `key = value` per line. Default, when it exists: "
      "/etc/rdlink/rdlinkd.conf, on Windows %ProgramData%\\rdlink\\rdlinkd.conf" },
    { "config-root", OPTION_STRING, TEXT(config_root), "", 0, 0, NULL, "NAME",
      "for tests: another folder than /etc/rdlink; on Windows another name than rdlink of the "
      "folder and of the registry keys" },
    { "endpoint", OPTION_LIST, TEXT(endpoint), NULL, 0, 0, check_endpoint, "[VM@]ADDR",
      "where docker clients connect; with VM@ only that virtual machine is behind it. "
      "Default: unix:/run/rdlink/docker.sock, on Windows npipe:docker_engine" },
    { "endpoint-fallback", OPTION_STRING, TEXT(endpoint_fallback), NULL, 0, 0, check_addr, "ADDR",
      "served instead while another program holds the first endpoint's name. Default: "
      "unix:/run/rdlink/docker-fallback.sock, on Windows npipe:rancher_desktop_engine" },
    { "endpoint-grant", OPTION_LIST, TEXT(endpoint_grant), NULL, 0, 0, NULL, "ACCOUNT",
      "Windows: user or group that may use docker and read the status, beside administrators and "
      "the virtual machine's owner. Default: the group docker-users, where the owner is known" },
    { "owner-distribution", OPTION_LIST, TEXT(owner_distribution), NULL, 0, 0, NULL, "NAME",
      "Windows: the user who has this WSL distribution is the owner. Default: rancher-desktop" },
    { "owner-registry-key", OPTION_STRING, TEXT(owner_registry_key), "", 0, 0, NULL, "KEY",
      "Windows, for tests: the key under HKLM that stands for HKEY_USERS" },
    { "status", OPTION_STRING, TEXT(status), NULL, 0, 0, check_guarded, "ADDR",
      "where the status is served. Default: unix:/run/rdlink/status.sock, on Windows "
      "npipe:rdlink_status" },
    { "control", OPTION_STRING, TEXT(control), NULL, 0, 0, check_guarded, "ADDR",
      "where the service takes orders (restart a component and their like) from its owner and "
      "administrators. Default: unix:/run/rdlink/control.sock, on Windows npipe:rdlink_control; "
      "none where --status is elsewhere" },
    { "status-file", OPTION_STRING, TEXT(status_file), NULL, 0, 0, NULL, "FILE",
      "the status is kept there too, for reading when the service is gone. Default: "
      "/run/rdlink/status.json, on Windows %ProgramData%\\rdlink\\logs\\status.json; none where "
      "--status is elsewhere" },
    { "page", OPTION_STRING, TEXT(page), NULL, 0, 0, check_page, "ADDR",
      "the status page is served there, at tcp:127.0.0.1:PORT or tcp:[::1]:PORT and nowhere else; "
      "`rdlink page` prints what to open. None by default" },
    { "page-token-file", OPTION_STRING, TEXT(page_token_file), "", 0, 0, NULL, "FILE",
      "what the status page asks for is written there, anew at each start and for its owner alone. "
      "Default: page-token beside the status file" },
    { "vm", OPTION_LIST, TEXT(vm), NULL, 0, 0, check_vm, "NAME=ADDR",
      "a virtual machine, instead of looking for them" },
    { "vm-folder", OPTION_STRING, TEXT(vm_folder), NULL, 0, 0, NULL, "DIR",
      "folder of NAME.vsock sockets, one per virtual machine. Default on Linux: "
      "/run/rdlink/vms; on Windows the registry is watched" },
    { "vm-registry-key", OPTION_STRING, TEXT(vm_registry_key), NULL, 0, 0, NULL, "KEY",
      "Windows, for tests: the key under HKLM whose sub-keys are the virtual machines" },
    { "vm-via", OPTION_STRING, TEXT(vm_via), NULL, 0, 0, check_addr, "ADDR",
      "Windows, for tests: reach virtual machines here instead of over hvsock" },
    { "keys", OPTION_STRING, TEXT(keys), NULL, 0, 0, NULL, "DIR",
      "folder of INSTANCE.key files, one for each guest that can prove itself. Default: keys "
      "beside the configuration file" },
    { "require-proof", OPTION_FLAG, AT(require_proof), NULL, 0, 0, NULL, NULL,
      "take no guest that does not prove to have its instance's key; Rancher Desktop's own guests "
      "cannot" },
    { "no-network", OPTION_FLAG, AT(no_network), NULL, 0, 0, NULL, NULL,
      "leave the guests without a host switch: docker and health only" },
    { "subnet", OPTION_STRING, AT(network.subnet), "192.168.127.0/24", 0, 0,
      switch_options_check_subnet, "CIDR",
      "the virtual network of each guest; .1 is the gateway, .2 the guest, .254 this host" },
    { "mtu", OPTION_UINT, AT(network.mtu), "1500", 576, 65520, NULL, "N",
      "of the guest's interface" },
    { "no-ip6", OPTION_FLAG, AT(network.no_ip6), NULL, 0, 0, NULL, NULL,
      "IPv4 only in the virtual network" },
    { "forward", OPTION_LIST, AT(network.forwards), NULL, 0, 0, switch_options_check_forward,
      "[udp:]HOST:PORT=GUEST:PORT",
      "a port of this host that leads into the guest; may be repeated. Of several guests the first "
      "has it, the next one when it is free again" },
    { "search-domain", OPTION_STRING, AT(network.search_domains), "", 0, 0,
      switch_options_check_search, "NAMES",
      "where each guest looks for short names, told by DHCP; separated by commas" },
    { "static-lease", OPTION_LIST, AT(network.static_leases), NULL, 0, 0,
      switch_options_check_lease, "MAC=ADDRESS",
      "the address that each guest's DHCP gives to a MAC; may be repeated" },
    { "host-loopback", OPTION_STRING, AT(network.host_loopback), "allow", 0, 0,
      switch_options_check_loopback, "allow|deny|PORTS",
      "what guests reach of this host's own 127.0.0.1, as .254: all but the ports of docker, "
      "WinRM, "
      "RPC and SMB; nothing; or these ports alone, such as 80,8000-8999. Never the status page" },
    { "host-deny", OPTION_STRING, AT(network.host_deny), "", 0, 0, switch_options_check_ports,
      "PORTS", "more ports there that they do not reach" },
    { "switch-limit", OPTION_LIST, AT(network.limits), NULL, 0, 0, switch_options_check_limit,
      "NAME=N", "the bound of a table of each guest's switch, as `limit` of `rdlinkd switch`" },
    { "publish", OPTION_STRING, TEXT(publish), "loopback", 0, 0, check_publish, "loopback|all|off",
      "where a port that a container publishes listens on this host: for its own programs, for its "
      "network too, or nowhere; told by rdlink-agent bridge" },
    { "deny-lan", OPTION_FLAG, AT(network.deny_lan), NULL, 0, 0, NULL, NULL,
      "what a guest publishes may listen at loopback addresses only" },
    { "api-token-file", OPTION_STRING, AT(network.api_token_file), "", 0, 0, NULL, "FILE",
      "its line is the bearer token without which nothing is exposed through a gateway's API; "
      "without one any container may" },
    { "dns-rebind", OPTION_STRING, AT(network.dns_rebind), "warn", 0, 0,
      switch_options_check_rebind, "warn|off|deny",
      "when a public name has a private address: say so, nothing, or answer without it" },
    { "switch-control", OPTION_STRING, TEXT(switch_control), NULL, 0, 0, check_guarded, "ADDR",
      "each guest's switch can be asked at ADDR-VM-GENERATION. Default: unix:/run/rdlink/switch, "
      "on "
      "Windows npipe:rdlink_switch; none where --status is elsewhere" },
    { "max-connections", OPTION_UINT, AT(max_connections), "1024", 1, 65536, NULL, "N",
      "docker connections at a time and endpoint; further clients get HTTP 503" },
    { "dial-timeout", OPTION_DURATION, AT(dial_timeout_ms), "800ms", 10, 60000, NULL, "TIME",
      "how long the guest may take to accept a docker connection" },
    { "drain-timeout", OPTION_DURATION, AT(drain_ms), "4s", 1, 600000, NULL, "TIME",
      "how long running docker connections may go on after a stop was asked for" },
    { "probe-interval", OPTION_DURATION, AT(probe_interval_ms), "1s", 10, 60000, NULL, "TIME",
      "between two looks for a guest" },
    { "log-level", OPTION_STRING, TEXT(log_level), "info", 0, 0, options_check_log_level, "LEVELS",
      "error, warn, info, debug or trace, and others for parts: info,switch=debug" },
    { "log-dir", OPTION_STRING, TEXT(log_dir), "", 0, 0, NULL, "DIR",
      "the log of all processes is kept there too, in rdlinkd.log. None by default, but a "
      "Windows service's is %ProgramData%\\rdlink\\logs" },
    { "log-max-size", OPTION_UINT, AT(log_max_mib), "10", 1, 1024, NULL, "MIB",
      "a larger rdlinkd.log is renamed to rdlinkd.log.1, that one to .2 and so on" },
    { "log-max-age", OPTION_DURATION, AT(log_max_age_ms), "24h", 1000, 4000000000, NULL, "TIME",
      "so is one whose first line is older" },
    { "log-keep", OPTION_UINT, AT(log_keep), "5", 0, 99, NULL, "N",
      "how many renamed ones are kept" },
};

/* ---- from text to values --------------------------------------------------------------------- */

static void set_default(char field[OPTION_VALUE_MAX], const char *value)
{
    if (!field[0] && value)
        snprintf(field, OPTION_VALUE_MAX, "%s", value);
}

static enum status parse_optional(struct addr *out, const char *text, struct errmsg *e)
{
    *out = (struct addr){ .kind = ADDR_NONE };
    return text[0] ? addr_parse(out, text, e) : ST_OK;
}

static enum status finish_endpoints(struct config *c, struct errmsg *e)
{
    struct option_list *list = &c->text.endpoint;
    enum status st = ST_OK;

    c->endpoint_count = 0;
    if (!list->count) {
        set_default(list->items[list->count++], config_default_endpoint());
        set_default(c->text.endpoint_fallback, config_default_fallback());
    }
    if (list->count > CONFIG_MAX_ENDPOINTS) {
        errmsg_set(e, "endpoint: more than %d", CONFIG_MAX_ENDPOINTS);
        return ST_INVAL;
    }
    for (unsigned i = 0; i < list->count && st == ST_OK; i++)
        st = parse_endpoint(&c->endpoints[c->endpoint_count++], list->items[i], e);
    return st ? st : parse_optional(&c->endpoint_fallback, c->text.endpoint_fallback, e);
}

static enum status finish_vms(struct config *c, struct errmsg *e)
{
    enum status st = ST_OK;

    for (unsigned i = 0; i < c->text.vm.count && st == ST_OK; i++) {
        st = parse_vm(&c->vms[i], c->text.vm.items[i], e);
        for (unsigned k = 0; k < i && st == ST_OK; k++) {
            if (strcmp(c->vms[k].id, c->vms[i].id) == 0) {
                errmsg_set(e, "vm: two machines named '%s'; give each its own name", c->vms[i].id);
                st = ST_INVAL;
            }
        }
    }
    c->vm_count = c->text.vm.count;
    return st;
}

/* What a switch worker would refuse is refused here, where a person sees it. */
static enum status check_network(struct config *c, struct errmsg *e)
{
    struct switch_config unused;

    return switch_options_config(&c->network, &unused, e);
}

/* "/var/lib/rdlink/status.json" -> "/var/lib/rdlink/NAME" */
static void beside(char field[OPTION_VALUE_MAX], const char *path, const char *name)
{
    size_t folder = 0;

    for (size_t i = 0; path[i]; i++)
        if (path[i] == '/' || path[i] == '\\')
            folder = i + 1;
    snprintf(field, OPTION_VALUE_MAX, "%.*s%s", (int)folder, path, name);
}

static enum status finish_page(struct config *c, struct errmsg *e)
{
    char *token_file = c->text.page_token_file;
    enum status st = parse_optional(&c->page, c->text.page, e);

    if (st || c->page.kind == ADDR_NONE || token_file[0])
        return st;
    if (!c->text.status_file[0]) {
        errmsg_set(e, "page: say where its token is to be written: page-token-file, or status-file "
                      "for beside it");
        return ST_INVAL;
    }
    beside(token_file, c->text.status_file, "page-token");
    return ST_OK;
}

/* Names that have a default of this system. */
static enum status finish_names(struct config *c, struct errmsg *e)
{
    enum status st = parse_optional(&c->vm_via, c->text.vm_via, e);

    if (!c->text.owner_distribution.count)
        set_default(c->text.owner_distribution.items[c->text.owner_distribution.count++],
                    "rancher-desktop");
    set_default(c->text.vm_folder, config_default_vm_folder());
    if (!c->text.keys[0] && c->places.file[0])
        beside(c->text.keys, c->places.file, "keys");
    /* A second controller, beside the installed one, has a status of its own and must not need a
     * name for what it may do without. */
    if (!c->text.status[0] || !strcmp(c->text.status, config_default_status())) {
        set_default(c->text.control, config_default_control());
        set_default(c->text.switch_control, config_default_switch_control());
        set_default(c->text.status_file, config_default_status_file());
    }
    set_default(c->text.status, config_default_status());
    if (st == ST_OK)
        st = parse_optional(&c->control, c->text.control, e);
    return st ? st : parse_optional(&c->status, c->text.status, e);
}

/* Says where @key is set, unless whoever reads this is the one who set it on the command line. */
static void wrap_place(const struct config *c, const char *key, struct errmsg *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        enum option_layer layer = c->origins[i].layer;
        char place[OPTION_VALUE_MAX + 16];

        if (strcmp(table[i].key, key) == 0 && layer != OPTION_FROM_DEFAULT &&
            layer != OPTION_FROM_ARGV)
            errmsg_wrap(e, "%.120s", config_origin_text(c, &table[i], place, sizeof place));
    }
}

static bool begins_with(const char *text, const char *key)
{
    while (*key && tolower((unsigned char)*text) == *key) {
        text++;
        key++;
    }
    return !*key;
}

/* The key that a mistake of the network is about: the one that it begins with. */
static const char *network_key(const struct errmsg *e)
{
    static const char *const keys[] = { "mtu", "forward", "api-token-file", "static-lease" };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (begins_with(e->text, keys[i]))
            return keys[i];
    return "subnet";
}

static enum status finish_publish(struct config *c, struct errmsg *e)
{
    return publish_policy_parse(&c->publish, c->text.publish, e);
}

enum status config_finish(struct config *c, struct errmsg *e)
{
    static const struct {
        enum status (*finish)(struct config *c, struct errmsg *e);
        const char *key; /* NULL: the mistake says which */
    } steps[] = {
        { finish_vms, "vm" },       { finish_endpoints, "endpoint" }, { check_network, NULL },
        { finish_names, "status" }, { finish_page, "page" },          { finish_publish, "publish" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct errmsg mistake = { "" };
        enum status st = steps[i].finish(c, &mistake);

        if (st == ST_OK)
            continue;
        wrap_place(c, steps[i].key ? steps[i].key : network_key(&mistake), &mistake);
        errmsg_set(e, "%s", mistake.text);
        return st;
    }
    return ST_OK;
}

/* ---- the table for others -------------------------------------------------------------------- */

enum config_effect config_effect(const struct option *o)
{
    static const struct {
        const char *key;
        enum config_effect effect;
    } effects[] = {
        { "endpoint-grant", CONFIG_CONTROLLER },
        { "owner-distribution", CONFIG_CONTROLLER },
        { "vm", CONFIG_MACHINES },
        { "vm-folder", CONFIG_MACHINES },
        { "vm-registry-key", CONFIG_MACHINES },
        { "vm-via", CONFIG_MACHINES },
        { "subnet", CONFIG_NETWORK },
        { "mtu", CONFIG_NETWORK },
        { "no-ip6", CONFIG_NETWORK },
        { "forward", CONFIG_FORWARDS },
        { "search-domain", CONFIG_NETWORK },
        { "static-lease", CONFIG_NETWORK },
        { "host-loopback", CONFIG_NETWORK },
        { "host-deny", CONFIG_NETWORK },
        { "switch-limit", CONFIG_NETWORK },
        { "deny-lan", CONFIG_NETWORK },
        { "api-token-file", CONFIG_NETWORK },
        { "dns-rebind", CONFIG_NETWORK },
        { "publish", CONFIG_CONTROLLER },
        { "switch-control", CONFIG_NETWORK },
        { "max-connections", CONFIG_DOCKER },
        { "dial-timeout", CONFIG_DOCKER },
        { "drain-timeout", CONFIG_CONTROLLER },
        { "probe-interval", CONFIG_CONTROLLER },
        { "log-level", CONFIG_LOG },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(effects); i++)
        if (!strcmp(effects[i].key, o->key))
            return effects[i].effect;
    return CONFIG_NEXT_START; /* safe for whatever is not thought of */
}

const struct option *config_options(size_t *count)
{
    *count = ARRAY_SIZE(table);
    return table;
}

size_t config_help(char *buf, size_t cap)
{
    return options_help(table, ARRAY_SIZE(table), buf, cap);
}
