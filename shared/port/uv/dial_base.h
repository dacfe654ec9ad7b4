/* SPDX-License-Identifier: Apache-2.0
 * dial_base.h - what every dial of the production loop begins with, whoever makes it (dial_uv.c,
 * win/): loop_ops.dial_cancel is one line, d->cancel(d). Private to port/.
 */
#ifndef SHARED_PORT_UV_DIAL_BASE_H
#define SHARED_PORT_UV_DIAL_BASE_H

struct dial {
    void (*cancel)(struct dial *); /* frees the dial; its done callback will not come */
};

#endif
