/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *
 * Purpose. Windows' Host Compute Service keeps a volatile key with one subkey per running virtual
 * machine, named by the machine's GUID:
 *
 *   HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion
 *       \HostComputeService\VolatileStore\ComputeSystem
 *
 * Any user may list it; nothing says which machine is whose, that is for the handshake to find out.
 * Before the first machine runs after a boot the key, and VolatileStore above it, do not exist.
 *
 * Life. A scan runs at once, then every RESCAN_MS. A notification makes it run SETTLE_MS after a
 * change. What is watched is the key itself or, as long as that is absent, its nearest ancestor
 * that exists; a change there (a child was made, or the key is gone) moves the watch. It is armed
 * before the scan, so a change between the two is not lost.
 *
 * A snapshot is passed on when it differs from the one before, and the first one always. Names that
 * are no GUID are counted and left out.
 *
 * Lifetime. The wait for the notification runs on a system thread; a close that finds it firing
 * leaves the freeing to it. REG_NOTIFY_THREAD_AGNOSTIC ties the notification to the key and not to
 * the thread that asked.
 *
 * Not done: enumerating machines by the HCS API, which wants administrators.
 */
#include "vm/vm_source.h"

#include "base/guid.h"
#include "port/loop.h"
#include "port/win/io_pump.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"
#include "vm/vm_watch.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { RESCAN_MS = 1000, SETTLE_MS = 20, KEY_PATH_MAX = 512, NAMES_MAX = 4096 };

static const char default_key[] =
    "SOFTWARE\\Microsoft\\Windows "
    "NT\\CurrentVersion\\HostComputeService\\VolatileStore\\ComputeSystem";

struct registry_source {
    struct vm_source base;
    struct loop *loop;    /* borrowed */
    struct io_pump *pump; /* acquired */
    wchar_t key[KEY_PATH_MAX];
    bool has_via;
    struct addr via;
    vm_snapshot_fn *fn;
    void *ctx;
    HKEY watched;        /* owned; NULL while nothing is watched */
    HANDLE event;        /* owned, auto reset; signalled by a change below @watched */
    struct io_wait wait; /* under way exactly while @watched is set */
    struct timer timer;
    bool closed;
    bool has_told;
    struct vm_snapshot told; /* what @fn saw last */
};

static struct registry_source *from_base(struct vm_source *base)
{
    return container_of(base, struct registry_source, base);
}

static void source_free(struct registry_source *s)
{
    if (s->watched)
        RegCloseKey(s->watched);
    if (s->event)
        CloseHandle(s->event);
    if (s->pump)
        io_pump_release(s->pump);
    free(s);
}

/* ---- watching -------------------------------------------------------------------------- */

static void on_change(struct io_wait *w)
{
    struct registry_source *s = container_of(w, struct registry_source, wait);

    if (s->closed) {
        source_free(s);
        return;
    }
    RegCloseKey(s->watched);
    s->watched = NULL;
    timer_start(&s->timer, SETTLE_MS);
}

/* The key, or its nearest ancestor; HKLM itself always exists. NULL: not even that may be read. */
static HKEY open_nearest(const wchar_t *key)
{
    wchar_t path[KEY_PATH_MAX];
    HKEY h;

    wcscpy(path, key);
    for (;;) {
        LONG error = RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_NOTIFY | KEY_WOW64_64KEY, &h);
        if (error == ERROR_SUCCESS)
            return h;
        if (!path[0])
            return NULL;
        wchar_t *slash = wcsrchr(path, L'\\');
        if (slash)
            *slash = L'\0';
        else
            path[0] = L'\0';
    }
}

/* Failing is no harm: the next scan tries again, and scans come every second anyhow. */
static void watch(struct registry_source *s)
{
    if (s->watched)
        return;
    HKEY h = open_nearest(s->key);
    if (!h)
        return;
    ResetEvent(s->event); /* closing the last key may have signalled it */
    if (RegNotifyChangeKeyValue(h, FALSE, REG_NOTIFY_CHANGE_NAME | REG_NOTIFY_THREAD_AGNOSTIC,
                                s->event, TRUE) != ERROR_SUCCESS ||
        io_wait_start(s->pump, &s->wait, s->event, on_change, NULL) != ST_OK) {
        RegCloseKey(h);
        return;
    }
    s->watched = h;
}

