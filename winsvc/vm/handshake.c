/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/handshake.h"

#include "port/addr.h"
#include "port/stream.h"

#include <assert.h>
#include <stdio.h>

/* THEORY
 *
 * Purpose. Rancher's guest ("network-setup") listens on its handshake port and serves one
 * connection at a time, serially and without a read timeout: it writes its signature at once, then
 * reads exactly five bytes. End of file or anything but READY makes it close and accept again;
 * READY makes it leave and dial our data port. Nothing on the wire has a length or a terminator,
 * so the two generations, whose phrases share their first 42 bytes, are told apart by content.
 *
 *        probe                                     ready
 *   us             guest                      us             guest
 *   | --- dial ---> |                         | --- dial ---> |
 *   | <- signature- |                         | --- READY --> |
 *   | --- close --> | (reads EOF: normal)     | --- (eof) --> |
 *                                             | <- signature- |
 *                                             | --- close --> |
 *
 * Compare as it arrives. A reader that waits for the length of its own phrase deadlocks with a
 * guest of the shorter one; here the first wrong byte ends the conversation, and read_timeout_ms
 * bounds a peer that stops half way.
 *
 * READY must not be overtaken. Closing a socket that holds unread bytes may send a reset, and a
 * reset may make the guest's kernel throw away the READY it has not read yet. So we take the
 * signature in before closing. Its length, an end or an error from the guest, or read_timeout_ms
 * end the wait (not less than for a probe: a guest that is slow to write would find the connection
 * closed, and never come to read READY). As soon as the system has READY, each of these counts as
 * sent: only the data link that follows proves anything.
 *
 * Invariants. At most one dial or one stream exists; done() is the last thing that happens, with
 * the struct idle; no callback comes after handshake_cancel().
 */

#define PHRASE_A "github.com/rancher-sandbox/rancher-desktop/src/go/networking"
#define PHRASE_B "github.com/rancher-sandbox/rancher-desktop-opensuse/src/go/networking"
#define READY    "READY"

const struct signature SIGNATURE_A = { PHRASE_A, sizeof PHRASE_A - 1 };
const struct signature SIGNATURE_B = { PHRASE_B, sizeof PHRASE_B - 1 };

static_assert(sizeof PHRASE_A - 1 == 60, "generation A");
static_assert(sizeof PHRASE_B - 1 == 69, "generation B");
static_assert(sizeof READY - 1 == 5, "ready word");

void signature_match_init(struct signature_match *m, const struct signature *want)
{
    *m = (struct signature_match){ .want = want };
}

enum match_result signature_match_feed(struct signature_match *m, const uint8_t *data,
                                       size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes && !m->failed && m->have_bytes < m->want->len_bytes; i++) {
        if (data[i] == (uint8_t)m->want->text[m->have_bytes])
            m->have_bytes++;
        else
            m->failed = true;
    }
    if (m->failed)
        return MATCH_NO;
    return m->have_bytes == m->want->len_bytes ? MATCH_YES : MATCH_NEED_MORE;
}

/* ---- one conversation ------------------------------------------------------------------- */

static void finish(struct handshake *h, enum handshake_outcome outcome, enum status why,
                   const char *detail)
{
    handshake_cancel(h);
    h->done(h->ctx, outcome, why, detail);
}

static void probe_data(struct handshake *h, const uint8_t *data, size_t len_bytes)
{
    char detail[96];

    switch (signature_match_feed(&h->match, data, len_bytes)) {
    case MATCH_NEED_MORE: return;
    case MATCH_YES: finish(h, HANDSHAKE_MATCHED, ST_OK, "signature matched"); return;
    case MATCH_NO: break;
    }
    snprintf(detail, sizeof detail, "wrong signature at byte %zu of %zu", h->match.have_bytes + 1,
             h->match.want->len_bytes);
    finish(h, HANDSHAKE_MISMATCH, ST_PROTO, detail);
}

/* All of the guest's signature that we wait for is in, or will never be. */
static void drain_over(struct handshake *h)
{
    h->drain_over = true;
    stream_read_stop(h->stream);
    if (stream_queued_bytes(h->stream) == 0)
        finish(h, HANDSHAKE_READY, ST_OK, "READY sent");
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct handshake *h = ctx;

    if (h->step == HANDSHAKE_READING) {
        probe_data(h, data, len_bytes);
        return;
    }
    h->drained_bytes += len_bytes;
    if (h->drained_bytes >= h->match.want->len_bytes)
        drain_over(h);
}

static void on_eof(void *ctx)
{
    struct handshake *h = ctx;
    char detail[96];

    if (h->step == HANDSHAKE_DRAINING) {
        drain_over(h);
        return;
    }
    snprintf(detail, sizeof detail, "closed by the guest after %zu of %zu bytes",
             h->match.have_bytes, h->match.want->len_bytes);
    finish(h, HANDSHAKE_CUT, ST_EOF, detail);
}

