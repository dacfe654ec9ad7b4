/* SPDX-License-Identifier: Apache-2.0 */
#include "port/process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

void process_die_with_parent(void)
{
    pid_t parent = getppid();

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It may have died in between, and then no signal comes. (Had it died before the first look,
     * the end of the control stream says so.) */
    if (getppid() != parent)
        raise(SIGKILL);
}
