/* SPDX-License-Identifier: Apache-2.0
 * link_relay: a bad wire between a guest and the switch.
 *
 *   link_relay --protocol qemu|stdio|v2 --listen PATH --connect PATH [--seed N] [--loss PERCENT]
 *              [--reorder PERCENT] [--duplicate PERCENT] [--corrupt PERCENT] [--delay MS]
 *
 * The guest connects to the one socket, this program to the other, again for each guest that comes.
 * SIGUSR1 cuts both streams within a frame; SIGUSR2 changes to a perfect wire. At SIGTERM it prints
 * a line of counters for each way and ends.
 *
 * THEORY
 *   stream --read()--> in[] --records--> fate --> out[] --write()--> stream        twice, mirrored
 *                                         |  ^
 *                                         v  | later frames have passed, or HOLD_MS are over
 *                                        held[]
 * The fate of a way's n-th frame depends on the seed and n alone, so a run is repeated by its seed
 * as far as the two ends send the same. A frame is lost, or changed in one byte, or not; then sent
 * once or twice; then at once, or after 1 to REORDER_MAX frames that follow it. With --delay each
 * way waits that long, in order.
 *
 * What is corrupted is what a checksum covers, as on a wire whose frame checks left nothing else:
 * anything behind the Ethernet header, but only the IPv4 header of a v2 frame whose layer-4
 * checksum is partial (nobody could see it), and no IPv6 header. IPv4 traffic is what a test judges
 * by.
 *
 * When a stream takes no more, the other is not read: this loses only what it was told to lose.
 */
#define _GNU_SOURCE
#include "support/link_end.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IP4_BYTES = 20,
    IN_BYTES = 4 * RECORD_MAX,
    OUT_BYTES = 16 * RECORD_MAX,
    OUT_FULL = 8 * RECORD_MAX, /* no more is read then; the rest is for what is held */
    HELD_MAX = 16384,
    HELD_FULL = 8192, /* likewise */
    REORDER_MAX = 8,
    HOLD_MS = 5
};

struct rates {
    double loss, reorder, duplicate, corrupt; /* of 1 */
    unsigned delay_ms;
};

/* A frame that waits for others to pass. */
struct held {
    uint8_t *record; /* owned */
    size_t len;
    uint64_t due_ms;
    uint64_t after; /* when the way has sent that many */
};

struct way {
    const char *name;
    int from, to;
    uint64_t random, frames, passed;
    uint64_t lost, reordered, duplicated, corrupted;
    struct held held[HELD_MAX];
    unsigned held_count;
    size_t in_len, out_start, out_end;
    uint8_t in[IN_BYTES], out[OUT_BYTES];
};

struct relay {
    const char *listen_path, *connect_path;
    enum protocol protocol;
    uint64_t seed;
    struct rates rates;
    int listener;
    struct way up, down;
};

static volatile sig_atomic_t stopping, cutting, mending;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        cutting = 1;
    else if (number == SIGUSR2)
        mending = 1;
    else
        stopping = 1;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- chance ------------------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t draw(struct way *w)
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static bool happens(struct way *w, double rate)
{
    return (double)(draw(w) >> 11) * 0x1p-53 < rate;
}

/* ---- records ------------------------------------------------------------------------------ */

static void corrupt(const struct relay *r, struct way *w, uint8_t *record, size_t len)
{
    size_t head = length_bytes(r->protocol) + (r->protocol == V2 ? VNET_HEADER_BYTES : 0);
    size_t first = head + ETH_BYTES, end = len;
    uint64_t random = draw(w);
    bool is_partial = r->protocol == V2 && record[length_bytes(r->protocol)] & 1;

    if (len < first + IP4_BYTES || record[first - 2] != 0x08 || record[first - 1] != 0)
        return;
    if (is_partial)
        end = first + IP4_BYTES;
    record[first + random % (end - first)] ^= (uint8_t)(1 + (random >> 32) % 255);
    w->corrupted++;
}

/* ---- one way ------------------------------------------------------------------------------ */

static void put(struct way *w, const uint8_t *record, size_t len)
{
    if (OUT_BYTES - w->out_end < len) {
        memmove(w->out, w->out + w->out_start, w->out_end - w->out_start);
        w->out_end -= w->out_start;
        w->out_start = 0;
    }
    if (OUT_BYTES - w->out_end < len) {
        fprintf(stderr, "link_relay: more is held than fits\n");
        exit(1);
    }
    memcpy(w->out + w->out_end, record, len);
    w->out_end += len;
    w->passed++;
}

