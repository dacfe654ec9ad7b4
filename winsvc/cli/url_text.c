/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/url_text.h"

#include <stdio.h>
#include <string.h>

void url_encode(char *to, size_t cap, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t n = 0;

    for (; *text && n + 4 <= cap; text++)
        n += (size_t)snprintf(to + n, cap - n, strchr(plain, *text) ? "%c" : "%%%02X",
                              (unsigned char)*text);
    to[n] = '\0';
}
