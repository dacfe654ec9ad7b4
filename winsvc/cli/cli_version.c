/* SPDX-License-Identifier: Apache-2.0
 * `rdlink version`: of this program. The service's own is in its status, and `rdlink check`
 * compares.
 */
#include "cli/cli_command.h"

#include "base/util.h"
#include "base/version.h"

struct version_options {
    bool json;
};

static const struct option options[] = {
    { .key = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct version_options, json),
      .help = "print an object of {name, version, apiVersion}" },
};

static int version_start(void **run, const struct cli_env *env, int argc, const char *const *argv)
{
    struct version_options o = { false };
    int code = cli_parse_options(&cli_version_command, env, &o, NULL, argc, argv);

    if (code != CLI_PENDING)
        return code;
    if (o.json)
        cli_say(env, "{\"name\":\"rdlink\",\"version\":\"%s\",\"apiVersion\":\"%s\"}\n",
                rdlink_version(), CLI_API_VERSION);
    else
        cli_say(env, "rdlink %s\n", rdlink_version());
    return CLI_READY;
}

const struct cli_command cli_version_command = {
    .name = "version",
    .usage = "[--json]",
    .summary = "of this program",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .start = version_start,
};
