/* SPDX-License-Identifier: Apache-2.0
 * vsockdev: a vhost-user vsock device for one QEMU guest.
 *
 *   vsockdev --vm guest-cid=N,socket=VHOST_SOCK,uds-path=UDS
 *
 * Same command line and hybrid sockets as vhost-device-vsock, but it keeps
 * half-close in both directions and does not lose data sent together with the
 * CONNECT line.  Host to guest: connect to UDS, send "CONNECT port\n", read
 * "OK n\n".  Guest to host: the host listens on UDS_port.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { HOST_CID = 2, WINDOW = 256 * 1024, MAX_EVENTS = 64 };
enum {
    OP_REQUEST = 1,
    OP_RESPONSE,
    OP_RST,
    OP_SHUTDOWN,
    OP_RW,
    OP_CREDIT_UPDATE,
    OP_CREDIT_REQUEST
};
enum { SHUT_RCV_FLAG = 1, SHUT_SEND_FLAG = 2, SHUT_BOTH = 3 };

static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

/* ---- guest memory and rings -------------------------------------------- */

struct region {
    uint64_t gpa, size, uva, off;
    char *map;
};
struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct avail {
    uint16_t flags, idx, ring[];
};
struct used_elem {
    uint32_t id, len;
};
struct used {
    uint16_t flags, idx;
    struct used_elem ring[];
};
struct vring {
    uint32_t num;
    uint16_t last;
    int kick, call;
    struct desc *desc;
    struct avail *avail;
    struct used *used;
};
enum { DESC_NEXT = 1, DESC_WRITE = 2 };

static struct region regions[16];
static int nregions;
static struct vring rings[2] = { { .kick = -1, .call = -1 }, { .kick = -1, .call = -1 } };
static uint64_t guest_cid;
static int ep;

static void *at(uint64_t addr, uint64_t len, int user)
{
    for (int i = 0; i < nregions; i++) {
        struct region *r = &regions[i];
        uint64_t base = user ? r->uva : r->gpa;

        if (addr >= base && addr - base < r->size && len <= r->size - (addr - base))
            return r->map + (addr - base);
    }
    die("address %llx+%llx is not guest memory", (unsigned long long)addr, (unsigned long long)len);
    return NULL;
}

static int ring_ready(struct vring *v)
{
    return v->kick >= 0 && v->desc && v->avail->idx != v->last;
}

/* Take the next chain: its head, and its buffers in iov. */
static int ring_take(struct vring *v, struct iovec *iov, int max, uint16_t *head)
{
    int n = 0;
    uint16_t i;

    if (v->kick < 0 || !v->desc || __atomic_load_n(&v->avail->idx, __ATOMIC_ACQUIRE) == v->last)
        return 0;
    i = *head = v->avail->ring[v->last % v->num];
    for (;;) {
        struct desc *d = &v->desc[i % v->num];

        if (n == max)
            die("a chain of more than %d buffers", max);
        iov[n].iov_base = at(d->addr, d->len, 0);
        iov[n++].iov_len = d->len;
        if (!(d->flags & DESC_NEXT))
            break;
        i = d->next;
    }
    v->last++;
    return n;
}

static void ring_give(struct vring *v, uint16_t head, uint32_t len)
{
    uint64_t one = 1;

    v->used->ring[v->used->idx % v->num] = (struct used_elem){ head, len };
    __atomic_store_n(&v->used->idx, v->used->idx + 1, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(v->avail->flags & 1) && v->call >= 0 && write(v->call, &one, 8) < 0)
        perror("call");
}

/* ---- connections --------------------------------------------------------- */

