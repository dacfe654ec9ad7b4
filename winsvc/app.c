/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: parts report that something changed; nobody here passes details around. Each change ends
 * in on_refresh(), once per turn of the loop: choose the guest behind each endpoint, tell the
 * docker services (who pass on only what is new), take a snapshot, log when readiness changed, wake
 * the status server. So the order of events between parts does not matter, only the state they are
 * in.
 *
 * The network is between two parts that know nothing of each other: a session wants its data link,
 * the network service has it listened for, and what becomes of the link goes the other way.
 *
 * A configuration that changes is replaced in place by config_live; on_config_applied() then tells
 * every part what it has to know, whether or not that is new, and starts anew only what cannot be
 * told.
 */
#include "app_internal.h"

#include "access.h"
#include "app_control.h"
#include "base/version.h"
#include "config/config_live.h"
#include "control/control_server.h"
#include "docker/docker_service.h"
#include "log_service.h"
#include "network/network_service.h"
#include "platform.h"
#include "port/sys.h"
#include "status/status_file.h"
#include "status/status_page.h"
#include "status/status_server.h"
#include "vm/keyring.h"
#include "vm/vm_manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the state as a whole -------------------------------------------------------------------- */

void app_changed(struct app *a)
{
    if (!timer_is_running(&a->refresh))
        timer_start(&a->refresh, 0);
}

/* Of whichever part. */
static void on_change(void *ctx)
{
    app_changed(ctx);
}

static void on_refresh(void *ctx)
{
    struct app *a = ctx;

    if (!a->stopping)
        app_update_targets(a);
    app_fill(a, a->snapshot);
    if (a->status)
        status_server_changed(a->status);
    if (a->status_file)
        status_file_changed(a->status_file);
    if (a->page)
        status_page_changed(a->page);
}

static const struct status_server_ops status_ops = { .fill = app_fill };

static void check_stopped(struct app *a)
{
    for (unsigned i = 0; i < a->endpoint_count; i++)
        if (!a->endpoints[i].stopped)
            return;
    if (!a->network_stopped)
        return;
    log_write_event(LOG_EVENT_STOPPED, LOG_INFO, LOG_MAIN, "stopped");
    a->done(a->ctx, 0);
}

/* ---- guests ---------------------------------------------------------------------------------- */

/* Whichever part of the chain keeps failing: the guest and all that is known of it. */
static void rediscover(struct app *a, const char *vm_id)
{
    if (a->source)
        vm_source_rescan(a->source);
    if (vm_id[0])
        vm_manager_rediscover(a->manager, vm_id);
}

static void on_want_link(void *ctx, const char *vm_id, const struct addr *vm,
                         enum guest_generation generation, uint32_t data_port,
                         const struct link_token *token)
{
    struct app *a = ctx;

    if (a->network)
        network_service_want(a->network, vm_id, vm, generation, data_port, token);
    else
        vm_manager_link_ready(a->manager, vm_id, generation, ST_UNSUPPORTED,
                              "no-network is set: guests get no switch");
}

static void on_release_link(void *ctx, const char *vm_id, enum guest_generation generation)
{
    struct app *a = ctx;

    if (a->network)
        network_service_release(a->network, vm_id, generation);
}

static void on_published(void *ctx, const char *vm_id, const Rdlink__V1__PublishedPorts *ports)
{
    struct app *a = ctx;

    if (a->network)
        network_service_publish(a->network, vm_id, ports);
}

static void on_relayed(void *ctx, const char *vm_id, const Rdlink__V1__PublishedPorts *ports)
{
    struct app *a = ctx;

    if (a->network)
        network_service_relay(a->network, vm_id, ports);
}

static void on_vm_gone(void *ctx, const char *vm_id)
{
    struct app *a = ctx;

    if (a->network)
        network_service_forget(a->network, vm_id);
}

