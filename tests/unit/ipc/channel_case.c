/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/ipc/channel_case.h"

#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"

void channel_case_free_channel(struct channel_case *c)
{
    channel_free(c->channel);
    c->channel = NULL;
}

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct channel_case *c = ctx;

    c->opened++;
    c->who = *peer;
    if (c->fails_memory_once_open)
        alloc_fail_after(0);
    if (c->free_when == FREE_IN_ON_OPEN)
        channel_case_free_channel(c);
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct channel_case *c = ctx;

    assert_int_equal(c->ended, 0);
    c->messages++;
    c->last_body = msg->body_case;
    if (c->free_when == FREE_IN_ON_MESSAGE)
        channel_case_free_channel(c);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct channel_case *c = ctx;

    c->ended++;
    c->why = why;
    assert_true(detail[0] != '\0');
    assert_false(channel_is_open(c->channel));
    assert_true(sim_peer_is_closed(c->peer));
    if (c->free_when == FREE_IN_ON_END)
        channel_case_free_channel(c);
}

const struct channel_handler channel_case_handler = { on_open, on_message, on_end };

void channel_case_init_role(struct channel_case *c, enum channel_side side, Rdlink__V1__Role role,
                            const Rdlink__V1__Role *peer_role, uint32_t silence_ms)
{
    const struct channel_config config = {
        .side = side,
        .role = role,
        .instance = "ours",
        .peer_roles = peer_role,
        .peer_role_count = 1,
        .silence_ms = silence_ms,
    };
    struct stream *s = NULL;

    *c = (struct channel_case){ .sim = sim_new(), .why = CHANNEL_END_COUNT };
    c->peer = sim_stream(c->sim, &s);
    assert_int_equal(channel_new(&c->channel, sim_loop(c->sim), s, &config, &channel_case_handler,
                                 c),
                     ST_OK);
    sim_run(c->sim);
}

void channel_case_init(struct channel_case *c, enum channel_side side, uint32_t silence_ms)
{
    static const Rdlink__V1__Role controller = CONTROLLER, worker = WORKER_DOCKER;

    if (side == CHANNEL_OPENER)
        channel_case_init_role(c, side, CONTROLLER, &worker, silence_ms);
    else
        channel_case_init_role(c, side, WORKER_DOCKER, &controller, silence_ms);
}

void channel_case_fini(struct channel_case *c)
{
    channel_case_free_channel(c);
    assert_true(sim_peer_is_closed(c->peer) || sim_next_due_ms(c->sim) != SIM_NEVER);
    sim_advance_ms(c->sim, 2000);
    sim_free(c->sim);
}

void channel_case_peer_sends(struct channel_case *c, const struct frames *fr)
{
    sim_peer_send(c->peer, fr->bytes, fr->len_bytes);
    sim_run(c->sim);
}

void channel_case_peer_greets(struct channel_case *c, enum channel_side ours)
{
    struct frames fr = { .len_bytes = 0 };

    if (ours == CHANNEL_OPENER)
        frames_hello_ack(&fr, IPC_MAJOR, WORKER_DOCKER);
    else
        frames_hello(&fr, IPC_MAJOR, CONTROLLER);
    channel_case_peer_sends(c, &fr);
    assert_int_equal(c->opened, 1);
    assert_true(channel_is_open(c->channel));
}

void channel_case_init_open(struct channel_case *c, enum channel_side side)
{
    channel_case_init(c, side, 0);
    channel_case_peer_greets(c, side);
}

Rdlink__V1__Envelope *channel_case_sent(struct channel_case *c, unsigned n)
{
    struct envelope_reader r = { 0 };
    Rdlink__V1__Envelope *msg = NULL;
    enum channel_end why;
    size_t len_bytes;
    const uint8_t *p = sim_peer_data(c->peer, &len_bytes);

    for (unsigned i = 0;; i++) {
        assert_int_equal(envelope_read(&r, &p, &len_bytes, &msg, &why), ST_OK);
        if (i == n)
            return msg;
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
}
