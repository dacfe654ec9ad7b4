/* SPDX-License-Identifier: Apache-2.0
 * net_config.h - the options of `rdlink-agent net`: one table for command line and file.
 *
 *   --control vsock:6681    where our host asks and offers     --handshake A,B (or none)
 *   --link PROTO:ADDR       no handshake: dial this            --legacy-after 2s
 *   --netns host|unit:NAME|path:FILE|new:NAME  (unit:network-namespace.service)
 *   --tap-interface eth0  --tap-mac-address 5a:94:ef:e4:0c:ee  --mtu 1500
 *   --address dhcp|CIDR   --gateway IP   --no-veth   --veth-subnet 192.168.143.0/24
 *   --resolv-conf /etc/resolv.conf  --hosts /etc/hosts  --relay unix:/run/rdlink/relay.sock
 *   --log-level
 * Names that network-setup and vm-switch have too mean the same.
 */
#ifndef GUESTAGENT_NET_NET_CONFIG_H
#define GUESTAGENT_NET_NET_CONFIG_H

#include "base/options.h"
#include "guestagent/identity.h"
#include "guestagent/net/guest_net.h"
#include "guestagent/net/handshake_server.h"
#include "link/frame_link.h"
#include "port/addr.h"

enum { NET_CONTROL_PORT = 6681 };

struct net_config {
    /* as given */
    char file[OPTION_VALUE_MAX];
    char control[OPTION_VALUE_MAX], link[OPTION_VALUE_MAX], handshake[OPTION_VALUE_MAX];
    char netns[OPTION_VALUE_MAX], tap_name[OPTION_VALUE_MAX], mac_text[OPTION_VALUE_MAX];
    char address[OPTION_VALUE_MAX], gateway[OPTION_VALUE_MAX], veth_subnet[OPTION_VALUE_MAX];
    char resolv_conf[OPTION_VALUE_MAX], hosts[OPTION_VALUE_MAX], log_level[OPTION_VALUE_MAX];
    /* Where handshakes are listened for and data ports dialled; a test puts hybrid sockets here. */
    char handshake_base[OPTION_VALUE_MAX], host_base[OPTION_VALUE_MAX];
    char relay[OPTION_VALUE_MAX]; /* where the relay unit listens */
    struct identity_options identity;
    uint32_t mtu, legacy_after_ms;
    bool no_veth;

    /* as understood */
    bool has_control, has_link, answers_a, answers_b, by_dhcp;
    struct addr control_at, link_at, relay_at;
    struct addr handshake_at[RANCHER_GENERATION_COUNT]; /* of those that are answered */
    struct addr host_at; /* addr_guest_to_host() of it is where a port of the host is dialled */
    enum frame_protocol link_protocol;
    struct mac mac;
    struct guest_lease fixed_lease; /* unless by_dhcp */
    char veth_outside_ip[32], veth_inside_ip[32];
};

/* As config_load(): defaults, then the file that --config names, then @argv. */
enum status net_config_load(struct net_config *out, int argc, const char *const *argv,
                            struct errmsg *e);
/* "192.168.127.2/24": address and mask bits. ST_INVAL; pure, for the host's offer as well. */
enum status net_config_parse_cidr(struct ip_addr *ip, unsigned *prefix_bits, const char *text);
/* A name that the kernel takes for an interface, for the relay's options as well. ST_INVAL. */
enum status net_config_check_interface(const char *value, struct errmsg *e);
size_t net_config_help(char *buf, size_t cap);
/* The table itself, for the manual page. */
const struct option *net_config_options(size_t *count);

#endif
