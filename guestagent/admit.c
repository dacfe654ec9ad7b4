/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/admit.h"

#include "base/log.h"
#include "port/addr.h"
#include "port/listener.h"

enum status admit_peer(const struct peer *peer, const char *listener_name)
{
    if (!peer->is_vsock || (peer->has_cid && peer->cid == ADDR_CID_HOST))
        return ST_OK;
    if (peer->has_cid)
        log_warn_limited(LOG_BRIDGE, "listener=%s cid=%u is not the host; closed it", listener_name,
                         peer->cid);
    else
        log_warn_limited(LOG_BRIDGE, "listener=%s peer without an address; closed it",
                         listener_name);
    return ST_DENIED;
}
