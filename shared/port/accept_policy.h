/* SPDX-License-Identifier: Apache-2.0
 * accept_policy.h - what a listener does when accept() fails. Pure; any thread.
 *
 * The systems' error numbers are mapped to enum accept_error where they occur; the answer is one
 * table, so that it can be read and tested on its own.
 */
#ifndef SHARED_PORT_ACCEPT_POLICY_H
#define SHARED_PORT_ACCEPT_POLICY_H

#include <stdint.h>

enum accept_error {
    ACCEPT_ERR_WOULD_BLOCK, /* nobody is waiting */
    ACCEPT_ERR_INTERRUPTED, /* a signal; the client is still there */
    ACCEPT_ERR_PEER_GONE,   /* this client is lost, or a filter forbade it; others are not */
    ACCEPT_ERR_NO_FILES,    /* our or the system's table of descriptors is full */
    ACCEPT_ERR_NO_MEMORY,   /* the kernel has no buffer right now */
    ACCEPT_ERR_SOCKET_DEAD, /* the listening descriptor is no listening socket (any more) */
    ACCEPT_ERR_OTHER,       /* nothing that we know */
    ACCEPT_ERR_COUNT
};

enum accept_action {
    ACCEPT_DO_WAIT, /* go back to the loop */
    ACCEPT_DO_NEXT, /* try again at once, within the wake-up's budget */
    ACCEPT_DO_SHED, /* give one client an answer through the reserve descriptor, then back off */
    ACCEPT_DO_BACK_OFF, /* do not touch the socket for a while */
    ACCEPT_DO_REOPEN    /* close the listening socket and make it anew, with back-off */
};

enum { ACCEPT_BACKOFF_FIRST_MS = 10, ACCEPT_BACKOFF_CAP_MS = 1000 };

enum accept_action accept_policy(enum accept_error err);

/* The delay after @previous_ms: 0 -> 10 ms, doubling up to 1 s. No jitter: there is one listener,
 * nothing to spread, and a delay of zero would be the spinning that this prevents. */
uint32_t accept_backoff_next_ms(uint32_t previous_ms);

#endif
