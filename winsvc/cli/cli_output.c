/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_output.h"

#include "cli/cli_command.h"

#include <stdio.h>
#include <time.h>

void cli_output_stamp(const struct cli_env *env, char stamp[static CLI_STAMP_MAX])
{
    time_t seconds = (time_t)(env->wall_ms() / 1000);
    /* One thread: gmtime()'s one buffer is ours. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const struct tm *utc = gmtime(&seconds);

    if (!utc || !strftime(stamp, CLI_STAMP_MAX, "%Y%m%dT%H%M%SZ", utc))
        stamp[0] = '\0';
}

int cli_output_failure(const struct cli_env *env, const char *output, enum status st)
{
    char what[400];

    if (st == ST_EXISTS)
        snprintf(what, sizeof what, "%.250s is there already, and is not overwritten", output);
    else
        snprintf(what, sizeof what, "cannot write to %.250s: %s", output, status_text(st));
    cli_complain(env, what, "name another file with --output");
    return CLI_DEGRADED;
}