static void hold(struct way *w, const uint8_t *record, size_t len, uint64_t due_ms, uint64_t after)
{
    struct held *h = &w->held[w->held_count];

    if (w->held_count == HELD_MAX) {
        put(w, record, len);
        return;
    }
    *h = (struct held){ .record = malloc(len), .len = len, .due_ms = due_ms, .after = after };
    if (!h->record)
        fail("malloc");
    memcpy(h->record, record, len);
    w->held_count++;
}

/* In the order in which they came; a way that is congested keeps them a little longer. */
static void release(struct way *w)
{
    uint64_t now = now_ms();
    unsigned kept = 0;

    for (unsigned i = 0; i < w->held_count; i++) {
        struct held *h = &w->held[i];

        if ((w->passed >= h->after || now >= h->due_ms) && w->out_end - w->out_start < OUT_FULL) {
            put(w, h->record, h->len);
            free(h->record);
        } else {
            w->held[kept++] = *h;
        }
    }
    w->held_count = kept;
}

static void pass(const struct relay *r, struct way *w, uint8_t *record, size_t len)
{
    const struct rates *rates = &r->rates;
    unsigned copies = 1;

    w->random = r->seed * 2654435761u + w->frames++ * 0x632be59bd9b4e019;
    if (happens(w, rates->loss)) {
        w->lost++;
        return;
    }
    if (happens(w, rates->corrupt))
        corrupt(r, w, record, len);
    if (happens(w, rates->duplicate)) {
        w->duplicated++;
        copies++;
    }
    for (; copies > 0; copies--) {
        if (happens(w, rates->reorder)) {
            w->reordered++;
            hold(w, record, len, now_ms() + rates->delay_ms + HOLD_MS,
                 w->passed + 1 + draw(w) % REORDER_MAX);
        } else if (rates->delay_ms) {
            hold(w, record, len, now_ms() + rates->delay_ms, UINT64_MAX);
        } else {
            put(w, record, len);
        }
        release(w);
    }
}

/* False: the stream ended, or speaks something else. */
static bool receive(struct relay *r, struct way *w)
{
    ssize_t n = recv(w->from, w->in + w->in_len, IN_BYTES - w->in_len, 0);
    size_t at = 0;

    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    w->in_len += (size_t)n;
    while (w->in_len - at >= length_bytes(r->protocol)) {
        size_t len = length_bytes(r->protocol) + length_get(r->protocol, w->in + at);

        if (len > RECORD_MAX) {
            fprintf(stderr, "link_relay: a record of %zu bytes\n", len);
            return false;
        }
        if (w->in_len - at < len)
            break;
        pass(r, w, w->in + at, len);
        at += len;
    }
    memmove(w->in, w->in + at, w->in_len - at);
    w->in_len -= at;
    return true;
}

static bool send_out(struct way *w)
{
    while (w->out_start < w->out_end) {
        ssize_t n = send(w->to, w->out + w->out_start, w->out_end - w->out_start, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        w->out_start += (size_t)n;
    }
    w->out_start = w->out_end = 0;
    return true;
}

static void forget(struct way *w)
{
    for (unsigned i = 0; i < w->held_count; i++)
        free(w->held[i].record);
    w->held_count = 0;
    w->in_len = w->out_start = w->out_end = 0;
}

/* ---- both ways ---------------------------------------------------------------------------- */

/* A frame that promises more than follows, and then the end. */
static void cut(struct relay *r)
{
    static const uint8_t half[] = { 0, 0, 0x05, 0xdc, 1, 2, 3, 4, 5, 6 };
    static const uint8_t half_le[] = { 0xdc, 0x05, 0, 0, 1, 2, 3, 4, 5, 6 };
    const uint8_t *record = r->protocol == QEMU ? half : half_le;

    cutting = 0;
    if (send_out(&r->up) && r->up.out_end == 0)
        send(r->up.to, record, sizeof half, MSG_NOSIGNAL);
    if (send_out(&r->down) && r->down.out_end == 0)
        send(r->down.to, record, sizeof half, MSG_NOSIGNAL);
    printf("cut\n");
    fflush(stdout);
}

static short events_of(const struct way *reading, const struct way *writing)
{
    bool is_full =
        reading->out_end - reading->out_start >= OUT_FULL || reading->held_count >= HELD_FULL;
    short events = is_full ? 0 : POLLIN;

    return (short)(events | (writing->out_end > writing->out_start ? POLLOUT : 0));
}

static void carry(struct relay *r)
{
    const struct rates perfect = { .loss = 0 };

    while (!stopping && !cutting) {
        struct pollfd fds[2] = {
            { .fd = r->up.from, .events = events_of(&r->up, &r->down) },
            { .fd = r->up.to, .events = events_of(&r->down, &r->up) },
        };
        bool waits = r->up.held_count || r->down.held_count;

        if (mending)
            r->rates = perfect;
        if (wait_for(fds, 2, waits ? 1 : -1) < 0)
            continue;
        if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && !receive(r, &r->up))
            return;
        if ((fds[1].revents & (POLLIN | POLLHUP | POLLERR)) && !receive(r, &r->down))
            return;
        release(&r->up);
        release(&r->down);
        if (!send_out(&r->up) || !send_out(&r->down))
            return;
    }
}

