/* SPDX-License-Identifier: Apache-2.0
 * dns_message.h - the parts of DNS messages (RFC 1035, 6891) that a forwarder has to understand:
 * the question, EDNS, and the TTLs of an answer. Pure; memory is the caller's.
 */
#ifndef WINSVC_SWITCH_DNS_MESSAGE_H
#define WINSVC_SWITCH_DNS_MESSAGE_H

#include "base/bytes.h"
#include "base/ip_addr.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    DNS_PORT = 53,
    DNS_HEADER_BYTES = 12,
    DNS_NAME_MAX = 255, /* wire form, with the root */
    DNS_UDP_MIN = 512,
    DNS_UDP_MAX = 1232, /* fits every path unfragmented (DNS flag day 2020) */
    DNS_QUESTION_MAX = DNS_HEADER_BYTES + DNS_NAME_MAX + 4,
    DNS_OPT_BYTES = 11,
    DNS_SMALL_MAX = DNS_QUESTION_MAX + 2 * 28 + DNS_OPT_BYTES /* what dns_answer_*() compose */
};

enum {
    DNS_FLAG_QR = 0x8000,
    DNS_FLAG_AA = 0x0400,
    DNS_FLAG_TC = 0x0200,
    DNS_FLAG_RD = 0x0100,
    DNS_FLAG_RA = 0x0080,
    DNS_FLAG_AD = 0x0020,
    DNS_FLAG_CD = 0x0010,
    DNS_OPCODE_MASK = 0x7800
};

enum dns_rcode {
    DNS_NOERROR,
    DNS_FORMERR,
    DNS_SERVFAIL,
    DNS_NXDOMAIN,
    DNS_NOTIMP,
    DNS_REFUSED,
    DNS_BADVERS = 16 /* needs EDNS */
};

enum {
    DNS_TYPE_A = 1,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_IXFR = 251,
    DNS_TYPE_ANY = 255,
    DNS_CLASS_IN = 1
};

/* A client's question. */
struct dns_question {
    uint16_t id, flags;
    uint16_t type, class;
    uint8_t name[DNS_NAME_MAX]; /* wire form, letters as they came */
    uint8_t key[DNS_NAME_MAX];  /* the same in lower case */
    uint8_t name_bytes;
    bool has_edns, dnssec_ok;
    uint8_t edns_version;
    uint16_t udp_bytes; /* what the client takes by UDP, within DNS_UDP_MIN..DNS_UDP_MAX */
};

/* ST_OK. ST_EOF: to be ignored (shorter than a header, or a response). Otherwise *rcode says how
 * to refuse it; id and flags are then set, has_edns false and name_bytes 0. ST_PROTO,
 * ST_UNSUPPORTED. */
enum status dns_question_decode(struct dns_question *out, const uint8_t *msg, size_t len_bytes,
                                enum dns_rcode *rcode);
/* Whether both ask for the same thing, so that one answer serves both. */
bool dns_question_same(const struct dns_question *a, const struct dns_question *b);
/* The question as it goes to the host's resolver: RD and CD as asked, EDNS without the client's
 * options. Returns its bytes. */
size_t dns_question_encode(const struct dns_question *q, uint16_t id,
                           uint8_t buf[static DNS_SMALL_MAX]);

/* An answer without records; @truncated sets TC. Returns its bytes. */
size_t dns_answer_empty(const struct dns_question *q, enum dns_rcode rcode, bool authoritative,
                        bool truncated, uint8_t buf[static DNS_SMALL_MAX]);
/* Authoritative: A and AAAA records, NULL = none of that kind. */
size_t dns_answer_addresses(const struct dns_question *q, const struct ip_addr *v4,
                            const struct ip_addr *v6, uint32_t ttl_s,
                            uint8_t buf[static DNS_SMALL_MAX]);
/* Authoritative: one PTR record. 0: @name_bytes is too long for the buffer. */
size_t dns_answer_pointer(const struct dns_question *q, const uint8_t *name, size_t name_bytes,
                          uint32_t ttl_s, uint8_t *buf, size_t cap_bytes);

/* What a forwarder needs to know of an answer from upstream. */
struct dns_answer_info {
    uint8_t rcode;
    bool truncated;
    bool has_private;  /* an address of dns_rebind_is_private() in it */
    bool is_cacheable; /* NOERROR, or NXDOMAIN and NODATA with a SOA (RFC 2308) */
    uint32_t ttl_s;    /* how long: the least TTL in it */
};
/* Checks that it answers @q (name, type, class) under @id and walks all of it. ST_PROTO. */
enum status dns_answer_check(struct dns_answer_info *out, const struct dns_question *q, uint16_t id,
                             const uint8_t *msg, size_t len_bytes);
/* Makes a checked answer, in place, the one to @q: its id, RD and letters of the name, and all TTLs
 * lower by @age_s. */
void dns_answer_fit(uint8_t *msg, size_t len_bytes, const struct dns_question *q, uint32_t age_s);

/* Whether @name, in wire form and lower case, is @suffix or ends with it at a label's border. */
bool dns_name_is_below(const uint8_t *name, size_t name_bytes, const uint8_t *suffix,
                       size_t suffix_bytes);
/* "a.test." or "a.test" to the lower-case wire form; 0: no name. */
size_t dns_name_encode(uint8_t out[static DNS_NAME_MAX], const char *text);
/* The other way, with the final dot, for messages and JSON. */
enum { DNS_NAME_TEXT_MAX = 4 * DNS_NAME_MAX };
const char *dns_name_format(const uint8_t *name, size_t name_bytes,
                            char buf[static DNS_NAME_TEXT_MAX]);

#endif
