/* SPDX-License-Identifier: Apache-2.0
 * Holds the JSON and docs/status.schema.json to each other: what the program writes is described,
 * what is described is written. The walker below knows only the keywords that the schema uses and
 * fails on any other, so that a new keyword cannot go unchecked.
 */
#include "support/cmocka_all.h"

#include "port/stream.h"
#include "status/snapshot.h"
#include "status/status_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a small JSON Schema ---------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const cJSON *resolve(const cJSON *root, const cJSON *schema)
{
    const cJSON *ref = member(schema, "$ref");
    const char *prefix = "#/$defs/";

    if (!ref)
        return schema;
    assert_memory_equal(ref->valuestring, prefix, strlen(prefix));
    schema = member(member(root, "$defs"), ref->valuestring + strlen(prefix));
    assert_non_null(schema);
    return schema;
}

static bool is_type(const cJSON *value, const char *type)
{
    if (!strcmp(type, "string"))
        return cJSON_IsString(value);
    if (!strcmp(type, "integer"))
        return cJSON_IsNumber(value) && value->valuedouble == (double)(int64_t)value->valuedouble;
    if (!strcmp(type, "boolean"))
        return cJSON_IsBool(value);
    if (!strcmp(type, "null"))
        return cJSON_IsNull(value);
    if (!strcmp(type, "array"))
        return cJSON_IsArray(value);
    return !strcmp(type, "object") && cJSON_IsObject(value);
}

static bool type_allows(const cJSON *type, const cJSON *value)
{
    const cJSON *t;

    if (cJSON_IsString(type))
        return is_type(value, type->valuestring);
    cJSON_ArrayForEach(t, type)
    {
        if (is_type(value, t->valuestring))
            return true;
    }
    return false;
}

static bool enum_allows(const cJSON *list, const char *text)
{
    const cJSON *e;

    cJSON_ArrayForEach(e, list)
    {
        if (!strcmp(e->valuestring, text))
            return true;
    }
    return false;
}

static void check(const cJSON *root, const cJSON *schema, const cJSON *value, const char *path);

static void check_object(const cJSON *root, const cJSON *schema, const cJSON *value,
                         const char *path)
{
    const cJSON *properties = member(schema, "properties"), *p;
    const cJSON *others = member(schema, "additionalProperties");
    char at[256];

    cJSON_ArrayForEach(p, value)
    {
        const cJSON *described = member(properties, p->string);

        snprintf(at, sizeof at, "%s.%s", path, p->string);
        if (!described && !others)
            fail_msg("%s is not in the schema", at);
        check(root, described ? described : others, p, at);
    }
    cJSON_ArrayForEach(p, properties)
    {
        if (!member(value, p->string))
            fail_msg("%s.%s is in the schema and not in the JSON", path, p->string);
        if (!enum_allows(member(schema, "required"), p->string))
            fail_msg("%s.%s is always there and the schema does not require it", path, p->string);
    }
}

static void check_array(const cJSON *root, const cJSON *schema, const cJSON *value,
                        const char *path)
{
    const cJSON *item;
    char at[256];
    int i = 0;

    cJSON_ArrayForEach(item, value)
    {
        snprintf(at, sizeof at, "%s[%d]", path, i++);
        check(root, member(schema, "items"), item, at);
    }
}

static void check_keyword(const cJSON *keyword, const cJSON *value, const char *path)
{
    const char *name = keyword->string;

    if (!strcmp(name, "type") && !type_allows(keyword, value))
        fail_msg("%s has the wrong type", path);
    else if (!strcmp(name, "enum") && !enum_allows(keyword, value->valuestring))
        fail_msg("%s is '%s'", path, value->valuestring);
    else if (!strcmp(name, "const") && strcmp(keyword->valuestring, value->valuestring))
        fail_msg("%s is '%s'", path, value->valuestring);
    else if (!strcmp(name, "minimum") && value->valuedouble < keyword->valuedouble)
        fail_msg("%s is below its minimum", path);
    else if (!strcmp(name, "format") && strlen(value->valuestring) != 24)
        fail_msg("%s is not a time: %s", path, value->valuestring);
}

