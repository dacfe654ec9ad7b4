/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * ReportEvent is a call to another service, which may be slow, full or stopped; and any thread may
 * log, the loop's first of all. So a sink only puts an entry into a ring, under a lock that is
 * never held across a call of the system, and a thread of ours takes it out and reports it. A full
 * ring drops the new entry: it is in the log's file, which is complete.
 *
 * What the Event Log refuses is not logged: that would be another entry.
 *
 * A thread that is stuck in the call when we close is left behind with its ring: close comes at the
 * end of the process, which takes both.
 *
 * The texts are event_messages.mc, a resource of the program. Entries have a single insertion; what
 * in it the viewer would expand is made harmless in event_entry.c.
 */
#include "win/event_log.h"

#include "base/log.h"
#include "base/util.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"
#include "win/event_entry.h"
#include "win/service_plan.h"

#include <process.h>
#include <stdbool.h>
#include <stdlib.h>
#include <windows.h>

enum { RING_ENTRIES = 32, CLOSE_MS = 2000 };

struct event_log {
    HANDLE source; /* owned */
    HANDLE thread; /* owned */
    CRITICAL_SECTION lock;
    CONDITION_VARIABLE has_changed;
    /* Under the lock: */
    struct event_gate gate;
    unsigned first, count;
    bool is_closing;
    struct event_entry ring[RING_ENTRIES];
};

static void on_record(void *ctx, const struct log_record *r)
{
    struct event_log *l = ctx;

    EnterCriticalSection(&l->lock);
    if (l->count < RING_ENTRIES) {
        struct event_entry *slot = &l->ring[(l->first + l->count) % RING_ENTRIES];

        if (event_gate_pass(&l->gate, r, GetTickCount64(), slot)) {
            l->count++;
            WakeConditionVariable(&l->has_changed);
        }
    }
    LeaveCriticalSection(&l->lock);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static WORD type_of(enum log_level level)
{
    switch (level) {
    case LOG_ERROR: return EVENTLOG_ERROR_TYPE;
    case LOG_WARN: return EVENTLOG_WARNING_TYPE;
    default: return EVENTLOG_INFORMATION_TYPE;
    }
}

static void report(HANDLE source, const struct event_entry *entry)
{
    wchar_t text[EVENT_TEXT_MAX];
    const wchar_t *insertions[] = { text };

    if (utf8_to_utf16(text, ARRAY_SIZE(text), entry->text) == ST_OK)
        ReportEventW(source, type_of(entry->level), 0, entry->number, NULL, ARRAY_SIZE(insertions),
                     0, insertions, NULL);
}

/* The oldest entry, after waiting for one; false: there will be none. */
static bool take(struct event_log *l, struct event_entry *out)
{
    bool is_there;

    EnterCriticalSection(&l->lock);
    while (!l->count && !l->is_closing)
        SleepConditionVariableCS(&l->has_changed, &l->lock, INFINITE);
    is_there = l->count > 0;
    if (is_there) {
        *out = l->ring[l->first];
        l->first = (l->first + 1) % RING_ENTRIES;
        l->count--;
    }
    LeaveCriticalSection(&l->lock);
    return is_there;
}

static unsigned __stdcall run(void *ctx)
{
    struct event_log *l = ctx;
    struct event_entry entry;

    while (take(l, &entry))
        report(l->source, &entry);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void release(struct event_log *l)
{
    if (l->thread)
        CloseHandle(l->thread);
    if (l->source)
        DeregisterEventSource(l->source);
    DeleteCriticalSection(&l->lock);
    free(l);
}

static enum status start(struct event_log *l, struct errmsg *e)
{
    l->source = RegisterEventSourceW(NULL, TEXT(SERVICE_NAME));
    if (!l->source)
        return win_error_set(e, "Event Log", GetLastError());
    l->thread = (HANDLE)_beginthreadex(NULL, 0, run, l, 0, NULL);
    if (!l->thread) {
        errmsg_set(e, "Event Log: no thread");
        return ST_NOMEM;
    }
    return ST_OK;
}

enum status event_log_open(struct event_log **out, struct errmsg *e)
{
    struct event_log *l = calloc(1, sizeof *l);
    enum status st;

    if (!l) {
        errmsg_set(e, "Event Log: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    InitializeCriticalSection(&l->lock);
    InitializeConditionVariable(&l->has_changed);
    st = start(l, e);
    if (st) {
        release(l);
        return st;
    }
    st = log_add_sink(on_record, l);
    if (st) {
        errmsg_set(e, "Event Log: %s", status_text(st));
        event_log_close(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

void event_log_close(struct event_log *l)
{
    if (!l)
        return;
    log_remove_sink(on_record, l);
    EnterCriticalSection(&l->lock);
    l->is_closing = true;
    WakeConditionVariable(&l->has_changed);
    LeaveCriticalSection(&l->lock);
    if (WaitForSingleObject(l->thread, CLOSE_MS) == WAIT_OBJECT_0)
        release(l);
}
