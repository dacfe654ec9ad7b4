/* SPDX-License-Identifier: Apache-2.0 */
/* THEORY
 *
 * Purpose. A guest whose session wants a data link gets a switch worker: a process that listens at
 * the guest's data port and is its network. This file keeps the list of those workers, and turns
 * what the processes do into what the sessions are told.
 *
 *     want --> WAITING --room--> SERVING --forget, linger over, stop--> STOPPING --ended--> (gone)
 *                 ^                                                         |
 *                 '----------------- wanted again meanwhile ----------------'
 *
 * Nobody is told anything from within a call or a worker's callback. Whatever happens only kicks
 * settle(), which looks at each worker as it is now and tells the difference to what was told
 * before: readiness (the supervisor's RUNNING, which a worker reaches by its Ready), the link (the
 * condition LinkUp and the counter of links of its health), frames (the counter rx_frames). So no
 * order of events matters, and only settle() removes a worker. It runs at least once a second,
 * because counters alone are no news to anybody.
 *
 * A link that replaces another between two reports never shows LinkUp=False; the counter of links
 * gives it away. Counters begin anew with each process, whose first sign is on_open().
 *
 * Forwards that were made at run time arrive as ForwardChange and are kept in a list per worker,
 * with protocol and local address as the key. A process that takes the place of a dead one gets
 * them at its greeting. They go with the worker, not with the link; one that is started anew for
 * other options (network_service_set()) keeps them.
 *
 * What a process says of all of its forwards (ForwardStates) is kept for the status alone, and is
 * shown while that process runs: without it nobody listens.
 *
 * Who may be the link. A session that is proved wants its link with a token; the worker is told it
 * before on_ready() is, and its successors at their greeting.
 *
 * Limits. NETWORK_MAX_WORKERS processes; who comes when they are all there makes one end that only
 * lingers, and waits otherwise. FORWARD_LIST_MAX remembered each (about 130 KiB).
 *
 * Published ports are a state per machine (published.h), not changes. A worker that has a link gets
 * what it lacks, at each new state and whenever a link of it begins; what it was given is @given.
 *
 * Static forwards go to every worker: the first has the port, the next one takes over once it is
 * free (the switch tries again by itself), which is what a restarted distribution needs.
 */
#include "network/network_internal.h"

#include "network/token_message.h"
#include "switch/switch_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 1000, DEFAULT_LINGER_MS = 60000 };

static void kick(struct network_service *n)
{
    n->kicked = true;
    timer_start(&n->settle, 0);
}

static struct net_worker *find(const struct network_service *n, const char *vm_id,
                               enum guest_generation generation)
{
    for (unsigned i = 0; i < n->count; i++)
        if (n->workers[i]->generation == generation && !strcmp(n->workers[i]->vm_id, vm_id))
            return n->workers[i];
    return NULL;
}

/* ---- forwards made at run time --------------------------------------------------------------- */

static void take_forward_change(struct net_worker *w, const Rdlink__V1__ForwardChange *msg)
{
    struct forward_text f;
    enum status st = forward_text_take(&f, msg->forward);

    if (st == ST_OK && msg->removed)
        forward_list_remove(&w->forwards, &f);
    else if (st == ST_OK)
        st = forward_list_put(&w->forwards, &f);
    if (st != ST_OK)
        log_write_limited(&w->service->forwards_log, LOG_WARN, LOG_NET,
                          "worker=%s a forward is not remembered: %s; there are %u",
                          w->command.name, status_text(st), w->forwards.count);
}

static void take_forward_states(struct net_worker *w, const Rdlink__V1__ForwardStates *msg)
{
    enum status st = forward_states_take(&w->states, msg);

    if (st != ST_OK)
        log_limited(LOG_ERROR, LOG_NET, "worker=%s its forwards are not shown: %s", w->command.name,
                    status_text(st));
    w->service->ops->on_change(w->service->ctx);
}

