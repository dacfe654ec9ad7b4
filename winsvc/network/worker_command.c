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

/* The cast is for exec's type: nobody writes to an argument. */
static void push(struct worker_command *c, const char *arg)
{
    ASSERT(c->argc + 1 < ARRAY_SIZE(c->argv));
    c->argv[c->argc++] = (char *)(uintptr_t)arg;
    c->argv[c->argc] = NULL;
}

static void push_flag(struct worker_command *c, const char *option, bool is_set)
{
    if (is_set)
        push(c, option);
}

/* Nothing for an empty value. */
static void push_text(struct worker_command *c, const char *option, const char *value)
{
    if (!value[0])
        return;
    push(c, option);
    push(c, value);
}

static void push_number(struct worker_command *c, const char *option, uint32_t value,
                        char buf[static WORKER_NUMBER_MAX])
{
    snprintf(buf, WORKER_NUMBER_MAX, "%" PRIu32, value);
    push_text(c, option, buf);
}

static void push_list(struct worker_command *c, const char *option, const struct option_list *list)
{
    for (unsigned i = 0; i < list->count; i++)
        push_text(c, option, list->items[i]);
}

static void push_control(struct worker_command *c, const struct worker_command_input *in)
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
    push_text(c, "--control", c->control);
    if (in->sddl && strlen(in->sddl) >= sizeof c->sddl) {
        log_warn(LOG_NET,
                 "worker=%s control socket is for administrators only: more accounts than "
                 "a worker's option holds",
                 c->name);
    } else if (in->sddl) {
        snprintf(c->sddl, sizeof c->sddl, "%s", in->sddl);
        push_text(c, "--control-sddl", c->sddl);
    }
}

static void push_network(struct worker_command *c, const struct switch_options *o)
{
    push_text(c, "--subnet", o->subnet);
    push_number(c, "--mtu", o->mtu, c->mtu);
    push_flag(c, "--no-ip6", o->no_ip6);
    push_flag(c, "--deny-lan", o->deny_lan);
    push_text(c, "--dns-rebind", o->dns_rebind);
    push_text(c, "--api-token-file", o->api_token_file);
    push_text(c, "--search-domain", o->search_domains);
    push_text(c, "--host-loopback", o->host_loopback);
    push_text(c, "--host-deny", o->host_deny);
}

void worker_command_build(struct worker_command *c, const struct worker_command_input *in,
                          const struct addr *vm)
{
    c->argc = 0;
    push(c, in->program);
    push_text(c, "--worker", "switch");
    push_text(c, "--instance", c->name);
    push_text(c, "--link", c->link);
    if (vm->kind == ADDR_VSOCK) /* there the port is open to every machine */
        push_number(c, "--peer-cid", vm->cid, c->cid);
    push_network(c, in->options);
    if (in->page_port)
        push_number(c, "--page-port", in->page_port, c->page_port);
    push_text(c, "--log-level", in->log_level);
    push_control(c, in);
    push_list(c, "--forward", &in->options->forwards);
    push_list(c, "--static-lease", &in->options->static_leases);
    push_list(c, "--limit", &in->options->limits);
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
