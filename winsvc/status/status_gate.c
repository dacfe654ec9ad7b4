/* SPDX-License-Identifier: Apache-2.0
 * THEORY: three doors, each against somebody else.
 *
 *   Host     a page of evil.example, whose name now leads to 127.0.0.1 (DNS rebinding), is of our
 *            origin for its browser and may read our answers; but its browser says whom it means
 *   Origin   another page that asks across origins: it could not read the answer, for want of CORS
 *            headers, and does not even get one. Sec-Fetch-Site says it where Origin is left out
 *   token    any program of any user of this computer, which says what it likes in the other two
 *
 * A header that is there twice is none of ours: whoever stands between may have read the other one.
 */
#include "status/status_gate.h"

#include "base/util.h"
#include "http/http_message.h"
#include "port/crypto.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { AUTHORITY_MAX = 32 };

static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]" };

/* @b is in lower case. */
static bool equal_ignoring_case(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;

        if (x != *b)
            return false;
        if (!x)
            return true;
    }
}

/* "localhost:8080"; without a port where that is the one of http:. */
static bool is_our_authority(const struct status_gate *g, const char *text)
{
    char ours[AUTHORITY_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        snprintf(ours, sizeof ours, "%s:%u", hosts[i], g->port);
        if (equal_ignoring_case(text, ours))
            return true;
        if (g->port == 80 && equal_ignoring_case(text, hosts[i]))
            return true;
    }
    return false;
}

static unsigned count_of(const struct http_head *head, const char *lower)
{
    unsigned n = 0;

    for (unsigned i = 0; i < head->header_count; i++)
        n += equal_ignoring_case(head->headers[i].name, lower);
    return n;
}

unsigned status_gate_origin(const struct status_gate *g, const struct http_head *head)
{
    static const char scheme[] = "http://";
    const char *origin = http_head_find(head, "Origin");
    const char *site = http_head_find(head, "Sec-Fetch-Site");

    if (count_of(head, "host") != 1 || !is_our_authority(g, http_head_find(head, "Host")))
        return 421;
    if (count_of(head, "origin") > 1)
        return 403;
    if (origin && (strncmp(origin, scheme, sizeof scheme - 1) != 0 ||
                   !is_our_authority(g, origin + sizeof scheme - 1)))
        return 403;
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return 403;
    return 200;
}

/* Looks at as many bytes whatever they are; the length of the token is no secret. */
static bool is_token(const struct status_gate *g, const char *given)
{
    size_t len = strlen(g->token);

    return strlen(given) == len && crypto_equal(given, g->token, len);
}

unsigned status_gate_token(const struct status_gate *g, const struct http_head *head)
{
    static const char bearer[] = "Bearer ";
    const char *given = http_head_find(head, "Authorization");

    ASSERT(g->token[0]);
    if (!given || count_of(head, "authorization") != 1 ||
        strncmp(given, bearer, sizeof bearer - 1) != 0 || !is_token(g, given + sizeof bearer - 1))
        return 401;
    return 200;
}