struct hdr {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

enum state { LINE, CONNECTING, OPEN, DEAD };

struct conn {
    struct conn *next;
    enum state state;
    int fd;
    uint32_t host_port, guest_port;
    uint32_t peer_alloc, peer_fwd, sent; /* towards the guest */
    uint32_t fwd, fwd_told;              /* from the guest: written to fd, announced */
    char *out;                           /* from the guest, not yet written */
    size_t out_off, out_len;
    int readable, hup;
    int told; /* shutdown flags sent to the guest */
    int got;  /* shutdown flags of the guest */
    int wr_shut;
    char line[32];
    size_t line_len;
};

struct ctl {
    struct ctl *next;
    struct hdr h;
};

static struct conn *conns;
static struct ctl *ctl_head, **ctl_tail = &ctl_head;
static char uds[96];
static uint32_t next_port = 1u << 30;

static struct hdr header(struct conn *c, uint16_t op, uint32_t flags)
{
    c->fwd_told = c->fwd;
    return (struct hdr){ HOST_CID, guest_cid, c->host_port, c->guest_port, 0,
                         1,        op,        flags,        WINDOW,        c->fwd };
}

static void queue(struct hdr h)
{
    struct ctl *p = calloc(1, sizeof(*p));

    p->h = h;
    *ctl_tail = p;
    ctl_tail = &p->next;
}

static void tell(struct conn *c, uint16_t op, uint32_t flags)
{
    queue(header(c, op, flags));
}

static void reset_unknown(const struct hdr *h)
{
    if (h->op != OP_RST)
        queue((struct hdr){ HOST_CID, guest_cid, h->dst_port, h->src_port, 0, 1, OP_RST, 0, 0, 0 });
}

static void kill_conn(struct conn *c, int rst)
{
    if (c->state == DEAD)
        return;
    if (rst)
        tell(c, OP_RST, 0);
    close(c->fd);
    c->state = DEAD;
}

static struct conn *new_conn(int fd, enum state st)
{
    struct conn *c = calloc(1, sizeof(*c));
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };

    c->fd = fd;
    c->state = st;
    c->next = conns;
    conns = c;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
        die("epoll_ctl: %s", strerror(errno));
    return c;
}

static void announce(struct conn *c)
{
    if (c->state == OPEN && c->fwd - c->fwd_told >= WINDOW / 4)
        tell(c, OP_CREDIT_UPDATE, 0);
}

/* Write what the guest sent; then carry out its shutdown. */
static void flush_out(struct conn *c)
{
    while (c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_off, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) { /* the reader is gone */
            kill_conn(c, 1);
            return;
        }
        c->out_off += n;
        c->out_len -= n;
        c->fwd += n;
    }
    c->out_off = 0;
    announce(c);
    if ((c->got & SHUT_SEND_FLAG) && !c->wr_shut) {
        c->wr_shut = 1;
        shutdown(c->fd, SHUT_WR);
    }
    if (c->got == SHUT_BOTH || (c->wr_shut && c->told == SHUT_BOTH))
        kill_conn(c, 1);
}

static void guest_data(struct conn *c, const char *p, size_t n)
{
    if (c->out_len + n > WINDOW) {
        fprintf(stderr, "the guest overran its credit\n");
        kill_conn(c, 1);
        return;
    }
    if (!c->out)
        c->out = malloc(WINDOW);
    if (c->out_off + c->out_len + n > WINDOW) {
        memmove(c->out, c->out + c->out_off, c->out_len);
        c->out_off = 0;
    }
    memcpy(c->out + c->out_off + c->out_len, p, n);
    c->out_len += n;
    flush_out(c);
}

static int dial_host(uint32_t port)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s_%u", uds, port);
    if (fd >= 0 && connect(fd, (void *)&sa, sizeof(sa))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void guest_packet(const struct hdr *h, const char *data, size_t len)
{
    struct conn *c = conns;
    int fd;

    if (h->src_cid != guest_cid || h->dst_cid != HOST_CID || h->type != 1)
        return;
    while (c && (c->state == DEAD || c->state == LINE || c->host_port != h->dst_port ||
                 c->guest_port != h->src_port))
        c = c->next;
    if (!c && h->op == OP_REQUEST && (fd = dial_host(h->dst_port)) >= 0) {
        c = new_conn(fd, OPEN);
        c->host_port = h->dst_port;
        c->guest_port = h->src_port;
        tell(c, OP_RESPONSE, 0);
    } else if (!c) {
        reset_unknown(h);
        return;
    }
    c->peer_alloc = h->buf_alloc;
    c->peer_fwd = h->fwd_cnt;
    switch (h->op) {
    case OP_RESPONSE:
        if (c->state == CONNECTING) {
            c->state = OPEN;
            dprintf(c->fd, "OK %u\n", c->host_port);
        }
        break;
    case OP_RST: kill_conn(c, 0); break;
    case OP_SHUTDOWN:
        c->got |= h->flags & SHUT_BOTH;
        flush_out(c);
        break;
    case OP_RW:
        if (c->state == OPEN)
            guest_data(c, data, len);
        break;
    case OP_CREDIT_REQUEST: tell(c, OP_CREDIT_UPDATE, 0); break;
    }
}

/* The first line of a host connection: "CONNECT port\n". */
static void read_line(struct conn *c)
{
    while (c->state == LINE) {
        ssize_t n = read(c->fd, c->line + c->line_len, 1);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || c->line_len + 1 == sizeof(c->line)) {
            kill_conn(c, 0);
            return;
        }
        if (c->line[c->line_len++] != '\n')
            continue;
        c->line[c->line_len] = 0;
        if (sscanf(c->line, "CONNECT %u", &c->guest_port) != 1) {
            kill_conn(c, 0);
            return;
        }
        c->host_port = next_port++;
        c->state = CONNECTING;
        tell(c, OP_REQUEST, 0);
    }
}

