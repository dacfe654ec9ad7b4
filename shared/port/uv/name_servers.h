/* SPDX-License-Identifier: Apache-2.0
 * name_servers.h - which servers this system asks: linux/name_servers_linux.c reads resolv.conf,
 * win/name_servers_win.c asks the adapters. Private to port/. Runs on: the loop's thread (a file of
 * a few lines, or one system call; not more than once in a few seconds).
 */
#ifndef SHARED_PORT_UV_NAME_SERVERS_H
#define SHARED_PORT_UV_NAME_SERVERS_H

#include "port/resolv_conf.h"

#include <stdbool.h>
#include <stdint.h>

struct name_servers_mark {
    uint64_t words[4]; /* what tells one version of the configuration from the next */
};

/* Reads them again if they changed since @mark was set; true: *out and *mark are new. @path as in
 * struct resolver_uv_config; what cannot be read counts as empty. */
bool name_servers_refresh(struct name_servers *out, struct name_servers_mark *mark,
                          const char *path);

#endif
