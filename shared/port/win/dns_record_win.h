/* SPDX-License-Identifier: Apache-2.0
 * dns_record_win.h - a list of Windows' DNS records as a message. Private to port/win and its
 * tests. Runs on: any thread.
 */
#ifndef SHARED_PORT_WIN_DNS_RECORD_WIN_H
#define SHARED_PORT_WIN_DNS_RECORD_WIN_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <windows.h>
/* After windows.h. */
#include <windns.h>

struct dns_compose;

enum { DNS_LIST_MAX = 4096 /* records of a list that are looked at */ };

/* Whether Windows gives records of this type back in a form that loses nothing. */
bool dns_record_type_is_known(uint16_t type);
/* Writes all records of @list. ST_UNSUPPORTED, ST_FULL: an answer's record cannot be told in full;
 * what is there is no answer then. A record of the other sections that cannot is left out, as is
 * one of an unknown type. */
enum status dns_record_list_compose(struct dns_compose *c, const DNS_RECORDW *list);

#endif
