/* SPDX-License-Identifier: Apache-2.0 */
#include "status/health_check.h"

#include "status/snapshot.h"

#include <string.h>

static enum health_state state_of_unit(const struct snapshot_agent *a)
{
    return !a->reports ? HEALTH_UNKNOWN : a->serving ? HEALTH_SERVING : HEALTH_NOT_SERVING;
}

/* "VM/bridge", "VM/net" */
static enum health_state state_in_guest(const struct snapshot *s, const char *service)
{
    const char *slash = strrchr(service, '/');

    for (unsigned i = 0; slash && i < s->instance_count; i++) {
        const struct snapshot_instance *vm = &s->instances[i];
        size_t len = strlen(vm->vm);

        if ((size_t)(slash - service) != len || memcmp(vm->vm, service, len) != 0)
            continue;
        if (!strcmp(slash, "/bridge"))
            return state_of_unit(&vm->bridge);
        if (!strcmp(slash, "/net"))
            return state_of_unit(&vm->net);
    }
    return HEALTH_SERVICE_UNKNOWN;
}

static enum health_state state_of(const struct snapshot *s, const char *service)
{
    if (!service[0])
        return s->ready ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    for (unsigned i = 0; i < s->component_count; i++)
        if (!strcmp(s->components[i].name, service))
            return s->components[i].state;
    return state_in_guest(s, service);
}

enum health_state health_check(const struct snapshot *s, const char *service)
{
    enum health_state state = state_of(s, service);

    return s->stopping && state != HEALTH_SERVICE_UNKNOWN ? HEALTH_NOT_SERVING : state;
}
