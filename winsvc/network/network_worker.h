/* SPDX-License-Identifier: Apache-2.0
 * network_worker.h - `rdlinkd --worker switch`: one guest's host switch in a process of its own.
 *
 *   --instance NAME  --link PROTO:ADDR  [--peer-cid N]  [--control ADDR] [--control-sddl SDDL]
 *   and the options of `rdlinkd switch` (subnet, mtu, no-ip6, forward, log-level)
 *
 * Listens at ADDR for the guest's link; each new link takes the place of the one before. Ready when
 * it listens. Reports, from the data loop itself, the component "switch":
 *
 *   condition LinkUp        True Linked | False NoLink, LinkLost, ShortLivedLinks
 *   condition NetworkReady  True GuestOnline (it has an address, and frames went both ways)
 *                           | False NoLink, NoAddress, LinkSilent, ShortLivedLinks
 *   condition SubnetClear   True NoOverlap | False SubnetOverlap (a route of this host, named)
 *   condition ForwardsBound True AllBound | False PortTaken (the first one that waits, and why)
 *   counters                the most telling of switch.h (rx_frames is one), and links (how many
 *                           there have been: the controller sees by it that one was replaced),
 *                           last_rx_age_ms, tcp_flows, ...
 *
 * At each change of them it also says all its forwards, with their states (message ForwardStates).
 *
 * Once the controller has sent a link token (NetworkOffer), only a link that begins with it is
 * taken; the counter links_refused says how many were not.
 *
 * A port that cannot be listened at ends it with an ExitNotice: DataPortTaken (ST_EXISTS) or
 * ListenFailed.
 *
 * Runs on: the worker's loop. Owns: the tie to the controller, the switch.
 */
#ifndef WINSVC_NETWORK_NETWORK_WORKER_H
#define WINSVC_NETWORK_NETWORK_WORKER_H

#include "base/status.h"

struct network_worker;
struct routes;
struct stream;
struct switch_env;

/* The process is to end with @code. Called once, from the loop. */
typedef void network_worker_done_fn(void *ctx, int code);

/* @argv starts after "switch"; @env is copied, what it names and @routes (NULL = not looked at) are
 * borrowed. ST_INVAL: usage. Otherwise what worker_link_open() says. */
enum status network_worker_start(struct network_worker **out, const struct switch_env *env,
                                 struct routes *routes, int argc, const char *const *argv,
                                 network_worker_done_fn *done, void *ctx, struct errmsg *e);
/* The same over a stream to the controller that the caller has (tests); takes @control in every
 * case. */
enum status network_worker_new(struct network_worker **out, const struct switch_env *env,
                               struct routes *routes, struct stream *control, int argc,
                               const char *const *argv, network_worker_done_fn *done, void *ctx,
                               struct errmsg *e);
/* NULL is fine. */
void network_worker_free(struct network_worker *w);

#endif
