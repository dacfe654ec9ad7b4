/* SPDX-License-Identifier: Apache-2.0
 * control_host.h - a scripted rdlinkd on an agent's control port, in the simulator: greets, offers
 * a network, reads what the agent reports.
 */
#ifndef TESTS_SUPPORT_CONTROL_HOST_H
#define TESTS_SUPPORT_CONTROL_HOST_H

#include "base/condition.h"
#include "ipc/health.h"
#include "port/sim/stream_sim.h"

struct addr;

/* Connected as the host (CID 2) and greeted. Fails the test when nobody listens at @at. */
struct sim_peer *control_host(struct sim *sim, const struct addr *at);
/* Delivered when this returns. @msg is packed as it is. */
void control_host_sends(struct sim *sim, struct sim_peer *p, Rdlink__V1__Envelope *msg);
/* 192.168.127.1 as gateway; @address "" = by DHCP; @port 0 = withdrawn; @mac may be NULL. */
void control_host_offers(struct sim *sim, struct sim_peer *p, uint32_t port, const char *address,
                         const char *mac);
/* What the agent reported last, and whether it said Ready since; forgets what it read. */
struct control_news {
    struct health_report report; /* count 0: no report came */
    bool ready;
};
void control_host_hears(struct sim_peer *p, struct control_news *out);

#endif
