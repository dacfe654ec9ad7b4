/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/net/relay_config.h"

#include "guestagent/net/net_config.h"

static enum status check_socket(const char *value, struct errmsg *e)
{
    struct addr at;

    return addr_parse_guarded(&at, value, e);
}

#define AT(field) offsetof(struct relay_config, field)

static const struct option table[] = {
    { "config", OPTION_STRING, AT(file), NULL, 0, 0, NULL, "FILE",
      "read options from FILE, one \"key = value\" per line" },
    { "listen", OPTION_STRING, AT(listen), RELAY_DEFAULT_SOCKET, 0, 0, check_socket, "ADDR",
      "where rdlink-agent net asks" },
    { "tap-interface", OPTION_STRING, AT(tap_name), "eth0", 0, 0, net_config_check_interface,
      "NAME", "the interface that the host is behind; nobody else is let in" },
    { "log-level", OPTION_STRING, AT(log_level), "info", 0, 0, options_check_log_level, "LEVELS",
      "error, warn, info, debug or trace, and others for parts: info,net=debug" },
};

enum status relay_config_load(struct relay_config *out, int argc, const char *const *argv,
                              struct errmsg *e)
{
    enum status st =
        options_load(table, ARRAY_SIZE(table), out, sizeof *out, "config", argc, argv, e);

    return st ? st : addr_parse_guarded(&out->listen_at, out->listen, e);
}

const struct option *relay_config_options(size_t *count)
{
    *count = ARRAY_SIZE(table);
    return table;
}

size_t relay_config_help(char *buf, size_t cap)
{
    return options_help(table, ARRAY_SIZE(table), buf, cap);
}
