/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * The forward table has the addresses of the interfaces too, as routes of full length. Windows
 * calls back on a thread of its own when it changes; that thread does nothing but wake the loop,
 * and CancelMibChangeNotify2() waits until it is gone. Where there is nothing to be told (Wine),
 * the caller's own looks from time to time are what remains.
 */
#include "port/routes.h"

#include "base/util.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/net_uv_internal.h"
#include "port/uv/routes_os.h"
#include "port/uv/uv_status.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <stdlib.h>

/* After winsock2.h (uv.h), whose types they use. */
#include <iphlpapi.h>
#include <netioapi.h>

struct routes_win {
    struct routes base;
    uv_async_t woken;
    HANDLE routes_watch, address_watch; /* NULL = could not be had */
    routes_change_fn *on_change;
    void *ctx;
};

static struct routes_win *routes_win_of(struct routes *r)
{
    return container_of(r, struct routes_win, base);
}

/* ---- the table --------------------------------------------------------------------------- */

static void take_device(struct route *r, const NET_LUID *luid)
{
    wchar_t alias[IF_MAX_STRING_SIZE + 1];

    if (ConvertInterfaceLuidToAlias(luid, alias, ARRAY_SIZE(alias)) != NO_ERROR ||
        utf16_to_utf8(r->device, sizeof r->device, alias) != ST_OK)
        r->device[0] = '\0';
}

static void take_row(const MIB_IPFORWARD_ROW2 *row, route_fn *fn, void *ctx)
{
    const struct sockaddr *net = (const struct sockaddr *)&row->DestinationPrefix.Prefix;
    struct route r = { .prefix_bits = row->DestinationPrefix.PrefixLength };
    struct ip_endpoint at;

    if (!net_uv_from_sockaddr(&at, net) || ip_addr_is_multicast(&at.addr))
        return;
    r.net = at.addr;
    take_device(&r, &row->InterfaceLuid);
    fn(ctx, &r);
}

static enum status routes_win_each(struct routes *r, route_fn *fn, void *ctx)
{
    MIB_IPFORWARD_TABLE2 *table = NULL;
    DWORD err = GetIpForwardTable2(AF_UNSPEC, &table);

    if (err == ERROR_NOT_FOUND)
        return ST_OK; /* no route at all */
    if (err != NO_ERROR)
        return win_error_status(err);
    for (ULONG i = 0; i < table->NumEntries; i++)
        take_row(&table->Table[i], fn, ctx);
    FreeMibTable(table);
    return ST_OK;
}

/* ---- changes ----------------------------------------------------------------------------- */

/* Runs on: a thread of the system's. */
static void WINAPI on_route_change(void *ctx, MIB_IPFORWARD_ROW2 *row, MIB_NOTIFICATION_TYPE type)
{
    uv_async_send(ctx);
}

/* Runs on: a thread of the system's. */
static void WINAPI on_address_change(void *ctx, MIB_UNICASTIPADDRESS_ROW *row,
                                     MIB_NOTIFICATION_TYPE type)
{
    uv_async_send(ctx);
}

static void on_woken(uv_async_t *woken)
{
    struct routes_win *self = woken->data;

    if (self->on_change)
        self->on_change(self->ctx);
}

static void routes_win_watch(struct routes *r, routes_change_fn *fn, void *ctx)
{
    struct routes_win *self = routes_win_of(r);

    self->on_change = fn;
    self->ctx = ctx;
}

/* ---- life -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void routes_win_close(struct routes *r)
{
    struct routes_win *self = routes_win_of(r);

    self->on_change = NULL;
    if (self->routes_watch)
        CancelMibChangeNotify2(self->routes_watch);
    if (self->address_watch)
        CancelMibChangeNotify2(self->address_watch);
    uv_close((uv_handle_t *)&self->woken, on_closed);
}

static const struct routes_ops routes_win_ops = {
    .each = routes_win_each,
    .watch = routes_win_watch,
    .close = routes_win_close,
};

enum status routes_os_new(struct routes **out, struct loop *loop, struct errmsg *e)
{
    struct routes_win *self = calloc(1, sizeof *self);
    int err;

    if (!self) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    self->base.ops = &routes_win_ops;
    err = uv_async_init(loop_uv_handle(loop), &self->woken, on_woken);
    if (err) {
        errmsg_set(e, "watch the routes: %s", uv_strerror(err));
        free(self);
        return uv_status(err);
    }
    self->woken.data = self;
    uv_unref((uv_handle_t *)&self->woken); /* no reason by itself to go on */
    if (NotifyRouteChange2(AF_UNSPEC, on_route_change, &self->woken, FALSE, &self->routes_watch) !=
        NO_ERROR)
        self->routes_watch = NULL;
    if (NotifyUnicastIpAddressChange(AF_UNSPEC, on_address_change, &self->woken, FALSE,
                                     &self->address_watch) != NO_ERROR)
        self->address_watch = NULL;
    *out = &self->base;
    return ST_OK;
}
