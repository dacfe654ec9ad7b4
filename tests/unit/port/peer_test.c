/* SPDX-License-Identifier: Apache-2.0
 * What accept() may say about a vsock peer, right and wrong. Whether such a peer is admitted is the
 * bridge's decision; that it is told the truth is tested here.
 */
#include "port/linux/peer.h"

#include "base/util.h"
#include "port/listener.h"
#include "support/cmocka_all.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* After sys/socket.h: older versions of this header use its types. */
#include <linux/vm_sockets.h>

static void a_cid_is_told_only_from_a_whole_vsock_address(void **state)
{
    static const struct {
        const char *name;
        sa_family_t family;
        uint32_t cid;
        size_t len;
        bool want_cid;
    } rows[] = {
        { "hypervisor", AF_VSOCK, 0, sizeof(struct sockaddr_vm), true },
        { "loopback", AF_VSOCK, 1, sizeof(struct sockaddr_vm), true },
        { "host", AF_VSOCK, 2, sizeof(struct sockaddr_vm), true },
        { "another guest", AF_VSOCK, 3, sizeof(struct sockaddr_vm), true },
        { "any", AF_VSOCK, VMADDR_CID_ANY, sizeof(struct sockaddr_vm), true },
        { "longer than known", AF_VSOCK, 2, sizeof(struct sockaddr_storage), true },
        { "cut by one byte", AF_VSOCK, 2, sizeof(struct sockaddr_vm) - 1, false },
        { "cut before the CID", AF_VSOCK, 2, offsetof(struct sockaddr_vm, svm_cid), false },
        { "family only", AF_VSOCK, 2, sizeof(sa_family_t), false },
        { "one byte", AF_VSOCK, 2, 1, false },
        { "empty", AF_VSOCK, 2, 0, false },
        { "unspecified family", AF_UNSPEC, 2, sizeof(struct sockaddr_vm), false },
        { "unix", AF_UNIX, 2, sizeof(struct sockaddr_vm), false },
        { "IPv4", AF_INET, 2, sizeof(struct sockaddr_vm), false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sockaddr_storage storage;
        struct sockaddr_vm vm = { .svm_family = rows[i].family, .svm_cid = rows[i].cid };
        struct peer peer;

        memset(&storage, 0xff, sizeof storage);
        memcpy(&storage, &vm, sizeof vm);
        memset(&peer, 0xff, sizeof peer);
        peer_from_sockaddr(&storage, rows[i].len, &peer);
        if (peer.has_cid != rows[i].want_cid || peer.is_vsock != rows[i].want_cid)
            fail_msg("%s", rows[i].name);
        if (peer.has_cid)
            assert_int_equal(peer.cid, rows[i].cid);
        else
            assert_int_equal(peer.cid, 0);
        assert_false(peer.has_pid);
        assert_int_equal(peer.uid, -1);
    }
}

static void a_unix_peer_has_pid_and_uid(void **state)
{
    struct peer peer = { .uid = -1 };
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    peer_add_credentials(fds[0], &peer);
    assert_true(peer.has_pid);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, getuid());
    close(fds[0]);
    close(fds[1]);
}

static void what_is_no_socket_has_no_credentials(void **state)
{
    struct peer peer = { .uid = -1 };

    peer_add_credentials(-1, &peer);
    assert_false(peer.has_pid);
    assert_int_equal(peer.uid, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cid_is_told_only_from_a_whole_vsock_address),
        cmocka_unit_test(a_unix_peer_has_pid_and_uid),
        cmocka_unit_test(what_is_no_socket_has_no_credentials),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
