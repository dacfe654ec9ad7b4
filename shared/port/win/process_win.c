/* SPDX-License-Identifier: Apache-2.0 */
#include "port/process.h"

void process_die_with_parent(void)
{
    /* libuv has put us into our parent's job object, which kills its members when it closes. */
}
