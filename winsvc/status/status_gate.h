/* SPDX-License-Identifier: Apache-2.0
 * status_gate.h - who may read the status where a browser can: loopback TCP, which every program
 * and every web page of this computer reaches. Pure, any thread.
 */
#ifndef WINSVC_STATUS_STATUS_GATE_H
#define WINSVC_STATUS_STATUS_GATE_H

#include <stdint.h>

struct http_head;

enum { STATUS_TOKEN_MAX = 72 };

struct status_gate {
    uint16_t port;                /* that browsers name in Host and Origin */
    char token[STATUS_TOKEN_MAX]; /* of Authorization: Bearer; never empty */
};

/* 200, or the HTTP status of the refusal: 421 (Host is none of ours: another site's name that was
 * made to lead here), 403 (asked by another site's page). */
unsigned status_gate_origin(const struct status_gate *g, const struct http_head *head);
/* 200 or 401. How long it takes says nothing about the token. */
unsigned status_gate_token(const struct status_gate *g, const struct http_head *head);

#endif
