/* SPDX-License-Identifier: Apache-2.0
 * THEORY: three texts follow from each other, and the first that changed makes the rest anew.
 *
 *      registrations --vm_owner_find--> owner --vm_owner_grants--> accounts
 *                                          accounts --platform--> descriptor, granted names
 *
 * The owner is looked for every RESCAN_MS: a hive that is loaded or a distribution that is
 * registered is told to nobody, and asking costs a few keys. A log-on makes it at once.
 *
 * Names are resolved with every scan, not only at a change of owner: a group that is made later, or
 * a domain that could not be asked, counts within seconds. A failure to build a descriptor keeps
 * the one there is, which grants nobody too much who was not granted before; it is logged once.
 */
#include "access.h"

#include "base/log.h"
#include "platform.h"
#include "port/loop.h"
#include "port/sys.h"
#include "status/snapshot.h"
#include "vm/vm_owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESCAN_MS = 5000 };

struct access {
    const struct option_list *grant, *distributions; /* borrowed */
    access_change_fn *fn;
    void *ctx;
    struct vm_users *users; /* owned; NULL where there are none */
    struct vm_owner owner;
    struct platform_access now;
    enum status why; /* of the last failure to work it out, so that it is logged once */
    struct timer timer;
};

static void log_owner(const struct vm_owner *o)
{
    if (o->state == VM_OWNER_ONE)
        log_info(LOG_MAIN, "owner of the virtual machine is %s", o->name);
    else
        log_warn(LOG_MAIN, "%s: only configured accounts are served",
                 o->state == VM_OWNER_SEVERAL ? "several users have the distribution"
                                              : "no user who is logged on has the distribution");
}

static void find_owner(struct access *a)
{
    struct vm_owner found = { .state = VM_OWNER_NOT_ASKED };

    if (a->users)
        vm_owner_find(a->users, a->distributions, &found);
    if (found.state == a->owner.state && !strcmp(found.sid, a->owner.sid))
        return;
    a->owner = found;
    log_owner(&found);
}

static enum status build(struct access *a, struct platform_access *out, struct errmsg *e)
{
    const char *names[VM_OWNER_GRANTS_MAX];
    bool is_optional;
    unsigned count = vm_owner_grants(&a->owner, a->grant, names, &is_optional);

    return platform_access(names, count, is_optional, out, e);
}

static void log_missing(const struct platform_access *was, const struct platform_access *is)
{
    if (is->missing[0] && strcmp(was->missing, is->missing) != 0)
        log_warn(LOG_MAIN, "endpoint-grant: no such account, left out: %s", is->missing);
}

static bool is_granted(const struct platform_access *in, const char *account)
{
    for (unsigned i = 0; i < in->count; i++)
        if (!strcmp(in->accounts[i], account))
            return true;
    return false;
}

static bool revokes(const struct platform_access *was, const struct platform_access *is)
{
    for (unsigned i = 0; i < was->count; i++)
        if (!is_granted(is, was->accounts[i]))
            return true;
    return false;
}

static void on_timer(void *ctx)
{
    static struct platform_access next; /* some KiB; one loop */
    struct access *a = ctx;
    struct errmsg e = { "" };
    enum status st;
    bool is_revoked;

    timer_start(&a->timer, RESCAN_MS);
    find_owner(a);
    st = build(a, &next, &e);
    if (st != ST_OK && st != a->why)
        log_warn(LOG_MAIN, "who may connect cannot be worked out anew: %s", e.text);
    a->why = st;
    if (st != ST_OK)
        return;
    log_missing(&a->now, &next);
    if (!strcmp(next.sddl, a->now.sddl)) {
        a->now = next;
        return;
    }
    is_revoked = revokes(&a->now, &next);
    a->now = next;
    a->fn(a->ctx, is_revoked);
}

enum status access_open(struct access **out, struct loop *loop, const struct access_config *config,
                        access_change_fn *fn, void *ctx, struct errmsg *e)
{
    struct access *a = calloc(1, sizeof *a);
    enum status st;

    if (!a) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    a->grant = config->grant;
    a->distributions = config->distributions;
    a->fn = fn;
    a->ctx = ctx;
    timer_init(&a->timer, loop, on_timer, a);
    st = vm_users_open(&a->users, config->users_key, e);
    if (st == ST_OK || st == ST_UNSUPPORTED) {
        find_owner(a);
        st = build(a, &a->now, e);
    }
    if (st == ST_OK)
        log_missing(&(struct platform_access){ .count = 0 }, &a->now);
    if (st) {
        access_free(a);
        return st;
    }
    if (a->users)
        timer_start(&a->timer, RESCAN_MS);
    *out = a;
    return ST_OK;
}

const char *access_sddl(const struct access *a)
{
    return a->now.sddl[0] ? a->now.sddl : NULL;
}

void access_rescan(struct access *a)
{
    if (a->users)
        timer_start(&a->timer, 0);
}

/* ---- what a reader sees ---------------------------------------------------------------------- */

static void fill_condition(const struct access *a, struct condition_set *own)
{
    const struct vm_owner *o = &a->owner;
    int64_t now_ms = sys_wall_ms();

    if (o->state == VM_OWNER_ONE)
        condition_update(own, "OwnerKnown", COND_TRUE, "OwnerFound", now_ms,
                         "%s has the distribution", o->name);
    else if (o->state == VM_OWNER_NONE)
        condition_update(own, "OwnerKnown", COND_FALSE, "OwnerNotFound", now_ms,
                         "no user who is logged on has the distribution");
    else if (o->state == VM_OWNER_SEVERAL)
        condition_update(own, "OwnerKnown", COND_FALSE, "OwnerAmbiguous", now_ms,
                         "several users who are logged on have the distribution");
}

void access_fill(const struct access *a, struct condition_set *own, struct snapshot *out)
{
    fill_condition(a, own);
    if (a->owner.state == VM_OWNER_ONE)
        for (unsigned i = 0; i < out->instance_count; i++)
            snprintf(out->instances[i].owner, sizeof out->instances[i].owner, "%s", a->owner.name);
    out->granted_count = MIN(a->now.count, (unsigned)SNAPSHOT_MAX_GRANTED);
    for (unsigned i = 0; i < out->granted_count; i++) {
        bool is_owner = a->owner.state == VM_OWNER_ONE && !strcmp(a->now.accounts[i], a->owner.sid);

        snprintf(out->granted[i], sizeof out->granted[i], "%s",
                 is_owner ? a->owner.name : a->now.accounts[i]);
    }
}

void access_free(struct access *a)
{
    if (!a)
        return;
    timer_stop(&a->timer);
    if (a->users)
        a->users->ops->close(a->users);
    free(a);
}
