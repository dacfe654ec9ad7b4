/* SPDX-License-Identifier: Apache-2.0
 * One function per object of the schema, in the schema's order. cJSON reports a lack of memory by
 * returning NULL; `struct out` remembers that it happened once, so that the writing code reads as a
 * list of fields and is checked at the end.
 */
#include "status/status_json.h"

#include "ipc/peer_text.h"
#include "status/diagnostics.h"
#include "status/snapshot.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 512 }; /* more than any field of a snapshot */

struct out {
    bool failed; /* an allocation failed somewhere; everything written is to be dropped */
};

/* ---- values ---------------------------------------------------------------------------- */

static cJSON *kept(struct out *o, cJSON *item)
{
    if (!item)
        o->failed = true;
    return item;
}

/* Texts come from guests, file names and the system, and were cut to size on their way: what is not
 * UTF-8 or printable is replaced here, so that JSON stays JSON and a terminal stays a terminal. */
static void put_text(struct out *o, cJSON *to, const char *name, const char *text)
{
    char clean[TEXT_MAX];

    peer_text_copy(clean, sizeof clean, text);
    kept(o, cJSON_AddStringToObject(to, name, clean));
}

/* A text that may not be there: null when empty. */
static void put_text_or_null(struct out *o, cJSON *to, const char *name, const char *text)
{
    if (text[0])
        put_text(o, to, name, text);
    else
        kept(o, cJSON_AddNullToObject(to, name));
}

static void put_bool(struct out *o, cJSON *to, const char *name, bool value)
{
    kept(o, cJSON_AddBoolToObject(to, name, value));
}

/* All digits of a 64-bit number: cJSON's own numbers are doubles and turn to exponents. */
static void put_uint(struct out *o, cJSON *to, const char *name, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRIu64, value);
    kept(o, cJSON_AddRawToObject(to, name, digits));
}

static void put_int(struct out *o, cJSON *to, const char *name, int64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRId64, value);
    kept(o, cJSON_AddRawToObject(to, name, digits));
}

/* 0 = none, as for a process id. */
static void put_id_or_null(struct out *o, cJSON *to, const char *name, int64_t value)
{
    if (value)
        put_int(o, to, name, value);
    else
        kept(o, cJSON_AddNullToObject(to, name));
}

static void put_time_or_null(struct out *o, cJSON *to, const char *name, int64_t wall_ms)
{
    char text[STATUS_TIME_MAX];

    put_text_or_null(o, to, name, wall_ms ? status_json_time(wall_ms, text) : "");
}

/* An object that @array owns from the start; NULL after a failed allocation, which cJSON takes. */
static cJSON *append_object(struct out *o, cJSON *array)
{
    cJSON *item = kept(o, cJSON_CreateObject());

    if (item && !cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        return kept(o, NULL);
    }
    return item;
}

const char *status_json_time(int64_t wall_ms, char buf[static STATUS_TIME_MAX])
{
    return wall_time_text(wall_ms, buf);
}

/* ---- objects --------------------------------------------------------------------------- */

static void put_conditions(struct out *o, cJSON *to, const struct condition_set *set)
{
    cJSON *array = kept(o, cJSON_AddArrayToObject(to, "conditions"));
    char time[STATUS_TIME_MAX];

    for (unsigned i = 0; i < set->count; i++) {
        const struct condition *c = &set->items[i];
        cJSON *item = append_object(o, array);

        put_text(o, item, "type", c->type);
        put_text(o, item, "status", condition_status_name(c->status));
        put_text(o, item, "reason", c->reason);
        put_text(o, item, "message", c->message);
        put_text(o, item, "lastTransitionTime", status_json_time(c->last_transition_ms, time));
        put_uint(o, item, "observedGeneration", c->observed_generation);
    }
}

static void put_counters(struct out *o, cJSON *to, const struct snapshot_counters *c)
{
    cJSON *object = kept(o, cJSON_AddObjectToObject(to, "counters"));

    for (unsigned i = 0; i < c->count; i++) {
        char name[HEALTH_NAME_MAX];

        peer_text_copy(name, sizeof name, c->items[i].name);
        put_uint(o, object, name, c->items[i].value);
    }
}

