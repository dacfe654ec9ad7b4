/* SPDX-License-Identifier: Apache-2.0
 * The agent belongs in a Linux guest; the Windows build exists for tests, which script a guest_net
 * of their own. There is no kernel here whose network could be set up, and saying so is all there
 * is to do; nobody gets a struct guest_net, so the other calls have nothing to work on.
 */
#include "guestagent/net/guest_net.h"

enum status guest_net_open(struct guest_net **out, struct loop *loop,
                           const struct guest_net_config *config, struct errmsg *e)
{
    errmsg_set(e, "the network of a guest is set up on Linux only");
    return ST_UNSUPPORTED;
}

enum status guest_net_open_tap(struct guest_net *n, const struct mac *mac, unsigned mtu,
                               const struct tap_handler *handler, void *ctx, struct tap **out,
                               struct errmsg *e)
{
    return ST_UNSUPPORTED;
}

enum status guest_net_apply(struct guest_net *n, const struct guest_lease *lease, struct errmsg *e)
{
    return ST_UNSUPPORTED;
}

enum status guest_net_apply_router(struct guest_net *n, const struct guest_router *router,
                                   struct errmsg *e)
{
    return ST_UNSUPPORTED;
}

bool guest_net_is_current(struct guest_net *n)
{
    return false;
}

void guest_net_close(struct guest_net *n)
{
}
