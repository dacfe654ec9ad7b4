/* SPDX-License-Identifier: Apache-2.0
 * A row is either one type of condition, wherever in the snapshot it stands, or one of the few
 * things that no condition says (processes, endpoints, the list of virtual machines), which have a
 * function. Either way it ends in the first finding: whose, which reason, what it says.
 */
#include "status/diagnostics.h"

#include "base/util.h"
#include "status/hints.h"
#include "status/snapshot.h"

#include <stdio.h>
#include <string.h>

static const char engine[] = "Container Engine", networking[] = "Networking";

struct finding {
    const char *part; /* "docker", "vm1"; "" = the whole */
    const char *reason, *message;
};

/* ---- what no condition says ------------------------------------------------------------------ */

static bool find_process(const struct snapshot *s, struct finding *f)
{
    for (unsigned i = 0; i < s->component_count; i++) {
        const struct snapshot_component *c = &s->components[i];

        f->part = c->name;
        f->message = c->last_exit.any ? c->last_exit.message : "it is starting";
        f->reason = c->crash_loop                  ? "ComponentCrashLoop"
                    : c->process == WORKER_RUNNING ? NULL
                    : c->last_exit.any             ? "ComponentRestarting"
                                                   : "ComponentStarting";
        if (f->reason)
            return true;
    }
    return false;
}

static bool find_endpoint(const struct snapshot *s, struct finding *f)
{
    static const char *const reasons[] = {
        [SNAPSHOT_ENDPOINT_OFF] = "EndpointOff",
        [SNAPSHOT_ENDPOINT_FALLBACK] = "EndpointFallback",
        [SNAPSHOT_ENDPOINT_TAKEN] = "EndpointTaken",
    };

    for (unsigned i = 0; i < s->endpoint_count; i++) {
        const struct snapshot_endpoint *e = &s->endpoints[i];

        if (e->state == SNAPSHOT_ENDPOINT_LISTENING)
            continue;
        *f = (struct finding){ e->name, reasons[e->state],
                               e->message[0] ? e->message : e->requested };
        return true;
    }
    return false;
}

static bool find_no_machine(const struct snapshot *s, struct finding *f)
{
    if (s->instance_count > 0)
        return false;
    *f = (struct finding){ "", s->source_exists ? "NoVirtualMachine" : "SourceMissing",
                           s->source_exists ? "no virtual machine is running"
                                            : "the list of virtual machines does not exist" };
    return true;
}

/* ---- conditions ------------------------------------------------------------------------------ */

static bool find_in(const struct condition_set *set, const char *type, const char *part,
                    struct finding *f)
{
    const struct condition *c = condition_find(set, type);

    if (!c || c->status != COND_FALSE)
        return false;
    *f = (struct finding){ part, c->reason, c->message };
    return true;
}

static bool find_condition(const struct snapshot *s, const char *type, struct finding *f)
{
    if (find_in(&s->conditions, type, "", f))
        return true;
    for (unsigned i = 0; i < s->component_count; i++)
        if (find_in(&s->components[i].conditions, type, s->components[i].name, f))
            return true;
    for (unsigned i = 0; i < s->instance_count; i++) {
        const struct snapshot_instance *vm = &s->instances[i];

        if (find_in(&vm->conditions, type, vm->vm, f) ||
            (vm->bridge.reports && find_in(&vm->bridge.conditions, type, vm->vm, f)) ||
            (vm->net.reports && find_in(&vm->net.conditions, type, vm->vm, f)))
            return true;
    }
    return false;
}

/* ---- the rows -------------------------------------------------------------------------------- */

