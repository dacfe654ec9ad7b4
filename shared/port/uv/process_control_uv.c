/* SPDX-License-Identifier: Apache-2.0 */
#include "port/process.h"
#include "port/uv/stream_uv.h"

enum { CONTROL_FD = 0 };

enum status process_control_stream(struct loop *loop, struct stream **out, struct errmsg *e)
{
    enum status st = stream_uv_from_fd(loop, CONTROL_FD, out);

    if (st)
        errmsg_set(e, "open the control stream: %s", status_text(st));
    return st;
}
