/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: two layers of escapes. A record's text is *clean*: hostile bytes are four printable
 * letters (\x1b) for good, and nobody turns them back, because every reader is a terminal, a
 * viewer or a program that prints. A line *quotes* that text: \" and \\ only, which the parser
 * undoes. So a path of Windows is doubled in the file and plain everywhere else, and a forged
 * "\n" of a guest is never a newline again.
 */
#include "base/log_line.h"

#include "base/bytes.h"
#include "base/wall_time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- clean text ------------------------------------------------------------------------------ */

/* Letters that a terminal or a viewer acts on: C0, DEL, C1, and what turns the direction of
 * writing or breaks lines in Unicode. */
static bool is_hostile(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x061c ||
           c == 0xfeff;
}

/* Bytes of the harmless character at @p; 0: what is there is not one. @p is terminated. */
static unsigned harmless(const unsigned char *p)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned len = p[0] < 0x80              ? 1
                   : (p[0] & 0xe0u) == 0xc0 ? 2
                   : (p[0] & 0xf0u) == 0xe0 ? 3
                   : (p[0] & 0xf8u) == 0xf0 ? 4
                                            : 0;
    uint32_t c = len > 1 ? p[0] & (0x7fu >> len) : p[0];

    for (unsigned i = 1; i < len; i++) {
        if ((p[i] & 0xc0u) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (!len || c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || is_hostile(c))
        return 0;
    return len;
}

void log_text_clean(char *dst, size_t cap, const char *text)
{
    static const char hex[] = "0123456789abcdef", cut[] = "...";
    const unsigned char *p = (const unsigned char *)text;
    size_t used = 0, whole = 0; /* whole: as far as there is room for "..." */

    while (*p) {
        unsigned len = harmless(p);
        size_t takes = len ? len : 4;

        if (used + takes >= cap) {
            memcpy(dst + whole, cut, sizeof cut);
            return;
        }
        if (len)
            memcpy(dst + used, p, len);
        else
            memcpy(dst + used, (char[]){ '\\', 'x', hex[*p >> 4], hex[*p & 15u] }, 4);
        p += len ? len : 1;
        used += takes;
        if (used + sizeof cut <= cap)
            whole = used;
    }
    dst[used] = '\0';
}

/* ---- to a line ------------------------------------------------------------------------------- */

static void put(struct bytes_out *o, const char *text)
{
    bytes_put(o, text, strlen(text));
}

static void put_quoted(struct bytes_out *o, const char *text)
{
    bytes_put(o, "\"", 1);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            bytes_put(o, "\\", 1);
        bytes_put(o, text, 1);
    }
    bytes_put(o, "\"", 1);
}

static void put_number(struct bytes_out *o, const char *key, int64_t value)
{
    char text[48];

    if (!value)
        return;
    snprintf(text, sizeof text, " %s=%" PRId64, key, value);
    put(o, text);
}

size_t log_line_format(char buf[static LOG_LINE_MAX], const struct log_record *r)
{
    struct bytes_out o = bytes_into(buf, LOG_LINE_MAX - 1);
    char time[WALL_TIME_MAX];

    put(&o, "time=");
    put(&o, wall_time_text(r->time_ms, time));
    put(&o, " level=");
    put(&o, log_level_name(r->level));
    put(&o, " component=");
    put(&o, log_component_name(r->component));
    if (r->process[0]) {
        put(&o, " process=");
        if (strpbrk(r->process, " =\"\\"))
            put_quoted(&o, r->process);
        else
            put(&o, r->process);
    }
    put_number(&o, "pid", r->pid);
    put_number(&o, "event", r->event);
    put(&o, " msg=");
    put_quoted(&o, r->text);
    bytes_put(&o, "\n", 1);
    ASSERT(bytes_out_ok(&o)); /* LOG_TEXT_MAX and LOG_PROCESS_MAX, all of it quoted, do fit */
    buf[o.len_bytes] = '\0';
    return o.len_bytes;
}

