/* SPDX-License-Identifier: Apache-2.0
 * dir_watch.h - what is in a folder, and being told when that may have changed.
 *
 * A watch is a hint: it may come late, twice, or (folder removed, network drive) never, so whoever
 * must not miss anything scans from time to time as well. Runs on: the loop's thread.
 */
#ifndef SHARED_PORT_DIR_WATCH_H
#define SHARED_PORT_DIR_WATCH_H

#include "base/status.h"

struct dir_watch;
struct loop;

enum dir_entry_kind { DIR_ENTRY_OTHER, DIR_ENTRY_SOCKET, DIR_ENTRY_UNKNOWN };

/* @name is borrowed for the call, without the folder. */
typedef void dir_entry_fn(void *ctx, const char *name, enum dir_entry_kind kind);
typedef void dir_watch_fn(void *ctx);

/* Each entry of the folder, in the order of their names; meant for small folders, because the
 * calling thread waits. ST_NOTFOUND (also when it is no folder), ST_DENIED, ST_NOFILES, ST_NOMEM,
 * ST_IO; then @fn was not called. */
enum status dir_scan(const char *path, dir_entry_fn *fn, void *ctx);

/* Calls @fn after entries came or went. Statuses of dir_scan(). */
enum status dir_watch_open(struct dir_watch **out, struct loop *loop, const char *path,
                           dir_watch_fn *fn, void *ctx, struct errmsg *e);
/* No callback comes afterwards; fine within @fn. NULL is fine. */
void dir_watch_close(struct dir_watch *w);

#endif