/* What a process may do, as the system says. */
static void put_identity(struct out *o, cJSON *to, const struct process_identity *p)
{
    put_text_or_null(o, to, "account", p->account);
    put_text_or_null(o, to, "token", p->token);
    put_text_or_null(o, to, "mitigations", p->mitigations);
}

static void put_program(struct out *o, cJSON *to, const struct snapshot *s)
{
    cJSON *item = kept(o, cJSON_AddObjectToObject(to, "program"));

    put_text(o, item, "name", s->program);
    put_text(o, item, "version", s->version);
    put_int(o, item, "pid", s->pid);
    put_identity(o, item, &s->identity);
    put_time_or_null(o, item, "startedAt", s->started_ms);
}

static void put_source(struct out *o, cJSON *to, const struct snapshot *s)
{
    cJSON *item = kept(o, cJSON_AddObjectToObject(to, "source"));

    put_text_or_null(o, item, "address", s->source);
    put_bool(o, item, "exists", s->source_exists);
}

static void put_last_exit(struct out *o, cJSON *to, const struct worker_exit *e)
{
    cJSON *item;

    if (!e->any) {
        kept(o, cJSON_AddNullToObject(to, "lastExit"));
        return;
    }
    item = kept(o, cJSON_AddObjectToObject(to, "lastExit"));
    put_int(o, item, "code", e->code);
    put_id_or_null(o, item, "signal", e->signal);
    put_text(o, item, "reason", e->reason);
    put_text(o, item, "message", e->message);
    put_time_or_null(o, item, "time", e->wall_ms);
}

static void put_component(struct out *o, cJSON *to, const struct snapshot_component *c)
{
    put_text(o, to, "name", c->name);
    put_text(o, to, "state", health_state_name(c->state));
    put_text(o, to, "process", worker_state_name(c->process));
    put_id_or_null(o, to, "pid", c->pid);
    put_uint(o, to, "restarts", c->restarts);
    put_time_or_null(o, to, "since", c->since_ms);
    put_time_or_null(o, to, "nextStart", c->next_start_ms);
    put_bool(o, to, "crashLoop", c->crash_loop);
    put_identity(o, to, &c->identity);
    put_text_or_null(o, to, "control", c->control);
    put_last_exit(o, to, &c->last_exit);
    put_conditions(o, to, &c->conditions);
    put_counters(o, to, &c->counters);
}

static void put_agent(struct out *o, cJSON *to, const char *name, const struct snapshot_agent *a)
{
    cJSON *item;

    if (!a->reports) {
        kept(o, cJSON_AddNullToObject(to, name));
        return;
    }
    item = kept(o, cJSON_AddObjectToObject(to, name));
    put_text_or_null(o, item, "version", a->version);
    put_id_or_null(o, item, "pid", a->pid);
    put_bool(o, item, "serving", a->serving);
    put_text_or_null(o, item, "instance", a->instance);
    put_bool(o, item, "proved", a->is_proved);
    if (a->clock.is_known)
        put_int(o, item, "clockAhead", a->clock.ahead_s);
    else
        kept(o, cJSON_AddNullToObject(item, "clockAhead"));
    put_conditions(o, item, &a->conditions);
    put_counters(o, item, &a->counters);
}

/* Each generation's lane by itself: one machine may hold guests of several. */
static void put_lanes(struct out *o, cJSON *to, const struct snapshot_instance *i)
{
    cJSON *item = kept(o, cJSON_AddObjectToObject(to, "lanes"));

    for (unsigned g = GUEST_NONE + 1; g < GUEST_GENERATION_COUNT; g++)
        put_text(o, item, guest_generation_name(g), session_state_name(i->lanes[g]));
}

static void put_instance(struct out *o, cJSON *to, const struct snapshot_instance *i)
{
    put_text(o, to, "vm", i->vm);
    put_text(o, to, "address", i->address);
    put_text(o, to, "state", session_state_name(i->state));
    put_text(o, to, "generation", guest_generation_name(i->generation));
    put_lanes(o, to, i);
    put_time_or_null(o, to, "since", i->since_ms);
    put_text_or_null(o, to, "lastError", i->last_error);
    put_text_or_null(o, to, "owner", i->owner);
    put_agent(o, to, "agent", &i->bridge);
    put_agent(o, to, "netAgent", &i->net);
    put_conditions(o, to, &i->conditions);
    put_counters(o, to, &i->counters);
}

