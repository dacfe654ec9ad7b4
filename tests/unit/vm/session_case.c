/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/vm/session_case.h"

#include "base/util.h"
#include "ipc/envelope.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "vm/handshake.h"

#include <stdlib.h>
#include <string.h>

static struct sim_dial_answer decide(void *ctx, const struct addr *to)
{
    const struct world *w = ctx;

    for (unsigned i = 0; i < w->port_count; i++)
        if (w->ports[i].port == to->port)
            return w->ports[i].answer;
    return (struct sim_dial_answer){ ST_REFUSED, 0 };
}

void world_set_port(struct world *w, uint32_t port, enum status st, uint64_t delay_ms)
{
    unsigned i = 0;

    while (i < w->port_count && w->ports[i].port != port)
        i++;
    assert_true(i < PORTS_MAX);
    w->ports[i] = (struct port_rule){ port, { st, delay_ms } };
    w->port_count = MAX(w->port_count, i + 1);
}

static void on_change(void *ctx, struct guest_session *s)
{
    struct world *w = ctx;

    w->changes++;
}

void world_on_want(void *ctx, struct guest_session *s, enum guest_generation generation,
                   uint32_t data_port, const struct link_token *token)
{
    struct world *w = ctx;

    w->wants++;
    w->wanted[generation] = true;
    w->wanted_port[generation] = data_port;
    w->wanted_token = token != NULL;
    if (token)
        w->token = *token;
    if (w->switch_says != ST_QUEUED)
        guest_session_link_ready(s, generation, w->switch_says, "as told");
}

void world_on_release(void *ctx, struct guest_session *s, enum guest_generation generation)
{
    struct world *w = ctx;

    assert_true(w->wanted[generation]);
    w->releases++;
    w->wanted[generation] = false;
}

static void world_on_published(void *ctx, struct guest_session *s,
                               const Rdlink__V1__PublishedPorts *ports)
{
    struct world *w = ctx;

    w->published = (unsigned)ports->n_ports;
}

static void world_on_relayed(void *ctx, struct guest_session *s,
                             const Rdlink__V1__PublishedPorts *ports)
{
    struct world *w = ctx;

    w->relayed = (unsigned)ports->n_ports;
    w->relay_port = ports->n_ports ? ports->ports[0]->relay_port : 0;
}

const struct session_ops world_ops = { .on_change = on_change,
                                       .want_link = world_on_want,
                                       .release_link = world_on_release,
                                       .on_published = world_on_published,
                                       .on_relayed = world_on_relayed };

void world_new_session(struct world *w, const struct session_ops *ops)
{
    const struct session_config config = { .keys = w->keys,
                                           .relays_ports = true,
                                           .require_proof = w->require_proof };

    guest_session_free(w->s);
    assert_int_equal(guest_session_new(&w->s, sim_loop(w->sim), &w->vm, "test", &config, ops, w),
                     ST_OK);
}

void world_begin(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->sim = sim_new();
    sim_on_dial(w->sim, decide, w);
    w->vm = (struct vm_info){ .id = "vm1",
                              .addr = { .kind = ADDR_VSOCK_HYBRID,
                                        .path = "/vms/vm1.vsock",
                                        .port = ADDR_PORT_NONE,
                                        .fd = -1 } };
    world_new_session(w, &world_ops);
}

void world_end(struct world *w)
{
    guest_session_free(w->s);
    sim_advance_ms(w->sim, 1500); /* a channel may take a second to send its last bytes */
    sim_free(w->sim);
}

int world_set_up(void **state)
{
    static struct world w;

    world_begin(&w);
    *state = &w;
    return 0;
}

int world_tear_down(void **state)
{
    world_end(*state);
    return 0;
}

static struct addr guest_port(const struct world *w, uint32_t port)
{
    return addr_at_port(&w->vm.addr, port);
}

struct sim_peer *world_accepted(struct world *w, uint32_t port)
{
    struct addr at = guest_port(w, port);

    return sim_take_dialled_to(w->sim, &at);
}

void world_switch_says(struct world *w, enum guest_generation generation, enum status st,
                       const char *why)
{
    w->switch_says = st;
    guest_session_link_ready(w->s, generation, st, why);
    sim_run(w->sim);
}

