/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Addresses come from the command line, a configuration file or the name of a socket in a folder,
 * so every part is checked here and nowhere else: what addr_parse() accepted fits into a sockaddr
 * and never names a machine other than this one. Each kind is a row of @kinds: its prefix, its
 * parser and its printer; parse and format are inverse to each other.
 */
#include "port/addr.h"

#include <stdio.h>
#include <string.h>

enum { TCP_PORT_MAX = 65535, FD_MIN = 3, FD_MAX = 1048575 };

/* The rest of the text after "kind:". */
typedef enum status addr_parse_fn(struct addr *a, const char *text, struct errmsg *e);
typedef void addr_format_fn(const struct addr *a, char *buf, size_t cap);

struct addr_kind_row {
    const char *prefix;
    addr_parse_fn *parse;
    addr_format_fn *format;
};

/* ---- pieces ---------------------------------------------------------------------------- */

/* Decimal digits only, all of [text, text + len), at most @max. */
static bool parse_number(const char *text, size_t len, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;

    if (len == 0 || len > 10)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > max)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* A vsock port: any 32-bit number but the "any" value. */
static bool parse_vsock_port(const char *text, size_t len, uint32_t *out)
{
    return parse_number(text, len, ADDR_PORT_NONE - 1, out);
}

static enum status copy_path(struct addr *a, const char *text, size_t len, struct errmsg *e)
{
    if (len == 0) {
        errmsg_set(e, "the path is empty");
        return ST_INVAL;
    }
    if (len >= sizeof a->path) {
        errmsg_set(e, "the path has %zu bytes, a socket's may have %zu", len, sizeof a->path - 1);
        return ST_INVAL;
    }
    memcpy(a->path, text, len);
    a->path[len] = '\0';
    return ST_OK;
}

/* 127.0.0.0/8, four plain decimal numbers. */
static bool is_loopback_v4(const char *text, size_t len)
{
    const char *end = text + len;

    for (int i = 0; i < 4; i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        const char *stop = i < 3 ? dot : end;
        uint32_t part;

        if (!stop || (i == 3 && dot) || stop - text > 3 ||
            !parse_number(text, (size_t)(stop - text), 255, &part) || (i == 0 && part != 127))
            return false;
        text = stop + 1;
    }
    return true;
}

/* "127.0.0.1:PORT<rest>" or "[::1]:PORT<rest>" into path and tcp_port; *rest is what follows. */
static enum status parse_loopback(struct addr *a, const char *text, const char **rest,
                                  struct errmsg *e)
{
    const char *colon, *end;
    uint32_t port;
    size_t host_len;

    if (strncmp(text, "[::1]:", 6) == 0) {
        strcpy(a->path, "::1");
        colon = text + 5;
    } else {
        colon = strchr(text, ':');
        host_len = colon ? (size_t)(colon - text) : strlen(text);
        if (!is_loopback_v4(text, host_len)) {
            errmsg_set(e, "\"%.*s\" is not a loopback address, use 127.0.0.1 or [::1]",
                       (int)MIN(host_len, 64), text);
            return ST_INVAL;
        }
        memcpy(a->path, text, host_len); /* at most 15 bytes, or it were no IPv4 address */
        a->path[host_len] = '\0';
    }
    end = colon ? colon + 1 + strcspn(colon + 1, ":") : NULL;
    if (!end || !parse_number(colon + 1, (size_t)(end - colon - 1), TCP_PORT_MAX, &port) ||
        port == 0) {
        errmsg_set(e, "the TCP port must be 1 to 65535");
        return ST_INVAL;
    }
    a->tcp_port = (uint16_t)port;
    *rest = end;
    return ST_OK;
}

static void format_loopback(const struct addr *a, char *buf, size_t cap)
{
    if (strchr(a->path, ':'))
        snprintf(buf, cap, "[%s]:%u", a->path, a->tcp_port);
    else
        snprintf(buf, cap, "%s:%u", a->path, a->tcp_port);
}

/* ":PORT" appended when there is one. */
static void append_port(const struct addr *a, char *buf, size_t cap)
{
    size_t len = strlen(buf);

    if (a->port != ADDR_PORT_NONE)
        snprintf(buf + len, cap - len, ":%u", a->port);
}

/* ---- kinds ----------------------------------------------------------------------------- */

static enum status parse_unix(struct addr *a, const char *text, struct errmsg *e)
{
    return copy_path(a, text, strlen(text), e);
}

static void format_path(const struct addr *a, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s", a->path);
}

static enum status parse_tcp(struct addr *a, const char *text, struct errmsg *e)
{
    const char *rest;
    enum status st = parse_loopback(a, text, &rest, e);