/* One guest, from its connection to the end of either stream. */
static void serve(struct relay *r)
{
    struct pollfd listener = { .fd = r->listener, .events = POLLIN };
    int guest, host;

    if (wait_for(&listener, 1, -1) <= 0)
        return;
    guest = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (guest < 0)
        return;
    host = dial(r->connect_path, &stopping);
    if (host >= 0) {
        fcntl(host, F_SETFL, O_NONBLOCK);
        r->up.from = r->down.to = guest;
        r->up.to = r->down.from = host;
        carry(r);
        if (cutting)
            cut(r);
        forget(&r->up);
        forget(&r->down);
        close(host);
    }
    close(guest);
}

/* ---- life --------------------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr, "usage: link_relay --protocol qemu|stdio|v2 --listen PATH --connect PATH\n"
                    "                  [--seed N] [--loss PERCENT] [--reorder PERCENT]\n"
                    "                  [--duplicate PERCENT] [--corrupt PERCENT] [--delay MS]\n");
    exit(2);
}

static void parse_options(struct relay *r, int argc, char **argv)
{
    static const struct option options[] = {
        { "protocol", required_argument, NULL, 'p' },  { "listen", required_argument, NULL, 'l' },
        { "connect", required_argument, NULL, 'c' },   { "seed", required_argument, NULL, 's' },
        { "loss", required_argument, NULL, 'L' },      { "reorder", required_argument, NULL, 'R' },
        { "duplicate", required_argument, NULL, 'D' }, { "corrupt", required_argument, NULL, 'C' },
        { "delay", required_argument, NULL, 'd' },     { NULL, 0, NULL, 0 },
    };
    bool has_protocol = false;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'p': has_protocol = protocol_parse(&r->protocol, optarg); break;
        case 'l': r->listen_path = optarg; break;
        case 'c': r->connect_path = optarg; break;
        case 's': r->seed = strtoull(optarg, NULL, 10); break;
        case 'L': r->rates.loss = atof(optarg) / 100; break;
        case 'R': r->rates.reorder = atof(optarg) / 100; break;
        case 'D': r->rates.duplicate = atof(optarg) / 100; break;
        case 'C': r->rates.corrupt = atof(optarg) / 100; break;
        case 'd': r->rates.delay_ms = (unsigned)atoi(optarg); break;
        default: usage();
        }
    }
    if (!has_protocol || !r->listen_path || !r->connect_path || optind != argc)
        usage();
}

static void report(const struct way *w)
{
    printf("%s frames %llu lost %llu reordered %llu duplicated %llu corrupted %llu\n", w->name,
           (unsigned long long)w->frames, (unsigned long long)w->lost,
           (unsigned long long)w->reordered, (unsigned long long)w->duplicated,
           (unsigned long long)w->corrupted);
}

int main(int argc, char **argv)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };
    static struct relay r = { .up = { .name = "up" }, .down = { .name = "down" } };

    parse_options(&r, argc, argv);
    catch_signals(signals, sizeof signals / sizeof signals[0], on_signal);
    r.listener = listen_at(r.listen_path);
    while (!stopping)
        serve(&r);
    report(&r.up);
    report(&r.down);
    return 0;
}
