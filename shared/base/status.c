/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define X(name, text) [ST_##name] = #name,
    STATUS_LIST(X)
#undef X
};

static const char *const texts[] = {
#define X(name, text) [ST_##name] = text,
    STATUS_LIST(X)
#undef X
};

_Static_assert(ARRAY_SIZE(names) == ST_COUNT, "a name for each status");
_Static_assert(ARRAY_SIZE(texts) == ST_COUNT, "a text for each status");

const char *status_name(enum status st)
{
    return (unsigned)st < ST_COUNT ? names[st] : "UNKNOWN";
}

const char *status_text(enum status st)
{
    return (unsigned)st < ST_COUNT ? texts[st] : "unknown status";
}

void errmsg_set(struct errmsg *e, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
}

void errmsg_wrap(struct errmsg *e, const char *fmt, ...)
{
    char inner[sizeof e->text];
    va_list ap;
    int n;

    if (!e)
        return;
    memcpy(inner, e->text, sizeof inner);
    inner[sizeof inner - 1] = '\0';
    va_start(ap, fmt);
    n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", inner);
}

void util_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, cond);
    fflush(stderr);
    abort();
}
