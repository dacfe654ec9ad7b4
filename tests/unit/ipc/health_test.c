/* SPDX-License-Identifier: Apache-2.0
 * Health reports as values, and text of peers made safe.
 */
#include "base/util.h"
#include "ipc/health.h"
#include "ipc/peer_text.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"

#include <string.h>

static void fill(struct health_report *r)
{
    struct health_component *c;

    memset(r, 0, sizeof *r);
    r->sequence = 7;
    c = health_add(r, "docker");
    c->state = HEALTH_SERVING;
    condition_update(&c->conditions, "Listening", COND_TRUE, "Open", 1000, "on %s", "npipe:x");
    condition_update(&c->conditions, "Target", COND_FALSE, "NoGuest", 2000, "no guest yet");
    health_count(c, "accepted", UINT64_MAX);
    health_count(c, "refused", 0);
    c = health_add(r, "switch");
    c->state = HEALTH_NOT_SERVING;
}

static void a_report_survives_the_wire(void **state)
{
    struct health_report sent, got;
    Rdlink__V1__HealthReport *msg = NULL, *arrived;
    uint8_t wire[1024];
    size_t n;

    fill(&sent);
    sent.wall_ms = 1795309200000;
    assert_int_equal(health_encode(&sent, &msg), ST_OK);
    assert_true(rdlink__v1__health_report__get_packed_size(msg) <= sizeof wire);
    n = rdlink__v1__health_report__pack(msg, wire);
    health_message_free(msg);
    arrived = rdlink__v1__health_report__unpack(NULL, n, wire);
    assert_non_null(arrived);
    health_decode(&got, arrived);
    rdlink__v1__health_report__free_unpacked(arrived, NULL);

    assert_true(health_is_same(&sent, &got));
    assert_int_equal(got.wall_ms, 1795309200000);
    assert_int_equal(got.sequence, 7);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.ignored, 0);
    assert_int_equal(got.components[0].counter_count, 2);
    assert_true(got.components[0].counters[0].value == UINT64_MAX);
    assert_int_equal(got.components[0].conditions.items[1].last_transition_ms, 2000);
    assert_int_equal(got.components[0].conditions.generation, 2);
    assert_ptr_equal(health_find(&got, "switch"), &got.components[1]);
    assert_null(health_find(&got, "none"));
}

static void counters_and_times_are_no_change_all_else_is(void **state)
{
    struct health_report a, b;

    fill(&a);
    fill(&b);
    b.sequence++;
    b.components[0].counters[0].value = 1;
    b.components[0].conditions.items[0].last_transition_ms++;
    assert_true(health_is_same(&a, &b));
    b.components[1].state = HEALTH_SERVING;
    assert_false(health_is_same(&a, &b));
    fill(&b);
    condition_update(&b.components[0].conditions, "Target", COND_FALSE, "NoGuest", 1, "other");
    assert_false(health_is_same(&a, &b));
    fill(&b);
    b.count = 1;
    assert_false(health_is_same(&a, &b));
}

static void what_is_above_the_bounds_is_counted_and_left_out(void **state)
{
    enum { MANY = 100 };
    Rdlink__V1__HealthReport msg = RDLINK__V1__HEALTH_REPORT__INIT;
    Rdlink__V1__ComponentHealth component = RDLINK__V1__COMPONENT_HEALTH__INIT;
    Rdlink__V1__ComponentHealth *components[MANY];
    Rdlink__V1__Condition condition = RDLINK__V1__CONDITION__INIT;
    Rdlink__V1__Condition *conditions[MANY];
    Rdlink__V1__Counter counter = RDLINK__V1__COUNTER__INIT;
    Rdlink__V1__Counter *counters[MANY];
    struct health_report got;

    for (int i = 0; i < MANY; i++) {
        components[i] = &component;
        conditions[i] = &condition;
        counters[i] = &counter;
    }
    component.n_conditions = component.n_counters = MANY;
    component.conditions = conditions;
    component.counters = counters;
    component.state = (Rdlink__V1__ServingState)77;
    condition.status = (Rdlink__V1__ConditionStatus)77;
    msg.n_components = MANY;
    msg.components = components;
    health_decode(&got, &msg);
    assert_int_equal(got.count, HEALTH_MAX_COMPONENTS);
    assert_int_equal(got.components[3].conditions.count, CONDITION_SET_MAX);
    assert_int_equal(got.components[3].counter_count, HEALTH_MAX_COUNTERS);
    assert_int_equal(got.ignored, (MANY - HEALTH_MAX_COMPONENTS) +
                                      HEALTH_MAX_COMPONENTS * ((MANY - CONDITION_SET_MAX) +
                                                               (MANY - HEALTH_MAX_COUNTERS)));
    assert_string_equal(health_state_name(got.components[0].state), "UNKNOWN");
    assert_int_equal(got.components[0].conditions.items[0].status, COND_UNKNOWN);
    assert_string_equal(got.components[0].conditions.items[0].reason, "Unknown");
}

