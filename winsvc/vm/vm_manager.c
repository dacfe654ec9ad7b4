/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_manager.h"

#include "base/log.h"
#include "port/loop.h"
#include "vm/vm_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @running lists the machines that have a session, @wanted what the source said last; they differ
 * only while a session could not be made, which is tried again after RETRY_MS. Sessions stand in
 * the order of @running. */
enum { RETRY_MS = 1000 };

struct vm_manager {
    struct loop *loop;                /* borrowed */
    const struct vm_manager_ops *ops; /* borrowed */
    void *ctx;
    struct session_config session_config;
    char instance[VM_ID_MAX];
    struct vm_snapshot wanted;
    struct vm_snapshot running;
    struct guest_session *sessions[VM_SNAPSHOT_MAX]; /* owned */
    struct timer retry_timer;
};

static int index_of(const struct vm_manager *m, const char *vm_id)
{
    for (unsigned i = 0; i < m->running.count; i++)
        if (!strcmp(m->running.vms[i].id, vm_id))
            return (int)i;
    return -1;
}

static const struct vm_info *vm_of(const struct vm_manager *m, const struct guest_session *s)
{
    unsigned i = 0;

    while (m->sessions[i] != s)
        i++;
    return &m->running.vms[i];
}

static void on_session_change(void *ctx, struct guest_session *s)
{
    const struct vm_manager *m = ctx;

    m->ops->on_change(m->ctx);
}

static void on_want_link(void *ctx, struct guest_session *s, enum guest_generation generation,
                         uint32_t data_port, const struct link_token *token)
{
    const struct vm_manager *m = ctx;
    const struct vm_info *vm = vm_of(m, s);

    m->ops->want_link(m->ctx, vm->id, &vm->addr, generation, data_port, token);
}

static void on_release_link(void *ctx, struct guest_session *s, enum guest_generation generation)
{
    const struct vm_manager *m = ctx;

    m->ops->release_link(m->ctx, vm_of(m, s)->id, generation);
}

static void on_published(void *ctx, struct guest_session *s,
                         const Rdlink__V1__PublishedPorts *ports)
{
    struct vm_manager *m = ctx;
    const struct vm_info *vm = vm_of(m, s);

    m->ops->on_published(m->ctx, vm->id, ports);
}

static void on_relayed(void *ctx, struct guest_session *s, const Rdlink__V1__PublishedPorts *ports)
{
    const struct vm_manager *m = ctx;

    m->ops->on_relayed(m->ctx, vm_of(m, s)->id, ports);
}

static const struct session_ops session_ops = { .on_change = on_session_change,
                                                .want_link = on_want_link,
                                                .release_link = on_release_link,
                                                .on_published = on_published,
                                                .on_relayed = on_relayed };

static void on_gone(void *ctx, const struct vm_info *vm)
{
    struct vm_manager *m = ctx;
    int i = index_of(m, vm->id);

    if (i < 0)
        return;
    log_info(LOG_VM, "vm=%s is gone", vm->id);
    guest_session_free(m->sessions[i]);
    m->running.count--;
    for (unsigned k = (unsigned)i; k < m->running.count; k++) {
        m->running.vms[k] = m->running.vms[k + 1];
        m->sessions[k] = m->sessions[k + 1];
    }
    m->ops->on_gone(m->ctx, vm->id);
}

static void on_come(void *ctx, const struct vm_info *vm)
{
    struct vm_manager *m = ctx;
    unsigned i = m->running.count;
    enum status st;

    if (i == VM_SNAPSHOT_MAX)
        return;
    st = guest_session_new(&m->sessions[i], m->loop, vm, m->instance, &m->session_config,
                           &session_ops, m);
    if (st != ST_OK) {
        log_error(LOG_VM, "vm=%s no session: %s; trying again", vm->id, status_text(st));
        timer_start(&m->retry_timer, RETRY_MS);
        return;
    }
    m->running.vms[i] = *vm;
    m->running.count++;
    log_info(LOG_VM, "vm=%s found, probing", vm->id);
}

static const struct vm_watch_ops watch_ops = { on_gone, on_come };

/* The difference is taken against a copy, because @running moves while it is walked. */
static bool follow(struct vm_manager *m)
{
    struct vm_snapshot was = m->running;

    timer_stop(&m->retry_timer);
    return vm_watch_diff(&was, &m->wanted, &watch_ops, m);
}

static void on_retry(void *ctx)
{
    struct vm_manager *m = ctx;

    if (follow(m))
        m->ops->on_change(m->ctx);
}