/* ---- moving packets --------------------------------------------------------- */

static void from_guest(void)
{
    struct iovec iov[8];
    uint16_t head;
    int n;

    while ((n = ring_take(&rings[1], iov, 8, &head))) {
        static char buf[65536 + sizeof(struct hdr)];
        size_t len = 0;

        for (int i = 0; i < n && len + iov[i].iov_len <= sizeof(buf); i++) {
            memcpy(buf + len, iov[i].iov_base, iov[i].iov_len);
            len += iov[i].iov_len;
        }
        ring_give(&rings[1], head, 0);
        if (len >= sizeof(struct hdr)) {
            struct hdr h;

            memcpy(&h, buf, sizeof(h));
            if (h.len <= len - sizeof(h))
                guest_packet(&h, buf + sizeof(h), h.len);
        }
    }
}

/* Scatter one packet header and fill the rest from fd; < 0 when fd gave nothing. */
static ssize_t put(const struct hdr *h, int fd, size_t want)
{
    struct vring *v = &rings[0];
    struct iovec iov[8], data[8];
    uint16_t head = 0;
    size_t hl = sizeof(*h), left = sizeof(*h), room = want;
    struct hdr full = *h;
    ssize_t n = 0;
    int cnt = ring_take(v, iov, 8, &head), dn = 0;
    char *hp[8];
    size_t hlen[8];
    int hn = 0;

    for (int i = 0; i < cnt; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        size_t rest = iov[i].iov_len - part;

        if (part) {
            hp[hn] = iov[i].iov_base;
            hlen[hn++] = part;
            left -= part;
        }
        if (rest > room)
            rest = room;
        if (rest) {
            data[dn].iov_base = (char *)iov[i].iov_base + part;
            data[dn++].iov_len = rest;
            room -= rest;
        }
    }
    if (fd >= 0) {
        n = readv(fd, data, dn);
        if (n <= 0) {
            v->last--; /* give the chain back */
            return n < 0 ? -errno : 0;
        }
        full.len = n;
    }
    for (int i = 0, off = 0; i < hn; i++) {
        memcpy(hp[i], (char *)&full + off, hlen[i]);
        off += hlen[i];
    }
    ring_give(v, head, hl + n);
    return n;
}

/* The host side ended: fully (hup) or its writing half. */
static void host_eof(struct conn *c)
{
    int flags = c->hup ? SHUT_BOTH : SHUT_SEND_FLAG;

    c->readable = 0;
    if ((c->told | flags) != c->told) {
        c->told |= flags;
        tell(c, OP_SHUTDOWN, c->told);
    }
    if (c->wr_shut && (c->told & SHUT_SEND_FLAG) && c->hup)
        kill_conn(c, 1);
}

static int to_guest(struct conn *c)
{
    struct hdr h;
    uint32_t credit = c->peer_alloc - (c->sent - c->peer_fwd);
    ssize_t n;

    if (c->state != OPEN || !c->readable || (c->told & SHUT_SEND_FLAG && !c->hup))
        return 0;
    if (c->got & SHUT_RCV_FLAG) { /* the guest reads no more */
        char sink[4096];

        while ((n = read(c->fd, sink, sizeof(sink))) > 0)
            ;
        c->readable = 0;
        if (n == 0)
            host_eof(c);
        return 1;
    }
    if (!credit || credit > WINDOW * 64u)
        return 0;
    h = header(c, OP_RW, 0);
    n = put(&h, c->fd, credit);
    if (n > 0) {
        c->sent += n;
    } else if (n == -EAGAIN) {
        c->readable = 0;
        return 0;
    } else if (n == 0) {
        host_eof(c);
    } else if (n != -EINTR) {
        kill_conn(c, 1);
    }
    return 1;
}