static void check(const cJSON *root, const cJSON *schema, const cJSON *value, const char *path)
{
    static const char *const known[] = { "type",   "enum",       "const",    "minimum",
                                         "format", "properties", "required", "additionalProperties",
                                         "items",  "$ref",       "oneOf",    "description",
                                         "title",  "$schema",    "$defs" };
    const cJSON *one_of = member(schema, "oneOf"), *keyword;

    cJSON_ArrayForEach(keyword, schema)
    {
        bool is_known = false;

        for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
            is_known = is_known || !strcmp(known[i], keyword->string);
        if (!is_known)
            fail_msg("%s: this test does not know the keyword %s", path, keyword->string);
    }
    if (one_of) { /* null or something */
        assert_int_equal(cJSON_GetArraySize(one_of), 2);
        if (!cJSON_IsNull(value))
            check(root, cJSON_GetArrayItem(one_of, 1), value, path);
        return;
    }
    if (member(schema, "$ref")) {
        check(root, resolve(root, schema), value, path);
        return;
    }
    cJSON_ArrayForEach(keyword, schema)
    {
        check_keyword(keyword, value, path);
    }
    if (cJSON_IsObject(value))
        check_object(root, schema, value, path);
    if (cJSON_IsArray(value))
        check_array(root, schema, value, path);
}

static cJSON *load_schema(void)
{
    FILE *f = fopen(SCHEMA_PATH, "rb");
    size_t cap = 256 * 1024, len;
    char *text = malloc(cap);
    cJSON *schema;

    assert_non_null(f);
    assert_non_null(text);
    len = fread(text, 1, cap, f);
    assert_true(len < cap);
    fclose(f);
    schema = cJSON_ParseWithLength(text, len);
    assert_non_null(schema);
    free(text);
    return schema;
}

/* ---- snapshots --------------------------------------------------------------------------- */

static struct snapshot *empty_snapshot(void)
{
    struct snapshot *s = malloc(sizeof *s);
    struct condition_set own = { .count = 0 };

    assert_non_null(s);
    snapshot_init(s, "rdlinkd", "0.1.0", 42, 1763769600000);
    s->generation = 1;
    snapshot_conclude(s, &own, 1763769600000);
    return s;
}

/* Every optional object and field is there. */
static struct snapshot *full_snapshot(void)
{
    static const struct snapshot_clock clock = { .set = true, .offset_ms = 1763769600000 };
    struct snapshot *s = empty_snapshot();
    struct worker_view w = { .name = "docker",
                             .state = WORKER_BACKOFF,
                             .pid = 7,
                             .restarts = 3,
                             .next_start_ms = 9000,
                             .last_exit = { .any = true,
                                            .code = -1,
                                            .signal = 9,
                                            .reason = "Killed",
                                            .message = "signal 9",
                                            .wall_ms = 1763769601000 } };
    struct session_view *v = calloc(1, sizeof *v);
    struct snapshot_component *c = snapshot_add_worker(s, &w, &clock);
    struct snapshot_endpoint *e;

