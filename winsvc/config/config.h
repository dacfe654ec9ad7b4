/* SPDX-License-Identifier: Apache-2.0
 * config.h - everything that can be set in rdlinkd, and where each value came from: default < file
 * < registry < command line < policy. A value of the policy is locked: others may set it too, which
 * is no mistake and has no effect.
 *
 * The table in config.c is the only list of options; parsing, checks and help come from it. Some
 * 60 KiB: not for a stack. Runs on: any thread.
 */
#ifndef WINSVC_CONFIG_CONFIG_H
#define WINSVC_CONFIG_CONFIG_H

#include "base/option_source.h"
#include "base/options.h"
#include "base/status.h"
#include "config/config_names.h"
#include "network/published.h"
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

/* As written; config_load() turns it into the values below. */
struct config_text {
    char config[OPTION_VALUE_MAX], config_root[OPTION_VALUE_MAX];
    struct option_list vm, endpoint;
    char vm_folder[OPTION_VALUE_MAX], vm_registry_key[OPTION_VALUE_MAX], vm_via[OPTION_VALUE_MAX];
    char endpoint_fallback[OPTION_VALUE_MAX], status[OPTION_VALUE_MAX], control[OPTION_VALUE_MAX],
        status_file[OPTION_VALUE_MAX], log_level[OPTION_VALUE_MAX], log_dir[OPTION_VALUE_MAX];
    char page[OPTION_VALUE_MAX], page_token_file[OPTION_VALUE_MAX];
    struct option_list endpoint_grant, owner_distribution;
    char owner_registry_key[OPTION_VALUE_MAX];
    char switch_control[OPTION_VALUE_MAX], publish[OPTION_VALUE_MAX];
    char keys[OPTION_VALUE_MAX];
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
    uint32_t log_max_mib, log_max_age_ms, log_keep;
    bool require_proof;            /* no guest is taken that does not prove itself */
    bool no_network;               /* guests get no switch; otherwise each gets one of ... */
    enum publish_policy publish;   /* what containers publish */
    struct switch_options network; /* ... subnet to api_token_file; its other options are unused */
    struct option_origin origins[OPTIONS_MAX]; /* of each option, in the table's order */
    struct config_places places;               /* .file is the one that was named or the default */
    bool file_is_there, policy_file_is_there;
};

/* What a value that changes while rdlinkd runs comes to. */
enum config_effect {
    CONFIG_NEXT_START, /* nothing before the next start */
    CONFIG_CONTROLLER, /* the controller goes by it at once */
    CONFIG_LOG,        /* log levels at once, which undoes what was set for a while */
    CONFIG_DOCKER,     /* the docker workers are told; no connection is cut */
    CONFIG_FORWARDS,   /* the switch workers are told; no flow ends */
    CONFIG_NETWORK,    /* the switch workers are started anew, which ends their flows */
    CONFIG_MACHINES,   /* machines are looked for anew; those that stay keep their sessions */
    CONFIG_EFFECT_COUNT
};

/* Where to load from. */
struct config_input {
    int argc; /* what follows the verb; borrowed */
    const char *const *argv;
    const struct config_store *store; /* NULL = the system's; borrowed */
    const char *file_text;            /* read as if the file had it; NULL = what it has */
    size_t file_text_len;
    option_error_fn *on_error; /* told each mistake; NULL: the first one ends it */
    void *error_ctx;
};

/* All sources in their order. Without --config the default file is read when it exists. ST_INVAL,
 * or what option_source_file() says; @e is the first mistake, with its place. After a failure
 * places is set unless the command line was wrong, the rest is to be thrown away. */
enum status config_load(struct config *c, const struct config_input *in, struct errmsg *e);
/* Turns the texts of @c into its values and checks what several of them mean together: a part of
 * config_load(). ST_INVAL. */
enum status config_finish(struct config *c, struct errmsg *e);
/* Options of CONFIG_NEXT_START become what they are in @running. ST_INVAL: what comes out does not
 * fit together. */
enum status config_keep_running(struct config *c, const struct config *running, struct errmsg *e);
/* Of everything that config_load() would read but the command line; another one means that
 * something was written there. */
uint64_t config_fingerprint(const struct config *c);
enum config_effect config_effect(const struct option *o);
bool config_is_locked(const struct config *c, const struct option *o);
/* "/etc/rdlink/rdlinkd.conf:12", "HKLM\SOFTWARE\rdlink", "command line", "default". */
const char *config_origin_text(const struct config *c, const struct option *o, char *buf,
                               size_t cap);
/* Option lines for --help; returns the length as snprintf does. */
size_t config_help(char *buf, size_t cap);
/* The table itself, for the manual page. */
const struct option *config_options(size_t *count);

#endif