bool world_is_listening(const struct world *w, enum guest_generation generation)
{
    return w->wanted[generation] && w->switch_says == ST_OK;
}

struct session_view world_view(const struct world *w)
{
    struct session_view v;

    guest_session_view(w->s, &v);
    return v;
}

void expect_state(const struct world *w, enum session_state state, enum guest_generation g)
{
    struct session_view v = world_view(w);

    if (v.state != state || v.generation != g)
        fail_msg("state %s/%s, want %s/%s", session_state_name(v.state),
                 guest_generation_name(v.generation), session_state_name(state),
                 guest_generation_name(g));
}

void expect_reason(const struct world *w, const char *type, enum condition_status status,
                   const char *reason)
{
    struct session_view v = world_view(w);
    const struct condition *c = condition_find(&v.conditions, type);

    assert_non_null(c);
    if (c->status != status || strcmp(c->reason, reason) != 0)
        fail_msg("%s is %s/%s, want %s/%s", type, condition_status_name(c->status), c->reason,
                 condition_status_name(status), reason);
}

/* ---- what a guest of generation A or B does ---------------------------------------------- */

const struct guest_kind A = { GUEST_A, 6669, &SIGNATURE_A };
const struct guest_kind B = { GUEST_B, 6670, &SIGNATURE_B };

void guest_listens(struct world *w, const struct guest_kind *k)
{
    world_set_port(w, k->handshake, ST_OK, 0);
}

void guest_answers_probe(struct world *w, const struct guest_kind *k)
{
    struct sim_peer *p = world_accepted(w, k->handshake);

    assert_non_null(p);
    sim_peer_send_text(p, k->signature->text);
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    assert_string_equal(sim_peer_text(p), "");
}

void guest_takes_ready(struct world *w, const struct guest_kind *k)
{
    struct sim_peer *p = world_accepted(w, k->handshake);

    assert_non_null(p);
    sim_peer_send_text(p, k->signature->text);
    sim_run(w->sim);
    assert_string_equal(sim_peer_text(p), "READY");
    assert_true(sim_peer_saw_end(p));
    assert_true(sim_peer_is_closed(p));
    world_set_port(w, k->handshake, ST_REFUSED, 0);
}

void guest_dials_data(struct world *w, const struct guest_kind *k)
{
    assert_true(world_is_listening(w, k->generation));
    guest_session_on_link_start(w->s, k->generation);
    sim_run(w->sim);
}

void guest_links(struct world *w, const struct guest_kind *k)
{
    guest_listens(w, k);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, k);
    guest_takes_ready(w, k);
    guest_dials_data(w, k);
}

/* ---- what a unit of rdlink-agent does ----------------------------------------------------- */

const struct agent_kind BRIDGE = { 6680, RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE };
const struct agent_kind NET = { 6681, RDLINK__V1__ROLE__ROLE_AGENT_NET };

void agent_sends(struct world *w, struct sim_peer *p, const Rdlink__V1__Envelope *msg)
{
    uint8_t *frame;
    size_t len_bytes;

    assert_int_equal(envelope_pack(msg, &frame, &len_bytes), ST_OK);
    sim_peer_send(p, frame, len_bytes);
    free(frame);
    sim_run(w->sim);
}

void agent_greets(struct world *w, struct sim_peer *p, const struct agent_kind *k, uint32_t major)
{
    Rdlink__V1__HelloAck ack = RDLINK__V1__HELLO_ACK__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    char version[] = "9.8.7", instance[] = "";

    ack.major = major;
    ack.minor = IPC_MINOR;
    ack.role = k->role;
    ack.pid = 77;
    ack.version = version;
    ack.instance = instance;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO_ACK;
    msg.hello_ack = &ack;
    agent_sends(w, p, &msg);
}

struct sim_peer *agent_comes(struct world *w, const struct agent_kind *k)
{
    struct sim_peer *p;

    world_set_port(w, k->port, ST_OK, 0);
    sim_advance_ms(w->sim, 1000);
    p = world_accepted(w, k->port);
    assert_non_null(p);
    agent_greets(w, p, k, IPC_MAJOR);
    return p;
}
