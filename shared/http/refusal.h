/* SPDX-License-Identifier: Apache-2.0
 * refusal.h - tells a docker client why it cannot be served, in the way docker itself would.
 *
 * Reads the request's head (bounded in bytes and time), answers
 *   HTTP/1.1 503 Service Unavailable   {"message":"<why>"}
 * (no body for HEAD), ends our direction, and reads on for a moment so that an unread request body
 * does not turn our answer into a reset. Something that is not HTTP is just closed.
 */
#ifndef SHARED_HTTP_REFUSAL_H
#define SHARED_HTTP_REFUSAL_H

#include "base/status.h"

struct loop;
struct refusal;
struct stream;

/* Takes @s in every case. @done (may be NULL) is called once when the stream is closed, never
 * before this returns; not after refusal_abort(). ST_NOMEM: the stream was closed, no callback. */
enum status refusal_start(struct refusal **out, struct loop *loop, struct stream *s,
                          const char *why, void (*done)(void *ctx), void *ctx);
/* Closes at once; NULL is fine. */
void refusal_abort(struct refusal *r);

#endif
