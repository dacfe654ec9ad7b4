/* SPDX-License-Identifier: Apache-2.0
 * dns_cache.h - answers of the host's resolver, kept for their TTL. Pure: time comes in.
 *
 * Bounded by entries and by bytes; the least recently used goes. An answer is as it came: age it
 * with dns_answer_fit().
 */
#ifndef WINSVC_SWITCH_DNS_CACHE_H
#define WINSVC_SWITCH_DNS_CACHE_H

#include "switch/dns_message.h"

enum { DNS_CACHE_ANSWER_MAX = 8192 };

struct dns_cache;
struct switch_limits;

/* @seed: secret, of the hash. @limits (dns_cache_entries, dns_cache_bytes) and @evicted, where what
 * has to go before its time is counted, are borrowed for the cache's life. ST_NOMEM. */
enum status dns_cache_new(struct dns_cache **out, uint32_t seed, const struct switch_limits *limits,
                          uint64_t *evicted);
void dns_cache_free(struct dns_cache *c);
/* The answer, borrowed until the next dns_cache_add(), or NULL; *age_s is how long it is here. */
const uint8_t *dns_cache_find(struct dns_cache *c, const struct dns_question *q, uint64_t now_ms,
                              size_t *len_bytes, uint32_t *age_s);
/* Replaces what is there; kept for @ttl_s. What is too large, or when memory is short, is not. */
void dns_cache_add(struct dns_cache *c, const struct dns_question *q, const uint8_t *msg,
                   size_t len_bytes, uint32_t ttl_s, uint64_t now_ms);
void dns_cache_clear(struct dns_cache *c);
unsigned dns_cache_count(const struct dns_cache *c);

#endif
