/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bundle.h"

#include "base/util.h"
#include "cli/ustar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    char name[USTAR_NAME_MAX];
    char *data; /* owned */
    size_t len_bytes;
};

struct bundle {
    char folder[64];
    int64_t wall_ms;
    const struct redact_names *names; /* borrowed */
    struct file files[BUNDLE_FILES_MAX];
    unsigned count;
    size_t total_bytes;
    bool failed; /* no memory, once */
};

struct bundle *bundle_new(const char *folder, int64_t wall_ms, const struct redact_names *names)
{
    struct bundle *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    snprintf(b->folder, sizeof b->folder, "%s", folder);
    b->wall_ms = wall_ms;
    b->names = names;
    return b;
}

void bundle_free(struct bundle *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < b->count; i++)
        free(b->files[i].data);
    free(b);
}

static bool is_json(const char *name)
{
    size_t len = strlen(name);

    return len > 5 && !strcmp(name + len - 5, ".json");
}

static void keep(struct bundle *b, const char *name, const void *data, size_t len_bytes)
{
    struct file *f = &b->files[b->count];

    if (b->count == BUNDLE_FILES_MAX)
        return;
    f->data = redact(data, len_bytes, b->names, is_json(name), &f->len_bytes);
    if (!f->data) {
        b->failed = true;
        return;
    }
    snprintf(f->name, sizeof f->name, "%s", name);
    b->total_bytes += f->len_bytes;
    b->count++;
}

void bundle_add(struct bundle *b, const char *name, const void *data, size_t len_bytes)
{
    if (len_bytes > BUNDLE_BYTES_MAX - MIN(b->total_bytes, (size_t)BUNDLE_BYTES_MAX))
        bundle_add_missing(b, name, "there was no room for it in the report");
    else
        keep(b, name, data, len_bytes);
}

void bundle_add_missing(struct bundle *b, const char *name, const char *why)
{
    char other[USTAR_NAME_MAX], text[512];
    int len = snprintf(text, sizeof text, "%s\n", why);

    snprintf(other, sizeof other, "%.80s.missing.txt", name);
    keep(b, other, text, MIN((size_t)len, sizeof text - 1));
}

char *bundle_list(const struct bundle *b)
{
    enum { LINE = USTAR_NAME_MAX + 32 };
    size_t cap = (size_t)(b->count + 1) * LINE, len = 0;
    char *text = b->failed ? NULL : malloc(cap);

    if (!text)
        return NULL;
    text[0] = '\0';
    for (unsigned i = 0; i < b->count; i++)
        len += (size_t)snprintf(text + len, cap - len, "  %9zu  %s\n", b->files[i].len_bytes,
                                b->files[i].name);
    return text;
}

/* ---- the archive ------------------------------------------------------------------------- */

struct out {
    bool (*write)(void *ctx, const void *data, size_t len_bytes);
    void *ctx;
};

static bool write_file(const struct bundle *b, const struct out *o, const char *name,
                       const char *data, size_t len_bytes)
{
    static const uint8_t zeros[USTAR_BLOCK];
    uint8_t head[USTAR_BLOCK];

    ustar_head(head, b->folder, name, len_bytes, b->wall_ms / 1000);
    return o->write(o->ctx, head, sizeof head) &&
           (!len_bytes || o->write(o->ctx, data, len_bytes)) &&
           (!ustar_padding(len_bytes) || o->write(o->ctx, zeros, ustar_padding(len_bytes)));
}

bool bundle_write(const struct bundle *b, const char *contents,
                  bool (*write)(void *ctx, const void *data, size_t len_bytes), void *ctx)
{
    static const uint8_t end[2 * USTAR_BLOCK];
    struct out o = { write, ctx };

    if (!write_file(b, &o, "CONTENTS.txt", contents, strlen(contents)))
        return false;
    for (unsigned i = 0; i < b->count; i++)
        if (!write_file(b, &o, b->files[i].name, b->files[i].data, b->files[i].len_bytes))
            return false;
    return write(ctx, end, sizeof end);
}
