/* SPDX-License-Identifier: Apache-2.0
 * worker_command.h - the command line of a switch worker. Pure.
 */
#ifndef WINSVC_NETWORK_WORKER_COMMAND_H
#define WINSVC_NETWORK_WORKER_COMMAND_H

#include "base/options.h"
#include "base/status.h"
#include "port/addr.h"
#include "supervisor/worker_argv.h"
#include "vm/guest_session.h"

struct switch_options;

enum {
    WORKER_NAME_MAX = 40, /* supervisor.h */
    WORKER_ARGV_MAX = 40 + 6 * OPTION_LIST_MAX
};

/* Its texts are argv's: it must not move while it is used. */
struct worker_command {
    char name[WORKER_NAME_MAX], link[ADDR_TEXT_MAX + 8];
    char cid[WORKER_NUMBER_MAX], mtu[WORKER_NUMBER_MAX], page_port[WORKER_NUMBER_MAX];
    char control[ADDR_TEXT_MAX + WORKER_NAME_MAX]; /* where its control socket is; empty = none */
    char sddl[OPTION_VALUE_MAX];
    char *argv[WORKER_ARGV_MAX];
};

/* Everything is borrowed for as long as argv is used. */
struct worker_command_input {
    const char *program, *log_level;
    const char *control;                  /* without "-NAME"; "" = none */
    const char *sddl;                     /* of the control socket; NULL = default */
    uint16_t page_port;                   /* of the status page; 0 = there is none */
    const struct switch_options *options; /* as network_service_config has them */
};

/* Names are shown, and files are called after them, so they are unique: one that has to be cut
 * gets @number. */
void worker_command_name(struct worker_command *c, const char *vm_id,
                         enum guest_generation generation, unsigned number);
/* Where it listens for the guest of @vm. Statuses of addr_guest_to_host(). */
enum status worker_command_link(struct worker_command *c, const struct addr *vm, uint32_t data_port,
                                enum guest_generation generation, struct errmsg *e);
/* The rest, once name and link are there; again when @in changed. */
void worker_command_build(struct worker_command *c, const struct worker_command_input *in,
                          const struct addr *vm);

#endif