static enum status send_forward(struct net_worker *w, const struct forward_text *f, bool removed)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ForwardChange change = RDLINK__V1__FORWARD_CHANGE__INIT;
    Rdlink__V1__Forward forward;
    struct forward_text texts = *f;

    forward_text_message(&texts, &forward);
    change.forward = &forward;
    change.removed = removed;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE;
    msg.forward_change = &change;
    return worker_host_send(w->host, 0, &msg);
}

static void restore_forwards(struct net_worker *w)
{
    for (unsigned i = 0; i < w->forwards.count; i++)
        if (send_forward(w, &w->forwards.items[i], false) != ST_OK)
            return; /* its end follows, and the next one gets them all */
}

static enum status send_change(void *ctx, const struct forward_text *f, bool removed)
{
    return send_forward(ctx, f, removed);
}

/* Those of the configuration. False: the worker could not be told. What went may be published by
 * the guest as well, so that is said again; a worker takes twice what it has once. */
static bool change_forwards(struct net_worker *w, const struct option_list *before,
                            const struct option_list *after)
{
    if (forward_specs_diff(before, after, send_change, w) != ST_OK)
        return false;
    restore_forwards(w);
    forward_list_clear(&w->given);
    return true;
}

/* ---- published ports ------------------------------------------------------------------------- */

static enum status on_published_change(void *ctx, const struct forward_text *f, bool removed)
{
    struct net_worker *w = ctx;

    log_write_limited(&w->service->forwards_log, LOG_INFO, LOG_NET, "worker=%s %s %s %s",
                      w->command.name, removed ? "unpublished" : "published", f->protocol,
                      f->local);
    return send_forward(w, f, removed);
}

/* Its end may be under way: then the next process gets them all, with its link. */
static void give_ports(struct net_worker *w)
{
    const struct forward_list *wanted = published_table_find(&w->service->published, w->vm_id);

    if (wanted && forward_list_become(&w->given, wanted, on_published_change, w) == ST_NOMEM)
        log_limited(LOG_ERROR, LOG_NET, "worker=%s gets no published ports: %s", w->command.name,
                    status_text(ST_NOMEM));
}

static void give_ports_to_all(struct network_service *n)
{
    for (unsigned i = 0; i < n->count; i++)
        if (n->workers[i]->is_up)
            give_ports(n->workers[i]);
}

/* After a guest's ports of one kind were taken, or not. */
static void ports_said(struct network_service *n, const char *vm_id, const char *kind,
                       enum status st)
{
    if (st != ST_OK)
        log_limited(LOG_ERROR, LOG_NET, "vm=%s its %s ports are not taken: %s", vm_id, kind,
                    status_text(st));
    give_ports_to_all(n);
}

void network_service_publish(struct network_service *n, const char *vm_id,
                             const Rdlink__V1__PublishedPorts *ports)
{
    ports_said(n, vm_id, "published", published_table_say(&n->published, vm_id, ports));
}

void network_service_relay(struct network_service *n, const char *vm_id,
                           const Rdlink__V1__PublishedPorts *ports)
{
    ports_said(n, vm_id, "relayed", published_table_relay(&n->published, vm_id, ports));
}

/* ---- the link's token ------------------------------------------------------------------------ */

static void tell_token(struct net_worker *w)
{
    (void)token_message_send(w->host, w->has_token ? &w->token : NULL);
}

/* Before on_ready() is told, so that the worker knows the token before the guest does. */
static void use_token(struct net_worker *w, const struct link_token *token)
{
    if (!w->has_token && !token)
        return;
    w->has_token = token != NULL;
    if (token)
        w->token = *token;
    if (w->host)
        tell_token(w);
}

/* ---- what a worker does ---------------------------------------------------------------------- */

static void on_open(void *ctx, unsigned index, const struct channel_peer *peer)
{
    struct net_worker *w = ctx;

    w->is_new = true;
    forward_list_clear(&w->given);
    forward_states_clear(&w->states);
    if (w->has_token) /* a worker begins without one */
        tell_token(w);
    restore_forwards(w);
    kick(w->service);
}

static void on_health(void *ctx, unsigned index, const struct health_report *report)
{
    struct net_worker *w = ctx;

    kick(w->service);
    w->service->ops->on_change(w->service->ctx);
}

