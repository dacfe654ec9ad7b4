/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A whole state, not changes: it cannot get out of step, and several changes are one message. A
 * switch may have 1,024 forwards, and a message is 64 KiB at most, so the room is counted while it
 * is packed. Those that wait for their port go first in every place where something may have to be
 * left out: they are what a person looks for.
 */
#include "network/forward_states.h"

#include "base/util.h"
#include "ipc/peer_text.h"
#include "switch/switch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For the envelope around it, and left_out. */
enum { MESSAGE_BYTES_MAX = IPC_MAX_MESSAGE - 32, ENTRY_HEAD_BYTES = 4 };

static enum status make_room(struct forward_states *l, size_t count)
{
    forward_states_clear(l);
    if (count == 0)
        return ST_OK;
    l->items = calloc(MIN(count, (size_t)FORWARD_LIST_MAX), sizeof *l->items);
    return l->items ? ST_OK : ST_NOMEM;
}

/* The next one, for which there is room; NULL: it is left out. */
static struct forward_state *next(struct forward_states *l)
{
    if (l->count == FORWARD_LIST_MAX) {
        l->left_out++;
        return NULL;
    }
    return &l->items[l->count++];
}

/* ---- the worker's end ------------------------------------------------------------------------ */

struct walk {
    struct forward_states *to;
    bool wants_listening;
};

static void add_state(void *ctx, const struct switch_forward *f)
{
    const struct walk *walk = ctx;
    struct forward_state *to;
    char remote[IP_ENDPOINT_TEXT_MAX];

    if (f->is_listening != walk->wants_listening || !(to = next(walk->to)))
        return;
    snprintf(to->text.protocol, sizeof to->text.protocol, "%s",
             f->proto == SWITCH_FORWARD_UDP ? "udp" : "tcp");
    snprintf(to->text.local, sizeof to->text.local, "%s", f->local);
    snprintf(to->text.remote, sizeof to->text.remote, "%s", ip_endpoint_format(&f->guest, remote));
    to->is_listening = f->is_listening;
    if (f->is_listening)
        return;
    snprintf(to->reason, sizeof to->reason, "PortTaken"); /* as ForwardsBound */
    peer_text_copy(to->message, sizeof to->message, f->why);
}

enum status forward_states_of(struct forward_states *out, const struct switch_ *s)
{
    struct switch_census census;
    enum status st;

    switch_get_census(s, &census);
    st = make_room(out, census.forwards);
    if (st != ST_OK || census.forwards == 0)
        return st;
    switch_forward_each(s, add_state, &(struct walk){ out, false });
    switch_forward_each(s, add_state, &(struct walk){ out, true });
    return ST_OK;
}

/* One entry of the message; borrows. */
struct entry {
    Rdlink__V1__ForwardState state;
    Rdlink__V1__Forward forward;
};

static size_t fill_entry(struct entry *e, struct forward_state *from)
{
    rdlink__v1__forward_state__init(&e->state);
    forward_text_message(&from->text, &e->forward);
    e->state.forward = &e->forward;
    e->state.listening = from->is_listening;
    e->state.reason = from->reason;
    e->state.message = from->message;
    return rdlink__v1__forward_state__get_packed_size(&e->state) + ENTRY_HEAD_BYTES;
}

/* How many fit. */
static unsigned fill_entries(struct entry *entries, Rdlink__V1__ForwardState **list,
                             struct forward_states *l)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < l->count; i++) {
        bytes += fill_entry(&entries[i], &l->items[i]);
        if (bytes > MESSAGE_BYTES_MAX)
            return i;
        list[i] = &entries[i].state;
    }
    return l->count;
}

enum status forward_states_send(struct forward_states *l, forward_states_send_fn *send, void *ctx)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ForwardStates states = RDLINK__V1__FORWARD_STATES__INIT;
    struct entry *entries = calloc(l->count + 1, sizeof *entries);
    enum status st = ST_NOMEM;

    states.forwards = calloc(l->count + 1, sizeof(Rdlink__V1__ForwardState *));
    if (entries && states.forwards) {
        states.n_forwards = fill_entries(entries, states.forwards, l);
        states.left_out = l->left_out + l->count - (unsigned)states.n_forwards;
        msg.body_case = RDLINK__V1__ENVELOPE__BODY_FORWARD_STATES;
        msg.forward_states = &states;
        st = send(ctx, &msg);
    }
    free(states.forwards);
    free(entries);
    return st;
}

/* ---- the controller's end -------------------------------------------------------------------- */

static void take_state(struct forward_states *out, const Rdlink__V1__ForwardState *msg)
{
    struct forward_text text;
    struct forward_state *to;

    if (forward_text_take(&text, msg->forward) != ST_OK) {
        out->left_out++;
        return;
    }
    to = next(out);
    if (!to)
        return;
    to->text = text;
    to->is_listening = msg->listening;
    if (msg->listening)
        return;
    peer_text_copy(to->reason, sizeof to->reason, msg->reason);
    peer_text_copy(to->message, sizeof to->message, msg->message);
}

enum status forward_states_take(struct forward_states *out, const Rdlink__V1__ForwardStates *msg)
{
    enum status st = make_room(out, msg->n_forwards);

    if (st != ST_OK)
        return st;
    out->left_out = msg->left_out;
    for (size_t i = 0; i < msg->n_forwards; i++)
        take_state(out, msg->forwards[i]);
    return ST_OK;
}

void forward_states_clear(struct forward_states *l)
{
    free(l->items);
    *l = (struct forward_states){ 0 };
}
