/* SPDX-License-Identifier: Apache-2.0
 * guid.h - a 128-bit identifier as Windows writes it. Fields keep Windows' order in @bytes: the
 * first three groups are little-endian in memory, as in a struct GUID.
 */
#ifndef SHARED_BASE_GUID_H
#define SHARED_BASE_GUID_H

#include "base/status.h"

#include <stdint.h>

enum { GUID_TEXT_MAX = 37 };

struct guid {
    uint8_t bytes[16];
};

/* "6b6f5c1e-facb-11e6-bd58-64006a7986d3", with or without braces, any case. ST_INVAL. */
enum status guid_parse(struct guid *out, const char *text);
/* Lower case, no braces; returns @buf. */
const char *guid_format(const struct guid *g, char buf[static GUID_TEXT_MAX]);

#endif
