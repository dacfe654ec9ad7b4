/* SPDX-License-Identifier: Apache-2.0 */
#include "port/addr.h"
#include "port/linux/listener_fd.h"
#include "port/linux/unix_dial.h"
#include "port/linux/vsock.h"
#include "port/uv/loop_uv_internal.h"

#include <sched.h>
#include <sys/socket.h>

enum status os_dial(struct loop *loop, struct dial **out, const struct addr *to,
                    uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    char text[ADDR_TEXT_MAX];

    if (to->kind == ADDR_UNIX || to->kind == ADDR_UNIXPACKET)
        return unix_dial(loop, out, to, timeout_ms, done, ctx, e);
    if (to->kind == ADDR_VSOCK)
        return vsock_dial(loop, out, to, timeout_ms, done, ctx, e);
    errmsg_set(e, "connect to %s: %s", addr_format(to, text, sizeof text),
               status_text(ST_UNSUPPORTED));
    return ST_UNSUPPORTED;
}

bool os_shutdown_now(uv_stream_t *handle)
{
    uv_os_fd_t fd;

    return uv_fileno((uv_handle_t *)handle, &fd) == 0 && shutdown(fd, SHUT_WR) == 0;
}

void os_yield(void)
{
    sched_yield();
}

enum status os_listen(struct loop *loop, struct listener **out, const struct addr *at,
                      const struct listener_opts *opts, const struct listener_handler *handler,
                      void *ctx, struct errmsg *e)
{
    return listener_fd_open(loop, out, at, opts, handler, ctx, &listener_sys_default, e);
}
