/* SPDX-License-Identifier: Apache-2.0
 * What the text says; that it is OpenMetrics is asked of another project's parser, in
 * tests/system/linux/status_test.py.
 */
#include "support/cmocka_all.h"

#include "status/metrics.h"
#include "status/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *render(const struct snapshot *s)
{
    size_t len;
    char *text;

    assert_int_equal(metrics_render(s, &text, &len), ST_OK);
    assert_int_equal(strlen(text), len);
    return text;
}

static void expect(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("'%s' is not in:\n%s", line, text);
}

static void every_part_has_its_samples(void **state)
{
    struct snapshot *s = calloc(1, sizeof *s);
    struct worker_view worker = { .name = "docker", .restarts = 3 };
    struct session_view session = { .vm_id = "vm1", .state = SESSION_LINKED, .probes = 7 };
    struct snapshot_clock clock = { .set = true };
    struct snapshot_component *c;
    char *text;

    assert_non_null(s);
    snapshot_init(s, "rdlinkd", "0.1.0", 255, 4096);
    c = snapshot_add_worker(s, &worker, &clock);
    snapshot_counter_set(&c->counters, "accepted", 18446744073709551615u);
    snapshot_add_session(s, &session, &clock);
    snapshot_add_endpoint(s, "docker", SNAPSHOT_ENDPOINT_FALLBACK, "unix:/a", "unix:/b", 1);
    s->phase = PHASE_READY;
    s->ready = true;
    s->left_out = 2;
    text = render(s);
    expect(text, "rdlink_build_info{program=\"rdlinkd\",version=\"0.1.0\"} 1\n");
    expect(text, "rdlink_start_time_seconds 4.096\n");
    expect(text, "rdlink_ready 1\n");
    expect(text, "rdlink_left_out 2\n");
    expect(text, "rdlink_phase{rdlink_phase=\"Ready\"} 1\n");
    expect(text, "rdlink_phase{rdlink_phase=\"Waiting\"} 0\n");
    expect(text, "rdlink_component_restarts_total{component=\"docker\"} 3\n");
    expect(text, "rdlink_component_value{component=\"docker\",name=\"accepted\"} "
                 "18446744073709551615\n");
    expect(text, "rdlink_instance_state{vm=\"vm1\",rdlink_instance_state=\"linked\"} 1\n");
    expect(text, "rdlink_endpoint_state{endpoint=\"docker\",rdlink_endpoint_state=\"fallback\"} 1");
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    free(text);
    free(s);
}

static void a_label_cannot_break_the_text(void **state)
{
    struct snapshot *s = calloc(1, sizeof *s);
    struct snapshot_clock clock = { .set = true };
    struct session_view session = { .vm_id = "a\\b\"c\nd\xff" };
    char *text;

    assert_non_null(s);
    snapshot_init(s, "rdlinkd", "0.1.0", 255, 4096);
    snapshot_add_session(s, &session, &clock);
    text = render(s);
    expect(text, "{vm=\"a\\\\b\\\"c?d?\",");
    free(text);
    free(s);
}

/* All bounds reached, with the longest names: the text grows as it must. */
static void the_largest_snapshot_is_rendered_whole(void **state)
{
    struct snapshot *s = calloc(1, sizeof *s);
    struct snapshot_clock clock = { .set = true };
    struct session_view session = { .vm_id = "vm" };
    char *text;

    assert_non_null(s);
    snapshot_init(s, "rdlinkd", "0.1.0", 255, 4096);
    for (unsigned i = 0; i < SNAPSHOT_MAX_INSTANCES; i++) {
        struct snapshot_instance *to = snapshot_add_session(s, &session, &clock);

        assert_non_null(to);
        for (unsigned k = 0; k < HEALTH_MAX_COUNTERS; k++) {
            char name[HEALTH_NAME_MAX];

            snprintf(name, sizeof name, "a_counter_with_a_rather_long_name_%u", k);
            snapshot_counter_set(&to->bridge.counters, name, k);
        }
    }
    text = render(s);
    assert_true(strlen(text) > (size_t)SNAPSHOT_MAX_INSTANCES * HEALTH_MAX_COUNTERS * 60);
    free(text);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_has_its_samples),
        cmocka_unit_test(a_label_cannot_break_the_text),
        cmocka_unit_test(the_largest_snapshot_is_rendered_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
