/* SPDX-License-Identifier: Apache-2.0
 * docker_worker.h - the docker worker process: one endpoint, tied to the controller.
 * Runs on: the process's loop. Owns: the link and the endpoint.
 */
#ifndef WINSVC_DOCKER_DOCKER_WORKER_H
#define WINSVC_DOCKER_DOCKER_WORKER_H

#include "base/status.h"

struct docker_worker;
struct loop;

/* The process should exit with @code: 0 ended as asked, 1 failed. Called once, from the loop. */
typedef void docker_worker_done_fn(void *ctx, int code);

/* The body of `rdlinkd --worker docker OPTIONS`: opens the link to the controller, and
 * listens once the controller has said where clients go; @argv begins with the first option.
 * ST_INVAL: wrong options. Otherwise what worker_link_open() says. */
enum status docker_worker_start(struct docker_worker **out, struct loop *loop, int argc,
                                const char *const *argv, docker_worker_done_fn *done, void *ctx,
                                struct errmsg *e);
/* Cuts what is left. NULL is fine. */
void docker_worker_free(struct docker_worker *w);

#endif
