/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Windows gives every user ICMP echo through iphlpapi: IcmpSendEcho2() takes an event, a reply
 * buffer and a time-out, and signals the event when the reply, an error or the time-out is in the
 * buffer. A raw socket would need an administrator.
 *
 * The buffer is lent to the system until the event is signalled, and there is no documented way to
 * take it back. So a cancelled request stays until then, without anybody to tell; that is bounded
 * by its own time-out.
 *
 * The API chooses identifier and sequence itself, and matches the reply: what comes back is this
 * request's or none.
 */
#include "port/uv/net_uv_internal.h"
#include "port/win/io_pump.h"
#include "port/win/win_error.h"

#include <stdlib.h>
#include <string.h>

/* After winsock2.h (uv.h), whose types they use. */
#include <iphlpapi.h>

#include <icmpapi.h>

enum {
    /* Room for an ICMP error's eight bytes and for what the system adds, as its manual asks. */
    REPLY_EXTRA_BYTES = 8 + 2 * sizeof(void *),
    MAX_PAYLOAD_BYTES = 65500
};

/* ICMPV6_ECHO_REPLY of the system's ipexport.h, which mingw's lacks. The address is packed. */
struct echo_reply6 {
    uint16_t address[13]; /* port, flow label, address, scope */
    ULONG status;
    unsigned round_trip_ms;
};
_Static_assert(sizeof(struct echo_reply6) == 36, "as the system lays it out");

struct net_ping {
    struct io_wait wait;
    struct io_pump *pump; /* held */
    net_ping_fn *done;    /* NULL once cancelled */
    void *ctx;
    HANDLE icmp, event; /* owned */
    uint16_t sequence;
    bool ip6;
    DWORD reply_cap;
    _Alignas(16) uint8_t reply[]; /* lent to the system until the event is signalled */
};

static void ping_free(struct net_ping *p)
{
    if (p->icmp != INVALID_HANDLE_VALUE)
        IcmpCloseHandle(p->icmp);
    if (p->event)
        CloseHandle(p->event);
    if (p->pump)
        io_pump_release(p->pump);
    free(p);
}

static enum status status_of_reply(ULONG status)
{
    switch (status) {
    case IP_SUCCESS: return ST_OK;
    case IP_REQ_TIMED_OUT: return ST_TIMEOUT;
    default: return ST_UNREACHABLE;
    }
}

static void ping_tell4(struct net_ping *p, net_ping_fn *done)
{
    const ICMP_ECHO_REPLY *reply = (const void *)p->reply;

    if (IcmpParseReplies(p->reply, p->reply_cap) == 0)
        done(p->ctx, ST_TIMEOUT, p->sequence, NULL, 0);
    else if (reply->Status != IP_SUCCESS)
        done(p->ctx, status_of_reply(reply->Status), p->sequence, NULL, 0);
    else
        done(p->ctx, ST_OK, p->sequence, reply->Data, reply->DataSize);
}

static void ping_tell6(struct net_ping *p, net_ping_fn *done)
{
    const struct echo_reply6 *reply = (const void *)p->reply;
    size_t room = p->reply_cap - sizeof *reply - REPLY_EXTRA_BYTES;

    if (Icmp6ParseReplies(p->reply, p->reply_cap) == 0)
        done(p->ctx, ST_TIMEOUT, p->sequence, NULL, 0);
    else if (reply->status != IP_SUCCESS)
        done(p->ctx, status_of_reply(reply->status), p->sequence, NULL, 0);
    else
        done(p->ctx, ST_OK, p->sequence, p->reply + sizeof *reply, room);
}

static void on_reply(struct io_wait *w)
{
    struct net_ping *p = container_of(w, struct net_ping, wait);
    net_ping_fn *done = p->done;

    p->done = NULL;
    if (done && p->ip6)
        ping_tell6(p, done);
    else if (done)
        ping_tell4(p, done);
    ping_free(p);
}

void net_os_ping_cancel(struct net_ping *p)
{
    if (p)
        p->done = NULL;
}

/* ERROR_IO_PENDING: under way. */
static DWORD ping_send(struct net_ping *p, const struct ip_addr *to, const uint8_t *data,
                       size_t len, uint32_t timeout_ms)
{
    struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
    struct ip_endpoint at = { .addr = *to };
    void *payload = (void *)(uintptr_t)data;
    struct sockaddr_storage sa;
    DWORD replies;

    net_uv_to_sockaddr(&sa, &at);
    if (p->ip6)
        replies = Icmp6SendEcho2(p->icmp, p->event, NULL, NULL, &any, (struct sockaddr_in6 *)&sa,
                                 payload, (WORD)len, NULL, p->reply, p->reply_cap, timeout_ms);
    else
        replies = IcmpSendEcho2(p->icmp, p->event, NULL, NULL,
                                ((struct sockaddr_in *)&sa)->sin_addr.s_addr, payload, (WORD)len,
                                NULL, p->reply, p->reply_cap, timeout_ms);
    return replies ? ERROR_IO_PENDING : GetLastError();
}

static enum status ping_open(struct net_ping *p, struct loop *loop)
{
    p->icmp = p->ip6 ? Icmp6CreateFile() : IcmpCreateFile();
    if (p->icmp == INVALID_HANDLE_VALUE)
        return ST_UNSUPPORTED;
    p->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!p->event)
        return ST_NOFILES;
    return io_pump_acquire(&p->pump, loop, NULL);
}

enum status net_os_ping(struct net *n, struct net_ping **out, const struct ip_addr *to,
                        uint16_t sequence, const uint8_t *data, size_t len_bytes,
                        uint32_t timeout_ms, net_ping_fn *done, void *ctx)
{
    size_t header = MAX(sizeof(ICMP_ECHO_REPLY), sizeof(struct echo_reply6));
    size_t cap = header + len_bytes + REPLY_EXTRA_BYTES;
    struct net_ping *p;
    enum status st;
    DWORD error;

    if (len_bytes > MAX_PAYLOAD_BYTES)
        return ST_INVAL;
    p = calloc(1, sizeof *p + cap);
    if (!p)
        return ST_NOMEM;
    p->done = done;
    p->ctx = ctx;
    p->sequence = sequence;
    p->ip6 = !ip_addr_is_v4(to);
    p->reply_cap =
        (DWORD)(p->ip6 ? sizeof(struct echo_reply6) + len_bytes + REPLY_EXTRA_BYTES : cap);
    st = ping_open(p, net_uv_of(n)->loop);
    if (st == ST_OK)
        st = io_wait_start(p->pump, &p->wait, p->event, on_reply, NULL);
    if (st) {
        ping_free(p);
        return st;
    }
    error = ping_send(p, to, data, len_bytes, timeout_ms);
    if (error == ERROR_IO_PENDING) {
        *out = p;
        return ST_OK;
    }
    p->done = NULL;
    SetEvent(p->event); /* ... and on_reply() frees it */
    st = win_error_status(error);
    return st == ST_IO ? ST_UNREACHABLE : st;
}
