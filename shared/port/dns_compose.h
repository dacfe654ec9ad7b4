/* SPDX-License-Identifier: Apache-2.0
 * dns_compose.h - DNS messages (RFC 1035, 6891) for a resolver that gets records as text instead of
 * as a message: which questions can be asked as text, and answers written record by record.
 * Pure; memory is the caller's. Names are UTF-8 with dots between labels and without escapes.
 */
#ifndef SHARED_PORT_DNS_COMPOSE_H
#define SHARED_PORT_DNS_COMPOSE_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DNS_TEXT_NAME_MAX = 256, /* with the final dot and the terminator */
    DNS_COMPOSE_MIN_BYTES = 12 + 255 + 4 + 11
};

enum dns_section { DNS_SECTION_ANSWER, DNS_SECTION_AUTHORITY, DNS_SECTION_ADDITIONAL };

/* What of a question fits into text. */
struct dns_text_question {
    char name[DNS_TEXT_NAME_MAX]; /* "www.example.com." */
    uint16_t type;
    bool has_edns;
    size_t name_bytes; /* in the message, where it begins after the header */
};

/* ST_OK. ST_PROTO: that is not one question. ST_UNSUPPORTED: more is asked for than a name and a
 * type (DNSSEC, no recursion, another class, an EDNS option), or the name is not plain text. */
enum status dns_text_question_decode(struct dns_text_question *out, const uint8_t *message,
                                     size_t len_bytes);

struct dns_compose {
    struct bytes_out w;
    uint16_t counts[3];
    enum dns_section section; /* of the last record */
    const struct dns_text_question *q;
    size_t record_at, rdata_at; /* the open record */
    enum status why;            /* of the open record */
};

/* An answer to @message, which was decoded into @q; both are needed until the end. @buf has at
 * least DNS_COMPOSE_MIN_BYTES. */
void dns_compose_begin(struct dns_compose *c, void *buf, size_t cap_bytes, const uint8_t *message,
                       const struct dns_text_question *q);
/* Opens a record; sections come in order. What the calls up to dns_compose_record_end() write is
 * its data. */
void dns_compose_record(struct dns_compose *c, enum dns_section section, const char *owner,
                        uint16_t type, uint32_t ttl_s);
void dns_compose_name(struct dns_compose *c, const char *name);
/* A <character-string>: at most 255 bytes. */
void dns_compose_string(struct dns_compose *c, const char *text);
void dns_compose_be16(struct dns_compose *c, uint16_t v);
void dns_compose_be32(struct dns_compose *c, uint32_t v);
void dns_compose_bytes(struct dns_compose *c, const void *data, size_t len_bytes);
/* The open record cannot be told: dns_compose_record_end() will say ST_UNSUPPORTED. */
void dns_compose_give_up(struct dns_compose *c);
/* ST_OK, or the record is taken back: ST_UNSUPPORTED (no name, or no string, of DNS), ST_FULL. */
enum status dns_compose_record_end(struct dns_compose *c);
/* Returns the message's bytes. Once, without an open record. */
size_t dns_compose_end(struct dns_compose *c, unsigned rcode);

#endif
