/* SPDX-License-Identifier: Apache-2.0
 * Which file of this directory serves which kind of address: npipe and hvsock, and listeners at
 * tcp.
 */
#include "port/uv/loop_uv_internal.h"

#include "port/addr.h"
#include "port/win/hvsock.h"
#include "port/win/pipe_dial.h"
#include "port/win/pipe_listener.h"
#include "port/win/socket_listener.h"

#include <string.h>
#include <ws2tcpip.h>

static enum status unsupported(const struct addr *a, struct errmsg *e)
{
    char text[ADDR_TEXT_MAX];
    errmsg_set(e, "%s: no such sockets on Windows", addr_format(a, text, sizeof(text)));
    return ST_UNSUPPORTED;
}

static enum status tcp_name(struct socket_name *out, const struct addr *at)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(at->tcp_port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(at->tcp_port) };

    memset(out, 0, sizeof(*out));
    out->protocol = IPPROTO_TCP;
    if (inet_pton(AF_INET, at->path, &v4.sin_addr) == 1) {
        memcpy(&out->sa, &v4, sizeof(v4));
        out->len_bytes = sizeof(v4);
    } else if (inet_pton(AF_INET6, at->path, &v6.sin6_addr) == 1) {
        memcpy(&out->sa, &v6, sizeof(v6));
        out->len_bytes = sizeof(v6);
    } else {
        return ST_INVAL;
    }
    return ST_OK;
}

static enum status tcp_listen(struct loop *loop, struct listener **out, const struct addr *at,
                              const struct listener_opts *opts,
                              const struct listener_handler *handler, void *ctx, struct errmsg *e)
{
    struct socket_listener_spec spec = { .peer = { .uid = -1 } };
    if (tcp_name(&spec.at, at)) {
        errmsg_set(e, "\"%s\" is no IP address", at->path);
        return ST_INVAL;
    }
    return socket_listener_open(loop, out, &spec, opts, handler, ctx, e);
}

enum status os_dial(struct loop *loop, struct dial **out, const struct addr *to,
                    uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    switch (to->kind) {
    case ADDR_NPIPE: return pipe_dial_start(loop, out, to->path, timeout_ms, done, ctx, e);
    case ADDR_HVSOCK: return hvsock_dial(loop, out, to, timeout_ms, done, ctx, e);
    default: return unsupported(to, e);
    }
}

bool os_shutdown_now(uv_stream_t *handle)
{
    return false; /* overlapped: libuv knows when everything before it has gone */
}

void os_yield(void)
{
    SwitchToThread();
}

enum status os_listen(struct loop *loop, struct listener **out, const struct addr *at,
                      const struct listener_opts *opts, const struct listener_handler *handler,
                      void *ctx, struct errmsg *e)
{
    switch (at->kind) {
    case ADDR_NPIPE: return pipe_listener_open(loop, out, at->path, opts, handler, ctx, e);
    case ADDR_HVSOCK: return hvsock_listen(loop, out, at, opts, handler, ctx, e);
    case ADDR_TCP: return tcp_listen(loop, out, at, opts, handler, ctx, e);
    default: return unsupported(at, e);
    }
}
