/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * A registration is a claim that its user makes: whoever is logged on can write "rancher-desktop"
 * into their own hive. What that buys them: while the true owner is logged on too there are two and
 * nobody is served by it, which is a nuisance; while the owner is not, WSL has ended the owner's
 * machine, and a machine that runs is the claimant's own. So the claim opens nobody's machine but
 * one's own, and it is enough that it is seen only while its hive is loaded.
 *
 * The group docker-users stands beside the owner as it does with Docker Desktop: an administrator
 * puts people in it. Without an owner only what was written into the configuration counts.
 */
#include "vm/vm_owner.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

struct search {
    const struct option_list *distributions;
    struct vm_owner *out;
};

static bool is_same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a | 0x20) : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b | 0x20) : *b;

        if (x != y)
            return false;
    }
    return *a == *b;
}

static void on_registration(void *ctx, const char *sid, const char *distribution)
{
    struct search *s = ctx;
    struct vm_owner *o = s->out;
    bool is_ours = false;

    for (unsigned i = 0; i < s->distributions->count; i++)
        is_ours = is_ours || is_same_name(s->distributions->items[i], distribution);
    if (!is_ours || strlen(sid) >= sizeof o->sid)
        return;
    if (o->state == VM_OWNER_NONE) {
        o->state = VM_OWNER_ONE;
        snprintf(o->sid, sizeof o->sid, "%s", sid);
    } else if (o->state == VM_OWNER_ONE && strcmp(o->sid, sid) != 0) {
        o->state = VM_OWNER_SEVERAL;
    }
}

void vm_owner_find(struct vm_users *u, const struct option_list *distributions,
                   struct vm_owner *out)
{
    struct search s = { distributions, out };

    *out = (struct vm_owner){ .state = VM_OWNER_NONE };
    u->ops->scan(u, on_registration, &s);
    if (out->state == VM_OWNER_ONE)
        u->ops->name(u, out->sid, out->name, sizeof out->name);
    else
        out->sid[0] = '\0';
}

unsigned vm_owner_grants(const struct vm_owner *owner, const struct option_list *configured,
                         const char *names[static VM_OWNER_GRANTS_MAX], bool *is_optional)
{
    bool has_owner = owner->state == VM_OWNER_ONE;
    unsigned count = 0;

    *is_optional = has_owner && configured->count == 0;
    if (has_owner)
        names[count++] = owner->sid;
    for (unsigned i = 0; i < configured->count && count < VM_OWNER_GRANTS_MAX; i++)
        names[count++] = configured->items[i];
    if (*is_optional)
        names[count++] = "docker-users";
    return count;
}
