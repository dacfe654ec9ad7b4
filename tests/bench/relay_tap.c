/* SPDX-License-Identifier: Apache-2.0
 * relay_tap: a guest for the switch, played by the kernel it runs on.
 *
 *   relay_tap --protocol qemu|stdio|v2 (--connect PATH | --listen PATH) [--name eth0] [--mac M]
 *             [--mtu N] [--no-offload] [--again]
 *
 * Opens a tap in the network namespace it was started in, sets it up and carries its frames over a
 * unix stream. With v2 the tap has a virtio-net header, and takes and gives super-segments and
 * partial checksums unless --no-offload. Addresses and routes are the caller's (ip, or a DHCP
 * client on the tap). --again: a stream that ends is made anew and the tap stays; otherwise that is
 * the end. Prints "link up" for each stream; on SIGTERM, or at the end, one line of counters.
 *
 * THEORY
 *   tap --read()--> to_link[] --one write()--> stream        as many frames as are waiting
 *   tap <--write()-- from_link[] <--one read()-- stream      all records that are whole
 * Frames are read from the tap to where they are sent from, behind room for their length, and
 * written to it from where they were received: no copy. The virtio-net header is part of what the
 * tap reads and writes, so it needs nothing. When the stream takes no more, the tap is not read:
 * its own queue is the guest's, and drops as a guest's would. One thread, so that two cores can be
 * shared with the switch and the programs that make the traffic.
 */
#define _GNU_SOURCE
#include "support/link_end.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Linux 6.2; older headers do not have them. */
#ifndef TUN_F_USO4
#    define TUN_F_USO4 0x20
#    define TUN_F_USO6 0x40
#endif

enum { BUFFER_BYTES = 512 * 1024, QUEUE_FRAMES = 4096 };

struct options {
    const char *name, *mac, *path;
    enum protocol protocol;
    bool listen, offload, again;
    int mtu;
};

struct counters {
    unsigned long long from_tap, to_tap, reads, writes, dropped;
};

struct relay {
    struct options o;
    int tap, link, listener;
    size_t length_bytes;       /* of a record's length field */
    size_t out_start, out_end; /* of what is to be sent, in to_link */
    size_t in_start, in_end;   /* of what was received, in from_link */
    struct counters n;
    uint8_t to_link[BUFFER_BYTES];
    uint8_t from_link[BUFFER_BYTES];
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    stopping = 1;
}

/* ---- the tap ------------------------------------------------------------------------------ */

static void set_interface(const struct options *o, int control, unsigned long request,
                          struct ifreq *r)
{
    snprintf(r->ifr_name, sizeof r->ifr_name, "%s", o->name);
    if (ioctl(control, request, r))
        fail(o->name);
}

static void parse_mac(const char *text, char out[6])
{
    unsigned b[6];

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6) {
        fprintf(stderr, "%s: not a MAC address\n", text);
        exit(2);
    }
    for (int i = 0; i < 6; i++)
        out[i] = (char)b[i];
}

static void configure_tap(const struct options *o)
{
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = { .ifr_flags = 0 };

    if (control < 0)
        fail("socket");
    if (o->mac) {
        r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
        parse_mac(o->mac, r.ifr_hwaddr.sa_data);
        set_interface(o, control, SIOCSIFHWADDR, &r);
    }
    if (o->mtu) {
        r.ifr_mtu = o->mtu;
        set_interface(o, control, SIOCSIFMTU, &r);
    }
    r.ifr_qlen = QUEUE_FRAMES;
    set_interface(o, control, SIOCSIFTXQLEN, &r);
    set_interface(o, control, SIOCGIFFLAGS, &r);
    r.ifr_flags |= IFF_UP;
    set_interface(o, control, SIOCSIFFLAGS, &r);
    close(control);
}

static void enable_offload(int tap)
{
    unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

    if (ioctl(tap, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) && ioctl(tap, TUNSETOFFLOAD, tcp))
        fail("TUNSETOFFLOAD");
}

static int open_tap(const struct options *o)
{
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int header_bytes = VNET_HEADER_BYTES, little_endian = 1;

    if (tap < 0)
        fail("/dev/net/tun");
    if (o->protocol == V2)
        r.ifr_flags |= IFF_VNET_HDR;
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", o->name);
    if (ioctl(tap, TUNSETIFF, &r))
        fail("TUNSETIFF");
    if (o->protocol == V2) {
        if (ioctl(tap, TUNSETVNETHDRSZ, &header_bytes) || ioctl(tap, TUNSETVNETLE, &little_endian))
            fail("virtio-net header");
        if (o->offload)
            enable_offload(tap);
    }
    configure_tap(o);
    return tap;
}

/* ---- the stream --------------------------------------------------------------------------- */

/* False: there will be no stream. What was left of an old one is forgotten. */
static bool open_link(struct relay *r)
{
    r->link = -1;
    if (r->o.listen) {
        if (r->listener < 0)
            r->listener = listen_at(r->o.path);
        if (wait_for(&(struct pollfd){ .fd = r->listener, .events = POLLIN }, 1, -1) > 0)
            r->link = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    } else {
        r->link = dial(r->o.path, &stopping);
    }
    if (r->link < 0)
        return false;
    if (fcntl(r->link, F_SETFL, O_NONBLOCK))
        fail("fcntl");
    r->in_start = r->in_end = r->out_start = r->out_end = 0;
    printf("link up\n");
    fflush(stdout);
    return true;
}

