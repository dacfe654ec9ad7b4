/* SPDX-License-Identifier: Apache-2.0
 * messages.h - rdlink.v1 messages as a peer would write them, for the tests of channels.
 */
#ifndef TESTS_UNIT_IPC_MESSAGES_H
#define TESTS_UNIT_IPC_MESSAGES_H

#include <rdlink/v1/control.pb-c.h>

#include <stddef.h>
#include <stdint.h>

/* Bytes of one or more frames. */
struct frames {
    uint8_t bytes[4096];
    size_t len_bytes;
};

void frames_hello(struct frames *f, uint32_t major, Rdlink__V1__Role role);
void frames_hello_ack(struct frames *f, uint32_t major, Rdlink__V1__Role role);
void frames_health(struct frames *f, uint64_t sequence);
/* A message of any kind with default fields. */
void frames_any(struct frames *f, Rdlink__V1__Envelope__BodyCase body);
void frames_message(struct frames *f, const Rdlink__V1__Envelope *msg);
void frames_raw(struct frames *f, const void *bytes, size_t len_bytes);

#endif