static void on_message(void *ctx, unsigned index, const Rdlink__V1__Envelope *msg)
{
    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE)
        take_forward_change(ctx, msg->forward_change);
    else if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_FORWARD_STATES)
        take_forward_states(ctx, msg->forward_states);
}

static void on_worker_change(void *ctx, unsigned index)
{
    struct net_worker *w = ctx;

    kick(w->service);
    w->service->ops->on_change(w->service->ctx);
}

static void on_worker_escalate(void *ctx, unsigned index)
{
    struct net_worker *w = ctx;

    w->service->ops->on_escalate(w->service->ctx, w->vm_id);
}

static void on_worker_stopped(void *ctx)
{
    struct net_worker *w = ctx;

    w->has_ended = true; /* the host is freed by settle(): it is calling us */
    kick(w->service);
}

static const struct worker_host_ops host_ops = {
    .on_open = on_open,
    .on_health = on_health,
    .on_message = on_message,
    .on_change = on_worker_change,
    .on_escalate = on_worker_escalate,
    .on_stopped = on_worker_stopped,
};

/* ---- starting one ---------------------------------------------------------------------------- */

static void build_command(struct net_worker *w)
{
    struct network_service *n = w->service;
    const struct worker_command_input in = { .program = n->program,
                                             .log_level = n->log_level,
                                             .control = n->control,
                                             .sddl = n->sddl,
                                             .page_port = n->page_port,
                                             .options = &n->options };

    worker_command_build(&w->command, &in, &w->vm);
}

static enum status open_host(struct net_worker *w, struct errmsg *e)
{
    struct network_service *n = w->service;
    const struct worker_host_config config = { .instance = w->command.name,
                                               .supervisor = { .drain_ms = n->drain_ms } };
    struct worker_spec spec = { .name = w->command.name,
                                .role = RDLINK__V1__ROLE__ROLE_WORKER_SWITCH,
                                .file = n->program,
                                .argv = w->command.argv,
                                .inherit_fd = -1 };
    unsigned index;
    enum status st = worker_command_link(&w->command, &w->vm, w->data_port, w->generation, e);

    if (st)
        return st;
    build_command(w);
    st = worker_host_new(&w->host, n->loop, &config, &host_ops, w);
    if (st == ST_OK)
        st = worker_host_add(w->host, &spec, &index);
    if (st != ST_OK) {
        errmsg_set(e, "worker %s: %s", w->command.name, status_text(st));
        worker_host_free(w->host);
        w->host = NULL;
    }
    return st;
}

static bool only_lingers(const struct net_worker *w)
{
    return w->phase == NET_SERVING && !w->wanted && !w->is_up;
}

static void stop_worker(struct net_worker *w)
{
    if (w->phase != NET_SERVING)
        return;
    timer_stop(&w->linger);
    w->phase = NET_STOPPING;
    worker_host_stop(w->host);
}

/* True when one more process may be started; otherwise room is made where somebody only lingers. */
static bool has_room(struct network_service *n)
{
    struct net_worker *idle = NULL;
    unsigned running = 0, ending = 0;

    for (unsigned i = 0; i < n->count; i++) {
        running += n->workers[i]->host != NULL;
        ending += n->workers[i]->phase == NET_STOPPING;
        if (only_lingers(n->workers[i]))
            idle = n->workers[i];
    }
    if (running < NETWORK_MAX_WORKERS)
        return true;
    if (idle && !ending)
        stop_worker(idle);
    return false;
}

static void start_worker(struct net_worker *w)
{
    struct errmsg e = { "" };

    if (has_room(w->service)) {
        w->why_waiting = open_host(w, &e);
    } else {
        w->why_waiting = ST_FULL;
        errmsg_set(&e, "%d switches run already", NETWORK_MAX_WORKERS);
    }
    snprintf(w->waiting_text, sizeof w->waiting_text, "%.150s", e.text);
    if (w->why_waiting != ST_OK)
        return;
    w->phase = NET_SERVING;
    log_info(LOG_NET, "vm=%s generation=%s worker=%s link=%s", w->vm_id,
             guest_generation_name(w->generation), w->command.name, w->command.link);
    worker_host_start(w->host);
}

