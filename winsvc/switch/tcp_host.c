/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * What is behind a flow: a socket of the host, or a service of the gateway's own.
 *
 *   link memory --pieces--> one tcp_write() --rest--> up ring --on_writable--> tcp_write()
 *   socket --on_space: straight into the down ring--> tcp_send.c
 *
 * Up. In-order payload of a batch is not copied: its pieces hang on the flow, in link memory, until
 * the batch ends, and then go out in one call. Only what the socket does not take is copied to the
 * ring; while there is something in the ring, new bytes queue behind it.
 *
 * No accepted byte is ever dropped: rcv_nxt counts pieces as soon as they hang, but nothing that
 * would tell the guest is sent before tcp_settle(). Where the ring gets no memory (the switch-wide
 * bound), settling takes rcv_nxt back by what could not be kept: to the guest those bytes were
 * lost, and it sends them again. The window it was given stays given (it never shrinks), but as
 * long as memory is short no flow's window moves on by more than a small step (tcp_up_max()).
 *
 * Early segments (the link keeps order, a queue in the guest may drop) are written into the ring's
 * storage where they belong, and up to TCP_EARLY_MAX stretches of them are remembered. Beyond that
 * they are lost; the duplicate ACKs make the guest send them again.
 *
 * Down. At most half of what a ring holds is read at a time (tcp_turn_bytes()), and as much goes to
 * the link before the next read, so that the guest is not idle meanwhile.
 * Reading stops when the ring is full (or holds the flow's share, tcp_share.c) and goes on when the
 * guest has acknowledged a quarter of it. When there is no memory for even the first block, the
 * flow asks again by its timer.
 */
#include "switch/tcp_internal.h"

#include "base/util.h"

enum { SHORT_WINDOW_BYTES = 16 * 1024, READ_MUCH_BYTES = 64 * 1024 };

size_t tcp_up_max(const struct tcp_flow *f)
{
    const struct tcp_table *t = f->table;

    if (t->pool.used_bytes > t->pool.limit_bytes - t->pool.limit_bytes / 4)
        return MIN(SHORT_WINDOW_BYTES, t->sw->config.limits.flow_buffer_bytes);
    return t->sw->config.limits.flow_buffer_bytes;
}

/* ---- writing ---------------------------------------------------------------------------- */

static size_t host_write(struct tcp_flow *f, const struct net_iov *iov, unsigned count)
{
    struct net *net = f->table->sw->env.net;

    if (f->flags & TF_SERVICE)
        return tcp_service_write(f, iov, count);
    if (!f->host.conn)
        return 0;
    return net->ops->tcp_write(f->host.conn, iov, count);
}

/* Stretches that are not early any more become content. */
static void join_early(struct tcp_flow *f)
{
    while (f->early_count > 0 && seq_le(f->early[0].start, f->rcv_nxt)) {
        uint32_t more = seq_max(f->early[0].end, f->rcv_nxt) - f->rcv_nxt;

        ring_commit(&f->up, more);
        f->rcv_nxt += more;
        f->early_count--;
        for (unsigned i = 0; i < f->early_count; i++)
            f->early[i] = f->early[i + 1];
    }
}

/* Copies bytes that follow the content; how many there was room for. */
static size_t keep(struct tcp_flow *f, const uint8_t *data, size_t len_bytes)
{
    return ring_append(&f->up, &f->table->pool, data, len_bytes,
                       f->table->sw->config.limits.flow_buffer_bytes);
}

static void flush_ring(struct tcp_flow *f)
{
    struct ring_span part[2];
    struct net_iov iov[2];
    unsigned count = ring_peek(&f->up, 0, f->up.len_bytes, part);
    size_t total = f->up.len_bytes, taken;

    if (count == 0 || (f->flags & (TF_BLOCKED | TF_HOST_SHUT)))
        return;
    for (unsigned i = 0; i < count; i++)
        iov[i] = (struct net_iov){ part[i].data, part[i].len_bytes };
    taken = host_write(f, iov, count);
    if (f->state == TCP_DEAD)
        return;
    if (taken < total)
        f->flags |= TF_BLOCKED;
    ring_consume(&f->up, taken);
    if (f->early_count == 0)
        ring_trim(&f->up, &f->table->pool);
}

/* The guest has ended and everything it sent is with the host. */
static void pass_end(struct tcp_flow *f)
{
    if (!(f->flags & TF_GUEST_FIN) || (f->flags & TF_HOST_SHUT) || f->up.len_bytes > 0)
        return;
    f->flags |= TF_HOST_SHUT;
    if (f->flags & TF_SERVICE)
        tcp_service_eof(f);
    else if (f->host.conn)
        f->table->sw->env.net->ops->tcp_shutdown(f->host.conn);
    tcp_check_done(f);
}

/* Keeps of the pieces what is behind the first @taken bytes; takes rcv_nxt back by what it cannot.
 */
static void keep_pieces(struct tcp_flow *f, size_t taken, size_t total)
{
    struct tcp_table *t = f->table;
    size_t kept, missing;

    for (unsigned i = f->piece_first; i != TCP_NO_PIECE; i = t->pieces[i].next) {
        const struct tcp_piece *piece = &t->pieces[i];
        size_t skip = MIN(taken, piece->len_bytes), n = piece->len_bytes - skip;

        taken -= skip;
        if (n > 0 && keep(f, piece->data + skip, n) < n)
            break;
    }
    kept = f->up.len_bytes;
    missing = total > kept ? total - kept : 0;
    if (missing == 0)
        return;
    t->sw->count.drop_no_memory++;
    if (f->flags & TF_GUEST_FIN) {
        f->flags &= ~(uint32_t)(TF_GUEST_FIN | TF_GUEST_FIRST);
        f->rcv_nxt--;
    }
    f->rcv_nxt -= (uint32_t)missing;
}

static void write_pieces(struct tcp_flow *f)
{
    struct tcp_table *t = f->table;
    size_t total = 0, taken;
    unsigned count = 0;

    for (unsigned i = f->piece_first; i != TCP_NO_PIECE; i = t->pieces[i].next) {
        t->iov[count++] = (struct net_iov){ t->pieces[i].data, t->pieces[i].len_bytes };
        total += t->pieces[i].len_bytes;
    }
    taken = host_write(f, t->iov, count);
    if (f->state == TCP_DEAD)
        return;
    if (taken < total) {
        f->flags |= TF_BLOCKED;
        keep_pieces(f, taken, total - taken);
    }
    f->piece_first = f->piece_last = TCP_NO_PIECE;
}

void tcp_settle(struct tcp_flow *f)
{
    if (f->state == TCP_DEAD)
        return;
    if (f->piece_first != TCP_NO_PIECE)
        write_pieces(f);
    if (f->state != TCP_DEAD)
        flush_ring(f);
    if (f->state != TCP_DEAD)
        pass_end(f);
}

/* ---- taking ----------------------------------------------------------------------------- */

static bool gather(struct tcp_flow *f, const uint8_t *data, size_t len_bytes)
{
    struct tcp_table *t = f->table;
    uint16_t index = (uint16_t)t->piece_count;

    if (t->piece_count == TCP_PIECES_MAX)
        return false;
    t->piece_count++;
    t->pieces[index] = (struct tcp_piece){ data, (uint32_t)len_bytes, TCP_NO_PIECE };
    if (f->piece_first == TCP_NO_PIECE)
        f->piece_first = index;
    else
        t->pieces[f->piece_last].next = index;
    f->piece_last = index;
    return true;
}

void tcp_take(struct tcp_flow *f, const uint8_t *data, size_t len_bytes, bool lasts)
{
    bool queue = f->up.len_bytes > 0 || f->early_count > 0 || (f->flags & TF_BLOCKED);

    tcp_touch(f);
    if (!queue && gather(f, data, len_bytes)) {
        f->rcv_nxt += (uint32_t)len_bytes;
        if (!lasts)
            tcp_settle(f);
        return;
    }
    tcp_settle(f);
    if (f->state == TCP_DEAD)
        return;
    size_t n = keep(f, data, len_bytes);
    if (n < len_bytes)
        f->table->sw->count.drop_no_memory++;
    f->rcv_nxt += (uint32_t)n;
    if (n == len_bytes)
        join_early(f);
}

/* Adds [start, end) to the stretches; false: there are too many. */
static bool add_stretch(struct tcp_flow *f, uint32_t start, uint32_t end)
{
    unsigned at = 0, last;

    while (at < f->early_count && seq_lt(f->early[at].end, start))
        at++;
    for (last = at; last < f->early_count && seq_le(f->early[last].start, end); last++) {
        start = seq_lt(f->early[last].start, start) ? f->early[last].start : start;
        end = seq_max(f->early[last].end, end);
    }
    if (at == last) {
        if (f->early_count == TCP_EARLY_MAX)
            return false;
        for (unsigned i = f->early_count++; i > at; i--)
            f->early[i] = f->early[i - 1];
    } else {
        unsigned gone = last - at - 1;

        f->early_count = (uint8_t)(f->early_count - gone);
        for (unsigned i = at + 1; i < f->early_count; i++)
            f->early[i] = f->early[i + gone];
    }
    f->early[at] = (struct tcp_stretch){ start, end };
    return true;
}

bool tcp_keep_early(struct tcp_flow *f, uint32_t seq, const uint8_t *data, size_t len_bytes)
{
    size_t offset, most = f->table->sw->config.limits.flow_buffer_bytes;

    tcp_settle(f);
    if (f->state == TCP_DEAD)
        return false;
    offset = f->up.len_bytes + (seq - f->rcv_nxt);
    if (offset + len_bytes > most || !ring_reserve(&f->up, &f->table->pool, offset + len_bytes))
        return false;
    if (!add_stretch(f, seq, seq + (uint32_t)len_bytes))
        return false;
    ring_put(&f->up, offset, data, len_bytes);
    return true;
}

/* ---- what the socket says --------------------------------------------------------------- */

void tcp_host_read(struct tcp_flow *f)
{
    f->flags &= ~(uint32_t)TF_STOPPED;
    if (!(f->flags & TF_SERVICE) && f->host.conn && !(f->flags & TF_HOST_EOF))
        f->table->sw->env.net->ops->tcp_read(f->host.conn);
}

void tcp_host_close(struct tcp_flow *f, bool reset)
{
    struct net_tcp *conn = f->host.conn;

    if (f->flags & TF_SERVICE) {
        if (f->host.service)
            tcp_service_lost(f, reset ? ST_RESET : ST_EOF);
        return;
    }
    f->host.conn = NULL;
    if (conn)
        f->table->sw->env.net->ops->tcp_close(conn, reset);
}

size_t tcp_down_max(const struct tcp_flow *f)
{
    size_t most = f->table->sw->config.limits.flow_buffer_bytes;

    if (tcp_has_large_frames(f->table) && tcp_share_is_fast(f, TCP_DOWN))
        most *= 2;
    return tcp_share_of(f, TCP_DOWN, most);
}

/* How much to read into @room so that whole segments come of it: what is left over would go as a
 * small one by itself. For the same reason a ring that is nearly full is taken for full. */
static size_t read_size(const struct tcp_flow *f, size_t room)
{
    const struct switch_ *s = f->table->sw;
    bool offload = s->link && frame_link_has_offload(s->link);
    size_t most = tcp_turn_bytes(f->table);
    size_t segment = tcp_segment_max(f, offload);
    size_t max = tcp_down_max(f), sent = f->snd_nxt - f->snd_una;
    size_t unsent = f->down.len_bytes > sent ? f->down.len_bytes - sent : 0;

    if (f->down.len_bytes > 0 && max - f->down.len_bytes < MIN(segment, max / 4))
        return 0;
    return MIN(room, most - most % segment - unsent % segment);
}

static size_t on_space(void *ctx, uint8_t **buf)
{
    struct tcp_flow *f = ctx;
    struct ring_span room = ring_room(&f->down, &f->table->pool, tcp_down_max(f));
    size_t len_bytes = room.len_bytes > 0 ? read_size(f, room.len_bytes) : 0;

    if (len_bytes == 0) {
        f->flags |= TF_STOPPED;
        if (f->down.len_bytes == 0)
            tcp_wait_idle(f);
    }
    *buf = room.data;
    return len_bytes;
}

static void on_data(void *ctx, size_t len_bytes)
{
    struct tcp_flow *f = ctx;

    ring_commit(&f->down, len_bytes);
    ring_trim(&f->down, &f->table->pool);
    tcp_share_count(f, TCP_DOWN, len_bytes);
    tcp_activate(f);
    if (len_bytes >= READ_MUCH_BYTES)
        switch_turn(f->table->sw);
}

static void on_eof(void *ctx)
{
    struct tcp_flow *f = ctx;

    f->flags |= TF_HOST_EOF;
    ring_trim(&f->down, &f->table->pool);
    tcp_activate(f);
    tcp_check_done(f);
}

static void on_writable(void *ctx)
{
    struct tcp_flow *f = ctx;

    f->flags &= ~(uint32_t)TF_BLOCKED;
    tcp_settle(f);
    if (f->state != TCP_DEAD)
        tcp_owe_window(f);
}

static void on_error(void *ctx, enum status why)
{
    struct tcp_flow *f = ctx;

    if (f->state != TCP_SYN_SENT)
        tcp_send_rst(f);
    f->table->sw->count.tcp_reset++;
    tcp_flow_end(f, true);
}

/* ---- the connect ------------------------------------------------------------------------ */

/* The SYN is not there any more; what an ICMP error quotes of it is made again. */
static void unreachable(struct tcp_flow *f, enum icmp_error what)
{
    uint8_t quote[IP6_HEADER_BYTES + TCP_HEADER_BYTES];
    struct bytes_out w = bytes_into(quote, sizeof quote);
    struct tcp_header h = { .src_port = f->key.guest_port,
                            .dst_port = f->key.remote_port,
                            .seq = f->irs,
                            .flags = TCP_SYN };
    struct packet p = { .ip = { .src = f->key.guest,
                                .dst = f->key.remote,
                                .proto = IP_PROTO_TCP,
                                .ttl = 64,
                                .payload_bytes = TCP_HEADER_BYTES } };

    if (ip_addr_is_v4(&f->key.guest))
        ip4_put(&w, &p.ip);
    else
        ip6_put(&w, &p.ip);
    p.ip.header_bytes = (uint16_t)w.len_bytes;
    tcp_put(&w, &h);
    p.raw = quote;
    p.raw_bytes = w.len_bytes;
    p.l4 = quote + p.ip.header_bytes;
    p.l4_bytes = TCP_HEADER_BYTES;
    icmp_send_error(f->table->sw, &p, what, 0);
}

/* Tells the guest the truth; a time-out is told by silence, as on any network, and so is that there
 * were too many of them: it will ask again. */
static void connect_failed(struct tcp_flow *f, enum status why)
{
    f->table->sw->count.tcp_refused++;
    if (why == ST_UNREACHABLE || why == ST_UNSUPPORTED)
        unreachable(f, ICMP_ERROR_HOST);
    else if (why == ST_DENIED)
        unreachable(f, ICMP_ERROR_ADMIN);
    else if (why != ST_TIMEOUT && why != ST_FULL)
        tcp_send_rst(f);
    tcp_flow_end(f, true);
}

static void on_connected(void *ctx, enum status st)
{
    struct tcp_flow *f = ctx;

    if (st != ST_OK) {
        connect_failed(f, st);
        return;
    }
    f->state = TCP_SYN_RCVD;
    tcp_half_open_moved(f);
    tcp_send_syn(f);
}

static const struct net_tcp_handler handler = {
    .on_connected = on_connected,
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_writable = on_writable,
    .on_error = on_error,
};

void tcp_adopt_conn(struct tcp_flow *f, struct net_tcp *conn)
{
    f->host.conn = conn;
    f->table->sw->env.net->ops->tcp_set_handler(conn, &handler, f);
}

enum status tcp_dial(struct tcp_flow *f, const struct ip_endpoint *to)
{
    struct switch_ *s = f->table->sw;
    enum status st;

    f->state = TCP_DIALLING;
    if (!tcp_half_open_begin(f, &to->addr)) {
        connect_failed(f, ST_FULL);
        return ST_FULL;
    }
    st = s->env.net->ops->tcp_connect(s->env.net, &f->host.conn, to, s->config.limits.tcp_dial_ms,
                                      &handler, f);
    if (st != ST_OK)
        connect_failed(f, st);
    return st;
}
