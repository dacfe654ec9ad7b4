/* SPDX-License-Identifier: Apache-2.0
 * os_status.h - an errno of this directory's system calls as a status. Private to linux/.
 */
#ifndef GUESTAGENT_LINUX_OS_STATUS_H
#define GUESTAGENT_LINUX_OS_STATUS_H

#include "port/uv/uv_status.h"

#include <errno.h>
#include <uv.h>

/* @err is an errno, not 0. Never ST_OK. What uv_status() has no say in, because it is rtnetlink's
 * and the tap device's own way of saying it, is here. */
static inline enum status os_status(int err)
{
    switch (err) {
    case EAGAIN: return ST_AGAIN;
    case EADDRNOTAVAIL: /* an address that an interface does not have */
    case ESRCH: return ST_NOTFOUND;
    case EBADFD: return ST_CLOSED; /* the device of this descriptor was deleted */
    default: return uv_status(uv_translate_sys_error(err));
    }
}

#endif