    assert_non_null(v);
    snprintf(c->control, sizeof c->control, "unix:/run/rdlink/switch-dev-v2");
    condition_update(&c->conditions, "DockerReachable", COND_FALSE, "NoTarget", 5, "none");
    snapshot_counter_set(&c->counters, "accepted", UINT64_C(9007199254740993));
    snprintf(v->vm_id, sizeof v->vm_id, "dev");
    v->addr.kind = ADDR_VSOCK_HYBRID;
    snprintf(v->addr.path, sizeof v->addr.path, "/vms/dev.vsock");
    v->generation = GUEST_V2;
    v->bridge.reports = true;
    v->bridge.pid = 300;
    v->bridge.proved = CHANNEL_PROVED;
    snprintf(v->bridge.instance, sizeof v->bridge.instance, "guest1");
    snprintf(v->bridge.version, sizeof v->bridge.version, "0.1.0");
    snprintf(v->last_error, sizeof v->last_error, "timed out");
    condition_update(&v->conditions, "GuestFound", COND_TRUE, "Answered", 5, "v2");
    condition_update(&v->bridge.conditions, "Accepting", COND_TRUE, "Listening", 5, "6660");
    v->bridge.counters[0] = (struct health_counter){ .name = "accepted", .value = 4 };
    v->bridge.counter_count = 1;
    v->bridge.clock = (struct guest_clock){ true, -3 };
    v->net = v->bridge;
    snapshot_add_session(s, v, &clock);
    free(v);
    e = snapshot_add_endpoint(s, "docker", SNAPSHOT_ENDPOINT_FALLBACK, "npipe:docker_engine",
                              "npipe:rancher_docker", 1763769600000);
    e->owner_pid = 12;
    snprintf(e->owner_image, sizeof e->owner_image, "C:\\dockerd.exe");
    snprintf(e->instance, sizeof e->instance, "dev");
    snprintf(e->message, sizeof e->message, "held by \"other\"");
    snapshot_add_forward(s, &(struct snapshot_forward){ .vm = "dev",
                                                        .generation = GUEST_V2,
                                                        .proto = "tcp",
                                                        .host = "127.0.0.1:80",
                                                        .guest = "192.168.127.2:80",
                                                        .reason = "PortTaken",
                                                        .message = "taken by pid 12" });
    snprintf(s->source, sizeof s->source, "/vms");
    s->log = (struct snapshot_log){ .file = "/var/log/rdlink/rdlinkd.log",
                                    .levels = "info,switch=debug",
                                    .writable = true,
                                    .dropped = 3 };
    s->identity = (struct process_identity){ "NT AUTHORITY\\SYSTEM", "2 privileges", "imageLoad" };
    s->components[0].identity = s->identity;
    snprintf(s->instances[0].owner, sizeof s->instances[0].owner, "PC\\anna");
    snprintf(s->granted[s->granted_count++], sizeof s->granted[0], "docker-users");
    s->page = (struct snapshot_page){ .is_wanted = true,
                                      .url = "http://127.0.0.1:8080/",
                                      .token_file = "/run/rdlink/page-token",
                                      .message = "in use" };
    snprintf(s->control, sizeof s->control, "npipe:rdlink_control");
    s->config = (struct snapshot_config){ .is_known = true,
                                          .file = "/etc/rdlink/rdlinkd.conf",
                                          .file_exists = true,
                                          .generation = 2,
                                          .loaded_ms = 1763769600000,
                                          .sources = { { "file", "policy" }, 2 },
                                          .pending = { { "status" }, 1 },
                                          .locked = { { "subnet", "mtu" }, 2 } };
    return s;
}

static cJSON *rendered(const struct snapshot *s)
{
    char *text;
    size_t len;
    cJSON *json;

    assert_int_equal(status_json_render(s, &text, &len), ST_OK);
    assert_int_equal(strlen(text), len);
    assert_null(strchr(text, '\n'));
    json = cJSON_Parse(text);
    assert_non_null(json);
    status_json_free(text);
    return json;
}

static void assert_described(struct snapshot *s)
{
    cJSON *schema = load_schema(), *json = rendered(s);

    check(schema, schema, json, "status");
    cJSON_Delete(json);
    cJSON_Delete(schema);
    free(s);
}

static void empty_status_is_as_described(void **state)
{
    (void)state;
    assert_described(empty_snapshot());
}

static void full_status_is_as_described(void **state)
{
    (void)state;
    assert_described(full_snapshot());
}

/* Otherwise "as described" would say nothing about the objects that may be null. */
static void assert_no_null(const cJSON *value, const char *path)
{
    const cJSON *item;
    char at[256];

    if (cJSON_IsNull(value))
        fail_msg("%s is null: the full snapshot does not show it", path);
    if (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 0)
        fail_msg("%s is empty: the full snapshot does not show it", path);
    cJSON_ArrayForEach(item, value)
    {
        snprintf(at, sizeof at, "%s.%s", path, item->string ? item->string : "[]");
        assert_no_null(item, at);
    }
}

