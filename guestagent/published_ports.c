/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *     OFF --engine there--> events: GET /events --head 200--> list: GET /containers/json
 *      ^                      |  each event starts "settle"      |  settle (SETTLE_MS) starts list
 *      |                      '-- ends --> RETRY_MS -------------'--> parse --> other than before?
 *      '--engine gone-- and after EMPTY_MS nothing is published             --> on_change()
 *
 * Events first, list second: what happens between the two is an event that is still to be read, so
 * nothing is missed. An event says only "look again". Many at once (compose up) make one list,
 * because a list waits SETTLE_MS; one that is under way is followed by another when an event came
 * meanwhile.
 *
 * An engine that restarts keeps its ports in the host for EMPTY_MS: a client that connects
 * meanwhile is refused by the guest, and after the restart nothing has to be made anew.
 *
 * The list is bounded (LIST_MAX_BYTES) and read by container_list.c. One that is none leaves what
 * was known.
 */
#include "guestagent/published_ports.h"

#include "base/condition.h"
#include "base/log.h"
#include "guestagent/container_list.h"
#include "http/http_get.h"
#include "ipc/health.h"
#include "port/addr.h"
#include "port/loop.h"
#include "port/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETTLE_MS = 50,
    RETRY_MS = 1000,
    EMPTY_MS = 5000,
    ANSWER_MS = 10000, /* an engine with a thousand containers takes a while */
    LIST_MAX_BYTES = 8 * 1024 * 1024
};

static const char known_type[] = "PortsKnown";
static const char events_target[] =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%2C"
    "%22die%22%2C%22pause%22%2C%22unpause%22%2C%22destroy%22%5D%7D";

struct published_ports {
    struct loop *loop; /* borrowed */
    struct addr engine;
    void (*on_change)(void *ctx);
    void *ctx;
    bool is_there, is_known;
    struct http_get *events, *list; /* owned; NULL = none under way */
    struct timer retry, settle, empty;
    bool again;    /* an event came while the list was being read */
    uint8_t *body; /* owned; of the list, BODY bytes of it so far */
    size_t body_bytes, body_cap;
    struct container_ports ports;
    struct condition_set conditions;
    uint64_t lists, events_seen;
    struct log_limit log;
    /* The message, which points into @ports. */
    Rdlink__V1__PublishedPorts message;
    Rdlink__V1__PublishedPort entries[CONTAINER_PORTS_MAX];
    Rdlink__V1__PublishedPort *entry_list[CONTAINER_PORTS_MAX];
};

/* ---- what is known --------------------------------------------------------------------------- */

static bool is_in_trouble(const struct published_ports *p)
{
    return condition_find(&p->conditions, known_type)->status == COND_FALSE;
}

static void set_condition(struct published_ports *p, const char *type, enum condition_status status,
                          const char *reason, const char *text)
{
    if (status == COND_FALSE && is_in_trouble(p) && p->is_there)
        return; /* what came first: an unclear engine would be told in two ways by turns */
    if (!condition_update(&p->conditions, type, status, reason, sys_wall_ms(), "%s", text))
        return;
    log_write_limited(&p->log, LOG_INFO, LOG_BRIDGE, "%s=%s reason=%s: %s", type,
                      condition_status_name(status), reason, text);
    p->on_change(p->ctx);
}

static void say_known(struct published_ports *p)
{
    const struct container_ports *l = &p->ports;
    char text[160];

    snprintf(text, sizeof text, "%u ports are published", l->count);
    if (l->left_out > 0)
        snprintf(text, sizeof text, "%u ports are published, %u more are left out", l->count,
                 l->left_out);
    else if (l->at_loopback > 0)
        snprintf(text, sizeof text,
                 "%u ports are published, %u of them at the guest's own loopback address", l->count,
                 l->at_loopback);
    set_condition(p, known_type, COND_TRUE, l->left_out > 0 ? "TooManyPorts" : "EngineListed",
                  text);
}

static void set_ports(struct published_ports *p, const struct container_ports *fresh)
{
    p->is_known = true;
    p->ports = *fresh;
    for (unsigned i = 0; i < p->ports.count; i++) {
        struct container_port *port = &p->ports.items[i];

        rdlink__v1__published_port__init(&p->entries[i]);
        p->entries[i].protocol = port->protocol;
        p->entries[i].host_address = port->address;
        p->entries[i].port = port->number;
        p->entry_list[i] = &p->entries[i];
    }
    rdlink__v1__published_ports__init(&p->message);
    p->message.n_ports = p->ports.count;
    p->message.ports = p->entry_list;
    p->on_change(p->ctx);
}

/* ---- asking for the list --------------------------------------------------------------------- */

static void drop_body(struct published_ports *p)
{
    free(p->body);
    p->body = NULL;
    p->body_bytes = p->body_cap = 0;
}

static void end_list(struct published_ports *p)
{
    http_get_free(p->list);
    p->list = NULL;
    drop_body(p);
}

/* Bounded by the question's max_body_bytes. What there is no memory for ends as no list. */
static void on_list_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct published_ports *p = ctx;
    size_t want = p->body_bytes + len_bytes;

    if (want > p->body_cap) {
        size_t cap = MAX(2 * p->body_cap, MAX(want, (size_t)4096));
        uint8_t *larger = realloc(p->body, cap);

        if (!larger)
            return;
        p->body = larger;
        p->body_cap = cap;
    }
    memcpy(p->body + p->body_bytes, data, len_bytes);
    p->body_bytes = want;
}

