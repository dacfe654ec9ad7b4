/* SPDX-License-Identifier: Apache-2.0
 * envelope.h - cuts a byte stream into length-prefixed Envelopes. Pure: bytes in, messages out.
 * The only place that reads the frame length; fuzzed by fuzz_ipc.
 */
#ifndef SHARED_IPC_ENVELOPE_H
#define SHARED_IPC_ENVELOPE_H

#include "ipc/channel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ENVELOPE_HEADER_BYTES = 4,
    /* What one message may take in memory once unpacked; its bytes alone are no bound, because an
     * empty element of two bytes becomes a struct of a hundred. */
    ENVELOPE_MAX_UNPACKED = 16 * IPC_MAX_MESSAGE
};

/* Grows with the bytes that arrive, never with what the header announces, and never beyond
 * IPC_MAX_MESSAGE. Zero-initialise. */
struct envelope_reader {
    uint8_t header[ENVELOPE_HEADER_BYTES];
    size_t have_bytes; /* of the frame: header, then body */
    uint8_t *body;     /* owned */
    size_t cap_bytes;  /* of @body */
    size_t len_bytes;  /* of the whole body; valid once the header is complete */
};

/* ST_OK: a message; *out is freed with rdlink__v1__envelope__free_unpacked(*out, NULL). ST_QUEUED:
 * all bytes consumed, message incomplete. ST_PROTO: *why says which way it is wrong. ST_NOMEM:
 * *why is CHANNEL_END_NO_MEMORY. After those two the reader is dead: only envelope_reader_fini()
 * may follow. *data and *len_bytes move past what was consumed. */
enum status envelope_read(struct envelope_reader *r, const uint8_t **data, size_t *len_bytes,
                          Rdlink__V1__Envelope **out, enum channel_end *why);
/* True when the stream may end here without losing part of a message. */
bool envelope_reader_is_between(const struct envelope_reader *r);
/* Frees what is buffered; the reader may be used anew. */
void envelope_reader_fini(struct envelope_reader *r);

/* Frame of @msg in a buffer the caller frees. ST_INVAL (too large or empty), ST_NOMEM. */
enum status envelope_pack(const Rdlink__V1__Envelope *msg, uint8_t **frame, size_t *len_bytes);

#endif
