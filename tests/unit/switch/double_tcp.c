/* SPDX-License-Identifier: Apache-2.0
 * double_tcp.c - test double: a switch without TCP, for tests of its other parts. Linked only while
 * rdl_switch itself has none.
 */
#include "port/stream.h"
#include "switch/switch_internal.h"

enum status tcp_new(struct switch_ *s)
{
    return ST_OK;
}

void tcp_free(struct switch_ *s)
{
}

void tcp_input(struct switch_ *s, const struct packet *p)
{
    s->count.drop_no_flow++;
}

void tcp_batch_end(struct switch_ *s)
{
}

void tcp_produce(struct switch_ *s)
{
}

void tcp_census(const struct switch_ *s, struct switch_census *out)
{
}

void tcp_link_attached(struct switch_ *s)
{
}

enum status tcp_serve(struct switch_ *s, const struct ip_addr *at, uint16_t port,
                      tcp_accept_fn *accept, void *ctx)
{
    return ST_OK;
}

enum status tcp_open_to_guest(struct switch_ *s, struct net_tcp *conn,
                              const struct ip_endpoint *from, const struct ip_endpoint *to)
{
    s->env.net->ops->tcp_close(conn, true);
    return ST_FULL;
}
