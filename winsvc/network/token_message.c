/* SPDX-License-Identifier: Apache-2.0 */
#include "network/token_message.h"

#include "link/link_token.h"
#include "port/crypto.h"
#include "supervisor/worker_host.h"

enum status token_message_send(struct worker_host *to, const struct link_token *token)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__NetworkOffer offer = RDLINK__V1__NETWORK_OFFER__INIT;
    struct link_token copy = { { 0 } }; /* protobuf-c has no const bytes */
    enum status st;

    if (token) {
        copy = *token;
        offer.link_token.data = copy.bytes;
        offer.link_token.len = sizeof copy.bytes;
    }
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &offer;
    st = worker_host_send(to, 0, &msg);
    crypto_wipe(&copy, sizeof copy);
    return st;
}
