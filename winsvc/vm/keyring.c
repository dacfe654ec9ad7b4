/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder's watch cannot start before the folder exists, and goes blind when another takes its
 * place; so it is opened anew whenever a look every RESCAN_MS does not find the folder. What is
 * told is that something may have changed: who hears it compares keys.
 */
#include "vm/keyring.h"

#include "base/log.h"
#include "ipc/key_file.h"
#include "ipc/proof.h"
#include "port/dir_watch.h"
#include "port/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDER_MAX = 512, RESCAN_MS = 2000, SETTLE_MS = 20 };

struct keyring {
    struct loop *loop; /* borrowed */
    char folder[FOLDER_MAX];
    keyring_change_fn *on_change;
    void *ctx;
    struct dir_watch *watch; /* owned; NULL while there is no folder */
    struct timer rescan, settle;
};

static void on_settled(void *ctx)
{
    struct keyring *k = ctx;

    k->on_change(k->ctx);
}

/* A file is written in several steps; they are one change. */
static void on_watch(void *ctx)
{
    struct keyring *k = ctx;

    timer_start(&k->settle, SETTLE_MS);
}

static void ignore_entry(void *ctx, const char *name, enum dir_entry_kind kind)
{
}

static void on_rescan(void *ctx)
{
    struct keyring *k = ctx;
    bool is_there = dir_scan(k->folder, ignore_entry, NULL) == ST_OK;

    if (k->watch && !is_there) {
        dir_watch_close(k->watch);
        k->watch = NULL;
        on_watch(k);
    } else if (!k->watch && is_there) {
        if (dir_watch_open(&k->watch, k->loop, k->folder, on_watch, k, NULL) != ST_OK)
            k->watch = NULL;
        on_watch(k);
    }
    timer_start(&k->rescan, RESCAN_MS);
}

enum status keyring_new(struct keyring **out, struct loop *loop, const char *folder,
                        keyring_change_fn *on_change, void *ctx)
{
    struct keyring *k;

    if (strlen(folder) >= FOLDER_MAX)
        return ST_INVAL;
    k = calloc(1, sizeof *k);
    if (!k)
        return ST_NOMEM;
    k->loop = loop;
    k->on_change = on_change;
    k->ctx = ctx;
    snprintf(k->folder, sizeof k->folder, "%s", folder);
    timer_init(&k->rescan, loop, on_rescan, k);
    timer_init(&k->settle, loop, on_settled, k);
    if (folder[0] && on_change)
        timer_start(&k->rescan, 0);
    *out = k;
    return ST_OK;
}

enum status keyring_find(const struct keyring *k, const char *instance, struct proof_key *out)
{
    char path[FOLDER_MAX + PROOF_INSTANCE_MAX + 8];
    struct errmsg e = { "" };
    enum status st;

    if (!k || !k->folder[0] || !proof_is_instance(instance))
        return ST_NOTFOUND;
    snprintf(path, sizeof path, "%s/%s.key", k->folder, instance);
    st = key_file_read(path, out, &e);
    if (st != ST_OK && st != ST_NOTFOUND)
        log_warn_limited(LOG_VM, "no key for instance=%s: %s", instance, e.text);
    return st;
}

void keyring_free(struct keyring *k)
{
    if (!k)
        return;
    timer_stop(&k->rescan);
    timer_stop(&k->settle);
    dir_watch_close(k->watch);
    free(k);
}