enum status vm_manager_new(struct vm_manager **out, struct loop *loop,
                           const struct vm_manager_config *config, const struct vm_manager_ops *ops,
                           void *ctx)
{
    struct vm_manager *m = calloc(1, sizeof *m);

    if (!m)
        return ST_NOMEM;
    m->loop = loop;
    m->ops = ops;
    m->ctx = ctx;
    m->session_config = config->session;
    snprintf(m->instance, sizeof m->instance, "%s", config->instance ? config->instance : "");
    timer_init(&m->retry_timer, loop, on_retry, m);
    *out = m;
    return ST_OK;
}

void vm_manager_on_snapshot(void *ctx, const struct vm_snapshot *snap)
{
    struct vm_manager *m = ctx;
    bool is_news = !vm_watch_is_same(&m->wanted, snap);

    if (m->wanted.source_exists != snap->source_exists)
        log_info(LOG_VM, "source of machines is %s", snap->source_exists ? "there" : "absent");
    if (snap->ignored > m->wanted.ignored)
        log_warn(LOG_VM, "%u entries of the source are no machines, ignored", snap->ignored);
    m->wanted = *snap;
    if (follow(m) || is_news)
        m->ops->on_change(m->ctx);
}

void vm_manager_probe_now(struct vm_manager *m)
{
    for (unsigned i = 0; i < m->running.count; i++)
        guest_session_probe_now(m->sessions[i]);
}

void vm_manager_set(struct vm_manager *m, const struct session_config *config)
{
    m->session_config.probe_interval_ms = config->probe_interval_ms;
    m->session_config.mtu = config->mtu;
    m->session_config.relays_ports = config->relays_ports;
    for (unsigned i = 0; i < m->running.count; i++)
        guest_session_set(m->sessions[i], config);
}

void vm_manager_rediscover(struct vm_manager *m, const char *vm_id)
{
    int i = index_of(m, vm_id);

    if (i < 0)
        return;
    log_warn(LOG_VM, "vm=%s is found anew", vm_id);
    guest_session_free(m->sessions[i]);
    m->running.count--;
    for (unsigned k = (unsigned)i; k < m->running.count; k++) {
        m->running.vms[k] = m->running.vms[k + 1];
        m->sessions[k] = m->sessions[k + 1];
    }
    for (enum guest_generation g = GUEST_NONE + 1; g < GUEST_GENERATION_COUNT; g++)
        m->ops->release_link(m->ctx, vm_id, g);
    (void)follow(m); /* it is still in @wanted */
    m->ops->on_change(m->ctx);
}

void vm_manager_keys_changed(struct vm_manager *m)
{
    for (unsigned i = 0; i < m->running.count; i++)
        guest_session_keys_changed(m->sessions[i]);
}

static struct guest_session *session_of(const struct vm_manager *m, const char *vm_id)
{
    int i = index_of(m, vm_id);

    return i >= 0 ? m->sessions[i] : NULL;
}

void vm_manager_link_ready(struct vm_manager *m, const char *vm_id,
                           enum guest_generation generation, enum status st, const char *why)
{
    struct guest_session *s = session_of(m, vm_id);

    if (s)
        guest_session_link_ready(s, generation, st, why);
}

void vm_manager_on_link_start(struct vm_manager *m, const char *vm_id,
                              enum guest_generation generation)
{
    struct guest_session *s = session_of(m, vm_id);

    if (s)
        guest_session_on_link_start(s, generation);
}

void vm_manager_on_link_activity(struct vm_manager *m, const char *vm_id,
                                 enum guest_generation generation)
{
    struct guest_session *s = session_of(m, vm_id);

    if (s)
        guest_session_on_link_activity(s, generation);
}

void vm_manager_on_link_end(struct vm_manager *m, const char *vm_id,
                            enum guest_generation generation, enum status why)
{
    struct guest_session *s = session_of(m, vm_id);

    if (s)
        guest_session_on_link_end(s, generation, why);
}

unsigned vm_manager_count(const struct vm_manager *m)
{
    return m->running.count;
}

void vm_manager_view(const struct vm_manager *m, unsigned i, struct session_view *out)
{
    ASSERT(i < m->running.count);
    guest_session_view(m->sessions[i], out);
}

bool vm_manager_source_exists(const struct vm_manager *m)
{
    return m->wanted.source_exists;
}

void vm_manager_free(struct vm_manager *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < m->running.count; i++)
        guest_session_free(m->sessions[i]);
    timer_stop(&m->retry_timer);
    free(m);
}
