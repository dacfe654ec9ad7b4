/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the forwarder API with the bytes of one connection: the low bits of the first byte are
 * how they are cut, the high one is whether a token is asked for.
 *
 * Checked: everything answered is HTTP, the connection ends, the table and the listeners agree, and
 * who does not say the token has exposed nothing.
 */
#include "support/services_rig.h"

#include "base/util.h"

#include <string.h>

#define TOKEN "s3cret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void count_sockets(void *ctx, const struct switch_forward *f)
{
    ASSERT(f->is_listening && !f->is_kept);
    *(unsigned *)ctx += f->local[0] == ':' ? 2 : 1;
}

static bool says_token(const uint8_t *data, size_t len_bytes)
{
    for (size_t at = 0; at + sizeof TOKEN - 1 <= len_bytes; at++) {
        if (memcmp(data + at, TOKEN, sizeof TOKEN - 1) == 0)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    bool is_guarded = len_bytes && data[0] & 0x80;
    struct rig *rig = rig_new(false);
    struct sim_peer *p;
    unsigned sockets = 0;
    size_t n;

    if (is_guarded)
        memcpy(rig->s.config.api_token, TOKEN, sizeof TOKEN);
    ASSERT(forward_new(&rig->s) == ST_OK);
    p = rig_connect(rig, 80);
    if (len_bytes) {
        sim_peer_set_piece(p, data[0] & 0x7f);
        sim_peer_send(p, data + 1, len_bytes - 1);
    }
    sim_run(rig->sim);
    sim_advance_ms(rig->sim, 15000);
    ASSERT(sim_peer_is_closed(p));
    const uint8_t *got = sim_peer_data(p, &n);

    ASSERT(n == 0 || (n > 15 && memcmp(got, "HTTP/1.1 ", 9) == 0));
    switch_forward_each(&rig->s, count_sockets, &sockets);
    ASSERT(!is_guarded || !sockets || says_token(data + 1, len_bytes - 1));
    ASSERT(sockets == net_sim_open_listeners(rig->net) + net_sim_open_udp(rig->net));
    rig_free(rig);
    return 0;
}
