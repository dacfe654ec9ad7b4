/* SPDX-License-Identifier: Apache-2.0
 * A reason is here when there is one thing to do that fits on a line; all others are explained in
 * docs/troubleshooting.md, where the reader is sent for want of a row.
 */
#include "cli/hints.h"

#include "base/util.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *reason, *hint;
} rows[] = {
    { "ComponentCrashLoop", "read the service's log: the component says there why it ends" },
    { "ComponentRestarting", "nothing: it is started again by itself" },
    { "ComponentStarting", "nothing: wait a moment" },
    { "EndpointFallback", "end the program that holds the name; it is taken back by itself" },
    { "EndpointTaken", "end the program that holds the name; it is taken by itself then" },
    { "GuestNotAnswering", "start Rancher Desktop, or rdlink-agent in the guest" },
    { "NoVirtualMachine", "start Rancher Desktop or its WSL distribution" },
    { "SourceMissing", "start Rancher Desktop or its WSL distribution" },
    { "Stopping", "nothing: the service was told to end" },
};

const char *hint_find(const char *reason)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].reason, reason))
            return rows[i].hint;
    return NULL;
}