static void full_snapshot_shows_every_field(void **state)
{
    struct snapshot *s = full_snapshot();
    cJSON *json = rendered(s);

    (void)state;
    cJSON_DeleteItemFromObject(json, "diagnostics"); /* what has passed has nulls */
    assert_no_null(json, "status");
    cJSON_Delete(json);
    free(s);
}

/* Every name that a value can have is in the schema's enum, and no other. */
static void assert_names(const cJSON *list, unsigned count, const char *(*name)(unsigned))
{
    assert_int_equal(cJSON_GetArraySize(list), count);
    for (unsigned i = 0; i < count; i++)
        if (!enum_allows(list, name(i)))
            fail_msg("'%s' is not in the schema", name(i));
}

static const char *phase_name(unsigned i)
{
    return snapshot_phase_name((enum snapshot_phase)i);
}

static const char *serving_name(unsigned i)
{
    return health_state_name((enum health_state)i);
}

static const char *process_name(unsigned i)
{
    return worker_state_name((enum worker_state)i);
}

static const char *lane_name(unsigned i)
{
    return session_state_name((enum session_state)i);
}

static const char *generation_name(unsigned i)
{
    return guest_generation_name((enum guest_generation)i);
}

static const char *endpoint_name(unsigned i)
{
    return snapshot_endpoint_state_name((enum snapshot_endpoint_state)i);
}

static void enums_of_the_schema_are_those_of_the_code(void **state)
{
    static const struct {
        const char *object, *field;
        unsigned count;
        const char *(*name)(unsigned);
    } rows[] = {
        { NULL, "phase", PHASE_COUNT, phase_name },
        { "component", "state", HEALTH_STATE_COUNT, serving_name },
        { "component", "process", WORKER_STATE_COUNT, process_name },
        { "instance", "state", SESSION_STATE_COUNT, lane_name },
        { "instance", "generation", GUEST_GENERATION_COUNT, generation_name },
        { "lanes", "A", SESSION_STATE_COUNT, lane_name },
        { "forward", "generation", GUEST_GENERATION_COUNT, generation_name },
        { "endpoint", "state", SNAPSHOT_ENDPOINT_STATE_COUNT, endpoint_name },
    };
    cJSON *schema = load_schema();

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const cJSON *object =
            rows[i].object ? member(member(schema, "$defs"), rows[i].object) : schema;
        const cJSON *field = member(member(object, "properties"), rows[i].field);

        assert_names(member(field, "enum"), rows[i].count, rows[i].name);
    }
    cJSON_Delete(schema);
}

static void conditions_have_kubernetes_six_fields(void **state)
{
    static const char *const want[] = {
        "type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"
    };
    struct snapshot *s = empty_snapshot();
    cJSON *json = rendered(s);
    const cJSON *c = cJSON_GetArrayItem(member(json, "conditions"), 0);

    (void)state;
    assert_int_equal(cJSON_GetArraySize(c), ARRAY_SIZE(want));
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(cJSON_GetArrayItem(c, (int)i)->string, want[i]);
    assert_string_equal(member(c, "lastTransitionTime")->valuestring, "2025-11-22T00:00:00.000Z");
    cJSON_Delete(json);
    free(s);
}

static void large_counters_keep_every_digit(void **state)
{
    struct snapshot *s = full_snapshot();
    char *text;
    size_t len;

    (void)state;
    assert_int_equal(status_json_render(s, &text, &len), ST_OK);
    assert_non_null(strstr(text, "\"accepted\":9007199254740993"));
    status_json_free(text);
    free(s);
}

static void hostile_text_stays_json_and_printable(void **state)
{
    struct snapshot *s = full_snapshot();
    cJSON *json;
    const char *error;

    (void)state;
    snprintf(s->instances[0].last_error, sizeof s->instances[0].last_error,
             "\033[2J\xff\xc3 \"}],\n");
    json = rendered(s);
    error = member(cJSON_GetArrayItem(member(json, "instances"), 0), "lastError")->valuestring;
    for (const char *c = error; *c; c++)
        assert_true(*c >= ' ' && (unsigned char)*c < 0x7f);
    cJSON_Delete(json);
    free(s);
}

