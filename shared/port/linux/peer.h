/* SPDX-License-Identifier: Apache-2.0
 * peer.h - who is at the other end of an accepted socket. Any thread.
 */
#ifndef SHARED_PORT_LINUX_PEER_H
#define SHARED_PORT_LINUX_PEER_H

#include <stddef.h>

struct peer;

/* From the address that accept() gave, @len_bytes of it: kernels have left it empty or cut it
 * short. Fills all of @out; a CID is there only when the whole of a vsock address is. */
void peer_from_sockaddr(const void *sa, size_t len_bytes, struct peer *out);
/* Adds pid and uid of a unix socket's other end, where the kernel knows them. */
void peer_add_credentials(int fd, struct peer *out);

#endif
