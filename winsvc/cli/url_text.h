/* SPDX-License-Identifier: Apache-2.0
 * url_text.h - text as a part of a URL. Pure.
 */
#ifndef WINSVC_CLI_URL_TEXT_H
#define WINSVC_CLI_URL_TEXT_H

#include <stddef.h>

/* RFC 3986: what is not unreserved is written as its bytes. Cut at a whole character when it needs
 * more than @cap, which 3 * strlen + 1 never does. */
void url_encode(char *to, size_t cap, const char *text);

#endif
