/* SPDX-License-Identifier: Apache-2.0
 * process_identity.h - what a process may do, asked of the system from outside: it says what is,
 * not what was meant. For the status. Any thread.
 */
#ifndef SHARED_PORT_PROCESS_IDENTITY_H
#define SHARED_PORT_PROCESS_IDENTITY_H

#include <stdint.h>

enum { PROCESS_IDENTITY_TEXT_MAX = 96 };

/* Texts for a reader; "" = the system does not tell. */
struct process_identity {
    char account[PROCESS_IDENTITY_TEXT_MAX]; /* "uid 0", "NT AUTHORITY\SYSTEM" */
    /* "no capabilities, no new privileges", "1 privilege, no administrator, medium integrity" */
    char token[PROCESS_IDENTITY_TEXT_MAX];
    char mitigations[PROCESS_IDENTITY_TEXT_MAX]; /* Windows: those that are on; "none" */
};

/* @pid is ourselves or a child of ours that has not been waited for. */
void process_identity_of(int64_t pid, struct process_identity *out);

#endif
