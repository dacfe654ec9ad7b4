/* SPDX-License-Identifier: Apache-2.0
 * frame_flood: sends hostile frames out of a guest's interface, in its namespace.
 *
 *   frame_flood KIND RATE SECONDS [DESTINATION [COUNT]]
 *
 * KIND, each frame another one of it:
 *   harmless   a datagram to a MAC that nobody has: what such a frame costs before it is looked at
 *   syn        a SYN from any address of the guest's network to port 80 of an address drawn from
 * the COUNT that begin at DESTINATION mac        an ARP question from a MAC and an address that
 * nobody has fragment   the first half of a datagram of 3000 bytes udp        a datagram to any
 * port of DESTINATION from any port
 *
 * At most RATE frames leave in a second, in even portions, one a millisecond; 0: as fast as it
 * goes. At the end the number of frames that the interface took is printed, as `sent N`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ETH_BYTES = 14, IP4_BYTES = 20, TCP_BYTES = 20, UDP_BYTES = 8, ARP_BYTES = 28 };
enum {
    FRAME_MAX = 1514,
    FRAGMENT_BYTES = 1480,
    PAYLOAD_BYTES = 64,
    MS_PER_S = 1000,
    US_PER_S = 1000000
};
enum { PROTO_TCP = 6, PROTO_UDP = 17, TYPE_IP4 = 0x0800, TYPE_ARP = 0x0806 };

static const uint8_t guest_mac[6] = { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee };
static const uint8_t switch_mac[6] = { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd };
static const uint8_t nobodys_mac[6] = { 0x02, 0, 0, 0, 0x0b, 0xad };
static const uint32_t net = 0xc0a87f00, guest_ip = 0xc0a87f02, gateway_ip = 0xc0a87f01;

struct target {
    uint32_t first, count;
};

static uint64_t draw(void)
{
    static uint64_t state = 0x2545f4914f6cdd1d;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static uint32_t add(uint32_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    return sum;
}

static unsigned fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

static void put_eth(uint8_t *f, const uint8_t *to, const uint8_t *from, unsigned type)
{
    memcpy(f, to, 6);
    memcpy(f + 6, from, 6);
    put16(f + 12, type);
}

/* The header of a packet with @l4 bytes behind it; @fragment as on the wire. */
static void put_ip(uint8_t *p, uint32_t from, uint32_t to, unsigned proto, size_t l4,
                   unsigned fragment)
{
    memset(p, 0, IP4_BYTES);
    p[0] = 0x45;
    put16(p + 2, (unsigned)(IP4_BYTES + l4));
    put16(p + 4, (unsigned)draw() & 0xffff);
    put16(p + 6, fragment);
    p[8] = 64;
    p[9] = (uint8_t)proto;
    put32(p + 12, from);
    put32(p + 16, to);
    put16(p + 10, fold(add(0, p, IP4_BYTES)));
}

/* @at: of the checksum field in the @n layer-4 bytes behind the header at @ip. */
static void put_l4_checksum(uint8_t *ip, size_t n, size_t at)
{
    uint8_t *l4 = ip + IP4_BYTES;

    put16(l4 + at, 0);
    put16(l4 + at, fold(add(add(ip[9] + (uint32_t)n, ip + 12, 8), l4, n)));
}

static unsigned any_port(void)
{
    return 1024 + (unsigned)(draw() % 60000);
}

/* ---- kinds: each gives the length of its frame -------------------------------------------- */

static size_t put_udp(uint8_t *f, uint32_t to, unsigned port)
{
    uint8_t *ip = f + ETH_BYTES, *udp = ip + IP4_BYTES;
    size_t n = UDP_BYTES + PAYLOAD_BYTES;

    put_eth(f, switch_mac, guest_mac, TYPE_IP4);
    put_ip(ip, guest_ip, to, PROTO_UDP, n, 0);
    memset(udp, 'x', n);
    put16(udp, any_port());
    put16(udp + 2, port);
    put16(udp + 4, (unsigned)n);
    put_l4_checksum(ip, n, 6);
    return ETH_BYTES + IP4_BYTES + n;
}

static size_t put_harmless(uint8_t *f, const struct target *t)
{
    size_t n = put_udp(f, gateway_ip, 9);

    memcpy(f, nobodys_mac, 6);
    return n;
}

static size_t put_scan(uint8_t *f, const struct target *t)
{
    return put_udp(f, t->first, 1 + (unsigned)(draw() % 65535));
}

