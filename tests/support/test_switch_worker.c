/* SPDX-License-Identifier: Apache-2.0
 * test_switch_worker.c - a switch worker without a switch, for the tests of network_service: what
 * it does is in the name of the machine it is for, `--instance switch-SCRIPT-GENERATION`.
 *
 *   good      Ready, and no link               linked   Ready, a link, frames on it
 *   relinks   a new link with each report      loses    a link that is gone after the third report
 *   taken     says that the port is taken      slow     never Ready
 *   mortal    makes three forwards, removes one, and dies at the tenth report, unless it was given
 *             forwards: then it lives, and counts them
 *   shown     says at the second report that it has two forwards, one of which waits, two that are
 *             none, and five for which there was no room
 *   greedy    the same with more forwards than are remembered
 *
 * Its command line is the message of the condition NetworkReady.
 */
#include "network/forward_list.h"
#include "network/network_service.h"
#include "port/uv/loop_uv.h"
#include "supervisor/worker_link.h"

#include <stdio.h>
#include <string.h>

enum { HEALTH_MS = 20 };

struct worker {
    struct loop *loop;
    struct worker_link *link;
    char script[32], command[256];
    uint64_t reports, restored;
    struct timer death, states;
    int exit_code;
};

static bool plays(const struct worker *w, const char *script)
{
    return !strcmp(w->script, script);
}

static bool is_linked(const struct worker *w)
{
    if (plays(w, "loses"))
        return w->reports <= 3;
    return plays(w, "linked") || plays(w, "relinks") || plays(w, "mortal");
}

/* What it has said leaves before it ends. */
static void die(struct worker *w, int exit_code, const char *reason, const char *message)
{
    worker_link_exit_notice(w->link, exit_code, reason, message);
    worker_link_free(w->link);
    w->link = NULL;
    w->exit_code = exit_code;
    loop_uv_stop(w->loop);
}

static void on_death(void *ctx)
{
    struct worker *w = ctx;

    if (plays(w, "taken"))
        die(w, 1, "DataPortTaken", "somebody has it");
    else
        die(w, 7, "Mortal", "as the script says");
}

static void fill_health(void *ctx, struct health_report *out)
{
    struct worker *w = ctx;
    struct health_component *c = health_add(out, "switch");
    bool linked;

    w->reports++;
    linked = is_linked(w);
    if (plays(w, "shown") && w->reports == 2)
        timer_start(&w->states, 0);
    if ((plays(w, "mortal") || plays(w, "greedy")) && w->restored == 0 && w->reports == 10)
        timer_start(&w->death, 0);
    c->state = linked ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    condition_update(&c->conditions, "LinkUp", linked ? COND_TRUE : COND_FALSE,
                     linked ? "Linked" : "NoLink", 1, "as the script says");
    condition_update(&c->conditions, "NetworkReady", linked ? COND_TRUE : COND_FALSE,
                     linked ? "GuestOnline" : "NoLink", 1, "%s", w->command);
    health_count(c, "links", plays(w, "relinks") ? w->reports : linked);
    health_count(c, "rx_frames", 10 * w->reports);
    health_count(c, "restored", w->restored);
}

static void send_forward(struct worker *w, unsigned port, bool removed)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ForwardChange change = RDLINK__V1__FORWARD_CHANGE__INIT;
    Rdlink__V1__Forward forward = RDLINK__V1__FORWARD__INIT;
    char tcp[] = "tcp", local[32], remote[32];

    snprintf(local, sizeof local, "127.0.0.1:%u", port);
    snprintf(remote, sizeof remote, "192.168.127.2:%u", port);
    forward.protocol = tcp;
    forward.local = local;
    forward.remote = remote;
    change.forward = &forward;
    change.removed = removed;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE;
    msg.forward_change = &change;
    worker_link_send(w->link, &msg);
}

