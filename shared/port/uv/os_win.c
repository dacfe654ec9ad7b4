/* SPDX-License-Identifier: Apache-2.0 */
#include "port/uv/loop_uv_internal.h"
#include "port/win/win_port.h"

enum status os_dial(struct loop *loop, struct dial **out, const struct addr *to,
                    uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    return win_dial(loop, out, to, timeout_ms, done, ctx, e);
}

bool os_shutdown_now(uv_stream_t *handle)
{
    return false; /* overlapped: libuv knows when everything before it has gone */
}

enum status os_listen(struct loop *loop, struct listener **out, const struct addr *at,
                      const struct listener_opts *opts, const struct listener_handler *handler,
                      void *ctx, struct errmsg *e)
{
    return win_listen(loop, out, at, opts, handler, ctx, e);
}
