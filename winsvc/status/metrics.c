/* SPDX-License-Identifier: Apache-2.0
 * One function per metric family: OpenMetrics wants all samples of a family in one piece, behind
 * its TYPE and HELP.
 */
#include "status/metrics.h"

#include "base/text.h"
#include "base/util.h"
#include "ipc/peer_text.h"
#include "status/snapshot.h"
#include "status/status_server.h"

#include <inttypes.h>

enum { LABEL_MAX = 256 };

/* ---- writing ----------------------------------------------------------------------------- */

static void put_family(struct text *t, const char *name, const char *type, const char *help)
{
    text_printf(t, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* A label's value as the format wants it: UTF-8, with backslash, quote and newline escaped. */
static const char *label(const char *value, char buf[static LABEL_MAX * 2])
{
    char clean[LABEL_MAX];
    char *to = buf;

    peer_text_copy(clean, sizeof clean, value);
    for (const char *p = clean; *p; p++) {
        if (*p == '\\' || *p == '"' || *p == '\n')
            *to++ = '\\';
        *to++ = *p == '\n' ? 'n' : *p;
    }
    *to = '\0';
    return buf;
}

/* ---- families ---------------------------------------------------------------------------- */

static void put_program(struct text *t, const struct snapshot *s)
{
    char version[LABEL_MAX * 2], program[LABEL_MAX * 2];

    put_family(t, "rdlink_build", "info", "The program that is asked.");
    text_printf(t, "rdlink_build_info{program=\"%s\",version=\"%s\"} 1\n",
                label(s->program, program), label(s->version, version));
    put_family(t, "rdlink_start_time_seconds", "gauge", "When it was started.");
    text_printf(t, "rdlink_start_time_seconds %" PRId64 ".%03" PRId64 "\n", s->started_ms / 1000,
                s->started_ms % 1000);
    put_family(t, "rdlink_ready", "gauge", "1 while docker and the network work.");
    text_printf(t, "rdlink_ready %d\n", s->ready);
    put_family(t, "rdlink_left_out", "gauge", "Parts for which the status has no room.");
    text_printf(t, "rdlink_left_out %u\n", s->left_out);
    put_family(t, "rdlink_phase", "stateset", "All of it in one word.");
    for (unsigned p = 0; p < PHASE_COUNT; p++)
        text_printf(t, "rdlink_phase{rdlink_phase=\"%s\"} %d\n", snapshot_phase_name(p),
                    p == s->phase);
}

static void put_set(struct text *t, const char *of, const char *name,
                    const struct condition_set *set)
{
    static const enum condition_status all[] = { COND_TRUE, COND_FALSE, COND_UNKNOWN };
    char named[LABEL_MAX * 2], type[LABEL_MAX * 2];

    for (unsigned i = 0; i < set->count; i++)
        for (unsigned k = 0; k < ARRAY_SIZE(all); k++)
            text_printf(t, "rdlink_condition{of=\"%s\",name=\"%s\",type=\"%s\",status=\"%s\"} %d\n",
                        of, label(name, named), label(set->items[i].type, type),
                        condition_status_name(all[k]), set->items[i].status == all[k]);
}

static void put_conditions(struct text *t, const struct snapshot *s)
{
    put_family(t, "rdlink_condition", "gauge", "1 for the status that a condition has.");
    put_set(t, "rdlink", s->program, &s->conditions);
    for (unsigned i = 0; i < s->component_count; i++)
        put_set(t, "component", s->components[i].name, &s->components[i].conditions);
    for (unsigned i = 0; i < s->instance_count; i++) {
        put_set(t, "instance", s->instances[i].vm, &s->instances[i].conditions);
        put_set(t, "bridge", s->instances[i].vm, &s->instances[i].bridge.conditions);
        put_set(t, "net", s->instances[i].vm, &s->instances[i].net.conditions);
    }
}

static void put_components(struct text *t, const struct snapshot *s)
{
    char name[LABEL_MAX * 2];

    put_family(t, "rdlink_component_serving", "gauge", "1 while the component does its job.");
    for (unsigned i = 0; i < s->component_count; i++)
        text_printf(t, "rdlink_component_serving{component=\"%s\"} %d\n",
                    label(s->components[i].name, name), s->components[i].state == HEALTH_SERVING);
    put_family(t, "rdlink_component_restarts", "counter", "Times its process was started again.");
    for (unsigned i = 0; i < s->component_count; i++)
        text_printf(t, "rdlink_component_restarts_total{component=\"%s\"} %" PRIu64 "\n",
                    label(s->components[i].name, name), s->components[i].restarts);
    put_family(t, "rdlink_component_crash_loop", "gauge", "1 while it ends again and again.");
    for (unsigned i = 0; i < s->component_count; i++)
        text_printf(t, "rdlink_component_crash_loop{component=\"%s\"} %d\n",
                    label(s->components[i].name, name), s->components[i].crash_loop);
}

static void put_values(struct text *t, const char *family, const char *key, const char *value,
                       const struct snapshot_counters *counters)
{
    char named[LABEL_MAX * 2], name[LABEL_MAX * 2];

    for (unsigned i = 0; i < counters->count; i++)
        text_printf(t, "%s{%s=\"%s\",name=\"%s\"} %" PRIu64 "\n", family, key, label(value, named),
                    label(counters->items[i].name, name), counters->items[i].value);
}

static void put_counters(struct text *t, const struct snapshot *s)
{
    static const char component[] = "rdlink_component_value", instance[] = "rdlink_instance_value",
                      bridge[] = "rdlink_bridge_value", net[] = "rdlink_net_value";

    put_family(t, component, "unknown", "What a worker counts.");
    for (unsigned i = 0; i < s->component_count; i++)
        put_values(t, component, "component", s->components[i].name, &s->components[i].counters);
    put_family(t, instance, "unknown", "What is counted about a virtual machine.");
    for (unsigned i = 0; i < s->instance_count; i++)
        put_values(t, instance, "vm", s->instances[i].vm, &s->instances[i].counters);
    put_family(t, bridge, "unknown", "What rdlink-agent bridge in a virtual machine counts.");
    for (unsigned i = 0; i < s->instance_count; i++)
        put_values(t, bridge, "vm", s->instances[i].vm, &s->instances[i].bridge.counters);
    put_family(t, net, "unknown", "What rdlink-agent net in a virtual machine counts.");
    for (unsigned i = 0; i < s->instance_count; i++)
        put_values(t, net, "vm", s->instances[i].vm, &s->instances[i].net.counters);
}

static void put_instances(struct text *t, const struct snapshot *s)
{
    char vm[LABEL_MAX * 2];

    put_family(t, "rdlink_instance_state", "stateset", "How far the way to its guest is open.");
    for (unsigned i = 0; i < s->instance_count; i++)
        for (unsigned k = 0; k < SESSION_STATE_COUNT; k++)
            text_printf(t, "rdlink_instance_state{vm=\"%s\",rdlink_instance_state=\"%s\"} %d\n",
                        label(s->instances[i].vm, vm), session_state_name(k),
                        s->instances[i].state == k);
}

static void put_endpoints(struct text *t, const struct snapshot *s)
{
    char name[LABEL_MAX * 2];

    put_family(t, "rdlink_endpoint_state", "stateset", "Whether clients find it at its name.");
    for (unsigned i = 0; i < s->endpoint_count; i++)
        for (unsigned k = 0; k < SNAPSHOT_ENDPOINT_STATE_COUNT; k++)
            text_printf(t,
                        "rdlink_endpoint_state{endpoint=\"%s\",rdlink_endpoint_state=\"%s\"} %d\n",
                        label(s->endpoints[i].name, name), snapshot_endpoint_state_name(k),
                        s->endpoints[i].state == k);
}

static void put_log(struct text *t, const struct snapshot *s)
{
    put_family(t, "rdlink_log_dropped", "counter", "Lines that did not get into the log's file.");
    text_printf(t, "rdlink_log_dropped_total %" PRIu64 "\n", s->log.dropped);
    if (!s->config.is_known)
        return;
    put_family(t, "rdlink_config_generation", "gauge", "Which configuration since the start.");
    text_printf(t, "rdlink_config_generation %" PRIu64 "\n", s->config.generation);
    put_family(t, "rdlink_config_pending", "gauge", "Options that wait for the next start.");
    text_printf(t, "rdlink_config_pending %u\n", s->config.pending.count);
}

static void put_readers(struct text *t, const struct status_server_stats *readers)
{
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        { "rdlink_status_connections", "Readers that connected.", readers->connections },
        { "rdlink_status_requests", "What they asked.", readers->requests },
        { "rdlink_status_not_modified", "Answered that nothing has changed.",
          readers->not_modified },
        { "rdlink_status_rejected", "Answered that the request is wrong or not allowed.",
          readers->rejected },
        { "rdlink_status_evicted", "Readers closed to make room.", readers->evicted },
        { "rdlink_status_timed_out", "Readers cut by a deadline.", readers->timed_out },
        { "rdlink_status_renders", "Texts made for them.", readers->renders },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(counters); i++) {
        put_family(t, counters[i].name, "counter", counters[i].help);
        text_printf(t, "%s_total %" PRIu64 "\n", counters[i].name, counters[i].value);
    }
    put_family(t, "rdlink_status_readers", "gauge", "Readers now.");
    text_printf(t, "rdlink_status_readers %u\n", readers->active);
    put_family(t, "rdlink_status_waiting", "gauge", "Readers that wait for a change.");
    text_printf(t, "rdlink_status_waiting %u\n", readers->waiting);
}

enum status metrics_render(const struct snapshot *s, const struct status_server_stats *readers,
                           char **text, size_t *len_bytes)
{
    struct text t = { 0 };
    char *chars;

    put_program(&t, s);
    put_conditions(&t, s);
    put_components(&t, s);
    put_instances(&t, s);
    put_endpoints(&t, s);
    put_counters(&t, s);
    put_log(&t, s);
    put_readers(&t, readers);
    text_printf(&t, "# EOF\n");
    chars = text_take(&t, len_bytes);
    if (!chars)
        return ST_NOMEM;
    *text = chars;
    return ST_OK;
}
