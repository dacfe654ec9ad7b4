/* SPDX-License-Identifier: Apache-2.0
 * The registry lists virtual machines on Windows only.
 */
#include "vm/vm_source.h"

enum status vm_source_registry_open(struct vm_source **out, struct loop *loop, const char *key,
                                    const struct addr *via, vm_snapshot_fn *fn, void *ctx,
                                    struct errmsg *e)
{
    errmsg_set(e, "there is no registry on this system; name a folder of machines (--vm-folder)");
    return ST_UNSUPPORTED;
}