    if (st == ST_OK && *rest) {
        errmsg_set(e, "nothing may follow the TCP port");
        return ST_INVAL;
    }
    return st;
}

/* PORT, CID:PORT, or CID: which is a vm address. */
static enum status parse_vsock(struct addr *a, const char *text, struct errmsg *e)
{
    const char *colon = strchr(text, ':');
    const char *port = colon ? colon + 1 : text;

    if (colon && !parse_number(text, (size_t)(colon - text), ADDR_CID_ANY - 1, &a->cid)) {
        errmsg_set(e, "the CID must be a number below 4294967295");
        return ST_INVAL;
    }
    if ((!colon || *port) && !parse_vsock_port(port, strlen(port), &a->port)) {
        errmsg_set(e, "the vsock port must be a number below 4294967295");
        return ST_INVAL;
    }
    return ST_OK;
}

static void format_vsock(const struct addr *a, char *buf, size_t cap)
{
    if (a->cid == ADDR_CID_ANY)
        snprintf(buf, cap, "%u", a->port);
    else if (a->port == ADDR_PORT_NONE)
        snprintf(buf, cap, "%u:", a->cid);
    else
        snprintf(buf, cap, "%u:%u", a->cid, a->port);
}

static enum status parse_hvsock(struct addr *a, const char *text, struct errmsg *e)
{
    char guid[GUID_TEXT_MAX + 2]; /* with braces */
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);

    if (len >= sizeof guid) {
        errmsg_set(e, "the VM id is no GUID");
        return ST_INVAL;
    }
    memcpy(guid, text, len);
    guid[len] = '\0';
    if (guid_parse(&a->vm, guid)) {
        errmsg_set(e, "the VM id is no GUID");
        return ST_INVAL;
    }
    if (colon && !parse_vsock_port(colon + 1, strlen(colon + 1), &a->port)) {
        errmsg_set(e, "the port must be a number below 4294967295");
        return ST_INVAL;
    }
    return ST_OK;
}

static void format_hvsock(const struct addr *a, char *buf, size_t cap)
{
    char guid[GUID_TEXT_MAX];

    snprintf(buf, cap, "%s", guid_format(&a->vm, guid));
    append_port(a, buf, cap);
}

/* The last colon starts a port only when digits alone follow: a path may contain colons. */
static enum status parse_vsock_hybrid(struct addr *a, const char *text, struct errmsg *e)
{
    const char *colon = strrchr(text, ':');
    size_t len = strlen(text);

    if (colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
        len = (size_t)(colon - text);
        if (!parse_vsock_port(colon + 1, strlen(colon + 1), &a->port)) {
            errmsg_set(e, "the port must be a number below 4294967295");
            return ST_INVAL;
        }
    }
    return copy_path(a, text, len, e);
}

static void format_vsock_hybrid(const struct addr *a, char *buf, size_t cap)
{
    format_path(a, buf, cap);
    append_port(a, buf, cap);
}

static enum status parse_tcp_hybrid(struct addr *a, const char *text, struct errmsg *e)
{
    const char *rest;
    enum status st = parse_loopback(a, text, &rest, e);

    if (st == ST_OK && *rest && !parse_vsock_port(rest + 1, strlen(rest + 1), &a->port)) {
        errmsg_set(e, "the port must be a number below 4294967295");
        return ST_INVAL;
    }
    return st;
}

static void format_tcp_hybrid(const struct addr *a, char *buf, size_t cap)
{
    format_loopback(a, buf, cap);
    append_port(a, buf, cap);
}

static enum status parse_npipe(struct addr *a, const char *text, struct errmsg *e)
{
    if (strpbrk(text, "\\/")) {
        errmsg_set(e, "a pipe's name stands without \\\\.\\pipe\\ and has no slashes");
        return ST_INVAL;
    }
    return copy_path(a, text, strlen(text), e);
}

static enum status parse_fd(struct addr *a, const char *text, struct errmsg *e)
{
    uint32_t fd;

    if (!parse_number(text, strlen(text), FD_MAX, &fd) || fd < FD_MIN) {
        errmsg_set(e, "the descriptor must be a number, %d or more", FD_MIN);
        return ST_INVAL;
    }
    a->fd = (int)fd;
    return ST_OK;
}

static void format_fd(const struct addr *a, char *buf, size_t cap)
{
    snprintf(buf, cap, "%d", a->fd);
}