static void on_list_end(void *ctx, enum http_get_end why, unsigned status, const char *detail)
{
    struct published_ports *p = ctx;
    struct container_ports *fresh =
        why == HTTP_GET_DONE && status == 200 ? calloc(1, sizeof *fresh) : NULL;
    bool is_list = fresh && container_list_parse(fresh, p->body, p->body_bytes) == ST_OK;
    char text[160];

    snprintf(text, sizeof text, "GET /containers/json: status %u %.100s", status, detail);
    end_list(p);
    p->lists++;
    if (p->again)
        timer_start(&p->settle, SETTLE_MS);
    if (!is_list) {
        timer_start(&p->settle, RETRY_MS);
        set_condition(p, known_type, COND_FALSE, "EngineUnclear", text);
    } else {
        if (!p->is_known || !container_ports_equal(fresh, &p->ports))
            set_ports(p, fresh);
        say_known(p);
    }
    free(fresh);
}

static const struct http_get_handler list_handler = { .on_body = on_list_body,
                                                      .on_end = on_list_end };

static void ask(struct published_ports *p, struct http_get **out, const char *target,
                const struct http_get_handler *handler, bool is_endless)
{
    const struct http_get_config config = { .at = &p->engine,
                                            .target = target,
                                            .host = "docker",
                                            .dial_ms = RETRY_MS,
                                            .answer_ms = ANSWER_MS,
                                            .is_endless = is_endless,
                                            .max_body_bytes = is_endless ? 0 : LIST_MAX_BYTES };
    enum status st = http_get_start(out, p->loop, &config, handler, p);

    if (st == ST_OK)
        return;
    *out = NULL;
    timer_start(&p->retry, RETRY_MS);
    set_condition(p, known_type, COND_FALSE, "EngineUnclear", status_text(st));
}

static void on_settle(void *ctx)
{
    struct published_ports *p = ctx;

    if (p->list) {
        p->again = true;
        return;
    }
    p->again = false;
    ask(p, &p->list, "/containers/json", &list_handler, false);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void look_again(struct published_ports *p)
{
    if (!timer_is_running(&p->settle))
        timer_start(&p->settle, SETTLE_MS);
}

static void on_events_head(void *ctx, unsigned status)
{
    if (status == 200)
        look_again(ctx);
}

static void on_event(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct published_ports *p = ctx;

    p->events_seen++;
    look_again(p);
}

static void on_events_end(void *ctx, enum http_get_end why, unsigned status, const char *detail)
{
    struct published_ports *p = ctx;
    char text[160];

    snprintf(text, sizeof text, "GET /events ended: status %u %.100s", status, detail);
    http_get_free(p->events);
    p->events = NULL;
    timer_start(&p->retry, RETRY_MS);
    set_condition(p, known_type, COND_FALSE, "EventsLost", text);
}

static const struct http_get_handler events_handler = { .on_head = on_events_head,
                                                        .on_body = on_event,
                                                        .on_end = on_events_end };

static void on_retry(void *ctx)
{
    struct published_ports *p = ctx;

    if (!p->is_there)
        return;
    if (p->events)
        look_again(p); /* it was the list that could not be asked for */
    else
        ask(p, &p->events, events_target, &events_handler, true);
}

/* ---- the engine comes and goes -------------------------------------------------------------- */

static void on_empty(void *ctx)
{
    struct published_ports *p = ctx;
    struct container_ports *none = calloc(1, sizeof *none);

    if (!none) {
        timer_start(&p->empty, EMPTY_MS);
        return;
    }
    set_ports(p, none);
    free(none);
    set_condition(p, known_type, COND_FALSE, "EngineGone",
                  "the engine is gone, and so is what it published");
}

void published_ports_set_engine(struct published_ports *p, bool is_there)
{
    if (p->is_there == is_there)
        return;
    p->is_there = is_there;
    if (is_there) {
        timer_stop(&p->empty);
        timer_start(&p->retry, 0);
        return;
    }
    timer_stop(&p->retry);
    timer_stop(&p->settle);
    end_list(p);
    http_get_free(p->events);
    p->events = NULL;
    timer_start(&p->empty, EMPTY_MS);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status published_ports_new(struct published_ports **out, struct loop *loop,
                                const struct addr *engine, void (*on_change)(void *ctx), void *ctx)
{
    struct published_ports *p = calloc(1, sizeof *p);

    if (!p)
        return ST_NOMEM;
    p->loop = loop;
    p->engine = *engine;
    p->on_change = on_change;
    p->ctx = ctx;
    p->log.burst = LOG_BURST;
    timer_init(&p->retry, loop, on_retry, p);
    timer_init(&p->settle, loop, on_settle, p);
    timer_init(&p->empty, loop, on_empty, p);
    condition_update(&p->conditions, known_type, COND_UNKNOWN, "EngineNotAsked", sys_wall_ms(),
                     "the engine has not been asked yet");
    *out = p;
    return ST_OK;
}

Rdlink__V1__PublishedPorts *published_ports_message(struct published_ports *p)
{
    return p->is_known ? &p->message : NULL;
}

void published_ports_report(const struct published_ports *p, struct health_component *out)
{
    const struct condition *c = condition_find(&p->conditions, known_type);

    if (out->conditions.count < CONDITION_SET_MAX)
        out->conditions.items[out->conditions.count++] = *c;
    out->conditions.generation += p->conditions.generation;
    health_count(out, "published_ports", p->ports.count);
    health_count(out, "published_at_loopback", p->ports.at_loopback);
    health_count(out, "container_lists", p->lists);
    health_count(out, "container_events", p->events_seen);
}

void published_ports_free(struct published_ports *p)
{
    if (!p)
        return;
    timer_stop(&p->retry);
    timer_stop(&p->settle);
    timer_stop(&p->empty);
    end_list(p);
    http_get_free(p->events);
    free(p);
}