static const struct vm_manager_ops manager_ops = { .on_change = on_change,
                                                   .want_link = on_want_link,
                                                   .release_link = on_release_link,
                                                   .on_published = on_published,
                                                   .on_relayed = on_relayed,
                                                   .on_gone = on_vm_gone };

/* ---- their networks -------------------------------------------------------------------------- */

static void on_link_ready(void *ctx, const char *vm_id, enum guest_generation generation,
                          enum status st, const char *why)
{
    struct app *a = ctx;

    vm_manager_link_ready(a->manager, vm_id, generation, st, why);
}

static void on_link_start(void *ctx, const char *vm_id, enum guest_generation generation)
{
    struct app *a = ctx;

    vm_manager_on_link_start(a->manager, vm_id, generation);
}

static void on_link_activity(void *ctx, const char *vm_id, enum guest_generation generation)
{
    struct app *a = ctx;

    vm_manager_on_link_activity(a->manager, vm_id, generation);
}

static void on_link_end(void *ctx, const char *vm_id, enum guest_generation generation,
                        enum status why)
{
    struct app *a = ctx;

    vm_manager_on_link_end(a->manager, vm_id, generation, why);
}

static void on_network_escalate(void *ctx, const char *vm_id)
{
    rediscover(ctx, vm_id);
}

static void on_network_stopped(void *ctx)
{
    struct app *a = ctx;

    a->network_stopped = true;
    check_stopped(a);
}

static const struct network_service_ops network_ops = { .on_change = on_change,
                                                        .on_ready = on_link_ready,
                                                        .on_link_start = on_link_start,
                                                        .on_link_activity = on_link_activity,
                                                        .on_link_end = on_link_end,
                                                        .on_escalate = on_network_escalate,
                                                        .on_stopped = on_network_stopped };

static struct network_service_config network_config(const struct app *a)
{
    const struct config *c = a->config;

    return (struct network_service_config){
        .program = a->program,
        .log_level = c->text.log_level,
        .control = c->text.switch_control,
        .sddl = access_sddl(a->access),
        .page_port = c->page.kind == ADDR_TCP ? c->page.tcp_port : 0,
        .options = &c->network,
        .publish = c->publish,
        .drain_ms = c->drain_ms,
    };
}

static struct session_config session_config(const struct app *a)
{
    const struct config *c = a->config;

    return (struct session_config){
        .probe_interval_ms = c->probe_interval_ms,
        .mtu = c->network.mtu,
        .keys = a->keys,
        .relays_ports = !c->no_network && c->publish != PUBLISH_OFF,
        .require_proof = c->require_proof,
    };
}

static enum status start_network(struct app *a, struct errmsg *e)
{
    const struct network_service_config config = network_config(a);
    enum status st;

    if (a->config->no_network) {
        a->network_stopped = true;
        return ST_OK;
    }
    st = network_service_new(&a->network, a->loop, &config, &network_ops, a);
    if (st != ST_OK)
        errmsg_set(e, "network service: %s", status_text(st));
    return st;
}

/* ---- docker ---------------------------------------------------------------------------------- */

static void on_service_change(void *ctx)
{
    struct app_endpoint *ep = ctx;

    app_changed(ep->app);
}

static void on_service_escalate(void *ctx)
{
    struct app_endpoint *ep = ctx;

    rediscover(ep->app, ep->chosen);
}

static void on_service_stopped(void *ctx)
{
    struct app_endpoint *ep = ctx;

    ep->stopped = true;
    check_stopped(ep->app);
}

static const struct docker_service_ops service_ops = { .on_change = on_service_change,
                                                       .on_escalate = on_service_escalate,
                                                       .on_stopped = on_service_stopped };

static enum status start_endpoint(struct app *a, unsigned i, struct errmsg *e)
{
    const struct config *c = a->config;
    struct app_endpoint *ep = &a->endpoints[i];
    char name[32] = "docker";
    struct docker_service_config config = {
        .name = name,
        .program = a->program,
        .wanted = c->endpoints[i].at,
        .sddl = access_sddl(a->access),
        .log_level = c->text.log_level,
        .max_connections = c->max_connections,
        .dial_timeout_ms = c->dial_timeout_ms,
        .drain_ms = c->drain_ms,
    };

