/* SPDX-License-Identifier: Apache-2.0 */
#include "support/control_host.h"

#include "support/cmocka_all.h"

#include "ipc/channel.h"
#include "ipc/envelope.h"
#include "port/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 64 };

void control_host_sends(struct sim *sim, struct sim_peer *p, Rdlink__V1__Envelope *msg)
{
    uint8_t *frame;
    size_t len;

    assert_int_equal(envelope_pack(msg, &frame, &len), ST_OK);
    sim_peer_send(p, frame, len);
    free(frame);
    sim_run(sim);
}

struct sim_peer *control_host(struct sim *sim, const struct addr *at)
{
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    struct sim_peer *p = sim_connect(sim, at, &sim_host_peer);

    assert_non_null(p);
    sim_run(sim);
    hello.major = IPC_MAJOR;
    hello.minor = IPC_MINOR;
    hello.role = RDLINK__V1__ROLE__ROLE_CONTROLLER;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO;
    msg.hello = &hello;
    control_host_sends(sim, p, &msg);
    return p;
}

void control_host_offers(struct sim *sim, struct sim_peer *p, uint32_t port, const char *address,
                         const char *mac)
{
    char address_text[TEXT_MAX], mac_text[TEXT_MAX];
    char gateway[] = "192.168.127.1", search[] = "a.example b.example";
    char reason[] = "the switch starts";
    Rdlink__V1__NetworkOffer offer = RDLINK__V1__NETWORK_OFFER__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    snprintf(address_text, sizeof address_text, "%s", address);
    snprintf(mac_text, sizeof mac_text, "%s", mac ? mac : "");
    offer.data_port = port;
    offer.mtu = 4000;
    offer.guest_mac = mac_text;
    offer.guest_address = address_text;
    offer.gateway = gateway;
    offer.search = search;
    if (!port)
        offer.unavailable_reason = reason;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &offer;
    control_host_sends(sim, p, &msg);
}

void control_host_hears(struct sim_peer *p, struct control_news *out)
{
    struct envelope_reader r = { .have_bytes = 0 };
    enum channel_end why;
    Rdlink__V1__Envelope *msg;
    size_t len;
    const uint8_t *data = sim_peer_data(p, &len);

    memset(out, 0, sizeof *out);
    while (envelope_read(&r, &data, &len, &msg, &why) == ST_OK) {
        if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_HEALTH)
            health_decode(&out->report, msg->health);
        if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_READY)
            out->ready = true;
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    envelope_reader_fini(&r);
    sim_peer_drop_received(p);
}
