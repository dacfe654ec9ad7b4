/* SPDX-License-Identifier: Apache-2.0
 * From a snapshot to the rows of a user interface: each type of trouble is its row, and only that.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "status/diagnostics.h"
#include "status/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct snapshot_clock clock_zero = { .set = true, .offset_ms = 0 };

static void set(struct condition_set *to, const char *type, enum condition_status status,
                const char *reason)
{
    (void)condition_update(to, type, status, reason, 5000, "so it is");
}

/* All is well, and every condition that a row stands for is there. */
static struct snapshot *good_snapshot(void)
{
    struct worker_view w = { .name = "docker", .state = WORKER_RUNNING, .pid = 7 };
    struct session_view *v = calloc(1, sizeof *v);
    struct snapshot *s = calloc(1, sizeof *s);
    struct snapshot_component *c;

    assert_non_null(v);
    assert_non_null(s);
    snapshot_init(s, "rdlinkd", "1", 1, 1000);
    s->source_exists = true;
    c = snapshot_add_worker(s, &w, &clock_zero);
    set(&c->conditions, "DockerReachable", COND_TRUE, "EngineAnswers");
    set(&c->conditions, "SubnetClear", COND_TRUE, "NoOverlap");
    set(&c->conditions, "ForwardsBound", COND_TRUE, "AllBound");
    snprintf(v->vm_id, sizeof v->vm_id, "vm1");
    v->bridge.reports = v->net.reports = true;
    set(&v->conditions, "GuestFound", COND_TRUE, "ControlOpen");
    set(&v->conditions, "LinkUp", COND_TRUE, "Linked");
    set(&v->conditions, "AgentHealthy", COND_TRUE, "Serving");
    set(&v->conditions, "NetAgentHealthy", COND_TRUE, "Serving");
    set(&v->bridge.conditions, "DockerSocketReady", COND_TRUE, "Connected");
    set(&v->bridge.conditions, "DockerSocketTrusted", COND_TRUE, "OwnerExpected");
    (void)snapshot_add_session(s, v, &clock_zero);
    (void)snapshot_add_endpoint(s, "docker", SNAPSHOT_ENDPOINT_LISTENING, "unix:/a", "unix:/a",
                                2000);
    set(&s->conditions, "NetworkReady", COND_TRUE, "GuestOnline");
    free(v);
    return s;
}

static void no_machine(struct snapshot *s)
{
    s->instance_count = 0;
}

static void no_source(struct snapshot *s)
{
    s->instance_count = 0;
    s->source_exists = false;
}

static void taken(struct snapshot *s)
{
    s->endpoints[0].state = SNAPSHOT_ENDPOINT_TAKEN;
}

static void off(struct snapshot *s)
{
    s->endpoints[0].state = SNAPSHOT_ENDPOINT_OFF;
}

static void fallback(struct snapshot *s)
{
    s->endpoints[0].state = SNAPSHOT_ENDPOINT_FALLBACK;
}

static void crash_loop(struct snapshot *s)
{
    s->components[0].crash_loop = true;
}

static void restarting(struct snapshot *s)
{
    s->components[0].process = WORKER_BACKOFF;
    s->components[0].last_exit.any = true;
}

static void starting(struct snapshot *s)
{
    s->components[0].process = WORKER_STARTING;
}

static const struct row {
    const char *id, *category;
    void (*disturb)(struct snapshot *s); /* NULL: ... */
    const char *type;                    /* ... this condition becomes False */
    const char *reason;
} rows[] = {
    { "RDLINK_COMPONENTS", "Container Engine", crash_loop, NULL, "ComponentCrashLoop" },
    { "RDLINK_COMPONENTS", "Container Engine", restarting, NULL, "ComponentRestarting" },
    { "RDLINK_COMPONENTS", "Container Engine", starting, NULL, "ComponentStarting" },
    { "RDLINK_DOCKER_ENDPOINT", "Container Engine", taken, NULL, "EndpointTaken" },
    { "RDLINK_DOCKER_ENDPOINT", "Container Engine", off, NULL, "EndpointOff" },
    { "RDLINK_DOCKER_ENDPOINT", "Container Engine", fallback, NULL, "EndpointFallback" },
    { "RDLINK_VIRTUAL_MACHINE", "Container Engine", no_machine, NULL, "NoVirtualMachine" },
    { "RDLINK_VIRTUAL_MACHINE", "Container Engine", no_source, NULL, "SourceMissing" },
    { "RDLINK_GUEST_FOUND", "Container Engine", NULL, "GuestFound", "NoListener" },
    { "RDLINK_DOCKER_REACHABLE", "Container Engine", NULL, "DockerReachable", "EngineSilent" },
    { "RDLINK_AGENT", "Container Engine", NULL, "AgentHealthy", "NoReport" },
    { "RDLINK_DOCKER_SOCKET", "Container Engine", NULL, "DockerSocketReady", "SocketMissing" },
    { "RDLINK_DOCKER_SOCKET_TRUSTED", "Container Engine", NULL, "DockerSocketTrusted",
      "OwnerUnexpected" },
    { "RDLINK_NETWORK", "Networking", NULL, "NetworkReady", "SwitchDown" },
    { "RDLINK_LINK", "Networking", NULL, "LinkUp", "LinkLost" },
    { "RDLINK_NET_AGENT", "Networking", NULL, "NetAgentHealthy", "NotServing" },
    { "RDLINK_SUBNET", "Networking", NULL, "SubnetClear", "SubnetOverlap" },
    { "RDLINK_FORWARDS", "Networking", NULL, "ForwardsBound", "PortTaken" },
};

