/* SPDX-License-Identifier: Apache-2.0
 * The writing half of http_message.h, and looking things up in a head.
 */
#include "http/http_message.h"

#include <stdio.h>
#include <string.h>

static bool equal_ignoring_case(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;

        if (x != y)
            return false;
        if (!x)
            return true;
    }
}

const char *http_head_find(const struct http_head *head, const char *name)
{
    for (unsigned i = 0; i < head->header_count; i++) {
        if (equal_ignoring_case(head->headers[i].name, name))
            return head->headers[i].value;
    }
    return NULL;
}

size_t http_target_path(const char *target, const char **query)
{
    size_t len = strcspn(target, "?#");

    *query = target[len] == '?' ? target + len + 1 : NULL;
    return len;
}

const char *http_status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {
        { 200, "OK" },
        { 204, "No Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 413, "Content Too Large" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].status == status)
            return rows[i].text;
    }
    return "Unknown";
}

size_t http_format_response_head(char *buf, size_t cap, unsigned status, const char *content_type,
                                 size_t body_len_bytes, const char *extra)
{
    return (size_t)snprintf(buf, cap,
                            "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n",
                            status, http_status_text(status), content_type, body_len_bytes,
                            extra ? extra : "");
}

size_t http_format_request_head(char *buf, size_t cap, const char *method, const char *target,
                                const char *host, const char *extra)
{
    return (size_t)snprintf(buf, cap, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, target, host,
                            extra ? extra : "");
}