/* ---- looking --------------------------------------------------------------------------- */

/* A name becomes a machine; false when it is no GUID. */
static bool add_vm(const struct registry_source *s, struct vm_snapshot *snap, const wchar_t *name)
{
    char text[GUID_TEXT_MAX + 2]; /* braces */
    struct vm_info *vm = &snap->vms[snap->count];
    struct guid guid;

    if (snap->count == VM_SNAPSHOT_MAX || utf16_to_utf8(text, sizeof(text), name) ||
        guid_parse(&guid, text))
        return false;
    *vm = (struct vm_info){ .addr = { .kind = ADDR_HVSOCK, .vm = guid, .port = ADDR_PORT_NONE } };
    guid_format(&guid, vm->id);
    if (s->has_via)
        vm->addr = s->via;
    snap->count++;
    return true;
}

static void read_key(const struct registry_source *s, struct vm_snapshot *snap)
{
    wchar_t name[256]; /* the longest name a key can have */
    HKEY h;

    memset(snap, 0, sizeof(*snap));
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, s->key, 0, KEY_ENUMERATE_SUB_KEYS | KEY_WOW64_64KEY,
                      &h) != ERROR_SUCCESS)
        return;
    snap->source_exists = true;
    for (DWORD i = 0; i < NAMES_MAX; i++) {
        DWORD len = ARRAY_SIZE(name);
        LONG error = RegEnumKeyExW(h, i, name, &len, NULL, NULL, NULL, NULL);
        if (error == ERROR_NO_MORE_ITEMS)
            break;
        if (error != ERROR_SUCCESS || !add_vm(s, snap, name))
            snap->ignored++;
    }
    RegCloseKey(h);
}

static void scan(void *ctx)
{
    struct registry_source *s = ctx;
    struct vm_snapshot now;

    timer_start(&s->timer, RESCAN_MS);
    watch(s);
    read_key(s, &now);
    if (s->has_told && vm_watch_is_same(&s->told, &now))
        return;
    s->has_told = true;
    s->told = now;
    s->fn(s->ctx, &s->told);
}

static void registry_rescan(struct vm_source *base)
{
    scan(from_base(base));
}

static void registry_close(struct vm_source *base)
{
    struct registry_source *s = from_base(base);

    s->closed = true;
    timer_stop(&s->timer);
    if (!s->watched || io_wait_stop(&s->wait))
        source_free(s);
}

static const struct vm_source_ops ops = {
    .rescan = registry_rescan,
    .close = registry_close,
};

enum status vm_source_registry_open(struct vm_source **out, struct loop *loop, const char *key,
                                    const struct addr *via, vm_snapshot_fn *fn, void *ctx,
                                    struct errmsg *e)
{
    struct registry_source *s = calloc(1, sizeof(*s));
    if (!s)
        return ST_NOMEM;
    s->base.ops = &ops;
    s->loop = loop;
    s->fn = fn;
    s->ctx = ctx;
    s->has_via = via != NULL;
    if (via)
        s->via = *via;
    timer_init(&s->timer, loop, scan, s);
    enum status st = utf8_to_utf16(s->key, KEY_PATH_MAX, key ? key : default_key);
    if (st) {
        errmsg_set(e, "registry key \"%s\": %s", key, status_text(st));
        goto fail;
    }
    s->event = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (!s->event) {
        st = win_error_set(e, "create event", GetLastError());
        goto fail;
    }
    st = io_pump_acquire(&s->pump, loop, e);
    if (st)
        goto fail;
    timer_start(&s->timer, 0);
    *out = &s->base;
    return ST_OK;
fail:
    source_free(s);
    return st;
}
