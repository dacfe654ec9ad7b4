/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the gateway's DNS from both sides: pieces of the input are questions by UDP, bytes on a
 * TCP connection, answers of upstream (with the right id and question in front, or raw, the bytes
 * repeated as often as the piece says), or time.
 *
 * Checked: at most one answer by UDP to a question at once, no answer larger than DNS_UDP_MAX, each
 * with the QR bit; every question that waits ends.
 */
#include "support/services_rig.h"
#include "switch/dns_internal.h"

#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

enum { PIECE_QUESTION, PIECE_NAME, PIECE_TCP, PIECE_ANSWER, PIECE_RAW_ANSWER, PIECE_TIME, PIECES };
enum { ANSWER_BYTES = 8192 };

static unsigned checked; /* of rig->sent */

static void check_answers(const struct rig *rig)
{
    for (; checked < rig->sent_count; checked++) {
        const struct rig_datagram *d = &rig->sent[checked % RIG_DATAGRAMS];

        ASSERT(d->len_bytes >= DNS_HEADER_BYTES && d->len_bytes <= DNS_UDP_MAX);
        ASSERT(d->data[2] & 0x80);
        ASSERT(d->from.port == 53);
    }
}

static void ask(struct rig *rig, const uint8_t *msg, size_t len_bytes)
{
    struct packet p = rig_packet(rig);
    struct udp_header h = { .src_port = (uint16_t)(1000 + len_bytes), .dst_port = 53 };
    unsigned before = rig->sent_count;

    dns_input(&rig->s, &p, &h, msg, len_bytes);
    ASSERT(rig->sent_count <= before + 1);
}

/* A question with everything right but the name and the type. */
static void ask_name(struct rig *rig, const uint8_t *piece, size_t n)
{
    uint8_t msg[600];
    struct bytes_out w = bytes_into(msg, sizeof msg);

    bytes_put(&w, "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
    bytes_put(&w, piece, n);
    bytes_put(&w, "\0\0\1\0\1", 5);
    ask(rig, msg, w.len_bytes);
}

static void answer(struct rig *rig, const uint8_t *piece, size_t n, bool is_raw, unsigned times)
{
    uint8_t msg[ANSWER_BYTES];
    struct bytes_out w = bytes_into(msg, sizeof msg);
    size_t len;
    const uint8_t *q;

    if (!resolver_sim_waiting(rig->resolver))
        return;
    q = resolver_sim_question(rig->resolver, 0, &len);
    if (!is_raw && n >= 6) {
        bytes_put(&w, q, len);
        msg[2] |= 0x80;
        msg[3] = piece[0];
        for (unsigned i = 0; i < 3; i++)
            msg[7 + 2 * i] = (uint8_t)((piece[1 + i] & 7) * times);
        msg[2] |= piece[4] & 2;
        piece += 6;
        n -= 6;
    }
    while (times-- && w.len_bytes + n <= sizeof msg)
        bytes_put(&w, piece, n);
    resolver_sim_answer(rig->resolver, 0, ST_OK, msg, w.len_bytes);
    sim_run(rig->sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct rig *rig = rig_new(len_bytes & 1);
    struct bytes r = bytes_of(data, len_bytes);
    struct sim_peer *tcp;

    checked = 0;
    ASSERT(dns_new(&rig->s) == ST_OK);
    tcp = rig_connect(rig, 53);
    while (r.left >= 2) {
        unsigned what = bytes_u8(&r), kind = what % PIECES, wanted = bytes_u8(&r);
        size_t n = MIN(wanted, r.left);
        const uint8_t *piece = bytes_take(&r, n);

        switch (kind) {
        case PIECE_QUESTION: ask(rig, piece, n); break;
        case PIECE_NAME: ask_name(rig, piece, n); break;
        case PIECE_TCP:
            if (sim_peer_is_closed(tcp))
                tcp = rig_connect(rig, 53);
            sim_peer_send(tcp, piece, n);
            sim_run(rig->sim);
            break;
        case PIECE_ANSWER:
        case PIECE_RAW_ANSWER:
            answer(rig, piece, n, kind == PIECE_RAW_ANSWER, 1 + what / PIECES);
            break;
        default: sim_advance_ms(rig->sim, 10 * n * n); break;
        }
        check_answers(rig);
    }
    sim_advance_ms(rig->sim, DNS_CONN_IDLE_MS);
    check_answers(rig);
    ASSERT(!resolver_sim_waiting(rig->resolver) && rig->s.dns->pending_count == 0);
    rig_free(rig);
    return 0;
}