/* ---- tap to stream ------------------------------------------------------------------------ */

/* Fills the buffer with what the tap has. */
static void read_tap(struct relay *r)
{
    while (BUFFER_BYTES - r->out_end >= RECORD_MAX) {
        uint8_t *record = r->to_link + r->out_end;
        ssize_t n = read(r->tap, record + r->length_bytes, RECORD_MAX - r->length_bytes);

        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EIO)
            fail("read from the tap");
        if (n <= 0)
            return;
        if (r->o.protocol == STDIO && n > UINT16_MAX) {
            r->n.dropped++;
            continue;
        }
        length_put(r->o.protocol, record, (size_t)n);
        r->out_end += r->length_bytes + (size_t)n;
        r->n.from_tap++;
    }
}

/* False: the stream ended. */
static bool send_frames(struct relay *r)
{
    while (r->out_start < r->out_end) {
        ssize_t n =
            send(r->link, r->to_link + r->out_start, r->out_end - r->out_start, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        r->n.writes++;
        r->out_start += (size_t)n;
    }
    r->out_start = r->out_end = 0;
    return true;
}

/* ---- stream to tap ------------------------------------------------------------------------ */

/* A frame that the tap does not take is one that a guest's card drops. */
static void write_tap(struct relay *r, const uint8_t *frame, size_t n)
{
    if (write(r->tap, frame, n) < 0)
        r->n.dropped++;
    else
        r->n.to_tap++;
}

/* False: the stream ended, or speaks something else. */
static bool receive_frames(struct relay *r)
{
    ssize_t n = recv(r->link, r->from_link + r->in_end, BUFFER_BYTES - r->in_end, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    r->n.reads++;
    r->in_end += (size_t)n;
    while (r->in_end - r->in_start >= r->length_bytes) {
        const uint8_t *record = r->from_link + r->in_start;
        size_t len = length_get(r->o.protocol, record);

        if (len > RECORD_MAX - r->length_bytes) {
            fprintf(stderr, "relay_tap: a record of %zu bytes\n", len);
            return false;
        }
        if (r->in_end - r->in_start < r->length_bytes + len)
            break;
        write_tap(r, record + r->length_bytes, len);
        r->in_start += r->length_bytes + len;
    }
    if (BUFFER_BYTES - r->in_start < 2 * RECORD_MAX || r->in_start == r->in_end) {
        memmove(r->from_link, r->from_link + r->in_start, r->in_end - r->in_start);
        r->in_end -= r->in_start;
        r->in_start = 0;
    }
    return true;
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void relay_frames(struct relay *r)
{
    bool alive = true;

    while (alive && !stopping) {
        bool pending = r->out_start < r->out_end;
        struct pollfd fds[2] = {
            { .fd = pending ? -1 : r->tap, .events = POLLIN },
            { .fd = r->link, .events = (short)(pending ? POLLIN | POLLOUT : POLLIN) },
        };

        if (wait_for(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
            alive = receive_frames(r);
        if (alive && fds[0].revents & POLLIN)
            read_tap(r);
        if (alive && r->out_start < r->out_end)
            alive = send_frames(r);
    }
    close(r->link);
}

static void usage(void)
{
    fprintf(stderr,
            "usage: relay_tap --protocol qemu|stdio|v2 (--connect PATH | --listen PATH)\n"
            "                 [--name eth0] [--mac M] [--mtu N] [--no-offload] [--again]\n");
    exit(2);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    static const struct option long_options[] = {
        { "protocol", required_argument, NULL, 'p' },
        { "connect", required_argument, NULL, 'c' },
        { "listen", required_argument, NULL, 'l' },
        { "name", required_argument, NULL, 'n' },
        { "mac", required_argument, NULL, 'm' },
        { "mtu", required_argument, NULL, 't' },
        { "no-offload", no_argument, NULL, 'o' },
        { "again", no_argument, NULL, 'a' },
        { NULL, 0, NULL, 0 },
    };
    bool has_protocol = false;

    *o = (struct options){ .name = "eth0", .offload = true };
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (c) {
        case 'p': has_protocol = protocol_parse(&o->protocol, optarg); break;
        case 'c':
        case 'l':
            o->path = optarg;
            o->listen = c == 'l';
            break;
        case 'n': o->name = optarg; break;
        case 'm': o->mac = optarg; break;
        case 't': o->mtu = atoi(optarg); break;
        case 'o': o->offload = false; break;
        case 'a': o->again = true; break;
        default: usage();
        }
    }
    if (!has_protocol || !o->path || optind != argc)
        usage();
}

int main(int argc, char **argv)
{
    static const int signals[] = { SIGTERM, SIGINT };
    static struct relay r;

    parse_options(&r.o, argc, argv);
    r.length_bytes = length_bytes(r.o.protocol);
    r.listener = -1;
    catch_signals(signals, 2, on_signal);
    r.tap = open_tap(&r.o);
    do {
        if (!open_link(&r))
            break;
        relay_frames(&r);
    } while (r.o.again && !stopping);
    printf("from_tap %llu to_tap %llu reads %llu writes %llu dropped %llu\n", r.n.from_tap,
           r.n.to_tap, r.n.reads, r.n.writes, r.n.dropped);
    return r.link < 0 && !stopping;
}