/* Quotes: the longest that text can become. */
static void fill_text(char *text, size_t cap)
{
    memset(text, '"', cap - 1);
    text[cap - 1] = '\0';
}

static void fill_conditions(struct condition_set *set)
{
    for (set->count = 0; set->count < CONDITION_SET_MAX; set->count++) {
        struct condition *c = &set->items[set->count];

        fill_text(c->type, sizeof c->type);
        fill_text(c->reason, sizeof c->reason);
        fill_text(c->message, sizeof c->message);
        c->observed_generation = UINT64_MAX;
    }
}

static void fill_counters(struct snapshot_counters *counters)
{
    for (counters->count = 0; counters->count < HEALTH_MAX_COUNTERS; counters->count++) {
        struct health_counter *c = &counters->items[counters->count];

        fill_text(c->name, sizeof c->name);
        c->value = UINT64_MAX;
    }
}

/* Otherwise the server could not send it: STREAM_MAX_QUEUED bounds one answer to a slow reader. */
static void the_largest_status_fits_a_stream(void **state)
{
    struct snapshot *s = empty_snapshot();
    struct snapshot_forward forward = { .generation = GUEST_V2 };
    char *text;
    size_t len;

    (void)state;
    fill_text(forward.vm, sizeof forward.vm);
    fill_text(forward.message, sizeof forward.message);
    fill_conditions(&s->conditions);
    s->component_count = SNAPSHOT_MAX_COMPONENTS;
    for (unsigned i = 0; i < s->component_count; i++) {
        struct snapshot_component *c = &s->components[i];

        fill_text(c->name, sizeof c->name);
        fill_text(c->identity.account, sizeof c->identity.account);
        fill_text(c->identity.token, sizeof c->identity.token);
        fill_text(c->identity.mitigations, sizeof c->identity.mitigations);
        c->last_exit.any = true;
        fill_text(c->last_exit.message, sizeof c->last_exit.message);
        fill_conditions(&c->conditions);
        fill_counters(&c->counters);
    }
    s->instance_count = SNAPSHOT_MAX_INSTANCES;
    for (unsigned i = 0; i < s->instance_count; i++) {
        struct snapshot_instance *v = &s->instances[i];

        fill_text(v->address, sizeof v->address);
        fill_text(v->last_error, sizeof v->last_error);
        fill_text(v->owner, sizeof v->owner);
        v->bridge.reports = true;
        fill_conditions(&v->conditions);
        fill_counters(&v->counters);
        fill_conditions(&v->bridge.conditions);
        fill_counters(&v->bridge.counters);
        v->net = v->bridge;
    }
    s->endpoint_count = SNAPSHOT_MAX_ENDPOINTS;
    for (unsigned i = 0; i < s->endpoint_count; i++)
        fill_text(s->endpoints[i].message, sizeof s->endpoints[i].message);
    for (s->left_out = 0; s->left_out == 0;)
        snapshot_add_forward(s, &forward);
    for (; s->granted_count < SNAPSHOT_MAX_GRANTED; s->granted_count++)
        fill_text(s->granted[s->granted_count], sizeof s->granted[0]);
    assert_int_equal(status_json_render(s, &text, &len), ST_OK);
    assert_in_range(len, STREAM_MAX_QUEUED / 4, STREAM_MAX_QUEUED - 4096);
    status_json_free(text);
    free(s);
}

static struct snapshot_forward forward_of(unsigned port)
{
    struct snapshot_forward f = {
        .vm = "dev", .generation = GUEST_A, .proto = "udp", .is_listening = true
    };

    snprintf(f.host, sizeof f.host, "127.0.0.1:%u", port);
    snprintf(f.guest, sizeof f.guest, "192.168.127.2:%u", port);
    return f;
}

