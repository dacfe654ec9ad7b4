/* SPDX-License-Identifier: Apache-2.0 */
#include "network/worker_command.h"

#include "base/log.h"
#include "base/util.h"
#include "switch/switch_options.h"

#include <inttypes.h>
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

static void push(struct worker_command *c, unsigned *count, char *arg)
{
    ASSERT(*count + 1 < ARRAY_SIZE(c->argv));
    c->argv[(*count)++] = arg;
    c->argv[*count] = NULL;
}

static void push_list(struct worker_command *c, unsigned *count, char *option,
                      struct option_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        push(c, count, option);
        push(c, count, list->items[i]);
    }
}

static void push_control(struct worker_command *c, unsigned *count,
                         const struct worker_command_input *in)
{
    static char control[] = "--control", sddl[] = "--control-sddl";
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
    push(c, count, control);
    push(c, count, c->control);
    if (in->sddl && strlen(in->sddl) >= sizeof c->sddl) {
        log_warn(LOG_NET,
                 "worker=%s control socket is for administrators only: more accounts than "
                 "a worker's option holds",
                 c->name);
    } else if (in->sddl) {
        snprintf(c->sddl, sizeof c->sddl, "%s", in->sddl);
        push(c, count, sddl);
        push(c, count, c->sddl);
    }
}

void worker_command_build(struct worker_command *c, const struct worker_command_input *in,
                          const struct addr *vm)
{
    static char worker[] = "--worker", kind[] = "switch", instance[] = "--instance",
                link[] = "--link", cid[] = "--peer-cid", subnet[] = "--subnet", mtu[] = "--mtu",
                no_ip6[] = "--no-ip6", deny_lan[] = "--deny-lan", dns_rebind[] = "--dns-rebind",
                token_file[] = "--api-token-file", forward[] = "--forward", limit[] = "--limit",
                level[] = "--log-level", search[] = "--search-domain", lease[] = "--static-lease",
                loopback[] = "--host-loopback", deny[] = "--host-deny", page[] = "--page-port";
    struct switch_options *o = in->options;
    unsigned count = 0;

    push(c, &count, in->program);
    push(c, &count, worker);
    push(c, &count, kind);
    push(c, &count, instance);
    push(c, &count, c->name);
    push(c, &count, link);
    push(c, &count, c->link);
    if (vm->kind == ADDR_VSOCK) { /* there the port is open to every machine */
        snprintf(c->cid, sizeof c->cid, "%" PRIu32, vm->cid);
        push(c, &count, cid);
        push(c, &count, c->cid);
    }
    push(c, &count, subnet);
    push(c, &count, o->subnet);
    snprintf(c->mtu, sizeof c->mtu, "%" PRIu32, o->mtu);
    push(c, &count, mtu);
    push(c, &count, c->mtu);
    if (o->no_ip6)
        push(c, &count, no_ip6);
    if (o->deny_lan)
        push(c, &count, deny_lan);
    push(c, &count, dns_rebind);
    push(c, &count, o->dns_rebind);
    if (o->api_token_file[0]) {
        push(c, &count, token_file);
        push(c, &count, o->api_token_file);
    }
    if (o->search_domains[0]) {
        push(c, &count, search);
        push(c, &count, o->search_domains);
    }
    if (o->host_loopback[0]) {
        push(c, &count, loopback);
        push(c, &count, o->host_loopback);
    }
    if (o->host_deny[0]) {
        push(c, &count, deny);
        push(c, &count, o->host_deny);
    }
    if (in->page_port) {
        snprintf(c->page_port, sizeof c->page_port, "%u", in->page_port);
        push(c, &count, page);
        push(c, &count, c->page_port);
    }
    push(c, &count, level);
    push(c, &count, in->log_level);
    push_control(c, &count, in);
    push_list(c, &count, forward, &o->forwards);
    push_list(c, &count, lease, &o->static_leases);
    push_list(c, &count, limit, &o->limits);
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
