/* SPDX-License-Identifier: Apache-2.0
 * The agent belongs in a Linux guest; the Windows build exists for tests, where the target is a
 * loopback port. Nobody's socket can be judged here, and saying so is all there is to do.
 */
#include "guestagent/sock_owner.h"

enum status sock_owner_get(const char *path, struct sock_owner *out)
{
    return ST_UNSUPPORTED;
}