/* ---- from a line ----------------------------------------------------------------------------- */

struct field {
    char key[16];
    char value[2 * LOG_TEXT_MAX];
};

static bool is_key_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Up to '='. */
static bool take_key(struct bytes *in, struct field *f)
{
    size_t len = 0;
    uint8_t c;

    while (is_key_letter(c = bytes_u8(in))) {
        if (len + 1 == sizeof f->key)
            return false;
        f->key[len++] = (char)c;
    }
    f->key[len] = '\0';
    return bytes_ok(in) && len > 0 && c == '=';
}

/* What does not fit is dropped: a longer text than ours is cut later anyway. */
static bool take_quoted(struct bytes *in, struct field *f)
{
    size_t len = 0;
    uint8_t c;

    while ((c = bytes_u8(in)) != '"') {
        if (c == '\\')
            c = bytes_u8(in);
        if (!bytes_ok(in) || !c)
            return false;
        if (len + 1 < sizeof f->value)
            f->value[len++] = (char)c;
    }
    f->value[len] = '\0';
    return bytes_ok(in) && (!in->left || bytes_u8(in) == ' ');
}

static bool take_plain(struct bytes *in, struct field *f)
{
    size_t len = 0;
    uint8_t c;

    while (in->left && (c = bytes_u8(in)) != ' ') {
        if (c == '"' || !c)
            return false;
        if (len + 1 < sizeof f->value)
            f->value[len++] = (char)c;
    }
    f->value[len] = '\0';
    return true;
}

static bool take_field(struct bytes *in, struct field *f)
{
    if (!take_key(in, f))
        return false;
    if (in->left && *in->p == '"') {
        (void)bytes_u8(in);
        return take_quoted(in, f);
    }
    return take_plain(in, f);
}

/* Up to 15 digits: what a JSON number holds exactly. */
static bool take_number(const char *text, int64_t *out)
{
    int64_t value = 0;
    size_t len = strlen(text);

    if (!len || len > 15)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (*text - '0');
    }
    *out = value;
    return true;
}

enum { HAS_TIME = 1, HAS_LEVEL = 2, HAS_COMPONENT = 4, HAS_TEXT = 8, HAS_ALL = 15 };

/* False: the value is none. *@has is what was seen so far. */
static bool keep_field(struct log_line *out, const struct field *f, unsigned *has)
{
    struct log_record *r = &out->record;
    int64_t number;

    if (!strcmp(f->key, "time")) {
        *has |= HAS_TIME;
        return wall_time_parse(f->value, strlen(f->value), &r->time_ms);
    }
    if (!strcmp(f->key, "level")) {
        *has |= HAS_LEVEL;
        return log_level_parse(&r->level, f->value);
    }
    if (!strcmp(f->key, "component")) {
        *has |= HAS_COMPONENT;
        return log_component_parse(&r->component, f->value);
    }
    if (!strcmp(f->key, "pid"))
        return take_number(f->value, &r->pid);
    if (!strcmp(f->key, "event")) {
        if (!take_number(f->value, &number) || number > UINT16_MAX)
            return false;
        r->event = (unsigned)number;
    } else if (!strcmp(f->key, "process")) {
        log_text_clean(out->process, sizeof out->process, f->value);
    } else if (!strcmp(f->key, "msg")) {
        *has |= HAS_TEXT;
        log_text_clean(out->text, sizeof out->text, f->value);
    }
    return true;
}

bool log_line_parse(struct log_line *out, const char *text, size_t len_bytes)
{
    struct bytes in = bytes_of(text, len_bytes);
    unsigned has = 0;
    struct field f;

    out->process[0] = out->text[0] = '\0';
    out->record = (struct log_record){ .process = out->process, .text = out->text };
    while (in.left)
        if (!take_field(&in, &f) || !keep_field(out, &f, &has))
            return false;
    return has == HAS_ALL;
}
