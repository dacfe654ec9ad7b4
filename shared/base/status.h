/* SPDX-License-Identifier: Apache-2.0
 * status.h - what every fallible function returns, and the text that goes with it.
 *
 * Above port/ there is no errno, GetLastError() or UV_E*: port/ maps them to one of these. On the
 * data path a status and a counter are all there is; on the control path (start-up, configuration,
 * IPC) the caller also passes a struct errmsg, which each layer wraps with its own context:
 * "start docker endpoint: listen on unix:/run/d.sock: address in use by pid 12 (dockerd)".
 */
#ifndef SHARED_BASE_STATUS_H
#define SHARED_BASE_STATUS_H

#include "base/util.h"

/* One list for the enum, the names and the texts, so that they cannot drift apart. */
#define STATUS_LIST(X)                                 \
    X(OK, "ok")                                        \
    X(QUEUED, "accepted, not yet sent")                \
    X(AGAIN, "nothing there now")                      \
    X(EOF, "end of stream")                            \
    X(RESET, "connection reset")                       \
    X(REFUSED, "connection refused")                   \
    X(UNREACHABLE, "unreachable")                      \
    X(TIMEOUT, "timed out")                            \
    X(CANCELLED, "cancelled")                          \
    X(CLOSED, "already closed")                        \
    X(EXISTS, "already taken")                         \
    X(NOTFOUND, "not found")                           \
    X(DENIED, "access denied")                         \
    X(FULL, "limit reached")                           \
    X(NOMEM, "out of memory")                          \
    X(NOFILES, "out of descriptors or kernel buffers") \
    X(PROTO, "protocol violation")                     \
    X(INVAL, "invalid argument")                       \
    X(UNSUPPORTED, "not supported on this system")     \
    X(IO, "input/output error")

enum status {
#define X(name, text) ST_##name,
    STATUS_LIST(X)
#undef X
        ST_COUNT
};

/* "REFUSED": stable, for logs and JSON. Never NULL. */
const char *status_name(enum status st);
/* "connection refused": for people. Never NULL. */
const char *status_text(enum status st);

/* A message owned by the caller; always terminated, cut at the end when too long. */
struct errmsg {
    char text[256];
};

/* Every function here takes @e == NULL as "nobody wants to know". */
void errmsg_set(struct errmsg *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts "context: " before what is there. */
void errmsg_wrap(struct errmsg *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