static void on_linger_over(void *ctx)
{
    struct net_worker *w = ctx;

    log_info(LOG_NET, "worker=%s ends: nobody has wanted its network for %u s", w->command.name,
             (unsigned)(w->service->linger_ms / 1000));
    stop_worker(w);
}

/* ---- settle: what is told -------------------------------------------------------------------- */

struct answer {
    bool is_known;
    enum status st;
    char text[200];
};

static struct answer answer_of(const struct net_worker *w)
{
    struct answer a = { .is_known = true, .st = ST_CLOSED };
    struct worker_view v;

    if (w->phase == NET_WAITING) {
        a.st = w->why_waiting;
        snprintf(a.text, sizeof a.text, "%s", w->waiting_text);
        return a;
    }
    worker_host_view(w->host, 0, &v);
    if (w->phase == NET_STOPPING) {
        snprintf(a.text, sizeof a.text, "the switch worker is being ended");
    } else if (v.state == WORKER_RUNNING) {
        a.st = ST_OK;
    } else if (v.last_exit.any && (v.state == WORKER_BACKOFF || w->told == TOLD_READY)) {
        a.st = !strcmp(v.last_exit.reason, "DataPortTaken") ? ST_EXISTS : ST_CLOSED;
        net_worker_describe_exit(&v, a.text, sizeof a.text);
    } else {
        a.is_known = false;
    }
    return a;
}

static void tell_answer(struct net_worker *w)
{
    struct network_service *n = w->service;
    struct answer a = answer_of(w);

    if (w->asked) {
        w->asked = false;
        w->told = TOLD_NOTHING;
    }
    if (!a.is_known || (w->told != TOLD_NOTHING && w->told_status == a.st))
        return;
    w->told = a.st == ST_OK ? TOLD_READY : TOLD_NOT_READY;
    w->told_status = a.st;
    n->ops->on_ready(n->ctx, w->vm_id, w->generation, a.st, a.text);
}

static uint64_t counter_of(const struct health_component *h, const char *name)
{
    for (unsigned i = 0; h && i < h->counter_count; i++)
        if (!strcmp(h->counters[i].name, name))
            return h->counters[i].value;
    return 0;
}

static void tell_link_end(struct net_worker *w, enum status why)
{
    struct network_service *n = w->service;

    if (!w->is_up)
        return;
    w->is_up = false;
    n->ops->on_link_end(n->ctx, w->vm_id, w->generation, why);
}

static void tell_link(struct net_worker *w)
{
    struct network_service *n = w->service;
    const struct health_component *h = w->phase == NET_SERVING ? net_worker_health(w) : NULL;
    const struct condition *up = h ? condition_find(&h->conditions, "LinkUp") : NULL;
    bool is_up = up && up->status == COND_TRUE;
    uint64_t links = counter_of(h, "links"), rx_frames = counter_of(h, "rx_frames");

    if (w->is_new || !h) {
        tell_link_end(w, ST_CLOSED);
        w->is_new = false;
        w->links = w->rx_frames = 0;
    }
    if (links > w->links || (is_up && !w->is_up)) {
        w->is_up = true;
        give_ports(w);
        n->ops->on_link_start(n->ctx, w->vm_id, w->generation);
    } else if (is_up && rx_frames != w->rx_frames) {
        n->ops->on_link_activity(n->ctx, w->vm_id, w->generation);
    }
    if (!is_up)
        tell_link_end(w, ST_EOF);
    w->links = links;
    w->rx_frames = rx_frames;
}

static void keep_linger(struct net_worker *w)
{
    if (!only_lingers(w))
        timer_stop(&w->linger);
    else if (!timer_is_running(&w->linger))
        timer_start(&w->linger, w->service->linger_ms);
}

