/* SPDX-License-Identifier: Apache-2.0
 * config.h - everything that can be set in rdlinkd, from the command line or one file.
 *
 * The table in config.c is the only list of options; parsing, checks and help come from it.
 */
#ifndef WINSVC_CONFIG_H
#define WINSVC_CONFIG_H

#include "base/options.h"
#include "base/status.h"
#include "port/addr.h"
#include "switch/switch_options.h"
#include "vm/vm_source.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_MAX_ENDPOINTS = 4 };

/* One docker endpoint: where clients connect, and which guest is behind it. */
struct config_endpoint {
    char vm[VM_ID_MAX]; /* empty = whichever guest answers */
    struct addr at;
};

/* As written; config_finish() turns it into the values below. */
struct config_text {
    char config[OPTION_VALUE_MAX];
    struct option_list vm, endpoint;
    char vm_folder[OPTION_VALUE_MAX], vm_registry_key[OPTION_VALUE_MAX], vm_via[OPTION_VALUE_MAX];
    char endpoint_fallback[OPTION_VALUE_MAX], status[OPTION_VALUE_MAX], control[OPTION_VALUE_MAX],
        status_file[OPTION_VALUE_MAX], log_level[OPTION_VALUE_MAX];
    char page[OPTION_VALUE_MAX], page_token_file[OPTION_VALUE_MAX];
    struct option_list endpoint_grant;
    char switch_control[OPTION_VALUE_MAX];
};

struct config {
    struct config_text text;
    struct vm_info vms[VM_SNAPSHOT_MAX]; /* a fixed list instead of a source */
    unsigned vm_count;
    struct addr vm_via; /* ADDR_NONE = hvsock */
    struct config_endpoint endpoints[CONFIG_MAX_ENDPOINTS];
    unsigned endpoint_count;
    struct addr endpoint_fallback; /* of the first endpoint; ADDR_NONE = none */
    struct addr status;
    struct addr page;    /* tcp:; ADDR_NONE = none. Its token goes to text.page_token_file */
    struct addr control; /* ADDR_NONE = no control socket */
    uint32_t max_connections, dial_timeout_ms, drain_ms, probe_interval_ms;
    bool no_network;               /* guests get no switch; otherwise each gets one of ... */
    struct switch_options network; /* ... subnet to api_token_file; its other options are unused */
};

/* Defaults, then --config's file, then the command line. @argv starts after the verb. ST_INVAL, or
 * what options_load_file() says about the file. */
enum status config_load(struct config *c, int argc, const char *const *argv, struct errmsg *e);
/* Option lines for --help; returns the length as snprintf does. */
size_t config_help(char *buf, size_t cap);
/* The table itself, for the manual page. */
const struct option *config_options(size_t *count);

#endif
