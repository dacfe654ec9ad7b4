/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "status/snapshot.h"
#include "status/status_body.h"

#include <stdlib.h>
#include <string.h>

enum { COUNTER_MS = 5000 };

struct fixture {
    struct status_body *body;
    unsigned fills;
    uint64_t counter; /* what the owner shows */
    enum snapshot_phase phase;
    struct status_body_view view;
    bool not_modified;
};

static void fill(void *ctx, struct snapshot *out)
{
    static const struct snapshot_clock clock = { .set = true };
    struct worker_view w = { .name = "docker", .state = WORKER_RUNNING };
    struct fixture *f = ctx;

    f->fills++;
    snapshot_init(out, "rdlinkd", "0.1.0", 255, 4096);
    out->phase = f->phase;
    snapshot_counter_set(&snapshot_add_worker(out, &w, &clock)->counters, "accepted", f->counter);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(status_body_new(&f->body, COUNTER_MS, fill, f), ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    status_body_free(f->body);
    free(f);
    return 0;
}

static void get(struct fixture *f, const char *if_none_match, uint64_t now_ms)
{
    assert_int_equal(status_body_get(f->body, if_none_match, now_ms, &f->view, &f->not_modified),
                     ST_OK);
}

static void first_get_is_generation_one(void **state)
{
    struct fixture *f = *state;

    get(f, NULL, 0);
    assert_string_equal(f->view.etag, "\"1000-ff-1\"");
    assert_non_null(strstr(f->view.text, "\"generation\":1,"));
    assert_int_equal(f->view.len_bytes, strlen(f->view.text));
    assert_false(f->not_modified);
}

static void text_is_reused_for_a_moment(void **state)
{
    struct fixture *f = *state;

    get(f, NULL, 1000);
    f->counter++;
    get(f, NULL, 1000 + STATUS_BODY_MIN_AGE_MS - 1);
    assert_int_equal(f->fills, 1);
    assert_int_equal(status_body_renders(f->body), 1);
}

static void a_reader_without_tag_sees_the_present_counters(void **state)
{
    struct fixture *f = *state;

    get(f, NULL, 1000);
    f->counter = 7;
    get(f, NULL, 1000 + STATUS_BODY_MIN_AGE_MS);
    assert_non_null(strstr(f->view.text, "\"accepted\":7"));
    assert_string_equal(f->view.etag, "\"1000-ff-2\"");
}

static void nothing_new_keeps_the_generation(void **state)
{
    struct fixture *f = *state;

    get(f, NULL, 0);
    get(f, NULL, 60000);
    status_body_changed(f->body);
    get(f, NULL, 60001);
    assert_int_equal(f->fills, 3);
    assert_string_equal(f->view.etag, "\"1000-ff-1\"");
}

static void a_poller_is_not_woken_by_counters_alone(void **state)
{
    struct fixture *f = *state;

    get(f, NULL, 0);
    f->counter++;
    get(f, "\"1000-ff-1\"", COUNTER_MS - 1);
    assert_true(f->not_modified);
    assert_int_equal(f->fills, 1);
    get(f, "\"1000-ff-1\"", COUNTER_MS);
    assert_false(f->not_modified);
    assert_string_equal(f->view.etag, "\"1000-ff-2\"");
}

static void a_poller_is_told_of_a_change_at_once(void **state)
{
    struct fixture *f = *state;

    get(f, NULL, 1000);
    f->phase = PHASE_STOPPING;
    status_body_changed(f->body);
    get(f, "\"1000-ff-1\"", 1000);
    assert_false(f->not_modified);
    get(f, "\"1000-ff-2\"", 1000);
    assert_true(f->not_modified);
    assert_int_equal(f->fills, 2);
}

static void a_stale_tag_gets_the_present_text(void **state)
{
    struct fixture *f = *state;

    get(f, NULL, 0);
    f->counter++;
    get(f, "\"0-0-1\"", 200);
    assert_false(f->not_modified);
    assert_non_null(strstr(f->view.text, "\"accepted\":1"));
}

static void tags_match_as_the_rfc_has_it(void **state)
{
    static const struct {
        const char *header;
        bool want;
    } rows[] = {
        { "\"a-1\"", true },
        { "W/\"a-1\"", true },
        { "\"x\", \"a-1\"", true },
        { " \"x\" ,W/\"y\",\"a-1\" ", true },
        { "*", true },
        { "\"a-1", false },
        { "a-1", false },
        { "\"a-11\"", false },
        { "\"a-\"", false },
        { "", false },
        { ",,,", false },
        { "\"x\" \"", false },
        { "W/", false },
        { "\"x\", y, \"a-1\"", false },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (status_etag_matches(rows[i].header, "\"a-1\"") != rows[i].want)
            fail_msg("row %u: %s", i, rows[i].header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_get_is_generation_one, setup, teardown),
        cmocka_unit_test_setup_teardown(text_is_reused_for_a_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_without_tag_sees_the_present_counters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_new_keeps_the_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(a_poller_is_not_woken_by_counters_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_poller_is_told_of_a_change_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_tag_gets_the_present_text, setup, teardown),
        cmocka_unit_test(tags_match_as_the_rfc_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
