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
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Linux 6.2; older headers do not have them. */
#ifndef TUN_F_USO4
#    define TUN_F_USO4 0x20
#    define TUN_F_USO6 0x40
#endif

enum {
    VNET_HEADER_BYTES = 12,
    RECORD_MAX = 4 + VNET_HEADER_BYTES + 14 + 65535,
    BUFFER_BYTES = 512 * 1024,
    CONNECT_TRIES = 200,
    CONNECT_PAUSE_MS = 50,
    QUEUE_FRAMES = 4096
};

enum protocol { STDIO, QEMU, V2 };

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

static void fail(const char *what)
{
    perror(what);
    exit(1);
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

/* Signals arrive only while this waits, so none comes too late to be seen. */
static int wait_for(struct pollfd *fds, unsigned count, long timeout_ms)
{
    const struct timespec timeout = { .tv_sec = timeout_ms / 1000,
                                      .tv_nsec = timeout_ms % 1000 * 1000000 };
    sigset_t none;
    int n;

    sigemptyset(&none);
    n = ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, &none);
    if (n < 0 && errno != EINTR)
        fail("ppoll");
    return n;
}

static void open_listener(struct relay *r, const struct sockaddr_un *at)
{
    r->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (r->listener < 0)
        fail("socket");
    unlink(r->o.path);
    if (bind(r->listener, (const struct sockaddr *)at, sizeof *at) || listen(r->listener, 1))
        fail(r->o.path);
}

static int dial(const struct sockaddr_un *to)
{
    for (int i = 0; i < CONNECT_TRIES && !stopping; i++) {
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (s < 0)
            fail("socket");
        if (connect(s, (const struct sockaddr *)to, sizeof *to) == 0)
            return s;
        close(s);
        wait_for(NULL, 0, CONNECT_PAUSE_MS);
    }
    return -1;
}

/* False: there will be no stream. What was left of an old one is forgotten. */
static bool open_link(struct relay *r)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };

    r->link = -1;
    if ((size_t)snprintf(at.sun_path, sizeof at.sun_path, "%s", r->o.path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        fail(r->o.path);
    }
    if (r->o.listen) {
        if (r->listener < 0)
            open_listener(r, &at);
        if (wait_for(&(struct pollfd){ .fd = r->listener, .events = POLLIN }, 1, -1) > 0)
            r->link = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    } else {
        r->link = dial(&at);
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

/* ---- records ------------------------------------------------------------------------------ */

static void put_length(const struct relay *r, uint8_t *p, uint32_t n)
{
    for (size_t i = 0; i < r->length_bytes; i++)
        p[r->o.protocol == QEMU ? r->length_bytes - 1 - i : i] = (uint8_t)(n >> (8 * i));
}

static uint32_t get_length(const struct relay *r, const uint8_t *p)
{
    uint32_t n = 0;

    for (size_t i = 0; i < r->length_bytes; i++)
        n |= (uint32_t)p[r->o.protocol == QEMU ? r->length_bytes - 1 - i : i] << (8 * i);
    return n;
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
        put_length(r, record, (uint32_t)n);
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
        size_t len = get_length(r, record);

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

static enum protocol parse_protocol(const char *text)
{
    if (strcmp(text, "stdio") == 0)
        return STDIO;
    if (strcmp(text, "qemu") == 0)
        return QEMU;
    if (strcmp(text, "v2") != 0)
        usage();
    return V2;
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
        case 'p':
            o->protocol = parse_protocol(optarg);
            has_protocol = true;
            break;
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

static void catch_signals(void)
{
    const struct sigaction stop = { .sa_handler = on_signal };
    sigset_t both;

    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    sigprocmask(SIG_BLOCK, &both, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
}

int main(int argc, char **argv)
{
    static struct relay r;

    parse_options(&r.o, argc, argv);
    r.length_bytes = r.o.protocol == STDIO ? 2 : 4;
    r.listener = -1;
    catch_signals();
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
