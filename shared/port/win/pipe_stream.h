/* SPDX-License-Identifier: Apache-2.0
 * pipe_stream.h - struct stream over one connected end of a named pipe, server or client.
 *
 * On a message-type pipe each write is a message and a message of zero bytes is the end of that
 * direction's data, both ways. A byte-type pipe has no half-close: stream_shutdown() only stops our
 * writing, and the peer learns of the end from stream_close().
 * Runs on: the loop's thread. Private to port/win.
 */
#ifndef SHARED_PORT_WIN_PIPE_STREAM_H
#define SHARED_PORT_WIN_PIPE_STREAM_H

#include "base/status.h"

#include <stdbool.h>
#include <windows.h>

struct loop;
struct stream;

/* Takes @h, overlapped; @message says that the pipe is of message type, and @h then is in message
 * read mode. @attached says that it has joined the loop's io_pump already. On failure @h stays the
 * caller's. ST_NOMEM, ST_NOFILES, ST_IO. */
enum status pipe_stream_new(struct loop *loop, struct stream **out, HANDLE h, bool message,
                            bool attached, struct errmsg *e);

#endif
