/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * A Hyper-V socket address is (VmId, ServiceId), two GUIDs. Linux' hv_sock maps a vsock port P of
 * the guest to the service id "P-facb-11e6-bd58-64006a7986d3"; no registration is needed for those
 * on WSL's utility VM. Windows lets only SYSTEM and the owner of the machine connect or bind.
 *
 * Listening is bound to one VmId, so a stranger's machine cannot connect: the kernel is the check,
 * and every client of such a listener is that guest. We say so with a CID no host ever has.
 *
 * HVSOCKET_CONNECT_TIMEOUT gives the kernel our own limit, for its default is 30 s and cancelling
 * is then up to us. HVSOCKET_CONNECTED_SUSPEND keeps connections when the machine is paused (the
 * host sleeps); without it they break and every stream of every container with them. Both are
 * wishes: an older Windows that does not know one works without.
 *
 * Not done: HV_GUID_CHILDREN as the listening address, which would accept from any machine.
 */
#include "port/win/hvsock.h"

#include "base/guid.h"
#include "port/addr.h"
#include "port/win/socket_listener.h"

#include <string.h>

/* hvsocket.h, which wants <initguid.h> and AF_HYPERV before it, is not included: these are all of
 * it that we use. */
enum {
    PROTOCOL_RAW = 1,
    OPTION_CONNECT_TIMEOUT = 1,
    OPTION_CONNECTED_SUSPEND = 4,
    CONNECT_TIMEOUT_MAX_MS = 300000
};

struct hvsock_addr {
    uint16_t family;
    uint16_t reserved;
    uint8_t vm[16];
    uint8_t service[16];
};
_Static_assert(sizeof(struct hvsock_addr) == 36,
               "SOCKADDR_HV is 36 bytes on the wire to the kernel");

static const uint8_t vsock_template[16] = { 0x00, 0x00, 0x00, 0x00, 0xcb, 0xfa, 0xe6, 0x11,
                                            0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 };

void hvsock_name(struct socket_name *out, const struct guid *vm, uint32_t port)
{
    struct hvsock_addr a = { .family = HVSOCK_AF_HYPERV };

    memcpy(a.vm, vm->bytes, sizeof(a.vm));
    memcpy(a.service, vsock_template, sizeof(a.service));
    for (unsigned i = 0; i < 4; i++)
        a.service[i] = (uint8_t)(port >> (8 * i));
    memset(out, 0, sizeof(*out));
    memcpy(&out->sa, &a, sizeof(a));
    out->len_bytes = sizeof(a);
    out->protocol = PROTOCOL_RAW;
}

/* Any machine, any service: what a dialling socket is bound to. */
static void any_name(struct socket_name *out)
{
    struct hvsock_addr a = { .family = HVSOCK_AF_HYPERV };

    memset(out, 0, sizeof(*out));
    memcpy(&out->sa, &a, sizeof(a));
    out->len_bytes = sizeof(a);
    out->protocol = PROTOCOL_RAW;
}

static void set_wishes(SOCKET s, uint64_t timeout_ms)
{
    ULONG limit = (ULONG)MIN(timeout_ms, (uint64_t)CONNECT_TIMEOUT_MAX_MS);
    ULONG yes = 1;
    setsockopt(s, PROTOCOL_RAW, OPTION_CONNECT_TIMEOUT, (const char *)&limit, sizeof(limit));
    setsockopt(s, PROTOCOL_RAW, OPTION_CONNECTED_SUSPEND, (const char *)&yes, sizeof(yes));
}

enum status hvsock_dial(struct loop *loop, struct dial **out, const struct addr *to,
                        uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct socket_target target = { .prepare = set_wishes };

    if (to->port == ADDR_PORT_NONE) {
        errmsg_set(e, "a port is missing");
        return ST_INVAL;
    }
    hvsock_name(&target.to, &to->vm, to->port);
    any_name(&target.from);
    return socket_dial_start(loop, out, &target, timeout_ms, done, ctx, e);
}

enum status hvsock_listen(struct loop *loop, struct listener **out, const struct addr *at,
                          const struct listener_opts *opts, const struct listener_handler *handler,
                          void *ctx, struct errmsg *e)
{
    struct socket_listener_spec spec = { .peer = { .is_vsock = true, .uid = -1 } };

    if (at->port == ADDR_PORT_NONE) {
        errmsg_set(e, "a port is missing");
        return ST_INVAL;
    }
    hvsock_name(&spec.at, &at->vm, at->port);
    return socket_listener_open(loop, out, &spec, opts, handler, ctx, e);
}
