/* SPDX-License-Identifier: Apache-2.0
 * sandbox.h - namespaces in which a test may change what it likes: network, mounts (with an empty
 * /run and an empty /sys/fs/cgroup), and users where the test is not root.
 *
 * A namespace of somebody else's is a child process that sits in one. Children die with the test.
 */
#ifndef TESTS_UNIT_GUEST_NET_SANDBOX_H
#define TESTS_UNIT_GUEST_NET_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

enum { SANDBOX_SKIP = 77 };

/* Moves this process, which must be single-threaded, into namespaces of its own. False: the kernel
 * refuses, which was said; end with SANDBOX_SKIP. */
bool sandbox_enter(void);
/* Likewise: whether there are tap devices here. */
bool sandbox_has_tun(void);

/* The caller's network namespace: a number that tells it from others. */
ino_t sandbox_namespace(void);

/* A process in a network namespace of its own; with @own_namespace false in ours. */
pid_t sandbox_process(bool own_namespace);
/* One more, in the namespace of @pid. */
pid_t sandbox_process_beside(pid_t pid);
/* It is gone when this returns. */
void sandbox_kill(pid_t pid);
/* Runs @fn in the network namespace of @pid and comes back. */
void sandbox_in(pid_t pid, void (*fn)(void *ctx), void *ctx);

/* Says in /sys/fs/cgroup/@folder (a unit's cgroup) that these are its processes; 0 = none. */
void sandbox_cgroup(const char *folder, pid_t first, pid_t second);
void sandbox_remove_cgroups(void);

/* A persistent tap device, as an administrator would leave one, in the caller's namespace. */
void sandbox_foreign_device(const char *name);
void sandbox_remove_foreign_device(const char *name);

/* The kernel's own answers, in the caller's namespace. */
bool sandbox_has_address(const char *device, const char *ip); /* IPv4 */
unsigned sandbox_default_routes(void);                        /* IPv4 */
bool sandbox_has_default_route(const char *device, const char *gateway);
int sandbox_mtu(const char *device); /* -1: no such device */
bool sandbox_is_up(const char *device);

/* Files */
void sandbox_write(const char *path, const char *text);
/* The text, to free(). */
char *sandbox_read(const char *path);

#endif