static const struct row {
    const char *id, *category, *good;
    const char *type; /* of a condition; NULL: @find */
    bool (*find)(const struct snapshot *s, struct finding *f);
} rows[] = {
    { "RDLINK_COMPONENTS", engine, "Every part of rdlink runs", NULL, find_process },
    { "RDLINK_DOCKER_ENDPOINT", engine, "Docker clients find rdlink at the name they use", NULL,
      find_endpoint },
    { "RDLINK_VIRTUAL_MACHINE", engine, "A virtual machine is running", NULL, find_no_machine },
    { "RDLINK_GUEST_FOUND", engine, "The guest answers", "GuestFound", NULL },
    { "RDLINK_DOCKER_REACHABLE", engine, "The docker engine answers through rdlink",
      "DockerReachable", NULL },
    { "RDLINK_AGENT", engine, "rdlink-agent's bridge in the guest is well", "AgentHealthy", NULL },
    { "RDLINK_DOCKER_SOCKET", engine, "The bridge reaches docker.sock in the guest",
      "DockerSocketReady", NULL },
    { "RDLINK_DOCKER_SOCKET_TRUSTED", engine, "docker.sock in the guest is whose it should be",
      "DockerSocketTrusted", NULL },
    { "RDLINK_NETWORK", networking, "The guest has its network", "NetworkReady", NULL },
    { "RDLINK_LINK", networking, "The guest is linked", "LinkUp", NULL },
    { "RDLINK_NET_AGENT", networking, "rdlink-agent's network unit in the guest is well",
      "NetAgentHealthy", NULL },
    { "RDLINK_SUBNET", networking, "No other network has the guest's addresses", "SubnetClear",
      NULL },
    { "RDLINK_FORWARDS", networking, "Every published port of the guest is open on this computer",
      "ForwardsBound", NULL },
};

_Static_assert(ARRAY_SIZE(rows) == DIAGNOSTIC_ROWS, "a row for each");

static void describe_failure(struct diagnostic *d, const struct finding *f)
{
    const char *hint = hint_find(f->reason);
    size_t n;

    snprintf(d->description, sizeof d->description, "%s%s%s: %s", f->part, f->part[0] ? ": " : "",
             f->reason, f->message);
    n = (size_t)snprintf(d->documentation, sizeof d->documentation, "docs/troubleshooting.md#%s",
                         f->reason);
    for (size_t i = n - strlen(f->reason); i < n; i++)
        if (d->documentation[i] >= 'A' && d->documentation[i] <= 'Z')
            d->documentation[i] = (char)(d->documentation[i] + 'a' - 'A');
    d->fix = hint ? hint : "see the reason's entry in docs/troubleshooting.md";
}

void diagnostics_of(const struct snapshot *s, struct diagnostic out[static DIAGNOSTIC_ROWS])
{
    for (unsigned i = 0; i < DIAGNOSTIC_ROWS; i++) {
        const struct row *row = &rows[i];
        struct diagnostic *d = &out[i];
        struct finding f;

        *d = (struct diagnostic){ .id = row->id, .category = row->category };
        d->passed = !(row->find ? row->find(s, &f) : find_condition(s, row->type, &f));
        if (d->passed)
            snprintf(d->description, sizeof d->description, "%s", row->good);
        else
            describe_failure(d, &f);
    }
}

/* ---- when ------------------------------------------------------------------------------------ */

static int64_t latest_of(const struct condition_set *set, int64_t latest_ms)
{
    for (unsigned i = 0; i < set->count; i++)
        latest_ms = MAX(latest_ms, set->items[i].last_transition_ms);
    return latest_ms;
}

int64_t diagnostics_last_update_ms(const struct snapshot *s)
{
    int64_t latest_ms = latest_of(&s->conditions, s->started_ms);

    for (unsigned i = 0; i < s->component_count; i++) {
        latest_ms = latest_of(&s->components[i].conditions, latest_ms);
        latest_ms = MAX(latest_ms, s->components[i].since_ms);
    }
    for (unsigned i = 0; i < s->instance_count; i++) {
        latest_ms = latest_of(&s->instances[i].conditions, latest_ms);
        latest_ms = latest_of(&s->instances[i].bridge.conditions, latest_ms);
        latest_ms = latest_of(&s->instances[i].net.conditions, latest_ms);
    }
    for (unsigned i = 0; i < s->endpoint_count; i++)
        latest_ms = MAX(latest_ms, s->endpoints[i].since_ms);
    return latest_ms;
}
