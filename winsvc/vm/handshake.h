/* SPDX-License-Identifier: Apache-2.0
 * handshake.h - the two conversations of Rancher's guest handshake, generations A and B.
 *
 * Both are one short connection to the guest's handshake port, on which the guest speaks first:
 *   probe:  guest sends its signature; we compare it byte by byte as it arrives and close without
 *           having sent anything
 *   ready:  we send READY, end our direction, take the signature in and close
 * The caller embeds a struct handshake and runs one conversation at a time on it, because the guest
 * serves one connection at a time. Owns: the dial and the stream under way. Runs on: its loop.
 */
#ifndef WINSVC_VM_HANDSHAKE_H
#define WINSVC_VM_HANDSHAKE_H

#include "base/status.h"
#include "port/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr;
struct stream;

/* What a guest of one generation says: ASCII, no terminator, no length on the wire. */
struct signature {
    const char *text;
    size_t len_bytes;
};
extern const struct signature SIGNATURE_A; /* 60 bytes */
extern const struct signature SIGNATURE_B; /* 69 bytes */

enum match_result { MATCH_NEED_MORE, MATCH_YES, MATCH_NO };

/* Pure: how much of a signature has come so far. */
struct signature_match {
    const struct signature *want;
    size_t have_bytes; /* that were right */
    bool failed;
};

void signature_match_init(struct signature_match *m, const struct signature *want);
/* MATCH_NO at the first wrong byte, and for ever after. MATCH_YES once all of it has come; what
 * follows is not looked at. */
enum match_result signature_match_feed(struct signature_match *m, const uint8_t *data,
                                       size_t len_bytes);

enum handshake_outcome {
    HANDSHAKE_MATCHED,  /* probe: a guest of this generation waits for READY */
    HANDSHAKE_READY,    /* ready: READY is with the system, the guest had the time to read it */
    HANDSHAKE_NO_DIAL,  /* nobody to talk to; the status says refused, unreachable, timeout, ... */
    HANDSHAKE_MISMATCH, /* probe: somebody else's phrase */
    HANDSHAKE_SILENT,   /* probe: the signature was not complete in time */
    HANDSHAKE_CUT,      /* the connection ended before the conversation was over */
    HANDSHAKE_OUTCOME_COUNT
};

/* Called once per conversation, never before the call that started it returned; @h is idle again
 * and may be freed or started. @detail is for people, borrowed for the call. */
typedef void handshake_done_fn(void *ctx, enum handshake_outcome outcome, enum status why,
                               const char *detail);

enum handshake_step { HANDSHAKE_IDLE, HANDSHAKE_DIALLING, HANDSHAKE_READING, HANDSHAKE_DRAINING };

struct handshake {
    struct loop *loop; /* borrowed */
    handshake_done_fn *done;
    void *ctx;
    enum handshake_step step;
    bool is_ready; /* which conversation */
    struct dial *dial;
    struct stream *stream; /* owned */
    struct timer deadline;
    uint32_t read_timeout_ms;
    struct signature_match match;
    size_t drained_bytes; /* of the signature, after READY */
    bool drain_over;
    struct errmsg early; /* why the dial could not even be started */
    enum status early_status;
};

void handshake_init(struct handshake *h, struct loop *loop, handshake_done_fn *done, void *ctx);
/* @read_timeout_ms is for the whole signature, after READY as well. @h must be idle. */
void handshake_probe(struct handshake *h, const struct addr *at, const struct signature *want,
                     uint32_t dial_timeout_ms, uint32_t read_timeout_ms);
void handshake_send_ready(struct handshake *h, const struct addr *at,
                          const struct signature *expect, uint32_t dial_timeout_ms,
                          uint32_t read_timeout_ms);
bool handshake_is_idle(const struct handshake *h);
/* Drops what is under way; done() is not called. Fine when idle. */
void handshake_cancel(struct handshake *h);

#endif