static const struct addr_kind_row kinds[] = {
    [ADDR_NONE] = { 0 },
    [ADDR_UNIX] = { "unix:", parse_unix, format_path },
    [ADDR_TCP] = { "tcp:", parse_tcp, format_loopback },
    [ADDR_VSOCK] = { "vsock:", parse_vsock, format_vsock },
    [ADDR_HVSOCK] = { "hvsock:", parse_hvsock, format_hvsock },
    [ADDR_VSOCK_HYBRID] = { "vsock-hybrid:", parse_vsock_hybrid, format_vsock_hybrid },
    [ADDR_TCP_HYBRID] = { "tcp-hybrid:", parse_tcp_hybrid, format_tcp_hybrid },
    [ADDR_NPIPE] = { "npipe:", parse_npipe, format_path },
    [ADDR_FD] = { "fd:", parse_fd, format_fd },
    [ADDR_UNIXPACKET] = { "unixpacket:", parse_unix, format_path },
};

_Static_assert(ARRAY_SIZE(kinds) == ADDR_KIND_COUNT, "a row for each kind");

/* ---- the contract ---------------------------------------------------------------------- */

static void addr_clear(struct addr *a, enum addr_kind kind)
{
    memset(a, 0, sizeof *a);
    a->kind = kind;
    a->cid = ADDR_CID_ANY;
    a->port = ADDR_PORT_NONE;
    a->fd = -1;
}

enum status addr_parse(struct addr *out, const char *text, struct errmsg *e)
{
    for (unsigned kind = ADDR_NONE + 1; kind < ADDR_KIND_COUNT; kind++) {
        size_t len = strlen(kinds[kind].prefix);
        struct addr a;
        enum status st;

        if (strncmp(text, kinds[kind].prefix, len) != 0)
            continue;
        addr_clear(&a, (enum addr_kind)kind);
        st = kinds[kind].parse(&a, text + len, e);
        if (st)
            errmsg_wrap(e, "address \"%.100s\"", text);
        else
            *out = a;
        return st;
    }
    errmsg_set(e,
               "address \"%.60s\": it must begin with unix: unixpacket: tcp: vsock: hvsock: "
               "vsock-hybrid: tcp-hybrid: npipe: or fd:",
               text);
    return ST_INVAL;
}

const char *addr_format(const struct addr *a, char *buf, size_t cap)
{
    const struct addr_kind_row *row = &kinds[(unsigned)a->kind < ADDR_KIND_COUNT ? a->kind : 0];
    size_t len;

    if (!row->prefix) {
        snprintf(buf, cap, "none");
        return buf;
    }
    snprintf(buf, cap, "%s", row->prefix);
    len = strlen(buf);
    row->format(a, buf + len, cap - len);
    return buf;
}

struct addr addr_at_port(const struct addr *vm, uint32_t port)
{
    struct addr a = *vm;

    a.port = port;
    return a;
}

enum status addr_guest_to_host(struct addr *out, const struct addr *vm, uint32_t port,
                               struct errmsg *e)
{
    struct addr a;
    int len;

    switch (vm->kind) {
    case ADDR_VSOCK_HYBRID:
        addr_clear(&a, ADDR_UNIX);
        len = snprintf(a.path, sizeof a.path, "%s_%u", vm->path, port);
        if (len < 0 || (size_t)len >= sizeof a.path) {
            errmsg_set(e, "\"%s_%u\" is longer than a socket's path may be", vm->path, port);
            return ST_INVAL;
        }
        break;
    case ADDR_TCP_HYBRID:
        if (port > (uint32_t)(TCP_PORT_MAX - vm->tcp_port)) {
            errmsg_set(e, "TCP port %u + %u is above 65535", vm->tcp_port, port);
            return ST_INVAL;
        }
        addr_clear(&a, ADDR_TCP);
        memcpy(a.path, vm->path, sizeof a.path);
        a.tcp_port = (uint16_t)(vm->tcp_port + port);
        break;
    case ADDR_HVSOCK: a = addr_at_port(vm, port); break;
    case ADDR_VSOCK:
        addr_clear(&a, ADDR_VSOCK);
        a.port = port;
        break;
    default: errmsg_set(e, "not the address of a virtual machine"); return ST_INVAL;
    }
    *out = a;
    return ST_OK;
}

enum status addr_parse_guarded(struct addr *out, const char *text, struct errmsg *e)
{
    struct addr a;
    enum status st = addr_parse(&a, text, e);

    if (st == ST_OK && a.kind != ADDR_UNIX && a.kind != ADDR_NPIPE) {
        errmsg_set(e,
                   "'%.80s': unix:PATH or npipe:NAME only, where the system asks who may connect",
                   text);
        st = ST_INVAL;
    }
    if (st == ST_OK)
        *out = a;
    return st;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->kind == b->kind && strcmp(a->path, b->path) == 0 && a->cid == b->cid &&
           memcmp(&a->vm, &b->vm, sizeof a->vm) == 0 && a->tcp_port == b->tcp_port &&
           a->port == b->port && a->fd == b->fd;
}