    ep->app = a;
    ep->config = &c->endpoints[i];
    if (i > 0)
        snprintf(name, sizeof name, "docker-%u", i + 1);
    else
        config.fallback = c->endpoint_fallback;
    return docker_service_new(&ep->service, a->loop, &config, &service_ops, ep, e);
}

/* ---- who may connect ------------------------------------------------------------------------- */

static void on_access_change(void *ctx, bool revokes)
{
    struct app *a = ctx;
    const char *sddl = access_sddl(a->access);
    struct errmsg e = { "" };

    if (a->stopping)
        return;
    for (unsigned i = 0; i < a->endpoint_count; i++)
        docker_service_regrant(a->endpoints[i].service, sddl, revokes);
    if (status_server_regrant(a->status, sddl, revokes, &e) != ST_OK)
        log_warn(LOG_STATUS, "the status is readable by whom it was: %s", e.text);
    if (a->network && network_service_regrant(a->network, sddl) != ST_OK)
        log_warn(LOG_NET, "control sockets are for whom they were: %s", status_text(ST_NOMEM));
    app_changed(a);
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum status open_source(struct app *a, struct vm_source **out, struct errmsg *e)
{
    const struct config *c = a->config;
    const struct config_text *t = &c->text;

    if (c->vm_count)
        return vm_source_fixed_open(out, a->loop, c->vms, c->vm_count, vm_manager_on_snapshot,
                                    a->manager, e);
    if (t->vm_folder[0])
        return vm_source_folder_open(out, a->loop, t->vm_folder, vm_manager_on_snapshot, a->manager,
                                     e);
    return vm_source_registry_open(out, a->loop, t->vm_registry_key[0] ? t->vm_registry_key : NULL,
                                   c->vm_via.kind == ADDR_NONE ? NULL : &c->vm_via,
                                   vm_manager_on_snapshot, a->manager, e);
}

static enum status start_status(struct app *a, struct errmsg *e)
{
    struct status_server_config config = { .listen = { .adopt_fd = -1, .byte_mode = true } };
    const char *file = a->config->text.status_file;
    enum status st;

    config.listen.unix_mode = 0600;
    config.listen.sddl = access_sddl(a->access); /* who may use docker may know how it is */
    st = status_server_new(&a->status, a->loop, &a->config->status, &config, &status_ops, a, e);
    if (st == ST_OK && file[0]) {
        st = status_file_new(&a->status_file, a->loop, a->status, file);
        if (st)
            errmsg_set(e, "status file %s: %s", file, status_text(st));
    }
    return st;
}

static enum status start_page(struct app *a, struct errmsg *e)
{
    const struct status_page_config config = { .at = a->config->page,
                                               .token_file = a->config->text.page_token_file,
                                               .ops = &status_ops,
                                               .on_change = on_change,
                                               .ctx = a };
    enum status st;

    if (config.at.kind == ADDR_NONE)
        return ST_OK;
    st = status_page_new(&a->page, a->loop, &config);
    if (st)
        errmsg_set(e, "status page: %s", status_text(st));
    return st;
}

/* ---- a configuration that changes ------------------------------------------------------------ */

/* The new source comes before the old one goes: machines that both have keep their sessions. */
static void change_source(struct app *a)
{
    struct vm_source *fresh = NULL;
    struct errmsg e = { "" };

    if (open_source(a, &fresh, &e) != ST_OK) {
        log_error(LOG_VM, "machines are looked for where they were: %s", e.text);
        return;
    }
    vm_source_close(a->source);
    a->source = fresh;
}

static void on_config_applied(void *ctx, unsigned effects)
{
    struct app *a = ctx;
    const struct config *c = a->config;
    const struct docker_service_limits docker = { .max_connections = c->max_connections,
                                                  .dial_timeout_ms = c->dial_timeout_ms,
                                                  .drain_ms = c->drain_ms,
                                                  .log_level = c->text.log_level };
    const struct network_service_config network = network_config(a);
    const struct session_config session = session_config(a);

    if (a->stopping)
        return;
    if (effects & 1u << CONFIG_LOG)
        log_set_levels_text(c->text.log_level);
    for (unsigned i = 0; i < a->endpoint_count; i++)
        docker_service_set_limits(a->endpoints[i].service, &docker);
    access_rescan(a->access);
    vm_manager_set(a->manager, &session);
    if (a->network)
        network_service_set(a->network, &network, effects & 1u << CONFIG_NETWORK);
    if (effects & 1u << CONFIG_MACHINES)
        change_source(a);
}

static const struct config_live_ops live_ops = { .on_applied = on_config_applied,
                                                 .on_change = on_change };

static enum status start_live(struct app *a, struct config *config,
                              const struct config_input *input, struct errmsg *e)
{
    enum status st = config_live_new(&a->live, a->loop, config, input, &live_ops, a);

    if (st != ST_OK)
        errmsg_set(e, "configuration: %s", status_text(st));
    return st;
}

enum status app_reload(struct app *a, struct errmsg *e)
{
    return config_live_reload(a->live, e);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum status start_access(struct app *a, struct errmsg *e)
{
    const struct config_text *t = &a->config->text;
    const struct access_config config = { .grant = &t->endpoint_grant,
                                          .distributions = &t->owner_distribution,
                                          .users_key = t->owner_registry_key };

    return access_open(&a->access, a->loop, &config, on_access_change, a, e);
}

static void on_keys_change(void *ctx)
{
    struct app *a = ctx;

    vm_manager_keys_changed(a->manager);
}

static enum status start_manager(struct app *a, struct errmsg *e)
{
    struct vm_manager_config manager = { .instance = "rdlinkd" };
    enum status st = keyring_new(&a->keys, a->loop, a->config->text.keys, on_keys_change, a);

    if (st) {
        errmsg_set(e, "folder of keys: %s", status_text(st));
        return st;
    }
    manager.session = session_config(a);
    return vm_manager_new(&a->manager, a->loop, &manager, &manager_ops, a);
}

static enum status start_parts(struct app *a, struct errmsg *e)
{
    const struct config *c = a->config;
    enum status st = sys_self_path(a->program, sizeof a->program);

    if (st != ST_OK) {
        errmsg_set(e, "path of this program: %s", status_text(st));
        return st;
    }
    st = start_access(a, e);
    if (st == ST_OK)
        st = start_network(a, e);
    if (st == ST_OK)
        st = start_manager(a, e);
    for (unsigned i = 0; i < c->endpoint_count && st == ST_OK; i++) {
        st = start_endpoint(a, i, e);
        if (st == ST_OK)
            a->endpoint_count++;
    }
    /* The status comes before the source, so that a reader can watch the rest come up. */
    if (st == ST_OK)
        st = start_status(a, e);
    if (st == ST_OK)
        st = start_page(a, e);
    if (st == ST_OK && c->control.kind != ADDR_NONE)
        st = app_control_open(&a->control, a->loop, &c->control, a, e);
    return st ? st : open_source(a, &a->source, e);
}

static void on_wake(void *ctx)
{
    app_probe_now(ctx);
}

enum status app_start(struct app **out, struct loop *loop, struct config *config,
                      const struct config_input *input, struct log_service *logs, app_done_fn *done,
                      void *ctx, struct errmsg *e)
{
    struct app *a = calloc(1, sizeof *a);
    enum status st = ST_NOMEM;

    if (!a || !(a->snapshot = calloc(1, sizeof *a->snapshot))) {
        errmsg_set(e, "%s", status_text(st));
        free(a);
        return st;
    }
    a->loop = loop;
    a->config = config;
    a->logs = logs;
    a->done = done;
    a->ctx = ctx;
    a->started_ms = sys_wall_ms();
    process_identity_of(sys_pid(), &a->identity);
    timer_init(&a->refresh, loop, on_refresh, a);
    a->changes_log.burst = LOG_BURST;
    log_service_on_change(logs, on_change, a);
    wake_start(&a->wake, loop, on_wake, a);
    st = start_live(a, config, input, e); /* first: the status tells of it */
    if (st == ST_OK)
        st = start_parts(a, e);
    if (st != ST_OK) {
        app_free(a);
        return st;
    }
    log_write_event(LOG_EVENT_STARTED, LOG_INFO, LOG_MAIN,
                    "rdlinkd %s started, pid %lld, machines from %s, status at %s",
                    rdlink_version(), (long long)sys_pid(), app_source_text(a),
                    config->text.status);
    app_changed(a);
    *out = a;
    return ST_OK;
}

void app_stop(struct app *a)
{
    if (a->stopping) {
        log_warn(LOG_MAIN, "asked to stop again: cutting what is left");
        for (unsigned i = 0; i < a->endpoint_count; i++)
            docker_service_kill(a->endpoints[i].service);
        if (a->network)
            network_service_kill(a->network);
        return;
    }
    log_write_event(LOG_EVENT_STOPPING, LOG_INFO, LOG_MAIN,
                    "stopping: docker connections may go on for at most %u ms",
                    a->config->drain_ms);
    a->stopping = true;
    vm_source_close(a->source);
    a->source = NULL;
    for (unsigned i = 0; i < a->endpoint_count; i++)
        docker_service_stop(a->endpoints[i].service);
    if (a->network)
        network_service_stop(a->network);
    app_changed(a);
}

void app_watch_routes(struct app *a, struct routes *routes)
{
    wake_watch_routes(&a->wake, routes);
}

void app_probe_now(struct app *a)
{
    access_rescan(a->access);
    if (a->source)
        vm_source_rescan(a->source);
    vm_manager_probe_now(a->manager);
    for (unsigned i = 0; i < a->endpoint_count; i++)
        docker_service_look_now(a->endpoints[i].service);
    if (a->network)
        network_service_look_now(a->network);
}

enum status app_restart(struct app *a, const char *name, uint64_t *restarts)
{
    enum status st = ST_NOTFOUND;

    if (a->stopping)
        return ST_CLOSED;
    for (unsigned i = 0; i < a->endpoint_count && st == ST_NOTFOUND; i++)
        st = docker_service_restart(a->endpoints[i].service, name, restarts);
    if (st == ST_NOTFOUND && a->network)
        st = network_service_restart(a->network, name, restarts);
    return st;
}

void app_component_names(struct app *a, char *buf, size_t cap)
{
    const struct snapshot *s = a->snapshot;
    size_t n = 0;

    app_fill(a, a->snapshot);
    buf[0] = '\0';
    for (unsigned i = 0; i < s->component_count && n < cap; i++)
        n += (size_t)snprintf(buf + n, cap - n, "%s%s", i ? ", " : "", s->components[i].name);
}

struct log_service *app_logs(const struct app *a)
{
    return a->logs;
}

void app_free(struct app *a)
{
    if (!a)
        return;
    log_service_on_change(a->logs, NULL, NULL);
    timer_stop(&a->refresh);
    wake_stop(&a->wake);
    control_server_free(a->control);
    status_file_free(a->status_file);
    config_live_free(a->live);
    status_page_free(a->page);
    status_server_free(a->status);
    vm_source_close(a->source);
    for (unsigned i = 0; i < a->endpoint_count; i++)
        docker_service_free(a->endpoints[i].service);
    vm_manager_free(a->manager);
    keyring_free(a->keys);
    network_service_free(a->network);
    access_free(a->access);
    free(a->snapshot);
    free(a);
}