static void put_log(struct out *o, cJSON *to, const struct snapshot_log *l)
{
    cJSON *item = kept(o, cJSON_AddObjectToObject(to, "log"));

    put_text_or_null(o, item, "file", l->file);
    put_text(o, item, "levels", l->levels);
    if (l->file[0])
        put_bool(o, item, "writable", l->writable);
    else
        kept(o, cJSON_AddNullToObject(item, "writable"));
    put_uint(o, item, "dropped", l->dropped);
}

static void put_page(struct out *o, cJSON *to, const struct snapshot_page *p)
{
    cJSON *item;

    if (!p->is_wanted) {
        kept(o, cJSON_AddNullToObject(to, "page"));
        return;
    }
    item = kept(o, cJSON_AddObjectToObject(to, "page"));
    put_text(o, item, "url", p->url);
    put_text(o, item, "tokenFile", p->token_file);
    put_bool(o, item, "served", p->is_served);
    put_text_or_null(o, item, "message", p->message);
}

static void put_names(struct out *o, cJSON *to, const char *name, const struct snapshot_names *n)
{
    cJSON *array = kept(o, cJSON_AddArrayToObject(to, name));

    for (unsigned i = 0; i < n->count; i++) {
        cJSON *item = kept(o, cJSON_CreateStringReference(n->items[i]));

        if (item && !cJSON_AddItemToArray(array, item)) {
            cJSON_Delete(item);
            kept(o, NULL);
        }
    }
}

static void put_config(struct out *o, cJSON *to, const struct snapshot_config *c)
{
    cJSON *item;

    if (!c->is_known) {
        kept(o, cJSON_AddNullToObject(to, "config"));
        return;
    }
    item = kept(o, cJSON_AddObjectToObject(to, "config"));
    put_text(o, item, "file", c->file);
    put_bool(o, item, "fileExists", c->file_exists);
    put_uint(o, item, "generation", c->generation);
    put_time_or_null(o, item, "loadedAt", c->loaded_ms);
    put_names(o, item, "sources", &c->sources);
    put_names(o, item, "pending", &c->pending);
    put_names(o, item, "locked", &c->locked);
}

static void put_owner(struct out *o, cJSON *to, const struct snapshot_endpoint *e)
{
    cJSON *item;

    if (!e->owner_pid && !e->owner_image[0]) {
        kept(o, cJSON_AddNullToObject(to, "owner"));
        return;
    }
    item = kept(o, cJSON_AddObjectToObject(to, "owner"));
    put_id_or_null(o, item, "pid", e->owner_pid);
    put_text_or_null(o, item, "image", e->owner_image);
}

static void put_granted(struct out *o, cJSON *to, const struct snapshot *s)
{
    cJSON *array = kept(o, cJSON_AddArrayToObject(to, "granted"));

    for (unsigned i = 0; i < s->granted_count; i++) {
        char clean[SNAPSHOT_ACCOUNT_MAX];
        cJSON *item;

        peer_text_copy(clean, sizeof clean, s->granted[i]);
        item = kept(o, cJSON_CreateString(clean));
        if (item && !cJSON_AddItemToArray(array, item)) {
            cJSON_Delete(item);
            o->failed = true;
        }
    }
}

static void put_endpoint(struct out *o, cJSON *to, const struct snapshot *s,
                         const struct snapshot_endpoint *e)
{
    put_text(o, to, "name", e->name);
    put_text(o, to, "state", snapshot_endpoint_state_name(e->state));
    put_text(o, to, "requested", e->requested);
    put_text_or_null(o, to, "address", e->address);
    put_time_or_null(o, to, "since", e->since_ms);
    put_owner(o, to, e);
    put_granted(o, to, s);
    put_text_or_null(o, to, "instance", e->instance);
    put_text_or_null(o, to, "message", e->message);
}

