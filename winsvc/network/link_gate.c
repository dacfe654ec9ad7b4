/* SPDX-License-Identifier: Apache-2.0 */
#include "network/link_gate.h"

#include "base/log.h"
#include "base/util.h"
#include "port/crypto.h"
#include "port/stream.h"

#include <string.h>

static void leave(struct link_gate_wait *w)
{
    timer_stop(&w->deadline);
    crypto_wipe(w->said, sizeof w->said);
    w->stream = NULL;
}

static void refuse(struct link_gate_wait *w, const char *why)
{
    struct stream *s = w->stream;

    w->gate->refused++;
    log_warn_limited(LOG_SWITCH, "link refused: %s", why);
    leave(w);
    stream_close(s);
}

static void pass(struct link_gate_wait *w, const uint8_t *rest, size_t rest_bytes)
{
    struct link_gate *g = w->gate;
    struct stream *s = w->stream;

    if (rest_bytes > 0 && stream_unread(s, rest, rest_bytes) != ST_OK) {
        refuse(w, "no memory for what it has said");
        return;
    }
    leave(w);
    stream_read_stop(s);
    stream_set_handler(s, NULL, NULL);
    g->pass(g->ctx, s, g->has_token);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct link_gate_wait *w = ctx;
    size_t n = MIN(len_bytes, sizeof w->said - w->said_bytes);

    if (!w->gate->has_token) {
        pass(w, data, len_bytes);
        return;
    }
    memcpy(w->said + w->said_bytes, data, n);
    w->said_bytes += n;
    if (w->said_bytes < sizeof w->said)
        return;
    if (!link_token_fits(&w->gate->token, w->said))
        refuse(w, "it does not begin with the token of the guest's offer");
    else
        pass(w, data + n, len_bytes - n);
}

static void on_eof(void *ctx)
{
    struct link_gate_wait *w = ctx;

    refuse(w, w->gate->has_token ? "closed before its token" : "closed before it said anything");
}

static void on_error(void *ctx, enum status why)
{
    refuse(ctx, status_text(why));
}

static const struct stream_handler handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_error = on_error,
};

static void on_deadline(void *ctx)
{
    struct link_gate_wait *w = ctx;

    if (w->gate->has_token)
        refuse(w, "it says no token");
    else
        pass(w, NULL, 0);
}

static struct link_gate_wait *place(struct link_gate *g)
{
    struct link_gate_wait *oldest = &g->waits[0];

    for (unsigned i = 0; i < LINK_GATE_MAX; i++) {
        if (!g->waits[i].stream)
            return &g->waits[i];
        if (g->waits[i].number < oldest->number)
            oldest = &g->waits[i];
    }
    refuse(oldest, "another one came, and too many wait");
    return oldest;
}

void link_gate_init(struct link_gate *g, struct loop *loop, link_gate_pass_fn *pass_fn, void *ctx)
{
    *g = (struct link_gate){ .pass = pass_fn, .ctx = ctx };
    for (unsigned i = 0; i < LINK_GATE_MAX; i++) {
        g->waits[i].gate = g;
        timer_init(&g->waits[i].deadline, loop, on_deadline, &g->waits[i]);
    }
}

void link_gate_set_token(struct link_gate *g, const struct link_token *token)
{
    for (unsigned i = 0; i < LINK_GATE_MAX; i++)
        if (g->waits[i].stream)
            refuse(&g->waits[i], "the token is another one now");
    g->has_token = token != NULL;
    if (token)
        g->token = *token;
    else
        crypto_wipe(&g->token, sizeof g->token);
}

void link_gate_admit(struct link_gate *g, struct stream *s, bool has_link)
{
    struct link_gate_wait *w;

    g->count++;
    if (!g->has_token && !has_link) {
        g->pass(g->ctx, s, false);
        return;
    }
    w = place(g);
    w->stream = s;
    w->number = g->count;
    w->said_bytes = 0;
    timer_start(&w->deadline, g->has_token ? LINK_GATE_MS : LINK_GATE_STAY_MS);
    stream_set_handler(s, &handler, w);
    stream_read_start(s);
}

void link_gate_fini(struct link_gate *g)
{
    for (unsigned i = 0; i < LINK_GATE_MAX; i++) {
        struct stream *s = g->waits[i].stream;

        if (!s)
            continue;
        leave(&g->waits[i]);
        stream_close(s);
    }
    crypto_wipe(&g->token, sizeof g->token);
}
