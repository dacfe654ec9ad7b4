/* SPDX-License-Identifier: Apache-2.0
 * taken_port.h - ports taken by ourselves, and what is told to who wants them too. On the real
 * network calls; for the tests of who owns a port on either system.
 */
#ifndef TESTS_SUPPORT_TAKEN_PORT_H
#define TESTS_SUPPORT_TAKEN_PORT_H

#include "base/ip_addr.h"
#include "base/status.h"

struct net;

/* cmocka's setup and teardown: taken_port_net() in between. */
int taken_port_setup(void **state);
int taken_port_teardown(void **state);
struct net *taken_port_net(void);

struct ip_endpoint taken_port_endpoint(const char *text);
/* Listens at @first, any port, and then at @second with that port, which must fail. */
enum status taken_port_tcp(const char *first, const char *second, struct errmsg *why);
/* The same for datagrams, twice at @text. */
enum status taken_port_udp(const char *text, struct errmsg *why);
/* That @text names this process, whose program's name begins with @program. */
void taken_port_assert_names_us(const char *text, const char *program);

#endif
