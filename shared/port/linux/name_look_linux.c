/* SPDX-License-Identifier: Apache-2.0
 * Looked at, not watched, for the reason in name_servers_linux.c.
 */
#include "port/name_look.h"

#include <sys/stat.h>

static uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * UINT64_C(1099511628211); /* FNV-1a, by words */
}

uint64_t name_look(void)
{
    struct stat file;
    uint64_t sum = UINT64_C(14695981039346656037);

    if (stat("/etc/resolv.conf", &file) != 0)
        return 0;
    sum = mix(sum, (uint64_t)file.st_ino);
    sum = mix(sum, (uint64_t)file.st_size);
    sum = mix(sum, (uint64_t)file.st_mtim.tv_sec);
    return mix(sum, (uint64_t)file.st_mtim.tv_nsec);
}
