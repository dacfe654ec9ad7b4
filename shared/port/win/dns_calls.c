/* SPDX-License-Identifier: Apache-2.0 */
#include "port/win/dns_calls.h"

#include "port/uv/completion_queue.h"
#include "port/uv/loop_uv_internal.h"

#include <windows.h>

enum { WAIT_MS = 5000 };

enum status dns_calls_init(struct dns_calls *c, struct loop *loop)
{
    enum status st;

    c->in_flight = 0;
    if (uv_mutex_init(&c->lock))
        return ST_NOMEM;
    if (uv_cond_init(&c->quiet)) {
        uv_mutex_destroy(&c->lock);
        return ST_NOMEM;
    }
    st = completion_queue_new(&c->queue, loop_uv_handle(loop));
    if (st) {
        uv_cond_destroy(&c->quiet);
        uv_mutex_destroy(&c->lock);
    }
    return st;
}

void dns_calls_fini(struct dns_calls *c)
{
    completion_queue_free(c->queue);
    uv_cond_destroy(&c->quiet);
    uv_mutex_destroy(&c->lock);
}

void dns_calls_begin(struct dns_calls *c)
{
    uv_mutex_lock(&c->lock);
    c->in_flight++;
    uv_mutex_unlock(&c->lock);
}

void dns_calls_undo(struct dns_calls *c)
{
    uv_mutex_lock(&c->lock);
    if (--c->in_flight == 0)
        uv_cond_signal(&c->quiet);
    uv_mutex_unlock(&c->lock);
}

/* The count falls last: while it is above zero the queue stays. */
void dns_calls_end(struct dns_calls *c, struct completion *done)
{
    completion_queue_post(c->queue, done);
    dns_calls_undo(c);
}

bool dns_calls_wait(struct dns_calls *c)
{
    bool is_quiet;
    int err = 0;

    uv_mutex_lock(&c->lock);
    while (c->in_flight > 0 && !err)
        err = uv_cond_timedwait(&c->quiet, &c->lock, WAIT_MS * UINT64_C(1000000));
    is_quiet = c->in_flight == 0;
    uv_mutex_unlock(&c->lock);
    return is_quiet;
}

enum status dns_functions_load(const struct dns_function *functions, size_t count)
{
    HMODULE dnsapi = LoadLibraryExW(L"dnsapi.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);

    for (size_t i = 0; i < count; i++) {
        FARPROC found = dnsapi ? GetProcAddress(dnsapi, functions[i].name) : NULL;

        if (!found)
            return ST_UNSUPPORTED;
        *functions[i].to = (void (*)(void))found;
    }
    return ST_OK;
}
