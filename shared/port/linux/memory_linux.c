/* SPDX-License-Identifier: Apache-2.0 */
#include "port/sys.h"

/* Of the GNU C library; another one gives pages back by itself. */
#ifdef __GLIBC__
#    include <malloc.h>

void sys_trim_memory(void)
{
    (void)malloc_trim(0);
}
#else
void sys_trim_memory(void)
{
}
#endif
