/* SPDX-License-Identifier: Apache-2.0
 * script_guest_net.c - see script_guest_net.h. The tap is level-triggered as a real one is: as long
 * as there is something to read and it is not paused, on_readable() comes in each turn.
 */
#include "support/script_guest_net.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

struct script_tap {
    struct tap tap;
    const struct tap_handler *handler;
    void *ctx;
    struct timer readable;
};

struct guest_net {
    struct loop *loop;
};

struct script_guest script_guest;
static struct script_tap *open_tap; /* there is one at a time */

/* The script is no part of what may run out of memory: once more, and it works (alloc_fail.h). */
static void *script_alloc(size_t len_bytes)
{
    void *p = calloc(1, len_bytes);

    if (!p)
        p = calloc(1, len_bytes);
    ASSERT(p);
    return p;
}

static void push(struct script_queue *q, const void *frame, size_t len_bytes,
                 const struct frame_offload *off)
{
    struct script_frame *row = &q->rows[(q->first + q->count) % SCRIPT_FRAMES];

    ASSERT(q->count < SCRIPT_FRAMES && len_bytes <= sizeof row->b);
    memcpy(row->b, frame, len_bytes);
    row->len_bytes = len_bytes;
    row->off = off ? *off : (struct frame_offload){ 0 };
    q->count++;
}

static const struct script_frame *pop(struct script_queue *q)
{
    const struct script_frame *row = &q->rows[q->first];

    if (q->count == 0)
        return NULL;
    q->first = (q->first + 1) % SCRIPT_FRAMES;
    q->count--;
    return row;
}

/* ---- the device ------------------------------------------------------------------------------ */

static void trigger(void)
{
    if (open_tap && script_guest.to_read.count && !script_guest.paused)
        timer_start(&open_tap->readable, 0);
}

static void on_readable(void *ctx)
{
    struct script_tap *t = ctx;

    t->handler->on_readable(t->ctx);
    trigger();
}

static enum status op_read(struct tap *tap, uint8_t *frame, size_t cap, size_t *len_bytes,
                           struct frame_offload *off)
{
    const struct script_frame *row = pop(&script_guest.to_read);

    (void)tap;
    script_guest.reads++;
    if (!row)
        return ST_AGAIN;
    if (row->len_bytes > cap)
        return ST_FULL;
    memcpy(frame, row->b, row->len_bytes);
    *len_bytes = row->len_bytes;
    *off = row->off;
    return ST_OK;
}

static enum status op_write(struct tap *tap, const uint8_t *frame, size_t len_bytes,
                            const struct frame_offload *off)
{
    (void)tap;
    if (script_guest.write_fails)
        return script_guest.write_fails;
    push(&script_guest.written, frame, len_bytes, off);
    return ST_OK;
}

static enum status op_set_offload(struct tap *tap, bool on)
{
    (void)tap;
    script_guest.offload = on;
    return ST_OK;
}

static void op_pause(struct tap *tap, bool paused)
{
    (void)tap;
    script_guest.paused = paused;
    trigger();
}

static void op_close(struct tap *tap)
{
    struct script_tap *t = container_of(tap, struct script_tap, tap);

    ASSERT(t == open_tap);
    timer_stop(&t->readable);
    open_tap = NULL;
    script_guest.has_tap = false;
    free(t);
}

static const struct tap_ops tap_ops = { op_read, op_write, op_set_offload, op_pause, op_close };

enum status script_tap_open(struct loop *loop, const struct tap_handler *handler, void *ctx,
                            struct tap **out)
{
    struct script_tap *t = script_alloc(sizeof *t);

    ASSERT(!open_tap);
    t->tap.ops = &tap_ops;
    t->handler = handler;
    t->ctx = ctx;
    timer_init(&t->readable, loop, on_readable, t);
    open_tap = t;
    script_guest.has_tap = true;
    script_guest.paused = false;
    script_guest.taps_opened++;
    *out = &t->tap;
    trigger();
    return ST_OK;
}

/* ---- guest_net.h ----------------------------------------------------------------------------- */

enum status guest_net_open(struct guest_net **out, struct loop *loop,
                           const struct guest_net_config *config, struct errmsg *e)
{
    ASSERT(!script_guest.is_open && config->tap_name[0]);
    if (script_guest.open_fails) {
        errmsg_set(e, "%s: %s", config->netns, status_text(script_guest.open_fails));
        return script_guest.open_fails;
    }
    *out = script_alloc(sizeof **out);
    (*out)->loop = loop;
    script_guest.is_open = true;
    script_guest.owner_restarted = false;
    script_guest.opened++;
    return ST_OK;
}

enum status guest_net_open_tap(struct guest_net *n, const struct mac *mac, unsigned mtu,
                               const struct tap_handler *handler, void *ctx, struct tap **out,
                               struct errmsg *e)
{
    if (script_guest.tap_fails) {
        errmsg_set(e, "tap: %s", status_text(script_guest.tap_fails));
        return script_guest.tap_fails;
    }
    script_guest.mac = *mac;
    script_guest.mtu = mtu;
    return script_tap_open(n->loop, handler, ctx, out);
}

enum status guest_net_apply(struct guest_net *n, const struct guest_lease *lease, struct errmsg *e)
{
    (void)n;
    script_guest.applied++;
    if (script_guest.apply_fails) {
        errmsg_set(e, "address: %s", status_text(script_guest.apply_fails));
        return script_guest.apply_fails;
    }
    script_guest.lease = *lease;
    if (script_guest.file_trouble)
        errmsg_set(e, "%s", script_guest.file_trouble);
    return ST_OK;
}

enum status guest_net_apply_router(struct guest_net *n, const struct guest_router *router,
                                   struct errmsg *e)
{
    (void)n;
    script_guest.routers_applied++;
    if (script_guest.apply_fails) {
        errmsg_set(e, "address: %s", status_text(script_guest.apply_fails));
        return script_guest.apply_fails;
    }
    script_guest.router = *router;
    return ST_OK;
}

bool guest_net_is_current(struct guest_net *n)
{
    (void)n;
    return !script_guest.owner_restarted;
}

void guest_net_close(struct guest_net *n)
{
    if (!n)
        return;
    ASSERT(!script_guest.has_tap); /* the tap goes first */
    script_guest.is_open = false;
    script_guest.closed++;
    free(n);
}

/* ---- the test's side ------------------------------------------------------------------------- */

void script_guest_reset(void)
{
    ASSERT(!open_tap);
    memset(&script_guest, 0, sizeof script_guest);
}

void script_guest_sends(const void *frame, size_t len_bytes, const struct frame_offload *off)
{
    push(&script_guest.to_read, frame, len_bytes, off);
    trigger();
}

const struct script_frame *script_guest_gets(void)
{
    return pop(&script_guest.written);
}

void script_guest_tap_error(enum status why)
{
    ASSERT(open_tap);
    open_tap->handler->on_error(open_tap->ctx, why);
}
