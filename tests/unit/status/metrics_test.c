/* SPDX-License-Identifier: Apache-2.0
 * What the text says; that it is OpenMetrics is asked of another project's parser, in
 * tests/system/linux/status_test.py.
 */
#include "support/cmocka_all.h"

#include "status/metrics.h"
#include "status/snapshot.h"
#include "status/status_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct status_server_stats readers = { .connections = 1,
                                                    .active = 2,
                                                    .requests = 3,
                                                    .not_modified = 4,
                                                    .rejected = 5,
                                                    .evicted = 6,
                                                    .timed_out = 7,
                                                    .waiting = 8,
                                                    .renders = 9 };

static char *render(const struct snapshot *s)
{
    size_t len;
    char *text;

    assert_int_equal(metrics_render(s, &readers, &text, &len), ST_OK);
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

static void what_the_service_counts_of_itself_is_there(void **state)
{
    static const char *const want[] = {
        "rdlink_log_dropped_total 11\n",
        "rdlink_config_generation 12\n",
        "rdlink_config_pending 2\n",
        "rdlink_status_connections_total 1\n",
        "rdlink_status_readers 2\n",
        "rdlink_status_requests_total 3\n",
        "rdlink_status_not_modified_total 4\n",
        "rdlink_status_rejected_total 5\n",
        "rdlink_status_evicted_total 6\n",
        "rdlink_status_timed_out_total 7\n",
        "rdlink_status_waiting 8\n",
        "rdlink_status_renders_total 9\n",
    };
    struct snapshot *s = calloc(1, sizeof *s);
    char *text;

    assert_non_null(s);
    snapshot_init(s, "rdlinkd", "0.1.0", 255, 4096);
    s->log.dropped = 11;
    s->config.is_known = true;
    s->config.generation = 12;
    s->config.pending.count = 2;
    text = render(s);
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++)
        expect(text, want[i]);
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
        cmocka_unit_test(what_the_service_counts_of_itself_is_there),
        cmocka_unit_test(a_label_cannot_break_the_text),
        cmocka_unit_test(the_largest_snapshot_is_rendered_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
