/* SPDX-License-Identifier: Apache-2.0
 * network_worker_case.h - the switch worker between a scripted controller, a scripted guest and a
 * scripted host: what the tests of it have in common. start() or start_silent() makes one, stop()
 * frees it; hear() reads what the worker has said since.
 */
#ifndef TESTS_UNIT_NETWORK_NETWORK_WORKER_CASE_H
#define TESTS_UNIT_NETWORK_NETWORK_WORKER_CASE_H

#include "ipc/health.h"
#include "network/forward_states.h"
#include "network/network_worker.h"
#include "port/addr.h"
#include "port/sim/loop_sim.h"
#include "port/sim/net_sim.h"
#include "port/sim/routes_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "unit/ipc/messages.h"

#define GUEST_CID 7

struct fixture {
    struct sim *sim;
    struct net_sim *net;
    struct routes_sim *routes;
    struct network_worker *worker;
    struct sim_peer *control; /* the controller */
    struct sim_peer *guest;   /* its link */
    struct addr at;
    int done_code; /* -1: not done */

    /* What the worker said so far. */
    size_t read_bytes;
    unsigned readies, reports;
    struct health_report health;
    struct {
        char text[128]; /* "tcp 127.0.0.1:80 192.168.127.2:80 removed" */
    } change;
    struct forward_states states; /* the last it said of its forwards */
    unsigned states_told;
    char notice[40];
};
enum status fixed_random(void *buf, size_t len_bytes);
void on_done(void *ctx, int code);
void start_silent(struct fixture *f, const char *option);
void controller_sends(struct fixture *f, const struct frames *fr);
void start(struct fixture *f, const char *option);
void stop(struct fixture *f);
void hear(struct fixture *f);
const struct condition *condition(struct fixture *f, const char *type);
uint64_t counter(struct fixture *f, const char *name);
void guest_connects(struct fixture *f);
void guest_sends_frame(struct fixture *f, const struct frame *frame);
void guest_answers_arp(struct fixture *f);
void guest_comes_online(struct fixture *f);

#define assert_condition(f, type, want_status, want_reason)  \
    do {                                                     \
        const struct condition *c_ = condition((f), (type)); \
        assert_string_equal(c_->reason, (want_reason));      \
        assert_int_equal(c_->status, (want_status));         \
    } while (0)

#endif
