/* SPDX-License-Identifier: Apache-2.0
 * switch_options.h - the options of `rdlinkd switch` and of the switch worker, as text and as a
 * switch_config. Pure but for the token's file.
 */
#ifndef WINSVC_SWITCH_SWITCH_OPTIONS_H
#define WINSVC_SWITCH_SWITCH_OPTIONS_H

#include "base/options.h"
#include "link/frame_link.h"
#include "port/addr.h"
#include "switch/switch.h"

/* As given. */
struct switch_options {
    char link[OPTION_VALUE_MAX];
    char subnet[OPTION_VALUE_MAX];
    char log_level[OPTION_VALUE_MAX];
    char control[OPTION_VALUE_MAX]; /* "" = no control socket */
    char control_sddl[OPTION_VALUE_MAX];
    char instance[OPTION_VALUE_MAX]; /* of a worker */
    uint32_t page_port;              /* of a worker; 0 = there is no status page */
    uint32_t peer_cid;               /* 0 = any; no guest has that one */
    uint32_t mtu;
    bool no_ip6;
    bool deny_lan;
    char dns_rebind[OPTION_VALUE_MAX];
    char api_token_file[OPTION_VALUE_MAX];
    bool dial;
    char search_domains[OPTION_VALUE_MAX];
    char host_loopback[OPTION_VALUE_MAX]; /* "" = allow */
    char host_deny[OPTION_VALUE_MAX];
    struct option_list static_leases;
    struct option_list forwards;
    struct option_list limits;
};

/* @argv begins with the first option. ST_INVAL says which word is wrong. */
enum status switch_options_parse(struct switch_options *out, int argc, const char *const *argv,
                                 struct errmsg *e);
/* The same with what only a controller says: --instance, --page-port. */
enum status switch_options_parse_worker(struct switch_options *out, int argc,
                                        const char *const *argv, struct errmsg *e);
/* "qemu:unix:/run/vm.sock": protocol and address. ST_INVAL. */
enum status switch_options_link(const char *text, enum frame_protocol *protocol, struct addr *at,
                                struct errmsg *e);
/* @out is finished (switch_config_finish()), the token read from its file. ST_INVAL. */
enum status switch_options_config(const struct switch_options *o, struct switch_config *out,
                                  struct errmsg *e);
/* For another table that has these options too; what several of them mean together is checked by
 * switch_options_config(). */
option_check_fn switch_options_check_rebind, switch_options_check_subnet,
    switch_options_check_forward, switch_options_check_limit, switch_options_check_lease,
    switch_options_check_search, switch_options_check_loopback, switch_options_check_ports;
/* As options_help(). */
size_t switch_options_help(char *buf, size_t cap);
/* The table itself, less what only a controller says, for the manual page. */
const struct option *switch_options_table(size_t *count);

#endif
