/* SPDX-License-Identifier: Apache-2.0
 * stream_uv.h - struct stream over a libuv pipe or TCP handle. For port/ only.
 *
 * A socket of any family is a STREAM_UV_TCP: libuv only reads, writes and shuts it down, and asks
 * the kernel nothing about a descriptor that it is told is one, which a pipe handle does. A
 * STREAM_UV_PIPE is for what may be no socket. Runs on: the loop's thread.
 */
#ifndef SHARED_PORT_UV_STREAM_UV_H
#define SHARED_PORT_UV_STREAM_UV_H

#include "base/status.h"

#include <uv.h>

struct loop;
struct stream;
struct stream_uv;

enum stream_uv_kind { STREAM_UV_PIPE, STREAM_UV_TCP };

/* A stream whose handle is initialised but not connected: give stream_uv_handle() to
 * uv_pipe_connect(), uv_tcp_connect(), uv_accept() or uv_spawn() and use the stream after they
 * succeeded. Its owner closes it with stream_close() either way. ST_NOMEM, ST_IO. */
enum status stream_uv_new(struct loop *loop, enum stream_uv_kind kind, struct stream_uv **out);
uv_stream_t *stream_uv_handle(struct stream_uv *self);
struct stream *stream_uv_stream(struct stream_uv *self);
/* After connect or accept on a TCP handle: no Nagle delay. */
void stream_uv_set_nodelay(struct stream_uv *self);

/* A connected stream over @fd, which belongs to the stream from here on, and is closed on failure.
 * ST_NOMEM, ST_INVAL, ST_IO. */
enum status stream_uv_from_fd(struct loop *loop, uv_file fd, struct stream **out);
/* The same over a socket. On failure the socket is still the caller's. */
enum status stream_uv_from_socket(struct loop *loop, uv_os_sock_t sock, struct stream **out);
/* The same, and no Nagle delay where the socket knows that option. */
enum status stream_uv_from_tcp_socket(struct loop *loop, uv_os_sock_t sock, struct stream **out);

#endif
