/* SPDX-License-Identifier: Apache-2.0 */
#include "main_env.h"

#include "base/log.h"
#include "platform.h"
#include "port/resolver.h"
#include "port/routes.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "port/uv/net_uv.h"
#include "port/uv/resolver_os.h"
#include "port/uv/routes_os.h"

/* Useful, but no switch fails for want of it. */
static void open_routes(struct main_env *m)
{
    struct errmsg e = { "" };

    if (routes_os_new(&m->routes, m->env.loop, &e))
        log_warn(LOG_SWITCH, "changes of this host's network are not seen: %s", e.text);
}

enum status main_env_open(struct main_env *m, struct errmsg *e)
{
    enum status st = loop_uv_new(&m->env.loop, e);

    platform_raise_limits();
    m->env.random = sys_random;
    m->env.wall_us = sys_wall_us;
    if (st == ST_OK)
        st = net_uv_new(&m->env.net, m->env.loop, e);
    if (st == ST_OK)
        st = resolver_os_new(&m->env.resolver, m->env.loop, m->env.net, e);
    if (st == ST_OK)
        open_routes(m);
    return st;
}

void main_env_close(struct main_env *m)
{
    if (m->routes)
        m->routes->ops->close(m->routes);
    if (m->env.resolver)
        m->env.resolver->ops->close(m->env.resolver);
    net_uv_free(m->env.net);
    if (m->env.loop)
        loop_uv_free(m->env.loop);
}
