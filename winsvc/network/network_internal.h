/* SPDX-License-Identifier: Apache-2.0
 * network_internal.h - the list of switch workers, for network_service.c (what they do) and
 * network_view.c (what is told of them) alone. Runs on: the controller's loop.
 */
#ifndef WINSVC_NETWORK_NETWORK_INTERNAL_H
#define WINSVC_NETWORK_NETWORK_INTERNAL_H

#include "base/log.h"
#include "link/link_token.h"
#include "network/forward_states.h"
#include "network/network_service.h"
#include "network/worker_command.h"
#include "port/addr.h"
#include "port/loop.h"
#include "supervisor/worker_host.h"
#include "switch/switch_options.h"
#include "vm/vm_source.h"

enum { NETWORK_SLOTS_MAX = VM_SNAPSHOT_MAX * GUEST_GENERATION_COUNT };

enum worker_phase { NET_WAITING, NET_SERVING, NET_STOPPING };
enum worker_told { TOLD_NOTHING, TOLD_READY, TOLD_NOT_READY };

struct net_worker {
    struct network_service *service;
    char vm_id[VM_ID_MAX];
    enum guest_generation generation;
    struct addr vm;
    uint32_t data_port;
    bool has_token; /* what the worker's links must begin with */
    struct link_token token;
    enum worker_phase phase;
    bool wanted;
    bool asked;               /* want() is to be answered, whatever was told before */
    struct worker_host *host; /* owned; NULL while WAITING */
    enum status why_waiting;
    char waiting_text[160];
    bool is_new;    /* a process has greeted: counters begin anew */
    bool has_ended; /* the host has stopped */
    enum worker_told told;
    enum status told_status;
    bool is_up; /* on_link_start() was told, on_link_end() not yet */
    uint64_t links, rx_frames;
    struct timer linger;
    struct forward_list forwards;  /* made at run time */
    struct forward_list given;     /* of the machine's published ports, to the present process */
    struct forward_states states;  /* what the present process says of all of its forwards */
    struct worker_command command; /* what it is started with; the host borrows it */
};

struct network_service {
    struct loop *loop; /* borrowed */
    const struct network_service_ops *ops;
    void *ctx;
    char program[1024], log_level[LOG_LEVELS_MAX], control[ADDR_TEXT_MAX];
    char *sddl; /* owned; NULL = default */
    uint16_t page_port;
    struct switch_options options;
    uint32_t drain_ms, linger_ms;
    struct published_table published;
    struct net_worker *workers[NETWORK_SLOTS_MAX]; /* owned */
    unsigned count, made;                          /* now; ever */
    struct timer settle;
    bool kicked; /* settle() is due */
    bool stopping, stopped;
    struct log_limit forwards_log; /* a guest decides how many there are */
};

/* The newest report on its switch, or NULL; borrowed until the loop is reached. */
const struct health_component *net_worker_health(const struct net_worker *w);
/* How the last process of a worker ended, for people. */
void net_worker_describe_exit(const struct worker_view *v, char *buf, size_t cap);

#endif
