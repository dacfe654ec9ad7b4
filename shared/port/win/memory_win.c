/* SPDX-License-Identifier: Apache-2.0 */
#include "port/sys.h"

#include <malloc.h>

void sys_trim_memory(void)
{
    (void)_heapmin();
}