static void remove_worker(struct network_service *n, unsigned i)
{
    struct net_worker *w = n->workers[i];

    n->count--;
    for (; i < n->count; i++)
        n->workers[i] = n->workers[i + 1];
    timer_stop(&w->linger);
    worker_host_free(w->host);
    forward_list_clear(&w->forwards);
    forward_list_clear(&w->given);
    forward_states_clear(&w->states);
    free(w);
}

/* The process has ended as it was told to. */
static void finish_stop(struct net_worker *w)
{
    tell_link_end(w, ST_CLOSED);
    worker_host_free(w->host);
    w->host = NULL;
    w->has_ended = false;
    w->phase = NET_WAITING;
    w->why_waiting = ST_OK;
    forward_list_clear(&w->forwards);
    forward_states_clear(&w->states);
}

/* False: nothing is left of it, and nobody wants it. */
static bool settle_worker(struct net_worker *w)
{
    if (w->has_ended)
        finish_stop(w);
    if (w->phase == NET_WAITING && (!w->wanted || w->service->stopping))
        return false;
    if (w->phase == NET_WAITING)
        start_worker(w);
    tell_link(w);
    tell_answer(w);
    keep_linger(w);
    return true;
}

static void on_settle(void *ctx)
{
    struct network_service *n = ctx;

    n->kicked = false;
    for (unsigned i = 0; i < n->count;) /* in the order in which they were wanted */
        if (settle_worker(n->workers[i]))
            i++;
        else
            remove_worker(n, i);
    if (n->stopping && n->count == 0 && !n->stopped) {
        n->stopped = true;
        n->ops->on_stopped(n->ctx);
    } else if (!n->kicked && n->count > 0) {
        timer_start(&n->settle, POLL_MS);
    }
}

/* ---- for the owner --------------------------------------------------------------------------- */

/* The options were checked when they were read; the token is the workers' alone. */
static struct ip_addr guest_of(const struct switch_options *o)
{
    struct switch_options copy = *o;
    struct switch_config config;

    copy.api_token_file[0] = '\0';
    if (switch_options_config(&copy, &config, NULL) != ST_OK)
        return ip_addr_v4(0); /* nothing is published then */
    return config.guest;
}

static void take_config(struct network_service *n, const struct network_service_config *config)
{
    struct ip_addr guest;

    snprintf(n->log_level, sizeof n->log_level, "%s", config->log_level);
    snprintf(n->control, sizeof n->control, "%s", config->control ? config->control : "");
    n->options = *config->options;
    n->page_port = config->page_port;
    guest = guest_of(&n->options);
    if (published_table_set(&n->published, config->publish, &guest) != ST_OK)
        log_error(LOG_NET, "published ports stay where they were: %s", status_text(ST_NOMEM));
    n->drain_ms = config->drain_ms;
}

enum status network_service_new(struct network_service **out, struct loop *loop,
                                const struct network_service_config *config,
                                const struct network_service_ops *ops, void *ctx)
{
    struct network_service *n = calloc(1, sizeof *n);

    if (!n)
        return ST_NOMEM;
    if (config->sddl && !(n->sddl = strdup(config->sddl))) {
        free(n);
        return ST_NOMEM;
    }
    n->loop = loop;
    n->ops = ops;
    n->ctx = ctx;
    snprintf(n->program, sizeof n->program, "%s", config->program);
    take_config(n, config);
    n->linger_ms = config->linger_ms ? config->linger_ms : DEFAULT_LINGER_MS;
    n->forwards_log.burst = LOG_BURST;
    timer_init(&n->settle, loop, on_settle, n);
    *out = n;
    return ST_OK;
}

enum status network_service_regrant(struct network_service *n, const char *sddl)
{
    char *copy = strdup(sddl);

    if (!copy)
        return ST_NOMEM;
    free(n->sddl);
    n->sddl = copy;
    return ST_OK;
}

static struct net_worker *add_worker(struct network_service *n, const char *vm_id,
                                     enum guest_generation generation)
{
    struct net_worker *w = n->count < NETWORK_SLOTS_MAX ? calloc(1, sizeof *w) : NULL;

