/* SPDX-License-Identifier: Apache-2.0
 * port_case.h - real streams in one process: a loop, a listener, dials, and a recorder that plays
 * the handler of a stream. For tests of port/ and of what stands on it; one case at a time.
 */
#ifndef TESTS_SUPPORT_PORT_CASE_H
#define TESTS_SUPPORT_PORT_CASE_H

#include "port/addr.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/uv/loop_uv.h"

#include <stdbool.h>

/* What one side of a stream has seen. */
struct recorder {
    struct stream *stream; /* owned */
    struct peer peer;      /* of an accepted one */
    uint8_t data[4096];    /* the beginning of what came */
    uint64_t bytes;
    unsigned calls; /* of on_data */
    unsigned eofs, drains;
    enum status error;
    unsigned close_on;         /* RECORDER_CLOSE_*: closes the stream inside that callback */
    unsigned stop_after_calls; /* stops reading after so many calls of on_data; 0 = never */
};

enum {
    RECORDER_CLOSE_DATA = 1,
    RECORDER_CLOSE_EOF = 2,
    RECORDER_CLOSE_DRAIN = 4,
    RECORDER_CLOSE_ERROR = 8
};

enum { PORT_CASE_MAX_ACCEPTED = 8 };

struct port_case {
    struct loop *loop;
    struct addr at;
    struct listener *listener;
    struct recorder accepted[PORT_CASE_MAX_ACCEPTED];
    unsigned accepted_count;
    enum status state; /* last on_state() of the listener */
    unsigned states;   /* calls of it */
    struct recorder dialled;
    enum status dial_status;
    unsigned dials_done;
    char dial_why[256];
    struct timer watchdog;
};

/* A loop. Fails the test where it cannot. */
void port_case_init(struct port_case *c);
/* Closes everything, runs the loop to its end and frees it. */
void port_case_fini(struct port_case *c);
/* Listens; false when this system has no such kind. @text may hold "%u": a free TCP port is found.
 */
bool port_case_listen(struct port_case *c, const char *text);
/* Dials c->at (or @to) and records the end in c->dial_status. */
struct dial *port_case_dial(struct port_case *c, const struct addr *to, uint64_t timeout_ms);
/* Listens, dials, and waits until both ends are there: c->dialled and c->accepted[0]. Neither reads
 * yet. */
bool port_case_pair(struct port_case *c, const char *text);

void recorder_attach(struct recorder *r, struct stream *s);
void recorder_close(struct recorder *r);

/* Turns the loop until @cond holds; fails the test after ten seconds. */
#define port_case_wait(c, cond)    \
    do {                           \
        port_case_watch(c, #cond); \
        while (!(cond))            \
            port_case_turn(c);     \
        port_case_unwatch(c);      \
    } while (0)

void port_case_watch(struct port_case *c, const char *what);
void port_case_unwatch(struct port_case *c);
void port_case_turn(struct port_case *c);
/* Turns the loop until everything that is ready was handled. */
void port_case_settle(struct port_case *c);

#endif
