/* SPDX-License-Identifier: Apache-2.0
 * forward_states_test.c - what a worker says of its forwards, as the controller takes it: anything
 * at all. What a worker of ours says is in network_worker_test.
 */
#include "support/cmocka_all.h"

#include "ipc/envelope.h"
#include "network/forward_states.h"
#include "support/alloc_fail.h"

#include <stdlib.h>
#include <string.h>

enum { MANY = FORWARD_LIST_MAX + 5 };

static char tcp[] = "tcp", local[] = "127.0.0.1:80", remote[] = "192.168.127.2:80";

/* So many of the same, which is @forward (NULL: a state of nothing). */
struct said {
    Rdlink__V1__ForwardState items[MANY], *list[MANY];
    Rdlink__V1__ForwardStates msg;
};

static void say(struct said *s, unsigned count, Rdlink__V1__Forward *forward)
{
    rdlink__v1__forward_states__init(&s->msg);
    for (unsigned i = 0; i < count; i++) {
        rdlink__v1__forward_state__init(&s->items[i]);
        s->items[i].forward = forward;
        s->list[i] = &s->items[i];
    }
    s->msg.forwards = s->list;
    s->msg.n_forwards = count;
}

static Rdlink__V1__Forward sound_forward(void)
{
    Rdlink__V1__Forward f = RDLINK__V1__FORWARD__INIT;

    f.protocol = tcp;
    f.local = local;
    f.remote = remote;
    return f;
}

static void more_than_a_switch_can_have_is_left_out(void **state)
{
    Rdlink__V1__Forward forward = sound_forward();
    struct forward_states states = { 0 };
    static struct said s;

    say(&s, MANY, &forward);
    s.msg.left_out = 2;
    assert_int_equal(forward_states_take(&states, &s.msg), ST_OK);
    assert_int_equal(states.count, FORWARD_LIST_MAX);
    assert_int_equal(states.left_out, 5 + 2);
    assert_string_equal(states.items[FORWARD_LIST_MAX - 1].text.local, local);
    say(&s, 0, NULL);
    assert_int_equal(forward_states_take(&states, &s.msg), ST_OK);
    assert_int_equal(states.count + states.left_out, 0);
    forward_states_clear(&states);
}

static void what_is_no_forward_is_left_out(void **state)
{
    static char long_text[FORWARD_TEXT_MAX + 1];
    Rdlink__V1__Forward rows[3] = { sound_forward(), sound_forward(), sound_forward() };
    struct forward_states states = { 0 };
    static struct said s;

    memset(long_text, '1', sizeof long_text - 1);
    rows[0].protocol = rows[1].local = rows[2].remote = long_text;
    for (unsigned i = 0; i < 3; i++) {
        say(&s, 1, &rows[i]);
        assert_int_equal(forward_states_take(&states, &s.msg), ST_OK);
        assert_int_equal(states.count, 0);
        assert_int_equal(states.left_out, 1);
    }
    say(&s, 1, NULL);
    assert_int_equal(forward_states_take(&states, &s.msg), ST_OK);
    assert_int_equal(states.left_out, 1);
    forward_states_clear(&states);
}

static void texts_are_cleaned_and_cut(void **state)
{
    static char reason[] = "Port\033Taken", message[4 * FORWARD_WHY_MAX];
    Rdlink__V1__Forward forward = sound_forward();
    struct forward_states states = { 0 };
    static struct said s;

    memset(message, 'm', sizeof message - 1);
    say(&s, 2, &forward);
    s.items[0].reason = s.items[1].reason = reason;
    s.items[0].message = s.items[1].message = message;
    s.items[1].listening = true;
    assert_int_equal(forward_states_take(&states, &s.msg), ST_OK);
    assert_string_equal(states.items[0].reason, "Port?Taken");
    assert_int_equal(strlen(states.items[0].message), FORWARD_WHY_MAX - 1);
    assert_string_equal(states.items[1].reason, ""); /* what listens has no reason */
    assert_string_equal(states.items[1].message, "");
    forward_states_clear(&states);
}

/* What went before is no longer true, so it is not kept. */
static void out_of_memory_leaves_none(void **state)
{
    Rdlink__V1__Forward forward = sound_forward();
    struct forward_states states = { 0 };
    static struct said s;

    say(&s, 3, &forward);
    assert_int_equal(forward_states_take(&states, &s.msg), ST_OK);
    alloc_fail_after(0);
    assert_int_equal(forward_states_take(&states, &s.msg), ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_int_equal(states.count, 0);
    assert_null(states.items);
}

struct sent {
    unsigned count;
    size_t left_out;
    enum status answer;
};

static enum status on_send(void *ctx, Rdlink__V1__Envelope *msg)
{
    struct sent *sent = ctx;
    uint8_t *frame = NULL;
    size_t len_bytes;

    assert_int_equal(envelope_pack(msg, &frame, &len_bytes), ST_OK);
    free(frame);
    sent->count++;
    sent->left_out = msg->forward_states->left_out;
    return sent->answer;
}

/* The longest there can be: it fits an envelope, and says what it had to leave out. */
static void one_message_is_sent_whatever_there_is(void **state)
{
    static char long_local[FORWARD_TEXT_MAX], message[FORWARD_WHY_MAX];
    Rdlink__V1__Forward forward = sound_forward();
    struct forward_states states = { 0 };
    struct sent sent = { .answer = ST_CLOSED };
    static struct said s;

    memset(long_local, '1', sizeof long_local - 1);
    memset(message, 'm', sizeof message - 1);
    forward.local = long_local;
    say(&s, MANY, &forward);
    for (unsigned i = 0; i < MANY; i++)
        s.items[i].message = message;
    assert_int_equal(forward_states_take(&states, &s.msg), ST_OK);
    assert_int_equal(forward_states_send(&states, on_send, &sent), ST_CLOSED);
    assert_int_equal(sent.count, 1);
    assert_in_range(sent.left_out, 700, MANY - 1);
    for (unsigned i = 0; i < 2; i++) {
        alloc_fail_after(i);
        assert_int_equal(forward_states_send(&states, on_send, &sent), ST_NOMEM);
        assert_true(alloc_fail_stop());
    }
    assert_int_equal(sent.count, 1);
    forward_states_clear(&states);
    sent.answer = ST_OK;
    assert_int_equal(forward_states_send(&states, on_send, &sent), ST_OK);
    assert_int_equal(sent.left_out, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_a_switch_can_have_is_left_out),
        cmocka_unit_test(what_is_no_forward_is_left_out),
        cmocka_unit_test(texts_are_cleaned_and_cut),
        cmocka_unit_test(out_of_memory_leaves_none),
        cmocka_unit_test(one_message_is_sent_whatever_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
