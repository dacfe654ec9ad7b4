/* SPDX-License-Identifier: Apache-2.0
 * sd_notify.h - what systemd and a service tell each other: readiness and life by datagram to
 * $NOTIFY_SOCKET, sockets handed down from descriptor 3 on. The documented protocol, without
 * libsystemd. Outside systemd every function answers "nobody asked".
 * linux/sd_notify.c; win/sd_notify.c has no systemd. Runs on: the main thread, at start before
 * anything else opens descriptors.
 */
#ifndef GUESTAGENT_SD_NOTIFY_H
#define GUESTAGENT_SD_NOTIFY_H

#include "base/status.h"

#include <stdint.h>

enum { SD_LISTEN_MAX = 16, SD_NAME_MAX = 64 };

struct sd_listen_fd {
    int fd; /* owned by whoever asked */
    char name[SD_NAME_MAX];
};

/* Sends lines such as "READY=1\nSTATUS=...". ST_NOTFOUND: nobody asked. ST_INVAL: $NOTIFY_SOCKET
 * is no address. ST_REFUSED, ST_IO: it could not be sent. Never blocks. */
enum status sd_notify_send(const char *lines);
/* How often systemd wants to hear WATCHDOG=1 from this process; 0 = not at all. */
uint32_t sd_notify_watchdog_ms(void);
/* The listening sockets that were handed to this process, in order; marks them close-on-exec and
 * takes the variables out of the environment. Returns how many; above SD_LISTEN_MAX the rest is
 * closed. */
unsigned sd_notify_listen_fds(struct sd_listen_fd out[static SD_LISTEN_MAX]);

#endif
