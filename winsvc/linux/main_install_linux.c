/* SPDX-License-Identifier: Apache-2.0 */
#include "main_run.h"

#include <stdio.h>

int main_install(const char *verb, int argc, const char *const *argv)
{
    fprintf(stderr, "rdlinkd: `%s` is for Windows' service manager; here systemd has rdlinkd\n",
            verb);
    return EXIT_USAGE;
}