static void a_forward_that_listens_has_no_reason(void **state)
{
    struct snapshot *s = empty_snapshot();
    struct snapshot_forward f = forward_of(53);
    const cJSON *item;
    cJSON *json;

    (void)state;
    snapshot_add_forward(s, &f);
    json = rendered(s);
    item = cJSON_GetArrayItem(member(json, "forwards"), 0);
    assert_string_equal(member(item, "vm")->valuestring, "dev");
    assert_string_equal(member(item, "generation")->valuestring, "A");
    assert_string_equal(member(item, "proto")->valuestring, "udp");
    assert_string_equal(member(item, "host")->valuestring, "127.0.0.1:53");
    assert_string_equal(member(item, "guest")->valuestring, "192.168.127.2:53");
    assert_string_equal(member(item, "state")->valuestring, "listening");
    assert_true(cJSON_IsNull(member(item, "reason")));
    assert_true(cJSON_IsNull(member(item, "message")));
    cJSON_Delete(json);
    assert_described(s);
}

/* Texts of hostile bytes, which become three each, are bounded as well as many short ones. */
static void forwards_have_their_own_room_and_the_rest_is_counted(void **state)
{
    enum { MANY = 1024 };
    struct snapshot *s = empty_snapshot();
    struct snapshot_forward f = forward_of(1);
    cJSON *json;
    char *text;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        f = forward_of(20000 + i);
        if (i % 2)
            memset(f.message, '\xff', sizeof f.message - 1);
        snapshot_add_forward(s, &f);
    }
    assert_in_range(s->forward_count, 100, SNAPSHOT_MAX_FORWARDS);
    assert_int_equal(s->left_out, MANY - s->forward_count);
    json = rendered(s);
    text = cJSON_PrintUnformatted(member(json, "forwards"));
    assert_non_null(text);
    assert_true(strlen(text) <= SNAPSHOT_FORWARDS_BYTES);
    assert_int_equal(member(json, "leftOut")->valueint, s->left_out);
    cJSON_free(text);
    cJSON_Delete(json);
    free(s);
}

static void times_are_rfc3339_in_utc(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -5, "1970-01-01T00:00:00.000Z" },
        { 951782399999, "2000-02-28T23:59:59.999Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 951868800001, "2000-03-01T00:00:00.001Z" },
        { 1709164800000, "2024-02-29T00:00:00.000Z" },
        { 1767225599000, "2025-12-31T23:59:59.000Z" },
        { 4107542400000, "2100-03-01T00:00:00.000Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
    };
    char buf[STATUS_TIME_MAX];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(status_json_time(rows[i].ms, buf), rows[i].want);
}

static void *no_memory(size_t len)
{
    (void)len;
    return NULL;
}

static size_t allocations_left;

static void *some_memory(size_t len)
{
    if (!allocations_left)
        return NULL;
    allocations_left--;
    return malloc(len);
}

/* Every allocation of a rendering fails once: no crash, no leak, no half text. */
static void lack_of_memory_is_a_status(void **state)
{
    struct snapshot *s = full_snapshot();
    cJSON_Hooks hooks = { .malloc_fn = no_memory, .free_fn = free };
    enum status st = ST_NOMEM;
    char *text;
    size_t len, n;

    (void)state;
    cJSON_InitHooks(&hooks);
    assert_int_equal(status_json_render(s, &text, &len), ST_NOMEM);
    hooks.malloc_fn = some_memory;
    cJSON_InitHooks(&hooks);
    for (n = 0; st == ST_NOMEM; n++) {
        allocations_left = n;
        st = status_json_render(s, &text, &len);
    }
    assert_int_equal(st, ST_OK);
    assert_true(n > 100);
    status_json_free(text);
    cJSON_InitHooks(NULL);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_status_is_as_described),
        cmocka_unit_test(full_status_is_as_described),
        cmocka_unit_test(full_snapshot_shows_every_field),
        cmocka_unit_test(enums_of_the_schema_are_those_of_the_code),
        cmocka_unit_test(conditions_have_kubernetes_six_fields),
        cmocka_unit_test(large_counters_keep_every_digit),
        cmocka_unit_test(hostile_text_stays_json_and_printable),
        cmocka_unit_test(the_largest_status_fits_a_stream),
        cmocka_unit_test(a_forward_that_listens_has_no_reason),
        cmocka_unit_test(forwards_have_their_own_room_and_the_rest_is_counted),
        cmocka_unit_test(times_are_rfc3339_in_utc),
        cmocka_unit_test(lack_of_memory_is_a_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
