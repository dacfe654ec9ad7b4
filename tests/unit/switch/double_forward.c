/* SPDX-License-Identifier: Apache-2.0
 * double_forward.c - test double: a switch without forwards. Linked only while rdl_switch itself
 * has none.
 */
#include "switch/switch_internal.h"

enum status forward_new(struct switch_ *s)
{
    return ST_OK;
}

void forward_free(struct switch_ *s)
{
}

unsigned forward_count(const struct switch_ *s)
{
    return 0;
}

bool forward_udp_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                       const uint8_t *payload, size_t len_bytes)
{
    return false;
}
