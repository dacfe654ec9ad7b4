/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the control API of a whole switch with the bytes of one connection: the first byte is how
 * they are cut.
 *
 * Checked: the answer is HTTP, or what a tunnel or a capture begins with; the connection ends in
 * the time that its longest capture has, and nothing is left open (the sims' own checks).
 */
#include "base/util.h"
#include "port/sim/net_sim.h"
#include "port/sim/stream_sim.h"
#include "switch/switch.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static enum status zeros(void *buf, size_t len_bytes)
{
    memset(buf, 0, len_bytes);
    return ST_OK;
}

static void check_answer(const uint8_t *got, size_t n)
{
    ASSERT(n == 0 || (n > 15 && memcmp(got, "HTTP/1.1 ", 9) == 0) ||
           (n >= 2 && memcmp(got, "OK", 2) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static const struct switch_config config = { .ip6 = true };
    struct sim *sim = sim_new();
    struct net_sim *net = net_sim_new(sim);
    struct switch_env env = { sim_loop(sim), net_sim_net(net), NULL, zeros, NULL };
    struct switch_ *sw;
    struct stream *stream;
    struct sim_peer *p;
    struct errmsg e;
    size_t n;

    ASSERT(switch_new(&sw, &env, &config, &e) == ST_OK);
    p = sim_stream(sim, &stream);
    ASSERT(switch_control_serve(sw, stream) == ST_OK);
    if (len_bytes) {
        sim_peer_set_piece(p, data[0]);
        sim_peer_send(p, data + 1, len_bytes - 1);
    }
    sim_run(sim);
    const uint8_t *got = sim_peer_data(p, &n);

    check_answer(got, n);
    sim_advance_ms(sim, UINT64_C(86400) * 1000 + 10000);
    ASSERT(sim_peer_is_closed(p));
    switch_free(sw);
    net_sim_free(net);
    sim_free(sim);
    return 0;
}
