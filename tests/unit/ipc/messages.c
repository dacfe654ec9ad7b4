/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/ipc/messages.h"

#include "ipc/envelope.h"
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static char peer_instance[] = "vm-1", peer_version[] = "9.9.9";

void frames_raw(struct frames *f, const void *bytes, size_t len_bytes)
{
    assert_true(f->len_bytes + len_bytes <= sizeof f->bytes);
    memcpy(f->bytes + f->len_bytes, bytes, len_bytes);
    f->len_bytes += len_bytes;
}

void frames_message(struct frames *f, const Rdlink__V1__Envelope *msg)
{
    uint8_t *frame = NULL;
    size_t len_bytes = 0;

    assert_int_equal(envelope_pack(msg, &frame, &len_bytes), ST_OK);
    frames_raw(f, frame, len_bytes);
    free(frame);
}

void frames_hello(struct frames *f, uint32_t major, Rdlink__V1__Role role)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;

    hello.major = major;
    hello.minor = IPC_MINOR;
    hello.role = role;
    hello.instance = peer_instance;
    hello.version = peer_version;
    hello.pid = 77;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO;
    msg.hello = &hello;
    frames_message(f, &msg);
}

void frames_hello_ack(struct frames *f, uint32_t major, Rdlink__V1__Role role)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__HelloAck ack = RDLINK__V1__HELLO_ACK__INIT;

    ack.major = major;
    ack.minor = IPC_MINOR;
    ack.role = role;
    ack.instance = peer_instance;
    ack.version = peer_version;
    ack.pid = 77;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO_ACK;
    msg.hello_ack = &ack;
    frames_message(f, &msg);
}

void frames_health(struct frames *f, uint64_t sequence)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__HealthReport health = RDLINK__V1__HEALTH_REPORT__INIT;

    health.sequence = sequence;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HEALTH;
    msg.health = &health;
    frames_message(f, &msg);
}

void frames_any(struct frames *f, Rdlink__V1__Envelope__BodyCase body)
{
    /* Length, then the tag of the body and an empty message. */
    unsigned tag = (unsigned)body << 3 | 2;
    const uint8_t small[] = { 2, 0, 0, 0, (uint8_t)tag, 0 };
    const uint8_t large[] = { 3, 0, 0, 0, (uint8_t)(tag | 0x80), (uint8_t)(tag >> 7), 0 };

    if (tag < 0x80)
        frames_raw(f, small, sizeof small);
    else
        frames_raw(f, large, sizeof large);
}
