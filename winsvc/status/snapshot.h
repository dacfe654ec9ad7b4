/* SPDX-License-Identifier: Apache-2.0
 * snapshot.h - everything a status reader can see, copied into one plain struct.
 *
 * The owner (the controller) fills one from its parts whenever it is asked; nothing in it points
 * into another module, so the views (status_json, later events and metrics) never touch live
 * objects. Every array is bounded and says how many it had to leave out. A snapshot is about
 * 600 KiB: keep it on the heap. Pure; any thread.
 *
 * Use: snapshot_init(), then source, stopping and needs_network, snapshot_add_*() for each part,
 * and last snapshot_conclude(), which draws phase and the condition Ready from the parts.
 */
#ifndef WINSVC_STATUS_SNAPSHOT_H
#define WINSVC_STATUS_SNAPSHOT_H

#include "base/condition.h"
#include "ipc/health.h"
#include "port/process_identity.h"
#include "supervisor/supervisor.h"
#include "vm/guest_session.h"
#include "vm/vm_source.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    /* As many as one answer can hold, whatever guests and workers say (STREAM_MAX_QUEUED). */
    SNAPSHOT_MAX_COMPONENTS = 24, /* docker workers, and the switches of 16 guests */
    SNAPSHOT_MAX_INSTANCES = 20,
    SNAPSHOT_MAX_ENDPOINTS = 8,
    SNAPSHOT_MAX_FORWARDS = 512,
    SNAPSHOT_FORWARDS_BYTES = 96 * 1024, /* of all of them, as JSON */
    SNAPSHOT_MAX_NAMES = 64,             /* as many as there can be options */
    SNAPSHOT_MAX_GRANTED = 16,
    SNAPSHOT_ACCOUNT_MAX = 96,
    SNAPSHOT_TEXT_MAX = 256,
    SNAPSHOT_FORWARD_TEXT_MAX = 64,
    SNAPSHOT_FORWARD_WHY_MAX = 192
};

/* Monotonic times become wall-clock times through one fixed offset, so that the same moment always
 * prints the same; it is taken anew only when the wall clock jumped by more than a second. */
struct snapshot_clock {
    bool set;
    int64_t offset_ms;
};
void snapshot_clock_update(struct snapshot_clock *c, int64_t wall_ms, uint64_t monotonic_ms);
int64_t snapshot_clock_wall(const struct snapshot_clock *c, uint64_t monotonic_ms);

struct snapshot_counters {
    struct health_counter items[HEALTH_MAX_COUNTERS];
    unsigned count;
};
/* False when there is no room: the counter is left out. The same name again replaces the value. */
bool snapshot_counter_set(struct snapshot_counters *c, const char *name, uint64_t value);

/* One supervised process. All times are wall clock, Unix milliseconds; 0 = none. */
struct snapshot_component {
    char name[40];
    enum health_state state;
    enum worker_state process;
    int64_t pid; /* 0 = none */
    uint64_t restarts;
    int64_t since_ms;
    int64_t next_start_ms;
    bool crash_loop;
    struct process_identity identity; /* of the process that there is; empty = none */
    char control[ADDR_TEXT_MAX];      /* address of its control socket; empty = it has none */
    bool is_network; /* a guest's switch: the whole judges it by NetworkReady alone */
    struct worker_exit last_exit;
    struct condition_set conditions;   /* what the worker reported */
    struct snapshot_counters counters; /* likewise */
};

/* A unit of the guest agent, as far as it reports (rdlink v2 only). */
struct snapshot_agent {
    bool reports;
    bool serving;
    char version[32];
    int64_t pid; /* in the guest; 0 = none */
    char instance[PROOF_INSTANCE_MAX];
    bool is_proved;
    struct guest_clock clock;
    struct condition_set conditions;
    struct snapshot_counters counters;
};

/* One virtual machine. */
struct snapshot_instance {
    char vm[VM_ID_MAX];
    char address[ADDR_TEXT_MAX];
    enum session_state state;
    enum guest_generation generation;
    enum session_state lanes[GUEST_GENERATION_COUNT]; /* [GUEST_NONE] unused */
    int64_t since_ms;
    char last_error[160];             /* empty = none */
    char owner[SNAPSHOT_ACCOUNT_MAX]; /* the user whose it is; empty = unknown, or not asked here */
    struct snapshot_agent bridge, net;
    struct condition_set conditions;
    struct snapshot_counters counters;
};

enum snapshot_endpoint_state {
    SNAPSHOT_ENDPOINT_OFF,       /* not listening */
    SNAPSHOT_ENDPOINT_LISTENING, /* at the name that was asked for */
    SNAPSHOT_ENDPOINT_FALLBACK,  /* the name is someone else's; listening at another one */
    SNAPSHOT_ENDPOINT_TAKEN,     /* the name is someone else's, and there is no other one */
    SNAPSHOT_ENDPOINT_STATE_COUNT
};
/* "off", "listening", "fallback", "taken" */
const char *snapshot_endpoint_state_name(enum snapshot_endpoint_state s);

/* One name that clients on this computer connect to. */
struct snapshot_endpoint {
    char name[40];                 /* "docker" */
    char requested[ADDR_TEXT_MAX]; /* the address that was asked for */
    char address[ADDR_TEXT_MAX];   /* where it listens now; empty = nowhere */
    enum snapshot_endpoint_state state;
    int64_t since_ms;
    int64_t owner_pid;        /* who holds the requested name, when it is not us; 0 = unknown */
    char owner_image[192];    /* empty = unknown */
    char instance[VM_ID_MAX]; /* the virtual machine behind it; empty = none now */
    char message[SNAPSHOT_TEXT_MAX]; /* why, when it is not listening; may be empty */
};

