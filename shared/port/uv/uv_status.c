/* SPDX-License-Identifier: Apache-2.0 */
#include "port/uv/uv_status.h"

#include <uv.h>

enum status uv_status(int err)
{
    switch (err) {
    case UV_EOF: return ST_EOF;
    case UV_EPIPE:
    case UV_ECONNABORTED:
    case UV_ENOTCONN:
    case UV_ECONNRESET: return ST_RESET;
    case UV_ECONNREFUSED: return ST_REFUSED;
    case UV_ENETUNREACH:
    case UV_ENETDOWN:
    case UV_EADDRNOTAVAIL:
    case UV_EHOSTUNREACH: return ST_UNREACHABLE;
    case UV_ETIMEDOUT: return ST_TIMEOUT;
    case UV_ECANCELED: return ST_CANCELLED;
    case UV_EADDRINUSE:
    case UV_EEXIST: return ST_EXISTS;
    case UV_ENXIO:
    case UV_ENODEV:
    case UV_ENOTDIR:
    case UV_ENOENT: return ST_NOTFOUND;
    case UV_EPERM:
    case UV_EROFS:
    case UV_EACCES: return ST_DENIED;
    case UV_ENOMEM: return ST_NOMEM;
    case UV_EMFILE:
    case UV_ENFILE:
    case UV_ENOBUFS: return ST_NOFILES;
    case UV_ENOSPC: return ST_FULL;
    case UV_EPROTO: return ST_PROTO;
    case UV_EINVAL:
    case UV_EMSGSIZE:
    case UV_ENAMETOOLONG: return ST_INVAL;
    case UV_EAFNOSUPPORT:
    case UV_EPROTONOSUPPORT:
    case UV_ENOSYS:
    case UV_ENOTSUP: return ST_UNSUPPORTED;
    default: return ST_IO;
    }
}
