/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the DHCP server with a sequence of messages: each is one byte of length in units of 4, a
 * byte of flags (let time pass), and its bytes; with flag 2 they are options behind a sane header.
 *
 * Checked: an answer goes into the virtual network or to everybody, decodes as BOOTP, and offers
 * only addresses of the pool or the guest's.
 */
#include "support/services_rig.h"
#include "wire/dhcp.h"

#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

enum { FLAG_TIME = 1, FLAG_HEADER = 2, FLAG_DAY = 4 };

/* The fixed part of a client's message, and the cookie; MAC and addresses come from @r. */
static size_t put_header(uint8_t *buf, size_t cap, struct bytes *r)
{
    static const uint8_t zeros[DHCP_FIXED_BYTES];
    struct bytes_out w = bytes_into(buf, cap);

    bytes_put(&w, (const uint8_t[]){ 1, 1, 6, 0, 9, 9, 9, 9, 0, 0, 0, 0 }, 12);
    bytes_put_be32(&w, (bytes_u8(r) & 1) ? 0xc0a87f00u + bytes_u8(r) : 0);
    bytes_put(&w, zeros, 12);
    bytes_put(&w, (const uint8_t[]){ 2, 0, 0, 0, 0, bytes_u8(r) }, 6);
    bytes_put(&w, zeros, DHCP_FIXED_BYTES - w.len_bytes);
    bytes_put_be32(&w, 0x63825363);
    return w.len_bytes;
}

static void check_answer(const struct rig *rig)
{
    const struct rig_datagram *d = rig_last(rig);
    struct bytes r = bytes_of(d->data + 16, 4);
    uint32_t yiaddr = bytes_be32(&r);

    ASSERT(d->len_bytes >= DHCP_MIN_BYTES && d->data[0] == 2);
    ASSERT(d->from.port == DHCP_SERVER_PORT);
    ASSERT(ip_addr_in_prefix(&d->to.addr, &rig->s.config.net, 24) ||
           ip_addr_to_v4(&d->to.addr) == 0xffffffffu);
    ASSERT(!ip_addr_equal(&d->to.addr, &rig->s.config.gateway));
    ASSERT(yiaddr == 0 || (yiaddr > 0xc0a87f01 && yiaddr < 0xc0a87ffe));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct rig *rig = rig_new(false);
    struct bytes r = bytes_of(data, len_bytes);

    ASSERT(dhcp_new(&rig->s) == ST_OK);
    while (r.left) {
        uint8_t units = bytes_u8(&r), flags = bytes_u8(&r), msg[2048];
        size_t n = MIN(units * 4u, r.left);
        struct bytes body = bytes_of(bytes_take(&r, n), n);
        struct udp_header h = { .src_port = 68, .dst_port = 67 };
        struct packet p = rig_packet(rig);
        unsigned before = rig->sent_count;
        size_t at = flags & FLAG_HEADER ? put_header(msg, sizeof msg, &body) : 0;

        if (body.left)
            memcpy(msg + at, body.p, body.left);
        if (flags & FLAG_TIME)
            sim_advance_ms(rig->sim, flags & FLAG_DAY ? 86400000 : 61000);
        dhcp_input(&rig->s, &p, &h, msg, at + body.left);
        ASSERT(rig->sent_count <= before + 1);
        if (rig->sent_count > before)
            check_answer(rig);
    }
    rig_free(rig);
    return 0;
}
