/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/vm/session_case.h"

#include "base/util.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "vm/handshake.h"

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

void world_on_link(void *ctx, struct guest_session *s, struct stream *link,
                   enum guest_generation generation)
{
    struct world *w = ctx;

    assert_true(w->link_count < LINKS_MAX);
    w->link_generation[w->link_count] = generation;
    w->links[w->link_count++] = link;
}

const struct session_ops world_ops = { on_change, world_on_link };

void world_new_session(struct world *w, const struct session_ops *ops)
{
    const struct session_config config = { 0 };

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

static void drop_links(struct world *w)
{
    for (unsigned i = 0; i < w->link_count; i++) {
        stream_close(w->links[i]);
        w->links[i] = NULL;
    }
}

void world_end(struct world *w)
{
    guest_session_free(w->s);
    drop_links(w);
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

struct addr world_data_port(const struct world *w, uint32_t port)
{
    struct addr at;

    assert_int_equal(addr_guest_to_host(&at, &w->vm.addr, port, NULL), ST_OK);
    return at;
}

struct sim_peer *world_accepted(struct world *w, uint32_t port)
{
    struct addr at = guest_port(w, port);

    return sim_take_dialled_to(w->sim, &at);
}

bool world_is_listening(const struct world *w, uint32_t port)
{
    struct addr at = world_data_port(w, port);

    return sim_is_listening(w->sim, &at);
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

const struct guest_kind A = { GUEST_A, 6669, 6656, &SIGNATURE_A };
const struct guest_kind B = { GUEST_B, 6670, 6657, &SIGNATURE_B };

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

struct sim_peer *guest_dials_data(struct world *w, const struct guest_kind *k)
{
    struct addr at = world_data_port(w, k->data);
    struct sim_peer *p = sim_connect(w->sim, &at, &sim_local_peer);

    assert_non_null(p);
    sim_run(w->sim);
    return p;
}

struct sim_peer *guest_links(struct world *w, const struct guest_kind *k)
{
    guest_listens(w, k);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, k);
    guest_takes_ready(w, k);
    return guest_dials_data(w, k);
}