static void pump(void)
{
    int busy = 1;

    from_guest();
    while (busy) {
        busy = 0;
        while (ctl_head && ring_ready(&rings[0])) {
            struct ctl *p = ctl_head;

            put(&p->h, -1, 0);
            ctl_head = p->next;
            if (!ctl_head)
                ctl_tail = &ctl_head;
            free(p);
            busy = 1;
        }
        for (struct conn *c = conns; c && ring_ready(&rings[0]) && !ctl_head; c = c->next)
            busy |= to_guest(c);
        from_guest();
    }
    for (struct conn **pp = &conns; *pp;) {
        struct conn *c = *pp;

        if (c->state == DEAD) {
            *pp = c->next;
            free(c->out);
            free(c);
        } else {
            pp = &c->next;
        }
    }
}

/* ---- vhost-user --------------------------------------------------------------- */

struct msg {
    uint32_t req, flags, size;
    union {
        uint64_t u64;
        struct {
            uint32_t idx, num;
        } state;
        struct {
            uint32_t idx, flags;
            uint64_t desc, used, avail, log;
        } addr;
        struct {
            uint32_t n, pad;
            struct {
                uint64_t gpa, size, uva, off;
            } r[8];
        } mem;
        struct {
            uint32_t off, size, flags;
            uint8_t data[256];
        } cfg;
        char raw[1024];
    };
} __attribute__((packed));

static void reply(int s, struct msg *m, uint32_t size)
{
    m->flags = 1 | 4;
    m->size = size;
    if (write(s, m, 12 + size) != (ssize_t)12 + size)
        die("reply: %s", strerror(errno));
}

static void set_fd(int *slot, int fd, int poll)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = slot };

    if (*slot >= 0) { /* QEMU has it open too: close alone would not do */
        epoll_ctl(ep, EPOLL_CTL_DEL, *slot, NULL);
        close(*slot);
    }
    *slot = fd;
    if (poll && fd >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
        die("epoll_ctl kick: %s", strerror(errno));
}