static void on_states(void *ctx)
{
    struct worker *w = ctx;
    static char tcp[] = "tcp", first[] = "127.0.0.1:80", second[] = "127.0.0.1:81",
                guest[] = "192.168.127.2:80", taken[] = "PortTaken", why[] = "taken\033 by pid 1",
                none[] = "not a protocol";
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ForwardStates states = RDLINK__V1__FORWARD_STATES__INIT;
    Rdlink__V1__ForwardState items[4], *list[4];
    Rdlink__V1__Forward forwards[3];

    for (unsigned i = 0; i < 4; i++) {
        rdlink__v1__forward_state__init(&items[i]);
        list[i] = &items[i];
        if (i == 3)
            break; /* a state of nothing */
        rdlink__v1__forward__init(&forwards[i]);
        forwards[i].protocol = i == 2 ? none : tcp;
        forwards[i].local = i == 0 ? first : second;
        forwards[i].remote = guest;
        items[i].forward = &forwards[i];
    }
    items[0].reason = taken;
    items[0].message = why;
    items[1].listening = true;
    states.forwards = list;
    states.n_forwards = 4;
    states.left_out = 5;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_FORWARD_STATES;
    msg.forward_states = &states;
    worker_link_send(w->link, &msg);
}

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct worker *w = ctx;

    if (plays(w, "taken")) {
        timer_start(&w->death, 0);
    }
    if (plays(w, "mortal")) {
        for (unsigned port = 1; port <= 3; port++)
            send_forward(w, port, false);
        send_forward(w, 2, true);
        send_forward(w, 3, false); /* the same again is one */
    }
    if (plays(w, "greedy"))
        for (unsigned port = 1; port <= FORWARD_LIST_MAX + 10; port++)
            send_forward(w, port, false);
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct worker *w = ctx;

    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE &&
        !msg->forward_change->removed && !strcmp(msg->forward_change->forward->protocol, "tcp"))
        w->restored++;
}

static void on_drain(void *ctx, uint32_t deadline_ms)
{
    struct worker *w = ctx;

    if (!plays(w, "slow"))
        loop_uv_stop(w->loop);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct worker *w = ctx;

    loop_uv_stop(w->loop);
}

static const struct worker_link_ops ops = {
    .on_open = on_open,
    .fill_health = fill_health,
    .on_message = on_message,
    .on_drain = on_drain,
    .on_end = on_end,
};

/* --worker switch --instance switch-SCRIPT-GENERATION ...: a number after the script is no part of
 * it, so that a test can have several of a kind. */
static void read_command(struct worker *w, int argc, char **argv)
{
    size_t len_bytes = 0;

    if (argc > 4)
        sscanf(argv[4], "switch-%31[a-z]", w->script);
    for (int i = 5; i < argc && len_bytes < sizeof w->command; i++)
        len_bytes += (size_t)snprintf(w->command + len_bytes, sizeof w->command - len_bytes, "%s%s",
                                      i > 5 ? " " : "", argv[i]);
}

int main(int argc, char **argv)
{
    const struct worker_link_config config = { .role = RDLINK__V1__ROLE__ROLE_WORKER_SWITCH,
                                               .instance = "test",
                                               .health_ms = HEALTH_MS };
    struct worker w = { .reports = 0 };
    struct errmsg e = { "" };

    read_command(&w, argc, argv);
    if (loop_uv_new(&w.loop, &e) != ST_OK)
        return 1;
    timer_init(&w.death, w.loop, on_death, &w);
    timer_init(&w.states, w.loop, on_states, &w);
    if (worker_link_open(&w.link, w.loop, &config, &ops, &w, &e) != ST_OK) {
        fprintf(stderr, "test_switch_worker: %s\n", e.text);
        return 1;
    }
    if (!plays(&w, "slow") && !plays(&w, "taken"))
        worker_link_ready(w.link, "ready for tests");
    loop_uv_run(w.loop);
    timer_stop(&w.death);
    timer_stop(&w.states);
    worker_link_free(w.link);
    loop_uv_free(w.loop);
    return w.exit_code;
}
