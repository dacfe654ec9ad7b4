/* SPDX-License-Identifier: Apache-2.0 */
#include "port/uv/resolver_os.h"

#include "port/uv/resolver_uv.h"

enum status resolver_os_new(struct resolver **out, struct loop *loop, struct net *net,
                            struct errmsg *e)
{
    const struct resolver_uv_config system_servers = { .conf_path = NULL };

    return resolver_uv_new(out, loop, net, &system_servers, e);
}
