/* SPDX-License-Identifier: Apache-2.0 */
#include "port/linux/peer.h"

#include "port/listener.h"

#include <string.h>
#include <sys/socket.h>

/* After sys/socket.h: older versions of this header use its types. */
#include <linux/vm_sockets.h>

void peer_from_sockaddr(const void *sa, size_t len_bytes, struct peer *out)
{
    struct sockaddr_vm vm;

    *out = (struct peer){ .uid = -1 };
    if (len_bytes < sizeof vm)
        return;
    memcpy(&vm, sa, sizeof vm); /* @sa need not be aligned */
    if (vm.svm_family != AF_VSOCK)
        return;
    out->is_vsock = true;
    out->has_cid = true;
    out->cid = vm.svm_cid;
}

void peer_add_credentials(int fd, struct peer *out)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || len != sizeof cred ||
        cred.pid <= 0)
        return;
    out->has_pid = true;
    out->pid = cred.pid;
    out->uid = (int64_t)cred.uid;
}