static void put_forward(struct out *o, cJSON *to, const struct snapshot_forward *f)
{
    put_text(o, to, "vm", f->vm);
    put_text(o, to, "generation", guest_generation_name(f->generation));
    put_text(o, to, "proto", f->proto);
    put_text(o, to, "host", f->host);
    put_text(o, to, "guest", f->guest);
    put_text(o, to, "state", f->is_listening ? "listening" : "waiting");
    put_text_or_null(o, to, "reason", f->reason);
    put_text_or_null(o, to, "message", f->message);
}

static void put_fixes(struct out *o, cJSON *to, const struct diagnostic *d)
{
    cJSON *array = kept(o, cJSON_AddArrayToObject(to, "fixes"));

    if (d->fix)
        put_text(o, append_object(o, array), "description", d->fix);
}

/* Names as Rancher Desktop has them, so that its reader needs no other words. */
static void put_diagnostics(struct out *o, cJSON *to, const struct snapshot *s)
{
    struct diagnostic rows[DIAGNOSTIC_ROWS];
    cJSON *array;

    diagnostics_of(s, rows);
    put_time_or_null(o, to, "last_update", diagnostics_last_update_ms(s));
    array = kept(o, cJSON_AddArrayToObject(to, "checks"));
    for (unsigned i = 0; i < DIAGNOSTIC_ROWS; i++) {
        cJSON *item = append_object(o, array);

        put_text(o, item, "id", rows[i].id);
        put_text(o, item, "category", rows[i].category);
        put_text_or_null(o, item, "documentation", rows[i].documentation);
        put_text(o, item, "description", rows[i].description);
        put_bool(o, item, "passed", rows[i].passed);
        put_bool(o, item, "mute", false);
        put_fixes(o, item, &rows[i]);
    }
}

static void put_status(struct out *o, cJSON *to, const struct snapshot *s)
{
    cJSON *array;

    put_text(o, to, "apiVersion", STATUS_API_VERSION);
    put_uint(o, to, "generation", s->generation);
    put_text(o, to, "phase", snapshot_phase_name(s->phase));
    put_bool(o, to, "ready", s->ready);
    put_program(o, to, s);
    put_conditions(o, to, &s->conditions);
    put_source(o, to, s);
    put_text_or_null(o, to, "control", s->control);
    array = kept(o, cJSON_AddArrayToObject(to, "components"));
    for (unsigned i = 0; i < s->component_count; i++)
        put_component(o, append_object(o, array), &s->components[i]);
    array = kept(o, cJSON_AddArrayToObject(to, "instances"));
    for (unsigned i = 0; i < s->instance_count; i++)
        put_instance(o, append_object(o, array), &s->instances[i]);
    array = kept(o, cJSON_AddArrayToObject(to, "endpoints"));
    for (unsigned i = 0; i < s->endpoint_count; i++)
        put_endpoint(o, append_object(o, array), s, &s->endpoints[i]);
    array = kept(o, cJSON_AddArrayToObject(to, "forwards"));
    for (unsigned i = 0; i < s->forward_count; i++)
        put_forward(o, append_object(o, array), &s->forwards[i]);
    put_log(o, to, &s->log);
    put_page(o, to, &s->page);
    put_config(o, to, &s->config);
    put_diagnostics(o, kept(o, cJSON_AddObjectToObject(to, "diagnostics")), s);
    put_uint(o, to, "leftOut", s->left_out);
}

static enum status render(void (*put)(struct out *o, cJSON *to, const struct snapshot *s),
                          const struct snapshot *s, char **out, size_t *len_bytes)
{
    struct out o = { .failed = false };
    cJSON *root = kept(&o, cJSON_CreateObject());
    char *text = NULL;

    put(&o, root, s);
    if (!o.failed)
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text)
        return ST_NOMEM;
    *out = text;
    *len_bytes = strlen(text);
    return ST_OK;
}

enum status status_json_render(const struct snapshot *s, char **out, size_t *len_bytes)
{
    return render(put_status, s, out, len_bytes);
}

enum status status_json_render_diagnostics(const struct snapshot *s, char **out, size_t *len_bytes)
{
    return render(put_diagnostics, s, out, len_bytes);
}

void status_json_free(char *text)
{
    cJSON_free(text);
}
