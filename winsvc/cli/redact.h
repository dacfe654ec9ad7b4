/* SPDX-License-Identifier: Apache-2.0
 * redact.h - takes out of a text what nobody should have to send along: secrets and who one is.
 *
 *   token = "abc", {"apiKey":"abc"}, --password abc     the value: [redacted]
 *   Authorization: Bearer abc                           [redacted]
 *   http://anna:abc@host/                               http://[redacted]@host/
 *   /home/anna/x, C:\Users\anna\x, \\wsl$\d\home\anna   the name: [user]
 *   the home directory of who runs the program          ~
 *   CORP\anna, /srv/anna                                [user], of that person's names only
 *
 * When in doubt it takes out more. Pure.
 */
#ifndef WINSVC_CLI_REDACT_H
#define WINSVC_CLI_REDACT_H

#include <stdbool.h>
#include <stddef.h>

/* Of who runs the program; NULL or "" where it is not known. */
struct redact_names {
    const char *home;     /* "/home/anna" */
    const char *users[2]; /* "anna", and who that is behind sudo */
};

/* @is_json: what is not in quotes ends within its string, not at the end of its line, so that JSON
 * stays JSON. The result is terminated and the caller's to free(); NULL = no memory. */
char *redact(const char *text, size_t len_bytes, const struct redact_names *names, bool is_json,
             size_t *out_len_bytes);

#endif
