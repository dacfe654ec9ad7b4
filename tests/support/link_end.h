/* SPDX-License-Identifier: Apache-2.0
 * link_end.h - what programs that stand at an end of a link share (relay_tap, link_relay): how its
 * frames are cut, its unix sockets, and waiting so that no signal comes too late. What fails ends
 * the program. Linux; one thread.
 */
#ifndef TESTS_SUPPORT_LINK_END_H
#define TESTS_SUPPORT_LINK_END_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum protocol { STDIO, QEMU, V2 };

enum {
    VNET_HEADER_BYTES = 12, /* before each frame of V2 */
    ETH_BYTES = 14,
    RECORD_MAX = 4 + VNET_HEADER_BYTES + ETH_BYTES + 65535 /* with its length field */
};

/* Says why (perror) and ends the program. */
__attribute__((noreturn)) void fail(const char *what);

/* False: no such protocol. */
bool protocol_parse(enum protocol *out, const char *text);
/* Of the field before each record. */
size_t length_bytes(enum protocol protocol);
/* What it says: how many bytes follow it. */
size_t length_get(enum protocol protocol, const uint8_t *field);
void length_put(enum protocol protocol, uint8_t *field, size_t len);

/* @numbers are held back but while wait_for() waits. */
void catch_signals(const int *numbers, size_t count, void (*handler)(int number));
/* poll(); negative where a signal came. @timeout_ms: negative for none. */
int wait_for(struct pollfd *fds, unsigned count, long timeout_ms);

/* A leftover at @path is removed first. */
int listen_at(const char *path);
/* Tries for some seconds; -1: nobody listens there, or *stopping was set meanwhile. */
int dial(const char *path, const volatile sig_atomic_t *stopping);

#endif
