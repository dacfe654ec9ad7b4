/* SPDX-License-Identifier: Apache-2.0 */
#include "main_run.h"

#include "base/log.h"

int main_service(int argc, const char *const *argv)
{
    log_error(LOG_SERVICE, "`rdlinkd service` needs Windows; use `rdlinkd run` here");
    return EXIT_USAGE;
}