    if (!w) {
        log_limited(LOG_ERROR, LOG_NET, "vm=%s generation=%s gets no switch: %s", vm_id,
                    guest_generation_name(generation),
                    status_text(n->count < NETWORK_SLOTS_MAX ? ST_NOMEM : ST_FULL));
        return NULL;
    }
    w->service = n;
    w->generation = generation;
    snprintf(w->vm_id, sizeof w->vm_id, "%s", vm_id);
    worker_command_name(&w->command, vm_id, generation, n->made++);
    timer_init(&w->linger, n->loop, on_linger_over, w);
    n->workers[n->count++] = w;
    return w;
}

void network_service_want(struct network_service *n, const char *vm_id, const struct addr *vm,
                          enum guest_generation generation, uint32_t data_port,
                          const struct link_token *token)
{
    struct net_worker *w = find(n, vm_id, generation);

    if (n->stopping || (!w && !(w = add_worker(n, vm_id, generation))))
        return; /* the session asks again */
    if (w->phase == NET_SERVING && (!addr_equal(&w->vm, vm) || w->data_port != data_port))
        stop_worker(w); /* settle() starts it anew, at the other address */
    w->vm = *vm;
    w->data_port = data_port;
    use_token(w, token);
    w->wanted = w->asked = true;
    kick(n);
}

void network_service_release(struct network_service *n, const char *vm_id,
                             enum guest_generation generation)
{
    struct net_worker *w = find(n, vm_id, generation);

    if (!w)
        return;
    w->wanted = false;
    kick(n);
}

void network_service_forget(struct network_service *n, const char *vm_id)
{
    for (unsigned i = 0; i < n->count; i++) {
        struct net_worker *w = n->workers[i];

        if (strcmp(w->vm_id, vm_id) != 0)
            continue;
        w->wanted = false;
        forward_list_clear(&w->forwards);
        stop_worker(w);
    }
    published_table_forget(&n->published, vm_id);
    kick(n);
}

enum status network_service_restart(struct network_service *n, const char *name, uint64_t *restarts)
{
    for (unsigned i = 0; i < n->count; i++) {
        struct net_worker *w = n->workers[i];
        struct worker_view v;

        if (w->phase != NET_SERVING || strcmp(w->command.name, name) != 0)
            continue;
        worker_host_view(w->host, 0, &v);
        *restarts = v.restarts;
        log_info(LOG_NET, "worker=%s is restarted, as it was asked for", name);
        worker_host_restart(w->host, 0);
        return ST_OK;
    }
    return ST_NOTFOUND;
}

void network_service_set(struct network_service *n, const struct network_service_config *config,
                         bool restart)
{
    const struct option_list before = n->options.forwards;

    take_config(n, config);
    for (unsigned i = 0; i < n->count; i++) {
        struct net_worker *w = n->workers[i];

        if (!w->host)
            continue;
        build_command(w); /* its texts are ours, and the new ones */
        worker_host_set_drain(w->host, config->drain_ms);
        if (w->phase != NET_SERVING ||
            (!restart && change_forwards(w, &before, &n->options.forwards)))
            continue;
        log_info(LOG_NET, "worker=%s is started anew: its options have changed", w->command.name);
        worker_host_restart(w->host, 0);
    }
    give_ports_to_all(n);
}

void network_service_stop(struct network_service *n)
{
    n->stopping = true;
    for (unsigned i = 0; i < n->count; i++)
        stop_worker(n->workers[i]);
    kick(n);
}

void network_service_look_now(struct network_service *n)
{
    for (unsigned i = 0; i < n->count; i++)
        if (n->workers[i]->host)
            worker_host_look_now(n->workers[i]->host);
}

void network_service_kill(struct network_service *n)
{
    for (unsigned i = 0; i < n->count; i++)
        if (n->workers[i]->host && !n->workers[i]->has_ended)
            worker_host_kill_all(n->workers[i]->host);
}

void network_service_free(struct network_service *n)
{
    if (!n)
        return;
    timer_stop(&n->settle);
    while (n->count > 0)
        remove_worker(n, n->count - 1);
    published_table_clear(&n->published);
    free(n->sddl);
    free(n);
}
