/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *   O:SYG:SY                owned by SYSTEM (only where we run as SYSTEM: nobody else may say so)
 *   D:P                     protected: nothing is inherited
 *   (D;;GA;;;AN)            anonymous: denied, first, so that no grant below can undo it
 *   (A;;GA;;;SY)(A;;GA;;;BA)   SYSTEM and administrators: everything
 *   (A;;GA;;;self)          the server's own account, or it could not add instances
 *   (A;;0x12019b;;;client)  whom we serve: read, write, synchronize
 *   S:(ML;;NW;;;ME)         programs below medium integrity (sandboxes, browsers) cannot write
 *
 * 0x12019b is FILE_GENERIC_READ | FILE_GENERIC_WRITE without 0x4. That bit means "append" for a
 * file and FILE_CREATE_PIPE_INSTANCE for a pipe: who has it can put up a server of their own under
 * our name. GRGW, which dockerd grants, includes it.
 *
 * Network logons are not denied (NU): ssh and WinRM sessions carry that SID, and
 * `docker -H ssh://host` is one of them. Remote clients are refused by the pipe's own flag instead.
 */
#include "port/win/pipe_acl.h"

#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *out;
    size_t cap, len;
};

static void put(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t room = t->len < t->cap ? t->cap - t->len : 0;
    int n = vsnprintf(room ? t->out + t->len : NULL, room, fmt, args);
    va_end(args);
    t->len += n > 0 ? (size_t)n : 0;
}

/* A name that is no SID would either be refused by Windows or, worse, mean an alias. */
static bool is_sid(const char *text)
{
    return strncmp(text, "S-1-", 4) == 0 && text[4] &&
           text[4 + strspn(text + 4, "0123456789-")] == '\0' && strlen(text) < PIPE_ACL_SID_MAX;
}

enum status pipe_acl_text(char *out, size_t cap, const struct pipe_acl *acl, struct errmsg *e)
{
    struct text t = { .out = out, .cap = cap };

    ASSERT(acl->client_count <= PIPE_ACL_MAX_CLIENTS);
    if (acl->as_system)
        put(&t, "O:SYG:SY");
    put(&t, "D:P(D;;GA;;;AN)(A;;GA;;;SY)(A;;GA;;;BA)");
    if (acl->self_sid && !acl->as_system) {
        if (!is_sid(acl->self_sid)) {
            errmsg_set(e, "\"%s\" is not a SID", acl->self_sid);
            return ST_INVAL;
        }
        put(&t, "(A;;GA;;;%s)", acl->self_sid);
    }
    for (unsigned i = 0; i < acl->client_count; i++) {
        if (!is_sid(acl->clients[i])) {
            errmsg_set(e, "\"%s\" is not a SID", acl->clients[i]);
            return ST_INVAL;
        }
        put(&t, "(A;;0x12019b;;;%s)", acl->clients[i]);
    }
    put(&t, "S:(ML;;NW;;;ME)");
    if (t.len >= cap) {
        errmsg_set(e, "security descriptor longer than %zu bytes", cap - 1);
        return ST_FULL;
    }
    return ST_OK;
}