/* In whichever of the sets that have it. */
static void make_false(struct snapshot *s, const char *type, const char *reason)
{
    struct condition_set *sets[] = { &s->conditions, &s->components[0].conditions,
                                     &s->instances[0].conditions,
                                     &s->instances[0].bridge.conditions };
    unsigned changed = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
        if (!condition_find(sets[i], type))
            continue;
        set(sets[i], type, COND_FALSE, reason);
        changed++;
    }
    assert_int_equal(changed, 1);
}

static void every_row_passes_when_all_is_well(void **state)
{
    struct diagnostic out[DIAGNOSTIC_ROWS];
    struct snapshot *s = good_snapshot();

    diagnostics_of(s, out);
    for (unsigned i = 0; i < DIAGNOSTIC_ROWS; i++) {
        if (!out[i].passed)
            fail_msg("%s: %s", out[i].id, out[i].description);
        assert_true(out[i].description[0]);
        assert_string_equal(out[i].documentation, "");
        assert_null(out[i].fix);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(out[k].id, out[i].id);
    }
    free(s);
}

static bool is_shown(const char *id)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].id, id))
            return true;
    return false;
}

static void each_trouble_is_its_row_and_no_other(void **state)
{
    for (unsigned r = 0; r < ARRAY_SIZE(rows); r++) {
        struct diagnostic out[DIAGNOSTIC_ROWS];
        struct snapshot *s = good_snapshot();
        char anchor[80];

        print_message("row: %s\n", rows[r].reason);
        if (rows[r].disturb)
            rows[r].disturb(s);
        else
            make_false(s, rows[r].type, rows[r].reason);
        diagnostics_of(s, out);
        snprintf(anchor, sizeof anchor, "docs/troubleshooting.md#%s", rows[r].reason);
        for (unsigned i = 0; i < DIAGNOSTIC_ROWS; i++) {
            bool is_it = !strcmp(out[i].id, rows[r].id);

            assert_true(is_shown(out[i].id));
            assert_int_equal(out[i].passed, !is_it);
            if (!is_it)
                continue;
            assert_string_equal(out[i].category, rows[r].category);
            assert_non_null(strstr(out[i].description, rows[r].reason));
            assert_int_equal(strcasecmp(out[i].documentation, anchor), 0);
            assert_null(strpbrk(strchr(out[i].documentation, '#'), "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
            assert_non_null(out[i].fix);
        }
        free(s);
    }
}

static void unknown_does_not_apply(void **state)
{
    struct diagnostic out[DIAGNOSTIC_ROWS];
    struct snapshot *s = good_snapshot();

    set(&s->conditions, "NetworkReady", COND_UNKNOWN, "ControlOnly");
    diagnostics_of(s, out);
    for (unsigned i = 0; i < DIAGNOSTIC_ROWS; i++)
        assert_true(out[i].passed);
    free(s);
}

static void last_update_is_the_latest_change_of_any_part(void **state)
{
    struct snapshot *s = good_snapshot();

    assert_int_equal(diagnostics_last_update_ms(s), 5000);
    s->endpoints[0].since_ms = 6000;
    assert_int_equal(diagnostics_last_update_ms(s), 6000);
    (void)condition_update(&s->instances[0].net.conditions, "LinkUp", COND_FALSE, "LinkLost", 7000,
                           "gone");
    assert_int_equal(diagnostics_last_update_ms(s), 7000);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_passes_when_all_is_well),
        cmocka_unit_test(each_trouble_is_its_row_and_no_other),
        cmocka_unit_test(unknown_does_not_apply),
        cmocka_unit_test(last_update_is_the_latest_change_of_any_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
