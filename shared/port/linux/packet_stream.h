/* SPDX-License-Identifier: Apache-2.0
 * packet_stream.h - struct stream over a SOCK_SEQPACKET socket: the one kind that keeps the
 * boundaries of messages, one on_data() a message and one message a write. Runs on: the loop's
 * thread.
 *
 * What differs from other streams: a message can be put back only whole, so unread() is
 * ST_UNSUPPORTED; an empty write sends nothing, because an empty message is the end to its reader.
 */
#ifndef SHARED_PORT_LINUX_PACKET_STREAM_H
#define SHARED_PORT_LINUX_PACKET_STREAM_H

#include "base/status.h"

struct loop;
struct stream;

/* What a message may hold; a longer one is cut to this, which no frame is. */
enum { PACKET_STREAM_MAX_BYTES = 65552 };

/* A connected stream over @fd, non-blocking; on failure it is still the caller's. ST_NOMEM, ST_IO.
 */
enum status packet_stream_new(struct stream **out, struct loop *loop, int fd);

#endif
