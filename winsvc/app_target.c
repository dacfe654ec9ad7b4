/* SPDX-License-Identifier: Apache-2.0
 * THEORY: which guest is behind an endpoint. The one that the endpoint names; otherwise the one it
 * has, as long as that one answers (a second guest must not steal clients), otherwise the first
 * that answers. While there is none a client hears why.
 */
#include "app_internal.h"

#include "base/log.h"
#include "docker/docker_service.h"
#include "vm/vm_manager.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The vsock port of rdd-guest and of our bridge, in every generation. */
enum { DOCKER_PORT = 6660 };

/* A guest without a link is one too: docker goes another way. Where proof is required that way is
 * only trusted while the bridge itself is proved: it holds both ports, its own and docker's
 * (docs/proof.md). */
static bool answers(const struct app *a, const struct session_view *v)
{
    const struct condition *found = condition_find(&v->conditions, "GuestFound");

    return found && found->status == COND_TRUE &&
           (!a->config->require_proof || v->bridge.proved == CHANNEL_PROVED);
}

/* The guest for @ep among @count views; NULL = none. */
static const struct session_view *choose(const struct app_endpoint *ep,
                                         const struct session_view *views, unsigned count)
{
    const char *wanted = ep->config->vm[0] ? ep->config->vm : ep->chosen;

    for (unsigned i = 0; i < count; i++)
        if (answers(ep->app, &views[i]) && wanted[0] && !strcmp(views[i].vm_id, wanted))
            return &views[i];
    if (ep->config->vm[0])
        return NULL;
    for (unsigned i = 0; i < count; i++)
        if (answers(ep->app, &views[i]))
            return &views[i];
    return NULL;
}

/* What a client hears while there is no guest. */
static void explain(const struct app *a, const struct app_endpoint *ep,
                    const struct session_view *views, unsigned count, char *buf, size_t cap)
{
    const struct session_view *v = count ? &views[0] : NULL;

    for (unsigned i = 0; i < count; i++)
        if (!strcmp(views[i].vm_id, ep->config->vm))
            v = &views[i];
    if (ep->config->vm[0] && (!v || strcmp(v->vm_id, ep->config->vm) != 0))
        snprintf(buf, cap, "virtual machine %s is not running", ep->config->vm);
    else if (!v && vm_manager_source_exists(a->manager))
        snprintf(buf, cap, "no virtual machine is running");
    else if (!v && a->config->text.vm_folder[0])
        snprintf(buf, cap, "no virtual machine is running: %.150s does not exist",
                 a->config->text.vm_folder);
    else if (!v)
        snprintf(buf, cap, "WSL is not running");
    else
        snprintf(buf, cap, "virtual machine %s does not answer: %s", v->vm_id,
                 v->last_error[0] ? v->last_error : "still waiting for it");
}

static void update_target(struct app *a, struct app_endpoint *ep, const struct session_view *views,
                          unsigned count)
{
    const struct session_view *v = choose(ep, views, count);
    char reason[256] = "";
    struct addr to;

    if (!v) {
        ep->chosen[0] = '\0';
        explain(a, ep, views, count, reason, sizeof reason);
        docker_service_set_target(ep->service, NULL, "", reason);
        return;
    }
    memcpy(ep->chosen, v->vm_id, sizeof ep->chosen);
    to = addr_at_port(&v->addr, DOCKER_PORT);
    docker_service_set_target(ep->service, &to, v->vm_id, reason);
}

void app_update_targets(struct app *a)
{
    unsigned count = vm_manager_count(a->manager);
    struct session_view *views = calloc(count ? count : 1, sizeof *views);

    if (!views) {
        log_error(LOG_MAIN, "%s while choosing guests; keeping the present ones",
                  status_text(ST_NOMEM));
        return;
    }
    for (unsigned i = 0; i < count; i++)
        vm_manager_view(a->manager, i, &views[i]);
    for (unsigned i = 0; i < a->endpoint_count; i++)
        update_target(a, &a->endpoints[i], views, count);
    free(views);
}
