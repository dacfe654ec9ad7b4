/* SPDX-License-Identifier: Apache-2.0
 * Here a machine's socket, and the endpoint's, are files: who may use them is said by their rights.
 */
#include "vm/vm_owner.h"

enum status vm_users_open(struct vm_users **out, const char *key, struct errmsg *e)
{
    errmsg_set(e, "machines have no registered owner on this system");
    return ST_UNSUPPORTED;
}
