/* SPDX-License-Identifier: Apache-2.0
 * page.h - the status page: one HTML file with all that it needs in it, and a place for data.
 *
 * Without data it is served and asks /v1/events for itself; with data it is a report that opens
 * from anywhere. Its sources are page.html, page.css and page.js beside this file; the build puts
 * them together with docs/troubleshooting.md (assemble.cmake). Pure; any thread.
 */
#ifndef WINSVC_PAGE_PAGE_H
#define WINSVC_PAGE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/* The page without data; static. */
const char *page_text(size_t *len_bytes);
/* Its Content-Security-Policy, also for the head of an answer; static. */
const char *page_policy(void);

/* Takes all of @data, or returns false. */
typedef bool page_write_fn(void *ctx, const void *data, size_t len_bytes);

/* A page with data is page_write_head(), JSON in as many pieces as one likes, page_write_tail().
 * False when @write said so. */
bool page_write_head(page_write_fn *write, void *ctx);
/* A piece of valid JSON, as it may stand within a script element: what HTML would take for its own
 * is escaped, which JSON allows where such a byte can stand, in strings. */
bool page_write_json(page_write_fn *write, void *ctx, const char *json, size_t len_bytes);
bool page_write_tail(page_write_fn *write, void *ctx);

#endif
