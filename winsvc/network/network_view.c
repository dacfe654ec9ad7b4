/* SPDX-License-Identifier: Apache-2.0
 * What a reader of the status sees of the switch workers, and how well a guest's network is.
 */
#include "network/network_internal.h"

#include "port/process_identity.h"
#include "status/snapshot.h"

#include <stdio.h>
#include <string.h>

const struct health_component *net_worker_health(const struct net_worker *w)
{
    const struct health_report *r = w->host ? worker_host_health(w->host, 0) : NULL;

    return r ? health_find(r, "switch") : NULL;
}

void net_worker_describe_exit(const struct worker_view *v, char *buf, size_t cap)
{
    snprintf(buf, cap, "the switch worker is down: %s: %.120s", v->last_exit.reason,
             v->last_exit.message);
}

static bool is_running(const struct net_worker *w)
{
    struct worker_view v;

    if (!w->host)
        return false;
    worker_host_view(w->host, 0, &v);
    return v.state == WORKER_RUNNING;
}

static void fill_forward(const struct net_worker *w, const struct forward_state *f,
                         struct snapshot *out)
{
    struct snapshot_forward to = { .generation = w->generation, .is_listening = f->is_listening };

    snprintf(to.vm, sizeof to.vm, "%s", w->vm_id);
    snprintf(to.proto, sizeof to.proto, "%s", f->text.protocol);
    snprintf(to.host, sizeof to.host, "%s", f->text.local);
    snprintf(to.guest, sizeof to.guest, "%s", f->text.remote);
    snprintf(to.reason, sizeof to.reason, "%s", f->reason);
    snprintf(to.message, sizeof to.message, "%s", f->message);
    snapshot_add_forward(out, &to);
}

static void fill_forwards(const struct network_service *n, struct snapshot *out, bool listening)
{
    for (unsigned i = 0; i < n->count; i++) {
        const struct net_worker *w = n->workers[i];

        if (!is_running(w))
            continue;
        for (unsigned k = 0; k < w->states.count; k++)
            if (w->states.items[k].is_listening == listening)
                fill_forward(w, &w->states.items[k], out);
        if (listening)
            out->left_out += w->states.left_out;
    }
}

void network_service_fill(const struct network_service *n, struct snapshot *out,
                          const struct snapshot_clock *clock)
{
    for (unsigned i = 0; i < n->count; i++) {
        const struct net_worker *w = n->workers[i];
        struct snapshot_component *to;
        struct worker_view v;

        if (!w->host)
            continue;
        worker_host_view(w->host, 0, &v);
        to = snapshot_add_worker(out, &v, clock);
        if (!to)
            continue;
        to->is_network = true;
        to->identity = *worker_host_identity(w->host, 0);
        snprintf(to->control, sizeof to->control, "%.*s", ADDR_TEXT_MAX - 1, w->command.control);
        snapshot_component_health(to, net_worker_health(w));
    }
    fill_forwards(n, out, false);
    fill_forwards(n, out, true);
}

static void set_condition(struct condition *out, const char *type, enum condition_status status,
                          const char *reason, const char *text)
{
    *out = (struct condition){ .status = status };
    snprintf(out->type, sizeof out->type, "%s", type);
    snprintf(out->reason, sizeof out->reason, "%s", reason);
    snprintf(out->message, sizeof out->message, "%s", text);
}

static void judge(const struct net_worker *w, struct condition *out)
{
    static const char type[] = "NetworkReady";
    const struct health_component *h = net_worker_health(w);
    const struct condition *said = h ? condition_find(&h->conditions, type) : NULL;
    struct worker_view v;
    char text[200];

    if (w->phase == NET_WAITING) {
        set_condition(out, type, COND_FALSE, "SwitchDown", w->waiting_text);
        return;
    }
    worker_host_view(w->host, 0, &v);
    if (v.state == WORKER_RUNNING && said) {
        *out = *said;
    } else if (v.state != WORKER_RUNNING && v.last_exit.any) {
        net_worker_describe_exit(&v, text, sizeof text);
        set_condition(out, type, COND_FALSE, "SwitchDown", text);
    } else {
        set_condition(out, type, COND_FALSE, "SwitchStarting",
                      "the host switch is being started for the guest");
    }
}

bool network_service_condition(const struct network_service *n, const char *vm_id,
                               struct condition *out)
{
    bool any = false;

    for (unsigned i = 0; i < n->count; i++) {
        struct condition c;

        if (strcmp(n->workers[i]->vm_id, vm_id) != 0)
            continue;
        judge(n->workers[i], &c);
        if (!any || c.status == COND_TRUE)
            *out = c;
        any = true;
    }
    return any;
}
