/* SPDX-License-Identifier: Apache-2.0 */
#include "network/worker_command.h"

#include "base/log.h"
#include "base/util.h"
#include "switch/switch_options.h"

#include <stdio.h>
#include <string.h>

static const char *protocol_of(enum guest_generation generation)
{
    return generation == GUEST_V2 ? "v2" : "stdio";
}

void worker_command_name(struct worker_command *c, const char *vm_id,
                         enum guest_generation generation, unsigned number)
{
    const char *suffix = guest_generation_name(generation);

    if (snprintf(c->name, sizeof c->name, "switch-%s-%s", vm_id, suffix) >= (int)sizeof c->name)
        snprintf(c->name, sizeof c->name, "switch-%.24s~%u-%s", vm_id, number, suffix);
}

static void push_control(struct worker_command *c, struct worker_argv *v,
                         const struct worker_command_input *in)
{
    struct addr at;

    c->control[0] = '\0'; /* it may have had one */
    if (!in->control[0])
        return;
    snprintf(c->control, sizeof c->control, "%s-%s", in->control, c->name + strlen("switch-"));
    if (addr_parse(&at, c->control, NULL) != ST_OK) {
        log_warn(LOG_NET, "worker=%s has no control socket: %s is too long", c->name, c->control);
        c->control[0] = '\0';
        return;
    }
    worker_argv_text(v, "--control", c->control);
    if (in->sddl && strlen(in->sddl) >= sizeof c->sddl) {
        log_warn(LOG_NET,
                 "worker=%s control socket is for administrators only: more accounts than "
                 "a worker's option holds",
                 c->name);
    } else if (in->sddl) {
        snprintf(c->sddl, sizeof c->sddl, "%s", in->sddl);
        worker_argv_text(v, "--control-sddl", c->sddl);
    }
}

static void push_network(struct worker_command *c, struct worker_argv *v,
                         const struct switch_options *o)
{
    worker_argv_text(v, "--subnet", o->subnet);
    worker_argv_number(v, "--mtu", o->mtu, "", c->mtu);
    worker_argv_flag(v, "--no-ip6", o->no_ip6);
    worker_argv_flag(v, "--deny-lan", o->deny_lan);
    worker_argv_text(v, "--dns-rebind", o->dns_rebind);
    worker_argv_text(v, "--api-token-file", o->api_token_file);
    worker_argv_text(v, "--search-domain", o->search_domains);
    worker_argv_text(v, "--host-loopback", o->host_loopback);
    worker_argv_text(v, "--host-deny", o->host_deny);
}

void worker_command_build(struct worker_command *c, const struct worker_command_input *in,
                          const struct addr *vm)
{
    struct worker_argv v = { .at = c->argv, .cap = ARRAY_SIZE(c->argv) };

    worker_argv_add(&v, in->program);
    worker_argv_text(&v, "--worker", "switch");
    worker_argv_text(&v, "--instance", c->name);
    worker_argv_text(&v, "--link", c->link);
    if (vm->kind == ADDR_VSOCK) /* there the port is open to every machine */
        worker_argv_number(&v, "--peer-cid", vm->cid, "", c->cid);
    push_network(c, &v, in->options);
    if (in->page_port)
        worker_argv_number(&v, "--page-port", in->page_port, "", c->page_port);
    worker_argv_text(&v, "--log-level", in->log_level);
    push_control(c, &v, in);
    worker_argv_list(&v, "--forward", &in->options->forwards);
    worker_argv_list(&v, "--static-lease", &in->options->static_leases);
    worker_argv_list(&v, "--limit", &in->options->limits);
}

enum status worker_command_link(struct worker_command *c, const struct addr *vm, uint32_t data_port,
                                enum guest_generation generation, struct errmsg *e)
{
    char text[ADDR_TEXT_MAX];
    struct addr at;
    enum status st = addr_guest_to_host(&at, vm, data_port, e);

    if (st == ST_OK)
        snprintf(c->link, sizeof c->link, "%s:%s", protocol_of(generation),
                 addr_format(&at, text, sizeof text));
    return st;
}