static size_t put_syn(uint8_t *f, const struct target *t)
{
    uint8_t *ip = f + ETH_BYTES, *tcp = ip + IP4_BYTES;

    put_eth(f, switch_mac, guest_mac, TYPE_IP4);
    put_ip(ip, net + 3 + (uint32_t)(draw() % 250), t->first + (uint32_t)(draw() % t->count),
           PROTO_TCP, TCP_BYTES, 0);
    memset(tcp, 0, TCP_BYTES);
    put16(tcp, any_port());
    put16(tcp + 2, 80);
    put32(tcp + 4, (uint32_t)draw());
    tcp[12] = TCP_BYTES / 4 << 4;
    tcp[13] = 2; /* SYN */
    put16(tcp + 14, 65535);
    put_l4_checksum(ip, TCP_BYTES, 16);
    return ETH_BYTES + IP4_BYTES + TCP_BYTES;
}

static size_t put_fragment(uint8_t *f, const struct target *t)
{
    uint8_t *ip = f + ETH_BYTES;

    put_eth(f, switch_mac, guest_mac, TYPE_IP4);
    put_ip(ip, guest_ip, gateway_ip, PROTO_UDP, FRAGMENT_BYTES, 0x2000);
    memset(ip + IP4_BYTES, 'x', FRAGMENT_BYTES);
    return ETH_BYTES + IP4_BYTES + FRAGMENT_BYTES;
}

static size_t put_mac(uint8_t *f, const struct target *t)
{
    static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    static const uint8_t question[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
    uint64_t random = draw();
    uint8_t from[6], *arp = f + ETH_BYTES;

    memcpy(from, &random, sizeof from);
    from[0] = (uint8_t)((from[0] & 0xfc) | 2);
    put_eth(f, everybody, from, TYPE_ARP);
    memcpy(arp, question, sizeof question);
    memcpy(arp + 8, from, 6);
    put32(arp + 14, net + 3 + (uint32_t)(draw() % 250));
    memset(arp + 18, 0, 6);
    put32(arp + 24, gateway_ip);
    return ETH_BYTES + ARP_BYTES;
}

static const struct {
    const char *name;
    size_t (*put)(uint8_t *frame, const struct target *t);
} kinds[] = {
    { "harmless", put_harmless }, { "syn", put_syn },  { "mac", put_mac },
    { "fragment", put_fragment }, { "udp", put_scan },
};

/* ---- sending ------------------------------------------------------------------------------ */

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int open_interface(void)
{
    struct sockaddr_ll at = { .sll_family = AF_PACKET };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    at.sll_ifindex = (int)if_nametoindex("eth0");
    if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (void *)&at, sizeof at)) {
        perror("eth0");
        exit(1);
    }
    return fd;
}

static bool send_one(int fd, unsigned kind, const struct target *t)
{
    uint8_t frame[FRAME_MAX];
    size_t n = kinds[kind].put(frame, t);

    if (send(fd, frame, n, 0) == (ssize_t)n)
        return true;
    if (errno != ENOBUFS && errno != EAGAIN) {
        perror("send");
        exit(1);
    }
    return false;
}

/* How many went. What is late by more than a portion is not made up for. */
static uint64_t send_all(int fd, unsigned kind, const struct target *t, uint64_t rate,
                         uint64_t seconds)
{
    uint64_t began = now_us(), most = 2 * rate / MS_PER_S + 1, sent = 0, done = 0;

    for (uint64_t us = 0; us < seconds * US_PER_S; us = now_us() - began) {
        uint64_t due = rate ? rate * us / US_PER_S - done : 1;

        done += due;
        for (due = due < most ? due : most; due > 0; due--)
            sent += send_one(fd, kind, t);
        if (rate)
            usleep(1000);
    }
    return sent;
}

int main(int argc, char **argv)
{
    struct target t = { .first = gateway_ip, .count = 1 };
    unsigned kind = 0;

    while (argc > 1 && kind < sizeof kinds / sizeof kinds[0] && strcmp(argv[1], kinds[kind].name))
        kind++;
    if (argc < 4 || argc > 6 || kind == sizeof kinds / sizeof kinds[0]) {
        fprintf(stderr, "usage: frame_flood KIND RATE SECONDS [DESTINATION [COUNT]]\n");
        return 2;
    }
    if (argc > 4)
        t.first = ntohl(inet_addr(argv[4]));
    if (argc > 5)
        t.count = (uint32_t)strtoul(argv[5], NULL, 10);
    printf("sent %llu\n",
           (unsigned long long)send_all(open_interface(), kind, &t, strtoull(argv[2], NULL, 10),
                                        strtoull(argv[3], NULL, 10)));
    return 0;
}