static void on_drained(void *ctx)
{
    struct handshake *h = ctx;

    if (h->step == HANDSHAKE_DRAINING && h->drain_over)
        finish(h, HANDSHAKE_READY, ST_OK, "READY sent");
}

static void on_error(void *ctx, enum status why)
{
    struct handshake *h = ctx;

    if (h->step == HANDSHAKE_DRAINING && stream_queued_bytes(h->stream) == 0)
        finish(h, HANDSHAKE_READY, ST_OK, "READY sent, then the guest closed");
    else
        finish(h, HANDSHAKE_CUT, why, status_text(why));
}

static const struct stream_handler handler = { on_data, on_eof, on_drained, on_error };

static void begin_ready(struct handshake *h)
{
    enum status st = stream_write(h->stream, READY, sizeof READY - 1);

    if (st == ST_OK || st == ST_QUEUED)
        st = stream_shutdown(h->stream);
    if (st != ST_OK && st != ST_QUEUED) {
        finish(h, HANDSHAKE_CUT, st, status_text(st));
        return;
    }
    h->step = HANDSHAKE_DRAINING;
    timer_start(&h->deadline, h->read_timeout_ms);
    stream_read_start(h->stream);
}

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct handshake *h = ctx;

    h->dial = NULL;
    if (st != ST_OK) {
        char detail[sizeof why->text];

        snprintf(detail, sizeof detail, "%s", why && why->text[0] ? why->text : status_text(st));
        finish(h, HANDSHAKE_NO_DIAL, st, detail);
        return;
    }
    h->stream = s;
    stream_set_handler(s, &handler, h);
    if (h->is_ready) {
        begin_ready(h);
        return;
    }
    h->step = HANDSHAKE_READING;
    timer_start(&h->deadline, h->read_timeout_ms);
    stream_read_start(s);
}

static void on_deadline(void *ctx)
{
    struct handshake *h = ctx;
    char detail[96];

    if (h->step == HANDSHAKE_DIALLING) {
        finish(h, HANDSHAKE_NO_DIAL, h->early_status,
               h->early.text[0] ? h->early.text : status_text(h->early_status));
    } else if (h->step == HANDSHAKE_DRAINING && stream_queued_bytes(h->stream) == 0) {
        finish(h, HANDSHAKE_READY, ST_OK, "READY sent, signature not seen");
    } else if (h->step == HANDSHAKE_DRAINING) {
        finish(h, HANDSHAKE_CUT, ST_TIMEOUT, "the guest does not take READY");
    } else {
        snprintf(detail, sizeof detail, "silent: %zu of %zu bytes in %u ms", h->match.have_bytes,
                 h->match.want->len_bytes, (unsigned)h->read_timeout_ms);
        finish(h, HANDSHAKE_SILENT, ST_TIMEOUT, detail);
    }
}

/* A dial that fails at once is told through the loop like any other end. */
static void start(struct handshake *h, const struct addr *at, const struct signature *want,
                  uint32_t dial_timeout_ms)
{
    ASSERT(h->step == HANDSHAKE_IDLE);
    signature_match_init(&h->match, want);
    h->drained_bytes = 0;
    h->drain_over = false;
    h->early.text[0] = '\0';
    h->step = HANDSHAKE_DIALLING;
    h->early_status = dial_start(h->loop, &h->dial, at, dial_timeout_ms, on_dialled, h, &h->early);
    if (h->early_status != ST_OK) {
        h->dial = NULL;
        timer_start(&h->deadline, 0);
    }
}

void handshake_init(struct handshake *h, struct loop *loop, handshake_done_fn *done, void *ctx)
{
    *h = (struct handshake){ .loop = loop, .done = done, .ctx = ctx };
    timer_init(&h->deadline, loop, on_deadline, h);
}

void handshake_probe(struct handshake *h, const struct addr *at, const struct signature *want,
                     uint32_t dial_timeout_ms, uint32_t read_timeout_ms)
{
    h->is_ready = false;
    h->read_timeout_ms = read_timeout_ms;
    start(h, at, want, dial_timeout_ms);
}

void handshake_send_ready(struct handshake *h, const struct addr *at,
                          const struct signature *expect, uint32_t dial_timeout_ms,
                          uint32_t read_timeout_ms)
{
    h->is_ready = true;
    h->read_timeout_ms = read_timeout_ms;
    start(h, at, expect, dial_timeout_ms);
}

bool handshake_is_idle(const struct handshake *h)
{
    return h->step == HANDSHAKE_IDLE;
}

void handshake_cancel(struct handshake *h)
{
    timer_stop(&h->deadline);
    dial_cancel(h->loop, h->dial);
    h->dial = NULL;
    stream_close(h->stream);
    h->stream = NULL;
    h->step = HANDSHAKE_IDLE;
}