/* A port of this host that leads into a guest, or should. */
struct snapshot_forward {
    char vm[VM_ID_MAX]; /* the machine, and which of its networks */
    enum guest_generation generation;
    char proto[4];                         /* "tcp" or "udp" */
    char host[SNAPSHOT_FORWARD_TEXT_MAX];  /* "127.0.0.1:8080"; ":8080" is every address */
    char guest[SNAPSHOT_FORWARD_TEXT_MAX]; /* "192.168.127.2:80" */
    bool is_listening;                     /* false: it waits for its port */
    char reason[CONDITION_REASON_MAX];     /* why; empty when it listens */
    char message[SNAPSHOT_FORWARD_WHY_MAX];
};

/* What becomes of the log. */
struct snapshot_log {
    char file[512];   /* empty = standard error only */
    char levels[256]; /* "info,switch=debug" */
    bool writable;    /* the last write to @file was good */
    uint64_t dropped; /* lines that did not get there since the start */
};

/* The status page, when it was asked for. */
struct snapshot_page {
    bool is_wanted;
    bool is_served;
    char url[ADDR_TEXT_MAX];
    char token_file[SNAPSHOT_TEXT_MAX];
    char message[SNAPSHOT_TEXT_MAX]; /* why it is not served; empty when it is */
};

/* Names of options or of their sources; texts that live for ever. */
struct snapshot_names {
    const char *items[SNAPSHOT_MAX_NAMES];
    unsigned count;
};

/* What the program goes by. */
struct snapshot_config {
    bool is_known;
    char file[SNAPSHOT_TEXT_MAX]; /* read when it exists */
    bool file_exists;
    uint64_t generation; /* one up at each change that was taken */
    int64_t loaded_ms;
    struct snapshot_names sources, pending, locked;
};

enum snapshot_phase {
    PHASE_STARTING, /* parts are coming up for the first time */
    PHASE_WAITING,  /* we are well, but there is no guest to talk to */
    PHASE_READY,
    PHASE_DEGRADED,
    PHASE_STOPPING,
    PHASE_COUNT
};
const char *snapshot_phase_name(enum snapshot_phase p); /* "Ready" */

struct snapshot {
    uint64_t generation; /* set by the status server, one up at each visible change */
    char program[32];    /* "rdlinkd" */
    char version[32];
    int64_t pid;
    struct process_identity identity;
    int64_t started_ms;
    bool stopping;
    bool needs_network;          /* Ready takes the condition NetworkReady of the owner's set */
    char control[ADDR_TEXT_MAX]; /* address of the service's control socket; empty = it has none */
    char source[ADDR_TEXT_MAX];  /* where virtual machines come from: a folder, a registry key */
    bool source_exists;
    enum snapshot_phase phase;
    bool ready; /* phase == PHASE_READY */
    struct condition_set conditions;
    struct snapshot_component components[SNAPSHOT_MAX_COMPONENTS];
    unsigned component_count;
    struct snapshot_instance instances[SNAPSHOT_MAX_INSTANCES];
    unsigned instance_count;
    struct snapshot_endpoint endpoints[SNAPSHOT_MAX_ENDPOINTS];
    unsigned endpoint_count;
    struct snapshot_forward forwards[SNAPSHOT_MAX_FORWARDS];
    unsigned forward_count;
    size_t forward_bytes; /* see SNAPSHOT_FORWARDS_BYTES */
    struct snapshot_log log;
    char granted[SNAPSHOT_MAX_GRANTED][SNAPSHOT_ACCOUNT_MAX]; /* who may connect to each endpoint */
    unsigned granted_count;
    struct snapshot_page page;
    struct snapshot_config config;
    unsigned left_out; /* parts for which there was no room */
};

/* All empty; copies the program's facts. */
void snapshot_init(struct snapshot *s, const char *program, const char *version, int64_t pid,
                   int64_t started_ms);

/* Each returns the new part, to which the caller may add, or NULL when there is no room (counted in
 * left_out). A worker is SERVING while it runs, and UNKNOWN until it ran for the first time. */
struct snapshot_component *snapshot_add_worker(struct snapshot *s, const struct worker_view *v,
                                               const struct snapshot_clock *clock);
struct snapshot_instance *snapshot_add_session(struct snapshot *s, const struct session_view *v,
                                               const struct snapshot_clock *clock);
struct snapshot_endpoint *snapshot_add_endpoint(struct snapshot *s, const char *name,
                                                enum snapshot_endpoint_state state,
                                                const char *requested, const char *address,
                                                int64_t since_ms);

/* Copies @f; counts it as left out when there is no room. */
void snapshot_add_forward(struct snapshot *s, const struct snapshot_forward *f);

/* What the worker itself reported: state, conditions and counters. A worker that does not run stays
 * NOT_SERVING whatever it said last. NULL = it has not reported yet. */
void snapshot_component_health(struct snapshot_component *c, const struct health_component *h);

/* Sets phase and ready from the parts and updates the condition Ready in @own, the owner's lasting
 * set (so that its transition time is kept from one snapshot to the next), then copies @own. True
 * when the condition changed, which is the moment to log it. */
bool snapshot_conclude(struct snapshot *s, struct condition_set *own, int64_t wall_ms);

#endif
