/* SPDX-License-Identifier: Apache-2.0
 * status_page.h - the status page at a loopback port, for a browser of this computer.
 *
 * A status server of its own behind a gate, so that whoever holds its connections holds none of the
 * socket's or pipe's. Its token is drawn anew each time that it starts to listen and kept in a file
 * for its owner alone. A port that is taken, or a file that cannot be written, is a message, not an
 * end: it is tried again every STATUS_PAGE_RETRY_MS. Owns: server, token. Runs on: the loop.
 */
#ifndef WINSVC_STATUS_STATUS_PAGE_H
#define WINSVC_STATUS_STATUS_PAGE_H

#include "base/status.h"
#include "port/addr.h"

#include <stdbool.h>

struct loop;
struct status_page;
struct status_server_ops;

enum { STATUS_PAGE_RETRY_MS = 5000, STATUS_PAGE_TOKEN_MODE = 0600 };

struct status_page_config {
    struct addr at;         /* tcp: */
    const char *token_file; /* copied */
    const struct status_server_ops *ops;
    void (*on_change)(void *ctx); /* the view is another one; never called before new() returned */
    void *ctx;                    /* of both */
};

struct status_page_view {
    const char *url; /* without the token: "http://127.0.0.1:8080/" */
    const char *token_file;
    bool is_served;
    const char *why; /* it is not; "" when it is, or not known yet */
};

/* ST_NOMEM, ST_INVAL (path too long). */
enum status status_page_new(struct status_page **out, struct loop *loop,
                            const struct status_page_config *config);
/* As status_server_changed(). */
void status_page_changed(struct status_page *p);
/* Borrowed until the next turn of the loop. */
struct status_page_view status_page_view(const struct status_page *p);
/* The file stays; its token opens nothing any more. NULL is fine. */
void status_page_free(struct status_page *p);

#endif
