/* SPDX-License-Identifier: Apache-2.0
 * addr.h - where a stream comes from or goes to, as text and as a value.
 *
 *   unix:PATH                    a unix socket
 *   unixpacket:PATH              a unix socket that keeps the boundaries of messages
 *                                (SOCK_SEQPACKET), for links of one frame a message; Linux
 *   tcp:127.0.0.1:PORT           loopback only ("tcp:[::1]:PORT" too); anything else is refused
 *   vsock:PORT  vsock:CID:PORT   AF_VSOCK; without a CID: any when listening, 2 when dialling
 *   hvsock:GUID:PORT             Hyper-V socket; the service id is the vsock template at PORT
 *   vsock-hybrid:PATH[:PORT]     a unix socket that expects "CONNECT port\n" (Firecracker, Cloud
 *                                Hypervisor, vhost-device-vsock); guest to host is PATH_PORT
 *   tcp-hybrid:127.0.0.1:BASE[:PORT]  the same convention over loopback TCP, where there are no
 *                                unix sockets (Wine); guest to host is TCP port BASE + PORT
 *   npipe:NAME                   \\.\pipe\NAME
 *   fd:N                         an inherited descriptor that already listens
 *
 * A virtual machine is an address without a port ("vm address"); addr_at_port() completes it.
 */
#ifndef SHARED_PORT_ADDR_H
#define SHARED_PORT_ADDR_H

#include "base/guid.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum addr_kind {
    ADDR_NONE,
    ADDR_UNIX,
    ADDR_TCP,
    ADDR_VSOCK,
    ADDR_HVSOCK,
    ADDR_VSOCK_HYBRID,
    ADDR_TCP_HYBRID,
    ADDR_NPIPE,
    ADDR_FD,
    ADDR_UNIXPACKET,
    ADDR_KIND_COUNT
};

#define ADDR_CID_ANY   UINT32_MAX
#define ADDR_CID_HOST  2u
#define ADDR_PORT_NONE UINT32_MAX

enum { ADDR_PATH_MAX = 108, ADDR_TEXT_MAX = 192 };

struct addr {
    enum addr_kind kind;
    char path[ADDR_PATH_MAX]; /* unix and hybrid path, pipe name, tcp host without brackets */
    uint32_t cid;             /* vsock */
    struct guid vm;           /* hvsock */
    uint16_t tcp_port;        /* tcp; the base port of tcp-hybrid */
    uint32_t port;            /* vsock-like port, or ADDR_PORT_NONE in a vm address */
    int fd;
};

/* ST_INVAL with a message that says what is wrong with it and what would be right. */
enum status addr_parse(struct addr *out, const char *text, struct errmsg *e);
/* As addr_parse(), but only where the system itself asks who may connect (unix, npipe): every user,
 * and every web page, of this computer reaches the others. */
enum status addr_parse_guarded(struct addr *out, const char *text, struct errmsg *e);
/* The text addr_parse() takes; returns @buf. @cap of ADDR_TEXT_MAX always suffices. */
const char *addr_format(const struct addr *a, char *buf, size_t cap);
/* @vm (vsock, hvsock or hybrid) completed with a port. */
struct addr addr_at_port(const struct addr *vm, uint32_t port);
/* Where the host listens for connections that the guest @vm makes to @port of the host:
 * hybrid -> unix:PATH_PORT or tcp:BASE+PORT, hvsock -> itself at that port, vsock -> any:PORT.
 * ST_INVAL when it does not fit (path too long, port above 65535). */
enum status addr_guest_to_host(struct addr *out, const struct addr *vm, uint32_t port,
                               struct errmsg *e);
bool addr_equal(const struct addr *a, const struct addr *b);

#endif