static void a_full_report_takes_no_more(void **state)
{
    struct health_report r = { 0 };
    struct health_component *c = NULL;

    for (int i = 0; i < HEALTH_MAX_COMPONENTS; i++) {
        c = health_add(&r, "x");
        assert_non_null(c);
    }
    assert_null(health_add(&r, "x"));
    for (int i = 0; i < HEALTH_MAX_COUNTERS + 5; i++)
        health_count(c, "n", 1);
    assert_int_equal(c->counter_count, HEALTH_MAX_COUNTERS);
}

static void encoding_reports_running_out_of_memory(void **state)
{
    struct health_report r;
    Rdlink__V1__HealthReport *msg = NULL;

    fill(&r);
    alloc_fail_after(0);
    assert_int_equal(health_encode(&r, &msg), ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_null(msg);
    health_message_free(NULL);
}

static void serving_states_have_grpcs_names(void **state)
{
    assert_string_equal(health_state_name(HEALTH_SERVING), "SERVING");
    assert_string_equal(health_state_name(HEALTH_NOT_SERVING), "NOT_SERVING");
    assert_string_equal(health_state_name(HEALTH_SERVICE_UNKNOWN), "SERVICE_UNKNOWN");
    assert_string_equal(health_state_name((enum health_state) - 1), "UNKNOWN");
}

static const struct text_row {
    const char *name;
    const char *text;
    const char *want;
    size_t cap;
} text_rows[] = {
    { "nothing", NULL, "", 8 },
    { "plain", "docker", "docker", 8 },
    { "cut", "docker endpoint", "docker ", 8 },
    { "room for the end only", "x", "", 1 },
    { "two, three and four bytes", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3",
      "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3", 16 },
    { "cut before a character", "abc\xe2\x82\xac", "abc", 6 },
    { "lone continuation", "a\x80z", "a?z", 8 },
    { "cut-off character at the end", "a\xe2\x82", "a??", 8 },
    { "overlong slash", "\xc0\xaf", "??", 8 },
    { "overlong of three", "\xe0\x80\xaf", "???", 8 },
    { "overlong of four", "\xf0\x80\x80\xaf", "????", 8 },
    { "surrogate", "\xed\xa0\x80", "???", 8 },
    { "above the last code point", "\xf4\x90\x80\x80", "????", 8 },
    { "never a lead byte", "\xff\xfe", "??", 8 },
    { "escape, newline and delete", "\x1b[2J\n\x7f", "?[2J??", 16 },
    { "C1 control", "a\xc2\x9bz", "a?z", 8 },
};

static void text_of_peers_is_made_safe(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(text_rows); i++) {
        char got[16];

        print_message("row: %s\n", text_rows[i].name);
        memset(got, 'x', sizeof got);
        peer_text_copy(got, text_rows[i].cap, text_rows[i].text);
        assert_string_equal(got, text_rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_survives_the_wire),
        cmocka_unit_test(counters_and_times_are_no_change_all_else_is),
        cmocka_unit_test(what_is_above_the_bounds_is_counted_and_left_out),
        cmocka_unit_test(a_full_report_takes_no_more),
        cmocka_unit_test(encoding_reports_running_out_of_memory),
        cmocka_unit_test(serving_states_have_grpcs_names),
        cmocka_unit_test(text_of_peers_is_made_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
