/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/config.h"

#include <string.h>

static enum status check_addr(const char *value, struct errmsg *e)
{
    struct addr at;

    return addr_parse(&at, value, e);
}

static enum status check_control(const char *value, struct errmsg *e)
{
    if (!strcmp(value, "auto") || !strcmp(value, "none"))
        return ST_OK;
    return check_addr(value, e);
}

#define AT(field) offsetof(struct config, field)

static const struct option table[] = {
    { "config", OPTION_STRING, AT(file), NULL, 0, 0, NULL, "FILE",
      "read options from FILE, one \"key = value\" per line" },
    { "listen", OPTION_LIST, AT(listen), "vsock:6660", 0, 0, check_addr, "ADDR",
      "where docker streams come from: vsock:PORT, vsock-hybrid:PATH, unix:PATH or "
      "tcp:127.0.0.1:PORT; may be repeated" },
    { "control", OPTION_STRING, AT(control), "auto", 0, 0, check_control, "ADDR",
      "where the host asks for health; auto = port 6680 beside the first listening address, "
      "none = nowhere" },
    { "target", OPTION_STRING, AT(target), "unix:/var/run/docker.sock", 0, 0, check_addr, "ADDR",
      "the docker engine" },
    { "target-owner", OPTION_UINT, AT(target_owner), "0", 0, 0, NULL, "UID",
      "user who must own the engine's socket; somebody else's is not connected to" },
    { "max-connections", OPTION_UINT, AT(max_connections), "512", 1, 65000, NULL, "N",
      "streams at a time; more are refused with 503" },
    { "dial-timeout", OPTION_DURATION, AT(dial_timeout_ms), "800ms", 10, 60000, NULL, "TIME",
      "how long the engine may take to accept a stream" },
    { "drain-timeout", OPTION_DURATION, AT(drain_timeout_ms), "10s", 0, 3600000, NULL, "TIME",
      "how long streams may go on after SIGTERM" },
    IDENTITY_OPTIONS(struct config, identity),
    { "log-level", OPTION_STRING, AT(log_level), "info", 0, 0, options_check_log_level, "LEVELS",
      "error, warn, info, debug or trace, and others for parts: info,switch=debug" },
};

/* A vsock-like address without a port gets the one everybody uses. */
static struct addr with_port(const struct addr *at, uint32_t port)
{
    bool has_ports = at->kind == ADDR_VSOCK || at->kind == ADDR_VSOCK_HYBRID ||
                     at->kind == ADDR_TCP_HYBRID || at->kind == ADDR_HVSOCK;

    return has_ports && at->port == ADDR_PORT_NONE ? addr_at_port(at, port) : *at;
}

/* "auto": the same transport at the control port, where the transport has ports. */
static void derive_control(struct config *c)
{
    const struct addr *first = &c->listen_at[0];

    c->has_control = first->kind == ADDR_VSOCK || first->kind == ADDR_VSOCK_HYBRID ||
                     first->kind == ADDR_TCP_HYBRID;
    if (c->has_control)
        c->control_at = addr_at_port(first, CONFIG_CONTROL_PORT);
}

/* Turns the texts into values; they were checked one by one, but not together. */
static enum status understand(struct config *c, struct errmsg *e)
{
    enum status st;

    for (unsigned i = 0; i < c->listen.count; i++) {
        st = addr_parse(&c->listen_at[i], c->listen.items[i], e);
        if (st)
            return st;
        c->listen_at[i] = with_port(&c->listen_at[i], CONFIG_BRIDGE_PORT);
    }
    c->listen_count = c->listen.count;
    st = addr_parse(&c->target_at, c->target, e);
    if (st)
        return st;
    if (!strcmp(c->control, "auto")) {
        derive_control(c);
    } else if (strcmp(c->control, "none") != 0) {
        st = addr_parse(&c->control_at, c->control, e);
        if (st)
            return st;
        c->control_at = with_port(&c->control_at, CONFIG_CONTROL_PORT);
        c->has_control = true;
    }
    for (unsigned i = 0; c->has_control && i < c->listen_count; i++) {
        if (addr_equal(&c->control_at, &c->listen_at[i])) {
            errmsg_set(e, "--control and --listen name the same address");
            return ST_INVAL;
        }
    }
    return ST_OK;
}

enum status config_load(struct config *out, int argc, const char *const *argv, struct errmsg *e)
{
    enum status st =
        options_load(table, ARRAY_SIZE(table), out, sizeof *out, "config", argc, argv, e);

    return st ? st : understand(out, e);
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
