/* SPDX-License-Identifier: Apache-2.0
 * docker_probe.h - asks docker whether it is there: GET /_ping through the whole path, again and
 * again. Only an answer 200 counts.
 *
 * One question at a time, each bounded; the next one starts probe_ms after the last one ended.
 * Owns: its dial and stream. Runs on: the worker's loop.
 */
#ifndef WINSVC_DOCKER_DOCKER_PROBE_H
#define WINSVC_DOCKER_DOCKER_PROBE_H

#include "base/status.h"

#include <stdint.h>

struct addr;
struct docker_probe;
struct loop;

/* Why docker did not answer well; the reasons of the condition DockerReachable. */
enum docker_answer {
    DOCKER_ANSWERS,     /* 200 */
    DOCKER_UNREACHABLE, /* no connection to the guest's bridge */
    DOCKER_SILENT,      /* connected, but no answer in time */
    DOCKER_REFUSES,     /* another HTTP status, e.g. the bridge's 503; @detail has its text */
    DOCKER_GARBLED,     /* something that is not HTTP, or a connection that broke */
    DOCKER_ANSWER_COUNT
};

typedef void docker_probe_fn(void *ctx, enum docker_answer answer, const char *detail);

/* @interval_ms between two probes, @timeout_ms for each. ST_NOMEM. */
enum status docker_probe_new(struct docker_probe **out, struct loop *loop, uint32_t interval_ms,
                             uint32_t timeout_ms, docker_probe_fn *fn, void *ctx);
/* Starts over at once with this target; NULL = stop asking. @to is copied. */
void docker_probe_set_target(struct docker_probe *p, const struct addr *to);
/* Ask now instead of at the next interval, unless a question is under way. */
void docker_probe_now(struct docker_probe *p);
/* NULL is fine. */
void docker_probe_free(struct docker_probe *p);

#endif