static void vhost_message(int s)
{
    struct msg m;
    char cbuf[CMSG_SPACE(8 * sizeof(int))];
    struct iovec iov = { &m, 12 };
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = cbuf, .msg_controllen = sizeof(cbuf)
    };
    int fds[8] = { -1, -1, -1, -1, -1, -1, -1, -1 }, nfds = 0;
    struct cmsghdr *cm;
    struct vring *v;

    if (recvmsg(s, &mh, MSG_WAITALL) != 12) {
        fprintf(stderr, "QEMU went away\n");
        exit(0);
    }
    if ((cm = CMSG_FIRSTHDR(&mh)) && cm->cmsg_type == SCM_RIGHTS) {
        nfds = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(cm), nfds * sizeof(int));
    }
    if (m.size > sizeof(m.raw) ||
        (m.size && recv(s, m.raw, m.size, MSG_WAITALL) != (ssize_t)m.size))
        die("a vhost-user message of %u bytes", m.size);
    v = &rings[m.state.idx & 1];
    switch (m.req) {
    case 1: /* GET_FEATURES: VERSION_1, protocol features */
        m.u64 = 1ull << 32 | 1ull << 30;
        reply(s, &m, 8);
        break;
    case 5: /* SET_MEM_TABLE */
        for (int i = 0; i < nregions; i++)
            munmap(regions[i].map - regions[i].off, regions[i].size + regions[i].off);
        nregions = m.mem.n < 8 ? m.mem.n : 8;
        for (int i = 0; i < nregions; i++) {
            char *p = mmap(NULL, m.mem.r[i].size + m.mem.r[i].off, PROT_READ | PROT_WRITE,
                           MAP_SHARED, fds[i], 0);

            if (p == MAP_FAILED)
                die("mmap: %s", strerror(errno));
            close(fds[i]);
            regions[i] = (struct region){ m.mem.r[i].gpa, m.mem.r[i].size, m.mem.r[i].uva,
                                          m.mem.r[i].off, p + m.mem.r[i].off };
        }
        break;
    case 8: /* SET_VRING_NUM */ v->num = m.state.num; break;
    case 9: /* SET_VRING_ADDR */
        v->desc = at(m.addr.desc, v->num * sizeof(struct desc), 1);
        v->avail = at(m.addr.avail, 4 + v->num * 2, 1);
        v->used = at(m.addr.used, 4 + v->num * sizeof(struct used_elem), 1);
        break;
    case 10: /* SET_VRING_BASE */ v->last = m.state.num; break;
    case 11: /* GET_VRING_BASE: stop the ring */
        m.state.num = v->last;
        set_fd(&v->kick, -1, 0);
        set_fd(&v->call, -1, 0);
        v->desc = NULL;
        reply(s, &m, 8);
        break;
    case 12: /* SET_VRING_KICK */ set_fd(&v->kick, fds[0], 1); break;
    case 13: /* SET_VRING_CALL */ set_fd(&v->call, fds[0], 0); break;
    case 14: /* SET_VRING_ERR */
        if (fds[0] >= 0)
            close(fds[0]);
        break;
    case 15: /* GET_PROTOCOL_FEATURES: CONFIG */
        m.u64 = 1 << 9;
        reply(s, &m, 8);
        break;
    case 17: /* GET_QUEUE_NUM */
        m.u64 = 2;
        reply(s, &m, 8);
        break;
    case 24: { /* GET_CONFIG: the guest's CID */
        uint8_t cfg[256] = { 0 };

        memcpy(cfg, &guest_cid, 8);
        if (m.cfg.off < 256 && m.cfg.size <= 256 - m.cfg.off)
            memcpy(m.cfg.data, cfg + m.cfg.off, m.cfg.size);
        reply(s, &m, m.size);
        break;
    }
    }
}

static int listen_unix(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    unlink(path);
    if (fd < 0 || bind(fd, (void *)&sa, sizeof(sa)) || listen(fd, 1024))
        die("%s: %s", path, strerror(errno));
    return fd;
}

static void host_event(struct conn *c, uint32_t events)
{
    if (events & EPOLLHUP)
        c->hup = 1;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
        c->readable = 1;
    if (c->state == LINE)
        read_line(c);
    if (c->state == CONNECTING && c->hup)
        kill_conn(c, 1);
    if (c->state == OPEN && events & EPOLLOUT)
        flush_out(c);
}

int main(int argc, char **argv)
{
    char sock[96] = "";
    static int vhost_tag, uds_tag;
    int uds_fd, s;
    struct epoll_event ev = { .events = EPOLLIN };

    if (argc != 3 ||
        sscanf(argv[2], "guest-cid=%lu,socket=%95[^,],uds-path=%95s", &guest_cid, sock, uds) != 3)
        die("usage: vsockdev --vm guest-cid=N,socket=PATH,uds-path=PATH");
    signal(SIGPIPE, SIG_IGN);
    ep = epoll_create1(EPOLL_CLOEXEC);
    uds_fd = listen_unix(uds);
    s = accept4(listen_unix(sock), NULL, NULL, SOCK_CLOEXEC);
    if (s < 0)
        die("accept: %s", strerror(errno));
    ev.data.ptr = &vhost_tag;
    epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
    ev.data.ptr = &uds_tag;
    epoll_ctl(ep, EPOLL_CTL_ADD, uds_fd, &ev);
    for (;;) {
        struct epoll_event evs[MAX_EVENTS];
        int n = epoll_wait(ep, evs, MAX_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            void *p = evs[i].data.ptr;
            uint64_t junk;

            if (p == &vhost_tag) {
                vhost_message(s);
            } else if (p == &uds_tag) {
                int fd = accept4(uds_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd >= 0)
                    new_conn(fd, LINE);
            } else if (p == &rings[0].kick || p == &rings[1].kick) {
                int fd = *(int *)p;

                if (fd >= 0 && read(fd, &junk, 8) < 0)
                    perror("kick");
            } else {
                host_event(p, evs[i].events);
            }
        }
        pump();
    }
}
