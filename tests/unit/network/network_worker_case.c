/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/network/network_worker_case.h"

#include "ipc/envelope.h"
#include "network/link_watch.h"
#include "switch/switch.h"

#include <stdio.h>
#include <string.h>

static const char data_port[] = "vsock:6656";

void on_done(void *ctx, int code)
{
    struct fixture *f = ctx;

    assert_int_equal(f->done_code, -1);
    f->done_code = code;
}

enum status fixed_random(void *buf, size_t len_bytes)
{
    memset(buf, 0x5a, len_bytes);
    return ST_OK;
}

/* A worker that waits for the greeting. */
void start_silent(struct fixture *f, const char *option)
{
    const char *words[] = { "--instance=vm1", "--link=stdio:vsock:6656", "--peer-cid=7",
                            "--log-level=error", option };
    struct switch_env env = { .random = fixed_random };
    struct stream *control;
    struct errmsg e = { "" };

    *f = (struct fixture){ .sim = sim_new(), .routes = routes_sim_new(), .done_code = -1 };
    f->net = net_sim_new(f->sim);
    env.loop = sim_loop(f->sim);
    env.net = net_sim_net(f->net);
    f->control = sim_stream(f->sim, &control);
    assert_int_equal(addr_parse(&f->at, data_port, &e), ST_OK);
    assert_int_equal(network_worker_new(&f->worker, &env, routes_sim_routes(f->routes), control,
                                        option ? 5 : 4, words, on_done, f, &e),
                     ST_OK);
}

void controller_sends(struct fixture *f, const struct frames *fr)
{
    sim_peer_send(f->control, fr->bytes, fr->len_bytes);
    sim_run(f->sim);
}

void start(struct fixture *f, const char *option)
{
    struct frames hello = { .len_bytes = 0 };

    start_silent(f, option);
    frames_hello(&hello, 1, RDLINK__V1__ROLE__ROLE_CONTROLLER);
    controller_sends(f, &hello);
}

void stop(struct fixture *f)
{
    network_worker_free(f->worker);
    forward_states_clear(&f->states);
    sim_advance_ms(f->sim, 1000); /* the channel's last words */
    net_sim_free(f->net);
    routes_sim_free(f->routes);
    sim_free(f->sim);
}

/* ---- what the worker says ------------------------------------------------------------------ */

static void take(struct fixture *f, const Rdlink__V1__Envelope *msg)
{
    const Rdlink__V1__ForwardChange *change;

    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY_READY: f->readies++; break;
    case RDLINK__V1__ENVELOPE__BODY_HEALTH:
        f->reports++;
        health_decode(&f->health, msg->health);
        break;
    case RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE:
        change = msg->forward_change;
        snprintf(f->change.text, sizeof f->change.text, "%s %s %s%s", change->forward->protocol,
                 change->forward->local, change->forward->remote,
                 change->removed ? " removed" : "");
        break;
    case RDLINK__V1__ENVELOPE__BODY_FORWARD_STATES:
        f->states_told++;
        assert_int_equal(forward_states_take(&f->states, msg->forward_states), ST_OK);
        break;
    case RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE:
        snprintf(f->notice, sizeof f->notice, "%s", msg->exit_notice->reason);
        break;
    default: break;
    }
}

/* Everything that has come since the last time. */
void hear(struct fixture *f)
{
    size_t len_bytes;
    const uint8_t *data = sim_peer_data(f->control, &len_bytes);
    struct envelope_reader reader = { .have_bytes = 0 };
    Rdlink__V1__Envelope *msg;
    enum channel_end why;

    data += f->read_bytes;
    len_bytes -= f->read_bytes;
    f->read_bytes += len_bytes;
    while (envelope_read(&reader, &data, &len_bytes, &msg, &why) == ST_OK) {
        take(f, msg);
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    assert_true(envelope_reader_is_between(&reader));
    envelope_reader_fini(&reader);
}

const struct condition *condition(struct fixture *f, const char *type)
{
    const struct health_component *c;

    hear(f);
    c = health_find(&f->health, "switch");
    assert_non_null(c);
    assert_non_null(condition_find(&c->conditions, type));
    return condition_find(&c->conditions, type);
}

uint64_t counter(struct fixture *f, const char *name)
{
    const struct health_component *c;

    hear(f);
    c = health_find(&f->health, "switch");
    assert_non_null(c);
    for (unsigned i = 0; i < c->counter_count; i++)
        if (!strcmp(c->counters[i].name, name))
            return c->counters[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

/* ---- what the guest does ------------------------------------------------------------------- */

void guest_connects(struct fixture *f)
{
    struct peer guest = sim_vsock_peer(GUEST_CID);

    f->guest = sim_connect(f->sim, &f->at, &guest);
    assert_non_null(f->guest);
    sim_run(f->sim);
}

void guest_sends_frame(struct fixture *f, const struct frame *frame)
{
    static uint8_t wire[FRAME_MAX_BYTES + 16];

    sim_peer_send(f->guest, wire, frame_wrap(wire, FRAME_STDIO, frame->b, frame->len_bytes));
    sim_run(f->sim);
}

/* It says who has 192.168.127.2. */
void guest_answers_arp(struct fixture *f)
{
    static struct frame frame;
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");

    frame_arp_reply(&frame, &path);
    guest_sends_frame(f, &frame);
}

void guest_comes_online(struct fixture *f)
{
    guest_connects(f);
    guest_answers_arp(f);
    sim_advance_ms(f->sim, 200);
}
