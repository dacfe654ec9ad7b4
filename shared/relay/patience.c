/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: a client whose engine took the connection and then says nothing can still be told so,
 * although its request is on the way already.
 *
 *     A's first byte --> time_ms --> B has said something: over, the relay goes on without us
 *                                    nothing: over, and A's stream can be had back:
 *                                    kept bytes -> stream_unread(A) -> whoever answers A reads the
 *                                    request from its first byte, and cannot tell that we did
 *
 * Why put back instead of parsed here: whether it is HTTP, and a HEAD, is what the refusal
 * (http/refusal.h) finds out anyway; this file knows bytes only.
 *
 * What is missing in the middle: when A has said more than is kept (an upload), the request goes on
 * somewhere in its body after what is put back. The refusal answers at the end of the head, which
 * is within what is kept or too long for any of us, and throws away the rest unread.
 *
 * Memory: as much as A said, at most HTTP_HEAD_MAX, until the time is over. When there is none for
 * the copy, A waits as it would without us.
 */
#include "relay/patience.h"

#include "base/util.h"
#include "http/http_message.h"
#include "port/loop.h"
#include "port/stream.h"
#include "relay/relay.h"

#include <stdlib.h>
#include <string.h>

struct patience {
    struct relay *relay; /* borrowed */
    uint32_t time_ms;
    struct timer timer; /* runs from the first byte on */
    uint8_t *kept;      /* owned */
    size_t kept_len;
    bool asked, is_incomplete; /* A has spoken; a byte of its head could not be kept */
    patience_over_fn *over;
    void *ctx;
};

static void keep(struct patience *p, const uint8_t *data, size_t len_bytes)
{
    size_t n = MIN(len_bytes, HTTP_HEAD_MAX - p->kept_len);
    uint8_t *kept;

    if (n == 0 || p->is_incomplete)
        return;
    kept = realloc(p->kept, p->kept_len + n);
    if (!kept) {
        p->is_incomplete = true;
        return;
    }
    memcpy(kept + p->kept_len, data, n);
    p->kept = kept;
    p->kept_len += n;
}

static void on_said(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct patience *p = ctx;

    if (!p->asked)
        timer_start(&p->timer, p->time_ms);
    p->asked = true;
    keep(p, data, len_bytes);
}

static void on_timer(void *ctx)
{
    struct patience *p = ctx;

    p->over(p->ctx, !p->is_incomplete && relay_is_unanswered(p->relay));
}

enum status patience_new(struct patience **out, struct loop *loop, struct relay *r,
                         uint32_t time_ms, patience_over_fn *over, void *ctx)
{
    struct patience *p = calloc(1, sizeof *p);

    if (!p)
        return ST_NOMEM;
    p->relay = r;
    p->time_ms = time_ms;
    p->over = over;
    p->ctx = ctx;
    timer_init(&p->timer, loop, on_timer, p);
    relay_set_tap(r, on_said, p);
    *out = p;
    return ST_OK;
}

uint32_t patience_time_ms(const struct patience *p)
{
    return p->time_ms;
}

struct stream *patience_take_client(struct patience *p)
{
    struct stream *client = relay_take_unanswered(p->relay);

    if (stream_unread(client, p->kept, p->kept_len) == ST_OK)
        return client;
    stream_close(client);
    return NULL;
}

void patience_free(struct patience *p)
{
    if (!p)
        return;
    timer_stop(&p->timer);
    relay_set_tap(p->relay, NULL, NULL);
    free(p->kept);
    free(p);
}
