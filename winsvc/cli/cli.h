/* SPDX-License-Identifier: Apache-2.0
 * cli.h - `rdlink`: which command, and what all commands get from outside.
 *
 * A command writes through struct cli_env, works on its loop and ends with an exit code, so that
 * all of it runs in a test without a process, a terminal or a socket.
 */
#ifndef WINSVC_CLI_CLI_H
#define WINSVC_CLI_CLI_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_look;
struct loop;
struct sys_facts;

/* Exit codes; the documentation of the program promises them. */
enum {
    CLI_READY = 0,
    CLI_DEGRADED = 1,
    CLI_NOT_RUNNING = 2,
    CLI_NO_PERMISSION = 3,
    CLI_USAGE = 4,
    CLI_PENDING = -1 /* no exit code yet: @finish will be called */
};

enum cli_out { CLI_STDOUT, CLI_STDERR };

struct cli_env {
    struct loop *loop; /* borrowed */
    /* All of @text at once. */
    void (*print)(void *ctx, enum cli_out to, const char *text);
    /* Bytes for a file that a person named, or "-": one at a time, closed at the end. False: it
     * cannot be opened, or took no more. */
    bool (*open_output)(void *ctx, const char *path);
    bool (*write_output)(void *ctx, const void *data, size_t len_bytes);
    /* The same for a file that must not be there yet and is its owner's alone: ST_EXISTS, and other
     * statuses of the system. discard_output() removes what was begun of it. */
    enum status (*create_output)(void *ctx, const char *path);
    void (*discard_output)(void *ctx);
    /* A command that returned CLI_PENDING is over; never called before it returned. */
    void (*finish)(void *ctx, int exit_code);
    void *ctx;
    const char *status_address; /* RDLINK_STATUS, or NULL */
    const char *default_address;
    const char *default_logs;        /* the folder of the service's log; NULL = unknown */
    const char *default_status_file; /* of the service at @default_address; NULL = unknown */
    bool terminal;                   /* standard output is one */
    bool color;                      /* ... and NO_COLOR is not set */
    int64_t (*wall_ms)(void);
    void (*describe)(struct sys_facts *out); /* sys_describe() */
    const struct host_look *look;            /* host_look_os; NULL = nothing is looked at */
    const char *home, *users[2];             /* of who runs this; NULL = unknown */
    const char *commit; /* of the sources that were built, "unknown" where there is none */
    const char *build;  /* by what and for what: compiler, system, kind */
};

struct cli; /* a command that is under way */

/* argv[0] is the program. An exit code, or CLI_PENDING with *out set, to be freed after finish().
 */
int cli_start(struct cli **out, const struct cli_env *env, int argc, const char *const *argv);
/* NULL is fine. */
void cli_free(struct cli *c);

#endif
